"""Find names that lead to two places, such as the Access Edge service and the reverse proxy.

DNS returns the same addresses for a name to all clients of one side, outside or inside. The rules
(``[[destination]]``) say from which sides a name is resolved, and which services can share a name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from ..rules.model import CheckRule, DestinationRule
from .found import Found
from .plan_lookups import PlanView

_SIDES = ("outside", "inside")


class _Use(NamedTuple):
    """A use of a name: where it leads, and the server whose row contains it.

    ``pool`` is the only pool that the name may lead to, or "" if several pools offer the service.
    """

    destination: str
    pool: str
    server: str


def find_name_leads_to_two_places(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a name that leads to two places for clients outside or inside."""
    destinations = view.plan.rules.destinations
    if not destinations:
        return
    uses: dict[str, list[_Use]] = defaultdict(list)
    for name, use in chain(
        _list_pool_uses(view), _list_domain_uses(view), _list_simple_url_uses(view)
    ):
        if use.destination in destinations:
            uses[name].append(use)
    for name in view.pool_and_server_names.intersection(uses):
        uses[name] += [u for u in _list_host_uses(view, name) if u.destination in destinations]
    for name, of_name in sorted(uses.items()):
        for side in _SIDES:
            places = _list_places(
                [use for use in of_name if side in destinations[use.destination].sides],
                destinations,
            )
            if len(places) > 1:
                server = next((use.server for use in places if use.pool), places[0].server)
                titles = [
                    destinations[use.destination].title.format(pool=use.pool) for use in places
                ]
                yield Found(server, f'"{name}" leads clients {side} to {" and to ".join(titles)}')
                break


def _list_places(
    uses: Iterable[_Use], destinations: Mapping[str, DestinationRule]
) -> Sequence[_Use]:
    """Return one use for each place that a name leads to from one side.

    Services are in one place if they can share a name, also through a third service.
    """
    order = list(destinations)
    rest = sorted(uses, key=lambda use: order.index(use.destination))
    places: list[_Use] = []
    while rest:
        group, rest = rest[:1], rest[1:]
        for known in group:
            near = [use for use in rest if _are_related(known, use, destinations)]
            group += near
            rest = [use for use in rest if use not in near]
        places += {use.pool: use for use in reversed(group) if use.pool}.values() or group[:1]
    return places


def _are_related(use: _Use, other: _Use, destinations: Mapping[str, DestinationRule]) -> bool:
    names = use.destination, other.destination
    return (
        names[0] == names[1]
        or names[1] in destinations[names[0]].shares
        or names[0] in destinations[names[1]].shares
    )


def _list_pool_uses(view: PlanView) -> Iterator[tuple[str, _Use]]:
    """Yield the names of services in the rows of pools. Server and pool names are not included."""
    for pool in view.find_pools_with_trait("publishes_web"):
        server, alone = view.find_representative(pool), len(pool.computers) == 1
        if pool.web_external_fqdn:
            yield pool.web_external_fqdn, _Use("web-external", "", server)
        hosts = (None, pool.fqdn, *((server,) if alone else ()))
        if pool.web_internal_fqdn not in hosts:
            yield str(pool.web_internal_fqdn), _Use("web-internal", pool.fqdn, server)
        for name in pool.list_names("sip_dns_aliases"):
            yield name, _Use("sign-in-inside", "", server)
    for pool in view.find_pools_with_trait("perimeter"):
        server = view.find_representative(pool)
        for column in ("access_edge_fqdn", "webconf_edge_fqdn", "av_edge_fqdn"):
            if name := getattr(pool, column):
                yield name, _Use(column.removesuffix("_fqdn").replace("_", "-"), pool.fqdn, server)
        if pool.edge_internal_fqdn not in (None, pool.fqdn):
            yield str(pool.edge_internal_fqdn), _Use("server", "", server)
        for name in pool.list_names("sip_dns_aliases"):
            yield name, _Use("sign-in-outside", "", server)
    for pool in view.find_pools_with_trait("reverse_proxy"):
        for name in pool.list_names("owas_external_fqdn"):
            yield name, _Use("office-web-apps", "", view.find_representative(pool))


def _list_domain_uses(view: PlanView) -> Iterator[tuple[str, _Use]]:
    """Yield the names that clients build from a SIP domain, if a pool offers the service."""
    own = view.plan.topology.sip_domains
    external = view.exclude_internal(own)
    for trait, flags, label, destination, domains in (
        ("publishes_web", {"autologon"}, "sip", "sign-in-inside", own),
        ("publishes_web", {"autodiscover"}, "lyncdiscoverinternal", "autodiscover-inside", own),
        ("publishes_web", {"autodiscover"}, "lyncdiscover", "autodiscover-outside", external),
        ("perimeter", {"client_autoconfig", "federation"}, "sip", "sign-in-outside", external),
    ):
        pools = (pool for pool in view.find_pools_with_trait(trait) if pool.flags & flags)
        if pool := next(pools, None):
            use = _Use(destination, "", view.find_representative(pool))
            yield from ((f"{label}.{domain}", use) for domain in domains)


def _list_simple_url_uses(view: PlanView) -> Iterator[tuple[str, _Use]]:
    """Yield the hosts of the simple URLs."""
    for site in view.list_sites_with_web_services():
        for column, urls in (
            ("meet_urls", site.meet_urls),
            ("dialin_url", (site.dialin_url,)),
            ("admin_url", (site.admin_url,)),
        ):
            for host in (url.host for url in urls if url):
                server = view.find_server_with_url(site, column)
                yield host, _Use("simple-url-inside", "", server)
                if column != "admin_url" and view.exclude_internal((host,)):
                    yield host, _Use("simple-url-outside", "", server)


def _list_host_uses(view: PlanView, name: str) -> Iterator[_Use]:
    """Yield a use for each role of the servers and pools that have a name."""
    for pool in view.plan.topology.pools:
        if name == pool.fqdn or any(name == computer.fqdn for computer in pool.computers):
            is_proxy = "reverse_proxy" in view.get_traits(pool)
            destination = "web-external" if is_proxy else "server"
            yield _Use(destination, "", view.find_representative(pool))
