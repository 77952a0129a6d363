"""A planner page creates keys and requests, and offers the request folder as an archive."""

from __future__ import annotations

import json
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from lab_driver import CHROMIUM
from playwright.sync_api import expect
from printing import axe_in_both_themes
from shell_kit import make_shell
from topologies import TWO_FRONT_ENDS

from lyncnb.request_folder.manifest import read_manifest

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]

shell = pytest.fixture(make_shell)

PASSPHRASE = "correct unicorn magnet dwarf"
# A script that records every message to the web worker.
SPY = """
window.sent = [];
const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message, ...rest) {
  window.sent.push(JSON.stringify(message, (_, value) => ArrayBuffer.isView(value) ? "bytes" : value));
  return post.call(this, message, ...rest);
};
"""


ECDSA = """\
hash = "sha512"
[key]
algorithm = "ECDSA"
bits = 521
"""
ACCEPTED = """\
[accepted]
oauth-key-too-small = "a test"
"""


@pytest.fixture
def planner(built_page, shell, open_page, request):
    """Return an open planner page with a small plan. The page records its messages to the web
    worker.
    """
    shell.write("contoso.csv", TWO_FRONT_ENDS)
    options = shell.write("options.toml", getattr(request, "param", ""))
    result = shell("page", "contoso.csv", "--options", options, "-o", "planner.html")
    assert result.status == 0, result.err
    planner = open_page(shell.folder / "planner.html", init=SPY)
    planner.page.locator("#page-requests summary").click()
    return planner


def press(planner, first: str, repetition: str) -> None:
    """Enter the passphrase and its repetition, and click the button that creates the requests."""
    planner.page.get_by_label("Passphrase", exact=True).fill(first)
    planner.page.get_by_label("Repeat the passphrase").fill(repetition)
    planner.page.get_by_role("button", name="Create requests").click()


@pytest.mark.parametrize("planner", ["", ECDSA + ACCEPTED], ids=["RSA", "ECDSA"], indirect=True)
def test_the_page_makes_a_request_folder(planner, shell):
    """The commands accept the request folder that the page created. The page neither sent nor
    stored a secret.
    """
    page = planner.page
    press(planner, PASSPHRASE, PASSPHRASE)
    button = page.get_by_role("button", name="Download contoso-requests.zip")
    expect(button).to_be_focused(timeout=60_000)
    expect(page.locator("#page-state")).to_contain_text(
        "3 requests of contoso.csv are ready. Download the archive"
    )
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.type), dialog.dismiss()))
    page.close(run_before_unload=True)
    page.wait_for_timeout(300)
    assert dialogs == ["beforeunload"]
    download = planner.download(button.click)
    expect(page.locator("#page-state")).to_contain_text("Downloaded: contoso-requests.zip.")
    download.save_as(shell.folder / download.suggested_filename)
    subprocess.run(["unzip", "-q", download.suggested_filename], check=True, cwd=shell.folder)
    check_silence(page, shell.folder / "requests")
    page.close(run_before_unload=True)
    assert dialogs == ["beforeunload"]
    secret = shell.write("passphrase.txt", PASSPHRASE)
    result = shell("status", "requests")
    assert (result.status, "3 waiting" in result.out) == (0, True), result.err
    options = ("--options", "options.toml", "--passphrase-file", secret)
    result = shell("request", "contoso.csv", "requests", *options)
    assert (result.status, "3 kept" in result.out) == (0, True), result.err
    assert "changed the permissions" not in result.err


def check_silence(page, folder: Path) -> None:
    """Check that messages to the web worker, form fields, and the browser's storage contain no
    secret.
    """
    sent = page.evaluate("window.sent")
    assert [message for message in sent if PASSPHRASE in message] == []
    manifest = read_manifest(folder)
    keys = [(folder / record.files.key).read_text() for record in manifest.requests]
    lines = [line for key in keys for line in key.splitlines()[1:-1]]
    hidden = [*lines, *(record.key_sha256 for record in manifest.requests)]
    hidden += [record.binding for record in manifest.requests]
    assert [text for text in hidden if any(text in message for message in sent)] == []
    kinds = [json.loads(message)["kind"] for message in sent]
    assert kinds[-2:] == ["requests", "request_files"]
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [
        0,
        0,
        "",
    ]
    assert page.evaluate("indexedDB.databases()") == []
    values = "['first', 'again'].map((id) => document.getElementById(`page-${id}`).value)"
    assert page.evaluate(values) == ["", ""]
    assert PASSPHRASE not in page.content()


@pytest.mark.parametrize(
    ("first", "repetition", "problem"),
    [
        (PASSPHRASE, PASSPHRASE + "s", "The two passphrases are different."),
        ("xq7zw", "xq7zw", "The passphrase has 5 characters, but at least 12 are required"),
        ("contosocontoso", "contosocontoso", "The passphrase is too easy to guess."),
    ],
)
def test_a_wrong_passphrase_makes_no_key(planner, first, repetition, problem):
    """If the passphrase is wrong, the page shows the reason and clears the field."""
    page = planner.page
    press(planner, first, repetition)
    expect(page.locator("#page-problem")).to_contain_text(problem)
    expect(page.get_by_label("Passphrase", exact=True)).to_be_focused()
    expect(page.get_by_label("Passphrase", exact=True)).to_have_value("")
    expect(page.get_by_role("button", name="Download contoso-requests.zip")).to_be_hidden()
    assert first not in page.locator("body").inner_text()


def test_requests_by_keyboard(planner, shell):
    """Users can create and download requests with the keyboard alone, and axe-core reports no
    violation.
    """
    page = planner.page
    assert axe_in_both_themes(page, inside="#page-bar") == []
    page.get_by_label("Passphrase", exact=True).focus()
    page.keyboard.type(PASSPHRASE)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSPHRASE)
    page.keyboard.press("Enter")
    button = page.get_by_role("button", name="Download contoso-requests.zip")
    expect(button).to_be_focused(timeout=60_000)
    assert axe_in_both_themes(page, inside="#page-bar") == []
    download = planner.download(lambda: page.keyboard.press("Enter"))
    download.save_as(shell.folder / "requests.zip")
    with zipfile.ZipFile(shell.folder / "requests.zip") as archive:
        assert len([name for name in archive.namelist() if name.endswith(".key")]) == 3


def test_an_archive_has_the_name_of_its_table(planner, shell):
    """If a user opens another table before downloading the archive, the button and the file still
    have the name of the first table, and a new archive has the name of the other table.
    """
    page = planner.page
    press(planner, PASSPHRASE, PASSPHRASE)
    button = page.get_by_role("button", name="Download contoso-requests.zip")
    expect(button).to_be_focused(timeout=60_000)
    planner.open(shell.write("fabrikam.csv", TWO_FRONT_ENDS.replace("contoso", "fabrikam")))
    page.get_by_role("heading", name="Plan of fabrikam.csv").wait_for()
    assert find_owners(planner.download(button.click)) == {"contoso-requests.zip": {"contoso.com"}}
    press(planner, PASSPHRASE, PASSPHRASE)
    button = page.get_by_role("button", name="Download fabrikam-requests.zip")
    expect(button).to_be_focused(timeout=60_000)
    expect(page.locator("#page-state")).to_contain_text("3 requests of fabrikam.csv are ready.")
    expected = {"fabrikam-requests.zip": {"fabrikam.com"}}
    assert find_owners(planner.download(button.click)) == expected


def find_owners(download) -> dict[str, set[str]]:
    """Return the domains in the summary of a downloaded archive, by the name of the archive."""
    with zipfile.ZipFile(download.path()) as archive:
        summary = archive.read("requests/summary.csv").decode("utf-8-sig")
    return {download.suggested_filename: set(re.findall(r"contoso\.com|fabrikam\.com", summary))}


def test_an_archive_stays_when_a_first_plan_starts(planner):
    """If a user starts a first plan before downloading the archive of requests, the page still
    offers the archive.
    """
    page = planner.page
    press(planner, PASSPHRASE, PASSPHRASE)
    button = page.get_by_role("button", name="Download contoso-requests.zip")
    expect(button).to_be_focused(timeout=60_000)
    page.get_by_role("button", name="Start with questions").click()
    expect(page.get_by_role("button", name="Create requests")).to_be_disabled()
    assert planner.download(button.click).suggested_filename == "contoso-requests.zip"


@pytest.mark.parametrize("planner", [ECDSA], indirect=True)
def test_a_plan_with_errors_makes_no_key(planner):
    """If the plan has an error, such as an OAuth key that is too small, the page shows the error
    and creates no key.
    """
    press(planner, PASSPHRASE, PASSPHRASE)
    problem = planner.page.locator("#page-problem")
    expect(problem).to_contain_text("oauth-key-too-small: the key is ECDSA 521")
