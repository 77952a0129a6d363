"""After any sequence of operations on a request folder, every public key still has its private key.

The operations: edits, runs, runs in which a system call fails, renewals, issued certificates, wrong
passphrases, changed passphrases and lost manifests. After every step, the folder has the private
key of each finished CSR, and no secret is readable by other users.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from failing import ESSENTIAL, fail_one_call
from folders import (
    PASSPHRASE,
    TODAY,
    assert_complete,
    assert_private,
    certificate,
    certify,
    lose_record,
    lower_rounds,
    plan_of,
    public_keys_of_keys,
    public_keys_of_requests,
    snapshot,
    write,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lyncnb.authorities.status import folder_status
from lyncnb.errors import BundleError, PassphraseError
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.request_folder.change_passphrase import rekey
from lyncnb.request_folder.manifest import read_manifest
from lyncnb.request_folder.rebuild_manifest import rebuild_manifest

NAMES = ("sip.contoso.com", "meet.contoso.com", "dialin.contoso.com")
PASSPHRASES = (PASSPHRASE, "wrong mule capacitor", "paper tiger lantern")
DETAILS = st.tuples(
    st.lists(st.sampled_from(NAMES), unique=True, max_size=2), st.sampled_from(("sha256", "sha384"))
)
BREAKS = st.tuples(
    st.integers(0, 60), st.sampled_from([errno.ENOSPC, errno.EIO, errno.EACCES, None])
)


def error_of(number: int | None):
    """Return an operating system error with the given number, or KeyboardInterrupt."""
    if number is None:
        return KeyboardInterrupt
    return lambda call: OSError(number, os.strerror(number))


class FolderMachine(RuleBasedStateMachine):
    """A state machine that performs random operations on a request folder, and checks conditions
    that must always be met.
    """

    def __init__(self, base: Path):
        super().__init__()
        self.place = Path(tempfile.mkdtemp(dir=base))
        self.folder = self.place / "requests"
        self.passphrase, self.other = PASSPHRASE, ""
        self.servers: dict[int, tuple] = {}
        self.seen: set[str] = set()

    def teardown(self):
        """Write the requests once more, because a folder can be completed after any sequence of
        operations.
        """
        self.finish_rekey()
        if self.servers:
            write(self.plan, self.folder, passphrase=self.passphrase)
            assert self.seen <= public_keys_of_keys(self.folder, self.passphrase)
            assert_complete_under(self)
        shutil.rmtree(self.place)

    @property
    def plan(self):
        """Return the current plan of the deployment."""
        return plan_of(
            *(
                certificate(number, extra=extra, digest=digest)
                for number, (extra, digest) in sorted(self.servers.items())
            )
        )

    @property
    def is_rekeying(self) -> bool:
        """Return whether a change of the passphrase was interrupted."""
        return bool(self.other)

    # --- These operations change the plan of the folder.

    @initialize(details=st.dictionaries(st.integers(0, 4), DETAILS, min_size=1, max_size=3))
    def begin(self, details):
        """Create a plan with some servers for the request folder."""
        self.servers = dict(details)

    @rule(number=st.integers(0, 4), details=DETAILS)
    def edit(self, number, details):
        """Add a server to the plan, or change the names in the certificate of a server."""
        self.servers[number] = details

    @precondition(lambda self: len(self.servers) > 1)
    @rule(data=st.data())
    def drop(self, data):
        """Remove a server from the plan, so that its request is retired."""
        del self.servers[data.draw(st.sampled_from(sorted(self.servers)))]

    # --- runs ---

    @precondition(lambda self: not self.is_rekeying)
    @rule()
    def run(self):
        """Write the requests. After that, the folder matches the plan, and a second run changes no
        files.
        """
        write(self.plan, self.folder, passphrase=self.passphrase)
        assert_complete_under(self)
        before = snapshot(self.folder)
        assert set(write(self.plan, self.folder, passphrase=self.passphrase).counts()) == {"kept"}
        assert snapshot(self.folder) == before
        assert folder_status(self.folder, today=TODAY).problems == ()

    @precondition(lambda self: not self.is_rekeying)
    @rule(fault=BREAKS)
    def run_that_breaks(self, fault):
        """Write the requests while a system call fails, or the planner interrupts the run."""
        self.broken(fault, lambda: write(self.plan, self.folder, passphrase=self.passphrase))

    @precondition(lambda self: not self.is_rekeying)
    @rule(data=st.data(), reason=st.sampled_from(["key leaked", "lost laptop"]))
    def renew(self, data, reason):
        """Renew one request on a disk that may fail."""
        number = data.draw(st.sampled_from(sorted(self.servers)))
        fault = data.draw(st.one_of(st.none(), BREAKS))
        options = {"renew": [certificate(number).id], "reason": reason}
        self.broken(
            fault, lambda: write(self.plan, self.folder, passphrase=self.passphrase, **options)
        )

    def broken(self, fault, action):
        """Call a function, and let one of its system calls fail.

        A short function may end before that call.
        """
        if fault is None:
            action()
            return
        broken = fail_one_call(fault[0], error_of(fault[1]), ESSENTIAL)
        with broken, suppress(BundleError, KeyboardInterrupt):
            action()

    @rule()
    def dry_run(self):
        """Do a dry run, and check that it changes no file."""
        before = snapshot(self.place)
        if not self.is_rekeying:
            write(self.plan, self.folder, passphrase=None, dry_run=True)
        assert snapshot(self.place) == before

    @rule()
    def try_wrong_passphrase(self):
        """If the folder contains a key, use a wrong passphrase, and check that nothing changes."""
        if not list(self.place.rglob("*.key")):
            return
        before = snapshot(self.place)
        with pytest.raises(BundleError) as caught:
            write(self.plan, self.folder, passphrase="not the passphrase")
        assert self.is_rekeying or isinstance(caught.value, PassphraseError)
        after = {path: facts for path, facts in snapshot(self.place).items() if ".lock" not in path}
        assert {p: f[3] for p, f in after.items()} == {
            p: f[3] for p, f in before.items() if ".lock" not in p
        }

    # --- These operations add issued certificates, and change the passphrase or the manifest.

    @precondition(lambda self: not self.is_rekeying and (self.folder / "manifest.json").exists())
    @rule(data=st.data())
    def issue_and_import_certificate(self, data):
        """Have a CA issue the certificate for one request, and import it."""
        manifest = read_manifest(self.folder)
        written_records = [record for record in manifest.requests if record.is_written]
        if written_records:
            certify(self.folder, data.draw(st.sampled_from(written_records), label="record").id)

    @precondition(lambda self: not self.is_rekeying and (self.folder / "manifest.json").exists())
    @rule(passphrase=st.sampled_from(PASSPHRASES), fault=st.one_of(st.none(), BREAKS))
    def change_passphrase(self, passphrase, fault):
        """Change the passphrase of the folder, while the disk may fail."""
        if passphrase == self.passphrase:
            return
        self.broken(fault, lambda: rekey(self.folder, self.passphrase, passphrase))
        if read_manifest(self.folder).rekeying:
            self.other = passphrase
        elif self.can_decrypt_all_keys(passphrase):
            self.passphrase = passphrase

    @precondition(lambda self: self.is_rekeying)
    @rule()
    def finish_rekey(self):
        """Change the passphrase again if the last change was interrupted."""
        if self.is_rekeying:
            rekey(self.folder, self.passphrase, self.other)
            self.passphrase, self.other = self.other, ""

    def can_decrypt_all_keys(self, passphrase):
        """Return whether every key can be decrypted with a passphrase."""
        try:
            public_keys_of_keys(self.folder, passphrase)
        except BundleError:
            return False
        return True

    @precondition(lambda self: not self.is_rekeying and (self.folder / "manifest.json").exists())
    @rule()
    def lose_the_manifest(self):
        """Delete the record, check that a run stops with an error, and rebuild the manifest."""
        if not list(self.folder.rglob("*.key")):
            return
        lose_record(self.folder)
        with pytest.raises(BundleError, match="--rebuild|no manifest"):
            write(self.plan, self.folder, passphrase=self.passphrase)
        bundle = rebuild_manifest(self.folder, self.passphrase)
        # A person confirms the requests, because the proofs of their keys are lost.
        ids = [record.id for record in bundle.requests]
        rebuild_manifest(self.folder, self.passphrase, confirmed=ids)

    @precondition(lambda self: not self.is_rekeying and (self.folder / "manifest.json").exists())
    @rule()
    def rebuild(self):
        """Rebuild the manifest of a folder in any condition. The rebuild checks every file."""
        if list(self.folder.rglob("*.key")):
            rebuild_manifest(self.folder, self.passphrase)

    # --- The following conditions must be met at all times.

    @invariant()
    def no_key_is_lost(self):
        """Check that the folder contains the private key of each public key that was ever in a
        complete CSR.
        """
        if self.folder.exists():
            self.seen |= public_keys_of_requests(self.folder)
            passphrases = [p for p in (self.passphrase, self.other) if p]
            assert self.seen <= public_keys_of_keys(self.folder, *passphrases)

    @invariant()
    def no_file_is_open_to_others(self):
        """Check that other users cannot read any file in the folder."""
        if self.folder.exists():
            assert_private(self.folder)


def assert_complete_under(machine: FolderMachine) -> None:
    """Check that the folder's current passphrase can decrypt every key in the folder."""
    assert_complete(machine.folder, machine.plan, machine.seen, passphrase=machine.passphrase)


@pytest.mark.fault
def test_no_key_is_ever_lost(tmp_path):
    """After hundreds of random operations on a request folder, no private key is lost."""
    before = dict(FolderCipher.__init__.__kwdefaults__)
    lower_rounds()
    try:
        run_state_machine_as_test(
            partial(FolderMachine, tmp_path),
            settings=settings(max_examples=40, stateful_step_count=20),
        )
    finally:
        FolderCipher.__init__.__kwdefaults__.update(before)
