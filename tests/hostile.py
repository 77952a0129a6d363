"""Create damaged, malicious, and unrelated files, like those that may be among the files from a CA."""

from __future__ import annotations

import base64
import io
import os
import struct
import tarfile
import zipfile
from pathlib import Path

from cas.python_ca import PythonCa, der, p7b, pem
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)


def archive(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as zip_file:
        for name, data in entries:
            zip_file.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return buffer.getvalue()


def armoured(label: str, data: bytes) -> bytes:
    body = base64.encodebytes(data).decode()
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n".encode()


def _link_entry(target: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zip_file:
        entry = zipfile.ZipInfo("link.cer")
        entry.external_attr = 0o120777 << 16
        zip_file.writestr(entry, target)
    return buffer.getvalue()


def _encrypted_entry(data: bytes) -> bytes:
    zip_bytes = bytearray(archive(("a.cer", data), method=zipfile.ZIP_STORED))
    zip_bytes[6] |= 1  # This flag in the local file header marks the file as encrypted.
    # This flag in the central directory marks the file as encrypted.
    zip_bytes[zip_bytes.index(b"PK\x01\x02") + 8] |= 1
    return bytes(zip_bytes)


def _many_entries() -> bytes:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, 50_000_000, 0, 0)
    return b"PK\x03\x04" + b"\0" * 100 + end


def hostile_files(ca: PythonCa, leaf: x509.Certificate, key) -> dict[str, tuple[bytes, str]]:
    """Return hostile files by name, each with its content and the code of the expected finding.
    `leaf` is a valid certificate.

    Each file contains the valid certificate in a form that lyncnb must reject, or other content.
    """
    from pki.test_asn1 import vector  # .ci/windows does not install the test vectors.

    good, chain = der(leaf), [der(certificate) for certificate in ca.chain]
    text = pem(leaf).decode()
    message = p7b(leaf, *ca.chain)
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    locked = pkcs12.serialize_key_and_certificates(
        b"x", key, leaf, ca.chain, BestAvailableEncryption(b"portal")
    )
    csr = x509.CertificateSigningRequestBuilder().subject_name(leaf.subject)
    csr = csr.sign(key, leaf.signature_hash_algorithm)
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.issuing.subject)
        .last_update(leaf.not_valid_before_utc)
        .next_update(leaf.not_valid_after_utc)
        .sign(ca.key, leaf.signature_hash_algorithm)
    )
    unreadable, malformed, nothing = "file-unreadable", "file-malformed", "file-without-certificate"
    skipped = "file-skipped"
    return {
        # --- The following files contain truncated or edited certificates.
        "empty.cer": (b"", unreadable),
        "cut.der": (good[:-20], malformed),
        "cut-short.der": (good[:3], malformed),
        "cut.pem": (text[: len(text) // 2].encode(), malformed),
        "no-end-line.pem": (text.replace("-----END CERTIFICATE-----", "").encode(), malformed),
        "no-begin-line.pem": (text.split("\n", 1)[1].encode(), malformed),
        "other-end-line.pem": (text.replace("END CERTIFICATE", "END PKCS7").encode(), malformed),
        "letter-changed.pem": (text.replace("\nM", "\n!", 1).encode(), malformed),
        "empty-block.pem": (armoured("CERTIFICATE", b""), malformed),
        "long-length.der": (b"\x30\x84\x7f\xff\xff\xff" + good, malformed),
        "trailing-byte.der": (good + b"\x01", malformed),
        "trailing-null.der": (good + b"\x05\x00", malformed),
        "trailing-in-pem.pem": (armoured("CERTIFICATE", good + b"\x05\x00"), malformed),
        "cut.p7b": (message[:-1], malformed),
        "wrapped-twice.p7b": (armoured("PKCS7", armoured("CERTIFICATE", good)), malformed),
        "deep.p7b": (b"\x30\x80" * 5000, malformed),
        "bad-version.pem": (vector("x509/custom/invalid_version.pem"), malformed),
        "extension-twice.pem": (vector("x509/custom/two_basic_constraints.pem"), malformed),
        "bad-time.pem": (vector("x509/badasn1time.pem"), malformed),
        "two-algorithms.der": (
            vector("x509/custom/mismatch_inner_outer_sig_algorithm.der"),
            malformed,
        ),
        "bad-name.pem": (vector("x509/custom/invalid_utf8_common_name.pem"), malformed),
        # --- These files are unrelated to certificates.
        "request.csr": (csr.public_bytes(Encoding.PEM), "request-returned"),
        "request.cer": (csr.public_bytes(Encoding.DER), "request-returned"),
        "list.crl": (crl.public_bytes(Encoding.DER), nothing),
        "list.pem": (crl.public_bytes(Encoding.PEM), nothing),
        "page.cer": (b"<!DOCTYPE html><html><body>Certificate Services</body></html>", nothing),
        "notes.txt": ("請在星期五以前安裝。\r\n".encode(), nothing),
        "notes-utf16.txt": ("\ufeffCertificate follows".encode("utf-16-le"), nothing),
        "word.txt": (b"A" * 4000, nothing),  # In base64, the letter A encodes six zero bits.
        "picture.png": (b"\x89PNG\r\n\x1a\n" + bytes(500), nothing),
        "zeros.cer": (bytes(4096), nothing),
        "noise.der": (b"\x30\x82" + bytes(range(256)), malformed),
        "null.der": (b"\x30\x00", nothing),
        "enveloped.p7b": (vector("pkcs7/enveloped.pem"), nothing),
        "public-key.pem": (vector("asymmetric/PEM_Serialization/rsa_public_key.pem"), nothing),
        "smart-dashes.pem": (text.replace("-----", "—").encode(), nothing),
        # --- keys ---
        "key.pem": (key_pem, "private-key-in-file"),
        "key.der": (
            key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
            "private-key-in-file",
        ),
        "key-cut.pem": (key_pem[:-30], "private-key-in-file"),
        "key-encrypted.cer": (
            vector("asymmetric/PKCS8/enc-rsa-pkcs8.pem"),
            "private-key-in-file",
        ),
        "key-openssh.txt": (
            armoured("OPENSSH PRIVATE KEY", b"openssh-key-v1\0" + bytes(100)),
            "private-key-in-file",
        ),
        "locked.pfx": (locked, "pfx-not-opened"),
        "cut.pfx": (locked[:-50], malformed),
        # --- archives ---
        "cut.zip": (archive(("a.cer", good))[:-30], unreadable),
        "damaged.zip: a.cer": (
            archive(("a.cer", good), method=zipfile.ZIP_STORED).replace(good, good[::-1]),
            unreadable,
        ),
        "empty.zip": (archive(), nothing),
        "escape.zip: ../../escaped.cer": (archive(("../../escaped.cer", good)), skipped),
        "absolute.zip: /srv/escaped.cer": (archive(("/srv/escaped.cer", good)), skipped),
        "drive.zip: C:/escaped.cer": (archive(("C:/escaped.cer", good)), skipped),
        "backslash.zip: ..\\..\\escaped.cer": (archive(("..\\..\\escaped.cer", good)), skipped),
        "link.zip: link.cer": (_link_entry("/etc/passwd"), skipped),
        "nested.zip: inner.zip": (archive(("inner.zip", archive(("a.cer", good)))), skipped),
        "encrypted.zip: a.cer": (_encrypted_entry(good), skipped),
        "bzip2.zip: a.cer": (archive(("a.cer", good), method=zipfile.ZIP_BZIP2), skipped),
        "bomb.zip: a.cer": (archive(("a.cer", bytes(4_000_000))), unreadable),
        "large.zip: a.cer": (archive(("a.cer", os.urandom(5_000_001))), unreadable),
        "many.zip": (_many_entries(), unreadable),
        "large.cer": (b"\x30" * 5_000_001, unreadable),
        # --- These certificates belong to unknown keys.
        "foreign.pem": (vector("x509/wildcard_san.pem"), "unknown-key"),
        "chain-only.p7b": (p7b(*PythonCa("Fabrikam").chain), "chain-certificate-unused"),
        "foreign.der": (chain[1], "chain-certificate-unused"),
    }


def lay_out(folder: Path, files: dict[str, tuple[bytes, str]]) -> None:
    """Write hostile files, a symbolic link and other special files to a folder."""
    for name, (data, _) in files.items():
        (folder / name.split(": ")[0]).write_bytes(data)
    (folder / "link.cer").symlink_to("/etc/hostname")
    os.mkfifo(folder / "pipe.cer")


def make_tar(entries: dict[str, bytes], mode: str = "w:gz") -> bytes:
    """Return a tar archive, compressed or not, that contains the given files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as file:
        for title, data in entries.items():
            facts = tarfile.TarInfo(title)
            facts.size = len(data)
            file.addfile(facts, io.BytesIO(data))
    return out.getvalue()
