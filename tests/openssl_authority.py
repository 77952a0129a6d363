"""Create correct and faulty OpenSSL CAs that sign certificates for tests."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cas.python_ca import POLICIES, TIMESTAMP_LIST, TIMESTAMPS, timestamp_list
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding

#: The extensions that a CA normally includes in a server certificate. Every public certificate also
#: has a certificate policy and a list of certificate timestamps.
PUBLIC_TRUST = (
    f"certificatePolicies={POLICIES[0]}",
    f"{TIMESTAMP_LIST.dotted_string}=DER:{timestamp_list(TIMESTAMPS).hex()}",
)
GOOD = (
    *("basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature,keyEncipherment"),
    *("extendedKeyUsage=serverAuth", "subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid"),
    "crlDistributionPoints=URI:http://pki.contoso.com/1.crl",
    *PUBLIC_TRUST,
)
_CA = (
    *("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"),
    *("subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid"),
)
P256 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
_NOW = datetime.now(UTC).replace(microsecond=0)


def openssl(*arguments: object) -> bytes:
    """Run the OpenSSL command line, and return its output."""
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def without(prefix: str) -> tuple[str, ...]:
    """Return the extensions of a server certificate except those whose lines begin with `prefix`."""
    return tuple(line for line in GOOD if not line.startswith(prefix))


def flip_signature_byte(certificate: bytes) -> bytes:
    """Change one byte of the signature, which is at the end of a certificate."""
    body = base64.b64decode(b"".join(certificate.split(b"\n")[1:-2]))
    damaged = body[:-20] + bytes([body[-20] ^ 1]) + body[-19:]
    encoded = base64.encodebytes(damaged)
    return b"-----BEGIN CERTIFICATE-----\n" + encoded + b"-----END CERTIFICATE-----\n"


def mirror_signature(certificate: bytes) -> bytes:
    """Replace the ECDSA P-256 signature (r, s) of a certificate with (r, n - s), which is equally
    valid.
    """
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    parsed = x509.load_pem_x509_certificate(certificate)
    der, content = parsed.public_bytes(Encoding.DER), parsed.tbs_certificate_bytes
    r, s = decode_dss_signature(parsed.signature)
    signature = b"\0" + encode_dss_signature(r, order - s)
    offset = der.index(content) + len(content)
    algorithm = der[offset : offset + 2 + der[offset + 1]]
    body = content + algorithm + b"\x03" + bytes([len(signature)]) + signature
    other = b"\x30\x82" + len(body).to_bytes(2, "big") + body
    return x509.load_der_x509_certificate(other).public_bytes(Encoding.PEM)


def _moment(span: timedelta) -> str:
    return f"{_NOW + span:%Y%m%d%H%M%SZ}"


@dataclass(frozen=True)
class Authority:
    """A CA in its own folder, with its key and the CA certificates above it in the chain."""

    folder: Path
    name: str
    above: Authority | None = None

    @property
    def pem(self) -> bytes:
        """Return the CA's certificate."""
        return (self.folder / f"{self.name}.pem").read_bytes()

    @property
    def chain(self) -> bytes:
        """Return the CA's certificate followed by the CA certificates above it. The root is last."""
        return self.pem + (self.above.chain if self.above else b"")

    def subordinate(
        self,
        name: str,
        *,
        extensions: tuple[str, ...] = _CA,
        extra_lines: tuple[str, ...] = (),
        subject: str = "/CN=Contoso Issuing",
        key: tuple[str, ...] = P256,
        key_of: str = "",
        begins: timedelta = timedelta(days=-1),
        ends: timedelta = timedelta(days=2000),
        options: tuple[str, ...] = ("-sha256",),
    ) -> Authority:
        """Create a subordinate CA. ``key_of`` reuses the key of another CA."""
        stem = self.folder / name
        request, key_path = ("req", "-out", f"{stem}.csr", "-subj", subject), f"{stem}.key"
        if key_of:
            (self.folder / f"{name}.key").write_bytes((self.folder / f"{key_of}.key").read_bytes())
            openssl(*request, "-new", "-key", key_path)
        else:
            openssl(*request, "-newkey", *key, "-nodes", "-keyout", key_path)
        extended = stem.with_suffix(".ext")
        extended.write_text("\n".join((*extensions, *extra_lines)))
        openssl(
            *("x509", "-req", "-in", f"{stem}.csr", "-CA", self.folder / f"{self.name}.pem"),
            *("-CAkey", self.folder / f"{self.name}.key", "-extfile", extended, *options),
            *("-not_before", _moment(begins), "-not_after", _moment(ends), "-out", f"{stem}.pem"),
        )
        return Authority(self.folder, name, self)

    def sign(
        self,
        csr: Path,
        out: Path,
        *,
        extensions: tuple[str, ...] = GOOD,
        extra_lines: tuple[str, ...] = (),
        begins: timedelta = timedelta(days=-1),
        ends: timedelta = timedelta(days=180),
        serial: int | None = None,
        subject: str = "",
        copied: str = "copy",
        options: tuple[str, ...] = ("-sha256",),
    ) -> Path:
        """Sign a request with the given OpenSSL arguments, and return the path of the certificate."""
        out.parent.mkdir(parents=True, exist_ok=True)
        file = out.with_suffix(".ext")
        file.write_text("\n".join((*extensions, *extra_lines)))
        openssl(
            *("x509", "-req", "-in", csr, "-CA", self.folder / f"{self.name}.pem"),
            *("-CAkey", self.folder / f"{self.name}.key", "-copy_extensions", copied),
            *("-extfile", file, "-not_before", _moment(begins)),
            *("-not_after", _moment(ends), "-out", out),
            *(("-set_serial", str(serial)) if serial is not None else ()),
            *(("-subj", subject) if subject else ()),
            *options,
        )
        file.unlink()
        return out


def make_root(
    folder: Path,
    name: str = "root",
    *,
    subject: str = "/CN=Contoso Root",
    extra_lines: tuple[str, ...] = (),
    key: tuple[str, ...] = P256,
) -> Authority:
    """Create a root CA and its key."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / name
    openssl(
        *("req", "-x509", "-newkey", *key, "-nodes", "-keyout", f"{stem}.key"),
        *("-out", f"{stem}.pem", "-subj", subject, "-days", "3000"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        *(word for line in extra_lines for word in ("-addext", line)),
    )
    return Authority(folder, name)
