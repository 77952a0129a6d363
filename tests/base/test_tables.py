"""Tables can be shown as a DataFrame, HTML, Markdown and text."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.base.dns_name import DnsName
from lyncnb.base.shown import tables
from lyncnb.errors import LyncnbError

HOSTILE = "<script>alert(1)</script>\" onload='x' & |"


class _Cells(HTMLParser):
    """An HTML parser that collects the text of each cell as a browser would show it, and the name
    of each tag.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self._inside = False

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "td":
            self.cells.append("")
            self._inside = True

    def handle_endtag(self, tag):
        if tag == "td":
            self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.cells[-1] += data


def _read(text: str) -> _Cells:
    parser = _Cells()
    parser.feed(text)
    parser.close()
    return parser


def test_frame_holds_plain_text():
    """By default, the columns of a DataFrame contain text without NaN. The index starts at 0."""
    frame = tables.to_frame(("Name", "Count"), [(DnsName("a.contoso.com"), 1), (None, 22)])
    assert list(frame.columns) == ["Name", "Count"]
    assert frame["Name"].tolist() == ["a.contoso.com", ""]
    assert [type(value) for value in frame["Name"].tolist()] == [str, str]
    assert frame["Count"].tolist() == ["1", "22"]
    assert frame.index.tolist() == [0, 1]


def test_frame_without_rows_keeps_its_columns():
    """If a table has no rows, its DataFrame still has the headings."""
    frame = tables.to_frame(("A", "B"), [])
    assert list(frame.columns) == ["A", "B"]
    assert len(frame) == 0


def test_frame_refuses_ragged_rows():
    """A row with the wrong number of cells raises an error, so that no cell moves to another
    column.
    """
    with pytest.raises(ValueError, match="zip"):
        tables.to_frame(("A", "B"), [("1", "2"), ("3",)])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (7, "7"),
        (("a", "b"), "a; b"),
        ("NA", "NA"),  # NA can be the name of a site.
    ],
)
def test_cell_text(value, text):
    """In a table, blank values, booleans, numbers and lists are shown as plain text."""
    assert tables.format_cell(value) == text


def test_html_escapes_cells_headings_and_caption():
    """If cells, headings or the caption of a table contain HTML, it is escaped and shown as text."""
    text = tables.rows_to_html((HOSTILE,), [(HOSTILE,)], caption=HOSTILE)
    parsed = _read(text)
    tags = {"style", "table", "caption", "thead", "tr", "th", "tbody", "td"}
    # The table contains no other tags, except for optional line breaks in long words.
    assert parsed.tags - {"wbr"} == tags
    assert parsed.cells == [HOSTILE]
    assert "onload='" not in text
    assert text.count('<th scope="col">') == 1


@given(st.text(max_size=40))
def test_html_preserves_any_text(value):
    """After the HTML of a table is parsed, each cell contains its original text."""
    parsed = _read(tables.rows_to_html(("a",), [(value,)]))
    assert parsed.tags - {"wbr"} == {"style", "table", "thead", "tr", "th", "tbody", "td"}
    # An HTML parser converts CR to a line break and drops NUL.
    assert parsed.cells == [value.replace("\x00", "")]


class Numbers(tables.Table):
    """A table with many rows of numbers."""

    def _list_headings(self):
        return ("n",)

    def _list_rows(self):
        return ((number,) for number in range(1234))

    def _summarize(self):
        return "Numbers <all>"


def test_long_table_states_how_many_rows_are_omitted():
    """A long table shows its first 200 rows and a sentence about the rows that are omitted.

    The frame has all rows, and the repr is one line.
    """
    text = Numbers()._repr_html_()
    assert text.count("<td>") == 200
    assert text.endswith("<p>This table shows only the first 200 of 1,234 rows.</p>")
    assert "<caption>Numbers &lt;all&gt;</caption>" in text
    assert Numbers().to_frame().shape == (1234, 1)
    assert repr(Numbers()) == "Numbers <all>"


def test_html_collapses_the_rows_of_a_long_table():
    """After the tenth row, an HTML table shows the number of further rows, which are in a collapsed
    section.
    """
    text = tables.rows_to_html(("n",), [(number,) for number in range(49)])
    before, after = text.split("<details")
    assert before.count("<td>") == 10
    assert '<summary class="lyncnb-rows">Show all 49 rows (39 more)</summary>' in after
    assert after.count("<td>") == 39
    assert "<details" not in tables.rows_to_html(("n",), [(1,)] * 10)


def test_html_shows_several_values_as_chips():
    """If a cell contains several names, each name is shown in a separate box, which may link to the
    reason for the name.
    """
    chip = tables.Chip('a"b', target="why-1", title="<because>")
    text = tables.rows_to_html(("Names",), [((chip, "c"),)], ids=["row-1"])
    assert '<tr id="row-1">' in text
    assert 'href="#why-1" title="&lt;because&gt;">a&quot;b</a>' in text
    assert '<span class="lyncnb-chip">c</span>' in text
    assert tables.format_cell((chip, "c")) == 'a"b; c'


def test_html_collapses_many_names():
    """If a cell contains many names, the first six are visible, and the others are in a collapsed
    section that shows their number.
    """
    text = tables.rows_to_html(("Names",), [(tuple("abcdefghijkl"),), (tuple("abcdefgh"),)])
    before, after = text.split("<details")
    assert before.count('class="lyncnb-chip"') == 6
    assert "<summary>6 more</summary>" in after
    assert after.count('class="lyncnb-chip"') == 6 + 8


def test_html_links_a_source_that_has_an_address():
    """In an HTML table, the source of a statement is a link to the section of the RFC or to the
    address.

    A document without an address stays text.
    """
    sources = "RFC 5280, section 4.2.1.6; Microsoft, other; https://example.contoso.com/a<b>"
    text = tables.rows_to_html(("Source", "Other"), [(sources, "RFC 8555")])
    assert 'href="https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.6"' in text
    assert 'href="https://example.contoso.com/a"' in text
    assert text.count("<a ") == 2
    assert "Microsoft, other" in text


@pytest.mark.parametrize("name", ["pool.contoso.com", "AudioVideoAuthentication"])
def test_html_lets_only_long_words_wrap(name):
    """In an HTML table, a long word may break after a dot or before a capital letter, but a short
    word never breaks.
    """
    text = tables.rows_to_html(("a",), [(f"lyncdiscoverinternal.{name}",), ("RSA 2048",)])
    assert "lyncdiscoverinternal.<wbr>" in text
    assert "RSA 2048" in text


def test_html_breaks_names_at_dots_where_there_are_many_columns():
    """In an HTML table with many columns, each name and heading contains optional line breaks."""
    headings = [f"column_{number:02}" for number in range(13)]
    row = ["fe01.contoso.net", "a" * 30, "RSA 2048", *[""] * 10]
    text = tables.rows_to_html(headings, [row])
    assert "fe01.<wbr>contoso.<wbr>net" in text
    assert f"{'a' * 20}<wbr>{'a' * 10}<" in text
    assert "column_<wbr>00" in text
    assert "fe01.contoso.net" in tables.rows_to_html(headings[:12], [row[:12]])


def test_html_breaks_a_thumbprint():
    """In an HTML table, a thumbprint can break, so that it leaves space for the other columns."""
    text = tables.rows_to_html(("a",), [("AB" * 20,)])
    assert f"{'AB' * 10}<wbr>{'AB' * 10}<" in text


def test_long_sentences_in_a_table_with_many_columns_are_below_the_rows():
    """In an HTML table with many columns, the texts of a column with long sentences are below the
    rows, where they have the width of the table. In a table with few columns, they stay in their
    column, as names do in every table.
    """
    headings = [f"column {number}" for number in range(9)]
    sentence = "the certificate contains no certificate policy, so lyncnb refuses it"
    sentences, names = (sentence, sentence.upper()), ["fe01.contoso.com"] * 20
    rows = [["a", sentences, names], ["c", "", names], ["d", "short", names]]
    rows = [[*row, *[""] * 6] for row in rows]
    text = tables.rows_to_html(headings, rows)
    assert text.count("<th ") == 8
    below = re.findall(r'<tr><td class="lyncnb-below" colspan="8">(.*)</td></tr>', text)
    assert [re.sub("<[^>]*>", "", line) for line in below] == [
        f"column 1: {' '.join(sentences)}",
        "column 1: short",
    ]
    assert 'lyncnb-below"' not in tables.rows_to_html(headings[:8], [row[:8] for row in rows])


def test_markdown_keeps_each_value_in_its_cell():
    """In a Markdown table, a value with pipes, line breaks, HTML or Markdown stays in its cell."""
    assert tables.to_markdown(("A|B", "C"), [("x|y\r\nz", "<b>`*_[l](u)$")]) == (
        "| A\\|B | C |\n| --- | --- |\n| x\\|y<br>z | &lt;b&gt;\\`\\*\\_\\[l\\](u)\\$ |\n"
    )


@given(st.text(max_size=30))
def test_markdown_row_is_one_line(value):
    """In a Markdown table, each row is one line, whatever characters its values contain."""
    from markdown_it import MarkdownIt

    text = tables.to_markdown(("a",), [("x" + value + "x",)])
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    assert [token.type for token in tokens].count("td_open") == 1


def test_pandas_is_imported_only_for_a_frame():
    """Importing the tables module and writing HTML does not import pandas."""
    code = (
        "import sys; from lyncnb.base.shown import frames, tables;"
        "tables.rows_to_html(('a',), [('b',)]); assert frames.convert_to_frame(1) is None;"
        "sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Servers(Numbers):
    """A table of servers with three columns."""

    def _list_headings(self):
        return ("Server", "Role", "State")

    def _list_rows(self):
        return [("fe01", "FrontEnd", "issued"), ("edge01", "Edge", "waiting")]


def test_selected_columns_are_shown_in_the_requested_order():
    """The method ``only`` selects columns of a table in the specified order, and keeps its caption.
    It raises an error for an unknown heading.
    """
    some = Servers().only("State", "Server")
    assert some.to_frame().equals(Servers().to_frame()[["State", "Server"]])
    assert repr(some) == "Numbers <all>"
    assert "<caption>Numbers &lt;all&gt;</caption>" in some._repr_html_()
    assert "Edge" not in some._repr_html_()
    with pytest.raises(LyncnbError, match='no column "Colour"'):
        some.only("Colour")
