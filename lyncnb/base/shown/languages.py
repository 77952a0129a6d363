"""Titles in other languages than English: data, looked up by the English text.

The language changes what people read and nothing else: no digest, no JSON, no heading of a CSV.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

from ..toml_text import parse_toml

_DATA = Path(__file__).with_name("languages.toml")

#: The languages that a planner may choose; texts are English where nothing else is known.
LANGUAGES = ("en", "zh-TW")
_OF_PAGES = {"en": "en", "zh-TW": "zh-Hant-TW"}


@cache
def _texts() -> Mapping[str, Mapping[str, str]]:
    document = parse_toml(_DATA.read_text(encoding="utf-8"))
    found = {language: document.get(language, {}) for language in LANGUAGES}
    return {
        language: {str(text): str(other) for text, other in texts.items()}
        for language, texts in found.items()
        if isinstance(texts, Mapping)
    }


def translated(text: str, language: str) -> str:
    """Give a title in a language; the English title where there is no other."""
    return _texts()[language].get(text, text)


def translator(language: str) -> Callable[[str], str]:
    """Give what puts titles into a language."""
    return partial(translated, language=language)


def page_language(language: str) -> str:
    """Name a language as HTML and Word do, with its script."""
    return _OF_PAGES[language]
