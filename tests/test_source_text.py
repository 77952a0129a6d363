"""A file to text: size, format, encoding."""

from __future__ import annotations

import io
import os
import re
import sys
import zipfile

import pytest

from lyncnb.errors import TopologyError
from lyncnb.source_text import MAX_BYTES, decode, load

TEXT = "伺服器,角色\nfe01.contoso.net,FrontEnd\n"


def xlsx() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "is_cp950"),
    [
        (TEXT.encode("utf-8"), False),
        (TEXT.encode("utf-8-sig"), False),
        (TEXT.encode("utf-16"), False),
        (b"\xff\xfe" + TEXT.encode("utf-16-le"), False),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), False),
        (TEXT.encode("cp950"), True),
    ],
)
def test_encodings_are_told_apart(data, is_cp950):
    """The same text comes out of UTF-8, UTF-16 and cp950, and only cp950 is a guess."""
    assert decode("contoso.csv", data) == (TEXT, is_cp950)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_shows_at_once(encoding):
    """UTF-16 is known by the zero bytes of an ASCII heading."""
    assert decode("contoso.csv", "fqdn;role\n".encode(encoding)) == ("fqdn;role\n", False)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        # "München" as latin-1 has it.
        (b"server_fqdn,role\nM\xfcnchen", "is no UTF-8 text: byte 0xfc in line 2"),
        (b"\xff\xfef\0q", "is no UTF-16 text: byte 0x71 in line 1"),
        (b"server_fqdn,role\n\xff,\xff\n", "is no UTF-8 text: byte 0xff in line 2"),
        # A UTF-8 file that was cut in the middle of a character.
        (b"\xef\xbb\xbfserver_fqdn,\xe4\xbc", "is no UTF-8 text"),
    ],
)
def test_bytes_that_are_no_text_are_refused(data, message):
    """Bytes of no known encoding are refused with their line, never read as latin-1."""
    with pytest.raises(TopologyError, match=message) as caught:
        decode("contoso.csv", data)
    assert "CSV UTF-8" in caught.value.hint


@pytest.mark.parametrize(
    ("data", "message", "hint"),
    [
        (xlsx(), "is an Excel workbook (.xlsx) or another ZIP archive, not CSV", "CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls)", "Save As"),
        (b"%PDF-1.7", "is a PDF document", "export the table as CSV"),
        (b"\x1f\x8b\x08", "is a gzip archive", "unpack it"),
        (b"<?xml version='1.0'?>", "is an XML or HTML document", "lyncnb convert FILE OUT.csv"),
        (b"\xef\xbb\xbf\n<Topology/>", "is an XML or HTML document", "lyncnb convert"),
        (b"", "is empty", "export the table again"),
    ],
)
def test_other_formats_are_recognised(tmp_path, data, message, hint):
    """A file of another format under the name of a CSV is recognised, and it is said so."""
    path = tmp_path / "contoso.csv"
    path.write_bytes(data)
    with pytest.raises(TopologyError, match=re.escape(message)) as caught:
        load(path)
    assert hint in caught.value.hint
    assert str(caught.value).startswith("contoso.csv ")


def test_bytes_are_taken_as_they_are():
    """A table may come as bytes; messages call it a table."""
    assert load(b"server_fqdn,role") == ("table", b"server_fqdn,role")
    assert load(bytearray(b"fqdn")) == ("table", b"fqdn")


def test_a_path_may_be_text(tmp_path):
    """A path may be a string or a Path; messages have the file's name."""
    path = tmp_path / "contoso.csv"
    path.write_bytes(b"fqdn")
    assert load(path) == load(str(path)) == ("contoso.csv", b"fqdn")


def test_a_file_of_200_mb_is_refused_before_it_is_read(tmp_path):
    """A huge file is refused by its size alone: this one is a hole without any data."""
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES)
    with pytest.raises(TopologyError, match="huge.csv is 200 MB; a table of 200 MB or more") as e:
        load(path)
    assert "is this the right file" in e.value.hint


def test_a_missing_file_is_told(tmp_path, monkeypatch):
    """A path that leads nowhere is named, with what a path should be."""
    monkeypatch.chdir(tmp_path)  # a long path is shortened in a message
    path = "nowhere.csv"
    with pytest.raises(TopologyError, match=r'nowhere\.csv": No such file or directory') as caught:
        load(path)
    assert "data/contoso.csv" in caught.value.hint


def test_a_folder_is_no_table(tmp_path):
    """A folder is named as one."""
    with pytest.raises(TopologyError, match="it is a folder"):
        load(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_a_device_is_not_read():
    """What never ends is not begun."""
    with pytest.raises(TopologyError, match="it is no regular file"):
        load(os.devnull)


@pytest.mark.parametrize("path", ["a\0b.csv", "x" * 5000])
def test_an_impossible_path_is_told(path):
    """A path that no file can have is an error like any other."""
    with pytest.raises(TopologyError, match="cannot read"):
        load(path)


@pytest.mark.parametrize(("source", "kind"), [(None, "NoneType"), ([1], "list"), (7, "int")])
def test_something_else_is_no_source(source, kind):
    """What is neither a path nor bytes is refused in words."""
    with pytest.raises(TopologyError, match=f"cannot read a {kind}") as caught:
        load(source)
    assert "its bytes or a DataFrame" in caught.value.hint
