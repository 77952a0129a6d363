"""One writer of a folder at a time, and who that is.

Two things keep a second writer out: a lock of the kernel's, and a note of who writes. The kernel's
lock excludes nobody between two computers on some disks (sshfs, rclone, WSL beside Windows), nor in
two copies that a program synchronises. There the note does: it is made exclusively, respected if it
is another computer's, and looked at again before each step that counts (:func:`confirm`).
"""

from __future__ import annotations

import getpass
import os
import platform
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import filelock

from ...errors import BundleError
from . import files, folder_access, system_calls

LOCK_NAME = "lyncnb.lock"
#: The earliest versions take this one alone, so it is taken as well in a folder that they can
#: write. OneDrive and SharePoint take no file of that name.
OLD_LOCK_NAME = ".lock"
OWNER_NAME = ".lock.owner"
_NOTE = re.compile(r".* on (.+), process ([0-9]+), since .+\n(?:(\S+) (\S+) ([0-9a-f]+)\n)?")
# No earlier version writes a folder with such a manifest.
_PRESENT_FORMAT = re.compile(rb'\{\s*"format": "lyncnb-requests/(?:[3-9]|[1-9][0-9]+)"')
_MANIFEST = "manifest.json"
_LOOK_EVERY = 0.2  # seconds

# What this process holds: the real path of each folder, and the token in its note.
_held: dict[str, str] = {}


@contextmanager
def lock(folder: str | os.PathLike[str], *, wait: float = 0.0) -> Iterator[None]:
    """Be the one writer of a folder.

    The kernel frees its lock when the process ends, however it ends; a note that was left is then
    taken for what it is, unless another computer wrote it. Readers need none. Whatever an
    interrupted writer left half-written in the folder is removed first: it may be a key.

    Parameters
    ----------
    folder : path
        Holds the files of the lock, and while somebody writes a note of who that is.
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
    note, paths = folder / OWNER_NAME, [folder / name for name in _lock_names(folder)]
    for path in (*paths, note):
        if path.is_symlink():
            raise BundleError(f"{path} is a symbolic link", hint="remove the link")
    mode = folder_access.TEAM_FILE if folder_access.team_of(folder) else 0o600
    guards = {path: filelock.FileLock(path, mode=mode, thread_local=False) for path in paths}
    token, key = files.temp_name().removeprefix(files.TEMP_PREFIX), os.path.realpath(folder)
    deadline = float("inf") if wait < 0 else time.monotonic() + wait
    try:
        with folder_access.sharing(folder):
            while not _take(folder, guards, token, deadline):
                time.sleep(_LOOK_EVERY)
            _held[key] = token
            files.remove_stale(folder)
            yield
    finally:
        _held.pop(key, None) if _held.get(key) == token else None
        if _token(note) == token:
            files.discard(note)
        for guard in guards.values():
            guard.release()


def _lock_names(folder: Path) -> tuple[str, ...]:
    try:
        with files.open_plain(folder / _MANIFEST, follow=False) as file:
            is_present = bool(_PRESENT_FORMAT.match(file.read(80)))
    except (OSError, BundleError):
        is_present = not os.path.lexists(folder / OLD_LOCK_NAME)
    return (LOCK_NAME,) if is_present else (LOCK_NAME, OLD_LOCK_NAME)


def confirm(folder: Path) -> None:
    """Look whether this process, if it has the lock of a folder, is still its one writer.

    Raises
    ------
    BundleError
        If somebody else has taken the folder over, or removed the note.
    """
    token = _held.get(os.path.realpath(folder))
    if token is not None and _token(folder / OWNER_NAME) != token:
        raise BundleError(
            f"{folder} was taken over by {owner(folder)} during this run, so this run stopped",
            hint="this disk does not enforce locks: let only one computer write to the folder at a "
            "time. Then run the same again",
        )


def owner(folder: Path) -> str:
    """Say who writes a folder, as far as its note tells."""
    return (_read(folder / OWNER_NAME).partition("\n")[0]).strip() or "another process"


def _take(
    folder: Path, guards: Mapping[Path, filelock.FileLock], token: str, deadline: float
) -> bool:
    """Take the kernel's locks and leave the note; False to try again."""
    note = folder / OWNER_NAME
    try:
        for guard in guards.values():
            left = deadline - time.monotonic()
            guard.acquire(timeout=-1 if left == float("inf") else max(left, 0.0))
        for path in guards:
            folder_access.hand_over_path(path)
    except filelock.Timeout:
        _refuse(folder, "wait until that is done, then run the same again")
    except OSError as error:
        raise system_calls.trouble(error, folder / LOCK_NAME, "lock the folder") from None
    text = _read(note)
    if not _is_alive(text):
        if _leave_note(note, token, over=bool(text) or os.path.lexists(note)):
            return True
    elif time.monotonic() >= deadline:
        _refuse(
            folder,
            "wait until that is done, then run the same again. If that run has ended, which "
            f"lyncnb cannot see from here, remove {OWNER_NAME} from the folder",
        )
    for guard in guards.values():
        guard.release()
    return False


def _refuse(folder: Path, hint: str) -> None:
    raise BundleError(f"{folder} is being written by {owner(folder)}", hint=hint) from None


def _is_alive(text: str) -> bool:
    """Whether the writer of a note may be at work; the kernel's lock is held by who asks."""
    found = _NOTE.fullmatch(text)
    if found is None:
        return False
    host, process, system, started, token = found.groups()
    if host != platform.node() or system not in (None, platform.system()):
        return True
    if int(process) == os.getpid():
        return token in _held.values()
    # On this computer a lock that was given to us says enough, where the lock works at all.
    return started not in (None, "-") and started == _started(int(process))


def _started(process: int) -> str:
    """Tell when a process of this computer began, in the kernel's own count; "-" if it is gone."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        return status.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "-"


def writer() -> tuple[str, str]:
    """Give the names of the user and of the computer, as text that can be shown."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = "somebody"
    # An environment variable names the user, and may hold anything.
    return "".join(c if c.isprintable() else "?" for c in user), platform.node()


def _leave_note(note: Path, token: str, *, over: bool) -> bool:
    user, host = writer()
    since = datetime.now(UTC).isoformat(timespec="seconds")
    process = os.getpid()
    text = (
        f"{user} on {host}, process {process}, since {since}\n"
        f"{platform.system()} {_started(process)} {token}\n"
    )
    temp = files.write_temp(note, text.encode(), 0o600, sync=False)
    try:
        if over:
            system_calls.replace(temp, note)
        else:
            files.give_name(temp, note)
    except FileNotFoundError:
        return False  # somebody else has the folder, and removed what is half-written
    except OSError as error:
        files.discard(temp)
        raise system_calls.trouble(error, note, "say who writes") from None
    except BundleError:
        files.discard(temp)
        if not os.path.lexists(note):
            raise
        return False  # somebody else was quicker
    return True


def _token(note: Path) -> str:
    found = _NOTE.fullmatch(_read(note))
    return found[5] or "" if found else ""


def _read(note: Path) -> str:
    try:
        return files.read(note, limit=4096).decode("utf-8", "replace")
    except BundleError:
        return ""
