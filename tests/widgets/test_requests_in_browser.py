"""In a browser, the request panel rejects weak passphrases, and requires a confirmation for the
folder of another deployment.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from folders import PASSPHRASE
from lab_driver import CHROMIUM
from lab_panels import REQUESTS, axe_in_both_themes, kernel, open_panel
from playwright.sync_api import expect
from topologies import STANDARD_EDITION

import lyncnb as ln

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]


def test_a_passphrase_that_is_easy_to_guess_is_refused(lab, folder):
    """If a passphrase is weak, the error appears next to the button, the fields are cleared, and no
    folder is created.
    """
    open_panel(lab, folder, REQUESTS.format(table="small.csv", folder="guessed"))
    first, second = lab.field("Passphrase of the folder"), lab.field("Repeat the passphrase")
    for field in (first, second):
        field.fill("dir01.contoso.com")
    second.press("Enter")
    lab.page.get_by_role("alert").get_by_text("too easy to guess").wait_for()
    expect(first).to_have_value("")
    assert not (folder / "guessed").exists()
    assert axe_in_both_themes(lab) == []


def test_nothing_is_written_if_the_kernel_does_not_respond(lab, folder):
    """If the kernel does not respond for ten seconds, the page never sends the passphrase, and
    lyncnb writes no requests.
    """
    open_panel(lab, folder, REQUESTS.format(table="small.csv", folder="late"))
    process = int(kernel(lab, "__import__('os').getpid()"))
    first, second = lab.field("Passphrase of the folder"), lab.field("Repeat the passphrase")
    os.kill(process, signal.SIGSTOP)
    try:
        for field in (first, second):
            field.fill(PASSPHRASE)
        second.press("Enter")
        lab.wait_text("or the connection is lost")
        lab.page.wait_for_timeout(11_000)
    finally:
        os.kill(process, signal.SIGCONT)
    lab.page.get_by_role("alert").get_by_text("so lyncnb did nothing").wait_for()
    assert not (folder / "late").exists()
    for field in (first, second):
        field.fill(PASSPHRASE)
    second.press("Enter")
    lab.wait_text("Finished.")


def test_a_folder_of_another_deployment_needs_consent(lab, folder):
    """If the folder belongs to another deployment, the Write button is disabled until the user
    confirms that this folder is to be used.
    """
    topology = ln.read_topology(STANDARD_EDITION.replace("contoso.com", "fabrikam.com").encode())
    theirs = ln.plan_certificates(topology, ln.load_rules("lync2013"))
    ln.write_requests(theirs, folder / "theirs", passphrase=PASSPHRASE)
    open_panel(lab, folder, REQUESTS.format(table="small.csv", folder="theirs"))
    panel = lab.page.get_by_role("group", name="Request panel for theirs")
    panel.get_by_text("This folder contains the requests of another deployment").wait_for()
    write = panel.get_by_role("button", name="Write 6 requests")
    expect(write).to_be_disabled()
    consent = panel.get_by_label(
        "Retire the requests for fabrikam.com and write the requests for contoso"
    )
    assert axe_in_both_themes(lab) == []
    panel.get_by_role("button", name="Refresh").focus()
    for _ in range(12):
        if consent.evaluate("it => it === document.activeElement"):
            break
        lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Space")
    expect(consent).to_be_checked()
    expect(write).to_be_enabled()
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.type(PASSPHRASE)
    lab.page.keyboard.press("Enter")
    panel.get_by_text("Finished.").wait_for()
    consent.wait_for(state="hidden")
