"""Tables and paragraphs are shown as lines of text with a shared width, whole words and East Asian
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
        (
            "台北 台北 台北 台北 台北",
            20,
            ["台北 台北 台北 台北", "  台北"],
        ),  # East Asian characters are two columns wide.
        ("", 20, [""]),
        ("a\x1b[31mb", 20, ["a\\x1b[31mb"]),
    ],
)
def test_wrap(text, width, lines):
    """A line on the terminal breaks only at spaces, and continues with its indentation."""
    assert wrap_line(text, width) == lines


def test_table_shares_the_width():
    """Narrow columns keep their width, wide columns share the rest, and words are not split."""
    rows = [("a", "one two three four", "alpha beta gamma delta")]
    assert list(format_table(("X", "Y", "Z"), rows, width=30)) == [
        "X  Y             Z",
        "a  one two       alpha beta",
        "   three four    gamma delta",
    ]


def test_wide_characters_line_up():
    """A column after East Asian text begins at the same position in every line."""
    rows = [("台北", "RSA 2048"), ("Taipei", "RSA 4096")]
    assert list(format_table(("Site", "Key"), rows, width=30)) == [
        "Site    Key",
        "台北    RSA 2048",
        "Taipei  RSA 4096",
    ]


def test_a_table_that_is_too_narrow_keeps_its_words():
    """If the longest words do not fit into a table on the terminal, each row is a paragraph without
    blank values.
    """
    rows = [("1", "eepool01.contoso.net", "", "public")]
    assert list(format_table(("No.", "Server", "Site", "Issuer"), rows, width=24)) == [
        "1: Server",
        "  eepool01.contoso.net;",
        "  Issuer public",
    ]
