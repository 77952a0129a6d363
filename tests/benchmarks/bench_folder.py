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


def step(what: str, count: int, folder: Path) -> None:
    """Run one step in this process, and print its cost as JSON."""
    sys.path[:0] = [str(TESTS), str(TESTS.parent)]
    import folders as kit
    from big_topology import standard_editions

    import lyncnb.export.write
    from lyncnb.authorities.status import folder_status
    from lyncnb.request_folder.change_passphrase import rekey
    from lyncnb.request_folder.rebuild_manifest import rebuild_manifest

    plan = kit.numbered(count) if what in ("write", "rerun", "edit", "dry run") else None
    if what in ("blocks", "no summary"):
        accepted = {"oauth-key-too-small": "only the time counts"}
        plan = kit.make_plan(standard_editions(count), key=kit.P256, accepted=accepted)
    if what == "no summary":
        lyncnb.export.write.write_summary = lambda preview, manifest: manifest
    if what == "edit":
        plan = kit.with_extra(plan, count // 2, "sip.contoso.com")
    start = time.monotonic()
    if what == "status":
        folder_status(folder)
    elif what == "rebuild":
        rebuild_manifest(folder, kit.PASSPHRASE)
    elif what == "rekey":
        rekey(folder, kit.PASSPHRASE, NEW)
    else:
        kit.write(plan, folder, findings=None, dry_run=what == "dry run")
    seconds = time.monotonic() - start
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    print(json.dumps({"seconds": seconds, "cpu": cpu, "megabytes": own.ru_maxrss / 1024}))


def measured(what: str, count: int, folder: Path) -> dict[str, float]:
    """Run one step in a separate process, and return its time and memory."""
    command = [sys.executable, __file__, "step", what, str(count), str(folder)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def show(what: str, count: int, cost: dict[str, float]) -> None:
    """Print one line of the result table."""
    each = cost["seconds"] / count * 1e6
    print(
        f"{count:>8,}  {what:<8} {cost['seconds']:8.2f} s  {cost['cpu']:8.2f} s cpu"
        f"  {cost['megabytes']:7.0f} MB  {each:7.0f} us a request",
        flush=True,
    )


def grow(counts: list[int], steps: tuple[str, ...]) -> None:
    """Print how the time and memory of each step grow with the size of the folder."""
    for count in counts:
        place = Path(tempfile.mkdtemp(prefix="lyncnb-bench-", dir=Path.cwd()))
        folder = place / "requests"
        for what in steps:
            show(what, count, measured(what, count, folder))
        size = (folder / "manifest.json").stat().st_size / 1e6
        print(f"{count:>8,}  manifest {size:8.1f} MB", flush=True)
        shutil.rmtree(place)


def rerun(count: int, rounds: int) -> None:
    """Write a request folder once, and write the same plan again several times. The goal is at most
    5 s.
    """
    place = Path(tempfile.mkdtemp(prefix="lyncnb-bench-", dir=Path.cwd()))
    measured("write", count, place / "requests")
    costs = [measured("rerun", count, place / "requests") for _ in range(rounds)]
    for cost in costs:
        show("rerun", count, cost)
    print(f"median {statistics.median(cost['seconds'] for cost in costs):.2f} s of {rounds}")
    shutil.rmtree(place)


def summary(count: int, rounds: int) -> None:
    """Compare the time for writing requests with a summary file to the time without one.

    The goal is a factor of 1.5.
    """
    ratios = []
    for _ in range(rounds):
        place = Path(tempfile.mkdtemp(prefix="lyncnb-bench-", dir=Path.cwd()))
        bare = measured("no summary", count, place / "bare")
        whole = measured("blocks", count, place / "whole")
        show("bare", count, bare)
        show("whole", count, whole)
        ratios.append(whole["cpu"] / bare["cpu"])
        shutil.rmtree(place)
    listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"CPU with the summary / without: median {statistics.median(ratios):.2f} ({listed})")


def main() -> None:
    """Parse the command line, and run the selected benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    growing = commands.add_parser("grow")
    growing.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    again = commands.add_parser("rerun")
    again.add_argument("--count", type=int, default=10_000)
    again.add_argument("--rounds", type=int, default=5)
    rekeying = commands.add_parser("rekey")
    rekeying.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000])
    with_summary = commands.add_parser("summary")
    with_summary.add_argument("--count", type=int, default=10_000)
    with_summary.add_argument("--rounds", type=int, default=3)
    one = commands.add_parser("step")
    one.add_argument("what")
    one.add_argument("count", type=int)
    one.add_argument("folder", type=Path)
    given = parser.parse_args()
    if given.command == "grow":
        grow(given.counts, ("write", "rerun", "dry run", "status", "edit", "rebuild"))
    elif given.command == "rekey":
        grow(given.counts, ("write", "rekey"))
    elif given.command == "summary":
        summary(given.count, given.rounds)
    elif given.command == "rerun":
        rerun(given.count, given.rounds)
    else:
        step(given.what, given.count, given.folder)


if __name__ == "__main__":
    main()
