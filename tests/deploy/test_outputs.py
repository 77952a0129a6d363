"""On each of six server types, the lines that a script prints fit into the width of the terminal,
and show the actual value for each failed check.
"""

from __future__ import annotations

import pytest
from deploy.walk import NOON, OLD_END, Walk, join_lines, packages_of, world_of
from places import DATA
from powershell_kit import Json, needs_pwsh

from lyncnb.deploy.steps import build_procedure
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

pytestmark = needs_pwsh

WIDE = 10_000
BOTH = ("DrainServices", "StartServices", "TrustInstalled")
FAILS = {"command": "Set-CsCertificate", "kind": "fail"}
# Each entry contains the server, whether its certificates are already in use, whether they roll
# over, and the switches and simulated fault of each run.
KINDS: dict[str, tuple[str, bool, bool, list[tuple[tuple[str, ...], Json | None]]]] = {
    "new": ("fe01", False, False, [(("WhatIf", *BOTH), None)]),
    "standing": ("fe02", True, True, [(("WhatIf", "DrainServices", "StartServices"), None)]),
    "drained": ("fe02", True, True, [(("DrainServices", "TrustInstalled"), None)]),
    "waiting": ("edge01", True, False, [(BOTH, None)]),
    "failed": ("fe02", True, True, [(BOTH, FAILS)]),
    "gone back": ("fe02", True, True, [(BOTH, None), (("Back", *BOTH), None)]),
}
# The text of the check that a certificate is in the computer's store. If this check fails, the
# output shows no actual value.
ITSELF = "is in Local Computer"


def outputs(walk: Walk, kind: str, width: int) -> list[Json]:
    """Run scripts on a type of server, and return the output of the last run and the output of
    -Verify after it.
    """
    server, in_use, rolls, runs = KINDS[kind]
    rules = load_rules("lync2013")
    plan = plan_certificates(read_topology(DATA / "contoso.csv"), rules)
    steps = build_procedure(packages_of(plan, OLD_END if rolls else None), rules, now=NOON)
    page = next(page for page in steps.servers if page.server.startswith(server))
    walk.begin(world_of(steps, in_use=in_use), steps)
    for switches, fault in runs:
        last = walk.run(page, *switches, fault=fault, width=width)
    verify = ("Back", "Verify") if kind == "gone back" else ("Verify",)
    return [last, walk.run(page, *verify, width=width)]


@pytest.mark.parametrize("kind", KINDS)
def test_output_splits_no_word_and_shows_actual_values(walk, kind):
    """At widths of 80 and 120 columns, the output of a script splits no word and shows the actual
    value below each failed check.
    """
    wide_runs = outputs(walk, kind, WIDE)
    for width in (80, 120):
        actual = outputs(walk, kind, width)
        assert [join_lines(run) for run in actual] == [join_lines(run) for run in wide_runs]
        # A line that contains a path is not wrapped, so that the path can be copied.
        folded = [line for run in actual for line in run["output"] if ":\\" not in line]
        assert max(len(line) for line in folded) < width
    lines = wide_runs[1]["output"]
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith(("NO ", "CANNOT TELL ")) and ITSELF not in line:
            label, actual = below.split(maxsplit=1)
            assert label == "Found:", line
            assert actual != "nothing" or "is assigned to" in line, line
        # The service was already disabled, so the script did not stop it.
        assert "RTCXMPP" not in line
