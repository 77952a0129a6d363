"""A second, independent implementation of the naming rules has the same results as the planner.

Its author had read Microsoft's pages and the description of the table, but before the first
comparison neither the planner nor the product files. The deployments are of types that no golden
example has: several sites, paired pools, branch sites, hybrid, two roles on one server, issuers by
cell and option, and tables with other spellings. CI plans a tenth of them, and
``LYNCNB_STATED_DEPLOYMENTS=300`` plans all of them.
"""

from __future__ import annotations

import csv
import io
import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pytest

import lyncnb as ln

DEPLOYMENTS = int(os.environ.get("LYNCNB_STATED_DEPLOYMENTS", "30"))
_BATCH = 10

Row = dict[str, str]

WITH_WEB = ("StandardEdition", "FrontEnd", "Director")
BY_POOL_AND_SERVER = ("Mediation", "PersistentChat", "VideoInterop")
BRANCH = ("SBA", "SBS")
WEB_USAGES = ("Default", "WebServicesInternal", "WebServicesExternal")
EDGE_USAGES = ("AccessEdgeExternal", "DataEdgeExternal", "AudioVideoAuthentication")

# Source: Microsoft, Server collocation, 2014-07-23. A server with the first role uses the
# certificate of this role also for the other roles.
GUESTS = {
    "FrontEnd": ("Mediation", "TrustedApplication"),
    "StandardEdition": ("Mediation", "TrustedApplication", "PersistentChat"),
    "SBA": ("Mediation",),
    "SBS": ("Mediation",),
    "ExchangeUM": ("ExchangeOWA",),
}

# Servers with these roles use the Default certificate to connect to gateways, video systems or
# applications.
CALLERS = (
    *("FrontEnd", "StandardEdition", "Mediation", "TrustedApplication"),
    *("SBA", "SBS", "VideoInterop"),
)


class Certificate(NamedTuple):
    """The properties of a certificate that the two implementations must agree on."""

    servers: frozenset[str]
    usages: frozenset[str]
    subject: str
    names: frozenset[str]
    eku: frozenset[str]
    issuer: str


# --- The second implementation of the rules.


class Statement:
    """A table of servers with its options, from which the second implementation determines the
    certificates.

    Notes
    -----
    Sources: Microsoft, for Lync Server 2013: Certificate requirements for internal servers
    (2017-02-17), Certificate requirements for external user access (2016-03-29), Request and
    configure a certificate for your reverse HTTP proxy, Wildcard certificate support, Certificate
    summary - Single Director (each 2014-07-23), Planning for simple URLs (2015-12-12), DNS
    requirements for simple URLs (2014-07-23); Update the edge certificate (read 2026-11-28).
    """

    def __init__(self, rows: list[Row], options: ln.PlanOptions) -> None:
        self.rows = rows
        self.options = options
        self.domains = _parts(_first(rows, "sip_domains"))

    def certificates(self) -> Iterator[Certificate]:
        """Yield each certificate that the deployment requires."""
        shared = set()
        for row in self.rows:
            role, server, pool = row["role"], row["server_fqdn"], _pool_of(row)
            if self._is_guest(row):
                continue
            if role in WITH_WEB:
                yield from self._web_server_certificates(row)
            elif role in BY_POOL_AND_SERVER:
                if role != "Mediation" or self._is_true(row, "mediation_standalone", blank=True):
                    yield self._make_certificate(row, ["Default"], pool, {pool, server})
            elif role in BRANCH:
                yield self._make_certificate(row, ["Default"], server, {server, *self._each("sip")})
            elif role == "ExchangeUM":
                yield self._make_certificate(row, [], server, {server})
            elif (role, pool) not in shared:
                shared.add((role, pool))
                yield from self._shared(row)
        yield from self._oauth()

    def _web_server_certificates(self, row: Row) -> Iterator[Certificate]:
        """Yield the certificates of a Standard Edition server, Front End Server or Director."""
        server, pool = row["server_fqdn"], _pool_of(row)
        server_or_pool = pool if row["role"] == "FrontEnd" else server
        hosts, admin = self._find_simple_url_hosts(row["site"])
        hosts = hosts | self._paired_hosts(row)
        outside, inside = set[str](), set[str]()
        if self._is_true(row, "autodiscover", blank=True):
            outside = self._each("lyncdiscover")
            inside = self._each("lyncdiscoverinternal")
            extra_domains = self.options.autodiscover_internal_extra_domains
            inside |= {f"lyncdiscoverinternal.{domain}" for domain in extra_domains}
        sign_in = set(self._listed(row, "sip_dns_aliases"))
        # Clients require strict DNS naming unless a policy allows otherwise.
        if self._is_true(row, "autologon", blank=False):
            sign_in |= self._each("sip") if self._is_true(row, "strict_dns", blank=True) else set()
        exact = {
            "Default": {pool, server, *sign_in},
            "WebServicesInternal": {server, pool, self._cell(row, "web_internal_fqdn")},
            "WebServicesExternal": {server_or_pool, self._cell(row, "web_external_fqdn")},
        }
        may_be_wild = {
            "Default": set[str](),
            "WebServicesInternal": hosts | {admin} | inside,
            "WebServicesExternal": hosts | outside,
        }
        together = self.options.layout == "combined"
        for usages in [WEB_USAGES] if together else [(usage,) for usage in WEB_USAGES]:
            names = set[str]().union(*(exact[usage] for usage in usages))
            loose = set[str]().union(*(may_be_wild[usage] for usage in usages))
            names |= loose & (exact["WebServicesInternal"] | exact["WebServicesExternal"])
            subject = pool if "Default" in usages else server_or_pool
            yield self._make_certificate(row, usages, subject, self._apply_wildcards(names, loose))

    def _shared(self, row: Row) -> Iterator[Certificate]:
        """Yield the certificates that all servers of a pool or farm share."""
        role, pool = row["role"], _pool_of(row)
        servers = [r["server_fqdn"] for r in self._members(row) if r["role"] == role]
        if role == "Edge":
            yield from self._edge(row, servers)
        elif role == "ReverseProxy":
            yield self._reverse_proxy(row, servers)
        elif role == "OfficeWebApps":
            yield self._make_certificate(row, [], pool, {pool}, servers)
        # The pool contains trusted applications, or Outlook Web App, for which the same rules
        # apply.
        else:
            usages = ["Default"] if role == "TrustedApplication" else []
            yield self._make_certificate(row, usages, pool, {pool, *servers}, servers)

    def _edge(self, row: Row, servers: list[str]) -> Iterator[Certificate]:
        options, access = self.options, self._cell(row, "access_edge_fqdn")
        names = {access, self._cell(row, "webconf_edge_fqdn")}
        if any(self._is_true(row, use, blank=True) for use in ("federation", "client_autoconfig")):
            names |= {name for name in self._each("sip") if not self._is_internal_only(name)}
        names |= set(self._listed(row, "sip_dns_aliases"))
        names |= {f"sip.{domain}" for domain in self._listed(row, "tenant_sip_domains")}
        if options.product in (
            "lync2013",
            "sfb2015",
        ):  # Skype for Business Server 2019 no longer supports XMPP.
            domains = self._listed(row, "xmpp_domains")
            names |= set(domains)
            names |= {f"xmpp.{domain}" for domain in domains if options.xmpp_host_names}
        aol = options.product == "lync2013" and self._is_true(row, "aol_pic", blank=False)
        apart = options.separate_av_certificate
        usages = EDGE_USAGES[:2] if apart else EDGE_USAGES
        yield self._make_certificate(
            row, usages, access, names, servers, issuer="public", client=aol
        )
        if apart:
            # Clients do not check the names in this certificate, but a public CA requires that they
            # include the subject name.
            yield self._make_certificate(
                row, EDGE_USAGES[2:], access, {access}, servers, issuer="public"
            )
        internal_name = self._cell(row, "edge_internal_fqdn") or _pool_of(row)
        members = {internal_name, *servers} if options.edge_member_names else set()
        yield self._make_certificate(row, ["Internal"], internal_name, members, servers)

    def _reverse_proxy(self, row: Row, servers: list[str]) -> Certificate:
        """Return the certificate of a reverse proxy, which publishes its site or, without a site,
        all sites.
        """
        published, hosts = set[tuple[bool, str]](), set[str]()
        for other in self.rows:
            if row["site"] in ("", other["site"]):
                hosts |= self._find_simple_url_hosts(other["site"])[0] | self._paired_hosts(other)
                if other["role"] in WITH_WEB:
                    web_name = self._cell(other, "web_external_fqdn")
                    published.add((other["role"] == "Director", web_name))
        if self.options.autodiscover_https and self._is_true(row, "autodiscover", blank=True):
            hosts |= self._each("lyncdiscover")
        hosts = {name for name in hosts if not self._is_internal_only(name)}
        exact = {name for _, name in published} | {self._cell(row, "owas_external_fqdn")}
        return self._make_certificate(
            *(row, [], min(published)[1], self._apply_wildcards(exact, hosts), servers),
            issuer="public",
            client=self.options.reverse_proxy_client_eku,
        )

    def _oauth(self) -> Iterator[Certificate]:
        """Return the OAuth certificate of the deployment, which contains every SIP domain."""
        rows = [row for row in self.rows if row["role"] in ("StandardEdition", "FrontEnd")]
        servers = frozenset(row["server_fqdn"] for row in rows)
        usages = frozenset({"OAuthTokenIssuer"})
        if rows:
            issuer = self._issuer("Deployment", rows, usages, "internal")
            eku, names = frozenset({"serverAuth"}), frozenset(self.domains)
            yield Certificate(servers, usages, self.domains[0], names, eku, issuer)

    def _make_certificate(
        self,
        row: Row,
        usages: Iterable[str],
        subject: str,
        names: set[str],
        servers: Iterable[str] = (),
        *,
        issuer: str = "internal",
        client: bool = False,
    ) -> Certificate:
        """Create a certificate for a server's row, with the extra names from the table."""
        role, usages = row["role"], frozenset(usages)
        servers = frozenset(servers) or frozenset({row["server_fqdn"]})
        for entry in self._listed(row, "extra_san"):
            usage, _, name = entry.rpartition("=")
            # If a certificate has alternative names, TLS clients ignore the subject name, so the
            # subject name is also added to the alternative names.
            names = names | {name, subject} if not usage or usage in usages else names
        rows = [r for r in self.rows if r["server_fqdn"] in servers and r["role"] == role]
        if role in CALLERS and "Default" in usages:
            client = client or _pool_of(row) in self.options.client_authentication
        return Certificate(
            *(servers, usages, subject, frozenset(names - {""})),
            frozenset({"serverAuth", "clientAuth"} if client else {"serverAuth"}),
            self._issuer(role, rows, usages, issuer),
        )

    def _issuer(self, role: str, rows: list[Row], usages: frozenset[str], rule: str) -> str:
        """Return the issuer. An option overrides the cells, and the cells override the rule. If
        cells differ, public takes precedence.
        """
        issuers = self.options.issuer
        cells = [entry.rpartition("=") for row in rows for entry in _parts(row["issuer"])]
        everything = {""}  # In the option issuer, an empty key means "all", as in plan.toml.
        choices = [
            *({issuers[k] for k in keys if k in issuers} for keys in ({*usages, role}, everything)),
            {value for usage, _, value in cells if not usage or usage in usages},
            {rule},
        ]
        # In alphabetical order, "public" follows "internal", so max() returns "public" if both
        # occur.
        return max(next(filter(None, choices)))

    def _apply_wildcards(self, exact: set[str], loose: set[str]) -> set[str]:
        """Return the names on a certificate. If wildcards are enabled, they replace the names in
        `loose`, but not the names in `exact`.
        """
        loose = loose - exact - {""}
        if self.options.wildcard:
            loose = {f"*.{name.partition('.')[2]}" for name in loose}
        return exact | loose

    def _find_simple_url_hosts(self, site: str) -> tuple[set[str], str]:
        """Return the hosts in the Meet, dial-in and admin URLs of a site.

        A site with separate URLs has only those. Other sites have the URLs of the deployment: those
        on which all rows agree, or those in the rows without a site.
        """
        columns = ("meet_urls", "dialin_url")
        rows = [row for row in self.rows if row["site"] == site]
        differ = any(len({row[column] for row in self.rows} - {""}) > 1 for column in columns)
        if not differ:
            rows = self.rows
        elif not any(row[column] for row in rows for column in columns):
            rows = [row for row in self.rows if not row["site"]]
        urls = {url for row in rows for column in columns for url in _parts(row[column])}
        return {_host(url) for url in urls}, _host(_first(rows, "admin_url"))

    def _paired_hosts(self, row: Row) -> set[str]:
        """Return the Meet and dial-in hosts at the site of the backup pool, without the admin host,
        which does not fail over.
        """
        pool = self._cell(row, "backup_pool")
        sites = {other["site"] for other in self.rows if pool and _pool_of(other) == pool}
        return {host for site in sites for host in self._find_simple_url_hosts(site)[0]}

    def _is_internal_only(self, name: str) -> bool:
        """Return whether the SIP domain to which a name belongs is used only internally."""
        above = [d for d in self.domains if f".{name}".endswith(f".{d}")]
        return bool(above) and max(above, key=len) in self.options.internal_only_sip_domains

    def _each(self, label: str) -> set[str]:
        return {f"{label}.{domain}" for domain in self.domains}

    def _is_guest(self, row: Row) -> bool:
        same = [other for other in self.rows if other["server_fqdn"] == row["server_fqdn"]]
        return any(row["role"] in GUESTS.get(other["role"], ()) for other in same)

    def _members(self, row: Row) -> list[Row]:
        return [other for other in self.rows if _pool_of(other) == _pool_of(row)]

    def _cell(self, row: Row, column: str) -> str:
        """Return the first value in the column among all rows of the pool."""
        return _first(self._members(row), column)

    def _listed(self, row: Row, column: str) -> list[str]:
        return _parts(self._cell(row, column))

    def _is_true(self, row: Row, column: str, *, blank: bool) -> bool:
        return {"true": True, "false": False, "": blank}[self._cell(row, column)]


def _pool_of(row: Row) -> str:
    return row["pool_fqdn"] or row["server_fqdn"]


def _first(rows: Iterable[Row], column: str) -> str:
    return next((row[column] for row in rows if row[column]), "")


def _parts(text: str) -> list[str]:
    return [part for part in text.split(";") if part]


def _host(url: str) -> str:
    return url.removeprefix("https://").partition("/")[0]


# --- random deployments


COLUMNS = (
    *("server_fqdn", "role", "pool_fqdn", "site", "sip_domains", "meet_urls", "dialin_url"),
    *("admin_url", "web_internal_fqdn", "web_external_fqdn", "autologon", "strict_dns"),
    *("autodiscover", "sip_dns_aliases", "extra_san", "access_edge_fqdn", "webconf_edge_fqdn"),
    *("av_edge_fqdn", "edge_internal_fqdn", "xmpp_domains", "tenant_sip_domains", "federation"),
    *("client_autoconfig", "aol_pic", "owas_external_fqdn", "backup_pool"),
    *("mediation_standalone", "issuer"),
)
DOMAINS = ["contoso.com", "fabrikam.com", "litwareinc.com", "emea.contoso.com", "asia.contoso.com"]
SITES = ["Redmond", "London", "Taipei", "台北", "Singapore"]


class Maker:
    """A generator that creates a random deployment row by row."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        products = ["lync2013"] * 4 + ["sfb2015", "sfb2019", "sfbse"]
        self.product = self.chance.choice(products)
        self.zone = self.chance.choice(["contoso.net", "corp.contoso.com", "litwareinc.net"])
        self.rows: list[Row] = []
        self.counts = Counter[str]()
        self.public = self.chance.sample(DOMAINS, self.chance.choice([1, 1, 2, 2, 3, 4]))
        self.domains, self.inside = list(self.public), list[str]()
        if self.maybe(0.2):
            self.inside.append("contoso.local")
            self.domains.insert(self.chance.randint(1, len(self.domains)), "contoso.local")
        if len(self.public) > 1 and self.maybe(0.15):
            self.inside.append(self.public.pop())

    def make(self) -> tuple[list[Row], ln.PlanOptions]:
        """Return the rows of the table and the options."""
        sites = [""] if self.maybe(0.2) else self.chance.sample(SITES, self.chance.randint(1, 4))
        for number, site in enumerate(sites):
            if number == 0 or self.maybe(0.8):
                self.add_web_pools(site)
            self.add_other_pools(site)
            self.branch(site)
            if self.maybe():
                self.edge(site)
        web = [row for row in self.rows if row["role"] in WITH_WEB]
        with_web = {row["site"]: None for row in web}
        for site in ["", *with_web]:
            if self.maybe(0.4):
                self.proxy(site)
        self.simple_urls([*with_web], [site for site in sites if self.rows_of(site)])
        self.pair(web)
        self.chance.shuffle(self.rows)
        self.scatter(self.rows, sip_domains=";".join(self.domains))
        for row in web:
            if self.maybe(0.08):
                mixed = [
                    "WebServicesExternal=public",
                    "Default=internal;WebServicesExternal=public",
                ]
                row["issuer"] = self.chance.choice(["public", "internal", *mixed])
        return self.rows, self.options()

    def maybe(self, share: float = 0.5) -> bool:
        """Return true with the given probability."""
        return self.chance.random() < share

    def name(self, stem: str, zone: str = "") -> str:
        """Return a host name that is not in use yet."""
        self.counts[stem] += 1
        return f"{stem}{self.counts[stem]:02}.{zone or self.zone}"

    def public_name(self, stem: str) -> str:
        """Return an unused name in one of the SIP domains that are also used externally."""
        return self.name(stem, self.chance.choice(self.public))

    def random_flag(self, share: float) -> str:
        """Return a random value for a yes/no cell in which blank means true.

        The value is false in a given share of all cases.
        """
        return "false" if self.maybe(share) else self.chance.choice(["true", ""])

    def rows_of(self, site: str) -> list[Row]:
        """Return the rows of a site in the table."""
        return [row for row in self.rows if row["site"] == site]

    def scatter(self, rows: list[Row], **cells: str) -> None:
        """Write each value to some of the rows. The other rows inherit it."""
        for column, value in cells.items():
            for row in self.chance.sample(rows, self.chance.randint(1, min(3, len(rows)))):
                row[column] = value

    def pool(self, role: str, site: str, size: int, **cells: str) -> list[Row]:
        """Add a pool of servers. If the size is 0, add a single server, whose name is also the pool
        name.
        """
        stem = role.lower()
        pool, rows = self.name(f"{stem}pool") if size else "", []
        for _ in range(size or 1):
            row = dict.fromkeys(COLUMNS, "") | {"role": role, "site": site, "pool_fqdn": pool}
            row["server_fqdn"] = self.name(stem)
            if not pool and self.maybe(0.3):
                row["pool_fqdn"] = row["server_fqdn"]
            rows.append(row)
        self.scatter(rows, **cells)
        self.rows += rows
        return rows

    def size(self, most: int = 3) -> int:
        """Return a random number of servers, or 0 for a single server without a pool."""
        return self.chance.randint(0, most)

    def add_second_role(self, hosts: list[Row], role: str) -> None:
        """Add a second role to some servers of a pool."""
        for host in self.chance.sample(hosts, self.chance.randint(1, len(hosts))):
            cells = {column: host[column] for column in ("server_fqdn", "pool_fqdn", "site")}
            row = dict.fromkeys(COLUMNS, "") | cells | {"role": role}
            if role == "Mediation" and self.maybe():
                row["mediation_standalone"] = "false"
            self.rows.append(row)

    def further_names(self, usages: Iterable[str]) -> str:
        """Return one to three extra names, some of which apply to a single usage."""
        names = [self.public_name("old") for _ in range(self.chance.randint(1, 3))]
        choices = ["", *(f"{usage}=" for usage in usages)]
        return ";".join(f"{self.chance.choice(choices)}{name}" for name in names)

    def add_web_pools(self, site: str) -> None:
        """Add one to six pools with web services, and second roles on their servers."""
        roles = [self.chance.choice(WITH_WEB[:2]), *(r for r in WITH_WEB * 2 if self.maybe(0.3))]
        for role in roles:
            size = {"FrontEnd": self.chance.randint(1, 4), "Director": self.size()}.get(role, 0)
            rows = self.pool(role, site, size, **self.web_cells(role, size))
            for guest in GUESTS.get(role, ()):
                if self.maybe(0.25) and (guest != "PersistentChat" or self.has_chat):
                    self.add_second_role(rows, guest)

    @property
    def has_chat(self) -> bool:
        """Return whether the product has the role Persistent Chat."""
        return self.product in ("lync2013", "sfb2015")

    def web_cells(self, role: str, size: int) -> dict[str, str]:
        """Return random values for a pool with web services."""
        cells = {
            "web_external_fqdn": self.public_name("webext"),
            "autologon": self.chance.choice(["true", "false", ""]),
            "strict_dns": self.random_flag(0.2),
            "autodiscover": self.random_flag(0.15),
        }
        if size and self.maybe():
            cells["web_internal_fqdn"] = self.name("webint")
        if self.maybe(0.25):
            names = [f"sipinternal.{d}" for d in self.domains] + [f"sipexternal.{self.domains[0]}"]
            aliases = self.chance.sample(names, self.chance.randint(1, len(names)))
            cells["sip_dns_aliases"] = ";".join(aliases)
        if self.maybe(0.2):
            cells["extra_san"] = self.further_names(WEB_USAGES)
        return cells

    def edge(self, site: str) -> None:
        """Add an Edge pool with one or three names, and with random values for hybrid, XMPP, and
        AOL.
        """
        domain = self.chance.choice(self.public)
        access = self.chance.choice([f"sip.{domain}", self.name("access", domain)])
        separate_names = [self.name("webcon", domain), self.name("av", domain)]
        meeting, media = [access, access] if self.maybe(0.2) else separate_names
        cells = {
            "access_edge_fqdn": access,
            "webconf_edge_fqdn": meeting,
            "av_edge_fqdn": media,
            "federation": self.random_flag(0.3),
            "client_autoconfig": self.random_flag(0.3),
            "aol_pic": self.chance.choice(["true", "false", ""]),
        }
        some = self.chance.sample(self.public, self.chance.randint(1, len(self.public)))
        tenant = self.chance.sample(["fabrikam.com", "cloud.contoso.com"], 2)
        for column, share, value in (
            ("xmpp_domains", 0.3, ";".join(some)),
            ("tenant_sip_domains", 0.3, ";".join(tenant)),
            ("sip_dns_aliases", 0.15, f"sipexternal.{domain}"),
            ("edge_internal_fqdn", 0.3, self.name("edgeint")),
            ("extra_san", 0.25, self.further_names([*EDGE_USAGES, "Internal"])),
        ):
            if self.maybe(share):
                cells[column] = value
        rows = self.pool("Edge", site, self.size(), **cells)
        if self.maybe(0.15):
            mixed = ["Internal=public", "AccessEdgeExternal=internal"]
            self.chance.choice(rows)["issuer"] = self.chance.choice(["public", "internal", *mixed])

    def add_other_pools(self, site: str) -> None:
        """Add Mediation Servers, pools of other roles, trusted applications, Exchange servers, and
        Office Web Apps servers.
        """
        for _ in range(self.chance.choice([0, 0, 1, 2])):
            alone = self.chance.choice(["true", "", "", "false"])
            self.pool("Mediation", site, self.size(), mediation_standalone=alone)
        others = ["PersistentChat"] if self.has_chat else []
        others += ["VideoInterop"] if self.product != "lync2013" else []
        for role in [*others, "TrustedApplication", "OfficeWebApps", "ExchangeOWA"]:
            if self.maybe(0.3):
                rows = self.pool(role, site, self.size())
                if self.maybe(0.2):
                    self.scatter(rows, extra_san=self.further_names([]))
        if self.maybe():
            rows = self.pool("ExchangeUM", site, 0)
            if self.maybe(0.4):
                self.add_second_role(rows, "ExchangeOWA")

    def branch(self, site: str) -> None:
        """Add branch servers, whose certificate names do not depend on how clients sign in."""
        for role in BRANCH:
            if self.maybe(0.2):
                cells = {"autologon": self.chance.choice(["true", "false", ""])}
                rows = self.pool(role, site, 0, **cells, strict_dns=self.random_flag(0.3))
                if self.maybe(0.4):
                    self.add_second_role(rows, "Mediation")

    def proxy(self, site: str) -> None:
        """Add a reverse proxy for the given site or, without a site, for all sites."""
        cells = {"autodiscover": self.random_flag(0.2)}
        if self.maybe(0.4):
            cells["owas_external_fqdn"] = self.public_name("office")
        if self.maybe(0.15):
            cells["extra_san"] = self.public_name("exchange")
        rows = self.pool("ReverseProxy", site, self.size(2), **cells)
        if self.maybe(0.1):
            rows[0]["issuer"] = "internal"

    def simple_urls(self, with_web: list[str], sites: list[str]) -> None:
        """Add simple URLs: for the whole deployment, for each site, or in one site only."""
        if len(with_web) < 2 or self.maybe(0.4):
            self.scatter([row for site in sites for row in self.rows_of(site)], **self.urls(""))
            return
        # Sometimes, the URLs of the first site are in rows without a site.
        if self.rows_of("") and self.maybe():
            sites = ["", *sites[1:]]
        for number, site in enumerate([with_web[-1]] if self.maybe(0.3) else sites):
            self.scatter(self.rows_of(site), **self.urls(str(number)))

    def urls(self, mark: str) -> dict[str, str]:
        """Return simple URLs in one of the three forms that Microsoft documents."""
        base, option = self.public[0], self.chance.randint(1, 3)
        if option == 1:
            meet = [f"https://meet{mark}.{domain}" for domain in self.domains]
            dialin, admin = (f"https://{service}{mark}.{base}" for service in ("dialin", "admin"))
        else:
            hosts = [base] * len(self.domains) if option == 3 else self.domains
            meet = [f"https://lync{mark}.{host}/{n}/Meet" for n, host in enumerate(hosts)]
            dialin, admin = (
                f"https://lync{mark}.{base}/{service}" for service in ("Dialin", "Admin")
            )
        # Sometimes, the dial-in URL uses a pool's web name, which no wildcard replaces.
        if self.maybe(0.1):
            dialin = f"https://{_first(self.rows, 'web_external_fqdn')}/Dialin"
        cells = {"meet_urls": ";".join(meet), "dialin_url": dialin}
        return cells | ({"admin_url": admin} if self.maybe(0.7) else {})

    def pair(self, web: list[Row]) -> None:
        """Make one pool the backup pool of another pool of the same role. In most cases, the backup
        applies in both directions.
        """
        for role in WITH_WEB[:2]:
            pools = list({_pool_of(row): None for row in web if row["role"] == role})
            if len(pools) > 1 and self.maybe():
                first, second = self.chance.sample(pools, 2)
                for pool, backup in ((first, second), (second, first)):
                    rows = [row for row in web if _pool_of(row) == pool]
                    if pool == first or self.maybe(0.7):
                        self.scatter(rows, backup_pool=backup)

    def options(self) -> ln.PlanOptions:
        """Return random options that change names, usages or issuers."""
        keys = ["Default", "Internal", "OAuthTokenIssuer", "AccessEdgeExternal", "all"]
        issuer_keys = self.chance.sample([*keys, "ReverseProxy", "Mediation"], 2)
        pools = sorted({_pool_of(row) for row in self.rows})
        return ln.PlanOptions(
            product=self.product,
            layout=self.chance.choice(["combined", "combined", "separate"]),
            wildcard=self.maybe(0.35),
            autodiscover_https=self.maybe(0.85),
            edge_member_names=self.maybe(0.25),
            xmpp_host_names=self.maybe(0.25),
            separate_av_certificate=self.maybe(0.25),
            reverse_proxy_client_eku=self.maybe(0.15),
            autodiscover_internal_extra_domains=(self.zone,) if self.maybe(0.2) else (),
            internal_only_sip_domains=tuple(self.inside),
            client_authentication=tuple(self.chance.sample(pools, 1)) if self.maybe(0.4) else (),
            issuer={
                key: self.chance.choice(["internal", "public"])
                for key in (issuer_keys if self.maybe(0.2) else ())
            },
        )


# --- the comparison


ROLE_WORDS = {
    "FrontEnd": ["Front End", "FE", "EE", "前端伺服器", "企業版前端伺服器"],
    "StandardEdition": ["SE", "Standard Edition", "標準版伺服器"],
    "Director": ["director", "控制器"],
    "Edge": ["EDGE", "邊緣伺服器"],
    "Mediation": ["中繼伺服器", "獨立的中繼伺服器", "stand-alone Mediation Server"],
    "SBA": ["sba", "分支裝置"],
}
HEADINGS = {
    "server_fqdn": ["Server FQDN", "fqdn", "Computer", "SERVER-FQDN"],
    "pool_fqdn": ["pool", "Pool FQDN"],
    "meet_urls": ["符合簡易 URL", "Meet URLs"],
    "dialin_url": ["撥入簡易 URL", "dialin-url"],
    "admin_url": ["管理簡易 URL", "ADMIN_URL"],
}
LISTS = (
    *("sip_domains", "meet_urls", "sip_dns_aliases", "extra_san", "xmpp_domains"),
    "tenant_sip_domains",
)
TRUTHS = [("true", "false"), ("yes", "no"), ("Y", "N"), ("1", "0"), ("是", "否")]


def vary_spellings(rows: list[Row], chance: random.Random) -> bytes:
    """Return the table with different spellings of words, separators and encodings, as different
    people might write it.
    """
    truths = chance.choice(TRUTHS)
    columns = chance.sample(COLUMNS, len(COLUMNS))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=chance.choice(",;\t"))
    writer.writerow([chance.choice([name, *HEADINGS.get(name, [])]) for name in columns])
    for row in rows:
        cells = []
        for column in columns:
            cell = row[column]
            if column == "role":
                cell = chance.choice([cell, *ROLE_WORDS.get(cell, [])])
            elif cell in ("true", "false"):
                cell = truths[cell == "false"]
            elif column in LISTS:
                cell = cell.replace(";", chance.choice([";", ",", " | ", " ", "\n"]))
            elif cell and column.endswith("_fqdn"):
                cell = chance.choice([cell, cell.upper(), f"{cell}.", f" {cell} "])
            cells.append(cell)
        writer.writerow(cells)
    return text.getvalue().encode(chance.choice(["utf-8", "utf-8-sig", "utf-16"]))


def planned(rows: list[Row], options: ln.PlanOptions, seed: int) -> Iterator[Certificate]:
    """Yield the certificates that lyncnb plans for the table."""
    topology = ln.read_topology(vary_spellings(rows, random.Random(seed)))
    rules = ln.load_rules(options.product)
    for certificate in ln.plan_certificates(topology, rules, options=options).certificates:
        yield Certificate(
            frozenset(map(str, certificate.servers)),
            frozenset(certificate.usages),
            str(certificate.subject.common_name),
            frozenset(map(str, certificate.names)),
            frozenset(certificate.extended_key_usage),
            certificate.issuer,
        )


def differences(seed: int) -> list[str]:
    """Return the differences between the two implementations for one deployment."""
    rows, options = Maker(seed).make()
    ours = Counter(Statement(rows, options).certificates())
    theirs = Counter(planned(rows, options, seed))
    kinds = (("stated, not planned", ours - theirs), ("planned, not stated", theirs - ours))
    return [
        f"{kind}: {certificate}"
        for kind, certificates in kinds
        for certificate in certificates.elements()
    ]


@pytest.mark.parametrize("first", range(0, DEPLOYMENTS, _BATCH))
def test_two_implementations_of_the_rules_agree(first: int) -> None:
    """For each certificate, both implementations have the same servers, usages, subject, names,
    extended key usages and issuer.
    """
    for seed in range(first, min(first + _BATCH, DEPLOYMENTS)):
        assert (seed, differences(seed)) == (seed, [])


def test_random_deployments_include_each_missing_type() -> None:
    """The random deployments in CI include each type of deployment that no golden example contains."""
    deployments = [Maker(seed).make() for seed in range(30)]
    rows = [row for table, _ in deployments for row in table]
    choices = [options for _, options in deployments]
    assert {column for row in rows for column, cell in row.items() if cell} == {*COLUMNS}
    roles = {*WITH_WEB, *BY_POOL_AND_SERVER, *BRANCH, *GUESTS, "Edge", "ReverseProxy"}
    assert {row["role"] for row in rows} >= roles | {"OfficeWebApps", "TrustedApplication"}
    guests = {
        (host["role"], row["role"])
        for table, _ in deployments
        for host in table
        for row in table
        if row["server_fqdn"] == host["server_fqdn"] and row["role"] in GUESTS.get(host["role"], ())
    }
    assert guests == {(host, role) for host, roles in GUESTS.items() for role in roles}
    assert {len({row["site"] for row in table}) for table, _ in deployments} >= {1, 2, 3, 4}
    own_urls = {len({row["meet_urls"] for row in table} - {""}) for table, _ in deployments}
    assert own_urls >= {1, 2, 3}
    edges = [row for row in rows if row["role"] == "Edge" and row["access_edge_fqdn"]]
    assert {row["access_edge_fqdn"] == row["av_edge_fqdn"] for row in edges} == {True, False}
    for option in ("layout", "wildcard", "autodiscover_https", "separate_av_certificate"):
        assert len({getattr(options, option) for options in choices}) == 2, option
    for option in ("issuer", "internal_only_sip_domains", "client_authentication"):
        assert len({bool(getattr(options, option)) for options in choices}) == 2, option
    assert {options.product for options in choices} == {"lync2013", "sfb2015", "sfb2019", "sfbse"}
