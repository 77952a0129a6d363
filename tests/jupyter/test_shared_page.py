"""Shared pages contain the intended parts of a notebook, and are readable on a screen and on paper."""

from __future__ import annotations

import os
import random
import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from growth import find_superlinear_size
from lab_driver import CHROMIUM
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from places import DATA, REPOSITORY
from printing import (
    PDF_TOOLS,
    axe_in_both_themes,
    find_overflowing_elements,
    find_split_words,
    open_in_browser,
    page_count,
    pdf_text,
    words_in,
)
from shell_kit import make_shell
from topologies import edge, front_end, plan

import lyncnb as ln
from lyncnb.base.shown.browser_print import find_chromium
from lyncnb.base.shown.tables import format_count
from lyncnb.errors import NotebookError, OutputError
from lyncnb.jupyter import shared_page
from lyncnb.jupyter.notebook_files import read_notebook, write_notebook
from lyncnb.jupyter.shared_page import CLEAN_COPY, render_notebook, share_notebook

shell = pytest.fixture(make_shell)

needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)><a href='javascript:alert(1)'>a</a>"
    "<img src='https://example.com/x.png'><link rel=stylesheet href=//example.com/x.css>"
    "<iframe src='https://example.com'></iframe><style>@import url(//example.com)</style>"
    "<b style='background:url(//example.com/x);color:red'>bold</b>"
    "<svg><script>alert(1)</script></svg><form action=//example.com><input></form>"
)
FRAGMENTS = int(os.environ.get("LYNCNB_FRAGMENTS", "1000"))
WIDE = [f"Column {number}" for number in range(23)]


def make_cell(kind, content):
    return new_code_cell("1 + 1", outputs=[new_output("display_data", data={kind: content})])


def wide_table():
    rows = "".join(
        "<tr>"
        + "".join(f"<td>cell{row}x{number}.contoso.com</td>" for number in range(23))
        + "</tr>"
        for row in range(4)
    )
    head = "".join(f"<th>{name}</th>" for name in WIDE)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def example():
    planned = plan(front_end(1), edge(1))
    return new_notebook(
        cells=[
            new_markdown_cell("# Plan of contoso\nSome `a < b` words."),
            new_markdown_cell("## Certificates & names"),
            make_cell("text/html", planned._repr_html_()),
            new_markdown_cell("## Wide"),
            make_cell("text/html", wide_table()),
            new_markdown_cell("### Picture"),
            make_cell("text/html", ln.figure(planned)._repr_html_()),
            make_cell("image/svg+xml", ln.figure(planned, "coverage").svg),
            new_code_cell(
                "print(1)", outputs=[new_output("stream", name="stdout", text="x" * 400)]
            ),
        ]
    )


@pytest.mark.parametrize(
    "address",
    ["data:text/html,x", " data:text/html,x", "da&#10;TA:text/html,x", "&#1;data:text/html,x"],
)
def test_a_javascript_link_is_removed(address):
    """A javascript: link is removed from a shared page, even with a control character before it or
    a line break in it.
    """
    assert shared_page._sanitize_html(f'<a href="{address}">open</a>') == "<a>open</a>"


def test_scripts_and_loaded_addresses_are_removed():
    """lyncnb removes scripts, event handlers, frames, forms, and addresses that load content, but
    keeps text and styles.
    """
    notebook = new_notebook(
        cells=[
            new_markdown_cell(HOSTILE),
            make_cell("text/html", HOSTILE),
            make_cell("text/markdown", HOSTILE),
        ]
    )
    page = render_notebook(notebook, title="x")
    assert not re.search(r"<script|<iframe|<form|<input|<link|onerror|alert|javascript:", page)
    assert "example.com" not in page
    assert page.count('<b style="color:red">bold</b>') == 3


@pytest.mark.parametrize("name", ["a b.png", "a%20b.png", "a(1).png", "\u5716.png", "a&b.png"])
def test_an_attached_picture_is_in_the_page(name):
    """A picture that is attached to a cell is embedded in the page, even if the link encodes its
    name differently.
    """
    picture = {name: {"image/png": "QUJD"}}
    cell = new_markdown_cell(f"![x](<attachment:{name}>)", attachments=picture)
    assert "data:image/png;base64,QUJD" in render_notebook(new_notebook(cells=[cell]), title="x")


#: HTML fragments with which attackers try to bypass sanitizers.
PIECES = (
    *("<svg>", "</svg>", "<math>", "<mtext>", "<mglyph>", "<annotation-xml encoding=text/html>"),
    *(
        "<style>",
        "</style>",
        "<script>",
        "</script>",
        "<title>",
        "<textarea>",
        "<xmp>",
        "<noscript>",
    ),
    *("<template>", "<table>", "<tr>", "<td>", "</table>", "<p>", "<b>", "</b>", "<a>", "<select>"),
    *("<form>", "<input autofocus onfocus=alert(1)>", "<!--", "-->", "--!>", "<![CDATA[", "]]>"),
    *("<?x", "<", ">", '"', "'", "`", "/", "=", " ", "\n", "\t", "\0", "&lt;", "&#x3c;", "\u2028"),
    *(
        "<img src=x onerror=alert(1)>",
        "<img alt='",
        "<img src=data:image/png;base64,AA ",
        "onload=x>",
    ),
    *(
        "<a href='java&#x09;script:alert(1)'>",
        "<a href=//example.com>",
        "<a href=data:text/html,x>",
    ),
    *("<b style='background-image:url(//example.com)'>", "<b style='color:red;behavior:url(x)'>"),
    *(
        "<b style='",
        "width:1px;position:fixed",
        "';",
        "<iframe srcdoc='",
        "<base href=//example.com>",
    ),
    *(
        "<meta http-equiv=refresh content='0;url=//example.com'>",
        "<object data=x>",
        "<embed src=x>",
    ),
    *("<link rel=stylesheet href=x>", "<video src=x>", "<a target=_blank ping=//example.com>"),
    *("<p id=a name=b class=c>", "<image href=x>", "<use href=x>", "<body onload=alert(1)>"),
)


def test_a_second_sanitizer_finds_nothing():
    """In the page, the sanitizer bleach finds no tag, attribute or address that it would remove."""
    from bleach import clean
    from bleach.css_sanitizer import CSSSanitizer

    chance, tags, properties = random.Random(35), shared_page._TAGS, shared_page._PROPERTIES
    seen: set[tuple[str, str]] = set()

    def is_seen(tag: str, name: str, value: str) -> bool:
        seen.add((tag, name))
        assert name != "src" or value.startswith("data:image/")
        assert name != "href" or not value.strip().lower().startswith(("data", "javascript"))
        assert name != "style" or CSSSanitizer(properties).sanitize_css(value).rstrip(";") == value
        return True

    for _ in range(FRAGMENTS):
        fragment = "".join(chance.choices(PIECES, k=chance.randint(1, 12)))
        page = shared_page._sanitize_html(fragment)
        escaped = clean(page, tags=tags, attributes=is_seen, protocols={"http", "https", "data"})
        assert escaped.count("&lt;") == page.count("&lt;"), fragment
        assert "<!--" not in page
    names = {name for _, name in seen}
    assert names <= shared_page._ATTRIBUTES | {"src", "href"}
    assert {tag for tag, name in seen if name in ("src", "href")} == {"a", "img"}


#: Functions that return notebook text with a given number of repetitions.
GROWING = {
    "a table": lambda count: "|a|b|\n|-|-|\n" + "|fe01.contoso.com|10.0.0.1|\n" * count,
    "a list": lambda count: "- a\n" * count,
    "headings": lambda count: "".join(f"## a{number}\n\n" for number in range(count)),
    "open tags": lambda count: "<b>a" * count,
    "folded parts": lambda count: "<details>" * count,
    "brackets after attachment": lambda count: "attachment:" + "(" * count,
}


@pytest.mark.parametrize("kind", GROWING)
def test_twice_the_text_takes_at_most_thrice_the_time(kind):
    """If the text in a Markdown cell or an output is twice as long, rendering takes at most three
    times as long.
    """

    def make(count):
        cells = [new_markdown_cell(GROWING[kind](count))]
        notebook = new_notebook(cells=[*cells, make_cell("text/html", GROWING[kind](count))])
        return lambda: render_notebook(notebook, title="Plan")

    make(1)()  # The first call imports the modules of nbconvert.
    assert find_superlinear_size(make, size=1_000, most=16_000) is None


def test_a_page_has_contents_and_collapsed_code():
    """A page has a table of contents that lists the headings, and its title is the first heading.

    The code of cells is collapsed or omitted.
    """
    page = render_notebook(example(), title="plan")
    assert "<title>Plan of contoso</title>" in page
    assert page.count("<h1") == 1
    links = re.findall(r'<li><a href="#([^"]+)">([^<]+)</a>', page)
    assert [text for _, text in links] == [
        "The plan",
        "Certificates &amp; names",
        "Wide",
        "Picture",
    ]
    assert all(f'id="{anchor}"' in page for anchor, _ in links)
    assert page.count("<summary>Code</summary>") == 5
    assert "a &lt; b" in page
    bare = render_notebook(example(), title="plan", code=False)
    assert "print(1)" in page
    assert "<summary>Code" not in bare
    assert "print(1)" not in bare


def test_cells_for_the_author_are_omitted():
    """The page omits tagged cells and marked paragraphs, and the notebook does not change."""
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# Plan\nFor all.\n\n<!-- author -->\nPress **Run**\nnow.\n\nLast."),
            new_markdown_cell("<!-- author -->\nA cell of your own."),
            new_code_cell(
                "1", metadata={"tags": ["author"]}, outputs=make_cell("text/html", "two")["outputs"]
            ),
        ]
    )
    before = nbformat.writes(notebook)
    page = render_notebook(notebook, title="plan")
    assert nbformat.writes(notebook) == before
    assert "For all." in page
    assert "Last." in page
    for words in ("author", "Press", "now.", "of your own", "two"):
        assert words not in page.partition("<body")[2], words


@pytest.mark.parametrize("name", ["plan", "receive"])
def test_shared_notebooks_do_not_instruct_the_reader(name):
    """In the pages of lyncnb's notebooks, no text tells the reader to click, run or type anything."""
    notebook = read_notebook(REPOSITORY / "notebooks" / f"{name}.ipynb")
    page = render_notebook(notebook, title=name, code=False)
    words = words_in_page(page)
    pattern = (
        r"\b(?:press(?:es|ing)?|double-click|run all|run it again|the tab|blue button|you type)\b"
    )
    assert re.findall(pattern, words, re.I) == []
    # Readers of the shared page cannot run anything, so the notebook's texts must not tell them
    # what to do.
    texts = re.findall(r'<section class="text">(.*?)</section>', page, re.S)
    assert texts
    assert re.findall(r"[^.]*\byour?s?\b[^.]*", words_in_page(" ".join(texts)), re.I) == []


def test_the_planning_notebook_is_shared_without_notes_to_its_author():
    """The page of the planning notebook begins with the plan, shows each table and picture once, and
    contains no control, no placeholder of a panel for requests, and no advice about anywidget.
    """
    notebook = read_notebook(REPOSITORY / "notebooks" / "plan.ipynb")
    page = render_notebook(notebook, title="plan").partition("<main")[2]
    headings = re.findall(r"<h2[^>]*>(.*?)<", page)
    assert headings[0] == "The plan"
    assert len(set(headings)) == len(headings) == 7
    captions = re.findall(r"<caption>(.*?)</caption>", page)
    assert len(set(captions)) == len(captions) > 3
    pictures = re.findall(r'src="(data:image/[^"]+)"', page)
    assert len(set(pictures)) == len(pictures) == 2
    for text in ("anywidget", "interactive", "at the top of this page", 'class="dataframe"'):
        assert text not in page, text


def test_a_lost_widget_that_is_not_a_control_leaves_a_line():
    """A control leaves nothing on the page, but any other lost widget leaves a line."""
    view = "application/vnd.jupyter.widget-view+json"
    data = [
        {view: {}, "text/plain": "HBox(children=(Dropdown(description='Server'),))"},
        {view: {}, "text/plain": "Figure(axes=[])"},
    ]
    outputs = [new_output("display_data", data=item) for item in data]
    page = render_notebook(new_notebook(cells=[new_code_cell("1", outputs=outputs)]), title="x")
    assert page.count("This output is interactive") == 1


def test_a_printed_page_names_what_it_leaves_out():
    """If parts of the page are folded on paper, the last line says so, only on paper."""
    page = render_notebook(example(), title="plan")
    assert page.count('<p class="lyncnb-paper">Not on paper: ') == 1
    plain = render_notebook(new_notebook(cells=[new_markdown_cell("# A")]), title="plan")
    assert "Not on paper" not in plain


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}")
def test_the_page_of_the_planning_notebook_is_short(tmp_path, chromium):
    """In a window of 1280 pixels, the page of the planning notebook has at most 9,000 pixels."""
    path = tmp_path / "plan.html"
    notebook = read_notebook(REPOSITORY / "notebooks" / "plan.ipynb")
    path.write_text(render_notebook(notebook, title="plan"), "utf-8")
    with open_in_browser(chromium, path, scripts=True) as page:
        assert page.evaluate("document.documentElement.scrollHeight") <= 9_000


def test_the_plan_is_on_the_first_page_with_author_and_date(tmp_path, monkeypatch):
    """The page begins with the deployment, planner, table and date, followed by the totals and the
    certificates.
    """
    options = ln.PlanOptions(title="Contoso <West>", planner="Ana Li, ana@contoso.com")
    planned = ln.plan_certificates(plan(front_end(1)).topology, ln.load_rules(), options=options)
    editor = ln.PlanEditor(planned.topology, options=options)
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# Plan of contoso\nAt first."),
            new_markdown_cell("## The editor"),
            make_cell("text/html", editor._repr_html_()),
            new_markdown_cell("## Certificates"),
            make_cell("text/html", planned._repr_html_()),
        ]
    )
    notebook.cells[-1].metadata["execution"] = {"shell.execute_reply": "2026-12-02T08:00:00Z"}
    path = tmp_path / "a.ipynb"
    write_notebook(notebook, path, kind=CLEAN_COPY)
    page = share_notebook(path).page.read_text("utf-8")
    order = (
        "<h1>Plan of contoso</h1>",
        "Contoso &lt;West&gt; · Planner: Ana Li, ana@",
        "Created: ",
        "The plan</a>",
        "At first.",
        'id="The-plan"',
        f"<p>{format_count(len(planned.certificates), 'certificate')} for 1 server; findings: ",
        "certificates for Lync Server 2013</caption>",
        'id="The-editor"',
        'id="Certificates"',
        'href="#The-plan">at the top of this page</a>',
    )
    text = re.sub(r'<wbr>|<span class="whole[^>]*>|</span>', "", page.partition("<body")[2])
    positions = [text.find(words) for words in order]
    assert (min(positions) >= 0, positions) == (True, sorted(positions))
    assert "2026-12-02" in text
    assert text.count("certificates for Lync Server 2013</caption>") == 1
    assert "@bottom-left{content:" in page  # The footer of each printed page also shows the origin.
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    assert "2026-01-01" in share_notebook(path).page.read_text("utf-8")


@pytest.mark.parametrize("mark", ["{", "[]", '{"planner": 1}', "[" * 10_000])
def test_an_untrusted_origin_mark_is_harmless(mark):
    """Untrusted data in the origin mark of an output does no harm: lyncnb reads it as names or
    ignores it.
    """
    notebook = new_notebook(cells=[make_cell("text/html", f"<p data-lyncnb-origin='x'>{mark}</p>")])
    notebook.cells[0].outputs[0].data["text/html"] += f'<p data-lyncnb-origin="{mark}">words</p>'
    page = render_notebook(notebook, title="x")
    assert "words" in page
    assert "data-lyncnb-origin" not in page


def words_in_page(page: str) -> str:
    """Return the text of an HTML page without its tags."""
    return re.sub(r"<[^>]*>", " ", re.sub(r"<style.*?</style>", "", page, flags=re.S))


def test_the_same_notebook_gives_the_same_page():
    """The page of a notebook does not depend on the time or on random values."""
    notebook = example()
    assert render_notebook(notebook, title="x") == render_notebook(notebook, title="x")


def test_clean_writes_the_notebook_too(tmp_path):
    """With the option clean, lyncnb also removes widget state and paths from the notebook, and
    writes the cleaned copy next to the page.
    """
    notebook = example()
    notebook.metadata["widgets"] = {"state": {}, "x": 1}
    notebook.cells[-1].outputs[0].text = "written: /" + "home/alice/requests"
    path = tmp_path / "plan.ipynb"
    write_notebook(notebook, path, kind=CLEAN_COPY)
    before = path.read_bytes()
    with pytest.raises(NotebookError, match="home folder"):
        share_notebook(path)
    assert list(tmp_path.iterdir()) == [path]
    result = share_notebook(path, clean=True)
    assert path.read_bytes() == before
    assert "alice" not in result.page.read_text() + result.clean.read_text()
    assert "widgets" not in read_notebook(result.clean).metadata
    second_result = share_notebook(path, clean=True)
    assert (second_result.clean.read_bytes(), second_result.pdf) == (
        result.clean.read_bytes(),
        None,
    )


def test_other_files_are_not_overwritten(tmp_path):
    """An existing page, copy or PDF that lyncnb did not write is overwritten only with the option
    --force.
    """
    path = tmp_path / "plan.ipynb"
    write_notebook(example(), path, kind=CLEAN_COPY)
    for name, options in (("plan.html", {}), ("plan.clean.ipynb", {"clean": True})):
        (tmp_path / name).write_text("mine")
        with pytest.raises(OutputError, match="already exists"):
            share_notebook(path, **options)
        (tmp_path / name).unlink()
    (tmp_path / "plan.pdf").write_text("mine")
    with pytest.raises(OutputError, match="already exists"):
        share_notebook(path, pdf=True)
    assert not (tmp_path / "plan.html").exists()


def test_share_finds_the_passphrase_of_the_environment(shell, monkeypatch):
    """If an output contains the passphrase from the environment variable, the share command reports
    this and does not print the passphrase.
    """
    notebook = example()
    notebook.cells[-1].outputs[0].text = "it is correct horse battery, or so"
    path = shell.folder / "plan.ipynb"
    write_notebook(notebook, path, kind=CLEAN_COPY)
    assert shell("share", path).status == 0
    monkeypatch.setenv("LYNCNB_PASSPHRASE", "correct horse battery")
    refused = shell("share", path, "-o", shell.folder / "other.html")
    assert refused.status == 1
    assert (
        "plan.ipynb cell 9: the notebook contains the passphrase of a request folder" in refused.err
    )
    assert "horse" not in refused.err


def test_clean_takes_several_notebooks(shell):
    """As a pre-commit hook, the clean command accepts several notebooks at once."""
    paths = [shell.folder / f"{name}.ipynb" for name in "ab"]
    for path in paths:
        notebook = example()
        notebook.metadata["widgets"] = {"x": 1}
        write_notebook(notebook, path, kind=CLEAN_COPY)
    assert shell("clean", *paths).out.count("cleaned") == 2
    assert shell("clean", *paths).out.count("already clean") == 2


def test_the_hook_calls_an_existing_command():
    """The pre-commit hook calls the command lyncnb clean for notebooks."""
    import yaml

    (hook,) = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert (hook["id"], hook["entry"]) == ("lyncnb-clean", "lyncnb clean")
    assert re.search(hook["files"], "a/b.ipynb")


@pytest.mark.parametrize("name", ["example", "plan.ipynb", "receive.ipynb"])
@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}")
def test_a_page_needs_no_scripts_and_no_network(name, chromium, tmp_path):
    """In Chromium without scripts and network, the page has no failed request and no text that is
    cut off or split, and axe-core reports no violation.
    """
    notebook = example() if name == "example" else read_notebook(REPOSITORY / "notebooks" / name)
    path = tmp_path / "page.html"
    path.write_text(render_notebook(notebook, title="Plan"), encoding="utf-8")
    context = chromium.new_context(offline=True, java_script_enabled=False)
    page = context.new_page()
    urls, messages = [], []
    page.on("request", lambda request: urls.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.goto(path.as_uri())
    context.close()
    assert [url for url in urls if not url.startswith("data:")] == [path.as_uri()]
    assert messages == []
    with open_in_browser(chromium, path, scripts=True) as page:
        assert axe_in_both_themes(page) == []
        assert find_overflowing_elements(page) == []
        assert find_split_words(page) == []
    across = 297 - 2 * 10  # The width of the text area of a landscape sheet, in millimeters.
    with open_in_browser(chromium, path, scripts=True, width=int(across / 25.4 * 96)) as page:
        page.emulate_media(media="print")
        assert find_overflowing_elements(page) == []
        assert find_split_words(page) == []


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}")
@pytest.mark.skipif(not PDF_TOOLS, reason="no pdfinfo and pdftotext")
def test_all_columns_are_printed(tmp_path, monkeypatch):
    """Chromium prints all 23 columns of a wide table."""
    monkeypatch.setenv("LYNCNB_CHROMIUM", CHROMIUM)
    path = tmp_path / "plan.ipynb"
    write_notebook(example(), path, kind=CLEAN_COPY)
    result = share_notebook(path, pdf=True)
    text = pdf_text(result.pdf)
    for number in range(23):
        assert f"cell3x{number}.contoso.com" in text, format_count(number, "column")
    assert page_count(result.pdf) <= 8
    assert {entry.name for entry in tmp_path.iterdir()} == {"plan.ipynb", "plan.html", "plan.pdf"}


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}")
@pytest.mark.skipif(not PDF_TOOLS, reason="no pdfinfo and pdftotext")
def test_collapsed_rows_and_names_are_printed(tmp_path, monkeypatch):
    """The printed page also contains its collapsed parts, such as the rows after the tenth."""
    monkeypatch.setenv("LYNCNB_CHROMIUM", CHROMIUM)
    planned = ln.plan_certificates(
        ln.read_topology(DATA / "litwareinc-global.csv"), ln.load_rules("lync2013")
    )
    figure = ln.figure(planned)
    path = tmp_path / "plan.ipynb"
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# Plan"),
            make_cell("text/html", planned._repr_html_()),
            make_cell("text/html", figure._repr_html_()),
        ]
    )
    write_notebook(notebook, path, kind=CLEAN_COPY)
    pdf = share_notebook(path, pdf=True).pdf
    text = pdf_text(pdf)
    for certificate in planned.certificates:
        assert [name for name in certificate.names if name not in text] == []
    assert "Perimeter,continued" in text  # The picture continues on a second sheet.
    sizes = subprocess.run(["pdfinfo", str(pdf)], capture_output=True, text=True, check=True)
    assert (
        "594.96 x 841.92" in sizes.stdout
    )  # A table with seven columns fits on a page in portrait orientation.


def test_a_picture_shares_the_sheet_of_a_narrow_table():
    """A picture stays on the sheet of the table before it, unless this table is wide.

    Only the sheets of a wide table are in landscape.
    """
    wide = example()  # The example notebook has a table with 23 columns.
    narrow = new_notebook(cells=[new_markdown_cell("# Plan")])
    assert ".lyncnb-figure{page:upright}" in render_notebook(wide, title="Plan")
    assert "upright" not in render_notebook(narrow, title="Plan")


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}")
@pytest.mark.skipif(not PDF_TOOLS, reason="no pdfinfo and pdftotext")
def test_text_before_a_picture_is_on_its_sheet(tmp_path, monkeypatch):
    """The text before a picture is on the same sheet as the picture, not alone on a landscape
    sheet.
    """
    monkeypatch.setenv("LYNCNB_CHROMIUM", CHROMIUM)
    topology = ln.read_topology(DATA / "contoso.csv")  # The table has fifteen columns.
    planned = ln.plan_certificates(topology, ln.load_rules("lync2013"))
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# Plan"),
            make_cell("text/html", topology._repr_html_()),
            new_markdown_cell("Beforehand."),
            make_cell("text/html", ln.figure(planned)._repr_html_()),
            new_markdown_cell("Afterwards."),
        ]
    )
    path = tmp_path / "plan.ipynb"
    write_notebook(notebook, path, kind=CLEAN_COPY)
    pdf = share_notebook(path, pdf=True).pdf
    (before,), (after,) = words_in(pdf, "Beforehand."), words_in(pdf, "Afterwards.")
    assert {word.page for word in words_in(pdf, "Perimeter")} == {before.page}
    assert after.page == page_count(pdf) == before.page + 1


@pytest.mark.parametrize("name", ["chromium", "msedge", "chromium-headless-shell"])
def test_a_chromium_is_found_by_its_name(tmp_path, monkeypatch, name):
    """The command finds a Chromium browser in PATH by any of the names of its executable."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("LYNCNB_CHROMIUM", raising=False)
    (tmp_path / name).touch(0o755)
    assert find_chromium() == str(tmp_path / name)


def test_without_a_chromium_nothing_is_written(tmp_path, monkeypatch):
    """If lyncnb finds no Chromium browser, it reports an error and writes nothing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("LYNCNB_CHROMIUM", raising=False)
    path = tmp_path / "plan.ipynb"
    write_notebook(example(), path, kind=CLEAN_COPY)
    with pytest.raises(NotebookError, match="needs a Chromium browser"):
        share_notebook(path, pdf=True)
    assert list(tmp_path.iterdir()) == [path]


def cells_of(*sources: str):
    """Run code cells in this process, and return a notebook with the cells and their output."""
    notebook = nbformat.v4.new_notebook()
    space: dict[str, object] = {}
    exec(PLANNED, space)
    for source in sources:
        value = eval(source, space)
        data = {"text/plain": repr(value), "text/html": value._repr_html_()}
        output = nbformat.v4.new_output("display_data", data=data)
        notebook.cells.append(nbformat.v4.new_code_cell(source, outputs=[output]))
    return notebook


PLANNED = """
import lyncnb as ln
table = b"server_fqdn,role,sip_domains\\nse01.contoso.com,StandardEdition,contoso.com\\n"
editor = ln.PlanEditor(ln.read_topology(table))
plan = editor.plan
wild = ln.PlanOptions(wildcard=True)
other = ln.Scenario(name="demonstration", topology=plan.topology, options=wild)
named = ln.PlanOptions(organization="Contoso")
changed = ln.plan_certificates(plan.topology, plan.rules, options=named)
"""


@pytest.mark.parametrize(
    "shown",
    [
        "changed",
        "ln.figure(changed)",
        "changed.explain('se01.contoso.com')",
        "ln.trust(changed)",
        "ln.trust(changed).only('Server', 'Pool')",
        "ln.check_plan(changed)",
        "ln.PlanEditor(changed.topology, options=changed.options)",
    ],
)
def test_a_page_of_two_plans_is_refused(tmp_path, shown):
    """If a saved notebook shows two plans, no page is written, because one may be outdated."""
    path = tmp_path / "a.ipynb"
    nbformat.write(cells_of("editor", shown), path)
    with pytest.raises(NotebookError, match="shows 2 different plans: cell 1; cell 2") as raised:
        share_notebook(path)
    assert "If the notebook compares plans, save your edits and add --rerun" in raised.value.hint
    assert not path.with_suffix(".html").exists()


def test_a_page_of_a_plan_and_its_variant_numbers_the_plans(tmp_path):
    """A notebook that just ran may show a plan and a variant. The page numbers them."""
    path = tmp_path / "a.ipynb"
    cells = ("plan", "changed", "ln.compare_plans(plan, changed)", "ln.figure(changed)", "plan")
    nbformat.write(cells_of(*cells), path)
    page = share_notebook(path, executed_notebook=cells_of(*cells)).page.read_text("utf-8")
    labels = re.findall(r"This output shows <strong>(plan \d)</strong> of 2", page)
    assert labels == ["plan 1", "plan 2", "plan 2", "plan 1"]


@pytest.mark.kernel
def test_rerun_shares_the_plan_before_and_after_an_edit(shell):
    """With --rerun, a notebook may show a plan, an editor, and the plan after an edit."""
    notebook = nbformat.v4.new_notebook()
    edit = 'editor.edit(change=[("se01.contoso.com", {"extra_san": "a.contoso.com"})])\neditor.plan'
    notebook.cells = [new_code_cell(source) for source in (PLANNED, "plan", "editor", edit)]
    path = shell.write("a.ipynb", nbformat.writes(notebook))
    result = shell.process("share", "a.ipynb", "--rerun")
    assert result.status == 0, result.err
    assert "<strong>plan 2</strong> of 2" in path.with_suffix(".html").read_text("utf-8")


def test_a_page_of_one_plan_may_contain_comparisons(tmp_path):
    """A page with the outputs of one plan may also contain comparisons and other plans. The other
    plans have a label.
    """
    path = tmp_path / "a.ipynb"
    notebook = cells_of(
        "editor",
        "plan",
        "ln.figure(plan)",
        "ln.check_plan(plan)",
        "ln.check_plan(other.plan)",
        "ln.compare_scenarios(other, ln.Scenario(name='as planned', topology=plan.topology))",
    )
    nbformat.write(notebook, path)
    page = share_notebook(path).page.read_text()
    assert "<strong>demonstration</strong>, not the plan in the editor" in page


@pytest.mark.kernel
def test_rerun_does_not_change_the_notebook(shell):
    """With --rerun, lyncnb runs the notebook from the disk, and does not change the notebook file."""
    notebook = cells_of("editor", "changed")
    notebook.cells[1].source = "plan"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(PLANNED))
    path = shell.write("a.ipynb", nbformat.writes(notebook))
    before = path.read_bytes()
    refused = shell("share", "a.ipynb")
    assert refused.status == 1
    # The command runs in a separate process, because a browser of other tests may use the event
    # loop of this process.
    result = shell.process("share", "a.ipynb", "--rerun")
    assert result.status == 0, result.err
    assert "written: a.html" in result.out
    assert path.read_bytes() == before
