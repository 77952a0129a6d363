"""Write values as PowerShell literals, and scripts for Windows PowerShell 3.0 and later.

The scripts are fixed files in this package, into which only literals are inserted. All text that
PowerShell could interpret passes through ``quote_literal``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
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

    The values in the commands already have PowerShell syntax. ``is_spread``: each command stands on
    its own line.
    """

    lines: tuple[str, ...]
    is_spread: bool = False


def format_literal(value: object) -> str:
    """Return a value in PowerShell syntax: text, number, Boolean, commands, list or table."""
    if isinstance(value, bool):
        return "$true" if value else "$false"
    if value is None:
        return "$null"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, ScriptBlock) and not value.is_spread:
        return f"{{ {'; '.join(value.lines)} }}"
    if isinstance(value, ScriptBlock):
        return _format_lines("{", value.lines, "}")
    if isinstance(value, Mapping):
        entries = (f"{quote_literal(str(key))} = {format_literal(value[key])}" for key in value)
        return f"@{{ {'; '.join(entries)} }}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"@({', '.join(map(format_literal, value))})"
    return quote_literal(str(value))


def _format_lines(opening: str, entries: Iterable[str], closing: str) -> str:
    indented = "\n".join(entries).replace("\n", "\n    ")
    return f"{opening}\n    {indented}\n{closing}" if indented else opening + closing


def _format_variable(value: object) -> str:
    """Return a value in PowerShell syntax, with each table in it on its own line."""
    if isinstance(value, Mapping):
        entries = (f"{quote_literal(str(key))} = {format_literal(value[key])}" for key in value)
        return _format_lines("@{", entries, "}")
    if isinstance(value, Sequence) and any(isinstance(entry, Mapping) for entry in value):
        return _format_lines("@(", map(format_literal, value), ")")
    return format_literal(value)


def fill_script(name: str, values: Mapping[str, object]) -> bytes:
    """Insert values into a fixed script.

    Parameters
    ----------
    name : str
        ``install`` or ``request``.
    values : Mapping
        Variables without the dollar sign, in the order in which they are to stand.

    Returns
    -------
    bytes
        UTF-8 with BOM and CRLF: Windows PowerShell 3 to 5.1 reads a script without BOM in the
        ANSI code page.
    """
    table = "\n".join(
        f"${variable} = {_format_variable(value)}" for variable, value in values.items()
    )
    return _encode(_read_script(name).replace(MARK, table))


def build_common_script() -> bytes:
    """Return the script that runs the steps of every ``install.ps1``."""
    return _encode(_read_script("lyncnb"))


@cache
def hash_common_script() -> str:
    """Return the SHA-256 of the common script, without space at its end."""
    return hashlib.sha256(_encode(_read_script("lyncnb").rstrip())[3:]).hexdigest().upper()


def _read_script(name: str) -> str:
    path = resources.files(__package__) / "scripts" / f"{name}.ps1"
    return path.read_text("utf-8").replace("\r\n", "\n")


def _encode(text: str) -> bytes:
    return b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode("utf-8")
