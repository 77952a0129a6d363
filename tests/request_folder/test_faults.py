"""If a run was interrupted, the next run completes the folder, and each CSR on the disk still has
its key.

These tests do not cover a loss of power: data that a killed process wrote stays in the system's
memory. The order of the system calls limits what a loss of power can undo. It is traced below.
"""

from __future__ import annotations

import errno
import itertools
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from failing import ESSENTIAL, KINDS, fail_one_call
from folder_writer import Writers, next_share
from folders import (
    P256,
    PASSPHRASE,
    assert_complete,
    assert_private,
    certificate,
    certify,
    csr_path,
    key_path,
    lose_record,
    plan_of,
    plan_of_servers,
    public_keys_of_keys,
    public_keys_of_requests,
    with_extra_names,
    write,
)
from places import REPOSITORY

from lyncnb.authorities.status import folder_status
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.deploy.purge_keys import purge
from lyncnb.errors import BundleError
from lyncnb.request_folder.change_passphrase import rekey
from lyncnb.request_folder.manifest import read_manifest
from lyncnb.request_folder.rebuild_manifest import rebuild_manifest

pytestmark = [pytest.mark.usefixtures("quick_cipher"), pytest.mark.fault]

NEW = "wrong mule capacitor"
# The number of runs that each test kills. A full test sets it to 200. Tests that change the
# passphrase kill a fifth of this number.
KILLS = int(os.environ.get("LYNCNB_KILLS", "20"))
ERRORS = {
    "ENOSPC": errno.ENOSPC,
    "EIO": errno.EIO,
    "EACCES": errno.EACCES,
    "Ctrl-C": None,
}
# The error number of a failed system call affects only the hint, so the test does not try all
# combinations. It selects a third of the calls and one error for each call at random, with a fixed
# seed. With LYNCNB_ERRORS=all, every call fails with every error.
OF_THE_SYSTEM = ("ENOSPC", "EIO", "EACCES")


def error_of(name):
    """Return the error of a system call, or KeyboardInterrupt."""
    number = ERRORS[name]
    if number is None:
        return lambda call: KeyboardInterrupt(call)
    return lambda call: OSError(number, os.strerror(number))


# --- In the following tests, each system call fails in turn.


def first_run(folder):
    """Write three requests to a new folder.

    Like ECDSA requests, they are synced to disk together.
    """
    return write(THREE, folder)


def single_run(folder):
    """Write two requests with RSA keys, one at a time, from several threads."""
    return write(RSA, folder)


def changed_run(folder):
    """Write a changed plan: one of three requests is renewed, and another one is retired."""
    return write(CHANGED, folder)


def changed_passphrase(folder):
    """Change the passphrase of three current keys and one archived key."""
    return rekey(folder, PASSPHRASE, NEW)


THREE = plan_of_servers(3)
CHANGED = plan_of(
    with_extra_names(THREE, 0, "sip.contoso.com").certificates[0], *THREE.certificates[1:2],
    certificate(7),
)  # fmt: skip


def prepare_nothing(folder):
    """Do nothing, so that the run creates the request folder."""


def prepare_request_folder(folder):
    """Create the request folder before the run that changes it."""
    write(THREE, folder)


def prepare_archived(folder):
    """Write a request folder that contains a superseded generation."""
    write(THREE, folder)
    write(THREE, folder, renew=[THREE.certificates[0].id], reason="x")


RSA = plan_of_servers(2, key=KeyParameters())
CASES = {
    "first run": (prepare_nothing, first_run, THREE),
    "RSA run": (prepare_nothing, single_run, RSA),
    "changed run": (prepare_request_folder, changed_run, CHANGED),
    "rekey": (prepare_archived, changed_passphrase, THREE),
}


@pytest.mark.parametrize("error", ["of the system", "Ctrl-C"])
@pytest.mark.parametrize("case", CASES)
def test_each_call_fails_in_turn(tmp_path, case, error, record_property):
    """Whichever system call fails, the error message is clear, no key is lost, and the next run
    completes the folder.
    """
    prepare, run, plan = CASES[case]
    prepare(tmp_path / "original")
    # Ctrl+C is tested at the system calls that protect keys. Errors are tested at every system
    # call.
    kinds, errors = (ESSENTIAL, [error]) if error == "Ctrl-C" else (KINDS, OF_THE_SYSTEM)
    with fail_one_call(None, OSError, kinds) as counted:
        shutil_copy(tmp_path / "original", tmp_path / "counted")
        run(tmp_path / "counted")
    outcomes, chance = Counter(), random.Random(case)
    faults = [*itertools.product(range(counted.count), errors)]
    if error != "Ctrl-C" and os.environ.get("LYNCNB_ERRORS") != "all":
        faults = chance.sample(faults, counted.count // 3)
    for number, name in faults:
        folder = tmp_path / f"{number}-{name}"
        shutil_copy(tmp_path / "original", folder)
        seen = public_keys_of_requests(folder)
        with fail_one_call(number, error_of(name), kinds) as calls:
            try:
                run(folder)
                outcomes["went on"] += 1
            except BundleError as problem:
                outcomes["told" if "hint:" in str(problem) else "told without a hint"] += 1
            except KeyboardInterrupt:
                outcomes["interrupted"] += 1
        # Several threads sync files at the same time, so the order of the calls varies slightly.
        assert calls.failed or number > counted.count - 12
        seen |= public_keys_of_requests(folder)
        assert seen <= public_keys_of_keys(folder, PASSPHRASE, NEW), calls.failed
        assert_private(folder)
        run_next_command(folder, case, plan, seen)
        shutil.rmtree(folder, ignore_errors=True)
    assert not outcomes["told without a hint"]
    print(
        f"\n{case}, {error}: {len(faults)} of {counted.count} calls failed; {dict(outcomes)}",
        end="",
    )
    record_property("calls", counted.count)


def shutil_copy(source, target):
    """Copy a folder with its permissions, if the folder exists."""
    if source.exists():
        shutil.copytree(source, target)


def run_next_command(folder, case, plan, seen):
    """Run the next command of the planner, and check that no key is lost."""
    passphrase = PASSPHRASE
    if case == "rekey":
        passphrase = NEW
        if read_manifest(folder).rekeying or PASSPHRASE == passphrase_of(folder):
            rekey(folder, PASSPHRASE, NEW)
        rekey(folder, NEW, PASSPHRASE)
        passphrase = PASSPHRASE
    write(plan, folder, passphrase=passphrase)
    assert_complete(folder, plan, seen)
    counts = write(plan, folder, passphrase=passphrase).counts()
    assert counts == {"kept": len(plan.certificates)}


def passphrase_of(folder):
    """Return the passphrase with which all keys in a folder can be decrypted."""
    try:
        public_keys_of_keys(folder, NEW)
    except BundleError:
        return PASSPHRASE
    return NEW


@pytest.mark.parametrize("error", ["ENOSPC", "Ctrl-C"])
def test_a_failed_purge_is_completed(tmp_path, error):
    """If any call fails during a purge, lyncnb removes no keys other than the confirmed ones. A
    second purge with the same confirmation removes the rest.
    """
    original = tmp_path / "original"
    prepare_archived(original)
    certify(original, *(record.id for record in read_manifest(original).requests[:2]), days=90)
    write(
        plan_of(THREE.certificates[2]), original
    )  # Two of the requests are not in the plan anymore.
    day = {"today": date(2027, 3, 1)}
    kinds = (*ESSENTIAL, "unlink")
    with fail_one_call(None, error_of(error), kinds) as counted:
        shutil.copytree(original, tmp_path / "counted")
        purge(tmp_path / "counted", confirmed=purge(original, **day).token, **day)
    remaining_keys = public_keys_of_keys(tmp_path / "counted")
    assert (
        len(remaining_keys) == 2
        # One key belongs to a planned request, and one to a superseded request that the CA may have
        # received.
    )
    for number in range(counted.count):
        folder = tmp_path / str(number)
        shutil.copytree(original, folder)
        purge_list = purge(folder, **day)
        with (
            fail_one_call(number, error_of(error), kinds),
            suppress(BundleError, KeyboardInterrupt),
        ):
            purge(folder, confirmed=purge_list, **day)
        assert remaining_keys <= public_keys_of_keys(folder)
        assert public_keys_of_requests(folder) <= public_keys_of_keys(folder)
        purge(folder, confirmed=purge(folder, **day), **day)
        write(THREE, folder)
        assert_complete(folder, THREE)
        # After the purge is completed, archive/ does not contain files from the interrupted purge.
        remaining_files = {path.stem[:-9] for path in (folder / "archive").glob("*-????????.*")}
        assert remaining_files == {THREE.certificates[0].id}


@pytest.mark.parametrize("error", ["ENOSPC", "Ctrl-C"])
def test_each_call_of_a_rebuild_fails_in_turn(tmp_path, error):
    """If a rebuild of the manifest fails, every key can still be decrypted, and the next rebuild
    succeeds.
    """
    original = tmp_path / "original"
    prepare_archived(original)
    lose_record(original)
    csr_path(original, THREE.certificates[1].id).unlink()
    before = public_keys_of_keys(original)
    kinds = (*ESSENTIAL, "unlink", "mkdir")
    with fail_one_call(None, error_of(error), kinds) as counted:
        shutil.copytree(original, tmp_path / "counted")
        rebuild_manifest(tmp_path / "counted", PASSPHRASE)
    for number in range(counted.count):
        folder = tmp_path / str(number)
        shutil.copytree(original, folder)
        with (
            fail_one_call(number, error_of(error), kinds),
            suppress(BundleError, KeyboardInterrupt),
        ):
            rebuild_manifest(folder, PASSPHRASE)
        assert public_keys_of_keys(folder) == before
        rebuild_manifest(folder, PASSPHRASE)
        write(THREE, folder)
        assert before <= public_keys_of_keys(folder)
        assert_complete(folder, THREE)


# --- The following tests kill runs at random times.


@pytest.fixture(scope="module")
def writers():
    """Return the writer processes. All tests share these processes, because importing lyncnb takes
    as long as many jobs.
    """
    with Writers() as writers:
        yield writers


def test_killed_at_random_moments(tmp_path, writers, record_property):
    """If a run with up to 200 requests is killed at a random time, no key is lost, and other users
    cannot read a key.
    """
    chance, outcomes, share = random.Random(20261124), Counter(), 1.0
    slow = _duration(writers, tmp_path / "slow", 200)
    quick = _duration(writers, tmp_path / "quick", 1)
    for number in range(KILLS):
        folder = tmp_path / str(number)
        # RSA keys and their requests are written one by one, from several threads.
        if number % 8 == 7:
            count = chance.randint(1, 4)
            seconds, key = quick + 0.05 * count, "RSA"
        else:
            count = round(math.exp(chance.uniform(0, math.log(200))))
            seconds, key = quick + (slow - quick) * count / 200, "ECDSA"
        outcome = _kill_one(writers, folder, count, seconds * share, chance, key)
        outcomes, share = outcomes + outcome, next_share(share, outcome)
        shutil.rmtree(folder)
    print(f"\n{KILLS} kills: {dict(outcomes)}", end="")
    record_property("kills", dict(outcomes))
    assert outcomes["killed"] > KILLS / 3


def _duration(writers, folder, count):
    start = time.monotonic()
    assert writers.wait(writers.start(folder=folder, count=count)) == 0
    return time.monotonic() - start


def _kill_one(writers, folder, count, seconds, chance, key):
    outcomes, seen = Counter(), set()
    parameters = KeyParameters() if key == "RSA" else P256
    # A third of the runs change an existing folder, and a sixth of the runs are killed twice.
    extra = {}
    if chance.random() < 1 / 3:
        write(plan_of_servers(count, key=parameters), folder)
        seen = public_keys_of_requests(folder)
        extra = {str(index): ["sip.contoso.com"] for index in range(0, count, 2)}
    for _ in range(1 + (chance.random() < 1 / 6)):
        pid = writers.start(folder=folder, count=count, extra=extra, key=key)
        if chance.random() < 1 / 2:
            _wait_for_keys(folder, seconds)
            time.sleep(chance.uniform(0, seconds / 3))
        else:
            time.sleep(chance.uniform(0, seconds))
        os.kill(pid, signal.SIGKILL)
        status = writers.wait(pid)
        assert status in (0, -signal.SIGKILL)
        outcomes["killed" if status else "finished before"] += 1
        if folder.exists():
            seen |= public_keys_of_requests(folder)
            assert seen <= public_keys_of_keys(folder)
            assert_private(folder)
    plan = plan_of_servers(count, key=parameters)
    for index, names in extra.items():
        plan = with_extra_names(plan, int(index), *names)
    outcomes.update(write(plan, folder).counts())
    assert_complete(folder, plan, seen)
    assert write(plan, folder).counts() == {"kept": count}
    return outcomes


def _wait_for_keys(folder, seconds):
    """Wait until a run has created another key file, which can still be incomplete."""
    end = time.monotonic() + seconds
    initial_count = len(os.listdir(folder / "keys")) if (folder / "keys").exists() else 0
    while time.monotonic() < end:
        if (folder / "keys").exists() and len(os.listdir(folder / "keys")) != initial_count:
            return
        time.sleep(0.0005)


def test_a_killed_change_of_passphrase_is_completed(tmp_path, writers):
    """If the process is killed while it changes the passphrase, all keys can still be decrypted.
    Running the command again completes the change.
    """
    chance, outcomes, plan = random.Random(7), Counter(), plan_of_servers(30)
    write(plan, tmp_path / "r")
    before = public_keys_of_keys(tmp_path / "r")
    job = {"do": "rekey", "old": PASSPHRASE, "new": NEW}
    shutil.copytree(tmp_path / "r", tmp_path / "measured")
    start = time.monotonic()
    assert writers.wait(writers.start(folder=tmp_path / "measured", **job)) == 0
    seconds = time.monotonic() - start
    for number in range(max(8, KILLS // 5)):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "r", folder)
        pid = writers.start(folder=folder, **job)
        time.sleep(chance.uniform(0, seconds / 2))
        os.kill(pid, signal.SIGKILL)
        outcomes["killed" if writers.wait(pid) else "finished before"] += 1
        assert public_keys_of_keys(folder, PASSPHRASE, NEW) == before
        assert_private(folder)
        if passphrase_of(folder) == PASSPHRASE or read_manifest(folder).rekeying:
            rekey(folder, PASSPHRASE, NEW)
        assert public_keys_of_keys(folder, NEW) == before
        assert write(plan, folder, passphrase=NEW).counts() == {"kept": 30}
    print(f"\nrekey: {dict(outcomes)}", end="")


# --- These tests check the order of the system calls.

_CALL = re.compile(r"^\d+ +(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)")
_PATH = re.compile(r'"([^"]+)"|\d+<([^>]+)>')


def write_under_strace(folder, plan_code, trace):
    """Write a folder under strace, and return each system call with its paths, in the order in
    which the calls ended.
    """
    program = (
        "import sys; import folders as kit; kit.lower_rounds(); from pathlib import Path; "
        f"kit.write({plan_code}, Path(sys.argv[1]))"
    )
    calls = "trace=openat,write,fsync,link,linkat,rename,renameat,renameat2,unlink,unlinkat"
    subprocess.run(
        ["strace", "-f", "-y", "-s", "4096", "-e", calls, "-o", trace,
         sys.executable, "-c", program, folder],
        check=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY / "tests")},
    )  # fmt: skip
    traced_calls, unfinished = [], {}
    for line in trace.read_text("utf-8", "replace").splitlines():
        thread, _, rest = line.partition(" ")
        if rest.rstrip().endswith("<unfinished ...>"):
            unfinished[thread] = rest.rstrip()[: -len(" <unfinished ...>")]
            continue
        if (resumed := re.match(r" *<\.\.\. \w+ resumed>(.*)", rest)) is not None:
            line = f"{thread} {unfinished.pop(thread)}{resumed[1]}"
        call = _CALL.match(line)
        if call and int(call["result"]) >= 0 and str(folder) in line:
            paths = [first or second for first, second in _PATH.findall(call["arguments"])]
            traced_calls.append((call["name"], [p for p in paths if str(folder) in p]))
    return traced_calls


def position(calls, names, *paths):
    """Return the position of the first call of a given type with the given paths."""
    for index, (name, call_paths) in enumerate(calls):
        if name in names and call_paths[: len(paths)] == list(paths):
            return index
    raise AssertionError(f"no {names} of {paths}")


@pytest.mark.parametrize(
    "plan_code",
    ["kit.plan_of_servers(3)", "kit.plan_of_servers(3, key=kit.KeyParameters())"],
    ids=["ECDSA", "RSA"],
)
def test_a_key_is_on_the_disk_before_its_csr(tmp_path, plan_code):
    """Before lyncnb writes a CSR, it announces the request in the record, writes the key,
    and syncs the file and its folder to the disk.
    """
    folder = tmp_path / "r"
    calls = write_under_strace(folder, plan_code, tmp_path / "trace")
    link_positions = {
        call_paths[1]: index for index, (name, call_paths) in enumerate(calls) if name == "link"
    }
    manifests = [
        index
        for index, (name, call_paths) in enumerate(calls)
        if name == "rename" and Path(call_paths[1]).parent == folder / "record"
    ]
    # The run saves its entry twice: it announces the requests, and then records the pairs.
    assert len(manifests) == 2
    for item in plan_of_servers(3).certificates:
        key, request = key_path(folder, item.id), csr_path(folder, item.id)
        for path in (key, request):
            temp = calls[link_positions[str(path)]][1][0]
            opened = position(calls, ("openat",), temp)
            written = position(calls, ("write",), temp)
            synced = position(calls, ("fsync",), temp)
            assert opened < written < synced < link_positions[str(path)]
        folder_synced = next(
            index
            for index in range(link_positions[str(key)], len(calls))
            if calls[index] == ("fsync", [str(folder / "keys")])
        )
        assert (
            manifests[0] < link_positions[str(key)] < folder_synced < link_positions[str(request)]
        )
        assert link_positions[str(request)] < manifests[1]
        recorded = [
            index
            for index in range(link_positions[str(request)], manifests[1])
            if calls[index] == ("fsync", [str(folder / "csr")])
        ]
        assert recorded, "the CSR's name is not on the disk when it is recorded"
    for index in manifests:
        temp = calls[index][1][0]
        assert position(calls, ("fsync",), temp) < index
        assert ("fsync", [str(folder)]) in calls[index:]
    # Each file that lyncnb opens for writing is a new temporary file, which O_EXCL guarantees.
    text = (tmp_path / "trace").read_text("utf-8", "replace")
    for line in text.splitlines():
        if "openat(" in line and "O_CREAT" in line and f"{folder}/" in line and ".lock" not in line:
            assert "O_EXCL" in line, line
            assert "O_NOFOLLOW" in line, line
            assert "/.tmp-lyncnb-" in line, line


def test_a_failed_purge_of_installed_certificates_is_completed(tmp_path):
    """If a call fails while lyncnb purges the keys of installed certificates, lyncnb has removed
    only such keys, and the next purge removes the rest.
    """
    original = tmp_path / "original"
    write(THREE, original)
    first = read_manifest(original).requests[0]
    certify(original, first.id)
    options = {"today": date(2026, 12, 5), "deployed": [first.id]}
    kinds = (*ESSENTIAL, "unlink")
    with fail_one_call(None, error_of("ENOSPC"), kinds) as counted:
        shutil.copytree(original, tmp_path / "counted")
        purge(tmp_path / "counted", confirmed=purge(original, **options).token, **options)
    remaining_keys = public_keys_of_keys(tmp_path / "counted")
    assert (len(remaining_keys), counted.count > 3) == (2, True)
    for number in range(counted.count):
        folder = tmp_path / str(number)
        shutil.copytree(original, folder)
        purge_list = purge(folder, **options)
        with fail_one_call(number, error_of("ENOSPC"), kinds), suppress(BundleError):
            purge(folder, confirmed=purge_list, **options)
        assert remaining_keys <= public_keys_of_keys(folder)
        purge(folder, confirmed=purge(folder, **options), **options)
        assert public_keys_of_keys(folder) == remaining_keys
        assert write(THREE, folder).counts() == {"kept": 3}
        assert folder_status(folder, today=options["today"]).problems == ()
