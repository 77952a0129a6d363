"""Write a file whose name a planner gave: ``-o``, ``--calendar``, a page, a package.

This module protects existing files. No option allows it to write to a request folder's own files
and folders, because only the keys there belong to the requests at a CA. Elsewhere it replaces a
file only if lyncnb wrote it and it has the same kind, or if the planner asks for it. If writing the
new content fails, the old content stays.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ...errors import BundleError, FileOccupied, OutputError
from ..pasted_text import shown
from . import files, system_calls
from .zip_file import READ_ERRORS

#: Folders that lyncnb creates in a request folder, with their modes if it is not a team's.
OWN_FOLDERS = {
    "csr": 0o755,
    "keys": 0o700,
    "archive": 0o700,
    "returned": 0o755,
    "pfx": 0o700,
    "steps": 0o755,
    "recovery": 0o700,
}

#: The names of lyncnb's own folders and files in a request folder.
OWN_PLACES = frozenset(
    (
        *OWN_FOLDERS,
        *(".gitignore", "manifest.json", ".lock", "lyncnb.lock", ".lock.owner", "plan.json"),
        "history.jsonl",
        *("manifest.v1.json", "manifest.v2.json"),
        *("approved-plan.json", "approved-plan.json.sig"),
        *("summary.csv", "summary.xlsx", "summary.html", "summary.md"),
    )
)

_MANIFEST, _KEYS = "manifest.json", "keys"
_MANIFEST_MARK = b'"lyncnb-requests/'

# Enough for the styles before the mark of a notebook's page.
_HEAD_BYTES = 1 << 22

_LINE_BYTES = 1 << 16

# The methods in lyncnb's archives; other methods raise other errors.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# In the head of every page that lyncnb writes, including those of a notebook.
_PAGE_POLICY = (b'http-equiv="Content-Security-Policy"', b"content=\"default-src 'none'; ")

Test = Callable[[IO[bytes]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputKind:
    """A kind of file that lyncnb writes under a planner's name.

    Attributes
    ----------
    what : str
        Its name in messages, such as ``a calendar of renewals``.
    is_ours : mapping of str to callable
        By ending, in lower case, a test: it takes an open file, and returns whether lyncnb wrote
        it as this kind. A name with another ending is not valid.
    """

    what: str
    is_ours: Mapping[str, Test]


def first_line(start: bytes, end: bytes = b"") -> Test:
    """Return a test for how a file's first line starts and ends."""

    def is_ours(file: IO[bytes]) -> bool:
        line = file.readline(_LINE_BYTES).rstrip(b"\r\n")
        return line.startswith(start) and line.endswith(end)

    return is_ours


def mentions(*marks: bytes) -> Test:
    """Return a test for whether all marks are in the first 4 MiB of a file."""

    def is_ours(file: IO[bytes]) -> bool:
        head = file.read(_HEAD_BYTES)
        return all(mark in head for mark in marks)

    return is_ours


def is_page(*marks: bytes) -> Test:
    """Return a test for a page of lyncnb with these marks; such a page runs and loads nothing."""
    return mentions(*_PAGE_POLICY, *marks)


def packs(member: str, content: Test) -> Test:
    """Return a test for a ZIP archive: the first member with this ending passes `content`."""

    def is_ours(file: IO[bytes]) -> bool:
        with suppress(*READ_ERRORS):
            archive = zipfile.ZipFile(file)
            first = next((m for m in archive.infolist() if m.filename.endswith(member)), None)
            if first is not None and first.compress_type in _COMPRESSIONS:
                with archive.open(first) as inside:
                    return content(inside)
        return False

    return is_ours


def check_output(
    path: str | os.PathLike[str],
    kind: OutputKind,
    *,
    force: bool = False,
    inputs: Iterable[str | os.PathLike[str] | None] = (),
) -> None:
    """Reject a name before the work for it begins.

    Parameters
    ----------
    path : path
        The path of the file.
    kind : OutputKind
        The kind of the new file.
    force : bool, optional
        Whether it may replace a file that lyncnb did not write. It never replaces a request
        folder's own file, nor an input.
    inputs : iterable of path, optional
        The files that the output comes from.

    Raises
    ------
    OutputError
        With the name and what to use instead; :class:`FileOccupied` if `force` would help.
    """
    check_suffix(Path(path).suffix.lower(), kind, f"{path}: ")
    refuse_own_place(path)
    _reject_inputs(Path(path), inputs)
    facts = _facts(path)
    if facts is None:
        return
    _reject_non_file(path, facts)
    if not force and not _is_ours(path, kind):
        raise FileOccupied(
            f"{path} is already there and was left alone: it is not {kind.what} that lyncnb wrote",
            hint="choose another name, or replace it with --force",
        )


def check_suffix(suffix: str, kind: OutputKind, place: str = "") -> None:
    """Reject an ending that files of a kind cannot have; ``place`` begins the message.

    Raises
    ------
    OutputError
        With the possible endings.
    """
    if suffix not in kind.is_ours:
        fault = f'cannot have the ending "{suffix}"' if suffix else "needs an ending"
        raise OutputError(
            f"{place}{kind.what} {fault}", hint=f"end the name in {' or '.join(kind.is_ours)}"
        )


def write_output(
    path: str | os.PathLike[str],
    data: bytes,
    kind: OutputKind,
    *,
    force: bool = False,
    inputs: Iterable[str | os.PathLike[str] | None] = (),
) -> Path:
    """Write a file with a planner's name, completely or not at all.

    Parameters
    ----------
    path, kind, force, inputs
        As for :func:`check_output`, which this function calls again.
    data : bytes
        The whole content.

    Returns
    -------
    Path
        The file. A new file is readable by all; a replaced one keeps its permissions.

    Raises
    ------
    OutputError
        If the name is rejected, or the system refuses.
    """
    check_output(path, kind, force=force, inputs=inputs)
    target, facts = Path(path), _facts(path)
    try:
        if facts is None:
            files.write_new(target, data, 0o644)  # never over a file that is new since then
        else:
            files.replace(target, data, stat.S_IMODE(facts.st_mode))
    except BundleError as error:
        raise OutputError(error.message, hint=error.hint) from None
    return target


def refuse_own_place(path: str | os.PathLike[str]) -> None:
    """Reject a request folder's own names, in any spelling.

    Raises
    ------
    OutputError
        If the path is one of them or in one of them, also through ``..``, symbolic links or
        another letter case; or if the name is not a valid file name.
    """
    try:
        if b"\0" in os.fsencode(path):
            raise ValueError(path)
    except ValueError:  # also an unpaired surrogate
        raise OutputError(
            f"{shown(os.fsdecode(path))} is not a valid file name", hint="enter it again"
        ) from None
    lexical = Path(os.path.abspath(path))
    resolved = Path(os.path.realpath(lexical.parent)) / lexical.name
    for target in dict.fromkeys((lexical, resolved)):
        for folder, name in _ancestors(target):
            if _plain(name) in OWN_PLACES and is_request_folder(folder):
                where = "is" if folder / name == target else f"lies in {name},"
                raise OutputError(
                    f"{path} {where} what the request folder {folder} keeps for itself",
                    hint="name a file outside of the request folder",
                )


def _ancestors(path: Path) -> Iterator[tuple[Path, str]]:
    while path.name:
        yield path.parent, path.name
        path = path.parent


def _plain(name: str) -> str:
    # Windows removes spaces and dots at the end, and treats text after a colon as a stream.
    return name.partition(":")[0].rstrip(". ").casefold()


def is_request_folder(folder: Path) -> bool:
    """Return whether a folder is a request folder, even a damaged one."""
    with suppress(OSError):
        if stat.S_ISDIR((folder / _KEYS).lstat().st_mode):
            return True
    with suppress(OSError, BundleError), files.open_plain(folder / _MANIFEST) as file:
        return _MANIFEST_MARK in file.read(4096)
    return False


def _reject_inputs(path: Path, inputs: Iterable[str | os.PathLike[str] | None]) -> None:
    for name in inputs:
        with suppress(OSError, ValueError):
            if name is not None and path.samefile(name):
                raise OutputError(f"{path} is an input of this output", hint="choose another file")


def _facts(path: str | os.PathLike[str]) -> os.stat_result | None:
    try:
        return system_calls.lstat(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OutputError(f"{path}: {reason}", hint="choose another file") from None


def _reject_non_file(path: str | os.PathLike[str], facts: os.stat_result) -> None:
    if stat.S_ISDIR(facts.st_mode):
        raise OutputError(f"{path} is a folder", hint="give the name of a file")
    if stat.S_ISLNK(facts.st_mode):
        raise OutputError(
            f"{path} is a symbolic link", hint="check where it points, then use the file itself"
        )
    if not stat.S_ISREG(facts.st_mode):
        raise OutputError(f"{path} is not a regular file", hint="choose another file")


def _is_ours(path: str | os.PathLike[str], kind: OutputKind) -> bool:
    try:
        with files.open_plain(path) as file:
            return kind.is_ours[Path(path).suffix.lower()](file)
    except (OSError, BundleError):
        return False  # a file that cannot be read may belong to another program
