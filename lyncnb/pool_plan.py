"""The certificates of one pool: its names worked out once, each server's own put in by position."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from operator import attrgetter

from .base.certificate_fields import SanEntry
from .base.collector import new_tuple
from .base.dns_name import DnsName
from .issuers import settle_issuer, target_ca
from .options import PlanOptions
from .plan import PlannedCertificate
from .pool_names import Recipe
from .recipes import PlanContext
from .topology.model import Computer, Pool

# Stands for the server's name while a pool's names are worked out; no host name is like it.
_SERVER = DnsName("\0")

_NAME_OF = attrgetter("fqdn")
_SYSTEM_OF = attrgetter("target_os")
_ISSUER_OF = attrgetter("issuer")


def plan_pool(pool: Pool, context: PlanContext) -> tuple[PlannedCertificate, ...]:
    """List the certificates of one pool, by computer and usage.

    Parameters
    ----------
    pool : Pool
        m computers of one role.
    context : PlanContext
        From :func:`lyncnb.recipes.plan_context`, of a topology that has the pool.

    Returns
    -------
    tuple of PlannedCertificate
        For each rule of the role one certificate, or one for each of the m computers.
    """
    columns = [issue(recipe, pool, context) for recipe in context.recipes(pool)]
    if len(columns) == 1:
        return tuple(columns[0])
    if len({len(column) for column in columns}) == 1:
        return tuple(certificate for row in zip(*columns) for certificate in row)
    return tuple(certificate for column in columns for certificate in column)


def issue(recipe: Recipe, pool: Pool, context: PlanContext) -> list[PlannedCertificate]:
    """Make the certificates of one rule: one for each computer, or one for all of them."""
    options, computers = context.options, pool.computers
    of_pool = (pool.fqdn,)
    common = recipe.before + of_pool + recipe.after
    if recipe.rule.issue_per != "computer" or len(computers) == 1:
        issued = [_issue_shared(common, recipe, pool, context)]
        groups = [computers]
    else:
        issued = _issue_each(common, recipe, pool, context)
        groups = zip(computers)
    if not any(map(_ISSUER_OF, computers)):
        return issued
    return [
        _as_asked(certificate, recipe, group, options) for certificate, group in zip(issued, groups)
    ]


def _issue_shared(
    common: tuple, recipe: Recipe, pool: Pool, context: PlanContext
) -> PlannedCertificate:
    """Make the one certificate of all computers of a pool."""
    server = pool.computers[0].fqdn  # names that mention it are for single servers only
    return PlannedCertificate(
        *common,
        servers=tuple(map(_NAME_OF, pool.computers)),
        subject=context.subject.of_host(recipe.common_name(pool, server)),
        subject_alt_name=recipe.entries(recipe.names(pool, server), pool, server),
        issuer=recipe.issuer,
        ca=recipe.ca,
        # The package must open on the oldest system, too.
        target_os=context.options.target_os or min(map(_SYSTEM_OF, pool.computers)),
    )


def _issue_each(
    common: tuple, recipe: Recipe, pool: Pool, context: PlanContext
) -> list[PlannedCertificate]:
    """Make a certificate for each computer of a pool: its names with a gap for the server's."""
    names = recipe.names(pool, _SERVER)
    entries = recipe.entries(names, pool, _SERVER)
    own = names.get(_SERVER)
    gap = entries.index(own) if own else 0
    before, after = entries[:gap], entries[gap + 1 :]
    servers = list(map(_NAME_OF, pool.computers))
    if own:
        reasons = own.reasons
        # Adding tuples takes half the time of unpacking them into a new one.
        sans = [before + (new_tuple(SanEntry, (name, reasons)),) + after for name in servers]  # noqa: RUF005
    else:
        sans = [entries] * len(servers)
    if not names.keys().isdisjoint(servers):
        for at, server in enumerate(servers):
            if server in names:  # it is also the pool's name, or a web name: the reasons add up
                sans[at] = recipe.entries(recipe.names(pool, server), pool, server)
    common_name = recipe.common_name(pool, _SERVER)
    subjects = map(context.subject.of_host, servers)
    if common_name is not _SERVER:
        subjects = repeat(context.subject.of_host(common_name))
    system = context.options.target_os
    systems = repeat(system) if system else map(_SYSTEM_OF, pool.computers)
    issuers, cas = repeat(recipe.issuer), repeat(recipe.ca)
    rows = zip(zip(servers), subjects, sans, issuers, cas, systems, repeat(True))
    return [new_tuple(PlannedCertificate, common + row) for row in rows]


def _as_asked(
    certificate: PlannedCertificate,
    recipe: Recipe,
    computers: Iterable[Computer],
    options: PlanOptions,
) -> PlannedCertificate:
    """Heed what the table asks as issuer."""
    issuer = settle_issuer(recipe.rule, computers, options)
    return certificate._replace(issuer=issuer, ca=target_ca(recipe.rule, issuer, options))
