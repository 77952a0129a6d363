"""The plan and its parts: ``PlannedCertificate``, ``CertificatePlan``, ``Explanation``.

These are pure values. ``planner.py`` creates them, ``plan_json.py`` writes them as JSON.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from ..base.certificate_fields import NAMES_HEADING, DistinguishedName, KeyParameters, SanEntry
from ..base.planned_entry import PlannedEntry, PlannedKey
from ..base.shown.languages import translator
from ..base.shown.tables import (
    ROWS_SHOWN,
    Chip,
    Marked,
    PlanMark,
    Table,
    columns,
    count_of,
    folded,
    marked,
    rows_to_html,
)
from ..errors import PlanError
from ..rules.model import NOT_DOCUMENTED, Fact, NameRule, Rules
from ..topology.topology import Topology
from .options import PlanOptions

#: The usage text of a certificate without a type, which no command of the product assigns.
NO_TYPE = "no type: set in its own software"

# A table of the reasons for the names on a server's certificates.

EXPLANATION_COLUMNS = (
    *("Certificate", "Type", "Where", "Name", "Rule", "Why", "Source"),
    *("Who needs it", "Without it"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedName:
    """One name on one certificate and one reason for it."""

    certificate: str  # id of the certificate
    role: str
    usages: tuple[str, ...]
    place: str  # subject | SAN | subject and SAN
    name: str
    rule: str  # id of the name rule
    why: str
    source: str
    clients: Fact | None = None  # the clients that need it; None if not documented
    without: Fact | None = None  # the effect if it is missing


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Explanation(Table):
    """Every name of every certificate of one server; empty if it needs none."""

    server: str
    names: tuple[ExplainedName, ...]
    plan: Marked | None = field(default=None, compare=False)

    def _headings(self) -> tuple[str, ...]:
        return EXPLANATION_COLUMNS

    def _rows(self) -> list[tuple[object, ...]]:
        return [
            (
                item.certificate,
                item.usages or item.role,
                item.place,
                item.name,
                item.rule,
                item.why,
                item.source,
                fact_words(item.clients),
                fact_words(item.without),
            )
            for item in self.names
        ]

    def _summary(self) -> str:
        return f"Names on the certificates of {self.server}"

    def _repr_html_(self) -> str:
        """Show a table for each certificate; names with the same reason share a row."""
        shown = [] if self.names else [rows_to_html(self._headings(), [], caption=self._summary())]
        for certificate in dict.fromkeys(item.certificate for item in self.names):
            items = [item for item in self.names if item.certificate == certificate]
            alike: dict[tuple[str, str], list[ExplainedName]] = {}
            for item in items:
                alike.setdefault((item.place, item.rule), []).append(item)
            rows = [
                (tuple(item.name or "(no name)" for item in found), *where, *_fact_cells(found[0]))
                for where, found in alike.items()
            ]
            use = ", ".join(items[0].usages) or items[0].role
            caption = f"{self._summary()}: {use} ({certificate})"
            headings = ("Name", "Where", "Rule", *_TOLD)
            shown.append(rows_to_html(headings, rows, caption=caption, linked=_TOLD))
        return marked("\n".join(shown), self._shown_plan())

    def _shown_plan(self) -> Marked | None:
        return self.plan

    def __str__(self) -> str:
        if not self.names:
            return f"{self.server} needs no certificate"
        lines: list[str] = []
        shown: tuple[str, ...] = ()
        for item in self.names:
            if shown[:1] != (item.certificate,):
                lines.append(f"{item.certificate}: {', '.join(item.usages) or item.role}")
            if shown != (item.certificate, item.name):
                lines.append(f"  {item.name or '(no name)'} ({item.place})")
            shown = (item.certificate, item.name)
            lines.append(f"    {item.why} [{item.rule}]\n      {item.source}")
            lines += [
                f"    {heading}: {fact_words(fact, between=f'{chr(10)}      ')}"
                for heading, fact in zip(EXPLANATION_COLUMNS[-2:], (item.clients, item.without))
            ]
        return "\n".join(lines)


def fact_words(fact: Fact | None, *, between: str = "\n") -> str:
    """Format a fact of a name with its source, or state that it is not documented."""
    return f"{fact.says}{between}{fact.source}" if fact else NOT_DOCUMENTED


_TOLD = ("Why", *EXPLANATION_COLUMNS[-2:])


def _fact_cells(item: ExplainedName | NameRule) -> tuple[str, ...]:
    """Return the reason, the clients, and the effect, each with its source below it."""
    facts = (Fact(says=item.why, source=item.source), item.clients, item.without)
    return tuple(map(fact_words, facts))


# The columns in a notebook, which fit a screen of 1280 pixels.
_SHOWN_COLUMNS = (
    "Role, site",
    "Pool",
    "Server",
    "Type",
    "Subject name",
    NAMES_HEADING,
    "Issuer, key, EKU",
)

_SLUG_LENGTH = 80  # keeps file names far below the 255 characters of every file system


class PlannedCertificate(NamedTuple):
    """One certificate to request. Create it with keywords.

    ``subject.common_name`` is empty if the topology lacks the name, which the checks report as an
    error.

    Notes
    -----
    This is a tuple because a plan may have 100,000 of them. Creating a frozen dataclass takes four
    times as long, as much as reading the server's row.
    """

    # Shared by all servers of a pool:
    role: str
    site: str
    pool: str  # "" for the deployment's
    usages: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    key: KeyParameters
    hash: str
    shared_by: str  # server | pool | deployment
    rule: str  # id of its CertificateRule
    # Specific to each certificate:
    servers: tuple[str, ...]
    subject: DistinguishedName
    subject_alt_name: tuple[SanEntry, ...]
    issuer: str  # internal | public
    ca: str  # the target CA's name, "" if none was given
    target_os: str  # the oldest version of its servers
    at_set_up: bool = False  # requested at the set-up of its server, not in advance

    @property
    def id(self) -> str:
        """``<role>-<slug>-<8 hex>``, also the stem of the certificate's files.

        It depends only on the role, the usages and the server, pool or deployment. A certificate
        with an additional name keeps its id.
        """
        server = self.servers[0] if self.shared_by == "server" else ""
        what = "\0".join(
            (self.role, ",".join(self.usages), self.shared_by, self.pool, server)
        ).lower()
        digest = hashlib.sha256(what.encode("utf-8")).hexdigest()[:8]
        return f"{self.role}-{slug(server or self.pool or 'deployment')}-{digest}"

    @property
    def owner(self) -> str:
        """The server, the pool or ``the deployment`` of the certificate."""
        if self.shared_by == "server":
            return self.servers[0]
        return self.pool or "the deployment"

    @property
    def names(self) -> tuple[str, ...]:
        """The subject alternative names, in order, without their reasons."""
        return tuple(entry.name for entry in self.subject_alt_name)


def slug(name: str) -> str:
    """Convert a host name to text that is safe in file names on every system.

    Parameters
    ----------
    name : str
        A host name or a wildcard.

    Returns
    -------
    str
        Only ``a``–``z``, ``0``–``9`` and ``-``, at most 80 characters.
    """
    text = name.lower().replace("*", "wildcard")
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")[:_SLUG_LENGTH].rstrip("-")


def plan_digest(product: str, certificates: Iterable[PlannedCertificate]) -> str:
    """Return the digest of planned requests, as :attr:`CertificatePlan.sha256`."""
    # A list of product and certificates, hashed part by part because it may have 100 MB.
    return digest_of_parts(product, (digest_part((certificate,)) for certificate in certificates))


def digest_part(certificates: Iterable[PlannedCertificate]) -> bytes:
    """Return the bytes of some certificates for the digest."""
    return b"".join(b"," + _json(certificate_document(certificate)) for certificate in certificates)


def digest_of_parts(product: str, parts: Iterable[bytes]) -> str:
    """Return the digest of a plan from its parts, in the plan's order."""
    digest = hashlib.sha256(b"[" + _json(product))
    for part in parts:
        digest.update(part)
    digest.update(b"]")
    return digest.hexdigest()


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def _json(value: object) -> bytes:
    return _ENCODER.encode(value).encode("ascii")


def planned_entry(certificate: PlannedCertificate) -> PlannedEntry:
    """Convert a planned certificate to its record, without the reasons for its names."""
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


def certificate_document(certificate: PlannedCertificate) -> dict[str, object]:
    """Return the JSON values of a certificate's :func:`planned_entry`.

    This does not use the records, because the digest of 100,000 certificates would take 1.5 s
    longer. A test compares both.

    Returns
    -------
    dict
        The keys of the plan document (format ``lyncnb-plan/1``), in its order.
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
        "exportable": True,  # a key that is created in advance must be copied to its server
        # Only written if true, so that plans without it keep their digest.
        **({"at_set_up": True} if certificate.at_set_up else {}),
    }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CertificatePlan(Table):
    """Every certificate of a topology, by site, pool, computer, usage; the deployment's last.

    ``by_pool`` contains the same certificates, one tuple for each of ``topology.pools`` and one for
    the deployment, so that ``planner.replan`` can keep unchanged pools.
    """

    _columns: ClassVar = columns(
        ("Role", "role"),
        ("Site", "site"),
        ("Pool", "pool"),
        ("Server", "servers"),
        ("Type", "usages"),
        ("Subject name", "subject.common_name"),
        (NAMES_HEADING, "names"),
        ("EKU", "extended_key_usage"),
        ("Issuer", "issuer"),
        ("Key", lambda one: f"{one.key.algorithm} {one.key.bits}"),
        ("Shared by", "shared_by"),
    )

    topology: Topology
    rules: Rules
    options: PlanOptions
    certificates: tuple[PlannedCertificate, ...]
    by_pool: tuple[tuple[PlannedCertificate, ...], ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        return f"{self._summary()}, of {self.topology.source}"

    def _summary(self) -> str:
        return f"{count_of(len(self.certificates), 'certificate')} for {self.rules.title}"

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the planned requests: product, ids, names, subjects, keys, issuers.

        It includes which certificates are requested at set-up, because an approval covers the
        requests to a CA. It excludes the reasons, so a better explanation does not change it. The
        order of rows, other columns, or saving the table in another program do not change it
        either.
        """
        return plan_digest(self.rules.product, self.certificates)

    def mark(self) -> PlanMark:
        """Return the mark that identifies outputs of this plan."""
        return PlanMark(self.sha256, self.topology.scenario)

    def _shown_plan(self) -> CertificatePlan:
        return self

    def explain(self, server: str) -> Explanation:
        """Explain the names on each certificate of one server.

        Parameters
        ----------
        server : str
            FQDN of a server of the topology, in any case.

        Returns
        -------
        Explanation
            One row per certificate, name and reason.

        Raises
        ------
        PlanError
            If the server does not exist; the hint lists similar names.
        """
        wanted = server.strip().rstrip(".").lower()
        rows = [
            row
            for certificate in self.certificates
            if wanted in certificate.servers
            for row in self._explained(certificate)
        ]
        if not rows and not any(
            wanted == computer.fqdn for pool in self.topology.pools for computer in pool.computers
        ):
            raise PlanError(f'there is no server "{server}"', hint=self._similar(wanted))
        return Explanation(server=wanted, names=tuple(rows), plan=self)

    def _explained(self, certificate: PlannedCertificate) -> list[ExplainedName]:
        rule = next(rule for rule in self.rules.certificates if rule.id == certificate.rule)
        subject = certificate.subject.common_name
        reasons: list[tuple[str, tuple[str, ...]]] = [
            (entry.name, entry.reasons) for entry in certificate.subject_alt_name
        ]
        if subject not in certificate.names:
            reasons.insert(0, (subject, (rule.subject_name,)))
        rows = []
        for name, ids in reasons:
            place = "subject" if name == subject else ""
            if name in certificate.names:
                place = "subject and SAN" if place else "SAN"
            for name_rule in (self.rules.names[rule_id] for rule_id in ids):
                rows.append(
                    ExplainedName(
                        certificate=certificate.id,
                        role=certificate.role,
                        usages=certificate.usages,
                        place=place,
                        name=name,
                        rule=name_rule.id,
                        why=name_rule.why,
                        source=name_rule.source,
                        clients=name_rule.clients,
                        without=name_rule.without,
                    )
                )
        return rows

    def _similar(self, wanted: str) -> str:
        for pool in self.topology.pools:
            if pool.fqdn == wanted:
                members = ", ".join(computer.fqdn for computer in pool.computers)
                return f"that is a pool; its servers are {members}"
        servers = {c.fqdn: None for pool in self.topology.pools for c in pool.computers}
        close = _closest(wanted, servers)
        return f"did you mean {', '.join(close)}?" if close else "the topology has no servers"

    def _items(self) -> Iterable[Any]:
        return self.certificates

    def _repr_html_(self) -> str:
        """Show the plan; each name links to its reason below the table."""
        shown = self.certificates[:ROWS_SHOWN]
        # The anchors of two plans on one page must differ.
        mark = f"lyncnb-why-{shown[-1].id[-8:] if shown else ''}-"
        rows = [self._shown(certificate, mark) for certificate in shown]
        rows += [()] * (len(self.certificates) - len(shown))  # counted, not shown
        used = dict.fromkeys(
            rule for c in shown for entry in c.subject_alt_name for rule in entry.reasons
        )
        table = rows_to_html(
            tuple(map(translator(self.options.lang), _SHOWN_COLUMNS)),
            rows,
            caption=f"{count_of(len(self.certificates), 'certificate')} for {self.rules.title}",
            limit=ROWS_SHOWN,
        )
        known = [self.rules.names[rule] for rule in used if rule in self.rules.names]
        reasons = rows_to_html(
            ("Rule", *_TOLD),
            [(rule.id, *_fact_cells(rule)) for rule in known],
            ids=[mark + rule.id for rule in known],
            linked=_TOLD,
        )
        page = f"{table}\n{folded('Why each name is there', reasons)}" if known else table
        return marked(page, self)

    def _shown(self, certificate: PlannedCertificate, mark: str) -> tuple[object, ...]:
        issued = (
            f"{certificate.issuer} CA, one for the {certificate.shared_by}\n"
            f"{certificate.key}, {', '.join(certificate.extended_key_usage)}"
        )
        if certificate.at_set_up:
            issued += "\nrequested at set-up"
        return (
            f"{certificate.role}\n{certificate.site}",
            certificate.pool,
            certificate.servers,
            certificate.usages,
            certificate.subject.common_name,
            tuple(self._chip(entry, mark) for entry in certificate.subject_alt_name),
            issued,
        )

    def _chip(self, entry: SanEntry, mark: str) -> Chip:
        rule = self.rules.names.get(entry.reasons[0]) if entry.reasons else None
        if rule is None:
            return Chip(str(entry.name))
        return Chip(str(entry.name), target=mark + rule.id, title=rule.why)


def _closest(typed: str, names: Iterable[str]) -> list[str]:
    """Return up to three names that are similar to a typed one, equal labels first."""
    names = list(names)
    labels = typed.split(".")
    hosts = {name: name.partition(".")[0] for name in names}
    same = [name for name in names if name.split(".")[: len(labels)] == labels]
    same += [name for name in names if hosts[name] == labels[0]]
    begun = [name for name in names if labels[0] and name.startswith(labels[0])]
    alike = difflib.get_close_matches(labels[0], hosts.values(), n=3, cutoff=0.7)
    near = [name for host in alike for name in names if hosts[name] == host]
    near += difflib.get_close_matches(typed, names, n=3)
    return [*dict.fromkeys([*same, *begun, *near])][:3] or names[:3]
