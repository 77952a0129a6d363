"""On Windows, a passphrase is read from the console one key at a time."""

from __future__ import annotations

import io
import os
import shlex

import pytest

from lyncnb.base.terminal import is_terminal, is_terminal_file, quote_argument, read_hidden_line


def type_line(*units: str) -> str:
    """Simulate a user who types a line, and return the line that lyncnb reads. Each argument
    contains the UTF-16 code units of one key.
    """
    waiting = [unit for key in units for unit in key]
    at_once = [len(key) - n - 1 for key in units for n in range(len(key))]

    def get_key() -> str:
        at_once.insert(0, at_once.pop(0))
        return waiting.pop(0)

    def is_waiting() -> bool:
        return at_once[-1 - len(waiting)] > 0

    return read_hidden_line(get_key, is_waiting)


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
def test_function_keys_are_ignored(units, text):
    """In typed input, an emoji and `à` each count as one character, and a function key is ignored."""
    assert type_line(*units) == text


def test_ctrl_c_ends_the_prompt():
    """Ctrl+C interrupts the prompt for a passphrase."""
    with pytest.raises(KeyboardInterrupt):
        type_line("a", "\x03")


def test_other_streams_are_not_terminals():
    """lyncnb does not mistake the null device, a closed stream or a pipe for a terminal."""
    with open(os.devnull) as nothing:
        assert not is_terminal(nothing)
        assert not is_terminal_file(nothing.fileno())
    assert not is_terminal(None)


class Window:
    """A stream of a program that opens its own window, such as IDLE."""

    def isatty(self) -> bool:
        """Return True, because the stream is a terminal."""
        return True

    def fileno(self) -> int:
        """Raise an error, because the stream has no file descriptor."""
        raise io.UnsupportedOperation("fileno")


def test_terminal_without_a_file_descriptor_is_recognized():
    """A stream is recognized as a terminal even if it has no file descriptor."""
    assert is_terminal(Window())


@pytest.mark.parametrize("text", ["plan.csv", "my plans", "a'b", "$HOME", ""])
def test_a_quoted_argument_is_one_argument(text):
    """A shell parses a quoted argument as one unchanged argument."""
    if os.name == "nt":
        assert quote_argument(text).strip('"') == text
    else:
        assert shlex.split(quote_argument(text)) == [text]
