"""Tables as lines of text: shared room, whole words, East Asian letters."""

from __future__ import annotations

import pytest

from lyncnb.base.shown.text_table import table_lines, wrap


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("short", 10, ["short"]),
        ("one two three", 7, ["one two", "three"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("ab abcdefgh", 4, ["ab", "abcd", "efgh"]),
        ("台北台北", 4, ["台北", "台北"]),  # two columns each
        ("", 4, [""]),
    ],
)
def test_wrap(text, width, lines):
    """Text breaks at blanks, and inside a word only where nothing else helps."""
    assert wrap(text, width) == lines


def test_table_shares_the_room():
    """Narrow columns stay whole, wide ones share the rest, and words are not broken."""
    rows = [("a", "one two three four", "alpha beta gamma delta")]
    assert table_lines(("X", "Y", "Z"), rows, width=30) == [
        "X  Y             Z",
        "-  ------------  -------------",
        "a  one two       alpha beta",
        "   three four    gamma delta",
    ]
    assert table_lines(("X", "Y", "Z"), rows, width=None, is_ruled=False)[1:] == [
        "a  one two three four  alpha beta gamma delta"
    ]


def test_one_long_cell_does_not_widen_every_line():
    """Into a pipe a long cell runs over its column; the other lines stay short."""
    rows = [("x" * 10_000, "b"), ("a", "b")]
    lines = table_lines(("X", "Y"), rows, width=None)
    assert lines[2] == "x" * 10_000 + "  b"
    assert lines[3] == "a" + " " * 65 + "b"
