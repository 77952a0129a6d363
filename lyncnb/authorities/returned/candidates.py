"""What was asked of the CAs and what came back, as values, sorted out by public key.

Pure. ``matching.py`` decides which certificate answers which request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ...base.planned_entry import PlannedEntry
from ...pki.certificates import Certificate
from ...pki.chain import Issuers, Path
from ...rules.findings import Finding
from ...rules.returned_rules import Difference
from ..cas_on_record import CaOnRecord, CasOnRecord, PlannedCa
from ..evaluation.evaluation import with_acceptances
from .returned_files import ReturnedFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """One generation of one request, as far as an answer to it is concerned.

    ``entry`` is the certificate's entry of the plan document, ``validity_days`` what was asked
    for (0: nothing), ``held_sha256`` the certificate that is on record already, in ``held_file``.
    ``accepted`` has the reason of each error that was accepted, by code; ``noted`` what showed when
    a certificate came, ``chains`` its whole path as on record, by its SHA-256; ``displaced`` are
    certificates that had to make room.
    ``is_fictional``: its folder holds nothing but names of the sample deployments. ``ca`` is the
    name of the CA that was planned, if one is, ``target_os`` the Windows of its servers.
    ``evidence`` is the certificate on record and the path above it, by SHA-256, if no error is
    known of it; ``has_root`` tells whether that path is whole.
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
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    displaced: frozenset[str] = frozenset()
    is_fictional: bool = False
    ca: str = ""
    target_os: str = ""
    evidence: tuple[str, ...] = ()
    has_root: bool = False

    @property
    def planned_ca(self) -> PlannedCa:
        """The CA that it was planned for."""
        return self.entry.issuer, self.ca


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A certificate that answers a request, its path, and every difference from the plan.

    ``earlier`` is the certificate whose place it takes, of this generation or the one before.
    """

    asked: Outstanding
    certificate: Certificate
    path: Path
    source_file: str
    findings: tuple[Finding, ...]
    earlier: Certificate | None = None

    @property
    def has_errors(self) -> bool:
        """Whether a finding says that it must not go on a server."""
        return any(found.severity == "error" for found in self.findings)


@dataclass(frozen=True, slots=True)
class Batch:
    """The certificates of one run, sorted out."""

    sources: Mapping[Certificate, str]
    by_key: Mapping[str, tuple[Outstanding, ...]]
    issuers: Issuers
    known: Mapping[str, Certificate]  # by SHA-256
    today: datetime
    earlier: Mapping[str, Certificate]  # of superseded generations, by request id
    cas: CasOnRecord
    loose: list[Finding] = field(default_factory=list)
    refused: list[Match] = field(default_factory=list)
    passed_over: list[tuple[str, Certificate]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """What came of a batch of returned files.

    ``answers`` are to current requests, in their order; ``superseded`` to archived generations.
    An answer that has errors is shown and not taken. ``refused`` are further certificates that
    have errors and stand behind another one. ``findings`` are those that belong to no answer:
    about files, and about requests whose answer was not taken. ``issuers`` are the certificates of
    CAs, whoever signed with them; ``passed_over`` are those with the dates of the one that was
    taken, with their request.
    """

    answers: tuple[Match, ...]
    superseded: tuple[Match, ...]
    findings: tuple[Finding, ...]
    refused: tuple[Match, ...] = ()
    issuers: tuple[Certificate, ...] = ()
    passed_over: tuple[tuple[str, Certificate], ...] = ()


def sort_out(
    asked: Sequence[Outstanding],
    files: tuple[ReturnedFile, ...],
    known: tuple[Certificate, ...],
    today: datetime,
) -> Batch:
    """Sort requests and certificates by public key; everybody else's are possible issuers."""
    sources: dict[Certificate, str] = {}
    for file in files:
        for certificate in file.certificates:
            sources.setdefault(certificate, file.name)
    by_key = by_public_key(asked)
    # A certificate for a key of ours is nobody's issuer, so it cannot lengthen a path.
    others = [c for c in (*sources, *known) if c.spki_sha256 not in by_key]
    by_sha256 = {certificate.sha256: certificate for certificate in known}
    return Batch(
        sources=sources,
        by_key=by_key,
        issuers=Issuers(others),
        known=by_sha256,
        today=today,
        earlier=earlier_certificates(asked, by_sha256),
        cas=_cas_on_record(asked, by_sha256),
    )


def _cas_on_record(
    asked: Iterable[Outstanding], known: Mapping[str, Certificate]
) -> dict[PlannedCa, CaOnRecord]:
    """Gather what the certificates that the folder has taken show of their CAs."""
    found: dict[PlannedCa, CaOnRecord] = {}
    for one in asked:
        chain = [known[sha256] for sha256 in one.evidence if sha256 in known]
        if chain and len(chain) == len(one.evidence):
            ca = found.setdefault(one.planned_ca, CaOnRecord())
            ca.add(one.request_id, chain, is_complete=one.has_root)
    return found


def by_public_key(asked: Iterable[Outstanding]) -> dict[str, tuple[Outstanding, ...]]:
    """Give the requests by the SHA-256 of their public key; hardly ever more than one each."""
    found: dict[str, tuple[Outstanding, ...]] = {}
    for one in asked:
        if one.spki_sha256:
            found[one.spki_sha256] = (*found.get(one.spki_sha256, ()), one)
    return found


def earlier_certificates(
    asked: Sequence[Outstanding], known: Mapping[str, Certificate]
) -> dict[str, Certificate]:
    """Find the certificate of the latest superseded generation that has one, by request id."""
    old = [one for one in asked if not one.is_current and one.held_sha256 in known]
    ordered = sorted(old, key=lambda one: one.generation)
    return {one.request_id: known[one.held_sha256] for one in ordered}


def is_issuer(certificate: Certificate) -> bool:
    """Whether it is a CA's certificate, as far as it says so."""
    return certificate.is_ca or certificate.is_self_issued


def with_findings(answer: Match, more: tuple[Finding, ...]) -> Match:
    """Add findings to an answer, those that were accepted as notices."""
    if not more:
        return answer
    told = with_acceptances(more, answer.asked.accepted)
    return replace(answer, findings=tuple(dict.fromkeys((*answer.findings, *told))))
