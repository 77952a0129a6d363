"""Write request folders in processes that a test can kill. All are forked from one prepared
process.

As a program, this module reads one JSON job from each line, forks a writer, and prints the process
id. The line ``wait PID`` prints how the writer ended. A test uses the class ``Writers``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path

import folders as kit
from cas.python_ca import PythonCa, pem
from failing import fail_one_call

from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.deploy.purge_keys import purge
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import LyncnbError
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.change_passphrase import rekey
from lyncnb.request_folder.recovery_key import name_recovery_key, open_recovery_key


def _receive(folder: Path, job: dict) -> None:
    receive(folder, job["returned"], today=kit.TODAY, lock_seconds=30)


def _package(folder: Path, job: dict) -> None:
    issued = match_certificates(open_requests(folder), today=kit.TODAY)
    write_pfx(issued, passphrase=kit.PASSPHRASE, workers=1, today=kit.TODAY, lock_seconds=30)


def _rekey(folder: Path, job: dict) -> None:
    old = job.get("old", kit.PASSPHRASE)
    if "pair" in job:
        old = open_recovery_key(job["pair"], kit.PASSPHRASE)
    rekey(folder, old, job["new"], take_out=job.get("take_out", ()), lock_seconds=30)


def _name(folder: Path, job: dict) -> None:
    name_recovery_key(folder, kit.PASSPHRASE, job["public"], lock_seconds=30)


def _purge(folder: Path, job: dict) -> None:
    day = {"today": date.fromisoformat(job["day"]), "lock_seconds": 30}
    purge(folder, confirmed=purge(folder, **day), **day)


#: Actions that a job of a writer process can perform in a request folder, by name. A job without
#: such an action writes requests.
OTHERS = {
    "receive": _receive,
    "pfx": _package,
    "rekey": _rekey,
    "recovery": _name,
    "purge": _purge,
}


def _die(call: str) -> BaseException:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError(call)


def run_job(job: dict) -> None:
    """Run one job in this process, and end the process before the system call with number
    ``kill_at``.
    """
    if "kill_at" in job:
        with fail_one_call(job.pop("kill_at"), _die):
            return run_job(job)
    if "start" in job:
        while not os.path.exists(job["start"]):
            time.sleep(0.0005)
    folder = Path(job["folder"])
    if job.get("do") in OTHERS:
        OTHERS[job["do"]](folder, job)
        result = {}
    else:
        key = KeyParameters() if job.get("key") == "RSA" else kit.P256
        plan = kit.plan_of_servers(job["count"], key=key)
        for index, names in job.get("extra", {}).items():
            plan = kit.with_extra_names(plan, int(index), *names)
        known = ("renew", "reason", "passphrase", "recovery")
        arguments = {name: job[name] for name in known if name in job}
        result = kit.write(plan, folder, lock_seconds=30, **arguments).counts()
    if "result" in job:
        Path(job["result"]).write_text(json.dumps(result))


def _import_all() -> None:
    """Run all actions of the writers once, so that the forked writers do not need to import
    modules.
    """
    # pytest may keep its folders in memory. The files of this process are on a disk, so that
    # syncing has an effect.
    with tempfile.TemporaryDirectory(dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")) as parent:
        folder, returned = Path(parent) / "requests", Path(parent) / "returned.pem"
        ca, bundle = PythonCa(), kit.write(kit.plan_of_servers(1), folder)
        returned.write_bytes(pem(*kit.issue_all(bundle, ca).values(), *ca.chain))
        _receive(folder, {"returned": returned})
        _package(folder, {})
        _rekey(folder, {"new": "another phrase for once"})
        _purge(folder, {"day": "2027-12-01"})


def serve() -> None:
    """Fork a writer process for each job on standard input, until the input ends."""
    kit.lower_rounds()
    _import_all()
    for line in sys.stdin:
        if line.startswith("wait "):
            answer = os.waitstatus_to_exitcode(os.waitpid(int(line.split()[1]), 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                try:
                    run_job(json.loads(line))
                except LyncnbError as error:
                    print(error, file=sys.stderr)
                    os._exit(error.exit_status)
                except BaseException as error:
                    print(repr(error), file=sys.stderr)
                    os._exit(99)
                os._exit(0)
        print(answer, flush=True)


class Writers:
    """A context manager that starts and stops the writer processes."""

    def __enter__(self) -> Writers:
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent)},
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.stdin.close()
        self._server.wait(60)
        self._server.stdout.close()

    def _ask(self, line: str) -> int:
        self._server.stdin.write(line + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def start(self, **job: object) -> int:
        """Start a process that writes to a folder, and return its process id."""
        return self._ask(json.dumps(job, default=str))

    def wait(self, pid: int) -> int:
        """Wait until a writer ends, and return its exit status, which is negative if a signal ended
        it.
        """
        return self._ask(f"wait {pid}")


def next_share(share: float, counts: Counter[str]) -> float:
    """Return the fraction of the measured run time after which the next writer is killed.

    The computer may now be faster than during the measurement. If a kill was too late, the next one
    is earlier, so that most kills interrupt a running writer.
    """
    return min(1.0, share * (0.7 if counts["finished before"] else 1.1))


if __name__ == "__main__":
    serve()
