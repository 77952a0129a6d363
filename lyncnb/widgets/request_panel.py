"""``RequestPanel``: from a plan to keys, requests and the summary table, by hand and in safety."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from .request_view import RequestView
from .requesting import RequestRun


class RequestPanel(RequestRun):
    """Write the requests of a plan, with a look before and a Cancel meanwhile.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates.
    folder : path
        The request folder; need not exist.
    accept : mapping of str to str, optional
        Codes of error findings to accept, each with the reason.
    workers : int, optional
        Threads that make keys, by default one for each core.

    Notes
    -----
    Show it as the last line of a cell. Without a browser: ``look``, ``start``, ``cancel``,
    ``wait``, and ``bundle`` for the result.
    """

    @cached_property
    def view(self) -> RequestView:
        """The widget; there is one, however often it is shown."""
        return RequestView(self)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.view.whole_bundle()

    def _ipython_display_(self) -> None:
        self.view.show()
