"""A CSR contains exactly the planned values, and is signed with the planned key."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
from pathlib import Path

import cryptography_vectors
import pytest
from asn1crypto import csr as structures
from asn1crypto import pem
from folders import planned_certificate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.base.request_content import list_content_differences
from lyncnb.errors import BundleError, PlanError
from lyncnb.pki import csr, keys
from lyncnb.pki.csr import build_request, parse_request
from lyncnb.plan.model import build_request_content

REQUESTS = Path(cryptography_vectors.__file__).parent / "x509" / "requests"
NAMES = ("pool.contoso.com", "*.contoso.com", "xn--55q8nz3c.contoso.com")
SUBJECT = {
    "organizational_unit": "IT",
    "organization": "Contoso, Ltd.",
    "locality": "臺北",
    "state": "Taiwan",
    "country": "TW",
}


@pytest.fixture(scope="module")
def rsa_key() -> keys.PrivateKey:
    """Generate one RSA key for all tests in this file."""
    return keys.generate_key(KeyParameters())


@pytest.fixture(scope="module")
def ec_key() -> keys.PrivateKey:
    """Generate one ECDSA key for all tests in this file."""
    return keys.generate_key(KeyParameters(algorithm="ECDSA", bits=256))


def structure(der: bytes) -> structures.CertificationRequestInfo:
    """Parse a CSR with asn1crypto, which rejects trailing bytes."""
    return structures.CertificationRequest.load(der, strict=True)["certification_request_info"]


def extensions(der: bytes) -> dict[str, tuple[bool, object]]:
    """Return the criticality and the value of each requested extension, as asn1crypto reads them."""
    (attribute,) = structure(der)["attributes"]
    assert attribute["type"].native == "extension_request"
    (entries,) = attribute["values"]
    return {e["extn_id"].native: (e["critical"].native, e["extn_value"].native) for e in entries}


def test_a_request_contains_subject_names_and_usages(rsa_key):
    """The library asn1crypto finds exactly the planned extensions in a CSR.

    Only the key usage is critical.
    """
    request = build_request(
        build_request_content(planned_certificate(*NAMES, usages=("serverAuth", "clientAuth"))),
        rsa_key,
    )
    # The library asn1crypto shows the Unicode form of an A-label.
    assert extensions(request.der) == {
        "subject_alt_name": (False, ["pool.contoso.com", "*.contoso.com", "分公司.contoso.com"]),
        "key_usage": (True, {"digital_signature", "key_encipherment"}),
        "extended_key_usage": (False, ["server_auth", "client_auth"]),
    }


def test_the_subject_begins_with_the_country(rsa_key):
    """In a CSR, the subject is encoded from C to CN (X.501), so its text in the RFC 4514 form
    begins with the CN.
    """
    certificate = planned_certificate(*NAMES, **SUBJECT)
    subject = structure(build_request(build_request_content(certificate), rsa_key).der)["subject"]
    assert list(subject.native.items()) == [
        ("country_name", "TW"),
        ("state_or_province_name", "Taiwan"),
        ("locality_name", "臺北"),
        ("organization_name", "Contoso, Ltd."),
        ("organizational_unit_name", "IT"),
        ("common_name", "pool.contoso.com"),
    ]
    kinds = [name[0]["value"].chosen.__class__.__name__ for name in subject.chosen]
    assert kinds == ["PrintableString"] + ["UTF8String"] * 5


def test_without_names_there_is_no_san(rsa_key):
    """If no alternative names are planned, the CSR does not have the subjectAltName extension."""
    request = build_request(build_request_content(planned_certificate()), rsa_key)
    assert sorted(extensions(request.der)) == ["extended_key_usage", "key_usage"]
    assert request.content.names == ()


def test_without_usages_there_is_no_eku(rsa_key):
    """If no extended key usages are planned, the CSR does not have this extension."""
    request = build_request(
        build_request_content(planned_certificate("a.contoso.com", usages=())), rsa_key
    )
    assert sorted(extensions(request.der)) == ["key_usage", "subject_alt_name"]


def test_an_ecdsa_request_only_signs(ec_key):
    """The key usage in a CSR with an ECDSA key is only digitalSignature (RFC 8813 section 3)."""
    request = build_request(
        build_request_content(planned_certificate("a.contoso.com", algorithm="ECDSA")), ec_key
    )
    assert extensions(request.der)["key_usage"] == (True, {"digital_signature"})


@pytest.mark.parametrize("hash", ["sha256", "sha384", "sha512"])
def test_the_signature_is_pkcs1_or_ecdsa_with_the_planned_hash(rsa_key, ec_key, hash):
    """A CSR is signed with the planned hash algorithm. For RSA, the signature is PKCS #1 v1.5, and
    never PSS.
    """
    for key, algorithm, kind in (
        (rsa_key, "RSA", f"{hash}_rsa"),
        (ec_key, "ECDSA", f"{hash}_ecdsa"),
    ):
        request = build_request(
            build_request_content(
                planned_certificate("a.contoso.com", algorithm=algorithm, hash=hash)
            ),
            key,
        )
        identifier = structures.CertificationRequest.load(request.der)["signature_algorithm"]
        assert identifier["algorithm"].native == kind
        assert request.content.hash == hash
        assert request.has_valid_signature() is True


def test_a_request_has_no_attributes_of_microsofts_tools(rsa_key):
    """The only attribute of a CSR is the extension request. A CSR contains no OS version, CSP,
    client information or template.
    """
    request = build_request(build_request_content(planned_certificate(*NAMES, **SUBJECT)), rsa_key)
    # The OID 1.3.6.1.4.1.311 belongs to Microsoft.
    assert b"\x2b\x06\x01\x04\x01\x82\x37" not in request.der


def test_the_digests_are_over_der(rsa_key):
    """The digest of a CSR is calculated from its DER encoding, so it does not depend on line
    endings.
    """
    request = build_request(build_request_content(planned_certificate(*NAMES)), rsa_key)
    reread = parse_request(request.pem.replace(b"\n", b"\r\n"))
    assert request.csr_sha256 == hashlib.sha256(request.der).hexdigest() == reread.csr_sha256
    assert request.spki_sha256 == keys.compute_spki_sha256(rsa_key) == reread.spki_sha256
    assert pem.unarmor(request.pem) == ("CERTIFICATE REQUEST", {}, request.der)
    assert reread == request


label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
host = st.builds(lambda *labels: ".".join([*labels, "contoso", "com"]), label, label)
text = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), max_size=64)
plans = st.builds(
    lambda first, rest, wild, **fields: planned_certificate(
        *dict.fromkeys([first, *rest, *(f"*.{name}" for name in wild)]), **fields
    ),
    host.filter(lambda name: "--" not in name),
    st.lists(host.filter(lambda name: "--" not in name), max_size=20),
    st.lists(st.sampled_from(["contoso.com", "fabrikam.com"]), max_size=2),
    usages=st.sampled_from([("serverAuth",), ("serverAuth", "clientAuth")]),
    hash=st.sampled_from(["sha256", "sha384", "sha512"]),
    algorithm=st.sampled_from(["RSA", "ECDSA"]),
    organization=text,
    organizational_unit=text,
    locality=text,
    country=st.sampled_from(["", "TW", "US"]),
)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plans)
def test_a_request_parsed_back_equals_its_plan(rsa_key, ec_key, certificate):
    """For any plan, the content that is read from the CSR equals the planned content, and the
    signature is valid.
    """
    key = rsa_key if certificate.key.algorithm == "RSA" else ec_key
    request = build_request(build_request_content(certificate), key)
    for data in (request.pem, request.der):
        parsed = parse_request(data)
        assert parsed.content == build_request_content(certificate)
        assert list_content_differences(parsed.content, build_request_content(certificate)) == ()
        assert parsed.has_valid_signature() is True


@pytest.mark.slow
@given(plans)
def test_the_same_rsa_key_and_plan_give_the_same_bytes(rsa_key, certificate):
    """The same plan and RSA key result in the same CSR each time, because PKCS #1 v1.5 is
    deterministic.
    """
    if certificate.key.algorithm == "RSA":
        assert (
            build_request(build_request_content(certificate), rsa_key).pem
            == build_request(build_request_content(certificate), rsa_key).pem
        )


def test_differences_show_the_value_of_the_request_first(rsa_key):
    """A difference between a CSR and the plan shows the value in the CSR before the planned value.
    A plus sign marks names that only the plan contains.
    """
    request = build_request(
        build_request_content(planned_certificate("sip.contoso.com", "sip.fabrikam.com")), rsa_key
    )
    plan = planned_certificate("sip.contoso.com", "lyncdiscover.contoso.com", hash="sha384")
    assert list_content_differences(request.content, build_request_content(plan)) == (
        "san: + lyncdiscover.contoso.com, - sip.fabrikam.com",
        "hash: sha256 -> sha384",
    )


@pytest.mark.parametrize(
    ("certificate", "message"),
    [
        (
            planned_certificate("a.contoso.com", bits=4096),
            "the key is RSA 2048, but the plan specifies RSA 4096",
        ),
        (planned_certificate("a.contoso.com", algorithm="ECDSA"), "the plan specifies ECDSA 256"),
        (planned_certificate("a.contoso.com", hash="sha1"), "cannot be signed with sha1"),
        (planned_certificate("a.contoso.com", common_name=""), "has no common name"),
        (
            planned_certificate(common_name=f"{'a' * 60}.contoso.com"),
            "cannot create a request for 'aaaa",
        ),
    ],
)
def test_requests_that_cannot_be_created(rsa_key, certificate, message):
    """An unsupported key type, SHA-1, or a common name that is missing or has more than 64
    characters causes an error.
    """
    with pytest.raises(PlanError, match=message):
        build_request(build_request_content(certificate), rsa_key)


def openssl_verifies(path: Path) -> bool:
    """Return whether OpenSSL finds that the signature of a CSR is valid."""
    form = "DER" if path.suffix == ".der" else "PEM"
    command = ["openssl", "req", "-verify", "-noout", "-inform", form, "-in", str(path)]
    return subprocess.run(command, capture_output=True).returncode == 0


READABLE = [
    *("basic_constraints.pem", "challenge-invalid.der", "challenge-unstructured.pem"),
    *("challenge.pem", "ec_sha256.der", "ec_sha256.pem", "ec_sha256_old_header.pem"),
    *("invalid_signature.pem", "rsa_sha1.der", "rsa_sha1.pem", "rsa_sha256.der"),
    *("rsa_sha256.pem", "san_rsa_sha1.der", "san_rsa_sha1.pem", "unsupported_extension.pem"),
    "unsupported_extension_critical.pem",
]


@pytest.mark.tools
@pytest.mark.parametrize("name", READABLE)
def test_signature_results_match_openssl(name):
    """For published CSRs with valid, invalid and SHA-1 signatures, lyncnb and OpenSSL have the same
    result.
    """
    path = REQUESTS / name
    assert parse_request(path.read_bytes()).has_valid_signature() is openssl_verifies(path)


def test_a_good_sha1_request_is_not_called_tampered():
    """lyncnb accepts a valid SHA-1 signature, although the library `cryptography` rejects it."""
    request = parse_request((REQUESTS / "san_rsa_sha1.pem").read_bytes())
    assert request.has_valid_signature() is True
    differences = list_content_differences(
        request.content,
        build_request_content(planned_certificate("cryptography.io", "sub.cryptography.io")),
    )
    assert "hash: sha1 -> sha256" in differences
    assert not [line for line in differences if line.startswith("san")]


def test_an_unknown_hash_is_not_called_invalid():
    """If this computer cannot verify a signature, such as one with MD4, the result is None."""
    request = parse_request((REQUESTS / "rsa_md4.pem").read_bytes())
    assert request.has_valid_signature() is None
    assert request.content.hash == "1.2.840.113549.1.1.3"


def test_unplanned_extensions_are_listed():
    """Unplanned extensions and attributes of a CSR are listed as differences, with their OIDs."""
    request = parse_request((REQUESTS / "unsupported_extension_critical.pem").read_bytes())
    assert request.content.other == ("1.2.3.4", "1.2.3.4 critical")
    request = parse_request((REQUESTS / "challenge.pem").read_bytes())
    assert request.content.other == ("1.2.840.113549.1.9.7",)


def test_other_kinds_of_names_keep_their_kind():
    """An IP address or e-mail address in a CSR is never read as a host name."""
    request = subprocess.run(
        [
            *("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", "/dev/null", "-subj", "/CN=a.contoso.com", "-addext"),
            "subjectAltName=DNS:a.contoso.com,IP:192.0.2.1,email:b@contoso.com,URI:sip:c",
        ],
        capture_output=True,
        check=True,
    ).stdout
    names = parse_request(request).content.names
    assert names == (
        "a.contoso.com",
        "IP:192.0.2.1",
        "RFC822:b@contoso.com",
        "UniformResourceIdentifier:sip:c",
    )


@pytest.mark.parametrize("part", ["subject", "san", "signature"])
def test_a_changed_byte_is_noticed(rsa_key, part):
    """If a letter of a name or a bit of the signature is changed, the signature of the CSR is
    invalid.
    """
    der = bytearray(
        build_request(build_request_content(planned_certificate("sip.contoso.com")), rsa_key).der
    )
    positions = {
        "subject": der.index(b"sip.contoso.com"),
        "san": der.rindex(b"sip.contoso.com"),
        "signature": len(der) - 1,
    }
    der[positions[part]] ^= 1
    assert parse_request(bytes(der)).has_valid_signature() is False


UNREADABLE = {
    "bad-version.pem": "an unknown version",
    "dsa_sha1.pem": "neither RSA nor ECDSA",
    "freeipa-bad-critical.pem": "",
    "long-form-attribute.pem": "",
    "two_basic_constraints.pem": "a duplicate extension",
    "zero-element-attribute.pem": "",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_published_faulty_requests_are_rejected_by_name(name):
    """For each published CSR with a fault, the error message contains the file name."""
    with pytest.raises(
        BundleError, match=f"csr/{name} is not a readable certification.*{UNREADABLE[name]}"
    ):
        parse_request((REQUESTS / name).read_bytes(), name=f"csr/{name}")


@pytest.mark.parametrize("data", [b"", b"0", b"0\x80", b"-----BEGIN CERT", bytes(2 << 20), b"\xff"])
def test_files_that_are_not_requests_are_rejected(data):
    """An empty, truncated, very large or unrelated file is not accepted as a CSR."""
    with pytest.raises(BundleError, match="not a readable certification request"):
        parse_request(data)


def test_a_request_has_at_most_a_mebibyte(rsa_key):
    """A CSR file can have at most one mebibyte, including any text before the PEM block."""
    pem = build_request(build_request_content(planned_certificate("sip.contoso.com")), rsa_key).pem
    room = (1 << 20) - len(pem) - 1
    assert parse_request(b"#" * room + b"\n" + pem).has_valid_signature() is True
    with pytest.raises(BundleError, match="longer than 1048576 bytes"):
        parse_request(b"#" * (room + 1) + b"\n" + pem)


def test_bytes_after_the_request_are_refused(rsa_key):
    """If there are bytes after the CSR, the file is rejected, because some programs could ignore
    them.
    """
    der = build_request(build_request_content(planned_certificate("a.contoso.com")), rsa_key).der
    with pytest.raises(BundleError, match="not a readable certification request"):
        parse_request(der + b"\x05\x00")


def test_a_new_request_that_differs_from_the_plan_is_rejected(ec_key):
    """If the content of a new CSR differs from the plan, even if only the order differs, the CSR is
    rejected before it is used.
    """
    content = build_request_content(planned_certificate("a.contoso.com", algorithm="ECDSA"))
    usages = ("keyAgreement", "digitalSignature")  # Key usages in a CSR have no order.
    with pytest.raises(PlanError, match="the new request differs from the plan: key usage"):
        build_request(dataclasses.replace(content, key_usage=usages), ec_key)


def test_a_new_request_with_another_key_is_rejected(ec_key):
    """lyncnb rejects a new CSR if its public key or its signature does not match the private key."""
    content = build_request_content(planned_certificate("a.contoso.com", algorithm="ECDSA"))
    request = build_request(content, ec_key)
    with pytest.raises(PlanError, match="does not belong to the new key"):
        csr._verify_request(request, content, keys.generate_key(content.key))
