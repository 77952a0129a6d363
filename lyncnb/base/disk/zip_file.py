"""Files to a ZIP that depends on nothing but them, and a ZIP of elsewhere read within bounds."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping

# ZIP knows no earlier year.
_CREATED = (2000, 1, 1, 0, 0, 0)


def to_zip(entries: Mapping[str, bytes]) -> bytes:
    """Pack files.

    Parameters
    ----------
    entries : mapping of str to bytes
        n contents by path inside the package, written in the mapping's order.

    Returns
    -------
    bytes
        The same entries give the same bytes, on every system.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            entry = zipfile.ZipInfo(name, _CREATED)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def from_zip(data: bytes) -> dict[str, bytes]:
    """Unpack a package of our own, e.g. one that a library has dated today.

    Returns
    -------
    dict
        Contents by path, in the order of the package.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


# --- A ZIP of elsewhere.

_END_BYTES, _CENTRAL_ENTRY_BYTES = 22, 46
#: What the standard library raises at an archive that is damaged, encrypted or of an odd kind.
READ_ERRORS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)

#: A part that unpacks to more than so many times its size is a bomb, if it is not small.
_MAX_RATIO, _SMALL = 200, 1_000_000
_PIECE = 1 << 16


class BadArchive(ValueError):
    """An archive that cannot be read, or should not be; its text says why."""


def contents_trouble(data: bytes, most: int) -> str:
    """Say why an archive's list of contents should not even be read, or nothing.

    ``zipfile`` builds an object for every entry at once; two million of them, in 100 MB, would
    cost the memory of a machine. Hence a look at the end record first (APPNOTE.TXT 4.3.16).

    Parameters
    ----------
    data : bytes
        The archive.
    most : int
        How many entries it may have.
    """
    place = data.rfind(b"PK\x05\x06")
    if place < 0 or len(data) - place < _END_BYTES:
        return "the archive is truncated"
    entries = int.from_bytes(data[place + 10 : place + 12], "little")
    size = int.from_bytes(data[place + 12 : place + 16], "little")
    if data[max(place - 20, 0) : place].startswith(b"PK\x06\x07") or size == 0xFFFFFFFF:
        return "the archive is a ZIP64 one, for more than 4 GB"
    if entries > most or size > most * 10 * _CENTRAL_ENTRY_BYTES:
        return f"the archive has more than {most:,} entries"
    return ""


def archive_reason(error: Exception) -> str:
    """Say what is wrong with an archive, without the library's way to say so."""
    text = str(error)
    if "CRC" in text:
        return "its checksum is wrong"
    if "password" in text:
        return "it is encrypted"
    return "its content cannot be unpacked" if isinstance(error, zlib.error) else "it is not whole"


class Archive:
    """A ZIP of elsewhere, whose parts are unpacked a piece at a time and counted.

    Parameters
    ----------
    data : bytes
        The archive.
    max_entries : int, optional
        How many parts it may have.
    max_unpacked : int, optional
        How many bytes all parts that are read may have together.

    Raises
    ------
    BadArchive
        If its list of contents cannot be read, or is too long.
    """

    def __init__(self, data: bytes, *, max_entries: int = 10_000, max_unpacked: int = 200_000_000):
        self._left = max_unpacked
        trouble = contents_trouble(data, max_entries)
        if trouble:
            raise BadArchive(trouble)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except READ_ERRORS as error:
            raise BadArchive(f"the archive is damaged: {archive_reason(error)}") from None
        # Some write backslashes, and names of parts are the same in any letter case (ECMA-376
        # part 2, section 6.2.2.3).
        self._parts = {_key(entry.filename): entry for entry in self._zip.infolist()}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its parts, in lower case and with slashes."""
        return tuple(self._parts)

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._parts

    def pieces(self, name: str) -> Iterator[bytes]:
        """Unpack a part.

        Yields
        ------
        bytes
            At most 64 KiB at a time.

        Raises
        ------
        BadArchive
            If there is no such part, it is damaged, encrypted, a bomb or oddly packed, or too
            much is unpacked.
        """
        entry = self._parts.get(_key(name))
        if entry is None:
            raise BadArchive(f"{name} is missing in it")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadArchive("a part of it is compressed in an unusual way")
        if entry.file_size > max(_SMALL, _MAX_RATIO * max(entry.compress_size, 1)):
            raise BadArchive(f"a part of it unpacks to more than {_MAX_RATIO} times its size")
        try:
            with self._zip.open(entry) as file:
                while piece := file.read(_PIECE):
                    self._left -= len(piece)
                    if self._left < 0:
                        raise BadArchive("its unpacked content is too large")
                    yield piece
        except BadArchive:
            raise
        except READ_ERRORS as error:
            raise BadArchive(f"a part of it is damaged: {archive_reason(error)}") from None


def _key(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").casefold()
