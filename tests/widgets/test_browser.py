"""The panels work in a real JupyterLab, with mouse and keyboard.

If Chromium is missing, the tests are skipped with a message. In CI that is an error.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from folders import PASSPHRASE
from lab_driver import CHROMIUM, LabBrowser, LabServer
from lab_panels import (
    EDITOR,
    HELD_REQUESTS,
    REQUESTS,
    SLOW_REQUESTS,
    STATUS,
    cell_of,
    delay_answers,
    kernel,
    open_editor,
    open_panel,
    set_cell,
    themes,
    wait_kernel,
    write_notebook,
)
from playwright.sync_api import expect
from printing import axe_violations
from topologies import FIVE_SERVERS

import lyncnb as ln
from lyncnb.errors import NotebookError
from lyncnb.jupyter.outdated_outputs import DRAFT_FOLDER
from lyncnb.jupyter.shared_page import share_notebook

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]

TABS = (
    *("Servers", "Deployment", "Certificates", "By name", "Picture", "Findings", "Changes"),
    *("Scenarios", "Save"),
)

# -- These tests use the plan editor.


def test_a_role_is_changed_rejected_and_undone(lab, folder):
    """When a user changes a role in the editor, the counts are updated. An invalid role is rejected
    with a reason, and undo works.
    """
    open_editor(lab, folder)
    live = lab.page.locator(".lc-live")
    before = live.inner_text()
    set_cell(lab, "dir01.contoso.com", "Role", "Mediation")
    lab.page.get_by_text("1 change, not saved").wait_for()
    expect(live).to_have_attribute("role", "status")
    expect(live).not_to_have_text(before, use_inner_text=True)
    expect(cell_of(lab, "dir01.contoso.com", "Role")).to_contain_text("✎", use_inner_text=True)
    assert kernel(lab, "editor.topology.cells[2][1]") == "Mediation"

    set_cell(lab, "fe01.contoso.com", "Role", "Edge")
    alert = lab.page.get_by_role("alert")
    alert.get_by_text("Not done:").wait_for()
    expect(alert).to_contain_text("role", use_inner_text=True)
    expect(alert).to_contain_text("What to do:", use_inner_text=True)
    expect(lab.page.locator(".lc-refused")).to_contain_text("Edge", use_inner_text=True)
    assert kernel(lab, "editor.topology.cells[0][1]") == "FrontEnd"

    lab.button("Undo").click()  # The first Undo removes only the rejected text.
    expect(alert).to_have_count(0)
    expect(lab.page.locator(".lc-refused")).to_have_count(0)
    assert kernel(lab, "editor.topology.cells[2][1]") == "Mediation"
    lab.button("Undo").click()
    lab.page.get_by_text("as loaded", exact=True).wait_for()
    expect(cell_of(lab, "fe01.contoso.com", "Role")).to_have_text("FrontEnd", use_inner_text=True)
    expect(cell_of(lab, "dir01.contoso.com", "Role")).to_have_text("Director", use_inner_text=True)
    lab.button("Redo").click()
    lab.page.get_by_text("1 change, not saved").wait_for()


def test_five_hundred_servers_are_changed_with_a_filter(lab, folder):
    """With a filter, a user can change five hundred selected servers at once. The other servers
    stay unchanged.
    """
    open_editor(lab, folder, table="large.csv")
    lab.field("Filter servers").fill("tainan")
    lab.page.get_by_text("500 of 10,000 servers shown").wait_for()
    lab.field("Select all visible rows").check()
    lab.page.get_by_text("500 servers selected").wait_for()
    lab.field("Column to set").select_option("role")
    lab.field("New Role").select_option("SBA")
    lab.button("Set for 500 servers").click()
    lab.page.get_by_text("500 changes, not saved").wait_for()
    assert kernel(lab, "sum(row[1] == 'SBA' for row in editor.topology.cells)") == "500"
    lab.field("Filter servers").fill("")
    lab.page.get_by_text("10,000 of 10,000 servers shown").wait_for()
    grid = lab.page.get_by_role("grid")
    # The number of rows includes the headings and the blank row.
    expect(grid).to_have_attribute("aria-rowcount", "10002")
    assert lab.page.get_by_role("row").count() < 60
    grid.focus()
    lab.page.keyboard.press("Control+End")
    lab.page.get_by_label("Select m09999.contoso.com").wait_for()


def test_everything_by_keyboard(lab, folder):
    """With the keyboard only, a user can change a role, select a row, and undo the change."""
    open_editor(lab, folder)
    keys = lab.page.keyboard
    lab.field("Filter servers").focus()
    keys.type("dir01")
    keys.press("ArrowDown")
    keys.press("Home")
    keys.press("ArrowRight")
    keys.press("Enter")
    focused = lab.page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused == "Role of dir01.contoso.com"
    keys.press("Escape")  # The first Escape closes the list of roles.
    if lab.page.evaluate("document.activeElement.tagName") == "SELECT":
        keys.press("Escape")  # Pressing Escape a second time leaves the cell.
    expect(lab.page.locator(":focus")).to_have_attribute("role", "grid")
    keys.press("ArrowRight")
    keys.press("ArrowRight")
    keys.press("F2")
    keys.press("Control+a")
    keys.type("Kaohsiung")
    keys.press("Enter")
    wait_kernel(lab, "editor.topology.cells[2][3]", "Kaohsiung")
    keys.press("ArrowUp")  # Enter has moved the focus to the blank row.
    keys.press(" ")
    lab.page.get_by_text("1 server selected").wait_for()
    keys.press("Control+z")
    wait_kernel(lab, "editor.topology.cells[2][3]", "Taipei")
    active = lab.page.evaluate(
        "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))"
        ".innerText"
    )
    assert active.strip() == "Taipei"


def test_shortcuts_of_jupyterlab_have_no_effect_in_panels(lab, folder, answered_folder):
    """While a control of a panel has the focus, JupyterLab's shortcut keys do not add or delete
    notebook cells.
    """
    others = (
        REQUESTS.format(table="small.csv", folder="guarded"),
        STATUS.format(folder=answered_folder),
    )
    open_editor(lab, folder, *others)
    for name in ("Servers", "Deployment", "Findings", "Changes", "Scenarios", "Save"):
        lab.tab(name).click()
        controls = lab.page.locator(
            ".lyncnb button:visible, .lyncnb select:visible, .lyncnb input:visible,"
            " .lyncnb textarea:visible, .lyncnb [tabindex='0']:visible, .lyncnb summary:visible"
        )
        controls.nth(8).wait_for()
        # The test omits keys that activate a control.
        lab.page.evaluate(
            """(names) => {
              const all = document.querySelectorAll(names);
              for (const one of all) {
                if (!one.offsetParent) continue;
                one.focus();
                for (const [key, more] of [["d", {}], ["d", {}], ["b", {}], ["a", {}], ["x", {}],
                    ["m", {}], ["1", {}], ["z", {}], ["j", {}], ["Enter", {shiftKey: true}],
                    ["Enter", {ctrlKey: true}], ["a", {ctrlKey: true}], ["x", {ctrlKey: true}]])
                  one.dispatchEvent(new KeyboardEvent("keydown",
                    {key, code: key.length === 1 ? "Key" + key.toUpperCase() : key,
                     keyCode: key === "Enter" ? 13 : key.toUpperCase().charCodeAt(0),
                     bubbles: true, cancelable: true, ...more}));
              } }""",
            ".lyncnb button, .lyncnb select, .lyncnb input, .lyncnb textarea,"
            " .lyncnb [tabindex='0'], .lyncnb summary",
        )
    # The test also presses real keys on a list, a button, the grid and a field.
    lab.tab("Servers").click()
    for control in (
        lab.field("Column to set"),
        lab.field("Which servers to show"),
        lab.page.locator(".lyncnb summary", has_text="Columns"),
        lab.page.get_by_role("grid").first,
        lab.tab("Servers"),
        lab.field("Filter servers"),
    ):
        control.focus()
        for key in ("d", "d", "b", "Shift+Enter"):
            lab.page.keyboard.press(key)
    lab.wait_idle()
    assert lab.cell_count() == 3
    prompts = lab.page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
    assert [prompt.strip() for prompt in prompts] == ["[1]:", "[2]:", "[3]:"]
    lab.tab("Servers").focus()
    lab.page.keyboard.press("Escape")
    # The keyboard shortcut for saving the notebook still works.
    lab.page.keyboard.press("Control+s")


def test_save_reload_and_run_all_give_the_same_plan(lab, folder):
    """The saved files and the copied Python code result in the same plan as the editor.

    After the page is reloaded, it shows the editor again, and the unsaved changes are kept.
    """
    open_editor(lab, folder, "print('plan', editor.plan.sha256)")
    set_cell(lab, "dir01.contoso.com", "Site", "Kaohsiung")
    lab.tab("Deployment").click()
    lab.field("Default and web certificates").select_option("separate")
    lab.field("Organization (O)").fill("Contoso")
    lab.field("Organization (O)").press("Enter")
    lab.page.get_by_text("3 changes, not saved").wait_for()
    sha256 = kernel(lab, "editor.plan.sha256")

    lab.tab("Save").click()
    lab.field("Table file").fill("kept")
    lab.button("Save as").click()
    lab.page.get_by_text("Saved: kept").wait_for()
    topology = ln.read_topology(folder / "kept" / "topology.csv")
    options = ln.PlanOptions.from_toml(folder / "kept" / "plan.toml")
    plan = ln.plan_certificates(topology, ln.load_rules("lync2013"), options=options)
    assert plan.sha256 == sha256
    assert "rack" in topology.columns

    lab.page.get_by_text("Python code").click()
    code = lab.page.get_by_role(
        "region", name="Python code that creates the same plan"
    ).inner_text()
    lab.save()
    lab.reload()
    # The kernel still has the editor with the changes.
    lab.page.get_by_text("3 changes").first.wait_for()
    expect(cell_of(lab, "dir01.contoso.com", "Site")).to_have_text(
        re.compile("^Kaohsiung"), use_inner_text=True
    )

    lines = EDITOR.format(table="small.csv").splitlines()[:3]
    # Open notebooks are closed, so that their outputs do not request a panel from a kernel that has
    # ended.
    lab.shut_kernel_down()
    lab.js("panel.dispose();")
    open_panel(lab, folder, "\n".join(lines), code, "print('plan', editor.plan.sha256)")
    lab.page.locator(".jp-OutputArea-output").filter(has_text=f"plan {sha256}").wait_for()


def test_edits_after_a_reload_are_not_shared_as_an_earlier_plan(lab, folder):
    """If a user edits a plan after reloading the page, the saved output is outdated, and the
    notebook cannot be shared.

    The panel shows a message about this.
    """
    open_editor(lab, folder)
    path = lab.save()
    lab.reload()
    lab.page.get_by_role("alert").get_by_text("You reloaded this page").wait_for()
    share_notebook(path, folder / "before.html")
    lab.tab("Servers").click()
    set_cell(lab, "dir01.contoso.com", "Site", "Kaohsiung")
    # If the panel can still update its output, it does so before it records that the output is
    # outdated.
    record = f"__import__('pathlib').Path({DRAFT_FOLDER!r}, 'outdated.json').exists()"
    wait_kernel(lab, record, "True")
    path = lab.save()
    with pytest.raises(NotebookError, match="earlier plan in cell 1") as raised:
        share_notebook(path, folder / "after.html")
    assert "Run All Cells" in raised.value.hint
    assert not (folder / "after.html").exists()

    lab.run_all()
    cell_of(lab, "dir01.contoso.com", "Site").wait_for()
    lab.page.get_by_role("alert").get_by_text("You reloaded this page").wait_for(state="hidden")
    share_notebook(lab.save(), folder / "after.html")


def test_the_saved_notebook_shows_the_table_without_a_kernel(lab, folder):
    """The saved notebook shows the edited table without a kernel. While the panel is active, this
    table is hidden.
    """
    open_editor(lab, folder)
    set_cell(lab, "dir01.contoso.com", "Site", "Kaohsiung")
    lab.page.wait_for_function(
        "() => [...document.querySelectorAll('.lyncnb-static')]"
        ".some(e => e.textContent.includes('Kaohsiung'))"
    )
    expect(lab.page.locator(".lyncnb-static")).to_be_hidden()
    path = lab.save()
    document = json.loads(path.read_text())
    outputs = document["cells"][0]["outputs"]
    assert "widgets" not in document["metadata"]
    assert "Kaohsiung" in "".join(outputs[1]["data"]["text/html"])
    lab.shut_kernel_down()
    lab.reload()
    table = lab.page.locator(".lyncnb-static")
    table.wait_for(state="visible")
    expect(table).to_contain_text("Kaohsiung", use_inner_text=True)
    lab.js("await panel.sessionContext.startKernel();")


def test_a_second_view_keeps_text_in_the_first(lab, folder):
    """If the same editor is shown in two views, text that a user typed in the first view is kept
    when the second view opens and when the plan changes.
    """
    open_editor(lab, folder)
    first = lab.page.locator(".lyncnb").first.element_handle()
    lab.page.get_by_label("Filter servers").fill("dir01")
    lab.page.get_by_text("1 of 5 servers shown").wait_for()
    lab.page.locator(".jp-Cell").first.click(position={"x": 5, "y": 5})
    lab.command("notebook:create-output-view")
    lab.page.wait_for_function("() => document.querySelectorAll('.lyncnb .lc-row').length > 8")
    typed = "view => view.querySelector('[aria-label=\"Filter servers\"]').value"
    assert first.evaluate(typed) == "dir01"
    assert "1 of 5 servers shown" in first.inner_text()
    kernel(lab, "editor.edit(change=[('dir01.contoso.com', {'site': 'Kaohsiung'})])")
    lab.page.wait_for_function(
        "() => [...document.querySelectorAll('.lc-editor')]"
        ".every(e => e.textContent.includes('1 change, not saved'))"
    )


def test_without_anywidget_the_installation_is_explained(tmp_path, chromium):
    """If anywidget is not installed in the environment of JupyterLab, the saved output explains how
    to install it.
    """
    (tmp_path / "labconfig").mkdir()
    settings = {"disabledExtensions": {"anywidget": True}}
    (tmp_path / "labconfig" / "page_config.json").write_text(json.dumps(settings))
    (tmp_path / "small.csv").write_text(FIVE_SERVERS)
    write_notebook(tmp_path / "hub.ipynb", EDITOR.format(table="small.csv"))
    with (
        LabServer(tmp_path, environ={"JUPYTER_CONFIG_PATH": str(tmp_path)}) as server,
        LabBrowser(server, browser=chromium, seconds=60) as lab,
    ):
        lab.open_notebook("hub.ipynb")
        lab.run_all()
        copy = lab.page.locator(".lyncnb-static")
        copy.get_by_text("the environment of JupyterLab does not have anywidget").wait_for()
        expect(copy).to_contain_text("dir01.contoso.com", use_inner_text=True)
        page = share_notebook(lab.save(), tmp_path / "shared.html").page.read_text("utf-8")
        assert "anywidget" not in page


def test_findings_link_to_servers_and_can_be_accepted(lab, folder):
    """A finding shows its server, and links to the server's row. To accept the finding, the user
    must enter a reason.
    """
    open_editor(lab, folder)
    set_cell(lab, "dir01.contoso.com", "Role", "Edge")
    lab.tab("Findings").click()
    block = lab.page.locator(".lc-block").first
    block.locator(".lc-tag", has_text="error").wait_for()
    code = kernel(lab, "next(f.code for f in editor.findings if f.severity == 'error')")
    block.get_by_label(f"Reason to accept {code}").fill("the names follow in May")
    block.get_by_role("button", name=f"Accept {code}").click()
    lab.page.get_by_text("Accepted: the names follow in May").wait_for()
    assert "the names follow in May" in kernel(lab, "editor.options.accepted")
    lab.page.get_by_role("button", name="dir01.contoso.com").first.click()
    lab.page.get_by_text("Certificates of dir01.contoso.com").wait_for()


def test_typed_text_stays_when_a_list_is_updated(lab, folder):
    """If a panel updates a list, the text that the user has typed remains, and the focus does not
    move.
    """
    open_editor(lab, folder)
    set_cell(lab, "dir01.contoso.com", "Role", "Edge")
    lab.tab("Findings").click()
    reason = lab.page.get_by_label(re.compile("^Reason to accept ")).first
    reason.fill("the names in May")
    reason.press("Home")
    kernel(lab, "editor.change_options(xmpp_host_names=True)")
    lab.page.locator(".lc-block", has_text="option-changes-nothing").wait_for()
    lab.page.keyboard.type("when we have ")
    expect(reason).to_have_value("when we have the names in May")
    lab.tab("By name").click()
    name = (
        lab.page.locator(".lc-table").get_by_role("button", name="lyncdiscover.contoso.com").first
    )
    name.focus()
    name.evaluate("one => { window.drawnBefore = one; }")
    kernel(lab, "editor.change_options(xmpp_host_names=False)")
    lab.page.wait_for_function("!window.drawnBefore.isConnected")
    expect(name).to_be_focused()


def test_a_confirmation_to_replace_files_applies_to_one_folder(lab, folder):
    """If a user confirms for one folder that the editor may replace files, the confirmation does
    not apply to another folder.
    """
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "topology.csv").write_text("tuned")
    open_editor(lab, folder)
    lab.tab("Save").click()
    field, save = lab.field("Table file"), lab.button("Save as")
    field.fill("one")
    save.click()
    tick = lab.page.get_by_role("tabpanel", name="Save").get_by_role("checkbox")
    tick.check()
    field.fill("two")
    save.click()
    lab.page.get_by_role("alert").get_by_text("two").first.wait_for()
    expect(tick).not_to_be_checked()
    assert (folder / "two" / "topology.csv").read_text() == "tuned"
    tick.check()
    save.click()
    lab.page.get_by_text("Saved: two").wait_for()
    assert (folder / "one" / "topology.csv").read_text() == "tuned"


def test_late_responses_of_the_kernel(lab, folder):
    """If the kernel's responses are late, an error stays readable, a second click has no effect,
    and a table keeps its scroll position.
    """
    open_editor(lab, folder)
    lab.tab("Deployment").click()
    days = lab.page.get_by_role("tabpanel", name="Deployment").locator("input[type=number]").first
    with delay_answers(lab, "editor.view"):
        days.fill("-5")
        days.press("Enter")
        lab.field("Wildcards for simple URLs").check()
    alert = lab.page.get_by_role("alert")
    alert.get_by_text("Not done:").wait_for()
    wait_kernel(lab, "editor.options.wildcard", "True")
    lab.page.get_by_text("1 change, not saved").wait_for()
    lab.page.wait_for_timeout(200)
    alert.get_by_text("Not done:").wait_for()
    lab.field("Wildcards for simple URLs").uncheck()
    alert.wait_for(state="hidden")
    lab.tab("By name").click()
    table = lab.page.get_by_role("region", name="Names, their certificates, and the reasons")
    table.evaluate("one => { one.scrollTop = 90; one.drawnBefore = true; }")
    kernel(lab, "editor.change_options(xmpp_host_names=True)")
    lab.page.wait_for_function(
        "() => [...document.querySelectorAll('.lc-tall .lc-scroll')].some("
        "one => one.offsetParent && !one.drawnBefore)"
    )
    expect(table).to_have_js_property("scrollTop", 90)
    lab.tab("Servers").click()
    lab.field("Select dir01.contoso.com").check()
    with delay_answers(lab, "editor.view"):
        lab.button("Remove 1 server").dblclick()
    lab.page.get_by_text("removed dir01.contoso.com").wait_for()
    kernel(lab, "editor.scenarios")
    lab.page.wait_for_timeout(200)
    expect(alert).to_have_count(0)


def test_a_kernel_that_is_restarted(lab, folder):
    """After the kernel restarts, its panels show that they are no longer active."""
    open_editor(lab, folder)
    lab.js("await panel.sessionContext.restartKernel();")
    lab.wait_idle()
    lab.tab("Deployment").click()
    lab.field("Wildcards for simple URLs").check()
    lab.page.get_by_text("The kernel was restarted or has stopped").wait_for()


def test_a_button_fixes_findings_with_one_safe_fix(lab, folder):
    """The Fix button appears only for findings with a safe fix. Users can undo the fix."""
    open_editor(lab, folder)
    kernel(lab, "editor.change_options(xmpp_host_names=True)")
    lab.tab("Findings").click()
    block = lab.page.locator(".lc-block").filter(has_text="option-changes-nothing")
    block.get_by_role("button", name="Fix option-changes-nothing").click()
    block.wait_for(state="detached")
    assert kernel(lab, "editor.options.xmpp_host_names") == "False"
    expect(lab.page.get_by_role("button", name=re.compile("^Mend"))).to_have_count(0)
    lab.button(re.compile("^Undo")).click()
    block.wait_for()
    rows = "[id for id, row in zip(editor.state.ids, editor.topology.cells) if 'FrontEnd' in row]"
    set_cells = "__import__('lyncnb.widgets.editing.edits', fromlist=['x']).set_cells"
    blank = f"editor.apply({set_cells}, ids={rows}, column='dialin_url', value='')"
    assert kernel(lab, blank) == "None"
    lab.button(re.compile("errors?$")).click()  # The number of errors is a link to the findings.
    lab.page.get_by_text("Fix all: 2 changes").click()
    change = 'fe01.contoso.com (FrontEnd), “Dial-in URL”: blank -> "https://dialin.contoso.com"'
    lab.page.locator("details[open] .lc-changes").get_by_text(change).wait_for()
    lab.button("Apply these changes").click()
    lab.page.get_by_text("Fix all").wait_for(state="detached")
    assert kernel(lab, "editor.options.xmpp_host_names") == "False"
    lab.button(re.compile("^Undo")).click()
    lab.page.get_by_text("Fix all: 2 changes").wait_for()


def test_a_click_on_a_name_shows_its_rule(lab, folder):
    """A click on a name in a list, an explanation or a picture shows the rule, the sources, the
    servers and the use of the name.
    """
    open_editor(lab, folder)
    page, dialog = lab.page, lab.page.locator("dialog.lc-why")
    rules = ln.load_rules().names

    def opened(opener, rule, *, key=""):
        opener.press(key) if key else opener.click()
        dialog.wait_for()
        shown_text = dialog.inner_text()
        name_rule = rules[rule]
        facts = (name_rule.clients, name_rule.without)
        for text in (
            name_rule.why,
            name_rule.source,
            *(t for f in facts for t in (f.says, f.source)),
        ):
            assert " ".join(text.split()) in " ".join(shown_text.split())
        assert "Servers\nfe01" in shown_text
        page.keyboard.press("Escape")
        dialog.wait_for(state="hidden")

    lab.tab("Certificates").click()
    chip = page.locator(".lc-name-chip", has_text="meet.contoso.com").first.get_by_role("button")
    opened(chip, "meet")
    expect(chip).to_be_focused()  # The focus returns to the name that was clicked.
    lab.tab("By name").click()
    lab.field("Find names").fill("lyncdiscover.contoso.com")
    matches = page.locator(".lc-table").get_by_role("button", name="lyncdiscover.contoso.com")
    opened(matches.first, "lyncdiscover", key="Enter")
    lab.tab("Picture").click()
    lab.field("Which picture").select_option("coverage")
    name = page.locator('[data-name="dialin.contoso.com"]')
    name.wait_for()
    opened(name, "dialin", key="Enter")
    page.get_by_text("The picture's data as a table").click()
    opened(page.locator(".lc-panel:visible .lc-table button", has_text="fe01.contoso.com").first,
           "server-name")  # fmt: skip
    kernel(lab, "editor.change_options(issuer={'FrontEnd': 'public'})")
    lab.tab("Findings").click()
    page.locator("summary", has_text="Before you order from a public CA").click()
    spoken = page.locator(".lc-block", has_text="names-become-public")
    opened(spoken.get_by_role("button", name="web.contoso.com"), "web-external")
    lab.tab("Servers").click()
    cell_of(lab, "fe01.contoso.com", "Role").click()
    lab.page.get_by_text("Certificates of fe01.contoso.com").wait_for()
    # The detail pane mentions the public CA only after the change of the issuer takes effect.
    page.locator(".lc-detail").get_by_text("public CA").first.wait_for()
    opened(page.locator(".lc-detail").get_by_role("button", name="web.contoso.com"), "web-external")


def test_panels_show_the_names_of_a_request(lab, folder, answered_folder):
    """The request panel and the status panel can show all names in a request."""
    cells = [
        REQUESTS.format(table="small.csv", folder="why"),
        STATUS.format(folder=answered_folder),
    ]
    open_panel(lab, folder, *cells)
    dialog = lab.page.locator("dialog.lc-why:visible")
    lab.page.locator(".lc-request summary", has_text="Changes to each request").click()
    lab.page.locator(".lc-request .lc-table button", has_text="FrontEnd-fe01").click()
    dialog.get_by_text("Users who join a meeting through the meeting link.").wait_for()
    expect(dialog).to_contain_text("Names on FrontEnd-fe01-contoso-com", use_inner_text=True)
    dialog.get_by_role("button", name="Close").click()
    row = lab.page.locator(".lc-follow .lc-row", has_text="StandardEdition").first
    row.locator(".lc-cell").nth(1).dblclick()
    dialog.get_by_text("Users who join a meeting through the meeting link.").wait_for()
    lab.page.keyboard.press("Escape")
    lab.button("Names and reasons").click()
    dialog.get_by_text("Names on StandardEdition").wait_for()


def test_add_and_remove_a_server(lab, folder):
    """The editor shows a server that the user adds, can undo the removal of a server, and rejects
    an invalid server name.
    """
    open_editor(lab, folder)
    lab.button("Add a server…").click()
    form = lab.page.get_by_role("form", name="Add a server")
    form.get_by_label("Server", exact=True).fill("med 03")
    form.get_by_label("Role", exact=True).select_option("Mediation")
    form.get_by_role("button", name="Add").click()
    alert = form.get_by_role("alert")
    alert.get_by_text("med 03").first.wait_for()
    # The message contains the heading of the column.
    expect(alert).to_contain_text("(column Server)", use_inner_text=True)
    form.get_by_role("button", name="Cancel").click()
    lab.button("Add a server…").click()
    expect(alert).to_have_count(0)
    form.get_by_label("Server", exact=True).fill("med03.contoso.com")
    form.get_by_role("button", name="Add").click()
    lab.page.get_by_label("Select med03.contoso.com").wait_for()
    # The page announces the change to screen readers after it shows the row.
    form.wait_for(state="hidden")
    lab.page.get_by_label("Select med03.contoso.com").check()
    lab.button("Remove 1 server").click()
    lab.page.get_by_text("5 of 5 servers shown").wait_for()
    lab.button("Undo").click()
    lab.page.get_by_label("Select med03.contoso.com").wait_for()


def test_the_panel_shows_an_error_in_a_callback(lab, folder):
    """If an error occurs in the code of a panel, the panel shows a plain message without a stack
    trace and without values.
    """
    broken = "def broken(**_): raise ZeroDivisionError('a secret value')\n"
    broken += "editor.view.channel.answers['explain'] = broken"
    open_editor(lab, folder, broken)
    lab.page.get_by_label("Select fe02.contoso.com").check()
    alert = lab.page.get_by_role("alert")
    alert.get_by_text("because of an internal error").wait_for()
    text = alert.inner_text()
    assert "ZeroDivisionError" in text
    assert "secret" not in text
    assert "Traceback" not in text
    assert len(text.strip().splitlines()) <= 4


# -- requests


def test_canceled_requests_can_be_finished(lab, folder):
    """Other panels respond while lyncnb writes requests. Cancel keeps the finished requests, and a
    second run creates the others.
    """
    open_panel(
        lab,
        folder,
        EDITOR.format(table="small.csv"),
        SLOW_REQUESTS.format(table="middle.csv", folder="cancelled"),
    )
    lab.page.get_by_text("100 created").wait_for()
    lab.field("Passphrase of the folder").fill(PASSPHRASE)
    lab.field("Repeat the passphrase").fill(PASSPHRASE)
    lab.button("Write 100 requests").click()
    lab.page.get_by_text(re.compile("Working … .* per second, about .* remaining")).wait_for()
    expect(lab.field("Passphrase of the folder")).to_have_value("")
    set_cell(lab, "dir01.contoso.com", "Site", "Kaohsiung")
    lab.page.get_by_text("1 change, not saved").wait_for()
    lab.button("Cancel").click()
    lab.page.get_by_text("Canceled. lyncnb kept the finished requests").wait_for()
    created_count = len(list((folder / "cancelled" / "csr").glob("*.csr")))
    assert 0 < created_count < 100
    panel = lab.page.get_by_role("group", name="Request panel for cancelled")
    panel.get_by_text(re.compile(rf"\b{100 - created_count} created")).wait_for()
    lab.field("Passphrase of the folder").fill(PASSPHRASE)
    lab.page.keyboard.press("Enter")
    panel.get_by_text("Finished.").wait_for()
    assert len(list((folder / "cancelled" / "csr").glob("*.csr"))) == 100
    result = lab.page.locator(".lyncnb-result")
    result.wait_for(state="visible")
    href = result.get_by_role("link", name="summary.html").get_attribute("href")
    assert "cancelled/summary.html" in href


def test_a_typed_passphrase_is_kept_and_one_click_counts(lab, folder):
    """If the plan changes or a second view of the panel opens, the field keeps the typed
    passphrase. A second click on Write has no effect.
    """
    requests = HELD_REQUESTS.format(table="middle.csv", folder="pressed")
    requests = requests.replace("RequestPanel(plan,", "RequestPanel(editor,")
    open_panel(lab, folder, EDITOR.format(table="middle.csv"), requests)
    panel = lab.page.get_by_role("group", name="Request panel for pressed").first
    first, second = (
        panel.get_by_label(label) for label in ("Passphrase of the folder", "Repeat the passphrase")
    )
    panel.get_by_text("100 created").wait_for()
    first.focus()
    lab.page.keyboard.type("half")
    kernel(lab, "editor.change_options(xmpp_host_names=True)")
    panel.get_by_text("Updating the preview").wait_for()
    lab.page.keyboard.type(" typed")
    panel.get_by_text("The preview is up to date").wait_for()
    lab.page.keyboard.type(" through")
    expect(first).to_have_value("half typed through")
    panel.locator("summary", has_text="Recovery key").click()
    panel.get_by_label("Public recovery key").fill("theirs.pub")
    lab.command("notebook:create-output-view")
    views = lab.page.get_by_role("button", name="Write 100 requests")
    views.nth(1).wait_for()
    lab.page.wait_for_timeout(300)
    expect(panel.get_by_label("Public recovery key")).to_have_value("theirs.pub")
    first.fill(PASSPHRASE)
    second.fill(PASSPHRASE)
    with delay_answers(lab, "panel.view"):
        panel.get_by_role("button", name="Write 100 requests").dblclick()
    panel.get_by_text("Working …").wait_for()
    expect(panel.get_by_role("button", name="Cancel")).to_be_focused()
    lab.page.wait_for_timeout(300)
    expect(panel.get_by_role("alert")).to_have_count(0)
    # If the user cancels the run before lyncnb has created a key, lyncnb saves no request.
    panel.get_by_text(re.compile(r"Working … \d+ of 100")).wait_for()
    lab.page.keyboard.press("Enter")
    panel.get_by_text("Stopping. lyncnb finishes the keys").wait_for()
    (folder / "pressed.go").touch()
    panel.get_by_text("Canceled.").wait_for()
    lab.page.wait_for_function("() => document.activeElement.textContent.startsWith('Write ')")
    # After a run, the panel checks the folder. If the test removed the folder during this check,
    # the panel would not ask for a passphrase. The panel showed a similar text before the run, but
    # without a number.
    panel.get_by_text(re.compile(r"in the folder after the run: \d+ kept")).wait_for()
    # After the folder has been removed, the panel asks for both passphrases again and shows the
    # reason.
    shutil.rmtree(folder / "pressed")
    first.fill(PASSPHRASE)
    first.press("Enter")
    panel.get_by_role("alert").get_by_text("the folder has changed since the preview").wait_for()
    second.wait_for(state="visible")


def test_a_reload_in_the_middle_does_not_stop_the_run(lab, folder):
    """If the page is reloaded during a run, the panel still shows the progress, and Cancel still
    works.
    """
    open_panel(lab, folder, HELD_REQUESTS.format(table="middle.csv", folder="reloaded"))
    lab.field("Passphrase of the folder").fill(PASSPHRASE)
    lab.field("Repeat the passphrase").fill(PASSPHRASE)
    lab.button("Write 100 requests").click()
    lab.wait_text("Working …")
    lab.save()
    lab.reload()
    lab.page.get_by_text(re.compile(r"Working … \d+ of 100")).wait_for()
    lab.button("Cancel").click()
    lab.wait_text("Stopping. lyncnb finishes the keys")
    (folder / "reloaded.go").touch()
    lab.wait_text("Canceled.")
    assert 0 < len(list((folder / "reloaded" / "csr").glob("*.csr"))) < 100


def test_passphrases_that_differ_or_are_wrong(lab, folder):
    """If passphrases differ or are wrong, the panel shows the error, clears the fields, and
    overwrites nothing.
    """
    open_panel(lab, folder, REQUESTS.format(table="small.csv", folder="wrong"))
    first, second = lab.field("Passphrase of the folder"), lab.field("Repeat the passphrase")
    first.fill(PASSPHRASE)
    second.fill(PASSPHRASE + "x")
    lab.button("Write", exact=False).click()
    lab.page.get_by_role("alert").get_by_text("differ").wait_for()
    expect(first).to_have_value("")
    expect(second).to_have_value("")
    first.fill(PASSPHRASE)
    second.fill(PASSPHRASE)
    lab.button("Write", exact=False).click()
    lab.wait_text("Finished.")
    second.wait_for(state="hidden")
    expect(lab.button("Nothing to write")).to_be_disabled()
    # The focus is on the result of the run, so the Tab key continues from there.
    expect(lab.page.locator(".lc-result")).to_be_focused()
    (folder / "wrong" / "summary.csv").unlink()
    lab.button("Refresh").click()
    expect(lab.button("Write 6 requests")).to_be_enabled()
    before = {path: path.read_bytes() for path in (folder / "wrong").rglob("*") if path.is_file()}
    first.fill("another horse battery")
    first.press("Enter")
    lab.page.get_by_role("alert").get_by_text("passphrase").first.wait_for()
    after = {path: path.read_bytes() for path in (folder / "wrong").rglob("*") if path.is_file()}
    assert after == before


# -- The following tests are about the steps after the requests are written.


def test_from_issued_certificates_to_deployment_steps(lab, folder, answered_folder):
    """From issued certificates, the status panel creates PFX packages, shows a password until the
    user hides it, and writes the deployment steps.
    """
    open_panel(lab, folder, STATUS.format(folder=answered_folder))
    lab.wait_text("Next step: Package 2 certificates")
    lab.button("Enter the passphrase").click()
    expect(lab.field("Passphrase of the folder")).to_be_focused()
    lab.field("Passphrase of the folder").fill(PASSPHRASE)
    lab.button("Create packages").click()
    lab.wait_text("2 packaged")
    expect(lab.field("Passphrase of the folder")).to_have_value("")
    lab.page.locator(".lyncnb summary", has_text="Password of a package").click()
    package = lab.field("Package")
    package.select_option(index=1)
    package_name = package.input_value()
    lab.field("The folder's passphrase").fill(PASSPHRASE)
    lab.button("Refresh").click()
    # The panel has already received the result of the previous check of the folder.
    kernel(lab, "status")
    expect(package).to_have_value(package_name)
    lab.button("Show password").click()
    password = lab.page.locator(".lc-password")
    password.wait_for(state="visible")
    expect(password).to_have_attribute("aria-label", re.compile(re.escape(package_name)))
    package.select_option(index=0)
    # The page no longer shows the password, because the user selected another package.
    expect(password).to_have_text("", use_inner_text=True)
    package.select_option(index=1)
    lab.field("The folder's passphrase").fill(PASSPHRASE)
    lab.button("Show password").click()
    password.wait_for(state="visible")
    text = password.inner_text()
    assert len(text) >= 22
    path = lab.save()
    assert text not in path.read_text()
    lab.button("Hide password").click()
    assert text not in lab.page.content()
    lab.button("Write deployment steps").click()
    lab.page.locator(".lc-step", has_text="Import and assign").get_by_text("Finished.").wait_for()
    assert (folder / answered_folder / "steps").is_dir()
    lab.page.get_by_text("Package the requests for the CA").click()
    lab.button("Package all waiting requests").click()
    # All certificates are issued, so no request waits for the CA.
    lab.page.get_by_role("alert").get_by_text("Not done").wait_for()


# -- accessibility


def test_axe_finds_nothing(tall_lab, folder, answered_folder):
    """The tool axe-core reports no violation of accessibility rules in any part of the panels, in
    both themes.
    """
    cells = [
        EDITOR.format(table="small.csv"),
        REQUESTS.format(table="small.csv", folder="axe"),
        STATUS.format(folder=answered_folder),
    ]
    open_panel(tall_lab, folder, *cells, name="axe.ipynb")
    set_cell(tall_lab, "dir01.contoso.com", "Role", "Edge")
    tall_lab.page.get_by_text("1 change, not saved").wait_for()
    # The edit is invalid, so that axe-core also checks the error message.
    set_cell(tall_lab, "fe01.contoso.com", "Role", "Edge")
    tall_lab.page.get_by_role("alert").get_by_text("Not done").wait_for()
    problems = []
    for theme, only_colors in themes(tall_lab):
        selector = ".lyncnb"
        for name in TABS:
            tall_lab.tab(name).click()
            tall_lab.page.wait_for_timeout(300)
            problems += [
                (theme, name, violation)
                for violation in axe_violations(
                    tall_lab.page, inside=selector, only_colors=only_colors
                )
            ]
            selector = ".lc-editor"  # Selecting a tab changes nothing in the other two panels.
        tall_lab.tab("Certificates").click()
        tall_lab.page.locator(".lc-name-chip").first.get_by_role("button").click()
        tall_lab.page.locator("dialog.lc-why:visible").wait_for()
        violations = axe_violations(
            tall_lab.page, inside="dialog.lc-why[open]", only_colors=only_colors
        )
        problems += [(theme, violation) for violation in violations]
        tall_lab.page.keyboard.press("Escape")
        # The test changes the text to a color with low contrast, and the check must detect it.
        pale = tall_lab.page.add_style_tag(content=".lc-saved { color: #808080b0 !important }")
        assert axe_violations(tall_lab.page, inside=".lc-saved", only_colors=True) != []
        pale.evaluate("style => style.remove()")
    assert problems == []


def test_panels_fit_at_twice_the_size(server, chromium, folder, answered_folder):
    """At 200 % zoom, the panels wrap their content, and nothing is cut off.

    Only tables scroll sideways, and lists of changes are stacked.
    """
    with LabBrowser(server, browser=chromium, viewport=(700, 500), scale=2, seconds=60) as lab:
        cells = [EDITOR.format(table="small.csv"), STATUS.format(folder=answered_folder)]
        cells.append(REQUESTS.format(table="small.csv", folder="zoom"))
        open_panel(lab, folder, *cells, name="zoom.ipynb")
        set_cell(lab, "dir01.contoso.com", "Role", "Mediation")
        lab.page.get_by_role("tab", name="Changes (1)").wait_for()
        for name in TABS:
            lab.tab(name).click()
            lab.page.wait_for_timeout(200)
            wide = lab.page.evaluate(
                """() => [...document.querySelectorAll('.lyncnb')].flatMap((root) => {
                  const edge = root.getBoundingClientRect().right;
                  return [...root.querySelectorAll('*')].filter(e => e.offsetParent
                    && !e.closest('.lc-grid, .lc-scroll, .lc-code')
                    && e.getBoundingClientRect().right > edge + 1).map(e => e.className); })"""
            )
            assert wide == [], name
            table = lab.page.locator(".lc-stacks:visible .lc-scroll:visible")
            assert [
                e for e in table.all() if e.evaluate("e => e.scrollWidth > e.clientWidth")
            ] == []
            if name == "Changes":
                expect(table.get_by_role("cell", name="certificate removed").first).to_be_visible()
        lab.shut_kernel_down()
