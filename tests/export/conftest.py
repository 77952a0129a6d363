"""Provide a temporary folder for the files that Dask writes during a test run."""

from __future__ import annotations

import pytest


@pytest.fixture
def redirect_dask_files(tmp_path_factory):
    """Use a temporary folder for the files of Dask, because Dask leaves lock files behind."""
    dask = pytest.importorskip("dask")
    with dask.config.set({"temporary-directory": str(tmp_path_factory.mktemp("dask"))}):
        yield
