"""One HTML file is the planner: it opens, edits, saves and writes documents without a network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lab_driver import CHROMIUM
from places import DATA
from playwright.sync_api import expect

import lyncnb as ln
from lyncnb.page.session import DOCUMENTS
from lyncnb.reports.figures import KINDS
from lyncnb.reports.summary.formats import write_plan_table

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]


def expected_document(plan: ln.CertificatePlan, kind: str) -> bytes:
    """Return what CPython writes for a document of the page."""
    if kind in KINDS:
        return ln.figure(plan, kind).to_svg()
    return write_plan_table(plan, ln.check_plan(plan), kind)


def test_every_document_equals_the_one_of_cpython(contoso, open_page):
    """The documents and pictures of the sample are the same bytes as those of the command."""
    planner = open_page(contoso)
    plan = ln.plan_certificates(ln.read_topology(DATA / "contoso.csv"), ln.load_rules())
    written = {kind: planner.document(kind) for kind in DOCUMENTS}
    assert {kind: data for kind, (_, data) in written.items()} == {
        kind: expected_document(plan, kind) for kind in DOCUMENTS
    }
    assert written[".html"][0] == "contoso-plan.html"
    assert written["coverage"][0] == "contoso-coverage.svg"


def test_an_edit_is_saved_as_a_download_and_opened_again(contoso, open_page, tmp_path):
    """Save downloads the table with its options, and the page opens both files again."""
    planner = open_page(contoso)
    page = planner.page
    page.get_by_role("tab", name="Deployment").click()
    page.get_by_label("Organization (O)").fill("Contoso")
    page.keyboard.press("Tab")
    expect(page.locator(".lc-saved")).to_have_text("1 change, not saved")
    planner.tab("Save and open")
    downloads = []
    page.on("download", lambda download: downloads.append(download))
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".lc-saved")).to_have_text("1 change")
    page.wait_for_timeout(300)
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
    planner.tab("Deployment")
    expect(page.get_by_label("Organization (O)")).to_have_value("Contoso")


def test_the_policy_names_every_script(contoso):
    """The page allows only its own scripts, by their hashes, and no connection."""
    text = contoso.read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    scripts = re.findall(r"<script>", text)
    # The second hash is that of zxcvbn, which the page adds when it makes requests.
    assert (len(scripts), policy.count("'sha256-")) == (1, 2)
    assert not re.search(r"<script[^>]* src=", text)
