"""Values as PowerShell literals, and scripts as Windows PowerShell 3.0 reads them.

The scripts are fixed files in this package; only literals are inserted. Everything that
PowerShell could interpret passes through ``quote``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from ..errors import PackageError

#: The line of a fixed script that is replaced with its values.
MARK = "#LYNCNB-VALUES"

# PowerShell's tokenizer takes all of these for a single quote (CharTraits.cs); its own
# CodeGeneration.EscapeSingleQuotedStringContent doubles them all.
_SINGLE_QUOTES = "'\u2018\u2019\u201a\u201b"
_DOUBLED = str.maketrans({quote: quote * 2 for quote in _SINGLE_QUOTES})


def quote(text: str) -> str:
    """Write text as a single-quoted literal, in which PowerShell expands nothing.

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
    """Commands to be run later, in braces; their values are literals already."""

    lines: tuple[str, ...]


def literal(value: object) -> str:
    """Write a value as PowerShell: text, number, yes or no, commands, list or table."""
    if isinstance(value, bool):
        return "$true" if value else "$false"
    if value is None:
        return "$null"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, ScriptBlock) and len(value.lines) == 1:
        return f"{{ {value.lines[0]} }}"
    if isinstance(value, ScriptBlock):
        return _block("{", list(value.lines), "}")
    if isinstance(value, Mapping):
        entries = [f"{quote(str(key))} = {literal(entry)}" for key, entry in value.items()]
        return _block("@{", entries, "}")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _block("@(", [literal(entry) for entry in value], ")")
    return quote(str(value))


def _block(opening: str, entries: list[str], closing: str) -> str:
    if not entries:
        return opening + closing
    indented = "\n".join(entries).replace("\n", "\n    ")
    return f"{opening}\n    {indented}\n{closing}"


def script(name: str, values: Mapping[str, object]) -> bytes:
    """Put values into a fixed script.

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
    table = "\n".join(f"${variable} = {literal(value)}" for variable, value in values.items())
    text = body.replace(MARK, table)
    return b"\xef\xbb\xbf" + text.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8")
