"""Match returned certificates to requests, and collect the findings about each certificate.

These functions have no side effects. Only the public key determines the request. File names, serial
numbers, and subjects are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from ...base.pasted_text import shown
from ...base.shown.tables import format_count
from ...base.times import convert_to_time
from ...pki.certificates import Certificate, format_name
from ...pki.chain import Issuers, build_path, is_signed_by
from ...rules.ca_rules import load_ca_rules
from ...rules.findings import Finding
from ...rules.returned_rules import Difference, create_findings, create_returned_finding
from ..cas_on_record import OTHER_ISSUER, OTHER_ROOT, CaOnRecord, find_ca_difference, format_root
from ..evaluation.compare_predecessor import list_changed_fields
from ..evaluation.cross_findings import (
    add_ca_differences,
    add_shared_certificate_findings,
    list_file_findings,
    list_unmatched_certificate_findings,
)
from ..evaluation.evaluation import (
    Evaluation,
    Evidence,
    choose_root,
    downgrade_accepted_errors,
    evaluate,
    find_path,
)
from .candidates import (
    Batch,
    Match,
    Matched,
    Outstanding,
    add_findings,
    build_batch,
    is_issuer,
)
from .returned_files import ReturnedFile


def match_returned_certificates(
    requests: Sequence[Outstanding],
    files: Iterable[ReturnedFile],
    *,
    known_certificates: Iterable[Certificate] = (),
    today: date,
) -> Matched:
    """Match returned certificates to requests by public key, and evaluate each match.

    Parameters
    ----------
    requests : sequence of Outstanding
        n generations of requests, both current and archived.
    files : iterable of ReturnedFile
        The files that the CA returned.
    known_certificates : iterable of Certificate, optional
        The certificates on record and their chains.
    today : date
        The evaluation time; a date means noon UTC of that day.

    Returns
    -------
    Matched
        At most one certificate for each request: the one with the fewest errors, then with the
        latest start date, then from the latest file. A certificate with an error never replaces one
        without errors. A self-signed certificate or a CA certificate never matches a request.
        For a superseded request with a compromised key, also each further certificate, with an
        error.

    Notes
    -----
    Source: RFC 2986 section 4.1 and RFC 5280 section 4.1.2.7 for the public key.
    """
    files = tuple(files)
    batch = build_batch(requests, files, tuple(known_certificates), convert_to_time(today))
    candidates = _find_candidates(batch)
    answers: list[Match] = []
    superseded: list[Match] = []
    for request in requests:
        certificates = candidates.get(request.spki_sha256, ())
        if not request.is_current:
            superseded += _list_superseded_matches(request, certificates, batch)
        elif certificates and (match := _choose_certificate(request, certificates, batch)):
            answers.append(match)
    answers += _find_completed_chains(requests, answers, batch)
    answers = add_shared_certificate_findings(answers, requests, batch.by_key)
    answers = add_ca_differences(answers, batch.cas, batch.known, batch.issuers)
    batch.loose.extend(list_file_findings(files, batch))
    other_findings = tuple(
        list_unmatched_certificate_findings(answers + superseded + batch.refused, requests, batch)
    )
    answers = [
        add_findings(match, _select_findings_about(other_findings, match)) for match in answers
    ]
    request_ids = {match.request.request_id for match in answers}
    batch.loose.extend(finding for finding in other_findings if finding.about not in request_ids)
    return Matched(
        answers=tuple(answers),
        superseded=tuple(superseded),
        findings=tuple(dict.fromkeys(batch.loose)),
        refused=tuple(batch.refused),
        passed_over=tuple(batch.passed_over),
        issuers=tuple(c for c in batch.sources if _is_new_ca_certificate(c, batch)),
    )


def _select_findings_about(all_findings: tuple[Finding, ...], match: Match) -> tuple[Finding, ...]:
    return tuple(finding for finding in all_findings if finding.about == match.request.request_id)


def _is_new_ca_certificate(certificate: Certificate, batch: Batch) -> bool:
    """Return whether a certificate belongs to a CA and must be stored for later use."""
    return certificate.spki_sha256 not in batch.by_key and is_issuer(certificate)


def _find_completed_chains(
    requests: Sequence[Outstanding], matches: Sequence[Match], batch: Batch
) -> Iterator[Match]:
    """Yield the recorded certificates whose chains a newly received CA certificate completes."""
    news = [
        c for c in batch.sources if _is_new_ca_certificate(c, batch) and c.sha256 not in batch.known
    ]
    if not news:
        return
    before = Issuers([c for c in batch.known.values() if c.spki_sha256 not in batch.by_key])
    matched_ids = {match.request.request_id for match in matches}
    for request in requests:
        recorded = batch.known.get(request.held_sha256)
        if recorded is None or not request.is_current or request.request_id in matched_ids:
            continue
        evaluation = _evaluate_match(request, recorded, batch)
        earlier = find_path(_build_evidence(request, recorded, before), batch.today)
        findings: tuple[Finding, ...] = ()
        if evaluation.path == earlier:
            continue
        if evaluation.path.is_complete and not earlier.is_complete:
            names = ", ".join(format_name(issuer.subject) for issuer in evaluation.path.issuers)
            findings = (
                create_returned_finding("chain-completed", request.request_id, shown(names)),
            )
        yield Match(
            request=request,
            certificate=recorded,
            path=evaluation.path,
            source_file=request.held_file,
            findings=(*evaluation.findings, *findings),
        )


def _find_candidates(batch: Batch) -> dict[str, tuple[Certificate, ...]]:
    """Return the certificates for each key in the folder, and report all other certificates."""
    candidates: dict[str, list[Certificate]] = {}
    for certificate, source in batch.sources.items():
        for request in batch.by_key.get(certificate.spki_sha256, ())[:1]:
            subject = f"{source}, serial number {certificate.serial_hex}"
            if certificate.is_self_issued and is_signed_by(certificate, certificate):
                batch.loose.append(
                    create_returned_finding("self-signed", request.request_id, subject)
                )
            elif certificate.is_ca:
                batch.loose.append(
                    create_returned_finding("ca-certificate", request.request_id, subject)
                )
            else:
                candidates.setdefault(certificate.spki_sha256, []).append(certificate)
    return {key: tuple(certificates) for key, certificates in candidates.items()}


def _get_validity_period(certificate: Certificate) -> tuple[datetime, datetime]:
    return certificate.not_before, certificate.not_after


# The finding about an incomplete chain is determined again for each match, because the chain may
# now be complete.
_UNPROVEN, _TWO_CAS = "replacement-unproven", "answers-of-two-cas"
_COMPROMISED = "key-compromised"
_FOUND_AGAIN = (_UNPROVEN, _TWO_CAS, OTHER_ROOT, OTHER_ISSUER, _COMPROMISED)


def _build_evidence(
    request: Outstanding,
    certificate: Certificate,
    issuers: Issuers,
) -> Evidence:
    return Evidence(
        certificate=certificate,
        entry=request.entry,
        issuers=issuers,
        validity_days=load_ca_rules().limit_validity(
            request.validity_days,
            certificate.not_before.date(),
            issuer=request.entry.issuer,
            ca=request.ca,
        ),
        accepted=request.accepted,
        noted=request.noted.get(certificate.sha256, ()),
        is_fictional=request.is_fictional,
        target_os=request.target_os,
        terms=request.terms,
        oldest_client=request.oldest_client,
    )


def _evaluate_match(request: Outstanding, certificate: Certificate, batch: Batch) -> Evaluation:
    evidence = _build_evidence(request, certificate, batch.issuers)
    is_held = certificate.sha256 == request.held_sha256
    noted_findings = tuple(
        noted_finding
        for noted_finding in evidence.noted
        # If a certificate from another CA was accepted, the recorded finding about the other CA is
        # kept.
        if noted_finding[0] not in _FOUND_AGAIN
        or (is_held and noted_finding[0] in (OTHER_ROOT, OTHER_ISSUER))
    )
    evaluation = evaluate(replace(evidence, noted=noted_findings), evaluated_at=batch.today)
    for compromised in _find_compromised_key(request, certificate):
        evaluation = _add_difference(request, evaluation, compromised)
    if (
        noted_findings
        and is_held
        and any(noted_finding[0] in (OTHER_ROOT, OTHER_ISSUER) for noted_finding in noted_findings)
    ):
        return evaluation
    return _add_ca_difference(request, certificate, evaluation, batch)


def _add_ca_difference(
    request: Outstanding, certificate: Certificate, evaluation: Evaluation, batch: Batch
) -> Evaluation:
    """Add a finding if the CA of a certificate differs from the CAs on record."""
    if any(finding.code == "chain-signature-wrong" for finding in evaluation.findings):
        return evaluation
    is_held = certificate.sha256 == request.held_sha256
    ca = batch.cas.get(request.planned_ca, CaOnRecord()).exclude_request(
        request.request_id if is_held else ""
    )
    if is_held and evaluation.path.issuers:
        # The CA's signature on the new certificate was verified. Therefore, a recorded certificate
        # from another CA is wrong and gets an error.
        ca = replace(ca, tops={})
    other = find_ca_difference(request.planned_ca, certificate, evaluation.path, ca, batch.issuers)
    return _add_difference(request, evaluation, other) if other else evaluation


def evaluate_recorded_certificate(
    request: Outstanding,
    certificate: Certificate,
    file: str,
    issuers: Issuers,
    *,
    evaluated_at: datetime,
) -> Match:
    """Evaluate a recorded certificate with the help of all other recorded certificates."""
    evaluation = evaluate(
        _build_evidence(request, certificate, issuers),
        evaluated_at=evaluated_at,
    )
    return Match(
        request=request,
        certificate=certificate,
        path=evaluation.path,
        source_file=file,
        findings=evaluation.findings,
    )


def _choose_certificate(
    request: Outstanding, certificates: tuple[Certificate, ...], batch: Batch
) -> Match | None:
    """Choose the certificate for a request. Return None to keep the certificate on record."""
    recorded = batch.known.get(request.held_sha256)
    evaluations = {leaf: _evaluate_match(request, leaf, batch) for leaf in certificates}
    current = (
        evaluations.get(recorded) or _evaluate_match(request, recorded, batch) if recorded else None
    )
    if current is None:
        evaluations = _reject_several_cas(request, evaluations)
    elif current.path.reaches_root and not current.errors:
        evaluations = {
            leaf: result if leaf == recorded else _reject_incomplete_chain(request, result)
            for leaf, result in evaluations.items()
        }
    valid_recorded = recorded if current and not current.errors else None
    certificates = _remove_repeats(certificates, evaluations, valid_recorded)
    if not certificates:
        return None

    def rank_certificate(leaf: Certificate) -> tuple[object, ...]:
        evaluation = evaluations[leaf]
        # A certificate that was replaced earlier is not new when it is received again.
        is_new = 0 if leaf.sha256 in request.displaced else 1 if leaf == recorded else 2
        warnings = sum(finding.severity == "warning" for finding in evaluation.findings)
        # A complete chain is preferred to an incomplete one, regardless of any dates.
        errors, is_complete = evaluation.errors, evaluation.path.reaches_root
        begins, ends = _get_validity_period(leaf)
        return -errors, is_complete, begins, is_new, ends, -warnings, certificates.index(leaf)

    best = max(certificates, key=rank_certificate)
    if recorded is not None and current is not None and recorded != best:
        # Keep the recorded certificate if the new one has errors. Also keep it if the new one is
        # older, or was replaced earlier, and its chain is not more complete.
        is_older = recorded.not_before > best.not_before or (
            recorded.not_before == best.not_before and best.sha256 in request.displaced
        )
        is_as_complete = current.path.reaches_root >= evaluations[best].path.reaches_root
        if evaluations[best].errors or (is_older and is_as_complete and not current.errors):
            best = recorded
    for certificate in certificates:
        if certificate not in (best, recorded):
            _reject_certificate(request, certificate, evaluations[certificate], best, batch)
    if best not in evaluations:
        return None
    good = [certificate for certificate in certificates if not evaluations[certificate].errors]
    differences = _report_choice(request, best, good if best in good else [], recorded, batch)
    extra = create_findings(request.entry, differences)
    return Match(
        request=request,
        certificate=best,
        path=evaluations[best].path,
        source_file=batch.sources[best],
        findings=(*evaluations[best].findings, *downgrade_accepted_errors(extra, request.accepted)),
        earlier=_find_earlier_certificate(request, best, recorded, batch),
    )


def _remove_repeats(
    certificates: tuple[Certificate, ...],
    evaluations: Mapping[Certificate, Evaluation],
    recorded_certificate: Certificate | None,
) -> tuple[Certificate, ...]:
    """Remove a certificate that differs from another certificate only in its signature.

    Anybody can derive a second ECDSA signature from the first (r, n - s). If no available CA
    certificate verifies a signature, both certificates stay, because one of them may be damaged.
    """
    known: dict[str, Certificate] = (
        {recorded_certificate.signed_sha256: recorded_certificate} if recorded_certificate else {}
    )
    remaining = []
    for certificate in certificates:
        is_proven = evaluations[certificate].path.issuers and not evaluations[certificate].errors
        if not is_proven or known.setdefault(certificate.signed_sha256, certificate) == certificate:
            remaining.append(certificate)
    return tuple(remaining)


def _reject_several_cas(
    request: Outstanding, evaluations: dict[Certificate, Evaluation]
) -> dict[Certificate, Evaluation]:
    """Reject valid certificates with different roots. lyncnb cannot know which CA is correct.

    If a root of that CA is on record, a certificate with a different root already has an error.
    """
    good = [
        evaluation
        for evaluation in evaluations.values()
        if not evaluation.errors and evaluation.path.reaches_root
    ]
    if len({evaluation.path.root_keys for evaluation in good}) < 2:
        return evaluations
    results = dict(evaluations)
    for certificate, evaluation in evaluations.items():
        if evaluation in good:
            root = " or ".join(map(format_root, evaluation.path.roots))
            message = (
                f"the certificate with serial number {certificate.serial_hex} chains to the "
                f"root {root}, but another certificate for the request chains to a different root"
            )
            results[certificate] = _add_difference(request, evaluation, (_TWO_CAS, message))
    return results


def _add_difference(
    request: Outstanding, evaluation: Evaluation, difference: Difference
) -> Evaluation:
    findings = downgrade_accepted_errors(
        create_findings(request.entry, [difference]), request.accepted
    )
    return replace(evaluation, findings=(*evaluation.findings, *findings))


def _reject_incomplete_chain(request: Outstanding, evaluation: Evaluation) -> Evaluation:
    """Reject a new certificate with an incomplete chain if the recorded chain is complete.

    A certificate from a different CA has a separate finding, which can be accepted separately.
    """
    is_reported = any(finding.code == OTHER_ROOT for finding in evaluation.findings)
    if evaluation.errors or evaluation.path.reaches_root or is_reported:
        return evaluation
    message = (
        "the chain of the new certificate is incomplete, but the chain of the "
        "certificate on record is complete"
    )
    return _add_difference(request, evaluation, (_UNPROVEN, message))


def _find_compromised_key(request: Outstanding, certificate: Certificate) -> Iterator[Difference]:
    """Yield an error if a certificate replaces the certificate on record for a compromised key.

    Both certificates must be revoked, so the certificate on record must stay there.
    """
    if request.is_compromised and request.held_sha256 not in ("", certificate.sha256):
        message = (
            f"the certificate with serial number {certificate.serial_hex} has the compromised key "
            f"of generation {request.generation}"
        )
        yield _COMPROMISED, message


def _reject_certificate(
    request: Outstanding,
    certificate: Certificate,
    evaluation: Evaluation,
    best_certificate: Certificate,
    batch: Batch,
) -> None:
    """Report why a certificate is not accepted.

    If the certificate has errors, also add it to the refused certificates.
    """
    if evaluation.errors:
        batch.refused.append(
            Match(
                request=request,
                certificate=certificate,
                path=evaluation.path,
                source_file=batch.sources[certificate],
                findings=evaluation.findings,
            )
        )
        return
    if certificate.not_before == best_certificate.not_before:
        batch.passed_over.append((request.request_id, certificate))
    if (
        certificate.not_before <= best_certificate.not_before
        and best_certificate not in batch.sources
    ):
        message = (
            f"{_describe_certificate(certificate, batch)}; the certificate on record is valid from "
            f"{_format_dates(best_certificate)}"
        )
        batch.loose.append(create_returned_finding("older-answer", request.request_id, message))


def _list_superseded_matches(
    request: Outstanding, certificates: tuple[Certificate, ...], batch: Batch
) -> Iterator[Match]:
    """Yield the newest valid certificate of a superseded request, unless lyncnb refused it.

    The deployment steps need its expiration date. If the key is compromised, also yield each other
    certificate with an error, because the CA must revoke all of them.
    """
    allowed = [leaf for leaf in certificates if leaf.sha256 not in request.refused]
    newest_first = sorted(allowed, key=_get_validity_period, reverse=True)
    for certificate in newest_first if request.is_compromised else newest_first[:1]:
        match = _match_superseded_request(request, certificate, batch)
        if match is None:
            continue
        yield match
        if not request.held_sha256 and not match.has_errors:
            request = replace(request, held_sha256=certificate.sha256)


def _match_superseded_request(
    request: Outstanding, certificate: Certificate, batch: Batch
) -> Match | None:
    """Return a match, or None if lyncnb does not record the certificate.

    lyncnb records every certificate for a compromised key. For another key, the certificate must
    have no errors and must not be older than the certificate on record.
    """
    recorded = batch.known.get(request.held_sha256)
    is_older = recorded is not None and _get_validity_period(recorded) > _get_validity_period(
        certificate
    )
    if is_older and not request.is_compromised:
        return None
    evaluation = _evaluate_path(request, certificate, batch)
    if recorded is not None and recorded != certificate:
        evaluation = _add_ca_difference(request, certificate, evaluation, batch)
        held_evaluation = _evaluate_path(request, recorded, batch)
        if held_evaluation.path.reaches_root and not held_evaluation.errors:
            evaluation = _reject_incomplete_chain(request, evaluation)
    described = _describe_certificate(certificate, batch)
    message = f"{described}, belongs to generation {request.generation}"
    # If the certificate is on record, lyncnb reported these findings when it received the
    # certificate.
    differences = [] if recorded == certificate else [("answers-superseded-request", message)]
    findings = create_findings(request.entry, differences)
    if evaluation.errors and recorded != certificate:
        findings = (*findings, *evaluation.findings)
        # With the serial number of the certificate on record, it is a damaged copy of it.
        is_copy = recorded is not None and (recorded.issuer, recorded.serial_hex) == (
            certificate.issuer, certificate.serial_hex,
        )  # fmt: skip
        if is_copy or not request.is_compromised:
            batch.loose.extend(findings)
            return None
    compromised = create_findings(request.entry, _find_compromised_key(request, certificate))
    return Match(
        request=request,
        certificate=certificate,
        path=evaluation.path,
        source_file=batch.sources[certificate],
        findings=(*findings, *compromised),
    )


def _evaluate_path(request: Outstanding, certificate: Certificate, batch: Batch) -> Evaluation:
    """Return the certification path of a certificate, and the errors in this path.

    An expired CA certificate is allowed.
    """
    path = build_path(certificate, batch.issuers, today=batch.today)
    path = choose_root(path, request.accepted)
    findings = create_findings(
        request.entry,
        [
            (wrong.code, wrong.detail)
            for wrong in path.objections
            if wrong.code != "chain-issuer-not-in-force"
        ],
    )
    return Evaluation(
        path=path, findings=tuple(finding for finding in findings if finding.severity == "error")
    )


def _describe_certificate(certificate: Certificate, batch: Batch) -> str:
    return (
        f"{batch.sources[certificate]}: serial number {certificate.serial_hex}, valid from "
        f"{_format_dates(certificate)}"
    )


def _format_dates(certificate: Certificate) -> str:
    return f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"


def _report_choice(
    request: Outstanding,
    newest_certificate: Certificate,
    certificates: Sequence[Certificate],
    recorded_certificate: Certificate | None,
    batch: Batch,
) -> Iterator[Difference]:
    is_replacement = recorded_certificate not in (None, newest_certificate)
    if recorded_certificate is not None and is_replacement and not request.is_retired:
        yield (
            "replaces-earlier-certificate",
            _describe_change(recorded_certificate, newest_certificate),
        )
    earlier = batch.earlier.get(request.request_id)
    if recorded_certificate is None and earlier is not None and request.is_current:
        yield "renews-earlier-certificate", _describe_change(earlier, newest_certificate)
    unused = [
        certificate
        for certificate in certificates
        if certificate not in (newest_certificate, recorded_certificate)
    ]
    for certificate in unused:
        yield "several-answers", f"not used: {_describe_certificate(certificate, batch)}"
    if unused and request.entry.shared_by != "server" and recorded_certificate is None:
        servers = ", ".join(request.entry.servers)
        yield (
            "different-certificates-in-pool",
            f"{len(unused) + 1} different certificates for {servers}",
        )
    if request.is_retired:
        yield "answers-retired-request", batch.sources[newest_certificate]


def _find_earlier_certificate(
    request: Outstanding,
    newest_certificate: Certificate,
    certificate: Certificate | None,
    batch: Batch,
) -> Certificate | None:
    if not request.is_current:
        return None
    if certificate is not None and certificate != newest_certificate:
        return certificate
    return batch.earlier.get(request.request_id)


def _describe_change(old_certificate: Certificate, new_certificate: Certificate) -> str:
    changes = "; ".join(map(str, list_changed_fields(old_certificate, new_certificate)))
    change = (
        f"the earlier certificate has serial number {old_certificate.serial_hex} and is valid from "
        f"{_format_dates(old_certificate)}; {changes or 'no other changes'}"
    )
    lost = (old_certificate.not_after - new_certificate.not_after).days
    return (
        (
            f"the new certificate expires {format_count(lost, 'day')} before the certificate that "
            f"it replaces: {change}"
        )
        if lost > 0
        else change
    )
