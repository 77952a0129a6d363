"""Worker processes for work that threads do not speed up: ECDSA pairs, packages.

lyncnb does not use a ``ProcessPoolExecutor``, because its workers run the planner's script or
notebook module again, which would ask for the passphrase a second time. A child here runs only the
given command. The caller specifies the work, and the variable to hide from the children.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import IO, Any, NamedTuple

from .. import errors
from ..errors import BundleError, LyncnbError

#: Work for one child: plain values, because they go through a pipe.
Task = Sequence[tuple[object, ...]]
#: Takes the opening of a child, and returns the function that makes each item of a task.
Start = Callable[[tuple[Any, ...]], Callable[[tuple[Any, ...]], tuple[Any, ...]]]


class Child(NamedTuple):
    """A process and its two ends."""

    process: subprocess.Popen[bytes]
    tasks: IO[bytes]
    answers: IO[bytes]


class WorkerProcesses:
    """Worker processes on this computer, one for each thread.

    Use it as a context manager. A child ends when its input closes, also if this process is
    killed.

    Parameters
    ----------
    count : int
        The maximum number of children; a child starts at its first task.
    opening : tuple
        The first message to each child. It goes through a pipe, to a process of the same user.
    command : str
        Python code that a child runs; it calls :func:`serve`.
    hidden : str
        Name of the environment variable that no child gets.
    """

    def __init__(self, count: int, opening: tuple[object, ...], *, command: str, hidden: str):
        self._opening = tuple(opening)
        self._command, self._hidden = command, hidden
        self._threads = ThreadPoolExecutor(count, "lyncnb-child")
        self._own = threading.local()
        self._all: list[Child] = []

    def __enter__(self) -> WorkerProcesses:
        return self

    def __exit__(self, *exception: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        for child in self._all:
            # The buffer still has the data that a dead child did not read.
            with suppress(BrokenPipeError):
                child.tasks.close()
        for child in self._all:
            child.process.wait()
            child.answers.close()

    def submit(self, task: Task) -> Future[list[tuple[Any, ...]]]:
        """Let one child make all items of a task, in order."""
        return self._threads.submit(self._ask, task)

    def _ask(self, task: Task) -> list[tuple[Any, ...]]:
        made: list[tuple[Any, ...]]
        try:
            child: Child = getattr(self._own, "child", None) or self._start()
            pickle.dump(task, child.tasks)
            child.tasks.flush()
            made, complaint = pickle.load(child.answers)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise BundleError(
                f"a worker process ended too soon ({type(error).__name__})",
                hint="free some memory, then run the same again; finished work is kept",
            ) from None
        if complaint:
            kind, message, hint = complaint
            raise getattr(errors, kind)(message, hint=hint)
        return made

    def _start(self) -> Child:
        child = self._own.child = start_child(self._command, hidden=self._hidden)
        self._all.append(child)
        pickle.dump(self._opening, child.tasks)
        return child


def start_child(command: str, *, hidden: str) -> Child:
    """Start this Python with a command, without the environment variable `hidden`."""
    environment = {name: text for name, text in os.environ.items() if name != hidden}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    # In its own session, because Ctrl-C is for the planner's process, which ends its children.
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    assert process.stdin is not None  # both are pipes, as requested above
    assert process.stdout is not None
    return Child(process, process.stdin, process.stdout)


def end_child(child: Child, *, seconds: float) -> None:
    """Close the input of a child so that it ends; kill it if it needs longer than `seconds`."""
    with suppress(BrokenPipeError):
        child.tasks.close()
    try:
        child.process.wait(seconds)
    except subprocess.TimeoutExpired:
        child.process.kill()
        child.process.wait()
    child.answers.close()


def serve(start: Start) -> None:
    """Process tasks from standard input until it closes; a child process runs this.

    Parameters
    ----------
    start : callable
        Takes the opening, and returns the function that makes one item.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    tasks = sys.stdin.buffer
    make = start(pickle.load(tasks))
    while True:
        try:
            task = pickle.load(tasks)
        except EOFError:
            return
        try:
            pickle.dump(([make(item) for item in task], None), answers)
        except LyncnbError as error:
            pickle.dump(([], (type(error).__name__, error.message, error.hint)), answers)
        answers.flush()


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
