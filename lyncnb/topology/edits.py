"""Edit rows in a topology table, and find the pools and sites that a change affects.

``Topology.with_cells`` and ``with_rows`` use these functions. Rows are tuples of corrected text. An
index counts from 0, so it is two less than the row number in a spreadsheet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from operator import itemgetter
from typing import TypeVar

from ..base.dns_name import DnsName
from ..base.pasted_text import shown
from ..errors import Problem
from .cells import Cells, Report, read_cells
from .columns import Column, list_topology_columns
from .model import Pool, Site
from .pools import list_pool_names
from .source_table import Table, Texts, raise_problems

Row = tuple[str, ...]
Same = TypeVar("Same")

# The columns that also determine values of a site or the deployment.
_PLACE = ("site", "pool_fqdn", "server_fqdn")
_SHARED = ("site", "deployment")  # The scopes of columns whose values can apply to several pools.


def is_shared_change(
    changed_columns: Set[str], cells: Cells, old_pools: Iterable[Pool], new_pools: Iterable[Pool]
) -> bool:
    """Return whether a change in these columns can affect the sites or the whole deployment."""
    if "site" in changed_columns or any(
        _map_column_scopes().get(n) in _SHARED for n in changed_columns
    ):
        return True
    # A row without a site inherits the site of its pool.
    is_blank = not all(cells.column("site")) and changed_columns & set(_PLACE)
    return bool(is_blank) or {pool.site for pool in old_pools} != {pool.site for pool in new_pools}


def add_needed_columns(
    columns: Sequence[str],
    cells: Sequence[Row],
    texts: Iterable[Mapping[str, str]],
    source: str,
) -> tuple[tuple[str, ...], list[Row]]:
    """Add the columns that new texts need, and return the table's columns and rows.

    Raises
    ------
    TopologyError
        If a name is not a column in the table or in ``column_rules.toml``.
    """
    missing = dict.fromkeys(name for row in texts for name in row if name not in columns)
    unknown = [name for name in missing if name not in _map_column_scopes()]
    if unknown:
        hint = "use a heading from the table, or a column name that lyncnb supports"
        raise_problems(
            source,
            [
                Problem(message=f"the table has no column {shown(name)}", file=source, hint=hint)
                for name in unknown
            ],
        )
    blanks = ("",) * len(missing)
    return (*columns, *missing), [(*row, *blanks) for row in cells] if missing else list(cells)


def arrange_rows(
    columns: Sequence[str], rows: Sequence[Row], new_columns: Sequence[str]
) -> Sequence[Row]:
    """Return the rows of a table with their cells in the order of the new columns.

    The cells of added columns are blank.
    """
    if new_columns == columns:
        return rows
    positions = {name: index for index, name in enumerate(columns)}
    pick = itemgetter(*(positions.get(name, len(columns)) for name in new_columns))
    return [pick((*row, "")) for row in rows]


def replace_texts(
    columns: Sequence[str], rows: list[Row], texts: Mapping[int, Mapping[str, str]]
) -> None:
    """Replace texts in a table's rows. ``texts`` contains each new text by row and column."""
    index_of = {name: number for number, name in enumerate(columns)}
    for index, new in texts.items():
        row = list(rows[index])
        for name, text in new.items():
            row[index_of[name]] = text
        rows[index] = tuple(row)


def build_table(
    columns: tuple[str, ...],
    rows: Sequence[Row],
    row_indices: Sequence[int],
    *,
    single_labels: bool,
) -> Table:
    """Create a table from selected rows. They keep their row numbers from the complete table."""
    by_column = (
        zip(*(rows[index] for index in row_indices)) if row_indices else ((),) * len(columns)
    )
    return Table(
        source="",
        columns=columns,
        texts=tuple(map(Texts.from_cells, by_column)),
        rows=[index + 2 for index in row_indices],
        single_labels=single_labels,
    )


#: The columns that name a server and its pool.
NAMED_BY = ("server_fqdn", "pool_fqdn")


def has_single_label(columns: Sequence[str], rows: Iterable[Row]) -> bool:
    """Return whether a row contains a server or pool name without a domain."""
    indices = [columns.index(name) for name in NAMED_BY if name in columns]
    return any(row[index] and "." not in row[index] for row in rows for index in indices)


def select_shared_cells(columns: tuple[str, ...], rows: Sequence[Row], report: Report) -> Cells:
    """Return the cells in the columns for sites, pools, servers, and shared values.

    Shared values apply to a site or to the whole deployment.
    """
    row_indices = range(len(rows))
    names = tuple(
        name for name in columns if name in _PLACE or _map_column_scopes().get(name) in _SHARED
    )
    column_indices = [columns.index(name) for name in names]
    by_column = {name: [row[index] for row in rows] for name, index in zip(names, column_indices)}
    cells = read_cells(
        Table(
            source="",
            columns=tuple(name for name in names if name not in _PLACE),
            texts=tuple(Texts.from_cells(c) for name, c in by_column.items() if name not in _PLACE),
            rows=[index + 2 for index in row_indices],
        ),
        report,
    )
    # Names and sites are already in their final form. Parsing them again would take most of the run
    # time.
    return replace(cells, columns=names, texts={**by_column, **cells.texts}, indices=row_indices)


def fill_blanks(
    columns: tuple[str, ...],
    rows: Sequence[Row],
    *,
    pools: Iterable[Pool],
    sites: Sequence[Site],
    sip_domains: tuple[DnsName, ...],
) -> list[Row]:
    """Fill in blank cells that inherit a value from other rows, so that each row is complete.

    A cell without an inherited value stays blank, because its default is the same in every row.

    Parameters
    ----------
    columns : tuple of str
        m columns of a topology.
    rows : sequence of tuple of str
        n rows of m texts.
    pools, sites, sip_domains
        The pools, sites, and SIP domains in the same topology.

    Returns
    -------
    list of tuple of str
        n rows, from which lyncnb reads an equal topology.
    """
    scopes = [_map_column_scopes().get(name) for name in columns]
    names = list_pools_of_rows(columns, rows)
    by_pool: dict[str, dict[int, str]] = {}
    for name, row in zip(names, rows):
        shared = by_pool.setdefault(name, {})
        for index, text in enumerate(row):
            if text and scopes[index] == "pool":
                shared[index] = min(text, shared.get(index, text))
    site_of: dict[str, str] = {pool.fqdn: pool.site for pool in pools}
    for index, column in enumerate(columns):
        for name in by_pool if column in ("pool_fqdn", "site") else ():
            by_pool[name][index] = name if column == "pool_fqdn" else site_of.get(name, "")
    texts = _find_effective_texts(columns, rows, sites, sip_domains)
    filled = []
    for name, row in zip(names, rows):
        values = {**texts.get(site_of.get(name, ""), {}), **by_pool[name]}
        filled.append(tuple(text or values.get(index, "") for index, text in enumerate(row)))
    return filled


def _find_effective_texts(
    columns: tuple[str, ...],
    rows: Sequence[Row],
    sites: Sequence[Site],
    sip_domains: tuple[DnsName, ...],
) -> dict[str, dict[int, str]]:
    """Return the texts of site columns and deployment columns that apply to each site."""
    cells = select_shared_cells(columns, rows, Report(""))
    by_site: dict[str, dict[int, str]] = {site.name: {} for site in sites}
    for index, name in enumerate(columns):
        if _map_column_scopes().get(name) in _SHARED:
            text_of = {value: text for text, value in cells.values.get(name, {}).items()}
            for site in sites:
                value = sip_domains if name == "sip_domains" else getattr(site, name)
                by_site[site.name][index] = text_of.get(value, "")
    return by_site


def list_pools_of_rows(columns: Sequence[str], rows: Iterable[Row]) -> list[str]:
    """Return the name of each row's pool."""
    server = columns.index("server_fqdn")
    pool = columns.index("pool_fqdn") if "pool_fqdn" in columns else server
    return [row[pool] or row[server] for row in rows]


def find_remaining_sites(pools: Iterable[Pool], removed_rows: Set[int]) -> set[str]:
    """Return the sites of the pools that still have rows after an edit."""
    return {
        pool.site
        for pool in pools
        if any(computer.row not in removed_rows for computer in pool.computers)
    }


def move_pool(pool: Pool, new_indices: Mapping[int, int]) -> Pool:
    """Return a copy of a pool with new row indices. The index -1 means a removed row."""
    if all(new_indices.get(computer.row) == computer.row for computer in pool.computers):
        return pool
    computers = tuple(replace(c, row=new_indices.get(c.row, -1)) for c in pool.computers)
    return replace(pool, computers=computers)


def reuse_equal_objects(new_objects: Sequence[Same], old_objects: Iterable[Same]) -> list[Same]:
    """Replace each new object with an equal old object, so that caches can find it."""
    known = {_get_identity(item): item for item in old_objects}
    objects = []
    for item in new_objects:
        other = known.get(_get_identity(item))
        objects.append(
            other
            if other == item and _list_computer_rows(other) == _list_computer_rows(item)
            else item
        )
    return objects


def _get_identity(record: object) -> tuple[object, object]:
    return getattr(record, "fqdn", None), getattr(record, "role", getattr(record, "name", None))


def _list_computer_rows(record: object) -> list[int]:
    return [computer.row for computer in getattr(record, "computers", ())]


def list_server_rows(
    cells: Cells, other_pools: Iterable[Pool]
) -> Iterator[tuple[int, str, str, str]]:
    """Yield the row, name, role, and pool of the servers in the given rows and in other pools."""
    servers = cells.column("server_fqdn")
    seen = set(servers)
    for pool in other_pools:
        for computer in pool.computers:
            if computer.fqdn in seen:
                yield computer.row + 2, computer.fqdn, pool.role, pool.fqdn
    yield from zip(cells.rows, servers, cells.column("role"), list_pool_names(cells))


def move_shared_values(
    columns: Sequence[str], rows: list[Row], removed_rows: Collection[int]
) -> Set[int]:
    """If only removed rows contain a shared value, copy it to another row in its scope.

    Parameters
    ----------
    columns : sequence of str
        m names.
    rows : list of tuples
        n rows. A row that receives a value is replaced.
    removed_rows : collection of int
        The indices of the rows to be removed.

    Returns
    -------
    set of int
        The indices of the rows that received values.
    """
    heirs = set()
    for column in list_topology_columns():
        if column.scope == "server" or column.name not in columns:
            continue
        column_index = columns.index(column.name)
        for index in sorted(removed_rows):
            text = rows[index][column_index]
            scope = _find_scope_rows(columns, rows, index, column) if text else ()
            staying = [other for other in scope if other not in removed_rows]
            if staying and not any(rows[other][column_index] for other in staying):
                replace_texts(columns, rows, {staying[0]: {column.name: text}})
                heirs.add(staying[0])
    return heirs


def _find_scope_rows(
    columns: Sequence[str], rows: Sequence[Row], index: int, column: Column
) -> Sequence[int]:
    """Return the rows in which a column must have the same value as in the given row."""
    if column.scope == "pool":
        pools = list_pools_of_rows(columns, rows)
        return [p for p, pool in enumerate(pools) if pool == pools[index]]
    column_index = columns.index(column.name)
    if column.scope == "site" and len({row[column_index] for row in rows} - {""}) > 1:
        site = _get_site(columns, rows[index])
        return [p for p, row in enumerate(rows) if _get_site(columns, row) == site]
    return range(len(rows))


def _get_site(columns: Sequence[str], row: Row) -> str:
    return row[columns.index("site")] if "site" in columns else ""


def _map_column_scopes() -> dict[str, str]:
    return {column.name: column.scope for column in list_topology_columns()}
