"""Read and write DER structures that PKCS #8 and PKCS #12 share.

These are algorithms with parameters, and lists of elements. Each module declares its other
structures. The library (``cryptography.hazmat.asn1``) reads and writes them. The module ``asn1``
detects the type of an object.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.asn1 import TLV, decode_der, encode_der, sequence

from .asn1 import list_children, read_element

SEQUENCE, SET = 0x30, 0x31


@sequence
class AlgorithmIdentifier:
    """An algorithm, with parameters of any type (RFC 5280 section 4.1.1.2)."""

    algorithm: x509.ObjectIdentifier
    parameters: TLV


def wrap_element(value: object) -> TLV:
    """Convert a value to a generic ASN.1 element, for a field that allows several types."""
    return decode_der(TLV, encode_der(value))


def encode_element(tag: int, content: bytes) -> bytes:
    """Encode a DER element from a tag and contents (ITU-T X.690 section 8.1.3)."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def list_items(sequence: bytes) -> list[bytes]:
    """Return the elements in a SEQUENCE OF or SET OF, in order.

    Raises
    ------
    BadStructure
        If the bytes are not complete elements.
    """
    outer = read_element(sequence, 0, len(sequence))
    return [sequence[inner.begin : inner.end] for inner in list_children(sequence, outer)]
