"""What a summary says, before anybody lays it out: cover, blocks of certificates, servers.

The page, the workbook, the wiki text and the document to sign all tell the same; what they tell
is put together here, once, in the order of the plan. Nothing in it depends on the day: the same
plan, findings and requests give the same content.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from ..base.dns_name import DnsName
from ..rules.findings import Finding
from ..rules.model import SEVERITIES, Rules
from ..topology.topology import Topology
from .model import CertificatePlan, PlannedCertificate
from .spellings import Spelling, spellings

#: How every summary begins, and is known again.
TITLE = "Certificates for "


class RequestPlaces(Protocol):
    """Where CSR and key of a request stand, relative to the folder."""

    @property
    def csr(self) -> str:
        """File of the CSR."""

    @property
    def key(self) -> str:
        """File of the key."""


class IssuedFacts(Protocol):
    """What is on record of a certificate that came back; times are UTC, ISO 8601."""

    @property
    def sha256(self) -> str:
        """Of the certificate, DER."""

    @property
    def not_before(self) -> str:
        """When it begins."""

    @property
    def not_after(self) -> str:
        """When it ends."""


class Request(Protocol):
    """What the summary tells of a request of the folder.

    Hashes are empty until the request is written; times are UTC, ISO 8601, or empty.
    """

    @property
    def id(self) -> str:
        """Id, also the stem of its files."""

    @property
    def files(self) -> RequestPlaces:
        """Where it stands."""

    @property
    def csr_sha256(self) -> str:
        """Of the request, DER."""

    @property
    def spki_sha256(self) -> str:
        """Of the public key."""

    @property
    def planned_at(self) -> str:
        """When it was announced."""

    @property
    def written_at(self) -> str:
        """When key and request were written."""

    @property
    def issued_at(self) -> str:
        """When its certificate came back."""

    @property
    def packaged_at(self) -> str:
        """When its package was made."""

    @property
    def retired_at(self) -> str:
        """When it left the plan."""

    @property
    def issued(self) -> IssuedFacts | None:
        """What is on record of its certificate, None before it came back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeededNames:
    """Names of a certificate that stand there for the same reasons.

    ``is_own`` marks the name that each certificate of a block has for itself: its server's.
    ``is_alternative`` is false for a subject name that does not stand among the alternative names.
    """

    names: tuple[str, ...]
    why: tuple[str, ...]
    rules: tuple[str, ...]
    sources: tuple[str, ...]
    is_subject: bool = False
    is_own: bool = False
    is_alternative: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One certificate of a block: its servers, its files, and what identifies its request."""

    number: str  # 3, or 3.2 where a block holds several
    id: str
    servers: tuple[str, ...]
    csr_file: str
    key_file: str
    csr_sha256: str = ""
    spki_sha256: str = ""
    certificate_sha256: str = ""
    valid_from: str = ""  # YYYY-MM-DD, UTC
    valid_until: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Certificates that differ in nothing but the server whose own name is on them."""

    number: int
    role: str
    title: str  # of the role
    pool: str  # "" for the deployment's
    site: str
    usages: tuple[str, ...]
    subject: str
    names: tuple[NeededNames, ...]
    extended_key_usage: tuple[str, ...]
    key: str
    hash: str
    issuer: str
    ca: str
    shared_by: str
    rule: str
    source: str
    members: tuple[Member, ...]
    warnings: tuple[str, ...]

    @property
    def whom(self) -> str:
        """Say for whom the block is, e.g. ``eepool01.contoso.net``."""
        return self.pool or "the whole deployment"

    @property
    def sharing(self) -> str:
        """Say in words how many certificates there are and who shares them."""
        servers = {server for member in self.members for server in member.servers}
        if self.shared_by == "server":
            if len(self.members) == 1:
                return "one certificate, for this server alone"
            return f"{len(self.members):,} certificates, one for each server"
        many = count_of(len(servers), "server")
        return f"one certificate, the same on {many}" if len(servers) > 1 else "one certificate"

    @property
    def authority(self) -> str:
        """Name the CA, or say of which kind it is to be."""
        return authority_name(self.issuer, self.ca)

    @property
    def has_fingerprints(self) -> bool:
        """Whether the requests are written, so that they can be told by their hash."""
        return any(member.csr_sha256 for member in self.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is asked of whom, and until when."""

    who: str
    what: str
    when: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLine:
    """One server in one role, and the certificates that it needs (numbers of blocks)."""

    server: str
    title: str
    pool: str
    site: str
    target_os: str
    certificates: tuple[str, ...]
    why_none: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All that a summary tells.

    ``left_out`` counts the certificates that are in the plan and not in ``blocks``.
    """

    title: str
    product: str
    deployment: str
    sip_domains: tuple[str, ...]
    planned_issue_date: date | None
    folder_changed: str  # YYYY-MM-DD HH:MM UTC, "" without a folder
    totals: str
    asks: tuple[Ask, ...]
    findings: tuple[Finding, ...]
    blocks: tuple[Block, ...]
    servers: tuple[ServerLine, ...]
    plan_sha256: str
    spellings: tuple[Spelling, ...] = ()
    left_out: int = 0


def summarise(
    plan: CertificatePlan,
    findings: Sequence[Finding],
    requests: Iterable[Request] | None = None,
    *,
    limit: int | None = None,
) -> Summary:
    """Put together what a summary tells.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates.
    findings : sequence of Finding
        What the checks found.
    requests : iterable of Request, optional
        Requests of the folder; without them the file names are those that they will have.
    limit : int, optional
        Certificates in the blocks at most.

    Returns
    -------
    Summary
        At most n blocks; the same arguments give the same.
    """
    records = {request.id: request for request in requests or ()}
    shown = plan.certificates if limit is None else plan.certificates[:limit]
    blocks = _blocks(plan, shown, findings, records)
    domains = tuple(map(str, plan.topology.sip_domains))
    return Summary(
        title=f"{TITLE}{plan.rules.title}",
        product=plan.rules.title,
        deployment=domains[0] if domains else "",
        sip_domains=domains,
        planned_issue_date=plan.options.planned_issue_date,
        folder_changed=_last_change(records.values()),
        totals=totals(plan, findings),
        asks=tuple(_asks(plan, findings, blocks)),
        findings=tuple(findings),
        blocks=blocks,
        servers=tuple(_server_lines(plan, blocks)),
        plan_sha256=plan.sha256,
        spellings=spellings(plan),
        left_out=len(plan.certificates) - len(shown),
    )


def _last_change(records: Iterable[Request]) -> str:
    times = [
        time
        for record in records
        for time in (
            record.planned_at, record.written_at, record.issued_at, record.packaged_at,
            record.retired_at,
        )
    ]  # fmt: skip
    last = max(times, default="")
    return f"{last[:10]} {last[11:16]} UTC" if last else ""


# --- Blocks.


def _blocks(
    plan: CertificatePlan,
    certificates: Sequence[PlannedCertificate],
    findings: Iterable[Finding],
    records: Mapping[str, Request],
) -> tuple[Block, ...]:
    groups: dict[tuple[object, ...], list[PlannedCertificate]] = {}
    for certificate in certificates:
        groups.setdefault(_likeness(certificate), []).append(certificate)
    codes = codes_by_subject(findings)
    first = first_servers(plan.topology)
    titles = _titles(plan.rules)
    sources = {rule.id: rule.source for rule in plan.rules.certificates}
    return tuple(
        _block(number, group, plan.rules, titles, sources, records, codes, first)
        for number, group in enumerate(groups.values(), start=1)
    )


def _own_name(certificate: PlannedCertificate) -> str:
    """Give the server's own name, where each server has a certificate of its own."""
    return certificate.servers[0] if certificate.shared_by == "server" else ""


def _likeness(certificate: PlannedCertificate) -> tuple[object, ...]:
    """Give all that certificates of one block have in common."""
    own = _own_name(certificate)
    return (
        certificate.role, certificate.site, certificate.pool, certificate.usages,
        certificate.subject, certificate.extended_key_usage, certificate.key, certificate.hash,
        certificate.shared_by, certificate.rule, certificate.issuer, certificate.ca,
        tuple(e for e in certificate.subject_alt_name if e.name != own),
    )  # fmt: skip


def _block(
    number: int,
    group: Sequence[PlannedCertificate],
    rules: Rules,
    titles: Mapping[str, str],
    sources: Mapping[str, str],
    records: Mapping[str, Request],
    codes: Mapping[str, Sequence[str]],
    first: Mapping[str, str],
) -> Block:
    one = group[0]
    members = tuple(
        _member(f"{number}.{place}" if len(group) > 1 else str(number), certificate, records)
        for place, certificate in enumerate(group, start=1)
    )
    about = (
        code
        for member in members
        for subject in (member.id, first.get(one.pool, ""), *member.servers)
        for code in codes.get(subject, ())
    )
    return Block(
        number=number,
        role=one.role,
        title=titles.get(one.role, one.role),
        pool=one.pool,
        site=one.site,
        usages=one.usages,
        subject=one.subject.to_rfc4514(),
        names=tuple(_needed_names(one, rules, is_folded=len(group) > 1)),
        extended_key_usage=one.extended_key_usage,
        key=str(one.key),
        hash=one.hash,
        issuer=one.issuer,
        ca=one.ca,
        shared_by=one.shared_by,
        rule=one.rule,
        source=sources.get(one.rule, ""),
        members=members,
        warnings=tuple(dict.fromkeys(about)),
    )


def _needed_names(
    certificate: PlannedCertificate, rules: Rules, *, is_folded: bool
) -> Iterator[NeededNames]:
    subject, own = certificate.subject.common_name, _own_name(certificate)
    groups: dict[tuple[bool, bool, tuple[str, ...]], list[str]] = {}
    if subject and subject not in certificate.names:
        ids = (rule.subject_name for rule in rules.certificates if rule.id == certificate.rule)
        groups[True, False, tuple(ids)] = [subject]
    for entry in certificate.subject_alt_name:
        is_own = is_folded and entry.name == own
        key = (entry.name == subject, is_own, tuple(entry.reasons))
        groups.setdefault(key, []).append(str(entry.name))
    for (is_subject, is_own, rule_ids), names in groups.items():
        # A plan saved under an older rule file may name a rule that is gone.
        because = [rules.names[rule_id] for rule_id in rule_ids if rule_id in rules.names]
        yield NeededNames(
            names=() if is_own else tuple(names),
            why=tuple(rule.why for rule in because),
            rules=rule_ids,
            sources=tuple(dict.fromkeys(rule.source for rule in because)),
            is_subject=is_subject,
            is_own=is_own,
            is_alternative=names[0] in certificate.names,
        )


def _member(number: str, certificate: PlannedCertificate, records: Mapping[str, Request]) -> Member:
    request_id = certificate.id
    record = records.get(request_id)
    if record is None:
        return Member(
            number=number,
            id=request_id,
            servers=certificate.servers,
            csr_file=f"csr/{request_id}.csr",
            key_file=f"keys/{request_id}.key",
        )
    issued = record.issued
    return Member(
        number=number,
        id=request_id,
        servers=certificate.servers,
        csr_file=record.files.csr,
        key_file=record.files.key,
        csr_sha256=record.csr_sha256,
        spki_sha256=record.spki_sha256,
        certificate_sha256=issued.sha256 if issued else "",
        valid_from=issued.not_before[:10] if issued else "",
        valid_until=issued.not_after[:10] if issued else "",
    )


def _titles(rules: Rules) -> Mapping[str, str]:
    return {role.id: role.title for role in rules.roles.values()} | {"Deployment": "Deployment"}


def codes_by_subject(findings: Iterable[Finding]) -> dict[str, list[str]]:
    """List the findings about each certificate, server or pool, as ``severity: code``.

    One that was accepted is ``accepted: code (the reason)``.
    """
    codes: dict[str, list[str]] = {}
    for finding in findings:
        told = f"{finding.severity}: {finding.code}"
        if finding.accepted:
            told = f"accepted: {finding.code} ({finding.accepted})"
        codes.setdefault(finding.about, []).append(told)
    return codes


def first_servers(topology: Topology) -> dict[str, str]:
    """Give the first server of each pool, under whose name findings speak of the pool."""
    return {str(pool.fqdn): str(pool.computers[0].fqdn) for pool in topology.pools}


# --- Who is asked for what.


def authority_name(issuer: str, ca: str) -> str:
    """Name a CA, or say of which kind it is to be."""
    return f"{ca} ({issuer} CA)" if ca else f"{issuer.capitalize()} CA"


def _asks(
    plan: CertificatePlan, findings: Iterable[Finding], blocks: Sequence[Block]
) -> Iterator[Ask]:
    counts = Counter(finding.severity for finding in findings)
    day = plan.options.planned_issue_date
    by_day = f"by {day}" if day else "no date planned yet"
    if counts["error"]:
        yield Ask(
            who="Planner",
            what=f"Settle {count_of(counts['error'], 'error')} (see Findings). Until then no "
            "request is written, unless an error is accepted with a reason.",
            when="before the requests are written",
        )
    if counts["warning"]:
        yield Ask(
            who="Planner",
            what=f"Look at {count_of(counts['warning'], 'warning')} (see Findings).",
            when="before the requests are sent",
        )
    for (issuer, ca), group in _by_authority(blocks).items():
        number = sum(len(block.members) for block in group)
        places = ", ".join(str(block.number) for block in group[:60])
        yield Ask(
            who=authority_name(issuer, ca),
            what=f"Issue {count_of(number, 'certificate')} as requested, every name included: "
            f"no. {places}{' …' if len(group) > 60 else ''} below.",
            when=by_day,
        )
    servers = {server for certificate in plan.certificates for server in certificate.servers}
    if servers:
        yield Ask(
            who="Server team",
            what=f"Import and assign what each of {count_of(len(servers), 'server')} needs, "
            "by the steps that come with the packages.",
            when="when the certificates are back",
        )


def _by_authority(blocks: Iterable[Block]) -> Mapping[tuple[str, str], list[Block]]:
    groups: dict[tuple[str, str], list[Block]] = defaultdict(list)
    for block in blocks:
        groups[block.issuer, block.ca].append(block)
    return groups


# --- Servers, and those that need nothing.


def _server_lines(plan: CertificatePlan, blocks: Iterable[Block]) -> Iterator[ServerLine]:
    titles = _titles(plan.rules)
    idle = dict(servers_without(plan))
    needed: dict[str, list[str]] = defaultdict(list)
    for block in blocks:
        what = ", ".join(block.usages) or block.role
        for member in block.members:
            for server in member.servers:
                needed[server].append(f"{member.number} {what}")
    for pool, computer in plan.topology.computers:
        server = str(computer.fqdn)
        yield ServerLine(
            server=server,
            title=titles.get(pool.role, pool.role),
            pool=str(pool.fqdn),
            site=pool.site,
            target_os=computer.target_os,
            certificates=tuple(needed.get(server, ())),
            why_none=_why_none(plan.rules, pool.role) if computer.fqdn in idle else "",
        )


def _why_none(rules: Rules, role: str) -> str:
    asked = any(role == rule.role or role in rule.needed_by for rule in rules.certificates)
    if asked:
        return "none: what would make its certificate necessary is not in the table"
    return f"none: {rules.title} asks for no certificate on this role"


def servers_without(plan: CertificatePlan) -> tuple[tuple[DnsName, str], ...]:
    """List the servers that no certificate is for, each with the role of its row."""
    served = {server for certificate in plan.certificates for server in certificate.servers}
    left = {
        computer.fqdn: pool.role
        for pool, computer in plan.topology.computers
        if computer.fqdn not in served
    }
    return tuple(left.items())


_NAMED = 10  # servers that a sentence names at most


def totals(plan: CertificatePlan, findings: Iterable[Finding]) -> str:
    """Say in words how much a plan holds, how much was found, and which servers need nothing.

    Returns
    -------
    str
        One sentence; two where servers of the table have no certificate.
    """
    servers = {server for certificate in plan.certificates for server in certificate.servers}
    counts = Counter(finding.severity for finding in findings)
    found = ", ".join(count_of(counts[severity], severity) for severity in SEVERITIES)
    text = (
        f"{count_of(len(plan.certificates), 'certificate')} for "
        f"{count_of(len(servers), 'server')}; findings: {found}."
    )
    without = servers_without(plan)
    if not without:
        return text
    roles = Counter(_why_none(plan.rules, role) for _, role in without)
    named = ", ".join(f"{server} ({role})" for server, role in without[:_NAMED])
    more = f" and {len(without) - _NAMED:,} more" if len(without) > _NAMED else ""
    why = "; ".join(reason.removeprefix("none: ") for reason in roles)
    need = "needs" if len(without) == 1 else "need"
    why = why.replace("this role", "its role" if len(without) == 1 else "their roles")
    return f"{text} {count_of(len(without), 'further server')} {need} none: {named}{more}: {why}."


def count_of(number: int, noun: str) -> str:
    """Write a number and its noun, in the plural where it needs one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
