"""A small request folder and a CA that answers it, for the tests of what comes back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from cas.python_ca import PythonCa
from cryptography import x509

from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.export.write import write_requests
from lyncnb.plan.model import CertificatePlan
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.request_folder.bundle import RequestBundle
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

TODAY = date(2026, 11, 24)
PASSPHRASE = "correct horse battery"
ECDSA = KeyParameters(algorithm="ECDSA", bits=256)
TOPOLOGY = b"""\
server_fqdn,role,pool_fqdn,site,sip_domains,meet_urls,dialin_url,web_external_fqdn,\
access_edge_fqdn,webconf_edge_fqdn,av_edge_fqdn
ee01.contoso.com,FrontEnd,eepool.contoso.com,Taipei,contoso.com,https://meet.contoso.com,\
https://dialin.contoso.com,web.contoso.com,,,
ee02.contoso.com,FrontEnd,eepool.contoso.com,Taipei,,,,,,,
edge01.contoso.com,Edge,edgepool.contoso.com,Taipei,,,,,access.contoso.com,wc.contoso.com,av.contoso.com
edge02.contoso.com,Edge,edgepool.contoso.com,Taipei,,,,,,,
med01.contoso.com,Mediation,med01.contoso.com,Kaohsiung,,,,,,,
"""


def make_plan(topology: bytes | Path = TOPOLOGY, **options) -> CertificatePlan:
    values = {"key": ECDSA, "organization": "Contoso", **options}
    return plan_certificates(
        read_topology(topology), load_rules("lync2013"), options=PlanOptions(**values)
    )


def make_folder(path: Path, plan: CertificatePlan | None = None, **arguments) -> RequestBundle:
    return write_requests(
        plan or make_plan(),
        path,
        passphrase=PASSPHRASE,
        findings=[],
        today=TODAY,
        workers=1,
        **arguments,
    )


def request_of(bundle: RequestBundle, request_id: str) -> x509.CertificateSigningRequest:
    record = bundle.manifest.by_id[request_id]
    return x509.load_pem_x509_csr((bundle.folder / record.files.csr).read_bytes())


def find_id(bundle: RequestBundle, part: str) -> str:
    (found,) = [record.id for record in bundle.requests if part in record.id]
    return found


def edge_external(bundle: RequestBundle) -> str:
    (found,) = [r.id for r in bundle.requests if "AccessEdgeExternal" in r.plan.usages]
    return found


def answer_all(
    bundle: RequestBundle, ca: PythonCa, *, skip: Iterable[str] = (), **changes
) -> dict[str, x509.Certificate]:
    """Have every request answered as it was asked, for at most 199 days."""
    values = {"days": 199, **changes}
    return {
        record.id: ca.issue_for(request_of(bundle, record.id), **values)
        for record in bundle.requests
        if record.id not in skip
    }


def snapshot(folder: Path) -> dict[str, tuple]:
    """Give what tells whether anything in a folder was touched."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.lstat().st_ino,
            path.read_bytes() if path.is_file() and not path.is_symlink() else b"",
        )
        for path in folder.rglob("*")
        if path.name != ".lock"
    }
