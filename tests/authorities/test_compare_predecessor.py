"""lyncnb compares a renewed certificate with the certificate that it replaces."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cas.python_ca import TODAY, PythonCa, der, issue
from cryptography.hazmat.primitives.asymmetric import ec

from lyncnb.authorities.evaluation.compare_predecessor import Succession, list_changed_fields
from lyncnb.pki.certificates import read_certificate

CA = PythonCa()
KEY = ec.generate_private_key(ec.SECP256R1())


def make_certificate(ca=CA, key=KEY, **changes):
    values = {"subject": [("CN", "a.contoso.com")], "san": ["a.contoso.com", "b.contoso.com"]}
    certificate = issue(key.public_key(), ca.issuing.subject, ca.key, **(values | changes))
    return read_certificate(der(certificate))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        # The comparison ignores the order and the letter case of names.
        ({"san": ["B.contoso.com", "a.contoso.com"]}, []),
        ({"san": ["a.contoso.com", "c.contoso.com"]}, ["names: b.contoso.com -> c.contoso.com"]),
        ({"san": ["a.contoso.com"]}, ["names: b.contoso.com -> none"]),
        ({"subject": []}, ["subject: CN=a.contoso.com -> none"]),
        ({"eku": ["serverAuth", "clientAuth"]}, ["usage: serverAuth -> clientAuth, serverAuth"]),
        ({"ca": False, "days": 90}, ["valid until: 2027-11-22 -> 2027-02-20"]),
        (
            {"begins": TODAY + timedelta(days=300)},
            ["valid from: 2026-11-23 -> 2027-09-20", "valid until: 2027-11-22 -> 2028-09-18"],
        ),
    ],
)
def test_changes(changes, expected):
    """If a renewed certificate differs from the old one, each changed field is reported with both
    values, and unchanged fields are not reported.
    """
    key = KEY
    before = make_certificate()
    certificate = issue(
        key.public_key(), CA.issuing.subject, CA.key,
        **({"subject": [("CN", "a.contoso.com")], "san": ["a.contoso.com", "b.contoso.com"]} | changes),
    )  # fmt: skip
    after = read_certificate(der(certificate))
    assert [str(change) for change in list_changed_fields(before, after)] == expected


def test_issuer_and_key():
    """If a renewed certificate has another CA and another key size, lyncnb reports both
    differences.
    """
    other = PythonCa("Fabrikam")
    after = make_certificate(other, ec.generate_private_key(ec.SECP384R1()))
    assert list_changed_fields(make_certificate(), after) == (
        Succession(
            "issuer", "CN=Contoso Issuing CA 1, O=Contoso", "CN=Fabrikam Issuing CA 1, O=Fabrikam"
        ),
        Succession("key", "ECDSA 256", "ECDSA 384"),
    )
