"""Define the content of a summary without its layout: cover, certificates, and servers.

The page, the workbook, the wiki text and the document to sign show the same ``Summary``.
``from_plan`` creates it, and ``progress`` adds the state of a folder's requests. The content does
not depend on today's date.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain, groupby
from typing import NamedTuple

from ...base.renewal_days import ANY_DAY, RenewalTerms
from ...base.shown.documents import list_cited_documents
from ...base.shown.origin import UNKNOWN, Origin
from ...base.shown.tables import format_count, join_first_texts
from ...plan.model import NO_TYPE
from ...plan.spellings import Spelling
from ...rules.findings import Finding, FindingGroup, group_findings
from ...rules.model import NameRule
from ..timeline_figure import DatedFact

#: The validity that is requested if the options do not set one.
AS_LONG_AS_GIVEN = "as long as the CA allows"

#: The text at the start of every summary. lyncnb recognizes its own files by this text.
TITLE = "Certificates for "


@dataclass(frozen=True, slots=True, kw_only=True)
class NeededNames:
    """Names that a certificate contains for the same reasons.

    ``is_own`` marks the name that differs between the certificates of a block: the name of the
    server. ``is_alternative`` is false for a subject name that is not also an alternative name.
    """

    names: tuple[str, ...]
    why: tuple[str, ...]
    rules: tuple[str, ...]
    sources: tuple[str, ...]
    is_subject: bool = False
    is_own: bool = False
    is_alternative: bool = True


#: The text in the columns Import and Assign until the package exists. Before packaging, the
#: thumbprint is not known.
AFTER_PACKAGING = "after packaging"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A certificate in a block: its servers, its files, and the hashes of its request.

    The dates belong to the certificate in use. Files and hashes belong to the newest request.
    ``is_to_follow`` means that the newest request has not yet replaced the certificate in use.
    ``covered_by`` is the thumbprint of a certificate that covers the planned one. In this case,
    nothing is requested, and ``csr_file`` contains a sentence about it.
    """

    place: int  # The position of the certificate in the plan, starting with 0.
    id: str
    servers: tuple[str, ...]
    csr_file: str
    key_file: str
    # The severities and codes of the findings about the certificate.
    warnings: tuple[str, ...] = ()
    csr_sha256: str = ""
    spki_sha256: str = ""
    # The SHA-256 of the certificate, or "" until the certificate is received.
    certificate_sha256: str = ""
    valid_from: str = ""  # YYYY-MM-DD, UTC
    valid_until: str = ""
    renew_from: str = ""
    is_to_follow: bool = False
    revoke: tuple[str, ...] = ()  # A sentence for each certificate that the CA must still revoke.
    # Whether the certificate in use is revoked or must be revoked.
    is_revoked: bool = False
    # The date (YYYY-MM-DD) from which all servers have used the certificate.
    deployed_on: str = ""
    covered_by: str = ""
    # Whether the last certificate for the request was refused.
    is_refused: bool = False
    key_holder: str = ""  # The computer that has the key, or "" if the key is in the folder.
    # The commands that import the package. If the package does not exist yet, there are no
    # commands.
    import_commands: tuple[str, ...] = ()
    assign_commands: tuple[str, ...] = ()
    # Whether the certificate is requested during the setup of its server.
    is_at_set_up: bool = False
    stage: str = ""  # The stage of the newest request, or "" if there is no folder.
    sent_on: str = ""  # The date on which the request was packaged for the CA, or "".
    # The SHA-1 thumbprint of the certificate in use, in the format of Windows.
    thumbprint: str = ""
    serial: str = ""
    issued_by: str = ""  # The name of the issuing CA.
    # The number of the certificate in the folder and in all documents, or "" without a folder.
    number: str = ""

    @property
    def exportable(self) -> str:
        """Describe whether the private key can be exported, or which computer has it."""
        if self.covered_by:
            return f"not verified: the key is on {', '.join(self.servers)}"
        if self.key_holder and self.csr_sha256:
            return f"not verified: the key is on {self.key_holder}"
        if self.key_holder:
            return f"not verified: the key will be on {self.key_holder}"
        return "yes"

    @property
    def is_waiting(self) -> bool:
        """Whether a CA must still issue the certificate."""
        return not (self.certificate_sha256 or self.covered_by)

    @property
    def renewal_words(self) -> str:
        """Describe when to renew the certificate in use, or the state of its renewal."""
        if not self.is_to_follow:
            return f"renew from {self.renew_from}"
        return (
            "waiting for the CA to process the next request"
            if self.is_waiting
            else "install the next certificate"
        )

    @property
    def install_cells(self) -> tuple[str, str]:
        """The text in the columns Import and Assign, with one command on each line."""
        if self.covered_by:
            return "", ""
        commands = (self.import_commands, self.assign_commands)
        if not any(commands):
            return AFTER_PACKAGING, AFTER_PACKAGING
        return "\n".join(self.import_commands), "\n".join(self.assign_commands)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Certificates in a plan that differ only in the name of the server.

    ``place`` is the number of the block, starting with 1, for links.
    """

    place: int
    role: str
    title: str  # of the role
    pool: str  # The name of the pool, or "" for the certificate of the deployment.
    site: str
    usages: tuple[str, ...]
    subject: str
    names: tuple[NeededNames, ...]
    # The alternative names in order. The value "" stands for the name of each server.
    alternative_names: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    key: str
    hash: str
    issuer: str
    ca: str
    shared_by: str
    rule: str
    source: str
    members: tuple[Member, ...]
    has_sibling: bool = False  # Whether another block belongs to the same pool.

    @property
    def owner(self) -> str:
        """The pool of the block, such as ``eepool01.contoso.net``, or the deployment."""
        is_oauth = "OAuthTokenIssuer" in self.usages
        return self.pool or f"the whole deployment{' (OAuth)' if is_oauth else ''}"

    @property
    def subject_words(self) -> str:
        """The subject name with a space after each comma, so that lines break between fields."""
        return re.sub(r"(?<!\\),(?=[A-Z]+=)", ", ", self.subject)

    def build_heading(self, translate: Callable[[str], str]) -> str:
        """Return a heading that is unique, such as ``6 · edgepool01.contoso.net``."""
        owner = translate(self.owner)
        heading = f"{self.numbers} · {owner}" if self.numbers else owner
        if not (self.has_sibling and self.usages):
            return heading
        usages = ", ".join(self.usages)
        is_outside = any(usage.endswith("External") for usage in self.usages)
        if is_outside:
            return translate("{}, outside ({})").format(heading, usages)
        return f"{heading}, {usages}"

    @property
    def numbers(self) -> str:
        """Return the numbers of the certificates in the block, such as ``2 to 4``."""
        return ", ".join(list_number_ranges(self.members, {member.id for member in self.members}))

    @property
    def what(self) -> str:
        """The usages or the role of the certificates, which identify a block without numbers."""
        return ", ".join(self.usages) or self.role

    @property
    def warnings(self) -> tuple[str, ...]:
        """The codes of the findings about the certificates in the block."""
        return tuple(dict.fromkeys(code for member in self.members for code in member.warnings))

    @property
    def sharing(self) -> str:
        """A sentence about how many certificates the block has, and which servers share them."""
        servers = {server for member in self.members for server in member.servers}
        if self.shared_by == "server":
            if len(self.members) == 1:
                return "one certificate, only for this server"
            return f"{len(self.members):,} certificates, one for each server"
        many = format_count(len(servers), "server")
        return f"the same certificate on {many}" if len(servers) > 1 else "one certificate"

    @property
    def assigned_usages(self) -> str:
        """The usages to which the certificate is assigned, or a text if it has no usages."""
        return ", ".join(self.usages) or NO_TYPE

    @property
    def authority(self) -> str:
        """Return the name of the CA, or the type of CA if no CA is chosen."""
        return format_authority(self.issuer, self.ca)

    def list_concerns(self, translate: Callable[[str], str]) -> tuple[str, ...]:
        """Return the errors and warnings about the certificates in the block."""
        concerns = []
        for code in self.warnings:
            if code.startswith("notice: "):
                continue
            whose = {member.id for member in self.members if code in member.warnings}
            severity, colon, rest = code.partition(": ")
            words = f"{translate(severity)}{translate(colon)}{rest}"
            concerns.append(self._add_numbers(whose, words))
        return tuple(concerns)

    @property
    def validity(self) -> tuple[str, ...]:
        """Describe the validity of the block's certificates and when to renew them.

        If no certificate is issued, return "".
        """
        days: dict[str, set[str]] = {}
        for member in self.members:
            words = "not issued yet"
            if member.valid_until:
                words = f"{member.valid_from} to {member.valid_until}, {member.renewal_words}"
            elif member.is_refused:
                words = "lyncnb rejected the CA's response"
            days.setdefault(words, set()).add(member.id)
        is_back = any(member.valid_until or member.is_refused for member in self.members)
        return (
            tuple(self._add_numbers(ids, words) for words, ids in days.items()) if is_back else ()
        )

    @property
    def exportable(self) -> str:
        """A sentence about whether the private keys of the certificates can be exported."""
        answers: dict[str, set[str]] = {}
        for member in self.members:
            answers.setdefault(member.exportable, set()).add(member.id)
        return "; ".join(self._add_numbers(ids, answer) for answer, ids in answers.items())

    def _add_numbers(self, ids: Collection[str], words: str) -> str:
        """Add certificate numbers to a text, unless the text applies to all certificates."""
        if len(ids) == len(self.members):
            return words
        selected_members = [member for member in self.members if member.id in ids]
        if any(not member.number for member in selected_members):
            servers = join_first_texts(
                [server for member in selected_members for server in member.servers], 3
            )
            return f"{servers}: {words}"
        return f"no. {', '.join(list_number_ranges(selected_members, ids))}: {words}"

    def list_names(self, member: Member) -> tuple[str, ...]:
        """Return a certificate's subject alternative names in order."""
        own_server = member.servers[0] if member.servers else ""
        return tuple(name or own_server for name in self.alternative_names)

    @property
    def has_fingerprints(self) -> bool:
        """Whether lyncnb has written requests in this block, so that their hashes are known."""
        return any(member.csr_sha256 for member in self.members)


class Line(NamedTuple):
    """A certificate and its block, shown as one row of a table."""

    block: Block
    member: Member

    @property
    def names(self) -> tuple[str, ...]:
        """The subject alternative names of the certificate, in order."""
        return self.block.list_names(self.member)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A task in the summary: who does what by which date, and where the details are."""

    who: str
    what: str
    when: str
    where: str = ""  # The heading of the section with the details.
    anchor: str = ""

    def build_row(self, translate: Callable[[str], str]) -> tuple[str, str, str, str]:
        """Return the cells of the table row: person, task, date, and section."""
        return translate(self.who), self.what, self.when, translate(self.where)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLine:
    """A server with one role, and the certificates that it needs.

    ``certificates`` contains the IDs of the certificates, and ``usages`` the usages of each
    certificate.
    """

    server: str
    title: str
    pool: str
    site: str
    target_os: str
    certificates: tuple[str, ...]
    usages: tuple[str, ...] = ()
    why_none: str = ""

    def list_labels(self, labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """Return the ID of each certificate with its label, or its usages if it has no label."""
        pairs = zip(self.certificates, self.usages, strict=True)
        return tuple((name, labels.get(name, usage)) for name, usage in pairs)

    def join_labels(self, labels: Mapping[str, str]) -> str:
        """Return the labels of the server's certificates as one text."""
        texts = [label for _, label in self.list_labels(labels)]
        return ("; " if any("," in label for label in texts) else ", ").join(texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of the plan in the summary: an SVG document and its description."""

    title: str
    description: str
    svg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFile:
    """The file of a saved plan: its name, its ``sha256sum``, and the command that approves it."""

    name: str
    sha256: str
    sign_line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The complete content of a summary about a plan or a request folder.

    ``asks``, ``folder_changed`` and the state of each member come from the requests of a folder.
    All other data comes from the plan. ``origin`` is the origin of the document, and ``saved`` is
    the plan whose approval sheet is the last page. ``facts`` contains the plan's events.
    ``left_out`` is the number of certificates in the plan that are not in ``blocks``. ``reasons``
    contains the rules that require the names in the blocks. ``approval`` describes the saved plan
    of the folder's requests and its approval, with a heading and a text each.
    """

    title: str
    product: str
    deployment: str
    sip_domains: tuple[str, ...]
    sites: tuple[str, ...]
    roles: tuple[str, ...]  # The number of servers with each role, as text.
    planned_issue_date: date | None
    totals: str
    findings: tuple[Finding, ...]
    blocks: tuple[Block, ...]
    servers: tuple[ServerLine, ...]
    plan_sha256: str
    spellings: tuple[Spelling, ...] = ()
    picture: Picture | None = None
    facts: tuple[DatedFact, ...] = ()
    left_out: int = 0
    valid_for: str = AS_LONG_AS_GIVEN  # The requested validity, as text.
    # The time of the last change to the folder (YYYY-MM-DD HH:MM UTC), or "" if there is no folder.
    folder_changed: str = ""
    origin: Origin = UNKNOWN
    support: str = ""  # The date on which support for the product ends, and the source of the date.
    asks: tuple[Ask, ...] = ()
    saved: SavedFile | None = None
    reasons: tuple[NameRule, ...] = ()
    lang: str = "en"  # of titles
    terms: RenewalTerms = ANY_DAY  # The terms that determine when to renew a certificate.
    approval: tuple[tuple[str, str], ...] = ()
    is_approved: bool = False  # The approval of the plan that the manifest records.
    # The ID of each retired request, with a sentence for each certificate that the CA must revoke.
    retired_revocations: tuple[tuple[str, str], ...] = ()

    def translate_title(self, translate: Callable[[str], str]) -> str:
        """Return the title in a language.

        lyncnb recognizes its own files by the English title.
        """
        return translate(f"{TITLE}{{}}").format(self.product)

    @property
    def members(self) -> Iterator[Line]:
        """Yield every certificate with its block, in the order of the blocks."""
        return (Line(block, member) for block in self.blocks for member in block.members)

    def lines(self) -> list[Line]:
        """Return every certificate with its block, in the order of the plan."""
        # A block combines similar certificates. Therefore, the blocks do not have the order of the
        # plan.
        return sorted(self.members, key=lambda line: line.member.place)

    @property
    def is_numbered(self) -> bool:
        """Whether the folder has assigned numbers to its certificates."""
        return any(member.number for _, member in self.members)

    @property
    def labels(self) -> dict[str, str]:
        """Return the label of each certificate in tables, by ID.

        The label is the certificate's number, or else its usages or role.
        """
        return {line.member.id: line.member.number or line.block.what for line in self.members}

    @property
    def sources_of_names(self) -> tuple[str, ...]:
        """Return the sources for the names on the certificates, without duplicates."""
        names = chain.from_iterable(block.names for block in self.blocks)
        return tuple(dict.fromkeys(chain.from_iterable(needed.sources for needed in names)))

    @property
    def documents(self) -> tuple[tuple[str, str], ...]:
        """Return the title and address of each document that is a source of names or findings."""
        of_findings = (finding.source for finding in self.findings)
        return list_cited_documents(chain(self.sources_of_names, of_findings), self.lang)


#: The text that explains requests to readers who are not familiar with certificates.
STORY = (
    "A request (CSR, a file ending in .csr) asks a CA for one certificate. The private key "
    "stays encrypted in the request folder. The CA’s staff receive the requests with a page that "
    "explains how to issue the certificates and what to return. lyncnb compares each issued "
    "certificate with this plan. It then creates a package for the servers: a .pfx file that "
    "contains the certificate with its key, and is protected by a password. A checklist for each "
    "server explains how to import and assign the package. “In use as” is the type of a "
    "certificate in the product's commands."
)

#: The text below the title of every summary.
LEAD = (
    "This document lists every certificate that this deployment needs. The certificates are "
    "planned before the servers are set up. A certification authority (CA) issues the "
    "certificates, and the server team installs them."
)


#: The text about a saved plan without a signature.
UNSIGNED = (
    "Without a signature, a saved plan can show accidental changes, but not who approved the plan."
)


def list_cover_entries(summary: Summary) -> Iterator[tuple[str, str]]:
    """Yield the facts on the cover of a summary, each with a heading and a text."""
    origin = dict(summary.origin.facts())
    for name in ("Deployment", "Planner", "Table"):
        if name in origin:
            yield name, origin[name]
    first, *others = summary.sip_domains or ("none",)
    yield "SIP domains", ", ".join([f"{first} (the default)" if others else first, *others])
    sites = f"; {'sites' if len(summary.sites) > 1 else 'site'} {', '.join(summary.sites)}"
    yield "Servers", _format_server_count(summary) + (sites if summary.sites else "")
    if summary.support:
        yield "Support by Microsoft", summary.support
    yield "Certificates", summary.totals
    at_set_up = {member.id for _, member in summary.members if member.is_at_set_up}
    if at_set_up:
        numbers = format_certificate_numbers([member for _, member in summary.members], at_set_up)
        yield (
            "Requested during server setup",
            (f"{numbers}; all other certificates are requested in advance"),
        )
    day = summary.planned_issue_date or "no date is set yet"
    yield "To be issued on", f"{day}; valid for {summary.valid_for}"
    if summary.origin.judged_on:
        yield (
            "Evaluated for",
            (
                f"{summary.origin.judged_on}: the findings are based on the rules in force on "
                "this date"
            ),
        )
    if summary.saved:
        yield "Saved plan", f"{summary.saved.name}, SHA-256 {summary.saved.sha256}"
    yield from summary.approval
    if summary.folder_changed:
        yield "As of", f"{summary.folder_changed}, the date of the last change to the requests"
    elif "Created" in origin:
        yield "Created", origin["Created"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalSheet:
    """The page on which people approve a saved plan: the facts, and lines for signatures."""

    statement: str
    facts: tuple[tuple[str, str], ...]
    signatures: tuple[str, ...] = ("Planned by", "Checked by", "Approved by")


def build_approval_sheet(summary: Summary) -> ApprovalSheet | None:
    """Return the approval sheet of a saved plan, or None if the plan is not saved."""
    if summary.saved is None:
        return None
    return ApprovalSheet(
        statement=(
            "I approve this plan. The planner may request the certificates in this document."
        ),
        facts=tuple(_list_approved_facts(summary, summary.saved)),
    )


def _list_approved_facts(summary: Summary, saved: SavedFile) -> Iterator[tuple[str, str]]:
    yield "Saved plan", saved.name
    yield "sha256sum", saved.sha256
    yield from summary.origin.facts()
    if summary.support:
        yield "Support by Microsoft", summary.support
    yield "Certificates", summary.totals
    counted = {
        name: sum(len(block.members) for block in blocks)
        for name, blocks in group_by_authority(summary.blocks).items()
    }
    yield "Issuer", "; ".join(f"{name}: {number:,}" for name, number in counted.items())
    accepted = dict.fromkeys(
        f"{finding.code}: {finding.accepted}" for finding in summary.findings if finding.accepted
    )
    if accepted:
        yield "Accepted findings", "; ".join(accepted)
    yield (
        "To compare",
        ("sha256sum FILE (on Windows, Get-FileHash FILE) must show the digest above."),
    )
    yield "To sign the file", f"{saved.sign_line} (KEY is your SSH key). {UNSIGNED}"


def _format_server_count(summary: Summary) -> str:
    """Return the number of servers and their roles as text, counting each server once."""
    roles = ", ".join(summary.roles)
    counted = Counter(line.server for line in summary.servers)
    if not counted or len(summary.roles) == 1:
        return roles
    several = sum(number > 1 for number in counted.values())
    if several:
        verb = "has" if several == 1 else "have"
        return f"{len(counted):,}, of which {several:,} {verb} more than one role: {roles}"
    return f"{len(counted):,}: {roles}"


def shorten_summary(summary: Summary, max_certificates: int) -> Summary:
    """Return a summary with only the first certificates, and with the number of the others."""
    shown_blocks, remaining = [], max_certificates
    for block in summary.blocks:
        members = block.members[:remaining]
        remaining -= len(members)
        if members:
            shown_blocks.append(
                block if members == block.members else replace(block, members=members)
            )
    shown_count = sum(len(block.members) for block in shown_blocks)
    total = sum(len(block.members) for block in summary.blocks)
    if shown_count == total:
        return summary
    return replace(summary, blocks=tuple(shown_blocks), left_out=total - shown_count)


#: The headings above the findings, one for each severity. Notices are in a separate list.
FINDINGS, NOTICES = "Findings", "Notices"


def group_with_headings(
    findings: Iterable[Finding], max_shown: int
) -> tuple[tuple[tuple[str, list[FindingGroup]], ...], int]:
    """Return the first groups of findings, under headings, and the total number of groups."""
    groups = group_findings(findings)
    shown_groups = groups[:max_shown]
    parts = (
        (FINDINGS, [group for group in shown_groups if group.severity != "notice"]),
        (NOTICES, [group for group in shown_groups if group.severity == "notice"]),
    )
    return tuple(part for part in parts if part[1]), len(groups)


def format_code(finding: Finding) -> str:
    """Return the severity and code of a finding, and the reason if the finding was accepted."""
    if finding.accepted:
        return f"accepted: {finding.code} ({finding.accepted})"
    return f"{finding.severity}: {finding.code}"


def format_authority(issuer: str, ca: str) -> str:
    """Return the name of a CA, or the type of CA if it has no name."""
    return f"{ca} ({issuer} CA)" if ca else f"{issuer.capitalize()} CA"


def list_number_ranges(members: Iterable[Member], ids: Collection[str]) -> list[str]:
    """Return the numbers of some certificates as ranges, such as ``1 to 4`` and ``6``."""
    numbers = sorted(int(member.number) for member in members if member.number and member.id in ids)
    ranges: list[str] = []
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        first, *others = (number for _, number in run)
        many = len(others) > 1
        ranges += [f"{first} to {others[-1]}"] if many else map(str, (first, *others))
    return ranges


_NUMBERS = 60  # The maximum number of ranges of certificate numbers in a sentence.


def format_certificate_numbers(members: Iterable[Member], ids: Collection[str]) -> str:
    """Describe some certificates by number, such as ``certificates 1 to 4 and 6``.

    Without numbers, return how many certificates there are.
    """
    selected_members = [member for member in members if member.id in ids]
    if any(not member.number for member in selected_members):
        return format_count(len(selected_members), "certificate")
    runs = list_number_ranges(selected_members, ids)
    if len(runs) > _NUMBERS:
        return f"certificates {', '.join(runs[:_NUMBERS])} …"
    if len(runs) == 1:
        return f"certificate{'s' if ' ' in runs[0] else ''} {runs[0]}"
    return f"certificates {', '.join(runs[:-1])} and {runs[-1]}"


def group_by_authority(blocks: Iterable[Block]) -> dict[str, list[Block]]:
    """Group blocks by the CA that issues their certificates, in the order of the plan."""
    groups: dict[str, list[Block]] = {}
    for block in blocks:
        groups.setdefault(block.authority, []).append(block)
    return groups
