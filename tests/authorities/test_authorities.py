"""Real, independent certification authorities issue certificates for the requests of the sample
deployment.

Every request is handed over, taken out of the package, submitted, answered in the CA's format,
received and compared. pkilint checks each certificate. The daemons listen only on loopback, on
ports that the system chooses, and stop with their test.
"""

from __future__ import annotations

import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import certsrv
import pytest
from authorities.test_compare_certificate import make_certificate
from cas.certsrv_stand_in import StandIn
from cas.cfssl_ca import CfsslCa
from cas.linters import SAME, disagreements
from cas.nss_ca import NssCa
from cas.openssl_ca import OpensslCa
from cas.pebble_ca import PebbleCa
from cas.python_ca import der
from cas.tool_cas import CerttoolCa, EasyRsaCa, KeytoolCa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from folders import P256, make_folder, make_plan, snapshot
from planned_entry import DAY, ENTRY, NAMES, SUBJECT

from lyncnb.authorities.evaluation.compare_certificate import compare_certificate
from lyncnb.authorities.handover import hand_over
from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.returned.issued import IssuedCertificates
from lyncnb.authorities.status import folder_status
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.pki.certificates import read_certificate
from lyncnb.request_folder.bundle import open_requests

pytestmark = pytest.mark.ca

Submit = Callable[[bytes], dict[str, bytes]]


@pytest.fixture(autouse=True)
def _disable_proxies(monkeypatch):
    """Disable proxies and trust settings of this computer for connections to loopback addresses."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, data) -> dict[str, Path]:
    """Return several request folders of the sample deployment, one of them with RSA keys.

    Tests copy them.
    """
    folder = tmp_path_factory.mktemp("requests")
    plans = {
        "P256": make_plan(data / "contoso.csv", key=P256),
        "RSA": make_plan(data / "contoso.csv", key=KeyParameters(algorithm="RSA", bits=2048)),
        "small": make_plan(key=KeyParameters(algorithm="RSA", bits=2048)),
        # No ACME CA accepts a request without a SAN. According to Microsoft, the internal Edge
        # certificate has no SAN, so this plan adds names to it.
        "public with SAN": make_plan(
            data / "contoso.csv", key=P256, edge_member_names=True, issuer={"": "public"}
        ),
    }
    return {name: make_folder(folder / name, plan).folder for name, plan in plans.items()}


def copy_of(folder: Path, work_folder: Path) -> Path:
    return shutil.copytree(folder, work_folder / "requests")


def packed_requests(folder: Path, work_folder: Path) -> list[bytes]:
    """Extract the CSRs from the package, as the CA's administrators do."""
    hand_over(folder, work_folder / "package.zip")
    with zipfile.ZipFile(work_folder / "package.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".csr"))
        requests = [archive.read(name) for name in names]
    assert len(requests) == len(open_requests(folder).requests)
    return requests


#: Findings about a certificate that is planned for a public CA but issued by a private CA, and the
#: reason to accept them.
PRIVATE_CA = {"policy-of-public-ca-absent": "this CA is a private one"}
OF_A_PRIVATE_CA = ("policy-of-public-ca-absent", "timestamps-too-few")
NO_CRL = {"crl-distribution-point-absent": "this CA publishes no list"}


def issue_and_receive(
    folder: Path,
    work_folder: Path,
    submit: Submit,
    chain: dict[str, bytes] | None = None,
    accept: dict[str, str] | None = None,
) -> IssuedCertificates:
    """Have the CA issue a certificate for every request, and receive the certificates in random
    order and under random file names.
    """
    requests = packed_requests(folder, work_folder)
    random.Random(7).shuffle(requests)
    answers = work_folder / "answers"
    answers.mkdir()
    for number, request in enumerate(requests):
        for name, content in submit(request).items():
            (answers / f"{number:02}-{name}").write_bytes(content)
    for name, content in (chain or {}).items():
        (answers / name).write_bytes(content)
    issued = receive(folder, answers, accept=accept)
    before = snapshot(folder, but_lock=True)
    receive(folder, answers, accept=accept)
    assert snapshot(folder, but_lock=True) == before
    return issued


def check_all(
    folder: Path, issued: IssuedCertificates, *codes: str, public: tuple[str, ...] = ()
) -> None:
    """Check that every certificate was issued with exactly the expected findings, and that pkilint
    agrees with lyncnb.

    `public` are additional findings of certificates that were planned for a public CA.
    """
    records = open_requests(folder).manifest.by_id
    assert [certificate.request_id for certificate in issued.certificates] == list(records)
    assert issued.waiting == ()
    for certificate in issued.certificates:
        plan = records[certificate.request_id].plan
        expected = {*codes, *(public if plan.issuer == "public" else ())}
        ours = {finding.code for finding in certificate.findings}
        assert ours == expected, certificate.request_id
        assert certificate.chain_complete
        # Microsoft plans no SAN for the internal Edge certificate. The rules for public CAs require
        # a SAN.
        apart = frozenset() if plan.san else frozenset({"common-name-not-in-san"})
        assert disagreements(ours, certificate.der, left_out=apart) == [], certificate.request_id
    # The finding root-to-compare is about a file and not about a request, so it is excluded.
    of_requests = [finding for finding in issued.findings if finding.code != "root-to-compare"]
    assert {finding.about for finding in of_requests} <= set(records)
    assert folder_status(folder).counts() == {"issued": len(records)}


def test_openssl(folders, tmp_path):
    """A two-tier OpenSSL CA issues the requested certificates in four file formats, and OpenSSL
    verifies each certificate.
    """
    folder = copy_of(folders["RSA"], tmp_path)
    ca = OpensslCa(tmp_path / "ca")
    issued = issue_and_receive(folder, tmp_path, ca.submit)
    check_all(folder, issued)
    assert issued.exit_status == 0
    for certificate in issued.certificates:
        for name in certificate.names or certificate.certificate.common_names:
            ca.verify(folder / "returned" / f"{certificate.request_id}.cer", name)


def test_zip_file_is_received_like_individual_files(folders, tmp_path):
    """A zip file that contains all certificates is received in the same way as individual files."""
    folder = copy_of(folders["P256"], tmp_path)
    ca = OpensslCa(tmp_path / "ca")
    answers = {}
    for number, request in enumerate(packed_requests(folder, tmp_path)):
        answers |= {f"mail/{number}/{k}": v for k, v in ca.submit(request).items()}
    with zipfile.ZipFile(tmp_path / "answers.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in answers.items():
            archive.writestr(name, content)
    check_all(folder, receive(folder, tmp_path / "answers.zip"))


def test_cfssl(folders, tmp_path):
    """The cfssl server returns certificates as PEM over HTTP, and lyncnb receives its CA
    certificate as a file.
    """
    folder = copy_of(folders["P256"], tmp_path)
    with CfsslCa(tmp_path / "ca") as ca:
        issued = issue_and_receive(folder, tmp_path, ca.submit, ca.chain(), PRIVATE_CA)
    check_all(folder, issued, public=OF_A_PRIVATE_CA)


def test_nss_signs_every_request(folders, tmp_path):
    """If the certificates contain a CRL URL, the NSS tools sign every request, and lyncnb receives
    each certificate without manual work.
    """
    folder = copy_of(folders["P256"], tmp_path)
    ca = NssCa(tmp_path / "ca")
    issued = issue_and_receive(folder, tmp_path, ca.submit, ca.chain(), PRIVATE_CA)
    check_all(folder, issued, public=("web-pki-objection", *OF_A_PRIVATE_CA))
    assert (
        issued.exit_status == 1
    )  # One warning remains, because a private CA has no certificate transparency log.


def test_nss_without_a_crl(folders, tmp_path):
    """lyncnb reports that certificates from the NSS tools have no CRL distribution point.

    Lync Server requires one, but the NSS tools write none by default. The certificates are accepted
    with a reason.
    """
    folder = copy_of(folders["P256"], tmp_path)
    ca = NssCa(tmp_path / "ca", crl="")
    issued = issue_and_receive(folder, tmp_path, ca.submit, ca.chain(), NO_CRL | PRIVATE_CA)
    public = ("web-pki-objection", *OF_A_PRIVATE_CA)
    check_all(folder, issued, "crl-distribution-point-absent", public=public)
    assert (
        issued.exit_status == 1
    )  # One warning remains, because a private CA has no certificate transparency log.


@pytest.mark.parametrize("kind", [CerttoolCa, KeytoolCa, EasyRsaCa])
def test_certtool_keytool_and_easy_rsa(folders, tmp_path, kind):
    """The tools certtool, keytool and easy-rsa sign every request, and lyncnb receives each
    certificate without manual work.
    """
    folder = copy_of(folders["small"], tmp_path)
    ca = kind(tmp_path / "ca")
    issued = issue_and_receive(folder, tmp_path, ca.submit, ca.chain(), PRIVATE_CA)
    assert issued.waiting == ()
    assert not issued.has_errors
    assert all(certificate.chain_complete for certificate in issued.certificates)
    assert folder_status(folder).counts() == {"issued": len(open_requests(folder).requests)}


def test_pebble(folders, tmp_path):
    """The ACME server Pebble omits the subject, adds client authentication, and offers OCSP but no
    CRL.

    lyncnb reports all of it and accepts each certificate without manual work.
    """
    folder = copy_of(folders["public with SAN"], tmp_path)
    with PebbleCa(tmp_path / "ca") as ca:
        issued = issue_and_receive(folder, tmp_path, ca.submit, ca.chain(), PRIVATE_CA)
    assert not issued.has_errors
    check_all(
        folder,
        issued,
        "common-name-missing",
        "subject-field-dropped",
        "eku-client-auth-added",
        "crl-distribution-point-spared",
        *OF_A_PRIVATE_CA,
    )


@pytest.fixture
def stand_in(tmp_path) -> Iterator[StandIn]:
    with StandIn(tmp_path / "adcs") as made_one:
        yield made_one


def client(stand_in: StandIn) -> certsrv.Certsrv:
    return certsrv.Certsrv(
        stand_in.address, "planner", "for the tests", cafile=str(stand_in.trusted), timeout=60
    )


def test_ad_cs(folders, stand_in, tmp_path):
    """The AD CS web pages return base64 with CRLF line endings, and PKCS #7 with the PEM label
    CERTIFICATE.
    """
    folder = copy_of(folders["RSA"], tmp_path)
    pages = client(stand_in)

    def submit(request: bytes) -> dict[str, bytes]:
        encoding = "b64" if len(request) % 2 else "bin"
        return {"certnew.cer": pages.get_cert(request.decode(), "WebServer", encoding=encoding)}

    chain = pages.get_chain(encoding="b64")
    assert chain.startswith(b"-----BEGIN CERTIFICATE-----\r\n")
    issued = issue_and_receive(folder, tmp_path, submit, {"certnew.p7b": chain})
    check_all(folder, issued)


def request(
    *names: str, subject=(("CN", "a.contoso.com"),), key=None, template: bytes = b""
) -> x509.CertificateSigningRequest:
    oids = {"CN": NameOID.COMMON_NAME, "O": NameOID.ORGANIZATION_NAME}
    fields = [x509.NameAttribute(oids[short], value) for short, value in subject]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(fields))
    if names:
        san = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(san, critical=not subject)
    if template:
        extension = x509.UnrecognizedExtension(
            x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2"), template
        )
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())


def text(csr: x509.CertificateSigningRequest) -> str:
    return csr.public_bytes(Encoding.PEM).decode()


def tampered() -> str:
    data = bytearray(request("a.contoso.com").public_bytes(Encoding.DER))
    data[data.index(b"a.contoso.com")] = ord("b")
    return text(x509.load_der_x509_csr(bytes(data)))


# Each DNS name has 25 characters.
MANY = [f"{number:03}.{'x' * 9}.contoso.com" for number in range(152)]


@pytest.mark.parametrize(
    ("csr", "template", "code"),
    [
        (tampered, "WebServer", "0x80090006"),
        (lambda: text(request("a.contoso.com")), "", "0x80094801"),
        # AD CS rejects the display name of the template and requires the template name.
        (lambda: text(request("a.contoso.com")), "Web Server", "0x80094800"),
        (lambda: text(request(subject=())), "WebServer", "0x80094001"),
        (lambda: text(request("a.contoso.com", subject=[("O", "x" * 65)])), "WebServer", "0x80094001"),
        (lambda: text(request(*MANY)), "WebServer", "0xc80005e2"),
        (lambda: text(request("a.contoso.com", key=rsa.generate_private_key(65537, 1024))), "WebServer", "0x80094811"),
    ],
    ids=["tampered", "no template", "unknown template", "no name", "long field", "many names", "small key"],
)  # fmt: skip
def test_ad_cs_refusals(stand_in, csr, template, code):
    """The client receives each of the seven error numbers of the AD CS policy module."""
    with pytest.raises(certsrv.RequestDeniedException, match=code):
        client(stand_in).get_cert(csr(), template)


def test_ad_cs_limit(stand_in):
    """The CA database of AD CS accepts 151 names of 25 characters, but not 152."""
    fits = request(*MANY[:151])
    made_one = client(stand_in).get_cert(text(fits), "WebServer", encoding="bin")
    names = x509.load_der_x509_certificate(made_one).extensions
    san = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert len(san) == 151
    assert len(san.public_bytes()) == 4081


def test_ad_cs_ignores_a_san_attribute(stand_in):
    """AD CS ignores a SAN that is sent as a request attribute, and issues the certificate with the
    SAN in the CSR.
    """
    made_one = client(stand_in).get_cert(
        text(request("a.contoso.com")), "WebServer", "bin", attributes="SAN:dns=evil.contoso.com"
    )
    facts = read_certificate(made_one)
    assert facts.dns_names == ("a.contoso.com",)


def test_ad_cs_template_in_request(stand_in):
    """A CSR may contain the template name, but the request attribute takes precedence."""
    web_request = request("a.contoso.com", template=b"\x1e\x12" + "WebServer".encode("utf-16-be"))
    assert read_certificate(client(stand_in).get_cert(text(web_request), "", encoding="bin"))
    other = request("a.contoso.com", template=b"\x1e\x08" + "None".encode("utf-16-be"))
    assert read_certificate(client(stand_in).get_cert(text(other), "WebServer", encoding="bin"))


def test_ad_cs_pending(folders, stand_in, tmp_path):
    """A request that waits for approval is issued later, and the certificate is retrieved by its
    request ID.
    """
    folder = copy_of(folders["P256"], tmp_path)
    pages = client(stand_in)
    first = packed_requests(folder, tmp_path)[0]
    with pytest.raises(certsrv.CertificatePendingException) as waiting:
        pages.get_cert(first.decode(), "LyncApproved")
    number = waiting.value.req_id
    with pytest.raises(certsrv.CouldNotRetrieveCertificateException):
        pages.get_existing_cert(number)
    stand_in.approve(int(number))
    path = tmp_path / "certnew.cer"
    path.write_bytes(pages.get_existing_cert(number))
    assert len(receive(folder, path).certificates) == 1


def test_ad_cs_requires_a_password(stand_in):
    """The AD CS web pages require authentication."""
    pages = client(stand_in)
    assert pages.check_credentials()
    pages.update_credentials("planner", "guess")
    assert not pages.check_credentials()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("-sha1",), "signature-hash-sha1"),
        (("-sigopt", "rsa_padding_mode:pss"), "signature-pss"),
        (("-sha384",), "signature-hash-differs"),
    ],
)
def test_a_finding_names_the_signature_algorithm(folders, tmp_path, options, code):
    """lyncnb accepts every valid signature of the CA, and a finding names the signature algorithm."""
    from cas import run

    folder = copy_of(folders["P256"], tmp_path)
    ca = OpensslCa(tmp_path / "ca")
    record = next(r for r in open_requests(folder).requests if r.plan.role == "Mediation")
    run(
        *("openssl", "x509", "-req", "-in", folder / record.files.csr, "-CA", "issuing.pem"),
        *("-CAkey", "issuing.key", "-copy_extensions", "copy", "-days", "100", *options),
        *("-extfile", "ca.cnf", "-extensions", "server", "-out", "leaf.pem"),
        cwd=ca.folder,
    )
    issued = receive(folder, *(ca.folder / f"{name}.pem" for name in ("leaf", "issuing", "root")))
    (certificate,) = issued.certificates
    assert certificate.request_id == record.id
    assert [finding.code for finding in certificate.findings] == [code]


CASES = [
    {},
    {"san": NAMES[:2]},
    {"san": NAMES[1:]},
    {"san": ()},
    {"san": (*NAMES, "bad name.contoso.com")},
    {"san": (*NAMES, "a\ncontoso.com")},
    {"san": (*NAMES, "f*.contoso.com")},
    {"san": (*NAMES, "contoso.com.")},
    {"san": (*NAMES, "A.contoso.com")},
    {"subject": SUBJECT[1:]},
    {"subject": (*SUBJECT, ("CN", "ee01.contoso.com"))},
    {"eku": None},
    {"eku": ["clientAuth"]},
    {"eku": ["serverAuth", "any"]},
    {"eku": ["serverAuth", "clientAuth"]},
    {"eku": ["serverAuth", "codeSigning"]},
    {"usage": None},
    {"usage": ("key_encipherment",)},
    {"usage": ("digital_signature",)},
    {"usage": ("digital_signature", "key_encipherment", "key_cert_sign")},
    {"crl": ()},
    {"pss": True},
    {"days": 200},
    {"days": 200 + 1 / 86400},
    {"days": 398},
]


def evaluate_and_encode(changes: dict) -> tuple[set[str], bytes]:
    certificate = der(make_certificate(**({"days": 190} | changes)))
    facts, entry = read_certificate(certificate), replace(ENTRY, issuer="public")
    return {finding.code for finding in compare_certificate(facts, entry, today=DAY)}, certificate


@pytest.mark.parametrize("changes", CASES)
def test_pkilint_agrees(changes):
    """If pkilint and lyncnb check the same rule, they report the same result for valid and faulty
    certificates.
    """
    assert disagreements(*evaluate_and_encode(changes)) == []


def test_pkilint_cases_cover_each_pair_of_codes():
    """For each rule that both tools check, a faulty certificate shows that pkilint and lyncnb
    report the same fault.
    """
    codes = set().union(*(evaluate_and_encode(changes)[0] for changes in CASES))
    assert set(SAME) - codes == set()
