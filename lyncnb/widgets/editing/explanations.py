"""Explain an edited plan: the reasons for its names, its findings, and the changes to it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from ...base.shown import tables
from ...base.shown.languages import make_translator
from ...checks.check_plan import choose_evaluation_date
from ...checks.fix_plan import describe_edit
from ...plan.acceptances import describe_acceptance_limits, is_acceptance_expired
from ...plan.model import REASON_COLUMNS, CertificatePlan, PlannedCertificate
from ...reports.compare import CHANGES, PlanDifference
from ...reports.find_causes import find_causes
from ...reports.summary.content import Summary
from ...rules.ca_rules import load_ca_rules
from ...rules.findings import Edit, Finding
from ...rules.model import NOT_DOCUMENTED, Fact, NameRule
from ...rules.returned_rules import list_all_checks
from ...topology.columns import list_topology_columns
from .choices import CHANGE_COLUMNS, list_change_rows
from .draft import find_heading
from .edits import RowId
from .messages import (
    Changes,
    EditorFindings,
    Effects,
    Explanation,
    FindingGroup,
    FindingItem,
    Reasons,
    RuleReason,
    ServerCertificate,
    ServerFinding,
    ServerName,
)
from .plan_editing import PlanEditing
from .plan_views import combine_names, find_title, join_few

# The page groups findings by code. Each group shows the meaning of the code and the first
# locations.

ITEMS_LISTED = 25
_NAME = re.compile(r"[\w*-]+(?:\.[\w-]+)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """The ID and role of the table row that a finding concerns."""

    row: int
    role: str


def build_finding_items(
    findings: Iterable[Finding],
    plan: CertificatePlan,
    *,
    acceptance_reasons: Mapping[str, str],
    acceptance_limits: Mapping[str, str],
    expired_codes: Container[str],
    is_open: Callable[[Finding], bool],
    table_rows: Mapping[str, Place] | None = None,
) -> list[FindingGroup]:
    """Group findings by code for the list in the editor.

    Parameters
    ----------
    findings : iterable of Finding
        The findings in display order.
    plan : CertificatePlan
        The plan. Its rules explain the codes. Its certificates contain the names in messages.
    acceptance_reasons, acceptance_limits : mapping of str to str
        By code: the reason for the acceptance, and a description of its limits or "".
    expired_codes : container of str
        Codes whose acceptance has expired.
    is_open : callable
        A function that returns whether a finding is not accepted.
    table_rows : mapping of str to Place, optional
        The row to open for a finding, by the subject of the finding.

    Returns
    -------
    list of dict
        One group for each code, with the number of findings and the first 25 findings.
    """
    groups: dict[str, FindingGroup] = {}
    lang = plan.options.lang
    for finding in findings:
        if finding.code not in groups:
            localized = finding.in_language(lang)
            rule = list_all_checks(plan.rules)[finding.code]
            groups[finding.code] = {
                "code": finding.code,
                "severity": finding.severity,
                "title": localized.title or rule.title,
                "subject": load_ca_rules().groups_by_code.get(finding.code, ""),
                "meaning": replace_column_names(rule.meaning, lang),
                "hint": replace_column_names(localized.hint, lang),
                "source": finding.source,
                "accepted": acceptance_reasons.get(finding.code, ""),
                "limits": acceptance_limits.get(finding.code, ""),
                "over": finding.code in expired_codes,
                "count": 0,
                "open": 0,
                "fixes": [],
                "items": [],
            }
        group = groups[finding.code]
        group["count"] += 1
        group["open"] += is_open(finding)
        if len(group["fixes"]) < ITEMS_LISTED:
            group["fixes"] += _describe_edits(finding.edits, plan)
        if len(group["items"]) < ITEMS_LISTED:
            item = _make_item(finding, (table_rows or {}).get(finding.about), lang)
            item["choices"] = ["; ".join(_describe_edits(edits, plan)) for edits in finding.choices]
            group["items"].append(item)
    _add_names([item for group in groups.values() for item in group["items"]], plan)
    return list(groups.values())


def _make_item(finding: Finding, table_row: Place | None, lang: str) -> FindingItem:
    column = find_column(finding, table_row.role) if table_row else ""
    localized, translate = finding.in_language(lang), make_translator(lang)
    return {
        "about": finding.about or translate("the deployment"),
        "message": replace_column_names(localized.message, lang),
        "names": [],
        "row": table_row.row if table_row else None,
        "column": column,
        "heading": translate(find_heading(column)) if column else "",
        "choices": [],
    }


def _describe_edits(edits: Iterable[Edit], plan: CertificatePlan) -> list[str]:
    lang = plan.options.lang
    return [replace_column_names(describe_edit(edit, plan.topology), lang) for edit in edits]


def _add_names(items: Sequence[FindingItem], plan: CertificatePlan) -> None:
    """Add to each finding the certificate names in its message, which the page shows as links."""
    spoken = [set(_NAME.findall(item["message"])) for item in items]
    all_names = set().union(*spoken)
    planned = {
        str(name)
        for certificate in plan.certificates
        for name in (certificate.subject.common_name, *certificate.names)
        if name in all_names
    }
    for item, names in zip(items, spoken, strict=True):
        item["names"] = sorted(names & planned)


def replace_column_names(text: str, lang: str = "en") -> str:
    """Replace the column names in a text with the table's headings in the given language."""
    translate = make_translator(lang)
    return _list_column_names().sub(lambda match: f"“{translate(find_heading(match[0]))}”", text)


def find_column(finding: Finding, role: str) -> str:
    """Return the column to change: the first column in a finding's text that the role uses."""
    known = {column.name: column for column in list_topology_columns()}
    names_by_title = {column.title.lower(): column.name for column in list_topology_columns()}
    spoken = _build_column_pattern().findall(f"{finding.message} {finding.hint}")
    columns = (names_by_title.get(words.lower(), words) for words in spoken)
    return next((name for name in columns if known[name].is_used_by(role)), "")


# "role" and "site" are also ordinary English words. In a text, they mean columns only if they are
# written as headings.


@cache
def _list_column_names() -> re.Pattern[str]:
    return _build_words_pattern(
        column.name for column in list_topology_columns() if "_" in column.name
    )


@cache
def _build_column_pattern() -> re.Pattern[str]:
    columns = list_topology_columns()
    headings = (column.title for column in columns if " " in column.title)
    return _build_words_pattern(
        itertools.chain((c.name for c in columns if "_" in c.name), headings)
    )


def _build_words_pattern(words: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b", re.IGNORECASE)


_ROWS_LISTED = 500


def explain_servers(editing: PlanEditing, *, ids: tuple[RowId, ...], total: int) -> Explanation:
    """Return the certificates of the servers in some rows, with their names and the reasons.

    Parameters
    ----------
    editing : PlanEditing
        The editor with the plan.
    ids : tuple of int
        The IDs of the rows to explain. Removed rows are left out.
    total : int
        The number of selected rows. It is larger if `ids` contains only the first rows.
    """
    indices = editing.find_row_indices(ids)
    names = editing.texts("server_fqdn")
    left_out = {*editing.topology.left_out}
    servers = list(dict.fromkeys(str(names[i]) for i in indices if i not in left_out))
    certificates = editing.live.list_server_certificates(servers)
    title = f"Certificates of {servers[0] if len(servers) == 1 else f'{total:,} servers'}"
    note = (
        "" if total <= len(indices) else f"Showing the first {len(indices)} of {total:,} servers."
    )
    if indices and not servers:
        title = f"The plan leaves out {tables.format_count(len(indices), 'selected row')}"
        note = editing.topology.describe_rejected()
    elif not servers:
        title = "Select a server to see its certificates"
    elif not certificates:
        is_single = len(servers) == 1
        note = (
            "This server needs no certificate."
            if is_single
            else "These servers need no certificate."
        )
    reasons = _list_reasons(editing, servers)
    return {
        "type": "explain",
        "title": title,
        "note": note,
        "certificates": [
            _build_certificate(item, reasons.get(item.id, [])) for item in certificates
        ],
        "findings": _list_findings(editing, servers, certificates),
    }


def _list_reasons(editing: PlanEditing, servers: Iterable[str]) -> dict[str, list[ServerName]]:
    """Return the names on the servers' certificates with their reasons, grouped by certificate."""
    reasons: dict[str, list[ServerName]] = {}
    for server in servers:
        explained: dict[str, list[ServerName]] = {}
        for item in editing.plan.explain(server).names:
            explained.setdefault(item.certificate, []).append(
                {"name": item.name, "place": item.place, "why": item.why, "source": item.source}
            )
        reasons |= explained
    return reasons


def _build_certificate(
    certificate: PlannedCertificate, names: Sequence[ServerName]
) -> ServerCertificate:
    shared = {
        "pool": "one certificate for the pool",
        "deployment": "one certificate for the deployment",
    }
    ca = f" ({certificate.ca})" if certificate.ca else ""
    return {
        "id": certificate.id,
        "title": ", ".join(certificate.usages) or certificate.role,
        "owner": certificate.owner,
        "subject": certificate.subject.to_rfc4514(),
        "key": f"{certificate.key}, {certificate.hash}",
        "issuer": f"{certificate.issuer}{ca}",
        "shared": shared.get(certificate.shared_by, ""),
        "names": names,
    }


def _list_findings(
    editing: PlanEditing, servers: Iterable[str], certificates: Iterable[PlannedCertificate]
) -> list[ServerFinding]:
    subjects = {c.id for c in certificates if c.shared_by != "deployment"} | {*servers}
    lang = editing.options.lang
    return [
        {
            "severity": f.severity,
            "message": replace_column_names(localized.words, lang)
            + ("" if editing.live.is_open(f) else " (accepted)"),
            "hint": replace_column_names(localized.hint, lang),
        }
        for f in editing.findings
        if f.about in subjects
        for localized in (f.in_language(lang),)
    ]


def list_findings(editing: PlanEditing) -> EditorFindings:
    """Return all findings, grouped by code. Findings about a server include its table row."""
    options, day = editing.options, choose_evaluation_date(editing.plan)
    groups = build_finding_items(
        editing.findings,
        editing.plan,
        acceptance_reasons=options.accepted,
        acceptance_limits={
            code: describe_acceptance_limits(code, options) for code in options.accepted
        },
        expired_codes={
            code for code in options.accepted if is_acceptance_expired(code, options, day=day)
        },
        is_open=editing.live.is_open,
        table_rows=_find_rows(editing),
    )
    return {"type": "findings", "groups": groups}


def _find_rows(editing: PlanEditing) -> dict[str, Place]:
    """Return the table row and the role of each server, by name, and of each certificate, by ID."""
    state = editing.state
    role_index = state.topology.columns.index("role")
    rows: dict[tuple[str, str], Place] = {}
    table_rows: dict[str, Place] = {}
    names = editing.texts("server_fqdn")
    for row_id, row, name in zip(state.ids, state.topology.cells, names):
        table_row = Place(row_id, row[role_index])
        rows.setdefault((str(name), row[role_index]), table_row)
        table_rows.setdefault(str(name), table_row)
    for certificate in editing.plan.certificates:
        if certificate.servers:
            server = certificate.servers[0]
            row_place = rows.get((server, certificate.role)) or table_rows.get(server)
            if row_place is not None:
                table_rows[certificate.id] = row_place
    return table_rows


_MOST_WITH_CAUSES = 20_000
_EFFECTS = ("Change", "Of", "Type", "Before", "After", "Why")


def list_changes(editing: PlanEditing) -> Changes:
    """Return the changes since the file was loaded: first the effects, then the changed cells.

    At most 200 groups of effects and 500 cells are listed. If the plan has at most 20,000
    certificates, each effect names the cell or option that causes it.
    """
    difference = editing.effects()
    if len(editing.plan.certificates) <= _MOST_WITH_CAUSES:
        # For 1,000 certificates and one changed option, finding the causes takes 0.05 seconds.
        difference = find_causes(difference)
    rows = list_change_rows(editing.loaded, editing.state)
    listed_rows = [list(map(tables.format_cell, row)) for row in rows[:_ROWS_LISTED]]
    return {
        "type": "changes",
        "title": "Changes since the table was loaded",
        "headings": list(CHANGE_COLUMNS),
        "rows": listed_rows,
        "note": ""
        if len(rows) <= _ROWS_LISTED
        else tables.describe_shown_rows(len(listed_rows), len(rows)),
        "effects": list_effects(difference),
    }


def list_effects(difference: PlanDifference) -> Effects:
    """Return the certificates and names that are added, removed or requested again, and why.

    If the causes are known, each entry includes the cell, row or option that causes it.
    """
    groups = difference.groups()
    has_causes = any(group.cause for group in groups)
    rows = [
        (
            group.change if group.change != "changed" else f"{group.what} changed",
            group.owners,
            group.usages,
            group.names if group.change == "certificate removed" else group.before,
            group.names if group.change == "certificate added" else group.after,
            *((group.cause,) if has_causes else ()),
            group.why,
        )
        for group in groups[: tables.ROWS_SHOWN]
    ]
    parts = [f"{len(difference.of(kind)):,} {words}" for kind, words in CHANGES.items()
            if difference.of(kind)]  # fmt: skip
    counts = ", ".join(map(str, difference.counts))
    words = f"Certificates: {', '.join(parts)}. {counts}." if parts else "No certificate changes."
    return {
        "words": words,
        "title": "Effects on certificates and names",
        "headings": [*_EFFECTS[:-1], *(("Cause",) if has_causes else ()), _EFFECTS[-1]],
        "rows": [[tables.format_cell(cell) for cell in row] for row in rows],
        "note": ""
        if len(groups) == len(rows)
        else tables.describe_shown_rows(len(rows), len(groups)),
    }


# -- The following functions explain a name or a request that the user selects in a panel.

_SERVERS_NAMED = 12
_PLACES_LISTED = 12


@dataclass(slots=True)
class _RuleUses:
    """The certificates that contain names from one rule. Each pool and usage is counted once."""

    names: dict[str, None] = field(default_factory=dict)
    places: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    servers: dict[str, None] = field(default_factory=dict)

    def add(self, name: str, certificate: PlannedCertificate) -> None:
        """Record that a certificate contains a name that the rule adds."""
        self.names[name] = None
        key = (certificate.pool or certificate.id, find_title(certificate), certificate.issuer)
        self.places.setdefault(key, []).append(certificate.owner)
        self.servers.update(dict.fromkeys(map(str, certificate.servers)))


def explain_name(plan: CertificatePlan, name: str) -> Reasons:
    """Return why a name is needed: the rules that add it, the certificates and their purpose.

    Parameters
    ----------
    plan : CertificatePlan
        The plan with n certificates.
    name : str
        The name as it appears on certificates.

    Returns
    -------
    dict
        One reason for each rule that adds the name, or a note if no certificate contains it.
    """
    rules = _find_certificates(plan, ((certificate, name) for certificate in plan.certificates))
    note = "" if rules else "No certificate in the plan contains this name."
    return _build_message(name, note, rules, plan.rules.names)


def explain_request(plan: CertificatePlan, request_id: str) -> Reasons:
    """Return the reasons for all names on one certificate, grouped by rule."""
    name_pairs = (
        (certificate, str(name))
        for certificate in plan.certificates
        if certificate.id == request_id
        for name in dict.fromkeys((certificate.subject.common_name, *certificate.names))
    )
    rules = _find_certificates(plan, name_pairs)
    note = "" if rules else "This certificate is no longer in the plan."
    return _build_message(f"Names on {request_id}", note, rules, plan.rules.names)


def explain_recorded_request(
    summary: Summary | None,
    names: Mapping[str, NameRule],
    request_id: str,
    unrecorded_names: Iterable[str],
) -> Reasons:
    """Return the recorded reasons for all names on one request, from the folder's summary.

    Parameters
    ----------
    summary : Summary or None
        The summary of the folder, or None if there is none.
    names : mapping of str to NameRule
        The name rules of the folder's product, by ID.
    request_id : str
        The ID of the request.
    unrecorded_names : iterable of str
        The recorded names of the request. They are used if no reason is recorded.
    """
    title = f"Names on {request_id}"
    for block, member in summary.members if summary else ():
        if member.id != request_id:
            continue
        rules: dict[str, _RuleUses] = {}
        for group in block.names:
            for rule in group.rules:
                uses = rules.setdefault(rule, _RuleUses())
                uses.names.update(dict.fromkeys(group.names or member.servers))
                uses.servers.update(dict.fromkeys(member.servers))
        return _build_message(title, "", rules, names)
    names_text = join_few([*unrecorded_names], _SERVERS_NAMED) or "none"
    note = f"The folder does not record why the request contains these names: {names_text}."
    return _build_message(title, note, {}, names)


def _find_certificates(
    plan: CertificatePlan, certificate_names: Iterable[tuple[PlannedCertificate, str]]
) -> dict[str, _RuleUses]:
    rules: dict[str, _RuleUses] = {}
    for certificate, name in certificate_names:
        for rule in _find_rules(plan, certificate, name):
            rules.setdefault(rule, _RuleUses()).add(name, certificate)
    return rules


def _find_rules(plan: CertificatePlan, certificate: PlannedCertificate, name: str) -> Iterator[str]:
    is_alternative = False
    for entry in certificate.subject_alt_name:
        if entry.name == name:
            is_alternative = True
            yield from entry.reasons
    if not is_alternative and name and certificate.subject.common_name == name:
        yield from (
            rule.subject_name for rule in plan.rules.certificates if rule.id == certificate.rule
        )


def _build_message(
    title: str, note: str, rules: Mapping[str, _RuleUses], names: Mapping[str, NameRule]
) -> Reasons:
    reasons = [_build_reason(names[rule], uses) for rule, uses in rules.items() if rule in names]
    missing_rules = [rule for rule in rules if rule not in names]
    # The request folder may contain the IDs of rules that a later version of lyncnb removed.
    if missing_rules:
        note = (
            "The request was created with rules that this version of lyncnb does not have: "
            f"{', '.join(missing_rules)}."
        )
    return {"type": "reasons", "title": title, "note": note, "reasons": reasons}


def _build_reason(rule: NameRule, uses: _RuleUses) -> RuleReason:
    facts = (Fact(says=rule.why, source=rule.source), rule.clients, rule.without)
    owner_texts = [
        f"{join_few(combine_names(dict.fromkeys(owners)))} ({use}, {issuer} CA)"
        for (_, use, issuer), owners in uses.places.items()
    ]
    hidden_count = len(owner_texts) - _PLACES_LISTED
    return {
        "rule": rule.id,
        "names": [*uses.names],
        "facts": [
            {
                "heading": heading,
                "says": fact.says if fact else NOT_DOCUMENTED,
                "source": fact.source if fact else "",
            }
            for heading, fact in zip(REASON_COLUMNS, facts, strict=True)
        ],
        "places": owner_texts[:_PLACES_LISTED]
        + ([f"and {hidden_count:,} more"] if hidden_count > 0 else []),
        "servers": join_few(combine_names(uses.servers), _SERVERS_NAMED),
    }
