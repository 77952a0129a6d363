"""lyncnb sorts findings, writes them as text and as JSON, and limits the number that a list shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from lyncnb.rules.findings import Finding, Findings, group_findings, sort_findings

ONE = Finding(
    code="name-too-long",
    severity="error",
    about="fe01.contoso.com",
    message="the name has 65 characters",
    hint="Shorten it.",
    source="RFC 5280, 2008-05",
)


def test_a_finding_as_text_and_as_json():
    """In a terminal, a finding takes two lines. As JSON, it has every field except the reason."""
    assert ONE.to_text() == (
        "error: fe01.contoso.com: the name has 65 characters [name-too-long]\n  hint: Shorten it."
    )
    assert ONE.to_document() == {
        "code": "name-too-long",
        "severity": "error",
        "about": "fe01.contoso.com",
        "message": "the name has 65 characters",
        "hint": "Shorten it.",
        "source": "RFC 5280, 2008-05",
    }


def test_an_accepted_error_is_a_notice_with_its_reason():
    """An accepted error becomes a notice that needs no action, with the reason in its message."""
    accepted = ONE.accepted_because("a name of the lab")
    assert (accepted.severity, accepted.accepted) == ("notice", "a name of the lab")
    assert accepted.message == "the name has 65 characters (accepted: a name of the lab)"
    assert "Shorten" not in accepted.hint


def test_findings_are_sorted_without_duplicates():
    """Findings are sorted by severity, code, subject, and message, without duplicates."""
    warning = replace(ONE, severity="warning", code="a")
    other = replace(ONE, about="a.contoso.com")
    findings = sort_findings([warning, ONE, other, ONE], judged_on=date(2026, 11, 25))
    assert list(findings) == [other, ONE, warning]
    assert findings.has_errors
    assert not findings.of("warning").has_errors
    assert findings[1:].judged_on == date(2026, 11, 25)


def test_a_list_shows_the_count_and_sixty_findings():
    """In a terminal or a notebook cell, a list of findings shows the total number and the first
    sixty findings.
    """
    findings = Findings(tuple(replace(ONE, code=f"x{number}") for number in range(1000, 3000)))
    lines = repr(findings).splitlines()
    assert lines[0] == "Findings: 2,000 errors, 0 warnings, 0 notices"
    assert lines[1] == "error: the name has 65 characters"
    assert lines[-1] == "… and 1,940 more; to_frame() shows all findings"
    assert len(lines) == 62
    assert repr(Findings((ONE,))).splitlines()[0] == "Findings: 1 error, 0 warnings, 0 notices"


def test_a_finding_about_thirty_servers_is_one_with_a_count():
    """If many servers have the same finding, its entry shows at most three messages and five
    servers, and the total number of servers.
    """
    servers = [f"fe{number:02}.contoso.com" for number in range(30)]
    many = [replace(ONE, title="Too long", about=s, message=f"{s} has 65") for s in servers]
    (group,) = group_findings(many)
    assert group.words == (
        "Too long (30 findings): fe00.contoso.com has 65; fe01.contoso.com has 65; "
        "fe02.contoso.com has 65 and 27 more"
    )
    assert group.places.startswith("fe00.contoso.com, ")
    assert group.places.endswith("fe04.contoso.com and 25 more")
    assert repr(Findings(tuple(many))).count("\n") == 1
    assert Findings(tuple(many))._repr_html_().count("<tr>") == 2


def test_notices_about_one_subject_are_one_entry():
    """Several notices about the same subject are items of one entry, but errors are separate
    entries.
    """
    codes = ("caa-of-zones", "crl-distribution-point-not-assured", "names-become-public")
    notices = [replace(ONE, severity="notice", code=code, title=code) for code in codes]
    (group,) = group_findings(notices)
    assert (group.title, group.codes) == ("Before you order from a public CA", codes)
    assert [point.codes for point in group.points] == [(code,) for code in codes]
    assert [line[:2] for line in group.paragraph.splitlines()] == ["Be", "- ", "- ", "- "]
    assert [entry.subject for entry in group_findings(notices[:1])] == [""]
    assert len(group_findings(notices, is_by_subject=False)) == 3
    assert [
        entry.subject for entry in group_findings([replace(notices[0], severity="error"), ONE])
    ] == [
        "",
        "",
    ]


def test_thirty_servers_are_one_entry_for_a_terminal():
    """In a terminal, lyncnb shows the same message about many servers once. If the messages differ,
    lyncnb shows the messages for the first five servers.
    """
    servers = [replace(ONE, about=f"fe{number}.contoso.com") for number in range(10, 40)]
    (same,) = group_findings(servers)
    first_five = ", ".join(finding.about for finding in servers[:5])
    assert same.to_text().splitlines() == [
        f"error: {first_five} and 25 more: the name has 65 characters [name-too-long]",
        "  hint: Shorten it.",
    ]
    varied_findings = [
        replace(finding, title="Too long", message=f"{finding.about} is too long")
        for finding in servers
    ]
    (group,) = group_findings(varied_findings)
    head, *lines, more_line, hint = group.to_text().splitlines()
    assert head == "error: Too long (30 findings) [name-too-long]"
    assert lines == [f"  {finding.about}: {finding.message}" for finding in varied_findings[:5]]
    assert (more_line, hint) == (
        "  … and 25 more; --json lists all findings",
        "  hint: Shorten it.",
    )
    assert group_findings([ONE])[0].to_text() == ONE.to_text()
