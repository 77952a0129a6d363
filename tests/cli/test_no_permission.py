"""A request folder that the user has no permission for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.posix

_COMMANDS = (
    "status F", "receive F", "deployed F", "handover F out.zip", "pfx F", "steps F",
    "renew F --due --reason x", "purge F", "rekey F", "forecast F", "compare F F",
)  # fmt: skip
# Root has every permission, unless a program drops it.
_DROP = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


@pytest.mark.parametrize("command", _COMMANDS)
def test_missing_permission_is_said_as_such(tmp_path, command):
    """Without permission for the folder, each command says so, and not that it is no request
    folder.
    """
    folder = tmp_path / "F"
    folder.mkdir()
    folder.chmod(0o000)
    words = [str(folder) if word == "F" else word for word in command.split()]
    result = subprocess.run(
        [*(_DROP if os.geteuid() == 0 else ()), sys.executable, "-m", "lyncnb", *words],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "LYNCNB_PASSPHRASE": "correct horse battery"},
    )
    folder.chmod(0o700)
    assert result.returncode in (2, 3), result.stderr
    assert "Permission denied" in result.stderr
    assert "is not a request folder" not in result.stderr
