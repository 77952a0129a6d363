"""The checklist is readable on a screen in light and dark mode, and on the paper that an
administrator signs.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from deploy.sheet_blocks import select_server_steps
from deploy.walk import NOON, OLD_END, packages_of
from lab_driver import CHROMIUM
from places import DATA
from printing import PDF_TOOLS, axe_in_both_themes, find_overflowing_elements, open_in_browser
from strange import Deployment

from lyncnb.deploy.checklist import list_all_sheets, to_html
from lyncnb.deploy.request_scripts import request_scripts
from lyncnb.deploy.server_steps import DeploymentSteps
from lyncnb.deploy.steps import build_procedure
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
    pytest.mark.skipif(not PDF_TOOLS, reason="no pdfinfo and pdftotext"),
]


@cache
def build_steps(deployment: Deployment) -> DeploymentSteps:
    """Return steps with every type of content: certificates that roll over, later steps, and keys
    on other computers.
    """
    plan = deployment.plan()
    packages = packages_of(plan, OLD_END, "tools01.contoso.net")
    steps = build_procedure(packages, plan.rules, now=NOON)
    return steps.in_language(plan.options.lang)


def select_servers(deployment: Deployment) -> DeploymentSteps:
    """Return the steps with one server of each role, because the browser is slow."""
    steps = build_steps(deployment)
    servers = {server.role: server for server in reversed(steps.servers)}
    return replace(steps, key_holders=steps.key_holders[:1], servers=tuple(servers.values()))


DOCUMENTS = {
    "steps": lambda deployment: to_html(select_servers(deployment)),
    "requests": lambda deployment: to_html(
        request_scripts(deployment.plan()).in_language(deployment.plan().options.lang)
    ),
}


def remove_wide_marks(line: str) -> str:
    """Replace full-width punctuation, which printed text lacks if no Chinese font is installed."""
    return re.sub(r"[：、]", " ", line).strip()


def sheets(page, path: Path, paper: str) -> list[str]:
    """Print an HTML page to PDF, and return the text of each printed page."""
    pdf = path.with_suffix(".pdf")
    page.pdf(path=str(pdf), format=paper)
    command = ["pdftotext", "-layout", str(pdf), "-"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return [sheet.strip() for sheet in result.stdout.split("\f")]


def opened_page(chromium, tmp_path, html, **screen):
    """Write a page and open it in the browser."""
    path = tmp_path / "checklist.html"
    path.write_text(html, "utf-8")
    return open_in_browser(chromium, path, **screen)


@pytest.mark.parametrize(
    ("old_end", "paper", "most"),
    [(None, "A4", 10), (None, "Letter", 10), (OLD_END, "A4", 13), (OLD_END, "Letter", 14)],
)
def test_sample_is_short_and_each_page_has_its_pool(chromium, tmp_path, paper, old_end, most):
    """The sample has at most 10 pages for new servers, and 13 for a renewal, or 14 on Letter. Each
    sheet starts on a new page, and each page names its pool.
    """
    rules = load_rules()
    packages = packages_of(plan_certificates(read_topology(DATA / "contoso.csv"), rules), old_end)
    # The CA of a renewal is the one that the servers trust already.
    trusted = {issuer.sha256 for package in packages for issuer in package.path}
    steps = build_procedure(
        packages, rules, now=NOON, trusted_ca_hashes=trusted if old_end else None
    )
    with opened_page(chromium, tmp_path, to_html(steps)) as page:
        printed = sheets(page, tmp_path / "checklist.html", paper)
    printed = [text for text in printed if text]
    assert len(printed) <= most
    names = [sheet.name for sheet in list_all_sheets(steps)]
    heads = [" ".join(text.splitlines()[:2]) for text in printed]
    owners = [next((n for n in names if n in head), "order") for head in heads]
    assert owners == sorted(owners, key=["order", *names].index)
    assert {*names} <= {*owners}
    assert max(map(owners.count, names)) <= 2
    assert owners.count("order") == 1
    if not old_end:
        assert owners.count("edgepool01.contoso.net") == 1


def test_renewal_of_any_pool_has_two_pages(chromium, tmp_path, deployment):
    """The sheet of a renewal has at most two pages, or three for six Front End Servers."""
    plan = deployment.plan()
    packages = packages_of(plan, OLD_END)
    trusted = {issuer.sha256 for package in packages for issuer in package.path}
    pools = plan.topology.pools
    steps = build_procedure(
        packages, plan.rules, now=NOON, pools=pools, trusted_ca_hashes=trusted
    ).in_language(plan.options.lang)
    sizes = {sheet.name: len(sheet.pages) for sheet in list_all_sheets(steps)}
    with opened_page(chromium, tmp_path, to_html(steps)) as page:
        printed = sheets(page, tmp_path / "checklist.html", "A4")
    heads = ["".join(" ".join(text.splitlines()[:6]).split()) for text in printed]
    counts = {name: sum(head.startswith(name) for head in heads) for name in sizes}
    assert {
        name for name, count in counts.items() if count > (2 if sizes[name] < 6 else 3)
    } == set()


def test_each_page_of_any_deployment_has_its_pool(chromium, tmp_path, deployment):
    """With any names and language, each sheet starts on a new page, and each page names its pool."""
    steps = build_steps(deployment)
    with opened_page(chromium, tmp_path, to_html(steps)) as page:
        printed = [text for text in sheets(page, tmp_path / "checklist.html", "A4") if text]
    # A long name continues on the next line.
    heads = ["".join(" ".join(text.splitlines()[:6]).split()) for text in printed]
    names = tuple(sheet.name for sheet in list_all_sheets(steps))
    assert [name for name in names if not any(head.startswith(name) for head in heads)] == []
    # Only the order, and what is done once for the deployment, are for all pools.
    assert len([head for head in heads if not any(name in head for name in names)]) <= 4


@pytest.mark.parametrize("paper", ["A4", "Letter"])
@pytest.mark.parametrize("old_end", [None, OLD_END], ids=["new", "renewal"])
def test_no_heading_is_alone_at_the_end_of_a_page(chromium, tmp_path, deployment, old_end, paper):
    """With any names, the first row of each section is on the page of its heading."""
    plan = deployment.plan()
    steps = build_procedure(packages_of(plan, old_end), plan.rules, now=NOON)
    with opened_page(chromium, tmp_path, to_html(steps), scripts=True) as page:
        printed = [text for text in sheets(page, tmp_path / "checklist.html", paper) if text]
        texts = page.evaluate("[...document.querySelectorAll('.rows th h3')].map(e => e.innerText)")
    headings = tuple("".join(text.split()) for text in texts)
    assert headings
    ends = ["".join(line.split()) for text in printed for line in text.splitlines()[-3:]]
    assert [line for line in ends if line.startswith(headings)] == []


@pytest.mark.parametrize("product", ["lync2013", "sfb2019"])
@pytest.mark.parametrize("old_end", [None, OLD_END], ids=["first", "renewal"])
def test_text_on_paper_is_large_enough(chromium, tmp_path, product, old_end):
    """On paper, commands have at least 7 points and other texts at least 8 points."""
    rules = load_rules(product)
    table = read_topology(DATA / "contoso.csv").to_frame()
    known = read_topology(table[table["role"].isin(rules.roles)])
    steps = build_procedure(packages_of(plan_certificates(known, rules), old_end), rules, now=NOON)
    with opened_page(chromium, tmp_path, to_html(steps)) as page:
        page.emulate_media(media="print")
        sizes = page.evaluate(
            """() => [...document.querySelectorAll('main *')]
            .filter(e => e.offsetParent && [...e.childNodes].some(
                n => n.nodeType === 3 && n.textContent.trim()))
            .map(e => [!!e.closest('pre, code'), parseFloat(getComputedStyle(e).fontSize) * .75])"""
        )
    assert min(size for is_command, size in sizes if is_command) >= 6.99
    assert min(size for is_command, size in sizes if not is_command) >= 7.99


@pytest.mark.parametrize("width", [1280, 700])
@pytest.mark.parametrize("document", DOCUMENTS)
def test_nothing_is_cut_off(chromium, tmp_path, deployment, document, width):
    """At a width of 1280 pixels, and when the zoom is doubled, no content of the checklist extends
    beyond the page.
    """
    html = DOCUMENTS[document](deployment)
    with opened_page(chromium, tmp_path, html, scripts=True, width=width) as page:
        assert find_overflowing_elements(page) == []


def test_page_is_accessible(chromium, tmp_path, deployment):
    """The tool axe-core reports no violation on the checklist in light or dark mode."""
    html = to_html(select_servers(deployment))
    with opened_page(chromium, tmp_path, html, scripts=True) as page:
        assert axe_in_both_themes(page) == []


def test_click_selects_the_commands_of_a_block(chromium, tmp_path, deployment):
    """A click on a block in the checklist selects exactly the commands in this block, at any screen
    size.
    """
    steps = build_steps(deployment)
    server = steps.servers[0]
    html = to_html(select_server_steps(steps, server))
    with opened_page(chromium, tmp_path, html, scripts=True, width=700) as page:
        blocks = page.evaluate(
            """() => [...document.querySelectorAll('.block > pre')].map(block => {
                getSelection().removeAllRanges(); getSelection().selectAllChildren(block);
                return getSelection().toString()})"""
        )
    (sheet,) = list_all_sheets(select_server_steps(steps, server))
    rows = [row for section in sheet.sections for row in section.rows]
    of_sheet = ["\n".join(block.commands) for row in rows for block in row.blocks]
    assert blocks[-len(of_sheet) :] == of_sheet
