"""Exclusive, atomic writes; file modes and their replacements on Windows.

A file gets its name only when all its content is on the disk: temporary name in the same folder,
all bytes, fsync, link (which cannot overwrite), fsync of the folder. So after a crash, the file has
its whole content or does not exist.
"""

from __future__ import annotations

import errno
import os
import secrets
import select
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ...errors import BundleError, LyncnbError
from . import folder_access, system_calls

TEMP_PREFIX = ".tmp-lyncnb-"


def check_folder(path: str | os.PathLike[str], *, reading: bool = False) -> None:
    """Reject a symbolic link, a file, or a folder that others can write.

    The members of a team can write its folder. A folder that lyncnb only reads may belong to any
    user.

    Raises
    ------
    BundleError
        With what to do. If others can write the folder, they can exchange its keys.
    """
    try:
        found = system_calls.lstat(path)
    except (OSError, ValueError) as error:
        raise system_calls.trouble(error, path, "look at the folder") from None
    if stat.S_ISLNK(found.st_mode):
        raise BundleError(
            f"{path} is a symbolic link", hint="use the folder itself, not a link to it"
        )
    if not stat.S_ISDIR(found.st_mode):
        raise BundleError(f"{path} is a file, not a folder", hint="use the path of a folder")
    folder_access.check_access(path, found, reading=reading)


def make_folder(path: str | os.PathLike[str], mode: int = 0o700) -> None:
    """Create a folder durably, or check an existing one and remove the bits not in `mode`.

    Raises
    ------
    BundleError
        If it cannot be created, or :func:`check_folder` rejects the existing one.
    """
    path = Path(path)
    mode = folder_access.folder_mode(path.parent, mode)
    try:
        system_calls.mkdir(path, mode)
        folder_access.hand_over_path(path, is_folder=True)
    except FileExistsError:
        check_folder(path)
    except (OSError, ValueError) as error:
        raise system_calls.trouble(error, path, "make the folder") from None
    else:
        sync_folder(path.parent)
    try:
        found = stat.S_IMODE(system_calls.lstat(path).st_mode)
        is_shut = system_calls.WINDOWS or folder_access.is_team(found)
        if not is_shut and found & ~mode & 0o777:
            with suppress(PermissionError):
                system_calls.chmod(path, found & mode)
            # Some disks refuse or ignore this. The folder is then as open as the whole disk.
            left = system_calls.lstat(path).st_mode & ~mode & 0o077
            if left and not folder_access.keeps_no_modes(path):
                raise BundleError(
                    f"{path} remains open to others (mode {stat.S_IMODE(found):04o})",
                    hint=f"run as its owner: chmod {mode:o} '{path}'",
                )
    except OSError as error:
        raise system_calls.trouble(error, path, "set the folder's mode") from None


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Write the names in a folder to the disk; Windows has no such call."""
    if system_calls.WINDOWS:
        return
    try:
        sync(path, os.O_RDONLY)
    except OSError as error:
        if error.errno not in system_calls.NO_FOLDER_SYNC:
            raise system_calls.trouble(error, path, "sync the folder") from None


def sync(path: str | os.PathLike[str], flags: int) -> None:
    """Write the content of a file to the disk; raises OSError."""
    descriptor = system_calls.open(path, flags)
    try:
        system_calls.fsync(descriptor)
    finally:
        system_calls.close(descriptor)


def write_temp(path: Path, data: bytes, mode: int, *, sync: bool) -> Path:
    """Write `data` under a temporary name next to `path`; nothing remains if that fails."""
    temp = path.with_name(temp_name())
    try:
        mode = folder_access.file_mode(path.parent, mode)
        descriptor = system_calls.open(temp, system_calls.NEW, mode)
        try:
            folder_access.hand_over(descriptor, path.parent)
            rest = memoryview(data)
            while rest:
                rest = rest[system_calls.write(descriptor, rest) :]
            if sync:
                system_calls.fsync(descriptor)
        finally:
            system_calls.close(descriptor)
    except BaseException as error:
        discard(temp)
        if isinstance(error, OSError):
            raise system_calls.trouble(error, path, "write the file") from None
        raise
    return temp


def temp_name() -> str:
    """Return a unique name that identifies files of interrupted runs."""
    return TEMP_PREFIX + secrets.token_hex(8)


def discard(temp: Path) -> None:
    """Remove a temporary file; a later run finds one that remains by its name."""
    with suppress(OSError):
        system_calls.unlink(temp)


def give_name(temp: Path, path: Path) -> None:
    """Give a finished temporary file its name, never over another file."""
    try:
        if system_calls.link is None or system_calls.WINDOWS:
            system_calls.rename(temp, path)  # on Windows this refuses a name that is taken
            return
        try:
            system_calls.link(temp, path)
        except OSError as error:
            if error.errno not in system_calls.NO_LINKS:
                raise
            _name_without_links(temp, path)
            return
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        raise system_calls.trouble(error, path, "give the file its name") from None
    discard(temp)


def _name_without_links(temp: Path, path: Path) -> None:
    # Another program could take the name between the two steps. Another lyncnb cannot, because it
    # waits for the lock.
    with suppress(FileNotFoundError):
        system_calls.lstat(path)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    system_calls.rename(temp, path)


def _taken(path: Path) -> BundleError:
    return BundleError(
        f"{path} is already there and was left alone",
        hint="move it out of the folder if it is not lyncnb's, then run the same again",
    )


def write_new(path: str | os.PathLike[str], data: bytes, mode: int = 0o600) -> None:
    """Write a new file, completely and durably or not at all, and never over another file.

    Parameters
    ----------
    path : path
        Its folder must exist.
    data : bytes
        The whole content.
    mode : int, optional
        As for ``chmod``, less the umask.

    Raises
    ------
    BundleError
        If the name is taken (also by a symbolic link), or the system refuses.
    """
    path = Path(path)
    temp = write_temp(path, data, mode, sync=True)
    try:
        give_name(temp, path)
    except BaseException:
        discard(temp)
        raise
    sync_folder(path.parent)


def replace(path: str | os.PathLike[str], data: bytes, mode: int = 0o600) -> None:
    """Write a file completely and durably, and replace an existing one.

    Raises
    ------
    BundleError
        If the name is a symbolic link, or the system refuses. The old content then stays.
    """
    path = Path(path)
    if path.is_symlink():
        raise BundleError(
            f"{path} is a symbolic link", hint="check where it points, then remove the link"
        )
    temp = write_temp(path, data, mode, sync=True)
    try:
        system_calls.replace(temp, path)
    except BaseException as error:
        discard(temp)
        if isinstance(error, OSError):
            raise system_calls.trouble(error, path, "replace the file") from None
        raise
    sync_folder(path.parent)


def move_no_clobber(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Move a file within one disk, durably, and never over another file.

    The new name is on the disk before the old one is removed. So after a crash, the file has two
    names rather than none.
    """
    source, target = Path(source), Path(target)
    try:
        if stat.S_ISLNK(system_calls.lstat(source).st_mode):
            raise BundleError(f"{source} is a symbolic link", hint="remove the link")
        linked = _link_for_move(source, target)
        sync_folder(target.parent)
        if linked:
            system_calls.unlink(source)
    except FileExistsError:
        raise _taken(target) from None
    except OSError as error:
        raise system_calls.trouble(error, source, f"move the file to {target}") from None
    if source.parent != target.parent:
        sync_folder(source.parent)


def _link_for_move(source: Path, target: Path) -> bool:
    if system_calls.link is not None and not system_calls.WINDOWS:
        try:
            system_calls.link(source, target)
        except OSError as error:
            if error.errno not in system_calls.NO_LINKS:
                raise
        else:
            return True
    _name_without_links(source, target)
    return False


def remove(path: str | os.PathLike[str]) -> None:
    """Remove a file durably, if there is one."""
    if _unlink(path, "remove the file"):
        sync_folder(Path(path).parent)


def _unlink(path: str | os.PathLike[str], purpose: str) -> bool:
    """Remove a file; return whether there was one."""
    try:
        system_calls.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise system_calls.trouble(error, path, purpose) from None
    return True


def read_first_line(path: str | os.PathLike[str], *, limit: int, seconds: float) -> bytes:
    """Read the first line of a file or a pipe from another program.

    A pipe (``<(command)``, ``/dev/stdin``, a named pipe) is read once, up to the end of its first
    line, and only for a limited time.

    Parameters
    ----------
    path : path
        A file, also through a symbolic link; a pipe; a device other than a terminal.
    limit : int
        The maximum length of the line in bytes.
    seconds : float
        The maximum time to wait.

    Returns
    -------
    bytes
        The line without its line end; the whole content if it has no line end.

    Raises
    ------
    BundleError
        If it cannot be read, is a terminal, is longer, or does not arrive in time.
    """
    try:
        descriptor = system_calls.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        raise system_calls.trouble(error, path, "read the file") from None
    try:
        if os.isatty(descriptor):
            raise BundleError(f"{path} is a terminal", hint="leave the option out to be asked")
        return _first_line(descriptor, path, limit, time.monotonic() + seconds)
    except OSError as error:
        raise system_calls.trouble(error, path, "read the file") from None
    finally:
        system_calls.close(descriptor)


def _first_line(
    descriptor: int, path: str | os.PathLike[str], limit: int, deadline: float
) -> bytes:
    data = b""
    is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    while b"\n" not in data and len(data) <= limit:
        # Pipes on Windows are different: they are not files.
        if is_pipe and not select.select([descriptor], [], [], deadline - time.monotonic())[0]:
            raise BundleError(f"{path}: nothing came in time", hint="see what writes to that pipe")
        if not (part := os.read(descriptor, limit + 1 - len(data))):
            break
        data += part
    line = data.partition(b"\n")[0]
    if len(line) > limit:
        raise BundleError(
            f"{path}: the first line is longer than {limit:,} bytes", hint="give another file"
        )
    return line.removesuffix(b"\r")


def read(path: str | os.PathLike[str], *, limit: int = 1 << 20) -> bytes:
    """Read a whole file of at most `limit` bytes, not through a symbolic link.

    Raises
    ------
    BundleError
        If it is missing, a link, not a regular file, too large, or the system refuses.
    """
    try:
        with open_plain(path, follow=False) as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise system_calls.trouble(error, path, "read the file") from None
    if len(data) > limit:
        raise BundleError(f"{path} is larger than {limit} bytes", hint="is it lyncnb's own file?")
    return data


def is_missing(path: str | os.PathLike[str]) -> bool:
    """Return whether a file does not exist; one on a share that does not respond exists."""
    try:
        system_calls.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def open_plain(path: str | os.PathLike[str], *, follow: bool = True) -> BinaryIO:
    """Open a regular file for reading; reject a named pipe or a device without waiting.

    Parameters
    ----------
    path : path
        The file.
    follow : bool, optional
        Whether the name may be a symbolic link.

    Raises
    ------
    BundleError
        If it is not a regular file.
    OSError
        If the system refuses.
    """
    flags = system_calls.READ & ~(getattr(os, "O_NOFOLLOW", 0) if follow else 0)
    descriptor = system_calls.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        system_calls.close(descriptor)
        raise BundleError(
            f"{path} is not a regular file", hint="name an ordinary file, or move it away"
        )
    return os.fdopen(descriptor, "rb")


def read_named(path: str | os.PathLike[str], *, limit: int, error: type[LyncnbError]) -> bytes:
    """Read a regular file whose name a planner gave.

    Parameters
    ----------
    path : path
        The file.
    limit : int
        Its maximum size in bytes.
    error : type
        The type of error to raise.

    Raises
    ------
    LyncnbError
        Of this type, if it cannot be read, is not a regular file, or is larger.
    """
    try:
        with open_plain(path) as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as failed:
        reason = failed.strerror if isinstance(failed, OSError) else str(failed)
        raise error(f'cannot read "{path}": {reason}', hint="look at the path") from None
    except BundleError as refused:
        raise error(refused.message, hint=refused.hint) from None
    if len(data) > limit:
        raise error(f"{path} has more than {limit:,} bytes", hint="is it the right file?")
    return data


def stale_temps(folder: str | os.PathLike[str]) -> tuple[Path, ...]:
    """List the temporary files of interrupted runs; call it only with the lock."""
    return tuple(sorted(Path(folder).glob(TEMP_PREFIX + "*")))


def remove_stale(folder: str | os.PathLike[str]) -> int:
    """Remove incomplete files of interrupted runs from a folder and the folders in it.

    Returns
    -------
    int
        The number of files.
    """
    temps = (
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if name.startswith(TEMP_PREFIX)
    )
    return sum(_unlink(temp, "remove the half-written file") for temp in temps)


# Write many new files, sync them together, then name them in order.

# 16 threads share the journal's commits. This takes a third of the time of one fsync after another
# (ext4: 73 us a file instead of 250). Unlike a sync of the whole disk, it reports the error of each
# file.
_SYNC_THREADS = 16


class FileBatch:
    """Write many new files, sync them together, then give them their names.

    All files of an earlier `stage` have their names on the disk before a file of a later stage
    gets its name. With keys in stage 0 and requests in stage 1, every request has its key. Use it
    as a context manager, which removes files that are not committed. For one thread only.
    """

    def __init__(self) -> None:
        self._files: dict[int, list[tuple[Path, Path]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._files.values()))

    def __enter__(self) -> FileBatch:
        return self

    def __exit__(self, *exception: object) -> None:
        self.discard()

    def add(
        self, path: str | os.PathLike[str], data: bytes, mode: int = 0o600, *, stage: int = 0
    ) -> None:
        """Write `data` to a temporary file, which is not durable yet."""
        path = Path(path)
        temp = write_temp(path, data, mode, sync=False)
        self._files.setdefault(stage, []).append((temp, path))

    def commit(self) -> None:
        """Write all files to the disk, then name them, stage by stage.

        Raises
        ------
        BundleError
            If a file cannot be synced, or a name is taken. In the first case no file gets its
            name, in the second case files that already have their names stay. Temporary files are
            removed.
        """
        try:
            self._sync_all()
            for stage in sorted(self._files):
                for temp, path in self._files[stage]:
                    give_name(temp, path)
                for folder in {path.parent for _, path in self._files[stage]}:
                    sync_folder(folder)
            self._files.clear()
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove the files that are not committed."""
        for stage in self._files.values():
            for temp, _ in stage:
                discard(temp)
        self._files.clear()

    def _sync_all(self) -> None:
        pairs = [pair for stage in self._files.values() for pair in stage]
        flags = os.O_RDWR if system_calls.WINDOWS else system_calls.READ
        with ThreadPoolExecutor(_SYNC_THREADS, "lyncnb-sync") as pool:
            results = [(path, pool.submit(sync, temp, flags)) for temp, path in pairs]
            for path, result in results:
                error = result.exception()
                if isinstance(error, OSError):
                    raise system_calls.trouble(error, path, "sync the file")
                result.result()
