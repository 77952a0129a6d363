"""lyncnb omits a request if an installed certificate covers it and the key of this certificate is
available.
"""

from __future__ import annotations

import json
import random
from datetime import date, timedelta

import pytest
from cas.python_ca import pem
from folders import (
    PASSPHRASE,
    TODAY,
    certify,
    encode_earlier,
    make_folder,
    make_plan,
    plan_of_servers,
    read_entries,
    snapshot,
    with_extra_names,
    write,
    write_earlier,
)
from installed_certificates import (
    MIDNIGHT,
    Stored,
    authority,
    export_of,
    issue_planned,
    random_estate,
)
from printing import remove_break_marks
from shell_kit import make_shell

import lyncnb as ln
from lyncnb.authorities.certificate_history import certificate_history
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.base.records import RecordReader
from lyncnb.errors import BundleError, OptionsError, PlanRejected, ReturnedFileError
from lyncnb.export.requests_elsewhere import request_elsewhere
from lyncnb.request_folder.manifest import parse_manifest, read_manifest
from lyncnb.request_folder.request_record import find_request_id

shell = pytest.fixture(make_shell)
pytestmark = pytest.mark.usefixtures("quick_cipher")

PLAN = plan_of_servers(3)
FIRST, SECOND, THIRD = (certificate.id for certificate in PLAN.certificates)
LAST_DAY = date(2027, 6, 9)


def save_complete_as_is(folder, plan=PLAN, **changes):
    """Save an as-is comparison that shows every planned certificate as installed, except for the
    given changes. Return its path.
    """
    folder.mkdir(exist_ok=True)
    for certificate in plan.certificates:
        (folder / f"{certificate.id}.pem").write_bytes(pem(issue_planned(certificate, **changes)))
    (folder / "chain.pem").write_bytes(pem(*authority().chain))
    comparison = ln.compare_as_is(plan, folder, on=TODAY)
    (folder.parent / "kept.json").write_bytes(comparison.to_json())
    return folder.parent / "kept.json"


@pytest.fixture
def complete_as_is(tmp_path):
    """Return the path of an as-is comparison in which every planned certificate is installed."""
    return save_complete_as_is(tmp_path / "estate")


@pytest.fixture
def folder(tmp_path, complete_as_is):
    """Return a request folder from which the first request is omitted."""
    write(PLAN, tmp_path / "requests", only_missing=complete_as_is, reuse=[FIRST])
    return tmp_path / "requests"


def requested(folder) -> set[str]:
    return {find_request_id(path.stem) for path in (folder / "csr").glob("*.csr")}


def test_covered_request_is_omitted(folder, complete_as_is):
    """A request that an installed certificate covers is omitted, and all other requests are
    created.

    The manifest records the covering certificate.
    """
    assert requested(folder) == {SECOND, THIRD}
    assert {path.stem[:-9] for path in (folder / "keys").glob("*.key")} == {SECOND, THIRD}
    covered = ln.open_requests(folder).manifest.by_id[FIRST].covered
    standing = json.loads(complete_as_is.read_bytes())["planned"][0]["certificate"]
    assert covered.thumbprint_sha1 == standing["thumbprint"]
    assert covered.sha256 == standing["sha256"]
    assert covered.not_after[:10] == str(LAST_DAY)
    assert "PRIVATE" not in complete_as_is.read_text("utf-8")


def test_compromised_key_of_a_covering_certificate_is_recorded(folder, complete_as_is, tmp_path):
    """If the key of a covering certificate is compromised, lyncnb records this fact and lists the
    certificate for revocation. The certificate can never cover a request again.
    """
    serial = read_manifest(folder).by_id[FIRST].covered.serial
    bundle = ln.renew(
        folder, FIRST, passphrase=PASSPHRASE, reason="stolen", compromised=True, today=TODAY
    )
    assert any(
        f"Revoke the certificate with serial number {serial}" in note for note in bundle.notes
    )
    assert FIRST in requested(folder)
    status = ln.folder_status(folder, today=TODAY)
    assert {request.id: request.revoke for request in status.shown if request.revoke} == {
        FIRST: (serial,)
    }
    assert status.exit_status == 1
    assert status.next_steps[0].startswith("Ask the CA to revoke the Default certificate of med")
    comparison = ln.compare_as_is(PLAN, tmp_path / "estate", on=TODAY, folder=folder)
    assert comparison.counts() == {"covered": 2, "compromised": 1}
    with pytest.raises(
        BundleError,
        match=f"the certificate with serial number {serial} is revoked or must be revoked",
    ):
        write(PLAN, folder, only_missing=complete_as_is, reuse=[FIRST])
    result = ln.deployed(folder, FIRST, revoked=True, today=TODAY)
    assert [(event.what, event.serial) for event in result.recorded] == [("revoked", serial)]
    status = ln.folder_status(folder, today=TODAY)
    assert not any(request.revoke for request in status.shown)
    assert status.exit_status == 1  # The compromised certificate is still on the server.
    history = certificate_history(folder, FIRST)
    events = [event.what for part in history.generations for event in part.events]
    assert events.count("revocation requested") == events.count("revoked") == 1


def test_repeating_a_request_changes_no_byte(folder, complete_as_is):
    """If the request command is repeated, with or without the comparison of installed certificates,
    the covered certificate still gets no request, and no file changes.
    """
    before = snapshot(folder)
    for options in (
        {"only_missing": complete_as_is, "reuse": [FIRST]},
        {},
        {"only_missing": complete_as_is},
    ):
        bundle = write(PLAN, folder, **options)
        assert bundle.counts() == {"kept": 3}
        assert snapshot(folder) == before


def test_repeated_omission_keeps_its_time(folder, complete_as_is):
    """If the user omits a request again on another date, based on the same comparison, the recorded
    time does not change.
    """
    before = read_entries(folder)
    later = TODAY + timedelta(days=1)
    write(PLAN, folder, only_missing=complete_as_is, reuse=[FIRST], today=later)
    assert read_entries(folder) == before


def test_newer_covering_certificate_is_recorded(folder, tmp_path):
    """If a later as-is comparison contains a newer certificate, the manifest and every summary name
    this certificate.
    """
    newer = save_complete_as_is(tmp_path / "newer", days=150)
    bundle = write(PLAN, folder, only_missing=newer, reuse=[FIRST])
    assert bundle.counts() == {"covered": 1, "kept": 2}
    words = str(bundle.manifest.by_id[FIRST].covered)
    assert words.endswith("until 2027-04-21")
    for name in ("summary.csv", "summary.md"):
        assert words in (folder / name).read_text("utf-8")


def test_folder_without_requests_has_nothing_to_hand_over(tmp_path, complete_as_is):
    """If installed certificates cover all requests, no request is created, and a handover ends with
    an error.
    """
    folder = tmp_path / "requests"
    write(PLAN, folder, only_missing=complete_as_is, reuse=[FIRST, SECOND, THIRD])
    assert requested(folder) == set()
    assert ln.folder_status(folder, today=TODAY).counts() == {"covered": 3}
    with pytest.raises(BundleError, match="none of the waiting requests in") as caught:
        ln.hand_over(folder, tmp_path / "out.zip")
    assert caught.value.hint == (
        "no request is waiting for a CA; lyncnb status FOLDER shows the state of each request"
    )
    assert write(PLAN, folder).counts() == {"kept": 3}


def test_unconfirmed_keys_omit_no_request(tmp_path, complete_as_is):
    """If the planner does not confirm that the keys are available, every request is created, and a
    note explains why.
    """
    bundle = write(PLAN, tmp_path / "requests", only_missing=complete_as_is)
    assert bundle.counts() == {"created": 3}
    assert any(
        "installed certificates also cover 3 of the requests" in note for note in bundle.notes
    )


def save_incomplete_as_is(tmp_path):
    """Save an as-is comparison in which the first server has no key for its certificate, the second
    server lacks its certificate, and the third server is complete. Return its path.
    """
    folder = tmp_path / "exports"
    folder.mkdir()
    for certificate, is_installed, has_key in zip(
        PLAN.certificates, (True, False, True), (False, False, True), strict=True
    ):
        kept = Stored(issue_planned(certificate), certificate.usages, has_key)
        stored = [kept] if is_installed else []
        data = export_of(certificate.servers[0], stored, above=authority().chain)
        (folder / f"{certificate.id}.txt").write_bytes(data)
        (folder / f"{certificate.id}.pem").write_bytes(pem(kept.certificate))
    comparison = ln.compare_as_is(PLAN, folder, on=TODAY)
    (tmp_path / "kept.json").write_bytes(comparison.to_json())
    return tmp_path / "kept.json"


def test_reused_certificate_names_the_servers_without_it_or_its_key(tmp_path):
    """If a server lacks a reused certificate or its private key, a note names this server. The
    status says that the user confirmed to have the key.
    """
    saved, folder = save_incomplete_as_is(tmp_path), tmp_path / "requests"
    assert ln.read_as_is(saved).counts() == {"covered": 1, "no-key": 1, "elsewhere": 1}
    bundle = write(PLAN, folder, only_missing=saved, reuse=[FIRST, SECOND, THIRD])
    servers = [certificate.servers[0] for certificate in PLAN.certificates]
    reasons = {
        FIRST: f"{servers[0]} has no private key for the certificate",
        SECOND: f"the certificate is not installed on {servers[1]}",
    }
    copied = "servers need a copy of the certificate that you reuse for"
    assert [note for note in bundle.notes if note.startswith(copied)] == [
        f"{copied} {name}, with its private key: {reason}" for name, reason in reasons.items()
    ]
    notes = "\n".join(ln.folder_status(folder, today=TODAY).notes)
    assert notes.count("and you confirmed that you have the private key") == 3


def test_certificate_on_two_of_four_servers_is_not_requested_again(tmp_path):
    """If two of four Edge Servers have the shared certificates with their keys, the run does not
    request them again until the user decides.
    """
    names = [f"edge{number}.contoso.com" for number in range(1, 5)]
    cells = "Edge,edge.contoso.com,contoso.com,sip.contoso.com,conf.contoso.com,av.contoso.com"
    head = "server_fqdn,role,pool_fqdn,sip_domains,access_edge_fqdn,webconf_edge_fqdn,av_edge_fqdn"
    planned = make_plan(
        "".join(f"{line}\n" for line in (head, *(f"{n},{cells}" for n in names))).encode()
    )
    (tmp_path / "exports").mkdir()
    stored = [Stored(issue_planned(c), c.usages) for c in planned.certificates]
    for name in names:
        data = export_of(name, stored if name < names[2] else [], above=authority().chain)
        (tmp_path / "exports" / name).write_bytes(data)
    comparison = ln.compare_as_is(planned, tmp_path / "exports", on=TODAY)
    assert comparison.summary().endswith("2 missing on some of its servers")
    (tmp_path / "kept.json").write_bytes(comparison.to_json())
    folder = tmp_path / "requests"
    with pytest.raises(PlanRejected, match="2 planned certificates must only be copied") as refused:
        write(planned, folder, only_missing=tmp_path / "kept.json")
    assert "2 of 4 servers: edge3.contoso.com, edge4.contoso.com" in str(refused.value)
    assert not folder.exists()
    first = planned.certificates[0].id
    accept = {"missing-on-servers": "new keys are planned"}
    bundle = write(
        planned, folder, only_missing=tmp_path / "kept.json", reuse=[first], accept=accept
    )
    assert [change.action for change in bundle.changes] == ["covered", "created"]


def test_only_complete_certificates_count_as_covered(tmp_path):
    """The run counts as covered the same certificates as the as-is comparison. For the others that
    match the plan, a note gives an example with its server.
    """
    saved = save_incomplete_as_is(tmp_path)
    notes = write(PLAN, tmp_path / "requests", only_missing=saved).notes
    covering, matching = (note for note in notes if note.startswith("installed certificates"))
    assert f"also cover 1 of the requests, such as {THIRD}. If you have" in covering
    server = PLAN.certificates[0].servers[0]
    assert (
        "also match 2 of the requests, but servers need a copy with the private key. For example, "
        f"{FIRST}: {server} has no private key for the certificate. If you have"
    ) in matching


def test_covered_request_is_renewed_in_time(folder):
    """When the covering certificate is due for renewal, a renewal creates the request that the
    certificate covered.
    """
    (day,) = (renewal.renew_from for renewal in ln.list_renewals(folder))
    choices = {"due": True, "reason": "it ends", "passphrase": PASSPHRASE}
    assert not ln.renew(folder, today=day - timedelta(days=1), **choices).changes
    bundle = ln.renew(folder, today=day, **choices)
    assert [change.action for change in bundle.changes] == ["created", "kept", "kept"]
    assert bundle.manifest.by_id[FIRST].covered is None
    assert requested(folder) == {FIRST, SECOND, THIRD}
    assert not ln.renew(folder, today=day, **choices).changes
    (row,) = (
        request for request in ln.folder_status(folder, today=day).requests if request.id == FIRST
    )
    stood = bundle.manifest.by_id[FIRST].stood_before
    assert (row.state, row.under_way, row.not_after) == ("waiting", "waiting", stood.not_after)


def test_every_command_names_the_covering_certificate(folder, tmp_path):
    """The status, summary, packages, steps and renewals contain the name of the covering
    certificate, and none of them requires the request that it replaces.
    """
    words = ln.open_requests(folder).manifest.by_id[FIRST].covered
    status = ln.folder_status(folder, today=TODAY)
    assert status.counts() == {"waiting": 2, "covered": 1}
    request = status.requests[0]
    assert (request.state, request.covered_by, request.not_after[:10]) == (
        "covered", words.thumbprint_sha1, str(LAST_DAY),
    )  # fmt: skip
    note = f"lyncnb does not request {FIRST}, because it is {words}"
    assert note in "\n".join(status.notes)
    assert not status.needs_attention
    for name in ("summary.csv", "summary.html", "summary.md"):
        text = remove_break_marks((folder / name).read_text("utf-8"))
        assert f"no request: {words}" in text, name
    assert "Installed certificates cover 1 more request." in (folder / "summary.md").read_text(
        "utf-8"
    )
    assert f"csr/{FIRST}" not in (folder / "summary.html").read_text("utf-8")
    certify(folder, SECOND, THIRD)
    issued = ln.match_certificates(ln.open_requests(folder), today=TODAY)
    assert issued.waiting == ()
    packages = ln.write_pfx(issued, passphrase=PASSPHRASE)
    assert packages.counts() == {"written": 2, "kept": 0, "refused": 0, "covered": 1}
    assert packages.exit_status == 0
    issued = ln.match_certificates(ln.open_requests(folder), today=TODAY)
    steps = ln.deployment_steps(issued, today=TODAY)
    assert (steps.exit_status, steps.missing) == (0, ())
    assert [package.request for package in steps.covered] == [FIRST]
    ln.write_steps(steps, folder)
    for name in ("checklist.md", "order.html"):
        page = remove_break_marks((folder / "steps" / name).read_text("utf-8"))
        assert str(words) in page, name
    assert FIRST in {renewal.request_id for renewal in ln.list_renewals(folder, today=TODAY)}


def test_changed_plan_creates_the_request(folder):
    """If the plan gets more names and the installed certificate no longer covers them, the next run
    creates a request and shows the reason.
    """
    changed = with_extra_names(PLAN, 0, "new.contoso.com")
    bundle = write(changed, folder)
    (change,) = [entry for entry in bundle.changes if entry.id == FIRST]
    assert change.action == "created"
    assert change.reasons[0].startswith("no longer covered by ")
    assert change.reasons[1] == "san: + new.contoso.com"
    assert FIRST in requested(folder)
    assert ln.open_requests(folder).manifest.by_id[FIRST].covered is None


def test_expired_certificate_no_longer_covers_the_request(folder):
    """A certificate covers a request until its last day. After that, the next run creates the
    request, and states the reason.
    """
    assert write(PLAN, folder, today=LAST_DAY).counts() == {"kept": 3}
    day = LAST_DAY + timedelta(days=1)
    assert ln.folder_status(folder, today=day).counts() == {"expired": 1, "waiting": 2}
    assert f"lyncnb request, it writes a request for {FIRST}" in "\n".join(
        ln.folder_status(folder, today=day).notes
    )
    issued = ln.match_certificates(ln.open_requests(folder), today=day)
    missing = {
        package.request: package.why for package in ln.deployment_steps(issued, today=day).missing
    }
    assert "To create the request, run lyncnb request" in missing[FIRST]
    bundle = write(PLAN, folder, today=day)
    (change,) = [entry for entry in bundle.changes if entry.id == FIRST]
    assert "because the certificate is not valid on 2027-06-10" in change.reasons[0]
    assert FIRST in requested(folder)


def test_covering_certificate_must_be_valid_on_the_planned_issue_date(tmp_path, folder):
    """If the covering certificate expires before the planned issue date, lyncnb creates the
    request.
    """
    later = ln.CertificatePlan(
        topology=PLAN.topology,
        rules=PLAN.rules,
        options=ln.PlanOptions(planned_issue_date=LAST_DAY + timedelta(days=1)),
        certificates=PLAN.certificates,
    )
    with pytest.raises(
        OptionsError, match=f"the installed certificate for {SECOND} is valid from 2026-11-23"
    ):
        write(later, tmp_path / "new", only_missing=tmp_path / "kept.json", reuse=[SECOND])
    assert write(later, folder).counts() == {"created": 1, "kept": 2}


def test_renewal_creates_an_omitted_request(folder):
    """The option --renew creates a request that lyncnb omitted before."""
    bundle = write(PLAN, folder, renew=[FIRST], reason="its key is lost")
    assert bundle.changes[0].reasons == ('reason: "its key is lost"',)
    assert requested(folder) == {FIRST, SECOND, THIRD}


def test_certificate_of_another_issuer_covers_nothing(folder, monkeypatch):
    """A certificate from an internal CA does not cover a request that is planned for a public CA."""
    items = list(PLAN.certificates)
    items[0] = items[0]._replace(issuer="public")
    public = ln.CertificatePlan(
        topology=PLAN.topology, rules=PLAN.rules, options=PLAN.options, certificates=tuple(items)
    )
    bundle = write(public, folder)
    assert bundle.changes[0].reasons[1] == "issuer: internal -> public"


def test_existing_request_is_not_omitted(tmp_path, complete_as_is):
    """If a request already exists and may be with a CA, lyncnb refuses to omit it and does not
    change the folder.
    """
    write(PLAN, tmp_path / "requests")
    before = snapshot(tmp_path / "requests", but_lock=True)
    with pytest.raises(BundleError) as caught:
        write(PLAN, tmp_path / "requests", only_missing=complete_as_is, reuse=[FIRST])
    assert "so you cannot omit it" in str(caught.value)
    assert f"omit --reuse {FIRST}" in str(caught.value)
    assert snapshot(tmp_path / "requests", but_lock=True) == before


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (["Mediation"], 'reuse: "Mediation" matches 3 of the planned requests'),
        ([""], "reuse: an ID is blank"),
        (["FrontEnd"], 'reuse: "FrontEnd" matches none of the planned requests'),
    ],
)
def test_shortened_id_must_be_unique(tmp_path, complete_as_is, ids, words):
    """A user can shorten an ID to its first characters if no other certificate's ID begins with
    them. lyncnb rejects an ambiguous ID.
    """
    with pytest.raises(OptionsError, match=words):
        write(PLAN, tmp_path / "requests", only_missing=complete_as_is, reuse=ids)
    assert not (tmp_path / "requests").exists()


def test_uncovered_request_cannot_be_omitted(tmp_path):
    """If the user omits a request that no installed certificate covers, or combines options that
    exclude each other, lyncnb reports an error and creates nothing.
    """
    complete_as_is = save_complete_as_is(tmp_path / "estate", bits=2048)
    with pytest.raises(
        OptionsError,
        match=f"no installed certificate covers {FIRST}: with an old key",
    ):
        write(PLAN, tmp_path / "requests", only_missing=complete_as_is, reuse=[FIRST])
    with pytest.raises(OptionsError, match="needs the list of installed"):
        write(PLAN, tmp_path / "requests", reuse=[FIRST])
    complete_as_is = save_complete_as_is(tmp_path / "estate")
    both = {"renew": [FIRST], "reason": "lost", "reuse": [FIRST]}
    with pytest.raises(OptionsError, match="you cannot both renew and reuse"):
        write(PLAN, tmp_path / "requests", only_missing=complete_as_is, **both)


def test_comparison_for_another_plan_is_rejected(tmp_path, complete_as_is):
    """An as-is comparison for another plan is rejected, and the error lists unknown ids, missing
    ids, and different names.
    """
    for plan, words in (
        (plan_of_servers(4), "only the plan contains Mediation-med00003"),
        (plan_of_servers(2), f"only the list contains {THIRD}"),
        (
            with_extra_names(PLAN, 1, "new.contoso.com"),
            f"the plan and the list contain different data for {SECOND}",
        ),
    ):
        with pytest.raises(ReturnedFileError, match=f"created for another plan: {words}"):
            write(plan, tmp_path / "requests", only_missing=complete_as_is, reuse=[FIRST])


def test_edited_comparison_is_rejected(tmp_path, complete_as_is):
    """If a saved as-is comparison was edited, lyncnb rejects the file and creates no request
    folder.
    """
    for field, value in (("entry_sha256", "0" * 64), ("id", "Mediation-x"), ("state", "covered")):
        document = json.loads(complete_as_is.read_bytes())
        first_entry = next(entry for entry in document["planned"] if entry["id"] == FIRST)
        first_entry[field] = value if first_entry[field] != value else "elsewhere"
        edited = tmp_path / "edited.json"
        edited.write_text(json.dumps(document), "utf-8")
        with pytest.raises(ReturnedFileError, match="was changed after lyncnb saved it"):
            write(PLAN, tmp_path / "requests", only_missing=edited, reuse=[FIRST])
    assert not (tmp_path / "requests").exists()


def test_request_scripts_omit_covered_certificates(folder):
    """The scripts that create requests on servers also omit the requests that installed
    certificates cover.
    """
    # The cmdlet Request-CsCertificate creates no elliptic curve keys.
    plan = make_plan(key=KeyParameters())
    with_use = next(certificate for certificate in plan.certificates if certificate.usages)
    as_is_path = save_complete_as_is(folder.parent / "other", plan)
    other_folder = folder.parent / "elsewhere"
    write(plan, other_folder, only_missing=as_is_path, reuse=[with_use.id], dry_run=True)
    # A computer was to create this request, but an installed certificate covers it now, so no
    # script creates it.
    request_elsewhere(plan, other_folder, computer="tools01", findings=(), today=TODAY)
    write(plan, other_folder, only_missing=as_is_path, reuse=[with_use.id])
    bundle = ln.open_requests(other_folder)
    record = bundle.manifest.by_id[with_use.id]
    assert record.covered
    assert not record.key_holder
    scripts = ln.request_scripts(plan, bundle)
    reasons = {omission.request: omission.why for omission in scripts.missing}
    assert "no request is needed" in reasons[with_use.id]
    second_bundle = request_elsewhere(
        plan, other_folder, computer="tools01", findings=(), today=TODAY
    )
    assert second_bundle.manifest.by_id[with_use.id].covered == record.covered


def test_saved_plan_can_omit_requests_too(tmp_path):
    """A user can omit covered requests when creating requests from a saved plan.

    The folder still records the saved plan and the covering certificates.
    """
    plan = make_plan()
    complete_as_is = save_complete_as_is(tmp_path / "estate", plan)
    saved = ln.save_plan(plan, tmp_path / "plan.json", findings=ln.check_plan(plan, on=TODAY))
    first = plan.certificates[0].id
    options = {"only_missing": complete_as_is, "reuse": [first], "findings": None}
    options["accept"] = {"oauth-key-too-small": "keys of tests are quick to make"}
    write(ln.read_saved_plan(saved.path), tmp_path / "requests", **options)
    standing = ln.folder_status(tmp_path / "requests", today=TODAY).saved_plan
    assert standing.agrees
    assert (standing.requests, standing.covered) == (len(plan.certificates) - 1, 1)
    assert "(plus 1 that installed certificates cover) as in the saved plan" in standing.description


def test_record_of_a_covering_certificate_is_validated(folder):
    """The record of a covering certificate in the manifest is read back unchanged, and each of its
    fields is validated.
    """
    manifest = ln.open_requests(folder).manifest
    document = json.loads(encode_earlier(manifest))
    record = next(entry for entry in document["requests"] if entry["id"] == FIRST)
    others = [entry for entry in document["requests"] if entry["id"] != FIRST]
    assert not any("covered" in entry for entry in others)
    for name in record["covered"]:
        broken = json.loads(json.dumps(document))
        broken_record = next(entry for entry in broken["requests"] if entry["id"] == FIRST)
        broken_record["covered"][name] = 5
        reader = RecordReader("manifest.json", is_json=True)
        del broken["format"]
        parse_manifest(broken, reader)
        fields = [problem.message.partition(" must be ")[0] for problem in reader.problems]
        assert fields == [f"'{FIRST}.covered.{name}'"]
    record["covered"]["colour"] = "blue"  # A later version of lyncnb may write this field.
    write_earlier(folder, document)
    ln.write_requests(PLAN, folder, passphrase=PASSPHRASE, findings=(), today=LAST_DAY)
    assert ln.open_requests(folder).manifest.by_id[FIRST].covered.others == {"colour": "blue"}


def test_rebuild_keeps_covering_certificates(folder):
    """The command status --rebuild keeps the records of covering certificates, although no file in
    the folder contains these certificates.
    """
    before = ln.open_requests(folder).manifest.by_id[FIRST]
    ln.rebuild_manifest(folder, PASSPHRASE)
    assert ln.open_requests(folder).manifest.by_id[FIRST] == before
    assert make_folder(folder, PLAN).counts() == {"kept": 3}


@pytest.mark.parametrize("number", range(5))
def test_exactly_the_selected_requests_are_omitted(tmp_path, number):
    """For random servers and any selection of reusable certificates, exactly the selected requests
    are omitted.
    """
    chance = random.Random(number)
    plan = plan_of_servers(chance.randint(1, 8))
    servers = {certificate.id: certificate.servers[0] for certificate in plan.certificates}
    folder = tmp_path / "estate"
    folder.mkdir()
    good = set()
    for certificate in plan.certificates:
        fault = chance.choice(["good", "good", "elsewhere", "old", "none"])
        changes = {"bits": 2048} if fault == "old" else {}
        stored = (
            [Stored(issue_planned(certificate, **changes), certificate.usages)]
            if fault != "none"
            else []
        )
        server = "other.contoso.com" if fault == "elsewhere" else servers[certificate.id]
        (folder / f"{certificate.id}.pem").write_bytes(
            export_of(server, stored, above=authority().chain)
        )
        good |= {certificate.id} if fault in ("good", "elsewhere") else set()
    comparison = ln.compare_as_is(plan, folder, on=TODAY)
    assert {entry.id for entry in comparison.planned if entry.is_good} == good
    selected_ids = {name for name in sorted(good) if chance.random() < 0.6}
    write(plan, tmp_path / "requests", only_missing=comparison, reuse=sorted(selected_ids))
    assert requested(tmp_path / "requests") == servers.keys() - selected_ids
    (tmp_path / "kept.json").write_bytes(comparison.to_json())
    assert ln.read_as_is(tmp_path / "kept.json") == comparison


def test_command_line_gives_the_same_result(shell, monkeypatch):
    """The command line (asis --save, and request --only-missing --reuse) gives the same result as
    Python, with one message for each mistake.
    """
    estate = random_estate(random.Random(3), exported=False)
    plan = estate.plan
    shell.write("t.csv", plan.topology.to_csv())
    (shell.folder / "estate").mkdir()
    first = plan.certificates[0]
    shell.write("estate/a.pem", pem(issue_planned(first, begins=MIDNIGHT), *authority().chain))
    shell.write("passphrase", PASSPHRASE)
    call = ("request", "t.csv", "requests", "--passphrase-file", "passphrase")
    assert shell("asis", "estate", "t.csv", "--save", "kept.json").status == 1
    result = shell(*call, "--only-missing", "kept.json", "--reuse", first.id, "--dry-run", "--json")
    changes = {change["id"]: change["action"] for change in json.loads(result.out)["changes"]}
    assert changes.pop(first.id) == "covered"
    assert set(changes.values()) == {"created"}
    assert not (shell.folder / "requests").exists()
    for arguments, words in (
        (("--reuse", first.id), "--reuse needs --only-missing"),
        (("--only-missing", "kept.json", "--reuse", "x"), 'reuse: "x" matches none'),
        (("--only-missing", "t.csv", "--reuse", first.id), "the content is not valid JSON"),
        (("--only-missing", "nowhere.json"), 'cannot read "nowhere.json"'),
    ):
        result = shell(*call, *arguments)
        assert result.status == 2, result
        assert words in result.err
        assert result.err.count("lyncnb: ") == 1
    assert not (shell.folder / "requests").exists()
