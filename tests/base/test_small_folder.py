"""Folders of a few files: whatever fails on the way, nobody reads half of one."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

import pytest
from failing import failing

from lyncnb.base import files, small_folder
from lyncnb.errors import BundleError

OLD = {"one": b"old 1", "two": b"old 2", "three": b"old 3"}
NEW = {"one": b"new 1", "two": b"new 2", "three": b"new 3"}
KINDS = (
    *("open", "write", "fsync", "close", "link", "rename", "replace"),
    *("unlink", "mkdir", "rmdir"),
)


def read(folder: Path) -> dict[str, bytes]:
    return small_folder.read_files(folder, OLD, limit=100)


def error(code: int):
    return lambda _: OSError(code, os.strerror(code))


class Stopped(BaseException):
    """The program ends here: nothing catches it but what cleans up."""


def hints(call) -> list[str]:
    """Do something; give the hint of what it refused."""
    try:
        call()
    except BundleError as refused:
        return [refused.hint]
    return []


@pytest.mark.fault
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_each_call_fails_in_turn(tmp_path, code):
    """A new folder is whole or not there; each replaced file is old or new; then it goes on."""
    steps = 0
    for number in range(200):
        folder = tmp_path / str(number) / "scenarios" / "it"
        with failing(number, error(code), KINDS) as calls:
            assert "" not in hints(partial(small_folder.write_folder, folder, OLD))
        if folder.exists():
            assert read(folder) == OLD
        else:
            small_folder.write_folder(folder, OLD)
        with failing(number, error(code), KINDS) as more:
            assert "" not in hints(partial(small_folder.replace_files, folder, NEW))
        assert all(data in (OLD[name], NEW[name]) for name, data in read(folder).items())
        small_folder.replace_files(folder, NEW)
        assert read(folder) == NEW
        assert sorted(os.listdir(folder)) == sorted(NEW)
        steps = number
        if not calls.failed and not more.failed:
            break
    assert 20 < steps < 199


def test_what_is_hidden_is_never_read(tmp_path):
    """A folder that a stopped program left, or somebody put there, does not win over the files."""
    folder = tmp_path / "it"
    small_folder.write_folder(folder, OLD)
    hidden = folder / ".tmp-lyncnb-next"
    hidden.mkdir()  # as earlier versions named it
    for name, data in NEW.items():
        (hidden / name).write_bytes(data)
    assert read(folder) == OLD
    small_folder.replace_files(folder, {"two": b"newer"})
    assert read(folder) == {**OLD, "two": b"newer"}
    small_folder.replace_files(folder, OLD)
    assert not hidden.exists()
    hidden.mkdir()
    (hidden / "one").write_bytes(b"planted")
    small_folder.remove_folder(folder, OLD)
    assert os.listdir(tmp_path) == []


def test_a_program_that_is_stopped_leaves_each_file_whole(tmp_path):
    """Each is as it was or as it is to be, and the same again completes it."""
    folder = tmp_path / "it"
    for number in range(len(NEW)):
        small_folder.write_folder(folder, OLD)
        with (
            failing(number, lambda _: Stopped(), ("replace",)) as calls,
            pytest.raises(Stopped),
        ):
            small_folder.replace_files(folder, NEW)
        assert calls.failed
        for name, data in read(folder).items():
            assert data in (OLD[name], NEW[name])
        small_folder.replace_files(folder, NEW)
        assert read(folder) == NEW
        assert sorted(os.listdir(folder)) == sorted(NEW)
        small_folder.remove_folder(folder, NEW)


def test_what_is_there_is_never_written_over(tmp_path):
    """A file, a link, an empty folder or a full one of that name is left as it is."""
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    small_folder.write_folder(tmp_path / "full", OLD)
    for name in ("file", "empty", "link", "full"):
        with pytest.raises(BundleError, match="already there"):
            small_folder.write_folder(tmp_path / name, NEW)
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert os.listdir(tmp_path / "empty") == []
    assert read(tmp_path / "full") == OLD
    assert files.stale_temps(tmp_path) == ()


def test_other_files_stay(tmp_path):
    """Replacing leaves them alone; removing refuses, and names them."""
    folder = tmp_path / "it"
    small_folder.write_folder(folder, OLD)
    (folder / "diagram.png").write_bytes(b"mine")
    small_folder.replace_files(folder, NEW)
    with pytest.raises(BundleError, match=r"diagram\.png"):
        small_folder.remove_folder(folder, OLD)
    assert read(folder) == NEW
    (folder / "diagram.png").unlink()
    small_folder.remove_folder(folder, OLD)
    assert os.listdir(tmp_path) == []


def test_what_a_stopped_program_left_is_removed_later(tmp_path):
    """A temporary folder goes when it is old by the disk's own clock; a young one may be in use."""
    for name, age in (("old", 7200), ("young", 10)):
        left = tmp_path / f"{files.TEMP_PREFIX}{name}"
        left.mkdir()
        (left / "one").write_bytes(b"half")
        moment = tmp_path.stat().st_mtime - age
        os.utime(left, (moment, moment))
    small_folder.write_folder(tmp_path / "it", OLD)
    assert sorted(os.listdir(tmp_path)) == [f"{files.TEMP_PREFIX}young", "it"]


def test_a_folder_is_not_read_through_a_link(tmp_path):
    """A link, a file and what is not there are told apart from a folder."""
    small_folder.write_folder(tmp_path / "it", OLD)
    (tmp_path / "link").symlink_to(tmp_path / "it")
    for name in ("link", "it/one", "nothing"):
        with pytest.raises(BundleError):
            read(tmp_path / name)
    (tmp_path / "it" / "two").unlink()
    (tmp_path / "it" / "two").symlink_to("one")
    with pytest.raises(BundleError):
        read(tmp_path / "it")
