"""Write planner pages, and open them in a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from page_driver import PlannerPage
from places import DATA


@pytest.fixture(scope="session")
def contoso(built_page, tmp_path_factory) -> Path:
    """Return a planner page for the sample, as the command writes it."""
    from lyncnb.cli.app import run_command

    path = tmp_path_factory.mktemp("page") / "planner.html"
    assert run_command(["page", str(DATA / "contoso.csv"), "-o", str(path)]) == 0
    return path


@pytest.fixture
def open_page(chromium) -> Callable[..., PlannerPage]:
    """Return a function that opens a planner page in Chromium and waits until the planner is ready.

    A script of the test runs before the page's own.
    """
    opened = []

    def open_planner(path: Path, init: str = "") -> PlannerPage:
        context = chromium.new_context(accept_downloads=True)
        opened.append(PlannerPage(context, path, init=init))
        return opened[-1]

    yield open_planner
    for page in opened:
        page.context.close()
    assert [page.errors for page in opened if page.errors] == []
