"""Simulate the web enrollment pages of AD CS for the Python library `certsrv`.

The simulation follows Microsoft's documentation: MS-WCCE sections 3.2.1.4.2.1.4.1.1 (subject and
key from the request) and 3.2.1.4.2.1.2 (a ``SAN:`` attribute is ignored), the policy module's
errors, and the 4096 bytes of the database column. A real AD CS is not available for these tests.
"""

from __future__ import annotations

import base64
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cas.python_ca import PythonCa, der, issue, p7b, pem

TEMPLATE_OID = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2")
LARGEST_EXTENSION = 4096
LONGEST_FIELD = 64


class Refused(Exception):
    """The error of the AD CS policy module when it denies a request."""


def refusal(code: str, text: str) -> Refused:
    return Refused(f"Denied by Policy Module  {code}, {text}")


@dataclass
class Template:
    """A certificate template with its name and the values that it sets independently of the
    request.
    """

    eku: tuple[str, ...] = ("serverAuth",)
    smallest_rsa_bits: int = 2048
    days: int = 40
    needs_approval: bool = False


@dataclass
class StandIn:
    """A simulated CA whose web enrollment pages accept requests.

    The validity in its templates is within the public limit.
    """

    folder: Path
    templates: dict[str, Template] = field(
        default_factory=lambda: {
            "WebServer": Template(),
            "LyncApproved": Template(needs_approval=True),
        }
    )

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.ca = PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))
        self.issued: dict[int, x509.Certificate | None] = {}
        self._requests: dict[int, tuple[x509.CertificateSigningRequest, Template]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _pages(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._write_identity())
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> StandIn:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    @property
    def address(self) -> str:
        """Return the host and port of the pages in the format that the `certsrv` library expects."""
        return f"localhost:{self._server.server_port}"

    @property
    def trusted(self) -> Path:
        """Return the path of a file with the root for the TLS certificate of the pages."""
        return self.folder / "trusted.pem"

    def _write_identity(self) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        ca = PythonCa("Loopback")
        page = issue(
            key.public_key(), ca.issuing.subject, ca.key,
            subject=[("CN", "localhost")], san=["localhost"], days=3000,
        )  # fmt: skip
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "page.pem").write_bytes(pem(page, ca.issuing))
        (self.folder / "page.key").write_bytes(text)
        self.trusted.write_bytes(pem(ca.root))
        return self.folder / "page.pem", self.folder / "page.key"

    def take(self, text: str, attributes: str) -> int:
        """Accept a request and return its request ID, or raise `Refused`."""
        try:
            csr = x509.load_pem_x509_csr(text.encode())
        except ValueError:
            raise Refused("Error Parsing Request  ASN1 bad tag value met. 0x8009310b") from None
        template = self._judge(csr, attributes)
        number = len(self._requests) + 1
        self._requests[number] = (csr, template)
        self.issued[number] = None if template.needs_approval else self._issue(csr, template)
        return number

    def approve(self, number: int) -> None:
        """Issue the certificate for a pending request, as a CA manager does."""
        self.issued[number] = self._issue(*self._requests[number])

    def _judge(self, csr: x509.CertificateSigningRequest, attributes: str) -> Template:
        # The pyca library also reports valid SHA-1 signatures as invalid, but no request in these
        # tests has a SHA-1 signature.
        if not csr.is_signature_valid:
            raise Refused("The signature of the certificate cannot be verified. 0x80090006")
        name = self._template_name(csr, attributes)
        if not name:
            raise refusal("0x80094801", "the request does not contain a certificate template")
        if name not in self.templates:
            raise refusal("0x80094800", f"the request was for a certificate template {name}")
        names = _extension(csr, x509.SubjectAlternativeName)
        if not list(csr.subject) and names is None:
            raise Refused("The request subject name is invalid or too long. 0x80094001")
        if any(len(entry.value) > LONGEST_FIELD for entry in csr.subject):
            raise Refused("The request subject name is invalid or too long. 0x80094001")
        if names is not None and len(names.public_bytes()) > LARGEST_EXTENSION:
            raise Refused("Error Archiving Request  0xc80005e2 (ESE: -1506 JET_errColumnTooBig)")
        template = self.templates[name]
        key = csr.public_key()
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < template.smallest_rsa_bits:
            raise refusal("0x80094811", "the public key does not meet the minimum size")
        return template

    def _template_name(self, csr: x509.CertificateSigningRequest, attributes: str) -> str:
        for line in attributes.splitlines():
            key, _, value = line.partition(":")
            if key.strip().casefold() == "certificatetemplate" and value.strip():
                return value.strip()
        encoded_names = [e.value.value for e in csr.extensions if e.oid == TEMPLATE_OID]
        # Windows encodes the template name as a BMPString that is not inside another structure.
        return encoded_names[0][2:].decode("utf-16-be") if encoded_names else ""

    def _issue(self, csr: x509.CertificateSigningRequest, template: Template) -> x509.Certificate:
        names = _extension(csr, x509.SubjectAlternativeName)
        return self.ca.issue_for(
            csr,
            san=names.get_values_for_type(x509.DNSName) if names is not None else [],
            eku=template.eku,
            crl=[
                "ldap:///CN=Contoso%20Issuing%20CA%201,CN=CDP",
                "http://pki.contoso.net/CertEnroll/issuing1.crl",
            ],
            begins=_now(),
            days=template.days,
        )


def _now():
    from datetime import UTC, datetime, timedelta

    # AD CS sets the start of the validity period ten minutes earlier, because clocks may differ.
    return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)


def _extension(csr: x509.CertificateSigningRequest, kind: type):
    try:
        return csr.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _windows_text(data: bytes, label: str = "CERTIFICATE") -> bytes:
    """Encode bytes as base64 with CRLF line endings, as the AD CS pages do. The default label is
    CERTIFICATE.
    """
    body = base64.encodebytes(data).decode().replace("\n", "\r\n")
    return f"-----BEGIN {label}-----\r\n{body}-----END {label}-----\r\n".encode()


def _pages(stand_in: StandIn) -> type[BaseHTTPRequestHandler]:
    class Pages(BaseHTTPRequestHandler):
        timeout = 30

        def log_message(self, *arguments: object) -> None:
            """Suppress the server's log messages in the terminal that runs the tests."""

        def _send(self, data: bytes, kind: str = "text/html", status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="certsrv"')
            self.end_headers()
            self.wfile.write(data)

        def _is_known(self) -> bool:
            expected = base64.b64encode(b"planner:for the tests").decode()
            if self.headers.get("Authorization") == f"Basic {expected}":
                return True
            self._send(b"Unauthorized", status=401)
            return False

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if not self._is_known():
                return
            form = {key: values[0] for key, values in parse_qs(data.decode()).items()}
            try:
                number = stand_in.take(form["CertRequest"], form.get("CertAttrib", ""))
            except Refused as error:
                page = f'Certificate Request Denied. The disposition message is "{error}".'
                self._send(page.encode())
                return
            if stand_in.issued[number] is None:
                page = f"Certificate Pending. Your Request Id is {number}."
            else:
                page = f'<a href="certnew.cer?ReqID={number}&amp;Enc=b64">Download</a>'.replace(
                    "&amp;", "&"
                )
            self._send(page.encode())

        def do_GET(self) -> None:
            if not self._is_known():
                return
            url = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            page = url.path.rpartition("/")[2]
            if page == "certcarc.asp":
                self._send(b"<script>var nRenewals=0;</script>")
            elif page == "certnew.cer":
                self._certificate(query)
            elif page == "certnew.p7b":
                chain = p7b(*stand_in.ca.chain)
                data = chain if query["Enc"] == "bin" else _windows_text(chain)
                self._send(data, "application/x-pkcs7-certificates")
            else:
                self._send(b"certsrv")

        def _certificate(self, query: dict[str, str]) -> None:
            number = query["ReqID"]
            certificate = (
                stand_in.ca.issuing if number == "CACert" else stand_in.issued.get(int(number))
            )
            if certificate is None:
                self._send(b"Disposition message:\t\tTaken Under Submission\r\n")
                return
            data = der(certificate)
            self._send(
                data if query["Enc"] == "bin" else _windows_text(data), "application/pkix-cert"
            )

    return Pages
