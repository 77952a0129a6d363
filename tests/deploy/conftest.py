"""What the tests of scripts share: a world in which they run."""

from __future__ import annotations

import pytest
from deploy.walk import Walk


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """Give a place for the files of servers that stand in for real ones."""
    return Walk(tmp_path_factory.mktemp("walk"))
