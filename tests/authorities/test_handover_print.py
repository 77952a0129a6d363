"""The page for the CA's administrators is readable in Chromium without scripts, and on paper."""

from __future__ import annotations

import zipfile
from datetime import date
from pathlib import Path

import pytest
from folders import make_folder, make_plan
from lab_driver import CHROMIUM
from printing import (
    PDF_TOOLS,
    axe_in_both_themes,
    find_overflowing_elements,
    open_in_browser,
    overflowing_cells,
    page_count,
    pdf_text,
)
from topologies import TWO_SITES

from lyncnb.authorities.handover import hand_over

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
    pytest.mark.skipif(not PDF_TOOLS, reason="no pdfinfo and pdftotext"),
]

SENDER = "Ana Li, Contoso IT, ana@contoso.com"


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Return the extracted packages for AD CS and a public CA."""
    package_folder = tmp_path_factory.mktemp("package")
    folder = make_folder(package_folder / "requests", make_plan()).folder
    package = hand_over(
        folder, package_folder / "out.zip", sender=SENDER, needed_by=date(2026, 12, 24)
    )
    with zipfile.ZipFile(package_folder / "out.zip") as archive:
        archive.extractall(package_folder)
    return package_folder, package


@pytest.mark.parametrize("issuer", ["internal", "public"])
@pytest.mark.parametrize("landscape", [False, True], ids=["portrait", "landscape"])
def test_page_on_paper(packed, tmp_path, chromium, issuer, landscape):
    """When the README page for a CA is printed, it takes up at most three sheets, and contains
    every name and every file.
    """
    package_folder, package = packed
    pdf = tmp_path / "page.pdf"
    with open_in_browser(chromium, package_folder / issuer / "README.html") as page:
        page.pdf(path=str(pdf), format="A4", landscape=landscape)
    text = pdf_text(pdf)
    (part,) = (part for part in package.parts if part.issuer == issuer)
    expected = {name for r in part.requests for name in (*r.plan.san, r.plan.common_name)}
    expected |= {r.files.csr for r in part.requests} | {r.csr_sha256 for r in part.requests}
    expected |= {SENDER.replace(" ", ""), "2026-12-24"}
    assert [name for name in sorted(expected) if name not in text] == []
    assert page_count(pdf) <= 3


@pytest.mark.parametrize("issuer", ["internal", "public"])
def test_page_is_readable_by_all(packed, chromium, issuer):
    """At a width of 1280 pixels, no content of the page for the CA overflows, no word is broken,
    and axe-core reports no problem.
    """
    package_folder, _ = packed
    path = package_folder / issuer / "README.html"
    with open_in_browser(chromium, path, scripts=True) as page:
        assert find_overflowing_elements(page) == []
        assert axe_in_both_themes(page) == []


def test_long_names_stay_in_their_column_on_paper(tmp_path, chromium):
    """On paper, a long name that is printed on one line stays in its column."""
    domain = "brueggemann-kaeltetechnik-wien.com"
    table = TWO_SITES.replace(",access.contoso.com,", f",access.{domain},")
    folder = make_folder(tmp_path / "requests", make_plan(table.encode())).folder
    hand_over(folder, tmp_path / "out.zip", issuer="public")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        archive.extractall(tmp_path)
    # A sheet of A4 paper without its margins is 186 mm wide.
    path = tmp_path / "public" / "README.html"
    with open_in_browser(chromium, path, scripts=True, width=703) as page:
        page.emulate_media(media="print")
        assert domain in page.inner_text(".domains")
        assert overflowing_cells(page) == []
