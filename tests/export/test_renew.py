"""Renewals use the plan in the folder, and change only keys and dates."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from folders import (
    PASSPHRASE,
    TODAY,
    assert_complete,
    certify,
    find_id,
    make_folder,
    make_plan,
    public_keys_of_requests,
    snapshot,
    write,
)
from topologies import TWO_FRONT_ENDS

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
SMALL = "oauth-key-too-small"  # The test kit makes fast keys, and OAuth needs RSA.


def again(folder, *names, today=LATER, **choices):
    """Renew requests with the passphrase of the folder and a reason."""
    choices = {"passphrase": PASSPHRASE, "reason": "renewal", **choices}
    return renew(folder, *names, today=today, **choices)


def names_of(bundle, action="renewed"):
    """Return the ids of the requests that a renewal changed."""
    return [change.id for change in bundle.changes if change.action == action]


def begin(day):
    """Return midnight of a date in UTC."""
    return datetime(*day.timetuple()[:3], tzinfo=UTC)


def edit(folder, change):
    """Edit the manifest, as another command does."""
    with lock_folder(folder, wait_seconds=1):
        save_manifest(folder, change(read_manifest(folder)))


def record_deployed(folder, name, on="2027-01-10"):
    """Record that all servers have the newest certificate of a request."""

    def change(manifest):
        record = manifest.by_id[name]
        new = build_deployments(
            record.issued, record.plan.servers, date_text=on, recorded_at=f"{on}T00:00:00Z"
        )
        return manifest.with_records([replace(record, deployments=new)])

    edit(folder, change)


@pytest.fixture
def folder(tmp_path):
    """Return a folder of three requests whose certificates were issued for 180 days."""
    plan = make_plan(TABLE)
    bundle = make_folder(
        tmp_path / "requests",
        plan,
        findings=check_plan(plan, on=TODAY),
        accept={SMALL: "a test"},
    )
    certify(bundle.folder, *(one.id for one in bundle.requests), days=180)
    return bundle.folder


def test_only_keys_and_dates_change(folder):
    """The plan stays byte for byte, the new CSR has the same content, and the old pair is archived."""
    name = find_id(open_requests(folder), "fe01")
    before = {path: path.read_bytes() for path in folder.glob("plan.json")}
    old = csr.parse_request((folder / "csr" / f"{name}.csr").read_bytes())
    manifest = read_manifest(folder)
    bundle = again(folder, name)
    assert names_of(bundle) == [name]
    new = csr.parse_request((folder / "csr" / f"{name}.csr").read_bytes())
    assert new.content == old.content
    assert new.spki_sha256 != old.spki_sha256
    assert old.spki_sha256 in public_keys_of_requests(folder)
    assert {path: path.read_bytes() for path in before} == before
    after = read_manifest(folder)
    record = after.by_id[name]
    assert (record.generation, record.reasons) == (2, ("renewed: renewal",))
    assert record.plan == manifest.by_id[name].plan
    assert replace(after, requests=(), summary={}) == replace(manifest, requests=(), summary={})
    others = [one for one in after.requests if one.id != name]
    assert others == [one for one in manifest.requests if one.id != name]
    assert is_summary_current(after)
    assert_complete(folder, make_plan(TABLE))


def test_a_dry_run_touches_nothing(folder):
    """A dry run lists the renewals without a passphrase and changes nothing."""
    before = snapshot(folder)
    bundle = again(folder, "*.contoso.net", passphrase=None, dry_run=True)
    assert len(names_of(bundle)) == 3
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    ("names", "count"),
    [
        (
            ("fe01.contoso.net",),
            2,
        ),  # The server has its certificate and the one that the whole deployment shares.
        (("FE01",), 2),
        (("FrontEnd-fe01",), 1),
        (("FrontEnd-*",), 2),
        (("*.contoso.net",), 3),
        (("FrontEnd-fe01", "FrontEnd-fe0?*"), 2),
    ],
)
def test_what_a_name_stands_for(folder, names, count):
    """A request can be named by its id, the beginning of its id, a server or a pattern."""
    assert len(names_of(again(folder, *names, passphrase=None, dry_run=True))) == count


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("FrontEnd-fe", "is a prefix of 2 request ids"),
        ("fe03.contoso.net", "has no request, server or certificate with the name"),
        ("*.fabrikam.com", "has no request, server or certificate with the name"),
        (" ", "has no request, server or certificate with the name"),
    ],
)
def test_a_name_that_stands_for_nothing_or_several(folder, name, words):
    """A name that fits no request or several is rejected, so that nothing is renewed by mistake."""
    with pytest.raises(BundleError, match=words):
        again(folder, name)


def test_a_call_says_what_and_why(folder):
    """A call needs the names or all that is due, and a reason."""
    with pytest.raises(ArgumentError, match="specify either the requests to renew or due=True"):
        again(folder)
    with pytest.raises(ArgumentError, match="but not both"):
        again(folder, "*", due=True)
    with pytest.raises(ArgumentError, match="do not use compromised=True together with due=True"):
        again(folder, due=True, compromised=True)
    with pytest.raises(OptionsError, match="the reason is missing"):
        again(folder, "*", reason=" ")


def test_due_is_what_the_calendar_names(folder):
    """A certificate becomes due only once, on the renewal date in the calendar."""
    ends = {one.request_id: one.renew_from for one in list_renewals(folder, today=LATER)}
    (day,) = set(ends.values())
    assert not names_of(again(folder, due=True, today=day - timedelta(days=1)))
    assert "no certificate is due" in again(folder, due=True, today=day - timedelta(1)).notes[0]
    assert sorted(names_of(again(folder, due=True, today=day))) == sorted(ends)
    waiting = again(folder, due=True, today=day + timedelta(days=60))
    assert (waiting.changes, len(waiting.notes)) == ((), 1)


def test_a_run_that_was_stopped_is_completed_by_the_same_command(folder):
    """A renewal that was announced but interrupted is still due, and repeating the command does not
    renew twice.
    """
    stop = threading.Event()
    stop.set()
    assert again(folder, due=True, making=Making(cancel=stop)).cancelled
    assert len(names_of(again(folder, due=True))) == 3
    assert {one.generation for one in read_manifest(folder).requests} == {2}
    assert_complete(folder, make_plan(TABLE))
    assert not again(folder, due=True).changes


def test_what_came_back_and_was_never_deployed_is_due_in_its_time(folder):
    """If a renewed certificate was received but never deployed, the request is due when the first
    certificate is.
    """
    name = find_id(open_requests(folder), "fe01")
    again(folder, name, today=LATER)
    certify(folder, name, today=LATER, days=30, begins=begin(LATER))
    record = read_manifest(folder).by_id[name]
    assert find_generations(record).in_use.generation == 1
    assert not is_due(record, LATER + timedelta(days=10), ANY_DAY)
    assert is_due(record, LATER + timedelta(days=25), ANY_DAY)


def test_rules_of_today_are_applied(tmp_path):
    """Current rules apply to renewals.

    An error that was not accepted stops only the certificates it concerns.
    """
    plan = make_plan(TABLE, planned_issue_date=date(2026, 12, 1))
    folder = make_folder(tmp_path / "requests", plan).folder
    before = snapshot(folder)
    with pytest.raises(PlanRejected, match=SMALL) as refused:
        again(folder, "*.contoso.net", withdraw=True)
    assert "request TOPOLOGY FOLDER --accept" in refused.value.hint
    assert snapshot(folder) == before
    assert len(names_of(again(folder, "FrontEnd-*", withdraw=True))) == 2


def test_a_folder_without_its_plan_is_told_what_to_run(folder):
    """For a folder of an earlier format, which has no plan, the error names the command to run."""
    document = json.loads((folder / "manifest.json").read_text("utf-8"))
    document["format"] = "lyncnb-requests/2"
    for name in ("plan_json_sha256", "table"):
        del document[name]
    (folder / "manifest.json").write_text(json.dumps(document), "utf-8")
    with pytest.raises(BundleError, match="has no plan.json") as refused:
        again(folder, "*")
    assert "lyncnb request TOPOLOGY FOLDER once" in refused.value.hint


def test_a_plan_that_was_altered_is_not_renewed_from(folder):
    """If the plan differs from the manifest's digest, nothing is renewed."""
    path = folder / "plan.json"
    path.write_bytes(path.read_bytes().replace(b"fe01.contoso.net", b"fe01.contoso.org"))
    with pytest.raises(BundleError, match="differs from the plan on record"):
        again(folder, "*")


def test_key_on_another_computer_cannot_be_renewed(folder):
    """The renew command rejects a request whose key is on another computer.

    The message names it, and the other requests are renewed.
    """
    name = find_id(open_requests(folder), "fe01")

    def hold(manifest):
        record = replace(manifest.by_id[name], key_holder="fe01.contoso.net", key_sha256="")
        return manifest.with_records([replace(record, binding="")])

    edit(folder, hold)
    (folder / "keys" / f"{name}.key").unlink()
    with pytest.raises(BundleError, match="does not have the key") as refused:
        again(folder, name)
    assert "steps TOPOLOGY --request-on-server" in refused.value.hint
    bundle = again(folder, "FrontEnd-*")
    assert names_of(bundle) == [find_id(open_requests(folder), "fe02")]
    assert any("steps TOPOLOGY --request-on-server" in note for note in bundle.notes)


# --- In these tests, a request waits for its certificate.


def test_what_waits_is_withdrawn_only_on_request(folder):
    """A waiting request is withdrawn only if this is requested, and the withdrawal is recorded."""
    name = find_id(open_requests(folder), "fe01")
    again(folder, name, reason="first")
    first = read_manifest(folder).by_id[name]
    before = snapshot(folder)
    with pytest.raises(
        RequestWaits, match="not yet issued a certificate for 1 renewal request"
    ) as refused:
        again(folder, name, reason="second")
    assert refused.value.exit_status == 3
    assert "renewed: first" in str(refused.value)
    assert "--withdraw" in refused.value.hint
    assert snapshot(folder) == before
    again(folder, name, reason="second", withdraw=True)
    record = read_manifest(folder).by_id[name]
    told = (
        "renewed: second",
        f"withdrawn: the request of generation 2 with the CSR SHA-256 {first.csr_sha256[:12]}…",
    )
    assert (record.generation, record.reasons, record.archived[-1].reasons) == (3, told, told)
    assert find_generations(record).in_use.generation == 1


# --- In these tests, a key is compromised.


def test_a_compromised_key_is_revoked_and_replaced(folder):
    """For a compromised key, the certificate in use must be revoked, and another key is requested
    at once.
    """
    name = find_id(open_requests(folder), "fe01")
    bundle = again(folder, name, compromised=True, reason="")
    record = read_manifest(folder).by_id[name]
    (asked,) = list_certificates_to_revoke(record)
    assert (asked.generation, asked.serial) == (1, record.archived[0].issued.serial)
    assert (
        str(asked) == f"Revoke the certificate with serial number {asked.serial}, reason "
        "keyCompromise (RFC 5280 section 5.3.1)"
    )
    assert (record.generation, record.revocation) == (2, None)
    assert record.reasons == ("renewed: the key is compromised",)
    assert any(str(asked) in note for note in bundle.notes)
    others = [one for one in read_manifest(folder).requests if one.id != name]
    assert not any(map(list_certificates_to_revoke, others))
    summary = (folder / "summary.md").read_text("utf-8").replace("\\", "")
    assert f"{asked}." in summary
    assert "lyncnb deployed FOLDER ID --revoked" in summary


def test_a_key_that_is_under_way_is_kept(folder):
    """If a new key is already waiting for its certificate, nothing more is requested, and a note
    says so.
    """
    name = find_id(open_requests(folder), "fe01")
    again(folder, name)
    bundle = again(folder, name, compromised=True)
    assert not names_of(bundle)
    assert any("generation 2 already has a new key" in note for note in bundle.notes)
    record = read_manifest(folder).by_id[name]
    assert (record.generation, [one.generation for one in list_certificates_to_revoke(record)]) == (
        2,
        [1],
    )
    (first,) = list_certificates_to_revoke(record)
    again(folder, name, compromised=True, today=LATER + timedelta(days=1))
    assert list_certificates_to_revoke(read_manifest(folder).by_id[name]) == (first,)


def test_the_key_of_the_deployed_generation_is_the_compromised_one(folder):
    """After the second generation is recorded as deployed, its certificate is the one to revoke."""
    name = find_id(open_requests(folder), "fe01")
    again(folder, name)
    certify(folder, name, today=LATER, begins=begin(LATER))
    record_deployed(folder, name, on="2027-04-21")
    again(folder, name, compromised=True)
    record = read_manifest(folder).by_id[name]
    assert (record.generation, [one.generation for one in list_certificates_to_revoke(record)]) == (
        3,
        [2],
    )


def test_a_stolen_key_that_waits_is_given_up_without_a_question(tmp_path):
    """If a waiting key is compromised, its request is withdrawn without a question, and no
    certificate is revoked.
    """
    bundle = make_folder(tmp_path / "requests", make_plan(TABLE))
    name = find_id(bundle, "fe01")
    again(bundle.folder, name, compromised=True)
    record = read_manifest(bundle.folder).by_id[name]
    assert (record.generation, list_certificates_to_revoke(record)) == (2, ())
    assert record.reasons[1].startswith("withdrawn: the request of generation 1")


def test_the_key_of_what_left_the_plan_can_be_stolen_too(folder):
    """For a compromised key of a retired request, its valid certificate must be revoked, and
    nothing is requested.
    """
    name = find_id(open_requests(folder), "fe02")
    table = TABLE.replace(b"fe02", b"fe03")
    write(make_plan(table), folder, today=LATER)
    assert read_manifest(folder).by_id[name].state == "retired"
    with pytest.raises(BundleError, match="has no request, server or certificate with the name"):
        again(folder, name)
    bundle = again(folder, name, compromised=True)
    assert not names_of(bundle)
    assert [one.generation for one in list_certificates_to_revoke(bundle.manifest.by_id[name])] == [
        1
    ]


def test_an_expired_certificate_needs_no_revocation(folder):
    """An expired certificate with a compromised key does not need to be revoked."""
    name = find_id(open_requests(folder), "fe01")
    again(folder, name, compromised=True, today=date(2027, 9, 1))
    record = read_manifest(folder).by_id[name]
    assert (record.generation, list_certificates_to_revoke(record)) == (2, ())
