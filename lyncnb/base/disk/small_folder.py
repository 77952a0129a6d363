"""A folder of a few text files.

A new folder gets its name when all its files are on the disk. Later, ``files.replace`` changes each
file separately. Hidden files, such as those of a stopped program, are never read. There is no lock,
because a folder in version control should contain nothing else.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

from ...errors import BundleError
from ..pasted_text import shown
from . import files, system_calls

#: All users may read the files, as in version control.
FILE_MODE = 0o644
_FOLDER_MODE = 0o755


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write a new folder with all of these files, or nothing.

    Parameters
    ----------
    folder : Path
        A name that is free. lyncnb creates its parent if necessary.
    contents : mapping of str to bytes
        The content of each file, by its name.

    Raises
    ------
    BundleError
        If the name is taken, or the system refuses.
    """
    staged = folder.with_name(files.temp_name())
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        system_calls.mkdir(staged, _FOLDER_MODE)
        for name, data in contents.items():
            files.write_new(staged / name, data, FILE_MODE)
        if os.path.lexists(folder):  # rename() would replace an empty folder
            raise BundleError(
                f"{folder} is already there and was left alone", hint="take another name"
            )
        system_calls.rename(staged, folder)
    except BaseException as error:
        shutil.rmtree(staged, ignore_errors=True)
        if isinstance(error, OSError):
            raise system_calls.trouble(error, folder, "make the folder") from None
        raise
    files.sync_folder(folder.parent)


def read_files(folder: Path, names: Collection[str], *, limit: int) -> dict[str, bytes]:
    """Read files of a folder.

    Parameters
    ----------
    folder : Path
        Not through a symbolic link.
    names : collection of str
        The files to read; the result omits missing files.
    limit : int
        The maximum size of a file in bytes.

    Raises
    ------
    BundleError
        If `folder` is not a folder, or a file is not regular, is too large, or cannot be read.
    """
    try:
        mode = system_calls.lstat(folder).st_mode
    except OSError as error:
        raise system_calls.trouble(error, folder, "look at the folder") from None
    except ValueError:  # a character that no name can contain
        raise BundleError(
            f"{shown(str(folder))} is not a valid folder name", hint="enter it again"
        ) from None
    if not stat.S_ISDIR(mode):
        raise BundleError(f"{folder} is no folder", hint="use the path of a folder, not of a link")
    present = [name for name in names if os.path.lexists(folder / name)]
    return {name: files.read(folder / name, limit=limit) for name in present}


def rename_folder(folder: Path, target: Path) -> None:
    """Rename a folder in its parent, never to an existing name.

    Raises
    ------
    BundleError
        If the name is taken, or the system refuses.
    """
    try:
        # The same name in another letter case may be the same folder.
        if os.path.lexists(target) and not os.path.samefile(folder, target):
            raise BundleError(f"{target} is already there", hint="take another name")
        system_calls.rename(folder, target)
    except OSError as error:
        raise system_calls.trouble(error, folder, "rename the folder") from None
    files.sync_folder(folder.parent)


def remove_folder(folder: Path, names: Collection[str]) -> None:
    """Remove a folder that contains only these files and hidden files of lyncnb.

    Raises
    ------
    BundleError
        If it contains something else, or the system refuses. Nothing is then removed.
    """
    gone = folder.with_name(files.temp_name())
    try:
        others = sorted({*os.listdir(folder)} - {*names})
        others = [name for name in others if not name.startswith(files.TEMP_PREFIX)]
        if others:
            raise BundleError(
                f"{folder} also contains other files: {', '.join(others[:5])}",
                hint="move them away first; nothing was removed",
            )
        system_calls.rename(folder, gone)  # so the list never shows an incomplete scenario
    except OSError as error:
        raise system_calls.trouble(error, folder, "remove the folder") from None
    shutil.rmtree(gone, ignore_errors=True)
    files.sync_folder(folder.parent)
