"""A comparison of two plans lists every difference once, and gives a reason for each."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
from big_topology import big_table
from growth import find_superlinear_size
from places import DATA
from random_plans import PAIRS, apply_all_changes, describe_plan, ignore_name_order, random_plan
from topologies import edge, front_end, plan, row

import lyncnb as ln
from lyncnb.plan.planner import plan_changed_topology
from lyncnb.reports.compare import CHANGES, CountChange, compare_plans

RULES = ln.load_rules("lync2013")


@pytest.mark.slow
def test_changes_applied_to_the_old_plan_give_the_new_plan():
    """If all changes in a comparison are applied to the old plan, the result is exactly the new
    plan.
    """
    chance = random.Random(20)
    old = random_plan(chance)
    met: Counter[str] = Counter()
    for _ in range(PAIRS):
        new = random_plan(chance)
        difference = compare_plans(old, new)
        assert ignore_name_order(apply_all_changes(difference)) == ignore_name_order(
            describe_plan(new)
        )
        met.update(item.change for item in difference.certificates)
        old = new
    assert set(met) == {*CHANGES}  # The random comparisons contain every type of change.


def test_every_difference_is_counted_once():
    """A comparison counts each difference between two plans exactly once."""
    chance = random.Random(16)
    old = random_plan(chance)
    for _ in range(PAIRS // 10):
        new = random_plan(chance)
        before, after = describe_plan(old), describe_plan(new)
        expected = sum(
            1 + len(fields["names"])
            for key, fields in (before | after).items()
            if (key in before) != (key in after)
        )
        for key in before.keys() & after.keys():
            original, other = before[key], after[key]
            expected += len(set(original["names"]) ^ set(other["names"]))
            stayed = [n for n in original["names"] if n in other["names"]]
            expected += stayed != [n for n in other["names"] if n in stayed]
            expected += sum(
                original[title] != other[title] for title in original.keys() - {"names"}
            )
        assert len([*compare_plans(old, new).changes]) == expected
        old = new


def test_equal_plans_have_no_differences():
    """The comparison of two equal plans contains no differences, and its text begins with "No certificate
    changes".
    """
    original, other = (plan(front_end(1), edge(1)) for _ in range(2))
    for difference in (compare_plans(original, original), compare_plans(original, other)):
        assert difference.is_empty
        assert repr(difference).startswith(
            "No certificate changes. 4 certificates, including 1 public certificate; "
        )
        assert len(difference.to_frame()) == 0


def test_an_edited_plan_is_compared_like_a_new_plan():
    """An edited plan that shares objects with the original plan is compared in the same way as a
    new plan.
    """
    before = ln.plan_certificates(ln.read_topology(DATA / "contoso.csv"), RULES)
    edited = before.topology.with_cells({0: {"extra_san": "old.contoso.com"}})
    after = plan_changed_topology(before, edited)
    new_plan = ln.plan_certificates(edited, RULES)
    assert compare_plans(before, after) == compare_plans(before, new_plan)
    assert not compare_plans(before, after).is_empty


# -- texts


def test_one_more_sip_domain():
    """If a SIP domain is added to the table, names are added with their reasons, and no certificate
    is added or removed.
    """
    rows = front_end(1), front_end(2)
    difference = compare_plans(
        plan(*rows, sip_domains="contoso.com"),
        plan(*rows, sip_domains="contoso.com;fabrikam.com"),
    )
    assert {item.change for item in difference.certificates} == {"renewed"}
    added = [(g.after, g.owners) for g in difference.groups() if g.change == "name added"]
    both = ("ee01.contoso.com", "ee02.contoso.com")
    assert ("lyncdiscover.fabrikam.com", both) in added
    assert ("fabrikam.com", ("the deployment",)) in added
    (reason,) = {g.why for g in difference.groups() if g.after == "lyncdiscover.fabrikam.com"}
    assert reason in {rule.why for rule in RULES.names.values()}
    assert [str(count) for count in difference.counts][:2] == [
        "3 certificates",
        "0 public certificates",
    ]


def test_different_counts_are_shown_with_an_arrow():
    """If two counts differ, lyncnb shows both, as in "74 -> 64 names (-10)". If they are equal,
    lyncnb shows one number.
    """
    count = CountChange(what="name", before=1074, after=64)
    assert str(count) == "1,074 -> 64 names (-1,010)"
    assert str(CountChange(what="name", before=3, after=5)) == "3 -> 5 names (+2)"
    assert str(CountChange(what="name", before=5, after=5)) == "5 names"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ([front_end(1)], [front_end(1), front_end(2)], "the server is new in the table"),
        ([front_end(1), front_end(2)], [front_end(1)], "the server is no longer in the table"),
        (
            [front_end(1), front_end(2), row("x.contoso.com", "FrontEnd", "b.contoso.com")],
            [front_end(1), front_end(2, pool_fqdn="b.contoso.com", web_external_fqdn="")],
            "a server is in a different pool",
        ),
        ([front_end(1), edge(1)], [front_end(1), row("edge01.contoso.net", "SBA")],
         "a server has a different role"),
    ],
)  # fmt: skip
def test_reasons_for_added_and_removed_certificates(old, new, reason):
    """The reason for an added or removed certificate mentions the change of its server."""
    difference = compare_plans(plan(*old), plan(*new))
    whys = {change.why for change in difference.changes if change.change.startswith("certificate")}
    assert reason in whys


def test_options_or_rules_are_the_reason_for_changes():
    """If certificates change although no server or pool has changed, lyncnb names the options or
    rules as the reason.
    """
    original = plan(front_end(1))
    other = plan(front_end(1), options=ln.PlanOptions(layout="separate"))
    difference = compare_plans(original, other)
    assert [item.change for item in difference.certificates] == ["removed"] + ["added"] * 3
    assert {c.why for c in difference.changes if c.what == "Certificate"} == {
        "the options or rules require different certificates"
    }


def test_changes_that_require_no_new_request():
    """If only the CA or the list of servers changes, the change is listed, but no new request is
    required.
    """
    original = plan(edge(1), options=ln.PlanOptions(ca={"": "CA 1"}))
    other = plan(edge(1), edge(2), options=ln.PlanOptions(ca={"": "CA 2"}))
    difference = compare_plans(original, other)
    assert {item.change for item in difference.certificates} == {"kept"}
    assert {change.what for change in difference.changes} == {"CA", "Servers"}
    assert "2 changed without effect on the request" in repr(difference)


def test_the_table_and_the_page():
    """The data frame has one row for each change. The page shows a change that affects several
    servers only once.
    """
    original = plan(*(front_end(n) for n in (1, 2, 3)), sip_domains="contoso.com")
    other = plan(*(front_end(n) for n in (1, 2)), sip_domains="contoso.com;litwareinc.com")
    difference = compare_plans(original, other)
    frame = difference.to_frame()
    assert len(frame) == len([*difference.changes])
    page = difference._repr_html_().replace("<wbr>", "")
    assert page.count("lyncdiscover.litwareinc.com") == 1
    assert "ee03.contoso.com" in page
    assert "certificate removed" in page
    assert repr(difference) in page.replace("&gt;", ">")


def test_another_product_is_reported():
    """If two plans are for different products, the comparison shows both products, even if the
    requests are equal.
    """
    original = plan(front_end(1))
    other = replace(original, rules=replace(original.rules, title="Another Server"))
    assert "Lync Server 2013 -> Another Server" in repr(compare_plans(original, other))


@pytest.mark.slow
def test_the_time_of_a_comparison_grows_with_the_servers():
    """The time of a comparison is proportional to the number of servers, even if a new SIP domain
    changes most certificates.
    """

    def work(servers: int):
        big = ln.read_topology(big_table(servers))
        extended = big.with_cells({0: {"sip_domains": "contoso.com;fabrikam.com;litwareinc.com"}})
        plans = [ln.plan_certificates(topology, RULES) for topology in (big, extended)]
        return partial(compare_plans, *plans)

    assert len(work(1_000)().certificates) > 500
    assert find_superlinear_size(work, size=500, most=4_000) is None
