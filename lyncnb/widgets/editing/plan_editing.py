"""Change a topology and its options by calls, save and replay: all of it without a browser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ...base.shown import tables
from ...base.shown.tables import count_of
from ...checks.mend_plan import mend_plan
from ...errors import LyncnbError
from ...plan.model import CertificatePlan
from ...plan.options import DEFAULT_OPTIONS, PlanOptions
from ...plan.planner import rules_for
from ...plan.totals import totals
from ...reports.compare import PlanDifference, compare_plans
from ...rules.findings import Findings
from ...rules.model import Rules
from ...topology.topology import Topology, read_topology
from . import edits
from .choices import (
    CHANGE_COLUMNS,
    Server,
    ServerEdits,
    change_rows,
    edits_between,
    option_changes,
    save_plan,
    saved_files,
    to_code,
)
from .draft import Draft, State
from .forms import SHOWN

# Tables that are read, and not written in place.
_NOT_WRITTEN = (".xlsx", ".xlsm", ".ods", ".tbxml", ".xml")


class PlanEditing(Draft):
    """A topology and options under change, with the plan that follows them.

    ``earlier`` is the editor whose edits could not be made again when the cell was run again.
    """

    def __init__(
        self,
        topology: Topology,
        rules: Rules | None = None,
        *,
        options: PlanOptions = DEFAULT_OPTIONS,
    ):
        super().__init__(topology, rules or rules_for(topology, options), options)
        self._saved = self.state
        #: The file of the table, "" where it was read from none and not saved yet.
        self.path = topology.path
        self.earlier: PlanEditing | None = None

    # -- what there is
    @property
    def saved(self) -> State:
        """The state that was saved last, or as loaded."""
        return self._saved

    @property
    def rules(self) -> Rules:
        """The rules of the product that the options name."""
        return self.live.rules

    @property
    def plan(self) -> CertificatePlan:
        """The plan of the topology and options as they are now."""
        return self.live.plan

    @property
    def loaded_plan(self) -> CertificatePlan:
        """The plan of the table and options as they were loaded."""
        return self.live.first

    @property
    def findings(self) -> Findings:
        """What the checks say of the plan as it is now."""
        return self.live.findings

    def changes(self) -> tables.DataFrame:
        """Give what changed against the loaded file, one row per cell or option, 4 columns."""
        return tables.to_frame(CHANGE_COLUMNS, change_rows(self.loaded, self.state))

    def effects(self) -> PlanDifference:
        """Compare the plan of the loaded file with the one in force: certificates and names."""
        return compare_plans(self.loaded_plan, self.plan)

    def code(self) -> str:
        """Give the Python that repeats every choice, for the cell that makes the editor."""
        return to_code(self.loaded, self.state)

    # -- changing
    def edit(
        self,
        *,
        change: Iterable[tuple[Iterable[Server], Mapping[str, str]]] = (),
        add: Iterable[Mapping[str, str]] = (),
        remove: Iterable[Server] = (),
    ) -> None:
        """Change, add and remove servers in one step.

        Parameters
        ----------
        change : iterable of (servers, values), optional
            Names of servers (with a role, ``("fe01.contoso.com", "FrontEnd")``, where a server
            has several rows) and, by column, the texts to put in their cells.
        add : iterable of mappings, optional
            For each new server its texts by column.
        remove : iterable of servers, optional
            Names as in `change`.

        Raises
        ------
        TopologyError
            If a server is not there, or the result is no topology; then nothing is changed.
        """
        changed = tuple(((s,) if isinstance(s, str) else tuple(s), dict(v)) for s, v in change)
        wanted = ServerEdits(change=changed, add=tuple(map(dict, add)), remove=tuple(remove))
        self.apply(edits.edit_table, edits=wanted, said="servers changed by a call")

    def change_options(self, **values: object) -> None:
        """Change options in one step.

        Parameters
        ----------
        **values
            Fields of ``PlanOptions``; texts will do, e.g. ``key="RSA 3072"`` or
            ``planned_issue_date="2026-01-31"``.

        Raises
        ------
        OptionsError
            If there is no such option, or it cannot have the value; then nothing is changed.
        """
        self.apply(edits.change_options, values=values)

    def accept(self, code: str, reason: str) -> None:
        """Accept the findings of a code, or no longer if the reason is blank.

        A reason for what was accepted until a day that has passed counts without an end.

        Raises
        ------
        OptionsError
            If there is no finding of that code, or no reason excuses it.
        """
        self.apply(edits.accept, code=code, reason=reason)

    def mend(self, *codes: str) -> Findings:
        """Mend what has one safe answer and brings no other finding, in one step.

        Parameters
        ----------
        *codes : str, optional
            The findings to mend, by their codes; left out, all.

        Returns
        -------
        Findings
            What is mended; nothing else changed.
        """
        mended, state = mend_plan(self.plan, codes=codes), self.state
        if mended.fixed:
            said = f"Mended: {', '.join(dict.fromkeys(one.code for one in mended.fixed))}"
            plan = mended.plan
            fixed = replace(state, topology=plan.topology, options=plan.options, said=said)
            self.apply(Draft.enter, fixed)
        return Findings(mended.fixed, mended.findings.judged_on)

    def undo(self) -> str:
        """Take the last change back and say which it was; "" if there is none."""
        return self.apply(edits.undo)

    def redo(self) -> str:
        """Make the change again that was taken back last; "" if there is none."""
        return self.apply(edits.redo)

    def reset(self) -> None:
        """Go back to the loaded file. This can be undone as well."""
        self.apply(edits.reset)

    def name_scenario(self, name: str) -> None:
        """Note as which scenario the state is kept."""
        super().name_scenario(name)
        self._tell(f"Kept as scenario {name}")

    def rename_scenario(self, name: str, new: str) -> None:
        """Note that a scenario is called otherwise; "" if it is no more."""
        super().rename_scenario(name, new)
        self._tell(f"Scenario {name} is called {new}" if new else f"Scenario {name} is removed")

    def open(self, table: str | Path) -> None:
        """Load another table with the options beside it, in place of this one and its edits.

        Parameters
        ----------
        table : path
            As for ``ln.read_topology``.

        Raises
        ------
        LyncnbError
            If it cannot be read or planned; then the editor stays as it is.
        """
        topology, options = read_topology(table), PlanOptions.beside(table)
        self.begin(topology, rules_for(topology, options), options)
        self._saved, self.path = self.state, topology.path
        self._tell("")

    def save(self, where: str | Path = "", *, overwrite: bool = False) -> tuple[Path, Path]:
        """Write the table and its options.

        Parameters
        ----------
        where : path, optional
            ``TABLE.csv``, whose options are then ``TABLE.plan.toml``; or a folder, which gets
            ``topology.csv`` and ``plan.toml`` and is made if it is not there. Left out, the file
            that was loaded or saved last.
        overwrite : bool, optional
            Replace a table, or choices, that were neither loaded nor saved here before.

        Returns
        -------
        tuple of Path
            The table, columns that lyncnb does not know included, and the options.

        Raises
        ------
        LyncnbError
            If other files are there, or the folder cannot be written; nothing is lost then.
        """
        where = Path(where or self.path or ".")
        if not self.path and where == Path("."):
            raise LyncnbError("this table has no file yet", hint="name one that ends in .csv")
        if where.suffix.lower() in _NOT_WRITTEN:
            raise LyncnbError(
                f"the plan editor writes tables as CSV, and {where.name} is not a CSV file",
                hint=f"save as {where.with_suffix('.csv')}; your file stays as it is",
            )
        known = (self.loaded, self._saved)
        save_plan(where, self.state, known=known, overwrite=overwrite)
        paths = saved_files(where)
        self._saved, self.path = self.state, str(paths[0])
        self._tell("")
        return paths

    @property
    def has_changes(self) -> bool:
        """Whether anything differs from what was loaded."""
        return not self.loaded.is_same(self.state)

    @property
    def is_saved(self) -> bool:
        """Whether nothing changed since loading or saving."""
        return self._saved.is_same(self.state)

    def take_over(self, earlier: PlanEditing) -> bool:
        """Make the changes of an earlier editor of the same source.

        Parameters
        ----------
        earlier : PlanEditing
            Its steps can be undone here, if it was made from the same table and options.

        Returns
        -------
        bool
            Whether table and options are those that it was made from.

        Raises
        ------
        LyncnbError
            If a change does not fit what was loaded now; then nothing is changed.
        """
        before, after = earlier.loaded, earlier.state
        if before.is_same(self.loaded):
            self.apply(Draft.adopt, earlier)
            self._saved = earlier._saved
            return True
        options = {
            name: getattr(after.options, name)
            for name in option_changes(before.options, after.options)
        }
        self.apply(edits.make_again, edits=edits_between(before, after), options=options)
        return False

    # -- showing
    def to_frame(self) -> tables.DataFrame:
        """Give the topology's table as it is now."""
        return self.topology.to_frame()

    def _repr_html_(self) -> str:
        found = self.findings
        counted = [finding for finding in found if self.live.is_open(finding)]
        accepted = len(found) - len(counted)
        words = totals(self.plan, counted)
        page = self.page(f"{words} {accepted:,} accepted." if accepted else words)
        return tables.marked(page, tables.PlanMark(self.live.sha256()))

    def page(self, summary: str) -> str:
        """Write a sentence, the servers, and what changed as HTML, 200 rows of each at most."""
        table, source = self.topology, self.topology.source
        columns = [name for name in SHOWN if name in table.columns]
        places = [table.columns.index(name) for name in columns]
        first = table.cells[: tables.ROWS_SHOWN]
        rows = [tuple(row[place] for place in places) for row in first]
        parts = [
            tables.paragraph(summary),
            tables.rows_to_html(columns, rows, caption=f"Servers of {source}"),
        ]
        if len(first) < len(table.cells):
            parts.append(tables.paragraph(tables.left_out(len(first), len(table.cells))))
        changed = change_rows(self.loaded, self.state)
        if changed:
            caption = f"{count_of(len(changed), 'change')} against {source}"
            parts.append(
                tables.rows_to_html(
                    CHANGE_COLUMNS, changed, caption=caption, limit=tables.ROWS_SHOWN
                )
            )
        return "\n".join(parts)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.topology.source!r}, "
            f"{count_of(len(self.topology.cells), 'row')}, "
            f"{count_of(len(self.plan.certificates), 'certificate')})"
        )
