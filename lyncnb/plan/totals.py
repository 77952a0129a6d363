"""Summarize a plan: its origin, and the numbers of certificates, servers, and findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date

from ..base.dns_name import DnsName
from ..base.shown.origin import Origin
from ..base.shown.tables import format_count, join_first_texts
from ..rules.findings import Finding, Findings
from ..rules.model import SEVERITIES, Rules
from .acceptances import mark_accepted_findings
from .model import CertificatePlan
from .options import PlanOptions, build_table_origin


def build_origin(
    plan: CertificatePlan, *, judged_on: date | None = None, made_on: str = ""
) -> Origin:
    """Return the origin of a document about a plan: deployment, planner, table, and dates.

    Parameters
    ----------
    plan : CertificatePlan
        The plan, with the table and options.
    judged_on : date, optional
        The evaluation date.
    made_on : str, optional
        The date of the document. The default is the date in ``SOURCE_DATE_EPOCH``, if set.
    """
    domains = tuple(map(str, plan.topology.sip_domains))
    return build_table_origin(
        plan.topology.source, plan.options, domains=domains, judged_on=judged_on, made_on=made_on
    )


def name_deployment(plan: CertificatePlan) -> str:
    """Return the title of the deployment in the options, or else the name of the table."""
    return plan.options.title or plan.topology.source


def explain_missing_certificate(rules: Rules, role: str) -> str:
    """Return why a server with a role has no certificate."""
    is_required = any(role == rule.role or role in rule.needed_by for rule in rules.certificates)
    if is_required:
        return "none: no data in the table requires a certificate for this server"
    return f"none: {rules.title} requires no certificate for this role"


def list_servers_without_certificate(plan: CertificatePlan) -> tuple[tuple[DnsName, str], ...]:
    """Return the servers without a certificate, each with its role."""
    served = {server for certificate in plan.certificates for server in certificate.servers}
    roles_by_server = {
        computer.fqdn: pool.role
        for pool, computer in plan.topology.computers
        if computer.fqdn not in served
    }
    return tuple(roles_by_server.items())


#: A finding that a user accepted. It is counted neither with its severity nor as a notice.
ACCEPTED = "accepted finding"


def count_findings(findings: Iterable[Finding], options: PlanOptions) -> dict[str, int]:
    """Return the number of findings by severity, with ``ACCEPTED`` after the errors."""
    if isinstance(findings, Findings):
        findings = mark_accepted_findings(findings, options)
    counts = Counter(ACCEPTED if item.accepted else item.severity for item in findings)
    error, *others = SEVERITIES
    return {kind: counts[kind] for kind in (error, ACCEPTED, *others)}


_NAMED = 10  # The largest number of servers that a sentence lists.


def format_totals(plan: CertificatePlan, findings: Iterable[Finding]) -> str:
    """Return a summary of a plan, its findings, and the servers without a certificate.

    Returns
    -------
    str
        A sentence, and two additional sentences if servers in the table have no certificate.
    """
    servers = {server for certificate in plan.certificates for server in certificate.servers}
    counts = count_findings(findings, plan.options)
    counted = ", ".join(
        format_count(number, kind) for kind, number in counts.items() if number or kind != ACCEPTED
    )
    text = (
        f"{format_count(len(plan.certificates), 'certificate')} for "
        f"{format_count(len(servers), 'server')}; findings: {counted}."
    )
    without = list_servers_without_certificate(plan)
    if not without:
        return text
    roles = Counter(explain_missing_certificate(plan.rules, role) for _, role in without)
    first_servers = join_first_texts([f"{server} ({role})" for server, role in without], _NAMED)
    reasons = "; ".join(reason.removeprefix("none: ") for reason in roles)
    need = "needs" if len(without) == 1 else "need"
    reasons = reasons.replace("this role", "its role" if len(without) == 1 else "their roles")
    return (
        f"{text} {format_count(len(without), 'further server')} {need} no certificate: "
        f"{first_servers}. Reason: {reasons}."
    )
