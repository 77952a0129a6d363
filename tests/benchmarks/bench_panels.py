"""Measure how long a planner waits for the panels, both in the kernel and on screen. This benchmark
is run manually.

    python tests/benchmarks/bench_panels.py kernel --rows 10000
    python tests/benchmarks/bench_panels.py screen --rows 10000
    python tests/benchmarks/bench_panels.py export --rows 10000 --requests 300

``kernel`` measures the answer to a message without a browser. ``screen`` controls JupyterLab in
Chromium and uses the page's clock: from the end of reading to the visible rows, to all rows and to
the findings, from a click to the new counts, and from Ctrl+V to the pasted rows. ``export``
measures changes in the editor while the same kernel writes requests. The medians and the slowest of
the rounds are printed, in milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench_planning import write_table

sys.path.insert(0, str(Path(__file__).parents[1]))

LIMITS = {
    "kernel one role": 35,
    "screen one role": 100,
    "screen bulk": 500,
    "screen shown 10000": 200,
    "screen shown 100000": 1100,
    "screen all rows 100000": 1100,
    "screen paste 1000": 500,
    "export other": 300,
}


def show(name: str, seconds: list[float]) -> None:
    """Print the median, the slowest time, and the limit, if there is a limit."""
    limit = LIMITS.get(name)
    print(
        f"{name:24} median {statistics.median(seconds) * 1000:7.0f} ms"
        f"   slowest {max(seconds) * 1000:7.0f} ms" + (f"   limit {limit} ms" if limit else "")
    )


def kernel(rows: int, rounds: int) -> None:
    """Measure how long the editor's panel takes to answer messages without a browser."""
    import lyncnb as ln

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "topology.csv"
        write_table(path, rows)
        topology = ln.read_topology(path)
    rules = ln.load_rules("lync2013")
    editor_start = time.perf_counter()
    editor = ln.PlanEditor(topology, rules)
    view = editor.view
    show("kernel editor made", [time.perf_counter() - editor_start])
    view.channel.send = lambda *_: None

    def say(kind: str, **fields: object) -> float:
        start = time.perf_counter()
        view._receive(view, {"type": kind, **fields}, [])
        return time.perf_counter() - start

    show("kernel all rows", [say("ready") for _ in range(rounds)])
    alone = [
        computer.row
        for pool, computer in topology.computers
        if len(pool.computers) == 1 and pool.role == "StandardEdition"
    ]
    role = {"kind": "edit", "column": "role"}
    show(
        "kernel one role",
        [say(**role, ids=[row], value="Director") for row in alone[: 2 * rounds]],
    )
    show("kernel undo", [say("undo") for _ in range(rounds)])
    everything = list(range(rows))
    for column, values in (("target_os", ("2016", "2019")), ("role", ("Mediation", "SBA"))):
        times = [
            say("edit", ids=everything, column=column, value=values[n % 2]) for n in range(rounds)
        ]
        show(f"kernel bulk {column}", times)
    show(
        "kernel option",
        [say("option", name="wildcard", value=str(n % 2 == 0).lower()) for n in range(rounds)],
    )


EDITOR = """import time
import lyncnb as ln
topology = ln.read_topology("topology.csv")
rules = ln.load_rules("lync2013")
ln.PlanEditor  # its import is not what is timed"""
SHOW = """began = time.time()
editor = ln.PlanEditor(topology, rules)
editor"""
# The times at which the page first shows a row, all rows and the findings. The kernel and the page
# use the clock of the same machine.
WATCH_ROWS = """() => { const says = (selector) => document.querySelector(selector)?.textContent;
  const wanted = {shown: () => says('.lc-servers .lc-body .lc-row .lc-text'),
    whole: () => says('.lc-count')?.endsWith(' shown'),
    told: () => says('.lc-live')?.includes(' error')};
  for (const [name, is] of Object.entries(wanted)) {
    window[name] = 0;
    const watcher = new MutationObserver(() => {
      if (window[name] || !is()) return;
      watcher.disconnect();
      requestAnimationFrame(() => { window[name] = Date.now() / 1000; });
    });
    watcher.observe(document.body, {subtree: true, childList: true, characterData: true});
  } }"""
# Click, and wait until a text appears. The browser paints the text after two frames.
TIMED = """async ([press, selector, words]) => {
  const begin = performance.now();
  const has = () => [...document.querySelectorAll(selector)].some(e => e.textContent.includes(words));
  if (typeof press === 'string') document.querySelector(press).click();
  else { const [name, value] = press; const control = document.querySelector(name);
    control.value = value; control.dispatchEvent(new Event('change', {bubbles: true})); }
  while (!has()) {
    if (performance.now() - begin > 20000)
      throw new Error('no answer: ' + document.querySelector('.lyncnb').innerText.slice(0, 400));
    await new Promise(done => setTimeout(done, 1)); }
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  const seen = performance.now();
  while (document.querySelector('.lc-live').textContent.includes('checking'))
    await new Promise(done => setTimeout(done, 1));
  return [(seen - begin) / 1000, (performance.now() - begin) / 1000]; }"""


# Measure the time from pasting until the page shows the number of new rows, and until the browser
# has painted these rows.
WATCH_PASTE = """(words) => { window.pasted = 0;
  document.addEventListener('paste', () => { window.pressed = performance.now(); }, {capture: true, once: true});
  const watcher = new MutationObserver(() => {
    if (![...document.querySelectorAll('.lc-count')].some(e => e.textContent.includes(words))) return;
    watcher.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => {
      window.pasted = (performance.now() - window.pressed) / 1000; }));
  });
  watcher.observe(document.querySelector('.lc-editor'), {subtree: true, childList: true, characterData: true}); }"""


def open_editor(lab, folder: Path, rows: int, rounds: int) -> dict[str, list[float]]:
    """Open the editor in a new cell several times, and return how many seconds it takes to show its
    rows.

    The result has the names of the times: until the first row, all rows, and the findings.
    """
    from lab_panels import write_notebook

    write_notebook(folder / "bench.ipynb", EDITOR, SHOW)
    lab.open_notebook("bench.ipynb")
    seconds: dict[str, list[float]] = {"shown": [], "whole": [], "told": []}
    for n in range(rounds):
        lab.command("notebook:run-cell-and-select-next") if not n else None
        lab.wait_idle()
        lab.page.evaluate(WATCH_ROWS)
        lab.js("panel.content.activeCellIndex = 1;")
        lab.command("notebook:run-cell")
        lab.page.wait_for_function("() => window.shown && window.whole && window.told")
        lab.wait_idle()
        began = float(ask(lab, "began"))
        for name, times in seconds.items():
            times.append(lab.page.evaluate(f"window.{name}") - began)
    return seconds


def ask(lab, expression: str) -> str:
    """Evaluate an expression in the kernel, and return the result as text."""
    from lab_panels import kernel as ask_kernel

    return ask_kernel(lab, expression)


def change_role(lab, rounds: int) -> list[float]:
    """Change the role of one server with the toolbar for selected servers, which sends the same
    message as editing a cell.
    """
    lab.page.get_by_label("Column to set").select_option("role")
    times = []
    for n in range(rounds):
        value = ("Director", "StandardEdition")[n % 2]
        lab.page.get_by_label("New Role").select_option(value)
        words = f"Role of {ask(lab, 'editor.alone')}: {value}"
        times.append(press(lab, ".lc-bulk .lc-primary", ".lc-top button", words)[0])
    return times


def press(lab, selector: str, result_selector: str, words: str) -> tuple[float, float]:
    """Click a button, and return the seconds until the new counts appear and until the findings
    appear.
    """
    return lab.page.evaluate(
        TIMED.replace("e.textContent.includes(words)", "e.title.includes(words)"),
        [selector, result_selector, words],
    )


def screen(rows: int, rounds: int) -> None:
    """Measure the waiting times of a planner in JupyterLab."""
    from lab_driver import LabBrowser, LabServer

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder / "topology.csv", rows)
        with LabServer(folder) as server, LabBrowser(server, seconds=120) as lab:
            opened = open_editor(lab, folder, rows, rounds)
            show(f"screen shown {rows}", opened["shown"])
            show(f"screen all rows {rows}", opened["whole"])
            show("screen findings", opened["told"])
            select_server_of_single_server_pool(lab)
            show("screen one role", change_role(lab, 2 * rounds))
            lab.page.get_by_label("Filter servers").fill("")
            start = time.perf_counter()
            lab.page.get_by_label("Select all visible rows").check()
            show("screen select all", [time.perf_counter() - start])
            lab.page.get_by_label("Column to set").select_option("target_os")
            times = []
            for n in range(rounds):
                value = ("2016", "2019")[n % 2]
                lab.page.get_by_label("New Target OS").select_option(value)
                words = f"servers: {value}"
                times.append(press(lab, ".lc-bulk .lc-primary", ".lc-top button", words))
            show("screen bulk", [seen for seen, _ in times])
            show("screen bulk checked", [checked for _, checked in times])
            lab.button("Clear selection").click()
            show("screen paste 1000", paste(lab, rows, rounds))
            print(lab.errors() or "no error in the browser")


def paste(lab, rows: int, rounds: int) -> list[float]:
    """Paste the unchanged last row and 1,000 new servers below it, as if they were copied from a
    spreadsheet.
    """
    lab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lines = [ask(lab, "'|'.join(editor.topology.cells[-1][:2])").replace("|", "\t")]
    lines += [f"n{n:04}.contoso.com\tMediation" for n in range(1000)]
    lab.page.evaluate("text => navigator.clipboard.writeText(text)", "\n".join(lines))
    times = []
    for _ in range(rounds):
        lab.page.evaluate(WATCH_PASTE, f"{rows + 1000:,} servers shown")
        lab.page.get_by_role("grid", name="Servers in the topology").focus()
        for key in ("Control+End", "Home", "Control+v"):
            lab.page.keyboard.press(key)
        lab.page.wait_for_function("() => window.pasted > 0")
        times.append(lab.page.evaluate("window.pasted"))
        lab.page.wait_for_function(
            "() => !document.querySelector('.lc-live').textContent.includes('checking')"
        )
        lab.button("Undo").click()
        lab.page.get_by_text(f"{rows:,} of {rows:,} servers shown").wait_for()
    return times


def select_server_of_single_server_pool(lab) -> None:
    """Select a server that is the only server in its pool."""
    ask(
        lab,
        "setattr(editor, 'alone', next(str(c.fqdn) for p, c in editor.topology.computers"
        " if len(p.computers) == 1 and p.role == 'StandardEdition'))",
    )
    server = ask(lab, "editor.alone")
    lab.page.get_by_label("Filter servers").fill(server)
    lab.page.get_by_label(f"Select {server}").check()


REQUESTS = """from lyncnb.widgets.request_panel import RequestPanel
few = ln.PlanEditor(topology, rules).plan
from dataclasses import replace
few = replace(few, certificates=few.certificates[:{count}])
panel = RequestPanel(few, "requests", accept={{f.code: "measured" for f in ln.check_plan(few)}})
panel.start("correct horse battery")"""


def export(rows: int, rounds: int, requests: int) -> None:
    """Measure how long changes in the editor take while the same kernel writes requests."""
    from lab_driver import LabBrowser, LabServer

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder / "topology.csv", rows)
        with LabServer(folder) as server, LabBrowser(server, seconds=120) as lab:
            open_editor(lab, folder, rows, 1)
            select_server_of_single_server_pool(lab)
            lab.js(
                "const it = panel.sessionContext.session.kernel.requestExecute({code: arg});"
                " await it.done;",
                REQUESTS.format(count=requests),
            )
            times = change_role(lab, 3 * rounds)
            print(ask(lab, "panel.job.state"))
            show("export other", times)


def main() -> None:
    """Parse the command line, and run the selected benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=["kernel", "screen", "export"])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=300)
    arguments = parser.parse_args()
    if arguments.what == "kernel":
        kernel(arguments.rows, arguments.rounds)
    elif arguments.what == "screen":
        screen(arguments.rows, arguments.rounds)
    else:
        export(arguments.rows, arguments.rounds, arguments.requests)


if __name__ == "__main__":
    main()
