"""Check the whole deployment. Each check is a short function.

Roles are identified by their traits in the rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from ..base.pasted_text import shown
from ..base.shown.tables import join_first_texts
from ..plan.certificate_names import BACKUP_POOL
from ..plan.collocation import find_hosted_pools, find_unsupported_roles
from ..plan.model import PlannedCertificate
from ..rules.findings import CellEdit, Edit, HeadingEdit
from ..rules.model import CheckRule
from ..rules.rule_files import list_product_titles, load_rules
from ..topology.columns import find_nearest_column, list_topology_columns
from ..topology.model import Pool
from .cell_edits import (
    find_rows,
    format_pairs,
    get_cell_text,
    list_adjacent_pools,
    list_free_names,
    replace_cells,
    set_cells,
)
from .found import MOST_CHOICES, DeploymentTest, Found
from .name_destinations import find_name_leads_to_two_places
from .plan_lookups import PlanView


def find_web_external_fqdn_shared(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find an external web services name that several pools share."""
    owners: dict[str, list[Pool]] = defaultdict(list)
    for pool in view.find_pools_with_trait("publishes_web"):
        if pool.web_external_fqdn:
            owners[pool.web_external_fqdn].append(pool)
    for name, pools in owners.items():
        if len(pools) > 1:
            pool_labels = _join_names([f"{pool.fqdn} ({pool.role})" for pool in pools])
            for pool in pools:
                free = next(list_free_names(view, "web_external_fqdn", name.partition(".")[2]))
                yield Found(
                    view.find_representative(pool),
                    f'"{name}" is the external web name of {len(pools):,} pools: {pool_labels}',
                    choices=[replace_cells(view, [pool], "web_external_fqdn", free)],
                )


def find_web_external_fqdn_not_published(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find an external web services name that no reverse proxy certificate contains."""
    published = view.list_names_with_trait("reverse_proxy")
    proxies = view.find_pools_with_trait("reverse_proxy")
    for pool in view.find_pools_with_trait("publishes_web") if proxies else ():
        name = pool.web_external_fqdn
        if name and name not in published:
            yield Found(
                view.find_representative(pool),
                f'the name "{name}" of {pool.fqdn} is not on any reverse proxy certificate',
                # Without a site, a reverse proxy publishes the pools of all sites.
                choices=(set_cells(find_rows(view, proxy), "site", "") for proxy in proxies),
            )


def find_no_reverse_proxy(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find external web services names in a deployment that has no reverse proxy."""
    if view.find_pools_with_trait("reverse_proxy"):
        return
    pools = [pool for pool in view.find_pools_with_trait("publishes_web") if pool.web_external_fqdn]
    names = sorted({pool.web_external_fqdn for pool in pools if pool.web_external_fqdn})
    if names:
        yield Found(
            view.find_representative(pools[0]),
            f"no reverse proxy publishes {join_first_texts(names, 5)}",
        )


def find_reverse_proxy_publishes_nothing(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a reverse proxy whose site has no pool with an external web services name."""
    pools = view.find_pools_with_trait("publishes_web")
    sites = dict.fromkeys(pool.site for pool in pools if pool.web_external_fqdn)
    for proxy in view.find_pools_with_trait("reverse_proxy"):
        if not sites or (proxy.site and proxy.site not in sites):
            yield Found(
                view.find_representative(proxy),
                f'site "{proxy.site}" has no pool with an external web name',
                choices=[
                    set_cells(find_rows(view, proxy), "site", site)
                    for site in dict.fromkeys(("", *list(sites)[:MOST_CHOICES]))
                    if sites
                ],
            )


def find_web_internal_fqdn_overridden(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find an overridden internal web services name on a server that must use its own name."""
    for pool in view.find_pools_with_trait("single_computer"):
        name = pool.web_internal_fqdn
        if name and name != pool.fqdn:
            yield Found(
                view.find_representative(pool),
                f'web_internal_fqdn is "{name}", but the server name is {pool.fqdn}',
                replace_cells(view, [pool], "web_internal_fqdn"),
            )


def find_web_internal_fqdn_of_single_server(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find an overridden internal web services name on a pool with a single server."""
    for pool in view.plan.topology.pools:
        name = pool.web_internal_fqdn
        if pool.role in rule.roles and len(pool.computers) == 1 and name not in (None, pool.fqdn):
            yield Found(
                view.find_representative(pool), f'web_internal_fqdn of {pool.fqdn} is "{name}"'
            )


def find_web_internal_fqdn_blank(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a pool with several servers whose web services have no separate internal name."""
    for pool in view.find_pools_with_trait("publishes_web"):
        if len(pool.computers) > 1 and pool.web_internal_fqdn in (None, pool.fqdn):
            yield Found(
                view.find_representative(pool),
                f"{pool.fqdn} has {len(pool.computers)} servers, but no separate web_internal_fqdn",
            )


def find_other_ca_than_internal_servers(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a certificate that must be from the CA of the internal servers, but is not."""
    roles = {role.id for role in view.plan.rules.roles.values() if "publishes_web" in role.traits}
    cas = {(c.issuer, c.ca) for c in view.certificates if c.role in roles and "Default" in c.usages}
    whose = " or ".join(sorted(ca or f"an {issuer} CA" for issuer, ca in cas))
    for certificate in view.find_certificates(rule):
        if cas and (certificate.issuer, certificate.ca) not in cas:
            ca_label = certificate.ca or f"a CA of type {certificate.issuer}"
            yield Found(
                certificate.id,
                f"{view.format_label(certificate)} is issued by {ca_label}, but the internal "
                f"servers have certificates from {whose}",
            )


def find_pool_name_differs_from_server(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a single-server pool whose name differs from the server name."""
    for pool in view.find_pools_with_trait("single_computer"):
        servers = {
            get_cell_text(view, row, "server_fqdn").casefold() for row in find_rows(view, pool)
        }
        others = [c.fqdn for c in pool.computers if c.fqdn != pool.fqdn]
        if others:
            yield Found(
                view.find_representative(pool),
                f"the pool name is {pool.fqdn}, but the server name is {', '.join(others)}",
                # Other pool names may be intended.
                replace_cells(view, [pool], "pool_fqdn") if len(servers) == 1 else (),
            )


def find_certificate_not_shared(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find several certificates that should be one shared certificate according to the rules."""
    seen: dict[tuple[str, str, tuple[str, ...]], list[PlannedCertificate]] = defaultdict(list)
    for certificate in view.find_certificates(rule):
        seen[certificate.role, certificate.pool, certificate.usages].append(certificate)
    for (_, pool, usages), certificates in seen.items():
        if len(certificates) > 1:
            ids = [certificate.id for certificate in certificates]
            usage = f" for {', '.join(usages)}" if usages else ""
            owner = pool or "the deployment"
            yield Found(ids[0], f"{owner} has {len(ids)} certificates{usage}: {', '.join(ids)}")


def find_edge_name_missing(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find an Edge pool without a name that its external certificate needs."""
    for column in ("access_edge_fqdn", "webconf_edge_fqdn"):
        yield from _find_blank_name(view, "perimeter", column)


def find_av_edge_name_missing(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find an Edge pool without an A/V Edge name."""
    yield from _find_blank_name(view, "perimeter", "av_edge_fqdn")


def find_web_external_fqdn_missing(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a pool that has web services but no external web services name."""
    yield from _find_blank_name(view, "publishes_web", "web_external_fqdn")


def _find_blank_name(view: PlanView, trait: str, column: str) -> Iterator[Found]:
    """Find pools without a name, and propose a free name in the default SIP domain for each."""
    domains = view.plan.topology.sip_domains[:1]
    names = list_free_names(view, column, *domains)
    for pool in view.find_pools_with_trait(trait):
        if getattr(pool, column) is None:
            yield Found(
                view.find_representative(pool),
                f"{column} is blank in every row for {pool.fqdn}",
                set_cells([pool.computers[0].row for _ in domains], column, next(names)),
            )


def find_xmpp_domain_is_no_sip_domain(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find an XMPP domain that is not a SIP domain."""
    domains = set(view.plan.topology.sip_domains)
    for pool in view.find_pools_with_trait("perimeter"):
        others = [name for name in pool.list_names("xmpp_domains") if name not in domains]
        if others:
            yield Found(
                view.find_representative(pool),
                f"xmpp_domains for {pool.fqdn} contains {_join_names(others)}",
            )


def find_several_autologon_pools(view: PlanView, rule: CheckRule) -> Iterator[Found]:
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
        yield Found(
            view.find_representative(pools[0]),
            f"autologon is set for {len(pools)} pools: {pool_names}",
            choices=(
                replace_cells(view, [pool for pool in pools if pool is not kept], "autologon")
                for kept in pools
            ),
        )


def _are_paired(pool: Pool, other_pool: Pool) -> bool:
    return pool.fqdn in other_pool.list_names(BACKUP_POOL) or other_pool.fqdn in pool.list_names(
        BACKUP_POOL
    )


def find_issuer_key_unknown(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a key in the issuer column that is neither a usage nor a role of the product."""
    rules = view.plan.rules
    known = {name.lower() for name in (*rules.usages, *rules.roles)}
    for (_, key), servers in view.list_issuer_keys().items():
        if key.lower() not in known:
            yield Found(
                servers[0],
                f"the issuer column for {_join_names(servers)} contains "
                f'"{key}", which is not the name of a usage',
            )


def find_issuer_key_not_here(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find an issuer that is set for a usage that no certificate of the server has."""
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
            yield Found(
                servers[0],
                f"the issuer column for {_join_names(servers)} has a value for the usage "
                f'"{key}", but the role {role} does not have this usage',
                tuple(
                    CellEdit(row=computer.row, column="issuer", text=format_pairs(remaining))
                    for pool, computer in view.plan.topology.computers
                    if pool.role == role and computer.fqdn in servers
                    for remaining in [[pair for pair in computer.issuer if pair[0] != key]]
                ),
            )


def find_collocated_role(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a role that shares servers and certificates with another role."""
    certificates = view.plan.rules.certificates
    for pool, host, switches in _list_collocated_pools(view):
        if not any(c.role == pool.role and pool.flags.issuperset(c.if_all) for c in certificates):
            # With mediation_standalone = false, the table already states that the role is
            # collocated, so the check skips the role.
            continue
        servers = _join_names([computer.fqdn for computer in pool.computers])
        yield Found(
            view.find_representative(pool),
            f"on {servers}, the role {pool.role} uses the certificate for the role {host.role}",
            tuple(
                edit
                for name in switches
                for edit in set_cells([c.row for c in pool.computers], name, "false")
            ),
        )


def find_roles_not_supported_together(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find roles on one server that no document lists as supported on the same server."""
    together = find_unsupported_roles(view.plan.topology.pools, view.plan.rules)
    for roles, servers in together.items():
        yield Found(servers[0], f"{_join_names(servers)} has the roles {', '.join(roles)}")


def find_pool_named_like_server(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a pool whose name is also the name of a server."""
    servers = {c.fqdn for _, c in view.plan.topology.computers}
    for pool in view.plan.topology.pools:
        if pool.role in rule.roles and pool.fqdn in servers:
            yield Found(
                view.find_representative(pool),
                f"the pool {pool.fqdn} has the same name as a server",
                choices=_list_other_pools(view, pool),
            )


def _list_other_pools(view: PlanView, pool: Pool) -> Iterator[tuple[Edit, ...]]:
    """Offer the pool of the rows above or below, a new pool name, or a role for a single server."""
    rows = find_rows(view, pool)
    new = next(list_free_names(view, "pool", view.find_representative(pool).partition(".")[2]))
    for name in dict.fromkeys((*list_adjacent_pools(view, min(rows)), new)):
        yield set_cells(rows, "pool_fqdn", name)
    for role in view.plan.rules.roles.values() if len(pool.computers) == 1 else ():
        if role.traits >= {"single_computer", "publishes_web"}:
            yield set_cells([pool.computers[0].row], "role", role.id)


def find_stand_alone_and_collocated(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a pool that is marked as stand-alone but shares servers with another role."""
    for pool, _, names in _list_collocated_pools(view):
        rows = find_rows(view, pool)
        for name in names:
            marked = [row for row in rows if get_cell_text(view, row, name) == "true"]
            if marked:
                yield Found(
                    view.find_representative(pool),
                    f"{name} is true for {pool.fqdn}, but the pool is collocated",
                    set_cells(marked, name, "false"),
                )


def _list_collocated_pools(view: PlanView) -> Iterator[tuple[Pool, Pool, list[str]]]:
    """Yield each collocated pool, its host, and the columns that can mark it as stand-alone."""
    rules, columns = view.plan.rules, view.plan.topology.columns
    switches = {
        facts.name: facts.roles
        for facts in list_topology_columns()
        if facts.kind == "bool" and facts.name in columns
    }
    for pool, host in find_hosted_pools(view.plan.topology.pools, rules):
        needed = [c.if_all for c in rules.certificates if c.role == pool.role]
        flags = [name for flags in needed for name in flags]
        yield pool, host, [name for name in flags if switches.get(name) == (pool.role,)]


def find_extra_name_usage(view: PlanView, rule: CheckRule) -> Iterator[Found]:
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
                yield Found(
                    view.find_representative(pool),
                    f'{name} has a value for the usage "{usage}", but {pool.fqdn} does '
                    "not have this usage",
                )


def find_value_not_heeded(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a pool that has a value in a table column that its role does not use."""
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
            whose = _join_names([f"{pool.fqdn} ({pool.role})" for pool in idle])
            roles = ", ".join(facts.roles)
            yield Found(
                view.find_representative(idle[0]),
                f"{whose} has a value in {facts.name}, a column that only these roles use: {roles}",
                replace_cells(view, idle, facts.name),
            )


def find_column_of_other_product(view: PlanView, rule: CheckRule) -> Iterator[Found]:
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
            yield Found(
                view.find_representative(filled[0]),
                f"{whose} has a value in {facts.name}, a column that only these products "
                f"use: {', '.join(titles)}",
            )


def find_column_not_read(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find table columns that lyncnb does not use. Misspelled headings are reported separately."""
    near = {heading for heading, _ in _list_similar_columns(view)}
    unread = [shown(h) for h in view.plan.topology.unread_columns if h not in near]
    if unread and view.plan.topology.pools:
        yield Found(view.find_representative(view.plan.topology.pools[0]), ", ".join(unread))


def find_column_nearly_known(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a heading that is almost the name of a known column."""
    for heading, name in _list_similar_columns(view):
        yield Found(
            view.find_representative(view.plan.topology.pools[0]),
            f"{shown(heading)} is not a known column; did you mean {name}?",
            (HeadingEdit(heading=heading, column=name),),
        )


def _list_similar_columns(view: PlanView) -> Iterator[tuple[str, str]]:
    """Yield headings that resemble a known column that is missing from the table."""
    topology = view.plan.topology
    for heading in topology.unread_columns if topology.pools else ():
        name = find_nearest_column(heading)
        if name is not None and name not in topology.columns:
            yield heading, name


def find_device_name_as_server(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a server whose host name Windows reserves for a device."""
    labels = frozenset(rule.labels)
    for pool in view.plan.topology.pools:
        for computer in pool.computers:
            label = computer.fqdn.partition(".")[0]
            if label in labels:
                yield Found(computer.fqdn, f'"{label}" is a reserved device name in Windows')


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
