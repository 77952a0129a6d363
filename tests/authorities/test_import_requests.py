"""Requests that were created on other computers are imported correctly, even if they differ from
the plan or the import is interrupted.
"""

from __future__ import annotations

import csv
import errno
import json
import shutil
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import pytest
from administrative_tools import add_computer_name, package_on_computer, request_on_computer
from cryptography.hazmat.primitives.asymmetric import rsa
from failing import ESSENTIAL, fail_one_call
from folders import (
    PASSPHRASE,
    TODAY,
    csr_path,
    lose_record,
    make_folder,
    make_plan,
    put_back,
    read_document,
    snapshot,
)
from openssl_authority import make_root
from places import DATA
from shell_kit import make_shell

from lyncnb.authorities.certificates_on_record import load_issued_certificates
from lyncnb.authorities.handover import hand_over
from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.import_requests import receive_requests
from lyncnb.authorities.status import folder_status
from lyncnb.deploy.purge_keys import purge
from lyncnb.deploy.request_scripts import request_scripts, write_request_scripts
from lyncnb.deploy.step_files import write_steps
from lyncnb.deploy.steps import deployment_steps
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import BundleError, OptionsError, PassphraseError, ReturnedFileError
from lyncnb.export.executors import Making
from lyncnb.export.requests_elsewhere import request_elsewhere
from lyncnb.export.write import write_requests
from lyncnb.pki.certificates import read_certificate
from lyncnb.pki.csr import build_request
from lyncnb.pki.pkcs12 import open_pfx
from lyncnb.plan.model import build_request_content
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.change_passphrase import rekey
from lyncnb.request_folder.field_forms import SOME_COMPUTER
from lyncnb.request_folder.rebuild_manifest import has_encrypted_files, rebuild_manifest
from lyncnb.request_folder.renewals import list_renewals
from lyncnb.request_folder.request_record import find_request_id
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

pytestmark = pytest.mark.usefixtures("quick_cipher")

TOOLS = "tools01.contoso.com"
# The system calls to trace, because they protect key files. Calls that release a lock are not
# included, because the system releases each lock when its process ends.
_CALLS = (*ESSENTIAL, "mkdir", "chmod")

shell = pytest.fixture(make_shell)


def planned(name="single-server.csv", **options):
    """Return the plan for a sample deployment."""
    return plan_certificates(
        read_topology(DATA / name), load_rules(), options=PlanOptions(**options)
    )


def scripts_of(plan, folder: Path, **arguments):
    """Write the request folder and its scripts, as `steps --request-on-server` does."""
    bundle = request_elsewhere(plan, folder, findings=(), today=TODAY, **arguments)
    write_request_scripts(request_scripts(plan, bundle), folder)
    return bundle


@pytest.fixture(scope="module")
def created_requests(tmp_path_factory):
    """Return a request folder without requests, its plan, and the requests that the folder's
    scripts created on the servers.
    """
    work_folder, plan = tmp_path_factory.mktemp("asked"), planned()
    scripts_of(plan, work_folder / "folder", computer=TOOLS)
    return (
        work_folder / "folder",
        plan,
        request_on_computer(work_folder / "folder", work_folder / "tools01"),
    )


@pytest.fixture
def waiting(created_requests, tmp_path):
    """Return copies of three items: a folder that has not received its requests, its plan, and the
    request files. A test may change the copies.
    """
    folder, plan, request_paths = created_requests
    shutil.copytree(folder, tmp_path / "folder")
    shutil.copytree(request_paths[0].parent, tmp_path / "tools01")
    return tmp_path / "folder", plan, [tmp_path / "tools01" / path.name for path in request_paths]


@pytest.fixture(scope="module")
def issued(created_requests, tmp_path_factory):
    """Return a folder with requests that were created on the servers, and the certificates that the
    CA issued for them.
    """
    work_folder = tmp_path_factory.mktemp("issued")
    folder, _, request_paths = created_requests
    shutil.copytree(folder, work_folder / "folder")
    receive_requests(work_folder / "folder", *request_paths, today=TODAY)
    root = make_root(work_folder / "ca")
    for path in sorted((work_folder / "folder" / "csr").glob("*.csr")):
        root.sign(path, work_folder / "back" / f"{path.stem}.pem")
    (work_folder / "back" / "root.pem").write_bytes(root.pem)
    assert receive(work_folder / "folder", work_folder / "back").exit_status == 0
    return work_folder / "folder", work_folder / "back"


def test_waiting_folder_contains_no_secret(created_requests):
    """A folder that waits for requests contains no key, CSR or password list, and lyncnb does not
    ask for a passphrase.
    """
    folder, plan, _ = created_requests
    assert not has_encrypted_files(folder)
    assert list((folder / "csr").iterdir()) == list((folder / "keys").iterdir()) == []
    records = open_requests(folder).requests
    assert {record.id for record in records} == {item.id for item in plan.certificates}
    assert {(r.state, r.key_holder, r.has_key) for r in records} == {("planned", TOOLS, False)}
    assert (folder / "summary.html").is_file()


def test_the_same_plan_again_changes_no_byte(waiting):
    """If the same plan is written again, no file in the request folder changes, whether the folder
    already contains the requests or still waits for them.
    """
    folder, plan, request_paths = waiting
    before = snapshot(folder, but_lock=True)
    bundle = request_elsewhere(plan, folder, findings=(), computer=TOOLS)
    assert bundle.counts() == {"kept": len(plan.certificates)}
    assert snapshot(folder, but_lock=True) == before
    receive_requests(folder, *request_paths)
    # After the import, the summary lists the requests.
    request_elsewhere(plan, folder, findings=())
    before = snapshot(folder, but_lock=True)
    assert [request.action for request in receive_requests(folder, *request_paths).requests] == [
        "kept",
        "kept",
    ]
    request_elsewhere(plan, folder, findings=())
    assert snapshot(folder, but_lock=True) == before


def test_requests_certificates_and_steps_match(issued, created_requests, tmp_path):
    """The scripts, the imported requests, the issued certificates, the export of the server and the
    steps match each other.
    """
    folder, _ = issued
    _, _, request_paths = created_requests
    shutil.copytree(folder, tmp_path / "folder")
    folder = tmp_path / "folder"
    received = load_issued_certificates(open_requests(folder))
    packages = write_pfx(received, passphrase=None)
    assert packages.exit_status == 0
    assert packages.counts() == {"written": 0, "kept": 0, "refused": 0, "elsewhere": 2}
    assert all(TOOLS in package.why for package in packages.packages)
    steps = deployment_steps(received)
    assert steps.exit_status == 0
    assert [page.server for page in steps.key_holders] == [r.id for r in open_requests(folder)
                                                          .requests]  # fmt: skip
    written_names = {path.name for path in write_steps(steps, folder)}
    for page in steps.key_holders:
        (package,) = page.packages
        assert {f"{page.server}-finish.ps1", f"{page.server}-finish.html"} <= written_names
        typed = [line for step in page.steps for line in step.commands]
        assert any(package.thumbprint in line and "-exportPFX" in line for line in typed)
        # OpenSSL creates the same package from the issued certificate, the chain and the key.
        request = next(path for path in request_paths if path.stem == page.server)
        answer = folder / "returned" / f"{page.server}.cer"
        chain = sorted((folder / "steps" / "chain").glob("*.cer"))
        pem = tmp_path / "issuers.pem"
        pem.write_bytes(b"".join(_pem(path) for path in chain))
        package_on_computer(request, answer, [pem], tmp_path / package.file)
        content = open_pfx((tmp_path / package.file).read_bytes(), "export")
        leaf = read_certificate(content.certificates[0])
        assert leaf.thumbprint == package.thumbprint
    for server in steps.servers:
        imports = [s for s in server.steps if s.step.id == "import"]
        assert {s.package for s in imports} <= {p.file for p in server.packages}
        assert [s.package for s in server.steps if s.step.id == "hand-over-exported"]


def _pem(path: Path) -> bytes:
    from lyncnb.pki.certificates import to_pem

    return to_pem([path.read_bytes()])


def test_commands_do_not_report_keys_on_servers_as_missing(issued, tmp_path):
    """If the key is on another computer, the status, renewals and purge commands do not report it
    as missing.
    """
    shutil.copytree(issued[0], tmp_path / "folder")
    folder = tmp_path / "folder"
    status = folder_status(folder)
    assert not status.needs_attention
    assert {item.key_holder for item in status.requests} == {TOOLS}
    assert f"the private key exists only on {TOOLS}: 2 requests" in status.notes
    assert b"lyncnb renew FOLDER" in list_renewals(folder).to_ical()
    name = status.requests[0].id
    preview = purge(folder, deployed=[name])
    assert [(item.what, item.files) for item in preview.items] == [("nothing", ())]
    purge(folder, deployed=[name], confirmed=preview)
    record = open_requests(folder).manifest.by_id[name]
    assert (record.deployed_at[:2], record.key_holder) == ("20", TOOLS)
    assert (folder / record.files.csr).exists()
    assert not purge(folder, deployed=[name]).items
    assert not folder_status(folder).needs_attention
    assert len(deployment_steps(load_issued_certificates(open_requests(folder))).key_holders) == 1


def test_handover_packs_imported_requests(waiting, tmp_path):
    """The handover package contains a request only after it was imported. Before the import, a hint
    explains how to import it.

    Then it is handed over to its CA.
    """
    folder, _, request_paths = waiting
    with pytest.raises(BundleError) as refused:
        hand_over(folder, tmp_path / "out.zip")
    assert "receive FOLDER --request" in refused.value.hint
    received = receive_requests(folder, *request_paths)
    note = f"lyncnb cannot verify that 2 keys on {TOOLS} can be exported"
    assert note in received.to_text()
    packed = hand_over(folder, tmp_path / "out.zip")
    assert len(packed.requests) == 2
    assert note in packed.to_text()
    with (folder / "summary.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert {row["Exportable"] for row in rows} == {f"not verified: the key is on {TOOLS}"}


# In the following tests, the requests differ from the plan.


def test_names_that_are_missing_are_refused_unless_the_ca_adds_them(waiting):
    """lyncnb rejects a request that lacks planned names, unless the user accepts the difference and
    states a reason.
    """
    folder, _, _ = waiting
    request_paths = request_on_computer(folder, folder.parent / "other", names=False)
    before = snapshot(folder, but_lock=True)
    received = receive_requests(folder, *request_paths)
    assert received.exit_status == 1
    assert {request.action for request in received.requests} == {"refused"}
    assert {f.code for f in received.findings if f.severity == "error"} == {"request-names-missing"}
    assert snapshot(folder, but_lock=True) == before
    reasons = {"request-names-missing": "the CA adds them"}
    received = receive_requests(folder, *request_paths, accept=reasons)
    assert received.exit_status == 0
    assert {request.action for request in received.requests} == {"taken"}
    log = open_requests(folder).manifest.log
    assert "the CA adds them" in log[-1].about


def test_different_key_size_is_always_rejected(waiting):
    """A request with a different key size is always rejected, because its certificate would be
    rejected too.
    """
    folder, _, _ = waiting
    request_paths = request_on_computer(folder, folder.parent / "other", bits="3072")
    received = receive_requests(folder, request_paths[0])
    assert "request-key-differs" in {finding.code for finding in received.findings}
    assert received.requests[0].action == "refused"
    with pytest.raises(BundleError, match="cannot be accepted"):
        receive_requests(folder, request_paths[0], accept={"request-key-differs": "why not"})


def test_one_key_for_two_requests_is_refused(waiting):
    """If two requests have the same key, lyncnb reports the second request as an error."""
    folder, plan, _ = waiting
    key = rsa.generate_private_key(65537, 2048)
    actions, codes = [], []
    for planned_one in plan.certificates:
        content = build_request_content(planned_one)
        path = folder.parent / f"{planned_one.id}.req"
        path.write_bytes(build_request(content, key).pem)
        received = receive_requests(folder, path)
        actions.append(received.requests[0].action)
        codes.append({finding.code for finding in received.findings})
    assert actions == ["taken", "refused"]
    assert ["request-key-known" in reported for reported in codes] == [False, True]


def test_a_request_that_was_changed_is_refused(waiting):
    """A request whose signature does not match its key is rejected."""
    folder, _, request_paths = waiting
    lines = request_paths[0].read_text().splitlines()
    lines[-2] = "AAAA" + lines[-2][4:]
    request_paths[0].write_text("\n".join(lines))
    received = receive_requests(folder, request_paths[0])
    assert "request-signature-wrong" in {finding.code for finding in received.findings}


def test_second_request_for_a_certificate_is_rejected(waiting):
    """lyncnb rejects a second request for the same certificate, and a request for a certificate
    whose key is in the folder.
    """
    folder, plan, request_paths = waiting
    receive_requests(folder, *request_paths)
    second_paths = request_on_computer(folder, folder.parent / "again")
    received = receive_requests(folder, *second_paths)
    assert {finding.code for finding in received.findings if finding.severity == "error"} == {
        "request-superseding"
    }
    other_folder = folder.parent / "here"
    write_requests(plan, other_folder, passphrase=PASSPHRASE, findings=(), making=Making(workers=1))
    received = receive_requests(other_folder, *second_paths)
    assert {request.action for request in received.requests} == {"refused"}


def test_a_key_has_only_one_request(waiting):
    """lyncnb accepts only one certificate request for each key. Importing the same request again
    has no effect.
    """
    folder, _, request_paths = waiting
    receive_requests(folder, request_paths[0])
    copied = request_paths[1].with_name(request_paths[0].name)
    content = request_paths[0].read_bytes()
    request_paths[1].write_bytes(content)
    # The same request can be imported again.
    assert receive_requests(folder, request_paths[1]).requests[0].action == "kept"
    assert copied.exists()


@pytest.mark.parametrize("name", ["renamed.req", "x-g7.req"])
def test_renamed_request_file_is_matched_by_its_content(waiting, name):
    """If the file of a request was renamed, lyncnb matches the request by its content, provided
    that only one planned certificate matches.
    """
    folder, _, request_paths = waiting
    shutil.copy(request_paths[0], request_paths[0].with_name(name))
    (request,) = receive_requests(folder, request_paths[0].with_name(name)).requests
    assert (request.request_id, request.action) == (request_paths[0].stem, "taken")


def test_request_for_no_planned_certificate_is_unknown(waiting):
    """lyncnb reports a request that matches no planned certificate, and does not store it."""
    folder, _, request_paths = waiting
    receive_requests(folder, *request_paths)
    other = request_on_computer(folder, folder.parent / "other", names=False)[0]
    (request,) = receive_requests(folder, other.rename(other.with_name("other.req"))).requests
    assert (request.request_id, request.action) == ("", "refused")
    assert [finding.code for finding in request.findings] == ["request-unknown"]


def test_the_argument_request_or_plan_says_which_computer_has_the_key(waiting, tmp_path):
    """lyncnb takes the computer that has the key from the argument, from a request that Microsoft's
    tools created, or from the plan, in this order.
    """
    folder, plan, request_paths = waiting
    add_computer_name(request_paths[0], "TOOLS02")
    add_computer_name(request_paths[1], "no name\nat all")
    received = receive_requests(folder, *request_paths)
    assert [request.key_holder for request in received.requests] == ["TOOLS02", TOOLS]
    scripts_of(plan, tmp_path / "second")
    holders = {record.key_holder for record in open_requests(tmp_path / "second").requests}
    assert holders == {SOME_COMPUTER}
    received = receive_requests(
        tmp_path / "second", request_paths[0], computer="tools03.contoso.com"
    )
    assert received.requests[0].key_holder == "tools03.contoso.com"
    with pytest.raises(OptionsError, match="not a valid computer name"):
        receive_requests(tmp_path / "second", request_paths[1], computer="two words")


def test_files_without_a_request_change_nothing(waiting):
    """If some of the specified files contain no request, one error lists them, and the request
    folder does not change.

    If a folder contains requests and a private key, lyncnb receives the requests, and a finding
    reports the key.
    """
    folder, _, request_paths = waiting
    before = snapshot(folder, but_lock=True)
    (request_paths[0].with_name("empty.req")).write_bytes(b"")
    (request_paths[0].with_name("words.req")).write_text("nothing\n")
    with pytest.raises(ReturnedFileError) as refused:
        receive_requests(
            folder, request_paths[0], *sorted(request_paths[0].parent.glob("[ew]*.req"))
        )
    assert [problem.file for problem in refused.value.problems] == ["empty.req", "words.req"]
    assert "neither a certificate nor a request" in refused.value.problems[1].message
    assert snapshot(folder, but_lock=True) == before
    received = receive_requests(folder, request_paths[0].parent)
    assert {request.action for request in received.requests} == {"taken"}
    assert "private-key-in-file" in {finding.code for finding in received.findings}
    with pytest.raises(ReturnedFileError, match="no such file"):
        receive_requests(folder, folder / "nowhere")


# The following tests change the plan, or use a folder in which only some keys are on servers.


def test_changed_plan_needs_a_new_request_on_the_server(waiting):
    """If the plan changes, the request gets a new generation on the same server, with a new script
    and a new file name.
    """
    folder, _, request_paths = waiting
    receive_requests(folder, *request_paths)
    changed = planned(organization="Contoso")
    with pytest.raises(BundleError, match="needs attention") as refused:
        write_requests(
            changed, folder, passphrase=PASSPHRASE, findings=(), making=Making(workers=1)
        )
    assert TOOLS in refused.value.problems[0].message
    assert "--request-on-server" in refused.value.problems[0].hint
    bundle = scripts_of(changed, folder, computer=TOOLS)
    assert bundle.counts() == {"renewed": 2}
    assert sorted(find_request_id(path.stem) for path in (folder / "archive").iterdir()) == sorted(
        path.stem for path in request_paths
    )
    second_paths = request_on_computer(folder, folder.parent / "again")
    assert [path.stem for path in second_paths] == [f"{path.stem}-g2" for path in request_paths]
    assert {request.action for request in receive_requests(folder, *second_paths).requests} == {
        "taken"
    }
    assert not folder_status(folder).needs_attention
    # If the old request is imported again, it is rejected, because its key is already known.
    received = receive_requests(folder, request_paths[0])
    assert received.requests[0].action == "refused"


def test_a_plan_that_changed_before_anything_was_made_needs_new_scripts(waiting):
    """If the plan changes before the servers create the requests, the request command fails until
    the scripts are written again.
    """
    folder, _, _ = waiting
    with pytest.raises(BundleError, match="needs attention"):
        write_requests(planned(organization="Contoso"), folder, passphrase=PASSPHRASE, findings=())
    scripts_of(planned(organization="Contoso"), folder)
    record = open_requests(folder).requests[0]
    assert (record.generation, record.plan.subject["O"]) == (1, "Contoso")


def test_both_routes_in_one_folder(tmp_path):
    """A request folder can contain both keys that lyncnb created and requests for keys that servers
    created.
    """
    plan, folder = planned("contoso.csv"), tmp_path / "folder"
    scripts_of(plan, folder)
    bundle = write_requests(
        plan, folder, passphrase=PASSPHRASE, findings=(), making=Making(workers=1)
    )
    without = {item.id for item in plan.certificates if not item.usages}
    assert bundle.counts() == {"kept": len(plan.certificates) - len(without), "created": 2}
    assert {find_request_id(path.stem) for path in (folder / "keys").iterdir()} == without
    before = snapshot(folder, but_lock=True)
    write_requests(plan, folder, passphrase=PASSPHRASE, findings=(), making=Making(workers=1))
    request_elsewhere(plan, folder, findings=())
    assert snapshot(folder, but_lock=True) == before
    assert rekey(folder, PASSPHRASE, "another good passphrase").changed == 2


def test_command_determines_where_a_renewed_key_is_created(waiting):
    """If you renew a certificate by name, the command that you use determines whether lyncnb or the
    server creates the key.
    """
    folder, plan, request_paths = waiting
    receive_requests(folder, *request_paths)
    name = request_paths[0].stem
    bundle = write_requests(
        plan,
        folder,
        passphrase=PASSPHRASE,
        findings=(),
        making=Making(workers=1),
        renew=[name],
        reason="moved",
    )
    record = bundle.manifest.by_id[name]
    assert (record.generation, record.key_holder, record.has_key) == (2, "", True)
    request_elsewhere(plan, folder, findings=(), renew=[name], reason="back", computer=TOOLS)
    record = open_requests(folder).manifest.by_id[name]
    assert (record.generation, record.key_holder, record.is_written) == (3, TOOLS, False)
    # lyncnb created the key in the folder.
    assert len(list((folder / "archive").glob("*.key"))) == 1


def test_no_script_is_written_for_a_key_in_the_folder(tmp_path):
    """If the key of a request is in the folder, lyncnb writes no script for this request. It also
    rejects a changed plan.
    """
    plan = make_plan()
    folder = make_folder(tmp_path / "folder", plan).folder
    before = snapshot(folder, but_lock=True)
    bundle = request_elsewhere(plan, folder, findings=(), today=TODAY)
    assert set(bundle.counts()) == {"kept"}
    assert snapshot(folder, but_lock=True) == before
    steps = request_scripts(plan, bundle)
    assert steps.servers == ()
    assert {entry.why for entry in steps.missing} == {"the request folder already contains the key"}
    with pytest.raises(BundleError, match="needs attention") as refused:
        request_elsewhere(make_plan(organization="Fabrikam"), folder, findings=())
    assert "lyncnb request TOPOLOGY FOLDER" in refused.value.problems[0].hint


def test_keys_of_an_interrupted_run_are_for_the_command_that_made_them(tmp_path):
    """Only the command that created the keys of an interrupted run can continue with them, because
    checking that a key and a CSR match requires the passphrase.
    """
    plan = make_plan()
    folder = make_folder(tmp_path / "folder", plan).folder
    document = read_document(folder)
    document["requests"][0] |= {"csr_sha256": "", "spki_sha256": "", "key_sha256": ""}
    put_back(folder, document)
    with pytest.raises(BundleError, match="interrupted"):
        request_elsewhere(plan, folder, findings=())


# In the following tests, files are missing.


def test_missing_csr_is_restored_by_importing_it_again(waiting):
    """If a CSR file is missing, the status command explains what to do, and importing the request
    again restores the file.
    """
    folder, _, request_paths = waiting
    receive_requests(folder, *request_paths)
    csr_path(folder, request_paths[0].stem).unlink()
    (problem,) = folder_status(folder).problems
    assert "receive FOLDER --request" in problem.hint
    assert receive_requests(folder, request_paths[0]).requests[0].action == "kept"
    assert not folder_status(folder).needs_attention


def test_a_lost_manifest_finds_requests_that_name_their_computer(waiting):
    """The --rebuild option accepts a CSR without a key if the CSR contains the name of its
    computer.

    Otherwise the CSR is reported.
    """
    folder, plan, request_paths = waiting
    add_computer_name(request_paths[0], "TOOLS02")
    receive_requests(folder, *request_paths)
    # While the manifest exists, rebuilding it reports no missing file.
    assert rebuild_manifest(folder, None).notes == ()
    lose_record(folder)
    bundle = rebuild_manifest(folder, None)
    (record,) = bundle.requests
    assert (record.id, record.key_holder, record.state) == (
        request_paths[0].stem,
        "TOOLS02",
        "waiting",
    )
    assert any(request_paths[1].stem in note and "--request" in note for note in bundle.notes)
    csr_path(folder, request_paths[1].stem).rename(folder.parent / request_paths[1].name)
    request_elsewhere(plan, folder, findings=(), computer=TOOLS)
    receive_requests(folder, folder.parent / request_paths[1].name)
    records = open_requests(folder).requests
    assert {(r.state, r.generation) for r in records} == {("waiting", 1)}
    make_folder(folder.parent / "keys here")
    with pytest.raises(PassphraseError):
        rebuild_manifest(folder.parent / "keys here", None)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_interrupted_import_loses_nothing(waiting, tmp_path, error):
    """If a system call fails or ends the process during an import, repeating the command imports
    the remaining requests.
    """
    folder, _, request_paths = waiting
    with fail_one_call(None, lambda _: error, _CALLS) as counted:
        shutil.copytree(folder, tmp_path / "whole")
        receive_requests(tmp_path / "whole", *request_paths, today=TODAY)
    expected = open_requests(tmp_path / "whole").requests
    for number in range(counted.count):
        folder_copy = tmp_path / f"killed{number}"
        shutil.copytree(folder, folder_copy)
        with (
            fail_one_call(number, lambda _: error, _CALLS) as calls,
            suppress(BundleError, KeyboardInterrupt),
        ):
            receive_requests(folder_copy, *request_paths, today=TODAY)
        received = receive_requests(folder_copy, *request_paths, today=TODAY)
        assert {request.action for request in received.requests} <= {"taken", "kept"}, calls.failed
        assert open_requests(folder_copy).requests == expected, calls.failed
        assert not folder_status(folder_copy).needs_attention, calls.failed
        assert list(folder_copy.rglob("*.req")) == []


def test_another_command_records_a_csr_of_an_interrupted_run(waiting):
    """If an interrupted run wrote a CSR without recording it, the next run of another command
    records it.
    """
    folder, plan, request_paths = waiting
    shutil.copytree(folder, folder.parent / "whole")
    receive_requests(folder.parent / "whole", *request_paths)
    path = csr_path(folder.parent / "whole", request_paths[0].stem)
    shutil.copy(path, folder / "csr")
    bundle = request_elsewhere(plan, folder, findings=(), computer=TOOLS)
    assert bundle.counts() == {"adopted": 1, "kept": 1}
    record = bundle.manifest.by_id[request_paths[0].stem]
    assert (record.state, record.key_holder) == ("waiting", TOOLS)
    assert receive_requests(folder, *request_paths).requests[0].action == "kept"


# The following tests use the command line.


OPTIONS = '[subject]\norganization = "Litware"\ncountry = "TW"\n'


def test_renewal_writes_scripts_from_the_plan_in_the_folder(shell, monkeypatch):
    """The renewal that the status prints writes scripts with every option of the plan, for these
    requests alone, and needs no passphrase.
    """
    monkeypatch.delenv("LYNCNB_PASSPHRASE", raising=False)
    (shell.folder / "t.csv").write_bytes((DATA / "single-server.csv").read_bytes())
    (shell.folder / "own.toml").write_text(OPTIONS)
    ready = ("steps", "t.csv", "--request-on-server", "--options", "own.toml", "-o", "folder")
    assert shell(*ready, "--computer", TOOLS).status == 0
    folder = shell.folder / "folder"
    scripts = request_on_computer(folder, shell.folder / "tools01")
    receive_requests(folder, *scripts, today=TODAY)
    root = make_root(shell.folder / "ca")
    for path in sorted((folder / "csr").glob("*.csr")):
        root.sign(path, shell.folder / "back" / f"{path.stem}.pem")
    (shell.folder / "back" / "root.pem").write_bytes(root.pem)
    assert receive(folder, shell.folder / "back").exit_status == 0
    expiry = min(row.usable_until for row in folder_status(folder).shown)
    day = date.fromisoformat(expiry[:10]) - timedelta(days=5)
    (step, *_) = folder_status(folder, today=day).next_steps
    command = step.rpartition(": lyncnb ")[2]
    assert command == f"renew {folder} --due --reason TEXT"
    first, second = (record.id for record in open_requests(folder).requests)
    result = shell("renew", "folder", first, "--reason", "yearly renewal")
    assert result.status == 0, result.err
    assert 'renewed, generation 2 (reason: "yearly renewal")' in result.out
    assert "steps" in result.out
    (script,) = (folder / "steps").glob("*.ps1")
    text = script.read_text("utf-8-sig")
    assert first in script.name
    assert second not in text
    assert "-Organization 'Litware'" in text
    assert "-Country 'TW'" in text
    assert f"{first}-g2-" in text


def test_request_on_server_says_what_it_replaces(shell):
    """If the command runs again without the options, it names each request that it replaces, and
    each field that changes.
    """
    (shell.folder / "t.csv").write_bytes((DATA / "single-server.csv").read_bytes())
    (shell.folder / "own.toml").write_text(OPTIONS)
    ready = ("steps", "t.csv", "--request-on-server", "-o", "folder")
    assert shell(*ready, "--options", "own.toml").status == 0
    folder = shell.folder / "folder"
    receive_requests(folder, *request_on_computer(folder, shell.folder / "tools01"), today=TODAY)
    result = shell(*ready)
    assert result.status == 0
    assert "2 requests renewed, generation 2" in result.out
    assert "Litware" in result.out
    assert json.loads(shell(*ready, "--json").out)["changes"]


def test_command_line_imports_requests(shell):
    """Each command for requests from servers exits with the documented status, and asks no
    questions.
    """
    table = DATA / "single-server.csv"
    ready = ("steps", table, "--request-on-server", "-o", "folder")
    assert shell(*ready, "--computer", TOOLS, "--template", "LyncWeb").status == 0
    folder = shell.folder / "folder"
    text = "".join(path.read_text("utf-8-sig") for path in (folder / "steps").glob("*.ps1"))
    assert "-Template 'LyncWeb'" in text
    request_paths = request_on_computer(folder, shell.folder / "tools01")
    options = [word for path in request_paths for word in ("--request", path)]
    result = shell("receive", "folder", *options, "--json")
    assert (result.status, json.loads(result.out)["format"]) == (0, "lyncnb-received-requests/1")
    assert shell("receive", "folder", "one.cer", "--request", request_paths[0]).status == 2
    assert shell("receive", "folder", "--computer", TOOLS).status == 2
    assert shell("steps", "folder", "--template", "LyncWeb").status == 2
    assert shell("pfx", "folder").status == 1  # The CA has not returned a certificate yet.
    assert shell("status", "folder").status == 0
    assert shell("status", "folder", "--rebuild").status == 0
    assert shell(*ready, "--template", "a'b").status == 2
    assert shell(*ready, "--computer", "two words").status == 2
    assert shell(*ready, "--reason", "why").status == 2
