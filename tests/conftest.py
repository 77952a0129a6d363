"""Define paths and a hypothesis profile for all tests, and make a CI run fail if it skips a test."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from importlib import metadata
from itertools import groupby
from pathlib import Path

import hypothesis
import pytest
from folders import quick_cipher  # noqa: F401  a fixture for many files
from strange import VARIABLE, Deployment, choose_deployments, choose_tables

from lyncnb.errors import PageError
from lyncnb.pki import passphrase

REPOSITORY = Path(__file__).resolve().parent.parent

# Without the module rfc3987_syntax, jsonschema builds no grammars for IRIs, which would take
# seconds in each process. The nbformat schema contains no IRIs.
sys.modules["rfc3987_syntax"] = None

# The version of an installed library does not change during a run. Each saved plan contains the
# versions of two libraries, and reading them takes milliseconds each time.
metadata.version = functools.cache(metadata.version)

# A slow example is not an error, because many test runs share two cores. Each run uses the same
# examples, so that a failure can be reproduced.
hypothesis.settings.register_profile("lyncnb", deadline=None, derandomize=True)
hypothesis.settings.load_profile("lyncnb")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--refresh",
        action="store_true",
        help="write golden files, notebooks, and parts of README and docs instead of comparing them: "
        "read the difference",
    )


# .ci/run runs these tests separately. Some of them build the planner page and drive two browsers,
# and the others need Windows. To run them, specify their folder.
SEPARATE = ("page", "windows")
collect_ignore = list(SEPARATE)
MEMORY = Path("/dev/shm")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the test folders in memory if possible, and make sure that Ctrl+C works.

    Request folders are synced file by file, tens of thousands of times in a run, which takes
    minutes on a disk. The tests see no difference. A shell starts background processes with Ctrl+C
    ignored, and commands that a test starts and interrupts would inherit this.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2_000_000_000:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        _keep_bytecode_of_this_run()
    if hasattr(config, "workerinput") and config.args == config.getini("testpaths"):
        _vary_import_order(config)


def _vary_import_order(config: pytest.Config) -> None:
    """Make each worker process import the test files in a different order.

    Compiling the tests takes most of the time before the first test. This way, each process
    compiles a share of the files and reads the compiled files of the other processes.
    """
    paths = REPOSITORY.glob("tests/**/test_*.py")
    files = sorted(str(path) for path in paths if path.parent.name not in SEPARATE)
    worker, count = config.workerinput["workerid"], config.workerinput["workercount"]
    first = len(files) * int(worker.removeprefix("gw")) // count
    config.args = files[first:] + files[:first]


def _keep_bytecode_of_this_run() -> None:
    """Keep compiled modules in a temporary folder, even if the environment disables compiled
    modules.

    Otherwise each of hundreds of kernels, servers and commands compiles all libraries again, which
    takes most of their time. The clone and the virtual environment stay without compiled modules.
    """
    temp_root = os.environ.get("PYTEST_DEBUG_TEMPROOT") or tempfile.gettempdir()
    for earlier in Path(temp_root).glob("lyncnb-bytecode-*"):
        # A run that was killed more than a day ago left this folder.
        with contextlib.suppress(OSError):
            if earlier.stat().st_mtime < time.time() - 86_400:
                shutil.rmtree(earlier)
    folder = tempfile.mkdtemp(prefix="lyncnb-bytecode-", dir=temp_root)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = folder
    sys.dont_write_bytecode = False
    # The worker processes inherit this folder. The process that creates it is the first one and
    # ends last, so it deletes the folder.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


def pytest_report_header() -> str:
    """Print which strange deployments this run has, and how to repeat it."""
    names = ", ".join(chosen.name for chosen in choose_deployments())
    return f"strange deployments: {names} ({VARIABLE}={os.environ[VARIABLE]} repeats this)"


def pytest_xdist_auto_num_workers() -> int | None:
    """For ``-n auto``, start one more worker process than there are cores, because tests often wait
    for a browser.
    """
    is_configured = "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ
    return None if is_configured else (os.cpu_count() or 1) + 1


#: Test files with these marks or fixtures take the longest time.
SLOW = ("browser", "fault", "tools", "ca", "kernel", "slow")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest test files first, so that none of them is still running alone at the end."""
    marks = {
        path: Counter(mark.name for item in of_file for mark in item.iter_markers())
        for path, of_file in groupby(items, key=lambda item: item.path)
    }

    def place(item: pytest.Item) -> tuple[int, int]:
        marked = [(n, -marks[item.path][name]) for n, name in enumerate(SLOW)]
        return next((rank for rank in marked if rank[1]), (len(SLOW), 0))

    items.sort(key=lambda item: (place(item), item.path))


@contextlib.contextmanager
def _skip_without_program():
    """Skip a test if the program that it needs is not installed. In CI, fail the test instead."""
    try:
        yield
    except FileNotFoundError as error:
        program, frames = error.filename, traceback.extract_tb(error.__traceback__)
        # Only subprocess starts programs, so a missing file in any other call is a failure.
        is_program = Path(frames[-1].filename).name == "subprocess.py"
        if is_program and "/" not in str(program) and shutil.which(str(program)) is None:
            # On Windows, the error does not contain the name of the program.
            pytest.skip(f"needs {program or 'a program of Linux'}")
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup():
    """Skip a test if a fixture needs a program that is not installed."""
    with _skip_without_program():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    """Skip a test if it needs a program that is not installed."""
    with _skip_without_program():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session):
    """Make a CI run fail if it skipped a test, because the program that the test needs should have
    been installed.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and os.environ.get("CI") == "true" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"\n{len(skipped)} skipped tests are an error where CI=true", red=True)
    return (yield)


@pytest.fixture(autouse=True, scope="session")
def _no_passphrase_from_outside():
    """Remove the passphrase in the developer's environment before every test."""
    os.environ.pop("LYNCNB_PASSPHRASE", None)


@pytest.fixture(autouse=True)
def _no_passphrase_remembered():
    """Clear remembered passphrases, so that a test does not use the passphrase of another test."""
    yield
    passphrase.forget_passphrase()


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root folder of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of the sample topologies."""
    return REPOSITORY / "data"


@pytest.fixture(scope="module", params=choose_deployments(), ids=str)
def deployment(request) -> Deployment:
    """Return a strange deployment whose requests can be written (tests/strange)."""
    return request.param


@pytest.fixture(scope="module", params=choose_tables(), ids=str)
def any_deployment(request) -> Deployment:
    """Return a strange deployment that can be planned; its plan may have errors (tests/strange)."""
    return request.param


@pytest.fixture(scope="session")
def _browser():
    """Start one browser in each process, and close it and all its pages at the end."""
    from lab_driver import loop_of, start_chromium

    playwright, browser = start_chromium()
    with browser.new_page() as page:
        page.set_content("<span>lyncnb</span>")
        width = page.locator("span").bounding_box()["width"]
    yield browser if width else None
    with loop_of(browser):
        browser.close()
        playwright.stop()


@pytest.fixture(scope="module")
def chromium(_browser):
    """Start a browser for one test module only, because its event loop would block other browsers."""
    from lab_driver import loop_of

    if _browser is None:
        pytest.skip("no fonts, so a browser shows no text")
    with loop_of(_browser):
        yield _browser


@pytest.fixture(scope="module")
def tested_font(chromium) -> None:
    """Skip tests of sizes if a browser shows texts in another font than DejaVu Sans."""
    with chromium.new_page() as page:
        page.set_content("<span style='font:16px sans-serif'>lyncnb, fe01.contoso.net</span>")
        width = page.locator("span").bounding_box()["width"]
    if round(width) != 198:  # its width in DejaVu Sans
        pytest.skip("the sizes are known for DejaVu Sans (fonts-dejavu-core)")


@pytest.fixture(scope="session")
def built_page() -> Path:
    """Return the planner page, built for the current version. The first process builds it, and the
    others wait for it.

    It is kept between runs in the folder that ``LYNCNB_PAGE_CACHE`` names, or in a temporary
    folder. ``LYNCNB_PACKAGES`` lists the npm packages, as PATH does, where npm has no registry.
    """
    from filelock import FileLock
    from page_driver import npm_archives

    from lyncnb.page import runtime

    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs Node.js and npm")
    cache = os.environ.setdefault(
        runtime.VARIABLE, str(Path(tempfile.gettempdir(), "lyncnb-page-cache"))
    )
    Path(cache).mkdir(parents=True, exist_ok=True)
    with FileLock(Path(cache, "lock")):
        try:
            return runtime.find_runtime()
        except PageError:
            return runtime.build_runtime(npm_archives())
