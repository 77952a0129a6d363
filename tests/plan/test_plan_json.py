"""lyncnb writes a plan as JSON in the format lyncnb-plan/1."""

from __future__ import annotations

import json
from datetime import date

from topologies import edge, front_end, plan

from lyncnb.checks.check_plan import check_plan
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.plan_json import plan_document, plan_json
from lyncnb.rules.findings import Finding

FINDING = Finding(
    code="some-code", severity="warning", about="ee01", message="m", hint="h", source="RFC 1"
)


def test_the_whole_document():
    """The keys, their order, and the values of the plan document match the format."""
    planned = plan(
        edge(site="Taipei", access_edge_fqdn="access.contoso.com", webconf_edge_fqdn=""),
        options=PlanOptions(organization="Contoso"),
        sip_domains="contoso.com",
    )
    document = plan_document(planned, [FINDING])
    external, internal = document["certificates"]
    assert list(document) == [
        *("format", "product", "plan_sha256", "certificates", "reasons", "findings")
    ]
    assert document["format"] == "lyncnb-plan/1"
    assert document["product"] == "lync2013"
    assert document["plan_sha256"] == planned.sha256
    access = planned.rules.names["access-edge"]
    sip = planned.rules.names["sip-edge"]
    assert external == {
        "id": planned.certificates[0].id,
        "role": "Edge",
        "site": "Taipei",
        "pool": "lsedge.contoso.net",
        "servers": ["edge01.contoso.net"],
        "usages": ["AccessEdgeExternal", "DataEdgeExternal", "AudioVideoAuthentication"],
        "subject": {"CN": "access.contoso.com", "O": "Contoso"},
        "san": ["access.contoso.com", "sip.contoso.com"],
        "eku": ["serverAuth"],
        "issuer": "public",
        "key": {"algorithm": "RSA", "bits": 2048},
        "hash": "sha256",
        "shared_by": "pool",
        "exportable": True,
        "reasons": {
            "access.contoso.com": [{"rule": "access-edge", "source": access.source}],
            "sip.contoso.com": [{"rule": "sip-edge", "source": sip.source}],
        },
    }
    assert list(external)[:4] == ["id", "role", "site", "pool"]
    assert (internal["san"], internal["reasons"]) == ([], {})
    assert document["findings"] == [
        {
            "code": "some-code",
            "severity": "warning",
            "about": "ee01",
            "message": "m",
            "hint": "h",
            "source": "RFC 1",
            "accepted": "",
        }
    ]


def test_each_rule_is_in_the_document_once():
    """The plan document contains each rule for a name or subject once, with its reasons.

    Facts that no document contains are null.
    """
    planned = plan(edge(extra_san="www.contoso.com"), sip_domains="contoso.com")
    reasons = {reason["rule"]: reason for reason in plan_document(planned)["reasons"]}
    assert list(reasons) == [
        *("access-edge", "sip-edge", "webconf-edge", "extra-san", "edge-internal"),
        "edge-internal-repeated",
    ]
    clients = planned.rules.names["access-edge"].clients
    access_edge = reasons["access-edge"]
    assert access_edge["clients"] == {"says": clients.says, "source": clients.source}
    assert access_edge["without"]["source"].startswith("Inferred from ")
    assert (reasons["extra-san"]["clients"], reasons["extra-san"]["without"]) == (None, None)


def test_the_document_is_plain_json_and_stable():
    """The plan document is plain JSON, and the same table always results in the same text."""
    first = json.dumps(plan_document(plan(front_end(1), front_end(2), edge()), ()))
    second = json.dumps(plan_document(plan(front_end(2), front_end(1), edge())))
    assert first == second
    assert json.loads(first)["certificates"][0]["servers"] == ["ee01.contoso.com"]


def test_every_name_in_the_document_has_a_reason():
    """In the plan document, every name has a reason, even on the certificate of the deployment,
    which has no site and no pool.
    """
    document = plan_document(plan(front_end()))
    oauth = document["certificates"][-1]
    assert (oauth["role"], oauth["site"], oauth["pool"]) == ("Deployment", "", "")
    assert oauth["shared_by"] == "deployment"
    assert list(oauth["reasons"]) == oauth["san"] == ["contoso.com", "fabrikam.com"]


def test_the_document_contains_the_evaluation_date():
    """If the findings have an evaluation date, the plan document contains this date."""
    planned = plan(front_end())
    findings = check_plan(planned, on=date(2026, 3, 15))
    document = plan_document(planned, findings)
    assert document["judged_on"] == "2026-03-15"
    assert json.loads(plan_json(planned, findings)) == document
    assert "judged_on" not in plan_document(planned, list(findings))


def test_international_names_have_their_unicode_form():
    """If a name in a certificate has A-labels, the plan document also contains the name in Unicode.

    Other certificates do not have this key.
    """
    planned = plan(front_end(extra_san="分公司.contoso.com"), edge())
    entries = plan_document(planned)["certificates"]
    (entry,) = [entry for entry in entries if "unicode" in entry]
    assert entry["unicode"] == {"xn--55q8nz3c.contoso.com": "分公司.contoso.com"}
    assert planned.topology.notes[0].looks_different
