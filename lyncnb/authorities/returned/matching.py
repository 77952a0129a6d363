"""Match returned certificates to requests, and collect the findings about each certificate.

These functions have no side effects. Only the public key determines the request. File names, serial
numbers, and subjects are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from ...base.pasted_text import shown
from ...base.shown.tables import count_of
from ...base.times import convert_to_time
from ...pki.certificates import Certificate, format_name
from ...pki.chain import Issuers, build_path, is_signed_by
from ...rules.findings import Finding
from ...rules.returned_rules import Difference, finding, findings
from ..cas_on_record import OTHER_ISSUER, OTHER_ROOT, CaOnRecord, fingerprint, other_ca
from ..evaluation.compare_predecessor import succession
from ..evaluation.cross_findings import (
    add_ca_differences,
    add_cross_findings,
    find_unmatched_certificates,
    list_file_findings,
)
from ..evaluation.evaluation import Evaluation, Evidence, apply_acceptances, evaluate
from .candidates import (
    Batch,
    Match,
    Matched,
    Outstanding,
    add_findings,
    is_issuer,
    sort_by_public_key,
)
from .returned_files import ReturnedFile


def match_answers(
    requests: Sequence[Outstanding],
    files: Iterable[ReturnedFile],
    *,
    known: Iterable[Certificate] = (),
    today: date,
) -> Matched:
    """Match returned certificates to requests by public key, and compare them with the plan.

    Parameters
    ----------
    requests : sequence of Outstanding
        n generations of requests, both current and archived.
    files : iterable of ReturnedFile
        The files that the CA returned.
    known : iterable of Certificate, optional
        The certificates on record and their chains.
    today : date
        The evaluation time; a date means noon UTC of that day.

    Returns
    -------
    Matched
        At most one certificate for each request: the one with the fewest errors, then with the
        latest start date, then from the latest file. A certificate with an error never replaces one
        without errors. A self-signed certificate or a CA certificate never matches a request.

    Notes
    -----
    Source: RFC 2986 section 4.1 and RFC 5280 section 4.1.2.7 for the public key.
    """
    files = tuple(files)
    batch = sort_by_public_key(requests, files, tuple(known), convert_to_time(today))
    candidates = _find_candidates(batch)
    answers: list[Match] = []
    superseded: list[Match] = []
    for request in requests:
        given = candidates.get(request.spki_sha256, ())
        taken = _choose_certificate(request, given, batch) if given else None
        if taken is not None:
            (answers if request.is_current else superseded).append(taken)
    answers += _find_completed_chains(requests, answers, batch)
    answers = add_cross_findings(answers, requests, batch.by_key)
    answers = add_ca_differences(answers, batch.cas, batch.known, batch.issuers)
    batch.loose.extend(list_file_findings(files, batch))
    rest = tuple(find_unmatched_certificates(answers + superseded + batch.refused, requests, batch))
    answers = [add_findings(match, _report_key_finding(rest, match)) for match in answers]
    request_ids = {match.asked.request_id for match in answers}
    batch.loose.extend(found for found in rest if found.about not in request_ids)
    return Matched(
        answers=tuple(answers),
        superseded=tuple(superseded),
        findings=tuple(dict.fromkeys(batch.loose)),
        refused=tuple(batch.refused),
        passed_over=tuple(batch.passed_over),
        issuers=tuple(c for c in batch.sources if _is_ca_to_store(c, batch)),
    )


def _report_key_finding(found: tuple[Finding, ...], answer: Match) -> tuple[Finding, ...]:
    return tuple(finding for finding in found if finding.about == answer.asked.request_id)


def _is_ca_to_store(certificate: Certificate, batch: Batch) -> bool:
    """Return whether a certificate is a CA certificate, which the folder stores for later use."""
    return certificate.spki_sha256 not in batch.by_key and is_issuer(certificate)


def _find_completed_chains(
    requests: Sequence[Outstanding], answers: Sequence[Match], batch: Batch
) -> Iterator[Match]:
    """Yield the recorded certificates to whose chains newly received CA certificates belong."""
    news = [c for c in batch.sources if _is_ca_to_store(c, batch) and c.sha256 not in batch.known]
    if not news:
        return
    before = Issuers([c for c in batch.known.values() if c.spki_sha256 not in batch.by_key])
    matched_ids = {match.asked.request_id for match in answers}
    for request in requests:
        held = batch.known.get(request.held_sha256)
        if held is None or not request.is_current or request.request_id in matched_ids:
            continue
        evaluation = _evaluate_match(request, held, batch)
        earlier = build_path(held, before, today=batch.today)
        told: tuple[Finding, ...] = ()
        if evaluation.path.issuers != earlier.issuers:
            names = ", ".join(format_name(issuer.subject) for issuer in evaluation.path.issuers)
            told = (finding("chain-completed", request.request_id, shown(names)),)
        elif evaluation.path.objections == earlier.objections:
            continue
        yield Match(
            asked=request,
            certificate=held,
            path=evaluation.path,
            source_file=request.held_file,
            findings=(*evaluation.findings, *told),
        )


def _find_candidates(batch: Batch) -> dict[str, tuple[Certificate, ...]]:
    """Return the certificates for the folder's keys, by key, and report all others."""
    found: dict[str, list[Certificate]] = {}
    for certificate, source in batch.sources.items():
        for request in batch.by_key.get(certificate.spki_sha256, ())[:1]:
            subject = f"{source}, serial number {certificate.serial_hex}"
            if certificate.is_self_issued and is_signed_by(certificate, certificate):
                batch.loose.append(finding("self-signed", request.request_id, subject))
            elif certificate.is_ca:
                batch.loose.append(finding("ca-certificate", request.request_id, subject))
            else:
                found.setdefault(certificate.spki_sha256, []).append(certificate)
    return {key: tuple(certificates) for key, certificates in found.items()}


def _get_start_of_validity(certificate: Certificate) -> tuple[datetime, datetime]:
    return certificate.not_before, certificate.not_after


# This finding is evaluated in each match, because the chain may be complete now.
_UNPROVEN, _TWO_CAS = "replacement-unproven", "answers-of-two-cas"
_FOUND_AGAIN = (_UNPROVEN, _TWO_CAS, OTHER_ROOT, OTHER_ISSUER)


def _build_evidence(
    asked: Outstanding,
    certificate: Certificate,
    issuers: Issuers,
    known: Mapping[str, Certificate],
) -> Evidence:
    chain = asked.chains.get(certificate.sha256, ())
    return Evidence(
        settled=tuple(known[certificate] for certificate in chain)
        if known.keys() >= set(chain)
        else (),
        certificate=certificate,
        entry=asked.entry,
        issuers=issuers,
        validity_days=asked.validity_days,
        accepted=asked.accepted,
        noted=asked.noted.get(certificate.sha256, ()),
        is_fictional=asked.is_fictional,
        target_os=asked.target_os,
    )


def _evaluate_match(asked: Outstanding, certificate: Certificate, batch: Batch) -> Evaluation:
    evidence = _build_evidence(asked, certificate, batch.issuers, batch.known)
    is_held = certificate.sha256 == asked.held_sha256
    told = tuple(
        noted_finding
        for noted_finding in evidence.noted
        # An accepted certificate keeps the recorded findings about a different CA.
        if noted_finding[0] not in _FOUND_AGAIN
        or (is_held and noted_finding[0] in (OTHER_ROOT, OTHER_ISSUER))
    )
    evaluation = evaluate(replace(evidence, noted=told), at=batch.today)
    if (
        told
        and is_held
        and any(noted_finding[0] in (OTHER_ROOT, OTHER_ISSUER) for noted_finding in told)
    ):
        return evaluation
    return _add_other_ca(asked, certificate, evaluation, batch)


def _add_other_ca(
    asked: Outstanding, certificate: Certificate, evaluation: Evaluation, batch: Batch
) -> Evaluation:
    """Add a finding if a certificate was issued by a different CA than those on record."""
    is_held = certificate.sha256 == asked.held_sha256
    ca = batch.cas.get(asked.planned_ca, CaOnRecord()).without(asked.request_id if is_held else "")
    if is_held and evaluation.path.issuers:
        # The signature of this certificate proves its CA. If a recorded certificate has another CA,
        # that certificate is wrong and has an error.
        ca = replace(ca, tops={})
    other = other_ca(asked.planned_ca, certificate, evaluation.path, ca, batch.issuers)
    return _add_difference(asked, evaluation, other) if other else evaluation


def evaluate_on_record(
    asked: Outstanding,
    certificate: Certificate,
    file: str,
    issuers: Issuers,
    known: Mapping[str, Certificate],
    *,
    at: datetime,
) -> Match:
    """Evaluate a recorded certificate; ``known`` contains all recorded certificates by SHA-256."""
    evaluation = evaluate(_build_evidence(asked, certificate, issuers, known), at=at)
    return Match(
        asked=asked,
        certificate=certificate,
        path=evaluation.path,
        source_file=file,
        findings=evaluation.findings,
    )


def _choose_certificate(
    asked: Outstanding, certificates: tuple[Certificate, ...], batch: Batch
) -> Match | None:
    """Choose the certificate for a request. Return None if the certificate on record is kept."""
    if not asked.is_current:
        return _match_superseded_requests(
            asked, max(certificates, key=_get_start_of_validity), batch
        )
    held = batch.known.get(asked.held_sha256)
    evaluations = {one: _evaluate_match(asked, one, batch) for one in certificates}
    own = evaluations.get(held) or _evaluate_match(asked, held, batch) if held is not None else None
    if own is None:
        evaluations = _reject_several_cas(asked, evaluations)
    elif own.path.is_complete and not own.errors:
        evaluations = {
            one: evaluation if one == held else _reject_incomplete_chain(asked, evaluation)
            for one, evaluation in evaluations.items()
        }
    kept = held if own and not own.errors else None
    certificates = _remove_repeats(certificates, evaluations, kept)
    if not certificates:
        return None

    def rank(one: Certificate) -> tuple[object, ...]:
        found = evaluations[one].findings
        # A certificate that was replaced earlier does not count as new if it is received again.
        is_new = 0 if one.sha256 in asked.displaced else 1 if one == held else 2
        warnings = sum(finding.severity == "warning" for finding in found)
        # A complete chain is preferred to an incomplete one, whatever the dates.
        is_proven = evaluations[one].path.is_complete
        begins, ends = _get_start_of_validity(one)
        errors = evaluations[one].errors
        return -errors, is_proven, begins, is_new, ends, -warnings, certificates.index(one)

    best = max(certificates, key=rank)
    if held is not None and own is not None and held != best:
        # A certificate with an error replaces no other. Of two valid certificates, the older one
        # and one that was replaced earlier do not replace the other. A complete chain has priority.
        is_older = held.not_before > best.not_before or (
            held.not_before == best.not_before and best.sha256 in asked.displaced
        )
        is_as_good = not own.errors and own.path.is_complete >= evaluations[best].path.is_complete
        if evaluations[best].errors or (is_older and is_as_good):
            best = held
    for one in certificates:
        if one not in (best, held):
            _reject_certificate(asked, one, evaluations[one], best, batch)
    if best not in evaluations:
        return None
    evaluation = evaluations[best]
    good = [certificate for certificate in certificates if not evaluations[certificate].errors]
    differences = _report_choice(asked, best, good if best in good else [], held, batch)
    more = apply_acceptances(findings(asked.entry, differences), asked.accepted)
    return Match(
        asked=asked,
        certificate=best,
        path=evaluation.path,
        source_file=batch.sources[best],
        findings=(*evaluation.findings, *more),
        earlier=_find_earlier_certificate(asked, best, held, batch),
    )


def _remove_repeats(
    certificates: tuple[Certificate, ...],
    evaluations: Mapping[Certificate, Evaluation],
    held: Certificate | None,
) -> tuple[Certificate, ...]:
    """Remove a certificate that differs from another certificate only in its signature.

    Anybody can derive a second ECDSA signature from the first (r, n - s). If no available CA
    certificate verifies a signature, both certificates stay, because one of them may be damaged.
    """
    known: dict[str, Certificate] = {held.signed_sha256: held} if held else {}
    found = []
    for certificate in certificates:
        is_proven = evaluations[certificate].path.issuers and not evaluations[certificate].errors
        if not is_proven or known.setdefault(certificate.signed_sha256, certificate) == certificate:
            found.append(certificate)
    return tuple(found)


def _reject_several_cas(
    asked: Outstanding, evaluations: dict[Certificate, Evaluation]
) -> dict[Certificate, Evaluation]:
    """Reject valid certificates with different roots, because the right CA is unknown.

    If a root of that CA is on record, a certificate with a different root already has an error.
    """
    good = [
        evaluation
        for evaluation in evaluations.values()
        if not evaluation.errors and evaluation.path.is_complete
    ]
    if len({evaluation.path.issuers[-1].spki_sha256 for evaluation in good}) < 2:
        return evaluations
    found = dict(evaluations)
    for certificate, evaluation in evaluations.items():
        if evaluation in good:
            root = fingerprint(evaluation.path.issuers[-1])
            message = (
                f"the certificate with serial number {certificate.serial_hex} has the root "
                f"{root}, but another certificate for the request has a different root"
            )
            found[certificate] = _add_difference(asked, evaluation, (_TWO_CAS, message))
    return found


def _add_difference(
    asked: Outstanding, evaluation: Evaluation, difference: Difference
) -> Evaluation:
    more = apply_acceptances(findings(asked.entry, [difference]), asked.accepted)
    return replace(evaluation, findings=(*evaluation.findings, *more))


def _reject_incomplete_chain(asked: Outstanding, evaluation: Evaluation) -> Evaluation:
    """Reject a successor with an incomplete chain if the recorded chain is complete.

    A certificate from a different CA has a separate finding, which can be accepted separately.
    """
    is_told = any(finding.code == OTHER_ROOT for finding in evaluation.findings)
    if evaluation.errors or evaluation.path.is_complete or is_told:
        return evaluation
    message = (
        "the chain of the new certificate is incomplete, but the chain of the "
        "certificate on record is complete"
    )
    return _add_difference(asked, evaluation, (_UNPROVEN, message))


def _reject_certificate(
    asked: Outstanding,
    certificate: Certificate,
    evaluation: Evaluation,
    best: Certificate,
    batch: Batch,
) -> None:
    """Report why a certificate is not accepted, and keep a certificate with errors as refused."""
    if evaluation.errors:
        batch.refused.append(
            Match(
                asked=asked,
                certificate=certificate,
                path=evaluation.path,
                source_file=batch.sources[certificate],
                findings=evaluation.findings,
            )
        )
        return
    if certificate.not_before == best.not_before:
        batch.passed_over.append((asked.request_id, certificate))
    if certificate.not_before <= best.not_before and best not in batch.sources:
        message = (
            f"{_describe_certificate(certificate, batch)}; the certificate on record is valid from "
            f"{_format_dates(best)}"
        )
        batch.loose.append(finding("older-answer", asked.request_id, message))


def _match_superseded_requests(
    asked: Outstanding, newest: Certificate, batch: Batch
) -> Match | None:
    """Keep a valid certificate for a superseded request, because steps need its expiration date."""
    held = batch.known.get(asked.held_sha256)
    if held is not None and _get_start_of_validity(held) > _get_start_of_validity(newest):
        return None
    evaluation = _evaluate_path(asked, newest, batch)
    if held is not None and held != newest:
        evaluation = _add_other_ca(asked, newest, evaluation, batch)
        own = _evaluate_path(asked, held, batch)
        if own.path.is_complete and not own.errors:
            evaluation = _reject_incomplete_chain(asked, evaluation)
    message = f"{_describe_certificate(newest, batch)}, belongs to generation {asked.generation}"
    # A certificate on record was already reported when it was received.
    differences = [] if held == newest else [("answers-superseded-request", message)]
    told = findings(asked.entry, differences)
    if evaluation.errors and held != newest:
        batch.loose.extend((*told, *evaluation.findings))
        return None
    return Match(
        asked=asked,
        certificate=newest,
        path=evaluation.path,
        source_file=batch.sources[newest],
        findings=told,
    )


def _evaluate_path(asked: Outstanding, certificate: Certificate, batch: Batch) -> Evaluation:
    """Evaluate only the signatures in the chain. An expired CA certificate is allowed."""
    path = build_path(certificate, batch.issuers, today=batch.today)
    found = findings(
        asked.entry,
        [
            (wrong.code, wrong.detail)
            for wrong in path.objections
            if wrong.code != "chain-issuer-not-in-force"
        ],
    )
    return Evaluation(path=path, findings=tuple(one for one in found if one.severity == "error"))


def _describe_certificate(certificate: Certificate, batch: Batch) -> str:
    return (
        f"{batch.sources[certificate]}: serial number {certificate.serial_hex}, valid from "
        f"{_format_dates(certificate)}"
    )


def _format_dates(certificate: Certificate) -> str:
    return f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"


def _report_choice(
    asked: Outstanding,
    newest: Certificate,
    certificates: Sequence[Certificate],
    held: Certificate | None,
    batch: Batch,
) -> Iterator[Difference]:
    if held is not None and held != newest:
        yield "replaces-earlier-certificate", _describe_change(held, newest)
    earlier = batch.earlier.get(asked.request_id)
    if held is None and earlier is not None and asked.is_current:
        yield "renews-earlier-certificate", _describe_change(earlier, newest)
    rest = [certificate for certificate in certificates if certificate not in (newest, held)]
    for certificate in rest:
        yield "several-answers", f"not used: {_describe_certificate(certificate, batch)}"
    if rest and asked.entry.shared_by != "server" and held is None:
        servers = ", ".join(asked.entry.servers)
        yield (
            "different-certificates-in-pool",
            f"{len(rest) + 1} different certificates for {servers}",
        )
    if asked.is_retired:
        yield "answers-retired-request", batch.sources[newest]


def _find_earlier_certificate(
    asked: Outstanding, newest: Certificate, certificate: Certificate | None, batch: Batch
) -> Certificate | None:
    if not asked.is_current:
        return None
    if certificate is not None and certificate != newest:
        return certificate
    return batch.earlier.get(asked.request_id)


def _describe_change(before: Certificate, after: Certificate) -> str:
    changes = "; ".join(map(str, succession(before, after)))
    change = (
        f"the earlier certificate has serial number {before.serial_hex} and is valid from "
        f"{_format_dates(before)}; {changes or 'no other changes'}"
    )
    lost = (before.not_after - after.not_after).days
    return (
        (
            f"the new certificate expires {count_of(lost, 'day')} before the certificate that it "
            f"replaces: {change}"
        )
        if lost > 0
        else change
    )
