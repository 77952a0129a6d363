"""The table of servers has the usual features of a spreadsheet: ranges, clipboard, fill, filter,
layout and keys.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from lab_driver import CHROMIUM, LabBrowser
from lab_panels import (
    EDITOR,
    cell_of,
    kernel,
    open_editor,
    open_panel,
    set_cell,
    table_of,
    wait_kernel,
    write_notebook,
)
from playwright.sync_api import expect
from topologies import FIVE_SERVERS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]

SITES = "[row[3] for row in editor.topology.cells]"


def clipboard(lab: LabBrowser, text: str | None = None) -> str:
    """Write a text to the real clipboard, or return the text in the clipboard."""
    lab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    if text is not None:
        lab.page.evaluate("text => navigator.clipboard.writeText(text)", text)
        return text
    return lab.page.evaluate("() => navigator.clipboard.readText()")


def press(lab: LabBrowser, *keys: str) -> None:
    """Press keys on the keyboard, one after another."""
    for key in keys:
        lab.page.keyboard.press(key)


def click(lab: LabBrowser, server: str, column: str, **options: object) -> None:
    """Click the text of a cell."""
    cell_of(lab, server, column).click(position={"x": 12, "y": 14}, **options)


def copy(lab: LabBrowser, cells: int, keys: str = "Control+c") -> str:
    """Copy the selected cells, wait for the message, and return the text in the clipboard."""
    press(lab, keys)
    lab.page.locator(".lc-said").get_by_text(f"Copied {cells} cell").wait_for()
    return clipboard(lab)


def active_text(lab: LabBrowser) -> str:
    """Return the text of the active cell."""
    return lab.page.evaluate(
        "document.getElementById(document.querySelector('.lc-grid')"
        ".getAttribute('aria-activedescendant')).innerText"
    ).strip()


def save_with_libreoffice(folder: Path, name: str, table: str) -> str:
    """Let LibreOffice read a table, and save it as text with tabs."""
    source = folder / f"{name}.csv"
    source.write_text(table)
    # In LibreOffice's filter, the codes mean a tab between cells (9), quotation marks (34), and
    # UTF-8 (76).
    output_format = "txt:Text - txt - csv (StarCalc):9,34,76"
    profile_option = f"-env:UserInstallation=file://{folder}/office"
    subprocess.run(
        [
            "soffice",
            profile_option,
            "--headless",
            "--convert-to",
            output_format,
            "--outdir",
            folder / "out",
            source,
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return (folder / "out" / f"{name}.txt").read_text("utf-8-sig")


def test_typing_goes_from_cell_to_cell(lab, folder):
    """Typed text overwrites a cell, Escape restores it, and Enter moves to the next row.

    After Tab, Enter moves to the column in which the user started.
    """
    open_editor(lab, folder)
    click(lab, "dir01.contoso.com", "Pool")
    press(lab, "ArrowRight")
    lab.page.keyboard.type("Tainan")
    press(lab, "Enter")
    wait_kernel(lab, SITES, "['Taipei', 'Taipei', 'Tainan', 'Hsinchu', 'Hsinchu']")
    lab.page.keyboard.type("Yilan")
    press(lab, "ArrowDown")
    wait_kernel(lab, "editor.topology.cells[3][3]", "Yilan")
    press(lab, "F2")
    lab.page.keyboard.type("never")
    press(lab, "Escape")
    assert active_text(lab) == "Hsinchu"
    # Tab moves to the right. Enter then moves to the next row, to the column in which the user
    # pressed Tab first.
    press(lab, "Control+Home", "ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight")
    lab.page.keyboard.type("own.contoso.com")
    press(lab, "Tab")
    lab.page.keyboard.type("Chiayi")
    press(lab, "Enter")
    wait_kernel(lab, "editor.topology.cells[2][2:4]", "('own.contoso.com', 'Chiayi')")
    expect(lab.page.locator(".lc-active")).to_have_attribute("aria-colindex", "4")
    press(lab, "ArrowUp", "ArrowRight", "Delete")
    wait_kernel(lab, "editor.topology.cells[2][3]", "")
    press(lab, "Control+z")
    wait_kernel(lab, "editor.topology.cells[2][3]", "Chiayi")


def test_ranges_by_mouse_shift_and_keys(lab, folder):
    """Dragging, Shift+click and Shift+arrow keys select the same cells, and all of them can be
    copied.
    """
    open_editor(lab, folder)
    message = lab.page.locator(".lc-said")
    first = cell_of(lab, "fe01.contoso.com", "Server").bounding_box()
    last = cell_of(lab, "dir01.contoso.com", "Role").bounding_box()
    mouse = lab.page.mouse
    mouse.move(first["x"] + 20, first["y"] + 10)
    mouse.down()
    mouse.move(last["x"] + 20, last["y"] + 10, steps=6)
    mouse.up()
    message.get_by_text("6 cells selected: 3 rows, 2 columns").wait_for()
    expected = "fe01.contoso.com\tFrontEnd\nfe02.contoso.com\tFrontEnd\ndir01.contoso.com\tDirector"
    assert copy(lab, 6) == expected
    expect(lab.page.locator("[role=gridcell].lc-chosen")).to_have_count(6)
    clipboard(lab, "")
    click(lab, "fe02.contoso.com", "Site")
    click(lab, "fe01.contoso.com", "Server")
    click(lab, "dir01.contoso.com", "Role", modifiers=["Shift"])
    assert copy(lab, 6) == expected
    clipboard(lab, "")
    press(lab, "Escape", "Control+Home")
    press(lab, "Shift+ArrowDown", "Shift+ArrowDown", "Shift+ArrowRight")
    assert copy(lab, 6) == expected
    press(lab, " ")
    lab.page.get_by_text("3 servers selected").wait_for()


def test_pasted_cells_that_are_rejected_show_the_reason(lab, folder):
    """Pasting adds all valid rows in one undo step. Each rejected cell is red and shows the reason."""
    open_editor(lab, folder)
    click(lab, "med01.contoso.com", "Server")
    clipboard(
        lab,
        "med01.contoso.com\tMediation\t\tTainan\r\n"
        "med02.contoso.com\tNoSuchRole\t\tYilan\r\n"
        "med03.contoso.com\tMediation\t\tTainan\r\n"
        "bad name\tMediation\t\tTainan\r\n",
    )
    press(lab, "Control+v")
    alert = lab.page.locator(".lc-servers .lc-bubble").get_by_role("alert")
    alert.get_by_text("NoSuchRole").first.wait_for()
    lab.page.get_by_text("did not change 1 cell").wait_for()
    lab.page.get_by_text("did not add 1 row").wait_for()
    refused = lab.page.locator(".lc-refused")
    expect(refused.filter(has_text="NoSuchRole")).to_be_visible()
    expect(refused.filter(has_text="bad name")).to_be_visible()
    names = kernel(lab, "' '.join(row[0][:5] + row[3] for row in editor.topology.cells[3:])")
    assert names == "med01Tainan med02Yilan med03Tainan"
    press(lab, "Control+z")
    wait_kernel(lab, "editor.is_saved", "True")
    expect(lab.page.locator(".lc-refused")).to_have_count(0)


def test_a_table_with_wrong_cells_is_corrected_on_the_page(lab, folder):
    """A table with wrong cells opens. The user types a correct name, and then applies all fixes."""
    text = FIVE_SERVERS.replace("fe02.contoso.com", "fe02", 1)
    (folder / "wrong.csv").write_text(text.replace("Director", "Directr", 1))
    open_panel(lab, folder, 'import lyncnb as ln\neditor = ln.PlanEditor("wrong.csv")\neditor')
    note = lab.page.locator(".lc-note").filter(has_text="2 rejected cells are not in the plan")
    note.wait_for()
    refused = lab.page.locator(".lc-servers .lc-refused")
    expect(refused).to_have_count(2)
    lab.page.get_by_role("button", name="Show the next rejected cell").click()
    bubble = lab.page.locator(".lc-servers .lc-bubble")
    bubble.get_by_text("not a fully qualified domain name").wait_for()
    press(lab, "F2", "End", *".contoso.com", "Enter")
    expect(refused).to_have_count(1)
    lab.page.get_by_text("Fix all: 1 change").click()
    lab.page.get_by_role("button", name="Apply these changes").click()
    expect(refused).to_have_count(0)
    expect(lab.page.locator(".lc-note", has_text="rejected")).to_be_hidden()
    assert kernel(lab, "len(editor.topology.rejected)") == "0"
    press(lab, "Control+z")
    expect(refused).to_have_count(1)


@pytest.mark.tools
def test_text_that_libreoffice_wrote_is_pasted(lab, folder):
    """If text copied from LibreOffice has headings, the headings determine the columns, and new
    rows are added at the end.
    """
    table = (
        FIVE_SERVERS.replace("Hsinchu", "Tainan") + "med07.contoso.com,Mediation,,Tainan,,,,,,B7\n"
    )
    text = save_with_libreoffice(folder, "office", table)
    assert "\t" in text
    open_editor(lab, folder)
    click(lab, "fe01.contoso.com", "Server")
    clipboard(lab, text)
    press(lab, "Control+v")
    lab.page.get_by_label("Select med07.contoso.com").wait_for()
    expect(lab.page.locator(".lc-refused")).to_have_count(0)
    last_cells = kernel(lab, "[str(text) for row in editor.topology.cells for text in row][-10:]")
    assert "med07.contoso.com" in last_cells
    assert "Hsinchu" not in kernel(lab, SITES)
    assert kernel(lab, "len(editor.past)") == "1"


def test_fill_down_fill_a_range_and_cut(lab, folder):
    """Ctrl+D copies the first row of a range down, Ctrl+Enter fills the range with the current
    cell, and a single copied cell fills the range into which it is pasted.
    """
    open_editor(lab, folder)
    click(lab, "dir01.contoso.com", "Site")
    lab.page.keyboard.type("Yilan")
    press(lab, "Enter")
    wait_kernel(lab, "editor.topology.cells[2][3]", "Yilan")
    press(lab, "ArrowUp", "Shift+ArrowDown", "Shift+ArrowDown", "Control+d")
    wait_kernel(lab, "[row[3] for row in editor.topology.cells[2:]]", "['Yilan', 'Yilan', 'Yilan']")
    press(lab, "F2")
    lab.page.keyboard.press("Control+a")
    lab.page.keyboard.type("Tainan")
    lab.page.keyboard.press("Control+Enter")
    wait_kernel(
        lab, "[row[3] for row in editor.topology.cells[2:]]", "['Tainan', 'Tainan', 'Tainan']"
    )
    clipboard(lab, "Chiayi")
    press(lab, "ArrowUp", "ArrowDown")
    press(lab, "Shift+ArrowDown", "Shift+ArrowDown", "Control+v")
    wait_kernel(
        lab, "[row[3] for row in editor.topology.cells[2:]]", "['Chiayi', 'Chiayi', 'Chiayi']"
    )
    press(lab, "Control+x")
    wait_kernel(lab, "[row[3] for row in editor.topology.cells[2:]]", "['', '', '']")
    assert clipboard(lab) == "Chiayi\nChiayi\nChiayi"


def test_filter_by_column_and_sort_by_two(lab, folder):
    """Users can filter by words, by words in one column, by excluded words and by quoted phrases.

    A click with Shift sorts by a second column.
    """
    open_editor(lab, folder)
    find = lab.field("Filter servers")
    for text, count in [
        ("role:Mediation", 2),
        ("-site:Taipei", 2),
        ("role:FrontEnd -server:fe01", 1),
        ('site:"Taipei" contoso', 3),
        ('issuer:""', 5),
        ("role:", 5),
        ("http://nowhere", 0),
    ]:
        find.fill(text)
        lab.page.get_by_text(f"{count} of 5 servers shown").wait_for()
    lab.page.get_by_text("the table has no column “http”").wait_for()
    find.fill("")
    heading = lab.page.get_by_role("columnheader")
    heading.get_by_role("button", name="Site").click()
    heading.get_by_role("button", name="Server").click(modifiers=["Shift"])
    heading.get_by_role("button", name="Server").click(modifiers=["Shift"])
    lab.page.get_by_text("Sorted by Site; then by Server, descending").wait_for()
    cell_texts = lab.page.locator(
        ".lc-servers .lc-row [role=gridcell]:nth-child(2)"
    ).all_inner_texts()
    order = [text.split(".")[0] for text in cell_texts if text.strip()]
    rows = lab.page.evaluate(
        "[...document.querySelectorAll('.lc-servers .lc-body .lc-row')].filter(e => !e.hidden)"
        ".sort((a, b) => a.getAttribute('aria-rowindex') - b.getAttribute('aria-rowindex'))"
        ".map(e => e.children[1].innerText.split('.')[0])"
    )
    assert sorted(order) == sorted(rows)
    assert rows.pop() == "New server"
    assert rows == ["med02", "med01", "fe02", "fe01", "dir01"]


def test_the_layout_survives_a_reload(lab, folder):
    """After a reload, the table has the same columns with the same widths. If the page opens the
    same table, the sort order is also the same.
    """
    open_editor(lab, folder)
    heading = lab.page.get_by_role("columnheader", name="Site")
    before = heading.bounding_box()["width"]
    grip = heading.locator(".lc-grip").bounding_box()
    lab.page.mouse.move(grip["x"] + 4, grip["y"] + 8)
    lab.page.mouse.down()
    lab.page.mouse.move(grip["x"] + 94, grip["y"] + 8, steps=5)
    lab.page.mouse.up()
    wide = heading.bounding_box()["width"]
    assert wide > before + 60
    heading.get_by_role("button").focus()
    press(lab, "Alt+ArrowRight", "Enter")
    wider = heading.bounding_box()["width"]
    assert wider == pytest.approx(wide + 16, abs=1)
    lab.page.locator(".lyncnb summary", has_text="Columns").click()
    lab.page.get_by_role("checkbox", name="SIP domains", exact=True).check()
    path = lab.save()
    lab.reload()
    lab.page.get_by_role("columnheader", name="SIP domains").wait_for()
    assert heading.bounding_box()["width"] == pytest.approx(wider, abs=1)
    expect(heading).to_have_attribute("aria-sort", "ascending")
    # The saved notebook contains no information about the layout.
    assert "descending" not in path.read_text()
    # The column of servers stays visible when the table is scrolled sideways.
    server = lab.page.get_by_role("columnheader", name="Server").bounding_box()["x"]
    lab.page.locator(".lc-servers .lc-grid").evaluate("e => { e.scrollLeft = 300; }")
    assert lab.page.get_by_role("columnheader", name="Server").bounding_box()["x"] == server
    # After another table is opened, the columns and their widths are the same, but the sort order
    # is not.
    write_notebook(folder / "test.ipynb", EDITOR.format(table="middle.csv"))
    lab.reload()
    # A cell that runs before the kernel is ready does not show an editor.
    lab.js("await panel.sessionContext.ready;")
    lab.run_all()
    lab.page.get_by_role("columnheader", name="SIP domains").wait_for()
    expect(heading).not_to_have_attribute("aria-sort", "ascending")


def test_the_list_of_columns_fits_next_to_the_file_browser(lab, folder):
    """If the page is at most 1280 pixels wide and the file browser is open, users can still select
    every check box in the list of columns.
    """
    before = lab.page.viewport_size
    open_editor(lab, folder)
    lab.page.locator(".lyncnb summary", has_text="Columns").click()
    for width in (
        1280,
        980,
        760,
        560,
        # The width that the file browser and the zoom leave for the notebook on a screen of 1280
        # pixels.
    ):
        lab.page.set_viewport_size({"width": width, "height": 800})
        hidden = lab.page.locator(".lc-picker-list input").evaluate_all(
            """boxes => boxes.filter((box) => {
              box.scrollIntoView({ block: "nearest" });
              const { x, y, width, height } = box.getBoundingClientRect();
              return document.elementFromPoint(x + width / 2, y + height / 2) !== box;
            }).map((box) => box.parentElement.textContent)"""
        )
        assert (width, hidden) == (width, [])
    lab.page.set_viewport_size(before)


def test_list_items_are_edited_on_separate_lines(lab, folder):
    """Users edit SIP domains on separate lines. Alt+Enter adds a line, and Enter saves the list."""
    open_editor(lab, folder)
    lab.page.locator(".lyncnb summary", has_text="Columns").click()
    lab.page.get_by_role("checkbox", name="SIP domains", exact=True).check()
    lab.page.locator(".lyncnb summary", has_text="Columns").click()
    cell_of(lab, "fe01.contoso.com", "SIP domains").dblclick()
    box = lab.page.get_by_label("SIP domains of fe01.contoso.com")
    expect(box).to_have_value("contoso.com\nfabrikam.com")
    press(lab, "Control+End", "Alt+Enter")
    lab.page.keyboard.type("litwareinc.com")
    press(lab, "Enter")
    wait_kernel(
        lab,
        "' '.join(map(str, editor.topology.sip_domains))",
        "contoso.com fabrikam.com litwareinc.com",
    )
    box.wait_for(state="detached")


def test_leave_a_pool_copy_servers_and_create_a_pool(lab, folder):
    """In the editor, users can move servers out of their pool, copy servers, and create a new pool."""
    open_editor(lab, folder)
    set_cell(lab, "fe02.contoso.com", "Role", "Mediation")
    lab.button("Remove the changed servers from the pool").click()
    wait_kernel(lab, "editor.topology.cells[1][1:3]", "('Mediation', '')")
    expect(lab.page.locator(":focus")).to_have_attribute("role", "grid")
    press(lab, "Control+z")
    wait_kernel(lab, "editor.is_saved", "True")
    lab.page.get_by_label("Select fe02.contoso.com").check()
    # Servers that are selected with their check boxes can leave their pool in the same way. The
    # focus then returns to the button.
    lab.field("New Role").select_option("Mediation")
    lab.button("Set for 1 server").click()
    lab.button("Remove the changed servers from the pool").click()
    wait_kernel(lab, "editor.topology.cells[1][1:3]", "('Mediation', '')")
    expect(lab.button("Set for 1 server")).to_be_focused()
    lab.button("Undo").click()
    wait_kernel(lab, "editor.is_saved", "True")
    lab.page.get_by_text("More actions for the selected servers").click()
    lab.button("Duplicate 1 server with the next number").click()
    lab.page.get_by_label("Select fe03.contoso.com").wait_for()
    lab.page.get_by_label("Select fe03.contoso.com").check()
    lab.field("Name of the new pool").fill("pool02.contoso.com")
    lab.button("New pool with 2 servers").click()
    wait_kernel(lab, "[str(p.fqdn) for p in editor.topology.pools if p.role == 'FrontEnd']",
                "['pool.contoso.com', 'pool02.contoso.com']")  # fmt: skip
    # The previous pool keeps its values.
    assert kernel(lab, "editor.topology.cells[0][7]") == "web.contoso.com"


def test_the_plan_by_certificate_and_by_name(lab, folder):
    """The list of certificates shows the names on each certificate, and combines certificates that
    have the same names.

    A name is shown with its certificates and reasons.
    """
    open_editor(lab, folder)
    lab.tab("Certificates").click()
    block = lab.page.locator(".lc-block").filter(has_text="fe01.contoso.com").first
    block.get_by_text(
        "fe02.contoso.com: the same names, but with the server's own name."
    ).wait_for()
    expect(block.locator(".lc-own")).to_have_text("fe01.contoso.com", use_inner_text=True)
    lab.tab("By name").click()
    lab.field("Find names").fill("lyncdiscover")
    lab.page.get_by_text(re.compile(r"^\d+ of \d+ different names")).first.wait_for()
    table = lab.page.get_by_role("region", name="Names, their certificates, and the reasons")
    table.get_by_text("lyncdiscoverinternal.contoso.com").first.wait_for()
    expect(table).not_to_contain_text("web.contoso.com", use_inner_text=True)
    table.get_by_role("button", name="dir01.contoso.com").first.click()
    lab.page.get_by_label("Select dir01.contoso.com").wait_for()
    expect(lab.page.get_by_label("Select dir01.contoso.com")).to_be_checked()


def test_changes_show_their_effects_on_certificates(lab, folder):
    """The Changes tab shows the counts before and after a change, and the added and removed names.
    Undo clears the tab.
    """
    open_editor(lab, folder)
    lab.tab("Deployment").click()
    domains = lab.page.get_by_label("SIP domains", exact=True).last
    domains.fill("contoso.com")
    domains.press("Tab")
    live = lab.page.locator(".lc-live")
    live.get_by_text("->").first.wait_for()
    expect(live).to_contain_text("(-", use_inner_text=True)
    lab.page.locator(".lc-said").get_by_text("->").wait_for()
    lab.tab("Changes").click()
    effects = lab.page.get_by_role("region", name="Effects on certificates and names")
    effects.get_by_text("sip.fabrikam.com").first.wait_for()
    expect(effects).to_contain_text("name removed", use_inner_text=True)
    lab.page.get_by_text("to be requested again").first.wait_for()
    lab.button("Undo").click()
    lab.page.get_by_text("Nothing has changed since the file was loaded.").wait_for()
    expect(live).not_to_contain_text("->", use_inner_text=True)


def test_the_list_of_keys_and_the_tab_key(lab, folder):
    """The question mark key opens the list of keyboard shortcuts. When the list closes, the focus
    returns to the cell.

    Tab treats the headings as one stop.
    """
    open_editor(lab, folder)
    click(lab, "fe01.contoso.com", "Site")
    press(lab, "?")
    dialog = lab.page.get_by_role("dialog", name="Keyboard shortcuts of the plan editor")
    dialog.wait_for()
    expect(dialog).to_contain_text("Ctrl+D", use_inner_text=True)
    press(lab, "Escape")
    dialog.wait_for(state="hidden")
    expect(lab.page.locator(":focus")).to_have_attribute("role", "grid")
    # Tab moves to the next cell. After Escape, Tab moves the focus out of the table.
    press(lab, "Tab")
    expect(lab.page.locator(".lc-active")).to_have_attribute("aria-colindex", "6")
    press(lab, "Escape", "Tab")
    expect(lab.page.locator(".lc-head :focus")).to_have_count(1)
    press(lab, "ArrowRight", "ArrowRight")
    expect(lab.page.locator(":focus")).to_have_text(re.compile("^ *Role"), use_inner_text=True)
    press(lab, "Tab")
    expect(lab.page.locator(".lc-grid:focus, .lc-grid :focus")).to_have_count(0)


def test_a_thousand_rows_are_pasted(lab, folder):
    """Pasting 1,000 rows is a single undo step, and all rows are added at the end of the table."""
    (folder / "few.csv").write_text(table_of(2))
    open_editor(lab, folder, table="few.csv")
    rows = "\n".join(f"n{n:04d}.contoso.com\tMediation\t\tTainan" for n in range(1000))
    clipboard(lab, rows)
    lab.page.get_by_role("grid").focus()
    press(lab, "Control+End", "Home")
    press(lab, "ArrowDown", "Control+v")
    lab.page.get_by_text("1,002 of 1,002 servers shown").wait_for()
    assert kernel(lab, "len(editor.past)") == "1"
