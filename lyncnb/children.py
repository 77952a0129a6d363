"""Processes of our own that make ECDSA pairs by the hundred.

Not a ``ProcessPoolExecutor``: its workers run the planner's script or notebook module again, which
would ask for the passphrase a second time. A child here imports this file and nothing else.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from .cipher import Derived, FolderCipher
from .content import RequestContent
from .errors import BundleError, LyncnbError, PlanError
from .pairs import FinishedPair, make_pair
from .passphrase import VARIABLE

_COMMAND = "from lyncnb import children; children.serve()"

Task = list[tuple[str, RequestContent]]


class Children:
    """Worker processes on this machine, one for each thread that waits for one.

    Use it as a context manager. Children end when their input closes, so also when this process
    is killed.

    Parameters
    ----------
    count : int
        How many at most; a child starts at its first task.
    derived : Derived
        What to encrypt with. It goes through a pipe, to a process of the same user.
    """

    def __init__(self, count: int, derived: Derived):
        self._derived = derived
        self._threads = ThreadPoolExecutor(count, "lyncnb-child")
        self._own = threading.local()
        self._all: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *exception: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        for child in self._all:
            child.stdin.close()
        for child in self._all:
            child.wait()
            child.stdout.close()

    def submit(self, task: Task) -> Future[list[FinishedPair]]:
        """Have one child make all pairs of a task, in order."""
        return self._threads.submit(self._ask, task)

    def _ask(self, task: Task) -> list[FinishedPair]:
        try:
            child = getattr(self._own, "child", None) or self._start()
            pickle.dump(task, child.stdin)
            child.stdin.flush()
            made, complaint = pickle.load(child.stdout)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise BundleError(
                f"a worker process ended too soon ({type(error).__name__})",
                hint="is memory short? What is finished is kept; run the same again",
            ) from None
        if complaint:
            raise PlanError(complaint[0], hint=complaint[1])
        return [FinishedPair(*values) for values in made]

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {name: text for name, text in os.environ.items() if name != VARIABLE}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        # A session of its own: Ctrl-C is for the planner's process, which ends its children.
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", _COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        self._own.child = child
        self._all.append(child)
        pickle.dump(tuple(self._derived), child.stdin)
        return child


def serve() -> None:
    """Answer tasks from standard input until it closes; what a child process runs."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    tasks = sys.stdin.buffer
    cipher = FolderCipher.from_derived(Derived(*pickle.load(tasks)))
    while True:
        try:
            task = pickle.load(tasks)
        except EOFError:
            return
        try:
            pickle.dump(([tuple(make_pair(*one, cipher)) for one in task], None), answers)
        except LyncnbError as error:
            pickle.dump(([], (error.message, error.hint)), answers)
        answers.flush()
