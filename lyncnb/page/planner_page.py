"""Make the planner page of a plan: the table, its options, and the plan for readers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..base.disk import files
from ..errors import PageError
from ..plan.model import CertificatePlan
from ..plan.options import PlanOptions
from ..plan.plan_toml import OPTIONS_FILE
from ..plan.scenarios import TOPOLOGY_FILE
from ..reports.summary.formats import write_plan_table
from ..rules.findings import Findings
from .assemble import fill
from .runtime import find_runtime

_LARGEST = 1 << 28


def make_planner_page(
    plan: CertificatePlan | None = None,
    findings: Findings | None = None,
    *,
    table: str = "",
    product: str = "",
) -> bytes:
    """Return the planner as one HTML file, with a plan or without one.

    Parameters
    ----------
    plan : CertificatePlan, optional
        The plan that the page shows first.
    findings : Findings, optional
        The findings of the plan.
    table : str, optional
        The path of the plan's table, or of its scenario folder.
    product : str, optional
        The product, or the file with its rules.

    Raises
    ------
    PageError
        If the page is not built on this machine yet.
    """
    page = _read(find_runtime())
    if plan is None or findings is None:
        return fill(page)
    is_file = Path(table).is_file()
    name = Path(table).name if is_file else TOPOLOGY_FILE
    opened = {name: _read(Path(table)) if is_file else plan.topology.to_csv()}
    if plan.options != replace(PlanOptions(), product=plan.rules.product) or product:
        opened[Path(name).with_suffix(f".{OPTIONS_FILE}").name] = plan.options.to_toml().encode()
    rules = Path(product).name if product.endswith(".toml") else ""
    if rules:
        opened[rules] = _read(Path(product))
    title = f"Plan of {plan.topology.source}"
    summary = write_plan_table(plan, findings, ".html").decode()
    return fill(page, summary=summary, title=title, opened=opened, product=rules)


def _read(path: Path) -> bytes:
    return files.read_named(path, limit=_LARGEST, error=PageError)
