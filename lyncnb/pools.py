"""Rows to ``Pool`` and ``Computer``: what belongs together, and what contradicts itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from .cells import Cells, Report
from .columns import column, role_order, topology_columns, topology_roles
from .names import DnsName
from .text import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Computer:
    """One server in one role: one row of the table.

    ``row`` is an index into ``Topology.cells``; where it stands makes no computer another.
    ``issuer`` holds pairs of usage ("" for all) and ``internal`` or ``public``.
    """

    fqdn: DnsName
    row: int = field(compare=False)
    target_os: str = "2012R2"
    issuer: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Computers of one role that act as one; a single server is a pool of its own name.

    ``computers`` are sorted by name. ``flags`` holds the names of the boolean columns that are
    true and that the role heeds (``autologon``, ``strict_dns`` …).
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
    pairs = zip(cells.column("pool_fqdn"), cells.column("server_fqdn"))
    return [pool or server for pool, server in pairs]


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
    servers, roles = cells.column("server_fqdn"), cells.column("role")
    gather = _Gatherer(cells, report)
    groups: dict[str, list[int]] = {}
    complete = all(servers) and all(roles)
    for place, pool in enumerate(pool_names(cells)):
        # What is blank here is reported already; the rest can still be looked at.
        if complete or (servers[place] and roles[place]):
            groups.setdefault(pool, []).append(place)
    pools = []
    for fqdn, places in groups.items():
        if len(places) > 1:
            places.sort(key=servers.__getitem__)
        pools += gather.pools(fqdn, places)
    order = role_order()
    pools.sort(key=lambda pool: (pool.site, order[pool.role], pool.fqdn))
    return pools


class _Gatherer:
    """Makes the pools of one name after another, with what is the same for all at hand."""

    def __init__(self, cells: Cells, report: Report):
        self.cells = cells
        self.report = report
        self.shared = [
            facts
            for facts in topology_columns()
            if facts.scope == "pool" and cells.values.get(facts.name)
        ]
        # Everything that the rows of a pool have in common, as one tuple to compare.
        names = ["role", "site", *(facts.name for facts in self.shared)]
        self.common = list(zip(*map(cells.column, names)))
        self.computers = _computers(cells)
        self.flags: dict[tuple, frozenset[str]] = {}

    def pools(self, fqdn: str, places: Sequence[int]) -> list[Pool]:
        """Make the pools of one name: one, or one for each collocated role."""
        common = self.common[places[0]]
        members = [self.computers[place] for place in places]
        by_role = {common[0]: members}
        if len(places) > 1 and [self.common[p] for p in places].count(common) != len(places):
            common = self._merged(fqdn, places)
            by_role = {}
            for place, member in zip(places, members):
                by_role.setdefault(self.common[place][0], []).append(member)
            self._check_roles(fqdn, places, by_role)
        _, site, *texts = common
        names: dict[str, object] = {}
        switches: dict[str, bool] = {}
        for facts, text in zip(self.shared, texts):
            if text:
                chosen = switches if facts.kind == "bool" else names
                chosen[facts.name] = self.cells.values[facts.name][text]
        return [
            Pool(
                fqdn=fqdn,
                role=role,
                site=site,
                computers=tuple(computers),
                flags=self._flags(role, switches),
                **names,
            )
            for role, computers in by_role.items()
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

    def _merged(self, fqdn: str, places: Sequence[int]) -> list[str]:
        """Find each common value on whichever row has it; two different ones contradict."""
        _, sites, *texts = zip(*(self.common[place] for place in places))
        # A pool lies in one site, so a row that leaves it blank can only mean the same one.
        merged = ["", self._one(fqdn, "site", sites, places)]
        for facts, cells in zip(self.shared, texts):
            merged.append(self._one(fqdn, facts.name, cells, places))
        return merged

    def _one(self, fqdn: str, name: str, texts: Sequence[str], places: Sequence[int]) -> str:
        filled = sorted((p, text) for p, text in zip(places, texts) if text)
        if not filled:
            return ""
        values = self.cells.values[name]
        first, text = filled[0]
        for place, other in filled:
            if other != text and values[other] != values[text]:
                rows = self.cells.rows
                self.report.problem(
                    f"pool {fqdn} has two values of {name}: {shown(text)} in row {rows[first]}, "
                    f"{shown(other)} in row {rows[place]}",
                    "a pool lies in one site"
                    if name == "site"
                    else "one row is enough; blank cells of the pool take the value over",
                    row=rows[place],
                    column=name,
                    value=other,
                )
        return min(other for _, other in filled)

    def _check_roles(
        self, fqdn: str, places: Sequence[int], by_role: Mapping[str, Sequence[Computer]]
    ) -> None:
        """Refuse two roles in one pool, unless they stand on the same servers."""
        members = {role: {c.fqdn for c in computers} for role, computers in by_role.items()}
        largest = min(members, key=lambda role: (-len(members[role]), role_order()[role]))
        strangers = set().union(*members.values()) - members[largest]
        for place in places:
            role, server = self.common[place][0], self.computers[place].fqdn
            if server in strangers:
                self.report.problem(
                    f"{server} has the role {role} in pool {fqdn}, whose other servers "
                    f"have the role {largest}",
                    "give each role a pool of its own; collocated roles stand on the same servers",
                    row=self.cells.rows[place],
                    column="role",
                    value=role,
                )


def check_servers(rows: Iterable[tuple[int, str, str, str]], report: Report) -> None:
    """Refuse a server that stands twice in one role, or in two pools.

    Parameters
    ----------
    rows : iterable of tuples
        Row number, server, role and pool; the later row is the one reported.
    report : Report
        Gets the problems.
    """
    partners = {role.id for role in topology_roles() if role.partner}
    rows_of: dict[tuple[str, str], int] = {}
    pool_of: dict[str, tuple[str, int]] = {}
    for row, server, role, pool in rows:
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
            other, first = pool_of.setdefault(server, (pool, row))
            if other != pool:
                report.problem(
                    f"{server} is in pool {pool} here and in pool {other} in row {first}",
                    "a server belongs to one pool; collocated roles name the same pool",
                    row=row,
                    column="pool_fqdn",
                    value=pool,
                )


def _computers(cells: Cells) -> list[Computer]:
    count = len(cells.rows)
    default = column("target_os").default
    systems = {"": default, **cells.values.get("target_os", {})}
    issuers = {"": (), **cells.values.get("issuer", {})}
    return _build(
        Computer,
        count,
        fqdn=cells.column("server_fqdn"),
        row=cells.indices,
        target_os=map(systems.__getitem__, cells.column("target_os")),
        issuer=map(issuers.__getitem__, cells.column("issuer")),
    )


def _build(kind: type, count: int, **fields: Iterable) -> list:
    """Make many frozen objects, field by field in C: a third of the time of calling the class.

    At 100,000 servers that is a tenth of the whole reading. Every field must be given.
    """
    made = list(map(object.__new__, repeat(kind, count)))
    for name, values in fields.items():
        deque(map(getattr(kind, name).__set__, made, values), maxlen=0)
    return made
