"""Findings as the browser shows them: by code, each with what it means and its first places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..rules.findings import Finding
from ..rules.model import Rules

ITEMS_LISTED = 25


def finding_groups(
    findings: Iterable[Finding],
    rules: Rules,
    *,
    accepted: Mapping[str, str],
    servers: Mapping[str, str] | None = None,
) -> list[dict[str, object]]:
    """Put findings of one code together.

    Parameters
    ----------
    findings : iterable of Finding
        In the order to show them.
    rules : Rules
        Say what a code means.
    accepted : mapping of str to str
        By code, why it is accepted.
    servers : mapping of str to str, optional
        By what a finding is about, the server to go to.

    Returns
    -------
    list of dict
        One for each code, with the number of findings and the first 25 of them.
    """
    groups: dict[str, dict] = {}
    for finding in findings:
        if finding.code not in groups:
            rule = rules.checks[finding.code]
            groups[finding.code] = {
                "code": finding.code,
                "severity": finding.severity,
                "title": rule.title,
                "meaning": rule.meaning,
                "hint": finding.hint,
                "source": finding.source,
                "accepted": accepted.get(finding.code, ""),
                "count": 0,
                "items": [],
            }
        group = groups[finding.code]
        group["count"] += 1
        if len(group["items"]) < ITEMS_LISTED:
            about = finding.about or "the deployment"
            server = (servers or {}).get(finding.about, "")
            group["items"].append({"about": about, "message": finding.message, "server": server})
    return list(groups.values())
