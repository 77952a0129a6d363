"""The vocabulary of rules: placeholders, flags, and the records of a rule file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType

from ..base.certificate_fields import NAMES_HEADING
from ..base.shown.tables import Table
from ..topology.columns import flag_columns, pool_name_columns

# Placeholders of a template, in addition to the columns of a pool, and their values.
_PLACEHOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "computer.fqdn": "the server's own name",
        "pool.fqdn": "the pool's name",
        "pool.computers": "the name of every server of the pool",
        "sip_domain": "every SIP domain, the default one first",
        "external_sip_domain": "every SIP domain that is not used inside only",
        "default_sip_domain": "the default SIP domain",
        "autodiscover_internal_extra_domain": "every further domain that the options name",
        "meet_url.host": "the host of every Meet simple URL in force at the pool's site",
        "dialin_url.host": "the host of the dial-in simple URL in force at the pool's site",
        "admin_url.host": "the host of the administrative simple URL in force at the pool's site",
        "backup.meet_url.host": "the host of every Meet simple URL at the backup pool's site",
        "backup.dialin_url.host": "the host of the dial-in simple URL at the backup pool's site",
        "published.web_external_fqdn": "the external web services name of every published pool",
        "published.meet_url.host": "the host of every Meet simple URL of the published sites",
        "published.dialin_url.host": "the host of every dial-in simple URL of the published sites",
    }
)


def placeholders() -> Mapping[str, str]:
    """Return the placeholders of a template, with a description of their values.

    Every column with names of a pool is one, ``{pool.COLUMN}``.
    """
    of_pools = {f"pool.{facts.name}": facts.help for facts in pool_name_columns()}
    return MappingProxyType({**_PLACEHOLDERS, **of_pools})


# Flags of a condition, in addition to the yes/no columns of a pool: options of ``PlanOptions``, and
# ``extra_san``.
_CHOICES: Mapping[str, str] = MappingProxyType(
    {
        "extra_san": "the pool has further names",
        "wildcard": "the plan uses wildcards for simple URLs",
        "autodiscover_https": "Autodiscover is published on port 443",
        "edge_member_names": "the plan wants the Edge Servers' own names",
        "xmpp_host_names": "the plan wants xmpp.<domain> names",
        "separate_av_certificate": "A/V Authentication has a certificate of its own",
        "reverse_proxy_client_eku": "the plan wants client authentication on reverse proxies",
        "client_authentication": "the plan wants client authentication for the pool",
        "shared_certificate": "the servers of the pool share one certificate",
    }
)


def known_flags() -> Mapping[str, str]:
    """Return the flags that a condition may use, with their meanings.

    Every yes/no column of a pool is one.
    """
    of_pools = {facts.name: facts.help for facts in flag_columns()}
    return MappingProxyType({**of_pools, **_CHOICES})


PROFILES = ("default", "doc_example")
LAYOUTS = ("combined", "separate")
ISSUERS = ("internal", "public")
#: The severities of findings, the most severe first.
SEVERITIES = ("error", "warning", "notice")

#: The zones of servers and clients, from the Internet to the internal network.
ZONES = ("outside", "perimeter", "inside")

#: The listening pools to which a speaker connects. ``site``: pools of its own site, or of all sites
#: if its site is blank. ``nearest``: the same, but pools of all sites if its own site has none.
REACHES = ("site", "nearest", "deployment")

#: The placeholders, by their beginning, that a certificate per computer, pool or deployment must
#: not contain.
OUT_OF_SCOPE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "computer": (),
        "pool": ("computer.",),
        "deployment": (
            "computer.",
            "pool.",
            "backup.",
            "published.",
            "meet_url",
            "dialin_url",
            "admin_url",
        ),
    }
)

#: The form of a template: text, at most one placeholder, text.
TEMPLATE = re.compile(r"([a-z0-9.*-]*)(?:\{([a-z_.]+)\})?([a-z0-9.-]*)")


#: The text for a fact that no document contains.
NOT_DOCUMENTED = "not documented"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A documented fact; ``source`` begins ``Inferred: `` if it is inferred from a document."""

    says: str
    source: str

    def __str__(self) -> str:
        return f"{self.says} [{self.source}]"


# The keys of texts for people, which do not affect plans or findings.
_WORDS = frozenset(
    (
        *("title", "why", "meaning", "hint", "source", "disagreement", "clients", "without"),
        *("fires", "nearest", "as_of", "group"),
    )
)


def digest_of_deciding(value: object) -> str:
    """Return the SHA-256 of a document of rules, without texts for people and in any order."""

    def plain(value: object) -> object:
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items() if key not in _WORDS}
        return [*map(plain, value)] if isinstance(value, (list, tuple)) else value

    whole = json.dumps(plain(value), sort_keys=True, default=str)
    return hashlib.sha256(whole.encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRule:
    """A kind of name on certificates, e.g. ``sip.{sip_domain}``.

    ``template`` contains at most one placeholder, and yields one name for each of its values. The
    name applies if all flags of ``if_all``, one of ``if_any`` (if given) and none of ``unless`` are
    set. ``wildcard``: a wildcard of the parent domain may replace it. ``clients`` are the clients
    that need the name, ``without`` is the effect if it is missing; None means not documented.
    """

    id: str
    template: str
    why: str
    source: str
    if_all: tuple[str, ...] = ()
    if_any: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    wildcard: bool = False
    clients: Fact | None = None
    without: Fact | None = None

    @property
    def parts(self) -> tuple[str, str, str]:
        """Text before the placeholder, the placeholder without braces, text after it."""
        match = TEMPLATE.fullmatch(self.template)
        return (match[1], match[2] or "", match[3]) if match else (self.template, "", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRule:
    """A certificate that a role needs.

    ``issue_per`` is ``computer``, ``pool`` or ``deployment``; the last one is for all servers of
    the roles in ``needed_by``. If a flag of ``per_pool_if`` is set, all servers of a pool share one
    certificate with the names of each. ``layout`` is ``combined``, ``separate`` or "" (both). The
    certificate is needed if all flags of ``if_all`` and none of ``unless`` are set.
    ``subject_name`` is the id of a name rule (its first value); ``subject_alt_name`` are ids of
    name rules, in their order on the certificate.
    """

    id: str
    role: str
    usages: tuple[str, ...]
    issue_per: str
    subject_name: str
    subject_alt_name: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    issuer: str
    source: str
    layout: str = ""
    profiles: tuple[str, ...] = PROFILES
    if_all: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    needed_by: tuple[str, ...] = ()
    extended_key_usage_if: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    wildcard: bool = False
    per_pool_if: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRule:
    """The facts about a server role that concern certificates."""

    id: str
    title: str
    source: str
    traits: frozenset[str] = frozenset()  # publishes_web, single_computer …
    publish_order: int = 0  # position among the names of a reverse proxy; 0: not published
    zone: str = "inside"  # one of ZONES
    hosted_by: tuple[str, ...] = ()  # roles on whose servers it needs no separate certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRule:
    """An operating system of clients; ``hashes`` are its documented hash algorithms."""

    id: str
    hashes: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyRule:
    """A party that connects to the servers, e.g. external clients.

    ``root`` describes the root of its certificate; blank if it presents none.
    """

    id: str
    title: str
    zone: str  # one of ZONES
    source: str
    root: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRule:
    """A TLS connection: who opens it, who accepts it, and the names in use.

    ``speakers`` are ids of roles or parties, ``listeners`` of roles. The listener presents its
    certificate for ``usage`` ("" for roles whose certificates have none); the speaker uses the
    names of the name rules ``names``. ``reach`` is one of ``REACHES``. If the speaker also presents
    a certificate, it is the one for ``speaker_usage``. ``when`` describes the condition of the
    connection if the table does not contain it. ``drawn``: pictures show it.
    """

    id: str
    speakers: tuple[str, ...]
    listeners: tuple[str, ...]
    names: tuple[str, ...]
    protocol: str  # e.g. SIP, HTTPS
    port: int
    why: str
    source: str
    usage: str = ""
    reach: str = "nearest"
    if_all: tuple[str, ...] = ()
    speaker_usage: str = ""
    when: str = ""
    drawn: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRule:
    """The trust that some connections, or servers of some roles, need.

    For ``connections``, the listener presents a certificate, and the speaker needs its root. With
    ``speaker_eku`` the speaker presents one, too. With ``listener_eku`` the listener also opens
    such connections, and presents its own. Both contain the extended key usages that the other side
    requires. With ``only_if_planned`` this applies only if the certificate is planned with these
    usages. For ``roles``, such a server needs the chain of its own certificates.
    """

    id: str
    why: str
    source: str
    connections: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    speaker_eku: tuple[str, ...] = ()
    listener_eku: tuple[str, ...] = ()
    only_if_planned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A deployment for which a check reports a finding, or the most similar one without.

    ``says`` describes it. It is a sample deployment with some changes: ``without`` are removed
    roles, ``rows`` additional rows by server and column, ``cells`` new texts by role and column;
    ``options`` is the text of a ``plan.toml``, ``on`` is the evaluation date. ``names`` are the
    alternative names and ``subject_names`` the subject name of every certificate with a usage (or
    of a role without usages), as changed after planning.
    """

    says: str
    on: date | None = None
    options: str = ""
    cells: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    names: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    subject_names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    without: tuple[str, ...] = ()
    rows: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRule:
    """A check: its code, severity, meaning and source.

    ``test`` names the function in ``checks`` (by default the code with underscores); several codes
    may share one. ``roles``, ``usages``, ``issuers`` (internal, public) and ``cas`` (names of CAs)
    limit the scope; empty means everything. The check applies from ``effective`` until the day
    before ``until``, by default always. ``disagreement`` describes which sources disagree.
    ``fires`` is a deployment with the finding, ``nearest`` the most similar one without it.
    """

    code: str
    severity: str
    title: str
    meaning: str
    hint: str
    source: str
    test: str = ""
    roles: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    not_for: tuple[str, ...] = ()  # roles and usages to which it does not apply
    names: tuple[str, ...] = ()  # ids of name rules, for tests that look for names
    limit: int = 0  # limit for the number that the test counts
    suffixes: tuple[str, ...] = ()  # name endings, for tests that search for them
    labels: tuple[str, ...] = ()  # labels of names, for such tests
    keys: tuple[str, ...] = ()  # keys, e.g. "ECDSA 521", for such tests
    policies: tuple[str, ...] = ()  # certificate policies, as dotted OIDs, of which one is required
    effective: date | None = None
    until: date | None = None
    cas: tuple[str, ...] = ()
    not_cas: tuple[str, ...] = ()  # CAs with a smaller limit, to which it does not apply
    disagreement: str = ""
    fires: Case | None = None
    nearest: Case | None = None

    def holds_on(self, day: date) -> bool:
        """Whether the check applies on a day."""
        return (self.effective is None or self.effective <= day) and (
            self.until is None or day < self.until
        )


def in_words(text: str, words: Mapping[str, str]) -> str:
    """Replace words in a text, the longest matches first."""
    present = sorted((old for old in words if old in text), key=len, reverse=True)
    pattern = "|".join(map(re.escape, present))
    return re.sub(pattern, lambda match: words[match[0]], text) if present else text


def cited(text: str, documents: Mapping[str, str], title: str) -> tuple[str, str]:
    """Replace a document of another product in a source by the corresponding one of this product.

    Parameters
    ----------
    text : str
        A source that may name a document of the other product.
    documents : mapping
        The documents of this product by those of the other one, with their dates.
    title : str
        The title of the other product.

    Returns
    -------
    tuple of str
        The source, marked as inferred if only the other product has the document; and the key of
        ``documents`` in it, "" if none.
    """
    for old in sorted(documents, key=len, reverse=True):
        before, match, detail = text.partition(old)
        if match:
            name, comma, day = documents[old].rpartition(", ")
            return f"{before}{name}{re.sub(r', [0-9-]{7,10}$', '', detail)}{comma}{day}", old
    if title in text and not text.startswith("Inferred: "):
        return f"Inferred: as for {title}: {text}", ""
    return text, ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Rules(Table):
    """The rules of one product version for each role.

    ``sha256`` covers the values that decide a plan. ``file_sha256`` covers the complete file of a
    custom product, with its commands for scripts; a built-in product has none.
    """

    product: str
    title: str
    roles: Mapping[str, RoleRule]
    names: Mapping[str, NameRule]
    certificates: tuple[CertificateRule, ...]
    checks: Mapping[str, CheckRule]
    settings: Mapping[str, object]  # the remaining tables of the file: pfx, deploy
    parties: Mapping[str, PartyRule] = field(default_factory=lambda: MappingProxyType({}))
    connections: tuple[ConnectionRule, ...] = ()
    trusts: tuple[TrustRule, ...] = ()
    clients: tuple[ClientRule, ...] = ()  # the oldest first
    sha256: str = field(default="", compare=False)
    file_sha256: str = field(default="", compare=False)
    words: tuple[Mapping[str, str], ...] = ()  # word replacements in shared texts, in order
    #: For sources of such texts: the other product's title, and this product's documents by the
    #: other's.
    cited: tuple[tuple[str, Mapping[str, str]], ...] = ()

    def oldest_client(self, chosen: str) -> ClientRule | None:
        """Return the chosen client, by default the oldest one in the list."""
        fitting = (client for client in self.clients if chosen in ("", client.id))
        return next(fitting, None)

    def said(self, text: str) -> str:
        """Return a text of another product with the words of this one."""
        for words in self.words:
            text = in_words(text, words)
        return text

    def source(self, text: str) -> str:
        """Return a source of another product with the document of this one."""
        for title, documents in self.cited:
            text, _ = cited(text, documents, title)
        return text

    def own(self, check: CheckRule) -> CheckRule:
        """Return a check that several products share, with the words of this product."""
        if not self.words:
            return check
        title, meaning, hint = map(self.said, (check.title, check.meaning, check.hint))
        return replace(check, title=title, meaning=meaning, hint=hint)

    @property
    def usages(self) -> frozenset[str]:
        """The usages of all certificates of the product."""
        return frozenset(usage for rule in self.certificates for usage in rule.usages)

    @property
    def pool_columns(self) -> frozenset[str]:
        """The columns of pools that names or conditions of the product use."""
        names = self.names.values()
        asked = {flag for rule in names for flag in (*rule.if_all, *rule.if_any, *rule.unless)}
        for rule in self.certificates:
            asked.update(rule.if_all, rule.unless, rule.per_pool_if, rule.extended_key_usage_if)
        return frozenset(asked | {rule.parts[1].removeprefix("pool.") for rule in names})

    def _headings(self) -> tuple[str, ...]:
        return COLUMNS

    def _rows(self) -> list[tuple[object, ...]]:
        return [
            (
                rule.role,
                rule.usages,
                rule.layout,
                rule.profiles,
                rule.issue_per,
                self.names[rule.subject_name].template,
                tuple(self.names[name].template for name in rule.subject_alt_name),
                rule.extended_key_usage,
                rule.issuer,
                rule.source,
            )
            for rule in self.certificates
        ]

    def _summary(self) -> str:
        return (
            f"Rules of {self.title}: {len(self.certificates)} certificates, "
            f"{len(self.checks)} checks"
        )


COLUMNS = (
    "Role",
    "Type",
    "Layout",
    "Profile",
    "Issued per",
    "Subject name",
    NAMES_HEADING,
    "EKU",
    "Issuer",
    "Source",
)
