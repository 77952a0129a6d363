"""A script creates the request for each certificate with Microsoft's administrative tools and the
planned values.
"""

from __future__ import annotations

from itertools import count

import pytest
from deploy.walk import NOON, all_lines, computers_of, join_lines
from places import DATA
from powershell_kit import HOSTILE, commands, parse
from topologies import edge, front_end, plan, row

from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.base.shown.documents import list_document_addresses
from lyncnb.deploy.checklist import to_html
from lyncnb.deploy.request_scripts import request_scripts, write_request_scripts
from lyncnb.deploy.server_script import build_script
from lyncnb.errors import OptionsError, OutputError
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology


def requests_of(planned):
    """Return the commands that create requests, by server. For an Edge Server, the first command
    runs on another computer, and the second command runs on the server itself.
    """
    by_server = {}
    for request in request_scripts(planned).servers:
        for step in request.steps:
            for command in commands("\n".join(step.commands)):
                if command.name == "Request-CsCertificate":
                    by_server.setdefault(request.server, []).append(command)
    return by_server


@pytest.fixture(scope="module")
def contoso():
    """Return the plan for the sample deployment."""
    return plan_certificates(read_topology(DATA / "contoso.csv"), load_rules())


def test_one_script_for_each_certificate(contoso, tmp_path):
    """lyncnb writes one script for each certificate that the cmdlet Request-CsCertificate can
    request, even if several servers share the certificate.
    """
    steps = request_scripts(contoso)
    expected = {c.id for c in contoso.certificates if c.usages}
    paths = write_request_scripts(steps, tmp_path / "out")
    assert {path.stem for path in paths if path.suffix == ".ps1"} == expected
    assert {gap.request for gap in steps.missing} == {c.id for c in contoso.certificates} - expected
    for path in paths:
        if path.suffix == ".ps1":
            # The script can run on any computer that has the administrative tools.
            assert "$Server = ''" in path.read_text("utf-8-sig")
    frame = steps.to_frame()
    assert set(frame["Certificate"]) == {server.server for server in steps.servers}


@pytest.mark.posix
def test_request_command_contains_the_planned_values():
    """The request command in a script contains the planned names, subject, key and client
    authentication.
    """
    options = PlanOptions(
        organization="Contoso", organizational_unit="IT", locality="Taipei", country="TW"
    )
    planned = plan(edge(1, aol_pic="true"), edge(2), options=options)
    (external,) = [c for c in planned.certificates if "AccessEdgeExternal" in c.usages]
    remote_command, local_command = requests_of(planned)[external.id]
    for command in (remote_command, local_command):
        parameters = command.parameters
        assert parameters["-DomainName"] == "'" + ",".join(external.names) + "'"
        assert (parameters["-Organization"], parameters["-OU"]) == ("'Contoso'", "'IT'")
        assert (parameters["-City"], parameters["-Country"]) == ("'Taipei'", "'TW'")
        assert parameters["-ClientEKU"] == "$true"
        assert (parameters["-KeySize"], parameters["-KeyAlg"]) == ("2048", "'RSA'")
        assert parameters["-PrivateKeyExportable"] == "$true"
        assert "-State" not in parameters
    assert remote_command.parameters["-ComputerFqdn"] == "'edge01.contoso.net'"
    assert "-ComputerFqdn" not in local_command.parameters


@pytest.mark.posix
def test_each_script_checks_that_its_key_can_be_exported(contoso):
    """Before the script renames the request file, it finds the key by its friendly name and checks
    that the key can be exported.
    """
    for request in request_scripts(contoso).servers:
        ids = [step.step.id for step in request.steps]
        assert ids.index("request-exportable") < ids.index("request-return")
        (step,) = (step for step in request.steps if step.step.id == "request-exportable")
        (check,) = step.holds
        friendly_name = requests_of(contoso)[request.server][0].parameters["-FriendlyName"]
        assert f"$_.FriendlyName -eq {friendly_name}" in check.command
        assert parse(check.command).errors == ()


@pytest.mark.posix
def test_only_edge_servers_omit_the_computer_name(contoso):
    """The request command contains -ComputerFqdn except on Edge Servers, which cannot connect to
    the topology store.
    """
    for certificate, request_commands in requests_of(contoso).items():
        has_computer = ["-ComputerFqdn" in command.parameters for command in request_commands]
        assert has_computer == ([True, False] if certificate.startswith("Edge-") else [True])


@pytest.mark.posix
def test_requests_of_one_computer_have_different_names(contoso):
    """If one computer creates several requests, each request has a different friendly name."""
    names = [
        request_commands[0].parameters["-FriendlyName"]
        for request_commands in requests_of(contoso).values()
    ]
    assert len(set(names)) == len(names) > 1


def test_sources_on_pages_are_links(contoso):
    """On the HTML page about requests, each source is a link to its document."""
    steps = request_scripts(contoso)
    title = "Request certificates in advance (optional) for Lync Server 2013"
    address = list_document_addresses()[title]
    assert f'<a href="{address}" rel="noreferrer">{title}</a>' in to_html(steps)


# In the following tests, PowerShell runs the scripts on a simulated computer with the
# administrative tools.

TOOLS = "tools01.contoso.com"
BEGIN, END = (f"-----{word} NEW CERTIFICATE REQUEST-----\n" for word in ("BEGIN", "END"))
WHOLE = f"{BEGIN}MII=\n{END}"


def begin_simulation(walk, part="FrontEnd-", **changes):
    """Start the simulation of a computer, and return the page and the file name of a request."""
    planned = plan(front_end(1), edge(1), edge(2))
    pages = request_scripts(planned, today=NOON.date()).pages
    page = next(page for page in pages if page.server.startswith(part))
    world = computers_of(TOOLS, "edge01.contoso.net")
    world["servers"][TOOLS] |= changes
    walk.begin(world)
    return page, f"{page.server}-{NOON:%Y-%m-%d}.req"


@pytest.mark.posix
def test_complete_request_is_renamed(walk):
    """The script writes a request under a temporary file name, and renames the file when the
    request is complete.

    A second run creates no request.
    """
    page, name = begin_simulation(walk)
    run = walk.run(page, on=TOOLS)
    assert run["code"] == 0, all_lines([run])
    (request,) = run["changes"]
    assert f"-Output C:\\certificates\\{name}.new" in request
    assert walk.read(TOOLS)[name] == WHOLE
    assert f"{name}.new" not in walk.read(TOOLS)
    second_run = walk.run(page, on=TOOLS)
    assert (second_run["code"], second_run["changes"]) == (0, [])
    assert walk.run(page, "WhatIf", on=TOOLS)["code"] == 0


@pytest.mark.posix
@pytest.mark.parametrize("suffix", ["", ".new"])
@pytest.mark.parametrize("text", ["", BEGIN, f"{BEGIN}MII=\n", f"MII=\nMII=\n{END}", "Hello\n"])
def test_incomplete_request_must_be_deleted(walk, text, suffix):
    """If the request file is incomplete or empty, the script creates no request and names the file
    to delete.
    """
    page, name = begin_simulation(walk)
    walk.write(TOOLS, name + suffix, text)
    run = walk.run(page, on=TOOLS)
    assert (run["code"], run["changes"]) == (1, []), all_lines([run])
    assert f"no incomplete request exists: delete C:\\certificates\\{name}" in join_lines(run)
    assert walk.run(page, "WhatIf", on=TOOLS)["code"] == 1
    walk.delete(TOOLS, name + suffix)
    assert walk.run(page, on=TOOLS)["code"] == 0
    assert walk.read(TOOLS)[name] == WHOLE


@pytest.mark.posix
def test_incomplete_request_is_not_renamed(walk):
    """If the request command succeeds but its file is incomplete, the script stops and does not
    rename the file.
    """
    page, name = begin_simulation(walk, writes=2)
    run = walk.run(page, on=TOOLS)
    assert run["code"] == 1
    assert "The commands of this step ended, but this is not true" in join_lines(run)
    assert name not in walk.read(TOOLS)


@pytest.mark.posix
def test_next_run_renames_a_complete_request(walk):
    """If the temporary file of an interrupted run is complete, the next run renames it and creates
    no new request.
    """
    page, name = begin_simulation(walk)
    walk.run(page, on=TOOLS)
    walk.delete(TOOLS, name)
    walk.write(TOOLS, f"{name}.new", WHOLE)
    run = walk.run(page, on=TOOLS)
    assert (run["code"], run["changes"]) == (0, []), all_lines([run])
    assert walk.read(TOOLS)[name] == WHOLE


@pytest.mark.posix
@pytest.mark.parametrize("kind", ["break", "fail", "error", "nothing"])
def test_failure_of_any_command_leaves_one_complete_request(walk, kind):
    """If any command of the script fails, the next run completes the work, and exactly one complete
    request exists.
    """
    for number in count(1):
        page, name = begin_simulation(walk)
        broken = walk.run(page, on=TOOLS, fault={"at": number, "kind": kind, "files": True})
        assert walk.read(TOOLS).get(name, WHOLE) == WHOLE, all_lines([broken])
        second_run = walk.run(page, on=TOOLS)
        context = f"{kind} at {number}, {broken['struck']}\n{all_lines([broken, second_run])}"
        assert second_run["code"] == 0, context
        assert walk.read(TOOLS)[name] == WHOLE, context
        assert len(walk.world()["servers"][TOOLS]["request"]) == 1, context
        if not broken["struck"]:
            break
    assert number > 5


@pytest.mark.posix
def test_request_of_an_earlier_plan_is_ignored(walk):
    """The file name of a request contains the evaluation date, so the script ignores a file from an
    earlier plan.
    """
    page, name = begin_simulation(walk)
    earlier = name.replace("2026", "2025")
    walk.write(TOOLS, earlier, WHOLE)
    run = walk.run(page, on=TOOLS)
    assert (run["code"], len(run["changes"])) == (0, 1), all_lines([run])
    assert {earlier, name} <= set(walk.read(TOOLS))


@pytest.mark.posix
def test_key_that_cannot_be_exported_stops_the_script(walk):
    """If the key cannot be exported, the script stops before it renames the request file."""
    page, name = begin_simulation(walk, exportable=False)
    run = walk.run(page, on=TOOLS)
    assert run["code"] == 1
    assert "Found: " in join_lines(run)
    assert "Key not valid for use in specified state" in join_lines(run)
    assert name not in walk.read(TOOLS)


@pytest.mark.posix
@pytest.mark.parametrize("computer", [TOOLS, "edge01.contoso.net"])
def test_an_edge_server_requests_without_its_name(walk, computer):
    """On an Edge Server, the request command has no -ComputerFqdn, because this parameter requires
    the topology store.
    """
    page, name = begin_simulation(walk, "Edge-")
    run = walk.run(page, on=computer)
    assert run["code"] == 0, all_lines([run])
    (request,) = run["changes"]
    assert ("-ComputerFqdn edge01.contoso.net" in request) == (computer == TOOLS)
    assert name in walk.read(computer)


@pytest.mark.posix
@pytest.mark.parametrize("layout", ["combined", "separate"])
def test_requests_of_similar_pools_have_different_names(layout):
    """Requests for two Edge pools with the same external name, and for a server with two roles,
    have different friendly names.
    """
    pools = [edge(1, pool_fqdn="edge-a.contoso.com"), edge(2, pool_fqdn="edge-b.contoso.com")]
    roles = [row("srv.contoso.com", role) for role in ("PersistentChat", "TrustedApplication")]
    planned = plan(front_end(1), *pools, *roles, options=PlanOptions(layout=layout))
    assert len({c.subject.common_name for c in planned.certificates}) < len(planned.certificates)
    names = [
        request_commands[0].parameters["-FriendlyName"]
        for request_commands in requests_of(planned).values()
    ]
    assert len(set(names)) == len(names)


@pytest.mark.posix
@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_add_no_command(hostile):
    """Whatever the name of the organization is, each request script contains the same commands."""

    def named(organization):
        planned = plan(edge(1), options=PlanOptions(organization=organization))
        return [
            [command.name for command in commands(build_script(request).decode("utf-8-sig"))]
            for request in request_scripts(planned).servers
        ]

    assert named(hostile) == named("Contoso")


@pytest.mark.posix
def test_blank_parameters_are_omitted():
    """If a certificate has no additional names, like the internal Edge certificate, the request
    command has no -DomainName.
    """
    planned = plan(edge(1), edge(2))
    (internal,) = [c for c in planned.certificates if c.usages == ("Internal",)]
    for command in requests_of(planned)[internal.id]:
        assert "-DomainName" not in command.parameters
        assert "-ClientEKU" not in command.parameters


@pytest.mark.parametrize("product", ["lync2013", "sfb2019"])
@pytest.mark.parametrize(("algorithm", "bits"), [("RSA", 3072), ("ECDSA", 384)])
def test_unsupported_key_is_rejected(product, algorithm, bits):
    """If the planned key is not supported by -KeySize, such as RSA 3072 or an elliptic curve, the
    error lists each certificate and the option to change.
    """
    options = PlanOptions(key=KeyParameters(algorithm=algorithm, bits=bits))
    topology = plan(front_end(1), row("um01.contoso.com", "ExchangeUM")).topology
    planned = plan_certificates(topology, load_rules(product), options=options)
    with pytest.raises(OptionsError) as refused:
        request_scripts(planned)
    expected = [
        f"{c.id}: the planned key is {algorithm} {bits}" for c in planned.certificates if c.usages
    ]
    assert [problem.message for problem in refused.value.problems] == expected
    assert "set the option key in plan.toml to RSA 2048 or RSA 4096" in refused.value.hint


@pytest.mark.posix
def test_the_largest_key_of_the_cmdlet_is_requested():
    """An RSA 4096 key is requested with the -KeySize parameter, as planned."""
    options = PlanOptions(key=KeyParameters(algorithm="RSA", bits=4096))
    for request_commands in requests_of(plan(front_end(1), options=options)).values():
        assert {command.parameters["-KeySize"] for command in request_commands} == {"4096"}


def test_values_without_a_parameter_are_printed(contoso):
    """If the cmdlet cannot set the subject, names or hash, the script prints the planned values
    next to those of the request.
    """
    steps = request_scripts(contoso)
    for request in steps.servers:
        certificate = next(c for c in contoso.certificates if c.id == request.server)
        (compare,) = [s for s in request.steps if s.step.id == "request-compare"]
        assert certificate.subject.common_name in compare.text
        assert certificate.hash in compare.text


def test_roles_without_a_type_use_the_other_method():
    """For a role that Request-CsCertificate does not support, such as a reverse proxy, lyncnb
    explains how to create the request with the request command.
    """
    planned = plan(front_end(1), row("um01.contoso.com", "ExchangeUM"))
    (missing,) = request_scripts(planned).missing
    assert "um01" in missing.request
    assert "lyncnb request" in missing.why


def test_folder_with_keys_is_rejected(contoso, tmp_path):
    """The request scripts are not written into a request folder that already contains keys."""
    (tmp_path / "keys").mkdir(mode=0o700)
    with pytest.raises(OutputError):
        write_request_scripts(request_scripts(contoso), tmp_path / "steps")
    assert not (tmp_path / "steps").exists()
