"""The tests of the table in a notebook also pass on a planner page, which contains the same panel.

CI runs a few of them. ``LYNCNB_PAGE_GRID=1`` runs all.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lab_driver import CHROMIUM
from lab_panels import kernel
from page_driver import PlannerPage
from topologies import FIVE_SERVERS
from widgets import test_grid_moves

from lyncnb.cli.app import run_command

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]

FEW = (
    "test_a_paste_replaces_servers_only_after_a_question",
    "test_servers_are_typed_into_the_blank_row",
    "test_a_right_click_opens_the_menu_of_the_table",
    "test_undo_after_a_rejected_paste_removes_only_the_rejected_texts",
)
ALL = [name for name in vars(test_grid_moves) if name.startswith("test_")]

for _name in ALL if os.environ.get("LYNCNB_PAGE_GRID") else FEW:
    globals()[_name] = getattr(test_grid_moves, _name)


@pytest.fixture(scope="module")
def opened(built_page, chromium, tmp_path_factory):
    """Return a planner page with five servers. All tests in this file share it."""
    folder = tmp_path_factory.mktemp("grid")
    (folder / "small.csv").write_text(FIVE_SERVERS)
    page_path = folder / "planner.html"
    assert run_command(["page", str(folder / "small.csv"), "-o", str(page_path)]) == 0
    context = chromium.new_context(accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    planner = PlannerPage(context, page_path)
    yield planner
    context.close()
    assert planner.errors == []


@pytest.fixture
def lab(opened):
    """Return the planner page with the table in its original state."""
    kernel(opened, "editor.reset()")
    opened.page.get_by_text("as loaded", exact=True).wait_for()
    opened.field("Filter servers").fill("")
    return opened
