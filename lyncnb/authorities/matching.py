"""Which returned certificate answers which request, and what there is to say about each.

Pure: what was asked and what came back in, answers and findings out. The public key decides;
file names, serial numbers and subjects do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from ..base.pasted_text import shown
from ..pki.certificates import Certificate
from ..pki.chain import Issuers, Path, build_path, is_signed_by, web_pki_objection
from ..request_folder.request_record import PlannedEntry
from ..rules.ca_rules import Difference, finding, findings
from ..rules.findings import Finding
from .compare_certificate import compare_certificate
from .compare_predecessor import succession
from .returned_files import ReturnedFile

# What was asked, what came back, and what only shows when all of it is looked at together.
#
# Pure. ``answers.py`` decides which certificate answers which request; here are the nouns of that
# and the findings that no single certificate gives away: a serial number twice, one certificate
# where several were planned, a pool with two.


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """One generation of one request, as far as an answer to it is concerned.

    ``entry`` is the certificate's entry of the plan document, ``validity_days`` what was asked
    for (0: nothing), ``held_sha256`` the certificate that is on record already.
    """

    request_id: str
    generation: int
    spki_sha256: str
    entry: PlannedEntry
    is_current: bool = True
    is_retired: bool = False
    validity_days: int = 0
    held_sha256: str = ""


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


@dataclass(frozen=True, slots=True)
class Batch:
    """The certificates of one run, sorted out."""

    sources: Mapping[Certificate, str]
    by_key: Mapping[str, tuple[Outstanding, ...]]
    issuers: Issuers
    known: Mapping[str, Certificate]  # by SHA-256
    today: date
    earlier: Mapping[str, Certificate]  # of superseded generations, by request id
    loose: list[Finding] = field(default_factory=list)


def sort_out(
    asked: Sequence[Outstanding],
    files: tuple[ReturnedFile, ...],
    known: tuple[Certificate, ...],
    today: date,
) -> Batch:
    """Sort requests and certificates by public key; everybody else's are possible issuers."""
    sources: dict[Certificate, str] = {}
    for file in files:
        for certificate in file.certificates:
            sources.setdefault(certificate, file.name)
    by_key: dict[str, tuple[Outstanding, ...]] = {}
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
        earlier=_earlier_certificates(asked, by_sha256),
    )


def _earlier_certificates(
    asked: Sequence[Outstanding], known: Mapping[str, Certificate]
) -> dict[str, Certificate]:
    """Find the certificate of the latest superseded generation that has one, by request id."""
    old = [one for one in asked if not one.is_current and one.held_sha256 in known]
    ordered = sorted(old, key=lambda one: one.generation)
    return {one.request_id: known[one.held_sha256] for one in ordered}


def _planned_names(entry: PlannedEntry) -> set[str]:
    return {entry.common_name.casefold(), *(name.casefold() for name in entry.san)}


def with_cross_findings(
    answers: Sequence[Match], asked: Sequence[Outstanding], batch: Batch
) -> list[Match]:
    """Add to each answer what shows beside other requests: one certificate for several."""
    answered = {answer.asked.request_id for answer in answers}
    waiting: dict[object, list[Outstanding]] = {}
    for one in asked:
        if one.is_current and not one.held_sha256 and one.request_id not in answered:
            waiting.setdefault(one.entry.pool, []).append(one)
    result = []
    for answer in answers:
        beside = waiting.get(answer.asked.entry.pool, [])
        more = findings(answer.asked.entry, _one_for_several(answer, beside, batch))
        result.append(replace(answer, findings=(*answer.findings, *more)) if more else answer)
    return result


def _one_for_several(
    answer: Match, beside: list[Outstanding], batch: Batch
) -> Iterator[Difference]:
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
    answers: Sequence[Match], asked: Sequence[Outstanding], batch: Batch
) -> Iterator[Finding]:
    """Judge the certificates that answer nothing, and serial numbers that occur twice."""
    used = {certificate for answer in answers for certificate in answer.path.issuers}
    shared = {
        one.entry.common_name.casefold(): one.request_id
        for one in asked
        if one.is_current and one.entry.shared_by != "server"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """What came of a batch of returned files.

    ``answers`` are to current requests, in their order; ``superseded`` to archived generations.
    ``findings`` are those that belong to no answer: about files, and about requests whose answer
    was not taken.
    """

    answers: tuple[Match, ...]
    superseded: tuple[Match, ...]
    findings: tuple[Finding, ...]


def match_answers(
    asked: Sequence[Outstanding],
    files: Iterable[ReturnedFile],
    *,
    known: Iterable[Certificate] = (),
    today: date,
) -> Matched:
    """Match returned certificates to requests by public key and compare them with the plan.

    Parameters
    ----------
    asked : sequence of Outstanding
        n generations of requests, current ones and archived ones.
    files : iterable of ReturnedFile
        What came back.
    known : iterable of Certificate, optional
        What the folder has already: certificates on record and their chains.
    today : date
        The day of judgement.

    Returns
    -------
    Matched
        At most one answer per request: the certificate that begins last. A certificate that is
        self-signed or a CA's is never an answer.

    Notes
    -----
    Source: RFC 2986 section 4.1 and RFC 5280 section 4.1.2.7 for the public key.
    """
    files = tuple(files)
    batch = sort_out(asked, files, tuple(known), today)
    candidates = _candidates(batch)
    answers, superseded = [], []
    for one in asked:
        given = candidates.get(one.spki_sha256, ())
        taken = _take(one, given, batch) if given else None
        if taken is not None:
            (answers if one.is_current else superseded).append(taken)
    answers = with_cross_findings(answers, asked, batch)
    batch.loose.extend(of_files(files, batch))
    batch.loose.extend(of_the_rest(answers + superseded, asked, batch))
    return Matched(
        answers=tuple(answers),
        superseded=tuple(superseded),
        findings=tuple(dict.fromkeys(batch.loose)),
    )


def _candidates(batch: Batch) -> dict[str, tuple[Certificate, ...]]:
    """List the certificates for keys of ours, by key; tell those that can be no answer."""
    found: dict[str, tuple[Certificate, ...]] = {}
    for certificate, source in batch.sources.items():
        for one in batch.by_key.get(certificate.spki_sha256, ())[:1]:
            subject = f"{source}, serial {certificate.serial:x}"
            if certificate.is_self_issued and is_signed_by(certificate, certificate):
                batch.loose.append(finding("self-signed", one.request_id, subject))
            elif certificate.is_ca:
                batch.loose.append(finding("ca-certificate", one.request_id, subject))
            else:
                before = found.get(certificate.spki_sha256, ())
                found[certificate.spki_sha256] = (*before, certificate)
    return found


def _begins(certificate: Certificate) -> tuple:
    return certificate.not_before, certificate.not_after, certificate.sha256


def _take(asked: Outstanding, given: tuple[Certificate, ...], batch: Batch) -> Match | None:
    """Choose the answer to one request; None if the one on record is newer."""
    newest = max(given, key=_begins)
    held = batch.known.get(asked.held_sha256)
    if held is not None and _begins(held) > _begins(newest):
        for certificate in given:
            message = f"{_which(certificate, batch)}; on record is {_dates(held)}"
            batch.loose.append(finding("older-answer", asked.request_id, message))
        return None
    differences = list(_of_choice(asked, newest, given, held, batch))
    path = build_path(newest, batch.issuers, today=batch.today)
    if asked.is_current:
        compared = compare_certificate(
            newest, asked.entry, today=batch.today, validity_days=asked.validity_days
        )
        differences += [(wrong.code, wrong.detail) for wrong in path.objections]
        differences += _heard(newest, path, asked.entry, batch)
    elif held == newest:
        differences, compared = [], ()  # told when it came
    else:
        message = f"{_which(newest, batch)}: generation {asked.generation}"
        differences, compared = [("answers-superseded-request", message)], ()
    return Match(
        asked=asked,
        certificate=newest,
        path=path,
        source_file=batch.sources[newest],
        findings=(*compared, *findings(asked.entry, differences)),
        earlier=_earlier(asked, newest, held, batch),
    )


def _which(certificate: Certificate, batch: Batch) -> str:
    return f"{batch.sources[certificate]}: serial {certificate.serial:x}, {_dates(certificate)}"


def _dates(certificate: Certificate) -> str:
    return f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"


def _of_choice(
    asked: Outstanding,
    newest: Certificate,
    given: tuple[Certificate, ...],
    held: Certificate | None,
    batch: Batch,
) -> Iterator[Difference]:
    if held is not None and held != newest:
        yield "replaces-earlier-certificate", _changed(held, newest)
    earlier = batch.earlier.get(asked.request_id)
    if held is None and earlier is not None and asked.is_current:
        yield "renews-earlier-certificate", _changed(earlier, newest)
    rest = [certificate for certificate in given if certificate not in (newest, held)]
    for certificate in rest:
        yield "several-answers", f"not taken: {_which(certificate, batch)}"
    if rest and asked.entry.shared_by != "server" and held is None:
        servers = ", ".join(asked.entry.servers)
        yield "different-certificates-in-pool", f"{len(rest) + 1} certificates for {servers}"
    if asked.is_retired:
        yield "answers-retired-request", batch.sources[newest]


def _earlier(
    asked: Outstanding, newest: Certificate, held: Certificate | None, batch: Batch
) -> Certificate | None:
    if not asked.is_current:
        return None
    if held is not None and held != newest:
        return held
    return batch.earlier.get(asked.request_id)


def _changed(before: Certificate, after: Certificate) -> str:
    changes = "; ".join(map(str, succession(before, after)))
    return f"serial {before.serial:x}, {_dates(before)}; {changes or 'nothing else changed'}"


def _heard(
    certificate: Certificate, path: Path, entry: PlannedEntry, batch: Batch
) -> list[Difference]:
    if entry.issuer != "public" or not path.is_complete or path.objections:
        return []
    objection = web_pki_objection(certificate, path.issuers, today=batch.today)
    return [("web-pki-objection", objection)] if objection else []
