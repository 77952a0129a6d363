"""What the library says of structures that it cannot read, in words for a planner."""

from __future__ import annotations

import re

from ..base.pasted_text import visible

# asn1 of pyca tells in the words of its own source: ParseError { kind: …, location: […] }.
_KINDS = {
    "InvalidValue": "a value that cannot be",
    "InvalidTag": "a tag that cannot be",
    "InvalidLength": "a length that cannot be",
    "UnexpectedTag": "another kind of value than belongs there",
    "ShortData": "octets are missing",
    "ExtraData": "octets too many",
    "IntegerOverflow": "a number that is too large",
    "InvalidSetOrdering": "a set that is not in order",
    "EncodedDefault": "a default value that has to be left out",
    "OidTooLong": "an object identifier that is too long",
    "UnknownDefinedBy": "a value of a kind that nobody knows",
}
_KIND = re.compile(r"kind: (\w{1,40})")
_PLACE = re.compile(r'"\w{1,60}::(\w{1,60})"')


def in_words(error: Exception) -> str:
    """Say what a library has against a certificate, request or key, without its way to say so."""
    text = str(error)
    if "ParseError" not in text:
        first = (text.splitlines() or [type(error).__name__])[0]
        return visible(first.strip("'\""))[:200]
    kind = _KIND.search(text)
    place = [one.removeprefix("raw_").replace("_", " ") for one in _PLACE.findall(text)]
    words = _KINDS.get(kind[1] if kind else "", "it is not as the standard has it")
    inner = [one for one in place if one != "tbs cert"]
    return words + (f" in its {inner[0]}" if inner else "")
