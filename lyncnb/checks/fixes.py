"""What mends a finding, where there is one answer and it is safe: edits of the table or an option.

Safe is what only says what the plan does already, or what Lync Server itself leaves no choice
about. Whether a fix brings something new is not for these functions: who applies it looks at the
mended plan first (``mend_plan``). Each gets what a finding is about and its message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..base.pasted_text import shown
from ..plan.options import DEFAULT_OPTIONS
from ..rules.findings import CellEdit, Edit, HeadingEdit, OptionEdit
from ..rules.model import CheckRule
from ..topology.model import Pool
from .deployment_checks import (
    collocation_switches,
    idle_pools,
    keys_not_here,
    nearly_known_columns,
)
from .option_checks import ended_in_words, key_in_words, option_in_words, unneeded_in_words
from .plan_lookups import PlanView

Fix = Callable[[PlanView, CheckRule, str, str], tuple[Edit, ...]]


def web_internal_fqdn_overridden(
    view: PlanView, rule: CheckRule, about: str, message: str
) -> tuple[Edit, ...]:
    """Blank the internal web name of a server whose own name it has to be."""
    pools = [p for p in view.pools_with("single_computer") if view.place(p) == about]
    rows = [row for pool in pools for row in _rows(view, pool)]
    return tuple(_blanked(view, rows, "web_internal_fqdn"))


def pool_name_differs_from_server(
    view: PlanView, rule: CheckRule, about: str, message: str
) -> tuple[Edit, ...]:
    """Blank the pool name of a server that is a pool of its own; of several it may be meant."""
    pools = [p for p in view.pools_with("single_computer") if view.place(p) == about]
    rows = [row for pool in pools for row in _rows(view, pool)]
    servers = {_text(view, row, "server_fqdn").casefold() for row in rows}
    return tuple(_blanked(view, rows, "pool_fqdn")) if len(servers) == 1 else ()


def value_not_heeded(view: PlanView, rule: CheckRule, about: str, message: str) -> tuple[Edit, ...]:
    """Blank a name that counts for no role of its pool."""
    for column, idle in idle_pools(view):
        if view.place(idle[0]) == about and message.startswith(f"{column.name} of "):
            rows = [row for pool in idle for row in _rows(view, pool)]
            return tuple(_blanked(view, rows, column.name))
    return ()


def issuer_key_not_here(
    view: PlanView, rule: CheckRule, about: str, message: str
) -> tuple[Edit, ...]:
    """Take an issuer for a usage that a server has not out of its cells."""
    gone = {
        (role, server): key
        for role, key, servers in keys_not_here(view)
        if servers[0] == about and f'"{key}"' in message
        for server in servers
    }
    return tuple(
        CellEdit(row=computer.row, column="issuer", text=_pairs(kept))
        for pool, computer in view.plan.topology.computers
        if (pool.role, computer.fqdn) in gone
        for kept in [[p for p in computer.issuer if p[0] != gone[pool.role, computer.fqdn]]]
    )


def column_nearly_known(
    view: PlanView, rule: CheckRule, about: str, message: str
) -> tuple[Edit, ...]:
    """Give a heading the name of the column that it nearly is."""
    return tuple(
        HeadingEdit(heading=heading, column=name)
        for heading, name in nearly_known_columns(view)
        if message.startswith(f"{shown(heading)} is ")
    )


def collocated_role(view: PlanView, rule: CheckRule, about: str, message: str) -> tuple[Edit, ...]:
    """Say in the table that a role stands beside another, if it has the column for it."""
    return tuple(
        CellEdit(row=computer.row, column=name, text="false")
        for pool, names in collocation_switches(view)
        if view.place(pool) == about and message.startswith(f"{pool.role} uses ")
        for name in names
        if name in view.plan.topology.columns
        for computer in pool.computers
    )


def stand_alone_and_collocated(
    view: PlanView, rule: CheckRule, about: str, message: str
) -> tuple[Edit, ...]:
    """Say no where the table says that a collocated role stands alone."""
    return tuple(
        CellEdit(row=row, column=name, text="false")
        for pool, names in collocation_switches(view)
        if view.place(pool) == about
        for name in names
        if name in view.plan.topology.columns
        for row in _rows(view, pool)
        if _text(view, row, name) == "true"
    )


def av_edge_name_on_certificate(
    view: PlanView, rule: CheckRule, about: str, message: str
) -> tuple[Edit, ...]:
    """Take the name of the A/V Edge service out of the further names of its pool."""
    certificate = view.certificate(about)
    pool = view.pool(certificate) if certificate else None
    if pool is None or pool.av_edge_fqdn is None:
        return ()
    kept = [p for p in pool.extra_san if p[1] != pool.av_edge_fqdn or p[0].lower() == "internal"]
    if len(kept) == len(pool.extra_san):
        return ()  # another column brings it
    return tuple(
        CellEdit(row=row, column="extra_san", text=_pairs(kept))
        for row in _rows(view, pool)
        if _text(view, row, "extra_san")
    )


def validity_asked_over_limit(
    view: PlanView, rule: CheckRule, about: str, message: str
) -> tuple[Edit, ...]:
    """Ask for the days that are allowed, where that shortens no certificate of another CA."""
    if any(certificate.issuer != "public" for certificate in view.certificates):
        return ()
    if view.plan.options.validity:
        return ()  # an edit sets an option, and no key of a section
    return (OptionEdit(option="validity_days", value=rule.limit),)


def option_changes_nothing(
    view: PlanView, rule: CheckRule, about: str, message: str
) -> tuple[Edit, ...]:
    """Put an option back to its default, or take out the key for which nothing is planned."""
    options = view.plan.options
    for name in ("issuer", "ca"):
        for key in getattr(options, name):
            if message == key_in_words(name, key):
                return (OptionEdit(option=name, key=key),)
    for name in type(options).__dataclass_fields__:
        is_idle = getattr(options, name) != getattr(DEFAULT_OPTIONS, name)
        if is_idle and message == option_in_words(name, options):
            return (OptionEdit(option=name),)
    return ()


def acceptance_counts_for_nothing(
    view: PlanView, rule: CheckRule, about: str, message: str
) -> tuple[Edit, ...]:
    """Take out a reason that is over or is for nothing, with its limits."""
    options = view.plan.options
    for code in options.accepted:
        until = options.accepted_until.get(code)
        is_over = until is not None and message == ended_in_words(code, until)
        if is_over or message == unneeded_in_words(code):
            sections = ("accepted_until", "accepted_for", "accepted")
            return tuple(
                OptionEdit(option=name, key=code)
                for name in sections
                if code in getattr(options, name)
            )
    return ()


def _rows(view: PlanView, pool: Pool) -> Iterator[int]:
    """Yield the rows of a pool, those of roles beside it included: they share its values."""
    for other in view.pools_named(pool.fqdn):
        for computer in other.computers:
            yield computer.row


def _text(view: PlanView, row: int, column: str) -> str:
    topology = view.plan.topology
    return topology.cells[row][topology.columns.index(column)]


def _blanked(view: PlanView, rows: list[int], column: str) -> Iterator[Edit]:
    for row in dict.fromkeys(rows):
        if _text(view, row, column):
            yield CellEdit(row=row, column=column, text="")


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """Write pairs of usage and value as a cell has them."""
    return "; ".join(f"{key}={value}" if key else str(value) for key, value in pairs)


#: By the name of the test that finds what they mend.
FIXES: dict[str, Fix] = {
    fix.__name__: fix
    for fix in (
        web_internal_fqdn_overridden,
        pool_name_differs_from_server,
        value_not_heeded,
        issuer_key_not_here,
        column_nearly_known,
        collocated_role,
        stand_alone_and_collocated,
        av_edge_name_on_certificate,
        validity_asked_over_limit,
        option_changes_nothing,
        acceptance_counts_for_nothing,
    )
}
