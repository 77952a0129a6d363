"""Rows to ``Pool`` and ``Computer``: what belongs together, and what contradicts itself."""

from __future__ import annotations

import bisect
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from itertools import repeat
from typing import Any, TypeVar

from ..base.dns_name import DnsName
from ..base.pasted_text import shown
from .cells import Cells, Report
from .columns import Column, column, role_order, topology_columns, topology_roles
from .model import Computer, Pool, Site

_Kind = TypeVar("_Kind")


def pool_order(pool: Pool) -> tuple[str, int, str]:
    """Sort key of pools: site, role, name."""
    return pool.site, role_order()[pool.role], pool.fqdn


def merged(pools: list[Pool], new: Sequence[Pool]) -> list[Pool]:
    """Put new pools in their places among those that are in order."""
    if len(new) > len(pools) // 10:
        return sorted([*pools, *new], key=pool_order)
    found = list(pools)
    for pool in new:
        bisect.insort(found, pool, key=pool_order)
    return found


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
    gather = _Gatherer(cells, report)
    for fqdn, places in _places_by_pool(cells).items():
        gather.add(fqdn, places)
    return gather.pools()


def _places_by_pool(cells: Cells) -> dict[str, list[int]]:
    """Give the places of each pool's rows, by name of the server."""
    servers, roles = cells.column("server_fqdn"), cells.column("role")
    groups: dict[str, list[int]] = defaultdict(list)
    rows: Iterable[tuple[int, str]] = enumerate(pool_names(cells))
    if not (all(servers) and all(roles)):
        # What is blank here is reported already; the rest can still be looked at.
        rows = [(place, pool) for place, pool in rows if servers[place] and roles[place]]
    for place, pool in rows:
        groups[pool].append(place)
    for places in groups.values():
        if len(places) > 1:
            places.sort(key=servers.__getitem__)
    return groups


class _Gatherer:
    """Collects what pools are made of, and makes all of them at once."""

    def __init__(self, cells: Cells, report: Report):
        self.cells = cells
        self.report = report
        self.shared = [
            facts
            for facts in topology_columns()
            if facts.scope == "pool" and any(cells.column(facts.name))
        ]
        # Everything that the rows of a pool have in common, as one tuple to compare.
        names = ["role", "site", *(facts.name for facts in self.shared)]
        self.common = list(zip(*map(cells.column, names)))
        self.computers = _computers(cells)
        # Of each pool: its name, what its rows have in common, its computers.
        self.found: list[tuple[str, tuple[str, ...], tuple[Computer, ...]]] = []

    def add(self, fqdn: str, places: Sequence[int]) -> None:
        """Take up the pools of one name: one, or one for each collocated role."""
        first, last, size = places[0], places[-1], len(places)
        common = self.common[first]
        # Nearly always the rows of a pool follow one another, sorted.
        run = range(first, first + size)
        if last == run[-1] and places == [*run]:
            members = tuple(self.computers[first : last + 1])
            alike = self.common[first : last + 1]
        else:
            members = tuple(self.computers[place] for place in places)
            alike = [self.common[place] for place in places]
        if size == 1 or alike.count(common) == size:
            self.found.append((fqdn, common, members))
            return
        shared = self._merged(fqdn, places)
        by_role: dict[str, list[Computer]] = {}
        for place, member in zip(places, members):
            by_role.setdefault(self.common[place][0], []).append(member)
        self._check_roles(fqdn, places, by_role)
        for role, computers in by_role.items():
            self.found.append((fqdn, (role, *shared), tuple(computers)))

    def pools(self) -> list[Pool]:
        """Make the pools, column by column, in their order."""
        order = role_order()
        self.found.sort(key=lambda one: (one[1][1], order[one[1][0]], one[0]))
        if not self.found:
            return []
        fqdns, commons, members = zip(*self.found)
        roles, sites, *texts = zip(*commons)
        columns: dict[str, Iterable[object]] = {}
        further: dict[str, Iterable[tuple[DnsName, ...]]] = {}
        for facts, cells in zip(self.shared, texts):
            if facts.name in Pool.__dataclass_fields__:
                columns[facts.name] = self._values(facts, cells)
            elif facts.kind != "bool":
                further[facts.name] = self._names(facts, cells)
        if further:
            columns["further_names"] = _by_column(further)
        defaults = {f.name: repeat(f.default) for f in fields(Pool) if f.default is not MISSING}
        made: dict[str, Iterable[object]] = {
            "fqdn": fqdns,
            "role": roles,
            "site": sites,
            "computers": members,
            "flags": self._flags(roles, texts),
        }
        return _build(Pool, len(fqdns), {**defaults, **made, **columns})

    def _values(self, facts: Column, texts: Sequence[str]) -> Iterable[object]:
        """Give the values of a column's texts; a blank is the field's default."""
        default = Pool.__dataclass_fields__[facts.name].default
        if facts.name not in self.cells.values:  # a name is its own text
            return [text or default for text in texts]
        return map({**self.cells.values[facts.name], "": default}.__getitem__, texts)

    def _names(self, facts: Column, texts: Sequence[str]) -> Iterable[tuple[DnsName, ...]]:
        """Return the names in a column that is not a field: a tuple for each, empty for a blank."""
        read: Mapping[str, Any] = self.cells.values.get(facts.name, {})
        names = read if facts.is_list else {text: (text,) for text in texts}
        return map({**names, "": ()}.__getitem__, texts)

    def _flags(
        self, roles: Sequence[str], texts: Sequence[Sequence[str]]
    ) -> Iterable[frozenset[str]]:
        """Give each pool the flags that are set and that its role uses."""
        switches = [facts.name for facts in self.shared if facts.kind == "bool"]
        told = [column for facts, column in zip(self.shared, texts) if facts.kind == "bool"]
        keys = list(zip(roles, *told))
        by_key = {
            key: frozenset(
                facts.name
                for facts in topology_columns()
                if facts.kind == "bool"
                and facts.heeded_by(key[0])
                and (dict(zip(switches, key[1:])).get(facts.name) or facts.default) == "true"
            )
            for key in set(keys)
        }
        return map(by_key.__getitem__, keys)

    def _merged(self, fqdn: str, places: Sequence[int]) -> list[str]:
        """Find each common value on whichever row has it; two different ones contradict."""
        _, sites, *texts = zip(*(self.common[place] for place in places))
        # A pool lies in one site, so a row that leaves it blank can only mean the same one.
        merged = [self._one(fqdn, "site", sites, places)]
        for facts, cells in zip(self.shared, texts):
            merged.append(self._one(fqdn, facts.name, cells, places))
        return merged

    def _one(self, fqdn: str, name: str, texts: Sequence[str], places: Sequence[int]) -> str:
        filled = sorted((p, text) for p, text in zip(places, texts) if text)
        if not filled:
            return ""
        value = self.cells.value
        first, text = filled[0]
        for place, other in filled:
            if other != text and value(name, other) != value(name, text):
                rows = self.cells.rows
                self.report.problem(
                    f"pool {fqdn} has two values of {name}: {shown(text)} in row {rows[first]}, "
                    f"{shown(other)} in row {rows[place]}",
                    "a pool is in one site"
                    if name == "site"
                    else "one row is enough; blank cells of the pool inherit the value",
                    row=rows[place],
                    column=name,
                    value=other,
                )
        return min(other for _, other in filled)

    def _check_roles(
        self, fqdn: str, places: Sequence[int], by_role: Mapping[str, Sequence[Computer]]
    ) -> None:
        """Reject two roles in one pool, unless they are on the same servers."""
        members = {role: {c.fqdn for c in computers} for role, computers in by_role.items()}
        largest = min(members, key=lambda role: (-len(members[role]), role_order()[role]))
        strangers = set().union(*members.values()) - members[largest]
        for place in places:
            role, server = self.common[place][0], self.computers[place].fqdn
            if server in strangers:
                self.report.problem(
                    f"{server} has the role {role} in pool {fqdn}, whose other servers "
                    f"have the role {largest}",
                    "give each role its own pool; collocated roles are on the same servers",
                    row=self.cells.rows[place],
                    column="role",
                    value=role,
                )


def check_servers(rows: Iterable[tuple[int, str, str, str]], report: Report) -> None:
    """Reject a server that appears twice in one role, or in two pools.

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
                f"{server} is in this row and in row {first} as {role}",
                "keep one row for each server and role",
                row=row,
                column="server_fqdn",
                value=server,
            )
        elif role not in partners:
            other, first = pool_of.setdefault(server, (pool, row))
            if other != pool:
                report.problem(
                    f"{server} is in pool {pool} in this row and in pool {other} in row {first}",
                    "a server belongs to one pool; collocated roles have the same pool",
                    row=row,
                    column="pool_fqdn",
                    value=pool,
                )


def _by_column(
    further: Mapping[str, Iterable[tuple[DnsName, ...]]],
) -> Iterable[tuple[tuple[str, tuple[DnsName, ...]], ...]]:
    """Give each pool the columns in which it has names, with these."""
    for names in zip(*further.values()):
        yield tuple((column, found) for column, found in zip(further, names) if found)


def _computers(cells: Cells) -> list[Computer]:
    default = column("target_os").default
    issuers = {"": (), **cells.values.get("issuer", {})}
    systems, asked = cells.column("target_os"), cells.column("issuer")
    columns = {
        "fqdn": cells.column("server_fqdn"),
        "row": cells.indices,
        "target_os": [s or default for s in systems] if any(systems) else repeat(default),
        "issuer": map(issuers.__getitem__, asked) if any(asked) else repeat(()),
    }
    return _build(Computer, len(cells.rows), columns)


def _build(kind: type[_Kind], count: int, columns: Mapping[str, Iterable[object]]) -> list[_Kind]:
    """Make many frozen objects, field by field in C: a third of the time of calling the class.

    At 100,000 servers that is a fifth of the whole reading. Every field must be given.
    """
    made = [*map(object.__new__, repeat(kind, count))]
    for name, values in columns.items():
        deque(map(getattr(kind, name).__set__, made, values), maxlen=0)
    return made


# Rows to ``Site`` and SIP domains: what holds for a whole site or for the deployment.


def derive_sites(cells: Cells, sites: Sequence[str], report: Report) -> tuple[Site, ...]:
    """List the sites by name, each with the simple URLs in force there.

    Parameters
    ----------
    cells : Cells
        All n rows.
    sites : sequence of str
        n names of sites; a row that leaves it blank has its pool's.
    report : Report
        Gets contradictions.

    Notes
    -----
    If all rows that give a simple URL agree, it is the deployment's. Otherwise each site has its
    own, and a site without one has what the rows without a site say. Where a site has its own Meet
    or dial-in URL, no site inherits the admin URL of another, which is optional.
    Source: Microsoft, Planning for simple URLs in Lync Server 2013 (site beats global).
    """
    found: dict[str, dict[str, Any]] = {name: {} for name in sorted(set(sites))}
    columns = [facts.name for facts in topology_columns() if facts.scope == "site"]
    values = {name: _by_site(cells, name, sites, report) for name in columns}
    own = {site for name in ("meet_urls", "dialin_url") for site in values[name] if site}
    if own:
        written = {site for site, text in zip(sites, cells.column("admin_url")) if text}
        admin = values["admin_url"]
        if "" in written:
            admin |= dict.fromkeys(own - written)
        else:
            values["admin_url"] = {site: admin.get(site, admin.get("")) for site in written}
    for heading, by_site in values.items():
        for name, settings in found.items():
            value = by_site[name] if name in by_site else by_site.get("")
            if value is not None:
                settings[heading] = value
    return tuple(Site(name=name, **settings) for name, settings in found.items())


def derive_sip_domains(cells: Cells, report: Report) -> tuple[DnsName, ...]:
    """Find the deployment's SIP domains, the default first."""
    by_site = _by_site(cells, "sip_domains", [""] * len(cells.rows), report)
    found: tuple[DnsName, ...] = by_site.get("", ())
    # A row that could not be read at all has a problem without a column, and may have named them.
    told = any(problem.column in ("", "sip_domains") for problem in report.problems)
    if not found and not told:
        report.problem(
            "no row has SIP domains",
            "write them in one row, the default first, e.g. contoso.com;fabrikam.com",
            column="sip_domains",
        )
    return found


def _by_site(cells: Cells, name: str, sites: Sequence[str], report: Report) -> dict[str, Any]:
    """Give each site's value of a column where it has one; two of them contradict.

    What all rows agree on belongs to the deployment, with the key "".
    """
    texts, values = cells.column(name), cells.values.get(name, {})
    if len(values) <= 1:
        return dict.fromkeys(("",), *values.values()) if values else {}
    # Rows repeat the same few pairs, so only the first place of each is checked.
    first = {
        pair: place
        for place, pair in zip(range(len(texts) - 1, -1, -1), zip(sites[::-1], texts[::-1]))
        if pair[1]
    }
    found: dict[str, tuple[int, str]] = {}
    for (site, text), place in sorted(first.items(), key=lambda item: item[1]):
        one, known = found.setdefault(site, (place, text))
        if values[known] != values[text]:
            where = f"site {site}" if site else "the deployment"
            report.problem(
                f"two values for {where}: {shown(known)} in row {cells.rows[one]}, "
                f"{shown(text)} in row {cells.rows[place]}",
                "one row is enough; blank cells inherit the value",
                row=cells.rows[place],
                column=name,
                value=text,
            )
    by_site = {site: values[text] for site, (_, text) in found.items()}
    common = next(iter(by_site.values()))
    return {"": common} if all(value == common for value in by_site.values()) else by_site
