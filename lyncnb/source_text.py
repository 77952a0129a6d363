"""A file to text: its size, its format, its encoding. Refuses what is no text table."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .base.pasted_text import shown
from .errors import TopologyError

#: A file of this size or more is refused before it is read (bytes).
MAX_BYTES = 200_000_000

_SAVE_AS = 'in Excel choose File, Save As, "CSV UTF-8 (Comma delimited)"'
_GIVE_A_PATH = "give the path of a topology table, e.g. data/contoso.csv, its bytes or a DataFrame"

# What begins like this is no text; each with the name that planners know it by.
_OTHER_FORMATS = (
    (b"PK\x03\x04", "an Excel workbook (.xlsx) or another ZIP archive", _SAVE_AS),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", _SAVE_AS),
    (b"%PDF", "a PDF document", "export the table as CSV"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"<", "an XML or HTML document", "make a table of it with: lyncnb convert FILE OUT.csv"),
)


def load(source: str | os.PathLike | bytes) -> tuple[str, bytes]:
    """Get a table's bytes.

    Parameters
    ----------
    source : path or bytes
        At most ``MAX_BYTES``.

    Returns
    -------
    tuple of str and bytes
        A name for messages, and what is in it.

    Raises
    ------
    TopologyError
        If there is no such file, it cannot be read, is too large, empty, or another format.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        name, data = "table", bytes(source)
        _refuse_size(name, len(data))
    else:
        name, data = _read(source)
    start = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    for magic, kind, hint in _OTHER_FORMATS:
        if start.startswith(magic):
            raise TopologyError(f"{name} is {kind}, not CSV text", hint=hint)
    return name, data


def decode(name: str, data: bytes) -> tuple[str, bool]:
    """Decode by BOM, then strict UTF-8, then cp950; latin-1 would take anything for text.

    Returns
    -------
    tuple of str and bool
        The text without BOM, and whether it was taken for cp950, which is a guess.

    Raises
    ------
    TopologyError
        If it is none of them.
    """
    encoding = "utf-8-sig"
    # A heading has ASCII letters or commas near its start, so UTF-16 without BOM shows at once.
    if data[:2] == b"\xff\xfe" or data[1:2] == b"\0":
        encoding = "utf-16-le"
    elif data[:2] == b"\xfe\xff" or data[:1] == b"\0":
        encoding = "utf-16-be"
    try:
        return data.decode(encoding).removeprefix("\ufeff"), False
    except UnicodeDecodeError as error:
        place = error.start
    if encoding == "utf-8-sig" and not data.startswith(b"\xef\xbb\xbf"):
        try:
            return data.decode("cp950"), True
        except UnicodeDecodeError:
            pass  # then the byte that is not UTF-8 is what to tell
    line = data.count(b"\n", 0, place) + 1
    kind = "UTF-16" if encoding != "utf-8-sig" else "UTF-8"
    raise TopologyError(
        f"{name} is no {kind} text: byte 0x{data[place]:02x} in line {line}", hint=_SAVE_AS
    )


def _read(source: str | os.PathLike) -> tuple[str, bytes]:
    if not isinstance(source, (str, os.PathLike)):
        raise TopologyError(f"cannot read a {type(source).__name__}", hint=_GIVE_A_PATH)
    path = Path(source)
    try:
        facts = path.stat()
        if stat.S_ISREG(facts.st_mode):
            _refuse_size(path.name, facts.st_size)
            return path.name, path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise TopologyError(
            f"cannot read {shown(str(path))}: {reason}", hint=_GIVE_A_PATH
        ) from None
    kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "no regular file"
    raise TopologyError(f"cannot read {shown(str(path))}: it is {kind}", hint=_GIVE_A_PATH)


def _refuse_size(name: str, size: int) -> None:
    if size >= MAX_BYTES:
        raise TopologyError(
            f"{name} is {size / 1e6:,.0f} MB; a table of {MAX_BYTES / 1e6:,.0f} MB or more "
            "is not read",
            hint="a server takes about 200 bytes; is this the right file?",
        )
    if size == 0:
        raise TopologyError(f"{name} is empty", hint="export the table again")
