"""On the page of ``lyncnb dash`` in Chromium, a user can create requests from a table, and the page
contacts no other host.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from folders import PASSPHRASE
from free_ports import free_port
from lab_driver import BENIGN, CHROMIUM
from playwright.sync_api import expect

from lyncnb.jupyter.outdated_outputs import DRAFT_FOLDER

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    """Return the empty folder that the page uses as its workspace."""
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def address(workspace):
    """Start the page for a new workspace, and return its address."""
    port = free_port()
    code = (
        f"from lyncnb.jupyter.workspace import open_page as f; f('w', browser=False, port={port})"
    )
    log = workspace / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=workspace,
            env={**os.environ, "JUPYTER_CONFIG_DIR": str(workspace / "config")},
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    end = time.monotonic() + 60
    while not (match := re.search(r"http://\S*token=\w+", log.read_text("utf-8", "replace"))):
        assert process.poll() is None, log.read_text("utf-8", "replace")
        assert time.monotonic() < end, log.read_text("utf-8", "replace")
        time.sleep(0.1)
    yield match[0]
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=60)


@pytest.fixture
def page(address, chromium):
    """Return the open page. After the test, check that it had no error and contacted no other host."""
    hosts, faults = set(), []
    with chromium.new_context(viewport={"width": 1300, "height": 1000}) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address)
        page.get_by_role("button", name="Open the table").wait_for()
        yield page
        text = page.inner_text("body")
    assert "Run All" not in text
    assert "Traceback" not in text
    assert hosts == {address.split("/")[2]}
    benign = [re.compile(pattern) for pattern in BENIGN]
    assert [fault for fault in faults if not any(p.search(fault) for p in benign)] == []


def test_a_table_opens_and_an_invalid_one_gives_an_error(page):
    """The page opens the sample. If a pasted text is not a table, the page shows an error and keeps
    the sample.
    """
    # The kernel reports the name of the table after the page is displayed.
    expect(page.get_by_label("Table in the workspace")).to_have_value("data/contoso.csv")
    page.get_by_role("button", name="Open the table").click()
    page.get_by_label("Select edge01.contoso.net").wait_for()
    page.get_by_role("tab", name="Picture").click()
    page.get_by_role("group", name="connections").wait_for()
    for kind, words in (("coverage", "names on certificates"), ("timeline", "Important dates")):
        page.get_by_label("Which picture").select_option(kind)
        page.get_by_role("group", name=words).wait_for()
    page.get_by_role("tab", name="Certificates").click()
    page.get_by_role("tabpanel", name="Certificates").get_by_text(
        "edgepool01.contoso.net"
    ).first.wait_for()
    page.get_by_role("tab", name="Servers").click()
    page.get_by_label("Pasted rows (instead of a file)").fill("server_fqdn,role\nbad name,SBA\n")
    page.get_by_role("button", name="Open the table").click()
    page.get_by_role("alert").get_by_text("bad name").first.wait_for()
    page.get_by_label("Select edge01.contoso.net").wait_for()
    papers = {"light": "rgb(255, 255, 255)", "dark": "rgb(33, 33, 33)"}
    for scheme, paper in papers.items():  # The page follows the color scheme of the system.
        page.emulate_media(color_scheme=scheme)
        # The page changes its colors with the next frame.
        expect(page.locator(".lc-editor")).to_have_css("background-color", paper)
    page.get_by_role("tab", name="Picture").click()
    page.get_by_label("Which picture").select_option("topology")
    page.get_by_role("group", name="connections").wait_for()
    paper = page.locator(".lc-picture svg .paper")
    expect(paper).to_have_css("fill", "rgb(22, 24, 27)")


def test_a_reload_offers_the_unsaved_edits(page, workspace):
    """If the user reloads the page, Voila starts another kernel, and the page offers the unsaved
    edits as a draft.
    """
    page.get_by_role("button", name="Open the table").click()
    page.get_by_label("Select dir01.contoso.net").check()
    page.get_by_label("Column to set").select_option("site")
    page.get_by_label("New Site").fill("Kaohsiung")
    page.locator(".lc-bulk .lc-primary").first.click()
    page.get_by_text("1 change, not saved").wait_for()
    drafts = workspace / "w" / DRAFT_FOLDER
    end = time.monotonic() + 60  # The page waits a little before it saves a draft.
    while not any(b"Kaohsiung" in draft.read_bytes() for draft in drafts.glob("*.json")):
        assert time.monotonic() < end
        page.wait_for_timeout(100)
    page.reload()
    page.get_by_role("button", name="Open the table").click()
    page.get_by_text("Unsaved draft: 1 change").wait_for()
    page.get_by_role("button", name="Restore", exact=True).click()
    page.get_by_text("1 change, not saved").wait_for()


def test_a_pasted_table_becomes_requests(page, workspace):
    """After a user pastes rows and types a passphrase, the page writes the requests for these rows."""
    rows = "server_fqdn\trole\tsip_domains\nmed01.contoso.com\tMediation\tcontoso.com\n"
    page.get_by_label("Pasted rows (instead of a file)").fill(rows)
    page.get_by_role("button", name="Open the table").click()
    page.get_by_label("Select med01.contoso.com").wait_for()
    page.get_by_label("Passphrase of the folder").fill(PASSPHRASE)
    page.get_by_label("Repeat the passphrase").fill(PASSPHRASE)
    page.get_by_role("button", name="Write 1 request").click()
    page.get_by_text("Finished.").wait_for()
    assert len(list((workspace / "w" / "requests" / "csr").glob("*.csr"))) == 1


def test_without_a_table_the_guide_starts(page, workspace):
    """Without a table, the page shows a button that starts the guide. At the end of the guide, the
    same page shows the files and the editor.
    """
    page.get_by_role("button", name="Answer questions instead").click()
    domains = page.get_by_label("SIP domains").first
    domains.fill("contoso.com")
    domains.press("Tab")
    page.get_by_text("7 certificates for 5 servers").wait_for()
    page.get_by_role("button", name="Go to the plan").click()
    page.get_by_role("button", name="Write the table, options, and answers").click()
    page.get_by_label("Select edge01.contoso.com").wait_for()
    assert (workspace / "w" / "first-plan" / "topology.csv").is_file()
