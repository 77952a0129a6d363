"""Users can save, open and compare scenarios with ``editor.scenarios`` and with the scenarios
panel.
"""

from __future__ import annotations

import shutil

import pytest
from panel_kit import PanelClient
from topologies import FIVE_SERVERS

import lyncnb as ln
from lyncnb.errors import ScenarioError
from lyncnb.widgets.editing.draft import State
from lyncnb.widgets.editing.edits import add_server, remove_servers, set_cells


def contents(state: State) -> tuple[object, ...]:
    return state.topology.columns, state.topology.cells, state.options


@pytest.fixture
def editor(tmp_path) -> ln.PlanEditor:
    table = ln.read_topology(FIVE_SERVERS.encode())
    return ln.PlanEditor(table, ln.load_rules(), folder=tmp_path / "scenarios")


def test_scenarios_are_saved_opened_and_compared(editor):
    """Users can save two plans as scenarios and compare them, and ``open_scenario`` reads each
    scenario.
    """
    scenarios = editor.scenarios
    assert not scenarios.folder.exists()
    scenarios.keep("as planned", "what we have")
    editor.change_options(wildcard=True)
    assert (scenarios.current, scenarios.has_changes) == ("as planned", True)
    scenarios.keep("wildcards")
    assert (scenarios.current, scenarios.has_changes) == ("wildcards", False)
    assert ln.open_scenario(scenarios.folder / "wildcards").options.wildcard
    scenarios.open("as planned")
    assert not editor.options.wildcard
    assert editor.plan.sha256 == ln.open_scenario(scenarios.folder / "as planned").plan.sha256
    comparison = scenarios.compare("as planned", "wildcards")
    assert comparison.names == ("as planned", "wildcards")
    assert comparison.differences[0].new.options.wildcard
    assert scenarios.compare("wildcards").names == ("wildcards", "current editor content")
    editor.change_options(country="TW")
    assert scenarios.compare().names == ("as loaded", "current editor content")
    assert list(scenarios.to_frame()["In the editor"]) == ["yes, with changes", ""]


def test_undo_restores_the_plan_of_another_scenario(editor):
    """After another scenario is opened, Undo restores the earlier plan and its scenario name, and
    Redo returns to the opened scenario.
    """
    scenarios = editor.scenarios
    scenarios.keep("first")
    editor.change_options(wildcard=True)
    scenarios.keep("second")
    editor.apply(set_cells, ids=[2], column="site", value="Kaohsiung")
    unsaved = contents(editor.state)
    scenarios.open("first")
    assert scenarios.current == "first"
    assert editor.undo() == "opened scenario first"
    assert contents(editor.state) == unsaved
    assert (scenarios.current, scenarios.has_changes) == ("second", True)
    editor.redo()
    assert (scenarios.current, scenarios.has_changes) == ("first", False)
    assert contents(editor.state) == contents(editor.loaded)
    editor.reset()
    editor.undo()


def test_changes_of_a_scenario_are_listed_by_server(editor):
    """The list of changes in a scenario is grouped by server. The order of the rows does not
    matter, even if servers were added or removed.
    """
    scenarios = editor.scenarios
    editor.apply(remove_servers, ids=[2])
    editor.apply(
        add_server,
        values={"server_fqdn": "med09.contoso.com", "role": "Mediation", "site": "Hsinchu"},
    )
    scenarios.keep("other")
    path = scenarios.folder / "other" / "topology.csv"
    head, *rows = path.read_text("utf-8-sig").splitlines()
    path.write_text("\n".join([head, *reversed(rows)]) + "\n")
    editor.reset()
    scenarios.open("other")
    ids = editor.state.ids
    assert len(set(ids)) == len(ids) == 5
    changes = editor.changes()
    assert sorted(changes.Server) == ["dir01.contoso.com", "med09.contoso.com"]
    editor.apply(set_cells, ids=[ids[0]], column="site", value="Tainan")
    assert editor.topology.cells[0][3] == "Tainan"


def test_two_rows_never_get_one_id(editor):
    """If a server is renamed, and another server has its old name, the two rows have different ids."""
    editor.scenarios.keep("both")
    editor.edit(change=[("med02.contoso.com", {"server_fqdn": "med03.contoso.com"})])
    path = editor.scenarios.folder / "both" / "topology.csv"
    table = path.read_text("utf-8-sig") + '"med03.contoso.com","Mediation"' + "," * 8 + "\n"
    path.write_text(table)
    editor.scenarios.open("both")
    assert len(set(editor.state.ids)) == 6


def test_a_damaged_scenario_does_not_change_the_editor(editor):
    """If a scenario is damaged, one message lists every problem, and the editor does not change."""
    scenarios = editor.scenarios
    scenarios.keep("first")
    editor.change_options(wildcard=True)
    before = editor.state
    (scenarios.folder / "first" / "topology.csv").write_text("server_fqdn,role\na b,FE\n")
    (scenarios.folder / "first" / "plan.toml").write_text("wildcrad = true\n")
    browser = PanelClient(editor.view)
    browser.send("ready")
    refused = browser.send("open_scenario", name="first")["refused"]
    text = "\n".join(refused["lines"])
    for words in ("3 problems", "did you mean wildcard", "contains white space", "SIP domains"):
        assert words in text
    assert editor.state is before
    assert scenarios.current == "first"
    with pytest.raises(ScenarioError):
        scenarios.compare("first")


def test_changes_of_another_person_are_not_overwritten(editor):
    """If another person has changed the files of a scenario, they are overwritten only on request."""
    scenarios = editor.scenarios
    scenarios.keep("first")
    path = scenarios.folder / "first" / "plan.toml"
    path.write_text(path.read_text().replace('country = ""', 'country = "TW"'))
    editor.change_options(wildcard=True)
    with pytest.raises(ln.LyncnbError, match="another person changed the files") as caught:
        scenarios.keep()
    assert caught.value.occupied
    assert ln.open_scenario(scenarios.folder / "first").options.country == "TW"
    scenarios.open("first")
    assert editor.options.country == "TW"
    editor.change_options(wildcard=True)
    scenarios.keep()
    options = ln.open_scenario(scenarios.folder / "first").options
    assert (options.country, options.wildcard) == ("TW", True)
    scenarios.keep("second")
    editor.change_options(locality="Taipei")
    with pytest.raises(ln.LyncnbError, match="already exists"):
        scenarios.keep("first")


def test_the_note_stays_unless_another_is_given(editor):
    """When the changes of a scenario are saved, its note stays the same, unless another note is
    specified.
    """
    scenarios = editor.scenarios
    scenarios.keep("first", "why")
    editor.change_options(wildcard=True)
    scenarios.keep()
    assert scenarios.kept.note("first") == "why"
    scenarios.keep(note="because")
    assert scenarios.kept.note("first") == "because"


def test_a_repeated_cell_keeps_its_scenario(editor):
    """If a notebook cell runs again, the new editor shows the same scenario, and whether the
    scenario has unsaved changes.
    """
    editor.scenarios.keep("first")
    editor.change_options(wildcard=True)
    editor.scenarios.keep("second")
    second_editor = ln.PlanEditor(
        editor.loaded.topology, ln.load_rules(), folder=editor.scenarios.folder
    )
    second_editor.repeat_changes_of(editor)
    assert (second_editor.scenarios.current, second_editor.scenarios.has_changes) == (
        "second",
        False,
    )
    second_editor.change_options(country="TW")
    assert second_editor.scenarios.has_changes
    second_editor.scenarios.keep()  # No other person has changed the scenario since it was saved.


def test_a_scenario_may_have_another_product(editor):
    """If a scenario is for another product, opening it also changes the rules of the editor."""
    scenarios = editor.scenarios
    scenarios.keep("2013")
    editor.change_options(product="sfb2019")
    scenarios.keep("2019")
    scenarios.open("2013")
    assert editor.rules.product == "lync2013"
    scenarios.open("2019")
    assert editor.rules.product == "sfb2019"
    assert scenarios.compare("2013", "2019").facts


def test_messages_support_all_actions_on_scenarios(editor):
    """The messages of the Scenarios tab support all actions on scenarios."""
    browser = PanelClient(editor.view)
    browser.send("ready")
    answer = browser.send("keep_scenario", name="As planned", note="what we have")
    assert answer["scenario_done"]["said"].startswith("The scenario “As planned” is")
    assert (
        answer["state"]["saved_words"]
        == "scenario “As planned”, unchanged; same as the loaded plan"
    )
    assert answer["scenarios"]["rows"] == [{"name": "As planned", "note": "what we have"}]
    answer = browser.send("option", name="wildcard", value="true")
    words = "scenario “As planned”, with later changes; 1 change to the loaded plan, not saved"
    assert answer["state"]["saved_words"] == words
    answer = browser.send("keep_scenario", name="Wildcards?", note="")["refused"]
    assert (answer["instead"], answer["offers"]) == ("Wildcards", ["Keep as “Wildcards”"])
    assert browser.send("keep_scenario", name="Wildcards", note="")["state"]["saved_words"] == (
        "scenario “Wildcards”, unchanged; 1 change to the loaded plan"
    )
    assert browser.send("keep_scenario", name="As planned", note="")["refused"]["occupied"]
    compared = browser.send("compare_scenarios", names=["As planned", "Wildcards", ""])["compared"]
    assert compared["headings"] == [
        "Of",
        "What",
        "As planned",
        "Wildcards",
        "current editor content",
    ]
    assert ["Options", "Wildcards for simple URLs", "no", "≠ yes", "≠ yes"] in compared["differing"]
    assert [difference["heading"] for difference in compared["differences"]] == [
        "“Wildcards” compared with “As planned”",
        "“current editor content” compared with “As planned”",
    ]
    assert "Cause" in compared["differences"][0]["headings"]
    assert "<svg" in browser.send("picture_scenario", place=0)["picture_of_scenario"]["svg"]
    assert browser.send("picture_scenario", place=7)["refused"]["lines"]
    assert not browser.send("scenarios")["scenarios"]["old"]
    browser.send("undo")
    assert browser.send("scenarios")["scenarios"]["old"]
    assert browser.send("open_scenario", name="Wildcards")["scenario_done"]["said"].endswith(
        "To return to the earlier state, choose Undo."
    )
    browser.send("copy_scenario", name="Wildcards")
    browser.send("change_scenario", name="Wildcards", new="Cheap", note="by the year")
    scenario_list = browser.send("scenarios")["scenarios"]
    assert [scenario["name"] for scenario in scenario_list["rows"]] == [
        "As planned",
        "Cheap",
        "Wildcards copy",
    ]
    assert scenario_list["current"] == "Cheap"
    answer = browser.send("remove_scenario", name="Cheap")["scenarios"]
    assert (answer["removed"], answer["current"]) == ("Cheap", "")
    answer = browser.send("put_scenario_back")["scenarios"]
    assert {"name": "Cheap", "note": "by the year"} in answer["rows"]
    assert answer["removed"] == ""


def test_a_missing_folder_is_reported(editor):
    """If the folder for scenarios does not exist, the page shows an error message, and never shows
    the plan as saved.
    """
    editor.scenarios.keep("first")
    shutil.rmtree(editor.scenarios.folder)
    browser = PanelClient(editor.view)
    browser.send("ready")
    assert editor.scenarios.current == ""
    assert (
        "contains no scenario" in browser.send("open_scenario", name="first")["refused"]["lines"][0]
    )
    assert browser.send("scenarios")["scenarios"]["rows"] == []
    assert browser.send("keep_scenario", name="first", note="")["scenario_done"]
