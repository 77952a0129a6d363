"""Each plan has a digest, an explanation, and a table, and each planned certificate has an id."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_plans import random_plan
from topologies import edge, front_end, plan, row, table, topology

from lyncnb.base.records import convert_record
from lyncnb.base.shown.tables import list_headings
from lyncnb.errors import PlanError
from lyncnb.plan.model import (
    build_certificate_document,
    build_slug,
    convert_to_entry,
)
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology


def test_id_consists_of_role_name_and_digest():
    """The id of a certificate consists of the role, a short name, and 8 hexadecimal digits of a
    SHA-256 digest. The digest is calculated from the certificate's role, usages, pool and server.
    """
    certificate, _ = plan(front_end()).certificates
    identity = "frontend\0default,webservicesinternal,webservicesexternal\0server\0eepool.contoso.com\0ee01.contoso.com"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    assert certificate.id == f"FrontEnd-ee01-contoso-com-{digest}"


def test_id_of_a_shared_certificate():
    """The id of a shared certificate contains the pool name, so that it does not change when a
    server is added.
    """
    certificates = plan(edge(1)).certificates
    second = plan(edge(1), edge(2)).certificates
    assert [c.id for c in certificates] == [c.id for c in second]
    identity = "edge\0internal\0pool\0lsedge.contoso.net\0"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    assert certificates[1].id == f"Edge-lsedge-contoso-net-{digest}"


def test_ids_do_not_change_in_later_versions():
    """The ids of certificates do not change in later versions, because request folders contain
    them.
    """
    planned = plan(front_end(), edge(), row("rp01.contoso.com", "ReverseProxy"))
    assert [c.id for c in planned.certificates] == [
        "FrontEnd-ee01-contoso-com-d4c862f8",
        "Edge-lsedge-contoso-net-e0e12be2",
        "Edge-lsedge-contoso-net-fa32683f",
        "ReverseProxy-rp01-contoso-com-51a2a715",
        "Deployment-deployment-3e6ef51a",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ee01.contoso.com", "ee01-contoso-com"),
        ("*.Contoso.com", "wildcard-contoso-com"),
        ("ee_01.contoso.com", "ee-01-contoso-com"),
        ("a" * 90 + ".contoso.com", "a" * 80),
        ("a" * 79 + ".contoso.com", "a" * 79),
    ],
)
def test_the_short_name_in_an_id(name, expected):
    """The short name in an id consists of at most 80 letters, digits, and hyphens."""
    assert build_slug(name) == expected


@given(st.text())
def test_the_short_name_is_a_valid_file_name(name):
    """For any host name, the short name in an id is a valid file name."""
    assert set(build_slug(name)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not build_slug(name).startswith("-")
    assert not build_slug(name).endswith("-")


def test_names_are_listed_without_their_reasons():
    """The property ``names`` contains the subject alternative names without their reasons."""
    certificate = plan(front_end()).certificates[0]
    assert certificate.names == tuple(entry.name for entry in certificate.subject_alt_name)


class TestHash:
    """The digest of a plan identifies the requests in the plan."""

    def test_digest_does_not_depend_on_the_format_of_the_table(self):
        """Line endings, a byte order mark, semicolons, and additional columns in the table do not
        change the digest of the plan.
        """
        data = table(front_end(1), front_end(2), edge())
        other = b"\xef\xbb\xbf" + data.replace(b";", b" ").replace(b",", b";")
        other = other.replace(b"server_fqdn", b"Server FQDN").replace(b"role;", b"Rolle;Role;", 1)
        other = b"\r\n".join(
            line.replace(b";FrontEnd;", b";x;FrontEnd;").replace(b";Edge;", b";x;Edge;")
            for line in other.splitlines()
        )
        rules = load_rules()
        first = plan_certificates(read_topology(data), rules)
        second = plan_certificates(read_topology(other), rules)
        assert first.topology.columns != second.topology.columns
        assert first.sha256 == second.sha256
        assert len(first.sha256) == 64

    @pytest.mark.parametrize(
        "options",
        [
            {"hash": "sha384"},
            {"organization": "Contoso"},
            {"wildcard": True},
            {"layout": "separate"},
            {"issuer": {"": "public"}},
        ],
    )
    def test_digest_changes_with_the_requests(self, options):
        """The digest of a plan changes if names, keys, hash algorithms, subjects, or issuers
        change.
        """
        assert plan(front_end()).sha256 != plan(front_end(), options=PlanOptions(**options)).sha256

    def test_digest_does_not_include_reasons(self):
        """The digest of a plan does not include the reasons for names."""
        planned = plan(front_end())
        bare = [
            c._replace(subject_alt_name=tuple(e._replace(reasons=()) for e in c.subject_alt_name))
            for c in planned.certificates
        ]
        assert replace(planned, certificates=tuple(bare)).sha256 == planned.sha256


class TestExplain:
    """Explanations list the reasons for the names in a server's certificates."""

    def test_every_name_is_explained_with_rule_and_source(self):
        """The explanation of a server has a row for each name and each of its reasons, even if
        pools share the certificate.
        """
        explanation = plan(front_end(1), front_end(2)).explain("EE01.contoso.com.")
        assert explanation.server == "ee01.contoso.com"
        names = {item.name for item in explanation.names}
        assert "ee02.contoso.com" not in names
        assert {"eepool.contoso.com", "lyncdiscover.contoso.com", "fabrikam.com"} <= names
        (meet,) = [item for item in explanation.names if item.name == "meet.contoso.com"]
        assert (meet.rule, meet.place, meet.usages[0]) == ("meet", "SAN", "Default")
        assert meet.why.startswith("A Meet simple URL uses this host name.")
        assert meet.source.startswith("Microsoft, Certificate requirements for internal servers")

    def test_a_subject_without_alternative_names_is_explained(self):
        """The explanation of an Edge Server shows the subject of the internal Edge certificate,
        although the certificate has no alternative names.
        """
        explanation = plan(edge()).explain("edge01.contoso.net")
        internal = [item for item in explanation.names if item.usages == ("Internal",)]
        assert [(i.name, i.place, i.rule) for i in internal] == [
            ("lsedge.contoso.net", "subject", "edge-internal")
        ]

    def test_a_server_without_certificates(self):
        """If a server needs no certificate, its explanation says so, and there is no error."""
        explanation = plan(row("sql01.contoso.com", "SQL")).explain("sql01.contoso.com")
        assert explanation.names == ()
        assert str(explanation) == "sql01.contoso.com needs no certificate"

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("ee1.contoso.com", "did you mean ee01.contoso.com"),
            (
                "eepool.contoso.com",
                "this is the name of a pool. The servers in this pool are ee01.contoso.com",
            ),
            ("zzz", "did you mean ee01.contoso.com"),
        ],
    )
    def test_an_unknown_server(self, name, hint):
        """If a server is unknown, the error message lists similar names. If the name is that of a
        pool, the message lists the servers of the pool.
        """
        with pytest.raises(PlanError, match=f'the topology has no server "{name}"') as caught:
            plan(front_end()).explain(name)
        assert caught.value.hint.startswith(hint)

    def test_a_topology_without_servers_has_a_hint(self):
        """If a topology contains no servers, the error has a hint that names this cause."""
        nothing = replace(topology(front_end()), pools=())
        with pytest.raises(PlanError) as caught:
            plan_certificates(nothing, load_rules()).explain("ee01.contoso.com")
        assert caught.value.hint == "the topology has no servers"


def test_the_frame_of_names_has_a_row_for_each_name(data):
    """The data frame of names has a row for each name on each certificate, with its reason."""
    planned = plan_certificates(read_topology(data / "contoso.csv"), load_rules())
    frame = planned.names().to_frame()
    names_by_id = frame.groupby("Certificate")["Name"].agg(set).to_dict()
    assert names_by_id == {
        certificate.id: {*certificate.names, certificate.subject.common_name}
        for certificate in planned.certificates
    }
    meet = frame[frame["Name"].str.startswith("meet.")]
    expected = [c.id for c in planned.certificates if any(n.startswith("meet.") for n in c.names)]
    assert list(dict.fromkeys(meet["Certificate"])) == expected
    assert set(meet["Name rule"]) <= set(planned.rules.names)
    assert meet["Why"].str.len().min() > 10


def test_a_plan_is_a_table():
    """The table of a plan has a row for each certificate, and special characters in site names are
    escaped.
    """
    planned = plan(front_end(site="<b>Taipei</b>"))
    frame = planned.to_frame()
    assert list(frame.columns) == [
        "Certificate",
        *("Role", "Site", "Pool", "Servers", "Type", "Subject name", "Subject alternative names"),
        *("EKU", "Issuer", "Key", "Shared by"),
    ]
    assert list(frame["Role"]) == ["FrontEnd", "Deployment"]
    assert frame["Key"][0] == "RSA 2048"
    assert frame["Type"][0] == "Default; WebServicesInternal; WebServicesExternal"
    assert "&lt;b&gt;Taipei&lt;/b&gt;" in planned._repr_html_()
    assert "2 certificates for Lync Server 2013" in planned._repr_html_()


def test_a_plan_has_a_short_repr():
    """The representation of a plan as text has one line."""
    assert repr(plan(front_end())) == "2 certificates for Lync Server 2013, based on table"


# --- These tests are about the explanation of a server's names, as text and as a table.


def test_an_explanation_as_text():
    """The text of an explanation contains the certificates and their names, with the reason, rule,
    and source of each name.
    """
    text = str(
        plan(edge(webconf_edge_fqdn=""), sip_domains="contoso.com").explain("edge01.contoso.net")
    )
    external, internal = plan(edge()).certificates
    names = plan(edge()).rules.names

    def reason(rule):
        name_rule = names[rule]
        return [
            f"    {name_rule.why} [{rule}]",
            f"      {name_rule.source}",
            f"    Who needs it: {name_rule.clients.says}",
            f"      {name_rule.clients.source}",
            f"    Without it: {name_rule.without.says}",
            f"      {name_rule.without.source}",
        ]

    assert text.splitlines() == [
        f"{external.id}: AccessEdgeExternal, DataEdgeExternal, AudioVideoAuthentication",
        "  sip.contoso.com (subject and SAN)",
        *reason("access-edge"),
        *reason("sip-edge"),
        f"{internal.id}: Internal",
        "  lsedge.contoso.net (subject)",
        *reason("edge-internal"),
    ]


def test_an_explanation_becomes_a_table():
    """The DataFrame of an explanation has one row for each reason, and its HTML table escapes
    special characters.
    """
    explanation = plan(edge()).explain("edge01.contoso.net")
    frame = explanation.to_frame()
    assert list(frame.columns) == list_headings(explanation._columns)
    assert len(frame) == len(explanation.names)
    assert "sip.&lt;SIP domain&gt;" in explanation._repr_html_()
    page = explanation._repr_html_()
    assert page.count("Names on the certificates of edge01.contoso.net: ") == 2
    # The table has one row for the subject, and one for all other SIP domains.
    assert page.count("<td>sip-edge</td>") == 2
    assert ">DNS summary - Single consolidated edge" in page


def test_requested_names_have_undocumented_clients():
    """If the user requested a name, the explanation states that no document describes its clients."""
    explanation = plan(edge(extra_san="www.contoso.com")).explain("edge01.contoso.net")
    text = str(explanation).partition("  www.contoso.com")[2]
    assert (
        "\n    Who needs it: unknown (not documented)\n    Without it: unknown (not documented)\n"
        in text
    )
    frame = explanation.to_frame()
    (cell,) = {*frame.loc[frame["Name rule"] == "extra-san", "Who needs it"]}
    assert cell == "unknown (not documented)"


def test_a_missing_subject_is_shown_as_no_name():
    """If the topology does not contain the name for a subject, the explanation shows "(no name)"."""
    text = str(plan(edge(access_edge_fqdn="")).explain("edge01.contoso.net"))
    assert "  (no name) (subject)\n" in text


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("edge01", "edge01.contoso.net"),
        ("edge01.contoso", "edge01.contoso.net"),
        ("edge", "edge01.contoso.net"),
        ("ege01", "edge01.contoso.net"),
        ("ee02", "ee02.contoso.com"),
    ],
)
def test_the_hint_suggests_similar_servers(typed, meant):
    """For an unknown server, the hint suggests a server with the same host name or a similar name."""
    with pytest.raises(PlanError) as caught:
        plan(front_end(1), front_end(2), edge(1)).explain(typed)
    assert caught.value.hint.startswith(f"did you mean {meant}")


def test_folder_and_document_have_the_same_values():
    """The request folder, the saved plan, and the plan document contain the same values."""
    chance = random.Random(37)
    for certificate in (sample for _ in range(20) for sample in random_plan(chance).certificates):
        entry = json.loads(json.dumps(convert_to_entry(certificate), default=convert_record))
        assert entry == json.loads(json.dumps(build_certificate_document(certificate)))
