"""The output of the commands: wrapped text and tables, or one JSON document.

Names come from other people's files. Control characters never reach the terminal, and a terminal
that cannot show a character gets a question mark instead.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..base.shown.terminal_text import printable, report_lines, table_lines, wrap
from ..errors import StandardOutputError
from .help import SECTIONS

if TYPE_CHECKING:
    from ..base.disk.outputs import OutputKind
    from ..base.shown.report import Report
    from ..request_folder.manifest import Manifest


# Columns of a line where no terminal says how many it has.
_PIPE_WIDTH = 100

_NO_BREAK = "\N{NO-BREAK SPACE}"

# A command inside a sentence, up to the sentence's end.
_COMMANDS = "|".join(name for _, commands in SECTIONS for name, _ in commands)
_COMMAND = re.compile(rf"lyncnb (?:{_COMMANDS}) [^;]*?(?=[.:]? [A-Z][a-z]|[.:]? *$|;)")


def prepare_streams() -> None:
    """Replace characters that a stream cannot encode, and occupy the number of a closed stream."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # what it cannot encode becomes ?
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:  # The caller closed it: the next file would get its number.
            try:
                os.fstat(number)
            except OSError:
                # Children inherit it, so that their own files and sockets do not get the number.
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def write(text: str = "") -> None:
    """Write lines to standard output.

    Raises
    ------
    StandardOutputError
        If standard output cannot be written. If it was closed from the start,
        :func:`finish_output` reports that when the command's work is done.
    """
    with _output_errors():
        if sys.stdout is not None:
            sys.stdout.write(printable(text) + "\n")


def note(text: str) -> None:
    """Write lines to standard error, wrapped for a terminal; a closed stream loses them."""
    try:
        if sys.stderr is not None:
            lines = printable(text).split("\n")
            if is_terminal(sys.stderr):
                lines = [part for line in lines for part in _wrapped(line)]
            sys.stderr.write("\n".join(lines) + "\n")
            sys.stderr.flush()
    except (OSError, ValueError):
        abandon(sys.stderr)


def write_bytes_out(data: bytes) -> None:
    """Write a finished document to standard output, whatever the terminal's encoding is."""
    with _output_errors():
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is not None:
            sys.stdout.flush()
            buffer.write(data)
        elif sys.stdout is not None:
            sys.stdout.write(data.decode("utf-8", "replace"))


def write_file(
    path: str,
    data: bytes,
    kind: OutputKind,
    *,
    force: bool = False,
    inputs: Iterable[str | os.PathLike[str] | None] = (),
) -> None:
    """Write a file that the planner named, and report it on standard error.

    Raises
    ------
    OutputError
        As ``base.outputs.write_output``, whose arguments these are.
    """
    from ..base.disk.outputs import write_output

    write_output(path, data, kind, force=force, inputs=inputs)
    note(f"written: {path}")


def show_report(
    report: Report,
    output: str | None,
    *,
    as_json: bool,
    force: bool = False,
    inputs: Iterable[str | os.PathLike[str] | None] = (),
) -> None:
    """Write a report to the file that the planner named, and show its short form or its JSON.

    Raises
    ------
    OutputError
        As ``base.outputs.write_output``, whose arguments these are.
    """
    from ..base.shown.report import write_report

    if output is not None:
        data = write_report(report, Path(output).suffix.lower())
        write_file(output, data, report.kind, force=force, inputs=inputs)
    if as_json:
        write_bytes_out(write_report(report, ".json"))
    elif output is None:
        write_lines(*report_lines(report, width=line_width()))
    else:
        write_lines(report.summary)


def finish_output() -> None:
    """Flush standard output: a full disk or a closed pipe is noticed only here.

    Raises
    ------
    StandardOutputError
        If standard output is closed, or cannot be written.
    """
    if sys.stdout is None:
        raise standard_output_error(None)
    with _output_errors():
        sys.stdout.flush()


def standard_output_error(cause: Exception | None) -> StandardOutputError:
    """Return the error for a standard output that cannot be written; None: it is closed."""
    reason = getattr(cause, "strerror", None) or str(cause or "it is closed")
    return StandardOutputError(
        f"standard output cannot be written: {reason}",
        hint="send it to a terminal, a file or a pipe that takes all of it; finished work is kept",
    )


@contextmanager
def _output_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise standard_output_error(error) from None


def abandon(stream: TextIO | None) -> None:
    """Discard what a stream still holds; otherwise Python flushes it at exit and complains."""
    if stream is None:
        return
    with suppress(OSError, ValueError):
        stream.flush()
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def write_json(document: Any) -> None:
    """Write one JSON document, UTF-8, to standard output."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    write_bytes_out(text.encode("utf-8", "replace") + b"\n")


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a person reads or types at this stream."""
    return stream is not None and stream.isatty()


def line_width() -> int:
    """Return the columns of the terminal, or what a pipe or a file gets."""
    return shutil.get_terminal_size((_PIPE_WIDTH, 0)).columns


def _wrapped(line: str) -> Iterator[str]:
    """Wrap a line, but no command in it: a reader copies commands."""
    held = _COMMAND.sub(lambda command: command[0].replace(" ", _NO_BREAK), line)
    for part in wrap(held, line_width()):
        yield part.replace(_NO_BREAK, " ")


def write_lines(*lines: str) -> None:
    """Write lines, each wrapped below its own indentation."""
    for line in (part for text in lines for part in text.split("\n")):
        for part in _wrapped(line):
            write(part)


def write_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table that fits the terminal."""
    for line in table_lines(columns, list(rows), width=line_width()):
        write(line)


def write_next(*steps: str) -> None:
    """Write what the planner can do next: the end of a command."""
    write_lines(*(f"Next: {step}" for step in steps))


def write_folder_next(folder: str | os.PathLike[str], manifest: Manifest) -> None:
    """Write what to do next in a request folder."""
    from ..authorities.status import steps_from_here

    write_next(*steps_from_here(folder, manifest))


def progress_bar(unit: str) -> tuple[Callable[..., None] | None, Callable[[], None]]:
    """Return a progress callback that draws a bar, if standard error is a terminal.

    Parameters
    ----------
    unit : str
        What is counted, e.g. ``requests``.

    Returns
    -------
    progress : callable or None
        Takes (done, total), or one tuple that begins with them; None without a terminal.
    finish : callable
        Removes the bar.
    """
    if not is_terminal(sys.stderr):
        return None, lambda: None
    from tqdm import tqdm

    bar = tqdm(unit=f" {unit}", leave=False, file=sys.stderr, dynamic_ncols=True)

    def progress(*position: Any) -> None:
        done, total = position[0][:2] if len(position) == 1 else position[:2]
        bar.total = total
        bar.update(done - bar.n)

    return progress, bar.close


@contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into a request to stop, so that keys under way are finished.

    Yields
    ------
    threading.Event
        Set by the first Ctrl-C; the second one interrupts at once, as usual.
    """
    cancel = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield cancel
        return

    def stop(*_: object) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()
        note("stopping after the keys under way are written; press Ctrl-C again to stop at once")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)
