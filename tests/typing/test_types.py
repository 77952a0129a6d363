"""The package passes mypy in strict mode, as configured in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys

import pytest
from places import REPOSITORY


@pytest.fixture(scope="module")
def complaints():
    """Return the error messages of mypy, one for each line of its output."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context"]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.stderr == ""
    return result.stdout.splitlines()


@pytest.mark.tools
def test_mypy_accepts_the_package(complaints):
    """Every module passes mypy, and so does a program that uses every public name."""
    assert complaints == []


def test_every_public_name_is_type_checked():
    """The program that mypy checks uses each public name."""
    import lyncnb

    text = (REPOSITORY / "tests" / "typing" / "api.py").read_text("utf-8")
    assert [name for name in lyncnb.__all__ if f"ln.{name}" not in text] == []
