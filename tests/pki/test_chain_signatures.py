"""Who signed a certificate."""

from __future__ import annotations

import warnings
from datetime import date

import pytest
from cas.python_ca import PythonCa, der, issue, resigned
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pki.test_asn1 import vector

from lyncnb.pki.certificates import read_certificate
from lyncnb.pki.chain import is_signed_by, web_pki_objection

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
    """A signature is found genuine with the issuer's key and with no other."""
    assert signed(leaf(ca), ca.issuing) is True
    assert signed(leaf(ca), ca.root) is False
    assert signed(ca.root, ca.root) is True


@pytest.mark.parametrize("hash_name", ["sha1", "md5"])
def test_old_hash_is_no_forgery(ca, hash_name):
    """A genuine SHA-1 or MD5 signature is genuine; its hash is another matter."""
    if hash_name == "md5" and not isinstance(ca.key, rsa.RSAPrivateKey):
        ca = PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))
    assert signed(resigned(leaf(ca), ca.key, hash_name), ca.issuing) is True


def test_pss():
    """RSASSA-PSS is checked as well: it is unsupported by Lync, not wrong."""
    ca = PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))
    assert signed(leaf(ca, pss=True), ca.issuing) is True


def test_tampered(ca):
    """A changed signature is not genuine."""
    data = bytearray(der(leaf(ca)))
    data[-1] ^= 1
    one = read_certificate(bytes(data))
    assert is_signed_by(one, read_certificate(der(ca.issuing))) is not True


def test_other_kind_of_key(ca):
    """A signature by a key of another kind is not genuine, and no error."""
    other = PythonCa() if isinstance(ca.key, rsa.RSAPrivateKey) else None
    if other is None:
        other = PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))
    assert signed(leaf(ca), other.issuing) is False


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x509/ed25519/root-ed25519.pem", True),
        ("x509/ed448/root-ed448.pem", True),
        ("x509/custom/dsa_selfsigned_ca.pem", None),  # DSA: nobody's CA
        ("x509/verisign_md2_root.pem", None),
    ],
)
def test_unusual(name, expected):
    """A signature that this computer cannot check is reported as such, never as a forgery."""
    one = read_certificate(vector(name))
    assert is_signed_by(one, one) is expected


def test_web_pki(ca):
    """The strict verifier accepts a chain by the rules and says what it objects to else."""
    path = [read_certificate(der(one)) for one in ca.chain]
    wrong = read_certificate(der(leaf(ca, eku=["codeSigning"])))
    assert web_pki_objection(read_certificate(der(leaf(ca))), path, today=TODAY) == ""
    assert "required EKU not found" in web_pki_objection(wrong, path, today=TODAY)


def test_web_pki_is_not_asked(ca):
    """SHA-1, which it would call a wrong signature, and a chain without a root are kept from it."""
    path = [read_certificate(der(one)) for one in ca.chain]
    old = read_certificate(der(resigned(leaf(ca), ca.key, "sha1")))
    assert web_pki_objection(old, path, today=TODAY) == ""
    assert web_pki_objection(read_certificate(der(leaf(ca))), [], today=TODAY) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": [("CN", "other.contoso.com")]},  # a common name that is not in the SAN
        {"san": ["*.com.tw"]},  # a wildcard for a registry
        {"usage": ("key_agreement",)},
        {"crl": ()},
    ],
)
def test_web_pki_overlooks(changes):
    """What the verifier overlooks is why it is not asked alone."""
    ca = PythonCa()
    path = [read_certificate(der(one)) for one in ca.chain]
    assert web_pki_objection(read_certificate(der(leaf(ca, **changes))), path, today=TODAY) == ""


def test_unusable_issuer_key():
    """A key that this computer cannot use says nothing about a signature."""
    issuer = read_certificate(vector("x509/custom/unsupported_subject_public_key_info.pem"))
    one = read_certificate(der(leaf(PythonCa())))
    assert is_signed_by(one, issuer) is None


def test_no_warning_of_a_library_is_shown():
    """A serial number that pyca will refuse one day leaves no raw warning in a notebook."""
    one = read_certificate(vector("x509/custom/negative_serial.pem"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        is_signed_by(one, one)
