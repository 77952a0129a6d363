"""Run commands of lyncnb, for tests of the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from lyncnb.cli import main

# The width of the output is fixed, so that tests do not depend on the size of the terminal.
WIDE = "10000"


# The commands that succeeded. tests/windows/what_ran.py reads and then clears this set.
SUCCEEDED: set[str] = set()


class Ended(NamedTuple):
    """The result of a command: its exit status, standard output, and standard error."""

    status: int
    out: str
    err: str


class Shell:
    """A shell that runs lyncnb commands in one folder, in this process or in a separate one."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> Ended:
        """Run a lyncnb command in this process."""
        self._capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = self._capsys.readouterr()
        assert "Traceback" not in out + err
        keep_success(status, arguments)
        return Ended(status, out, err)

    def process(
        self,
        *arguments: str | Path,
        environment: dict[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> Ended:
        """Run a lyncnb command in a separate process without standard input.

        ``prefix`` is a command that starts the process, such as ``setpriv``.
        """
        completed = subprocess.run(
            [*prefix, sys.executable, "-m", "lyncnb", *map(str, arguments)],
            cwd=self.folder,
            env=process_environment({"COLUMNS": WIDE, **(environment or {})}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        out, err = (
            stream.decode("utf-8", "replace").replace(os.linesep, "\n")
            for stream in (completed.stdout, completed.stderr)
        )
        assert "Traceback" not in out + err
        keep_success(completed.returncode, arguments)
        return Ended(completed.returncode, out, err)

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file to the folder."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


def keep_success(status: int, arguments: Sequence[object]) -> None:
    """Add the name of the command to `SUCCEEDED` if its exit status is 0 or 1."""
    if status in (0, 1) and arguments and "--help" not in arguments:
        SUCCEEDED.add(str(arguments[0]))


def process_environment(extra_variables: dict[str, str] | None = None) -> dict[str, str]:
    """Return the environment variables of this process without the terminal size."""
    # The terminal size that pytest-xdist sets must not apply to the child process.
    inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    return {**inherited, **(extra_variables or {})}


def make_shell(tmp_path, capsys, monkeypatch) -> Shell:
    """Create a shell in an empty folder. Test files use this function in a fixture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", WIDE)
    return Shell(tmp_path, capsys)
