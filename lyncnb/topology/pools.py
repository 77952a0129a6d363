"""Group rows into ``Pool`` and ``Computer``, and report contradictions."""

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
    """Insert new pools into sorted ones."""
    if len(new) > len(pools) // 10:
        return sorted([*pools, *new], key=pool_order)
    sorted_pools = list(pools)
    for pool in new:
        bisect.insort(sorted_pools, pool, key=pool_order)
    return sorted_pools


def pool_names(cells: Cells) -> list[str]:
    """Return the pool of each of n rows; a blank cell means the server's own name."""
    pairs = zip(cells.column("pool_fqdn"), cells.column("server_fqdn"))
    return [pool or server for pool, server in pairs]


def derive_pools(cells: Cells, report: Report) -> list[Pool]:
    """Group rows into pools.

    Parameters
    ----------
    cells : Cells
        n rows; all rows of every pool that occurs.
    report : Report
        Gets the contradictions, with both rows and values.

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
    """Return the indices of each pool's rows, sorted by server name."""
    servers, roles = cells.column("server_fqdn"), cells.column("role")
    groups: dict[str, list[int]] = defaultdict(list)
    rows: Iterable[tuple[int, str]] = enumerate(pool_names(cells))
    if not (all(servers) and all(roles)):
        # Blank cells are already reported; the other rows can still be checked.
        rows = [(index, pool) for index, pool in rows if servers[index] and roles[index]]
    for index, pool in rows:
        groups[pool].append(index)
    for places in groups.values():
        if len(places) > 1:
            places.sort(key=servers.__getitem__)
    return groups


class _Gatherer:
    """Collects the values of pools, and creates all pools at once."""

    def __init__(self, cells: Cells, report: Report):
        self.cells = cells
        self.report = report
        self.shared = [
            facts
            for facts in topology_columns()
            if facts.scope == "pool" and any(cells.column(facts.name))
        ]
        # All values that the rows of a pool share, as one tuple to compare.
        names = ["role", "site", *(facts.name for facts in self.shared)]
        self.common = list(zip(*map(cells.column, names)))
        self.computers = _computers(cells)
        # For each pool: its name, the shared values of its rows, its computers.
        self.groups: list[tuple[str, tuple[str, ...], tuple[Computer, ...]]] = []

    def add(self, fqdn: str, places: Sequence[int]) -> None:
        """Add the pools of one name: one pool, or one for each collocated role."""
        first, last, size = places[0], places[-1], len(places)
        common = self.common[first]
        # In nearly all tables the rows of a pool are consecutive and sorted.
        run = range(first, first + size)
        if last == run[-1] and places == [*run]:
            members = tuple(self.computers[first : last + 1])
            alike = self.common[first : last + 1]
        else:
            members = tuple(self.computers[index] for index in places)
            alike = [self.common[index] for index in places]
        if size == 1 or alike.count(common) == size:
            self.groups.append((fqdn, common, members))
            return
        shared = self._merged(fqdn, places)
        by_role: dict[str, list[Computer]] = {}
        for index, member in zip(places, members):
            by_role.setdefault(self.common[index][0], []).append(member)
        self._check_roles(fqdn, places, by_role)
        for role, computers in by_role.items():
            self.groups.append((fqdn, (role, *shared), tuple(computers)))

    def pools(self) -> list[Pool]:
        """Create the pools, column by column, in order."""
        order = role_order()
        self.groups.sort(key=lambda one: (one[1][1], order[one[1][0]], one[0]))
        if not self.groups:
            return []
        fqdns, commons, members = zip(*self.groups)
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
        """Return the values of a column's texts; a blank means the field's default."""
        default = Pool.__dataclass_fields__[facts.name].default
        if facts.name not in self.cells.values:  # the value of a name is its text
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
        """Return for each pool the flags that are set and that its role uses."""
        switches = [facts.name for facts in self.shared if facts.kind == "bool"]
        flag_texts = [column for facts, column in zip(self.shared, texts) if facts.kind == "bool"]
        keys = list(zip(roles, *flag_texts))
        by_key = {
            key: frozenset(
                facts.name
                for facts in topology_columns()
                if facts.kind == "bool"
                and facts.is_used_by(key[0])
                and (dict(zip(switches, key[1:])).get(facts.name) or facts.default) == "true"
            )
            for key in set(keys)
        }
        return map(by_key.__getitem__, keys)

    def _merged(self, fqdn: str, places: Sequence[int]) -> list[str]:
        """Find each shared value in any row; report two different values."""
        _, sites, *texts = zip(*(self.common[index] for index in places))
        # A pool is in one site, so a row with a blank site can only mean that site.
        merged = [self._shared_value(fqdn, "site", sites, places)]
        for facts, cells in zip(self.shared, texts):
            merged.append(self._shared_value(fqdn, facts.name, cells, places))
        return merged

    def _shared_value(
        self, fqdn: str, name: str, texts: Sequence[str], places: Sequence[int]
    ) -> str:
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
        for index in places:
            role, server = self.common[index][0], self.computers[index].fqdn
            if server in strangers:
                self.report.problem(
                    f"{server} has the role {role} in pool {fqdn}, whose other servers "
                    f"have the role {largest}",
                    "give each role its own pool; collocated roles are on the same servers",
                    row=self.cells.rows[index],
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
    """Return for each pool its additional columns that contain names, with the names."""
    for names in zip(*further.values()):
        yield tuple((column, texts) for column, texts in zip(further, names) if texts)


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
    """Create many frozen objects, field by field in C, in a third of the time of calling the class.

    For 100,000 servers this saves a fifth of the time for reading. The call must pass every field.
    """
    made = [*map(object.__new__, repeat(kind, count))]
    for name, values in columns.items():
        deque(map(getattr(kind, name).__set__, made, values), maxlen=0)
    return made


# Derive ``Site`` objects and SIP domains: the values of a whole site or of the deployment.


def derive_sites(cells: Cells, sites: Sequence[str], report: Report) -> tuple[Site, ...]:
    """List the sites by name, each with the simple URLs in force there.

    Parameters
    ----------
    cells : Cells
        All n rows.
    sites : sequence of str
        n names of sites; a blank one inherits its pool's.
    report : Report
        Gets contradictions.

    Notes
    -----
    If all rows with a simple URL agree, it belongs to the deployment. Otherwise each site has its
    own, and a site without one uses the value of the rows without a site. If a site has its own
    Meet or dial-in URL, it does not inherit the admin URL, which is optional. Source: Microsoft,
    Planning for simple URLs in Lync Server 2013 (site beats global).
    """
    settings_by_site: dict[str, dict[str, Any]] = {name: {} for name in sorted(set(sites))}
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
        for name, settings in settings_by_site.items():
            value = by_site[name] if name in by_site else by_site.get("")
            if value is not None:
                settings[heading] = value
    return tuple(Site(name=name, **settings) for name, settings in settings_by_site.items())


def derive_sip_domains(cells: Cells, report: Report) -> tuple[DnsName, ...]:
    """Find the deployment's SIP domains, the default first."""
    by_site = _by_site(cells, "sip_domains", [""] * len(cells.rows), report)
    domains: tuple[DnsName, ...] = by_site.get("", ())
    # A row that could not be read has a problem without a column. It may have contained them.
    is_reported = any(problem.column in ("", "sip_domains") for problem in report.problems)
    if not domains and not is_reported:
        report.problem(
            "no row has SIP domains",
            "write them in one row, the default first, e.g. contoso.com;fabrikam.com",
            column="sip_domains",
        )
    return domains


def _by_site(cells: Cells, name: str, sites: Sequence[str], report: Report) -> dict[str, Any]:
    """Return each site's value of a column, if any; report contradictions.

    A value that all rows agree on belongs to the deployment, with the key "".
    """
    texts, values = cells.column(name), cells.values.get(name, {})
    if len(values) <= 1:
        return dict.fromkeys(("",), *values.values()) if values else {}
    # Rows repeat the same few pairs, so only the first row of each pair is checked.
    first = {
        pair: index
        for index, pair in zip(range(len(texts) - 1, -1, -1), zip(sites[::-1], texts[::-1]))
        if pair[1]
    }
    first_by_site: dict[str, tuple[int, str]] = {}
    for (site, text), index in sorted(first.items(), key=lambda item: item[1]):
        known_index, known = first_by_site.setdefault(site, (index, text))
        if values[known] != values[text]:
            where = f"site {site}" if site else "the deployment"
            report.problem(
                f"two values for {where}: {shown(known)} in row {cells.rows[known_index]}, "
                f"{shown(text)} in row {cells.rows[index]}",
                "one row is enough; blank cells inherit the value",
                row=cells.rows[index],
                column=name,
                value=text,
            )
    by_site = {site: values[text] for site, (_, text) in first_by_site.items()}
    common = next(iter(by_site.values()))
    return {"": common} if all(value == common for value in by_site.values()) else by_site
