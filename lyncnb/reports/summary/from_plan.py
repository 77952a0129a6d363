"""Convert a ``CertificatePlan`` and its findings to a ``Summary``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from ...base.garbage_collection import pause_garbage_collection
from ...base.shown.languages import make_translator
from ...base.shown.tables import format_count
from ...plan.model import CertificatePlan, PlannedCertificate
from ...plan.spellings import find_spellings
from ...plan.totals import build_origin, explain_missing_certificate, format_totals
from ...rules.findings import Finding
from ...rules.model import NameRule, Rules
from ...rules.support import find_support
from ..figures import figure
from ..timeline_figure import list_plan_events
from .content import (
    AS_LONG_AS_GIVEN,
    TITLE,
    Block,
    Member,
    NeededNames,
    Picture,
    ServerLine,
    Summary,
    format_code,
)

# The largest number of servers and certificates for which a picture is readable.
_MOST_IN_A_PICTURE = 5_000


@pause_garbage_collection()
def build_summary(
    plan: CertificatePlan,
    findings: Sequence[Finding],
    *,
    pictures: bool = False,
    table_only: bool = False,
) -> Summary:
    """Return the summary of a plan, before its requests are written.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates.
    findings : sequence of Finding
        The findings of the checks.
    pictures : bool, optional
        Whether to draw the plan and its timeline.
    table_only : bool, optional
        Whether to include only what a table of the certificates needs.

    Returns
    -------
    Summary
        At most n blocks; the same arguments give the same summary. File names are those of the
        files that will be written.
    """
    blocks = _build_blocks(plan, findings)
    domains = tuple(map(str, plan.topology.sip_domains))
    origin = build_origin(plan, judged_on=getattr(findings, "judged_on", None))
    support = find_support(plan.rules.product)
    summary = Summary(
        title=f"{TITLE}{plan.rules.title}",
        product=plan.rules.title,
        deployment=origin.deployment,
        origin=origin,
        support=support.describe_support(origin.judged_on) if support else "",
        sip_domains=domains,
        lang=plan.options.lang,
        terms=plan.options.renewal_terms,
        sites=tuple(dict.fromkeys(pool.site for pool in plan.topology.pools if pool.site)),
        roles=tuple(_list_roles(plan)),
        planned_issue_date=plan.options.planned_issue_date,
        valid_for=_describe_validity(plan),
        totals="" if table_only else format_totals(plan, findings),
        # Omit the edit that fixes the finding, because readers of a summary do not need the edit.
        findings=tuple(
            replace(translated, edits=()) if translated.edits else translated
            for translated in (finding.in_language(plan.options.lang) for finding in findings)
        ),
        blocks=blocks,
        servers=() if table_only else tuple(_list_server_lines(plan, blocks)),
        plan_sha256="" if table_only else plan.sha256,
        spellings=() if table_only else find_spellings(plan),
        reasons=() if table_only else tuple(_list_reasons(plan.rules, blocks)),
    )
    return add_pictures(summary, plan) if pictures else summary


def list_ids_in_order(plan: CertificatePlan) -> tuple[str, ...]:
    """Return the certificate IDs of a plan in the order in which a folder numbers them."""
    return tuple(member.id for block in _build_blocks(plan, ()) for member in block.members)


def _describe_validity(plan: CertificatePlan) -> str:
    """Describe the requested validity, for each issuer if the values differ."""
    days = {
        certificate.issuer: plan.options.validity_for(certificate.issuer)
        for certificate in plan.certificates
    }
    if len(set(days.values())) < 2:
        return _describe_days(next(iter(days.values()), plan.options.validity_days))
    return "; ".join(f"{issuer}: {_describe_days(days[issuer])}" for issuer in sorted(days))


def _describe_days(days: int | None) -> str:
    return (
        f"{format_count(days, 'day')}, if the CA allows this period" if days else AS_LONG_AS_GIVEN
    )


def add_pictures(summary: Summary, plan: CertificatePlan) -> Summary:
    """Add a picture of the plan and a timeline to a summary, unless they are too large."""
    if len(plan.certificates) > _MOST_IN_A_PICTURE:
        return summary
    picture = _build_picture(plan) if plan.certificates else None
    return replace(summary, picture=picture, facts=list_plan_events(plan))


def _list_reasons(rules: Rules, blocks: Iterable[Block]) -> Iterator[NameRule]:
    used = dict.fromkeys(rule for block in blocks for names in block.names for rule in names.rules)
    return (rules.names[rule] for rule in used if rule in rules.names)


def _list_roles(plan: CertificatePlan) -> Iterator[str]:
    titles = _list_titles(plan)
    counted: Counter[str] = Counter()
    for pool in plan.topology.pools:
        counted[pool.role] += len(pool.computers)
    for role, number in counted.items():
        yield f"{number:,} × {titles.get(role, role)}"


def _build_picture(plan: CertificatePlan) -> Picture:
    drawn = figure(plan)
    return Picture(title=drawn.title, description=drawn.description, svg=drawn.svg)


# --- Blocks.


def _build_blocks(plan: CertificatePlan, findings: Iterable[Finding]) -> tuple[Block, ...]:
    groups: dict[tuple[object, ...], list[tuple[int, PlannedCertificate]]] = {}
    for index, certificate in enumerate(plan.certificates):
        groups.setdefault(_make_block_key(certificate), []).append((index, certificate))
    # The summary lists the certificates of each CA together, and numbers them in the order of the
    # list.
    authorities: dict[tuple[str, str], list[list[tuple[int, PlannedCertificate]]]] = {}
    for group in groups.values():
        authorities.setdefault((group[0][1].issuer, group[0][1].ca), []).append(group)
    maker = _BlockMaker(plan, findings)
    shared = Counter(group[0][1].pool for group in groups.values())
    return tuple(
        maker.build_block(position, group, has_sibling=shared[group[0][1].pool] > 1)
        for position, group in enumerate(chain.from_iterable(authorities.values()), start=1)
    )


def _find_own_server(certificate: PlannedCertificate) -> str:
    """Return the server that the certificate belongs to, or "" if servers share the certificate."""
    return certificate.servers[0] if certificate.shared_by == "server" else ""


def _make_block_key(certificate: PlannedCertificate) -> tuple[object, ...]:
    """Return the values that all certificates in a block have in common."""
    own_server = _find_own_server(certificate)
    return (
        certificate.role, certificate.site, certificate.pool, certificate.usages,
        certificate.subject, certificate.extended_key_usage, certificate.key, certificate.hash,
        certificate.shared_by, certificate.rule, certificate.issuer, certificate.ca,
        certificate.at_set_up,
        tuple(entry.reasons if entry.name == own_server else entry for entry in
              certificate.subject_alt_name),
    )  # fmt: skip


class _BlockMaker:
    """A builder for blocks of similar certificates, which looks up shared data only once."""

    def __init__(self, plan: CertificatePlan, findings: Iterable[Finding]) -> None:
        self._rules = plan.rules
        self._titles = _list_titles(plan)
        self._by_id = {rule.id: rule for rule in plan.rules.certificates}
        self._codes = _group_codes_by_subject(findings)
        self._reasons: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[str, ...]]] = {}
        # A finding about a pool names the first server of the pool.
        self._first = {str(pool.fqdn): str(pool.computers[0].fqdn) for pool in plan.topology.pools}

    def build_block(
        self,
        position: int,
        group: Sequence[tuple[int, PlannedCertificate]],
        *,
        has_sibling: bool,
    ) -> Block:
        first_certificate, is_folded = group[0][1], len(group) > 1
        own_server = _find_own_server(first_certificate) if is_folded else ""
        rule = self._by_id.get(first_certificate.rule)
        return Block(
            place=position,
            role=first_certificate.role,
            title=self._titles.get(first_certificate.role, first_certificate.role),
            pool=first_certificate.pool,
            site=first_certificate.site,
            usages=first_certificate.usages,
            subject=first_certificate.subject.to_rfc4514(),
            names=tuple(self._list_needed_names(first_certificate, own_server)),
            alternative_names=tuple(
                "" if name == own_server else str(name) for name in first_certificate.names
            ),
            extended_key_usage=first_certificate.extended_key_usage,
            key=str(first_certificate.key),
            hash=first_certificate.hash,
            issuer=first_certificate.issuer,
            ca=first_certificate.ca,
            shared_by=first_certificate.shared_by,
            rule=first_certificate.rule,
            source=rule.source if rule else "",
            members=tuple(self._build_member(index, certificate) for index, certificate in group),
            has_sibling=has_sibling,
        )

    def _build_member(self, index: int, certificate: PlannedCertificate) -> Member:
        request_id = certificate.id
        warnings: tuple[str, ...] = ()
        if self._codes:
            subjects = (request_id, self._first.get(certificate.pool, ""), *certificate.servers)
            codes = (code for subject in subjects for code in self._codes.get(subject, ()))
            warnings = tuple(dict.fromkeys(codes))
        if certificate.at_set_up:
            first = min(certificate.servers)
            return Member(
                place=index,
                id=request_id,
                servers=certificate.servers,
                csr_file=(f"no request: created on {first} during server setup"),
                key_file="",
                warnings=warnings,
                key_holder=first,
                is_at_set_up=True,
            )
        return Member(
            place=index,
            id=request_id,
            servers=certificate.servers,
            csr_file=f"csr/{request_id}.csr",
            key_file=f"keys/{request_id}.key",
            warnings=warnings,
        )

    def _list_needed_names(
        self, certificate: PlannedCertificate, own_server: str
    ) -> Iterator[NeededNames]:
        subject = certificate.subject.common_name
        alternative = frozenset(certificate.names)
        groups: dict[tuple[bool, bool, tuple[str, ...]], list[str]] = {}
        if subject and subject not in alternative:
            rule = self._by_id.get(certificate.rule)
            groups[True, False, (rule.subject_name,) if rule else ()] = [subject]
        for entry in certificate.subject_alt_name:
            key = (entry.name == subject, entry.name == own_server, tuple(entry.reasons))
            groups.setdefault(key, []).append(str(entry.name))
        for (is_subject, is_own, rule_ids), names in groups.items():
            reasons, sources = self._explain_rules(rule_ids)
            yield NeededNames(
                names=() if is_own else tuple(names),
                why=reasons,
                rules=rule_ids,
                sources=sources,
                is_subject=is_subject,
                is_own=is_own,
                is_alternative=names[0] in alternative,
            )

    def _explain_rules(self, rule_ids: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return why rules require a name, with the sources.

        The result is cached for all certificates.
        """
        if rule_ids not in self._reasons:
            # A plan that was saved with an older rule file can contain a rule that no longer
            # exists.
            names = self._rules.names
            because = [names[rule_id] for rule_id in rule_ids if rule_id in names]
            sources = tuple(dict.fromkeys(rule.source for rule in because))
            self._reasons[rule_ids] = tuple(rule.why for rule in because), sources
        return self._reasons[rule_ids]


def _list_titles(plan: CertificatePlan) -> Mapping[str, str]:
    translate = make_translator(plan.options.lang)
    titles = {role.id: role.title for role in plan.rules.roles.values()}
    titles["Deployment"] = "Deployment"
    return {role: translate(title) for role, title in titles.items()}


def _group_codes_by_subject(findings: Iterable[Finding]) -> dict[str, list[str]]:
    """Group the codes of findings by certificate, server or pool."""
    codes: dict[str, list[str]] = {}
    for finding in findings:
        codes.setdefault(finding.about, []).append(format_code(finding))
    return codes


# --- The following functions list all servers, even those that need no certificate.


def _list_server_lines(plan: CertificatePlan, blocks: Iterable[Block]) -> Iterator[ServerLine]:
    titles = _list_titles(plan)
    needed: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for block in blocks:
        purpose = block.what
        for member in block.members:
            for server in member.servers:
                needed[server].append((member.id, purpose))
    reasons: dict[str, str] = {}
    for pool, computer in plan.topology.computers:
        server = str(computer.fqdn)
        has = needed.get(server, ())
        if not has and pool.role not in reasons:
            reasons[pool.role] = explain_missing_certificate(plan.rules, pool.role)
        yield ServerLine(
            server=server,
            title=titles.get(pool.role, pool.role),
            pool=str(pool.fqdn),
            site=pool.site,
            target_os=computer.target_os,
            certificates=tuple(name for name, _ in has),
            usages=tuple(purpose for _, purpose in has),
            why_none="" if has else reasons[pool.role],
        )
