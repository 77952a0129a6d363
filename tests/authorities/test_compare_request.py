"""A request that was created on another computer is compared with its entry in the plan, and each
difference is a finding.
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

# Each prime of this kind of key is k * M + 65537**a mod M. M is the product of small primes.
_SMALL = [n for n in range(3, 168) if all(n % divisor for divisor in range(2, n))]
_PRODUCT = prod(_SMALL)
ROCA = (3**200 * _PRODUCT + pow(65537, 1234, _PRODUCT)) * (5**150 * _PRODUCT + 65537)
# Fermat's method needs as many rounds as the mean of the factors exceeds the root of the product.
_MIDDLE = 1 << 1023
CLOSE, FAR = _MIDDLE**2 - (1 << 256) ** 2, _MIDDLE**2 - (1 << 900) ** 2

# The code, the difference, and the nearest request that matches the plan.
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
        {"extended_key_usage": ()},  # The CA's template decides about this extension.
    ),
    ("request-hash-differs", {"hash": "sha1"}, {"other": ("1.3.6.1.4.1.311.13.2.3",)}),
]


def compared(**changes):
    """Return the codes of a request that matches the plan except for some changes."""
    return {finding.code for finding in compare_request(replace(AS_PLANNED, **changes), ENTRY)}


def test_primes_that_are_too_close_are_found():
    """A hundred rounds of Fermat's method find primes that are too close.

    Primes further apart cause no finding.
    """
    assert compared(modulus=CLOSE) == {"request-key-weak"}
    assert compared(modulus=FAR) == set()


def test_as_planned():
    """A request that matches the plan has no finding."""
    assert compared() == set()


@pytest.mark.parametrize(("code", "differs", "nearest"), CASES, ids=[case[0] for case in CASES])
def test_a_difference_is_reported_and_what_is_nearly_one_is_not(code, differs, nearest):
    """Each difference causes exactly one code.

    Order, letter case and values that the CA decides cause none.
    """
    assert compared(**differs) == {code}
    assert compared(**nearest) == set()
