"""The forecasts for a plan and for a request folder match dates that were calculated manually.

Invalid input is rejected.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from certificates_on_record import bundle_of
from topologies import FIVE_SERVERS, TWO_FRONT_ENDS, TWO_SITES

import lyncnb as ln
from lyncnb.base.shown.report import build_report_document
from lyncnb.errors import PlanError
from lyncnb.forecasts.compare_forecasts import build_forecasts_report
from lyncnb.forecasts.model import ForecastEntry
from lyncnb.request_folder.request_record import Revocation

pytestmark = pytest.mark.usefixtures("quick_cipher")

RULES = ln.load_rules("lync2013")
ISSUE = date(2026, 11, 25)


def planned(table: str = TWO_SITES, **options: object) -> ln.CertificatePlan:
    topology = ln.read_topology(table.encode())
    return ln.plan_certificates(topology, RULES, options=ln.PlanOptions(**options))


def with_options(plan: ln.CertificatePlan, **options: object) -> ln.CertificatePlan:
    return replace(plan, options=replace(plan.options, planned_issue_date=ISSUE, **options))


def find_entries(forecast: ln.Forecast, usage: str) -> list[ForecastEntry]:
    return [entry for entry in forecast.entries if usage in entry.usages]


def days(entries: list[ForecastEntry], field: str) -> list[str]:
    return [str(getattr(entry, field)) for entry in entries]


def test_golden_case():
    """The forecast matches manually calculated dates under validity limits of 200 days, of 100 days
    from 2027-03-15, and of 47 days from 2029-03-15.

    Calculated by hand: 200 days from 2026-11-25 end with 2027-06-12. Two thirds (133 days) have
    passed
    on 2027-04-07, when 100 days are allowed, until 2027-07-15. 66 days later it is 2027-06-12.
    After
    further steps of 66 days, the twelfth has the limit of 47 days, two thirds of which are 31.
    """
    edge = find_entries(ln.forecast(with_options(planned())), "AudioVideoAuthentication")
    assert days(edge[:14], "issued_on") == [
        *("2026-11-25", "2027-04-07", "2027-06-12", "2027-08-17", "2027-10-22", "2027-12-27"),
        *("2028-03-02", "2028-05-07", "2028-07-12", "2028-09-16", "2028-11-21", "2029-01-26"),
        *("2029-04-02", "2029-05-03"),
    ]
    assert days([edge[0], edge[1], edge[11], edge[12]], "valid_until") == [
        *("2027-06-12", "2027-07-15", "2029-05-05", "2029-05-18"),
    ]
    # A/V authentication tokens are valid for 8 hours, and the old certificate ends at midnight
    # after 2027-06-12.
    assert edge[0].takes_effect == ()
    assert [(usage, f"{moment}") for usage, moment in edge[1].takes_effect] == [
        ("AudioVideoAuthentication", "2027-06-12 16:00:00+00:00")
    ]
    assert (edge[1].order_by, edge[1].change_by) == (date(2027, 6, 11), date(2027, 6, 11))
    # A domain validation 133 days after the first one is valid for 100 days. It is still valid for
    # an order 66 days later, but not for one 132 days later.
    assert days(edge[:5], "validate_on") == [
        *("2026-11-25", "2027-04-07", "None", "2027-08-17", "None"),
    ]
    # From 2029-03-15, a domain validation is valid for 10 days, so each order needs a new one.
    assert all(entry.validate_on == entry.order_on for entry in edge[12:])


@pytest.mark.parametrize(
    ("ca", "validated"),
    [
        ("DigiCert", ("contoso.com",)),
        ("Let's Encrypt", ("access.contoso.com", "sip.contoso.com", "wc.contoso.com")),
    ],
)
def test_a_ca_may_validate_each_name(ca, validated):
    """Let's Encrypt reuses a domain validation only for exactly the same name.

    Other CAs accept a proof for the domain.
    """
    forecast = ln.forecast(planned(ca={"public": ca}, planned_issue_date=ISSUE))
    assert find_entries(forecast, "AccessEdgeExternal")[0].domains == validated


def test_oauth_certificate_takes_effect_a_day_before_the_old_one_ends():
    """A new OAuth certificate takes effect one day before the old one expires, because tokens are
    valid for 24 hours.

    It is installed once, without restarts.
    """
    first, second = find_entries(ln.forecast(with_options(planned())), "OAuthTokenIssuer")[:2]
    assert first.valid_until == date(2027, 11, 24)
    assert [f"{moment}" for _, moment in second.takes_effect] == ["2027-11-24 00:00:00+00:00"]
    assert second.change_by == date(2027, 11, 23)
    assert (second.changes, second.restarts) == (1, False)


def test_work_by_month():
    """The monthly numbers of orders, validations, server changes and restarts equal the numbers in
    the entries.
    """
    forecast = ln.forecast(with_options(planned(), lead_days={"public": 3}))
    months = {month.month: month for month in forecast.months}
    assert list(months) == sorted(months)
    assert len(months) == 4 * 12 + 2  # The forecast lists every month from 2026-11 to 2030-12.
    first = months["2026-11"]
    certificates = planned().certificates
    assert first.orders == len(certificates)
    # The domain is validated once for both certificates, and no server is in use yet.
    assert (first.validations, first.restarts) == (
        1,
        0,
    )
    assert first.changes == sum(
        1 if certificate.shared_by == "deployment" else len(certificate.servers)
        for certificate in certificates
    )
    assert sum(month.orders for month in forecast.months) == len(forecast.entries)
    # If both certificates of an Edge pool change on the same date, each of its servers restarts
    # only once.
    by_day = {}
    for entry in forecast.entries:
        if entry.restarts:
            by_day.setdefault(entry.change_on, set()).update(entry.servers)
    assert sum(month.restarts for month in forecast.months) == sum(map(len, by_day.values()))


def test_freeze_that_is_too_long_is_reported():
    """If a freeze of 60 days prevents the timely renewal of a certificate that is valid for 47
    days, the forecast shows the gap, its dates, and the three rules that cause it.
    """
    forecast = ln.forecast(with_options(planned(), freezes={"merger": "2029-06-01 to 2029-07-30"}))
    problem = next(
        candidate
        for candidate in forecast.problems
        if "access" in str(candidate) or "Edge" in str(candidate)
    )
    assert not forecast.works
    # A certificate that is issued on 2029-05-31, the last day before the freeze, expires on
    # 2029-07-16. The A/V service needs 8 more hours. A certificate that is deployed on the first
    # day after the freeze takes effect at the end of that day.
    assert f"{problem.begins} {problem.ends}" == "2029-07-16 2029-07-31"
    assert [rule.rule for rule in problem.rules] == ["validity", "roll-over", "freeze"]
    validity, roll_over, freeze = problem.rules
    assert f"{validity.begins} {validity.ends}" == "2029-05-31 2029-07-16"
    assert "47 days" in validity.says
    assert "the next certificate must be installed by 2029-07-15" in roll_over.says
    assert "6.3.2" in validity.source
    assert freeze.says == '"merger", 2029-06-01 to 2029-07-30: no orders, no server changes'
    after = [
        entry for entry in forecast.entries if entry.id in problem.certificates and entry.late_from
    ]
    assert days(after, "issued_on") == ["2029-07-31"]


def test_roll_over_without_an_available_day_is_reported():
    """If the roll-over of a service with tokens is possible only on the last day of the old
    certificate, the forecast reports that this is too late.
    """
    plan = planned()
    end = datetime(2027, 5, 1, tzinfo=UTC) - timedelta(seconds=1)
    bundle = bundle_of(plan, lambda certificate: (end - timedelta(days=89), end))
    options = ln.PlanOptions(freezes={"quarter": "2027-02-01 to 2027-04-29"})
    forecast = ln.forecast(bundle, start=date(2027, 1, 31), until=date(2027, 6, 1), options=options)
    edge = find_entries(forecast, "AudioVideoAuthentication")
    problem = next(
        candidate for candidate in forecast.problems if edge[0].id in candidate.certificates
    )
    assert f"{problem.begins} {problem.ends}" == "2027-04-30 2027-04-30"
    assert [rule.rule for rule in problem.rules] == ["validity", "roll-over", "freeze"]
    # Without OAuth tokens, a change on the last day of the old certificate is not late.
    assert not any(entry.late_from for entry in find_entries(forecast, "Default"))


def test_roll_over_before_a_certificate_ends_at_midnight():
    """If an OAuth certificate expires at midnight, the roll-over is possible during the whole
    second-to-last day.
    """
    plan = planned()
    end = datetime(2027, 5, 1, tzinfo=UTC) - timedelta(seconds=1)
    bundle = bundle_of(plan, lambda certificate: (end - timedelta(days=90), end))
    options = ln.PlanOptions(windows={"one": "2027-04-29", "then": "2027-06-01 to 2028-12-31"})
    forecast = ln.forecast(bundle, start=date(2027, 2, 1), until=date(2027, 6, 1), options=options)
    second = find_entries(forecast, "OAuthTokenIssuer")[1]
    assert (second.change_on, second.change_by) == (date(2027, 4, 29), date(2027, 4, 29))
    assert [f"{moment}" for _, moment in second.takes_effect] == ["2027-04-29 23:59:59+00:00"]


def test_lead_time_before_the_first_issue():
    """If an order was due before the start of the forecast, the report contains the due date and
    the start date.
    """
    forecast = ln.forecast(
        with_options(planned(), lead_days={"public": 5}), start=date(2026, 11, 24)
    )
    rules = {rule.rule: rule for problem in forecast.problems for rule in problem.rules}
    assert list(rules) == ["earliest order"]
    says = rules["earliest order"].says
    assert "you must order it by 2026-11-20" in says
    assert "before 2026-11-24" in says


def test_maintenance_windows_that_never_occur():
    """If no maintenance window allows server changes, the forecast reports that no certificate can
    be deployed.
    """
    forecast = ln.forecast(with_options(planned(), windows={"past": "2020-01-01"}))
    ids = [name for problem in forecast.problems for name in problem.certificates]
    assert sorted(ids) == sorted(certificate.id for certificate in planned().certificates)
    for problem in forecast.problems:
        assert {rule.rule for rule in problem.rules} == {"validity", "window"}
        assert f"{problem.begins} {problem.ends}" == "2026-11-25 2030-12-31"


def test_certificate_that_ends_before_the_first_window():
    """If a certificate expires before the first date on which servers may be changed, no day in the
    forecast is a deployment date.
    """
    plan = replace(
        planned(),
        options=ln.PlanOptions(
            planned_issue_date=date(2029, 3, 15), validity_days=30,
            windows={"w": "2029-04-14 to 2030-12-31"},
        ),
    )  # fmt: skip
    forecast = ln.forecast(plan)
    for usage in ("AudioVideoAuthentication", "Default"):
        first, second, *_ = find_entries(forecast, usage)
        assert (first.valid_until, first.change_on, first.changes) == (date(2029, 4, 13), None, 0)
        assert second.change_on == date(2029, 4, 14)
        assert not second.restarts  # No server was in use before this date.
    assert all(
        entry.change_on is None or entry.change_on <= entry.valid_until
        for entry in forecast.entries
    )
    problem = forecast.problems[0]
    assert [rule.says for rule in problem.rules] == [
        "a certificate that is issued on 2029-03-15 is valid until 2029-04-13 (the plan requests 30 days)",
        "no maintenance window includes any day from 2029-03-15 to 2029-04-13",
    ]


def test_start_date_is_required():
    """If no start date is specified, the forecast raises an error, because it never uses the
    current date.
    """
    with pytest.raises(PlanError, match="forecast needs a start date") as raised:
        ln.forecast(planned())
    assert "planned_issue_date" in raised.value.hint
    assert "start=date(" in raised.value.hint
    forecast = ln.forecast(planned(), start=date(2027, 1, 1))
    assert {entry.issued_on for entry in forecast.entries if entry.number == 1} == {
        date(2027, 1, 1)
    }
    for until in (date(2026, 11, 24), date(2190, 1, 1)):
        with pytest.raises(PlanError, match="forecast period cannot be from 2026-11-25 to"):
            ln.forecast(with_options(planned()), until=until)


def test_order_of_rows_does_not_change_the_forecast():
    """The same plan always results in the same forecast. The order of the rows changes only the
    order of the entries.

    If the rows are in another order, only the forecast's order differs.
    """
    head, first, *rest = FIVE_SERVERS.splitlines(keepends=True)
    forecast, repeated, turned = (
        ln.forecast(with_options(planned(table)))
        for table in (FIVE_SERVERS, FIVE_SERVERS, "".join((head, first, *reversed(rest))))
    )
    assert forecast == repeated
    assert forecast.months == turned.months
    assert set(forecast.entries) == set(turned.entries)


def test_ca_with_its_own_limits():
    """If the Edge pool uses another CA, the limits of that CA on the issue date apply."""
    other = planned(ca={"public": "Let's Encrypt"})
    pair = ln.compare_forecasts(
        ln.forecast(with_options(planned())),
        ln.forecast(with_options(other, ca={"public": "Let's Encrypt"})),
    )
    edge = find_entries(pair.second, "AudioVideoAuthentication")
    assert edge[0].valid_until == date(2027, 2, 22)  # The certificate is valid for 90 days.
    assert edge[1].issued_on == date(2027, 1, 24)  # The renewal is planned after 60 days.
    assert edge[1].valid_until == date(2027, 4, 23)
    # A certificate that is issued on or after 2027-02-10 is valid for 64 days.
    assert edge[2].issued_on == date(2027, 3, 25)
    assert edge[2].valid_until == date(2027, 5, 27)
    # This CA reuses a domain validation for 30 days, and from 2027-02-10 for 10 days, so each order
    # needs a new validation.
    assert days(edge[:3], "validate_on") == ["2026-11-25", "2027-01-24", "2027-03-25"]
    assert all(entry.validate_on == entry.issued_on for entry in edge)
    rows = {(row[0], row[1]): row[2:] for row in pair._list_rows()}
    before, after, difference = rows["all", "Orders"]
    assert difference == after - before > 0


def test_picture_shows_the_limits_of_the_issuing_ca():
    """The picture of a forecast shows the limits of the issuing CA and the limits for all public
    CAs.
    """
    forecast = ln.forecast(with_options(planned(ca={"public": "Let's Encrypt"})))
    kinds = [limit.kind for limit in forecast.limits]
    assert kinds.count("Limits of public CAs") == 3
    assert kinds.count("Limits of Let's Encrypt") == 3
    assert {limit.kind for limit in ln.forecast(with_options(planned())).limits} == {kinds[0]}


def test_months_with_much_work_are_visible():
    """The forecast shows a row for each year and a cell for each month, with a bar for the amount
    of work.
    """
    forecast = ln.forecast(with_options(planned()))
    rows = {row[0]: row[1:] for row in forecast.changes()}
    assert list(rows) == ["2026", "2027", "2028", "2029", "2030"]
    most = max(month.changes for month in forecast.months)
    for month in forecast.months:
        number, _, bar = rows[month.month[:4]][int(month.month[5:]) - 1].partition(" ")
        assert int(number or 0) == month.changes
        assert (bar == "█") == (month.changes == most)
    assert rows["2026"][0] == ""


def test_forecasts_with_and_without_directors_are_compared():
    """The comparison of forecasts with and without Directors shows how much work the Directors
    cause.
    """
    lines = [line for line in FIVE_SERVERS.splitlines() if "Director" not in line]
    pair = ln.compare_forecasts(
        ln.forecast(with_options(planned(FIVE_SERVERS))),
        ln.forecast(with_options(planned("\n".join(lines) + "\n"))),
    )
    yearly = {row[1]: row[4] for row in pair._list_rows() if row[0] == "2028"}
    assert yearly == {"Orders": -2, "Validations": 0, "Server changes": -2, "Restarts": -2}
    assert "first" in build_report_document(build_forecasts_report(pair))


def test_forecast_uses_recorded_certificates(tmp_path):
    """In the forecast for a request folder, the renewal of a recorded certificate depends on the
    exact hour at which the certificate expires. All other certificates are ordered for the first
    time.
    """
    plan = planned(TWO_FRONT_ENDS)
    bundle = ln.write_requests(plan, tmp_path / "r", passphrase="only for the sample")
    ln.demo.answer(bundle, tmp_path / "answers", today=date(2026, 11, 25))
    answers = sorted((tmp_path / "answers").iterdir())
    ln.receive(tmp_path / "r", *answers, today=date(2026, 11, 25))
    opened = ln.open_requests(tmp_path / "r")
    forecast = ln.forecast(tmp_path / "r", start=date(2026, 12, 1))
    renewals = {renewal.request_id: renewal for renewal in ln.list_renewals(opened, today=ISSUE)}
    on_record = [entry for entry in forecast.entries if entry.number == 0]
    assert {entry.id for entry in on_record} == renewals.keys()
    for entry in on_record:
        assert entry.order_on is None
        assert entry.renew_from == renewals[entry.id].renew_from
    following = [entry for entry in forecast.entries if entry.number == 1]
    for entry in following:
        predecessor = renewals[entry.id]
        assert entry.issued_on >= predecessor.renew_from
        for _, moment in entry.takes_effect:
            assert (predecessor.not_after - moment).total_seconds() == 24 * 3600
    assert forecast == ln.forecast(opened, start=date(2026, 12, 1))
    assert ln.forecast(opened).start == datetime.now(UTC).date()


def test_expired_certificate_is_a_problem_today(tmp_path):
    """If a certificate expired on its servers and no successor is recorded, the forecast from today
    reports a problem.
    """
    first = date(2024, 1, 2)
    plan = planned(TWO_FRONT_ENDS, planned_issue_date=first)
    bundle = ln.write_requests(plan, tmp_path / "r", passphrase="only for the sample", today=first)
    ln.demo.answer(bundle, tmp_path / "answers", today=first)
    ln.receive(tmp_path / "r", *sorted((tmp_path / "answers").iterdir()), today=first)
    assert ln.forecast(tmp_path / "r", start=first, until=date(2024, 6, 1)).works
    forecast = ln.forecast(tmp_path / "r")
    assert not forecast.works
    assert any("servers have no valid certificate" in problem.what for problem in forecast.problems)
    # The forecast expects that later certificates have the lifetime of the CA's last certificate.
    following = [entry for entry in forecast.entries if entry.number]
    assert {(entry.valid_until - entry.issued_on).days + 1 for entry in following} == {730}
    assert not [note for note in forecast.notes if "from an internal CA" in note]
    assert (
        "assumes a validity of 365 days for 3 certificates from an internal CA"
        in ln.forecast(plan).notes[0]
    )


def test_a_product_without_steps():
    """If a custom product has no deployment steps, the forecast contains no roll-over and no
    restart.
    """
    plan = with_options(planned())
    bare = replace(plan, rules=replace(plan.rules, settings={}))
    forecast = ln.forecast(bare)
    assert forecast.works
    assert not any(entry.takes_effect or entry.restarts for entry in forecast.entries)
    assert any(entry.takes_effect for entry in ln.forecast(plan).entries)


def test_waiting_request_is_issued_on_the_planned_date():
    """A waiting request is expected to be issued on the planned date, or on the start date of the
    forecast if that is later.
    """
    plan = planned()
    end = datetime(2027, 5, 1, tzinfo=UTC)
    issued_ids = {
        certificate.id for certificate in plan.certificates if certificate.issuer == "internal"
    }
    bundle = bundle_of(plan, lambda certificate: (end - timedelta(days=200), end)
                       if certificate.id in issued_ids else None)  # fmt: skip
    for issue, expected in ((date(2027, 1, 1), "2027-01-01"), (date(2026, 1, 1), "2026-12-01")):
        options = ln.PlanOptions(planned_issue_date=issue)
        forecast = ln.forecast(bundle, start=date(2026, 12, 1), options=options)
        first = {str(entry.issued_on) for entry in forecast.entries if entry.number == 1}
        waiting = [
            entry for entry in forecast.entries if entry.id not in issued_ids and entry.number == 1
        ]
        assert {str(entry.issued_on) for entry in waiting} == {expected}
        assert len(first) > 1


def test_forecast_of_a_plan_document(tmp_path):
    """The JSON document of a plan contains no options, so its forecast takes the options and the
    date as arguments.
    """
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(ln.plan_document(planned(), ln.check_plan(planned(), on=ISSUE))))
    forecast = ln.forecast(path, options=ln.PlanOptions(planned_issue_date=ISSUE))
    assert forecast.months == ln.forecast(with_options(planned())).months


def test_no_order_is_possible():
    """If no planned issue date is set and freezes never end, a finding reports that no order is
    possible.
    """
    forecast = ln.forecast(
        planned(), start=ISSUE, options=ln.PlanOptions(freezes={"all": "01-01 to 12-31"})
    )
    assert forecast.entries == ()
    assert {problem.what for problem in forecast.problems} == {
        "the certificate cannot be installed on or before 2030-12-31"
    }


def test_each_issuer_has_its_own_validity():
    """The options for an internal CA do not affect certificates from a public CA, and vice versa."""
    forecast = ln.forecast(with_options(planned(), validity={"internal": 365, "public": 90}))
    first = {entry.issuer: entry for entry in forecast.entries if entry.number == 1}
    lives = {
        issuer: (entry.valid_until - entry.issued_on).days + 1 for issuer, entry in first.items()
    }
    assert lives == {"internal": 365, "public": 90}


def test_renewal_after_the_end_of_the_forecast():
    """A certificate that is valid for thirty years is renewed after the end of the forecast, so
    there is only one order.
    """
    forecast = ln.forecast(with_options(planned(), validity_days=10_950))
    internal = [entry for entry in forecast.entries if entry.issuer == "internal"]
    assert {entry.number for entry in internal} == {1}
    assert forecast.works


OLD = datetime(2026, 10, 1, tzinfo=UTC), datetime(2027, 1, 10, 23, 59, 59, tzinfo=UTC)
NEW = datetime(2027, 1, 2, tzinfo=UTC), datetime(2027, 4, 11, 23, 59, 59, tzinfo=UTC)


def renewed(plan, *, is_back):
    """Return a request folder in which every certificate is in use and was requested again."""
    bundle = bundle_of(plan, lambda certificate: OLD)
    records = []
    for record in bundle.requests:
        next_record = record.build_next_generation(
            at="2026-12-30T08:00:00Z", reasons=("renewed: due",)
        )
        next_record = replace(
            next_record, state="waiting", written_at="2026-12-30T08:00:00Z", csr_sha256="a"
        )
        if is_back:
            begins, ends = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in NEW)
            issued = replace(record.issued, not_before=begins, not_after=ends, received_at=begins)
            next_record = next_record.with_issued_certificate(issued, at=begins)
        records.append(next_record)
    return replace(bundle, manifest=bundle.manifest.with_records(records))


@pytest.mark.parametrize("is_back", [False, True])
def test_pending_renewal_is_the_next_certificate(is_back):
    """During a renewal, the old certificates stay in use until they expire, and the new ones are
    deployed on the next possible date.
    """
    plan = with_options(planned(TWO_FRONT_ENDS), lead_days={"": 4}, validity_days=100)
    folder, options = renewed(plan, is_back=is_back), plan.options
    forecast = ln.forecast(folder, start=date(2027, 1, 4), until=date(2027, 3, 1), options=options)
    assert forecast.works
    now, following = forecast.entries[:2]
    assert (now.number, now.valid_until) == (0, date(2027, 1, 10))
    assert (following.number, following.order_on) == (1, date(2026, 12, 30))
    expected = date(2027, 1, 2) if is_back else date(2027, 1, 4)
    assert (following.issued_on, following.change_on) == (expected, date(2027, 1, 4))
    assert following.valid_until == (date(2027, 4, 11) if is_back else date(2027, 4, 13))


@pytest.mark.parametrize("is_back", [False, True])
def test_last_date_of_a_pending_renewal_is_in_a_window(is_back):
    """The last date on which to install a certificate is in a maintenance window, both before its
    request is written and afterwards.
    """
    plan = with_options(
        planned(TWO_FRONT_ENDS), validity_days=100, windows={"w": "tuesday, saturday"}
    )
    folders = bundle_of(plan, lambda certificate: OLD), renewed(plan, is_back=is_back)
    for folder in folders:
        forecast = ln.forecast(
            folder, start=date(2027, 1, 2), until=date(2027, 3, 1), options=plan.options
        )
        following = [entry for entry in forecast.entries if entry.number == 1]
        assert {entry.change_by for entry in following} == {date(2027, 1, 9)}  # A Saturday.


@pytest.mark.parametrize("is_back", [False, True])
def test_renewal_after_the_end_is_a_problem(is_back):
    """If the next maintenance window is after the certificate in use expires, the forecast reports
    a problem.
    """
    plan = with_options(planned(TWO_FRONT_ENDS), validity_days=100)
    options = replace(plan.options, windows={"w": "2026-12-05, 2027-01-16, 2027-03-27"})
    folder = renewed(plan, is_back=is_back)
    forecast = ln.forecast(folder, start=date(2027, 1, 4), until=date(2027, 2, 15), options=options)
    days = {(problem.begins, problem.ends) for problem in forecast.problems}
    assert max(days) == (date(2027, 1, 11), date(2027, 1, 16))
    assert {name for problem in forecast.problems for name in problem.certificates} == {
        certificate.id for certificate in plan.certificates
    }


def test_a_certificate_ends_on_its_not_after_date():
    """A certificate that expires in the evening ends on the date that the status shows. The servers
    have no valid certificate on this date, because it is not valid for the complete day.
    """
    plan = with_options(
        planned(TWO_FRONT_ENDS), validity_days=100, freezes={"f": "2026-12-01 to 2027-02-01"}
    )
    ends = datetime(2027, 1, 10, 20, tzinfo=UTC)
    folder = bundle_of(plan, lambda certificate: (OLD[0], ends))
    forecast = ln.forecast(
        folder, start=date(2026, 12, 1), until=date(2027, 3, 1), options=plan.options
    )
    on_record = [entry for entry in forecast.entries if entry.number == 0]
    assert {entry.valid_until for entry in on_record} == {date(2027, 1, 10)}
    problem = forecast.problems[-1]
    assert problem.what == (
        "the servers have no valid certificate from 2027-01-10 to 2027-02-02, because the next "
        "certificate is not installed in time"
    )
    assert problem.rules[0].says == "the certificate on record can be used until 2027-01-10"


@pytest.mark.parametrize("state", ["in use", "waiting", "back"])
@pytest.mark.parametrize("start", [date(2027, 1, 11), date(2027, 2, 20), date(2029, 6, 1)])
def test_an_expired_certificate_in_use_is_a_problem_on_every_day(state, start):
    """On any evaluation date, the forecast reports an expired certificate that is still in use,
    whether or not a renewal is pending.
    """
    plan = with_options(planned(TWO_FRONT_ENDS), validity_days=100)
    folder = bundle_of(plan, lambda certificate: OLD)
    if state != "in use":
        folder = renewed(plan, is_back=state == "back")
    forecast = ln.forecast(folder, start=start, until=date(2029, 12, 31), options=plan.options)
    assert not forecast.works
    assert min(problem.begins for problem in forecast.problems) <= start


@pytest.mark.parametrize(
    ("revoked_at", "words"),
    [
        ("2027-01-05T22:00:00Z", "the certificate on record was revoked on 2027-01-05"),
        ("", "the revocation of the certificate on record was requested on 2027-01-04"),
    ],
)
def test_a_revoked_certificate_is_a_problem_from_its_revocation_on(revoked_at, words):
    """If the certificate on the servers is revoked, or its revocation is requested, the servers have
    no valid certificate until the next one is installed.
    """
    plan = with_options(planned(TWO_FRONT_ENDS), lead_days={"": 4}, validity_days=100)
    folder, records = renewed(plan, is_back=False), []
    for record in folder.requests:
        revocation = Revocation(
            reason="keyCompromise", asked_at="2027-01-04T21:00:00Z", revoked_at=revoked_at
        )
        (first,) = record.archived
        records.append(replace(record, archived=(replace(first, revocation=revocation),)))
    folder = replace(folder, manifest=folder.manifest.with_records(records))
    forecast = ln.forecast(
        folder, start=date(2027, 1, 6), until=date(2027, 3, 1), options=plan.options
    )
    revoked_on = date.fromisoformat(words[-10:])
    assert {(problem.begins, problem.ends) for problem in forecast.problems} == {
        (revoked_on, date(2027, 1, 6))
    }
    assert forecast.problems[0].rules[0].says == words
    assert {problem.rules[1].rule for problem in forecast.problems} == {"earliest order"}
    revoked = [entry for entry in forecast.entries if entry.number == 0]
    assert {entry.renew_from for entry in revoked} == {revoked_on}
    late = [entry.late_from for entry in forecast.entries if entry.number == 1]
    assert set(late) == {revoked_on}
