"""The forecast command reads its input, exits with the right status, and can show two forecasts
side by side.
"""

from __future__ import annotations

import json

import pytest
from folders import make_folder, make_plan
from shell_kit import make_shell
from topologies import TWO_SITES

shell = pytest.fixture(make_shell)
pytestmark = pytest.mark.usefixtures("quick_cipher")

ISSUE = "planned_issue_date = 2026-11-25\n"


@pytest.fixture
def planner(shell):
    """Write a table, two valid option files, an option file whose freeze is too long, a saved plan,
    and a request folder.
    """
    shell.write("t.csv", TWO_SITES)
    shell.write("good.toml", ISSUE)
    shell.write("bad.toml", f'{ISSUE}[freezes]\nmerger = "2029-06-01 to 2029-07-30"\n')
    shell.write("other.toml", f'{ISSUE}[ca]\npublic = "Let\'s Encrypt"\n')
    assert shell("plan", "t.csv", "--options", "good.toml", "--save", "p.json").status == 0
    make_folder(shell.folder / "requests", make_plan())
    return shell


def test_exit_status_shows_whether_the_plan_works(planner):
    """The forecast command exits with status 0 if every certificate can be renewed. Otherwise, it
    exits with 1 and shows each broken rule with its dates.
    """
    good = planner("forecast", "t.csv", "--options", "good.toml")
    assert (good.status, good.err) == (0, "")
    assert "cannot be done" not in good.out
    bad = planner("forecast", "t.csv", "--options", "bad.toml")
    assert bad.status == 1
    assert "1 problem: the work cannot be done as planned" in bad.out
    assert '  freeze: "merger", 2029-06-01 to 2029-07-30: no orders, no server changes\n' in bad.out
    document = json.loads(planner("forecast", "t.csv", "--options", "bad.toml", "--json").out)
    assert document["format"] == "lyncnb-forecast/1"
    assert document["works"] is False
    assert {rule["rule"] for problem in document["problems"] for rule in problem["rules"]} == {
        *("validity", "roll-over", "freeze"),
    }


def test_until_and_on_set_the_dates(planner):
    """The forecast command uses the dates in --until and --on instead of the current date.

    An invalid date is rejected.
    """
    refused = planner("forecast", "t.csv")
    assert (refused.status, refused.out) == (2, "")
    assert "forecast needs a start date" in refused.err
    result = planner("forecast", "t.csv", "--on", "2027-01-02", "--until", "2027-02-01")
    assert result.status == 0
    assert result.out.startswith("6 certificates; from 2027-01-02 to 2027-02-01: 6 orders")
    assert planner("forecast", "t.csv", "--on", "2027-13-02").status == 2
    assert planner("forecast", "t.csv", "--on", "2027-01-02", "--until", "2026-01-01").status == 2


def test_forecast_of_a_saved_plan_and_a_folder(planner):
    """The forecast of a saved plan uses the options in the plan. The forecast of a folder uses the
    options from the command line.
    """
    saved, table = (
        json.loads(planner("forecast", *arguments, "--json").out)
        for arguments in (("p.json",), ("t.csv", "--options", "good.toml"))
    )
    assert saved["months"] == table["months"]
    assert saved["certificates"] == table["certificates"]
    for options, status in (("good.toml", 0), ("bad.toml", 1)):
        result = planner("forecast", "requests", "--on", "2026-12-01", "--options", options)
        assert result.status == status
        assert "from 2026-12-01 to 2030-12-31" in result.out


def test_two_forecasts_side_by_side(planner):
    """The forecast command accepts two tables, or one table with two sets of options, and gives
    each forecast a different name.
    """
    call = ("forecast", "t.csv", "--options", "good.toml", "--other-options")
    result = planner(*call, "other.toml")
    assert (result.status, result.err) == (0, "")
    first, second = result.out.splitlines()[:2]
    assert first.startswith("first: t.csv with good.toml: ")
    assert second.startswith("second: t.csv with other.toml: ")
    assert planner(*call, "bad.toml").status == 1
    comparison = planner("forecast", "t.csv", "p.json", "--options", "good.toml", "-o", "two.html")
    assert (comparison.status, comparison.err) == (0, "written: two.html\n")
    assert planner("forecast", "t.csv", "p.json", "--on", "2027-01-02", "-o", "x.ics").status == 2


def test_files(planner):
    """The forecast command writes each output format to a file with the given name.

    If the plan does not work, the exit status is 1 here too.
    """
    for extension in ("csv", "xlsx", "md", "html", "svg", "ics", "json"):
        result = planner("forecast", "t.csv", "--options", "bad.toml", "-o", f"f.{extension}")
        assert (result.status, result.err) == (1, f"written: f.{extension}\n")
        assert len(result.out.splitlines()) == 1
        assert (planner.folder / f"f.{extension}").stat().st_size > 1000


def test_options_of_a_saved_plan_are_not_the_default(planner):
    """If a saved plan contains options, the comparison of forecasts calls them recorded options and
    not default options.
    """
    result = planner("forecast", "p.json", "--other-options", "other.toml")
    assert result.out.startswith("first: p.json with its recorded options: ")
    assert "second: p.json with other.toml: " in result.out
