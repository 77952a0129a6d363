"""The certificate of each CA with rules is received once right, and once wrong in each way that the
CA's page names.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from datetime import UTC, datetime
from functools import cache
from html import unescape
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest
from cas.python_ca import PythonCa, p7b, pem, replace_signature
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from folders import TODAY, make_folder, make_plan, request_of

from lyncnb.authorities.handover import hand_over
from lyncnb.authorities.import_certificates import receive
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.request_folder.bundle import open_requests
from lyncnb.rules.ca_rules import load_ca_rules

pytestmark = pytest.mark.usefixtures("quick_cipher")

AUTHORITIES = list(chain.from_iterable(rules.cas for rules in load_ca_rules().files))
PUBLIC = [authority.names[0] for authority in AUTHORITIES if authority.issuer == "public"]
ENTERPRISE, STAND_ALONE = "Contoso Issuing CA 1", "Contoso Stand-alone CA"
INTERNAL = [ENTERPRISE, STAND_ALONE]
TABLE = """\
server_fqdn,role,sip_domains,meet_urls,dialin_url,web_external_fqdn
se01.contoso.com,StandardEdition,contoso.com,https://meet.contoso.com,https://dialin.contoso.com,web.contoso.com
rp01.contoso.com,ReverseProxy,,,,
"""
NAMES = ["web.contoso.com", "meet.contoso.com", "dialin.contoso.com", "lyncdiscover.contoso.com"]
BEGINS = datetime.combine(TODAY, datetime.min.time(), tzinfo=UTC)
CA = PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))
OTHER_KEY = rsa.generate_private_key(65537, 2048)


class Case(NamedTuple):
    """One way in which a certificate can be wrong."""

    sentence: str  # on the page
    changes: dict[str, object]  # to the certificate
    code: str  # of the finding
    form: str = ""  # of the file, if it is not the certificate with its chain
    only: str = ""  # the CA, if the pages of the others have no such sentence


#: On the page of every CA.
ALL = [
    Case("cannot use a certificate with missing names", {"san": NAMES[:-1]}, "names-missing"),
    Case("xtended key usage: serverAuth", {"eku": ("clientAuth",)}, "eku-server-auth-absent"),
    Case(
        "xtended key usage: serverAuth",
        {"eku": ("serverAuth", "clientAuth")},
        "eku-client-auth-added",
    ),
    Case("Key in the request: RSA 2048", {}, "unknown-key", form="other key"),
    Case("Do not send a PFX or a private key", {}, "pfx-not-opened", form="pfx"),
    Case("Do not send a PFX or a private key", {}, "private-key-in-file", form="key"),
]
OF_PUBLIC = [
    Case("the chain for each request", {}, "chain-incomplete", form="alone"),
    Case("sign with sha256", {}, "signature-hash-sha1-public", form="sha1"),
    Case("choose one with a common name", {"subject": (("O", "Contoso"),)}, "common-name-missing"),
    Case(
        "key encipherment", {"usage": ("digital_signature",)}, "key-usage-key-encipherment-absent"
    ),
    Case("A certificate is valid for at most", {"days": 201}, "validity-over-public-limit"),
    Case("with 4 names", {"san": (*NAMES, "*.contoso.com")}, "names-added"),
]
OF_INTERNAL = [
    Case("add the chain once: certutil", {}, "chain-incomplete", form="alone"),
    Case("Signature with sha256", {}, "signature-hash-sha1", form="sha1"),
    Case("does not accept RSASSA-PSS", {"pss": True}, "signature-pss"),
    Case("Every certificate has a CRL distribution point", {"crl": ()}, "crl-distribution-point-absent"),
    Case("an HTTP URL that Edge Servers can reach", {"crl": ("ldap:///CN=CA",)}, "crl-distribution-point-ldap-only"),
    Case("at most 825 days", {"days": 826}, "validity-over-client-limit"),
    Case("Validity period: 365 days", {"days": 100}, "validity-shorter-than-asked"),
    Case(
        "builds the subject from Active Directory ignores the subject and the names",
        {"subject": (("CN", "rp01.contoso.com"),), "san": ["rp01.contoso.com"]},
        "common-name-changed",
        only=ENTERPRISE,
    ),
]  # fmt: skip
CASES = [
    (ca, case)
    for ca in (*PUBLIC, *INTERNAL)
    for case in (*ALL, *(OF_PUBLIC if ca in PUBLIC else OF_INTERNAL))
    if case.only in ("", ca)
]


@cache
def make_requests(ca: str, parent: Path) -> tuple[Path, str]:
    """Return a request folder whose certificates are from one CA, and the page for this CA."""
    issuer = "public" if ca in PUBLIC else "internal"
    plan = make_plan(
        TABLE.encode(),
        key=KeyParameters(algorithm="RSA", bits=2048),
        issuer={"": issuer},
        ca={issuer: ca} | ({"stand_alone": ca} if ca == STAND_ALONE else {}),
        validity={"internal": 365},
        planned_issue_date=TODAY,
    )
    folder = make_folder(parent / re.sub(r"\W", "", ca), plan).folder
    hand_over(folder, folder.with_suffix(".zip"), issuer=issuer, today=TODAY)
    with zipfile.ZipFile(folder.with_suffix(".zip")) as package:
        names = [name for name in package.namelist() if name.endswith("README.html")]
        page = package.read(names[0]).decode()
    return folder, unescape(re.sub(r"<[^>]+>", "", page)).replace("\u200b", "")


@pytest.fixture
def requests(request, tmp_path, tmp_path_factory):
    """Return a copy of the folder of a CA, and the page for this CA."""
    folder, page = make_requests(request.param, tmp_path_factory.getbasetemp())
    return shutil.copytree(folder, tmp_path / "requests"), page


def receive_answer(folder, path, *, form="", **changes):
    """Receive the answer of the CA to the request of the reverse proxy."""
    bundle = open_requests(folder)
    (record,) = (record for record in bundle.requests if record.id.startswith("ReverseProxy"))
    days = 90 if record.plan.issuer == "public" else 365
    values = {"begins": BEGINS, "days": days, **changes}
    request = request_of(bundle, record.id)
    certificate = CA.issue_for(request, **values)
    data = p7b(certificate, *CA.chain)
    if form == "alone":
        data = pem(certificate)
    elif form == "sha1":
        data = p7b(replace_signature(certificate, CA.key, "sha1"), *CA.chain)
    elif form in ("other key", "pfx", "key"):
        builder = make_other(request)
        if form == "other key":
            data = pem(CA.issue_for(builder, **values), *CA.chain)
        elif form == "pfx":
            data = serialization.pkcs12.serialize_key_and_certificates(
                b"", OTHER_KEY, CA.issue_for(builder, **values), None,
                serialization.BestAvailableEncryption(b"secret"),
            )  # fmt: skip
        else:
            data = pem(certificate) + OTHER_KEY.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
    path.write_bytes(data)
    issued = receive(folder, path, today=TODAY)
    return record.id, issued


def make_other(request):
    """Return a request with the content of another one, for a key that the CA generated."""
    builder = x509.CertificateSigningRequestBuilder(request.subject, list(request.extensions))
    return builder.sign(OTHER_KEY, hashes.SHA256())


@pytest.mark.parametrize("requests", [*PUBLIC, *INTERNAL], indirect=True)
def test_the_certificate_that_the_page_describes_is_accepted(requests, tmp_path):
    """A certificate that agrees with the CA's page has no error and no warning."""
    identifier, issued = receive_answer(requests[0], tmp_path / "answer.p7b")
    assert [certificate.request_id for certificate in issued.certificates] == [identifier]
    assert [f for f in issued.findings if f.severity != "notice"] == []


@pytest.mark.parametrize(
    ("requests", "case"),
    CASES,
    ids=[f"{ca}-{case.code}" for ca, case in CASES],
    indirect=["requests"],
)
def test_each_way_that_the_page_names_is_found(requests, case, tmp_path):
    """A certificate that is wrong in a way that the CA's page names has a finding for this way."""
    folder, page = requests
    assert case.sentence in page
    _, issued = receive_answer(folder, tmp_path / "answer", form=case.form, **case.changes)
    assert case.code in {finding.code for finding in issued.findings}
