"""Answer the messages from a panel's page in the browser, and report errors to the page.

A channel needs no notebook and no kernel. The code that shows the panel sets ``send``.
Values are sent as messages, never as traits of a widget. A saved notebook therefore
contains none of the values.
"""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, fields, make_dataclass
from functools import cache, partial
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar, get_type_hints

from ...base.garbage_collection import pause_garbage_collection
from ...base.records import RecordReader
from ...base.shown import tables
from ...errors import PROBLEMS_SHOWN, LyncnbError, Problem
from ...pki.passphrase import Secret
from ...topology.csv_file import NAME_WITHOUT_FILE
from .host import NOTEBOOK, Host
from .messages import CellName, Number, Refused

#: The JavaScript files that a page with a table needs.
GRID_SCRIPTS = (
    "row_store.js",
    "new_rows.js",
    "filter_words.js",
    "clipboard_block.js",
    "pasting.js",
    "cell_editor.js",
    "refused_cells.js",
    "grid_header.js",
    "grid_menu.js",
    "grid.js",
)
#: The types of messages that open a file. If opening fails, the page shows all errors.
OPENING = "open"
#: The type of the first message from a page. The message contains the ID of the page.
STARTING = "ready"
TOO_LATE = "The browser's message arrived too late or twice, so lyncnb did nothing."
#: The type of a message to a panel's page.
ToPage = TypeVar("ToPage")
ToPage_contra = TypeVar("ToPage_contra", contravariant=True)
#: The functions that answer messages from the page, by message type.
Answers = Mapping[str, Callable[..., object]]


class Send(Protocol[ToPage_contra]):
    """A function that sends a message and its binary buffers to a panel's page."""

    def __call__(self, message: ToPage_contra, buffers: Sequence[bytes] = (), /) -> object:
        """Send a message and its binary buffers to the panel's page."""


class Channel(Generic[ToPage]):
    """The connection to a panel's page. It answers messages and reports every error.

    Parameters
    ----------
    answers : mapping of str to callable
        The function that answers each message ``type``. The parts of the message are its
        keyword arguments.
    text : str
        The text to show where the panel cannot be shown.
    signatures : mapping of str to callable, optional
        A function whose keyword arguments describe the parts of a message ``type``, if they
        differ from the arguments of the answering function.
    """

    #: The JavaScript files that the page loads, in order. The files that every page needs come
    #: first.
    scripts: ClassVar[tuple[str, ...]] = ()
    #: The time in seconds for which a random number is valid. The page returns the number in a
    #: message with a passphrase.
    number_valid = 30.0
    #: The delay in seconds before deferred work starts. Messages are sent by a thread that cannot
    #: run while other Python code runs: in a test, a page waited 40 ms for 1 kB.
    until_sent = 0.02

    def __init__(self, answers: Answers, text: str, *, signatures: Answers | None = None):
        self.answers = {**answers, "number": self._send_number}
        self.signatures = {**self.answers, **(signatures or {})}
        self.text = text
        self.host: Host = NOTEBOOK
        #: A function that sends a message and a list of its binary buffers to the page.
        self.send: Send[ToPage | Refused | Number] = lambda message, buffers=(): None
        #: A function that the channel calls when the static output is out of date.
        self.update_static: Callable[[], object] = lambda: None
        #: A function that the channel calls when the panel closes.
        self.at_end: list[Callable[[], object]] = []
        self._waiting: dict[str, asyncio.TimerHandle] = {}
        self._cell: CellName | None = None
        self._page_id = ""
        #: The view to which messages go. While a view of the panel starts, only that view gets
        #: messages. The value "" means all views.
        self.view_id = ""
        # The random number, which is valid only once, and the time at which it expires.
        self._number, self._number_end = 0, 0.0
        #: Whether the page was reloaded after the panel was shown. In this case, the static output
        #: on the page is outdated.
        self.is_reloaded = False
        #: JupyterLab answers messages in another thread, so the event loop of the main thread runs
        #: deferred work.
        self.turn = threading.RLock()

    # -- The following methods provide the output of the panel.
    def prepare_content(self) -> None:
        """Prepare the content that the page requests first, while the browser loads the panel."""

    def make_first_output(self) -> tuple[str, str, bool]:
        """Return the static output that the notebook shows until the panel updates it."""
        return self.make_static_output()

    def make_static_output(self) -> tuple[str, str, bool]:
        """Return the panel's content as HTML and text, and whether a result is shown.

        By default, this is the panel's text. Each panel returns its content instead.
        """
        return tables.format_paragraph(self.text), self.text, True

    # -- The following methods answer messages from the page.
    def receive(self, message: object) -> None:
        """Answer a message from the panel's page. Messages of an unknown type are ignored."""
        with self.turn:
            parts = dict(message) if isinstance(message, dict) else {}
            kind, cell = str(parts.pop("type", "")), parts.pop("cell", None)
            page, number = str(parts.pop("page", "")), parts.pop("number", None)
            # The ID of the page is contained only in the first message of a view.
            self.view_id = str(parts.pop("view", ""))
            has_secret = any(isinstance(value, Secret) for value in parts.values())
            if has_secret and not self._check_number(number):
                self.send_refusal(
                    kind, [TOO_LATE, "What to do: enter the passphrase and try again."]
                )
            elif kind in self.signatures:
                self.run_in_turn(
                    kind, lambda: self.answers[kind](**self._read_parts(kind, parts)), cell=cell
                )
            if kind == STARTING:
                self._report_reload(page)
            self.view_id = ""

    def _send_number(self) -> None:
        """Send a random number, which the page returns in its next message with a passphrase.

        After JupyterLab has lost the connection, it sends messages late. A late passphrase must not
        start work.
        """
        self._number += 1
        self._number_end = time.monotonic() + self.number_valid
        self.send({"type": "number", "number": self._number})

    def _check_number(self, number: object) -> bool:
        """Return whether a message contains the expected random number.

        Each number is valid only once.
        """
        is_valid = number == self._number and time.monotonic() < self._number_end
        self._number_end = 0.0
        return is_valid

    def end(self) -> None:
        """Discard deferred work and stop following other objects when the panel closes."""
        for handle in self._waiting.values():
            handle.cancel()
        self._waiting.clear()
        for stop in self.at_end:
            stop()
        self.at_end.clear()

    def forget_page_id(self) -> None:
        """Treat the next page that connects as the page that shows the static output."""
        self._page_id, self.is_reloaded = "", False

    def _report_reload(self, page: str) -> None:
        """Warn the user if the page was loaded after the panel was first shown."""
        self._page_id = self._page_id or page
        if page != self._page_id:
            self.is_reloaded = True
        if self.is_reloaded:
            self.send_refusal(
                "reloaded",
                [
                    ("You reloaded this page, so JupyterLab no longer updates the saved output."),
                    "What to do: run this cell again before you save or share the notebook.",
                ],
            )

    def _read_parts(self, kind: str, parts: Mapping[str, object]) -> Mapping[str, Any]:
        reader = RecordReader("in a message from the notebook page in the browser", is_json=True)
        record = reader.record(build_message_type(self.signatures[kind]), parts, kind)
        if record is None:
            raise LyncnbError(
                "the page sent a message that this version of lyncnb cannot read",
                hint=self.host.start_again,
                problems=tuple(reader.problems),
            )
        return {item.name: getattr(record, item.name) for item in fields(record)}

    def run_after_sending(self, work: Callable[[], object]) -> None:
        """Run work after the kernel has sent all messages that it already created."""
        self.run_later("sent", self.until_sent, work)

    def run_later(self, name: str, seconds: float, work: Callable[[], object]) -> None:
        """Run work after a delay. New work replaces waiting work with the same name.

        Without an event loop, the work runs at once.
        """
        if name in self._waiting:
            self._waiting.pop(name).cancel()
        if self.view_id:
            work = partial(self._run_for_view, self.view_id, work)
        try:
            loop = asyncio.get_running_loop()
        # In a thread or without a kernel, no event loop could run the work later, so the work runs
        # at once.
        except RuntimeError:
            work()
        else:
            self._waiting[name] = loop.call_later(seconds, self.run_in_turn, "later", work)

    def _run_for_view(self, view: str, work: Callable[[], object]) -> None:
        self.view_id = view
        try:
            work()
        finally:
            self.view_id = ""

    def run_in_turn(
        self, message_type: str, work: Callable[[], object], *, cell: CellName | None = None
    ) -> None:
        """Run ``work`` after the previous message is answered, and report an error to the page.

        `cell` is the edited cell. The page shows the error next to it.
        """
        # Garbage collection is paused, because a change of 100,000 rows creates millions of objects
        # without reference cycles.
        with self.turn, pause_garbage_collection():
            self._cell = cell
            try:
                work()
            except LyncnbError as error:
                lines = (
                    format_all_problems(error) if message_type == OPENING else format_error(error)
                )
                self.send_refusal(message_type, lines, occupied=getattr(error, "occupied", False))
            except Exception as error:
                # If the error were not shown, the panel would seem not to respond.
                self.send_refusal(message_type, describe_unexpected_error(error))
            self._cell = None

    def send_refusal(
        self,
        message_type: str,
        lines: Sequence[str],
        *,
        occupied: bool = False,
        offers: Sequence[str] = (),
        valid_name: str = "",
    ) -> None:
        """Report to the page why lyncnb rejected the user's action.

        With `offers`, the page also shows buttons for alternatives.
        """
        self.send(
            {
                "type": "refused",
                "about": message_type,
                "lines": lines,
                "cell": self._cell,
                "occupied": occupied,
                "offers": offers,
                "instead": valid_name,
            }
        )


@cache
def build_message_type(function: Callable[..., object]) -> type:
    """Build a record type from a function's keyword arguments, to validate messages."""
    hints = get_type_hints(function, include_extras=True)
    return make_dataclass(
        function.__name__,
        [
            (item.name, hints[item.name], field(default=item.default))
            if item.default is not item.empty
            else (item.name, hints[item.name])
            for item in signature(function).parameters.values()
            if item.kind is item.KEYWORD_ONLY
        ],
    )


def format_error(error: LyncnbError) -> list[str]:
    """Format an error in at most four lines: what happened, where, and what the user can do."""
    problems = error.problems
    if len(problems) == 1:
        lines = [f"Not done: {_describe_problem(problems[0])}"]
    else:
        first_problems = problems if len(problems) == 2 else problems[:1]
        lines = [f"Not done: {error.message}", *map(_describe_problem, first_problems)]
        if len(first_problems) < len(problems):
            lines.append(f"… and {len(problems) - len(first_problems):,} more problems")
    hints = [error.hint, *(problem.hint for problem in problems)]
    lines += [f"What to do: {hint}" for hint in dict.fromkeys(hints) if hint]
    return lines[:4]


def _describe_problem(problem: Problem) -> str:
    location = "" if problem.where == NAME_WITHOUT_FILE else problem.where
    return f"{problem.message} ({location})" if location else problem.message


def format_all_problems(error: LyncnbError) -> list[str]:
    """Format an error as lines of text with all of its problems, their locations and hints."""
    problems = error.problems
    if len(problems) < 2:
        return format_error(error)
    lines = [f"Not done: {error.message}"]
    for problem in problems[:PROBLEMS_SHOWN]:
        location = f"{problem.where}: " if problem.where else ""
        hint = f" What to do: {problem.hint}" if problem.hint else ""
        lines.append(f"{location}{problem.message}.{hint}")
    if len(problems) > PROBLEMS_SHOWN:
        lines.append(f"… and {len(problems) - PROBLEMS_SHOWN:,} more problems")
    return [*lines, f"What to do: {error.hint}"] if error.hint else lines


def describe_unexpected_error(
    error: Exception,
    effect: str = (
        "lyncnb could not complete this action because of an internal error. Nothing was changed."
    ),
) -> list[str]:
    """Describe where an unexpected error occurred, without values that could be secret.

    The first line is `effect`: what the user cannot see or do because of the error.
    """
    frames = traceback.extract_tb(error.__traceback__)
    lyncnb_frames = [frame for frame in frames if "lyncnb" in Path(frame.filename).parts]
    line = (
        f" in {Path(lyncnb_frames[-1].filename).name} line {lyncnb_frames[-1].lineno}"
        if lyncnb_frames
        else ""
    )
    return [
        effect,
        f"The error is {type(error).__name__}{line}.",
        (
            "What to do: save your work. Then try again in a different way, or report these lines "
            "as a bug."
        ),
    ]
