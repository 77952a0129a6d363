"""The trust plan lists which certificate each party presents to which other party, in accordance
with Microsoft's documentation.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from functools import partial

import pytest
from big_topology import big_table
from growth import find_superlinear_size
from places import DATA
from topologies import edge, front_end, plan, row

import lyncnb as ln
from lyncnb.authorities.trust.trust_plan import trust
from lyncnb.authorities.trust.trust_report import build_trust_report
from lyncnb.authorities.trust.trust_tables import RequiredCa, TrustSide, is_inferred
from lyncnb.base.shown.report import write_report
from lyncnb.rules.rule_files import list_products

INTERNAL, PUBLIC = "root of your internal CA", "root of the public CA"
ROOT = "Trusted Root Certification Authorities (Root)"
WEB = {"web_external_fqdn": "web.contoso.com"}
PROXY = row("rp01.contoso.net", "ReverseProxy")


def list_ca_certificates_on_server(planned: ln.TrustPlan, server: str) -> list[RequiredCa]:
    """Return the CA certificates that one server needs."""
    return [requirement for requirement in planned.required if server in requirement.servers]


def roots(planned: ln.TrustPlan, verifier: str) -> set[str]:
    """Return the roots that a server or an external party must trust according to the plan."""
    return {
        requirement.ca.title
        for requirement in planned.required
        if requirement.ca.is_root
        and (verifier in requirement.servers or verifier == requirement.title)
    }


def list_presentations(planned: ln.TrustPlan, connection: str) -> list[tuple[str, str, str, str]]:
    """Return the presenter, the purpose, the verifier, and the required root of each certificate
    that is presented in a connection.
    """
    return [
        (
            presentation.presenter.role,
            presentation.shown_as,
            presentation.verifier.role,
            presentation.root.title,
        )
        for presentation in planned.presentations
        if presentation.connection == connection
    ]


def verifiers(planned: ln.CertificatePlan, side: TrustSide) -> list[str]:
    """Return the names of the pools that verify a certificate, or "" for an external party."""
    if side.role in planned.rules.parties:
        return [""]
    return [
        pool.fqdn
        for pool in planned.topology.pools
        if pool.role == side.role
        and (side.pool in ("", pool.fqdn))
        and (side.pool or side.site in (None, pool.site))
    ]


# Each of the following tests compares a statement in a Microsoft document with the trust plan.


def test_reverse_proxy_needs_both_chains():
    """The reverse proxy needs the chain of its own certificate, and the root of the CA that issued
    the internal servers' certificates.

    Request and configure a certificate for your reverse HTTP proxy: "install the root
    certification authority (CA) certificate … for the CA infrastructure that issued the server
    certificates to the internal servers".
    """
    planned = trust(plan(front_end(**WEB), PROXY))
    assert roots(planned, "rp01.contoso.net") == {INTERNAL, PUBLIC}
    (internal,) = [
        requirement
        for requirement in list_ca_certificates_on_server(planned, "rp01.contoso.net")
        if requirement.ca.title == INTERNAL
    ]
    assert internal.store == ROOT
    assert not internal.is_inferred
    assert "Request and configure a certificate for your reverse HTTP proxy" in internal.source


def test_edge_has_both_chains_and_the_partners_root():
    """An Edge Server needs the chain of the internal CA, the chain of the public CA, and the root
    of a federation partner.

    Set up certificates for the internal and for the external edge interface; TLS and MTLS: "the
    Edge Servers having the partner's root CA certificate in their trusted root CAs".
    """
    planned = trust(plan(front_end(), edge(), edge(2)))
    partner = "the root certificate of each partner's CA, if Windows does not trust this CA"
    for server in ("edge01.contoso.net", "edge02.contoso.net"):
        assert roots(planned, server) == {INTERNAL, PUBLIC, partner}
    assert roots(planned, "Federation partners") == {PUBLIC}


def test_without_federation_no_partner_is_trusted():
    """If the server table disables federation, the trust plan does not require a partner's root."""
    planned = trust(plan(front_end(), edge(federation="false")))
    assert roots(planned, "edge01.contoso.net") == {INTERNAL, PUBLIC}
    assert list_presentations(planned, "federation") == []


def test_servers_trust_one_another():
    """Internal servers trust each other's roots, because all traffic between them uses mutual TLS."""
    planned = trust(plan(front_end(), edge(), row("med.contoso.net", "Mediation")))
    assert list_presentations(planned, "edge-to-inside") == [
        ("FrontEnd", "server", "Edge", INTERNAL),
        ("Edge", "client", "FrontEnd", INTERNAL),
    ]
    assert list_presentations(planned, "mediation-to-pool") == [
        ("FrontEnd", "server", "Mediation", INTERNAL),
        ("Mediation", "client", "FrontEnd", INTERNAL),
    ]
    for presentation in planned.presentations:
        if presentation.statement == "between-servers":
            # Microsoft states that the client authentication EKU is no longer necessary between
            # servers.
            assert presentation.asked == ("serverAuth",)
            assert presentation.is_served
            assert not presentation.is_inferred


def test_exchange_and_lync_trust_each_other():
    """Exchange and Lync Server trust each other's roots."""
    exchange = row("um01.contoso.com", "ExchangeUM", issuer="public")
    planned = trust(plan(front_end(), exchange))
    assert roots(planned, "ee01.contoso.com") == {
        INTERNAL,
        PUBLIC,
        "the root certificate of the CA used by the gateway, SBC, or SIP trunk provider",
    }
    assert roots(planned, "um01.contoso.com") == {PUBLIC, INTERNAL}
    assert {role for role, *_ in list_presentations(planned, "pool-to-voice-mail")} == {
        "ExchangeUM",
        "FrontEnd",
    }


def test_outlook_web_app_and_office_web_apps():
    """Servers that connect to Outlook Web App or an Office Web Apps farm trust their root
    certificates, both from public and from internal CAs.
    """
    planned = trust(
        plan(
            front_end(),
            row("owa01.contoso.com", "ExchangeOWA"),
            row("owas01.contoso.com", "OfficeWebApps", issuer="public"),
        )
    )
    assert PUBLIC in roots(planned, "ee01.contoso.com")
    assert roots(planned, "owas01.contoso.com") == {PUBLIC, INTERNAL}
    assert ("ExchangeOWA", "client", "FrontEnd", INTERNAL) in list_presentations(
        planned, "outlook-web-app-to-pool"
    )


def test_gateways_with_tls_require_mutual_tls():
    """A gateway that uses TLS requires mutual TLS."""
    planned = trust(plan(front_end(), row("med.contoso.net", "Mediation")))
    gateway = [
        o
        for o in list_ca_certificates_on_server(planned, "med.contoso.net")
        if o.ca.issuer == "party"
    ]
    assert [requirement.when for requirement in gateway] == [
        "if a SIP trunk to the Mediation Server uses TLS"
    ]
    called = [
        candidate
        for candidate in planned.presentations
        if candidate.statement == "gateways-called" and candidate.presenter.role == "Mediation"
    ]
    (presentation,) = called
    assert (presentation.is_served, presentation.is_inferred) == (False, True)
    assert presentation.client_authentication == "required, but not planned"


@pytest.mark.parametrize(
    ("ca", "ends", "code"),
    [
        ("", date(2027, 3, 15), "client-authentication-ended"),
        ("DigiCert", date(2027, 3, 1), "client-authentication-ended-at-digicert"),
        ("Let's Encrypt", date(2026, 7, 8), "client-authentication-ended-at-lets-encrypt"),
        ("Sectigo", date(2027, 2, 10), "client-authentication-ended-at-sectigo"),
        ("Another CA", date(2027, 3, 15), "client-authentication-ended"),
    ],
)
def test_client_authentication_ends_on_the_date_of_the_ca(ca, ends, code):
    """For AOL, the Edge Server needs client authentication until the date on which the CA
    discontinues it.
    """
    options = ln.PlanOptions(ca={"public": ca} if ca else {})
    planned = trust(plan(front_end(), edge(aol_pic="true"), options=options))
    (presentation,) = [
        candidate
        for candidate in planned.presentations
        if candidate.connection == "aol" and "clientAuth" in candidate.asked
    ]
    assert presentation.is_served
    assert (presentation.client_auth_ends, presentation.ending) == (ends, code)
    sooner = " (some sources specify an earlier date)" if ca == "Sectigo" else ""
    assert presentation.client_authentication == (
        f"planned; the CA stops including client authentication on {ends}{sooner} [{code}]"
    )
    assert presentation.root.title == (f"{PUBLIC} ({ca})" if ca else PUBLIC)


def test_reverse_proxy_shows_a_client_certificate_only_if_planned():
    """The reverse proxy presents a client certificate to the web servers only if the plan contains
    one.
    """
    rows = front_end(**WEB), PROXY
    assert [role for role, *_ in list_presentations(trust(plan(*rows)), "published-web")] == [
        "FrontEnd"
    ]
    options = ln.PlanOptions(reverse_proxy_client_eku=True)
    planned = trust(plan(*rows, options=options))
    assert ("ReverseProxy", "client", "FrontEnd", PUBLIC) in list_presentations(
        planned, "published-web"
    )
    assert PUBLIC in roots(planned, "ee01.contoso.com")


@pytest.mark.parametrize("product", list_products())
def test_hybrid_deployment_trusts_microsoft_365(product):
    """If the plan has an online tenant, Microsoft 365 and the Edge pool verify each other's
    certificates.
    """
    rules = ln.load_rules(product)
    tenant = edge(tenant_sip_domains="fabrikam.com")
    for rows, expected in (((edge(),), False), ((tenant,), True)):
        table = plan(front_end(), *rows).topology
        planned = trust(ln.plan_certificates(table, rules))
        assert bool(list_presentations(planned, "hybrid")) is expected
        assert (
            "Microsoft 365" in {requirement.title for requirement in planned.required}
        ) is expected
        assert not list_presentations(planned, "aol")


@pytest.mark.parametrize("product", list_products())
def test_every_connection_of_a_product_has_its_statement(product):
    """Each shipped product has a trust statement for every connection in its rules, and for every
    role with certificates.
    """
    rules = ln.load_rules(product)
    connection_ids = {connection for rule in rules.trusts for connection in rule.connections}
    assert connection_ids == {rule.id for rule in rules.connections}
    holders = {rule.role for rule in rules.certificates} & rules.roles.keys()
    assert holders == {role for rule in rules.trusts for role in rule.roles}
    assert {p.id for p in rules.parties.values() if p.root} == {
        speaker
        for rule in rules.connections
        for speaker in rule.speakers
        for trusted in rules.trusts
        if rule.id in trusted.connections and trusted.speaker_eku and speaker in rules.parties
    }


def test_statements_without_a_source_are_marked():
    """lyncnb marks trust statements without a Microsoft page as inferred. Every other statement
    cites a page.
    """
    trusts = ln.load_rules("lync2013").trusts
    assert {rule.id for rule in trusts if is_inferred(rule.source)} == {
        *("own-chain-other", "xmpp", "gateways-called", "reverse-proxy-farm"),
        *("partner-applications", "hybrid"),
        *("reverse-proxy-client", "office-web-apps-fetching", "web-between-pools"),
    }
    for rule in trusts:
        if not is_inferred(rule.source):
            assert rule.source.startswith("Microsoft, ")


@pytest.mark.parametrize("sample", ["single-server", "contoso", "litwareinc-global"])
def test_root_of_every_presented_certificate_is_installed(sample):
    """Each server that verifies a certificate has the root of this certificate. The server that
    presents the certificate has the root of the same CA type.
    """
    planned = ln.plan_certificates(ln.read_topology(DATA / f"{sample}.csv"), ln.load_rules())
    trust_plan = trust(planned)
    for presentation in trust_plan.presentations:
        verifier = presentation.verifier
        has = [
            {
                need.ca
                for need in trust_plan.required
                if (need.role, need.pool) == (verifier.role, pool)
            }
            for pool in verifiers(planned, verifier)
        ]
        assert has
        assert all(presentation.root in cas for cas in has), presentation
    by_id = {certificate.id: certificate for certificate in planned.certificates}
    for presentation in trust_plan.presentations:
        assert {by_id[name].issuer for name in presentation.certificates} <= {presentation.issuer}
    for certificate in planned.certificates:
        title = PUBLIC if certificate.issuer == "public" else INTERNAL
        assert title in roots(trust_plan, certificate.servers[0])


def test_time_grows_in_proportion_to_the_servers():
    """Calculating the trust plan takes about twice as long for twice as many servers, although all
    pools connect to each other.
    """

    def planned_of(servers: int):
        return ln.plan_certificates(ln.read_topology(big_table(servers)), ln.load_rules())

    def work(servers: int):
        return partial(trust, planned_of(servers))

    assert find_superlinear_size(work, size=500, most=4_000) is None
    planned = planned_of(1_000)
    trust_plan = trust(planned)
    assert {s for requirement in trust_plan.required for s in requirement.servers} == {
        s for c in planned.certificates for s in c.servers
    }


def test_trust_plan_has_a_table_a_document_and_five_files(tmp_path):
    """The trust plan is available as a table with a row for each server and CA certificate, as
    JSON, and as five files.
    """
    trust_plan = trust(plan(front_end(1), front_end(2), edge()))
    frame = trust_plan.to_frame()
    assert list(frame["Server"])[:2] == ["ee01.contoso.com", "ee02.contoso.com"]
    assert set(frame["Basis"]) <= {"documented", "inferred"}
    assert (frame["Source"] != "").all()
    assert (trust_plan.shown().to_frame()["Source"] != "").all()
    document = json.loads(write_report(build_trust_report(trust_plan), ".json"))
    assert document["format"] == "lyncnb-trust/2"
    groups = document["certificate_groups"]
    assert [groups[entry["certificates"]] for entry in document["presentations"]] == [
        list(presentation.certificates) for presentation in trust_plan.presentations
    ]
    # The document groups the IDs, but makes the same statements about each certificate.
    for expected, actual in zip(trust_plan.presentations, document["presentations"], strict=True):
        assert actual["client_authentication"] == expected.client_authentication
        assert actual["is_served"] == expected.is_served
    assert any(entry["is_served"] is False for entry in document["presentations"])
    assert "certificates, shown in " in trust_plan._repr_html_()
    for suffix in (".csv", ".md", ".html", ".xlsx"):
        assert write_report(build_trust_report(trust_plan), suffix) == write_report(
            build_trust_report(trust_plan), suffix
        )


def test_page_shows_complete_and_escaped_names():
    """The page of the trust plan shows every server, name and source completely, and escapes
    markup.
    """
    trust_plan = trust(plan(front_end(), edge()))
    evil = replace(trust_plan, source="<script>x</script>")
    page = write_report(build_trust_report(evil), ".html").decode()
    assert "<script>" not in page
    for presentation in trust_plan.presentations:
        for name in presentation.names:
            assert name.replace(".", ".<wbr>") in page or name in page


@pytest.mark.parametrize("issuer", ["", "public"])
def test_requirements_of_all_pools_are_reported_once(issuer):
    """If two pools connect to each other, the trust plan reports both directions in one line, or in
    two lines if their CAs differ.
    """
    web = {"web_external_fqdn": "web1.contoso.com"}, {"web_external_fqdn": "web2.contoso.com"}
    trust_plan = ln.trust(
        plan(
            row("fe1.contoso.com", "FrontEnd", "pool1.contoso.com", **web[0]),
            row("fe2.contoso.com", "FrontEnd", "pool2.contoso.com", **web[1], issuer=issuer),
        )
    )
    reasons_by_issuer = {
        requirement.ca.issuer: [
            text
            for text in requirement.reasons
            if text.startswith("verify the certificate of FrontEnd")
        ]
        + [
            text
            for text in requirement.reasons
            if text.startswith("verify the certificate of some")
        ]
        for requirement in list_ca_certificates_on_server(trust_plan, "fe1.contoso.com")
        if requirement.ca.is_root and requirement.ca.issuer != "party"
    }
    both = "FrontEnd, 2 pools (SIP 5061)"
    reason, other = (
        f"verify the certificate of FrontEnd pool{number}.contoso.com (SIP 5061, HTTPS 4443)"
        for number in (1, 2)
    )
    if not issuer:
        assert reasons_by_issuer == {
            "internal": [f"verify the certificate of {both}", reason, other]
        }
    else:
        some = f"verify the certificate of some of {both}"
        assert reasons_by_issuer == {"internal": [reason, some], "public": [other, some]}
