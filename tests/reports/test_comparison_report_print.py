"""The page of a comparison is readable in Chromium, in light and dark mode, and on paper."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from lab_driver import CHROMIUM
from places import DATA
from printing import (
    PDF_TOOLS,
    axe_in_both_themes,
    find_overflowing_elements,
    open_in_browser,
    pdf_text,
    words_in,
)

import lyncnb as ln
from lyncnb.base.shown.html_page import make_page
from lyncnb.base.shown.report import write_report
from lyncnb.base.shown.tables import rows_to_html
from lyncnb.reports.compare import compare_plans
from lyncnb.reports.comparison_report import Comparison, build_comparison_report
from lyncnb.reports.find_causes import find_causes

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
    pytest.mark.skipif(not PDF_TOOLS, reason="no pdfinfo and pdftotext"),
]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """Write a page that compares the sample's plan with a changed plan, and return its path. The
    changed plan has an additional SIP domain, one server fewer, and a wildcard option.
    """
    table, rules = ln.read_topology(DATA / "contoso.csv"), ln.load_rules("lync2013")
    changed_table = table.with_cells(
        {0: {"sip_domains": "contoso.com;fabrikam.com;litwareinc.com"}}
    )
    changed_table = changed_table.with_rows(remove=[len(changed_table.cells) - 1])
    old = ln.plan_certificates(table, rules)
    new = ln.plan_certificates(changed_table, rules, options=ln.PlanOptions(wildcard=True))
    day = date(2026, 11, 25)
    compared = Comparison(
        difference=find_causes(compare_plans(old, new)),
        old_findings=ln.check_plan(old, on=day),
        new_findings=ln.check_plan(new, on=day),
    )
    path = tmp_path_factory.mktemp("page") / "c.html"
    path.write_bytes(write_report(build_comparison_report(compared), ".html"))
    return path


def test_table_headings_are_on_the_sheet_of_the_first_row(chromium, tmp_path):
    """In print, the caption and the headings of a table are on the same sheet as its first row."""
    path, pdf = tmp_path / "t.html", tmp_path / "t.pdf"
    tables = [
        rows_to_html(("Heading",), [("row\n" * (n * 7 % 9 + 1),), ("row",)], caption="Caption")
        for n in range(80)
    ]
    path.write_text(make_page("Tables", tables), encoding="utf-8")
    with open_in_browser(chromium, path) as page:
        page.pdf(path=str(pdf), prefer_css_page_size=True)
    words = [word.text for word in words_in(pdf)]
    last_words = [words[index - 1] for index, word in enumerate(words) if word == "Page"]
    assert len(last_words) > 3
    assert set(last_words) == {"row"}


def test_the_page_is_accessible_and_whole(page_file, chromium):
    """The page has no violation of accessibility rules, and no content extends beyond the page or
    its cell.
    """
    with open_in_browser(chromium, page_file, scripts=True) as page:
        assert axe_in_both_themes(page) == []
        assert find_overflowing_elements(page) == []


def test_all_columns_are_printed(page_file, chromium, tmp_path):
    """The printed page contains the picture and all columns, such as the cause and the source of
    each change.
    """
    pdf = tmp_path / "c.pdf"
    with open_in_browser(chromium, page_file) as page:
        page.pdf(path=str(pdf), prefer_css_page_size=True)
    text = pdf_text(pdf)
    for words in (
        "sip_domains:litwareinc.comadded",
        "optionwildcard:false->true",
        "Managingserver-to-serverauthentication",
        "The±signindicatesachange",
    ):
        assert words in text
