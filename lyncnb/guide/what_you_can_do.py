"""List tasks, each with its notebook call and its command, for the help in panels and the docs."""

from __future__ import annotations

HEADINGS = ("Task", "In a notebook", "In a shell")

#: Each row contains the description of a task, the panel or Python call for it, and the command for
#: it.
TASKS: tuple[tuple[str, str, str], ...] = (
    ("plan with one HTML file, without an installation", "", "lyncnb page FILE -o PLANNER.html"),
    ("create a table of servers by answering questions", "ln.GuidePanel()", "lyncnb guide FOLDER"),
    ("fill in an empty table", "", "lyncnb template TABLE.xlsx"),
    ("read a table or a topology document", "ln.read_topology(FILE)", "lyncnb plan FILE"),
    ("change servers and options, and see the plan", "ln.PlanEditor(topology)", "lyncnb lab"),
    ("compare scenarios", "the Scenarios tab in the editor", "lyncnb compare A B"),
    ("see the plan as a picture", "ln.figure(plan)", "lyncnb plan FILE -o PLAN.svg"),
    ("see why a name is on a certificate", "plan.explain(SERVER)", "lyncnb explain FILE SERVER"),
    ("find and fix errors", "ln.check_plan(plan)", "lyncnb check FILE --fix"),
    ("see which root each server needs", "ln.trust(plan)", "lyncnb trust FILE"),
    ("see when to order and renew certificates", "ln.forecast(plan)", "lyncnb forecast FILE"),
    ("compare installed certificates", "ln.compare_as_is(…)", "lyncnb asis PATH FILE"),
    ("see the servers' certificates", "ln.probe(plan), status panel, step 5", "lyncnb probe FILE"),
    ("approve a plan", "", "lyncnb approve PLAN --key ID"),
    ("write keys and requests", "ln.RequestPanel(editor, FOLDER)", "lyncnb request FILE FOLDER"),
    ("see the next step for each request", "ln.StatusPanel(FOLDER)", "lyncnb status FOLDER"),
    ("package requests for the CA", "status panel, step 1", "lyncnb handover FOLDER OUT.zip"),
    ("match issued certificates", "status panel, step 2", "lyncnb receive FOLDER FILE"),
    ("package certificates for the servers", "status panel, step 3", "lyncnb pfx FOLDER"),
    ("import and assign certificates", "status panel, step 4", "lyncnb steps FOLDER"),
    ("record installed certificates", "status panel, step 5", "lyncnb deployed FOLDER"),
    ("see when to renew", "ln.list_renewals(FOLDER)", "lyncnb status FOLDER --calendar FILE.ics"),
    ("renew certificates that are due", "status panel, step 6", "lyncnb renew FOLDER --due"),
    ("replace a stolen key", "ln.renew(FOLDER, NAME, …)", "lyncnb renew FOLDER NAME --compromised"),
    ("share a notebook without secrets", "", "lyncnb share NOTEBOOK"),
)  # fmt: skip


def list_help_rows() -> list[list[str]]:
    """Return the rows of the help table for a panel, with the headings in the first row."""
    return [list(HEADINGS), *map(list, TASKS)]
