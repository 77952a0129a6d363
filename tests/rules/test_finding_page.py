"""The page about all findings is complete, is generated from the rules, and escapes special
characters.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lyncnb.rules.finding_page import build_finding_page
from lyncnb.rules.returned_rules import list_all_checks
from lyncnb.rules.rule_files import load_rules

RULES = load_rules("lync2013")


@pytest.fixture(scope="module")
def page():
    return build_finding_page(RULES)


def text_of(html):
    """Return the text of a page without tags. HTML entities are not decoded."""
    return re.sub(r"<[^>]*>", "", html)


def test_every_code_has_a_heading(page):
    """On the page about findings, the code of each finding is the id of one or two headings."""
    for code in list_all_checks(RULES):
        assert 1 <= page.count(f'<h3 id="{code}">') <= 2, code


def test_every_finding_has_title_meaning_hint_and_source(page):
    """The page contains the escaped title, meaning, hint and source of every finding."""
    from markupsafe import escape

    seen = text_of(page)
    for rule in list_all_checks(RULES).values():
        for text in (rule.title, rule.meaning, rule.hint, rule.source):
            assert str(escape(text)) in seen, (rule.code, text)


def test_days_and_limits_are_reported(page):
    """The page contains the dates of each rule, and all values of each limit with their sources."""
    seen = text_of(page)
    assert "from 2026-05-15 until the day before 2027-02-10" in seen
    assert "47 from 2029-03-15 (CA/Browser Forum, Baseline Requirements 2.2.6" in seen
    assert "Chrome and Firefox, 2027-04-15: GlobalSign Root CA - R3 (GlobalSign" in seen


def test_hostile_text_is_escaped():
    """Text in a rule file cannot become markup in the page."""
    check = replace(next(iter(RULES.checks.values())), title="<script>alert(1)</script>")
    html = build_finding_page(replace(RULES, checks={check.code: check}))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
