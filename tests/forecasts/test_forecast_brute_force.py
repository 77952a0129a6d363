"""In small random cases, the forecast equals the result of a search that tries every day.

``LYNCNB_FORECASTS=2000`` runs as many cases. The default is a tenth of it.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise, takewhile

import pytest
from certificates_on_record import bundle_of
from forecast_by_force import DAY, HOUR, LEAD_HOURS, REUSE, Search, on_day, random_case
from topologies import TWO_SITES

import lyncnb as ln

COUNT = int(os.environ.get("LYNCNB_FORECASTS", "200"))
PARTS = 4
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def planned():
    """Return a plan with the public and the internal certificate of an Edge pool, one certificate
    of a pool, and the OAuth certificate.
    """
    topology = ln.read_topology(TWO_SITES.encode())
    plan = ln.plan_certificates(topology, ln.load_rules("lync2013"))
    usages = {"AudioVideoAuthentication", "OAuthTokenIssuer", "Default"}
    by_usage: dict[str, ln.PlannedCertificate] = {}
    for certificate in plan.certificates:
        for usage in usages & set(certificate.usages):
            by_usage.setdefault(usage, certificate)
    assert by_usage.keys() == usages
    return replace(plan, certificates=tuple(by_usage.values()))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_forecast_equals_a_search_over_every_day(planned, part):
    """If a search over every day finds a solution, the forecast finds one with the same dates.

    Otherwise both get equally far. Each date is the same.
    """
    tried = {"works": 0, "fails": 0}
    for seed in range(part, COUNT, PARTS):
        case = random_case(seed)
        plan = replace(planned, options=replace(planned.options, **case.options()))
        forecast = ln.forecast(plan, until=case.until, start=case.start)
        check_proofs(case, forecast, f"seed {seed}")
        for certificate in plan.certificates:
            search = Search(case, usages=certificate.usages, issuer=certificate.issuer)
            problems = [
                problem for problem in forecast.problems if certificate.id in problem.certificates
            ]
            entries = [entry for entry in forecast.entries if entry.id == certificate.id]
            works = check_forecast(
                case, search, entries, problems, f"seed {seed}, {certificate.id}"
            )
            tried["works" if works else "fails"] += 1
    assert min(tried.values()) > COUNT / PARTS / 4, tried


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
def test_forecast_of_recorded_certificates_equals_a_search(planned, part):
    """For a recorded certificate with a random expiry time, the forecast plans the same renewals as
    a search over every day.
    """
    tried = {"works": 0, "fails": 0}
    for seed in range(part, COUNT // 2, 2):
        case, chance = random_case(seed), random.Random(seed)
        begins = datetime.combine(case.issue, time()) - chance.randint(1, 30) * DAY
        # Like certificates from real CAs, the certificate expires on the hour or one second before
        # it, and often at the end of a day.
        hours, seconds = chance.choice([0, 0, 1, 8, 16, 23]), chance.choice([0, 1, 1800])
        ends = datetime.combine(case.issue, time()) + chance.randint(1, 50) * DAY
        ends += hours * HOUR - seconds * SECOND
        zone = {"tzinfo": UTC}
        life = (begins.replace(**zone), ends.replace(**zone))
        options = replace(planned.options, **case.options())
        forecast = ln.forecast(
            bundle_of(planned, lambda issued, life=life: life),
            until=case.until, start=case.start, options=options,
        )  # fmt: skip
        for certificate in planned.certificates:
            search = Search(case, usages=certificate.usages, issuer=certificate.issuer)
            problems = [
                problem for problem in forecast.problems if certificate.id in problem.certificates
            ]
            entries = [entry for entry in forecast.entries if entry.id == certificate.id]
            label = f"seed {seed}, {certificate.id}"
            works = check_recorded_renewals(case, search, entries, problems, (begins, ends), label)
            tried["works" if works else "fails"] += 1
    assert min(tried.values()) > COUNT / 10, tried


def check_recorded_renewals(case, search, entries, problems, life, label) -> bool:
    """Check the renewals of a recorded certificate against the brute-force search, and return
    whether a solution exists.
    """
    begins, ends = life
    ways = search.following_on_record(begins, ends)
    last = datetime.combine(case.until, time()) + 24 * HOUR
    feasible = ends + SECOND >= last or any(day in search.good for day in ways)
    assert (not problems) == feasible, label
    record, *rest = entries
    end = ends + SECOND
    renew, last_day = (end - (end - begins) / 3).date(), (end - DAY).date()
    order = case.order_on(search.issuer, begins.date(), renew, last_day)
    assert record.renew_from == order, label
    if not feasible:
        days = [search.last_day_before(ends + SECOND)]
        days += [
            search.served_until(issue_date)
            for day in ways
            for issue_date in search.reachable_issue_dates(day)
        ]
        assert min(problem.begins for problem in problems) == max(days) + DAY, label
        return False
    if rest:
        pairs = [(min(search.changes(day)), day) for day in ways if day in search.good]
        preferred = [pair for pair in pairs if pair[0] >= renew]
        change = min(preferred)[0] if preferred else max(pairs)[0]
        expected = max(pair for pair in (preferred or pairs) if pair[0] == change)
        assert (rest[0].change_on, rest[0].issued_on) == expected, label
        assert [usage for usage, _ in rest[0].takes_effect] == [
            usage for usage in rest[0].usages if usage in LEAD_HOURS
        ], label
        for usage, moment in rest[0].takes_effect:
            assert ends.replace(tzinfo=UTC) - moment == LEAD_HOURS[usage] * HOUR, label
    return True


def check_forecast(case, search, entries, problems, label) -> bool:
    """Check the forecast of a certificate against the search. Return whether the search found a
    solution.
    """
    first = case.issue
    if not (search.can_be_issued(first) and search.changes(first)):
        assert problems, label
        assert problems[0].begins == first, label
        return False
    feasible = first in search.good
    assert (not problems) == feasible, label
    if not feasible:
        furthest = max(map(search.served_until, search.reachable_issue_dates(first)))
        assert min(problem.begins for problem in problems) == furthest + DAY, label
        assert all(problem.rules and problem.begins <= problem.ends for problem in problems), label
        # The servers have no certificate until the end of the first day on which the next
        # certificate can be deployed.
        later = [
            change for day in search.days
            if search.can_be_issued(day) and (changes := search.changes(day))
            and furthest < (change := min(changes)) <= case.until
        ]  # fmt: skip
        gap_end = min(problems, key=lambda problem: problem.begins).ends
        assert gap_end == min(later, default=case.until), label
        if label.split(",")[0].endswith(("0", "5")):
            check_first_gap(case, search, min(problems, key=lambda problem: problem.begins), label)
        entries = [*takewhile(lambda entry: entry.late_from is None, entries)]
    assert entries[0].issued_on == first, label
    for entry in entries:
        assert entry.valid_until == search.end(entry.issued_on).date() - DAY, label
        life = search.end(entry.issued_on) - datetime.combine(entry.issued_on, time())
        # The number of whole days before the last third of the certificate's lifetime.
        renew = entry.issued_on + (life * 2 // 3) // DAY * DAY
        order = case.order_on(search.issuer, entry.issued_on, renew, entry.valid_until)
        assert entry.renew_from == order, label
    for old, new in pairwise(entries):
        assert new.issued_on in search.next_issue_dates[old.issued_on], label
        assert search.can_be_issued(new.issued_on), label
        assert search.is_in_time(new.change_on, old.issued_on), label
        if feasible:
            check_chosen_dates(search, old, new, label)
    if feasible:
        check_every_hour(case, search, entries, label)
    return feasible


def check_first_gap(case, search, problem, label) -> None:
    """Check that a reported gap names the expiry of the current certificate as its first cause,
    followed by the rules that cause the gap.

    Without the other rules, the next certificate would be in time.
    """
    assert problem.rules[0].rule == "validity", label
    assert problem.rules[0].begins <= problem.rules[0].ends <= problem.begins, label
    rule_names = {rule.rule for rule in problem.rules[1:]}
    frozen = {rule.says.split('"')[1] for rule in problem.rules[1:] if rule.rule == "freeze"}
    for number, (begins, ends) in enumerate(case.freezes):
        if f"f{number}" in frozen:
            assert begins <= problem.begins, label
            assert ends >= problem.rules[0].begins, label
    free = {"windows": [], "weekdays": set()} if "window" in rule_names else {}
    free |= {"lead": {"public": 0, "internal": 0}} if "lead time" in rule_names else {}
    remaining = [span for number, span in enumerate(case.freezes) if f"f{number}" not in frozen]
    without = Search(
        replace(case, frozen=set(), freezes=remaining, **free), usages=(), issuer=search.issuer
    )
    without.lead = 0 if "roll-over" in rule_names else search.lead
    assert (
        max(map(without.served_until, without.reachable_issue_dates(case.issue))) >= problem.begins
    ), label


def check_proofs(case, forecast, label) -> None:
    """Check that each domain has a valid proof on each issue date, and that a new proof is planned
    only if no proof is valid.
    """
    public = sorted(
        (entry for entry in forecast.entries if entry.issuer == "public"),
        key=lambda entry: entry.issued_on,
    )
    proofs: list[date] = []
    for entry in public:
        reuse = on_day(REUSE, entry.issued_on)
        counts = [day for day in proofs if (entry.issued_on - day).days <= reuse]
        if counts:
            assert entry.validate_on is None, label
            continue
        if (
            entry.validate_on is None
        ):  # The domain cannot be validated before the planned issue date.
            assert (entry.number, forecast.works) == (1, False), label
            continue
        assert entry.domains == ("contoso.com",), label
        assert entry.order_on <= entry.validate_on <= entry.issued_on, label
        if not any(entry.id in problem.certificates for problem in forecast.problems):
            assert (entry.issued_on - entry.validate_on).days <= reuse, label
        proofs.append(entry.validate_on)


def check_chosen_dates(search, old, new, label) -> None:
    """Check that the forecast orders each certificate on the first possible date in the last third
    of its predecessor's lifetime.

    If there is no such date, the last possible date before it is expected.
    """
    ways = [
        (min(search.changes(day)), day)
        for day in search.next_issue_dates[old.issued_on] if day in search.good
    ]  # fmt: skip
    lead = search.case.lead[search.issuer] * DAY
    assert new.order_by == max(day for _, day in ways) - lead, label
    life = search.end(old.issued_on) - datetime.combine(old.issued_on, time())
    renew = old.issued_on + (life * 2 // 3) // DAY * DAY
    preferred = [way for way in ways if way[0] >= renew]
    if preferred:
        change = min(preferred)[0]
        expected = max(way for way in preferred if way[0] == change)
    else:
        expected = max(ways)
    assert (new.change_on, new.issued_on) == expected, label
    assert new.order_on == new.issued_on - lead, label


def check_every_hour(case, search, entries, label) -> None:
    """Check that the servers have a valid certificate in each hour until the end of the forecast."""
    for entry in entries:
        assert entry.order_on not in case.frozen, label
        assert case.may_change(entry.change_on), label
        assert entry.validate_on is None or entry.validate_on not in case.frozen, label
    hour = datetime.combine(entries[0].change_on, time()) + 24 * HOUR
    last = datetime.combine(case.until, time()) + 24 * HOUR
    index = 0
    while hour < last:
        while (
            index + 1 < len(entries)
            and hour >= datetime.combine(entries[index + 1].change_on, time()) + 24 * HOUR
        ):
            index += 1
        assert hour < search.end(entries[index].issued_on), (label, hour)
        hour += HOUR
