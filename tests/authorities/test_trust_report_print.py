"""The page of a trust plan, as its readers get it: in Chromium, light, dark, on paper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lab_driver import CHROMIUM
from places import DATA
from printing import PDF_TOOLS, axe_in_both_themes, cut_off, opened, pdf_text

import lyncnb as ln
from lyncnb.authorities.trust.trust_plan import trust
from lyncnb.authorities.trust.trust_report import trust_report
from lyncnb.authorities.trust.trust_tables import CaCertificate
from lyncnb.base.shown.report import write_report

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
    pytest.mark.skipif(not PDF_TOOLS, reason="no pdfinfo and pdftotext"),
]
THUMBPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"


@pytest.fixture(scope="module")
def planned():
    """The sample, its internal CA known by a long subject."""
    found = trust(ln.plan_certificates(ln.read_topology(DATA / "contoso.csv"), ln.load_rules()))
    known = CaCertificate(
        issuer="internal",
        title="CN=Contoso Enterprise Issuing Certification Authority 2026, DC=contoso, DC=net",
        thumbprint=THUMBPRINT,
        sha256="0" * 64,
    )

    def named(ca):
        return known if ca.is_root and ca.issuer == "internal" else ca

    return replace(
        found,
        presentations=tuple(replace(o, root=named(o.root)) for o in found.presentations),
        required=tuple(replace(o, ca=named(o.ca)) for o in found.required),
    )


@pytest.fixture(scope="module")
def page_file(planned, tmp_path_factory):
    """Its page."""
    path = tmp_path_factory.mktemp("page") / "t.html"
    path.write_bytes(write_report(trust_report(planned), ".html"))
    return path


def test_the_page_is_accessible_and_whole(page_file, chromium):
    """Axe has nothing to say, and nothing reaches beyond the page or its cell."""
    with opened(chromium, page_file, scripts=True) as page:
        assert axe_in_both_themes(page) == []
        assert cut_off(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_on_paper_every_name_and_source_is_there(planned, page_file, chromium, tmp_path):
    """Printed, every server, name, statement and the whole thumbprint are there to read."""
    pdf = tmp_path / "t.pdf"
    with opened(chromium, page_file) as page:
        page.pdf(path=str(pdf), prefer_css_page_size=True)
    text = pdf_text(pdf)
    assert THUMBPRINT in text
    for one in planned.required:
        assert {server for server in one.servers if server not in text} == set()
    for shown in planned.presentations:
        assert {name for name in shown.names if name not in text} == set()
    for said in planned.statements:
        assert said.why.replace(" ", "") in text
        assert said.source.replace(" ", "") in text
