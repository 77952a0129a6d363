"""Tables as lines of plain text, for a terminal. Knows no certificates.

Names come from other people's files, so nothing that a terminal would obey stands in a line.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from .tables import cell_text

_GAP = "  "

# Without a terminal a longer cell runs over its column, lest every line be as long as the longest.
_WIDEST = 64


def printable(text: str) -> str:
    r"""Replace what a terminal would obey: escape sequences, other controls, text direction.

    Returns
    -------
    str
        The text with such characters as ``\x1b`` or ``\u202e``; line breaks and tabs stay.
    """
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(
        character
        if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def table_lines(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    width: int | None,
    is_ruled: bool = True,
) -> list[str]:
    """Lay out a table as lines of text.

    Parameters
    ----------
    columns : sequence of str
        m headings.
    rows : sequence of sequences
        n rows of m values.
    width : int or None
        Characters to fit in; None for no limit, one line per row.
    is_ruled : bool, optional
        Whether a line of hyphens stands below the headings.

    Returns
    -------
    list of str
        Lines without trailing blanks. If the columns cannot be so narrow without breaking a
        word, each row is a block of one line per value instead: host names must stay whole to
        be read and copied.
    """
    cells = [[printable(cell_text(value)).replace("\n", " ") for value in row] for row in rows]
    by_column = list(zip(columns, *cells, strict=True))
    widths = [max(map(display_width, column)) for column in by_column]
    if width is not None:
        fitted = _fitted(
            widths,
            [_longest_word(column) for column in by_column],
            width - len(_GAP) * (len(columns) - 1),
        )
        if fitted is None:
            return _blocks(columns, cells, width)
        widths = fitted
    else:
        widths = [min(column, _WIDEST) for column in widths]
    whole = width is None
    lines = _row_lines(columns, widths, whole=whole)
    if is_ruled:
        lines.append(_GAP.join("-" * column for column in widths))
    for row in cells:
        lines.extend(_row_lines(row, widths, whole=whole))
    return lines


def _longest_word(texts: Iterable[str]) -> int:
    return max((display_width(word) for text in texts for word in text.split(" ")), default=0)


def _fitted(wanted: Sequence[int], least: Sequence[int], room: int) -> list[int] | None:
    """Share the room among the columns; None if not even every longest word fits."""
    widths = list(least)
    spare = room - sum(widths)
    if spare < 0:
        return None
    # Columns that need little get it all; the rest goes in equal parts to the wide ones.
    needs = sorted(range(len(widths)), key=lambda place: wanted[place] - least[place])
    for left, place in zip(range(len(needs), 0, -1), needs, strict=True):
        more = min(wanted[place] - least[place], spare // left)
        widths[place] += more
        spare -= more
    return widths


def display_width(text: str) -> int:
    """Count the columns that a text takes on a terminal; East Asian wide characters take two."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(character)
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )


def _row_lines(row: Sequence[str], widths: Sequence[int], *, whole: bool) -> list[str]:
    wrapped = [[cell] if whole else wrap(cell, width) for cell, width in zip(row, widths)]
    height = max(map(len, wrapped))
    lines = []
    for number in range(height):
        parts = [
            (cell[number] if number < len(cell) else "", width)
            for cell, width in zip(wrapped, widths, strict=True)
        ]
        padded = (text + " " * (width - display_width(text)) for text, width in parts)
        lines.append(_GAP.join(padded).rstrip())
    return lines


def wrap(text: str, width: int) -> list[str]:
    """Break a text into lines of at most so many columns, at blanks where it can.

    Returns
    -------
    list of str
        At least one line.
    """
    if display_width(text) <= width:
        return [text]
    lines, line = [], ""
    for word in text.split(" "):
        candidate = f"{line} {word}" if line else word
        if display_width(candidate) <= width:
            line = candidate
            continue
        if line:
            lines.append(line)
        *whole, line = _chopped(word, width)
        lines.extend(whole)
    lines.append(line)
    return lines


def _chopped(word: str, width: int) -> list[str]:
    parts, part, used = [], "", 0
    for character in word:
        columns = display_width(character)
        if part and used + columns > width:
            parts.append(part)
            part, used = "", 0
        part, used = part + character, used + columns
    return [*parts, part]


def _blocks(columns: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[str]:
    label = max(map(display_width, columns)) + len(_GAP)
    # Where a name fits only below its heading, all values go there.
    below = _longest_word(cell for row in cells for cell in row) > width - label
    indent = " " * (len(_GAP) if below else label)
    lines: list[str] = []
    for row in cells:
        for heading, cell in zip(columns, row, strict=True):
            if not cell:
                continue
            first, *rest = wrap(cell, max(width - len(indent), 20))
            if below:
                lines += [heading, indent + first]
            else:
                lines.append(heading + " " * (label - display_width(heading)) + first)
            lines.extend(indent + line for line in rest)
        lines.append("")
    return lines[:-1]
