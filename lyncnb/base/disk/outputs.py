"""The one way to a file whose name a planner gave: ``-o``, ``--calendar``, a page, a package.

Guards what is there already. Nothing goes into a request folder's own places, by no flag: its
keys are the only ones that fit the requests at a CA. Elsewhere a file is replaced only if lyncnb
wrote it and it is of the same kind, or if that is asked for. The new content is there whole, or
the old one stays.
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

#: Folders that lyncnb makes in a request folder, and their modes where the folder is not a team's.
OWN_FOLDERS = {
    "csr": 0o755,
    "keys": 0o700,
    "archive": 0o700,
    "returned": 0o755,
    "pfx": 0o700,
    "steps": 0o755,
    "recovery": 0o700,
}

#: What a request folder keeps in its first level, folders and files alike.
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

# Enough for the styles that stand before the mark of a notebook's page.
_HEAD_BYTES = 1 << 22

_LINE_BYTES = 1 << 16

# Of the archives that lyncnb writes; others unpack with errors of their own.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# In the head of every page of lyncnb's, also of a notebook's.
_PAGE_POLICY = (b'http-equiv="Content-Security-Policy"', b"content=\"default-src 'none'; ")

Test = Callable[[IO[bytes]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputKind:
    """One kind of file that lyncnb writes where a planner says.

    Attributes
    ----------
    what : str
        In messages, e.g. ``a calendar of renewals``.
    is_ours : mapping of str to callable
        By ending, lower case: given such a file, open at its start, whether lyncnb wrote it as
        this kind. A name may have no other ending.
    """

    what: str
    is_ours: Mapping[str, Test]


def first_line(start: bytes, end: bytes = b"") -> Test:
    """Make a test of how a file's first line starts and ends."""

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
    """Make a test of a page of lyncnb's, which runs and loads nothing, with these marks."""
    return mentions(*_PAGE_POLICY, *marks)


def packs(member: str, content: Test) -> Test:
    """Make a test of a zip archive: the first member whose name ends so passes another test."""

    def is_ours(file: IO[bytes]) -> bool:
        with suppress(*READ_ERRORS):
            archive = zipfile.ZipFile(file)
            first = next((one for one in archive.infolist() if one.filename.endswith(member)), None)
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
    """Refuse a name before the work for it begins.

    Parameters
    ----------
    path : path
        The path of the file.
    kind : OutputKind
        What it will be.
    force : bool, optional
        Whether a file of somebody else's may be replaced. Never one in a request folder's own
        places, and never what the output is made of.
    inputs : iterable of path, optional
        What it is made of.

    Raises
    ------
    OutputError
        With the name and what to name instead; :class:`FileOccupied` where `force` would do.
    """
    check_suffix(Path(path).suffix.lower(), kind, f"{path}: ")
    refuse_own_place(path)
    _refuse_inputs(Path(path), inputs)
    facts = _facts(path)
    if facts is None:
        return
    _refuse_what_is_no_file(path, facts)
    if not force and not _is_ours(path, kind):
        raise FileOccupied(
            f"{path} is already there and was left alone: it is not {kind.what} that lyncnb wrote",
            hint="choose another name, or replace it with --force",
        )


def check_suffix(suffix: str, kind: OutputKind, place: str = "") -> None:
    """Refuse an ending that files of a kind cannot have; ``place`` begins the message.

    Raises
    ------
    OutputError
        With the endings that there are.
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
    """Write a file that a planner named, whole or not at all.

    Parameters
    ----------
    path, kind, force, inputs
        As for :func:`check_output`, which is asked again.
    data : bytes
        The whole content.

    Returns
    -------
    Path
        The file, readable by all if it is new; else with the permissions that it had.

    Raises
    ------
    OutputError
        If the name is refused, or the system does.
    """
    check_output(path, kind, force=force, inputs=inputs)
    target, facts = Path(path), _facts(path)
    try:
        if facts is None:
            files.write_new(target, data, 0o644)  # never over what came in the meantime
        else:
            files.replace(target, data, stat.S_IMODE(facts.st_mode))
    except BundleError as error:
        raise OutputError(error.message, hint=error.hint) from None
    return target


def refuse_own_place(path: str | os.PathLike[str]) -> None:
    """Refuse a name inside what a request folder keeps for itself, however it is spelled.

    Raises
    ------
    OutputError
        If it lies there, also through ``..`` and symbolic links, or in other letter case; or if
        no file can have the name.
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
    for place in dict.fromkeys((lexical, resolved)):
        for folder, name in _steps(place):
            if _plain(name) in OWN_PLACES and is_request_folder(folder):
                where = "is" if folder / name == place else f"lies in {name},"
                raise OutputError(
                    f"{path} {where} what the request folder {folder} keeps for itself",
                    hint="name a file outside of the request folder",
                )


def _steps(place: Path) -> Iterator[tuple[Path, str]]:
    while place.name:
        yield place.parent, place.name
        place = place.parent


def _plain(name: str) -> str:
    # Windows drops blanks and dots at the end, and takes what follows a colon for a stream.
    return name.partition(":")[0].rstrip(". ").casefold()


def is_request_folder(folder: Path) -> bool:
    """Tell whether a folder is a request folder, or what a damaged one left."""
    with suppress(OSError):
        if stat.S_ISDIR((folder / _KEYS).lstat().st_mode):
            return True
    with suppress(OSError, BundleError), files.open_plain(folder / _MANIFEST) as file:
        return _MANIFEST_MARK in file.read(4096)
    return False


def _refuse_inputs(path: Path, inputs: Iterable[str | os.PathLike[str] | None]) -> None:
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
        told = error.strerror if isinstance(error, OSError) else error
        raise OutputError(f"{path}: {told}", hint="choose another file") from None


def _refuse_what_is_no_file(path: str | os.PathLike[str], facts: os.stat_result) -> None:
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
        return False  # what cannot be read is not known to be ours
