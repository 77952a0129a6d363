"""Fix a plan: apply every fix that causes no new finding of the same severity.

Each fix is first applied to a copy of the plan. It is used only if its finding disappears, and all
new findings are less severe: after an error is fixed, a notice may apply.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from ..errors import OptionsError, PlanError, TopologyError
from ..plan.model import CertificatePlan
from ..plan.options import DEFAULT_OPTIONS, PlanOptions
from ..plan.planner import plan_certificates
from ..rules.findings import CellEdit, Edit, Finding, Findings, HeadingEdit, OptionEdit
from ..rules.model import SEVERITIES
from ..topology.fix_table import FixedTable
from ..topology.topology import Topology
from .check_plan import check_plan

# One fix can make another fix possible, for example if two names are in one cell. Each round fixes
# at least one finding.
_ROUNDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPlan:
    """A plan after lyncnb has applied fixes to it.

    Parameters
    ----------
    plan : CertificatePlan
        The plan with the changed table and options.
    findings : Findings
        The remaining findings.
    fixed : tuple of Finding
        The fixed findings with their edits, in the order of the fixes.
    table : FixedTable, optional
        The rejected cells and the headings that were fixed before.
    """

    plan: CertificatePlan
    findings: Findings
    fixed: tuple[Finding, ...]
    table: FixedTable | None = None

    @property
    def cells(self) -> dict[int, dict[str, str]]:
        """The new values of cells, by row (an index into ``Topology.cells``) and column."""
        changes = self.table.cells if self.table else {}
        for edit in self.edits:
            if isinstance(edit, CellEdit):
                changes.setdefault(edit.row, {})[edit.column] = edit.text
        return changes

    @property
    def headings(self) -> dict[str, str]:
        """The new column names, by the old heading."""
        named = self.table.headings if self.table else {}
        return {**named, **{e.heading: e.column for e in self.edits if isinstance(e, HeadingEdit)}}

    @property
    def options(self) -> tuple[OptionEdit, ...]:
        """The edits to the plan's options, without duplicates."""
        return tuple(dict.fromkeys(e for e in self.edits if isinstance(e, OptionEdit)))

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All edits to cells, headings, and options, in the order in which they were applied."""
        return tuple(edit for finding in self.fixed for edit in finding.edits)


def fix_plan(
    plan: CertificatePlan,
    *,
    evaluation_date: date | None = None,
    codes: Collection[str] = (),
    table: FixedTable | None = None,
) -> FixedPlan:
    """Fix the findings that have exactly one safe fix.

    Parameters
    ----------
    plan : CertificatePlan
        A plan with n certificates.
    evaluation_date : date, optional
        The evaluation date, as for :func:`check_plan`.
    codes : collection of str, optional
        The codes of the findings to fix. The default is all codes.
    table : FixedTable, optional
        The plan's table after its rejected cells were fixed. Findings are fixed only in a table
        without rejected cells.

    Returns
    -------
    FixedPlan
        The fixed plan, or the same plan if nothing can be fixed.
    """
    if table is not None and table.topology is not plan.topology:
        plan = plan_certificates(table.topology, plan.rules, options=plan.options)
    findings = check_plan(plan, on=evaluation_date)
    fixed_plan = FixedPlan(plan=plan, findings=findings, fixed=(), table=table)
    if plan.topology.rejected:
        return fixed_plan
    refused: set[Finding] = set()
    for _ in range(_ROUNDS):
        fixable = (f for f in fixed_plan.findings if f.edits and (not codes or f.code in codes))
        compatible = _choose_compatible_findings(f for f in fixable if f not in refused)
        if not compatible:
            break
        step = _try_fixes(fixed_plan, compatible)
        if step is not None:
            fixed_plan = step
            continue
        for finding in compatible:
            step = _try_fixes(fixed_plan, [finding])
            if step is None:
                refused.add(finding)
            else:
                fixed_plan = step
    return fixed_plan


def _choose_compatible_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings whose edits do not change the same cell or option."""
    compatible: list[Finding] = []
    edit_at: dict[tuple[object, str], Edit] = {}
    for finding in findings:
        edits = {_get_edit_target(edit): edit for edit in finding.edits}
        if all(edit_at.get(key, edit) == edit for key, edit in edits.items()):
            edit_at |= edits
            compatible.append(finding)
    return compatible


def _get_edit_target(edit: Edit) -> tuple[object, str]:
    if isinstance(edit, CellEdit):
        return edit.row, edit.column
    if isinstance(edit, HeadingEdit):
        return "heading", edit.column
    return edit.option, edit.key


def _try_fixes(fixed_plan: FixedPlan, fixes: list[Finding]) -> FixedPlan | None:
    """Return the plan after several fixes, or None if a fix has no effect or causes a finding."""
    edits = [edit for finding in fixes for edit in finding.edits]
    try:
        plan = apply_edits(fixed_plan.plan, edits)
    except (TopologyError, OptionsError, PlanError):
        return None  # The new value contradicts another value, for example in another row.
    findings = check_plan(plan, on=fixed_plan.findings.judged_on)
    new = _count_findings(findings) - _count_findings(fixed_plan.findings)
    least_severe = max(SEVERITIES.index(finding.severity) for finding in fixes)
    if set(fixes) & set(findings) or any(key[0] <= least_severe for key in new):
        return None
    return replace(fixed_plan, plan=plan, findings=findings, fixed=(*fixed_plan.fixed, *fixes))


def _count_findings(findings: Findings) -> Counter[tuple[int, str, str]]:
    """Count the findings by severity index, code, and subject. The index of an error is 0."""
    # A fix can change the message about another finding, such as the number of names in it.
    # Therefore, messages are not compared.
    return Counter((SEVERITIES.index(f.severity), f.code, f.about) for f in findings)


def apply_edits(plan: CertificatePlan, edits: Iterable[Edit]) -> CertificatePlan:
    """Return a new plan with changed cells and options.

    Raises
    ------
    TopologyError, OptionsError, PlanError
        If the changed table or the changed options are not valid.
    """
    cells: dict[int, dict[str, str]] = {}
    headings: dict[str, str] = {}
    options = []
    for edit in edits:
        if isinstance(edit, CellEdit):
            cells.setdefault(edit.row, {})[edit.column] = edit.text
        elif isinstance(edit, HeadingEdit):
            headings[edit.heading] = edit.column
        else:
            options.append(edit)
    topology = plan.topology.with_headings(headings) if headings else plan.topology
    topology = topology.with_cells(cells) if cells else topology
    changed_options = apply_option_edits(plan.options, options)
    return plan_certificates(topology, plan.rules, options=changed_options)


def describe_edit(edit: Edit, topology: Topology) -> str:
    """Describe an edit in one line: its location, the old value, and the new value."""
    if isinstance(edit, HeadingEdit):
        return f'heading "{edit.heading}" -> "{edit.column}"'
    if isinstance(edit, OptionEdit):
        if edit.key:
            return f'option {edit.option}, "{edit.key}" -> removed'
        return f"option {edit.option} -> {'default' if edit.value is None else edit.value}"
    cells = dict(zip(topology.columns, topology.cells[edit.row]))
    old, new = (f'"{text}"' if text else "blank" for text in (cells.get(edit.column), edit.text))
    location = f"{cells['server_fqdn']} ({cells['role']}), {edit.column}"
    return f"{location}: {old} -> {new}"


def apply_option_edits(options: PlanOptions, edits: Iterable[OptionEdit]) -> PlanOptions:
    """Return the plan's options with changed values."""
    values: dict[str, object] = {}
    for edit in edits:
        now = values.get(edit.option, getattr(options, edit.option))
        if edit.key:
            assert isinstance(now, Mapping)
            values[edit.option] = {key: now[key] for key in now if key != edit.key}
        elif edit.value is None:
            values[edit.option] = getattr(DEFAULT_OPTIONS, edit.option)
        else:
            values[edit.option] = edit.value
    return replace(options, **values)  # type: ignore[arg-type]  # by name, checked as they are made
