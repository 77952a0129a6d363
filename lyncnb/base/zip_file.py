"""Files to a ZIP that depends on nothing but them: no time, no system, one order."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

# ZIP knows no earlier year.
_CREATED = (2000, 1, 1, 0, 0, 0)


def to_zip(entries: Mapping[str, bytes]) -> bytes:
    """Pack files.

    Parameters
    ----------
    entries : mapping of str to bytes
        n contents by path inside the package, written in the mapping's order.

    Returns
    -------
    bytes
        The same entries give the same bytes, on every system.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            entry = zipfile.ZipInfo(name, _CREATED)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def from_zip(data: bytes) -> dict[str, bytes]:
    """Unpack a package of our own, e.g. one that a library has dated today.

    Returns
    -------
    dict
        Contents by path, in the order of the package.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
