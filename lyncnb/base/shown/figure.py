"""``Figure``: a picture, what it shows in words, and the same data as a table."""

from __future__ import annotations

import base64
import html
import re
from dataclasses import dataclass, field
from typing import ClassVar

from .svg import sheets
from .tables import Marked, Table, marked

#: Part of every picture's HTML; for a page that takes ``<style>`` out of what it is given.
# A sheet of Letter, 279 mm, has a heading of two lines and the words above the picture, too; what
# stays folded would be a line without use there, alone on a sheet of its own. On sheets that lie
# on their side a picture that is higher than wide is turned: else its letters were too small.
FIGURE_STYLE = (
    "<style>@media print{.lyncnb-figure img"
    "{max-height:220mm;width:auto;break-inside:avoid}"
    ".lyncnb-figure figcaption{font-size:7.5pt;line-height:1.25}"
    ".lyncnb-figure+details:not([open]){display:none}}"
    "@media print and (orientation:landscape){.lyncnb-figure img{max-height:150mm}"
    ".lyncnb-high{height:182mm;position:relative;overflow:hidden;break-before:page}"
    ".lyncnb-high img{position:absolute;left:50%;top:50%;translate:-50% -50%;rotate:-90deg;"
    "max-width:180mm!important;max-height:260mm!important}}</style>"
)


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
    plan : Marked, optional
        The plan that it shows, if it shows one alone.
    """

    #: In the head of every picture of lyncnb's, and of no other.
    MARKS: ClassVar[tuple[bytes, ...]] = (b"<svg xmlns", b'aria-labelledby="title description"')

    kind: str
    title: str
    description: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    svg: str
    plan: Marked | None = field(default=None, compare=False)

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
            ``<style>`` and ``<figure>…</figure>``: the image inside it is scaled to the page; one
            that is higher than a sheet is several, of which none is cut on paper.
        """
        return picture_html(self.title, self.description, self.svg)

    def _repr_html_(self) -> str:
        # A dataclass with slots is created again: super() without arguments does not find it.
        table = Table._repr_html_(self)
        return marked(
            f"{self.to_html()}\n<details><summary>The same data as a table, "
            f"{len(self.rows):,} rows</summary>\n{table}\n</details>",
            self.plan,
        )

    def __repr__(self) -> str:
        return f"{self.title}\n{self.description}"


def picture_html(title: str, description: str, svg: str) -> str:
    """Write a picture as a fragment of a page: images with their words, escaped.

    Parameters
    ----------
    title, description : str
        Plain text.
    svg : str
        The document.

    Returns
    -------
    str
        As :meth:`Figure.to_html` gives it.
    """
    # Images, no inline <svg>: JupyterLab strips that from notebooks it does not trust.
    pieces = sheets(svg)
    images = []
    for number, piece in enumerate(pieces, 1):
        data = base64.b64encode(piece.encode("utf-8")).decode("ascii")
        words = f"{title}, part {number} of {len(pieces)}" if len(pieces) > 1 else title
        size = re.search(r'width="(\S+)" height="(\S+)"', piece)
        high = ' class="lyncnb-high"' if size and float(size[2]) > float(size[1]) else ""
        images.append(
            f'<div{high}><img src="data:image/svg+xml;base64,{data}" alt="{html.escape(words)}" '
            'style="display:block;max-width:100%;height:auto"></div>'
        )
    return (
        f'{FIGURE_STYLE}<figure class="lyncnb-figure" style="margin:0.5em 0">'
        f"<figcaption>{html.escape(description)}</figcaption>{''.join(images)}</figure>"
    )
