"""Read the file that export_certificates.ps1 writes on a server.

``export_certificates.ps1`` writes the file: PEM with lines between the blocks, as RFC 7468
section 2 allows, so that any tool can read the certificates. The format is strict: a file with
an extra or missing line is not accepted as an export.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...base.dns_name import DnsName
from ...base.pasted_text import BadName, shown

#: The name of the PowerShell script that writes the export.
EXPORT_SCRIPT = Path(__file__).with_name("export_certificates.ps1")

_MARK = "lyncnb certificate export "
_VERSION = "1"
# The maximum number of certificates in an export. A server usually has about 12 certificates, and
# rarely a few hundred.
_MOST_LINES = 1_000_000
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_TYPE = re.compile(r"[A-Za-z0-9]{1,64}")
_ABSENT = re.compile(r"([A-Za-z0-9]{1,64}) ([0-9A-Fa-f]{40})")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_YES = {"yes": True, "no": False}


class BadExport(ValueError):
    """The error for a file that starts like an export but does not have its format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A certificate in the Personal store of a computer, as a server's export lists it.

    ``sha256`` is the hash of the DER bytes, and ``types`` are the usages that ``Get-CsCertificate``
    shows. ``has_key`` is true if Windows has the private key.
    """

    sha256: str
    types: tuple[str, ...] = ()
    has_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerExport:
    """The content of a file from ``export_certificates.ps1``, which ran on one computer.

    ``exported_at`` is a UTC time in ISO 8601. ``has_lync`` is true if Lync Server reported usages.
    ``absent`` contains the usages whose certificate is not in the store, with the thumbprint.
    """

    computer: str
    exported_at: str
    has_lync: bool
    placements: tuple[Placement, ...] = ()
    absent: tuple[tuple[str, str], ...] = ()


def is_export(text: str) -> bool:
    """Return whether a text begins with the mark of a certificate export, in any version."""
    return text.startswith(_MARK)


def parse_export(text: str) -> ServerExport:
    """Parse a server's export, which lists where the server's certificates are installed.

    The module ``decoding.py`` reads the certificates.

    Parameters
    ----------
    text : str
        The whole decoded file, with any type of line end.

    Returns
    -------
    ServerExport
        The export without CA certificates, which do not belong to a server.

    Raises
    ------
    BadExport
        If the version is not supported, or the export is incomplete or was edited. The message
        contains the line.
    """
    lines = _Lines(text)
    version = lines.read_line().removeprefix(_MARK)
    if version != _VERSION:
        raise BadExport(f"lyncnb does not support version {shown(version)} of the export")
    computer = _read_computer(lines.read_value("Computer"))
    time = lines.read_value("Time")
    if not _TIME.fullmatch(time):
        raise BadExport(
            f"{shown(time)} is not a valid time. Example of a valid time: 2026-11-24T08:00:00Z"
        )
    has_lync = _read_yes_no(lines.read_value("Lync"))
    absent = []
    while (absence := lines.read_optional_value("Not in the store")) is not None:
        match = _ABSENT.fullmatch(absence)
        if match is None:
            raise BadExport(f"{shown(absence)} is not a certificate type followed by a thumbprint")
        absent.append((match[1], match[2].upper()))
    return ServerExport(
        computer=computer,
        exported_at=time,
        has_lync=has_lync,
        placements=tuple(_read_placements(lines)),
        absent=tuple(absent),
    )


class _Lines:
    """The lines of a server's certificate export, without blank lines."""

    def __init__(self, text: str) -> None:
        lines = text.splitlines()
        if len(lines) > _MOST_LINES:
            raise BadExport(f"the export has more than {_MOST_LINES:,} lines")
        self._lines = [line.strip() for line in lines]
        self._place = 0

    def _find_next_line(self) -> str | None:
        while self._place < len(self._lines) and not self._lines[self._place]:
            self._place += 1
        return self._lines[self._place] if self._place < len(self._lines) else None

    @property
    def has_more(self) -> bool:
        return self._find_next_line() is not None

    def read_line(self) -> str:
        line = self._find_next_line()
        if line is None:
            raise BadExport("the export is incomplete")
        self._place += 1
        return line

    def read_optional_value(self, name: str) -> str | None:
        line = self._find_next_line()
        if line is None or not line.startswith(f"{name}: "):
            return None
        self._place += 1
        return line.removeprefix(f"{name}: ")

    def read_value(self, name: str) -> str:
        value = self.read_optional_value(name)
        if value is None:
            raise BadExport(self.describe_mismatch(f'"{name}: …"'))
        return value

    def describe_mismatch(self, expected_line: str) -> str:
        line = self._find_next_line()
        if line is None:
            return f"the export is incomplete: {expected_line} is missing"
        return f"line {self._place + 1:,} is {shown(line)}, but it must be {expected_line}"


def _read_placements(lines: _Lines) -> Iterator[Placement]:
    while lines.has_more:
        store = lines.read_value("Store")
        if store not in ("My", "CA"):
            raise BadExport(f"the store {shown(store)} is neither My nor CA")
        has_key, types = False, []
        if store == "My":
            has_key = _read_yes_no(lines.read_value("Key"))
            while (kind := lines.read_optional_value("Type")) is not None:
                # Lync Server shows the value of the property Use with or without a prefix.
                kind = kind.removeprefix("urn:certref:")
                if not _TYPE.fullmatch(kind):
                    raise BadExport(f"{shown(kind)} is not a certificate type")
                types.append(kind)
        sha256 = _read_sha256(lines)
        if store == "My":
            yield Placement(sha256=sha256, types=tuple(dict.fromkeys(types)), has_key=has_key)


def _read_sha256(lines: _Lines) -> str:
    if lines.read_line() != _BEGIN:
        raise BadExport("a description is not followed by its certificate")
    body = []
    while (line := lines.read_line()) != _END:
        body.append(line)
    try:
        return hashlib.sha256(binascii.a2b_base64("".join(body), strict_mode=True)).hexdigest()
    except ValueError:
        raise BadExport("the export contains a certificate that is not valid base64") from None


def _read_computer(text: str) -> str:
    try:
        return str(DnsName.parse(text, allow_single_label=True))
    except BadName as error:
        raise BadExport(f"the computer name is not valid: {error.message}") from None


def _read_yes_no(text: str) -> bool:
    if text not in _YES:
        raise BadExport(f"{shown(text)} is neither yes nor no")
    return _YES[text]
