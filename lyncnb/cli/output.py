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
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, TextIO

from ..base.tables import cell_text
from ..errors import StandardOutputError

if TYPE_CHECKING:
    from ..base.outputs import OutputKind

_GAP = "  "

# Without a terminal a longer cell runs over its column, lest every line be as long as the longest.
_WIDEST = 64


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
    from ..base.outputs import write_output

    write_output(path, data, kind, force=force, inputs=inputs)
    note(f"written: {path}")


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


def printable(text: str) -> str:
    r"""Replace what a terminal would obey: escape sequences, other controls, text direction.

    Returns
    -------
    str
        The text with such characters as ``\x1b`` or ``\u202e``; line breaks and tabs stay.
    """
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(
        character
        if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def terminal_width(stream: TextIO) -> int | None:
    """Return the columns of the terminal behind a stream, None if there is no terminal."""
    if stream is None or not stream.isatty():
        return None
    return shutil.get_terminal_size().columns


def write_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table: fitted to a terminal, or one wide line per row into a pipe or file."""
    for line in table_lines(columns, list(rows), width=terminal_width(sys.stdout)):
        write(line)


def table_lines(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, width: int | None
) -> list[str]:
    """Lay out a table as lines of text.

    Parameters
    ----------
    columns : sequence of str
        m headings.
    rows : sequence of sequences
        n rows of m values.
    width : int or None
        Characters to fit in; None for no limit, one line per row.

    Returns
    -------
    list of str
        Lines without trailing blanks. If the columns cannot be so narrow without breaking a
        word, each row is a block of one line per value instead: host names must stay whole to
        be read and copied.
    """
    cells = [[printable(cell_text(value)).replace("\n", " ") for value in row] for row in rows]
    by_column = list(zip(columns, *cells, strict=True))
    widths = [max(map(display_width, column)) for column in by_column]
    if width is not None:
        fitted = _fitted(
            widths,
            [_longest_word(column) for column in by_column],
            width - len(_GAP) * (len(columns) - 1),
        )
        if fitted is None:
            return _blocks(columns, cells, width)
        widths = fitted
    else:
        widths = [min(column, _WIDEST) for column in widths]
    whole = width is None
    lines = _row_lines(columns, widths, whole=whole)
    lines.append(_GAP.join("-" * column for column in widths))
    for row in cells:
        lines.extend(_row_lines(row, widths, whole=whole))
    return lines


def _longest_word(texts: Iterable[str]) -> int:
    return max((display_width(word) for text in texts for word in text.split(" ")), default=0)


def _fitted(wanted: Sequence[int], least: Sequence[int], room: int) -> list[int] | None:
    """Share the room among the columns; None if not even every longest word fits."""
    widths = list(least)
    spare = room - sum(widths)
    if spare < 0:
        return None
    # Columns that need little get it all; the rest goes in equal parts to the wide ones.
    needs = sorted(range(len(widths)), key=lambda place: wanted[place] - least[place])
    for left, place in zip(range(len(needs), 0, -1), needs, strict=True):
        more = min(wanted[place] - least[place], spare // left)
        widths[place] += more
        spare -= more
    return widths


def display_width(text: str) -> int:
    """Count the columns that a text takes on a terminal; East Asian wide characters take two."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(character)
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )


def _row_lines(row: Sequence[str], widths: Sequence[int], *, whole: bool) -> list[str]:
    wrapped = [[cell] if whole else wrap(cell, width) for cell, width in zip(row, widths)]
    height = max(map(len, wrapped))
    lines = []
    for number in range(height):
        parts = [
            (cell[number] if number < len(cell) else "", width)
            for cell, width in zip(wrapped, widths, strict=True)
        ]
        padded = (text + " " * (width - display_width(text)) for text, width in parts)
        lines.append(_GAP.join(padded).rstrip())
    return lines


def wrap(text: str, width: int) -> list[str]:
    """Break a text into lines of at most so many columns, at blanks where it can.

    Returns
    -------
    list of str
        At least one line.
    """
    if display_width(text) <= width:
        return [text]
    lines, line = [], ""
    for word in text.split(" "):
        candidate = f"{line} {word}" if line else word
        if display_width(candidate) <= width:
            line = candidate
            continue
        if line:
            lines.append(line)
        *whole, line = _chopped(word, width)
        lines.extend(whole)
    lines.append(line)
    return lines


def _chopped(word: str, width: int) -> list[str]:
    parts, part, used = [], "", 0
    for character in word:
        columns = display_width(character)
        if part and used + columns > width:
            parts.append(part)
            part, used = "", 0
        part, used = part + character, used + columns
    return [*parts, part]


def _blocks(columns: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[str]:
    label = max(map(display_width, columns)) + len(_GAP)
    # Where a name fits only below its heading, all values go there.
    below = _longest_word(cell for row in cells for cell in row) > width - label
    indent = " " * (len(_GAP) if below else label)
    lines: list[str] = []
    for row in cells:
        for heading, cell in zip(columns, row, strict=True):
            if not cell:
                continue
            first, *rest = wrap(cell, max(width - len(indent), 20))
            if below:
                lines += [heading, indent + first]
            else:
                lines.append(heading + " " * (label - display_width(heading)) + first)
            lines.extend(indent + line for line in rest)
        lines.append("")
    return lines[:-1]


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
