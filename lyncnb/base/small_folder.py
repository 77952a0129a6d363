"""A folder of a few files that belong together. Knows no certificates.

A new folder gets its name when all files are on the disk. Files that are there are replaced one by
one, after all new ones are on the disk. The visible files are what counts: a hidden folder that a
stopped program of an earlier version left, or that somebody put there, is never read. Other files
in the folder are left alone. No lock: what travels in version control should hold nothing else.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from ..errors import BundleError
from . import files, system_calls
from .pasted_text import shown

# Earlier versions kept files here until they were moved; removed with the next change.
_LEFT_OVER = f"{files.TEMP_PREFIX}next"

_FILE_MODE, _FOLDER_MODE = 0o644, 0o755
_TRIES = 5
_STALE = 3600  # seconds; nobody writes a few files for so long


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Make a folder with these files, whole or not at all.

    Parameters
    ----------
    folder : Path
        Nothing may have its name; the folder that it is made in is made if it is not there.
    contents : mapping of str to bytes
        By name, the whole content.

    Raises
    ------
    BundleError
        If the name is taken, or the system refuses.
    """
    _make_parents(folder.parent)
    _sweep(folder.parent, contents)
    staged = _stage(folder.parent, contents)
    try:
        if os.path.lexists(folder):  # else an empty folder would be replaced
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        system_calls.rename(staged, folder)
    except BaseException as error:
        _drop(staged, contents)
        if not isinstance(error, OSError):
            raise
        if os.path.lexists(folder):
            raise BundleError(
                f"{folder} is already there and was left alone", hint="take another name"
            ) from None
        raise system_calls.trouble(error, folder, "give the folder its name") from None
    files.sync_folder(folder.parent)


def replace_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Put files in place of those that a folder has.

    Raises
    ------
    BundleError
        If the system refuses. Each file is then whole, as it was or as it is to be.
    """
    _sweep(folder.parent, contents)
    staged = _stage(folder.parent, contents)
    try:
        for name in contents:
            system_calls.replace(staged / name, folder / name)
    except OSError as error:
        raise system_calls.trouble(error, folder, "replace files") from None
    finally:
        _drop(staged, contents)
    files.sync_folder(folder)
    _drop(folder / _LEFT_OVER, contents)


def read_files(folder: Path, names: Collection[str], *, limit: int) -> dict[str, bytes]:
    """Read files of a folder as they were at one moment.

    Parameters
    ----------
    folder : Path
        Not through a symbolic link.
    names : collection of str
        What to read; what is not there is left out.
    limit : int
        Bytes that each may have.

    Raises
    ------
    BundleError
        If the folder is none, or a file is no ordinary one, too large, or cannot be read.
    """
    found: dict[str, bytes] = {}
    for _ in range(_TRIES):
        before = _moment(folder)
        found = dict(_read_each(folder, names, limit))
        if _moment(folder) == before:
            break
    return found


def _read_each(folder: Path, names: Collection[str], limit: int) -> Iterator[tuple[str, bytes]]:
    for name in names:
        if os.path.lexists(folder / name):
            with suppress(FileNotFoundError):
                yield name, files.read(folder / name, limit=limit)


def _moment(folder: Path) -> int:
    """Give when names in a folder changed last."""
    try:
        facts = system_calls.lstat(folder)
    except OSError as error:
        raise system_calls.trouble(error, folder, "look at the folder") from None
    except ValueError:  # a character that no name can hold
        raise BundleError(
            f"{shown(str(folder))} is the name of no folder", hint="type it again"
        ) from None
    if not stat.S_ISDIR(facts.st_mode):
        raise BundleError(f"{folder} is no folder", hint="give the path of a folder, not of a link")
    return facts.st_mtime_ns


def rename_folder(folder: Path, target: Path) -> None:
    """Give a folder another name beside it, never that of another one.

    Raises
    ------
    BundleError
        If the name is taken, or the system refuses.
    """
    try:
        # A name in other letters of the same folder is not another folder.
        if os.path.lexists(target) and not os.path.samefile(folder, target):
            raise BundleError(f"{target} is already there", hint="take another name")
        system_calls.rename(folder, target)
    except OSError as error:
        raise system_calls.trouble(error, folder, "rename the folder") from None
    files.sync_folder(folder.parent)


def remove_folder(folder: Path, names: Collection[str]) -> None:
    """Remove a folder that holds nothing but these files, as one step.

    Raises
    ------
    BundleError
        If it holds something else, or the system refuses; then it is there as it was.
    """
    others = sorted(set(_listed(folder)) - {*names})
    others = [name for name in others if not name.startswith(files.TEMP_PREFIX)]
    if others:
        raise BundleError(
            f"{folder} holds other files, too: {', '.join(others[:5])}",
            hint="move them away first; nothing was removed",
        )
    gone = folder.parent / files.temp_name()
    try:
        system_calls.rename(folder, gone)
    except OSError as error:
        raise system_calls.trouble(error, folder, "remove the folder") from None
    files.sync_folder(folder.parent)
    _drop(gone, names)


def _stage(parent: Path, contents: Mapping[str, bytes]) -> Path:
    """Write the files into a folder of a temporary name."""
    staged = parent / files.temp_name()
    try:
        system_calls.mkdir(staged, _FOLDER_MODE)
    except OSError as error:
        raise system_calls.trouble(error, staged, "make the folder") from None
    try:
        for name, data in contents.items():
            temp = files.write_temp(staged / name, data, _FILE_MODE, sync=True)
            system_calls.rename(temp, staged / name)  # here nobody else has a name
        files.sync_folder(staged)
    except BaseException as error:
        _drop(staged, contents)
        if isinstance(error, OSError):
            raise system_calls.trouble(error, staged, "write the files") from None
        raise
    return staged


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise system_calls.trouble(error, folder, "list the folder") from None


def _drop(staged: Path, names: Collection[str]) -> None:
    """Remove a folder of a temporary name; what stays is found by its name next time."""
    for place in (staged / _LEFT_OVER, staged):
        for name in names:
            files.discard(place / name)
        with suppress(OSError):
            for temp in files.stale_temps(place):
                if temp.name != _LEFT_OVER:
                    files.discard(temp)
            system_calls.rmdir(place)


def _sweep(parent: Path, names: Collection[str]) -> None:
    """Remove what stopped programs left, by the disk's own clock."""
    temps = files.stale_temps(parent)
    with suppress(OSError):
        now = max((system_calls.lstat(path).st_mtime for path in (parent, *temps)), default=0.0)
        for path in temps:
            if now - system_calls.lstat(path).st_mtime > _STALE:
                _drop(path, names)


def _make_parents(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise system_calls.trouble(error, folder, "make the folder") from None
