"""``Topology`` + ``Rules`` + ``PlanOptions`` to ``CertificatePlan``. Pure: no disk, no clock.

One derivation per distinct pool, not per server; a plan is put together from those of its pools,
so that after an edit only the pools concerned are derived again.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import chain
from operator import attrgetter

from .base.collector import no_collection
from .base.dns_name import DnsName
from .errors import OptionsError, PlanError, Problem
from .options import DEFAULT_OPTIONS, PlanOptions
from .plan import CertificatePlan, PlannedCertificate
from .pool_plan import issue, plan_pool
from .recipes import PlanContext, plan_context
from .rules.model import Rules
from .topology.model import Computer, Pool
from .topology.topology import Topology


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
        If an option names a usage, a role or a finding that the product does not have.

    Notes
    -----
    Source: RFC 5280 section 4.2.1.6; each name carries the ids of its own rules and their sources.
    """
    _check_roles(topology.pools, rules)
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
    rules, old, by_pool = previous.rules, previous.topology, previous.by_pool
    kept: dict[int, tuple[PlannedCertificate, ...]] = {}
    if (old.sip_domains, old.sites) == (topology.sip_domains, topology.sites):
        kept = {id(pool): part for pool, part in zip(old.pools, by_pool, strict=False)}
    present = set(map(id, topology.pools))
    added = [pool for pool in topology.pools if id(pool) not in kept]
    removed = [pool for pool in old.pools if id(pool) not in present]
    _check_roles(added, rules)
    if any(rules.roles[pool.role].publish_order for pool in (*added, *removed)):
        publishing = _publishing(rules)  # such a certificate carries names of other pools
        for pool in topology.pools:
            if pool.role in publishing:
                kept.pop(id(pool), None)
    context = plan_context(topology, rules, previous.options)
    with no_collection():
        parts = [
            kept[id(pool)] if id(pool) in kept else plan_pool(pool, context)
            for pool in topology.pools
        ]
    same_servers = kept and _needing(added, rules) == _needing(removed, rules)
    return _assembled(topology, context, parts, by_pool[-1] if same_servers else None)


def _assembled(
    topology: Topology,
    context: PlanContext,
    parts: list[tuple[PlannedCertificate, ...]],
    of_deployment: tuple[PlannedCertificate, ...] | None = None,
) -> CertificatePlan:
    if of_deployment is None:
        of_deployment = _of_deployment(topology, context)
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
    """Plan the certificates that the deployment has once, for all servers that need them."""
    found = []
    for rule in context.rules.certificates:
        if not rule.needed_by:
            continue
        pools = [pool for pool in topology.pools if pool.role in rule.needed_by]
        if pools:
            # Names of one pool are often alike: so the sort that counts finds long runs.
            pools.sort(key=lambda pool: pool.computers[0].fqdn)
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
            found += [c for recipe in recipes for c in issue(recipe, all_servers, context)]
    return tuple(found)


def _publishing(rules: Rules) -> set[str]:
    """List the roles whose certificates carry names of other pools."""
    return {
        rule.role
        for rule in rules.certificates
        for name in (rule.subject_name, *rule.subject_alt_name)
        if rules.names[name].parts[1].startswith("published.")
    }


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
            "no plan can be made of this topology",
            problems=problems,
            hint=f"the roles of {rules.title} are {', '.join(rules.roles)}",
        )


def _check_options(rules: Rules, options: PlanOptions) -> None:
    for code in options.accepted:
        if code not in rules.checks:
            # A misspelt code accepts nothing, and the planner looks for the reason elsewhere.
            near = difflib.get_close_matches(code, rules.checks, n=3, cutoff=0.4)
            raise OptionsError(
                f'option accepted names "{code}", and {rules.title} has no finding of that code',
                hint=f"did you mean {', '.join(near)}?" if near else "take a code that check shows",
            )
    known = rules.usages | set(rules.roles)
    for setting, more in (("issuer", {""}), ("ca", {"", "internal", "public"})):
        for key in getattr(options, setting):
            if key.lower() not in {name.lower() for name in known | more}:
                raise OptionsError(
                    f'option {setting} is given for "{key}", which is neither a usage nor a role '
                    f"of {rules.title}",
                    hint=f"known are {', '.join(sorted(known | more - {''}))}",
                )
