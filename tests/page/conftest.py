"""Build the page once for all tests, and open planner pages in a browser."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from page_driver import PlannerPage
from places import DATA

from lyncnb.page import runtime

#: Built pages are kept between runs in this folder, or in the folder that the environment names.
CACHE = Path(os.environ.get(runtime.VARIABLE) or Path(tempfile.gettempdir(), "lyncnb-page-cache"))
#: The pinned package of Pyodide, for a machine without npm's registry.
ARCHIVE = os.environ.get("LYNCNB_PYODIDE")


@pytest.fixture(scope="session")
def built() -> Path:
    """Return the built page for this version. The first process builds it, the others wait."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs Node.js and npm")
    CACHE.mkdir(parents=True, exist_ok=True)
    os.environ[runtime.VARIABLE] = str(CACHE)
    with FileLock(CACHE / "lock"):
        try:
            return runtime.find_runtime()
        except runtime.PageError:
            return runtime.build_runtime(ARCHIVE)


@pytest.fixture(scope="session")
def contoso(built, tmp_path_factory) -> Path:
    """Return a planner page of the sample, as the command writes it."""
    from lyncnb.cli.app import run

    path = tmp_path_factory.mktemp("page") / "planner.html"
    assert run(["page", str(DATA / "contoso.csv"), "-o", str(path)]) == 0
    return path


@pytest.fixture
def open_page(chromium) -> Callable[[Path], PlannerPage]:
    """Return a function that opens a planner page in Chromium and waits for its planner."""
    opened = []

    def open_planner(path: Path) -> PlannerPage:
        opened.append(PlannerPage(chromium.new_context(accept_downloads=True), path))
        return opened[-1]

    yield open_planner
    for page in opened:
        page.context.close()
    assert [page.errors for page in opened if page.errors] == []
