"""The guide panel sends questions to its page, stores the answers, and writes files."""

from __future__ import annotations

import pytest
from panel_kit import PanelClient

import lyncnb as ln
from lyncnb.errors import AnswersError


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Return a new guide panel in an empty folder, with a simulated page that exchanges messages
    with it.
    """
    monkeypatch.chdir(tmp_path)
    return PanelClient(ln.GuidePanel("plan").view)


def fields(answers):
    return {(field["site"], field["key"]): field for field in answers["asked"]["fields"]}


def test_before_the_first_answer_no_errors_are_shown(client):
    """Before the first answer, the guide panel shows no errors and no plan."""
    answers = client.send("ready")
    assert answers["start"]["folder"] == "plan"
    assert all(source.startswith("Microsoft") for *_, source in answers["start"]["left_out"])
    assert answers["asked"]["words"].startswith("Please answer these questions: SIP domains")
    assert (answers["asked"]["python"], answers["asked"]["problems"]) == ("", [])
    assert not [field for field in answers["asked"]["fields"] if field["problem"]]
    with pytest.raises(AnswersError, match="sip_domains: the answer is missing"):
        _ = client.panel.channel.guide.topology


def test_answers_create_a_plan(client):
    """When all required questions are answered, the guide panel shows a plan.

    Another site adds questions, and removing it restores the earlier plan.
    """
    first = client.send("answer", site="", key="sip_domains", text="contoso.com")
    assert first["asked"]["words"].startswith("7 certificates for 5 servers")
    second = client.send("answer", site="", key="sites", text="Taipei;台中")
    assert ("台中", "directors") in fields(second)
    assert (second["asked"]["count"], fields(second)["", "server_names"]["default"]) == (
        8,
        "{site}-{role}{n:02}",
    )
    third = client.send("answer", site="", key="sites", text="")
    assert third["asked"] == first["asked"]
    namespace = {}
    exec(third["asked"]["python"], namespace)
    assert namespace["topology"] == client.panel.channel.guide.topology


def test_a_renamed_site_keeps_its_answers(client):
    """The guide keeps the answers about the servers of a site if the user renames or moves the
    site, or adds and removes other sites.
    """
    client.send("answer", site="", key="sip_domains", text="contoso.com")
    client.send("answer", site="Main", key="directors", text="2")
    for sites in ("Taipe", "Taipe; taipe", "Taipei", "Taipei; Tainan", "Tainan; Taipei", "Taipei"):
        shown_fields = fields(client.send("answer", site="", key="sites", text=sites))
        of_sites = {site for site, _ in shown_fields if site}
        site = next(iter(of_sites - {"Tainan"}), "")
        # If two sites have the same name, the answers cannot be assigned to either of them.
        if "taipe" in sites:
            assert not of_sites
        else:
            assert shown_fields[site, "directors"]["text"] == "2"
    assert shown_fields["Taipei", "directors"]["text"] == "2"


def test_an_error_is_shown_at_its_field(client):
    """The guide shows wrong or contradictory answers at their fields."""
    client.send("answer", site="", key="sip_domains", text="contoso.com")
    answers = client.send("answer", site="Main", key="edge_servers", text="0")
    assert "no site has an Edge Server" in fields(answers)["Main", "edge_servers"]["problem"]
    assert answers["asked"]["problems"][0]["words"].startswith(
        "“How many Edge Servers are at this site? (0 = none)” (site “Main”)"
    )
    answers = client.send("answer", site="Main", key="edge_servers", text="many")
    assert fields(answers)["Main", "edge_servers"]["hint"] == "enter a whole number, 0 or more"
    refused = client.send("write", folder="plan", force=False)["refused"]
    assert "edge_servers" in refused["lines"][0]
    assert "no question" in client.send("answer", site="", key="x", text="")["refused"]["lines"][0]


def test_files_are_written_on_request(client, tmp_path):
    """The guide panel writes files to its folder only when the user requests it.

    Existing files are replaced only after a second click.
    """
    client.send("answer", site="", key="sip_domains", text="contoso.com")
    assert [*tmp_path.iterdir()] == []
    assert client.send("write", folder=" ", force=False)["refused"]["lines"][0].endswith(
        "the folder is missing"
    )
    answer = client.send("write", folder="mine", force=False)["written"]
    assert answer["words"] == "Written: mine/topology.csv, mine/plan.toml, mine/guide.toml."
    namespace = {"ln": ln}
    exec(answer["python"].rpartition("\n")[0], namespace)
    assert namespace["topology"] == client.panel.channel.guide.topology
    quoted = client.send("write", folder='a "new" one', force=False)["written"]["python"]
    exec(quoted.rpartition("\n")[0], namespace)
    (tmp_path / "mine" / "plan.toml").write_text("mine")
    assert client.send("write", folder="mine", force=False)["refused"]["occupied"]
    assert "written" in client.send("write", folder="mine", force=True)


def test_saved_answers_are_shown(tmp_path):
    """A guide panel that is created with saved answers shows them. Fields with default values are
    blank.
    """
    answers = ln.GuideAnswers.of(
        {"sip_domains": "contoso.com", "site": [{"name": "A", "directors": 2}]}
    )
    panel = ln.GuidePanel(tmp_path, answers=answers)
    assert panel.answers == answers
    shown_fields = fields(PanelClient(panel.view).send("ready"))
    assert (shown_fields["A", "directors"]["text"], shown_fields["A", "edge_servers"]["text"]) == (
        "2",
        "",
    )
    assert len(panel.to_frame()) == len(answers.questions)
    assert "lyncnb-table" in panel._repr_html_()
