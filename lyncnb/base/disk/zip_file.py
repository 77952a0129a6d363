"""Write a reproducible ZIP archive, and read one from elsewhere within limits."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping

# A fixed date, so that the same files give the same bytes.
_CREATED = (2000, 1, 1, 0, 0, 0)


def to_zip(entries: Mapping[str, bytes]) -> bytes:
    """Pack files.

    Parameters
    ----------
    entries : mapping of str to bytes
        n contents by their paths in the package, in the order to write them.

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
    """Unpack a package of lyncnb, for example one that a library wrote with today's date.

    Returns
    -------
    dict
        Contents by path, in the order of the package.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


# --- A ZIP archive from elsewhere.

_END_BYTES, _CENTRAL_ENTRY_BYTES = 22, 46
#: The errors of the standard library for a damaged, encrypted or unusual archive.
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

#: A part that is not small and unpacks to more than this many times its size is a bomb.
_MAX_RATIO, _SMALL = 200, 1_000_000
_PIECE = 1 << 16


class BadArchive(ValueError):
    """An archive that cannot or should not be read; its text has the reason."""


def contents_trouble(data: bytes, most: int) -> str:
    """Return why an archive's list of contents should not be read; "" if it should.

    ``zipfile`` creates an object for every entry at once. Two million entries in 100 MB would use
    up the memory of a computer. So lyncnb checks the end record first (APPNOTE.TXT 4.3.16).

    Parameters
    ----------
    data : bytes
        The archive.
    most : int
        The maximum number of entries.
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
    """Return what is wrong with an archive, in plain English."""
    text = str(error)
    if "CRC" in text:
        return "its checksum is wrong"
    if "password" in text:
        return "it is encrypted"
    return "its content cannot be unpacked" if isinstance(error, zlib.error) else "it is not whole"


class Archive:
    """A ZIP archive from elsewhere. It unpacks its parts in pieces and counts the bytes.

    Parameters
    ----------
    data : bytes
        The archive.
    max_entries : int, optional
        The maximum number of parts.
    max_unpacked : int, optional
        The maximum total size of all parts that are read, in bytes.

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
        # Some programs write backslashes, and names of parts ignore letter case (ECMA-376 part 2,
        # section 6.2.2.3).
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
            If the part is missing, damaged, encrypted, a bomb or packed in an unusual way, or if
            the total size is too large.
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
