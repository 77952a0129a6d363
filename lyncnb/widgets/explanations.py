"""What the browser asks about a plan under change: the why of names, findings, changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..base import tables
from ..plan.model import PlannedCertificate
from ..rules.findings import Finding
from ..rules.model import Rules
from .editing import CHANGE_COLUMNS, PlanEditing
from .saved_choices import change_rows

# Findings as the browser shows them: by code, each with what it means and its first places.

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


_ROWS_LISTED = 500
Message = dict[str, object]


def explain(editing: PlanEditing, ids: Iterable[int], *, total: int) -> Message:
    """Tell what some rows' servers get: each certificate, each name on it and why.

    Parameters
    ----------
    editing : PlanEditing
        The plan.
    ids : iterable of int
        Rows to explain; those that are gone are left out.
    total : int
        How many were chosen, where `ids` are only the first of them.
    """
    draft = editing.draft
    places = draft.places(ids)
    names = draft.server_names()
    servers = list(dict.fromkeys(str(names[place]) for place in places))
    found = editing.live.of_servers(servers)
    title = f"What {servers[0]} gets" if len(servers) == 1 else f"What {total:,} servers get"
    note = "" if total <= len(places) else f"The first {len(places)} of {total:,} servers."
    if not servers:
        title = "Choose a server to see what it gets"
    elif not found:
        note = "It needs no certificate." if len(servers) == 1 else "They need no certificate."
    why = _reasons(editing, servers)
    return {
        "type": "explain",
        "title": title,
        "note": note,
        "certificates": [_certificate(one, why.get(one.id, [])) for one in found],
        "findings": _findings_of(editing, servers, found),
    }


def _reasons(editing: PlanEditing, servers: Iterable[str]) -> dict[str, list[Message]]:
    """Explain the names on these servers' certificates, by certificate."""
    reasons: dict[str, list[Message]] = {}
    for server in servers:
        explained: dict[str, list[Message]] = {}
        for item in editing.plan.explain(server).names:
            explained.setdefault(item.certificate, []).append(
                {"name": item.name, "place": item.place, "why": item.why, "source": item.source}
            )
        reasons |= explained
    return reasons


def _certificate(certificate: PlannedCertificate, names: Sequence[Message]) -> Message:
    shared = {"pool": "one for the whole pool", "deployment": "one for the deployment"}
    owner = certificate.pool or "the deployment"
    if certificate.shared_by == "server":
        owner = certificate.servers[0]
    ca = f" ({certificate.ca})" if certificate.ca else ""
    return {
        "id": certificate.id,
        "title": ", ".join(certificate.usages) or certificate.role,
        "owner": owner,
        "subject": certificate.subject.to_rfc4514(),
        "key": f"{certificate.key}, {certificate.hash}",
        "issuer": f"{certificate.issuer}{ca}",
        "shared": shared.get(certificate.shared_by, ""),
        "names": names,
    }


def _findings_of(
    editing: PlanEditing, servers: Iterable[str], certificates: Iterable[PlannedCertificate]
) -> list[Message]:
    about = {c.id for c in certificates if c.shared_by != "deployment"} | {*servers}
    return [
        {"severity": f.severity, "message": f.message, "hint": f.hint}
        for f in editing.findings
        if f.about in about
    ]


def findings(editing: PlanEditing) -> Message:
    """Tell every finding by code, each with a server to go to where it has one."""
    servers = {c.id: c.servers[0] for c in editing.plan.certificates if c.servers}
    servers.update((name, name) for name in map(str, editing.draft.server_names()))
    groups = finding_groups(
        editing.findings, editing.rules, accepted=editing.options.accepted, servers=servers
    )
    return {"type": "findings", "groups": groups}


def changes(editing: PlanEditing) -> Message:
    """Tell what changed against the loaded file, 500 rows at most."""
    draft = editing.draft
    rows = change_rows(draft.loaded, draft.state)
    shown = [list(map(tables.cell_text, row)) for row in rows[:_ROWS_LISTED]]
    return {
        "type": "changes",
        "title": f"Changed against {editing.topology.source}",
        "headings": list(CHANGE_COLUMNS),
        "rows": shown,
        "note": "" if len(rows) <= _ROWS_LISTED else tables.left_out(len(shown), len(rows)),
    }
