"""A passphrase is read from the Windows console key by key."""

from __future__ import annotations

import io
import os
import shlex

import pytest

from lyncnb.base.terminal import is_terminal, is_terminal_file, quote_argument, read_keys


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
    """An emoji counts as one character, a function key as none, and ``à`` as one."""
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


class Window:
    """A stream of a program with a window of its own, such as IDLE."""

    def isatty(self) -> bool:
        """Return that it is a terminal."""
        return True

    def fileno(self) -> int:
        """Raise, because there is no file."""
        raise io.UnsupportedOperation("fileno")


def test_a_terminal_without_a_file_is_a_terminal():
    """A stream that says that it is a terminal needs no file."""
    assert is_terminal(Window())


@pytest.mark.parametrize("text", ["plan.csv", "my plans", "a'b", "$HOME", ""])
def test_a_quoted_argument_is_one_argument(text):
    """The shell takes a quoted argument as it is. tests/windows asks cmd."""
    if os.name == "nt":
        assert quote_argument(text).strip('"') == text
    else:
        assert shlex.split(quote_argument(text)) == [text]
