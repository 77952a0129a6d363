"""Pictures are readable in Chromium at a width of 1280 pixels, in light and dark mode, and on
paper.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from big_topology import big_table
from lab_driver import CHROMIUM
from places import DATA
from printing import (
    PDF_TOOLS,
    axe_in_both_themes,
    find_overflowing_elements,
    open_in_browser,
    page_count,
    pdf_text,
    words_in,
)

import lyncnb as ln
from lyncnb.base.shown.html_page import make_page
from lyncnb.base.shown.svg import split_into_sheets
from lyncnb.reports.figures import KINDS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.usefixtures("tested_font"),
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
    pytest.mark.skipif(not PDF_TOOLS, reason="no pdfinfo and pdftotext"),
]

SOURCES = {
    "12": DATA / "contoso.csv",
    "59": DATA / "litwareinc-global.csv",
    "1000": big_table(1000),
}


# The minimum width in points of the word "Perimeter" in a picture whose smallest letters have a
# size of 5.5 points.
LEGIBLE = 36

# A script that returns the titles that a connection line in a picture crosses.
CROSSED = """() => {
    const lines = [...document.querySelectorAll('path.solid,path.dashed,path.dotted')]
        .flatMap(e => {
            const p = e.getAttribute('d').match(/[\\d.]+/g).map(Number);
            return p.slice(0, -2).map((_, i) => i).filter(i => i % 2 == 0)
                .map(i => [p[i], p[i + 1], p[i + 2], p[i + 3]]);
        });
    return [...document.querySelectorAll('text:not([transform])')].filter(e => {
        const t = e.getBBox();
        return lines.some(([a, b, c, d]) =>
            Math.max(a, c) > t.x + 1 && Math.min(a, c) < t.x + t.width - 1
            && Math.max(b, d) > t.y + 3 && Math.min(b, d) < t.y + t.height - 3);
    }).map(e => e.textContent);
}"""


@pytest.fixture(scope="module", params=SOURCES)
def plan(request):
    """Return a plan of 12, 59 or 1,000 servers."""
    return ln.plan_certificates(ln.read_topology(SOURCES[request.param]), ln.load_rules("lync2013"))


def test_no_text_leaves_its_box_or_is_crossed(plan, chromium, tmp_path):
    """In a browser, no text extends beyond the picture or its box, and no line crosses a text."""
    figures = {kind: ln.figure(plan, kind) for kind in KINDS}
    figures["site"] = ln.figure(plan, site=plan.topology.pools[0].site)
    for kind, figure in figures.items():
        path = tmp_path / f"{kind}.svg"
        path.write_bytes(figure.to_svg())
        with open_in_browser(chromium, path, scripts=True) as page:
            wide = page.evaluate(
                """() => {
                    const boxes = [...document.querySelectorAll('rect.box')]
                        .map(e => e.getBBox());
                    return [...document.querySelectorAll('text')].filter(e => {
                        if (e.hasAttribute('transform')) return false;
                        const t = e.getBBox();
                        const box = boxes.find(b => t.x >= b.x && t.x < b.x + b.width
                            && t.y + t.height / 2 >= b.y && t.y + t.height / 2 < b.y + b.height);
                        const right = box ? box.x + box.width : 1000;
                        return t.x < 0 || t.x + t.width > right + 0.5
                            || (box && t.y + t.height > box.y + box.height + 0.5);
                    }).map(e => e.textContent);
                }"""
            )
            assert wide == [], kind
            assert page.evaluate(CROSSED) == [], kind


def test_a_page_of_pictures_is_accessible(plan, chromium, tmp_path):
    """A page with pictures and their tables violates no accessibility rule, and nothing is cut off."""
    path = tmp_path / "page.html"
    figures = [ln.figure(plan, kind) for kind in KINDS]
    parts = [figure._repr_html_() for figure in figures]
    path.write_text(make_page("Pictures", parts), encoding="utf-8")
    with open_in_browser(chromium, path, scripts=True) as page:
        page.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth)")
        images = sum(len(split_into_sheets(figure.svg)) for figure in figures)
        assert page.evaluate("document.images.length") == images
        assert axe_in_both_themes(page) == []
        images = [
            entry for entry in find_overflowing_elements(page) if entry.startswith(("IMG", "FIG"))
        ]
        assert images == []


def add_name_to_first_pool(plan):
    """Return the same plan with one more name in each certificate of the first pool."""
    row_number = plan.topology.pools[0].computers[0].row
    edited = plan.topology.with_cells({row_number: {"extra_san": "old.contoso.com"}})
    return ln.compare_plans(plan, ln.plan_certificates(edited, plan.rules))


@pytest.mark.parametrize("kind", ["plan", "comparison"])
def test_a_printed_picture_contains_text(kind, plan, chromium, tmp_path):
    """A printed picture begins below its heading, has one sheet for each of its parts, and contains
    its words as text.
    """
    path = tmp_path / "page.html"
    figure = ln.figure(plan if kind == "plan" else add_name_to_first_pool(plan))
    path.write_text(make_page(figure.title, [figure._repr_html_()]), encoding="utf-8")
    pdf = tmp_path / "page.pdf"
    with open_in_browser(chromium, path) as page:
        page.pdf(path=str(pdf), prefer_css_page_size=True)
    assert page_count(pdf) == len(split_into_sheets(figure.svg))
    assert "OAuthTokenIssuer" in pdf_text(pdf)


def test_a_picture_is_rotated_on_a_landscape_sheet(plan, chromium, tmp_path):
    """On a landscape sheet, a topology picture is rotated, and its text is large enough to read."""
    path = tmp_path / "page.html"
    figure = ln.figure(plan)
    path.write_text(make_page(figure.title, [figure._repr_html_()]), encoding="utf-8")
    pdf = tmp_path / "page.pdf"
    with open_in_browser(chromium, path) as page:
        page.pdf(path=str(pdf), format="A4", landscape=True)
    assert page_count(pdf) == 1 + len(split_into_sheets(figure.svg))
    (title,) = words_in(pdf, "Perimeter")
    assert title.height > title.width
    assert title.height > LEGIBLE
    assert {word.page for word in words_in(pdf, "OAuthTokenIssuer")} == {page_count(pdf)}
