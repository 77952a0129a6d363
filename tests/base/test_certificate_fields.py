"""The fields of a request are validated: subject, key, and extended key usage."""

from __future__ import annotations

import pytest

from lyncnb.base.certificate_fields import (
    EXTENDED_KEY_USAGES,
    DistinguishedName,
    KeyParameters,
    SanEntry,
)
from lyncnb.base.dns_name import DnsName


@pytest.mark.parametrize(
    ("algorithm", "bits", "text"),
    [
        ("RSA", 2048, "RSA 2048"),
        ("RSA", 3072, "RSA 3072"),
        ("RSA", 4096, "RSA 4096"),
        ("ECDSA", 256, "ECDSA 256"),
        ("ECDSA", 384, "ECDSA 384"),
        ("ECDSA", 521, "ECDSA 521"),
    ],
)
def test_every_valid_key_has_a_description(algorithm, bits, text):
    """Every valid key has a short description, such as RSA 3072."""
    assert str(KeyParameters(algorithm=algorithm, bits=bits)) == text


@pytest.mark.parametrize(
    ("algorithm", "bits", "message"),
    [
        ("RSA", 1024, "1024 is not a valid RSA key size; use one of these sizes: 2048, 3072, 4096"),
        ("RSA", 2047, "2047 is not a valid RSA key size"),
        ("RSA", True, "True is not a valid RSA key size"),
        ("RSA", "2048", "'2048' is not a valid RSA key size"),
        (
            "ECDSA",
            2048,
            "2048 is not a valid ECDSA key size; use one of these sizes: 256, 384, 521",
        ),
        ("DSA", 2048, "'DSA' is not a valid key algorithm; use RSA or ECDSA"),
    ],
)
def test_other_keys_are_refused(algorithm, bits, message):
    """lyncnb rejects an unknown key type and a key size that is too small. The message lists the
    valid values.
    """
    with pytest.raises(ValueError, match=message):
        KeyParameters(algorithm=algorithm, bits=bits)


def test_subject_fields_come_in_a_fixed_order():
    """A subject lists its fields as CN, OU, O, L, ST, C, without blank fields."""
    subject = DistinguishedName(
        common_name="pool.contoso.com",
        organization="Contoso",
        organizational_unit="IT",
        locality="Taipei",
        state="Taiwan",
        country="TW",
    )
    assert subject.fields() == (
        ("CN", "pool.contoso.com"),
        ("OU", "IT"),
        ("O", "Contoso"),
        ("L", "Taipei"),
        ("ST", "Taiwan"),
        ("C", "TW"),
    )
    assert str(subject) == "CN=pool.contoso.com,OU=IT,O=Contoso,L=Taipei,ST=Taiwan,C=TW"
    assert DistinguishedName(common_name="a.contoso.com").to_rfc4514() == "CN=a.contoso.com"


@pytest.mark.parametrize(
    ("organization", "escaped"),
    [
        ("Contoso, Ltd.", "O=Contoso\\, Ltd."),
        ('"Contoso"', 'O=\\"Contoso\\"'),
        ("#Contoso", "O=\\#Contoso"),
        (" Contoso ", "O=\\ Contoso\\ "),
        (" ", "O=\\ "),
        ("A+B=C;D<E>F\\", "O=A\\+B\\=C\\;D\\<E\\>F\\\\"),
        ("台灣", "O=台灣"),
    ],
)
def test_subject_is_escaped(organization, escaped):
    """Special characters in a distinguished name are escaped (RFC 4514 section 2.4)."""
    assert DistinguishedName(common_name="", organization=organization).to_rfc4514() == escaped


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"organization": "o" * 65}, "has 65 characters; the limit is 64"),
        ({"organizational_unit": "o" * 65}, "OU=.* has 65 characters; the limit is 64"),
        ({"locality": "l" * 129}, "L=.* has 129 characters; the limit is 128"),
        ({"state": "s" * 129}, "ST=.* has 129 characters; the limit is 128"),
        (
            {"country": "tw"},
            'C="tw" is not a country code; enter two uppercase letters, for example TW',
        ),
        ({"country": "TWN"}, 'C="TWN" is not a country code'),
        ({"country": "台灣"}, 'C="台灣" is not a country code'),
        ({"organization": "Con\0toso"}, 'O="Con<U\\+0000>toso" contains a control character'),
        ({"organization": "Con\ntoso"}, "contains a control character"),
        ({"locality": "Tai\ud800pei"}, "contains a control character"),
    ],
)
def test_subject_fields_are_checked(fields, message):
    """The fields of a subject may not exceed the maximum lengths in RFC 5280 appendix A.1."""
    with pytest.raises(ValueError, match=message):
        DistinguishedName(common_name="pool.contoso.com", **fields)


def test_a_long_common_name_is_kept_for_the_checks():
    """A common name with more than 64 characters can be read, so that a check of the plan can
    report it.
    """
    assert DistinguishedName(common_name="a" * 64).is_too_long is False
    assert DistinguishedName(common_name="a" * 65).is_too_long is True


def test_extended_key_usages_are_numbered():
    """The two extended key usages that Lync Server needs have the object identifiers of RFC 5280
    section 4.2.1.12.
    """
    assert EXTENDED_KEY_USAGES == {
        "serverAuth": "1.3.6.1.5.5.7.3.1",
        "clientAuth": "1.3.6.1.5.5.7.3.2",
    }


def test_a_san_entry_knows_its_reasons():
    """For each name in the SAN, the entry contains the ids of the rules that require the name."""
    entry = SanEntry(DnsName("meet.contoso.com"), ("meet",))
    assert entry.name == "meet.contoso.com"
    assert entry.reasons == ("meet",)
