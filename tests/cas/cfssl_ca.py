"""Run the cfssl server, a CA with an HTTP API."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType

import requests
from free_ports import free_port

from cas import SECONDS, Daemon, run, tool


class CfsslCa:
    """A single-tier CA with an ECDSA key that returns a PEM certificate and a separate file with
    its CA certificate.
    """

    def __init__(self, folder: Path, *, hours: int = 40 * 24):
        folder.mkdir(parents=True)
        self.folder, self._count = folder, 0
        openssl = tool("openssl")
        run(
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-noenc", "-keyout", folder / "ca-key.pem", "-out", folder / "ca.pem"),
            *("-subj", "/CN=Litware Private CA", "-days", "3650"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        profile = {
            "expiry": f"{hours}h",
            "usages": ["digital signature", "key encipherment", "server auth"],
            "crl_url": "http://pki.litwareinc.com/ca.crl",
        }
        (folder / "config.json").write_text(json.dumps({"signing": {"default": profile}}))
        self._port = free_port()
        self._daemon = Daemon(
            *(tool("cfssl"), "serve", "-address", "127.0.0.1", "-port", str(self._port)),
            *("-ca", "ca.pem", "-ca-key", "ca-key.pem", "-config", "config.json"),
            port=self._port,
            folder=folder,
        )
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> CfsslCa:
        self._daemon.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.close()
        self._daemon.__exit__(kind, error, trace)

    def submit(self, csr: bytes) -> dict[str, bytes]:
        """Submit one CSR, and return the name and content of the file with its certificate."""
        self._count += 1
        answer = self._session.post(
            f"http://127.0.0.1:{self._port}/api/v1/cfssl/sign",
            json={"certificate_request": csr.decode()},
            timeout=SECONDS,
        )
        answer.raise_for_status()
        return {f"{self._count}.pem": answer.json()["result"]["certificate"].encode()}

    def chain(self) -> dict[str, bytes]:
        """Return the CA certificate, which is the complete chain."""
        return {"ca.pem": (self.folder / "ca.pem").read_bytes()}
