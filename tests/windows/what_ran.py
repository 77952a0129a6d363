"""Record in pytest's report which commands of lyncnb succeeded in each test (see .ci/windows)."""

from __future__ import annotations

import pytest
from shell_kit import SUCCEEDED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    """Add the commands that succeeded since the previous test, including those of fixtures, to the
    report of a test.
    """
    result = yield
    item.user_properties += [("command", name) for name in sorted(SUCCEEDED)]
    SUCCEEDED.clear()
    return result
