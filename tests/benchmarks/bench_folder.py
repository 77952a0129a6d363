"""Measure the cost of writing, rewriting, reading and rebuilding a request folder. This benchmark
is run manually.

    python tests/benchmarks/bench_folder.py grow --counts 1000 10000 100000
    python tests/benchmarks/bench_folder.py rerun --count 10000 --rounds 5
    python tests/benchmarks/bench_folder.py rekey --counts 1000 10000
    python tests/benchmarks/bench_folder.py summary --count 10000 --rounds 3

The keys are ECDSA P-256, with the summary and 600,000 iterations. Each step runs in a separate
process in which only the disk's cache is warm. Seconds are wall-clock time. "cpu" is the time of
the process and its children, and "MB" the largest resident set of the process without children.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
NEW = "wrong mule capacitor"


def step(step_name: str, count: int, folder: Path) -> None:
    """Run one step in this process, and print its cost as JSON."""
    sys.path[:0] = [str(TESTS), str(TESTS.parent)]
    import folders as kit
    from big_topology import standard_editions

    import lyncnb.export.write
    from lyncnb.authorities.status import folder_status
    from lyncnb.request_folder.change_passphrase import rekey
    from lyncnb.request_folder.rebuild_manifest import rebuild_manifest

    plan = (
        kit.plan_of_servers(count) if step_name in ("write", "rerun", "edit", "dry run") else None
    )
    if step_name in ("blocks", "no summary"):
        accepted = {"oauth-key-too-small": "only the time counts"}
        plan = kit.make_plan(standard_editions(count), key=kit.P256, accepted=accepted)
    if step_name == "no summary":
        lyncnb.export.write.write_summary = lambda preview, manifest: manifest
    if step_name == "edit":
        plan = kit.with_extra_names(plan, count // 2, "sip.contoso.com")
    start = time.monotonic()
    if step_name == "status":
        folder_status(folder)
    elif step_name == "rebuild":
        rebuild_manifest(folder, kit.PASSPHRASE)
    elif step_name == "rekey":
        rekey(folder, kit.PASSPHRASE, NEW)
    else:
        kit.write(plan, folder, findings=None, dry_run=step_name == "dry run")
    seconds = time.monotonic() - start
    own, children = (
        resource.getrusage(processes)
        for processes in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    print(json.dumps({"seconds": seconds, "cpu": cpu, "megabytes": own.ru_maxrss / 1024}))


def measure_step(step_name: str, count: int, folder: Path) -> dict[str, float]:
    """Run one step in a separate process, and return its time and memory."""
    command = [sys.executable, __file__, "step", step_name, str(count), str(folder)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def show(step_name: str, count: int, cost: dict[str, float]) -> None:
    """Print one line of the result table."""
    each = cost["seconds"] / count * 1e6
    print(
        f"{count:>8,}  {step_name:<8} {cost['seconds']:8.2f} s  {cost['cpu']:8.2f} s cpu"
        f"  {cost['megabytes']:7.0f} MB  {each:7.0f} us a request",
        flush=True,
    )


def grow(counts: list[int], steps: tuple[str, ...]) -> None:
    """Print how the time and memory of each step grow with the size of the folder."""
    for count in counts:
        temp_folder = Path(tempfile.mkdtemp(prefix="lyncnb-bench-", dir=Path.cwd()))
        folder = temp_folder / "requests"
        for step_name in steps:
            show(step_name, count, measure_step(step_name, count, folder))
        size = sum(path.stat().st_size for path in (folder / "record").iterdir()) / 1e6
        print(f"{count:>8,}  manifest {size:8.1f} MB", flush=True)
        shutil.rmtree(temp_folder)


def rerun(count: int, rounds: int) -> None:
    """Write a request folder once, and write the same plan again several times. The goal is at most
    5 s.
    """
    temp_folder = Path(tempfile.mkdtemp(prefix="lyncnb-bench-", dir=Path.cwd()))
    measure_step("write", count, temp_folder / "requests")
    costs = [measure_step("rerun", count, temp_folder / "requests") for _ in range(rounds)]
    for cost in costs:
        show("rerun", count, cost)
    print(f"median {statistics.median(cost['seconds'] for cost in costs):.2f} s of {rounds}")
    shutil.rmtree(temp_folder)


def summary(count: int, rounds: int) -> None:
    """Compare the time for writing requests with a summary file to the time without one.

    The goal is a factor of 1.5.
    """
    ratios = []
    for _ in range(rounds):
        temp_folder = Path(tempfile.mkdtemp(prefix="lyncnb-bench-", dir=Path.cwd()))
        bare = measure_step("no summary", count, temp_folder / "bare")
        whole = measure_step("blocks", count, temp_folder / "whole")
        show("bare", count, bare)
        show("whole", count, whole)
        ratios.append(whole["cpu"] / bare["cpu"])
        shutil.rmtree(temp_folder)
    ratio_text = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"CPU with the summary / without: median {statistics.median(ratios):.2f} ({ratio_text})")


def main() -> None:
    """Parse the command line, and run the selected benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    growing = commands.add_parser("grow")
    growing.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    rerun_parser = commands.add_parser("rerun")
    rerun_parser.add_argument("--count", type=int, default=10_000)
    rerun_parser.add_argument("--rounds", type=int, default=5)
    rekeying = commands.add_parser("rekey")
    rekeying.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000])
    with_summary = commands.add_parser("summary")
    with_summary.add_argument("--count", type=int, default=10_000)
    with_summary.add_argument("--rounds", type=int, default=3)
    step_parser = commands.add_parser("step")
    step_parser.add_argument("what")
    step_parser.add_argument("count", type=int)
    step_parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "grow":
        grow(arguments.counts, ("write", "rerun", "dry run", "status", "edit", "rebuild"))
    elif arguments.command == "rekey":
        grow(arguments.counts, ("write", "rekey"))
    elif arguments.command == "summary":
        summary(arguments.count, arguments.rounds)
    elif arguments.command == "rerun":
        rerun(arguments.count, arguments.rounds)
    else:
        step(arguments.what, arguments.count, arguments.folder)


if __name__ == "__main__":
    main()
