"""Read ASN.1 elements, and detect the type of a PKI object without decrypting it.

File names and PEM labels are not reliable. For example, AD CS labels a PKCS #7 message as
CERTIFICATE, and portals use the extension ``.cer`` for any file. So this module detects the type of
a CA's response from the structure.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

#: The largest number of nested levels. A PFX file has about 12 levels. A file with many more levels
#: would be an attack on the parser.
MAX_DEPTH = 40

#: The largest number of elements. A PKCS #7 message for a complete deployment has about a thousand
#: certificates. Five megabytes of two-octet elements would be two million elements, which would
#: exhaust the memory of a computer.
MAX_ELEMENTS = 20_000

# The largest number of elements that lyncnb reads in a file. It is higher than MAX_ELEMENTS,
# because each element is read several times to detect the type of a file.
_MAX_READ = 4 * MAX_ELEMENTS

_SEQUENCE, _INTEGER, _BIT_STRING, _OCTET_STRING, _OID = 0x30, 0x02, 0x03, 0x04, 0x06
_CONTEXT_0, _CONTEXT_1 = 0xA0, 0xA1
# The DER encoding of the OID 1.2.840.113549.1.7.2 (signedData).
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")


class Kind(Enum):
    """The type of a PKI object in ASN.1. The value is its name in messages."""

    CERTIFICATE = "a certificate"
    REQUEST = "a certification request (PKCS #10)"
    REVOCATION_LIST = "a certificate revocation list"
    SIGNED_DATA = "a PKCS #7 message"
    OTHER_CMS = "a PKCS #7 message without certificates"
    PFX = "a PFX (PKCS #12) file"
    PRIVATE_KEY = "a private key"
    ENCRYPTED_KEY = "an encrypted private key"
    PUBLIC_KEY = "a public key"
    OTHER = "ASN.1 data of another type"


class BadStructure(ValueError):
    """The error for data that does not consist of complete ASN.1 elements."""


class Element(NamedTuple):
    """The position of an ASN.1 element: offsets of the tag, the contents, and the end."""

    tag: int
    begin: int
    content: int
    content_end: int
    end: int


class _Allowance:
    """The number of ASN.1 elements that may still be read from a file.

    To find the end of an element with indefinite length, the reader must read all elements in it.
    For nested elements, the time grows with the square of their number, so all reads from a file
    are counted together.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = _MAX_READ

    def take_element(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise BadStructure(f"more than {_MAX_READ:,} elements")


def read_element(
    data: bytes, offset: int, limit: int, depth: int = 0, allowance: _Allowance | None = None
) -> Element:
    """Read the tag and the length of an ASN.1 element.

    Parameters
    ----------
    data : bytes
        n octets.
    offset, limit : int
        The first octet and the end of the octets to read: 0 <= offset <= limit <= n.
    depth : int, optional
        The number of levels above this element.
    allowance : optional
        The number of elements that all calls may still read from the file in total.

    Returns
    -------
    Element
        The element. The length may also be indefinite (BER), because some old CAs still use this
        form.

    Raises
    ------
    BadStructure
        If the element does not end within ``limit``, has more levels than :data:`MAX_DEPTH`, or
        if there are too many elements.

    Notes
    -----
    Source: ITU-T X.690 sections 8.1.2 and 8.1.3.
    """
    if depth > MAX_DEPTH:
        raise BadStructure(f"more than {MAX_DEPTH} nested levels")
    content, content_end = _read_length(data, offset, limit)
    if content_end is not None:
        return Element(data[offset], offset, content, content_end, content_end)
    content_end = _find_end(data, content, limit, depth, allowance or _Allowance())
    return Element(data[offset], offset, content, content_end, content_end + 2)


def _read_length(data: bytes, offset: int, limit: int) -> tuple[int, int | None]:
    """Return the start and end of an element's contents. An indefinite length has no end."""
    if limit - offset < 2:
        raise BadStructure("the data ends inside a tag or length")
    if data[offset] & 0x1F == 0x1F:
        raise BadStructure("a tag with more than one octet, which PKI objects do not use")
    content, first = offset + 2, data[offset + 1]
    if first == 0x80:
        return content, None
    if first > 0x80:
        octets = first & 0x7F
        if octets > 4 or content + octets > limit:
            raise BadStructure("an invalid length")
        content += octets
        first = int.from_bytes(data[content - octets : content], "big")
    if content + first > limit:
        raise BadStructure(f"the data ends {content + first - limit} octets too early")
    return content, content + first


def _find_end(data: bytes, offset: int, limit: int, depth: int, allowance: _Allowance) -> int:
    """Return the offset of the two zero octets that end an element with indefinite length."""
    levels = 1
    while True:
        if data[offset : offset + 2] == b"\0\0":
            if offset + 2 > limit:
                raise BadStructure("an indefinite-length value without an end-of-contents marker")
            levels -= 1
            if not levels:
                return offset
            offset += 2
            continue
        allowance.take_element()
        offset, end = _read_length(data, offset, limit)
        if end is not None:
            offset = end
        else:
            levels += 1
        if depth + levels > MAX_DEPTH:
            raise BadStructure(f"more than {MAX_DEPTH} nested levels")


def list_children(
    data: bytes, parent: Element, depth: int = 0, allowance: _Allowance | None = None
) -> list[Element]:
    """Return the ASN.1 elements that are directly inside another element.

    Raises
    ------
    BadStructure
        If the contents are not complete elements.
    """
    allowance = allowance or _Allowance()
    elements, offset = [], parent.content
    while offset < parent.content_end:
        allowance.take_element()
        element = read_element(data, offset, parent.content_end, depth + 1, allowance)
        elements.append(element)
        offset = element.end
        _reject_too_many_elements(len(elements))
    return elements


def _reject_too_many_elements(count: int) -> None:
    if count > MAX_ELEMENTS:
        raise BadStructure(f"more than {MAX_ELEMENTS:,} elements in one structure")


def read_objects(data: bytes) -> list[tuple[Kind, bytes]]:
    """Split consecutive ASN.1 elements, and detect the type of each element.

    Parameters
    ----------
    data : bytes
        One element, or several in sequence, as ``cat`` writes them. White space at the end is
        ignored, because editors and portals add it.

    Returns
    -------
    list of (Kind, bytes)
        The type and the bytes of each element. The list has at least one item.

    Raises
    ------
    BadStructure
        If some bytes do not belong to an element. Programs interpret a certificate with additional
        bytes in different ways.
    """
    # An element can end with octets that look like white space. Therefore, only octets after the
    # last element are treated as white space.
    last = len(data.rstrip(b"\r\n\t \x1a"))
    objects: list[tuple[Kind, bytes]] = []
    offset, allowance = 0, _Allowance()
    while offset < last or not objects:
        element = read_element(data, offset, len(data), 0, allowance)
        objects.append((_detect_kind(data, element, allowance), data[element.begin : element.end]))
        offset = element.end
        _reject_too_many_elements(len(objects))
    return objects


def list_certificates(message: bytes) -> tuple[bytes, ...]:
    """Return the certificates in a PKCS #7 (CMS) signed message, in the order of the message.

    Parameters
    ----------
    message : bytes
        A ContentInfo of type signed-data, DER or BER.

    Returns
    -------
    tuple of bytes
        DER certificates. The end-entity certificate can be at any position, because a SET has no
        order.

    Raises
    ------
    BadStructure
        If the data is not a PKCS #7 signed message.

    Notes
    -----
    Source: RFC 5652 sections 3, 5.1 and 10.2.3. lyncnb does not use the library cryptography for
    this, because it rejects some messages that Windows writes, and will reject BER.
    """
    info = read_element(message, 0, len(message))
    parts = list_children(message, info)
    if len(parts) < 2 or parts[1].tag != _CONTEXT_0:
        raise BadStructure("a PKCS #7 message without content")
    signed = _get_only_child(message, parts[1])
    for field in list_children(message, signed):
        if field.tag == _CONTEXT_0:
            entries = [entry for entry in list_children(message, field) if entry.tag == _SEQUENCE]
            return tuple(message[entry.begin : entry.end] for entry in entries)
    return ()


def _get_only_child(data: bytes, parent: Element) -> Element:
    inner = list_children(data, parent)
    if len(inner) != 1 or inner[0].tag != _SEQUENCE:
        raise BadStructure("an explicitly tagged element that does not contain exactly one value")
    return inner[0]


def _detect_kind(data: bytes, element: Element, allowance: _Allowance) -> Kind:
    """Return the type of a top-level ASN.1 element, detected from the tags inside it."""
    if element.tag != _SEQUENCE:
        return Kind.OTHER
    inner = list_children(data, element, 0, allowance)
    tags = tuple(part.tag for part in inner)
    if tags[:1] == (_OID,):
        oid = data[inner[0].content : inner[0].content_end]
        return Kind.SIGNED_DATA if oid == _SIGNED_DATA else Kind.OTHER_CMS
    if tags == (_SEQUENCE, _SEQUENCE, _BIT_STRING):
        parts = list_children(data, inner[0], 0, allowance)
        return _detect_signed_kind([part.tag for part in parts])
    if tags == (_SEQUENCE, _OCTET_STRING):
        return Kind.ENCRYPTED_KEY
    if tags == (_SEQUENCE, _BIT_STRING):
        return Kind.PUBLIC_KEY
    if tags[:1] == (_INTEGER,):
        version = int.from_bytes(data[inner[0].content : inner[0].content_end], "big")
        return _detect_pfx_or_key(tags, version)
    return Kind.OTHER


def _detect_signed_kind(tags: list[int]) -> Kind:
    """Distinguish a certificate, a request and a revocation list (RFC 5280 and RFC 2986)."""
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


def _detect_pfx_or_key(tags: tuple[int, ...], version: int) -> Kind:
    """Return the type of a structure that begins with a version, such as a PFX file or a key."""
    if version == 3 and tags[1:2] == (_SEQUENCE,) and len(tags) <= 3:
        return Kind.PFX
    if tags[1:3] == (_SEQUENCE, _OCTET_STRING):
        return Kind.PRIVATE_KEY
    if tags[1:2] == (_OCTET_STRING,) and set(tags[2:]) <= {_CONTEXT_0, _CONTEXT_1}:
        return Kind.PRIVATE_KEY
    # An RSA private key has nine numbers, a DSA private key has six, and an RSA public key has two.
    if set(tags) == {_INTEGER} and len(tags) >= 6:
        return Kind.PRIVATE_KEY
    return Kind.PUBLIC_KEY if tags == (_INTEGER, _INTEGER) else Kind.OTHER


def compute_work_factor(data: bytes) -> int:
    """Return the sum of the iteration counts in a password-protected file, without decrypting it.

    Parameters
    ----------
    data : bytes
        The content of a PFX file.

    Returns
    -------
    int
        The sum of all whole numbers that follow a salt, as in PBKDF2-params, PBEParameter, MacData
        and scrypt-params (RFC 8018 appendix A, RFC 7292 section 4, RFC 7914 section 7). The sum is
        used because many bags with an allowed count take as long as one bag with a larger count.

    Raises
    ------
    BadStructure
        If the file is not complete.
    """
    return sum(
        int.from_bytes(data[element.content : element.content_end], "big")
        for element, before in _list_elements(data)
        if element.tag == _INTEGER and before is not None and before.tag == _OCTET_STRING
    )


def list_object_identifiers(data: bytes) -> tuple[str, ...]:
    """Return the object identifiers in a file in dotted form, without duplicates, in file order.

    Raises
    ------
    BadStructure
        If the data is not complete ASN.1.
    """
    identifiers = {
        _format_oid(data[element.content : element.content_end]): None
        for element, _ in _list_elements(data)
        if element.tag == _OID
    }
    return tuple(identifiers)


def _format_oid(content: bytes) -> str:
    """Convert the octets of an object identifier to dotted numbers (ITU-T X.690 section 8.19)."""
    numbers, value = [], 0
    for octet in content[:64]:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(value)
            value = 0
    first = numbers[0] if numbers else 0
    root = min(first // 40, 2)
    return ".".join(map(str, (root, first - 40 * root, *numbers[1:])))


_ElementPairs = Iterator[tuple[Element, Element | None]]


def _list_elements(data: bytes) -> _ElementPairs:
    """Yield every ASN.1 element together with the element before it.

    Elements in octet strings are included.
    """
    allowance = _Allowance()
    yield from _list_elements_below(
        data, read_element(data, 0, len(data), 0, allowance), 0, allowance
    )


def _list_elements_below(
    data: bytes, parent: Element, depth: int, allowance: _Allowance
) -> _ElementPairs:
    before = None
    for element in list_children(data, parent, depth, allowance):
        yield element, before
        if element.tag & 0x20:
            yield from _list_elements_below(data, element, depth + 1, allowance)
        elif element.tag == _OCTET_STRING and data[element.content : element.content + 1] == b"0":
            yield from _open_octet_string(data, element, depth, allowance)
        before = element


def _open_octet_string(
    data: bytes, element: Element, depth: int, allowance: _Allowance
) -> _ElementPairs:
    """Yield the ASN.1 elements in an octet string, or nothing if it contains other data."""
    begin, end = element.content, element.content_end
    try:
        inner = read_element(data, begin, end, depth + 1, allowance)
        pairs = list(_list_elements_below(data, inner, depth + 1, allowance))
    except BadStructure:
        if allowance.left < 0:
            raise
        return
    yield from pairs
