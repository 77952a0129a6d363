"""Read the certificate chain that a server sends in a TLS handshake.

Only this module opens connections. It sends the messages of the handshake and nothing else,
presents no certificate, and trusts nothing that it receives. A chain is only bytes.
"""

from __future__ import annotations

import socket
import ssl
import time
import warnings
from dataclasses import dataclass
from functools import cache

#: The possible results of a connection: the server sent a chain, sent no chain, or did not answer.
SHOWN, REFUSED, NO_ANSWER = "shown", "refused", "no answer"

#: The size in bytes of the largest chain that is kept. OpenSSL reads at most 100 KiB by default.
_MOST_BYTES = 1 << 18
# Servers from 2008 use SHA-1 signatures, small keys and TLS 1.0. lyncnb reports their certificates,
# but does not trust them. It excludes only cipher suites with which a server presents no
# certificate.
_CIPHERS = "ALL:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0"
# In Python 3.12 and later, the constant is ssl.OP_LEGACY_SERVER_CONNECT.
_LEGACY_SERVER_CONNECT = 0x4
_SHOWN_REASON = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """The result of one TLS connection.

    ``chain`` contains the certificates as DER, in the order in which the server sent them. If
    ``outcome`` is not ``shown``, ``chain`` is empty, and ``detail`` describes why. ``protocol`` is
    the negotiated version, or "" if the server ended the handshake after its certificate.
    ``is_silent`` means that nothing responded at the address.
    """

    outcome: str
    chain: tuple[bytes, ...] = ()
    detail: str = ""
    protocol: str = ""
    is_silent: bool = False


def fetch_chain(
    address: str,
    port: int,
    *,
    name: str = "",
    timeout: float = 5.0,
    connect_timeout: float = 60.0,
    is_only_tls10: bool = False,
) -> Handshake:
    """Connect to one address, and read the certificates that the server presents.

    Parameters
    ----------
    address : str
        An IPv4 or IPv6 address. Names are not resolved.
    port : int
        The TCP port.
    name : str, optional
        The name to send (RFC 6066 section 3). By default, no name is sent.
    timeout : float, optional
        The time for the connection and the handshake together.
    connect_timeout : float, optional
        The time for the connection alone, if it is less.
    is_only_tls10 : bool, optional
        Whether to offer only TLS 1.0.

    Returns
    -------
    Handshake
        The chain, or the reason why there is none. Network errors do not raise.
    """
    deadline = time.monotonic() + timeout
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        plain = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        return Handshake(outcome=NO_ANSWER, detail=_describe_error(error), is_silent=True)
    with plain:
        connect_timeout = min(connect_timeout, timeout)
        plain.settimeout(connect_timeout)
        try:
            plain.connect((address, port))
        except ConnectionRefusedError:
            return Handshake(outcome=REFUSED, detail="no service listens on the port")
        except TimeoutError:
            detail = f"the server did not accept a connection within {connect_timeout:g} seconds"
            return Handshake(outcome=NO_ANSWER, detail=detail, is_silent=True)
        except OSError as error:
            return Handshake(outcome=NO_ANSWER, detail=_describe_error(error), is_silent=True)
        try:
            secured = _make_context(is_only_tls10).wrap_socket(
                plain, server_hostname=name or None, do_handshake_on_connect=False
            )
        except (OSError, ValueError) as error:
            return Handshake(
                outcome=REFUSED, detail=f"the connection ended: {_describe_error(error)}"
            )
        with secured:
            return _shake_hands(secured, max(deadline - time.monotonic(), 0.01), timeout)


def _shake_hands(connection: ssl.SSLSocket, remaining: float, timeout: float) -> Handshake:
    """Run the handshake until it ends or fails. The certificates can be read in both cases."""
    outcome, detail, protocol = NO_ANSWER, "", ""
    try:
        connection.settimeout(remaining)
        connection.do_handshake()
        protocol = connection.version() or ""
    except TimeoutError:
        detail = f"the server did not send a certificate within {timeout:g} seconds"
    except ssl.SSLEOFError:
        outcome, detail = REFUSED, "the server closed the connection and sent no certificate"
    except ssl.SSLError as error:
        outcome, detail = REFUSED, _explain_error(error)
    except ConnectionError:
        outcome, detail = REFUSED, "the server closed the connection and sent no certificate"
    except OSError as error:
        detail = _describe_error(error)
    chain = read_unverified_chain(connection)
    if not chain:
        return Handshake(outcome=outcome, detail=detail or "the server sends no certificate")
    if sum(map(len, chain)) > _MOST_BYTES:
        return Handshake(
            outcome=REFUSED, detail=("the server sends more certificates than lyncnb accepts")
        )
    return Handshake(outcome=SHOWN, chain=chain, protocol=protocol)


def read_unverified_chain(connection: ssl.SSLSocket) -> tuple[bytes, ...]:
    """Return the certificates that a server sent, as DER, even after a failed handshake.

    Notes
    -----
    ``SSLSocket.get_unverified_chain`` is public from Python 3.13 on. Before, only the object below
    the socket has the method, with certificate objects.
    """
    public = getattr(connection, "get_unverified_chain", None)
    if public is not None:
        return tuple(public() or ())
    inner = getattr(connection, "_sslobj", None)
    certificates = inner.get_unverified_chain() if inner is not None else None
    # 2 is _ssl.ENCODING_DER.
    return tuple(certificate.public_bytes(2) for certificate in certificates or ())


@cache
def _make_context(is_only_tls10: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options |= _LEGACY_SERVER_CONNECT
    context.set_ciphers(_CIPHERS)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # lyncnb must also probe old servers, which support only TLS 1.0.
        context.minimum_version = ssl.TLSVersion.TLSv1
        if is_only_tls10:
            context.maximum_version = ssl.TLSVersion.TLSv1
    return context


#: Plain descriptions of some error reasons from OpenSSL.
_REASONS = {
    "WRONG_VERSION_NUMBER": "the service on this port does not use TLS",
    "HTTP_REQUEST": "the service on this port does not use TLS",
    "PACKET_LENGTH_TOO_LONG": "the service on this port does not use TLS",
    "UNEXPECTED_MESSAGE": "the service on this port does not use TLS",
    "UNKNOWN_PROTOCOL": "the service on this port does not use TLS",
    "RECORD_LAYER_FAILURE": "the service on this port does not use TLS",
    "EXCESSIVE_MESSAGE_SIZE": "the server's certificates are larger than TLS libraries accept",
    "UNEXPECTED_EOF_WHILE_READING": "the server closed the connection and sent no certificate",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the server does not accept this TLS version",
    "UNSUPPORTED_PROTOCOL": "the server does not accept this TLS version",
    "TLSV1_UNRECOGNIZED_NAME": "the server does not recognize the server name",
}


def _explain_error(error: ssl.SSLError) -> str:
    reason = error.reason or ""
    return _REASONS.get(reason, f"the TLS handshake failed: {reason or _describe_error(error)}")


def _describe_error(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_SHOWN_REASON]


def resolve_name(name: str) -> tuple[str, ...]:
    """Return the addresses to which the system resolves a host name, IPv4 addresses first.

    Returns
    -------
    tuple of str
        Distinct addresses; empty if the name has none.
    """
    try:
        # On a computer without an IPv6 address, connections to IPv6 addresses would always fail.
        results = socket.getaddrinfo(
            name, None, type=socket.SOCK_STREAM, flags=getattr(socket, "AI_ADDRCONFIG", 0)
        )
    except (OSError, UnicodeError):
        return ()
    addresses = {str(item[4][0]): item[0] == socket.AF_INET6 for item in results}
    return tuple(sorted(addresses, key=lambda address: (addresses[address], address)))
