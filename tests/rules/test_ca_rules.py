"""The rules of returned certificates: their file is read whole, and every mistake is told."""

from __future__ import annotations

from datetime import date

import pytest

from lyncnb.errors import RulesError
from lyncnb.rules.ca_rules import ValidityLimit, parse_returned_rules, returned_rules

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
        (CHECK + CHECK, "'check[1].code' repeats \"a-b\" of 'check[0]'"),
        (CHECK + 'colour = "red"', "Unknown key in 'check[0].colour'"),
        (CHECK.replace('source = "s"', ""), "Missing required value in 'check[0].source'"),
        (CHECK + "effective = 2026-01-01\nuntil = 2025-01-01", "'check[0].until' is not after"),
        ("[[chekc]]\n", "Unknown key in 'chekc'"),
        ("[[validity_limit]]\nbegins = 3\ndays = 4", "'validity_limit[0].begins' must be a date"),
        ("check = 3", "'check' is no array of tables"),
    ],
)
def test_mistakes_in_the_data(text, message):
    """A mistake in the data file names its place."""
    with pytest.raises(RulesError) as caught:
        parse_returned_rules(text)
    assert [problem.message.startswith(message) for problem in caught.value.problems] == [True]


def test_validity_limits_are_in_order():
    """The limits of public certificates stand by the day from which they hold."""
    limits = returned_rules().validity_limits
    assert list(limits) == sorted(limits, key=lambda limit: limit.begins)
    assert limits[-1] == ValidityLimit(begins=date(2029, 3, 15), days=47)
