"""Find the generation of a request that servers use, and the generation after it.

A certificate is in use until its successor is installed. Only an administrator knows when that
happens. So this module uses the recorded deployments (``lyncnb deployed``), and not the dates of
receipt or packaging.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from ..base.renewal_days import ChangeDates, RenewalTerms
from .request_record import (
    ArchivedGeneration,
    CoveringCertificate,
    Deployment,
    IssuedRecord,
    RequestRecord,
    Revocation,
    read_time,
)

Generation = RequestRecord | ArchivedGeneration
Held = IssuedRecord | Deployment | CoveringCertificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Generations:
    """The generations of a request: the one that servers use, and the next one.

    ``held`` is the certificate on the servers that expires first, and ``in_use`` is its generation.
    ``in_use`` is None before a certificate is issued, and if an installed certificate covers the
    request. ``under_way`` is the newest generation if a server still has another certificate, or
    else None. ``used`` contains the numbers of all generations on servers. ``is_recorded`` is true
    if the deployment on every server is recorded. ``deployed_on`` is the date since which all
    servers have the same generation (ISO 8601, or blank). ``is_faulty`` is true if the issued
    certificate must not be packaged or installed.
    """

    record: RequestRecord
    in_use: Generation | None = None
    held: Held | None = None
    under_way: Generation | None = None
    used: frozenset[int] = frozenset()
    is_recorded: bool = False
    deployed_on: str = ""
    is_faulty: bool = False

    def find_order_date(self, terms: RenewalTerms) -> date | None:
        """Return the date on which to order the next certificate."""
        if self.held is None:
            return None
        issuer = self.record.plan.issuer
        return terms.plan_renewal(self.held.begins, self.held.usable_until, issuer).order_on

    def find_ready_date(self, terms: RenewalTerms) -> date | None:
        """Return the date from which the next certificate can be installed, or None without one.

        For a certificate that is not received yet, this is the order date and the CA's lead time.
        The first certificate is not needed before the planned issue date.
        """
        part, record = self.under_way, self.record
        if self.stage in ("issued", "packaged"):
            part = record
        if part is None or self.stage == "at-set-up":
            return None
        if part.issued is not None:
            return max(part.issued.begins, read_time(part.issued.received_at)).date()
        ordered = date.fromisoformat((record.written_at or record.planned_at)[:10])
        ready = ordered + timedelta(days=terms.find_lead_time(record.plan.issuer))
        return max(ready, terms.first_issue or ready) if self.held is None else ready

    def find_first_change(self, terms: RenewalTerms) -> date | None:
        """Return the first day on which to install the newest generation, or None without one."""
        ready = self.find_ready_date(terms)
        return None if ready is None else terms.find_next_change(ready)

    def find_change_dates(self, terms: RenewalTerms) -> ChangeDates | None:
        """Return when to install the next certificate: the first and the last possible date.

        Return None if no certificate in use is to be replaced.
        """
        ready = self.find_ready_date(terms)
        if self.held is None or self.under_way is None or ready is None:
            return None
        usages = self.record.plan.usages
        return terms.find_change_dates(ready, self.held.usable_until, usages)

    @property
    def updated_servers(self) -> tuple[str, ...]:
        """The servers on which the next certificate is already installed."""
        issued = self.record.issued
        if self.under_way is None or issued is None:
            return ()
        servers = list_servers_for(self.record, self.record)
        return tuple(
            deployment.server
            for deployment in self.under_way.every_deployment
            if deployment.server in servers and deployment.matches(issued)
        )

    @property
    def stage(self) -> str:
        """The stage that the newest generation has reached on its way to the servers.

        One of ``planned | elsewhere | at-set-up | waiting | sent | refused | issued | packaged |
        deployed | covered | retired``. In the stage ``elsewhere``, another computer must create
        the key. In the stage ``sent``, the request was packaged for a CA that has not answered. A
        certificate whose key is on its server needs no package, so its stage is ``packaged``.
        """
        record = self.record
        if record.state == "retired":
            return "retired"
        if self.deployed_on and self.under_way is None:
            return "deployed"
        if record.covered is not None and not record.is_written:
            return "covered"
        stage = record.active_state
        if stage == "planned" and record.plan.at_set_up:
            return "at-set-up"
        if stage == "planned" and record.key_holder:
            return "elsewhere"
        if self.is_faulty:
            return "refused"
        if stage == "waiting" and record.handed_over_at:
            return "sent"
        if stage == "issued" and record.key_holder:
            return "packaged"
        return "refused" if stage == "waiting" and record.refused else stage

    @property
    def revocation(self) -> Revocation | None:
        """The requested revocation of the certificate that expires first on the servers."""
        if isinstance(self.held, CoveringCertificate):
            return self.held.revocation
        revocation = self.in_use.revocation if self.in_use is not None else None
        is_meant = self.held is not None and revocation and is_to_revoke(self.held, revocation)
        return revocation if is_meant else None

    @property
    def revoke(self) -> tuple[str, ...]:
        """A sentence for each certificate that the CA must still revoke."""
        return tuple(map(str, list_certificates_to_revoke(self.record)))


#: The finding that a certificate has expired. The certificate must be renewed, and does not count
#: as refused.
EXPIRED = "certificate-expired"


def has_packaging_error(record: RequestRecord) -> bool:
    """Return whether the issued certificate has errors that prevent packaging."""
    judgement = record.issued.judgement if record.issued is not None else None
    findings = judgement.findings if judgement is not None else ()
    return any(finding.severity == "error" and finding.code != EXPIRED for finding in findings)


class _OnServer(NamedTuple):
    """A certificate that is recorded as installed on a server, with its generation and dates."""

    recorded_at: str
    on: str
    part: Generation
    held: Held


def find_generations(record: RequestRecord, *, is_faulty: bool | None = None) -> Generations:
    """Return the generation of a request that is in use, and the next generation.

    Parameters
    ----------
    record : RequestRecord
        A record with n generations: the current generation and those in ``archive/``.
    is_faulty : bool, optional
        Whether the issued certificate must not be installed. The default is the last evaluation on
        record.

    Returns
    -------
    Generations
        The generations. The last recorded deployment on each server counts. Servers that left the
        deployment do not count. Without a record, lyncnb assumes that a server has the oldest
        issued certificate, because a later one may not be installed yet.
    """
    is_faulty = has_packaging_error(record) if is_faulty is None else is_faulty
    if record.is_gone:
        return Generations(record=record, is_faulty=is_faulty)
    on_servers, without = _find_server_certificates(record)
    if not on_servers:
        is_covered = record.covered is not None and not record.is_written
        return Generations(
            record=record,
            held=record.covering_certificate,
            under_way=None if is_covered else record,
            is_faulty=is_faulty,
        )
    first = min(on_servers, key=lambda item: (item.held.usable_until, item.part.generation))
    present = record.issued
    follows = without or any(
        state.part is not record or state.held is not present for state in on_servers
    )
    is_recorded = not without and all(state.on for state in on_servers)
    is_one = len({(state.part.generation, state.held.serial) for state in on_servers}) == 1
    return Generations(
        record=record,
        in_use=first.part,
        held=first.held,
        under_way=record if follows else None,
        used=frozenset(state.part.generation for state in on_servers),
        is_recorded=is_recorded,
        deployed_on=max(state.on for state in on_servers) if is_recorded and is_one else "",
        is_faulty=is_faulty,
    )


def _find_recorded_certificates(record: RequestRecord) -> dict[str, _OnServer]:
    """Return the certificate of each server whose deployment is recorded for a request.

    A certificate that the whole deployment shares (OAuth) is assigned on one server and replicates,
    so a person records it for all servers. A report shows it only for its own server. Without known
    servers, all of them count as one server.
    """
    servers = list_servers_for(record, record) or ("",)
    replicates = record.plan.shared_by == "deployment"
    by_server: dict[str, _OnServer] = {}
    for part in _list_issued_generations(record):
        for deployment in part.every_deployment:
            is_for_all = not record.plan.servers or (replicates and not deployment.seen_in)
            present = part.issued
            is_present = present is not None and deployment.matches(present)
            certificate = present if is_present and present is not None else deployment
            for name in servers if is_for_all else (deployment.server,):
                if name not in by_server or deployment.recorded_at >= by_server[name].recorded_at:
                    by_server[name] = _OnServer(
                        deployment.recorded_at, deployment.on, part, certificate
                    )
    return by_server


def _list_issued_generations(record: RequestRecord) -> list[Generation]:
    issued = (generation for generation in record.generations if generation.issued is not None)
    return sorted(issued, key=lambda item: item.generation)


def find_recorded_servers(record: RequestRecord) -> dict[str, bool]:
    """Return the servers that are recorded for a request, and whether the newest is on each."""
    recorded = _find_recorded_certificates(record)
    return {
        name: state.part is record and state.held is record.issued
        for name, state in recorded.items()
    }


def _find_server_certificates(record: RequestRecord) -> tuple[list[_OnServer], bool]:
    """Return the certificate that each server has for a request, and whether a server has none.

    The result is empty before the CA issues a certificate.
    """
    issued = _list_issued_generations(record)
    if not issued:
        return [], False
    servers = list_servers_for(record, record) or ("",)
    by_server = _find_recorded_certificates(record)
    oldest = issued[0]
    # Every generation in the list ``issued`` has an issued certificate.
    assert oldest.issued is not None
    # Until a deployment is recorded, each server is assumed to have the certificate from before the
    # first request.
    assumed = _OnServer("", "", oldest, record.stood_before or oldest.issued)
    # A server that was added to the pool later never had the oldest certificate.
    is_known = record.plan.servers and record.plan.shared_by != "deployment"
    known = list_servers_for(record, oldest) if is_known else servers
    has = [by_server.get(name, assumed) for name in servers if name in by_server or name in known]
    return has or [assumed], len(has) < len(servers)


def list_servers_for(record: RequestRecord, generation: Generation) -> tuple[str, ...]:
    """Return the servers that need the certificate for a generation, without those that left."""
    gone = {entry.server for entry in record.gone}
    return tuple(
        server for server in (generation.plan or record.plan).servers if server not in gone
    )


#: The revocation reason for a certificate whose private key may be compromised.
KEY_COMPROMISE = "keyCompromise"

#: The reasons for which a CA revokes the certificate of a server, with their numbers in a CRL.
#: Source: RFC 5280 section 5.3.1. The other reasons are about attribute certificates, or can be
#: lifted again.
REVOCATION_REASONS = {
    KEY_COMPROMISE: 1,
    "cACompromise": 2,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
    "privilegeWithdrawn": 9,
    "unspecified": 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToRevoke:
    """A certificate that a CA must revoke, with a reason from RFC 5280.

    ``generation`` is 0 for a certificate from before the first request.
    """

    request_id: str
    generation: int
    issuer: str
    serial: str
    not_after: str
    reason: str
    asked_at: str

    def __str__(self) -> str:
        return (
            f"Revoke the certificate with serial number {self.serial} for the reason "
            f"{self.reason} (RFC 5280 section 5.3.1)"
        )


def list_known_certificates(generation: Generation) -> dict[str, IssuedRecord | Deployment]:
    """Return all known certificates that have the key of a generation, by SHA-256.

    The result includes refused certificates, and certificates that are known only from a server.
    """
    issued = (generation.issued,) if generation.issued is not None else ()
    known: dict[str, IssuedRecord | Deployment] = {}
    for certificate in (*issued, *generation.refused):
        known.setdefault(certificate.sha256, certificate)
    for deployment in generation.every_deployment:
        known.setdefault(deployment.certificate, deployment)
    return known


def find_compromised_generations(record: RequestRecord, today: date) -> tuple[Generation, ...]:
    """Return the generations to revoke if the key of the certificate in use is compromised.

    These generations have the same key and a valid certificate, without a recorded revocation.
    """
    life = find_generations(record)
    in_use = None if isinstance(life.held, CoveringCertificate) else life.in_use
    return tuple(
        part
        for part in record.generations
        if in_use is not None
        and part.spki_sha256 == in_use.spki_sha256
        and part.revocation is None
        and not all(
            is_expired(certificate, today) for certificate in list_known_certificates(part).values()
        )
    )


def find_revocation_time(
    certificate: IssuedRecord | Deployment | CoveringCertificate, revocation: Revocation
) -> str:
    """Return the recorded time at which the CA revoked a certificate, or blank.

    A CA can issue another certificate for the same key later. That certificate is not revoked.
    """
    if revocation.certificates:
        sha256 = get_sha256(certificate)
        times = (entry.revoked_at for entry in revocation.certificates if entry.sha256 == sha256)
        return next(times, "")
    # Earlier versions recorded only the time.
    known_on = certificate.not_before[:10]
    if isinstance(certificate, IssuedRecord):
        known_on = max(known_on, certificate.received_at[:10])
    return revocation.revoked_at if known_on <= revocation.revoked_at[:10] else ""


def is_to_revoke(
    certificate: IssuedRecord | Deployment | CoveringCertificate, revocation: Revocation
) -> bool:
    """Return whether a requested or recorded revocation is about a certificate.

    A compromised key concerns all its certificates. For another reason, a CA can revoke only one.
    """
    digests = {entry.sha256 for entry in revocation.certificates}
    is_compromised = revocation.reason == KEY_COMPROMISE
    return is_compromised or not digests or get_sha256(certificate) in digests


def get_sha256(certificate: IssuedRecord | Deployment | CoveringCertificate) -> str:
    """Return the SHA-256 of a recorded certificate."""
    return certificate.certificate if isinstance(certificate, Deployment) else certificate.sha256


def list_certificates_to_revoke(record: RequestRecord) -> tuple[ToRevoke, ...]:
    """Return the certificates whose revocation is requested but not recorded yet."""
    before = record.covering_certificate
    of_before: tuple[ToRevoke, ...] = ()
    if (
        before is not None
        and before.revocation
        and not find_revocation_time(before, before.revocation)
    ):
        of_before = (
            ToRevoke(
                request_id=record.id,
                generation=0,
                issuer=record.plan.issuer,
                serial=before.serial,
                not_after=before.not_after,
                reason=before.revocation.reason,
                asked_at=before.revocation.asked_at,
            ),
        )
    return of_before + tuple(
        ToRevoke(
            request_id=record.id,
            generation=part.generation,
            issuer=(part.plan or record.plan).issuer,
            serial=certificate.serial,
            not_after=certificate.not_after,
            reason=part.revocation.reason,
            asked_at=part.revocation.asked_at,
        )
        for part in record.generations
        if part.revocation is not None
        for certificate in list_known_certificates(part).values()
        if is_to_revoke(certificate, part.revocation)
        and not find_revocation_time(certificate, part.revocation)
    )


def list_compromised_keys(records: Iterable[RequestRecord]) -> frozenset[str]:
    """Return the keys that may be compromised, by the SHA-256 of SubjectPublicKeyInfo.

    For a certificate from before the first request, the result contains the certificate's SHA-256,
    because no key is on record.
    """
    records = tuple(records)
    keys = [(part.spki_sha256, part) for record in records for part in record.generations]
    certificates = [
        (certificate.sha256, certificate)
        for record in records
        if (certificate := record.covering_certificate) is not None
    ]
    return frozenset(
        digest
        for digest, entry in (*keys, *certificates)
        if entry.revocation is not None and entry.revocation.reason == KEY_COMPROMISE
    )


def is_due(record: RequestRecord, day: date, terms: RenewalTerms) -> bool:
    """Return whether a certificate is due for renewal on a date, even if nobody requested it.

    The next generation counts as a requested renewal. Exceptions are an interrupted run, and a
    certificate that is itself due for renewal before it was installed.
    """
    life = find_generations(record)
    # A renewal is under way only if a request was written or a key exists on another computer.
    # Otherwise, for example, an installed certificate covers the request.
    is_requested = record.is_written or record.key_holder
    newest = life.under_way.issued if life.under_way and is_requested else life.held
    if record.state == "retired" or newest is None:
        return False
    until = newest.usable_until
    return terms.plan_renewal(newest.begins, until, record.plan.issuer).order_on <= day


def find_state_by_date(
    certificate: Held | None, today: date, renew_from: date | None = None
) -> str:
    """Return the state of a certificate at the start of a date, such as expired or valid.

    Returns
    -------
    str
        ``expiring`` from the order date for the renewal on, ``expired``, or blank.
    """
    if certificate is None:
        return ""
    now = _get_start(today)
    # The certificate is valid until the end of the second in notAfter (RFC 5280 section 4.1.2.5).
    if now > certificate.usable_until:
        return "expired"
    return "expiring" if renew_from is not None and now.date() >= renew_from else ""


def _get_start(today: date) -> datetime:
    return today if isinstance(today, datetime) else datetime(*today.timetuple()[:3], tzinfo=UTC)


def is_expired(certificate: Held | None, today: date) -> bool:
    """Return whether a recorded certificate expired before the start of `today` (UTC).

    The CA may renew an expired CA certificate, so the certificate's own end counts.
    """
    return certificate is not None and _get_start(today) > certificate.ends
