"""An accepted finding stays accepted until its end date, and only for the specified objects."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date

import pytest
from folders import PASSPHRASE, quick_keys
from good_deployment import DIR, EDGE, FE, plan_of
from places import DATA

from lyncnb.authorities.summary_files import build_planned_summary
from lyncnb.checks.check_plan import check_plan
from lyncnb.errors import OptionsError, PlanRejected
from lyncnb.export.order import make_order
from lyncnb.export.write import write_requests
from lyncnb.plan.acceptances import find_acceptance, list_accepted_codes
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.saved_plan_json import build_saved_plan_values
from lyncnb.plan.totals import format_totals
from lyncnb.reports.comparison_report import count_plan_items
from lyncnb.reports.summary.formats import write_plan_table
from lyncnb.request_folder.manifest import read_manifest
from lyncnb.rules.returned_rules import EARLIER_CODES, list_all_checks

CODE = "public-certificate-required"
LAST = date(2027, 1, 31)


def request_data(plan, on, **accept):
    """Return the data for writing a request folder, with the findings for a given date."""
    findings = check_plan(plan, on=on)
    return make_order(plan, findings=findings, accept=accept, renew=(), reason="", now="")


def plan_with_internal_edge(**options):
    """Return a plan with an Edge certificate from an internal CA and with the given options."""
    return plan_of([(EDGE, "issuer", "internal")], PlanOptions(**options))


def test_an_acceptance_ends_after_its_last_date():
    """The requests of a plan can be written on the last date of an acceptance, but not on the next
    day.
    """
    plan = plan_with_internal_edge(accepted={CODE: "a lab"}, accepted_until={CODE: LAST})
    order = request_data(plan, LAST)
    assert [(a.code, a.reason) for a in order.accepted] == [(CODE, "a lab (until 2027-01-31)")]
    reasons = {f.code: f.accepted for f in order.reported_findings}
    assert reasons[CODE] == "a lab (until 2027-01-31)"
    with pytest.raises(PlanRejected):
        request_data(plan, date(2027, 2, 1))
    messages = [f.message for f in check_plan(plan, on=date(2027, 2, 1))]
    assert f"the acceptance of the finding {CODE} expired on 2027-01-31" in messages


def test_documents_of_a_plan_show_an_acceptance():
    """The summary of a plan shows an accepted error as a notice with the reason, as the summary of
    the request folder does. After the last day, the summary shows an error.
    """
    plan = plan_with_internal_edge(accepted={CODE: "a lab"}, accepted_until={CODE: LAST})
    text = write_plan_table(plan, check_plan(plan, on=LAST), ".md").decode()
    assert "a lab (until 2027-01-31)" in text
    assert "findings: 0 errors" in text
    assert "Resolve 1 error" not in text
    later = write_plan_table(plan, check_plan(plan, on=date(2027, 2, 1)), ".md").decode()
    assert "Resolve 1 error" in later


def test_all_outputs_count_an_accepted_error_alike():
    """Documents, terminal, saved plan and comparison count an accepted error as such: not as an
    error, and not as a notice.
    """
    plan = plan_with_internal_edge(accepted={CODE: "a lab"})
    findings = check_plan(plan, on=LAST)
    errors, notices = (len(findings.of(severity)) for severity in ("error", "notice"))
    totals = format_totals(plan, findings)
    assert (errors, f"findings: 0 errors, 1 accepted finding, 0 warnings, {notices} notices.") == (
        1,
        totals[totals.index("findings:") :],
    )
    for suffix in (".md", ".html"):
        assert totals in write_plan_table(plan, findings, suffix).decode()
    assert totals in build_saved_plan_values(plan, findings, judged_on=LAST)["read_me"][0]
    assert totals == format_totals(plan, request_data(plan, LAST).reported_findings)
    counts = count_plan_items(plan, findings)
    assert (counts["error"], counts["accepted finding"], counts["notice"]) == (0, 1, notices)


def test_accepted_finding_applies_only_to_named_certificates():
    """If a finding is accepted for one certificate, the same finding for another certificate is not
    accepted.
    """
    plan = plan_with_internal_edge(accepted={CODE: "a lab"})
    (certificate_id,) = {f.about for f in check_plan(plan) if f.code == CODE}
    narrowed = plan_with_internal_edge(
        accepted={CODE: "a lab"}, accepted_for={CODE: (certificate_id[:12],)}
    )
    assert request_data(narrowed, LAST).accepted[0].reason == f"a lab (for {certificate_id[:12]})"
    elsewhere = plan_with_internal_edge(
        accepted={CODE: "a lab"}, accepted_for={CODE: ("FrontEnd-",)}
    )
    with pytest.raises(PlanRejected):
        request_data(elsewhere, LAST)
    assert (
        f'the finding {CODE} is accepted only for IDs that begin with "FrontEnd-", but it applies to '
        "a different ID" in [f.message for f in check_plan(elsewhere, on=LAST)]
    )
    # An acceptance on the command line applies to all objects, but only in this run.
    assert request_data(elsewhere, LAST, **{CODE: "today"}).accepted[0].reason == "today"


def test_accepted_findings_that_no_longer_exist_are_notices():
    """If an accepted finding no longer exists in the plan, lyncnb reports a notice, unless the
    finding can occur later.
    """
    options = PlanOptions(accepted={CODE: "a lab", "crl-distribution-point-absent": "no list"})
    notices = [
        (f.severity, f.message)
        for f in check_plan(plan_of(options=options), on=LAST)
        if f.code == "acceptance-counts-for-nothing"
    ]
    assert notices == [("notice", f"you accepted {CODE}, but the plan does not have this finding")]


def test_accepted_codes_of_earlier_versions():
    """An accepted code of an earlier version counts for today's code, with its limits. If lyncnb has
    no such finding any more, the acceptance has no effect.
    """
    options = PlanOptions(
        accepted={"web-names-equal": "one device", "dnssec-of-zones": "unsigned"},
        accepted_until={"web-names-equal": LAST},
    )
    plan = plan_of([(FE, "web_external_fqdn", "sip.contoso.com")], options)
    assert [(a.code, a.reason) for a in request_data(plan, LAST).accepted] == [
        ("name-leads-to-two-places", "one device (until 2027-01-31)")
    ]
    assert [
        f.message for f in check_plan(plan, on=LAST) if f.code == "acceptance-counts-for-nothing"
    ] == ["you accepted dnssec-of-zones, but the plan does not have this finding"]
    assert set(EARLIER_CODES).isdisjoint(list_all_checks(plan.rules))
    assert {*EARLIER_CODES.values()} - {""} <= {*list_all_checks(plan.rules)}


def test_codes_with_only_accepted_findings():
    """A panel shows the code of a finding as accepted only if every finding with this code is
    accepted.
    """
    edits = [(EDGE, "issuer", "internal"), (FE, "meet_urls", "")]
    reasons = {CODE: "a lab", "meet-url-missing": "follows"}
    plan = plan_of(edits, PlanOptions(accepted=reasons))
    findings = check_plan(plan, on=LAST)
    assert list_accepted_codes(findings, plan.options, day=LAST) == reasons
    only = replace(plan.options, accepted_for={"meet-url-missing": ("no-such-server",)})
    assert list_accepted_codes(findings, only, day=LAST) == {CODE: "a lab"}
    expired_options = replace(plan.options, accepted_until={CODE: date(2027, 1, 30)})
    assert CODE not in list_accepted_codes(findings, expired_options, day=LAST)
    finding = next(f for f in findings if f.code == CODE)
    assert find_acceptance(finding, PlanOptions(), day=LAST) == ""


def test_limits_are_kept_in_plan_toml():
    """The end dates and certificate names of acceptances are written to plan.toml and read from it
    without changes.
    """
    options = PlanOptions(
        accepted={CODE: "a lab"}, accepted_until={CODE: LAST}, accepted_for={CODE: ("Edge-",)}
    )
    text = options.to_toml()
    assert f"[accepted_until]\n{CODE} = 2027-01-31\n" in text
    assert PlanOptions.from_toml(text.encode()) == options


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[accepted_until]\na-b = 2027-01-31",
            'contains "a-b", but the section [accepted] has no reason',
        ),
        ('[accepted]\na-b = "x"\n[accepted_until]\na-b = "soon"', "must be a date"),
        ('[accepted]\na-b = "x"\n[accepted_for]\na-b = "Edge"', "must be a list of text values"),
        ('[accepted]\na-b = "x"\n[accepted_for]\na-b = []', "accepted_for.a-b"),
    ],
)
def test_invalid_limits_are_rejected(text, message):
    """If a limit has no reason or the wrong type, the error message contains the location of the
    limit.
    """
    with pytest.raises(OptionsError) as caught:
        PlanOptions.from_toml(text.encode())
    assert message in str(caught.value)


def test_an_accepted_warning_is_shown_like_an_accepted_error():
    """An accepted warning or notice is counted as accepted, and every output shows the reason."""
    reasons = {"meet-url-count": "one URL is enough", "several-autologon-pools": "on purpose"}
    edits = [(FE, "meet_urls", "https://meet.contoso.com"), (DIR, "autologon", "true")]
    plan = plan_of(edits, PlanOptions(accepted=reasons))
    findings = check_plan(plan, on=LAST)
    severities = {f.code: f.severity for f in findings if f.code in reasons}
    assert severities == {"meet-url-count": "warning", "several-autologon-pools": "notice"}
    notices = len(findings.of("notice")) - 1
    counted = f"findings: 0 errors, 2 accepted findings, 0 warnings, {notices} notices."
    for suffix in (".md", ".html"):
        text = write_plan_table(plan, findings, suffix).decode()
        assert counted in text
        assert all(reason in text for reason in reasons.values())
    document = json.loads(write_plan_table(plan, findings, ".json"))
    assert {f["code"]: f["accepted"] for f in document["findings"] if f["accepted"]} == reasons
    assert counted in format_totals(plan, request_data(plan, LAST).reported_findings)


def test_the_summary_of_a_folder_shows_an_accepted_warning(tmp_path):
    """The summary in a request folder shows the reason for an accepted warning, also when it is
    written again from the record.
    """
    options = PlanOptions(accepted={"meet-url-count": "one URL is enough"})
    plan = plan_of([(FE, "meet_urls", "https://meet.contoso.com")], options)
    with quick_keys():
        write_requests(plan, tmp_path / "requests", passphrase=PASSPHRASE, today=LAST)
    written = (tmp_path / "requests" / "summary.md").read_text("utf-8")
    assert "one URL is enough" in written
    manifest = read_manifest(tmp_path / "requests")
    summary = build_planned_summary(tmp_path / "requests", manifest)
    (finding,) = [f for f in summary.findings if f.code == "meet-url-count"]
    assert (finding.severity, finding.accepted) == ("notice", "one URL is enough")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("faketime"), reason="no faketime")
def test_the_sample_has_no_error_and_no_warning_next_year():
    """The sample's plan has no error and no warning, even if the clock is a year ahead."""
    days = (365, 730)
    for day in days:
        result = subprocess.run(
            ["faketime", "-f", f"+{day}d", sys.executable, "-m", "lyncnb", "check",
             str(DATA / "contoso.csv"), "--options", str(DATA / "contoso.plan.toml")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result
        words = " ".join(result.stdout.split())
        assert "findings: 0 errors, 1 accepted finding, 0 warnings, " in words
