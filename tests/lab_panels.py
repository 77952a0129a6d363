"""Open and use the panels in a notebook, for the browser tests and benchmarks."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from lab_driver import LabBrowser
from printing import axe_violations

EDITOR = """import lyncnb as ln
topology = ln.read_topology("{table}")
rules = ln.load_rules("lync2013")
editor = ln.PlanEditor(topology, rules)
editor"""
REQUESTS = """import lyncnb as ln
from lyncnb.widgets.request_panel import RequestPanel
plan = ln.plan_certificates(ln.read_topology("{table}"), ln.load_rules("lync2013"))
panel = RequestPanel(plan, "{folder}")
panel"""

# These functions slow down key generation, so that the page can react while it runs. 100 keys take
# about 8 s on two cores. HELD_REQUESTS also waits after the first key until the file FOLDER.go
# exists.
_SLOW = """from lyncnb.pki import keys
import time
from pathlib import Path
def take_time(parameters, make=keys.generate_key):
    {how}
    return make(parameters)
keys.generate_key = take_time
"""
SLOW_REQUESTS = _SLOW.replace("{how}", "time.sleep(0.1)") + REQUESTS
HELD_REQUESTS = (
    _SLOW.replace(
        "{how}",
        """while list(Path("{folder}", "csr").glob("*")) and not Path("{folder}.go").exists():
        time.sleep(0.05)""",
    )
    + REQUESTS
)
STATUS = """from datetime import date
from lyncnb.widgets.status_panel import StatusPanel
status = StatusPanel("{folder}", today=date(2026, 11, 24))
status"""


def table_of(count: int) -> str:
    """Return a table of single-server pools, with 500 pools in the site Tainan."""
    rows = ["server_fqdn,role,site,sip_domains"]
    rows += [
        f"m{n:05d}.contoso.com,Mediation,{'Tainan' if n < 500 else 'Taipei'},"
        + ("contoso.com" if not n else "")
        for n in range(count)
    ]
    return "\n".join(rows) + "\n"


def write_notebook(path: Path, *cells: str) -> None:
    """Write a notebook with the given code cells."""
    document = {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": f"cell{n}",
                "metadata": {},
                "outputs": [],
                "source": source,
            }
            for n, source in enumerate(cells)
        ],
        "metadata": {
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            }
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(document), encoding="utf-8")


def open_panel(lab: LabBrowser, folder: Path, *cells: str, name: str = "test.ipynb") -> None:
    """Create a notebook with the given code cells, open and run the notebook, and wait for the
    panel.
    """
    write_notebook(folder / name, *cells)
    lab.open_notebook(folder / name)
    lab.run_all()
    lab.page.locator(".lyncnb").first.wait_for(state="visible")


def open_editor(lab: LabBrowser, folder: Path, *sources: str, table: str = "small.csv") -> None:
    """Open a notebook that shows a plan editor for a table."""
    open_panel(lab, folder, EDITOR.format(table=table), *sources)
    lab.page.get_by_role("row").nth(2).wait_for()


def cell_of(lab: LabBrowser, server: str, column: str):
    """Find a cell in the role table by its server and column title."""
    grid = lab.page.locator(".lc-editor").get_by_role("grid")
    grid.get_by_role(
        "columnheader"
    ).first.wait_for()  # After the page is reloaded, the test opens the table again.
    heads = grid.get_by_role("columnheader").all_inner_texts()
    index = next(n for n, text in enumerate(heads) if text.strip(" ▲▼\n") == column)
    row = grid.get_by_role("row").filter(has=lab.page.get_by_label(f"Select {server}"))
    return row.get_by_role("gridcell").nth(index)


def set_cell(lab: LabBrowser, server: str, column: str, value: str) -> None:
    """Change a cell as a person does: double-click it, then choose or type a value."""
    cell_of(lab, server, column).dblclick()
    control = lab.page.get_by_label(f"{column} of {server}")
    if control.evaluate("e => e.tagName") == "SELECT":
        control.select_option(value)
    else:
        control.fill(value)
    control.press("Enter")


def kernel(lab: LabBrowser, expression: str) -> str:
    """Evaluate an expression in the kernel, outside the notebook, and return its value as text."""
    if not isinstance(lab, LabBrowser):  # In a planner page, Python runs in a web worker.
        return lab.kernel(expression)
    return lab.js(
        "const future = panel.sessionContext.session.kernel.requestExecute("
        "  {code: '', silent: true, store_history: false, user_expressions: {it: arg}});"
        "const reply = await future.done;"
        "const it = reply.content.user_expressions.it;"
        "return it.status === 'ok' ? it.data['text/plain'] : it.evalue;",
        f"str({expression})",
    ).strip("'\"")


def wait_kernel(lab: LabBrowser, expression: str, value: str) -> None:
    """Wait until an expression in the kernel has the given value, and the editor has sent its
    response.
    """
    end = time.monotonic() + lab.seconds
    while (result := kernel(lab, expression)) != value:
        assert time.monotonic() < end, f"{expression} is {result}, not {value}"
        time.sleep(0.1)
    if "editor." in expression and isinstance(lab, LabBrowser):
        # The editor first changes its state and then sends its response. The following call waits
        # for the response.
        kernel(lab, "exec('with editor.view.channel.turn: pass')")


@contextlib.contextmanager
def delay_answers(lab: LabBrowser, view: str) -> Iterator[None]:
    """Delay the responses of a panel until the end of the ``with`` block, as if its work took a
    long time.
    """
    go = lab.server.home / f"go-{secrets.token_hex(8)}"
    code = f"""
import threading, time
from pathlib import Path
is_held = threading.Event()
def hold():
    with {view}.channel.turn:
        is_held.set()
        while not Path({str(go)!r}).exists():
            time.sleep(0.02)
threading.Thread(target=hold, daemon=True).start()
is_held.wait()"""
    kernel(lab, f"exec({code!r}, {{**globals()}})")
    try:
        yield
    finally:
        go.touch()


def themes(lab: LabBrowser) -> Iterator[tuple[str, bool]]:
    """Select one theme after another. Yield the name of each theme, and whether it differs from the
    first theme only in its colors.
    """
    # axe-core treats text outside the body as hidden, and does not check its contrast. By default,
    # the body of JupyterLab has no height.
    lab.page.add_style_tag(content="body { min-height: 100vh }")
    for theme, only_colors in (("JupyterLab Dark", False), ("JupyterLab Light", True)):
        lab.command("apputils:change-theme", theme=theme)
        is_light = str(theme.endswith("Light")).lower()
        lab.page.wait_for_selector(f"[data-jp-theme-light={is_light}]", state="attached")
        yield theme, only_colors


def axe_in_both_themes(lab: LabBrowser) -> list[tuple[str, str, list[str]]]:
    """Run axe-core on the panels in the dark theme and then in the light theme."""
    return [
        (theme, *violation)
        for theme, only_colors in themes(lab)
        for violation in axe_violations(lab.page, inside=".lyncnb", only_colors=only_colors)
    ]
