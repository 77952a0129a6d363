"""What each field of ``manifest.json`` may be: the one way from JSON to records.

A manifest can be edited by hand, cut off by a disk or come from somebody else, and every command
believes its records. So each value is checked here once, and each that is not what it must be is
told with the request and the field, all of them together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import Any

from ..base.dns_name import is_host_name
from ..errors import Problem
from ..pki.csr import COMPUTER_NAME
from .request_record import (
    SOME_COMPUTER,
    STATES,
    Acceptance,
    ApprovalOnRecord,
    ArchivedGeneration,
    BindingKey,
    CoveringCertificate,
    IssuedRecord,
    JudgedFinding,
    Judgement,
    KeptFile,
    LogEntry,
    NameNote,
    PackageRecord,
    PlannedEntry,
    PlannedKey,
    PlanOnRecord,
    RecoveryKey,
    RequestFiles,
    RequestRecord,
    archived_files,
    present_files,
)

FOLDERS = ("csr", "keys", "archive", "returned", "pfx", "steps", "recovery")

# An id becomes a file name, so a manifest that somebody edited must not reach outside the folder.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,200}")
_PACKAGE = re.compile(rf"{_ID.pattern}\.pfx")
_HEX = re.compile(r"[0-9a-f]{64}")
_HEX_OR_BLANK = re.compile(r"(?:[0-9a-f]{64})?")
_THUMBPRINT = re.compile(r"[0-9A-Fa-f]{40}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_SERIAL = re.compile(r"-?(?:[0-9a-f]{2})+")
# No more than that: a site may be named with an ideographic space, which isprintable() is not.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FILE = "manifest.json"
_HINT = "set it right by hand"


def is_inside(path: str, *places: str) -> bool:
    """Tell whether a relative path names a file in one of the folder's own folders.

    Parameters
    ----------
    path : str
        As a manifest holds it, parts separated by ``/``.
    places : str
        Folders to allow; all of the request folder's if left out.
    """
    first, *rest = path.split("/")
    sound = rest and not any(part in ("", ".", "..") for part in rest) and "\\" not in path
    return bool(sound) and first in (places or FOLDERS) and not _CONTROL.search(path)


class _Wrong(Exception):
    """What a value is not."""


# The values. Each returns what it was given, or says what it is not.


def _text(value: object) -> str:
    if type(value) is not str:
        raise _Wrong("is no text")
    return value


def _line(value: object) -> str:
    text = _text(value)
    if not text.isprintable() and _CONTROL.search(text):
        raise _Wrong("holds a control character")
    return text


def _flag(value: object) -> bool:
    if type(value) is not bool:
        raise _Wrong("is neither true nor false")
    return value


def _number(lowest: int, highest: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if type(value) is not int or not lowest <= value <= highest:
            raise _Wrong(f"is no whole number from {lowest} to {highest:,}")
        return value

    return read


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if type(value) is not str or not pattern.fullmatch(value):
            raise _Wrong(f"is {what}")
        return value

    return read


@lru_cache(maxsize=4096)
def _is_time(value: str) -> bool:
    try:
        return bool(_TIME.fullmatch(value)) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


def _time(value: object) -> str:
    if type(value) is not str or not _is_time(value):
        raise _Wrong("is no time such as 2026-11-24T08:00:00Z")
    return value


def _day(value: object) -> str:
    if type(value) is not str or not _is_time(f"{value}T00:00:00Z"):
        raise _Wrong("is no day such as 2026-11-24")
    return value


def _time_or_blank(value: object) -> str:
    return value if value == "" and type(value) is str else _time(value)


def _state(value: object) -> str:
    if type(value) is not str or value not in STATES:
        raise _Wrong(f"is no state ({', '.join(STATES)})")
    return value


def _path_in(*places: str, may_be_blank: bool = False) -> Callable[[object], str]:
    def read(value: object) -> str:
        if may_be_blank and value == "":
            return ""
        if type(value) is not str or not is_inside(value, *places):
            raise _Wrong(f"is no file of the folder's {' or '.join(places) or 'own folders'}")
        return value

    return read


def _path_below(value: object) -> str:
    # An earlier write_pfx took any folder below the request folder; what removes looks closer.
    if type(value) is not str or not is_inside(value, value.partition("/")[0]):
        raise _Wrong("is no file below the folder")
    if not _PACKAGE.fullmatch(value.rpartition("/")[2]):  # steps and scripts name it
        raise _Wrong("is not the name of a package")
    return value


def _list_of(read: Callable[[object], Any]) -> Callable[[object], tuple[Any, ...]]:
    def read_all(value: object) -> tuple[Any, ...]:
        if type(value) is not list:
            raise _Wrong("is no list")
        return tuple(map(read, value))

    return read_all


def _texts_by_name(value: object) -> Mapping[str, str]:
    if type(value) is not dict or not all(type(text) is str for text in value.values()):
        raise _Wrong("is no list of names with a text each")
    for text in (*value, *value.values()):
        _line(text)
    return value


_id = _matching(_ID, "no request id")
_hex = _matching(_HEX, "no SHA-256 (64 lower-case hex digits)")
_hex_or_blank = _matching(_HEX_OR_BLANK, "no SHA-256 (64 lower-case hex digits, or blank)")
_each_line = _list_of(_line)


def _lines(value: object) -> tuple[str, ...]:
    # Most of a manifest: a look at all at once takes a fraction of a look at each.
    if (
        isinstance(value, list)
        and all(type(one) is str for one in value)
        and "".join(value).isprintable()
    ):
        return tuple(value)
    return _each_line(value)


def _host(value: object) -> str:
    # A server's name becomes the name of its page and script.
    if type(value) is not str or not is_host_name(value):
        raise _Wrong("is not a host name such as fe01.contoso.com")
    return value


def _computer(value: object) -> str:
    if type(value) is not str or not (
        value in ("", SOME_COMPUTER) or COMPUTER_NAME.fullmatch(value)
    ):
        raise _Wrong("is not the name of a computer")
    return value


def _issuer(value: object) -> str:
    # The folder inside a package for a CA is named after it.
    if value not in ("internal", "public", ""):
        raise _Wrong("is neither internal nor public")
    return str(value)


@dataclass(frozen=True, slots=True)
class _Nested:
    """A record inside another: one (``null`` and, where it may be empty, ``{}`` give None)."""

    kind: type
    is_list: bool = False
    may_be_null: bool = False
    may_be_empty: bool = False


Reader = Callable[[object], Any] | _Nested

_RETURNED = _path_in("returned", "archive")

# By record and field. A field without a default in its record must be there.
_READERS: Mapping[type, Mapping[str, Reader]] = {
    RequestFiles: {"csr": _text, "key": _text},
    PlannedKey: {"algorithm": _line, "bits": _number(0, 1 << 20)},
    PlannedEntry: {
        "id": _id,
        "role": _line,
        "site": _text,
        "pool": _line,
        "servers": _list_of(_host),
        "usages": _lines,
        "subject": _texts_by_name,
        "san": _lines,
        "eku": _lines,
        "issuer": _issuer,
        "key": _Nested(PlannedKey, may_be_empty=True),
        "hash": _line,
        "shared_by": _line,
        "exportable": _flag,
        "at_set_up": _flag,
    },
    Acceptance: {"code": _line, "reason": _text},
    JudgedFinding: {"code": _line, "severity": _line, "message": _text},
    Judgement: {
        "certificate": _hex,
        "chain": _list_of(_hex),
        "chain_complete": _flag,
        "rejected": _list_of(_hex),
        "entry_sha256": _hex_or_blank,
        "rules": _line,
        "judged_at": _time_or_blank,
        "findings": _Nested(JudgedFinding, is_list=True),
        "accepted": _Nested(Acceptance, is_list=True),
    },
    IssuedRecord: {
        "file": _RETURNED,
        "chain": _path_in("returned", "archive", may_be_blank=True),
        "serial": _matching(_SERIAL, "no serial number (pairs of lower-case hex digits)"),
        "thumbprint_sha1": _matching(_THUMBPRINT, "no SHA-1 (40 hex digits)"),
        "sha256": _hex,
        "not_before": _time,
        "not_after": _time,
        "received_at": _time,
        "findings": _lines,
        "file_sha256": _hex_or_blank,
        "chain_sha256": _hex_or_blank,
        "judgement": _Nested(Judgement, may_be_null=True),
    },
    PackageRecord: {
        "file": _path_below,
        "target_os": _line,
        "encryption": _line,
        "friendly_name": _line,
        "certificate": _hex,
        "sha256": _hex,
        "packaged_at": _time,
    },
    NameNote: {"name": _text, "written": _text, "note": _text},
    LogEntry: {"at": _time, "event": _line, "about": _text},
    BindingKey: {
        "salt": _matching(re.compile(r"(?:[0-9a-f]{2}){8,64}"), "no salt (pairs of hex digits)"),
        "rounds": _number(1, 10_000_000),
        "hash": _matching(re.compile(r"sha(?:256|384|512)"), "no hash that lyncnb uses"),
        "length": _number(16, 32),
    },
    RecoveryKey: {"fingerprint": _line, "added_at": _time},
    ApprovalOnRecord: {
        "signer": _line,
        "key": _line,
        "signature_sha256": _hex,
        "verified_at": _time,
    },
    PlanOnRecord: {
        "sha256": _hex,
        "plan_sha256": _hex,
        "judged_on": _day,
        "requested_at": _time,
        "approvals": _Nested(ApprovalOnRecord, is_list=True),
        "reason": _text,
    },
    KeptFile: {"file": _RETURNED, "sha256": _hex, "received_at": _time},
    CoveringCertificate: {
        "thumbprint_sha1": _matching(_THUMBPRINT, "no SHA-1 (40 hex digits)"),
        "sha256": _hex,
        "serial": _matching(_SERIAL, "no serial number (pairs of lower-case hex digits)"),
        "subject": _line,
        "issuer": _line,
        "not_before": _time,
        "not_after": _time,
        "found_at": _time,
        "recorded_at": _time,
        "servers": _lines,
    },
    ArchivedGeneration: {
        "generation": _number(1, 1_000_000),
        "files": _Nested(RequestFiles),
        "csr_sha256": _hex_or_blank,
        "spki_sha256": _hex_or_blank,
        "key_sha256": _hex_or_blank,
        "superseded_at": _time,
        "reasons": _list_of(_text),
        "purged_at": _time_or_blank,
        "plan": _Nested(PlannedEntry, may_be_empty=True),
        "issued": _Nested(IssuedRecord, may_be_null=True),
        "package": _Nested(PackageRecord, may_be_null=True),
        "refused": _Nested(IssuedRecord, is_list=True),
    },
    RequestRecord: {
        "id": _id,
        "generation": _number(1, 1_000_000),
        "state": _state,
        "files": _Nested(RequestFiles),
        "csr_sha256": _hex_or_blank,
        "spki_sha256": _hex_or_blank,
        "key_sha256": _hex_or_blank,
        "planned_at": _time_or_blank,
        "written_at": _time_or_blank,
        "issued_at": _time_or_blank,
        "packaged_at": _time_or_blank,
        "retired_at": _time_or_blank,
        "deployed_at": _time_or_blank,
        "reasons": _list_of(_text),
        "ca": _text,
        "target_os": _line,
        "rule": _line,
        "validity_days": _number(0, 10_000_000),
        "plan": _Nested(PlannedEntry),
        "issued": _Nested(IssuedRecord, may_be_null=True),
        "package": _Nested(PackageRecord, may_be_null=True),
        "archived": _Nested(ArchivedGeneration, is_list=True),
        "refused": _Nested(IssuedRecord, is_list=True),
        "key_holder": _computer,
        "name_notes": _Nested(NameNote, is_list=True),
        "covered": _Nested(CoveringCertificate, may_be_null=True),
        "import_commands": _lines,
        "assign_commands": _lines,
        "binding": _hex_or_blank,
    },
}

_HEAD: Mapping[str, Reader] = {
    "product": _line,
    "plan_sha256": _hex_or_blank,
    "accepted": _Nested(Acceptance, is_list=True),
    "summary": _texts_by_name,
    "encrypted": _list_of(_path_in()),
    "rekeying": _time_or_blank,
    "log": _Nested(LogEntry, is_list=True),
    "recovery": _Nested(RecoveryKey, is_list=True),
    "issuers": _Nested(KeptFile, is_list=True),
    "plans": _Nested(PlanOnRecord, is_list=True),
    "binding_key": _Nested(BindingKey, may_be_null=True),
    "team": _line,
    "product_sha256": _hex_or_blank,
}
_MUST_BE = ("product", "plan_sha256", "accepted", "summary", "encrypted", "rekeying", "log")

_NEEDED = {
    kind: frozenset(
        item.name
        for item in fields(kind)
        if item.default is MISSING and item.default_factory is MISSING
    )
    for kind in _READERS
}
# An entry without a plan is blank where only a plan can tell, but whole.
_NEEDED[PlannedEntry] = frozenset(_READERS[PlannedEntry]) - {"at_set_up"}


def read_document(document: Mapping[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Read a manifest's document as the arguments of ``Manifest``.

    Parameters
    ----------
    document : mapping
        As JSON gave it, of a format that is known.
    problems : list of Problem
        Gets one for each value that is not what it must be; with any, the result is worth nothing.
    """
    values: dict[str, Any] = {"format": document["format"]}
    for name, reader in _HEAD.items():
        if name in document:
            values[name] = _value(reader, document[name], name, problems)
    needed = [name for name in (*_MUST_BE, "requests") if name not in document]
    problems += [_problem(name, "is missing") for name in needed]
    entries = document.get("requests", [])
    if type(entries) is not list:
        problems.append(_problem("requests", "is no list"))
        entries = []
    records = [_record(RequestRecord, e, _where(n, e), problems) for n, e in enumerate(entries)]
    if not problems:
        check_records(records, problems)
    values["requests"] = tuple(records)
    known = {*_HEAD, "format", "requests"}
    values["others"] = {name: value for name, value in document.items() if name not in known}
    return values


def _where(number: int, entry: object) -> str:
    found = entry.get("id") if type(entry) is dict else None
    if type(found) is str and _ID.fullmatch(found):
        return found
    return f"request {number + 1}"


def _problem(where: str, message: str, value: object = None) -> Problem:
    told = f'"{where}" {message}'
    if value is not None:
        told = f"{told}: {json.dumps(value)[:80]}"
    return Problem(message=told, file=_FILE, hint=_HINT)


def _value(reader: Reader, value: object, where: str, problems: list[Problem]) -> Any:
    if isinstance(reader, _Nested):
        return _nested(reader, value, where, problems)
    try:
        return reader(value)
    except _Wrong as error:
        problems.append(_problem(where, str(error), value))
        return None


def _nested(reader: _Nested, value: object, where: str, problems: list[Problem]) -> Any:
    if reader.is_list:
        if type(value) is not list:
            problems.append(_problem(where, "is no list", value))
            return ()
        return tuple(
            _record(reader.kind, one, f"{where}[{place}]", problems)
            for place, one in enumerate(value)
        )
    if (value is None and reader.may_be_null) or (value == {} and reader.may_be_empty):
        return None
    return _record(reader.kind, value, where, problems)


def _record(kind: type, value: object, where: str, problems: list[Problem]) -> Any:
    if type(value) is not dict:
        problems.append(_problem(where, "is no record", value))
        return None
    readers, found, before = _READERS[kind], {}, len(problems)
    others: dict[str, object] | None = None
    for name, one in value.items():
        reader = readers.get(name)
        if reader is None:
            others = others or {}
            others[name] = one
        elif isinstance(reader, _Nested):
            found[name] = _nested(reader, one, f"{where}: {name}", problems)
        else:
            try:
                found[name] = reader(one)
            except _Wrong as error:
                problems.append(_problem(f"{where}: {name}", str(error), one))
    if not _NEEDED[kind] <= value.keys():
        missing = sorted(_NEEDED[kind] - value.keys())
        problems += [_problem(f"{where}: {name}", "is missing") for name in missing]
    if len(problems) > before:
        return None
    if others:
        found["others"] = others
    return kind(**found)


def check_records(records: Sequence[RequestRecord], problems: list[Problem]) -> None:
    """Refuse what no single field shows: names of files, and ids and generations twice."""
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            problems.append(_problem(record.id, "stands twice"))
        seen.add(record.id)
        if record.plan.shared_by == "server" and not record.plan.servers:
            problems.append(_problem(f"{record.id}: plan: servers", "names no server"))
        if record.plan.id != record.id:
            problems.append(_problem(f"{record.id}: plan: id", "is another id", record.plan.id))
        if record.files != present_files(record.id):
            problems.append(_problem(f"{record.id}: files", "are not those of this request"))
        generations = [old.generation for old in record.archived]
        if len(set(generations)) != len(generations):
            problems.append(_problem(f"{record.id}: archived", "has one generation twice"))
        for place, old in enumerate(record.archived):
            if old.files != archived_files(record.id, old.generation):
                where = f"{record.id}: archived[{place}]: files"
                problems.append(_problem(where, "are not those of this generation"))


def refuse_half_characters(document: Mapping[str, Any], problems: list[Problem]) -> None:
    """Refuse halves of characters (lone surrogates): no file and no terminal can hold them."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
        return
    except UnicodeEncodeError:
        pass
    for number, entry in enumerate(document.get("requests") or ()):
        try:
            json.dumps(entry, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            problems.append(_problem(_where(number, entry), "holds half a character"))
    if not problems:
        problems.append(_problem(_FILE, "holds half a character"))
