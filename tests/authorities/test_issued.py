"""lyncnb matches and shows the certificates in a request folder."""

from __future__ import annotations

import json

import pytest
from cas.python_ca import PythonCa, p7b, pem
from folders import TODAY, edge_external, find_id, issue_all, issued_record, make_folder

from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.errors import BundleError, ReturnedFileError
from lyncnb.request_folder.entries import build_entry, write_entry
from lyncnb.request_folder.manifest import build_change, read_manifest

pytestmark = pytest.mark.usefixtures("quick_cipher")

CA = PythonCa()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("issued") / "requests")


@pytest.fixture(scope="module")
def answers(bundle, tmp_path_factory):
    """Return a request folder in which one request has no certificate, one certificate differs from
    the plan, and one file is unrelated.
    """
    folder = tmp_path_factory.mktemp("answers")
    skipped = find_id(bundle, "med01")
    for request_id, certificate in issue_all(bundle, CA, skip=[skipped]).items():
        (folder / f"{request_id}.p7b").write_bytes(p7b(certificate, *CA.chain))
    differing = issue_all(bundle, CA, crl=())[edge_external(bundle)]
    (folder / f"{edge_external(bundle)}.p7b").write_bytes(p7b(differing, *CA.chain))
    (folder / "notes.txt").write_text("installed on Friday")
    return folder


@pytest.fixture(scope="module")
def issued(bundle, answers):
    return match_certificates(bundle, answers, today=TODAY)


def test_matched(bundle, issued):
    """Every certificate is matched to its request. A request without a certificate has the state
    "waiting".
    """
    waiting = find_id(bundle, "med01")
    assert [certificate.request_id for certificate in issued.certificates] == [
        record.id for record in bundle.requests if record.id != waiting
    ]
    # The external Edge certificate has an error that is not accepted, so its request is still
    # waiting.
    assert set(issued.waiting) == {waiting, edge_external(bundle)}
    assert issued.superseded == ()


def test_findings_are_listed_with_errors_first(bundle, issued):
    """lyncnb lists the findings about certificates and files, with the errors first."""
    assert [(finding.severity, finding.code, finding.about) for finding in issued.findings] == [
        ("error", "crl-distribution-point-absent", edge_external(bundle)),
        ("notice", "file-without-certificate", "notes.txt"),
        ("notice", "root-to-compare", issued.findings[2].about),
    ]
    assert issued.has_errors
    assert issued.by_id[edge_external(bundle)].has_errors
    assert issued.exit_status == 1


def test_certificate(bundle, issued):
    """A matched certificate contains the data that the pfx and steps commands need."""
    request_id = find_id(bundle, "ee01")
    certificate = issued.by_id[request_id]
    assert certificate.subject == "O=Contoso, CN=eepool.contoso.com"
    assert certificate.names == bundle.manifest.by_id[request_id].plan.san
    assert certificate.issuer_name == "Contoso Issuing CA 1"
    assert len(certificate.thumbprint) == 40
    assert len(certificate.sha256) == 64
    assert certificate.serial > 0
    assert certificate.chain == tuple(issuer.der for issuer in certificate.path)
    assert len(certificate.chain) == 2
    assert certificate.chain_complete
    assert (f"{certificate.not_before:%Y-%m-%d}", f"{certificate.not_after:%Y-%m-%d}") == (
        "2026-11-23",
        "2027-06-09",
    )
    assert certificate.source_file == f"{request_id}.p7b"
    assert certificate.earlier is None
    assert not certificate.has_errors


def test_tables(issued):
    """Certificates and findings are shown as tables in a terminal and in a notebook.

    Values from files are escaped.
    """
    frame = issued.to_frame()
    assert len(frame) == len(issued.certificates)
    assert list(frame["Chain"].unique()) == ["complete"]
    assert list(issued.findings.to_frame()["Code"]) == [
        "crl-distribution-point-absent",
        "file-without-certificate",
        "root-to-compare",
    ]
    html = issued._repr_html_()
    assert "2 requests waiting; 1 error, 2 notices" in html
    assert "<script" not in html
    assert repr(issued) == issued.summary()


def test_text(issued):
    """In a terminal, certificates and findings are shown as plain lines with hints."""
    lines = issued.to_text().splitlines()
    assert lines[-1].startswith(f"{len(issued.certificates)} certificates matched in ")
    assert any(line.startswith("error: Edge-") for line in lines)
    assert any(line.startswith("  hint: For AD CS, publish a CDP") for line in lines)


def test_json_document_has_plain_values(issued):
    """The JSON document about the issued certificates has only plain JSON values."""
    document = json.loads(json.dumps(issued.to_document()))
    assert document["format"] == "lyncnb-received/1"
    assert document["waiting"] == list(issued.waiting)
    first = document["certificates"][0]
    assert first["chain"] == ["CN=Contoso Issuing CA 1, O=Contoso", "CN=Contoso Root CA"]
    assert first["not_before"] == "2026-11-23T00:00:00Z"
    assert first["san"] == list(issued.certificates[0].names)
    assert {finding["code"] for finding in document["findings"]} == {
        "crl-distribution-point-absent",
        "file-without-certificate",
        "root-to-compare",
    }


def test_nothing_is_written(bundle, issued):
    """Matching certificates with requests changes no file in the request folder."""
    assert not (bundle.folder / "returned").exists()
    assert read_manifest(bundle.folder) == bundle.manifest


@pytest.mark.parametrize(
    ("data", "status"),
    [(None, 0), (b"notes", 0), (b"\x30\x82\x01\x00", 2), (b"", 2)],
)
def test_exit_status(bundle, tmp_path, data, status):
    """The exit status differs for an unreadable file, for an error about a difference, and for a
    notice.
    """
    if data is not None:
        (tmp_path / "x").write_bytes(data)
    assert match_certificates(bundle, tmp_path, today=TODAY).exit_status == status


def test_own_folder_is_the_default(bundle):
    """If no path is specified, lyncnb reads the subfolder `returned`, which may be missing."""
    issued = match_certificates(bundle, today=TODAY)
    assert (issued.certificates, issued.files, len(issued.findings)) == ((), (), 0)
    assert len(issued.waiting) == len(bundle.requests)


def test_missing_path(bundle, tmp_path):
    """If you specify a path that does not exist, lyncnb raises an error."""
    with pytest.raises(ReturnedFileError, match="no such file or folder"):
        match_certificates(bundle, tmp_path / "nowhere", today=TODAY)


@pytest.mark.parametrize("path", ["../../etc/passwd", "../keys/a.key", "returned\\..\\x"])
def test_planted_entry(tmp_path, path):
    """If an entry of the record names a certificate file outside the request folder, lyncnb does not
    read that file.
    """
    bundle = make_folder(tmp_path / "requests")
    first = bundle.requests[0]
    record = first.with_issued_certificate(issued_record(), at="2026-11-24T00:00:00Z")
    events = build_change(bundle.manifest, bundle.manifest.with_records([record]))
    planted = [
        {**event, "file": path} if event["type"] == "received" else event for event in events
    ]
    assert planted != events
    at = "2026-11-24T00:00:00Z"
    name, data, _ = build_entry(planted, number=9, at=at, user=("", ""), command="receive")
    write_entry(bundle.folder, name, data)
    from lyncnb.request_folder.bundle import open_requests

    with pytest.raises(BundleError, match="must be a file in the folder") as caught:
        match_certificates(open_requests(bundle.folder), today=TODAY)
    assert f"{first.id}.issued.file" in str(caught.value)


def test_the_evaluation_date_can_be_specified(bundle, answers):
    """You can specify the evaluation date as an argument. The default is the current date."""
    from datetime import UTC, date, datetime, timedelta

    late = match_certificates(bundle, answers, today=date(2030, 1, 1))
    assert {finding.code for finding in late.findings if finding.about.startswith("Front")} == {
        "certificate-expired"
    }
    day = datetime.now(UTC).date()
    # The date may have changed at midnight during the test.
    assert match_certificates(bundle, answers).today in (day, day + timedelta(days=1))


def test_pem_in_one_file(bundle, tmp_path):
    """If a single PEM file contains several certificates, each is matched to its request."""
    path = tmp_path / "all.pem"
    path.write_bytes(pem(*issue_all(bundle, CA).values(), *CA.chain))
    issued = match_certificates(bundle, path, today=TODAY)
    assert len(issued.certificates) == len(bundle.requests)
    assert issued.exit_status == 0
