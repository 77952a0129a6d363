"""An output file is written completely or not at all, and never replaces another program's file."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress

import pytest
from failing import KINDS, fail_one_call

from lyncnb.base.disk import outputs
from lyncnb.base.disk.outputs import OutputKind, check_output_path, write_output
from lyncnb.errors import OutputError

NOTE = OutputKind(what="a note", is_ours={".txt": outputs.match_first_line(b"note of ", b"!")})


def test_output_is_written_completely_or_not_at_all(tmp_path):
    """If a system call fails while an output file is written, the old file is kept, and no
    incomplete file remains.
    """
    path = tmp_path / "a.txt"
    path.write_bytes(b"note of old!")
    with fail_one_call(None, lambda name: OSError(28, "No space left on device")) as counted:
        write_output(path, b"note of new!", NOTE)
    for number in range(counted.count):
        path.write_bytes(b"note of old!")
        broken = fail_one_call(number, lambda name: OSError(28, "No space left on device"), KINDS)
        with suppress(OutputError), broken:
            write_output(path, b"note of new!", NOTE)
        assert path.read_bytes() in (b"note of old!", b"note of new!")
        leftovers = [file.name for file in tmp_path.iterdir() if file != path]
        assert len(leftovers) <= 1  # In this case, the temporary file could not be removed.
        for name in leftovers:
            (tmp_path / name).unlink()


def test_file_created_in_the_meantime_is_not_replaced(tmp_path, monkeypatch):
    """If another program creates the output file between the check and the writing, the file is not
    replaced.
    """
    path = tmp_path / "a.txt"
    check_output_path(path, NOTE)
    # Another program creates the file between the two checks of the name, or after the last check.
    monkeypatch.setattr(outputs, "check_output_path", lambda *_, **__: path.write_bytes(b"mine"))
    monkeypatch.setattr(outputs, "_find_status", lambda _: None)
    with pytest.raises(OutputError, match="already exists"):
        write_output(path, b"note of new!", NOTE)
    assert path.read_bytes() == b"mine"


def test_input_files_are_never_replaced(tmp_path):
    """The output of a command never replaces a file that the command reads."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"note of old!")
    (tmp_path / "b.txt").hardlink_to(path)
    for name in (path, tmp_path / "." / "a.txt", tmp_path / "b.txt"):
        with pytest.raises(OutputError, match="is also an input, so lyncnb cannot use it"):
            write_output(name, b"note of new!", NOTE, force=True, inputs=(None, path))


def _zip(**members: bytes) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize(
    ("test", "yes", "no"),
    [
        (outputs.match_first_line(b"a", b"z"), b"a.z\r\nb", b"a.y\nz"),
        (outputs.match_content(b"a", b"z"), b"..z.a", b"..a"),
        (outputs.match_content(b"a"), b" " * 4_000_000 + b"a", b" " * 5_000_000 + b"a"),
        (
            outputs.match_packed_file("x", outputs.match_content(b"a")),
            _zip(x=b"a").read(),
            _zip(x=b"b").read(),
        ),
        (
            outputs.match_packed_file("x", outputs.match_content(b"a")),
            _zip(ax=b"a").read(),
            b"PK\3\4a",
        ),
    ],
)
def test_files_are_recognized_by_their_marks(test, yes, no):
    """lyncnb recognizes its own files by a mark in each file, and never recognizes a file that it
    cannot read.
    """
    assert test(io.BytesIO(yes))
    assert not test(io.BytesIO(no))


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_archive_is_not_recognized(compression):
    """If any byte of an archive is damaged, lyncnb does not recognize the archive as its own file."""
    is_ours = outputs.match_packed_file("/core.xml", outputs.match_content(b"not in it"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("docProps/core.xml", bytes(range(256)) * 4)
    content = buffer.getvalue()
    for position in range(len(content)):
        damaged = content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]
        assert not is_ours(io.BytesIO(damaged))


@pytest.mark.parametrize("manifest", [b'{"format": "lyncnb-requests/1"}', b"{}", None])
def test_a_request_folder_is_known_by_its_manifest_or_its_keys(tmp_path, manifest):
    """A folder with a manifest or with keys is recognized as a request folder."""
    if manifest is not None:
        (tmp_path / "manifest.json").write_bytes(manifest)
    is_known = manifest is not None and b"lyncnb" in manifest
    if is_known:
        with pytest.raises(OutputError, match="is one of lyncnb's own files"):
            outputs.reject_reserved_path(tmp_path / "pfx" / "a.txt")
    else:
        outputs.reject_reserved_path(tmp_path / "pfx" / "a.txt")
        (tmp_path / "keys").mkdir()
        with pytest.raises(OutputError, match="is one of lyncnb's own files"):
            outputs.reject_reserved_path(tmp_path / "pfx" / "a.txt")
    outputs.reject_reserved_path(tmp_path / "a.txt")


def test_message_is_correct_for_the_folder_and_its_subfolders(tmp_path):
    """The message about an output file in a request folder is correct for the folder itself and for
    its subfolders.
    """
    (tmp_path / "keys").mkdir()
    with pytest.raises(OutputError, match=r"summary\.csv is one of lyncnb's own files"):
        outputs.reject_reserved_path(tmp_path / "summary.csv")
    with pytest.raises(OutputError, match=r"a\.txt is one of lyncnb's own files"):
        outputs.reject_reserved_path(tmp_path / "csr" / "a.txt")
