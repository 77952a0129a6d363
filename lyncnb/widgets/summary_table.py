"""The summary of a plan or a request folder as a notebook shows it: a table, links to its files.

``to_frame`` gives every column of ``summary.csv``, so that planners filter the summary with pandas.
"""

from __future__ import annotations

from collections.abc import Callable

from IPython.display import DisplayHandle, display

from ..base.shown import tables
from ..reports.summary.columns import CSV, NOTEBOOK, columns_of
from ..reports.summary.content import Line, Summary

#: What a notebook shows of it: who needs which certificate, for which names, and who issues it.
SHOWN = tables.headings_of(columns_of(NOTEBOOK))


class SummaryTable(tables.Table):
    """The summary table, one row per certificate.

    Parameters
    ----------
    summary : Summary
        Of a plan, or of a request folder.
    words : str
        What stands above the table.
    links : str
        Links to the summary's files, as HTML; "" while there are none.
    shown : callable
        Called with the output when the table is shown, so that it can be brought up to date.
    """

    _columns = columns_of(CSV)

    def __init__(
        self,
        summary: Summary,
        words: str,
        links: str = "",
        shown: Callable[[DisplayHandle], object] = lambda _: None,
    ):
        self._content, self._words, self._links, self._shown = summary, words, links, shown

    def _items(self) -> list[Line]:
        return self._content.lines()

    def _summary(self) -> str:
        return self._words

    def bundle(self) -> dict[str, str]:
        """Give the table as a notebook shows it, by MIME type."""
        page = self._links + self.only(*SHOWN)._repr_html_()
        note = f"{len(self._columns)} columns in all; to_frame() gives them as a DataFrame."
        return {"text/html": page + tables.paragraph(note), "text/plain": repr(self)}

    def _repr_html_(self) -> str:
        return self.bundle()["text/html"]

    def _ipython_display_(self) -> None:
        handle = display(self.bundle(), raw=True, display_id=True)  # type: ignore[no-untyped-call]
        if handle is not None:
            self._shown(handle)
