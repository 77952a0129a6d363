"""ASN.1 elements, and what kind of PKI object they add up to. Judges nothing, decrypts nothing.

A file's name and the label of its armour say little: AD CS labels a PKCS #7 message CERTIFICATE,
portals call anything ``.cer``. The structure cannot be wrong about itself, so everything that
comes back from a CA is told apart here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

#: A PFX nests about 12 deep. Anything far beyond that is built to exhaust the reader.
MAX_DEPTH = 40

#: A PKCS #7 message of a whole deployment holds some thousand certificates. Five megabytes of
#: two-octet elements would hold two million, and cost the memory of a machine.
MAX_ELEMENTS = 20_000

# Telling what a file is reads each of its elements a few times.
_MAX_READ = 4 * MAX_ELEMENTS

_SEQUENCE, _INTEGER, _BIT_STRING, _OCTET_STRING, _OID = 0x30, 0x02, 0x03, 0x04, 0x06
_CONTEXT_0, _CONTEXT_1 = 0xA0, 0xA1
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2


class Kind(Enum):
    """What an ASN.1 element is, in the words used in messages."""

    CERTIFICATE = "a certificate"
    REQUEST = "a certification request (PKCS #10)"
    REVOCATION_LIST = "a certificate revocation list"
    SIGNED_DATA = "a PKCS #7 message"
    OTHER_CMS = "a PKCS #7 message without certificates"
    PFX = "a PFX (PKCS #12) file"
    PRIVATE_KEY = "a private key"
    ENCRYPTED_KEY = "an encrypted private key"
    PUBLIC_KEY = "a public key"
    OTHER = "ASN.1 data of another kind"


class BadStructure(ValueError):
    """The bytes are not whole ASN.1 elements."""


class Element(NamedTuple):
    """Where one element lies: its tag, its contents and its end, as offsets into the data."""

    tag: int
    begin: int
    content: int
    content_end: int
    end: int


class _Allowance:
    """How many elements may still be read of one file.

    An indefinite length is found by reading everything inside; nested ones, read level by level,
    would cost the square of what the file has, so all readings of a file count together.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = _MAX_READ

    def take(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise BadStructure(f"more than {_MAX_READ:,} elements")


def read_element(
    data: bytes, offset: int, limit: int, depth: int = 0, allowance: _Allowance | None = None
) -> Element:
    """Read one tag and length.

    Parameters
    ----------
    data : bytes
        n octets.
    offset, limit : int
        Octets ``offset`` to ``limit`` may be used, 0 <= offset <= limit <= n.
    depth : int, optional
        Levels above this element.
    allowance : optional
        What may still be read of the file, over all calls.

    Returns
    -------
    Element
        A definite length of any form, or an indefinite one (BER), which old CAs still write.

    Raises
    ------
    BadStructure
        If the element does not end within ``limit``, nests deeper than :data:`MAX_DEPTH`, or
        there are too many.

    Notes
    -----
    Source: ITU-T X.690 sections 8.1.2 and 8.1.3.
    """
    if depth > MAX_DEPTH:
        raise BadStructure(f"more than {MAX_DEPTH} levels inside one another")
    content, content_end = _read_length(data, offset, limit)
    if content_end is not None:
        return Element(data[offset], offset, content, content_end, content_end)
    content_end = _find_end(data, content, limit, depth, allowance or _Allowance())
    return Element(data[offset], offset, content, content_end, content_end + 2)


def _read_length(data: bytes, offset: int, limit: int) -> tuple[int, int | None]:
    """Find where the contents of an element begin and end; None for an indefinite length."""
    if limit - offset < 2:
        raise BadStructure("it ends inside a tag or length")
    if data[offset] & 0x1F == 0x1F:
        raise BadStructure("a tag of several octets, which no PKI object uses")
    content, first = offset + 2, data[offset + 1]
    if first == 0x80:
        return content, None
    if first > 0x80:
        octets = first & 0x7F
        if octets > 4 or content + octets > limit:
            raise BadStructure("a length that cannot be")
        content += octets
        first = int.from_bytes(data[content - octets : content], "big")
    if content + first > limit:
        raise BadStructure(f"{content + first - limit} octets are missing at the end")
    return content, content + first


def _find_end(data: bytes, offset: int, limit: int, depth: int, allowance: _Allowance) -> int:
    """Find the two zero octets that end an indefinite length, past those that are inside it."""
    levels = 1
    while True:
        if data[offset : offset + 2] == b"\0\0":
            if offset + 2 > limit:
                raise BadStructure("an indefinite length without an end")
            levels -= 1
            if not levels:
                return offset
            offset += 2
            continue
        allowance.take()
        offset, end = _read_length(data, offset, limit)
        if end is not None:
            offset = end
        else:
            levels += 1
        if depth + levels > MAX_DEPTH:
            raise BadStructure(f"more than {MAX_DEPTH} levels inside one another")


def children(
    data: bytes, parent: Element, depth: int = 0, allowance: _Allowance | None = None
) -> list[Element]:
    """List the elements directly inside another one.

    Raises
    ------
    BadStructure
        If the contents are not whole elements.
    """
    allowance = allowance or _Allowance()
    found, offset = [], parent.content
    while offset < parent.content_end:
        allowance.take()
        element = read_element(data, offset, parent.content_end, depth + 1, allowance)
        found.append(element)
        offset = element.end
        _stop_at_limit(len(found))
    return found


def _stop_at_limit(count: int) -> None:
    if count > MAX_ELEMENTS:
        raise BadStructure(f"more than {MAX_ELEMENTS:,} elements in one place")


def read_objects(data: bytes) -> list[tuple[Kind, bytes]]:
    """Split a run of ASN.1 elements and tell what each is.

    Parameters
    ----------
    data : bytes
        One element, or several one after the other as ``cat`` leaves them. White space at the
        end is overlooked, for editors and portals add it.

    Returns
    -------
    list of (Kind, bytes)
        At least one.

    Raises
    ------
    BadStructure
        If anything is left that is no element: bytes after a certificate belong to nothing, and
        readers disagree on what such a file holds.
    """
    # An element may itself end in octets that look like white space, so they are no measure of
    # where it ends: only what is left behind the last one is.
    last = len(data.rstrip(b"\r\n\t \x1a"))
    found: list[tuple[Kind, bytes]] = []
    offset, allowance = 0, _Allowance()
    while offset < last or not found:
        element = read_element(data, offset, len(data), 0, allowance)
        found.append((_kind(data, element, allowance), data[element.begin : element.end]))
        offset = element.end
        _stop_at_limit(len(found))
    return found


def certificates_in(message: bytes) -> tuple[bytes, ...]:
    """Take the certificates out of a PKCS #7 (CMS) signed message, in its own order.

    Parameters
    ----------
    message : bytes
        A ContentInfo of type signed-data, DER or BER.

    Returns
    -------
    tuple of bytes
        DER certificates, leaf first, last or anywhere: a SET has no order.

    Raises
    ------
    BadStructure
        If it is no such message.

    Notes
    -----
    Source: RFC 5652 sections 3, 5.1 and 10.2.3. Written here because cryptography refuses some
    of what Windows writes, and warns that it will refuse BER altogether.
    """
    info = read_element(message, 0, len(message))
    parts = children(message, info)
    if len(parts) < 2 or parts[1].tag != _CONTEXT_0:
        raise BadStructure("a PKCS #7 message without contents")
    signed = _only_child(message, parts[1])
    for field in children(message, signed):
        if field.tag == _CONTEXT_0:
            found = [entry for entry in children(message, field) if entry.tag == _SEQUENCE]
            return tuple(message[entry.begin : entry.end] for entry in found)
    return ()


def _only_child(data: bytes, parent: Element) -> Element:
    inner = children(data, parent)
    if len(inner) != 1 or inner[0].tag != _SEQUENCE:
        raise BadStructure("a wrapper that does not hold exactly one value")
    return inner[0]


def _kind(data: bytes, element: Element, allowance: _Allowance) -> Kind:
    """Tell what a top-level element is by the tags inside it."""
    if element.tag != _SEQUENCE:
        return Kind.OTHER
    inner = children(data, element, 0, allowance)
    tags = tuple(part.tag for part in inner)
    if tags[:1] == (_OID,):
        oid = data[inner[0].content : inner[0].content_end]
        return Kind.SIGNED_DATA if oid == _SIGNED_DATA else Kind.OTHER_CMS
    if tags == (_SEQUENCE, _SEQUENCE, _BIT_STRING):
        parts = children(data, inner[0], 0, allowance)
        return _signed_kind([part.tag for part in parts])
    if tags == (_SEQUENCE, _OCTET_STRING):
        return Kind.ENCRYPTED_KEY
    if tags == (_SEQUENCE, _BIT_STRING):
        return Kind.PUBLIC_KEY
    if tags[:1] == (_INTEGER,):
        version = int.from_bytes(data[inner[0].content : inner[0].content_end], "big")
        return _versioned_kind(tags, version)
    return Kind.OTHER


def _signed_kind(tags: list[int]) -> Kind:
    """Tell a certificate, a request and a revocation list apart (RFC 5280 and RFC 2986)."""
    if tags[:1] == [_CONTEXT_0]:
        tags = tags[1:]
    if tags[:6] == [_INTEGER] + [_SEQUENCE] * 5:
        return Kind.CERTIFICATE
    if tags[:3] == [_INTEGER, _SEQUENCE, _SEQUENCE] and tags[3:] in ([], [_CONTEXT_0]):
        return Kind.REQUEST
    without_version = tags[1:] if tags[:1] == [_INTEGER] else tags
    if without_version[:2] == [_SEQUENCE] * 2 and without_version[2:3] in ([0x17], [0x18]):
        return Kind.REVOCATION_LIST
    return Kind.OTHER


def _versioned_kind(tags: tuple[int, ...], version: int) -> Kind:
    """Tell a PFX and the forms of a private key apart (RFC 7292, 5958, 8017, 5915)."""
    if version == 3 and tags[1:2] == (_SEQUENCE,) and len(tags) <= 3:
        return Kind.PFX
    if tags[1:3] == (_SEQUENCE, _OCTET_STRING):
        return Kind.PRIVATE_KEY
    if tags[1:2] == (_OCTET_STRING,) and set(tags[2:]) <= {_CONTEXT_0, _CONTEXT_1}:
        return Kind.PRIVATE_KEY
    # RSA writes nine numbers, DSA six; a bare RSA public key has two.
    if set(tags) == {_INTEGER} and len(tags) >= 6:
        return Kind.PRIVATE_KEY
    return Kind.PUBLIC_KEY if tags == (_INTEGER, _INTEGER) else Kind.OTHER


def work_factor(data: bytes) -> int:
    """Add up the iteration counts that a password-protected file asks for.

    Parameters
    ----------
    data : bytes
        A PFX, before anything in it is decrypted.

    Returns
    -------
    int
        The sum of all whole numbers that follow a salt, as in PBKDF2-params, PBEParameter, MacData
        and scrypt-params (RFC 8018 appendix A, RFC 7292 section 4, RFC 7914 section 7): many bags
        with a count that is just allowed would take as long as one that is not.

    Raises
    ------
    BadStructure
        If the file is not whole.
    """
    return sum(
        int.from_bytes(data[element.content : element.content_end], "big")
        for element, before in _all_elements(data)
        if element.tag == _INTEGER and before is not None and before.tag == _OCTET_STRING
    )


def object_identifiers(data: bytes) -> tuple[str, ...]:
    """List the object identifiers in a file, dotted, each once, in its order.

    Raises
    ------
    BadStructure
        If the file is not whole.
    """
    found = {
        _dotted(data[element.content : element.content_end]): None
        for element, _ in _all_elements(data)
        if element.tag == _OID
    }
    return tuple(found)


def _dotted(content: bytes) -> str:
    """Write the octets of an object identifier as numbers (ITU-T X.690 section 8.19)."""
    numbers, value = [], 0
    for octet in content[:64]:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(value)
            value = 0
    first = numbers[0] if numbers else 0
    root = min(first // 40, 2)
    return ".".join(map(str, (root, first - 40 * root, *numbers[1:])))


_Found = Iterator[tuple[Element, Element | None]]


def _all_elements(data: bytes) -> _Found:
    """Yield every element of a file with the one before it, also those inside octet strings."""
    allowance = _Allowance()
    yield from _below(data, read_element(data, 0, len(data), 0, allowance), 0, allowance)


def _below(data: bytes, parent: Element, depth: int, allowance: _Allowance) -> _Found:
    before = None
    for element in children(data, parent, depth, allowance):
        yield element, before
        if element.tag & 0x20:
            yield from _below(data, element, depth + 1, allowance)
        elif element.tag == _OCTET_STRING and data[element.content : element.content + 1] == b"0":
            yield from _inside(data, element, depth, allowance)
        before = element


def _inside(data: bytes, element: Element, depth: int, allowance: _Allowance) -> _Found:
    """Look into an octet string that may hold ASN.1; a salt that begins with 0x30 does not."""
    begin, end = element.content, element.content_end
    try:
        inner = read_element(data, begin, end, depth + 1, allowance)
        found = list(_below(data, inner, depth + 1, allowance))
    except BadStructure:
        if allowance.left < 0:
            raise
        return
    yield from found
