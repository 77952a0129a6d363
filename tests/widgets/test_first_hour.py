"""In the first hour, a planner needs only the planning notebook, a mouse, a keyboard, and a CSV
file from Excel.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from folders import PASSPHRASE
from lab_driver import CHROMIUM
from lab_panels import cell_of
from playwright.sync_api import expect

from lyncnb.jupyter.workspace import lay_out

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]


@pytest.fixture
def workspace(folder) -> Path:
    """Write a workspace with a table as Excel saves it: with semicolons, a byte order mark and
    three mistakes.
    """
    hour_folder = folder / "hour"
    lay_out(hour_folder)
    table = (hour_folder / "data" / "contoso.csv").read_text()
    table = table.replace(",", "\t").replace(";", ",").replace("\t", ";")
    table = table.replace("webconf.contoso.com", "")
    table = table.replace(",https://meet.fabrikam.com", "")
    table = table.replace(
        "fe03.contoso.net;FrontEnd;eepool01", "fe03.contoso.net;Front End;eepool1"
    )
    path = hour_folder / "data" / "servers.csv"
    path.write_bytes(("\ufeff" + table.replace("\n", "\r\n")).encode())
    return hour_folder


def wait_for_change_count(lab, words: str) -> None:
    """Wait until the editor shows the given text about unsaved changes."""
    lab.page.locator(".lc-editor").get_by_text(words, exact=True).wait_for()


def test_from_a_table_with_mistakes_to_requests(lab, workspace):
    """A planner loads a table, fixes three errors, moves a server, adds a SIP domain, undoes the
    last change, and writes the requests.
    """
    page, keys = lab.page, lab.page.keyboard
    lab.open_notebook(workspace / "notebooks" / "plan.ipynb")
    page.locator(".jp-CodeCell").first.locator(".cm-line").first.click()
    keys.press("Home")
    keys.press("Shift+End")
    keys.type('topology_file = "../data/servers.csv"')
    lab.run_all()
    live, message = page.locator(".lc-editor .lc-live"), page.locator(".lc-said")
    live.get_by_text("2 errors").wait_for()
    live.get_by_text("1 warning").wait_for()

    # The links of two findings open the cells with the mistakes, so that the planner can overwrite
    # the values.
    lab.tab("Findings").click()
    findings = page.get_by_role("tabpanel", name=re.compile("^Findings"))
    blocks = findings.locator(".lc-block")
    blocks.filter(has_text="edge-name-missing").get_by_role("button", name="edge01").click()
    keys.type("webconf.contoso.com")
    keys.press("Enter")
    wait_for_change_count(lab, "1 change, not saved")
    lab.tab("Findings").click()
    blocks.filter(has_text="meet-url-count").get_by_role("button", name="se01").click()
    # The link in the finding opens the row of the first server of the site, but the URLs of the
    # site are in another row.
    page.get_by_role("columnheader", name="Meet URLs").wait_for()
    cell_of(lab, "fe01.contoso.net", "Meet URLs").click()
    for key in ("Enter", "Control+End", "Alt+Enter"):
        keys.press(key)
    keys.type("https://meet.fabrikam.com")
    keys.press("Enter")
    wait_for_change_count(lab, "2 changes, not saved")
    # The third mistake is a misspelled pool name. After that, the planner moves a server to a new
    # pool.
    for changes, server, pool in ((3, "fe03", "eepool01"), (4, "med02", "medpool02")):
        cell_of(lab, f"{server}.contoso.net", "Pool").click()
        keys.type(f"{pool}.contoso.net")
        keys.press("Enter")
        wait_for_change_count(lab, f"{changes} changes, not saved")
    expect(live).to_contain_text(re.compile(r"\d+ -> \d+ names \(\+\d+\)"), use_inner_text=True)
    expect(live).to_contain_text("0 errors", use_inner_text=True)

    lab.tab("Deployment").click()
    domains = page.get_by_role("tabpanel", name="Deployment").get_by_label(
        "SIP domains", exact=True
    )
    expect(domains).to_have_value("contoso.com\nfabrikam.com")
    domains.click()
    keys.press("Control+End")
    keys.type("\nlitwareinc.com")
    keys.press("Tab")
    message.get_by_text(re.compile(r"\d+ -> \d+ names \(\+\d+\)")).wait_for()
    lab.tab("Changes").click()
    effects = page.get_by_role("region", name="Effects on certificates and names")
    effects.get_by_text("sip.litwareinc.com").first.wait_for()
    lab.button("Undo").click()
    message.get_by_text(re.compile(r"\d+ -> \d+ names \(-\d+\)")).wait_for()

    request = page.get_by_role("group", name="Request panel for requests")
    after = request.get_by_text(
        re.compile(r"^(\d+) requests in the folder after the run: \1 created\.$")
    )
    count = int(after.inner_text().split()[0])
    request.get_by_label("Passphrase of the folder").fill(PASSPHRASE)
    request.get_by_label("Repeat the passphrase").fill(PASSPHRASE)
    request.get_by_role("button", name=f"Write {count} requests").click()
    request.get_by_text("Finished.").wait_for()
    assert len(list((workspace / "notebooks" / "requests" / "csr").glob("*.csr"))) == count
    # The notebook cells below the editor show the plan that was written.
    summary = f"{count} requests in the folder requests: {count} created"
    page.locator("caption", has_text=summary).wait_for()
    page.get_by_role("link", name="summary.xlsx").last.wait_for()
