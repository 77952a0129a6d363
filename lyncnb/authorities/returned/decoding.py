"""Extract the certificates from a file that a CA returned, regardless of its name.

Supported forms: PEM, DER, base64 without PEM lines, UTF-16 text, PKCS #7 with any label, PFX.
PEM labels and file names can be wrong, so only the structure of the content counts. Private keys
are reported, but not decoded.
"""

from __future__ import annotations

import binascii
import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...pki.asn1 import MAX_ELEMENTS, BadStructure, Kind, list_certificates, read_objects
from ...pki.certificates import BadCertificate, Certificate, read_certificate
from ...pki.passphrase import Secret
from ...pki.pkcs12 import PfxNotOpened, open_pfx
from .server_export import BadExport, ServerExport, is_export, parse_export

AskPassword = Callable[[], Secret | str | None]
# Each tuple contains the code of a finding from rules/returned_rules.toml, and a message.
Remark = tuple[str, str]

# All quantifiers are possessive, so that a malicious file cannot make the search slow by
# backtracking.
_MARK = re.compile(r"-----[ \t]*+(BEGIN|END)[ \t]++([^\r\n-]{1,64}+)-----", re.IGNORECASE)
_HEADER = re.compile(r"[ \t]*+[A-Za-z0-9-]{1,64}+:")
# In a mail reply, each quoted line starts with "> ". A line of base64 text never starts with these
# characters.
_QUOTED = re.compile(r"^(?:[ \t]{0,8}+>)++", re.MULTILINE)
_MARKUP = re.compile(r"<(?:br|p|div|pre|html|body|span|td|tt|code)\b", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*+>")
_BASE64 = re.compile(r"[A-Za-z0-9+/]++={0,2}+")
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
# The smallest certificate is about 200 bytes long, so shorter text is not treated as base64.
_SHORTEST_BASE64 = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The content of a file that a CA returned.

    ``certificates`` are in the order of the file, without duplicates. ``remarks`` describe all
    other content. ``key_spki_sha256`` contains the hashes of the public keys for the private keys
    in PFX files. ``requests`` are certification requests (PKCS #10) as DER, not parsed. If ``lyncnb
    snippet certificates`` wrote the file, ``export`` contains the location of each certificate.
    """

    certificates: tuple[Certificate, ...] = ()
    remarks: tuple[Remark, ...] = ()
    key_spki_sha256: tuple[str, ...] = ()
    requests: tuple[bytes, ...] = ()
    export: ServerExport | None = None


def decode(data: bytes, *, password: AskPassword | None = None) -> Decoded:
    """Return every certificate that the bytes of a file contain.

    Parameters
    ----------
    data : bytes
        The whole file.
    password : callable, optional
        Called at most once, if the file is a PFX with a password.

    Returns
    -------
    Decoded
        The content. A damaged file results in a remark, not in an error.

    Notes
    -----
    Source: RFC 7468 for PEM; RFC 5652 for PKCS #7; RFC 7292 for PFX.
    """
    certificates: dict[Certificate, None] = {}
    remarks: dict[Remark, None] = {}
    keys: list[str] = []
    requests: list[bytes] = []
    export = _read_export(data)
    if isinstance(export, tuple):
        return Decoded(remarks=(export,))
    for label, content in _split_data(data):
        for result in _read_block(label, content, password):
            if isinstance(result, Certificate):
                certificates.setdefault(result)
            elif isinstance(result, str):
                keys.append(result)
            elif isinstance(result, bytes):
                requests.append(result)
            else:
                remarks.setdefault(result)
    if certificates:
        # The tool cfssl returns the request together with the certificate, so no finding is needed
        # for the request.
        remarks = {remark: None for remark in remarks if remark[0] != "request-returned"}
    elif export is not None:
        remarks["file-without-certificate", f"{export.computer} has no server certificate"] = None
    elif not remarks and not keys:
        remarks[_describe_file(data)] = None
    return Decoded(
        certificates=tuple(certificates),
        remarks=tuple(remarks),
        key_spki_sha256=tuple(keys),
        requests=tuple(requests),
        export=export,
    )


def _read_export(data: bytes) -> ServerExport | Remark | None:
    """Read a server's export, which lists where its certificates are installed.

    Return a remark if the export is malformed, and None if the data is not an export.
    """
    if b"lyncnb" not in data[:64].replace(b"\0", b"") or not is_export(text := _decode_text(data)):
        return None
    try:
        return parse_export(text)
    except BadExport as error:
        return (
            "file-malformed",
            f"the file begins like an export of a server's certificates, but {error}",
        )


def _split_data(data: bytes) -> Iterator[tuple[str, bytes | Remark]]:
    """Yield the label and the DER bytes of every PEM block.

    Base64 without PEM lines has no label.
    """
    binary = _get_complete_asn1(data)
    if binary is not None:
        yield "", binary
        return
    text = _decode_text(data)
    text = _read_json_strings(text) or _remove_markup(text)
    marks = list(_MARK.finditer(text))
    if marks:
        yield from _split_pem(text, marks)
        return
    joined = "".join(text.split())
    if len(joined) >= _SHORTEST_BASE64 and _BASE64.fullmatch(joined):
        content = _decode_base64(joined)
        # Any long word can look like base64. Therefore, text is used only if it decodes to the
        # start of an ASN.1 element.
        if content[:1] == b"0":
            yield "", content
    elif data[:1] == b"0" and len(data) > 1 and 0x80 <= data[1] <= 0x84:
        yield "", data


def _get_complete_asn1(data: bytes) -> bytes | None:
    """Return the data if it consists of complete ASN.1 elements, or else None."""
    if data[:1] != b"0":
        return None
    try:
        read_objects(data)
    except BadStructure:
        return None
    return data


def _decode_text(data: bytes) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    # Notepad and PowerShell 5 write UTF-16. Some other tools write it without the byte order mark.
    head = data[:128]
    if len(head) >= 2 and not any(head[1::2]) and all(head[0::2]):
        return data.decode("utf-16-le", "replace")
    if len(head) >= 2 and not any(head[0::2]) and all(head[1::2]):
        return data.decode("utf-16-be", "replace")
    return data.decode("latin-1")


def _read_json_strings(text: str) -> str:
    """Return the strings in a JSON text, one on each line, or "" if the text is not JSON.

    cfssl and the APIs of many CAs respond with ``{"cert": "-----BEGIN CERTIFICATE-----…"}``.
    """
    if text.lstrip()[:1] not in ("{", "["):
        return ""
    try:
        pending = [json.loads(text)]
    except (ValueError, RecursionError):
        return ""
    strings = []
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            strings.append(value)
        elif isinstance(value, dict):
            pending.extend(reversed(value.values()))
        elif isinstance(value, list):
            pending.extend(reversed(value))
    return "\n".join(strings)


def _remove_markup(text: str) -> str:
    """Return text without HTML tags. Web mail and portals can show a certificate as HTML."""
    if not _MARKUP.search(text):
        return text
    return html.unescape(_TAG.sub("\n", text)).replace("\xa0", " ")


def _split_pem(text: str, boundaries: list[re.Match[str]]) -> Iterator[tuple[str, bytes | Remark]]:
    if len(boundaries) > 2 * MAX_ELEMENTS:
        yield "", ("file-malformed", f"the file has more than {MAX_ELEMENTS:,} PEM blocks")
        return
    begin_mark = None
    for mark in boundaries:
        kind, label = mark[1].upper(), mark[2].strip().upper()
        if kind == "BEGIN":
            if begin_mark is not None:
                yield "", _report_incomplete_block(begin_mark)
            begin_mark = mark
        elif begin_mark is not None and begin_mark[2].strip().upper() == label:
            yield label, _decode_body(text[begin_mark.end() : mark.start()], label)
            begin_mark = None
        else:
            yield (
                "",
                (
                    "file-malformed",
                    (f'the END line "{_shorten_label(mark[2])}" has no matching BEGIN line'),
                ),
            )
            begin_mark = None
    if begin_mark is not None:
        yield "", _report_incomplete_block(begin_mark)


def _report_incomplete_block(begin_line: re.Match[str]) -> Remark:
    if "PRIVATE KEY" in begin_line[2].upper():
        return "private-key-in-file", f'the file contains a "{_shorten_label(begin_line[2])}"'
    return (
        "file-malformed",
        f'the block "{_shorten_label(begin_line[2])}" has no END line, so it is incomplete',
    )


def _decode_body(body: str, label: str) -> bytes | Remark:
    if "PRIVATE KEY" in label:
        # A private key can be encrypted and does not have to be ASN.1, so lyncnb identifies it only
        # by the PEM label.
        return "private-key-in-file", f'the file contains a "{_shorten_label(label)}"'
    content = _decode_base64(_remove_headers(_QUOTED.sub("", body)))
    return content or ("file-malformed", f'the block "{_shorten_label(label)}" is not valid base64')


def _remove_headers(body: str) -> str:
    """Remove the header lines (``Name: value``) of a PEM block and their continuation lines."""
    lines, in_header = [], False
    for line in body.splitlines():
        in_header = bool(_HEADER.match(line)) or (
            in_header and line[:1] in (" ", "\t") and bool(line.strip())
        )
        if not in_header:
            lines.append(line)
    return "\n".join(lines)


def _decode_base64(text: str) -> bytes:
    """Decode base64 text with any white space. Return empty bytes if it is not base64."""
    try:
        return binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except (binascii.Error, ValueError):
        return b""


def _read_block(
    label: str, content: bytes | Remark, password: AskPassword | None
) -> Iterator[Certificate | Remark | str | bytes]:
    if isinstance(content, tuple):
        yield content
        return
    try:
        objects = read_objects(content)
        kinds = [kind for kind, _ in objects]
        _reject_unknown_elements(objects)
        for kind, der in objects:
            if kind is Kind.OTHER and len(kinds) > 1:
                # OpenSSL appends trust settings to a certificate in a block with the label TRUSTED
                # CERTIFICATE.
                continue
            yield from _read_object(kind, der, password)
    except BadStructure as error:
        block_name = f'the block "{_shorten_label(label)}"' if label else "it"
        yield "file-malformed", f"{block_name} is not a complete ASN.1 structure: {error}"


def _reject_unknown_elements(objects: list[tuple[Kind, bytes]]) -> None:
    """Report ASN.1 elements of an unknown type as an error.

    OpenSSL writes its trust settings after a certificate (TRUSTED CERTIFICATE) as one SEQUENCE.
    """
    for position, (kind, der) in enumerate(objects):
        behind = position > 0 and objects[position - 1][0] is Kind.CERTIFICATE
        if kind is Kind.OTHER and len(objects) > 1 and not (behind and der[:1] == b"0"):
            raise BadStructure(f"the data ends with {len(der)} unexpected bytes")


def _read_object(
    element_type: Kind, der: bytes, password: AskPassword | None
) -> Iterator[Certificate | Remark | str | bytes]:
    if element_type is Kind.CERTIFICATE:
        yield _read_certificate(der)
    elif element_type is Kind.SIGNED_DATA:
        certificates = list_certificates(der)
        yield from map(_read_certificate, certificates)
        if not certificates:
            yield "file-without-certificate", "the file is a PKCS #7 message without certificates"
    elif element_type is Kind.PFX:
        yield from _read_pfx(der, password)
    elif element_type is Kind.REQUEST:
        yield "request-returned", f"the file contains {element_type.value}"
        yield der
    elif element_type in (Kind.PRIVATE_KEY, Kind.ENCRYPTED_KEY):
        yield "private-key-in-file", f"the file contains {element_type.value}"
    else:
        yield "file-without-certificate", f"the file contains {element_type.value}"


def _read_certificate(der: bytes) -> Certificate | Remark:
    try:
        return read_certificate(der)
    except BadCertificate as error:
        return "file-malformed", f"the file contains a certificate that cannot be read: {error}"


def _read_pfx(der: bytes, password: AskPassword | None) -> Iterator[Certificate | Remark | str]:
    try:
        contents = open_pfx(der, None)
    except PfxNotOpened as without:
        secret = password() if password is not None else None
        if not secret:
            yield "pfx-not-opened", str(without)
            return
        try:
            contents = open_pfx(der, secret)
        except PfxNotOpened as error:
            yield "pfx-not-opened", str(error)
            return
    yield from map(_read_certificate, contents.certificates)
    if contents.key_spki_sha256:
        yield contents.key_spki_sha256
        yield "private-key-in-file", "the file is a PFX with a private key"
    if not contents.certificates:
        yield "file-without-certificate", "the file is a PFX without certificates"


# The text that AD CS shows for a pending or denied request, on its web page and in the output of
# certreq.
_PENDING = ("certificate pending", "taken under submission", "request is pending")
_DENIED = ("request was denied", "denied by policy module", "certificate request denied")
_OUTLOOK = bytes.fromhex("d0cf11e0a1b11ae1")
_NUMBER = re.compile(r"request ?id(?: is|:)?[\s:]{0,9}+(\d{1,9}+)")


def _describe_file(data: bytes) -> Remark:
    """Return a finding that describes a file without certificates."""
    head = _decode_text(data[:32768]).lower()
    number = _NUMBER.search(head)
    request = f"request {number[1]}" if number else "the request"
    if any(words in head for words in _PENDING):
        return (
            "request-pending",
            (
                f"the CA reports that {request} is pending: a CA manager must issue or deny the "
                "request"
            ),
        )
    if any(words in head for words in _DENIED):
        return "request-denied", f"the CA reports that it denied {request}"
    if data.startswith(_OUTLOOK):
        message = "the file is an Outlook message (.msg) or another Office file"
        hint = "save the attachment, and then run lyncnb receive with the saved file"
        return "file-without-certificate", f"{message}; {hint}"
    message = "the file contains neither a certificate nor a request"
    if "<html" in head or "<!doctype" in head:
        message = "the file is a web page; download the certificate instead of the page"
    elif "begin" in head and "certificate" in head:
        message = "the file mentions a certificate, but has no line -----BEGIN CERTIFICATE-----"
    return "file-without-certificate", message


def _shorten_label(label: str) -> str:
    return re.sub(r"[^A-Z0-9 #.]", "?", label.strip().upper())[:40]
