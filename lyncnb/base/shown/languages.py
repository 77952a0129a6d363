"""Translate titles from English, with the data in ``languages.toml``.

The language changes only what people read. It does not change digests, JSON, or CSV headings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

from ..toml_text import parse_toml

_DATA = Path(__file__).with_name("languages.toml")

#: Users can choose one of these languages. Texts without a translation are in English.
LANGUAGES = ("en", "zh-TW")
_OF_PAGES = {"en": "en", "zh-TW": "zh-Hant-TW"}


@cache
def _load_texts() -> Mapping[str, Mapping[str, str]]:
    document = parse_toml(_DATA.read_text(encoding="utf-8"))
    tables = {language: document.get(language, {}) for language in LANGUAGES}
    return {
        language: {str(text): str(other) for text, other in texts.items()}
        for language, texts in tables.items()
        if isinstance(texts, Mapping)
    }


def translate_title(text: str, language: str) -> str:
    """Return a title in a language, or the English title if there is no translation."""
    return _load_texts()[language].get(text, text)


def make_translator(language: str) -> Callable[[str], str]:
    """Return a function that translates titles to a language."""
    return partial(translate_title, language=language)


def page_language(language: str) -> str:
    """Return the language code for HTML and Word, which includes the script for Chinese."""
    return _OF_PAGES[language]
