"""Lift the newest records of the ``deployed`` command, such as a deployment to a wrong server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ...request_folder.generations import Generation, find_generations
from ...request_folder.history import DEPLOYED, UNDONE, Event
from ...request_folder.history import REVOKED as REVOKED_EVENT
from ...request_folder.request_record import (
    ArchivedGeneration,
    Deployment,
    GoneServer,
    RequestRecord,
    Revocation,
    RevokedCertificate,
)
from ..named_requests import NamedRequest
from .departures import build_return_event
from .deployed_results import GONE, RECORDED, REVOKED
from .deployed_results import UNDONE as UNDONE_RESULT
from .deployed_run import Run

_Entry = Deployment | GoneServer | RevokedCertificate


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fact:
    """A record that can be lifted, with its request and generation.

    Generation 0 is the certificate from before the first request, or all generations.
    """

    record: RequestRecord
    generation: int
    entry: _Entry

    @property
    def server(self) -> str:
        return "" if isinstance(self.entry, RevokedCertificate) else self.entry.server


def undo_records(run: Run, matches: Sequence[NamedRequest], *, is_all: bool) -> None:
    """Lift the newest record of each name, or all records of the newest run.

    The records before it count again. A later record counts, even if it is the same.
    """
    every = [fact for record in run.manifest.requests for fact in _list_facts(record)]
    chosen = _choose_newest(every) if is_all else []
    if is_all and not chosen:
        run.add_problem(
            "the folder has no record that can be undone",
            "lyncnb status FOLDER NAME shows the history of a certificate",
        )
    for name in dict.fromkeys(match.name for match in matches):
        ours = [match for match in matches if match.name == name]
        newest = _choose_newest(
            [fact for fact in every if any(_is_selected(fact, match) for match in ours)]
        )
        if not newest:
            run.add_problem(
                f'"{name}": no deployment, departure or revocation is recorded',
                "lyncnb status FOLDER NAME shows the history of a certificate",
            )
        chosen += [fact for fact in newest if fact not in chosen]
    for fact in chosen:
        _lift(run, fact)
    for record_id in dict.fromkeys(fact.record.id for fact in chosen):
        run.notes += _list_removed_keys(run.records[record_id])


def _is_selected(fact: _Fact, match: NamedRequest) -> bool:
    return (
        fact.record.id == match.record.id
        and (not match.servers or fact.server in ("", *match.servers))
        and match.generation in (0, fact.generation)
    )


def _choose_newest(facts: Sequence[_Fact]) -> list[_Fact]:
    last = max((fact.entry.recorded_at for fact in facts), default="")
    return [fact for fact in facts if fact.entry.recorded_at == last]


def _list_facts(record: RequestRecord) -> Iterator[_Fact]:
    before = record.covering_certificate
    sources: list[tuple[int, Sequence[_Entry]]] = [
        *((part.generation, part.every_deployment) for part in record.generations),
        *((part.generation, _list_revoked(part.revocation)) for part in record.generations),
        (0, record.gone),
        (0, _list_revoked(before.revocation if before is not None else None)),
    ]
    for generation, entries in sources:
        for entry in entries:
            # Earlier versions did not record when they recorded a revocation.
            if entry.recorded_at:
                yield _Fact(record=record, generation=generation, entry=entry)


def _list_revoked(revocation: Revocation | None) -> tuple[RevokedCertificate, ...]:
    return revocation.certificates if revocation is not None else ()


def _lift(run: Run, fact: _Fact) -> None:
    record, entry = run.get_record(fact.record), fact.entry
    part = next((p for p in record.generations if p.generation == fact.generation), None)
    if isinstance(entry, GoneServer):
        changed = _return_server(record, entry)
        run.events.append(build_return_event(record, entry))
        what, on, serial = GONE, entry.on, ""
    elif isinstance(entry, Deployment):
        assert part is not None
        changed = _lift_deployment(record, part, entry)
        run.events.append(
            Event(
                UNDONE, record.id, part.generation, certificate=entry.certificate,
                serial=entry.serial, server=entry.server, on=entry.on, note=DEPLOYED,
            )
        )  # fmt: skip
        what, on, serial = RECORDED, entry.on, entry.serial
    else:
        changed = _lift_revocation(record, part, entry)
        first = min(item.generation for item in record.generations)
        run.events.append(
            Event(
                UNDONE, record.id, fact.generation or first, certificate=entry.sha256,
                serial=entry.serial, on=entry.revoked_at[:10], note=REVOKED_EVENT,
            )
        )  # fmt: skip
        what, on, serial = REVOKED, entry.revoked_at[:10], entry.serial
    run.records[record.id] = changed
    servers = (fact.server,) if fact.server else ()
    generation = fact.generation or record.generation
    run.add_result(record.id, generation, UNDONE_RESULT, servers, on, serial, about=what)


def _return_server(record: RequestRecord, entry: GoneServer) -> RequestRecord:
    """Lift the record of a server that left, and the revocations requested in the same run."""
    for part in record.generations:
        revocation = part.revocation
        if revocation and revocation.asked_at == entry.recorded_at and not revocation.certificates:
            record = record.with_generation(part.generation, revocation=None)
    return record.with_gone_servers(gone for gone in record.gone if gone.server != entry.server)


def _lift_deployment(record: RequestRecord, part: Generation, entry: Deployment) -> RequestRecord:
    deployments = part.deployments or part.every_deployment
    changes: dict[str, object] = {
        "deployments": tuple(deployment for deployment in deployments if deployment != entry)
    }
    if isinstance(part, RequestRecord) and part.deployed_at and not changes["deployments"]:
        # Otherwise, the removed key would show that all servers have the certificate.
        changes |= {"deployed_at": ""} if part.key_holder else {"package": None, "packaged_at": ""}
    return record.with_generation(part.generation, **changes)


def _lift_revocation(
    record: RequestRecord, part: Generation | None, entry: RevokedCertificate
) -> RequestRecord:
    """Lift a recorded revocation. If lyncnb had requested it, the request counts again."""
    before = record.covering_certificate
    if part is None:
        assert before is not None
        assert before.revocation is not None
        changed = replace(before, revocation=_remove_certificate(before.revocation, entry))
        return record.with_covering_certificate(changed)
    assert part.revocation is not None
    revocation = _remove_certificate(part.revocation, entry)
    return record.with_generation(part.generation, revocation=revocation)


def _remove_certificate(revocation: Revocation, entry: RevokedCertificate) -> Revocation | None:
    others = tuple(item for item in revocation.certificates if item != entry)
    was_requested = revocation.asked_at != entry.revoked_at
    if not (others or was_requested):
        return None
    last = max((item.revoked_at for item in others), default="")
    return replace(revocation, certificates=others, revoked_at=last)


def _list_removed_keys(record: RequestRecord) -> Iterator[str]:
    """Say if lyncnb purge has removed the key of a certificate that counts again."""
    life = find_generations(record)
    parts = [part for part in (life.in_use, life.under_way) if part is not None]
    for part in dict.fromkeys(part.generation for part in parts):
        generation = next(item for item in record.generations if item.generation == part)
        removed = (
            generation.purged_at
            if isinstance(generation, ArchivedGeneration)
            else generation.deployed_at
        )
        if removed:
            yield (
                f"{record.id}: the key of generation {part} was removed on {removed[:10]} (lyncnb "
                "purge). If a server needs the certificate again and does not have it, renew the "
                "certificate"
            )
