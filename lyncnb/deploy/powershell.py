"""Write values as PowerShell literals, and scripts for Windows PowerShell 3.0 and later.

The scripts are fixed files in this package, into which only literals are inserted. All text that
PowerShell could interpret passes through ``quote_literal``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from ..errors import PackageError

#: The line in a fixed script that lyncnb replaces with the values for the script.
MARK = "#LYNCNB-VALUES"

# The characters that PowerShell's tokenizer accepts as a single quote (CharTraits.cs).
# CodeGeneration.EscapeSingleQuotedStringContent doubles all of them.
_SINGLE_QUOTES = "'\u2018\u2019\u201a\u201b"
_DOUBLED = str.maketrans({quote_literal: quote_literal * 2 for quote_literal in _SINGLE_QUOTES})


def quote_literal(text: str) -> str:
    """Return text as a single-quoted literal, in which PowerShell expands nothing.

    Raises
    ------
    PackageError
        If the text has a control character or line break, which no name in a plan has.
    """
    if any(not c.isprintable() for c in text):
        raise PackageError(
            f"{text!r} has a line break or a control character, which PowerShell scripts cannot "
            "contain",
            hint="correct the name in the table",
        )
    return f"'{text.translate(_DOUBLED)}'"


@dataclass(frozen=True, slots=True)
class ScriptBlock:
    """A script block, whose commands PowerShell runs later.

    The values in the commands already have PowerShell syntax.
    """

    lines: tuple[str, ...]


def format_literal(value: object) -> str:
    """Return a value in PowerShell syntax: text, number, Boolean, commands, list or table."""
    if isinstance(value, bool):
        return "$true" if value else "$false"
    if value is None:
        return "$null"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, ScriptBlock) and len(value.lines) == 1:
        return f"{{ {value.lines[0]} }}"
    if isinstance(value, ScriptBlock):
        return _format_block("{", list(value.lines), "}")
    if isinstance(value, Mapping):
        entries = [
            f"{quote_literal(str(key))} = {format_literal(entry)}" for key, entry in value.items()
        ]
        return _format_block("@{", entries, "}")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _format_block("@(", [format_literal(entry) for entry in value], ")")
    return quote_literal(str(value))


def _format_block(opening: str, entries: list[str], closing: str) -> str:
    if not entries:
        return opening + closing
    indented = "\n".join(entries).replace("\n", "\n    ")
    return f"{opening}\n    {indented}\n{closing}"


def fill_script(name: str, values: Mapping[str, object]) -> bytes:
    """Insert values into a fixed script.

    Parameters
    ----------
    name : str
        ``import`` or ``request``.
    values : Mapping
        Variables without the dollar sign, in the order in which they are to stand.

    Returns
    -------
    bytes
        UTF-8 with BOM and CRLF: Windows PowerShell 3 to 5.1 reads a script without BOM in the
        ANSI code page.
    """
    body = (resources.files(__package__) / "scripts" / f"{name}.ps1").read_text("utf-8")
    table = "\n".join(
        f"${variable} = {format_literal(value)}" for variable, value in values.items()
    )
    text = body.replace(MARK, table)
    return b"\xef\xbb\xbf" + text.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8")
