"""Users can choose Run All repeatedly in the planning notebook, and the panels show the current
state.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from folders import PASSPHRASE
from lab_driver import CHROMIUM
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

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]

ASK = """request = ln.RequestPanel(editor, "{folder}")
request"""
SHOW = "request.bundle"
PLAN = "editor.plan"
OTHER = "topology"
OLDER = ".lyncnb-older"


def show_notebook(lab, folder, name: str) -> None:
    """Open a notebook with the cells of the planning notebook, and run it."""
    open_panel(
        lab,
        folder,
        EDITOR.format(table="small.csv"),
        PLAN,
        OTHER,
        ASK.format(folder=name),
        SHOW,
        name=f"{name}.ipynb",
    )


def test_after_run_all_no_requests_are_written(lab, folder):
    """After Run All, the editor shows its rows, no cell is running, and the notebook states that no
    requests were written.
    """
    show_notebook(lab, folder, "first")
    lab.page.get_by_label("Select dir01.contoso.com").wait_for()
    prompts = lab.page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
    assert "[*]:" not in [prompt.strip() for prompt in prompts]
    lab.page.get_by_text(
        "The folder first contains no requests yet. To write requests, use the request panel."
    ).wait_for()
    assert not (folder / "first").exists()
    lab.field("Passphrase of the folder").fill(PASSPHRASE)
    lab.field("Repeat the passphrase").fill(PASSPHRASE)
    lab.button("Write 6 requests").click()
    panel = lab.page.get_by_role("group", name="Request panel for first")
    panel.get_by_text("Finished.").wait_for()
    # When the requests are written, the next cell shows the table of the request folder.
    lab.page.locator("caption", has_text="6 requests in the folder first: 6 created").wait_for()
    assert len(list((folder / "first" / "csr").glob("*.csr"))) == 6
    # After another Run All, the panel shows only one field for the passphrase.
    lab.run_all()
    panel.get_by_text("There is nothing to write").wait_for()
    expect(lab.field("Passphrase of the folder")).to_be_visible()
    expect(lab.field("Repeat the passphrase")).to_be_hidden()


def test_no_object_contains_the_passphrase_after_the_run(lab, folder):
    """After the run, no variable, environment or object of the kernel contains the passphrase."""
    show_notebook(lab, folder, "gone")
    lab.field("Passphrase of the folder").fill(PASSPHRASE)
    lab.field("Repeat the passphrase").fill(PASSPHRASE)
    lab.button("Write", exact=False).first.click()
    panel = lab.page.get_by_role("group", name="Request panel for gone")
    panel.get_by_text("Finished.").wait_for()
    secrets = (
        "[o for o in __import__('gc').get_objects()"
        " if type(o).__name__ == 'Secret' and o._text is not None]"
    )
    wait_kernel(lab, f"(__import__('gc').collect(), len({secrets}))[1]", "0")
    assert kernel(lab, "'LYNCNB_PASSPHRASE' in __import__('os').environ") == "False"


def test_run_all_restores_unsaved_edits(lab, folder):
    """After Run All, the editor restores unsaved edits and shows a note with a button that
    discards them.
    """
    open_editor(lab, folder, PLAN)
    set_cell(lab, "dir01.contoso.com", "Site", "Kaohsiung")
    lab.page.get_by_text("1 change, not saved").wait_for()
    lab.run_all()
    note = lab.page.get_by_text(re.compile(r"lyncnb restored your edits.* 1 change in small.csv"))
    note.wait_for()
    lab.page.get_by_text("1 change, not saved").wait_for()
    expect(cell_of(lab, "dir01.contoso.com", "Site")).to_have_text(
        re.compile("^Kaohsiung"), use_inner_text=True
    )
    assert kernel(lab, "editor.topology.cells[2][3]") == "Kaohsiung"
    lab.button("Use the file instead").click()
    lab.page.get_by_text("as loaded").first.wait_for()
    assert kernel(lab, "editor.topology.cells[2][3]") == "Taipei"
    lab.button("Undo").click()  # After Undo, the button that discards the edits is shown again.
    wait_kernel(lab, "editor.topology.cells[2][3]", "Kaohsiung")


def test_unsaved_edits_are_applied_to_a_changed_file(lab, folder):
    """If another program has changed the table file, Run All loads the new file and applies the
    unsaved edits again.
    """
    table = folder / "moving.csv"
    table.write_text((folder / "small.csv").read_text())
    open_editor(lab, folder, table="moving.csv")
    set_cell(lab, "dir01.contoso.com", "Site", "Kaohsiung")
    lab.page.get_by_text("1 change, not saved").wait_for()
    table.write_text(table.read_text() + "med03.contoso.com,Mediation,,Hsinchu,,,,,,B3\n")
    lab.run_all()
    lab.page.get_by_text("lyncnb applied your edits again: 1 change").wait_for()
    lab.page.get_by_label("Select med03.contoso.com").wait_for()
    assert kernel(lab, "editor.topology.cells[2][3]") == "Kaohsiung"


def test_a_table_with_a_mistake_leaves_no_earlier_plan(lab, folder):
    """If the table has a mistake, Run All shows it, and no panel and no cell still has the earlier
    plan. After the correction, Run All shows the panels and the unsaved edits again.
    """
    table = folder / "mistaken.csv"
    table.write_text((folder / "small.csv").read_text())
    sources = [EDITOR.format(table=table.name), "plan = editor.plan", PLAN]
    open_panel(lab, folder, *sources, ASK.format(folder="unsafe"), name="mistaken.ipynb")
    set_cell(lab, "dir01.contoso.com", "Site", "Kaohsiung")
    lab.button("Write 6 requests").wait_for()
    correct = table.read_text()
    table.write_text(correct.replace("dir01.contoso.com", "dir01"))
    lab.run_all()
    lab.page.get_by_text('"dir01" is not a fully qualified domain name').first.wait_for()
    expect(lab.page.get_by_role("button", name=re.compile("^Write"))).to_have_count(0)
    assert kernel(lab, "{'topology', 'editor', 'plan', 'request'} & set(globals())") == "set()"
    table.write_text(correct)
    lab.run_all()
    lab.page.get_by_text("lyncnb restored your edits").wait_for()
    lab.button("Write 6 requests").wait_for()


def test_a_table_that_is_gone_leaves_no_earlier_plan(lab, folder):
    """If the cell that reads the table as a DataFrame fails, no panel and no cell still has the
    earlier plan. The cell of the editor alone keeps the DataFrame.
    """
    table = folder / "gone.csv"
    table.write_text((folder / "small.csv").read_text())
    sources = [
        f'import lyncnb as ln\nservers = ln.read_table("{table.name}")\nservers',
        f'editor = ln.PlanEditor(servers, table="{table.name}")\neditor',
        "plan = editor.plan",
    ]
    open_panel(lab, folder, *sources, ASK.format(folder="unread"), name="gone.ipynb")
    lab.button("Write 6 requests").wait_for()
    lab.page.locator(".jp-CodeCell").nth(1).locator(".cm-line").first.click()
    lab.page.keyboard.press("Control+Enter")
    lab.wait_idle()
    left = kernel(lab, "sorted({'servers', 'editor', 'plan'} & set(globals()))")
    assert left == "['editor', 'servers']"
    table.unlink()
    lab.run_all()
    lab.page.get_by_text("cannot read").first.wait_for()
    expect(lab.page.get_by_role("button", name=re.compile("^Write"))).to_have_count(0)
    assert kernel(lab, "{'servers', 'editor', 'plan', 'request'} & set(globals())") == "set()"
    table.write_text((folder / "small.csv").read_text())
    lab.run_all()
    lab.button("Write 6 requests").wait_for()


def test_a_failed_table_closes_the_panels_of_other_cells(lab, folder):
    """If only the cell that reads the table runs again and fails, the request panel in another cell
    no longer offers to write the earlier plan.
    """
    cells = [EDITOR.format(table="small.csv"), ASK.format(folder="alone")]
    open_panel(lab, folder, *cells, 'ln.StatusPanel(editor, "alone")', name="alone.ipynb")
    lab.button("Write 6 requests").wait_for()
    small = folder / "small.csv"
    correct = small.read_text()
    small.write_text(correct.replace("dir01.contoso.com", "dir01"))
    try:
        lab.page.locator(".jp-CodeCell").first.locator(".cm-line").first.click()
        lab.page.keyboard.press("Control+Enter")
        lab.page.get_by_text('"dir01" is not a fully qualified domain name').first.wait_for()
    finally:
        small.write_text(correct)
    expect(lab.page.get_by_role("button", name=re.compile("^Write"))).to_have_count(0)
    lab.run_all()
    panel = lab.page.get_by_role("group", name="Request panel for alone")
    panel.get_by_text("Deployment: small · Table: small.csv").wait_for()
    status = lab.page.get_by_role("group", name="Status of alone")
    status.get_by_text("Deployment: small · Table: small.csv").wait_for()


def test_outputs_of_an_older_plan_are_marked(lab, folder):
    """If the plan in the editor changes, each cell that shows the earlier plan is marked as
    outdated.

    Undo or a new run removes the mark.
    """
    show_notebook(lab, folder, "older")
    lab.page.get_by_label("Select dir01.contoso.com").wait_for()
    expect(lab.page.locator(OLDER)).to_have_count(0)
    set_cell(lab, "dir01.contoso.com", "Site", "Kaohsiung")
    lab.page.locator(OLDER).first.wait_for()
    marked = lab.page.locator(".jp-CodeCell", has=lab.page.locator(OLDER))
    # Only the cell that shows the plan is marked, and not the loaded table, the panels, or the note
    # about the requests.
    sources = marked.locator(".cm-content").all_inner_texts()
    assert [source.strip() for source in sources] == [PLAN], sources
    lab.button("Undo").click()
    lab.page.wait_for_function(f"() => !document.querySelector('{OLDER}')")
    lab.button("Redo").click()
    lab.page.locator(OLDER).first.wait_for()
    lab.run_all()
    lab.page.get_by_text("lyncnb restored your edits").wait_for()
    lab.page.wait_for_function(f"() => !document.querySelector('{OLDER}')")


def test_the_request_panel_follows_the_editor(lab, folder):
    """After a change in the editor, the request panel updates its preview. It then writes the
    requests for the changed plan.
    """
    show_notebook(lab, folder, "followed")
    panel = lab.page.get_by_role("group", name="Request panel for followed")
    panel.get_by_text("6 requests in the folder after the run: 6 created.").wait_for()
    lab.page.get_by_label("Select med02.contoso.com").check()
    lab.button("Remove 1 server").click()
    panel.get_by_text("The plan has changed in the editor").wait_for()
    panel.get_by_text("5 requests in the folder after the run: 5 created.").wait_for()
    # The section with blocking errors opens when errors occur, and closes when the user fixes them.
    set_cell(lab, "dir01.contoso.com", "Role", "Edge")
    panel.get_by_text("lyncnb cannot write requests because of these errors").wait_for()
    panel.get_by_text("An external name of the Edge pool is missing").first.wait_for()
    lab.button("Undo").click()
    panel.get_by_text("5 requests in the folder after the run: 5 created.").wait_for()
    expect(panel.get_by_text("The table has no reverse proxy").first).to_be_hidden()
    lab.field("Passphrase of the folder").fill("too short")
    lab.button("Write 5 requests").click()
    writing = panel.locator(".lc-step").filter(has_text="Passphrase of the folder")
    writing.get_by_role("alert").get_by_text("at least 12 are required").wait_for()
    lab.field("Passphrase of the folder").fill(PASSPHRASE)
    lab.field("Repeat the passphrase").fill(PASSPHRASE)
    lab.button("Write 5 requests").click()
    panel.get_by_text("Finished.").wait_for()
    expect(panel.get_by_text("The plan has changed in the editor")).to_have_count(0)
    assert len(list((folder / "followed" / "csr").glob("*.csr"))) == 5
    assert kernel(lab, "request.bundle.manifest.plan_sha256 == editor.plan.sha256") == "True"


def test_a_panel_explains_that_the_kernel_is_busy(lab, folder):
    """While cells are still running, an empty panel shows the reason. It shows its content when the
    cells have ended.
    """
    busy = "import pathlib, time\nwhile not pathlib.Path('enough').exists(): time.sleep(0.05)"
    write_notebook(folder / "busy.ipynb", EDITOR.format(table="small.csv"), busy)
    lab.open_notebook(folder / "busy.ipynb")
    lab.run_all(wait=False)
    lab.page.get_by_text("The kernel is running a cell").wait_for()
    # Users cannot click a button of the panel before the panel has received its data from the
    # kernel.
    expect(lab.button("Set")).to_be_hidden()
    (folder / "enough").touch()
    lab.page.get_by_label("Select dir01.contoso.com").wait_for()
    expect(lab.page.get_by_text("The kernel is running a cell")).to_have_count(0)


def test_run_all_ends_at_the_editor_with_twelve_servers(lab, folder):
    """On a screen of 1280 x 800 pixels, Run All ends with the editor at the top, and twelve servers
    are visible.

    The bar for selected servers is closed.
    """
    lab.page.set_viewport_size({"width": 1280, "height": 800})
    extra_cells = ["for n in range(40): print(n)"] * 5
    open_panel(lab, folder, EDITOR.format(table="middle.csv"), *extra_cells, name="room.ipynb")
    lab.page.wait_for_function(
        "() => Math.abs(document.querySelector('.lc-editor').getBoundingClientRect().top - 90) < 40"
    )
    lab.page.wait_for_function(
        """() => [...document.querySelectorAll('.lc-editor .lc-row')].filter((row) => {
             const {top, bottom, height} = row.getBoundingClientRect();
             return height && top > 90 && bottom < innerHeight - 24;
           }).length >= 12"""
    )
    bar = lab.page.get_by_role("group", name="Change the selected servers")
    expect(bar).to_be_hidden()
    lab.page.get_by_label("Select m00001.contoso.com").check()
    expect(bar).to_be_visible()
    lab.button("What you can do").click()
    panel = lab.page.get_by_role("dialog", name="What you can do")
    panel.get_by_text("lyncnb page").first.wait_for()
