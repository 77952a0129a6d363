"""SSH keys for the tests of approvals, made by the real ssh-keygen; the repository has none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needs_ssh_keygen = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="needs ssh-keygen (openssh-client)"
)


def make_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> str:
    """Make a key pair and return its public line; ``passphrase`` is one of the test's own."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path.with_name(f"{path.name}.pub").read_text().strip()


def sign_by_hand(key: Path, file: Path, namespace: str = "lyncnb-plan") -> None:
    """Sign a file as who has no lyncnb does: the line that the plan itself shows."""
    file.with_name(f"{file.name}.sig").unlink(missing_ok=True)
    command = ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", str(key), str(file)]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
