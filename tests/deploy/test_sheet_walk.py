"""The blocks of a rendered sheet, pasted on simulated servers, do what the script does."""

from __future__ import annotations

import pytest
from deploy.sheet_blocks import paste, render_sheet
from deploy.walk import (
    NOON,
    OLD_END,
    assignments,
    join_lines,
    packages_of,
    running,
    stopped_services,
    use_of,
    world_of,
)
from powershell_kit import needs_pwsh
from topologies import edge, front_end, row, topology

from lyncnb.deploy.steps import build_procedure
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules

pytestmark = needs_pwsh

POOL = (front_end(1), front_end(2), front_end(3))
EDGES = (edge(1), edge(2))
STANDARD = (row("se01.contoso.com", "StandardEdition", web_external_fqdn="web.contoso.com"),)
SWITCHES = ("DrainServices", "StartServices", "TrustInstalled")


def begin(walk, *rows, in_use, known=False, product="lync2013"):
    """Start the simulation of new or running servers, and return the steps. If ``known`` is false,
    nothing is on record about the certificates in use.
    """
    rules = load_rules(product)
    planned = plan_certificates(topology(*rows), rules)
    packages = packages_of(planned, OLD_END if known else None)
    cases = running(packages) if in_use else None
    steps = build_procedure(packages, rules, now=NOON, pools=planned.topology.pools, cases=cases)
    walk.begin(world_of(steps, in_use=in_use), steps)
    return steps


def paste_blocks(walk, server, rows, *commands):
    """Paste the blocks that contain one of the commands, and return the runs."""
    return [
        paste(walk, server, block)
        for row in rows
        for block in row.blocks
        if any(command in line for command in commands for line in block)
    ]


TOKENS = [(EDGES, "AudioVideoAuthentication"), (POOL, "OAuthTokenIssuer")]


@pytest.mark.parametrize(("rows", "usage"), TOKENS, ids=["A/V", "OAuth"])
@pytest.mark.parametrize("in_use", [True, False], ids=["running", "new"])
def test_sheet_waits_where_the_script_waits(walk, rows, usage, in_use):
    """If running servers use an A/V or OAuth certificate that is not on record, the sheet's block
    replaces it no more than the script does. On new servers, both assign the new certificate.
    """
    steps = begin(walk, *rows, in_use=in_use)
    page = next(p for p in steps.servers if any(usage in x.usages for x in p.packages))
    walk.run(page, "TrustInstalled")
    after_script = use_of(walk.world(), page.server, usage)
    steps = begin(walk, *rows, in_use=in_use)
    thumbprints = [package.thumbprint for package in page.packages]
    here = walk.world()["servers"][page.server]
    walk.set(page.server, my=here["my"] + thumbprints, keys=here["keys"] + thumbprints)
    runs = paste_blocks(
        walk, page.server, render_sheet(steps, page.server), f"-Type '{usage}' -Thumb"
    )
    assert use_of(walk.world(), page.server, usage) == after_script
    assert [run["harm"] for run in runs] == [[]] * len(runs)
    assert bool(runs) != in_use


@pytest.mark.parametrize("rows", [POOL, EDGES, STANDARD], ids=["FE", "Edge", "SE"])
def test_way_back_on_the_sheet_restores_the_recorded_certificates(walk, rows):
    """After a change, the blocks of the way back restore the certificates that were in use before."""
    steps = begin(walk, *rows, in_use=True, known=True)
    page = steps.servers[0]
    before = assignments(walk.world())
    assert walk.run(page, *SWITCHES)["code"] == 0
    assert assignments(walk.world()) != before
    back = [
        row for row in render_sheet(steps, page.server) if row.heading.startswith("Back by hand")
    ]
    for run in paste_blocks(walk, page.server, back, "Set-CsCertificate"):
        assert run["harm"] == []
        assert not any("ERROR" in line or "UNCAUGHT" in line for line in run["output"])
    assert assignments(walk.world()) == before
    assert all(not use_of(walk.world(), page.server, usage)["next"] for _, usage in before)


@pytest.mark.parametrize("product", ["lync2013", "sfb2015"])
def test_one_server_of_a_new_pool_starts_only_after_a_yes(walk, product):
    """In a new pool of three, -StartServices asks whether every server has its certificates. No
    starts nothing. A pool of two starts without a question.
    """
    steps = begin(walk, *POOL, in_use=False, product=product)
    page = steps.servers[0]
    run = walk.run(page, "StartServices", answers="N\n")
    assert run["code"] == 1
    assert "every server in the new pool eepool.contoso.com has its certificates" in join_lines(run)
    assert not [change for change in run["changes"] if change.startswith("Start-Cs")]
    assert walk.run(page, "StartServices", answers="Y\n")["code"] == 0
    assert stopped_services(walk.world()["servers"][page.server]) == []
    steps = begin(walk, *POOL[:2], in_use=False, product=product)
    assert walk.run(steps.servers[0], "StartServices")["code"] == 0


def test_script_assigns_oauth_before_it_starts_a_new_server(walk):
    """On the first server of a new deployment, the script assigns the OAuth certificate before it
    starts the services.
    """
    steps = begin(walk, *POOL[:1], in_use=False)
    run = walk.run(steps.servers[0], "StartServices")
    assert run["code"] == 0
    changes = run["changes"]
    (oauth,) = [i for i, change in enumerate(changes) if "-Identity global" in change]
    assert oauth < min(i for i, change in enumerate(changes) if change.startswith("Start-Cs"))
