"""Kill each command that writes, over renewals, at each system call, and run it again.

LYNCNB_KILLED_RENEWALS sets how many of the calls of each command are tried, or ``all``. CI tries a
tenth, chosen with a seed that the test prints.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import re
import shutil
import signal
import time
import zipfile
from pathlib import Path

import pytest
from administrative_tools import request_on_computer
from cas.python_ca import PythonCa, pem
from failing import fail_one_call
from folders import (
    PASSPHRASE,
    issue_all,
    lose_record,
)
from ssh_keys import make_key, needs_ssh_keygen
from topologies import TWO_FRONT_ENDS

from lyncnb.cli import main
from lyncnb.deploy.package_passwords import PasswordList
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.pki.pkcs12 import open_pfx
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.recovery_key import open_recovery_key, read_recovery_key

pytestmark = [
    pytest.mark.usefixtures("quick_cipher"),
    pytest.mark.fault,
    pytest.mark.posix,
    pytest.mark.tools,
    needs_ssh_keygen,
]

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


def new_packages(before: Path, folder: Path) -> dict[str, bytes]:
    """Return the packages that a run has created. Each package opens with its listed password."""
    passwords = PasswordList(folder, FolderCipher(PASSPHRASE))
    packages = {}
    for path in (folder / "pfx").glob("*.pfx"):
        data, old = path.read_bytes(), before / "pfx" / path.name
        digest = hashlib.sha256(data).hexdigest()
        assert open_pfx(data, passwords.get_password(digest)).key_spki_sha256
        if not old.is_file() or old.read_bytes() != data:
            packages[path.name] = data
    return packages


def describe_products(states: States, folder: Path) -> object:
    """Return what a command made next to the folder: a package for CAs, a pair, or an approval."""
    archive, pair, plan = (folder.with_name(name) for name in ("new.zip", "new", "new.json"))
    # A temporary file next to the output remains, because only a folder has a lock for its files.
    names = sorted(path.name for path in folder.parent.glob("[!.]*") if path.is_file())
    if archive.is_file():
        return names, sorted(zipfile.ZipFile(archive).namelist())
    if pair.is_file():
        public = read_recovery_key(f"{pair}.pub")
        return names, open_recovery_key(pair, PASSPHRASE).public == public
    if f"{plan.name}.sig" in names:
        signers = ("--approved-by", states.parent / "signers")
        return names, run("request", "--plan", plan, *signers, folder, "--dry-run")[0]
    return names


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
        lose_record(lost)
        self.commands["rebuild"] = (lost, "status", "F", "*", "--rebuild", *secret)
        folder = self.begin("issued", folder)
        self.do("receive", folder, parent / "renewed.pem")
        self.commands["pfx"] = (folder, "pfx", "F", *secret)
        folder = self.begin("packaged", folder)
        self.do("pfx", folder, *secret)
        self.commands["pfx again"] = (folder, "pfx", "F", "--target-os", "2022", *secret)
        self.commands["steps"] = (folder, "steps", "F")
        self.commands["deployed"] = (folder, "deployed", "F")
        folder = self.begin("deployed", folder)
        self.do("deployed", folder)
        self.commands["handover"] = (self.parent / "renewed", "handover", "F", "N.zip", *secret)
        self.commands["recovery"] = (folder, "recovery", "new", "N", *secret)
        self.approve(self.parent / "first")
        self.request_on_servers()
        token = re.search(r"token\s+([0-9a-f]{8})", self.do("purge", folder, *secret))[1]
        self.commands["purge"] = (folder, "purge", "F", "--confirm", token, *secret)

    def approve(self, folder: Path) -> None:
        """Let the second generation need an approval."""
        plan = self.parent / "plan.json"
        public = make_key(self.parent / "alice")
        (self.parent / "signers").write_text(f"alice@contoso.com {public}\n")
        self.do("plan", self.parent / "changed.csv", "--save", plan)
        digest = hashlib.sha256(plan.read_bytes()).hexdigest()
        approve = ("approve", "N.json", "--key", self.parent / "alice", "--confirm", digest)
        self.commands["approve"] = (folder, *approve)

    def request_on_servers(self) -> None:
        """Renew requests whose keys are on another computer, and create the requests there."""
        folder, computer = self.begin("elsewhere"), self.parent / "tools01"
        self.do("steps", self.parent / "estate.csv", "--request-on-server", "-o", folder)
        first = request_on_computer(folder, computer)
        requests = [part for path in first for part in ("--request", path)]
        self.do("receive", folder, *requests, "--computer", "tools01.contoso.com")
        self.do("receive", folder, self.answer(folder))
        self.do("renew", folder, "*", "--reason", "yearly")
        second = request_on_computer(folder, self.parent / "tools01-renewed")
        requests = [part for path in second for part in ("--request", path)]
        arguments = ("receive", "F", *requests, "--computer", "tools01.contoso.com")
        self.commands["receive requests"] = (folder, *arguments)

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
    *("pfx again", "receive requests", "handover", "recovery", "approve"),
)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_is_repeated(states, tmp_path, name, record_property):
    """If a command on renewals is killed before any system call, the same command succeeds, and the
    status is then the same as after a run that was not killed.
    """
    before, *command = states.commands[name]

    def start(folder: Path) -> list[object]:
        shutil.copytree(before, folder)
        for path in tmp_path.glob("new*"):
            path.unlink()
        shutil.copyfile(states.parent / "plan.json", tmp_path / "new.json")
        names = {"F": folder, "N": tmp_path / "new"}
        names |= {f"N.{ending}": tmp_path / f"new.{ending}" for ending in ("json", "zip")}
        return [names.get(argument, argument) for argument in command]

    folder = tmp_path / "requests"
    arguments = start(folder)
    count, status, text = count_calls(*arguments)
    assert status in (0, 1), text
    expected = (describe_status(folder), describe_products(states, folder))
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
        place = f"seed {seed}, {name} killed before call {call} of {count}"
        packages = new_packages(before, folder) if name.startswith("pfx") else {}
        status, text = run(*arguments)
        assert status in ordinary, f"{place}: {text}"
        if packages:
            assert packages.items() <= new_packages(before, folder).items(), place
        assert (describe_status(folder), describe_products(states, folder)) == expected, place
