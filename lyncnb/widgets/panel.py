"""What every panel is: one anywidget with plain JavaScript, and errors shown where one looks.

Guards the notebook: values travel as messages and never as traits, so that a saved notebook holds
none of them, with or without widget state.
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
from IPython.display import DisplayHandle, display

from ..base import tables
from ..errors import LyncnbError, Problem

#: What the browser says: its ``type``, and what belongs to it.
Message = dict[str, Any]

_HERE = Path(__file__).parent
_REST = 0.6  # seconds


#: What every panel's script needs before it; what the table of rows needs after those.
SHARED_SCRIPTS = ("elements.js", "keyboard_guard.js", "kernel_messages.js", "name_reasons.js")
GRID_SCRIPTS = (
    "row_store.js",
    "filter_words.js",
    "clipboard_block.js",
    "cell_editor.js",
    "refused_cells.js",
    "grid_header.js",
    "grid.js",
)


def read_scripts(*names: str) -> str:
    """Join JavaScript files of ``js`` into one module; no bundler and no network."""
    return "\n".join((_HERE / "js" / name).read_text(encoding="utf-8") for name in names)


class Panel(anywidget.AnyWidget):
    """A widget that answers messages and tells every error in the panel.

    Parameters
    ----------
    answers : mapping of str to callable
        By ``type`` of a message, what answers it; called with the message.
    text : str
        Stands for the panel where no widget can be shown.
    """

    _css = _HERE / "panel.css"
    #: Seconds. Work keeps the interpreter from the thread that sends: a page waited 40 ms for 1 kB.
    until_sent = 0.02

    def __init__(self, answers: Mapping[str, Callable[[Message], object]], text: str):
        super().__init__()
        self._answers = dict(answers)
        self._text = text
        self._static = StaticForm()
        self._later: asyncio.TimerHandle | None = None
        self._once_sent: asyncio.TimerHandle | None = None
        #: JupyterLab has messages answered beside the main thread, whose loop does what waited.
        self.turn = threading.RLock()
        self.on_msg(self._receive)

    # -- showing
    def show(self) -> None:
        """Display the panel, and beneath it its static form.

        Two outputs, because JupyterLab without a kernel shows an error for a widget and nothing
        else of that output; the page hides the second one while the panel is alive.
        """
        bundle, metadata = super()._repr_mimebundle_() or ({}, {})
        words = {"text/plain": self._text, "text/html": tables.paragraph(self._text)}
        display({**bundle, **words}, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
        self._static.show(self.first_form)
        self.work_ahead()

    def work_ahead(self) -> None:
        """Do what the page will ask for first, while it still loads the panel. Here nothing."""

    def first_form(self) -> tuple[str, str, bool]:
        """Give what the static form shows until it is brought up to date for the first time."""
        return self.static_form()

    def whole_bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give the panel and its static form as one MIME bundle."""
        bundle, metadata = super()._repr_mimebundle_() or ({}, {})
        page, text, _ = self.static_form()
        return {**bundle, "text/plain": text, "text/html": page}, metadata

    def static_form(self) -> tuple[str, str, bool]:
        """Give HTML and text for whoever has no kernel, and whether to show it beside the panel.

        Here the sentence that stands for the panel; each panel gives what it holds.
        """
        return tables.paragraph(self._text), self._text, True

    def update_static(self) -> None:
        """Bring the static form up to date, once the planner rests for a moment."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a thread, or no kernel
            self._static.update(self.static_form)
        else:
            update = lambda: self._static.update(self.static_form)  # noqa: E731
            self._later = loop.call_later(_REST, self._in_turn, "later", update)

    def once_sent(self, work: Callable[[], object]) -> None:
        """Do something when the messages before it are on their way; what waited is dropped."""
        if self._once_sent is not None:
            self._once_sent.cancel()
            self._once_sent = None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a thread, or no kernel
            work()
        else:
            self._once_sent = loop.call_later(self.until_sent, self._in_turn, "later", work)

    # -- answering
    def _receive(self, _: object, message: Any, __: object) -> None:
        kind = message.get("type") if isinstance(message, dict) else None
        if kind in self._answers:
            cell = message.get("cell")
            self._in_turn(kind, lambda: self._answers[kind](message), cell=cell)

    def _in_turn(self, about: str, work: Callable[[], object], *, cell: object = None) -> None:
        with self.turn:
            self.guarded(about, work, cell=cell)

    def guarded(self, about: str, work: Callable[[], object], *, cell: object = None) -> bool:
        """Do something; what goes wrong is told in the panel and nowhere else.

        `cell` is the cell of a table that asked, given back so that the page finds it.

        Returns
        -------
        bool
            Whether it went well.
        """
        try:
            work()
        except LyncnbError as error:
            occupied = getattr(error, "occupied", False)
            self.refuse(about, error_lines(error), occupied=occupied, cell=cell)
            return False
        except Exception as error:  # an invisible error would look like a panel that is dead
            self.refuse(about, unexpected_lines(error), cell=cell)
            return False
        return True

    def refuse(self, about: str, lines: list[str], **more: object) -> None:
        """Tell why something was not done."""
        self.send({"type": "refused", "about": about, "lines": lines, **more})


def error_lines(error: LyncnbError) -> list[str]:
    """Write an error as the planner reads it: what, where, and what to do. Four lines at most."""
    problems = error.problems
    if len(problems) == 1:
        lines = [f"Not done: {_sentence(problems[0])}"]
    else:
        shown = problems if len(problems) == 2 else problems[:1]
        lines = [f"Not done: {error.message}", *map(_sentence, shown)]
        if len(shown) < len(problems):
            lines.append(f"… and {len(problems) - len(shown):,} more")
    hints = [error.hint, *(problem.hint for problem in problems)]
    lines += [f"What to do: {hint}" for hint in dict.fromkeys(hints) if hint]
    return lines[:4]


def _sentence(problem: Problem) -> str:
    return f"{problem.message} ({problem.where})" if problem.where else problem.message


def unexpected_lines(error: Exception) -> list[str]:
    """Say that lyncnb is at fault: the place in it, but no value, which could be a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if "lyncnb" in Path(frame.filename).parts]
    place = f" at {Path(inside[-1].filename).name} line {inside[-1].lineno}" if inside else ""
    return [
        "Not done: an error in lyncnb itself. Nothing was changed.",
        f"It is {type(error).__name__}{place}.",
        "What to do: save your work; then do it another way, or report these lines.",
    ]


class StaticForm:
    """The table below a live panel, for whoever opens the notebook without a kernel.

    The page hides it while the panel is alive (``panel.css``); it is brought up to date with the
    panel, so a notebook saved at any moment shows what was there.
    """

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None
        self._shown = ""

    def show(self, form: Callable[[], tuple[str, str, bool]]) -> None:
        """Display the form once, beneath what the cell has shown."""
        bundle = _bundle(*form())
        self._shown = bundle["text/html"]
        self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def update(self, form: Callable[[], tuple[str, str, bool]]) -> None:
        """Bring it up to date, if it was displayed."""
        if self._handle is None:
            return
        bundle = _bundle(*form())
        if bundle["text/html"] != self._shown:
            self._shown = bundle["text/html"]
            self._handle.update(bundle, raw=True)  # type: ignore[no-untyped-call]


def _bundle(page: str, text: str, visible: bool) -> dict[str, str]:
    kind = "lyncnb-result" if visible else "lyncnb-static"
    return {"text/html": f'<div class="{kind}">{page}</div>', "text/plain": text}
