"""What a summary says, before anybody lays it out: cover, blocks of certificates, servers.

The page, the workbook, the wiki text and the document to sign all tell the same ``Summary``.
``summary_from_plan`` puts it together, ``summary_progress`` adds where the requests of a folder
stand. Nothing in it depends on the day.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import chain, groupby
from typing import NamedTuple, Protocol

from ...base.renewal_days import ANY_DAY, RenewalTerms
from ...base.shown.documents import named_documents
from ...base.shown.tables import count_of
from ...plan.model import NO_TYPE
from ...plan.spellings import Spelling
from ...rules.findings import Finding
from ...rules.model import NameRule
from ..timeline_figure import DatedFact

_NOT_VERIFIED = "not verified: the key"

#: How long certificates are asked for where nothing is chosen.
AS_LONG_AS_GIVEN = "as long as the CA gives"

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


class HeldFacts(Protocol):
    """When a certificate that servers have is valid; times are UTC, ISO 8601."""

    @property
    def not_before(self) -> str:
        """When it begins."""

    @property
    def not_after(self) -> str:
        """When it ends."""

    @property
    def begins(self) -> datetime:
        """When it begins, as a time."""

    @property
    def ends(self) -> datetime:
        """When it ends, as a time."""


class IssuedFacts(HeldFacts, Protocol):
    """What is on record of a certificate that came back."""

    @property
    def sha256(self) -> str:
        """Of the certificate, DER."""


class CoverFacts(IssuedFacts, Protocol):
    """What is on record of a certificate that stands for a request; times are UTC, ISO 8601."""

    @property
    def thumbprint_sha1(self) -> str:
        """Of the certificate, as Windows shows it."""


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
    def retired_at(self) -> str:
        """When it left the plan."""

    @property
    def issued(self) -> IssuedFacts | None:
        """What is on record of its certificate, None before it came back."""

    @property
    def covered(self) -> CoverFacts | None:
        """What stands for it, so that nothing is requested; mostly None."""

    @property
    def refused(self) -> Collection[object]:
        """What came back and was not taken."""

    @property
    def key_holder(self) -> str:
        """The computer that has its key, "" if that is in the folder."""

    @property
    def import_commands(self) -> tuple[str, ...]:
        """How the steps import its package; empty before there is one."""

    @property
    def assign_commands(self) -> tuple[str, ...]:
        """How the steps assign it."""


class InUse(Protocol):
    """What the servers of a request have, and whether another certificate is to follow it."""

    @property
    def held(self) -> HeldFacts | None:
        """The certificate on the servers; None before one came back."""

    @property
    def under_way(self) -> object | None:
        """The generation that is to follow it; None if there is none."""

    @property
    def deployed_on(self) -> str:
        """From which day on all servers are recorded to have it; blank if not all."""

    @property
    def revoke(self) -> tuple[str, ...]:
        """What the CA is still to revoke, a sentence for each certificate."""


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


#: The columns Import and Assign before the package is made: until then there is no thumbprint.
AFTER_PACKAGING = "after packaging"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One certificate of a block: its servers, its files, and what identifies its request.

    The days are those of the certificate in use; files and hashes are those of the newest request.
    ``is_to_follow`` says that this request has yet to follow what is in use. ``covered_by`` is the
    thumbprint of a certificate that stands for it: then nothing is requested, and ``csr_file`` says
    so in words.
    """

    number: str  # 3, or 3.2 where a block holds several
    place: int  # in the plan, from 0
    id: str
    servers: tuple[str, ...]
    csr_file: str
    key_file: str
    warnings: tuple[str, ...] = ()  # severity and code of what was found about it
    csr_sha256: str = ""
    spki_sha256: str = ""
    certificate_sha256: str = ""  # empty until the certificate is back
    valid_from: str = ""  # YYYY-MM-DD, UTC
    valid_until: str = ""
    renew_from: str = ""
    is_to_follow: bool = False
    revoke: tuple[str, ...] = ()  # what its CA is still to revoke
    deployed_on: str = ""  # YYYY-MM-DD, from when on all servers have what is in use
    covered_by: str = ""
    is_refused: bool = False  # something came back and was not taken, and nothing else since
    key_holder: str = ""  # the computer that has its key, if that is not in the folder
    import_commands: tuple[str, ...] = ()  # of the steps; empty until there is a package
    assign_commands: tuple[str, ...] = ()
    is_at_set_up: bool = False  # requested when its server is set up: nothing goes to a CA before

    @property
    def exportable(self) -> str:
        """Say whether its key can be exported; of a key that lyncnb never had, who has it."""
        if self.covered_by:
            return f"{_NOT_VERIFIED} is on {', '.join(self.servers)}"
        if self.key_holder:
            return f"{_NOT_VERIFIED} {'is' if self.csr_sha256 else 'will be'} on {self.key_holder}"
        return "yes"

    @property
    def is_waiting(self) -> bool:
        """Whether a CA is still to issue it."""
        return not (self.certificate_sha256 or self.covered_by)

    @property
    def is_to_install(self) -> bool:
        """Whether its servers are not recorded to have it."""
        return self.is_to_follow or not self.deployed_on

    @property
    def renewal_words(self) -> str:
        """Say when the certificate in use is renewed, or how far that is."""
        if not self.is_to_follow:
            return f"renew from {self.renew_from}"
        return "the next one is with the CA" if self.is_waiting else "the next one is to install"

    @property
    def install_cells(self) -> tuple[str, str]:
        """The columns Import and Assign: the commands of the steps, one a line."""
        if self.covered_by:
            return "", ""
        commands = (self.import_commands, self.assign_commands)
        if not any(commands):
            return AFTER_PACKAGING, AFTER_PACKAGING
        return "\n".join(self.import_commands), "\n".join(self.assign_commands)


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
    alternative_names: tuple[str, ...]  # in their order; "" is each server's own name
    extended_key_usage: tuple[str, ...]
    key: str
    hash: str
    issuer: str
    ca: str
    shared_by: str
    rule: str
    source: str
    members: tuple[Member, ...]
    has_sibling: bool = False  # whether another block is for the same pool

    @property
    def whom(self) -> str:
        """Say for whom the block is, e.g. ``eepool01.contoso.net``."""
        return self.pool or "the whole deployment"

    @property
    def subject_words(self) -> str:
        """Write the subject name for people: a line may end between its parts."""
        return re.sub(r"(?<!\\),(?=[A-Z]+=)", ", ", self.subject)

    @property
    def heading(self) -> str:
        """Tell the block from every other, e.g. ``6 · edgepool01.contoso.net, Internal``."""
        told = f"{self.number} · {self.whom}"
        if not (self.has_sibling and self.usages):
            return told
        usages = ", ".join(self.usages)
        is_outside = any(usage.endswith("External") for usage in self.usages)
        return f"{told}, outside ({usages})" if is_outside else f"{told}, {usages}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """List the codes of what was found about any of its certificates."""
        return tuple(dict.fromkeys(code for member in self.members for code in member.warnings))

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
    def in_use_as(self) -> str:
        """List the types that it is assigned to, or say that it has none."""
        return ", ".join(self.usages) or NO_TYPE

    @property
    def authority(self) -> str:
        """Name the CA, or say of which kind it is to be."""
        return authority_name(self.issuer, self.ca)

    @property
    def concerns(self) -> tuple[str, ...]:
        """List what was found about any of its certificates and is more than a notice."""
        told = []
        for code in self.warnings:
            if code.startswith("notice: "):
                continue
            whose = {member.id for member in self.members if code in member.warnings}
            told.append(self._said_of(whose, code))
        return tuple(told)

    @property
    def validity(self) -> tuple[str, ...]:
        """Say when its certificates are valid and to be renewed; empty before one is back."""
        days: dict[str, set[str]] = {}
        for one in self.members:
            words = "not back yet"
            if one.valid_until:
                words = f"{one.valid_from} to {one.valid_until}, {one.renewal_words}"
            elif one.is_refused:
                words = "what came back was refused"
            days.setdefault(words, set()).add(one.id)
        is_back = any(one.valid_until or one.is_refused for one in self.members)
        return tuple(self._said_of(ids, words) for words, ids in days.items()) if is_back else ()

    @property
    def exportable(self) -> str:
        """Say whether the keys of its certificates can be exported."""
        answers: dict[str, set[str]] = {}
        for member in self.members:
            answers.setdefault(member.exportable, set()).add(member.id)
        return "; ".join(self._said_of(ids, answer) for answer, ids in answers.items())

    def _said_of(self, ids: Collection[str], words: str) -> str:
        """Put numbers before what is not said of all its certificates."""
        if len(ids) == len(self.members):
            return words
        return f"no. {', '.join(number_runs(self.members, ids))}: {words}"

    def names_of(self, member: Member) -> tuple[str, ...]:
        """Give the alternative names of one of its certificates, in their order."""
        own = member.servers[0] if member.servers else ""
        return tuple(name or own for name in self.alternative_names)

    @property
    def has_fingerprints(self) -> bool:
        """Whether the requests are written, so that they can be told by their hash."""
        return any(member.csr_sha256 for member in self.members)


class Line(NamedTuple):
    """One certificate with its block: a row of a table."""

    block: Block
    member: Member

    @property
    def names(self) -> tuple[str, ...]:
        """Its alternative names, in their order."""
        return self.block.names_of(self.member)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Who does what by when, and the part of the page that gives the details."""

    who: str
    what: str
    when: str
    where: str = ""  # heading of the part
    anchor: str = ""
    is_approval: bool = False  # by a signature: a document has a page of its own for it

    def row(self, say: Callable[[str], str]) -> tuple[str, str, str, str]:
        """Return who, what, by when and where, for a document with notices among its findings."""
        where = "Findings" if self.anchor == "notices" else self.where
        return say(self.who), self.what, self.when, say(where)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLine:
    """One server in one role, and the certificates that it needs.

    ``certificates`` are numbers of certificates, ``usages`` what each is in use as.
    """

    server: str
    title: str
    pool: str
    site: str
    target_os: str
    certificates: tuple[str, ...]
    usages: tuple[str, ...] = ()
    why_none: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of the plan: an SVG document, and what it shows in words."""

    title: str
    description: str
    svg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All that a summary tells.

    ``asks``, ``folder_changed`` and what the members say of their certificates come from the
    requests of a folder; the rest from the plan. ``facts`` are the days of the plan. ``left_out``
    counts the certificates that are in the plan and not in ``blocks``. ``reasons`` are the rules
    that gave the names of the blocks. ``approval`` says of a folder which saved plan was requested
    into it and who approved that, a heading and a text each.
    """

    title: str
    product: str
    deployment: str
    sip_domains: tuple[str, ...]
    sites: tuple[str, ...]
    roles: tuple[str, ...]  # how many servers of which role, in words
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
    valid_for: str = AS_LONG_AS_GIVEN  # how many days are asked for, in words
    folder_changed: str = ""  # YYYY-MM-DD HH:MM UTC, "" without a folder
    asks: tuple[Ask, ...] = ()
    saved_as: str = ""  # where the plan is saved, and what it is known by there
    sign_line: str = ""  # what somebody types who approves it
    reasons: tuple[NameRule, ...] = ()
    lang: str = "en"  # of titles
    terms: RenewalTerms = ANY_DAY  # by which it is decided when a certificate is renewed
    approval: tuple[tuple[str, str], ...] = ()

    def title_in(self, say: Callable[[str], str]) -> str:
        """Give the title in the language of `say`; the files are recognized by the English one."""
        return say(f"{TITLE}{{}}").format(self.product)

    @property
    def members(self) -> Iterator[Line]:
        """Yield every certificate with its block, in the order of the blocks."""
        return (Line(block, member) for block in self.blocks for member in block.members)

    def lines(self) -> list[Line]:
        """Return every certificate with its block, in the order of the plan."""
        # A block gathers what is alike: of separate certificates, those of one usage.
        return sorted(self.members, key=lambda line: line.member.place)

    @property
    def sources_of_names(self) -> tuple[str, ...]:
        """List the sources of the certificates' names, once each."""
        names = chain.from_iterable(block.names for block in self.blocks)
        return tuple(dict.fromkeys(chain.from_iterable(needed.sources for needed in names)))

    @property
    def documents(self) -> tuple[tuple[str, str], ...]:
        """List title and address of each document that names and findings follow."""
        of_findings = (finding.source for finding in self.findings)
        return named_documents(chain(self.sources_of_names, of_findings), self.lang)


#: What a reader who never saw a certificate needs to know of what happens with a request.
STORY = (
    "A request (CSR, a file ending in .csr) asks a CA for one certificate; its private key stays "
    "with the planner, encrypted. The CA’s people get the requests with a page that says how to "
    "issue them and what to send back. What comes back is compared with this plan, then packed "
    "with its key into a package (a file ending in .pfx, opened by a password) for its servers. "
    "The steps, a checklist for each server, say how the package is imported and assigned. "
    "“In use as” names the type of a certificate as the product's commands call it."
)

#: What every summary begins with, below its title.
LEAD = (
    "Every certificate that this deployment needs, planned before its servers exist: a "
    "certification authority (CA) issues what is requested here, and the server team installs it."
)


#: What a saved plan is worth without a signature.
UNSIGNED = "Unsigned, a saved plan proves that nothing was altered, not who approved it."


def cover_facts(summary: Summary) -> Iterator[tuple[str, str]]:
    """Yield what the cover says of the deployment: a heading and a text each."""
    first, *others = summary.sip_domains or ("none",)
    yield "SIP domains", ", ".join([f"{first} (the default)" if others else first, *others])
    sites = f"; {'sites' if len(summary.sites) > 1 else 'site'} {', '.join(summary.sites)}"
    yield "Servers", _counted_servers(summary) + (sites if summary.sites else "")
    yield "Certificates", summary.totals
    at_set_up = {member.id for _, member in summary.members if member.is_at_set_up}
    if at_set_up:
        runs = number_runs([member for _, member in summary.members], at_set_up)
        yield "Requested at set-up", f"{in_words(runs, 60)}; all others are requested in advance"
    day = summary.planned_issue_date or "no day is set yet"
    yield "To be issued on", f"{day}; valid for {summary.valid_for}"
    if summary.saved_as:
        yield "Saved as", summary.saved_as
        yield "To approve it", f"{summary.sign_line} (KEY is your SSH key). {UNSIGNED}"
    yield from summary.approval
    if summary.folder_changed:
        yield "As of", f"{summary.folder_changed}, the last change of the requests"


def _counted_servers(summary: Summary) -> str:
    """Say how many servers there are, and of which role; one in two roles is counted once."""
    roles = ", ".join(summary.roles)
    counted = Counter(line.server for line in summary.servers)
    if not counted or len(summary.roles) == 1:
        return roles
    several = sum(number > 1 for number in counted.values())
    how = f", {several:,} of them in more than one role" if several else ""
    return f"{len(counted):,}{how}: {roles}"


def shortened(summary: Summary, most: int) -> Summary:
    """Leave certificates out beyond so many, and say how many."""
    kept, left = [], most
    for block in summary.blocks:
        members = block.members[:left]
        left -= len(members)
        if members:
            kept.append(block if members == block.members else replace(block, members=members))
    shown = sum(len(block.members) for block in kept)
    total = sum(len(block.members) for block in summary.blocks)
    if shown == total:
        return summary
    return replace(summary, blocks=tuple(kept), left_out=total - shown)


def code_of(finding: Finding) -> str:
    """Name a finding by severity and code; one that was accepted, with the reason."""
    if finding.accepted:
        return f"accepted: {finding.code} ({finding.accepted})"
    return f"{finding.severity}: {finding.code}"


def authority_name(issuer: str, ca: str) -> str:
    """Name a CA, or say of which kind it is to be."""
    return f"{ca} ({issuer} CA)" if ca else f"{issuer.capitalize()} CA"


def number_runs(members: Iterable[Member], ids: Collection[str]) -> list[str]:
    """Give the numbers of some certificates among others, e.g. ``1.1 to 4`` and ``6``."""
    found: list[str] = []
    for is_one, run in groupby(members, key=lambda member: member.id in ids):
        numbers = [member.number for member in run]
        if is_one and len(numbers) > 2:
            found.append(f"{numbers[0]} to {numbers[-1]}")
        elif is_one:
            found += numbers
    return found


def in_words(runs: Sequence[str], most: int) -> str:
    """Name certificates by the runs of their numbers, e.g. ``certificates 1.1 to 4 and 6``."""
    if len(runs) > most:
        return f"certificates {', '.join(runs[:most])} …"
    if len(runs) == 1:
        return f"certificate{'s' if ' ' in runs[0] else ''} {runs[0]}"
    return f"certificates {', '.join(runs[:-1])} and {runs[-1]}"


def by_authority(blocks: Iterable[Block]) -> dict[str, list[Block]]:
    """Gather blocks by the CA that is to issue them, in the order of the plan."""
    groups: dict[str, list[Block]] = {}
    for block in blocks:
        groups.setdefault(block.authority, []).append(block)
    return groups
