"""A second, independent statement of which names lead to two places, over random topologies.

It knows only the columns of the table and, for each name, the device that DNS must return. Its
author wrote it from the list of names alone. CI compares 50 topologies, and
``LYNCNB_NAME_TOPOLOGIES=500`` compares 500.
"""

from __future__ import annotations

import os
import random
import re

from topologies import csv_of

import lyncnb as ln

TOPOLOGIES = int(os.environ.get("LYNCNB_NAME_TOPOLOGIES", "50"))
DOMAINS = ("contoso.com", "fabrikam.com", "eu.fabrikam.com")
WEB = ("FrontEnd", "StandardEdition", "Director")
# A few labels, so that many names occur twice.
LABELS = ("sip", "meet", "web", "webint", "lyncdiscover", "lyncdiscoverinternal", "conf", "av",
          "fe01", "se01", "pool", "edge01", "rp01", "oos", "sipexternal")  # fmt: skip
NAMES = [f"{label}.contoso.com" for label in LABELS] + ["sip.fabrikam.com", "dialin.fabrikam.com"]
NAMES += ["meet.eu.fabrikam.com", "meet.notfabrikam.com"]


def random_rows(chance: random.Random) -> list[dict[str, str]]:
    """Return a table with up to eleven servers in two sites, whose names often occur twice."""

    def pick(*, blank: float = 0.3) -> str:
        return "" if chance.random() < blank else chance.choice(NAMES)

    def flag() -> str:
        return chance.choice(["true", "false", ""])

    rows: list[dict[str, str]] = []
    servers = [("FrontEnd", "fe01"), ("FrontEnd", "fe02"), ("StandardEdition", "se01")]
    servers += [("Director", "dir01"), ("Edge", "edge01"), ("Edge", "edge02"), ("Edge", "edge03")]
    servers += [("Mediation", "med01"), ("OfficeWebApps", "oos")]
    servers += [("ReverseProxy", "rp01"), ("ReverseProxy", "rp02")]
    pools = {
        "fe": {"pool_fqdn": "pool.contoso.com", "web_external_fqdn": pick(), "autologon": flag()}
        | {"web_internal_fqdn": pick(blank=0.5), "autodiscover": flag()},
    }
    if chance.random() < 0.3:  # The last two Edge Servers are one pool.
        pools["edge"] = {"pool_fqdn": "edges.contoso.com"}
    for role, host in servers:
        if chance.random() < 0.3:
            continue
        row = {"server_fqdn": f"{host}.contoso.com", "role": role, "site": "Taipei"}
        if role == "FrontEnd":
            row |= pools["fe"]
        elif role in WEB:
            row |= {"web_external_fqdn": pick(), "web_internal_fqdn": pick(blank=0.7)}
            row |= {"autologon": flag(), "autodiscover": flag(), "sip_dns_aliases": pick(blank=0.8)}
            row["site"] = "London" if role == "Director" else "Taipei"
        elif role == "Edge":
            name = pick(blank=0.1)
            same = chance.random() < 0.3
            row["access_edge_fqdn"] = name
            row |= {c: name if same else pick() for c in ("webconf_edge_fqdn", "av_edge_fqdn")}
            row |= {"edge_internal_fqdn": pick(blank=0.8), "sip_dns_aliases": pick(blank=0.8)}
            row |= {"federation": flag(), "client_autoconfig": flag()}
            if host != "edge01" and "edge" in pools:
                pools["edge"] = {**row, **pools["edge"]}
                row |= pools["edge"] | {"server_fqdn": f"{host}.contoso.com"}
        elif role == "ReverseProxy":
            row["owas_external_fqdn"] = pick(blank=0.5)
        rows.append(row)
    for site in ("Taipei", "London"):
        first = [row for row in rows if row["site"] == site and row["role"] in WEB][:1]
        for row in first if site == "Taipei" or chance.random() < 0.5 else ():
            meet = [f"https://{chance.choice(NAMES)}/meet" for _ in DOMAINS]
            row |= {
                "meet_urls": ";".join(dict.fromkeys(meet)),
                "dialin_url": f"https://{chance.choice(NAMES)}/dialin",
                "admin_url": chance.choice(["", f"https://{chance.choice(NAMES)}/admin"]),
            }
    if rows:
        rows[0]["sip_domains"] = ";".join(DOMAINS)
    return rows


def state_split_names(rows: list[dict[str, str]], inside_only: tuple[str, ...]) -> set[str]:
    """Return the names for which DNS would have to return two devices, outside or inside.

    A device is a text. Names that may be on one device have the same text. ``*`` is any device of
    its kind.
    """
    outside: dict[str, set[str]] = {}
    inside: dict[str, set[str]] = {}
    external = [domain for domain in DOMAINS if domain not in inside_only]

    def add(zone: dict[str, set[str]], name: str | None, device: str) -> None:
        if name:
            zone.setdefault(name, set()).add(device)

    def is_used_outside(host: str) -> bool:
        domains = [d for d in DOMAINS if host == d or host.endswith(f".{d}")]
        return max(domains, key=len, default="") not in inside_only

    for row in rows:
        device = "proxy" if row["role"] == "ReverseProxy" else "host"
        for name in (row["server_fqdn"], row.get("pool_fqdn"), row.get("edge_internal_fqdn")):
            add(inside, name, device)
            add(outside, name, device)
    web = [row for row in rows if row["role"] in WEB]
    for row in web:
        pool = row.get("pool_fqdn") or row["server_fqdn"]
        members = [
            r["server_fqdn"] for r in web if (r.get("pool_fqdn") or r["server_fqdn"]) == pool
        ]
        add(outside, row.get("web_external_fqdn"), "proxy")
        add(inside, row.get("web_external_fqdn"), "proxy")
        if (name := row.get("web_internal_fqdn")) and name != pool and [name] != members:
            add(inside, name, f"web of {pool}")
        add(inside, row.get("sip_dns_aliases"), "sign-in")
        for domain in DOMAINS:
            if row.get("autodiscover") != "false":
                add(inside, f"lyncdiscoverinternal.{domain}", "web of *")
                add(outside, f"lyncdiscover.{domain}" if domain in external else "", "proxy")
            if row.get("autologon") == "true":
                add(inside, f"sip.{domain}", "sign-in")
        for column in ("meet_urls", "dialin_url", "admin_url"):
            for host in re.findall(r"https://([^/;]+)", row.get(column, "")):
                add(inside, host, "simple")
                if column != "admin_url" and is_used_outside(host):
                    add(outside, host, "proxy")
    for row in rows:
        if row["role"] == "Edge":
            pool = row.get("pool_fqdn") or row["server_fqdn"]
            services = [row.get(f"{s}_edge_fqdn", "") for s in ("access", "webconf", "av")]
            for name in services:
                kind = "access" if name == services[0] else "media"
                add(outside, name, f"{kind} of {pool}")
            add(outside, row.get("sip_dns_aliases"), "access of *")
            if "false" != row.get("federation") or "false" != row.get("client_autoconfig"):
                for domain in external:
                    add(outside, f"sip.{domain}", "access of *")
        add(outside, row.get("owas_external_fqdn"), "farm")
    return {n for n, of in outside.items() if count_outside(of) > 1} | {
        n for n, of in inside.items() if count_inside(of) > 1
    }


def count_outside(devices: set[str]) -> int:
    """Return the number of devices that one name needs outside."""
    if {"farm", "host"} <= devices:  # The farm can have the name that clients outside use, too.
        devices = devices - {"host"}
    if any(device.startswith("access of ") for device in devices - {"access of *"}):
        devices = devices - {"access of *"}
    return len(devices)


def count_inside(devices: set[str]) -> int:
    """Return the number of devices that one name needs inside.

    A simple URL may lead to a pool or to the reverse proxy, which also leads it to a pool. The web
    services, Autodiscover and sign-in are on each pool.
    """
    owners = {d for d in devices if d.startswith("web of ")} - {"web of *"}
    groups = [{"web of *", "simple", "sign-in", *owners}, {"simple", "proxy"}, {"sign-in", "host"}]
    reached: set[str] = set()
    parts = 0
    while rest := devices - reached:
        part = {min(rest)}
        while wider := {d for g in groups if g & part for d in g & devices} - part:
            part |= wider
        reached |= part
        parts += max(1, len(owners & part))
    return parts


def test_two_statements_find_the_same_names():
    """The check and an independent statement report the same names in random topologies."""
    reported = 0
    for seed in range(TOPOLOGIES):
        chance = random.Random(f"names {seed}")
        rows = random_rows(chance)
        if not rows:
            continue
        inside_only = chance.choice([(), (), ("fabrikam.com",), ("contoso.com", "eu.fabrikam.com")])
        options = ln.PlanOptions(internal_only_sip_domains=inside_only)
        topology = ln.read_topology(csv_of(rows))
        plan = ln.plan_certificates(topology, ln.load_rules("lync2013"), options=options)
        names = {
            finding.message.split('"')[1]
            for finding in ln.check_plan(plan)
            if finding.code == "name-leads-to-two-places"
        }
        assert names == state_split_names(rows, inside_only), f"{seed}: {inside_only} {rows}"
        reported += len(names)
    assert reported >= TOPOLOGIES
