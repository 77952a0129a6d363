"""A passphrase is read from the Windows console key by key."""

from __future__ import annotations

import os

import pytest

from lyncnb.base.terminal import is_terminal, is_terminal_file, read_keys


def read(*units: str) -> str:
    """Read a line from typed UTF-16 code units. Each key arrives at once."""
    waiting = [unit for key in units for unit in key]
    at_once = [len(key) - n - 1 for key in units for n in range(len(key))]

    def get_key() -> str:
        at_once.insert(0, at_once.pop(0))
        return waiting.pop(0)

    def is_waiting() -> bool:
        return at_once[-1 - len(waiting)] > 0

    return read_keys(get_key, is_waiting)


@pytest.mark.parametrize(
    ("units", "text"),
    [
        (["a", "b", "\r"], "ab"),
        (["\ud83d\ude00", "x", "\r"], "😀x"),
        (["a", "\ud83d\ude00", "\b", "b", "\r"], "ab"),
        (["\b", "a", "\r"], "a"),
        (["a", "\xe0K", "b", "\r"], "ab"),
        (["a", "\x00;", "b", "\n"], "ab"),
        (["\xe0", "K", "\r"], "àK"),
    ],
)
def test_keys(units, text):
    """An emoji is one letter, a function key none, and ``à`` is a letter."""
    assert read(*units) == text


def test_ctrl_c_ends_the_prompt():
    """Ctrl+C interrupts the prompt."""
    with pytest.raises(KeyboardInterrupt):
        read("a", "\x03")


def test_what_is_no_terminal():
    """The null device, a closed stream and a pipe are no terminals."""
    with open(os.devnull) as nothing:
        assert not is_terminal(nothing)
        assert not is_terminal_file(nothing.fileno())
    assert not is_terminal(None)
