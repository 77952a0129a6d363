"""Write an output file to a path that the user specified, such as ``-o FILE``.

This module protects existing files. No option allows it to write to lyncnb's own files in a request
folder, because they contain the only keys for the requests at a CA. It replaces another file only
if lyncnb created it with the same type, or if the user requests it. If writing fails, the old
content is kept.
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
from ..pasted_text import show_path, shown
from . import files, system_calls
from .file_names import find_reserved_name
from .zip_file import READ_ERRORS

#: The subfolders that lyncnb creates in a request folder, with their modes in a folder without a
#: team.
OWN_FOLDERS = {
    "csr": 0o755,
    "keys": 0o700,
    "archive": 0o700,
    "returned": 0o755,
    "pfx": 0o700,
    "steps": 0o755,
    "recovery": 0o700,
    "record": 0o700,
}

#: The names in a request folder that lyncnb reserves for its own files and subfolders.
OWN_PLACES = frozenset(
    (
        *OWN_FOLDERS,
        *(".gitignore", "manifest.json", ".lock", "lyncnb.lock", ".lock.owner", "plan.json"),
        *("history.jsonl", ".summary.json"),
        *("manifest.v1.json", "manifest.v2.json"),
        *("approved-plan.json", "approved-plan.json.sig"),
        *("summary.csv", "summary.xlsx", "summary.html", "summary.md"),
    )
)

_MANIFEST, _KEYS = "manifest.json", "keys"
_MANIFEST_MARK = b'"lyncnb-requests/'

# The number of bytes at the beginning of a file in which lyncnb searches for the text that
# identifies its own files. In a notebook's page, this text comes after the styles, which are
# smaller than this number of bytes.
_HEAD_BYTES = 1 << 22

_LINE_BYTES = 1 << 16

# The compression methods that lyncnb's archives use. For an archive with another method, Python can
# raise other errors.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# The text in the head of every page that lyncnb creates, including the pages of notebooks.
_PAGE_POLICY = (b'http-equiv="Content-Security-Policy"', b"content=\"default-src 'none'; ")

Test = Callable[[IO[bytes]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputKind:
    """A type of output file, with the functions that recognize such files.

    Attributes
    ----------
    what : str
        The name of the type in messages, such as ``a calendar of renewals``.
    is_ours : mapping of str to callable
        For each allowed file name extension, in lowercase, a function that receives an open file
        and
        returns whether lyncnb created it with this type.
    """

    what: str
    is_ours: Mapping[str, Test]


def match_first_line(
    start: bytes | tuple[bytes, ...], end: bytes | tuple[bytes, ...] = b""
) -> Test:
    """Return a function that checks the beginning and the end of a file's first line.

    With several values for ``start``, the line begins with one of them; ``end`` likewise.
    """

    def is_match(file: IO[bytes]) -> bool:
        line = file.readline(_LINE_BYTES).rstrip(b"\r\n")
        return line.startswith(start) and line.endswith(end)

    return is_match


def match_content(*marks: bytes | tuple[bytes, ...]) -> Test:
    """Return a function that checks whether a file's first 4 MiB contain all given marks.

    If a mark is a tuple, the file contains one of its values.
    """

    def is_match(file: IO[bytes]) -> bool:
        head = file.read(_HEAD_BYTES)
        choices = (mark if isinstance(mark, tuple) else (mark,) for mark in marks)
        return all(any(mark in head for mark in choice) for choice in choices)

    return is_match


def match_page(*marks: bytes | tuple[bytes, ...]) -> Test:
    """Return a function that checks whether a file is a lyncnb page with all given marks."""
    return match_content(*_PAGE_POLICY, *marks)


def match_packed_file(member: str, content: Test) -> Test:
    """Return a function that checks a file with a certain extension inside a ZIP archive."""

    def is_match(file: IO[bytes]) -> bool:
        with suppress(*READ_ERRORS):
            archive = zipfile.ZipFile(file)
            first = next((m for m in archive.infolist() if m.filename.endswith(member)), None)
            if first is not None and first.compress_type in _COMPRESSIONS:
                with archive.open(first) as packed_file:
                    return content(packed_file)
        return False

    return is_match


def check_output_path(
    path: str | os.PathLike[str],
    kind: OutputKind,
    *,
    force: bool = False,
    inputs: Iterable[str | os.PathLike[str] | None] = (),
) -> None:
    """Check the path of an output file before its content is created.

    Parameters
    ----------
    path : path
        The path of the file.
    kind : OutputKind
        The type of the new file.
    force : bool, optional
        Whether lyncnb can replace a file that it did not create. It never replaces an input file or
        its own files in a request folder.
    inputs : iterable of path, optional
        The input files of the command.

    Raises
    ------
    OutputError
        If the path cannot be used, with a hint. :class:`FileOccupied` if `force` would help.
    """
    check_suffix(Path(path).suffix.lower(), kind, f"{show_path(path)}: ")
    reject_reserved_path(path)
    _reject_input_as_output(Path(path), inputs)
    facts = _find_status(path)
    if facts is None:
        return
    _reject_non_file(path, facts)
    if not force and not _is_same_kind(path, kind):
        raise FileOccupied(
            (
                f"{show_path(path)} already exists, so lyncnb did not change it: the file is "
                f"not {kind.what} that lyncnb wrote"
            ),
            hint="choose a different name, or replace the file with --force",
        )


def check_suffix(suffix: str, kind: OutputKind, subject: str = "") -> None:
    """Raise an error if a file name extension does not fit the type of file.

    The error message begins with ``subject``.

    Raises
    ------
    OutputError
        With the allowed extensions.
    """
    if suffix not in kind.is_ours:
        file = f"{subject}{kind.what}"
        raise OutputError(
            f'{file} cannot have the file name extension "{suffix}"'
            if suffix
            else f"{file} needs a file name extension",
            hint=f"use one of the extensions {', '.join(kind.is_ours)}"
            if len(kind.is_ours) > 1
            else f"use the extension {', '.join(kind.is_ours)}",
        )


def write_output(
    path: str | os.PathLike[str],
    data: bytes,
    kind: OutputKind,
    *,
    force: bool = False,
    inputs: Iterable[str | os.PathLike[str] | None] = (),
) -> Path:
    """Write an output file completely, or not at all.

    Parameters
    ----------
    path, kind, force, inputs
        As for :func:`check_output_path`, which this function calls again.
    data : bytes
        The complete content.

    Returns
    -------
    Path
        The file. All users can read a new file. A replaced file keeps its permissions.

    Raises
    ------
    OutputError
        If the path cannot be used, or the system reports an error.
    """
    check_output_path(path, kind, force=force, inputs=inputs)
    target, facts = Path(path), _find_status(path)
    try:
        if facts is None:
            # If another program has created the file in the meantime, write_new_file() fails.
            files.write_new_file(target, data, 0o644)
        else:
            files.replace_file(target, data, stat.S_IMODE(facts.st_mode))
    except BundleError as error:
        raise OutputError(error.message, hint=error.hint) from None
    return target


def reject_reserved_path(path: str | os.PathLike[str]) -> None:
    """Raise an error if Windows reserves the path, or the path belongs to lyncnb's own files.

    Raises
    ------
    OutputError
        If the path is or contains the name of such a file, also through ``..``, a symbolic link, or
        another letter case. Also if the path is not a valid file name.
    """
    try:
        if b"\0" in os.fsencode(path):
            raise ValueError(path)
    # The method resolve() raises ValueError for a path with an unpaired surrogate.
    except ValueError:
        raise OutputError(
            f"{shown(os.fsdecode(path))} is not a valid file name",
            hint="enter the file name again",
        ) from None
    if system_calls.WINDOWS and (name := find_reserved_name(path)):
        raise OutputError(
            f"{shown(name)} in {shown(os.fspath(path))} is reserved on Windows",
            hint="choose another name",
        )
    lexical = Path(os.path.abspath(path))
    resolved = Path(os.path.realpath(lexical.parent)) / lexical.name
    for target in dict.fromkeys((lexical, resolved)):
        for folder, name in _list_ancestors(target):
            if _normalize_name(name) in OWN_PLACES and is_request_folder(folder):
                raise OutputError(
                    (f"{path} is one of lyncnb's own files in the request folder {folder}"),
                    hint="specify a file outside the request folder",
                )


def _list_ancestors(path: Path) -> Iterator[tuple[Path, str]]:
    while path.name:
        yield path.parent, path.name
        path = path.parent


def _normalize_name(name: str) -> str:
    # Windows removes trailing spaces and dots from a path, and treats text after a colon as the
    # name of a stream.
    return name.partition(":")[0].rstrip(". ").casefold()


def is_request_folder(folder: Path) -> bool:
    """Return whether a folder is a request folder. The folder may be damaged."""
    with suppress(OSError):
        if stat.S_ISDIR((folder / _KEYS).lstat().st_mode):
            return True
    with suppress(OSError, BundleError), files.open_plain(folder / _MANIFEST) as file:
        return _MANIFEST_MARK in file.read(4096)
    return False


def _reject_input_as_output(path: Path, inputs: Iterable[str | os.PathLike[str] | None]) -> None:
    for name in inputs:
        with suppress(OSError, ValueError):
            if name is not None and path.samefile(name):
                raise OutputError(
                    f"{path} is also an input, so lyncnb cannot use it as the output",
                    hint="choose another file",
                )


def _find_status(path: str | os.PathLike[str]) -> os.stat_result | None:
    try:
        return system_calls.lstat(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OutputError(f"{path}: {reason}", hint="choose another file") from None


def _reject_non_file(path: str | os.PathLike[str], status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise OutputError(f"{path} is a folder", hint="specify the path of a file")
    if stat.S_ISLNK(status.st_mode):
        raise OutputError(
            f"{path} is a symbolic link",
            hint="check the target of the link, and then specify the target itself",
        )
    if not stat.S_ISREG(status.st_mode):
        raise OutputError(f"{path} is not a regular file", hint="choose another file")


def _is_same_kind(path: str | os.PathLike[str], kind: OutputKind) -> bool:
    try:
        with files.open_plain(path) as file:
            return kind.is_ours[Path(path).suffix.lower()](file)
    except (OSError, BundleError):
        return False  # A file that lyncnb cannot read may belong to another program.
