"""lyncnb plans the certificates that a topology requires. The certificates of a pool do not depend
on unrelated pools.
"""

from __future__ import annotations

from collections import namedtuple
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import DATA
from topologies import DEPLOYMENT, edge, front_end, plan, row, table, topology

from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.errors import OptionsError, PlanError
from lyncnb.plan import planner
from lyncnb.plan.model import PlannedCertificate
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates, plan_changed_topology
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

RULES = load_rules("lync2013")
COMBINED = ("Default", "WebServicesInternal", "WebServicesExternal")
EXTERNAL = ("AccessEdgeExternal", "DataEdgeExternal", "AudioVideoAuthentication")


def list_certificates(planned):
    """Return the role, the usages, the servers, and the sharing (``shared_by``) of each
    certificate.
    """
    return [(c.role, c.usages, c.servers, c.shared_by) for c in planned.certificates]


def test_front_end_pool():
    """Each Front End Server has a combined certificate, and the deployment has one OAuthTokenIssuer
    certificate.
    """
    planned = plan(front_end(2), front_end(1))
    both = ("ee01.contoso.com", "ee02.contoso.com")
    assert list_certificates(planned) == [
        ("FrontEnd", COMBINED, ("ee01.contoso.com",), "server"),
        ("FrontEnd", COMBINED, ("ee02.contoso.com",), "server"),
        ("Deployment", ("OAuthTokenIssuer",), both, "deployment"),
    ]
    assert [c.subject.common_name for c in planned.certificates] == [
        "eepool.contoso.com",
        "eepool.contoso.com",
        "contoso.com",
    ]


def test_separate_certificates():
    """In the layout "separate", each server has three certificates."""
    planned = plan(front_end(1), front_end(2), options=PlanOptions(layout="separate"))
    assert [(c.servers[0], *c.usages) for c in planned.certificates[:-1]] == [
        ("ee01.contoso.com", "Default"),
        ("ee01.contoso.com", "WebServicesInternal"),
        ("ee01.contoso.com", "WebServicesExternal"),
        ("ee02.contoso.com", "Default"),
        ("ee02.contoso.com", "WebServicesInternal"),
        ("ee02.contoso.com", "WebServicesExternal"),
    ]


def test_servers_of_some_pools_share_one_certificate():
    """All servers of an Edge, trusted application, reverse proxy or Office Web Apps pool share one
    certificate.
    """
    planned = plan(
        edge(1),
        edge(2),
        row("app1.contoso.com", "TrustedApplication", "apps.contoso.com"),
        row("app2.contoso.com", "TrustedApplication", "apps.contoso.com"),
        row("rp1.contoso.com", "ReverseProxy", "rp.contoso.com"),
        row("rp2.contoso.com", "ReverseProxy", "rp.contoso.com"),
        row("wac1.contoso.com", "OfficeWebApps", "office.contoso.com"),
    )
    edges = ("edge01.contoso.net", "edge02.contoso.net")
    apps = ("app1.contoso.com", "app2.contoso.com")
    assert sorted(list_certificates(planned)) == [
        ("Edge", EXTERNAL, edges, "pool"),
        ("Edge", ("Internal",), edges, "pool"),
        ("OfficeWebApps", (), ("wac1.contoso.com",), "pool"),
        ("ReverseProxy", (), ("rp1.contoso.com", "rp2.contoso.com"), "pool"),
        ("TrustedApplication", ("Default",), apps, "pool"),
    ]


def test_certificates_of_other_roles():
    """Each Mediation, Persistent Chat, branch, and Exchange server has one certificate."""
    planned = plan(
        row("med01.contoso.com", "Mediation", "med.contoso.com"),
        row("pc01.contoso.com", "PersistentChat", "pc.contoso.com"),
        row("sba01.contoso.com", "SBA"),
        row("sbs01.contoso.com", "SBS"),
        row("um01.contoso.com", "ExchangeUM"),
        row("owa01.contoso.com", "ExchangeOWA"),
    )
    assert {(c.role, c.subject.common_name, c.usages, c.names) for c in planned.certificates} == {
        ("Mediation", "med.contoso.com", ("Default",), ("med.contoso.com", "med01.contoso.com")),
        ("PersistentChat", "pc.contoso.com", ("Default",), ("pc.contoso.com", "pc01.contoso.com")),
        (
            "SBA",
            "sba01.contoso.com",
            ("Default",),
            ("sba01.contoso.com", "sip.contoso.com", "sip.fabrikam.com"),
        ),
        (
            "SBS",
            "sbs01.contoso.com",
            ("Default",),
            ("sbs01.contoso.com", "sip.contoso.com", "sip.fabrikam.com"),
        ),
        ("ExchangeUM", "um01.contoso.com", (), ("um01.contoso.com",)),
        ("ExchangeOWA", "owa01.contoso.com", (), ("owa01.contoso.com",)),
    }


@pytest.mark.parametrize(("cell", "count"), [("", 1), ("true", 1), ("false", 0)])
def test_a_collocated_mediation_server_needs_no_certificate(cell, count):
    """If mediation_standalone is false, no certificate is planned. A blank cell means a stand-alone
    server.
    """
    planned = plan(row("med01.contoso.com", "Mediation", mediation_standalone=cell))
    assert len(planned.certificates) == count


@pytest.mark.parametrize("role", ["Mediation", "TrustedApplication"])
@pytest.mark.parametrize("cell", ["", "false"])
def test_a_second_role_on_a_front_end_uses_its_certificates(role, cell):
    """If two rows contain the same server and pool, the plan has one Default certificate for both."""
    rows = [front_end(1), front_end(2)]
    guests = [row(f"ee0{n}.contoso.com", role, "eepool.contoso.com") for n in (1, 2)]
    cells = {"mediation_standalone": cell} if cell and role == "Mediation" else {}
    alone = plan(*rows)
    assert plan(*rows, *(guest | cells for guest in guests)).certificates == alone.certificates
    standing = plan(*rows, row("med01.contoso.com", role))
    assert len(standing.certificates) == len(alone.certificates) + 1


def test_the_remaining_role_gets_its_own_certificate():
    """If one of two roles on a server is removed, the other one gets its own certificate."""
    guest = row("ee01.contoso.com", "Mediation", "eepool.contoso.com")
    both = plan(front_end(1), guest)
    index = next(p.computers[0].row for p in both.topology.pools if p.role == "FrontEnd")
    remaining = plan_changed_topology(both, both.topology.with_rows(remove=[index]))
    assert [c.role for c in remaining.certificates] == ["Mediation"]
    restored = plan_changed_topology(remaining, remaining.topology.with_rows(add=[front_end(1)]))
    assert "Mediation" not in {c.role for c in restored.certificates}


@pytest.mark.parametrize("role", ["Archiving", "Monitoring", "SQL", "FileStore", "SBC"])
def test_some_roles_need_no_certificate(role):
    """The table can contain roles that need no certificate."""
    assert plan(row("x01.contoso.com", role)).certificates == ()


def test_no_oauth_certificate_without_users():
    """A Director needs no OAuthTokenIssuer certificate, unlike a Standard Edition server or a Front
    End Server.
    """
    planned = plan(row("dir01.contoso.com", "Director", web_external_fqdn="dir.contoso.com"))
    assert list_certificates(planned) == [("Director", COMBINED, ("dir01.contoso.com",), "server")]


def test_oauth_certificate():
    """The OAuth certificate contains all SIP domains, and the default SIP domain is the subject."""
    planned = plan(front_end(), row("se01.contoso.com", "StandardEdition", site="Osaka"), edge())
    certificate = planned.certificates[-1]
    assert certificate.usages == ("OAuthTokenIssuer",)
    assert certificate.servers == ("ee01.contoso.com", "se01.contoso.com")
    assert certificate.names == ("contoso.com", "fabrikam.com")
    assert (certificate.site, certificate.pool) == ("", "")
    assert certificate.id.startswith("Deployment-deployment-")


def test_missing_subjects_do_not_stop_a_plan():
    """If an Edge pool has no Access name, or a reverse proxy publishes no names, its certificate
    has no subject.
    """
    planned = plan(edge(access_edge_fqdn=""), row("rp01.contoso.com", "ReverseProxy", site="Osaka"))
    by_rule = {c.rule: c for c in planned.certificates}
    assert by_rule["Edge/External"].subject.common_name == ""
    assert by_rule["Edge/External"].names[0] == "webcon.contoso.com"
    assert by_rule["ReverseProxy/Listener"].subject.common_name == ""


def test_unknown_roles():
    """If the product lacks roles in the table, the error message lists all of them with their
    servers.
    """
    table_ = topology(front_end(), edge())
    edited = replace(table_, pools=tuple(replace(p, role=f"{p.role}2007") for p in table_.pools))
    with pytest.raises(PlanError) as caught:
        plan_certificates(edited, RULES)
    assert sorted(problem.message for problem in caught.value.problems) == [
        'edge01.contoso.net has the role "Edge2007", which is not a role in Lync Server 2013',
        'ee01.contoso.com has the role "FrontEnd2007", which is not a role in Lync Server 2013',
    ]
    assert "StandardEdition, FrontEnd, Director" in caught.value.hint


@pytest.mark.parametrize(
    ("cells", "options", "eku"),
    [
        ({}, {}, ("serverAuth",)),
        ({"aol_pic": "true"}, {}, ("serverAuth", "clientAuth")),
        ({}, {"reverse_proxy_client_eku": True}, ("serverAuth",)),
    ],
)
def test_client_authentication_only_for_aol(cells, options, eku):
    """The external Edge certificate has client authentication only if AOL is used."""
    planned = plan(edge(**cells), options=PlanOptions(**options))
    by_rule = {c.rule: c.extended_key_usage for c in planned.certificates}
    assert by_rule == {"Edge/External": eku, "Edge/Internal": ("serverAuth",)}


def test_client_authentication_on_a_reverse_proxy_is_a_choice():
    """Unless the option reverse_proxy_client_eku is set, the certificate of a reverse proxy has
    only server authentication.
    """
    rows = row("rp01.contoso.com", "ReverseProxy")
    (plain,) = plan(rows).certificates
    (both,) = plan(rows, options=PlanOptions(reverse_proxy_client_eku=True)).certificates
    assert plain.extended_key_usage == ("serverAuth",)
    assert both.extended_key_usage == ("serverAuth", "clientAuth")


def test_options_apply_to_every_certificate():
    """All certificates have the key, the hash algorithm, and the subject fields from the options."""
    options = PlanOptions(
        key=KeyParameters(algorithm="RSA", bits=4096),
        hash="sha384",
        organization="Contoso",
        country="TW",
    )
    for certificate in plan(front_end(), edge(), options=options).certificates:
        assert certificate.key == KeyParameters(algorithm="RSA", bits=4096)
        assert certificate.hash == "sha384"
        assert certificate.subject.fields()[1:] == (("O", "Contoso"), ("C", "TW"))


def test_target_os_is_the_oldest_of_the_servers():
    """The target OS of a shared certificate is that of the oldest server. An option overrides the
    table.
    """
    rows = edge(1, target_os="2019"), edge(2, target_os="2008R2"), front_end(target_os="2016")
    by_rule = {c.rule: c.target_os for c in plan(*rows).certificates}
    assert by_rule["Edge/External"] == "2008R2"
    assert by_rule["FrontEnd/Combined"] == "2016"
    forced = plan(*rows, options=PlanOptions(target_os="2022"))
    assert {c.target_os for c in forced.certificates} == {"2022"}


def test_planning_keeps_the_state_of_the_garbage_collector():
    """Planning does not change the state of the garbage collector."""
    import gc

    plan(front_end())
    assert gc.isenabled()


# --- The following tests check properties of the plan with random tables. Each table consists of
# the rows of complete pools.
POOLS = {
    "fe": [front_end(1, site="Taipei", autologon="true"), front_end(2, site="Taipei")],
    "se": [
        row("se01.contoso.com", "StandardEdition", site="Osaka", web_external_fqdn="se.contoso.com")
    ],
    "dir": [
        row("dir01.contoso.com", "Director", site="Taipei", web_external_fqdn="dir.contoso.com")
    ],
    "edge": [edge(1, site="Taipei", xmpp_domains="contoso.com"), edge(2, site="Taipei")],
    "med": [row("med01.contoso.com", "Mediation", "med.contoso.com", site="Osaka")],
    "app": [
        row("app1.contoso.com", "TrustedApplication", "apps.contoso.com", site="Osaka"),
        row("app2.contoso.com", "TrustedApplication", "apps.contoso.com", site="Osaka"),
    ],
    "sba": [row("sba01.contoso.com", "SBA", site="Branch")],
    "rp": [row("rp01.contoso.com", "ReverseProxy")],
}
CHOSEN = st.sets(st.sampled_from(sorted(POOLS)), min_size=1)
OPTIONS = st.builds(
    PlanOptions,
    layout=st.sampled_from(["combined", "separate"]),
    wildcard=st.booleans(),
    edge_member_names=st.booleans(),
)


def rows_of(pool_names):
    """Return the rows of the selected pools. Each row also contains the values of the deployment."""
    return [DEPLOYMENT | r for name in sorted(pool_names) for r in POOLS[name]]


@pytest.mark.slow
@given(chosen=CHOSEN, options=OPTIONS, data=st.data())
def test_row_order_changes_nothing(chosen, options, data):
    """If the rows of the table are in a different order, the certificates, their order, their ids,
    and the digest stay the same.
    """
    rows = rows_of(chosen)
    shuffled = data.draw(st.permutations(rows))
    original, second = plan(*rows, options=options), plan(*shuffled, options=options)
    assert original.certificates == second.certificates
    assert original.sha256 == second.sha256


@pytest.mark.slow
@given(chosen=CHOSEN, options=OPTIONS)
def test_unrelated_rows_change_nothing(chosen, options):
    """If another pool is added to the table, the certificates of a pool do not change."""
    everything = {c.id: c for c in plan(*rows_of(POOLS), options=options).certificates}
    for certificate in plan(*rows_of(chosen), options=options).certificates:
        assert certificate.id in everything
        # The certificates of some roles depend on other pools.
        if certificate.role not in ("ReverseProxy", "Deployment"):
            assert everything[certificate.id] == certificate


@pytest.mark.slow
@given(chosen=CHOSEN, options=OPTIONS, data=st.data())
def test_letter_case_changes_nothing(chosen, options, data):
    """If the names in the table are in uppercase letters, the plan is the same."""
    rows = rows_of(chosen)
    fixed_columns = ("role", "site", "autologon")
    loud = [
        {
            key: value.upper() if key not in fixed_columns and data.draw(st.booleans()) else value
            for key, value in r.items()
        }
        for r in rows
    ]
    loud = [{k: v.replace("HTTPS://", "https://") for k, v in r.items()} for r in loud]
    assert plan(*rows, options=options).sha256 == plan(*loud, options=options).sha256


@given(chosen=CHOSEN, options=OPTIONS)
def test_properties_of_every_plan(chosen, options):
    """In every plan, all ids differ, the subject is the first name, and each name appears once,
    with its reasons.
    """
    certificates = plan(*rows_of(chosen), options=options).certificates
    assert len({c.id for c in certificates}) == len(certificates)
    for certificate in certificates:
        assert len(set(certificate.names)) == len(certificate.names)
        assert all(entry.reasons for entry in certificate.subject_alt_name)
        assert {
            r for entry in certificate.subject_alt_name for r in entry.reasons
        } <= RULES.names.keys()
        if certificate.role == "ReverseProxy" and not chosen & {"fe", "se", "dir"}:
            # The reverse proxy publishes no names, so its certificate has no subject.
            assert certificate.subject.common_name == ""
        elif certificate.names:
            assert certificate.names[0] == certificate.subject.common_name
        else:
            assert certificate.usages == ("Internal",)


@pytest.mark.slow
@given(chosen=CHOSEN, options=OPTIONS, profile=st.sampled_from(["default", "doc_example"]))
def test_ids_do_not_depend_on_names_or_options(chosen, options, profile):
    """If names, issuers, keys, or subject fields change, the ids of the certificates stay the same."""
    changed = replace(
        options,
        profile=profile,
        wildcard=not options.wildcard,
        key=KeyParameters(algorithm="ECDSA", bits=256),
        issuer={"": "public"},
        organization="Fabrikam",
    )
    original = plan(*rows_of(chosen), options=options)
    other = plan(*rows_of(chosen), options=changed, sip_domains="contoso.com;fabrikam.com")
    assert [c.id for c in original.certificates] == [c.id for c in other.certificates]


class TestReplan:
    """If the table is edited, planning again has the same result as a new plan, and keeps unchanged
    certificates.
    """

    def test_an_edited_cell(self):
        """If a cell is edited, only the certificates of the changed pool are planned again."""
        before = plan(*rows_of(POOLS))
        (line,) = [
            n for n, r in enumerate(rows_of(POOLS)) if r["server_fqdn"] == "med01.contoso.com"
        ]
        edited = before.topology.with_cells({line: {"extra_san": "old.contoso.com"}})
        after = plan_changed_topology(before, edited)
        assert after.certificates == plan_certificates(edited, RULES).certificates
        assert after.sha256 != before.sha256
        old_ids = {id(c) for c in before.certificates}
        assert [c.role for c in after.certificates if id(c) not in old_ids] == ["Mediation"]

    def test_an_edited_issuer_also_changes_the_deployment(self):
        """If the user changes the issuer of a server, lyncnb also plans the certificate of the
        deployment again.
        """
        before = plan(*rows_of(POOLS))
        (line,) = [
            n for n, r in enumerate(rows_of(POOLS)) if r["server_fqdn"] == "se01.contoso.com"
        ]
        edited = before.topology.with_cells({line: {"issuer": "OAuthTokenIssuer=public"}})
        after = plan_changed_topology(before, edited)
        assert after.certificates == plan_certificates(edited, RULES).certificates
        assert after.certificates[-1].issuer == "public"

    def test_a_plan_without_by_pool_is_planned_again(self):
        """If a plan has no ``by_pool``, all of its certificates are planned again."""
        before = plan(*rows_of(POOLS))
        assert plan_changed_topology(replace(before, by_pool=()), before.topology) == before

    def test_a_published_name(self):
        """If an external web name is edited, lyncnb also plans the certificate of the reverse proxy
        again.
        """
        before = plan(*rows_of(POOLS))
        (line,) = [
            n for n, r in enumerate(rows_of(POOLS)) if r["server_fqdn"] == "se01.contoso.com"
        ]
        edited = before.topology.with_cells({line: {"web_external_fqdn": "new.contoso.com"}})
        after = plan_changed_topology(before, edited)
        assert after.certificates == plan_certificates(edited, RULES).certificates
        (proxy,) = [c for c in after.certificates if c.role == "ReverseProxy"]
        assert "new.contoso.com" in proxy.names

    def test_another_site(self):
        """If a site or its simple URLs are edited, only the pools in the site, the reverse proxies
        and the deployment's certificate are planned again.
        """
        rows = [row | {"site": "Taipei"} for row in rows_of(POOLS)]
        before = plan(*rows)
        new_row = {"server_fqdn": "med09.contoso.com", "role": "Mediation", "site": "Tainan"}
        bigger = before.topology.with_rows(add=[new_row])
        after = plan_changed_topology(before, bigger)
        assert after == plan_certificates(bigger, RULES)
        old_ids = {id(c) for c in before.certificates}
        replanned_roles = {c.role for c in after.certificates if id(c) not in old_ids}
        assert replanned_roles <= {"Mediation", "ReverseProxy", "Deployment"}
        url = {"meet_urls": "https://meet09.contoso.com"}
        edited = bigger.with_cells({len(bigger.cells) - 1: url})
        assert plan_changed_topology(after, edited) == plan_certificates(edited, RULES)

    def test_another_sip_domain(self):
        """If a SIP domain is added, all pools are planned again."""
        before = plan(*rows_of(POOLS))
        rows = [r | {"sip_domains": "contoso.com;litwareinc.com"} for r in rows_of(POOLS)]
        edited = read_topology(table(*rows))
        assert plan_changed_topology(before, edited) == plan_certificates(edited, RULES)

    def test_an_unknown_role(self):
        """lyncnb rejects an edit that adds a role that the product does not have."""
        before = plan(front_end())
        edited = replace(before.topology, pools=(replace(before.topology.pools[0], role="Fax"),))
        with pytest.raises(PlanError, match='ee01.contoso.com has the role "Fax"'):
            plan_changed_topology(before, edited)


def test_options_and_rules_are_for_one_product():
    """By default, the options apply to the product of the rules. lyncnb rejects options for a
    different product.
    """
    rules = replace(load_rules(), product="other")
    deployment = topology(front_end())
    assert plan_certificates(deployment, rules).options.product == "other"
    with pytest.raises(
        OptionsError, match='the options are for the product "third", but the rules are for "other"'
    ):
        plan_certificates(deployment, rules, options=PlanOptions(product="third"))


def test_certificates_do_not_depend_on_the_order_of_fields(monkeypatch):
    """A plan contains the same certificates even if the fields of ``PlannedCertificate`` are in
    another order, because the planner passes all values by field name.
    """
    names = PlannedCertificate._fields
    defaults = [PlannedCertificate._field_defaults.get(name, "") for name in reversed(names)]
    other = namedtuple("Other", ["more", *reversed(names)], defaults=defaults)
    topology, rules = read_topology(DATA / "contoso.csv"), load_rules()
    expected = [c._asdict() for c in plan_certificates(topology, rules).certificates]
    monkeypatch.setattr(planner, "PlannedCertificate", partial(other, more=""))
    actual = [c._asdict() for c in plan_certificates(topology, rules).certificates]
    assert expected == [{name: certificate[name] for name in names} for certificate in actual]
