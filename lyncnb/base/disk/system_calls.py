"""Call functions of the operating system that write files, and describe their errors.

Other modules call ``system_calls.fsync``, never ``os.fsync``. A test can therefore make each call
in ``CALLS`` fail, and compare the calls with a trace from the operating system.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar

from ...errors import BundleError
from ..pasted_text import show_path

CALLS = (
    *("open", "write", "fsync", "close", "link", "rename", "replace"),
    *("unlink", "mkdir", "rmdir", "chmod", "fchmod", "fchown", "lstat"),
)
WINDOWS = os.name == "nt"
# The Windows errors for a file that cannot be replaced or removed because another program has
# opened it: ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION.
IN_USE = (5, 32, 33)
_PATIENCE = 5.0  # seconds
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def _retry_while_in_use(call: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """On Windows, repeat a call while another program, such as a virus scanner, uses the file."""

    @wraps(call)
    def call_with_retries(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        pause, end = 0.01, time.monotonic() + _PATIENCE
        while True:
            try:
                return call(*args, **kwargs)
            except OSError as error:
                if not is_file_in_use_error(error) or time.monotonic() + pause > end:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 0.5)

    return call_with_retries if WINDOWS else call


def is_file_in_use_error(error: OSError) -> bool:
    """Return whether an error means that another program has opened the file.

    ``os.open`` reports EACCES for such a file, and also for a folder.
    """
    if (code := getattr(error, "winerror", None)) is not None:
        return code in IN_USE
    is_refused = WINDOWS and error.errno == errno.EACCES and error.filename is not None
    return is_refused and not os.path.isdir(error.filename)


write, close = os.write, os.close
open = _retry_while_in_use(os.open)  # noqa: A001
rename, replace = _retry_while_in_use(os.rename), _retry_while_in_use(os.replace)
unlink, rmdir = _retry_while_in_use(os.unlink), _retry_while_in_use(os.rmdir)
mkdir, chmod, lstat = os.mkdir, os.chmod, os.lstat
link = getattr(os, "link", None)
if os.name != "nt":
    fchmod, fchown = os.fchmod, os.fchown

# On macOS, fsync() does not flush the cache of the disk. The fcntl() command F_FULLFSYNC flushes
# this cache too.
full_sync: int | None = None
with suppress(ImportError):  # The Python module fcntl does not exist on Windows.
    import fcntl

    full_sync = getattr(fcntl, "F_FULLFSYNC", None)


def fsync(descriptor: int) -> None:
    """Flush a file to the disk, and also flush the cache of the disk if the system supports it."""
    if full_sync is not None:
        # Network shares and some file systems do not support F_FULLFSYNC.
        with suppress(OSError):
            fcntl.fcntl(descriptor, full_sync)
            return
    os.fsync(descriptor)


_COMMON = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _COMMON
# With O_NONBLOCK, opening a named pipe does not wait for a program that writes to it.
READ = os.O_RDONLY | _COMMON | getattr(os, "O_NONBLOCK", 0)
# The error numbers of link() on file systems without hard links, such as FAT and some network
# shares.
NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
# The error numbers of fsync() on file systems that cannot sync folders.
NO_FOLDER_SYNC = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP}


def find_user_id() -> int:
    """Return the ID of the user who runs this process. In a browser, the ID is always 0."""
    return os.geteuid() if hasattr(os, "geteuid") else 0


def find_program(name: str) -> str | None:
    """Return the path of a program that is specified by name or by an absolute path.

    Only absolute folders in PATH are searched. The program is specified by its name or by an
    absolute path.

    ``shutil.which`` can also find a program in the current folder, which Windows always searches.
    It
    could then run a program that another person put next to a plan.
    """
    endings = ("", ".exe") if WINDOWS else ("",)
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    search_path = [folder for folder in folders if os.path.isabs(folder)]
    if os.path.isabs(name):
        search_path = [os.path.dirname(name)]
    elif os.path.dirname(name):
        return None
    for folder in search_path:
        for ending in endings:
            path = os.path.join(folder, os.path.basename(name) + ending)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                return path
    return None


IN_USE_HINT = (
    "another program, such as Excel or a virus scanner, may have the file open. Close the "
    "program, and then run the command again. If no program has the file open, you do not have "
    "permission to change the file"
)
_LONGEST_PATH = 260  # MAX_PATH of Windows
HINTS = {
    errno.ENOSPC: "the disk is full. Free some space, and then try again. No data is lost",
    errno.EDQUOT: "your disk quota is exceeded. Free some space, and then try again",
    errno.EROFS: "this disk is read-only. Use a folder on another disk",
    errno.EACCES: (
        "you do not have permission. Ask the owner of the folder, or use another folder"
    ),
    errno.EPERM: ("you do not have permission. Ask the owner of the folder, or use another folder"),
    errno.EIO: (
        "the disk reports an error. Copy the folder to another disk, and then use the copy"
    ),
    errno.ELOOP: (
        "the path contains a symbolic link. Check the target of the link, and then remove the link"
    ),
    errno.ENOENT: "check whether the file or a folder in its path was moved or renamed",
    errno.ENOTDIR: ("the path contains a file where a folder is required. Use a different path"),
    errno.EISDIR: (
        "a folder with the same name already exists. Move that folder, or choose a different name"
    ),
    errno.ENAMETOOLONG: "use a folder with a shorter path",
    errno.EMFILE: "too many files are open. Close other programs, and then try again",
}


def describe_error(
    error: OSError | ValueError, path: str | os.PathLike[str], action: str
) -> BundleError:
    """Convert an operating system error to an error with a hint about the cause."""
    # A path with a zero byte or an unpaired surrogate raises ValueError.
    if isinstance(error, ValueError):
        escaped_path = ascii(os.fspath(path))[1:-1]
        return BundleError(
            f"{escaped_path}: cannot {action}: the file name is not valid",
            hint="enter the file name again",
        )
    hint = HINTS.get(error.errno or 0, "check the folder, and then try again")
    if is_file_in_use_error(error):
        hint = IN_USE_HINT
    elif WINDOWS and len(os.path.abspath(path)) >= _LONGEST_PATH:
        hint = (
            f"the path has more than {_LONGEST_PATH} characters, which Windows allows "
            "only if long paths are enabled. Use a folder with a shorter path"
        )
    return BundleError(f"{show_path(path)}: cannot {action}: {error.strerror or error}", hint=hint)
