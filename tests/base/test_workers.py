"""Worker processes create pairs of a key and a CSR. They never receive the passphrase, and end when
they are no longer needed.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from folders import planned_certificate

from lyncnb.errors import BundleError, PlanError
from lyncnb.export.key_and_csr import FinishedPair, start_pair_workers
from lyncnb.pki import keys, passphrase
from lyncnb.pki.csr import parse_request
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.plan.model import build_request_content

pytestmark = pytest.mark.slow

CIPHER = FolderCipher("correct horse battery", rounds=1000)
ONE = build_request_content(planned_certificate("sip.contoso.com", algorithm="ECDSA"))


def test_children_make_pairs_that_belong_together():
    """In each pair that a worker process creates, the key and the CSR match, and the planner's
    passphrase decrypts the key.
    """
    tasks = [
        [(f"Edge-{number}", ONE) for number in range(start, start + 5)] for start in (0, 5, 10)
    ]
    with start_pair_workers(2, CIPHER.encryptor) as children:
        futures = [children.submit(task) for task in tasks]
        pairs = [FinishedPair(*values) for future in futures for values in future.result()]
    assert [pair.id for pair in pairs] == [f"Edge-{number}" for number in range(15)]
    assert len({pair.spki_sha256 for pair in pairs}) == 15
    for pair in pairs:
        request = parse_request(pair.csr_pem)
        assert keys.is_key_pair(CIPHER.decrypt(pair.key_pem), request.public_key)
        assert request.content == ONE


def test_error_in_a_worker_process_is_reported(tmp_path):
    """If a plan causes an error in a worker process, the same error is raised in the main process,
    and the worker continues.
    """
    bad = build_request_content(
        planned_certificate("a.contoso.com", algorithm="ECDSA", hash="sha1")
    )
    with start_pair_workers(1, CIPHER.encryptor) as children:
        failed = children.submit([("Edge-1", bad)])
        with pytest.raises(PlanError, match="cannot be signed with sha1") as caught:
            failed.result()
        assert "sha256" in caught.value.hint
        assert len(children.submit([("Edge-2", ONE)]).result()) == 1


def test_a_child_that_dies_is_reported():
    """If a worker process is killed, the main process reports an error with a hint and does not
    wait forever.
    """
    with start_pair_workers(1, CIPHER.encryptor) as children:
        children.submit([("Edge-1", ONE)]).result()
        children._all[0].process.kill()
        with pytest.raises(BundleError, match="a worker process ended unexpectedly") as caught:
            children.submit([("Edge-2", ONE)]).result()
        assert "try again" in caught.value.hint


@pytest.mark.posix
def test_a_child_does_not_get_the_passphrase(monkeypatch):
    """The environment and arguments of a worker process do not contain the passphrase, even if the
    main process has not read it yet.
    """
    monkeypatch.setenv(passphrase.VARIABLE, "correct horse battery")
    with start_pair_workers(1, CIPHER.encryptor) as children:
        children.submit([("Edge-1", ONE)]).result()
        process = Path("/proc") / str(children._all[0].process.pid)
        seen = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
    assert b"horse" not in seen
    assert b"PYTHONPATH=" in seen


@pytest.mark.posix
def test_no_worker_process_remains():
    """At the end of the with block, all worker processes have ended."""
    with start_pair_workers(2, CIPHER.encryptor) as children:
        for future in [children.submit([("Edge-1", ONE)]) for _ in range(4)]:
            future.result()
    assert all(child.process.returncode == 0 for child in children._all)


UNGUARDED = """
    import sys
    sys.path.insert(0, "tests")
    from folders import planned_certificate
    from lyncnb.pki import pkcs8
    from lyncnb.export import executors
    print("script runs")
    items = [(str(n), planned_certificate("sip.contoso.com", algorithm="ECDSA")) for n in range(2001)]
    done = executors.create_pairs(
        items,
        pkcs8.FolderCipher("correct horse battery", rounds=1000),
        store=lambda pair: None,
        options=executors.Making(workers=2),
    )
    print(done)
"""


def test_a_script_without_main_guard_is_run_once(tmp_path, repository):
    """Worker processes do not run the planner's script again, as multiprocessing would."""
    script = tmp_path / "planner.py"
    script.write_text(textwrap.dedent(UNGUARDED), "utf-8")
    # The script has no guard such as ``if __name__ == "__main__"``.
    (tmp_path / "elsewhere").mkdir()
    result = subprocess.run(
        [sys.executable, str(script)],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.stderr == ""
    assert result.stdout == "script runs\nExported(done=2001, cancelled=False)\n"
