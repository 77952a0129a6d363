"""Read a topology table as ``Topology``: sites, pools, computers, SIP domains, simple URLs.

``column_rules.toml`` defines the columns (scope, kind, default, aliases).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from ..base.dns_name import DnsName
from ..base.garbage_collection import no_collection
from ..base.pasted_text import shown
from ..base.shown.tables import ROWS_SHOWN, DataFrame, Table, count_of, rows_to_html, to_frame
from . import edits
from .cells import Cells, Report, read_cells
from .columns import topology_columns
from .compare_topologies import Side, TopologyDifference, compare_sides
from .csv_file import read_rows, write_csv
from .model import Computer, Pool, Site
from .pools import check_servers, derive_pools, derive_sip_domains, derive_sites, merged, pool_names
from .source_table import Note, Texts, make_table
from .source_table import Table as SourceTable
from .table_files import table_xlsx

_REMARKS_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Topology(Table):
    """A deployment: n computers in p pools over s SIP domains.

    ``columns`` and ``cells`` contain the cleaned table, with unknown columns and blank cells.
    ``pools`` are in the order (site, role, fqdn); planning uses only pools, sites and domains, so
    the order of rows has no effect. Two topologies are equal if these are equal. ``product`` is the
    product that a topology document names, else "". ``path`` is the file that was read, else "";
    ``scenario`` is the scenario that owns the table, "" for the plan itself.
    """

    source: str = field(compare=False)
    sip_domains: tuple[DnsName, ...]
    sites: tuple[Site, ...]
    pools: tuple[Pool, ...]
    notes: tuple[Note, ...] = field(default=(), compare=False)
    product: str = field(default="", compare=False)
    path: str = field(default="", compare=False)
    scenario: str = field(default="", compare=False)
    columns: tuple[str, ...] = field(default=(), compare=False)
    _cells: tuple[tuple[str, ...], ...] | Cells = field(default=(), compare=False)

    @property
    def cells(self) -> tuple[tuple[str, ...], ...]:
        """The n rows, created on first use because planning does not need them."""
        cells = self._cells
        if isinstance(cells, Cells):
            cells = cells.tuples()
            object.__setattr__(self, "_cells", cells)
        return cells

    @property
    def computers(self) -> Iterator[tuple[Pool, Computer]]:
        """Yield the computers with their pools, in the order of the pools."""
        return ((pool, computer) for pool in self.pools for computer in pool.computers)

    def compare(self, other: Topology) -> TopologyDifference:
        """Compare this topology with another one, value by value.

        Parameters
        ----------
        other : Topology
            For example the document of the existing deployment and a table.

        Returns
        -------
        TopologyDifference
            Servers, roles, pools and names that differ. A blank cell counts as the value that it
            means. Columns and partner roles that only one topology has are listed, but not
            compared.
        """
        return compare_sides(self._side(), other._side())

    def _side(self) -> Side:
        return Side(
            source=self.source,
            columns=self.columns,
            sip_domains=self.sip_domains,
            sites=self.sites,
            pools=self.pools,
        )

    def with_cells(self, changes: Mapping[int, Mapping[str, str]]) -> Topology:
        """Change cells, and derive only the affected pools again.

        Parameters
        ----------
        changes : mapping of int to mapping of str to str
            By index into ``cells``, the new text by column name; a column of ``column_rules.toml``
            that the table lacks is added.

        Returns
        -------
        Topology
            Unchanged pools and sites are the same objects as before.

        Raises
        ------
        TopologyError
            If a text is not valid in its column, or contradicts other rows.
        """
        columns, rows = edits.widened(self.columns, self.cells, changes.values(), self.source)
        edits.change(columns, rows, changes)
        touched = {name for texts in changes.values() for name in texts}
        return self._again(columns, rows, gone=set(changes), new=set(changes), touched=touched)

    def with_rows(
        self, *, add: Sequence[Mapping[str, str]] = (), remove: Collection[int] = ()
    ) -> Topology:
        """Add rows at the end and remove others.

        Parameters
        ----------
        add : sequence of mapping of str to str, optional
            For each new row its texts by column name.
        remove : collection of int, optional
            Indices into ``cells``. A value of a pool, site or the deployment that is only in a
            removed row moves to another of its rows.

        Returns
        -------
        Topology
            As for :meth:`with_cells`.

        Raises
        ------
        TopologyError
            As for :meth:`with_cells`, and if no row remains.
        """
        columns, rows = edits.widened(self.columns, self.cells, add, self.source)
        heirs = edits.hand_over(columns, rows, set(remove))
        old_places = [index for index in range(len(rows)) if index not in set(remove)]
        moved = {old: new for new, old in enumerate(old_places)}
        rows = [rows[old] for old in old_places]
        start = len(rows)
        rows += [("",) * len(columns)] * len(add)
        edits.change(columns, rows, dict(enumerate(add, start)))
        return self._again(
            columns,
            rows,
            gone={*remove, *heirs},
            new={*(moved[heir] for heir in heirs), *range(len(moved), len(rows))},
            touched=set(columns),
            moved=moved,
        )

    def with_headings(self, names: Mapping[str, str]) -> Topology:
        """Read columns under other names.

        Parameters
        ----------
        names : mapping of str to str
            By heading of ``columns``, the name of a column that the table lacks.

        Returns
        -------
        Topology
            With the same rows.

        Raises
        ------
        TopologyError
            If a text is not valid in its column, or the table already has the column.
        """
        columns = [names.get(heading, heading) for heading in self.columns]
        made = topology_of_rows(columns, self.cells, source=self.source)
        notes = (*self.notes, *made.notes)
        return replace(made, notes=notes, product=self.product, path=self.path)

    @no_collection()
    def _again(
        self,
        columns: tuple[str, ...],
        rows: list[tuple[str, ...]],
        *,
        gone: Set[int],
        new: Set[int],
        touched: Set[str],
        moved: Mapping[int, int] | None = None,
    ) -> Topology:
        """Derive the affected parts; ``gone`` has indices of old rows, ``new`` of ``rows``."""
        report = Report(self.source)
        # A document may contain single-label names; they stay until somebody corrects them.
        single = edits.has_single_label(self.columns, (self.cells[index] for index in gone))
        changed = edits.table(columns, rows, sorted(new), single_labels=single)
        fresh = read_cells(changed, report, sites=edits.sites_left(self.pools, gone))
        _require(fresh, report)
        report.raise_if_any()  # the rest needs complete rows
        for index, row in zip(sorted(new), fresh.tuples()):
            rows[index] = row
        names = {*edits.pools_of(self.columns, (self.cells[index] for index in gone))}
        names.update(pool_names(fresh))
        kept = [pool for pool in self.pools if pool.fqdn not in names]
        before = [pool for pool in self.pools if pool.fqdn in names]
        if moved is not None:
            kept = [edits.moved_pool(pool, moved) for pool in kept]
            before = [edits.moved_pool(pool, moved) for pool in before]
        members = {computer.row for pool in before for computer in pool.computers}
        places = sorted((members | new) - {-1})
        if len(places) == len(new):  # only rows of these pools, whose cells are already read
            cells = replace(fresh, indices=places)
        else:
            single = edits.has_single_label(columns, (rows[index] for index in places))
            whole = edits.table(columns, rows, places, single_labels=single)
            cells = read_cells(whole, Report(""), indices=places)
        pools = edits.same_objects(derive_pools(cells, report), before)
        if touched & {"server_fqdn", "role", "pool_fqdn"}:
            check_servers(edits.server_rows(cells, kept), report)
        if not rows:
            report.problem("no server remains", "a topology needs at least one row")
        kept = merged(kept, pools)
        sites, domains = self.sites, self.sip_domains
        if moved is not None or edits.is_beyond_pools(touched, cells, before, pools):
            shared = edits.shared_cells(columns, rows, Report(""))
            derived = derive_sites(shared, _site_of_row(shared, kept), report)
            sites = tuple(edits.same_objects(derived, self.sites))
            domains = derive_sip_domains(shared, report)
        report.raise_if_any()
        return replace(
            self,
            sip_domains=domains,
            sites=sites,
            pools=tuple(kept),
            notes=(*self.notes, *report.notes),
            columns=columns,
            _cells=tuple(rows),
        )

    def to_frame(self, *, filled: bool = True) -> DataFrame:
        """Return the table as a DataFrame of text, one row per server and role.

        Parameters
        ----------
        filled : bool, optional
            Whether each row contains the values of its pool, its site and the deployment, so that
            you can remove rows and lose none of these values. With False, blank cells stay blank.

        Returns
        -------
        DataFrame
            n rows with the table's columns. :func:`read_topology` reads it as an equal topology.
        """
        if not filled:
            return to_frame(self.columns, self.cells)
        rows = edits.fill_blanks(
            self.columns,
            self.cells,
            pools=self.pools,
            sites=self.sites,
            sip_domains=self.sip_domains,
        )
        return to_frame(self.columns, rows)

    def _headings(self) -> tuple[str, ...]:
        return self.columns

    def _rows(self) -> tuple[tuple[str, ...], ...]:
        return self.cells

    def to_csv(self) -> bytes:
        """Write the table as UTF-8 with BOM, which Excel opens directly."""
        return write_csv(self.columns, self.cells)

    def to_xlsx(self) -> bytes:
        """Write the table as a workbook to fill in, with drop-down lists and notes.

        Raises
        ------
        TopologyError
            If it does not fit into one: 1,048,576 rows, 32,767 characters in a cell.
        """
        return table_xlsx(self.columns, self.cells)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Notes about the file as a whole, e.g. what is hidden in it."""
        return tuple(note.message for note in self.notes if not note.row)

    def _summary(self) -> str:
        return (
            f"{self.source}: {count_of(len(self.cells), 'row')}, "
            f"{count_of(len(self.pools), 'pool')}, {count_of(len(self.sites), 'site')}, "
            f"SIP domains {', '.join(self.sip_domains)}"
        )

    def _repr_html_(self) -> str:
        return rows_to_html(
            self.columns,
            self.cells,
            caption=self._summary(),
            limit=ROWS_SHOWN,
            remarks=[f"Note: {remark}" for remark in self._note_lines()],
        )

    def __repr__(self) -> str:
        return "\n".join([self._summary(), *(f"  note: {remark}" for remark in self._note_lines())])

    @property
    def unread_columns(self) -> tuple[str, ...]:
        """The headings without a known column, which lyncnb keeps but does not use."""
        known = {column.name for column in topology_columns()}
        return tuple(heading for heading in self.columns if heading not in known)

    def _note_lines(self) -> list[str]:
        more = len(self.remarks) - _REMARKS_SHOWN
        rest = [f"and {more:,} more, in topology.remarks"] if more > 0 else []
        unread = ", ".join(map(shown, self.unread_columns))
        rest += [f"lyncnb does not read these columns: {unread}"] if unread else []
        return [*self.remarks[:_REMARKS_SHOWN], *rest]


def read_topology(source: str | os.PathLike[str] | bytes | DataFrame) -> Topology:
    """Read a topology table or workbook, or the document of Topology Builder.

    Parameters
    ----------
    source : path, bytes or DataFrame
        One row per server and role: UTF-8, UTF-16 or cp950 CSV, a workbook (``.xlsx``, ``.xlsm``
        or ``.ods``), or a DataFrame. Or Topology Builder's ``.tbxml``, or what ``Get-CsTopology
        -AsXml`` wrote. The content decides the format.

    Returns
    -------
    Topology
        n computers in p pools; ``notes`` lists clean-ups, omitted parts of a document, and missing
        facts.

    Raises
    ------
    TopologyError
        With every problem of the table at once, each with row, column, value and hint.
    """
    with no_collection():
        topology = _derived(read_rows(source))
    if isinstance(source, (str, os.PathLike)):
        return replace(topology, path=os.fspath(source))
    return topology


def topology_of_rows(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, source: str
) -> Topology:
    """Read the rows of a saved table: ``columns`` and ``cells`` of a topology.

    Parameters
    ----------
    columns : sequence of str
        m headings.
    rows : sequence of sequence of str
        n rows of m texts.
    source : str
        The file that contains them, for messages.

    Returns
    -------
    Topology
        Equal to the original, with the same columns and cells.

    Raises
    ------
    TopologyError
        As for :func:`read_topology`.
    """
    with no_collection():
        texts = [Texts.of(column) for column in zip(*rows, strict=True)]
        texts = texts or [Texts.of(()) for _ in columns]
        numbers = range(2, len(rows) + 2)
        return _derived(make_table(source, columns, texts, numbers, single_labels=True))


def _derived(table: SourceTable) -> Topology:
    report = Report(table.source, problems=[*table.problems], notes=[*table.notes], table=table)
    cells = read_cells(table, report)
    _require(cells, report)
    pools = derive_pools(cells, report)
    servers = cells.column("server_fqdn")
    # Different texts that needed no clean-up are different names.
    written = table.texts[table.columns.index("server_fqdn")].distinct
    if len(written) < len(servers) or report.notes or report.problems:
        check_servers(zip(cells.rows, servers, cells.column("role"), pool_names(cells)), report)
    sites = derive_sites(cells, _site_of_row(cells, pools), report)
    domains = derive_sip_domains(cells, report)
    report.raise_if_any()
    return Topology(
        source=table.source,
        sip_domains=domains,
        sites=sites,
        pools=tuple(pools),
        notes=tuple(report.notes),
        product=table.product,
        columns=table.columns,
        _cells=cells,
    )


def _require(cells: Cells, report: Report) -> None:
    """Report rows without a server or a role, unless their text is already reported as invalid."""
    for column in topology_columns():
        texts = cells.column(column.name) if column.required else ()
        if all(texts):
            continue
        reported = {problem.row for problem in report.problems if problem.column == column.name}
        for row, text in zip(cells.rows, texts):
            if not text and row not in reported:
                report.problem(f"{column.name} is blank", column.help, row=row, column=column.name)


def _site_of_row(cells: Cells, pools: Sequence[Pool]) -> list[str]:
    sites = cells.column("site")
    if all(sites) or not any(sites):
        return sites
    site_of_pool: dict[str, str] = {pool.fqdn: pool.site for pool in pools}
    return [site or site_of_pool.get(pool, "") for site, pool in zip(sites, pool_names(cells))]
