"""Record in pytest's report which commands of lyncnb succeeded in each test.

.ci/windows loads this plugin. It also runs the tests of Windows first, because they take longest.
"""

from __future__ import annotations

import pytest
from shell_kit import SUCCEEDED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    """Add the commands that succeeded since the previous test to a test's report. This includes
    commands in fixtures.
    """
    result = yield
    item.user_properties += [("command", name) for name in sorted(SUCCEEDED)]
    SUCCEEDED.clear()
    return result


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest test files first, so that no slow file is still running alone at the end."""
    items.sort(key=lambda item: item.path.parent.name != "windows")
