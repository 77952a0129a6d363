"""Determine the TLS connections in a plan, and the names that clients connect to.

The rules define the connections between roles (``[[connection]]``). The plan contains the pools and
the names on their certificates. A connection without a name on a certificate is omitted, because
nobody could check it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..base.certificate_fields import SanEntry
from ..base.dns_name import DnsName
from ..rules.model import ConnectionRule, PortRule, Rules
from ..topology.model import Pool
from .certificate_names import PlanContext, plan_context
from .model import CertificatePlan, PlannedCertificate

#: Each key contains a role and a site, or the name of a pool and a role.
_Place = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Connections to one pool, with the same names, from all pools of the same role and site.

    Attributes
    ----------
    rule : ConnectionRule
        The roles, the protocol, and the reason. Its port is that of the listening pool.
    listener : Pool
        The pool that presents its certificate.
    speaker : str
        The id of the role or external party that connects.
    site : str or None
        The site of the connecting pools; None for any site or an external party.
    pools : int
        The number of connecting pools, without the listening pool; 0 for an external party.
    names : tuple of str
        The names that the connections use and that the listening pool's certificates cover; never
        empty. They are full names, even if a wildcard covers them.
    """

    rule: ConnectionRule
    listener: Pool
    speaker: str
    site: str | None
    pools: int
    names: tuple[str, ...]


def group_certificates_by_pool(
    plan: CertificatePlan,
) -> Mapping[_Place, tuple[PlannedCertificate, ...]]:
    """Group certificates by pool name and role. The name "" stands for all servers."""
    groups: dict[_Place, list[PlannedCertificate]] = {}
    for certificate in plan.certificates:
        groups.setdefault((certificate.pool, certificate.role), []).append(certificate)
    return {key: tuple(values) for key, values in groups.items()}


def list_connections(plan: CertificatePlan) -> tuple[Connection, ...]:
    """Return the TLS connections in a plan.

    Parameters
    ----------
    plan : CertificatePlan
        The plan with certificates for p pools.

    Returns
    -------
    tuple of Connection
        The connections, sorted by rule, listening pool, and connecting role.
    """
    certificates = group_certificates_by_pool(plan)
    names_of = ConnectionNames(plan)
    counts: dict[str, dict[str, int]] = {}  # Each key contains a role and a site.
    listeners: dict[str, list[Pool]] = {}
    for pool in plan.topology.pools:
        of_role = counts.setdefault(pool.role, {})
        of_role[pool.site] = of_role.get(pool.site, 0) + 1
        listeners.setdefault(pool.role, []).append(pool)
    connections: list[Connection] = []
    for rule in plan.rules.connections:
        pools = [pool for role in rule.listeners for pool in listeners.get(role, ())]
        with_names = [
            (pool, names)
            for pool in pools
            if pool.flags.issuperset(rule.if_all)
            and (
                names := names_of.find_names(
                    rule, pool, certificates.get((pool.fqdn, pool.role), ())
                )
            )
        ]
        served = {pool.site for pool, _ in with_names}
        alone = {
            speaker: tuple(site for site in counts.get(speaker, ()) if site and site not in served)
            for speaker in rule.speakers
            if rule.reach == "nearest" and "" not in served
        }
        for pool, names in with_names:
            port = find_port(rule, pool, plan.rules)
            of_pool = rule if port == rule.port else replace(rule, port=port)
            for speaker, site, number in _find_connecting_roles(rule, pool, plan, counts, alone):
                connections.append(
                    Connection(
                        rule=of_pool,
                        listener=pool,
                        speaker=speaker,
                        site=site,
                        pools=number,
                        names=names,
                    )
                )
    return tuple(connections)


def find_port(rule: ConnectionRule | PortRule, pool: Pool, rules: Rules) -> int:
    """Return the port that a connection rule uses on a pool.

    If the Edge services of the pool share one name, the rule can have another port.
    """
    if rule.shared_port and rule.names:
        column = rules.names[rule.names[0]].parts[1].removeprefix("pool.")
        if pool.shares_edge_name(column):
            return rule.shared_port
    return rule.port


@dataclass(slots=True)
class ConnectionNames:
    """The names that clients use to connect to a plan's pools, before wildcards replace them."""

    plan: CertificatePlan
    _context: PlanContext | None = field(default=None, init=False)

    def find_names(
        self,
        rule: ConnectionRule | PortRule,
        pool: Pool,
        certificates: Iterable[PlannedCertificate],
    ) -> tuple[str, ...]:
        """Return the names that a connection uses and that one of the certificates covers.

        Returns
        -------
        tuple of str
            Distinct names from the rule's name rules, in the order of the certificate, or the
            subject name if the certificates have no subject alternative names.
        """
        rule_names = frozenset(rule.names)
        names: dict[str, None] = {}
        for certificate in certificates:
            if rule.usage in certificate.usages or not (rule.usage or certificate.usages):
                for entry in self._list_entries(pool, certificate):
                    # If a saved plan lacks the reasons for names, all names are possible.
                    if not entry.reasons or not rule_names.isdisjoint(entry.reasons):
                        names[str(entry.name)] = None
                if not certificate.subject_alt_name and certificate.subject.common_name:
                    names[certificate.subject.common_name] = None
        return tuple(names)

    def _list_entries(self, pool: Pool, certificate: PlannedCertificate) -> Iterable[SanEntry]:
        """Return the names on a certificate, and the names that its wildcards replace."""
        entries = certificate.subject_alt_name
        if not any(entry.reasons and entry.name.startswith("*.") for entry in entries):
            return entries
        if self._context is None:
            self._context = plan_context(self.plan.topology, self.plan.rules, self.plan.options)
        for resolved in self._context.list_resolved_rules(pool):
            if resolved.rule.id == certificate.rule:
                return resolved.list_names(pool, DnsName(certificate.servers[0])).values()
        return entries


def _find_connecting_roles(
    rule: ConnectionRule,
    listener: Pool,
    plan: CertificatePlan,
    counts: Mapping[str, Mapping[str, int]],
    single_pools: Mapping[str, Sequence[str]],
) -> Iterator[tuple[str, str | None, int]]:
    """Yield each role or party that connects to a pool, with the site and number of its own pools.

    ``single_pools`` contains, for each role, the sites without a listening pool.
    """
    for speaker in rule.speakers:
        if speaker in plan.rules.parties:
            yield speaker, None, 0
            continue
        by_site = counts.get(speaker, {})
        own_count = int(speaker == listener.role)
        if rule.reach == "deployment":
            if number := sum(by_site.values()) - own_count:
                yield speaker, None, number
            continue
        # An object without a site belongs to all sites, so a listening pool without a site serves
        # the connecting pools of every site.
        nearby_sites = (listener.site, "") if listener.site else tuple(by_site)
        for site in dict.fromkeys((*nearby_sites, *single_pools.get(speaker, ()))):
            number = by_site.get(site, 0) - (own_count and site == listener.site)
            if number:
                yield speaker, site, number
