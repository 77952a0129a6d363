"""Change a topology and its options in Python, save the changes, and repeat them later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...base.disk.file_names import is_same_path
from ...base.shown import frames, tables
from ...base.shown.tables import format_count
from ...checks.fix_plan import apply_edits, fix_plan
from ...errors import LyncnbError, OptionsError
from ...plan.model import CertificatePlan
from ...plan.options import DEFAULT_OPTIONS, PlanOptions
from ...plan.planner import load_rules_for
from ...plan.totals import format_totals
from ...reports.compare import PlanDifference, compare_plans
from ...rules.findings import Findings
from ...rules.model import Rules
from ...topology.csv_file import TableSource
from ...topology.table_files import choose_new_workbook
from ...topology.topology import Topology, open_topology
from . import edits
from .choices import (
    CHANGE_COLUMNS,
    Server,
    ServerEdits,
    build_code,
    choose_save_paths,
    find_edits,
    find_option_changes,
    is_own_workbook,
    list_change_rows,
    save_plan,
)
from .draft import Draft, State
from .forms import SHOWN


class PlanEditing(Draft):
    """A topology and its options that you can edit in Python, with the resulting plan.

    When a cell runs again, ``earlier`` is the editor whose edits could not be repeated.
    """

    def __init__(
        self,
        topology: Topology | TableSource,
        rules: Rules | None = None,
        *,
        options: PlanOptions = DEFAULT_OPTIONS,
        encoding: str = "",
    ):
        if not isinstance(topology, Topology):
            topology = open_topology(topology, encoding=encoding)
        super().__init__(topology, rules or load_rules_for(topology, options), options)
        self._saved = self.state
        #: The path of the table, or "" if the table is not saved in a file yet.
        self.path = topology.path
        self.earlier: PlanEditing | None = None

    # -- The following properties return current values.
    @property
    def saved(self) -> State:
        """The table and the options as last saved, or as loaded if they were not saved."""
        return self._saved

    @property
    def rules(self) -> Rules:
        """The rules for the product that the options specify."""
        return self.live.rules

    @property
    def plan(self) -> CertificatePlan:
        """The plan of the current topology and options."""
        return self.live.plan

    @property
    def loaded_plan(self) -> CertificatePlan:
        """The plan of the loaded table and options."""
        return self.live.first_plan

    @property
    def findings(self) -> Findings:
        """The findings for the current plan."""
        return self.live.findings

    @tables.document_columns(tables.columns(*zip(CHANGE_COLUMNS, range(4))))
    def changes(self) -> frames.DataFrame:
        """Return the changes since the file was loaded, with one row for each cell or option."""
        return tables.to_frame(CHANGE_COLUMNS, list_change_rows(self.loaded, self.state))

    def effects(self) -> PlanDifference:
        """Return the differences between the plan of the loaded file and the current plan."""
        return compare_plans(self.loaded_plan, self.plan)

    def code(self) -> str:
        """Return Python code that recreates the editor with all current choices.

        The code reads the table that was last loaded or saved, and repeats the later edits.
        """
        return build_code(self._saved, self.state, self.rules)

    # -- The following methods change the table and the options.
    def edit(
        self,
        *,
        change: Iterable[tuple[Iterable[Server], Mapping[str, str]]] = (),
        add: Iterable[Mapping[str, str]] = (),
        remove: str | Iterable[Server] = (),
    ) -> None:
        """Change, add and remove servers in the table, in one step.

        Parameters
        ----------
        change : iterable of (servers, values), optional
            Names of servers, and the new texts of their cells by column. If a server has several
            rows, add the role: ``("fe01.contoso.com", "FrontEnd")``.
        add : iterable of mappings, optional
            The texts of each new server, by column.
        remove : server or iterable of servers, optional
            Names of servers, in the same form as in `change`.

        Raises
        ------
        TopologyError
            If a server does not exist, a column is misspelled, or the result is not valid. Then
            nothing changes.
        """
        changed = tuple(((s,) if isinstance(s, str) else tuple(s), dict(v)) for s, v in change)
        removed = (remove,) if isinstance(remove, str) else tuple(remove)
        server_edits = ServerEdits(change=changed, add=tuple(map(dict, add)), remove=removed)
        edits.reject_misspelled_columns(self.topology, server_edits)
        self.apply(
            edits.edit_table, edits=server_edits, description="changed servers with Python code"
        )

    def change_options(self, **values: object) -> None:
        """Change one or more options of the plan in one step.

        Parameters
        ----------
        **values
            Fields in ``PlanOptions``. A value can also be a text, such as ``key="RSA 3072"`` or
            ``planned_issue_date="2026-01-31"``.

        Raises
        ------
        OptionsError
            If the option does not exist or the value is not valid. Then nothing changes.
        """
        self.apply(edits.change_options, values=values)

    def accept(self, code: str, reason: str) -> None:
        """Accept all findings that have this code. A blank reason withdraws the acceptance.

        If an earlier acceptance has expired, the new acceptance has no end date.

        Raises
        ------
        OptionsError
            If the code does not exist, or its findings cannot be accepted.
        """
        self.apply(edits.accept_findings, code=code, reason=reason)

    def apply_fixes(self, *codes: str) -> Findings:
        """Apply the fixes of all findings that have exactly one safe fix, in one step.

        A fix causes only findings that are less severe than the one that it resolves.

        Parameters
        ----------
        *codes : str, optional
            The codes of the findings to fix. The default is all findings.

        Returns
        -------
        Findings
            The resolved findings.
        """
        fixed_plan = fix_plan(self.plan, codes=codes)
        if fixed_plan.fixed:
            self._apply_fixed_plan(fixed_plan.plan, [finding.code for finding in fixed_plan.fixed])
        return Findings(fixed_plan.fixed, fixed_plan.findings.judged_on)

    def choose(self, code: str, subject: str, answer: int) -> None:
        """Apply one of the alternative fixes for a finding as a single step.

        `answer` is the index of the fix in ``choices``.
        """
        findings = (f for f in self.findings if (f.code, f.about) == (code, subject))
        answers = [choice for finding in findings for choice in finding.choices]
        if answer not in range(len(answers)):
            raise OptionsError(
                f"the finding {code} for {subject} no longer has this fix",
                hint="choose one of the fixes in the current list of findings",
            )
        self._apply_fixed_plan(apply_edits(self.plan, answers[answer]), [code])

    def _apply_fixed_plan(self, plan: CertificatePlan, codes: Iterable[str]) -> None:
        description = f"Fixed: {', '.join(dict.fromkeys(codes))}"
        fixed = replace(self.state, topology=plan.topology, options=plan.options, said=description)
        self.apply(Draft.enter_state, fixed)

    def undo(self) -> str:
        """Undo the last change and return its description, or "" if there is none."""
        return self.apply(edits.undo)

    def redo(self) -> str:
        """Redo the last undone change and return its description, or "" if there is none."""
        return self.apply(edits.redo)

    def reset(self) -> None:
        """Restore the table and options as they were loaded. You can undo this step."""
        self.apply(edits.reset_draft)

    def name_scenario(self, name: str) -> None:
        """Set the name of the scenario in the editor."""
        super().name_scenario(name)
        self._notify_followers(f"Kept the scenario “{name}”")

    def rename_scenario(self, name: str, new: str) -> None:
        """Rename a scenario in all states of the editor.

        With a blank new name, the states have none.
        """
        super().rename_scenario(name, new)
        self._notify_followers(
            f"Renamed the scenario “{name}” to “{new}”" if new else f"Removed the scenario “{name}”"
        )

    def open(self, table: str | Path, *, encoding: str = "") -> None:
        """Load another table and its options file. The current table and its edits are closed.

        Parameters
        ----------
        table : path
            The table, as for ``ln.read_topology``.
        encoding : str, optional
            The encoding of the table, as for ``ln.read_topology``.

        Raises
        ------
        LyncnbError
            If the file contains no table, or lyncnb cannot plan it. Then the editor does not
            change.
        """
        topology, options = open_topology(table, encoding=encoding), PlanOptions.beside(table)
        self.begin(topology, load_rules_for(topology, options), options)
        self._saved, self.path = self.state, topology.path
        self._notify_followers("")

    @property
    def save_path(self) -> Path | None:
        """The file that Save writes: a new workbook if the table is not a CSV file of the planner.

        It is None if the table is not in a file yet.
        """
        path = Path(self.path)
        if not self.path or path.suffix.lower() == ".csv":
            return path if self.path else None
        states = (self.loaded, self._saved)
        try:
            is_own = path.suffix.lower() == ".xlsx" and is_own_workbook(path.read_bytes(), states)
        except OSError:
            is_own = False
        return path if is_own else choose_new_workbook(path)

    def save(self, path: str | Path = "", *, overwrite: bool = False) -> tuple[Path, Path]:
        """Write the table and its options to files.

        Parameters
        ----------
        path : path, optional
            Either ``TABLE.csv`` or ``TABLE.xlsx``, with the options in ``TABLE.plan.toml``, or a
            folder for ``topology.csv`` and ``plan.toml``. A missing folder is created. The default
            is the file that was last loaded or saved, or ``TABLE-plan.xlsx`` beside a workbook.
        overwrite : bool, optional
            Whether to replace a table or options that this editor neither loaded nor saved. A
            workbook that lyncnb did not write is never replaced.

        Returns
        -------
        tuple of Path
            The paths of the table and the options. The table includes unknown columns.

        Raises
        ------
        LyncnbError
            If other files exist there, or the folder cannot be written. Then nothing is lost.
        """
        target = Path(path) if path else self.save_path
        if target is None:
            raise LyncnbError(
                "this table has not been saved to a file yet",
                hint="enter a file name that ends in .csv or .xlsx",
            )
        if self.topology.readings and not self.topology.encoding:
            # The table is written as UTF-8, which would keep wrong letters.
            self.topology.reject_incomplete()
        known = (self.loaded, self._saved)
        save_plan(target, self.state, known=known, overwrite=overwrite)
        paths = choose_save_paths(target)
        self.path = str(paths[0])
        saved = replace(self.topology, path=self.path, readings=())
        self._saved = replace(self.state, topology=saved)
        self._notify_followers("")
        return paths

    @property
    def has_changes(self) -> bool:
        """Whether the table or options differ from the loaded file."""
        return not self.loaded.is_same(self.state)

    @property
    def is_saved(self) -> bool:
        """Whether all edits are saved."""
        return self._saved.is_same(self.state)

    def count_unsaved_edits(self) -> int:
        """Return how many edits of the table and of the options are not saved."""
        if self.is_saved:
            return 0
        saved, state = self._saved, self.state
        return find_edits(saved, state).count + len(
            find_option_changes(saved.options, state.options)
        )

    def find_base_state(self, earlier: PlanEditing) -> State:
        """Return the state of an earlier editor from which this editor repeats its changes.

        If the earlier editor saved the table that this editor loaded, the table already contains
        the saved changes, and only the later changes are repeated. A cell can read only the table.
        Therefore, a saved option that still has its earlier value in this editor is repeated, but
        only if the file of options contains it. Otherwise, somebody has set the option back.
        """
        saved, loaded = earlier.saved, earlier.loaded
        if not is_same_path(saved.topology.path, self.path):
            return loaded
        not_loaded = {*find_option_changes(loaded.options, saved.options)}
        not_loaded -= {*find_option_changes(loaded.options, self.loaded.options)}
        if not_loaded and not _are_options_in_file(saved, not_loaded):
            return saved
        values: dict[str, Any] = {name: getattr(loaded.options, name) for name in not_loaded}
        return replace(saved, options=replace(saved.options, **values))

    def repeat_changes_of(self, earlier: PlanEditing) -> bool:
        """Repeat the changes of an earlier editor that had the same source.

        Parameters
        ----------
        earlier : PlanEditing
            The earlier editor. If it had the same table and options, its steps can be undone in
            this editor.

        Returns
        -------
        bool
            Whether the earlier editor had the same table and options.

        Raises
        ------
        LyncnbError
            If a change does not fit the loaded table. Then nothing changes.
        """
        before, after = self.find_base_state(earlier), earlier.state
        if before.is_same(self.loaded):
            # The states of the earlier editor have the IDs of its rows.
            self.loaded = replace(self.loaded, ids=before.ids)
            self.apply(Draft.adopt_draft, earlier)
            self._saved = earlier._saved
            return True
        options = {
            name: getattr(after.options, name)
            for name in find_option_changes(before.options, after.options)
        }
        self.apply(edits.repeat_edits, edits=find_edits(before, after), options=options)
        return False

    # -- The following methods provide the output for a notebook.
    def to_frame(self) -> frames.DataFrame:
        """Return the current table of servers as a DataFrame.

        It has the same form as from :meth:`Topology.to_frame`.
        """
        return self.topology.to_frame()

    def _repr_html_(self) -> str:
        totals = format_totals(self.plan, self.findings)
        page = self.page(f"{totals} {self.topology.describe_rejected()}".strip())
        return tables.mark_plan(page, tables.PlanMark(self.live.compute_digest()))

    def page(self, summary: str) -> str:
        """Return an HTML page with a summary, the servers, and the changes.

        The page shows at most 200 servers and 200 changes.
        """
        table, source = self.topology, self.topology.source
        columns = [name for name in SHOWN if name in table.columns]
        indices = [table.columns.index(name) for name in columns]
        first = table.texts[: tables.ROWS_SHOWN]
        rows = [tuple(row[index] for index in indices) for row in first]
        parts = [
            tables.format_paragraph(summary),
            tables.rows_to_html(columns, rows, caption=f"Servers of {source}"),
        ]
        if len(first) < len(table.cells):
            parts.append(
                tables.format_paragraph(tables.describe_shown_rows(len(first), len(table.cells)))
            )
        changed = list_change_rows(self.loaded, self.state)
        if changed:
            caption = f"{format_count(len(changed), 'change')} since the table was loaded"
            parts.append(
                tables.rows_to_html(
                    CHANGE_COLUMNS, changed, caption=caption, limit=tables.ROWS_SHOWN
                )
            )
        return "\n".join(parts)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.topology.source!r}, "
            f"{format_count(len(self.topology.cells), 'row')}, "
            f"{format_count(len(self.plan.certificates), 'certificate')})"
        )


def _are_options_in_file(saved: State, names: Iterable[str]) -> bool:
    """Return whether the options file of a saved table still contains the saved options."""
    try:
        options = PlanOptions.beside(saved.topology.path)
    except LyncnbError:
        return False
    return all(getattr(options, name) == getattr(saved.options, name) for name in names)
