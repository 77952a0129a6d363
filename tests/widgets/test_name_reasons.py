"""A click on a DNS name in any panel shows why the name is needed and which certificates contain
it.
"""

from __future__ import annotations

from datetime import date

import pytest
from folders import PASSPHRASE
from panel_kit import PanelClient
from topologies import FIVE_SERVERS, STANDARD_EDITION

from lyncnb.export.write import write_requests
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology
from lyncnb.widgets.editing.explanations import list_findings
from lyncnb.widgets.editor import PlanEditor
from lyncnb.widgets.request_panel import RequestPanel
from lyncnb.widgets.status_panel import StatusPanel

pytestmark = pytest.mark.usefixtures("quick_cipher")


@pytest.fixture
def editor() -> PlanEditor:
    return PlanEditor(read_topology(FIVE_SERVERS.encode()), load_rules())


def ask(panel, name: str) -> dict:
    return PanelClient(panel.view).send("why", name=name)["reasons"]


def test_a_name_has_its_rule_sources_servers_and_use(editor):
    """For each rule of a name, the panel shows the reason, the clients, the effect if the name is
    missing, and the certificates.
    """
    answer = ask(editor, "meet.contoso.com")
    assert (answer["title"], answer["note"]) == ("meet.contoso.com", "")
    (reason,) = answer["reasons"]
    rule = editor.rules.names["meet"]
    assert (reason["rule"], reason["names"]) == ("meet", ["meet.contoso.com"])
    assert [(fact["heading"], fact["says"], fact["source"]) for fact in reason["facts"]] == [
        ("Why", rule.why, rule.source),
        ("Who needs it", rule.clients.says, rule.clients.source),
        ("Without it", rule.without.says, rule.without.source),
    ]
    carrying = [c for c in editor.plan.certificates if "meet.contoso.com" in c.names]
    servers = {str(server) for certificate in carrying for server in certificate.servers}
    assert servers == {"fe01.contoso.com", "fe02.contoso.com", "dir01.contoso.com"}
    assert reason["servers"] == "fe01–fe02.contoso.com and dir01.contoso.com"
    combined = "Default, WebServicesInternal, WebServicesExternal"
    assert reason["places"] == [
        f"fe01–fe02.contoso.com ({combined}, internal CA)",
        f"dir01.contoso.com ({combined}, internal CA)",
    ]


def test_a_subject_outside_the_san_is_explained(editor):
    """If a subject name is not in the SAN, the panel still explains which rule requires the name.

    A name in no certificate is reported as such.
    """
    editor.edit(add=[{"server_fqdn": "edge01.contoso.net", "role": "Edge"}])
    (internal,) = [c for c in editor.plan.certificates if c.usages == ("Internal",)]
    assert internal.names == ()
    (reason,) = ask(editor, "edge01.contoso.net")["reasons"]
    assert reason["rule"] == "edge-internal"
    answer = ask(editor, "nowhere.contoso.com")
    assert (answer["reasons"], answer["note"]) == (
        [],
        "No certificate in the plan contains this name.",
    )


def test_an_undocumented_reason_is_shown_as_such(editor):
    """If the planner added a name, the panel states that its reason is not documented."""
    editor.edit(change=[(["fe01.contoso.com"], {"extra_san": "www.contoso.com"})])
    (reason,) = ask(editor, "www.contoso.com")["reasons"]
    assert [(fact["says"], fact["source"]) for fact in reason["facts"][1:]] == [
        ("unknown (not documented)", ""),
        ("unknown (not documented)", ""),
    ]


def test_names_in_the_message_of_a_finding_are_links(editor, tmp_path):
    """In the editor and the request panel, names in the message of a finding are links to their
    reasons.
    """
    editor.edit(add=[{"server_fqdn": "edge01.contoso.net", "role": "Edge"}])
    editor.change_options(planned_issue_date=date(2026, 12, 1))
    names = {str(name) for certificate in editor.plan.certificates for name in certificate.names}
    panel = RequestPanel(editor, tmp_path / "requests")
    for answer in (list_findings(editor), PanelClient(panel.view).send("ready")["findings"]):
        items = [item for group in answer["groups"] for item in group["items"]]
        assert all(name in item["message"] for item in items for name in item["names"])
        (public,) = [item for item in items if "names become public" in item["message"]]
        words = {word.strip(",") for word in public["message"].split()}
        assert public["names"] == sorted(words & names)
        assert "sip.contoso.com" in public["names"]
    answer = ask(panel, "sip.contoso.com")
    assert (answer["title"], answer["note"]) == ("sip.contoso.com", "")


def test_the_request_panel_shows_all_names(editor, tmp_path):
    """In the request panel, a click on the ID of a request shows all names of the request, grouped
    by rule.
    """
    certificate = editor.plan.certificates[0]
    panel = RequestPanel(editor, tmp_path / "requests")
    answer = ask(panel, certificate.id)
    assert answer["title"] == f"Names on {certificate.id}"
    listed_names = {name for reason in answer["reasons"] for name in reason["names"]}
    assert listed_names == {str(name) for name in certificate.names}
    assert ask(panel, "gone")["note"] == "This certificate is no longer in the plan."


def test_the_status_panel_reads_reasons_from_the_folder(tmp_path):
    """The status panel reads the reasons for names from plan.json, or reports that this file is
    missing.
    """
    folder, rules = tmp_path / "requests", load_rules()
    plan = plan_certificates(read_topology(STANDARD_EDITION.encode()), rules)
    write_requests(plan, folder, passphrase=PASSPHRASE)
    panel, names = StatusPanel(folder), rules.names
    for request in panel.status.requests:
        answer = ask(panel, f"{request.id} (1)")
        reasons = {reason["rule"]: reason for reason in answer["reasons"]}
        assert request.subject in {name for reason in answer["reasons"] for name in reason["names"]}
        assert all(reasons[rule]["facts"][0]["says"] == names[rule].why for rule in reasons)
    (folder / "plan.json").unlink()
    answer = ask(panel, panel.status.requests[0].id)
    assert answer["reasons"] == []
    assert panel.status.requests[0].subject in answer["note"]
