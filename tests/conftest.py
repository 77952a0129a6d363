"""Shared by all tests: paths, one hypothesis profile, and no skipped test in CI."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import traceback
from collections import Counter
from itertools import groupby
from pathlib import Path

import hypothesis
import pytest
from folders import quick_cipher  # noqa: F401  a fixture for many files

from lyncnb.pki import passphrase

REPOSITORY = Path(__file__).resolve().parent.parent

# nbformat's schema has no IRIs, and jsonschema does without this reader of them: its 38 grammars
# take seconds to build in each process.
sys.modules["rfc3987_syntax"] = None

# Many suites share two cores, so a slow example says nothing; the same examples every time, so
# that a red run can be made red again.
hypothesis.settings.register_profile("lyncnb", deadline=None, derandomize=True)
hypothesis.settings.load_profile("lyncnb")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--refresh",
        action="store_true",
        help="write golden files and notebooks again instead of comparing them: read the difference",
    )


MEMORY = Path("/dev/shm")


def pytest_configure() -> None:
    """Have the folders of all tests in memory, where there is room; let Ctrl-C be heard.

    Request folders are synced, file by file: tens of thousands of times in a run, for which a disk
    takes minutes. What a test sees is the same. A shell starts what it puts into the background
    deaf to Ctrl-C, and so would be every command that a test starts and interrupts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2_000_000_000:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_xdist_auto_num_workers() -> int | None:
    """Make ``-n auto`` one process more than cores: much of the time a browser is waited for."""
    asked = "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ
    return None if asked else (os.cpu_count() or 1) + 1


#: Files with these take longest.
SLOW = ("browser", "fault", "tools", "ca", "kernel", "slow")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no process is left alone with one."""
    marks = {
        path: Counter(mark.name for item in of_file for mark in item.iter_markers())
        for path, of_file in groupby(items, key=lambda item: item.path)
    }

    def place(item: pytest.Item) -> tuple[int, int]:
        marked = [(n, -marks[item.path][name]) for n, name in enumerate(SLOW)]
        return next((one for one in marked if one[1]), (len(SLOW), 0))

    items.sort(key=place)


@contextlib.contextmanager
def _skip_without_program():
    """Skip a test whose program is not on this machine, and say which; CI then fails."""
    try:
        yield
    except FileNotFoundError as error:
        program, frames = error.filename, traceback.extract_tb(error.__traceback__)
        # Only subprocess starts programs: any other missing file is a failure.
        is_program = Path(frames[-1].filename).name == "subprocess.py"
        if is_program and "/" not in str(program) and shutil.which(str(program)) is None:
            pytest.skip(f"needs {program}")
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup():
    """Skip what needs a program that is not there while its fixtures are made."""
    with _skip_without_program():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    """Skip what needs a program that is not there."""
    with _skip_without_program():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session):
    """Fail a run in CI that passed over a test: a missing tool there is a missing install step."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and os.environ.get("CI") == "true" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"\n{len(skipped)} skipped tests are an error where CI=true", red=True)
    return (yield)


@pytest.fixture(autouse=True, scope="session")
def _no_passphrase_from_outside():
    """Keep a passphrase of the developer's own shell out of every test."""
    os.environ.pop("LYNCNB_PASSPHRASE", None)


@pytest.fixture(autouse=True)
def _no_passphrase_remembered():
    """Let no test answer for the next one that asks for a passphrase."""
    yield
    passphrase.forget_passphrase()


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the clone's folder."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of the sample topologies."""
    return REPOSITORY / "data"


@pytest.fixture(scope="session")
def _browser():
    """Start the browser once in each process, and end it with all its pages."""
    from lab_driver import loop_of, start_chromium

    playwright, browser = start_chromium()
    yield browser
    with loop_of(browser):
        browser.close()
        playwright.stop()


@pytest.fixture(scope="module")
def chromium(_browser):
    """Give the browser to a module; elsewhere its event loop would stop others from starting."""
    from lab_driver import loop_of

    with loop_of(_browser):
        yield _browser
