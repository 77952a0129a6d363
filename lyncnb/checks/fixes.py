"""Create the safe fixes for findings, as edits to the table or to an option.

A fix is safe if it writes down what the plan already contains, or what the product requires. For a
required name that is missing, a fix proposes the usual name in the planner's SIP domains.
``fix_plan`` checks the fixed plan for new findings before it uses a fix. Each function receives the
subject of the finding and the message. If a finding has several sensible answers, the planner
chooses one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count

from ..base.pasted_text import shown
from ..plan.certificate_names import BACKUP_POOL
from ..plan.options import DEFAULT_OPTIONS
from ..rules.findings import CellEdit, Edit, HeadingEdit, OptionEdit
from ..rules.model import CheckRule
from ..topology.model import Pool
from .deployment_checks import (
    find_collocation_switches,
    find_similar_columns,
    find_unused_columns,
    find_unused_issuer_keys,
)
from .option_checks import (
    format_expired_acceptance,
    format_option,
    format_unneeded_acceptance,
    format_unused_key,
)
from .plan_lookups import PlanView
from .practice_checks import list_one_sided_pairs

# The first labels of proposed names, which are the same as in the guide.
_SERVICE_LABELS = {
    "web_external_fqdn": "web",
    "access_edge_fqdn": "access",
    "webconf_edge_fqdn": "webconf",
    "av_edge_fqdn": "av",
}

Fix = Callable[[PlanView, CheckRule, str, str], tuple[Edit, ...]]
Answers = Iterator[tuple[Edit, ...]]
Choice = Callable[[PlanView, CheckRule, str], Answers]


def fix_web_internal_fqdn_overridden(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Clear the internal web services name of a server that must use its own name."""
    pools = [
        p
        for p in view.find_pools_with_trait("single_computer")
        if view.find_representative(p) == subject
    ]
    rows = [row for pool in pools for row in _find_rows(view, pool)]
    return tuple(_clear_cells(view, rows, "web_internal_fqdn"))


def fix_pool_name_differs_from_server(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Clear a single server's pool name if it differs from the name of the server.

    Other pool names may be intended.
    """
    pools = [
        p
        for p in view.find_pools_with_trait("single_computer")
        if view.find_representative(p) == subject
    ]
    rows = [row for pool in pools for row in _find_rows(view, pool)]
    servers = {_get_cell_text(view, row, "server_fqdn").casefold() for row in rows}
    return tuple(_clear_cells(view, rows, "pool_fqdn")) if len(servers) == 1 else ()


def fix_meet_url_missing(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Propose a Meet URL for each SIP domain.

    The URLs have the form that Topology Builder proposes.
    """
    urls = ";".join(f"https://meet.{domain}" for domain in view.plan.topology.sip_domains)
    return _fill_cell(view, subject, "meet_urls", urls)


def fix_dialin_url_missing(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Propose the Dial-in URL that Topology Builder suggests for the default SIP domain."""
    domains = view.plan.topology.sip_domains
    return (
        _fill_cell(view, subject, "dialin_url", f"https://dialin.{domains[0]}") if domains else ()
    )


def fix_web_external_fqdn_missing(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Propose an external web services name in the default SIP domain."""
    return _propose_name(view, subject, "web_external_fqdn", "publishes_web")


def fix_backup_pool_one_sided(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Enter the pool that names this pool, because each pool of a pair is the other's backup."""
    return tuple(
        CellEdit(row=row, column=BACKUP_POOL, text=str(naming_pool.fqdn))
        for pool, naming_pool in list_one_sided_pairs(view)
        if view.find_representative(pool) == subject
        for row in _find_rows(view, pool)
    )


def fix_edge_name_missing(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Propose an external name in the default SIP domain for an Edge pool."""
    return _propose_name(view, subject, message.partition(" ")[0], "perimeter")


def fix_av_edge_name_missing(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Propose an A/V Edge name in the default SIP domain."""
    return _propose_name(view, subject, "av_edge_fqdn", "perimeter")


def fix_value_not_heeded(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Clear a name that no role in the pool uses."""
    for column, idle in find_unused_columns(view):
        if (
            view.find_representative(idle[0]) == subject
            and f" has a value in {column.name}, " in message
        ):
            rows = [row for pool in idle for row in _find_rows(view, pool)]
            return tuple(_clear_cells(view, rows, column.name))
    return ()


def fix_issuer_key_not_here(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Remove the issuer for a usage that no certificate of the server has."""
    unused_keys = {
        (role, server): key
        for role, key, servers in find_unused_issuer_keys(view)
        if servers[0] == subject and f'"{key}"' in message
        for server in servers
    }
    return tuple(
        CellEdit(row=computer.row, column="issuer", text=_format_pairs(remaining_pairs))
        for pool, computer in view.plan.topology.computers
        if (pool.role, computer.fqdn) in unused_keys
        for remaining_pairs in [
            [p for p in computer.issuer if p[0] != unused_keys[pool.role, computer.fqdn]]
        ]
    )


def fix_column_nearly_known(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Replace a misspelled heading with the name of the column."""
    return tuple(
        HeadingEdit(heading=heading, column=name)
        for heading, name in find_similar_columns(view)
        if message.startswith(f"{shown(heading)} is ")
    )


def fix_collocated_role(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Mark a role as collocated, if the table has a column for the mark."""
    return tuple(
        CellEdit(row=computer.row, column=name, text="false")
        for pool, names in find_collocation_switches(view)
        if view.find_representative(pool) == subject and f"the role {pool.role} uses " in message
        for name in names
        if name in view.plan.topology.columns
        for computer in pool.computers
    )


def fix_stand_alone_and_collocated(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Set the columns that mark a collocated role as stand-alone to false."""
    return tuple(
        CellEdit(row=row, column=name, text="false")
        for pool, names in find_collocation_switches(view)
        if view.find_representative(pool) == subject
        for name in names
        if name in view.plan.topology.columns
        for row in _find_rows(view, pool)
        if _get_cell_text(view, row, name) == "true"
    )


def fix_av_edge_name_on_certificate(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Remove the A/V Edge name from the additional names of the pool."""
    certificate = view.find_certificate(subject)
    pool = view.find_pool(certificate) if certificate else None
    if pool is None or pool.av_edge_fqdn is None:
        return ()
    remaining_pairs = [
        p for p in pool.extra_san if p[1] != pool.av_edge_fqdn or p[0].lower() == "internal"
    ]
    if len(remaining_pairs) == len(pool.extra_san):
        # The A/V Edge name does not come from extra_san, so removing names there does not help.
        return ()
    return tuple(
        CellEdit(row=row, column="extra_san", text=_format_pairs(remaining_pairs))
        for row in _find_rows(view, pool)
        if _get_cell_text(view, row, "extra_san")
    )


def fix_validity_asked_over_limit(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Set the longest allowed validity, unless this shortens the certificates of another CA."""
    if any(certificate.issuer != "public" for certificate in view.certificates):
        return ()
    if view.plan.options.validity:
        # An edit replaces a complete option. It cannot replace a single key of a section.
        return ()
    return (OptionEdit(option="validity_days", value=rule.limit),)


def fix_option_changes_nothing(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Return edits that reset an option to its default or remove a key that no certificate uses."""
    options = view.plan.options
    for name in ("issuer", "ca"):
        for key in getattr(options, name):
            if message == format_unused_key(name, key):
                return (OptionEdit(option=name, key=key),)
    for name in type(options).__dataclass_fields__:
        is_idle = getattr(options, name) != getattr(DEFAULT_OPTIONS, name)
        if is_idle and message == format_option(name, options):
            return (OptionEdit(option=name),)
    return ()


def fix_acceptance_counts_for_nothing(
    view: PlanView, rule: CheckRule, subject: str, message: str
) -> tuple[Edit, ...]:
    """Remove the acceptance of a finding if it has expired or does not apply."""
    options = view.plan.options
    for code in options.accepted:
        until = options.accepted_until.get(code)
        is_over = until is not None and message == format_expired_acceptance(code, until)
        if is_over or message == format_unneeded_acceptance(code):
            sections = ("accepted_until", "accepted_for", "accepted")
            return tuple(
                OptionEdit(option=name, key=code)
                for name in sections
                if code in getattr(options, name)
            )
    return ()


def fix_pool_named_like_server(
    view: PlanView, rule: CheckRule, subject: str
) -> Iterator[tuple[Edit, ...]]:
    """Offer the pool of the rows above or below, a new pool name, or a role for a single server."""
    pool = next(pool for pool in view.pools_by_first_server[subject] if pool.role in rule.roles)
    rows = dict.fromkeys(_find_rows(view, pool))
    new = next(_list_free_names(view, "pool", subject.partition(".")[2]))
    for name in dict.fromkeys((*_list_adjacent_pools(view, min(rows)), new)):
        yield tuple(CellEdit(row=row, column="pool_fqdn", text=name) for row in rows)
    for role in view.plan.rules.roles.values() if len(pool.computers) == 1 else ():
        if role.traits >= {"single_computer", "publishes_web"}:
            yield (CellEdit(row=pool.computers[0].row, column="role", text=role.id),)


def _list_adjacent_pools(view: PlanView, row: int) -> Iterator[str]:
    """Yield the pools of the nearest rows above and below, in which all rows have the same role."""
    if "pool_fqdn" not in view.plan.topology.columns or _get_cell_text(view, row, "pool_fqdn"):
        return
    role = _get_cell_text(view, row, "role")
    for rows in (range(row - 1, -1, -1), range(row + 1, len(view.plan.topology.cells))):
        for other in rows:
            name = _get_cell_text(view, other, "pool_fqdn")
            if _get_cell_text(view, other, "role") != role:
                break
            if name:
                yield name
                break


def fix_web_external_fqdn_shared(
    view: PlanView, rule: CheckRule, subject: str
) -> Iterator[tuple[Edit, ...]]:
    """Offer another external web services name in the same domain for the server's pools."""
    pools = [
        p for p in view.pools_by_first_server[subject] if "publishes_web" in view.get_traits(p)
    ]
    domain = next(p.web_external_fqdn for p in pools if p.web_external_fqdn).partition(".")[2]
    name = next(_list_free_names(view, _SERVICE_LABELS["web_external_fqdn"], domain))
    rows = dict.fromkeys(row for pool in pools for row in _find_rows(view, pool))
    yield tuple(
        CellEdit(row=row, column="web_external_fqdn", text=name)
        for row in rows
        if _get_cell_text(view, row, "web_external_fqdn")
    )


def fix_web_external_fqdn_not_published(
    view: PlanView, rule: CheckRule, subject: str
) -> Iterator[tuple[Edit, ...]]:
    """Offer to publish the pools of all sites on one of the reverse proxies."""
    for proxy in view.find_pools_with_trait("reverse_proxy"):
        yield tuple(_set_site(view, [proxy], ""))


def fix_reverse_proxy_publishes_nothing(
    view: PlanView, rule: CheckRule, subject: str
) -> Iterator[tuple[Edit, ...]]:
    """Yield edits that assign a reverse proxy to all sites or to a site with external web names."""
    proxies = [
        p for p in view.pools_by_first_server[subject] if "reverse_proxy" in view.get_traits(p)
    ]
    sites = view.sites_with_web_names
    for site in dict.fromkeys(("", *sites[:8])) if sites else ():
        yield tuple(_set_site(view, proxies, site))


def fix_several_autologon_pools(
    view: PlanView, rule: CheckRule, subject: str
) -> Iterator[tuple[Edit, ...]]:
    """Offer each pool as the only pool for automatic sign-in."""
    pools = [p for p in view.find_pools_with_trait("heeds_autologon") if "autologon" in p.flags]
    for kept_pool in pools:
        rows = [row for pool in pools if pool is not kept_pool for row in _find_rows(view, pool)]
        yield tuple(_clear_cells(view, rows, "autologon"))


def _propose_name(view: PlanView, subject: str, column: str, trait: str) -> tuple[Edit, ...]:
    """Return a name that is not in the plan: access.contoso.com, then access2.contoso.com."""
    if column not in view.proposals:
        view.proposals[column] = dict(_propose_names(view, column, trait))
    return (view.proposals[column][subject],) if subject in view.proposals[column] else ()


def _propose_names(view: PlanView, column: str, trait: str) -> Iterator[tuple[str, CellEdit]]:
    """For each pool without a name in a column, yield an edit that adds a name.

    Each edit comes with the first server of its pool.
    """
    unnamed = (pool for pool in view.find_pools_with_trait(trait) if not pool.list_names(column))
    for domain in view.plan.topology.sip_domains[:1]:
        free = _list_free_names(view, _SERVICE_LABELS[column], domain)
        for pool, name in zip(unnamed, free):
            yield (
                view.find_representative(pool),
                CellEdit(row=pool.computers[0].row, column=column, text=name),
            )


def _list_free_names(view: PlanView, label: str, domain: str) -> Iterator[str]:
    names = (f"{label}{number}.{domain}" for number in chain(("",), count(2)))
    return (name for name in names if name not in view.names_in_use)


def _fill_cell(view: PlanView, subject: str, column: str, text: str) -> tuple[Edit, ...]:
    """Return the edit that fills a blank cell in the first row of a pool."""
    row = view.pools_by_first_server[subject][0].computers[0].row
    return (CellEdit(row=row, column=column, text=text),) if text else ()


def _find_rows(view: PlanView, pool: Pool) -> Iterator[int]:
    """Yield the table rows of a pool and of its collocated roles, which use the same values."""
    for other in view.find_pools_by_name(pool.fqdn):
        for computer in other.computers:
            yield computer.row


def _get_cell_text(view: PlanView, row: int, column: str) -> str:
    topology = view.plan.topology
    return topology.cells[row][topology.columns.index(column)]


def _clear_cells(view: PlanView, rows: list[int], column: str) -> Iterator[Edit]:
    for row in dict.fromkeys(rows):
        if _get_cell_text(view, row, column):
            yield CellEdit(row=row, column=column, text="")


def _set_site(view: PlanView, pools: list[Pool], site: str) -> Iterator[Edit]:
    for row in dict.fromkeys(row for pool in pools for row in _find_rows(view, pool)):
        yield CellEdit(row=row, column="site", text=site)


def _format_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """Format pairs of a usage and a value as the text of a table cell."""
    return "; ".join(f"{key}={value}" if key else str(value) for key, value in pairs)


#: The functions that create fixes, by the name of the check that reports the finding.
FIXES: dict[str, Fix] = {
    fix.__name__.removeprefix("fix_"): fix
    for fix in (
        fix_web_internal_fqdn_overridden,
        fix_pool_name_differs_from_server,
        fix_meet_url_missing,
        fix_dialin_url_missing,
        fix_web_external_fqdn_missing,
        fix_backup_pool_one_sided,
        fix_edge_name_missing,
        fix_av_edge_name_missing,
        fix_value_not_heeded,
        fix_issuer_key_not_here,
        fix_column_nearly_known,
        fix_collocated_role,
        fix_stand_alone_and_collocated,
        fix_av_edge_name_on_certificate,
        fix_validity_asked_over_limit,
        fix_option_changes_nothing,
        fix_acceptance_counts_for_nothing,
    )
}

#: The functions that offer several fixes for a finding, by the name of the check that reports the
#: finding.
CHOICES: dict[str, Choice] = {
    choice.__name__.removeprefix("fix_"): choice
    for choice in (
        fix_pool_named_like_server,
        fix_web_external_fqdn_shared,
        fix_web_external_fqdn_not_published,
        fix_reverse_proxy_publishes_nothing,
        fix_several_autologon_pools,
    )
}
