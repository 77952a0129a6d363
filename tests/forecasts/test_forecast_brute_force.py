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
    wanted = {"AudioVideoAuthentication", "OAuthTokenIssuer", "Default"}
    found: dict[str, ln.PlannedCertificate] = {}
    for one in plan.certificates:
        for usage in wanted & set(one.usages):
            found.setdefault(usage, one)
    assert found.keys() == wanted
    return replace(plan, certificates=tuple(found.values()))


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
        made = ln.forecast(plan, until=case.until, start=case.start)
        check_proofs(case, made, f"seed {seed}")
        for certificate in plan.certificates:
            search = Search(case, usages=certificate.usages, issuer=certificate.issuer)
            problems = [one for one in made.problems if certificate.id in one.certificates]
            entries = [one for one in made.entries if one.id == certificate.id]
            works = check(case, search, entries, problems, f"seed {seed}, {certificate.id}")
            tried["works" if works else "fails"] += 1
    assert min(tried.values()) > COUNT / PARTS / 4, tried


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
def test_forecast_of_recorded_certificates_equals_a_search(planned, part):
    """For a recorded certificate with a random end, the forecast plans the same renewals as a
    search over every day.
    """
    tried = {"works": 0, "fails": 0}
    for seed in range(part, COUNT // 2, 2):
        case, chance = random_case(seed), random.Random(seed)
        begins = datetime.combine(case.issue, time()) - chance.randint(1, 30) * DAY
        # Like certificates from real CAs, the certificate ends on the hour or one second before it,
        # and often at the end of a day.
        hours, seconds = chance.choice([0, 0, 1, 8, 16, 23]), chance.choice([0, 1, 1800])
        ends = datetime.combine(case.issue, time()) + chance.randint(1, 50) * DAY
        ends += hours * HOUR - seconds * SECOND
        zone = {"tzinfo": UTC}
        life = (begins.replace(**zone), ends.replace(**zone))
        options = replace(planned.options, **case.options())
        made = ln.forecast(
            bundle_of(planned, lambda one, life=life: life),
            until=case.until, start=case.start, options=options,
        )  # fmt: skip
        for certificate in planned.certificates:
            search = Search(case, usages=certificate.usages, issuer=certificate.issuer)
            problems = [one for one in made.problems if certificate.id in one.certificates]
            entries = [one for one in made.entries if one.id == certificate.id]
            where = f"seed {seed}, {certificate.id}"
            works = check_recorded_renewals(case, search, entries, problems, (begins, ends), where)
            tried["works" if works else "fails"] += 1
    assert min(tried.values()) > COUNT / 10, tried


def check_recorded_renewals(case, search, entries, problems, life, where) -> bool:
    """Check the renewals of a recorded certificate against the brute-force search, and return
    whether a solution exists.
    """
    begins, ends = life
    ways = search.following_on_record(begins, ends)
    last = datetime.combine(case.until, time()) + 24 * HOUR
    feasible = ends + SECOND >= last or any(day in search.good for day in ways)
    assert (not problems) == feasible, where
    record, *rest = entries
    end = ends + SECOND
    renew, last_day = (end - (end - begins) / 3).date(), (end - DAY).date()
    order = case.order_on(search.issuer, begins.date(), renew, last_day)
    assert record.renew_from == order, where
    if not feasible:
        days = [search.last_day_before(ends + SECOND)]
        days += [search.served_until(one) for day in ways for one in search.reached(day)]
        assert min(one.begins for one in problems) == max(days) + DAY, where
        return False
    if rest:
        pairs = [(min(search.changes(day)), day) for day in ways if day in search.good]
        wanted = [pair for pair in pairs if pair[0] >= renew]
        change = min(wanted)[0] if wanted else max(pairs)[0]
        expected = max(pair for pair in (wanted or pairs) if pair[0] == change)
        assert (rest[0].change_on, rest[0].issued_on) == expected, where
        assert [usage for usage, _ in rest[0].takes_effect] == [
            usage for usage in rest[0].usages if usage in LEAD_HOURS
        ], where
        for usage, moment in rest[0].takes_effect:
            assert ends.replace(tzinfo=UTC) - moment == LEAD_HOURS[usage] * HOUR, where
    return True


def check(case, search, entries, problems, where) -> bool:
    """Check the forecast of a certificate against the search. Return whether the search found a
    solution.
    """
    first = case.issue
    if not (search.can_be_issued(first) and search.changes(first)):
        assert problems, where
        assert problems[0].begins == first, where
        return False
    feasible = first in search.good
    assert (not problems) == feasible, where
    if not feasible:
        furthest = max(map(search.served_until, search.reached(first)))
        assert min(one.begins for one in problems) == furthest + DAY, where
        assert all(one.rules and one.begins <= one.ends for one in problems), where
        # The servers have no certificate until the end of the first day on which the next
        # certificate can be deployed.
        later = [
            change for day in search.days
            if search.can_be_issued(day) and (changes := search.changes(day))
            and furthest < (change := min(changes)) <= case.until
        ]  # fmt: skip
        ends = min(problems, key=lambda one: one.begins).ends
        assert ends == min(later, default=case.until), where
        if where.split(",")[0].endswith(("0", "5")):
            first_gap_is_named(case, search, min(problems, key=lambda one: one.begins), where)
        entries = [*takewhile(lambda one: one.late_from is None, entries)]
    assert entries[0].issued_on == first, where
    for one in entries:
        assert one.valid_until == search.end(one.issued_on).date() - DAY, where
        life = search.end(one.issued_on) - datetime.combine(one.issued_on, time())
        # The number of whole days before the last third of the certificate's lifetime.
        renew = one.issued_on + (life * 2 // 3) // DAY * DAY
        order = case.order_on(search.issuer, one.issued_on, renew, one.valid_until)
        assert one.renew_from == order, where
    for old, new in pairwise(entries):
        assert new.issued_on in search.following[old.issued_on], where
        assert search.can_be_issued(new.issued_on), where
        assert search.is_in_time(new.change_on, old.issued_on), where
        if feasible:
            check_chosen_dates(search, old, new, where)
    if feasible:
        check_every_hour(case, search, entries, where)
    return feasible


def first_gap_is_named(case, search, problem, where) -> None:
    """Check that a reported gap names the end of the current certificate as its first cause,
    followed by the rules that cause the gap.

    Without the other rules, the next certificate would be in time.
    """
    assert problem.rules[0].rule == "validity", where
    assert problem.rules[0].begins <= problem.rules[0].ends <= problem.begins, where
    named = {rule.rule for rule in problem.rules[1:]}
    frozen = {rule.says.split('"')[1] for rule in problem.rules[1:] if rule.rule == "freeze"}
    for number, (begins, ends) in enumerate(case.freezes):
        if f"f{number}" in frozen:
            assert begins <= problem.begins, where
            assert ends >= problem.rules[0].begins, where
    free = {"windows": [], "weekdays": set()} if "window" in named else {}
    free |= {"lead": {"public": 0, "internal": 0}} if "lead time" in named else {}
    left = [span for number, span in enumerate(case.freezes) if f"f{number}" not in frozen]
    without = Search(
        replace(case, frozen=set(), freezes=left, **free), usages=(), issuer=search.issuer
    )
    without.lead = 0 if "roll-over" in named else search.lead
    assert max(map(without.served_until, without.reached(case.issue))) >= problem.begins, where


def check_proofs(case, made, where) -> None:
    """Check that each domain has a valid proof on each issue date, and that a new proof is planned
    only if no proof is valid.
    """
    public = sorted(
        (one for one in made.entries if one.issuer == "public"), key=lambda one: one.issued_on
    )
    proofs: list[date] = []
    for one in public:
        reuse = on_day(REUSE, one.issued_on)
        counts = [day for day in proofs if (one.issued_on - day).days <= reuse]
        if counts:
            assert one.validate_on is None, where
            continue
        if one.validate_on is None:  # The domain cannot be validated before the planned issue date.
            assert (one.number, made.works) == (1, False), where
            continue
        assert one.domains == ("contoso.com",), where
        assert one.order_on <= one.validate_on <= one.issued_on, where
        if not any(one.id in problem.certificates for problem in made.problems):
            assert (one.issued_on - one.validate_on).days <= reuse, where
        proofs.append(one.validate_on)


def check_chosen_dates(search, old, new, where) -> None:
    """Check that the forecast orders each certificate on the first possible date in the last third
    of its predecessor's lifetime.

    If there is no such date, the last possible date before it is expected.
    """
    ways = [
        (min(search.changes(day)), day)
        for day in search.following[old.issued_on] if day in search.good
    ]  # fmt: skip
    lead = search.case.lead[search.issuer] * DAY
    assert new.order_by == max(day for _, day in ways) - lead, where
    life = search.end(old.issued_on) - datetime.combine(old.issued_on, time())
    renew = old.issued_on + (life * 2 // 3) // DAY * DAY
    wanted = [way for way in ways if way[0] >= renew]
    if wanted:
        change = min(wanted)[0]
        expected = max(way for way in wanted if way[0] == change)
    else:
        expected = max(ways)
    assert (new.change_on, new.issued_on) == expected, where
    assert new.order_on == new.issued_on - lead, where


def check_every_hour(case, search, entries, where) -> None:
    """Check that the servers have a valid certificate in each hour until the end of the forecast."""
    for one in entries:
        assert one.order_on not in case.frozen, where
        assert case.may_change(one.change_on), where
        assert one.validate_on is None or one.validate_on not in case.frozen, where
    hour = datetime.combine(entries[0].change_on, time()) + 24 * HOUR
    last = datetime.combine(case.until, time()) + 24 * HOUR
    place = 0
    while hour < last:
        while (
            place + 1 < len(entries)
            and hour >= datetime.combine(entries[place + 1].change_on, time()) + 24 * HOUR
        ):
            place += 1
        assert hour < search.end(entries[place].issued_on), (where, hour)
        hour += HOUR
