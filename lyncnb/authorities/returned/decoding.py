"""The bytes of one returned file to certificates, whatever the file is called.

PEM, DER, base64 without armour, UTF-16 text, PKCS #7 under any label, PFX. Armour and file names
are hints for people; only the structure of what is inside decides. Private keys are noticed,
never decoded.
"""

from __future__ import annotations

import binascii
import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...pki.asn1 import MAX_ELEMENTS, BadStructure, Kind, certificates_in, read_objects
from ...pki.certificates import BadCertificate, Certificate, read_certificate
from ...pki.passphrase import Secret
from ...pki.pkcs12 import PfxNotOpened, open_pfx
from .server_export import BadExport, ServerExport, is_export, parse_export

AskPassword = Callable[[], Secret | str | None]
Remark = tuple[str, str]  # code of rules/returned_rules.toml, message

# Possessive throughout: what is foreign must not choose how often it is read.
_MARK = re.compile(r"-----[ \t]*+(BEGIN|END)[ \t]++([^\r\n-]{1,64}+)-----", re.IGNORECASE)
_HEADER = re.compile(r"[ \t]*+[A-Za-z0-9-]{1,64}+:")
# A mail that was answered or forwarded has "> " before each line; base64 has none.
_QUOTED = re.compile(r"^(?:[ \t]{0,8}+>)++", re.MULTILINE)
_MARKUP = re.compile(r"<(?:br|p|div|pre|html|body|span|td|tt|code)\b", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*+>")
_BASE64 = re.compile(r"[A-Za-z0-9+/]++={0,2}+")
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
# The shortest certificate with a key in it has some 200 bytes; shorter text is a word, no base64.
_SHORTEST_BASE64 = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What one file held.

    ``certificates`` in the order of the file, each once. ``remarks`` are what there is to say
    about the rest. ``key_spki_sha256`` are the public halves of keys found in PFX files.
    ``requests`` are certification requests (PKCS #10), DER, not read any further. ``export`` says
    where the certificates are, if the file is what ``lyncnb snippet certificates`` writes.
    """

    certificates: tuple[Certificate, ...] = ()
    remarks: tuple[Remark, ...] = ()
    key_spki_sha256: tuple[str, ...] = ()
    requests: tuple[bytes, ...] = ()
    export: ServerExport | None = None


def decode(data: bytes, *, password: AskPassword | None = None) -> Decoded:
    """Find every certificate in the bytes of a file.

    Parameters
    ----------
    data : bytes
        The whole file.
    password : callable, optional
        Asked, at most once, if the file is a PFX that has a password.

    Returns
    -------
    Decoded
        Never raises for what the bytes are: a damaged file is a remark.

    Notes
    -----
    Source: RFC 7468 for PEM; RFC 5652 for PKCS #7; RFC 7292 for PFX.
    """
    certificates: dict[Certificate, None] = {}
    remarks: dict[Remark, None] = {}
    keys: list[str] = []
    requests: list[bytes] = []
    export = _export(data)
    if isinstance(export, tuple):
        return Decoded(remarks=(export,))
    for label, content in _pieces(data):
        for result in _read_piece(label, content, password):
            if isinstance(result, Certificate):
                certificates.setdefault(result)
            elif isinstance(result, str):
                keys.append(result)
            elif isinstance(result, bytes):
                requests.append(result)
            else:
                remarks.setdefault(result)
    if certificates:
        # Beside its answer a request is no surprise: cfssl sends it back with the certificate.
        remarks = {told: None for told in remarks if told[0] != "request-returned"}
    elif export is not None:
        remarks["file-without-certificate", f"{export.computer} has no certificate of its own"] = (
            None
        )
    elif not remarks and not keys:
        remarks[_guess(data)] = None
    return Decoded(
        certificates=tuple(certificates),
        remarks=tuple(remarks),
        key_spki_sha256=tuple(keys),
        requests=tuple(requests),
        export=export,
    )


def _export(data: bytes) -> ServerExport | Remark | None:
    """Read where certificates are, if a server says so; what is no whole export is not believed."""
    if b"lyncnb" not in data[:64].replace(b"\0", b"") or not is_export(text := _text(data)):
        return None
    try:
        return parse_export(text)
    except BadExport as error:
        return "file-malformed", f"it begins as the export of a server's certificates, but {error}"


def _pieces(data: bytes) -> Iterator[tuple[str, bytes | Remark]]:
    """Yield the label ("" without armour) and the DER of every piece, or a remark in its place."""
    binary = _binary(data)
    if binary is not None:
        yield "", binary
        return
    text = _text(data)
    text = _json_strings(text) or _without_markup(text)
    marks = list(_MARK.finditer(text))
    if marks:
        yield from _armoured(text, marks)
        return
    joined = "".join(text.split())
    if len(joined) >= _SHORTEST_BASE64 and _BASE64.fullmatch(joined):
        content = _from_base64(joined)
        # Any long word is base64 of something; only what begins like ASN.1 was meant to be.
        if content[:1] == b"0":
            yield "", content
    elif data[:1] == b"0" and len(data) > 1 and 0x80 <= data[1] <= 0x84:
        yield "", data


def _binary(data: bytes) -> bytes | None:
    """Return the data if it is whole ASN.1 elements."""
    if data[:1] != b"0":
        return None
    try:
        read_objects(data)
    except BadStructure:
        return None
    return data


def _text(data: bytes) -> str:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    # Notepad and PowerShell 5 write UTF-16; some copy tools drop the byte order mark.
    head = data[:128]
    if len(head) >= 2 and not any(head[1::2]) and all(head[0::2]):
        return data.decode("utf-16-le", "replace")
    if len(head) >= 2 and not any(head[0::2]) and all(head[1::2]):
        return data.decode("utf-16-be", "replace")
    return data.decode("latin-1")


def _json_strings(text: str) -> str:
    """Write what JSON says in its strings as text, one below the other; "" if it is no JSON.

    cfssl and the interfaces of many CAs answer so: ``{"cert": "-----BEGIN CERTIFICATE-----…"}``.
    """
    if text.lstrip()[:1] not in ("{", "["):
        return ""
    try:
        left = [json.loads(text)]
    except (ValueError, RecursionError):
        return ""
    found = []
    while left:
        value = left.pop()
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            left.extend(reversed(value.values()))
        elif isinstance(value, list):
            left.extend(reversed(value))
    return "\n".join(found)


def _without_markup(text: str) -> str:
    """Take the tags out of what is HTML, as web mail and portals show a certificate in a page."""
    if not _MARKUP.search(text):
        return text
    return html.unescape(_TAG.sub("\n", text)).replace("\xa0", " ")


def _armoured(text: str, marks: list[re.Match[str]]) -> Iterator[tuple[str, bytes | Remark]]:
    if len(marks) > 2 * MAX_ELEMENTS:
        yield "", ("file-malformed", f"it has more than {MAX_ELEMENTS:,} armoured blocks")
        return
    begin = None
    for mark in marks:
        kind, label = mark[1].upper(), mark[2].strip().upper()
        if kind == "BEGIN":
            if begin is not None:
                yield "", _unfinished(begin)
            begin = mark
        elif begin is not None and begin[2].strip().upper() == label:
            yield label, _body(text[begin.end() : mark.start()], label)
            begin = None
        else:
            yield "", ("file-malformed", f'an END line "{_short(mark[2])}" without its BEGIN line')
            begin = None
    if begin is not None:
        yield "", _unfinished(begin)


def _unfinished(begin: re.Match[str]) -> Remark:
    if "PRIVATE KEY" in begin[2].upper():
        return "private-key-in-file", f'it holds a "{_short(begin[2])}"'
    return "file-malformed", f'the block "{_short(begin[2])}" has no END line: it is cut off'


def _body(body: str, label: str) -> bytes | Remark:
    if "PRIVATE KEY" in label:
        # A key is known by its label alone: it may be encrypted or of a kind without ASN.1.
        return "private-key-in-file", f'it holds a "{_short(label)}"'
    content = _from_base64(_without_headers(_QUOTED.sub("", body)))
    return content or ("file-malformed", f'the block "{_short(label)}" is no base64')


def _without_headers(body: str) -> str:
    """Leave out the header lines of a block, ``Name: value``, and what continues them."""
    kept, in_header = [], False
    for line in body.splitlines():
        in_header = bool(_HEADER.match(line)) or (
            in_header and line[:1] in (" ", "\t") and bool(line.strip())
        )
        if not in_header:
            kept.append(line)
    return "\n".join(kept)


def _from_base64(text: str) -> bytes:
    """Decode base64 with white space anywhere; empty if it is none."""
    try:
        return binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except (binascii.Error, ValueError):
        return b""


def _read_piece(
    label: str, content: bytes | Remark, password: AskPassword | None
) -> Iterator[Certificate | Remark | str | bytes]:
    if isinstance(content, tuple):
        yield content
        return
    try:
        objects = read_objects(content)
        kinds = [kind for kind, _ in objects]
        _refuse_leftovers(objects)
        for kind, der in objects:
            if kind is Kind.OTHER and len(kinds) > 1:
                continue  # OpenSSL's trust settings behind a certificate
            yield from _read_object(kind, der, password)
    except BadStructure as error:
        named = f'the block "{_short(label)}"' if label else "it"
        yield "file-malformed", f"{named} is no whole ASN.1: {error}"


def _refuse_leftovers(objects: list[tuple[Kind, bytes]]) -> None:
    """Refuse elements that belong to nothing.

    Behind a certificate OpenSSL writes its trust settings (TRUSTED CERTIFICATE), one SEQUENCE.
    """
    for place, (kind, der) in enumerate(objects):
        behind = place > 0 and objects[place - 1][0] is Kind.CERTIFICATE
        if kind is Kind.OTHER and len(objects) > 1 and not (behind and der[:1] == b"0"):
            raise BadStructure(f"{len(der)} octets that belong to nothing")


def _read_object(
    kind: Kind, der: bytes, password: AskPassword | None
) -> Iterator[Certificate | Remark | str | bytes]:
    if kind is Kind.CERTIFICATE:
        yield _certificate(der)
    elif kind is Kind.SIGNED_DATA:
        found = certificates_in(der)
        yield from map(_certificate, found)
        if not found:
            yield "file-without-certificate", "it is a PKCS #7 message without certificates"
    elif kind is Kind.PFX:
        yield from _pfx(der, password)
    elif kind is Kind.REQUEST:
        yield "request-returned", f"it is {kind.value}"
        yield der
    elif kind in (Kind.PRIVATE_KEY, Kind.ENCRYPTED_KEY):
        yield "private-key-in-file", f"it holds {kind.value}"
    else:
        yield "file-without-certificate", f"it is {kind.value}"


def _certificate(der: bytes) -> Certificate | Remark:
    try:
        return read_certificate(der)
    except BadCertificate as error:
        return "file-malformed", f"a certificate in it cannot be read: {error}"


def _pfx(der: bytes, password: AskPassword | None) -> Iterator[Certificate | Remark | str]:
    try:
        contents = open_pfx(der, None)
    except PfxNotOpened as without:
        given = password() if password is not None else None
        if not given:
            yield "pfx-not-opened", str(without)
            return
        try:
            contents = open_pfx(der, given)
        except PfxNotOpened as error:
            yield "pfx-not-opened", str(error)
            return
    yield from map(_certificate, contents.certificates)
    if contents.key_spki_sha256:
        yield contents.key_spki_sha256
        yield "private-key-in-file", "it is a PFX with a private key"
    if not contents.certificates:
        yield "file-without-certificate", "it is a PFX without certificates"


# What AD CS says of a request that it has not decided on, on its page and in certreq's output.
_PENDING = ("certificate pending", "taken under submission", "request is pending")
_DENIED = ("request was denied", "denied by policy module", "certificate request denied")
_OUTLOOK = bytes.fromhex("d0cf11e0a1b11ae1")
_NUMBER = re.compile(r"request ?id(?: is|:)?[\s:]{0,9}+(\d{1,9}+)")


def _guess(data: bytes) -> Remark:
    """Say what a file without certificates seems to be."""
    head = _text(data[:32768]).lower()
    number = _NUMBER.search(head)
    which = f"request {number[1]}" if number else "the request"
    if any(words in head for words in _PENDING):
        return "request-pending", f"the CA says that {which} is pending: nobody has decided on it"
    if any(words in head for words in _DENIED):
        return "request-denied", f"the CA says that {which} was denied"
    if data.startswith(_OUTLOOK):
        what = "it is a message of Outlook (.msg) or another Office file; save the attachment"
        return "file-without-certificate", f"{what}, and give that file"
    what = "neither a certificate nor a request was found in it"
    if "<html" in head or "<!doctype" in head:
        what = "it is a web page; download the certificate itself instead of saving the page"
    elif "begin" in head and "certificate" in head:
        what = "it mentions a certificate, but the BEGIN line is not -----BEGIN CERTIFICATE-----"
    return "file-without-certificate", what


def _short(label: str) -> str:
    return re.sub(r"[^A-Z0-9 #.]", "?", label.strip().upper())[:40]
