"""Start worker processes for work that threads cannot speed up: ECDSA keys and packages.

lyncnb does not use ``ProcessPoolExecutor``, because its workers import the user's script or
notebook again, which would ask for the passphrase a second time. A child process runs only the
specified command. The caller specifies the work, and the environment variable to remove.
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

#: A task for a child process is sent through a pipe, so it contains only plain values.
Task = Sequence[tuple[object, ...]]
#: A function that receives the first message to a child process. It returns a function that
#: computes the result for each item of a task.
Start = Callable[[tuple[Any, ...]], Callable[[tuple[Any, ...]], tuple[Any, ...]]]


class Child(NamedTuple):
    """A child process with its input and output pipes."""

    process: subprocess.Popen[bytes]
    tasks: IO[bytes]
    answers: IO[bytes]


class WorkerProcesses:
    """Worker processes on this computer, one for each thread.

    Use the object as a context manager. A child process ends when its input closes, even if this
    process is killed.

    Parameters
    ----------
    count : int
        The maximum number of child processes. A child process starts with its first task.
    opening : tuple
        The first message to each child process, through a pipe to a process of the same user.
    command : str
        The Python code that a child process runs. It calls :func:`serve_tasks`.
    hidden : str
        The environment variable that is removed in child processes.
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
            # The buffer still contains the data that the child process did not read before it
            # ended.
            with suppress(OSError):  # Windows reports a broken pipe as an invalid argument.
                child.tasks.close()
        for child in self._all:
            child.process.wait()
            child.answers.close()

    def submit(self, task: Task) -> Future[list[tuple[Any, ...]]]:
        """Create all items of a task in order, in the same child process."""
        return self._threads.submit(self._run_in_child, task)

    def _run_in_child(self, task: Task) -> list[tuple[Any, ...]]:
        results: list[tuple[Any, ...]]
        try:
            child: Child = getattr(self._own, "child", None) or self._start_child()
            pickle.dump(task, child.tasks)
            child.tasks.flush()
            results, complaint = pickle.load(child.answers)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise BundleError(
                f"a worker process ended unexpectedly ({type(error).__name__})",
                hint=(
                    "close programs that use a lot of memory, and then try again. "
                    "lyncnb keeps the completed work"
                ),
            ) from None
        if complaint:
            kind, message, hint = complaint
            raise getattr(errors, kind)(message, hint=hint)
        return results

    def _start_child(self) -> Child:
        child = self._own.child = start_child(self._command, hidden_variable=self._hidden)
        self._all.append(child)
        pickle.dump(self._opening, child.tasks)
        return child


def start_child(command: str, *, hidden_variable: str) -> Child:
    """Start a Python process with a command, without one of the environment variables."""
    environment = {name: text for name, text in os.environ.items() if name != hidden_variable}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    # The child process has a session of its own, so Ctrl+C stops only the main process. The main
    # process then ends its child processes.
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    # The arguments of Popen request pipes, so both pipes exist.
    assert process.stdin is not None
    assert process.stdout is not None
    return Child(process, process.stdin, process.stdout)


def end_child(child: Child, *, seconds: float) -> None:
    """Close the input of a child process, and end the process if it does not stop in time."""
    with suppress(BrokenPipeError):
        child.tasks.close()
    try:
        child.process.wait(seconds)
    except subprocess.TimeoutExpired:
        child.process.kill()
        child.process.wait()
    child.answers.close()


def serve_tasks(start_worker: Start) -> None:
    """Process the tasks that a child process receives on standard input, until the input ends.

    Parameters
    ----------
    start_worker : callable
        Receives the first message, and returns the function that creates an item.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    tasks = sys.stdin.buffer
    make = start_worker(pickle.load(tasks))
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


def count_cores() -> int:
    """Return the number of processor cores that the process can use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
