"""A single HTML file can open, edit and save a plan, and write its documents, without a network."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest
from lab_driver import CHROMIUM
from page.documents import expected_documents, plan_of
from page_driver import PlannerPage
from places import DATA, REPOSITORY
from playwright.sync_api import expect
from printing import axe_violations
from shell_kit import make_shell

import lyncnb as ln
from lyncnb.page.session import DOCUMENTS, PageSession
from lyncnb.reports.figures import KINDS
from lyncnb.reports.summary.formats import PLAN_SUFFIXES, write_plan_table

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]

shell = pytest.fixture(make_shell)

RELEASED = REPOSITORY / "dist" / "planner.html"
SAMPLES = ("contoso-zh-TW.csv", "litwareinc-global.csv", "single-server.csv")


@pytest.fixture(scope="module")
def planner(contoso, chromium):
    """Return a page with the sample, which all tests in this file share."""
    context = chromium.new_context(accept_downloads=True)
    shared = PlannerPage(context, contoso)
    yield shared
    context.close()
    assert shared.errors == []


def test_page_and_command_write_the_same_documents(planner):
    """The page's documents and pictures of all samples have the same bytes as those that the
    command writes.
    """
    for table in (DATA / "contoso.csv", *(DATA / name for name in SAMPLES)):
        planner.open(table)
        heading = planner.page.get_by_role("heading", name=f"Plan of {table.name}")
        heading.wait_for()
        documents = {kind: planner.document(kind) for kind in DOCUMENTS}
        expected = expected_documents(plan_of(table))
        assert {kind for kind, (_, data) in documents.items() if data != expected[kind]} == set()
        assert documents[".html"][0] == f"{table.stem}-plan.html"
        assert documents["coverage"][0] == f"{table.stem}-coverage.svg"


def test_a_page_opens_with_its_options(built_page, open_page, shell):
    """If a user writes a page with options, the page opens with these options."""
    options = DATA / "contoso.plan.toml"
    result = shell("page", DATA / "contoso.csv", "--options", options, "-o", "p.html")
    assert result.status == 0, result
    planner = open_page(shell.folder / "p.html")
    expect(planner.page.locator("#page-state")).to_have_text(
        "contoso.csv and contoso.plan.toml are open."
    )
    plan = plan_of(DATA / "contoso.csv", ln.PlanOptions.from_toml(options))
    assert planner.document(".json")[1] == write_plan_table(plan, ln.check_plan(plan), ".json")


def start_with(*names, product=""):
    """Return the sentence with which the page opens files."""
    posts = []
    session = PageSession(lambda kind, parts, buffers=(): posts.append((kind, parts)))
    session.start_session(names, product)
    return next(parts["words"] for kind, parts in posts if kind == "said")


def test_options_of_another_table_are_named(tmp_path, monkeypatch):
    """If the selected options belong to another table, the page names the file that it ignores and
    the name that it expects.
    """
    monkeypatch.chdir(tmp_path)
    Path("grown.csv").write_bytes((DATA / "contoso.csv").read_bytes())
    Path("own.plan.toml").write_text('title = "Own"\n')
    assert start_with("grown.csv", "own.plan.toml") == (
        "grown.csv is open with the default options, because you did not open grown.plan.toml at "
        "the same time. lyncnb did not use own.plan.toml. The options of grown.csv must have the "
        "name grown.plan.toml."
    )


def test_a_file_that_is_no_options_file_is_only_named(tmp_path, monkeypatch):
    """If the page ignores a file that cannot be the options, it does not explain their name."""
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_bytes((DATA / "contoso.csv").read_bytes())
    Path("notes.txt").write_text("Notes")
    assert start_with("t.csv", "notes.txt") == (
        "t.csv is open with the default options, because you did not open t.plan.toml at the same "
        "time. lyncnb did not use notes.txt."
    )
    Path("t.plan.toml").write_text('title = "Own"\n')
    Path("own.toml").write_text('title = "Own"\n')
    assert start_with("t.csv", "t.plan.toml", "own.toml") == (
        "t.csv and t.plan.toml are open. lyncnb did not use own.toml."
    )


def test_the_rules_of_a_product_are_used(tmp_path, monkeypatch):
    """A page for an own product contains the file with its rules, and does not call it unused."""
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_bytes((DATA / "contoso.csv").read_bytes())
    Path("t.plan.toml").write_text('title = "Own"\n')
    Path("own.toml").write_text('product = "own"\ntitle = "Own"\nextends = "lync2013"\n')
    words = start_with("t.csv", "t.plan.toml", "own.toml", product="own.toml")
    assert words == "t.csv and t.plan.toml are open."


def test_scenarios_of_the_page_are_in_no_folder(tmp_path, monkeypatch):
    """The page keeps scenarios in memory. Therefore, the list of scenarios names no folder, and
    says how long they exist.
    """
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_bytes((DATA / "contoso.csv").read_bytes())
    posts = []
    session = PageSession(lambda kind, parts, buffers=(): posts.append((kind, parts)))
    session.start_session(["t.csv"], "")
    session.receive(json.dumps({"type": "keep_scenario", "name": "A", "note": ""}))
    messages = {parts["type"]: parts for kind, parts in posts if kind == "panel"}
    location = "on this page until you close it"
    assert messages["scenarios"]["location"] == location
    assert messages["scenario_done"]["said"] == f"The scenario “A” is {location}."


def test_an_edit_is_saved_as_a_download_and_opened_again(planner, tmp_path):
    """The Save button downloads the table and its options, and the page can open both files again."""
    page = planner.page
    planner.open(DATA / "contoso.csv")
    page.get_by_role("heading", name="Plan of contoso.csv").wait_for()
    planner.tab("Deployment").click()
    page.get_by_label("Organization (O)").fill("Contoso")
    page.keyboard.press("Tab")
    expect(page.locator(".lc-saved")).to_have_text("1 change, not saved")
    draft = planner.download(lambda: planner.press("Download a draft"))
    draft.save_as(tmp_path / "draft.json")
    assert draft.suggested_filename == "contoso-draft.json"
    assert json.loads((tmp_path / "draft.json").read_bytes())["format"] == "lyncnb-draft/1"
    planner.tab("Save and open").click()
    downloads = []
    page.on("download", lambda download: downloads.append(download))
    planner.press("Save")
    expect(page.locator(".lc-saved")).to_have_text("1 change")
    expect(page.locator("#page-state")).to_have_text("Downloaded: contoso.plan.toml")
    page.wait_for_timeout(200)
    names = [download.suggested_filename for download in downloads]
    assert names == ["contoso.csv", "contoso.plan.toml"]
    files = [tmp_path / name for name in names]
    for download, path in zip(downloads, files, strict=True):
        download.save_as(path)
    assert files[0].read_bytes() == ln.read_topology(DATA / "contoso.csv").to_csv()
    assert ln.PlanOptions.from_toml(files[1]).organization == "Contoso"
    planner.open(*files)
    expect(page.locator("#page-state")).to_have_text("contoso.csv and contoso.plan.toml are open.")
    expect(page.locator(".lc-saved")).to_have_text("as loaded")
    planner.tab("Deployment").click()
    expect(page.get_by_label("Organization (O)")).to_have_value("Contoso")


def test_a_draft_continues_on_another_page(contoso, open_page, tmp_path):
    """The user can download unsaved edits as a draft, and continue with the draft on another page."""
    first = open_page(contoso)
    first.tab("Deployment").click()
    first.page.get_by_label("Organization (O)").fill("Contoso")
    first.page.keyboard.press("Tab")
    expect(first.page.locator(".lc-saved")).to_have_text("1 change, not saved")
    expect(first.page.locator("#page-unsaved")).to_have_text("1 unsaved edit")
    draft = first.download(lambda: first.press("Download a draft"))
    draft.save_as(tmp_path / "draft.json")
    second = open_page(contoso)
    expect(second.page.locator("#page-unsaved")).to_have_text("")
    second.open(tmp_path / "draft.json")
    offer = second.page.get_by_role("group", name="Unsaved draft")
    expect(offer).to_contain_text("1 change")
    offer.get_by_role("button", name="Restore").click()
    expect(second.page.locator(".lc-saved")).to_have_text("1 change, not saved")


@pytest.mark.skipif(not RELEASED.is_file(), reason=".ci/release has not built the page")
def test_the_questions_on_the_page_of_a_release_lead_to_a_plan(open_page):
    """The page in the folder of a release, which has no table, asks questions, downloads the first
    files, and opens the plan.
    """
    sums = (RELEASED.parent / "SHA256SUMS").read_text("utf-8")
    assert f"{sha256(RELEASED.read_bytes()).hexdigest()}  planner.html\n" in sums
    page = open_page(RELEASED).page
    page.get_by_label("SIP domains").first.fill("contoso.com")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Go to the plan").click()
    downloads = []
    page.on("download", lambda download: downloads.append(download.suggested_filename))
    page.get_by_role("button", name="Write").first.click()
    page.get_by_role("heading", name="Plan of topology.csv").wait_for()
    expect(page.locator("#page-state")).to_have_text("Downloaded: guide.toml")
    page.wait_for_timeout(200)
    assert downloads == ["topology.csv", "plan.toml", "guide.toml"]


def test_the_browser_stores_nothing(planner):
    """The page stores nothing in the browser, not even the layout of a table."""
    page = planner.page
    planner.tab("Servers").click()
    page.locator("summary", has_text="Columns").click()
    page.get_by_role("checkbox", name="Site", exact=True).click()
    page.keyboard.press("Escape")
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [
        0,
        0,
        "",
    ]
    assert page.evaluate("indexedDB.databases()") == []
    assert planner.context.storage_state()["origins"] == []


def test_a_screen_reader_and_a_keyboard_suffice(contoso, open_page):
    """The page has no violation of accessibility rules, and the tools of the page can be reached
    and used by keyboard.
    """
    planner = open_page(contoso)
    page = planner.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Open a table")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Document", exact=True)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    download = planner.download(lambda: page.keyboard.press("Enter"))
    assert download.suggested_filename == "contoso-plan.xlsx"
    page.get_by_text("Requests", exact=True).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Passphrase", exact=True)).to_be_focused()
    assert axe_violations(page, inside="body") == []


def test_without_a_required_feature_the_plan_is_shown(contoso, chromium):
    """If the browser lacks a required feature, the page shows the plan and the reason why it cannot
    edit it.
    """
    reasons = {
        "delete globalThis.WebAssembly": "This browser cannot run WebAssembly",
        "delete globalThis.DecompressionStream": "This browser is too old for the planner",
        "globalThis.Worker = class { constructor() { throw new Error('no workers here'); } }": (
            "The planner could not start: no workers here"
        ),
    }
    context = chromium.new_context()
    for init, reason in reasons.items():
        stopped = PlannerPage(context, contoso, init=init)
        assert stopped.state == "plan"
        expect(stopped.page.get_by_role("alert")).to_contain_text(reason)
        expect(stopped.page.get_by_role("alert")).to_contain_text("The plan below is complete")
        expect(stopped.page.get_by_role("heading", name="Certificates").first).to_be_visible()
        expect(stopped.page.locator("#page-bar")).to_be_hidden()
        assert axe_violations(stopped.page, inside="body") == []
        stopped.page.close()
    context.close()


def test_the_policy_names_every_script(contoso):
    """The policy of the page allows only scripts whose hash it contains, and allows no connections."""
    text = contoso.read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src 'none'" in policy
    assert "unsafe-eval'" not in policy.replace("'wasm-unsafe-eval'", "")
    scripts = re.findall(r"<script>", text)
    # The script that estimates the strength of a passphrase is added only when it is needed.
    assert policy.count("'sha256-") == len(scripts) + 1
    assert not re.search(r"<script[^>]* src=", text)
    assert len(text.encode()) <= 20_000_000


def test_the_page_offers_every_document():
    """The page offers every document format and picture, except the format that requires
    python-docx.
    """
    assert {*DOCUMENTS} == {*PLAN_SUFFIXES, *KINDS} - {".docx"}
