"""Measure the CPU time and memory that are needed to save and read a plan. This benchmark is run
manually.

    PYTHONPATH=tests python tests/benchmarks/bench_saved_plan.py --servers 100000

The figures are the CPU seconds for saving, and for reading, which plans and checks again. The table
is read, planned and checked before. The memory is the peak of the process.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from big_topology import big_table

import lyncnb as ln


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=10_000)
    arguments = parser.parse_args()
    plan = ln.plan_certificates(
        ln.read_topology(big_table(arguments.servers)), ln.load_rules("lync2013")
    )
    findings = ln.check_plan(plan)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        saved = ln.save_plan(plan, Path(folder, "plan.json"), findings=findings)
        print(f"save: {time.process_time() - start:.2f} s, {len(saved.data):,} bytes")
        path = saved.path
        del saved, plan, findings
        start = time.process_time()
        ln.read_saved_plan(path)
        print(f"read: {time.process_time() - start:.2f} s")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000:,} MB")


if __name__ == "__main__":
    main()
