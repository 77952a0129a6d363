"""Compare the values in two topologies, such as a table and a topology document."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..base.dns_name import DnsName
from ..base.records import JsonSerializable
from ..base.shown.tables import Table, format_count, number_equal_headings
from .columns import Column, get_column, list_topology_columns, list_topology_roles
from .model import Computer, Pool, Site

_FIXED_HEADINGS = ("About", "Column")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The values of one topology in a comparison of two topologies."""

    source: str
    columns: tuple[str, ...]
    sip_domains: tuple[DnsName, ...]
    sites: tuple[Site, ...]
    pools: tuple[Pool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellDifference:
    """A value that differs between two topologies.

    The attributes are the server, pool or site, the column, and the value in each topology.
    """

    about: str
    column: str
    before: str
    after: str

    def __str__(self) -> str:
        before, after = (
            f'contains "{text}"' if text else "is blank" for text in (self.before, self.after)
        )
        return (
            f"{self.about}: the column {get_column(self.column).title} {before} in the first "
            f"topology, but {after} in the second topology"
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TopologyDifference(Table, JsonSerializable):
    """All differences between two topologies: deployment, sites, pools, and servers.

    ``not_compared`` lists columns and roles that only one topology has.
    """

    format: ClassVar = "lyncnb-topology-difference/1"
    json_keys: ClassVar = (
        "format",
        "before",
        "after",
        "differences",
        "not_compared",
    )

    before: str
    after: str
    differences: tuple[CellDifference, ...]
    not_compared: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether no value differs between the two topologies."""
        return not self.differences

    def _list_headings(self) -> Sequence[str]:
        # Two DataFrames, or two files with the same name in different folders, have equal sources.
        sources = number_equal_headings((self.before, self.after), _FIXED_HEADINGS)
        return (*_FIXED_HEADINGS, *sources)

    def _list_rows(self) -> Iterator[tuple[str, ...]]:
        for difference in self.differences:
            title = get_column(difference.column).title
            yield difference.about, title, difference.before, difference.after

    def _summarize(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Return a sentence with the number of differences."""
        count = format_count(len(self.differences), "difference")
        text = f"{self.before} and {self.after}: {count}"
        if not self.not_compared:
            return text
        return f"{text}; in only one of the topologies: {', '.join(self.not_compared)}"


def compare_sides(old_side: Side, new_side: Side) -> TopologyDifference:
    """Compare the values in two topologies.

    Parameters
    ----------
    old_side, new_side : Side
        n and m pools.

    Returns
    -------
    TopologyDifference
        The differences, sorted by scope and name. A blank cell is compared as its default value.
    """
    silent = sorted(_find_uncompared_roles(old_side, new_side))
    columns = [facts for facts in list_topology_columns() if facts.name in old_side.columns]
    columns = [facts for facts in columns if facts.name in new_side.columns]
    pools = [
        {(pool.fqdn, pool.role): pool for pool in side.pools if pool.role not in silent}
        for side in (old_side, new_side)
    ]
    differences = [
        *_compare_domains(old_side, new_side, columns),
        *_compare_sites(old_side.sites, new_side.sites, columns),
        *_compare_servers(pools[0].values(), pools[1].values(), columns),
    ]
    for key in sorted(pools[0].keys() & pools[1].keys()):
        differences += _compare_pools(pools[0][key], pools[1][key], columns)
    names = {facts.name for facts in list_topology_columns()}
    once = names.intersection({*old_side.columns} ^ {*new_side.columns})
    return TopologyDifference(
        before=old_side.source,
        after=new_side.source,
        differences=tuple(differences),
        not_compared=(
            *(facts.name for facts in list_topology_columns() if facts.name in once),
            *silent,
        ),
    )


def _find_uncompared_roles(old_side: Side, new_side: Side) -> Iterator[str]:
    """Yield the partner roles that only one topology has.

    Topology documents have no reverse proxies.
    """
    roles = [{pool.role for pool in side.pools} for side in (old_side, new_side)]
    partners = {role.id for role in list_topology_roles() if role.partner}
    yield from partners & (roles[0] ^ roles[1])


def _compare_domains(
    old_side: Side, new_side: Side, columns: Iterable[Column]
) -> Iterator[CellDifference]:
    # The first domain is the default domain. The order of all other domains is ignored.
    orders = [
        (*side.sip_domains[:1], *sorted(side.sip_domains[1:])) for side in (old_side, new_side)
    ]
    if orders[0] != orders[1] and any(facts.name == "sip_domains" for facts in columns):
        before, after = (";".join(order) for order in orders)
        yield _make_difference("deployment", "sip_domains", before, after)


def _compare_sites(
    old_sites: Sequence[Site], new_sites: Sequence[Site], columns: Iterable[Column]
) -> Iterator[CellDifference]:
    """Compare the simple URLs of each site. If the sites differ, compare all URLs together."""
    names = sorted({site.name for site in old_sites})
    groups: list[tuple[str, str | None]] = [(name or "deployment", name) for name in names]
    if names != sorted({site.name for site in new_sites}):
        groups = [("deployment", None)]
    for subject, name in groups:
        for facts in columns:
            if not facts.kind.startswith("url"):
                continue
            before, after = (
                ";".join(sorted({url for site in sites if name in (None, site.name)
                                 for url in _list_urls(site, facts.name)}))
                for sites in (old_sites, new_sites)
            )  # fmt: skip
            if before != after:
                yield _make_difference(subject, facts.name, before, after)


def _list_urls(site: Site, name: str) -> Iterator[str]:
    value = getattr(site, name)
    for simple_url in value if isinstance(value, tuple) else (value,):
        if simple_url is not None:
            yield simple_url.url


#: --- The following functions compare the columns that describe a single server.
_OF_SERVERS: dict[str, Callable[[Pool, Computer], str]] = {
    "pool_fqdn": lambda pool, computer: pool.fqdn,
    "site": lambda pool, computer: pool.site,
    "issuer": lambda pool, computer: ";".join(
        f"{usage}={issuer}" if usage else issuer for usage, issuer in sorted(computer.issuer)
    ),
    "target_os": lambda pool, computer: computer.target_os,
}

_Places = dict[str, dict[str, tuple[Pool, Computer]]]


def _map_pools(pools: Iterable[Pool]) -> _Places:
    """Return the pools of each server by role."""
    pools_by_server: _Places = defaultdict(dict)
    for pool in pools:
        for computer in pool.computers:
            pools_by_server[computer.fqdn][pool.role] = (pool, computer)
    return pools_by_server


def _compare_servers(
    old_pools: Iterable[Pool], new_pools: Iterable[Pool], columns: Iterable[Column]
) -> Iterator[CellDifference]:
    """Compare the servers, their roles, and the values of each server."""
    # The comparison always includes pool_fqdn. If this cell is blank, the server is a pool of its
    # own.
    names = {"pool_fqdn", *(facts.name for facts in columns)}
    sides = [_map_pools(old_pools), _map_pools(new_pools)]
    for server in sorted(sides[0].keys() | sides[1].keys()):
        before, after = (side.get(server, {}) for side in sides)
        if not (before and after):
            texts = (server if before else "", server if after else "")
            yield _make_difference(server, "server_fqdn", *texts)
            continue
        if before.keys() != after.keys():
            yield _make_difference(
                server, "role", *(";".join(sorted(side)) for side in (before, after))
            )
        main = next((role for role in before if role in after), None)
        for name, text in _OF_SERVERS.items():
            if main and name in names and text(*before[main]) != text(*after[main]):
                yield _make_difference(server, name, text(*before[main]), text(*after[main]))


def _make_difference(subject: str, name: str, old_text: str, new_text: str) -> CellDifference:
    return CellDifference(about=subject, column=name, before=old_text, after=new_text)


def _compare_pools(
    old_pool: Pool, new_pool: Pool, columns: Iterable[Column]
) -> Iterator[CellDifference]:
    for facts in columns:
        if facts.scope != "pool" or not facts.is_used_by(old_pool.role):
            continue
        before, after = (_format_value(pool, facts) for pool in (old_pool, new_pool))
        if before != after:
            yield _make_difference(f"{old_pool.fqdn} as {old_pool.role}", facts.name, before, after)


def _format_value(pool: Pool, column: Column) -> str:
    """Return a pool's value in a column as text."""
    if column.kind == "bool":
        return str(column.name in pool.flags).lower()
    if column.name == "extra_san":
        pairs = (f"{usage}={name}" if usage else name for usage, name in pool.extra_san)
        return ";".join(sorted(pairs))
    names = pool.list_names(column.name) or ((pool.fqdn,) if column.or_pool_name else ())
    return ";".join(sorted(names))
