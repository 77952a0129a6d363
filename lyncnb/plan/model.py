"""Define the classes of a plan: ``PlannedCertificate``, ``CertificatePlan``, ``Explanation``.

The objects are immutable. ``planner.py`` creates them, and ``plan_json.py`` writes them as JSON.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from ..base.arguments import check_type
from ..base.certificate_fields import NAMES_HEADING, DistinguishedName, KeyParameters, SanEntry
from ..base.known_words import list_known_words
from ..base.planned_entry import PlannedEntry, PlannedKey
from ..base.request_content import RequestContent
from ..base.shown.languages import make_translator
from ..base.shown.origin import Origin, mark_origin
from ..base.shown.tables import (
    ROWS_SHOWN,
    Chip,
    Marked,
    PlanMark,
    Table,
    collapse_html,
    columns,
    format_count,
    mark_plan,
    rows_to_html,
)
from ..errors import PlanError
from ..rules.model import NOT_DOCUMENTED, Fact, NameRule, Rules
from ..topology.topology import Topology
from .options import PlanOptions, build_table_origin

#: The text for the usage of a certificate that no cmdlet of the product assigns.
NO_TYPE = "assigned in another product"

# --- The following classes show, in a table, why each name is on the certificates of a server.

#: The headings above the reasons for a name.
REASON_COLUMNS = ("Why", "Who needs it", "Without it")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedName:
    """A name on a certificate, with one reason for the name."""

    certificate: str  # The ID of the certificate.
    role: str
    usages: tuple[str, ...]
    place: str  # Where the name is used. The value is one of: subject | SAN | subject and SAN.
    name: str
    rule: str  # The ID of the name rule.
    why: str
    source: str
    # The clients that need the name, or None if they are not documented.
    clients: Fact | None = None
    # The effect of a missing name, or None if it is not documented.
    without: Fact | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Explanation(Table):
    """The names on all certificates for a server, or for the complete plan, with reasons.

    It is empty if the server needs no certificate.
    """

    _columns: ClassVar = columns(
        ("Certificate", "certificate"),
        ("Type", "usages"),
        ("Where", "place"),
        ("Name", "name"),
        ("Name rule", "rule"),
        (REASON_COLUMNS[0], "why"),
        ("Source", "source"),
        (REASON_COLUMNS[1], lambda item: format_fact(item.clients)),
        (REASON_COLUMNS[2], lambda item: format_fact(item.without)),
    )

    server: str
    names: tuple[ExplainedName, ...]
    plan: Marked | None = field(default=None, compare=False)

    def _list_items(self) -> tuple[ExplainedName, ...]:
        return self.names

    def _summarize(self) -> str:
        return f"Names on the certificates {f'of {self.server}' if self.server else 'in the plan'}"

    def _repr_html_(self) -> str:
        """Return an HTML table for each certificate. Names with the same reason share a row."""
        tables = (
            []
            if self.names
            else [rows_to_html(self._list_headings(), [], caption=self._summarize())]
        )
        for certificate in dict.fromkeys(item.certificate for item in self.names):
            items = [item for item in self.names if item.certificate == certificate]
            alike: dict[tuple[str, str], list[ExplainedName]] = {}
            for item in items:
                alike.setdefault((item.place, item.rule), []).append(item)
            rows = [
                (
                    tuple(item.name or "(no name)" for item in items_alike),
                    *place_and_rule,
                    *_format_facts(items_alike[0]),
                )
                for place_and_rule, items_alike in alike.items()
            ]
            use = ", ".join(items[0].usages) or items[0].role
            caption = f"{self._summarize()}: {use} ({certificate})"
            headings = ("Name", "Where", "Rule", *REASON_COLUMNS)
            tables.append(
                rows_to_html(headings, rows, caption=caption, linked_columns=REASON_COLUMNS)
            )
        return mark_plan("\n".join(tables), self._get_shown_plan())

    def _get_shown_plan(self) -> Marked | None:
        return self.plan

    def __str__(self) -> str:
        if not self.names:
            return f"{self.server or 'the deployment'} needs no certificate"
        lines: list[str] = []
        previous_key: tuple[str, ...] = ()
        for item in self.names:
            if previous_key[:1] != (item.certificate,):
                lines.append(f"{item.certificate}: {', '.join(item.usages) or item.role}")
            if previous_key != (item.certificate, item.name):
                lines.append(f"  {item.name or '(no name)'} ({item.place})")
            previous_key = (item.certificate, item.name)
            lines.append(f"    {item.why} [{item.rule}]\n      {item.source}")
            lines += [
                f"    {heading}: {format_fact(fact, separator=f'{chr(10)}      ')}"
                for heading, fact in zip(REASON_COLUMNS[1:], (item.clients, item.without))
            ]
        return "\n".join(lines)


def format_fact(fact: Fact | None, *, separator: str = "\n") -> str:
    """Return a fact about a name with its source, or a note that the fact is not documented."""
    return f"{fact.says}{separator}{fact.source}" if fact else NOT_DOCUMENTED


def _format_facts(item: ExplainedName | NameRule) -> tuple[str, ...]:
    """Return the reason for a name, the clients that use it, and the effect if it is missing.

    Each fact includes its source.
    """
    facts = (Fact(says=item.why, source=item.source), item.clients, item.without)
    return tuple(map(format_fact, facts))


# The columns that fit in a notebook on a screen with a width of 1280 pixels.
_SHOWN_COLUMNS = (
    "Role, site",
    "Pool",
    "Server",
    "Type",
    "Subject name",
    NAMES_HEADING,
    "Issuer, key, EKU",
)

# The maximum length of the name part of an ID. With this limit, file names are much shorter than
# the 255 characters that file systems allow.
_SLUG_LENGTH = 80


class PlannedCertificate(NamedTuple):
    """A planned certificate. Use keyword arguments to create it.

    ``subject.common_name`` is blank if the topology does not contain the name. A check reports this
    error.

    Notes
    -----
    This is a named tuple, because a plan can have 100,000 of them. Creating a frozen dataclass
    takes four times as long, which is the time for reading a server's row.
    """

    # In the following fields, all certificates for a pool have the same values.
    role: str
    site: str
    pool: str  # The name of the pool, or "" for a certificate of the complete deployment.
    usages: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    key: KeyParameters
    hash: str
    shared_by: str  # The servers that share the certificate: server (only one) | pool | deployment.
    rule: str  # The ID of the certificate rule.
    # In the following fields, each certificate has different values.
    servers: tuple[str, ...]
    subject: DistinguishedName
    subject_alt_name: tuple[SanEntry, ...]
    issuer: str  # The type of the issuer. The value is one of: internal | public.
    ca: str  # The name of the CA, or "" if the options do not specify a CA.
    target_os: str  # The oldest Windows version on the servers.
    # Whether the certificate is requested during the setup of the server.
    at_set_up: bool = False

    @property
    def id(self) -> str:
        """The ID ``<role>-<slug>-<8 hex>``, which is also used in the certificate's file names.

        The ID depends only on the role, the usages, and the server, pool, or deployment. It does
        not change if a name is added to the certificate.
        """
        server = self.servers[0] if self.shared_by == "server" else ""
        identity = "\0".join(
            (self.role, ",".join(self.usages), self.shared_by, self.pool, server)
        ).lower()
        digest = hashlib.sha256(identity.encode("utf-8")).hexdigest()[:8]
        return f"{self.role}-{build_slug(server or self.pool or 'deployment')}-{digest}"

    @property
    def owner(self) -> str:
        """The server or pool that uses the certificate, or ``the deployment``."""
        if self.shared_by == "server":
            return self.servers[0]
        return self.pool or "the deployment"

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the certificate's SAN, in order and without the reasons."""
        return tuple(entry.name for entry in self.subject_alt_name)


def build_slug(name: str) -> str:
    """Convert a host name to text that is valid in file names on every system.

    Parameters
    ----------
    name : str
        A host name or a wildcard name.

    Returns
    -------
    str
        A text of at most 80 characters (``a``–``z``, ``0``–``9``, and ``-``).
    """
    text = name.lower().replace("*", "wildcard")
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")[:_SLUG_LENGTH].rstrip("-")


def compute_plan_digest(product: str, certificates: Iterable[PlannedCertificate]) -> str:
    """Return the digest of the planned requests (see :attr:`CertificatePlan.sha256`)."""
    # The JSON text of a large plan can exceed 100 MB, so lyncnb hashes one certificate at a time.
    return combine_digest_parts(
        product, (encode_digest_part((certificate,)) for certificate in certificates)
    )


def encode_digest_part(certificates: Iterable[PlannedCertificate]) -> bytes:
    """Return the bytes of several certificates for the plan's digest."""
    return b"".join(
        b"," + _encode_json(build_certificate_document(certificate)) for certificate in certificates
    )


def combine_digest_parts(product: str, parts: Iterable[bytes]) -> str:
    """Combine the digests of a plan's parts, in the order of the plan."""
    digest = hashlib.sha256(b"[" + _encode_json(product))
    for part in parts:
        digest.update(part)
    digest.update(b"]")
    return digest.hexdigest()


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def _encode_json(value: object) -> bytes:
    return _ENCODER.encode(value).encode("ascii")


def convert_to_entry(certificate: PlannedCertificate) -> PlannedEntry:
    """Convert a planned certificate to a record, without the reasons for the names."""
    return PlannedEntry(
        id=certificate.id,
        role=certificate.role,
        site=certificate.site,
        pool=str(certificate.pool),
        servers=tuple(map(str, certificate.servers)),
        usages=certificate.usages,
        subject=dict(certificate.subject.fields()),
        san=tuple(map(str, certificate.names)),
        eku=certificate.extended_key_usage,
        issuer=certificate.issuer,
        key=PlannedKey(algorithm=certificate.key.algorithm, bits=certificate.key.bits),
        hash=certificate.hash,
        shared_by=certificate.shared_by,
        at_set_up=certificate.at_set_up,
    )


# The key usages of an RSA key are digitalSignature for ECDHE_RSA, and keyEncipherment for the RSA
# key exchange (RFC 5246 section 7.4.2). An ECDSA key is only used for signatures: RFC 8813 section
# 3 forbids keyEncipherment.
_KEY_USAGE = {"RSA": ("digitalSignature", "keyEncipherment"), "ECDSA": ("digitalSignature",)}


def build_request_content(certificate: PlannedCertificate) -> RequestContent:
    """Return the content of the request for a planned certificate."""
    return RequestContent(
        subject=certificate.subject.fields(),
        names=tuple(str(entry.name) for entry in certificate.subject_alt_name),
        extended_key_usage=tuple(certificate.extended_key_usage),
        key_usage=_KEY_USAGE[certificate.key.algorithm],
        key_algorithm=certificate.key.algorithm,
        key_bits=certificate.key.bits,
        hash=certificate.hash,
    )


def build_certificate_document(certificate: PlannedCertificate) -> dict[str, object]:
    """Return a planned certificate as JSON values, as in a plan document.

    This function does not create the record, because the digest of 100,000 certificates would take
    1.5 s longer. A test compares the results.

    Returns
    -------
    dict
        The values, with the keys of the plan document (format ``lyncnb-plan/1``) in the same order.
    """
    return {
        "id": certificate.id,
        "role": certificate.role,
        "site": certificate.site,
        "pool": certificate.pool,
        "servers": list(certificate.servers),
        "usages": list(certificate.usages),
        "subject": dict(certificate.subject.fields()),
        "san": list(certificate.names),
        "eku": list(certificate.extended_key_usage),
        "issuer": certificate.issuer,
        "key": {"algorithm": certificate.key.algorithm, "bits": certificate.key.bits},
        "hash": certificate.hash,
        "shared_by": certificate.shared_by,
        "exportable": True,  # A key that is created in advance must be copied to the server.
        # The value is written only if it is true, so that the digests of other plans do not change.
        **({"at_set_up": True} if certificate.at_set_up else {}),
    }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CertificatePlan(Table):
    """All certificates that a topology needs, by site, pool, server, and usage.

    Certificates for the complete deployment are last. ``by_pool`` contains the same certificates,
    in a tuple for each pool in ``topology.pools`` and a tuple for the deployment. So
    ``plan_changed_topology`` can reuse the certificates for unchanged pools.
    """

    _columns: ClassVar = columns(
        ("Certificate", "id"),
        ("Role", "role"),
        ("Site", "site"),
        ("Pool", "pool"),
        ("Servers", "servers"),
        ("Type", "usages"),
        ("Subject name", "subject.common_name"),
        (NAMES_HEADING, "names"),
        ("EKU", "extended_key_usage"),
        ("Issuer", "issuer"),
        ("Key", lambda certificate: f"{certificate.key.algorithm} {certificate.key.bits}"),
        ("Shared by", "shared_by"),
    )

    topology: Topology
    rules: Rules
    options: PlanOptions
    certificates: tuple[PlannedCertificate, ...]
    by_pool: tuple[tuple[PlannedCertificate, ...], ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        rejected = self.topology.describe_rejected()
        text = f"{self._summarize()}, based on {self.topology.source}"
        return f"{text}. {rejected}" if rejected else text

    def _summarize(self) -> str:
        return f"{format_count(len(self.certificates), 'certificate')} for {self.rules.title}"

    @property
    def sha256(self) -> str:
        """The SHA-256 digest of the planned requests.

        The digest covers which certificates are requested during server setup, because an approval
        applies to the requests to a CA. It does not cover the reasons for the names, so that a
        better explanation does not change it. The order of rows, additional columns, and saving the
        table in another program also do not change the digest.
        """
        return compute_plan_digest(self.rules.product, self.certificates)

    @property
    def known_words(self) -> tuple[str, ...]:
        """The names in the plan and the words in them, which do not make a passphrase stronger."""
        return list_known_words(map(convert_to_entry, self.certificates))

    def mark(self) -> PlanMark:
        """Return a short text with the digest that identifies the plan in outputs."""
        return PlanMark(self.sha256, self.topology.scenario)

    def _get_shown_plan(self) -> CertificatePlan:
        return self

    def explain(self, server: str) -> Explanation:
        """Explain the names on each certificate for a server.

        Parameters
        ----------
        server : str
            The FQDN of a server in the topology. Letter case does not matter.

        Returns
        -------
        Explanation
            A row for each certificate, name, and reason.

        Raises
        ------
        PlanError
            If the topology has no such server; the hint lists similar names.
        """
        check_type("explain: server", server, str)
        fqdn = server.strip().rstrip(".").lower()
        rows = [
            row
            for certificate in self.certificates
            if fqdn in certificate.servers
            for row in self._explain_certificate(certificate)
        ]
        if not rows and not any(
            fqdn == computer.fqdn for pool in self.topology.pools for computer in pool.computers
        ):
            raise PlanError(
                f'the topology has no server "{server}"', hint=self._suggest_servers(fqdn)
            )
        return Explanation(server=fqdn, names=tuple(rows), plan=self)

    def names(self) -> Explanation:
        """Explain every name in the plan, so that you can search for names such as ``meet``.

        Returns
        -------
        Explanation
            A row for each certificate, name, and reason, in the order of the plan.
        """
        rows = [row for item in self.certificates for row in self._explain_certificate(item)]
        return Explanation(server="", names=tuple(rows), plan=self)

    def _explain_certificate(self, certificate: PlannedCertificate) -> list[ExplainedName]:
        rule = next(rule for rule in self.rules.certificates if rule.id == certificate.rule)
        subject = certificate.subject.common_name
        reasons: list[tuple[str, tuple[str, ...]]] = [
            (entry.name, entry.reasons) for entry in certificate.subject_alt_name
        ]
        if subject not in certificate.names:
            reasons.insert(0, (subject, (rule.subject_name,)))
        rows = []
        for name, ids in reasons:
            location = "subject" if name == subject else ""
            if name in certificate.names:
                location = "subject and SAN" if location else "SAN"
            for name_rule in (self.rules.names[rule_id] for rule_id in ids):
                rows.append(
                    ExplainedName(
                        certificate=certificate.id,
                        role=certificate.role,
                        usages=certificate.usages,
                        place=location,
                        name=name,
                        rule=name_rule.id,
                        why=name_rule.why,
                        source=name_rule.source,
                        clients=name_rule.clients,
                        without=name_rule.without,
                    )
                )
        return rows

    def _suggest_servers(self, searched_name: str) -> str:
        for pool in self.topology.pools:
            if pool.fqdn == searched_name:
                members = ", ".join(computer.fqdn for computer in pool.computers)
                return f"this is the name of a pool. The servers in this pool are {members}"
        servers = {c.fqdn: None for pool in self.topology.pools for c in pool.computers}
        close = _find_similar_names(searched_name, servers)
        return f"did you mean {' or '.join(close)}?" if close else "the topology has no servers"

    def _list_items(self) -> Iterable[Any]:
        return self.certificates

    def _repr_html_(self) -> str:
        """Return the plan as HTML. Each name links to its reason below the table."""
        certificates = self.certificates[:ROWS_SHOWN]
        # Two plans on the same page must have different anchors.
        mark = f"lyncnb-why-{certificates[-1].id[-8:] if certificates else ''}-"
        rows = [self._build_row(certificate, mark) for certificate in certificates]
        # The hidden rows are passed as empty rows, so that they are counted but not shown.
        rows += [()] * (len(self.certificates) - len(certificates))
        used = dict.fromkeys(
            rule for c in certificates for entry in c.subject_alt_name for rule in entry.reasons
        )
        table = rows_to_html(
            tuple(map(make_translator(self.options.lang), _SHOWN_COLUMNS)),
            rows,
            caption=". ".join(filter(None, (self._summarize(), self.topology.describe_rejected()))),
            limit=ROWS_SHOWN,
        )
        known = [self.rules.names[rule] for rule in used if rule in self.rules.names]
        reasons = rows_to_html(
            ("Rule", *REASON_COLUMNS),
            [(rule.id, *_format_facts(rule)) for rule in known],
            ids=[mark + rule.id for rule in known],
            linked_columns=REASON_COLUMNS,
        )
        page = f"{table}\n{collapse_html('Reasons for the names', reasons)}" if known else table
        return mark_plan(mark_origin(page, self._build_origin()), self)

    def _build_origin(self) -> Origin:
        domains = tuple(map(str, self.topology.sip_domains))
        source, options = self.topology.source, self.options
        return build_table_origin(source, options, domains=domains)

    def _build_row(self, certificate: PlannedCertificate, mark: str) -> tuple[object, ...]:
        issued = (
            f"{certificate.issuer} CA, one certificate per {certificate.shared_by}\n"
            f"{certificate.key}, {', '.join(certificate.extended_key_usage)}"
        )
        if certificate.at_set_up:
            issued += "\nrequested during server setup"
        return (
            f"{certificate.role}\n{certificate.site}",
            certificate.pool,
            certificate.servers,
            certificate.usages,
            certificate.subject.common_name,
            tuple(self._build_name_chip(entry, mark) for entry in certificate.subject_alt_name),
            issued,
        )

    def _build_name_chip(self, entry: SanEntry, mark: str) -> Chip:
        rule = self.rules.names.get(entry.reasons[0]) if entry.reasons else None
        if rule is None:
            return Chip(str(entry.name))
        return Chip(str(entry.name), target=mark + rule.id, title=rule.why)


def _find_similar_names(typed_name: str, names: Iterable[str]) -> list[str]:
    """Return up to three similar names. Names with the same first label come first."""
    names = list(names)
    labels = typed_name.split(".")
    hosts = {name: name.partition(".")[0] for name in names}
    same_label = [name for name in names if name.split(".")[: len(labels)] == labels]
    same_label += [name for name in names if hosts[name] == labels[0]]
    same_beginning = [name for name in names if labels[0] and name.startswith(labels[0])]
    alike = difflib.get_close_matches(labels[0], hosts.values(), n=3, cutoff=0.7)
    similar = [name for host in alike for name in names if hosts[name] == host]
    similar += difflib.get_close_matches(typed_name, names, n=3)
    return [*dict.fromkeys([*same_label, *same_beginning, *similar])][:3] or names[:3]
