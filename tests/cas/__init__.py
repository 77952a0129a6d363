"""Certification authorities for the tests: one in this process, and real ones on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

# Generous for a machine that runs other suites beside; a CA that works answers in milliseconds.
SECONDS = 60

#: For programs in Java that run for a moment: one quick compiler, one thread for garbage.
BRIEF_JAVA = ("-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-J-Xshare:auto")


def tool(name: str) -> str:
    """Find a program; without it skip, except in CI, where it has to be installed."""
    found = shutil.which(name)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"{name} is not installed, and no tool is passed over in CI")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: str | os.PathLike[str], text: str = "", cwd: Path | None = None) -> bytes:
    """Run a program to its end and return what it printed; fail with what it complained of."""
    done = subprocess.run(
        [os.fspath(word) for word in command],
        input=text.encode(),
        capture_output=True,
        cwd=cwd,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, (command, done.stderr.decode(errors="replace")[-2000:])
    return done.stdout


class Daemon:
    """A server on loopback, started when entered and ended, whatever happens, when left."""

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
