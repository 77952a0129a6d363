"""Determine which role on a shared server owns the certificate.

The other roles use this certificate. The product's data defines which roles can host another role
(``hosted_by``). A server never gets two certificates for the same usage. If two pools need such a
certificate, only the first pool gets it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ..rules.model import Rules
from ..topology.columns import list_topology_roles, map_role_positions
from ..topology.model import Pool
from .model import PlannedCertificate

#: The planned certificates for a pool.
_Part = tuple[PlannedCertificate, ...]


def find_shared_servers(pools: Iterable[Pool], rules: Rules) -> dict[str, tuple[Pool, ...]]:
    """Return the servers on which several roles with certificates run.

    Parameters
    ----------
    pools : iterable of Pool
        The p pools in a topology.
    rules : Rules
        The rules. A role without a certificate rule can share a server with any role.

    Returns
    -------
    dict of str to tuple of Pool
        The pools for each server. A role with a certificate precedes the roles that use it.
    """
    needing = {certificate.role for certificate in rules.certificates}
    partners = {role.id for role in list_topology_roles() if role.partner}
    by_pool: dict[str, list[Pool]] = {}
    partner_pools: list[Pool] = []
    for pool in pools:
        if pool.role in needing:
            by_pool.setdefault(pool.fqdn, []).append(pool)
            if pool.role in partners:
                partner_pools.append(pool)
    # Apart from the partner roles, a server can only be in several pools if these pools have the
    # same FQDN. Only such pools are checked.
    suspects = [pool for group in by_pool.values() if len(group) > 1 for pool in group]
    if partner_pools:
        partner_servers = {computer.fqdn for pool in partner_pools for computer in pool.computers}
        suspects = [
            pool
            for group in by_pool.values()
            for pool in group
            if len(group) > 1 or not partner_servers.isdisjoint(c.fqdn for c in pool.computers)
        ]
    by_server: dict[str, list[Pool]] = {}
    for pool in sorted(suspects, key=_make_sort_key(rules)):
        for computer in pool.computers:
            by_server.setdefault(computer.fqdn, []).append(pool)
    return {
        server: tuple(pools_here) for server, pools_here in by_server.items() if len(pools_here) > 1
    }


def _make_sort_key(rules: Rules) -> Callable[[Pool], tuple[bool, int, str]]:
    """Return a sort key that puts roles with a certificate first."""
    guests = {role.id for role in rules.roles.values() if role.hosted_by}
    order = map_role_positions()
    return lambda pool: (pool.role in guests, order[pool.role], pool.fqdn)


def find_hosted_pools(pools: Iterable[Pool], rules: Rules) -> list[tuple[Pool, Pool]]:
    """Return each pool that uses the certificate of another pool, and the other pool.

    Notes
    -----
    Source: ``hosted_by`` in the product's roles.
    """
    hosts_by_pool: dict[int, tuple[Pool, Pool]] = {}
    for group in find_shared_servers(pools, rules).values():
        for pool in group:
            host = next((h for h in group if h.role in rules.roles[pool.role].hosted_by), None)
            if host is not None:
                hosts_by_pool.setdefault(id(pool), (pool, host))
    return list(hosts_by_pool.values())


def find_unsupported_roles(pools: Iterable[Pool], rules: Rules) -> dict[tuple[str, ...], list[str]]:
    """Return the roles that share servers although no document lists them as supported together.

    Returns
    -------
    dict of tuple of str to list of str
        The servers for each set of roles. If one role can host all others, the servers are omitted.
    """
    servers_by_roles: dict[tuple[str, ...], list[str]] = {}
    for server, group in find_shared_servers(pools, rules).items():
        roles = tuple(dict.fromkeys(pool.role for pool in group))
        hosts = (
            all(host in rules.roles[role].hosted_by for role in roles if role != host)
            for host in roles
        )
        if len(roles) > 1 and not any(hosts):
            servers_by_roles.setdefault(roles, []).append(server)
    return servers_by_roles


def remove_duplicate_usages(
    pools: Sequence[Pool], certificates_by_pool: Sequence[_Part], rules: Rules
) -> list[_Part]:
    """Remove duplicate certificates for the same usage on a server.

    Parameters
    ----------
    pools : sequence of Pool
        p pools.
    certificates_by_pool : sequence of tuple
        The certificates for each of the p pools.
    rules : Rules
        The rules of the product.

    Returns
    -------
    list of tuple
        The remaining certificates. For roles without a usage, lyncnb compares the subjects.
    """
    shared = find_shared_servers(pools, rules)
    index_of = {id(pool): number for number, pool in enumerate(pools)} if shared else {}
    concerned = {id(pool): pool for group in shared.values() for pool in group}
    usages_by_server: dict[str, set[str]] = {server: set() for server in shared}
    remaining_parts = list(certificates_by_pool)
    for pool in sorted(concerned.values(), key=_make_sort_key(rules)):
        number = index_of[id(pool)]
        remaining_parts[number] = tuple(
            _omit_covered_servers(certificates_by_pool[number], usages_by_server)
        )
    return remaining_parts


def _omit_covered_servers(
    certificates: _Part, used_usages: Mapping[str, set[str]]
) -> Iterator[PlannedCertificate]:
    """Yield a pool's certificates without the servers that already have one for the same usage."""
    for certificate in certificates:
        uses = set(certificate.usages) or {f"subject {certificate.subject.common_name}"}
        servers = tuple(s for s in certificate.servers if uses.isdisjoint(used_usages.get(s, ())))
        for server in servers:
            if server in used_usages:
                used_usages[server].update(uses)
        if servers == certificate.servers:
            yield certificate
        elif servers:
            yield certificate._replace(servers=servers)
