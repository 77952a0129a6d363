"""The package is clean under mypy's strict mode, as pyproject has it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from places import REPOSITORY

# Packages on their way to strict: a line goes with its package's last complaint.
NOT_YET = {
    "widgets",
}


@pytest.fixture(scope="module")
def complaints():
    """What the type checker says, a line each."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context"]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.stderr == ""
    return result.stdout.splitlines()


def test_mypy_is_content(complaints):
    """Every module, and a program that uses every public name, passes the type checker."""
    places = tuple(f"lyncnb/{package}/" for package in NOT_YET)
    assert [line for line in complaints if not line.startswith(places)] == []


def test_every_package_on_the_way_has_something_to_mend(complaints):
    """The list of packages that are not strict yet holds none that is."""
    assert {p for p in NOT_YET if not any(f"lyncnb/{p}/" in line for line in complaints)} == set()


def test_every_public_name_is_type_checked():
    """The program that is type-checked uses each public name."""
    import lyncnb

    text = (REPOSITORY / "tests" / "typing" / "api.py").read_text("utf-8")
    assert [name for name in lyncnb.__all__ if f"ln.{name}" not in text] == []
