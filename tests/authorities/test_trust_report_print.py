"""The page of a trust plan is readable in Chromium in light mode, in dark mode, and when it is
printed.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from lab_driver import CHROMIUM
from places import DATA
from printing import (
    PDF_TOOLS,
    axe_in_both_themes,
    find_overflowing_elements,
    open_in_browser,
    page_count,
    pdf_text,
)

import lyncnb as ln
from lyncnb.authorities.trust.trust_plan import trust
from lyncnb.authorities.trust.trust_report import build_trust_report
from lyncnb.authorities.trust.trust_tables import CaCertificate
from lyncnb.base.shown.report import write_report

pytestmark = [
    pytest.mark.browser,
    pytest.mark.usefixtures("tested_font"),
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
    pytest.mark.skipif(not PDF_TOOLS, reason="no pdfinfo and pdftotext"),
]
THUMBPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"


@pytest.fixture(scope="module")
def planned():
    """Return the trust plan of the sample, whose internal CA has a long subject."""
    trust_plan = trust(
        ln.plan_certificates(ln.read_topology(DATA / "contoso.csv"), ln.load_rules())
    )
    known = CaCertificate(
        issuer="internal",
        title="CN=Contoso Enterprise Issuing Certification Authority 2026, DC=contoso, DC=net",
        thumbprint=THUMBPRINT,
        sha256="0" * 64,
    )

    def named(ca):
        return known if ca.is_root and ca.issuer == "internal" else ca

    return replace(
        trust_plan,
        presentations=tuple(replace(o, root=named(o.root)) for o in trust_plan.presentations),
        required=tuple(replace(o, ca=named(o.ca)) for o in trust_plan.required),
    )


@pytest.fixture(scope="module")
def page_file(planned, tmp_path_factory):
    """Return the path of the HTML page with the trust plan."""
    path = tmp_path_factory.mktemp("page") / "t.html"
    path.write_bytes(write_report(build_trust_report(planned), ".html"))
    return path


def test_page_is_accessible_and_nothing_overflows(page_file, chromium):
    """On the page of a trust plan, axe-core reports no problem, and no content overflows the page
    or a table cell.
    """
    with open_in_browser(chromium, page_file, scripts=True) as page:
        assert axe_in_both_themes(page) == []
        assert find_overflowing_elements(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_printed_page_contains_every_name_and_source(planned, page_file, chromium, tmp_path):
    """The printed page contains every server, CA, statement and complete thumbprint."""
    pdf = tmp_path / "t.pdf"
    with open_in_browser(chromium, page_file) as page:
        page.pdf(path=str(pdf), prefer_css_page_size=True)
    text = pdf_text(pdf)
    assert THUMBPRINT in text
    for requirement in planned.required:
        assert {server for server in requirement.servers if server not in text} == set()
        assert requirement.ca.title.replace(" ", "") in text
    for statement in planned.statements:
        assert statement.why.replace(" ", "") in text
        assert statement.source.replace(" ", "") in text


#: The maximum number of printed pages for the trust plan of each sample. A table for each role,
#: instead of each server, keeps these numbers small.
MOST_PAGES = {"contoso.csv": 3, "litwareinc-global.csv": 5}


@pytest.mark.parametrize("sample", MOST_PAGES)
def test_page_has_a_table_for_each_role(sample, chromium, tmp_path):
    """The page of a trust plan has a table for each role, and its summary counts certificates, CAs
    and servers.
    """
    plan = ln.plan_certificates(ln.read_topology(DATA / sample), ln.load_rules())
    planned = trust(plan)
    path = tmp_path / "t.html"
    page = write_report(build_trust_report(planned), ".html").decode()
    path.write_text(page, "utf-8")
    with open_in_browser(chromium, path, scripts=True) as opened_page:
        captions = opened_page.evaluate(
            "[...document.querySelectorAll('caption')].map(c => c.textContent)"
        )
        opened_page.pdf(path=str(tmp_path / "t.pdf"), format="A4")
    assert page_count(tmp_path / "t.pdf") <= MOST_PAGES[sample]
    for role in {requirement.title for requirement in planned.required if requirement.pool}:
        assert len([c for c in captions if c.startswith(f"{role}: ")]) == 1, role
    # No server presents the deployment's OAuth certificate on a port where a client verifies the
    # root.
    presented_ids = {name for presented in planned.presentations for name in presented.certificates}
    assert presented_ids <= {certificate.id for certificate in plan.certificates}
    servers = {server for certificate in plan.certificates for server in certificate.servers}
    headline = f"{len(presented_ids)} presented certificates, 2 CAs, {len(servers)} servers"
    assert headline in page
    for (
        presentation
    ) in planned.presentations:  # The text is on the page, but in a collapsed section.
        for name in presentation.names:
            assert name in re.sub("<wbr>", "", page)
