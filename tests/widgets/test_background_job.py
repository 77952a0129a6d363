"""A job of a panel runs in a background thread, and its notifications arrive in order."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

from lyncnb.widgets.background_job import CANCELLED, RUNNING, STOPPING, Job


class LateEvent(threading.Event):
    """A threading event that pauses when it is set, as on a busy computer."""

    def set(self):
        """Set the event with a delay."""
        super().set()
        time.sleep(0.05)


def test_a_job_that_ends_while_it_is_cancelled_has_ended(monkeypatch):
    """If a job ends while it is cancelled, its state is final, and another job can start."""

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
