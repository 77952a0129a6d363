"""A job in its own thread: its notifications, and their order."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

from lyncnb.widgets.background_job import CANCELLED, RUNNING, STOPPING, Job


class LateEvent(threading.Event):
    """An event that pauses when it is set, as on a busy computer."""

    def set(self):
        """Set it, and come late."""
        super().set()
        time.sleep(0.05)


def test_a_job_that_ends_while_it_is_cancelled_has_ended(monkeypatch):
    """The state after a cancel is final, so that another job can start."""

    def stopped_at_once(_, stop):
        stop.wait()
        return SimpleNamespace(cancelled=True)

    monkeypatch.setattr(threading, "Event", LateEvent)
    told = []
    job = Job(told.append)
    monkeypatch.undo()
    job.start(stopped_at_once)
    job.cancel()
    assert job.wait(20).name == CANCELLED
    assert [state.name for state in told] == [RUNNING, STOPPING, CANCELLED]
