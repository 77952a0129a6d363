"""Check the whole deployment. Each check is a short function.

Each function yields pairs. The first item is the id of a certificate, or the first server in the
affected pools. The second item is the message. Roles are identified by their traits in the rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from ..base.pasted_text import shown
from ..base.shown.tables import join_first_texts
from ..plan.certificate_names import BACKUP_POOL
from ..plan.collocation import find_hosted_pools, find_unsupported_roles
from ..plan.model import PlannedCertificate
from ..rules.model import CheckRule
from ..rules.rule_files import list_product_titles, load_rules
from ..topology.columns import Column, find_nearest_column, list_topology_columns
from ..topology.model import Pool
from .name_destinations import find_name_leads_to_two_places
from .plan_lookups import PlanView

DeploymentTest = Callable[[PlanView, CheckRule], Iterator[tuple[str, str]]]
Pairs = Iterator[tuple[str, str]]


def find_web_external_fqdn_shared(view: PlanView, rule: CheckRule) -> Pairs:
    """Find an external web services name that several pools share."""
    owners: dict[str, list[Pool]] = defaultdict(list)
    for pool in view.find_pools_with_trait("publishes_web"):
        if pool.web_external_fqdn:
            owners[pool.web_external_fqdn].append(pool)
    for name, pools in owners.items():
        if len(pools) > 1:
            pool_labels = _join_names([f"{pool.fqdn} ({pool.role})" for pool in pools])
            for pool in pools:
                yield (
                    view.find_representative(pool),
                    f'"{name}" is the external web name of {len(pools):,} pools: {pool_labels}',
                )


def find_web_external_fqdn_not_published(view: PlanView, rule: CheckRule) -> Pairs:
    """Find an external web services name that no reverse proxy certificate contains."""
    published = view.list_names_with_trait("reverse_proxy")
    if not view.find_pools_with_trait("reverse_proxy"):
        return
    for pool in view.find_pools_with_trait("publishes_web"):
        name = pool.web_external_fqdn
        if name and name not in published:
            yield (
                view.find_representative(pool),
                f'the name "{name}" of {pool.fqdn} is not on any reverse proxy certificate',
            )


def find_no_reverse_proxy(view: PlanView, rule: CheckRule) -> Pairs:
    """Find external web services names in a deployment that has no reverse proxy."""
    if view.find_pools_with_trait("reverse_proxy"):
        return
    pools = [pool for pool in view.find_pools_with_trait("publishes_web") if pool.web_external_fqdn]
    names = sorted({pool.web_external_fqdn for pool in pools if pool.web_external_fqdn})
    if names:
        yield (
            view.find_representative(pools[0]),
            f"no reverse proxy publishes {join_first_texts(names, 5)}",
        )


def find_reverse_proxy_publishes_nothing(view: PlanView, rule: CheckRule) -> Pairs:
    """Find a reverse proxy whose site has no pool with an external web services name."""
    sites = {
        pool.site for pool in view.find_pools_with_trait("publishes_web") if pool.web_external_fqdn
    }
    for proxy in view.find_pools_with_trait("reverse_proxy"):
        if not sites or (proxy.site and proxy.site not in sites):
            yield (
                view.find_representative(proxy),
                (f'site "{proxy.site}" has no pool with an external web name'),
            )


def find_web_internal_fqdn_overridden(view: PlanView, rule: CheckRule) -> Pairs:
    """Find an overridden internal web services name on a server that must use its own name."""
    for pool in view.find_pools_with_trait("single_computer"):
        name = pool.web_internal_fqdn
        if name and name != pool.fqdn:
            yield (
                view.find_representative(pool),
                f'web_internal_fqdn is "{name}", but the server name is {pool.fqdn}',
            )


def find_web_internal_fqdn_of_single_server(view: PlanView, rule: CheckRule) -> Pairs:
    """Find an overridden internal web services name on a pool with a single server."""
    for pool in view.plan.topology.pools:
        name = pool.web_internal_fqdn
        if pool.role in rule.roles and len(pool.computers) == 1 and name not in (None, pool.fqdn):
            yield view.find_representative(pool), f'web_internal_fqdn of {pool.fqdn} is "{name}"'


def find_web_internal_fqdn_blank(view: PlanView, rule: CheckRule) -> Pairs:
    """Find a pool with several servers whose web services have no separate internal name."""
    for pool in view.find_pools_with_trait("publishes_web"):
        if len(pool.computers) > 1 and pool.web_internal_fqdn in (None, pool.fqdn):
            yield (
                view.find_representative(pool),
                f"{pool.fqdn} has {len(pool.computers)} servers, but no separate web_internal_fqdn",
            )


def find_other_ca_than_internal_servers(view: PlanView, rule: CheckRule) -> Pairs:
    """Find a certificate that must be from the CA of the internal servers, but is not."""
    roles = {role.id for role in view.plan.rules.roles.values() if "publishes_web" in role.traits}
    cas = {(c.issuer, c.ca) for c in view.certificates if c.role in roles and "Default" in c.usages}
    whose = " or ".join(sorted(ca or f"an {issuer} CA" for issuer, ca in cas))
    for certificate in view.find_certificates(rule):
        if cas and (certificate.issuer, certificate.ca) not in cas:
            ca_label = certificate.ca or f"a CA of type {certificate.issuer}"
            yield (
                certificate.id,
                (
                    f"{view.format_label(certificate)} is issued by {ca_label}, but the internal "
                    f"servers have certificates from {whose}"
                ),
            )


def find_pool_name_differs_from_server(view: PlanView, rule: CheckRule) -> Pairs:
    """Find a single-server pool whose name differs from the server name."""
    for pool in view.find_pools_with_trait("single_computer"):
        others = [c.fqdn for c in pool.computers if c.fqdn != pool.fqdn]
        if others:
            yield (
                view.find_representative(pool),
                f"the pool name is {pool.fqdn}, but the server name is {', '.join(others)}",
            )


def find_certificate_not_shared(view: PlanView, rule: CheckRule) -> Pairs:
    """Find several certificates that should be one shared certificate according to the rules."""
    seen: dict[tuple[str, str, tuple[str, ...]], list[PlannedCertificate]] = defaultdict(list)
    for certificate in view.find_certificates(rule):
        seen[certificate.role, certificate.pool, certificate.usages].append(certificate)
    for (_, pool, usages), certificates in seen.items():
        if len(certificates) > 1:
            ids = [certificate.id for certificate in certificates]
            usage = f" for {', '.join(usages)}" if usages else ""
            owner = pool or "the deployment"
            yield ids[0], f"{owner} has {len(ids)} certificates{usage}: {', '.join(ids)}"


def find_edge_name_missing(view: PlanView, rule: CheckRule) -> Pairs:
    """Find an Edge pool without a name that its external certificate needs."""
    for pool in view.find_pools_with_trait("perimeter"):
        for column in ("access_edge_fqdn", "webconf_edge_fqdn"):
            if getattr(pool, column) is None:
                yield (
                    view.find_representative(pool),
                    f"{column} is blank in every row for {pool.fqdn}",
                )


def find_av_edge_name_missing(view: PlanView, rule: CheckRule) -> Pairs:
    """Find an Edge pool without an A/V Edge name."""
    for pool in view.find_pools_with_trait("perimeter"):
        if pool.av_edge_fqdn is None:
            yield (
                view.find_representative(pool),
                f"av_edge_fqdn is blank in every row for {pool.fqdn}",
            )


def find_web_external_fqdn_missing(view: PlanView, rule: CheckRule) -> Pairs:
    """Find a pool that has web services but no external web services name."""
    for pool in view.find_pools_with_trait("publishes_web"):
        if pool.web_external_fqdn is None:
            yield (
                view.find_representative(pool),
                (f"web_external_fqdn is blank in every row for {pool.fqdn}"),
            )


def find_xmpp_domain_is_no_sip_domain(view: PlanView, rule: CheckRule) -> Pairs:
    """Find an XMPP domain that is not a SIP domain."""
    domains = set(view.plan.topology.sip_domains)
    for pool in view.find_pools_with_trait("perimeter"):
        others = [name for name in pool.list_names("xmpp_domains") if name not in domains]
        if others:
            yield (
                view.find_representative(pool),
                (f"xmpp_domains for {pool.fqdn} contains {_join_names(others)}"),
            )


def find_several_autologon_pools(view: PlanView, rule: CheckRule) -> Pairs:
    """Find several pools with automatic sign-in, unless they are a pool and its backup pool."""
    pools = [
        pool for pool in view.find_pools_with_trait("heeds_autologon") if "autologon" in pool.flags
    ]
    counted: list[Pool] = []
    for pool in pools:
        if not any(_are_paired(pool, other) for other in counted):
            counted.append(pool)
    if len(counted) > 1:
        names = [pool.fqdn for pool in pools]
        pool_names = join_first_texts(names, 8)
        yield (
            view.find_representative(pools[0]),
            f"autologon is set for {len(pools)} pools: {pool_names}",
        )


def _are_paired(pool: Pool, other_pool: Pool) -> bool:
    return pool.fqdn in other_pool.list_names(BACKUP_POOL) or other_pool.fqdn in pool.list_names(
        BACKUP_POOL
    )


def find_issuer_key_unknown(view: PlanView, rule: CheckRule) -> Pairs:
    """Find a key in the issuer column that is neither a usage nor a role of the product."""
    rules = view.plan.rules
    known = {name.lower() for name in (*rules.usages, *rules.roles)}
    for (_, key), servers in view.list_issuer_keys().items():
        if key.lower() not in known:
            yield (
                servers[0],
                (
                    f"the issuer column for {_join_names(servers)} contains "
                    f'"{key}", which is not the name of a usage'
                ),
            )


def find_issuer_key_not_here(view: PlanView, rule: CheckRule) -> Pairs:
    """Find an issuer that is set for a usage that no certificate of the server has."""
    for role, key, servers in find_unused_issuer_keys(view):
        message = (
            f'the issuer column for {_join_names(servers)} has a value for the usage "{key}", but '
            f"the role {role} does not have this usage"
        )
        yield servers[0], message


def find_unused_issuer_keys(view: PlanView) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the role, usage, and servers for issuers that apply to a usage that the role lacks."""
    rules = view.plan.rules
    known = {name.lower() for name in (*rules.usages, *rules.roles)}
    for (role, key), servers in view.list_issuer_keys().items():
        valid_keys = {
            name.lower()
            for certificate in rules.certificates
            if role in (certificate.role, *certificate.needed_by)
            for name in (certificate.role, *certificate.usages)
        }
        if key.lower() in known - valid_keys:
            yield role, key, servers


def find_collocated_role(view: PlanView, rule: CheckRule) -> Pairs:
    """Find a role that shares servers and certificates with another role."""
    certificates = view.plan.rules.certificates
    for pool, host in find_hosted_pools(view.plan.topology.pools, view.plan.rules):
        if not any(c.role == pool.role and pool.flags.issuperset(c.if_all) for c in certificates):
            # With mediation_standalone = false, the table already states that the role is
            # collocated, so the check skips the role.
            continue
        servers = _join_names([computer.fqdn for computer in pool.computers])
        yield (
            view.find_representative(pool),
            (f"on {servers}, the role {pool.role} uses the certificate for the role {host.role}"),
        )


def find_roles_not_supported_together(view: PlanView, rule: CheckRule) -> Pairs:
    """Find roles on one server that no document lists as supported on the same server."""
    together = find_unsupported_roles(view.plan.topology.pools, view.plan.rules)
    for roles, servers in together.items():
        yield servers[0], f"{_join_names(servers)} has the roles {', '.join(roles)}"


def find_pool_named_like_server(view: PlanView, rule: CheckRule) -> Pairs:
    """Find a pool whose name is also the name of a server."""
    servers = {c.fqdn for _, c in view.plan.topology.computers}
    for pool in view.plan.topology.pools:
        if pool.role in rule.roles and pool.fqdn in servers:
            yield (
                view.find_representative(pool),
                f"the pool {pool.fqdn} has the same name as a server",
            )


def find_stand_alone_and_collocated(view: PlanView, rule: CheckRule) -> Pairs:
    """Find a pool that is marked as stand-alone but shares servers with another role."""
    topology = view.plan.topology
    for pool, names in find_collocation_switches(view):
        rows = [
            computer.row
            for beside in view.find_pools_by_name(pool.fqdn)
            for computer in beside.computers
        ]
        for name in names:
            if name not in topology.columns:
                continue
            index = topology.columns.index(name)
            if any(topology.cells[row][index] == "true" for row in rows):
                yield (
                    view.find_representative(pool),
                    (f"{name} is true for {pool.fqdn}, but the pool is collocated"),
                )


def find_collocation_switches(view: PlanView) -> Iterator[tuple[Pool, list[str]]]:
    """Yield each collocated pool and the yes/no columns that can mark the pool as stand-alone."""
    rules = view.plan.rules
    switches = {
        facts.name: facts.roles for facts in list_topology_columns() if facts.kind == "bool"
    }
    for pool, _ in find_hosted_pools(view.plan.topology.pools, rules):
        needed = [c.if_all for c in rules.certificates if c.role == pool.role]
        flags = [name for flags in needed for name in flags]
        yield pool, [name for name in flags if switches.get(name) == (pool.role,)]


def find_extra_name_usage(view: PlanView, rule: CheckRule) -> Pairs:
    """Find an additional name for a usage that no certificate of the pool has."""
    pools = view.plan.topology.pools
    by_role: dict[str, set[str]] = defaultdict(set)
    for certificate in view.plan.rules.certificates:
        by_role[certificate.role].update(map(str.lower, certificate.usages))
    usages_by_pool: dict[str, set[str]] = defaultdict(set)
    for pool in pools:
        usages_by_pool[pool.fqdn] |= by_role[pool.role]
    reported: set[tuple[str, str]] = set()
    for pool in pools:
        for usage, name in pool.extra_san:
            if (
                usage
                and usage.lower() not in usages_by_pool[pool.fqdn]
                and (pool.fqdn, usage) not in reported
            ):
                reported.add((pool.fqdn, usage))
                yield (
                    view.find_representative(pool),
                    (
                        f'{name} has a value for the usage "{usage}", but {pool.fqdn} does '
                        "not have this usage"
                    ),
                )


def find_value_not_heeded(view: PlanView, rule: CheckRule) -> Pairs:
    """Find a pool that has a value in a table column that its role does not use."""
    for facts, idle in find_unused_columns(view):
        whose = _join_names([f"{pool.fqdn} ({pool.role})" for pool in idle])
        roles = ", ".join(facts.roles)
        yield (
            view.find_representative(idle[0]),
            (f"{whose} has a value in {facts.name}, a column that only these roles use: {roles}"),
        )


def find_unused_columns(view: PlanView) -> Iterator[tuple[Column, list[Pool]]]:
    """Yield each column of names that some pools fill in but do not use, with these pools."""
    topology = view.plan.topology
    pools = topology.pools
    for facts in list_topology_columns():
        if not facts.roles or facts.name not in topology.columns:
            continue
        if not facts.kind.startswith("fqdn"):
            # A yes/no value is not reported, because an export may have filled the column
            # automatically. Only a person enters a name.
            continue
        # Collocated roles have the same pool name and use the same values of the pool.
        heeded = {pool.fqdn for pool in pools if pool.role in facts.roles}
        idle = [p for p in pools if p.list_names(facts.name) and p.fqdn not in heeded]
        if idle:
            yield facts, idle


def find_column_of_other_product(view: PlanView, rule: CheckRule) -> Pairs:
    """Find a table column with values that only another product uses."""
    topology, rules = view.plan.topology, view.plan.rules
    used = rules.pool_columns
    for facts in list_topology_columns():
        if facts.scope != "pool" or facts.name in used or facts.name not in topology.columns:
            continue
        filled = [
            pool
            for pool in topology.pools
            if pool.list_names(facts.name) or (facts.default != "true" and facts.name in pool.flags)
        ]
        titles = [
            title
            for product, title in (list_product_titles().items() if filled else ())
            if facts.name in load_rules(product).pool_columns
        ]
        if titles:
            whose = _join_names([pool.fqdn for pool in filled])
            yield (
                view.find_representative(filled[0]),
                (
                    f"{whose} has a value in {facts.name}, a column that only these products "
                    f"use: {', '.join(titles)}"
                ),
            )


def find_column_not_read(view: PlanView, rule: CheckRule) -> Pairs:
    """Find table columns that lyncnb does not use. Misspelled headings are reported separately."""
    near = {heading for heading, _ in find_similar_columns(view)}
    unread = [shown(h) for h in view.plan.topology.unread_columns if h not in near]
    if unread and view.plan.topology.pools:
        yield view.find_representative(view.plan.topology.pools[0]), ", ".join(unread)


def find_column_nearly_known(view: PlanView, rule: CheckRule) -> Pairs:
    """Find a heading that is almost the name of a known column."""
    for heading, name in find_similar_columns(view):
        server = view.find_representative(view.plan.topology.pools[0])
        yield server, f"{shown(heading)} is not a known column; did you mean {name}?"


def find_similar_columns(view: PlanView) -> Iterator[tuple[str, str]]:
    """Yield headings that resemble a known column that is missing from the table."""
    topology = view.plan.topology
    for heading in topology.unread_columns if topology.pools else ():
        name = find_nearest_column(heading)
        if name is not None and name not in topology.columns:
            yield heading, name


def find_device_name_as_server(view: PlanView, rule: CheckRule) -> Pairs:
    """Find a server whose host name Windows reserves for a device."""
    labels = frozenset(rule.labels)
    for pool in view.plan.topology.pools:
        for computer in pool.computers:
            label = computer.fqdn.partition(".")[0]
            if label in labels:
                yield computer.fqdn, f'"{label}" is a reserved device name in Windows'


def format_pool_names(pools: Sequence[Pool]) -> str:
    """Format the names of several pools as part of a sentence."""
    return _join_names([pool.fqdn for pool in pools])


def _join_names(names: Sequence[str]) -> str:
    return join_first_texts(names, 3)


DEPLOYMENT_TESTS: dict[str, DeploymentTest] = {
    test.__name__.removeprefix("find_"): test
    for test in (
        find_name_leads_to_two_places,
        find_web_external_fqdn_shared,
        find_web_external_fqdn_not_published,
        find_no_reverse_proxy,
        find_reverse_proxy_publishes_nothing,
        find_web_internal_fqdn_overridden,
        find_pool_name_differs_from_server,
        find_web_internal_fqdn_of_single_server,
        find_xmpp_domain_is_no_sip_domain,
        find_web_internal_fqdn_blank,
        find_other_ca_than_internal_servers,
        find_certificate_not_shared,
        find_edge_name_missing,
        find_av_edge_name_missing,
        find_web_external_fqdn_missing,
        find_several_autologon_pools,
        find_issuer_key_unknown,
        find_issuer_key_not_here,
        find_value_not_heeded,
        find_column_of_other_product,
        find_collocated_role,
        find_roles_not_supported_together,
        find_pool_named_like_server,
        find_stand_alone_and_collocated,
        find_extra_name_usage,
        find_column_not_read,
        find_column_nearly_known,
        find_device_name_as_server,
    )
}
