"""Find the events of a folder's certificates in its record, with who recorded them and when.

An event (requested, issued, packaged, deployed …) of a generation is a difference between the
states before and after an entry. An entry can also contain events that change no state, such as a
handover.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..base.disk.folder_lock import lock_folder
from ..base.records import RecordReader
from .earlier_folder import select_words
from .entries import PLACE, Entry
from .facts import Facts, apply_event, build_folder, build_request
from .files_on_disk import restrict_copied_files
from .manifest import Manifest, Run, format_timestamp, start_run
from .request_record import ArchivedGeneration, IssuedRecord, RequestRecord, Revocation

REQUESTED, ISSUED, PACKAGED, DEPLOYED = "requested", "issued", "packaged", "deployed"
REFUSED = "refused"
SUPERSEDED, HANDED_OVER = "superseded", "handed over"
APPROVED, UNDEPLOYED = "approved", "no longer deployed"
#: The event that cancels a wrong deployment date. Another event then records the correct date.
DAY_CORRECTED = "day corrected"
REVOCATION_REQUESTED, REVOKED = "revocation requested", "revoked"
#: The event of a server that left, and the event that cancels a wrong record; its note is the event
#: that it cancels.
GONE, UNDONE = "server gone", "undone"
#: The command that adopts found files, and accepts that entries are missing.
REBUILD = "status --rebuild"


class Event(NamedTuple):
    """An event in the history of a generation, or of the complete folder (``generation`` 0).

    ``key`` is the SHA-256 of the public key, and ``certificate`` is the SHA-256 of the certificate.
    ``on`` is a date, and ``at`` is the time in the manifest, or blank if the manifest has no time.
    """

    what: str
    id: str = ""
    generation: int = 0
    key: str = ""
    certificate: str = ""
    serial: str = ""
    not_before: str = ""
    not_after: str = ""
    server: str = ""
    on: str = ""
    note: str = ""
    at: str = ""

    @property
    def identity(self) -> tuple[object, ...]:
        """The fields that identify the event: all fields except the time.

        A superseded request no longer records which computer has the key.
        """
        return self[:-2] if self.what == REQUESTED else self[:-1]


class HistoryLine(NamedTuple):
    """What one run recorded: its time, user, command and reason, and the events."""

    at: str
    user: str
    host: str
    command: str
    reason: str
    events: tuple[Event, ...]


def list_history(entries: Sequence[Entry]) -> Iterator[HistoryLine]:
    """Yield what each run recorded, oldest first."""
    facts: dict[str, Facts] = {"": {}}
    known: dict[str, set[tuple[object, ...]]] = {}
    for entry in entries:
        noted: list[Event] = []
        touched = set()
        for event in entry.events:
            apply_event(facts, event)
            if event["type"] == "noted":
                noted.append(_read_event(event))
            elif event["type"] == "earlier":
                line = _build_line(event, tuple(map(_read_event, event["changes"])))
                for item in line.events:
                    known.setdefault(item.id, set()).add(item.identity)
                yield line
            else:
                touched.add(event.get("id", ""))
        new: list[Event] = []
        for name in sorted(touched):
            events = {event.identity: event for event in _list_events_of(name, facts.get(name, {}))}
            new += (events[key] for key in events if key not in known.get(name, ()))
            known[name] = {*events}
        yield _build_line(entry.document, (*new, *noted))


def _build_line(values: Mapping[str, Any], events: tuple[Event, ...]) -> HistoryLine:
    words = select_words(values)
    at, user, host, command, reason = (
        str(words.get(name, "")) for name in ("at", "user", "host", "command", "reason")
    )
    return HistoryLine(at, user, host, command, reason, events)


def _read_event(values: Mapping[str, Any]) -> Event:
    words: dict[str, Any] = select_words(values)
    return Event("")._replace(
        **{
            name: words[name]
            for name, default in Event("")._asdict().items()
            if type(words.get(name)) is type(default)
        }
    )


def _list_events_of(name: str, facts: Facts) -> Iterator[Event]:
    reader = RecordReader(PLACE, is_json=True)
    if not name:
        head = build_folder(facts) | {"requests": []}
        manifest = reader.record(Manifest, head)
        if manifest is not None:
            yield from _list_folder_events(manifest)
        return
    document = build_request(name, facts)
    record = reader.record(RequestRecord, document) if document is not None else None
    if record is not None:
        yield from _list_request_events(record)


def _list_folder_events(manifest: Manifest) -> Iterator[Event]:
    for plan in manifest.plans:
        yield Event("plan requested", key=plan.sha256, at=plan.requested_at)
        for approval in plan.approvals:
            note = f"{approval.signer}, with the key {approval.key}"
            yield Event(APPROVED, key=plan.sha256, note=note, at=approval.verified_at)
    for recovery in manifest.recovery:
        yield Event("recovery key named", note=recovery.fingerprint, at=recovery.added_at)


def _list_request_events(record: RequestRecord) -> Iterator[Event]:
    """Yield all events of the generations of a request."""
    for part in record.generations:
        yield from _list_generation_events(record, part)
    yield from _list_earlier_revocation_events(record)
    first = min(part.generation for part in record.generations)
    for gone in record.gone:
        yield Event(GONE, record.id, first, server=gone.server, on=gone.on, at=gone.recorded_at)
    if record.retired_at:
        day = record.retired_at[:10]
        yield Event("retired", record.id, record.generation, on=day, at=record.retired_at)
    if cover := record.covered:
        yield Event(
            "covered by another certificate",
            record.id,
            record.generation,
            certificate=cover.sha256,
            serial=cover.serial,
            not_before=cover.not_before,
            not_after=cover.not_after,
            at=cover.recorded_at,
        )


def _list_generation_events(
    record: RequestRecord, generation: RequestRecord | ArchivedGeneration
) -> Iterator[Event]:
    name, number = record.id, generation.generation
    current = generation if isinstance(generation, RequestRecord) else None
    if generation.spki_sha256:
        at, holder = (current.written_at, current.key_holder) if current else ("", "")
        note = f"with the key on {holder}" if holder else ""
        yield Event(REQUESTED, name, number, key=generation.spki_sha256, note=note, at=at)
    if generation.issued:
        yield _build_certificate_event(ISSUED, name, number, generation.issued)
    for refused in generation.refused:
        yield _build_certificate_event(REFUSED, name, number, refused)
    if package := generation.package:
        certificate, at = package.certificate, package.packaged_at
        yield Event(PACKAGED, name, number, certificate=certificate, note=package.target_os, at=at)
    for deployment in generation.every_deployment:
        yield Event(
            DEPLOYED,
            name,
            number,
            certificate=deployment.certificate,
            serial=deployment.serial,
            server=deployment.server,
            on=deployment.on,
            note=f"seen in {deployment.seen_in}" if deployment.seen_in else "",
            at=deployment.recorded_at,
        )
    if revocation := generation.revocation:
        yield from _list_revocation_events(revocation, Event("", name, number))
    if current is None:
        assert isinstance(generation, ArchivedGeneration)
        reasons = "; ".join(generation.reasons)
        yield Event(SUPERSEDED, name, number, note=reasons, at=generation.superseded_at)
    removed = current.deployed_at if current else getattr(generation, "purged_at", "")
    if removed:
        yield Event("key removed", name, number, on=removed[:10], at=removed)


def _list_earlier_revocation_events(record: RequestRecord) -> Iterator[Event]:
    """Yield the revocation events of a certificate that was installed before the first request."""
    if (before := record.covering_certificate) and before.revocation:
        first = min(part.generation for part in record.generations)
        subject = Event("", record.id, first, certificate=before.sha256, serial=before.serial)
        yield from _list_revocation_events(before.revocation, subject)


def _list_revocation_events(revocation: Revocation, subject: Event) -> Iterator[Event]:
    reason, requested_at, revoked_at = revocation.reason, revocation.asked_at, revocation.revoked_at
    yield subject._replace(what=REVOCATION_REQUESTED, note=reason, at=requested_at)
    for entry in revocation.certificates:
        yield subject._replace(
            what=REVOKED,
            certificate=entry.sha256,
            serial=entry.serial,
            on=entry.revoked_at[:10],
            note=reason,
            at=entry.recorded_at or entry.revoked_at,
        )
    if revoked_at and not revocation.certificates:
        yield subject._replace(what=REVOKED, on=revoked_at[:10], note=reason, at=revoked_at)


def _build_certificate_event(
    event: str, name: str, number: int, certificate: IssuedRecord
) -> Event:
    return Event(
        event,
        name,
        number,
        certificate=certificate.sha256,
        serial=certificate.serial,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        at=certificate.received_at,
    )


@contextmanager
def record_changes(
    folder: Path,
    command: str,
    *,
    reason: str = "",
    now: str = "",
    wait_seconds: float = 0.0,
    is_repair: bool = False,
) -> Iterator[Run]:
    """Lock a folder for one writer, whose changes become one entry of the folder's record.

    Parameters
    ----------
    folder : Path
        The request folder.
    command : str
        The command name, without its arguments.
    reason : str, optional
        The reason that the user specified.
    now : str, optional
        The time to record (UTC, ISO 8601); the default is the current time.
    wait_seconds : float, optional
        How long to wait for another writer, in seconds.
    is_repair : bool, optional
        Whether the command repairs a folder whose record is not whole.

    Raises
    ------
    BundleError
        If another writer has locked the folder, or if entries are damaged or missing. In the second
        case, the command has changed nothing.
    """
    with lock_folder(folder, wait_seconds=wait_seconds):
        restrict_copied_files(folder)
        run = Run(
            folder=folder, command=command, reason=reason, now=now or format_timestamp(None),
            repairs=is_repair,
        )  # fmt: skip
        with start_run(run):
            yield run
            run.save()
            # If the run fails before this point, the next writer completes its entry.
            run.finish()
