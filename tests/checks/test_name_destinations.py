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
DOMAINS = ("contoso.com", "fabrikam.com")
WEB = ("FrontEnd", "StandardEdition", "Director")
# A few labels, so that many names occur twice.
LABELS = ("sip", "meet", "web", "webint", "lyncdiscover", "lyncdiscoverinternal", "conf", "av",
          "fe01", "se01", "pool", "edge01", "rp01", "oos")  # fmt: skip
NAMES = [f"{label}.contoso.com" for label in LABELS] + ["sip.fabrikam.com", "dialin.fabrikam.com"]


def random_rows(chance: random.Random) -> list[dict[str, str]]:
    """Return a table with up to seven servers, whose names often occur twice."""

    def pick(*, blank: float = 0.3) -> str:
        return "" if chance.random() < blank else chance.choice(NAMES)

    rows = []
    servers = [("FrontEnd", "fe01"), ("FrontEnd", "fe02"), ("StandardEdition", "se01")]
    servers += [("Director", "dir01"), ("Edge", "edge01"), ("Edge", "edge02")]
    servers += [("Mediation", "med01"), ("OfficeWebApps", "oos"), ("ReverseProxy", "rp01")]
    shared = {"web_external_fqdn": pick(), "web_internal_fqdn": pick(blank=0.5)}
    shared["autologon"] = chance.choice(["true", "false"])
    for role, host in servers:
        if chance.random() < 0.2:
            continue
        row = {"server_fqdn": f"{host}.contoso.com", "role": role}
        if role == "FrontEnd":
            row |= {"pool_fqdn": "pool.contoso.com", **shared}
        elif role in WEB:
            row |= {"web_external_fqdn": pick(), "autologon": chance.choice(["true", "false"])}
        elif role == "Edge":
            name = pick(blank=0.1)
            same = chance.random() < 0.3
            row["access_edge_fqdn"] = name
            row |= {c: name if same else pick() for c in ("webconf_edge_fqdn", "av_edge_fqdn")}
            row["edge_internal_fqdn"] = pick(blank=0.8)
        elif role == "ReverseProxy":
            row["owas_external_fqdn"] = pick(blank=0.5)
        rows.append(row)
    if rows:
        meet = [f"https://{chance.choice(NAMES)}/meet" for _ in DOMAINS]
        rows[0] |= {
            "sip_domains": ";".join(DOMAINS),
            "meet_urls": ";".join(dict.fromkeys(meet)),
            "dialin_url": f"https://{chance.choice(NAMES)}/dialin",
            "admin_url": chance.choice(["", f"https://{chance.choice(NAMES)}/admin"]),
        }
    return rows


def state_split_names(rows: list[dict[str, str]]) -> set[str]:
    """Return the names for which DNS would have to return two devices, outside or inside.

    A device is a text. Names that may be on one device have the same text. ``*`` is any device of
    its kind.
    """
    outside: dict[str, set[str]] = {}
    inside: dict[str, set[str]] = {}

    def add(zone: dict[str, set[str]], name: str | None, device: str) -> None:
        if name:
            zone.setdefault(name, set()).add(device)

    for row in rows:
        device = "proxy" if row["role"] == "ReverseProxy" else "host"
        for name in (row["server_fqdn"], row.get("pool_fqdn"), row.get("edge_internal_fqdn")):
            add(inside, name, device)
            add(outside, name, device)
    web = [row for row in rows if row["role"] in WEB]
    for row in web:
        members = [r["server_fqdn"] for r in web if r.get("pool_fqdn") == row.get("pool_fqdn")]
        pool = row.get("pool_fqdn") or row["server_fqdn"]
        add(outside, row.get("web_external_fqdn", ""), "proxy")
        add(inside, row.get("web_external_fqdn", ""), "proxy")
        name = row.get("web_internal_fqdn", "")
        is_own = name == pool or (row.get("pool_fqdn") and [name] == members)
        if name and not is_own:
            add(inside, name, f"web of {pool}")
        for domain in DOMAINS:
            add(outside, f"lyncdiscover.{domain}", "proxy")
            add(inside, f"lyncdiscoverinternal.{domain}", "web of *")
            if row.get("autologon") == "true":
                add(inside, f"sip.{domain}", "sign-in")
    for row in rows if web else ():
        for column in ("meet_urls", "dialin_url", "admin_url"):
            for host in re.findall(r"https://([^/;]+)", row.get(column, "")):
                add(inside, host, "simple")
                if column != "admin_url":
                    add(outside, host, "proxy")
    for row in rows:
        if row["role"] == "Edge":
            services = [row.get(f"{s}_edge_fqdn", "") for s in ("access", "webconf", "av")]
            for name in services:
                kind = "access" if name == services[0] else "media"
                add(outside, name, f"{kind} of {row['server_fqdn']}")
            for domain in DOMAINS:
                add(outside, f"sip.{domain}", "access of *")
        add(outside, row.get("owas_external_fqdn", ""), "farm")
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
        rows = random_rows(random.Random(f"names {seed}"))
        if not rows:
            continue
        topology = ln.read_topology(csv_of(rows))
        findings = ln.check_plan(ln.plan_certificates(topology, ln.load_rules("lync2013")))
        names = {
            finding.message.split('"')[1]
            for finding in findings
            if finding.code == "name-leads-to-two-places"
        }
        assert names == state_split_names(rows), f"seed {seed}: {rows}"
        reported += len(names)
    assert reported >= TOPOLOGIES
