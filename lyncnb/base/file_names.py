"""Names of files that are called after a server: names that Windows can make, too.

Windows keeps some names for devices, in any folder, in any letter case and whatever follows the
first dot. Source: Microsoft, Naming Files, Paths, and Namespaces, section Naming Conventions,
2024-08-28.
"""

from __future__ import annotations

import hashlib

_DEVICES = frozenset(
    (
        *("con", "prn", "aux", "nul"),
        *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)),
    )
)
# A name has at most 255 characters on every disk in use; a server's alone may have 253.
_LONGEST = 200


def file_name(name: str, suffix: str) -> str:
    """Name a file after a server.

    Parameters
    ----------
    name : str
        Of the server, lower case.
    suffix : str
        With its dot.

    Returns
    -------
    str
        The name as it is, with the suffix, wherever Windows can make such a file. Else with ``~``,
        which no server's name holds, after a device's name (``con~.contoso.com.ps1``), or between
        the beginning of a very long name and a part of its SHA-256.
    """
    label, dot, rest = name.partition(".")
    if label.casefold() in _DEVICES:
        name = f"{label}~{dot}{rest}"
    if len(name) > _LONGEST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: _LONGEST - 9]}~{digest}"
    return name + suffix
