"""Measure the time to save, open and compare scenarios. This benchmark is run manually.

    PYTHONPATH=tests python tests/benchmarks/bench_scenarios.py --servers 10000 --rounds 5

The figures are CPU seconds of one process, the best and the median of the rounds. There are three
scenarios: as planned, with wildcards, and with one more SIP domain, so that nearly every
certificate has other names. They are compared with existing plans and findings (the differences,
alone and with the table and page), with existing plans that are then checked, and from their
folders, which are read, planned and checked.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from big_topology import big_table

import lyncnb as ln
from lyncnb.checks.compare_scenarios import compare_scenarios
from lyncnb.plan.scenarios import Scenarios
from lyncnb.widgets.editing import explanations


def time_call(label: str, rounds: int, call: Callable[[], object]) -> None:
    """Call a function, and print the time that the call took."""
    times = []
    for _ in range(rounds):
        gc.collect()
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    print(f"{label}: best {min(times):.3f} s, median {statistics.median(times):.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    topology = ln.read_topology(big_table(arguments.servers))
    domains = {0: {"sip_domains": "contoso.com;fabrikam.com;litwareinc.com"}}
    first = ln.Scenario(name="as planned", topology=topology)
    wild = replace(first, name="wildcards", options=ln.PlanOptions(wildcard=True))
    larger = replace(first, name="a domain more", topology=topology.with_cells(domains))
    for scenario in (first, wild, larger):
        print(f"{scenario.name}: {scenario.plan}")
    with tempfile.TemporaryDirectory() as folder:
        scenarios = Scenarios(Path(folder))
        time_call("kept", 1, lambda: [scenarios.keep(variant) for variant in (first, wild, larger)])
        time_call("kept again", arguments.rounds, lambda: scenarios.keep(first))
        time_call("opened", arguments.rounds, lambda: scenarios.open("as planned"))
        for other in (wild, larger):
            measure(scenarios, first, other, arguments.rounds)


def measure(scenarios: Scenarios, first: ln.Scenario, other: ln.Scenario, rounds: int) -> None:
    """Print the time to compare two scenarios whose plans and findings are already in memory."""
    comparison = compare_scenarios(first, other)
    plans, names = (first.plan, other.plan), (first.name, other.name)
    difference = comparison.comparisons[0].difference
    print(" and ".join(names))
    time_call("  plans compared", rounds, lambda: ln.compare_plans(*plans))
    time_call(
        "  plans and findings at hand",
        rounds,
        lambda: compare_scenarios(first, other, findings=comparison.findings),
    )
    time_call("  plans at hand", rounds, lambda: compare_scenarios(first, other))
    time_call("  from folders", rounds, lambda: compare_scenarios(*map(scenarios.open, names)))
    time_call("  causes", rounds, lambda: comparison.comparisons)
    time_call("  as the panel tells it", rounds, lambda: explanations.list_effects(difference))
    time_call("  a page", rounds, comparison._repr_html_)


if __name__ == "__main__":
    main()
