"""Splitting a CSV file or a DataFrame into text: nothing is guessed, what is broken is named."""

from __future__ import annotations

import csv
import io
import os
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.errors import TopologyError
from lyncnb.topology.csv_edit import edit_csv
from lyncnb.topology.csv_file import (
    MAX_BYTES,
    decode,
    load,
    read_rows,
    split_csv,
    write_csv,
)
from lyncnb.topology.topology import read_topology

HEADING = "server_fqdn,role,site"
ROW = "fe01.contoso.net,FrontEnd,Taipei"


def rows_of(source) -> list[tuple[str, ...]]:
    table = read_rows(source)
    return list(zip(*(texts.cells() for texts in table.texts)))


def problems_of(source) -> list[tuple[int, str]]:
    try:
        table = read_rows(source)
    except TopologyError as error:
        return [(problem.row, problem.message) for problem in error.problems]
    return [(problem.row, problem.message) for problem in table.problems]


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADING}\n{ROW}\n",
        f"{HEADING}\n{ROW}",
        f"{HEADING}\r\n{ROW}\r\n",
        # As an old Macintosh ended its lines.
        f"{HEADING}\r{ROW}\r",
        f"{HEADING}\n{ROW}\n".replace(",", ";"),
        f"{HEADING}\n{ROW}\n".replace(",", "\t"),
        f"sep=;\n{HEADING}\n{ROW}\n".replace(",", ";"),
        f"SEP=,\r\n{HEADING}\r\n{ROW}\r\n",
        f'"sep=|"\n{HEADING}\n{ROW}\n'.replace(",", "|"),
        # As Export-Csv of Windows PowerShell begins and quotes.
        f"#TYPE Selected.System.Object\r\n{HEADING}\r\n{ROW}\r\n",
        '"server_fqdn","role","site"\r\n"fe01.contoso.net","FrontEnd","Taipei"\r\n',
        f"\n\n{HEADING}\n\n{ROW}\n\n",
        # As Excel writes columns and rows that once held something.
        f"{HEADING},,\n{ROW},,\n,,,,\n",
        f"{HEADING},,\n{ROW}\n",
        f"{HEADING}\n{ROW},,,\n",
        "server_fqdn,,role,site\nfe01.contoso.net,,FrontEnd,Taipei\n",
    ],
)
def test_ordinary_files_are_read(text):
    """Comma, semicolon and tab, every line ending, a sep= line, and blanks at the ends."""
    assert rows_of(text.encode()) == [("fe01.contoso.net", "FrontEnd", "Taipei")]
    assert read_rows(text.encode()).columns == ("server_fqdn", "role", "site")


@pytest.mark.parametrize(
    "cell", ["NA", "None", "nan", "007", "1e5", "TRUE", "-", "2026-01-02", "#N/A"]
)
def test_no_cell_is_guessed_at(cell):
    """Text that looks like a number, a date or nothing stays the text that it is."""
    assert rows_of(f"{HEADING}\nfe01.contoso.net,FrontEnd,{cell}\n".encode())[0][2] == cell


def test_quoted_cells_hold_anything():
    """Delimiters, quotes and line breaks inside quotation marks belong to the cell."""
    text = f'{HEADING}\n"a,b","say ""x""","line\r\nbreak"\n'
    assert rows_of(text.encode()) == [("a,b", 'say "x"', "line\r\nbreak")]


def test_unknown_columns_are_kept():
    """A column that lyncnb does not know comes through with its heading and its cells as written."""
    table = read_rows(b"server_fqdn,role, Owner \nfe01.contoso.net,FE,  Kim \n")
    assert table.columns == ("server_fqdn", "role", " Owner ")
    assert table.texts[2].cells() == ["  Kim "]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (f"{HEADING}\n{ROW}\n{ROW}\n", [2, 3]),
        (f"\n{HEADING}\n\n{ROW}\n,,\n{ROW}\n", [4, 6]),
        (f"sep=,\n{HEADING}\n{ROW}\n", [3]),
        # A row with a line break inside is one row of a spreadsheet.
        (f'{HEADING}\na,b,"c\nd"\n{ROW}\n', [2, 3]),
    ],
)
def test_rows_are_numbered_as_a_spreadsheet_does(text, rows):
    """Blank rows are left out but counted, and the heading is row 1."""
    assert [*read_rows(text.encode()).rows] == rows


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            f"{HEADING}\n{ROW}\nfe02.contoso.net,FrontEnd\n",
            [
                (
                    3,
                    'the row has 2 cells, but the heading row has 3 (first cell: "fe02.contoso.net")',
                )
            ],
        ),
        (
            f"{HEADING}\n{ROW},x\n\n,b\n",
            [
                (
                    2,
                    'the row has 4 cells, but the heading row has 3 (first cell: "fe01.contoso.net")',
                ),
                (4, 'the row has 2 cells, but the heading row has 3 (first cell: "b")'),
            ],
        ),
        (
            f'{HEADING}\n{ROW}\n"fe02.contoso.net,FrontEnd,Taipei\n',
            [(3, "the table ends unexpectedly in this row (unexpected end of data)")],
        ),
        (
            f'{HEADING}\n"fe02"x,FrontEnd,Taipei\n',
            [(2, "the table ends unexpectedly in this row (',' expected after '\"')")],
        ),
        (
            "server_fqdn,role,\nfe01.contoso.net,FrontEnd,x\n",
            [(1, "column 3 contains values, but has no heading")],
        ),
        (
            "fqdn;role;Server\nfe01.contoso.net;FrontEnd;x\n",
            [(1, 'two headings mean the same column: "fqdn" and "Server"')],
        ),
        (f"{HEADING}\n", [(0, "the table has headings, but no servers")]),
        (
            "\n\n",
            [
                (1, "the table has no column server_fqdn; its headings are none"),
                (1, "the table has no column role; its headings are none"),
            ],
        ),
        (
            "Kim's servers\nserver_fqdn,site\n",
            [
                (1, 'the table has no column server_fqdn; its headings are "Kim\'s servers"'),
                (1, 'the table has no column role; its headings are "Kim\'s servers"'),
                (2, 'the row has 2 cells, but the heading row has 1 (first cell: "server_fqdn")'),
            ],
        ),
    ],
)
def test_a_broken_table_is_named_with_its_rows(text, problems):
    """All rows with a wrong number of cells are reported at once, with their numbers and cells."""
    assert problems_of(text.encode()) == problems


def test_cp950_is_read_with_a_warning(data):
    """A table that a zh-TW Excel saved as Big5 is read; a note says that its encoding is a guess."""
    text = (data / "contoso-zh-TW.csv").read_text("utf-8-sig")
    table = read_rows(text.encode("cp950"))
    assert [note.message for note in table.notes] == [
        "the file is not UTF-8, so lyncnb read it as cp950 (Traditional Chinese Windows); check the names"
    ]
    assert table.columns[:4] == ("server_fqdn", "role", "pool_fqdn", "site")
    assert table.texts[3].distinct == ["台北"]


def test_a_very_large_cell_is_a_problem_of_its_row():
    """A cell beyond the csv module's limit is reported as such, not as a quotation mark."""
    text = f"{HEADING}\n{ROW}\nfe02.contoso.net,FrontEnd,{'x' * 200_000}\n"
    assert problems_of(text.encode()) == [
        (3, "a cell in this row has more than 131,072 characters")
    ]


def test_a_quotation_mark_that_swallows_the_table_is_named_where_it_stands():
    """A mark that does not close runs over the limit, too; the row is the one where it begins."""
    rest = f"{ROW}\n" * 6_000
    text = f'{HEADING}\n{ROW}\nfe02.contoso.net,FrontEnd,"Taipei\n{rest}'
    ((row, message),) = problems_of(text.encode())
    assert row == 3
    assert re.fullmatch(r"a cell that begins in this row continues for [\d,]+ lines", message)


# -- large tables

cells = st.one_of(
    st.sampled_from(
        ["", " ", "a", "NA", "007", "台北", "a b", "x,y", 'say "x"', "l\nb", "c\rd", '"']
    ),
    st.text(st.characters(codec="utf-8"), max_size=6),
)
rows_of_cells = st.lists(st.lists(cells, min_size=1, max_size=5), min_size=1, max_size=8)


def row_by_row(rows: list[list[str]], width: int):
    """The expected result of splitting by row: complete rows, and the numbers of ragged ones."""
    kept, ragged = {}, []
    for number, row in enumerate(rows, start=2):
        if not "".join(row).strip():
            continue
        if len(row) < width or "".join(row[width:]).strip():
            ragged.append(number)
        else:
            kept[number] = row[:width]
    return kept, ragged


@given(rows_of_cells, st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_rows_are_kept_left_out_or_named(rows, delimiter, line_end, quote_all):
    """Any row is kept complete, skipped as blank and counted, or reported as ragged."""
    out = io.StringIO(newline="")
    # csv.writer quotes a carriage return only where it is part of the line end.
    quote_all = quote_all or any("\r" in cell for row in rows for cell in row)
    quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows([["server_fqdn", "role", "site"], *rows])
    split = split_csv(out.getvalue(), source="x")
    kept, ragged = row_by_row(rows, 3)
    by_column = [texts.cells() for texts in split.texts]
    if kept:
        assert [list(row) for row in zip(*by_column)] == list(kept.values())
    assert split.rows == list(kept)
    assert [problem.row for problem in split.problems] == ragged


@pytest.mark.parametrize("end", "\v\f\x1c\x1d\x1e\x85\u2028\u2029")
def test_only_line_ends_of_a_table_end_a_row(end):
    """A character that ends a line elsewhere is one of its cell's, quoted or not."""
    split = split_csv(f'a,b\nx{end}y,"z{end}"\r\n1,2\r', source="x")
    assert [column.cells() for column in split.texts] == [[f"x{end}y", "1"], [f"z{end}", "2"]]


def test_a_large_table_is_the_sum_of_its_rows():
    """Rows beyond one chunk are all there, numbered, with a blank one counted."""
    rows = [f"fe{n:06d}.contoso.net,FrontEnd,Taipei" for n in range(5_000)]
    rows[3_000] = ",,"
    table = read_rows("\n".join([HEADING, *rows]).encode())
    kept = [row.split(",") for row in rows if row != ",,"]
    assert [[*row] for row in zip(*(texts.cells() for texts in table.texts))] == kept
    assert table.rows == [*range(2, 3_002), *range(3_003, 5_002)]


def test_a_large_table_with_a_ragged_row_names_it():
    """A row with a wrong number of cells is named by its number, however far down it is."""
    rows = [f"fe{n:06d}.contoso.net,FrontEnd,Taipei" for n in range(30_000)]
    rows[20_000] = "fe.contoso.net,FrontEnd"
    assert problems_of("\n".join([HEADING, *rows]).encode()) == [
        (20_002, 'the row has 2 cells, but the heading row has 3 (first cell: "fe.contoso.net")')
    ]


# -- DataFrames and writing


def test_a_frame_becomes_text():
    """What a DataFrame holds becomes the text that a CSV file would have."""
    frame = pd.DataFrame(
        {
            "server_fqdn": ["fe01.contoso.net", "fe02.contoso.net", None],
            "role": ["FrontEnd", "FrontEnd", np.nan],
            "autologon": [True, False, pd.NA],
            "target_os": [2012.0, np.nan, None],
            "sip_domains": [["contoso.com", "fabrikam.com"], None, pd.NaT],
            "number": [7, 8.5, ""],
            3: ["x", " ", None],
        }
    )
    table = read_rows(frame)
    assert table.columns == (*frame.columns[:-1], "3")
    assert rows_of(frame) == [
        ("fe01.contoso.net", "FrontEnd", "true", "2012", "contoso.com;fabrikam.com", "7", "x"),
        ("fe02.contoso.net", "FrontEnd", "false", "", "", "8.5", " "),
    ]
    assert table.source == "DataFrame"


def test_a_frame_may_name_its_file():
    """`attrs["source"]` names the file that a frame was read from; a filter keeps it."""
    frame = pd.DataFrame({"server_fqdn": ["fe01.contoso.com", "fe02"], "role": "FrontEnd"})
    frame.attrs["source"] = Path("data") / "servers.csv"
    assert read_rows(frame[frame["server_fqdn"] != "fe02"]).source == "servers.csv"
    frame.attrs["source"] = 5  # somebody else's
    assert read_rows(frame).source == "DataFrame"


def test_rows_of_a_frame_are_numbered_as_in_a_file():
    """Blank rows of a DataFrame are left out but counted."""
    frame = pd.DataFrame({"fqdn": ["a", None, "b"], "role": ["FE", "", "FE"]})
    assert read_rows(frame).rows == [2, 4]


def test_an_index_with_a_name_is_a_column():
    """Somebody who called set_index still has a table."""
    frame = pd.DataFrame({"fqdn": ["fe01.contoso.net"], "role": ["FE"]})
    assert read_rows(frame.set_index("fqdn")).columns == ("server_fqdn", "role")
    assert read_rows(frame.set_index("fqdn", drop=False)).columns == ("server_fqdn", "role")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            pd.DataFrame({"fqdn": ["a"], "Server": ["b"], "role": ["FE"]}),
            "two headings mean the same column",
        ),
        (pd.DataFrame([["a", "b", "FE"]], columns=["fqdn", "fqdn", "role"]), "two headings"),
        (pd.DataFrame({"fqdn": ["a"]}), "the table has no column role"),
        (pd.DataFrame({"fqdn": [], "role": []}), "the table has headings, but no servers"),
        (pd.DataFrame(), "the table has no column server_fqdn"),
    ],
)
def test_a_frame_is_checked_like_a_file(frame, message):
    """The same faults of a table are found in a DataFrame."""
    with pytest.raises(TopologyError, match=message):
        read_rows(frame)


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            *[st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)] * 2
        ),
        max_size=5,
    )
)
def test_writing_and_reading_are_inverse(rows):
    """A table written as CSV has the same cells when read, whatever is in them."""
    written = write_csv(["server_fqdn", "role"], [("x.contoso.net", "FE"), *rows])
    kept = [row for row in rows if any(cell.strip() for cell in row)]
    assert rows_of(written) == [("x.contoso.net", "FE"), *kept]


def test_what_is_written_opens_in_excel():
    """UTF-8 with its mark, commas and CRLF."""
    assert (
        write_csv(["a", "b"], [("台北", 'x"y')])
        == b'\xef\xbb\xbfa,b\r\n\xe5\x8f\xb0\xe5\x8c\x97,"x""y"\r\n'
    )


# A file to text: size, format, encoding.

TEXT = "伺服器,角色\nfe01.contoso.net,FrontEnd\n"


@pytest.mark.parametrize(
    ("data", "is_cp950"),
    [
        (TEXT.encode("utf-8"), False),
        (TEXT.encode("utf-8-sig"), False),
        (TEXT.encode("utf-16"), False),
        (b"\xff\xfe" + TEXT.encode("utf-16-le"), False),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), False),
        (TEXT.encode("cp950"), True),
    ],
)
def test_encodings_are_told_apart(data, is_cp950):
    """The same text comes out of UTF-8, UTF-16 and cp950, and only cp950 is a guess."""
    assert decode("contoso.csv", data) == (TEXT, is_cp950)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_shows_at_once(encoding):
    """UTF-16 is known by the zero bytes of an ASCII heading."""
    assert decode("contoso.csv", "fqdn;role\n".encode(encoding)) == ("fqdn;role\n", False)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        # "München" as latin-1 has it.
        (b"server_fqdn,role\nM\xfcnchen", "is not UTF-8 text: line 2 contains the byte 0xfc"),
        (b"\xff\xfef\0q", "is not UTF-16 text: line 1 contains the byte 0x71"),
        (b"server_fqdn,role\n\xff,\xff\n", "is not UTF-8 text: line 2 contains the byte 0xff"),
        # A UTF-8 file that was cut in the middle of a character.
        (b"\xef\xbb\xbfserver_fqdn,\xe4\xbc", "is not UTF-8 text"),
    ],
)
def test_bytes_that_are_no_text_are_refused(data, message):
    """Bytes of no known encoding are refused with their line, never read as latin-1."""
    with pytest.raises(TopologyError, match=message) as caught:
        decode("contoso.csv", data)
    assert "CSV UTF-8" in caught.value.hint


@pytest.mark.parametrize(
    ("data", "message", "hint"),
    [
        (b"%PDF-1.7", "is a PDF document", "export the table as CSV"),
        (b"\x1f\x8b\x08", "is a gzip archive", "unpack the archive"),
        (b"", "is empty", "export the table again"),
    ],
)
def test_other_formats_are_recognised(tmp_path, data, message, hint):
    """A file of another format with the name of a CSV is recognized and reported."""
    path = tmp_path / "contoso.csv"
    path.write_bytes(data)
    with pytest.raises(TopologyError, match=re.escape(message)) as caught:
        load(path)
    assert hint in caught.value.hint
    assert str(caught.value).startswith("contoso.csv ")


def test_bytes_are_taken_as_they_are():
    """A table may come as bytes; messages call it a table."""
    assert load(b"server_fqdn,role") == ("table", b"server_fqdn,role")
    assert load(bytearray(b"fqdn")) == ("table", b"fqdn")


def test_a_path_may_be_text(tmp_path):
    """A path may be a string or a Path; messages have the file's name."""
    path = tmp_path / "contoso.csv"
    path.write_bytes(b"fqdn")
    assert load(path) == load(str(path)) == ("contoso.csv", b"fqdn")


def test_a_file_of_200_mb_is_refused_before_it_is_read(tmp_path):
    """A huge file is refused by its size alone: this one is a hole without any data."""
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES)
    with pytest.raises(
        TopologyError, match="huge.csv has 200 MB; lyncnb does not read tables of 200 MB or more"
    ) as e:
        load(path)
    assert "check whether this is the right file" in e.value.hint


def test_a_missing_file_is_reported(tmp_path, monkeypatch):
    """A path that leads nowhere is named, with what a path should be."""
    monkeypatch.chdir(tmp_path)  # a long path is shortened in a message
    path = "nowhere.csv"
    with pytest.raises(TopologyError, match=r'nowhere\.csv": No such file or directory') as caught:
        load(path)
    assert "data/contoso.csv" in caught.value.hint


def test_a_folder_is_no_table(tmp_path):
    """A folder is named as one."""
    with pytest.raises(TopologyError, match="it is a folder"):
        load(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_a_device_is_not_read():
    """What never ends is not begun."""
    with pytest.raises(TopologyError, match="the path is not a regular file"):
        load(os.devnull)


@pytest.mark.parametrize("path", ["a\0b.csv", "x" * 5000])
def test_an_impossible_path_is_reported(path):
    """An impossible path is an error like any other, with a hint that also fits a command line."""
    with pytest.raises(TopologyError, match="cannot read") as caught:
        load(path)
    assert caught.value.hint.startswith("check the path")
    assert "DataFrame" not in caught.value.hint


@pytest.mark.parametrize(("source", "kind"), [(None, "NoneType"), ([1], "list"), (7, "int")])
def test_something_else_is_no_source(source, kind):
    """What is neither a path nor bytes is refused in words."""
    with pytest.raises(
        TopologyError, match=f"cannot read a topology from the type {kind}"
    ) as caught:
        load(source)
    assert "its content as bytes, or a DataFrame" in caught.value.hint


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    "above", ["Contoso servers", "Contoso, as of May;;\n", 'sep=X\n"Our servers"']
)
def test_a_title_above_the_headings_is_left_out_and_reported(delimiter, above):
    """The table is read from its headings on; rows keep the numbers that a spreadsheet shows."""
    above = above.replace("sep=X", f"sep={delimiter}")
    rows = [("server_fqdn", "role", "sip_domains"), ("fe 01", "SE", "contoso.com")]
    text = above + "\n" + "\n".join(map(delimiter.join, rows))
    with pytest.raises(TopologyError) as refused:
        read_topology(text.encode())
    (problem,) = refused.value.problems
    assert problem.row == text.splitlines().index(delimiter.join(rows[1])) + 1
    topology = read_topology(text.replace("fe 01", "se01.contoso.com").encode())
    assert topology.columns == rows[0]
    (remark,) = topology.remarks
    assert remark.startswith("lyncnb ignored the text above the headings: ")
    assert "servers" in remark or "Contoso" in remark


def test_a_table_with_a_title_is_corrected_in_its_file():
    """A changed cell is written below the title, and the title stays."""
    data = b"Our servers\n\nserver_fqdn,role,sip_domains,site\nse01.contoso.com,SE,contoso.com,\n"
    after, _ = edit_csv("t.csv", data, {0: {"site": "Taipei"}})
    assert after == data.replace(b"contoso.com,\n", b"contoso.com,Taipei\n")


@pytest.mark.parametrize("name", ["servers.xlsx", "servers.ods", "servers.XLSM"])
def test_random_bytes_are_not_a_workbook(tmp_path, name):
    """For a workbook's file name, the error is about workbooks, not about text."""
    path = tmp_path / name
    path.write_bytes(bytes(range(255, 0, -1)) * 9)
    with pytest.raises(TopologyError, match=f"{name} is neither a workbook nor text"):
        read_topology(path)
