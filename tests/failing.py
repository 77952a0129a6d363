"""Make one system call of the package fail: call number k of a given type fails with a given error.

This is not a mock. All other calls reach a real file system, and the error is one that a full or
broken disk or a missing permission would cause.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lyncnb.base.disk import system_calls

#: The types of system calls that change the disk. ``close`` may report an error that occurred in
#: ``write``.
KINDS = (
    *("open", "write", "fsync", "close", "link", "rename", "replace"),
    *("unlink", "mkdir", "chmod"),
)
#: The system calls that must succeed before data is safe on the disk.
ESSENTIAL = ("write", "fsync", "link", "rename", "replace")


class Calls:
    """A counter of system calls, which can make one of them fail."""

    def __init__(self, fail_at: int | None, error: Callable[[str], BaseException]):
        self.count = 0
        self.failed = ""
        self._fail_at, self._error = fail_at, error
        self._lock = threading.Lock()

    def wrap(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        """Replace a system call with a function that counts the calls."""

        def call(*arguments: object) -> object:
            with self._lock:
                number, self.count = self.count, self.count + 1
            if number != self._fail_at:
                return real(*arguments)
            self.failed = f"{name}({', '.join(map(str, arguments[:2]))})"
            if name == "close":
                real(*arguments)  # The descriptor is closed even if the call fails.
            raise self._error(name)

        return call


@contextmanager
def fail_one_call(
    fail_at: int | None, error: Callable[[str], BaseException], kinds: tuple[str, ...] = KINDS
) -> Iterator[Calls]:
    """Make one system call fail: the call with the number `fail_at`, counted from 0. Only calls of
    the types in `kinds` count. If `fail_at` is None, only count the calls.
    """
    calls, real = Calls(fail_at, error), {name: getattr(system_calls, name) for name in kinds}
    for name, function in real.items():
        setattr(system_calls, name, calls.wrap(name, function))
    try:
        yield calls
    finally:
        for name, function in real.items():
            setattr(system_calls, name, function)
