"""A comparison of scenarios shows all options and counts, and marks differences with a sign in
addition to color.
"""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from folders import make_plan
from places import DATA
from topologies import FIVE_SERVERS

import lyncnb as ln
from lyncnb.base.shown.report import write_report
from lyncnb.checks.compare_scenarios import ScenarioComparison
from lyncnb.errors import ScenarioError
from lyncnb.reports.comparison_report import build_comparison_report

FIRST = ln.Scenario(name="as planned", topology=ln.read_topology(DATA / "contoso.csv"))
WILD = replace(FIRST, name="wildcards", options=ln.PlanOptions(wildcard=True))
DOMAINS = {0: {"sip_domains": "contoso.com;fabrikam.com;litwareinc.com"}}
MORE = replace(FIRST, name="a domain more", topology=FIRST.topology.with_cells(DOMAINS))


def facts(comparison: ScenarioComparison) -> dict[str, tuple[object, ...]]:
    return {fact.what: fact.values for fact in comparison.facts}


def test_every_option_and_count_is_in_the_comparison():
    """The comparison of scenarios shows all counts, the servers by role, the SIP domains, and the
    options in plan.toml.
    """
    comparison = ln.compare_scenarios(FIRST, WILD, MORE)
    values_by_fact = facts(comparison)
    assert values_by_fact["certificates"] == (len(FIRST.plan.certificates),) * 3
    assert values_by_fact["public certificates"] == (2, 2, 2)
    sizes = [
        sum(len(c.names) for c in scenario.plan.certificates) for scenario in (FIRST, WILD, MORE)
    ]
    assert values_by_fact["names"] == tuple(sizes)
    for severity in ("error", "warning", "notice"):
        by_hand = [
            sum(f.severity == severity for f in ln.check_plan(scenario.plan))
            for scenario in (FIRST, WILD, MORE)
        ]
        assert values_by_fact[f"{severity}s"] == tuple(by_hand)
    assert values_by_fact["Wildcards for simple URLs"] == (False, True, False)
    assert values_by_fact["SIP domains"][2] == ("contoso.com", "fabrikam.com", "litwareinc.com")
    assert values_by_fact["FrontEnd servers"] == (3, 3, 3)
    assert sum(fact.of == "Options" for fact in comparison.facts) == len(fields(ln.PlanOptions))


def test_differences_have_a_mark():
    """In a comparison of scenarios, values that differ from the first scenario have a mark and are
    listed first.
    """
    comparison = ln.compare_scenarios(FIRST, replace(WILD, options=ln.PlanOptions(country="TW")))
    assert [fact.list_marked_values() for fact in comparison.differing()] == [("", "≠ TW")]
    comparison = ln.compare_scenarios(replace(FIRST, options=ln.PlanOptions(country="TW")), FIRST)
    assert [fact.list_marked_values() for fact in comparison.differing()] == [("TW", "≠ blank")]
    page = ln.compare_scenarios(FIRST, WILD)._repr_html_()
    assert page.index("≠ yes") < page.index("Rule profile")
    assert "≠ marks a value that is different in “as planned”." in page
    assert "All options and counts are the same" in ln.compare_scenarios(FIRST, FIRST)._repr_html_()


def test_data_frame_has_a_column_for_each_scenario():
    """The DataFrame of a comparison has one column for each scenario and one for differences, even
    if scenarios have the same name.
    """
    frame = ln.compare_scenarios(FIRST, WILD, replace(MORE, name="wildcards")).to_frame()
    assert list(frame.columns) == [
        *("Of", "What", "as planned", "wildcards", "wildcards (2)", "Differs"),
    ]
    row = frame[frame.What == "Wildcards for simple URLs"].iloc[0]
    assert (row["as planned"], row["wildcards"], bool(row.Differs)) == ("no", "yes", True)
    assert list(ln.compare_scenarios(FIRST, replace(WILD, name="What")).to_frame().columns) == [
        *("Of", "What", "as planned", "What (2)", "Differs"),
    ]


def test_differences_are_those_of_compare_plans():
    """The function compare_plans compares each later scenario with the first one. It also shows the
    causes and can write a page.
    """
    comparison = ln.compare_scenarios(FIRST, WILD, MORE)
    for scenario, difference in zip((WILD, MORE), comparison.differences, strict=True):
        assert difference == ln.compare_plans(FIRST.plan, scenario.plan)
    plan_comparison = comparison.comparisons[1]
    assert plan_comparison.title == "as planned -> a domain more"
    assert all("sip_domains" in c.cause for c in plan_comparison.difference.changes)
    page = write_report(build_comparison_report(plan_comparison), ".html").decode()
    assert "as planned -&gt; a domain more" in page
    changed = len(comparison.differences[0].certificates)
    assert f"wildcards: {changed} certificates changed" in repr(comparison)
    assert ln.figure(comparison.differences[0]).to_svg()


def test_accepted_findings_are_counted_separately():
    """A comparison of scenarios shows a separate number for the accepted findings."""
    broken = FIRST.topology.with_cells(
        {n: {"access_edge_fqdn": ""} for n in range(len(FIRST.topology.cells))}
    )
    first = replace(FIRST, topology=broken)
    code = next(f.code for f in ln.check_plan(first.plan) if f.severity == "error")
    accepted = replace(first, options=ln.PlanOptions(accepted={code: "it follows in May"}))
    values_by_fact = facts(ln.compare_scenarios(first, accepted))
    errors, accepted_errors = values_by_fact["errors"], values_by_fact["accepted findings"]
    assert accepted_errors[0] == 0 < accepted_errors[1]
    assert errors[0] == errors[1] + accepted_errors[1]
    assert values_by_fact["Accepted finding"] == ((), (f"{code} = it follows in May",))


def test_unknown_values_are_blank():
    """If the options of a scenario contain no validity period, the comparison leaves the number of
    yearly renewals of this scenario blank.
    """
    yearly = replace(FIRST, options=ln.PlanOptions(validity_days=365))
    certificates = len(FIRST.plan.certificates)
    assert facts(ln.compare_scenarios(FIRST, yearly))["yearly renewals"] == (None, certificates)


def test_comparison_needs_two_scenarios():
    """Comparing a single scenario is an error. Comparing a scenario that cannot be planned is an
    error that contains the reason.
    """
    with pytest.raises(ScenarioError, match="two scenarios"):
        ln.compare_scenarios(FIRST)
    chat = FIVE_SERVERS.replace("Mediation", "PersistentChat").encode()
    other = ln.Scenario(
        name="2019", topology=ln.read_topology(chat), options=ln.PlanOptions(product="sfb2019")
    )
    with pytest.raises(ln.LyncnbError, match="PersistentChat"):
        ln.compare_scenarios(FIRST, other)


@pytest.mark.parametrize("count", [1, 3])
def test_each_scenario_requires_a_list_of_findings(count):
    """If the number of lists of findings differs from the number of scenarios, compare_scenarios
    raises an error.
    """
    scenario = ln.Scenario.of_plan("one", make_plan())
    with pytest.raises(ScenarioError, match=f"passed {count} lists of findings") as caught:
        ln.compare_scenarios(scenario, scenario, findings=[None] * count)
    assert "for each scenario, in the same order" in caught.value.hint
