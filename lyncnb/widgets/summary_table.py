"""Show the summary of a plan or a request folder in a notebook, as a table with links.

``to_frame`` returns every column in ``summary.csv``, so that you can filter the summary
with pandas.
"""

from __future__ import annotations

from collections.abc import Callable

from IPython.display import DisplayHandle, display

from ..base.shown import tables
from ..reports.summary.columns import CSV, NOTEBOOK, list_columns
from ..reports.summary.content import Line, Summary

#: The columns that a notebook shows: the servers, the certificate, its names and its issuer.
SHOWN = tables.list_headings(list_columns(NOTEBOOK))


class SummaryTable(tables.Table):
    """The summary of a plan or request folder as a table with one row for each certificate.

    Parameters
    ----------
    summary : Summary
        The summary of a plan or a request folder.
    words : str
        The text above the table.
    links : str
        Links to the files of the summary as HTML, or "" if there are none.
    shown : callable
        A function to call with the output when the table is shown, so that it can be updated.
    """

    _columns = list_columns(CSV)

    def __init__(
        self,
        summary: Summary,
        words: str,
        links: str = "",
        shown: Callable[[DisplayHandle], object] = lambda _: None,
    ):
        self._content, self._words, self._links, self._shown = summary, words, links, shown

    def _list_items(self) -> list[Line]:
        return self._content.lines()

    def _summarize(self) -> str:
        return self._words

    def build_mime_bundle(self) -> dict[str, str]:
        """Return the table as a MIME bundle, which a notebook displays."""
        page = self._links + self.only(*SHOWN)._repr_html_()
        return {"text/html": page, "text/plain": repr(self)}

    def _repr_html_(self) -> str:
        return self.build_mime_bundle()["text/html"]

    def _ipython_display_(self) -> None:
        handle = display(self.build_mime_bundle(), raw=True, display_id=True)  # type: ignore[no-untyped-call]
        if handle is not None:
            self._shown(handle)
