"""Read a topology table as a ``Topology``: sites, pools, servers, SIP domains, and simple URLs.

``column_rules.toml`` defines the columns, with their scopes, types, defaults, and aliases.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from ..base.dns_name import DnsName
from ..base.garbage_collection import pause_garbage_collection
from ..base.pasted_text import shown
from ..base.shown.frames import DataFrame
from ..base.shown.tables import ROWS_SHOWN, Table, format_count, rows_to_html, to_frame
from ..errors import Problem, TopologyError
from . import edits
from .cell_fixes import CellFixes, adapt_hints, list_cell_fixes, suggest_columns
from .cells import Cells, Report, read_cells
from .columns import list_topology_columns
from .compare_topologies import Side, TopologyDifference, compare_sides
from .csv_file import TableSource, read_rows, write_csv
from .encodings import Reading, get_chosen_encoding
from .model import Computer, Pool, Site
from .pools import (
    check_servers,
    derive_pools,
    derive_sip_domains,
    derive_sites,
    list_pool_names,
    merge_pools,
)
from .rejected_cells import (
    RejectedCell,
    blank_cells,
    include_long_rows,
    list_uncertain_cells,
    move_cells,
    reject_cells,
    restore_texts,
)
from .source_table import Note, Texts, build_table, raise_problems
from .source_table import Table as SourceTable
from .table_files import write_table_xlsx

_REMARKS_SHOWN = 10
_NO_SERVERS = "the topology would have no servers"
_CORRECT_IT = (
    "to correct the cells in a grid, open the table in the plan editor: ln.PlanEditor(FILE). To "
    "make the safe corrections, run lyncnb check FILE --fix"
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Topology(Table):
    """A deployment of Lync Server or Skype for Business Server: its servers, pools and SIP domains.

    ``columns`` and ``cells`` contain the corrected table, including unknown columns and blank
    cells.
    ``pools`` are sorted by site, role, and name. Planning uses only pools, sites, and domains, so
    the
    order of rows does not matter, and topologies are equal if these values are equal. ``product``
    is
    the product in a topology document, or "". ``path`` is the file that was read, or "".
    ``scenario`` is the scenario that contains the table, or "" for the plan itself. ``rejected``
    has the cells whose text cannot be used, if :func:`open_topology` read the table. They are blank
    in ``cells``, and a row without a server or role is in no pool. ``readings`` has the encodings
    that a file without Unicode can have.
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
    rejected: tuple[RejectedCell, ...] = field(default=(), compare=False)
    readings: tuple[Reading, ...] = field(default=(), compare=False)

    @property
    def encoding(self) -> str:
        """The encoding of a file that is neither UTF-8 nor UTF-16, or ""."""
        return get_chosen_encoding(self.readings)

    @property
    def texts(self) -> tuple[tuple[str, ...], ...]:
        """The texts of all cells, with the texts of the rejected cells."""
        cells, rejected = self.cells, self.rejected
        return tuple(restore_texts(self.columns, cells, rejected)) if rejected else cells

    @property
    def left_out(self) -> tuple[int, ...]:
        """The indices of the rows that are in no pool, because their server or role is rejected."""
        required = {column.name for column in list_topology_columns() if column.required}
        return tuple(sorted({cell.row for cell in self.rejected if cell.column in required}))

    def describe_rejected(self) -> str:
        """Return how many cells are rejected and how many rows are left out, or ""."""
        if not self.rejected:
            return ""
        rows = format_count(len(self.left_out), "row")
        left_out = f" The plan leaves out {rows}." if self.left_out else ""
        is_one = len(self.rejected) == 1
        cells = format_count(len(self.rejected), "rejected cell")
        return f"{cells} {'is' if is_one else 'are'} not in the plan.{left_out}"

    def reject_incomplete(self) -> None:
        """Raise an error if the table has rejected cells, because its plan is not complete."""
        if self.rejected:
            cells = format_count(len(self.rejected), "rejected cell")
            raise TopologyError(
                f"{self.source} has {cells}, so lyncnb cannot write its plan",
                problems=tuple(cell.problem for cell in self.rejected),
                hint="correct the red cells in the plan editor, ln.PlanEditor(FILE)",
            )

    def list_cell_fixes(self) -> dict[tuple[int, str], CellFixes]:
        """Return the texts that lyncnb proposes for rejected cells, by row index and column."""
        return list_cell_fixes(self.columns, self.cells, self.rejected)

    def suggest_columns(self) -> dict[str, str]:
        """Return the known columns that unknown headings could mean, by heading."""
        return dict(suggest_columns(self.columns, self.cells))

    @property
    def incomplete_names(self) -> frozenset[str]:
        """The servers and pools in rows with rejected cells. lyncnb cannot evaluate them yet."""
        rows = {cell.row for cell in self.rejected}
        indices = [self.columns.index(n) for n in edits.NAMED_BY if n in self.columns and rows]
        return frozenset(str(self.cells[row][index]) for row in rows for index in indices) - {""}

    @property
    def cells(self) -> tuple[tuple[str, ...], ...]:
        """The texts of all cells, as one tuple for each row.

        They are created on first use, because planning does not need them.
        """
        cells = self._cells
        if isinstance(cells, Cells):
            cells = cells.list_rows()
            object.__setattr__(self, "_cells", cells)
        return cells

    @property
    def computers(self) -> Iterator[tuple[Pool, Computer]]:
        """Yield each server with its pool, in the order of the pools."""
        return ((pool, computer) for pool in self.pools for computer in pool.computers)

    def compare(self, other: Topology) -> TopologyDifference:
        """Compare the values in one topology with the values in another topology.

        Parameters
        ----------
        other : Topology
            The other topology, such as the document of the existing deployment.

        Returns
        -------
        TopologyDifference
            The servers, roles, pools, and names that differ. A blank cell is compared as its
            default
            value. Columns and partner roles that only one topology has are listed, but not
            compared.
        """
        return compare_sides(self._build_comparison_side(), other._build_comparison_side())

    def _build_comparison_side(self) -> Side:
        return Side(
            source=self.source,
            columns=self.columns,
            sip_domains=self.sip_domains,
            sites=self.sites,
            pools=self.pools,
        )

    def with_cells(self, changes: Mapping[int, Mapping[str, str]]) -> Topology:
        """Return a topology with changed cells. Only the affected pools are created again.

        Parameters
        ----------
        changes : mapping of int to mapping of str to str
            For each index in ``cells``, the new text by column name. If the table does not have a
            column
            in ``column_rules.toml``, the column is added.

        Returns
        -------
        Topology
            The changed topology. Unchanged pools and sites are the same objects as before.

        Raises
        ------
        TopologyError
            If a text is not valid in its column, or contradicts other rows.
        """
        columns, rows = edits.add_needed_columns(
            self.columns, self.texts, changes.values(), self.source
        )
        edits.replace_texts(columns, rows, changes)
        if self.rejected:
            places = {(index, name) for index, texts in changes.items() for name in texts}
            return self._open_again(columns, rows, self.rejected, changed=places)
        touched = {name for texts in changes.values() for name in texts}
        return self._update_parts(
            columns,
            rows,
            removed_indices=set(changes),
            added_indices=set(changes),
            changed_columns=touched,
        )

    def with_rows(
        self, *, add: Sequence[Mapping[str, str]] = (), remove: Collection[int] = ()
    ) -> Topology:
        """Return a topology with new rows at the end and without the removed rows.

        Parameters
        ----------
        add : sequence of mapping of str to str, optional
            For each new row, the texts by column name.
        remove : collection of int, optional
            Indices in ``cells``. If a value for a pool, a site, or the deployment is only in a
            removed
            row, it is moved to another row.

        Returns
        -------
        Topology
            As for :meth:`with_cells`.

        Raises
        ------
        TopologyError
            As for :meth:`with_cells`, and if no row would remain.
        """
        columns, rows = edits.add_needed_columns(self.columns, self.texts, add, self.source)
        heirs = edits.move_shared_values(columns, rows, set(remove))
        old_places = [index for index in range(len(rows)) if index not in set(remove)]
        moved = {old: new for new, old in enumerate(old_places)}
        rows = [rows[old] for old in old_places]
        start = len(rows)
        rows += [("",) * len(columns)] * len(add)
        edits.replace_texts(columns, rows, dict(enumerate(add, start)))
        if self.rejected:
            names = ("server_fqdn", "role")
            new = enumerate(add, start)
            places = {(index, name) for index, texts in new for name in (*texts, *names)}
            rejected = move_cells(self.rejected, moved)
            return self._open_again(columns, rows, rejected, changed=places)
        return self._update_parts(
            columns,
            rows,
            removed_indices={*remove, *heirs},
            added_indices={*(moved[heir] for heir in heirs), *range(len(moved), len(rows))},
            changed_columns=set(columns),
            new_indices=moved,
        )

    def with_order(self, order: Sequence[int]) -> Topology:
        """Return a topology with the rows in another order.

        Parameters
        ----------
        order : sequence of int
            The n indices in ``cells``, in the new order.

        Returns
        -------
        Topology
            The same servers, pools and sites.
        """
        moved = {old: new for new, old in enumerate(order)}
        pools = tuple(edits.move_pool(pool, moved) for pool in self.pools)
        rows = tuple(self.cells[old] for old in order)
        return replace(self, pools=pools, _cells=rows, rejected=move_cells(self.rejected, moved))

    def with_headings(self, names: Mapping[str, str], *, keeps_rejected: bool = False) -> Topology:
        """Return a topology in which headings are assigned to columns.

        Parameters
        ----------
        names : mapping of str to str
            For each heading in ``columns``, the name of a column that the table does not have.
        keeps_rejected : bool, optional
            Whether texts that are not valid in their new column are rejected cells, not an error.

        Returns
        -------
        Topology
            A topology with the same rows.

        Raises
        ------
        TopologyError
            If a text is not valid in its column, or the table already has the column.
        """
        if self.rejected or keeps_rejected:
            # The table can have a blank column instead of the one that the heading names.
            kept = [n for n, heading in enumerate(self.columns) if heading not in names.values()]
            columns = [names.get(self.columns[n], self.columns[n]) for n in kept]
            rows = [tuple(row[n] for n in kept) for row in self.texts]
            return self._open_again(columns, rows, self.rejected)
        columns = [names.get(heading, heading) for heading in self.columns]
        topology = build_topology_from_rows(columns, self.cells, source=self.source)
        notes = (*self.notes, *topology.notes)
        return replace(
            topology, notes=notes, product=self.product, path=self.path, readings=self.readings
        )

    def _open_again(
        self,
        columns: Sequence[str],
        rows: Sequence[tuple[str, ...]],
        rejected: Iterable[RejectedCell],
        *,
        changed: Set[tuple[int, str]] = frozenset(),
    ) -> Topology:
        """Read an edited table with rejected cells again. No changed cell may be rejected."""
        if not rows:
            raise_problems(self.source, [Problem(message=_NO_SERVERS, hint="keep one server")])
        single = edits.has_single_label(self.columns, self.cells)
        table = edits.build_table(tuple(columns), rows, range(len(rows)), single_labels=single)
        kept = [c for c in rejected if c.is_of_file and c.place not in changed]
        with pause_garbage_collection():
            topology = _open_table(replace(table, source=self.source), kept)
        refused = [cell.problem for cell in topology.rejected if cell.place in changed]
        if refused:
            raise_problems(self.source, refused)
        return replace(
            topology,
            sites=tuple(edits.reuse_equal_objects(topology.sites, self.sites)),
            pools=tuple(edits.reuse_equal_objects(topology.pools, self.pools)),
            notes=tuple(dict.fromkeys((*self.notes, *topology.notes))),
            product=self.product,
            path=self.path,
            scenario=self.scenario,
            readings=self.readings,
        )

    @pause_garbage_collection()
    def _update_parts(
        self,
        columns: tuple[str, ...],
        rows: list[tuple[str, ...]],
        *,
        removed_indices: Set[int],
        added_indices: Set[int],
        changed_columns: Set[str],
        new_indices: Mapping[int, int] | None = None,
    ) -> Topology:
        """Recreate the pools and sites that an edit affects."""
        report = Report(self.source)
        # In a topology document, a name may have no domain. The user adds the domain later.
        removed_rows = [self.cells[index] for index in removed_indices]
        single = edits.has_single_label(self.columns, removed_rows)
        changed = edits.build_table(columns, rows, sorted(added_indices), single_labels=single)
        fresh = read_cells(
            changed, report, sites=edits.find_remaining_sites(self.pools, removed_indices)
        )
        _report_missing_names(fresh, report)
        report.raise_any_problems()  # All further steps need complete rows.
        for index, row in zip(sorted(added_indices), fresh.list_rows()):
            rows[index] = row
        names = {*edits.list_pools_of_rows(self.columns, removed_rows), *list_pool_names(fresh)}
        remaining_pools = [pool for pool in self.pools if pool.fqdn not in names]
        before = [pool for pool in self.pools if pool.fqdn in names]
        if new_indices is not None:
            remaining_pools = [edits.move_pool(pool, new_indices) for pool in remaining_pools]
            before = [edits.move_pool(pool, new_indices) for pool in before]
        members = {computer.row for pool in before for computer in pool.computers}
        affected = sorted((members | added_indices) - {-1})
        # Convert only the rows of the affected pools. The cells of new rows are already available.
        if len(affected) == len(added_indices):
            cells = replace(fresh, indices=affected)
        else:
            single = edits.has_single_label(columns, (rows[index] for index in affected))
            affected_table = edits.build_table(columns, rows, affected, single_labels=single)
            cells = read_cells(affected_table, Report(""), row_indices=affected)
        pools = edits.reuse_equal_objects(derive_pools(cells, report), before)
        if changed_columns & {"server_fqdn", "role", "pool_fqdn"}:
            check_servers(edits.list_server_rows(cells, remaining_pools), report)
        if not rows:
            report.problem(_NO_SERVERS, "keep at least one server")
        remaining_pools = merge_pools(remaining_pools, pools)
        sites, domains = self.sites, self.sip_domains
        if new_indices is not None or edits.is_shared_change(changed_columns, cells, before, pools):
            shared = edits.select_shared_cells(columns, rows, Report(""))
            derived = derive_sites(shared, _find_row_sites(shared, remaining_pools), report)
            sites = tuple(edits.reuse_equal_objects(derived, self.sites))
            domains = derive_sip_domains(shared, report)
        report.raise_any_problems()
        return replace(
            self,
            sip_domains=domains,
            sites=sites,
            pools=tuple(remaining_pools),
            notes=(*self.notes, *report.notes),
            columns=columns,
            _cells=tuple(rows),
        )

    def to_frame(self, *, filled: bool = True) -> DataFrame:
        """Return the table as a DataFrame of text, with one row for each server and role.

        Parameters
        ----------
        filled : bool, optional
            Whether each row contains the values of its pool, its site, and the deployment, so that
            no
            value is lost if you remove rows. If False, blank cells stay blank.

        Returns
        -------
        DataFrame
            n rows with the columns of the table, all text. :func:`read_topology` returns an equal
            topology. docs/table-of-servers.md in the source describes the columns.
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

    def _list_headings(self) -> tuple[str, ...]:
        return self.columns

    def _list_rows(self) -> tuple[tuple[str, ...], ...]:
        return self.cells

    def to_csv(self) -> bytes:
        """Return the table as CSV (UTF-8 with BOM), which Excel can open directly."""
        return write_csv(self.columns, self.texts)

    def to_xlsx(self) -> bytes:
        """Return the table as a workbook with drop-down lists and comments.

        Raises
        ------
        TopologyError
            If the table has more than 1,048,576 rows, or a cell has more than 32,767 characters.
        """
        return write_table_xlsx(self.columns, self.texts)

    @property
    def remarks(self) -> tuple[str, ...]:
        """The notes about the complete file, such as a note about hidden rows."""
        return tuple(note.message for note in self.notes if not note.row)

    def _summarize(self) -> str:
        # A pool without a site, such as a reverse proxy, serves all sites.
        site_count = sum(bool(site.name) for site in self.sites) or 1
        return (
            f"{self.source}: {format_count(len(self.cells), 'row')}, "
            f"{format_count(len(self.pools), 'pool')}, {format_count(site_count, 'site')}, "
            f"SIP domains {', '.join(self.sip_domains)}"
        )

    def _repr_html_(self) -> str:
        return rows_to_html(
            self.columns,
            self.cells,
            caption=self._summarize(),
            limit=ROWS_SHOWN,
            remarks=[f"Note: {remark}" for remark in self._list_note_lines()],
        )

    def __repr__(self) -> str:
        return "\n".join(
            [self._summarize(), *(f"  note: {remark}" for remark in self._list_note_lines())]
        )

    @property
    def unread_columns(self) -> tuple[str, ...]:
        """The headings of the columns that lyncnb keeps but does not use."""
        known = {column.name for column in list_topology_columns()}
        return tuple(heading for heading in self.columns if heading not in known)

    def _list_note_lines(self) -> list[str]:
        hidden_count = len(self.remarks) - _REMARKS_SHOWN
        extra_lines = (
            [f"topology.remarks contains {hidden_count:,} more notes"] if hidden_count > 0 else []
        )
        unread = ", ".join(map(shown, self.unread_columns))
        extra_lines += [f"lyncnb does not read these columns: {unread}"] if unread else []
        return [*self.remarks[:_REMARKS_SHOWN], *extra_lines]


def read_topology(source: TableSource, *, encoding: str = "") -> Topology:
    """Read a topology table, a workbook, or a document from Topology Builder.

    Parameters
    ----------
    source : path, bytes or DataFrame
        A row for each server and role: CSV, a workbook (``.xlsx``, ``.xlsm``, or ``.ods``), or a
        DataFrame of pandas, polars, or any library whose tables have ``to_pandas``. Also a
        ``.tbxml`` file from Topology Builder, or the output of ``Get-CsTopology -AsXml``. lyncnb
        detects the format from the content.
    encoding : str, optional
        The encoding of a CSV file that is neither UTF-8 nor UTF-16: ``cp950``, ``gb18030``, or
        ``cp1252``. By default, lyncnb compares these encodings, and uses one only if it is certain.

    Returns
    -------
    Topology
        n servers in p pools. ``notes`` lists corrections, omitted parts of a document, and missing
        facts.

    Raises
    ------
    TopologyError
        If the table has problems. The error lists each problem with row, column, value, and hint.
    """
    return _read_source(source, _read_table, encoding)


def open_topology(source: TableSource, *, encoding: str = "") -> Topology:
    """Read a table for an editor, also if texts in it cannot be used.

    Parameters
    ----------
    source : path, bytes or DataFrame
        As for :func:`read_topology`.
    encoding : str, optional
        As for :func:`read_topology`. If no encoding is certain, the cells whose text depends on it
        are rejected.

    Returns
    -------
    Topology
        All n rows. ``rejected`` has the cells whose text cannot be used, with the reasons. Without
        such cells, the result is the same as from :func:`read_topology`.

    Raises
    ------
    TopologyError
        If the source contains no table with servers.
    """
    return _read_source(source, lambda table: _open_table(include_long_rows(table)), encoding)


def _read_source(
    source: TableSource, read: Callable[[SourceTable], Topology], encoding: str
) -> Topology:
    with pause_garbage_collection():
        topology = read(read_rows(source, encoding))
    if isinstance(source, (str, os.PathLike)):
        return replace(topology, path=os.fspath(source))
    return topology


def build_topology_from_rows(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, source: str
) -> Topology:
    """Return the topology for the rows of a saved table.

    Parameters
    ----------
    columns : sequence of str
        m headings.
    rows : sequence of sequence of str
        n rows of m texts.
    source : str
        The file that contains the rows, for messages.

    Returns
    -------
    Topology
        A topology that is equal to the original, with the same columns and cells.

    Raises
    ------
    TopologyError
        As for :func:`read_topology`.
    """
    with pause_garbage_collection():
        texts = [Texts.from_cells(column) for column in zip(*rows, strict=True)]
        texts = texts or [Texts.from_cells(()) for _ in columns]
        numbers = range(2, len(rows) + 2)
        return _read_table(build_table(source, columns, texts, numbers, single_labels=True))


def _read_table(table: SourceTable) -> Topology:
    if table.heading_problems:
        all_problems = [*table.heading_problems, *table.problems]
        raise_problems(table.source, all_problems, hint=_CORRECT_IT)
    topology, problems = _derive_topology(table)
    if problems:
        raise_problems(table.source, problems, hint=_CORRECT_IT)
    return topology


def _open_table(table: SourceTable, rejected: Iterable[RejectedCell] = ()) -> Topology:
    """Blank the cells that problems name until the other cells have no problem."""
    cells = {cell.place: cell for cell in rejected}
    of_file = reject_cells(table, [*table.problems, *list_uncertain_cells(table)], cells)
    cells |= {cell.place: replace(cell, is_of_file=True) for cell in of_file}
    table = replace(blank_cells(table, cells.values()), problems=()) if cells else table
    while True:
        topology, problems = _derive_topology(table)
        new = reject_cells(table, problems, cells)
        if not new:
            return replace(topology, rejected=tuple(sorted(cells.values(), key=_get_place)))
        cells |= {cell.place: cell for cell in new}
        table = blank_cells(table, new)


def _get_place(cell: RejectedCell) -> tuple[int, str]:
    return cell.place


def _derive_topology(table: SourceTable) -> tuple[Topology, Sequence[Problem]]:
    """Return the topology of the cells without problems, and the problems of the others."""
    report = Report(table.source, problems=[*table.problems], notes=[*table.notes], table=table)
    cells = read_cells(table, report)
    _report_missing_names(cells, report)
    pools = derive_pools(cells, report)
    servers = cells.column("server_fqdn")
    # If no cell was corrected and all server names are different, no server appears twice.
    server_names = table.texts[table.columns.index("server_fqdn")].distinct
    if len(server_names) < len(servers) or report.notes or report.problems:
        check_servers(
            zip(cells.rows, servers, cells.column("role"), list_pool_names(cells)), report
        )
    sites = derive_sites(cells, _find_row_sites(cells, pools), report)
    domains = derive_sip_domains(cells, report)
    topology = Topology(
        source=table.source,
        sip_domains=domains,
        sites=sites,
        pools=tuple(pools),
        notes=tuple(report.notes),
        product=table.product,
        columns=table.columns,
        _cells=cells,
        readings=table.readings,
    )
    return topology, adapt_hints(report.problems, table)


def _report_missing_names(cells: Cells, report: Report) -> None:
    """Report each row without a server or role, unless another problem is reported for the cell."""
    for column in list_topology_columns():
        texts = cells.column(column.name) if column.required else ()
        if all(texts):
            continue
        reported = {problem.row for problem in report.problems if problem.column == column.name}
        for row, text in zip(cells.rows, texts):
            if not text and row not in reported:
                report.problem(f"{column.name} is blank", column.help, row=row, column=column.name)


def _find_row_sites(cells: Cells, pools: Sequence[Pool]) -> list[str]:
    sites = cells.column("site")
    if all(sites) or not any(sites):
        return sites
    site_of_pool: dict[str, str] = {pool.fqdn: pool.site for pool in pools}
    return [site or site_of_pool.get(pool, "") for site, pool in zip(sites, list_pool_names(cells))]
