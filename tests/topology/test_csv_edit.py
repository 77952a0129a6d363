"""lyncnb can change single cells in a CSV file, and keeps all other bytes."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lyncnb.errors import TopologyError
from lyncnb.topology.csv_edit import edit_csv
from lyncnb.topology.topology import read_topology

ROWS = [
    ["Server", "Role", "Site", "sip_domains", "rack"],
    ["se01.contoso.com", "StandardEdition", "臺北", "contoso.com", "A;1"],
    ["med01.contoso.com", "Mediation", "臺北", "", 'say "hi", twice'],
]
CHANGES = {1: {"site": "新竹"}, 0: {"sip_domains": "contoso.com;fabrikam.com"}}


def write_csv(delimiter=",", end="\r\n", quoting=csv.QUOTE_MINIMAL, rows=ROWS):
    """Return a table of servers as CSV text."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp950"])
@pytest.mark.parametrize(
    ("first", "delimiter", "end", "quoting"),
    [
        ("", ",", "\r\n", csv.QUOTE_MINIMAL),
        ("sep=;\r\n", ";", "\r\n", csv.QUOTE_MINIMAL),
        ("", "\t", "\n", csv.QUOTE_MINIMAL),
        # Export-Csv in PowerShell also quotes all values.
        ("", ",", "\n", csv.QUOTE_ALL),
        ("", ",", "\r", csv.QUOTE_MINIMAL),
    ],
)
def test_a_file_keeps_encoding_separator_columns_and_line_ends(
    encoding, first, delimiter, end, quoting
):
    """If a user changes cells, the file keeps its encoding, its separators, its line endings, and
    all bytes outside these cells.
    """
    data = (first + write_csv(delimiter, end, quoting)).encode(encoding)
    after, changes = edit_csv("t.csv", data, CHANGES)
    expected = [list(row) for row in ROWS]
    expected[2][2], expected[1][3] = "新竹", "contoso.com;fabrikam.com"
    assert after == (first + write_csv(delimiter, end, quoting, expected)).encode(encoding)
    assert [(change.row - bool(first), change.column, change.after) for change in changes] == [
        (2, "sip_domains", "contoso.com;fabrikam.com"),
        (3, "site", "新竹"),
    ]


def test_blank_rows_and_unusual_formatting_are_kept():
    """An edit of a CSV file counts blank rows like a spreadsheet program, and does not change
    unusual formatting.
    """
    data = b'\xef\xbb\xbf\r\nserver_fqdn,"role",sip_domains,,\r\n\r\nse01.contoso.com,"SE",contoso.com,,\r\n,,,,\r\nmed01.contoso.com,Mediation,,,'
    after, changes = edit_csv(
        "t.csv", data, {1: {"role": "PersistentChat"}, 0: {"role": "FrontEnd"}}
    )
    assert after == data.replace(b'"SE"', b'"FrontEnd"').replace(b"Mediation", b"PersistentChat")
    assert [str(change) for change in changes] == [
        'row 4, column role: "SE" changed to "FrontEnd"',
        'row 6, column role: "Mediation" changed to "PersistentChat"',
    ]


def test_a_known_column_that_is_missing_is_added():
    """If a fix needs a column that the file lacks, lyncnb adds the column at the end of every row,
    and keeps line endings and quotation marks.
    """
    data = b'server_fqdn;role;"sip_domains"\r\nfe01.a.net;FrontEnd;"a.com"\r\n\r\nfe02.a.net;FrontEnd\r\nrp.a.net;ReverseProxy;'
    new = {0: {"dialin_url": "https://dialin.a.com", "meet_urls": "https://meet.a.com;https://b"}}
    after, changes = edit_csv("t.csv", data, new)
    assert after == (
        b'server_fqdn;role;"sip_domains";dialin_url;meet_urls\r\n'
        b'fe01.a.net;FrontEnd;"a.com";https://dialin.a.com;"https://meet.a.com;https://b"\r\n\r\n'
        b"fe02.a.net;FrontEnd;;;\r\nrp.a.net;ReverseProxy;;;"
    )
    assert [(change.row, change.column, change.before) for change in changes] == [
        (2, "dialin_url", ""),
        (2, "meet_urls", ""),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({0: {"no_such": "x"}}, "row 2 in t.csv has no column no_such"),
        ({7: {"site": "x"}}, "t.csv does not contain every row that you want to change"),
    ],
)
def test_missing_rows_and_columns_are_reported(changes, message):
    """If a row or column to change is not in the CSV file, the error message identifies it."""
    with pytest.raises(TopologyError, match=message):
        edit_csv("t.csv", write_csv().encode(), changes)


def test_a_character_that_the_encoding_lacks_is_refused():
    """If the encoding of the file does not contain a character of the new text, the change is
    rejected, and nothing is written.
    """
    with pytest.raises(
        TopologyError,
        match="t.csv has the encoding cp950, which cannot represent all the new characters",
    ):
        edit_csv("t.csv", write_csv().encode("cp950"), {0: {"site": "Kraków"}})


TEXT = st.text(st.sampled_from('ab ,;"|\t臺'), max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=5),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n"]),
    st.data(),
)
def test_any_text_can_be_written_to_a_cell(cells, delimiter, end, data):
    """If any new text is written to a cell, it can be read back, and the rest of the file does not
    change.
    """
    rows = [["server_fqdn", "role", "a", "b", "c"]]
    rows += [[f"s{n}.contoso.com", "FrontEnd", *row] for n, row in enumerate(cells)]
    table = write_csv(delimiter, end, rows=rows).encode()
    index = data.draw(st.integers(0, len(cells) - 1))
    text = data.draw(TEXT)
    after, _ = edit_csv("t.csv", table, {index: {"b": text}})
    rows[index + 1][3] = text
    reread = list(csv.reader(io.StringIO(after.decode(), newline=""), delimiter=delimiter))
    assert reread == rows
    before_lines, after_lines = (part.split(end.encode()) for part in (table, after))
    changed = [a != b for a, b in zip(before_lines, after_lines, strict=True)]
    assert sum(changed) <= 1


def test_a_changed_file_equals_the_changed_topology():
    """If the same change is made in a topology and in its file, the changed file contains the
    changed topology.
    """
    data = write_csv().encode("utf-8-sig")
    topology = read_topology(data)
    after, _ = edit_csv("t.csv", data, CHANGES)
    assert read_topology(after).cells == topology.with_cells(CHANGES).cells
