"""Check for cases in which servers behave differently from the documentation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ..base.dns_name import DnsName
from ..base.shown.tables import join_first_texts
from ..plan.certificate_names import BACKUP_POOL
from ..rules.model import CheckRule
from ..topology.columns import get_column
from ..topology.model import Pool
from .cell_edits import find_rows, set_cells
from .deployment_checks import format_pool_names
from .found import DeploymentTest, Found
from .plan_lookups import PlanView


def find_no_autologon_pool(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a deployment in which no pool is used for automatic sign-in."""
    pools = view.find_pools_with_trait("heeds_autologon")
    if pools and not any("autologon" in pool.flags for pool in pools):
        yield Found(
            view.find_representative(pools[0]),
            f"autologon is blank or false for {format_pool_names(pools)}",
        )


def find_relaxed_matching_does_not_cover(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find SIP domains that need a sip name, because relaxed name matching does not cover them."""
    for pool in view.find_pools_with_trait("heeds_autologon"):
        if "autologon" not in pool.flags or "strict_dns" in pool.flags:
            continue
        others = [d for d in view.plan.topology.sip_domains if not _is_within(pool.fqdn, d)]
        if others:
            names = ", ".join(f"sip.{domain}" for domain in others)
            yield Found(
                view.find_representative(pool),
                f"{pool.fqdn} does not end with {', '.join(others)}. Add {names}",
            )


def find_names_outside_sip_domains(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find names that clients use although they are not in any SIP domain."""
    web, edges = (
        view.find_pools_with_trait("publishes_web"),
        view.find_pools_with_trait("perimeter"),
    )
    met = [name for p in web for name in (p.fqdn, p.web_internal_fqdn, p.web_external_fqdn)]
    met += [pool.access_edge_fqdn for pool in edges]
    domains = view.plan.topology.sip_domains
    parents = {name.partition(".")[2] for name in met if name}
    covered = {parent for parent in parents if any(_is_within(parent, d) for d in domains)}
    outside = dict.fromkeys(
        name
        for name in met
        if name and name.partition(".")[2] not in covered and name not in domains
    )
    if outside:
        message = f"{join_first_texts([*outside], _SHOWN)} (SIP domains: {', '.join(domains)})"
        yield Found(view.find_representative((web or edges)[0]), message)


def find_sip_alias_on_public_certificate(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find SIP aliases of an Edge pool on a certificate from a public CA."""
    for pool in view.find_pools_with_trait("perimeter"):
        aliases = {*pool.list_names("sip_dns_aliases")}
        for certificate in view.find_certificates(rule):
            if certificate.pool == pool.fqdn and aliases.intersection(certificate.names):
                yield Found(certificate.id, join_first_texts(sorted(aliases), _SHOWN))


def find_meet_url_outside_sip_domains(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a Meet URL whose host is not in any SIP domain."""
    domains = view.plan.topology.sip_domains
    for site in view.list_sites_with_web_services():
        for url in site.meet_urls:
            if not any(_is_within(url.host, domain) for domain in domains):
                yield Found(
                    view.find_server_with_url(site, "meet_urls"), f'"{url.url}" is in no SIP domain'
                )


def find_sip_names_on_several_edge_pools(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find several Edge pools whose certificates contain the sip names of all SIP domains."""
    pools = [
        p
        for p in view.find_pools_with_trait("perimeter")
        if p.flags & {"federation", "client_autoconfig"}
    ]
    if len(pools) > 1:
        yield Found(view.find_representative(pools[0]), format_pool_names(pools))


def find_backup_pool_unknown(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a backup pool that is missing, has no web services, or is the pool itself."""
    known = {pool.fqdn for pool in view.find_pools_with_trait("publishes_web")}
    for pool in view.find_pools_with_trait("publishes_web"):
        for name in pool.list_names(BACKUP_POOL):
            if name == pool.fqdn or name not in known:
                yield Found(view.find_representative(pool), f"backup_pool of {pool.fqdn} is {name}")


def find_backup_pool_one_sided(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a pool without a backup pool that is the backup pool of another pool."""
    naming_pools: dict[DnsName, list[Pool]] = defaultdict(list)
    for pool, backup in _list_entered_pairs(view):
        naming_pools[backup.fqdn].append(pool)
    for pool in _list_pools_with_backups(view):
        if len(naming_pools[pool.fqdn]) == 1 and not pool.list_names(BACKUP_POOL):
            name = naming_pools[pool.fqdn][0].fqdn
            yield Found(
                view.find_representative(pool),
                f"backup_pool of {pool.fqdn} is blank, but {name} is paired with it",
                # Each pool of a pair is the other's backup.
                set_cells(find_rows(view, pool), BACKUP_POOL, str(name)),
            )


def find_pool_in_several_pairs(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a pool that is paired with more than one other pool."""
    partners: dict[str, dict[str, None]] = defaultdict(dict)
    for pool, backup in _list_entered_pairs(view):
        partners[pool.fqdn][backup.fqdn] = None
        partners[backup.fqdn][pool.fqdn] = None
    for pool in _list_pools_with_backups(view):
        if len(partners[pool.fqdn]) > 1:
            names = join_first_texts([*partners[pool.fqdn]], _SHOWN)
            yield Found(view.find_representative(pool), f"{pool.fqdn} is paired with {names}")


def find_paired_pools_differ(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find paired pools with different roles, each pair once."""
    pairs = {frozenset((p.fqdn, other.fqdn)): (p, other) for p, other in _list_entered_pairs(view)}
    for pool, backup in pairs.values():
        if pool.role != backup.role:
            yield Found(
                view.find_representative(pool),
                f"{pool.fqdn} ({pool.role}) is paired with {backup.fqdn} ({backup.role})",
            )


def _list_entered_pairs(view: PlanView) -> Iterator[tuple[Pool, Pool]]:
    """Yield each pool and the pool in its column, if the column contains another known pool."""
    pools = {pool.fqdn: pool for pool in _list_pools_with_backups(view)}
    for pool in pools.values():
        for name in pool.list_names(BACKUP_POOL):
            if name != pool.fqdn and name in pools:
                yield pool, pools[name]


def _list_pools_with_backups(view: PlanView) -> tuple[Pool, ...]:
    """Return the pools whose role can have a backup pool, which a Director cannot."""
    column = get_column(BACKUP_POOL)
    pools = view.find_pools_with_trait("publishes_web")
    return tuple(pool for pool in pools if column.is_used_by(pool.role))


def find_aol_ended(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find an Edge pool for public instant messaging with AOL, a service that AOL has ended."""
    for pool in view.find_pools_with_trait("perimeter"):
        if "aol_pic" in pool.flags:
            yield Found(view.find_representative(pool), f"aol_pic is set for {pool.fqdn}")


_SHOWN = 5  # The largest number of names in a message.


def _is_within(name: str, domain: DnsName) -> bool:
    return name == domain or name.endswith(f".{domain}")


PRACTICE_TESTS: dict[str, DeploymentTest] = {
    test.__name__.removeprefix("find_"): test
    for test in (
        find_no_autologon_pool,
        find_relaxed_matching_does_not_cover,
        find_names_outside_sip_domains,
        find_sip_alias_on_public_certificate,
        find_meet_url_outside_sip_domains,
        find_sip_names_on_several_edge_pools,
        find_aol_ended,
        find_backup_pool_unknown,
        find_backup_pool_one_sided,
        find_pool_in_several_pairs,
        find_paired_pools_differ,
    )
}
