"""If certificates from many sources contain the public key of a request in the folder, the import
keeps all of them and does not stop.

Each of pyca's test vectors becomes a certificate for one of our requests, with unusual names, dates
and extensions, and invalid signatures. ``LYNCNB_VECTORS`` sets how many vectors are used.
"""

from __future__ import annotations

import base64
import os
import re
import warnings
from contextlib import suppress
from pathlib import Path

import cryptography_vectors
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from folders import TODAY, find_id, make_folder, request_of

from lyncnb.authorities.certificates_on_record import load_issued_certificates
from lyncnb.authorities.import_certificates import receive
from lyncnb.pki.asn1 import BadStructure, list_children, read_element
from lyncnb.pki.certificates import BadCertificate, read_certificate
from lyncnb.request_folder.bundle import open_requests

COUNT = int(os.environ.get("LYNCNB_VECTORS", "60"))


def vectors() -> list[bytes]:
    """Return every certificate of the test vectors in DER, ordered by file name."""
    folder = Path(cryptography_vectors.__file__).parent / "x509"
    certificates = []
    for path in sorted(folder.rglob("*")):
        data = path.read_bytes() if path.suffix in (".pem", ".der", ".crt") else b""
        if data[:1] == b"0":
            certificates.append(data)
        for body in re.findall(rb"-----BEGIN CERTIFICATE-----(.*?)-----END", data, re.DOTALL):
            certificates.append(base64.b64decode(body))
    return certificates


def element(tag: int, content: bytes) -> bytes:
    """Return a DER element whose length is encoded in the shortest form."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def replace_public_key(der: bytes, key: bytes) -> bytes | None:
    """Return a certificate whose SubjectPublicKeyInfo is replaced with the given one.

    Return None if the certificate has no place for it.
    """
    try:
        content, *rest = list_children(der, read_element(der, 0, len(der)))
        fields = list_children(der, content)
        index = 6 if fields[0].tag == 0xA0 else 5
        parts = [der[field.begin : field.end] for field in fields]
        parts[index] = key
    except (BadStructure, IndexError, ValueError):
        return None
    body = element(0x30, b"".join(parts)) + b"".join(der[child.begin : child.end] for child in rest)
    return element(0x30, body)


def test_no_certificate_is_lost(tmp_path):
    """lyncnb stores every readable certificate unchanged, whether it accepts or rejects the
    certificate.
    """
    bundle = make_folder(tmp_path / "requests")
    request_id = find_id(bundle, "med01")
    key = request_of(bundle, request_id).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    every = vectors()
    step = max(len(every) // COUNT, 1)
    certificates = {
        grafted for der in every[::step] if (grafted := replace_public_key(der, spki)) is not None
    }
    assert len(certificates) >= min(COUNT, len(every)) // 2
    answers = tmp_path / "answers"
    answers.mkdir()
    readable = {}
    for number, der in enumerate(sorted(certificates)):
        (answers / f"{number:04}.cer").write_bytes(der)
        with suppress(BadCertificate):
            readable[number] = read_certificate(der)
    with warnings.catch_warnings():
        # In a notebook, warnings of a library would be visible to the user.
        warnings.simplefilter("error")
        issued = receive(bundle.folder, answers, today=TODAY)
    reported = {finding.about for finding in issued.findings}
    assert not any("ParseError" in finding.message for finding in issued.findings)
    assert {f"{n:04}.cer" for n in range(len(certificates)) if n not in readable} <= reported
    possible = {certificate.sha256 for certificate in readable.values() if not certificate.is_ca}
    stored_hashes = {certificate.sha256 for certificate in (*issued.certificates, *issued.refused)}
    missing_hashes = possible - stored_hashes
    # A self-signed certificate matches no request. If its public key is replaced with a key of the
    # folder, it is no longer self-signed.
    assert missing_hashes == set()
    reread = load_issued_certificates(open_requests(bundle.folder), today=TODAY)
    assert {
        certificate.sha256 for certificate in (*reread.certificates, *reread.refused)
    } == stored_hashes
    assert not any(finding.code == "file-exchanged" for finding in reread.findings)
    assert open_requests(bundle.folder).manifest.by_id[request_id].state == "waiting"
