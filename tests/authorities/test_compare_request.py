"""lyncnb compares a request from another computer with its entry in the plan, and reports each
difference as a finding.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import pytest
from planned_entry import ENTRY, NAMES, SUBJECT

from lyncnb.authorities.evaluation.compare_request import compare_request
from lyncnb.base.request_content import RequestContent

AS_PLANNED = RequestContent(
    subject=SUBJECT,
    names=NAMES,
    extended_key_usage=("serverAuth",),
    key_usage=("digitalSignature", "keyEncipherment"),
    key_algorithm="RSA",
    key_bits=2048,
    hash="sha256",
)

# Each prime in a key of this kind is k * M + 65537**a mod M, where M is the product of small
# primes.
_SMALL = [n for n in range(3, 168) if all(n % divisor for divisor in range(2, n))]
_PRODUCT = prod(_SMALL)
ROCA = (3**200 * _PRODUCT + pow(65537, 1234, _PRODUCT)) * (5**150 * _PRODUCT + 65537)
# The number of rounds in Fermat's method is the difference between the mean of the two factors and
# the square root of their product.
_MIDDLE = 1 << 1023
CLOSE, FAR = _MIDDLE**2 - (1 << 256) ** 2, _MIDDLE**2 - (1 << 900) ** 2

# Each entry contains the code of a finding, a difference that causes the finding, and a similar
# difference that causes no finding.
CASES = [
    (
        "request-common-name-differs",
        {"subject": (("CN", NAMES[1]), *SUBJECT[1:])},
        {"subject": (("CN", NAMES[0].upper()), *SUBJECT[1:])},
    ),
    (
        "request-subject-differs",
        {"subject": (SUBJECT[0], ("O", "contoso, Ltd."), SUBJECT[2])},
        {"subject": SUBJECT[::-1]},
    ),
    ("request-names-missing", {"names": NAMES[:2]}, {"names": tuple(reversed(NAMES))}),
    (
        "request-names-added",
        {"names": (*NAMES, "www.contoso.com")},
        {"names": (*NAMES, NAMES[2].upper())},
    ),
    ("request-key-differs", {"key_bits": 4096}, {"key_usage": ()}),
    ("request-key-weak", {"modulus": ROCA}, {"modulus": ROCA + 2}),
    (
        "request-usage-differs",
        {"extended_key_usage": ("serverAuth", "clientAuth")},
        {"extended_key_usage": ()},  # The CA's template determines extended key usages.
    ),
    ("request-hash-differs", {"hash": "sha1"}, {"other": ("1.3.6.1.4.1.311.13.2.3",)}),
]


def codes_of_changed_request(**changes):
    """Return the codes of the findings about a request that matches the plan except for the given
    changes.
    """
    return {finding.code for finding in compare_request(replace(AS_PLANNED, **changes), ENTRY)}


def test_primes_that_are_too_close_are_found():
    """A hundred rounds of Fermat's method find the factors of an RSA key whose primes are too close
    to each other.

    Primes further apart cause no finding.
    """
    assert codes_of_changed_request(modulus=CLOSE) == {"request-key-weak"}
    assert codes_of_changed_request(modulus=FAR) == set()


def test_request_as_planned_has_no_finding():
    """If a request matches the plan, lyncnb reports no finding."""
    assert codes_of_changed_request() == set()


@pytest.mark.parametrize(("code", "differs", "nearest"), CASES, ids=[case[0] for case in CASES])
def test_only_real_differences_from_the_plan_are_reported(code, differs, nearest):
    """Each difference between a request and the plan causes exactly one finding.

    Order, letter case and values that the CA decides cause none.
    """
    assert codes_of_changed_request(**differs) == {code}
    assert codes_of_changed_request(**nearest) == set()
