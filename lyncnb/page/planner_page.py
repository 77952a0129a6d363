"""Create the planner page for a plan: the table, the options, and the plan as a document."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..base.disk import files
from ..base.disk.outputs import OutputKind, match_page
from ..errors import PageError
from ..plan.model import CertificatePlan
from ..plan.options import PlanOptions
from ..plan.plan_toml import OPTIONS_FILE
from ..plan.scenarios import TOPOLOGY_FILE
from ..reports.summary.formats import write_plan_table
from ..rules.findings import Findings

#: The type of file that ``lyncnb page -o FILE.html`` writes.
PAGE_FILE = OutputKind(
    what="a planner page",
    is_ours={".html": match_page(b'<meta name="generator" content="lyncnb page">')},
)

_TITLE = "lyncnb planner"
_LARGEST = 1 << 28


def make_planner_page(
    built_page: Path,
    plan: CertificatePlan | None = None,
    findings: Findings | None = None,
    *,
    table: str = "",
    product: str = "",
) -> bytes:
    """Return the planner as one HTML file, with a plan or without one.

    Parameters
    ----------
    built_page : Path
        The built page.
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
        If the built page or a file cannot be read.
    """
    page = _read_file(built_page)
    if plan is None or findings is None:
        return _fill_page(page)
    is_file = Path(table).is_file()
    name = Path(table).name if is_file else TOPOLOGY_FILE
    opened = {name: _read_file(Path(table)) if is_file else plan.topology.to_csv()}
    if plan.options != replace(PlanOptions(), product=plan.rules.product) or product:
        opened[Path(name).with_suffix(f".{OPTIONS_FILE}").name] = plan.options.to_toml().encode()
    rules = Path(product).name if product.endswith(".toml") else ""
    if rules:
        opened[rules] = _read_file(Path(product))
    title = f"Plan of {plan.topology.source}"
    summary = write_plan_table(plan, findings, ".html").decode()
    return _fill_page(page, summary=summary, title=title, opened_files=opened, product=rules)


def _read_file(path: Path) -> bytes:
    return files.read_specified_file(path, limit=_LARGEST, error_class=PageError)


def _fill_page(
    page: bytes,
    *,
    summary: str = "",
    title: str = _TITLE,
    opened_files: Mapping[str, bytes] | None = None,
    product: str = "",
) -> bytes:
    """Insert the files and the summary of the plan into the planner page."""
    style = "\n".join(re.findall(r"<style>(.*?)</style>", summary, re.DOTALL)[:1])
    body = re.search(r"<body[^>]*>(.*)</body>", summary, re.DOTALL)
    contents = [
        {"name": name, "data": base64.b64encode(data).decode()}
        for name, data in (opened_files or {}).items()
    ]
    texts = {
        "title": html.escape(title),
        "style": style,
        "plan": body[1] if body else "",
        "files": escape_json({"files": contents, "product": product}),
    }
    parts = []
    for placeholder, text in texts.items():
        before, mark, page = page.partition(f"<!--lyncnb:{placeholder}-->".encode())
        if not mark:
            raise PageError("the built planner page is damaged", hint="run: lyncnb page --build")
        parts += [before, text.encode()]
    return b"".join([*parts, page])


def escape_json(value: object) -> str:
    """Return a value as JSON that cannot end the script element around it."""
    return json.dumps(value).replace("<", "\\u003c")
