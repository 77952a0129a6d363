"""The forecast, status, calendar and summary show the same renewal date for a certificate.

``LYNCNB_RENEWAL_DAYS=2000`` runs as many cases. The default is 20.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import pytest
from folders import issued_record, make_folder, make_plan
from forecast_by_force import DAY, random_case

from lyncnb.authorities.status import folder_status
from lyncnb.authorities.summary_files import build_folder_summary
from lyncnb.base.renewal_days import ANY_DAY
from lyncnb.forecasts.make_forecast import forecast
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.manifest import save_manifest
from lyncnb.request_folder.renewals import list_renewals

COUNT = int(os.environ.get("LYNCNB_RENEWAL_DAYS", "20"))
SECOND = timedelta(seconds=1)

pytestmark = pytest.mark.usefixtures("quick_cipher")


def record_random_certificates(folder, chance, case):
    """Record certificates with random validity periods, as if the CA had issued them."""
    records = []
    manifest = open_requests(folder).manifest
    for record in manifest.requests:
        begins = datetime.combine(case.issue, time()) + chance.randint(-20, 20) * DAY
        begins += chance.choice([0, 1, 60 * 60 * 13]) * SECOND
        ends = begins + chance.randint(2, 200) * DAY - chance.choice([0, 1]) * SECOND
        days = {"not_before": f"{begins.isoformat()}Z", "not_after": f"{ends.isoformat()}Z"}
        issued = issued_record(**days)
        records.append(replace(record, issued=issued, issued_at=issued.received_at, state="issued"))
    save_manifest(folder, manifest.with_records(records))


def test_all_views_show_the_same_renewal_date(tmp_path):
    """For any lifetime, lead time, change freeze and maintenance window, all views show the same
    renewal date for a certificate.
    """
    tried = set()
    for seed in range(COUNT):
        case, chance = random_case(seed), random.Random(seed)
        options = case.options() | {"validity_days": 200}
        folder = tmp_path / f"{seed}"
        make_folder(folder, make_plan(**options), today=case.start)
        record_random_certificates(folder, chance, case)
        bundle = open_requests(folder)
        renewal_forecast = forecast(bundle, start=case.start, until=date(2031, 1, 1))
        days = {
            entry.id: entry.renew_from for entry in renewal_forecast.entries if entry.number == 0
        }
        calendar = {renewal.request_id: renewal.renew_from for renewal in list_renewals(folder)}
        assert calendar == days, f"seed {seed}"
        summary = build_folder_summary(folder, bundle.manifest)
        assert summary is not None
        assert {m.id: m.renew_from for _, m in summary.members} == {
            name: str(day) for name, day in days.items()
        }, f"seed {seed}"
        for day in set(days.values()):
            states = [
                {
                    request.id: request.state
                    for request in folder_status(folder, today=today).requests
                }
                for today in (day - DAY, day)
            ]
            for name in (name for name, other in days.items() if other == day):
                # If the order date is after the certificate's last day, the certificate has already
                # expired.
                assert [day_states[name] for day_states in states] in (
                    ["issued", "expiring"], ["issued", "expired"], ["expired", "expired"],
                ), f"seed {seed}, {name}"  # fmt: skip
        plain = {
            record.id: ANY_DAY.plan_renewal(
                record.issued.begins, record.issued.ends, "public"
            ).order_on
            for record in bundle.requests
        }
        tried |= {days[name] != plain[name] for name in days}
    assert tried == {True, False}


def test_order_date_leaves_time_before_a_change_freeze():
    """If the CA needs several days to issue a certificate, the order date is early enough to finish
    the change before a change freeze.
    """
    options = {
        "lead_days": {"public": 3, "internal": 0},
        "freezes": {"year end": "2026-12-18 to 2027-01-08"},
        "windows": {"weekly": "saturday"},
    }
    terms = make_plan(**options).options.renewal_terms
    begins = datetime.combine(date(2026, 10, 1), time())
    # The certificate is valid until 2027-01-19, so the last third of its lifetime begins on 2026-12-14.
    ends = begins + 111 * DAY - SECOND
    renewals = [terms.plan_renewal(begins, ends, issuer) for issuer in ("public", "internal")]
    assert [(str(renewal.order_on), str(renewal.change_on)) for renewal in renewals] == [
        ("2026-12-17", "2027-01-09"),
        ("2027-01-09", "2027-01-09"),
    ]


def test_status_and_forecast_list_the_same_installation(tmp_path):
    """For any lifetime, lead time, change freeze and maintenance window, the status and the forecast
    show the same first and last date for the installation of a certificate that was requested.
    """
    compared = 0
    for seed in range(COUNT):
        case, chance = random_case(seed), random.Random(seed)
        folder = tmp_path / f"{seed}"
        make_folder(folder, make_plan(**case.options() | {"validity_days": 200}), today=case.start)
        record_random_certificates(folder, chance, case)
        manifest = open_requests(folder).manifest
        day = case.start + chance.randint(0, 60) * DAY
        now = f"{day}T00:00:00Z"
        records = [
            replace(record.build_next_generation(at=now, reasons=("due",)), written_at=now)
            for record in manifest.requests
        ]
        save_manifest(folder, manifest.with_records(records))
        listed = {
            entry.id: (str(entry.change_on), str(entry.change_by))
            for entry in forecast(folder, start=day, until=date(2031, 1, 1)).entries
            if entry.number == 1 and entry.change_on
        }
        shown = {
            row.id: (row.change_on, row.change_by)
            for row in folder_status(folder, today=day).requests
            if row.id in listed and row.generation > 1
        }
        assert shown == listed, f"seed {seed}"
        compared += len(listed)
    assert compared > COUNT
