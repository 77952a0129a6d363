"""Create request folders for tests with the JavaScript of the planner page, in Node.js."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from folders import PASSPHRASE, TODAY
from places import REPOSITORY

from lyncnb.page.request_folder_of import build_folder_files, prepare_folder
from lyncnb.page.runtime import ZXCVBN
from lyncnb.plan.model import CertificatePlan

NOW = f"{TODAY}T00:00:00Z"
SCRIPT = REPOSITORY / "lyncnb" / "page" / "keys.js"
_DRIVER = Path(__file__).with_name("make_request_zip.js")


@dataclass(frozen=True)
class Made:
    """An archive that the page created, and every message that the page sent before the archive was
    complete.
    """

    archive: bytes
    messages: tuple[dict[str, Any], ...]

    def unpack(self, folder: Path) -> Path:
        """Unpack the archive with the file modes that it contains, and return the request folder."""
        (folder / "requests.zip").write_bytes(self.archive)
        command = ["unzip", "-q", folder / "requests.zip", "-d", folder]
        subprocess.run(command, check=True)
        return folder / "requests"


class RefusedByPage(Exception):
    """The error that the planner page shows instead of creating an archive."""


def make_archive(plan: CertificatePlan, *, passphrase: str = PASSPHRASE, **arguments: Any) -> Made:
    """Create the archive with the requests of a plan in the same way as the planner page."""
    arguments = {"findings": (), **arguments}
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "requests.zip"
        page = _Page(
            contents=prepare_folder(plan, NOW, **arguments),
            passphrase=passphrase,
            archive=str(archive),
        )
        messages = []
        for message in page:
            messages.append(message)
            if "hashes" in message:
                page.send(build_folder_files(plan, NOW, message["hashes"], **arguments))
        if "error" in messages[-1]:
            raise RefusedByPage(messages[-1]["error"])
        return Made(archive.read_bytes(), tuple(messages))


def find_problems(plan: CertificatePlan, passphrases: Sequence[str]) -> list[str]:
    """Return the problem that the planner page finds in each passphrase, or "" for a valid one."""
    contents = prepare_folder(plan, NOW, findings=())
    (message,) = _Page(contents=contents, passphrases=list(passphrases))
    return message["problems"]


class _Page:
    """A Node.js process that runs the script of the planner page."""

    def __init__(self, **task: Any):
        self._process = subprocess.Popen(
            ["node", _DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.send({"script": str(SCRIPT), "zxcvbn": str(zxcvbn()), **task})

    def send(self, message: object) -> None:
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def __iter__(self):
        with self._process:
            for line in self._process.stdout:
                yield json.loads(line)
        assert self._process.returncode == 0


@cache
def zxcvbn() -> Path:
    """Return the JavaScript file of zxcvbn from npm, or skip the test if npm cannot download it."""
    folder = Path(tempfile.mkdtemp())
    command = ["npm", "pack", str(ZXCVBN), "--silent", "--pack-destination", folder]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip(f"npm cannot get {ZXCVBN}: {result.stderr.strip()[:200]}")
    (packed,) = folder.iterdir()
    assert hashlib.sha512(packed.read_bytes()).hexdigest() == ZXCVBN.sha512
    subprocess.run(["tar", "xzf", packed, "-C", folder], check=True)
    return folder / "package" / "dist" / "zxcvbn.js"
