"""In the table of servers, users can perform the usual spreadsheet operations with mouse and
keyboard.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from lab_driver import CHROMIUM, LabBrowser
from lab_panels import cell_of, delay_answers, kernel, open_editor, wait_kernel
from playwright.sync_api import expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]

CLIPBOARD = Path(__file__).parent / "clipboard"
WRITE_HTML = """html => navigator.clipboard.write([new ClipboardItem(
  {"text/html": new Blob([html], {type: "text/html"})})])"""
NAMES = "' '.join(row[0].split('.')[0] for row in editor.topology.cells)"
FIVE = "fe01 fe02 dir01 med01 med02"
OPEN_CELL = ".lc-servers .lc-body input:not([type=checkbox])"
TEN = "\r\n".join(f"new{n:02d}.contoso.com\tMediation\t\tTainan" for n in range(10)) + "\r\n"
TEN_NAMES = " ".join(f"new{n:02d}" for n in range(10))


@pytest.fixture(scope="module")
def opened(server, chromium, pages, folder):
    """Return a page with a plan editor for five servers. All tests in this file share the page."""
    lab = pages.pop() if pages else LabBrowser(server, browser=chromium, seconds=10).start()
    lab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_editor(lab, folder)
    yield lab
    errors, broken = lab.errors(), lab.cell_errors()
    lab.shut_down()
    pages.append(lab)
    assert (errors, broken) == ([], [])


@pytest.fixture
def lab(opened):
    """Return the page with the table in its original state."""
    kernel(opened, "editor.reset()")
    opened.page.get_by_text("as loaded", exact=True).wait_for()
    opened.field("Filter servers").fill("")
    return opened


def press(lab: LabBrowser, *keys: str) -> None:
    """Press keys on the keyboard, one after another."""
    for key in keys:
        lab.page.keyboard.press(key)


def click(lab: LabBrowser, server: str, column: str, **options: object) -> None:
    """Click the text of a cell."""
    cell_of(lab, server, column).click(position={"x": 12, "y": 14}, **options)


def find_text_position(lab: LabBrowser, server: str, column: str) -> tuple[float, float]:
    """Return the position of the first letters in a cell, at half the height of their line."""
    box = cell_of(lab, server, column).locator(".lc-text").bounding_box()
    return box["x"] + min(20, box["width"] / 2), box["y"] + box["height"] / 2


def paste(lab: LabBrowser, text: str) -> None:
    """Write a text to the real clipboard, and paste it with the keyboard."""
    lab.page.evaluate("text => navigator.clipboard.writeText(text)", text)
    press(lab, "Control+v")


def wait_for_message(lab: LabBrowser, text: str) -> None:
    """Wait until the editor shows the given text."""
    lab.page.locator(".lc-said").get_by_text(text).wait_for()


def find_right_edge(heading) -> tuple[float, float]:
    """Return a point on the right edge of a column heading."""
    box = heading.bounding_box()
    return box["x"] + box["width"] - 3, box["y"] + box["height"] / 2


def active_cell(lab: LabBrowser):
    """Return the active cell in a visible row. Hidden rows can contain a cell that was active
    earlier.
    """
    return lab.page.locator(".lc-servers .lc-row:not([hidden]) .lc-active")


def new_row(lab: LabBrowser):
    """Return the cells with the text "New server" in the blank row at the end of the table."""
    return lab.page.locator(".lc-servers .lc-row:not([hidden]) .lc-wanted", has_text="New server")


# -- new rows


def test_a_paste_replaces_servers_only_after_a_question(lab):
    """If pasted rows would replace servers, the editor asks first. Each button has the effect that
    its text describes.
    """
    click(lab, "med02.contoso.com", "Server")
    paste(lab, TEN)
    question = lab.page.get_by_role("dialog", name="This paste replaces 1 server")
    expect(question).to_contain_text("med02.contoso.com -> new00.contoso.com", use_inner_text=True)
    press(lab, "Escape")
    question.wait_for(state="hidden")
    expect(lab.page.locator(":focus")).to_have_attribute("role", "grid")
    assert kernel(lab, NAMES) == FIVE
    press(lab, "Control+v")
    expect(question.get_by_role("button", name="Add 10 servers")).to_be_focused()
    press(lab, "Enter")
    wait_for_message(lab, "pasted: added 10 servers (new00.contoso.com, new01.contoso.com")
    assert kernel(lab, NAMES) == f"{FIVE} {TEN_NAMES}"
    press(lab, "Control+z")
    wait_kernel(lab, NAMES, FIVE)
    click(lab, "med02.contoso.com", "Server")
    press(lab, "Control+v")
    question.get_by_role("button", name="Replace 1 server").click()
    wait_for_message(lab, "replaced med02.contoso.com with new00.contoso.com")
    wait_for_message(lab, "added 9 servers (new01.contoso.com")
    assert kernel(lab, NAMES) == f"fe01 fe02 dir01 med01 {TEN_NAMES}"


def test_pasted_headings_are_recognized(lab):
    """If the pasted rows have headings, existing servers are updated and other servers are added."""
    click(lab, "med02.contoso.com", "Server")
    paste(
        lab,
        "Computer\tSite name\tRole\tOwner\r\nnew01.contoso.com\tTainan\tMediation\tAnna\r\n"
        "dir01.contoso.com\tYilan\tDirector\tAnna\r\n",
    )
    wait_for_message(lab, "added new01.contoso.com; changed 1 cell of 1 server")
    wait_for_message(lab, "pasted without “Owner”, which is not a column of the table")
    assert kernel(lab, NAMES) == f"{FIVE} new01"
    assert kernel(lab, "editor.topology.cells[2][3]") == "Yilan"


def test_servers_are_typed_into_the_blank_row(lab):
    """Users can type a server into the blank row with Tab and Enter, and another blank row appears
    below it.
    """
    click(lab, "fe01.contoso.com", "Site")
    press(lab, "Control+End", "ArrowDown", "Home")
    expect(new_row(lab)).to_be_visible()
    lab.page.keyboard.type("new01.contoso.com")
    press(lab, "Tab")
    expect(lab.page.locator(".lc-wanted", has_text="Enter Role")).to_be_visible()
    lab.page.keyboard.type("med")
    press(lab, "Tab", "Tab")
    lab.page.keyboard.type("Tainan")
    assert kernel(lab, NAMES) == FIVE
    press(lab, "Enter")
    wait_for_message(lab, "added new01.contoso.com")
    lab.page.keyboard.type("new02.contoso.com")
    press(lab, "Tab")
    lab.page.keyboard.type("med")
    press(lab, "Enter")
    wait_for_message(lab, "added new02.contoso.com")
    rows = "[row[:4] for row in editor.topology.cells[5:]]"
    assert kernel(lab, rows) == (
        "[('new01.contoso.com', 'Mediation', '', 'Tainan'), "
        "('new02.contoso.com', 'Mediation', '', '')]"
    )
    expect(lab.page.locator(".lc-servers .lc-row:not([hidden])")).to_have_count(
        9
    )  # The number of rows includes the headings and the blank row.


def test_rows_are_pasted_into_the_blank_row(lab):
    """Rows that are pasted into the blank row are added. A rejected row stays there until the user
    corrects it.
    """
    new_row(lab).click()
    paste(lab, TEN.replace("new03.contoso.com", "new 03").replace("new04.contoso.com", ""))
    lab.page.get_by_text("did not add 1 row").wait_for()
    lab.button("Close this message").first.click()
    added_names = TEN_NAMES.replace(" new03 new04", "")
    expected = f"{FIVE} {added_names}"
    assert kernel(lab, NAMES) == expected
    expect(lab.page.locator(".lc-refused")).to_have_text("Rejected text: new 03")
    expect(lab.page.locator(".lc-wanted", has_text="Enter Server")).to_have_count(1)
    lab.page.locator(".lc-refused").click()
    lab.page.keyboard.type("new03.contoso.com")
    press(lab, "Enter")
    wait_kernel(lab, NAMES, f"{expected} new03")
    press(lab, "Control+z")
    wait_kernel(lab, NAMES, expected)


def test_rows_pasted_into_the_form_add_servers(lab):
    """If a user pastes ten rows into the form "Add a server", ten servers are added."""
    lab.button("Add a server…").click()
    paste(lab, TEN)
    wait_for_message(lab, "added 10 servers")
    assert kernel(lab, NAMES) == f"{FIVE} {TEN_NAMES}"
    expect(lab.page.get_by_role("form", name="Add a server")).to_be_hidden()


# -- The following tests use the list of roles.


def test_letters_select_an_entry_in_the_list_of_roles(lab):
    """A double-click or Alt+Down opens the list of roles. Typed letters select a role, and Enter or
    a click saves it.
    """
    roles = lab.page.get_by_role("listbox", name="Role of med01.contoso.com")
    for _ in range(3):
        lab.page.mouse.dblclick(*find_text_position(lab, "med01.contoso.com", "Role"))
        assert roles.bounding_box()["height"] > 100
        press(lab, "Escape")
        expect(roles).to_have_count(0)
        expect(lab.page.locator(":focus")).to_have_attribute("role", "grid")
    press(lab, "Alt+ArrowDown")
    expect(roles).to_be_visible()
    lab.page.keyboard.type("dir", delay=60)
    expect(roles).to_have_value("Director")
    assert kernel(lab, "editor.topology.cells[3][1]") == "Mediation"
    press(lab, "Enter")
    wait_kernel(lab, "editor.topology.cells[3][1]", "Director")
    click(lab, "med01.contoso.com", "Role")
    lab.page.keyboard.type("rev", delay=60)
    press(lab, "ArrowUp", "Escape")
    assert kernel(lab, "editor.topology.cells[3][1]") == "Director"
    press(lab, "Enter")
    roles.get_by_role("option", name="Mediation –").click()
    wait_kernel(lab, "editor.topology.cells[3][1]", "Mediation")
    expect(roles).to_have_count(0)


# -- the menu


def test_a_right_click_opens_the_menu_of_the_table(lab):
    """A right-click opens a menu with the actions of the table, not of the notebook. Escape returns
    to the cell.
    """
    menu = lab.page.get_by_role("menu", name="Actions for the selected cells")
    lab.page.mouse.click(*find_text_position(lab, "dir01.contoso.com", "Site"), button="right")
    expect(menu.get_by_role("menuitem", name="Copy")).to_be_focused()
    assert lab.page.locator(".lm-Menu").count() == 0
    press(lab, "Escape")
    expect(menu).to_be_hidden()
    expect(lab.page.locator(":focus")).to_have_attribute("role", "grid")
    press(lab, "Escape")
    expect(lab.page.locator(":focus")).to_have_attribute("role", "grid")
    # Users can also copy, clear, paste, and fill down with the keyboard.
    press(lab, "Shift+F10", "Enter")
    wait_for_message(lab, "Copied 1 cell")
    assert lab.page.evaluate("navigator.clipboard.readText()") == "Taipei"
    lab.page.mouse.click(*find_text_position(lab, "dir01.contoso.com", "Site"), button="right")
    menu.get_by_role("menuitem", name="Clear").click()
    wait_kernel(lab, "editor.topology.cells[2][3]", "")
    press(lab, "Shift+F10", "ArrowDown", "ArrowDown", "Enter")
    wait_kernel(lab, "editor.topology.cells[2][3]", "Taipei")
    press(lab, "Shift+ArrowDown", "Shift+F10")
    menu.get_by_role("menuitem", name="Fill down").click()
    wait_kernel(lab, "editor.topology.cells[3][3]", "Taipei")
    press(lab, "Shift+F10")
    menu.get_by_role("menuitem", name="Remove 2 servers").click()
    wait_kernel(lab, NAMES, "fe01 fe02 med02")
    press(lab, "Shift+F10")
    menu.get_by_role("menuitem", name="Insert a row").click()
    lab.page.keyboard.type("new01.contoso.com")
    press(lab, "Tab")
    lab.page.keyboard.type("Dir")
    press(lab, "Enter", "ArrowDown")
    wait_kernel(lab, NAMES, "fe01 fe02 new01 med02")
    lab.page.mouse.click(*find_text_position(lab, "med02.contoso.com", "Site"), button="right")
    menu.get_by_role("menuitem", name="Duplicate 1 server").click()
    wait_kernel(lab, NAMES, "fe01 fe02 new01 med02 med03")


def test_the_menu_shows_the_origin_of_a_value_and_findings(lab):
    """The menu of a cell shows the row from which the cell inherits its value, and the finding
    about its row.
    """
    menu = lab.page.get_by_role("menu", name="Actions for the selected cells")
    lab.page.locator(".lyncnb summary", has_text="Columns").click()
    lab.page.get_by_role("checkbox", name="External web FQDN", exact=True).check()
    lab.page.locator(".lyncnb summary", has_text="Columns").click()
    click(lab, "fe02.contoso.com", "External web FQDN", button="right")
    menu.get_by_role("menuitem", name="Why this value").click()
    reasons = lab.page.get_by_role("dialog", name="External web FQDN of fe02.contoso.com")
    expect(reasons).to_contain_text("belongs to the pool pool.contoso.com", use_inner_text=True)
    expect(reasons).to_contain_text("in the row of fe01.contoso.com", use_inner_text=True)
    expect(reasons).to_contain_text("Certificates of", use_inner_text=True)
    press(lab, "Escape")
    expect(lab.page.locator(":focus")).to_have_attribute("role", "grid")
    click(lab, "fe01.contoso.com", "Site", button="right")
    menu.get_by_role("menuitem", name="Show the finding").click()
    expect(lab.page.locator(".lc-link:focus")).to_have_text("fe01.contoso.com")
    lab.tab("Servers").click()


# -- undo


def test_two_new_rows_with_late_responses(lab):
    """If a user enters two new rows before the kernel responds, the editor adds the valid row and
    still shows the invalid row as rejected.
    """
    lab.js(
        "panel.sessionContext.session.kernel.requestExecute({code: arg});",
        "import time\nwith editor.view.channel.turn: time.sleep(2)",
    )
    click(lab, "fe01.contoso.com", "Site")
    press(lab, "Control+End", "ArrowDown", "Home")
    for name in ("new01.contoso.com", "new 02"):
        lab.page.keyboard.type(name)
        press(lab, "Tab")
        lab.page.keyboard.type("Med")
        press(lab, "Enter")
    wait_kernel(lab, NAMES, "fe01 fe02 dir01 med01 med02 new01")
    expect(lab.page.locator(".lc-refused")).to_contain_text("new 02", use_inner_text=True)


def test_an_open_cell_keeps_its_text_when_an_earlier_row_is_added(lab):
    """If the kernel adds a new row while the user types in another new row, the typed text is kept."""
    with delay_answers(lab, "editor.view"):
        click(lab, "fe02.contoso.com", "Server")
        press(lab, "Control+=")
        lab.page.keyboard.type("new01.contoso.com")
        press(lab, "Tab")
        lab.page.keyboard.type("Med")
        press(lab, "Enter", "End")
        click(lab, "fe02.contoso.com", "Server")
        press(lab, "Control+=")
        lab.page.keyboard.type("new02")
    wait_kernel(lab, NAMES, "fe01 new01 fe02 dir01 med01 med02")
    lab.page.get_by_label("Select new01.contoso.com").wait_for()
    lab.page.keyboard.type(".contoso.com")
    press(lab, "Tab")
    lab.page.keyboard.type("Med")
    press(lab, "Enter", "End")
    wait_kernel(lab, NAMES, "fe01 new01 new02 fe02 dir01 med01 med02")


def test_undo_after_a_rejected_paste_removes_only_the_rejected_texts(lab):
    """After text is rejected, the first Undo only removes this text. The next Undo reverts the last
    change and describes it.
    """
    undo, refused = lab.button("Undo"), lab.page.locator(".lc-refused")
    before = undo.get_attribute("title")
    click(lab, "fe02.contoso.com", "Role")
    paste(lab, "Butler")
    expect(undo).to_have_attribute("title", "Undo: texts that are not in the table")
    undo.click()
    expect(refused).to_have_count(0)
    expect(undo).to_have_attribute("title", str(before))
    click(lab, "med01.contoso.com", "Site")
    paste(lab, "Tainan")
    wait_kernel(lab, "editor.topology.cells[3][3]", "Tainan")
    click(lab, "fe02.contoso.com", "Role")
    paste(lab, "Butler")
    expect(refused).to_contain_text("Butler", use_inner_text=True)
    press(lab, "Control+z")
    expect(refused).to_have_count(0)
    assert kernel(lab, "editor.topology.cells[3][3]") == "Tainan"
    press(lab, "Control+Home", "Control+z")
    wait_for_message(lab, "Undone: Site of med01.contoso.com: Tainan -> Hsinchu")
    cell = active_cell(lab)
    expect(cell).to_have_text("Hsinchu")
    expect(cell).to_have_attribute("aria-colindex", "5")
    press(lab, "Control+Home", "Control+y")
    wait_for_message(lab, "Redone: Site of med01.contoso.com: Hsinchu -> Tainan")
    expect(cell).to_have_text("Tainan✎ (changed)")


# -- other moves


def test_f2_and_ctrl_f(lab):
    """F2 moves the cursor to the end of the cell's text. Ctrl+F opens the search, and Enter moves
    to the cell that was found.
    """
    click(lab, "dir01.contoso.com", "Site")
    press(lab, "F2")
    lab.page.keyboard.type("-2")
    press(lab, "Enter")
    wait_kernel(lab, "editor.topology.cells[2][3]", "Taipei-2")
    press(lab, "Control+f")
    expect(lab.field("Filter servers")).to_be_focused()
    lab.page.keyboard.type("hsin")
    press(lab, "Enter")
    expect(lab.page.locator(":focus")).to_have_attribute("role", "grid")
    expect(active_cell(lab)).to_have_text("Hsinchu")
    lab.field("Filter servers").fill("")
    assert lab.page.locator(".jp-DocumentSearch-overlay").count() == 0


def test_ctrl_plus_and_ctrl_minus(lab):
    """Ctrl+Plus inserts a row above the current row, and Ctrl+Minus removes the selected servers."""
    click(lab, "med01.contoso.com", "Server")
    press(lab, "Shift+ArrowDown", "Control+Minus")
    wait_kernel(lab, NAMES, "fe01 fe02 dir01")
    for number in (1, 2):  # Two rows that are inserted above the same server keep their order.
        click(lab, "fe02.contoso.com", "Server")
        press(lab, "Control+=")
        lab.page.keyboard.type(f"new0{number}.contoso.com")
        press(lab, "Tab")
        lab.page.keyboard.type("Med")
        press(lab, "Enter", "End")
    wait_kernel(lab, NAMES, "fe01 new01 new02 fe02 dir01")
    expect(cell_of(lab, "new02.contoso.com", "Role")).to_contain_text("Mediation")
    press(lab, "Control+z")
    wait_kernel(lab, NAMES, "fe01 new01 fe02 dir01")
    # The first Undo removes an inserted blank row, and the next one the last change of the table.
    rows = lab.page.locator(".lc-servers .lc-row:not([hidden])")
    count = rows.count()
    click(lab, "fe02.contoso.com", "Server")
    press(lab, "Control+=")
    expect(rows).to_have_count(count + 1)
    press(lab, "Control+z")
    expect(rows).to_have_count(count)
    wait_kernel(lab, NAMES, "fe01 new01 fe02 dir01")
    press(lab, "Control+z")
    wait_kernel(lab, NAMES, "fe01 fe02 dir01")
    press(lab, "Control+y")
    wait_kernel(lab, NAMES, "fe01 new01 fe02 dir01")
    click(lab, "fe02.contoso.com", "Server")
    press(lab, "Control+=")
    lab.page.keyboard.type("new03.contoso.com")
    press(lab, "Tab")
    press(lab, "Control+Minus")
    expect(lab.page.locator(".lc-servers .lc-row:not([hidden]) .lc-wanted")).to_have_text(
        "New server"
    )


# -- These tests use ranges, columns, and text from other spreadsheets.


@pytest.mark.parametrize("name", ["calc.html", "calc.txt", "excel.html", "excel.txt"])
def test_cells_of_several_lines_from_other_spreadsheets(lab, name):
    """Rows from LibreOffice Calc and Excel can be pasted, even if cells contain line breaks and
    quotation marks.

    ``calc.*`` are what LibreOffice Calc 25.2 put on the clipboard at a copy. ``excel.*`` are
    written by hand in the form of Excel.
    """
    click(lab, "med02.contoso.com", "Server")
    text = (CLIPBOARD / name).read_text("utf-8")
    if name.endswith(".html"):
        lab.page.evaluate(WRITE_HTML, text)
        press(lab, "Control+v")
    else:
        paste(lab, text)
    wait_for_message(lab, "pasted: added 2 servers (new01.contoso.com and new02.contoso.com)")
    sites = "' | '.join(row[3] for row in editor.topology.cells[5:])"
    assert kernel(lab, sites) == 'Tainan | New "East" site'
    domains = "[row[editor.topology.columns.index('sip_domains')] for row in editor.topology.cells]"
    assert kernel(lab, f"{domains}[5].split(';')") == "['contoso.com', 'fabrikam.com']"
    assert kernel(lab, NAMES) == f"{FIVE} new01 new02"


def test_a_second_range_whole_columns_and_rows(lab):
    """Ctrl+click selects another range. Ctrl+Space selects a column, and Shift+Space selects a row."""
    click(lab, "fe01.contoso.com", "Server")
    press(lab, "Shift+ArrowDown")
    click(lab, "med01.contoso.com", "Server", modifiers=["Control"])
    expect(lab.page.locator(".lc-servers .lc-row:not([hidden]) .lc-chosen")).to_have_count(3)
    press(lab, "Control+c")
    wait_for_message(lab, "Copied 3 cells")
    text = "fe01.contoso.com\nfe02.contoso.com\nmed01.contoso.com"
    assert lab.page.evaluate("navigator.clipboard.readText()") == text
    click(lab, "dir01.contoso.com", "Site")
    click(lab, "med02.contoso.com", "Site", modifiers=["Control"])
    press(lab, "Delete")
    sites = "[row[3] for row in editor.topology.cells]"
    wait_kernel(lab, sites, "['Taipei', 'Taipei', '', 'Hsinchu', '']")
    press(lab, "Control+z")
    wait_for_message(lab, "Undone: cleared 2 cells of 2 servers")
    assert kernel(lab, sites) == "['Taipei', 'Taipei', 'Taipei', 'Hsinchu', 'Hsinchu']"
    press(lab, "Control+Space", "Control+c")
    wait_for_message(lab, "Copied 5 cells")
    copied = lab.page.evaluate("navigator.clipboard.readText()")
    assert copied == "Taipei\nTaipei\nTaipei\nHsinchu\nHsinchu"
    press(lab, "Escape", "Shift+Space")
    wait_for_message(lab, "Selected 1 row")
    press(lab, "Control+c")
    wait_for_message(lab, "Copied ")
    copied = lab.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("fe01.contoso.com\tFrontEnd\tpool.contoso.com")


def test_fill_a_range_and_fit_a_column(lab):
    """Dragging the corner of a range repeats its rows. A double-click on the edge of a heading fits
    the column width.
    """
    click(lab, "fe02.contoso.com", "Site")
    press(lab, "Shift+ArrowDown")
    start = lab.page.locator(".lc-servers .lc-fill").bounding_box()
    last = cell_of(lab, "med02.contoso.com", "Site").bounding_box()
    lab.page.mouse.move(start["x"] + 4, start["y"] + 4)
    lab.page.mouse.down()
    lab.page.mouse.move(last["x"] + 20, last["y"] + 12, steps=6)
    lab.page.mouse.up()
    wait_for_message(lab, "filled 2 cells of 2 servers")
    assert kernel(lab, "[row[3] for row in editor.topology.cells[3:]]") == "['Taipei', 'Taipei']"
    click(lab, "med02.contoso.com", "Site")
    lab.page.keyboard.type("Yilan")
    press(lab, "Enter", "ArrowUp")
    start = lab.page.locator(".lc-servers .lc-fill").bounding_box()
    above = cell_of(lab, "dir01.contoso.com", "Pool").bounding_box()
    lab.page.mouse.move(start["x"] + 4, start["y"] + 4)
    lab.page.mouse.down()
    lab.page.mouse.move(start["x"] - 10, above["y"] + 12, steps=6)
    lab.page.mouse.up()
    wait_for_message(lab, "filled 2 cells of 2 servers")
    assert kernel(lab, "[row[3] for row in editor.topology.cells[2:]]") == str(["Yilan"] * 3)
    heading = lab.page.get_by_role("columnheader", name="Site")
    lab.page.mouse.dblclick(*find_right_edge(heading))
    narrow = heading.bounding_box()["width"]
    click(lab, "med01.contoso.com", "Site")
    lab.page.keyboard.type("A site with a very long name for one column")
    press(lab, "Enter")
    wait_kernel(lab, "editor.topology.cells[3][3][:6]", "A site")
    text = cell_of(lab, "med01.contoso.com", "Site").locator(".lc-text")
    assert text.evaluate("e => e.scrollWidth > e.clientWidth")
    lab.page.mouse.dblclick(*find_right_edge(heading))
    assert heading.bounding_box()["width"] > narrow + 100
    assert not text.evaluate("e => e.scrollWidth > e.clientWidth")
    heading.get_by_role("button").focus()
    press(lab, "Alt+ArrowLeft", "Alt+Enter")
    assert not text.evaluate("e => e.scrollWidth > e.clientWidth")


# -- The following tests select servers or cells, or make changes that lyncnb rejects.


def test_servers_that_the_filter_hides_are_changed_only_on_request(lab):
    """If the filter hides some of the selected servers, an action changes only the visible ones by
    default.
    """
    for server in ("dir01.contoso.com", "med01.contoso.com", "med02.contoso.com"):
        lab.page.get_by_label(f"Select {server}").check()
    lab.field("Filter servers").fill("med02")
    lab.field("Column to set").select_option("site")
    lab.field("New Site").fill("Yilan")
    lab.button("Set for 1 shown server").click()
    sites = "[row[3] for row in editor.topology.cells[2:]]"
    wait_kernel(lab, sites, "['Taipei', 'Hsinchu', 'Yilan']")
    lab.page.get_by_label("also the 2 selected servers not shown").check()
    lab.button("Set for 3 servers").click()
    wait_kernel(lab, sites, "['Yilan', 'Yilan', 'Yilan']")
    lab.field("Filter servers").fill("")
    expect(lab.button("Set for 3 servers")).to_be_enabled()
    lab.button("Clear selection").click()


def test_rejected_changes_are_shown_at_each_cell(lab):
    """If a change of several servers is rejected, each of their cells shows the rejected text with
    the reason. Undo removes the rejected text from all of these cells.
    """
    for server in ("fe01.contoso.com", "med01.contoso.com"):
        lab.page.get_by_label(f"Select {server}").check()
    lab.field("Column to set").select_option("site")
    lab.field("New Site").fill("Yi\u0007lan")
    lab.button("Set for 2 servers").click()
    for server in ("fe01.contoso.com", "med01.contoso.com"):
        expect(cell_of(lab, server, "Site")).to_contain_text("Rejected text")
        assert "Not done" in cell_of(lab, server, "Site").get_attribute("title")
    click(lab, "dir01.contoso.com", "Server")
    press(lab, "Control+z")
    wait_for_message(lab, "lyncnb removed the entries that were not yet in the table")
    expect(cell_of(lab, "med01.contoso.com", "Site")).to_have_text("Hsinchu")
    lab.button("Clear selection").click()


def test_messages_use_headings_and_cover_no_control(lab):
    """The message about rejected rows uses the headings of the table, and does not cover any
    control.
    """
    click(lab, "med01.contoso.com", "Server")
    paste(lab, "bad one\r\nbad two\r\n")
    lab.button("Replace 2 servers").click()
    lab.page.get_by_text("did not change 2 cells").wait_for()
    covered = lab.page.evaluate(
        """() => [...document.querySelectorAll('.lc-servers button, .lc-servers input')]
          .filter((one) => one.checkVisibility() && !one.closest('.lc-grid, .lc-bubble'))
          .filter((one) => { one.scrollIntoView({block: 'center'});
            const { x, y, width, height } = one.getBoundingClientRect();
            const top = document.elementFromPoint(x + width / 2, y + height / 2);
            return top && !one.contains(top) && !top.contains(one); }).map((one) => one.outerHTML)"""
    )
    assert covered == []
    bubble = lab.page.locator(".lc-servers .lc-bubble")
    for text in ("bad one", "bad two"):  # The message shows the reason for the active cell.
        expect(bubble).to_contain_text(text, use_inner_text=True)
        expect(bubble).not_to_contain_text("server_fqdn", use_inner_text=True)
        press(lab, "ArrowDown")
    press(lab, "Escape", "Control+z")


def test_opening_another_table_closes_the_open_cell(lab):
    """If another table is opened, the text in an open cell does not appear in a row of the new
    table.
    """
    click(lab, "fe02.contoso.com", "Server")
    lab.page.keyboard.type("typed")
    expect(lab.page.locator(OPEN_CELL)).to_have_count(1)
    rows = (
        "server_fqdn,role,sip_domains",
        "x1.fabrikam.com,Edge,fabrikam.com",
        "x2.fabrikam.com,Edge,",
    )
    write = f"__import__('pathlib').Path('other.csv').write_text({chr(10).join(rows)!r})"
    kernel(lab, f"({write}, editor.open('other.csv'))")
    lab.page.get_by_label("Select x2.fabrikam.com").wait_for()
    expect(lab.page.locator(OPEN_CELL)).to_have_count(0)
