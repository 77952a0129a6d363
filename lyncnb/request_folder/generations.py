"""Which generation of a request its servers use, and which one is to follow it.

A certificate is in use until its successor is on the servers. Nobody but the administrator knows
when that is, so it counts from what was recorded (``lyncnb deployed``), never from what was
received or packaged. Status, summary, calendar, forecast, steps, purge and panel all ask here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from ..base.renewal_days import RenewalTerms
from .request_record import (
    ArchivedGeneration,
    CoveringCertificate,
    Deployment,
    IssuedRecord,
    RequestRecord,
)

Generation = RequestRecord | ArchivedGeneration
Held = IssuedRecord | Deployment | CoveringCertificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Generations:
    """The generations of one request, by what its servers have.

    ``in_use`` is the one that its servers use, None before a certificate came back and where a
    certificate that stands covers the request. ``held`` is the certificate that they have, as far
    as it is known. ``under_way`` is the newest generation after the one in use, or that one itself
    where another certificate came back for it; None if nothing is to follow. ``replaced`` are the
    others that had a certificate and are used no more, the newest first.
    """

    record: RequestRecord
    in_use: Generation | None
    held: Held | None
    under_way: Generation | None
    replaced: tuple[Generation, ...]

    @property
    def deployed_on(self) -> str:
        """From which day on all servers are recorded to have it (ISO 8601); blank if not all."""
        if self.in_use is None or not self.is_recorded:
            return ""
        return max(one.on for one in self.in_use.every_deployment)

    def renew_from(self, terms: RenewalTerms) -> date | None:
        """Give the day on which to order what replaces the certificate that the servers have."""
        if self.held is None:
            return None
        issuer = self.record.plan.issuer
        return terms.renewing(self.held.begins, self.held.ends, issuer).order_on

    @property
    def is_recorded(self) -> bool:
        """Whether it is recorded that the certificate in use is on all of its servers."""
        return self.in_use is not None and has_its_servers(self.record, self.in_use)

    @property
    def revoke(self) -> tuple[str, ...]:
        """What the CA is still to revoke, a sentence for each certificate."""
        return tuple(map(str, to_revoke(self.record)))


def generations_of(record: RequestRecord) -> Generations:
    """Say which generation of a request is in use, and which is under way.

    Parameters
    ----------
    record : RequestRecord
        With n generations, the present one and those in ``archive/``.

    Returns
    -------
    Generations
        In use is the newest generation that was recorded as deployed on all of its servers. Where
        none was, it is the oldest whose certificate came back: a later one may still lie in its
        package.
    """
    newest_first = sorted(record.generations, key=lambda one: -one.generation)
    issued = [one for one in newest_first if one.issued is not None]
    deployed = [one for one in issued if has_its_servers(record, one)]
    in_use = deployed[0] if deployed else issued[-1] if issued else None
    begins = in_use.generation if in_use is not None else 0
    later = [one for one in newest_first if one.generation > begins]
    held = record.covered if in_use is None else _held(in_use)
    if not later and isinstance(held, Deployment) and in_use is not None:
        later = [in_use]
    return Generations(
        record=record,
        in_use=in_use,
        held=held,
        under_way=later[0] if later else None,
        replaced=tuple(one for one in issued if one.generation < begins),
    )


def _held(part: Generation) -> IssuedRecord | Deployment | None:
    """Give the certificate that servers have of a generation: of several, what ends first."""
    issued = part.issued
    others = [one for one in part.every_deployment if issued and one.certificate != issued.sha256]
    return min(others, key=lambda one: one.not_after) if others else issued


def servers_of(record: RequestRecord, part: Generation) -> tuple[str, ...]:
    """Give the servers that a generation's certificate is for."""
    return (part.plan or record.plan).servers


def has_its_servers(record: RequestRecord, part: Generation) -> bool:
    """Whether it is recorded that every server of a generation has its certificate.

    One that the whole deployment shares (OAuth) is assigned on one server, and replicates.
    """
    known = {one.server for one in part.every_deployment}
    if (part.plan or record.plan).shared_by == "deployment":
        return bool(known)
    servers = servers_of(record, part)
    return bool(servers) and known.issuperset(servers)


#: The reason for which a CA revokes a certificate whose key may be in other hands.
#: Source: RFC 5280 section 5.3.1.
KEY_COMPROMISE = "keyCompromise"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToRevoke:
    """A certificate that its CA (internal or public) is to revoke, for a reason of RFC 5280."""

    request_id: str
    generation: int
    issuer: str
    serial: str
    not_after: str
    reason: str
    asked_at: str

    def __str__(self) -> str:
        return f"Revoke serial {self.serial}, reason {self.reason} (RFC 5280 5.3.1)"


def certificates_of(part: Generation) -> dict[str, IssuedRecord | Deployment]:
    """Give every certificate that is known of a generation's key, by SHA-256.

    One that was refused has the key, too, and so may one that only a server shows.
    """
    issued = (part.issued,) if part.issued is not None else ()
    known: dict[str, IssuedRecord | Deployment] = {}
    for one in (*issued, *part.refused):
        known.setdefault(one.sha256, one)
    for two in part.every_deployment:
        known.setdefault(two.certificate, two)
    return known


def compromised_generations(record: RequestRecord, today: date) -> tuple[Generation, ...]:
    """Give the generations to ask the CA about if the key of the one in use is compromised.

    Those that have the same key, a certificate that has not ended, and no revocation on record.
    """
    in_use = generations_of(record).in_use
    return tuple(
        part
        for part in record.generations
        if in_use is not None
        and part.spki_sha256 == in_use.spki_sha256
        and part.revocation is None
        and not all(is_expired(one, today) for one in certificates_of(part).values())
    )


def to_revoke(record: RequestRecord) -> tuple[ToRevoke, ...]:
    """List the certificates of a request that its CA is to revoke, until that is on record."""
    return tuple(
        ToRevoke(
            request_id=record.id,
            generation=part.generation,
            issuer=(part.plan or record.plan).issuer,
            serial=one.serial,
            not_after=one.not_after,
            reason=part.revocation.reason,
            asked_at=part.revocation.asked_at,
        )
        for part in record.generations
        if part.revocation is not None and not part.revocation.revoked_at
        for one in certificates_of(part).values()
    )


def compromised_keys(records: Iterable[RequestRecord]) -> frozenset[str]:
    """Give the keys, by SHA-256 of SubjectPublicKeyInfo, that may be in other hands."""
    return frozenset(
        part.spki_sha256
        for record in records
        for part in record.generations
        if part.revocation is not None and part.revocation.reason == KEY_COMPROMISE
    )


def is_due(record: RequestRecord, on: date, terms: RenewalTerms) -> bool:
    """Whether a certificate is to be renewed on a day: it is due, and nothing is requested yet.

    What is under way is requested already, unless its own certificate is due before it got into
    use, or its run was interrupted.
    """
    life = generations_of(record)
    is_requested = record.is_written or record.key_holder  # else a certificate covers it, or so
    newest = life.under_way.issued if life.under_way and is_requested else life.held
    if record.state == "retired" or newest is None:
        return False
    return terms.renewing(newest.begins, newest.ends, record.plan.issuer).order_on <= on


def state_by_date(issued: Held | None, today: date, renew_from: date | None = None) -> str:
    """Say how a certificate stands by its dates at a moment; a day is its beginning.

    Returns
    -------
    str
        ``expiring`` from the day on which its renewal is ordered, ``expired``, or blank.
    """
    if issued is None:
        return ""
    now = today if isinstance(today, datetime) else datetime(*today.timetuple()[:3], tzinfo=UTC)
    # Valid through the second that notAfter names (RFC 5280 section 4.1.2.5).
    if now > issued.ends:
        return "expired"
    return "expiring" if renew_from is not None and now.date() >= renew_from else ""


def is_expired(issued: Held | None, today: date) -> bool:
    """Whether a certificate on record ended before `today` began, UTC."""
    return state_by_date(issued, today) == "expired"
