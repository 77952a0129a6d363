"""What was asked, what came back, and what only shows when all of it is looked at together.

Pure. ``answers.py`` decides which certificate answers which request; here are the nouns of that
and the findings that no single certificate gives away: a serial number twice, one certificate
where several were planned, a pool with two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from .base.pasted_text import shown
from .pki.certificates import Certificate
from .pki.chain import Issuers, Path
from .returned import ReturnedFile
from .rules.ca_rules import Difference, Entry, finding, findings
from .rules.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One generation of one request, as far as an answer to it is concerned.

    ``entry`` is the certificate's entry of the plan document, ``validity_days`` what was asked
    for (0: nothing), ``held_sha256`` the certificate that is on record already.
    """

    request_id: str
    generation: int
    spki_sha256: str
    entry: Entry
    is_current: bool = True
    is_retired: bool = False
    validity_days: int = 0
    held_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A certificate that answers a request, its path, and every difference from the plan.

    ``earlier`` is the certificate whose place it takes, of this generation or the one before.
    """

    asked: Asked
    certificate: Certificate
    path: Path
    source_file: str
    findings: tuple[Finding, ...]
    earlier: Certificate | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """The certificates of one run, sorted out."""

    sources: Mapping[Certificate, str]
    by_key: Mapping[str, tuple[Asked, ...]]
    issuers: Issuers
    known: Mapping[str, Certificate]  # by SHA-256
    today: date
    earlier: Mapping[str, Certificate]  # of superseded generations, by request id
    loose: list[Finding] = field(default_factory=list)


def sort_out(
    asked: Sequence[Asked],
    files: tuple[ReturnedFile, ...],
    known: tuple[Certificate, ...],
    today: date,
) -> Batch:
    """Sort requests and certificates by public key; everybody else's are possible issuers."""
    sources: dict[Certificate, str] = {}
    for file in files:
        for certificate in file.certificates:
            sources.setdefault(certificate, file.name)
    by_key: dict[str, tuple[Asked, ...]] = {}
    for one in asked:
        if one.spki_sha256:
            by_key[one.spki_sha256] = (*by_key.get(one.spki_sha256, ()), one)
    # A certificate for a key of ours is nobody's issuer, so it cannot lengthen a path.
    others = [c for c in (*sources, *known) if c.spki_sha256 not in by_key]
    by_sha256 = {certificate.sha256: certificate for certificate in known}
    return Batch(
        sources=sources,
        by_key=by_key,
        issuers=Issuers(others),
        known=by_sha256,
        today=today,
        earlier=_earlier(asked, by_sha256),
    )


def _earlier(asked: Sequence[Asked], known: Mapping[str, Certificate]) -> dict[str, Certificate]:
    """Find the certificate of the latest superseded generation that has one, by request id."""
    old = [one for one in asked if not one.is_current and one.held_sha256 in known]
    ordered = sorted(old, key=lambda one: one.generation)
    return {one.request_id: known[one.held_sha256] for one in ordered}


def _planned_names(entry: Entry) -> set[str]:
    return {entry["subject"]["CN"].casefold(), *(name.casefold() for name in entry["san"])}


def with_cross_findings(
    answers: Sequence[Answer], asked: Sequence[Asked], batch: Batch
) -> list[Answer]:
    """Add to each answer what shows beside other requests: one certificate for several."""
    answered = {answer.asked.request_id for answer in answers}
    waiting: dict[object, list[Asked]] = {}
    for one in asked:
        if one.is_current and not one.held_sha256 and one.request_id not in answered:
            waiting.setdefault(one.entry["pool"], []).append(one)
    result = []
    for answer in answers:
        beside = waiting.get(answer.asked.entry["pool"], [])
        more = findings(answer.asked.entry, _one_for_several(answer, beside, batch))
        result.append(replace(answer, findings=(*answer.findings, *more)) if more else answer)
    return result


def _one_for_several(answer: Answer, beside: list[Asked], batch: Batch) -> Iterator[Difference]:
    own, code = answer.asked, "one-certificate-for-several-requests"
    for one in batch.by_key[own.spki_sha256]:
        if one.is_current and one.request_id != own.request_id:
            yield code, f"{one.request_id} has the same public key"
    planned = _planned_names(own.entry)
    beyond = {name.casefold() for name in answer.certificate.dns_names} - planned
    for one in beside if beyond else ():
        wanted = _planned_names(one.entry)
        if wanted & beyond and wanted <= beyond | planned:
            yield code, f"it carries every name of {one.request_id}, which is unanswered"


def of_files(files: Iterable[ReturnedFile], batch: Batch) -> Iterator[Finding]:
    """Yield what there is to say about the files themselves."""
    for file in files:
        for code, message in file.remarks:
            yield finding(code, file.name, message)
        for key in file.key_spki_sha256:
            if key not in batch.by_key:
                yield finding(
                    "pfx-key-not-ours", file.name, "its private key is not of this folder"
                )


def of_the_rest(
    answers: Sequence[Answer], asked: Sequence[Asked], batch: Batch
) -> Iterator[Finding]:
    """Judge the certificates that answer nothing, and serial numbers that occur twice."""
    used = {certificate for answer in answers for certificate in answer.path.issuers}
    shared = {
        one.entry["subject"]["CN"].casefold(): one.request_id
        for one in asked
        if one.is_current and one.entry["shared_by"] != "server"
    }
    for certificate, source in batch.sources.items():
        if certificate.spki_sha256 in batch.by_key or certificate in used:
            continue
        names = certificate.common_names or certificate.dns_names or ("no name",)
        message = f"{shown(names[0])}, issued by {shown(certificate.issuer_name)}"
        if certificate.is_ca or certificate.is_self_issued:
            if certificate.sha256 in batch.known:
                continue  # it came with an earlier answer and is in use
            yield finding("chain-certificate-unused", source, message)
            continue
        yield finding("unknown-key", source, message)
        other = shared.get(names[0].casefold())
        if other is not None:
            message = f"{source}: another certificate for {shown(names[0])}, with another key"
            yield finding("different-certificates-in-pool", other, message)
    yield from _duplicate_serials(batch)


def _duplicate_serials(batch: Batch) -> Iterator[Finding]:
    numbered: dict[tuple, list[Certificate]] = {}
    known = [c for c in batch.known.values() if c not in batch.sources]
    for certificate in (*batch.sources, *known):
        numbered.setdefault((certificate.issuer_key, certificate.serial), []).append(certificate)
    for certificates in numbered.values():
        given = [certificate for certificate in certificates if certificate in batch.sources]
        for certificate in given if len(certificates) > 1 else ():
            message = f"serial {certificate.serial:x} of {shown(certificate.issuer_name)}"
            yield finding("duplicate-serial", _about(certificate, batch), message)


def _about(certificate: Certificate, batch: Batch) -> str:
    owners = batch.by_key.get(certificate.spki_sha256, ())
    return owners[0].request_id if owners else batch.sources[certificate]
