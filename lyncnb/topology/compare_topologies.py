"""Compare two topologies value by value, for example a planner's table and the document."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..base.dns_name import DnsName
from ..base.records import Told
from ..base.shown.tables import Table, count_of
from .columns import Column, column, topology_columns, topology_roles
from .model import Computer, Pool, Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The parts of one topology that are compared."""

    source: str
    columns: tuple[str, ...]
    sip_domains: tuple[DnsName, ...]
    sites: tuple[Site, ...]
    pools: tuple[Pool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellDifference:
    """A value that differs: its owner, its column, and both texts ("" for a missing value)."""

    about: str
    column: str
    before: str
    after: str

    def __str__(self) -> str:
        before, after = (f'"{text}"' if text else "nothing" for text in (self.before, self.after))
        return f"{self.about}, {column(self.column).title}: {before} and {after}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TopologyDifference(Table, Told):
    """All differences of two topologies: deployment, sites, pools, servers.

    ``not_compared`` lists columns and roles that only one of them has.
    """

    format: ClassVar = "lyncnb-topology-difference/1"
    told: ClassVar = (
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
        """Whether all compared values are equal."""
        return not self.differences

    def _headings(self) -> Sequence[str]:
        return ("About", "Column", self.before, self.after)

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for difference in self.differences:
            title = column(difference.column).title
            yield difference.about, title, difference.before, difference.after

    def _summary(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Return the number of differences as one sentence."""
        found = count_of(len(self.differences), "difference")
        rest = f"; only one has: {', '.join(self.not_compared)}" if self.not_compared else ""
        return f"{self.before} and {self.after}: {found}{rest}"


def compare_sides(old: Side, new: Side) -> TopologyDifference:
    """Compare two topologies.

    Parameters
    ----------
    old, new : Side
        n and m pools.

    Returns
    -------
    TopologyDifference
        Sorted by scope, then by name. A blank cell counts as the value that it means.
    """
    silent = sorted(_silent_roles(old, new))
    columns = [facts for facts in topology_columns() if facts.name in old.columns]
    columns = [facts for facts in columns if facts.name in new.columns]
    pools = [
        {(pool.fqdn, pool.role): pool for pool in side.pools if pool.role not in silent}
        for side in (old, new)
    ]
    differences = [
        *_domains(old, new, columns),
        *_sites(old.sites, new.sites, columns),
        *_servers(pools[0].values(), pools[1].values(), columns),
    ]
    for key in sorted(pools[0].keys() & pools[1].keys()):
        differences += _pool(pools[0][key], pools[1][key], columns)
    names = {facts.name for facts in topology_columns()}
    once = names.intersection({*old.columns} ^ {*new.columns})
    return TopologyDifference(
        before=old.source,
        after=new.source,
        differences=tuple(differences),
        not_compared=(*(facts.name for facts in topology_columns() if facts.name in once), *silent),
    )


def _silent_roles(old: Side, new: Side) -> Iterator[str]:
    """Yield partner roles that only one topology has; a document has no reverse proxies."""
    held = [{pool.role for pool in side.pools} for side in (old, new)]
    partners = {role.id for role in topology_roles() if role.partner}
    yield from partners & (held[0] ^ held[1])


def _domains(old: Side, new: Side, columns: Iterable[Column]) -> Iterator[CellDifference]:
    # The first domain is the default; the order of the others has no meaning.
    orders = [(*side.sip_domains[:1], *sorted(side.sip_domains[1:])) for side in (old, new)]
    if orders[0] != orders[1] and any(facts.name == "sip_domains" for facts in columns):
        before, after = (";".join(order) for order in orders)
        yield _difference("deployment", "sip_domains", before, after)


def _sites(
    old: Sequence[Site], new: Sequence[Site], columns: Iterable[Column]
) -> Iterator[CellDifference]:
    """Compare simple URLs by site, or all together if the names of the sites differ."""
    names = sorted({site.name for site in old})
    groups: list[tuple[str, str | None]] = [(name or "deployment", name) for name in names]
    if names != sorted({site.name for site in new}):
        groups = [("deployment", None)]
    for about, name in groups:
        for facts in columns:
            if not facts.kind.startswith("url"):
                continue
            before, after = (
                ";".join(sorted({url for site in sites if name in (None, site.name)
                                 for url in _urls(site, facts.name)}))
                for sites in (old, new)
            )  # fmt: skip
            if before != after:
                yield _difference(about, facts.name, before, after)


def _urls(site: Site, name: str) -> Iterator[str]:
    value = getattr(site, name)
    for simple_url in value if isinstance(value, tuple) else (value,):
        if simple_url is not None:
            yield simple_url.url


#: The columns that describe a single server.
_OF_SERVERS: dict[str, Callable[[Pool, Computer], str]] = {
    "pool_fqdn": lambda pool, computer: pool.fqdn,
    "site": lambda pool, computer: pool.site,
    "issuer": lambda pool, computer: ";".join(
        f"{usage}={issuer}" if usage else issuer for usage, issuer in sorted(computer.issuer)
    ),
    "target_os": lambda pool, computer: computer.target_os,
}

_Places = dict[str, dict[str, tuple[Pool, Computer]]]


def _places(pools: Iterable[Pool]) -> _Places:
    """Return each server's pools by role."""
    pools_by_server: _Places = defaultdict(dict)
    for pool in pools:
        for computer in pool.computers:
            pools_by_server[computer.fqdn][pool.role] = (pool, computer)
    return pools_by_server


def _servers(
    old: Iterable[Pool], new: Iterable[Pool], columns: Iterable[Column]
) -> Iterator[CellDifference]:
    """Compare the servers, their roles, and the values of each row."""
    # A blank pool means the server's own pool, so every table has the column.
    names = {"pool_fqdn", *(facts.name for facts in columns)}
    sides = [_places(old), _places(new)]
    for server in sorted(sides[0].keys() | sides[1].keys()):
        before, after = (side.get(server, {}) for side in sides)
        if not (before and after):
            texts = (server if before else "", server if after else "")
            yield _difference(server, "server_fqdn", *texts)
            continue
        if before.keys() != after.keys():
            yield _difference(server, "role", *(";".join(sorted(side)) for side in (before, after)))
        main = next((role for role in before if role in after), None)
        for name, text in _OF_SERVERS.items():
            if main and name in names and text(*before[main]) != text(*after[main]):
                yield _difference(server, name, text(*before[main]), text(*after[main]))


def _difference(about: str, name: str, before: str, after: str) -> CellDifference:
    return CellDifference(about=about, column=name, before=before, after=after)


def _pool(old: Pool, new: Pool, columns: Iterable[Column]) -> Iterator[CellDifference]:
    for facts in columns:
        if facts.scope != "pool" or not facts.is_used_by(old.role):
            continue
        before, after = (_text(pool, facts) for pool in (old, new))
        if before != after:
            yield _difference(f"{old.fqdn} as {old.role}", facts.name, before, after)


def _text(pool: Pool, facts: Column) -> str:
    """Return the text of a pool's value in a column."""
    if facts.kind == "bool":
        return str(facts.name in pool.flags).lower()
    if facts.name == "extra_san":
        pairs = (f"{usage}={name}" if usage else name for usage, name in pool.extra_san)
        return ";".join(sorted(pairs))
    names = pool.names_in(facts.name) or ((pool.fqdn,) if facts.or_pool_name else ())
    return ";".join(sorted(names))
