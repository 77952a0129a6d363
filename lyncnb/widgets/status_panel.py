"""``StatusPanel``: follow a request folder from the CA's answer to the servers."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from .following import FolderWork
from .status_view import StatusView


class StatusPanel(FolderWork):
    """Show the requests of a folder by state; hand over, receive, package, write the steps.

    Parameters
    ----------
    folder : path
        A request folder.
    today : date, optional
        The day of judgement instead of the present one, for results that can be repeated.

    Raises
    ------
    BundleError
        If it is no request folder.

    Notes
    -----
    Show it as the last line of a cell. Without a browser: ``hand_over``, ``receive``, ``package``
    and ``write_steps`` begin, ``wait`` gives what they came to.
    """

    @cached_property
    def view(self) -> StatusView:
        """The widget; there is one, however often it is shown."""
        return StatusView(self)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.view.whole_bundle()

    def _ipython_display_(self) -> None:
        self.view.show()
