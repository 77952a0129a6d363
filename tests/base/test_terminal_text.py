"""Tables and paragraphs on the terminal fit its width, do not split words, and align East Asian
characters.
"""

from __future__ import annotations

import pytest

from lyncnb.base.shown.terminal_text import format_table, wrap_line


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("short", 10, ["short"]),
        ("one two three four five six", 20, ["one two three four", "  five six"]),
        ("  - one two three four five", 22, ["  - one two three four", "    five"]),
        ("a eepool01-taipei.contoso.net", 20, ["a", "  eepool01-taipei.contoso.net"]),
        # Each East Asian character is two columns wide.
        (
            "台北 台北 台北 台北 台北",
            20,
            ["台北 台北 台北 台北", "  台北"],
        ),
        ("", 20, [""]),
        ("a\x1b[31mb", 20, ["a\\x1b[31mb"]),
    ],
)
def test_lines_break_only_at_spaces(text, width, lines):
    """A line of text on the terminal breaks only at spaces, and the next line has the same
    indentation.
    """
    assert wrap_line(text, width) == lines


def test_table_shares_the_width():
    """In a table on the terminal, narrow columns keep their width, wide columns share the remaining
    width, and no word is split.
    """
    rows = [("a", "one two three four", "alpha beta gamma delta")]
    assert list(format_table(("X", "Y", "Z"), rows, width=30)) == [
        "X  Y             Z",
        "a  one two       alpha beta",
        "   three four    gamma delta",
    ]


def test_wide_characters_line_up():
    """In a table on the terminal, a column after East Asian text begins at the same position in
    every line.
    """
    rows = [("台北", "RSA 2048"), ("Taipei", "RSA 4096")]
    assert list(format_table(("Site", "Key"), rows, width=30)) == [
        "Site    Key",
        "台北    RSA 2048",
        "Taipei  RSA 4096",
    ]


def test_table_that_is_too_wide_is_shown_as_paragraphs():
    """If a table does not fit on the terminal, each of its rows is shown as a paragraph without
    blank values.
    """
    rows = [("1", "eepool01.contoso.net", "", "public")]
    assert list(format_table(("No.", "Server", "Site", "Issuer"), rows, width=24)) == [
        "1: Server",
        "  eepool01.contoso.net;",
        "  Issuer public",
    ]
