"""The tasks of a planner, in a notebook and in a shell: for the panels' help and the docs."""

from __future__ import annotations

HEADINGS = ("You want to", "In a notebook", "In a shell")

#: Each task: the task itself, the panel or call for it, and the command.
TASKS: tuple[tuple[str, str, str], ...] = (
    ("plan on one page, without code", "", "lyncnb dash"),
    ("get a first table by questions", "ln.GuidePanel()", "lyncnb guide FOLDER"),
    ("fill in an empty table", "", "lyncnb template TABLE.xlsx"),
    ("read a table or a topology document", "ln.read_topology(FILE)", "lyncnb plan FILE"),
    ("change servers and choices, and see the plan", "ln.PlanEditor(topology)", "lyncnb dash"),
    ("compare scenarios", "the tab Scenarios of the editor", "lyncnb compare A B"),
    ("see the plan as a picture", "ln.figure(plan)", "lyncnb plan FILE -o PLAN.svg"),
    ("know why a name is on a certificate", "plan.explain(SERVER)", "lyncnb explain FILE SERVER"),
    ("find and fix errors", "ln.check_plan(plan)", "lyncnb check FILE --fix"),
    ("know which root each server needs", "ln.trust(plan)", "lyncnb trust FILE"),
    ("know when certificates end and return", "ln.forecast(plan)", "lyncnb forecast FILE"),
    ("compare installed certificates", "ln.compare_as_is(…)", "lyncnb asis PATH FILE"),
    ("have a plan approved", "", "lyncnb approve PLAN --key ID"),
    ("write keys and requests", "ln.RequestPanel(editor, FOLDER)", "lyncnb request FILE FOLDER"),
    ("see what each request needs next", "ln.StatusPanel(FOLDER)", "lyncnb status FOLDER"),
    ("hand requests over to the CA", "status panel, step 1", "lyncnb handover FOLDER OUT.zip"),
    ("match issued certificates", "status panel, step 2", "lyncnb receive FOLDER FILE"),
    ("package certificates for the servers", "status panel, step 3", "lyncnb pfx FOLDER"),
    ("import and assign on each server", "status panel, step 4", "lyncnb steps FOLDER"),
    ("record what the servers have", "status panel, step 5", "lyncnb deployed FOLDER"),
    ("know when to renew", "ln.list_renewals(FOLDER)", "lyncnb status FOLDER --calendar FILE.ics"),
    ("renew what is due", "status panel, step 6", "lyncnb renew FOLDER --due"),
    ("replace a stolen key", "ln.renew(FOLDER, NAME, …)", "lyncnb renew FOLDER NAME --compromised"),
    ("share a notebook without secrets", "", "lyncnb share NOTEBOOK"),
)  # fmt: skip


def help_rows() -> list[list[str]]:
    """Return the list for a panel's page, its headings first."""
    return [list(HEADINGS), *map(list, TASKS)]
