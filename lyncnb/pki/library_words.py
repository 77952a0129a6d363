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
# What other parts of pyca say, by what it holds, in the order in which it is looked for.
_SAYINGS = {
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
# Parts of a certificate as its standard calls them, for those who do not know it by heart.
_PARTS = {
    "signature alg": "signature algorithm",
    "spki": "public key",
    "OtherName": "other name",
}
_KIND = re.compile(r"kind: (\w{1,40})")
_OID = re.compile(r"\b[0-2](?:\.\d{1,12}){3,20}\b")
_PLACE = re.compile(r'"\w{1,60}::(\w{1,60})"')


_UNKNOWN = "it is not as the standard has it"


class NotAsStandard(ValueError):
    """What we have against a structure ourselves, in words for a planner."""


def in_words(error: Exception) -> str:
    """Say what a library has against a certificate, request or key, without its way to say so."""
    text = str(error)
    if isinstance(error, NotAsStandard):
        return visible(text)
    if "ParseError" not in text:
        said = (words for part, words in _SAYINGS.items() if part.casefold() in text.casefold())
        numbered = _OID.search(text)
        return next(said, _UNKNOWN) + (f" ({numbered[0]})" if numbered else "")
    kind = _KIND.search(text)
    place = [one.removeprefix("raw_").replace("_", " ") for one in _PLACE.findall(text)]
    words = _KINDS.get(kind[1] if kind else "", _UNKNOWN)
    inner = [_PARTS.get(one, one) for one in place if one != "tbs cert"]
    return words + (f" in its {inner[0]}" if inner else "")
