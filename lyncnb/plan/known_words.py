"""Collect the words in a plan that an attacker would try in a passphrase."""

from __future__ import annotations

import re
from collections import Counter

from .model import CertificatePlan

_SHORTEST = 3  # The minimum length of a word in characters. Shorter words are ignored.


def list_known_words(plan: CertificatePlan) -> tuple[str, ...]:
    """Return the names in a plan and the words in them, the most frequent ones first.

    Returns
    -------
    tuple of str
        Names of servers, pools, domains, and sites, the values in subjects, and the words in them.
    """
    words: Counter[str] = Counter()
    for certificate in plan.certificates:
        subject = certificate.subject
        texts = {
            *(*certificate.names, *certificate.servers, certificate.pool, certificate.site),
            *(subject.common_name, subject.organization, subject.organizational_unit),
            *(subject.locality, subject.state),
        }
        for text in map(str.lower, texts):
            words.update({text, text.partition(".")[2], *re.split(r"[\W_]+", text)})
    return tuple(word for word, _ in words.most_common() if len(word) >= _SHORTEST)
