"""In a real JupyterLab, users can save, open and compare scenarios with mouse and keyboard."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from lab_driver import CHROMIUM
from lab_panels import (
    axe_in_both_themes,
    delay_answers,
    kernel,
    open_editor,
    set_cell,
    wait_kernel,
)
from playwright.sync_api import expect

import lyncnb as ln

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]


@pytest.fixture
def scenarios_path(folder) -> Path:
    """Return the empty folder in which the editor of the notebook saves its scenarios."""
    scenario_folder = folder / "scenarios"
    if scenario_folder.is_dir():
        shutil.rmtree(scenario_folder)
    return scenario_folder


def keep(lab, name: str, note: str = "") -> None:
    lab.tab("Scenarios").click()
    lab.field("Name").fill(name)
    lab.field("Note").fill(note)
    lab.button("Keep").click()
    lab.page.get_by_text(f"The scenario “{name}” is in").wait_for()


def test_a_new_user_saves_and_compares_scenarios(lab, folder, scenarios_path):
    """A new user can save two scenarios and compare them. The panel explains each step."""
    open_editor(lab, folder)
    lab.tab("Scenarios").click()
    lab.page.get_by_text("There are no scenarios yet.").wait_for()
    assert not scenarios_path.exists()
    keep(lab, "As planned", "what we have")
    lab.page.get_by_text("scenario “As planned”, unchanged").wait_for()
    set_before = kernel(lab, "editor.plan.sha256")
    lab.tab("Deployment").click()
    lab.field("Wildcards for simple URLs").check()
    lab.page.get_by_text("scenario “As planned”, with later changes").wait_for()
    lab.tab("Scenarios").click()
    lab.field("Name").fill("Wildcards?")
    lab.page.keyboard.press("Enter")
    lab.button("Keep as “Wildcards”").click()
    lab.page.get_by_role("tab", name="Scenarios (2)").wait_for()
    expect(lab.page.get_by_role("alert")).to_have_count(0)
    lab.button("Compare 2").click()
    cell = lab.page.get_by_role("row", name="Options Wildcards for simple URLs no ≠ yes")
    cell.wait_for()
    lab.page.get_by_role("heading", name="“Wildcards” compared with “As planned”").wait_for()
    expect(lab.page.get_by_text("option wildcard: false -> true").first).to_be_visible()
    lab.page.locator("summary", has_text="Picture of the differences").click()
    lab.page.locator(".lc-block .lc-picture svg").wait_for()
    assert ln.open_scenario(scenarios_path / "As planned").plan.sha256 == set_before
    assert ln.open_scenario(scenarios_path / "As planned").note == "what we have"
    assert ln.open_scenario(scenarios_path / "Wildcards").options.wildcard
    lab.button("Open As planned").click()
    wait_kernel(lab, "editor.options.wildcard", "False")
    lab.page.get_by_text("To return to the earlier state").wait_for()
    lab.button("Undo").click()
    wait_kernel(lab, "editor.options.wildcard", "True")


def test_scenarios_are_edited_by_keyboard(lab, folder, scenarios_path):
    """With the keyboard alone, a user can edit a scenario in the list and restore a removed
    scenario.
    """
    open_editor(lab, folder)
    keep(lab, "First")
    lab.button("Duplicate First").click()
    lab.button("Change First copy").click()
    field = lab.field("Name of First copy")
    expect(field).to_be_focused()
    field.fill("Second")
    lab.field("Note for First copy").fill("two\nlines")
    field.press("Enter")
    lab.button("Change Second").wait_for()
    assert ln.open_scenario(scenarios_path / "Second").note == "two\nlines"
    lab.button("Remove Second").click()
    lab.button("Restore “Second”").click()
    lab.button("Open Second").wait_for()
    set_cell_in_servers(lab)
    lab.tab("Scenarios").click()
    lab.button("Update the scenario “First”").click()
    lab.page.get_by_text("scenario “First”, unchanged").wait_for()
    assert "Kaohsiung" in (scenarios_path / "First" / "topology.csv").read_text("utf-8-sig")


def set_cell_in_servers(lab) -> None:
    lab.tab("Servers").click()
    set_cell(lab, "dir01.contoso.com", "Site", "Kaohsiung")
    lab.page.get_by_text("1 change to the loaded plan, not saved").wait_for()


def test_a_damaged_scenario_and_an_existing_scenario(lab, folder, scenarios_path):
    """The panel shows all errors of a damaged scenario. It replaces an existing scenario only after
    the user confirms the replacement.
    """
    open_editor(lab, folder)
    keep(lab, "First")
    (scenarios_path / "First" / "plan.toml").write_text("wildcrad = true\nlayout = 3\n")
    lab.button("Open First").click()
    alert = lab.page.get_by_role("alert")
    alert.get_by_text("2 problems").wait_for()
    expect(alert).to_contain_text("did you mean wildcard?", use_inner_text=True)
    expect(alert).to_contain_text("layout", use_inner_text=True)
    assert kernel(lab, "editor.has_changes") == "False"
    lab.field("Name").fill("First")
    lab.button("Keep", exact=True).click()
    panel = lab.page.get_by_role("tabpanel", name="Scenarios")
    panel.get_by_text("I have checked the existing files. Replace them.").click()
    lab.button("Keep", exact=True).click()
    lab.page.get_by_text("The scenario “First” is in").wait_for()
    assert ln.open_scenario(scenarios_path / "First").options == ln.PlanOptions()


def test_edits_in_two_rows_are_both_kept(lab, folder, scenarios_path):
    """If a user edits two rows, and the panel's responses are late, no text is lost.

    Check marks follow a renamed scenario.
    """
    open_editor(lab, folder)
    keep(lab, "First")
    keep(lab, "Second")
    lab.button("Change First").click()
    lab.field("Name of First").fill("Base")
    lab.button("Change Second").click()
    expect(lab.field("Name of First")).to_have_value("Base")
    with delay_answers(lab, "editor.view"):
        lab.field("Name of First").press("Enter")
        lab.field("Note for Second").fill("what we")
    lab.page.get_by_text("Renamed “First” to “Base”").wait_for()
    lab.page.keyboard.type(" have")
    expect(lab.field("Note for Second")).to_have_value("what we have")
    expect(lab.field("Compare Base")).to_be_checked()
    lab.button("Save Second").press("Enter")
    lab.page.get_by_text("Saved “Second”").wait_for()
    assert ln.open_scenario(scenarios_path / "Second").note == "what we have"
    lab.page.wait_for_function(
        "() => document.activeElement.getAttribute('aria-label') === 'Change Second'"
    )
    with delay_answers(lab, "editor.view"):
        lab.button("Duplicate Base").dblclick()
    lab.page.get_by_text("Copied to").wait_for()
    wait_kernel(lab, "len(editor.scenarios.names())", "3")


def test_a_confirmation_applies_to_one_scenario(lab, folder, scenarios_path):
    """If a user confirms that one scenario may be replaced, the confirmation does not apply to
    another scenario.
    """
    open_editor(lab, folder)
    keep(lab, "First")
    keep(lab, "Second")
    (scenarios_path / "First" / "plan.toml").write_text("wildcard = true\n")
    lab.field("Name").fill("First")
    lab.button("Keep", exact=True).click()
    panel = lab.page.get_by_role("tabpanel", name="Scenarios")
    panel.get_by_text("I have checked the existing files. Replace them.").click()
    (scenarios_path / "Second" / "plan.toml").write_text("wildcard = true\n")
    kernel(lab, "editor.change_options(xmpp_host_names=True)")
    lab.button("Update the scenario “Second”").click()
    lab.page.get_by_role("alert").get_by_text("another person changed the files").wait_for()
    assert (scenarios_path / "Second" / "plan.toml").read_text() == "wildcard = true\n"


def test_axe_finds_nothing(tall_lab, folder, scenarios_path):
    """When the user edits one scenario and compares two, axe-core reports no violation in the tab
    in either theme.
    """
    open_editor(tall_lab, folder)
    keep(tall_lab, "First", "why")
    kernel(tall_lab, "editor.change_options(wildcard=True)")
    keep(tall_lab, "Second")
    tall_lab.button("Compare 2").click()
    tall_lab.page.locator(".lc-differs").first.wait_for()
    tall_lab.button("Change First").click()
    assert axe_in_both_themes(tall_lab) == []
