"""Find the cell, row, option or rules that cause each difference between two plans.

The functions have no side effects. Each input that the planner changed is tried alone. For example,
one option is set to its new value, and all resulting differences from the old plan are caused by
this option. Differences that the new table alone results in are caused by the table. The values of
a cell and the owner of the certificate identify the cell. If no input alone causes a difference, it
is caused together by all inputs without which it does not occur.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress

from ..base.shown.tables import format_cell, format_count
from ..errors import LyncnbError
from ..plan.model import CertificatePlan, PlannedCertificate
from ..plan.options import OPTIONS, PlanOptions, format_option_value
from ..plan.planner import plan_certificates
from ..plan.recorded_plan import RecordedPlan
from ..rules.model import Rules
from ..topology.topology import Topology
from .compare import ChangedCertificate, PlanChange, PlanDifference, compare_plans
from .table_changes import TableChange, list_table_changes

# The options that do not change any certificate: the evaluation date, and accepted findings.
_NO_CAUSE = frozenset(
    (
        "product",
        "planned_issue_date",
        "validity",
        "validity_days",
        "accepted",
        "accepted_until",
        "accepted_for",
    )
)
_CELLS_TOLD = 3
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    """The inputs from which a plan is created: topology, rules, and options."""

    topology: Topology
    rules: Rules
    options: PlanOptions

    def plan_certificates(self) -> CertificatePlan:
        return plan_certificates(self.topology, self.rules, options=self.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Factor:
    """One input in which two plans differ.

    ``apply`` copies it from one plan's inputs to the other's.
    """

    # The name of the input. It is "" for the table, because the report describes each changed cell.
    words: str
    apply: Callable[[_Inputs, _Inputs], _Inputs]


def find_causes(difference: PlanDifference) -> PlanDifference:
    """Return the differences between two plans, each with the input that causes it.

    Parameters
    ----------
    difference : PlanDifference
        The differences between two plans. If several of table, options and rules differ, a plan
        is made with each of them alone; if three or more differ, also with all but each.

    Returns
    -------
    PlanDifference
        The same, with ``cause`` filled in. It stays blank if one plan comes from a record alone,
        because its table and options are not known.
    """
    old, new = difference.old, difference.new
    if difference.is_empty or isinstance(old, RecordedPlan) or isinstance(new, RecordedPlan):
        return difference
    search = _Search(difference)
    return replace(
        difference,
        certificates=tuple(
            replace(
                item,
                differences=tuple(
                    change._replace(cause=search.describe_cause(item, change))
                    for change in item.differences
                ),
            )
            for item in difference.certificates
        ),
    )


class _Search:
    """Two plans, the inputs that differ, and the changes that each input causes alone."""

    def __init__(self, difference: PlanDifference):
        self._old_plan = difference.old
        self._old, self._new = _get_plan_inputs(difference.old), _get_plan_inputs(difference.new)
        self._factors = tuple(_list_changed_inputs(self._old, self._new))

    def describe_cause(self, item: ChangedCertificate, change: PlanChange) -> str:
        """Describe the input that causes a change."""
        factors, link = self._find_responsible_inputs(change)
        return link.join(
            factor.words or self._cells.describe_changes(item, change) for factor in factors
        )

    def _find_responsible_inputs(self, change: PlanChange) -> tuple[tuple[_Factor, ...], str]:
        """Return the inputs that cause a change, and the word that joins their descriptions."""
        if len(self._factors) < 2:
            return self._factors, ""
        key = _build_change_key(change)
        alone = self._select_factors(key in keys for keys in self._changes_from_one_input)
        if alone:
            return alone, " or "
        # Each input was already tried alone, so several inputs together cause the change.
        if len(self._factors) == 2:
            return self._factors, " and "
        return self._select_factors(
            key not in keys for keys in self._changes_without_each_input
        ) or self._factors, " and "

    def _select_factors(self, selectors: Iterable[bool]) -> tuple[_Factor, ...]:
        return tuple(compress(self._factors, selectors))

    @cached_property
    def _changes_from_one_input(self) -> tuple[frozenset[object], ...]:
        """For each input, the changes in the plan if only this input has its new value."""
        return tuple(
            self._find_changes(factor.apply(self._old, self._new)) for factor in self._factors
        )

    @cached_property
    def _changes_without_each_input(self) -> tuple[frozenset[object], ...]:
        """For each input, the changes in the plan if only this input keeps its old value."""
        return tuple(
            self._find_changes(factor.apply(self._new, self._old)) for factor in self._factors
        )

    def _find_changes(self, inputs: _Inputs) -> frozenset[object]:
        try:
            plan = inputs.plan_certificates()
        # Planning can fail, for example, if an option applies to a role that the other rules do not
        # have.
        except LyncnbError:
            return frozenset()
        return frozenset(map(_build_change_key, compare_plans(self._old_plan, plan).changes))

    @cached_property
    def _cells(self) -> _TableCauses:
        return _TableCauses(list_table_changes(self._old.topology, self._new.topology))


def _get_plan_inputs(plan: CertificatePlan) -> _Inputs:
    return _Inputs(topology=plan.topology, rules=plan.rules, options=plan.options)


def _build_change_key(change: PlanChange) -> tuple[object, ...]:
    """Return the values that identify a change. The wording is ignored."""
    return change.change, change.certificate, change.what, change.before, change.after


def _list_changed_inputs(old_inputs: _Inputs, new_inputs: _Inputs) -> Iterator[_Factor]:
    if old_inputs.topology != new_inputs.topology:
        yield _Factor(words="", apply=lambda to, source: replace(to, topology=source.topology))
    if old_inputs.rules is not new_inputs.rules and old_inputs.rules != new_inputs.rules:
        # Options can depend on the product, so the options and the rules are applied together.
        yield _Factor(
            words=f"rules: {old_inputs.rules.title} -> {new_inputs.rules.title}",
            apply=lambda to, source: replace(
                to, rules=source.rules, options=replace(to.options, product=source.options.product)
            ),
        )
    for name, option in OPTIONS.items():
        before, after = getattr(old_inputs.options, name), getattr(new_inputs.options, name)
        if before != after and name not in _NO_CAUSE:
            label = ".".join(part for part in (option.section, option.key) if part)
            yield _Factor(
                words=f"option {label}: {_format_option(before)} -> {_format_option(after)}",
                apply=_build_option_factor(name),
            )


def _build_option_factor(name: str) -> Callable[[_Inputs, _Inputs], _Inputs]:
    def apply_option(target: _Inputs, source: _Inputs) -> _Inputs:
        return replace(
            target, options=replace(target.options, **{name: getattr(source.options, name)})
        )

    return apply_option


def _format_option(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()  # as in plan.toml
    return format_cell(format_option_value(value)) or "blank"


class _TableCauses:
    """The differences between two tables, by value and by server, pool or site."""

    def __init__(self, changes: Iterable[TableChange]):
        self._all = tuple(changes)
        self._by_owner: dict[tuple[str, str], list[TableChange]] = {}
        self._came: dict[str, list[TableChange]] = {}
        self._gone: dict[str, list[TableChange]] = {}
        for table_change in self._all:
            self._by_owner.setdefault((table_change.scope, table_change.owner), []).append(
                table_change
            )
            for value in table_change.after - table_change.before:
                self._came.setdefault(_parse_host(value), []).append(table_change)
            for value in table_change.before - table_change.after:
                self._gone.setdefault(_parse_host(value), []).append(table_change)

    def describe_changes(self, item: ChangedCertificate, change: PlanChange) -> str:
        """Describe at most three cells or rows that cause a change, and count the others."""
        descriptions = [
            *dict.fromkeys(
                table_change.words for table_change in self._find_table_changes(item, change)
            )
        ]
        if not descriptions:
            return "the table"
        hidden_count = len(descriptions) - _CELLS_TOLD
        if hidden_count > 0:
            descriptions[_CELLS_TOLD:] = [f"and {format_count(hidden_count, 'more change')}"]
        return "; ".join(descriptions)

    def _find_table_changes(
        self, item: ChangedCertificate, change: PlanChange
    ) -> list[TableChange]:
        planned = item.planned
        if change.change == "name added":
            table_changes = _find_changes_of_name(change.after, self._came)
        elif change.change == "name removed":
            table_changes = _find_changes_of_name(change.before, self._gone)
        elif change.what == "Servers" and item.old and item.new:
            moved = sorted({*item.old.servers} ^ {*item.new.servers})
            return [
                table_change
                for name in moved
                for table_change in self._by_owner.get(("server", name), ())
            ]
        else:
            # A subject contains a host name from the table, but an algorithm or an issuer does not.
            table_changes = [
                table_change
                for text, values in ((change.before, self._gone), (change.after, self._came))
                for host in _HOST.findall(text.lower())
                for table_change in _find_changes_of_name(host, values)
            ]
        near = self._list_nearby_changes(planned)
        # Cells of several pools can have the same value, so differences near the certificate take
        # precedence.
        return (
            [table_change for table_change in table_changes if table_change in near]
            or table_changes
            or near
            or [*self._all]
        )

    def _list_nearby_changes(self, certificate: PlannedCertificate) -> list[TableChange]:
        """Return the table differences that concern a certificate's servers, pool or site.

        Differences that concern the whole deployment are also returned.
        """
        levels: tuple[list[tuple[str, str]], ...] = (
            [("server", server) for server in certificate.servers],
            [("pool", certificate.pool)],
            [("site", certificate.site)],
            [("deployment", "")],
        )
        for keys in levels:
            if near := [
                table_change for key in keys for table_change in self._by_owner.get(key, ())
            ]:
                return near
        return []


def _find_changes_of_name(name: str, changes: Mapping[str, list[TableChange]]) -> list[TableChange]:
    """Return the table changes to a name, or else to the closest parent domain with changes."""
    labels = name.split(".")
    for start in range(len(labels)):
        if matches := changes.get(".".join(labels[start:])):
            return matches
    return []


def _parse_host(value: str) -> str:
    """Return the host name in a cell: ``USAGE=name``, ``https://name/path`` or ``name``."""
    return re.sub(r"^(?:[A-Za-z]+=|https?://)", "", value).partition("/")[0].lower()
