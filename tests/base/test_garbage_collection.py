"""Python's garbage collector is off only while many objects are created."""

from __future__ import annotations

import gc

import pytest

from lyncnb.base.garbage_collection import pause_garbage_collection


def test_the_collector_waits():
    """The garbage collector is on again after the block, even after an error."""
    with pause_garbage_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError), pause_garbage_collection():
        raise ValueError
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    """If the application turned off Python's garbage collector, it stays off."""
    gc.disable()
    try:
        with pause_garbage_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_the_application_froze_stays_frozen():
    """Objects that the application excluded from garbage collection with gc.freeze stay excluded."""
    gc.freeze()
    try:
        with pause_garbage_collection():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
