"""What the commands write: text for a terminal, one JSON document, tables that fit.

Names come from other people's files, so nothing that a terminal would obey goes out, and a
terminal that cannot show a character gets a question mark, not a crash.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import textwrap
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..base.shown.text_table import printable, table_lines, wrap
from ..errors import StandardOutputError

if TYPE_CHECKING:
    from ..base.disk.outputs import OutputKind
    from ..base.shown.report import Report
    from ..request_folder.manifest import Manifest


def prepare_streams() -> None:
    """Let no character stop a command, and no file of the command's get the place of a stream."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # what it cannot encode becomes ?
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:  # closed by whoever called: the next file would get its number
            try:
                os.fstat(number)
            except OSError:
                # A child has it too, lest the child's own files and sockets get the number.
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def write(text: str = "") -> None:
    """Write lines to standard output.

    Raises
    ------
    StandardOutputError
        If it takes no more. One that was closed from the start is told of by
        :func:`finish_output`, when the command's work is done.
    """
    with _told():
        if sys.stdout is not None:
            sys.stdout.write(printable(text) + "\n")


def note(text: str) -> None:
    """Write lines to standard error; where nobody can read them, they are lost."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(printable(text) + "\n")
            sys.stderr.flush()
    except (OSError, ValueError):
        abandon(sys.stderr)


def write_bytes_out(data: bytes) -> None:
    """Write a finished document to standard output, whatever the terminal's encoding is."""
    with _told():
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
    """Write a file that a planner named, and say so beside what goes to standard output.

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
    """Write a report to the file that a planner named, and show it: as JSON, or in short.

    Raises
    ------
    OutputError
        As ``base.outputs.write_output``, whose arguments these are.
    """
    from ..base.shown.report import report_lines, write_report

    if output is not None:
        data = write_report(report, Path(output).suffix.lower())
        write_file(output, data, report.kind, force=force, inputs=inputs)
    if as_json:
        write_bytes_out(write_report(report, ".json"))
    elif output is None:
        # A line as wide as the terminal would be wrapped by write_lines, which keeps a margin.
        width = terminal_width(sys.stdout)
        write_lines(report_lines(report, width=width and width - 2))
    else:
        write_lines([report.summary])


def finish_output() -> None:
    """Bring everything out: a full disk or a closed pipe shows itself only here.

    Raises
    ------
    StandardOutputError
        If standard output is closed, or takes no more.
    """
    if sys.stdout is None:
        raise output_trouble(None)
    with _told():
        sys.stdout.flush()


def output_trouble(error: Exception | None) -> StandardOutputError:
    """Say in plain words why standard output takes no more; None: it is closed."""
    told = getattr(error, "strerror", None) or str(error or "it is closed")
    return StandardOutputError(
        f"standard output cannot be written: {told}",
        hint="send it to a terminal, a file or a pipe that takes all of it; what was done is done",
    )


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise output_trouble(error) from None


def abandon(stream: TextIO | None) -> None:
    """Let what a stream still holds go nowhere; Python would flush it at its end and complain."""
    if stream is None:
        return
    with suppress(OSError, ValueError):
        stream.flush()
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def write_json(document: Any) -> None:
    """Write one JSON document, UTF-8, to standard output."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    write_bytes_out(text.encode("utf-8", "replace") + b"\n")


def terminal_width(stream: TextIO) -> int | None:
    """Return the columns of the terminal behind a stream, None if there is no terminal."""
    if stream is None or not stream.isatty():
        return None
    return shutil.get_terminal_size().columns


def write_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table: fitted to a terminal, or one wide line per row into a pipe or file."""
    for line in table_lines(columns, list(rows), width=terminal_width(sys.stdout)):
        write(line)


def write_next(folder: str | os.PathLike[str], manifest: Manifest) -> None:
    """Write what there is to do next in a request folder: the end of a command."""
    from ..authorities.status import steps_from_here

    for text in steps_from_here(folder, manifest):
        write(f"Next: {text}")


def indented(text: str, prefix: str = "  ") -> str:
    """Indent and, on a terminal, wrap a paragraph."""
    width = terminal_width(sys.stdout)
    if width is None:
        return textwrap.indent(text, prefix)
    lines = (prefix + line for line in wrap(text, max(width - len(prefix), 20)))
    return "\n".join(lines)


def write_lines(lines: Iterable[str]) -> None:
    """Write lines that are indented by what they belong to; on a terminal wrapped below it."""
    width = terminal_width(sys.stdout)
    for line in lines:
        words = line.lstrip(" ")
        indent = " " * (len(line) - len(words))
        first, *rest = [words] if width is None else wrap(words, max(width - len(indent) - 2, 20))
        write(indent + first)
        for more in rest:
            write(f"{indent}  {more}")


def progress_bar(what: str) -> tuple[Callable[..., None] | None, Callable[[], None]]:
    """Make a progress callback that draws a bar, if standard error is a terminal.

    Parameters
    ----------
    what : str
        What is counted, e.g. ``requests``.

    Returns
    -------
    progress : callable or None
        To be called with (done, total) or one tuple that begins so; None without a terminal.
    finish : callable
        Takes the bar away.
    """
    if terminal_width(sys.stderr) is None:
        return None, lambda: None
    from tqdm import tqdm

    bar = tqdm(unit=f" {what}", leave=False, file=sys.stderr, dynamic_ncols=True)

    def progress(*position: Any) -> None:
        done, total = position[0][:2] if len(position) == 1 else position[:2]
        bar.total = total
        bar.update(done - bar.n)

    return progress, bar.close


# How a long command is stopped with Ctrl-C: what is under way is finished first.


@contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into a request to stop, so that what is under way is finished.

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
        note("stopping when the keys under way are written; Ctrl-C again stops at once")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)
