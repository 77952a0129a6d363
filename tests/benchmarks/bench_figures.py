"""Measure the time to draw a picture of a plan. This benchmark is run manually.

    PYTHONPATH=tests python tests/benchmarks/bench_figures.py --servers 1000 --rounds 5

The figures are wall-clock seconds of drawing alone, since the plan exists before: the best and the
median of the rounds, and the size of the picture.
"""

from __future__ import annotations

import argparse
import statistics
import time

from big_topology import big_table

import lyncnb as ln
from lyncnb.reports.figures import KINDS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    plan = ln.plan_certificates(
        ln.read_topology(big_table(arguments.servers)), ln.load_rules("lync2013")
    )
    for kind in KINDS:
        times = []
        for _ in range(arguments.rounds):
            start = time.perf_counter()
            figure = ln.figure(plan, kind)
            times.append(time.perf_counter() - start)
        print(
            f"{kind}: best {min(times):.3f} s, median {statistics.median(times):.3f} s, "
            f"{len(figure.rows):,} rows, {len(figure.svg):,} bytes"
        )


if __name__ == "__main__":
    main()
