"""Add the state of the requests to a summary: files, issued certificates, and next steps.

The functions do not need the plan, so any command that changes the record of a request can update
the summary.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import partial

from ...base.renewal_days import RenewalTerms
from ...base.times import format_time
from ...request_folder.generations import Generations, Held, find_generations
from ...request_folder.request_record import CoveringCertificate, RequestRecord
from ...rules.findings import Finding
from ..timeline_figure import DatedFact
from .asks import list_tasks
from .content import (
    Member,
    Summary,
    format_code,
    list_number_ranges,
)

_SHORT = 18  # The largest number of characters in a line of the picture.


def add_requests(
    summary: Summary,
    requests: Iterable[RequestRecord] = (),
    accepted_findings: Iterable[Finding] = (),
) -> Summary:
    """Add the records of the requests, and the tasks that follow from them, to a summary.

    Parameters
    ----------
    summary : Summary
        From :func:`lyncnb.reports.summary.from_plan.build_summary`.
    requests : iterable of RequestRecord, optional
        Requests of the folder; without them, nothing is written yet.
    accepted_findings : iterable of Finding, optional
        Accepted findings about issued certificates, each about its request.

    Returns
    -------
    Summary
        With files, hashes, dates and asks; the same arguments give the same summary.
    """
    lives = {record.id: find_generations(record) for record in requests}
    findings = (*summary.findings, *accepted_findings)
    codes: dict[str, list[str]] = defaultdict(list)
    for finding in findings[len(summary.findings) :]:
        codes[finding.about].append(format_code(finding))
    blocks = summary.blocks
    if lives:
        blocks = tuple(
            replace(
                block,
                members=tuple(
                    _add_request(
                        member,
                        lives.get(member.id),
                        codes.get(member.id, ()),
                        partial(_find_order_date, block.issuer, summary.terms),
                    )
                    for member in block.members
                ),
            )
            for block in blocks
        )
    changed = format_last_change(life.record for life in lives.values())
    new_summary = replace(
        summary,
        blocks=blocks,
        findings=findings,
        folder_changed=changed,
        retired_revocations=tuple(
            (name, sentence)
            for name, life in lives.items()
            if life.record.retired_at
            for sentence in life.revoke
        ),
    )
    if changed:
        new_summary = replace(new_summary, origin=replace(summary.origin, made_on=changed))
    facts = tuple(_list_timeline_facts(new_summary)) if summary.picture else summary.facts
    return replace(new_summary, asks=tuple(list_tasks(new_summary)), facts=facts)


def compute_progress_digest(
    requests: Iterable[RequestRecord], accepted_findings: Iterable[Finding] = ()
) -> str:
    """Return a digest of the data that :func:`add_requests` adds to a summary."""
    digest = hashlib.sha256()
    for finding in accepted_findings:
        digest.update(
            repr((finding.about, finding.code, finding.message)).encode("utf-8", "replace")
        )
    for request in requests:
        files, issued = request.files, request.issued
        fields: tuple[str, ...] = (request.id, str(request.number), files.csr, files.key)
        fields = (*fields, request.csr_sha256, request.spki_sha256)
        issued_fields: tuple[str, ...] = ()
        if issued is not None:
            issued_fields = (issued.sha256, issued.not_before, issued.not_after)
        elif request.covered is not None:
            issued_fields = ("covered", request.covered.thumbprint_sha1, request.covered.not_after)
        fields = (
            *fields,
            *_list_times(request),
            *issued_fields,
            *(("refused",) if request.refused else ()),
            request.handed_over_at[:10],
        )
        if request.key_holder:
            fields = (*fields, "key on", request.key_holder)
        fields = (*fields, *request.import_commands, *request.assign_commands)
        fields = (*fields, *_list_server_state(find_generations(request)))
        digest.update(repr(fields).encode("utf-8", "replace"))
    return digest.hexdigest()


def _list_server_state(lifecycle: Generations) -> tuple[str, ...]:
    """Return the data about the certificate in use. The summary's digest includes this data."""
    if lifecycle.held is None or not (lifecycle.deployed_on or lifecycle.under_way is not None):
        return (lifecycle.stage, *lifecycle.revoke)
    state = (
        "in use",
        format_time(lifecycle.held.usable_until),
        lifecycle.deployed_on,
        str(lifecycle.under_way is not None),
    )
    revoked = ("revoked",) if lifecycle.revocation is not None else ()
    return (*state, lifecycle.stage, *lifecycle.revoke, *revoked)


def _list_times(record: RequestRecord) -> tuple[str, ...]:
    return record.planned_at, record.written_at, record.issued_at, record.retired_at


def _find_order_date(issuer: str, terms: RenewalTerms, certificate: Held) -> str:
    """Return the date on which to order the next certificate."""
    return f"{terms.plan_renewal(certificate.begins, certificate.usable_until, issuer).order_on}"


def _add_request(
    member: Member,
    lifecycle: Generations | None,
    codes: Sequence[str],
    renew_from: Callable[[Held], str],
) -> Member:
    """Add the stage of the request and the recorded data about the certificate to a summary row."""
    if lifecycle is None:
        return member
    record = lifecycle.record
    member = replace(
        member,
        revoke=lifecycle.revoke,
        is_revoked=lifecycle.revocation is not None,
        number=str(record.number or ""),
        sent_on=record.handed_over_at[:10],
        stage=lifecycle.stage,
    )
    issued = record.issued
    certificate = lifecycle.held
    if member.is_at_set_up and not record.csr_sha256:
        return replace(member, warnings=(*member.warnings, *codes))
    if record.covered is not None and lifecycle.held is record.covered:
        member = replace(member, warnings=(*member.warnings, *codes))
        return _add_covering_certificate(member, record.covered, renew_from(record.covered))
    new_member = replace(
        member,
        csr_file=record.files.csr,
        key_file=record.files.key,
        csr_sha256=record.csr_sha256,
        spki_sha256=record.spki_sha256,
        warnings=(*member.warnings, *codes),
        key_holder=record.key_holder,
        import_commands=record.import_commands,
        assign_commands=record.assign_commands,
        is_at_set_up=False,
    )
    if certificate is not None:
        new_member = replace(
            _add_certificate_data(new_member, certificate),
            valid_from=certificate.not_before[:10],
            valid_until=f"{certificate.usable_until.date()}",
            renew_from=renew_from(certificate),
            is_to_follow=lifecycle.under_way is not None,
            deployed_on=lifecycle.deployed_on,
        )
    if issued is None:
        return replace(new_member, is_refused=bool(record.refused))
    return replace(new_member, certificate_sha256=issued.sha256)


def _add_covering_certificate(
    member: Member, cover: CoveringCertificate, renew_from: str
) -> Member:
    until = cover.not_after[:10]
    return replace(
        _add_certificate_data(member, cover),
        csr_file=(
            "no request: covered by the certificate with the thumbprint "
            f"{cover.thumbprint_sha1} until {until}"
        ),
        key_file="",
        covered_by=cover.thumbprint_sha1,
        certificate_sha256=cover.sha256,
        valid_from=cover.not_before[:10],
        valid_until=until,
        renew_from=renew_from,
    )


def _add_certificate_data(member: Member, certificate: Held) -> Member:
    """Add the certificate data that an inventory needs. An old record may not contain all of it."""
    return replace(
        member,
        thumbprint=getattr(certificate, "thumbprint_sha1", ""),
        serial=getattr(certificate, "serial", ""),
        issued_by=getattr(certificate, "issuer", ""),
    )


def format_last_change(records: Iterable[RequestRecord]) -> str:
    """Return when the requests were last changed, such as ``2026-12-01 08:00 UTC``, or ""."""
    times = (time for record in records for time in _list_times(record))
    last = max(times, default="")
    return f"{last[:10]} {last[11:16]} UTC" if last else ""


def _list_timeline_facts(summary: Summary) -> Iterator[DatedFact]:
    """Yield the timeline's events: planned dates, and the expiration dates of certificates."""
    every = [member for _, member in summary.members]
    dated_members = [member for member in every if member.valid_until]
    known = {member.id for member in dated_members}
    yield from (fact for fact in summary.facts if fact.about not in known)
    changed = _find_change_date(summary)
    if dated_members and changed:
        day = date.fromisoformat(changed)
        yield DatedFact(
            kind=_get_group_title(dated_members[0]),
            about="",
            what="last change to the requests",
            begins=day,
            ends=day,
            is_present=True,
            source="the request folder",
        )
    for (begins, ends, renew), members in _group_by_days(dated_members).items():
        numbers = ", ".join(list_number_ranges(every, {member.id for member in members}))
        has_ended = ends < changed
        words = "ended" if has_ended else f"renew from {renew}"
        if numbers and len(numbers) <= _SHORT:
            words += f": no. {numbers}"
        for member in members:
            how = "as installed" if member.covered_by else "as received"
            yield DatedFact(
                kind=_get_group_title(member),
                about=member.id,
                what=words,
                begins=date.fromisoformat(begins),
                ends=date.fromisoformat(ends),
                needs_a_look=renew <= changed,
                source=f"the certificate {how}",
            )


def _get_group_title(member: Member) -> str:
    return f"{'Installed' if member.covered_by else 'Issued'} certificates"


def _group_by_days(members: Iterable[Member]) -> dict[tuple[str, str, str], list[Member]]:
    """Group the certificates that have the same dates, in the order of their renewal."""
    groups: dict[tuple[str, str, str], list[Member]] = {}
    for member in sorted(members, key=lambda member: (member.renew_from, member.place)):
        days = (member.valid_from, member.valid_until, member.renew_from)
        groups.setdefault(days, []).append(member)
    return groups


def _find_change_date(summary: Summary) -> str:
    return summary.folder_changed[:10]
