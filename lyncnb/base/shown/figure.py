"""Define ``Figure``: a picture with a description, and the same data as a table."""

from __future__ import annotations

import base64
import html
import re
from dataclasses import dataclass, field
from typing import ClassVar

from .frames import Kind
from .svg import split_into_sheets
from .tables import Column, Marked, Table, list_headings, mark_plan

#: The style is part of the HTML of every picture, because some pages remove ``<style>`` from the
#: content. On a Letter sheet (279 mm), the maximum height leaves room for a two-line heading and
#: the description. Closed details are not printed, because even one line could add a sheet. On
#: landscape sheets, a portrait picture is rotated, because its text would otherwise be too small.
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
    """A picture for a page, a notebook, or a separate file.

    Attributes
    ----------
    kind : str
        The type of the picture, such as ``topology``.
    title, description : str
        Plain text: what the picture shows and how to read it, also for people who cannot see it.
    described : tuple of Column
        The m columns of the table, each with the type of its values.
    rows : tuple of tuples
        n rows of m values: all data in the picture.
    svg : str
        The picture as an SVG document without scripts and external content.
    plan : Marked, optional
        The plan that the picture shows, if it shows only one plan.
    """

    #: The first characters of every picture that lyncnb writes. They identify lyncnb's own files.
    MARKS: ClassVar[tuple[bytes, ...]] = (b"<svg xmlns", b'aria-labelledby="title description"')

    kind: str
    title: str
    description: str
    described: tuple[Column, ...]
    rows: tuple[tuple[object, ...], ...]
    svg: str
    plan: Marked | None = field(default=None, compare=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """The headings of the table that contains the same data as the figure."""
        return tuple(list_headings(self.described))

    def _list_headings(self) -> tuple[str, ...]:
        return self.columns

    def _list_kinds(self) -> list[Kind]:
        return [column.kind for column in self.described]

    def _list_rows(self) -> tuple[tuple[object, ...], ...]:
        return self.rows

    def _summarize(self) -> str:
        return self.title

    def to_svg(self) -> bytes:
        """Return the picture as the content of an ``.svg`` file."""
        return self.svg.encode("utf-8")

    def to_html(self) -> str:
        """Return the picture and its description as HTML, without the table.

        Returns
        -------
        str
            The elements ``<style>`` and ``<figure>``. The image fits the width of the page. A
            picture
            that is higher than a sheet of paper is divided into several images.
        """
        return format_picture(self.title, self.description, self.svg)

    def _repr_html_(self) -> str:
        # A dataclass with slots creates a new class, so super() without arguments would fail.
        table = Table._repr_html_(self)
        return mark_plan(
            f"{self.to_html()}\n<details><summary>Show the same data as a table "
            f"({len(self.rows):,} rows)</summary>\n{table}\n</details>",
            self.plan,
        )

    def __repr__(self) -> str:
        return f"{self.title}\n{self.description}"


def format_picture(title: str, description: str, svg: str) -> str:
    """Return a picture and its description as HTML, with the text escaped.

    Parameters
    ----------
    title, description : str
        Plain text.
    svg : str
        The SVG document.

    Returns
    -------
    str
        The same HTML as :meth:`Figure.to_html`.
    """
    # The picture is an <img> element, because JupyterLab removes inline <svg> from untrusted
    # notebooks.
    pieces = split_into_sheets(svg)
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
