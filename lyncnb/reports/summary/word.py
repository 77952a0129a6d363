"""Write the summary as a Word document with the approval sheet. Requires ``docx``."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ...base.disk.zip_file import read_zip, write_zip
from ...base.shown.languages import get_html_language, make_translator, translate_title
from ...base.shown.tables import describe_shown_rows, format_cell
from ...errors import PlanError
from ...plan import spellings
from .content import (
    LEAD,
    STORY,
    Block,
    ServerLine,
    Summary,
    build_approval_sheet,
    group_with_headings,
    list_cover_entries,
)
from .page import describe_omissions, group_requests, group_servers, list_common_facts

if TYPE_CHECKING:
    from docx.document import Document
    from docx.section import Section
    from docx.text.paragraph import Paragraph

# The date in the document. Because it is fixed, the same plan results in the same bytes.
_CREATED = datetime(2000, 1, 1)


def write_word_summary(summary: Summary, *, rows_shown: int) -> bytes:
    """Write a summary as a Word document.

    Parameters
    ----------
    summary, rows_shown
        As for :func:`lyncnb.reports.summary.page.build_summary_page`.

    Returns
    -------
    bytes
        A4; the same summary gives the same bytes.

    Raises
    ------
    PlanError
        If python-docx is not installed.
    """
    try:
        import docx
    except ImportError:
        raise PlanError(
            "to write a .docx file, you need python-docx, which is not installed",
            hint="run: pip install python-docx. You can also write an .html file and print it",
        ) from None
    document = docx.Document()
    _set_page_format(document, summary)
    translate = make_translator(summary.lang)
    domain = f": {summary.deployment}" if summary.deployment else ""
    document.add_heading(summary.translate_title(translate) + domain, level=0)
    document.add_paragraph(LEAD)
    facts = [(translate(name), text) for name, text in list_cover_entries(summary) if text]
    _add_table(document, (), facts, widths=(32, 148))
    if summary.asks:
        document.add_heading(translate("Who does what"), level=1)
        asks = [ask.build_row(translate) for ask in summary.asks]
        columns = ("Who", "What", "By when", "See")
        _add_table(document, tuple(map(translate, columns)), asks, widths=(24, 88, 44, 24))
    _add_findings(document, summary, rows_shown)
    if summary.spellings:
        document.add_heading(translate(spellings.HEADING), level=1)
        rows = [spelling.row for spelling in summary.spellings]
        _add_table(
            document, tuple(map(translate, spellings.COLUMNS)), rows, widths=(28, 50, 50, 52)
        )
    _add_servers(document, summary, rows_shown)
    for request_list in group_requests(summary):
        document.add_heading(request_list.build_heading(translate), level=1)
        common = request_list.common
        if common:
            document.add_paragraph(
                f"{translate('For each')}: {_translate_facts(common, translate)}"
            )
        for block in request_list.blocks:
            _add_block(document, block, common, translate)
    document.add_heading(translate("What happens to a request"), level=1)
    document.add_paragraph(STORY)
    if summary.left_out:
        document.add_paragraph(describe_omissions(summary))
    _add_documents(document, summary)
    _add_signatures(document, summary)
    buffer = io.BytesIO()
    document.save(buffer)
    # The library python-docx writes the current date into every component of the document. The
    # following line replaces these dates.
    return write_zip(read_zip(buffer.getvalue()))


def _set_page_format(document: Document, summary: Summary) -> None:
    from docx.oxml.ns import qn
    from docx.shared import Mm, Pt

    language = summary.lang
    # If the document sets no language, a program may use the glyphs of another region.
    if language == "zh-TW":
        defaults = document.styles.element.find(f".//{qn('w:rPrDefault')}//{qn('w:lang')}")
        defaults.set(qn("w:eastAsia"), language)
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = Mm(15)
    section.top_margin = section.bottom_margin = Mm(12)
    section.header_distance = section.footer_distance = Mm(6)
    for name in ("Normal", "Title", "Heading 1", "Heading 2"):
        style = document.styles[name]
        style.font.name = "Arial"
        fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
        for kind in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
            # Word would use the font of the theme instead of Arial.
            fonts.attrib.pop(qn(f"w:{kind}"), None)
        if language == "zh-TW":
            fonts.set(qn("w:eastAsia"), "Microsoft JhengHei")
            document.core_properties.language = get_html_language(language)
    document.styles["Title"].font.size = Pt(18)
    normal = document.styles["Normal"]
    normal.font.size = Pt(9)
    normal.paragraph_format.space_after = Pt(3)
    _add_page_footer(section, summary)
    properties, created = document.core_properties, summary.origin.created
    properties.title, properties.comments = summary.title, ""
    properties.author = properties.last_modified_by = summary.origin.author
    properties.created = properties.modified = created or _CREATED
    if created is None:  # A wrong date would be misleading, so an unknown date is left out.
        for name in ("created", "modified"):
            element = properties._element.find(qn(f"dcterms:{name}"))
            properties._element.remove(element)


def _add_page_footer(section: Section, summary: Summary) -> None:
    from docx.oxml.ns import qn
    from docx.oxml.parser import OxmlElement

    paragraph = section.footer.paragraphs[0]
    paragraph.alignment = 2  # right
    if line := summary.origin.one_line_text:
        paragraph.add_run(f"{_clean_text(line)} · ")
    *texts, end = translate_title("Page {} of {}", summary.lang).split("{}")
    for text, field in zip(texts, ("PAGE", "NUMPAGES"), strict=True):
        paragraph.add_run(text)
        number = OxmlElement("w:fldSimple")
        number.set(qn("w:instr"), field)
        paragraph._p.append(number)
    if end:
        paragraph.add_run(end)


def _add_findings(document: Document, summary: Summary, max_shown: int) -> None:
    if not summary.findings:
        return
    translate = make_translator(summary.lang)
    columns = tuple(map(translate, ("Severity", "What was found", "What to do")))
    parts, number = group_with_headings(summary.findings, max_shown)
    for heading, groups in parts:
        document.add_heading(translate(heading), level=1)
        rows = [(translate(group.severity), group.paragraph, group.hint) for group in groups]
        _add_table(document, columns, rows, widths=(16, 114, 50))
    if number > max_shown:
        document.add_paragraph(describe_shown_rows(max_shown, number))


def _add_servers(document: Document, summary: Summary, max_shown: int) -> None:
    groups, translate = group_servers(summary.servers[:max_shown]), make_translator(summary.lang)
    labels = summary.labels
    if groups:
        document.add_heading(translate("Servers"), level=1)
        rows = [
            (group.title, ", ".join(_format_server(line, labels) for line in group.lines))
            for group in groups
        ]
        servers = "Servers and their certificates"
        if summary.is_numbered:
            servers = "Servers and certificate numbers"
        columns = ("Role", servers)
        _add_table(document, tuple(map(translate, columns)), rows, widths=(50, 130))
    if len(summary.servers) > max_shown:
        document.add_paragraph(describe_shown_rows(max_shown, len(summary.servers)))


def _format_server(line: ServerLine, labels: Mapping[str, str]) -> str:
    return f"{line.server} ({line.join_labels(labels) or line.title})"


def _translate_facts(facts: Iterable[tuple[str, str]], translate: Callable[[str], str]) -> str:
    return " ".join(f"{translate(name)}: {translate(text)}." for name, text in facts)


def _add_block(
    document: Document,
    block: Block,
    common_facts: Sequence[tuple[str, str]],
    translate: Callable[[str], str],
) -> None:
    document.add_heading(block.build_heading(translate), level=2)
    site = f", site {block.site}" if block.site else ""
    own_facts = (fact for fact in list_common_facts(block) if fact not in common_facts)
    text = (
        f"{block.title}{site}: {block.sharing}. {translate('In use as')}: {block.assigned_usages}. "
        f"{translate('Subject name')}: {block.subject_words}. "
        f"{_translate_facts(own_facts, translate)}"
    ).rstrip()
    if concerns := block.list_concerns(translate):
        text += f" {translate('Findings')}: {', '.join(concerns)}."
    document.add_paragraph(text).paragraph_format.keep_with_next = True
    names = [
        (translate("each server’s own name") if group.is_own else group.names, " ".join(group.why))
        for group in block.names
    ]
    if names:
        _add_table(
            document, (translate("Name"), translate("Who needs it")), names, widths=(70, 110)
        )
    members = [
        (m.number, m.servers, m.csr_file + (f"\nSHA-256 {m.csr_sha256}" if m.csr_sha256 else ""))
        for m in block.members
    ]
    columns, widths = tuple(map(translate, ("No.", "Servers", "Request"))), (12, 46, 122)
    first = 0 if block.numbers else 1
    rows = [row[first:] for row in members]
    _add_table(document, columns[first:], rows, widths=(*widths[first:-1], widths[-1] + 12 * first))


def _add_documents(document: Document, summary: Summary) -> None:
    """Add links to the documents that names and findings cite as their sources."""
    if not summary.documents:
        return
    document.add_heading(translate_title("Documents", summary.lang), level=1)
    paragraph = document.add_paragraph()
    for index, (title, address) in enumerate(summary.documents):
        if index:
            paragraph.add_run("; ")
        _add_link(paragraph, title, address)


def _add_link(paragraph: Paragraph, text: str, address: str) -> None:
    from docx.opc.constants import RELATIONSHIP_TYPE
    from docx.oxml.ns import qn
    from docx.oxml.parser import OxmlElement
    from docx.shared import RGBColor

    link = OxmlElement("w:hyperlink")
    to = paragraph.part.relate_to(address, RELATIONSHIP_TYPE.HYPERLINK, is_external=True)
    link.set(qn("r:id"), to)
    run = paragraph.add_run(_clean_text(text))
    run.font.color.rgb = RGBColor(0x0B, 0x57, 0xD0)
    link.append(run._r)
    paragraph._p.append(link)


def _add_signatures(document: Document, summary: Summary) -> None:
    sheet, translate = build_approval_sheet(summary), make_translator(summary.lang)
    if sheet is None:
        return
    heading = document.add_heading(translate("Approval"), level=1)
    heading.paragraph_format.page_break_before = True
    document.add_paragraph(sheet.statement)
    facts = [(translate(name), text) for name, text in sheet.facts]
    _add_table(document, (), facts, widths=(32, 148))
    rows = [(translate(signer), "\n\n", "", "") for signer in sheet.signatures]
    columns = tuple(map(translate, ("", "Name", "Date", "Signature")))
    _add_table(document, columns, rows, widths=(30, 55, 30, 65))


def _add_table(
    document: Document,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    widths: Sequence[int],
) -> None:
    """Add a table whose heading is repeated on every page. The widths are in millimeters."""
    from docx.oxml.ns import qn
    from docx.oxml.parser import OxmlElement
    from docx.shared import Mm, Pt

    lines = [tuple(map(_clean_text, row)) for row in ([columns] if columns else []) + list(rows)]
    table = document.add_table(rows=0, cols=len(widths), style="Table Grid")
    table.autofit = False
    for column, width in zip(table.columns, widths, strict=True):
        column.width = Mm(width)
    for index, line in enumerate(lines):
        row = table.add_row()
        keep = OxmlElement("w:cantSplit")
        row._tr.get_or_add_trPr().append(keep)
        for cell, text, width in zip(row.cells, line, widths, strict=True):
            cell.width = Mm(width)
            run = cell.paragraphs[0].add_run(text)
            run.font.size = Pt(7.5)
            run.bold = bool(columns) and index == 0
            cell.paragraphs[0].paragraph_format.space_after = Pt(0)
    if columns:
        repeated = OxmlElement("w:tblHeader")
        repeated.set(qn("w:val"), "true")
        table.rows[0]._tr.get_or_add_trPr().append(repeated)
    between = document.add_paragraph().paragraph_format
    between.space_after, between.line_spacing = Pt(0), Pt(6)


def _clean_text(value: object) -> str:
    text = "\n".join(value) if isinstance(value, tuple) else format_cell(value)
    # XML 1.0 does not allow most control characters, and a table of servers contains none of them.
    return "".join(c for c in text if c >= " " or c in "\t\n")
