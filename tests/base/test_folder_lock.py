"""Only one process can write to a folder at a time, and the error message for a second process
describes the first one.
"""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import textwrap
import threading

import pytest

from lyncnb.base.disk import system_calls
from lyncnb.base.disk.folder_lock import (
    LOCK_NAME,
    OWNER_NAME,
    confirm_lock,
    lock_folder,
)
from lyncnb.errors import BundleError

HOLDER = """
    import sys, time
    from lyncnb.base.disk.folder_lock import lock_folder
    with lock_folder(sys.argv[1]):
        print("held", flush=True)
        time.sleep(60)
"""


def hold(folder) -> subprocess.Popen:
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(folder)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    return holder


def test_second_process_sees_who_holds_the_lock(tmp_path):
    """If another process holds the lock on a folder, the error message names its user, its
    computer, and its process ID.

    A killed process holds no lock.
    """
    holder = hold(tmp_path)
    try:
        pattern = f"in use by .* on .*, process {holder.pid}, since"
        with pytest.raises(BundleError, match=pattern), lock_folder(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with lock_folder(tmp_path, wait_seconds=5):
        assert (tmp_path / OWNER_NAME).read_text().count(f"process {os.getpid()},") == 1
    assert not (tmp_path / OWNER_NAME).exists()


def test_a_second_writer_can_wait(tmp_path):
    """If a waiting time is set, a second thread gets the lock on the folder as soon as the first
    thread releases it.
    """
    order, locked = [], threading.Event()

    def second() -> None:
        locked.wait()
        with lock_folder(tmp_path, wait_seconds=10):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with lock_folder(tmp_path):
        locked.set()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_lock_is_released_after_an_error(tmp_path):
    """After an error, the folder is not locked, and the file that describes the lock is removed."""
    with pytest.raises(KeyError), lock_folder(tmp_path):
        raise KeyError
    with lock_folder(tmp_path):
        pass
    assert set(os.listdir(tmp_path)) <= {LOCK_NAME}


@pytest.mark.posix
@pytest.mark.parametrize("name", [LOCK_NAME, OWNER_NAME])
def test_a_link_in_place_of_the_lock_is_refused(tmp_path, name):
    """lyncnb rejects a lock file that is a symbolic link."""
    (tmp_path / "elsewhere").write_bytes(b"other")
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="is a symbolic link"), lock_folder(tmp_path):
        pass
    assert (tmp_path / "elsewhere").read_bytes() == b"other"


@pytest.mark.posix
def test_a_folder_that_is_missing_full_or_open_to_others_is_refused(tmp_path, monkeypatch):
    """A lock cannot be created in a missing folder, on a full disk, or in a folder to which other
    users can write.
    """
    with pytest.raises(BundleError, match="cannot access the folder"), lock_folder(tmp_path / "a"):
        pass
    monkeypatch.setattr(system_calls, "link", _no_space)
    with pytest.raises(BundleError, match="the disk is full"), lock_folder(tmp_path):
        pass
    monkeypatch.undo()
    tmp_path.chmod(0o777)
    with (
        pytest.raises(BundleError, match="other users can write to the folder"),
        lock_folder(tmp_path),
    ):
        pass


def _no_space(*_):
    raise OSError(28, os.strerror(28))


def test_a_lock_that_cannot_be_made_is_reported(tmp_path):
    """If a folder has the name of the lock file, the error message contains a hint."""
    (tmp_path / LOCK_NAME).mkdir()
    with pytest.raises(BundleError, match="cannot lock the folder"), lock_folder(tmp_path):
        pass


def test_message_about_the_lock_works_without_details(tmp_path, monkeypatch):
    """If the user name or the description of the lock is missing, the error message contains only
    the available details.
    """

    def nobody() -> str:
        raise OSError("no name for this user")

    monkeypatch.setattr(getpass, "getuser", nobody)
    with lock_folder(tmp_path):
        with pytest.raises(BundleError, match="is in use by somebody on"), lock_folder(tmp_path):
            pass
        (tmp_path / OWNER_NAME).unlink()
        with pytest.raises(BundleError, match="in use by another process"), lock_folder(tmp_path):
            pass


THERE = "planner on another.contoso.com, process 7, since 2026-11-24T08:00:00+00:00\n"


def test_lock_of_another_computer_is_respected(tmp_path):
    """lyncnb cannot check whether a process on another computer is still running, so the hint
    explains how to continue.
    """
    (tmp_path / OWNER_NAME).write_text(THERE)
    with (
        pytest.raises(BundleError, match=r"is in use by planner on another.contoso.com") as caught,
        lock_folder(tmp_path, wait_seconds=0.3),
    ):
        pass
    assert f"remove {OWNER_NAME}" in caught.value.hint
    assert (tmp_path / OWNER_NAME).read_text() == THERE
    (tmp_path / OWNER_NAME).unlink()
    with lock_folder(tmp_path):
        pass


def test_process_that_lost_its_lock_stops(tmp_path):
    """If the lock on a folder belongs to another process, the process that lost the lock stops
    before its next important step, and does not remove the new lock.
    """
    confirm_lock(tmp_path)  # If there is no lock, confirm_lock() has no effect.
    with lock_folder(tmp_path):
        confirm_lock(tmp_path)
        (tmp_path / OWNER_NAME).write_text(THERE)
        with pytest.raises(BundleError, match="is now in use by planner on another"):
            confirm_lock(tmp_path)
    assert (tmp_path / OWNER_NAME).read_text() == THERE


def test_half_written_files_are_removed_under_every_lock(tmp_path):
    """When a process locks the folder, lyncnb removes incomplete files, because they can contain a
    key, and keeps all other files.
    """
    below = tmp_path / "returned" / "refused"
    below.mkdir(parents=True)
    for folder in (tmp_path, below):
        (folder / ".tmp-lyncnb-0011223344556677").write_bytes(b"x")
        (folder / "tmp-lyncnb").write_bytes(b"x")
    with lock_folder(tmp_path):
        remaining = [path.name for path in tmp_path.rglob("*tmp-lyncnb*")]
    assert remaining == ["tmp-lyncnb"] * 2
