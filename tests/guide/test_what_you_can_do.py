"""The help in the panels and docs/what-you-can-do.md come from one list of commands. All commands
in this list exist.
"""

from __future__ import annotations

import re

from panel_kit import PanelClient
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
    """Return the text of the page that lists what you can do with lyncnb."""
    lines = [f"| {' | '.join(HEADINGS)} |", "|---|---|---|"]
    for task, *ways in TASKS:
        cells = [f"`{way}`" if re.search(r"[.(]|lyncnb", way) else way for way in ways]
        lines.append(f"| {' | '.join([task, *cells])} |")
    return _BEGINNING + "\n".join(lines) + "\n"


def test_page_matches_the_list(request):
    """docs/what-you-can-do.md matches the list of tasks in these tests. With `--refresh`, the test
    writes the page again.
    """
    if request.config.getoption("--refresh"):
        PAGE.write_text(page(), "utf-8")
    assert PAGE.read_text("utf-8") == page()


def test_every_listed_command_and_call_exists():
    """The page about what you can do lists only existing commands and Python calls."""
    commands = {name for _, section in SECTIONS for name, _ in section}
    for task, call, command in TASKS:
        assert call or command, task
        for name in re.findall(r"ln\.(\w+)", call):
            assert hasattr(ln, name), name
        if command:
            assert command.split()[1] in commands, command


def test_every_panel_shows_the_list(tmp_path):
    """The editor, the request panel, the status panel and the guide have a help button that lists
    what the user can do.
    """
    editor = ln.PlanEditor(ln.read_topology(REPOSITORY / "data" / "single-server.csv"))
    panels = (
        editor,
        ln.RequestPanel(editor, tmp_path / "requests"),
        ln.StatusPanel(editor, tmp_path / "requests"),
        ln.GuidePanel(),
    )
    for panel in panels:
        assert PanelClient(panel.view).send("ready")["start"]["help"] == list_help_rows()
        assert "help_dialog.js" in panel.view.channel.scripts
