"""Convert error messages from the library cryptography to plain English."""

from __future__ import annotations

import re

from ..base.pasted_text import show_invisible_characters

# The form of ASN.1 errors from the library cryptography: ParseError { kind: …, location: […] }.
_KINDS = {
    "InvalidValue": "an invalid value",
    "InvalidTag": "an invalid tag",
    "InvalidLength": "an invalid length",
    "UnexpectedTag": "a value of an unexpected type",
    "ShortData": "octets are missing",
    "ExtraData": "too many octets",
    "IntegerOverflow": "a number that is too large",
    "InvalidSetOrdering": "a DER set whose elements are in the wrong order",
    "EncodedDefault": "a default value that must be omitted",
    "OidTooLong": "an object identifier that is too long",
    "UnknownDefinedBy": "a value of an unknown type",
}
# The texts that identify other errors from the library cryptography. The first match applies.
_OTHER_ERRORS = {
    "version": "an unknown version",
    "x400Address": "a type of name that is not used in server certificates",
    "CpsUri": "a policy qualifier that contains an address, which is not allowed",
    "netmask": "a name constraint with an invalid address range",
    "SCT": "an invalid signed certificate timestamp (SCT)",
    "Duplicate": "a duplicate extension",
    "path_length": "a path length in a certificate that is not a CA certificate",
    "PEM": "damaged PEM text",
    "unsupported": "a data type that this computer does not support",
}
# Plain names for fields in a certificate, which replace the names that the library cryptography
# uses.
_PARTS = {
    "signature alg": "signature algorithm",
    "spki": "public key",
    "OtherName": "other name",
}
_KIND = re.compile(r"kind: (\w{1,40})")
_OID = re.compile(r"\b[0-2](?:\.\d{1,12}){3,20}\b")
_LOCATION = re.compile(r'"\w{1,60}::(\w{1,60})"')


_UNKNOWN = "the data structure does not conform to the standard"


class NotAsStandard(ValueError):
    """A structure that lyncnb rejects although the library cryptography accepts it."""


def explain_error(error: Exception) -> str:
    """Return in plain English why a certificate, request, or key is rejected."""
    text = str(error)
    if isinstance(error, NotAsStandard):
        return show_invisible_characters(text)
    if "ParseError" not in text:
        lower = text.casefold()
        texts = (words for part, words in _OTHER_ERRORS.items() if part.casefold() in lower)
        numbered = _OID.search(text)
        return next(texts, _UNKNOWN) + (f" ({numbered[0]})" if numbered else "")
    kind = _KIND.search(text)
    location = [name.removeprefix("raw_").replace("_", " ") for name in _LOCATION.findall(text)]
    words = _KINDS.get(kind[1] if kind else "", _UNKNOWN)
    inner = [_PARTS.get(name, name) for name in location if name != "tbs cert"]
    return words + (f" in the {inner[0]}" if inner else "")
