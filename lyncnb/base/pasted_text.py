"""Clean up text that users type or paste, and display text safely."""

from __future__ import annotations

import os
import unicodedata

# In some scripts, a zero-width joiner can be part of a word. The function that validates the word
# decides whether to keep the joiner.
_JOINERS = "\u200c\u200d"
# The Bidi_Control characters of Unicode, which change the order in which text is displayed.
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Direction marks at the start or end of a text have no effect. Dialog boxes in Windows insert such
# marks.
_MARKS = "\u061c\u200e\u200f"
_MORE_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"


#: The beginning of the note about removed invisible characters.
INVISIBLE = "invisible character"


class BadName(ValueError):
    """The error for invalid text, with the reason (``message``) and the solution (``hint``)."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message = message
        self.hint = hint


def shown(text: str) -> str:
    """Quote a text for a message. Long text is shortened, and invisible characters are shown."""
    short = text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"
    return f'"{show_invisible_characters(short)}"'


def show_path(path: str | os.PathLike[str]) -> str:
    """Return a path for a message, in quotation marks if it is blank or contains white space."""
    text = os.fspath(path)
    return text if text and not any(map(str.isspace, text)) else shown(text)


def show_invisible_characters(text: str) -> str:
    """Replace invisible characters with code points, so that text cannot control a terminal."""
    if text.isprintable() and not _has_invisible_letters_or_marks(text):
        return text
    return "".join(f"<U+{ord(c):04X}>" if _is_invisible_or_control(c) else c for c in text)


def clean_text(text: str) -> tuple[str, tuple[str, ...]]:
    """Return text without invisible characters and without white space at both ends.

    Parameters
    ----------
    text : str
        The text that the user entered.

    Returns
    -------
    tuple of str and tuple of str
        The text, and a note for each correction.

    Raises
    ------
    BadName
        If the text contains a control character, or a character that changes the reading direction.
        The request would then differ from the text that the user sees.
    """
    # isprintable() returns False for every character that clean_text changes or rejects.
    if text.isprintable() and text == text.strip() and not _has_invisible_letters_or_marks(text):
        return text, ()
    notes = []
    for character in text:
        if is_control(character) and character != "\t":
            raise BadName(
                f"{shown(text)} contains the control character U+{ord(character):04X}",
                "type the text again instead of pasting it",
            )
    turned = _DIRECTIONS.intersection(_strip_direction_marks(text))
    if turned:
        codes = ", ".join(f"U+{ord(c):04X}" for c in sorted(turned))
        raise BadName(
            (
                f"{shown(text)} contains characters that change the reading direction "
                f"({codes}), so the text is different from what you see"
            ),
            "type the text again instead of pasting it",
        )
    joined_word = any(ord(c) > 0x2FF and c.isalpha() for c in text)
    unseen = [c for c in text if is_invisible(c) and not (joined_word and c in _JOINERS)]
    if unseen:
        text = "".join(c for c in text if c not in unseen)
        codes = ", ".join(f"U+{ord(c):04X}" for c in dict.fromkeys(unseen))
        notes.append(f"{INVISIBLE} {codes} removed")
    if text != text.strip():
        text = text.strip()
        notes.append("lyncnb removed leading and trailing white space")
    return text, tuple(notes)


def _strip_direction_marks(text: str) -> str:
    """Remove direction marks at the start and end of a text, where they have no effect."""
    begin, end = 0, len(text)
    while begin < end and _can_be_stripped(text[begin]):
        begin += 1
    while begin < end and _can_be_stripped(text[end - 1]):
        end -= 1
    return text[begin:end]


def _can_be_stripped(character: str) -> bool:
    if character in _DIRECTIONS:
        return character in _MARKS
    return character.isspace() or is_invisible(character)


def is_control(character: str) -> bool:
    """Return whether a character is a control character or an unpaired surrogate."""
    return unicodedata.category(character) in ("Cc", "Cs")


def is_invisible(character: str) -> bool:
    """Return whether a character is invisible, such as a zero-width space or direction mark."""
    return unicodedata.category(character) == "Cf" or _has_invisible_letters_or_marks(character)


def _has_invisible_letters_or_marks(text: str) -> bool:
    # Invisible characters that Unicode classifies as letters or marks.
    return not text.isascii() and any(
        c in _MORE_INVISIBLE or "\ufe00" <= c <= "\ufe0f" for c in text
    )


def _is_invisible_or_control(character: str) -> bool:
    return is_invisible(character) or is_control(character)
