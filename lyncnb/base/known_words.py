"""Collect the words in a plan that an attacker would try in a passphrase."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from .planned_entry import PlannedEntry

_SHORTEST = 3  # The minimum length of a word in characters. Shorter words are ignored.


def list_known_words(entries: Iterable[PlannedEntry]) -> tuple[str, ...]:
    """Return the names in planned certificates and the words in them, the most frequent ones first.

    Returns
    -------
    tuple of str
        Names of servers, pools, domains, and sites, the values in subjects, and the words in them.
    """
    words: Counter[str] = Counter()
    for entry in entries:
        texts = {*entry.san, *entry.servers, entry.pool, entry.site, *entry.subject.values()}
        for text in map(str.lower, texts):
            words.update({text, text.partition(".")[2], *re.split(r"[\W_]+", text)})
    return tuple(word for word, _ in words.most_common() if len(word) >= _SHORTEST)
