"""In a notebook, the table of a plan fits on the screen and on paper, and each name links to the
reason why the certificate contains it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from lab_driver import CHROMIUM
from printing import PDF_TOOLS, axe_violations, find_overflowing_elements, open_in_browser, pdf_text

import lyncnb as ln
from lyncnb.base.shown.html_page import make_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
    pytest.mark.skipif(not PDF_TOOLS, reason="no pdfinfo and pdftotext"),
]


@pytest.fixture(scope="module")
def model_page(data, tmp_path_factory):
    """Return a notebook page with the table of a plan that has 49 certificates."""
    plan = ln.plan_certificates(
        ln.read_topology(data / "litwareinc-global.csv"), ln.load_rules("lync2013")
    )
    path = tmp_path_factory.mktemp("page") / "plan.html"
    path.write_text(make_page("Plan", [plan._repr_html_()]), "utf-8")
    return plan, path


def test_nothing_is_cut_off(model_page, chromium):
    """At a width of 1280 pixels, no cell extends beyond the page, even if it is expanded."""
    with open_in_browser(chromium, model_page[1], scripts=True, width=1180) as page:
        page.evaluate("() => document.querySelectorAll('details').forEach(d => d.open = true)")
        assert find_overflowing_elements(page) == []
        assert axe_violations(page) == []


def test_every_name_is_printed(model_page, chromium, tmp_path):
    """Every name in a plan is printed. On paper, sections that are collapsed on the screen are
    expanded.
    """
    plan, path = model_page
    with open_in_browser(chromium, path) as page:
        page.pdf(path=str(tmp_path / "plan.pdf"), format="A4", landscape=True)
    text = pdf_text(tmp_path / "plan.pdf")
    expected = {name for c in plan.certificates for name in (*c.names, *c.servers)}
    assert [name for name in sorted(expected) if name not in text] == []


def test_a_name_links_to_its_reason(model_page, chromium):
    """A name in the table links to the rule and the document that require it."""
    with open_in_browser(chromium, model_page[1]) as page:
        # At first, the table shows only ten certificates. None of them contains the name
        # meet.litwareinc.com.
        page.get_by_text("Show all 49 rows").click()
        page.get_by_role("link", name="meet.litwareinc.com", exact=True).first.click()
        row = page.locator("tr:target")
        row.wait_for(state="visible")
        assert "A Meet simple URL uses this host name" in row.inner_text()
