"""Show all generations of a certificate with their events, for audits.

The data comes from the entries of the folder's record. The recorded deployments show which
certificate a server had on a date. If no deployment is recorded, a note lists the certificates that
the server may have had.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

from ..base.arguments import check_type
from ..base.records import JsonSerializable
from ..base.shown.frames import Kind
from ..base.shown.tables import Table, columns, format_count, group_statements
from ..errors import BundleError
from ..request_folder.generations import Generation, list_servers_for
from ..request_folder.history import (
    APPROVED,
    DAY_CORRECTED,
    DEPLOYED,
    GONE,
    ISSUED,
    REQUESTED,
    UNDEPLOYED,
    UNDONE,
    Event,
    HistoryLine,
    list_history,
)
from ..request_folder.manifest import Manifest, read_folder
from ..request_folder.request_record import Deployment, RequestRecord
from .named_requests import NamedRequest, find_named_requests

# The sort key of a deployment: its date, the time of its record, its event, and its generation.
_Move = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateEvent(JsonSerializable):
    """An event in the history of one generation: its time, user, command and reason.

    ``at`` is a UTC time or a date in ISO 8601. ``user``, ``host`` and ``command`` are blank if
    lyncnb 0.2.0 did not record them.
    """

    at: str
    what: str
    server: str = ""
    detail: str = ""
    user: str = ""
    host: str = ""
    command: str = ""
    reason: str = ""

    def __str__(self) -> str:
        server = f" on {self.server}" if self.server else ""
        detail = f": {self.detail}" if self.detail else ""
        by = f" (by {self.user} on {self.host}, with lyncnb {self.command})" if self.user else ""
        reason = (
            f", reason: {self.reason}" if self.reason and self.reason not in self.detail else ""
        )
        return f"{self.at[:10]} {self.what}{server}{detail}{by}{reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay(JsonSerializable):
    """The period in which one generation of a certificate was installed on a server.

    ``until`` is the date on which another certificate was installed; blank if there is none.
    """

    server: str
    since: str
    until: str = ""

    def __str__(self) -> str:
        return f"on {self.server} since {self.since}" + (
            f" until {self.until}" if self.until else ""
        )

    def was_installed_on(self, iso_date: str) -> bool:
        """Return whether the certificate was installed on the server on a date."""
        return self.since <= iso_date and (not self.until or iso_date < self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationHistory(JsonSerializable):
    """One generation of a certificate, from its request until it is no longer used.

    ``approved_by`` lists the people who approved the plan for this request. ``stays`` lists the
    servers on which a deployment was recorded.
    """

    id: str
    generation: int
    servers: tuple[str, ...]
    usages: tuple[str, ...]
    serial: str = ""
    thumbprint: str = ""
    not_before: str = ""
    not_after: str = ""
    approved_by: tuple[str, ...] = ()
    stays: tuple[Stay, ...] = ()
    events: tuple[CertificateEvent, ...] = ()

    def lines(self) -> Iterator[str]:
        """Yield the history of one generation of a certificate as lines of text."""
        yield f"{self.id}, generation {self.generation} ({', '.join(self.usages) or 'no type'})"
        if self.serial:
            valid = f"valid {self.not_before[:10]} to {self.not_after[:10]}"
            yield (
                f"  serial number {self.serial}, thumbprint {self.thumbprint or 'unknown'}, {valid}"
            )
        else:
            yield "  no certificate was received"
        yield from (f"  {stay}" for stay in self.stays)
        if self.approved_by:
            yield f"  plan approved by {'; '.join(self.approved_by)}"
        yield from (f"  {event}" for event in self.events)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CertificateHistory(Table, JsonSerializable):
    """The history of the certificates in a request folder.

    If ``on`` is set, only the certificates that were installed on that date.
    """

    json_keys: ClassVar = ("folder", "on", "generations", "notes")

    _columns: ClassVar = columns(
        ("Certificate", lambda row: row[0].id),
        ("Generation", lambda row: row[0].generation, Kind.COUNT),
        ("Serial number", lambda row: row[0].serial),
        ("When", lambda row: row[1].at, Kind.INSTANT),
        ("Event", lambda row: row[1].what),
        ("Server", lambda row: row[1].server),
        ("Details", lambda row: row[1].detail),
        ("User", lambda row: row[1].user),
        ("Computer", lambda row: row[1].host),
        ("Command", lambda row: row[1].command),
        ("Reason", lambda row: row[1].reason),
    )

    folder: Path
    on: str
    generations: tuple[GenerationHistory, ...]
    notes: tuple[str, ...] = ()

    def _list_items(self) -> Iterable[Any]:
        return [
            (generation, event) for generation in self.generations for event in generation.events
        ]

    def _summarize(self) -> str:
        number = format_count(len(self.generations), "generation")
        if self.on:
            return f"{self.folder}: on {self.on}, the servers used the certificates of {number}"
        return f"{self.folder}: {number}"

    def to_text(self) -> str:
        """Return the history of the certificates as plain lines for a terminal."""
        lines = [line for generation in self.generations for line in generation.lines()]
        return (
            "\n".join([*lines, self._summarize(), *(f"note: {note}" for note in self.notes)]) + "\n"
        )

    def __repr__(self) -> str:
        return self.to_text().rstrip("\n")


def certificate_history(
    folder: str | os.PathLike[str], *names: str, history_date: date | None = None
) -> CertificateHistory:
    """Return the history of certificates: generations, servers, approvals, and users.

    Parameters
    ----------
    folder : path
        A request folder. The function writes nothing and needs no passphrase.
    *names : str
        Ids, servers, patterns, serial numbers or thumbprints; by default, all certificates.
    history_date : date, optional
        Show only the generations that were on servers on this date.

    Returns
    -------
    CertificateHistory
        The requests in the order of the plan, and the oldest generation first.

    Raises
    ------
    BundleError
        If the folder is not a request folder, or has no request for a name. The error lists all
        such names.
    """
    check_type("folder", folder, str, os.PathLike)
    path, day = Path(folder), history_date.isoformat() if history_date else ""
    state = read_folder(path)
    manifest = state.manifest
    matches, problems = find_named_requests(manifest.requests, names)
    if problems:
        raise BundleError(
            (
                f"{path}: some of these names do not belong to a request, server or "
                "certificate in the folder"
            ),
            problems=problems,
        )
    if not names:
        matches = tuple(NamedRequest(name="", record=record) for record in manifest.requests)
    notes = tuple(f"{problem.file} {problem.message}" for problem in state.record.problems)
    known = _RecordedData(manifest, list_history(state.record.entries))
    generations: list[GenerationHistory] = []
    unknown: list[tuple[str, str]] = []
    for match in _merge_matches(matches):
        all_generations = known.list_generations(match.record, match.servers)
        if day:
            all_generations, statement = _filter_by_date(match, all_generations, day)
            unknown += [(statement, match.record.id)] if statement else []
        generations += all_generations
    notes = (*notes, *group_statements("certificate", unknown))
    return CertificateHistory(
        folder=path, on=day, generations=tuple(generations), notes=tuple(dict.fromkeys(notes))
    )


def _merge_matches(matches: Sequence[NamedRequest]) -> Iterator[NamedRequest]:
    """Combine the matches for each request, with all servers that the user specified.

    If no server is specified, all servers count.
    """
    by_id: dict[str, NamedRequest] = {}
    for match in matches:
        before = by_id.get(match.record.id)
        is_all = before is not None and not (before.servers and match.servers)
        servers = (*(before.servers if before else ()), *match.servers)
        servers = () if is_all else tuple(dict.fromkeys(servers))
        by_id[match.record.id] = replace(match, servers=servers)
    yield from by_id.values()


def _filter_by_date(
    match: NamedRequest, all_generations: Sequence[GenerationHistory], day: str
) -> tuple[list[GenerationHistory], str]:
    """Return the generations of certificates that were installed on a date.

    If no installation is recorded, return all generations that were possibly installed, and a
    statement about that.
    """
    generations: list[GenerationHistory] = []
    statement = ""
    unknown = {server for part in all_generations for server in part.servers}
    unknown &= set(match.servers) or unknown
    for part in all_generations:
        stays = tuple(stay for stay in part.stays if stay.was_installed_on(day))
        unknown -= {stay.server for stay in stays}
        if stays:
            generations.append(replace(part, stays=stays))
    if unknown:
        maybe = [part for part in all_generations if _could_be_installed(part, day)]
        generations += [
            part for part in maybe if part.id not in {generation.id for generation in generations}
        ]
        candidates = ", ".join(f"generation {part.generation}" for part in maybe) or "none"
        servers = ", ".join(sorted(unknown)) if match.name else "every server"
        statement = (
            f"without a recorded deployment to {servers} on or before {day} (received and valid "
            f"on {day}, and therefore possibly installed: {candidates})"
        )
    return generations, statement


def _could_be_installed(generation: GenerationHistory, day: str) -> bool:
    received = [event.at[:10] for event in generation.events if event.what == ISSUED]
    is_valid = generation.not_before[:10] <= day <= generation.not_after[:10]
    return bool(generation.serial) and is_valid and min(received, default=day) <= day


class _RecordedData:
    """The recorded events, by request and generation."""

    def __init__(self, manifest: Manifest, lines: Iterable[HistoryLine]) -> None:
        self._manifest = manifest
        self._events: dict[tuple[str, int], list[tuple[Event, HistoryLine]]] = {}
        for line in lines:
            for event in line.events:
                self._events.setdefault((event.id, event.generation), []).append((event, line))
        self._plans = {plan.sha256: plan for plan in manifest.plans}

    def list_generations(
        self, record: RequestRecord, servers: Sequence[str]
    ) -> list[GenerationHistory]:
        """Return all generations of a request on record, oldest first."""
        numbers = {part.generation for part in record.generations}
        numbers |= {number for name, number in self._events if name == record.id}
        stays = self._group_periods_by_generation(record, sorted(numbers))
        return [self._build_generation(record, n, stays, servers) for n in sorted(numbers)]

    def _build_generation(
        self,
        record: RequestRecord,
        generation_number: int,
        stays: dict[int, list[Stay]],
        servers: Sequence[str],
    ) -> GenerationHistory:
        part = next(
            (
                generation
                for generation in record.generations
                if generation.generation == generation_number
            ),
            None,
        )
        events = self._events.get((record.id, generation_number), [])
        events = [pair for pair in events if not servers or pair[0].server in ("", *servers)]
        events.sort(key=lambda pair: _find_event_time(*pair))
        issued = part.issued if part is not None else None
        last = next((event for event, _ in reversed(events) if event.what == ISSUED), None)
        # The CA can issue a second certificate for the same request. Servers may still have the
        # first one.
        earlier = _find_earlier_certificate(part, servers) if part is not None else None
        certificate = earlier or issued or last
        return GenerationHistory(
            id=record.id,
            generation=generation_number,
            servers=list_servers_for(record, part) if part is not None else record.plan.servers,
            usages=((part.plan if part is not None else None) or record.plan).usages,
            serial=certificate.serial if certificate else "",
            thumbprint=issued.thumbprint_sha1.upper() if issued and earlier is None else "",
            not_before=certificate.not_before if certificate else "",
            not_after=certificate.not_after if certificate else "",
            approved_by=self._find_approvals(part.approved_plan if part else "", events),
            stays=tuple(
                stay
                for stay in stays.get(generation_number, ())
                if not servers or stay.server in servers
            ),
            events=tuple(_describe_event(event, line) for event, line in events),
        )

    def _find_approvals(
        self, approved_plan: str, events: Sequence[tuple[Event, HistoryLine]]
    ) -> tuple[str, ...]:
        """Return the people who approved the plan from which a generation was created."""
        plan = self._plans.get(approved_plan)
        if plan is None:
            when = [_find_event_time(*pair) for pair in events if pair[0].what == REQUESTED]
            before = [
                plan for plan in self._manifest.plans if when and plan.requested_at <= when[0]
            ]
            plan = before[-1] if before else None
        if plan is None:
            return ()
        return tuple(
            f"{approval.signer}, with the key {approval.key}, verified on "
            f"{approval.verified_at[:10]}"
            for approval in plan.approvals
        )

    def _group_periods_by_generation(
        self, record: RequestRecord, generation_numbers: Sequence[int]
    ) -> dict[int, list[Stay]]:
        """Return the periods in which each server had a certificate, by generation."""
        moves: dict[str, list[_Move]] = {}
        for number in generation_numbers:
            for event, line in self._events.get((record.id, number), ()):
                server_moves = moves.setdefault(event.server, [])
                if event.what in (DAY_CORRECTED, UNDONE):
                    cancelled = event.note if event.what == UNDONE else DEPLOYED
                    server_moves[:] = [
                        move for move in server_moves
                        if (move[0], *move[2:]) != (event.on, cancelled, number)
                    ]  # fmt: skip
                elif event.what in (DEPLOYED, UNDEPLOYED, GONE):
                    move = (event.on, _find_event_time(event, line), event.what, number)
                    server_moves.append(move)
        stays: dict[int, list[Stay]] = {}
        for server, server_moves in moves.items():
            for number, stay in _find_installation_periods(server, sorted(server_moves)):
                stays.setdefault(number, []).append(stay)
        return stays


def _find_earlier_certificate(generation: Generation, servers: Sequence[str]) -> Deployment | None:
    """Return the earlier certificate if all servers still use it, or else None."""
    present = generation.issued.sha256 if generation.issued is not None else ""
    known = [
        deployment
        for deployment in generation.every_deployment
        if not servers or deployment.server in servers
    ]
    others = [deployment for deployment in known if deployment.certificate != present]
    return others[-1] if others and len(others) == len(known) else None


def _find_installation_periods(server: str, moves: Sequence[_Move]) -> Iterator[tuple[int, Stay]]:
    """Yield the periods in which certificates were installed on a server.

    If a deployment is withdrawn, the earlier certificate counts again.
    """
    installed: list[
        tuple[int, str]
        # The generations that were installed on the server, with their installation dates. The
        # current generation is the last.
    ] = []
    for day, _, action, number in moves:
        present, since = installed[-1] if installed else (0, "")
        if action == GONE:
            if installed:
                yield present, Stay(server=server, since=since, until=day)
            installed.clear()
            continue
        if (action == DEPLOYED) == (present == number):
            continue
        if installed and since != day:
            yield present, Stay(server=server, since=since, until=day)
        if action == DEPLOYED:
            installed.append((number, day))
            continue
        installed.pop()
        if installed:
            installed[-1] = (installed[-1][0], day)
    if installed:
        yield installed[-1][0], Stay(server=server, since=installed[-1][1])


def _find_event_time(event: Event, line: HistoryLine) -> str:
    return event.at or line.at or event.on


def _describe_event(event: Event, line: HistoryLine) -> CertificateEvent:
    detail = event.note
    if event.what in (DEPLOYED, GONE):
        detail = f"since {event.on}" + (f", {event.note}" if event.note else "")
    elif event.what not in (REQUESTED, APPROVED) and event.serial:
        detail = f"serial {event.serial}" + (f", {event.note}" if event.note else "")
    return CertificateEvent(
        at=_find_event_time(event, line),
        what=event.what,
        server=event.server,
        detail=detail,
        user=line.user,
        host=line.host,
        command=line.command,
        reason=line.reason,
    )
