"""The TLS connections of a plan, with the names on planned certificates that they use. Pure.

The rules define the connections between roles (``[[connection]]``); the plan provides the pools and
the names on their certificates. The list omits a connection without a name on a certificate,
because nobody could check it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..rules.model import ConnectionRule
from ..topology.model import Pool
from .model import CertificatePlan, PlannedCertificate

#: A role and a site, or a pool name and a role.
_Place = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Speakers of one kind that connect to one pool with the same names.

    Attributes
    ----------
    rule : ConnectionRule
        The roles, the protocol, and the reason.
    listener : Pool
        The pool that presents its certificate.
    speaker : str
        Id of a role or a party.
    site : str or None
        Site of the speaking pools; None for any site or a party.
    pools : int
        Number of speaking pools without the listener itself; 0 for a party.
    names : tuple of str
        The names that they use, as on the listener's certificates; never empty.
    """

    rule: ConnectionRule
    listener: Pool
    speaker: str
    site: str | None
    pools: int
    names: tuple[str, ...]


def certificates_by_pool(
    plan: CertificatePlan,
) -> Mapping[_Place, tuple[PlannedCertificate, ...]]:
    """Group certificates by (pool name, role), or ("", role) for all servers."""
    groups: dict[_Place, list[PlannedCertificate]] = {}
    for certificate in plan.certificates:
        groups.setdefault((certificate.pool, certificate.role), []).append(certificate)
    return {key: tuple(values) for key, values in groups.items()}


def list_connections(plan: CertificatePlan) -> tuple[Connection, ...]:
    """List the connections of a plan.

    Parameters
    ----------
    plan : CertificatePlan
        Certificates of p pools.

    Returns
    -------
    tuple of Connection
        By rule, listening pool, speaker.
    """
    certificates = certificates_by_pool(plan)
    counts: dict[str, dict[str, int]] = {}  # pools by role and site
    listeners: dict[str, list[Pool]] = {}
    for pool in plan.topology.pools:
        of_role = counts.setdefault(pool.role, {})
        of_role[pool.site] = of_role.get(pool.site, 0) + 1
        listeners.setdefault(pool.role, []).append(pool)
    connections: list[Connection] = []
    for rule in plan.rules.connections:
        pools = [pool for role in rule.listeners for pool in listeners.get(role, ())]
        with_names = [
            (pool, names)
            for pool in pools
            if pool.flags.issuperset(rule.if_all)
            and (names := names_for(rule, certificates.get((pool.fqdn, pool.role), ())))
        ]
        served = {pool.site for pool, _ in with_names}
        alone = {
            speaker: tuple(site for site in counts.get(speaker, ()) if site and site not in served)
            for speaker in rule.speakers
            if rule.reach == "nearest" and "" not in served
        }
        for pool, names in with_names:
            for speaker, site, number in _speakers(rule, pool, plan, counts, alone):
                connections.append(
                    Connection(
                        rule=rule,
                        listener=pool,
                        speaker=speaker,
                        site=site,
                        pools=number,
                        names=names,
                    )
                )
    return tuple(connections)


def names_for(rule: ConnectionRule, certificates: Iterable[PlannedCertificate]) -> tuple[str, ...]:
    """Return the names of a connection that are on one of its certificates.

    Returns
    -------
    tuple of str
        Distinct names: the alternative names from the rule's name rules, or the subject name if
        there are no alternative names.
    """
    wanted = frozenset(rule.names)
    names: dict[str, None] = {}
    for certificate in certificates:
        if rule.usage in certificate.usages or not (rule.usage or certificate.usages):
            for entry in certificate.subject_alt_name:
                # A saved plan may lack the reasons of names; then any name may be the one in use.
                if not entry.reasons or not wanted.isdisjoint(entry.reasons):
                    names[str(entry.name)] = None
            if not certificate.subject_alt_name and certificate.subject.common_name:
                names[certificate.subject.common_name] = None
    return tuple(names)


def _speakers(
    rule: ConnectionRule,
    listener: Pool,
    plan: CertificatePlan,
    counts: Mapping[str, Mapping[str, int]],
    alone: Mapping[str, Sequence[str]],
) -> Iterator[tuple[str, str | None, int]]:
    """Yield the kinds of speakers to one pool: role or party, site, number of pools.

    ``alone`` contains, by role, the sites without a listener of their own.
    """
    for speaker in rule.speakers:
        if speaker in plan.rules.parties:
            yield speaker, None, 0
            continue
        by_site = counts.get(speaker, {})
        own = int(speaker == listener.role)
        if rule.reach == "deployment":
            if number := sum(by_site.values()) - own:
                yield speaker, None, number
            continue
        # A blank site means all sites; a listener in it is near to all speakers.
        near = (listener.site, "") if listener.site else tuple(by_site)
        for site in dict.fromkeys((*near, *alone.get(speaker, ()))):
            number = by_site.get(site, 0) - (own and site == listener.site)
            if number:
                yield speaker, site, number
