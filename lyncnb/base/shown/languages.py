"""Translate English texts with the data in ``languages.toml`` and ``sentences.toml``.

The language changes only what people read. It does not change digests, JSON, CSV headings, scripts,
or records.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache, partial
from pathlib import Path

from ..toml_text import parse_toml

# Every command needs the translated headings, because a table can be in Chinese. Only pages in
# Chinese need the sentences.
_TITLES, _SENTENCES = "languages.toml", "sentences.toml"
# The suffix in the name of a table that contains the translations of values.
_VALUES = "-values"

#: The languages that users can choose. Texts without a translation are shown in English.
LANGUAGES = ("en", "zh-TW")
_OF_PAGES = {"en": "en", "zh-TW": "zh-Hant-TW"}

# A value in a text, such as {server}. In a translation, {server*} means that the value must also be
# translated.
_VALUE = re.compile(r"\{(\w+)(\*?)\}")
# A space separates Chinese text from a value, unless the value is also Chinese.
_FILLED = re.compile(rf"((?<=[\u3000-\u9fff]) )?{_VALUE.pattern}( (?=[\u3000-\u9fff]))?")


@cache
def _load_tables(file: str) -> Mapping[str, Mapping[str, str]]:
    """Return the tables of a translation file, which map English texts to translations.

    A file has one table for each language, and can have another one for the values in texts.
    """
    document = parse_toml(Path(__file__).with_name(file).read_text(encoding="utf-8"))
    return {
        name: {str(text): str(other) for text, other in texts.items()}
        for name, texts in document.items()
        if isinstance(texts, Mapping)
    }


@cache
def _load_patterns(table: str) -> list[tuple[str, re.Pattern[str], str]]:
    """Return the English texts that contain values, as patterns with their translations.

    Each item begins with the longest fixed part of its text.

    The text with the most fixed characters comes first, because it is the most specific.
    """
    entries = []
    for text, other in _load_tables(_SENTENCES)[table].items():
        # The text is split into a repeating sequence of fixed text, the name of a value, and a star
        # or "".
        pieces = _VALUE.split(text)
        if len(pieces) > 1:
            entries.append((sum(map(len, pieces[::3])), pieces, other))
    entries.sort(key=lambda entry: -entry[0])
    return [
        (max(pieces[::3], key=len), _compile_pattern(pieces), other) for _, pieces, other in entries
    ]


def _compile_pattern(pieces: list[str]) -> re.Pattern[str]:
    """Compile a text with placeholders to a pattern in which each value is as short as possible."""
    pattern, seen = re.escape(pieces[0]), set()
    placeholders = list(zip(pieces[1::3], pieces[3::3]))
    for number, (name, fixed) in enumerate(placeholders, 1):
        value = f"(?P={name})" if name in seen else f"(?P<{name}>.+{'?' if fixed else ''})"
        seen.add(name)
        group = f"{value}{re.escape(fixed)}"
        # An atomic group is matched only once, so matching a long text takes linear time.
        pattern += group if number == len(placeholders) else f"(?>{group})"
    return re.compile(pattern, re.DOTALL)


def translate_title(text: str, language: str) -> str:
    """Translate a text to a language. Without a translation, return the English text.

    An English text in ``sentences.toml`` can have values in braces, which the translation repeats.
    """
    return text if language == LANGUAGES[0] else _translate(text, language, language)


@lru_cache(maxsize=1 << 14)
def _translate(text: str, language: str, table: str) -> str:
    """Translate a text that is in the translation files or matches a pattern in ``table``."""
    values = f"{language}{_VALUES}"
    for file, name in ((_TITLES, language), (_SENTENCES, language), (_SENTENCES, values)):
        if text in (texts := _load_tables(file)[name]):
            return texts[text]

    def fill(placeholder: re.Match[str]) -> str:
        assert match is not None
        before, name, star, after = placeholder.groups("")
        value = _translate(match[name], language, values) if star else match[name]
        prefix = "" if _is_chinese(value[0]) else before
        return f"{prefix}{value}{'' if _is_chinese(value[-1]) else after}"

    for fixed, pattern, other in _load_patterns(table):
        if fixed in text and (match := pattern.fullmatch(text)):
            return _FILLED.sub(fill, other)
    return text


def _is_chinese(character: str) -> bool:
    return "\u3000" <= character <= "\u9fff"


def make_translator(language: str) -> Callable[[str], str]:
    """Return a function that translates English texts to a language."""
    return partial(translate_title, language=language)


def get_html_language(language: str) -> str:
    """Return the language code for HTML and Word. For Chinese, the code includes the script."""
    return _OF_PAGES[language]
