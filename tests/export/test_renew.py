"""A renewal uses the plan in the request folder, and changes only the keys and the dates."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from folders import (
    PASSPHRASE,
    TODAY,
    assert_complete,
    certify,
    csr_path,
    find_id,
    key_path,
    make_folder,
    make_plan,
    public_keys_of_requests,
    put_back,
    read_document,
    snapshot,
    write,
)
from topologies import TWO_FRONT_ENDS

from lyncnb.authorities.record_deployments import deployed
from lyncnb.authorities.status import folder_status
from lyncnb.authorities.summary_files import is_summary_current
from lyncnb.base.disk.folder_lock import lock_folder
from lyncnb.base.renewal_days import ANY_DAY
from lyncnb.checks.check_plan import check_plan
from lyncnb.errors import (
    ArgumentError,
    BundleError,
    OptionsError,
    PlanRejected,
    RequestWaits,
)
from lyncnb.export.executors import Making
from lyncnb.export.renew import renew
from lyncnb.pki import csr
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.generations import find_generations, is_due, list_certificates_to_revoke
from lyncnb.request_folder.manifest import read_manifest, save_manifest
from lyncnb.request_folder.renewals import list_renewals
from lyncnb.request_folder.request_record import build_deployments

pytestmark = pytest.mark.usefixtures("quick_cipher")

LATER = date(2027, 4, 20)
TABLE = TWO_FRONT_ENDS.encode()
# The test helpers create fast ECDSA keys, but the OAuth certificate needs an RSA key.
SMALL = "oauth-key-too-small"


def renew_again(folder, *names, today=LATER, **choices):
    """Renew requests in the folder with its passphrase and the given reason."""
    choices = {"passphrase": PASSPHRASE, "reason": "renewal", **choices}
    return renew(folder, *names, today=today, **choices)


def ids_of_changed_requests(bundle, action="renewed"):
    """Return the ids of the requests that a renewal changed."""
    return [change.id for change in bundle.changes if change.action == action]


def start_of_day(day):
    """Return the time at midnight (UTC) on the given date."""
    return datetime(*day.timetuple()[:3], tzinfo=UTC)


def edit_manifest(folder, change):
    """Edit the manifest, as another command would."""
    with lock_folder(folder, wait_seconds=1):
        save_manifest(folder, change(read_manifest(folder)))


def record_deployed(folder, name, on="2027-01-10"):
    """Record that the newest certificate of a request is deployed on all its servers."""

    def change(manifest):
        record = manifest.by_id[name]
        new = build_deployments(
            record.issued, record.plan.servers, date_text=on, recorded_at=f"{on}T00:00:00Z"
        )
        return manifest.with_records([replace(record, deployments=new)])

    edit_manifest(folder, change)


@pytest.fixture
def folder(tmp_path):
    """Return a request folder with three requests, whose certificates are valid for 180 days."""
    plan = make_plan(TABLE)
    bundle = make_folder(
        tmp_path / "requests",
        plan,
        findings=check_plan(plan, on=TODAY),
        accept={SMALL: "a test"},
    )
    certify(bundle.folder, *(request.id for request in bundle.requests), days=180)
    return bundle.folder


def test_only_keys_and_dates_change(folder):
    """After a renewal, the plan is identical, the new CSR has the same content, and the old key and
    CSR are in the archive.
    """
    name = find_id(open_requests(folder), "fe01")
    before = {path: path.read_bytes() for path in folder.glob("plan.json")}
    old = csr.parse_request(csr_path(folder, name).read_bytes())
    manifest = read_manifest(folder)
    bundle = renew_again(folder, name)
    assert ids_of_changed_requests(bundle) == [name]
    new = csr.parse_request(csr_path(folder, name).read_bytes())
    assert new.content == old.content
    assert new.spki_sha256 != old.spki_sha256
    assert old.spki_sha256 in public_keys_of_requests(folder)
    assert {path: path.read_bytes() for path in before} == before
    after = read_manifest(folder)
    record = after.by_id[name]
    assert (record.generation, record.reasons) == (2, ('reason: "renewal"',))
    assert record.plan == manifest.by_id[name].plan
    assert replace(after, requests=(), summary={}) == replace(manifest, requests=(), summary={})
    others = [request for request in after.requests if request.id != name]
    assert others == [request for request in manifest.requests if request.id != name]
    assert is_summary_current(after)
    assert_complete(folder, make_plan(TABLE))


def test_dry_run_changes_nothing(folder):
    """With --dry-run, the renew command lists the renewals, requires no passphrase, and changes
    nothing.
    """
    before = snapshot(folder)
    bundle = renew_again(folder, "*.contoso.net", passphrase=None, dry_run=True)
    assert len(ids_of_changed_requests(bundle)) == 3
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    ("names", "count"),
    [
        # The server has its own certificate and the certificate that the whole deployment shares.
        (
            ("fe01.contoso.net",),
            2,
        ),
        (("FE01",), 2),
        (("FrontEnd-fe01",), 1),
        (("FrontEnd-*",), 2),
        (("*.contoso.net",), 3),
        (("FrontEnd-fe01", "FrontEnd-fe0?*"), 2),
    ],
)
def test_names_that_select_requests(folder, names, count):
    """You can specify a request by its id, the first characters of its id, a server, or a pattern."""
    assert (
        len(ids_of_changed_requests(renew_again(folder, *names, passphrase=None, dry_run=True)))
        == count
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("FrontEnd-fe", "is a prefix of 2 request ids"),
        ("fe03.contoso.net", "has no request, server or certificate with the name"),
        ("*.fabrikam.com", "has no request, server or certificate with the name"),
        (" ", "has no request, server or certificate with the name"),
    ],
)
def test_unknown_or_ambiguous_name_is_rejected(folder, name, words):
    """If a name matches no request, or an id matches several requests, lyncnb rejects the name and
    renews nothing.
    """
    with pytest.raises(BundleError, match=words):
        renew_again(folder, name)


def test_renewal_requires_a_selection_and_a_reason(folder):
    """A renewal requires a reason, and either request names or the option that selects all requests
    that are due.
    """
    with pytest.raises(
        ArgumentError, match="specify either the requests to renew, due=True, issuer= or"
    ):
        renew_again(folder)
    with pytest.raises(ArgumentError, match="but not several of them"):
        renew_again(folder, "*", due=True)
    with pytest.raises(ArgumentError, match="do not use compromised=True together with due=True"):
        renew_again(folder, due=True, compromised=True)
    with pytest.raises(OptionsError, match="the reason is missing") as missing:
        renew_again(folder, "*", reason=" ")
    assert 'reason="' in missing.value.hint


def test_certificate_is_due_on_the_date_in_the_calendar(folder):
    """A certificate becomes due on the renewal date in the calendar, and only once."""
    renewal_dates = {
        renewal.request_id: renewal.renew_from for renewal in list_renewals(folder, today=LATER)
    }
    (day,) = set(renewal_dates.values())
    assert not ids_of_changed_requests(renew_again(folder, due=True, today=day - timedelta(days=1)))
    assert (
        "no certificate is due" in renew_again(folder, due=True, today=day - timedelta(1)).notes[0]
    )
    assert sorted(ids_of_changed_requests(renew_again(folder, due=True, today=day))) == sorted(
        renewal_dates
    )
    waiting = renew_again(folder, due=True, today=day + timedelta(days=60))
    assert (waiting.changes, len(waiting.notes)) == ((), 1)


def test_interrupted_renewal_is_completed_by_the_same_command(folder):
    """If a renewal was interrupted after it was recorded, repeating the command completes it and
    does not renew the request twice.
    """
    stop = threading.Event()
    stop.set()
    assert renew_again(folder, due=True, making=Making(cancel=stop)).cancelled
    assert len(ids_of_changed_requests(renew_again(folder, due=True))) == 3
    assert {request.generation for request in read_manifest(folder).requests} == {2}
    assert_complete(folder, make_plan(TABLE))
    assert not renew_again(folder, due=True).changes


def test_renewed_certificate_that_was_never_deployed(folder):
    """If the renewed certificate was received but never deployed, the request is due when the
    certificate in use must be renewed.
    """
    name = find_id(open_requests(folder), "fe01")
    renew_again(folder, name, today=LATER)
    certify(folder, name, today=LATER, days=30, begins=start_of_day(LATER))
    record = read_manifest(folder).by_id[name]
    assert find_generations(record).in_use.generation == 1
    assert not is_due(record, LATER + timedelta(days=10), ANY_DAY)
    assert is_due(record, LATER + timedelta(days=25), ANY_DAY)


def test_current_rules_apply_to_renewals(tmp_path):
    """Renewals use the current rules. If a certificate has an error that was not accepted, only
    this certificate is not renewed.
    """
    plan = make_plan(TABLE, planned_issue_date=date(2026, 12, 1))
    folder = make_folder(tmp_path / "requests", plan).folder
    before = snapshot(folder)
    with pytest.raises(PlanRejected, match=SMALL) as refused:
        renew_again(folder, "*.contoso.net", withdraw=True)
    assert "request TOPOLOGY FOLDER --accept" in refused.value.hint
    assert snapshot(folder) == before
    assert len(ids_of_changed_requests(renew_again(folder, "FrontEnd-*", withdraw=True))) == 2


def test_folder_without_its_plan_is_rejected(folder):
    """A request folder in an earlier format contains no plan, so the error tells you which command
    to run.
    """
    document = read_document(folder)
    document["format"] = "lyncnb-requests/2"
    for name in ("plan_json_sha256", "table"):
        del document[name]
    put_back(folder, document)
    with pytest.raises(BundleError, match="has no plan.json") as refused:
        renew_again(folder, "*")
    assert "lyncnb request TOPOLOGY FOLDER once" in refused.value.hint


def test_altered_plan_is_not_renewed(folder):
    """If the plan in the folder does not match the digest in the manifest, nothing is renewed."""
    path = folder / "plan.json"
    path.write_bytes(path.read_bytes().replace(b"fe01.contoso.net", b"fe01.contoso.org"))
    with pytest.raises(BundleError, match=r"differs from the plan on record"):
        renew_again(folder, "*")


def test_key_on_another_computer_is_renewed_there(folder):
    """If the key is on another computer, the folder waits for a new request from this computer,
    and lyncnb creates no key. Other requests get new keys as usual.
    """
    name = find_id(open_requests(folder), "fe01")

    def hold(manifest):
        record = replace(manifest.by_id[name], key_holder="fe01.contoso.net", key_sha256="")
        return manifest.with_records([replace(record, binding="")])

    edit_manifest(folder, hold)
    key_path(folder, name).unlink()
    bundle = renew_again(folder, "FrontEnd-*")
    other = find_id(open_requests(folder), "fe02")
    assert ids_of_changed_requests(bundle) == sorted([name, other])
    records = bundle.manifest.by_id
    assert (records[name].state, records[name].key_holder) == ("planned", "fe01.contoso.net")
    assert (records[other].state, records[other].key_holder) == ("waiting", "")
    assert not list((folder / "keys").glob(f"{name}*"))


# In the following test, a request is waiting for its certificate.


def test_waiting_request_is_withdrawn_only_on_request(folder):
    """lyncnb withdraws a request that waits for its certificate only if the user specifies this
    explicitly. The history records the withdrawal.
    """
    name = find_id(open_requests(folder), "fe01")
    renew_again(folder, name, reason="first")
    first = read_manifest(folder).by_id[name]
    before = snapshot(folder)
    with pytest.raises(
        RequestWaits, match="not yet issued a certificate for 1 renewal request"
    ) as refused:
        renew_again(folder, name, reason="second")
    assert refused.value.exit_status == 3
    assert 'reason: "first"' in str(refused.value)
    assert "--withdraw" in refused.value.hint
    assert snapshot(folder) == before
    renew_again(folder, name, reason="second", withdraw=True)
    record = read_manifest(folder).by_id[name]
    reasons = (
        'reason: "second"',
        f"withdrawn: the CSR of generation 2 with the SHA-256 {first.csr_sha256[:12]}…",
    )
    assert (record.generation, record.reasons, record.archived[-1].reasons) == (3, reasons, reasons)
    assert find_generations(record).in_use.generation == 1


# In the following tests, a key is compromised.


def test_a_compromised_key_is_revoked_and_replaced(folder):
    """If a key is compromised, lyncnb immediately creates a request with a new key, and tells the
    planner to revoke the certificate.
    """
    name = find_id(open_requests(folder), "fe01")
    bundle = renew_again(folder, name, compromised=True, reason="")
    record = read_manifest(folder).by_id[name]
    (revocation,) = list_certificates_to_revoke(record)
    assert (revocation.generation, revocation.serial) == (1, record.archived[0].issued.serial)
    assert (
        str(revocation)
        == f"Revoke the certificate with serial number {revocation.serial} for the reason "
        "keyCompromise (RFC 5280 section 5.3.1)"
    )
    assert (record.generation, record.revocation) == (2, None)
    assert record.reasons == ('reason: "the key is compromised"',)
    assert any(str(revocation) in note for note in bundle.notes)
    others = [request for request in read_manifest(folder).requests if request.id != name]
    assert not any(map(list_certificates_to_revoke, others))
    summary = (folder / "summary.md").read_text("utf-8").replace("\\", "")
    assert f"{revocation}." in summary
    assert "lyncnb deployed FOLDER ID --revoked" in summary


def test_the_summary_names_a_revoked_certificate_that_servers_still_have(tmp_path):
    """After the revocation is recorded, the summary says that the servers still have the revoked
    certificate. The CA must issue the next one now: the planned date of the first order does not
    apply to it.
    """
    plan = make_plan(TABLE, planned_issue_date=TODAY)
    bundle = make_folder(tmp_path / "requests", plan)
    folder = bundle.folder
    certify(folder, *(request.id for request in bundle.requests), days=180)
    name = find_id(bundle, "fe01")
    renew_again(folder, name, compromised=True)
    deployed(folder, name, revoked=True, today=LATER)
    number = read_manifest(folder).by_id[name].number
    summary = (folder / "summary.md").read_text("utf-8")
    assert (
        f"Replace certificate {number}: servers still have a revoked certificate. | now |"
        in summary
    )
    (issue,) = (line for line in summary.splitlines() if f"Issue certificate {number} as" in line)
    assert "| now |" in issue


def test_pending_new_key_is_kept(folder):
    """If a request with a new key is already waiting for its certificate, lyncnb creates no other
    request, and a note gives this reason.
    """
    name = find_id(open_requests(folder), "fe01")
    renew_again(folder, name)
    bundle = renew_again(folder, name, compromised=True)
    assert not ids_of_changed_requests(bundle)
    assert any("generation 2 already has a new key" in note for note in bundle.notes)
    record = read_manifest(folder).by_id[name]
    assert (
        record.generation,
        [revocation.generation for revocation in list_certificates_to_revoke(record)],
    ) == (
        2,
        [1],
    )
    (first,) = list_certificates_to_revoke(record)
    renew_again(folder, name, compromised=True, today=LATER + timedelta(days=1))
    assert list_certificates_to_revoke(read_manifest(folder).by_id[name]) == (first,)


def test_key_of_the_deployed_generation_is_compromised(folder):
    """After the second generation is recorded as deployed, its certificate must be revoked if the
    key is compromised.
    """
    name = find_id(open_requests(folder), "fe01")
    renew_again(folder, name)
    certify(folder, name, today=LATER, begins=start_of_day(LATER))
    record_deployed(folder, name, on="2027-04-21")
    renew_again(folder, name, compromised=True)
    record = read_manifest(folder).by_id[name]
    assert (
        record.generation,
        [revocation.generation for revocation in list_certificates_to_revoke(record)],
    ) == (
        3,
        [2],
    )


def test_waiting_request_with_a_compromised_key_is_withdrawn(tmp_path):
    """If the key of a waiting request is compromised, lyncnb withdraws the request without asking
    the user, and no certificate is revoked.
    """
    bundle = make_folder(tmp_path / "requests", make_plan(TABLE))
    name = find_id(bundle, "fe01")
    renew_again(bundle.folder, name, compromised=True)
    record = read_manifest(bundle.folder).by_id[name]
    assert (record.generation, list_certificates_to_revoke(record)) == (2, ())
    assert record.reasons[1].startswith("withdrawn: the CSR of generation 1")


def test_key_of_a_retired_request_is_compromised(folder):
    """If the key of a retired request is compromised, its valid certificate must be revoked, and no
    new request is created.
    """
    name = find_id(open_requests(folder), "fe02")
    table = TABLE.replace(b"fe02", b"fe03")
    write(make_plan(table), folder, today=LATER)
    assert read_manifest(folder).by_id[name].state == "retired"
    with pytest.raises(BundleError, match="has no request, server or certificate with the name"):
        renew_again(folder, name)
    bundle = renew_again(folder, name, compromised=True)
    assert not ids_of_changed_requests(bundle)
    assert [
        revocation.generation
        for revocation in list_certificates_to_revoke(bundle.manifest.by_id[name])
    ] == [1]
    (revocation,) = list_certificates_to_revoke(bundle.manifest.by_id[name])
    # The status and the summary name the revocation until it is recorded. Then the retired
    # request needs no more attention.
    status = folder_status(folder, today=LATER)
    assert status.exit_status == 1
    assert status.next_steps[0].startswith(
        "Ask the CA to revoke the Default certificate of fe02.contoso.net (serial number"
    )
    assert revocation.serial in status.next_steps[0]
    summary = (folder / "summary.md").read_text("utf-8").replace("\\", "")
    assert f"Ask the CA: {revocation}." in summary
    assert f"lyncnb deployed FOLDER {name} --revoked" in summary
    deployed(folder, name, revoked=True, today=LATER)
    (row,) = (row for row in folder_status(folder, today=LATER).requests if row.id == name)
    assert (row.state, row.revoke, row.needs_attention) == ("retired", (), False)
    assert revocation.serial not in (folder / "summary.md").read_text("utf-8")


def test_an_expired_certificate_needs_no_revocation(folder):
    """If the key of an expired certificate is compromised, the certificate does not need to be
    revoked.
    """
    name = find_id(open_requests(folder), "fe01")
    renew_again(folder, name, compromised=True, today=date(2027, 9, 1))
    record = read_manifest(folder).by_id[name]
    assert (record.generation, list_certificates_to_revoke(record)) == (2, ())
