"""A fixture for tests in which another user's kernel is found before the kernel of this
environment.
"""

from __future__ import annotations

import json
import sys

import pytest


@pytest.fixture
def older_kernel(tmp_path, monkeypatch):
    """Install a kernel that cannot encrypt its channels, as an older version would. Jupyter finds
    it before the current kernel, because both have the same name.
    """
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec), "utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
