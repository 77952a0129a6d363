"""Create a ``CertificatePlan`` from a ``Topology``, ``Rules``, and ``PlanOptions``.

lyncnb determines the certificates for each pool, not for each server, and combines the results.
After an edit, it plans only the affected pools again.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from itertools import chain, repeat
from operator import attrgetter
from typing import TypeVar

from ..base.arguments import check_type
from ..base.certificate_fields import DistinguishedName, SanEntry
from ..base.dns_name import DnsName
from ..base.garbage_collection import pause_garbage_collection
from ..errors import OptionsError, PlanError, Problem
from ..rules.model import Rules
from ..rules.returned_rules import (
    EARLIER_CODES,
    is_acceptable,
    list_all_checks,
    list_returned_checks,
)
from ..rules.rule_files import list_product_titles, list_products, load_rules
from ..topology.model import Computer, Pool, Site
from ..topology.topology import Topology
from .certificate_names import (
    BACKUP_POOL,
    PlanContext,
    ResolvedRule,
    find_publishing_roles,
    plan_context,
)
from .collocation import find_shared_servers, remove_duplicate_usages
from .issuers import choose_issuer, find_target_ca
from .model import CertificatePlan, PlannedCertificate
from .options import DEFAULT_OPTIONS, STAND_ALONE, PlanOptions

# --- The following functions plan the certificates for a pool. The names are determined once, and
# then the name of each server is inserted.

# The placeholder for the name of a server. It is not a valid host name.
_SERVER = DnsName("\0")

#: The values in which certificates from the same rule differ: servers, subject, names, target_os.
_Row = tuple[tuple[str, ...], DistinguishedName, tuple[SanEntry, ...], str]

_Value = TypeVar("_Value")

_SHARED_BY = {"computer": "server", "pool": "pool", "deployment": "deployment"}

_NAME_OF = attrgetter("fqdn")
_SYSTEM_OF = attrgetter("target_os")
_ISSUER_OF = attrgetter("issuer")


def plan_pool(pool: Pool, context: PlanContext) -> tuple[PlannedCertificate, ...]:
    """Return the certificates for a pool, sorted by server and usage.

    Parameters
    ----------
    pool : Pool
        m servers with the same role.
    context : PlanContext
        From :func:`lyncnb.plan.certificate_names.plan_context`, for a topology with the pool.

    Returns
    -------
    tuple of PlannedCertificate
        For each rule for the role, one certificate, or one for each of the m servers.
    """
    columns = [
        create_certificates(resolved, pool, context)
        for resolved in context.list_resolved_rules(pool)
    ]
    if len(columns) == 1:
        return tuple(columns[0])
    if len({len(column) for column in columns}) == 1:
        return tuple(certificate for row in zip(*columns) for certificate in row)
    return tuple(certificate for column in columns for certificate in column)


def create_certificates(
    resolved_rule: ResolvedRule, pool: Pool, context: PlanContext
) -> list[PlannedCertificate]:
    """Create the certificates from a rule: one for each server, or one for all servers."""
    options, computers = context.options, pool.computers
    rows: Iterable[_Row]
    groups: Iterable[tuple[Computer, ...]]
    if resolved_rule.rule.issue_per != "computer" or len(computers) == 1:
        rows = [_build_shared_values(resolved_rule, pool, context)]
        groups = [computers]
    else:
        rows = _build_server_values(resolved_rule, pool, context)
        groups = zip(computers)
    rule = resolved_rule.rule
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
            extended_key_usage=resolved_rule.extended_key_usage,
            issuer=resolved_rule.issuer,
            ca=resolved_rule.ca,
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
            _apply_requested_issuer(certificate, resolved_rule, group, options)
            for certificate, group in zip(issued, groups)
        ]
    if options.at_set_up:
        issued = [item._replace(at_set_up=item.id in options.at_set_up) for item in issued]
    return issued


def _build_shared_values(resolved_rule: ResolvedRule, pool: Pool, context: PlanContext) -> _Row:
    """Return the servers, subject, names and Windows version for a pool's shared certificate."""
    # Only certificates for single servers contain names with a placeholder for the server.
    # Therefore, the first server is sufficient.
    server = pool.computers[0].fqdn
    return (
        tuple(map(_NAME_OF, pool.computers)),
        context.subject.with_common_name(resolved_rule.find_common_name(pool, server)),
        resolved_rule.build_entries(resolved_rule.list_names(pool, server), pool, server),
        # All servers must be able to import the package, even the server with the oldest Windows
        # version.
        context.options.target_os or min(map(_SYSTEM_OF, pool.computers)),
    )


def _build_server_values(
    resolved_rule: ResolvedRule, pool: Pool, context: PlanContext
) -> Iterable[_Row]:
    """Yield the server, subject, names and Windows version for each certificate in a pool."""
    names = resolved_rule.list_names(pool, _SERVER)
    entries = resolved_rule.build_entries(names, pool, _SERVER)
    server_entry = names.get(_SERVER)
    gap = entries.index(server_entry) if server_entry else 0
    before, after = entries[:gap], entries[gap + 1 :]
    servers = list(map(_NAME_OF, pool.computers))
    if server_entry:
        reasons = server_entry.reasons
        sans = [(*before, SanEntry(name, reasons), *after) for name in servers]
    else:
        sans = [entries] * len(servers)
    if not names.keys().isdisjoint(servers):
        for position, server in enumerate(servers):
            # If the name of a server is also the pool name or a web name, its entry contains the
            # reasons for all of them.
            if server in names:
                sans[position] = resolved_rule.build_entries(
                    resolved_rule.list_names(pool, server), pool, server
                )
    common_name = resolved_rule.find_common_name(pool, _SERVER)
    subjects: Iterable[DistinguishedName] = map(context.subject.with_common_name, servers)
    if common_name is not _SERVER:
        subjects = repeat(context.subject.with_common_name(common_name))
    system = context.options.target_os
    systems: Iterable[str] = repeat(system) if system else map(_SYSTEM_OF, pool.computers)
    return zip(zip(servers), subjects, sans, systems)


def _apply_requested_issuer(
    certificate: PlannedCertificate,
    resolved_rule: ResolvedRule,
    computers: Iterable[Computer],
    options: PlanOptions,
) -> PlannedCertificate:
    """Return the certificate with the issuer from the table's cells and the CA for this issuer."""
    issuer = choose_issuer(resolved_rule.rule, computers, options)
    return certificate._replace(
        issuer=issuer, ca=find_target_ca(resolved_rule.rule, issuer, options)
    )


def plan_certificates(
    topology: Topology, rules: Rules, *, options: PlanOptions = DEFAULT_OPTIONS
) -> CertificatePlan:
    """Create a plan with every certificate that the topology needs.

    Parameters
    ----------
    topology : Topology
        n servers in p pools with s SIP domains.
    rules : Rules
        The requirements for each role in one product version.
    options : PlanOptions, optional
        The plan options, such as ``wildcard``.

    Returns
    -------
    CertificatePlan
        The certificates, sorted by site, pool, server, and usage. Certificates for the complete
        deployment are last. Names that the topology does not contain are omitted, even in the
        subject. The checks report them.

    Raises
    ------
    PlanError
        If a role is not part of the product; the error lists all such roles.
    OptionsError
        If an option contains a usage, role, or finding code that the product does not have, or the
        options and rules are for different products.

    Notes
    -----
    Source: RFC 5280 section 4.2.1.6. Each name has the ids of its rules, which contain their
    sources.
    """
    options = validate_options(topology, rules, options)
    context = plan_context(topology, rules, options)
    with pause_garbage_collection():
        parts = [plan_pool(pool, context) for pool in topology.pools]
        return _assemble_plan(topology, context, parts)


def load_rules_for(topology: Topology, options: PlanOptions) -> Rules:
    """Load the rules for the product in the options, or for the product of the table.

    Raises
    ------
    RulesError
        If the product does not exist.
    """
    check_type("topology", topology, Topology)
    check_type("options", options, PlanOptions)
    is_default = options.product == DEFAULT_OPTIONS.product
    of_table = is_default and topology.product in list_products()
    return load_rules(topology.product if of_table else options.product)


def validate_options(topology: Topology, rules: Rules, options: PlanOptions) -> PlanOptions:
    """Check a topology and options, and return the options with the product of the rules.

    Raises
    ------
    PlanError, OptionsError
        As for :func:`plan_certificates`, except for names that are too long.
    """
    check_type("topology", topology, Topology)
    check_type("rules", rules, Rules)
    check_type("options", options, PlanOptions)
    _check_roles(topology.pools, rules)
    options = _set_product(options, rules)
    options = _replace_earlier_codes(options, list_all_checks(rules))
    _check_options(rules, options)
    return options


def plan_changed_topology(previous_plan: CertificatePlan, topology: Topology) -> CertificatePlan:
    """Plan a changed topology with the rules and options of an earlier plan.

    Parameters
    ----------
    previous_plan : CertificatePlan
        A plan from :func:`plan_certificates` or this function.
    topology : Topology
        The changed topology. The certificates for unchanged pools (the same objects as in
        ``previous.topology``) are kept.

    Returns
    -------
    CertificatePlan
        The same result as from :func:`plan_certificates`. Only the affected pools are planned
        again:
        all pools in a site if the simple URLs changed, and all pools if the SIP domains changed.

    Raises
    ------
    PlanError
        If a role is not part of the product.
    """
    rules, old, by_pool = previous_plan.rules, previous_plan.topology, previous_plan.by_pool
    reused_parts: dict[int, tuple[PlannedCertificate, ...]] = {}
    sites = _find_changed_sites(old.sites, topology.sites)
    if old.sip_domains == topology.sip_domains:
        pools = zip(old.pools, by_pool, strict=False)
        reused_parts = {id(pool): part for pool, part in pools if pool.site not in sites}
    present = set(map(id, topology.pools))
    added = [pool for pool in topology.pools if id(pool) not in reused_parts]
    removed = [pool for pool in old.pools if id(pool) not in present]
    _check_roles(added, rules)
    if sites or any(rules.roles[pool.role].publish_order for pool in (*added, *removed)):
        # The certificates of the publishing roles contain names of other pools, so they can change.
        publishing = find_publishing_roles(rules)
        for pool in topology.pools:
            if pool.role in publishing:
                reused_parts.pop(id(pool), None)
    for pool in topology.pools:
        if pool.further_names and pool.list_names(BACKUP_POOL):
            # The certificate contains names from the site of the backup pool.
            reused_parts.pop(id(pool), None)
    for group in find_shared_servers(old.pools, rules).values():
        for pool in group:
            # Another role on the same server may have been removed, so the certificate can change.
            reused_parts.pop(id(pool), None)
    context = plan_context(topology, rules, previous_plan.options)
    with pause_garbage_collection():
        parts = [
            reused_parts[id(pool)] if id(pool) in reused_parts else plan_pool(pool, context)
            for pool in topology.pools
        ]
    same_servers = (
        reused_parts
        and not sites
        and _find_servers_with_shared_certificate(added, rules)
        == _find_servers_with_shared_certificate(removed, rules)
    )
    return _assemble_plan(topology, context, parts, by_pool[-1] if same_servers else None)


def _find_changed_sites(old_sites: Iterable[Site], new_sites: Iterable[Site]) -> set[str]:
    """Return the sites that only one topology has, or whose simple URLs differ."""
    before, after = ({site.name: site for site in sites} for sites in (old_sites, new_sites))
    return {name for name in before | after if before.get(name) != after.get(name)}


def _assemble_plan(
    topology: Topology,
    context: PlanContext,
    certificates_by_pool: list[tuple[PlannedCertificate, ...]],
    shared_certificates: tuple[PlannedCertificate, ...] | None = None,
) -> CertificatePlan:
    if shared_certificates is None:
        shared_certificates = _plan_deployment(topology, context)
    certificates_by_pool = remove_duplicate_usages(
        topology.pools, certificates_by_pool, context.rules
    )
    certificates_by_pool.append(shared_certificates)
    return CertificatePlan(
        topology=topology,
        rules=context.rules,
        options=context.options,
        certificates=tuple(chain.from_iterable(certificates_by_pool)),
        by_pool=tuple(certificates_by_pool),
    )


def _find_servers_with_shared_certificate(
    pools: Iterable[Pool], rules: Rules
) -> set[tuple[str, Computer]]:
    """Return the servers that need the certificate shared by the whole deployment."""
    roles = {role for rule in rules.certificates for role in rule.needed_by}
    return {(pool.role, c) for pool in pools if pool.role in roles for c in pool.computers}


def _plan_deployment(topology: Topology, context: PlanContext) -> tuple[PlannedCertificate, ...]:
    """Plan the certificates that all servers in the deployment share."""
    certificates = []
    for rule in context.rules.certificates:
        if not rule.needed_by:
            continue
        pools = [pool for pool in topology.pools if pool.role in rule.needed_by]
        if pools:
            # The names in a pool are often already in order, which makes sorting fast.
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
            resolved_rules = (r for r in context.list_resolved_rules(all_servers) if r.rule is rule)
            certificates += [
                c
                for resolved in resolved_rules
                for c in create_certificates(resolved, all_servers, context)
            ]
    return tuple(certificates)


def _check_roles(pools: Iterable[Pool], rules: Rules) -> None:
    problems = tuple(
        Problem(
            message=f'{pool.computers[0].fqdn} has the role "{pool.role}", which is not a role '
            f"in {rules.title}",
            value=pool.role,
        )
        for pool in pools
        if pool.role not in rules.roles
    )
    if problems:
        raise PlanError(
            "lyncnb cannot plan this topology",
            problems=problems,
            hint=_suggest_products({problem.value for problem in problems}, rules),
        )


def _suggest_products(roles: set[str], rules: Rules) -> str:
    """Return a hint with the products that include the roles, or with this product's roles."""
    titles = list_product_titles()
    others = [name for name in titles if name != rules.product]
    knowing = [name for name in others if roles.issubset(load_rules(name).roles)]
    if knowing:
        product_list = ", ".join(f"{name} ({titles[name]})" for name in knowing)
        return f"for these servers, select a product that includes their roles: {product_list}"
    return f"the roles in {rules.title} are {', '.join(rules.roles)}"


def _set_product(options: PlanOptions, rules: Rules) -> PlanOptions:
    """Return the options, with their product set to the product of the rules.

    Raise an error if the user chose another product.
    """
    if options.product == rules.product:
        return options
    # The user did not choose a product, so the product of the rules applies.
    if options.product == DEFAULT_OPTIONS.product:
        return replace(options, product=rules.product)
    known = list_product_titles()
    raise OptionsError(
        f'the options are for the product "{options.product}", but the rules are for '
        f'"{rules.product}"',
        hint=f'load the rules for "{options.product}", or change the option "product"'
        if options.product in known
        else f"the products are {', '.join(known)}",
    )


def _replace_earlier_codes(options: PlanOptions, known: Collection[str]) -> PlanOptions:
    """Replace the codes of earlier versions in the acceptances of findings with today's codes."""
    today = {old: new for old, new in EARLIER_CODES.items() if new and old not in known}
    if not today.keys() & options.accepted.keys():
        return options

    def rename(values: Mapping[str, _Value]) -> dict[str, _Value]:
        # If the planner also accepted today's code, that acceptance applies.
        renamed = {today[code]: value for code, value in values.items() if code in today}
        return renamed | {code: value for code, value in values.items() if code not in today}

    return replace(
        options,
        accepted=rename(options.accepted),
        accepted_until=rename(options.accepted_until),
        accepted_for=rename(options.accepted_for),
    )


def _check_options(rules: Rules, options: PlanOptions) -> None:
    for code in options.accepted:
        if code in list_returned_checks() and not is_acceptable(code):
            raise OptionsError(
                f'the option "accepted" contains "{code}", which you cannot accept: '
                f"{list_returned_checks()[code].title}",
                hint=list_returned_checks()[code].hint,
            )
        if code not in list_all_checks(rules) and code not in EARLIER_CODES:
            # With a misspelled code, no finding would be accepted, and users would not know the
            # reason.
            similar_codes = difflib.get_close_matches(code, list_all_checks(rules), n=3, cutoff=0.4)
            raise OptionsError(
                f'the option "accepted" contains "{code}", which is not the code of a finding '
                f"in {rules.title}",
                hint=f"did you mean {' or '.join(similar_codes)}?"
                if similar_codes
                else "use a code that lyncnb check shows",
            )
    if rules.find_oldest_client(options.oldest_client) is None and options.oldest_client:
        raise OptionsError(
            f'the option "oldest_client" is "{options.oldest_client}", which is not a known '
            f"client of {rules.title}",
            hint="use one of these values: "
            f"{', '.join(client.id for client in rules.clients) or 'none'}",
        )
    known = rules.usages | set(rules.roles)
    for setting, extra_keys in (("issuer", {""}), ("ca", {"", "internal", "public", STAND_ALONE})):
        for key in getattr(options, setting):
            if key.lower() not in {name.lower() for name in known | extra_keys}:
                raise OptionsError(
                    f'the option "{setting}" has a value for "{key}", which is not a usage or '
                    f"role in {rules.title}",
                    hint="use one of these usages or roles: "
                    f"{', '.join(sorted(known | extra_keys - {''}))}",
                )
