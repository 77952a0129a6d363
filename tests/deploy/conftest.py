"""Provide the simulated servers on which the tests run the generated scripts."""

from __future__ import annotations

import pytest
from deploy.walk import Walk


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """Return a simulation that runs deployment steps on servers in a temporary folder."""
    return Walk(tmp_path_factory.mktemp("walk"))
