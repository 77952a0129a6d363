"""A request folder with certificates in it, made once for the tests of packages and steps."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from lyncnb.authorities.issued import IssuedCertificates, match_certificates
from lyncnb.authorities.receiving import receive
from lyncnb.export.write import write_requests
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.request_folder.bundle import open_requests
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

PASSPHRASE = "correct horse battery"
TODAY = date(2026, 11, 24)

# One Standard Edition server: its own certificate and the deployment's.
SINGLE = b"""server_fqdn,role,sip_domains,meet_urls,dialin_url,web_external_fqdn
se01.contoso.com,StandardEdition,contoso.com,https://meet.contoso.com,https://dialin.contoso.com,web.contoso.com
"""

_EXTENSIONS = """basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature,keyEncipherment
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
crlDistributionPoints=URI:http://pki.contoso.com/1.crl
"""


@dataclass(frozen=True)
class Issued:
    """A folder of requests, all of them answered by a CA of OpenSSL's."""

    folder: Path
    root: Path

    def matched(self) -> IssuedCertificates:
        """Match what is in the folder."""
        return match_certificates(open_requests(self.folder), today=TODAY)

    def copy(self, to: Path) -> Issued:
        """Give a copy that a test may spoil."""
        shutil.copytree(self.folder, to / "requests")
        return Issued(to / "requests", self.root)


def issue_all(table: bytes, place: Path, options: PlanOptions | None = None) -> Issued:
    """Plan a table, write its requests, have OpenSSL sign them, and receive the answers."""
    topology = read_topology(table)
    plan = plan_certificates(topology, load_rules(), options=options or PlanOptions())
    folder = place / "requests"
    write_requests(plan, folder, passphrase=PASSPHRASE, today=TODAY)
    back = place / "back"
    back.mkdir()
    (place / "extensions").write_text(_EXTENSIONS)
    root = back / "root.pem"
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", place / "ca.pem"),
        *("-out", root, "-subj", "/CN=Contoso Root", "-days", "3000"),
        *("-not_before", "20260101000000Z", "-not_after", "20360101000000Z"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    )
    sign(folder, place, "20261123000000Z", "20270522000000Z")
    receive(folder, back, today=TODAY)
    return Issued(folder, root)


def sign(folder: Path, place: Path, begin: str, end: str, part: str = "") -> None:
    """Have OpenSSL sign the requests whose name begins so, with validity as OpenSSL writes it."""
    for csr in sorted((folder / "csr").glob(f"{part}*.csr")):
        _openssl(
            *("x509", "-req", "-in", csr, "-CA", place / "back" / "root.pem"),
            *("-CAkey", place / "ca.pem", "-copy_extensions", "copy"),
            *("-extfile", place / "extensions", "-not_before", begin, "-not_after", end),
            *("-out", place / "back" / f"{csr.stem}.pem"),
        )


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
