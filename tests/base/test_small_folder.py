"""A folder with a few files is created completely or not at all, and existing files are kept."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

import pytest
from failing import fail_one_call

from lyncnb.base.disk import files, small_folder
from lyncnb.errors import BundleError

OLD = {"one": b"old 1", "two": b"old 2", "three": b"old 3"}
NEW = {"one": b"new 1", "two": b"new 2", "three": b"new 3"}
KINDS = ("open", "write", "fsync", "close", "link", "rename", "unlink", "mkdir")


def read_small_folder(folder: Path) -> dict[str, bytes]:
    return small_folder.read_files(folder, OLD, limit=100)


def error(code: int):
    return lambda _: OSError(code, os.strerror(code))


def hints_of_error(call) -> list[str]:
    """Call a function that fails, and return the hint in its error."""
    try:
        call()
    except BundleError as refused:
        return [refused.hint]
    return []


@pytest.mark.fault
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_each_call_fails_in_turn(tmp_path, code):
    """If a system call fails, the new folder is complete or does not exist, and the next attempt
    succeeds.
    """
    for number in range(200):
        folder = tmp_path / str(number) / "scenarios" / "it"
        with fail_one_call(number, error(code), KINDS) as calls:
            assert "" not in hints_of_error(partial(small_folder.write_folder, folder, OLD))
        if not folder.exists():
            assert not folder.parent.exists() or os.listdir(folder.parent) == []
            small_folder.write_folder(folder, OLD)
        assert read_small_folder(folder) == OLD
        if not calls.failed:
            break
    assert 10 < number < 199


def test_hidden_folder_is_never_read(tmp_path):
    """Files in a hidden folder are never read, because the folder may be incomplete."""
    folder = tmp_path / "it"
    small_folder.write_folder(folder, OLD)
    hidden = folder / ".tmp-lyncnb-next"
    hidden.mkdir()  # Earlier versions of lyncnb used this folder name.
    (hidden / "one").write_bytes(b"planted")
    assert read_small_folder(folder) == OLD
    small_folder.remove_folder(folder, OLD)
    assert os.listdir(tmp_path) == []


@pytest.mark.posix
def test_existing_paths_are_never_overwritten(tmp_path):
    """lyncnb never overwrites a file, link, or folder with the same name."""
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    small_folder.write_folder(tmp_path / "full", OLD)
    for name in ("file", "empty", "link", "full"):
        with pytest.raises(BundleError, match="already exists"):
            small_folder.write_folder(tmp_path / name, NEW)
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert os.listdir(tmp_path / "empty") == []
    assert read_small_folder(tmp_path / "full") == OLD
    assert files.find_stale_files(tmp_path) == ()


def test_other_files_stay(tmp_path):
    """If a folder contains files of other programs, it is not removed, and the message lists these
    files.
    """
    folder = tmp_path / "it"
    small_folder.write_folder(folder, OLD)
    (folder / "diagram.png").write_bytes(b"mine")
    with pytest.raises(BundleError, match=r"diagram\.png"):
        small_folder.remove_folder(folder, OLD)
    assert read_small_folder(folder) == OLD
    (folder / "diagram.png").unlink()
    small_folder.remove_folder(folder, OLD)
    assert os.listdir(tmp_path) == []


@pytest.mark.posix
def test_a_folder_is_not_read_through_a_link(tmp_path):
    """If a folder is expected, a symbolic link, a file, and a missing path are rejected."""
    small_folder.write_folder(tmp_path / "it", OLD)
    (tmp_path / "link").symlink_to(tmp_path / "it")
    for name in ("link", "it/one", "nothing"):
        with pytest.raises(BundleError):
            read_small_folder(tmp_path / name)
    (tmp_path / "it" / "two").unlink()
    (tmp_path / "it" / "two").symlink_to("one")
    with pytest.raises(BundleError):
        read_small_folder(tmp_path / "it")
