"""If a finding has a safe fix, applying the fix resolves the finding and causes no new finding of
the same severity.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml
from good_deployment import (
    APP,
    DIR,
    EDGE,
    FE,
    GOOD,
    MED,
    RULES,
    SE,
    plan_of,
    plan_of_case,
    table,
)

from lyncnb.checks.check_plan import check_plan
from lyncnb.checks.fix_plan import apply_edits, fix_plan
from lyncnb.checks.plan_toml_edit import edit_plan_toml
from lyncnb.errors import LyncnbError
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.reports.summary.from_plan import build_summary
from lyncnb.rules.ca_rules import load_ca_rules
from lyncnb.rules.findings import CellEdit, OptionEdit
from lyncnb.rules.model import SEVERITIES
from lyncnb.topology.csv_edit import edit_csv
from lyncnb.topology.topology import read_topology

DAY = date(2026, 11, 25)
#: The number of random topologies. A full test can use 1,000.
COUNT = int(os.environ.get("LYNCNB_TOPOLOGIES", "100"))
#: The number of tests among which the topologies are divided, so that each test is short on a busy
#: computer.
PARTS = 4

CHECKS = {check.code: check for check in (*RULES.checks.values(), *load_ca_rules().checks)}
#: The findings with exactly one safe fix. Rewording a message must not lose one.
WITH_FIX = (
    "acceptance-counts-for-nothing",
    "av-edge-name-missing",
    "av-edge-name-on-certificate",
    "backup-pool-one-sided",
    "collocated-role",
    "column-nearly-known",
    "dialin-url-missing",
    "edge-name-missing",
    "issuer-usage-not-here",
    "meet-url-missing",
    "option-changes-nothing",
    "pool-name-differs-from-server",
    "stand-alone-and-collocated",
    "validity-asked-over-limit",
    "value-not-heeded",
    "web-external-fqdn-missing",
    "web-internal-fqdn-overridden",
)
#: The findings with several sensible answers.
WITH_CHOICES = (
    "pool-named-like-server",
    "reverse-proxy-publishes-nothing",
    "several-autologon-pools",
    "web-external-fqdn-not-published",
    "web-external-fqdn-shared",
)
BESIDE = {"server_fqdn": "fe01.contoso.com", "role": "Mediation", "pool_fqdn": "fepool.contoso.com"}
ALL_PUBLIC = PlanOptions(issuer={"": "public"}, validity_days=365)
# Examples of checks whose findings have no fix: the table has no column for the edit, or the edit
# would affect other CAs.
OTHER_CASES = {
    "collocated-role": lambda: plan_of([(MED, "mediation_standalone", "true")], add=[BESIDE]),
    "validity-asked-over-limit": lambda: plan_of(options=ALL_PUBLIC),
}


def count_codes(findings):
    """Return how many findings have each code."""
    return Counter(finding.code for finding in findings)


@pytest.mark.parametrize("code", WITH_FIX)
def test_each_fix_resolves_its_finding(code):
    """After the fix of a finding is applied, the finding is resolved, and all new findings are less
    severe.
    """
    check = CHECKS[code]
    plan = OTHER_CASES[code]() if code in OTHER_CASES else plan_of_case(check.fires)
    before = check_plan(plan, on=check.fires.on)
    assert [f.edits for f in before if f.code == code and f.edits]
    fixed_plan = fix_plan(plan, evaluation_date=check.fires.on)
    assert code not in count_codes(fixed_plan.findings)
    new = Counter((f.severity, f.code) for f in fixed_plan.findings)
    new -= Counter((f.severity, f.code) for f in before)
    least = SEVERITIES.index(check.severity)
    assert [code for severity, code in new if SEVERITIES.index(severity) <= least] == []
    assert fixed_plan.findings == check_plan(fixed_plan.plan, on=check.fires.on)


@pytest.mark.parametrize("code", WITH_CHOICES)
def test_each_answer_resolves_its_finding(code):
    """If a finding offers several answers, each answer resolves the finding, and none of the
    answers is marked as a fix.
    """
    check = CHECKS[code]
    plan = plan_of_case(check.fires)
    finding = next(f for f in check_plan(plan, on=check.fires.on) if f.code == check.code)
    assert finding.edits == ()
    assert finding.choices
    assert len(set(finding.choices)) == len(finding.choices)
    for edits in finding.choices:
        remaining = check_plan(apply_edits(plan, edits), on=check.fires.on)
        assert (check.code, finding.about) not in {(f.code, f.about) for f in remaining}, edits


def test_answer_changes_the_pool_of_the_finding():
    """If a server has two roles, the answers to a finding change the pool that has the server's
    name, even if the row of the other role is first.
    """
    topology = read_topology(
        b"server_fqdn,role,pool_fqdn,site,sip_domains,web_external_fqdn\n"
        b"fe01.a.net,Mediation,fe01.a.net,Rome,a.com,\nfe01.a.net,FrontEnd,,Rome,,web.a.com\n"
        b"fe11.a.net,FrontEnd,pool11.a.net,Oslo,,web2.a.com\nrp01.a.net,ReverseProxy,,Rome,,\n"
    )
    plan = plan_certificates(topology, RULES)
    choices = {f.code: f.choices for f in check_plan(plan, on=DAY) if f.choices}
    pool_edits, role = choices["pool-named-like-server"]
    assert {(e.row, e.column, e.text) for e in pool_edits} >= {(1, "pool_fqdn", "pool.a.net")}
    assert [(e.row, e.text) for e in role] == [(1, "StandardEdition")]
    ((publish,),) = choices["web-external-fqdn-not-published"]
    assert (publish.row, publish.column, publish.text) == (3, "site", "")


def test_blank_pool_is_offered_the_pools_of_adjacent_rows():
    """A Front End Server without a pool is offered the pool of the rows above and below that have
    its role, and no fix enters a pool without the planner.
    """
    topology = read_topology(
        b"server_fqdn,role,pool_fqdn,site,sip_domains\n"
        b"fe01.a.net,FrontEnd,pool1.a.net,Rome,a.com\nfe02.a.net,FE,,Rome,\n"
        b"fe03.a.net,FE,,Rome,\nfe11.a.net,FrontEnd,pool11.a.net,Oslo,\n"
        b"dir1.a.net,Director,,Rome,\nfe21.a.net,FE,,Oslo,\n"
    )
    plan = plan_certificates(topology, RULES)
    offered = {
        finding.about: [edit.text for edits in finding.choices for edit in edits][:3]
        for finding in check_plan(plan, on=DAY)
        if finding.code == "pool-named-like-server"
    }
    both = ["pool1.a.net", "pool11.a.net", "pool.a.net"]
    assert offered == {
        "fe02.a.net": both,
        "fe03.a.net": both,
        "fe21.a.net": ["pool.a.net", "StandardEdition"],
    }
    cells = fix_plan(plan, evaluation_date=DAY).cells.values()
    assert not any("pool_fqdn" in texts for texts in cells)


def test_plan_without_safe_fixes_does_not_change():
    """If no finding of a plan has a safe fix, applying the fixes does not change the plan."""
    # The row of the first server in the Front End pool.
    plan = plan_of([(DIR, "web_external_fqdn", "webext.contoso.com")])
    assert "web-external-fqdn-shared" in count_codes(check_plan(plan, on=DAY))
    fixed_plan = fix_plan(plan, evaluation_date=DAY)
    assert (fixed_plan.fixed, fixed_plan.cells, fixed_plan.options) == ((), {}, ())
    assert fixed_plan.plan is plan


@pytest.mark.parametrize(
    ("edits", "options"),
    [
        # Several servers have the same pool name, so lyncnb cannot know which name is intended.
        (
            [(SE, "pool_fqdn", "sepool.contoso.com")],
            None,
        ),
        # The validity period may be intended, because another CA may allow a longer period.
        ([], PlanOptions(validity_days=365)),
    ],
)
def test_edit_that_may_be_unintended_is_not_a_fix(edits, options):
    """A finding has no fix if the edit could change something that the planner intended."""
    extra_row = {
        "server_fqdn": "se02.contoso.com",
        "role": "StandardEdition",
        "pool_fqdn": "sepool.contoso.com",
    }
    plan = plan_of(edits, options, add=[extra_row] if edits else [])
    findings = check_plan(plan, on=DAY)
    expected_codes = {"pool-name-differs-from-server", "validity-asked-over-limit"}
    assert [f for f in findings if f.code in expected_codes]
    assert [f.edits for f in findings if f.code in expected_codes and f.edits] == []


def test_two_fixes_of_one_cell_do_not_conflict():
    """If two findings about the same cell are fixed, neither fix undoes the other."""
    plan = plan_of(
        [
            (
                EDGE,
                "extra_san",
                "av.contoso.com;sip2.contoso.com;AccessEdgeExternal=av.contoso.com",
            ),
            (EDGE, "issuer", "Default=internal;OAuthTokenIssuer=public;Internal=internal"),
        ]
    )
    fixed_plan = fix_plan(plan, evaluation_date=DAY)
    assert fixed_plan.cells == {4: {"extra_san": "sip2.contoso.com", "issuer": "Internal=internal"}}


with (Path(__file__).parent / "newcomer_tables.yaml").open(encoding="utf-8") as file:
    NEWCOMER_TABLES = yaml.safe_load(file)


@pytest.mark.parametrize("case", NEWCOMER_TABLES, ids=lambda case: case["name"])
def test_fixes_resolve_most_errors_in_a_first_table(case):
    """In a typical first table of a new user, the fixes resolve all errors except those that need a
    decision.
    """
    plan = plan_certificates(read_topology(case["table"].encode()), RULES)
    before = {f.code for f in check_plan(plan, on=DAY) if f.severity == "error"}
    fixed_plan = fix_plan(plan, evaluation_date=DAY)
    remaining = {f.code for f in fixed_plan.findings if f.severity == "error"}
    assert before > remaining
    assert remaining == set(case["needs a decision"])
    offered = (f.edits or f.choices for f in fixed_plan.findings if f.severity == "error")
    assert all(offered)
    domains = plan.topology.sip_domains
    texts = [text for cells in fixed_plan.cells.values() for text in cells.values() if "." in text]
    assert [text for text in texts if not any(domain in text for domain in domains)] == []
    hints = "".join(finding.hint for finding in check_plan(plan, on=DAY))
    assert "contoso" not in hints


# The following tests use random topologies.

CELLS = [
    (FE, "strict_dn", "true"),
    *[(row, "web_external_fqdn", f"w{row}.contoso.com") for row in (EDGE, MED, APP)],
    *[(row, "access_edge_fqdn", f"a{row}.contoso.com") for row in (FE, DIR, MED)],
    (SE, "web_internal_fqdn", "web.contoso.com"),
    (SE, "pool_fqdn", "sepool.contoso.com"),
    (EDGE, "extra_san", "av.contoso.com;sip2.contoso.com"),
    (EDGE, "extra_san", "AccessEdgeExternal=av.contoso.com; Internal=av.contoso.com"),
    (EDGE, "av_edge_fqdn", ""),
    (EDGE, "av_edge_fqdn", "sip.contoso.com"),
    *[(row, "site", "Taipei") for row in (MED, APP, SE, DIR)],
    (FE, "mediation_standalone", "true"),
    (MED, "mediation_standalone", "true"),
    (MED, "issuer", "Internal=public; Default=internal"),
    (EDGE, "issuer", "Default=public"),
    (SE, "issuer", "AccessEdgeExternal=internal;public"),
    (FE, "meet_urls", "https://meet.contoso.com"),
    (FE, "meet_urls", ""),
    (FE, "dialin_url", ""),
    (DIR, "web_external_fqdn", ""),
    (SE, "dialin_url", "https://dialin.contoso.com/se"),
    (FE, "backup_pool", "se01.contoso.com"),
]
OPTIONS = [
    'xmpp_host_names = true # who said so?',
    'target_os = "2012R2"',
    'autodiscover_internal_extra_domains = ["contoso.com"]',
    "wildcard = true",
    "edge_member_names = true",
    'layout = "separate"',
    'validity_days = 365\n[issuer] # by whom\nall = "public"',
    '[issuer]\nSBA = "public"\nEdge = "internal" # no\nPersistentChat = "internal"',
    '[accepted]\nmeet-url-missing = "a" # old\n[accepted_until]\nmeet-url-missing = 2026-01-01',
    '[ca]\nMediation = "A"\nSBA = "B"',
]  # fmt: skip
MORE = [
    BESIDE,
    BESIDE | {"mediation_standalone": "true"},
    BESIDE | {"server_fqdn": "fe02.contoso.com"},
    {"server_fqdn": "se01.contoso.com", "role": "PersistentChat"},
    {"server_fqdn": "med02.contoso.com", "role": "Mediation", "site": "Taipei"},
    {
        "server_fqdn": "se02.contoso.com",
        "role": "StandardEdition",
        "pool_fqdn": "sepool.contoso.com",
    },
]


def random_files(seed):
    """Return a random table and plan.toml that contain mistakes but can still be read."""
    choose = random.Random(seed)
    return next(files for files in iter(lambda: files_or_none(choose), 0) if files)


def files_or_none(choose):
    """Return a random table and plan.toml with some mistakes, or None if lyncnb cannot read them."""
    edits = choose.sample(CELLS, choose.randint(0, 8))
    drop = choose.sample(range(1, len(GOOD)), choose.randint(0, 3))
    add = choose.sample(MORE, choose.randint(0, 2))
    # In a TOML file, keys that belong to no section must come first.
    options = sorted(
        choose.sample(OPTIONS, choose.randint(0, 4)), key=lambda s: ("[" in s, s[0] == "[")
    )
    try:
        data = table(edits, drop, add)
        topology = read_topology(data)
        plan_options = PlanOptions.from_toml("\n".join(options).encode())
    except LyncnbError:
        return None
    return (
        data,
        "\n".join(options).encode(),
        plan_certificates(topology, RULES, options=plan_options),
    )


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_fixes_work_in_random_topologies(part):
    """In random topologies, each finding with a fix is resolved or remains for a known reason, and
    no new findings appear.
    """
    for seed in range(part, COUNT, PARTS):
        data, text, plan = random_files(seed)
        before = check_plan(plan, on=DAY)
        fixed_plan = fix_plan(plan, evaluation_date=DAY)
        key = lambda f: (f.severity, f.code, f.about)  # noqa: E731
        new = Counter(map(key, fixed_plan.findings)) - Counter(map(key, before))
        assert [severity for severity, *_ in new if severity == "error"] == [], seed
        assert set(fixed_plan.fixed).isdisjoint(fixed_plan.findings), seed
        after, _ = edit_csv("t.csv", data, fixed_plan.cells, headings=fixed_plan.headings)
        toml = edit_plan_toml(text, fixed_plan.options, expected_options=fixed_plan.plan.options)
        second_plan = plan_certificates(
            read_topology(after), RULES, options=PlanOptions.from_toml(toml)
        )
        assert check_plan(second_plan, on=DAY) == fixed_plan.findings, seed


@pytest.mark.slow
def test_random_topologies_use_every_fix():
    """For each fix that lyncnb offers, at least one of the random topologies requires this fix."""
    missing = set(WITH_FIX)
    for *_, plan in map(random_files, range(COUNT)):
        if missing & {f.code for f in check_plan(plan, on=DAY) if f.edits}:
            missing -= {f.code for f in fix_plan(plan, evaluation_date=DAY).fixed}
        if not missing:
            break
    assert missing == set()


def test_a_summary_holds_no_edits():
    """The summary of a request folder does not contain the edits of a fix."""
    plan = plan_of([(MED, "web_external_fqdn", "w.contoso.com")], PlanOptions(xmpp_host_names=True))
    findings = check_plan(plan, on=DAY)
    assert {type(edit) for f in findings for edit in f.edits} == {CellEdit, OptionEdit}
    summary = build_summary(plan, findings)
    assert {finding.edits for finding in summary.findings} == {()}


def test_each_edit_describes_its_change():
    """The text of an edit describes the changed cell or option in one line, and the plan changes as
    described.
    """
    plan = plan_of(options=PlanOptions(wildcard=True, validity_days=365))
    edits = [
        CellEdit(row=MED, column="site", text="Taipei"),
        OptionEdit(option="wildcard"),
        OptionEdit(option="validity_days", value=200),
    ]
    edited_plan = apply_edits(plan, edits)
    assert edited_plan.options == replace(plan.options, wildcard=False, validity_days=200)
    assert {pool.site for pool in edited_plan.topology.pools if pool.role == "Mediation"} == {
        "Taipei"
    }
