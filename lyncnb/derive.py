"""``Topology`` + ``Rules`` + ``PlanOptions`` to ``CertificatePlan``. Pure: no disk, no clock.

One derivation per distinct pool, not per server: a pool's names are worked out once and each of
its servers only puts its own name in, by position.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .errors import OptionsError, PlanError, Problem
from .fields import DistinguishedName, SanEntry
from .names import DnsName
from .options import DEFAULT_OPTIONS, PlanOptions
from .plan import CertificatePlan, PlannedCertificate
from .recipes import PlanContext, Recipe, plan_context
from .rules import CertificateRule, Rules
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
        certificates=tuple(certificate for part in parts for certificate in part),
        by_pool=tuple(parts),
    )


def _of_deployment(topology: Topology, context: PlanContext) -> tuple[PlannedCertificate, ...]:
    """Plan the certificates that the deployment has once, for all servers that need them."""
    found = []
    for rule in context.rules.certificates:
        computers = [
            computer
            for pool in topology.pools
            if pool.role in rule.needed_by
            for computer in pool.computers
        ]
        if computers:
            computers.sort(key=lambda computer: computer.fqdn)
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
    rule = recipe.rule
    options = context.options
    common_name = recipe.common_name(pool, _SERVER)
    entries = recipe.entries(pool, _SERVER)
    names = recipe.reasons(pool, _SERVER)
    place = next((n for n, entry in enumerate(entries) if entry.name is _SERVER), None)
    groups = [pool.computers] if rule.issue_per != "computer" else [(c,) for c in pool.computers]
    issued = []
    for computers in groups:
        server = computers[0].fqdn
        issuer = _issuer(rule, computers, options)
        if place is None:
            own = entries
        elif server in names:  # it is also the pool's name, or a web name: reasons must be merged
            own = recipe.entries(pool, server)
        else:
            entry = SanEntry(server, entries[place].reasons)
            own = (*entries[:place], entry, *entries[place + 1 :])
        issued.append(
            PlannedCertificate(
                role=rule.role,
                site=pool.site,
                pool=str(pool.fqdn),
                servers=tuple(str(computer.fqdn) for computer in computers),
                usages=rule.usages,
                subject=_subject(server if common_name is _SERVER else common_name, options),
                subject_alt_name=own,
                extended_key_usage=recipe.extended_key_usage,
                issuer=issuer,
                ca=_ca(rule, issuer, options),
                key=options.key,
                hash=options.hash,
                shared_by=_SHARED_BY[rule.issue_per],
                target_os=options.target_os or min(c.target_os for c in computers),
                rule=rule.id,
            )
        )
    return issued


def _subject(common_name: str, options: PlanOptions) -> DistinguishedName:
    return DistinguishedName(
        common_name=str(common_name),
        organization=options.organization,
        organizational_unit=options.organizational_unit,
        locality=options.locality,
        state=options.state,
        country=options.country,
    )


def _issuer(rule: CertificateRule, computers: Iterable[Computer], options: PlanOptions) -> str:
    """Settle who issues: an option beats the cells, a cell beats the rule."""
    return (
        _settled(_asked(rule, options.issuer))
        or _settled(issuers_asked(rule, computers))
        or rule.issuer
    )


def issuers_asked(rule: CertificateRule, computers: Iterable[Computer]) -> frozenset[str]:
    """Collect what the table's cells ask as issuer of one certificate.

    Parameters
    ----------
    rule : CertificateRule
        The certificate.
    computers : iterable of Computer
        The servers it is for.

    Returns
    -------
    frozenset of str
        Of ``internal`` and ``public``: none if no cell says anything; both if servers that share
        the certificate disagree, or cells for usages that it combines.
    """
    return frozenset().union(*(_asked(rule, dict(c.issuer)) for c in computers if c.issuer))


def _asked(rule: CertificateRule, choices: Mapping[str, str]) -> set[str]:
    """Collect the choices for a certificate: for its usages or role, else the general one."""
    special = {choices[key] for key in (*rule.usages, rule.role) if key in choices}
    return special or ({choices[""]} if "" in choices else set())


def _settled(asked: Iterable[str]) -> str:
    # Where the table asks for both, a public certificate serves both ends; an internal one fails
    # for everybody outside. The checks report the disagreement.
    return "public" if "public" in asked else "".join(asked)


def _ca(rule: CertificateRule, issuer: str, options: PlanOptions) -> str:
    """Find the name of the CA that is to issue, by usage, role, issuer, or for all."""
    return next(
        (options.ca[key] for key in (*rule.usages, rule.role, issuer, "") if key in options.ca), ""
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
