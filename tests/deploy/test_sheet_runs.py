"""The lines that run the script on a rendered sheet end with what the sheet expects."""

from __future__ import annotations

import re

import pytest
from deploy.sheet_blocks import render_sheet
from deploy.test_sheet_agreement import POOLS, begin
from deploy.walk import (
    OLD_END,
    all_lines,
    assignments,
    get_stable_state,
    join_lines,
    list_differences,
    services_to_restart,
    stopped_services,
)
from powershell_kit import needs_pwsh

pytestmark = needs_pwsh

RUN = re.compile(r"install\.ps1((?: -\w+)*)$")


def lines_of(steps, server):
    """Return the lines of a server's sheet that run the script: section, text, and switches."""
    found = []
    for row in render_sheet(steps, server):
        match = RUN.search(row.commands)
        if match:
            found.append((row.heading, row.text, tuple(match[1].replace("-", "").split())))
    return found


def run_line(walk, page, text, switches):
    """Run a line of a sheet, and check what the sheet expects of it."""
    run = walk.run(page, *switches, answers="Y\n" * 4)
    said = join_lines(run)
    if "Nothing was changed" in text:
        assert "Nothing was changed" in said, said
        assert "WOULD STOP" not in said, said
        assert run["changes"] == []
    if 'Last line "done"' in text:
        assert run["code"] == 0, said
        assert run["output"][-1].strip().endswith("done"), run["output"][-3:]
    if '"0 not true, 0 unknown"' in text and "staged" not in text:
        assert "0 not true, 0 unknown" in said, said
    if '"0 not true' in text:
        assert re.search(r"\b0 not true", said), said
    if "All enabled Running" in text:
        assert stopped_services(walk.world()["servers"][page.server]) == [], said
    assert run["harm"] == []
    return run


@pytest.mark.parametrize("case", ["new", "renew"])
@pytest.mark.parametrize("pool", POOLS)
def test_run_lines_of_a_sheet_end_as_it_expects(walk, pool, case):
    """The rows with the script, in the order of the sheet, change all servers of a pool, and each
    prints what the sheet expects.
    """
    steps = begin(walk, pool, case)
    sheets = {page.server: lines_of(steps, page.server) for page in steps.servers}
    together = [row for row in next(iter(sheets.values())) if row[0].startswith("With the script")]
    assert len(together) >= 3
    changing = [n for n, row in enumerate(together) if "DrainServices" in row[2]]
    first = next((n for n in changing if "WhatIf" not in together[n][2]), len(together) - 1)
    for page in steps.servers:
        for _, text, switches in sheets[page.server][:first]:
            run_line(walk, page, text, switches)
    for page in steps.servers:
        for _, text, switches in sheets[page.server][first : len(together)]:
            run_line(walk, page, text, switches)
    walk.pass_time(OLD_END)
    assert list_differences(steps, walk.world()) == []
    assert services_to_restart(walk.world()) == []


@pytest.mark.parametrize("pool", ["FE", "Edge", "SE"])
def test_lines_for_a_failure_lead_back(walk, pool):
    """After a failure behind the drain, the lines under "If something goes wrong" start the services
    and restore the certificates that were in use.
    """
    steps = begin(walk, pool, "renew")
    page = steps.servers[-1]
    before, old = get_stable_state(walk.world()), assignments(walk.world())
    lines = lines_of(steps, page.server)
    prepare = [row for row in lines if "Prepare" in row[2]]
    for _, text, switches in prepare:
        run_line(walk, page, text, switches)
    (change,) = [
        r[2] for r in lines if "DrainServices" in r[2] and not {"WhatIf", "Back"} & {*r[2]}
    ]
    run = walk.run(page, *change, fault={"command": "Set-CsCertificate", "kind": "fail"})
    assert run["code"] == 1
    wrong = [row for row in lines if row[0].startswith("If something goes wrong")]
    assert len(wrong) == 2, wrong
    for _, text, switches in wrong:
        run_line(walk, page, text, switches)
    assert "0 not true, 0 unknown" in join_lines(walk.run(page, "Back", "Verify"))
    after = get_stable_state(walk.world())
    assert assignments(walk.world()) == old, all_lines([run])
    assert after["stale"] == before["stale"]
    assert after[page.server]["services"] == before[page.server]["services"]
    assert after[page.server]["next"] == {}
