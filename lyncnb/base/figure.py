"""``Figure``: a picture, what it shows in words, and the same data as a table."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from typing import ClassVar

from .tables import Table


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Figure(Table):
    """A picture for a page, a notebook or a file of its own.

    Attributes
    ----------
    kind : str
        E.g. ``topology``.
    title, description : str
        Plain text: what it shows and how to read it, also for those who do not see it.
    columns : tuple of str
        m headings of the table.
    rows : tuple of tuples
        n rows of m values: what the picture was drawn from, never less than it shows.
    svg : str
        The picture: an SVG document without scripts, that loads nothing.
    """

    #: In the head of every picture of lyncnb's, and of no other.
    MARKS: ClassVar[tuple[bytes, ...]] = (b"<svg xmlns", b'aria-labelledby="title description"')

    kind: str
    title: str
    description: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    svg: str

    def _headings(self) -> tuple[str, ...]:
        return self.columns

    def _rows(self) -> tuple[tuple[object, ...], ...]:
        return self.rows

    def _summary(self) -> str:
        return self.title

    def to_svg(self) -> bytes:
        """Give the picture as the content of an ``.svg`` file."""
        return self.svg.encode("utf-8")

    def to_html(self) -> str:
        """Give the picture as a fragment of a page: an image with its words, no table.

        Returns
        -------
        str
            ``<figure>…</figure>``; the image stands inside it and is scaled to the page.
        """
        # An image, not an inline <svg>: JupyterLab strips that from notebooks it does not trust.
        data = base64.b64encode(self.to_svg()).decode("ascii")
        return (
            '<figure class="lyncnb-figure" style="margin:0.5em 0;break-inside:auto">'
            f"<figcaption>{html.escape(self.title)}</figcaption>"
            f'<img src="data:image/svg+xml;base64,{data}" '
            f'alt="{html.escape(f"{self.title}. {self.description}")}" '
            'style="max-width:100%;height:auto"></figure>'
        )

    def _repr_html_(self) -> str:
        # A dataclass with slots is made anew: super() without arguments does not find it.
        table = Table._repr_html_(self)
        return (
            f"{self.to_html()}\n<details><summary>The same data as a table, "
            f"{len(self.rows):,} rows</summary>\n{table}\n</details>"
        )

    def __repr__(self) -> str:
        return f"{self.title}\n{self.description}"
