"""Run Windows batch files with ``wine cmd`` and a replacement for certreq."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

WINE = shutil.which("wine")
GO = shutil.which("go")
needs_wine = pytest.mark.skipif(
    not (WINE and GO) and os.environ.get("CI") != "true", reason="no wine, or no go to build with"
)
_SOURCE = Path(__file__).parent / "certreq" / "main.go"
_BUILD = {"GOOS": "windows", "GOARCH": "amd64", "CGO_ENABLED": "0", "GO111MODULE": "off"}
_BUILD |= {"GOPROXY": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}


@dataclass
class WineCmd:
    """A separate Wine environment for batch files. ``certreq`` is the path of a program that
    replaces the Windows command.
    """

    prefix: Path
    certreq: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, script: Path, typed: str = "", **environment: Path) -> tuple[int, str]:
        """Run a batch file with keyboard input, and return its exit status and output."""
        shutil.copy(self.certreq, script.parent)
        # The output goes to a file, because background processes of Wine would keep a pipe open
        # after the batch file ends.
        output_path = self.prefix.with_name("shown.txt")
        with output_path.open("wb") as out:
            completed = subprocess.run(
                [WINE or "wine", "cmd", "/c", script],
                input=typed.replace("\n", "\r\n").encode(),
                env={**self.environment, **{name: str(path) for name, path in environment.items()}},
                cwd=script.parent.parent,
                stdout=out,
                stderr=subprocess.DEVNULL,
                timeout=120,
                check=False,
            )
        return completed.returncode, output_path.read_bytes().decode("cp437").replace("\r\n", "\n")


@pytest.fixture(scope="session")
def wine_cmd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WineCmd]:
    """Create a Windows environment for the tests, and delete its 800 MB of files after the last
    test.
    """
    folder = tmp_path_factory.mktemp("wine")
    (folder / "prefix").mkdir()
    windows = WineCmd(prefix=folder / "prefix", certreq=folder / "certreq.exe")
    windows.environment = {
        **os.environ,
        "WINEPREFIX": str(windows.prefix),
        "WINEDEBUG": "-all",
        # Without these settings, Wine installs .NET and a browser, and adds entries to the desktop
        # menu.
        "WINEDLLOVERRIDES": "mscoree=;mshtml=;winemenubuilder.exe=",
    }
    build = [GO or "go", "build", "-gcflags=all=-N -l", "-o", windows.certreq, _SOURCE]
    subprocess.run(build, check=True, env={**os.environ, **_BUILD})
    # The Wine server runs until the last test ends, because starting it for each run takes seconds.
    for command in (["wineserver", "-p"], [WINE or "wine", "cmd", "/c", "exit"]):
        subprocess.run(
            command,
            env=windows.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    yield windows
    subprocess.run(["wineserver", "-k"], env=windows.environment, check=False)
    shutil.rmtree(windows.prefix, ignore_errors=True)
