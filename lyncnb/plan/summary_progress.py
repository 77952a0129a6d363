"""Where the requests of a folder stand, added to a summary: files, what came back, what to do next.

Needs no plan: a command that changes what is on record of a request can tell it anew.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from itertools import groupby

from ..base.tables import count_of
from ..rules.findings import Finding
from .summary_content import (
    Ask,
    Block,
    CoverFacts,
    Member,
    Request,
    Summary,
    by_authority,
    code_of,
)
from .timeline_figure import DatedFact

_NUMBERS = 60  # of certificates that an ask names at most


def with_requests(
    summary: Summary,
    requests: Iterable[Request] | None = None,
    accepted: Iterable[Finding] = (),
) -> Summary:
    """Add what is on record of the requests, and what is asked of whom.

    Parameters
    ----------
    summary : Summary
        From :func:`lyncnb.plan.summary_from_plan.summarise`.
    requests : iterable of Request, optional
        Requests of the folder; without them nothing is written yet.
    accepted : iterable of Finding, optional
        What was accepted of certificates that came back, each about its request.

    Returns
    -------
    Summary
        With files, hashes, dates and asks; the same arguments give the same.
    """
    records = {request.id: request for request in requests or ()}
    findings = (*summary.findings, *accepted)
    codes: dict[str, list[str]] = defaultdict(list)
    for one in findings[len(summary.findings) :]:
        codes[one.about].append(code_of(one))
    blocks = summary.blocks
    if records:
        blocks = tuple(
            replace(
                block,
                members=tuple(
                    _on_record(one, records.get(one.id), codes.get(one.id, ()))
                    for one in block.members
                ),
            )
            for block in blocks
        )
    changed = _last_change(records.values())
    told = replace(summary, blocks=blocks, findings=findings, folder_changed=changed)
    ends = tuple(_ends(told)) if summary.picture else ()
    return replace(told, asks=tuple(_asks(told)), facts=(*summary.facts, *ends))


def progress_digest(requests: Iterable[Request], accepted: Iterable[Finding] = ()) -> str:
    """Give a digest of everything that :func:`with_requests` adds."""
    digest = hashlib.sha256()
    for one in accepted:
        digest.update(repr((one.about, one.code, one.message)).encode("utf-8", "replace"))
    for request in requests:
        files, issued = request.files, request.issued
        told = (request.id, files.csr, files.key, request.csr_sha256, request.spki_sha256)
        back: tuple[str, ...] = ()
        if issued is not None:
            back = (issued.sha256, issued.not_before, issued.not_after)
        elif request.covered is not None:
            back = ("covered", request.covered.thumbprint_sha1, request.covered.not_after)
        digest.update(repr((*told, *_times(request), *back)).encode("utf-8", "replace"))
    return digest.hexdigest()


def _times(record: Request) -> tuple[str, ...]:
    return record.planned_at, record.written_at, record.issued_at, record.retired_at


def _on_record(member: Member, record: Request | None, codes: Sequence[str]) -> Member:
    if record is None:
        return member
    issued = record.issued
    if record.covered is not None:
        return _covered(replace(member, warnings=(*member.warnings, *codes)), record.covered)
    told = replace(
        member,
        csr_file=record.files.csr,
        key_file=record.files.key,
        csr_sha256=record.csr_sha256,
        spki_sha256=record.spki_sha256,
        warnings=(*member.warnings, *codes),
    )
    if issued is None:
        return told
    return replace(
        told,
        certificate_sha256=issued.sha256,
        valid_from=issued.not_before[:10],
        valid_until=issued.not_after[:10],
        renew_from=f"{issued.renew_from:%Y-%m-%d}",
    )


def _covered(member: Member, cover: CoverFacts) -> Member:
    until = cover.not_after[:10]
    return replace(
        member,
        csr_file=f"no request: covered by {cover.thumbprint_sha1} until {until}",
        key_file="",
        covered_by=cover.thumbprint_sha1,
        certificate_sha256=cover.sha256,
        valid_from=cover.not_before[:10],
        valid_until=until,
        renew_from=f"{cover.renew_from:%Y-%m-%d}",
    )


def _last_change(records: Iterable[Request]) -> str:
    times = (time for one in records for time in _times(one))
    last = max(times, default="")
    return f"{last[:10]} {last[11:16]} UTC" if last else ""


def _ends(summary: Summary) -> Iterator[DatedFact]:
    """Tell when what came back is to be renewed and ends, for the picture of days."""
    for block, member in summary.members:
        if member.valid_until:
            what = "stand" if member.covered_by else "are back"
            how = "as it stands" if member.covered_by else "as received"
            yield DatedFact(
                kind=f"Certificates that {what}",
                about=member.id,
                what=f"no. {block.number}, renew from {member.renew_from}",
                begins=date.fromisoformat(member.valid_from),
                ends=date.fromisoformat(member.valid_until),
                source=f"the certificate {how}",
            )


# --- Who is asked for what.


def _asks(summary: Summary) -> Iterator[Ask]:
    day = summary.planned_issue_date
    waiting = [member for _, member in summary.members if not member.certificate_sha256]
    if waiting:
        yield from _of_planner(summary)
        yield Ask(
            who="Whoever decides",
            what="Agree to this plan: the Word document that the planner sends "
            "(lyncnb plan … -o plan.docx) ends with a page to sign.",
            when=f"before {day}" if day else "before the requests are sent",
            where="this page",
        )
    for number, (name, blocks) in enumerate(by_authority(summary.blocks).items(), start=1):
        yield from _of_authority(name, blocks, day, f"ca{number}")
    served = {server for _, member in summary.members for server in member.servers}
    if served:
        yield Ask(
            who="Server team",
            what=f"Install what each of {count_of(len(served), 'server')} needs, by the "
            "checklists that come with the packages.",
            when="when the certificates are back" if waiting else "now: all certificates are back",
            where="Servers",
            anchor="servers",
        )


def _of_planner(summary: Summary) -> Iterator[Ask]:
    counts = Counter(finding.severity for finding in summary.findings)
    day = summary.planned_issue_date
    if counts["error"]:
        yield Ask(
            who="Planner",
            what=f"Settle {count_of(counts['error'], 'error')}. Until then no request is "
            "written, unless an error is accepted with a reason.",
            when="before the requests are written",
            where="Findings",
            anchor="findings",
        )
    if counts["warning"]:
        yield Ask(
            who="Planner",
            what=f"Look at {count_of(counts['warning'], 'warning')}.",
            when="before the requests are sent",
            where="Findings",
            anchor="findings",
        )
    if day is None:
        yield Ask(
            who="Planner",
            what="Set the day on which the certificates are to be issued; nobody below has a "
            "date before that.",
            when="before the requests are sent",
            where="this page",
        )


def _of_authority(
    name: str, blocks: Sequence[Block], day: date | None, anchor: str
) -> Iterator[Ask]:
    members = [member for block in blocks for member in block.members]
    number = sum(not member.certificate_sha256 for member in members)
    if not number:
        return
    numbers = list(_missing(members))
    places = ", ".join(numbers[:_NUMBERS]) + (" …" if len(numbers) > _NUMBERS else "")
    covered = sum(bool(member.covered_by) for member in members)
    back = len(members) - number - covered
    yield Ask(
        who=name,
        what=f"Issue {count_of(number, 'certificate')} as requested, every name included: "
        f"no. {places}."
        + (f" {back:,} of {len(members) - covered:,} are back." if back else "")
        + (f" {covered:,} more are covered by certificates that stand." if covered else ""),
        when=f"by {day}" if day else "the planner sets the day",
        where=name,
        anchor=anchor,
    )


def _missing(members: Iterable[Member]) -> Iterator[str]:
    """Give the numbers of the certificates that are not back, e.g. ``1.1 to 4`` and ``6``."""
    for is_back, run in groupby(members, key=lambda member: bool(member.certificate_sha256)):
        numbers = [member.number for member in run]
        if not is_back and len(numbers) > 2:
            yield f"{numbers[0]} to {numbers[-1]}"
        elif not is_back:
            yield from numbers
