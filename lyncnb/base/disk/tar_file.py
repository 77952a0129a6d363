"""Read the files of a tar archive in memory and within limits, with or without gzip.

The standard library's ``tarfile`` keeps a copy of the global pax header with every entry, so that a
malicious archive of 0.8 MB with 400 entries needs 750 MB of memory (Python 3.11). It also treats a
damaged header as the end of the archive, so that later certificates would be ignored without a
message. This module reads only names, types, and contents, needs no more memory than the archive,
and writes nothing to the disk.
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
# The types of entries that contain metadata about the next entry (pax) or the complete archive.
# lyncnb skips them, because the names in the other headers are sufficient.
_DESCRIPTIONS = (b"x", b"g", b"X", b"K")


class BadTar(ValueError):
    """The error for data that is not a complete tar archive."""


class TarEntry(NamedTuple):
    """An entry in a tar archive: its name, whether it is a regular file, and its content."""

    name: str
    is_file: bool
    data: bytes


def is_tar_archive(data: bytes) -> bool:
    """Return whether the data begins like a tar archive."""
    return data[257:262] == _MAGIC


def decompress_gzip(data: bytes, *, limit: int) -> bytes:
    """Decompress gzip data.

    Raises
    ------
    BadTar
        If the data is damaged, or decompresses to more than `limit` bytes.
    """
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, limit + 1)
    except zlib.error:
        raise BadTar("the compressed file is damaged") from None
    if len(unpacked) > limit:
        raise BadTar(f"the extracted content is larger than {limit:,} bytes")
    if not unpacker.eof:
        raise BadTar("the compressed file is truncated")
    return unpacked


def read_tar_entries(data: bytes) -> Iterator[TarEntry]:
    """Yield all entries in a tar archive except folders, in the order of the archive.

    Raises
    ------
    BadTar
        If a header is damaged, or the archive is incomplete.
    """
    offset, long_name = 0, ""
    while offset + _BLOCK <= len(data):
        header = data[offset : offset + _BLOCK]
        if not header.strip(b"\0"):
            return
        if header[257:262] != _MAGIC:
            raise BadTar(f"the archive is damaged at byte {offset:,}")
        size, kind = _parse_number(header[124:136], offset), header[156:157]
        content = data[offset + _BLOCK : offset + _BLOCK + size]
        if len(content) < size:
            raise BadTar("the archive is truncated")
        offset += _BLOCK + -(-size // _BLOCK) * _BLOCK
        if kind == _LONG_NAME:
            long_name = _decode_text(content)
        elif kind not in _DESCRIPTIONS:
            name = long_name or "/".join(
                filter(None, (_read_prefix(header), _decode_text(header[:100])))
            )
            long_name = ""
            if kind != b"5":
                yield TarEntry(name, kind in _REGULAR, content)
    if data[offset:].strip(b"\0"):
        raise BadTar("the archive is truncated")


def _read_prefix(header: bytes) -> str:
    # In old GNU archives, whose header contains "ustar  ", the prefix field contains times instead
    # of a path.
    return _decode_text(header[345:500]) if header[257:263] == b"ustar\0" else ""


def _decode_text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _parse_number(field: bytes, offset: int) -> int:
    # If a file in a tar archive is larger than 8 GB, its size is written as a number in base 256.
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0") or b"0"
    try:
        return int(digits, 8)
    except ValueError:
        raise BadTar(f"the archive is damaged at byte {offset:,}") from None
