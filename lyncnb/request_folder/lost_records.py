"""Recover data that is stored only in the manifest if the manifest is damaged or missing.

Keys and CSRs do not contain the servers, but ``plan.json`` does. None of these files shows the
saved plan and its approver, or the requests that installed certificates cover. Complete lines of a
damaged manifest may still contain this data. The summary files also show it to the planner, who can
then specify it for the next run.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..base.disk import files
from ..base.json_text import NotJson, parse_json
from ..base.planned_entry import ID_PATTERN, PlannedEntry, SavedEntry
from ..base.records import RecordReader
from ..base.shown.tables import format_count, join_first_texts
from ..base.times import format_time
from ..errors import BundleError, LyncnbError
from ..pki.certificates import BadCertificate, read_certificate
from .generations import Generation
from .history import (
    DEPLOYED,
    HISTORY_NAME,
    ISSUED,
    REFUSED,
    REQUESTED,
    REVOCATION_REQUESTED,
    REVOKED,
    SUPERSEDED,
    UNDEPLOYED,
    UNDONE,
    Event,
    History,
    list_events,
    read_history,
)
from .manifest import NAME, Manifest, parse_manifest
from .plan_file import PLAN_NAME, read_entries, read_present_plan
from .request_record import (
    FOUND,
    ArchivedGeneration,
    Deployment,
    IssuedRecord,
    RequestRecord,
    Revocation,
    RevokedCertificate,
)

_LARGEST = 1 << 26  # The largest size in bytes of a summary file or certificate that lyncnb reads.
_RETURNED_FOLDERS = ("returned", "returned/refused", "archive")
_IN_CSR = ("subject", "san", "eku", "key", "hash")
_IDS_SHOWN = 5
_NOBODY = "nobody"  # The text in the summary of a plan without a signature.
_FACT = re.compile(r"^- (Saved plan|Approved by): (.+)$", re.MULTILINE)
_COVERED = re.compile(r'^\ufeff?"([A-Za-z0-9-]+)",.*"no request: covered by ', re.MULTILINE)
_ROW = re.compile(rf'^"({ID_PATTERN})",', re.MULTILINE)
_NUMBER = re.compile(r',"([1-9][0-9]{0,6})"\s*$')  # The heading of the last column in the summary.
_BLANK = {"product": "", "plan_sha256": "", "accepted": [], "summary": {}, "encrypted": []}
_HEAD = re.compile(rb'^"(plans|accepted)": (\[.*\]),?$', re.MULTILINE)
_RECORD = re.compile(rb'^(\{"id": .*\}),?$', re.MULTILINE)


def read_damaged_manifest(content: bytes) -> Manifest:
    """Return the data in a damaged manifest that no other file contains.

    Parameters
    ----------
    content : bytes
        The bytes of the file, which may be truncated.

    Returns
    -------
    Manifest
        The saved plans, approvals, accepted findings, and covered requests that are still readable.
        All other values are empty.
    """
    manifest = Manifest()
    for name, text in _HEAD.findall(content):
        if (section := _read_section({name.decode("ascii"): _parse_json_lines(text)})) is not None:
            manifest = replace(
                manifest, **{name.decode("ascii"): getattr(section, name.decode("ascii"))}
            )
    covered: dict[str, RequestRecord] = {}
    for text in _RECORD.findall(content):
        if b'"covered": {' not in text:
            continue
        section = _read_section({"requests": [_parse_json_lines(text)]})
        if section is not None and section.requests[0].covered is not None:
            covered[section.requests[0].id] = section.requests[0]
    return replace(manifest, requests=tuple(covered.values()))


def _parse_json_lines(text: bytes) -> object:
    try:
        return parse_json(text)
    except NotJson:
        return None


def _read_section(section: dict[str, object]) -> Manifest | None:
    """Read one section of a damaged manifest, with the checks for a complete manifest."""
    document = {**_BLANK, "rekeying": "", "log": [], "requests": [], **section}
    return parse_manifest(document, RecordReader(NAME, is_json=True))


def add_plan_data(folder: Path, manifest: Manifest, now: str) -> tuple[Manifest, tuple[str, ...]]:
    """Add the plan's data to requests for which only the CSR is known.

    Returns
    -------
    tuple
        The manifest and notes. A plan for different requests adds no data.
    """
    data = read_present_plan(folder)
    if not data:
        return manifest, ()
    try:
        plan = read_entries(data)
    except BundleError as error:
        return manifest, (
            f"{error.message}; lyncnb did not use this file",
            *map(str, error.problems[:1]),
        )
    entries = {entry.id: entry for entry in plan.certificates}
    filled = {
        record.id: _add_planned_values(record, entry)
        for record in manifest.requests
        if (entry := entries.get(record.id)) and _is_same_request(record.plan, entry)
    }
    if not filled:
        return manifest, (
            (f"{PLAN_NAME} is the plan for other requests, so lyncnb did not use this plan"),
        )
    retired_records = [
        replace(record, state="retired", retired_at=record.retired_at or now)
        for record in manifest.requests
        if record.id not in entries
    ]
    known = [filled.get(name) or manifest.by_id[name] for name in entries if name in manifest.by_id]
    changed = sum(record != manifest.by_id[name] for name, record in filled.items())
    manifest = replace(
        manifest,
        requests=(*known, *retired_records),
        product=plan.product,
        plan_sha256=plan.plan_sha256 if filled.keys() == entries.keys() else "",
        plan_json_sha256=hashlib.sha256(data).hexdigest(),
    )
    note = (
        f"lyncnb read the servers, site and issuer of {format_count(changed, 'request')} "
        f"from {PLAN_NAME}"
    )
    return manifest, (note,)


def add_history_data(
    folder: Path, manifest: Manifest, old_manifest: Manifest | None
) -> tuple[Manifest, tuple[str, ...]]:
    """Add the data that the manifest lacks and the history contains to each generation.

    The data are servers, revocations, supersession, and the certificates of superseded generations.
    Generations are identified by public key, because a rebuilt manifest may number them
    differently. The numbers of the requests are in the summary, not in the history.

    Parameters
    ----------
    folder : Path
        The request folder.
    manifest : Manifest
        The rebuilt manifest.
    old_manifest : Manifest, optional
        The manifest before the rebuild. If it has a deployment of a generation that the history
        lacks, it is newer than the history, and this generation's deployments are not changed.

    Returns
    -------
    tuple
        The manifest and notes.
    """
    history = read_history(folder)
    events, valid = _group_events_by_key(history)
    with_newer_deployments = {*_find_keys_with_newer_deployments(history, old_manifest)}
    stored = _read_stored_certificates(folder)
    servers, revoked = 0, 0
    records = []
    for record in _restore_numbers(folder, manifest).requests:
        for part in record.generations:
            known = events.get(part.spki_sha256, [])
            deployments = part.deployments
            if part.spki_sha256 not in with_newer_deployments:
                deployments = _find_deployments(part, known, valid)
            revocation = _find_revocation(part, known)
            servers += sum(deployment not in part.deployments for deployment in deployments)
            revoked += revocation != part.revocation
            changes: dict[str, object] = {"deployments": deployments, "revocation": revocation}
            if isinstance(part, ArchivedGeneration):
                changes |= _find_supersession(part, known)
                changes |= _restore_certificates(part, known, stored)
            record = record.with_generation(part.generation, **changes)
        records.append(record)
    manifest = replace(manifest, requests=tuple(records))
    manifest = _update_certificate_paths(folder, manifest, stored)
    if not servers and not revoked:
        return manifest, ()
    note = f"{HISTORY_NAME} provides {format_count(servers, 'deployment')}"
    if revoked:
        note += f" and {format_count(revoked, 'revocation')}"
    return manifest, (note,)


def _find_keys_with_newer_deployments(history: History, manifest: Manifest | None) -> Iterator[str]:
    """Yield the public key of each generation with a deployment that the history lacks.

    This is so if a run ended after it had saved the manifest and before it could write the history.
    Revocations are different: the history can only add them, so they are always restored.
    """
    recorded = history.events()
    newer = {
        (event.id, event.generation)
        for event in (list_events(manifest) if manifest else ())
        if event.what == DEPLOYED and event.identity not in recorded
    }
    for record in manifest.requests if manifest else ():
        for part in record.generations:
            if (record.id, part.generation) in newer:
                yield part.spki_sha256


def _group_events_by_key(history: History) -> tuple[dict[str, list[Event]], dict[str, Event]]:
    """Return the history's events by public key, and an event for each certificate's validity."""
    keys: dict[tuple[str, int], str] = {}
    events: dict[str, list[Event]] = {}
    valid: dict[str, Event] = {}
    for line in history.lines:
        for event in line.list_events():
            name = event.id, event.generation
            if event.what == REQUESTED:
                keys[name] = event.key
            if event.not_after and event.certificate:
                valid[event.certificate] = event
            if name in keys:
                events.setdefault(keys[name], []).append(event)
    return events, valid


def _find_supersession(generation: ArchivedGeneration, events: list[Event]) -> dict[str, object]:
    """Return when and why a generation was superseded, if only the files of it were found."""
    changes: dict[str, object] = {}
    for event in events if generation.reasons == FOUND else ():
        if event.what == SUPERSEDED and event.at and event.note:
            changes = {"superseded_at": event.at, "reasons": (event.note,)}
    return changes


class _StoredCertificate(NamedTuple):
    """A file in which lyncnb stores one certificate."""

    path: str
    file_sha256: str
    der: bytes


_StoredCertificates = Mapping[str, Sequence[_StoredCertificate]]


def _read_stored_certificates(folder: Path) -> _StoredCertificates:
    """Return the stored certificates of servers by the SHA-256 of the certificate."""
    stored: dict[str, list[_StoredCertificate]] = {}
    for path, data in _read_returned_files(folder, ".cer"):
        _, *blocks = data.split(b"-----BEGIN CERTIFICATE-----")
        with suppress(ValueError):
            (block,) = blocks
            der = base64.b64decode(block.partition(b"-----END")[0])
            file_sha256 = hashlib.sha256(data).hexdigest()
            stored.setdefault(hashlib.sha256(der).hexdigest(), []).append(
                _StoredCertificate(path, file_sha256, der)
            )
    return stored


def _read_returned_files(folder: Path, extension: str) -> Iterator[tuple[str, bytes]]:
    """Yield the path and the bytes of each readable file with a certificate or a chain."""
    for directory in _RETURNED_FOLDERS:
        for path in sorted((folder / directory).glob(f"*{extension}")):
            with suppress(OSError, LyncnbError):
                yield f"{directory}/{path.name}", files.read_file(path, limit=_LARGEST)


def _restore_certificates(
    generation: ArchivedGeneration, events: list[Event], stored: _StoredCertificates
) -> dict[str, object]:
    """Return the records of the certificates of a superseded generation.

    Only the history shows which of the certificates lyncnb accepted, and which it refused.
    """
    last: dict[str, Event] = {
        event.certificate: event for event in events if event.what in (ISSUED, REFUSED)
    }
    issued = [event for event in last.values() if event.what == ISSUED]
    changes: dict[str, object] = {}
    if generation.issued is None and issued:
        changes["issued"] = _build_issued_record(issued[-1], stored)
    if not generation.refused:
        refused = (
            _build_issued_record(event, stored) for event in last.values() if event.what == REFUSED
        )
        changes["refused"] = tuple(record for record in refused if record is not None)
    return changes


def _build_issued_record(event: Event, stored: _StoredCertificates) -> IssuedRecord | None:
    """Return the record of a certificate in the history, if its file is still in the folder."""
    for file in stored.get(event.certificate, ())[:1]:
        with suppress(BadCertificate):
            certificate = read_certificate(file.der)
            return IssuedRecord(
                file=file.path,
                chain="",
                serial=certificate.serial_hex,
                thumbprint_sha1=certificate.thumbprint,
                sha256=certificate.sha256,
                not_before=format_time(certificate.not_before),
                not_after=format_time(certificate.not_after),
                received_at=event.at,
                file_sha256=file.file_sha256,
                issuer=certificate.issuer_name,
            )
    return None


def _update_certificate_paths(
    folder: Path, manifest: Manifest, stored: _StoredCertificates
) -> Manifest:
    """Correct the paths of certificates and chains that were moved after a manifest was written.

    When lyncnb receives the certificate of a new generation, it moves the earlier certificate to
    ``archive/``.
    """
    chains: dict[str, list[str]] = {}
    for path, data in _read_returned_files(folder, ".chain.pem"):
        chains.setdefault(hashlib.sha256(data).hexdigest(), []).append(path)

    def update(issued: IssuedRecord) -> IssuedRecord:
        copies = stored.get(issued.sha256, ())
        if copies and issued.file not in [file.path for file in copies]:
            issued = replace(issued, file=copies[0].path, file_sha256=copies[0].file_sha256)
        paths = chains.get(issued.chain_sha256, ())
        return replace(issued, chain=paths[0]) if paths and issued.chain not in paths else issued

    records = []
    for record in manifest.requests:
        for part in record.generations:
            record = record.with_generation(
                part.generation,
                issued=part.issued and update(part.issued),
                refused=tuple(map(update, part.refused)),
            )
        records.append(record)
    return replace(manifest, requests=tuple(records))


def find_requested_generations(folder: Path) -> dict[str, int]:
    """Return the generation of each request in the history, by the SHA-256 of its public key."""
    return {
        event.key: event.generation
        for line in read_history(folder).lines
        for event in line.list_events()
        if event.what == REQUESTED and event.key
    }


def _restore_numbers(folder: Path, manifest: Manifest) -> Manifest:
    """Restore the request numbers from ``summary.csv``, unless a number appears twice."""
    # The split text alternates between a request ID and the other cells of the row with this ID.
    rows = _ROW.split(_read_text(folder / "summary.csv"))[1:]
    known = {
        name: int(match[1])
        for name, cells in zip(rows[::2], rows[1::2], strict=True)
        if (match := _NUMBER.search(cells))
    }
    if len(set(known.values())) < len(known):  # A user has edited the summary file.
        return manifest
    return manifest.with_records(
        replace(record, number=known.get(record.id, record.number)) for record in manifest.requests
    )


def _find_deployments(
    generation: Generation, events: list[Event], valid_servers: dict[str, Event]
) -> tuple[Deployment, ...]:
    """Return the servers on which a generation is or was installed, according to the history.

    A deployment that the manifest also records is not changed.
    """
    recorded = {deployment.server: deployment for deployment in generation.every_deployment}
    by_server = dict(recorded)
    for event in events:
        if event.what == UNDEPLOYED or (event.what, event.note) == (UNDONE, DEPLOYED):
            by_server.pop(event.server, None)
        elif event.what == DEPLOYED and (issued := valid_servers.get(event.certificate)):
            # A user may have edited the history, so its values are validated as strictly as those
            # of a manifest.
            deployment = RecordReader(HISTORY_NAME, is_json=True).record(
                Deployment,
                {
                    "server": event.server,
                    "on": event.on,
                    "certificate": event.certificate,
                    "serial": event.serial,
                    "not_before": issued.not_before,
                    "not_after": issued.not_after,
                    "recorded_at": event.at,
                    "seen_in": event.note.removeprefix("seen in "),
                },
            )
            if deployment is not None:
                by_server[event.server] = deployment
    for server, old in recorded.items():
        new = by_server.get(server)
        if new is not None and (new.certificate, new.on) == (old.certificate, old.on):
            by_server[server] = old
    return generation.deployments if by_server == recorded else tuple(by_server.values())


def _find_revocation(generation: Generation, events: list[Event]) -> Revocation | None:
    """Return the requested revocation of a generation, with all revocations in the history."""
    revocation = generation.revocation
    own = {event.certificate for event in events if event.what in (ISSUED, REFUSED, DEPLOYED)}
    for event in events:
        # The event is about the certificate that was installed before the first request.
        if event.certificate and (event.what != REVOKED or event.certificate not in own):
            continue
        if event.what == REVOCATION_REQUESTED and revocation is None:
            revocation = RecordReader(HISTORY_NAME, is_json=True).record(
                Revocation, {"reason": event.note, "asked_at": event.at}
            )
        elif event.what == REVOKED and revocation is not None:
            revocation = _add_revocation_event(revocation, event)
    return revocation


def _add_revocation_event(revocation: Revocation, event: Event) -> Revocation:
    """Return a revocation with a revocation event, unless the manifest contains the event."""
    certificates = revocation.certificates
    # The event's time is the time of the record, and the CA may have acted on an earlier date.
    is_same_day = event.on in ("", event.at[:10])
    event_time = event.at if is_same_day else f"{event.on}T00:00:00Z"
    if event.certificate and event.certificate not in {entry.sha256 for entry in certificates}:
        certificate = RecordReader(HISTORY_NAME, is_json=True).record(
            RevokedCertificate,
            {
                "sha256": event.certificate,
                "serial": event.serial,
                "revoked_at": event_time,
                "recorded_at": event.at,
            },
        )
        certificates += (certificate,) if certificate is not None else ()
    # Earlier versions recorded only the last time, which applies to all certificates until then.
    revoked_at = max(revocation.revoked_at, event_time)
    return replace(revocation, revoked_at=revoked_at, certificates=certificates)


def _is_same_request(entry: PlannedEntry, planned_entry: PlannedEntry) -> bool:
    """Return whether the values of an entry that a CSR contains match a planned certificate."""
    return all(getattr(entry, name) == getattr(planned_entry, name) for name in _IN_CSR)


def _add_planned_values(record: RequestRecord, entry: SavedEntry) -> RequestRecord:
    """Add the planned values that a CSR does not contain to a request.

    A superseded generation has the same role, pool and types, but its servers are not known.
    """
    archived = tuple(
        replace(
            part,
            plan=replace(
                entry.planned,
                servers=(),
                **{name: getattr(part.plan, name) for name in _IN_CSR},
            ),
        )
        if part.plan is not None and not part.plan.issuer
        else part
        for part in record.archived
    )
    return replace(
        record,
        plan=entry.planned,
        ca=entry.ca,
        target_os=entry.target_os,
        archived=archived,
    )


def list_losses(folder: Path, recovered_manifest: Manifest) -> Iterator[str]:
    """Yield notes about the data that a new manifest lacks, and how to restore it.

    Parameters
    ----------
    folder : Path
        The request folder, with the summary files of an earlier run.
    recovered_manifest : Manifest
        The data that was recovered from the damaged manifest; empty if the manifest is missing.
    """
    facts = dict(_FACT.findall(_read_text(folder / "summary.md")))
    if recovered_manifest.plans:
        names = (
            ", ".join(approval.signer for approval in recovered_manifest.plans[-1].approvals)
            or _NOBODY
        )
        yield (
            "recovered from the damaged manifest: the saved plan "
            f"({recovered_manifest.plans[-1].shown_as} "
            f"{recovered_manifest.plans[-1].shown_sha256[:12]}…), approved by {names}"
        )
    elif facts:
        summary = "; ".join(f"{name}: {text}" for name, text in facts.items()).replace("\\", "")
        was_approved = not facts.get("Approved by", _NOBODY).startswith(_NOBODY)
        signers = "--approved-by SIGNERS " if was_approved else ""
        yield (
            "the record of the saved plan and of its approval is lost. summary.md contains "
            f"these values: {summary}. Request the plan again: lyncnb request --plan FILE "
            f"{signers}FOLDER"
        )
    covered = dict.fromkeys(_COVERED.findall(_read_text(folder / "summary.csv")))
    if recovered_manifest.requests:
        ids = join_first_texts([record.id for record in recovered_manifest.requests], _IDS_SHOWN)
        yield (
            f"recovered from the damaged manifest: no request is needed for {ids}, because you "
            "reuse installed certificates"
        )
    if lost_ids := [name for name in covered if name not in recovered_manifest.by_id]:
        yield (
            "the record of the installed certificates that cover "
            f"{join_first_texts(lost_ids, _IDS_SHOWN)} is lost. When you next run lyncnb request, "
            "it creates requests for these certificates. To prevent this, specify "
            "--only-missing FILE.json and --reuse ID again"
        )
    if not (recovered_manifest.plans or facts or recovered_manifest.requests or covered):
        yield (
            "the manifest may have contained saved plans and approvals, reasons for accepted "
            "findings, and records of installed certificates that cover requests. "
            "These records are lost. When you next run lyncnb request, specify these "
            "options again: --plan, --approved-by, --only-missing, --accept. To accept an issued "
            "certificate again, specify --accept when you run lyncnb receive"
        )


def _read_text(path: Path) -> str:
    try:
        return files.read_file(path, limit=_LARGEST).decode("utf-8", "replace").replace("\r", "")
    except (OSError, LyncnbError):
        return ""
