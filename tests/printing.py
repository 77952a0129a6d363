"""Open pages in a browser and documents in LibreOffice, and print them as PDF files."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from weakref import WeakKeyDictionary

import openpyxl
from openpyxl.worksheet.worksheet import Worksheet

from lyncnb.base.shown.languages import LANGUAGES, translate_title

OFFICE = shutil.which("soffice")
PDF_TOOLS = shutil.which("pdfinfo") and shutil.which("pdftotext")


def page_count(pdf: Path) -> int:
    process = subprocess.run(["pdfinfo", str(pdf)], capture_output=True, text=True, check=True)
    return int(re.search(r"^Pages:\s+(\d+)", process.stdout, re.M)[1])


def pdf_text(pdf: Path) -> str:
    """Return the text of a PDF in reading order, without spaces.

    A name that continues on the next line is joined again.
    """
    command = ["pdftotext", "-raw", str(pdf), "-"]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    return re.sub(r"\s+", "", process.stdout)


@dataclass(frozen=True)
class Word:
    """A word in a PDF, with its page number (from 1) and its position in points."""

    text: str
    page: int
    width: float
    height: float


def words_in(pdf: Path, text: str = "") -> list[Word]:
    """Return the positions of all words in a PDF, or only of the given word."""
    process = subprocess.run(["pdftotext", "-bbox", str(pdf), "-"], capture_output=True, check=True)
    root = ET.fromstring(re.sub(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", b"", process.stdout))
    space = "{http://www.w3.org/1999/xhtml}"
    words = []
    for number, page in enumerate(root.iter(f"{space}page"), start=1):
        for word in page.iter(f"{space}word"):
            x, y, right, bottom = (float(word.get(k)) for k in ("xMin", "yMin", "xMax", "yMax"))
            if text in ("", word.text):
                words.append(Word(word.text or "", number, right - x, bottom - y))
    return words


# The sheets that are not a list, in each language.
_FORMS = {translate_title(title, lang) for title in ("Cover", "Approval") for lang in LANGUAGES}


def check_workbook(data: bytes) -> None:
    """Check that a workbook can be sorted and filtered, and that it is readable on paper.

    Dates and numbers have their types, text on paper has at least 8 points, and sheets that are
    not a table or have no rows have no filter.
    """
    for sheet in openpyxl.load_workbook(io.BytesIO(data)):
        is_list = sheet.max_row > 1 and sheet.title not in _FORMS
        assert bool(sheet.auto_filter.ref) is is_list, sheet.title
        _check_cells(sheet)
        _check_paper(sheet)


# Serial numbers, versions of Windows, and digests may consist of digits only, but are not numbers.
_DIGITS = ("Serial number", "Windows")
# The width of a formatted date or time, and its number format in Excel.
_DAY_FORMATS = {10: "yyyy-mm-dd", 20: 'yyyy-mm-dd hh:mm "UTC"'}


def _check_cells(sheet: Worksheet) -> None:
    widths = {}
    for dimension in sheet.column_dimensions.values():
        widths |= dict.fromkeys(range(dimension.min, dimension.max + 1), dimension.width)
    for cell in (cell for row in sheet.iter_rows(min_row=2) for cell in row):
        location = f"{sheet.title} {cell.coordinate}: {cell.value!r}"
        if isinstance(cell.value, str):
            assert cell.data_type == "s", location
            assert not re.fullmatch(
                r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?( UTC|Z)?)?", cell.value
            ), location
            heading = sheet.cell(1, cell.column).value
            assert heading in _DIGITS or not re.fullmatch(r"[\d.,]{1,15}", cell.value), location
        elif isinstance(cell.value, date):
            (needed,) = (n for n, code in _DAY_FORMATS.items() if code == cell.number_format)
            # If the column were narrower, a spreadsheet program would show ### instead of the
            # value.
            assert widths[cell.column] > needed, location
        else:
            assert cell.value is None or isinstance(cell.value, int | float), location


def _check_paper(sheet: Worksheet) -> None:
    """Check that the font size is at least 8 points in print, and that each printed page repeats
    the headings.
    """
    setup = sheet.page_setup
    assert (setup.orientation, setup.paperSize) == ("landscape", 9)
    assert sheet.print_title_rows == "$1:$1"
    points = {
        cell.font.size for row in sheet.iter_rows(max_row=min(20, sheet.max_row)) for cell in row
    }
    # If a spreadsheet program fits a sheet to the page, the scale depends on the program's fonts.
    properties = sheet.sheet_properties.pageSetUpPr
    assert not (properties and properties.fitToPage)
    assert min(points) * min(setup.scale or 100, 100) >= 800, (sheet.title, setup.scale)
    assert sheet.print_title_cols == "$A:$A"


def office_pdf(path: Path, folder: Path) -> Path:
    """Print an office file with LibreOffice in a separate profile."""
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    command = [OFFICE, profile, "--headless", "--convert-to", "pdf", "--outdir", str(folder)]
    subprocess.run([*command, str(path)], check=True, capture_output=True, timeout=120)
    return folder / f"{path.stem}.pdf"


def remove_break_marks(page: str) -> str:
    """Return an HTML page without the marks that control where words and lines may break."""
    return re.sub(
        r'<wbr>|<span class="(?:whole|whole day|long)">([^<]*(?:<wbr>[^<]*)*)</span>',
        lambda mark: (mark[1] or "").replace("<wbr>", ""),
        page,
    )


#: Unused pages, grouped by browser and by whether scripts of the test can run in them. The tests
#: reuse pages, because opening a new page takes longer than loading most documents.
_PAGES: WeakKeyDictionary[object, dict[bool, list]] = WeakKeyDictionary()


@contextmanager
def open_in_browser(browser, path: Path, *, scripts: bool = False, width: int = 1280):
    """Open a file in a browser without a network connection, as a reader does. JavaScript runs only
    if `scripts` is true.
    """
    unused = _PAGES.setdefault(browser, {}).setdefault(scripts, [])
    if unused:
        page = unused.pop()
    else:
        context = browser.new_context(
            offline=True, java_script_enabled=scripts, bypass_csp=scripts, color_scheme="light"
        )
        page = context.new_page()
    try:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(media="null", color_scheme="light")
        page.goto(path.as_uri())
        yield page
    except BaseException:
        page.context.close()
        raise
    unused.append(page)


def find_overflowing_elements(page) -> list[str]:
    """Return the elements that extend beyond the right edge of the page or of the cell that
    contains them.
    """
    return page.evaluate(
        """() => [...document.querySelectorAll('main *')]
            .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
                || (e.matches('td,th') && e.scrollWidth > e.clientWidth + 1))
            .map(e => e.tagName + ': ' + e.textContent.slice(0, 60))"""
    )


def overflowing_cells(page) -> list[str]:
    """Return the cells whose text extends into the next cell."""
    return page.evaluate(
        """() => [...document.querySelectorAll('td,th')]
            .filter(cell => cell.scrollWidth > cell.clientWidth + 1)
            .map(cell => cell.textContent.slice(0, 60))"""
    )


def find_split_words(page) -> list[str]:
    """Return the words that are split across two lines, in tables with up to 16 columns."""
    return page.evaluate(
        """() => [...document.querySelectorAll('.lyncnb-table')]
            .filter(table => table.rows[0].cells.length < 17)
            .flatMap(table => {
                const walker = document.createTreeWalker(table, NodeFilter.SHOW_TEXT);
                const torn = [];
                for (let node; (node = walker.nextNode());)
                    for (const word of node.data.matchAll(/[\\p{L}\\d]{2,}/gu)) {
                        const range = document.createRange();
                        range.setStart(node, word.index);
                        range.setEnd(node, word.index + word[0].length);
                        const lines = [...range.getClientRects()].map(e => Math.round(e.top));
                        if (new Set(lines).size > 1) torn.push(word[0]);
                    }
                return torn;
            })"""
    )


# axe-core needs milliseconds to check the contrast of each text, and most texts of a document have
# the same styles. So only the first three texts with the same styles are marked for the check.
_MARK_LOOKS = """inside => {
    const styles = ['color', 'backgroundColor', 'backgroundImage', 'fontSize', 'fontWeight',
        'opacity', 'filter', 'textShadow', 'position'];
    const looks = new Map([[null, '']]), counts = new Map();
    const lookOf = (element) => {
        if (!looks.has(element)) {
            const style = getComputedStyle(element);
            looks.set(element, [lookOf(element.parentElement), element.tagName,
                element.getAttribute('class'), ...styles.map(name => style[name])].join('|'));
        }
        return looks.get(element);
    };
    const isText = (element) => element.matches('input, select, textarea')
        || [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    for (const marked of document.querySelectorAll('[data-look]'))
        marked.removeAttribute('data-look');
    for (const element of document.querySelectorAll(`:is(${inside}), :is(${inside}) *`)) {
        if (!isText(element) || !element.checkVisibility()) continue;
        const count = counts.get(lookOf(element)) || 0;
        element.toggleAttribute('data-look', count < 3);
        counts.set(lookOf(element), count + 1);
    }
}"""


def axe_in_both_themes(page, *, inside: str = "html") -> list[tuple[str, list[str]]]:
    """Run axe-core on the page in the light theme, and check only colors in the dark theme, with
    the enhanced contrast of WCAG level AAA.
    """
    page.emulate_media(color_scheme="light")
    violations = axe_violations(page, inside=inside)
    page.emulate_media(color_scheme="dark")
    violations += axe_violations(page, inside=inside, only_colors=True)
    return violations + _run_axe(page, inside, colors=["color-contrast-enhanced"])


def axe_violations(
    page, *, inside: str = "html", only_colors: bool = False
) -> list[tuple[str, list[str]]]:
    """Return the accessibility violations that axe-core finds in the page, or only in some of its
    elements.

    Colors are checked for three elements of each look.
    """
    violations = [] if only_colors else _run_axe(page, inside)
    return violations + _run_axe(page, inside, colors=["color-contrast", "link-in-text-block"])


def _run_axe(page, inside: str, *, colors: Sequence[str] = ()) -> list[tuple[str, list[str]]]:
    """Run all axe-core rules except color contrast, or only the given color rules.

    The rules for colors check three elements of each look. The elements are marked in the same
    step, because a panel that is drawn again loses the marks.
    """
    import axe_playwright_python

    if not page.evaluate("'axe' in window"):
        script = Path(axe_playwright_python.__file__).parent / "axe.min.js"
        page.evaluate(script.read_text(encoding="utf-8"))
    options = {
        "resultTypes": ["violations"],
        **({"runOnly": colors} if colors else {"rules": {"color-contrast": {"enabled": False}}}),
    }
    answer = page.evaluate(
        "async ([inside, options, isForColors]) => {"
        # While a page changes its theme or size, its texts can be invisible.
        " for (let tries = 0; isForColors && tries < 100; tries++) {"
        f" ({_MARK_LOOKS})(inside); if (document.querySelector('[data-look]')) break;"
        " await new Promise(resolve => setTimeout(resolve, 50)); }"
        " return axe.run(isForColors ? '[data-look]' : inside, options); }",
        [inside, options, bool(colors)],
    )
    # If a rule fails with an error, axe-core only lists it as incomplete.
    errors = [rule["error"]["message"] for rule in answer["incomplete"] if rule.get("error")]
    assert errors == [], errors
    return [
        (violation["id"], [node["html"][:120] for node in violation["nodes"]])
        for violation in answer["violations"]
    ]


_NAME = re.compile(r"[\w*-]+(?:\.[\w-]+)+|[A-Z][a-z]+-[A-Z]\w+|(?<![\w-])--?[A-Za-z][\w-]*")
_DATE = re.compile(r"(?<!\d)\d{4}-\d\d-\d\d(?!\d)")
# The maximum distance between two words on a line, in points. Columns are further apart.
_GAP = 7.0
_INDENT = 25.0  # A line may begin this many points further left than the line above it.


def find_split_tokens(pdf: Path, names: Iterable[str]) -> list[str]:
    """Return the dates and the given names that are split across two lines of a PDF.

    Names are those of hosts, cmdlets and flags.
    """
    known = frozenset(names)
    process = subprocess.run(["pdftotext", "-bbox", str(pdf), "-"], capture_output=True, check=True)
    root = ET.fromstring(re.sub(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", b"", process.stdout))
    space = "{http://www.w3.org/1999/xhtml}"
    torn = []
    for page in root.iter(f"{space}page"):
        lines: dict[int, list[tuple[float, float, float, float, str]]] = {}
        for word in page.iter(f"{space}word"):
            x, y, end, low = (float(word.get(k)) for k in ("xMin", "yMin", "xMax", "yMax"))
            lines.setdefault(round(y), []).append((x, end, y, low, word.text or ""))
        line_starts = {
            y: [w for w in words if not any(w[0] - _GAP < v[1] <= w[0] + 1 for v in words)]
            for y, words in lines.items()
        }
        for words in lines.values():
            for x, end, y, low, text in words:
                if any(end - 1 <= w[0] < end + _GAP for w in words):
                    continue
                left, height = x, low - y
                while before := [w[0] for w in words if left - _GAP < w[1] <= left + 1]:
                    left = min(before)
                for position in range(round(y + height * 0.6), round(y + height * 2) + 1):
                    for _, _, _, _, other in (
                        w
                        for w in line_starts.get(position, ())
                        if left - _INDENT <= w[0] <= left + _GAP
                    ):
                        matches = [*_NAME.finditer(text + other), *_DATE.finditer(text + other)]
                        across = [m for m in matches if m.start() < len(text) < m.end()]
                        torn += [m[0] for m in across if m.re is _DATE or m[0] in known]
    return torn
