"""Group requests and returned certificates by public key.

These functions have no side effects. ``matching.py`` chooses the certificate for each request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ...base.planned_entry import PlannedEntry
from ...base.renewal_days import ANY_DAY, RenewalTerms
from ...pki.certificates import Certificate
from ...pki.chain import Issuers, Path, build_path
from ...rules.findings import Finding
from ...rules.returned_rules import Difference
from ..cas_on_record import CaOnRecord, CasOnRecord, PlannedCa
from ..evaluation.evaluation import choose_root, downgrade_accepted_errors
from .returned_files import ReturnedFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """A generation of a request, with the data that is needed to match certificates to the request.

    ``entry`` is the planned certificate in the plan document. ``validity_days`` is the requested
    validity (0: none). ``held_sha256`` is the certificate on record, in ``held_file``. ``accepted``
    contains the reason for each accepted error, by code. ``noted`` contains the recorded findings
    that depend on other certificates, by the SHA-256 of the certificate. ``displaced`` contains
    certificates that another certificate has replaced. ``is_fictional`` is true if the folder
    contains only names from the sample deployments. ``ca`` is the name of the planned CA.
    ``target_os`` is the Windows version of the servers. ``is_evidence`` is true unless
    the certificate on record has an error. ``is_compromised`` is true if the key is recorded as
    compromised. ``refused`` contains the certificates that lyncnb refused for a superseded
    generation.
    """

    request_id: str
    generation: int
    spki_sha256: str
    entry: PlannedEntry
    is_current: bool = True
    is_retired: bool = False
    validity_days: int = 0
    held_sha256: str = ""
    held_file: str = ""
    accepted: Mapping[str, str] = field(default_factory=dict)
    noted: Mapping[str, tuple[Difference, ...]] = field(default_factory=dict)
    displaced: frozenset[str] = frozenset()
    is_fictional: bool = False
    ca: str = ""
    target_os: str = ""
    is_evidence: bool = False
    is_compromised: bool = False
    terms: RenewalTerms = ANY_DAY
    oldest_client: str = ""
    refused: frozenset[str] = frozenset()

    @property
    def planned_ca(self) -> PlannedCa:
        """The planned CA for the request."""
        return self.entry.issuer, self.ca


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A certificate for a request, its certification path, and all its differences from the plan.

    ``earlier`` is the certificate that it replaces, from this generation or the previous one.
    """

    request: Outstanding
    certificate: Certificate
    path: Path
    source_file: str
    findings: tuple[Finding, ...]
    earlier: Certificate | None = None

    @property
    def has_errors(self) -> bool:
        """Whether a finding prevents the use of the certificate."""
        return any(finding.severity == "error" for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Batch:
    """The received certificates and the requests, grouped by public key."""

    sources: Mapping[Certificate, str]
    by_key: Mapping[str, tuple[Outstanding, ...]]
    issuers: Issuers
    known: Mapping[str, Certificate]  # The key of each mapping is the SHA-256 of a public key.
    today: datetime
    # The certificates for superseded generations, by the ID of the request.
    earlier: Mapping[str, Certificate]
    cas: CasOnRecord
    loose: list[Finding] = field(default_factory=list)
    refused: list[Match] = field(default_factory=list)
    passed_over: list[tuple[str, Certificate]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """The result of matching returned certificates to requests.

    ``answers`` match current requests, in the order of the requests; ``superseded`` match archived
    generations. A match that has errors is shown but not accepted. ``refused`` are additional
    certificates with errors for requests that have a better certificate. ``findings`` do not belong
    to a match: they are about files, or about requests whose certificate was not accepted.
    ``issuers`` are all CA certificates. ``passed_over`` are certificates with the same dates as the
    accepted one, with their request.
    """

    answers: tuple[Match, ...]
    superseded: tuple[Match, ...]
    findings: tuple[Finding, ...]
    refused: tuple[Match, ...] = ()
    issuers: tuple[Certificate, ...] = ()
    passed_over: tuple[tuple[str, Certificate], ...] = ()


def build_batch(
    requests: Sequence[Outstanding],
    files: tuple[ReturnedFile, ...],
    known_certificates: tuple[Certificate, ...],
    today: datetime,
) -> Batch:
    """Return the requests by public key, and all other certificates as possible issuers."""
    sources: dict[Certificate, str] = {}
    for file in files:
        for certificate in file.certificates:
            sources.setdefault(certificate, file.name)
    by_key = group_by_public_key(requests)
    # A certificate for one of the folder's keys is never a CA certificate, so it cannot extend a
    # path.
    others = [c for c in (*sources, *known_certificates) if c.spki_sha256 not in by_key]
    by_sha256 = {certificate.sha256: certificate for certificate in known_certificates}
    issuers = Issuers(others)
    return Batch(
        sources=sources,
        by_key=by_key,
        issuers=issuers,
        known=by_sha256,
        today=today,
        earlier=find_earlier_certificates(requests, by_sha256),
        cas=_find_recorded_cas(requests, by_sha256, issuers, today),
    )


def _find_recorded_cas(
    requests: Iterable[Outstanding],
    certificates_by_hash: Mapping[str, Certificate],
    issuers: Issuers,
    today: datetime,
) -> dict[PlannedCa, CaOnRecord]:
    """Return the CAs of the recorded certificates, according to all CA certificates known now."""
    cas: dict[PlannedCa, CaOnRecord] = {}
    proofs: Counter[tuple[object, ...]] = Counter()
    for request in requests:
        certificate = certificates_by_hash.get(request.held_sha256)
        if certificate is None or not request.is_evidence:
            continue
        # Two certificates from the same issuing key are enough, because they have the same path.
        key = (request.planned_ca, certificate.issuer_key, certificate.authority_key_id)
        if proofs[key] < 2:
            path = choose_root(build_path(certificate, issuers, today=today), request.accepted)
            ca = cas.setdefault(request.planned_ca, CaOnRecord())
            ca.add_path(request.request_id, certificate, path)
            proofs[key] += path.reaches_root
    return cas


def group_by_public_key(requests: Iterable[Outstanding]) -> dict[str, tuple[Outstanding, ...]]:
    """Group the requests by the SHA-256 of their public key.

    Usually, each key has only one request.
    """
    requests_by_key: dict[str, tuple[Outstanding, ...]] = {}
    for request in requests:
        if request.spki_sha256:
            requests_by_key[request.spki_sha256] = (
                *requests_by_key.get(request.spki_sha256, ()),
                request,
            )
    return requests_by_key


def find_earlier_certificates(
    requests: Sequence[Outstanding], certificates_by_hash: Mapping[str, Certificate]
) -> dict[str, Certificate]:
    """For each request, return the latest certificate of a superseded generation.

    The key is the request's ID.
    """
    old = [
        request
        for request in requests
        if not request.is_current and request.held_sha256 in certificates_by_hash
    ]
    ordered = sorted(old, key=lambda item: item.generation)
    return {request.request_id: certificates_by_hash[request.held_sha256] for request in ordered}


def is_issuer(certificate: Certificate) -> bool:
    """Return whether a certificate is marked as a CA certificate."""
    return certificate.is_ca or certificate.is_self_issued


def add_findings(match: Match, new_findings: tuple[Finding, ...]) -> Match:
    """Add findings to a match. Accepted findings become notices."""
    if not new_findings:
        return match
    new_findings = downgrade_accepted_errors(new_findings, match.request.accepted)
    return replace(match, findings=tuple(dict.fromkeys((*match.findings, *new_findings))))
