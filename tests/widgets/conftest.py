"""Provide one server and one page for each test process that tests panels in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import answered_by_openssl
from lab_driver import LabBrowser, LabServer
from lab_panels import table_of
from standing_certificates import MIDNIGHT
from topologies import FIVE_SERVERS, STANDARD_EDITION


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Start one server for all modules, because starting it takes longer than most tests."""
    with LabServer(tmp_path_factory.mktemp("browser")) as server:
        yield server


@pytest.fixture(scope="module")
def folder(request, server) -> Path:
    """Return a module's folder of notebooks, with tables of 5, 100 and 10,000 servers."""
    folder = server.root / request.path.stem
    folder.mkdir()
    (folder / "small.csv").write_text(FIVE_SERVERS)
    (folder / "middle.csv").write_text(table_of(100))
    (folder / "large.csv").write_text(table_of(10_000))
    return folder


@pytest.fixture(scope="module")
def answered(folder) -> str:
    """Return the name of a request folder with issued certificates, next to the notebooks."""
    (folder / "ca").mkdir()
    day = MIDNIGHT.date()  # The panels in the browser use the same date.
    answered_by_openssl(STANDARD_EDITION.encode(), folder / "ca", today=day, days=40)
    return "ca/requests"


@pytest.fixture(scope="session")
def pages() -> list[LabBrowser]:
    """Return the pool of browser pages.

    Tests share them, since loading JupyterLab takes longer than most tests.
    """
    return []


@pytest.fixture
def lab(request, server, chromium, pages):
    """Return a page. After the test, its kernel is stopped, and the browser must not have reported
    an error.
    """
    lab = pages.pop() if pages else LabBrowser(server, browser=chromium, seconds=60).start()
    failed = request.session.testsfailed
    yield lab
    errors, broken = lab.errors(), lab.cell_errors()
    lab.put_away()
    if failed == request.session.testsfailed and not errors and not broken:
        pages.append(lab)
    else:
        lab.stop()  # The remains of a failed test must not affect other tests.
    assert errors == []
    assert broken == []
