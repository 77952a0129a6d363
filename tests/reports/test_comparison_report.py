"""A comparison report lists and counts all differences between two plans."""

from __future__ import annotations

import csv
import io
import json
import random
import xml.etree.ElementTree as ET
from datetime import date

import pytest
from random_plans import PAIRS, random_plan
from topologies import edge, front_end, plan

import lyncnb as ln
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.base.disk.outputs import check_output_path
from lyncnb.base.shown.report import build_report_document, write_report
from lyncnb.base.shown.terminal_text import format_report
from lyncnb.plan.model import build_certificate_document
from lyncnb.reports.compare import compare_plans
from lyncnb.reports.comparison_report import COMPARISON_FILE, Comparison, build_comparison_report


def comparison(old: ln.CertificatePlan, new: ln.CertificatePlan) -> Comparison:
    return Comparison(
        difference=compare_plans(old, new),
        old_findings=ln.check_plan(old, on=date(2026, 11, 25)),
        new_findings=ln.check_plan(new, on=date(2026, 11, 25)),
    )


@pytest.fixture(scope="module")
def compared():
    """Return a comparison of two plans that differ in a SIP domain, a server, and the key size."""
    old = plan(front_end(1), front_end(2), edge(1), sip_domains="contoso.com")
    new = plan(
        front_end(1), edge(1), sip_domains="contoso.com;fabrikam.com",
        options=ln.PlanOptions(key=KeyParameters(bits=4096)),
    )  # fmt: skip
    return comparison(old, new)


@pytest.mark.slow
def test_the_document_contains_all_changed_certificates():
    """If the certificates in the old plan are replaced as the report says, the result matches the
    new plan.
    """
    chance = random.Random(3)
    old = random_plan(chance)
    for _ in range(PAIRS // 10):
        new = random_plan(chance)
        document = build_report_document(build_comparison_report(comparison(old, new)))
        assert document["format"] == COMPARISON_FILE.form
        state = {c.id: build_certificate_document(c) for c in old.certificates}
        for item in document["certificates"]:
            assert state.pop(item["id"], None) == item["old"]
            assert item["old"] != item["new"] or item["change"] == "kept"
            assert item["differences"]
            if item["new"] is not None:
                state[item["id"]] = item["new"]
        assert state == {c.id: build_certificate_document(c) for c in new.certificates}
        assert document["new"]["plan_sha256"] == new.sha256
        old = new


def test_everything_is_counted(compared):
    """The report contains the correct numbers of names by issuer, keys by type, and findings by
    severity.
    """
    counts = {count.what: (count.before, count.after) for count in compared.counts}
    old, new = compared.difference.old, compared.difference.new
    for issuer in ("internal", "public"):
        assert counts[f"{issuer} name"] == tuple(
            sum(len(c.names) for c in plan.certificates if c.issuer == issuer)
            for plan in (old, new)
        )
    assert counts["RSA 2048 key"] == (len(old.certificates), 0)
    assert counts["RSA 4096 key"] == (0, len(new.certificates))
    assert counts["warning"] == tuple(
        sum(f.severity == "warning" for f in findings)
        for findings in (compared.old_findings, compared.new_findings)
    )
    assert "yearly renewal" not in counts
    assert any("without validity_days" in note for note in compared.notes)


def test_the_number_of_renewals_per_year():
    """The number of renewals in a year depends on the requested validity. For public certificates,
    it also depends on the validity limit that applies on the issue date.
    """
    rows = front_end(1), edge(1)  # One of the four certificates is public.
    short = ln.PlanOptions(validity_days=365, planned_issue_date=date(2026, 12, 1))
    long = ln.PlanOptions(validity_days=730, planned_issue_date=date(2026, 12, 1))
    counted = comparison(plan(*rows, options=long), plan(*rows, options=short))
    (renewals,) = [count for count in counted.counts if count.what == "yearly renewal"]
    assert (renewals.before, renewals.after) == (round(3 / 2 + 365 / 200), round(3 + 365 / 200))
    apart = ln.PlanOptions(validity={"internal": 730, "public": 100})
    counted = comparison(plan(*rows, options=short), plan(*rows, options=apart))
    (renewals,) = [count for count in counted.counts if count.what == "yearly renewal"]
    assert renewals.after == round(3 / 2 + 365 / 100)
    # The limit of the chosen CA also counts.
    chosen = ln.PlanOptions(
        validity_days=365, planned_issue_date=date(2026, 12, 1), ca={"public": "Let's Encrypt"}
    )
    counted = comparison(plan(*rows, options=short), plan(*rows, options=chosen))
    (renewals,) = [count for count in counted.counts if count.what == "yearly renewal"]
    assert renewals.after == round(3 + 365 / 90)
    assert not any("without validity_days" in note for note in counted.notes)


def test_added_and_removed_findings(compared):
    """The report lists exactly the findings that were added or removed."""
    old, new = set(compared.old_findings), set(compared.new_findings)
    assert set(compared.findings_gone) | set(compared.findings_new)
    subjects = {(f.code, f.severity, f.about) for f in new}
    assert set(compared.findings_gone) == {
        f for f in old - new if (f.code, f.severity, f.about) not in subjects
    }
    inverse = Comparison(
        difference=compared.difference,
        old_findings=compared.new_findings,
        new_findings=compared.old_findings,
    )
    assert inverse.findings_new == compared.findings_gone


def test_a_finding_with_another_number_is_a_change():
    """If one URL is removed, the notice about all public names is changed, not resolved and new."""
    servers = (front_end(10, issuer="public"), front_end(11, issuer="public"))
    compared = comparison(plan(*servers), plan(*servers[:1]))
    changed = {finding.code for finding in compared.findings_changed}
    assert changed
    both = {(f.code, f.about) for f in compared.findings_gone}
    assert not both & {(f.code, f.about) for f in compared.findings_new}
    text = "\n".join(format_report(build_comparison_report(compared), width=200))
    assert "changed finding: " in text


def test_a_finding_of_many_servers_is_one_entry():
    """A notice about ten servers is a single entry in each list of the comparison."""
    servers = range(10, 20)
    old = plan(*map(front_end, servers))
    compared = comparison(old, plan(*(front_end(n, issuer="public") for n in servers)))
    code = "internal-ca-recommended"
    several = [f for f in compared.findings_new if f.code == code]
    assert len(several) == 10
    texts = ["\n".join(format_report(build_comparison_report(compared), width=100))]
    texts += [
        write_report(build_comparison_report(compared), suffix).decode()
        for suffix in (".html", ".md")
    ]
    assert [text.count(several[0].title) for text in texts] == [1, 1, 1]


@pytest.mark.parametrize("suffix", COMPARISON_FILE.is_ours)
def test_every_format_contains_the_differences(compared, suffix, tmp_path):
    """In each format, the report contains the added name. Writing the report again produces the
    same bytes, and lyncnb recognizes its own file.
    """
    data = write_report(build_comparison_report(compared), suffix)
    assert data == write_report(build_comparison_report(compared), suffix)
    path = tmp_path / f"c{suffix}"
    path.write_bytes(data)
    check_output_path(path, COMPARISON_FILE)
    text = data.decode("utf-8-sig").replace("<wbr>", "")
    if suffix == ".svg":
        assert ET.fromstring(text).tag.endswith("svg")
        assert "± " in text
    else:
        assert "lyncdiscover.fabrikam.com" in text.replace("\\.", ".")
    if suffix == ".csv":
        rows = list(csv.reader(io.StringIO(text)))
        assert len(rows) == 1 + len([*compared.difference.changes])
    if suffix == ".json":
        assert json.loads(text)["summary"] == compared.summary


def test_lines_for_a_terminal(compared):
    """In a terminal, the report shows a summary line, counts, the first changes with their reasons,
    and the number of further changes.
    """
    lines = list(format_report(build_comparison_report(compared), width=100))
    assert repr(compared.difference) in lines
    assert "name added: lyncdiscover.fabrikam.com" in lines
    assert "Key changed: RSA 2048 -> RSA 4096" in lines
    assert sum(line.startswith("  why: ") for line in lines) == len(compared.difference.groups())
    lines = list(format_report(build_comparison_report(compared, max_shown=1), width=100))
    assert any(line.startswith("… and ") for line in lines)
