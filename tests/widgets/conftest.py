"""Fixtures that start one Jupyter server and one browser page for all tests of panels in a process."""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import make_issued_folder
from installed_certificates import MIDNIGHT
from lab_driver import LabBrowser, LabServer
from lab_panels import table_of
from topologies import FIVE_SERVERS, STANDARD_EDITION


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Start one Jupyter server for all test modules, because starting it takes longer than most
    tests.
    """
    with LabServer(tmp_path_factory.mktemp("browser")) as server:
        yield server


@pytest.fixture(scope="module")
def folder(request, server) -> Path:
    """Return the folder for a module's notebooks, with tables of 5, 100 and 10,000 servers."""
    folder = server.root / request.path.stem
    folder.mkdir()
    (folder / "small.csv").write_text(FIVE_SERVERS)
    (folder / "middle.csv").write_text(table_of(100))
    (folder / "large.csv").write_text(table_of(10_000))
    return folder


@pytest.fixture(scope="module")
def answered_folder(folder) -> str:
    """Return the name of a request folder with issued certificates, in the folder of the notebooks."""
    (folder / "ca").mkdir()
    # The panels in the browser use the current date, so the certificates are valid on this date.
    day = MIDNIGHT.date()
    make_issued_folder(STANDARD_EDITION.encode(), folder / "ca", today=day, days=40)
    return "ca/requests"


@pytest.fixture(scope="session")
def pages() -> list[LabBrowser]:
    """Return the list of browser pages that tests can reuse.

    Tests share the pages, because loading JupyterLab takes longer than most tests.
    """
    return []


@pytest.fixture
def lab(request, server, chromium, pages):
    """Return a browser page. After the test, stop its kernel, and check that the browser reported
    no error.
    """
    lab = pages.pop() if pages else LabBrowser(server, browser=chromium, seconds=60).start()
    failed = request.session.testsfailed
    yield lab
    errors, broken = lab.errors(), lab.cell_errors()
    lab.shut_down()
    if failed == request.session.testsfailed and not errors and not broken:
        pages.append(lab)
    else:
        # A page that a failed test has used is closed, so that it does not affect other tests.
        lab.stop()
    assert errors == []
    assert broken == []


@pytest.fixture
def tall_lab(server, chromium):
    """Return a browser page that shows a whole panel, because axe-core does not check the contrast
    of text outside the visible area.
    """
    with LabBrowser(server, browser=chromium, viewport=(1400, 6000), seconds=60) as lab:
        yield lab
        assert lab.errors() == []
