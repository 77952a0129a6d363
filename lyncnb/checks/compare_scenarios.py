"""Compare scenarios: a table of options and counts, and the differences between the plans.

``compare_plans`` compares two scenarios like any two plans.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from ..base.arguments import check_type
from ..base.garbage_collection import pause_garbage_collection
from ..base.shown.frames import Kind
from ..base.shown.tables import (
    Table,
    collapse_html,
    format_cell,
    format_count,
    number_equal_headings,
    rows_to_html,
)
from ..errors import ScenarioError
from ..plan.options import OPTIONS, format_option_value
from ..plan.scenarios import Scenario
from ..plan.totals import ACCEPTED
from ..reports.compare import PlanDifference, compare_plans
from ..reports.comparison_report import Comparison, count_plan_items
from ..reports.find_causes import find_causes
from ..rules.findings import Findings
from .check_plan import check_plan

#: The mark before each value that differs from the value in the first scenario.
MARK = "≠ "

_FIXED = ("Of", "What", "Differs")
_COUNTS, _TABLE, _OPTIONS = "Counts", "Table", "Options"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioFact:
    """A row in the comparison of scenarios: one option or count, with its values.

    Parameters
    ----------
    of : str
        ``Counts``, ``Table`` or ``Options``.
    what : str
        The label of the option, or the counted items.
    values : tuple of object
        One value for each scenario: a count, a text, a truth value, or several texts. None means
        unknown.
    """

    of: str
    what: str
    values: tuple[object, ...]

    @property
    def differs(self) -> bool:
        """Whether the scenarios differ in the option or count."""
        return any(value != self.values[0] for value in self.values)

    def list_marked_values(self) -> tuple[object, ...]:
        """Return the values, with ``MARK`` before each one that differs from the first value."""
        return tuple(
            value if value == self.values[0] else f"{MARK}{format_cell(value) or 'blank'}"
            for value in self.values
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ScenarioComparison(Table):
    """A comparison of one or more scenarios with a first scenario.

    ``to_frame`` returns one row for each option and count, with a column for each scenario and a
    column that shows whether the values differ. A notebook shows the rows with differences first,
    and marks each value that differs from the first scenario.
    """

    scenarios: tuple[Scenario, ...]
    findings: tuple[Findings, ...]
    facts: tuple[ScenarioFact, ...]
    differences: tuple[PlanDifference, ...] = field(compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the compared scenarios. Scenarios with the same name get a number."""
        return number_equal_headings((scenario.name for scenario in self.scenarios), _FIXED)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The differences between the first scenario and each of the others, with their causes."""
        return tuple(
            Comparison(
                difference=find_causes(difference),
                old_findings=self.findings[0],
                new_findings=findings,
            )
            for difference, findings in zip(self.differences, self.findings[1:], strict=True)
        )

    def differing(self) -> tuple[ScenarioFact, ...]:
        """Return the rows in which the scenarios differ."""
        return tuple(fact for fact in self.facts if fact.differs)

    def alike(self) -> tuple[ScenarioFact, ...]:
        """Return the rows in which all scenarios agree."""
        return tuple(fact for fact in self.facts if not fact.differs)

    def _list_headings(self) -> tuple[str, ...]:
        return (*_FIXED[:2], *self.names, _FIXED[2])

    def _list_kinds(self) -> tuple[Kind, ...]:
        return (*[Kind.TEXT] * (len(_FIXED) - 1 + len(self.names)), Kind.FLAG)

    def _list_rows(self) -> Iterator[tuple[object, ...]]:
        return ((fact.of, fact.what, *fact.values, fact.differs) for fact in self.facts)

    def _summarize(self) -> str:
        first, *others = self.names
        parts = [
            f"{name}: {format_count(len(difference.certificates), 'certificate')} changed"
            for name, difference in zip(others, self.differences, strict=True)
        ]
        return f"Compared with {first}. {'; '.join(parts)}"

    def _repr_html_(self) -> str:
        headings = (*_FIXED[:2], *self.names)
        other, alike = self.differing(), self.alike()
        rows = [(fact.of, fact.what, *fact.list_marked_values()) for fact in other]
        words = f"{MARK.strip()} marks a value that is different in “{self.names[0]}”."
        if not other:
            words = "All options and counts are the same in all scenarios."
        parts = [rows_to_html(headings, rows, caption=self._summarize(), remarks=[words])]
        if alike:
            same = [(fact.of, fact.what, *fact.values) for fact in alike]
            heading = f"{len(alike)} options and counts are the same in all scenarios"
            parts.append(collapse_html(heading, rows_to_html(headings, same)))
        return "\n".join(parts)


@pause_garbage_collection()
def compare_scenarios(
    *scenarios: Scenario, on: date | None = None, findings: Sequence[Findings | None] = ()
) -> ScenarioComparison:
    """Compare each scenario with the first one.

    Parameters
    ----------
    *scenarios : Scenario
        At least two scenarios.
    on : date, optional
        The evaluation date. The default is the planned issue date of each scenario, or today.
    findings : sequence of Findings or None, optional
        The findings of each plan, or None for a plan that has not been checked yet.

    Returns
    -------
    ScenarioComparison
        One comparison for each scenario after the first.

    Raises
    ------
    ScenarioError
        If there are fewer than two scenarios, or the number of findings does not match.
    LyncnbError
        If a scenario cannot be planned.
    """
    for scenario in scenarios:
        check_type("compare_scenarios: each scenario", scenario, Scenario)
    if len(scenarios) < 2:
        raise ScenarioError(
            "a comparison needs at least two scenarios", hint="specify two or more scenario folders"
        )
    known = findings or [None] * len(scenarios)
    if len(known) != len(scenarios):
        raise ScenarioError(
            f"you passed {len(known)} lists of findings, but {len(scenarios)} scenarios",
            hint=(
                "pass one list of findings for each scenario, in the same order, or "
                "None for a plan without findings"
            ),
        )
    checked = tuple(
        check_plan(scenario.plan, on=on) if known_findings is None else known_findings
        for scenario, known_findings in zip(scenarios, known, strict=True)
    )
    return ScenarioComparison(
        scenarios=scenarios,
        findings=checked,
        facts=tuple(_list_facts(scenarios, checked)),
        differences=tuple(
            compare_plans(scenarios[0].plan, scenario.plan) for scenario in scenarios[1:]
        ),
    )


def _list_facts(
    scenarios: Sequence[Scenario], findings: Sequence[Findings]
) -> Iterator[ScenarioFact]:
    counts = [
        count_plan_items(item.plan, checked)
        for item, checked in zip(scenarios, findings, strict=True)
    ]
    for kind in dict.fromkeys(key for item in counts for key in item):
        # A missing count means 0, with one exception: without validity_days, the number of yearly
        # renewals is unknown.
        absent = None if kind == "yearly renewal" else 0
        values = tuple(item.get(kind, absent) for item in counts)
        if kind != ACCEPTED or any(values):
            yield ScenarioFact(of=_COUNTS, what=format_count(2, kind)[2:], values=values)
    roles = [Counter(pool.role for pool, _ in item.topology.computers) for item in scenarios]
    yield ScenarioFact(
        of=_TABLE,
        what="SIP domains",
        values=tuple(tuple(map(str, item.topology.sip_domains)) for item in scenarios),
    )
    for role in sorted({role for item in roles for role in item}):
        servers = tuple(item[role] for item in roles)
        yield ScenarioFact(of=_TABLE, what=f"{role} servers", values=servers)
    for name, option in OPTIONS.items():
        option_values = tuple(_get_option_value(item, name) for item in scenarios)
        yield ScenarioFact(of=_OPTIONS, what=option.label or name, values=option_values)


def _get_option_value(scenario: Scenario, name: str) -> object:
    value = format_option_value(getattr(scenario.plan.options, name))
    if value is None or isinstance(value, (bool, int, tuple)):
        return value
    return str(value)
