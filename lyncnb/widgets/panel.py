"""Show a panel in a notebook: an anywidget with plain JavaScript, above a static output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import anywidget
from IPython.core.getipython import get_ipython
from IPython.display import DisplayHandle, display

from ..base.shown import tables
from ..base.shown.tables import NEEDS_CLASS, find_shown_plans
from ..errors import LyncnbError
from ..jupyter.outdated_outputs import record_outdated_output
from ..pki.passphrase import Secret
from .editing.channel import Channel
from .notebook_cells import (
    find_cell_id,
    find_running_cell,
    forget_result,
    remove_replaced_objects,
)
from .panel_scripts import read_scripts, read_styles

_REST = 0.6  # The time in seconds between a change and the update of the static output.
# On a JupyterHub, the browser page and the kernel often have different versions of anywidget, but
# both need the same minor version. The paragraph explains this, and the panel's style sheet hides
# it as soon as the panel has loaded.
_MINOR = ".".join(anywidget.__version__.split(".")[:2])
_NEEDS = (
    "JupyterLab shows this copy instead of the panel if the environment of JupyterLab does not "
    f"have anywidget {_MINOR}. In this environment, run pip install anywidget~={_MINOR}.0, restart "
    "JupyterLab, and reload the page."
)
_SECRETS = ("passphrase", "again")


class Panel(anywidget.AnyWidget):
    """The notebook widget that connects a panel's Python code to the panel's page in the browser.

    The widget exchanges messages with the page, and updates the static output.
    """

    # The script is passed as text. If it were a path, anywidget would watch the file for changes
    # and keep every closed widget in memory.
    _css = read_styles()

    def __init__(self, channel: Channel[Any]):
        self._esm = read_scripts(*channel.scripts)
        super().__init__()
        self.channel: Channel[Any] = channel
        channel.send, channel.update_static = self._send_to_views, self.update_static
        # The static output has two formats: HTML and plain text.
        self._handle: DisplayHandle | None = None
        self._shown = ""
        self.on_msg(self._receive)

    def _send_to_views(self, message: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        view = self.channel.view_id
        self.send({**message, "view": view} if view else message, list(buffers))

    def _receive(self, _: object, message: Any, __: object) -> None:
        if isinstance(message, dict):
            # The secrets are removed from the message and stored only in Secret objects, so that
            # they can be released after the work.
            secrets = {key: Secret(str(message.pop(key))) for key in _SECRETS if key in message}
            message = {**message, **secrets}
        self.channel.receive(message)

    def show(self) -> None:
        """Display the panel, and below it the static output for readers without a kernel.

        There are two outputs, because without a kernel JupyterLab shows only an error for a widget.
        The page hides the second output while the panel works (``panel.css``). lyncnb keeps the
        second output up to date, so a saved notebook always shows the last state.
        """
        bundle, metadata = super()._repr_mimebundle_() or ({}, {})
        text = self.channel.text
        words = {"text/plain": text, "text/html": tables.format_paragraph(text)}
        display({**bundle, **words}, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
        form = _build_mime_bundle(*self.channel.make_first_output())
        self._record_shown_output(form)
        self.channel.forget_page_id()
        self._handle = display(form, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        self.channel.prepare_content()

    def build_mime_bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the panel and its static output as one MIME bundle."""
        bundle, metadata = super()._repr_mimebundle_() or ({}, {})
        page, text, _ = self.channel.make_static_output()
        return {**bundle, "text/plain": text, "text/html": page}, metadata

    def update_static(self) -> None:
        """Update the static output after the user pauses."""
        self.channel.run_later("static", _REST, self._update_static)

    def _update_static(self) -> None:
        if self._handle is None:
            return
        form = _build_mime_bundle(*self.channel.make_static_output())
        # After the page is reloaded, JupyterLab ignores updates of the static output.
        if self.channel.is_reloaded:
            self._record_outdated_output(self._shown, form["text/html"])
        elif form["text/html"] != self._shown:
            self._record_shown_output(form)
            self._handle.update(form, raw=True)  # type: ignore[no-untyped-call]

    def _record_shown_output(self, form: Mapping[str, str]) -> None:
        self._shown = form["text/html"]
        self._record_outdated_output(self._shown, self._shown)

    def _record_outdated_output(self, shown_digest: str, current_digest: str) -> None:
        """Record whether a panel's static output shows an earlier plan than the panel itself."""
        plans = find_shown_plans(shown_digest)[:1] + find_shown_plans(current_digest)[:1]
        if len(plans) == 2:
            with suppress(LyncnbError):
                # If the record cannot be written, the message in the panel is enough to warn the
                # user.
                record_outdated_output(*plans)


class ShownAsPanel:
    """An object that a notebook shows as a panel if the last line of a cell returns it."""

    #: The class of the channel that answers messages from the panel's page. Each panel has its own
    #: channel.
    channel_of: ClassVar[Any]

    @cached_property
    def view(self) -> Panel:
        """The widget that shows this object in a notebook. Each access returns the same widget."""
        return Panel(self.channel_of(self))

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.view.build_mime_bundle()

    def _ipython_display_(self) -> None:
        close_panels_of_earlier_run(self)
        self.view.show()

    def close_view(self) -> None:
        """Release the widget. If the object is shown again, it creates a new widget."""
        view: Panel | None = self.__dict__.pop("view", None)
        if view is not None:
            view.channel.end()
            view.layout.close()
            view.close()


# Maps the ID of each cell to the number of its last run and to the panels that the cell shows.
_in_cells: dict[str, tuple[int, list[ShownAsPanel]]] = {}


def close_panels_of_earlier_run(panel: ShownAsPanel) -> None:
    """Close the panels from an earlier run of the cell, because their output is no longer visible.

    ipywidgets keeps every widget that is not closed. IPython keeps every result of a cell: those
    of the closed panels are removed from its history, so a panel's table does not stay in memory.
    """
    cell, count = find_cell_id(), find_running_cell()
    if not cell:
        return
    _close_panels_of_replaced_tables(get_ipython())
    before, earlier = _in_cells.get(cell, (count, []))
    if before != count:
        for other in earlier:
            if other is not panel:
                _close_panel(other)
        earlier = []
    _in_cells[cell] = (count, [*earlier, panel])


def _close_panel(panel: ShownAsPanel) -> None:
    panel.close_view()
    forget_result(panel)


@lru_cache(maxsize=1)
def _close_panels_of_replaced_tables(shell: Any) -> None:
    """Close the panels of a table, plan or editor when a cell starts to replace it.

    If the cell fails, no panel offers to write the requests of the earlier table.
    """

    def close_panels(cell: Any) -> None:
        replaced = {id(value): value for value in remove_replaced_objects(shell, cell.raw_cell)}
        for panel in [panel for _, panels in _in_cells.values() for panel in panels]:
            if replaced.keys() & {id(panel), *map(id, vars(panel).values())}:
                _close_panel(panel)

    shell.events.register("pre_run_cell", close_panels)


def list_panel_cells() -> set[int]:
    """Return the execution counts of the cells that show panels.

    A panel always shows the current plan.
    """
    return {count for count, _ in _in_cells.values()}


def _build_mime_bundle(page: str, text: str, is_visible: bool) -> dict[str, str]:
    kind = "lyncnb-result" if is_visible else "lyncnb-static"
    needs = f'<p class="{NEEDS_CLASS}">{_NEEDS}</p>'
    return {"text/html": f'<div class="{kind}">{needs}{page}</div>', "text/plain": text}
