"""Find the certificates that a CA will revoke: all of an issuer, or those on the CA's list.

Only certificates count that servers use, or that are on their way to the servers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..base.disk.files import read_specified_file
from ..base.pasted_text import shown
from ..base.shown.tables import format_count, join_first_texts
from ..errors import BundleError, OptionsError, Problem
from ..request_folder.generations import find_generations, list_known_certificates
from ..request_folder.request_record import CoveringCertificate, RequestRecord

_NAMED = 3
_LARGEST = 1 << 24
# The serial number of a public CA has at least 64 random bits (Baseline Requirements 7.1).
_SHORTEST = 16
_SEPARATORS = re.compile(r"[\s,;|\"'<>()]+")
_PAIRS = re.compile(r"(?<=[0-9a-f]{2})[ :-](?=[0-9a-f]{2}\b)")
_HEX = re.compile(r"(?:0x)?([0-9a-f]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedCertificate:
    """A certificate in use or under way, with its request and the names of its CA.

    ``issuer`` is ``internal`` or ``public``, ``ca`` is the name of the CA in ``plan.toml`` or
    blank, and ``common_name`` is the name of the issuing certificate, or blank if it is not known.
    """

    request_id: str
    sha256: str
    serial: str
    issuer: str
    ca: str
    common_name: str


def find_issued_by(records: Sequence[RequestRecord], name: str) -> tuple[UsedCertificate, ...]:
    """Return the certificates of an issuer.

    Parameters
    ----------
    records : sequence of RequestRecord
        The requests of a folder.
    name : str
        ``internal``, ``public``, the name of a CA in ``plan.toml``, or the common name of an
        issuing certificate. Case is ignored.

    Raises
    ------
    BundleError
        If no certificate is from this issuer, or the name can mean different issuers.
    """
    used, text = tuple(list_used_certificates(records)), name.strip().casefold()
    meanings = {
        f"the issuer {text} in the plan": [item for item in used if item.issuer == text],
        f"the CA {name} in plan.toml": [item for item in used if item.ca.casefold() == text],
        f"the issuing certificate {name}": [
            item for item in used if item.common_name.casefold() == text
        ],
    }
    meanings = {meaning: items for meaning, items in meanings.items() if items and text}
    if len({tuple(items) for items in meanings.values()}) == 1:
        return tuple(next(iter(meanings.values())))
    if meanings:
        raise BundleError(
            f"{shown(name)} can mean different issuers, so lyncnb renewed nothing",
            problems=tuple(_describe(meaning, items) for meaning, items in meanings.items()),
            hint="specify the certificates: lyncnb renew FOLDER ID, or --serials FILE",
        )
    raise BundleError(
        f"no certificate in use or under way is from the issuer {shown(name)}, so lyncnb renewed "
        "nothing",
        problems=tuple(_describe(other, items) for other, items in _group_by_name(used).items()),
        hint="use one of these names",
    )


def _group_by_name(used: Iterable[UsedCertificate]) -> dict[str, list[UsedCertificate]]:
    groups: dict[str, list[UsedCertificate]] = {}
    for item in used:
        for name in dict.fromkeys((item.issuer, item.ca, item.common_name)):
            if name:
                groups.setdefault(name, []).append(item)
    return groups


def _describe(meaning: str, certificates: Sequence[UsedCertificate]) -> Problem:
    ids = list(dict.fromkeys(item.request_id for item in certificates))
    number = format_count(len(certificates), "certificate")
    return Problem(message=f"{meaning}: {number} ({join_first_texts(ids, _NAMED)})")


def find_listed(
    records: Sequence[RequestRecord], path: str | os.PathLike[str]
) -> tuple[tuple[UsedCertificate, ...], tuple[str, ...]]:
    """Return the certificates whose serial numbers are in a text file, such as a CA's list.

    Serial numbers can have colons or blanks between their hexadecimal digits. A line can contain
    other words.

    Parameters
    ----------
    records : sequence of RequestRecord
        The requests of a folder.
    path : path
        The file.

    Returns
    -------
    tuple
        The certificates in use or under way, and notes about serial numbers that are not in use.

    Raises
    ------
    OptionsError
        If the file cannot be read.
    BundleError
        If the file contains no serial number of a certificate in use or under way.
    """
    data = read_specified_file(path, limit=_LARGEST, error_class=OptionsError)
    text = data.decode("utf-8-sig", "replace").casefold()
    used = tuple(list_used_certificates(records))
    known = {
        _normalize(certificate.serial): record.id
        for record in records
        for part in record.generations
        for certificate in list_known_certificates(part).values()
    } | {_normalize(item.serial): item.request_id for item in used}
    numbers = {number for line in text.splitlines() for number in _list_numbers(line)}
    listed = {number for number in numbers if number in known or len(number) >= _SHORTEST}
    matches = tuple(item for item in used if _normalize(item.serial) in listed)
    if not matches:
        raise BundleError(
            f"{os.fspath(path)} contains no serial number of a certificate in use or under way, so "
            "lyncnb renewed nothing",
            hint="use a text file with the serial numbers that the CA sent",
        )
    listed -= {_normalize(item.serial) for item in matches}
    unused = sorted(f"{number} of {known[number]}" for number in listed if number in known)
    notes = []
    if unused:
        number = format_count(len(unused), "serial number")
        notes.append(f"no longer in use: {number} ({join_first_texts(unused, _NAMED)})")
    if foreign := sorted(listed - known.keys()):
        number = format_count(len(foreign), "serial number")
        notes.append(f"not in this folder: {number} ({join_first_texts(foreign, _NAMED)})")
    return matches, tuple(notes)


def _normalize(serial: str) -> str:
    return serial.casefold().lstrip("0") or "0"


def _list_numbers(line: str) -> Iterator[str]:
    """Yield each hexadecimal number in a line, also with colons or blanks between its digits."""
    for text in (*_SEPARATORS.split(line), _PAIRS.sub("", line)):
        if match := _HEX.fullmatch(text.replace(":", "")):
            yield _normalize(match[1])


def list_used_certificates(records: Iterable[RequestRecord]) -> Iterator[UsedCertificate]:
    """Yield the certificates in use or under way of the requests that are planned."""
    for record in records:
        if record.state == "retired":
            continue
        life = find_generations(record)
        certificates: dict[str, tuple[str, str]] = {}
        if isinstance(life.held, CoveringCertificate):
            certificates[life.held.sha256] = life.held.serial, life.held.issuer
        for part in record.generations:
            if part.generation not in life.used and part is not life.under_way:
                continue
            issuers = {item.sha256: item.issuer for item in (*part.refused, part.issued) if item}
            refused = {item.sha256 for item in part.refused}
            for digest, item in list_known_certificates(part).items():
                if digest not in refused:
                    certificates[digest] = item.serial, issuers.get(digest, "")
        for digest, (serial, common_name) in certificates.items():
            yield UsedCertificate(
                request_id=record.id,
                sha256=digest,
                serial=serial,
                issuer=record.plan.issuer,
                ca=record.ca,
                common_name=common_name,
            )
