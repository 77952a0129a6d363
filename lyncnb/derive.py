"""``Topology`` + ``Rules`` + ``PlanOptions`` to ``CertificatePlan``. Pure: no disk, no clock.

One derivation per distinct pool, not per server: a pool's names are worked out once and each of
its servers only puts its own name in, by position.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from operator import attrgetter

from .bulk import no_collection
from .errors import OptionsError, PlanError, Problem
from .fields import DistinguishedName, SanEntry
from .issuers import settle_issuer, target_ca
from .names import DnsName
from .options import DEFAULT_OPTIONS, PlanOptions
from .plan import CertificatePlan, PlannedCertificate
from .pool_names import Recipe
from .recipes import PlanContext, plan_context
from .rules import Rules
from .topology import Computer, Pool, Topology

# Stands for the server's name while a pool's names are worked out; no host name is like it.
_SERVER = DnsName("\0")

_SHARED_BY = {"computer": "server", "pool": "pool", "deployment": "deployment"}


def plan_certificates(
    topology: Topology, rules: Rules, *, options: PlanOptions = DEFAULT_OPTIONS
) -> CertificatePlan:
    """List every certificate the topology needs.

    Parameters
    ----------
    topology : Topology
        n computers in p pools over s SIP domains.
    rules : Rules
        What one product version asks of each role.
    options : PlanOptions, optional
        Choices that neither table nor rules make, e.g. ``wildcard``.

    Returns
    -------
    CertificatePlan
        One entry per certificate, by site, pool, computer, usage; the deployment's last. A name
        that the topology lacks is left out, also as subject; the checks say which.

    Raises
    ------
    PlanError
        If the product does not know a role; all of them at once.
    OptionsError
        If an option names a usage or role that the product does not have.

    Notes
    -----
    Source: RFC 5280 section 4.2.1.6; each name carries the ids of its own rules and their sources.
    """
    _check_roles(topology, rules)
    _check_options(rules, options)
    context = plan_context(topology, rules, options)
    with no_collection():
        parts = [plan_pool(pool, context) for pool in topology.pools]
        return _assembled(topology, context, parts)


def replan(previous: CertificatePlan, topology: Topology) -> CertificatePlan:
    """Plan a topology again after an edit, with the rules and options of an earlier plan.

    Parameters
    ----------
    previous : CertificatePlan
        Made by :func:`plan_certificates` or by this function.
    topology : Topology
        Pools that are the very objects of ``previous.topology`` keep their certificates.

    Returns
    -------
    CertificatePlan
        Equal to what :func:`plan_certificates` gives. Only the pools concerned are derived again;
        all of them if SIP domains or simple URLs changed.

    Raises
    ------
    PlanError
        If the product does not know a role.
    """
    _check_roles(topology, previous.rules)
    context = plan_context(topology, previous.rules, previous.options)
    before = plan_context(previous.topology, previous.rules, previous.options)
    kept = {}
    if (before.sip_domains, before.sites) == (context.sip_domains, context.sites):
        # A reverse proxy carries names of other pools, so it stays only if those did.
        changing = set() if before.published == context.published else _publishing(context.rules)
        kept = {
            id(pool): part
            for pool, part in zip(previous.topology.pools, previous.by_pool, strict=False)
            if pool.role not in changing
        }
    parts = [
        kept[id(pool)] if id(pool) in kept else plan_pool(pool, context) for pool in topology.pools
    ]
    return _assembled(topology, context, parts)


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
    columns = [_issue(recipe, pool, context) for recipe in context.recipes(pool)]
    if len(columns) == 1:
        return tuple(columns[0])
    if len({len(column) for column in columns}) == 1:
        return tuple(certificate for row in zip(*columns) for certificate in row)
    return tuple(certificate for column in columns for certificate in column)


def _assembled(
    topology: Topology, context: PlanContext, parts: list[tuple[PlannedCertificate, ...]]
) -> CertificatePlan:
    parts.append(_of_deployment(topology, context))
    return CertificatePlan(
        topology=topology,
        rules=context.rules,
        options=context.options,
        certificates=tuple(chain.from_iterable(parts)),
        by_pool=tuple(parts),
    )


def _of_deployment(topology: Topology, context: PlanContext) -> tuple[PlannedCertificate, ...]:
    """Plan the certificates that the deployment has once, for all servers that need them."""
    found = []
    for rule in context.rules.certificates:
        pools = [pool for pool in topology.pools if rule.needed_by and pool.role in rule.needed_by]
        if pools:
            computers = [computer for pool in pools for computer in pool.computers]
            computers.sort(key=attrgetter("fqdn"))
            all_servers = Pool(
                fqdn=DnsName(),
                role=rule.role,
                site="",
                computers=tuple(computers),
                flags=frozenset(),
            )
            recipes = (r for r in context.recipes(all_servers) if r.rule is rule)
            found += [c for recipe in recipes for c in _issue(recipe, all_servers, context)]
    return tuple(found)


def _issue(recipe: Recipe, pool: Pool, context: PlanContext) -> list[PlannedCertificate]:
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
    if not any(computer.issuer for computer in computers):
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
        servers=tuple(computer.fqdn for computer in pool.computers),
        subject=_subject(recipe.common_name(pool, server), options),
        subject_alt_name=recipe.entries(recipe.names(pool, server), pool, server),
        issuer=recipe.issuer,
        ca=recipe.ca,
        # The package must open on the oldest system, too.
        target_os=options.target_os or min(computer.target_os for computer in pool.computers),
    )


def _issue_each(
    common: tuple, recipe: Recipe, pool: Pool, options: PlanOptions
) -> list[PlannedCertificate]:
    """Make a certificate for each computer of a pool: its names with a gap for the server's."""
    names = recipe.names(pool, _SERVER)
    entries = recipe.entries(names, pool, _SERVER)
    gap, own = next(((n, e) for n, e in enumerate(entries) if e.name is _SERVER), (None, None))
    before, after = entries[:gap], entries[gap + 1 :] if own else ()
    common_name = recipe.common_name(pool, _SERVER)
    subject = None if common_name is _SERVER else _subject(common_name, options)
    issued = []
    for computer in pool.computers:
        server = computer.fqdn
        if server in names:  # it is also the pool's name, or a web name: the reasons add up
            san = recipe.entries(recipe.names(pool, server), pool, server)
        else:
            san = (*before, SanEntry(server, own.reasons), *after) if own else entries
        issued.append(
            PlannedCertificate(
                *common,
                (server,),
                subject or _subject(server, options),
                san,
                recipe.issuer,
                recipe.ca,
                options.target_os or computer.target_os,
            )
        )
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


def _publishing(rules: Rules) -> set[str]:
    """List the roles whose certificates carry names of other pools."""
    return {
        rule.role
        for rule in rules.certificates
        for name in (rule.subject_name, *rule.subject_alt_name)
        if rules.names[name].parts[1].startswith("published.")
    }


def _check_roles(topology: Topology, rules: Rules) -> None:
    problems = tuple(
        Problem(
            message=f'{pool.computers[0].fqdn} has the role "{pool.role}", which {rules.title} '
            "does not know",
            value=pool.role,
        )
        for pool in topology.pools
        if pool.role not in rules.roles
    )
    if problems:
        raise PlanError(
            "no plan can be made of this topology",
            problems=problems,
            hint=f"the roles of {rules.title} are {', '.join(rules.roles)}",
        )


def _check_options(rules: Rules, options: PlanOptions) -> None:
    known = rules.usages | set(rules.roles)
    for setting, more in (("issuer", {""}), ("ca", {"", "internal", "public"})):
        for key in getattr(options, setting):
            if key not in known | more:
                raise OptionsError(
                    f'option {setting} is given for "{key}", which is neither a usage nor a role '
                    f"of {rules.title}",
                    hint=f"known are {', '.join(sorted(known | more - {''}))}",
                )
