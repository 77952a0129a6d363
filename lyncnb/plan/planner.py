"""Derive ``CertificatePlan`` from ``Topology``, ``Rules`` and ``PlanOptions``. Pure.

lyncnb derives certificates per distinct pool, not per server, and assembles the plan from its
pools. After an edit it derives only the affected pools again.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, repeat
from operator import attrgetter

from ..base.arguments import require
from ..base.certificate_fields import DistinguishedName, SanEntry
from ..base.dns_name import DnsName
from ..base.garbage_collection import no_collection
from ..errors import OptionsError, PlanError, Problem
from ..rules.model import Rules
from ..rules.returned_rules import every_check, may_be_accepted, returned_checks
from ..rules.rule_files import load_rules, product_titles, products
from ..topology.model import Computer, Pool, Site
from ..topology.topology import Topology
from .certificate_names import (
    BACKUP_POOL,
    PlanContext,
    ResolvedRule,
    plan_context,
    publishing_roles,
)
from .collocation import one_for_each_usage, shared_servers
from .issuers import settle_issuer, target_ca
from .model import CertificatePlan, PlannedCertificate
from .options import DEFAULT_OPTIONS, PlanOptions

# The certificates of one pool: names are resolved once; each server's name is inserted by position.

# Placeholder for the server's name while a pool's names are resolved; it is not a valid host name.
_SERVER = DnsName("\0")

#: The values that differ between certificates of one rule and pool: servers, subject, names,
#: target_os.
_Row = tuple[tuple[str, ...], DistinguishedName, tuple[SanEntry, ...], str]

_SHARED_BY = {"computer": "server", "pool": "pool", "deployment": "deployment"}

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
        From :func:`lyncnb.plan.certificate_names.plan_context`, for a topology with the pool.

    Returns
    -------
    tuple of PlannedCertificate
        For each rule of the role one certificate, or one for each of the m computers.
    """
    columns = [issue(resolved, pool, context) for resolved in context.resolved_rules(pool)]
    if len(columns) == 1:
        return tuple(columns[0])
    if len({len(column) for column in columns}) == 1:
        return tuple(certificate for row in zip(*columns) for certificate in row)
    return tuple(certificate for column in columns for certificate in column)


def issue(resolved: ResolvedRule, pool: Pool, context: PlanContext) -> list[PlannedCertificate]:
    """Create the certificates of one rule: one for each computer, or one for all computers."""
    options, computers = context.options, pool.computers
    rows: Iterable[_Row]
    groups: Iterable[tuple[Computer, ...]]
    if resolved.rule.issue_per != "computer" or len(computers) == 1:
        rows = [_row_shared(resolved, pool, context)]
        groups = [computers]
    else:
        rows = _rows_each(resolved, pool, context)
        groups = zip(computers)
    rule = resolved.rule
    shared_by = _SHARED_BY[rule.issue_per]
    issued = [
        PlannedCertificate(
            role=rule.role,
            site=pool.site,
            pool=pool.fqdn,
            servers=servers,
            usages=rule.usages,
            subject=subject,
            subject_alt_name=subject_alt_name,
            extended_key_usage=resolved.extended_key_usage,
            issuer=resolved.issuer,
            ca=resolved.ca,
            key=options.key,
            hash=options.hash,
            shared_by=shared_by,
            target_os=target_os,
            rule=rule.id,
        )
        for servers, subject, subject_alt_name, target_os in rows
    ]
    if any(map(_ISSUER_OF, computers)):
        issued = [
            _as_asked(certificate, resolved, group, options)
            for certificate, group in zip(issued, groups)
        ]
    if options.at_set_up:
        issued = [item._replace(at_set_up=item.id in options.at_set_up) for item in issued]
    return issued


def _row_shared(resolved: ResolvedRule, pool: Pool, context: PlanContext) -> _Row:
    """Return the specific values of the certificate that all computers of a pool share."""
    server = pool.computers[0].fqdn  # names with this placeholder are for single servers only
    return (
        tuple(map(_NAME_OF, pool.computers)),
        context.subject.of_host(resolved.common_name(pool, server)),
        resolved.entries(resolved.names(pool, server), pool, server),
        # The oldest server must be able to import the package.
        context.options.target_os or min(map(_SYSTEM_OF, pool.computers)),
    )


def _rows_each(resolved: ResolvedRule, pool: Pool, context: PlanContext) -> Iterable[_Row]:
    """Return the specific values of each computer's certificate."""
    names = resolved.names(pool, _SERVER)
    entries = resolved.entries(names, pool, _SERVER)
    own = names.get(_SERVER)
    gap = entries.index(own) if own else 0
    before, after = entries[:gap], entries[gap + 1 :]
    servers = list(map(_NAME_OF, pool.computers))
    if own:
        reasons = own.reasons
        sans = [(*before, SanEntry(name, reasons), *after) for name in servers]
    else:
        sans = [entries] * len(servers)
    if not names.keys().isdisjoint(servers):
        for at, server in enumerate(servers):
            if server in names:  # it is also the pool's name or a web name, so merge the reasons
                sans[at] = resolved.entries(resolved.names(pool, server), pool, server)
    common_name = resolved.common_name(pool, _SERVER)
    subjects: Iterable[DistinguishedName] = map(context.subject.of_host, servers)
    if common_name is not _SERVER:
        subjects = repeat(context.subject.of_host(common_name))
    system = context.options.target_os
    systems: Iterable[str] = repeat(system) if system else map(_SYSTEM_OF, pool.computers)
    return zip(zip(servers), subjects, sans, systems)


def _as_asked(
    certificate: PlannedCertificate,
    resolved: ResolvedRule,
    computers: Iterable[Computer],
    options: PlanOptions,
) -> PlannedCertificate:
    """Apply the issuer that the table requests."""
    issuer = settle_issuer(resolved.rule, computers, options)
    return certificate._replace(issuer=issuer, ca=target_ca(resolved.rule, issuer, options))


def plan_certificates(
    topology: Topology, rules: Rules, *, options: PlanOptions = DEFAULT_OPTIONS
) -> CertificatePlan:
    """List every certificate that the topology needs.

    Parameters
    ----------
    topology : Topology
        n computers in p pools over s SIP domains.
    rules : Rules
        The requirements of one product version for each role.
    options : PlanOptions, optional
        The planner's options, e.g. ``wildcard``.

    Returns
    -------
    CertificatePlan
        One entry per certificate, by site, pool, computer, usage; the deployment's last. Names that
        the topology lacks are omitted, also as subject; the checks report them.

    Raises
    ------
    PlanError
        If the product does not know a role; lists all unknown roles.
    OptionsError
        If an option names a usage, a role or a finding that the product does not have, or if
        options and rules are for different products.

    Notes
    -----
    Source: RFC 5280 section 4.2.1.6; each name has the ids of its rules with their sources.
    """
    options = settled_options(topology, rules, options)
    context = plan_context(topology, rules, options)
    with no_collection():
        parts = [plan_pool(pool, context) for pool in topology.pools]
        return _assembled(topology, context, parts)


def rules_for(topology: Topology, options: PlanOptions) -> Rules:
    """Load the rules of the product in the options, else of the table's product.

    Raises
    ------
    RulesError
        If the product does not exist.
    """
    require("topology", topology, Topology)
    require("options", options, PlanOptions)
    is_default = options.product == DEFAULT_OPTIONS.product
    of_table = is_default and topology.product in products()
    return load_rules(topology.product if of_table else options.product)


def settled_options(topology: Topology, rules: Rules, options: PlanOptions) -> PlanOptions:
    """Return the options with the rules' product, or reject invalid input.

    Raises
    ------
    PlanError, OptionsError
        As for :func:`plan_certificates`, except for names that are too long.
    """
    require("topology", topology, Topology)
    require("rules", rules, Rules)
    require("options", options, PlanOptions)
    _check_roles(topology.pools, rules)
    options = _of_product(options, rules)
    _check_options(rules, options)
    return options


def replan(previous: CertificatePlan, topology: Topology) -> CertificatePlan:
    """Plan an edited topology with the rules and options of an earlier plan.

    Parameters
    ----------
    previous : CertificatePlan
        From :func:`plan_certificates` or this function.
    topology : Topology
        Pools that are the same objects as in ``previous.topology`` keep their certificates.

    Returns
    -------
    CertificatePlan
        Equal to the result of :func:`plan_certificates`. Only the affected pools are derived again:
        all pools of a site if its simple URLs changed, all pools if SIP domains changed.

    Raises
    ------
    PlanError
        If the product does not know a role.
    """
    rules, old, by_pool = previous.rules, previous.topology, previous.by_pool
    kept: dict[int, tuple[PlannedCertificate, ...]] = {}
    sites = _differing(old.sites, topology.sites)
    if old.sip_domains == topology.sip_domains:
        pools = zip(old.pools, by_pool, strict=False)
        kept = {id(pool): part for pool, part in pools if pool.site not in sites}
    present = set(map(id, topology.pools))
    added = [pool for pool in topology.pools if id(pool) not in kept]
    removed = [pool for pool in old.pools if id(pool) not in present]
    _check_roles(added, rules)
    if sites or any(rules.roles[pool.role].publish_order for pool in (*added, *removed)):
        publishing = publishing_roles(rules)  # their certificates have names of other pools
        for pool in topology.pools:
            if pool.role in publishing:
                kept.pop(id(pool), None)
    for pool in topology.pools:
        if pool.further_names and pool.names_in(BACKUP_POOL):
            kept.pop(id(pool), None)  # it has names of its backup pool's site
    for here in shared_servers(old.pools, rules).values():
        for pool in here:
            kept.pop(id(pool), None)  # the role on the same server may be gone
    context = plan_context(topology, rules, previous.options)
    with no_collection():
        parts = [
            kept[id(pool)] if id(pool) in kept else plan_pool(pool, context)
            for pool in topology.pools
        ]
    same_servers = kept and not sites and _needing(added, rules) == _needing(removed, rules)
    return _assembled(topology, context, parts, by_pool[-1] if same_servers else None)


def _differing(before_sites: Iterable[Site], after_sites: Iterable[Site]) -> set[str]:
    """Return the sites that are missing or have other simple URLs on one side."""
    before, after = ({site.name: site for site in sites} for sites in (before_sites, after_sites))
    return {name for name in before | after if before.get(name) != after.get(name)}


def _assembled(
    topology: Topology,
    context: PlanContext,
    parts: list[tuple[PlannedCertificate, ...]],
    of_deployment: tuple[PlannedCertificate, ...] | None = None,
) -> CertificatePlan:
    if of_deployment is None:
        of_deployment = _of_deployment(topology, context)
    parts = one_for_each_usage(topology.pools, parts, context.rules)
    parts.append(of_deployment)
    return CertificatePlan(
        topology=topology,
        rules=context.rules,
        options=context.options,
        certificates=tuple(chain.from_iterable(parts)),
        by_pool=tuple(parts),
    )


def _needing(pools: Iterable[Pool], rules: Rules) -> set[tuple[str, Computer]]:
    """Collect the servers that need a certificate of the deployment."""
    roles = {role for rule in rules.certificates for role in rule.needed_by}
    return {(pool.role, c) for pool in pools if pool.role in roles for c in pool.computers}


def _of_deployment(topology: Topology, context: PlanContext) -> tuple[PlannedCertificate, ...]:
    """Plan the certificates that all servers of the deployment share."""
    certificates = []
    for rule in context.rules.certificates:
        if not rule.needed_by:
            continue
        pools = [pool for pool in topology.pools if pool.role in rule.needed_by]
        if pools:
            # The names of one pool are often similar, so the sort finds long sorted runs.
            pools.sort(key=lambda pool: pool.computers[0].fqdn)
            by_name = {computer.fqdn: computer for pool in pools for computer in pool.computers}
            computers = sorted(by_name.values(), key=attrgetter("fqdn"))
            all_servers = Pool(
                fqdn=DnsName(),
                role=rule.role,
                site="",
                computers=tuple(computers),
                flags=frozenset(),
            )
            resolved_rules = (r for r in context.resolved_rules(all_servers) if r.rule is rule)
            certificates += [
                c for resolved in resolved_rules for c in issue(resolved, all_servers, context)
            ]
    return tuple(certificates)


def _check_roles(pools: Iterable[Pool], rules: Rules) -> None:
    problems = tuple(
        Problem(
            message=f'{pool.computers[0].fqdn} has the role "{pool.role}", which {rules.title} '
            "does not know",
            value=pool.role,
        )
        for pool in pools
        if pool.role not in rules.roles
    )
    if problems:
        raise PlanError(
            "lyncnb cannot plan this topology",
            problems=problems,
            hint=_where_known({problem.value for problem in problems}, rules),
        )


def _where_known(roles: set[str], rules: Rules) -> str:
    """Return a hint: products with the unknown roles, or else the known roles."""
    titles = product_titles()
    others = [name for name in titles if name != rules.product]
    knowing = [name for name in others if roles.issubset(load_rules(name).roles)]
    if knowing:
        listed = ", ".join(f"{name} ({titles[name]})" for name in knowing)
        return f"plan these servers with a product that has their role: {listed}"
    return f"the roles of {rules.title} are {', '.join(rules.roles)}"


def _of_product(options: PlanOptions, rules: Rules) -> PlanOptions:
    """Return options with the product of the rules; reject options for another product."""
    if options.product == rules.product:
        return options
    if options.product == DEFAULT_OPTIONS.product:  # the planner did not choose a product
        return replace(options, product=rules.product)
    known = product_titles()
    raise OptionsError(
        f'the options are for "{options.product}" and the rules for "{rules.product}"',
        hint=f'load the rules of "{options.product}", or change product in the options'
        if options.product in known
        else f"the products are {', '.join(known)}",
    )


def _check_options(rules: Rules, options: PlanOptions) -> None:
    for code in options.accepted:
        if code in returned_checks() and not may_be_accepted(code):
            raise OptionsError(
                f'option accepted names "{code}", which cannot be accepted: '
                f"{returned_checks()[code].title}",
                hint=returned_checks()[code].hint,
            )
        if code not in every_check(rules):
            # A misspelled code accepts nothing, and the planner would look for the reason
            # elsewhere.
            near = difflib.get_close_matches(code, every_check(rules), n=3, cutoff=0.4)
            raise OptionsError(
                f'option accepted names "{code}", but {rules.title} has no finding with that code',
                hint=f"did you mean {', '.join(near)}?" if near else "use a code from lyncnb check",
            )
    if rules.oldest_client(options.oldest_client) is None and options.oldest_client:
        raise OptionsError(
            f'option oldest_client is "{options.oldest_client}", which {rules.title} does not list',
            hint=f"it must be one of {', '.join(client.id for client in rules.clients) or 'none'}",
        )
    known = rules.usages | set(rules.roles)
    for setting, more in (("issuer", {""}), ("ca", {"", "internal", "public"})):
        for key in getattr(options, setting):
            if key.lower() not in {name.lower() for name in known | more}:
                raise OptionsError(
                    f'option {setting} has a value for "{key}", which is not a usage or role '
                    f"of {rules.title}",
                    hint=f"known: {', '.join(sorted(known | more - {''}))}",
                )
