"""Every document of both samples is readable on paper and on a phone: no word is split, and no text
is cut off.
"""

from __future__ import annotations

import zipfile
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import pytest
from deploy.walk import NOON, OLD_END, packages_of
from folders import make_folder
from lab_driver import CHROMIUM
from places import DATA, REPOSITORY
from printing import (
    PDF_TOOLS,
    find_split_tokens,
    open_in_browser,
    overflowing_cells,
    page_count,
    words_in,
)
from strange import Deployment

import lyncnb as ln
from lyncnb.authorities.handover import hand_over
from lyncnb.authorities.trust.trust_plan import trust
from lyncnb.authorities.trust.trust_report import build_trust_report
from lyncnb.base.shown.report import write_report
from lyncnb.deploy.checklist import to_html
from lyncnb.deploy.request_scripts import request_scripts
from lyncnb.deploy.steps import build_procedure
from lyncnb.forecasts.forecast_files import build_forecast_report
from lyncnb.jupyter.notebook_files import read_notebook
from lyncnb.jupyter.shared_page import render_notebook
from lyncnb.reports.compare import compare_plans
from lyncnb.reports.comparison_report import Comparison, build_comparison_report
from lyncnb.reports.find_causes import find_causes
from lyncnb.reports.summary.formats import write_plan_table
from lyncnb.rules.procedure import load_procedure

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
    pytest.mark.skipif(not PDF_TOOLS, reason="no pdfinfo and pdftotext"),
]

RULES = ln.load_rules()
DAY = date(2026, 11, 25)
CONTOSO, LITWARE = "contoso.csv", "litwareinc-global.csv"

#: The maximum number of A4 pages of each document, for 13 and for 52 servers.
MOST_PAGES = {
    "summary": (5, 12),
    "trust": (3, 5),
    "checklist": (34, 112),
    "requests": (15, 44),
    "comparison": (10, 14),
    "forecast": (12, 20),
    "handover internal": (4, 11),
    "handover public": (3, 4),
}


@cache
def plan_of(sample):
    """Return the plan of a sample or of a strange deployment, with its dates."""
    dates = {"planned_issue_date": date(2026, 12, 1), "validity_days": 199}
    if isinstance(sample, Deployment):
        strange = sample.plan()
        options = replace(strange.options, **dates)
        return ln.plan_certificates(strange.topology, strange.rules, options=options)
    options = ln.PlanOptions(**dates)
    return ln.plan_certificates(ln.read_topology(DATA / sample), RULES, options=options)


def compare_with_new_domain(plan):
    """Compare a plan with the plan of a table that has another SIP domain."""
    cells = {0: {"sip_domains": "contoso.com;fabrikam.com;litwareinc.com"}}
    table = plan.topology.with_cells(cells)
    options = replace(plan.options, wildcard=True)
    new = ln.plan_certificates(table, plan.rules, options=options)
    return Comparison(
        difference=find_causes(compare_plans(plan, new)),
        old_findings=ln.check_plan(plan, on=DAY),
        new_findings=ln.check_plan(new, on=DAY),
    )


def package_for_cas(plan, parent_folder):
    """Return the page for the administrators of each CA, by the type of issuer."""
    folder = make_folder(parent_folder / "requests", plan).folder
    sender = "Ana Li, Contoso IT, ana@contoso.com"
    hand_over(folder, parent_folder / "out.zip", sender=sender, needed_by=date(2026, 12, 24))
    with zipfile.ZipFile(parent_folder / "out.zip") as archive:
        pages = [name for name in archive.namelist() if name.endswith("/README.html")]
        return {
            issuer: archive.read(next(name for name in pages if name.startswith(issuer)))
            for issuer in ("internal", "public")
        }


DOCUMENTS = {
    "summary": lambda plan, _: write_plan_table(plan, ln.check_plan(plan, on=DAY), ".html"),
    "trust": lambda plan, _: write_report(build_trust_report(trust(plan)), ".html"),
    "checklist": lambda plan, _: to_html(
        build_procedure(packages_of(plan, OLD_END), plan.rules, now=NOON)
    ).encode(),
    "requests": lambda plan, _: to_html(request_scripts(plan)).encode(),
    "comparison": lambda plan, _: write_report(
        build_comparison_report(compare_with_new_domain(plan)), ".html"
    ),
    "forecast": lambda plan, _: write_report(
        build_forecast_report(ln.forecast(plan, start=DAY)), ".html"
    ),
    "handover internal": lambda _, handover: handover()["internal"],
    "handover public": lambda _, handover: handover()["public"],
}


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    """Return a function that creates each document of a sample only once."""

    @cache
    def handover(sample):
        return package_for_cas(plan_of(sample), tmp_path_factory.mktemp("handover"))

    @cache
    def make(document, sample):
        return DOCUMENTS[document](plan_of(sample), lambda: handover(sample))

    return make


def tokens(plan):
    """Return the words that must not be split: names of servers, services, cmdlets and flags."""
    names = {
        name
        for certificate in plan.certificates
        for name in (*certificate.names, *certificate.servers, certificate.pool)
    }
    names |= {certificate.subject.common_name for certificate in plan.certificates}
    for cmdlet in load_procedure(plan.rules).cmdlets:
        names |= {cmdlet.name, *cmdlet.parameters}
    return names | {"--plan", "--save", "--target-os", "--show-password", "--effective"}


#: The length in characters up to which a name is always on one line.
FITS = 44


def print_without_splits(browser, path, plan):
    """Print a page on A4, and check that each host name, date, flag or cmdlet is on one line, and
    that no content extends beyond the sheet or into the next cell.
    """
    pdf = path.with_suffix(".pdf")
    # The window has the width of an A4 page in portrait format.
    with open_in_browser(browser, path, scripts=True, width=703) as page:
        page.pdf(path=str(pdf), format="A4")
        page.emulate_media(media="print")
        assert overflowing_cells(page) == []
    names = {name for name in tokens(plan) if len(name) <= FITS}
    assert find_split_tokens(pdf, names) == []
    assert words_in(pdf)
    return pdf


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_name_of_a_strange_deployment_is_split(
    chromium, tmp_path, page_of, document, deployment
):
    """On paper, the names of a deployment that is not like the sample are each on one line."""
    path = tmp_path / "page.html"
    path.write_bytes(page_of(document, deployment))
    print_without_splits(chromium, path, plan_of(deployment))


@pytest.mark.usefixtures("tested_font")
@pytest.mark.parametrize("number", [0, 1], ids=["contoso", "litwareinc"])
@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_name_is_split_and_no_document_is_long(chromium, tmp_path, page_of, document, number):
    """On paper, each name of a sample is on one line, and the documents have few pages."""
    sample = (CONTOSO, LITWARE)[number]
    path = tmp_path / "page.html"
    path.write_bytes(page_of(document, sample))
    pdf = print_without_splits(chromium, path, plan_of(sample))
    assert page_count(pdf) <= MOST_PAGES[document][number]


@pytest.mark.usefixtures("tested_font")
@pytest.mark.parametrize(("name", "most"), [("plan", 23), ("receive", 5)])
def test_a_shared_notebook_is_printed_like_the_documents(chromium, tmp_path, name, most):
    """When a shared notebook is printed, no name in its tables is split, and the font size is at
    least 6 points.
    """
    path, pdf = tmp_path / "page.html", tmp_path / "page.pdf"
    notebook = read_notebook(REPOSITORY / "notebooks" / f"{name}.ipynb")
    path.write_text(render_notebook(notebook, title=name), "utf-8")
    with open_in_browser(chromium, path) as page:
        page.pdf(path=str(pdf), prefer_css_page_size=True)
    assert find_split_tokens(pdf, tokens(plan_of(CONTOSO))) == []
    assert page_count(pdf) <= most
    # The height of the box around a text is 7/6 of the font size.
    assert min(w.height for w in words_in(pdf) if w.text in ("WebServicesInternal", "Server")) > 7


# A script that finds elements that are wider than the screen and not inside a scrolling element,
# and scrolling elements that are not tables.
_WIDER = """() => {
    const scrolls = element => /auto|scroll/.test(getComputedStyle(element).overflowX);
    const inside = element => element.closest('table') && scrolls(element.closest('table'));
    const width = document.documentElement.clientWidth, all = [...document.querySelectorAll('main *')];
    document.querySelectorAll('details').forEach(one => { one.open = true; });
    return [document.documentElement.scrollWidth - width,
        ...all.filter(e => e.getBoundingClientRect().right > width + 1 && !inside(e)
            || scrolls(e) && !e.matches('table'))
            .map(e => e.tagName + ': ' + e.textContent.slice(0, 60))];
}"""


@pytest.mark.parametrize("document", DOCUMENTS)
def test_on_a_phone_only_tables_scroll(chromium, tmp_path, page_of, document, deployment):
    """At widths of 390 and 320 pixels, no page is wider than the screen, even if all sections are
    expanded.

    Only tables scroll.
    """
    path = tmp_path / "page.html"
    path.write_bytes(page_of(document, deployment))
    for width in (390, 320):
        with open_in_browser(chromium, path, scripts=True, width=width) as page:
            assert page.evaluate(_WIDER) == [0]


def test_a_split_name_is_found(chromium, tmp_path):
    """If a name or a date continues on the next line, the check reports it, whatever the fonts."""
    path, pdf = tmp_path / "page.html", tmp_path / "page.pdf"
    path.write_text(
        "<p>fe01.<br>contoso.net</p><p>2026-<br>11-25</p>"
        "<p>-<br>PrivateKeyExportable self-<br>signed</p>",
        "utf-8",
    )
    with open_in_browser(chromium, path) as page:
        page.pdf(path=str(pdf), format="A4")
    names = {"fe01.contoso.net", "-PrivateKeyExportable"}
    assert {*find_split_tokens(pdf, names)} == {"2026-11-25", *names}
