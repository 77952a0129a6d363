"""Measure the CPU time to read and plan a server table. This benchmark is run manually.

    python tests/benchmarks/bench_planning.py whole --rows 100000 --rounds 5
    python tests/benchmarks/bench_planning.py edit --rows 10000
    python tests/benchmarks/bench_planning.py page --rows 10000

The figures are CPU seconds of the step without imports. Each variant runs in a separate process, in
turn, round by round. The result is the median of the ratios within a round, since absolute times
change with the machine's load. The reference is ``csv.reader`` that reads the same file to lists.
The simple way of planning is ``DataFrame.apply`` with a function that lists one server's names.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

HEADINGS = (
    "server_fqdn", "role", "pool_fqdn", "site", "sip_domains", "meet_urls", "dialin_url",
    "admin_url", "web_external_fqdn", "autologon", "access_edge_fqdn", "webconf_edge_fqdn", "notes",
)  # fmt: skip
DOMAINS = ("contoso.com",)
MEET = tuple(f"https://meet.{domain}" for domain in DOMAINS)
DIALIN, ADMIN = "https://dialin.contoso.com", "https://admin.contoso.com"
SITES = 20
# The role of each pool in a repeating series of twenty pools, and the number of servers in each
# pool.
POOLS = (("FrontEnd", 7),) * 13 + (
    ("Director", 4), ("Mediation", 6), ("Mediation", 3), ("StandardEdition", 1),
    ("SBA", 1), ("Edge", 5), ("TrustedApplication", 8),
)  # fmt: skip


def write_table(path: Path, rows: int) -> None:
    """Write a table with the given number of servers. Each row takes about 220 bytes."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADINGS)
        writer.writerows(islice(servers(), rows))


def servers():
    """Yield an endless series of table rows for one pool after another."""
    pool = 0
    while True:
        role, size = POOLS[pool % len(POOLS)]
        zone = f"region{pool % 50}.contoso.com"
        name = f"pool{pool:05}.{zone}"
        web = role in ("FrontEnd", "Director", "StandardEdition")
        edge = role == "Edge"
        for member in range(size):
            yield (
                f"server{pool:05}-{member}.{zone}" if size > 1 else name,
                role,
                name,
                f"Site {pool % SITES:02}",
                ";".join(DOMAINS),
                ";".join(MEET),
                DIALIN,
                ADMIN,
                f"web{pool:05}.contoso.com" if web else "",
                "true" if pool == 0 else "",
                f"access{pool:05}.contoso.com" if edge else "",
                f"conf{pool:05}.contoso.com" if edge else "",
                "rack 12, building 3",
            )
        pool += 1


# The following functions run in child processes, and return the CPU seconds for each step.


def measure(step: Callable[[], object]) -> tuple[float, object]:
    """Run one step, and return the CPU seconds that it took and its result."""
    before = time.process_time()
    result = step()
    return time.process_time() - before, result


def yardstick(path: Path) -> dict[str, float]:
    """Measure how long `csv.reader` takes to read the table, for comparison with lyncnb."""

    def read() -> list[list[str]]:
        with path.open(newline="", encoding="utf-8") as stream:
            return list(csv.reader(stream))

    return {"csv.reader": measure(read)[0]}


def lyncnb(path: Path) -> dict[str, float]:
    """Measure how long lyncnb takes to read and validate a table, and to plan its certificates."""
    from lyncnb.plan.planner import plan_certificates
    from lyncnb.rules.rule_files import load_rules
    from lyncnb.topology.topology import read_topology

    small = path.with_name("small.csv")
    rules = load_rules()
    plan_certificates(read_topology(small), rules)
    read_time, topology = measure(lambda: read_topology(path))
    plan, certificate_plan = measure(lambda: plan_certificates(topology, rules))
    names = sum(len(c.subject_alt_name) for c in certificate_plan.certificates)
    return {
        "read": read_time,
        "plan": plan,
        "certificates": len(certificate_plan.certificates),
        "names": names,
    }


def apply(path: Path) -> dict[str, float]:
    """For each row of a DataFrame, call a function that lists the names of the server."""
    import pandas as pd

    frame = pd.read_csv(path, dtype=str, na_filter=False)
    return {"apply": measure(lambda: frame.apply(names_of_row, axis=1))[0]}


def names_of_row(row) -> tuple[str, ...]:
    """Return the names of one server. The rules are the same as in lyncnb, but no work is shared
    between servers.
    """
    pool = row["pool_fqdn"] or row["server_fqdn"]
    domains = row["sip_domains"].split(";")
    role = row["role"]
    if role in ("FrontEnd", "Director", "StandardEdition"):
        urls = [*row["meet_urls"].split(";"), row["dialin_url"], row["admin_url"]]
        hosts = [url.removeprefix("https://").partition("/")[0] for url in urls]
        sip = [f"sip.{domain}" for domain in domains] if row["autologon"] == "true" else []
        discover = [
            f"{label}.{domain}"
            for label in ("lyncdiscoverinternal", "lyncdiscover")
            for domain in domains
        ]
        names = [pool, row["server_fqdn"], row["web_external_fqdn"], *sip, *hosts, *discover]
    elif role == "Edge":
        names = [row["access_edge_fqdn"], row["webconf_edge_fqdn"], *(f"sip.{d}" for d in domains)]
    elif role == "SBA":
        names = [row["server_fqdn"], *(f"sip.{domain}" for domain in domains)]
    else:
        names = [pool, row["server_fqdn"]]
    return tuple(dict.fromkeys(name for name in names if name))


CHILDREN = {"yardstick": yardstick, "lyncnb": lyncnb, "apply": apply}


def child(name: str, path: Path) -> dict[str, float]:
    """Run one of the functions in CHILDREN in a separate process."""
    command = [sys.executable, __file__, "child", name, str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare_times(rows: int, rounds: int, folder: Path) -> None:
    """Compare the time to read and plan a table with the reference time and with DataFrame.apply."""
    path = folder / "table.csv"
    write_table(path, rows)
    write_table(folder / "small.csv", 40)
    ratios: dict[str, list[float]] = {}
    results: dict[str, float] = {}
    for number in range(rounds):
        results = child("yardstick", path) | child("lyncnb", path) | child("apply", path)
        unit = results["csv.reader"]
        print(
            f"round {number + 1}: csv.reader {unit:.3f} s, read {results['read']:.3f} s, "
            f"plan {results['plan']:.3f} s, apply {results['apply']:.2f} s"
        )
        for name, ratio in (
            ("read / csv.reader", results["read"] / unit),
            ("plan / csv.reader", results["plan"] / unit),
            ("read + plan / csv.reader", (results["read"] + results["plan"]) / unit),
            ("apply / plan", results["apply"] / results["plan"]),
        ):
            ratios.setdefault(name, []).append(ratio)
    size = path.stat().st_size / 1e6
    print(
        f"{rows:,} rows, {size:.0f} MB, {results['certificates']:,} certificates, "
        f"{results['names']:,} names"
    )
    for name, values in ratios.items():
        print(f"{name:26} {statistics.median(values):6.2f}")


def edit(rows: int, folder: Path) -> None:
    """Measure the time to edit one cell and create the topology and the plan again."""
    from lyncnb.plan.planner import plan_certificates, plan_changed_topology
    from lyncnb.rules.rule_files import load_rules
    from lyncnb.topology.topology import read_topology

    path = folder / "table.csv"
    write_table(path, rows)
    plan = plan_certificates(read_topology(path), load_rules())
    topologies, plans = [], []
    for row_number in range(0, rows, rows // 40):
        cells = {row_number: {"extra_san": f"old{row_number}.contoso.com"}}
        seconds, topology = measure(partial(plan.topology.with_cells, cells))
        topologies.append(seconds)
        seconds, plan = measure(partial(plan_changed_topology, plan, topology))
        plans.append(seconds)
    assert plan.certificates == plan_certificates(plan.topology, load_rules()).certificates
    print(
        f"one cell of {rows:,} rows: topology {statistics.median(topologies) * 1e3:.1f} ms, "
        f"plan {statistics.median(plans) * 1e3:.1f} ms"
    )


def page(rows: int, rounds: int, folder: Path) -> None:
    """Measure the complete command `plan -o page.html` for single servers. The goal is at most 6 s."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from big_topology import standard_editions

    (folder / "table.csv").write_bytes(standard_editions(rows))
    out = folder / "page.html"
    command = [sys.executable, "-m", "lyncnb", "plan", str(folder / "table.csv"), "-o", str(out)]
    costs = []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*command, "--force"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        print(f"{costs[-1]:.2f} s of CPU", flush=True)
    print(f"median {statistics.median(costs):.2f} s, {out.stat().st_size / 1e6:.1f} MB; goal 6 s")


def main() -> None:
    """Parse the command line, and run the selected benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["whole", "edit", "page", "child"])
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.what == "child":
        print(json.dumps(CHILDREN[arguments.rest[0]](Path(arguments.rest[1]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        if arguments.what == "whole":
            compare_times(arguments.rows, arguments.rounds, Path(folder))
        elif arguments.what == "page":
            page(arguments.rows, arguments.rounds, Path(folder))
        else:
            edit(arguments.rows, Path(folder))


if __name__ == "__main__":
    main()
