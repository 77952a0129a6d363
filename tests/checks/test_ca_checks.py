"""Each check in the rules for public CAs reports a plan with a mistake, but not the most similar
plan without the mistake.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from good_deployment import EDGE, plan_of, plan_of_case

from lyncnb.base.certificate_fields import KEYS, KeyParameters
from lyncnb.checks.check_plan import check_plan
from lyncnb.plan.options import PlanOptions
from lyncnb.rules.ca_rules import load_ca_rules
from lyncnb.rules.findings import group_findings

RULES = load_ca_rules()
OF_PLANS = [check for check in RULES.checks if "plan" in check.judges]
IDS = [check.code for check in OF_PLANS]
KEY_CODES = {check.code for check in OF_PLANS if "key" in check.code}
DATED = [check for check in OF_PLANS if check.effective or check.until]


def find_codes(case, on=None):
    """Return the codes of the findings about the plan of a case, on the date of the case or on
    another date.
    """
    return {finding.code for finding in check_plan(plan_of_case(case), on=on or case.on)}


def test_every_check_of_the_ca_rules_has_two_cases():
    """For every check in the rules for public CAs, there is a case that causes the finding and a
    similar case that does not.
    """
    assert [c.code for c in OF_PLANS if not (c.fires and c.nearest)] == []
    assert [c.code for c in OF_PLANS if not (c.fires.on and c.nearest.on)] == []


@pytest.mark.parametrize("check", OF_PLANS, ids=IDS)
def test_ca_check_reports_only_its_case(check):
    """Each check reports a mistake in a plan, and reports nothing for a similar plan without this
    mistake.
    """
    assert check.code in find_codes(check.fires)
    assert check.code not in find_codes(check.nearest)


@pytest.mark.parametrize("check", DATED, ids=[check.code for check in DATED])
def test_dated_check_applies_between_its_dates(check):
    """A check that applies for a period reports findings from its start date until the day before
    its end date.
    """
    if check.effective:
        assert check.code in find_codes(check.fires, check.effective)
        assert check.code not in find_codes(check.fires, check.effective - timedelta(days=1))
    if check.until:
        assert check.code in find_codes(check.fires, check.until - timedelta(days=1))
        assert check.code not in find_codes(check.fires, check.until)


@pytest.mark.parametrize("check", OF_PLANS, ids=IDS)
def test_finding_contains_value_hint_and_source(check):
    """Each finding contains the value, a hint, and a source with its date."""
    findings = [
        f for f in check_plan(plan_of_case(check.fires), on=check.fires.on) if f.code == check.code
    ]
    assert all(f.message and f.hint == check.hint and "20" in f.source for f in findings)
    assert {f.severity for f in findings} == {check.severity}


@pytest.mark.parametrize(
    "check",
    [check for check in OF_PLANS if RULES.convert_check(check).issuers == ("public",)],
    ids=lambda check: check.code,
)
def test_rules_for_public_cas_do_not_apply_to_internal_cas(check):
    """A check with rules for public CAs reports nothing if all certificates are planned for an
    internal CA.
    """
    plan = plan_of_case(check.fires)
    internal_plan = replace(
        plan, certificates=tuple(c._replace(issuer="internal") for c in plan.certificates)
    )
    assert check.code not in {f.code for f in check_plan(internal_plan, on=check.fires.on)}


LIMITS = [limit for limit in RULES.list_limits("validity-days") if limit.effective]


@pytest.mark.parametrize("limit", LIMITS, ids=[str(limit.effective) for limit in LIMITS])
def test_validity_limit_applies_from_its_date(limit):
    """A validity period over the limit is reported from the date on which the limit takes effect."""
    plan = plan_of(options=PlanOptions(validity_days=limit.value + 1))
    messages_on = lambda on: [  # noqa: E731
        f.message for f in check_plan(plan, on=on) if f.code == "validity-asked-over-limit"
    ]
    assert any(f"{limit.value:,}" in message for message in messages_on(limit.effective))
    assert not any(
        f"the limit is {limit.value:,}" in message
        for message in messages_on(limit.effective - timedelta(days=1))
    )
    exact = plan_of(options=PlanOptions(validity_days=limit.value))
    assert not [f for f in check_plan(exact, on=limit.effective) if f.code.startswith("validity")]


#: For each check that reports a limit, the table contains the code of the check and the words
#: around the number in its message.
TOLD = [
    (code, words, limit)
    for code, words, quantity in (
        ("domains-validated-again", " for {} days", "domain-validation-days"),
        ("organization-verified-again", " for {} days", "subject-validation-days"),
    )
    for limit in RULES.list_limits(quantity)
    if limit.effective
]


@pytest.mark.parametrize(
    ("code", "words", "limit"), TOLD, ids=[f"{code} {limit.effective}" for code, _, limit in TOLD]
)
def test_limit_is_reported_between_its_dates(code, words, limit):
    """A check reports a limit from the first date to the last date on which the limit applies, and
    not on the days before and after.
    """
    plan = plan_of(options=PlanOptions(organization="Contoso", locality="Taipei", country="TW"))
    matches_on = lambda on: [  # noqa: E731
        words.format(limit.value) in f.message for f in check_plan(plan, on=on) if f.code == code
    ]
    day = timedelta(days=1)
    assert matches_on(limit.effective) == [True]
    assert True not in matches_on(limit.effective - day)
    if limit.until:
        assert matches_on(limit.until - day) == [True]
        assert True not in matches_on(limit.until)


ENDING = [method for method in RULES.methods if method.until]


@pytest.mark.parametrize("method", ENDING, ids=[f"{m.source.section}" for m in ENDING])
def test_ending_validation_method_is_reported(method):
    """In the last year before a domain validation method ends, a notice names the method and its
    end date.
    """
    plan = plan_of()
    messages_on = lambda on: [  # noqa: E731
        f.message for f in check_plan(plan, on=on) if f.code == "validation-methods-end"
    ]
    end_text = f"{method.title} (on {method.until})"
    (before,), (since,) = messages_on(method.until - timedelta(days=1)), messages_on(method.until)
    assert end_text in before
    assert method.title in since.partition("; ends")[0]
    assert end_text not in since
    assert any(end_text in message for message in messages_on(method.until - timedelta(days=366)))
    assert not any(
        end_text in message for message in messages_on(method.until - timedelta(days=367))
    )


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("ca", ["", "Let's Encrypt"])
def test_every_key_except_p521_is_accepted(key, ca):
    """For public CAs in general, lyncnb accepts every type of key that a plan can contain. For
    Let's Encrypt, lyncnb reports an error for P-521.
    """
    algorithm, bits = key.split()
    options = PlanOptions(
        key=KeyParameters(algorithm=algorithm, bits=int(bits)), ca={"public": ca} if ca else {}
    )
    codes = {f.code for f in check_plan(plan_of(options=options), on=date(2026, 11, 25))}
    refused = key == "ECDSA 521" and bool(ca)
    assert codes & KEY_CODES == ({"key-refused-by-lets-encrypt"} if refused else set())


def test_planned_issue_date_is_the_default_evaluation_date():
    """By default, the rules are evaluated on the planned issue date, and the findings contain that
    date.
    """
    options = PlanOptions(validity_days=150, planned_issue_date=date(2027, 3, 14))
    before = check_plan(plan_of(options=options))
    since = check_plan(plan_of(options=replace(options, planned_issue_date=date(2027, 3, 15))))
    codes = [{f.code for f in findings} for findings in (before, since)]
    assert ["validity-asked-over-limit" in c for c in codes] == [False, True]
    assert (before.judged_on, since.judged_on) == (date(2027, 3, 14), date(2027, 3, 15))


def test_validity_of_each_issuer_is_checked_separately():
    """A validity of 365 days exceeds the limit for a public CA but not for an internal CA."""
    code, day = "validity-asked-over-limit", date(2026, 11, 25)
    for validity, is_over in (
        ({"internal": 365}, False),
        ({"internal": 365, "public": 200}, False),
        ({"internal": 365, "public": 201}, True),
    ):
        findings = check_plan(plan_of(options=PlanOptions(validity=validity)), on=day)
        assert (code in {f.code for f in findings}) == is_over
    both = PlanOptions(validity_days=365, validity={"public": 100})
    assert code not in {f.code for f in check_plan(plan_of(options=both), on=day)}
    assert [both.validity_for(issuer) for issuer in ("internal", "public")] == [365, 100]


@pytest.mark.slow
def test_findings_are_the_same_on_the_next_day():
    """If there is no planned issue date, the same plan has the same findings on the next day."""
    plans = [plan_of_case(check.fires) for check in OF_PLANS]
    for plan in (replace(p, options=replace(p.options, planned_issue_date=None)) for p in plans):
        first, second = (
            [f.message for f in check_plan(plan, on=day)]
            for day in (date(2026, 11, 25), date(2026, 11, 26))
        )
        assert first == second


@pytest.mark.parametrize(
    ("ca", "days"),
    [("", ["200"]), ("Let's Encrypt", ["30"]), ("DigiCert", ["199"]), ("Sectigo", ["198"])],
)
def test_only_the_smallest_limit_is_reported(ca, days):
    """If a CA's own limit and the general limit differ, lyncnb reports the smaller limit, and
    reports it only once.
    """
    options = PlanOptions(ca={"public": ca} if ca else {})
    findings = check_plan(plan_of(options=options), on=date(2026, 11, 25))
    messages = [f.message for f in findings if f.code == "domains-validated-again"]
    counts = [message.split(" for ")[1].partition(" (")[0] for message in messages]
    assert counts == [f"{n} days" for n in days]


@pytest.mark.parametrize(
    ("ca", "code", "severity"),
    [
        ("Let's Encrypt", "too-many-names-for-ca", "error"),
        ("DigiCert", "many-names-on-public-certificate", "warning"),
        ("", "many-names-on-public-certificate", "warning"),
    ],
)
def test_too_many_names_are_an_error_for_lets_encrypt(ca, code, severity):
    """For a certificate with 101 names, lyncnb reports an error if the CA is Let's Encrypt, and a
    warning for other CAs.
    """
    names = ";".join(f"n{number}.contoso.com" for number in range(99))
    options = PlanOptions(ca={"public": ca} if ca else {})
    findings = check_plan(plan_of([(EDGE, "extra_san", names)], options), on=date(2026, 11, 25))
    codes = {f.code: f.severity for f in findings if "many-names" in f.code}
    assert codes == {code: severity}
    (warning,) = (c for c in load_ca_rules().checks if c.code == "many-names-on-public-certificate")
    assert warning.meaning.startswith("Let's Encrypt rejects more than 100 names")


@pytest.mark.parametrize(
    ("ca", "is_reported"), [("DigiCert", True), ("", True), ("Let's Encrypt", False)]
)
def test_price_of_many_names_is_a_notice(ca, is_reported):
    """If a certificate has 26 names, lyncnb shows a notice about the price, unless the CA charges
    nothing.
    """
    names = ";".join(f"n{number}.contoso.com" for number in range(25))
    options = PlanOptions(ca={"public": ca} if ca else {})
    findings = check_plan(plan_of([(EDGE, "extra_san", names)], options), on=date(2026, 11, 25))
    prices = [f for f in findings if f.code == "price-depends-on-names"]
    assert [f.severity for f in prices] == ["notice"] * is_reported
    (order,) = (
        g for g in group_findings(findings) if g.title == "Before you order from a public CA"
    )
    assert ("price-depends-on-names" in order.codes) is is_reported


def test_country_in_lowercase_is_changed_to_uppercase():
    """The country `tw` is changed to TW in every subject, and a notice reports the change."""
    plan = plan_of(options=PlanOptions(country="tw"))
    assert {c.subject.country for c in plan.certificates} == {"TW"}
    messages = [f.message for f in check_plan(plan) if f.code == "country-in-small-letters"]
    assert messages == ['the country in the options is "tw", but the certificates will contain TW']


@pytest.mark.parametrize(
    ("ca", "proved"),
    [
        ("DigiCert", "contoso.com and fabrikam.com for "),
        ("", "contoso.com and fabrikam.com for "),
        ("Let's Encrypt", "dialin.contoso.com, lyncdiscover.contoso.com, "),
    ],
)
def test_notice_lists_the_names_to_validate(ca, proved):
    """For Let's Encrypt, the notice lists every name to validate. For other CAs, it lists the
    domains. The notice names the CA in the options.
    """
    options = PlanOptions(ca={"public": ca} if ca else {})
    findings = check_plan(plan_of(options=options), on=date(2026, 11, 25))
    (message,) = (f.message for f in findings if f.code == "domains-validated-again")
    assert message.startswith(f"{ca or 'a CA'} can reuse the validation of {proved}")


def test_two_cas_with_different_limits_are_one_point():
    """If two CAs reuse a validation for different numbers of days, the list of what to do before you
    order has one point, and each message names its CA.
    """
    options = PlanOptions(ca={"public": "DigiCert", "ReverseProxy": "Let's Encrypt"})
    findings = check_plan(plan_of(options=options), on=date(2026, 11, 25))
    (order,) = (
        g for g in group_findings(findings) if g.title == "Before you order from a public CA"
    )
    assert [point.codes for point in order.points] == [(code,) for code in order.codes]
    (point,) = (p for p in order.points if p.codes == ("domains-validated-again",))
    assert {finding.message.partition(" can ")[0] for finding in point.findings} == {
        "DigiCert",
        "Let's Encrypt",
    }


@pytest.mark.parametrize(("on", "is_told"), [("2026-03-14", False), ("2026-03-15", True)])
def test_discouraged_validation_methods_are_reported(on, is_told):
    """From 2026-03-15, validation by e-mail and phone is reported as discouraged."""
    findings = check_plan(plan_of(), on=date.fromisoformat(on))
    (message,) = (f.message for f in findings if f.code == "validation-methods-end")
    words = "since 2026-03-15, CAs should no longer use e-mail or phone"
    assert (words in message) is is_told


def test_persistent_dns_record_is_valid_for_ten_days():
    """A domain validation with a persistent DNS record is valid for 10 days."""
    messages_on = lambda on: [  # noqa: E731
        f.message for f in check_plan(plan_of(), on=on) if f.code == "domains-validated-again"
    ]
    (now,), (later,) = messages_on(date(2026, 11, 25)), messages_on(date(2029, 3, 15))
    assert now.endswith(" for 200 days (10 days with a persistent DNS record)")
    assert later.endswith(" for 10 days")


@pytest.mark.parametrize(
    "code",
    ["organization-verified-again", "organization-without-place", "place-without-organization",
     "crl-distribution-point-not-assured"],
)  # fmt: skip
def test_ca_that_only_validates_domains_has_one_warning(code):
    """For Let's Encrypt, which only validates domains, one warning replaces the findings about
    organizations and CRLs.
    """
    check = next(check for check in OF_PLANS if check.code == code)
    plan = plan_of_case(check.fires)
    ours = replace(
        plan, certificates=tuple(c._replace(ca="Let's Encrypt") for c in plan.certificates)
    )
    codes = {f.code for f in check_plan(ours, on=check.fires.on)}
    assert code not in codes
    has_fields = any(c.subject.country or c.subject.locality for c in plan.certificates)
    assert ("organization-left-out-by-lets-encrypt" in codes) is has_fields


def test_hint_about_lets_encrypt_keeps_the_fields_of_other_cas():
    """The options have one [subject] for all certificates. Therefore, the hint does not ask for the
    removal of the fields, which would also change the certificates from other CAs.
    """
    (check,) = (c for c in OF_PLANS if c.code == "organization-left-out-by-lets-encrypt")
    findings = check_plan(plan_of_case(check.fires), on=check.fires.on)
    (hint,) = {finding.hint for finding in findings if finding.code == check.code}
    assert not hint.startswith("Remove")
    assert "[subject] apply to all certificates" in hint
