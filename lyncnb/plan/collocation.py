"""Roles that share a server: which role has the certificate, and which roles use it.

The product's data defines the valid hosts of a role (``hosted_by``). In any case no server gets two
certificates for one usage: the first pool keeps its certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ..rules.model import Rules
from ..topology.columns import role_order, topology_roles
from ..topology.model import Pool
from .model import PlannedCertificate

#: The certificates of one pool.
_Part = tuple[PlannedCertificate, ...]


def shared_servers(pools: Iterable[Pool], rules: Rules) -> dict[str, tuple[Pool, ...]]:
    """Find the servers with several roles that need certificates.

    Parameters
    ----------
    pools : iterable of Pool
        All p pools of a topology.
    rules : Rules
        A role without a certificate rule may share a server with any role.

    Returns
    -------
    dict of str to tuple of Pool
        The pools by server: a role with a certificate precedes the roles that use it.
    """
    needing = {certificate.role for certificate in rules.certificates}
    partners = {role.id for role in topology_roles() if role.partner}
    by_pool: dict[str, list[Pool]] = {}
    partner_pools: list[Pool] = []
    for pool in pools:
        if pool.role in needing:
            by_pool.setdefault(pool.fqdn, []).append(pool)
            if pool.role in partners:
                partner_pools.append(pool)
    # Except for partner roles, a server has one pool name, so few pools need a closer look.
    suspects = [pool for group in by_pool.values() if len(group) > 1 for pool in group]
    if partner_pools:
        theirs = {computer.fqdn for pool in partner_pools for computer in pool.computers}
        suspects = [
            pool
            for group in by_pool.values()
            for pool in group
            if len(group) > 1 or not theirs.isdisjoint(c.fqdn for c in pool.computers)
        ]
    by_server: dict[str, list[Pool]] = {}
    for pool in sorted(suspects, key=_rank(rules)):
        for computer in pool.computers:
            by_server.setdefault(computer.fqdn, []).append(pool)
    return {server: tuple(here) for server, here in by_server.items() if len(here) > 1}


def _rank(rules: Rules) -> Callable[[Pool], tuple[bool, int, str]]:
    """Return a sort key that puts roles with a certificate first."""
    guests = {role.id for role in rules.roles.values() if role.hosted_by}
    order = role_order()
    return lambda pool: (pool.role in guests, order[pool.role], pool.fqdn)


def hosted_pools(pools: Iterable[Pool], rules: Rules) -> list[tuple[Pool, Pool]]:
    """List the pools that use another role's certificate, each with that role's pool.

    Notes
    -----
    Source: ``hosted_by`` of the product's roles.
    """
    hosts_by_pool: dict[int, tuple[Pool, Pool]] = {}
    for here in shared_servers(pools, rules).values():
        for pool in here:
            host = next((h for h in here if h.role in rules.roles[pool.role].hosted_by), None)
            if host is not None:
                hosts_by_pool.setdefault(id(pool), (pool, host))
    return list(hosts_by_pool.values())


def unsupported_roles(pools: Iterable[Pool], rules: Rules) -> dict[tuple[str, ...], list[str]]:
    """Find roles that share servers although no document supports it.

    Returns
    -------
    dict of tuple of str to list of str
        The servers by their roles. Servers on which one role hosts all others are supported.
    """
    servers_by_roles: dict[tuple[str, ...], list[str]] = {}
    for server, here in shared_servers(pools, rules).items():
        roles = tuple(dict.fromkeys(pool.role for pool in here))
        hosts = (
            all(host in rules.roles[role].hosted_by for role in roles if role != host)
            for host in roles
        )
        if len(roles) > 1 and not any(hosts):
            servers_by_roles.setdefault(roles, []).append(server)
    return servers_by_roles


def one_for_each_usage(pools: Sequence[Pool], parts: Sequence[_Part], rules: Rules) -> list[_Part]:
    """Omit any second certificate of a server for the same usage.

    Parameters
    ----------
    pools : sequence of Pool
        p pools.
    parts : sequence of tuple
        The certificates of each of the p pools.
    rules : Rules
        Of the product.

    Returns
    -------
    list of tuple
        The remaining certificates. For roles without a usage, the subject is compared.
    """
    shared = shared_servers(pools, rules)
    index_of = {id(pool): number for number, pool in enumerate(pools)} if shared else {}
    concerned = {id(pool): pool for here in shared.values() for pool in here}
    taken: dict[str, set[str]] = {server: set() for server in shared}
    kept = list(parts)
    for pool in sorted(concerned.values(), key=_rank(rules)):
        number = index_of[id(pool)]
        kept[number] = tuple(_remaining(parts[number], taken))
    return kept


def _remaining(part: _Part, taken: Mapping[str, set[str]]) -> Iterator[PlannedCertificate]:
    """Yield and register a pool's certificates whose usages are still free on their servers."""
    for certificate in part:
        uses = set(certificate.usages) or {f"subject {certificate.subject.common_name}"}
        servers = tuple(s for s in certificate.servers if uses.isdisjoint(taken.get(s, ())))
        for server in servers:
            if server in taken:
                taken[server].update(uses)
        if servers == certificate.servers:
            yield certificate
        elif servers:
            yield certificate._replace(servers=servers)
