"""The help of the panels and docs/what-you-can-do.md are generated from one list, and everything in
it exists.
"""

from __future__ import annotations

import re

from panel_kit import Talk
from places import REPOSITORY

import lyncnb as ln
from lyncnb.cli.help import SECTIONS
from lyncnb.guide.what_you_can_do import HEADINGS, TASKS, list_help_rows

PAGE = REPOSITORY / "docs" / "what-you-can-do.md"
_BEGINNING = """# What you can do

Each task, with its panel or call in a notebook and its command in a shell. The button *What you can
do* of the panels shows the same list. [The task pages](README.md#tasks)
show how to use the commands together.

"""


def page() -> str:
    """Return the page with the list of everything that lyncnb can do."""
    lines = [f"| {' | '.join(HEADINGS)} |", "|---|---|---|"]
    for task, *ways in TASKS:
        told = [f"`{way}`" if re.search(r"[.(]|lyncnb", way) else way for way in ways]
        lines.append(f"| {' | '.join([task, *told])} |")
    return _BEGINNING + "\n".join(lines) + "\n"


def test_the_page_is_the_list(request):
    """The page matches the list. --refresh writes it."""
    if request.config.getoption("--refresh"):
        PAGE.write_text(page(), "utf-8")
    assert PAGE.read_text("utf-8") == page()


def test_every_command_and_call_of_the_list_exists():
    """Every command and call in the list exists."""
    commands = {name for _, section in SECTIONS for name, _ in section}
    for task, call, command in TASKS:
        assert call or command, task
        for name in re.findall(r"ln\.(\w+)", call):
            assert hasattr(ln, name), name
        if command:
            assert command.split()[1] in commands, command


def test_every_panel_offers_the_list(tmp_path):
    """The button for the list is in the editor, the request panel, the status panel and the guide."""
    editor = ln.PlanEditor(ln.read_topology(REPOSITORY / "data" / "single-server.csv"))
    panels = (
        editor,
        ln.RequestPanel(editor, tmp_path / "requests"),
        ln.StatusPanel(editor, tmp_path / "requests"),
        ln.GuidePanel(),
    )
    for panel in panels:
        assert Talk(panel.view).say("ready")["start"]["help"] == list_help_rows()
        assert "help_dialog.js" in panel.view.channel.scripts
