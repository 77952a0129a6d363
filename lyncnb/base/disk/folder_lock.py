"""Lock a folder so that only one process at a time writes to it, and record who writes.

lyncnb uses a kernel lock, and a note that contains the name of the writing user. On some disks
(sshfs, rclone, or WSL together with Windows) and in synchronized copies, kernel locks do not work
between two computers. In this case, the note prevents a second writer. lyncnb never overwrites the
note of another computer, and checks its own note before each important step (:func:`confirm_lock`).
"""

from __future__ import annotations

import getpass
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import BundleError
from . import files, folder_access, system_calls

if TYPE_CHECKING:
    import filelock

LOCK_NAME = "lyncnb.lock"
OWNER_NAME = ".lock.owner"
_NOTE = re.compile(r".* on (.+), process ([0-9]+), since .+\n(?:(\S+) (\S+) ([0-9a-f]+)\n)?")
_LOOK_EVERY = 0.2  # The time in seconds between two attempts to get the lock.

# For each folder that this process has locked: its real path, and the token in the folder's note.
_held: dict[str, str] = {}


@contextmanager
def lock_folder(folder: str | os.PathLike[str], *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Lock a folder so that only this process can write to it.

    The kernel releases the lock when the process ends for any reason. lyncnb ignores a note that an
    ended process left, unless another computer wrote it. Processes that only read need no lock.
    After
    it gets the lock, lyncnb removes the temporary files of an interrupted process, because they can
    contain keys.

    Parameters
    ----------
    folder : path
        The folder that contains the lock files and, while it is locked, the note.
    wait_seconds : float, optional
        Seconds to wait for another process; a negative value means no limit.

    Raises
    ------
    BundleError
        If another process still has the lock (the message contains its name), the folder does not
        exist, or :func:`files.check_folder` rejects it.
    """
    # The library filelock is imported inside the function, because planning without a folder must
    # work without this library.
    import filelock

    folder = Path(folder)
    files.check_folder(folder)
    note, lock_file = folder / OWNER_NAME, folder / LOCK_NAME
    for path in (lock_file, note):
        if path.is_symlink():
            raise BundleError(f"{path} is a symbolic link", hint="remove the link")
    mode = folder_access.TEAM_FILE if folder_access.find_team_group(folder) else 0o600
    guard = filelock.FileLock(lock_file, mode=mode, thread_local=False)
    token, key = (
        files.make_temporary_name().removeprefix(files.TEMP_PREFIX),
        os.path.realpath(folder),
    )
    deadline = float("inf") if wait_seconds < 0 else time.monotonic() + wait_seconds
    try:
        with folder_access.share_folder(folder):
            while not _acquire_lock(folder, guard, token, deadline):
                time.sleep(_LOOK_EVERY)
            _held[key] = token
            files.remove_stale_files(folder)
            yield
    finally:
        _held.pop(key, None) if _held.get(key) == token else None
        if _read_token(note) == token:
            files.discard_temporary_file(note)
        guard.release()


def confirm_lock(folder: Path) -> None:
    """Check that this process still has its lock on a folder. Without a lock, nothing is checked.

    Raises
    ------
    BundleError
        If another process locked the folder, or removed the note.
    """
    token = _held.get(os.path.realpath(folder))
    if token is not None and _read_token(folder / OWNER_NAME) != token:
        raise BundleError(
            f"the folder {folder} is now in use by {describe_owner(folder)}, so lyncnb stopped",
            hint=(
                "this disk does not support locks, so use the folder on only one computer at a "
                "time. Wait until the other lyncnb process has finished, and then try again"
            ),
        )


def describe_owner(folder: Path) -> str:
    """Return the name of the process that has locked a folder, from the folder's lock note."""
    return (_read_note(folder / OWNER_NAME).partition("\n")[0]).strip() or "another process"


def _acquire_lock(folder: Path, guard: filelock.BaseFileLock, token: str, deadline: float) -> bool:
    """Lock a folder and write the file that names the owner. Return whether both succeeded.

    Return False if the caller must try again.
    """
    from filelock import Timeout

    note, seconds_left = folder / OWNER_NAME, deadline - time.monotonic()
    try:
        guard.acquire(timeout=-1 if seconds_left == float("inf") else max(seconds_left, 0.0))
        folder_access.set_access_rights(folder / LOCK_NAME)
    except Timeout:
        _raise_folder_in_use(
            folder, ("wait until the other process has finished, and then try again")
        )
    except OSError as error:
        raise system_calls.describe_error(error, folder / LOCK_NAME, "lock the folder") from None
    text = _read_note(note)
    if not _may_be_running(text):
        if _write_note(note, token, replaced_note=bool(text) or os.path.lexists(note)):
            return True
    elif time.monotonic() >= deadline:
        _raise_folder_in_use(
            folder,
            (
                "wait until the other lyncnb process has finished, and then try again. lyncnb "
                "cannot check processes on other computers. If the other process has already "
                f"ended, remove {OWNER_NAME} from the folder"
            ),
        )
    guard.release()
    return False


def _raise_folder_in_use(folder: Path, hint: str) -> None:
    raise BundleError(
        f"the folder {folder} is in use by {describe_owner(folder)}", hint=hint
    ) from None


def _may_be_running(text: str) -> bool:
    """Return whether the process that is named in a lock's note may still be running.

    The caller must hold the kernel lock.
    """
    match = _NOTE.fullmatch(text)
    if match is None:
        return False
    host, process, system, started, token = match.groups()
    if host != platform.node() or system not in (None, platform.system()):
        return True
    if int(process) == os.getpid():
        return token in _held.values()
    # If the disk supports kernel locks, no other process on this computer has the lock. Otherwise,
    # the process that the lock's note names has the lock if that process is still running.
    return started not in (None, "-") and started == _find_start_time(int(process))


def _find_start_time(process: int) -> str:
    """Return the start time of a local process in clock ticks, or "-" if the process has ended."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        return status.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "-"


def get_user_and_computer() -> tuple[str, str]:
    """Return the names of the current user and of the computer as printable text."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = "somebody"
    # The user name can come from an environment variable, which can contain any characters.
    return "".join(c if c.isprintable() else "?" for c in user), platform.node()


def _write_note(note: Path, token: str, *, replaced_note: bool) -> bool:
    user, host = get_user_and_computer()
    since = datetime.now(UTC).isoformat(timespec="seconds")
    process = os.getpid()
    text = (
        f"{user} on {host}, process {process}, since {since}\n"
        f"{platform.system()} {_find_start_time(process)} {token}\n"
    )
    temp = files.write_temporary_file(note, text.encode(), 0o600, sync=False)
    try:
        if replaced_note:
            system_calls.replace(temp, note)
        else:
            files.set_final_name(temp, note)
    except FileNotFoundError:
        # Another process has locked the folder in the meantime and removed the temporary file.
        return False
    except OSError as error:
        files.discard_temporary_file(temp)
        raise system_calls.describe_error(
            error,
            note,
            "find out which process writes to the folder, for example with Process Monitor",
        ) from None
    except BundleError:
        files.discard_temporary_file(temp)
        if not os.path.lexists(note):
            raise
        return False  # Meanwhile, another process has created the note and holds the lock.
    return True


def _read_token(note: Path) -> str:
    match = _NOTE.fullmatch(_read_note(note))
    return match[5] or "" if match else ""


def _read_note(note: Path) -> str:
    try:
        return files.read_file(note, limit=4096).decode("utf-8", "replace")
    except BundleError:
        return ""
