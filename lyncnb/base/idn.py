"""International domain names: Unicode to the ASCII form that certificates hold, and look-alikes.

The only file that knows IDNA. Never ``str.encode("idna")``: the built-in codec follows IDNA 2003,
makes another domain of some names (the German sharp s becomes ss) and lets symbols through.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

import idna

from .pasted_text import BadName, shown

# Unicode Technical Standard 39, section 5.2: these write one language together.
_WRITTEN_TOGETHER = (
    {"CJK", "LATIN", "HIRAGANA", "KATAKANA"},
    {"CJK", "LATIN", "BOPOMOFO"},
    {"CJK", "LATIN", "HANGUL"},
)
_TITLES = {"CJK": "Chinese"}


def lower_and_map(text: str) -> tuple[str, tuple[str, ...]]:
    """Lower-case and map compatibility forms, full-width digits and dots among them.

    Returns
    -------
    tuple of str and tuple of str
        The text, and what was done to it in plain words.

    Raises
    ------
    BadName
        If a character can be in no name.

    Notes
    -----
    Source: Unicode Technical Standard 46, section 4.
    """
    try:
        mapped = idna.uts46_remap(text, std3_rules=False)
    except idna.IDNAError as error:
        raise BadName(
            f"{shown(text)} contains a character that host names cannot have: {_reason(error)}",
            "use letters, digits and hyphens",
        ) from None
    if mapped == text:
        return text, ()
    if unicodedata.normalize("NFC", text.lower()) == mapped:
        return mapped, ("changed to lowercase",)
    return mapped, ("full-width or compatibility characters written plainly",)


def to_a_label(label: str, written: str) -> str:
    """Give a label's ASCII form (RFC 5891); an A-label is checked and stays.

    Raises
    ------
    BadName
        If it is none; ``written`` is the whole name for the message.
    """
    try:
        if label.isascii():
            idna.ulabel(label)
            return label
        return idna.encode(label, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise BadName(
            f"{shown(written)} is not a valid international name: {_reason(error)}",
            "check the spelling, or write its ASCII form (xn--…) as the registrar shows it",
        ) from None


def to_unicode(name: str) -> str:
    """Give a name with its A-labels decoded; one that cannot be decoded stays."""
    labels = name.split(".")
    for place, label in enumerate(labels):
        if label.startswith("xn--"):
            try:
                labels[place] = idna.ulabel(label)
            except (idna.IDNAError, UnicodeError):
                pass  # a wildcard's or a foreign certificate's label may be anything
    return ".".join(labels)


def _reason(error: Exception) -> str:
    codepoint = getattr(error, "codepoint", None)
    if isinstance(codepoint, int):
        name = unicodedata.name(chr(codepoint), "unnamed character")
        return f"U+{codepoint:04X} {name}"
    return str(error)


def mixed_scripts(labels: Iterable[str]) -> Iterator[str]:
    """Warn of look-alikes: A-labels with letters of scripts that no language writes together."""
    for label in labels:
        if not label.startswith("xn--"):
            continue
        text = idna.ulabel(label)
        scripts = {unicodedata.name(c, "?").split()[0] for c in text if c.isalpha()}
        if len(scripts) > 1 and not any(scripts <= group for group in _WRITTEN_TOGETHER):
            names = " and ".join(sorted(_TITLES.get(s, s.capitalize()) for s in scripts))
            yield f'"{text}" mixes {names} letters: it may only look like another name'
