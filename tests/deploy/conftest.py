"""Shared by the tests of scripts: a simulation in which the scripts run."""

from __future__ import annotations

import pytest
from deploy.walk import Walk


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """Return a folder for the files of simulated servers."""
    return Walk(tmp_path_factory.mktemp("walk"))
