"""The checklist is readable on a screen in light and dark mode, and on the paper that an
administrator signs.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from deploy.walk import NOON, OLD_END, packages_of
from lab_driver import CHROMIUM
from places import DATA
from printing import PDF_TOOLS, axe_in_both_themes, find_overflowing_elements, open_in_browser

from lyncnb.base.shown.origin import Origin
from lyncnb.deploy.checklist import select_server_steps, to_html
from lyncnb.deploy.request_scripts import request_scripts
from lyncnb.deploy.sheets import list_parts
from lyncnb.deploy.steps import build_procedure
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
    pytest.mark.skipif(not PDF_TOOLS, reason="no pdfinfo and pdftotext"),
]

RULES = load_rules()
PLAN = plan_certificates(read_topology(DATA / "contoso.csv"), RULES)
# Pages that contain every type of content: certificates that roll over, later steps, and keys on
# other computers.
STEPS = build_procedure(packages_of(PLAN, OLD_END, "tools01.contoso.net"), RULES, now=NOON)
# The test uses one page of each type, because axe-core is slow.
FEW = replace(
    STEPS,
    key_holders=STEPS.key_holders[:1],
    servers=tuple(
        s for s in STEPS.servers if s.server in ("fe01.contoso.net", "edge01.contoso.net")
    ),
)


def sheets(page, path: Path) -> list[str]:
    """Print an HTML page to PDF, and return the text of each printed page."""
    pdf = path.with_suffix(".pdf")
    page.pdf(path=str(pdf), format="A4")
    command = ["pdftotext", "-layout", str(pdf), "-"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return [sheet.strip() for sheet in result.stdout.split("\f")]


def opened_page(chromium, tmp_path, html, **screen):
    """Write a page and open it in the browser."""
    path = tmp_path / "checklist.html"
    path.write_text(html, "utf-8")
    return open_in_browser(chromium, path, **screen)


def test_each_server_starts_on_a_new_page(chromium, tmp_path):
    """In the printed checklist, each server and each key on another computer starts on a new page."""
    with opened_page(chromium, tmp_path, to_html(STEPS)) as page:
        printed = sheets(page, tmp_path / "checklist.html")
    first_lines = [sheet.splitlines()[0].strip() for sheet in printed if sheet]
    names = [server.server for server in (*STEPS.key_holders, *STEPS.servers)]
    starts = [first_lines.index(name) for name in names]
    assert first_lines.index("Notes: how, why, and sources") > max(starts)
    assert min(starts) > 0
    for start, name in zip(sorted(starts), sorted(names, key=first_lines.index)):
        assert first_lines[start - 1] != name


#: The maximum number of printed pages for a server, by role. For other roles, the maximum is two
#: pages.
MOST_PAGES = {"Edge": 3, "ExchangeUM": 3, "ExchangeOWA": 3}


@pytest.mark.parametrize("product", ["lync2013", "sfb2019"])
@pytest.mark.parametrize("sample", ["contoso.csv", "litwareinc-global.csv"])
@pytest.mark.parametrize("old_end", [None, OLD_END], ids=["first", "renewal"])
def test_sheet_is_short_and_each_page_has_its_server(chromium, tmp_path, product, sample, old_end):
    """The printed checklist has two pages for most servers and three pages for an Edge Server.

    Each page has deployment, server, thumbprints and expiry date.
    """
    rules, table = load_rules(product), read_topology(DATA / sample).to_frame()
    known = read_topology(table[table["role"].isin(rules.roles)])
    superseded = (
        "serial 2F0000001A7C35D1E0B3C4A85D00000000001A of CN=Contoso Issuing CA 1, O=Contoso"
    )
    packages = packages_of(plan_certificates(known, rules), old_end)
    if old_end:
        packages = [replace(package, superseded=superseded) for package in packages]
    origin = Origin(deployment="Contoso 2026", planner="Ana Li", table=sample, made_on="2026-11-24")
    steps = build_procedure(packages, rules, now=NOON, origin=origin)
    servers = {(server.role, len(server.packages)): server for server in steps.servers}
    for server in servers.values():
        with opened_page(chromium, tmp_path, to_html(select_server_steps(steps, server))) as page:
            printed = [sheet for sheet in sheets(page, tmp_path / "checklist.html") if sheet]
        assert len(printed) <= MOST_PAGES.get(server.role, 2), server.server
        for text in printed:
            head = " ".join("\n".join(text.splitlines()[:12]).split())
            assert server.server in head
            assert f"Contoso 2026. {steps.title}" in head
            assert "Planner: Ana Li" in text
            for package in server.packages:
                assert package.thumbprint in head
                assert f"{package.not_after:%Y-%m-%d %H:%M} UTC" in head


@pytest.mark.parametrize("width", [1280, 700])
@pytest.mark.parametrize(
    "html", [to_html(FEW), to_html(request_scripts(PLAN))], ids=["steps", "requests"]
)
def test_nothing_is_cut_off(chromium, tmp_path, html, width):
    """At a width of 1280 pixels, and when the zoom is doubled, no content of the checklist extends
    beyond the page.
    """
    with opened_page(chromium, tmp_path, html, scripts=True, width=width) as page:
        assert find_overflowing_elements(page) == []


def test_page_is_accessible(chromium, tmp_path):
    """The tool axe-core reports no violation on the checklist in light or dark mode."""
    with opened_page(chromium, tmp_path, to_html(FEW), scripts=True) as page:
        assert axe_in_both_themes(page) == []


def test_click_selects_the_commands_of_a_block(chromium, tmp_path):
    """A click on a block in the checklist selects exactly the commands in this block, at any screen
    size.
    """
    server = STEPS.servers[0]
    html = to_html(select_server_steps(STEPS, server))
    with opened_page(chromium, tmp_path, html, scripts=True, width=700) as page:
        blocks = page.evaluate(
            """() => [...document.querySelectorAll('.line > pre')].map(block => {
                getSelection().removeAllRanges(); getSelection().selectAllChildren(block);
                return getSelection().toString()})"""
        )
    lines = [line for part in list_parts(server) for item in part.items for line in item.lines]
    assert blocks == ["\n".join(line.commands) for line in lines if line.commands]
