"""Set the owner and permissions of files that lyncnb creates in a folder.

A folder belongs to its owner only (mode 0700) or to a team (mode 2770). In a team folder, new
folders have mode 2770, new files have mode 0660, and all belong to the team's group. If root
creates a file in another user's folder, lyncnb changes the owner to that user, so that the user can
still use the folder after a run with ``sudo``.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ...errors import BundleError
from . import system_calls

with suppress(ImportError):  # The Python module grp does not exist on Windows.
    import grp

TEAM_MODE = 0o2770
TEAM_FILE = 0o660
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# O_TMPFILE exists only on Linux. On other systems, the flag O_DIRECTORY makes this call fail, so
# lyncnb tests the disk with a named file instead.
_NAMELESS = os.O_RDWR | getattr(os, "O_TMPFILE", getattr(os, "O_DIRECTORY", 0))
_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class _Rule:
    """The owner and the group that new files and subfolders of a folder get.

    The value -1 means the current user.
    """

    is_team: bool
    owner: int
    group: int


# The owner and group for each folder to which this process writes, by the real path of the folder.
_rules: dict[str, _Rule] = {}


def is_team_mode(mode: int) -> bool:
    """Return whether a folder's mode is that of a team folder. Only lyncnb sets this mode."""
    return stat.S_IMODE(mode) == TEAM_MODE


def check_access(path: str | os.PathLike[str], status: os.stat_result, *, is_reading: bool) -> None:
    """Raise an error for a folder to which users other than its owner or team can write.

    Parameters
    ----------
    path : path
        The folder.
    status : stat_result
        The status of the folder, from ``lstat``.
    is_reading : bool
        Whether lyncnb only reads the folder, which can then belong to any user.

    Raises
    ------
    BundleError
        With a hint.
    """
    if system_calls.WINDOWS or is_team_mode(status.st_mode):
        return
    if status.st_mode & _OTHERS_WRITE and not ignores_file_modes(path):
        raise BundleError(
            f"other users can write to the folder {path} (mode {stat.S_IMODE(status.st_mode):04o})",
            hint=f"check that nobody changed the files, and then run: chmod go-w '{path}'",
        )
    if (
        not is_reading
        and status.st_uid not in (system_calls.find_user_id(), 0)
        and system_calls.find_user_id() != 0
    ):
        raise BundleError(
            f"the folder {path} belongs to another user (user ID {status.st_uid})",
            hint=(
                "ask the owner of the folder to run this command, or to create a team "
                "folder with lyncnb request --team"
            ),
        )


def ignores_file_modes(folder: str | os.PathLike[str]) -> bool:
    """Return whether the disk gives every file the same mode, whatever mode is set.

    exFAT does this, and so do Windows shares and drives with the default mount options. lyncnb
    tests
    this with an unnamed temporary file or, if the disk does not support them, with an empty folder
    that it removes again. If neither is possible, the result is False. The folder does not need to
    exist.
    """
    existing = Path(folder)
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    try:
        descriptor = system_calls.open(existing, _NAMELESS, 0o600)
    except (OSError, ValueError):
        return _is_open_to_all(existing)
    try:
        return bool(os.fstat(descriptor).st_mode & 0o077)
    finally:
        # The test file is empty, so an error in close() does not lose any data.
        with suppress(OSError):
            system_calls.close(descriptor)


def _is_open_to_all(folder: Path) -> bool:
    probe = folder / f".tmp-lyncnb-{os.getpid():x}-{secrets.token_hex(4)}"
    try:
        system_calls.mkdir(probe, 0o700)
    except (OSError, ValueError):
        return False
    try:
        return bool(system_calls.lstat(probe).st_mode & 0o077)
    except OSError:
        return False
    finally:
        with suppress(OSError):
            system_calls.rmdir(probe)


@contextmanager
def share_folder(folder: str | os.PathLike[str]) -> Iterator[None]:
    """In a ``with`` block, give new files the owner and group of their folder."""
    key, before = os.path.realpath(folder), dict(_rules)
    with suppress(OSError):
        status = system_calls.lstat(folder)
        is_given = (
            not system_calls.WINDOWS and system_calls.find_user_id() == 0 and status.st_uid != 0
        )
        if is_given or is_team_mode(status.st_mode):
            owner = status.st_uid if is_given else -1
            _rules[key] = _Rule(is_team_mode(status.st_mode), owner, status.st_gid)
    try:
        yield
    finally:
        _rules.clear()
        _rules.update(before)


def choose_file_mode(folder: str | os.PathLike[str], mode: int) -> int:
    """Return the mode for a new file in a folder: readable by its owner only, or by the team."""
    rule = _find_access_rule(folder)
    return TEAM_FILE if rule is not None and rule.is_team else mode


def choose_folder_mode(folder: str | os.PathLike[str], mode: int) -> int:
    """Return the mode for a new subfolder in a folder: open to its owner only, or to the team."""
    rule = _find_access_rule(folder)
    return TEAM_MODE if rule is not None and rule.is_team else mode


def hand_over(descriptor: int, folder: str | os.PathLike[str], *, is_folder: bool = False) -> None:
    """Set the owner, group, and mode of an open file or folder that this process just created.

    The function uses the file descriptor, because another user who can write to the folder could
    replace the file.

    Raises
    ------
    OSError
        If the system reports an error.
    """
    rule = _find_access_rule(folder)
    if rule is None:
        return
    if rule.owner != -1:
        # Some disks do not store owners, so an error while setting the owner is ignored.
        with suppress(PermissionError):
            system_calls.fchown(descriptor, rule.owner, rule.group)
    # The umask removed some permissions when the file was created, so fchmod() sets them again.
    if rule.is_team:
        system_calls.fchmod(descriptor, TEAM_MODE if is_folder else TEAM_FILE)


def set_access_rights(path: Path, *, is_folder: bool = False) -> None:
    """Set the owner, group, and mode of a closed file or folder that this process created.

    Raises
    ------
    OSError
        If the system reports an error.
    """
    if _find_access_rule(path.parent) is None:
        return
    descriptor = system_calls.open(path, _FOLDER if is_folder else _FILE)
    try:
        status = os.fstat(descriptor)
        if status.st_uid == system_calls.find_user_id() and (is_folder or status.st_nlink == 1):
            hand_over(descriptor, path.parent, is_folder=is_folder)
    finally:
        system_calls.close(descriptor)


def grant_access_to_team(folder: Path, group: str) -> None:
    """Allow the members of a group to use a new folder.

    Raises
    ------
    BundleError
        If the group does not exist, or the system reports an error.
    """
    number = find_group_number(group)
    try:
        descriptor = system_calls.open(folder, _FOLDER)
        try:
            system_calls.fchown(descriptor, -1, number)
            system_calls.fchmod(descriptor, TEAM_MODE)
            status = os.fstat(descriptor)
        finally:
            system_calls.close(descriptor)
    except OSError as error:
        raise system_calls.describe_error(
            error, folder, f"change the group of the folder to {group}"
        ) from None
    if not is_team_mode(status.st_mode) or status.st_gid != number:
        raise BundleError(
            (
                f"{folder}: this disk cannot store the group {group} and the permissions "
                f"{TEAM_MODE:o}"
            ),
            hint="create the folder on another disk",
        )


def remove_folder_access(path: Path) -> bool:
    """Remove the permissions of other users from a folder with the mode 755.

    Returns
    -------
    bool
        Whether the mode was changed. It is not changed if the path is a link, has another mode, or
        belongs to another user, or if the disk does not store modes.
    """
    return _remove_access(path, _FOLDER, stat.S_IFDIR | 0o755, 0o700)


def remove_file_access(path: Path) -> bool:
    """Remove the permissions of other users from a file with the mode 644."""
    return _remove_access(path, _FILE, stat.S_IFREG | 0o644, 0o600)


def _remove_access(path: Path, flags: int, expected_mode: int, new_mode: int) -> bool:
    try:
        if system_calls.lstat(path).st_mode != expected_mode:
            return False
        descriptor = system_calls.open(path, flags)
    except (OSError, ValueError):
        return False
    try:
        status = os.fstat(descriptor)
        # A file with a second hard link can also belong to another folder, so lyncnb does not
        # change its permissions.
        is_own = status.st_uid == system_calls.find_user_id() and (
            flags == _FOLDER or status.st_nlink == 1
        )
        if not is_own or status.st_mode != expected_mode:
            return False
        with suppress(OSError):  # Some disks reject a change of the mode, and others ignore it.
            system_calls.fchmod(descriptor, new_mode)
        return stat.S_IMODE(os.fstat(descriptor).st_mode) == new_mode
    finally:
        with suppress(OSError):  # Nothing was written.
            system_calls.close(descriptor)


def find_group_number(group: str) -> int:
    """Return the number of a group that the user specifies by name or by number.

    Raises
    ------
    BundleError
        If the group does not exist.
    """
    if system_calls.WINDOWS:
        raise BundleError(
            (
                "the option --team is not available on Windows, because folders on Windows "
                "have no group"
            ),
            hint=("omit --team, and set the permissions of the folder with icacls FOLDER /grant"),
        )
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):
        if group.isascii() and group.isdecimal() and len(group) < 10:
            return int(group)
    raise BundleError(
        f'this computer has no group named "{group}"', hint="to list the groups, run getent group"
    )


def find_team_group(folder: str | os.PathLike[str]) -> str:
    """Return the group whose members can write to a team folder, or "" for any other folder."""
    try:
        status = system_calls.lstat(folder)
    except (OSError, ValueError):
        return ""
    if system_calls.WINDOWS or not is_team_mode(status.st_mode):
        return ""
    try:
        return grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        return str(status.st_gid)


def is_team_group(folder: str | os.PathLike[str], group: str) -> bool:
    """Return whether a group, given by name or number, is the team of a folder."""
    status = system_calls.lstat(folder)
    try:
        return bool(group) and find_group_number(group) == status.st_gid
    except BundleError:
        return False


def _find_access_rule(folder: str | os.PathLike[str]) -> _Rule | None:
    if not _rules:
        return None
    path = os.path.realpath(folder)
    for key, rule in _rules.items():
        if path == key or path.startswith(key + os.sep):
            return rule
    return None
