"""If one of the commands request, receive, pfx, rekey, recovery or purge is killed at any time, no
data is lost.

``test_faults`` kills commands that write requests without a recovery key. LYNCNB_KILLS sets how
many processes are killed at random moments, over all kinds. CI uses a tenth of it. In the steps
that wrap keys, the process is killed before one system call after the other:
LYNCNB_RECOVERY_STEPS of each kind, or ``all``. CI uses a tenth of them, chosen with a seed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter

import pytest
from cas.python_ca import PythonCa, pem
from failing import fail_one_call
from folder_writer import Writers, next_share, run_job
from folders import (
    PASSPHRASE,
    TODAY,
    assert_private,
    issue_all,
    plan_of,
    plan_of_servers,
    public_keys_of_keys,
    public_keys_of_requests,
    write,
)

from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.authorities.status import folder_status
from lyncnb.deploy.package_passwords import PasswordList
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import BundleError
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.change_passphrase import rekey
from lyncnb.request_folder.manifest import read_manifest
from lyncnb.request_folder.recovery_key import (
    create_recovery_key,
    open_recovery_key,
    read_recovery_key,
)

pytestmark = [pytest.mark.usefixtures("quick_cipher"), pytest.mark.fault]

KILLS = int(os.environ.get("LYNCNB_KILLS", "40"))
NEW = "wrong mule capacitor"
LATER = "2027-12-01"


@pytest.fixture(scope="module")
def states(tmp_path_factory, quick_cipher):
    """For each command that the tests kill, create a request folder in which the command can start."""
    tmp_path, plan = tmp_path_factory.mktemp("states"), plan_of_servers(6)
    folder = tmp_path / "states"
    folder.mkdir()
    create_recovery_key(tmp_path / "pair", PASSPHRASE)
    public, pair = f"{tmp_path}/pair.pub", f"{tmp_path}/pair"
    ca = PythonCa()
    written = folder / "written"
    write(plan, written)
    write(plan, written, renew=[plan.certificates[0].id], reason="x")
    bundle = open_requests(written)
    (tmp_path / "returned").mkdir()
    answers = issue_all(bundle, ca)
    (tmp_path / "returned" / "all.pem").write_bytes(pem(*answers.values(), *ca.chain))
    issued = shutil.copytree(written, folder / "issued")
    receive(issued, tmp_path / "returned", today=TODAY)
    packaged = shutil.copytree(issued, folder / "packaged")
    matched = match_certificates(open_requests(packaged), today=TODAY)
    write_pfx(matched, passphrase=PASSPHRASE, workers=1, today=TODAY)
    sealed = shutil.copytree(packaged, folder / "sealed")
    write(plan, sealed, recovery=[public])
    bare = shutil.copytree(sealed, folder / "bare")
    # If a command has nothing left to do, killing it is not a useful test.
    shutil.rmtree(bare / "pfx")
    unplanned = shutil.copytree(packaged, folder / "gone")
    write(
        plan_of(plan_of_servers(7).certificates[6]), unplanned
    )  # The other requests are not in the plan anymore, and their certificates will expire.
    fingerprint = read_recovery_key(public).fingerprint
    return {
        "request": (written, {"do": "request", "count": 8, "recovery": [public]}),
        "receive": (written, {"do": "receive", "returned": tmp_path / "returned"}),
        "pfx": (issued, {"do": "pfx"}),
        "pfx, sealed": (bare, {"do": "pfx"}),
        "rekey": (packaged, {"do": "rekey", "new": NEW}),
        "recovery": (packaged, {"do": "recovery", "public": public}),
        "with recovery": (sealed, {"do": "rekey", "pair": pair, "new": NEW}),
        "take out": (sealed, {"do": "rekey", "take_out": [fingerprint], "new": NEW}),
        "purge": (unplanned, {"do": "purge", "day": LATER}),
    }


@pytest.fixture(scope="module")
def writers():
    """Return the writer processes, which all tests share, because importing lyncnb takes as long as
    many jobs.
    """
    with Writers() as writers:
        yield writers


def test_killed_at_random_moments(tmp_path, states, writers, record_property):
    """If any command is killed, every request still has its key. If the user runs the command
    again, it succeeds.
    """
    chance, outcomes = random.Random(20261125), Counter()
    seconds, share = {}, 1.0
    for name, (state, job) in states.items():
        folder = shutil.copytree(state, tmp_path / "timed")
        start = time.monotonic()
        assert writers.wait(writers.start(folder=folder, **job)) == 0, name
        seconds[name] = time.monotonic() - start
        shutil.rmtree(folder)
    for number in range(KILLS):
        name = list(states)[number % len(states)]
        state, job = states[name]
        folder = shutil.copytree(state, tmp_path / "requests")
        outcome = kill_one(writers, folder, job, chance.uniform(0, seconds[name] * share))
        outcomes, share = outcomes + outcome, next_share(share, outcome)
        check_final_state(name, folder, states["with recovery"][1]["pair"])
        shutil.rmtree(folder)
    print(f"\n{KILLS} kills: {dict(outcomes)}", end="")
    record_property("kills", dict(outcomes))
    assert outcomes["killed"] > KILLS / 3


#: Commands that encrypt the passphrase of the folder for a recovery key, use a recovery key, or
#: remove it.
WRAPPING = ("request", "pfx, sealed", "recovery", "with recovery", "take out")


@pytest.mark.parametrize("name", WRAPPING)
def test_killed_at_each_step_of_a_recovery_command(
    tmp_path, states, writers, name, record_property
):
    """If a command is killed before any system call, the passphrase and the recovery key can still
    decrypt the folder, and the command can be repeated.
    """
    state, job = states[name]
    with fail_one_call(None, OSError) as counted:
        run_job({**job, "folder": shutil.copytree(state, tmp_path / "counted")})
    setting = os.environ.get("LYNCNB_RECOVERY_STEPS", str(counted.count // 10))
    steps = counted.count if setting == "all" else min(int(setting), counted.count)
    outcomes = Counter()
    for step in random.Random(name).sample(range(counted.count), steps):
        folder = shutil.copytree(state, tmp_path / "requests")
        outcomes += kill_one(writers, folder, job, step=step)
        check_final_state(name, folder, states["with recovery"][1]["pair"])
        shutil.rmtree(folder)
    print(f"\n{name}: {steps} of {counted.count} steps: {dict(outcomes)}", end="")
    record_property("kills", dict(outcomes))
    # The number of system calls varies slightly, because several threads write files.
    assert outcomes["killed"] > steps * 0.8


def kill_one(writers, folder, job, seconds=0.0, step=None):
    """Kill a writer process, check that no data is lost, and let another writer complete the same
    command.

    The writer is killed after a number of seconds, or kills itself before a system call.
    """
    before = public_keys_of_keys(folder)
    pid = writers.start(folder=folder, **job, **({} if step is None else {"kill_at": step}))
    if step is None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    status = writers.wait(pid)
    assert status in (0, -signal.SIGKILL)
    after = public_keys_of_keys(folder, PASSPHRASE, NEW)
    if (
        job["do"] == "purge"
    ):  # The command purge removes keys, but never the key of a request that is in the plan.
        assert public_keys_of_requests(folder) - after <= before
    elif job["do"] == "request":
        assert before <= after
        assert public_keys_of_requests(folder) <= after
    else:
        assert after == before
    assert_private(folder)
    if status == 0 and job["do"] in ("rekey",):
        # The change is complete, so the old passphrase cannot decrypt any key.
        return Counter({"finished before": 1})
    if job["do"] == "rekey" and is_done(folder):
        return Counter({"killed": 1})
    assert writers.wait(writers.start(folder=folder, **job)) == 0
    return Counter({"killed" if status else "finished before": 1})


def is_done(folder) -> bool:
    """Return whether a change of the passphrase was already complete when its process was killed."""
    if read_manifest(folder).rekeying:
        return False
    try:
        public_keys_of_keys(folder, NEW)
    except Exception:
        return False
    return True


def check_final_state(name, folder, pair) -> None:
    """Check that a folder is in the same state as if the command had not been killed."""
    manifest = read_manifest(folder)
    passphrase = NEW if name in ("rekey", "with recovery", "take out") else PASSPHRASE
    keys = public_keys_of_keys(folder, passphrase)
    assert public_keys_of_requests(folder) <= keys, name
    if name == "purge":
        # The purge keeps the key of the planned request. It also keeps the key of the superseded
        # request, because the CA may have received this request.
        assert len(keys) == 2
        return
    assert folder_status(folder, today=TODAY).problems == (), name
    if name == "receive":
        assert {record.state for record in manifest.requests} == {"issued"}
        return
    pair = open_recovery_key(pair, PASSPHRASE)
    if name == "request":
        assert len(manifest.requests) == 8
        rekey(folder, pair, "yet another passphrase")
        assert public_keys_of_keys(folder, "yet another passphrase") == keys
        return
    if name == "take out":
        assert manifest.recovery == ()
        with pytest.raises(BundleError, match="contains no file that was encrypted"):
            rekey(folder, pair, "yet another passphrase")
    passwords = PasswordList(folder, FolderCipher(passphrase))
    for record in manifest.requests:
        assert (folder / record.package.file).exists()
        assert passwords.get_password(record.package.sha256)
    if name in ("recovery", "with recovery", "pfx, sealed"):
        rekey(folder, pair, "yet another passphrase")
        assert public_keys_of_keys(folder, "yet another passphrase") == keys
        assert PasswordList(folder, FolderCipher("yet another passphrase"))
