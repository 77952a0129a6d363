"""Read and write a folder that contains a few text files.

A new folder gets its final name when all its files are on the disk. Later, ``files.replace_file``
replaces each file separately. lyncnb never reads hidden files, such as those of an interrupted
program. There is no lock file, because a folder in version control should not contain one.
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

#: All users can read the files, as is usual for files under version control.
FILE_MODE = 0o644
_FOLDER_MODE = 0o755


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Create a folder with a few text files. If this fails, no folder is created.

    Parameters
    ----------
    folder : Path
        The new folder. lyncnb creates the parent folder if necessary.
    contents : mapping of str to bytes
        The content of each file, by file name.

    Raises
    ------
    BundleError
        If the name exists, or the system reports an error.
    """
    staged = folder.with_name(files.make_temporary_name())
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        system_calls.mkdir(staged, _FOLDER_MODE)
        for name, data in contents.items():
            files.write_new_file(staged / name, data, FILE_MODE)
        # An existing empty folder must not be replaced, but rename() would replace it.
        if os.path.lexists(folder):
            raise BundleError(
                f"{folder} already exists, so lyncnb did not change it", hint="choose another name"
            )
        system_calls.rename(staged, folder)
    except BaseException as error:
        shutil.rmtree(staged, ignore_errors=True)
        if isinstance(error, OSError):
            raise system_calls.describe_error(error, folder, "create the folder") from None
        raise
    files.sync_folder(folder.parent)


def read_files(folder: Path, names: Collection[str], *, limit: int) -> dict[str, bytes]:
    """Read some of the files in a folder.

    Parameters
    ----------
    folder : Path
        A folder, not a symbolic link to a folder.
    names : collection of str
        The names of the files to read. The result omits missing files.
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
        raise system_calls.describe_error(error, folder, "access the folder") from None
    except ValueError:  # The path contains a character that is not allowed in paths.
        raise BundleError(
            f"{shown(str(folder))} is not a valid folder name",
            hint="enter the folder name again",
        ) from None
    if not stat.S_ISDIR(mode):
        raise BundleError(
            f"{folder} is not a folder",
            hint="use the path of the folder itself, not the path of a link to the folder",
        )
    present = [name for name in names if os.path.lexists(folder / name)]
    return {name: files.read_file(folder / name, limit=limit) for name in present}


def rename_folder(folder: Path, new_path: Path) -> None:
    """Rename a folder within its parent folder. An existing folder is never replaced.

    Raises
    ------
    BundleError
        If the name exists, or the system reports an error.
    """
    try:
        # On Windows and macOS, two names that differ only in letter case belong to the same folder.
        if os.path.lexists(new_path) and not os.path.samefile(folder, new_path):
            raise BundleError(f"{new_path} already exists", hint="choose another name")
        system_calls.rename(folder, new_path)
    except OSError as error:
        raise system_calls.describe_error(error, folder, "rename the folder") from None
    files.sync_folder(folder.parent)


def remove_folder(folder: Path, names: Collection[str]) -> None:
    """Remove a folder if it contains only the given files and lyncnb's hidden files.

    Raises
    ------
    BundleError
        If the folder contains other files, or the system reports an error. Nothing is then removed.
    """
    renamed_folder = folder.with_name(files.make_temporary_name())
    try:
        others = sorted({*os.listdir(folder)} - {*names})
        others = [name for name in others if not name.startswith(files.TEMP_PREFIX)]
        if others:
            raise BundleError(
                f"{folder} also contains other files: {', '.join(others[:5])}",
                hint=(
                    "lyncnb removed nothing. Move these files to another folder, and then try again"
                ),
            )
        # The folder is renamed before its files are removed, so that a list of scenarios never
        # contains an incomplete scenario.
        system_calls.rename(folder, renamed_folder)
    except OSError as error:
        raise system_calls.describe_error(error, folder, "remove the folder") from None
    shutil.rmtree(renamed_folder, ignore_errors=True)
    files.sync_folder(folder.parent)
