"""The signature of a certificate is verified with the key of its issuer."""

from __future__ import annotations

import warnings
from datetime import date

import pytest
from cas.python_ca import PythonCa, der, issue, resigned
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
    """A signature is valid with the issuer's key and with no other key."""
    assert signed(leaf(ca), ca.issuing) is True
    assert signed(leaf(ca), ca.root) is False
    assert signed(ca.root, ca.root) is True


@pytest.mark.parametrize("hash_name", ["sha1", "md5"])
def test_old_hash_is_no_forgery(ca, hash_name):
    """A genuine SHA-1 or MD5 signature is valid. Its weak hash is a separate finding."""
    if hash_name == "md5" and not isinstance(ca.key, rsa.RSAPrivateKey):
        ca = PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))
    assert signed(resigned(leaf(ca), ca.key, hash_name), ca.issuing) is True


def test_pss():
    """RSASSA-PSS signatures are verified too: Lync Server does not support them, but they are
    valid.
    """
    ca = PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))
    assert signed(leaf(ca, pss=True), ca.issuing) is True


def test_tampered(ca):
    """An altered signature is invalid."""
    data = bytearray(der(leaf(ca)))
    data[-1] ^= 1
    one = read_certificate(bytes(data))
    assert is_signed_by(one, read_certificate(der(ca.issuing))) is not True


def test_other_kind_of_key(ca):
    """A signature with a key of another type is invalid and raises no error."""
    other = PythonCa() if isinstance(ca.key, rsa.RSAPrivateKey) else None
    if other is None:
        other = PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))
    assert signed(leaf(ca), other.issuing) is False


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x509/ed25519/root-ed25519.pem", True),
        ("x509/ed448/root-ed448.pem", True),
        ("x509/custom/dsa_selfsigned_ca.pem", None),  # No CA uses DSA keys.
        ("x509/verisign_md2_root.pem", None),
    ],
)
def test_unusual(name, expected):
    """A signature that this computer cannot verify is reported as such, never as a forgery."""
    one = read_certificate(vector(name))
    assert is_signed_by(one, one) is expected


def test_web_pki(ca):
    """The strict web PKI verifier accepts a correct chain, and otherwise reports its objection."""
    path = [read_certificate(der(one)) for one in ca.chain]
    wrong = read_certificate(der(leaf(ca, eku=["codeSigning"])))
    assert find_web_pki_objection(read_certificate(der(leaf(ca))), path, today=TODAY) == ""
    assert "required EKU not found" in find_web_pki_objection(wrong, path, today=TODAY)


def test_web_pki_is_not_asked(ca):
    """The strict verifier is not used for SHA-1, which it calls invalid, or for a chain without a
    root.
    """
    path = [read_certificate(der(one)) for one in ca.chain]
    old = read_certificate(der(resigned(leaf(ca), ca.key, "sha1")))
    assert find_web_pki_objection(old, path, today=TODAY) == ""
    assert find_web_pki_objection(read_certificate(der(leaf(ca))), [], today=TODAY) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": [("CN", "other.contoso.com")]},  # The common name is not in the SAN.
        {"san": ["*.com.tw"]},  # The name is a wildcard for a public suffix.
        {"usage": ("key_agreement",)},
        {"crl": ()},
    ],
)
def test_web_pki_overlooks(changes):
    """The strict verifier overlooks some faults, so lyncnb also runs other checks."""
    ca = PythonCa()
    path = [read_certificate(der(one)) for one in ca.chain]
    assert (
        find_web_pki_objection(read_certificate(der(leaf(ca, **changes))), path, today=TODAY) == ""
    )


def test_unusable_issuer_key():
    """If this computer cannot use the issuer's key, the signature is neither valid nor invalid."""
    issuer = read_certificate(vector("x509/custom/unsupported_subject_public_key_info.pem"))
    one = read_certificate(der(leaf(PythonCa())))
    assert is_signed_by(one, issuer) is None


def test_no_warning_of_a_library_is_shown():
    """A serial number that pyca will reject in the future shows no library warning in a notebook."""
    one = read_certificate(vector("x509/custom/negative_serial.pem"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        is_signed_by(one, one)
