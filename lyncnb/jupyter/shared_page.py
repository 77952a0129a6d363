"""Write a notebook as one static page without scripts and external content, for sharing.

The outputs of cells are untrusted text. lyncnb removes tags that run or load something. In
addition, the content security policy in the page's head blocks scripts and loading.
"""

from __future__ import annotations

import copy
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..base.disk import outputs
from ..base.shown.browser_print import print_page
from ..base.shown.figure import FIGURE_STYLE
from ..base.shown.html_page import make_page
from ..base.shown.tables import TABLE_STYLE, find_shown_plans, join_first_texts
from ..errors import NotebookError
from .first_page import find_date, find_origin, move_plan_to_top, number_plans
from .leak_scan import raise_problems, replace_paths, scan_notebook
from .notebook_files import WIDGET_GONE, Notebook, read_notebook, strip_widgets, write_notebook
from .outdated_outputs import DRAFT_FOLDER, read_outdated_outputs

if TYPE_CHECKING:
    from ..pki.passphrase import Secret

_MARK = 'class="lyncnb-notebook"'

# The marks for content that only the author of the notebook should see: a tag for cells, and a
# comment on the line above a paragraph.
_AUTHOR = "author"
_AUTHOR_PARAGRAPH = re.compile(rf"^<!-- {_AUTHOR} -->\n(?:.+\n?)*", re.M)


def _is_notebook_page(file: IO[bytes]) -> bool:
    if outputs.match_page(_MARK.encode())(file):
        return True
    file.seek(0)
    # The page was written by an earlier version of lyncnb.
    return outputs.match_page(b"font-src data:")(file)


#: The type of file that :func:`share_notebook` writes.
PAGE = outputs.OutputKind(what="a notebook page", is_ours={".html": _is_notebook_page})

#: The file types of the printed page and the cleaned notebook.
PRINTED = outputs.OutputKind(
    what="a printed notebook page",
    is_ours={".pdf": outputs.match_content(b"%PDF-", b"Skia/PDF")},
)
CLEAN_COPY = outputs.OutputKind(
    what="a cleaned notebook", is_ours={".ipynb": outputs.match_content(b'"lyncnb"', b'"cleaned"')}
)

# Tables with at least this number of columns are printed in landscape. Pictures and the text before
# them are then printed on separate pages in portrait.
_UPRIGHT_COLUMNS = 8
_UPRIGHT = "@page{size:A4}"
_ON_THEIR_SIDE = (
    "@page{size:A4 landscape;margin:10mm}\n@page upright{size:A4;margin:13mm 12mm}\n"
    ".lyncnb-figure{page:upright}\n.text:has(+.cell .lyncnb-figure){page:upright}\n"
    ".lyncnb-high{height:auto!important;position:static!important;break-before:auto!important}\n"
    ".lyncnb-high img{position:static!important;translate:none!important;rotate:none!important;"
    "max-width:100%!important;max-height:220mm!important}"
)

_TAGS = frozenset(
    [
        "a",
        "abbr",
        "b",
        "blockquote",
        "br",
        "caption",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "details",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "mark",
        "ol",
        "p",
        "pre",
        "q",
        "s",
        "samp",
        "section",
        "small",
        "span",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "u",
        "ul",
        "var",
        "wbr",
    ]
)
_ATTRIBUTES = frozenset(
    [
        "alt",
        "class",
        "colspan",
        "dir",
        "height",
        "id",
        "lang",
        "open",
        "rowspan",
        "scope",
        "span",
        "style",
        "title",
        "width",
        "start",
    ]
)
_PROPERTIES = frozenset(
    [
        "background-color",
        "border",
        "border-collapse",
        "break-inside",
        "color",
        "display",
        "font-family",
        "font-size",
        "font-style",
        "font-weight",
        "height",
        "line-height",
        "margin",
        "max-height",
        "max-width",
        "overflow-wrap",
        "padding",
        "text-align",
        "text-decoration",
        "vertical-align",
        "white-space",
        "width",
    ]
)
# Tags that have no readable content, so their content is removed together with the tag.
_WHOLE = frozenset(["noscript", "script", "style", "template", "title"])
# Controls that a person uses to change the plan. Without a kernel, they show nothing.
_CONTROLS = re.compile(r"(?:[HV]Box\(children=\()?(?:Button|Checkbox|Dropdown|ToggleButtons)\(")
_HEADING = re.compile(r'<h([1-3]) id="([^"]+)"[^>]*>(.*?)</h\1>', re.S)
_ANCHOR = re.compile(r'<a class="anchor-link" href="#[^"]*">[^<]*</a>')
_DETAILS = re.compile(r"(<details[^>]*>|</details>)")
_NO_HEADING = re.compile(r"<th[^>]*>\s*</th>")
_IMAGES = ("image/svg+xml", "image/png", "image/jpeg", "image/gif")

_FOLDED_ON_PAPER = re.compile(r'<details(?! class="lyncnb-more")')
_ON_PAPER = (
    '<p class="lyncnb-paper">Not on paper: what is folded in the HTML page, such as code and the '
    "data of pictures.</p>"
)
_STYLE = """<style>
main{max-width:none}
nav ul{margin:.2rem 0;padding:0;list-style:none}
.cell,.text{margin:.7rem 0}
.cell img,.text img{max-width:100%;height:auto}
pre{background:var(--soft);padding:.5rem .7rem;white-space:pre-wrap;overflow-wrap:anywhere}
details.code{color:var(--quiet);font-size:.9rem}
td,th{overflow-wrap:anywhere;min-width:6.5em}
table:has(tr>:nth-child(9)):not(#x) :is(td,th){overflow-wrap:anywhere}
table:has(tr>:nth-child(13)):not(#x) :is(td,th){min-width:3.9em;padding:1px 3px}
table:has(tr>:nth-child(26)):not(#x) :is(td,th){min-width:0}
@media screen{
table:has(tr>:nth-child(13)){font-size:.72rem}
.lyncnb-table:has(tr>:nth-child(9)):not(:has(tr>:nth-child(17))):not(#x) :is(td,th){
overflow-wrap:break-word;min-width:3.9em}
}
blockquote{margin:.5rem 0;padding-left:.8rem;border-left:4px solid var(--line)}
.lyncnb-paper{display:none}
@media print{
.lyncnb-paper{display:block}
details.code:not([open]){display:none}
table{font-size:7pt;width:100%}th,td{padding:1pt 2.5pt;white-space:normal}
table.lyncnb-table:not(#x) :is(td,th){min-width:3em}
table:has(tr>:nth-child(7)){font-size:6.4pt}
pre{font-size:7.5pt}
LAYOUT
}
</style>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedNotebook:
    """The files that :func:`share_notebook` has written.

    ``clean`` and ``pdf`` are None if not requested.
    """

    page: Path
    clean: Path | None = None
    pdf: Path | None = None


def share_notebook(
    path: str | Path,
    output: str | Path | None = None,
    *,
    clean: bool = False,
    pdf: bool = False,
    code: bool = True,
    is_for_others: bool = True,
    known_secrets: Sequence[Secret] = (),
    force: bool = False,
    executed_notebook: Notebook | None = None,
) -> SharedNotebook:
    """Write a notebook as one static page that needs no network and runs no scripts.

    Parameters
    ----------
    path : path
        The notebook. It does not change.
    output : path, optional
        The page. The default is the notebook's name with ``.html``.
    clean : bool, optional
        Whether to first remove widget state, timings, and local paths in outputs. The cleaned
        notebook is written as ``NAME.clean.ipynb`` next to the page.
    pdf : bool, optional
        Whether to also print the page as PDF, with an installed Chromium.
    code : bool, optional
        Whether to include the code, folded.
    is_for_others : bool, optional
        Whether to refuse paths in home and temporary folders.
    known_secrets : sequence of Secret, optional
        Passphrases that the notebook must not contain.
    force : bool, optional
        Whether to replace files that lyncnb did not write.
    executed_notebook : Notebook, optional
        The same notebook after it was run again. The page shows its outputs.

    Returns
    -------
    SharedNotebook
        The written files.

    Raises
    ------
    NotebookError
        If :func:`~lyncnb.jupyter.leak_scan.scan_notebook` reports a problem, the outputs may
        show an outdated plan, or there is no Chromium to print with. Then nothing is written.
    OutputError
        If a file cannot be written.
    """
    path = Path(path)
    page = Path(output) if output is not None else path.parent / f"{path.stem}.html"
    outputs.check_output_path(page, PAGE, force=force, inputs=(path,))
    copy_path, pdf_path = page.with_name(f"{page.stem}.clean.ipynb"), page.with_suffix(".pdf")
    if clean:
        outputs.check_output_path(copy_path, CLEAN_COPY, force=force, inputs=(path,))
    if pdf:
        outputs.check_output_path(pdf_path, PRINTED, force=force, inputs=(path,))
    notebook = read_notebook(path) if executed_notebook is None else executed_notebook
    if is_for_others and executed_notebook is None:
        _reject_outdated_outputs(notebook, path)
    made_on = find_date(notebook, path)
    if clean:
        strip_widgets(notebook)
        replace_paths(notebook)
    raise_problems(
        scan_notebook(notebook, name=path.name, known_secrets=known_secrets, paths=is_for_others),
        path,
    )
    text = render_notebook(notebook, title=path.stem, code=code, made_on=made_on)
    printed = print_page(text) if pdf else b""
    outputs.write_output(page, text.encode(), PAGE, force=force, inputs=(path,))
    if clean:
        notebook.metadata["lyncnb"] = {"cleaned": path.name}
        write_notebook(notebook, copy_path, kind=CLEAN_COPY, force=force)
    if pdf:
        outputs.write_output(pdf_path, printed, PRINTED, force=force)
    return SharedNotebook(
        page=page, clean=copy_path if clean else None, pdf=pdf_path if pdf else None
    )


def _reject_outdated_outputs(notebook: Notebook, path: Path) -> None:
    """Raise an error if an output shows an earlier plan, or may show one."""
    cells: dict[str, list[str]] = {}
    outdated = read_outdated_outputs(path.parent / DRAFT_FOLDER)
    for number, cell in enumerate(notebook.cells, 1):
        pages = (output.get("data", {}).get("text/html", "") for output in cell.get("outputs", ()))
        text = "\n".join(map(str, pages))
        for digest in dict.fromkeys(find_shown_plans(text)):
            cells.setdefault(digest, []).append(str(number))
    if old := [number for digest in cells if digest in outdated for number in cells[digest]]:
        raise NotebookError(
            (
                f"{path.name} shows an earlier plan in cell {join_first_texts(old, 6)}, because "
                "you edited the plan after you reloaded the page in the browser"
            ),
            hint="choose Run > Run All Cells, save the notebook and share it again, or add --rerun",
        )
    # Execution counts in order prove nothing: they start again at 1 after the kernel was restarted,
    # and an edit in a panel does not change them.
    if len(cells) > 1:
        locations = "; ".join(f"cell {join_first_texts(numbers, 6)}" for numbers in cells.values())
        raise NotebookError(
            (
                f"{path.name} shows {len(cells)} different plans: {locations}. Some outputs may "
                "show an earlier plan"
            ),
            hint="choose Run > Run All Cells, save the notebook and share it again. If the "
            "notebook compares plans, save your edits and add --rerun",
        )


def render_notebook(notebook: Notebook, *, title: str, code: bool = True, made_on: str = "") -> str:
    """Return a notebook as a self-contained HTML page.

    Parameters
    ----------
    notebook : Notebook
        The notebook. It does not change. The page leaves out its widget views.
    title : str
        The title of the page as plain text, if the notebook does not begin with a heading.
    code : bool, optional
        Whether to include the code, folded.
    made_on : str, optional
        The date of the outputs. The page shows it below the deployment and the planner that the
        outputs name.

    Returns
    -------
    str
        An HTML page that loads nothing. The content security policy in its head forbids
        loading.
    """
    from .attachments import Attachments

    static = copy.deepcopy(notebook)
    strip_widgets(static)
    origin = replace(find_origin(static), made_on=made_on)
    static.cells = [cell for cell in map(_remove_author_content, static.cells) if cell is not None]
    number_plans(static)
    move_plan_to_top(static)
    for cell in static.cells:
        if cell.cell_type == "markdown":
            pictures = {name: data for name, data in cell.get("attachments", {}).items() if data}
            cell["attachments"] = Attachments(pictures)  # type: ignore[no-untyped-call]
        cell.get("outputs", [])[:] = [
            _convert_to_static(output)
            for output in cell.get("outputs", ())
            if not _is_control(output.get("data", {}))
        ]
    body = _ANCHOR.sub("", _render_cells(static, code=code))
    # Remove the empty heading above the index in pandas tables, because a screen reader cannot read
    # an empty heading.
    body = _NO_HEADING.sub("<td></td>", body)
    first = _HEADING.search(body)
    if first and first[1] == "1":
        title, body = _strip_tags(first[3]), body[: first.start()] + body[first.end() :]
    heads = re.findall(r"<tr.*?</tr>", _remove_folded_content(body), re.S)
    columns = max((row.count("<th") for row in heads), default=0)
    layout = _UPRIGHT if columns <= _UPRIGHT_COLUMNS else _ON_THEIR_SIDE
    # The page needs these styles for tables and pictures, because lyncnb removes the <style> tags
    # from the outputs.
    styles = TABLE_STYLE + FIGURE_STYLE + _STYLE.replace("LAYOUT", layout)
    on_paper = _ON_PAPER if _FOLDED_ON_PAPER.search(body) else ""
    return make_page(
        title,
        [styles, _build_table_of_contents(body), f"<div {_MARK}>\n{body}\n</div>", on_paper],
        origin=origin,
    )


def _remove_author_content(cell: Notebook) -> Notebook | None:
    """Remove the author's content from a cell. If nothing else remains, return None."""
    if _AUTHOR in cell.get("metadata", {}).get("tags", ()):
        return None
    if cell.cell_type == "markdown" and f"<!-- {_AUTHOR} -->" in cell.source:
        cell.source = _AUTHOR_PARAGRAPH.sub("", cell.source)
        return cell if cell.source.strip() else None
    return cell


def _is_control(data: Any) -> bool:
    text = str(data.get("text/plain", ""))
    return data.get("text/html") == WIDGET_GONE and bool(_CONTROLS.match(text))


def _remove_folded_content(body: str) -> str:
    """Remove content that is collapsed on the page, such as picture data, before printing."""
    visible_parts: list[str] = []
    folded: list[bool] = []  # For each open element, whether the element is removed.
    for part in _DETAILS.split(body):
        if part == "</details>":
            folded[-1:] = []
        elif part.startswith("<details"):
            folded.append("lyncnb-more" not in part and " open" not in part)
        elif not any(folded):
            visible_parts.append(part)
    return "".join(visible_parts)


def _render_cells(notebook: Notebook, *, code: bool) -> str:
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(sanitize_html=True)  # type: ignore[no-untyped-call]
    exporter.raw_template = Path(__file__).with_name("cells.html.j2").read_text("utf-8")
    exporter.register_filter("clean_html", _sanitize_html)  # type: ignore[no-untyped-call]
    body, _ = exporter.from_notebook_node(notebook, {"without_code": not code})
    return str(body)


def _convert_to_static(output: Notebook) -> Notebook:
    """Convert an output to static content. Pictures become images with alternative text."""
    data = output.get("data")
    if data is None:
        return output
    description = str(data.get("text/plain", "")) or "Picture"
    if "text/html" not in data:
        for kind in _IMAGES:
            if kind in data:
                data["text/html"] = _make_image(kind, data[kind], description)
                break
    for kind in set(data) - {"text/html", "text/markdown", "text/latex", "text/plain"}:
        del data[kind]
    return output


def _make_image(kind: str, content: Any, description: str) -> str:
    import base64

    text = "".join(content) if isinstance(content, list) else str(content)
    coded = base64.b64encode(text.encode()).decode() if kind == "image/svg+xml" else text
    source = f"data:{kind};base64,{''.join(coded.split())}"
    return f'<img src="{source}" alt="{html.escape(description)}">'


def _sanitize_html(text: object) -> str:
    """Remove everything from an HTML fragment that would run code or load a file."""
    import nh3

    return nh3.clean(
        str(text),
        tags=_TAGS,
        clean_content_tags=_WHOLE,
        attributes={"*": _ATTRIBUTES, "a": {"href"}, "img": {"src"}},
        attribute_filter=_sanitize_attribute,
        link_rel=None,
        url_schemes={"http", "https", "mailto", "data"},
        filter_style_properties=_PROPERTIES,
    )


def _sanitize_attribute(tag: str, name: str, value: str) -> str | None:
    """Return the safe value of an HTML attribute, or None to remove the attribute."""
    if name == "src" and not value.startswith("data:image/"):
        return None
    # The check ignores blanks and control characters in an address, because browsers ignore them
    # too.
    if name == "href" and re.sub(r"[\x00-\x20]", "", value).lower().startswith("data:"):
        return None
    return value


def _build_table_of_contents(body: str) -> str:
    headings = [(_strip_tags(text), anchor) for _, anchor, text in _HEADING.findall(body)]
    if len(headings) < 2:
        return ""
    links = "".join(
        # The text of the anchor is already escaped.
        f'<li><a href="#{anchor}">{html.escape(text)}</a></li>'
        for text, anchor in headings
    )
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def _strip_tags(fragment: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", fragment)).strip()
