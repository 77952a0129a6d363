"""Text as people type and paste it: what cannot be seen, what surrounds it, how to show it."""

from __future__ import annotations

import unicodedata

# Joiners may be part of a word in some scripts, so what reads the word decides on them.
_JOINERS = "\u200c\u200d"
# Unicode's Bidi_Control: they let a text be read in another order than it is written.
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Marks that reorder nothing where they begin or end a text, where dialogs leave them.
_MARKS = "\u061c\u200e\u200f"
_MORE_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"


#: How the note begins that tells of characters nobody saw.
INVISIBLE = "invisible character"


class BadName(ValueError):
    """Text that cannot be what it should be; says so in ``message``, and what to do in ``hint``."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message = message
        self.hint = hint


def shown(text: str) -> str:
    """Quote a text for a message: nothing invisible, not too long."""
    short = text if len(text) <= 80 else f"{text[:60]}…({len(text)} characters)"
    return f'"{visible(short)}"'


def visible(text: str) -> str:
    """Write what cannot be seen as its number: no text from outside steers a terminal."""
    if text.isprintable() and not _has_more_invisible(text):
        return text
    return "".join(f"<U+{ord(c):04X}>" if _is_unseen(c) else c for c in text)


def clean_text(text: str) -> tuple[str, tuple[str, ...]]:
    """Drop what cannot be seen and the white space around.

    Parameters
    ----------
    text : str
        As somebody wrote it.

    Returns
    -------
    tuple of str and tuple of str
        The text, and each clean-up that was made, in plain words.

    Raises
    ------
    BadName
        If it holds a control character, or one that changes the direction of reading: what is
        seen would not be what is requested.
    """
    # isprintable is False for every character that one of the steps below would find.
    if text.isprintable() and text == text.strip() and not _has_more_invisible(text):
        return text, ()
    notes = []
    for character in text:
        if is_control(character) and character != "\t":
            raise BadName(
                f"{shown(text)} contains the control character U+{ord(character):04X}",
                "type it again instead of pasting it",
            )
    turned = _DIRECTIONS.intersection(_without_ends(text))
    if turned:
        codes = ", ".join(f"U+{ord(c):04X}" for c in sorted(turned))
        raise BadName(
            f"{shown(text)} changes its reading direction ({codes}), so it differs from what it "
            "looks like",
            "type it again instead of pasting it",
        )
    joined_word = any(ord(c) > 0x2FF and c.isalpha() for c in text)
    unseen = [c for c in text if is_invisible(c) and not (joined_word and c in _JOINERS)]
    if unseen:
        text = "".join(c for c in text if c not in unseen)
        codes = ", ".join(f"U+{ord(c):04X}" for c in dict.fromkeys(unseen))
        notes.append(f"{INVISIBLE} {codes} removed")
    if text != text.strip():
        text = text.strip()
        notes.append("white space around it removed")
    return text, tuple(notes)


def _without_ends(text: str) -> str:
    """Take off what is unseen at either end and reorders nothing there."""
    begin, end = 0, len(text)
    while begin < end and _is_harmless(text[begin]):
        begin += 1
    while begin < end and _is_harmless(text[end - 1]):
        end -= 1
    return text[begin:end]


def _is_harmless(character: str) -> bool:
    if character in _DIRECTIONS:
        return character in _MARKS
    return character.isspace() or is_invisible(character)


def is_control(character: str) -> bool:
    """Say whether it is a control character or half of a surrogate pair."""
    return unicodedata.category(character) in ("Cc", "Cs")


def is_invisible(character: str) -> bool:
    """Say whether nobody can see it: zero width, byte order marks, directions, fillers."""
    return unicodedata.category(character) == "Cf" or _has_more_invisible(character)


def _has_more_invisible(text: str) -> bool:
    # Letters and marks by their category, but nothing is drawn.
    return not text.isascii() and any(
        c in _MORE_INVISIBLE or "\ufe00" <= c <= "\ufe0f" for c in text
    )


def _is_unseen(character: str) -> bool:
    return is_invisible(character) or is_control(character)
