"""Create SSH keys with the program ssh-keygen, for tests of approvals."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needs_ssh_keygen = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="needs ssh-keygen (openssh-client)"
)


def make_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> str:
    """Create a key pair, and return the line with its public key. ``passphrase`` protects the
    private key.
    """
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path.with_name(f"{path.name}.pub").read_text().strip()


def sign_by_hand(key: Path, file: Path, namespace: str = "lyncnb-plan") -> None:
    """Sign a file without lyncnb, with the command that the plan document shows."""
    file.with_name(f"{file.name}.sig").unlink(missing_ok=True)
    command = ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", str(key), str(file)]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
