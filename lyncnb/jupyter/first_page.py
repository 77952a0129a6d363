"""Move the plan to the first page of a shared notebook, and find the origin of its outputs.

If the outputs show several plans, number the plans.
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ..base.shown.origin import UNKNOWN, Origin, read_origin, read_source_date
from ..base.shown.tables import PLAN_ATTRIBUTE, find_shown_plans
from .notebook_files import Notebook

_HEADING = "The plan"
_SEE_ABOVE = '<p>The certificates are <a href="#The-plan">at the top of this page</a>.</p>'

_PLAN_START = re.compile(rf'<div {PLAN_ATTRIBUTE}="([0-9a-f]+)">')

# The beginning of the plan editor's output: the numbers of certificates, servers and findings.
_COUNTS = re.compile(rf'<div {PLAN_ATTRIBUTE}="([0-9a-f]+)">(<p>[^<]*</p>)')


def find_origin(notebook: Notebook) -> Origin:
    """Return the deployment, planner and table in the first output that contains them."""
    pages = (str(output["data"]["text/html"]) for output in _list_html_outputs(notebook))
    return next((origin for origin in map(read_origin, pages) if origin), UNKNOWN)


def find_date(notebook: Notebook, path: Path) -> str:
    """Return the date of the outputs in a notebook.

    It is ``SOURCE_DATE_EPOCH``, or the day on which the last cell ran, if the notebook records it,
    or the day on which the file was saved.
    """
    times = [
        str(time)
        for cell in notebook.cells
        for time in dict(cell.metadata.get("execution", {})).values()
        if re.match(r"\d{4}-\d\d-\d\d", str(time))
    ]
    saved = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return read_source_date() or (max(times)[:10] if times else f"{saved.date()}")


def number_plans(notebook: Notebook) -> None:
    """If the outputs of a notebook show several plans, write the number of its plan above each.

    Without the numbers, readers would think that all outputs show the same plan.
    """
    outputs = list(_list_html_outputs(notebook))
    shown = (find_shown_plans(str(output["data"]["text/html"])) for output in outputs)
    numbers = {plan: n for n, plan in enumerate(dict.fromkeys(itertools.chain(*shown)), 1)}
    if len(numbers) < 2:
        return
    for output in outputs:
        output["data"]["text/html"] = _PLAN_START.sub(
            lambda start: (
                f"<p>This output shows <strong>plan {numbers[start[1]]}</strong> of "
                f"{len(numbers)}.</p>\n{start[0]}"
            ),
            str(output["data"]["text/html"]),
        )


def move_plan_to_top(notebook: Notebook) -> None:
    """Move the table of planned certificates to the top of the notebook, below the title.

    A line with the counts is above the table. If the table has its own section, "The plan", the
    section is moved.
    """
    from nbformat.v4 import new_code_cell, new_markdown_cell

    cells = notebook.cells
    for output in _list_html_outputs(notebook):
        page = str(output["data"]["text/html"])
        plans = find_shown_plans(page)
        if not plans or read_origin(page) is None:
            continue
        counts = next(
            (text for digest, text in find_shown_counts(notebook) if digest == plans[0]), ""
        )
        first = copy.deepcopy(output)
        first["data"] = {"text/html": f"{counts}\n{page}"}
        heading = new_markdown_cell(f"## {_HEADING}", id="plan-heading")  # type: ignore[no-untyped-call]
        plan = new_code_cell("", outputs=[first], id="plan")  # type: ignore[no-untyped-call]
        index = next(i for i, cell in enumerate(cells) if output in cell.get("outputs", ()))
        before = cells[index - 1 : index]
        if before and before[0].source.startswith(heading.source) and not cells[index].outputs[1:]:
            heading, plan.source = before[0], cells[index].source
            del cells[index - 1 : index + 1]
        else:
            output["data"] = {"text/html": _SEE_ABOVE}
        has_title = bool(cells) and str(cells[0].source).startswith("# ")
        cells[has_title:has_title] = [heading, plan]
        return


def _list_html_outputs(notebook: Notebook) -> Iterator[Notebook]:
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "text/html" in output.get("data", {}):
                yield output


def find_shown_counts(notebook: Notebook) -> Iterator[tuple[str, str]]:
    """Yield the digest of each plan that an editor shows, and the paragraph with its numbers."""
    for output in _list_html_outputs(notebook):
        yield from _COUNTS.findall(str(output["data"]["text/html"]))
