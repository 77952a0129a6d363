"""Examine a request folder without changing anything and without a passphrase.

This module prevents other modules from using a folder that others can write to, a symbolic link, or
a file that differs from its record.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..base.disk import files, folder_access, system_calls, windows_access
from ..base.disk.outputs import OWN_FOLDERS
from ..base.shown.tables import format_count
from ..errors import BundleError, Problem
from .entries import PLACE
from .manifest import NAME, Manifest, read_manifest
from .request_record import ArchivedGeneration, RequestRecord

#: The files in the same folder as the manifest. The module ``formats.py`` defines their contents.
SUMMARY_NAMES = ("summary.csv", "summary.xlsx", "summary.html", "summary.md")
SECRET = ("keys", "archive", "pfx", "recovery")
#: The file mode that lyncnb records for a file that exists but cannot be opened.
UNREACHABLE = 0
MISSING = "is missing"
CHANGED = "differs from the file that lyncnb wrote"
_ARMOUR = re.compile(rb"-----BEGIN CERTIFICATE REQUEST-----([^-]+)-----END")
_UNREADABLE = "make the file available on this computer, or restore the file from a backup"
_LINK = "check the target of the link, then replace the link with the file itself"
_GIVE_AGAIN = (
    "restore the file from a backup, or import the request again: lyncnb receive FOLDER "
    "--request FILE.req"
)
_RESTORE = (
    "restore the file from a backup, or replace the request: lyncnb request TOPOLOGY FOLDER "
    "--renew {id} --reason TEXT"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The names and modes of the files in a request folder, and its incomplete files."""

    folder: Path
    exists: bool = False
    is_team: bool = False
    keeps_no_modes: bool = False
    csr: Mapping[str, int] = field(default_factory=dict)
    keys: Mapping[str, int] = field(default_factory=dict)
    archive: Mapping[str, int] = field(default_factory=dict)
    stale: tuple[Path, ...] = ()
    problems: tuple[Problem, ...] = ()

    def has_file(self, path: str) -> bool:
        """Return whether the folder contains a file with a certain relative path."""
        directory, _, name = path.partition("/")
        return name in getattr(self, directory)

    @property
    def forbidden_bits(self) -> int:
        """The permission bits that other users must not have on the folder's files."""
        return 0 if self.keeps_no_modes else _get_forbidden_permissions(is_team=self.is_team)

    @property
    def has_manifest(self) -> bool:
        """Whether the folder has a record, or a manifest of lyncnb 0.2.0."""
        return any(os.path.lexists(self.folder / name) for name in (NAME, PLACE))

    @property
    def holds_requests(self) -> bool:
        """Whether the folder contains keys or CSRs."""
        return any(map(_is_own_file, (*self.csr, *self.keys, *self.archive)))


def _get_forbidden_permissions(*, is_team: bool) -> int:
    return 0o007 if is_team else 0o077


def _is_own_file(name: str) -> bool:
    return name.endswith((".csr", ".key"))


def take_survey(folder: Path, *, is_reading: bool = False) -> Survey:
    """Examine the files in a request folder. The folder does not have to exist.

    Parameters
    ----------
    folder : Path
        The folder.
    is_reading : bool, optional
        Whether the caller only reads. In this case, the folder may belong to any user.

    Returns
    -------
    Survey
        The result, with a ``Problem`` for each file or folder with wrong permissions or type.

    Raises
    ------
    BundleError
        If the folder is a symbolic link or a file, or others can write to it.
    """
    if not os.path.lexists(folder):
        return Survey(folder=folder)
    files.check_folder(folder, is_reading=is_reading)
    is_team = bool(folder_access.find_team_group(folder))
    names: dict[str, Mapping[str, int]] = {}
    problems = _find_links(folder)
    opened: list[Problem] = []
    stale = list(files.find_stale_files(folder))
    for directory in OWN_FOLDERS:
        subfolder = folder / directory
        if not os.path.lexists(subfolder):
            continue
        files.check_folder(subfolder, is_reading=is_reading)
        opened += _find_folder_problems(subfolder, directory, is_team=is_team)
        if directory in ("csr", "keys", "archive"):
            names[directory] = _list_folder_files(subfolder)
        stale += files.find_stale_files(subfolder)
    is_open = bool(opened) or any(
        mode & _get_forbidden_permissions(is_team=is_team)
        for directory in names.values()
        for name, mode in directory.items()
        if name.endswith(".key")
    )
    keeps_no_modes = (
        is_open and not system_calls.WINDOWS and folder_access.ignores_file_modes(folder)
    )
    return Survey(
        folder=folder,
        exists=True,
        is_team=is_team,
        keeps_no_modes=keeps_no_modes,
        stale=tuple(stale),
        problems=(*problems, *(() if keeps_no_modes else opened)),
        **names,
    )


def _find_links(folder: Path) -> list[Problem]:
    return [
        Problem(message="is a symbolic link", file=name, hint=_LINK)
        for name in (NAME, *SUMMARY_NAMES)
        if os.path.islink(folder / name)
    ]


def _find_folder_problems(subfolder: Path, directory: str, *, is_team: bool) -> list[Problem]:
    if directory not in SECRET:
        return []
    if windows_access.find_other_users(subfolder):
        hint = f"run: {windows_access.build_restrict_command(subfolder)}"
        return [Problem(message="can be opened by other users", file=f"{directory}/", hint=hint)]
    others = _get_forbidden_permissions(is_team=is_team)
    if system_calls.WINDOWS or not subfolder.lstat().st_mode & others:
        return []
    hint = f"run: chmod {'2770' if is_team else '700'} '{subfolder}'"
    return [Problem(message="can be opened by other users", file=f"{directory}/", hint=hint)]


def _list_folder_files(subfolder: Path) -> dict[str, int]:
    try:
        with os.scandir(subfolder) as entries:
            return {
                entry.name: _find_entry_mode(entry)
                for entry in entries
                if not entry.name.startswith(files.TEMP_PREFIX)
            }
    except OSError as error:
        raise system_calls.describe_error(error, subfolder, "list the folder") from None


def _find_entry_mode(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_mode
    except OSError:
        return UNREACHABLE


def find_file_problems(survey: Survey, path: str) -> tuple[Problem, ...]:
    """Return the problems with the type and the permissions of a file that lyncnb wrote.

    Files that lyncnb did not write are not checked.
    """
    directory, _, name = path.partition("/")
    mode, file_path = getattr(survey, directory)[name], survey.folder / path
    if mode == UNREACHABLE:
        return (Problem(message="cannot be reached", file=path, hint=_UNREADABLE),)
    if stat.S_ISLNK(mode):
        return (Problem(message="is a symbolic link", file=path, hint=_LINK),)
    if not stat.S_ISREG(mode):
        hint = "move this item out of the folder"
        return (Problem(message="is not a file", file=path, hint=hint),)
    if path.endswith(".key") and not system_calls.WINDOWS and mode & survey.forbidden_bits:
        hint = f"run: chmod {'660' if survey.is_team else '600'} '{file_path}'"
        return (Problem(message="other users can read this file", file=path, hint=hint),)
    return ()


def restrict_copied_files(folder: Path) -> None:
    """On Windows, restrict access to the secrets in a copied or restored request folder.

    A copy takes over the access list of the folder around it, in which others may be. If this
    fails, the survey of the folder reports the problem.
    """
    for name in SECRET if system_calls.WINDOWS else ():
        if (folder / name).is_dir() and not (folder / name).is_symlink():
            windows_access.restrict_private_folder(folder / name)


def restrict_unpacked_files(folder: Path) -> tuple[str, ...]:
    """Remove permissions of other users that a program set when it unpacked an archive.

    Most programs do not restore permissions. The keys then have the mode 644, and their folders
    the mode 755. lyncnb does not change any other mode, a team folder, or another user's files,
    because somebody may have set the permissions on purpose. It changes only files on record.

    Returns
    -------
    tuple of str
        A note about what was changed; empty if nothing was.
    """
    if system_calls.WINDOWS or os.path.islink(folder) or folder_access.find_team_group(folder):
        return ()
    secret_folders = [directory for name in SECRET if (directory := folder / name).is_dir()]
    secret_folders = [directory for directory in secret_folders if not directory.is_symlink()]
    opened = {
        f"{directory.name}/{name}"
        for directory in secret_folders
        for name, mode in _list_folder_files(directory).items()
        if name.endswith(".key") and stat.S_IMODE(mode) == 0o644
    }
    try:
        known = _list_recorded_keys(read_manifest(folder)) if opened else set()
    except BundleError:
        return ()  # The calling command reports why the manifest cannot be read.
    keys = [
        path for path in sorted(opened & known) if folder_access.remove_file_access(folder / path)
    ]
    closed = [
        f"{directory.name}/"
        for directory in secret_folders
        if folder_access.remove_folder_access(directory)
    ]
    if not closed and not keys:
        return ()
    exposed_parts = [*closed, *([f"{format_count(len(keys), 'key')} (encrypted)"] if keys else [])]
    note = (
        f"other users could read {' and '.join(exposed_parts)}, for example because you extracted "
        "the folder from an archive. lyncnb changed the permissions, so that only you "
        "have access (modes 700 and 600)"
    )
    return (note,)


def _list_recorded_keys(manifest: Manifest) -> set[str]:
    return {part.files.key for record in manifest.requests for part in record.generations}


def compute_key_sha256(data: bytes) -> str:
    """Return the SHA-256 of an encrypted key file, as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def compute_csr_sha256(data: bytes) -> str:
    """Return the SHA-256 of a CSR's DER bytes. Line endings in the PEM text do not matter.

    The result is empty if the text is not PEM. The CSR is not parsed, because a run with 10,000
    requests does this for each request.
    """
    match = _ARMOUR.search(data)
    if match is None:
        return ""
    try:
        return hashlib.sha256(base64.b64decode(match[1], validate=False)).hexdigest()
    except ValueError:
        return ""


def find_record_problems(survey: Survey, record: RequestRecord) -> tuple[Problem, ...]:
    """Compare the files of a written request with the hashes in the manifest.

    The hash of a key covers the encrypted file, so no passphrase is required. So every run detects
    a replaced or damaged key, long before the certificate is packaged.

    Returns
    -------
    tuple of Problem
        The problems; empty if the CSR and the key match the record. A key that was removed after
        deployment is not reported.
    """
    hint = _GIVE_AGAIN if record.key_holder else _RESTORE.format(id=record.id)
    problems = []
    for kind, digest in (("csr", compute_csr_sha256), ("key", compute_key_sha256)):
        if kind == "key" and not record.has_key:
            continue
        path = record.files.csr if kind == "csr" else record.files.key
        expected = record.csr_sha256 if kind == "csr" else record.key_sha256
        if not survey.has_file(path):
            problems.append(Problem(message=MISSING, file=path, hint=hint))
            continue
        problems += find_file_problems(survey, path)
        if problems and problems[-1].file == path:
            continue
        try:
            data = files.read_file(survey.folder / path)
        except BundleError as error:
            problems.append(Problem(message=error.message, file=path, hint=_UNREADABLE))
            continue
        if digest(data) != expected:
            problems.append(Problem(message=CHANGED, file=path, hint=hint))
    return tuple(problems)


def find_archive_problems(survey: Survey, generation: ArchivedGeneration) -> tuple[Problem, ...]:
    """Return a problem for each file of a superseded generation that the archive lacks.

    Purged files, and files that were lost before the request was abandoned, are not reported.
    """
    hint = (
        "restore the file from a backup, because the CA may still issue a certificate for "
        "this request"
    )
    if generation.purged_at:
        return ()
    return tuple(
        Problem(message=MISSING, file=path, hint=hint)
        for path, digest in zip(
            generation.files, (generation.csr_sha256, generation.key_sha256), strict=True
        )
        if digest and not survey.has_file(path)
    )


def reject_problems(folder: Path, problems: tuple[Problem, ...]) -> None:
    """Raise BundleError if there are problems. The message says that nothing was changed."""
    if problems:
        raise BundleError(
            f"the folder {folder} needs attention; nothing was changed",
            problems=problems[:20],
            hint=f"and {len(problems) - 20} more" if len(problems) > 20 else "",
        )
