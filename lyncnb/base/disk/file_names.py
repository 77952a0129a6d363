"""Names of files and folders that are valid on every system, including Windows.

Windows reserves some names for devices, in any folder, in any letter case and with any text after
the first dot. Source: Microsoft, Naming Files, Paths, and Namespaces, section Naming Conventions,
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
        # Windows treats the superscript digits of ISO 8859-1 as digits here.
        *(f"{port}{number}" for port in ("com", "lpt") for number in "123456789¹²³"),
    )
)
# File systems limit a name to 255 characters, and a server's name may have 253.
_LONGEST = 200


# Host names and request ids contain only these characters.
_PLAIN = re.compile(r"[A-Za-z0-9_](?:\.?[A-Za-z0-9_-]++)*+")


def file_name(name: str, suffix: str) -> str:
    """Return the name of a file for a server or a request.

    Parameters
    ----------
    name : str
        The server's host name, or the request's id.
    suffix : str
        With its dot.

    Returns
    -------
    str
        The unchanged name with the suffix, if Windows can create such a file. Otherwise ``~``,
        which no server's name contains, follows a device's name (``con~.contoso.com.ps1``), or
        separates the beginning of a very long name from a part of its SHA-256.

    Raises
    ------
    BundleError
        If the name is not one of them. A separator, ``..`` or a drive would lead to another folder.
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
_LONGEST_STORED = 200  # bytes in UTF-8; Linux allows 255, and one character takes up to four


def folder_name(text: str, *, end: str = "") -> str:
    """Return a folder name, valid on every system, for a planner's text.

    Parameters
    ----------
    text : str
        Any text.
    end : str, optional
        The end of the name, such as `` copy 2``. It stays whole if the text is too long.

    Returns
    -------
    str
        The text in NFC without spaces at its ends; "" if nothing remains. A slash becomes a
        hyphen. Characters that Windows or a terminal cannot show are removed. So are dots at the
        ends, which hide a folder or which Windows removes.
    """
    plain = unicodedata.normalize("NFC", " ".join(text.split()))
    plain = plain.replace("/", "-").replace("\\", "-")
    plain = "".join(c for c in plain if c.isprintable() and c not in _RESERVED)
    plain = " ".join(plain.split())[: _LONGEST_GIVEN - len(end)]
    plain = plain.encode()[: _LONGEST_STORED - len(end.encode())].decode("utf-8", "ignore")
    plain = plain.strip(". ")
    if plain.partition(".")[0].rstrip().casefold() in _DEVICES:
        plain = f"plan {plain}"
    return plain + end


def same_name(one: str, other: str) -> bool:
    """Return whether some systems treat two names as the same."""
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
