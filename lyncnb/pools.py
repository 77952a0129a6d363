"""Rows to ``Pool`` and ``Computer``: what belongs together, and what contradicts itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .cells import Cells, Report
from .columns import role_order, topology_columns, topology_roles
from .names import DnsName, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Computer:
    """One server in one role: one row of the table.

    ``row`` is an index into ``Topology.cells``; two computers are equal wherever they stand.
    ``issuer`` holds pairs of usage ("" for all) and ``internal`` or ``public``.
    """

    fqdn: DnsName
    row: int = field(compare=False)
    target_os: str = "2012R2"
    issuer: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Computers of one role that act as one; a single server is a pool of its own name.

    ``flags`` holds the names of the boolean columns that are true and that the role heeds
    (``autologon``, ``strict_dns`` …). ``computers`` are sorted by name.
    """

    fqdn: DnsName
    role: str
    site: str
    computers: tuple[Computer, ...]
    flags: frozenset[str]
    web_internal_fqdn: DnsName | None = None
    web_external_fqdn: DnsName | None = None
    access_edge_fqdn: DnsName | None = None
    webconf_edge_fqdn: DnsName | None = None
    av_edge_fqdn: DnsName | None = None
    edge_internal_fqdn: DnsName | None = None
    owas_external_fqdn: DnsName | None = None
    sip_dns_aliases: tuple[DnsName, ...] = ()
    extra_san: tuple[DnsName, ...] = ()
    xmpp_domains: tuple[DnsName, ...] = ()


def pool_order(pool: Pool) -> tuple[str, int, str]:
    """Sort key of pools: site, role, name."""
    return pool.site, role_order()[pool.role], pool.fqdn


def pool_names(cells: Cells) -> list[str]:
    """Give the pool of each of n rows; a blank cell means the server's own name."""
    return [
        pool or server
        for pool, server in zip(cells.column("pool_fqdn"), cells.column("server_fqdn"))
    ]


def derive_pools(cells: Cells, report: Report) -> list[Pool]:
    """Gather rows into pools.

    Parameters
    ----------
    cells : Cells
        n rows; all rows of every pool that occurs.
    report : Report
        Gets contradictions, with both rows and values.

    Returns
    -------
    list of Pool
        By site, role and name; the order of the rows does not matter.
    """
    servers = cells.column("server_fqdn")
    roles = cells.column("role")
    groups: dict[str, list[int]] = {}
    for place, pool in enumerate(pool_names(cells)):
        groups.setdefault(pool, []).append(place)
    gather = _Gatherer(cells, report)
    pools = []
    for fqdn, places in groups.items():
        if not fqdn or not all(roles[place] for place in places):
            continue  # blank cells, reported already
        places.sort(key=servers.__getitem__)
        pools += gather.pools(fqdn, places)
    _check_servers(cells, report)
    return sorted(pools, key=pool_order)


class _Gatherer:
    """Makes the pools of one name after another, with what is the same for all at hand."""

    def __init__(self, cells: Cells, report: Report):
        self.cells = cells
        self.report = report
        self.servers = cells.column("server_fqdn")
        self.roles = cells.column("role")
        self.sites = cells.column("site")
        self.computers = _computers(cells)
        self.shared = [
            facts
            for facts in topology_columns()
            if facts.scope == "pool" and any(cells.column(facts.name))
        ]
        columns = [cells.column(facts.name) for facts in self.shared]
        self.signatures = list(zip(*columns)) if columns else [()] * len(self.servers)
        self.flags: dict[tuple, frozenset[str]] = {}

    def pools(self, fqdn: str, places: Sequence[int]) -> list[Pool]:
        """Make the pools of one name: one, or one for each collocated role."""
        site = self._site(fqdn, places)
        signatures = {self.signatures[place] for place in places}
        texts = signatures.pop() if len(signatures) == 1 else self._merged(fqdn, places)
        names, switches = {}, {}
        for facts, text in zip(self.shared, texts):
            if text:
                value = self.cells.values[facts.name][text]
                if facts.kind == "bool":
                    switches[facts.name] = value
                else:
                    names[facts.name] = value
        by_role: dict[str, list[int]] = {}
        for place in places:
            by_role.setdefault(self.roles[place], []).append(place)
        if len(by_role) > 1:
            self._check_roles(fqdn, by_role)
        return [
            Pool(
                fqdn=fqdn,
                role=role,
                site=site,
                computers=tuple([self.computers[place] for place in members]),
                flags=self._flags(role, switches),
                **names,
            )
            for role, members in by_role.items()
        ]

    def _flags(self, role: str, switches: Mapping[str, bool]) -> frozenset[str]:
        key = (role, *switches.items())
        if key not in self.flags:
            self.flags[key] = frozenset(
                facts.name
                for facts in topology_columns()
                if facts.kind == "bool"
                and facts.heeded_by(role)
                and switches.get(facts.name, facts.default == "true")
            )
        return self.flags[key]

    def _site(self, fqdn: str, places: Sequence[int]) -> str:
        # A pool lies in one site, so a row that leaves it blank can only mean the same one.
        sites = {self.sites[place] for place in places} - {""}
        if len(sites) > 1:
            self._contradiction("site", self.sites, places, f"pool {fqdn} is in two sites")
        return min(sites, default="")

    def _merged(self, fqdn: str, places: Sequence[int]) -> list[str]:
        merged = []
        for at, facts in enumerate(self.shared):
            texts = [self.signatures[place][at] for place in places]
            filled = sorted(set(texts) - {""})
            values = [self.cells.values[facts.name][text] for text in filled]
            if any(value != values[0] for value in values):
                column = self.cells.column(facts.name)
                self._contradiction(
                    facts.name, column, places, f"pool {fqdn} has two values of {facts.name}"
                )
            merged.append(filled[0] if filled else "")
        return merged

    def _contradiction(
        self, name: str, column: Sequence[str], places: Sequence[int], message: str
    ) -> None:
        filled = sorted(place for place in places if column[place])
        one, other = first_difference(column, filled)
        rows = self.cells.rows
        self.report.problem(
            f"{message}: {shown(column[one])} in row {rows[one]}, "
            f"{shown(column[other])} in row {rows[other]}",
            "one row is enough; blank cells of the pool take the value over",
            row=rows[other],
            column=name,
            value=column[other],
        )

    def _check_roles(self, fqdn: str, by_role: Mapping[str, Sequence[int]]) -> None:
        """Refuse two roles in one pool, unless they stand on the same servers."""
        members = {role: {self.servers[p] for p in places} for role, places in by_role.items()}
        ordered = sorted(members, key=lambda role: (-len(members[role]), role_order()[role]))
        largest = ordered[0]
        for role in ordered[1:]:
            strangers = members[role] - members[largest]
            if strangers:
                place = min(p for p in by_role[role] if self.servers[p] in strangers)
                self.report.problem(
                    f"pool {fqdn} is {largest}, and {self.servers[place]}, which is not, "
                    f"has the role {role} in it",
                    "give each role a pool of its own, or list collocated roles on the same "
                    "servers",
                    row=self.cells.rows[place],
                    column="role",
                    value=role,
                )


def first_difference(column: Sequence[str], places: Sequence[int]) -> tuple[int, int]:
    """Find the first place and the first one that says something else."""
    one = places[0]
    return one, next(place for place in places if column[place] != column[one])


def _computers(cells: Cells) -> list[Computer]:
    systems = cells.column("target_os")
    issuers = cells.column("issuer")
    issuer_values = {"": (), **cells.values.get("issuer", {})}
    default = next(facts.default for facts in topology_columns() if facts.name == "target_os")
    return [
        Computer(fqdn=fqdn, row=index, target_os=system or default, issuer=issuer_values[issuer])
        for fqdn, index, system, issuer in zip(
            cells.column("server_fqdn"), cells.indices, systems, issuers
        )
    ]


def _check_servers(cells: Cells, report: Report) -> None:
    """Refuse a server that stands twice in one role, or in two pools."""
    servers = cells.column("server_fqdn")
    if len(set(servers)) == len(servers):
        return
    partners = {role.id for role in topology_roles() if role.partner}
    rows_of: dict[tuple[str, str], int] = {}
    pool_of: dict[str, tuple[str, int]] = {}
    for row, server, role, pool in zip(
        cells.rows, servers, cells.column("role"), pool_names(cells)
    ):
        if not server or not role:
            continue
        first = rows_of.setdefault((server, role), row)
        if first != row:
            report.problem(
                f"{server} stands here and in row {first} as {role}",
                "keep one row for each server and role",
                row=row,
                column="server_fqdn",
                value=server,
            )
        elif role not in partners:
            first_pool, first_row = pool_of.setdefault(server, (pool, row))
            if first_pool != pool:
                report.problem(
                    f"{server} is in pool {pool} here and in pool {first_pool} in row {first_row}",
                    "a server belongs to one pool; collocated roles name the same pool",
                    row=row,
                    column="pool_fqdn",
                    value=pool,
                )
