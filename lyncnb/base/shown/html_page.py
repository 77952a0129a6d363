"""Whole HTML pages by jinja2, every value escaped. Knows no certificate.

The boundary for text on its way to a page of its own: templates (``*.html.j2``) are next to the
code that fills them, and autoescape is on for all of them. jinja2 is imported only when a page is
written, so that planning runs where it is not installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any

from .documents import linked_parts

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

# After these a long name, path or address may go on in the next line; before a dot, Safari and
# Chromium break nowhere by themselves, and a table grows beyond the page.
_BREAK_AFTER = "./_@\\-"
_HASH_DIGITS = 16
_LONG_HASH = re.compile(r"[0-9a-f]{16}(?=[0-9a-f])")

_DAY = re.compile(r"\b(\d{4}-\d\d-\d\d)\b")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    root = package_files(__package__.partition(".")[0])
    made = Environment(
        loader=FunctionLoader(lambda name: root.joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,  # a name that nobody gave is a mistake, not a blank
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["breakable"] = breakable
    made.filters["whole_days"] = whole_days
    made.globals["linked_parts"] = linked_parts
    return made


def breakable(text: object) -> Markup:
    """Escape a name or path and allow a new line after its dots, slashes and hyphens.

    Parameters
    ----------
    text : object
        Plain text; a hash may break after every 16 digits.

    Returns
    -------
    Markup
        Text and ``<wbr>``, nothing else. What a reader copies has no break in it.
    """
    import markupsafe

    # Marked and escaped as a whole: a page has a hundred thousand names.
    marked = str(text).replace("\0", "")
    for end in _BREAK_AFTER:
        marked = marked.replace(end, f"{end}\0")
    marked = _LONG_HASH.sub("\\g<0>\0", marked) if len(marked) > _HASH_DIGITS else marked
    escaped = str(markupsafe.escape(marked.rstrip("\0")))
    return markupsafe.Markup(escaped.replace("\0", "<wbr>"))


@lru_cache(maxsize=1024)  # most certificates of a page say the same
def whole_days(text: object) -> Markup:
    """Escape a text and keep each of its days, e.g. 2026-12-01, in one line."""
    from markupsafe import Markup, escape

    return Markup(_DAY.sub(r'<span style="white-space:nowrap">\1</span>', str(escape(str(text)))))


def references(sources: Iterable[str]) -> dict[str, Markup]:
    """Make a link for each source to its place in a numbered list, from 1 on."""
    from markupsafe import Markup

    link = Markup('&nbsp;<a href="#s{0}" aria-label="source {0}">[{0}]</a>')
    return {source: link.format(number) for number, source in enumerate(sources, start=1)}


def render(template: str, **values: Any) -> str:
    """Fill a template.

    Parameters
    ----------
    template : str
        Path inside the package, e.g. ``reports/summary/summary.html.j2``.
    **values
        What the template names; text is escaped where it is used.

    Returns
    -------
    str
        An HTML document with its style inside, readable in light and dark themes and on paper,
        without scripts and without a reference to anything that it would load.
    """
    # NUL is not allowed in HTML at all; a browser would show a replacement character.
    return _environment().get_template(template).render(values).replace("\0", "")


def to_page(title: str, parts: Iterable[str]) -> str:
    """Put escaped fragments on a page that needs no other file.

    Parameters
    ----------
    title : str
        Plain text; also the page's heading.
    parts : iterable of str
        Fragments as :func:`lyncnb.base.shown.tables.rows_to_html` writes them. They are not escaped
        again, so nothing else may come in here.

    Returns
    -------
    str
        As :func:`render` gives it.
    """
    from markupsafe import Markup

    return render("base/shown/parts.html.j2", title=title, parts=[Markup(part) for part in parts])
