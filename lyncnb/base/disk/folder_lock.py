"""Allow only one writer of a folder at a time, and show who it is.

A kernel lock and a note with the writer's name exclude a second writer. On some disks (sshfs,
rclone, WSL and Windows together) and in synchronized copies, the kernel lock does not work between
two computers. There the note does: lyncnb creates it exclusively, respects the note of another
computer, and checks it again before each important step (:func:`confirm`).
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
#: The earliest versions lock only this file. lyncnb also locks it in folders that they can write.
#: OneDrive and SharePoint reject a file with this name.
OLD_LOCK_NAME = ".lock"
OWNER_NAME = ".lock.owner"
_NOTE = re.compile(r".* on (.+), process ([0-9]+), since .+\n(?:(\S+) (\S+) ([0-9a-f]+)\n)?")
# Earlier versions cannot write a folder with such a manifest.
_PRESENT_FORMAT = re.compile(rb'\{\s*"format": "lyncnb-requests/(?:[3-9]|[1-9][0-9]+)"')
_MANIFEST = "manifest.json"
_LOOK_EVERY = 0.2  # seconds

# The folders that this process has locked: the real path of each, and the token in its note.
_held: dict[str, str] = {}


@contextmanager
def lock(folder: str | os.PathLike[str], *, wait: float = 0.0) -> Iterator[None]:
    """Lock a folder for this process as its only writer.

    The kernel releases its lock when the process ends for any reason. lyncnb ignores a note that
    such a process left, unless another computer wrote it. Readers need no lock. First, lyncnb
    removes the incomplete files of an interrupted writer, because one may be a key.

    Parameters
    ----------
    folder : path
        The folder with the lock files and, during a run, the note with the writer's name.
    wait : float, optional
        Seconds to wait for another writer; a negative value means no limit.

    Raises
    ------
    BundleError
        If another writer still has the lock then; the message has the name. If the folder does
        not exist, or :func:`files.check_folder` rejects it.
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
    """Check that this process, if it has the lock of a folder, is still the only writer.

    Raises
    ------
    BundleError
        If another process took over the folder, or removed the note.
    """
    token = _held.get(os.path.realpath(folder))
    if token is not None and _token(folder / OWNER_NAME) != token:
        raise BundleError(
            f"{folder} was taken over by {owner(folder)} during this run, so this run stopped",
            hint="this disk does not enforce locks: let only one computer write to the folder at a "
            "time. Then run the same again",
        )


def owner(folder: Path) -> str:
    """Return the name of a folder's writer from its note."""
    return (_read(folder / OWNER_NAME).partition("\n")[0]).strip() or "another process"


def _take(
    folder: Path, guards: Mapping[Path, filelock.FileLock], token: str, deadline: float
) -> bool:
    """Take the kernel locks and write the note; False to try again."""
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
    """Whether the writer of a note may still run; the caller has the kernel lock."""
    match = _NOTE.fullmatch(text)
    if match is None:
        return False
    host, process, system, started, token = match.groups()
    if host != platform.node() or system not in (None, platform.system()):
        return True
    if int(process) == os.getpid():
        return token in _held.values()
    # On this computer, the kernel lock is enough evidence, if the disk supports it. So the writer
    # runs only if its process still exists.
    return started not in (None, "-") and started == _started(int(process))


def _started(process: int) -> str:
    """Return the start time of a local process in the kernel's units; "-" if it ended."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        return status.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "-"


def writer() -> tuple[str, str]:
    """Return the names of the user and of the computer as printable text."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = "somebody"
    # The user name may come from an environment variable, which can contain any text.
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
        return False  # another process has the folder, and removed the temporary file
    except OSError as error:
        files.discard(temp)
        raise system_calls.trouble(error, note, "say who writes") from None
    except BundleError:
        files.discard(temp)
        if not os.path.lexists(note):
            raise
        return False  # another process was faster
    return True


def _token(note: Path) -> str:
    match = _NOTE.fullmatch(_read(note))
    return match[5] or "" if match else ""


def _read(note: Path) -> str:
    try:
        return files.read(note, limit=4096).decode("utf-8", "replace")
    except BundleError:
        return ""
