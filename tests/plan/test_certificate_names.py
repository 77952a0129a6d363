"""Certificates contain the required names in the right order. Wildcards replace names only where
the rules allow wildcards.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from random_plans import random_rows
from topologies import edge, front_end, plan, row, topology

from lyncnb.checks.check_plan import check_plan
from lyncnb.errors import PlanError
from lyncnb.plan.certificate_names import plan_context
from lyncnb.plan.model import PlannedCertificate
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules

WILDCARD = PlanOptions(wildcard=True)


def names(plan_, usage="Default", server=""):
    """Return the names on the only certificate with the given usage. For a certificate without
    usages, specify its role instead.
    """
    (certificate,) = [
        c
        for c in plan_.certificates
        if usage in (*c.usages, c.role) and (not server or server in c.servers)
    ]
    return certificate.names


def reasons(plan_, name, usage="Default"):
    """Return the ids of the rules that require the given name."""
    (certificate,) = [c for c in plan_.certificates if usage in (*c.usages, c.role)]
    return dict(certificate.subject_alt_name)[name]


def test_rules_are_applied_once_for_sites_with_the_same_urls():
    """If several sites have the same URLs, the rules are applied only once, except for reverse
    proxies.
    """
    pools = [front_end(site=f"Site {n}") | {"server_fqdn": f"fe{n}.contoso.com"} for n in range(9)]
    for n, pool in enumerate(pools):
        pool |= {"pool_fqdn": f"pool{n}.contoso.com", "web_external_fqdn": f"web{n}.contoso.com"}
        first = "meet" if n < 8 else "join"
        pool |= {"admin_url": "https://admin.contoso.com"}
        pool |= {"meet_urls": f"https://{first}.contoso.com;https://{first}.fabrikam.com"}
    proxies = [row(f"rp{n}.contoso.com", "ReverseProxy", site=f"Site {n}") for n in range(2)]
    parsed_topology = topology(*pools, *proxies)
    context = plan_context(parsed_topology, load_rules("lync2013"), PlanOptions())
    resolved = [context.list_resolved_rules(pool) for pool in parsed_topology.pools]
    assert len({id(rules) for rules in resolved}) == 2 + 2
    planned = plan(*pools, *proxies)
    assert "join.contoso.com" in names(planned, server="fe8.contoso.com")
    assert "join.contoso.com" not in names(planned, server="fe7.contoso.com")
    assert "web1.contoso.com" in names(planned, "ReverseProxy", "rp1.contoso.com")
    assert "web1.contoso.com" not in names(planned, "ReverseProxy", "rp0.contoso.com")


def test_order_of_names():
    """A certificate lists the subject, server, web, sip, alias, simple URL, Autodiscover, and extra
    names in this order.
    """
    planned = plan(
        front_end(
            autologon="true",
            web_internal_fqdn="web.contoso.com",
            sip_dns_aliases="sipinternal.contoso.com",
            extra_san="more.contoso.com",
        )
    )
    assert names(planned) == (
        "eepool.contoso.com",
        "ee01.contoso.com",
        "web.contoso.com",
        "webcon01.contoso.com",
        "sip.contoso.com",
        "sip.fabrikam.com",
        "sipinternal.contoso.com",
        "meet.contoso.com",
        "meet.fabrikam.com",
        "dialin.contoso.com",
        "admin.contoso.com",
        "lyncdiscoverinternal.contoso.com",
        "lyncdiscoverinternal.fabrikam.com",
        "lyncdiscover.contoso.com",
        "lyncdiscover.fabrikam.com",
        "more.contoso.com",
    )


def test_a_name_appears_once_with_every_reason():
    """If several rules require a name, it appears once, at the position of the first rule, with the
    ids of all rules.
    """
    planned = plan(
        front_end(extra_san="MEET.contoso.com"),
        meet_urls="https://lync.contoso.com/meet",
        dialin_url="https://lync.contoso.com/dialin",
        admin_url="https://meet.contoso.com/admin",
    )
    assert names(planned).count("lync.contoso.com") == 1
    assert reasons(planned, "lync.contoso.com") == ("meet", "dialin")
    assert reasons(planned, "meet.contoso.com") == ("admin", "extra-san")
    assert reasons(planned, "eepool.contoso.com") == ("pool-name", "web-internal")


def test_a_server_named_like_its_pool():
    """If a server has the same name as its pool, the certificate contains the name once, with all
    reasons.
    """
    planned = plan(row("se01.contoso.com", "StandardEdition"))
    assert names(planned)[0] == "se01.contoso.com"
    assert reasons(planned, "se01.contoso.com") == ("pool-name", "server-name", "web-internal")


def test_a_server_of_a_pool_named_like_a_web_name():
    """If a server in a pool has the same name as a web service, its own certificate contains this
    name as a server name and as a web name. Other certificates contain it only as a web name.
    """
    planned = plan(
        front_end(1, web_external_fqdn="ee02.contoso.com"), front_end(2, web_external_fqdn="")
    )
    assert names(planned, server="ee02.contoso.com")[:3] == (
        "eepool.contoso.com",
        "ee02.contoso.com",
        "meet.contoso.com",
    )
    assert names(planned, server="ee01.contoso.com")[:3] == (
        "eepool.contoso.com",
        "ee01.contoso.com",
        "ee02.contoso.com",
    )


@pytest.mark.parametrize(
    ("autologon", "strict_dns", "expected"),
    [("true", "", True), ("true", "false", False), ("", "", False), ("false", "true", False)],
)
def test_sip_names_need_automatic_sign_in_and_strict_matching(autologon, strict_dns, expected):
    """An internal certificate contains sip.<SIP domain> only if the table enables automatic sign-in
    and strict DNS naming.
    """
    planned = plan(front_end(autologon=autologon, strict_dns=strict_dns))
    assert ("sip.contoso.com" in names(planned)) is expected
    assert ("sip.fabrikam.com" in names(planned)) is expected


def test_missing_names_are_omitted():
    """If the topology lacks a required name, the certificate does not contain this name, and a
    check reports the missing name.
    """
    planned = plan(front_end(web_external_fqdn=""), meet_urls="", dialin_url="", admin_url="")
    assert names(planned) == (
        "eepool.contoso.com",
        "ee01.contoso.com",
        "lyncdiscoverinternal.contoso.com",
        "lyncdiscoverinternal.fabrikam.com",
        "lyncdiscover.contoso.com",
        "lyncdiscover.fabrikam.com",
    )


def test_simple_urls_of_the_pools_site():
    """A pool uses the simple URLs of its site instead of the URLs of the deployment."""
    planned = plan(
        front_end(1, site="Taipei"),
        row(
            "se01.contoso.com",
            "StandardEdition",
            site="Osaka",
            meet_urls="https://join.contoso.com",
        ),
    )
    assert "join.contoso.com" in names(planned, server="se01.contoso.com")
    assert "join.contoso.com" not in names(planned, server="ee01.contoso.com")


@pytest.mark.parametrize("wildcard", [False, True])
def test_a_wildcard_of_the_table_is_last(wildcard):
    """A wildcard from the table is at the end of the names, and the plan does not add the same
    wildcard again.
    """
    cells = {"extra_san": "*.contoso.com;a.b.contoso.com"}
    planned = plan(front_end(1, **cells), front_end(2), options=PlanOptions(wildcard=wildcard))
    names = [entry.name for entry in planned.certificates[0].subject_alt_name]
    assert len(set(names)) == len(names)
    stars = ["*.contoso.com", "*.fabrikam.com"][: 1 + wildcard]
    assert names[-1 - len(stars) :] == ["a.b.contoso.com", *stars]


def test_one_wildcard_for_each_parent_domain_is_last():
    """If wildcards replace names, there is one wildcard for each parent domain, after all other
    names.
    """
    planned = plan(front_end(autologon="true", extra_san="more.contoso.com"), options=WILDCARD)
    assert names(planned) == (
        "eepool.contoso.com",
        "ee01.contoso.com",
        "webcon01.contoso.com",
        "sip.contoso.com",
        "sip.fabrikam.com",
        "more.contoso.com",
        "*.contoso.com",
        "*.fabrikam.com",
    )
    assert reasons(planned, "*.fabrikam.com") == ("meet", "lyncdiscoverinternal", "lyncdiscover")


def test_a_wildcard_covers_one_label_only():
    """A wildcard covers only one label, so meet.emea.contoso.com requires the wildcard
    *.emea.contoso.com.
    """
    planned = plan(
        front_end(autodiscover="false"),
        meet_urls="https://meet.emea.contoso.com",
        dialin_url="https://dialin.contoso.com",
        admin_url="",
        options=WILDCARD,
    )
    assert names(planned)[-2:] == ("*.emea.contoso.com", "*.contoso.com")


def test_useless_wildcard_is_not_added():
    """The plan adds no wildcard for a domain if the wildcard would not replace any name."""
    planned = plan(
        front_end(autodiscover="false", autologon="true"),
        meet_urls="https://meet.contoso.com",
        options=WILDCARD,
    )
    assert [name for name in names(planned) if "*" in name] == ["*.contoso.com"]


def test_names_of_servers_are_never_replaced_by_wildcards():
    """Wildcards do not replace the names of servers, pools, and web services, even if a simple URL
    has the same host.
    """
    planned = plan(
        front_end(web_external_fqdn="meet.contoso.com"),
        admin_url="https://ee01.contoso.com/admin",
        options=WILDCARD,
    )
    assert names(planned)[:3] == ("eepool.contoso.com", "ee01.contoso.com", "meet.contoso.com")
    assert reasons(planned, "meet.contoso.com") == ("web-external", "meet")
    assert reasons(planned, "ee01.contoso.com") == ("server-name", "admin")


def test_no_wildcard_below_a_public_suffix():
    """No wildcard replaces the name contoso.com, because *.com would also cover other
    organizations.
    """
    planned = plan(front_end(), meet_urls="https://contoso.com/meet", options=WILDCARD)
    assert "contoso.com" in names(planned)
    assert "*.com" not in names(planned)


@pytest.mark.parametrize(
    "role", ["Mediation", "PersistentChat", "SBA", "SBS", "TrustedApplication"]
)
def test_no_wildcards_where_they_are_not_supported(role):
    """Even if wildcards are enabled, the certificates of roles that do not support wildcards
    contain no wildcard names.
    """
    planned = plan(row("x01.contoso.com", role), edge(), options=WILDCARD)
    assert not [n for c in planned.certificates for n in c.names if "*" in n]


def test_edge_external_names():
    """The external Edge certificate contains Access, Web Conferencing, sip, and XMPP names, but not
    the A/V name.
    """
    planned = plan(edge(av_edge_fqdn="av.contoso.com", xmpp_domains="contoso.com;corp.contoso.com"))
    assert names(planned, "AccessEdgeExternal") == (
        "sip.contoso.com",
        "webcon.contoso.com",
        "sip.fabrikam.com",
        "contoso.com",
        "corp.contoso.com",
    )
    assert reasons(planned, "sip.contoso.com", "AccessEdgeExternal") == ("access-edge", "sip-edge")


def test_xmpp_host_names_are_optional():
    """The external Edge certificate contains the names xmpp.<domain> only if the option
    xmpp_host_names is set.
    """
    planned = plan(edge(xmpp_domains="contoso.com"), options=PlanOptions(xmpp_host_names=True))
    assert names(planned, "AccessEdgeExternal")[-2:] == ("contoso.com", "xmpp.contoso.com")


@pytest.mark.parametrize("product", ["lync2013", "sfb2015", "sfb2019"])
def test_av_authentication_can_have_a_separate_certificate(product):
    """With the option separate_av_certificate, A/V Authentication has its own certificate, which
    all servers of the pool share.
    """
    rules, topology = load_rules(product), plan(edge(1), edge(2)).topology
    combined = plan_certificates(topology, rules)
    apart = plan_certificates(topology, rules, options=PlanOptions(separate_av_certificate=True))
    assert names(apart, "AccessEdgeExternal") == names(combined, "AccessEdgeExternal")
    assert [c.usages for c in apart.certificates if c.shared_by == "pool"] == [
        ("AccessEdgeExternal", "DataEdgeExternal"),
        ("AudioVideoAuthentication",),
        ("Internal",),
    ]
    (av,) = (c for c in apart.certificates if c.usages == ("AudioVideoAuthentication",))
    assert (len(av.servers), av.names, av.issuer) == (2, ("sip.contoso.com",), "public")
    assert [f.code for f in check_plan(apart) if f.severity == "error"] == [
        f.code for f in check_plan(combined) if f.severity == "error"
    ]


def test_edge_internal_has_no_alternative_names():
    """The internal Edge certificate has no alternative names unless extra names are specified."""
    assert names(plan(edge(1), edge(2)), "Internal") == ()
    members = plan(edge(1), edge(2), options=PlanOptions(edge_member_names=True))
    assert names(members, "Internal") == (
        "lsedge.contoso.net",
        "edge01.contoso.net",
        "edge02.contoso.net",
    )
    extra = plan(edge(1, extra_san="old.contoso.net"), edge(2))
    assert names(extra, "Internal") == ("lsedge.contoso.net", "old.contoso.net")


def test_extra_names_are_on_every_certificate_of_the_pool():
    """The names in extra_san are added to all certificates of the pool, and to no other
    certificates.
    """
    planned = plan(
        front_end(extra_san="old.contoso.com"),
        row("med01.contoso.com", "Mediation"),
        options=PlanOptions(layout="separate"),
    )
    with_it = [c.usages for c in planned.certificates if "old.contoso.com" in c.names]
    assert with_it == [("Default",), ("WebServicesInternal",), ("WebServicesExternal",)]


def test_reverse_proxy_publishes_its_site():
    """The certificate of a reverse proxy in a site contains only the web names of this site."""
    planned = plan(
        front_end(site="Taipei"),
        row(
            "se01.contoso.com",
            "StandardEdition",
            site="Osaka",
            web_external_fqdn="osaka.contoso.com",
        ),
        row(
            "rp01.contoso.com",
            "ReverseProxy",
            site="Osaka",
            owas_external_fqdn="office.contoso.com",
        ),
    )
    assert names(planned, "ReverseProxy") == (
        "osaka.contoso.com",
        "dialin.contoso.com",
        "meet.contoso.com",
        "meet.fabrikam.com",
        "office.contoso.com",
        "lyncdiscover.contoso.com",
        "lyncdiscover.fabrikam.com",
    )


def test_reverse_proxy_without_a_site_publishes_all():
    """If a reverse proxy has no site, its certificate contains all external web names, in the order
    of roles.
    """
    planned = plan(
        row("dir01.contoso.com", "Director", site="Taipei", web_external_fqdn="adir.contoso.com"),
        front_end(site="Taipei"),
        row(
            "se01.contoso.com",
            "StandardEdition",
            site="Osaka",
            web_external_fqdn="osaka.contoso.com",
        ),
        row("rp01.contoso.com", "ReverseProxy"),
    )
    assert names(planned, "ReverseProxy")[:3] == (
        "osaka.contoso.com",
        "webcon01.contoso.com",
        "adir.contoso.com",
    )


def test_reverse_proxy_on_port_80_only():
    """If Autodiscover is published only on port 80, the certificate of a reverse proxy does not
    contain the lyncdiscover names.
    """
    rows = front_end(), row("rp01.contoso.com", "ReverseProxy")
    planned = plan(*rows, options=PlanOptions(autodiscover_https=False))
    assert "lyncdiscover.contoso.com" not in names(planned, "ReverseProxy")
    assert "lyncdiscover.contoso.com" in names(planned)


def test_autodiscover_under_further_domains():
    """The option autodiscover_internal_extra_domains adds lyncdiscoverinternal names, and no
    external names.
    """
    options = PlanOptions(autodiscover_internal_extra_domains=("contoso.net",))
    planned = plan(front_end(), options=options)
    assert "lyncdiscoverinternal.contoso.net" in names(planned)
    assert "lyncdiscover.contoso.net" not in names(planned)


def test_a_sip_domain_that_is_used_inside_only():
    """If a SIP domain is used only internally, the Edge and reverse proxy certificates contain no
    names in this domain.
    """
    rows = (
        front_end(1, autologon="true"),
        edge(1, federation="true", client_autoconfig="true"),
        row("rp01.contoso.com", "ReverseProxy"),
    )
    table = {
        "sip_domains": "contoso.com;contoso.local",
        "meet_urls": "https://meet.contoso.com;https://meet.contoso.local",
    }
    options = PlanOptions(internal_only_sip_domains=("contoso.local",))
    before = plan(*rows, **table)
    after = plan(*rows, options=options, **table)
    removed_names = {
        certificate.role: set(certificate.names) - set(other.names)
        for certificate, other in zip(before.certificates, after.certificates, strict=True)
        if certificate != other
    }
    of_proxy = {"lyncdiscover.contoso.local", "meet.contoso.local"}
    assert removed_names == {"Edge": {"sip.contoso.local"}, "ReverseProxy": of_proxy}
    assert {"sip.contoso.local", "meet.contoso.local"} <= set(names(after))
    assert not [finding for finding in check_plan(after) if finding.severity == "error"]


@pytest.mark.parametrize(
    ("internal_domain", "published"),
    [
        ("contoso.com", {"meet.emea.contoso.com"}),
        ("emea.contoso.com", {"meet.contoso.com", "dialin.contoso.com"}),
    ],
)
def test_a_host_belongs_to_the_nearest_sip_domain(internal_domain, published):
    """If only one of the SIP domains contoso.com and emea.contoso.com is internal, a reverse proxy
    still publishes the hosts of the other domain.
    """
    planned = plan(
        front_end(web_external_fqdn="web.fabrikam.com"),
        row("rp01.contoso.com", "ReverseProxy"),
        sip_domains="contoso.com;emea.contoso.com",
        meet_urls="https://meet.contoso.com;https://meet.emea.contoso.com",
        options=PlanOptions(internal_only_sip_domains=(internal_domain,), autodiscover_https=False),
    )
    assert set(names(planned, "ReverseProxy")) == {"web.fabrikam.com", *published}


def test_client_authentication_for_some_pools():
    """If client authentication is enabled for some pools, only their certificates have both
    extended key usages.
    """
    rows = (
        front_end(1), row("med01.contoso.com", "Mediation"), row("med02.contoso.com", "Mediation"),
        row("sba01.contoso.com", "SBA"), row("sbs01.contoso.com", "SBS"),
    )  # fmt: skip
    owners = ("MED01.contoso.com", "eepool.contoso.com", "sba01.contoso.com", "sbs01.contoso.com")
    options = PlanOptions(layout="separate", client_authentication=owners)
    planned = plan(*rows, options=options)
    both = {
        (c.owner, c.usages) for c in planned.certificates if "clientAuth" in c.extended_key_usage
    }
    servers = ("ee01.contoso.com", "med01.contoso.com", "sba01.contoso.com", "sbs01.contoso.com")
    assert both == {(server, ("Default",)) for server in servers}
    assert all("serverAuth" in c.extended_key_usage for c in planned.certificates)


@pytest.mark.parametrize(
    ("cell", "names_inside"),
    [
        ("", ["dir01.contoso.com"]),
        ("dir01.contoso.com", ["dir01.contoso.com"]),
        ("webdir.contoso.com", ["dir01.contoso.com", "webdir.contoso.com"]),
    ],
)
def test_the_internal_web_name_of_a_single_director(cell, names_inside):
    """A single Director uses its server name as the internal web name, unless the table specifies
    another name.
    """
    director = row("dir01.contoso.com", "Director", web_external_fqdn="dirext.contoso.com")
    planned = plan(
        director | {"web_internal_fqdn": cell},
        options=PlanOptions(layout="separate"),
        sip_domains="contoso.com",
        meet_urls="https://meet.contoso.com",
        dialin_url="https://dialin.contoso.com",
    )
    (web,) = [c for c in planned.certificates if c.usages == ("WebServicesInternal",)]
    assert web.subject.common_name == "dir01.contoso.com"
    assert list(web.names) == [
        *names_inside,
        *("meet.contoso.com", "dialin.contoso.com", "admin.contoso.com"),
        "lyncdiscoverinternal.contoso.com",
    ]
    noticed = [f.message for f in check_plan(planned) if f.code == "director-web-name-overridden"]
    assert len(noticed) == (cell == "webdir.contoso.com")


def test_an_internal_web_name_belongs_to_one_pool():
    """If two pools have the same internal web name, a finding names both pools."""
    cells = {"web_internal_fqdn": "webint.contoso.com"}
    director = row("dir01.contoso.com", "Director", web_external_fqdn="dirext.contoso.com")
    planned = plan(front_end(1, **cells), director | cells)
    messages = [f.message for f in check_plan(planned) if f.code == "name-leads-to-two-places"]
    assert messages == [
        (
            '"webint.contoso.com" leads clients inside to the internal web services of '
            "dir01.contoso.com and to the internal web services of eepool.contoso.com"
        )
    ]


def test_one_certificate_for_all_front_end_servers():
    """With the option shared_certificate, a Front End pool has one certificate with the pool name
    and the names of all servers.
    """
    rows = (front_end(1), front_end(2), front_end(3))
    options = PlanOptions(shared_certificate=("EEPOOL.contoso.com",))
    planned = plan(*rows, sip_domains="contoso.com", meet_urls="", options=options)
    shared, oauth = planned.certificates
    assert (shared.id, shared.shared_by) == ("FrontEnd-eepool-contoso-com-e3c3248e", "pool")
    assert shared.servers == ("ee01.contoso.com", "ee02.contoso.com", "ee03.contoso.com")
    assert shared.subject.common_name == "eepool.contoso.com"
    assert shared.names == (
        *("eepool.contoso.com", "ee01.contoso.com", "ee02.contoso.com", "ee03.contoso.com"),
        *("webcon01.contoso.com", "dialin.contoso.com", "admin.contoso.com"),
        *("lyncdiscoverinternal.contoso.com", "lyncdiscover.contoso.com"),
    )
    assert reasons(planned, "ee02.contoso.com") == ("server-name", "pool-servers")
    sources = {line.rule: line.source for line in planned.explain("ee01.contoso.com").names}
    assert sources["pool-servers"].startswith("Inferred from practice; Microsoft, Certificate req")
    assert oauth == plan(*rows, sip_domains="contoso.com", meet_urls="").certificates[-1]


def test_one_certificate_for_edge_servers_and_reverse_proxy():
    """If the column extra_san of the Edge pool contains the names of the reverse proxy, one public
    certificate can contain the names of both.
    """
    proxy = row("rp01.contoso.com", "ReverseProxy")
    separate_plan = plan(front_end(1), edge(1), proxy)
    names_of_proxy = names(separate_plan, "ReverseProxy")
    both = ";".join(f"AccessEdgeExternal={name}" for name in names_of_proxy)
    combined_plan = plan(front_end(1), edge(1, extra_san=both))
    assert [c.usages for c in combined_plan.certificates if c.issuer == "public"] == [
        ("AccessEdgeExternal", "DataEdgeExternal", "AudioVideoAuthentication")
    ]
    edge_names = names(separate_plan, "AccessEdgeExternal")
    assert names(combined_plan, "AccessEdgeExternal") == (*edge_names, *names_of_proxy)
    assert names(combined_plan, "Internal") == names(separate_plan, "Internal")
    errors = [f.code for f in check_plan(combined_plan) if f.severity == "error"]
    assert errors == [f.code for f in check_plan(separate_plan) if f.severity == "error"]


@pytest.mark.parametrize("layout", ["combined", "separate"])
@pytest.mark.parametrize("seed", range(10))
def test_a_shared_certificate_has_all_names_of_separate_ones(seed, layout):
    """If servers share a certificate, it contains all names of the separate certificates that it
    replaces.

    The other certificates do not change.
    """
    chance = random.Random(seed)
    rows = random_rows(chance)
    options = PlanOptions(layout=layout, wildcard=chance.random() < 0.3)
    each = plan(*rows, options=options)
    pools = ("fe1.contoso.com", "fe2.contoso.com", "med.contoso.com", "edge.contoso.com")
    together = plan(*rows, options=replace(options, shared_certificate=pools))
    originals: dict[tuple[str, ...], list[PlannedCertificate]] = {}
    others = []
    for original in each.certificates:
        key = (original.pool, *original.usages)
        originals.setdefault(key, []).append(
            original
        ) if original.role == "FrontEnd" else others.append(original)
    shared = {(c.pool, *c.usages): c for c in together.certificates if c.role == "FrontEnd"}
    assert [c for c in together.certificates if c.role != "FrontEnd"] == others
    assert shared.keys() == originals.keys()
    for key, certificate in shared.items():
        replaced = originals[key]
        assert set(certificate.names) == {name for original in replaced for name in original.names}
        assert {certificate.subject} == {original.subject for original in replaced}
        assert certificate.servers == tuple(s for original in replaced for s in original.servers)
        assert certificate.target_os == min(original.target_os for original in replaced)
        assert certificate.extended_key_usage == replaced[0].extended_key_usage


def test_a_name_that_grows_too_long():
    """If a rule results in a name that is too long for DNS, the error contains the id of the rule."""
    domain = ".".join(["a" * 60] * 3 + ["b" * 50, "com"])
    with pytest.raises(PlanError, match="lyncnb cannot apply the rule lyncdiscoverinternal: "):
        plan(front_end(), sip_domains=domain)


def test_rules_are_resolved_once_for_similar_pools():
    """For pools with the same role, flags, and site, the rules are resolved only once."""
    table = topology(front_end(1), row("ee09.contoso.com", "FrontEnd", "pool2.contoso.com"))
    context = plan_context(table, load_rules(), PlanOptions())
    first, second = table.pools
    assert context.list_resolved_rules(first) is context.list_resolved_rules(second)


def test_a_further_name_for_one_usage():
    """lyncnb adds an extra name in the form USAGE=NAME only to certificates with this usage, and
    ignores the letter case of USAGE.
    """
    planned = plan(
        edge(1, extra_san="AccessEdgeExternal=sip.fabrikam.com;old.contoso.net"), edge(2)
    )
    names = {c.usages[0]: [n.name for n in c.subject_alt_name] for c in planned.certificates}
    assert "sip.fabrikam.com" in names["AccessEdgeExternal"]
    assert "sip.fabrikam.com" not in names["Internal"]
    assert "old.contoso.net" in names["Internal"]
    lower = plan(edge(1, extra_san="accessedgeexternal = sip.fabrikam.com"), edge(2))
    (internal,) = [c for c in lower.certificates if c.usages == ("Internal",)]
    # The certificate has no additional name, so the subject name is not repeated among the
    # alternative names.
    assert internal.subject_alt_name == ()
