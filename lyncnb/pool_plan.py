"""The certificates of one pool: its names worked out once, each server's own put in by position."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from .bulk import new_tuple
from .fields import DistinguishedName, SanEntry
from .issuers import settle_issuer, target_ca
from .names import DnsName
from .options import PlanOptions
from .plan import PlannedCertificate
from .pool_names import Recipe
from .recipes import PlanContext
from .topology import Computer, Pool

# Stands for the server's name while a pool's names are worked out; no host name is like it.
_SERVER = DnsName("\0")

_NAME_OF = attrgetter("fqdn")
_SYSTEM_OF = attrgetter("target_os")
_ISSUER_OF = attrgetter("issuer")
_SHARED_BY = {"computer": "server", "pool": "pool", "deployment": "deployment"}


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
    common = (
        recipe.rule.role,
        pool.site,
        pool.fqdn,
        recipe.rule.usages,
        recipe.extended_key_usage,
        options.key,
        options.hash,
        _SHARED_BY[recipe.rule.issue_per],
        recipe.rule.id,
    )
    if recipe.rule.issue_per != "computer" or len(computers) == 1:
        issued = [_issue_shared(common, recipe, pool, options)]
        groups = [computers]
    else:
        issued = _issue_each(common, recipe, pool, options)
        groups = zip(computers)
    if not any(map(_ISSUER_OF, computers)):
        return issued
    return [
        _as_asked(certificate, recipe, group, options) for certificate, group in zip(issued, groups)
    ]


def _issue_shared(
    common: tuple, recipe: Recipe, pool: Pool, options: PlanOptions
) -> PlannedCertificate:
    """Make the one certificate of all computers of a pool."""
    server = pool.computers[0].fqdn  # names that mention it are for single servers only
    return PlannedCertificate(
        *common,
        servers=tuple(map(_NAME_OF, pool.computers)),
        subject=_subject(recipe.common_name(pool, server), options),
        subject_alt_name=recipe.entries(recipe.names(pool, server), pool, server),
        issuer=recipe.issuer,
        ca=recipe.ca,
        # The package must open on the oldest system, too.
        target_os=options.target_os or min(map(_SYSTEM_OF, pool.computers)),
    )


def _issue_each(
    common: tuple, recipe: Recipe, pool: Pool, options: PlanOptions
) -> list[PlannedCertificate]:
    """Make a certificate for each computer of a pool: its names with a gap for the server's."""
    names = recipe.names(pool, _SERVER)
    entries = recipe.entries(names, pool, _SERVER)
    own = names.get(_SERVER)
    gap = entries.index(own) if own else 0
    before, after = entries[:gap], entries[gap + 1 :]
    common_name = recipe.common_name(pool, _SERVER)
    subject = None if common_name is _SERVER else _subject(common_name, options)
    issued = []
    for computer in pool.computers:
        server = computer.fqdn
        if server in names:  # it is also the pool's name, or a web name: the reasons add up
            san = recipe.entries(recipe.names(pool, server), pool, server)
        elif own:
            one = (new_tuple(SanEntry, (server, own.reasons)),)
            san = before + one + after
        else:
            san = entries
        name = subject or _subject(server, options)
        system = options.target_os or computer.target_os
        rest = ((server,), name, san, recipe.issuer, recipe.ca, system, True)
        issued.append(new_tuple(PlannedCertificate, common + rest))
    return issued


def _as_asked(
    certificate: PlannedCertificate,
    recipe: Recipe,
    computers: Iterable[Computer],
    options: PlanOptions,
) -> PlannedCertificate:
    """Heed what the table asks as issuer."""
    issuer = settle_issuer(recipe.rule, computers, options)
    return certificate._replace(issuer=issuer, ca=target_ca(recipe.rule, issuer, options))


def _subject(common_name: str, options: PlanOptions) -> DistinguishedName:
    return DistinguishedName(
        common_name=str(common_name),
        organization=options.organization,
        organizational_unit=options.organizational_unit,
        locality=options.locality,
        state=options.state,
        country=options.country,
    )
