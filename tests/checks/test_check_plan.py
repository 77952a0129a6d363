"""For each code of a plan check, a plan with a mistake causes the finding, and the corrected plan
does not.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from big_topology import big_table
from cryptography import x509
from good_deployment import (
    COLUMNS,
    DIR,
    EDGE,
    EDGE2,
    FE,
    FE2,
    GOOD,
    MED,
    RP,
    RULES,
    SE,
    alter_certificates,
    mistakes,
    plan_of,
    plan_of_case,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from places import DATA

from lyncnb.base.certificate_fields import KeyParameters, SanEntry
from lyncnb.base.dns_name import DnsName
from lyncnb.checks.certificate_checks import (
    CERTIFICATE_TESTS,
    FEATURE_TESTS,
    NAME_TESTS,
    compute_san_size,
)
from lyncnb.checks.check_plan import (
    check_certificates,
    check_deployment,
    check_plan,
    choose_evaluation_date,
    choose_present_date,
)
from lyncnb.checks.deployment_checks import DEPLOYMENT_TESTS
from lyncnb.checks.option_checks import LAST_TESTS, OPTION_TESTS
from lyncnb.checks.plan_lookups import PlanView
from lyncnb.checks.practice_checks import PRACTICE_TESTS
from lyncnb.checks.public_ca_checks import PUBLIC_CA_TESTS
from lyncnb.checks.simple_url_checks import SIMPLE_URL_TESTS
from lyncnb.errors import RulesError
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.ca_rules import load_ca_rules
from lyncnb.rules.findings import Finding, Findings, create_finding, sort_findings
from lyncnb.rules.rule_files import list_products, load_rules
from lyncnb.topology.topology import read_topology


def find_subjects(plan):
    """Return the code and the subject of each finding."""
    return {(finding.code, finding.about) for finding in check_plan(plan)}


def without(prefix):
    """Return a function that lists the names in a certificate, except those that start with a
    prefix.
    """
    return lambda c: tuple(e for e in c.subject_alt_name if not e.name.startswith(prefix))


def test_good_table_has_no_findings():
    """A complete and consistent server table causes no findings except notices about public CAs."""
    findings = check_plan(plan_of(), on=date(2026, 11, 25))
    assert mistakes(findings) == []
    assert {finding.severity for finding in findings} == {"notice"}


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.glob("*.csv")))
def test_samples_have_no_errors(name):
    """The plans of the sample tables have no errors, so their requests can be created without
    changes.
    """
    plan = plan_certificates(read_topology(DATA / name), RULES)
    assert [f for f in check_plan(plan, on=date(2026, 11, 25)) if f.severity == "error"] == []


# A name with 73 characters is valid in DNS, but too long for the common name (X.520).
LONG = "a" * 50 + ".department.contoso.com"
WILDCARD = PlanOptions(wildcard=True)
EXTRA = "extra_san"

TABLE_CASES = [
    # Each case contains a code, a severity, the subject of the finding (None for any), edits to the
    # table, and options.
    ("common-name-too-long", "error", None, [(MED, "server_fqdn", LONG)], None),
    ("subject-name-missing", "error", None, [(EDGE, "access_edge_fqdn", "")], None),
    ("edge-name-missing", "error", "edge01.contoso.com", [(EDGE, "webconf_edge_fqdn", "")], None),
    ("av-edge-name-missing", "notice", "edge01.contoso.com", [(EDGE, "av_edge_fqdn", "")], None),
    ("wildcard-not-supported", "error", None, [(EDGE, EXTRA, "*.contoso.com")], None),
    ("wildcard-and-desk-phones", "warning", None, [], WILDCARD),
    (
        "reverse-zone-name-on-public-certificate",
        "error",
        None,
        [(EDGE, EXTRA, "1.2.0.192.in-addr.arpa")],
        PlanOptions(planned_issue_date=date(2026, 3, 15)),
    ),
    (
        "special-use-name-on-public-certificate",
        "error",
        None,
        [(EDGE, EXTRA, "edge.home.arpa")],
        None,
    ),
    (
        "many-names-on-public-certificate",
        "warning",
        None,
        [(EDGE, EXTRA, ";".join(f"n{number}.contoso.com" for number in range(99)))],
        None,
    ),
    ("organization-without-place", "warning", None, [], PlanOptions(organization="Contoso")),
    (
        "organization-without-place",
        "warning",
        None,
        [],
        PlanOptions(organization="Contoso", locality="Taipei"),
    ),
    (
        "device-name-as-server",
        "warning",
        "con.contoso.com",
        [(MED, "server_fqdn", "con.contoso.com")],
        None,
    ),
    (
        "web-external-fqdn-shared",
        "error",
        "dir01.contoso.com",
        [(DIR, "web_external_fqdn", "webext.contoso.com")],
        None,
    ),
    (
        "web-internal-fqdn-overridden",
        "error",
        "se01.contoso.com",
        [(SE, "web_internal_fqdn", "web.contoso.com")],
        None,
    ),
    (
        "web-external-fqdn-missing",
        "error",
        "dir01.contoso.com",
        [(DIR, "web_external_fqdn", "")],
        None,
    ),
    (
        "internal-name-on-public-certificate",
        "error",
        None,
        [(EDGE, "webconf_edge_fqdn", "webcon.contoso.local")],
        None,
    ),
    ("underscore-in-name", "error", None, [(MED, "server_fqdn", "med_01.contoso.com")], None),
    ("international-name", "warning", None, [(MED, "server_fqdn", "中繼.contoso.com")], None),
    (
        "name-leads-to-two-places",
        "error",
        "edge01.contoso.com",
        [(EDGE, "webconf_edge_fqdn", "edgepool.contoso.com")],
        None,
    ),
    ("meet-url-missing", "error", None, [(FE, "meet_urls", "")], None),
    ("dialin-url-missing", "error", None, [(FE, "dialin_url", "")], None),
    ("meet-url-count", "warning", None, [(FE, "meet_urls", "https://meet.contoso.com")], None),
    (
        "simple-url-not-allowed",
        "error",
        None,
        [(FE, "dialin_url", "https://dialin.contoso.com:8443")],
        None,
    ),
    (
        "simple-url-overlaps",
        "error",
        None,
        [(FE, "dialin_url", "https://meet.contoso.com/dialin")],
        None,
    ),
    (
        "simple-url-overlaps",
        "error",
        None,
        [(FE, "dialin_url", "https://meet.contoso.com")],
        None,
    ),
    (
        "name-leads-to-two-places",
        "error",
        None,
        [(FE, "dialin_url", "https://fepool.contoso.com/dialin")],
        None,
    ),
    ("several-autologon-pools", "notice", None, [(DIR, "autologon", "true")], None),
    ("public-certificate-required", "error", None, [(EDGE, "issuer", "internal")], None),
    ("public-certificate-advised", "warning", None, [(RP, "issuer", "internal")], None),
    (
        "key-size-not-documented",
        "notice",
        None,
        [],
        PlanOptions(key=KeyParameters(algorithm="RSA", bits=3072)),
    ),
    (
        "ecdsa-key-doubtful",
        "warning",
        None,
        [],
        PlanOptions(key=KeyParameters(algorithm="ECDSA", bits=256)),
    ),
    (
        "oauth-key-too-small",
        "error",
        None,
        [],
        PlanOptions(key=KeyParameters(algorithm="ECDSA", bits=256)),
    ),
    # The examples for wildcards on Microsoft's page contain only the first SIP domain.
    (
        "wildcard-does-not-cover",
        "error",
        None,
        [],
        PlanOptions(profile="doc_example", layout="separate", wildcard=True),
    ),
    (
        "subject-name-not-in-san",
        "error",
        None,
        [],
        PlanOptions(profile="doc_example", layout="separate"),
    ),
    (
        "pool-members-differ",
        "warning",
        None,
        [(EDGE, "issuer", "Internal=internal"), (EDGE2, "issuer", "Internal=public")],
        None,
    ),
    ("pool-members-differ", "warning", None, [(FE, "issuer", "public"), (SE, "issuer", "internal")],
     None),
    ("pool-members-differ", "warning", None, [(FE, "issuer", "Default=internal;FrontEnd=public")],
     None),
    ("pool-members-differ", "warning", None, [],
     PlanOptions(issuer={"Default": "internal", "WebServicesExternal": "public"})),
    ("pool-members-differ", "warning", None, [(FE, "issuer", "WebServicesExternal=public")], None),
    ("issuer-usage-unknown", "error", "edge01.contoso.com", [(EDGE, "issuer", "Acess=public")],
     None),
    ("value-not-heeded", "notice", "med01.contoso.com",
     [(MED, "web_external_fqdn", "w.contoso.com")], None),
    ("issuer-usage-not-here", "warning", "med01.contoso.com", [(MED, "issuer", "Internal=public")],
     None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "severity", "about", "edits", "options"),
    TABLE_CASES,
    ids=[f"{number:02}-{case[0]}" for number, case in enumerate(TABLE_CASES)],
)
def test_mistake_in_the_table_is_found(code, severity, about, edits, options):
    """A mistake in one cell or option causes the finding. Without the mistake, the finding is not
    reported.
    """
    findings = [f for f in check_plan(plan_of(edits, options)) if f.code == code]
    assert findings
    assert {f.severity for f in findings} == {severity}
    assert about is None or about in {f.about for f in findings}
    assert all(f.hint and f.source and f.message for f in findings)


@pytest.mark.parametrize(("code", "edits", "options"), [
    (case[0], case[3], case[4]) for case in TABLE_CASES
])  # fmt: skip
def test_a_finding_is_about_a_certificate_or_a_server(code, edits, options):
    """The subject of each finding is a certificate in the plan or a server in the table."""
    plan = plan_of([(number, "site", "") for number in range(len(GOOD))] + edits, options)
    known = {c.id for c in plan.certificates} | {c.fqdn for _, c in plan.topology.computers}
    assert {f.about for f in check_plan(plan)} <= known
    assert code in {f.code for f in check_plan(plan)}


def test_letter_case_of_a_usage_is_ignored():
    """A certificate usage can be specified in any letter case, as in Microsoft's cmdlets, without
    causing a finding.
    """
    plan = plan_of([(EDGE, "issuer", "accessedgeexternal=internal; INTERNAL=public")])
    issuers = {c.usages: c.issuer for c in plan.certificates if c.role == "Edge"}
    assert [*issuers.values()] == ["internal", "public"]
    assert {f.code for f in mistakes(check_plan(plan))} == {
        "public-certificate-required",
        "pool-members-differ",  # The usages of this certificate have different issuers.
        "no-san-on-public-certificate",
        "internal-ca-recommended",
    }


def test_internal_ca_is_recommended_for_the_internal_edge_certificate():
    """The notice that recommends an internal CA is only about the internal Edge certificate,
    because the external one must be public.
    """
    usages = {}
    for issuer in ("", "Internal=public"):
        plan = plan_of([(EDGE, "issuer", issuer), (EDGE2, "issuer", issuer)])
        noticed = [f.about for f in check_plan(plan) if f.code == "internal-ca-recommended"]
        usages[issuer] = [c.usages for c in plan.certificates if c.id in noticed]
    assert usages == {"": [], "Internal=public": [("Internal",)]}


def test_value_for_a_pool_may_be_in_the_row_of_a_collocated_role():
    """If several roles share a pool, a value for the pool may be in the row of any of these roles."""
    beside = {
        "server_fqdn": "fe01.contoso.com",
        "role": "Mediation",
        "pool_fqdn": "fepool.contoso.com",
        "web_external_fqdn": "webext.contoso.com",
    }
    assert [f.code for f in mistakes(check_plan(plan_of(add=[beside])))] == ["collocated-role"]


@pytest.mark.parametrize(
    ("cell", "codes"),
    [
        ("", ["collocated-role"]),
        ("true", ["collocated-role", "stand-alone-and-collocated"]),
        ("false", []),
    ],
)
def test_a_collocated_role_is_reported(cell, codes):
    """For a collocated role, a blank cell causes a notice, the value false causes no finding, and
    the value true causes an error.
    """
    beside = {
        "server_fqdn": "fe01.contoso.com",
        "role": "Mediation",
        "pool_fqdn": "fepool.contoso.com",
        "mediation_standalone": cell,
    }
    rows = [*GOOD, beside]
    columns = [*COLUMNS, "mediation_standalone"]
    lines = [",".join(columns), *(",".join(r.get(c, "") for c in columns) for r in rows)]
    plan = plan_certificates(read_topology("\n".join(lines).encode()), RULES)
    assert sorted(f.code for f in mistakes(check_plan(plan))) == codes


@pytest.mark.parametrize("usage", ["Default", "Nothing"])
def test_additional_name_for_a_missing_usage_is_reported(usage):
    """lyncnb reports a finding if an additional name is for a certificate usage that the Edge pool
    does not have.
    """
    edits = [(EDGE, "extra_san", f"{usage}=sip.litwareinc.com")]
    assert ("extra-name-usage", "edge01.contoso.com") in find_subjects(plan_of(edits))
    good = [(EDGE, "extra_san", "accessedgeexternal=sip.litwareinc.com")]
    assert "extra-name-usage" not in {code for code, _ in find_subjects(plan_of(good))}


def test_edge_site_without_reverse_proxy_is_reported():
    """lyncnb reports a pool that no reverse proxy publishes, and a table without a reverse proxy."""
    sites = [(number, "site", "Taipei") for number in range(len(GOOD))]
    elsewhere = [*sites, (DIR, "site", "Tokyo")]
    codes = find_subjects(plan_of(elsewhere))
    assert ("web-external-fqdn-not-published", "dir01.contoso.com") in codes
    assert "no-reverse-proxy" in {f.code for f in check_plan(plan_of(drop=[RP]))}


def test_reverse_proxy_alone_in_its_site_is_reported():
    """If a site has a reverse proxy but no external web names, a finding reports that the proxy
    publishes nothing.
    """
    edits = [(number, "site", "Taipei") for number in range(len(GOOD) - 1)]
    codes = find_subjects(plan_of([*edits, (RP, "site", "Tokyo")]))
    assert ("reverse-proxy-publishes-nothing", "rp01.contoso.com") in codes


def test_site_that_overrides_only_one_simple_url_is_reported():
    """A site that overrides one simple URL must override all of them."""
    edits = [(number, "site", "Taipei") for number in range(len(GOOD))]
    edits += [(DIR, "site", "Tokyo"), (DIR, "dialin_url", "https://dialin.fabrikam.com")]
    edits += [(DIR, "meet_urls", GOOD[FE]["meet_urls"])]
    found = find_subjects(plan_of(edits))
    subjects = [subject for code, subject in found if code == "simple-urls-not-all-overridden"]
    assert subjects == ["dir01.contoso.com"]


def test_a_site_can_repeat_the_general_urls():
    """If a site repeats the Meet and Dial-in URLs of the general site, neither site is reported."""
    edits = [(number, "site", "Taipei") for number in range(len(GOOD))]
    edits += [(DIR, "site", "Tokyo"), (DIR, "dialin_url", GOOD[FE]["dialin_url"])]
    edits += [(DIR, "meet_urls", GOOD[FE]["meet_urls"])]
    codes = {code for code, _ in find_subjects(plan_of(edits))}
    assert "simple-urls-not-all-overridden" not in codes


@pytest.mark.parametrize("holder", [FE, FE2])
def test_finding_about_a_simple_url_is_in_the_row_with_the_url(holder):
    """A finding about a simple URL is about the server whose row contains the URL, even if a row
    without a site comes first. Sites that share the URL have a single finding.
    """
    edits = [(FE, "site", "Taipei"), (FE2, "site", "Taipei"), (DIR, "site", "Hsinchu")]
    edits += [(FE, "dialin_url", ""), (holder, "dialin_url", "https://dial-in.contoso.com")]
    # The own Admin URL makes Hsinchu a separate site, which inherits the Dial-in URL.
    edits += [(DIR, "admin_url", "https://admin2.contoso.com")]
    findings = check_plan(plan_of(edits))
    subjects = [f.about for f in findings if f.code == "simple-url-has-hyphen"]
    assert subjects == [GOOD[holder]["server_fqdn"]]


def test_example_in_a_hint_has_the_domain_of_the_server():
    """The example name in a hint is in the domain of the pool that the finding is about."""
    edits = [(RP, "server_fqdn", "rp01.dmz.contoso.com"), (FE, "web_internal_fqdn", "")]
    rows = [dict(row) for row in GOOD]
    for number, column, value in edits:
        rows[number][column] = value
    table = "\n".join(
        [
            ",".join(COLUMNS),
            *(",".join(row.get(name, "") for name in COLUMNS) for row in rows[::-1]),
        ]
    )
    plan = plan_certificates(read_topology(table.encode()), RULES)
    (hint,) = [f.hint for f in check_plan(plan) if f.code == "web-internal-fqdn-blank"]
    assert "for example webint.contoso.com." in hint


@pytest.mark.parametrize("admin", ["", "https://admin.fabrikam.com"])
def test_site_with_its_own_urls_needs_no_admin_url(admin):
    """For a site with separate Meet and Dial-in URLs, the Admin URL is optional. If it is blank, a
    notice reports that the Admin URL of the other site does not apply.
    """
    edits = [(number, "site", "Taipei") for number in range(len(GOOD))]
    edits += [(FE, "admin_url", "https://admin.contoso.com"), (DIR, "site", "Tokyo")]
    edits += [(DIR, "dialin_url", "https://dialin.fabrikam.com"), (DIR, "admin_url", admin)]
    edits += [(DIR, "meet_urls", "https://meet.fabrikam.com/a;https://meet.fabrikam.com/b")]
    edits = [edit for edit in edits if edit[2]]
    plan = plan_of(edits)
    assert "simple-urls-not-all-overridden" not in {code for code, _ in find_subjects(plan)}
    notices = [f for f in check_plan(plan) if f.code == "site-without-admin-url"]
    assert [(f.severity, f.about) for f in notices] == (
        [] if admin else [("notice", "dir01.contoso.com")]
    )
    director = next(c for c in plan.certificates if c.role == "Director")
    assert "admin.contoso.com" not in director.names


def test_sites_without_an_admin_url_have_no_error():
    """If three sites have separate simple URLs but only one site has an Admin URL, no error is
    reported.
    """
    edits = [(number, "site", "Taipei") for number in range(len(GOOD))]
    edits += [(FE, "admin_url", "https://admin.contoso.com")]
    for row_number, site in ((DIR, "tokyo"), (SE, "osaka")):
        edits += [
            (row_number, "site", site),
            (row_number, "dialin_url", f"https://dialin.{site}.contoso.com"),
        ]
        meet = ";".join(f"https://meet.{site}.contoso.com/{number}" for number in (1, 2))
        edits += [(row_number, "meet_urls", meet)]
    assert "simple-urls-not-all-overridden" not in {
        code for code, _ in find_subjects(plan_of(edits))
    }


def test_standard_edition_with_a_pool_name_is_reported():
    """lyncnb reports a finding if the pool name of a Standard Edition server differs from its
    server name.
    """
    edits = [(SE, "pool_fqdn", "sepool.contoso.com")]
    assert ("pool-name-differs-from-server", "se01.contoso.com") in find_subjects(plan_of(edits))


ALTERED_CASES = [
    (
        "subject-name-not-in-san",
        "AccessEdgeExternal",
        {"subject_alt_name": without("sip.contoso.com")},
    ),
    ("meet-url-not-covered", "WebServicesInternal", {"subject_alt_name": without("meet.")}),
    ("sip-name-not-covered", "Default", {"subject_alt_name": without("sip.")}),
    (
        "wildcard-in-subject-name",
        "Default",
        {"subject": lambda c: replace(c.subject, common_name="*.contoso.com")},
    ),
    (
        "single-label-name",
        "Default",
        {"subject_alt_name": lambda c: (*c.subject_alt_name, SanEntry(DnsName("fe01"), ()))},
    ),
    (
        "aol-without-client-authentication",
        "AccessEdgeExternal",
        {"extended_key_usage": ("serverAuth",)},
    ),
    (
        "san-too-large-for-ad-cs",
        "Default",
        {
            "subject_alt_name": lambda c: (
                *c.subject_alt_name,
                *(SanEntry(DnsName(f"host{n:03}.contoso.com"), ()) for n in range(250)),
            )
        },
    ),
]


@pytest.mark.parametrize(("code", "usage", "changes"), ALTERED_CASES)
def test_mistake_in_a_plan_is_found(code, usage, changes):
    """If a plan is changed after planning, the checks find the mistakes in the changed plan."""
    plan = plan_of([(EDGE, "aol_pic", "true")])
    assert code not in {f.code for f in check_plan(plan)}
    findings = [f for f in check_plan(alter_certificates(plan, usage, **changes)) if f.code == code]
    assert findings
    assert {f.severity for f in findings} == {"error"}


@pytest.mark.parametrize(
    ("code", "usage"),
    [
        ("edge-certificates-differ", "AccessEdgeExternal"),
        ("oauth-certificate-not-shared", "OAuthTokenIssuer"),
        ("trusted-application-certificate-not-shared", "TrustedApplication"),
    ],
)
def test_certificate_that_should_be_shared_is_reported(code, usage):
    """If the plan contains two certificates where the servers of a pool or of the deployment must
    share one, a check reports an error.
    """
    plan = plan_of()
    assert code not in {f.code for f in check_plan(plan)}
    twice = tuple(
        part
        for c in plan.certificates
        for part in (
            [c._replace(shared_by="server", servers=(server,)) for server in ("a", "b")]
            if usage in (*c.usages, c.role)
            else [c]
        )
    )
    assert code in {f.code for f in check_plan(replace(plan, certificates=twice))}


WITH_CASES = [check for check in RULES.checks.values() if check.fires and check.nearest]
CASES = [(RULES.product, check) for check in WITH_CASES]
for (
    product
    # Only cases that test another check or another message are added, so no case runs twice.
) in list_products():
    of_others = {(check.code, check.fires.says) for _, check in CASES}
    CASES += [
        (product, check)
        for check in load_rules(product).checks.values()
        if check.fires and (check.code, check.fires.says) not in of_others
    ]


@pytest.mark.parametrize(
    ("product", "check"), CASES, ids=[f"{product}-{check.code}" for product, check in CASES]
)
def test_plan_check_reports_only_its_case(product, check):
    """For each check, a plan with a mistake causes a finding, and the most similar correct plan
    does not.
    """
    rules = load_rules(product)
    fires, nearest = (
        {f.code: f.severity for f in check_plan(plan_of_case(case, rules=rules), on=case.on)}
        for case in (check.fires, check.nearest)
    )
    assert fires[check.code] == check.severity
    assert check.code not in nearest


#: Checks that report mistakes which no table or option can cause. Other tests alter the plan itself
#: to cause these mistakes.
ONLY_ALTERED = {
    "aol-without-client-authentication",
    "edge-certificates-differ",
    "name-in-unplanned-layout",
    "oauth-certificate-not-shared",
    "trusted-application-certificate-not-shared",
}


def test_every_plan_check_has_two_cases():
    """For every check, there is a case that causes the finding and a similar case that does not."""
    for product in list_products():
        checks = load_rules(product).checks.values()
        without = {check.code for check in checks if not (check.fires and check.nearest)}
        assert without <= ONLY_ALTERED, product


def test_every_check_function_is_used():
    """Every check function in the code is used by a rule."""
    of_cas = [check for check in load_ca_rules().checks if "plan" in check.judges]
    of_products = [c for product in list_products() for c in load_rules(product).checks.values()]
    rules = (*of_products, *of_cas)
    test_names = {rule.test or rule.code.replace("-", "_") for rule in rules}
    of_deployments = DEPLOYMENT_TESTS | SIMPLE_URL_TESTS | PUBLIC_CA_TESTS | OPTION_TESTS
    of_deployments |= PRACTICE_TESTS
    assert test_names == {
        *CERTIFICATE_TESTS,
        *FEATURE_TESTS,
        *NAME_TESTS,
        *of_deployments,
        *LAST_TESTS,
    }


def test_unknown_check_function_is_rejected():
    """If a rule uses an unknown check function, the error lists the known functions."""
    plan = plan_of()
    broken = replace(next(iter(RULES.checks.values())), test="no_such_test")
    rules = replace(RULES, checks={broken.code: broken})
    with pytest.raises(RulesError, match="no_such_test") as caught:
        check_plan(replace(plan, rules=rules))
    assert "common_name_too_long" in caught.value.hint


def test_separate_checks_give_the_same_findings():
    """If the certificates and the deployment are checked separately, the findings are the same as
    for the whole plan.
    """
    plan = plan_of([(EDGE, "webconf_edge_fqdn", ""), (MED, "server_fqdn", LONG)])
    day = date(2026, 11, 25)
    parts = [
        *check_certificates(plan, plan.certificates, on=day),
        *check_deployment(plan, evaluation_date=day),
    ]
    assert sort_findings(parts) == check_plan(plan, on=day)


#: Changes to a planned certificate, each of which causes a finding.
ALTERATIONS = (
    lambda c: c._replace(subject_alt_name=()),
    lambda c: c._replace(subject_alt_name=c.subject_alt_name[1:]),
    lambda c: c._replace(subject_alt_name=c.subject_alt_name[:-1]),
    lambda c: c._replace(subject_alt_name=(*c.subject_alt_name, SanEntry(DnsName("*.a.com"), ()))),
    lambda c: c._replace(
        subject_alt_name=(
            *c.subject_alt_name,
            *(SanEntry(DnsName(f"{n}.{'a' * 50}.{'b' * 50}.contoso.com"), ()) for n in range(150)),
        )
    ),
    lambda c: c._replace(subject=replace(c.subject, common_name="")),
    lambda c: c._replace(subject=replace(c.subject, common_name="*.contoso.com")),
    lambda c: c._replace(subject=replace(c.subject, common_name=f"{'a' * 60}.contoso.com")),
    lambda c: c._replace(subject=replace(c.subject, organizational_unit="IT")),
    lambda c: c._replace(subject=replace(c.subject, organization="Contoso")),
    lambda c: c._replace(hash="sha1"),
    lambda c: c._replace(extended_key_usage=("serverAuth", "clientAuth")),
    lambda c: c._replace(key=KeyParameters(algorithm="ECDSA", bits=256)),
    lambda c: c._replace(issuer="public"),
)


@pytest.mark.parametrize("seed", range(8))
def test_cached_results_do_not_change_the_findings(seed):
    """Checking every certificate and every name one at a time gives the same findings as checking
    the whole plan.
    """
    chance, day = random.Random(seed), date(2026, 11, 25)
    plan = plan_certificates(read_topology(big_table(60)), RULES)
    certificates = list(plan.certificates)
    for alter in ALTERATIONS:
        position = chance.randrange(len(certificates))
        certificates[position] = alter(certificates[position])
    plan = replace(plan, certificates=tuple(certificates))
    expected = set()
    for certificate in plan.certificates:
        # A new view of the plan has no cached results from other certificates.
        view = PlanView(plan, on=day)
        for rule in filter(lambda rule: view.applies(rule, certificate), view.checks):
            test = rule.test or rule.code.replace("-", "_")
            words = []
            if test in CERTIFICATE_TESTS | FEATURE_TESTS:
                found = (CERTIFICATE_TESTS | FEATURE_TESTS)[test](certificate, view, rule)
                words = [item.message for item in found]
            elif test in NAME_TESTS:
                words = (
                    NAME_TESTS[test](name, view, rule) for name in view.list_names(certificate)
                )
            expected |= {create_finding(rule, certificate.id, word) for word in words if word}
    findings = check_certificates(plan, plan.certificates, on=day)
    assert {replace(finding, edits=()) for finding in findings} == expected


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["*.", "", "a.", "a.b.", "com."]),
    st.sampled_from(
        ["com", "ck", "www.ck", "x.ck", "kawasaki.jp", "city.kawasaki.jp", "x.kawasaki.jp",
         "github.io", "contoso.com", "contoso.com.tw", "local", "contoso.local", "corp"]
    ),
    st.booleans(),
)  # fmt: skip
def test_cached_result_of_a_domain_applies_to_its_hosts(before, domain, first):
    """The result that is cached for a domain is the same as the result for each host in the domain."""
    view = PlanView(plan_of(), on=date(2026, 11, 25))
    if first:
        view.is_internal_name(domain)
    assert (
        view.is_internal_name(before + domain)
        == DnsName((before + domain).removeprefix("*.")).is_internal
    )


def test_plan_is_evaluated_on_a_date():
    """The plan is evaluated for the specified date. The default is the planned issue date, or the
    current date if there is none.
    """
    code = "reverse-zone-name-on-public-certificate"
    edits = [(EDGE, EXTRA, "1.2.0.192.in-addr.arpa")]
    plan = plan_of(edits, options=PlanOptions(planned_issue_date=date(2026, 3, 14)))
    before, since = check_plan(plan), check_plan(plan, on=date(2026, 3, 15))
    assert code not in {finding.code for finding in before}
    assert code in {finding.code for finding in since}
    assert (before.judged_on, since.judged_on) == (date(2026, 3, 14), date(2026, 3, 15))
    assert since.of("error").judged_on == since[:1].judged_on == date(2026, 3, 15)
    today = datetime.now(UTC).date()
    assert check_plan(plan_of()).judged_on in (today, today - timedelta(days=1))
    days = [choose_evaluation_date(plan, today=date(2026, 3, day)) for day in (13, 14, 15)]
    assert days == [date(2026, 3, 14), date(2026, 3, 14), date(2026, 3, 15)]
    assert choose_present_date(plan) in (today, today - timedelta(days=1))


def test_check_ends_on_its_end_date():
    """A check with an end date reports findings until the day before that date."""
    rule = replace(RULES.checks["single-label-name"], until=date(2026, 3, 15))
    assert rule.applies_on(date(2026, 3, 14))
    assert not rule.applies_on(date(2026, 3, 15))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"organization": "Contoso", "locality": "Taipei", "country": "TW"}, False),
        ({"organization": "Contoso", "state": "Taiwan", "country": "TW"}, False),
        ({"country": "TW"}, False),
        ({"organization": "Contoso", "country": "TW"}, True),
    ],
)
def test_organization_requires_a_location(options, told):
    """If a public certificate has an organization (O), lyncnb requires a country (C) and also a
    state (ST), a locality (L), or both.
    """
    findings = check_plan(plan_of(options=PlanOptions(**options)))
    reported_ids = {f.about for f in findings if f.code == "organization-without-place"}
    public = {c.id for c in plan_of().certificates if c.issuer == "public"}
    assert reported_ids == (public if told else set())


def test_findings_are_sorted_and_can_be_counted():
    """Findings are sorted by severity, and you can count and filter them."""
    findings = check_plan(plan_of([(EDGE, "av_edge_fqdn", ""), (DIR, "web_external_fqdn", "")]))
    ranks = [("error", "warning", "notice").index(f.severity) for f in findings]
    assert ranks == sorted(ranks)
    assert findings.has_errors
    assert sum(findings.counts().values()) == len(findings)
    assert {f.severity for f in findings.of("notice")} == {"notice"}


def test_hostile_text_is_escaped_in_the_table():
    """In the HTML table of findings, markup in a finding is escaped."""
    plan = plan_of([(FE, "dialin_url", "https://dialin.contoso.com/<script>")])
    page = check_plan(plan)._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.from_regex(r"[a-z]{1,60}(\.[a-z]{1,60}){1,3}", fullmatch=True), min_size=1))
def test_counted_size_is_the_encoded_size(names):
    """The calculated size of a SAN extension equals its size in an encoded certificate."""
    san = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    assert compute_san_size(tuple(names)) == len(san.public_bytes())


@pytest.mark.parametrize(
    ("count", "name", "fits"),
    [
        # According to the TechNet wiki article 3306, a certificate can contain 151 names of 25
        # characters.
        (151, "host{:03}.contoso123456.com", True),
        (152, "host{:03}.contoso123456.com", False),
    ],
)
def test_published_limit_of_ad_cs_is_met(count, name, fits):
    """The largest number of names that Microsoft's wiki states for AD CS is also the largest number
    that fits into 4096 bytes.
    """
    names = tuple(name.format(number) for number in range(count))
    assert {len(n) for n in names} == {25}
    assert (compute_san_size(names) <= 4096) is fits


def test_repr_shows_the_first_sixty_findings():
    """In a notebook, the output shows the first 60 findings and the number of further findings."""
    items = [
        Finding(code=f"a{n}", severity="warning", about="b", message=f"no {n}", hint="", source="")
        for n in range(100)
    ]
    lines = repr(Findings(tuple(items))).splitlines()
    assert len(lines) == 62
    assert lines[60:] == ["warning: no 59", "… and 40 more; to_frame() shows all findings"]
    assert len(repr(Findings(tuple(items[:60]))).splitlines()) == 61


@pytest.mark.parametrize(
    ("edits", "options", "code"),
    [
        (
            [
                (SE, "site", "Tokyo"),
                (SE, "meet_urls", "https://meet.contoso.com/tokyo;https://meet.fabrikam.com/tokyo"),
                (SE, "dialin_url", "https://dialin.contoso.com/tokyo"),
                (SE, "admin_url", "https://admin.contoso.com"),
            ],
            PlanOptions(),
            "simple-urls-not-all-overridden",
        ),
        ([], PlanOptions(organizational_unit="IT"), "unit-on-public-certificate"),
    ],
)
def test_a_plausible_plan_is_not_refused(edits, options, code):
    """A site with the Admin URL of another site, and an OU that public CAs ignore, are warnings."""
    findings = mistakes(check_plan(plan_of(edits, options), on=date(2026, 11, 25)))
    assert {(f.severity, f.code) for f in findings if f.severity != "notice"} == {("warning", code)}


def test_a_long_access_edge_name_has_a_fitting_hint():
    """The finding about a common name that is too long does not ask for another pool name if the
    name is that of the Access Edge service.
    """
    findings = check_plan(plan_of([(EDGE, "access_edge_fqdn", LONG)]), on=date(2026, 11, 25))
    (finding,) = [f for f in findings if f.code == "common-name-too-long"]
    assert LONG in finding.message
    assert "in the column of the table that contains it" in finding.hint
