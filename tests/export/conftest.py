"""Shared by the tests of export: a folder for the files that dask needs during a run."""

from __future__ import annotations

import pytest


@pytest.fixture
def scratch(tmp_path_factory):
    """Have dask's own files in a folder of the tests: it leaves its locks behind."""
    dask = pytest.importorskip("dask")
    with dask.config.set({"temporary-directory": str(tmp_path_factory.mktemp("dask"))}):
        yield
