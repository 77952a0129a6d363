"""Draw shapes and text as an SVG picture. The same calls result in the same bytes.

All text in a picture is escaped by this module. A picture contains no scripts and loads no external
content. It uses the reader's light or dark theme, and the light theme on paper.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

# The widths of characters in DejaVu Sans, in thousandths of the font size. DejaVu Sans is the
# widest font in the list, so a text that fits in this font also fits in all other fonts.
_NARROW = dict.fromkeys("ijlI|", 290) | dict.fromkeys(" .,:;'!()[]/-ftr", 390)
_WIDE = dict.fromkeys("mwMW@%", 980)
_CAPITAL, _LETTER, _FULL = 730, 630, 1000

# Color is never the only difference: lines also have different dashes, and markers have different
# shapes.
_STYLE = """
svg{color-scheme:light dark;--ink:#1b1b1b;--paper:#fff;--soft:#f1f4f8;--box:#fff;--line:#8b95a3;
--quiet:#4d5560;--sip:#0b5394;--web:#17663a;--other:#7a3e8e;--mark:#0b5394;--warn:#8a4b00;
font-family:"Segoe UI",system-ui,"Noto Sans","DejaVu Sans","Microsoft JhengHei","Noto Sans CJK TC",
sans-serif;font-size:12px}
@media screen and (prefers-color-scheme:dark){svg{--ink:#e8e8e8;--paper:#16181b;--soft:#1f242a;
--box:#2a3038;--line:#7a8594;--quiet:#b9c1cc;--sip:#8ec5ff;--web:#84d6a2;--other:#dba6ee;
--mark:#8ec5ff;--warn:#f5c66b}}
text{fill:var(--ink)}
.paper{fill:var(--paper)}
.zone{fill:var(--soft)}
.band{fill:none;stroke:var(--line);stroke-dasharray:2 3}
.box{fill:var(--box);stroke:var(--line)}
.changed{stroke:var(--warn);stroke-width:2.5}
.rule{stroke:var(--line);fill:none}
.title{font-size:17px;font-weight:700}
.head{font-size:13px;font-weight:700}
.strong{font-weight:600}
.small{font-size:11px}
.tiny{font-size:9px}
.quiet{fill:var(--quiet)}
.faint{stroke-dasharray:1 3}
.now{stroke:var(--ink);stroke-width:1.5;fill:none}
.over{paint-order:stroke;stroke:var(--paper);stroke-width:4px}
.warn{fill:var(--warn);font-weight:600}
.mark{fill:var(--mark);stroke:var(--mark);stroke-width:1.5}
.open{fill:var(--box);stroke:var(--mark);stroke-width:1.5}
.late{fill:var(--warn);stroke:var(--warn)}
.solid,.dashed,.dotted{fill:none;stroke-width:1.4}
.solid{stroke:var(--sip)}.dashed{stroke:var(--web);stroke-dasharray:6 3}
.dotted{stroke:var(--other);stroke-dasharray:1.5 3}
.tip-solid{fill:var(--sip)}.tip-dashed{fill:var(--web)}.tip-dotted{fill:var(--other)}
"""


def measure_text(text: str, size: float) -> float:
    """Estimate the width of a text in pixels. The result is more often too large than too small."""
    total = 0
    for character in text:
        if character in _NARROW:
            total += _NARROW[character]
        elif character in _WIDE:
            total += _WIDE[character]
        elif unicodedata.east_asian_width(character) in "WF":
            total += _FULL
        else:
            total += _CAPITAL if character.isupper() else _LETTER
    return total * size / 1000


def shorten_text(text: str, width: float, size: float) -> str:
    """Shorten a text in the middle, so that it fits into a width in pixels.

    Parameters
    ----------
    text : str
        A host name or words. Both ends of a name are more important than the middle.
    width, size : float
        The maximum width and the font size, in pixels.
    """
    if measure_text(text, size) <= width:
        return text
    # Every character is at least a quarter of the font size wide.
    length = min(len(text) - 1, int(width / size * 4))
    while length > 2:
        head = (length * 3 + 4) // 5
        short = f"{text[:head]}…{text[len(text) - (length - head) :]}"
        if measure_text(short, size) <= width:
            return short
        length -= 1
    return "…"


class Drawing:
    """A picture to which shapes are added in the order in which they are drawn.

    Parameters
    ----------
    width : float
        The width in pixels. The height is set at the end.
    """

    def __init__(self, width: float) -> None:
        self.width = width
        self._shapes: list[str] = []

    def draw_rectangle(
        self, x: float, y: float, width: float, height: float, css_class: str
    ) -> None:
        """Draw a rectangle in the picture.

        In all methods, ``kind`` is a class in the style sheet of the picture.
        """
        corner = ' rx="4"' if css_class in ("box", "band", "zone") else ""
        self._shapes.append(
            f'<rect x="{_round(x)}" y="{_round(y)}" width="{_round(width)}" '
            f'height="{_round(height)}"{corner} class="{css_class}"/>'
        )

    def draw_text(
        self,
        x: float,
        y: float,
        text: str,
        css_class: str = "",
        *,
        anchor: str = "start",
        name: str = "",
    ) -> None:
        """Write a line of text at the baseline ``y``. ``name`` identifies the text for clicks."""
        cls = f' class="{css_class}"' if css_class else ""
        anchor_attribute = "" if anchor == "start" else f' text-anchor="{anchor}"'
        name_attribute = f' data-name="{_escape_for_svg(name)}"' if name else ""
        self._shapes.append(
            f'<text x="{_round(x)}" y="{_round(y)}"{anchor_attribute}{cls}{name_attribute}>'
            f"{_escape_for_svg(text)}</text>"
        )

    def draw_slanted_text(self, x: float, y: float, text: str, css_class: str = "") -> None:
        """Write a diagonal heading for a narrow column. The heading begins at (x, y)."""
        position = f"{_round(x)} {_round(y)}"
        cls = f' class="{css_class}"' if css_class else ""
        self._shapes.append(
            "<text "
            f'transform="translate({position})rotate(-52)"{cls}>{_escape_for_svg(text)}</text>'
        )

    def draw_path(self, points: list[tuple[float, float]], css_class: str) -> None:
        """Draw straight lines that connect points."""
        (x, y), *rest = points
        steps = "".join(f"L{_round(a)} {_round(b)}" for a, b in rest)
        self._shapes.append(f'<path d="M{_round(x)} {_round(y)}{steps}" class="{css_class}"/>')

    def draw_arrowhead(self, x: float, y: float, direction: int, css_class: str) -> None:
        """Draw an arrowhead at (x, y). With the direction 1, it points to the right."""
        base_x = x - 7 * direction
        self._shapes.append(
            f'<path d="M{_round(x)} {_round(y)}L{_round(base_x)} {_round(y - 4)}'
            f'L{_round(base_x)} {_round(y + 4)}Z" class="tip-{css_class}"/>'
        )

    def draw_disc(self, x: float, y: float, radius: float, css_class: str) -> None:
        """Draw a filled circle in the picture."""
        self._shapes.append(
            f'<circle cx="{_round(x)}" cy="{_round(y)}" r="{_round(radius)}" class="{css_class}"/>'
        )

    def draw_half_disc(self, x: float, y: float, radius: float) -> None:
        """Draw a circle whose left half is filled."""
        self.draw_disc(x, y, radius, "open")
        top, bottom, r = (
            _round(y - radius),
            _round(y + radius),
            _round(radius),
        )
        self._shapes.append(
            f'<path d="M{_round(x)} {top}A{r} {r} 0 0 0 {_round(x)} {bottom}Z" class="mark"/>'
        )

    @contextmanager
    def group_shapes(self, *, label: str, pools: Iterable[str]) -> Iterator[None]:
        """Group all shapes that are drawn in the ``with`` block, so that a viewer can find them.

        Parameters
        ----------
        label : str
            The description of the group.
        pools : iterable of str
            The pools that the group represents, as names without spaces. Without pools, the group
            is not
            marked.
        """
        pool_names = " ".join(pools)
        attributes = (
            f' data-pools="{_escape_for_svg(pool_names)}" data-label="{_escape_for_svg(label)}"'
            if pool_names
            else ""
        )
        self._shapes.append(f"<g{attributes}>")
        yield
        self._shapes.append("</g>")

    def to_svg(
        self, height: float, *, title: str, description: str, break_positions: Iterable[float] = ()
    ) -> str:
        """Return the picture as an SVG document.

        Parameters
        ----------
        height : float
            The height in pixels.
        title, description : str
            Plain text for people who cannot see the picture.
        break_positions : iterable of float, optional
            The heights at which :func:`split_into_sheets` can divide the picture, in ascending
            order.

        Returns
        -------
        str
            An SVG document.
        """
        size = f"{_round(self.width)} {_round(height)}"
        shapes = "\n".join(self._shapes)
        cuts = " ".join(map(_round, break_positions))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" '
            f'width="{_round(self.width)}" height="{_round(height)}" role="img" '
            f'aria-labelledby="title description" data-breaks="{cuts}">\n'
            f'<title id="title">{_escape_for_svg(title)}</title>\n'
            f'<desc id="description">{_escape_for_svg(description)}</desc>\n'
            f"<style>{_STYLE}</style>\n"
            f'<rect width="100%" height="100%" class="paper"/>\n{shapes}\n</svg>\n'
        )


def split_into_sheets(svg: str) -> list[str]:
    """Divide a picture into parts that each fit on a sheet of paper.

    Parameters
    ----------
    svg : str
        A document from :meth:`Drawing.to_svg`.

    Returns
    -------
    list of str
        A document for each part. All documents contain the same shapes, but show different areas.
    """
    head = re.search(r'viewBox="0 0 (\S+) (\S+)" width="\S+" height="\S+"', svg)
    cuts = re.search(r'data-breaks="([^"]*)"', svg)
    if head is None or cuts is None:
        return [svg]
    width, ends = head[1], [*cuts[1].split(), head[2]]
    pieces, top = [], "0"
    for end in ends:
        height = _round(float(end) - float(top))
        window = f'viewBox="0 {top} {width} {height}" width="{width}" height="{height}"'
        pieces.append(svg.replace(head[0], window, 1))
        top = end
    return pieces


def _round(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _escape_for_svg(text: str) -> str:
    # XML does not allow these characters. A single one would make the whole picture unreadable.
    cleaned = "".join(c if c >= " " and c not in "\ufffe\uffff" else " " for c in text)
    return html.escape(cleaned.encode("utf-8", "replace").decode("utf-8"), quote=True)
