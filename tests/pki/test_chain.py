"""lyncnb finds the certification path of a certificate by verifying signatures."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from cas.python_ca import CA_USAGE, TODAY, PythonCa, der, issue, name, replace_signature
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lyncnb.pki.certificates import read_certificate
from lyncnb.pki.chain import MAX_PATH, MAX_PATHS, Issuers, build_path

DAY = date(2026, 11, 24)
KEY = ec.generate_private_key(ec.SECP256R1())


def facts(*certificates):
    return [read_certificate(der(certificate)) for certificate in certificates]


def leaf(issuing, key, **changes):
    values = {"subject": [("CN", "pool.contoso.com")], "san": ["pool.contoso.com"]}
    return issue(KEY.public_key(), issuing.subject, key, **(values | changes))


def path_of(certificate, *issuers, today=DAY):
    return build_path(facts(certificate)[0], Issuers(facts(*issuers)), today=today)


def codes(path) -> list[str]:
    return [objection.code for objection in path.objections]


@pytest.fixture(scope="module")
def ca() -> PythonCa:
    return PythonCa()


def test_complete(ca):
    """A complete path contains the certificates from the issuer to the root, whatever the order of
    the input.
    """
    path = path_of(leaf(ca.issuing, ca.key), ca.root, ca.issuing)
    assert list(path.issuers) == facts(ca.issuing, ca.root)
    assert path.is_complete
    assert path.objections == ()


def test_incomplete(ca):
    """If the root or an issuing CA is missing, the error contains the name of this CA."""
    path = path_of(leaf(ca.issuing, ca.key), ca.issuing)
    assert list(path.issuers) == facts(ca.issuing)
    assert codes(path) == ["chain-incomplete"]
    assert path.objections[0].detail == 'the certificate of "CN=Contoso Root CA" is missing'
    path = path_of(leaf(ca.issuing, ca.key), ca.root)
    assert path.issuers == ()
    assert "Contoso Issuing CA 1" in path.objections[0].detail


def test_same_name_other_key(ca):
    """A CA with the right name but a different key is not the issuer, so the issuer is missing.

    Without a key identifier in the certificate, the finding states that the key did not sign it.
    """
    other = PythonCa()
    path = path_of(leaf(ca.issuing, ca.key), other.issuing, other.root)
    assert (path.issuers, path.rejected, codes(path)) == ((), (), ["chain-incomplete"])
    path = path_of(leaf(ca.issuing, ca.key, issuer_key_id=False), other.issuing, other.root)
    assert path.issuers == ()
    assert codes(path) == ["chain-signature-wrong"]
    assert path.rejected == tuple(facts(other.issuing))
    assert 'its key did not sign "CN=pool.contoso.com"' in path.objections[0].detail


def test_right_key_among_wrong_ones(ca):
    """lyncnb finds the right certification path, even if there are also certificates of other CAs."""
    other = PythonCa()
    path = path_of(leaf(ca.issuing, ca.key), other.issuing, other.root, *ca.chain)
    assert list(path.issuers) == facts(*ca.chain)
    assert path.objections == ()


@pytest.mark.parametrize(
    ("changes", "code", "detail"),
    [
        ({"ca": False}, "chain-issuer-not-ca", "is not allowed to sign"),
        ({"ca": None}, "chain-issuer-not-ca", "is not allowed to sign"),
        ({"usage": ("crl_sign",)}, "chain-issuer-not-ca", "is not allowed to sign"),
        (
            {"days": 1000 - 1},
            "chain-issuer-not-in-force",
            "is valid from 2024-02-28 00:00 to 2026-11-22",
        ),
        (
            {"begins": TODAY + timedelta(2)},
            "chain-issuer-not-in-force",
            "is valid from 2026-11-26 00:00 to",
        ),
    ],
)
def test_bad_issuer(changes, code, detail):
    """If the issuer must not issue certificates, or is not valid on the evaluation date, the path
    contains a problem with the details.
    """
    ca = PythonCa(**changes)
    path = path_of(leaf(ca.issuing, ca.key, days=300), *ca.chain)
    assert code in codes(path)
    assert detail in " ".join(objection.detail for objection in path.objections)


def test_path_length(ca):
    """lyncnb reports a CA certificate if the path length constraint of its issuer does not allow
    it.
    """
    strict = PythonCa(path_length=0)
    key = ec.generate_private_key(ec.SECP256R1())
    below = issue(
        key.public_key(), strict.issuing.subject, strict.key,
        subject=[("CN", "Below")], eku=None, usage=CA_USAGE, ca=True, days=900, crl=(),
    )  # fmt: skip
    path = path_of(leaf(below, key), below, *strict.chain)
    assert codes(path) == ["chain-issuer-not-ca"]
    assert path.objections[0].detail.endswith(
        "allows at most 0 CA certificates below it in the certification path"
    )


def test_outlives_issuer(ca):
    """If a certificate expires after its CA, the only finding is a notice."""
    path = path_of(leaf(ca.issuing, ca.key, days=5000), *ca.chain)
    assert codes(path) == ["outlives-issuer"]


def test_sha1_intermediate():
    """If an intermediate CA has a SHA-1 signature, lyncnb accepts the chain but reports a weak
    hash. A SHA-1 signature of the root has no effect.
    """
    ca = PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))
    issuing = replace_signature(ca.issuing, ca.root_key, "sha1")
    root = replace_signature(ca.root, ca.root_key, "sha1")
    path = path_of(leaf(issuing, ca.key), issuing, root)
    assert path.is_complete
    assert codes(path) == ["chain-signature-hash-weak"]


def test_a_root_without_the_ca_flag(ca):
    """lyncnb reports a version 3 root without the CA flag. A version 1 root cannot have the flag."""
    plain = issue(
        ca.root_key.public_key(), ca.root.subject, ca.root_key,
        subject=[("CN", "Contoso Root CA")], eku=None, usage=None, ca=None, days=3000, crl=(),
    )  # fmt: skip
    assert codes(path_of(leaf(ca.issuing, ca.key), ca.issuing, plain)) == ["chain-issuer-not-ca"]


def test_cross_signed(ca):
    """If two roots have certified the same CA, lyncnb returns the certification path that is
    complete.
    """
    other = PythonCa("Fabrikam")
    cross = issue(
        ca.key.public_key(), other.root.subject, other.root_key,
        subject=[("CN", "Contoso Issuing CA 1"), ("O", "Contoso")],
        eku=None, usage=CA_USAGE, ca=True, days=3000, crl=(),
    )  # fmt: skip
    path = path_of(leaf(ca.issuing, ca.key), cross, ca.issuing, ca.root)
    assert list(path.issuers) == facts(ca.issuing, ca.root)
    path = path_of(leaf(ca.issuing, ca.key), cross, ca.issuing, other.root)
    assert list(path.issuers) == facts(cross, other.root)


def test_loops_end():
    """If CAs certify each other in a loop, the search for a path ends."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(6)]
    circle = [
        issue(
            keys[a].public_key(), name([("CN", f"CA {b}")]), keys[b],
            subject=[("CN", f"CA {a}")], eku=None, usage=CA_USAGE, ca=True, days=900, crl=(),
        )
        for a in range(6)
        for b in range(6)
        if a != b
    ]  # fmt: skip
    issuing = circle[0]
    path = path_of(leaf(issuing, keys[0]), *circle)
    assert not path.is_complete
    assert len(path.issuers) <= MAX_PATH
    assert len(path.objections) <= MAX_PATHS * MAX_PATH


def test_unknown_signature():
    """If a signature cannot be verified, lyncnb reports an incomplete chain, and does not report a
    forged signature.
    """
    from pki.test_asn1 import vector

    certificate = read_certificate(vector("x509/verisign_md2_root.pem"))
    path = build_path(certificate, Issuers([]), today=DAY)
    assert codes(path) == ["chain-incomplete"]
    twin = read_certificate(vector("x509/custom/dsa_selfsigned_ca.pem"))
    copy = PythonCa()
    assert build_path(twin, Issuers(facts(copy.root)), today=DAY).issuers == ()


def test_signature_that_cannot_be_checked():
    """If a CA has the right name, but this computer cannot verify its signature, the finding gives
    this reason.
    """
    from pki.test_asn1 import vector

    certificate = read_certificate(vector("x509/verisign_md2_root.pem"))
    key = rsa.generate_private_key(65537, 2048)
    subject = [
        ("C", "US"),
        ("O", "VeriSign, Inc."),
        ("OU", "Class 3 Public Primary Certification Authority"),
    ]
    namesake = issue(
        key.public_key(), name(subject), key,
        subject=subject, eku=None, usage=CA_USAGE, ca=True, days=900, crl=(),
    )  # fmt: skip
    path = build_path(certificate, Issuers(facts(namesake)), today=DAY)
    assert codes(path) == ["chain-signature-not-checked"]
    assert path.objections[0].detail.endswith(
        "is signed with 1.2.840.113549.1.1.2, which this computer cannot verify"
    )
