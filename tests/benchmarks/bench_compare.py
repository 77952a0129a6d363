"""Measure the time to compare two plans. This benchmark is run manually.

    PYTHONPATH=tests python tests/benchmarks/bench_compare.py --servers 10000 --rounds 5

The figures are wall-clock seconds, the best and the median of the rounds. Both plans exist before.
Measured are: one more SIP domain, so that nearly every certificate has other names; another cell of
a pool, planned again as the editor does; the table of the first, for a page; and the causes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from big_topology import big_table

import lyncnb as ln
from lyncnb.plan.planner import plan_changed_topology
from lyncnb.reports.find_causes import find_causes


def time_call(label: str, rounds: int, call: Callable[[], object]) -> None:
    """Call a function, and print the time that the call took."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    print(f"{label}: best {min(times):.3f} s, median {statistics.median(times):.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    topology = ln.read_topology(big_table(arguments.servers))
    old = ln.plan_certificates(topology, ln.load_rules("lync2013"))
    domains = "contoso.com;fabrikam.com;litwareinc.com"
    larger_plan = plan_changed_topology(old, topology.with_cells({0: {"sip_domains": domains}}))
    edited = plan_changed_topology(old, topology.with_cells({5: {"extra_san": "old.contoso.com"}}))
    time_call("a SIP domain more", arguments.rounds, lambda: ln.compare_plans(old, larger_plan))
    time_call("one cell edited", arguments.rounds, lambda: ln.compare_plans(old, edited))
    difference = ln.compare_plans(old, larger_plan)
    time_call("its page", arguments.rounds, difference._repr_html_)
    time_call("where it comes from", arguments.rounds, lambda: find_causes(difference))
    wild = ln.plan_certificates(
        larger_plan.topology, larger_plan.rules, options=ln.PlanOptions(wildcard=True)
    )
    both = ln.compare_plans(old, wild)
    time_call("the same, of a table and an option", arguments.rounds, lambda: find_causes(both))
    print(difference)


if __name__ == "__main__":
    main()
