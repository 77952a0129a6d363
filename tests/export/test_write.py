"""If a plan is written to a request folder again, lyncnb creates, keeps, renews, retires or rejects
each request.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import folders as kit
import pytest
from folder_writer import Writers
from folders import (
    PASSPHRASE,
    archived_files,
    assert_complete,
    certificate,
    csr_path,
    issued_record,
    key_path,
    lose_record,
    plan_of,
    plan_of_servers,
    public_keys_of_keys,
    public_keys_of_requests,
    snapshot,
    with_extra_names,
    write,
)

from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.base.disk import files
from lyncnb.base.disk.folder_lock import lock_folder
from lyncnb.errors import BundleError, OptionsError, PassphraseError, PlanError, PlanRejected
from lyncnb.export import run_preview
from lyncnb.pki import passphrase
from lyncnb.pki.passphrase import MIN_CHARACTERS, Secret
from lyncnb.plan.options import PlanOptions
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.manifest import read_manifest, save_manifest
from lyncnb.request_folder.request_record import Acceptance
from lyncnb.rules.findings import Finding

pytestmark = pytest.mark.usefixtures("quick_cipher")

ERROR = Finding(
    code="subject-name-too-long",
    severity="error",
    about="x",
    message="the subject name has 70 characters",
    hint="choose a shorter name",
    source="RFC 5280",
)


@pytest.fixture
def folder(tmp_path):
    """Return the path of a folder that does not exist yet."""
    return tmp_path / "requests"


# The following tests write a request folder more than once.


def test_new_folder_contains_all_files(folder):
    """A new request folder contains keys, CSRs, a manifest and a summary, with the required
    permissions.
    """
    plan = plan_of_servers(3)
    bundle = write(plan, folder)
    assert bundle.counts() == {"created": 3}
    assert sorted(os.listdir(folder)) == [
        ".gitignore", ".summary.json", "csr", "keys", "lyncnb.lock", "manifest.json", "plan.json",
        "record", "summary.csv", "summary.html", "summary.md", "summary.xlsx",
    ]  # fmt: skip
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "manifest.json").stat().st_mode) == 0o600
    assert_complete(folder, plan)
    for record in bundle.requests:
        assert record.state == "waiting"
        assert record.written_at == "2026-11-24T00:00:00Z"
        assert record.plan.san == record.plan.servers
    assert open_requests(folder).manifest == bundle.manifest


def test_the_manifest_holds_no_secret(folder):
    """The manifest and the summary contain neither the passphrase nor any part of a private key."""
    write(plan_of_servers(1), folder)
    for path in [*(folder / "record").iterdir(), *folder.glob("summary.*")]:
        text = path.read_bytes()
        assert PASSPHRASE.encode() not in text
        assert b"PRIVATE KEY" not in text


def test_the_same_plan_again_changes_no_byte_and_no_time(folder):
    """Writing the same plan a hundred times changes no file and no time stamp, not even for the
    lock file.
    """
    plan = plan_of_servers(5)
    write(plan, folder)
    write(with_extra_names(plan, 0, "sip.contoso.com"), folder)
    plan = with_extra_names(plan, 0, "sip.contoso.com")
    before = snapshot(folder)
    for _ in range(3):
        bundle = write(plan, folder, today=date(2027, 1, 1))
        assert bundle.counts() == {"kept": 5}
    assert snapshot(folder) == before


def test_rows_in_another_order_change_no_key(folder):
    """If only the order of the rows changes, the manifest and the summary are written again, and no
    key changes.
    """
    plan = plan_of_servers(4)
    write(plan, folder)
    before = snapshot(folder / "keys") | snapshot(folder / "csr")
    assert write(plan_of(*plan.certificates[::-1]), folder).counts() == {"kept": 4}
    assert snapshot(folder / "keys") | snapshot(folder / "csr") == before


def test_unchanged_folder_can_be_on_a_read_only_disk(folder, monkeypatch):
    """A run without changes calls no function that writes, so the folder can be on a read-only
    disk.
    """
    plan = plan_of_servers(2)
    write(plan, folder)
    for name in ("write", "mkdir", "link", "rename", "replace", "unlink", "chmod", "fsync"):
        monkeypatch.setattr(f"lyncnb.base.disk.system_calls.{name}", None)
    assert write(plan, folder).counts() == {"kept": 2}


def test_the_summary_follows_the_planned_issue_date(folder):
    """If the planned issue date changes, the cover of the summary is updated, and no request
    changes.
    """
    plan = plan_of_servers(2)
    write(plan, folder)
    dated = replace(plan, options=replace(plan.options, planned_issue_date=date(2026, 12, 24)))
    assert write(dated, folder).counts() == {"kept": 2}
    assert "2026-12-24" in (folder / "summary.html").read_text("utf-8")
    assert write(plan, folder).counts() == {"kept": 2}
    assert "2026-12-24" not in (folder / "summary.html").read_text("utf-8")


def plan_with_issue_date(count, day):
    """Return a plan for some servers with a planned issue date."""
    plan = plan_of_servers(count)
    return replace(plan, options=replace(plan.options, planned_issue_date=day))


def test_past_planned_issue_date_is_rejected(folder):
    """If the planned issue date has passed, new requests are rejected with a hint.

    Existing ones stay, and a reason for accepting it is recorded.
    """
    day, later = date(2027, 1, 28), date(2027, 6, 14)
    with pytest.raises(PlanRejected, match="planned-issue-date-passed") as refused:
        write(plan_with_issue_date(2, day), folder, today=later)
    assert "planned_issue_date is 2027-01-28" in refused.value.problems[0].message
    assert "set planned_issue_date in plan.toml to 2027-06-14" in refused.value.problems[0].hint
    assert not (folder / "manifest.json").exists()
    write(plan_with_issue_date(2, day), folder, today=day)
    assert write(plan_with_issue_date(2, day), folder, today=later).counts() == {"kept": 2}
    assert write(plan_with_issue_date(1, day), folder, today=later).counts() == {
        "kept": 1,
        "retired": 1,
    }
    first = plan_with_issue_date(1, day).certificates[0].id
    for count, order in ((3, {}), (2, {"renew": [first], "reason": "lost"})):
        with pytest.raises(PlanRejected, match="planned-issue-date-passed"):
            write(plan_with_issue_date(count, day), folder, today=later, **order)
    accept = {"planned-issue-date-passed": "the CA waits for it"}
    write(plan_with_issue_date(3, day), folder, today=later, accept=accept)
    (accepted,) = read_manifest(folder).accepted
    assert {accepted.code: accepted.reason} == accept


def test_requested_validity_depends_on_the_issuer(folder):
    """The manifest records the requested validity period of each certificate, so that the receive
    command can compare it with the actual one.
    """
    plan = kit.make_plan(validity={"internal": 365, "public": 90})
    records = write(plan, folder).requests
    assert {(record.plan.issuer, record.validity_days) for record in records} == {
        ("internal", 365), ("public", 90),
    }  # fmt: skip
    saved = json.loads((folder / "plan.json").read_bytes())
    assert saved["options"]["validity"] == {"internal": 365, "public": 90}


def test_requests_are_evaluated_on_the_date_of_their_creation(folder):
    """Requests are evaluated with the rules of the planned issue date, or with the current rules if
    that date has passed.
    """
    plan = kit.make_plan(planned_issue_date=date(2027, 1, 28), validity_days=150)
    reason = "the test's own"
    accept = {"planned-issue-date-passed": reason, "oauth-key-too-small": reason}
    for today, day in ((date(2027, 1, 2), "2027-01-28"), (date(2027, 6, 14), "2027-06-14")):
        write(plan, folder, today=today, accept=accept, findings=None)
        saved = json.loads((folder / "plan.json").read_bytes())
        assert saved["judged_on"] == day
        codes = {finding["code"] for finding in saved["findings"]}
        assert ("validity-asked-over-limit" in codes) == (day == "2027-06-14")


def test_missing_or_edited_summary_is_written_again(folder):
    """If the summary is missing or was edited, a run writes it again, and the requests do not
    change.
    """
    plan = plan_of_servers(2)
    write(plan, folder)
    good = (folder / "summary.csv").read_bytes()
    (folder / "summary.html").unlink()
    (folder / "summary.csv").write_bytes(b"edited")
    before = snapshot(folder / "keys") | snapshot(folder / "csr")
    assert write(plan, folder).counts() == {"kept": 2}
    assert (folder / "summary.csv").read_bytes() == good
    assert (folder / "summary.html").exists()
    assert snapshot(folder / "keys") | snapshot(folder / "csr") == before


def test_rsa_keys_are_written_too(folder):
    """With RSA keys, which are the default, lyncnb creates a complete request folder."""
    plan = plan_of_servers(2, key=KeyParameters())
    assert write(plan, folder).counts() == {"created": 2}
    assert_complete(folder, plan)


def test_missing_parent_folders_are_created(tmp_path):
    """lyncnb creates the missing parent folders of a request folder."""
    write(plan_of_servers(1), tmp_path / "a" / "b" / "requests")
    assert stat.S_IMODE((tmp_path / "a" / "b" / "requests").stat().st_mode) == 0o700


# In the following tests, requests are changed, renewed and retired.


def test_a_changed_plan_renews_exactly_the_requests_concerned(folder):
    """If the plan changes, lyncnb renews only the affected requests.

    The old pair is archived, and the reason names the field.
    """
    plan = plan_of_servers(3)
    first = write(plan, folder)
    name = plan.certificates[1].id
    old = {p.name: p.read_bytes() for p in (csr_path(folder, name), key_path(folder, name))}
    seen = public_keys_of_requests(folder)
    others = {p.name: p.read_bytes() for p in folder.rglob("*.key") if p.name not in old}
    changed = with_extra_names(plan, 1, "lyncdiscover.contoso.com")
    bundle = write(changed, folder)
    assert [(c.action, c.reasons) for c in bundle.changes] == [
        ("kept", ()),
        ("renewed", ("san: + lyncdiscover.contoso.com",)),
        ("kept", ()),
    ]
    assert {p.name: p.read_bytes() for p in archived_files(folder, name)} == old
    assert {p: others[p] for p in others} == {
        p.name: p.read_bytes() for p in folder.glob("keys/*.key") if p.name in others
    }
    record = bundle.manifest.by_id[name]
    assert record.generation == 2
    assert record.archived[0].spki_sha256 == first.manifest.by_id[name].spki_sha256
    assert_complete(folder, changed, seen)
    assert stat.S_IMODE((folder / "archive").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"key": KeyParameters(algorithm="ECDSA", bits=384)}, "key: ECDSA 256 -> ECDSA 384"),
        ({"digest": "sha384"}, "hash: sha256 -> sha384"),
        ({"organization": "Fabrikam"}, "subject O: Contoso -> Fabrikam"),
    ],
)
def test_each_field_of_a_request_can_cause_a_renewal(folder, changes, reason):
    """If the planned key type, hash algorithm or subject changes, lyncnb renews the request, and
    the reason contains the old and the new value.
    """
    write(plan_of(certificate(1)), folder)
    bundle = write(plan_of(certificate(1, **changes)), folder)
    assert (bundle.changes[0].action, bundle.changes[0].reasons) == ("renewed", (reason,))


def test_a_changed_order_of_names_renews_the_request(folder):
    """If the order of the names in the SAN changes, lyncnb renews the request."""
    names = ("a.contoso.com", "b.contoso.com")
    write(plan_of(certificate(1, extra=names)), folder)
    bundle = write(plan_of(certificate(1, extra=names[::-1])), folder)
    assert bundle.changes[0].action == "renewed"
    assert bundle.changes[0].reasons[0].startswith("san order")


def test_an_edited_record_does_not_renew(folder):
    """If the record of a request in the manifest was edited manually, it is corrected from the CSR,
    and the request is not renewed.
    """
    plan = plan_of_servers(1)
    manifest = write(plan, folder).manifest
    record = manifest.requests[0]
    edited = replace(record, plan=replace(record.plan, san=("other.contoso.com",)))
    save_manifest(folder, manifest.with_records([edited]))
    assert write(plan, folder).counts() == {"kept": 1}
    assert read_manifest(folder) == manifest


def test_renew_creates_another_generation_with_its_reason(folder):
    """The option --renew creates another generation with the given reason, but only for requests
    whose ids begin with the given characters.
    """
    plan = plan_of_servers(2)
    write(plan, folder)
    seen = public_keys_of_requests(folder)
    bundle = write(plan, folder, renew=["Mediation-med00001"], reason="key leaked")
    assert [(c.action, c.generation, c.reasons) for c in bundle.changes] == [
        ("kept", 1, ()),
        ("renewed", 2, ('reason: "key leaked"',)),
    ]
    second_bundle = write(plan, folder, renew=["Mediation-med00001"], reason="and again")
    assert second_bundle.changes[1].generation == 3
    assert len(list((folder / "archive").iterdir())) == 4
    assert_complete(folder, plan, seen)


def test_renew_needs_a_reason(folder):
    """The renewal of a request without a reason is rejected."""
    with pytest.raises(OptionsError, match="needs a reason") as missing:
        write(plan_of_servers(1), folder, renew=["Mediation-med00000"])
    assert 'in Python: reason="TEXT"' in missing.value.hint
    assert not folder.exists()


def test_retired_request_is_adopted_when_it_is_planned_again(folder):
    """If a request is removed from the plan, lyncnb keeps its key. If the request is planned again,
    lyncnb uses the same key and CSR.
    """
    plan = plan_of_servers(2)
    write(plan, folder)
    before = snapshot(folder / "keys") | snapshot(folder / "csr")
    retired = write(plan_of(plan.certificates[0]), folder)
    assert retired.counts() == {"kept": 1, "retired": 1}
    assert [r.state for r in retired.requests] == ["waiting", "retired"]
    adopted = write(plan, folder)
    assert adopted.counts() == {"kept": 1, "adopted": 1}
    assert adopted.requests[1].state == "waiting"
    assert snapshot(folder / "keys") | snapshot(folder / "csr") == before


def test_a_certificate_stays_with_its_request_through_runs(folder):
    """When the plan is written again, the recorded certificate of a request is kept. When the
    request is renewed, its certificate is archived.
    """
    plan = plan_of_servers(1)
    manifest = write(plan, folder).manifest
    issued = manifest.requests[0].with_issued_certificate(
        issued_record(), at="2026-12-01T00:00:00Z"
    )
    save_manifest(folder, manifest.with_records([issued]))
    write(plan, folder)  # This run adds the issued certificate to the summary.
    before = snapshot(folder)
    assert write(plan, folder).requests[0].state == "issued"
    assert snapshot(folder) == before
    renewed = write(plan, folder, renew=[issued.id], reason="x").requests[0]
    assert (renewed.state, renewed.issued) == ("waiting", None)
    assert renewed.archived[0].issued == issued_record()


# The following tests use --dry-run.


def test_dry_run_reports_everything_and_creates_no_folder(folder):
    """With --dry-run, a run reports every change without a passphrase, and creates neither the
    folder nor a lock.
    """
    bundle = write(plan_of_servers(2), folder, passphrase=None, dry_run=True)
    assert bundle.counts() == {"created": 2}
    assert bundle.dry_run
    assert bundle.notes == ("generating 2 keys takes less than 1 s on this computer",)
    assert not folder.exists()


def test_dry_run_lists_the_same_changes_as_a_run(folder):
    """With --dry-run, a run lists the same created, kept, renewed and retired requests as a normal
    run, but changes nothing.
    """
    plan = plan_of_servers(4)
    write(plan, folder)
    changed = plan_of(
        *with_extra_names(plan, 1, "sip.contoso.com").certificates[:3], certificate(9)
    )
    arguments = {"renew": [plan.certificates[2].id], "reason": "lost laptop"}
    before = snapshot(folder)
    dry = write(changed, folder, dry_run=True, **arguments)
    assert snapshot(folder) == before
    wet = write(changed, folder, **arguments)
    assert dry.changes == wet.changes
    assert wet.counts() == {"kept": 1, "renewed": 2, "created": 1, "retired": 1}


def test_dry_run_checks_a_passphrase(folder):
    """If you pass a passphrase with --dry-run, the run checks it."""
    write(plan_of_servers(1), folder)
    with pytest.raises(PassphraseError):
        write(plan_of_servers(1), folder, passphrase="another passphrase", dry_run=True)


# In the following tests, the plan is rejected.


def test_a_plan_with_errors_is_refused(folder):
    """A plan with errors is rejected with a message for each error, and nothing is written."""
    with pytest.raises(PlanRejected, match="the plan has 1 error") as caught:
        write(plan_of_servers(1), folder, findings=[ERROR])
    assert "subject-name-too-long: the subject name has 70 characters" in str(caught.value)
    assert "subject-name-too-long=REASON" in caught.value.hint
    assert caught.value.exit_status == 1
    assert not folder.exists()


def test_accepted_errors_are_recorded_with_their_reasons(folder):
    """The manifest records each accepted error together with the reason.

    Codes without an error are left out.
    """
    bundle = write(
        plan_of_servers(1), folder, findings=[ERROR],
        accept={ERROR.code: "renamed next week", "other-code": "never occurs"},
    )  # fmt: skip
    assert bundle.manifest.accepted == (Acceptance(code=ERROR.code, reason="renamed next week"),)
    assert read_manifest(folder).accepted == bundle.manifest.accepted


def test_errors_can_be_accepted_in_the_options(folder):
    """You can accept errors in plan.toml or with an argument."""
    plan = plan_of(certificate(1), options=PlanOptions(accepted={ERROR.code: "known"}))
    bundle = write(plan, folder, findings=[ERROR])
    assert bundle.manifest.accepted[0].reason == "known"


def test_an_acceptance_needs_a_reason(folder):
    """Accepting a finding without a reason is rejected."""
    with pytest.raises(OptionsError, match="has no reason"):
        write(plan_of_servers(1), folder, findings=[ERROR], accept={ERROR.code: " "})


def test_plan_is_evaluated_if_no_findings_are_passed(folder):
    """If no findings are passed to write_requests, it evaluates the plan."""
    bundle = write(plan_of_servers(1), folder, findings=None)
    assert bundle.counts() == {"created": 1}
    too_long = certificate(1)
    name = ".".join(["a" * 30, "b" * 30, "contoso.com"])
    subject = replace(too_long.subject, common_name=name)
    with pytest.raises(PlanRejected, match="common-name-too-long"):
        write(plan_of(too_long._replace(subject=subject)), folder, findings=None)


def test_two_requests_of_one_id_are_refused(folder):
    """Two requests with the same id are rejected, because they would have the same key file."""
    with pytest.raises(PlanError, match="two requests with the id"):
        write(plan_of(certificate(1), certificate(1)), folder)
    assert not folder.exists()


# The following tests are about the passphrase.


def test_a_wrong_passphrase_changes_nothing(folder):
    """A wrong passphrase changes nothing, because the run first uses it to open an existing key."""
    plan = plan_of_servers(2)
    write(plan, folder)
    before = snapshot(folder)
    with pytest.raises(PassphraseError, match="the passphrase does not match this key") as caught:
        write(with_extra_names(plan, 0, "sip.contoso.com"), folder, passphrase="another passphrase")
    assert caught.value.exit_status == 3
    assert snapshot(folder) == before


@pytest.mark.parametrize("passphrase", [None, "", "too short", "a" * 12, "PASSWORD1234"])
def test_no_key_is_written_without_a_strong_passphrase(folder, passphrase):
    """A missing, empty, short or easily guessed passphrase is rejected, and no folder is created."""
    with pytest.raises(PassphraseError):
        write(plan_of_servers(1), folder, passphrase=passphrase)
    assert not folder.exists()


def test_name_in_the_plan_is_not_a_passphrase(folder):
    """A name in the plan is rejected as the passphrase of the request folder, because an attacker
    would try it first.
    """
    name = max(plan_of_servers(1).certificates[0].names, key=len)
    assert len(name) >= MIN_CHARACTERS
    with pytest.raises(PassphraseError, match="too easy to guess"):
        write(plan_of_servers(1), folder, passphrase=name)
    assert not folder.exists()


def test_folder_with_a_weak_passphrase_can_be_opened(folder, monkeypatch):
    """A folder of an earlier version with a weak passphrase can still be opened, and new requests
    use the same passphrase.
    """
    with monkeypatch.context() as earlier:
        earlier.setattr(passphrase, "find_weakness", lambda text, known: None)
        write(plan_of_servers(1), folder, passphrase="a" * 12)
    assert write(plan_of_servers(2), folder, passphrase="a" * 12).counts() == {
        "kept": 1,
        "created": 1,
    }


def test_passphrase_is_asked_twice_only_for_a_new_folder(folder):
    """lyncnb asks for the passphrase of a new folder twice, and for the passphrase of an existing
    folder once.

    Later it is asked once and checked on a key.
    """
    confirmations = []

    def again(text):
        return lambda: confirmations.append(text) or Secret(text)

    with pytest.raises(PassphraseError, match="the two passphrases are different"):
        write(plan_of_servers(1), folder, confirm_new=again("another passphrase"))
    assert not folder.exists()
    write(plan_of_servers(1), folder, confirm_new=again(PASSPHRASE))
    write(plan_of_servers(2), folder, confirm_new=again("never asked for"))
    assert confirmations == ["another passphrase", PASSPHRASE]


# The following tests are about missing, changed and unknown files.


def assert_refused(folder, plan, message, **arguments):
    """Check that a run rejects the folder and does not change it."""
    before = snapshot(folder)
    with pytest.raises(BundleError, match=message) as caught:
        write(plan, folder, **arguments)
    assert snapshot(folder) == before
    assert caught.value.exit_status == 3
    assert "hint:" in str(caught.value)
    return str(caught.value)


def test_missing_key_stops_the_run_until_it_is_renewed(folder):
    """If a key is missing, every run stops until the user renews the request.

    The error message names the file, and the renewal continues.
    """
    plan = plan_of_servers(2)
    write(plan, folder)
    name = plan.certificates[0].id
    path, lone = key_path(folder, name), csr_path(folder, name)
    path.unlink()
    text = assert_refused(folder, plan, "needs attention")
    assert f"keys/{path.name}: is missing" in text
    assert f"--renew {name} --reason TEXT" in text
    bundle = write(plan, folder, renew=[name], reason="key lost")
    assert bundle.counts() == {"renewed": 1, "kept": 1}
    assert [p.name for p in (folder / "archive").iterdir()] == [lone.name]
    assert bundle.requests[0].archived[0].key_sha256 == ""
    assert write(plan, folder).notes == ()


@pytest.mark.parametrize("kind", ["csr", "key"])
def test_changed_file_stops_the_run_until_it_is_renewed(folder, kind):
    """If a key or CSR file was changed, the run stops. If the user renews the request, lyncnb moves
    the changed file to the archive.
    """
    plan = plan_of_servers(2)
    write(plan, folder)
    name = plan.certificates[0].id
    path = {"csr": csr_path, "key": key_path}[kind](folder, name)
    path.write_bytes(path.read_bytes().replace(b"A", b"B", 5))
    assert_refused(folder, plan, "differs from the file that lyncnb wrote")
    changed = path.read_bytes()
    write(plan, folder, renew=[name], reason="damaged")
    assert (folder / "archive" / path.name).read_bytes() == changed
    assert write(plan, folder).counts() == {"kept": 2}


def test_key_of_another_request_is_detected(folder):
    """If two key files were swapped, lyncnb detects that the keys do not match their CSRs."""
    plan = plan_of_servers(2)
    write(plan, folder)
    first, second = sorted((folder / "keys").iterdir())
    swap = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(swap)
    assert_refused(folder, plan, "needs attention")


def test_line_endings_of_a_csr_are_ignored(folder):
    """If a Windows editor changed the line endings of a CSR file, the CSR still matches its record."""
    plan = plan_of_servers(1)
    write(plan, folder)
    path = csr_path(folder, plan.certificates[0].id)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert write(plan, folder).counts() == {"kept": 1}


def test_missing_manifest_is_reported_with_a_command(folder):
    """If a folder has keys but no manifest, the error names the command that creates the manifest."""
    plan = plan_of_servers(1)
    write(plan, folder)
    lose_record(folder)
    text = assert_refused(folder, plan, "contains keys or CSRs but no record")
    assert "lyncnb status FOLDER --rebuild" in text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"format": "lyncnb-requests/2"}', "does not read the format"),
        (b'{"format": "lyncnb-requests/9"}', "is newer than the format of this lyncnb version"),
    ],
)
def test_a_manifest_that_cannot_be_read_stops_the_run(folder, data, message):
    """If the manifest is damaged or was written by a later version of lyncnb, the run stops and
    does not overwrite the manifest.
    """
    plan = plan_of_servers(1)
    write(plan, folder)
    (folder / "manifest.json").write_bytes(data)
    assert_refused(folder, plan, message)


@pytest.mark.parametrize("name", ["csr/{}.csr", "keys/{}.key", "keys/{}-0123abcd.key"])
def test_unknown_file_is_not_overwritten(folder, name):
    """If an unknown file has the name of a planned request, the run stops and does not change the
    file.
    """
    write(plan_of_servers(1), folder)
    (folder / name.format(certificate(1).id)).write_bytes(b"somebody's")
    text = assert_refused(
        folder,
        plan_of_servers(2),
        "the name belongs to a file that lyncnb must write, but this file is not on record",
    )
    assert "--rebuild" in text


def test_unknown_file_in_the_archive_is_not_overwritten(folder):
    """If a file with the same name already exists in archive/, a renewal changes nothing."""
    plan = plan_of_servers(1)
    write(plan, folder)
    (folder / "archive").mkdir(mode=0o700)
    name = key_path(folder, plan.certificates[0].id).name
    (folder / "archive" / name).write_bytes(b"somebody's")
    assert_refused(
        folder,
        with_extra_names(plan, 0, "sip.contoso.com"),
        "belongs to a file that lyncnb must write",
    )


def test_unknown_files_are_kept_and_reported(folder):
    """lyncnb does not change unknown files in a request folder, such as Thumbs.db and notebook
    checkpoints, and reports such files in csr/ and keys/.

    In csr/ and keys/ they are reported.
    """
    plan = plan_of_servers(1)
    write(plan, folder)
    (folder / "notes.txt").write_text("mine")
    (folder / "csr" / "Thumbs.db").write_bytes(b"x")
    (folder / "keys" / ".ipynb_checkpoints").mkdir()
    (folder / "keys" / "other.key").write_bytes(b"x")
    os.symlink("/nowhere", folder / "csr" / "link.csr")
    before = snapshot(folder)
    bundle = write(plan, folder)
    assert bundle.notes == tuple(
        f"{path} was not written by lyncnb; lyncnb did not change the file"
        for path in ("csr/Thumbs.db", "csr/link.csr", "keys/.ipynb_checkpoints", "keys/other.key")
    )
    assert snapshot(folder) == before


@pytest.mark.parametrize("subfolder", ["", "keys", "csr", "archive"])
def test_a_folder_that_others_can_write_is_refused(folder, subfolder):
    """If other users can write to the request folder, it is rejected, because somebody could have
    added a key.
    """
    plan = plan_of_servers(1)
    write(plan, folder)
    write(plan, folder, renew=[plan.certificates[0].id], reason="x")
    (folder / subfolder).chmod(0o777)
    assert_refused(folder, plan, "other users can write to the folder")


def test_keys_that_others_can_read_are_refused(folder):
    """If other users can read the key folder or a key file, the run is rejected, and the message
    contains the command that restricts the permissions.
    """
    plan = plan_of_servers(1)
    write(plan, folder)
    (folder / "keys").chmod(0o750)
    assert "chmod 700" in assert_refused(folder, plan, "keys/: can be opened by other users")
    (folder / "keys").chmod(0o700)
    next((folder / "keys").iterdir()).chmod(0o640)
    assert "chmod 600" in assert_refused(folder, plan, "other users can read this file")


def test_permissions_of_an_extracted_folder_are_restricted(folder):
    """After an archive of the folder is extracted, a run restricts the file modes and reports it,
    but a dry run does not.
    """
    plan = plan_of_servers(2)
    write(plan, folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with pytest.raises(BundleError, match="needs attention"):
        write(plan, folder, dry_run=True)
    bundle = write(plan, folder)
    assert bundle.counts() == {"kept": 2}
    (note,) = bundle.notes
    assert note == (
        "other users could read keys/ and 2 keys (encrypted), for example because you extracted "
        "the folder from an archive. "
        "lyncnb changed the permissions, so that only you have access (modes 700 and 600)"
    )
    modes = {path.name: path.stat().st_mode & 0o777 for path in (folder / "keys").iterdir()}
    assert set(modes.values()) == {0o600}
    assert (folder / "keys").stat().st_mode & 0o777 == 0o700
    assert write(plan, folder).notes == ()


@pytest.mark.parametrize("name", ["keys", "csr", "lyncnb.lock", "manifest.json", "plan.json"])
def test_a_symbolic_link_in_the_way_is_refused(folder, tmp_path, name):
    """lyncnb rejects a symbolic link in the request folder, and does not read or write files
    through the link.
    """
    plan = plan_of_servers(1)
    write(plan, folder)
    os.rename(folder / name, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", folder / name)
    changed = with_extra_names(plan, 0, "sip.contoso.com")
    assert_refused(folder, changed, "symbolic link")


def test_a_key_that_is_a_symbolic_link_is_refused(folder, tmp_path):
    """If a key file is a symbolic link, it is rejected."""
    plan = plan_of_servers(1)
    write(plan, folder)
    key = next((folder / "keys").iterdir())
    os.rename(key, tmp_path / "key")
    os.symlink(tmp_path / "key", key)
    assert_refused(folder, plan, "is a symbolic link")


def test_folder_must_not_be_a_link_or_file(folder, tmp_path):
    """If the path of a request folder is a link or a file, it is rejected."""
    (tmp_path / "real").mkdir()
    os.symlink(tmp_path / "real", folder)
    with pytest.raises(BundleError, match="is a symbolic link"):
        write(plan_of_servers(1), folder)
    folder.unlink()
    folder.write_text("a file")
    with pytest.raises(BundleError, match="is a file, not a folder"):
        write(plan_of_servers(1), folder)


def test_interrupted_change_of_the_passphrase_must_be_completed(folder):
    """If a change of the passphrase was interrupted, lyncnb adds no keys until the user completes
    the change.
    """
    plan = plan_of_servers(1)
    manifest = write(plan, folder).manifest
    save_manifest(folder, replace(manifest, rekeying="2026-11-24T00:00:00Z"))
    assert "lyncnb rekey FOLDER" in assert_refused(folder, plan, "the passphrase change")


def test_copied_folder_can_be_used(folder, tmp_path):
    """If a request folder is copied, its time stamps and inodes change, but the next run reports no
    change to the requests.
    """
    plan = plan_of_servers(3)
    write(plan, folder)
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copy)
    before = snapshot(tmp_path / "copy")
    assert write(plan, tmp_path / "copy").counts() == {"kept": 3}
    assert snapshot(tmp_path / "copy") == before


def test_a_repeated_public_key_is_refused(folder, monkeypatch):
    """If a new public key equals an existing one, for example because of a faulty random number
    generator, it is rejected.
    """
    from lyncnb.pki import keys

    same = keys.generate_key(kit.P256)
    monkeypatch.setattr("lyncnb.pki.keys.generate_key", lambda parameters: same)
    with pytest.raises(BundleError, match="identical to a key that the folder already contains"):
        write(plan_of_servers(2), folder)


# The following tests are about locks, progress and cancellation.


def test_second_process_reports_who_holds_the_lock(folder):
    """If another process holds the lock, a second process waits for the requested time, then
    reports that process and changes nothing.
    """
    plan = plan_of_servers(1)
    write(plan, folder)
    with lock_folder(folder), pytest.raises(BundleError, match=f"process {os.getpid()}"):
        write(plan_of_servers(2), folder, lock_seconds=0.05)
    assert write(plan_of_servers(2), folder).counts() == {"kept": 1, "created": 1}


def test_readers_and_unchanged_runs_need_no_lock(folder):
    """The function open_requests, a dry run, and a run without changes do not need the lock that
    another process holds.
    """
    plan = plan_of_servers(1)
    write(plan, folder)
    with lock_folder(folder):
        assert len(open_requests(folder).requests) == 1
        assert write(plan, folder, lock_seconds=0).counts() == {"kept": 1}
        assert write(plan_of_servers(2), folder, dry_run=True).counts() == {"kept": 1, "created": 1}


@pytest.mark.fault
def test_two_simultaneous_writers_fifty_times(tmp_path):
    """If two processes write requests to the same folder at the same time, the second one waits and
    then adds what is missing. No key is lost.
    """
    with Writers() as writers:
        for attempt in range(50):
            folder, start = tmp_path / str(attempt), tmp_path / f"{attempt}.start"
            results = [tmp_path / f"{attempt}.{number}.json" for number in range(2)]
            counts = (4, 4 if attempt % 2 else 6)
            racers = [
                writers.start(folder=folder, count=count, start=start, result=result)
                for count, result in zip(counts, results, strict=True)
            ]
            start.touch()
            assert [writers.wait(pid) for pid in racers] == [0, 0]
            counted = [json.loads(result.read_text()) for result in results]
            assert sum(count.get("created", 0) for count in counted) == max(counts)
            seen = public_keys_of_requests(folder)
            write(plan_of_servers(6), folder)
            assert_complete(folder, plan_of_servers(6), seen)


def test_progress_counts_every_request(folder):
    """The progress callback of a run gets the count, the total, the rate, and the remaining time in
    seconds.
    """
    steps = []
    write(plan_of_servers(3), folder, progress=steps.append)
    assert [(p.done, p.total) for p in steps] == [(1, 3), (2, 3), (3, 3)]
    assert steps[-1].seconds_left == 0


def test_another_executor_creates_the_pairs(folder):
    """With any executor of the module concurrent.futures, the run writes the same folder."""
    plan = plan_of_servers(3)
    with ThreadPoolExecutor(2) as executor:
        assert write(plan, folder, executor=executor).counts() == {"created": 3}
    assert_complete(folder, plan)


def test_cancel_keeps_what_is_finished_and_the_next_run_completes(folder):
    """A canceled run reports only the requests that are complete, and the next run completes the
    folder.
    """
    plan, cancel = plan_of_servers(5), threading.Event()
    bundle = write(
        plan, folder, cancel=cancel, progress=lambda p: cancel.set() if p.done == 2 else None
    )
    assert bundle.cancelled
    assert bundle.counts() == {"created": 2}
    assert [r.state for r in bundle.requests] == ["waiting"] * 2 + ["planned"] * 3
    seen = public_keys_of_requests(folder)
    second_bundle = write(plan, folder)
    assert second_bundle.counts() == {"kept": 2, "created": 3}
    assert not second_bundle.cancelled
    assert_complete(folder, plan, seen)


@pytest.mark.parametrize("algorithm", ["RSA", "ECDSA"])
def test_ctrl_c_leaves_a_folder_that_the_next_run_completes(folder, algorithm):
    """Ctrl+C ends the run and releases the lock, and the next run completes the folder."""
    key = kit.P256 if algorithm == "ECDSA" else KeyParameters()
    plan = plan_of_servers(4, key=key)

    def interrupt(progress):
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(plan, folder, progress=interrupt)
    seen = public_keys_of_requests(folder)
    write(plan, folder, lock_seconds=0)
    assert_complete(folder, plan, seen)


def test_mismatch_during_another_run_is_checked_again(folder, monkeypatch):
    """If a run sees a mismatch while another process writes, it checks the folder again after it
    has the lock.
    """
    plan = plan_of_servers(1)
    write(plan, folder)
    real, looks = run_preview.take_survey, []

    def take_survey(path):
        looks.append(path)
        if len(looks) == 1:
            raise BundleError("a file went away meanwhile", hint="look again")
        return real(path)

    monkeypatch.setattr(run_preview, "take_survey", take_survey)
    # The process that held the lock has finished writing to the folder.
    assert write(plan, folder).counts() == {"kept": 1}
    looks.clear()
    (folder / ".lock.owner").write_text("somebody")
    # The process that holds the lock is still writing to the folder.
    assert write(plan, folder).counts() == {"kept": 1}
    assert len(looks) == 2
    assert not (folder / ".lock.owner").exists()


def test_unreadable_csr_is_renewed_if_the_plan_changed(folder):
    """If a CSR is damaged and the plan has changed, a renewal gives two reasons: lyncnb cannot read
    the request file, and the user requested the renewal.
    """
    plan = plan_of_servers(1)
    write(plan, folder)
    name = plan.certificates[0].id
    path = csr_path(folder, name)
    path.write_bytes(b"damaged")
    changed = with_extra_names(plan, 0, "sip.contoso.com")
    bundle = write(changed, folder, renew=[name], reason="damaged")
    assert bundle.changes[0].reasons == ("the request file cannot be read", 'reason: "damaged"')
    assert (folder / "archive" / path.name).read_bytes() == b"damaged"


def test_folder_that_other_users_can_open_is_reported(folder, monkeypatch):
    """If the permissions of a folder cannot be restricted, the run that creates the folder reports
    the problem once.
    """
    monkeypatch.setattr(
        "lyncnb.base.disk.windows_access.restrict_private_folder", lambda path: "not protected here"
    )
    assert write(plan_of_servers(1), folder).notes == ("not protected here",)
    assert write(plan_of_servers(1), folder).notes == ()


def test_failing_disk_is_reported_with_a_hint(folder, monkeypatch):
    """If the disk fails, the error message contains the system's error and a hint, and the next run
    completes the folder.
    """
    plan = plan_of_servers(2)
    write(plan_of(plan.certificates[0]), folder)

    def full(descriptor, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("lyncnb.base.disk.system_calls.write", full)
        with pytest.raises(BundleError, match="No space left on device") as caught:
            write(plan, folder)
    assert "Free some space" in caught.value.hint
    write(plan, folder)
    assert_complete(folder, plan)
    assert files.find_stale_files(folder) == ()
    assert public_keys_of_keys(folder) == public_keys_of_requests(folder)
