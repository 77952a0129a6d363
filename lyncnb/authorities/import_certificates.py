"""Store returned certificates in the request folder, and record them in the manifest.

Existing files are never overwritten or removed, but moved to ``archive/``. The manifest is written
last. After an interruption, the next run finds the files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from ..base.disk.files import FileBatch, make_folder, move_file, read_file, remove_file
from ..base.disk.folder_lock import confirm_lock
from ..base.planned_entry import PlannedEntry
from ..base.times import format_time
from ..errors import BundleError
from ..pki.certificates import Certificate, to_pem
from ..pki.chain import Path as ChainPath
from ..request_folder.bundle import RequestBundle, open_requests
from ..request_folder.history import record_changes
from ..request_folder.manifest import (
    Manifest,
    format_timestamp,
    read_manifest,
    save_manifest,
)
from ..request_folder.request_record import (
    ArchivedGeneration,
    IssuedRecord,
    KeptFile,
    RecordedEvaluation,
    RequestRecord,
)
from .certificates_on_record import (
    FOLDER,
    ISSUERS,
    build_archived_path,
    find_recorded_path,
)
from .evaluation.evaluation import build_evaluation_record
from .returned.decoding import decode
from .returned.issued import DISPLACED, IssuedCertificate, IssuedCertificates
from .returned.match_certificates import match_certificates
from .returned.returned_files import MAX_FILE_BYTES, Password
from .summary_files import refresh_summary_files

#: The folder for refused certificates.
REFUSED = f"{FOLDER}/refused"

# The codes of findings about received files. All other findings are about certificates.
_TOLD_ONCE = (
    *("replaces-earlier-certificate", "renews-earlier-certificate", "several-answers"),
    *("chain-completed", "answers-retired-request"),
)

# lyncnb flushes files to the disk in groups of a thousand, because flushing more files at once
# would take too long.
_FILES_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placement:
    """The target paths of one returned certificate, and the data to record in the manifest."""

    issued: IssuedCertificate
    is_current: bool
    is_refused: bool
    leaf_name: str  # The paths of the files, relative to the request folder.
    chain_name: str
    leaf: bytes
    chain: bytes


def receive(
    folder: str | os.PathLike[str],
    *paths: str | os.PathLike[str],
    password: Password = None,
    today: date | None = None,
    accept: Mapping[str, str] | None = None,
    lock_seconds: float = 10.0,
) -> IssuedCertificates:
    """Match returned files, compare the certificates with the plan, and store the certificates.

    Parameters
    ----------
    folder : path
        The request folder.
    *paths : path
        Files, folders and zip archives. The default is the folder ``returned``.
    password, today, accept
        As for :func:`match_certificates`.
    lock_seconds : float, optional
        How long to wait for another writer of the folder, in seconds.

    Returns
    -------
    IssuedCertificates
        The certificates and the updated bundle. A certificate with an error replaces nothing. It
        stays in ``returned/refused/`` until it is accepted or another certificate is received.

    Raises
    ------
    ReturnedFileError
        If a path does not exist.
    BundleError
        If the folder needs attention.
    """
    bundle = open_requests(folder)
    issued = match_certificates(bundle, *paths, password=password, today=today, accept=accept)
    stored = store_returned_certificates(bundle, issued, today=today, lock_seconds=lock_seconds)
    return replace(issued, bundle=stored)


def store_returned_certificates(
    bundle: RequestBundle,
    issued_certificates: IssuedCertificates,
    *,
    today: date | None = None,
    lock_seconds: float = 10.0,
) -> RequestBundle:
    """Write matched certificates into the request folder.

    Parameters
    ----------
    bundle : RequestBundle
        The folder whose requests were matched.
    issued_certificates : IssuedCertificates
        n certificates.
    today : date, optional
        The date to record instead of the current time, for repeatable results.
    lock_seconds : float, optional
        How long to wait for another writer, in seconds.

    Returns
    -------
    RequestBundle
        The updated folder. Receiving the same certificates again changes nothing.

    Raises
    ------
    BundleError
        If the requests changed since they were matched, or the folder cannot be written.
    """
    folder = bundle.folder
    everyone = (
        *issued_certificates.certificates,
        *issued_certificates.superseded,
        *issued_certificates.refused,
    )
    if not everyone and not issued_certificates.issuers:
        return bundle
    now = format_timestamp(today)
    with record_changes(folder, "receive", now=now, wait_seconds=lock_seconds):
        before = manifest = read_manifest(folder)
        current = (*issued_certificates.certificates, *issued_certificates.refused)
        placements = [
            *(_choose_placement(certificate, manifest, is_current=True) for certificate in current),
            *(
                _choose_placement(certificate, manifest, is_current=False)
                for certificate in issued_certificates.superseded
            ),
        ]
        new_placements = [
            placement for placement in placements if _must_be_stored(folder, manifest, placement)
        ]
        manifest = _write_issuers(
            folder, manifest, _list_issuers(everyone, issued_certificates.issuers), now
        )
        if new_placements:
            for subfolder, mode in ((FOLDER, 0o755), (REFUSED, 0o755), ("archive", 0o700)):
                if subfolder != REFUSED or any(
                    placement.is_refused for placement in new_placements
                ):
                    make_folder(folder / subfolder, mode)
        manifest = _store_certificates(folder, manifest, new_placements, now)
        manifest = _record_moved_files(folder, manifest)
        manifest = _record_unused_certificates(manifest, issued_certificates, now)
        save_manifest(folder, manifest)
        _remove_accepted_files(folder, before, manifest)
        # lyncnb writes the summary last. If this fails, no certificate is lost.
        manifest = refresh_summary_files(folder, manifest)
        save_manifest(folder, manifest)
    return replace(bundle, manifest=manifest)


def _list_issuers(
    certificates: Iterable[IssuedCertificate], other_certificates: Iterable[Certificate]
) -> dict[str, Certificate]:
    """Return all CA certificates that an evaluation needs, by SHA-256.

    Rejected ones are included.
    """
    issuers = {certificate.sha256: certificate for certificate in other_certificates}
    for issued in certificates:
        issuers |= {issuer.sha256: issuer for issuer in (*issued.path, *issued.rejected)}
    return issuers


def _write_issuers(
    folder: Path, manifest: Manifest, issuers: Mapping[str, Certificate], now: str
) -> Manifest:
    """Write all CA certificates that the folder does not contain, even if no chain uses them."""
    known = {kept_file.file for kept_file in manifest.issuers}
    missing = {
        name: to_pem([issuer.der])
        for issuer in issuers.values()
        if (name := f"{ISSUERS}/{issuer.sha256[:32]}.cer") not in known
        or not (folder / name).exists()
    }
    if not missing:
        return manifest
    for subfolder in (FOLDER, ISSUERS):
        make_folder(folder / subfolder, 0o755)
    with FileBatch() as batch:
        for name, data in missing.items():
            if _read_existing_file(folder, name) != data:
                batch.add(folder / name, data, 0o644)
        batch.commit()
    added = tuple(
        KeptFile(file=name, sha256=hashlib.sha256(data).hexdigest(), received_at=now)
        for name, data in missing.items()
        if name not in known
    )
    return replace(manifest, issuers=(*manifest.issuers, *added))


def _record_unused_certificates(
    manifest: Manifest, issued_certificates: IssuedCertificates, now: str
) -> Manifest:
    """Record the certificates that were not used because another one has the same dates."""
    noted = {entry.about for entry in manifest.log}
    for request_id, certificate in issued_certificates.passed_over:
        description = _describe_certificate(request_id, certificate.serial_hex, certificate.sha256)
        if description not in noted:
            manifest = manifest.with_event(DISPLACED[1], description, now=now)
    return manifest


def _remove_accepted_files(folder: Path, old_manifest: Manifest, new_manifest: Manifest) -> None:
    """Remove from ``refused/`` the certificates that are now accepted and in ``returned/``."""
    names = [
        {certificate.file for record in manifest.requests for part in record.generations
         for certificate in part.refused}
        for manifest in (old_manifest, new_manifest)
    ]  # fmt: skip
    for name in sorted(names[0] - names[1]):
        if name.startswith(f"{REFUSED}/") and (folder / name).exists():
            remove_file(folder / name)


def _describe_certificate(request_id: str, serial: str, sha256: str) -> str:
    return f"{request_id}: serial number {serial} ({sha256})"


def _choose_placement(
    issued_certificate: IssuedCertificate, manifest: Manifest, *, is_current: bool
) -> _Placement:
    record = manifest.by_id.get(issued_certificate.request_id)
    recorded = record.issued if record is not None else None
    is_recorded = (
        is_current and recorded is not None and recorded.sha256 == issued_certificate.sha256
    )
    # A certificate that is already recorded stays in its folder, even if it now has an error.
    is_refused = issued_certificate.has_errors and not is_recorded
    stem = f"{FOLDER}/{issued_certificate.request_id}"
    if is_refused:
        stem = f"{REFUSED}/{issued_certificate.request_id}-{issued_certificate.sha256[:8]}"
    elif not is_current:
        stem = f"archive/{issued_certificate.request_id}-g{issued_certificate.generation}"
    has_chain = bool(issued_certificate.path) and not is_refused
    return _Placement(
        issued=issued_certificate,
        is_current=is_current,
        is_refused=is_refused,
        leaf_name=f"{stem}.cer",
        chain_name=f"{stem}.chain.pem" if has_chain else "",
        leaf=to_pem([issued_certificate.der]),
        chain=to_pem(issued_certificate.chain) if has_chain else b"",
    )


def _find_generation(
    manifest: Manifest, placement: _Placement
) -> RequestRecord | ArchivedGeneration:
    """Return the generation in the current manifest to which a returned certificate belongs."""
    record = manifest.by_id.get(placement.issued.request_id)
    for part in record.generations if record is not None else ():
        same_place = (
            part.generation == placement.issued.generation
            and (part is record) == placement.is_current
        )
        if same_place and part.spki_sha256 == placement.issued.certificate.spki_sha256:
            return part
    raise BundleError(
        f"{placement.issued.request_id}: the request changed while lyncnb matched its certificate",
        hint="run the command again",
    )


def _must_be_stored(folder: Path, manifest: Manifest, placement: _Placement) -> bool:
    """Return whether a file of the certificate is missing, or the evaluation has changed."""
    part = _find_generation(manifest, placement)
    recorded = part.issued
    if placement.is_refused:
        recorded = next(
            (
                certificate
                for certificate in part.refused
                if certificate.sha256 == placement.issued.sha256
            ),
            None,
        )
    if recorded is None or recorded.sha256 != placement.issued.sha256:
        return True
    if not _is_file_intact(folder, recorded.file, recorded.file_sha256):
        return True
    if placement.is_current and _has_evaluation_changed(
        recorded, _build_evaluation_on_record(placement, part, "")
    ):
        return True
    return not placement.is_refused and _has_better_chain(
        placement, _read_existing_file(folder, recorded.chain)
    )


def _is_file_intact(folder: Path, name: str, digest: str) -> bool:
    data = _read_existing_file(folder, name)
    return bool(data) and (not digest or hashlib.sha256(data).hexdigest() == digest)


def _has_evaluation_changed(issued_record: IssuedRecord, evaluation: RecordedEvaluation) -> bool:
    before = issued_record.judgement
    # The history of a lost record does not contain the evaluation.
    return before is None or replace(before, judged_at="", others=evaluation.others) != evaluation


def _build_evaluation_on_record(
    placement: _Placement, generation: RequestRecord | ArchivedGeneration, evaluated_at: str
) -> RecordedEvaluation:
    issued = placement.issued
    path = ChainPath(
        issuers=issued.path,
        is_complete=issued.chain_complete,
        objections=(),
        rejected=issued.rejected,
    )
    # A finding about the received files does not belong to a certificate.
    findings = tuple(finding for finding in issued.findings if finding.code not in _TOLD_ONCE)
    entry = generation.plan or PlannedEntry(id=issued.request_id)
    accepted = issued.accepted
    return build_evaluation_record(
        issued.certificate, path, findings, entry, accepted, evaluated_at=evaluated_at
    )


def _read_existing_file(folder: Path, name: str) -> bytes:
    path = folder / name
    return read_file(path, limit=MAX_FILE_BYTES) if name and path.exists() else b""


def _has_better_chain(placement: _Placement, chain: bytes) -> bool:
    """Return whether a new chain is more complete than the chain in the existing file."""
    if chain == placement.chain or not placement.chain:
        return False
    before = decode(chain).certificates if chain else ()
    was_complete = bool(before) and before[-1].is_self_issued
    return (placement.issued.chain_complete, len(placement.issued.path)) > (
        was_complete,
        len(before),
    )


def _store_certificates(
    folder: Path, manifest: Manifest, placements: list[_Placement], stored_at: str
) -> Manifest:
    _write_files(folder, placements)
    records = {
        placement.issued.request_id: manifest.by_id[placement.issued.request_id]
        for placement in placements
    }
    for placement in placements:
        record = records[placement.issued.request_id]
        before = record.issued if placement.is_current and not placement.is_refused else None
        if before is not None and before.sha256 != placement.issued.sha256:
            description = _describe_certificate(record.id, before.serial, before.sha256)
            manifest = manifest.with_event(DISPLACED[0], description, now=stored_at)
        records[record.id] = _update_record(record, placement, stored_at)
    return manifest.with_records(records.values())


def _record_moved_files(folder: Path, manifest: Manifest) -> Manifest:
    """Record the paths of superseded certificates that this or an earlier run has moved."""
    changed = []
    for record in manifest.requests:
        archived = tuple(_update_paths(folder, record.id, part) for part in record.archived)
        if archived != record.archived:
            changed.append(replace(record, archived=archived))
    return manifest.with_records(changed)


def _write_files(folder: Path, placements: list[_Placement]) -> None:
    """Write the files of the certificates, and move the files with their names to ``archive/``."""
    with FileBatch() as batch:
        for placement in placements:
            chain_name = (
                placement.chain_name or f"{placement.leaf_name.removesuffix('.cer')}.chain.pem"
            )
            for name, data in (
                (placement.leaf_name, placement.leaf),
                (chain_name, placement.chain),
            ):
                existing = _read_existing_file(folder, name)
                if existing == data:
                    continue
                if existing:
                    _archive_existing_file(folder, name, existing, placement.issued.request_id)
                if data:
                    batch.add(folder / name, data, 0o644)
            if len(batch) >= _FILES_AT_ONCE:
                confirm_lock(folder)
                batch.commit()
        confirm_lock(folder)
        batch.commit()


def _archive_existing_file(folder: Path, name: str, content: bytes, request_id: str) -> None:
    """Move a file to ``archive/``. Its new name contains a hash of the content."""
    target = build_archived_path(request_id, name, hashlib.sha256(content).hexdigest())
    if _read_existing_file(folder, target) == content:
        # An earlier run copied the file to the archive, but was interrupted before it removed the
        # original.
        remove_file(folder / name)
    else:
        move_file(folder / name, folder / target)


def _update_record(record: RequestRecord, placement: _Placement, received_at: str) -> RequestRecord:
    """Return a request's record with a new certificate."""
    issued = placement.issued
    part: RequestRecord | ArchivedGeneration = record
    if not placement.is_current:
        part = next(
            generation
            for generation in record.archived
            if generation.generation == issued.generation
        )
    recorded = next(
        (
            certificate
            for certificate in (part.issued, *part.refused)
            if certificate and certificate.sha256 == issued.sha256
        ),
        None,
    )
    received = IssuedRecord(
        file=placement.leaf_name,
        chain=placement.chain_name,
        serial=issued.serial_hex,
        thumbprint_sha1=issued.thumbprint,
        sha256=issued.sha256,
        not_before=format_time(issued.not_before),
        not_after=format_time(issued.not_after),
        received_at=recorded.received_at if recorded else received_at,
        findings=tuple(sorted({finding.code for finding in issued.findings})),
        file_sha256=hashlib.sha256(placement.leaf).hexdigest(),
        chain_sha256=hashlib.sha256(placement.chain).hexdigest() if placement.chain else "",
        judgement=_build_evaluation_on_record(placement, part, received_at)
        if placement.is_current
        else None,
        issuer=recorded.issuer
        if recorded
        else issued.issuer_name,  # Old records contain no issuer.
        replace_by=recorded.replace_by if recorded else "",
    )
    if placement.is_refused:
        others = [other for other in part.refused if other.sha256 != issued.sha256]
        if placement.is_current and len(others) == len(part.refused):
            record = replace(record, handed_over_at="")  # The CA has answered.
        return record.with_generation(part.generation, refused=(*others, received))
    if placement.is_current:
        remaining = tuple(other for other in record.refused if other.sha256 != issued.sha256)
        record = replace(record, refused=remaining)
        if record.issued is not None and record.issued.sha256 == issued.sha256:
            # If only the evaluation or the chain of the certificate has changed, its PFX package
            # remains valid.
            same_chain = record.issued.chain_sha256 in ("", received.chain_sha256)
            if same_chain:
                return replace(record, issued=received)
    return record.with_issued_certificate(received, at=received_at, generation=issued.generation)


def _update_paths(
    folder: Path, request_id: str, generation: ArchivedGeneration
) -> ArchivedGeneration:
    """Return a superseded generation with the present paths of its certificate and chain."""
    issued = generation.issued
    if issued is None or not issued.file.startswith(f"{FOLDER}/"):
        return generation
    file = find_recorded_path(folder, request_id, issued.file, issued.file_sha256)
    chain = find_recorded_path(folder, request_id, issued.chain, issued.chain_sha256)
    return replace(generation, issued=replace(issued, file=file, chain=chain))
