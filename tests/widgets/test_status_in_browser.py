"""In a browser, the status panel shows errors, the next steps, and differences between the folder
and the plan.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from folders import PASSPHRASE
from lab_driver import CHROMIUM
from lab_panels import EDITOR, STATUS, axe_in_both_themes, open_panel
from playwright.sync_api import expect
from probes.test_with_folder import issued_folder, run_servers, write_server_pem

import lyncnb as ln
from lyncnb.authorities.certificates_on_record import load_issued_certificates

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]

TODAY = date(2026, 11, 24)
FOLLOWING = """from datetime import date
status = ln.StatusPanel(editor, "{folder}", today=date(2026, 11, 24))
status"""


def write_folder(folder: Path, name: str) -> ln.RequestBundle:
    """Write the requests of the small table to a folder next to the notebooks."""
    topology = ln.read_topology(folder / "small.csv")
    plan = ln.plan_certificates(topology, ln.load_rules("lync2013"))
    return ln.write_requests(plan, folder / name, passphrase=PASSPHRASE, today=TODAY)


def test_rejected_certificates_have_one_line_and_one_button(tall_lab, folder):
    """If certificates are rejected, the panel shows a collapsed line for each of them and a single
    button. Users can operate the lines and the button with the keyboard.
    """
    lab = tall_lab
    bundle = write_folder(folder, "refused")
    ln.demo.answer(bundle, folder / "answers", today=TODAY)
    open_panel(lab, folder, EDITOR.format(table="small.csv"), FOLLOWING.format(folder="refused"))
    panel = lab.page.get_by_role("group", name="Status of refused")
    following = panel.locator(".lc-next")
    following.get_by_text("Next step: Send the requests for 6 certificates").wait_for()
    violations = axe_in_both_themes(lab)
    go = panel.locator(".lc-bar > button.lc-primary").first
    go.focus()
    lab.page.keyboard.press("Enter")
    following.get_by_text(
        "Next step: Send refused-handover.zip to the CA. Wait until the CA issues"
    ).wait_for()
    expect(go).to_have_text("Match the files")
    # If the user pressed Enter again, the action of the button would start.
    expect(go).to_be_focused()
    panel.get_by_label("Files, folders or zip archives from the CA").fill("answers")
    go.focus()
    lab.page.keyboard.press("Enter")
    following.get_by_text("Next step: Ask the CA for another certificate").wait_for()
    assert "serial" not in panel.inner_text()
    blind = panel.locator("summary").filter(
        has_text="(The certificate has no CRL distribution point)"
    )
    blind.focus()
    lab.page.keyboard.press("Enter")
    panel.get_by_text("the certificate has no CRL distribution point").first.wait_for()
    panel.get_by_text("returned/refused/").first.wait_for()
    panel.locator("summary").filter(has_text="Details").click()
    found_now = panel.get_by_role("region", name="Details")
    found_now.get_by_text("Have the certificate reissued with all names").wait_for()
    assert violations + axe_in_both_themes(lab) == []
    panel.get_by_label("Reason to accept crl-distribution-point-absent for").fill(
        "the lab has no list"
    )
    lab.page.keyboard.press("Enter")
    following.get_by_text("Next step: Ask the CA for another certificate").wait_for()
    blind.wait_for(state="detached")
    panel.get_by_role("row").filter(
        has_text="lyncnb refused the certificate (The certificate is missing"
    ).first.wait_for()
    # Users can filter, sort and copy as in the editor's table, but they cannot edit the cells.
    panel.get_by_label("Filter requests").fill("state:waiting")
    panel.get_by_text("of 6 requests shown").wait_for()
    panel.get_by_role("grid").focus()
    lab.page.keyboard.type("x")
    expect(panel.get_by_role("grid").locator("input[type=text]")).to_have_count(0)


def test_packages_and_records_with_every_step_open(lab, folder):
    """axe-core reports no violation when steps 3 to 6 are open and show a password, a rejected
    certificate and a result.
    """
    bundle = write_folder(folder, "packaged")
    for subfolder in ("first", "second"):
        ln.demo.answer(bundle, folder / subfolder, today=TODAY)
        ln.receive(folder / "packaged", folder / subfolder, today=TODAY)
    issued = load_issued_certificates(ln.open_requests(folder / "packaged"), today=TODAY)
    ln.write_pfx(issued, passphrase=PASSPHRASE, today=TODAY)
    open_panel(lab, folder, STATUS.format(folder="packaged"), name="steps.ipynb")
    panel = lab.page.get_by_role("group", name="Status of packaged")
    panel.get_by_text("6 packaged").wait_for()
    for part in panel.locator("details.lc-step").all():
        part.evaluate("e => { e.open = true; }")
    panel.locator("summary", has_text="Password of a package").click()
    opening = panel.get_by_label("The folder's passphrase")
    opening.fill(PASSPHRASE)
    opening.press("Enter")
    panel.locator(".lc-password").wait_for()
    record = panel.get_by_role("button", name="Record 6 certificates")
    panel.get_by_text(
        "This button records that 6 certificates on 5 servers have been in use since 2026-11-24."
    ).wait_for()
    day = panel.get_by_label("In use since")
    today = day.input_value()
    day.fill("")
    record.click()
    panel.get_by_role("alert").get_by_text('Not done: "" is not a date').wait_for()
    violations = axe_in_both_themes(lab)
    day.fill(today)
    record.click()
    panel.locator("summary", has_text="Details (6 rows)").click()
    panel.get_by_role("cell", name="recorded", exact=True).first.wait_for()
    assert violations + axe_in_both_themes(lab) == []


def test_differences_from_the_plan_in_the_editor_are_shown(lab, folder):
    """While the plan in the editor differs from the saved plan, the panel shows what writing the
    plan would change.
    """
    write_folder(folder, "behind")
    open_panel(lab, folder, EDITOR.format(table="small.csv"), FOLLOWING.format(folder="behind"))
    panel = lab.page.get_by_role("group", name="Status of behind")
    panel.get_by_text("Next step: Send the requests for 6 certificates").wait_for()
    expect(panel.locator(".lc-changed-plan")).to_have_text("", use_inner_text=True)
    ticked = panel.get_by_role("row").filter(has_text="FrontEnd")
    ticked.get_by_role("checkbox").first.check()
    lab.page.get_by_label("Select med02.contoso.com").check()
    lab.button("Remove 1 server").click()
    panel.get_by_text("The plan in the editor differs from this folder.").wait_for()
    expect(panel.locator(".lc-changed-plan")).to_contain_text("1 ", use_inner_text=True)
    panel.get_by_role(
        "button", name="Package 1 selected request"
    ).wait_for()  # Changes to the plan do not affect the check boxes of the next step.
    expect(ticked.get_by_role("checkbox").first).to_be_checked()
    lab.button("Undo").click()
    panel.locator(".lc-changed-plan").filter(has_text="another plan").wait_for(state="detached")


def test_probed_certificates_are_recorded_in_the_summary(lab, folder):
    """A user sees the list of hosts, starts a probe, and records its results. The summary then
    lists only what still must be installed.
    """
    plan, requests = issued_folder(folder, "shown")
    ids = [certificate.id for certificate in plan.certificates if certificate.pool]
    pairs = {
        certificate_id: write_server_pem(requests, certificate_id, folder / "pairs")
        for certificate_id in ids
    }
    (folder / "shown-seen.json").unlink(missing_ok=True)
    with run_servers(plan, pairs, folder / "pairs") as hosts:
        open_panel(lab, folder, 'import lyncnb as ln\nln.StatusPanel("shown")', name="shown.ipynb")
        panel = lab.page.get_by_role("group", name="Status of shown")
        panel.get_by_text("3 issued").wait_for()
        panel.locator("summary", has_text="Record installed certificates").click()
        panel.locator("summary", has_text="Check which certificates the servers present").click()
        panel.get_by_label("Hosts file").fill(str(hosts.relative_to(folder)))
        ask = panel.get_by_role("button", name="Ask the servers…")
        ask.click()
        connect = panel.get_by_role("button", name="Connect to 2 hosts")
        expect(connect).to_be_focused()
        expect(panel.locator(".lc-hosts")).to_have_text("fe01.contoso.net, fe02.contoso.net")
        violations = axe_in_both_themes(lab)
        panel.get_by_role("button", name="Do not connect").click()
        expect(connect).to_be_hidden()
        expect(ask).to_be_focused()
        ask.click()
        expect(connect).to_be_focused()
        lab.page.keyboard.press("Enter")
        panel.get_by_text(": 8 as planned; 1 planned certificate cannot be seen").wait_for()
    panel.get_by_role("button", name="Record the certificates that the servers use").click()
    panel.get_by_text("2 generations recorded").wait_for()
    panel.locator("summary", has_text="Details (2 rows)").click()
    panel.get_by_role("cell", name="recorded", exact=True).first.wait_for()
    assert violations + axe_in_both_themes(lab) == []
    summary = lab.page.context.new_page()
    summary.goto((requests / "summary.html").as_uri())
    # Only the OAuth certificate still must be installed, because no port presents it.
    summary.get_by_text("Install certificate 3 on 2 servers.").wait_for()
    summary.close()
