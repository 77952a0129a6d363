"""A job of a panel runs in a background thread, and its messages arrive in order."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

from lyncnb.widgets.background_job import CANCELLED, RUNNING, STOPPING, Job


class LateEvent(threading.Event):
    """A threading event whose set method takes some time, as on a busy computer."""

    def set(self):
        """Wait, and then set the event."""
        super().set()
        time.sleep(0.05)


def test_a_job_may_end_while_it_is_cancelled(monkeypatch):
    """If a job ends while the user cancels it, its state does not change again, and another job can
    start.
    """

    def stopped_at_once(_, stop):
        stop.wait()
        return SimpleNamespace(cancelled=True)

    monkeypatch.setattr(threading, "Event", LateEvent)
    states = []
    job = Job(states.append)
    monkeypatch.undo()
    job.start(stopped_at_once)
    job.cancel()
    assert job.wait(20).name == CANCELLED
    assert [state.name for state in states] == [RUNNING, STOPPING, CANCELLED]
