"""The state of a folder's requests, added to a summary: files, issued certificates, next steps.

Needs no plan, so that any command that changes a request's record can update the summary.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial

from ...base.renewal_days import RenewalTerms
from ...base.shown.tables import count_of
from ...rules.findings import Finding
from ..timeline_figure import DatedFact
from .content import (
    Ask,
    Block,
    CoverFacts,
    HeldFacts,
    InUse,
    Member,
    Request,
    Summary,
    by_authority,
    code_of,
    in_words,
    number_runs,
)

_SHORT = 18  # characters of numbers that fit into a line of the picture
_NOTHING_KNOWN: Mapping[str, InUse] = {}
_NUMBERS = 60  # the most certificates that an ask names


def with_requests(
    summary: Summary,
    requests: Iterable[Request] | None = None,
    accepted: Iterable[Finding] = (),
    in_use: Mapping[str, InUse] = _NOTHING_KNOWN,
) -> Summary:
    """Add the records of the requests, and who does what.

    Parameters
    ----------
    summary : Summary
        From :func:`lyncnb.reports.summary.from_plan.summarise`.
    requests : iterable of Request, optional
        Requests of the folder; without them, nothing is written yet.
    accepted : iterable of Finding, optional
        Accepted findings about issued certificates, each about its request.
    in_use : Mapping, optional
        What the servers use, by id of the request; by default the latest issued certificate.

    Returns
    -------
    Summary
        With files, hashes, dates and asks; the same arguments give the same summary.
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
                    _on_record(
                        one,
                        records.get(one.id),
                        codes.get(one.id, ()),
                        in_use.get(one.id),
                        partial(_renew_from, block.issuer, summary.terms),
                    )
                    for one in block.members
                ),
            )
            for block in blocks
        )
    changed = _last_change(records.values())
    told = replace(summary, blocks=blocks, findings=findings, folder_changed=changed)
    facts = tuple(_facts(told)) if summary.picture else summary.facts
    return replace(told, asks=tuple(_asks(told)), facts=facts)


def progress_digest(
    requests: Iterable[Request],
    accepted: Iterable[Finding] = (),
    in_use: Mapping[str, InUse] = _NOTHING_KNOWN,
) -> str:
    """Return a digest of everything that :func:`with_requests` adds."""
    digest = hashlib.sha256()
    for one in accepted:
        digest.update(repr((one.about, one.code, one.message)).encode("utf-8", "replace"))
    for request in requests:
        files, issued = request.files, request.issued
        told: tuple[str, ...] = (request.id, files.csr, files.key)
        told = (*told, request.csr_sha256, request.spki_sha256)
        back: tuple[str, ...] = ()
        if issued is not None:
            back = (issued.sha256, issued.not_before, issued.not_after)
        elif request.covered is not None:
            back = ("covered", request.covered.thumbprint_sha1, request.covered.not_after)
        told = (*told, *_times(request), *back, *(("refused",) if request.refused else ()))
        if request.key_holder:
            told = (*told, "key on", request.key_holder)
        told = (*told, *request.import_commands, *request.assign_commands)
        told = (*told, *_of_servers(in_use.get(request.id)))
        digest.update(repr(told).encode("utf-8", "replace"))
    return digest.hexdigest()


def _of_servers(life: InUse | None) -> tuple[str, ...]:
    """Return what the summary shows of the certificate in use, for the digest."""
    if life is None:
        return ()
    if life.held is None or not (life.deployed_on or life.under_way is not None):
        return life.revoke
    told = ("in use", life.held.not_after, life.deployed_on, str(life.under_way is not None))
    return (*told, *life.revoke)


def _times(record: Request) -> tuple[str, ...]:
    return record.planned_at, record.written_at, record.issued_at, record.retired_at


def _renew_from(issuer: str, terms: RenewalTerms, held: HeldFacts) -> str:
    """Return the day on which to order the certificate that replaces this one."""
    return f"{terms.renewing(held.begins, held.ends, issuer).order_on}"


def _on_record(
    member: Member,
    record: Request | None,
    codes: Sequence[str],
    life: InUse | None,
    renew_from: Callable[[HeldFacts], str],
) -> Member:
    if record is None:
        return member
    if life is not None and life.revoke:
        member = replace(member, revoke=life.revoke)
    issued = record.issued
    held = life.held if life is not None else issued
    if member.is_at_set_up and not record.csr_sha256:
        return replace(member, warnings=(*member.warnings, *codes))
    if record.covered is not None and (life is None or life.held is record.covered):
        member = replace(member, warnings=(*member.warnings, *codes))
        return _covered(member, record.covered, renew_from(record.covered))
    told = replace(
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
    if held is not None:
        told = replace(
            told,
            valid_from=held.not_before[:10],
            valid_until=held.not_after[:10],
            renew_from=renew_from(held),
            is_to_follow=life is not None and life.under_way is not None,
            deployed_on=life.deployed_on if life is not None else "",
        )
    if issued is None:
        return replace(told, is_refused=bool(record.refused))
    return replace(told, certificate_sha256=issued.sha256)


def _covered(member: Member, cover: CoverFacts, renew_from: str) -> Member:
    until = cover.not_after[:10]
    return replace(
        member,
        csr_file=f"no request: covered by {cover.thumbprint_sha1} until {until}",
        key_file="",
        covered_by=cover.thumbprint_sha1,
        certificate_sha256=cover.sha256,
        valid_from=cover.not_before[:10],
        valid_until=until,
        renew_from=renew_from,
    )


def _last_change(records: Iterable[Request]) -> str:
    times = (time for one in records for time in _times(one))
    last = max(times, default="")
    return f"{last[:10]} {last[11:16]} UTC" if last else ""


def _facts(summary: Summary) -> Iterator[DatedFact]:
    """Yield the timeline's events: what is still planned, and when certificates end."""
    every = [member for _, member in summary.members]
    there = [member for member in every if member.valid_until]
    known = {member.id for member in there}
    yield from (fact for fact in summary.facts if fact.about not in known)
    changed = _changed_on(summary)
    if there and changed:
        day = date.fromisoformat(changed)
        yield DatedFact(
            kind=_kind(there[0]),
            about="",
            what="last change of the requests",
            begins=day,
            ends=day,
            is_present=True,
            source="the request folder",
        )
    for (begins, ends, renew), members in _alike(there).items():
        numbers = ", ".join(number_runs(every, {member.id for member in members}))
        ended = ends < changed
        words = "ended" if ended else f"renew from {renew}"
        if len(numbers) <= _SHORT:
            words += f": no. {numbers}"
        for member in members:
            how = "as installed" if member.covered_by else "as received"
            yield DatedFact(
                kind=_kind(member),
                about=member.id,
                what=words,
                begins=date.fromisoformat(begins),
                ends=date.fromisoformat(ends),
                needs_a_look=renew <= changed,
                source=f"the certificate {how}",
            )


def _kind(member: Member) -> str:
    return f"{'Installed' if member.covered_by else 'Issued'} certificates"


def _alike(members: Iterable[Member]) -> dict[tuple[str, str, str], list[Member]]:
    """Group certificates with the same days, in the order of their renewal."""
    found: dict[tuple[str, str, str], list[Member]] = {}
    for member in sorted(members, key=lambda one: (one.renew_from, one.place)):
        days = (member.valid_from, member.valid_until, member.renew_from)
        found.setdefault(days, []).append(member)
    return found


def _changed_on(summary: Summary) -> str:
    return summary.folder_changed[:10]


# --- Who does what.


def _asks(summary: Summary) -> Iterator[Ask]:
    at_set_up = {member.id for _, member in summary.members if member.is_at_set_up}
    waiting = {member.id for _, member in summary.members if member.is_waiting} - at_set_up
    there = [member for _, member in summary.members if not member.is_waiting]
    back = [member for member in there if not member.covered_by]
    yield from _of_revocations(summary)
    if waiting:
        yield from _of_planner(summary, is_under_way=bool(back))
    day = summary.planned_issue_date
    if waiting and not back and not summary.is_approved:
        sheet = summary.saved is not None
        yield Ask(
            who="Approver",
            what="Approve this plan: sign the approval sheet"
            f"{'' if sheet else ' that the planner sends'}.",
            when=f"before the requests are sent{f', in time for {day}' if day else ''}",
            where="Approval" if sheet else "this page",
            anchor="approval" if sheet else "",
        )
    yield from _of_domain_owners(summary, waiting)
    for number, (name, blocks) in enumerate(by_authority(summary.blocks).items(), start=1):
        yield from _of_authority(summary, name, blocks, f"ca{number}")
    served = {
        server for _, member in summary.members if member.is_to_install for server in member.servers
    }
    if served:
        each = f"each of {len(served):,} servers" if len(served) > 1 else "the server"
        when = "now: all certificates are issued"
        if waiting:
            when = "when the certificates are issued"
        if waiting and back:
            when = f"as they are issued: {len(back):,} of {len(back) + len(waiting):,} so far"
        yield Ask(
            who="Server team",
            what=f"Install the certificates of {each}. Follow the checklists that come with the "
            "packages.",
            when=when,
            where="Servers",
            anchor="servers",
        )
    if at_set_up:
        which = in_words(number_runs([m for _, m in summary.members], at_set_up), _NUMBERS)
        yield Ask(
            who="Server team",
            what=f"Request {which} with the deployment wizard when you set up the servers.",
            when="at set-up",
            where="Servers",
            anchor="servers",
        )
    yield from _of_renewals(summary)


def _of_revocations(summary: Summary) -> Iterator[Ask]:
    """Ask each CA to revoke certificates with a compromised key, and the planner to record it."""
    authorities = by_authority(summary.blocks)
    for number, (name, blocks) in enumerate(authorities.items(), start=1):
        words = [text for block in blocks for one in block.members for text in one.revoke]
        if words:
            yield Ask(
                who=name,
                what=f"{'; '.join(words)}.",
                when="now",
                where=name,
                anchor=f"ca{number}",
            )
    every = [member for _, member in summary.members]
    if ids := {member.id for member in every if member.revoke}:
        which = in_words(number_runs(every, ids), _NUMBERS)
        yield Ask(
            who="Planner",
            what=f"The key of {which} is compromised. Ask the CA to revoke what it issued. Then "
            "record the revocation: lyncnb deployed FOLDER ID --revoked.",
            when="now",
            where="this page",
        )


def _of_domain_owners(summary: Summary, waiting: Collection[str]) -> Iterator[Ask]:
    """Ask domain owners to prepare for the checks of a public CA; notices describe them."""
    ordered = {
        member.id
        for block, member in summary.members
        if block.issuer == "public" and member.id in waiting
    }
    codes = {
        one.code for one in summary.findings if one.severity == "notice" and one.about in ordered
    }
    if codes:
        yield Ask(
            who="Domain owners",
            what="Prepare your DNS zones for the public CA and for its domain control validation: "
            f"{count_of(len(codes), 'notice')}.",
            when="before the order goes to a public CA",
            where="Notices",
            anchor="notices",
        )


def _of_renewals(summary: Summary) -> Iterator[Ask]:
    """Ask for the renewals that are due before the next certificate in use ends, by end date."""
    changed = _changed_on(summary)
    every = [member for _, member in summary.members]
    in_use = [member for member in every if member.valid_until and not member.is_to_follow]
    until = min((one.valid_until for one in in_use if one.valid_until >= changed), default=changed)
    groups: dict[tuple[str, str], list[Member]] = defaultdict(list)
    for one in in_use:
        if one.renew_from <= until:
            groups[one.valid_until, max(one.renew_from, changed)].append(one)
    for (ends, renew), members in sorted(groups.items()):
        which = in_words(number_runs(every, {member.id for member in members}), _NUMBERS)
        yield Ask(
            who="Planner",
            what=f"Renew {which}, {'ended on' if ends < changed else 'valid until'} {ends}: "
            "make new requests, and send them to the CA.",
            when="now" if renew == changed else f"from {renew}",
            where="this page",
            anchor="days" if summary.picture else "",
        )


def _of_planner(summary: Summary, *, is_under_way: bool) -> Iterator[Ask]:
    counts = Counter(finding.severity for finding in summary.findings)
    day = summary.planned_issue_date
    sent = "before further requests are sent" if is_under_way else "before the requests are sent"
    if counts["error"]:
        yield Ask(
            who="Planner",
            what=f"Resolve {count_of(counts['error'], 'error')}, or accept each with a reason. "
            "Until then, lyncnb writes no requests.",
            when="before the requests are written",
            where="Findings",
            anchor="findings",
        )
    if counts["warning"]:
        yield Ask(
            who="Planner",
            what=f"Review {count_of(counts['warning'], 'warning')}.",
            when=sent,
            where="Findings",
            anchor="findings",
        )
    if day is None:
        yield Ask(
            who="Planner",
            what="Set planned_issue_date. Until then, the tasks below have no date.",
            when=sent,
            where="this page",
        )


def _of_authority(
    summary: Summary, name: str, blocks: Sequence[Block], anchor: str
) -> Iterator[Ask]:
    day = summary.planned_issue_date
    of_blocks = (member for block in blocks for member in block.members)
    members = [member for member in of_blocks if not member.is_at_set_up]
    missing = {member.id for member in members if member.is_waiting}
    if not missing:
        return
    every = [member for _, member in summary.members]
    runs = number_runs(every, missing)
    in_all = f", {len(missing):,} in all," if len(runs) < len(missing) else ""
    covered = sum(bool(member.covered_by) for member in members)
    back = len(members) - len(missing) - covered
    when = f"by {day}" if day else "the planner sets the date"
    if day and str(day) < _changed_on(summary):
        when = f"now: due by {day}"
    what = f"Issue {in_words(runs, _NUMBERS)}{in_all} as requested, with all names."
    if back:
        what += f" {back:,} of {back + len(missing):,} {'is' if back == 1 else 'are'} issued."
    if covered:
        what += f" Installed certificates cover {covered:,} more."
    if refused := number_runs(every, {member.id for member in members if member.is_refused}):
        which = in_words(refused, _NUMBERS)
        what += f" The response for {which} was refused: issue again. Ask the planner why."
    yield Ask(
        who=name,
        what=what,
        when=when,
        where=name,
        anchor=anchor,
    )
