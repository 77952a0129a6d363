"""ZIP files depend only on their content, and can be read back."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.base.disk.zip_file import Archive, BadArchive, read_zip, write_zip

NAMES = st.text("abc/._-", min_size=1, max_size=8)


@given(st.dictionaries(NAMES, st.binary(max_size=64), max_size=5))
def test_what_goes_in_comes_out(entries):
    """Contents and their order are read back, and the same contents give the same bytes."""
    data = write_zip(entries)
    assert list(read_zip(data).items()) == list(entries.items())
    assert write_zip(entries) == data


def test_a_package_is_dated_by_nobody():
    """A ZIP file contains neither the time nor the operating system of the person who creates it."""
    with zipfile.ZipFile(io.BytesIO(write_zip({"a.txt": b"a"}))) as archive:
        (entry,) = archive.infolist()
    assert (entry.date_time, entry.create_system) == ((2000, 1, 1, 0, 0, 0), 3)
    assert entry.external_attr >> 16 == 0o644


def test_parts_of_an_archive_are_found_as_workbooks_name_them():
    """Parts of an archive are found in any letter case and with either slash, and a missing part is
    reported.
    """
    archive = Archive(write_zip({"xl\\Workbook.xml": b"a" * 200_000}))
    assert archive.names == ("xl/workbook.xml",)
    assert b"".join(archive.read_pieces("/xl/workbook.xml")) == b"a" * 200_000
    with pytest.raises(BadArchive, match="does not contain xl/styles.xml"):
        next(archive.read_pieces("xl/styles.xml"))


def test_what_an_archive_unpacks_to_is_counted():
    """The sizes of all parts that are read from an archive are added up, whatever the directory of
    the archive states.
    """
    archive = Archive(write_zip({"a": b"a" * 700_000, "b": b"b" * 700_000}), max_unpacked=1_000_000)
    assert len(b"".join(archive.read_pieces("a"))) == 700_000
    with pytest.raises(BadArchive, match="extracted content of the archive is too large"):
        list(archive.read_pieces("b"))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_odd_ways_to_pack_are_refused(method):
    """An archive with an unusual compression method is rejected, because its memory use cannot be
    limited.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        made.writestr("a", b"a")
    with pytest.raises(BadArchive, match="unsupported compression method"):
        list(Archive(buffer.getvalue()).read_pieces("a"))


def test_a_list_of_contents_that_is_too_long_is_not_read():
    """The directory of an archive is not read if it is too long or truncated."""
    data = write_zip({str(n): b"" for n in range(11)})
    with pytest.raises(BadArchive, match="more than 10 entries"):
        Archive(data, max_entries=10)
    with pytest.raises(BadArchive, match="truncated"):
        Archive(data[:-1])
