"""Convert international domain names to ASCII, and detect misleading names.

Only this module handles IDNA. Do not use ``str.encode("idna")``, because Python's codec follows
IDNA 2003. It accepts symbols, and converts some names to another domain: the German sharp s becomes
ss.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

import idna

from .pasted_text import BadName, shown

# The languages that use several scripts together (Unicode Technical Standard 39, section 5.2).
_WRITTEN_TOGETHER = (
    {"CJK", "LATIN", "HIRAGANA", "KATAKANA"},
    {"CJK", "LATIN", "BOPOMOFO"},
    {"CJK", "LATIN", "HANGUL"},
)
_TITLES = {"CJK": "Chinese"}


def convert_to_lowercase(text: str) -> tuple[str, tuple[str, ...]]:
    """Convert text to lowercase and replace compatibility characters, such as full-width digits.

    Returns
    -------
    tuple of str and tuple of str
        The text, and a note if the text was changed.

    Raises
    ------
    BadName
        If the text contains a character that is not allowed in host names.

    Notes
    -----
    Source: Unicode Technical Standard 46, section 4.
    """
    try:
        mapped = idna.uts46_remap(text, std3_rules=False)
    except idna.IDNAError as error:
        raise BadName(
            f"{shown(text)} contains a character that is not allowed in host names: "
            f"{_describe_error(error)}",
            "use letters, digits, and hyphens",
        ) from None
    if mapped == text:
        return text, ()
    if unicodedata.normalize("NFC", text.lower()) == mapped:
        return mapped, ("changed to lowercase",)
    return mapped, (
        ("lyncnb replaced full-width or compatibility characters with standard characters"),
    )


def encode_label(label: str, whole_name: str) -> str:
    """Return a label of a host name in ASCII (RFC 5891). A valid A-label stays unchanged.

    Raises
    ------
    BadName
        If the label is not valid. The message contains ``whole_name``.
    """
    try:
        if label.isascii():
            idna.ulabel(label)
            return label
        return idna.encode(label, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise BadName(
            f"{shown(whole_name)} is not a valid internationalized domain name (IDN): "
            f"{_describe_error(error)}",
            "check the spelling, or enter the ASCII form (xn--…) that your domain registrar shows",
        ) from None


def convert_to_unicode(name: str) -> str:
    """Return a host name in Unicode, with all valid A-labels decoded."""
    labels = name.split(".")
    for index, label in enumerate(labels):
        if label.startswith("xn--"):
            try:
                labels[index] = idna.ulabel(label)
            except (idna.IDNAError, UnicodeError):
                # A wildcard is not a valid label, and a certificate from another CA can contain
                # invalid labels.
                pass
    return ".".join(labels)


def _describe_error(error: Exception) -> str:
    codepoint = getattr(error, "codepoint", None)
    if isinstance(codepoint, int):
        name = unicodedata.name(chr(codepoint), "unnamed character")
        return f"U+{codepoint:04X} {name}"
    return str(error)


def find_mixed_scripts(labels: Iterable[str]) -> Iterator[str]:
    """Yield a warning for each A-label with a combination of scripts that no language uses."""
    for label in labels:
        if not label.startswith("xn--"):
            continue
        text = idna.ulabel(label)
        scripts = {unicodedata.name(c, "?").split()[0] for c in text if c.isalpha()}
        if len(scripts) > 1 and not any(scripts <= group for group in _WRITTEN_TOGETHER):
            names = " and ".join(sorted(_TITLES.get(s, s.capitalize()) for s in scripts))
            yield (
                f'"{text}" mixes {names} letters, so readers can mistake the name '
                "for a different name"
            )
