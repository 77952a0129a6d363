"""The panels' JavaScript passes TypeScript's checker, every file of it."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from places import REPOSITORY

SCRIPTS = sorted((REPOSITORY / "lyncnb" / "widgets" / "js").glob("*.js"))
CONFIGURATION = REPOSITORY / "tests" / "typing" / "tsconfig.json"


@pytest.mark.tools
@pytest.mark.skipif(not shutil.which("tsc"), reason="no tsc: npm install --global typescript")
def test_tsc_is_content():
    """What may be missing or null is asked for, and every call has what it is called with."""
    command = ["tsc", "--project", str(CONFIGURATION)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout + result.stderr == ""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_checked_by_editors_too(script):
    """The first line asks whatever editor opens it to check types."""
    assert script.read_text("utf-8").startswith("// @ts-check\n")
