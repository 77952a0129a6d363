"""Which returned certificate answers which request, and what there is to say about each.

Pure: what was asked and what came back in, answers and findings out. The public key decides;
file names, serial numbers and subjects do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from ...base.pasted_text import shown
from ...base.shown.tables import count_of
from ...pki.certificates import Certificate, moment_of, name_text
from ...pki.chain import Issuers, build_path, is_signed_by
from ...rules.findings import Finding
from ...rules.returned_rules import Difference, finding, findings
from ..cas_on_record import OTHER_ISSUER, OTHER_ROOT, CaOnRecord, fingerprint, other_ca
from ..evaluation.compare_predecessor import succession
from ..evaluation.cross_findings import of_files, of_the_rest, with_cross_findings, with_other_cas
from ..evaluation.evaluation import Evidence, Verdict, judge, with_acceptances
from .candidates import Batch, Match, Matched, Outstanding, is_issuer, sort_out, with_findings
from .returned_files import ReturnedFile


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
        The moment of judgement; of a day its noon, UTC.

    Returns
    -------
    Matched
        At most one answer per request: the one with the fewest errors, of those the one that
        begins last, of those the one that came last. What has an error never takes the place of
        what has none. A certificate that is self-signed or a CA's is never an answer.

    Notes
    -----
    Source: RFC 2986 section 4.1 and RFC 5280 section 4.1.2.7 for the public key.
    """
    files = tuple(files)
    batch = sort_out(asked, files, tuple(known), moment_of(today))
    candidates = _candidates(batch)
    answers: list[Match] = []
    superseded: list[Match] = []
    for one in asked:
        given = candidates.get(one.spki_sha256, ())
        taken = _take(one, given, batch) if given else None
        if taken is not None:
            (answers if one.is_current else superseded).append(taken)
    answers += _completed(asked, answers, batch)
    answers = with_cross_findings(answers, asked, batch.by_key)
    answers = with_other_cas(answers, batch.cas, batch.known, batch.issuers)
    batch.loose.extend(of_files(files, batch))
    rest = tuple(of_the_rest(answers + superseded + batch.refused, asked, batch))
    answers = [with_findings(one, _about_request(rest, one)) for one in answers]
    mine = {one.asked.request_id for one in answers}
    batch.loose.extend(found for found in rest if found.about not in mine)
    return Matched(
        answers=tuple(answers),
        superseded=tuple(superseded),
        findings=tuple(dict.fromkeys(batch.loose)),
        refused=tuple(batch.refused),
        passed_over=tuple(batch.passed_over),
        issuers=tuple(c for c in batch.sources if _is_kept(c, batch)),
    )


def _about_request(found: tuple[Finding, ...], answer: Match) -> tuple[Finding, ...]:
    return tuple(one for one in found if one.about == answer.asked.request_id)


def _is_kept(certificate: Certificate, batch: Batch) -> bool:
    """Whether it is a CA's certificate, which the folder keeps for whoever needs it."""
    return certificate.spki_sha256 not in batch.by_key and is_issuer(certificate)


def _completed(
    asked: Sequence[Outstanding], answers: Sequence[Match], batch: Batch
) -> Iterator[Match]:
    """Yield the certificates on record that CA certificates of this run complete or refute."""
    news = [c for c in batch.sources if _is_kept(c, batch) and c.sha256 not in batch.known]
    if not news:
        return
    before = Issuers([c for c in batch.known.values() if c.spki_sha256 not in batch.by_key])
    here = {one.asked.request_id for one in answers}
    for one in asked:
        held = batch.known.get(one.held_sha256)
        if held is None or not one.is_current or one.request_id in here:
            continue
        verdict = _judged(one, held, batch)
        earlier = build_path(held, before, today=batch.today)
        told: tuple[Finding, ...] = ()
        if verdict.path.issuers != earlier.issuers:
            names = ", ".join(name_text(issuer.subject) for issuer in verdict.path.issuers)
            told = (finding("chain-completed", one.request_id, shown(names)),)
        elif verdict.path.objections == earlier.objections:
            continue
        yield Match(
            asked=one,
            certificate=held,
            path=verdict.path,
            source_file=one.held_file,
            findings=(*verdict.findings, *told),
        )


def _candidates(batch: Batch) -> dict[str, tuple[Certificate, ...]]:
    """List the certificates for keys of ours, by key; tell those that can be no answer."""
    found: dict[str, list[Certificate]] = {}
    for certificate, source in batch.sources.items():
        for one in batch.by_key.get(certificate.spki_sha256, ())[:1]:
            subject = f"{source}, serial {certificate.serial_hex}"
            if certificate.is_self_issued and is_signed_by(certificate, certificate):
                batch.loose.append(finding("self-signed", one.request_id, subject))
            elif certificate.is_ca:
                batch.loose.append(finding("ca-certificate", one.request_id, subject))
            else:
                found.setdefault(certificate.spki_sha256, []).append(certificate)
    return {key: tuple(certificates) for key, certificates in found.items()}


def _begins(certificate: Certificate) -> tuple[datetime, datetime]:
    return certificate.not_before, certificate.not_after


# Found again whenever a certificate is matched: the chain may have come, the other one be gone.
_UNPROVEN, _TWO_CAS = "replacement-unproven", "answers-of-two-cas"
_FOUND_AGAIN = (_UNPROVEN, _TWO_CAS, OTHER_ROOT, OTHER_ISSUER)


def _evidence(
    asked: Outstanding,
    certificate: Certificate,
    issuers: Issuers,
    known: Mapping[str, Certificate],
) -> Evidence:
    chain = asked.chains.get(certificate.sha256, ())
    return Evidence(
        settled=tuple(known[one] for one in chain) if known.keys() >= set(chain) else (),
        certificate=certificate,
        entry=asked.entry,
        issuers=issuers,
        validity_days=asked.validity_days,
        accepted=asked.accepted,
        noted=asked.noted.get(certificate.sha256, ()),
        is_fictional=asked.is_fictional,
        target_os=asked.target_os,
    )


def _judged(asked: Outstanding, certificate: Certificate, batch: Batch) -> Verdict:
    evidence = _evidence(asked, certificate, batch.issuers, batch.known)
    is_held = certificate.sha256 == asked.held_sha256
    told = tuple(
        one
        for one in evidence.noted
        # What was taken, for a reason or before anything was known, stays as it was found.
        if one[0] not in _FOUND_AGAIN or (is_held and one[0] in (OTHER_ROOT, OTHER_ISSUER))
    )
    verdict = judge(replace(evidence, noted=told), at=batch.today)
    if told and is_held and any(one[0] in (OTHER_ROOT, OTHER_ISSUER) for one in told):
        return verdict
    return _with_other_ca(asked, certificate, verdict, batch)


def _with_other_ca(
    asked: Outstanding, certificate: Certificate, verdict: Verdict, batch: Batch
) -> Verdict:
    """Say where a certificate comes from another CA than those on record."""
    is_held = certificate.sha256 == asked.held_sha256
    ca = batch.cas.get(asked.planned_ca, CaOnRecord()).without(asked.request_id if is_held else "")
    if is_held and verdict.path.issuers:
        # Its own signature shows this CA. Another certificate that it did not sign is the faulty
        # one, and has that error itself.
        ca = replace(ca, tops={})
    other = other_ca(asked.planned_ca, certificate, verdict.path, ca, batch.issuers)
    return _with_difference(asked, verdict, other) if other else verdict


def judge_on_record(
    asked: Outstanding,
    certificate: Certificate,
    file: str,
    issuers: Issuers,
    known: Mapping[str, Certificate],
    *,
    at: datetime,
) -> Match:
    """Judge a certificate of the folder; ``known`` has all of its certificates by SHA-256."""
    verdict = judge(_evidence(asked, certificate, issuers, known), at=at)
    return Match(
        asked=asked,
        certificate=certificate,
        path=verdict.path,
        source_file=file,
        findings=verdict.findings,
    )


def _take(asked: Outstanding, given: tuple[Certificate, ...], batch: Batch) -> Match | None:
    """Choose the answer to one request; None if the one on record stays and did not come again."""
    if not asked.is_current:
        return _take_superseded(asked, max(given, key=_begins), batch)
    held = batch.known.get(asked.held_sha256)
    verdicts = {one: _judged(asked, one, batch) for one in given}
    own = verdicts.get(held) or _judged(asked, held, batch) if held is not None else None
    if own is None:
        verdicts = _of_one_ca(asked, verdicts)
    elif own.path.is_complete and not own.errors:
        verdicts = {
            one: verdict if one == held else _unproven(asked, verdict)
            for one, verdict in verdicts.items()
        }
    given = _told_once(given, verdicts, held if own and not own.errors else None)
    if not given:
        return None

    def rank(one: Certificate) -> tuple[object, ...]:
        found = verdicts[one].findings
        # A certificate that had to make room before is no news when it comes again.
        is_new = 0 if one.sha256 in asked.displaced else 1 if one == held else 2
        warnings = sum(told.severity == "warning" for told in found)
        # What is proven to be a CA's goes before what nothing proves, whatever its dates.
        is_proven = verdicts[one].path.is_complete
        begins, ends = _begins(one)
        errors = verdicts[one].errors
        return -errors, is_proven, begins, is_new, ends, -warnings, given.index(one)

    best = max(given, key=rank)
    if held is not None and own is not None and held != best:
        # What has an error takes no place; of two good ones the older does not either, nor the
        # one that had to make room before. What is proven takes that of what is not.
        is_older = held.not_before > best.not_before or (
            held.not_before == best.not_before and best.sha256 in asked.displaced
        )
        is_as_good = not own.errors and own.path.is_complete >= verdicts[best].path.is_complete
        if verdicts[best].errors or (is_older and is_as_good):
            best = held
    for one in given:
        if one not in (best, held):
            _put_aside(asked, one, verdicts[one], best, batch)
    if best not in verdicts:
        return None
    verdict = verdicts[best]
    good = [one for one in given if not verdicts[one].errors]
    differences = _of_choice(asked, best, good if best in good else [], held, batch)
    more = with_acceptances(findings(asked.entry, differences), asked.accepted)
    return Match(
        asked=asked,
        certificate=best,
        path=verdict.path,
        source_file=batch.sources[best],
        findings=(*verdict.findings, *more),
        earlier=_earlier(asked, best, held, batch),
    )


def _told_once(
    given: tuple[Certificate, ...],
    verdicts: Mapping[Certificate, Verdict],
    held: Certificate | None,
) -> tuple[Certificate, ...]:
    """Leave out what is another one with a second signature: it is no other certificate.

    Of ECDSA anybody can make the second from the first (r, n - s). What no CA certificate here has
    signed stays: one of the two may be damaged, and which is not known yet.
    """
    known: dict[str, Certificate] = {held.signed_sha256: held} if held else {}
    found = []
    for one in given:
        is_proven = verdicts[one].path.issuers and not verdicts[one].errors
        if not is_proven or known.setdefault(one.signed_sha256, one) == one:
            found.append(one)
    return tuple(found)


def _of_one_ca(
    asked: Outstanding, verdicts: dict[Certificate, Verdict]
) -> dict[Certificate, Verdict]:
    """Refuse good answers whose chains end in different roots: which CA was asked is not known.

    Where a root is on record for that CA, an answer under another one has its error already.
    """
    good = [one for one in verdicts.values() if not one.errors and one.path.is_complete]
    if len({one.path.issuers[-1].spki_sha256 for one in good}) < 2:
        return verdicts
    found = dict(verdicts)
    for certificate, verdict in verdicts.items():
        if verdict in good:
            root = fingerprint(verdict.path.issuers[-1])
            message = (
                f"serial {certificate.serial_hex} leads to the root {root}; another answer leads "
                "to another one"
            )
            found[certificate] = _with_difference(asked, verdict, (_TWO_CAS, message))
    return found


def _with_difference(asked: Outstanding, verdict: Verdict, difference: Difference) -> Verdict:
    more = with_acceptances(findings(asked.entry, [difference]), asked.accepted)
    return replace(verdict, findings=(*verdict.findings, *more))


def _unproven(asked: Outstanding, verdict: Verdict) -> Verdict:
    """Refuse a successor whose chain has a gap, where the one on record has its whole chain.

    That it comes from another CA is another finding, and accepted by that one's reason.
    """
    is_told = any(one.code == OTHER_ROOT for one in verdict.findings)
    if verdict.errors or verdict.path.is_complete or is_told:
        return verdict
    message = "a part of its chain is missing, and the certificate on record has its whole chain"
    return _with_difference(asked, verdict, (_UNPROVEN, message))


def _put_aside(
    asked: Outstanding, one: Certificate, verdict: Verdict, best: Certificate, batch: Batch
) -> None:
    """Tell why a certificate is not taken; keep it for the refused ones if it has errors."""
    if verdict.errors:
        batch.refused.append(
            Match(
                asked=asked,
                certificate=one,
                path=verdict.path,
                source_file=batch.sources[one],
                findings=verdict.findings,
            )
        )
        return
    if one.not_before == best.not_before:
        batch.passed_over.append((asked.request_id, one))
    if one.not_before <= best.not_before and best not in batch.sources:
        message = f"{_which(one, batch)}; on record is {_dates(best)}"
        batch.loose.append(finding("older-answer", asked.request_id, message))


def _take_superseded(asked: Outstanding, newest: Certificate, batch: Batch) -> Match | None:
    """Keep an answer to a superseded request, unless it is forged: steps go by when it ends."""
    held = batch.known.get(asked.held_sha256)
    if held is not None and _begins(held) > _begins(newest):
        return None
    verdict = _of_path(asked, newest, batch)
    if held is not None and held != newest:
        verdict = _with_other_ca(asked, newest, verdict, batch)
        own = _of_path(asked, held, batch)
        if own.path.is_complete and not own.errors:
            verdict = _unproven(asked, verdict)
    message = f"{_which(newest, batch)}: generation {asked.generation}"
    # What is on record already was told when it came.
    differences = [] if held == newest else [("answers-superseded-request", message)]
    told = findings(asked.entry, differences)
    if verdict.errors and held != newest:
        batch.loose.extend((*told, *verdict.findings))
        return None
    return Match(
        asked=asked,
        certificate=newest,
        path=verdict.path,
        source_file=batch.sources[newest],
        findings=told,
    )


def _of_path(asked: Outstanding, certificate: Certificate, batch: Batch) -> Verdict:
    """Judge who signed a certificate, and nothing else of it; that its CA ended is no matter."""
    path = build_path(certificate, batch.issuers, today=batch.today)
    found = findings(
        asked.entry,
        [
            (wrong.code, wrong.detail)
            for wrong in path.objections
            if wrong.code != "chain-issuer-not-in-force"
        ],
    )
    return Verdict(path=path, findings=tuple(one for one in found if one.severity == "error"))


def _which(certificate: Certificate, batch: Batch) -> str:
    return f"{batch.sources[certificate]}: serial {certificate.serial_hex}, {_dates(certificate)}"


def _dates(certificate: Certificate) -> str:
    return f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"


def _of_choice(
    asked: Outstanding,
    newest: Certificate,
    given: Sequence[Certificate],
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
    told = f"serial {before.serial_hex}, {_dates(before)}; {changes or 'nothing else changed'}"
    lost = (before.not_after - after.not_after).days
    return f"ends {count_of(lost, 'day')} before the one it replaces: {told}" if lost > 0 else told
