"""lyncnb runs only programs on the system's path, and no program in the folder of a plan."""

from __future__ import annotations

import shutil

import pytest

from lyncnb.base.disk.system_calls import find_program
from lyncnb.base.shown.browser_print import find_chromium
from lyncnb.errors import ApprovalError, NotebookError
from lyncnb.pki.ssh_signatures import find_ssh_keygen


@pytest.mark.posix
@pytest.mark.parametrize("path", ["", ".", ":/nowhere", "bin:."])
def test_program_in_the_current_folder_is_not_run(tmp_path, monkeypatch, path):
    """A program in the current folder, or in a folder relative to it, is never run, because an
    attacker may have sent it with a plan.
    """
    (tmp_path / "bin").mkdir()
    for name in ("ssh-keygen", "chromium", "bin/ssh-keygen", "bin/chromium"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", path)
    monkeypatch.delenv("LYNCNB_CHROMIUM", raising=False)
    with pytest.raises(ApprovalError, match="ssh-keygen is not installed"):
        find_ssh_keygen()
    with pytest.raises(NotebookError, match="lyncnb needs a Chromium browser"):
        find_chromium()
    monkeypatch.setenv("LYNCNB_CHROMIUM", "bin/chromium")
    with pytest.raises(NotebookError, match="lyncnb needs a Chromium browser"):
        find_chromium()
    monkeypatch.setenv("LYNCNB_CHROMIUM", str(tmp_path / "bin" / "chromium"))
    assert find_chromium() == str(tmp_path / "bin" / "chromium")


def test_a_program_of_the_system_is_found():
    """lyncnb finds a program in the same folder in which a shell finds it."""
    assert find_program("sh") == shutil.which("sh")
