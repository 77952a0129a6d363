"""lyncnb reads a CSV file or DataFrame as text, and reports problems."""

from __future__ import annotations

import csv
import ctypes
import errno
import io
import os
import re
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
    read_rows,
    read_source,
    split_csv,
    write_csv,
)
from lyncnb.topology.topology import read_topology

HEADING = "server_fqdn,role,site"
ROW = "fe01.contoso.net,FrontEnd,Taipei"


def rows_of(source) -> list[tuple[str, ...]]:
    table = read_rows(source)
    return list(zip(*(texts.list_cells() for texts in table.texts)))


def problems_of(source) -> list[tuple[int, str]]:
    try:
        table = read_rows(source)
    except TopologyError as error:
        return [(problem.row, problem.message) for problem in error.problems]
    problems = (*table.heading_problems, *table.problems)
    return [(problem.row, problem.message) for problem in problems]


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADING}\n{ROW}\n",
        f"{HEADING}\n{ROW}",
        f"{HEADING}\r\n{ROW}\r\n",
        # Files from old Macintosh systems have these line endings.
        f"{HEADING}\r{ROW}\r",
        f"{HEADING}\n{ROW}\n".replace(",", ";"),
        f"{HEADING}\n{ROW}\n".replace(",", "\t"),
        f"sep=;\n{HEADING}\n{ROW}\n".replace(",", ";"),
        f"SEP=,\r\n{HEADING}\r\n{ROW}\r\n",
        f'"sep=|"\n{HEADING}\n{ROW}\n'.replace(",", "|"),
        # Export-Csv in Windows PowerShell writes this first line, and quotes every value.
        f"#TYPE Selected.System.Object\r\n{HEADING}\r\n{ROW}\r\n",
        '"server_fqdn","role","site"\r\n"fe01.contoso.net","FrontEnd","Taipei"\r\n',
        f"\n\n{HEADING}\n\n{ROW}\n\n",
        # Excel also writes blank columns and rows that contained text earlier.
        f"{HEADING},,\n{ROW},,\n,,,,\n",
        f"{HEADING},,\n{ROW}\n",
        f"{HEADING}\n{ROW},,,\n",
        "server_fqdn,,role,site\nfe01.contoso.net,,FrontEnd,Taipei\n",
    ],
)
def test_ordinary_files_are_read(text):
    """CSV files can be read with commas, semicolons or tabs, with any line endings, and with a sep=
    line.
    """
    assert rows_of(text.encode()) == [("fe01.contoso.net", "FrontEnd", "Taipei")]
    assert read_rows(text.encode()).columns == ("server_fqdn", "role", "site")


@pytest.mark.parametrize(
    "cell", ["NA", "None", "nan", "007", "1e5", "TRUE", "-", "2026-01-02", "#N/A"]
)
def test_cells_are_not_converted(cell):
    """Text that looks like a number, a date, or a missing value is not converted."""
    assert rows_of(f"{HEADING}\nfe01.contoso.net,FrontEnd,{cell}\n".encode())[0][2] == cell


def test_quoted_cells_can_contain_anything():
    """Quoted cells can contain delimiters, quotation marks, and line breaks."""
    text = f'{HEADING}\n"a,b","say ""x""","line\r\nbreak"\n'
    assert rows_of(text.encode()) == [("a,b", 'say "x"', "line\r\nbreak")]


def test_unknown_columns_are_kept():
    """A column that lyncnb does not know keeps its heading and its cells."""
    table = read_rows(b"server_fqdn,role, Owner \nfe01.contoso.net,FE,  Kim \n")
    assert table.columns == ("server_fqdn", "role", " Owner ")
    assert table.texts[2].list_cells() == ["  Kim "]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (f"{HEADING}\n{ROW}\n{ROW}\n", [2, 3]),
        (f"\n{HEADING}\n\n{ROW}\n,,\n{ROW}\n", [4, 6]),
        (f"sep=,\n{HEADING}\n{ROW}\n", [3]),
        # In a spreadsheet program, a row that contains a line break counts as one row.
        (f'{HEADING}\na,b,"c\nd"\n{ROW}\n', [2, 3]),
    ],
)
def test_rows_are_numbered_as_a_spreadsheet_does(text, rows):
    """Blank rows are omitted, but counted in the row numbers. The headings are row 1."""
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
            [(1, 'two headings refer to the same column: "fqdn" and "Server"')],
        ),
        (f"{HEADING}\n", [(0, "the table has headings, but no servers")]),
        (
            "\n\n",
            [
                (1, 'the table has no column "server_fqdn"; headings in the table: none'),
                (1, 'the table has no column "role"; headings in the table: none'),
            ],
        ),
        (
            "Kim's servers\nserver_fqdn,site\n",
            [
                (
                    1,
                    'the table has no column "role"; headings in the table: "server_fqdn" and "site"',
                ),
            ],
        ),
    ],
)
def test_rows_with_a_wrong_number_of_cells_are_reported(text, problems):
    """One error message lists all rows with a wrong number of cells."""
    assert problems_of(text.encode()) == problems


def test_cp950_is_read_with_a_warning(data):
    """lyncnb can read a table in Big5 from Excel for Taiwan. A note asks the user to check the
    names, because lyncnb guessed the encoding.
    """
    text = (data / "contoso-zh-TW.csv").read_text("utf-8-sig")
    table = read_rows(text.encode("cp950"))
    assert [note.message for note in table.notes] == [
        "the file is not UTF-8, so lyncnb read it as cp950 (Traditional Chinese). Check the names in the table"
    ]
    assert table.columns[:4] == ("server_fqdn", "role", "pool_fqdn", "site")
    assert table.texts[3].distinct == ["台北"]


def test_a_very_large_cell_is_a_problem_of_its_row():
    """If a cell is longer than the csv module allows, lyncnb reports a problem with the row number."""
    text = f"{HEADING}\n{ROW}\nfe02.contoso.net,FrontEnd,{'x' * 200_000}\n"
    assert problems_of(text.encode()) == [
        (3, "a cell in this row has more than 131,072 characters")
    ]


def test_an_unclosed_quotation_mark_is_reported_with_its_row():
    """If a quotation mark is not closed, the message contains the row with the opening quotation mark."""
    more_rows = f"{ROW}\n" * 6_000
    text = f'{HEADING}\n{ROW}\nfe02.contoso.net,FrontEnd,"Taipei\n{more_rows}'
    ((row, message),) = problems_of(text.encode())
    assert row == 3
    assert re.fullmatch(r"a cell that starts in this row spans [\d,]+ lines", message)


# --- Large tables.

cells = st.one_of(
    st.sampled_from(
        ["", " ", "a", "NA", "007", "台北", "a b", "x,y", 'say "x"', "l\nb", "c\rd", '"']
    ),
    st.text(st.characters(codec="utf-8"), max_size=6),
)
rows_of_cells = st.lists(st.lists(cells, min_size=1, max_size=5), min_size=1, max_size=8)


def list_expected_rows(rows: list[list[str]], width: int):
    """Return the expected result: the complete rows by row number, and the numbers of the rows that
    have too few or too many cells.
    """
    rows_by_number, ragged = {}, []
    for number, row in enumerate(rows, start=2):
        if not "".join(row).strip():
            continue
        if len(row) < width or "".join(row[width:]).strip():
            ragged.append(number)
        else:
            rows_by_number[number] = row[:width]
    return rows_by_number, ragged


@given(rows_of_cells, st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_each_row_is_returned_counted_or_reported(rows, delimiter, line_end, quote_all):
    """Each row is returned, is counted as blank, or is reported because it has the wrong number of
    cells.
    """
    out = io.StringIO(newline="")
    # csv.writer quotes a carriage return only if the line endings contain it.
    quote_all = quote_all or any("\r" in cell for row in rows for cell in row)
    quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows([["server_fqdn", "role", "site"], *rows])
    split = split_csv(out.getvalue(), source="x")
    rows_by_number, ragged = list_expected_rows(rows, 3)
    by_column = [texts.list_cells() for texts in split.texts]
    if rows_by_number:
        assert [list(row) for row in zip(*by_column)] == list(rows_by_number.values())
    assert split.rows == list(rows_by_number)
    assert [problem.row for problem in split.problems] == ragged


@pytest.mark.parametrize("end", "\v\f\x1c\x1d\x1e\x85\u2028\u2029")
def test_only_line_ends_of_a_table_end_a_row(end):
    """Only line feeds and carriage returns end a row. Other line separators are part of a cell."""
    split = split_csv(f'a,b\nx{end}y,"z{end}"\r\n1,2\r', source="x")
    assert [column.list_cells() for column in split.texts] == [[f"x{end}y", "1"], [f"z{end}", "2"]]


def test_a_large_table_is_read_in_chunks():
    """If a large table is read in several chunks, all rows are complete and have the correct
    numbers.
    """
    rows = [f"fe{n:06d}.contoso.net,FrontEnd,Taipei" for n in range(5_000)]
    rows[3_000] = ",,"
    table = read_rows("\n".join([HEADING, *rows]).encode())
    filled_rows = [row.split(",") for row in rows if row != ",,"]
    assert [[*row] for row in zip(*(texts.list_cells() for texts in table.texts))] == filled_rows
    assert table.rows == [*range(2, 3_002), *range(3_003, 5_002)]


def test_a_wrong_row_in_a_large_table_is_reported():
    """If a row in a large table has the wrong number of cells, the error message contains the row
    number.
    """
    rows = [f"fe{n:06d}.contoso.net,FrontEnd,Taipei" for n in range(30_000)]
    rows[20_000] = "fe.contoso.net,FrontEnd"
    assert problems_of("\n".join([HEADING, *rows]).encode()) == [
        (20_002, 'the row has 2 cells, but the heading row has 3 (first cell: "fe.contoso.net")')
    ]


# --- These tests read DataFrames and write files.


def test_a_frame_becomes_text():
    """lyncnb reads each value in a DataFrame as the text that the value would have in a CSV file."""
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


class ArrowTable:
    """A table that another library created. When the table is converted to pandas, lists in cells
    become arrays.
    """

    def __init__(self, **columns):
        self.columns = columns

    def to_pandas(self):
        """Return the table as a DataFrame, as pyarrow and polars do."""
        return pd.DataFrame(
            {name: [_as_array(value) for value in column] for name, column in self.columns.items()}
        )


def _as_array(value):
    return np.array(value, dtype=object) if isinstance(value, list) else value


def test_a_table_of_another_library_is_read():
    """If an object has a method to_pandas, it is read like a DataFrame, and arrays in its cells are
    read as lists.
    """
    columns = {
        "server_fqdn": ["fe01.contoso.com", "fe02.contoso.com"],
        "role": ["FrontEnd", "FrontEnd"],
        "sip_domains": [["contoso.com", None, "fabrikam.com"], []],
        "autologon": [True, None],
    }
    table = read_rows(ArrowTable(**columns))
    assert rows_of(ArrowTable(**columns)) == [
        ("fe01.contoso.com", "FrontEnd", "contoso.com;;fabrikam.com", "true"),
        ("fe02.contoso.com", "FrontEnd", "", ""),
    ]
    assert table.source == "DataFrame"
    with pytest.raises(
        TopologyError, match="cannot read a topology from an object of the type ArrowColumn"
    ):
        read_rows(type("ArrowColumn", (), {"to_pandas": lambda self: pd.Series(["a"])})())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.array(["a.contoso.com", "b.contoso.com"]), "a.contoso.com;b.contoso.com"),
        (np.array([]), ""),
        (np.array([True]), "true"),
        (np.bool_(True), "true"),
        (np.int64(2012), "2012"),
        (np.float64(2012), "2012"),
        (["a", None], "a;"),
    ],
)
def test_an_array_in_a_cell_is_a_list(value, text):
    """If a cell contains a list or a numpy number, the cell is read as the text of a list or of a
    number.
    """
    frame = pd.DataFrame({"server_fqdn": ["a"], "role": ["FE"], "x": [""]}).astype(object)
    frame.at[0, "x"] = value
    assert rows_of(frame) == [("a", "FE", text)]


@pytest.mark.parametrize(
    ("index", "labels"),
    [
        ([7, 9, 11], ("7", "9", "11")),
        (["north", "south", "east"], ('"north"', '"south"', '"east"')),
        (None, ("0", "1", "2")),
    ],
)
def test_errors_of_a_frame_name_the_index_label(index, labels):
    """lyncnb reports each problem in a DataFrame with the index labels of all affected rows."""
    frame = pd.DataFrame(
        {
            "server_fqdn": ["fe01.contoso.com", "fe01.contoso.com", "not a name"],
            "role": ["FrontEnd", "FrontEnd", "Edge"],
            "pool_fqdn": ["pool.contoso.com", "pool.contoso.com", ""],
            "sip_domains": "contoso.com",
        },
        index=index,
    )
    with pytest.raises(TopologyError) as caught:
        read_topology(frame)
    text = "\n".join(map(str, caught.value.problems))
    assert (
        f"DataFrame row 3 (index {labels[1]}), column server_fqdn: fe01.contoso.com already" in text
    )
    assert f"appears in row 2 (index {labels[0]}) with the role FrontEnd" in text
    assert f"DataFrame row 4 (index {labels[2]}), column server_fqdn" in text
    with pytest.raises(TopologyError) as caught:
        read_topology(frame.to_csv(index=False).encode())
    assert "index" not in "\n".join(map(str, caught.value.problems))


def test_a_named_index_is_a_label_and_a_column():
    """If the server names are the index of a DataFrame, the errors contain the server name, and the
    index is also read as a column.
    """
    frame = pd.DataFrame({"fqdn": ["fe01.contoso.com"], "role": ["Barista"], "n": [1]})
    with pytest.raises(TopologyError, match=r'row 2 \(index "fe01.contoso.com"\), column role'):
        read_topology(frame.set_index("fqdn"))
    with pytest.raises(TopologyError, match=r"row 2 \(index \('fe01.contoso.com', 1\)\)"):
        read_topology(frame.set_index(["fqdn", "n"]))


def test_a_frame_can_specify_its_file_name():
    """The attribute `attrs["source"]` specifies the file name of a DataFrame, and is kept when rows
    are filtered.
    """
    frame = pd.DataFrame({"server_fqdn": ["fe01.contoso.com", "fe02"], "role": "FrontEnd"})
    frame.attrs["source"] = Path("data") / "servers.csv"
    assert read_rows(frame[frame["server_fqdn"] != "fe02"]).source == "servers.csv"
    # Another program can set this attribute to a value that is not a file name.
    frame.attrs["source"] = 5
    assert read_rows(frame).source == "DataFrame"


def test_rows_of_a_frame_are_numbered_as_in_a_file():
    """Blank rows in a DataFrame are omitted, but counted in the row numbers."""
    frame = pd.DataFrame({"fqdn": ["a", None, "b"], "role": ["FE", "", "FE"]})
    assert read_rows(frame).rows == [2, 4]


def test_an_index_with_a_name_is_a_column():
    """If ``set_index`` made a column of a DataFrame its index, lyncnb still reads that column."""
    frame = pd.DataFrame({"fqdn": ["fe01.contoso.net"], "role": ["FE"]})
    assert read_rows(frame.set_index("fqdn")).columns == ("server_fqdn", "role")
    assert read_rows(frame.set_index("fqdn", drop=False)).columns == ("server_fqdn", "role")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            pd.DataFrame({"fqdn": ["a"], "Server": ["b"], "role": ["FE"]}),
            "two headings refer to the same column",
        ),
        (pd.DataFrame([["a", "b", "FE"]], columns=["fqdn", "fqdn", "role"]), "two headings"),
        (pd.DataFrame({"fqdn": ["a"]}), 'the table has no column "role"'),
        (pd.DataFrame({"fqdn": [], "role": []}), "the table has headings, but no servers"),
        (pd.DataFrame(), 'the table has no column "server_fqdn"'),
    ],
)
def test_a_frame_is_checked_like_a_file(frame, message):
    """A DataFrame causes the same errors as a file with the same table."""
    with pytest.raises(TopologyError, match=message):
        read_topology(frame)


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            *[st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)] * 2
        ),
        max_size=5,
    )
)
def test_a_table_is_equal_after_writing_and_reading(rows):
    """If a table is written as CSV and read again, it has the same cells."""
    table = write_csv(["server_fqdn", "role"], [("x.contoso.net", "FE"), *rows])
    filled_rows = [row for row in rows if any(cell.strip() for cell in row)]
    assert rows_of(table) == [("x.contoso.net", "FE"), *filled_rows]


def test_written_files_open_in_excel():
    """lyncnb writes CSV files in UTF-8 with a byte order mark, commas, and CRLF line endings, so
    that Excel can open them.
    """
    assert (
        write_csv(["a", "b"], [("台北", 'x"y')])
        == b'\xef\xbb\xbfa,b\r\n\xe5\x8f\xb0\xe5\x8c\x97,"x""y"\r\n'
    )


# --- These tests check the size, the format, and the encoding of a file.

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
def test_encodings_are_recognized(data, is_cp950):
    """lyncnb recognizes UTF-8, UTF-16, and cp950. A note says that cp950 is an assumption."""
    text, readings = decode("contoso.csv", data)
    assert (text, [r.encoding for r in readings if r.is_chosen]) == (TEXT, ["cp950"] * is_cp950)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_byte_order_mark_is_recognized(encoding):
    """If a file without a byte order mark has zero bytes in an ASCII heading, lyncnb decodes the
    file as UTF-16.
    """
    assert decode("contoso.csv", "fqdn;role\n".encode(encoding)) == ("fqdn;role\n", ())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfef\0q", "is not UTF-16 text: line 1 contains the byte 0x71"),
        (b"server_fqdn,role\n\xff,\x81\n", "is not UTF-8 text: line 2 contains the byte 0xff"),
        # A UTF-8 file that was truncated within a character.
        (b"\xef\xbb\xbfserver_fqdn,\xe4\xbc", "is not UTF-8 text"),
    ],
)
def test_unknown_encodings_are_rejected(data, message):
    """If lyncnb cannot detect the encoding, the error message names the line."""
    with pytest.raises(TopologyError, match=message) as caught:
        decode("contoso.csv", data)
    assert "CSV UTF-8" in caught.value.hint


@pytest.mark.parametrize(
    ("data", "message", "hint"),
    [
        (b"%PDF-1.7", "is a PDF document", "export the table as CSV"),
        (b"\x1f\x8b\x08", "is a gzip archive", "extract the files from the archive first"),
        (b"", "is empty", "export the table again"),
    ],
)
def test_other_formats_are_recognized(tmp_path, data, message, hint):
    """If a file with the extension .csv has another format, the error message states the format."""
    path = tmp_path / "contoso.csv"
    path.write_bytes(data)
    with pytest.raises(TopologyError, match=re.escape(message)) as caught:
        read_source(path)
    assert hint in caught.value.hint
    assert str(caught.value).startswith("contoso.csv ")


def test_a_table_can_be_bytes():
    """A table can be passed as bytes. Messages then call it "table"."""
    assert read_source(b"server_fqdn,role") == ("table", b"server_fqdn,role")
    assert read_source(bytearray(b"fqdn")) == ("table", b"fqdn")


def test_a_path_can_be_a_string(tmp_path):
    """The path of a table can be a string or a Path. In both cases, messages contain only the file
    name.
    """
    path = tmp_path / "contoso.csv"
    path.write_bytes(b"fqdn")
    assert read_source(path) == read_source(str(path)) == ("contoso.csv", b"fqdn")


def test_a_file_of_200_mb_is_refused_before_it_is_read(tmp_path):
    """lyncnb rejects a very large file because of its size, and does not read it.

    The file in this test is sparse, so it takes no space.
    """
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES)
    with pytest.raises(
        TopologyError,
        match="huge.csv is 200 MB, but lyncnb reads only tables smaller than 200 MB",
    ) as e:
        read_source(path)
    assert "check whether you specified the correct file" in e.value.hint


def test_a_missing_file_is_reported(tmp_path, monkeypatch):
    """If a file does not exist, the error message contains its path and a hint."""
    # Messages shorten long paths, so this test uses a file in the current folder.
    monkeypatch.chdir(tmp_path)
    path = "nowhere.csv"
    missing = ctypes.FormatError(2) if os.name == "nt" else os.strerror(errno.ENOENT)
    with pytest.raises(
        TopologyError, match=rf'nowhere\.csv": {re.escape(missing.rstrip("."))}'
    ) as caught:
        read_source(path)
    assert "data/contoso.csv" in caught.value.hint


def test_a_folder_is_not_a_table(tmp_path):
    """If the path of a table is a folder, the error message says so."""
    with pytest.raises(TopologyError, match="the path is a folder"):
        read_source(tmp_path)


@pytest.mark.posix
def test_a_device_is_not_read():
    """A device is rejected as a table, because it could be endless."""
    with pytest.raises(TopologyError, match="the path is not a regular file"):
        read_source(os.devnull)


@pytest.mark.parametrize("path", ["a\0b.csv", "x" * 5000])
def test_an_impossible_path_is_reported(path):
    """If a path is invalid, the error message has a hint."""
    with pytest.raises(TopologyError, match="cannot read") as caught:
        read_source(path)
    assert caught.value.hint.startswith("check the path")
    assert "DataFrame" not in caught.value.hint


@pytest.mark.parametrize(("source", "kind"), [(None, "NoneType"), ([1], "list"), (7, "int")])
def test_other_sources_are_rejected(source, kind):
    """lyncnb rejects a source that is not a path, bytes or a table, and shows an error message."""
    with pytest.raises(
        TopologyError, match=f"cannot read a topology from an object of the type {kind}"
    ) as caught:
        read_source(source)
    assert "its content as bytes, or a DataFrame" in caught.value.hint


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    "above", ["Contoso servers", "Contoso, as of May;;\n", 'sep=X\n"Our servers"']
)
def test_a_title_above_the_headings_is_ignored_and_reported(delimiter, above):
    """lyncnb ignores a title above the headings, and adds a note about it. The row numbers in
    messages still count the lines of the title.
    """
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
    """If a cell in a file with a title is changed, the title is kept."""
    data = b"Our servers\n\nserver_fqdn,role,sip_domains,site\nse01.contoso.com,SE,contoso.com,\n"
    after, _ = edit_csv("t.csv", data, {0: {"site": "Taipei"}})
    assert after == data.replace(b"contoso.com,\n", b"contoso.com,Taipei\n")


@pytest.mark.parametrize("name", ["servers.xlsx", "servers.ods", "servers.XLSM"])
def test_random_bytes_are_not_a_workbook(tmp_path, name):
    """If a file with the extension of a workbook contains random bytes, the error is about
    workbooks, not about text.
    """
    path = tmp_path / name
    path.write_bytes(bytes(range(255, 0, -1)) * 9)
    with pytest.raises(TopologyError, match=f"{name} is neither a workbook nor text"):
        read_topology(path)
