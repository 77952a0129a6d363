"""Warn about request folders in git, in synchronized folders, and on disks without permissions.

A commit or a synchronization program keeps copies, even of keys that are removed from the folder.
On a disk without file permissions, every user of the disk can read and replace the files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ..base.disk import folder_access, system_calls

#: The file that lyncnb writes into each new folder, so that git does not add the folder's files.
IGNORE_NAME, IGNORE_ALL = ".gitignore", b"*\n"

# For each synchronization program, the names of synchronized folders and the files that identify
# them. A folder name can also be part of a longer name, such as "OneDrive - Contoso".
_PROGRAMS: tuple[tuple[str, re.Pattern[str], tuple[str, ...]], ...] = (
    ("OneDrive", re.compile(r"onedrive\b", re.IGNORECASE), ()),
    ("Dropbox", re.compile(r"dropbox\b", re.IGNORECASE), (".dropbox", ".dropbox.cache")),
    ("iCloud", re.compile(r"icloud|mobile documents$|com~apple~clouddocs", re.IGNORECASE), ()),
    ("Google Drive", re.compile(r"google ?drive\b", re.IGNORECASE), ()),
    ("Nextcloud", re.compile(r"nextcloud\b", re.IGNORECASE), (".sync_nextcloud.db",)),
    ("Syncthing", re.compile(r"syncthing\b", re.IGNORECASE), (".stfolder",)),
)


def list_location_warnings(folder: Path) -> tuple[str, ...]:
    """Return warnings about the location of a folder. The folder does not have to exist yet."""
    full_path = Path(os.path.realpath(folder))
    return (*_check_git(full_path), *_check_synchronization(full_path), *_check_disk(full_path))


def _check_git(full_path: Path) -> Iterator[str]:
    for parent in full_path.parents:
        if os.path.lexists(parent / ".git"):
            yield (
                f"{full_path} is in the git working tree {parent}. The file "
                f"{IGNORE_NAME} in the folder prevents git from adding keys. Do not "
                "override this protection. A folder outside the working tree is safer."
            )
            return


def _check_synchronization(full_path: Path) -> Iterator[str]:
    for program, name, marks in _PROGRAMS:
        for parent in (full_path, *full_path.parents):
            if name.match(parent.name) or any(os.path.lexists(parent / mark) for mark in marks):
                yield (
                    f"{full_path} is in a folder that {program} synchronizes. {program} keeps "
                    "copies and earlier versions of files, even of keys that you purge. Two "
                    "computers can also change the folder at the same time. Choose a folder that "
                    "is not synchronized."
                )
                break


def _check_disk(full_path: Path) -> Iterator[str]:
    if not system_calls.WINDOWS and folder_access.ignores_file_modes(full_path):
        yield explain_missing_permissions(full_path)


def explain_missing_permissions(folder: Path) -> str:
    """Explain the risk for private keys on a disk that has no file permissions."""
    return (
        f"The disk that contains {folder} does not support file permissions. Every user "
        "of the disk can read and replace the files, and only the passphrase protects "
        "the keys. Choose a different disk, or mount this disk so that only you have "
        "access (uid=, umask=077)."
    )
