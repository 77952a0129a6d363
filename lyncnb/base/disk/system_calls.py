"""All calls to the operating system that write, and clear messages for their errors.

Other modules call ``system_calls.fsync`` and so on, never ``os.fsync``. So a test can make each of
``CALLS`` fail in turn, and compare a trace of system calls with them.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from ...errors import BundleError

CALLS = (
    *("open", "write", "fsync", "close", "link", "rename", "replace"),
    *("unlink", "mkdir", "rmdir", "chmod", "fchmod", "fchown", "lstat"),
)
open, write, close = os.open, os.write, os.close  # noqa: A001
rename, replace, unlink = os.rename, os.replace, os.unlink
mkdir, rmdir, chmod, lstat = os.mkdir, os.rmdir, os.chmod, os.lstat
link = getattr(os, "link", None)
if os.name != "nt":
    fchmod, fchown = os.fchmod, os.fchown

# On macOS, fsync() leaves data in the disk's own cache. This command of fcntl() does not.
full_sync: int | None = None
with suppress(ImportError):  # Windows has no such module
    import fcntl

    full_sync = getattr(fcntl, "F_FULLFSYNC", None)


def fsync(descriptor: int) -> None:
    """Write a file to the disk, also from the disk's own cache if the system can do that."""
    if full_sync is not None:
        # Network shares and some file systems do not support the command.
        with suppress(OSError):
            fcntl.fcntl(descriptor, full_sync)
            return
    os.fsync(descriptor)


WINDOWS = os.name == "nt"
_COMMON = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _COMMON
# A named pipe in the folder must not make the reader wait for a writer.
READ = os.O_RDONLY | _COMMON | getattr(os, "O_NONBLOCK", 0)
# The errors of link() if the file system has no hard links (FAT, some network shares).
NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
# The errors of fsync() if a folder cannot be synced.
NO_FOLDER_SYNC = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP}


def find_program(name: str) -> str | None:
    """Find a program by its absolute path, or in the absolute folders of PATH.

    ``shutil.which`` may also search the current folder, on Windows always. It would then run a
    program that somebody put next to a plan.
    """
    endings = ("", ".exe") if WINDOWS else ("",)
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    places = [folder for folder in folders if os.path.isabs(folder)]
    if os.path.isabs(name):
        places = [os.path.dirname(name)]
    elif os.path.dirname(name):
        return None
    for place in places:
        for ending in endings:
            path = os.path.join(place, os.path.basename(name) + ending)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                return path
    return None


HINTS = {
    errno.ENOSPC: "the disk is full: free some space, then run the same again; nothing is lost",
    errno.EDQUOT: "your quota is used up: free some space, then run the same again",
    errno.EROFS: "this disk is read-only: use a folder on another disk",
    errno.EACCES: "you do not have permission: ask the owner of the folder, or use another one",
    errno.EPERM: "you do not have permission: ask the owner of the folder, or use another one",
    errno.EIO: "the disk reports an error: copy the folder to another disk and continue there",
    errno.ELOOP: "the path contains a symbolic link: check where it points, then remove it",
    errno.ENOENT: "part of the path is missing: check whether the folder was moved",
    errno.ENOTDIR: "part of the path is a file, not a folder: use another path",
    errno.EISDIR: "a folder has this name: move it away",
    errno.ENAMETOOLONG: "use a folder with a shorter path",
    errno.EMFILE: "too many files are open: close other programs, then run the same again",
}


def trouble(error: OSError | ValueError, path: str | os.PathLike[str], doing: str) -> BundleError:
    """Return an error that says what the operating system refused, and what to do."""
    if isinstance(error, ValueError):  # for a zero byte or an unpaired surrogate
        shown = ascii(os.fspath(path))[1:-1]
        return BundleError(
            f"{shown}: cannot {doing}: this is not a valid file name", hint="enter it again"
        )
    hint = HINTS.get(error.errno or 0, "check the folder, then run the same again")
    return BundleError(f"{path}: cannot {doing}: {error.strerror or error}", hint=hint)


def protection_note() -> str:
    """Return a warning about missing protection on this system; empty if there is none."""
    if not WINDOWS:
        return ""
    return (
        "On Windows a file mode only says read-only: keys are only as safe as their folder. "
        'Run: icacls FOLDER /inheritance:r /grant:r "%USERNAME%:(OI)(CI)F". A folder cannot be '
        "synced there either, so after a power cut the last files may be missing as a whole."
    )
