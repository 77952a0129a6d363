"""The package is clean under mypy's strict mode, as pyproject has it."""

from __future__ import annotations

import subprocess
import sys

from places import REPOSITORY


def test_mypy_is_content():
    """Every module, and a program that uses every public name, passes the type checker."""
    result = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]


def test_every_public_name_is_type_checked():
    """The program that is type-checked uses each public name."""
    import lyncnb

    text = (REPOSITORY / "tests" / "typing" / "api.py").read_text("utf-8")
    assert [name for name in lyncnb.__all__ if f"ln.{name}" not in text] == []
