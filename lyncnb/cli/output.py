"""Write the output of the commands: wrapped text and tables, or one JSON document.

Names come from other people's files, so control characters never reach the terminal. A
character that the terminal cannot show becomes a question mark.
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

from ..base.shown.terminal_text import escape_controls, format_report, format_table, wrap_line
from ..base.terminal import is_terminal
from ..errors import StandardOutputError
from .help import SECTIONS

if TYPE_CHECKING:
    from ..base.disk.outputs import OutputKind
    from ..base.shown.report import Report
    from ..request_folder.manifest import Manifest


# The width of lines if the output is not a terminal.
_PIPE_WIDTH = 100

_NO_BREAK = "\N{NO-BREAK SPACE}"

# The pattern for a command in a sentence, up to the end of the sentence.
_COMMANDS = "|".join(name for _, commands in SECTIONS for name, _ in commands)
_COMMAND = re.compile(rf"lyncnb (?:{_COMMANDS}) [^;]*?(?=[.:]? [A-Z][a-z]|[.:]? *$|;)")


def prepare_streams() -> None:
    """Prepare the standard streams, so that unusual characters and closed streams cause no errors.

    Characters that a stream cannot encode are replaced, and the file descriptor of a closed stream
    is reserved.
    """
    is_chosen = any(os.environ.get(name) for name in ("PYTHONIOENCODING", "PYTHONUTF8"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # On Windows, Python encodes text for a pipe or a file in the code page of the system.
            # Characters that the stream cannot encode would otherwise become "?".
            is_piped = sys.platform == "win32" and not is_chosen and not is_terminal(stream)
            stream.reconfigure(encoding="utf-8" if is_piped else None, errors="replace")
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:
            # If the caller closed a standard stream, the next file that lyncnb opens would get the
            # stream's file descriptor.
            try:
                os.fstat(number)
            except OSError:
                # Child processes inherit the reserved file descriptor, so that none of their own
                # files and sockets gets its number.
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def write(text: str = "") -> None:
    """Write lines to standard output.

    Raises
    ------
    StandardOutputError
        If standard output cannot be written. If it was closed from the start,
        :func:`finish_output` reports the error when the command's work is done.
    """
    with _convert_output_errors():
        if sys.stdout is not None:
            sys.stdout.write(escape_controls(text) + "\n")


def write_note(text: str) -> None:
    """Write lines to standard error, wrapped for a terminal.

    If the stream is closed, they are lost.
    """
    try:
        if sys.stderr is not None:
            lines = escape_controls(text).split("\n")
            if is_terminal(sys.stderr):
                lines = [part for line in lines for part in _wrap_line(line)]
            sys.stderr.write("\n".join(lines) + "\n")
            sys.stderr.flush()
    except (OSError, ValueError):
        discard_stream(sys.stderr)


def write_to_stdout(data: bytes) -> None:
    """Write a finished document to standard output, regardless of the terminal's encoding."""
    with _convert_output_errors():
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
    """Write a file to the path that the user specified, and report this on standard error.

    Raises
    ------
    OutputError
        In the same cases as ``base.outputs.write_output``, which takes the same arguments.
    """
    from ..base.disk.outputs import write_output

    write_output(path, data, kind, force=force, inputs=inputs)
    write_note(f"written: {path}")


def show_report(
    report: Report,
    output: str | None,
    *,
    as_json: bool,
    force: bool = False,
    inputs: Iterable[str | os.PathLike[str] | None] = (),
) -> None:
    """Write a report to a file if the user specified one, and show its summary or its JSON.

    Raises
    ------
    OutputError
        In the same cases as ``base.outputs.write_output``, which takes the same arguments.
    """
    from ..base.shown.report import write_report

    if output is not None:
        data = write_report(report, Path(output).suffix.lower())
        write_file(output, data, report.kind, force=force, inputs=inputs)
    if as_json:
        write_to_stdout(write_report(report, ".json"))
    elif output is None:
        write_lines(*format_report(report, width=find_line_width()))
    else:
        write_lines(report.summary)


def finish_output() -> None:
    """Flush standard output. An error such as a full disk may occur only then.

    Raises
    ------
    StandardOutputError
        If standard output is closed or cannot be written.
    """
    if sys.stdout is None:
        raise make_output_error(None)
    with _convert_output_errors():
        sys.stdout.flush()


def make_output_error(cause: Exception | None) -> StandardOutputError:
    """Return the error for a failure to write to standard output.

    If `cause` is None, standard output is closed.
    """
    reason = getattr(cause, "strerror", None) or str(cause or "the stream is closed")
    return StandardOutputError(
        f"cannot write to standard output: {reason}",
        hint=(
            "send the output to a terminal, a file or a pipe that accepts the whole output; "
            "lyncnb kept the completed work"
        ),
    )


@contextmanager
def _convert_output_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise make_output_error(error) from None


def discard_stream(stream: TextIO | None) -> None:
    """Discard text that a stream cannot write, so that flushing at exit does not fail."""
    if stream is None:
        return
    with suppress(OSError, ValueError):
        stream.flush()
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def write_json(document: Any) -> None:
    """Write one JSON document to standard output, encoded in UTF-8."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    write_to_stdout(text.encode("utf-8", "replace") + b"\n")


def find_line_width() -> int:
    """Return the width of the terminal in columns, or the default width for a pipe or a file."""
    return shutil.get_terminal_size((_PIPE_WIDTH, 0)).columns


def _wrap_line(line: str) -> Iterator[str]:
    """Wrap a line, but not inside a command, so that users can copy the command."""
    text = _COMMAND.sub(lambda command: command[0].replace(" ", _NO_BREAK), line)
    for part in wrap_line(text, find_line_width()):
        yield part.replace(_NO_BREAK, " ")


def write_lines(*lines: str) -> None:
    """Write lines of text. A wrapped line keeps its indentation."""
    for line in (part for text in lines for part in text.split("\n")):
        for part in _wrap_line(line):
            write(part)


def write_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, optional: int = 0
) -> None:
    """Write a table that fits the width of the terminal, without optional columns if necessary."""
    for line in format_table(columns, list(rows), width=find_line_width(), optional=optional):
        write(line)


def write_next_steps(*steps: str) -> None:
    """Write the next steps at the end of a command's output."""
    write_lines(*(f"Next: {step}" for step in steps))


def write_next_folder_step(folder: str | os.PathLike[str], manifest: Manifest) -> None:
    """Write the next step for a request folder at the end of a command's output."""
    from ..authorities.status import list_next_steps_from_manifest

    write_next_steps(*list_next_steps_from_manifest(folder, manifest))


@contextmanager
def mark_dry_run(is_dry_run: bool) -> Iterator[None]:
    """Say before and after the output of a dry run that nothing was changed."""
    if is_dry_run:
        write_lines("Dry run: nothing was changed. Without --dry-run, the result would be:")
    yield
    if is_dry_run:
        write_lines("Dry run: nothing was changed")


def make_progress_bar(unit: str) -> tuple[Callable[..., None] | None, Callable[[], None]]:
    """Return a progress callback. It draws a bar if standard error is a terminal.

    Parameters
    ----------
    unit : str
        The unit of the count, for example ``requests``.

    Returns
    -------
    progress : callable or None
        Takes (done, total), or one tuple that begins with these values. None without a
        terminal.
    finish : callable
        Removes the bar.
    """
    if not is_terminal(sys.stderr):
        return None, lambda: None
    from tqdm import tqdm

    bar = tqdm(unit=f" {unit}", leave=False, file=sys.stderr, dynamic_ncols=True)

    def show_progress(*position: Any) -> None:
        done, total = position[0][:2] if len(position) == 1 else position[:2]
        bar.total = total
        bar.update(done - bar.n)

    return show_progress, bar.close


@contextmanager
def stop_on_interrupt(
    message: str = (
        "lyncnb stops as soon as the keys in progress are written; to stop "
        "immediately, press Ctrl-C again"
    ),
) -> Iterator[threading.Event]:
    """Interpret the first Ctrl-C as a request to stop, for example after the current keys.

    Yields
    ------
    threading.Event
        The first Ctrl-C sets it. The second Ctrl-C interrupts at once, as usual.
    """
    cancel = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield cancel
        return

    def stop(*_: object) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()
        write_note(message)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)
