"""Users can edit cells of the table with mouse and keyboard, and rejected text stays in its cell."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab_driver import CHROMIUM, LabBrowser, LabServer
from lab_panels import (
    EDITOR,
    cell_of,
    kernel,
    open_editor,
    open_panel,
    set_cell,
    wait_kernel,
    write_notebook,
)
from playwright.sync_api import expect
from topologies import FIVE_SERVERS

from lyncnb.errors import NotebookError
from lyncnb.jupyter.shared_page import share_notebook

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]

TEXT_BOX = """cell => { const range = document.createRange();
  range.selectNodeContents(cell.querySelector('.lc-text'));
  const box = range.getBoundingClientRect(), edge = cell.getBoundingClientRect();
  return [box.left, Math.min(box.right, edge.right - 8), (box.top + box.bottom) / 2]; }"""


def text_end(lab: LabBrowser, server: str, column: str, end: str) -> tuple[float, float]:
    """Return a point on the first or last letter of a cell's text."""
    cell = cell_of(lab, server, column)
    cell.scroll_into_view_if_needed()
    left, right, middle = cell.evaluate(TEXT_BOX)
    return (left + 2 if end == "first" else right - 2), middle


def double_click(lab: LabBrowser, server: str, column: str, end: str) -> None:
    """Click twice at the same point of the page, with a short pause between the clicks."""
    lab.page.mouse.move(*text_end(lab, server, column, end))
    for count in (1, 2):
        lab.page.mouse.down(click_count=count)
        lab.page.wait_for_timeout(40)
        lab.page.mouse.up(click_count=count)
        lab.page.wait_for_timeout(40)


def check_cells_open(lab: LabBrowser) -> None:
    """Check that a cell opens after a double-click on its first or last letter, and after a click
    there followed by typing.
    """
    for server, column in [("dir01.contoso.com", "Site"), ("fe02.contoso.com", "Pool")]:
        for end in ("first", "last"):
            double_click(lab, server, column, end)
            control = lab.page.get_by_label(f"{column} of {server}")
            control.wait_for()
            expect(control).to_be_focused()
            lab.page.keyboard.press("Escape")
            control.wait_for(state="detached")
            # A click makes another cell the active one.
            cell_of(lab, "med01.contoso.com", "Server").click()
    for server, end, letters in [
        ("med01.contoso.com", "first", "Tainan"),
        ("med02.contoso.com", "last", "Yilan"),
    ]:
        lab.page.mouse.click(*text_end(lab, server, "Site", end))
        lab.page.keyboard.type(letters, delay=20)
        lab.page.keyboard.press("Enter")
        lab.page.get_by_text("not saved").wait_for()
        cell = cell_of(lab, server, "Site")
        cell.get_by_text(letters).wait_for()
    # When the user types a letter, the list of roles opens, and the first role that begins with
    # this letter is selected.
    lab.page.mouse.click(*text_end(lab, "dir01.contoso.com", "Role", "last"))
    lab.page.keyboard.press("m")
    lab.page.keyboard.press("Enter")
    role = cell_of(lab, "dir01.contoso.com", "Role").locator(".lc-text")
    role.filter(has_text="Mediation").wait_for()


def test_a_cell_opens_on_its_text(lab, folder):
    """In JupyterLab, users can edit a cell by double-clicking its text, or by clicking the cell and
    typing.
    """
    open_editor(lab, folder)
    check_cells_open(lab)
    assert kernel(lab, "[row[3] for row in editor.topology.cells[3:]]") == "['Tainan', 'Yilan']"
    # A second click on the active cell also opens the cell.
    point = text_end(lab, "fe01.contoso.com", "Site", "first")
    lab.page.mouse.click(*point)
    lab.page.wait_for_timeout(600)
    lab.page.mouse.click(*point)
    lab.page.get_by_label("Site of fe01.contoso.com").wait_for()


@pytest.mark.parametrize("app", ["notebook", "voila"])
def test_the_editor_works_in_notebook_7_and_voila(chromium, folder, app):
    """The editor works with mouse and keyboard in Notebook 7 and on a Voila page. In Notebook 7, an
    output with an older plan is marked and cannot be shared.
    """
    pytest.importorskip(app)
    write_notebook(folder / f"{app}.ipynb", EDITOR.format(table="small.csv"), "editor.plan")
    with (
        LabServer(folder, app=app) as server,
        LabBrowser(server, browser=chromium, seconds=90) as lab,
    ):
        lab.open_notebook(f"{app}.ipynb")
        if app == "notebook":
            lab.run_all()
        lab.page.get_by_label("Select dir01.contoso.com").wait_for()
        set_cell(lab, "dir01.contoso.com", "Role", "Mediation")
        lab.page.get_by_text("1 change, not saved").wait_for()
        lab.button("Undo").click()
        lab.page.get_by_text("as loaded", exact=True).wait_for()
        check_cells_open(lab)
        if app == "notebook":
            set_cell(lab, "dir01.contoso.com", "Role", "Mediation")
            lab.page.locator(".lyncnb-older").wait_for()
            copy = lab.page.locator(".lyncnb-static")
            expect(copy).to_be_hidden()
            row = copy.locator("tr", has_text="dir01.contoso.com").first
            expect(row).to_contain_text("Mediation")  # The saved output is updated after a pause.
            with pytest.raises(NotebookError, match="shows 2 different plans: cell 1; cell 2"):
                share_notebook(lab.save())
            lab.run_all()
            assert "dir01.contoso.com" in share_notebook(lab.save()).page.read_text("utf-8")
        assert lab.errors() == []


def test_rejected_text_stays_in_its_cell(lab, folder):
    """If the editor rejects a text, the cell stays open and shows the text and the reason. Escape
    restores the previous value.
    """
    open_editor(lab, folder)
    top = lab.page.get_by_role("grid").bounding_box()["y"]
    lab.page.mouse.click(*text_end(lab, "med01.contoso.com", "Server", "first"))
    lab.page.keyboard.type("med 01")
    lab.page.keyboard.press("Enter")
    alert = lab.page.locator(".lc-servers .lc-bubble").get_by_role("alert")
    alert.get_by_text("Not done:").wait_for()
    expect(alert).to_contain_text("What to do:", use_inner_text=True)
    control = lab.page.get_by_label("Server of med01.contoso.com")
    expect(control).to_have_value("med 01")
    expect(control).to_have_attribute("aria-invalid", "true")
    assert lab.page.get_by_role("grid").bounding_box()["y"] == top
    box, cell = alert.bounding_box(), control.bounding_box()
    assert abs(box["y"] - (cell["y"] + cell["height"])) < 20
    # When the user moves to another cell, the rejected text stays in its cell.
    control.press("Tab")
    wrong = lab.page.locator(".lc-refused")
    expect(wrong).to_contain_text("med 01", use_inner_text=True)
    assert kernel(lab, "editor.is_saved") == "True"
    lab.page.keyboard.press("Escape")
    lab.page.get_by_text("med01.contoso.com").first.wait_for()
    expect(wrong).to_have_count(0)
    # If the user corrects the rejected text in the cell, lyncnb accepts the cell.
    lab.page.mouse.click(*text_end(lab, "med02.contoso.com", "Server", "last"))
    lab.page.keyboard.type("med 02")
    lab.page.keyboard.press("Enter")
    alert.get_by_text("Not done:").wait_for()
    lab.page.keyboard.press("Control+a")
    lab.page.keyboard.type("med09.contoso.com")
    lab.page.keyboard.press("Enter")
    wait_kernel(lab, "editor.topology.cells[4][0]", "med09.contoso.com")
    expect(lab.page.locator(".lc-refused")).to_have_count(0)
    expect(alert).to_be_hidden()


def test_hidden_servers_are_never_removed(lab, folder):
    """The Remove button counts and removes only the selected servers that the filter shows.

    Hidden selected servers are named.
    """
    open_editor(lab, folder)
    for server in ("dir01.contoso.com", "med01.contoso.com", "med02.contoso.com"):
        lab.page.get_by_label(f"Select {server}").check()
    expect(lab.button("Remove 3 servers")).to_be_enabled()
    lab.field("Filter servers").fill("med02")
    lab.page.get_by_text("3 servers selected, 2 of them not shown").wait_for()
    lab.button("Remove 1 shown server").click()
    wait_kernel(lab, "len(editor.topology.cells)", "4")
    remaining = kernel(lab, "' '.join(row[0] for row in editor.topology.cells[2:])")
    assert remaining == "dir01.contoso.com med01.contoso.com"
    lab.page.get_by_text("2 servers selected, 2 of them not shown").wait_for()
    nothing = lab.button("Remove (all selected servers are hidden)")
    expect(nothing).to_be_disabled()


def test_a_finding_links_to_its_cell(lab, folder):
    """The link in a finding selects the row of the server and shows the right column. Enter then
    opens the cell.
    """
    open_editor(lab, folder)
    set_cell(lab, "dir01.contoso.com", "Role", "Edge")
    lab.field("Filter servers").fill("med")
    lab.tab("Findings").click()
    block = lab.page.locator(".lc-block").filter(has_text="edge-name-missing").first
    link = block.get_by_role("button", name="dir01.contoso.com").first
    expect(block).not_to_contain_text("access_edge_fqdn", use_inner_text=True)
    heading = "Access Edge FQDN"
    expect(block).to_contain_text(f"“{heading}”", use_inner_text=True)
    link.click()
    lab.page.get_by_role("columnheader", name=heading).wait_for()
    expect(lab.page.get_by_label("Select dir01.contoso.com")).to_be_checked()
    expect(lab.page.locator(":focus")).to_have_attribute("role", "grid")
    lab.page.keyboard.press("Enter")
    lab.page.get_by_label(f"{heading} of dir01.contoso.com").fill("access.contoso.com")
    lab.page.keyboard.press("Enter")
    wait_kernel(
        lab,
        "editor.topology.cells[2][editor.topology.columns.index('access_edge_fqdn')]",
        "access.contoso.com",
    )


def test_messages_of_undo_and_save(lab, folder):
    """The messages of Undo and Redo describe the step. The message of Save contains the file name
    and the code to load the file.
    """
    open_editor(lab, folder)
    set_cell(lab, "dir01.contoso.com", "Site", "Kaohsiung")
    lab.button("Undo").click()
    message = lab.page.locator(".lc-said")
    message.get_by_text("Undone: Site of dir01.contoso.com: Kaohsiung -> Taipei").wait_for()
    lab.button("Redo").click()
    message.get_by_text("Redone: Site of dir01.contoso.com: Taipei -> Kaohsiung").wait_for()
    lab.tab("Save").click()
    # The options are not in a file before they are saved.
    lab.page.get_by_text("If you choose Save, lyncnb writes the options to").wait_for()
    lab.field("Table file").fill("said.csv")
    lab.button("Save as").click()
    lab.page.get_by_text("Saved: said.csv and said.plan.toml.").wait_for()
    code_region = lab.page.get_by_role("region", name="The code that opens the table")
    expect(code_region).to_have_text('topology_file = "said.csv"', use_inner_text=True)
    lab.page.get_by_text("The open table is said.csv. The options are in said.plan.toml").wait_for()


def test_two_rows_of_a_server_have_different_names(lab, folder):
    """If a server has two rows, because it has a second role, messages and changes also mention the
    role.
    """
    text = (folder / "small.csv").read_text()
    text += "fe01.contoso.com,Mediation,pool.contoso.com,Taipei,,,,,,A1\n"
    (folder / "twice.csv").write_text(text)
    open_editor(lab, folder, table="twice.csv")
    lab.page.get_by_label("Select fe01.contoso.com, FrontEnd").wait_for()
    lab.page.get_by_label("Select fe01.contoso.com, Mediation").check()
    expect(lab.page.get_by_label("Select fe02.contoso.com", exact=True)).to_have_count(1)
    lab.field("Column to set").select_option("issuer")
    lab.field("New Issuer").fill("public")
    lab.button("Set for 1 server").click()
    lab.page.get_by_text("1 change, not saved").wait_for()
    assert kernel(lab, "editor.state.said") == ("Issuer of fe01.contoso.com, Mediation: public")
    lab.tab("Changes").click()
    lab.page.get_by_role("cell", name="fe01.contoso.com, Mediation").wait_for()


def test_the_encoding_is_one_press(lab, folder):
    """If the encoding of a table is not certain, the editor shows how the table reads in each. One
    press reads it again, and the cells are no longer rejected.
    """
    heading, *rows = FIVE_SERVERS.splitlines()
    text = "\n".join([f"{heading},Remark", *(f"{row},开封" for row in rows)])
    (folder / "sites.csv").write_bytes(text.encode("gb18030"))
    open_panel(lab, folder, 'import lyncnb as ln\neditor = ln.PlanEditor("sites.csv")\neditor')
    lab.page.get_by_text("its encoding is not certain").wait_for()
    rejected = lab.page.get_by_text("5 rejected cells are not in the plan.", exact=True)
    rejected.wait_for()
    lab.page.get_by_text("fe01.contoso.com, 开封", exact=True).wait_for()
    lab.button("Read as Simplified Chinese (gb18030)").click()
    lab.page.get_by_text("Not UTF-8: the file is read as Simplified Chinese (gb18030)").wait_for()
    wait_kernel(lab, "editor.topology.cells[0][-1]", "开封")
    expect(rejected).to_be_hidden()
    lab.tab("Save").click()
    lab.page.get_by_text("The open table is sites.csv.").wait_for()
