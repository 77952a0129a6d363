"""Spreadsheet files contain only text, and no cell is executed as a formula."""

from __future__ import annotations

import csv
import io
import re
import tempfile
import time
import zipfile
from datetime import date, datetime

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from printing import check_workbook

from lyncnb.base.shown import spreadsheets
from lyncnb.base.shown.origin import Origin
from lyncnb.base.shown.spreadsheets import (
    Form,
    Sheet,
    escape_formula,
    to_csv,
    to_xlsx,
    truncate_text,
)

FORMULA_STARTS = "=+-@\t\r\n＝＋－＠"


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_formula_starts_are_escaped(start):
    """If the text of a cell would start a formula, lyncnb inserts an apostrophe before the text."""
    assert escape_formula(f"{start}cmd|' /C calc'!A0") == f"'{start}cmd|' /C calc'!A0"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("ee01.contoso.com", "ee01.contoso.com"),
        ("a-b", "a-b"),
        ("Set-CsCertificate -Type Default", "Set-CsCertificate -Type Default"),
        # If the list separator of Windows is a semicolon, Excel puts the text after it into a
        # separate cell.
        ("x;=1+1", "x;'=1+1"),
        ("x,@SUM(1)", "x,'@SUM(1)"),
        ("\x00=1+1", "'=1+1"),
        (("a", "b"), "a; b"),
        (12, "12"),
        ("", ""),
    ],
)
def test_harmless_cells_are_not_changed(value, text):
    """lyncnb does not change a cell whose text cannot start a formula."""
    assert escape_formula(value) == text


def test_csv_bytes():
    """A CSV file starts with a byte order mark, has CRLF line endings, and has quotation marks
    around every cell.
    """
    assert (
        to_csv(("Name", "Sites"), [('a"b', ("x", "y")), ("密碼", 3)])
        == ('\ufeff"Name","Sites"\r\n"a""b","x; y"\r\n"密碼","3"\r\n').encode()
    )


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_csv_rows_come_back_without_a_formula(rows):
    """Whatever the cells of a CSV file contain, the file is read back as the same table, and no
    cell starts a formula.
    """
    text = to_csv(("a", "b"), rows).decode("utf-8-sig")
    reread_rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert len(reread_rows) == len(rows)
    for row in reread_rows:
        assert len(row) == 2
        assert not any(cell.startswith(tuple(FORMULA_STARTS)) for cell in row)


def _sheet(*rows, columns=("Name", "Count")):
    return Sheet(title="Certificates", columns=columns, rows=lambda: rows)


def _xml(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return "".join(archive.read(name).decode() for name in archive.namelist())


def test_xlsx_holds_text_and_no_formula_or_link():
    """Formulas and addresses are plain text in the workbook."""
    rows = [(start + "1+1", 1) for start in FORMULA_STARTS]
    rows += [("https://x.contoso.com", 2), ("mailto:a@contoso.com", 3), ("007", 4)]
    data = to_xlsx([_sheet(*rows)], title="t")
    xml = _xml(data)
    assert "<f>" not in xml
    assert "<f " not in xml
    assert "<hyperlink" not in xml
    sheet = openpyxl.load_workbook(io.BytesIO(data))["Certificates"]
    assert [cell.value for cell in sheet[1]] == ["Name", "Count"]
    assert sheet["A2"].value == "=1+1"
    assert sheet["A2"].data_type == "s"
    assert sheet.cell(row=len(rows) + 1, column=1).value == "007"
    assert sheet["B2"].value == 1


def test_links_are_in_the_last_column():
    """The addresses in `links` become links in the last column of the sheet, and other cells stay
    text.
    """
    addresses = ("https://x.contoso.com/a?b=1&c=2", "https://x.contoso.com/d")
    rows = [(address, address) for address in addresses]
    linked = Sheet(title="L", columns=("A", "B"), rows=lambda: rows, links=addresses)
    book = openpyxl.load_workbook(io.BytesIO(to_xlsx([linked, _sheet(("x", 1))], title="t")))
    cells = list(book["L"].iter_rows(min_row=2))
    assert [[cell.value for cell in row] for row in cells] == [[a, a] for a in addresses]
    assert [row[1].hyperlink.target for row in cells] == list(addresses)
    assert [row[0].hyperlink for row in cells] == [None, None]
    assert book["Certificates"]["A2"].hyperlink is None


def test_xlsx_has_a_filter_and_a_fixed_heading():
    """In a worksheet, the heading row stays visible and can be filtered, and columns are as wide as
    their text.
    """
    sheet = openpyxl.load_workbook(
        io.BytesIO(to_xlsx([_sheet(("x" * 200, 1), ("ee01.contoso.com", 2))], title="t"))
    )["Certificates"]
    assert sheet.auto_filter.ref == "A1:B3"
    assert sheet.freeze_panes == "B2"
    assert sheet.column_dimensions["A"].width == pytest.approx(60, abs=1)
    assert sheet.column_dimensions["B"].width == pytest.approx(9, abs=1)


def test_xlsx_bytes_do_not_depend_on_the_time():
    """The same table always results in the same bytes of the workbook, whatever the time is."""
    first = to_xlsx([_sheet(("a", 1))], title="t")
    time.sleep(2.1)  # The times in a ZIP file have a resolution of two seconds.
    assert to_xlsx([_sheet(("a", 1))], title="t") == first
    # The file contains no creation date, because a missing date is better than a wrong date.
    assert "dcterms:created" not in _xml(first)


def test_xlsx_contains_its_author_and_date():
    """The author and the date are properties of the workbook, and the margin of each sheet shows
    both.
    """
    origin = Origin(deployment="A & B", planner="Ana Li", made_on="2026-12-01 08:00 UTC")
    content = to_xlsx([_sheet(("a", 1))], title="t", origin=origin)
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert (book.properties.creator, book.properties.created) == (
        "Ana Li",
        datetime(2026, 12, 1, 8),
    )
    footer = book["Certificates"].oddFooter
    assert "A && B · Planner: Ana Li · Created: 2026-12-01 08:00 UTC" in footer.left.text
    assert footer.right.text == "Page &P of &N"


def test_xlsx_is_created_only_in_memory(monkeypatch, tmp_path):
    """Because a workbook is created in memory, a process that is killed leaves no part of it in the
    system's temporary folder.
    """
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    sheet = Sheet(title="Only here", columns=("A", "B"), rows=lambda: [("a", "b")])
    assert to_xlsx([sheet], title="t").startswith(b"PK")


def test_xlsx_cell_that_is_too_long_is_cut_off():
    """If a text exceeds Excel's limit for a cell, the text is truncated, and a note in the cell
    says so.
    """
    sheet = openpyxl.load_workbook(io.BytesIO(to_xlsx([_sheet(("x" * 40_000, 1))], title="t")))[
        "Certificates"
    ]
    assert len(sheet["A2"].value) == 32_767
    assert sheet["A2"].value.endswith(
        "x … (the text is longer than a cell can contain; the JSON document contains the complete text)"
    )


def test_csv_cell_that_is_too_long_is_cut_off():
    """In a CSV file, text beyond Excel's limit for a cell is also cut off, because Excel would
    write the rest into the next rows.
    """
    data = to_csv(("a",), [("x" * 40_000,)]).decode("utf-8-sig")
    cell = list(csv.reader(io.StringIO(data, newline="")))[1][0]
    assert len(cell) == 32_767
    assert cell.endswith("the JSON document contains the complete text)")


def test_xlsx_with_too_many_rows_is_refused(monkeypatch):
    """A table with more rows than a worksheet allows is rejected instead of being truncated."""
    monkeypatch.setattr(spreadsheets, "SHEET_ROWS", 3)
    with pytest.raises(ValueError, match=re.escape("a sheet can have at most 2 rows")):
        to_xlsx([_sheet(("a", 1), ("b", 2), ("c", 3))], title="t")


@pytest.mark.parametrize(
    ("value", "stored", "code"),
    [
        (date(2027, 3, 15), datetime(2027, 3, 15), "yyyy-mm-dd"),
        ("2027-03-15", datetime(2027, 3, 15), "yyyy-mm-dd"),
        ("2027-03-15 08:30 UTC", datetime(2027, 3, 15, 8, 30), 'yyyy-mm-dd hh:mm "UTC"'),
        (datetime(2027, 3, 15, 8, 30), datetime(2027, 3, 15, 8, 30), 'yyyy-mm-dd hh:mm "UTC"'),
        ("9999-12-31", datetime(9999, 12, 31), "yyyy-mm-dd"),
        # Excel treats 1900 as a leap year. Therefore, lyncnb stores dates before 1900-03-01 as
        # text.
        ("1900-02-28", "1900-02-28", "General"),
        ("2027-02-29", "2027-02-29", "General"),
        ("2027-03-15 or later", "2027-03-15 or later", "General"),
        ("2027-03", "2027-03", "General"),
        (1.5, 1.5, "General"),
    ],
)
def test_xlsx_dates_and_numbers_have_their_types(value, stored, code):
    """A date is stored as a date that programs can sort and filter, and the cell still shows the
    same text.
    """
    data = to_xlsx([_sheet(("a", value))], title="t")
    cell = openpyxl.load_workbook(io.BytesIO(data))["Certificates"]["B2"]
    assert (cell.value, cell.number_format) == (stored, code)


def test_xlsx_table_is_made_narrower_for_printing():
    """If a table is too wide for a printed page, its sentences wrap. If it is still too wide, it
    continues on further pages.
    """
    columns = tuple(f"c{n}" for n in range(8))
    for text, width in (("word " * 20, 20), ("x" * 50, 51)):
        data = to_xlsx([_sheet((text,) * 8, columns=columns)], title="t")
        check_workbook(data)
        worksheet = openpyxl.load_workbook(io.BytesIO(data))["Certificates"]
        assert worksheet.column_dimensions["A"].width == pytest.approx(width, abs=3)


def test_xlsx_without_rows():
    """If a table has no rows, its workbook contains the headings and no filter."""
    data = to_xlsx([_sheet()], title="t")
    check_workbook(data)
    sheet = openpyxl.load_workbook(io.BytesIO(data))["Certificates"]
    assert [cell.value for cell in sheet[1]] == ["Name", "Count"]
    assert sheet.max_row == 1


@given(st.lists(st.lists(st.text(max_size=6), min_size=2, max_size=2), max_size=3))
def test_csv_line_is_the_same_whichever_way_it_was_written(rows):
    """A line of a CSV file has the same bytes whether it is written at once or cell by cell."""
    cells = [
        [truncate_text(escape_formula(cell)).replace('"', '""') for cell in row] for row in rows
    ]
    expected = "".join('"' + '","'.join(row) + '"\r\n' for row in [["a", "b"], *cells])
    assert expected.encode("utf-8-sig", "replace") == to_csv(("a", "b"), rows)


def test_form_has_text_format_and_drop_down_lists():
    """A form in a workbook has notes, a gray example row, and a drop-down list for each short list
    of choices. All columns have the text format, even beyond column Z.
    """
    columns = tuple(f"c{n}" for n in range(30))
    form = Form(
        notes=("", "help", *[""] * 28),
        choices=((), ("a", "b"), "=Other!$A$1:$A$2", ("x" * 200, "y" * 200), *[()] * 26),
        open_choices=(1,),
        muted="an example",
    )
    rows = [("an example", *[""] * 28, "007")]
    sheet = Sheet(title="F", columns=columns, rows=lambda: rows, form=form)
    worksheet = openpyxl.load_workbook(io.BytesIO(to_xlsx([sheet], title="T")))["F"]
    assert worksheet["AD2"].value == "007"
    assert {worksheet["AD2"].number_format, worksheet["A2"].number_format} == {"@"}
    assert [cell.comment.text if cell.comment else "" for cell in worksheet[1]][:3] == [
        "",
        "help",
        "",
    ]
    offered = {
        str(validation.sqref): (validation.formula1, validation.showErrorMessage)
        for validation in worksheet.data_validations.dataValidation
    }
    assert offered == {"B2:B5001": ('"a,b"', False), "C2:C5001": ("Other!$A$1:$A$2", True)}
    (shaded,) = worksheet.conditional_formatting
    assert (str(shaded.sqref), shaded.rules[0].formula) == ("A2:AD5001", ['$A2="an example"'])
