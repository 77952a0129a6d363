"""The summary of a plan or a request folder as a notebook shows it: a table, links to its files.

``to_frame`` gives every column of ``summary.csv``, so that planners filter the summary with pandas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from IPython.display import DisplayHandle, display

from ..base import tables
from ..plan.summary_content import Summary
from ..plan.summary_csv import COLUMNS, summary_rows

#: What a notebook shows of it: who needs which certificate, for which names, and who issues it.
SHOWN = (
    "Servers",
    "Type",
    "Subject name",
    "Subject alternative names",
    "Issuer",
    "Exportable",
    "CSR file",
)


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

    def __init__(
        self,
        summary: Summary,
        words: str,
        links: str = "",
        shown: Callable[[DisplayHandle], object] = lambda _: None,
    ):
        self._content, self._words, self._links, self._shown = summary, words, links, shown

    def _headings(self) -> Sequence[str]:
        return COLUMNS

    def _rows(self) -> Iterable[Sequence[object]]:
        return summary_rows(self._content)

    def _summary(self) -> str:
        return self._words

    def bundle(self) -> dict[str, str]:
        """Give the table as a notebook shows it, by MIME type."""
        page = self._links + self.only(*SHOWN)._repr_html_()
        note = f"{len(COLUMNS)} columns in all; to_frame() gives them as a DataFrame."
        return {"text/html": page + tables.paragraph(note), "text/plain": repr(self)}

    def _repr_html_(self) -> str:
        return self.bundle()["text/html"]

    def _ipython_display_(self) -> None:
        handle = display(self.bundle(), raw=True, display_id=True)  # type: ignore[no-untyped-call]
        if handle is not None:
            self._shown(handle)
