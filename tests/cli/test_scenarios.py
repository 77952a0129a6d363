"""Commands accept the folder of a scenario instead of a table, and then apply only the options in
the scenario.
"""

from __future__ import annotations

import json
import os

import pytest
from shell_kit import make_shell
from topologies import TWO_FRONT_ENDS

import lyncnb as ln
from lyncnb.plan.scenarios import Scenarios

shell = pytest.fixture(make_shell)


@pytest.fixture
def wild(shell) -> ln.Scenario:
    """Save a scenario with wildcards in the folder scenarios/wild, and return the saved scenario."""
    shell.write("table.csv", TWO_FRONT_ENDS)
    table = ln.read_topology(shell.folder / "table.csv")
    scenario = ln.Scenario(name="wild", topology=table, options=ln.PlanOptions(wildcard=True))
    return Scenarios(shell.folder / "scenarios").keep(scenario)


def test_scenario_can_be_planned_checked_and_explained(shell, wild):
    """The commands plan, check and explain accept a scenario like a table with its plan.toml, and
    show the name of the scenario.
    """
    document = json.loads(shell("plan", "scenarios/wild", "--json").out)
    assert document["plan_sha256"] == wild.plan.sha256
    beside = shell("plan", "table.csv", "--options", "scenarios/wild/plan.toml", "--json")
    assert document["certificates"] == json.loads(beside.out)["certificates"]
    assert shell("check", "scenarios/wild").status == 0
    assert "*.contoso.com" in shell("explain", "scenarios/wild", "fe01.contoso.net").out
    other = shell("plan", "scenarios/wild", "--product", "sfb2019", "--json")
    assert json.loads(other.out)["product"] == "sfb2019"


def test_other_options_are_rejected(shell, wild):
    """A scenario cannot be combined with the option --options, and a folder without a scenario is
    rejected as the topology.
    """
    result = shell("plan", "scenarios/wild", "--options", "scenarios/wild/plan.toml")
    assert (result.status, "already contains options" in result.err) == (2, True)
    assert shell("plan", "scenarios").status == 2
    fixing = shell("check", "scenarios/wild", "--fix")
    assert (fixing.status, "--options scenarios/wild/plan.toml" in fixing.err) == (2, True)


@pytest.mark.parametrize("command", [("trust",), ("forecast", "--on", "2027-01-15")])
def test_scenario_is_not_a_request_folder(shell, wild, command):
    """If a user specifies the folder of a scenario as a request folder, lyncnb rejects it."""
    result = shell(*command, "scenarios/wild")
    assert "fe01.contoso.net" in result.out, result.err
    assert shell(*command, "scenarios/wild", "--options", "scenarios/wild/plan.toml").status == 2


@pytest.mark.parametrize(
    ("command", "suffix"),
    [
        (("plan", "{}"), ".csv"),
        (("trust", "{}"), ".csv"),
        (("forecast", "{}", "--on", "2027-01-15"), ".csv"),
        (("forecast", "table.csv", "{}", "--on", "2027-01-15"), ".md"),
        (("compare", "table.csv", "{}"), ".csv"),
    ],
)
def test_output_never_replaces_files_of_a_scenario(shell, wild, command, suffix):
    """No output overwrites the files in a scenario's folder, even with --force."""
    target = {".csv": "scenarios/wild/topology.csv", ".md": "scenarios/wild/note.md"}[suffix]
    if suffix == ".md":
        Scenarios(shell.folder / "scenarios").set_note("wild", "why")
    before = (shell.folder / target).read_bytes()
    arguments = [part.replace("{}", "scenarios/wild") for part in command]
    result = shell(*arguments, "-o", target, "--force")
    assert (result.status, result.out) == (2, "")
    assert os.path.normpath(target) in result.err
    assert (shell.folder / target).read_bytes() == before
