"""Create workbooks as bytes, with xlsxwriter or from separate XML parts."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

import openpyxl
import xlsxwriter

from lyncnb.topology.table_files import build_template

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def rows_of(text: str) -> list[list[str]]:
    """Split the text of a table into rows of cells."""
    return list(csv.reader(io.StringIO(text)))


def xlsx(
    rows: Sequence[Sequence[object]],
    change: Callable[[xlsxwriter.Workbook, object], None] = lambda book, sheet: None,
    *,
    top: int = 0,
) -> bytes:
    """Return a workbook with the given rows below `top` blank rows. `change` can edit the workbook
    and its sheet.
    """
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer) as book:
        sheet = book.add_worksheet("Servers")
        for row_number, row in enumerate(rows, start=top):
            for column, value in enumerate(row):
                if isinstance(value, str) and value:
                    sheet.write_string(row_number, column, value)
                elif value not in ("", None):
                    sheet.write(row_number, column, value)
        change(book, sheet)
    return buffer.getvalue()


def pack_parts(parts: Mapping[str, str | bytes], *, stored: bool = False) -> bytes:
    """Pack the parts of a workbook into a ZIP archive."""
    buffer = io.BytesIO()
    method = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def workbook(parts: Mapping[str, str | bytes], *, sheets: Sequence[str] = ("Servers",)) -> dict:
    """Return the XML parts of a workbook. `more` contains the sheets and further parts."""
    sheet_elements = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{n}" r:id="rId{n}"/>'
        for n, name in enumerate(sheets, start=1)
    )
    related = "".join(
        f'<Relationship Id="rId{n}" Type="{RELS}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(sheets) + 1)
    )
    return {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{RELS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELS}"><sheets>{sheet_elements}</sheets>'
        "</workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{related}'
        f'<Relationship Id="rId98" Type="{RELS}/styles" Target="styles.xml"/>'
        f'<Relationship Id="rId99" Type="{RELS}/sharedStrings" Target="/xl/sharedStrings.xml"/>'
        "</Relationships>",
        **parts,
    }


def sheet_xml(rows: str, *, heading: Sequence[str] = (), before: str = "", after: str = "") -> str:
    """Return the XML of a sheet. `heading` is its first row."""
    cells = "".join(f'<c t="str"><v>{escape(text)}</v></c>' for text in heading)
    first = f'<row r="1">{cells}</row>' if heading else ""
    return (
        f'<worksheet xmlns="{MAIN}">{before}<sheetData>{first}{rows}</sheetData>{after}</worksheet>'
    )


def one_sheet(rows: str, **options: object) -> bytes:
    """Return a workbook with one sheet, which has the given rows below the headings server_fqdn,
    role, and site.
    """
    heading = options.pop("heading", ("server_fqdn", "role", "site"))
    parts, stored = options.pop("parts", {}), bool(options.pop("stored", False))
    sheet = sheet_xml(rows, heading=heading, **options)
    return pack_parts(workbook({"xl/worksheets/sheet1.xml": sheet, **parts}), stored=stored)


_ODF = "urn:oasis:names:tc:opendocument:xmlns"
_SPACES = " ".join(
    f'xmlns:{name}="{_ODF}:{name}:1.0"' for name in ("office", "table", "text", "style")
)
ODS = "application/vnd.oasis.opendocument.spreadsheet"


def ods_cell(text: str) -> str:
    """Return an OpenDocument cell that contains text."""
    paragraphs = (
        "".join(f"<text:p>{escape(line)}</text:p>" for line in text.split("\n")) if text else ""
    )
    return f'<table:table-cell office:value-type="string">{paragraphs}</table:table-cell>'


def ods(tables: str, *, styles: str = "", stored: bool = False, **parts: str) -> bytes:
    """Pack several tables into an OpenDocument spreadsheet."""
    content = (
        f"<office:document-content {_SPACES}><office:automatic-styles>{styles}"
        f"</office:automatic-styles><office:body><office:spreadsheet>{tables}</office:spreadsheet>"
        "</office:body></office:document-content>"
    )
    return pack_parts(
        {"mimetype": ODS, "content.xml": content, "META-INF/manifest.xml": "<a/>", **parts},
        stored=stored,
    )


def ods_table(rows: Iterable[str], name: str = "Servers", more: str = "") -> str:
    """Return the XML of an OpenDocument table with the given rows of cells."""
    row_elements = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    return f'<table:table table:name="{name}"{more}>{row_elements}</table:table>'


def spreadsheet(rows: Sequence[Sequence[str]], *, stored: bool = False) -> bytes:
    """Return an OpenDocument spreadsheet whose cells contain text."""
    return ods(ods_table("".join(map(ods_cell, row)) for row in rows), stored=stored)


#: Two servers, as a person enters them into the template of a table.
FILLED = [
    {"Server": "fe01.contoso.net", "Role": "FrontEnd", "Pool": "pool.contoso.net",
     "Site": "Taipei", "SIP domains": "contoso.com", "Meet URLs": "https://meet.contoso.com",
     "Dial-in URL": "https://dialin.contoso.com", "External web FQDN": "web.contoso.com"},
    {"Server": "fe02.contoso.net", "Role": "FrontEnd", "Pool": "pool.contoso.net",
     "Site": "Taipei", "Target OS": 2012, "Automatic sign-in": True},
]  # fmt: skip


def fill_in_template(rows: list[dict[str, object]], *, over_example: bool = False) -> bytes:
    """Return the template with servers entered below the example row, or instead of the example
    row.
    """
    book, buffer = openpyxl.load_workbook(io.BytesIO(build_template(".xlsx"))), io.BytesIO()
    sheet = book["Servers"]
    column_numbers = {cell.value: cell.column for cell in sheet[1]}
    for row_number, row in enumerate(rows, start=2 if over_example else 3):
        for cell in sheet[row_number]:
            cell.value = None
        for heading, value in row.items():
            sheet.cell(row_number, column_numbers[heading], value)
    book.save(buffer)
    return buffer.getvalue()
