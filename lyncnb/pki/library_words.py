"""Translate the library's errors about unreadable structures for a planner."""

from __future__ import annotations

import re

from ..base.pasted_text import visible

# The errors of pyca's asn1 have the form of its source: ParseError { kind: …, location: […] }.
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
# The errors of other parts of pyca, by a piece of their text. The first match counts.
_OTHER_ERRORS = {
    "version": "its version is none of those that there are",
    "x400Address": "a name of a kind that no certificate for servers has",
    "CpsUri": "a policy with the address of a page where none belongs",
    "netmask": "a name constraint with an address range that cannot be",
    "SCT": "a proof of its publication (SCT) that cannot be",
    "Duplicate": "an extension twice",
    "path_length": "a number of CAs below it, in a certificate that is no CA's",
    "PEM": "the text around it is damaged",
    "unsupported": "a kind of value that this computer does not know",
}
# Names of a certificate's parts that are clearer than those in the standard.
_PARTS = {
    "signature alg": "signature algorithm",
    "spki": "public key",
    "OtherName": "other name",
}
_KIND = re.compile(r"kind: (\w{1,40})")
_OID = re.compile(r"\b[0-2](?:\.\d{1,12}){3,20}\b")
_LOCATION = re.compile(r'"\w{1,60}::(\w{1,60})"')


_UNKNOWN = "it is not as the standard has it"


class NotAsStandard(ValueError):
    """lyncnb itself rejects a structure; the text is for a planner."""


def in_words(error: Exception) -> str:
    """Return why a library rejects a certificate, request or key, in plain English."""
    text = str(error)
    if isinstance(error, NotAsStandard):
        return visible(text)
    if "ParseError" not in text:
        lower = text.casefold()
        texts = (words for part, words in _OTHER_ERRORS.items() if part.casefold() in lower)
        numbered = _OID.search(text)
        return next(texts, _UNKNOWN) + (f" ({numbered[0]})" if numbered else "")
    kind = _KIND.search(text)
    location = [name.removeprefix("raw_").replace("_", " ") for name in _LOCATION.findall(text)]
    words = _KINDS.get(kind[1] if kind else "", _UNKNOWN)
    inner = [_PARTS.get(name, name) for name in location if name != "tbs cert"]
    return words + (f" in its {inner[0]}" if inner else "")
