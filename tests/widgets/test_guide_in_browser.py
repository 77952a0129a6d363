"""In a browser, the guide asks questions for a first plan, accepts corrections, and writes the
files.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from lab_driver import CHROMIUM
from lab_panels import axe_in_both_themes, kernel, open_panel
from playwright.sync_api import expect

import lyncnb as ln

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]

GUIDE = 'import lyncnb as ln\nguide = ln.GuidePanel("{folder}")\nguide'


def answer(panel, label, text):
    """Enter a value into a field, and leave the field."""
    field = panel.get_by_label(label).first
    field.fill(text)
    field.press("Tab")


def go_to_page(panel, title):
    """Click the Next or Back button of the guide until a given group of questions is shown."""
    back_button, next_button = (panel.get_by_role("button", name=name) for name in ("Back", "Next"))
    while back_button.is_enabled():
        back_button.click()
    legend = panel.locator("legend")
    while legend.inner_text() != title:
        next_button.click()
    return panel.get_by_role("group", name=title)


def test_from_an_empty_form_to_an_editor(lab, folder):
    """The guide shows one group of questions at a time together with the plan so far. At the end,
    it opens an editor.
    """
    open_panel(lab, folder, GUIDE.format(folder="first"))
    panel = lab.page.get_by_role("group", name="Questions for your first plan")
    panel.get_by_text("Please answer these questions: SIP domains").wait_for()
    panel.get_by_role("button", name="Next").click()
    # After an invalid answer, the guide shows the same page with an error.
    panel.get_by_text("This answer is required.").wait_for()
    expect(panel.get_by_label("SIP domains").first).to_be_focused()
    answer(panel, "SIP domains", "con toso")
    panel.get_by_text(
        '"con" is not a fully qualified domain name. What to do: enter'
    ).first.wait_for()
    answer(panel, "SIP domains", "contoso.com;fabrikam.com")
    panel.get_by_text("7 certificates for 5 servers; findings: 0 errors").wait_for()
    panel.locator(".lc-picture svg").wait_for()
    expect(panel.get_by_label("DNS domain of the servers")).to_have_attribute(
        "placeholder", "contoso.com"
    )
    # Some questions appear only after a certain answer. Each additional site adds pages of
    # questions.
    go_to_page(panel, "External names and URLs")
    expect(panel.get_by_label("First label of the host name for all simple URLs")).to_have_count(0)
    panel.get_by_label("Which form do you want for the meeting").select_option("one-host")
    panel.get_by_label("First label of the host name for all simple URLs").wait_for()
    go_to_page(panel, "The deployment")
    answer(panel, "Names of the central sites", "Taipei;Tainan")
    panel.get_by_text("of 15: The deployment").wait_for()
    answer(go_to_page(panel, "Site Tainan: Users"), "Directors", "2")
    go_to_page(panel, "Names")
    answer(panel, "Pattern for the names of servers", "{site}-fe{n:02}")
    panel.get_by_text("would be the name of both fe 1 in Taipei and edge 1").first.wait_for()
    expect(panel.get_by_role("button", name="Go to the plan")).to_be_hidden()
    go_to_page(panel, "External access")
    panel.get_by_role("button", name="Pattern for the names of servers").first.click()
    expect(panel.get_by_label("Pattern for the names of servers")).to_be_focused()
    answer(panel, "Pattern for the names of servers", "")
    panel.get_by_role("button", name="Go to the plan").click()
    panel.get_by_text("Clients sign in automatically to tain-dirpool.contoso.com.").wait_for()
    panel.get_by_text("tain-dir02.contoso.com").first.wait_for()
    write = panel.get_by_role("button", name="Write the table, options, and answers")
    write.click()
    panel.get_by_text("Written: first/topology.csv, first/plan.toml, first/guide.toml.").wait_for()
    table = ln.read_topology(folder / "first" / "topology.csv")
    assert kernel(lab, "len(guide.topology.cells)") == str(len(table.cells)) == "10"
    # If the user made edits in the editor, the guide overwrites them only after a confirmation.
    (folder / "first" / "topology.csv").write_text("tuned")
    write.click()
    panel.get_by_role("alert").get_by_text("already exists, so lyncnb did not change it").wait_for()
    replace = panel.get_by_role("button", name="Replace the files")
    replace.wait_for()
    # If the user selects another folder, no confirmation is required.
    panel.get_by_label("Folder", exact=True).fill("second")
    replace.wait_for(state="hidden")
    panel.get_by_label("Folder", exact=True).fill("first")
    write.click()
    replace.click()
    panel.get_by_role("alert").wait_for(state="hidden")
    panel.get_by_text("Written: ").wait_for()
    assert ln.read_topology(folder / "first" / "topology.csv") == table


def test_axe_finds_nothing(tall_lab, folder):
    """The tool axe-core reports no violation of accessibility rules on any page of the guide, in
    both themes.
    """
    open_panel(tall_lab, folder, GUIDE.format(folder="axe"), name="axe.ipynb")
    panel = tall_lab.page.get_by_role("group", name="Questions for your first plan")
    answer(panel, "SIP domains", "contoso.com")
    panel.get_by_text("7 certificates for 5 servers").wait_for()
    next_button = panel.get_by_role("button", name="Next")
    while next_button.is_visible():
        expect(panel.locator("legend")).to_have_count(1)
        next_button.click()
    for summary in panel.locator("summary").all():
        summary.click()
    violations = axe_in_both_themes(tall_lab)
    panel.get_by_role("button", name="What you can do").click()
    panel.get_by_role("dialog", name="What you can do").wait_for()
    violations += axe_in_both_themes(tall_lab)
    tall_lab.page.keyboard.press("Escape")
    expect(panel.get_by_role("button", name="What you can do")).to_be_focused()
    go_to_page(panel, "Site Main: Users")
    answer(panel, "Directors", "-1")
    panel.get_by_text("What to do: enter a whole number").first.wait_for()
    assert violations + axe_in_both_themes(tall_lab) == []


def test_every_page_can_be_used_by_keyboard(lab, folder):
    """With the keyboard alone, a user can go through all pages and write the files, and the focus
    is never lost.
    """
    open_panel(lab, folder, GUIDE.format(folder="typed"), name="typed.ipynb")
    panel = lab.page.get_by_role("group", name="Questions for your first plan")
    panel.get_by_label("SIP domains").first.focus()
    lab.page.keyboard.type("contoso.com")
    lab.page.keyboard.press("Tab")
    panel.get_by_text("7 certificates for 5 servers").wait_for()
    next_button = panel.get_by_role("button", name="Next")
    while next_button.is_visible():
        next_button.focus()
        lab.page.keyboard.press("Enter")
    expect(panel.get_by_label("Folder", exact=True)).to_be_focused()
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Enter")
    panel.get_by_text("Written: typed/topology.csv").wait_for()
