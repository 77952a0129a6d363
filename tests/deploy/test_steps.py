"""For a real request folder, each server gets the right packages, steps and script."""

from __future__ import annotations

import html
import os
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from cas.python_ca import PythonCa, pem
from cryptography import x509
from deploy.sheet_blocks import select_server_steps
from deploy.walk import old_thumbprint, packages_of, running
from folders import (
    PASSPHRASE,
    TODAY,
    certify,
    csr_path,
    find_id,
    key_path,
    make_folder,
    make_issued_folder,
    make_plan,
    record_deployed,
    request_of,
    sign_by_openssl,
    write,
)
from places import DATA
from powershell_kit import HOSTILE, SCRIPT_FUNCTIONS, commands, parse
from printing import remove_break_marks
from topologies import STANDARD_EDITION, TWO_FRONT_ENDS

from lyncnb.authorities.certificates_on_record import load_issued_certificates
from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.base.disk.file_names import build_file_name
from lyncnb.base.disk.folder_lock import lock_folder
from lyncnb.base.renewal_days import RenewalTerms
from lyncnb.base.shown.documents import list_document_addresses
from lyncnb.base.work_days import read_work_days
from lyncnb.deploy.checklist import (
    build_pages,
    list_all_sheets,
    list_documented_commands,
    to_html,
    to_markdown,
)
from lyncnb.deploy.package_passwords import PasswordList
from lyncnb.deploy.purge_keys import purge
from lyncnb.deploy.server_script import build_script
from lyncnb.deploy.server_steps import MissingPackage
from lyncnb.deploy.sheets import build_sheet_document
from lyncnb.deploy.step_files import build_server_scripts, write_steps
from lyncnb.deploy.steps import build_procedure, deployment_steps
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import BundleError, OutputError, PackageError
from lyncnb.export.write import write_requests
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.manifest import read_manifest, save_manifest
from lyncnb.request_folder.request_record import find_request_id
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

pytestmark = pytest.mark.usefixtures("quick_cipher")

THE_REST = "# lyncnb.ps1 must be the file that this script was written with."
NOT_PACKAGED = "to create packages, run lyncnb pfx FOLDER"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def contoso(tmp_path_factory):
    """Return the folder of the sample deployment with requests, issued certificates and packages."""
    folder = tmp_path_factory.mktemp("deploy")
    issued = make_issued_folder((DATA / "contoso.csv").read_bytes(), folder)
    write_pfx(issued.match_issued(), passphrase=PASSPHRASE, today=TODAY)
    return issued


@pytest.fixture(scope="module")
def steps(contoso):
    """Return the deployment steps of the sample deployment."""
    return deployment_steps(contoso.match_issued(), today=TODAY)


def count_steps(steps):
    """Count the steps of all servers, including later steps and steps for going back."""
    return sum(len(server.every_step) for server in steps.servers)


def rows(steps):
    """Return the number of rows on all sheets."""
    sheets = list_all_sheets(steps)
    return sum(len(section.rows) for sheet in sheets for section in sheet.sections)


def find_page(steps, server):
    """Return the steps for one server."""
    return next(page for page in steps.servers if page.server == server)


def test_every_server_has_its_own_procedure(steps):
    """Every server in the table has steps, and all steps together include every planned
    certificate.
    """
    computers = read_topology(DATA / "contoso.csv").computers
    assert {server.server for server in steps.servers} == {c.fqdn for _, c in computers}
    assert steps.missing == ()
    assert steps.exit_status == 0


def test_a_shared_certificate_is_imported_and_assigned_on_every_server(tmp_path):
    """Both servers in a pool import and assign the shared package, and each has separate steps and
    a separate script.
    """
    options = PlanOptions(shared_certificate=("pool.contoso.net",))
    issued = make_issued_folder(TWO_FRONT_ENDS.encode(), tmp_path, options).match_issued()
    write_pfx(issued, passphrase=PASSPHRASE, today=TODAY)
    # The script reads the folder that contains the packages.
    steps = deployment_steps(issued, today=TODAY)
    assert steps.missing == ()
    (package,) = {p.file for page in steps.servers for p in page.packages if "Default" in p.usages}
    for server in ("fe01.contoso.net", "fe02.contoso.net"):
        assigned = {
            line.partition(";")[0]
            for step in find_page(steps, server).steps
            for line in step.assigns
        }
        assert {"Default", "WebServicesInternal", "WebServicesExternal"} <= assigned
        assert package in build_server_scripts(steps)[f"{server}/install.ps1"].decode("utf-8-sig")


def test_oauth_is_imported_on_one_server_only(steps):
    """Exactly one Front End Server imports the deployment's OAuth certificate."""
    holders = [s.server for s in steps.servers if "assign-oauth" in {t.step.id for t in s.steps}]
    assert holders == ["fe01.contoso.net"]
    script = build_server_scripts(steps)["fe01.contoso.net/install.ps1"].decode("utf-8-sig")
    assert "Set-CsCertificate -Identity global -Type 'OAuthTokenIssuer'" in script


def test_server_with_only_the_oauth_certificate_keeps_its_role(tmp_path):
    """If only the OAuth certificate is not deployed yet, the steps still show the role and pool of
    its server.
    """
    issued = make_issued_folder(TWO_FRONT_ENDS.encode(), tmp_path)
    write_pfx(issued.match_issued(), passphrase=PASSPHRASE, today=TODAY)
    folder = issued.match_issued().bundle.folder
    manifest = read_manifest(folder)
    request_ids = [
        record.id for record in manifest.requests if record.plan.shared_by != "deployment"
    ]
    purge_list = purge(folder, deployed=request_ids, today=TODAY)
    purge(folder, deployed=request_ids, confirmed=purge_list, today=TODAY)
    (server,) = deployment_steps(issued.match_issued(), today=TODAY).servers
    assert (server.server, server.role, server.pool) == (
        "fe01.contoso.net",
        "FrontEnd",
        "pool.contoso.net",
    )


def test_edge_servers_share_their_packages(steps):
    """Both servers in an Edge pool import the same two package files."""
    first, second = (find_page(steps, f"edge0{n}.contoso.net") for n in (1, 2))
    assert [p.file for p in first.packages] == [p.file for p in second.packages]
    assert len(first.packages) == 2


def test_each_front_end_server_imports_its_own_package(steps):
    """Each Front End Server in a pool imports its own package."""
    files = {find_page(steps, f"fe0{n}.contoso.net").packages[0].file for n in (1, 2, 3)}
    assert len(files) == 3


def test_commands_name_types_and_thumbprint(steps, contoso):
    """The assignment command contains the certificate types and the thumbprint that the cmdlet
    requires.
    """
    server = find_page(steps, "fe02.contoso.net")
    (assign,) = [s for s in server.steps if s.step.id == "assign"]
    thumbprint = server.packages[0].thumbprint
    types = "'Default','WebServicesInternal','WebServicesExternal'"
    assert assign.commands == (f"Set-CsCertificate -Type {types} -Thumbprint '{thumbprint}'",)
    assert re.fullmatch("[0-9A-F]{40}", thumbprint)


@pytest.mark.posix
def test_scripts_parse(steps):
    """The steps include a script for each server, and PowerShell can parse every script."""
    scripts = build_server_scripts(steps)
    assert len(scripts) == len(steps.servers) + 1  # lyncnb.ps1, which all of them use
    for name, data in scripts.items():
        assert parse(data.decode("utf-8-sig")).errors == (), name
        assert data.startswith(b"\xef\xbb\xbf")


def test_paths_are_complete(steps):
    """The commands contain the complete path of every package and CA certificate."""
    for server in steps.servers:
        for step in server.steps:
            for command in step.commands:
                for path in re.findall(r"'([^']*\.(?:pfx|cer))'", command):
                    assert path.startswith("C:\\certificates\\") or "Resolve-Path" in command


def test_chain_goes_into_the_right_stores(steps):
    """A self-signed CA certificate is installed in the Root store by a command that contains its
    file name.
    """
    (step,) = [s for s in find_page(steps, "edge02.contoso.net").steps if s.step.id == "chain"]
    assert re.fullmatch(r"certutil -addstore 'Root' 'C:\\.*\\chain\\.{40}\.cer'", step.commands[0])
    assert "Install only self-signed root certificates in Root" in step.text


def test_reverse_proxy_trusts_the_internal_servers(contoso, steps):
    """The reverse proxy gets the chain of its own certificate, and the chain of the internal
    servers if it differs.
    """

    def chains(steps):
        page = find_page(steps, "rp01.contoso.net")
        chain_steps = [s for s in page.steps if s.step.id == "chain"]
        return {s.about: s.text for s in chain_steps}

    ((root, text),) = chains(steps).items()  # All servers in this sample have the same root.
    assert "chain of the server's own certificate (" in text
    assert "; verify the certificate of FrontEnd eepool01.contoso.net (HTTPS 4443)" in text
    (package,) = find_page(steps, "rp01.contoso.net").packages
    other = next(p for s in steps.servers for p in s.packages if p.role == "FrontEnd")
    mediation = next(p for s in steps.servers for p in s.packages if p.role == "Mediation")
    alone = build_procedure([replace(package, path=()), other], load_rules(), now=NOON)
    ((installed_root, text),) = chains(alone).items()
    assert installed_root == root
    assert (
        "needed for: verify the certificate of FrontEnd eepool01.contoso.net (HTTPS 4443)." in text
    )
    # The reverse proxy does not connect to a Mediation Server, so it does not need the Mediation
    # Server's root.
    strange = build_procedure([replace(package, path=()), mediation], load_rules(), now=NOON)
    assert chains(strange) == {}


EDGE = "edge01.contoso.net"
AV = "AudioVideoAuthentication"
OAUTH = "OAuthTokenIssuer"


def packages_with_expiry(steps, end):
    """Return all packages, with the given expiry time for the certificates in use."""
    packages = {p.id: p for server in steps.servers for p in server.packages}
    return [
        replace(package, in_use_until=end, old=old_thumbprint(package) if end else "")
        for package in packages.values()
    ]


def find_assignment_ids(steps, server):
    """Return the ids of the steps that assign or roll over the A/V and OAuth certificates on a
    server.
    """
    names = {"roll-over-av", "roll-over-oauth"}
    names |= {f"assign-{kind}{end}" for kind in ("av", "oauth") for end in ("", "-renewed")}
    return {s.step.id for s in find_page(steps, server).steps} & names


def test_first_certificates_are_assigned_immediately(steps):
    """If no effective time is set and no previous certificate is known, the A/V and OAuth
    certificates are assigned immediately.
    """
    assert find_assignment_ids(steps, EDGE) == {"assign-av"}
    assert find_assignment_ids(steps, "fe01.contoso.net") == {"assign-oauth"}
    later = {step.step.id for server in steps.servers for step in server.later}
    assert later == {"delete-package", "oauth-partners-at-once"}


@pytest.mark.parametrize(
    ("windows", "now", "av", "oauth"),
    [
        ({}, NOON, "2026-12-02 12:00", "2026-12-02 12:00"),
        ({"a": "2026-12-05", "b": "2026-12-12"}, NOON, "2026-12-12 12:00", "2026-12-12 12:00"),
        ({"a": "2026-12-05"}, NOON, "2026-12-06 12:00", "2026-12-06 12:00"),
        ({}, datetime(2026, 12, 20, 12, tzinfo=UTC), "2026-12-22 06:00", "2026-12-21 12:00"),
    ],
    ids=["a week", "windows", "one window", "late"],
)
def test_a_certificate_takes_effect_in_the_first_window_after_staging(
    steps, windows, now, av, oauth
):
    """A staged certificate takes effect a week after the sheets, on the first day for changes after
    its staging. The sheet also shows the last possible time: as in Microsoft's example, 6 AM if the
    old A/V certificate expires at 2 PM, and the day before for OAuth.
    """
    end = datetime(2026, 12, 22, 14, tzinfo=UTC)
    terms = RenewalTerms({}, read_work_days({}, windows))
    procedure = build_procedure(
        packages_with_expiry(steps, end), load_rules(), now=now, terms=terms
    )
    text = to_markdown(procedure)
    for usage, time, last in ((AV, av, "2026-12-22 06:00"), (OAUTH, oauth, "2026-12-21 14:00")):
        assert f"{usage} takes effect at {time} UTC" in text
        assert time == last or f"; the last possible time is {last} UTC." in text
    assert find_assignment_ids(procedure, EDGE) == {"roll-over-av"}
    (roll,) = [s for s in find_page(procedure, EDGE).steps if s.step.id == "roll-over-av"]
    assert f"'{av.replace(' ', 'T')}:00Z'" in roll.commands[0]
    (remove,) = [
        step
        for step in find_page(procedure, "fe01.contoso.net").later
        if step.step.id == "remove-previous-oauth"
    ]
    assert "-Identity global" in remove.commands[0]
    assert "-Previous" in remove.commands[0]


def test_nothing_rolls_over_before_the_new_certificate_is_valid(steps):
    """A roll-over takes place only while both the old and the new certificate are valid.

    If there is no such time, the certificate is assigned immediately.
    """
    kinds = set()
    for days in (-10, 0, 20, 27, 28, 29, 40):
        start, end = NOON + timedelta(days=days), NOON + timedelta(days=28, hours=2)
        packages = [
            replace(package, not_before=start) for package in packages_with_expiry(steps, end)
        ]
        procedure = build_procedure(packages, load_rules(), now=NOON)
        calls = {
            call for s in procedure.servers for p in s.packages for call in p.calls if call.roll
        }
        for call in calls:
            kinds.add(call.kind)
            possible = start <= end - timedelta(hours=call.roll.lead_hours)
            assert call.kind == ("roll" if possible else "assign"), (days, call)
            assert call.effective is None or start <= call.effective < end
    assert kinds == {"roll", "assign"}


def test_a_gap_between_old_and_new_is_an_outage(steps):
    """If no certificate is valid for a period of time, the sheet assigns the new certificate
    immediately and shows the period of the outage.

    No other sheet does.
    """
    end, start = (datetime(2026, 12, day, tzinfo=UTC) for day in (17, 27))
    packages = [replace(package, not_before=start) for package in packages_with_expiry(steps, end)]
    procedure = build_procedure(packages, load_rules(), now=NOON)
    for server, step_id, usage in (
        (EDGE, "assign-av-renewed", AV),
        ("fe01.contoso.net", "assign-oauth-renewed", OAUTH),
    ):
        (step,) = [s for s in find_page(procedure, server).steps if s.step.id == step_id]
        assert (
            "expires at 2026-12-17 00:00 UTC, but the new certificate is not valid before 2026-12-27"
            in step.text
        )
        assert f"Between these times, {usage} has no valid certificate." in step.text
    assert "OUTAGE" not in to_markdown(steps)
    with pytest.raises(PackageError) as caught:
        build_procedure(packages, load_rules(), now=NOON, effective_times=datetime(2026, 12, 20))
    assert "omit the time" in caught.value.hint


def test_roll_over_in_the_near_future_is_accepted():
    """lyncnb accepts a roll-over time in the near future. The only limit is the expiry of the old
    certificate.
    """
    soon = datetime(2026, 11, 24, 16)
    packages = packages_of(plan_certificates(read_topology(DATA / "contoso.csv"), load_rules()))
    procedure = build_procedure(
        packages, load_rules(), now=NOON, cases=running(packages), effective_times={AV: soon}
    )
    assert find_assignment_ids(procedure, EDGE) == {"roll-over-av"}
    assert find_assignment_ids(procedure, "fe01.contoso.net") == set()


def test_single_time_applies_to_all_roll_overs():
    """If you specify one roll-over time, it applies to both the A/V and the OAuth certificate."""
    packages = packages_of(plan_certificates(read_topology(DATA / "contoso.csv"), load_rules()))
    time = datetime(2026, 12, 1, 8)
    procedure = build_procedure(
        packages, load_rules(), now=NOON, cases=running(packages), effective_times=time
    )
    assert find_assignment_ids(procedure, EDGE) == {"roll-over-av"}
    assert find_assignment_ids(procedure, "fe01.contoso.net") == {"roll-over-oauth"}


def test_roll_over_too_close_to_the_end_is_rejected(steps):
    """If the time from the roll-over until the old certificate expires is shorter than a token's
    lifetime, the roll-over time is rejected, and the message contains the latest possible time.
    """
    end = datetime(2026, 12, 22, 14, tzinfo=UTC)
    packages, rules = packages_with_expiry(steps, end), load_rules()
    for usage, hours in ((AV, 8), (OAUTH, 24)):
        late = end - timedelta(hours=hours - 1)
        with pytest.raises(PackageError, match=f"{usage} cannot take effect at") as caught:
            build_procedure(packages, rules, now=NOON, effective_times={usage: late})
        latest = end - timedelta(hours=hours)
        assert f"{latest:%Y-%m-%dT%H:%M}" in caught.value.hint
        build_procedure(packages, rules, now=NOON, effective_times={usage: latest})


def test_a_date_outside_the_new_certificate_is_refused(steps):
    """lyncnb rejects a roll-over time at which the new certificate is not valid."""
    wrong = datetime(2029, 1, 1, tzinfo=UTC)
    with pytest.raises(
        PackageError,
        match="cannot take effect at 2029-01-01 00:00, because the certificate is valid from",
    ):
        build_procedure(
            packages_with_expiry(steps, None), load_rules(), now=NOON, effective_times={AV: wrong}
        )


def test_a_usage_that_cannot_roll_is_refused(contoso):
    """lyncnb rejects a roll-over time for a usage other than A/V and OAuth, and the error names
    these two usages.
    """
    with pytest.raises(PackageError, match='the usage "Default" does not support') as caught:
        deployment_steps(contoso.match_issued(), effective={"Default": NOON}, today=TODAY)
    assert AV in caught.value.hint
    assert OAUTH in caught.value.hint


def test_steps_for_going_back_are_separate(steps):
    """The sheet of a renewal has the commands of the rollback with the certificates in use, in a
    section of their own, after the change.
    """
    end = datetime(2026, 12, 22, 14, tzinfo=UTC)
    procedure = build_procedure(packages_with_expiry(steps, end), load_rules(), now=NOON)
    server = find_page(procedure, EDGE)
    text = to_markdown(select_server_steps(procedure, server))
    back = text[text.index("### Back by hand") : text.index("### Afterwards")]
    for package in server.packages:
        for call in package.calls:
            usages = ",".join(f"'{usage}'" for usage in call.usages)
            command = f"Set-CsCertificate -Type {usages} -Thumbprint '{package.old}'"
            assert command in back
            assert command not in text.replace(back, "")
    assert "Remove-CsCertificate" not in back
    assert "$Value" not in text
    ids = [s.step.id for s in server.back]
    assert ids.index("drain") < ids.index("back-assign") < ids.index("start-services")
    assert "### Back by hand" not in to_markdown(steps)


def test_request_without_a_package_is_reported(contoso, tmp_path):
    """If a request has no package, the steps command reports it with a hint and exits with status 1."""
    copy = contoso.copy(tmp_path)
    name = next((copy.folder / "returned").glob("Mediation-med01*.cer"))
    for path in (name, name.with_suffix(".chain.pem")):
        path.unlink()
    steps = deployment_steps(copy.match_issued(), today=TODAY)
    (missing,) = steps.missing
    assert (missing.request, missing.servers) == (name.stem, ("med01.contoso.net",))
    assert "is on record but missing from the folder" in missing.why
    assert steps.exit_status == 1
    assert "Not packaged" in to_markdown(steps)
    assert "is on record but missing from the folder" in steps._repr_html_()


def test_missing_package_is_reported_only_for_its_server(contoso, tmp_path):
    """lyncnb reports a missing package only on the page for its server, whether the user writes one
    page or all pages.
    """
    copy = contoso.copy(tmp_path)
    path = next((copy.folder / "returned").glob("Edge-*34fcb257.cer"))
    for file in (path, path.with_suffix(".chain.pem")):
        file.unlink()
    steps = deployment_steps(copy.match_issued(), today=TODAY)
    (missing,) = steps.missing
    assert missing.servers == ("edge01.contoso.net", "edge02.contoso.net")
    pages = build_pages(steps)
    for sheet in list_all_sheets(steps):
        count = int(bool({page.server for page in sheet.pages} & {*missing.servers}))
        page = remove_break_marks(pages[build_file_name(sheet.stem, ".html")])
        assert page.count(f"Not packaged</span>: {missing.request}") == count
    page = remove_break_marks(to_html(steps))
    assert page.count(f"Not packaged</span>: {missing.request}") == 1
    assert to_markdown(steps).count("Not packaged") == 1


def test_one_reason_is_given_once(steps):
    """If three hundred certificates have no package for the same reason, one notice shows this
    reason and the number of certificates.
    """
    missing = tuple(MissingPackage(request=f"Edge-{n}", why=NOT_PACKAGED) for n in range(300))
    other = MissingPackage(request="Other-1", why="no certificate has been issued yet")
    lacking = replace(steps, missing=(*missing, other))
    for page in (remove_break_marks(to_html(lacking)), to_markdown(lacking)):
        assert page.count("to create packages, run") == 1
        assert "300 certificates (Edge-0, Edge-1, Edge-2 and 297 more)" in page.replace("\\", "")
        assert "Other-1" in page.replace("\\", "")


def test_repeating_the_steps_command_writes_the_same_files(steps, contoso, tmp_path):
    """The steps command writes the checklist and the scripts to steps/, and writes the same bytes
    when it runs again.
    """
    copy = contoso.copy(tmp_path)
    paths = write_steps(steps, copy.folder)
    before = {path.relative_to(copy.folder).as_posix(): path.read_bytes() for path in paths}
    expected = {
        "order.html",
        "checklist.md",
        "fe01.contoso.net/install.ps1",
        "eepool01.contoso.net.html",
    }
    assert {f"steps/{name}" for name in expected} <= set(before)
    assert [name for name in before if name.endswith(".cer")] != []
    write_steps(deployment_steps(copy.match_issued(), today=TODAY), copy.folder)
    assert {name: (copy.folder / name).read_bytes() for name in before} == before


def test_steps_of_another_folder_are_refused(steps, tmp_path):
    """The steps of one request folder are not written into another one, whose servers would then
    get the wrong certificates.
    """
    other = make_issued_folder((DATA / "contoso.csv").read_bytes(), tmp_path)
    with pytest.raises(BundleError, match="these steps are not for the folder .*requests") as error:
        write_steps(steps, other.folder)
    assert "ln.deployment_steps(issued)" in error.value.hint
    assert not (other.folder / "steps").exists()


def test_steps_with_a_certificate_that_is_not_recorded_are_refused(tmp_path):
    """If the key is on another computer, a certificate in returned/ has steps before the receive
    command records it. The error says so, and its hint leads to the steps.
    """
    bundle = make_folder(tmp_path / "requests")
    folder, name, ca = bundle.folder, find_id(bundle, "med01"), PythonCa()
    record = bundle.manifest.by_id[name]
    held = replace(record, key_holder="tools01.contoso.com", key_sha256="", binding="")
    save_manifest(folder, bundle.manifest.with_records([held]))
    key_path(folder, name).unlink()
    (folder / "returned").mkdir(exist_ok=True)
    answer = pem(ca.issue_for(request_of(bundle, name), days=199), *ca.chain)
    (folder / "returned" / "answer.pem").write_bytes(answer)
    unrecorded = deployment_steps(
        match_certificates(open_requests(folder), today=TODAY), today=TODAY
    )
    with pytest.raises(BundleError, match=f"for {name} is not recorded in the folder") as error:
        write_steps(unrecorded, folder)
    assert "lyncnb receive FOLDER" in error.value.hint
    assert not (folder / "steps").exists()
    assert write_steps(deployment_steps(receive(folder, today=TODAY), today=TODAY), folder)


def test_steps_wait_for_another_writer(steps, contoso, tmp_path):
    """The steps command waits until another process has finished writing to the folder, because the
    command removes unfinished files.
    """
    copy = contoso.copy(tmp_path)
    with lock_folder(copy.folder), pytest.raises(BundleError, match="is in use by"):
        write_steps(steps, copy.folder, lock_seconds=0)
    assert not (copy.folder / "steps").exists()


def test_only_files_of_an_earlier_run_are_removed(steps, contoso, tmp_path):
    """If a server no longer has steps, its script, page and CA certificates are removed from the
    folder.

    An unknown file stays.
    """
    copy = contoso.copy(tmp_path)
    first, *others = steps.servers
    renamed_server = replace(first, server="con.contoso.net")
    paths = write_steps(replace(steps, servers=(renamed_server, *others)), copy.folder)
    assert copy.folder / "steps" / "con~.contoso.net" / "install.ps1" in paths
    steps_folder = copy.folder / "steps"
    script = steps_folder / "con~.contoso.net" / "install.ps1"
    mine = {
        # The script is for a different server than its file name says.
        "mine.ps1": script.read_bytes(),
        "old.contoso.net.ps1": b"\xef\xbb\xbf#requires -Version 3.0\r\nGet-Date\r\n",
        "notes.html": b"<title>Mine: import and assign</title>",
        "chain/mine.cer": b"certificate",
        "checklist.txt": b"mine",
    }
    for name, data in mine.items():
        (steps_folder / name).write_bytes(data)
    expected = {*mine, "checklist.md", "order.html"}
    if os.name != "nt":
        (steps_folder / "pointer.html").symlink_to("order.html")
        expected.add("pointer.html")
    none = write_steps(replace(steps, servers=()), copy.folder)
    assert {path.name for path in none} == {"checklist.md", "order.html"}
    remaining = {
        path.relative_to(steps_folder).as_posix()
        for path in steps_folder.rglob("*")
        if not path.is_dir()
    }
    assert remaining == expected
    assert all((steps_folder / name).read_bytes() == data for name, data in mine.items())


def test_output_is_one_checklist(steps, contoso, tmp_path):
    """If the output is a file name, only the checklist is written, in the format that the file name
    extension specifies.
    """
    (path,) = write_steps(steps, contoso.folder, output=str(tmp_path / "steps.md"))
    assert path.read_text("utf-8").count("- [ ] **") > rows(steps)
    with pytest.raises(OutputError, match=r'"\.docx"'):
        write_steps(steps, contoso.folder, output=str(tmp_path / "steps.docx"))


def test_page_is_self_contained_and_escaped(steps):
    """The HTML checklist loads nothing from the network, escapes text, and has a table row for each row
    of a sheet.
    """
    page = to_html(steps)
    assert not re.search(r"src=|<link|@import|url\(", page)
    known = {*list_document_addresses().values()}
    for address in re.findall(
        r'href="([^#][^"]*)"', page
    ):  # The administrator opens this document with a click.
        assert address in known or address.startswith("https://www.rfc-editor.org/"), address
    assert page.count('<tr class="row') >= rows(steps)
    assert "<script" not in page


@pytest.mark.parametrize("product", ["lync2013", "sfb2015", "sfb2019", "sfbse"])
@pytest.mark.parametrize("sample", ["contoso.csv", "litwareinc-global.csv"])
@pytest.mark.parametrize("end", [None, datetime(2026, 12, 22, 14, tzinfo=UTC)])
def test_each_row_has_a_number_an_instruction_and_a_result(product, sample, end):
    """On each sheet, the rows are numbered, and each has an instruction and a result. No text has a
    condition that the plan decides, or a word to replace.
    """
    rules, table = load_rules(product), read_topology(DATA / sample).to_frame()
    known = read_topology(table[table["role"].isin(rules.roles)])
    procedure = build_procedure(packages_of(plan_certificates(known, rules), end), rules, now=NOON)
    for sheet in list_all_sheets(procedure):
        own = [row for section in sheet.sections for row in section.rows]
        numbers = [row.number for row in own]
        assert len({*numbers}) == len(numbers)
        digits = [int(number) for number in numbers if number.isdigit()]
        assert sorted(digits) == [*range(1, len(digits) + 1)]
        for row in own:
            assert len(row.title) <= 200, row.title
            assert row.expected, row.title
            assert not row.title.startswith(("If ", "Only if ", "On a new ")), row.title
            text = " ".join(command for block in row.blocks for command in block.commands)
            assert "$Value" not in text
            assert not re.search(r"'(THUMBPRINT|FIRST|POOL|USER|FILE|REGISTRAR|SITE)'", text)
            for block in row.blocks:
                assert not block.asks or len(block.commands) == 1, block


def test_page_script_and_documents_have_the_same_rows(steps):
    """The HTML, Markdown and JSON of the steps contain the same numbers, titles and results, and
    the scripts contain the same numbers.
    """
    page = html.unescape(re.sub(r"<wbr>|</?span[^>]*>", "", to_html(steps)))
    text = re.sub(r"\\(.)", r"\1", html.unescape(to_markdown(steps)))
    for sheet in list_all_sheets(steps):
        document = build_sheet_document(sheet)
        for row in document:
            number, title, expected = (str(row[key]) for key in ("number", "title", "expected"))
            assert f"<td>{number}</td>" in page
            assert title in page
            assert expected in page
            assert f"- [ ] **{number}** " in text
            assert f"{title} → {expected}" in text
        hand = {str(row["number"]) for row in document if row["part"] == "hand"}
        for server in sheet.pages:
            script = build_server_scripts(steps)[f"{server.server}/install.ps1"]
            own = {*re.findall(r"'Number' = '(\w+)'\r", script.decode("utf-8-sig"))}
            assert own <= hand | {"1"} | {str(row["number"]) for row in document}


def test_no_password_is_in_steps_or_scripts(steps, contoso):
    """No checklist and no script contains the password of a package."""
    text = to_markdown(steps) + to_html(steps)
    text += "".join(data.decode("utf-8-sig") for data in build_server_scripts(steps).values())
    passwords = PasswordList(contoso.folder, FolderCipher(PASSPHRASE))
    for server in steps.servers:
        for package in server.packages:
            assert passwords.get_password(package.sha256).reveal() not in text
    assert "PRIVATE KEY" not in text


def test_table_has_a_row_for_each_step(steps):
    """The steps can be shown as one table with a row for each step."""
    frame = steps.to_frame()
    assert len(frame) == count_steps(steps)
    assert frame.shape[1] == 9
    of_package = frame[frame["Package on the server"] != ""]
    assert len(of_package) > 0
    ids = [
        find_request_id(name.removesuffix(".pfx")) for name in of_package["Package on the server"]
    ]
    assert list(of_package["Certificate"]) == ids


def test_checklist_has_a_table_of_contents(steps):
    """The order page lists every sheet in the order in which administrators work, and each pool has
    a separate sheet.
    """
    page = to_html(steps)
    pools = {server.pool for server in steps.servers}
    for pool in pools:
        assert f'<a href="#{pool}">' in page
        assert f'<h2 id="{pool}">' in page
    assert page.count('<section class="sheet">') == len(pools)
    assert "break-before:page" in page
    order = ["eepool01.contoso.net", "edgepool01.contoso.net", "rp01.contoso.net"]
    positions = [page.index(f'id="{name}"') for name in order]
    assert positions == sorted(positions)


@pytest.mark.posix
def test_page_contains_what_the_administrator_needs(steps):
    """The page for a server contains the server's script and the expiry date of each package. It
    explains only commands that are on the page.
    """
    server = find_page(steps, EDGE)
    alone = select_server_steps(steps, server)
    for page in (to_html(alone), to_markdown(alone)):
        plain = re.sub(r"</?a\b[^>]*>|`|[\[\]]|\(<[^>]*>\)", "", remove_break_marks(page))
        assert "-File C:\\certificates\\install.ps1" in plain
        assert f"{server.packages[0].not_after:%Y-%m-%d %H:%M} UTC" in plain
        assert "Get-UMService" not in plain
    cmdlet_names = {cmdlet.name for cmdlet in list_documented_commands(alone)}
    printed = "\n".join(
        text for s in server.every_step for text in (*s.commands, *(c.command for c in s.checks))
    )
    assert {command.name for command in commands(printed)} <= cmdlet_names | set(SCRIPT_FUNCTIONS)


def test_no_backtick_is_printed(steps):
    """No page shows a backtick as text. In Markdown, backticks are used only around code."""
    lacking = (
        MissingPackage(request="Edge-1", why="no certificate has been issued yet", servers=(EDGE,)),
        MissingPackage(request="Edge-2", why=NOT_PACKAGED),
    )
    assert "`" not in to_html(replace(steps, missing=lacking))
    for line in to_markdown(steps).splitlines():
        assert line.count("`") % 2 == 0 or line.strip().startswith("```")


def test_scripts_and_checklist_have_the_same_commands(steps):
    """Each command in a script belongs to exactly one step for its server, and the script contains
    the commands of each step.
    """
    for server in steps.servers:
        text = build_server_scripts(steps)[f"{server.server}/install.ps1"].decode("utf-8-sig")
        table = text[text.index("\n$Steps = ") : text.index(THE_REST)]
        blocks = re.findall(r"'Commands' = \{\r?\n(.*?)\r?\n    \} \}", table, re.S)
        in_script = [tuple(line.strip() for line in block.splitlines()) for block in blocks]
        assert in_script == [
            step.commands
            for step in (*server.steps, *server.back)
            if step.commands and step.step.does not in ("record", "set", "restore")
            if step.step.is_scripted
        ]
        # The script contains the product's command for the setting, with the new value.
        for step in (s for s in server.steps if s.step.does == "set" and s.commands):
            (setting,) = (p for p in server.places if p.name == step.place)
            assert setting.set.replace("$Value", f"'{setting.new}'") in step.commands[0]
            assert setting.set in text


@pytest.mark.posix
@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_add_no_command(steps, hostile):
    """Whatever the name of a pool, server, subject or certificate is, each deployment script
    contains the same commands.
    """

    def named(name):
        server = find_page(steps, EDGE)
        changes = {"friendly_name": name, "pool": name, "name": name, "servers": (name,)}
        packages = [replace(package, **changes) for package in server.packages]
        (page,) = build_procedure(packages, load_rules(), now=NOON).servers
        text = build_script(page).decode("utf-8-sig")
        return text[: text.index(THE_REST)]

    attacked, harmless = named(hostile), named("edge01.contoso.net")
    assert parse(attacked).errors == ()
    assert [c.name for c in commands(attacked)] == [c.name for c in commands(harmless)]


@pytest.mark.posix
def test_roll_over_time_of_a_renewed_certificate_is_calculated(tmp_path):
    """If the request folder contains the certificate in use, lyncnb calculates the roll-over time
    from the end date of this certificate.
    """
    issued = make_issued_folder(STANDARD_EDITION.encode(), tmp_path)
    write_pfx(issued.match_issued(), passphrase=PASSPHRASE, today=TODAY)
    plan = plan_certificates(read_topology(STANDARD_EDITION.encode()), load_rules())
    (oauth,) = [c.id for c in plan.certificates if OAUTH in c.usages]
    later = date(2027, 5, 1)
    write_requests(
        plan, issued.folder, passphrase=PASSPHRASE, renew=[oauth], reason="it ends", today=later
    )
    sign_by_openssl(issued.folder, tmp_path, "20270501000000Z", "20280501000000Z", part=oauth)
    receive(issued.folder, tmp_path / "back", today=later)
    matched = match_certificates(open_requests(issued.folder), today=later)
    write_pfx(matched, passphrase=PASSPHRASE, today=later)
    matched = match_certificates(open_requests(issued.folder), today=later)
    procedure = deployment_steps(matched, today=later)
    (server,) = procedure.servers
    (roll,) = [s for s in server.steps if s.step.id == "roll-over-oauth"]
    assert "'2027-05-09T12:00:00Z'" in roll.commands[0]
    # The old certificate expires on 2027-05-22 at midnight, so the last time is 24 hours earlier.
    assert "the last possible time is 2027-05-21 00:00 UTC" in to_markdown(procedure)
    (forget,) = [step for step in server.later if step.step.id == "remove-previous-oauth"]
    assert "2027-05-22 00:00 UTC" in forget.title
    # Until its end, the roll-over needs the old certificate, so the CA does not revoke it.
    assert "revoke-superseded" not in {step.step.id for step in server.later}
    (remove,) = [step for step in server.later if step.step.id == "remove-superseded"]
    assert remove.caution == "After 2027-05-22 00:00 UTC:"
    # One day before the old certificate expires, it is too late for a roll-over, so the steps
    # assign the OAuth certificate immediately.
    procedure = deployment_steps(matched, today=date(2027, 5, 21))
    assert "assign-oauth-renewed" in {s.step.id for s in procedure.servers[0].steps}


@pytest.fixture
def renewed(tmp_path):
    """Return the folder of a finished deployment in which one Mediation Server certificate was
    renewed later, on another computer.
    """
    folder = make_folder(tmp_path / "requests").folder
    every = [record.id for record in open_requests(folder).requests]
    certify(folder, *every)
    write_pfx(
        load_issued_certificates(open_requests(folder), today=TODAY),
        passphrase=PASSPHRASE,
        today=TODAY,
    )
    for name in every:
        record_deployed(folder, name)
    later, name = date(2027, 2, 1), find_id(open_requests(folder), "med01")
    write(make_plan(), folder, renew=[name], reason="its CA is replaced", today=later)
    return folder, name


def answer_by_another_ca(folder, name, later=date(2027, 2, 1)):
    """Have a CA with another root issue the certificate for a renewed request, and write its
    package.
    """
    ca = PythonCa("Fabrikam")
    request = x509.load_pem_x509_csr(csr_path(folder, name).read_bytes())
    leaf = ca.issue_for(request, begins=datetime(2027, 1, 31, tzinfo=UTC), days=199)
    (folder.parent / "new.pem").write_bytes(pem(leaf, *ca.chain))
    accept = {"issued-under-another-root": "the CA is replaced"}
    receive(folder, folder.parent / "new.pem", accept=accept, today=later)
    write_pfx(
        load_issued_certificates(open_requests(folder), today=later),
        passphrase=PASSPHRASE,
        today=later,
    )
    return load_issued_certificates(open_requests(folder), today=later)


def test_renewal_has_steps_only_for_affected_servers(renewed):
    """If only one certificate is renewed, the steps contain no page for servers that keep their
    certificates.
    """
    folder, name = renewed
    later = date(2027, 2, 1)
    certify(folder, name, today=later, begins=datetime(2027, 1, 31, tzinfo=UTC))
    write_pfx(
        load_issued_certificates(open_requests(folder), today=later),
        passphrase=PASSPHRASE,
        today=later,
    )
    issued = load_issued_certificates(open_requests(folder), today=later)
    procedure = deployment_steps(issued, today=later)
    assert [server.server for server in procedure.servers] == ["med01.contoso.com"]
    assert procedure.parts == ""
    assert len(deployment_steps(issued, changed=False, today=later).servers) > 1
    record_deployed(folder, name)
    final_procedure = deployment_steps(
        load_issued_certificates(open_requests(folder), today=later), today=later
    )
    assert (final_procedure.servers, final_procedure.exit_status) == ((), 0)
    assert "no server needs a change" in final_procedure.summary()


@pytest.mark.posix
def test_new_root_is_installed_before_any_assignment(renewed):
    """If a renewed certificate has a new root, servers that need only this root get a page for
    trust, and the first page tells the administrators to install the root there first.
    """
    folder, name = renewed
    issued = answer_by_another_ca(folder, name)
    procedure = deployment_steps(issued, today=date(2027, 2, 1))
    assigned = [server.server for server in procedure.servers if not server.trust_only]
    assert assigned == ["med01.contoso.com"]
    trusting = {server.server for server in procedure.servers if server.trust_only}
    assert trusting == {"ee01.contoso.com", "ee02.contoso.com"}
    for server_page in procedure.servers:
        assert {issuer.thumbprint for issuer in issued.by_id[name].path} & {
            issuer.thumbprint for issuer in server_page.issuers
        }, server_page.server
    alone = find_page(procedure, "ee01.contoso.com")
    assert {step.step.scope for step in alone.steps} == {"issuer"}
    assert (
        "The procedure has two parts, in this order. First make all 3 servers trust"
        in to_markdown(procedure)
    )
    page = remove_break_marks(to_html(procedure))
    trust = page.index("On every server with a sheet: the script with -TrustOnly")
    assert trust < page.index("med01.contoso.com: sheet")
    assert "ee01.contoso.com: sheet" not in page
    assert parse(build_script(alone).decode("utf-8-sig")).errors == ()
