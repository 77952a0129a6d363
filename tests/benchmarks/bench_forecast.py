"""Measure the CPU time of a forecast until 2030. This benchmark is run manually.

    PYTHONPATH=tests python tests/benchmarks/bench_forecast.py --certificates 1000

The figures are CPU seconds, the median of some rounds, for certificates of ``big_topology``:
planned; with freezes and maintenance windows; with a freeze that is too long for all public ones;
and recorded, each with a separate end. After the first round, only the rules are cached.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from big_topology import big_table
from certificates_on_record import bundle_of

import lyncnb as ln
from lyncnb.base.shown.report import write_report
from lyncnb.forecasts.forecast_files import build_forecast_report

ISSUE = date(2026, 11, 25)
CALENDAR = {"freezes": {"year end": "12-18 to 01-08"}, "windows": {"w": "saturday, sunday"}}
TOO_LONG = {"freezes": {"year end": "11-18 to 02-08"}, "windows": {"w": "saturday, sunday"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificates", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    plan = ln.plan_certificates(
        ln.read_topology(big_table(arguments.certificates * 2)), ln.load_rules("lync2013")
    )
    plan = replace(plan, certificates=plan.certificates[-arguments.certificates :])
    positions = {certificate.id: position for position, certificate in enumerate(plan.certificates)}

    def life(certificate: ln.PlannedCertificate) -> tuple[datetime, datetime]:
        begins = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=positions[certificate.id])
        return begins, begins + timedelta(days=200 if certificate.issuer == "public" else 365)

    def with_options(**options: object) -> ln.CertificatePlan:
        return replace(plan, options=replace(plan.options, planned_issue_date=ISSUE, **options))

    bundle, late = bundle_of(plan, life), with_options(**TOO_LONG).options
    cases: dict[str, Callable[[], ln.Forecast]] = {
        "planned": lambda: ln.forecast(with_options()),
        "freezes and windows": lambda: ln.forecast(with_options(**CALENDAR)),
        "a freeze that is too long": lambda: ln.forecast(with_options(**TOO_LONG)),
        "on record": lambda: ln.forecast(bundle, start=ISSUE),
        "on record, too long": lambda: ln.forecast(bundle, start=ISSUE, options=late),
    }
    for name, make in cases.items():
        rounds = []
        for _ in range(arguments.rounds):
            start = time.process_time()
            forecast = make()
            rounds.append(time.process_time() - start)
        print(f"{name}: {statistics.median(rounds):.2f} s, {forecast.summary()}")
    for suffix in (".json", ".xlsx", ".ics", ".html"):
        start = time.process_time()
        size = len(write_report(build_forecast_report(forecast), suffix))
        print(f"{suffix}: {time.process_time() - start:.2f} s, {size:,} bytes")


if __name__ == "__main__":
    main()
