"""Run long work in a separate thread, so that the notebook responds and Cancel works.

The main thread of the kernel handles a callback only after the running cell ends. A Cancel
button for work in a cell would therefore have no effect until the work ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from ..errors import LyncnbError
from ..export.executors import Progress
from .editing.channel import describe_unexpected_error, format_error
from .messages import JobProgress

Result = TypeVar("Result")
Work = Callable[[Callable[[Progress], None], threading.Event], Result]

READY, RUNNING, STOPPING = "ready", "running", "stopping"
CANCELLED, FAILED, FINISHED = "cancelled", "failed", "finished"
_NOTHING_DONE = Progress(0, 0, 0.0, 0.0)
_WORDS = {
    "ready": "Ready.",
    "running": "Working …",
    "stopping": "Stopping. lyncnb finishes the keys in progress and keeps them …",
    "cancelled": (
        "Canceled. lyncnb kept the finished requests. To write the remaining "
        "requests, choose “Write” again."
    ),
    "failed": "The operation did not finish.",
    "finished": "Finished.",
}
# The minimum time in seconds between two progress reports, so that they do not slow down the
# browser.
_UPDATE_EVERY = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """The state of a background job. If the job failed, ``lines`` contains the reason."""

    name: str = READY
    progress: Progress = _NOTHING_DONE
    lines: tuple[str, ...] = ()

    @property
    def is_busy(self) -> bool:
        """Whether the job is running."""
        return self.name in (RUNNING, STOPPING)


class Job(Generic[Result]):
    """A job that runs one piece of work at a time in a separate thread.

    Parameters
    ----------
    tell : callable
        Called with each new :class:`JobState`, at most ten times a second, also from the job's
        thread. Two threads never call it at the same time, so the last call has the last state.
    """

    def __init__(self, tell: Callable[[JobState], object]):
        self._tell = tell
        # The lock protects the state of the job and the calls to ``tell``. It is reentrant, because
        # these calls may read the state.
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_told = 0.0
        self.state = JobState()
        self.result: Result | None = None

    def start(self, work: Work[Result]) -> None:
        """Start a function in the background.

        The work gets a callback for its progress, and an event that requests it to stop.

        Raises
        ------
        LyncnbError
            If earlier work is still running.
        """
        with self._lock:
            if self.state.is_busy:
                raise LyncnbError(
                    "another operation is in progress",
                    hint=("wait until the operation has finished, or cancel it"),
                )
            self._stop.clear()
            self.result = None
            self.state = JobState()
            self._thread = threading.Thread(
                target=self._run, args=(work,), name="lyncnb-job", daemon=True
            )
            self._notify_change(name=RUNNING)
            self._thread.start()

    def cancel(self) -> None:
        """Ask the work to stop early. Finished keys and requests are kept."""
        with self._lock:
            # The lock prevents the work from ending before the page has received the last state.
            if self.state.is_busy:
                self._stop.set()
                self._notify_change(name=STOPPING)

    def wait(self, seconds: float | None = None) -> JobState:
        """Wait until the work ends, and return the last state."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self.state

    def _run(self, work: Work[Result]) -> None:
        try:
            result = work(self._report_progress, self._stop)
        except LyncnbError as error:
            self._notify_change(name=FAILED, lines=tuple(format_error(error)))
        except Exception as error:  # The user must see every error of the background job.
            self._notify_change(name=FAILED, lines=tuple(describe_unexpected_error(error)))
        else:
            self.result = result
            stopped = getattr(result, "cancelled", False)
            self._notify_change(name=CANCELLED if stopped else FINISHED)

    def _report_progress(self, progress: Progress) -> None:
        now = time.monotonic()
        with self._lock:
            self.state = replace(self.state, progress=progress)
            if now - self._last_told >= _UPDATE_EVERY or progress.done == progress.total:
                self._last_told = now
                self._tell(self.state)

    def _notify_change(self, **changes: Any) -> None:
        with self._lock:
            self.state = replace(self.state, **changes)
            self._tell(self.state)


def build_progress_message(state: JobState) -> JobProgress:
    """Return the message that reports a job's progress or end to a page."""
    done, total, *_ = state.progress
    return {
        "type": "job",
        "state": state.name,
        "busy": state.is_busy,
        "done": done,
        "total": total,
        "words": describe_progress(state),
    }


def describe_progress(state: JobState) -> str:
    """Describe the progress of a job in words, with the rate and the remaining time."""
    name, (done, total, rate, seconds_left) = state.name, state.progress
    words = _WORDS[name]
    if total and name != READY:
        words += f" {done:,} of {total:,} done"
        if rate and done < total and name == RUNNING:
            words += f", {rate:,.1f} per second, about {_format_duration(seconds_left)} remaining"
        words += "."
    return words


def _format_duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
