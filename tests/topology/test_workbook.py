"""lyncnb reads the same topology from a workbook as from a CSV file with the same cells, and
reports unusual content.

Workbooks of LibreOffice, xlsxwriter and openpyxl are read. Files that none of these programs writes
are created here.
"""

from __future__ import annotations

import csv
import io
import subprocess
import time
from contextlib import suppress
from datetime import date
from pathlib import Path

import openpyxl
import pytest
from growth import seconds
from hypothesis import given, settings
from hypothesis import strategies as st
from shell_kit import make_shell
from topologies import FIVE_SERVERS, TWO_FRONT_ENDS, TWO_SITES
from workbooks import (
    FILLED,
    MAIN,
    ODS,
    RELS,
    fill_in_template,
    ods,
    ods_cell,
    ods_table,
    one_sheet,
    pack_parts,
    rows_of,
    sheet_xml,
    spreadsheet,
    workbook,
    xlsx,
)

from lyncnb.errors import TopologyError
from lyncnb.topology.cells import Report, read_cells
from lyncnb.topology.csv_file import read_rows
from lyncnb.topology.topology import read_topology
from lyncnb.topology.xml_tree import scan_xml

shell = pytest.fixture(make_shell)

HEADING = ["server_fqdn", "role", "site", "rack"]
ONE = ["fe01.contoso.net", "FrontEnd", "Taipei", "A1"]
TWO = ["fe02.contoso.net", "FrontEnd", "Taipei", "A2"]


def list_cell_rows(source: bytes) -> list[tuple[str, ...]]:
    """Return the rows of a file as text."""
    return list(zip(*(texts.list_cells() for texts in read_rows(source).texts)))


def list_notes(source: bytes) -> list[str]:
    """Return the notes about a file that was read."""
    return [str(note) for note in read_rows(source).notes]


def problems_of(source) -> list[str]:
    """Return each problem in a workbook, with its location."""
    with pytest.raises(TopologyError) as refused:
        read_topology(source)
    assert all(problem.hint for problem in refused.value.problems)
    problems = sorted(refused.value.problems, key=lambda problem: not problem.row)
    return [str(problem).partition("\n")[0] for problem in problems]


@pytest.mark.parametrize("table", [TWO_FRONT_ENDS, FIVE_SERVERS, TWO_SITES])
@pytest.mark.parametrize("write", [xlsx, spreadsheet])
def test_a_workbook_is_read_like_the_csv_file(table, write):
    """lyncnb reads the same topology, cells, columns and rows from a workbook as from a CSV file,
    and reports no notes.
    """
    expected, topology = read_topology(table.encode()), read_topology(write(rows_of(table)))
    assert topology == expected
    assert (topology.columns, topology.cells) == (expected.columns, expected.cells)
    assert topology.notes == ()
    assert topology.to_csv() == expected.to_csv()


def test_samples_are_read_from_workbooks(data):
    """Every sample in data/ can be read from a workbook, even with Chinese headings."""
    for path in sorted(data.glob("*.csv")):
        check_workbooks(path)


def test_any_deployment_is_read_from_workbooks(any_deployment):
    """The table of any deployment can be read from a workbook, with the headings of its file."""
    check_workbooks(any_deployment.table)


def check_workbooks(path: Path) -> None:
    """Write the rows of a CSV file to workbooks of both kinds, and the topology to one that lyncnb
    makes, and read each.
    """
    expected = read_topology(path)
    rows = list(csv.reader(path.read_text("utf-8-sig").splitlines()))
    for data in (xlsx(rows), spreadsheet(rows), expected.to_xlsx()):
        topology = read_topology(data)
        assert topology == expected, path
        assert topology.to_csv() == expected.to_csv()


def test_problems_have_a_sheet_and_a_cell():
    """All problems are reported together, each with its sheet, cell, value and hint."""
    rows = [HEADING, ["fe 01.contoso.net", "Frontend server", "a\nb", ""], ["", "Fronted", "", ""]]
    book = read_topology_problems(xlsx(rows))
    sheet = 'table sheet "Servers" cell'
    assert [location for location, _ in book] == [
        f"{sheet} {name}"
        for name in ("A2, column server_fqdn", "C2, column site", "A3, column server_fqdn",
                     "B3, column role")
    ]  # fmt: skip
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    of_csv = read_topology_problems(out.getvalue().encode())
    assert sorted(message for _, message in of_csv) == sorted(message for _, message in book)


def read_topology_problems(source: bytes) -> list[tuple[str, str]]:
    with pytest.raises(TopologyError) as refused:
        read_topology(source)
    return sorted(
        ((p.where, p.message) for p in refused.value.problems if p.row),
        key=lambda problem: problem[0].partition("cell ")[2][1:2] + problem[0],
    )


def test_the_note_about_a_correction_contains_the_cell():
    """If lyncnb removes spaces or invisible characters from a cell, a note names that cell."""
    rows = [["Server\u00a0", " Role", "site"], [" fe01.contoso.net\u00a0", "FrontEnd", "Taipei "]]
    topology_notes = read_topology_notes(xlsx([*map(list, rows)]))
    assert topology_notes == [
        'cell A2, column server_fqdn, " fe01.contoso.net\u00a0": lyncnb removed leading and trailing white space',
        'cell C2, column site, "Taipei ": lyncnb removed leading and trailing white space',
    ]


def read_topology_notes(source: bytes) -> list[str]:
    rows = list_cell_rows(source)
    assert rows
    table = read_rows(source)
    report = Report(table.source, table=table)
    read_cells(table, report)
    return [str(note) for note in report.notes]


# --- Unusual content.


def formatted(code: str, value: object):
    def change(book, sheet):
        sheet.write(1, 3, value, book.add_format({"num_format": code}))

    return change


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (2012, "General", "2012"),
        (1.1, "General", "1.1"),
        (0.1 + 0.2, "General", "0.3"),
        (123456789012, "General", "123456789012"),
        (1, "0.0", "1.0"),  # For example, a version number has this format.
        (7, "000", "007"),  # The number in this cell is a telephone extension.
        (12.5, "0.00", "12.50"),
        (1234.5, "#,##0.0", "1234.5"),
        (True, "General", "TRUE"),
        (date(2026, 3, 1), "yyyy-mm-dd", "2026-03-01"),
        (date(2026, 3, 1), "d-mmm", "2026-03-01"),
        (date(2026, 3, 1), '[$-404]e"年"m"月"d"日"', "2026-03-01"),
        (0.5625, "h:mm", "13:30:00"),
        (46082.5625, "yyyy-mm-dd hh:mm", "2026-03-01 13:30:00"),
        (5, '0" days"', "5"),
        (5, "[Red]0.00;[Blue]-0.00", "5"),
    ],
)
def test_numbers_and_dates_of_other_columns(value, code, text):
    """In additional columns, lyncnb reads a number with the leading zeros that its format shows,
    and a date in the form 2026-03-01.
    """
    assert list_cell_rows(xlsx([HEADING, ONE], formatted(code, value))) == [(*ONE[:3], text)]


BUILT_IN = "".join(f'<xf numFmtId="{number}"/>' for number in (0, 1, 2, 14, 22, 31, 49))


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('s="0"><v>46082</v>', "46082"),
        ('s="1"><v>1.7</v>', "2"),
        ('s="2"><v>1</v>', "1.00"),
        ('s="3"><v>46082</v>', "2026-03-01"),
        ('s="4"><v>46082.5</v>', "2026-03-01 12:00:00"),
        ('s="5"><v>46082</v>', "2026-03-01"),  # In Chinese or Japanese Excel, format 31 is a date.
        ('s="6"><v>46082</v>', "46082"),
        ('t="d"><v>2026-03-01</v>', "2026-03-01"),
        ('s="3"><v>1e300</v>', "1e300"),
    ],
)
def test_dates_with_built_in_formats(cell, text):
    """A cell with a built-in date format is read as a date, also in strict workbooks."""
    styles = f'<styleSheet xmlns="{MAIN}"><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
    parts = {"xl/styles.xml": f"{styles}<cellXfs>{BUILT_IN}</cellXfs></styleSheet>"}
    row = f'<row r="2"><c r="A2" t="str"><v>fe01</v></c><c r="D2" {cell}</c></row>'
    assert list_cell_rows(one_sheet(row, heading=HEADING, parts=parts)) == [("fe01", "", "", text)]
    if "t=" in cell:
        row = row.replace("D2", "C2")
        assert "contains the date" in str(read_rows(one_sheet(row, parts=parts)).problems[0])


def test_days_that_count_from_1904():
    """Dates in a workbook that counts days from 1904, as Excel for Macintosh does, are read
    correctly.
    """
    buffer = io.BytesIO()
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    book.active.append(HEADING)
    book.active.append([*ONE[:3], date(2026, 3, 1)])
    book.save(buffer)
    assert list_cell_rows(buffer.getvalue())[0][3] == "2026-03-01"


def test_text_that_looks_like_a_number_stays_text():
    """Text that looks like a number, such as 1.0, 007 and 1e5, is read without changes."""
    for text in ("1.0", "007", "1e5", "+1", "'x", "=A1", "2026-03-01", "_x0041_", "NA"):
        assert list_cell_rows(xlsx([HEADING, [*ONE[:3], text]])) == [(*ONE[:3], text)]


def test_numbers_and_truth_values_in_known_columns():
    """If a column is known, lyncnb reads numbers such as 2012, TRUE, and FALSE as values of the
    column.
    """
    rows = [["server_fqdn", "role", "sip_domains", "target_os", "autologon"],
            ["fe01.contoso.net", "FrontEnd", "contoso.com", 2012, True]]  # fmt: skip
    (pool,) = read_topology(xlsx(rows)).pools
    assert "autologon" in pool.flags
    assert pool.computers[0].target_os == "2012"


def test_a_date_in_a_column_for_names_is_rejected():
    """A date in a column for names is rejected, because Excel changes text such as MAR1 to a date,
    and the typed text is lost.
    """
    rows = [HEADING, [*ONE[:2], date(2026, 3, 1), ""], TWO]

    def change(book, sheet):
        sheet.write(1, 2, date(2026, 3, 1), book.add_format({"num_format": "d-mmm"}))

    assert problems_of(xlsx(rows, change))[0] == (
        'table sheet "Servers" cell C2, column site: the cell contains the date 2026-03-01. Spreadsheet programs '
        "convert some text to dates"
    )


def test_formulas():
    """lyncnb reads the calculated result of a formula in a workbook.

    A formula without a result, or with an error, is rejected.
    """

    def change(_, sheet):
        sheet.write_formula(1, 0, '=A9&".contoso.net"', value="fe01.contoso.net")
        sheet.write_formula(1, 3, '=""', value="")
        sheet.write_formula(
            2, 0, "=B9"
        )  # If a formula has not been calculated, xlsxwriter writes the result 0.
        sheet.write_formula(3, 0, "=Old!A1", value="#REF!")
        # lyncnb does not know the column, so an error value in it is read as text.
        sheet.write_formula(4, 3, "=Old!A1", value="#N/A")

    rows = [HEADING, ONE, TWO, TWO, ["fe05.contoso.net", *TWO[1:3], ""]]
    table = read_rows(xlsx(rows, change))
    assert [texts.list_cells()[0] for texts in table.texts] == [*ONE[:3], ""]
    assert table.texts[3].list_cells()[3] == "#N/A"
    location = 'table sheet "Servers" cell'
    assert [str(problem).partition("\n")[0] for problem in table.problems] == [
        f"{location} A3, column server_fqdn: the cell contains a formula that was never calculated",
        f"{location} A4, column server_fqdn: the cell contains the error #REF! instead of a value",
    ]
    assert not any("server_fqdn is blank" in problem for problem in problems_of(xlsx(rows, change)))


def test_a_formula_with_an_empty_result_is_blank():
    """If the result of a formula is empty, as for ="", the cell is blank.

    Without a result element, it was not calculated.
    """
    row = '<row r="2"><c t="str"><v>fe01</v></c><c t="str"><v>FE</v></c><c t="str"><f>""</f>{}</c></row>'
    assert read_rows(one_sheet(row.format("<v></v>"))).problems == ()
    assert list_cell_rows(one_sheet(row.format("<v></v>"), heading=HEADING))[0][2:] == ("", "")
    (problem,) = read_rows(one_sheet(row.format(""))).problems
    assert (problem.cell, problem.message[:27]) == ("C2", "the cell contains a formula")


def test_formulas_of_openpyxl_have_no_result():
    """If openpyxl has written a formula to a workbook, the formula has no result and is rejected."""
    book, buffer = openpyxl.Workbook(), io.BytesIO()
    book.active.append(HEADING)
    book.active.append(['=CONCATENATE("fe01",".contoso.net")', *ONE[1:]])
    book.save(buffer)
    assert "cell A2" in problems_of(buffer.getvalue())[0]


def test_merged_cells():
    """If a cell is merged over several rows, its value applies to each of these rows.

    A cell merged over several columns is rejected.
    """
    rows = [HEADING, ONE, [TWO[0], "FrontEnd", "", ""], ["fe03.contoso.net", "FrontEnd", "", "A3"]]

    def down(_, sheet):
        sheet.merge_range("C2:C9", "Taipei")

    book = xlsx(rows, down)
    assert [row[2] for row in list_cell_rows(book)] == ["Taipei"] * 3
    assert list_notes(book) == [
        "lyncnb used the value in the merged cells C2:C9 for each of the rows"
    ]

    def across(_, sheet):
        sheet.merge_range("C3:D3", "Taipei")

    assert problems_of(xlsx(rows, across))[0] == (
        'table sheet "Servers" cell C3:D3, column site: the cell with the value "Taipei" is merged across '
        "several columns"
    )

    def title(_, sheet):
        sheet.merge_range("A1:D1", "Our servers")

    assert len(list_cell_rows(xlsx([[], HEADING, ONE], title))) == 1

    def headings(_, sheet):
        sheet.merge_range("D1:D3", "rack")

    assert [row[3] for row in list_cell_rows(xlsx([HEADING, ONE[:3], TWO[:3]], headings))] == [
        "",
        "",
    ]

    def broken(_, sheet):
        sheet.merge_range("C2:C3", "")
        sheet.write_formula("C2", "=Old!A1", value="#REF!")

    problems = read_rows(xlsx([HEADING, ONE[:2], TWO[:2]], broken)).problems
    assert [problem.cell for problem in problems] == ["C2", "C3"]


def test_hidden_rows_and_columns_are_read_and_reported():
    """lyncnb reads and reports rows and columns that have no height, or that the user or a filter
    has hidden.
    """

    def change(_, sheet):
        sheet.set_row(2, None, None, {"hidden": True})
        sheet.set_row(3, 0)
        sheet.set_row(40, None, None, {"hidden": True})
        sheet.set_column("C:C", None, None, {"hidden": True})
        sheet.set_column("Z:XFD", None, None, {"hidden": True})

    rows = [HEADING, ONE, TWO, ["fe03.contoso.net", *TWO[1:]], ["fe04.contoso.net", *TWO[1:]]]
    book = xlsx(rows, change)
    assert len(list_cell_rows(book)) == 4
    assert list_notes(book) == [
        "lyncnb also read the hidden rows 3 to 4",
        "lyncnb also read the hidden column C (site)",
    ]


def test_rows_and_columns_with_zero_size_are_hidden():
    """If a workbook contains rows or columns with a height or width of zero, lyncnb reports them as
    hidden.
    """
    columns = '<cols><col min="2" max="3" width="0"/></cols>'
    row = '<row r="2" ht="0"><c r="A2" t="str"><v>fe01</v></c></row>'
    assert list_notes(one_sheet(row, before=columns)) == [
        "lyncnb also read the hidden row 2",
        "lyncnb also read the hidden columns B (role) and C (site)",
    ]


def test_the_search_for_headings_stops_after_fifty_rows():
    """If the first 50 rows with content contain no headings, the search for headings stops."""
    rows = [[f"note {n}"] for n in range(50)]
    assert list_cell_rows(xlsx([[], *rows[1:], HEADING, ONE])) == [tuple(ONE)]
    assert 'the table has no column "server_fqdn"' in problems_of(xlsx([*rows, HEADING, ONE]))[0]


def test_headings_below_a_title():
    """The first row with the headings for server and role is the heading row. Rows above it are
    ignored.
    """
    title = [["Our servers"], [], ["Written by", "Kim"]]
    book = xlsx([*title, HEADING, ONE])
    assert list_cell_rows(book) == [tuple(ONE)]
    assert [*read_rows(book).rows] == [5]
    assert list_notes(book) == [
        "the headings are in row 4; lyncnb ignored the rows above the headings"
    ]
    assert "cell B5, column role" in problems_of(xlsx([*title, HEADING, [ONE[0], "Fronted"]]))[0]


def test_the_sheet_with_the_headings_is_read():
    """lyncnb reads the sheet whose headings belong to a table. It rejects a workbook with several
    such sheets, and reports hidden sheets.
    """

    def more(*names, hide=()):
        def change(book, _):
            for name in names:
                other = book.add_worksheet(name)
                for column, text in enumerate(HEADING if name.startswith("Old") else ["Notes"]):
                    other.write_string(0, column, text)
                other.write_string(1, 0, "old.contoso.net")
                if name in hide:
                    other.hide() if name[-1:] != "v" else other.very_hidden()

        return change

    assert list_notes(xlsx([HEADING, ONE], more("Notes", "Columns"))) == [
        'lyncnb read only the sheet "Servers". These sheets do not have the column headings of a table of servers: "Notes"'
    ]
    with pytest.raises(
        TopologyError, match='have the headings of a table of servers: "Servers" and "Old"'
    ) as refused:
        read_topology(xlsx([HEADING, ONE], more("Notes", "Old")))
    assert "hide or delete" in refused.value.hint
    book = xlsx([HEADING, ONE], more("Old", "Old v", hide=("Old", "Old v")))
    assert list_cell_rows(book) == [tuple(ONE)]
    assert list_notes(book) == ['lyncnb did not read hidden sheets: "Old" and "Old v"']
    book = xlsx([["Notes"]], more("Old", hide=("Old",)))
    assert list_cell_rows(book)[0][0] == "old.contoso.net"
    assert list_notes(book) == [
        'sheet "Old" is hidden, but no other sheet has the headings of a table of servers',
        'lyncnb read only the sheet "Old". These sheets do not have the column headings of a table of servers: "Servers"',
    ]


def test_missing_headings_are_reported_as_for_csv():
    """If headings are missing, the error refers to the row with the most known headings, or to the
    first row.
    """
    (problem,) = problems_of(xlsx([["Title"], ["Server", "Roll", "Site"], ["fe01"]]))
    assert problem == (
        'table sheet "Servers" row 2, column role: the table has no column "role"; headings in the table: '
        '"Server", "Roll", and "Site"'
    )
    assert problems_of(xlsx([["a", "b"], ["c", "d"]]))[0].endswith(
        'headings in the table: "a" and "b"'
    )
    assert problems_of(xlsx([[*HEADING, ""], [*ONE, "ask Kim"]])) == [
        'table sheet "Servers" cell E1: column 5 contains values, but has no heading'
    ]


def test_the_pronunciation_of_a_text_is_ignored():
    """lyncnb ignores the pronunciation that Chinese and Japanese versions of Excel store with a
    text.
    """
    strings = (
        f'<sst xmlns="{MAIN}"><si><t>fe01.contoso.net</t></si><si><t>FrontEnd</t></si>'
        "<si><r><t>台</t></r><r><t>北</t></r><rPh sb='0' eb='1'><t>ㄊㄞˊ</t></rPh></si></sst>"
    )
    row = '<row r="2"><c r="A2" t="s"><v>0</v></c><c t="s"><v>1</v></c><c r="C2" t="s"><v>2</v></c></row>'
    book = one_sheet(row, parts={"xl/sharedStrings.xml": strings})
    assert list_cell_rows(book) == [("fe01.contoso.net", "FrontEnd", "台北")]
    spoken = "<is><t>台北</t><rPh sb='0' eb='1'><t>x</t></rPh></is>"
    row = row.replace('<c r="C2" t="s"><v>2</v></c>', f'<c r="C2" t="inlineStr">{spoken}</c>')
    book = one_sheet(row, parts={"xl/sharedStrings.xml": strings})
    assert list_cell_rows(book)[0][2] == "台北"


def test_strict_workbooks_prefixes_and_macros():
    """Workbooks with strict Open XML namespaces, prefixed names, macros, or unusual letter case can
    be read.
    """
    parts = workbook({"xl/worksheets/sheet1.xml": sheet_xml("", heading=HEADING)})
    cells = "".join(f'<x:c t="inlineStr"><x:is><x:t>{t}</x:t></x:is></x:c>' for t in ONE)
    parts["xl/worksheets/sheet1.xml"] = (
        '<x:worksheet xmlns:x="http://purl.oclc.org/ooxml/spreadsheetml/main"><x:sheetData>'
        + "".join(f"<x:row>{row}</x:row>" for row in (cells.replace(ONE[0], "server").replace(
            ONE[1], "role"), cells)) + "</x:sheetData></x:worksheet>"
    )  # fmt: skip
    strict = {
        name.replace("sheet1", "Sheet1").replace("/", "\\" if "rels" not in name else "/"):
        text.replace(RELS, "http://purl.oclc.org/ooxml/officeDocument/relationships")
        for name, text in parts.items()
    }  # fmt: skip
    strict["xl/vbaProject.bin"] = b"\xd0\xcf\x11\xe0 never run"
    assert list_cell_rows(pack_parts(strict))[0][:2] == tuple(ONE[:2])


def test_unusual_content_of_opendocument():
    """In OpenDocument files, repeated cells and rows, covered cells, notes, hidden parts and errors
    are read correctly.
    """
    hidden = (
        '<style:style style:name="ta2" style:family="table">'
        '<style:table-properties table:display="false"/></style:style>'
    )
    value = 'office:value-type="{}" office:{}value="{}"'

    def cell(kind: str, prefix: str, text: str, display_text: str) -> str:
        paragraph = f"<text:p>{display_text}</text:p>"
        return (
            f"<table:table-cell {value.format(kind, prefix, text)}>{paragraph}</table:table-cell>"
        )

    note = "<office:annotation><text:p>not this</text:p></office:annotation>"
    head = "".join(map(ods_cell, [*HEADING, "a", "b", "c"]))
    name_cell = (
        f'<table:table-cell office:value-type="string">{note}<text:p>fe01.<text:span>contoso'
        "</text:span>.net</text:p></table:table-cell>"
    )
    other_cells = ods_cell("FrontEnd") + '<table:table-cell table:number-rows-spanned="2">' + (
        "<text:p>Tai<text:s text:c='2'/>pei</text:p></table:table-cell>"
    )  # fmt: skip
    values = cell("float", "", "7", "007") + cell("date", "date-", "2026-03-01", "1. Mar")
    values += cell("boolean", "boolean-", "true", "WAHR") + cell("percentage", "", "0.5", "50 %")
    covered = "<table:covered-table-cell/>" + ods_cell("x").replace(
        "<table:table-cell ", '<table:table-cell table:number-columns-repeated="4" '
    )
    table = (
        '<table:table table:name="S"><table:table-column table:number-columns-repeated="3"/>'
        '<table:table-column table:visibility="collapse"/>'
        '<table:table-column table:number-columns-repeated="16380"/>'
        f"<table:table-row>{head}</table:table-row>"
        f'<table:table-row table:visibility="filter">{name_cell}{other_cells}{values}</table:table-row>'
        '<table:table-row table:number-rows-repeated="7"><table:table-cell '
        'table:number-columns-repeated="16384"/></table:table-row>'
        f"<table:table-row>{ods_cell('fe02.contoso.net')}{ods_cell('FE')}{covered}</table:table-row>"
        '<table:table-row table:number-rows-repeated="1048566"><table:table-cell '
        'table:number-columns-repeated="16384"/></table:table-row></table:table>'
    )
    old = ods_table([head, head], name="Old", more=' table:style-name="ta2"')
    book = ods(old + table, styles=hidden)
    assert list_cell_rows(book) == [
        ("fe01.contoso.net", "FrontEnd", "Tai  pei", "007", "2026-03-01", "TRUE", "0.5"),
        ("fe02.contoso.net", "FE", "", "x", "x", "x", "x"),
    ]
    assert [*read_rows(book).rows] == [2, 10]
    assert list_notes(book) == [
        'lyncnb did not read hidden sheets: "Old"',
        "lyncnb used the value in the merged cells C2:C3 for each of the rows",
        "lyncnb also read the hidden row 2",
        "lyncnb also read the hidden column D (rack)",
    ]


def test_numbers_and_blanks_of_opendocument():
    """From an OpenDocument cell, lyncnb reads the stored number instead of the displayed one, and
    reduces consecutive white space in the XML to one space.
    """
    number = (
        '<table:table-cell office:value-type="float" office:value="{}"><text:p>{}</text:p>'
        "</table:table-cell>"
    )
    start = ods_cell("fe01") + ods_cell("FrontEnd")
    for value, display_text, text in (
        ("7.4", "7", "7.4"),
        ("7", "007", "007"),
        ("1200", "1,200", "1200"),
    ):
        book = ods(
            ods_table(
                ["".join(map(ods_cell, HEADING[:3])), start + number.format(value, display_text)]
            )
        )
        assert list_cell_rows(book)[0][2] == text
    spaced = start + ods_cell("Tai pei").replace(" pei", "\n \t pei")
    spaced = spaced.replace("</text:p><text:p>", "\n")
    book = ods(ods_table(["".join(map(ods_cell, HEADING[:3])), spaced]))
    assert list_cell_rows(book)[0][2] == "Tai pei"


def test_formulas_of_opendocument():
    """In OpenDocument files, formulas without a result or with an error are rejected, and blank
    results are read.
    """
    formula = 'table:table-cell table:formula="of:=[.A9]"'
    blank = f'{formula} office:value-type="string" office:string-value=""'
    other = f'xmlns:c="{CALCEXT}" c:value-type="error"'
    rows = [
        f"<{formula}/>",
        f"<{blank}><text:p>#REF!</text:p></table:table-cell>",
        f"<{blank}/>",
        f"<{blank} {other}><text:p>錯誤:502</text:p></table:table-cell>",
    ]
    other_cells = ods_cell("FrontEnd") + ods_cell("Taipei")
    book = ods(
        ods_table(["".join(map(ods_cell, HEADING[:3])), *(row + other_cells for row in rows)])
    )
    messages = [
        str(problem).partition(": ")[2].partition("\n")[0] for problem in read_rows(book).problems
    ]
    assert messages == [
        "the cell contains a formula that was never calculated",
        "the cell contains the error #REF! instead of a value",
        "the cell contains the error 錯誤:502 instead of a value",
    ]
    assert any("cell A4, column server_fqdn: server_fqdn is blank" in p for p in problems_of(book))


# --- The following workbooks are invalid or malicious.

CALCEXT = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504
ENTITIES = '<!DOCTYPE a [<!ENTITY a0 "ha"><!ENTITY a1 "&a0;&a0;">]>'
PART = "xl/worksheets/sheet1.xml"


def with_sheet(text: str | bytes) -> bytes:
    return pack_parts(workbook({PART: text}))


def row(number: int, reference: str, text: str = "x") -> str:
    return f'<row r="{number}"><c r="{reference}" t="str"><v>{text}</v></c></row>'


BAD = {
    "a password": (OLE + "EncryptedPackage\0".encode("utf-16-le"), "protected with a password"),
    "an old workbook": (OLE + "Workbook\0".encode("utf-16-le"), "an old Excel workbook (.xls)"),
    "an old document": (OLE + "WordDocument\0".encode("utf-16-le"), "an old Office file"),
    "a binary workbook": (pack_parts({"xl/workbook.bin": ""}), "a binary Excel workbook (.xlsb)"),
    "a Word document": (pack_parts({"word/document.xml": "<a/>"}), "an Office file"),
    "a text document": (pack_parts({"mimetype": ODS.replace("spreadsheet", "text")}), "not a spreadsheet"),
    "an archive": (pack_parts({"a.csv": "a", "b.csv": "b"}), 'a ZIP archive without a workbook; it contains "a.csv"'),
    "an empty archive": (pack_parts({}), "a ZIP archive without a workbook; it contains nothing"),
    "a locked spreadsheet": (
        pack_parts({"mimetype": ODS, "META-INF/manifest.xml": "<manifest:encryption-data/>"}),
        "protected with a password",
    ),
    "no sheet": (pack_parts(workbook({}, sheets=())), "is empty"),
    "no cells": (with_sheet(sheet_xml("")), "is empty"),
    "a sheet that is not there": (pack_parts(workbook({})), "does not contain xl/worksheets/sheet1.xml"),
    "cut XML": (with_sheet(sheet_xml(row(2, "A2"))[:-30]), "it contains data that is not valid XML"),
    "no XML": (with_sheet(b"\xff\xfe\0\1"), "it contains data that is not valid XML"),
    "an odd encoding": (with_sheet('<?xml version="1.0" encoding="klingon"?><a/>'), "is not valid XML"),
    "entities": (with_sheet(f"{ENTITIES}<worksheet>&a1;</worksheet>"), "a document type"),
    "a file from elsewhere": (
        with_sheet('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'),
        "a document type",
    ),
    "entities of a spreadsheet": (
        pack_parts({"mimetype": ODS, "META-INF/manifest.xml": "<a/>", "content.xml": f"{ENTITIES}<a/>"}),
        "a document type",
    ),
    "too deep": (with_sheet("<a>" * 100_000), "deeper nesting"),
    "a bomb": (with_sheet(b" " * 50_000_000), "more than 200 times as large as the compressed file"),
    "a row beyond the last": (one_sheet(row(1_048_577, "A1048577")), "refers to content that is missing"),
    "a column beyond the last": (one_sheet(row(2, "XFE2")), "refers to content that is missing"),
    "rows that go back": (one_sheet(row(3, "A3") + row(2, "A2")), "refers to content that is missing"),
    "a sheet from elsewhere": (
        pack_parts(workbook({}) | {"xl/_rels/workbook.xml.rels": f'<a><Relationship Id="rId1" Type="{RELS}'
        '/worksheet" Target="http://127.0.0.1:9/sheet.xml" TargetMode="External"/></a>'}),
        "is empty",
    ),
    "areas beyond number": (
        one_sheet(row(2, "A2"), after='<mergeCell ref="A3:A4"/>' * 100_001, stored=True),
        "more cells than lyncnb accepts",
    ),
    "errors beyond number": (
        one_sheet(("<row>" + '<c t="e"><v>#N/A</v></c>' * 10_001 + "</row>") * 10, stored=True),
        "more cells than lyncnb accepts",
    ),
    "columns times rows beyond number": (
        one_sheet("".join(f'<row r="{n}"><c r="A{n}" t="str"><v>x</v></c></row>' for n in range(3, 700)),
                  heading=[*HEADING[:3], *(f"h{n}" for n in range(16_381))]),
        "more cells than lyncnb accepts",
    ),
    "a text that is not there": (
        one_sheet('<row r="2"><c r="A2" t="s"><v>7</v></c></row>'),
        "refers to content that is missing",
    ),
    "rows beyond number": (
        ods(ods_table(["".join(map(ods_cell, HEADING))]) .replace(
            "</table:table>", '<table:table-row table:number-rows-repeated="1048575">'
            + ods_cell("x") * 4 + "</table:table-row></table:table>")),
        "more cells than lyncnb accepts",
    ),
    "counts in other digits": (
        ods('<table:table><table:table-column table:number-columns-repeated="²"/></table:table>'),
        "has more rows or columns",
    ),
    "a row in other digits": (one_sheet('<row r="²"/>'), "refers to content that is missing"),
    "columns beyond number": (
        ods('<table:table><table:table-column table:number-columns-repeated="99999"/></table:table>'),
        "has more rows or columns",
    ),
    "a web page": (b"<html><table><tr><td>fe01</td></tr></table></html>", 'begins with the element "html"'),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
def test_files_that_are_not_workbooks(name, tmp_path):
    """If a file is not a workbook, lyncnb rejects it within five seconds with one message and a
    hint.
    """
    content, message = BAD[name]
    path = tmp_path / "t.xlsx"
    path.write_bytes(content)
    start = time.process_time()
    with pytest.raises(TopologyError) as refused:
        read_topology(path)
    assert time.process_time() - start < 5
    assert str(refused.value).startswith("t.xlsx ")
    assert message in str(refused.value)
    assert refused.value.hint


def test_a_table_of_text_with_the_name_of_a_workbook(tmp_path):
    """If a CSV file has the file extension of a workbook, it is read as CSV."""
    path = tmp_path / "contoso.xlsx"
    path.write_text(TWO_FRONT_ENDS)
    assert read_topology(path) == read_topology(TWO_FRONT_ENDS.encode())


@pytest.mark.slow
def test_a_cell_in_the_last_row_is_read_quickly():
    """If the last row or column of a sheet contains a stray cell, lyncnb still reads the sheet
    quickly, and reports the missing values in that row.
    """
    rows = [["Server", "Role"], ONE[:2]]

    def change(_, sheet):
        sheet.write_string(1_048_575, 0, "stray")
        sheet.write_string(0, 16_383, "Stray")

    book = xlsx(rows, change)
    assert seconds(lambda: problems_of(book)) < 1
    problems = problems_of(book)
    assert 'table sheet "Servers" cell B1048576, column role: role is blank' in problems


@pytest.mark.slow
def test_millions_of_cells_are_rejected_in_time():
    """If a workbook contains millions of empty cells, styles or links, it is rejected before all of
    them are counted.
    """
    row = f"<row>{'<c/>' * 7_000}</row>"
    nothing = lambda *_: None  # noqa: E731
    pieces = [sheet_xml(row).encode()] * 2
    with pytest.raises(TopologyError, match="t.xlsx has more cells"):
        scan_xml("t.xlsx", pieces, start=nothing, end=nothing, text=nothing, max_elements=5_000)
    links = "<Relationship/>" * 120_000
    parts = workbook({PART: sheet_xml("")}) | {"xl/_rels/workbook.xml.rels": f"<a>{links}x</a>"}
    with pytest.raises(TopologyError, match="more cells"):
        read_topology(pack_parts(parts, stored=True))


def test_a_truncated_or_changed_workbook():
    """A truncated workbook is rejected. A workbook with a changed byte is rejected, or results in
    the original table.
    """
    sound = xlsx(rows_of(TWO_FRONT_ENDS))
    expected = read_topology(sound)
    for end in range(1, len(sound), 211):
        with pytest.raises(TopologyError):
            read_topology(sound[:end])
        changed = bytearray(sound)
        changed[end] ^= 0x55
        with suppress(TopologyError):
            assert read_topology(bytes(changed)) == expected


@pytest.mark.slow
def test_five_thousand_servers_are_read():
    """lyncnb can read a template with 5,000 servers and all columns, both as a workbook and as an
    OpenDocument spreadsheet.
    """
    heading = ["server_fqdn", "role", "pool_fqdn", "sip_domains", *(f"note {n}" for n in range(9))]
    rows = [heading] + [
        [f"fe{n}.contoso.com", "FrontEnd", f"pool{n // 8}.contoso.com", "contoso.com",
         *(f"{n} {m}" for m in range(9))]
        for n in range(5000)
    ]  # fmt: skip
    for book in (xlsx(rows), spreadsheet(rows)):
        assert sum(1 for _ in read_topology(book).computers) == 5000


TEXT = st.text(
    st.characters(
        codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"
    ),
    max_size=12,
).map(str.strip)


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_any_text_is_read_as_openpyxl_reads_it(rows):
    """For any text, openpyxl and lyncnb read the same text from each cell of a workbook."""
    book = xlsx([HEADING, *([*ONE[:2], a, b] for a, b in rows)])
    sheet = openpyxl.load_workbook(io.BytesIO(book)).active
    expected = [
        tuple(cell or "" for cell in row) for row in sheet.iter_rows(min_row=2, values_only=True)
    ]
    cell_rows = list_cell_rows(book)
    assert [row[: len(cell_rows[0])] for row in expected] == cell_rows


# --- The following tests use LibreOffice, which is started only once.


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    """Return a workbook with unusual content, which LibreOffice saved as .xlsx and .ods."""
    folder = tmp_path_factory.mktemp("office")

    def change(book, sheet):
        sheet.write(1, 3, date(2026, 3, 1), book.add_format({"num_format": "yyyy-mm-dd"}))
        sheet.write(2, 3, 7, book.add_format({"num_format": "000"}))
        sheet.write_formula(3, 0, '=CONCATENATE("fe03",".contoso.net")', value="fe03.contoso.net")
        sheet.write_formula(3, 3, "=1/0", value="#DIV/0!")
        sheet.write_boolean(4, 3, True)
        sheet.merge_range("C2:C3", "台北")
        sheet.set_row(4, None, None, {"hidden": True})
        sheet.set_column("D:D", None, None, {"hidden": True})
        other = book.add_worksheet("Old")
        for column, text in enumerate(HEADING):
            other.write_string(0, column, text)
        other.write_string(1, 0, "old.contoso.net")
        other.hide()
        sheet.write_comment("A2", "a note that is no name")

    rows = [HEADING, ONE, [TWO[0], "FrontEnd", "", ""], ["", "FrontEnd", "Hsinchu", ""],
            ["fe04.contoso.net", "FrontEnd", "Hsinchu", ""]]  # fmt: skip
    (folder / "traps.xlsx").write_bytes(xlsx(rows, change))
    (folder / "plain.csv").write_text(TWO_SITES)
    (folder / "filled.xlsx").write_bytes(fill_in_template(FILLED))
    profile_option = f"-env:UserInstallation=file://{folder}/office"
    for kind in ("xlsx", "ods"):
        subprocess.run(
            ["soffice", profile_option, "--headless", "--convert-to", kind, "--outdir", folder / "out",
             folder / "traps.xlsx", folder / "plain.csv", folder / "filled.xlsx"],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
    return folder / "out"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["xlsx", "ods"])
def test_workbooks_that_libreoffice_saved(office, kind):
    """After LibreOffice saves a workbook, lyncnb still reads the same table from it, and reports
    the same unusual content.
    """
    assert read_topology(office / f"plain.{kind}") == read_topology(TWO_SITES.encode())
    filled = read_topology(office / f"filled.{kind}")
    assert filled == read_topology(fill_in_template(FILLED))
    assert [str(note) for note in filled.notes] == [
        "lyncnb ignored row 2, which is the example from the template"
    ]
    book = (office / f"traps.{kind}").read_bytes()
    assert list_cell_rows(book) == [
        ("fe01.contoso.net", "FrontEnd", "台北", "2026-03-01"),
        ("fe02.contoso.net", "FrontEnd", "台北", "007"),
        ("fe03.contoso.net", "FrontEnd", "Hsinchu", "#DIV/0!"),
        ("fe04.contoso.net", "FrontEnd", "Hsinchu", "TRUE"),
    ]
    assert list_notes(book) == [
        'lyncnb did not read hidden sheets: "Old"',
        "lyncnb used the value in the merged cells C2:C3 for each of the rows",
        "lyncnb also read the hidden row 5",
        "lyncnb also read the hidden column D (rack)",
    ]


# --- Commands.


def test_every_command_takes_a_workbook(shell):
    """The commands plan, check, explain, compare, request and steps have the same results for a
    workbook as for the CSV file.
    """
    shell.write("contoso.csv", TWO_FRONT_ENDS)
    for name, write in (("contoso.xlsx", xlsx), ("contoso.ods", spreadsheet)):
        shell.write(name, write(rows_of(TWO_FRONT_ENDS)))
        for command in (
            ("plan", name, "--json"),
            ("check", name),
            ("explain", name, "fe01.contoso.net"),
            ("compare", name, "contoso.csv"),
            ("request", name, "requests", "--dry-run"),
        ):
            expected = shell(*(part.replace(name, "contoso.csv") for part in command))
            result = shell(*command)
            assert (result.status, result.err) == (0, expected.err), result
            # A finding that applies to two similar names is shown only once.
            if command[0] != "compare":
                assert result.out.replace(name, "contoso.csv") == expected.out
        result = shell("steps", name, "--request-on-server", "-o", f"scripts-{name}")
        assert result.status == 0


def test_a_command_reports_the_cell_of_a_problem(shell):
    """The message and the JSON of a problem contain the sheet and the cell, so that users can fix
    the workbook themselves.
    """
    shell.write("contoso.xlsx", xlsx([HEADING, [ONE[0], "Fronted", "", ""]]))
    result = shell("check", "contoso.xlsx", "--json")
    assert (
        'contoso.xlsx sheet "Servers" cell B2, column role: "Fronted" is not a known role'
        in result.err
    )
    assert '"sheet": "Servers"' in result.out
    assert '"cell": "B2"' in result.out
