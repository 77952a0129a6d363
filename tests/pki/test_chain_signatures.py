"""lyncnb verifies the signature of a certificate with the public key of its issuer."""

from __future__ import annotations

import warnings
from datetime import UTC, date, datetime

import pytest
from cas.python_ca import PythonCa, der, issue, replace_signature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pki.test_asn1 import vector

from lyncnb.pki.certificates import read_certificate
from lyncnb.pki.chain import find_web_pki_objection, is_signed_by

TODAY = date(2026, 11, 24)
KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module", params=["RSA", "ECDSA"])
def ca(request) -> PythonCa:
    if request.param == "ECDSA":
        return PythonCa()
    return PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))


def leaf(ca, **changes):
    values = {"subject": [("CN", "pool.contoso.com")], "san": ["pool.contoso.com"], "days": 100}
    return issue(KEY.public_key(), ca.issuing.subject, ca.key, **(values | changes))


def signed(certificate, issuer) -> bool | None:
    return is_signed_by(read_certificate(der(certificate)), read_certificate(der(issuer)))


def test_signed(ca):
    """A signature is valid only with the key of the issuer."""
    assert signed(leaf(ca), ca.issuing) is True
    assert signed(leaf(ca), ca.root) is False
    assert signed(ca.root, ca.root) is True


@pytest.mark.parametrize("hash_name", ["sha1", "md5"])
def test_a_weak_hash_is_not_called_a_forgery(ca, hash_name):
    """A genuine signature with SHA-1 or MD5 is valid. A separate finding reports the weak hash
    algorithm.
    """
    if hash_name == "md5" and not isinstance(ca.key, rsa.RSAPrivateKey):
        ca = PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))
    assert signed(replace_signature(leaf(ca), ca.key, hash_name), ca.issuing) is True


def test_pss():
    """RSASSA-PSS signatures can be verified, although Lync Server does not support them."""
    ca = PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))
    assert signed(leaf(ca, pss=True), ca.issuing) is True


def test_an_altered_signature_is_invalid(ca):
    """If a signature was altered, it is invalid."""
    data = bytearray(der(leaf(ca)))
    data[-1] ^= 1
    certificate = read_certificate(bytes(data))
    assert is_signed_by(certificate, read_certificate(der(ca.issuing))) is not True


def test_a_key_of_another_type_verifies_no_signature(ca):
    """If the types of the key and the signature differ, the signature counts as invalid, and the
    check raises no error.
    """
    other = PythonCa() if isinstance(ca.key, rsa.RSAPrivateKey) else None
    if other is None:
        other = PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))
    assert signed(leaf(ca), other.issuing) is False


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x509/ed25519/root-ed25519.pem", True),
        ("x509/ed448/root-ed448.pem", True),
        ("x509/custom/dsa_selfsigned_ca.pem", None),  # No CA uses DSA keys today.
        ("x509/verisign_md2_root.pem", None),
    ],
)
def test_a_signature_that_cannot_be_verified_is_not_a_forgery(name, expected):
    """If this computer cannot verify a signature, lyncnb reports that the signature is unverified,
    not that it is forged.
    """
    certificate = read_certificate(vector(name))
    assert is_signed_by(certificate, certificate) is expected


def test_web_pki(ca):
    """The strict web PKI verifier accepts a correct chain, and reports the reason if it rejects a
    chain.
    """
    path = [read_certificate(der(certificate)) for certificate in ca.chain]
    wrong = read_certificate(der(leaf(ca, eku=["codeSigning"])))
    assert find_web_pki_objection(read_certificate(der(leaf(ca))), path, today=TODAY) == ""
    objection = find_web_pki_objection(wrong, path, today=TODAY)
    assert "required EKU not found" in objection
    assert "<" not in objection, "the message contains no Python object"


def test_web_pki_ignores_the_validity_period(ca):
    """The strict web PKI verifier does not reject a certificate because it has expired, because
    another check reports this.
    """
    path = [read_certificate(der(certificate)) for certificate in ca.chain]
    chain_begins = path[-1].not_before
    expired = read_certificate(der(leaf(ca, begins=datetime(2026, 1, 1, tzinfo=UTC), days=90)))
    assert chain_begins < expired.not_after < datetime(2026, 11, 24, tzinfo=UTC)
    assert find_web_pki_objection(expired, path, today=TODAY) == ""


def test_web_pki_is_not_used(ca):
    """lyncnb does not use the strict web PKI verifier if a signature uses SHA-1, which this
    verifier rejects, or if the root is missing.
    """
    path = [read_certificate(der(certificate)) for certificate in ca.chain]
    old = read_certificate(der(replace_signature(leaf(ca), ca.key, "sha1")))
    assert find_web_pki_objection(old, path, today=TODAY) == ""
    assert find_web_pki_objection(read_certificate(der(leaf(ca))), [], today=TODAY) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": [("CN", "other.contoso.com")]},  # The SAN does not contain the common name.
        {"san": ["*.com.tw"]},  # The name is a wildcard that covers a public suffix.
        {"usage": ("key_agreement",)},
        {"crl": ()},
    ],
)
def test_faults_that_web_pki_does_not_find(changes):
    """The strict web PKI verifier does not find some of the faults, so lyncnb has additional
    checks.
    """
    ca = PythonCa()
    path = [read_certificate(der(certificate)) for certificate in ca.chain]
    assert (
        find_web_pki_objection(read_certificate(der(leaf(ca, **changes))), path, today=TODAY) == ""
    )


def test_unusable_issuer_key():
    """If this computer cannot use the issuer's key, lyncnb calls the signature neither valid nor
    invalid.
    """
    issuer = read_certificate(vector("x509/custom/unsupported_subject_public_key_info.pem"))
    certificate = read_certificate(der(leaf(PythonCa())))
    assert is_signed_by(certificate, issuer) is None


def test_no_warning_of_a_library_is_shown():
    """If pyca warns about a serial number that it will reject in the future, lyncnb does not show
    this warning in a notebook.
    """
    certificate = read_certificate(vector("x509/custom/negative_serial.pem"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        is_signed_by(certificate, certificate)
