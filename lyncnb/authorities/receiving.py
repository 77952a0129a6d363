"""Returned certificates into the request folder: ``returned/``, ``archive/`` and the manifest.

What was there before is never overwritten and never removed: it moves to ``archive/``. The
manifest is written last, so an interruption leaves files that the next run finds in place.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from ..base.files import FileBatch, make_folder, move_no_clobber, read, remove
from ..base.lock import lock
from ..errors import BundleError
from ..pki.certificates import to_pem
from ..request_folder.bundle import RequestBundle, open_requests
from ..request_folder.manifest import Manifest, read_manifest, save_manifest, timestamp
from ..request_folder.request_record import ArchivedGeneration, IssuedRecord, RequestRecord
from .decoding import decode
from .issued import (
    FOLDER,
    IssuedCertificate,
    IssuedCertificates,
    match_certificates,
    serial_text,
    time_text,
)
from .returned_files import MAX_FILE_BYTES, Password

# Files are made durable together; a thousand at a time keeps the time between two syncs short.
_FILES_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placement:
    """Where one certificate goes, and what the manifest will say of it."""

    issued: IssuedCertificate
    is_current: bool
    leaf_name: str  # relative to the folder
    chain_name: str
    leaf: bytes
    chain: bytes


def receive(
    folder: str | os.PathLike[str],
    *paths: str | os.PathLike[str],
    password: Password = None,
    today: date | None = None,
    lock_seconds: float = 10.0,
) -> IssuedCertificates:
    """Match returned files, compare them with the plan, and keep the certificates.

    Parameters
    ----------
    folder : path
        The request folder.
    *paths : path
        Files, folders and zip archives; left out: the folder's own ``returned``.
    password, today
        As for :func:`match_certificates`.
    lock_seconds : float, optional
        How long to wait for another writer of the folder, in seconds.

    Returns
    -------
    IssuedCertificates
        With the bundle as it is afterwards. A certificate with findings is kept as well: what
        the planner makes of them is the planner's affair, and a package refuses errors.

    Raises
    ------
    ReturnedFileError
        If a path does not exist.
    BundleError
        If the folder needs attention.
    """
    bundle = open_requests(folder)
    issued = match_certificates(bundle, *paths, password=password, today=today)
    stored = store_returned(bundle, issued, today=today, lock_seconds=lock_seconds)
    return replace(issued, bundle=stored)


def store_returned(
    bundle: RequestBundle,
    issued: IssuedCertificates,
    *,
    today: date | None = None,
    lock_seconds: float = 10.0,
) -> RequestBundle:
    """Write matched certificates into the request folder.

    Parameters
    ----------
    bundle : RequestBundle
        The folder that they were matched to.
    issued : IssuedCertificates
        n certificates.
    today : date, optional
        Recorded instead of the present time, for results that can be repeated.
    lock_seconds : float, optional
        How long to wait for another writer, in seconds.

    Returns
    -------
    RequestBundle
        With the manifest as it is afterwards. The same certificates again change no byte.

    Raises
    ------
    BundleError
        If the requests changed since they were matched, or the folder cannot be written.
    """
    folder = bundle.folder
    if not issued.certificates and not issued.superseded:
        return bundle
    now = timestamp(today)
    with lock(folder, wait=lock_seconds):
        manifest = read_manifest(folder)
        placements = [
            *(_placement(one, is_current=True) for one in issued.certificates),
            *(_placement(one, is_current=False) for one in issued.superseded),
        ]
        wanted = [one for one in placements if _is_news(folder, manifest, one)]
        if wanted:
            for place, mode in ((FOLDER, 0o755), ("archive", 0o700)):
                make_folder(folder / place, mode)
        manifest = _store(folder, manifest, wanted, now)
        save_manifest(folder, manifest)
    return replace(bundle, manifest=manifest)


def _placement(issued: IssuedCertificate, *, is_current: bool) -> _Placement:
    stem = f"{FOLDER}/{issued.request_id}"
    if not is_current:
        stem = f"archive/{issued.request_id}-g{issued.generation}"
    return _Placement(
        issued=issued,
        is_current=is_current,
        leaf_name=f"{stem}.cer",
        chain_name=f"{stem}.chain.pem" if issued.path else "",
        leaf=to_pem([issued.der]),
        chain=to_pem(issued.chain),
    )


def _part(manifest: Manifest, one: _Placement) -> RequestRecord | ArchivedGeneration:
    """Find the generation that a certificate answers, as the folder is now."""
    record = manifest.by_id.get(one.issued.request_id)
    for part in record.generations if record is not None else ():
        same_place = part.generation == one.issued.generation and (part is record) == one.is_current
        if same_place and part.spki_sha256 == one.issued.certificate.spki_sha256:
            return part
    raise BundleError(
        f"{one.issued.request_id}: the request changed while its certificate was matched",
        hint="run the same again",
    )


def _is_news(folder: Path, manifest: Manifest, one: _Placement) -> bool:
    """Tell whether the folder lacks anything of this certificate."""
    recorded = _part(manifest, one).issued
    if recorded is None or recorded.sha256 != one.issued.sha256:
        return True
    leaf = _existing(folder, recorded.file)
    chain = _existing(folder, recorded.chain)
    return not leaf or _is_better(one, chain)


def _existing(folder: Path, name: str) -> bytes:
    path = folder / name
    return read(path, limit=MAX_FILE_BYTES) if name and path.exists() else b""


def _is_better(one: _Placement, chain: bytes) -> bool:
    """Tell whether this run knows more of the chain than the file that is there."""
    if chain == one.chain or not one.chain:
        return False
    before = decode(chain).certificates if chain else ()
    was_complete = bool(before) and before[-1].is_self_issued
    return (one.issued.chain_complete, len(one.issued.path)) > (was_complete, len(before))


def _store(folder: Path, manifest: Manifest, wanted: list[_Placement], now: str) -> Manifest:
    moved = _write(folder, wanted)
    records = {one.issued.request_id: manifest.by_id[one.issued.request_id] for one in wanted}
    for one in wanted:
        record = records[one.issued.request_id]
        before = record.issued if one.is_current else None
        if before is not None and before.sha256 != one.issued.sha256:
            about = f"{record.id}: serial {before.serial}"
            manifest = manifest.with_event("certificate-replaced", about, at=now)
        records[record.id] = _recorded(record, one, moved, now)
    return manifest.with_records(records.values())


def _write(folder: Path, wanted: list[_Placement]) -> dict[str, str]:
    """Write the files; return which names went where, for what had to make room."""
    moved: dict[str, str] = {}
    with FileBatch() as batch:
        for one in wanted:
            chain_name = one.chain_name or f"{FOLDER}/{one.issued.request_id}.chain.pem"
            for name, data in ((one.leaf_name, one.leaf), (chain_name, one.chain)):
                there = _existing(folder, name)
                if there == data:
                    continue
                if there:
                    moved[name] = _make_room(folder, name, there, one.issued.request_id)
                if data:
                    batch.add(folder / name, data, 0o644)
            if len(batch) >= _FILES_AT_ONCE:
                batch.commit()
        batch.commit()
    return moved


def _make_room(folder: Path, name: str, content: bytes, request_id: str) -> str:
    """Move a file to ``archive/`` under a name made of its content; return that name."""
    suffix = ".chain.pem" if name.endswith(".chain.pem") else ".cer"
    target = f"archive/{request_id}-{hashlib.sha256(content).hexdigest()[:8]}{suffix}"
    if _existing(folder, target) == content:
        remove(folder / name)  # it was copied before a run was interrupted
    else:
        move_no_clobber(folder / name, folder / target)
    return target


def _recorded(
    record: RequestRecord, one: _Placement, moved: Mapping[str, str], now: str
) -> RequestRecord:
    """Return the record with the certificate, and with older ones where they are now."""
    issued = one.issued
    received = IssuedRecord(
        file=one.leaf_name,
        chain=one.chain_name,
        serial=serial_text(issued.serial),
        thumbprint_sha1=issued.thumbprint,
        sha256=issued.sha256,
        not_before=time_text(issued.not_before),
        not_after=time_text(issued.not_after),
        received_at=now,
        findings=tuple(sorted({found.code for found in issued.findings})),
    )
    archived = tuple(
        old if old.issued is None else replace(old, issued=_followed(old.issued, moved))
        for old in record.archived
    )
    record = replace(record, archived=archived)
    return record.with_issued(received, at=now, generation=issued.generation)


def _followed(issued: IssuedRecord, moved: Mapping[str, str]) -> IssuedRecord:
    """Point a record to where its files were moved."""
    return replace(
        issued,
        file=moved.get(issued.file, issued.file),
        chain=moved.get(issued.chain, issued.chain),
    )
