"""One writer of a folder at a time, and who that is."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import filelock

from ..errors import BundleError
from . import files, system_calls

LOCK_NAME = ".lock"
OWNER_NAME = ".lock.owner"


@contextmanager
def lock(folder: str | os.PathLike[str], *, wait: float = 0.0) -> Iterator[None]:
    """Be the one writer of a folder.

    The kernel frees the lock when its process ends, however it ends. Readers need none.

    Parameters
    ----------
    folder : path
        Holds ``.lock``, and while somebody writes a note of who that is.
    wait : float, optional
        Seconds to wait for another writer; negative waits without end.

    Raises
    ------
    BundleError
        If another writer still has it then; the message says who. If the folder is not there, or
        refused by :func:`files.check_folder`.
    """
    folder = Path(folder)
    files.check_folder(folder)
    path, note = folder / LOCK_NAME, folder / OWNER_NAME
    if path.is_symlink() or note.is_symlink():
        raise BundleError(f"{path} is a symbolic link", hint="remove the link")
    guard = filelock.FileLock(path, timeout=wait, mode=0o600, thread_local=False)
    try:
        guard.acquire()
    except filelock.Timeout:
        raise BundleError(
            f"{folder} is being written by {_owner(note)}",
            hint="wait until that is done, then run the same again",
        ) from None
    except OSError as error:
        raise system_calls.trouble(error, path, "lock the folder") from None
    try:
        _note_owner(note)
        yield
    finally:
        files.discard(note)
        guard.release()


def _note_owner(note: Path) -> None:
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = "somebody"
    since = datetime.now(UTC).isoformat(timespec="seconds")
    text = f"{user} on {platform.node()}, process {os.getpid()}, since {since}\n"
    temp = files.write_temp(note, text.encode(), 0o600, sync=False)
    try:
        system_calls.replace(temp, note)
    except OSError as error:
        files.discard(temp)
        raise system_calls.trouble(error, note, "say who writes") from None


def _owner(note: Path) -> str:
    try:
        return files.read(note, limit=4096).decode("utf-8", "replace").strip() or "another process"
    except BundleError:
        return "another process"
