"""lyncnb reads the fields of a certificate correctly."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from cas.python_ca import TODAY, PythonCa, der, issue, pem, replace_signature
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from pki.test_asn1 import vector

from lyncnb.base.times import convert_to_time
from lyncnb.pki.certificates import BadCertificate, format_name, read_certificate, to_pem

KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def ca() -> PythonCa:
    return PythonCa()


def leaf(authority, key=KEY, **changes):
    values = {
        "subject": [("CN", "pool.contoso.com"), ("O", "Contoso")],
        "san": ["pool.contoso.com"],
    }
    return issue(key.public_key(), authority.issuing.subject, authority.key, **(values | changes))


def test_fields_of_a_certificate(ca):
    """Every field of a certificate that lyncnb compares is read correctly."""
    certificate = read_certificate(
        der(leaf(ca, san=["Pool.contoso.com", "*.contoso.com"], serial=0xABC, days=10))
    )
    assert certificate.subject == (("CN", "pool.contoso.com"), ("O", "Contoso"))
    assert certificate.common_names == ("pool.contoso.com",)
    assert certificate.dns_names == ("Pool.contoso.com", "*.contoso.com")
    assert certificate.serial == 0xABC
    assert (certificate.key_algorithm, certificate.key_bits) == ("ECDSA", 256)
    assert (certificate.signature_scheme, certificate.signature_hash) == ("ECDSA", "sha256")
    assert certificate.extended_key_usage == ("serverAuth",)
    assert certificate.key_usage == {"digitalSignature", "keyEncipherment"}
    assert certificate.crl_urls == ("http://pki.contoso.net/issuing.crl",)
    assert not certificate.is_ca
    assert certificate.issuer_name == "Contoso Issuing CA 1"
    assert certificate.not_before == TODAY - timedelta(days=1)
    assert certificate.not_after == TODAY + timedelta(days=9, seconds=-1)


def test_thumbprint_is_what_windows_shows(ca):
    """The thumbprint of a certificate is its SHA-1 hash in uppercase letters without spaces, as
    Windows shows it.
    """
    from cryptography.hazmat.primitives import hashes

    certificate = leaf(ca)
    assert (
        read_certificate(der(certificate)).thumbprint
        == certificate.fingerprint(hashes.SHA1()).hex().upper()
    )


@pytest.mark.parametrize(
    ("day", "valid"),
    [
        (date(2026, 11, 22), False),
        (date(2026, 11, 23), True),  # The first day on which the certificate is valid.
        (date(2026, 12, 2), True),  # This is the last day of the certificate's validity.
        (date(2026, 12, 3), False),
    ],
)
def test_is_valid_at(ca, day, valid):
    """A certificate is already valid in the first second of its validity period, and still valid in
    the last second.
    """
    certificate = read_certificate(der(leaf(ca, days=10)))
    assert certificate.is_valid_at(convert_to_time(day)) is valid


def test_names_compare_without_case_and_blanks(ca):
    """Two names are equal if they differ only in spaces or in uppercase and lowercase letters (RFC
    5280 section 7.1).
    """
    first = read_certificate(der(leaf(ca, subject=[("CN", "a"), ("O", "Contoso  LTD ")])))
    second = read_certificate(der(leaf(ca, subject=[("CN", "A"), ("O", "contoso ltd")])))
    three = read_certificate(der(leaf(ca, subject=[("O", "contoso ltd"), ("CN", "A")])))
    assert first.subject_key == second.subject_key
    # Two names are different if their components have a different order.
    assert first.subject_key != three.subject_key


def test_absent_extensions(ca):
    """A missing extension of a certificate is distinguished from an empty extension."""
    issued = leaf(ca, eku=None, usage=None, crl=(), ca=None, san=())
    certificate = read_certificate(der(issued))
    assert certificate.extended_key_usage is None
    assert certificate.key_usage is None
    assert certificate.crl_urls == ()
    assert certificate.dns_names == ()
    assert certificate.permitted == ()


def test_other_names(ca):
    """Alternative names that are not host names are read with their type and value."""
    from ipaddress import ip_address

    others = [x509.IPAddress(ip_address("192.0.2.1")), x509.RFC822Name("a@contoso.com")]
    certificate = read_certificate(der(leaf(ca, other_names=others)))
    assert certificate.other_names == ("IPAddress 192.0.2.1", "RFC822Name a@contoso.com")


def test_name_constraints(ca):
    """Name constraints are read with the type of each name."""
    from ipaddress import ip_network

    limits = x509.NameConstraints([x509.DNSName("contoso.com")], [x509.DNSName("x.contoso.com")])
    certificate = read_certificate(der(leaf(ca, constraints=limits)))
    assert certificate.permitted[0] == ("DNS", "contoso.com")
    assert ("DNS", "x.contoso.com") in certificate.excluded
    limits = x509.NameConstraints([x509.IPAddress(ip_network("192.0.2.0/24"))], None)
    assert [n.kind for n in read_certificate(der(leaf(ca, constraints=limits))).permitted] == ["IP"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (ec.generate_private_key(ec.SECP384R1()), ("ECDSA", 384)),
        (ed25519.Ed25519PrivateKey.generate(), ("Ed25519", 0)),
        (rsa.generate_private_key(65537, 1024), ("RSA", 1024)),
    ],
    ids=["P-384", "Ed25519", "RSA 1024"],
)
def test_key(ca, key, expected):
    """The algorithm and the size of a key are read, even for types of keys that lyncnb never
    generates.
    """
    certificate = read_certificate(der(leaf(ca, key=key)))
    assert (certificate.key_algorithm, certificate.key_bits) == expected


def test_spki_is_that_of_the_request(ca):
    """The hash of a certificate's public key equals the hash of the key in the manifest."""
    from lyncnb.pki.keys import compute_spki_sha256

    assert read_certificate(der(leaf(ca))).spki_sha256 == compute_spki_sha256(KEY)


def test_weak_hash_is_named(ca):
    """lyncnb recognizes a weak hash algorithm in the signature of a certificate, such as SHA-1."""
    certificate = read_certificate(der(replace_signature(leaf(ca), ca.key, "sha1")))
    assert (certificate.signature_scheme, certificate.signature_hash) == ("ECDSA", "sha1")


@pytest.mark.parametrize(
    ("name", "scheme", "hash_name"),
    [
        ("x509/custom/rsa_pss_cert.pem", "RSASSA-PSS", "sha256"),
        ("x509/ee-pss-sha1-cert.pem", "RSASSA-PSS", "sha1"),
        ("x509/verisign_md2_root.pem", "1.2.840.113549.1.1.2", ""),
        ("x509/e-trust.ru.der", "1.2.643.2.2.3", ""),
        ("x509/ed25519/root-ed25519.pem", "Ed25519", ""),
    ],
)
def test_signature(name, scheme, hash_name):
    """The name of the signature algorithm is read, even if this computer cannot verify such
    signatures.
    """
    certificate = read_certificate(vector(name))
    assert (certificate.signature_scheme, certificate.signature_hash) == (scheme, hash_name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x509/custom/invalid_version.pem", "an unknown version"),
        ("x509/custom/two_basic_constraints.pem", r"a duplicate extension \(2.5.29.19\)"),
        ("x509/custom/malformed-san.pem", "a value of an unexpected type"),
        ("x509/custom/invalid_utf8_common_name.pem", "an invalid value"),
        ("x509/custom/name_attribute_unsupported_tag.pem", "serial"),
        ("x509/custom/empty-eku.pem", "serial"),
        ("x509/badasn1time.pem", "validity"),
        ("x509/wosign-bc-invalid.pem", "a path length in"),
        ("x509/san_x400address.der", "a type of name that"),
        (
            "x509/custom/mismatch_inner_outer_sig_algorithm.der",
            "algorithm in the signed data differs",
        ),
    ],
)
def test_unreadable(name, message):
    """If a relevant field of a certificate cannot be read, the certificate is rejected, and the
    error contains the reason.
    """
    with pytest.raises(BadCertificate, match=message):
        read_certificate(vector(name))


def test_bad_bytes():
    """Bytes that are not a certificate are rejected."""
    with pytest.raises(BadCertificate, match="a value of an unexpected type"):
        read_certificate(b"\x30\x03\x02\x01\x00")


@pytest.fixture(scope="module")
def leaf_der(ca) -> bytes:
    return der(leaf(ca))


@given(data=st.data())
def test_damaged(leaf_der, data):
    """If a byte of a certificate is changed, the certificate is either read or rejected as damaged."""
    position = data.draw(st.integers(0, len(leaf_der) - 1))
    value = data.draw(st.integers(0, 255))
    with suppress(BadCertificate):
        read_certificate(leaf_der[:position] + bytes([value]) + leaf_der[position + 1 :])


def test_to_pem_equals_pyca(ca):
    """The PEM text of several certificates is the same as the text that pyca writes."""
    assert to_pem([der(ca.issuing), der(ca.root)]) == pem(ca.issuing, ca.root)


def test_name_text():
    """A distinguished name is written as text with its components in their original order."""
    assert format_name((("CN", "a"), ("O", "Contoso, Ltd."))) == "CN=a, O=Contoso, Ltd."


def test_times_are_utc(ca):
    """lyncnb reads the start and the end of a certificate's validity as UTC."""
    assert read_certificate(der(leaf(ca))).not_before == datetime(2026, 11, 23, tzinfo=UTC)


def test_directory_name(ca):
    """A directory name among the alternative names is written as text with its components in their
    original order.
    """
    other = x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")]))
    certificate = read_certificate(der(leaf(ca, other_names=[other])))
    assert certificate.other_names == ("DirectoryName CN=x",)


def test_extensions_in_version_1(ca):
    """lyncnb rejects a version 1 certificate that contains extensions."""
    data = der(leaf(ca))
    version = bytes.fromhex("a003020102")
    assert data[:2] == data[4:6] == b"\x30\x82"
    assert data.count(version) == 1
    lengths = [int.from_bytes(data[offset : offset + 2], "big") - len(version) for offset in (2, 6)]
    total, content = (length.to_bytes(2, "big") for length in lengths)
    first = data[:2] + total + data[4:6] + content + data[8:].replace(version, b"")
    with pytest.raises(BadCertificate, match="version is not 3"):
        read_certificate(first)
