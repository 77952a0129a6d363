"""Certification authorities for tests: one that runs in the test process, and real CA programs on
loopback.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

# The timeout is long, because the computer may be busy. Usually a CA responds within milliseconds.
SECONDS = 60

#: These Java options make short runs faster: one fast compiler, and one thread for garbage
#: collection.
BRIEF_JAVA = ("-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-J-Xshare:auto")


def tool(name: str) -> str:
    """Return the path of a program. If it is missing, skip the test, or fail in CI."""
    path = shutil.which(name)
    if path is None and os.environ.get("CI"):
        pytest.fail(f"{name} is not installed, and no tool is passed over in CI")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(*command: str | os.PathLike[str], text: str = "", cwd: Path | None = None) -> bytes:
    """Run a program and return its output, or fail the test with the program's error message."""
    result = subprocess.run(
        [os.fspath(word) for word in command],
        input=text.encode(),
        capture_output=True,
        cwd=cwd,
        timeout=SECONDS,
        check=False,
    )
    assert result.returncode == 0, (command, result.stderr.decode(errors="replace")[-2000:])
    return result.stdout


class Daemon:
    """A server program that listens on loopback while a with statement runs."""

    def __init__(self, *command: str | os.PathLike[str], port: int, folder: Path, **environment):
        self._command = [os.fspath(word) for word in command]
        self._port, self._folder = port, folder
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Daemon:
        log = self._folder / "daemon.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                env=self._environment,
            )
        try:
            self._wait(log)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait(self, log: Path) -> None:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            assert self._process.poll() is None, log.read_text(errors="replace")[-2000:]
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"{self._command[0]} does not answer: {log.read_text()[-2000:]}")

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
