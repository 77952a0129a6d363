"""Names of files and folders that every system can make, Windows, too.

Windows keeps some names for devices, in any folder, in any letter case and whatever follows the
first dot. Source: Microsoft, Naming Files, Paths, and Namespaces, section Naming Conventions,
2024-08-28.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from ...errors import BundleError
from ..pasted_text import shown

_DEVICES = frozenset(
    (
        *("con", "prn", "aux", "nul"),
        # Windows takes the superscript digits of ISO 8859-1 for digits here.
        *(f"{port}{number}" for port in ("com", "lpt") for number in "123456789¹²³"),
    )
)
# A name has at most 255 characters on every disk in use; a server's alone may have 253.
_LONGEST = 200


# Host names and request ids have nothing else in them.
_PLAIN = re.compile(r"[A-Za-z0-9_](?:\.?[A-Za-z0-9_-]++)*+")


def file_name(name: str, suffix: str) -> str:
    """Name a file after a server or a request.

    Parameters
    ----------
    name : str
        The server's host name, or the request's id.
    suffix : str
        With its dot.

    Returns
    -------
    str
        The name as it is, with the suffix, wherever Windows can make such a file. Else with ``~``,
        which no server's name holds, after a device's name (``con~.contoso.com.ps1``), or between
        the beginning of a very long name and a part of its SHA-256.

    Raises
    ------
    BundleError
        If the name is neither: a separator, ``..`` or a drive would lead to another folder.
    """
    if not _PLAIN.fullmatch(name):
        raise BundleError(
            f'"{shown(name)}" is not the name of a server or of a request, so no file is named '
            "after it",
            hint="it comes from a file that was edited: restore manifest.json or the plan from a "
            "backup",
        )
    label, dot, rest = name.partition(".")
    if label.casefold() in _DEVICES:
        name = f"{label}~{dot}{rest}"
    if len(name) > _LONGEST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: _LONGEST - 9]}~{digest}"
    return name + suffix


_RESERVED = '<>:"/\\|?*'
_LONGEST_GIVEN = 100  # characters
_LONGEST_STORED = 200  # bytes in UTF-8; Linux has 255 for a name, and a character takes up to four


def folder_name(text: str, *, end: str = "") -> str:
    """Make of a planner's words a name that a folder can have anywhere.

    Parameters
    ----------
    text : str
        Any text.
    end : str, optional
        What follows it, e.g. `` copy 2``: kept whole where the text is too long.

    Returns
    -------
    str
        The same where it can be one, but for blanks at its ends and its form (NFC); "" if nothing
        is left. A slash becomes a hyphen; what Windows or a terminal cannot show is left out; so
        are dots at the ends, which hide a folder or are dropped.
    """
    plain = unicodedata.normalize("NFC", " ".join(text.split()))
    plain = plain.replace("/", "-").replace("\\", "-")
    plain = "".join(one for one in plain if one.isprintable() and one not in _RESERVED)
    plain = " ".join(plain.split())[: _LONGEST_GIVEN - len(end)]
    plain = plain.encode()[: _LONGEST_STORED - len(end.encode())].decode("utf-8", "ignore")
    plain = plain.strip(". ")
    if plain.partition(".")[0].rstrip().casefold() in _DEVICES:
        plain = f"plan {plain}"
    return plain + end


def same_name(one: str, other: str) -> bool:
    """Tell whether some systems take two names for the same."""
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
