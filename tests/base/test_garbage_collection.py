"""Python's garbage collection is disabled only while many objects are created."""

from __future__ import annotations

import gc

import pytest

from lyncnb.base.garbage_collection import pause_garbage_collection


def test_garbage_collection_is_enabled_again():
    """At the end of the ``with`` block, garbage collection is enabled again, even after an error."""
    with pause_garbage_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError), pause_garbage_collection():
        raise ValueError
    assert gc.isenabled()


def test_disabled_garbage_collection_stays_disabled():
    """If the application disabled Python's garbage collection, it stays disabled."""
    gc.disable()
    try:
        with pause_garbage_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_frozen_objects_stay_frozen():
    """Objects that the application excluded from garbage collection with gc.freeze stay excluded."""
    gc.freeze()
    try:
        with pause_garbage_collection():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
