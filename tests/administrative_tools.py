"""Run the scripts of a request folder with OpenSSL, as the administrative tools of Lync Server
would.

The requests have the properties that Microsoft describes for ``Request-CsCertificate``: the subject
is from the topology, the names are in a different order, the PEM header contains NEW, and an
attribute contains the computer name. The key stays in the folder of that computer.
"""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from folders import read_document
from powershell_kit import commands

from lyncnb.pki.der_structures import SEQUENCE, SET, encode_element, list_items

_CLIENT_INFO = encode_element(0x06, bytes.fromhex("2b0601040182371514"))
_UTF8, _INTEGER, _BITS, _ATTRIBUTES = 0x0C, 0x02, 0x03, 0xA0
_SHA256_RSA = encode_element(
    SEQUENCE, encode_element(0x06, bytes.fromhex("2a864886f70d01010b")) + encode_element(0x05, b"")
)
_FIELDS = {
    "-Country": "C",
    "-State": "ST",
    "-City": "L",
    "-Organization": "O",
    "-OU": "OU",
}


def request_on_computer(
    folder: Path, computer: Path, *, names: bool = True, bits: str = ""
) -> list[Path]:
    """Run every script of a request folder as if on the given computer, and return the requests by
    name.

    If ``names`` is false, the requests have no alternative names. ``bits`` changes the key size.
    """
    computer.mkdir(exist_ok=True)
    subjects = {
        record["id"]: record["plan"]["subject"]["CN"]
        for record in read_document(folder)["requests"]
    }
    paths = []
    for script in sorted((folder / "steps").glob("*.ps1")):
        parameters = [
            command.parameters
            for command in commands(script.read_text("utf-8-sig"))
            if command.name == "Request-CsCertificate" and "-ComputerFqdn" in command.parameters
        ]
        if parameters:
            paths.append(_request(parameters[0], subjects[script.stem], computer, names, bits))
    return paths


def _text(value: str) -> str:
    return value.strip("'")


def _request(
    parameters: dict[str, str], common_name: str, computer: Path, names: bool, bits: str
) -> Path:
    # The user renames the file: the date and ".new" are removed from the file name.
    name = _text(parameters["-Output"]).rpartition("\\")[2].removesuffix(".new")
    path = computer / re.sub(r"-\d{4}-\d\d-\d\d", "", name)
    fields = [
        f"/{short}={_text(parameters[name])}"
        for name, short in _FIELDS.items()
        if name in parameters
    ]
    words = ["req", "-new", "-newkey", f"rsa:{bits or parameters['-KeySize']}", "-nodes", "-sha1"]
    words += ["-keyout", path.with_suffix(".key"), "-out", path]
    words += ["-subj", "".join(fields) + f"/CN={common_name}"]
    if names and "-DomainName" in parameters:
        domain_names = _text(parameters["-DomainName"]).split(",")
        words += [
            "-addext",
            "subjectAltName=" + ",".join(f"DNS:{n}" for n in reversed(domain_names)),
        ]
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
    text = path.read_text().replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
    path.write_bytes(text.replace("\n", "\r\n").encode())
    return path


def add_computer_name(path: Path, computer: str) -> None:
    """Add the attribute with the computer name to a request, and sign the request again."""
    key = serialization.load_pem_private_key(path.with_suffix(".key").read_bytes(), None)
    request = x509.load_pem_x509_csr(path.read_bytes())
    version, subject, public_key, attributes = list_items(request.tbs_certrequest_bytes)
    fields = [
        encode_element(_INTEGER, b"\x05"),
        encode_element(_UTF8, computer.encode()),
        encode_element(_UTF8, rb"CONTOSO\planner"),
        encode_element(_UTF8, b"powershell.exe"),
    ]
    info = encode_element(SET, encode_element(SEQUENCE, b"".join(fields)))
    all_attributes = sorted(
        [*list_items(attributes), encode_element(SEQUENCE, _CLIENT_INFO + info)]
    )
    body = version + subject + public_key + encode_element(_ATTRIBUTES, b"".join(all_attributes))
    body = encode_element(SEQUENCE, body)
    signature = key.sign(body, padding.PKCS1v15(), hashes.SHA256())
    der = encode_element(SEQUENCE, body + _SHA256_RSA + encode_element(_BITS, b"\0" + signature))
    encoded = base64.encodebytes(der).decode()
    armour = "NEW CERTIFICATE REQUEST"
    path.write_text(f"-----BEGIN {armour}-----\n{encoded}-----END {armour}-----\n")


def package_on_computer(request: Path, answer: Path, issuers: list[Path], package: Path) -> None:
    """Combine an issued certificate with its key in the folder of a computer, and export both with
    the chain.
    """
    chain = package.with_suffix(".chain")
    chain.write_bytes(b"".join(path.read_bytes() for path in issuers))
    words = ["pkcs12", "-export", "-inkey", request.with_suffix(".key"), "-in", answer]
    words += ["-certfile", chain, "-out", package, "-passout", "pass:export"]
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
