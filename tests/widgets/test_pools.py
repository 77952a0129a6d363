"""On the Pools tab, users can edit a pool with mouse or keyboard, and each edit applies to all
servers of the pool.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from lab_driver import CHROMIUM, LabBrowser
from lab_panels import kernel, open_editor, set_cell, wait_kernel
from playwright.sync_api import expect
from printing import axe_violations

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]

TABLE = """server_fqdn,role,pool_fqdn,site,web_external_fqdn,backup_pool,sip_domains
fe01.litware.local,FrontEnd,pool01.litware.local,Hamburg,web.litware.com,,litware.com
fe02.litware.local,FrontEnd,pool01.litware.local,Hamburg,,,
fe01.litware.local,Mediation,pool01.litware.local,Hamburg,,,
fe02.litware.local,Mediation,pool01.litware.local,Hamburg,,,
fe11.litware.local,FrontEnd,pool02.litware.local,Bremen,web2.litware.com,pool01.litware.local,
fe12.litware.local,FrontEnd,pool02.litware.local,Bremen,,,
edge-a.litware.local,Edge,edges.litware.local,Hamburg,,,
edge-b.litware.local,Edge,edges.litware.local,Hamburg,,,
se01.litware.local,StandardEdition,,Kiel,web3.litware.com,,
"""
COLUMN = """' '.join(row[editor.topology.columns.index({name!r})].split('.')[0] or '-'
  for row in editor.topology.cells)"""


@pytest.fixture(scope="module")
def opened(server, chromium, pages, folder):
    """Return a page with an editor of four pools, which all tests in this file share."""
    (folder / "pools.csv").write_text(TABLE)
    lab = pages.pop() if pages else LabBrowser(server, browser=chromium, seconds=10).start()
    lab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_editor(lab, folder, table="pools.csv")
    yield lab
    errors, broken = lab.errors(), lab.cell_errors()
    lab.shut_down()
    pages.append(lab)
    assert (errors, broken) == ([], [])


@pytest.fixture
def lab(opened):
    """Return the page with the Pools tab, and with the table in its original state."""
    kernel(opened, "editor.reset()")
    opened.page.get_by_text("as loaded", exact=True).wait_for()
    opened.page.get_by_role("tab", name="Pools").click()
    return opened


def column(lab: LabBrowser, name: str) -> str:
    """Return the first DNS label of each text in a column, separated by spaces."""
    return kernel(lab, COLUMN.format(name=name))


def cell(lab: LabBrowser, pool: str, heading: str, role: str = ""):
    """Find a cell in the table of pools."""
    grid = lab.page.get_by_role("grid", name="Pools in the topology")
    heads = grid.get_by_role("columnheader").all_inner_texts()
    column = next(n for n, text in enumerate(heads) if text.strip(" ▲▼\n") == heading)
    row = grid.get_by_role("row").filter(has_text=f"{pool}.litware.local").filter(has_text=role)
    return row.first.get_by_role("gridcell").nth(column)


def press(lab: LabBrowser, *keys: str) -> None:
    """Press keys on the keyboard, one after another."""
    for key in keys:
        lab.page.keyboard.press(key)


def wait_for_message(lab: LabBrowser, text: str) -> None:
    """Wait until the editor shows the given message."""
    lab.page.locator(".lc-said").get_by_text(text).wait_for()


def test_each_pool_has_one_row_with_its_values(lab):
    """The table of pools shows the role, the site, the number of servers, and the names of each
    pool.
    """
    expect(cell(lab, "pool01", "Role")).to_have_text("FrontEnd")
    expect(cell(lab, "pool01", "Role", "Mediation")).to_have_text("Mediation")
    expect(cell(lab, "pool01", "Servers")).to_have_text("2")
    expect(cell(lab, "pool01", "External web FQDN")).to_have_text("web.litware.com")
    expect(cell(lab, "pool02", "Backup pool")).to_have_text("pool01.litware.local")
    expect(cell(lab, "se01", "Servers")).to_have_text("1")
    lab.page.get_by_text("5 of 5 pools shown").wait_for()
    assert axe_violations(lab.page, inside=".lc-editor") == []
    lab.page.get_by_label("Filter pools").fill("site:hamburg -role:edge")
    lab.page.get_by_text("2 of 5 pools shown").wait_for()
    lab.page.get_by_label("Filter pools").fill("")


def test_a_pool_is_renamed_by_keyboard_with_all_its_rows(lab):
    """If a user renames a pool, all of its rows change, and so do the pools that use it as a backup
    pool.
    """
    cell(lab, "pool01", "Pool").click()
    press(lab, "F2", "Control+a")
    lab.page.keyboard.type("pool09.litware.local")
    press(lab, "Enter")
    wait_for_message(lab, "renamed pool pool01.litware.local to pool09.litware.local")
    assert column(lab, "pool_fqdn") == "pool09 pool09 pool09 pool09 pool02 pool02 edges edges -"
    assert column(lab, "backup_pool") == "- - - - pool09 - - - -"
    press(lab, "Control+z")
    wait_kernel(lab, COLUMN.format(name="backup_pool"), "- - - - pool01 - - - -")
    expect(cell(lab, "pool01", "Pool")).to_be_visible()


def test_a_pool_name_in_use_merges_two_pools(lab):
    """If a user gives a pool the name of another pool, the two pools become one, in a single step."""
    cell(lab, "pool02", "Pool").dblclick()
    press(lab, "Control+a")
    lab.page.keyboard.type("pool01.litware.local")
    press(lab, "Enter")
    # The external web names of the two pools differ, so the editor rejects the new pool name. The
    # cell stays open and shows the reason.
    expect(lab.page.locator(".lc-bubble:visible")).to_contain_text("Not done")
    press(lab, "Escape")
    expect(cell(lab, "pool02", "Pool")).to_be_visible()
    cell(lab, "pool02", "External web FQDN").click()
    press(lab, "Delete")
    wait_for_message(lab, "cleared")
    cell(lab, "pool02", "Backup pool").click()
    press(lab, "Delete")
    wait_kernel(lab, COLUMN.format(name="backup_pool") + ".count('pool')", "0")
    cell(lab, "pool02", "Site").click()
    lab.page.keyboard.type("Hamburg")
    press(lab, "Enter")
    wait_for_message(lab, "Site of pool pool02.litware.local: Hamburg")
    cell(lab, "pool02", "Pool").dblclick()
    press(lab, "Control+a")
    lab.page.keyboard.type("pool01.litware.local")
    press(lab, "Enter")
    wait_for_message(lab, "merged pool pool02.litware.local into pool01.litware.local")
    expect(cell(lab, "pool01", "Servers")).to_have_text("4")


def test_buttons_add_move_and_rename_with_one_click(lab):
    """One click on a button adds the next server to a pool, or opens the site or the name of the
    pool for editing.
    """
    cell(lab, "pool01", "Role").click()
    buttons = lab.page.get_by_role("group", name="Change pool01.litware.local, FrontEnd")
    buttons.get_by_role("button", name="Add a server").click()
    wait_for_message(lab, "added")
    assert (
        column(lab, "server_fqdn") == "fe01 fe02 fe01 fe02 fe11 fe12 edge-a edge-b se01 fe03 fe03"
    )
    assert column(lab, "pool_fqdn").endswith("pool01 pool01")
    expect(cell(lab, "pool01", "Servers")).to_have_text("3")
    cell(lab, "pool02", "Role").click()
    lab.button("Move to another site").click()
    press(lab, "Control+a")
    lab.page.keyboard.type("Kiel")
    press(lab, "Enter")
    wait_for_message(lab, "Site of pool pool02.litware.local: Kiel")
    assert column(lab, "site").split()[4:6] == ["Kiel", "Kiel"]
    cell(lab, "edges", "Role").click()
    lab.button("Rename").click()
    expect(lab.page.get_by_label("Pool of edges.litware.local")).to_be_focused()
    press(lab, "Escape")
    press(lab, "Shift+F10")
    lab.page.get_by_role("menuitem", name="Show the servers").click()
    lab.page.get_by_text("2 servers selected", exact=False).wait_for()


def test_a_server_without_a_number_is_entered_in_the_form(lab):
    """If the server names contain no number, the form for a new server opens and already contains
    the values of the pool.
    """
    cell(lab, "edges", "Role").click()
    press(lab, "Control++")
    expect(lab.page.get_by_label("Server", exact=True)).to_be_focused()
    expect(lab.page.get_by_role("form", name="Add a server").get_by_label("Pool")).to_have_value(
        "edges.litware.local"
    )
    lab.page.keyboard.type("edge-c.litware.local")
    press(lab, "Enter")
    wait_for_message(lab, "added edge-c.litware.local")
    assert column(lab, "pool_fqdn").endswith("edges")


def test_a_single_server_is_not_a_pool(lab):
    """Users cannot add a second server to a server without a pool. The panel shows the reason."""
    cell(lab, "se01", "Role").click()
    lab.button("Add a server").click()
    lab.page.get_by_text("se01.litware.local is a single server, not a pool").wait_for()
    assert column(lab, "server_fqdn").count("se") == 1


def test_pasted_texts_change_pools(lab):
    """If a user pastes texts into the table of pools, all servers of these pools change. lyncnb
    reports rows that are pasted below the last pool.
    """
    cell(lab, "edges", "Site").click()
    lab.page.evaluate("text => navigator.clipboard.writeText(text)", "Ulm\r\nTrier\r\nCelle\r\n")
    press(lab, "Control+v")
    wait_kernel(lab, COLUMN.format(name="site") + ".split()[6:]", "['Ulm', 'Ulm', 'Trier']")
    wait_for_message(lab, "pasted 3 cells of 3 servers")
    press(lab, "Control+z")
    wait_for_message(lab, "Undone: ")
    cell(lab, "pool02", "External web FQDN").click()
    press(lab, "Delete")
    wait_kernel(lab, COLUMN.format(name="web_external_fqdn"), "web - - - - - - - web3")


def test_removing_a_pool_removes_its_servers(lab):
    """Ctrl+Minus removes a pool with its servers, and one Undo restores them."""
    cell(lab, "pool02", "Role").click()
    press(lab, "Control+-")
    wait_for_message(lab, "removed pool pool02.litware.local")
    assert column(lab, "server_fqdn") == "fe01 fe02 fe01 fe02 edge-a edge-b se01"
    press(lab, "Control+z")
    wait_kernel(lab, COLUMN.format(name="server_fqdn") + ".count('fe1')", "2")


def test_a_rejected_role_offers_all_servers_of_the_pool(lab):
    """If a user enters a role that differs from the role of the server's pool, the panel offers two
    buttons. One of them changes all servers of the pool.
    """
    lab.page.get_by_role("tab", name="Servers").click()
    set_cell(lab, "fe11.litware.local", "Role", "Director")
    lab.button("Change all servers in the pool").click()
    wait_for_message(lab, "Role of pool pool02.litware.local: Director")
    assert column(lab, "role").split()[4:6] == ["Director", "Director"]
    press(lab, "Control+z")
    wait_kernel(lab, COLUMN.format(name="role") + ".split()[4:6]", "['FrontEnd', 'FrontEnd']")
    set_cell(lab, "fe11.litware.local", "Site", "Kiel")
    lab.button("Change all servers in the pool").click()
    wait_for_message(lab, "Site of pool pool02.litware.local: Kiel")
    assert column(lab, "site").split()[4:6] == ["Kiel", "Kiel"]
