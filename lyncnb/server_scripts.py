"""The scripts of one server: public values put into the fixed texts of ``scripts/``."""

from __future__ import annotations

import base64
from datetime import datetime

from .pki.certificates import Certificate, name_text
from .powershell import script
from .steps import ServerSteps


def import_script(server: ServerSteps, provider: str, effective: datetime | None) -> bytes:
    """Write the script that imports and assigns what a server needs.

    Parameters
    ----------
    server : ServerSteps
        With its packages; their chains are installed, public values all.
    provider : str
        The CSP that must hold the keys.
    effective : datetime or None
        When assignments that roll over take effect.
    """
    chain: dict[str, Certificate] = {}
    for package in server.packages:
        chain |= {issuer.thumbprint: issuer for issuer in package.issued.path}
    return script(
        "import",
        {
            "Server": server.server,
            "Provider": provider,
            "Chain": [_chain_entry(issuer) for issuer in chain.values()],
            "Packages": [
                {
                    "File": package.file,
                    "FriendlyName": package.friendly_name,
                    "Thumbprint": package.issued.thumbprint,
                    "Assignments": [
                        {
                            "Types": list(call.usages),
                            "Identity": call.identity,
                            "EffectiveDate": effective if call.roll else None,
                        }
                        for call in package.assignments
                    ],
                }
                for package in server.packages
            ],
        },
    )


def _chain_entry(issuer: Certificate) -> dict[str, str]:
    """Give a CA certificate to install: a self-issued one is a root."""
    return {
        "Subject": name_text(issuer.subject),
        "Store": "Root" if issuer.is_self_issued else "CA",
        "Thumbprint": issuer.thumbprint,
        "Der": base64.b64encode(issuer.der).decode(),
    }


def request_script(server: ServerSteps) -> bytes:
    """Write the script for keys that must be born on the server, with the planned names."""
    plans = [package.record.plan for package in server.packages if package.usages]
    return script(
        "request",
        {
            "Server": server.server,
            "Requests": [
                {
                    "File": f"{plan['id']}.req",
                    "Types": list(plan["usages"]),
                    "FriendlyName": f"{server.server} {'+'.join(plan['usages'])}",
                    "KeySize": plan["key"]["bits"],
                    "DomainName": ",".join(plan["san"]),
                    "ClientEku": "clientAuth" in plan["eku"],
                }
                for plan in plans
            ],
        },
    )
