"""Planned certificates and plans have ids, a digest, an explanation, and a table."""

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


def test_id_is_made_of_what_the_certificate_is_for():
    """An id consists of the role, a slug, and 8 hex digits of the SHA-256 digest of the key values."""
    certificate, _ = plan(front_end()).certificates
    what = "frontend\0default,webservicesinternal,webservicesexternal\0server\0eepool.contoso.com\0ee01.contoso.com"
    digest = hashlib.sha256(what.encode()).hexdigest()[:8]
    assert certificate.id == f"FrontEnd-ee01-contoso-com-{digest}"


def test_id_of_a_shared_certificate():
    """The id contains the pool, so that it does not change if a server is added."""
    one = plan(edge(1)).certificates
    two = plan(edge(1), edge(2)).certificates
    assert [c.id for c in one] == [c.id for c in two]
    what = "edge\0internal\0pool\0lsedge.contoso.net\0"
    digest = hashlib.sha256(what.encode()).hexdigest()[:8]
    assert one[1].id == f"Edge-lsedge-contoso-net-{digest}"


def test_ids_are_the_same_tomorrow():
    """The ids of certificates do not change in later versions, because request folders store them."""
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
def test_slug(name, expected):
    """The slug in an id consists of at most 80 letters, digits, and hyphens."""
    assert build_slug(name) == expected


@given(st.text())
def test_slug_is_safe_everywhere(name):
    """A slug is a valid file name for any host name."""
    assert set(build_slug(name)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not build_slug(name).startswith("-")
    assert not build_slug(name).endswith("-")


def test_names_are_those_of_the_entries():
    """The property ``names`` contains the subject alternative names without reasons."""
    certificate = plan(front_end()).certificates[0]
    assert certificate.names == tuple(entry.name for entry in certificate.subject_alt_name)


class TestHash:
    """The digest of a plan identifies its requests."""

    def test_it_is_the_same_however_the_table_was_saved(self):
        """Line ends, a byte order mark, semicolons, and more columns do not change the digest."""
        data = table(front_end(1), front_end(2), edge())
        other = b"\xef\xbb\xbf" + data.replace(b";", b" ").replace(b",", b";")
        other = other.replace(b"server_fqdn", b"Server FQDN").replace(b"role;", b"Rolle;Role;", 1)
        other = b"\r\n".join(
            line.replace(b";FrontEnd;", b";x;FrontEnd;").replace(b";Edge;", b";x;Edge;")
            for line in other.splitlines()
        )
        rules = load_rules()
        one = plan_certificates(read_topology(data), rules)
        two = plan_certificates(read_topology(other), rules)
        assert one.topology.columns != two.topology.columns
        assert one.sha256 == two.sha256
        assert len(one.sha256) == 64

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
    def test_it_changes_with_what_is_requested(self, options):
        """The digest covers names, keys, hash algorithms, subjects, and issuers."""
        assert plan(front_end()).sha256 != plan(front_end(), options=PlanOptions(**options)).sha256

    def test_a_better_explanation_does_not_change_it(self):
        """The digest of a plan does not include the reasons for names."""
        planned = plan(front_end())
        bare = [
            c._replace(subject_alt_name=tuple(e._replace(reasons=()) for e in c.subject_alt_name))
            for c in planned.certificates
        ]
        assert replace(planned, certificates=tuple(bare)).sha256 == planned.sha256


class TestExplain:
    """The names in a server's certificates are explained."""

    def test_every_name_with_rule_and_source(self):
        """The explanation has a row for each name and reason, also for shared certificates."""
        explanation = plan(front_end(1), front_end(2)).explain("EE01.contoso.com.")
        assert explanation.server == "ee01.contoso.com"
        names = {item.name for item in explanation.names}
        assert "ee02.contoso.com" not in names
        assert {"eepool.contoso.com", "lyncdiscover.contoso.com", "fabrikam.com"} <= names
        (meet,) = [item for item in explanation.names if item.name == "meet.contoso.com"]
        assert (meet.rule, meet.place, meet.usages[0]) == ("meet", "SAN", "Default")
        assert meet.why.startswith("A Meet simple URL uses this host name.")
        assert meet.source.startswith("Microsoft, Certificate requirements for internal servers")

    def test_a_subject_that_is_not_repeated(self):
        """The subject of the internal Edge certificate is explained, although it has no alternative
        names.
        """
        explanation = plan(edge()).explain("edge01.contoso.net")
        internal = [item for item in explanation.names if item.usages == ("Internal",)]
        assert [(i.name, i.place, i.rule) for i in internal] == [
            ("lsedge.contoso.net", "subject", "edge-internal")
        ]

    def test_a_server_without_certificates(self):
        """The explanation of a server that needs no certificate is not an error."""
        explanation = plan(row("sql01.contoso.com", "SQL")).explain("sql01.contoso.com")
        assert explanation.names == ()
        assert str(explanation) == "sql01.contoso.com needs no certificate"

    @pytest.mark.parametrize(
        ("asked", "hint"),
        [
            ("ee1.contoso.com", "did you mean ee01.contoso.com"),
            (
                "eepool.contoso.com",
                "this is the name of a pool. The servers in this pool are ee01.contoso.com",
            ),
            ("zzz", "did you mean ee01.contoso.com"),
        ],
    )
    def test_an_unknown_server(self, asked, hint):
        """The error for an unknown server lists similar names, or the servers in the pool."""
        with pytest.raises(PlanError, match=f'the topology has no server "{asked}"') as caught:
            plan(front_end()).explain(asked)
        assert caught.value.hint.startswith(hint)

    def test_nothing_to_explain(self):
        """If a topology has no servers, the hint explains this."""
        nothing = replace(topology(front_end()), pools=())
        with pytest.raises(PlanError) as caught:
            plan_certificates(nothing, load_rules()).explain("ee01.contoso.com")
        assert caught.value.hint == "the topology has no servers"


def test_the_names_of_a_plan_answer_which_certificates_have_a_name(data):
    """The frame has each name on each certificate with its reason, and merges by certificate."""
    planned = plan_certificates(read_topology(data / "contoso.csv"), load_rules())
    frame = planned.names().to_frame()
    listed = frame.groupby("Certificate")["Name"].agg(set).to_dict()
    assert listed == {
        certificate.id: {*certificate.names, certificate.subject.common_name}
        for certificate in planned.certificates
    }
    meet = frame[frame["Name"].str.startswith("meet.")]
    expected = [c.id for c in planned.certificates if any(n.startswith("meet.") for n in c.names)]
    assert list(dict.fromkeys(meet["Certificate"])) == expected
    assert set(meet["Rule"]) <= set(planned.rules.names)
    assert meet["Why"].str.len().min() > 10


def test_a_plan_is_a_table():
    """A plan's table has a row for each certificate in plain text, and markup in site names is
    escaped.
    """
    planned = plan(front_end(site="<b>Taipei</b>"))
    frame = planned.to_frame()
    assert list(frame.columns) == [
        "Certificate",
        *("Role", "Site", "Pool", "Server", "Type", "Subject name", "Subject alternative names"),
        *("EKU", "Issuer", "Key", "Shared by"),
    ]
    assert list(frame["Role"]) == ["FrontEnd", "Deployment"]
    assert frame["Key"][0] == "RSA 2048"
    assert frame["Type"][0] == "Default; WebServicesInternal; WebServicesExternal"
    assert "&lt;b&gt;Taipei&lt;/b&gt;" in planned._repr_html_()
    assert "2 certificates for Lync Server 2013" in planned._repr_html_()


def test_a_plan_has_a_short_repr():
    """The text representation of a plan has one line."""
    assert repr(plan(front_end())) == "2 certificates for Lync Server 2013, based on table"


# --- These tests are about the explanation of a server's names, as text and as a table.


def test_as_text():
    """The text contains certificates and names, with the reason, rule, and source for each name."""
    text = str(
        plan(edge(webconf_edge_fqdn=""), sip_domains="contoso.com").explain("edge01.contoso.net")
    )
    external, internal = plan(edge()).certificates
    names = plan(edge()).rules.names

    def reason(rule):
        told = names[rule]
        return [
            f"    {told.why} [{rule}]",
            f"      {told.source}",
            f"    Who needs it: {told.clients.says}",
            f"      {told.clients.source}",
            f"    Without it: {told.without.says}",
            f"      {told.without.source}",
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


def test_as_table():
    """The table has a row for each reason, and is escaped."""
    explanation = plan(edge()).explain("edge01.contoso.net")
    frame = explanation.to_frame()
    assert list(frame.columns) == list_headings(explanation._columns)
    assert len(frame) == len(explanation.names)
    assert "sip.&lt;SIP domain&gt;" in explanation._repr_html_()
    page = explanation._repr_html_()
    assert page.count("Names on the certificates of edge01.contoso.net: ") == 2
    # One row for the subject, and one row for all other SIP domains.
    assert page.count("<td>sip-edge</td>") == 2
    assert ">DNS summary - Single consolidated edge" in page


def test_what_no_document_says_is_told_to_be_undocumented():
    """For a name that the user requested, the explanation says that no document describes its
    clients.
    """
    asked = plan(edge(extra_san="www.contoso.com")).explain("edge01.contoso.net")
    text = str(asked).partition("  www.contoso.com")[2]
    assert "\n    Who needs it: not documented\n    Without it: not documented\n" in text
    frame = asked.to_frame()
    (told,) = {*frame.loc[frame["Rule"] == "extra-san", "Who needs it"]}
    assert told == "not documented"


def test_a_missing_subject_has_a_word_for_it():
    """If the topology does not contain the subject, the text shows "(no name)"."""
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
def test_the_hint_is_by_what_was_typed(typed, meant):
    """The hint suggests the server with the same host name, or a server with a similar name."""
    with pytest.raises(PlanError) as caught:
        plan(front_end(1), front_end(2), edge(1)).explain(typed)
    assert caught.value.hint.startswith(f"did you mean {meant}")


def test_the_entry_on_record_is_the_one_of_the_document():
    """The folder, the saved plan, and the plan document record the same values."""
    chance = random.Random(37)
    for certificate in (one for _ in range(20) for one in random_plan(chance).certificates):
        entry = json.loads(json.dumps(convert_to_entry(certificate), default=convert_record))
        assert entry == json.loads(json.dumps(build_certificate_document(certificate)))
