"""Write files completely or not at all, without overwriting other files, and set file modes.

A file gets its final name only after its content is on the disk. lyncnb writes a temporary file in
the same folder, syncs it, creates a link with the final name (which cannot overwrite a file), and
syncs the folder. After a crash, the file is therefore complete or does not exist.
"""

from __future__ import annotations

import codecs
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
from ..pasted_text import shown
from ..terminal import is_terminal_file
from . import folder_access, system_calls, windows_access
from .file_names import find_reserved_name

TEMP_PREFIX = ".tmp-lyncnb-"


def check_folder(path: str | os.PathLike[str], *, is_reading: bool = False) -> None:
    """Raise an error for a symbolic link, a file, or a folder to which other users can write.

    The members of a team can write to a team folder. A folder that lyncnb only reads can belong to
    any user.

    Raises
    ------
    BundleError
        With a hint. Other users with write permission could replace the keys in the folder.
    """
    try:
        status = system_calls.lstat(path)
    except (OSError, ValueError) as error:
        raise system_calls.describe_error(error, path, "access the folder") from None
    if stat.S_ISLNK(status.st_mode):
        raise BundleError(
            f'"{path}" is a symbolic link',
            hint="use the path of the folder itself, not the path of a link to the folder",
        )
    if not stat.S_ISDIR(status.st_mode):
        raise BundleError(f'"{path}" is a file, not a folder', hint="use the path of a folder")
    reject_unreadable_folder(path)
    folder_access.check_access(path, status, is_reading=is_reading)


def reject_unreadable_folder(path: str | os.PathLike[str]) -> None:
    """Raise BundleError for a folder whose content the user has no permission to read.

    For the files in such a folder, ``os.path.lexists`` returns False, as if they did not exist.
    """
    try:
        os.lstat(path)
        os.listdir(path)
    except PermissionError as error:
        raise system_calls.describe_error(error, path, "read the folder") from None
    except (OSError, ValueError):
        pass  # The folder does not exist, or its name is not valid.


def make_folder(path: str | os.PathLike[str], mode: int = 0o700) -> None:
    """Create a folder durably, or restrict the permissions of an existing folder to `mode`.

    Raises
    ------
    BundleError
        If the folder cannot be created, or :func:`check_folder` rejects the existing folder.
    """
    path = Path(path)
    if system_calls.WINDOWS and (name := find_reserved_name(path)):
        raise BundleError(
            f"{shown(name)} in {shown(os.fspath(path))} is reserved on Windows",
            hint="choose another name",
        )
    mode = folder_access.choose_folder_mode(path.parent, mode)
    try:
        system_calls.mkdir(path, mode)
        if system_calls.WINDOWS and not mode & 0o077:
            windows_access.restrict_access(path)
        folder_access.set_access_rights(path, is_folder=True)
    except FileExistsError:
        check_folder(path)
    except (OSError, ValueError) as error:
        raise system_calls.describe_error(error, path, "create the folder") from None
    else:
        sync_folder(path.parent)
    try:
        current = stat.S_IMODE(system_calls.lstat(path).st_mode)
        if not mode & 0o077:
            windows_access.restrict_private_folder(path)
        is_shut = system_calls.WINDOWS or folder_access.is_team_mode(current)
        if not is_shut and current & ~mode & 0o777:
            with suppress(PermissionError):
                system_calls.chmod(path, current & mode)
            # Some disks reject or ignore chmod(). Such a disk has the same permissions for all
            # folders.
            excess_mode = system_calls.lstat(path).st_mode & ~mode & 0o077
            if excess_mode and not folder_access.ignores_file_modes(path):
                raise BundleError(
                    f"other users can still access {path} (mode {stat.S_IMODE(current):04o})",
                    hint=f"as the owner of the folder, run chmod {mode:o} '{path}'",
                )
    except OSError as error:
        raise system_calls.describe_error(error, path, "set the folder's permissions") from None


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Write the entries of a folder to the disk. Windows has no function for this."""
    if system_calls.WINDOWS:
        return
    try:
        sync_file(path, os.O_RDONLY)
    except OSError as error:
        if error.errno not in system_calls.NO_FOLDER_SYNC:
            raise system_calls.describe_error(error, path, "flush the folder to disk") from None


def sync_file(path: str | os.PathLike[str], flags: int) -> None:
    """Write the content of an open file to the disk. If this fails, raise OSError."""
    descriptor = system_calls.open(path, flags)
    try:
        system_calls.fsync(descriptor)
    finally:
        system_calls.close(descriptor)


def write_temporary_file(path: Path, data: bytes, mode: int, *, sync: bool) -> Path:
    """Write `data` to a temporary file in the folder of `path`. If this fails, remove the file."""
    temp = path.with_name(make_temporary_name())
    try:
        mode = folder_access.choose_file_mode(path.parent, mode)
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
        discard_temporary_file(temp)
        if isinstance(error, OSError):
            raise system_calls.describe_error(error, path, "write the file") from None
        raise
    return temp


def make_temporary_name() -> str:
    """Return a unique name for a temporary file. Later runs recognize the name."""
    return TEMP_PREFIX + secrets.token_hex(8)


def discard_temporary_file(temporary_path: Path) -> None:
    """Remove a temporary file. If this fails, the next run of lyncnb removes the file."""
    with suppress(OSError):
        system_calls.unlink(temporary_path)


def set_final_name(temporary_path: Path, path: Path) -> None:
    """Give a complete temporary file its final name, without overwriting another file."""
    try:
        if system_calls.link is None or system_calls.WINDOWS:
            # On Windows, rename() fails if the new name already exists.
            system_calls.rename(temporary_path, path)
            return
        try:
            system_calls.link(temporary_path, path)
        except OSError as error:
            if error.errno not in system_calls.NO_LINKS:
                raise
            _rename_to_free_name(temporary_path, path)
            return
    except FileExistsError:
        raise _name_exists(path) from None
    except OSError as error:
        raise system_calls.describe_error(error, path, "rename the temporary file") from None
    discard_temporary_file(temporary_path)


def _rename_to_free_name(temporary_path: Path, path: Path) -> None:
    # Between lstat() and rename(), another program could create a file with the same name. Another
    # lyncnb process waits for the lock on the folder, so it cannot do this.
    with suppress(FileNotFoundError):
        system_calls.lstat(path)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    system_calls.rename(temporary_path, path)


def _name_exists(path: Path) -> BundleError:
    return BundleError(
        f"{path} already exists, so lyncnb did not change it",
        hint=(
            "if lyncnb did not create this file, move the file out of the folder, and "
            "then try again"
        ),
    )


def write_new_file(path: str | os.PathLike[str], data: bytes, mode: int = 0o600) -> None:
    """Write a new file completely, or not at all. An existing file is not overwritten.

    Parameters
    ----------
    path : path
        The file, in an existing folder.
    data : bytes
        The complete content.
    mode : int, optional
        The file mode, from which the system removes the bits of the umask.

    Raises
    ------
    BundleError
        If the name exists, even as a symbolic link, or the system reports an error.
    """
    path = Path(path)
    temp = write_temporary_file(path, data, mode, sync=True)
    try:
        set_final_name(temp, path)
    except BaseException:
        discard_temporary_file(temp)
        raise
    sync_folder(path.parent)


def replace_file(path: str | os.PathLike[str], data: bytes, mode: int = 0o600) -> None:
    """Write a file completely and durably, and replace an existing file.

    Raises
    ------
    BundleError
        If the name is a symbolic link, or the system reports an error. The old content is then
        kept.
    """
    path = Path(path)
    if path.is_symlink():
        raise BundleError(
            f"{path} is a symbolic link", hint="check the link's target, then remove the link"
        )
    temp = write_temporary_file(path, data, mode, sync=True)
    try:
        system_calls.replace(temp, path)
    except BaseException as error:
        discard_temporary_file(temp)
        if isinstance(error, OSError):
            raise system_calls.describe_error(error, path, "replace the file") from None
        raise
    sync_folder(path.parent)


def move_file(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Move a file on the same disk durably, without overwriting another file.

    The new name is on the disk before the old name is removed. After a crash, the file can have
    both
    names, but it always has one.
    """
    source, target = Path(source), Path(target)
    try:
        if stat.S_ISLNK(system_calls.lstat(source).st_mode):
            raise BundleError(f"{source} is a symbolic link", hint="remove the link")
        linked = _link_or_rename(source, target)
        sync_folder(target.parent)
        if linked:
            system_calls.unlink(source)
    except FileExistsError:
        raise _name_exists(target) from None
    except OSError as error:
        raise system_calls.describe_error(error, source, f"move the file to {target}") from None
    if source.parent != target.parent:
        sync_folder(source.parent)


def _link_or_rename(source: Path, target: Path) -> bool:
    if system_calls.link is not None and not system_calls.WINDOWS:
        try:
            system_calls.link(source, target)
        except OSError as error:
            if error.errno not in system_calls.NO_LINKS:
                raise
        else:
            return True
    _rename_to_free_name(source, target)
    return False


def remove_file(path: str | os.PathLike[str]) -> None:
    """Remove a file durably, if it exists."""
    if _unlink(path, "remove the file"):
        sync_folder(Path(path).parent)


def _unlink(path: str | os.PathLike[str], purpose: str) -> bool:
    """Remove a file, and return whether it existed."""
    try:
        system_calls.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise system_calls.describe_error(error, path, purpose) from None
    return True


def read_first_line(path: str | os.PathLike[str], *, limit: int, seconds: float) -> bytes:
    """Read the first line of a file, or of a pipe to which another program writes.

    A pipe (``<(command)``, ``/dev/stdin``, or a named pipe) is read once, up to the end of the
    first
    line and for a limited time.

    Parameters
    ----------
    path : path
        A file, a symbolic link to a file, a pipe, or a device other than a terminal.
    limit : int
        The maximum length of the line in bytes.
    seconds : float
        The maximum time to wait.

    Returns
    -------
    bytes
        The line without the line end, in UTF-8 if the file is in UTF-16 with a byte order mark.
        Without a line end, the complete content.

    Raises
    ------
    BundleError
        If the file is a terminal or cannot be read, or the line is too long or does not arrive in
        time.
    """
    try:
        descriptor = system_calls.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        raise system_calls.describe_error(error, path, "read the file") from None
    try:
        if is_terminal_file(descriptor):
            raise BundleError(
                f"{path} is a terminal",
                hint="omit the option. lyncnb then prompts you for the value",
            )
        return _read_line(descriptor, path, limit, time.monotonic() + seconds)
    except OSError as error:
        raise system_calls.describe_error(error, path, "read the file") from None
    finally:
        system_calls.close(descriptor)


# PowerShell 5.1 writes redirected output (``>``) in UTF-16.
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _read_line(descriptor: int, path: str | os.PathLike[str], limit: int, deadline: float) -> bytes:
    data = b""
    is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    while (data[:2] in _UTF_16 or b"\n" not in data) and len(data) <= limit:
        # On Windows, select() works only with sockets, not with pipes.
        if is_pipe and not select.select([descriptor], [], [], deadline - time.monotonic())[0]:
            raise BundleError(
                f"{path}: no data arrived within the time limit",
                hint="check the program that writes to this pipe",
            )
        if not (part := os.read(descriptor, limit + 1 - len(data))):
            break
        data += part
    if data[:2] in _UTF_16:
        with suppress(UnicodeDecodeError):
            data = data.decode("utf-16").encode()
    line = data.partition(b"\n")[0]
    if len(line) > limit:
        raise BundleError(
            f"{path}: the first line is longer than {limit:,} bytes", hint="specify another file"
        )
    return line.removesuffix(b"\r")


def read_file(path: str | os.PathLike[str], *, limit: int = 1 << 20) -> bytes:
    """Read a complete file of at most `limit` bytes. A symbolic link is not followed.

    Raises
    ------
    BundleError
        If the file is missing, a link, not a regular file, or too large, or the system reports an
        error.
    """
    try:
        with open_plain(path, follow_links=False) as file:
            data = _read_at_most(file, limit + 1)
    except (OSError, ValueError) as error:
        raise system_calls.describe_error(error, path, "read the file") from None
    if len(data) > limit:
        raise BundleError(
            f"{path} is larger than {limit} bytes", hint="check whether lyncnb created this file"
        )
    return data


def is_missing(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is missing. If a network share does not respond, return False."""
    try:
        system_calls.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def open_plain(path: str | os.PathLike[str], *, follow_links: bool = True) -> BinaryIO:
    """Open a regular file for reading. A named pipe or a device is rejected without waiting.

    Parameters
    ----------
    path : path
        The file.
    follow_links : bool, optional
        Whether the path can be a symbolic link.

    Raises
    ------
    BundleError
        If the path is not a regular file.
    OSError
        If the system reports an error.
    """
    flags = system_calls.READ & ~(getattr(os, "O_NOFOLLOW", 0) if follow_links else 0)
    descriptor = system_calls.open(path, flags)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        system_calls.close(descriptor)
        kind = "a folder, not a file" if stat.S_ISDIR(mode) else "not a regular file"
        raise BundleError(
            f'"{path}" is {kind}',
            hint="specify a regular file, or move this item to another folder",
        )
    return os.fdopen(descriptor, "rb")


def read_specified_file(
    path: str | os.PathLike[str], *, limit: int, error_class: type[LyncnbError]
) -> bytes:
    """Read a regular file that the user has specified.

    Parameters
    ----------
    path : path
        The file.
    limit : int
        The maximum size in bytes.
    error_class : type
        The type of the error to raise.

    Raises
    ------
    LyncnbError
        An error of this type, if the file cannot be read, is not regular, or is too large.
    """
    try:
        with open_plain(path) as file:
            data = _read_at_most(file, limit + 1)
    except (OSError, ValueError) as failed:
        is_used = isinstance(failed, OSError) and system_calls.is_file_in_use_error(failed)
        reason = failed.strerror if isinstance(failed, OSError) else str(failed)
        hint = system_calls.IN_USE_HINT if is_used else "check the path"
        raise error_class(f'cannot read "{path}": {reason}', hint=hint) from None
    except BundleError as refused:
        raise error_class(refused.message, hint=refused.hint) from None
    if len(data) > limit:
        raise error_class(
            f"{path} is larger than {limit:,} bytes",
            hint=("check whether you specified the correct file"),
        )
    return data


_PIECE = 1 << 20


def _read_at_most(file: BinaryIO, size: int) -> bytes:
    # Read the file in pieces. A single read of `size` bytes would allocate that much memory, even
    # for a small file.
    pieces: list[bytes] = []
    while size > 0 and (piece := file.read(min(size, _PIECE))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def find_stale_files(folder: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Return the temporary files that interrupted runs have left in a folder.

    The caller must lock the folder.
    """
    return tuple(sorted(Path(folder).glob(TEMP_PREFIX + "*")))


def remove_stale_files(folder: str | os.PathLike[str]) -> int:
    """Remove the temporary files of interrupted runs from a folder and its subfolders.

    Returns
    -------
    int
        The number of removed files.
    """
    temps = (
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if name.startswith(TEMP_PREFIX)
    )
    return sum(_unlink(temp, "remove the incomplete file") for temp in temps)


# The class FileBatch creates many new files, syncs them to the disk together, and then gives them
# their final names in order.

# The number of threads that sync files. With 16 threads, the file system writes several files in
# one commit of the journal. This takes a third of the time of separate fsync calls (on ext4, 73
# instead of 250 microseconds per file). sync() would write all pending data of every disk, and
# would not report errors for individual files.
_SYNC_THREADS = 16


class FileBatch:
    """A batch of new files that are written, synced together, and then given their final names.

    All files in an earlier `stage` have their names on the disk before a file in a later stage gets
    its name. With keys in stage 0 and requests in stage 1, a request never exists without its key.
    Use the object as a context manager, in a single thread. At the end of the ``with`` block, files
    that are not committed are removed.
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
        """Write `data` to a temporary file that is not synced yet."""
        path = Path(path)
        temp = write_temporary_file(path, data, mode, sync=False)
        self._files.setdefault(stage, []).append((temp, path))

    def commit(self) -> None:
        """Write all files to the disk, then give them their final names, stage by stage.

        Raises
        ------
        BundleError
            If a file cannot be synced, or a name exists. In the first case, no file gets its final
            name.
            In the second case, files that already have their names are kept. Temporary files are
            removed.
        """
        try:
            self._sync_all_files()
            for stage in sorted(self._files):
                for temp, path in self._files[stage]:
                    set_final_name(temp, path)
                for folder in {path.parent for _, path in self._files[stage]}:
                    sync_folder(folder)
            self._files.clear()
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove the temporary files to which :meth:`commit` has not given a final name."""
        for stage in self._files.values():
            for temp, _ in stage:
                discard_temporary_file(temp)
        self._files.clear()

    def _sync_all_files(self) -> None:
        pairs = [pair for stage in self._files.values() for pair in stage]
        flags = os.O_RDWR if system_calls.WINDOWS else system_calls.READ
        with ThreadPoolExecutor(_SYNC_THREADS, "lyncnb-sync") as pool:
            results = [(path, pool.submit(sync_file, temp, flags)) for temp, path in pairs]
            for path, result in results:
                error = result.exception()
                if isinstance(error, OSError):
                    raise system_calls.describe_error(error, path, "flush the file to disk")
                result.result()
