"""The bytes of a ZIP file depend only on its content, and the content can be read back."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.base.disk.zip_file import Archive, BadArchive, read_zip, write_zip

NAMES = st.text("abc/._-", min_size=1, max_size=8)


@given(st.dictionaries(NAMES, st.binary(max_size=64), max_size=5))
def test_contents_are_read_back(entries):
    """The contents of a ZIP file are read back in the same order, and the same contents result in
    the same bytes.
    """
    data = write_zip(entries)
    assert list(read_zip(data).items()) == list(entries.items())
    assert write_zip(entries) == data


def test_zip_file_contains_no_time_or_system():
    """A ZIP file contains neither the current time nor the operating system of its author."""
    with zipfile.ZipFile(io.BytesIO(write_zip({"a.txt": b"a"}))) as archive:
        (entry,) = archive.infolist()
    assert (entry.date_time, entry.create_system) == ((2000, 1, 1, 0, 0, 0), 3)
    assert entry.external_attr >> 16 == 0o644


def test_files_in_an_archive_are_found_by_name():
    """lyncnb finds a file in an archive regardless of letter case and the type of slash, and
    reports a missing file.
    """
    archive = Archive(write_zip({"xl\\Workbook.xml": b"a" * 200_000}))
    assert archive.names == ("xl/workbook.xml",)
    assert b"".join(archive.read_pieces("/xl/workbook.xml")) == b"a" * 200_000
    with pytest.raises(BadArchive, match="does not contain xl/styles.xml"):
        next(archive.read_pieces("xl/styles.xml"))


def test_unpacked_sizes_are_added_up():
    """lyncnb adds up the real sizes of all files that it reads from an archive, regardless of the
    sizes in the archive's directory.
    """
    archive = Archive(write_zip({"a": b"a" * 700_000, "b": b"b" * 700_000}), max_unpacked=1_000_000)
    assert len(b"".join(archive.read_pieces("a"))) == 700_000
    with pytest.raises(BadArchive, match="extracted content of the archive is too large"):
        list(archive.read_pieces("b"))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression_methods_are_rejected(method):
    """lyncnb rejects an archive with an unusual compression method, because it cannot limit the
    memory for the decompression.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("a", b"a")
    with pytest.raises(BadArchive, match="unsupported compression method"):
        list(Archive(buffer.getvalue()).read_pieces("a"))


def test_truncated_or_oversized_archive_is_rejected():
    """lyncnb rejects a truncated archive and an archive with too many entries."""
    data = write_zip({str(n): b"" for n in range(11)})
    with pytest.raises(BadArchive, match="more than 10 entries"):
        Archive(data, max_entries=10)
    with pytest.raises(BadArchive, match="truncated"):
        Archive(data[:-1])
