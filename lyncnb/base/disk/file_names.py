"""Create names of files and folders that are valid on every system, including Windows.

Windows reserves some names for devices, in any folder, in any letter case and with any text after
the first dot. Source: Microsoft, Naming Files, Paths, and Namespaces, section Naming Conventions,
2024-08-28.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from pathlib import Path

from ...errors import BundleError
from ..pasted_text import shown

_DEVICES = frozenset(
    (
        *("con", "prn", "aux", "nul"),
        # Windows reserves device names such as COM1. In these names, it also treats the superscript
        # digits of ISO 8859-1 as digits.
        *(f"{port}{number}" for port in ("com", "lpt") for number in "123456789¹²³"),
    )
)
# The longest file name. File systems limit a name to 255 characters, and a server's name can have
# 253.
_LONGEST = 200


# The characters that the names of hosts and the IDs of requests can contain.
_PLAIN = re.compile(r"[A-Za-z0-9_](?:\.?[A-Za-z0-9_-]++)*+")


def build_file_name(name: str, suffix: str) -> str:
    """Return a file name for a server or request.

    Parameters
    ----------
    name : str
        The host name of the server, or the id of the request.
    suffix : str
        The file name extension, with the dot.

    Returns
    -------
    str
        The name with the extension, unchanged if Windows allows it. Otherwise, a ``~`` follows a
        device name (``con~.contoso.com.ps1``), or separates the beginning of a very long name from
        part of its SHA-256 digest. Server names never contain ``~``.

    Raises
    ------
    BundleError
        If the text is not a server name or request id. A separator, ``..``, or a drive would refer
        to
        another folder.
    """
    if not _PLAIN.fullmatch(name):
        raise BundleError(
            f"lyncnb cannot use {shown(name)} as a file name, because it is not the name of a "
            "server or request",
            hint=(
                "the name was changed in the record or in the plan. Restore the file from a backup"
            ),
        )
    label, dot, rest = name.partition(".")
    if label.casefold() in _DEVICES:
        name = f"{label}~{dot}{rest}"
    if len(name) > _LONGEST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: _LONGEST - 9]}~{digest}"
    return name + suffix


_RESERVED = '<>:"/\\|?*'


def find_reserved_name(path: str | os.PathLike[str]) -> str:
    """Return the first part of a path that Windows reserves or changes, or "" if there is none.

    Windows opens a device instead of a file with such a name, or drops the blanks and dots at its
    end.
    """
    for part in Path(path).parts[len(Path(path).anchor) > 0 :]:
        label = part.partition(".")[0].rstrip().casefold()
        if label in _DEVICES or (part.rstrip(" .") != part and part.strip(".")):
            return part
        if any(character in _RESERVED for character in part):
            return part
    return ""


def make_relative_path(path: str | os.PathLike[str], start: str | os.PathLike[str]) -> str:
    """Return a path relative to a folder, or the absolute path if their drives differ."""
    try:
        return os.path.relpath(path, start)
    except ValueError:
        return os.path.abspath(path)


def is_same_path(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> bool:
    """Return whether two paths lead to the same place, such as a relative and an absolute path.

    A file does not need to exist there.
    """
    first_place, second_place = (os.path.normcase(os.path.realpath(p)) for p in (first, second))
    return first_place == second_place


_LONGEST_GIVEN = 100  # The maximum length in characters of a name that the user specifies.
# The maximum length of a stored name in bytes of UTF-8. Linux allows 255 bytes, and one character
# needs up to four bytes.
_LONGEST_STORED = 200


def build_folder_name(text: str, *, suffix: str = "") -> str:
    """Convert text to a folder name that is valid on every system.

    Parameters
    ----------
    text : str
        Any text.
    suffix : str, optional
        The end of the name, such as `` copy 2``, which is not shortened if the text is too long.

    Returns
    -------
    str
        The text in Unicode form NFC without leading and trailing spaces; "" if nothing remains. A
        slash becomes a hyphen. Characters that are not allowed in Windows or not visible are
        removed.
        Leading and trailing dots are also removed, because they hide a folder or Windows drops
        them.
    """
    plain = unicodedata.normalize("NFC", " ".join(text.split()))
    plain = plain.replace("/", "-").replace("\\", "-")
    plain = "".join(c for c in plain if c.isprintable() and c not in _RESERVED)
    plain = " ".join(plain.split())[: _LONGEST_GIVEN - len(suffix)]
    plain = plain.encode()[: _LONGEST_STORED - len(suffix.encode())].decode("utf-8", "ignore")
    plain = plain.strip(". ")
    if plain.partition(".")[0].rstrip().casefold() in _DEVICES:
        plain = f"plan {plain}"
    return plain + suffix


def is_same_name(first: str, second: str) -> bool:
    """Return whether two file names refer to the same file on Windows or macOS."""
    return _fold_case(first) == _fold_case(second)


def _fold_case(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
