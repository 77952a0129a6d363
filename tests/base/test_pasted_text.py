"""lyncnb cleans the text that users enter or paste."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.base.pasted_text import BadName, clean_text, is_invisible, shown


@pytest.mark.parametrize(
    ("pasted", "clean", "notes"),
    [
        ("Taipei", "Taipei", ()),
        ("台北", "台北", ()),
        ("", "", ()),
        (" Taipei ", "Taipei", ("lyncnb removed leading and trailing white space",)),
        # Word inserts no-break spaces, and Chinese input methods insert ideographic spaces.
        ("\u00a0Taipei\u3000", "Taipei", ("lyncnb removed leading and trailing white space",)),
        ("\tTaipei", "Taipei", ("lyncnb removed leading and trailing white space",)),
        ("\ufeffTaipei", "Taipei", ("invisible character U+FEFF removed",)),
        ("Tai\u200bpei\u200b", "Taipei", ("invisible character U+200B removed",)),
        ("Tai\u00adpei", "Taipei", ("invisible character U+00AD removed",)),
        # Unicode classifies this invisible filler as a letter.
        ("Taipei\u3164", "Taipei", ("invisible character U+3164 removed",)),
        ("Taipei\ufe0f", "Taipei", ("invisible character U+FE0F removed",)),
        (
            "\u200b \u200eTaipei",
            "Taipei",
            (
                "invisible character U+200B, U+200E removed",
                "lyncnb removed leading and trailing white space",
            ),
        ),
        # In Persian, the zero-width non-joiner (U+200C) is part of the word.
        (
            "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc",
            "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc",
            (),
        ),
        ("Tai\u200cpei", "Taipei", ("invisible character U+200C removed",)),
    ],
)
def test_clean_text_removes_invisible_characters(pasted, clean, notes):
    """If pasted text contains invisible characters or surrounding white space, they are removed,
    and a note describes what was removed.
    """
    assert clean_text(pasted) == (clean, notes)


@pytest.mark.parametrize("character", ["\0", "\n", "\x07", "\x7f", "\x85", "\ud800"])
def test_control_characters_are_refused(character):
    """If pasted text contains a control character, it is rejected, and the message contains the
    code point of the character.
    """
    with pytest.raises(BadName, match=f"control character U\\+{ord(character):04X}") as caught:
        clean_text(f"Tai{character}pei")
    assert caught.value.hint == "type the text again instead of pasting it"


@given(st.text())
def test_cleaning_clean_text_changes_nothing(text):
    """If cleaned text is cleaned again, it does not change."""
    try:
        clean, _ = clean_text(text)
    except BadName:
        return
    assert clean_text(clean) == (clean, ())


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("pool01", '"pool01"'),
        ("a\nb\0", '"a<U+000A>b<U+0000>"'),
        ("lync\u200b", '"lync<U+200B>"'),
        ("台北", '"台北"'),
        ("x" * 80, f'"{"x" * 80}"'),
        ("x" * 300, f'"{"x" * 60}… (300 characters)"'),
    ],
)
def test_invisible_characters_are_shown_in_messages(text, quoted):
    """In a message, invisible characters in a value are shown as code points, and a long value is
    shortened.
    """
    assert shown(text) == quoted


def test_invisible_characters_are_recognized():
    """lyncnb classifies a zero-width space and a Hangul filler as invisible, but does not classify
    a letter as invisible.
    """
    assert [is_invisible(c) for c in "a中\u200b\u3164"] == [False, False, True, True]


@pytest.mark.parametrize(
    "text",
    [
        "\u202emoc.osotnoc.pis",
        "a\u200eb",
        "sip\u202c",
        "\u2066a\u2069",
        "a\u061cb",
        "x\u200b\u202d",
    ],
)
def test_text_with_another_reading_direction_is_rejected(text):
    """Text with characters that change the reading direction is rejected, because readers would see
    the characters in a different order.
    """
    with pytest.raises(BadName, match="change the reading direction") as caught:
        clean_text(text)
    assert "type the text again" in caught.value.hint


@pytest.mark.parametrize("text", ["\u200eTaipei", "Taipei\u200f", "\u200b\u061c Taipei \u200e"])
def test_direction_marks_around_a_text_are_removed(text):
    """Windows dialog boxes insert text direction marks before text. lyncnb removes these marks, and
    adds a note for each of them.
    """
    clean, notes = clean_text(text)
    assert clean == "Taipei"
    assert notes[0].startswith("invisible character U+")
