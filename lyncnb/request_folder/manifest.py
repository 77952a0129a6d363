"""``manifest.json``: what the request folder holds, what is about to be written, what came back.

This file owns the document; it holds no secret and reads no key.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

from ..base import files
from ..errors import BundleError

# ``RequestRecord``: one request of the folder, its generations and what came back for it.
#
# A record says what was asked of a certificate authority and under which public key, so every
# later step (matching, packaging, a new run) compares with it and never guesses from file names.

STATES = ("planned", "waiting", "issued", "packaged", "retired")


def csr_path(request_id: str) -> str:
    """Return where the CSR of a request stands, relative to the folder."""
    return f"csr/{request_id}.csr"


def key_path(request_id: str) -> str:
    """Return where the private key of a request stands, relative to the folder."""
    return f"keys/{request_id}.key"


def archived_paths(request_id: str, generation: int) -> dict[str, str]:
    """Return where CSR and key of a superseded generation stand, relative to the folder."""
    stem = f"archive/{request_id}-g{generation}"
    return {"csr": f"{stem}.csr", "key": f"{stem}.key"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedGeneration:
    """A superseded request, whole in ``archive/``: a certificate may still come back for it.

    Hashes are SHA-256 as 64 lower-case hex digits, of the CSR file's bytes, of the DER
    SubjectPublicKeyInfo and of the encrypted key file; times are UTC in ISO 8601 to the second.
    ``reasons`` says why it was superseded, ``plan`` is its entry of the plan document.
    ``purged_at`` is when its files were removed, on request.
    """

    generation: int
    files: Mapping[str, str]
    csr_sha256: str
    spki_sha256: str
    key_sha256: str
    superseded_at: str
    reasons: tuple[str, ...]
    purged_at: str = ""
    plan: Mapping[str, object] = field(default_factory=dict)
    issued: Mapping[str, object] | None = None
    package: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request of the folder.

    ``plan`` is the certificate's entry of the plan document, exact. ``files`` has the keys
    ``csr`` and ``key``. Hashes are empty until CSR and key are durably written. ``state`` is one
    of ``planned | waiting | issued | packaged | retired``; a retired request left the plan and
    keeps its files. ``reasons`` says why this generation was made, field by field.
    ``validity_days`` is what was asked for, 0 for nothing. ``deployed_at`` is when its key and
    package were removed, on request, because its servers have them.
    """

    id: str
    generation: int = 1
    state: str = "planned"
    files: Mapping[str, str]
    csr_sha256: str = ""
    spki_sha256: str = ""
    key_sha256: str = ""
    planned_at: str = ""
    written_at: str = ""
    issued_at: str = ""
    packaged_at: str = ""
    retired_at: str = ""
    deployed_at: str = ""
    reasons: tuple[str, ...] = ()
    ca: str = ""
    target_os: str = ""
    rule: str = ""
    validity_days: int = 0
    plan: Mapping[str, object]
    issued: Mapping[str, object] | None = None
    package: Mapping[str, object] | None = None
    archived: tuple[ArchivedGeneration, ...] = ()

    @property
    def is_written(self) -> bool:
        """Whether key and CSR are known to be in the folder."""
        return bool(self.csr_sha256)

    @property
    def has_key(self) -> bool:
        """Whether its key belongs into the folder: it was written, and not removed on request."""
        return self.is_written and not self.deployed_at

    @property
    def active_state(self) -> str:
        """The state that the request has while it is in the plan, from what is on record."""
        if self.package is not None and not self.deployed_at:
            return "packaged"
        if self.issued is not None:
            return "issued"
        return "waiting" if self.is_written else "planned"

    def with_issued(
        self, issued: Mapping[str, object], *, at: str, generation: int | None = None
    ) -> RequestRecord:
        """Return the record with the certificate that came back.

        Parameters
        ----------
        issued : Mapping
            ``file``, ``chain``, ``serial``, ``thumbprint_sha1``, ``sha256``, ``not_before``,
            ``not_after`` (UTC, ISO 8601), ``received_at``, ``findings`` (codes).
        at : str
            Time of receipt, UTC, ISO 8601 to the second.
        generation : int, optional
            The superseded generation it belongs to; the present one if left out.
        """
        if generation not in (None, self.generation):
            return self._with_archived(generation, issued=dict(issued))
        # A new certificate makes a package of the old one stale.
        changed = replace(self, issued=dict(issued), issued_at=at, package=None, packaged_at="")
        return changed if self.state == "retired" else replace(changed, state="issued")

    def with_deployed(self, *, at: str) -> RequestRecord:
        """Return the record without key and package, which its servers have.

        The CSR stays: by it a later run sees that nothing has to be requested anew.
        """
        changed = replace(self, deployed_at=at, key_sha256="")
        return changed if self.state == "retired" else replace(changed, state=changed.active_state)

    def with_package(self, package: Mapping[str, object], *, at: str) -> RequestRecord:
        """Return the record with its package (``file``, ``target_os``, ``encryption``, ...)."""
        changed = replace(self, package=dict(package), packaged_at=at)
        return changed if self.state == "retired" else replace(changed, state="packaged")

    def _with_archived(self, generation: int, **changes: object) -> RequestRecord:
        found = tuple(
            replace(old, **changes) if old.generation == generation else old
            for old in self.archived
        )
        return replace(self, archived=found)


FORMAT = "lyncnb-requests/1"
NAME = "manifest.json"
FOLDERS = ("csr", "keys", "archive", "returned", "pfx", "steps")

# An id becomes a file name, so a manifest that somebody edited must not reach outside the folder.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,200}\Z")
_HEX = re.compile(r"(?:[0-9a-f]{64})?\Z")
# 100,000 requests with three generations each are some 500 MB; more is no manifest of ours.
_LARGEST = 1 << 31
_REBUILD = "restore it from a backup, or run: lyncnb status FOLDER --rebuild"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything the folder knows about its requests; ``requests`` in the order of the plan.

    ``accepted`` lists the error findings that were accepted (``code``, ``reason``). ``encrypted``
    lists files other than keys that are encrypted under the folder's passphrase, relative to the
    folder. ``summary`` holds what the summary files were made of and their SHA-256. ``rekeying``
    is the time at which a change of passphrase began, while it is not finished. ``log`` lists
    what was removed or moved outside an ordinary run (``at``, ``event``, ``about``).
    """

    product: str = ""
    plan_sha256: str = ""
    accepted: tuple[Mapping[str, str], ...] = ()
    summary: Mapping[str, str] = field(default_factory=dict)
    encrypted: tuple[str, ...] = ()
    rekeying: str = ""
    log: tuple[Mapping[str, object], ...] = ()
    requests: tuple[RequestRecord, ...] = ()

    @cached_property
    def by_id(self) -> Mapping[str, RequestRecord]:
        """The records by request id."""
        return {record.id: record for record in self.requests}

    def with_record(self, record: RequestRecord) -> Manifest:
        """Return the manifest with this record in place of the one of the same id."""
        return self.with_records((record,))

    def with_records(self, records: Iterable[RequestRecord]) -> Manifest:
        """Return the manifest with these records replaced in place; new ones come last."""
        changed = {record.id: record for record in records}
        kept = tuple(changed.pop(old.id, old) for old in self.requests)
        return replace(self, requests=kept + tuple(changed.values()))

    def with_encrypted(self, path: str) -> Manifest:
        """Return the manifest with one more file for ``rekey`` to encrypt anew (relative path)."""
        if path in self.encrypted:
            return self
        return replace(self, encrypted=(*self.encrypted, path))

    def with_event(self, event: str, about: str, *, at: str) -> Manifest:
        """Return the manifest with one more line in its log."""
        return replace(self, log=(*self.log, {"at": at, "event": event, "about": about}))


def _plain(value: object) -> dict[str, object]:
    # dataclasses.asdict copies every plan entry deeply: 20 times slower at 100,000 requests.
    return {item.name: getattr(value, item.name) for item in fields(value)}


def _lines(manifest: Manifest) -> Iterator[str]:
    head = _plain(manifest)
    del head["requests"]
    dump = json.JSONEncoder(ensure_ascii=False, default=_plain).encode
    yield "{\n" + dump("format") + ": " + dump(FORMAT)
    for name, value in head.items():
        yield f",\n{dump(name)}: {dump(value)}"
    yield ',\n"requests": ['
    # One request a line: a diff of two manifests then names the requests concerned.
    for number, record in enumerate(manifest.requests):
        yield ("\n" if number == 0 else ",\n") + dump(_plain(record))
    yield "\n]}\n"


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return the document as UTF-8 JSON, one request a line; the same manifest, the same bytes."""
    return b"".join(line.encode() for line in _lines(manifest))


def save_manifest(folder: Path, manifest: Manifest) -> bool:
    """Write the manifest of a folder in one step; leave it alone if no byte would change.

    The caller holds the folder's lock.

    Parameters
    ----------
    folder : Path
        The request folder.
    manifest : Manifest
        What to record.

    Returns
    -------
    bool
        Whether the file was written.
    """
    path, data = Path(folder) / NAME, manifest_bytes(manifest)
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return False
    files.replace(path, data, 0o600)
    return True


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a request folder.

    Raises
    ------
    BundleError
        If there is none, if it was edited or cut off, or if a newer lyncnb wrote it.
    """
    path = Path(folder) / NAME
    if not os.path.lexists(path):
        raise BundleError(
            f"{path}: no such file, so this is no request folder",
            hint=f"check the folder's name; if it holds keys/, {_REBUILD}",
        )
    try:
        document = json.loads(files.read(path, limit=_LARGEST))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not readable as JSON ({error})", hint=_REBUILD) from None
    found = document.get("format") if isinstance(document, dict) else None
    if isinstance(found, str) and found.startswith("lyncnb-requests/") and found != FORMAT:
        raise BundleError(
            f'{path}: format "{found}" is newer than this lyncnb ({FORMAT})',
            hint="update lyncnb; nothing was changed",
        )
    if found != FORMAT:
        raise BundleError(f'{path}: format "{found}" is not "{FORMAT}"', hint=_REBUILD)
    try:
        return _manifest(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{path}: was edited or damaged ({error})", hint=_REBUILD) from None


def _manifest(document: dict) -> Manifest:
    document = {name: value for name, value in document.items() if name != "format"}
    records = tuple(_record(entry) for entry in document.pop("requests"))
    if len({record.id for record in records}) != len(records):
        raise ValueError("a request id stands twice")
    for name in ("accepted", "encrypted", "log"):
        document[name] = tuple(document[name])
    for path in document["encrypted"]:
        if not is_inside(path):
            raise ValueError(f'"{path}" is no file of the folder')
    return Manifest(requests=records, **document)


def _record(entry: dict) -> RequestRecord:
    record = RequestRecord(
        **{
            **entry,
            "reasons": tuple(entry["reasons"]),
            "archived": tuple(
                ArchivedGeneration(**{**old, "reasons": tuple(old["reasons"])})
                for old in entry["archived"]
            ),
        }
    )
    request_id = record.id
    if not _ID.match(request_id) or record.plan["id"] != request_id:
        raise ValueError(f'"{request_id}" is no request id')
    if record.state not in STATES:
        raise ValueError(f'{request_id}: "{record.state}" is no state')
    if record.files != {"csr": csr_path(request_id), "key": key_path(request_id)}:
        raise ValueError(f"{request_id}: files {record.files}")
    for old in record.archived:
        if old.files != archived_paths(request_id, old.generation):
            raise ValueError(f"{request_id}: files {old.files}")
    for part in (record, *record.archived):
        for value in (part.csr_sha256, part.spki_sha256, part.key_sha256):
            if not _HEX.match(value):
                raise ValueError(f'{request_id}: "{value}" is no SHA-256')
    return record


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
    return bool(sound) and first in (places or FOLDERS)


def timestamp(today: date | None) -> str:
    """Return now, or midnight of `today`, in UTC as ISO 8601 to the second."""
    moment = datetime.now(UTC) if today is None else datetime(today.year, today.month, today.day)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
