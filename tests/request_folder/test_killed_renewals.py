"""Kill each command that writes, over renewals, at each system call, and run it again.

LYNCNB_KILLED_RENEWALS sets how many of the calls of each command are tried, or ``all``. CI tries a
tenth, chosen with a seed that the test prints.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from cas.python_ca import PythonCa, pem
from failing import fail_one_call
from folders import PASSPHRASE, issue_all
from topologies import TWO_FRONT_ENDS

from lyncnb.cli import main
from lyncnb.request_folder.bundle import open_requests

pytestmark = [pytest.mark.usefixtures("quick_cipher"), pytest.mark.fault, pytest.mark.posix]

#: The types of system calls before which a command is killed.
KINDS = ("write", "fsync", "link", "rename", "replace", "unlink", "mkdir")
TRIED = os.environ.get("LYNCNB_KILLED_RENEWALS", "tenth")


def run(*arguments: object) -> tuple[int, str]:
    """Run a command, and return its exit status and its output."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        status = main([str(argument) for argument in arguments])
    return status, text.getvalue()


def run_killed(call: int | None, *arguments: object) -> int:
    """Run a command in a process that is killed before a system call. Return how it ended."""

    def die(name: str) -> BaseException:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError(name)

    child = os.fork()
    if child == 0:
        with fail_one_call(call, die, KINDS):
            status, _ = run(*arguments)
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def count_calls(*arguments: object) -> tuple[int, int, str]:
    """Run a command that is not killed, and return the number of its calls, and how it ended."""
    with fail_one_call(None, RuntimeError, KINDS) as calls:
        status, text = run(*arguments)
    return calls.count, status, text


def describe_status(folder: Path) -> tuple[int, str]:
    """Return the status of a folder, without what differs between two runs of a command."""
    status, text = run("status", folder)
    # A key without its CSR goes to the archive. No CA has its request.
    note = r"note: archive/ contains [0-9]+ files? without a record: [^ ]+-orphan-[^ ]+key[^\n]*\n"
    text = re.sub(note, "", text)
    # A repeat that is refused, because the killed run had finished, leaves the note of its lock.
    lock = r"note: another lyncnb command is writing [^\n]*\n(  [^\n]*\n)*"
    text = re.sub(lock, "", text)
    return status, re.sub(r"[0-9a-f]{8,}|[0-9]{2}:[0-9]{2}(:[0-9]{2})?Z?|[0-9]+ ms", "#", text)


class States:
    """Request folders at each step of the second generation, and the commands that follow."""

    def __init__(self, parent: Path):
        self.parent, self.ca = parent, PythonCa()
        (parent / "passphrase").write_text(PASSPHRASE)
        (parent / "new").write_text("wrong mule capacitor")
        (parent / "estate.csv").write_text(TWO_FRONT_ENDS)
        (parent / "changed.csv").write_text(TWO_FRONT_ENDS.replace("meet.", "meeting."))
        secret = ("--passphrase-file", parent / "passphrase")
        self.secret, self.commands = secret, {}
        folder = self.begin("first")
        self.do("request", parent / "estate.csv", folder, *secret)
        self.do("receive", folder, self.answer(folder))
        self.do("pfx", folder, *secret)
        self.do("deployed", folder)
        renew = ("--reason", "yearly", *secret)
        self.commands["request"] = (folder, "request", parent / "changed.csv", "F", *secret)
        self.commands["renew"] = (folder, "renew", "F", "fe01", "fe02", *renew)
        folder = self.begin("renewed", folder)
        self.do("renew", folder, "*", *renew)
        self.commands["receive"] = (folder, "receive", "F", self.answer(folder))
        new = ("--new-passphrase-file", parent / "new")
        self.commands["rekey"] = (folder, "rekey", "F", *secret, *new)
        lost = self.begin("lost", folder)
        (lost / "manifest.json").unlink()
        self.commands["rebuild"] = (lost, "status", "F", "*", "--rebuild", *secret)
        folder = self.begin("issued", folder)
        self.do("receive", folder, parent / "renewed.pem")
        self.commands["pfx"] = (folder, "pfx", "F", *secret)
        folder = self.begin("packaged", folder)
        self.do("pfx", folder, *secret)
        self.commands["steps"] = (folder, "steps", "F")
        self.commands["deployed"] = (folder, "deployed", "F")
        folder = self.begin("deployed", folder)
        self.do("deployed", folder)
        token = re.search(r"token\s+([0-9a-f]{8})", self.do("purge", folder, *secret))[1]
        self.commands["purge"] = (folder, "purge", "F", "--confirm", token, *secret)

    def begin(self, name: str, before: Path | None = None) -> Path:
        """Return a new folder, which begins as a copy of another one."""
        folder = self.parent / name
        if before is not None:
            shutil.copytree(before, folder)
        return folder

    def do(self, *arguments: object) -> str:
        """Run a command that makes a state."""
        status, text = run(*arguments)
        assert status == 0, text
        return text

    def answer(self, folder: Path) -> Path:
        """Issue the certificates of a folder, and return the file that contains them."""
        path = self.parent / f"{folder.name}.pem"
        bundle = open_requests(folder)
        path.write_bytes(pem(*issue_all(bundle, self.ca).values(), *self.ca.chain))
        return path


@pytest.fixture(scope="module")
def states(tmp_path_factory, quick_cipher):
    """Return the folders and the commands. The table has three requests."""
    return States(tmp_path_factory.mktemp("states"))


COMMANDS = (
    *("request", "renew", "receive", "rekey", "rebuild"),
    *("pfx", "steps", "deployed", "purge"),
)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_is_repeated(states, tmp_path, name, record_property):
    """If a command on renewals is killed before any system call, the same command succeeds, and the
    status is then the same as after a run that was not killed.
    """
    before, *command = states.commands[name]

    def start(folder: Path) -> list[object]:
        shutil.copytree(before, folder)
        return [folder if argument == "F" else argument for argument in command]

    folder = tmp_path / "requests"
    arguments = start(folder)
    count, status, text = count_calls(*arguments)
    assert status in (0, 1), text
    expected = describe_status(folder)
    # A renewal that is already complete is refused, because its request waits for the CA.
    ordinary = {0, status, run(*arguments)[0]}
    seed = int(os.environ.get("LYNCNB_SEED", time.time()))
    record_property("seed", seed)
    calls = (
        range(count)
        if TRIED == "all"
        else random.Random(seed).sample(range(count), max(2, count // 10))
    )
    for call in calls:
        shutil.rmtree(folder)
        arguments = start(folder)
        assert run_killed(call, *arguments) == -signal.SIGKILL
        status, text = run(*arguments)
        place = f"seed {seed}, {name} killed before call {call} of {count}"
        assert status in ordinary, f"{place}: {text}"
        assert describe_status(folder) == expected, place
