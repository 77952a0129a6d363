"""Record servers that left the deployment. Their certificates are then no longer in use."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from ...request_folder.generations import find_generations, is_expired
from ...request_folder.history import GONE as GONE_EVENT
from ...request_folder.history import UNDONE as UNDONE_EVENT
from ...request_folder.history import Event
from ...request_folder.request_record import GoneServer, RequestRecord, Revocation
from ..named_requests import find_named_servers
from .deployed_results import ALREADY, GONE, REVOCATION
from .deployed_run import Run


def record_departures(run: Run, names: Iterable[str], reason: str) -> None:
    """Record that servers left. With a reason, also request the revocation of their certificates.

    A certificate of several servers is not in use any more when all its servers have left.
    """
    servers, problems = find_named_servers(run.manifest.requests, names)
    run.problems += problems
    for server in servers:
        last = max(
            (
                deployment.on
                for record in run.manifest.requests
                for part in record.generations
                for deployment in part.every_deployment
                if deployment.server == server
            ),
            default="",
        )
        if run.day.isoformat() < last:
            run.add_problem(
                f"{server}: a certificate was installed on {last}, which is after {run.day}",
                "specify the date on which the server left: --on DATE",
            )
            continue
        for record in run.manifest.requests:
            if any(server in (part.plan or record.plan).servers for part in record.generations):
                _record_departure(run, run.get_record(record), server)
    if reason:
        for record in (*run.records.values(),):
            if record.is_gone:
                _request_revocation(run, record, reason)


def _record_departure(run: Run, record: RequestRecord, server: str) -> None:
    on, life = run.day.isoformat(), find_generations(record)
    generation = life.in_use.generation if life.in_use else record.generation
    serial = life.held.serial if life.held else ""
    known = next((entry for entry in record.gone if entry.server == server), None)
    if known is not None and (known.on == on or run.day == run.present):
        run.add_result(record.id, generation, ALREADY, (server,), known.on, serial, about=GONE)
        return
    if known is not None:
        run.events.append(build_return_event(record, known))
    others = tuple(entry for entry in record.gone if entry.server != server)
    entry = GoneServer(server=server, on=on, recorded_at=run.now)
    run.records[record.id] = record.with_gone_servers((*others, entry))
    run.add_result(record.id, generation, GONE, (server,), on, serial)


def build_return_event(record: RequestRecord, entry: GoneServer) -> Event:
    """Return the event that cancels the record of a server that left."""
    first = min(part.generation for part in record.generations)
    return Event(UNDONE_EVENT, record.id, first, server=entry.server, on=entry.on, note=GONE_EVENT)


def _request_revocation(run: Run, record: RequestRecord, reason: str) -> None:
    today = date.fromisoformat(run.now[:10])
    for part in record.generations:
        issued = part.issued
        if issued is None or part.revocation is not None or is_expired(issued, today):
            continue
        revocation = Revocation(reason=reason, asked_at=run.now)
        record = record.with_generation(part.generation, revocation=revocation)
        run.records[record.id] = record
        run.add_result(record.id, part.generation, REVOCATION, (), run.now[:10], issued.serial)
