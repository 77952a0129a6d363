"""The summary is readable on paper, and in Chromium without scripts."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from folders import issued_record, written_record
from lab_driver import CHROMIUM
from printing import (
    OFFICE,
    PDF_TOOLS,
    axe_in_both_themes,
    find_overflowing_elements,
    office_pdf,
    open_in_browser,
    overflowing_cells,
    page_count,
    words_in,
)
from printing import pdf_text as text_of

import lyncnb as ln
from lyncnb.reports.summary.content import SavedFile
from lyncnb.reports.summary.formats import write_summary as write_file
from lyncnb.reports.summary.from_plan import build_summary, list_ids_in_order
from lyncnb.reports.summary.progress import add_requests

pytestmark = [
    pytest.mark.browser,
    pytest.mark.usefixtures("tested_font"),
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
    pytest.mark.skipif(not PDF_TOOLS, reason="no pdfinfo and pdftotext"),
]

# The width in points of the word "Perimeter" when the smallest text in the picture has a size of
# 5.5 points.
LEGIBLE = 36

# Each entry is a sample and the maximum number of pages in its summary. The plans of the samples
# have 14 and 49 certificates. The names of their files end with 8 digits of the key.
SAMPLES = (("contoso", 5), ("litwareinc-global", 13))


DAYS = {"planned_issue_date": date(2026, 12, 1), "validity_days": 200}


@pytest.fixture(scope="module", params=SAMPLES, ids=[name for name, _ in SAMPLES])
def sample(request, data):
    """Plan a sample, and return its plan, its findings, and the records of its written requests."""
    name, pages = request.param
    options = ln.PlanOptions(organization="Contoso", locality="Taipei", country="TW", **DAYS)
    topology = ln.read_topology(data / f"{name}.csv")
    plan = ln.plan_certificates(topology, ln.load_rules("lync2013"), options=options)
    return SimpleNamespace(
        name=name, pages=pages, plan=plan, findings=ln.check_plan(plan), requests=requests_of(plan)
    )


def requests_of(plan, *, is_back=lambda number: False):
    """Return the records of all requests in a folder, and the records of those requests whose
    certificate has been issued.
    """
    issued = issued_record(not_after="2027-06-18T23:59:59Z")
    numbers = {name: number for number, name in enumerate(list_ids_in_order(plan), start=1)}
    records = [written_record(part, numbers[part.id]) for part in plan.certificates]
    return [
        record.with_issued_certificate(issued, at="2026-12-02T09:00:00Z")
        if is_back(number)
        else record
        for number, record in enumerate(records)
    ]


#: The parts of a request folder that are printed.
STAGES = {
    "requests": lambda number: False,
    "some back": lambda number: number % 2 == 0,
    "all back": lambda number: True,
}


def write_summary(sample, folder, suffix, requests=None):
    path = folder / f"{sample.name}{suffix}"
    requests = requests or sample.requests
    saved = SavedFile(name="p.json", sha256="ab" * 32, sign_line="ssh-keygen -Y sign")
    sheet = saved if suffix == ".docx" else None
    summary = build_summary(
        sample.plan, sample.findings, pictures=suffix == ".html", table_only=suffix == ".csv"
    )
    path.write_bytes(write_file(add_requests(replace(summary, saved=sheet), requests), suffix))
    return path


def names_in(plan):
    return {name for c in plan.certificates for name in (*c.names, c.subject.common_name)}


@pytest.mark.parametrize("landscape", [False, True], ids=["portrait", "landscape"])
@pytest.mark.parametrize("stage", STAGES)
def test_page_on_paper(sample, tmp_path, chromium, stage, landscape):
    """The printed summary has no more than the expected number of pages, and contains every name in
    the plan.
    """
    pdf = tmp_path / "summary.pdf"
    requests = requests_of(sample.plan, is_back=STAGES[stage])
    with open_in_browser(chromium, write_summary(sample, tmp_path, ".html", requests)) as page:
        page.pdf(path=str(pdf), format="A4", landscape=landscape)
    text = text_of(pdf)
    assert page_count(pdf) <= sample.pages
    assert [name for name in sorted(names_in(sample.plan)) if name not in text] == []
    assert [r.csr_sha256 for r in requests if r.csr_sha256 not in text] == []
    assert "Importantdates" in text
    # The picture of the topology has a readable size, and is rotated if necessary.
    title = words_in(pdf, "Perimeter")[0]
    assert (title.height > title.width) == landscape
    assert max(title.height, title.width) > LEGIBLE


def test_borders_of_tables_are_printed(sample, tmp_path, chromium):
    """In print, the right border of each table is inside the page."""
    with open_in_browser(
        chromium, write_summary(sample, tmp_path, ".html"), scripts=True, width=703
    ) as page:
        page.emulate_media(media="print")
        edge = """() => Math.max(...[...document.querySelectorAll('table')]
            .map(e => e.getBoundingClientRect().right)) - document.documentElement.clientWidth"""
        assert page.evaluate(edge) <= -0.5


def test_a_long_label_wraps_in_print(tmp_path, chromium):
    """In print, a name with a label of 63 characters stays in its cell, and so does every other
    text.
    """
    label = "w" * 63
    plan = ln.plan_certificates(
        ln.read_topology(
            "server_fqdn,role,pool_fqdn,sip_domains,web_external_fqdn\n"
            f"fe1.contoso.com,FrontEnd,pool1.contoso.com,contoso.com,{label}.contoso.com\n"
            f"{label}.contoso.com,StandardEdition,,,{label[1:]}2.fabrikam.com\n".encode()
        ),
        ln.load_rules("lync2013"),
    )
    long = SimpleNamespace(
        name="long", plan=plan, findings=ln.check_plan(plan), requests=requests_of(plan)
    )
    path = write_summary(long, tmp_path, ".html")
    with open_in_browser(chromium, path, scripts=True, width=703) as page:
        page.emulate_media(media="print")
        assert overflowing_cells(page) == []


@pytest.mark.parametrize("width", [1280, 700])
def test_no_content_is_cut_off(sample, tmp_path, chromium, width):
    """At a width of 1280 pixels, and at 200 % zoom, no content extends beyond the page."""
    path = write_summary(sample, tmp_path, ".html")
    with open_in_browser(chromium, path, scripts=True, width=width) as page:
        assert find_overflowing_elements(page) == []


def test_page_is_accessible(sample, tmp_path, chromium):
    """The summary page has no violation of accessibility rules in the light and dark themes."""
    with open_in_browser(chromium, write_summary(sample, tmp_path, ".html"), scripts=True) as page:
        assert axe_in_both_themes(page) == []


@pytest.mark.skipif(not OFFICE, reason="no LibreOffice")
def test_the_printed_workbook_contains_every_name(sample, tmp_path):
    """The workbook prints every name with a font size of 8 points, and only two sheets are wider
    than a page.
    """
    pdf = office_pdf(write_summary(sample, tmp_path, ".xlsx"), tmp_path)
    text = text_of(pdf)
    assert [name for name in sorted(names_in(sample.plan)) if name not in text] == []
    # The footer of each printed page contains the name of the sheet.
    pages = {title: text.count(f"{title}·") for title in ("Certificates", "Servers")}
    assert 0 < pages["Certificates"] <= (6 if sample.name == "contoso" else 30)
    assert 0 < pages["Servers"] <= 3
    assert page_count(pdf) <= (19 if sample.name == "contoso" else 70)
    # The text is in 11-point Calibri, printed at 73 percent. LibreOffice replaces Calibri with
    # DejaVu Sans, whose line height is 1.16 times the font size.
    assert min(word.height for word in words_in(pdf)) >= 8


@pytest.mark.skipif(not OFFICE, reason="no LibreOffice")
def test_document_on_paper(sample, tmp_path):
    """The printed Word document has at most one page more than the printed HTML page, because it
    also has a page for signatures.
    """
    pdf = office_pdf(write_summary(sample, tmp_path, ".docx"), tmp_path)
    text = text_of(pdf)
    assert page_count(pdf) <= sample.pages + 1
    assert [name for name in sorted(names_in(sample.plan)) if name not in text] == []
    assert "Approvedby" in text


def test_a_large_page_opens(tmp_path, chromium):
    """A browser can open the page for a large deployment. For 1,000 servers, the page is smaller than
    3.1 MB. By default, the test uses 100 servers.
    """
    servers = int(os.environ.get("LYNCNB_SUMMARY_SERVERS", "100"))
    rows = ["server_fqdn,role,pool_fqdn,site,sip_domains,meet_urls,dialin_url,web_external_fqdn"]
    rows += [
        f"fe{n:04}.contoso.com,FrontEnd,pool{n // 8:03}.contoso.com,Taipei,"
        f"contoso.com;fabrikam.com,https://meet.contoso.com;https://meet.fabrikam.com,"
        f"https://dialin.contoso.com,web{n // 8:03}.contoso.com"
        for n in range(servers)
    ]
    plan = ln.plan_certificates(
        ln.read_topology("\n".join(rows).encode()), ln.load_rules("lync2013")
    )
    large = SimpleNamespace(
        name="large", plan=plan, findings=ln.check_plan(plan), requests=requests_of(plan)
    )
    path = write_summary(large, tmp_path, ".html")
    assert path.stat().st_size < 3_000_000 * servers / 1_000 + 100_000
    with open_in_browser(chromium, path) as page:
        page.wait_for_load_state()
        assert page.title() == "Certificates for Lync Server 2013"
