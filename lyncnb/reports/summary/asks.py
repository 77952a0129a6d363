"""List who is asked for what in the summary, according to the stage of each certificate.

``reports.tasks`` contains the words for each stage. The summary also asks people who have no part
in the folder: approvers, CAs, owners of domains, and the server team. A plan without a folder is at
the first stage.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence

from ...base.dns_name import DnsName
from ...base.shown.tables import format_count, join_first_texts
from ...rules.ca_rules import load_ca_rules
from ..tasks import Group, Sentence, tell_step
from .content import Ask, Block, Member, Summary, format_certificate_numbers, group_by_authority

_DOMAINS = 10  # The largest number of domains that a task lists.

#: The stages before the CA responds. The stage of a plan without a folder is one of them.
_NOT_ISSUED = ("", "planned", "elsewhere", "waiting", "sent", "refused")
_NOT_PACKAGED = (*_NOT_ISSUED, "issued")


def list_tasks(summary: Summary) -> Iterator[Ask]:
    """Yield each task with the people who are responsible for it, in chronological order."""
    stages = _Stages(summary)
    is_first = not stages.list_ids("sent", "issued", "packaged", "deployed")
    yield from _list_revocation_tasks(stages)
    if stages.list_ids(*_NOT_ISSUED):
        yield from _list_finding_tasks(summary, is_first=is_first)
        if is_first and not summary.is_approved:
            yield from _list_approval_tasks(stages)
    yield from _list_planner_tasks(stages)
    yield from _list_domain_owner_tasks(stages)
    for number, (name, blocks) in enumerate(group_by_authority(summary.blocks).items(), start=1):
        yield from _list_authority_tasks(stages, name, blocks, f"ca{number}")
    yield from _list_folder_tasks(stages, "refused", "sent", "issued", "packaged")
    yield from _list_server_team_tasks(stages)
    yield from _list_renewal_tasks(stages)


class _Stages:
    """The certificates in a summary, grouped by the stage that they have reached."""

    def __init__(self, summary: Summary) -> None:
        self.summary = summary
        self.every = [member for _, member in summary.members]
        self.has_folder = any(member.stage for member in self.every)

    def list_ids(self, *stages: str) -> frozenset[str]:
        return frozenset(member.id for member in self.every if _find_stage(member) in stages)

    def name_ids(self, ids: Collection[str]) -> str:
        return format_certificate_numbers(self.every, ids)

    def tell(self, kind: str, ids: Collection[str]) -> Sentence:
        members = [member for member in self.every if member.id in ids]
        return tell_step(
            kind,
            Group(
                what=self.name_ids(ids),
                number=len(members),
                holder=members[0].key_holder,
                sent_on=[member.sent_on for member in members if member.sent_on],
                is_renewal=all(member.is_to_follow for member in members),
            ),
        )


def _find_stage(member: Member) -> str:
    if member.is_revoked and not member.is_to_follow:
        return "revoked"  # The certificate must be replaced, and not installed.
    return "at-set-up" if member.is_at_set_up else member.stage


def _build_planner_task(
    task: str, date_text: str = "now", anchor: str = "", location: str = "this page"
) -> Ask:
    return Ask(who="Planner", what=task, when=date_text, where=location, anchor=anchor)


def _list_revocation_tasks(stages: _Stages) -> Iterator[Ask]:
    """Yield the tasks to revoke certificates, and to record the revocations."""
    authorities = group_by_authority(stages.summary.blocks)
    for number, (name, blocks) in enumerate(authorities.items(), start=1):
        words = [text for block in blocks for member in block.members for text in member.revoke]
        if words:
            task = f"{'; '.join(words)}."
            yield Ask(who=name, what=task, when="now", where=name, anchor=f"ca{number}")
    if ids := {member.id for member in stages.every if member.revoke}:
        yield _build_planner_task(f"{stages.tell('revoke', ids)}.")
    for name, sentence in stages.summary.retired_revocations:
        yield _build_planner_task(
            f"{name} is no longer in the plan. Ask the CA: {sentence}. Then record the "
            f"revocation: lyncnb deployed FOLDER {name} --revoked."
        )
    if ids := {member.id for member in stages.every if member.is_revoked and not member.revoke}:
        yield _build_planner_task(f"{stages.tell('replace', ids).words}.")


def _list_finding_tasks(summary: Summary, *, is_first: bool) -> Iterator[Ask]:
    counts = Counter(finding.severity for finding in summary.findings)
    sent = "before the requests are sent" if is_first else "before more requests are sent"
    if counts["error"]:
        yield _build_planner_task(
            (
                f"Resolve {format_count(counts['error'], 'error')}, or accept each error with a "
                "reason. Until then, lyncnb does not write requests."
            ),
            "before the requests are written",
            anchor="findings",
            location="Findings",
        )
    if counts["warning"]:
        task = f"Review {format_count(counts['warning'], 'warning')}."
        yield _build_planner_task(task, sent, anchor="findings", location="Findings")
    if summary.planned_issue_date is None:
        yield _build_planner_task(
            ("Set planned_issue_date. Until then, the following tasks have no date."), sent
        )


def _list_approval_tasks(stages: _Stages) -> Iterator[Ask]:
    summary = stages.summary
    day = summary.planned_issue_date
    when = f"before the requests are sent{f', in time for issue on {day}' if day else ''}"
    if summary.saved is None:
        yield _build_planner_task(
            "Send the plan to the approver: write the approval sheet (lyncnb plan "
            "FOLDER/plan.json -o approval.html)."
            if stages.has_folder
            else "Send the plan to the approver: save the plan (add --save plan.json to the "
            "command lyncnb plan), then write the approval sheet (lyncnb plan plan.json -o "
            "approval.html).",
            when,
        )
    yield Ask(
        who="Approver",
        what="Approve this plan: sign the approval sheet"
        f"{'' if summary.saved else ' that the planner sends'}.",
        when=when,
        where="Approval" if summary.saved else "this page",
        anchor="approval" if summary.saved else "",
    )


def _list_planner_tasks(stages: _Stages) -> Iterator[Ask]:
    """Yield the tasks that the planner has until the CA responds."""
    if not stages.has_folder:
        saved = stages.summary.saved
        name = saved.name if saved else "plan.json"
        if stages.list_ids(*_NOT_ISSUED):
            yield _build_planner_task(
                f"Write the requests: lyncnb request --plan {name} --approved-by SIGNERS FOLDER.",
                "when approved",
            )
        return
    yield from _list_folder_tasks(stages, "planned")
    holders = {
        member.id: member.key_holder for member in stages.every if member.stage == "elsewhere"
    }
    for holder in dict.fromkeys(holders.values()):
        ids = frozenset(name for name, key_holder in holders.items() if key_holder == holder)
        yield _build_planner_task(f"{stages.tell('elsewhere', ids)}.")
    is_to_approve = not stages.summary.is_approved and _is_complete(stages, "waiting")
    yield from _list_folder_tasks(
        stages, "waiting", when="when approved" if is_to_approve else "now"
    )


def _list_folder_tasks(stages: _Stages, *kinds: str, when: str = "now") -> Iterator[Ask]:
    """Yield the planner's task for each stage that certificates of the folder have reached."""
    for kind in kinds:
        if stages.has_folder and (ids := stages.list_ids(kind)):
            sentence = stages.tell(kind, ids)
            # The server team installs the certificates.
            task = sentence.command.removeprefix(". ") if kind == "packaged" else sentence
            yield _build_planner_task(f"{task}.", when)


def _is_complete(stages: _Stages, stage: str) -> bool:
    return stages.list_ids(stage) == stages.list_ids(*_NOT_PACKAGED, "packaged", "deployed")


def _list_domain_owner_tasks(stages: _Stages) -> Iterator[Ask]:
    """Yield the tasks for owners of domains whose certificates are not issued yet.

    The owners must prepare the validation.
    """
    summary = stages.summary
    waiting, issued = (
        stages.list_ids(*_NOT_ISSUED),
        stages.list_ids("issued", "packaged", "deployed"),
    )
    ordered, needed_domains, validated = set(), set(), set()
    for line in summary.members:
        if line.block.issuer != "public":
            continue
        domains = {str(DnsName(name).registered_domain or name) for name in line.names}
        if line.member.id in waiting:
            ordered.add(line.member.id)
            needed_domains |= domains
        elif line.member.id in issued:
            validated |= domains
    public = {line.member.id for line in summary.members if line.block.issuer == "public"}
    subjects = load_ca_rules().groups_by_code
    codes = {
        finding.code
        for finding in summary.findings
        if finding.code in subjects and finding.about in public
    }
    if codes and ordered and (pending_domains := sorted(needed_domains - validated)):
        yield Ask(
            who="Domain owners",
            what=(
                f"Prepare the DNS zones of {join_first_texts(pending_domains, _DOMAINS)} for the "
                "public CA, so that the CA can validate control of the domains "
                f"({format_count(len(codes), 'notice')})."
            ),
            when="before you order from a public CA",
            where="Notices",
            anchor="notices",
        )


def _list_authority_tasks(
    stages: _Stages, name: str, blocks: Sequence[Block], anchor: str
) -> Iterator[Ask]:
    members = [member for block in blocks for member in block.members if not member.is_at_set_up]
    missing = {member.id for member in members if member.stage in _NOT_ISSUED}
    if not missing:
        return
    words, day = stages.name_ids(missing), stages.summary.planned_issue_date
    in_all = f", {len(missing):,} in all," if " to " in words else ""
    task = f"Issue {words}{in_all} as requested, with all names."
    covered = sum(member.stage == "covered" for member in members)
    if issued_count := len(members) - len(missing) - covered:
        verb = "is" if issued_count == 1 else "are"
        task += f" {issued_count:,} of {issued_count + len(missing):,} {verb} issued."
    if covered:
        task += f" Installed certificates cover {format_count(covered, 'more request')}."
    sent = sorted(member.sent_on for member in members if member.stage == "sent")
    if sent:
        task += f" The planner packaged {format_count(len(sent), 'request')} on {sent[0]}."
    if refused := {member.id for member in members if member.stage == "refused"}:
        numbers = stages.name_ids(refused)
        task += (
            f" lyncnb rejected the certificate that the CA returned for {numbers}. Issue "
            "the certificate again. Ask the planner for the reason."
        )
    when = f"by {day}" if day else "the planner sets the date"
    if day and str(day) < stages.summary.folder_changed[:10]:
        # The planned issue date is the date of the first order, so a renewal is not late after it.
        are_renewals = all(member.is_to_follow for member in members if member.id in missing)
        when = "now" if are_renewals else f"now: due by {day}"
    yield Ask(who=name, what=task, when=when, where=name, anchor=anchor)


def _list_server_team_tasks(stages: _Stages) -> Iterator[Ask]:
    later = "when the planner sends the packages"
    for states, when in ((("packaged",), "now"), (_NOT_PACKAGED, later)):
        ids = stages.list_ids(*states)
        members = [member for member in stages.every if member.id in ids]
        servers = {server for member in members for server in member.servers}
        ends = [member.valid_until for member in members if member.is_to_follow]
        if ends:
            when += f". The first certificate in use ends on {min(ends)}"
        if servers:
            yield Ask(
                who="Server team",
                what=f"Install {stages.name_ids(ids)} on {format_count(len(servers), 'server')}. "
                "Follow the checklists that come with the packages.",
                when=when,
                where="Servers",
                anchor="servers",
            )
    if ids := stages.list_ids("at-set-up"):
        yield Ask(
            who="Server team",
            what=f"Request {stages.name_ids(ids)} with the Deployment Wizard when you set up "
            "the servers.",
            when="at set-up",
            where="Servers",
            anchor="servers",
        )


def _list_renewal_tasks(stages: _Stages) -> Iterator[Ask]:
    """Yield a task for each group of certificates that must soon be renewed."""
    changed = stages.summary.folder_changed[:10]
    in_use = [member for member in stages.every if member.valid_until and not member.is_to_follow]
    until = min(
        (member.valid_until for member in in_use if member.valid_until >= changed), default=changed
    )
    groups: dict[tuple[str, str], list[Member]] = defaultdict(list)
    for member in in_use:
        if member.renew_from <= until:
            groups[member.valid_until, max(member.renew_from, changed)].append(member)
    for (valid_until, renew), members in sorted(groups.items()):
        numbers = stages.name_ids({member.id for member in members})
        yield _build_planner_task(
            f"Renew {numbers}, {'expired on' if valid_until < changed else 'valid until'} "
            f"{valid_until}: create new requests, and send them to the CA.",
            "now" if renew == changed else f"from {renew}",
            anchor="days" if stages.summary.picture else "",
        )
