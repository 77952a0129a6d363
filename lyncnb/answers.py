"""Which returned certificate answers which request, and what there is to say about each.

Pure: what was asked and what came back in, answers and findings out. The public key decides;
file names, serial numbers and subjects do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from .asked import Answer, Asked, Batch, of_files, of_the_rest, sort_out, with_cross_findings
from .compare import compare_certificate
from .pki.certificates import Certificate
from .pki.chain import Path, build_path, is_signed_by, web_pki_objection
from .returned import ReturnedFile
from .rules.ca_rules import Difference, Entry, finding, findings
from .rules.findings import Finding
from .succession import succession


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """What came of a batch of returned files.

    ``answers`` are to current requests, in their order; ``superseded`` to archived generations.
    ``findings`` are those that belong to no answer: about files, and about requests whose answer
    was not taken.
    """

    answers: tuple[Answer, ...]
    superseded: tuple[Answer, ...]
    findings: tuple[Finding, ...]


def match_answers(
    asked: Sequence[Asked],
    files: Iterable[ReturnedFile],
    *,
    known: Iterable[Certificate] = (),
    today: date,
) -> Matched:
    """Match returned certificates to requests by public key and compare them with the plan.

    Parameters
    ----------
    asked : sequence of Asked
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


def _take(asked: Asked, given: tuple[Certificate, ...], batch: Batch) -> Answer | None:
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
    return Answer(
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
    asked: Asked,
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
    if rest and asked.entry["shared_by"] != "server" and held is None:
        servers = ", ".join(asked.entry["servers"])
        yield "different-certificates-in-pool", f"{len(rest) + 1} certificates for {servers}"
    if asked.is_retired:
        yield "answers-retired-request", batch.sources[newest]


def _earlier(
    asked: Asked, newest: Certificate, held: Certificate | None, batch: Batch
) -> Certificate | None:
    if not asked.is_current:
        return None
    if held is not None and held != newest:
        return held
    return batch.earlier.get(asked.request_id)


def _changed(before: Certificate, after: Certificate) -> str:
    changes = "; ".join(map(str, succession(before, after)))
    return f"serial {before.serial:x}, {_dates(before)}; {changes or 'nothing else changed'}"


def _heard(certificate: Certificate, path: Path, entry: Entry, batch: Batch) -> list[Difference]:
    if entry["issuer"] != "public" or not path.is_complete or path.objections:
        return []
    objection = web_pki_objection(certificate, path.issuers, today=batch.today)
    return [("web-pki-objection", objection)] if objection else []
