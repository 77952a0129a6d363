"""HTML pages contain escaped values, no external content, and optional line breaks in long names."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError

from lyncnb.base.shown import tables
from lyncnb.base.shown.html_page import allow_line_breaks, make_page, render_template

HOSTILE = "</title><script>alert('1')</script>\x00\"'&"


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_page_is_self_contained():
    """An HTML page contains its styles, loads no other file, and runs no script."""
    text = make_page(HOSTILE, [tables.format_paragraph(HOSTILE)])
    assert text.startswith("<!DOCTYPE html>")
    assert "<script" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert "src=" not in text
    assert "color-scheme:light dark" in text
    assert "default-src 'none'" in text
    page = _Page()
    page.feed(text)
    assert "script" not in page.tags
    # The hostile text appears in the title, the heading, and the paragraph of the page.
    assert page.text.count(HOSTILE.replace("\x00", "")) == 3


def test_missing_value_for_the_template_is_an_error():
    """If a value for the page's template is missing, an error is raised."""
    with pytest.raises(UndefinedError, match="'title' is undefined"):
        render_template("base/shown/parts.html.j2", parts=[])


def test_long_names_may_wrap_and_stay_text():
    """A long name contains optional line breaks, and is escaped as text."""
    assert allow_line_breaks("a.b-c<d>") == "a.<wbr>b-<wbr>c&lt;d&gt;"
    assert allow_line_breaks("0" * 32) == "0" * 16 + "<wbr>" + "0" * 16
    assert allow_line_breaks("") == ""
    assert allow_line_breaks("end.") == "end."


def test_planning_imports_no_jinja2():
    """The modules for planning and tables do not import jinja2."""
    code = (
        "import sys; sys.modules['jinja2'] = None; import lyncnb.reports.summary.formats, "
        "lyncnb.plan.planner, lyncnb.checks.check_plan, lyncnb.base.shown.html_page"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
