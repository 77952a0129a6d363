"""The cause of a difference between two plans is the exact cell, row, option or set of rules that
has changed.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from big_topology import big_table
from places import DATA
from random_plans import PAIRS, random_plan
from topologies import edge, front_end, plan, row

import lyncnb as ln
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.plan.plan_json import plan_json
from lyncnb.plan.recorded_plan import read_plan_json
from lyncnb.reports.compare import PlanDifference, compare_plans
from lyncnb.reports.find_causes import find_causes

RULES = ln.load_rules("lync2013")
CONTOSO = ln.read_topology(DATA / "contoso.csv")


def causes(old: ln.CertificatePlan, new: ln.CertificatePlan) -> PlanDifference:
    return find_causes(compare_plans(old, new))


def list_causes(difference: PlanDifference) -> dict[tuple[str, str], set[str]]:
    """Return the causes of the differences, by the type of change and the changed object."""
    causes_by_key: dict[tuple[str, str], set[str]] = {}
    for change in difference.changes:
        key = change.change, change.after or change.before or change.owner
        causes_by_key.setdefault(key, set()).add(change.cause)
    return causes_by_key


def planned(topology: ln.Topology = CONTOSO, **options: object) -> ln.CertificatePlan:
    return ln.plan_certificates(topology, RULES, options=ln.PlanOptions(**options))


@pytest.mark.slow
def test_every_difference_has_a_cause():
    """Finding the causes adds a cause to each difference between two plans, and changes nothing
    else.
    """
    chance = random.Random(5)
    old = random_plan(chance)
    for _ in range(PAIRS // 20):
        new = random_plan(chance)
        plain = compare_plans(old, new)
        difference = find_causes(plain)
        assert [c._replace(cause="") for c in difference.changes] == [*plain.changes]
        assert all(change.cause for change in difference.changes)
        assert difference.counts == plain.counts
        old = new


def test_an_option_that_is_the_only_cause():
    """If the only cause of a difference is an option, a plan with only this option changed has the
    same difference.
    """
    chance = random.Random(8)
    tried = 0
    for _ in range(PAIRS // 50):
        old, new = random_plan(chance), random_plan(chance)
        difference = causes(old, new)
        alone = {c for c in difference.changes if c.cause.startswith("option wildcard: ")}
        alone = {c for c in alone if " and " not in c.cause and " or " not in c.cause}
        options = replace(old.options, wildcard=new.options.wildcard)
        changes = {c._replace(why="", source="") for c in compare_plans(
            old, ln.plan_certificates(old.topology, old.rules, options=options)
        ).changes}  # fmt: skip
        assert {c._replace(why="", source="", cause="") for c in alone} <= changes
        tried += len(alone)
    assert tried


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"wildcard": True}, "option wildcard: false -> true"),
        ({"layout": "separate"}, "option layout: combined -> separate"),
        ({"key": KeyParameters(bits=4096)}, "option key: RSA 2048 -> RSA 4096"),
        ({"organization": "Contoso, Ltd"}, "option subject.organization: blank -> Contoso, Ltd"),
        ({"ca": {"": "CA 1"}}, "option ca: blank -> all = CA 1"),
    ],
)
def test_changed_option_is_the_cause(options, cause):
    """If two plans differ only in one option, that option is the cause of every difference, and is
    shown under its name in plan.toml.
    """
    difference = causes(planned(), planned(**options))
    assert {change.cause for change in difference.changes} == {cause}


def test_two_changed_cells_are_distinguished():
    """If two cells have changed, each difference is attributed to the cell that caused it."""
    rows = {c.fqdn: c.row for _, c in CONTOSO.computers}
    edited = CONTOSO.with_cells(
        {
            rows["med01.contoso.net"]: {"extra_san": "old.contoso.com"},
            rows["edge01.contoso.net"]: {"webconf_edge_fqdn": "web.contoso.com"},
            rows["fe01.contoso.net"]: {"sip_domains": "contoso.com;fabrikam.com;litwareinc.com"},
        }
    )
    causes_by_key = list_causes(causes(planned(), planned(edited)))
    assert causes_by_key["name added", "old.contoso.com"] == {
        "extra_san of pool medpool01.contoso.net: old.contoso.com added"
    }
    moved = {
        "webconf_edge_fqdn of pool edgepool01.contoso.net: webconf.contoso.com -> web.contoso.com"
    }
    assert causes_by_key["name added", "web.contoso.com"] == moved
    assert causes_by_key["name removed", "webconf.contoso.com"] == moved
    for name in ("lyncdiscover.litwareinc.com", "litwareinc.com"):
        assert causes_by_key["name added", name] == {"sip_domains: litwareinc.com added"}


@pytest.mark.parametrize("web", ["web2.fabrikam.com", "web2.contoso.com"])
def test_names_of_an_added_row_are_distinguished_from_an_added_domain(web):
    """If a row and a SIP domain are added together, the row causes the names in its cells, in both
    directions of the comparison. The name can be in the added domain or in another domain.
    """
    proxy = row("rp01.contoso.com", "ReverseProxy")
    first = front_end(web_external_fqdn="web1.contoso.com")
    office = row("se01.contoso.com", "StandardEdition", web_external_fqdn=web)
    old = plan(first, proxy, sip_domains="contoso.com")
    new = plan(first, proxy, office, sip_domains="contoso.com;fabrikam.com")
    for before, after, change, verb in ((old, new, "name added", "added"),
                                        (new, old, "name removed", "removed")):  # fmt: skip
        causes_by_key = list_causes(causes(before, after))
        assert causes_by_key[change, web] == {
            f"the row for se01.contoso.com (StandardEdition) was {verb}"
        }
        assert causes_by_key[change, "lyncdiscover.fabrikam.com"] == {
            f"sip_domains: fabrikam.com {verb}"
        }


def test_changed_name_on_the_reverse_proxy_is_traced_to_the_pool():
    """If the reverse proxy publishes a different web name, the cause is the changed cell of the
    Front End pool.
    """
    row_number = next(c.row for _, c in CONTOSO.computers if c.fqdn == "fe01.contoso.net")
    edited = CONTOSO.with_cells({row_number: {"web_external_fqdn": "newweb.contoso.com"}})
    difference = causes(planned(), planned(edited))
    (on_proxy,) = [
        c for c in difference.changes if c.owner == "rp01.contoso.net" and c.change == "name added"
    ]
    assert on_proxy.after == "newweb.contoso.com"
    assert on_proxy.cause == (
        "web_external_fqdn of pool eepool01.contoso.net: webext01.contoso.com -> newweb.contoso.com"
    )


def test_a_subject_follows_the_cell_that_has_its_name():
    """If a subject name changes, the cause is the cell that contains the name, and not another row
    that was removed.
    """
    table = (DATA / "contoso.csv").read_text("utf-8")
    lines = [line for line in table.splitlines(keepends=True) if not line.startswith("chat0")]
    edited = "".join(lines).replace("webext01.contoso.com", "newweb.contoso.com")
    difference = causes(planned(), planned(ln.read_topology(edited.encode())))
    (subject,) = [
        c for c in difference.changes if c.owner == "rp01.contoso.net" and c.what == "Subject name"
    ]
    assert subject.cause == (
        "web_external_fqdn of pool eepool01.contoso.net: webext01.contoso.com -> newweb.contoso.com"
    )


def test_added_and_removed_servers_are_causes():
    """If servers are added or removed, their rows are the causes of the differences in their
    certificates.
    """
    original = plan(front_end(1), front_end(2), edge(1))
    other = plan(front_end(1), front_end(3), edge(1))
    causes_by_key = list_causes(causes(original, other))
    new, removed = (
        f"the row for ee0{number}.contoso.com (FrontEnd) was {action}"
        for number, action in ((3, "added"), (2, "removed"))
    )
    assert causes_by_key["certificate added", "ee03.contoso.com"] == {new}
    assert causes_by_key["certificate removed", "ee02.contoso.com"] == {removed}
    (servers,) = [c for c in causes(original, other).changes if c.what == "Servers"]
    assert set(servers.cause.split("; ")) == {new, removed}


def test_a_pool_flag_is_the_cause():
    """If a pool's flag adds names to certificates, the comparison gives the flag as the cause,
    although its value does not appear in the names.
    """
    original = plan(front_end(1), row("dir1.contoso.com", "Director", "dir.contoso.com"))
    other = plan(
        front_end(1, autologon="true"), row("dir1.contoso.com", "Director", "dir.contoso.com")
    )
    difference = causes(original, other)
    assert {change.cause for change in difference.changes} == {
        "autologon of pool eepool.contoso.com: blank -> true"
    }


def test_table_and_option_together():
    """If a difference requires two edits together, both are its causes, joined by "and"."""
    edited = CONTOSO.with_cells(
        {
            next(c.row for _, c in CONTOSO.computers if c.fqdn == "fe01.contoso.net"): {
                "sip_domains": "contoso.com;fabrikam.com;litwareinc.com"
            }
        }
    )
    causes_by_key = list_causes(causes(planned(), planned(edited, wildcard=True)))
    assert causes_by_key["name added", "*.litwareinc.com"] == {
        "sip_domains: litwareinc.com added and option wildcard: false -> true"
    }
    assert causes_by_key["name removed", "meet.contoso.com"] == {"option wildcard: false -> true"}
    assert causes_by_key["name added", "litwareinc.com"] == {"sip_domains: litwareinc.com added"}


def test_two_subject_fields():
    """If two options change a subject name, both are its causes."""
    new = planned(organization="Contoso", locality="Taipei")
    (cause,) = {change.cause for change in causes(planned(), new).changes}
    assert cause == (
        "option subject.organization: blank -> Contoso and option subject.locality: blank -> Taipei"
    )


def test_changed_rules_are_the_cause():
    """If the two plans have different rules, the comparison names the rules as the cause of the
    differences.
    """
    names = dict(RULES.names)
    names["lyncdiscover"] = replace(names["lyncdiscover"], template="discover.{sip_domain}")
    rules = replace(RULES, title="Another Server", names=names)
    new = ln.plan_certificates(CONTOSO, rules)
    assert {change.cause for change in causes(planned(), new).changes} == {
        "rules: Lync Server 2013 -> Another Server"
    }


def test_without_a_table_no_causes_are_shown():
    """If one of the plans was read from a file without its table, the comparison shows no causes."""
    recorded = read_plan_json(plan_json(planned(), ()), source="p.json")
    difference = causes(recorded, planned(wildcard=True))
    assert {change.cause for change in difference.changes} == {""}
    assert '<th scope="col">Cause</th>' not in difference._repr_html_()
    assert "Cause</th>" in causes(planned(), planned(wildcard=True))._repr_html_()


def test_many_servers():
    """If 1,000 servers have a new domain and an option has changed, lyncnb finds all causes of the
    differences within seconds.
    """
    big = ln.read_topology(big_table(1000))
    new_topology = big.with_cells({0: {"sip_domains": "contoso.com;fabrikam.com;litwareinc.com"}})
    difference = causes(planned(big), planned(new_topology, wildcard=True))
    assert len([*difference.changes]) > 4000
    assert {change.cause for change in difference.changes} == {
        "sip_domains: litwareinc.com added",
        "option wildcard: false -> true",
        "sip_domains: litwareinc.com added and option wildcard: false -> true",
    }
