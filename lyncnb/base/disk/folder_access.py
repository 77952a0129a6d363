"""Who owns the files that lyncnb creates in a folder, and who may write there.

A folder belongs to its owner alone (mode 0700) or to a team (mode 2770). In a team's folder, new
folders have mode 2770, new files mode 0660, and all belong to the group. If root creates a file in
another user's folder, lyncnb gives it to that user, so that a run with ``sudo`` locks nobody out.
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

with suppress(ImportError):  # Windows has no such module
    import grp

TEAM_MODE = 0o2770
TEAM_FILE = 0o660
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# Outside Linux this would open a folder for writing, which every system refuses.
_NAMELESS = os.O_RDWR | getattr(os, "O_TMPFILE", getattr(os, "O_DIRECTORY", 0))
_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class _Rule:
    """Owner and group of new files and folders below a folder; -1 keeps the owner."""

    is_team: bool
    owner: int
    group: int


# By the real path of each folder that this process writes and whose owner or modes it sets.
_rules: dict[str, _Rule] = {}


def is_team(mode: int) -> bool:
    """Whether a folder has the mode of a team's folder, which it does not get by accident."""
    return stat.S_IMODE(mode) == TEAM_MODE


def check_access(path: str | os.PathLike[str], found: os.stat_result, *, reading: bool) -> None:
    """Refuse a folder that users other than its owner or a team can write.

    Parameters
    ----------
    path : path
        The folder.
    found : stat_result
        Its status, as ``lstat`` reports it.
    reading : bool
        Whether lyncnb only reads the folder, which may then belong to any user.

    Raises
    ------
    BundleError
        With what to do.
    """
    if system_calls.WINDOWS or is_team(found.st_mode):
        return
    if found.st_mode & _OTHERS_WRITE and not keeps_no_modes(path):
        raise BundleError(
            f"{path} can be written by others (mode {stat.S_IMODE(found.st_mode):04o})",
            hint=f"check its content, then run: chmod go-w '{path}'",
        )
    if not reading and found.st_uid not in (os.geteuid(), 0) and os.geteuid() != 0:
        raise BundleError(
            f"{path} belongs to another user (number {found.st_uid})",
            hint="ask its owner to run this, or to make a folder for a team: lyncnb request --team",
        )


def keeps_no_modes(folder: str | os.PathLike[str]) -> bool:
    """Return whether the disk of a folder, which need not exist, gives every file the same mode.

    exFAT does so, and so do Windows shares and drives with the default mount options. A file
    without a name shows it if the disk supports one. Otherwise lyncnb creates and removes an empty
    folder. If it can create neither, the answer is no.
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
        with suppress(OSError):  # nothing was written, so nothing is lost
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
def sharing(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Give new files and folders below a folder to its owner and its team."""
    key, before = os.path.realpath(folder), dict(_rules)
    with suppress(OSError):
        found = system_calls.lstat(folder)
        is_given = not system_calls.WINDOWS and os.geteuid() == 0 and found.st_uid != 0
        if is_given or is_team(found.st_mode):
            owner = found.st_uid if is_given else -1
            _rules[key] = _Rule(is_team(found.st_mode), owner, found.st_gid)
    try:
        yield
    finally:
        _rules.clear()
        _rules.update(before)


def file_mode(folder: str | os.PathLike[str], mode: int) -> int:
    """Return the mode of a new file in a folder."""
    rule = _rule(folder)
    return TEAM_FILE if rule is not None and rule.is_team else mode


def folder_mode(folder: str | os.PathLike[str], mode: int) -> int:
    """Return the mode of a new folder in a folder."""
    rule = _rule(folder)
    return TEAM_MODE if rule is not None and rule.is_team else mode


def hand_over(descriptor: int, folder: str | os.PathLike[str], *, is_folder: bool = False) -> None:
    """Set owner, group and mode of an open file or folder that was just created in a folder.

    It uses the descriptor: a user who can write the folder could put another file under the name.

    Raises
    ------
    OSError
        If the system refuses.
    """
    rule = _rule(folder)
    if rule is None:
        return
    if rule.owner != -1:
        with suppress(PermissionError):  # a disk without owners
            system_calls.fchown(descriptor, rule.owner, rule.group)
    if rule.is_team:  # sets the bits that the umask removed
        system_calls.fchmod(descriptor, TEAM_MODE if is_folder else TEAM_FILE)


def hand_over_path(path: Path, *, is_folder: bool = False) -> None:
    """Set owner, group and mode of a file or folder of this process that lyncnb did not open.

    Raises
    ------
    OSError
        If the system refuses.
    """
    if _rule(path.parent) is None:
        return
    descriptor = system_calls.open(path, _FOLDER if is_folder else _FILE)
    try:
        found = os.fstat(descriptor)
        if found.st_uid == os.geteuid() and (is_folder or found.st_nlink == 1):
            hand_over(descriptor, path.parent, is_folder=is_folder)
    finally:
        system_calls.close(descriptor)


def give_to_team(folder: Path, group: str) -> None:
    """Open a new folder to a group.

    Raises
    ------
    BundleError
        If there is no such group, or the system refuses.
    """
    number = group_number(group)
    try:
        descriptor = system_calls.open(folder, _FOLDER)
        try:
            system_calls.fchown(descriptor, -1, number)
            system_calls.fchmod(descriptor, TEAM_MODE)
            found = os.fstat(descriptor)
        finally:
            system_calls.close(descriptor)
    except OSError as error:
        raise system_calls.trouble(error, folder, f"give the folder to the group {group}") from None
    if not is_team(found.st_mode) or found.st_gid != number:
        raise BundleError(
            f"{folder}: this disk does not keep the group {group} and the mode {TEAM_MODE:o}",
            hint="make the folder on another disk",
        )


def group_number(group: str) -> int:
    """Return the number of a group, from its name or its number as text.

    Raises
    ------
    BundleError
        If there is no such group.
    """
    if system_calls.WINDOWS:
        raise BundleError(
            "Windows has no groups that lyncnb could give a folder to",
            hint="leave --team out, and use the folder's access list: icacls FOLDER /grant",
        )
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):
        if group.isascii() and group.isdecimal() and len(group) < 10:
            return int(group)
    raise BundleError(
        f'there is no group "{group}" on this computer', hint="see which there are: getent group"
    )


def team_of(folder: str | os.PathLike[str]) -> str:
    """Return the group whose members can write a folder; "" if it is not a team's."""
    try:
        found = system_calls.lstat(folder)
    except (OSError, ValueError):
        return ""
    if system_calls.WINDOWS or not is_team(found.st_mode):
        return ""
    try:
        return grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        return str(found.st_gid)


def is_the_team(folder: str | os.PathLike[str], group: str) -> bool:
    """Whether a team's folder belongs to a group, by its name or number."""
    found = system_calls.lstat(folder)
    try:
        return bool(group) and group_number(group) == found.st_gid
    except BundleError:
        return False


def _rule(folder: str | os.PathLike[str]) -> _Rule | None:
    if not _rules:
        return None
    path = os.path.realpath(folder)
    for key, rule in _rules.items():
        if path == key or path.startswith(key + os.sep):
            return rule
    return None
