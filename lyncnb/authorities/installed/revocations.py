"""Record which certificates a CA has revoked, at the planner's request or by its own decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ...request_folder.generations import (
    KEY_COMPROMISE,
    Generation,
    find_generations,
    find_revocation_time,
    get_sha256,
    is_to_revoke,
    list_known_certificates,
)
from ...request_folder.request_record import (
    CoveringCertificate,
    Deployment,
    IssuedRecord,
    RequestRecord,
    Revocation,
    RevokedCertificate,
)
from ..named_requests import NamedRequest
from .deployed_results import ALREADY, REVOKED
from .deployed_run import Run

_Certificate = IssuedRecord | Deployment | CoveringCertificate


def record_revocations(run: Run, matches: Sequence[NamedRequest], reason: str) -> None:
    """Record that the CA has revoked certificates.

    Without a reason, only a revocation that was requested is recorded.
    """
    for match in matches:
        record = run.get_record(match.record)
        before = record.covering_certificate
        requested = [
            part
            for part in record.generations
            if part.revocation is not None and match.generation in (0, part.generation)
        ]
        is_before = before is not None and before.revocation is not None
        if not (is_before or requested):
            if not reason:
                run.add_problem(
                    f'"{match.name}": you did not request a revocation of {record.id}',
                    "if the CA revoked the certificate, also specify its reason: --reason "
                    "superseded. If the key is compromised: lyncnb renew FOLDER NAME --compromised",
                )
                continue
            part = _find_named_generation(record, match.generation)
            if part is None and before is None:
                run.add_problem(
                    f'"{match.name}": {record.id} has no certificate',
                    "lyncnb status FOLDER shows the state of each request",
                )
                continue
            is_before, requested = part is None, [part] if part is not None else []
        if is_before and before is not None:
            revocation = _build_revocation(run, record.id, 0, before.revocation, (before,), reason)
            if revocation is not None:
                run.records[record.id] = record.with_covering_certificate(
                    replace(before, revocation=revocation)
                )
        for part in requested:
            certificates = tuple(_list_revoked(record, part, reason))
            revocation = _build_revocation(
                run, record.id, part.generation, part.revocation, certificates, reason
            )
            if revocation is not None:
                run.records[record.id] = run.get_record(record).with_generation(
                    part.generation, revocation=revocation
                )


def _find_named_generation(record: RequestRecord, generation: int) -> Generation | None:
    """Return the generation with the named certificate, or the one that servers use.

    Before the first certificate is installed, this is the newest generation with a certificate.
    """
    if generation:
        return next(part for part in record.generations if part.generation == generation)
    life = find_generations(record)
    if isinstance(life.held, CoveringCertificate):
        return None
    issued = (part for part in record.generations if part.issued is not None)
    return life.in_use or max(issued, default=None, key=lambda part: part.generation)


def _list_revoked(record: RequestRecord, part: Generation, reason: str) -> Iterator[_Certificate]:
    """Yield the certificates of a generation that the CA revoked.

    With a compromised key, these are all certificates. Otherwise, it is the one in use.
    """
    known = list_known_certificates(part)
    if part.revocation is not None:
        yield from (item for item in known.values() if is_to_revoke(item, part.revocation))
    elif reason == KEY_COMPROMISE:
        yield from known.values()
    else:
        life = find_generations(record)
        held = life.held if life.in_use is part else part.issued
        yield from (item for item in (held or part.issued,) if item is not None)


def _build_revocation(
    run: Run,
    name: str,
    generation: int,
    requested: Revocation | None,
    certificates: Sequence[_Certificate],
    reason: str,
) -> Revocation | None:
    """Return the revocation to record, or None if the manifest already records a revocation."""
    when = run.now if run.day == run.present else f"{run.day}T00:00:00Z"
    revocation = requested or Revocation(reason=reason, asked_at=when)
    earlier_certificates = revocation.certificates or tuple(
        _build_revoked_certificate(item, time)
        for item in certificates
        if (time := find_revocation_time(item, revocation))
    )
    pending = [item for item in certificates if not find_revocation_time(item, revocation)]
    if revocation.revoked_at and not pending:
        results = [(entry.revoked_at, entry.serial) for entry in earlier_certificates]
        for at, serial in results or [(revocation.revoked_at, "")]:
            run.add_result(name, generation, ALREADY, (), at[:10], serial, about=REVOKED)
        return None
    if when[:10] < revocation.asked_at[:10]:
        requested_on = revocation.asked_at[:10]
        run.add_problem(
            f"{name}: the revocation was requested on {requested_on}, which is after {run.day}",
            "use a later date",
        )
        return None
    new_certificates = [
        _build_revoked_certificate(item, when, recorded_at=run.now)
        for item in pending
        if item.not_before[:10] <= run.day.isoformat()
    ]
    if pending and not new_certificates:
        run.add_problem(
            f"{name}: the certificate is valid from {pending[0].not_before[:10]}, which is "
            f"after {run.day}",
            "specify the date on which the CA revoked the certificate",
        )
        return None
    for serial in [entry.serial for entry in new_certificates] or [""]:
        run.add_result(name, generation, REVOKED, (), when[:10], serial)
    # A compromised key remains compromised, whatever reason the CA publishes.
    is_compromised = KEY_COMPROMISE in (revocation.reason, reason)
    return replace(
        revocation,
        reason=KEY_COMPROMISE if is_compromised else reason or revocation.reason,
        revoked_at=max(revocation.revoked_at, when),
        certificates=(*earlier_certificates, *new_certificates),
    )


def _build_revoked_certificate(
    certificate: _Certificate, revoked_at: str, *, recorded_at: str = ""
) -> RevokedCertificate:
    return RevokedCertificate(
        sha256=get_sha256(certificate),
        serial=certificate.serial,
        revoked_at=revoked_at,
        recorded_at=recorded_at,
    )
