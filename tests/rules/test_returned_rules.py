"""lyncnb reads the rules for issued certificates completely, and reports mistakes in the rule file."""

from __future__ import annotations

import pytest

from lyncnb.errors import RulesError
from lyncnb.rules.returned_rules import is_acceptable, list_returned_checks, parse_returned_rules

CHECK = """
[[check]]
code = "a-b"
severity = "error"
title = "t"
meaning = "m"
hint = "h"
source = "s"
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CHECK.replace('"error"', '"fatal"'), "Unknown severity \"fatal\" in 'check[0].severity'"),
        (CHECK + CHECK, "'check[1].code' is \"a-b\", which 'check[0]' already uses"),
        (CHECK + 'colour = "red"', "Unknown key: 'check[0].colour'"),
        (CHECK.replace('source = "s"', ""), "Missing required value: 'check[0].source'"),
        (CHECK + "effective = 2026-01-01\nuntil = 2025-01-01", "'check[0].until' must be later"),
        ("[[chekc]]\n", "Unknown key: 'chekc'"),
        ('never_accepted = ["b"]', "Unknown check \"b\" in 'never_accepted'"),
        ("check = 3", "'check' is not an array of tables"),
    ],
)
def test_a_mistake_is_reported_with_its_location(text, message):
    """The message about a mistake in the rule file gives its location."""
    with pytest.raises(RulesError) as caught:
        parse_returned_rules(text)
    assert [problem.message.startswith(message) for problem in caught.value.problems] == [True]


def test_checks_of_cas_are_included():
    """The list of checks for issued certificates also contains the checks from the rules for CAs,
    so users can accept the findings of these checks.
    """
    assert {"validity-over-public-limit", "signature-hash-sha1-public"} <= set(
        list_returned_checks()
    )
    assert is_acceptable("validity-over-public-limit")
    assert not is_acceptable("self-signed")
