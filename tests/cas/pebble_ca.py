"""Run Pebble, an ACME CA whose certificates have no common name or CRL, but include client
authentication and OCSP.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from types import TracebackType

import josepy
import requests
from acme import challenges, client, messages
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from free_ports import free_port

from cas import SECONDS, Daemon, tool
from cas.python_ca import PythonCa, issue, pem


class PebbleCa:
    """An ACME CA that issues unusual certificates and returns each with its chain as PEM."""

    def __init__(self, folder: Path, *, days: int = 40, ocsp: str = "http://ocsp.contoso.net"):
        folder.mkdir(parents=True)
        self.folder, self._count = folder, 0
        self._port, self._management = free_port(), free_port()
        self._write_identity()
        settings = {
            "listenAddress": f"127.0.0.1:{self._port}",
            "managementListenAddress": f"127.0.0.1:{self._management}",
            "certificate": "server.pem",
            "privateKey": "server.key",
            "httpPort": 1,  # Pebble skips the validation of domains.
            "tlsPort": 1,
            "ocspResponderURL": ocsp,
            "externalAccountBindingRequired": False,
            "retryAfter": {"authz": 1, "order": 1},
            "certificateValidityPeriod": days * 86400,
        }
        (folder / "config.json").write_text(json.dumps({"pebble": settings}))
        self._daemon = Daemon(
            *(tool("pebble"), "-config", "config.json"),
            port=self._port,
            folder=folder,
            PEBBLE_VA_ALWAYS_VALID="1",
            PEBBLE_VA_NOSLEEP="1",
            PEBBLE_WFE_NONCEREJECT="0",
        )

    def _write_identity(self) -> None:
        ca, key = PythonCa("Loopback"), ec.generate_private_key(ec.SECP256R1())
        certificate = issue(
            key.public_key(),
            ca.issuing.subject,
            ca.key,
            subject=[("CN", "localhost")],
            san=["localhost"],
            days=3000,
        )
        (self.folder / "server.pem").write_bytes(pem(certificate, ca.issuing))
        (self.folder / "server.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        (self.folder / "trusted.pem").write_bytes(pem(ca.root))

    def __enter__(self) -> PebbleCa:
        self._daemon.__enter__()
        try:
            self._client = self._register()
        except BaseException:
            self._daemon.__exit__()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._daemon.__exit__(kind, error, trace)

    def _register(self) -> client.ClientV2:
        account = josepy.JWKRSA(key=rsa.generate_private_key(65537, 2048))
        network = client.ClientNetwork(account, timeout=SECONDS)
        network.session.trust_env = False
        network.session.verify = str(self.folder / "trusted.pem")
        # The ACME library passes the value of ``verify_ssl`` with every call, and the default value
        # would override the setting of the session.
        network.verify_ssl = str(self.folder / "trusted.pem")
        directory = client.ClientV2.get_directory(f"https://localhost:{self._port}/dir", network)
        acme_client = client.ClientV2(directory, net=network)
        acme_client.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
        return acme_client

    def submit(self, csr: bytes) -> dict[str, bytes]:
        """Order a certificate, validate the domains, and return the name and content of the file
        with the certificate and its chain.
        """
        self._count += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            order = self._client.new_order(csr)
            pending = [a for a in order.authorizations if a.body.status == messages.STATUS_PENDING]
            # Authorizations of names that the CA validated for an earlier order are not pending.
            for authorization in pending:
                for offered in authorization.body.challenges:
                    if isinstance(offered.chall, challenges.HTTP01):
                        response = offered.response(self._client.net.key)
                        self._client.answer_challenge(offered, response)
            final_order = self._client.poll_and_finalize(order)
        return {f"fullchain{self._count}.pem": final_order.fullchain_pem.encode()}

    def chain(self) -> dict[str, bytes]:
        """Download and return the root certificate, which is not part of any ACME response."""
        answer = requests.get(
            f"https://localhost:{self._management}/roots/0",
            verify=str(self.folder / "trusted.pem"),
            timeout=SECONDS,
        )
        answer.raise_for_status()
        return {"root.pem": answer.content}
