"""Write reproducible ZIP archives, and read ZIP archives from other sources within limits."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping

# The date of all files in an archive. Because it is fixed, the same files result in the same bytes.
_CREATED = (2000, 1, 1, 0, 0, 0)


def write_zip(entries: Mapping[str, bytes]) -> bytes:
    """Create a ZIP archive from files.

    Parameters
    ----------
    entries : mapping of str to bytes
        The content of n files by their paths in the archive, in the order in which to write them.

    Returns
    -------
    bytes
        The archive. The same files result in the same bytes on every system.
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


def read_zip(data: bytes) -> dict[str, bytes]:
    """Unpack a ZIP archive that lyncnb or one of its libraries created.

    Returns
    -------
    dict
        The content of each file by its path, in the order in the archive.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


# --- The following functions read a ZIP archive from another source.

_END_BYTES, _CENTRAL_ENTRY_BYTES = 22, 46
#: The errors that the standard library raises for a damaged, encrypted, or unsupported archive.
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

#: The largest compression ratio of a file in an archive, and the size up to which a file can have
#: any ratio.
_MAX_RATIO, _SMALL = 200, 1_000_000
_PIECE = 1 << 16


class BadArchive(ValueError):
    """The error for an archive that lyncnb cannot read or must reject. It contains the reason."""


def find_archive_problem(data: bytes, max_size: int) -> str:
    """Return the reason to reject a ZIP archive because of its list of entries, or "".

    ``zipfile`` creates an object for every entry. Two million entries in 100 MB would need all the
    memory of a computer. lyncnb therefore checks the end record first (APPNOTE.TXT 4.3.16).

    Parameters
    ----------
    data : bytes
        The archive.
    max_size : int
        The maximum number of entries.
    """
    offset = data.rfind(b"PK\x05\x06")
    if offset < 0 or len(data) - offset < _END_BYTES:
        return "the archive is truncated"
    entries = int.from_bytes(data[offset + 10 : offset + 12], "little")
    size = int.from_bytes(data[offset + 12 : offset + 16], "little")
    if data[max(offset - 20, 0) : offset].startswith(b"PK\x06\x07") or size == 0xFFFFFFFF:
        return "the archive uses ZIP64, the format for archives larger than 4 GB"
    if entries > max_size or size > max_size * 10 * _CENTRAL_ENTRY_BYTES:
        return f"the archive has more than {max_size:,} entries"
    return ""


def describe_archive_problem(error: Exception) -> str:
    """Return a sentence that explains why an archive cannot be read."""
    text = str(error)
    if "CRC" in text:
        return "the checksum is wrong"
    if "password" in text:
        return "the archive is encrypted"
    return (
        "the archive's content cannot be extracted"
        if isinstance(error, zlib.error)
        else "the archive's content is incomplete"
    )


class Archive:
    """A ZIP archive from another source. It is unpacked in pieces, within a size limit.

    Parameters
    ----------
    data : bytes
        The archive.
    max_entries : int, optional
        The maximum number of files in the archive.
    max_unpacked : int, optional
        The maximum total size of all files that are read, in bytes.

    Raises
    ------
    BadArchive
        If the list of entries cannot be read, or is too long.
    """

    def __init__(self, data: bytes, *, max_entries: int = 10_000, max_unpacked: int = 200_000_000):
        self._left = max_unpacked
        trouble = find_archive_problem(data, max_entries)
        if trouble:
            raise BadArchive(trouble)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except READ_ERRORS as error:
            raise BadArchive(f"the archive is damaged: {describe_archive_problem(error)}") from None
        # Some programs write backslashes in the paths of files, and letter case does not matter in
        # these paths (ECMA-376 part 2, section 6.2.2.3).
        self._parts = {_normalize_path(entry.filename): entry for entry in self._zip.infolist()}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the files in the archive, in lowercase and with slashes."""
        return tuple(self._parts)

    def __contains__(self, name: str) -> bool:
        return _normalize_path(name) in self._parts

    def read_pieces(self, name: str) -> Iterator[bytes]:
        """Unpack a file in the archive in pieces.

        Yields
        ------
        bytes
            Pieces of at most 64 KiB.

        Raises
        ------
        BadArchive
            If the file is missing, damaged, or encrypted, or uses an unsupported compression
            method.
            Also if the file or the total size is too large.
        """
        entry = self._parts.get(_normalize_path(name))
        if entry is None:
            raise BadArchive(f"the archive does not contain {name}")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadArchive("a file in the archive uses an unsupported compression method")
        if entry.file_size > max(_SMALL, _MAX_RATIO * max(entry.compress_size, 1)):
            raise BadArchive(
                f"an extracted file in the archive is more than {_MAX_RATIO} times as large as "
                "the compressed file"
            )
        try:
            with self._zip.open(entry) as file:
                while piece := file.read(_PIECE):
                    self._left -= len(piece)
                    if self._left < 0:
                        raise BadArchive("the extracted content of the archive is too large")
                    yield piece
        except BadArchive:
            raise
        except READ_ERRORS as error:
            raise BadArchive(
                f"a file in the archive is damaged: {describe_archive_problem(error)}"
            ) from None


def _normalize_path(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").casefold()
