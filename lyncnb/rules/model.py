"""Define the vocabulary of rule files: placeholders, flags, and records."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType
from typing import ClassVar

from ..base.certificate_fields import NAMES_HEADING
from ..base.shown.tables import Table, columns
from ..topology.columns import list_flag_columns, list_pool_name_columns

#: The placeholders that name templates can contain, with a description of their values. Each name
#: column of a pool is also a placeholder.
_PLACEHOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "computer.fqdn": "the server's own name",
        "pool.fqdn": "the pool's name",
        "pool.computers": "the name of every server in the pool",
        "sip_domain": "every SIP domain, starting with the default SIP domain",
        "external_sip_domain": "every SIP domain that is also used externally",
        "default_sip_domain": "the default SIP domain",
        "autodiscover_internal_extra_domain": "every additional internal Autodiscover domain "
        "in the options",
        "meet_url.host": "the host name of every Meet simple URL for the pool's site",
        "dialin_url.host": "the host name of the dial-in simple URL for the pool's site",
        "admin_url.host": "the host name of the administrative simple URL for the pool's site",
        "backup.meet_url.host": "the host name of every Meet simple URL for the backup pool's site",
        "backup.dialin_url.host": "the host name of the dial-in simple URL for the backup "
        "pool's site",
        "published.web_external_fqdn": "the external web services name of every published pool",
        "published.meet_url.host": "the host name of every Meet simple URL for the published sites",
        "published.dialin_url.host": "the host name of every dial-in simple URL for the "
        "published sites",
    }
)


def list_placeholders() -> Mapping[str, str]:
    """Return the placeholders that templates may use, each with a description of its values.

    For every pool column that contains names, there is a placeholder ``{pool.COLUMN}``.
    """
    of_pools = {f"pool.{facts.name}": facts.help for facts in list_pool_name_columns()}
    return MappingProxyType({**_PLACEHOLDERS, **of_pools})


#: The flags that conditions can use: options of ``PlanOptions``, and ``extra_san``. Each yes/no
#: column of a pool is also a flag.
_CHOICES: Mapping[str, str] = MappingProxyType(
    {
        "extra_san": "the pool has additional names",
        "wildcard": "the plan uses wildcards for simple URLs",
        "autodiscover_https": "Autodiscover is published on port 443",
        "edge_member_names": "the plan includes the names of individual Edge Servers",
        "xmpp_host_names": "the plan includes xmpp.<domain> names",
        "separate_av_certificate": "A/V Authentication has a separate certificate",
        "reverse_proxy_client_eku": "the plan includes client authentication for reverse proxies",
        "client_authentication": "the plan includes client authentication for the pool",
        "shared_certificate": "the servers in the pool share one certificate",
    }
)


def list_flags() -> Mapping[str, str]:
    """Return the flags that conditions may use, each with its meaning.

    Every yes/no column of a pool is also a flag.
    """
    of_pools = {facts.name: facts.help for facts in list_flag_columns()}
    return MappingProxyType({**of_pools, **_CHOICES})


PROFILES = ("default", "doc_example")
LAYOUTS = ("combined", "separate")
ISSUERS = ("internal", "public")
#: The severities of findings, from the most to the least severe.
SEVERITIES = ("error", "warning", "notice")

#: The zones of servers and clients, from the Internet to the internal network.
ZONES = ("outside", "perimeter", "inside")

#: The pools to which a server or client connects. ``site``: the pools in its own site, or the pools
#: in all sites if it has no site. ``nearest``: the same, but if its site has no such pool, the
#: pools in all sites.
REACHES = ("site", "nearest", "deployment")

#: The ports and names that the command ``probe`` uses only with the option ``--also``.
PORT_CHOICES = ("services",)

#: The prefixes of the placeholders that a certificate cannot contain. They depend on whether the
#: certificate is for a computer, a pool, or the deployment.
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

#: A template is text with at most one placeholder.
TEMPLATE = re.compile(r"([a-z0-9.*-]*)(?:\{([a-z_.]+)\})?([a-z0-9.-]*)")


#: The text that is shown instead of a fact that no document states.
NOT_DOCUMENTED = "unknown (not documented)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A fact with its source. The source of an inferred fact begins with ``Inferred``."""

    says: str
    source: str

    def __str__(self) -> str:
        return f"{self.says} [{self.source}]"


#: The keys whose values are texts for readers. These values do not affect plans or findings.
_WORDS = frozenset(
    (
        *("title", "why", "meaning", "hint", "source", "disagreement", "clients", "without"),
        *("fires", "nearest", "as_of", "group"),
    )
)


def compute_digest_without_texts(value: object) -> str:
    """Return the SHA-256 of a rule document without the texts for people.

    The order of the keys does not matter.
    """

    def remove_texts(value: object) -> object:
        if isinstance(value, Mapping):
            return {key: remove_texts(item) for key, item in value.items() if key not in _WORDS}
        return [*map(remove_texts, value)] if isinstance(value, (list, tuple)) else value

    text = json.dumps(remove_texts(value), sort_keys=True, default=str)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRule:
    """A rule for a type of name on certificates, such as ``sip.{sip_domain}``.

    ``template`` contains at most one placeholder and produces one name for each of its values. The
    name applies if all flags in ``if_all`` are set, at least one in ``if_any`` (unless empty), and
    none in ``unless``. With ``wildcard``, a wildcard for the parent domain may replace the name.
    ``clients`` describes the clients that need the name, ``without`` the effect if the name is
    missing. None means that no document describes it.
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
        """The template as text before the placeholder, the placeholder, and text after it."""
        match = TEMPLATE.fullmatch(self.template)
        return (match[1], match[2] or "", match[3]) if match else (self.template, "", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRule:
    """A rule for a certificate that a server role needs.

    ``issue_per`` is ``computer``, ``pool``, or ``deployment``. ``deployment`` means one certificate
    for all servers with the roles in ``needed_by``. If a flag in ``per_pool_if`` is set, all
    servers in a pool share one certificate with the names of all servers. ``layout`` is
    ``combined``, ``separate``, or "" (both). The certificate is needed if all flags in ``if_all``
    and none in ``unless`` are set. ``subject_name`` is the id of a name rule, whose first value is
    used. ``subject_alt_name`` contains ids of name rules, in their order on the certificate.
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
    """The facts about a server role that affect certificates."""

    id: str
    title: str
    source: str
    traits: frozenset[str] = frozenset()  # Examples: publishes_web, single_computer.
    publish_order: int = (
        # The position of this role's names on a reverse proxy certificate, or 0 if the names are
        # not published.
        0
    )
    zone: str = "inside"  # one of ZONES
    # The roles whose servers may also have this role. In that case, the role needs no certificate
    # of its own.
    hosted_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRule:
    """A client operating system. ``hashes`` contains the hash algorithms that it supports."""

    id: str
    hashes: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyRule:
    """A party that connects to the servers, such as external clients.

    ``root`` describes the root of the party's certificate. It is blank if the party presents none.
    """

    id: str
    title: str
    zone: str  # one of ZONES
    source: str
    root: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRule:
    """A rule for a TLS connection: who opens it, who accepts it, and by which names.

    ``speakers`` are ids of roles or parties, ``listeners`` are ids of roles. The listener presents
    its certificate for ``usage``, or "" for roles whose certificates have no usage. The speaker
    connects by the names of the name rules in ``names``. ``reach`` is one of ``REACHES``. If the
    speaker also presents a certificate, it is the certificate for ``speaker_usage``. ``when``
    describes a condition for the connection that the table does not contain. ``drawn`` means that
    figures show the connection. ``shared_port`` is the port if an Edge service shares its name with
    another one, so that the name no longer identifies the address.
    """

    id: str
    speakers: tuple[str, ...]
    listeners: tuple[str, ...]
    names: tuple[str, ...]
    protocol: str  # Examples: SIP, HTTPS.
    port: int
    why: str
    source: str
    usage: str = ""
    reach: str = "nearest"
    if_all: tuple[str, ...] = ()
    speaker_usage: str = ""
    when: str = ""
    drawn: bool = True
    shared_port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRule:
    """A rule for a TLS port that ``probe`` reads, and for the certificate on the port.

    The servers with ``roles`` show the certificate for ``usage``. The name rules in ``names`` say
    by which names others connect; the first name is sent. ``zone`` is the zone of who asks. The
    servers are asked at their own addresses, and the names of ``anchors`` at theirs, which can be a
    load balancer's. With ``anchored``, only the anchors are asked, because a server's own name does
    not lead to this port. With ``by_name``, the certificate depends on the name, so each name is
    asked. ``also`` is the choice of ``probe --also`` that includes the port. ``when`` describes a
    condition that the table does not contain; such a port never fails a run.
    """

    id: str
    roles: tuple[str, ...]
    port: int
    names: tuple[str, ...]
    source: str
    usage: str = ""
    zone: str = "inside"  # one of ZONES
    anchors: tuple[str, ...] = ()
    anchored: bool = False
    by_name: bool = False
    if_all: tuple[str, ...] = ()
    shared_port: int = 0
    also: str = ""
    when: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenRule:
    """The reason why no port presents the certificates of some roles or usages."""

    id: str
    why: str
    source: str
    roles: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRule:
    """A service that a name leads to, for clients on some ``sides``: outside, inside, or both.

    A name can lead to this service and also to the services in ``shares``. ``title`` has a
    placeholder for the pool if each name leads to one pool only.
    """

    id: str
    title: str
    sides: frozenset[str]
    source: str
    shares: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRule:
    """A rule that states which CA certificates a server needs for connections or for its role.

    For ``connections``, the listener presents a certificate and the speaker needs its root. With
    ``speaker_eku``, the speaker also presents a certificate. With ``listener_eku``, the listener
    also opens such connections and presents its own certificate. Both keys contain the extended key
    usages that the other side requires. With ``only_if_planned``, the rule applies only if the
    certificate is planned with these usages. For ``roles``, a server needs the chain of its own
    certificates.
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
    """A test deployment that causes a finding, or a similar deployment that does not.

    ``says`` describes the deployment. It is a sample deployment with changes: ``without`` contains
    removed roles, ``rows`` additional rows by server and column, and ``cells`` new texts by role
    and column. ``options`` is the text of a ``plan.toml``, and ``on`` is the evaluation date.
    ``names`` and ``subject_names`` replace names after planning on every certificate with a usage,
    or with a role that has no usages.
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
class PeriodRule:
    """A rule that applies from ``effective`` until the day before ``until``, by default always."""

    effective: date | None = None
    until: date | None = None

    def applies_on(self, on_date: date) -> bool:
        """Return whether the rule applies on a date."""
        return (self.effective is None or self.effective <= on_date) and (
            self.until is None or on_date < self.until
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTerms(PeriodRule):
    """What every check has: its code, severity and meaning, its scope, and its values.

    ``test`` is the function in ``checks``, by default the code with underscores. Several codes may
    share one function. ``roles`` and ``usages`` limit the scope; an empty value means no limit.
    ``fires`` is a deployment that causes the finding, ``nearest`` the most similar one that does
    not.
    """

    code: str
    severity: str
    title: str
    meaning: str
    hint: str
    test: str = ""
    roles: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()
    not_for: tuple[str, ...] = ()  # The roles and usages to which the check does not apply.
    names: tuple[str, ...] = ()  # The IDs of the name rules that checks of names use.
    limit: int = 0  # The number above which a check reports a finding.
    suffixes: tuple[str, ...] = ()  # The endings of names that the check looks for.
    # For checks of host name labels: the labels that the check reports.
    labels: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()  # The key types that the check reports, such as "ECDSA 521".
    # The certificate policies (OIDs). A certificate must have one of them.
    policies: tuple[str, ...] = ()
    fires: Case | None = None
    nearest: Case | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRule(CheckTerms):
    """A check with its source.

    ``issuers`` (internal, public) and ``cas`` (names of CAs) also limit the scope.
    ``disagreement`` describes a disagreement between sources.
    """

    source: str
    issuers: tuple[str, ...] = ()
    cas: tuple[str, ...] = ()
    # The CAs to which the check does not apply, because they have a smaller limit.
    not_cas: tuple[str, ...] = ()
    disagreement: str = ""


def replace_words(text: str, replacements: Mapping[str, str]) -> str:
    """Replace words in a text, starting with the longest matches."""
    present = sorted((old for old in replacements if old in text), key=len, reverse=True)
    pattern = "|".join(map(re.escape, present))
    return re.sub(pattern, lambda match: replacements[match[0]], text) if present else text


def replace_documents(text: str, replacements: Mapping[str, str], title: str) -> tuple[str, str]:
    """Replace documents about another product in a source with those about this product.

    Parameters
    ----------
    text : str
        A source, which may contain the name of a document about the other product.
    replacements : mapping
        The documents about this product and their dates, by the document about the other product.
    title : str
        The title of the other product.

    Returns
    -------
    tuple of str
        The source, and the key in ``replacements`` that was found, or "". If only the other product
        has the document, the source is marked as inferred.
    """
    for old in sorted(replacements, key=len, reverse=True):
        before, match, detail = text.partition(old)
        if match:
            name, comma, day = replacements[old].rpartition(", ")
            return f"{before}{name}{re.sub(r', [0-9-]{7,10}$', '', detail)}{comma}{day}", old
    if title in text and not text.startswith("Inferred"):
        return f"Inferred: as for {title}: {text}", ""
    return text, ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Rules(Table):
    """The rules of one product version for all roles.

    ``sha256`` covers the values that affect a plan. ``file_sha256`` covers the complete file of a
    custom product, including the commands in scripts. ``path`` is that file. Both are blank for a
    built-in product.
    """

    _columns: ClassVar = columns(
        ("Role", lambda row: row[0].role),
        ("Type", lambda row: row[0].usages),
        ("Layout", lambda row: row[0].layout),
        ("Profile", lambda row: row[0].profiles),
        ("Issued per", lambda row: row[0].issue_per),
        ("Subject name", lambda row: row[1][row[0].subject_name].template),
        (NAMES_HEADING, lambda row: tuple(row[1][n].template for n in row[0].subject_alt_name)),
        ("EKU", lambda row: row[0].extended_key_usage),
        ("Issuer", lambda row: row[0].issuer),
        ("Source", lambda row: row[0].source),
    )

    product: str
    title: str
    roles: Mapping[str, RoleRule]
    names: Mapping[str, NameRule]
    certificates: tuple[CertificateRule, ...]
    checks: Mapping[str, CheckRule]
    # The remaining tables in the product file: pfx, deploy.
    settings: Mapping[str, object]
    parties: Mapping[str, PartyRule] = field(default_factory=lambda: MappingProxyType({}))
    connections: tuple[ConnectionRule, ...] = ()
    trusts: tuple[TrustRule, ...] = ()
    ports: tuple[PortRule, ...] = ()
    unseen: tuple[UnseenRule, ...] = ()
    destinations: Mapping[str, DestinationRule] = field(
        default_factory=lambda: MappingProxyType({})
    )
    clients: tuple[ClientRule, ...] = ()  # The clients are sorted from the oldest to the newest.
    sha256: str = field(default="", compare=False)
    file_sha256: str = field(default="", compare=False)
    path: str = field(default="", compare=False)
    # The words to replace in texts of another product, in order.
    words: tuple[Mapping[str, str], ...] = ()
    #: The title of the product whose texts this product shares. The mapping contains the
    #: corresponding document about this product for each document about the other product.
    cited: tuple[tuple[str, Mapping[str, str]], ...] = ()

    def find_oldest_client(self, chosen: str) -> ClientRule | None:
        """Return the selected client operating system, or by default the oldest one."""
        fitting = (client for client in self.clients if chosen in ("", client.id))
        return next(fitting, None)

    def adapt_text(self, text: str) -> str:
        """Replace words in another product's text with the words of the current product."""
        for words in self.words:
            text = replace_words(text, words)
        return text

    def adapt_source(self, text: str) -> str:
        """Replace another product's documents in a source text with those of this product."""
        for title, documents in self.cited:
            text, _ = replace_documents(text, documents, title)
        return text

    def adapt_check(self, check: CheckRule) -> CheckRule:
        """Return a copy of a shared check, with the texts adapted to this product."""
        if not self.words:
            return check
        title, meaning, hint = map(self.adapt_text, (check.title, check.meaning, check.hint))
        return replace(check, title=title, meaning=meaning, hint=hint)

    @property
    def usages(self) -> frozenset[str]:
        """The usages of all certificates in the product."""
        return frozenset(usage for rule in self.certificates for usage in rule.usages)

    @property
    def pool_columns(self) -> frozenset[str]:
        """The columns about pools that occur in name rules or conditions of the product."""
        names = self.names.values()
        flags = {flag for rule in names for flag in (*rule.if_all, *rule.if_any, *rule.unless)}
        for rule in self.certificates:
            flags.update(rule.if_all, rule.unless, rule.per_pool_if, rule.extended_key_usage_if)
        return frozenset(flags | {rule.parts[1].removeprefix("pool.") for rule in names})

    def _list_items(self) -> Iterator[tuple[CertificateRule, Mapping[str, NameRule]]]:
        return ((rule, self.names) for rule in self.certificates)

    def _summarize(self) -> str:
        return (
            f"Rules for {self.title}: {len(self.certificates)} certificates, "
            f"{len(self.checks)} checks"
        )
