"""lyncnb stores each issued certificate exactly once in the request folder, and stores no part of
it outside the folder.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from cas import python_ca
from cas.python_ca import PythonCa, der, p7b, pem
from cryptography.hazmat.primitives.asymmetric import ec
from folders import (
    PASSPHRASE,
    TODAY,
    edge_external,
    find_id,
    issue_all,
    make_folder,
    make_plan,
    request_of,
    snapshot,
)
from hostile import hostile_files, lay_out

from lyncnb.authorities.evaluation.evaluation import compute_entry_sha256
from lyncnb.authorities.import_certificates import receive, store_returned_certificates
from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.authorities.status import folder_status
from lyncnb.base.disk.folder_lock import lock_folder
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import BundleError
from lyncnb.export.executors import Making
from lyncnb.export.write import write_requests
from lyncnb.pki.certificates import read_certificate
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.request_record import IssuedRecord, RecordedEvaluation
from lyncnb.rules.returned_rules import compute_rules_identity

pytestmark = pytest.mark.usefixtures("quick_cipher")

CA = PythonCa()


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Return a request folder without certificates, which the tests copy."""
    folder = tmp_path_factory.mktemp("template") / "requests"
    make_folder(folder)
    return folder


@pytest.fixture
def folder(template, tmp_path):
    return shutil.copytree(template, tmp_path / "requests")


def write(path, data: bytes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_received_certificates_are_stored_and_recorded(folder, tmp_path):
    """Each certificate and its chain are written to the subfolder `returned` and recorded in the
    manifest.
    """
    bundle = open_requests(folder)
    answers = issue_all(bundle, CA)
    path = write(tmp_path / "all.p7b", p7b(*answers.values(), *CA.chain))
    issued = receive(folder, path, today=TODAY)
    assert issued.exit_status == 0
    for record in open_requests(folder).requests:
        certificate = answers[record.id]
        facts = read_certificate(der(certificate))
        assert (folder / "returned" / f"{record.id}.cer").read_bytes() == pem(certificate)
        assert (folder / "returned" / f"{record.id}.chain.pem").read_bytes() == pem(*CA.chain)
        assert record.state == "issued"
        assert record.issued == IssuedRecord(
            file=f"returned/{record.id}.cer",
            chain=f"returned/{record.id}.chain.pem",
            serial=record.issued.serial,
            thumbprint_sha1=facts.thumbprint,
            sha256=facts.sha256,
            not_before="2026-11-23T00:00:00Z",
            not_after="2027-06-09T23:59:59Z",
            received_at="2026-11-24T00:00:00Z",
            file_sha256=hashlib.sha256(pem(certificate)).hexdigest(),
            chain_sha256=hashlib.sha256(pem(*CA.chain)).hexdigest(),
            judgement=record.issued.judgement,
            issuer=facts.issuer_name,
        )
        assert record.issued.judgement == RecordedEvaluation(
            certificate=facts.sha256,
            chain=tuple(read_certificate(der(issuer)).sha256 for issuer in CA.chain),
            chain_complete=True,
            entry_sha256=compute_entry_sha256(record.plan),
            rules=compute_rules_identity(),
            judged_at="2026-11-24T00:00:00Z",
        )
        assert int(record.issued.serial, 16) == certificate.serial_number
    assert folder_status(folder, today=TODAY).counts()["issued"] == len(answers)


def test_receiving_again_changes_no_file(folder, tmp_path):
    """If the same files are received a second time, on any date, no file and no time stamp changes."""
    answers = issue_all(open_requests(folder), CA)
    path = write(tmp_path / "all.p7b", p7b(*answers.values(), *CA.chain))
    receive(folder, path, today=TODAY)
    before = snapshot(folder, but_lock=True)
    receive(folder, path, today=TODAY + timedelta(days=30))
    receive(folder, today=TODAY)  # The subfolder `returned` already contains these files.
    assert snapshot(folder, but_lock=True) == before


def test_certificates_can_be_received_one_at_a_time(folder, tmp_path):
    """A user can receive certificates one at a time. CA certificates that are received with one
    certificate also complete the chains of the other certificates.
    """
    bundle = open_requests(folder)
    answers = issue_all(bundle, CA)
    *most, last = answers.items()
    for request_id, certificate in most:
        issued = receive(folder, write(tmp_path / "one.cer", der(certificate)), today=TODAY)
        assert [finding.code for finding in issued.findings] == ["chain-incomplete"]
        assert not (folder / "returned" / f"{request_id}.chain.pem").exists()
    path = write(tmp_path / "last.p7b", p7b(last[1], *CA.chain))
    assert receive(folder, path, today=TODAY).exit_status == 0
    issued = receive(folder, today=TODAY)
    assert issued.exit_status == 0
    assert len(issued.certificates) == len(answers)
    for request_id in answers:
        assert (folder / "returned" / f"{request_id}.chain.pem").read_bytes() == pem(*CA.chain)


def test_newer_certificate_replaces_the_previous_one(folder, tmp_path):
    """If another certificate is received for the same request, the previous certificate and its
    chain move to the subfolder `archive`.
    """
    request_id = find_id(open_requests(folder), "med01")
    csr = request_of(open_requests(folder), request_id)
    first = CA.issue_for(csr, begins=python_ca.TODAY - timedelta(9), days=199)
    second = CA.issue_for(csr, days=199)
    receive(folder, write(tmp_path / "1.p7b", p7b(first, *CA.chain)), today=TODAY)
    issued = receive(folder, write(tmp_path / "2.cer", pem(second)), today=TODAY)
    assert [finding.code for finding in issued.findings] == ["replaces-earlier-certificate"]
    assert (folder / "returned" / f"{request_id}.cer").read_bytes() == pem(second)
    (archived,) = (folder / "archive").glob("*.cer")
    assert archived.read_bytes() == pem(first)
    manifest = open_requests(folder).manifest
    assert [event.event for event in manifest.log] == ["certificate-replaced"]
    issued = receive(folder, tmp_path / "1.p7b", today=TODAY)
    assert [finding.code for finding in issued.findings] == ["older-answer"]
    assert (folder / "returned" / f"{request_id}.cer").read_bytes() == pem(second)


def test_renewed_request(folder, tmp_path):
    """The certificate of a renewed request replaces the old certificate, which stays in the archive
    with its record.
    """
    request_id = find_id(open_requests(folder), "med01")
    first = CA.issue_for(request_of(open_requests(folder), request_id), days=150)
    receive(folder, write(tmp_path / "1.p7b", p7b(first, *CA.chain)), today=TODAY)
    bundle = write_requests(
        make_plan(), folder, passphrase=PASSPHRASE, findings=[], today=TODAY, making=Making(workers=1),
        renew=[request_id], reason="expires",
    )  # fmt: skip
    # The request folder already contains this certificate.
    assert receive(folder, tmp_path / "1.p7b", today=TODAY).exit_status == 0
    second = CA.issue_for(request_of(bundle, request_id), days=199)
    issued = receive(folder, write(tmp_path / "2.cer", pem(second)), today=TODAY)
    assert [finding.code for finding in issued.findings] == ["renews-earlier-certificate"]
    record = open_requests(folder).manifest.by_id[request_id]
    (old,) = record.archived
    assert (folder / old.issued.file).read_bytes() == pem(first)
    assert old.issued.file.startswith("archive/")
    assert (folder / record.issued.file).read_bytes() == pem(second)
    assert receive(folder, today=TODAY).exit_status == 0


def test_superseded(folder, tmp_path):
    """lyncnb reports a certificate for a superseded request, and stores the certificate with the
    old key, but does not package it.
    """
    request_id = find_id(open_requests(folder), "med01")
    old_csr = request_of(open_requests(folder), request_id)
    write_requests(
        make_plan(), folder, passphrase=PASSPHRASE, findings=[], today=TODAY, making=Making(workers=1),
        renew=[request_id], reason="key lost",
    )  # fmt: skip
    late = CA.issue_for(old_csr, days=199)
    path = write(tmp_path / "late.p7b", p7b(late, *CA.chain))
    issued = receive(folder, path, today=TODAY)
    assert [finding.code for finding in issued.findings] == [
        "answers-superseded-request",
        "root-to-compare",
    ]
    assert (folder / "archive" / f"{request_id}-g1.cer").read_bytes() == pem(late)
    record = open_requests(folder).manifest.by_id[request_id]
    assert (record.state, record.issued) == ("waiting", None)
    assert record.archived[0].issued.file == f"archive/{request_id}-g1.cer"
    before = snapshot(folder, but_lock=True)
    # After the first run, lyncnb knows this certificate.
    assert receive(folder, path, today=TODAY).exit_status == 0
    assert snapshot(folder, but_lock=True) == before


def test_files_copied_into_the_folder_are_read(folder):
    """lyncnb reads the files that the planner copies into the subfolder `returned`, and keeps all
    of them.
    """
    bundle = open_requests(folder)
    request_id, other = find_id(bundle, "med01"), edge_external(bundle)
    answers = issue_all(bundle, CA)
    # lyncnb reserves this file name.
    reserved_path = write(folder / "returned" / f"{request_id}.cer", der(answers[request_id]))
    write(folder / "returned" / "download(1).p7b", p7b(answers[other], *CA.chain))
    issued = receive(folder, today=TODAY)
    assert {certificate.request_id for certificate in issued.certificates} == {request_id, other}
    assert reserved_path.read_bytes() == pem(answers[request_id])
    (moved,) = (folder / "archive").glob("*.cer")
    assert moved.read_bytes() == der(answers[request_id])
    assert (folder / "returned" / "download(1).p7b").exists()


def test_hostile_files_are_reported(folder, tmp_path):
    """lyncnb reports each of sixty damaged, malicious or unrelated files, and changes no file."""
    key = ec.generate_private_key(ec.SECP256R1())
    foreign = python_ca.issue(
        key.public_key(), CA.issuing.subject, CA.key, subject=[("CN", "sip.contoso.com")]
    )
    files = hostile_files(CA, foreign, key)
    answers = tmp_path / "answers"
    answers.mkdir()
    lay_out(answers, files)
    inside, outside = snapshot(folder, but_lock=True), snapshot(answers, but_lock=True)
    issued = receive(folder, answers, today=TODAY)
    reported = {(finding.about, finding.code) for finding in issued.findings}
    assert {(name, code) for name, (_, code) in files.items()} <= reported
    assert issued.certificates == ()
    assert issued.exit_status == 2
    # lyncnb stores the CA certificates from all received files, and stores nothing else.
    after = snapshot(folder, but_lock=True)
    new = {Path(name) for name in after if after[name] != inside.get(name)}
    new = {path.relative_to(folder).as_posix() for path in new}
    other_names = {name for name in new if not name.startswith(("returned/issuers/", "record/"))}
    assert other_names == {"returned", "returned/issuers", "record"}
    assert snapshot(answers, but_lock=True) == outside
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers", "requests"]


def test_a_valid_certificate_in_an_invalid_file_is_rejected(folder, tmp_path):
    """If a file has an invalid format, the valid certificate in it is not accepted."""
    bundle = open_requests(folder)
    request_id = find_id(bundle, "med01")
    leaf = CA.issue_for(request_of(bundle, request_id), days=199)
    answers = tmp_path / "answers"
    answers.mkdir()
    forms = {
        "cut.der": der(leaf)[:-1],
        "trailing.der": der(leaf) + b"\x05\x00",
        "cut.pem": pem(leaf)[:-40],
        "cut.p7b": p7b(leaf, *CA.chain)[:-1],
    }
    for name, data in forms.items():
        write(answers / name, data)
    before = snapshot(folder, but_lock=True)
    issued = receive(folder, answers, today=TODAY)
    assert {finding.code for finding in issued.findings} == {"file-malformed"}
    assert issued.certificates == ()
    assert snapshot(folder, but_lock=True) == before


def test_forged_certificate_is_rejected(folder, tmp_path):
    """A certificate that has the request's key and the CA's name but is signed with another key has
    an incomplete chain. Without the key identifier, lyncnb rejects it.
    """
    bundle = open_requests(folder)
    request_id = find_id(bundle, "med01")
    forger = PythonCa()
    for has_key_id, code in ((False, "chain-signature-wrong"), (True, "chain-incomplete")):
        forged = forger.issue_for(
            request_of(bundle, request_id), days=199, issuer_key_id=has_key_id
        )
        path = write(tmp_path / "forged.p7b", p7b(forged, *CA.chain))
        issued = match_certificates(bundle, path, today=TODAY)
        assert [finding.code for finding in issued.findings] == [
            *(code, "chain-certificate-unused", "chain-certificate-unused"),
        ]
        assert issued.by_id[request_id].path == ()
        assert issued.by_id[request_id].has_errors is not has_key_id
        packages = write_pfx(receive(folder, path, today=TODAY), passphrase=PASSPHRASE, today=TODAY)
        assert packages.counts()["written"] == 0


def test_nothing_is_stored_in_a_locked_folder(folder, tmp_path):
    """While another process writes to the request folder, nothing is stored, and the message names
    that process.
    """
    answers = issue_all(open_requests(folder), CA)
    path = write(tmp_path / "all.p7b", p7b(*answers.values(), *CA.chain))
    with lock_folder(folder), pytest.raises(BundleError, match="is in use by"):
        receive(folder, path, today=TODAY, lock_seconds=0)
    assert not (folder / "returned").exists()


def test_a_request_that_changes_before_storage_gets_no_certificate(folder, tmp_path):
    """If a request changes between the matching and the storage of its certificate, lyncnb does not
    store the certificate.
    """
    bundle = open_requests(folder)
    request_id = find_id(bundle, "med01")
    path = write(tmp_path / "a.cer", pem(issue_all(bundle, CA)[request_id]))
    issued = match_certificates(bundle, path, today=TODAY)
    write_requests(
        make_plan(), folder, passphrase=PASSPHRASE, findings=[], today=TODAY, making=Making(workers=1),
        renew=[request_id], reason="test",
    )  # fmt: skip
    with pytest.raises(BundleError, match="the request changed while"):
        store_returned_certificates(bundle, issued, today=TODAY)


def test_lost_file(folder, tmp_path):
    """If a recorded file is missing, lyncnb reports the file. If the same certificate is received
    again, lyncnb writes the file again.
    """
    bundle = open_requests(folder)
    request_id = find_id(bundle, "med01")
    answer = write(tmp_path / "a.p7b", p7b(issue_all(bundle, CA)[request_id], *CA.chain))
    receive(folder, answer, today=TODAY)
    path = folder / "returned" / f"{request_id}.cer"
    content = path.read_bytes()
    path.unlink()
    issued = match_certificates(open_requests(folder), today=TODAY)
    assert ("file-unreadable", request_id) in {(f.code, f.about) for f in issued.findings}
    repeated = receive(folder, answer, today=TODAY)
    assert path.read_bytes() == content
    assert {f.code for f in repeated.findings} == {f.code for f in issued.findings} - {
        "file-unreadable"
    }


def test_a_lost_folder_of_returned_files_is_rebuilt(folder, tmp_path):
    """If the subfolder `returned` is lost, receiving the files again restores it without findings."""
    answers = issue_all(open_requests(folder), CA)
    answer = write(tmp_path / "all.p7b", p7b(*answers.values(), *CA.chain))
    receive(folder, answer, today=TODAY)
    before = snapshot(folder / "returned", but_lock=True)
    shutil.rmtree(folder / "returned")
    problems = folder_status(folder, today=TODAY).problems
    assert any("lyncnb receive" in problem.hint for problem in problems)
    repeated = receive(folder, answer, today=TODAY)
    assert [finding for finding in repeated.findings if finding.severity != "notice"] == []
    assert repeated.exit_status == 0
    after = snapshot(folder / "returned", but_lock=True)
    kinds = [{name: (facts[0], facts[3]) for name, facts in x.items()} for x in (before, after)]
    assert kinds[0] == kinds[1]
    assert folder_status(folder, today=TODAY).problems == ()
    # If a file is not received again, lyncnb still reports it as missing.
    shutil.rmtree(folder / "returned")
    path = write(tmp_path / "one.p7b", p7b(next(iter(answers.values()))))
    codes = {finding.code for finding in receive(folder, path, today=TODAY).findings}
    assert "file-unreadable" in codes


def test_public_files(folder, tmp_path):
    """All users can read the certificate files, but only the owner can read the folder of old keys."""
    answers = issue_all(open_requests(folder), CA)
    receive(folder, write(tmp_path / "all.p7b", p7b(*answers.values(), *CA.chain)), today=TODAY)
    modes = {path.stat().st_mode & 0o777 for path in (folder / "returned").rglob("*.*")}
    assert modes == {0o644}
    assert (folder / "archive").stat().st_mode & 0o777 == 0o700


def test_no_private_key_is_stored(folder, tmp_path):
    """If a private key is returned together with a certificate, lyncnb does not store the key."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = ec.generate_private_key(ec.SECP256R1())
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    answers = issue_all(open_requests(folder), CA)
    path = write(tmp_path / "all.pem", text + pem(*answers.values(), *CA.chain))
    issued = receive(folder, path, today=TODAY)
    assert {finding.code for finding in issued.findings} == {
        "private-key-in-file",
        "root-to-compare",
    }
    assert len(issued.certificates) == len(answers)
    secret = text.splitlines()[1]
    assert not any(secret in file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_many_files(folder, tmp_path, monkeypatch):
    """If many files are stored, lyncnb writes them to the disk in groups, with the same result as
    for single files.
    """
    from lyncnb.authorities import import_certificates

    monkeypatch.setattr(import_certificates, "_FILES_AT_ONCE", 3)
    answers = issue_all(open_requests(folder), CA)
    path = write(tmp_path / "all.p7b", p7b(*answers.values(), *CA.chain))
    receive(folder, path, today=TODAY)
    assert len(receive(folder, today=TODAY).certificates) == len(answers)


def test_interrupted_move_to_the_archive_is_completed(folder, tmp_path):
    """If a run stopped after it created a link to an old certificate in the archive, the next run
    completes the move.
    """
    request_id = find_id(open_requests(folder), "med01")
    csr = request_of(open_requests(folder), request_id)
    first = CA.issue_for(csr, begins=python_ca.TODAY - timedelta(9), days=199)
    second = CA.issue_for(csr, days=199)
    receive(folder, write(tmp_path / "1.p7b", p7b(first, *CA.chain)), today=TODAY)
    leaf = folder / "returned" / f"{request_id}.cer"
    digest = hashlib.sha256(leaf.read_bytes()).hexdigest()[:8]
    moved = folder / "archive" / f"{request_id}-{digest}.cer"
    moved.hardlink_to(leaf)  # The new file name is on disk, and the old file name still exists.
    receive(folder, write(tmp_path / "2.cer", pem(second)), today=TODAY)
    assert leaf.read_bytes() == pem(second)
    assert moved.read_bytes() == pem(first)


def test_control_characters_are_shown_as_numbers(folder, tmp_path):
    """Control characters in the names of files and CAs are always shown as numbers, so that they
    cannot control a terminal.
    """
    escape = "\x1b[2J"
    ca = PythonCa(f"Contoso{escape}")
    request_id = find_id(open_requests(folder), "med01")
    certificate = ca.issue_for(
        request_of(open_requests(folder), request_id),
        subject=[("CN", f"med01.contoso.com{escape}")],
        san=[f"med01{escape}.contoso.com"],
    )
    answers = tmp_path / "answers"
    write(answers / f"a{escape}\n.cer", pem(certificate))
    write(answers / f"b{escape}.txt", b"hello")
    with zipfile.ZipFile(answers / "c.zip", "w") as archive:
        archive.writestr(f"d{escape}.cer", b"hello")
    issued = receive(folder, answers, today=TODAY)
    assert len(issued.certificates) == 1
    assert "\x1b" not in issued.to_text()
    assert "<U+001B>" in issued.to_text()
    assert all(line.isprintable() for line in issued.to_text().splitlines())
    assert "\x1b" not in str(issued.to_document()["findings"])
