"""Read and write ``history.jsonl``, with one line for each run that changed a request folder.

A line lists the events of each generation (requested, issued, packaged, deployed …). lyncnb creates
the line by comparing the manifest before and after the run. Each line contains the SHA-256 of the
previous line, so edits can be detected. ``state`` is a digest of all events in the manifest, so a
run can detect in one comparison whether the history matches the manifest. If it does not match,
lyncnb reads the whole history. It adds missing events, marked as recorded later. It reports events
that are missing in the manifest before a run generates new keys.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, NamedTuple

from ..base.disk import files
from ..base.disk.folder_lock import get_user_and_computer, lock_folder
from ..base.json_text import NotJson, parse_json
from ..base.records import (
    Line,
    RecordReader,
    Text,
    build_range_check,
    convert_record,
    make_unknown_keys_field,
)
from ..base.shown.tables import format_count, join_first_texts
from ..errors import BundleError, LyncnbError, Problem
from .field_forms import Sha256OrBlank, Time, TimeOrBlank
from .files_on_disk import restrict_copied_files
from .manifest import NAME, Manifest, format_timestamp, watch_manifests
from .request_record import ArchivedGeneration, IssuedRecord, RequestRecord, Revocation

HISTORY_NAME = "history.jsonl"
#: The name of the command in a line that adds events from an interrupted run or an earlier version.
LATER = "recorded later"

REQUESTED, ISSUED, PACKAGED, DEPLOYED = "requested", "issued", "packaged", "deployed"
REFUSED = "refused"
SUPERSEDED, LOST, HANDED_OVER = "superseded", "given up as lost", "handed over"
APPROVED, UNDEPLOYED = "approved", "no longer deployed"
#: The event that cancels a wrong deployment date. Another event then records the correct date.
DAY_CORRECTED = "day corrected"
REVOCATION_REQUESTED, REVOKED = "revocation requested", "revoked"
#: The event of a server that left, and the event that cancels a wrong record; its note is the event
#: that it cancels.
GONE, UNDONE = "server gone", "undone"

_LARGEST = 1 << 31
_NAMED = 3
_Number = Annotated[int, build_range_check(0, 1_000_000)]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """The fields in which the events of a group differ."""

    id: Line = ""
    generation: _Number = 0
    key: Sha256OrBlank = ""
    certificate: Sha256OrBlank = ""
    serial: Line = ""
    not_before: TimeOrBlank = ""
    not_after: TimeOrBlank = ""
    server: Line = ""
    others: Mapping[str, object] = make_unknown_keys_field()


_MEMBER = ("id", "generation", "key", "certificate", "serial", "not_before", "not_after", "server")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Events of a history line that share all values except those in ``of``."""

    what: Line
    on: Line = ""
    note: Text = ""
    at: TimeOrBlank = ""
    of: tuple[_Member, ...]
    others: Mapping[str, object] = make_unknown_keys_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """The record of one run: its time, user, command, reason, and changes.

    ``plan`` is the SHA-256 of ``plan.json``, and ``approval`` is the SHA-256 of the plan's
    signatures. ``did`` describes changes that the manifest does not contain. ``before`` is the
    SHA-256 of the previous line.
    """

    at: Time
    user: Line
    host: Line
    command: Line
    reason: Text = ""
    plan: Sha256OrBlank = ""
    approval: tuple[Sha256OrBlank, ...] = ()
    did: tuple[Text, ...] = ()
    changes: tuple[_Group, ...] = ()
    state: Sha256OrBlank = ""
    before: Sha256OrBlank = ""
    others: Mapping[str, object] = make_unknown_keys_field()

    def list_events(self) -> Iterator[Event]:
        """Yield the events in this line of the history, one for each generation."""
        for group in self.changes:
            for member in group.of:
                member_fields = {name: getattr(member, name) for name in _MEMBER}
                yield Event(
                    what=group.what, on=group.on, note=group.note, at=group.at, **member_fields
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The lines of a folder's history, oldest first, and the problems with the file."""

    lines: tuple[HistoryLine, ...] = ()
    notes: tuple[str, ...] = ()

    def events(self) -> set[tuple[object, ...]]:
        """Return the fields that identify each event in the history."""
        return {event.identity for line in self.lines for event in line.list_events()}


def read_history(folder: Path) -> History:
    """Read the history of a folder. The result omits unreadable lines and has a note about each.

    Returns
    -------
    History
        The history. It has no lines if the file does not exist, as in folders from earlier
        versions.
    """
    lines: list[HistoryLine] = []
    notes: list[str] = []
    data, cut = _read_complete_lines(folder)
    before = ""
    for number, text in enumerate(data.split(b"\n")[:-1], 1):
        line = _read_line(text, number, notes)
        if line is not None:
            if line.before != before:
                notes.append(
                    f"{HISTORY_NAME}: line {number} does not match the previous line, "
                    "because a line was edited or removed. Compare the file with a "
                    "backup"
                )
            lines.append(line)
        before = hashlib.sha256(text).hexdigest()
    if cut:
        notes.append(
            f"{HISTORY_NAME}: the last line is incomplete. The next lyncnb command that "
            "changes the folder completes the line"
        )
    return History(lines=tuple(lines), notes=tuple(notes))


def _read_complete_lines(folder: Path) -> tuple[bytes, bool]:
    """Read the complete lines of the history, and report if the last line is incomplete."""
    path = folder / HISTORY_NAME
    if not os.path.lexists(path):
        return b"", False
    data = files.read_file(path, limit=_LARGEST)
    complete_lines = data[: data.rfind(b"\n") + 1]
    return complete_lines, complete_lines != data


def _read_line(text: bytes, number: int, notes: list[str]) -> HistoryLine | None:
    try:
        document = parse_json(text)
    except NotJson as error:
        notes.append(f"{HISTORY_NAME}: line {number} is damaged: {error}")
        return None
    reader = RecordReader(HISTORY_NAME, is_json=True)
    line = reader.record(HistoryLine, document)
    if line is None:
        wrong = join_first_texts([problem.message for problem in reader.problems], 1)
        notes.append(f"{HISTORY_NAME}: line {number} is damaged: {wrong}")
    return line


# --- The following functions find the events in a manifest.


def list_events(manifest: Manifest) -> Iterator[Event]:
    """Yield all events that a manifest records about its generations."""
    for plan in manifest.plans:
        yield Event("plan requested", key=plan.sha256, at=plan.requested_at)
        for approval in plan.approvals:
            note = f"{approval.signer}, with the key {approval.key}"
            yield Event(APPROVED, key=plan.sha256, note=note, at=approval.verified_at)
    for recovery in manifest.recovery:
        yield Event("recovery key named", note=recovery.fingerprint, at=recovery.added_at)
    for record in manifest.requests:
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


def _compute_events_digest(events: Iterable[tuple[object, ...]]) -> str:
    """Return a digest of a set of events. The order of the events does not matter."""
    lines = sorted(map(repr, events))
    return hashlib.sha256("\n".join(lines).encode("utf-8", "replace")).hexdigest()


# --- The following functions find events that are missing in the manifest or the history.


def find_missing_requests(
    history: History, manifest: Manifest
) -> dict[str, tuple[Event, HistoryLine]]:
    """Return the requests in the history that are missing from the manifest, by public key."""
    known = {part.spki_sha256 for record in manifest.requests for part in record.generations}
    requests: dict[str, tuple[Event, HistoryLine]] = {}
    for line in history.lines:
        for event in line.list_events():
            if event.what == LOST:
                known.add(event.key)
            elif event.what == REQUESTED:
                requests[event.key] = (event, line)
    return {key: entry for key, entry in requests.items() if key not in known}


def report_missing_generations(
    history: History, manifest: Manifest, *, abandoned_keys: Set[str] = frozenset()
) -> tuple[Problem, ...]:
    """Report each generation that is in the history but not in the manifest.

    A CA may have the request, or servers may have the certificate. This happens if an older copy of
    ``manifest.json`` is restored, or if two copies of a folder are merged.
    """
    missing = find_missing_requests(history, manifest)
    issued = {
        (event.id, event.generation): event
        for line in (history.lines if missing else ())
        for event in line.list_events()
        if event.what == ISSUED
    }
    others = _find_recorded_generations(manifest) if missing else set()
    return tuple(
        _report_altered_event(event)
        if (event.id, event.generation) in others
        else _report_missing_event(event, line, issued.get((event.id, event.generation)))
        for event, line in missing.values()
        if event.key not in abandoned_keys
    )


def _find_recorded_generations(manifest: Manifest) -> set[tuple[str, int]]:
    """Return the ID and number of each generation whose public key is recorded in the manifest."""
    return {
        (record.id, part.generation)
        for record in manifest.requests
        for part in record.generations
        if part.spki_sha256
    }


def _report_altered_event(event: Event) -> Problem:
    return Problem(
        message=(
            f"{event.id}: generation {event.generation} has a different public key "
            f"in {HISTORY_NAME}"
        ),
        file=NAME,
        hint=(
            "the manifest was changed, or two copies of the folder were merged. "
            "Restore the newest copy of the whole folder, or replace the request: "
            f"lyncnb request TOPOLOGY FOLDER --renew {event.id} --reason TEXT"
        ),
    )


def _report_missing_event(
    event: Event, line: HistoryLine, certificate_event: Event | None
) -> Problem:
    day = (event.at or line.at)[:10]
    description = f"{event.id}: generation {event.generation}, requested on {day} by {line.user}"
    if certificate_event is not None:
        last_day = certificate_event.not_after[:10]
        description += f" (certificate {certificate_event.serial}, valid until {last_day})"
    return Problem(
        message=f"{description} is in {HISTORY_NAME}, but not in the manifest",
        file=HISTORY_NAME,
        hint=(
            "an older copy of the folder was restored, or two copies were merged. "
            "Restore the newest copy of the whole folder. If there is no newer copy, "
            "run lyncnb status FOLDER --rebuild. The command records only the requests "
            "whose files are still in the folder"
        ),
    )


def report_missing_certificates(history: History, manifest: Manifest) -> tuple[str, ...]:
    """Report received certificates that are in the history but no longer in the manifest."""
    bare = {
        (record.id, part.generation): part.spki_sha256
        for record in manifest.requests
        for part in record.generations
        if part.issued is None and not part.refused and part.spki_sha256
    }
    events = {
        (event.id, event.generation): event
        for line in history.lines
        for event in line.list_events()
        if event.what == ISSUED and (event.id, event.generation) in bare
    }
    if not events:
        return ()
    descriptions = [
        (
            f"serial number {event.serial} of {name}, generation {number}, valid until "
            f"{event.not_after[:10]}, received on {event.at[:10]}"
        )
        for (name, number), event in events.items()
    ]
    are = "is" if len(descriptions) == 1 else "are"
    note = (
        f"{format_count(len(descriptions), 'received certificate')} {are} no longer on record "
        f"({join_first_texts(descriptions, _NAMED)}). To receive the files in returned/ again, "
        "run: lyncnb receive FOLDER. To receive other files, run: lyncnb receive FOLDER FILE"
    )
    return (note,)


def compare_history(
    history: History, manifest: Manifest, *, is_written: bool = False
) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """Compare a history with the manifest of its folder.

    Parameters
    ----------
    history : History
        The history, which was read before the manifest.
    manifest : Manifest
        The manifest, which was read after the history.
    is_written : bool, optional
        Whether a command is writing to the folder. A command adds its history line last.

    Returns
    -------
    tuple
        A problem for each generation that is missing in the manifest, and notes.
    """
    if not history.lines:
        return (), (*history.notes, *_report_no_history(manifest))
    notes = [*history.notes, *report_missing_certificates(history, manifest)]
    events = {event.identity for event in list_events(manifest)}
    problems: tuple[Problem, ...] = ()
    if _compute_events_digest(events) != history.lines[-1].state:
        problems = report_missing_generations(history, manifest)
        later = 0 if is_written else len(events - history.events())
        if later:
            notes.append(
                f"{HISTORY_NAME} is older than the manifest: {later:,} events are missing. The "
                "next command that changes the folder records these events"
            )
    return problems, tuple(notes)


def is_last_in_history(folder: Path, manifest: Manifest) -> bool:
    """Return whether the last run in the history wrote this manifest."""
    events = {event.identity for event in list_events(manifest)}
    return _read_last_state(folder) == _compute_events_digest(events)


def is_history_missing(folder: Path, manifest: Manifest) -> bool:
    """Return whether a folder has requests, but no history.

    This is so if the first run ended after it had saved the manifest.
    """
    return bool(manifest.requests) and files.is_missing(folder / HISTORY_NAME)


def _report_no_history(manifest: Manifest) -> Iterator[str]:
    """Report that the history is missing, unless no run has written one.

    The first run writes the summary before the history. A manifest without a summary is from a
    first run that was interrupted, or from a rebuild.
    """
    has_certificates = any(record.issued or record.archived for record in manifest.requests)
    if manifest.summary or has_certificates:
        yield (
            f"{HISTORY_NAME} is missing, so lyncnb cannot show who requested, received "
            "and deployed certificates. Restore the file from a backup. Otherwise, the "
            "next command that changes the folder creates a new file"
        )


# --- The following functions record the changes that a running command makes.


@dataclass(slots=True)
class Run:
    """A running command: the manifest's events when it began, and its current events."""

    folder: Path
    command: str
    reason: str
    now: str
    repairs: bool
    renews: frozenset[str] = frozenset()
    before: Set[tuple[object, ...]] = frozenset()
    later: list[Event] = field(default_factory=list)
    extra: list[Event] = field(default_factory=list)
    did: list[str] = field(default_factory=list)
    missing: tuple[Problem, ...] = ()
    lost: tuple[Event, ...] = ()
    latest: Manifest | None = None

    def add_events(self, *events: Event) -> None:
        """Add events that the manifest does not contain to the record of this run."""
        self.extra += events

    def add_description(self, text: str) -> None:
        """Add the description of a change that concerns the whole folder."""
        self.did.append(text)

    def process_manifest(self, manifest: Manifest, is_saved: bool) -> None:
        """Remember a manifest. If it is the first one, find the events that the history lacks."""
        is_first, self.latest = self.latest is None, manifest
        if not is_first:
            return
        events = {event.identity: event for event in list_events(manifest)}
        if _read_last_state(self.folder) == _compute_events_digest(events):
            self.before = events.keys()
            return
        history = read_history(self.folder)
        known = history.events()
        self.before = known
        # At this point, the folder is new, or its manifest was lost.
        if is_saved:
            return
        self.later = [event for key, event in events.items() if key not in known]
        self.before = known | events.keys()
        # A renewal can abandon a request whose key in the history differs from the recorded key.
        missing, others = (
            find_missing_requests(history, manifest),
            _find_recorded_generations(manifest),
        )
        self.lost = tuple(
            _build_lost_event(event, self.now)
            for event, _ in missing.values()
            if event.id in self.renews and (event.id, event.generation) in others
        )
        given_up = {event.key for event in self.lost}
        self.missing = report_missing_generations(history, manifest, abandoned_keys=given_up)
        if self.missing and not self.repairs:
            raise BundleError(
                f"the folder {self.folder} needs attention; nothing was changed",
                problems=self.missing,
            )

    def finish(self, *, is_done: bool = True) -> None:
        """Add missing earlier events to the history, and then the changes of the run.

        A failed run does not record requests as lost.
        """
        if self.latest is None:
            return
        events = {event.identity: event for event in list_events(self.latest)}
        new = [event for key, event in events.items() if key not in self.before] + self.extra
        is_whole = not self.missing and (is_done or not self.lost)
        if is_done:
            new += self.lost
        if is_done and self.command == REBUILD:
            new += _record_lost_events(self.folder, self.latest, self.now)
            is_whole = True
        # If events are missing, the next run compares the manifest and the history again.
        state = _compute_events_digest(events) if is_whole else ""
        if new or self.did:
            lines = [self._build_line(LATER, "", self.later, ())] if self.later else []
            lines.append(self._build_line(self.command, self.reason, new, self.did, state))
            _append_lines(self.folder, lines)
        elif self.later:
            # The process of an earlier run ended after it had written the manifest and before it
            # could write the history.
            _append_lines(self.folder, [self._build_line(LATER, "", self.later, (), state)])

    def _build_line(
        self,
        command: str,
        reason: str,
        events: Iterable[Event],
        actions: Iterable[str],
        state: str = "",
    ) -> HistoryLine:
        assert self.latest is not None
        line = _build_line(
            self.latest, command, events, time=self.now, user=get_user_and_computer(), state=state
        )
        return replace(line, reason=reason, did=tuple(actions))


def _build_line(
    manifest: Manifest,
    command: str,
    events: Iterable[Event],
    *,
    time: str,
    user: tuple[str, str],
    state: str,
) -> HistoryLine:
    last = manifest.plans[-1] if manifest.plans else None
    is_in_force = last is not None and last.plan_sha256 == manifest.plan_sha256
    approvals = last.approvals if last is not None and is_in_force else ()
    return HistoryLine(
        at=time,
        user=user[0],
        host=user[1],
        command=command,
        plan=manifest.plan_json_sha256,
        approval=tuple(approval.signature_sha256 for approval in approvals),
        changes=tuple(_group_equal_events(events)),
        state=state,
    )


def build_first_history(
    manifest: Manifest, command: str, *, time: str, user: tuple[str, str]
) -> bytes:
    """Return the history of a new folder after its first run.

    Parameters
    ----------
    manifest : Manifest
        The manifest after the run.
    command : str
        The command name, without its arguments.
    time : str
        The time to record (UTC, ISO 8601).
    user : tuple of str
        The user and the computer.
    """
    events = {event.identity: event for event in list_events(manifest)}
    state = _compute_events_digest(events)
    line = _build_line(manifest, command, events.values(), time=time, user=user, state=state)
    return b"".join(_encode_lines([line], b""))


#: The command adds existing files to the manifest, and records missing files as lost.
REBUILD = "status --rebuild"


def _record_lost_events(folder: Path, manifest: Manifest, now: str) -> Iterator[Event]:
    """Yield an event for each request that is in the history but not in the rebuilt manifest.

    Each event records a request as lost, so that later runs can continue.
    """
    history = read_history(folder)
    missing = find_missing_requests(history, manifest)
    for event, _ in missing.values():
        yield _build_lost_event(event, now)


def _build_lost_event(event: Event, now: str) -> Event:
    return Event(LOST, event.id, event.generation, key=event.key, at=now)


def _group_equal_events(events: Iterable[Event]) -> Iterator[_Group]:
    groups: dict[tuple[str, str, str, str], list[_Member]] = {}
    for event in events:
        member = _Member(**{name: getattr(event, name) for name in _MEMBER})
        groups.setdefault((event.what, event.on, event.note, event.at), []).append(member)
    for (kind, on, note, at), members in groups.items():
        yield _Group(what=kind, on=on, note=note, at=at, of=tuple(members))


def _get_last_line(data: bytes) -> bytes:
    return data[:-1].rpartition(b"\n")[2]


def _read_last_state(folder: Path) -> object:
    """Return the digest in the last line without parsing the line, which can be very long."""
    with suppress(ValueError, RecursionError):
        document = json.loads(_get_last_line(_read_complete_lines(folder)[0]))
        return document.get("state") if isinstance(document, dict) else None
    return None


def _append_lines(folder: Path, lines: Iterable[HistoryLine]) -> None:
    """Add lines to the history. The file is written in one step, so that no line is truncated."""
    data, _ = _read_complete_lines(folder)
    files.replace_file(folder / HISTORY_NAME, data + b"".join(_encode_lines(lines, data)), 0o600)


def _encode_lines(lines: Iterable[HistoryLine], data: bytes) -> Iterator[bytes]:
    """Yield the bytes of new lines, which follow the complete lines in `data`."""
    before = hashlib.sha256(_get_last_line(data)).hexdigest() if data else ""
    for line in lines:
        document = {**_list_filled_fields(line), "before": before}
        text = json.dumps(document, ensure_ascii=False, default=_list_filled_fields).encode(
            "utf-8", "replace"
        )
        before = hashlib.sha256(text).hexdigest()
        yield text + b"\n"


def _list_filled_fields(record: object) -> dict[str, object]:
    """Return the fields of a history line that are not empty."""
    return {key: value for key, value in convert_record(record).items() if value}


@contextmanager
def record_changes(
    folder: Path,
    command: str,
    *,
    reason: str = "",
    now: str = "",
    wait_seconds: float = 0.0,
    is_repair: bool = False,
    renewed_ids: Iterable[str] = (),
) -> Iterator[Run]:
    """Lock a folder for one writer, and add the writer's changes to the folder's history.

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
        Whether the command repairs a folder with missing generations.
    renewed_ids : iterable of str, optional
        The ids of the requests that get a new key. If the recorded key for such a request differs
        from the history, the run records the key in the history as lost and continues.

    Raises
    ------
    BundleError
        If another writer has locked the folder, or if generations in the history are missing in the
        manifest. In the second case, the command has changed nothing.
    """
    with lock_folder(folder, wait_seconds=wait_seconds):
        restrict_copied_files(folder)
        run = Run(
            folder,
            command,
            reason,
            now or format_timestamp(None),
            is_repair,
            frozenset(renewed_ids),
        )
        with watch_manifests(folder, run.process_manifest):
            try:
                yield run
            except BaseException:
                # Ignore errors about the history, because the original error is more useful. The
                # changes are already recorded.
                with suppress(LyncnbError, OSError):
                    run.finish(is_done=False)
                raise
            run.finish()
