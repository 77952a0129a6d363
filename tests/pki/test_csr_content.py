"""The contents of two CSRs can be compared, and the differences are described as text."""

from __future__ import annotations

import dataclasses
import pickle

import pytest
from folders import planned_certificate
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.base.request_content import RequestContent, list_content_differences
from lyncnb.plan.model import build_request_content

NAMES = ("pool.contoso.com", "sip.contoso.com", "sip.fabrikam.com")
SUBJECT = {"organization": "Contoso", "locality": "Taipei", "country": "TW"}
OLD = build_request_content(planned_certificate(*NAMES, **SUBJECT))


def test_content_has_the_fields_of_a_csr():
    """The content of a planned certificate has exactly the fields that a CSR contains."""
    assert OLD == RequestContent(
        subject=(("CN", "pool.contoso.com"), ("O", "Contoso"), ("L", "Taipei"), ("C", "TW")),
        names=NAMES,
        extended_key_usage=("serverAuth",),
        key_usage=("digitalSignature", "keyEncipherment"),
        key_algorithm="RSA",
        key_bits=2048,
        hash="sha256",
    )


def test_an_ecdsa_key_only_signs():
    """An elliptic curve key does not have the usage keyEncipherment (RFC 8813 section 3)."""
    content = build_request_content(planned_certificate("a.contoso.com", algorithm="ECDSA"))
    assert content.key_usage == ("digitalSignature",)


def test_content_can_be_sent_to_another_process():
    """The content of a request can be pickled and loaded again, and its names are plain strings."""
    assert pickle.loads(pickle.dumps(OLD)) == OLD
    assert {type(name) for name in OLD.names} == {str}


CASES = [
    ({}, ()),
    ({"names": (*NAMES, "lyncdiscover.fabrikam.com")}, ("san: + lyncdiscover.fabrikam.com",)),
    ({"names": NAMES[:2]}, ("san: - sip.fabrikam.com",)),
    ({"names": ()}, (f"san: - {NAMES[0]}, - {NAMES[1]}, - {NAMES[2]}",)),
    (
        {"names": (*NAMES[:2], "a.contoso.com")},
        ("san: + a.contoso.com, - sip.fabrikam.com",),
    ),
    (
        {"names": (NAMES[0], NAMES[2], NAMES[1])},
        ("san order: sip.fabrikam.com before sip.contoso.com",),
    ),
    # A repeated name counts as an additional name, and not as a different order of the names.
    ({"names": (*NAMES, NAMES[1])}, ("san: + sip.contoso.com",)),
    ({"hash": "sha384"}, ("hash: sha256 -> sha384",)),
    ({"key_bits": 4096}, ("key: RSA 2048 -> RSA 4096",)),
    ({"key_algorithm": "ECDSA", "key_bits": 256}, ("key: RSA 2048 -> ECDSA 256",)),
    ({"extended_key_usage": ("serverAuth", "clientAuth")}, ("eku: + clientAuth",)),
    ({"key_usage": ("digitalSignature",)}, ("key usage: - keyEncipherment",)),
    ({"other": ("1.3.6.1.4.1.311.20.2",)}, ("extension: + 1.3.6.1.4.1.311.20.2",)),
    (
        {"subject": (("CN", "pool.contoso.com"), ("O", "Fabrikam"), ("OU", "IT"), ("C", "TW"))},
        ("subject O: Contoso -> Fabrikam", "subject L: - Taipei", "subject OU: + IT"),
    ),
    ({"subject": OLD.subject[::-1]}, ("subject order: CN, O, L, C -> C, L, O, CN",)),
    # If a field is repeated with the same value, only the order of the fields differs.
    ({"subject": (*OLD.subject, ("C", "TW"))}, ("subject order: CN, O, L, C -> CN, O, L, C, C",)),
    (
        {"names": (*NAMES, "lyncdiscover.fabrikam.com"), "hash": "sha512"},
        ("san: + lyncdiscover.fabrikam.com", "hash: sha256 -> sha512"),
    ),
]


@pytest.mark.parametrize(("change", "differences"), CASES)
def test_a_difference_lists_the_changed_fields(change, differences):
    """The comparison of two CSRs returns a text for each changed field, with the old value first."""
    assert list_content_differences(OLD, dataclasses.replace(OLD, **change)) == differences


names = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=5).map(tuple)


@given(names, names)
def test_lists_differ_only_if_they_are_not_equal(old, new):
    """The comparison of two requests reports a difference between two lists of names only if the
    lists are not equal.
    """
    differences = list_content_differences(
        dataclasses.replace(OLD, names=old), dataclasses.replace(OLD, names=new)
    )
    assert bool(differences) == (old != new)
