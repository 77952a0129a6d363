"""If two runs write at the same time to a disk on which locks have no effect, lyncnb reports every
request whose key is missing.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest
from folders import PASSPHRASE, certify, plan_of_servers, write

from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.authorities.status import folder_status
from lyncnb.base.disk import system_calls
from lyncnb.base.disk.folder_lock import OWNER_NAME
from lyncnb.deploy.purge_keys import purge
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import BundleError
from lyncnb.pki import csr, keys
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.change_passphrase import rekey

pytestmark = pytest.mark.usefixtures("quick_cipher")

# A program that writes requests when it reads a job. Every process gets the lock, as on file
# systems such as sshfs and rclone. The two processes use the names of different computers or the
# same name.
WRITER = """
import filelock, json, sys, time
from pathlib import Path
from folders import lower_rounds, plan_of_servers, write
from lyncnb.base.disk import folder_lock
from lyncnb.errors import LyncnbError

class Nobody:
    def __init__(self, path, *arguments, **keywords): self.lock_file = path
    def acquire(self, timeout=-1): pass
    def release(self): pass

filelock.FileLock = Nobody
if sys.argv[1]:
    folder_lock.platform.node = lambda: sys.argv[1]
lower_rounds()
print("ready", flush=True)
for line in sys.stdin:
    folder, count, begin = json.loads(line)
    time.sleep(max(0, begin - time.time()))
    try:
        done = str(write(plan_of_servers(count), Path(folder), lock_seconds=0.5).counts())
    except LyncnbError as error:
        done = type(error).__name__ + ": " + error.message
    print(json.dumps(done), flush=True)
"""


@pytest.fixture(params=["two computers", "one computer"])
def writers(request):
    """Start two processes that write request folders."""
    names = ("one", "other") if request.param == "two computers" else ("", "")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for name in names
    ]
    assert [writer.stdout.readline() for writer in started] == ["ready\n"] * 2
    yield started
    for writer in started:
        writer.stdin.close()
        writer.wait()
        writer.stdout.close()


def find_unreported_csrs(folder: Path) -> list[str]:
    """Return each CSR that has no key, unless the status command reports the CSR."""
    cipher, problems = FolderCipher(PASSPHRASE), " ".join(map(str, folder_status(folder).problems))
    missing = []
    for path in (*(folder / "csr").glob("*.csr"), *(folder / "archive").glob("*.csr")):
        subfolder = "keys" if path.parent.name == "csr" else "archive"
        key = folder / subfolder / f"{path.stem}.key"
        request = csr.parse_request(path.read_bytes())
        if key.exists() and keys.is_key_pair(
            cipher.decrypt(key.read_bytes(), name=key.name), request.public_key
        ):
            continue
        if path.name not in problems and key.name not in problems:
            missing.append(path.name)
    return missing


def test_every_request_without_a_key_is_reported(tmp_path, writers):
    """After two simultaneous runs, lyncnb reports every request without a key. A third run
    completes the folder.
    """
    chance, outcomes = random.Random(36), []
    for number in range(int(os.environ.get("LYNCNB_LOCK_PAIRS", "1"))):
        folder, count = tmp_path / str(number), chance.choice((20, 150))
        start_time = time.time() + 0.1
        for writer in writers:
            later = start_time + chance.choice((0, 0, chance.random() * 0.3))
            print(json.dumps([str(folder), count, later]), file=writer.stdin, flush=True)
        outcomes.append([json.loads(writer.stdout.readline()) for writer in writers])
        assert find_unreported_csrs(folder) == [], outcomes[-1]
        (folder / ".lock.owner").unlink(missing_ok=True)
        try:
            write(plan_of_servers(count), folder)
            assert folder_status(folder).problems == (), outcomes[-1]
        except BundleError as error:
            outcomes[-1].append(f"third: {error.problems or error.message}")
        assert find_unreported_csrs(folder) == [], outcomes[-1]
    for outcome in outcomes:
        print(outcome)
    assert any("created" in text for outcome in outcomes for text in outcome)


DAY = date(2026, 12, 5)
NAME = plan_of_servers(1).certificates[0].id
THERE = "planner on another.contoso.com, process 7, since 2026-11-24T08:00:00+00:00\n"


def _receive(folder):
    certify(folder, NAME, today=DAY)


def _package(folder):
    write_pfx(
        match_certificates(open_requests(folder), today=DAY),
        passphrase=PASSPHRASE,
        workers=1,
        today=DAY,
    )


def _purge(folder):
    options = {"passphrase": PASSPHRASE, "deployed": [NAME], "today": DAY}
    purge(folder, confirmed=purge(folder, **options), **options)


def _rekey(folder):
    rekey(folder, PASSPHRASE, "another passphrase")


def _request(folder):
    write(plan_of_servers(2), folder)


@pytest.mark.parametrize(
    ("before", "run"),
    [
        ((), _request),
        ((), _rekey),
        ((), _receive),
        ((_receive,), _package),
        ((_receive, _package), _purge),
    ],
    ids=lambda command: command.__name__[1:] if callable(command) else "",
)
def test_a_run_that_is_taken_over_changes_no_file(tmp_path, monkeypatch, before, run):
    """Before a command writes, replaces or removes a file, it checks that no other run has taken
    over the folder.
    """
    folder = tmp_path / "requests"
    write(plan_of_servers(1), folder)
    for earlier in before:
        earlier(folder)

    def counted():
        paths = [
            path
            for subfolder in ("csr", "keys", "returned", "pfx")
            for path in folder.glob(f"{subfolder}/*")
        ]
        return {
            path.name: path.read_bytes()
            for path in paths
            if path.is_file() and path.suffix != ".enc"
        }

    files_before, real = counted(), system_calls.open

    def opened(path, flags, *mode):
        # Another computer takes over the folder as soon as this run creates its second file. The
        # first file is the note that holds the lock.
        if flags & os.O_EXCL and (folder / OWNER_NAME).exists():
            (folder / OWNER_NAME).write_text(THERE)
        return real(path, flags, *mode)

    monkeypatch.setattr(system_calls, "open", opened)
    with pytest.raises(BundleError, match="is now in use by planner on another"):
        run(folder)
    monkeypatch.undo()
    assert {name: data for name, data in counted().items() if ".tmp-" not in name} == files_before
    assert (folder / OWNER_NAME).read_text() == THERE
