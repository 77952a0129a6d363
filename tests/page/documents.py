"""Create the documents of a planner page with CPython, for comparisons."""

from __future__ import annotations

from pathlib import Path

import lyncnb as ln
from lyncnb.page.session import DOCUMENTS
from lyncnb.reports.figures import KINDS
from lyncnb.reports.summary.formats import write_plan_table


def plan_of(table: Path, options: ln.PlanOptions | None = None) -> ln.CertificatePlan:
    """Return the plan of a table, as CPython creates it."""
    plan_options = options or ln.PlanOptions()
    return ln.plan_certificates(ln.read_topology(table), ln.load_rules(), options=plan_options)


def expected_documents(plan: ln.CertificatePlan) -> dict[str, bytes]:
    """Return the content that CPython writes for each document of a planner page."""
    findings = ln.check_plan(plan)
    return {
        kind: ln.figure(plan, kind).to_svg()
        if kind in KINDS
        else write_plan_table(plan, findings, kind)
        for kind in DOCUMENTS
    }
