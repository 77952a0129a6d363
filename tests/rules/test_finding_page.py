"""The page of every finding: made from data, whole, escaped."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lyncnb.rules.finding_page import finding_page
from lyncnb.rules.returned_rules import every_check
from lyncnb.rules.rule_files import load_rules

RULES = load_rules("lync2013")


@pytest.fixture(scope="module")
def page():
    return finding_page(RULES)


def text_of(html):
    """What a reader sees, without tags; entities are left."""
    return re.sub(r"<[^>]*>", "", html)


def test_every_code_stands_there_once_or_where_it_judges(page):
    """Each finding has its code as id; one of both plans and certificates appears at most twice."""
    for code in every_check(RULES):
        assert 1 <= page.count(f'<h3 id="{code}">') <= 2, code


def test_each_says_value_why_what_and_who(page):
    """Title, meaning, hint and source of every finding are on the page, escaped."""
    from markupsafe import escape

    seen = text_of(page)
    for rule in every_check(RULES).values():
        for text in (rule.title, rule.meaning, rule.hint, rule.source):
            assert str(escape(text)) in seen, (rule.code, text)


def test_days_and_limits_are_reported(page):
    """A dated rule says from when until when; a limit all its numbers with their sources."""
    seen = text_of(page)
    assert "from 2026-05-15 until the day before 2027-02-10" in seen
    assert "47 from 2029-03-15 (CA/Browser Forum, Baseline Requirements 2.2.6" in seen
    assert "Chrome, 2027-04-15: GlobalSign Root CA - R3 (Google" in seen


def test_hostile_text_is_escaped():
    """A rule file cannot bring markup into the page."""
    check = replace(next(iter(RULES.checks.values())), title="<script>alert(1)</script>")
    html = finding_page(replace(RULES, checks={check.code: check}))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
