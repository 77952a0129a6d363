"""Who speaks to whom, and by which names that stand on planned certificates. Pure.

The rules say which role speaks to which (``[[connection]]``); the plan says which pools there are
and what their certificates carry. A connection for which no certificate carries a name is left
out: nobody could check it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..rules.model import ConnectionRule
from ..topology.model import Pool
from .model import CertificatePlan, PlannedCertificate

#: One role in one site.
_Place = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Speakers of one kind that know one pool by the same names.

    Attributes
    ----------
    rule : ConnectionRule
        Who, by which protocol, why.
    listener : Pool
        Whose certificate is shown.
    speaker : str
        Id of a role, or of a party that is none.
    site : str or None
        Site of the speaking pools; None: they are of any site, or it is a party.
    pools : int
        How many pools speak, the listener itself not counted; 0 for a party.
    names : tuple of str
        The names by which they know it, as they stand on its certificates; never empty.
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
    """Gather the certificates of each pool, under (pool name, role); ("", role) for all servers."""
    found: dict[_Place, list[PlannedCertificate]] = {}
    for certificate in plan.certificates:
        found.setdefault((certificate.pool, certificate.role), []).append(certificate)
    return {key: tuple(values) for key, values in found.items()}


def list_connections(plan: CertificatePlan) -> tuple[Connection, ...]:
    """List who speaks to whom.

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
    found: list[Connection] = []
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
                found.append(
                    Connection(
                        rule=rule,
                        listener=pool,
                        speaker=speaker,
                        site=site,
                        pools=number,
                        names=names,
                    )
                )
    return tuple(found)


def names_for(rule: ConnectionRule, certificates: Iterable[PlannedCertificate]) -> tuple[str, ...]:
    """Give the names of a connection that stand on some certificate shown in it.

    Returns
    -------
    tuple of str
        Each once: the alternative names that the rule's names gave, and the subject's name where
        there are no alternative names.
    """
    wanted = frozenset(rule.names)
    found: dict[str, None] = {}
    for certificate in certificates:
        if rule.usage in certificate.usages or not (rule.usage or certificate.usages):
            for entry in certificate.subject_alt_name:
                # A plan on record may not keep why a name is there: then each may be meant.
                if not entry.reasons or not wanted.isdisjoint(entry.reasons):
                    found[str(entry.name)] = None
            if not certificate.subject_alt_name and certificate.subject.common_name:
                found[certificate.subject.common_name] = None
    return tuple(found)


def _speakers(
    rule: ConnectionRule,
    listener: Pool,
    plan: CertificatePlan,
    counts: Mapping[str, Mapping[str, int]],
    alone: Mapping[str, Sequence[str]],
) -> Iterator[tuple[str, str | None, int]]:
    """Yield the kinds of speakers to one pool: role or party, site, number of pools.

    ``alone`` names, by role, the sites that have no listener of their own.
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
        # A blank site is that of all sites; a listener in it is near to everybody.
        near = (listener.site, "") if listener.site else tuple(by_site)
        for site in dict.fromkeys((*near, *alone.get(speaker, ()))):
            number = by_site.get(site, 0) - (own and site == listener.site)
            if number:
                yield speaker, site, number
