"""Detect terminals, read input from them, and quote commands that users copy."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from typing import TextIO

_PLAIN_ON_WINDOWS = re.compile(r"[\w.:/\\~+=*-]+")


def quote_argument(text: str) -> str:
    """Quote one argument of a command that users copy.

    On Windows, only double quotes work in cmd and in PowerShell. A path with a backslash needs no
    quotes there.
    """
    if sys.platform != "win32":
        return shlex.quote(text)
    if _PLAIN_ON_WINDOWS.fullmatch(text):
        return text
    # A backslash before the closing quotation mark would escape this mark, so lyncnb doubles the
    # backslash.
    backslashes = len(text) - len(text.rstrip("\\"))
    return '"' + text.replace('"', '\\"') + "\\" * backslashes + '"'


def join_arguments(arguments: Iterable[str]) -> str:
    """Quote and join the arguments of a command that users copy."""
    return " ".join(map(quote_argument, arguments))


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal in which a person reads or types."""
    if stream is None or not stream.isatty():
        return False
    try:
        return sys.platform != "win32" or is_terminal_file(stream.fileno())
    except OSError:
        return True  # A program with its own window, such as IDLE, has no file descriptor.


def is_terminal_file(file_descriptor: int) -> bool:
    """Return whether an open file is a terminal.

    On Windows, ``isatty`` is also true for ``NUL``, from which a scheduled task reads.
    """
    if sys.platform != "win32" or not os.isatty(file_descriptor):
        return os.isatty(file_descriptor)
    import ctypes
    import msvcrt

    handle, mode = msvcrt.get_osfhandle(file_descriptor), ctypes.c_ulong()
    return bool(
        ctypes.WinDLL("kernel32").GetConsoleMode(ctypes.c_void_p(handle), ctypes.byref(mode))
    )


def ask_for_passphrase(text: str) -> str:
    """Ask the user for a passphrase in the Windows console.

    ``getpass`` takes the keys of Windows one by one: it refuses an emoji, and an arrow key adds
    ``àK``.
    """
    if sys.platform != "win32":
        raise OSError("this terminal is not a Windows console")
    import msvcrt

    for character in text:
        msvcrt.putwch(character)
    try:
        return read_hidden_line(msvcrt.getwch, msvcrt.kbhit)
    finally:
        msvcrt.putwch("\r")
        msvcrt.putwch("\n")


def read_hidden_line(get_key: Callable[[], str], is_waiting: Callable[[], bool]) -> str:
    """Read a line from the Windows console, without displaying it.

    Parameters
    ----------
    get_key : callable
        Returns the next UTF-16 code unit, as ``msvcrt.getwch`` does. A function key is two of
        them: NUL or ``à``, and a code.
    is_waiting : callable
        Returns whether another code unit was typed, as ``msvcrt.kbhit`` does. This distinguishes
        a function key from the letter ``à``.

    Returns
    -------
    str
        The line, in which surrogates are joined, for example of an emoji.

    Raises
    ------
    KeyboardInterrupt
        At Ctrl+C.
    """
    units: list[str] = []
    while (unit := get_key()) not in ("\r", "\n"):
        if unit == "\x03":
            raise KeyboardInterrupt
        if unit == "\b":
            _remove_last_character(units)
        elif unit in ("\x00", "\xe0") and is_waiting():
            get_key()
        else:
            units.append(unit)
    return "".join(units).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _remove_last_character(characters: list[str]) -> None:
    last = characters.pop() if characters else ""
    if "\udc00" <= last <= "\udfff" and characters:
        characters.pop()
