"""The forecast against a search over every day, in small random cases.

``LYNCNB_FORECASTS=2000`` tries as many; by default a tenth.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, time
from itertools import pairwise, takewhile

import pytest
from forecast_by_force import DAY, HOUR, Search, random_case
from topologies import TWO_SITES

import lyncnb as ln

COUNT = int(os.environ.get("LYNCNB_FORECASTS", "200"))
PARTS = 4


@pytest.fixture(scope="module")
def planned():
    """An Edge pool's public and internal certificates, servers of a pool, and OAuth's."""
    topology = ln.read_topology(TWO_SITES.encode())
    plan = ln.plan_certificates(topology, ln.load_rules("lync2013"))
    wanted = {"AudioVideoAuthentication", "OAuthTokenIssuer", "Default"}
    found: dict[str, ln.PlannedCertificate] = {}
    for one in plan.certificates:
        for usage in wanted & set(one.usages):
            found.setdefault(usage, one)
    assert found.keys() == wanted
    return replace(plan, certificates=tuple(found.values()))


@pytest.mark.parametrize("part", range(PARTS))
def test_as_a_search_over_every_day_says(planned, part):
    """It works where a search finds a way; else it gets as far; and each day chosen is the one."""
    tried = {"works": 0, "fails": 0}
    for seed in range(part, COUNT, PARTS):
        case = random_case(seed)
        plan = replace(planned, options=replace(planned.options, **case.options()))
        made = ln.forecast(plan, until=case.until, start=case.start)
        for certificate in plan.certificates:
            search = Search(case, usages=certificate.usages, issuer=certificate.issuer)
            problems = [one for one in made.problems if certificate.id in one.certificates]
            entries = [one for one in made.entries if one.id == certificate.id]
            works = check(case, search, entries, problems, f"seed {seed}, {certificate.id}")
            tried["works" if works else "fails"] += 1
    assert min(tried.values()) > COUNT / PARTS / 4, tried


def check(case, search, entries, problems, where) -> bool:
    """Hold one certificate's schedule against the search; say whether it works."""
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
        if where.split(",")[0].endswith(("0", "5")):
            first_gap_is_named(case, search, min(problems, key=lambda one: one.begins), where)
        entries = [*takewhile(lambda one: one.late_from is None, entries)]
    assert entries[0].issued_on == first, where
    for one in entries:
        assert one.valid_until == search.end(one.issued_on).date() - DAY, where
        life = search.end(one.issued_on) - datetime.combine(one.issued_on, time())
        # The whole days before the last third begins have gone by.
        assert one.renew_from == one.issued_on + (life * 2 // 3) // DAY * DAY, where
    for old, new in pairwise(entries):
        assert new.issued_on in search.following[old.issued_on], where
        assert search.can_be_issued(new.issued_on), where
        assert search.is_in_time(new.change_on, old.issued_on), where
        if feasible:
            chosen(search, old, new, where)
    if feasible:
        hour_by_hour(case, search, entries, where)
    return feasible


def first_gap_is_named(case, search, problem, where) -> None:
    """The rules that are named are those without which alone it would work, if there are any."""
    told = {name_of(rule) for rule in problem.rules[1:]}
    alone = {name_of(rule) for rule in problem.rules[1:] if rule.alone}
    assert problem.rules[0].rule == "validity", where
    assert alone in (set(), told), where
    for name, other in without_each(case, search):
        days = map(other.served_until, other.reached(case.issue))
        works = max(days) >= min(problem.ends, case.until)
        assert works == (name in alone), (where, name)


def name_of(rule) -> tuple[str, ...]:
    return (rule.rule, *((rule.says.split('"')[1],) if rule.rule == "freeze" else ()))


def without_each(case, search):
    """Each rule of a case, and the search that there would be without it."""

    def searching(hours=search.lead, **changes) -> Search:
        found = Search(replace(case, frozen=set(), **changes), usages=(), issuer=search.issuer)
        found.lead = hours
        return found

    for number, freeze in enumerate(case.freezes):
        left = case.freezes[:number] + case.freezes[number + 1 :]
        if freeze not in left:
            yield ("freeze", f"f{number}"), searching(freezes=left)
    yield ("window",), searching(windows=[], weekdays=set())
    yield ("lead time",), searching(lead={"public": 0, "internal": 0})
    yield ("roll-over",), searching(hours=0)


def chosen(search, old, new, where) -> None:
    """The first day from the last third on, issued as late as that allows; else the last before."""
    ways = [
        (min(search.changes(day)), day)
        for day in search.following[old.issued_on] if day in search.good
    ]  # fmt: skip
    lead = search.case.lead[search.issuer] * DAY
    assert new.order_by == max(day for _, day in ways) - lead, where
    wanted = [way for way in ways if way[0] >= old.renew_from]
    if wanted:
        change = min(wanted)[0]
        expected = max(way for way in wanted if way[0] == change)
    else:
        expected = max(ways)
    assert (new.change_on, new.issued_on) == expected, where
    assert new.order_on == new.issued_on - lead, where


def hour_by_hour(case, search, entries, where) -> None:
    """In each hour until the end the servers have a certificate that is valid."""
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
