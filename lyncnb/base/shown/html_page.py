"""Create HTML pages from jinja2 templates, with every value escaped.

Templates (``*.html.j2``) are next to the code that uses them, and autoescape is on for all of them.
jinja2 is imported only when a page is written, so that planning works without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any

from .documents import split_source
from .origin import Origin

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

# The characters after which a line can break on a page. Safari and Chromium do not break lines
# before a dot, so a long name would make a table wider than the page.
_BREAK_AFTER = "./_@\\-"
_HASH_DIGITS = 16
_LONG_HASH = re.compile(r"[0-9a-f]{16}(?=[0-9a-f])")


# A name, date, flag or command that does not fit on a printed line moves to the next line as a
# whole. A tag ends such a word, but an allowed line break (<wbr>) does not.
_NO_WORDS = re.compile(r"<(style|title|script|svg)\b.*?</\1>|<(?!wbr>)[^>]*>", re.DOTALL)
_WORD = re.compile(r"(?:[!-%'-;=?-~]|&[#\w]+;|<wbr>)+")
_DAY = re.compile(r"(?<!\d)\d{4}-\d\d-\d\d")
_MAY_BREAK = re.compile(
    rf"{_DAY.pattern}|(?<![\w-])--?[A-Za-z]|[A-Z][a-z]+-[A-Z]|\w-[\w.-]*\.\w|\.[\w.]*\w-\w"
)
# The ID of a certificate, which is also used in file names. A line break is allowed after each
# hyphen.
_ID = re.compile(r"(?:\w+/)?[A-Z]\w+-[\w.-]+-[0-9a-f]{8}(?:\.\w+)?")
_FITS = 44  # The maximum length, in characters, of a word that is always printed on one line.
# A long word can break after these characters, and before the date that ends a file name.
_PART = re.compile(
    r"[^,/\\]*[,/\\]+(?:<wbr>)?|(?:(?!\d{4}-(?:<wbr>)?\d\d-(?:<wbr>)?\d\d)[^,/\\])+|[^,/\\]+"
)


@cache
def _create_environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    root = package_files(__package__.partition(".")[0])
    environment = Environment(
        loader=FunctionLoader(lambda name: root.joinpath(name).read_text("utf-8")),
        autoescape=True,
        # A missing value in a template is an error. By default, it would be blank text.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = allow_line_breaks
    environment.filters["css_text"] = quote_css_text
    environment.globals["linked_parts"] = split_source
    return environment


def allow_line_breaks(text: object) -> Markup:
    """Escape a name or path, and allow line breaks after its dots, slashes, and hyphens.

    Parameters
    ----------
    text : object
        Plain text. A hash can break after every 16 digits.

    Returns
    -------
    Markup
        Text and ``<wbr>``, so that copied text contains no line breaks.
    """
    import markupsafe

    # The complete text is escaped at once, because a page can contain a hundred thousand names.
    marked = str(text).replace("\0", "")
    for end in _BREAK_AFTER:
        marked = marked.replace(end, f"{end}\0")
    marked = _LONG_HASH.sub("\\g<0>\0", marked) if len(marked) > _HASH_DIGITS else marked
    escaped = str(markupsafe.escape(marked.rstrip("\0")))
    return markupsafe.Markup(escaped.replace("\0", "<wbr>"))


def quote_css_text(text: object) -> Markup:
    """Quote text for a style sheet, so that the text cannot end the string."""
    from markupsafe import Markup

    plain = (c if c.isalnum() or c in " .-" else f"\\{ord(c):x} " for c in str(text))
    return Markup(f'"{"".join(plain)}"')


def link_sources(sources: Iterable[str]) -> dict[str, Markup]:
    """Return, for each source, a link to its number in the page's list of sources."""
    from markupsafe import Markup

    link = Markup('&nbsp;<a href="#s{0}" aria-label="source {0}">[{0}]</a>')
    return {source: link.format(number) for number, source in enumerate(sources, start=1)}


def render_template(template: str, **values: Any) -> str:
    """Create an HTML page from a template.

    Parameters
    ----------
    template : str
        The path in the package, such as ``reports/summary/summary.html.j2``.
    **values
        The values for the template, which escapes text.

    Returns
    -------
    str
        An HTML document that contains its styles, for light and dark themes and for paper. It has
        no
        scripts and loads no external content.
    """
    # HTML does not allow the character NUL. A browser would show it as a replacement character.
    return _keep_words_whole(
        _create_environment().get_template(template).render(values).replace("\0", "")
    )


def _keep_words_whole(page: str) -> str:
    """Mark the words on a page that must not break, so that each is printed on one line."""

    def mark_word(word: re.Match[str]) -> str:
        if _is_plain(word[0]):
            return word[0]
        plain = word[0].replace("<wbr>", "")
        is_long = len(plain) > _FITS
        is_whole = ".<wbr>" in word[0] or _MAY_BREAK.search(plain)
        if _ID.fullmatch(plain) or not (is_long or is_whole):
            return word[0]
        parts = _PART.findall(word[0]) if is_long or ",<wbr>" in word[0] else [word[0]]
        return "<wbr>".join(f'<span class="{_classify_part(part)}">{part}</span>' for part in parts)

    # In a sanitized notebook, the page contains ``<wbr/>`` in XML notation.
    page = page.replace("<wbr/>", "<wbr>")
    parts, position = [], 0
    for match in _NO_WORDS.finditer(page):
        text = page[position : match.start()]
        parts += [text if _is_plain(text) else _WORD.sub(mark_word, text), match[0]]
        position = match.end()
    return "".join(parts) + page[position:]


def _is_plain(text: str) -> bool:
    """Return whether a text is so short and simple that it never needs to wrap."""
    return len(text) <= _FITS and "-" not in text and "<wbr>" not in text


def _classify_part(part: str) -> str:
    if len(part.replace("<wbr>", "")) > _FITS:
        return "long"
    return "whole day" if _DAY.search(part) else "whole"


def make_page(title: str, parts: Iterable[str], *, origin: Origin | None = None) -> str:
    """Create a page from escaped HTML. The page loads no other file.

    Parameters
    ----------
    title : str
        The title and heading of the page, as plain text.
    parts : iterable of str
        HTML from functions such as :func:`lyncnb.base.shown.tables.rows_to_html`. This function
        does
        not escape it again, so it must not come from anywhere else.
    origin : Origin, optional
        Its source: shown below the heading, and on each printed sheet.

    Returns
    -------
    str
        An HTML document, as for :func:`render_template`.
    """
    from markupsafe import Markup

    return render_template(
        "base/shown/parts.html.j2",
        title=title,
        origin=origin.one_line_text if origin else "",
        running=origin.one_line_text if origin else "",
        parts=[Markup(part) for part in parts],
    )
