"""Shared by the tests of the command line: running it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from lyncnb.cli import main

# Columns of the output, so that tests of what is said need not know where lines break.
WIDE = "10000"


class Ended(NamedTuple):
    """How a command ended: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


class Shell:
    """Runs commands in one folder, in this process or in one of their own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> Ended:
        """Run a command in this process."""
        self._capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = self._capsys.readouterr()
        assert "Traceback" not in out + err
        return Ended(status, out, err)

    def process(self, *arguments: str | Path, environment: dict[str, str] | None = None) -> Ended:
        """Run a command in a process of its own, with nothing to read from."""
        done = subprocess.run(
            [sys.executable, "-m", "lyncnb", *map(str, arguments)],
            cwd=self.folder,
            env=process_environment({"COLUMNS": WIDE, **(environment or {})}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        out, err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        assert "Traceback" not in out + err
        return Ended(done.returncode, out, err)

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


def process_environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """Give a child the environment of this process, without the size of its terminal."""
    # pytest-xdist sets the size of its own terminal, which would count before the child's.
    inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    return {**inherited, **(more or {})}


def make_shell(tmp_path, capsys, monkeypatch) -> Shell:
    """Make a shell in an empty folder; a test file makes a fixture of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", WIDE)
    return Shell(tmp_path, capsys)
