"""lyncnb can record the deployment of specified certificates, of the certificates for all
requests, or of the certificates in the servers' reports.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from cas.python_ca import PythonCa, pem
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from folders import (
    PASSPHRASE,
    TODAY,
    certify,
    find_id,
    issue_all,
    make_folder,
    make_plan,
    request_of,
    snapshot,
)
from installed_certificates import Stored, export_of

import lyncnb as ln
from lyncnb.authorities.certificate_history import certificate_history
from lyncnb.errors import BundleError, OptionsError, ReturnedFileError
from lyncnb.request_folder.generations import find_generations, list_certificates_to_revoke
from lyncnb.request_folder.manifest import read_manifest, save_manifest
from lyncnb.request_folder.request_record import Revocation

pytestmark = pytest.mark.usefixtures("quick_cipher")

LATER = TODAY + timedelta(days=30)


@pytest.fixture
def folder(tmp_path):
    """Return a request folder for two sites in which all requests except the OAuth request have a
    certificate.
    """
    bundle = make_folder(tmp_path / "requests")
    oauth = find_id(bundle, "deployment")
    certify(bundle.folder, *(record.id for record in bundle.requests if record.id != oauth))
    return bundle.folder


def pool_of(folder):
    """Return the record of an issued certificate that all servers of a pool share."""
    records = read_manifest(folder).requests
    return next(record for record in records if len(record.plan.servers) > 1 and record.issued)


def renew(folder, name, *, certified=True):
    """Create the next generation of a request, and have the CA issue its certificate."""
    make_folder(folder, renew=[name], reason="renewed", today=LATER)
    if certified:
        certify(folder, name, today=LATER, begins=datetime(2026, 12, 23, tzinfo=UTC))
    return read_manifest(folder).by_id[name]


def report(tmp_path, server, *thumbprints, at="2026-12-24T10:00:00Z", **changes):
    """Write a report for a server in the format that the server's script uses."""
    entries = [
        {"place": f"Place {number}", "thumbprint": thumbprint}
        for number, thumbprint in enumerate(thumbprints)
    ]
    document = {"format": "lyncnb-installed/1", "server": server, "at": at, "places": entries}
    path = tmp_path / f"{server.partition('.')[0]}.json"
    path.write_text(json.dumps(document | changes))
    return path


def test_without_a_name_all_packaged_certificates_are_recorded(folder):
    """If no name is specified, every packaged certificate is recorded as deployed to its servers.

    Repeating it changes nothing.
    """
    package(folder)
    result = ln.deployed(folder, today=TODAY)
    manifest = read_manifest(folder)
    waiting = {record.id for record in manifest.requests if record.issued is None}
    assert {entry.id for entry in result.recorded} == manifest.by_id.keys() - waiting
    assert all(
        find_generations(record).is_recorded for record in manifest.requests if record.issued
    )
    before = snapshot(folder, but_lock=True)
    repeated = ln.deployed(folder, today=TODAY)
    assert (repeated.recorded, snapshot(folder, but_lock=True)) == ((), before)
    assert "nothing new" in repr(repeated)


def package(folder):
    """Package all certificates of a folder."""
    issued = ln.match_certificates(ln.open_requests(folder), today=TODAY)
    return ln.write_pfx(issued, passphrase=PASSPHRASE, today=TODAY)


def test_what_was_never_packaged_is_left_out(folder):
    """Without a name, a certificate that was never packaged is not recorded but named. With its
    name, it is recorded after a note.
    """
    package(folder)
    name = pool_of(folder).id
    renew(folder, name)
    result = ln.deployed(folder, today=LATER)
    assert name not in {entry.id for entry in result.recorded}
    (note,) = [note for note in result.notes if name in note]
    assert note.endswith("generation 2 was never packaged. If it is installed, specify the "
                         "request ID")  # fmt: skip
    assert result.is_partial
    result = ln.deployed(folder, name, today=LATER)
    assert [(entry.id, entry.generation) for entry in result.recorded] == [(name, 2)]
    assert result.notes == (f"{name}: generation 2 was never packaged",)
    assert not result.is_partial


def test_oauth_that_reports_show_on_one_of_two_servers_is_not_deployed(folder, tmp_path):
    """If the reports show the OAuth certificate only on some servers, it is not deployed, and the
    other servers are named.
    """
    oauth = find_id(ln.open_requests(folder), "deployment")
    certify(folder, oauth)
    record = read_manifest(folder).by_id[oauth]
    first, second = record.plan.servers
    path = report(tmp_path, first, record.issued.thumbprint_sha1)
    result = ln.deployed(folder, reports=[path], today=LATER)
    assert f"{oauth}: generation 1 is not recorded on {second}" in result.notes
    assert not find_generations(read_manifest(folder).by_id[oauth]).is_recorded
    path = report(tmp_path, second, record.issued.thumbprint_sha1)
    assert ln.deployed(folder, reports=[path], today=LATER).notes == ()
    assert find_generations(read_manifest(folder).by_id[oauth]).is_recorded


def test_server_name_selects_its_certificates(folder):
    """If you specify a server by its full name or the first label of its name, the deployment is
    recorded only for this server.
    """
    pool = pool_of(folder)
    first, *others = pool.plan.servers
    ln.deployed(folder, first.partition(".")[0].upper(), on=TODAY, today=LATER)
    manifest = read_manifest(folder)
    ours = [
        record for record in manifest.requests if record.issued and first in record.plan.servers
    ]
    assert [[d.server for d in record.deployments] for record in ours] == [[first]] * len(ours)
    assert not find_generations(manifest.by_id[pool.id]).is_recorded
    ln.deployed(folder, *others, today=LATER)
    assert find_generations(read_manifest(folder).by_id[pool.id]).deployed_on == "2026-12-24"


def test_only_the_server_that_imports_the_oauth_certificate_records_it(folder):
    """The name of a server records the OAuth certificate only if the server's sheet contains it.

    The OAuth certificate is imported on one server, and it replicates to the others.
    """
    oauth = find_id(ln.open_requests(folder), "deployment")
    certify(folder, oauth)
    first, *others = sorted(read_manifest(folder).by_id[oauth].plan.servers)
    result = ln.deployed(folder, *others, today=TODAY)
    assert oauth not in {entry.id for entry in result.recorded}
    assert any(f"{oauth} is imported on {first}" in note for note in result.notes)
    assert find_generations(read_manifest(folder).by_id[oauth]).deployed_on == ""
    result = ln.deployed(folder, first, today=TODAY)
    assert oauth in {entry.id for entry in result.recorded}


@pytest.mark.parametrize("names", [["ee*.contoso.com"], ["ee01", "ee02"], ["ee02", "ee01"]])
def test_names_of_several_servers_record_oauth_on_one_of_them(folder, names):
    """If the names select all servers, the OAuth certificate is recorded only for the server that
    imports it, and no note says that the certificate was not recorded.
    """
    oauth = find_id(ln.open_requests(folder), "deployment")
    certify(folder, oauth)
    servers = read_manifest(folder).by_id[oauth].plan.servers
    assert servers == ("ee01.contoso.com", "ee02.contoso.com")
    result = ln.deployed(folder, *names, today=TODAY)
    assert [entry.servers for entry in result.recorded if entry.id == oauth] == [servers[:1]]
    assert [note for note in result.notes if oauth in note] == [
        f"{oauth}: generation 1 was never packaged"
    ]


def test_requests_are_selected_by_id_pattern_or_serial_number(folder):
    """You can specify a request by the first characters of its id, a pattern of servers, a serial
    number or a hash.
    """
    pool = pool_of(folder)
    for name in (pool.id[:-2], pool.issued.serial, pool.issued.thumbprint_sha1, f"{pool.id[:6]}*"):
        result = ln.deployed(folder, name, today=TODAY)
        assert pool.id in {entry.id for entry in result.recorded}, name


def test_every_wrong_name_is_listed(folder):
    """If you specify an unknown name and a name without a certificate, lyncnb reports both and
    records nothing.
    """
    oauth = find_id(ln.open_requests(folder), "deployment")
    before = snapshot(folder, but_lock=True)
    with pytest.raises(BundleError) as caught:
        ln.deployed(folder, "nobody.contoso.com", oauth, today=TODAY)
    texts = [problem.message for problem in caught.value.problems]
    assert len(texts) == 2
    assert 'with the name "nobody.contoso.com"' in texts[0]
    assert "no certificate was received" in texts[1]
    assert snapshot(folder, but_lock=True) == before


def test_impossible_deployment_dates_are_rejected(folder):
    """A deployment date in the future, or before the start date of the certificate, is rejected."""
    with pytest.raises(OptionsError, match="2026-11-25 is in the future"):
        ln.deployed(folder, on=TODAY + timedelta(days=1), today=TODAY)
    with pytest.raises(BundleError, match="valid from 2026-11-23, which is after 2026-11-22"):
        ln.deployed(folder, pool_of(folder).id, on=date(2026, 11, 22), today=TODAY)
    # On this date, the CA certificates are not valid either.
    with pytest.raises(BundleError, match="valid from 2026-11-23, which is after 2001-01-01"):
        ln.deployed(folder, pool_of(folder).id, on=date(2001, 1, 1), today=TODAY)


def test_newest_issued_generation_is_recorded(folder):
    """If a newer request is still waiting, lyncnb records the deployment of the newest generation
    that has a certificate.
    """
    name = pool_of(folder).id
    renew(folder, name, certified=False)
    result = ln.deployed(folder, name, today=LATER)
    assert [entry.generation for entry in result.recorded] == [1]
    record = read_manifest(folder).by_id[name]
    assert find_generations(record).deployed_on == "2026-12-24"
    assert record.deployments == ()


def test_date_for_the_remaining_servers_is_not_a_correction(folder):
    """If the deployment is already recorded for some servers of a pool, recording the whole
    certificate as deployed sets the date only for the other servers.
    """
    pool = pool_of(folder)
    first, *_ = pool.plan.servers
    ln.deployed(folder, first, on=TODAY, today=LATER)
    ln.deployed(folder, pool.id, on=LATER, today=LATER)
    record = read_manifest(folder).by_id[pool.id]
    days = {deployment.server: deployment.on for deployment in record.deployments}
    assert days.pop(first) == str(TODAY)
    assert set(days.values()) == {str(LATER)}


def test_a_wrong_deployment_date_can_be_corrected(folder):
    """If the deployed command records a certificate again with another date, the new date replaces
    the recorded date, and the history shows only one deployment.
    """
    record = pool_of(folder)
    ln.deployed(folder, today=LATER)
    first = LATER - timedelta(days=3)
    for right in (first, first + timedelta(days=2)):
        result = ln.deployed(folder, record.id, on=right, today=LATER)
        assert [(entry.what, entry.on) for entry in result.recorded] == [("recorded", f"{right}")]
        now = read_manifest(folder).by_id[record.id]
        assert {deployment.on for deployment in now.every_deployment} == {f"{right}"}
        (part,) = certificate_history(folder, record.id).generations
        assert {(stay.since, stay.until) for stay in part.stays} == {(f"{right}", "")}
    ln.deployed(folder, on=LATER, today=LATER)
    now = read_manifest(folder).by_id[record.id]
    assert {deployment.on for deployment in now.every_deployment} == {f"{right}"}, "not named"


def test_server_without_a_planned_certificate_is_skipped_with_a_note(folder):
    """If a server's certificate is no longer planned, the deployed command skips the server with a
    note.
    """
    record = pool_of(folder)
    manifest = read_manifest(folder)
    save_manifest(
        folder,
        manifest.with_records(
            [replace(record, state="retired", retired_at="2026-12-01T00:00:00Z")]
        ),
    )
    result = ln.deployed(folder, record.plan.servers[0], today=LATER)
    words = f"lyncnb did not record the deployment of {record.id}"
    assert any(words in note for note in result.notes)
    assert record.id not in {entry.id for entry in result.recorded}


def test_an_expired_certificate_is_not_recorded_today(folder):
    """The deployment of an expired certificate cannot be recorded with the current date."""
    with pytest.raises(BundleError, match="no certificate that can be deployed"):
        ln.deployed(folder, pool_of(folder).id, today=date(2028, 1, 1))
    ln.deployed(folder, pool_of(folder).id, on=TODAY, today=date(2028, 1, 1))
    assert find_generations(pool_of(folder)).deployed_on == "2026-11-24"


def test_a_second_certificate_for_the_same_key_replaces_the_record(folder):
    """If a server gets a second certificate for the same key, the record of the second certificate
    replaces the record of the first one.
    """
    name = pool_of(folder).id
    ln.deployed(folder, name, today=TODAY)
    record = read_manifest(folder).by_id[name]
    ahead = replace(record.issued, sha256="b" * 64)
    moved = replace(
        record, deployments=tuple(replace(d, certificate=ahead.sha256) for d in record.deployments)
    )
    save_manifest(folder, read_manifest(folder).with_records([moved]))
    assert find_generations(moved).under_way == moved
    ln.deployed(folder, name, today=LATER)
    reread = read_manifest(folder).by_id[name]
    assert {d.certificate for d in reread.every_deployment} == {record.issued.sha256}
    assert find_generations(reread).under_way is None


def test_return_to_an_earlier_certificate_is_recorded(folder):
    """If servers went back to an earlier certificate, its serial number can be recorded, and the
    latest record applies.
    """
    name = pool_of(folder).id
    ln.deployed(folder, name, today=TODAY)
    renewed = renew(folder, name)
    ln.deployed(folder, name, today=LATER)
    assert find_generations(read_manifest(folder).by_id[name]).in_use.generation == 2
    return_date = LATER + timedelta(days=2)
    ln.deployed(folder, renewed.archived[0].issued.serial, today=return_date)
    life = find_generations(read_manifest(folder).by_id[name])
    assert (life.in_use.generation, life.used, life.deployed_on) == (1, {1}, str(return_date))


def test_a_report_records_what_the_server_uses(folder, tmp_path):
    """If the report of a server contains the thumbprint of a known certificate, lyncnb records the
    deployment to that server.

    Unknown thumbprints appear in a note.
    """
    pool = pool_of(folder)
    server, other = pool.plan.servers[:2]
    path = report(tmp_path, server, pool.issued.thumbprint_sha1, "", "AB" * 20)
    result = ln.deployed(folder, reports=[path], today=LATER)
    (seen,) = read_manifest(folder).by_id[pool.id].deployments
    assert (seen.server, seen.on, seen.seen_in) == (server, "2026-12-24", path.name)
    assert (
        f"{server} uses certificates that do not belong to this folder: {'AB' * 20}"
        in result.notes[0]
    )
    strange = report(tmp_path, "nobody.contoso.com", pool.issued.thumbprint_sha1)
    second_result = ln.deployed(folder, reports=[strange], today=LATER)
    assert "the request folder has no certificate for nobody.contoso.com" in second_result.notes[0]
    assert other not in repr(second_result)


def test_later_report_replaces_the_record(folder, tmp_path):
    """A server's report replaces the record if the report is later. lyncnb ignores an older report."""
    first = pool_of(folder)
    server = first.plan.servers[0]
    second = renew(folder, first.id)
    assert second.issued is not None
    ln.deployed(folder, first.id, on=LATER, today=LATER)
    assert find_generations(read_manifest(folder).by_id[first.id]).in_use.generation == 2
    old = first.issued.thumbprint_sha1
    before = report(tmp_path, server, old, at="2026-12-23T23:00:00Z")
    assert (
        "lyncnb does not replace the newer record"
        in ln.deployed(folder, reports=[before], today=LATER).notes[0]
    )
    after = report(tmp_path, server, second.issued.thumbprint_sha1, old, at="2026-12-26T10:00:00Z")
    result = ln.deployed(folder, reports=[after], today=LATER + timedelta(days=2))
    assert [(entry.generation, entry.what) for entry in result.recorded] == [
        (2, "no longer on the server"),
        (1, "recorded"),
    ]
    # The old certificate is in use again, so its key is kept.
    record = read_manifest(folder).by_id[first.id]
    assert server not in {deployment.server for deployment in record.deployments}
    assert find_generations(record).in_use.generation == 1


def test_every_wrong_report_is_listed(folder, tmp_path):
    """lyncnb validates each field of the servers' reports, and lists all faulty reports."""
    pool = pool_of(folder)
    server = pool.plan.servers[0]
    thumbprint = pool.issued.thumbprint_sha1
    wrong = report(tmp_path, server, "no digits", at="yesterday")
    other = tmp_path / "other.json"
    other.write_text('{"format": "lyncnb-plan/1"}')
    extended = report(tmp_path, "more.contoso.com", thumbprint, key="x")
    with pytest.raises(ReturnedFileError) as caught:
        ln.deployed(folder, reports=[wrong, other, extended, tmp_path / "none.json"], today=LATER)
    message = str(caught.value)
    for part in ("places[0].thumbprint", "'at'", "other.json", "Unknown key: 'key'", "none.json"):
        assert part in message
    future = report(tmp_path, server, thumbprint, at="2027-03-01T00:00:00Z")
    with pytest.raises(BundleError, match="in the future"):
        ln.deployed(folder, reports=[future], today=LATER)
    assert read_manifest(folder).by_id[pool.id].deployments == ()


def test_a_revocation_needs_a_request_in_the_folder(folder):
    """A revocation can be recorded only for a request in the folder.

    Recording the same revocation again changes nothing.
    """
    pool = pool_of(folder)
    revocation = Revocation(reason="keyCompromise", asked_at="2026-11-24T00:00:00Z")
    changed = pool.with_generation(1, revocation=revocation)
    save_manifest(folder, read_manifest(folder).with_records([changed]))
    with pytest.raises(OptionsError, match="requires the name of each"):
        ln.deployed(folder, revoked=True, today=LATER)
    other = next(record.id for record in read_manifest(folder).requests if record.id != pool.id)
    with pytest.raises(BundleError, match="you did not request a revocation of"):
        ln.deployed(folder, other, revoked=True, today=LATER)
    result = ln.deployed(folder, pool.id, revoked=True, on=TODAY, today=LATER)
    assert [entry.what for entry in result.recorded] == ["revoked"]
    recorded = read_manifest(folder).by_id[pool.id].revocation
    assert recorded.revoked_at == "2026-11-24T00:00:00Z"
    before = snapshot(folder, but_lock=True)
    ln.deployed(folder, pool.id, revoked=True, today=LATER)
    assert snapshot(folder, but_lock=True) == before


@pytest.mark.parametrize("is_retired", [True, False])
def test_second_certificate_for_a_compromised_key(tmp_path, is_retired):
    """If a CA issues another certificate for a compromised key, lyncnb refuses the new certificate,
    and keeps the old one on record. Each revocation is recorded with its serial number.
    """
    bundle, ca, path = make_folder(tmp_path / "requests"), PythonCa(), tmp_path / "answers.pem"
    folder, name = bundle.folder, find_id(bundle, "med01")
    path.write_bytes(pem(*issue_all(bundle, ca).values(), *ca.chain))
    ln.receive(folder, path, today=TODAY)
    old = read_manifest(folder).by_id[name]
    late = datetime(2026, 12, 23, tzinfo=UTC)
    path.write_bytes(pem(ca.issue_for(request_of(bundle, name), begins=late, days=199), *ca.chain))
    if is_retired:
        retired = replace(old, state="retired", retired_at="2026-11-24T00:00:00Z")
        save_manifest(folder, read_manifest(folder).with_records([retired]))
    ln.renew(folder, name, compromised=True, passphrase=PASSPHRASE, today=TODAY)
    received = ln.receive(folder, path, today=LATER)
    assert "key-compromised" in {finding.code for finding in received.findings}
    assert "replaces-earlier-certificate" not in {finding.code for finding in received.findings}
    record = read_manifest(folder).by_id[name]
    (part,) = (part for part in record.generations if part.generation == 1)
    assert part.issued.serial == old.issued.serial
    (refused,) = part.refused
    assert refused.file.startswith("returned/refused/")
    pending = [entry.serial for entry in list_certificates_to_revoke(record)]
    assert pending == [old.issued.serial, refused.serial]
    # The CA revokes the old certificate before it issues the new one.
    for day, serial in ((TODAY, old.issued.serial), (LATER, refused.serial)):
        result = ln.deployed(folder, name, revoked=True, on=day, today=LATER)
        assert [(entry.what, entry.serial) for entry in result.recorded] == [("revoked", serial)]
        pending.remove(serial)
        record = read_manifest(folder).by_id[name]
        assert [entry.serial for entry in list_certificates_to_revoke(record)] == pending


@pytest.fixture
def compromised(tmp_path):
    """Return a folder, a request with a compromised key, its CSR, and the CA that issued it."""
    bundle, ca, path = make_folder(tmp_path / "requests"), PythonCa(), tmp_path / "answers.pem"
    name = find_id(bundle, "med01")
    csr = request_of(bundle, name)
    path.write_bytes(pem(*issue_all(bundle, ca).values(), *ca.chain))
    ln.receive(bundle.folder, path, today=TODAY)
    ln.renew(bundle.folder, name, compromised=True, passphrase=PASSPHRASE, today=TODAY)
    return bundle.folder, name, csr, ca


def list_serials_to_revoke(folder, name):
    """Return the serial numbers of the certificates that the CA must still revoke."""
    return [
        entry.serial for entry in list_certificates_to_revoke(read_manifest(folder).by_id[name])
    ]


@pytest.mark.parametrize("case", ["older", "two in a file", "other root"])
def test_every_certificate_for_a_compromised_key_must_be_revoked(compromised, tmp_path, case):
    """Every further certificate for a compromised key is on the list of certificates to revoke.

    This includes an older one, several in one file, and one with another root.
    """
    folder, name, csr, ca = compromised
    days = {"older": (1,), "two in a file": (23, 24), "other root": (23,)}[case]
    month, issuer = (11 if case == "older" else 12), (PythonCa() if case == "other root" else ca)
    certificates = [
        issuer.issue_for(csr, begins=datetime(2026, month, day, tzinfo=UTC), days=100)
        for day in days
    ]
    old, path = list_serials_to_revoke(folder, name), tmp_path / "more.pem"
    path.write_bytes(pem(*certificates, *([] if case == "other root" else ca.chain)))
    received = ln.receive(folder, path, today=LATER)
    codes = [finding.code for finding in received.findings]
    assert codes.count("key-compromised") == len(certificates)
    assert ("issued-under-another-root" in codes) == (case == "other root")
    new = {f"{certificate.serial_number:x}" for certificate in certificates}
    assert {serial.lstrip("0") for serial in list_serials_to_revoke(folder, name)} == {
        serial.lstrip("0") for serial in (*old, *new)
    }
    before = snapshot(folder, but_lock=True)
    ln.receive(folder, path, today=LATER)
    assert snapshot(folder, but_lock=True) == before


@pytest.mark.parametrize("begins", [-5, 0])
def test_certificate_received_after_a_recorded_revocation_is_not_revoked(
    compromised, tmp_path, begins
):
    """A certificate for a compromised key that arrives after a recorded revocation is not revoked.

    This also applies if it is valid from the date of the revocation or before. After the second
    revocation, each certificate keeps the date of its own revocation.
    """
    folder, name, csr, ca = compromised
    (old,) = list_serials_to_revoke(folder, name)
    days = [TODAY + timedelta(days=number) for number in (2, 3)]
    ln.deployed(folder, name, revoked=True, on=days[0], today=days[0])
    start = datetime(*days[0].timetuple()[:3], 18, tzinfo=UTC) + timedelta(days=begins)
    path = tmp_path / "more.pem"
    path.write_bytes(pem(ca.issue_for(csr, begins=start, days=100), *ca.chain))
    ln.receive(folder, path, today=days[0])
    (new,) = list_serials_to_revoke(folder, name)
    assert new != old
    result = ln.deployed(folder, name, revoked=True, on=days[1], today=days[1])
    assert [(entry.what, entry.serial) for entry in result.recorded] == [("revoked", new)]
    assert list_serials_to_revoke(folder, name) == []
    result = ln.deployed(folder, name, revoked=True, on=days[1], today=days[1])
    assert [(entry.serial, entry.on) for entry in result.recorded] == [
        (old, days[0].isoformat()),
        (new, days[1].isoformat()),
    ]


def test_damaged_copy_of_a_compromised_certificate_is_not_listed_twice(compromised, tmp_path):
    """A damaged copy of the certificate on record is not another certificate to revoke."""
    folder, name, _, ca = compromised
    before, path = list_serials_to_revoke(folder, name), tmp_path / "more.pem"
    issued = read_manifest(folder).by_id[name].archived[0].issued
    certificate = x509.load_pem_x509_certificate((folder / issued.file).read_bytes())
    der = bytearray(certificate.public_bytes(serialization.Encoding.DER))
    der[-3] ^= 1
    path.write_bytes(pem(x509.load_der_x509_certificate(bytes(der)), *ca.chain))
    received = ln.receive(folder, path, today=LATER)
    assert "chain-signature-wrong" in [finding.code for finding in received.findings]
    assert list_serials_to_revoke(folder, name) == before


def test_as_is_file_records_used_certificates(folder, tmp_path):
    """If the export of a server contains a certificate, its deployment is recorded only if the
    server uses it.
    """
    pool = pool_of(folder)
    certificate = x509.load_pem_x509_certificate((folder / pool.issued.file).read_bytes())
    chain = x509.load_pem_x509_certificates((folder / pool.issued.chain).read_bytes())
    uses, has = pool.plan.servers[:2]
    for server, types in ((uses, pool.plan.usages), (has, ())):
        stored = [Stored(certificate, types=types)]
        (tmp_path / f"{server}.pem").write_bytes(export_of(server, stored, above=chain))
    survey = ln.compare_as_is(make_plan(), *tmp_path.glob("*.pem"))
    path = tmp_path / "asis.json"
    path.write_bytes(survey.to_json())
    result = ln.deployed(folder, reports=[path])
    assert [(entry.servers, entry.seen_in) for entry in result.recorded] == [((uses,), "asis.json")]
    assert f"{has} has the certificate of {pool.id}" in result.notes[0]
