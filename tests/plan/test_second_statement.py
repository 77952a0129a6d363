"""A second statement of the rules, over random deployments of the kinds that no golden case has.

Written from Microsoft's tables alone, by somebody who had not read the planner: several sites with
simple URLs of their own, paired pools, aliases, separate certificates, wildcards, one or three
Edge names, hybrid, branch sites, two roles on one server. CI plans a tenth;
``LYNCNB_STATED_DEPLOYMENTS=300`` plans all of them by hand.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from topologies import csv_of

import lyncnb as ln

DEPLOYMENTS = int(os.environ.get("LYNCNB_STATED_DEPLOYMENTS", "30"))
_BATCH = 10

SERVER, CLIENT = "serverAuth", "clientAuth"
WEB = ("WebServicesInternal", "WebServicesExternal")
EDGE = ("AccessEdgeExternal", "DataEdgeExternal")
AV = "AudioVideoAuthentication"
WITH_WEB = ("StandardEdition", "FrontEnd", "Director")
BY_POOL_AND_SERVER = ("Mediation", "PersistentChat")
BRANCH = ("SBA", "SBS")


class Certificate(NamedTuple):
    """What two statements of the rules must agree on."""

    servers: frozenset[str]
    usages: frozenset[str]
    subject: str
    names: frozenset[str]
    eku: frozenset[str]
    issuer: str


@dataclass
class SimpleUrls:
    """Hosts of one set of simple URLs; the admin host may be blank."""

    meet: list[str]
    dialin: str
    admin: str

    @property
    def outside(self) -> set[str]:
        """Hosts that people outside use; the admin URL stays inside."""
        return {*self.meet, self.dialin}


@dataclass
class StatedPool:
    """A pool as somebody would write it into the table; ``also`` is a second role on its servers."""

    role: str
    name: str
    servers: list[str]
    site: str
    also: str = ""
    cells: dict[str, str] = field(default_factory=dict)

    def is_true(self, column: str, *, blank: bool = True) -> bool:
        """Read a boolean cell."""
        return {"": blank, "yes": True, "no": False}[self.cells.get(column, "")]

    def listed(self, column: str) -> list[str]:
        """Read a cell with a list."""
        return [one for one in self.cells.get(column, "").split(";") if one]


@dataclass
class Deployment:
    """A random deployment: domains, simple URLs by site, pools and options."""

    product: str
    domains: list[str]
    urls: dict[str, SimpleUrls]
    pools: list[StatedPool]
    options: ln.PlanOptions
    shares_urls: bool

    def csv(self) -> bytes:
        """Write the table; what holds for a pool or site stands on its first row alone."""
        rows, told = [], set()
        for pool in self.pools:
            for number, server in enumerate(pool.servers):
                row = {"server_fqdn": server, "role": pool.role, "site": pool.site}
                row["pool_fqdn"] = "" if pool.name == server else pool.name
                row |= pool.cells if number == 0 else {}
                where = "" if self.shares_urls else pool.site
                if where in self.urls and where not in told:
                    told.add(where)
                    urls = self.urls[where]
                    row["meet_urls"] = ";".join(f"https://{host}" for host in urls.meet)
                    row["dialin_url"] = f"https://{urls.dialin}"
                    row["admin_url"] = f"https://{urls.admin}" if urls.admin else ""
                rows.append(row)
                if pool.also:
                    rows.append({**row, "role": pool.also, **dict.fromkeys(pool.cells, "")})
        rows[0]["sip_domains"] = ";".join(self.domains)
        return csv_of(rows)


# ------------------------------------------------------------------------------- the statement


def stated(deployment: Deployment) -> Iterator[Certificate]:
    """Yield every certificate that Microsoft's tables ask for."""
    yield from _oauth(deployment)
    for pool in deployment.pools:
        if pool.role in WITH_WEB:
            yield from _with_web_services(deployment, pool)
        elif pool.role == "Edge":
            yield from _edge(deployment, pool)
        elif pool.role == "ReverseProxy":
            yield _reverse_proxy(deployment, pool)
        elif pool.role == "TrustedApplication":
            yield _made(pool.servers, ["Default"], pool.name, pool.servers)
        elif pool.role in ("OfficeWebApps", "ExchangeOWA"):
            members = pool.servers if pool.role == "ExchangeOWA" else []
            yield _made(pool.servers, [], pool.name, members)
        elif pool.role == "ExchangeUM":
            yield from (_made([server], [], server, []) for server in pool.servers)
        elif pool.role in BRANCH:
            sip = [f"sip.{domain}" for domain in deployment.domains]
            yield from (_made([s], ["Default"], s, sip) for s in pool.servers)
        elif pool.role in BY_POOL_AND_SERVER:
            yield from (_made([s], ["Default"], pool.name, [s]) for s in pool.servers)


def _made(
    servers: Iterable[str],
    usages: Iterable[str],
    subject: str,
    names: Iterable[str],
    *,
    eku: Iterable[str] = (SERVER,),
    issuer: str = "internal",
    repeats_subject: bool = True,
) -> Certificate:
    own = {subject} if repeats_subject else set()
    return Certificate(
        *(frozenset(servers), frozenset(usages), subject),
        *(frozenset(own | set(names)), frozenset(eku), issuer),
    )


def _oauth(deployment: Deployment) -> Iterator[Certificate]:
    """One for the deployment: the default SIP domain, with every SIP domain as a name."""
    users = [p for p in deployment.pools if p.role in ("StandardEdition", "FrontEnd")]
    servers = [server for pool in users for server in pool.servers]
    if servers:
        domains = deployment.domains
        yield _made(servers, ["OAuthTokenIssuer"], domains[0], domains)


def _hosts(deployment: Deployment, pool: StatedPool) -> list[SimpleUrls]:
    """Give the simple URLs of a pool's own site, then of the pool that it is paired with."""
    sites = [pool.site]
    sites += [p.site for p in deployment.pools if p.name == pool.cells.get("backup_pool")]
    return [deployment.urls["" if deployment.shares_urls else site] for site in sites]


def _with_web_services(deployment: Deployment, pool: StatedPool) -> Iterator[Certificate]:
    together = [("Default", *WEB)]
    apart = [("Default",), *((usage,) for usage in WEB)]
    for server in pool.servers:
        for usages in together if deployment.options.layout == "combined" else apart:
            alone = usages[0] if len(usages) == 1 else ""
            is_own = alone in WEB and pool.role != "FrontEnd"
            names = _names_of(deployment, pool, server, set(usages))
            yield _made([server], usages, server if is_own else pool.name, names)


def _names_of(deployment: Deployment, pool: StatedPool, server: str, usages: set[str]) -> set[str]:
    """Give the names of one server's certificate with some of the three usages."""
    inside = pool.cells.get("web_internal_fqdn") or pool.name
    fixed, simple = set(), set()
    hosts = _hosts(deployment, pool)
    discovers = pool.is_true("autodiscover")
    if usages & {"Default", WEB[0]}:
        fixed |= {server, pool.name}
    if "Default" in usages:
        if pool.is_true("autologon", blank=False) and pool.is_true("strict_dns"):
            fixed |= {f"sip.{domain}" for domain in deployment.domains}
        fixed |= set(pool.listed("sip_dns_aliases"))
    if usages & set(WEB):
        simple |= {host for urls in hosts for host in urls.outside}
    if WEB[0] in usages:
        fixed |= {inside}
        simple |= {hosts[0].admin} - {""}  # a backup pool takes over Meet and dial-in alone
        more = deployment.options.autodiscover_internal_extra_domains
        domains = [*deployment.domains, *more] if discovers else []
        simple |= {f"lyncdiscoverinternal.{domain}" for domain in domains}
    if WEB[1] in usages:
        fixed |= {pool.cells["web_external_fqdn"]}
        simple |= {f"lyncdiscover.{domain}" for domain in deployment.domains if discovers}
    for entry in pool.listed("extra_san"):
        usage, _, name = entry.rpartition("=")
        fixed |= {name} if not usage or usage in usages else set()
    return fixed | (_wildcards(simple - fixed) if deployment.options.wildcard else simple)


def _wildcards(names: Iterable[str]) -> set[str]:
    return {f"*.{name.partition('.')[2]}" for name in names}


def _edge(deployment: Deployment, pool: StatedPool) -> Iterator[Certificate]:
    options, cells = deployment.options, pool.cells
    access = cells["access_edge_fqdn"]
    names = {access, cells["webconf_edge_fqdn"], *pool.listed("sip_dns_aliases")}
    if pool.is_true("client_autoconfig") or pool.is_true("federation"):
        names |= {f"sip.{domain}" for domain in deployment.domains}
    names |= set(pool.listed("xmpp_domains"))
    if options.xmpp_host_names:
        names |= {f"xmpp.{domain}" for domain in pool.listed("xmpp_domains")}
    names |= {f"sip.{domain}" for domain in pool.listed("tenant_sip_domains")}
    extra = [entry.rpartition("=") for entry in pool.listed("extra_san")]
    names |= {name for usage, _, name in extra if usage in ("", EDGE[0])}
    eku = {SERVER, CLIENT} if pool.is_true("aol_pic", blank=False) else {SERVER}
    inner = {pool.name, *pool.servers} if options.edge_member_names else set()
    inner |= {name for usage, _, name in extra if not usage}
    inner |= {pool.name} if inner else set()
    yield _made(pool.servers, ["Internal"], pool.name, inner, repeats_subject=False)
    outer = EDGE if options.separate_av_certificate else (*EDGE, AV)
    yield _made(pool.servers, outer, access, names, eku=eku, issuer="public")
    if options.separate_av_certificate:
        # Clients evaluate neither subject nor names of this one; a public CA wants one name.
        plain = {name for usage, _, name in extra if not usage}
        yield _made(pool.servers, [AV], access, plain, issuer="public")


def _reverse_proxy(deployment: Deployment, proxy: StatedPool) -> Certificate:
    pools = [p for p in deployment.pools if p.role in WITH_WEB and proxy.site in ("", p.site)]
    homes = sorted(p.cells["web_external_fqdn"] for p in pools if p.role != "Director")
    others = sorted(p.cells["web_external_fqdn"] for p in pools if p.role == "Director")
    simple = {host for p in pools for urls in _hosts(deployment, p) for host in urls.outside}
    # The column stands on the proxy's own row: what it publishes is settled there.
    if deployment.options.autodiscover_https and proxy.is_true("autodiscover"):
        simple |= {f"lyncdiscover.{domain}" for domain in deployment.domains}
    fixed = {*homes, *others, *proxy.listed("owas_external_fqdn")}
    names = fixed | (_wildcards(simple - fixed) if deployment.options.wildcard else simple)
    asks_client = deployment.options.reverse_proxy_client_eku
    return _made(
        *(proxy.servers, [], (homes + others)[0], names),
        eku=[SERVER, CLIENT] if asks_client else [SERVER],
        issuer="public",
    )


# ---------------------------------------------------------------------------- random deployments


class _Maker:
    """Make one random deployment."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.product = self.chance.choice(["lync2013", "lync2013", "sfb2015"])
        count = self.chance.randint(1, 3)
        every = ["contoso.com", "fabrikam.com", "corp.litwareinc.com"]
        self.domains = self.chance.sample(every, count)
        self.sites = self.chance.sample(["Taipei", "Tainan", "Osaka"], self.chance.randint(1, 3))
        self.pools: list[StatedPool] = []

    def maybe(self, share: float = 0.5) -> bool:
        return self.chance.random() < share

    def make(self) -> Deployment:
        for site in self.sites:
            self._main_site(site.lower(), site)
        if self.maybe():
            self._branch_site()
        homes = [p for p in self.pools if p.role in ("FrontEnd", "StandardEdition")]
        if len(homes) > 1 and self.maybe(0.4):
            first, second = self.chance.sample(homes, 2)
            first.cells["backup_pool"], second.cells["backup_pool"] = second.name, first.name
        self._proxies()
        shares = self.maybe()
        places = [""] if shares else self.sites
        return Deployment(
            product=self.product,
            domains=self.domains,
            urls={place: self._urls(place.lower()) for place in places},
            pools=self.pools,
            options=self._options(),
            shares_urls=shares,
        )

    def _urls(self, place: str) -> SimpleUrls:
        end = f"-{place}" if place else ""
        if self.maybe(0.3):  # all on one host
            host = f"lync{end}.{self.domains[0]}"
            return SimpleUrls([host], host, host if self.maybe() else "")
        meet = [f"meet{end}.{domain}" for domain in self.domains]
        admin = f"admin{end}.{self.domains[0]}" if self.maybe(0.7) else ""
        return SimpleUrls(meet, f"dialin{end}.{self.domains[0]}", admin)

    def _add(self, role: str, name: str, site: str, size: int, also: str = "") -> StatedPool:
        servers = [f"{name}{number}.contoso.net" for number in range(1, size + 1)]
        alone = size == 1 and role not in ("FrontEnd", "TrustedApplication")
        pool = StatedPool(role, servers[0] if alone else f"{name}pool.contoso.net", servers, site)
        pool.also = also
        self.pools.append(pool)
        return pool

    def _main_site(self, key: str, site: str) -> None:
        roles = ["FrontEnd", "StandardEdition", "Director"]
        for role in [self.chance.choice(roles[:2]), *(r for r in roles if self.maybe(0.4))]:
            number = sum(p.role == role and p.site == site for p in self.pools)
            self._web_pool(role, f"{role.lower()}{number}-{key}-", site)
        if self.maybe(0.7):
            self._edge_pool(key, site)
        for role in ("Mediation", "PersistentChat", "TrustedApplication", "OfficeWebApps"):
            if self.maybe(0.3):
                size = 1 if role == "OfficeWebApps" else self.chance.randint(1, 3)
                self._add(role, f"{role.lower()}-{key}-", site, size)
        if self.maybe(0.3):
            also = self.chance.choice(["", "ExchangeOWA"])
            self._add("ExchangeUM", f"exchange-{key}-", site, 1, also)

    def _web_pool(self, role: str, name: str, site: str) -> None:
        second = {"FrontEnd": ["Mediation", "TrustedApplication"],
                  "StandardEdition": ["Mediation", "TrustedApplication", "PersistentChat"]}  # fmt: skip
        also = self.chance.choice(["", *second.get(role, [])])
        size = 1 if role == "StandardEdition" else self.chance.randint(1, 3)
        pool = self._add(role, name, site, size, also)
        cells = pool.cells
        cells["web_external_fqdn"] = f"web-{name}ext.{self.domains[0]}"
        cells["autologon"] = self.chance.choice(["", "yes", "no"])
        cells["strict_dns"] = self.chance.choice(["", "yes", "no"])
        cells["autodiscover"] = self.chance.choice(["", "", "no"])
        if role != "StandardEdition" and size > 1 and self.maybe():
            cells["web_internal_fqdn"] = f"web-{name}int.contoso.net"
        if self.maybe(0.3):
            cells["sip_dns_aliases"] = f"sipinternal.{self.domains[-1]}"
        if self.maybe(0.3):
            cells["extra_san"] = f"WebServicesInternal=old-{name}x.contoso.com"
        elif self.maybe(0.2):
            cells["extra_san"] = f"old-{name}x.contoso.com"

    def _edge_pool(self, key: str, site: str) -> None:
        cells = self._add("Edge", f"edge-{key}-", site, self.chance.randint(1, 2)).cells
        names = ["access", "webconf", "av"] if self.maybe(0.7) else ["edge"] * 3
        columns = ("access_edge_fqdn", "webconf_edge_fqdn", "av_edge_fqdn")
        for column, name in zip(columns, names, strict=True):
            cells[column] = f"{name}-{key}.{self.domains[0]}"
        cells["client_autoconfig"] = self.chance.choice(["", "no"])
        cells["federation"] = self.chance.choice(["", "no"])
        if self.maybe(0.3):
            cells["xmpp_domains"] = ";".join(self.domains[:2])
        if self.maybe(0.3):
            cells["sip_dns_aliases"] = f"sipexternal.{self.domains[0]}"
        if self.product == "lync2013":
            cells["aol_pic"] = self.chance.choice(["", "yes"])
            if self.maybe(0.3):
                cells["extra_san"] = "AccessEdgeExternal=sip.tenant.fabrikam.com"
        elif self.maybe():
            cells["tenant_sip_domains"] = "tenant.fabrikam.com;contoso.com"

    def _branch_site(self) -> None:
        role = self.chance.choice(BRANCH)
        self._add(role, "branch", "Hualien", 1, self.chance.choice(["", "Mediation"]))

    def _proxies(self) -> None:
        for site in [""] if self.maybe() else [site for site in self.sites if self.maybe(0.7)]:
            proxy = self._add("ReverseProxy", f"proxy{site.lower()}", site, 1)
            proxy.cells["autodiscover"] = self.chance.choice(["", "no"])
            if self.maybe():
                proxy.cells["owas_external_fqdn"] = f"office{site.lower()}.{self.domains[0]}"

    def _options(self) -> ln.PlanOptions:
        return ln.PlanOptions(
            product=self.product,
            layout=self.chance.choice(["combined", "separate"]),
            wildcard=self.maybe(0.4),
            autodiscover_https=self.maybe(0.7),
            edge_member_names=self.maybe(0.3),
            xmpp_host_names=self.maybe(0.3),
            separate_av_certificate=self.maybe(0.3),
            reverse_proxy_client_eku=self.maybe(0.3),
            autodiscover_internal_extra_domains=("contoso.net",) if self.maybe(0.2) else (),
        )


# ------------------------------------------------------------------------------------ comparison


def planned(deployment: Deployment) -> list[Certificate]:
    """Plan the deployment's table, and give what the statement is compared with."""
    topology = ln.read_topology(deployment.csv())
    rules = ln.load_rules(deployment.product)
    plan = ln.plan_certificates(topology, rules, options=deployment.options)
    return [
        Certificate(
            frozenset(map(str, one.servers)),
            frozenset(one.usages),
            str(one.subject.common_name),
            frozenset(str(entry.name) for entry in one.subject_alt_name),
            frozenset(one.extended_key_usage),
            one.issuer,
        )
        for one in plan.certificates
    ]


def differences(deployment: Deployment) -> list[str]:
    """Say what the two statements do not agree on."""
    ours, theirs = Counter(stated(deployment)), Counter(planned(deployment))
    kinds = (("stated, not planned", ours - theirs), ("planned, not stated", theirs - ours))
    return [f"{kind}: {one}" for kind, found in kinds for one in found.elements()]


@pytest.mark.parametrize("first", range(0, DEPLOYMENTS, _BATCH))
def test_two_statements_of_the_rules_agree(first):
    """Servers, usages, subject, names, extended key usage and issuer of every certificate agree."""
    for seed in range(first, min(first + _BATCH, DEPLOYMENTS)):
        deployment = _Maker(seed).make()
        assert (seed, differences(deployment)) == (seed, [])


def test_the_deployments_are_of_the_kinds_that_no_golden_case_has():
    """Among those that CI plans there is each kind at least once."""
    made = [_Maker(seed).make() for seed in range(30)]
    pools = [pool for one in made for pool in one.pools]
    cells = {column for pool in pools for column, value in pool.cells.items() if value}
    assert {"backup_pool", "sip_dns_aliases", "tenant_sip_domains", "extra_san"} <= cells
    assert {pool.role for pool in pools} >= {*WITH_WEB, *BRANCH, "Edge", "ReverseProxy"}
    assert {pool.also for pool in pools} >= {"Mediation", "PersistentChat", "ExchangeOWA"}
    assert {len(one.urls) for one in made} == {1, 2, 3}
    assert {one.options.layout for one in made} == {"combined", "separate"}
    assert {one.options.wildcard for one in made} == {True, False}
    names = [{p.cells[c] for c in ("access_edge_fqdn", "av_edge_fqdn")} for p in pools
             if p.role == "Edge"]  # fmt: skip
    assert {len(each) for each in names} == {1, 2}
