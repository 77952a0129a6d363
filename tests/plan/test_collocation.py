"""lyncnb plans the certificates of several roles on the same server together, and reports roles
that cannot share a server.
"""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import date

import pytest
from good_deployment import plan_of
from topology_documents import Cluster, make_published_topology, topology_builder

from lyncnb.checks.check_plan import check_plan
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates, plan_changed_topology
from lyncnb.rules.rule_files import list_products, load_rules
from lyncnb.topology.topology import read_topology

HEAD = (
    "server_fqdn,role,pool_fqdn,sip_domains,meet_urls,dialin_url,web_external_fqdn,access_edge_fqdn"
)
COMMON = "contoso.com,https://meet.contoso.com,https://dialin.contoso.com,web.contoso.com,sip.contoso.com"
ON = date(2026, 11, 25)


def plan_with_roles(roles, pool, rules, layout="combined"):
    """Return the plan of a server with several roles."""
    rows = [f"fe01.contoso.com,{role},{pool},{COMMON}" for role in roles]
    topology = read_topology("\n".join([HEAD, *rows]).encode())
    return plan_certificates(topology, rules, options=PlanOptions(layout=layout))


def find_duplicate_usages(plan):
    """Return the usages or subjects for which a server has two certificates."""
    uses = Counter(
        (server, use)
        for c in plan.certificates
        for server in c.servers
        for use in (c.usages or (f"subject {c.subject.common_name}",))
    )
    return [use for use, count in uses.items() if count > 1]


@pytest.mark.slow
@pytest.mark.parametrize("product", list_products())
def test_no_server_gets_two_certificates_for_one_usage(product):
    """For any two or three roles on a server, with or without a pool name, no usage has two
    certificates.
    """
    rules = load_rules(product)
    roles = sorted({c.role for c in rules.certificates if not c.needed_by})
    pools = ("", "pool01.contoso.com")
    pairs = itertools.product(itertools.combinations(roles, 2), pools)
    triples = zip(itertools.combinations(roles, 3), itertools.cycle(pools))
    for number, (group, pool) in enumerate((*pairs, *triples)):
        layout = ("combined", "separate")[number % 3 == 0]
        assert find_duplicate_usages(plan_with_roles(group, pool, rules, layout)) == [], (
            group,
            pool,
            layout,
        )


SERVICES = ("Registrar", "EdgeServer", "MediationServer", "PersistentChat", "ExternalServer")
SERVICES += ("WacService", "VideoInteropServer")


@pytest.mark.parametrize("write", [topology_builder, make_published_topology])
def test_no_document_gives_two_certificates_for_one_usage(write):
    """For each pair of services on one server in a topology document, the plan has at most one
    certificate for each usage.
    """
    rules = load_rules("sfb2015")
    for pair, branch in itertools.product(itertools.combinations(SERVICES, 2), ("", "Hualien")):
        cluster = Cluster("a.contoso.com", dict.fromkeys(pair, ""), branch=branch)
        plan = plan_certificates(read_topology(write([cluster]).encode()), rules)
        assert find_duplicate_usages(plan) == [], (pair, branch)


SUPPORTED = [
    # Each entry contains the role of the host, the collocated role, and the pool name.
    ("FrontEnd", "Mediation", "pool01.contoso.com"),
    ("FrontEnd", "TrustedApplication", "pool01.contoso.com"),
    ("StandardEdition", "Mediation", ""),
    ("StandardEdition", "TrustedApplication", ""),
    ("StandardEdition", "PersistentChat", ""),
    ("SBA", "Mediation", ""),
    ("SBS", "Mediation", ""),
    ("ExchangeUM", "ExchangeOWA", ""),
]


def test_exactly_the_documented_pairs_are_supported():
    """A documented pair of roles on a server causes a notice. Any other pair causes an error."""
    rules = load_rules("lync2013")
    roles = sorted({c.role for c in rules.certificates if not c.needed_by})
    pools = {frozenset(pair[:2]): pair[2] for pair in SUPPORTED}
    for pair in itertools.combinations(roles, 2):
        plan = plan_with_roles(pair, pools.get(frozenset(pair), "pool01.contoso.com"), rules)
        codes = {f.code for f in check_plan(plan, on=ON)}
        is_supported = frozenset(pair) in pools
        assert ("roles-not-supported-together" in codes) != is_supported, pair
        assert ("collocated-role" in codes) == is_supported, pair


@pytest.mark.parametrize(("host", "guest", "pool"), SUPPORTED)
def test_a_supported_role_adds_no_certificate(host, guest, pool):
    """If two roles are supported together on a server, the plan contains the same certificates as
    for the first role alone.
    """
    rules = load_rules("lync2013")
    assert plan_with_roles((guest, host), pool, rules).certificates == (
        plan_with_roles((host,), pool, rules).certificates
    )


def test_a_front_end_keeps_its_sip_names():
    """If a trusted application is added to the Front End Server fe01, its Default certificate still
    contains sip.contoso.com.
    """
    application = {
        "server_fqdn": "fe01.contoso.com",
        "role": "TrustedApplication",
        "pool_fqdn": "fepool.contoso.com",
    }
    plan = plan_of(add=[application])
    default = [c for c in plan.certificates if c.id and "fe01.contoso.com" in c.servers]
    default = [c for c in default if "Default" in c.usages]
    assert [c.role for c in default] == ["FrontEnd"]
    assert "sip.contoso.com" in default[0].names


def test_servers_without_the_host_keep_their_certificate():
    """If one server of an application pool is also a Front End Server, the other servers of the
    pool keep their certificate.
    """
    rows = [f"app0{n}.contoso.com,TrustedApplication,pool01.contoso.com,{COMMON}" for n in (2, 3)]
    both = ("FrontEnd", "TrustedApplication")
    rows += [f"fe01.contoso.com,{r},pool01.contoso.com,{COMMON}" for r in both]
    topology = read_topology("\n".join([HEAD, *rows]).encode())
    plan = plan_certificates(topology, load_rules("lync2013"))
    applications = [c for c in plan.certificates if c.role == "TrustedApplication"]
    assert [c.servers for c in applications] == [("app02.contoso.com", "app03.contoso.com")]


def test_a_remaining_role_on_a_server_is_planned_again():
    """If the row for Exchange UM is removed, Outlook Web App on the same server gets its own
    certificate.
    """
    both = plan_with_roles(("ExchangeUM", "ExchangeOWA"), "", load_rules("lync2013"))
    index = next(p.computers[0].row for p in both.topology.pools if p.role == "ExchangeUM")
    remaining = plan_changed_topology(both, both.topology.with_rows(remove=[index]))
    assert [c.role for c in remaining.certificates] == ["ExchangeOWA"]
    assert remaining == plan_certificates(remaining.topology, remaining.rules)


@pytest.mark.parametrize("pool", ["", "fe03.contoso.com", "se01.contoso.com"])
def test_a_front_end_pool_never_has_the_name_of_a_server(pool):
    """If a Front End pool has no name, or has the name of any server, the check reports an error."""
    row = {"server_fqdn": "fe03.contoso.com", "role": "FrontEnd", "pool_fqdn": pool}
    if pool == "se01.contoso.com":
        row = {"server_fqdn": "se01.contoso.com", "role": "FrontEnd"}
    codes = {f.code: f.severity for f in check_plan(plan_of(add=[row]), on=ON)}
    assert codes["pool-named-like-server"] == "error"
