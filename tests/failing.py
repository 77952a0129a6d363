"""Make one system call of the package fail: the k-th of a kind, once, with an error of choice.

Not a mock: everything else goes to a real file system, and what fails is what a full disk, a worn one
or a missing right would make fail.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lyncnb.base.disk import system_calls

#: Kinds of calls that change the disk. ``close`` may report what ``write`` could not.
KINDS = (
    *("open", "write", "fsync", "close", "link", "rename", "replace"),
    *("unlink", "mkdir", "chmod"),
)
#: What the promise hangs on.
ESSENTIAL = ("write", "fsync", "link", "rename", "replace")


class Calls:
    """Counts calls, and fails one of them."""

    def __init__(self, fail_at: int | None, error: Callable[[str], BaseException]):
        self.count = 0
        self.failed = ""
        self._fail_at, self._error = fail_at, error
        self._lock = threading.Lock()

    def wrap(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        """Put the counter before a call."""

        def call(*arguments: object) -> object:
            with self._lock:
                number, self.count = self.count, self.count + 1
            if number != self._fail_at:
                return real(*arguments)
            self.failed = f"{name}({', '.join(map(str, arguments[:2]))})"
            if name == "close":
                real(*arguments)  # the descriptor is gone in any case
            raise self._error(name)

        return call


@contextmanager
def failing(
    fail_at: int | None, error: Callable[[str], BaseException], kinds: tuple[str, ...] = KINDS
) -> Iterator[Calls]:
    """Let call number `fail_at` (from 0) among `kinds` fail; None only counts."""
    calls, real = Calls(fail_at, error), {name: getattr(system_calls, name) for name in kinds}
    for name, function in real.items():
        setattr(system_calls, name, calls.wrap(name, function))
    try:
        yield calls
    finally:
        for name, function in real.items():
            setattr(system_calls, name, function)
