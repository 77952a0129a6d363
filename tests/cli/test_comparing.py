"""The compare command compares tables, JSON documents and folders, and exits with the documented
status.
"""

from __future__ import annotations

import json

import pytest
from folders import make_folder, make_plan
from shell_kit import make_shell
from topologies import TWO_FRONT_ENDS, TWO_SITES

import lyncnb as ln
from lyncnb.plan.scenarios import Scenarios

shell = pytest.fixture(make_shell)
pytestmark = pytest.mark.usefixtures("quick_cipher")


@pytest.fixture
def planner(shell):
    """Write two tables, the plan of the first table as JSON, and a request folder for the second
    table.
    """
    shell.write("old.csv", TWO_FRONT_ENDS)
    shell.write("new.csv", TWO_SITES)
    shell.write("w.toml", "wildcard = true\n")
    assert shell("plan", "old.csv", "-o", "old.json").status == 0
    make_folder(shell.folder / "requests", make_plan())
    return shell


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("old.csv", "old.csv", 0),
        ("old.json", "old.csv", 0),
        ("old.csv", "old.json", 0),
        ("requests", "new.csv", 1),
        ("requests", "requests", 0),
        ("old.csv", "new.csv", 1),
        ("old.json", "requests", 1),
        ("requests", "old.csv", 1),
    ],
)
def test_any_combination_can_be_compared(planner, old, new, status):
    """Tables, JSON documents and request folders can be compared with each other in any
    combination.

    The exit status is 0 if both have the same requests, else 1.
    """
    result = planner("compare", old, new)
    assert (result.status, result.err) == (status, "")
    assert result.out.splitlines()[0] == f"{old} -> {new}"
    assert ("No certificate changes." in result.out) == (status == 0)
    document = json.loads(planner("compare", old, new, "--json").out)
    assert bool(document["certificates"]) == bool(status)


def test_a_folder_with_its_table(planner):
    """A request folder does not differ from a plan that is created with the same table and the same
    options.
    """
    planner.write("k.toml", '[key]\nalgorithm = "ECDSA"\n[subject]\norganization = "Contoso"\n')
    result = planner("compare", "requests", "new.csv", "--new-options", "k.toml")
    assert result.status == 0, result.out
    assert (
        'the comparison does not count findings, because "requests" does not record them'
        in result.out
    )


def test_one_table_with_two_sets_of_options(planner):
    """A table can be compared with itself under different options, which are specified for one or
    both sides.
    """
    result = planner("compare", "old.csv", "old.csv", "--new-options", "w.toml")
    assert result.status == 1
    assert "name added: *.contoso.com" in result.out
    assert planner("compare", "old.csv", "old.csv", "--options", "w.toml").status == 0
    reverse = planner("compare", "old.csv", "old.csv", "--old-options", "w.toml")
    assert "name removed: *.contoso.com" in reverse.out


def test_scenarios(planner):
    """The command compares scenario folders by table, options and name, and rejects a damaged
    folder.
    """
    scenarios = Scenarios(planner.folder / "scenarios")
    table = ln.read_topology(planner.folder / "old.csv")
    scenarios.keep(ln.Scenario(name="as planned", topology=table))
    scenarios.keep(
        ln.Scenario(name="wild", topology=table, options=ln.PlanOptions(wildcard=True)),
    )
    result = planner("compare", "scenarios/as planned", "scenarios/wild")
    assert result.status == 1
    assert result.out.splitlines()[0] == "as planned -> wild"
    assert "cause: option wildcard" in result.out
    assert planner("compare", "scenarios/as planned", "old.csv").status == 0
    refused = planner("compare", "old.csv", "scenarios/wild", "--new-options", "w.toml")
    assert (refused.status, "already contains options" in refused.err) == (2, True)
    assert planner("compare", "old.csv", "scenarios/wild", "--options", "w.toml").status == 0
    (planner.folder / "scenarios" / "wild" / "plan.toml").write_text("wildcrad = true\n")
    damaged = planner("compare", "old.csv", "scenarios/wild")
    assert planner("plan", "scenarios/wild").err == damaged.err
    assert damaged.status == 2
    assert "did you mean wildcard?" in damaged.err


@pytest.mark.parametrize("extension", ["html", "csv", "md", "json", "svg"])
def test_files(planner, extension):
    """The compare command can write each output format. It replaces an existing file only if this
    file is a comparison in the same format.
    """
    call = ("compare", "old.csv", "new.csv", "-o", f"c.{extension}")
    assert planner(*call).status == 1
    content = (planner.folder / f"c.{extension}").read_bytes()
    assert planner(*call).status == 1
    assert (planner.folder / f"c.{extension}").read_bytes() == content
    planner.write(f"c.{extension}", "mine")
    assert planner(*call).status == 2
    assert (planner.folder / f"c.{extension}").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("old.csv", "none.csv"), 2, "none.csv"),
        (("none.json", "old.csv"), 2, "none.json"),
        (("old.csv", "."), 3, "not a request folder"),
        (("old.csv", "new.csv", "-o", "c.txt"), 2, "cannot have the file name extension"),
        (("old.csv", "new.csv", "-o", "old.csv"), 2, "is also an input"),
        (("old.csv", "requests", "-o", "c.svg"), 2, "contains no table"),
        (("old.json", "old.csv", "--old-options", "w.toml"), 2, "so you cannot specify options"),
        (("old.csv", "new.csv", "--on", "tomorrow"), 2, '"tomorrow" is not a date'),
        (("old.csv",), 2, "NEW"),
    ],
)
def test_input_that_cannot_be_compared(planner, arguments, status, words):
    """If the compare command cannot compare its arguments, it names the problem, gives a hint, and
    writes no file.
    """
    before = sorted(planner.folder.iterdir())
    result = planner("compare", *arguments)
    assert (result.status, result.out) == (status, "")
    assert words in result.err
    assert "hint: " in result.err
    assert sorted(planner.folder.iterdir()) == before
