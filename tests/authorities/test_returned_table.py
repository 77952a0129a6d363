"""A table lists, for each kind of returned file, what each command reports about it.

There is one row for every kind of file that was once evaluated wrongly. OpenSSL signs, ``receive``
reads the files, then ``status``, ``pfx`` and ``steps`` run. Each command reports the row's code if
the finding blocks it, and has the exit status of the row.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from folders import PASSPHRASE
from openssl_authority import (
    Authority,
    flip_signature_byte,
    make_root,
    mirror_signature,
    openssl,
    without,
)
from shell_kit import Shell, make_shell
from topologies import STANDARD_EDITION

from lyncnb.authorities.certificates_on_record import load_issued_certificates
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.export.write import write_requests
from lyncnb.pki.certificates import to_pem
from lyncnb.plan.planner import plan_certificates
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.request_record import find_request_id
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

pytestmark = pytest.mark.usefixtures("quick_cipher")

shell = pytest.fixture(make_shell)

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Case:
    """A request folder with two requests, a root, an issuing CA, and a folder for returned files."""

    requests: Path
    back: Path
    root: Authority
    issuing: Authority

    def csr(self, part: str) -> Path:
        """Return the path of the request for the server or for the deployment."""
        (path,) = self.requests.glob(f"csr/{part}*.csr")
        return path

    @property
    def server(self) -> Path:
        """Return the path of the server's CSR in the request folder."""
        return self.csr("StandardEdition")

    def put(self, name: str, data: bytes) -> Path:
        """Write a file into the folder of returned files."""
        self.back.mkdir(exist_ok=True)
        (self.back / name).write_bytes(data)
        return self.back / name

    def answer(self, ca: Authority | None = None, *, chain: bool = True, **how) -> Path:
        """Sign both requests, and add the CA certificates. Additional arguments apply only to the
        certificate for the server.
        """
        ca = ca or self.issuing
        self.issuing.sign(self.csr("Deployment"), self.back / "oauth.pem")
        if chain:
            self.put("chain.pem", self.issuing.chain)
            self.put("ca.pem", ca.chain)
        return ca.sign(self.server, self.back / "server.pem", **how)


Build = Callable[[Case], Iterable[list[Path]] | None]


@dataclass(frozen=True)
class Row:
    """A test case: the returned files for each run of the receive command, and the expected
    results.

    ``build`` returns the files of each run, or nothing for one run with all files. ``ends`` are
    the exit statuses of the last receive, status, pfx and steps. ``says`` are codes that receive
    reports. ``names`` is the code that every later command also reports, or "". ``packages`` is
    the number of packages in the end, out of two. ``pfx`` are further arguments of pfx.
    """

    build: Build
    ends: tuple[int, int, int, int]
    says: tuple[str, ...] = ()
    names: str = ""
    packages: int = 2
    pfx: Callable[[Case], Iterable[str]] = lambda case: ()


def make_rejected_row(build: Build, code: str) -> Row:
    """Return a table row for a case in which every command rejects one certificate and accepts the
    other.
    """
    return Row(build, (1, 1, 1, 1), (code,), code, packages=1)


def make_accepted_row(build: Build, code: str) -> Row:
    """Return a row of the test table for a certificate that is accepted with a finding."""
    return Row(build, (1, 0, 0, 0), (code,))


def make_row_with_unreadable_file(
    data: Callable[[Case], bytes], code: str = "file-unreadable"
) -> Row:
    """Return a table row for an unreadable file that is next to readable files."""

    def build(case: Case) -> None:
        case.answer()
        case.put("odd.cer", data(case))

    return Row(build, (2, 0, 0, 0), (code,))


def make_unreadable_row(data: Callable[[Case], bytes], code: str = "file-unreadable") -> Row:
    """Return a table row for an unreadable file that the planner specifies by name."""

    def build(case: Case) -> Iterable[list[Path]]:
        case.answer()
        path = case.back.parent / "odd.cer"
        path.write_bytes(data(case))
        yield [case.back, path]

    return Row(build, (2, 0, 0, 0), (code,))


def make_signer(**how) -> Build:
    """Return a function that signs the server's request with the given arguments."""
    return lambda case: case.answer(**how) and None


def make_signer_of_other_ca(ca: Callable[[Case], Authority], **how) -> Build:
    """Return a function with which another CA signs the server's request. The function adds the
    certificate of that CA.
    """
    return lambda case: case.answer(ca(case), **how) and None


def spoilt(case: Case) -> None:
    path = case.answer()
    path.write_bytes(flip_signature_byte(path.read_bytes()))


def make_signer_of_newer_certificate(
    change: Callable[[Path], None] = lambda path: None, **how
) -> Build:
    """Return a function that yields a valid certificate first, and then another certificate for the
    same request.
    """

    def build(case: Case) -> Iterable[list[Path]]:
        case.answer(begins=timedelta(days=-2))
        yield [case.back]
        path = case.issuing.sign(case.server, case.back.parent / "newer.pem", **how)
        change(path)
        yield [path]

    return build


def make_signer_with_same_start_date(first: dict, then: dict) -> Build:
    """Return a function that yields a certificate first, and then another certificate with the same
    start date.
    """

    def build(case: Case) -> Iterable[list[Path]]:
        case.answer(begins=timedelta(days=-2), **first)
        yield [case.back]
        newer = case.back.parent / "newer.pem"
        yield [case.issuing.sign(case.server, newer, begins=timedelta(days=-2), **then)]

    return build


def make_valid_and_faulty_certificate(case: Case) -> None:
    """Return two certificates with the same start date in one batch, one valid and one without a
    CRL URL.
    """
    case.answer(begins=timedelta(days=-2))
    case.issuing.sign(
        case.server,
        case.back / "another.pem",
        begins=timedelta(days=-2),
        extensions=without("crl"),
    )


def signed_twice(case: Case) -> None:
    path = case.answer()
    case.put("again.pem", mirror_signature(path.read_bytes()))


def same_serial(case: Case) -> None:
    case.answer(serial=77)
    case.issuing.sign(case.csr("Deployment"), case.back / "oauth.pem", serial=77)


def make_certificate_with_unknown_key(case: Case) -> None:
    """Return the valid certificates from the CA, and a certificate with the deployment's name and
    an unknown key.
    """
    case.answer()
    openssl(
        *("req", "-newkey", "rsa:2048", "-nodes", "-keyout", case.back.parent / "their.key"),
        *("-subj", "/CN=contoso.com", "-out", case.back.parent / "their.csr"),
    )
    case.issuing.sign(case.back.parent / "their.csr", case.back / "theirs.pem")


def two_for_one(case: Case) -> None:
    case.answer()
    case.issuing.sign(case.server, case.back / "second.pem", begins=timedelta(days=-3))


def make_certificates_from_two_cas(case: Case) -> None:
    """Return certificates for one request from two CAs with different roots, before any CA is
    recorded.
    """
    case.answer()
    other = make_root(case.back.parent / "other", subject="/CN=Fabrikam Root")
    other.sign(case.server, case.back / "second.pem")
    case.put("fabrikam.pem", other.pem)


def unproven(case: Case) -> Iterable[list[Path]]:
    case.answer(begins=timedelta(days=-2))
    yield [case.back]
    other = make_root(case.back.parent / "other", subject="/CN=Fabrikam Root")
    yield [other.sign(case.server, case.back.parent / "newer.pem")]


def chain_after(case: Case) -> Iterable[list[Path]]:
    case.answer(chain=False)
    yield [case.back]
    chain = case.back.parent / "chain.pem"
    chain.write_bytes(case.issuing.chain)
    yield [chain]


def chain_before(case: Case) -> Iterable[list[Path]]:
    case.back.mkdir()
    yield [case.put("chain.pem", case.issuing.chain)]
    (case.back / "chain.pem").unlink()
    case.answer(chain=False)
    yield [case.back]


def chain_alone(case: Case) -> None:
    case.put("chain.pem", case.issuing.chain)


def many_intermediates(case: Case) -> Authority:
    ca = case.issuing
    for number in range(9):
        ca = ca.subordinate(f"ca{number}", subject=f"/CN=Contoso {number}")
    return ca


def make_cas_with_same_name(case: Case) -> None:
    """Return a certificate and eighteen CA certificates with the same name. Only one of them has
    the key that signed the certificate.
    """
    cas = [
        case.root.subordinate(f"twin{number}", ends=timedelta(days=900 + number))
        for number in range(18)
    ]
    case.answer(cas[0])
    case.put("twins.pem", b"".join(ca.pem for ca in cas))


def make_ca_with_other_key_id(case: Case) -> None:
    """Return a CA certificate with the right key and name, but with a different key identifier."""
    extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")
    first = case.root.subordinate(
        "first", extra_lines=(), extensions=(*extensions, "subjectKeyIdentifier=01:02")
    )
    twin = case.root.subordinate(
        "twin", extensions=(*extensions, "subjectKeyIdentifier=03:04"), key_of="first"
    )
    case.answer(first, chain=False)
    case.put("chain.pem", case.issuing.chain + twin.chain)


def make_constrained_certificate(
    limit: str, extra_line: str = "", *, subject: str = "/CN=Contoso Issuing", **how
) -> Build:
    """Return a certificate from a CA with name constraints, optionally through an intermediate CA."""

    def build(case: Case) -> None:
        more_lines = (f"nameConstraints=critical,{limit}", *([extra_line] if extra_line else []))
        ca = case.root.subordinate("limited", extra_lines=more_lines, subject=subject)
        case.answer(ca, **how)

    return build


def make_certificate_that_violates_constraints(case: Case) -> None:
    """Return a certificate from an intermediate CA whose name violates the name constraints of the
    CA above it.
    """
    limited = case.root.subordinate(
        "limited", subject="/O=Contoso/CN=Limited",
        extra_lines=("nameConstraints=critical,permitted;dirName:allowed\n[allowed]\nO=Contoso",),
    )  # fmt: skip
    case.answer(limited.subordinate("below", subject="/O=Fabrikam/CN=Below"), subject="/O=Contoso")


def write_self_signed_certificate(case: Case) -> None:
    """Write a self-signed certificate with the key of the server's request.

    Only the holder of the key can create such a certificate, by using a tool incorrectly.
    """
    case.answer()
    (case.back / "server.pem").unlink()
    root = make_root(case.back.parent / "own", key=("rsa:2048",))
    openssl(
        *("x509", "-new", "-force_pubkey", _public_key(case), "-subj", "/CN=se01.contoso.com"),
        *("-key", root.folder / "root.key", "-out", case.back / "server.pem"),
    )


def _public_key(case: Case) -> Path:
    path = case.back.parent / "public.pem"
    path.write_bytes(openssl("req", "-in", case.server, "-noout", "-pubkey"))
    return path


def alternative_names(case: Case) -> str:
    """Return an OpenSSL configuration line with the subject alternative names of the server's
    request.
    """
    request = x509.load_pem_x509_csr(case.server.read_bytes())
    san = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return "subjectAltName=" + ",".join(
        f"DNS:{name}" for name in san.get_values_for_type(x509.DNSName)
    )


def accepted_reason(case: Case) -> Iterable[list[Path]]:
    case.answer(extensions=without("crl"))
    yield [case.back]
    yield ["--accept", "crl-distribution-point-absent=the lab has none"]


def accepted_in_vain(case: Case) -> Iterable[list[Path]]:
    spoilt(case)
    yield [case.back]
    yield ["--accept", "chain-signature-wrong=it is ours all the same"]


def overwrite_file(pattern: str, other: str) -> Build:
    """Overwrite one file in the request folder with another file in the same folder."""

    def build(case: Case) -> Iterable[list[Path]]:
        case.answer()
        yield [case.back]
        bundle = open_requests(case.requests)
        if pattern.startswith("pfx"):
            write_pfx(load_issued_certificates(bundle), passphrase=PASSPHRASE)
        (target,), (source,) = case.requests.glob(pattern), case.requests.glob(other)
        target.write_bytes(source.read_bytes())
        yield []

    return build


def make_certificate_with_excluded_address(case: Case) -> None:
    """Return a certificate with an IP address that the CA's name constraints exclude."""
    limit = "nameConstraints=critical,excluded;IP:192.0.2.0/255.255.255.0"
    limited = case.root.subordinate("limited", extra_lines=(limit,))
    case.answer(limited, copied="none", extra_lines=(f"{alternative_names(case)},IP:192.0.2.1",))


def add_damaged_certificate(case: Case) -> None:
    """Add a certificate to the returned file. The certificate contains the same extension twice."""
    path = case.answer()
    der = x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
    # Replacing the OID turns the extended key usage into a second key usage.
    damaged = der.replace(b"\x06\x03\x55\x1d\x25", b"\x06\x03\x55\x1d\x0f")
    path.write_bytes(path.read_bytes() + to_pem([damaged]))


def cut(case: Case) -> bytes:
    return case.issuing.sign(case.server, case.back.parent / "x.pem").read_bytes()[:900] + b"\n"


def as_json(case: Case) -> None:
    path = case.answer()
    text = path.read_text()
    answer = {"success": True, "result": {"certificate": text}, "errors": [], "messages": []}
    path.write_text(json.dumps(answer))


def as_zip(case: Case) -> None:
    path = case.answer()
    with zipfile.ZipFile(case.back / "all.zip", "w") as archive:
        archive.write(path, "mail/answer.cer")
    path.unlink()


def as_pkcs7(case: Case) -> None:
    path = case.answer()
    openssl(
        *("crl2pkcs7", "-nocrl", "-certfile", path, "-certfile", case.back / "chain.pem"),
        *("-outform", "DER", "-out", case.back / "all.p7b"),
    )
    path.unlink()
    (case.back / "chain.pem").unlink()


def make_pfx_from_other_source(case: Case) -> bytes:
    """Return a PFX file from another source with a password that lyncnb does not know."""
    folder = case.back.parent
    openssl(
        *("pkcs12", "-export", "-inkey", case.root.folder / "root.key", "-passout", "pass:secret"),
        *("-in", case.root.folder / "root.pem", "-out", folder / "their.pfx"),
    )
    return (folder / "their.pfx").read_bytes()


def make_pfx_with_rare_cipher(case: Case) -> bytes:
    """Return a PFX file with a rare cipher, which lyncnb cannot distinguish from a file with an
    unknown password.
    """
    folder = case.back.parent
    openssl(
        *("pkcs12", "-export", "-certpbe", "aria-256-cbc", "-nokeys", "-passout", "pass:x"),
        *("-in", case.root.folder / "root.pem", "-out", folder / "odd.pfx"),
    )
    return (folder / "odd.pfx").read_bytes()


def beside_a_key(case: Case) -> None:
    path = case.answer()
    path.write_bytes(path.read_bytes() + (case.root.folder / "root.key").read_bytes())


PENDING = (
    b"<HTML><Head><Title>Microsoft Active Directory Certificate Services</Title></Head><BODY>"
    b"<P ID=locPageTitle> Certificate Pending </P>Your certificate request has been received. "
    b"Your Request Id is 42.</BODY></HTML>"
)

CRITICAL = "1.2.3.4=critical,ASN1:NULL"

TABLE = {
    # The following rows contain valid certificates.
    "as planned": Row(make_signer(), (0, 0, 0, 0)),
    "in a zip": Row(as_zip, (0, 0, 0, 0)),
    "as PKCS #7": Row(as_pkcs7, (0, 0, 0, 0)),
    "as cfssl's JSON": Row(as_json, (0, 0, 0, 0)),
    "nine intermediates": Row(make_signer_of_other_ca(many_intermediates), (0, 0, 0, 0)),
    "eighteen CAs of one name": Row(
        make_cas_with_same_name, (0, 0, 0, 0), ("chain-certificate-unused",)
    ),
    # Group 1 contains faults that earlier versions reported in some commands, but not in all.
    "an octet of the signature flipped": make_rejected_row(spoilt, "chain-signature-wrong"),
    "a serial number twice": Row(
        same_serial, (1, 1, 1, 1), ("duplicate-serial",), "duplicate-serial", 0
    ),
    "a stranger's certificate of a pool's name": Row(
        make_certificate_with_unknown_key,
        (1, 0, 0, 0),
        ("unknown-key", "different-certificates-in-pool"),
    ),
    # The following rows are about whether a certificate replaces another certificate.
    "newer, signature wrong": Row(
        make_signer_of_newer_certificate(
            lambda path: path.write_bytes(flip_signature_byte(path.read_bytes()))
        ),
        (1, 0, 0, 0),
        ("chain-signature-wrong",),
        "chain-signature-wrong",
    ),
    "newer, ended": Row(
        make_signer_of_newer_certificate(ends=-_HOUR),
        (1, 0, 0, 0),
        ("certificate-expired",),
        "certificate-expired",
    ),
    "newer, of a CA that nobody knows": Row(
        unproven, (1, 0, 0, 0), ("issued-under-another-root",), "issued-under-another-root"
    ),
    "newer": Row(
        make_signer_of_newer_certificate(), (0, 0, 0, 0), ("replaces-earlier-certificate",)
    ),
    "the same dates": Row(
        make_signer_of_newer_certificate(begins=timedelta(days=-2)),
        (0, 0, 0, 0),
        ("replaces-earlier-certificate",),
    ),
    "older": Row(
        make_signer_of_newer_certificate(begins=timedelta(days=-9)), (0, 0, 0, 0), ("older-answer",)
    ),
    "two for one request": make_accepted_row(two_for_one, "several-answers"),
    "the same moment, the first has an error": Row(
        make_signer_with_same_start_date({"extensions": without("crl")}, {}), (0, 0, 0, 0)
    ),
    "the same moment, the newcomer has an error": Row(
        make_signer_with_same_start_date({}, {"extensions": without("crl")}),
        (1, 0, 0, 0),
        ("crl-distribution-point-absent",),
        "crl-distribution-point-absent",
    ),
    "the same moment, it ends earlier": Row(
        make_signer_with_same_start_date({"ends": timedelta(days=700)}, {}),
        (0, 0, 0, 0),
        ("replaces-earlier-certificate",),
    ),
    "the same moment in one batch, one has an error": Row(
        make_valid_and_faulty_certificate,
        (1, 0, 0, 0),
        ("crl-distribution-point-absent",),
        "crl-distribution-point-absent",
    ),
    "a second signature": Row(signed_twice, (0, 0, 0, 0)),
    # Groups 4 and 5: incomplete and unusual certificate chains.
    "the chain afterwards": Row(chain_after, (0, 0, 0, 0), ("chain-completed", "root-to-compare")),
    "the chain before": Row(chain_before, (0, 0, 0, 0)),
    "CA certificates alone": Row(
        chain_alone, (0, 0, 1, 1), ("chain-certificate-unused", "root-to-compare"), packages=0
    ),
    "a gap, packaged when that is asked": Row(
        make_signer(chain=False),
        (1, 0, 0, 0),
        ("chain-incomplete",),
        pfx=lambda case: [
            f"--without-chain={find_request_id(path.stem)}" for path in case.requests.glob("csr/*")
        ],
    ),
    "a chain with a gap": Row(
        make_signer(chain=False), (1, 0, 1, 1), ("chain-incomplete",), packages=0
    ),
    "an unknown critical extension": make_rejected_row(
        make_signer(extra_lines=(CRITICAL,)), "critical-extension-unknown"
    ),
    "an unknown critical extension in the CA": make_rejected_row(
        make_signer_of_other_ca(lambda case: case.root.subordinate("odd", extra_lines=(CRITICAL,))),
        "critical-extension-unknown",
    ),
    "an unknown critical extension in the root": make_rejected_row(
        make_signer_of_other_ca(
            lambda case: make_root(case.back.parent / "odd", extra_lines=(CRITICAL,))
        ),
        "critical-extension-unknown",
    ),
    "a CA for other purposes": make_rejected_row(
        make_signer_of_other_ca(
            lambda case: case.root.subordinate("odd", extra_lines=("extendedKeyUsage=clientAuth",))
        ),
        "chain-issuer-purpose",
    ),
    "a CA for any purpose": make_accepted_row(
        make_signer_of_other_ca(
            lambda case: case.root.subordinate(
                "odd", extra_lines=("extendedKeyUsage=anyExtendedKeyUsage",)
            )
        ),
        "chain-issuer-purpose-any",
    ),
    "a CA for other names": make_rejected_row(
        make_constrained_certificate("permitted;DNS:fabrikam.com"), "name-constraints-violated"
    ),
    "a CA for other directory names": make_rejected_row(
        make_constrained_certificate(
            "permitted;dirName:allowed", "[allowed]\nO=Fabrikam", subject="/O=Fabrikam/CN=Issuing"
        ),
        "name-constraints-violated",
    ),
    "an address that the CA may not name": make_rejected_row(
        make_certificate_with_excluded_address, "name-constraints-violated"
    ),
    "a CA whose own name is outside": make_rejected_row(
        make_certificate_that_violates_constraints, "name-constraints-violated"
    ),
    "no CA certificate above": make_rejected_row(
        make_signer_of_other_ca(
            lambda case: case.root.subordinate(
                "odd",
                extensions=("basicConstraints=critical,CA:FALSE", "subjectKeyIdentifier=hash"),
            )
        ),
        "chain-issuer-not-ca",
    ),
    "another key identifier": make_rejected_row(
        make_ca_with_other_key_id, "chain-authority-key-differs"
    ),
    "Ed25519 above": make_rejected_row(
        make_signer_of_other_ca(
            lambda case: case.root.subordinate("odd", key=("ed25519",)), options=()
        ),
        "signature-scheme-unsupported",
    ),
    "an Ed25519 root": make_rejected_row(
        make_signer_of_other_ca(
            lambda case: make_root(case.back.parent / "odd", key=("ed25519",)).subordinate(
                "odd2", options=()
            )
        ),
        "chain-algorithm-unsupported",
    ),
    "RSA of 1024 bits above": make_accepted_row(
        make_signer_of_other_ca(lambda case: case.root.subordinate("odd", key=("rsa:1024",))),
        "chain-key-weak",
    ),
    "a CA signed with SHA-1": make_accepted_row(
        make_signer_of_other_ca(lambda case: case.root.subordinate("odd", options=("-sha1",))),
        "chain-signature-hash-weak",
    ),
    "a CA that has ended": make_rejected_row(
        make_signer_of_other_ca(lambda case: case.root.subordinate("odd", ends=-_HOUR)),
        "chain-issuer-not-in-force",
    ),
    # The rows of group 6 contain unusual dates and times.
    "ended an hour ago": make_rejected_row(make_signer(ends=-_HOUR), "certificate-expired"),
    "begins in an hour": make_accepted_row(make_signer(begins=_HOUR), "not-yet-valid"),
    # The certificate must be renewed soon.
    "ends in an hour": Row(make_signer(ends=_HOUR), (1, 1, 0, 0), ("ends-before-renewal",)),
    # Group 7: differences in host names, and changed files in the request folder.
    "the common name in capitals": make_accepted_row(
        make_signer(subject="/CN=SE01.contoso.com"), "common-name-case"
    ),
    "another common name": make_rejected_row(
        make_signer(subject="/CN=se02.contoso.com"), "common-name-changed"
    ),
    "no alternative names": make_rejected_row(make_signer(copied="none"), "names-missing"),
    "exchanged in returned/": Row(
        overwrite_file("returned/Standard*.cer", "returned/Deployment*.cer"),
        *((1, 3, 1, 1), ("file-exchanged",), "differs from the", 1),
    ),
    "exchanged in returned/, by what was read before": Row(
        overwrite_file("returned/Deployment*.cer", "returned/Standard*.cer"),
        *((1, 3, 1, 1), ("file-exchanged",), "differs from the", 1),
    ),
    "exchanged in pfx/": Row(
        overwrite_file("pfx/Standard*.pfx", "pfx/Deployment*.pfx"),
        *((1, 3, 0, 0), ("package-exchanged",), "differs from the"),
    ),
    # Group 8: certificates with differences that the policy of a CA can cause.
    "no list of revoked ones": make_rejected_row(
        make_signer(extensions=without("crl")), "crl-distribution-point-absent"
    ),
    "no list, accepted": Row(
        accepted_reason, (0, 0, 0, 0), ("accepted: crl-distribution-point-absent",)
    ),
    "a wrong signature, accepted": Row(
        accepted_in_vain, (3, 1, 1, 1), ("cannot be accepted",), "chain-signature-wrong", 1
    ),
    "no server authentication": make_rejected_row(
        make_signer(extensions=(*without("extended"), "extendedKeyUsage=clientAuth")),
        "eku-server-auth-absent",
    ),
    "no extended key usage": make_rejected_row(
        lambda case: (
            case.answer(
                extensions=without("extended"),
                copied="none",
                extra_lines=(alternative_names(case),),
            )
            and None
        ),
        "eku-server-auth-absent",
    ),
    "signed with SHA-1": make_accepted_row(make_signer(options=("-sha1",)), "signature-hash-sha1"),
    "signed with PSS": make_rejected_row(
        make_signer_of_other_ca(
            lambda case: case.root.subordinate("rsa", key=("rsa:2048",)),
            options=("-sha256", "-sigopt", "rsa_padding_mode:pss"),
        ),
        "signature-pss",
    ),
    "a CA certificate for our key": Row(
        make_signer(extensions=("basicConstraints=critical,CA:TRUE", *without("basic"))),
        (1, 0, 1, 1),
        ("ca-certificate",),
        packages=1,
    ),
    # The cases in groups 9 and 10 test file formats.
    "cut off": make_row_with_unreadable_file(cut, "file-malformed"),
    "empty": make_row_with_unreadable_file(lambda case: b""),
    "blanks and a mark": make_unreadable_row(lambda case: b"A" * 100 + b" " * 4000 + b"!"),
    "BEGIN and blanks": make_unreadable_row(lambda case: b"-----BEGIN" + b" " * 4000),
    "lengths side by side": make_row_with_unreadable_file(
        lambda case: b"\x30\x80\0\0" * 90_000, "file-malformed"
    ),
    "damaged, in a bundle": Row(
        add_damaged_certificate, (2, 0, 0, 0), ("serial", "se01.contoso.com")
    ),
    "a serial number of zero": Row(make_signer(serial=0), (0, 0, 0, 0)),
    "a PFX of an unknown cipher": make_row_with_unreadable_file(
        make_pfx_with_rare_cipher,
        "does not support the encryption of the file (1.2.410.200046.1.1.12)",
    ),
    "nested lengths": make_row_with_unreadable_file(
        lambda case: b"\x30\x80" * 90_000, "file-malformed"
    ),
    "a pending answer": Row(
        lambda case: case.answer() and case.put("certfnsh.html", PENDING) and None,
        (1, 0, 0, 0),
        ("request-pending", "42"),
    ),
    "a request": make_accepted_row(
        lambda case: case.answer() and case.put("x.csr", case.server.read_bytes()) and None,
        "request-returned",
    ),
    "a PFX with a password": make_row_with_unreadable_file(
        make_pfx_from_other_source, "pfx-not-opened"
    ),
    "a private key beside": make_accepted_row(beside_a_key, "private-key-in-file"),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> tuple[Path, Path]:
    """Return the paths of a request folder and of the CAs. The folder contains two requests, and no
    certificate has been issued.
    """
    work_folder = tmp_path_factory.mktemp("table")
    plan = plan_certificates(read_topology(STANDARD_EDITION.encode()), load_rules())
    write_requests(plan, work_folder / "requests", passphrase=PASSPHRASE)
    make_root(work_folder / "ca").subordinate("issuing")
    return work_folder / "requests", work_folder / "ca"


def run(shell: Shell, row: Row, template: tuple[Path, Path]) -> dict[str, tuple[int, str]]:
    """Create the files of a row in the test table, receive them, and run every command."""
    requests = Path(shutil.copytree(template[0], shell.folder / "requests"))
    ca_folder = Path(shutil.copytree(template[1], shell.folder / "ca"))
    shell.write("passphrase.txt", PASSPHRASE)
    root = Authority(ca_folder, "root")
    case = Case(requests, shell.folder / "back", root, Authority(ca_folder, "issuing", root))
    for files in row.build(case) or [[case.back]]:
        result = shell("receive", "requests", *files)
    results = {"receive": (result.status, result.out + result.err)}
    for name, options in (
        ("status", ()),
        ("pfx", ("--passphrase-file", "passphrase.txt", *row.pfx(case))),
        ("steps", ()),
    ):
        result = shell(name, "requests", *options)
        results[name] = (result.status, result.out + result.err)
    return results


@pytest.mark.slow
@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_commands_report_each_row(shell, template, row):
    """In each case of `TABLE`, the commands name the affected certificates and have the expected
    exit status.
    """
    results = run(shell, row, template)
    assert tuple(status for status, _ in results.values()) == row.ends, results
    for code in row.says:
        assert code in results["receive"][1]
    for name, status in zip(("status", "pfx", "steps"), row.ends[1:], strict=True):
        if status or name == "status":
            assert row.names in results[name][1], name
    assert len(list((shell.folder / "requests" / "pfx").glob("*.pfx"))) == row.packages
    # If lyncnb evaluates the recorded certificates again, it reports the recorded findings.
    bundle = open_requests(shell.folder / "requests")
    for record in bundle.requests:
        for part in filter(None, (record.issued, *record.refused)):
            reread = load_issued_certificates(bundle)
            certificates = [
                c for c in (*reread.certificates, *reread.refused) if c.sha256 == part.sha256
            ]
            codes = {f.code for c in certificates for f in c.findings}
            assert codes == {f.code for f in part.judgement.findings} or "exchanged" in row.says[0]
