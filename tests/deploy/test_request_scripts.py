"""The administrative tools create requests with one script for each certificate and the planned
values.
"""

from __future__ import annotations

from itertools import count

import pytest
from deploy.walk import NOON, all_lines, computers_of, unfolded
from places import DATA
from powershell_kit import HOSTILE, commands, parse
from topologies import edge, front_end, plan, row

from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.base.shown.documents import list_document_addresses
from lyncnb.deploy.checklist import to_html, to_markdown
from lyncnb.deploy.request_scripts import request_scripts, write_request_scripts
from lyncnb.deploy.server_script import build_import_script
from lyncnb.errors import OptionsError, OutputError
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology


def requests_of(planned):
    """Return the request commands by id: for another computer, and for the server."""
    found = {}
    for request in request_scripts(planned).servers:
        for step in request.steps:
            for command in commands("\n".join(step.commands)):
                if command.name == "Request-CsCertificate":
                    found.setdefault(request.server, []).append(command)
    return found


@pytest.fixture(scope="module")
def contoso():
    """Return the plan of the sample deployment."""
    return plan_certificates(read_topology(DATA / "contoso.csv"), load_rules())


def test_one_script_for_each_certificate(contoso, tmp_path):
    """Every certificate with a -Type has one script, however many servers share it."""
    steps = request_scripts(contoso)
    wanted = {c.id for c in contoso.certificates if c.usages}
    written = write_request_scripts(steps, tmp_path / "out")
    assert {path.stem for path in written if path.suffix == ".ps1"} == wanted
    assert {one.request for one in steps.missing} == {c.id for c in contoso.certificates} - wanted
    for path in written:
        if path.suffix == ".ps1":
            # Any computer with the administrative tools may run the script.
            assert "$Server = ''" in path.read_text("utf-8-sig")
    frame = steps.to_frame()
    assert set(frame["Certificate"]) == {server.server for server in steps.servers}


def test_the_cmdlet_is_told_what_is_planned():
    """The request command in a script contains the plan's names, subject, key and client
    authentication.
    """
    options = PlanOptions(
        organization="Contoso", organizational_unit="IT", locality="Taipei", country="TW"
    )
    planned = plan(edge(1, aol_pic="true"), edge(2), options=options)
    (external,) = [c for c in planned.certificates if "AccessEdgeExternal" in c.usages]
    there, here = requests_of(planned)[external.id]
    for command in (there, here):
        told = command.parameters
        assert told["-DomainName"] == "'" + ",".join(external.names) + "'"
        assert (told["-Organization"], told["-OU"]) == ("'Contoso'", "'IT'")
        assert (told["-City"], told["-Country"]) == ("'Taipei'", "'TW'")
        assert told["-ClientEKU"] == "$true"
        assert (told["-KeySize"], told["-KeyAlg"]) == ("2048", "'RSA'")
        assert told["-PrivateKeyExportable"] == "$true"
        assert "-State" not in told
    assert there.parameters["-ComputerFqdn"] == "'edge01.contoso.net'"
    assert "-ComputerFqdn" not in here.parameters


def test_each_script_checks_that_its_key_can_be_exported(contoso):
    """Before the request file gets its name, the script checks the key by its friendly name: it
    must be exportable.
    """
    for request in request_scripts(contoso).servers:
        ids = [step.step.id for step in request.steps]
        assert ids.index("request-exportable") < ids.index("request-return")
        (step,) = (step for step in request.steps if step.step.id == "request-exportable")
        (check,) = step.holds
        asked = requests_of(contoso)[request.server][0].parameters["-FriendlyName"]
        assert f"$_.FriendlyName -eq {asked}" in check.command
        assert parse(check.command).errors == ()


def test_only_an_edge_server_may_leave_its_name_out(contoso):
    """The command contains -ComputerFqdn for every server except Edge Servers, which cannot reach
    the topology store.
    """
    for certificate, found in requests_of(contoso).items():
        named = ["-ComputerFqdn" in command.parameters for command in found]
        assert named == ([True, False] if certificate.startswith("Edge-") else [True])


def test_requests_of_one_computer_have_different_names(contoso):
    """The friendly names of requests that one computer creates are all different."""
    found = [of[0].parameters["-FriendlyName"] for of in requests_of(contoso).values()]
    assert len(set(found)) == len(found) > 1


def test_pages_link_the_page_that_they_follow(contoso):
    """On HTML and Markdown pages, each source is a link to its document."""
    steps = request_scripts(contoso)
    title = "Request certificates in advance (optional) for Lync Server 2013"
    address = list_document_addresses()[title]
    assert f'<a href="{address}" rel="noreferrer">{title}</a>' in to_html(steps)
    assert f"](<{address}>)" in to_markdown(steps)


# ---- PowerShell runs the scripts on a simulated computer with the administrative tools.

TOOLS = "tools01.contoso.com"
BEGIN, END = (f"-----{word} NEW CERTIFICATE REQUEST-----\n" for word in ("BEGIN", "END"))
WHOLE = f"{BEGIN}MII=\n{END}"


def begun(walk, part="FrontEnd-", **changes):
    """Start the simulation of a computer, and return the page and the file of a request."""
    planned = plan(front_end(1), edge(1), edge(2))
    pages = request_scripts(planned, today=NOON.date()).pages
    page = next(page for page in pages if page.server.startswith(part))
    world = computers_of(TOOLS, "edge01.contoso.net")
    world["servers"][TOOLS] |= changes
    walk.begin(world)
    return page, f"{page.server}-{NOON:%Y-%m-%d}.req"


def test_a_request_gets_its_name_when_it_is_whole(walk):
    """A request is written under a temporary name, and renamed when it is complete.

    A second run creates no request.
    """
    page, name = begun(walk)
    run = walk.run(page, on=TOOLS)
    assert run["code"] == 0, all_lines([run])
    (request,) = run["changes"]
    assert f"-Output C:\\certificates\\{name}.new" in request
    assert walk.read(TOOLS)[name] == WHOLE
    assert f"{name}.new" not in walk.read(TOOLS)
    again = walk.run(page, on=TOOLS)
    assert (again["code"], again["changes"]) == (0, [])
    assert walk.run(page, "Verify", on=TOOLS)["code"] == 0


@pytest.mark.parametrize("ending", ["", ".new"])
@pytest.mark.parametrize("text", ["", BEGIN, f"{BEGIN}MII=\n", f"MII=\nMII=\n{END}", "Hello\n"])
def test_a_part_of_a_request_does_not_count(walk, text, ending):
    """If a request file is incomplete or empty, the script creates no request and names the file to
    delete.
    """
    page, name = begun(walk)
    walk.write(TOOLS, name + ending, text)
    run = walk.run(page, on=TOOLS)
    assert (run["code"], run["changes"]) == (1, []), all_lines([run])
    assert f"no incomplete request exists: delete C:\\certificates\\{name}" in unfolded(run)
    assert walk.run(page, "Verify", on=TOOLS)["code"] == 1
    walk.delete(TOOLS, name + ending)
    assert walk.run(page, on=TOOLS)["code"] == 0
    assert walk.read(TOOLS)[name] == WHOLE


def test_a_request_that_broke_off_does_not_get_its_name(walk):
    """If the command ended but the request file is incomplete, the script stops and does not rename
    it.
    """
    page, name = begun(walk, writes=2)
    run = walk.run(page, on=TOOLS)
    assert run["code"] == 1
    assert "The commands of this step ended, but this is not true" in unfolded(run)
    assert name not in walk.read(TOOLS)


def test_a_run_that_ended_before_the_renaming_goes_on_there(walk):
    """If a complete file has the temporary name, the next run renames it and creates no request."""
    page, name = begun(walk)
    walk.run(page, on=TOOLS)
    walk.delete(TOOLS, name)
    walk.write(TOOLS, f"{name}.new", WHOLE)
    run = walk.run(page, on=TOOLS)
    assert (run["code"], run["changes"]) == (0, []), all_lines([run])
    assert walk.read(TOOLS)[name] == WHOLE


@pytest.mark.parametrize("kind", ["break", "fail", "error", "nothing"])
def test_a_fault_at_any_command_leaves_no_half_request(walk, kind):
    """After a fault at any command, the next run completes, and exactly one complete request was
    created.
    """
    for at in count(1):
        page, name = begun(walk)
        broken = walk.run(page, on=TOOLS, fault={"at": at, "kind": kind, "files": True})
        assert walk.read(TOOLS).get(name, WHOLE) == WHOLE, all_lines([broken])
        again = walk.run(page, on=TOOLS)
        where = f"{kind} at {at}, {broken['struck']}\n{all_lines([broken, again])}"
        assert again["code"] == 0, where
        assert walk.read(TOOLS)[name] == WHOLE, where
        assert len(walk.world()["servers"][TOOLS]["request"]) == 1, where
        if not broken["struck"]:
            break
    assert at > 5


def test_the_request_of_last_year_does_not_count(walk):
    """The file name of a request contains the evaluation date, so a file of an earlier plan is
    ignored.
    """
    page, name = begun(walk)
    earlier = name.replace("2026", "2025")
    walk.write(TOOLS, earlier, WHOLE)
    run = walk.run(page, on=TOOLS)
    assert (run["code"], len(run["changes"])) == (0, 1), all_lines([run])
    assert {earlier, name} <= set(walk.read(TOOLS))


def test_a_key_that_cannot_be_exported_stops_before_the_request_has_its_name(walk):
    """If the key cannot be exported, the script stops before the request file gets its name."""
    page, name = begun(walk, exportable=False)
    run = walk.run(page, on=TOOLS)
    assert run["code"] == 1
    assert "Found: " in unfolded(run)
    assert "Key not valid for use in specified state" in unfolded(run)
    assert name not in walk.read(TOOLS)


@pytest.mark.parametrize("computer", [TOOLS, "edge01.contoso.net"])
def test_an_edge_server_requests_without_its_name(walk, computer):
    """On an Edge Server, the command has no -ComputerFqdn, which would need the topology store."""
    page, name = begun(walk, "Edge-")
    run = walk.run(page, on=computer)
    assert run["code"] == 0, all_lines([run])
    (request,) = run["changes"]
    assert ("-ComputerFqdn edge01.contoso.net" in request) == (computer == TOOLS)
    assert name in walk.read(computer)


@pytest.mark.parametrize("layout", ["combined", "separate"])
def test_requests_of_like_pools_have_different_names(layout):
    """Two Edge pools with the same external name, and a server with two roles, get different
    friendly names.
    """
    pools = [edge(1, pool_fqdn="edge-a.contoso.com"), edge(2, pool_fqdn="edge-b.contoso.com")]
    roles = [row("srv.contoso.com", role) for role in ("PersistentChat", "TrustedApplication")]
    planned = plan(front_end(1), *pools, *roles, options=PlanOptions(layout=layout))
    assert len({c.subject.common_name for c in planned.certificates}) < len(planned.certificates)
    found = [of[0].parameters["-FriendlyName"] for of in requests_of(planned).values()]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_add_no_command(hostile):
    """Whatever the name of the organization is, each script has the same commands."""

    def named(organization):
        planned = plan(edge(1), options=PlanOptions(organization=organization))
        return [
            [command.name for command in commands(build_import_script(request).decode("utf-8-sig"))]
            for request in request_scripts(planned).servers
        ]

    assert named(hostile) == named("Contoso")


def test_nothing_blank_is_reported():
    """If a certificate has no further names, like the internal Edge certificate, -DomainName is
    left out.
    """
    planned = plan(edge(1), edge(2))
    (internal,) = [c for c in planned.certificates if c.usages == ("Internal",)]
    for command in requests_of(planned)[internal.id]:
        assert "-DomainName" not in command.parameters
        assert "-ClientEKU" not in command.parameters


@pytest.mark.parametrize("product", ["lync2013", "sfb2019"])
@pytest.mark.parametrize(("algorithm", "bits"), [("RSA", 3072), ("ECDSA", 384)])
def test_a_key_that_the_cmdlet_cannot_make_is_refused(product, algorithm, bits):
    """For a key of 3072 bits or an elliptic curve, which -KeySize rejects, the error lists each
    certificate and what to set.
    """
    options = PlanOptions(key=KeyParameters(algorithm=algorithm, bits=bits))
    topology = plan(front_end(1), row("um01.contoso.com", "ExchangeUM")).topology
    planned = plan_certificates(topology, load_rules(product), options=options)
    with pytest.raises(OptionsError) as refused:
        request_scripts(planned)
    wanted = [
        f"{c.id}: the planned key is {algorithm} {bits}" for c in planned.certificates if c.usages
    ]
    assert [problem.message for problem in refused.value.problems] == wanted
    assert "set key in plan.toml to RSA 2048 or RSA 4096" in refused.value.hint


def test_the_largest_key_of_the_cmdlet_is_requested():
    """RSA 4096 is passed to -KeySize as planned."""
    options = PlanOptions(key=KeyParameters(algorithm="RSA", bits=4096))
    for found in requests_of(plan(front_end(1), options=options)).values():
        assert {command.parameters["-KeySize"] for command in found} == {"4096"}


def test_what_the_cmdlet_cannot_be_told_is_printed(contoso):
    """Subject, names and hash that the cmdlet cannot set are printed with the request for
    comparison.
    """
    steps = request_scripts(contoso)
    for request in steps.servers:
        certificate = next(c for c in contoso.certificates if c.id == request.server)
        (compare,) = [s for s in request.steps if s.step.id == "request-compare"]
        assert certificate.subject.common_name in compare.text
        assert certificate.hash in compare.text


def test_roles_without_a_type_take_the_other_route():
    """For roles without a -Type, such as a reverse proxy and Exchange, the page names the other
    method.
    """
    planned = plan(front_end(1), row("um01.contoso.com", "ExchangeUM"))
    (missing,) = request_scripts(planned).missing
    assert "um01" in missing.request
    assert "lyncnb request" in missing.why


def test_no_place_of_a_request_folder_is_written_to(contoso, tmp_path):
    """The scripts are not written into a request folder that contains keys."""
    (tmp_path / "keys").mkdir(mode=0o700)
    with pytest.raises(OutputError):
        write_request_scripts(request_scripts(contoso), tmp_path / "steps")
    assert not (tmp_path / "steps").exists()
