"""Provide a folder for the files that Dask needs during a run."""

from __future__ import annotations

import pytest


@pytest.fixture
def scratch(tmp_path_factory):
    """Put the files of Dask into a folder for tests, because Dask leaves lock files behind."""
    dask = pytest.importorskip("dask")
    with dask.config.set({"temporary-directory": str(tmp_path_factory.mktemp("dask"))}):
        yield
