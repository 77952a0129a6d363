"""For a real request folder, the trust plan lists the CA certificates, and the steps install them
on the servers.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from folders import PASSPHRASE, TODAY, certify, make_folder, make_issued_folder
from installed_certificates import MIDNIGHT
from shell_kit import make_shell
from topologies import STANDARD_EDITION, TWO_SITES

import lyncnb as ln
from lyncnb.authorities.trust.trust_report import build_trust_report
from lyncnb.base.shown.report import write_report
from lyncnb.deploy.steps import build_procedure, deployment_steps
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.pki.certificates import format_name
from lyncnb.rules.rule_files import load_rules

pytestmark = pytest.mark.usefixtures("quick_cipher")

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
CHAIN = ("chain", "chain-edge", "chain-reverse-proxy")
shell = pytest.fixture(make_shell)


@pytest.fixture(scope="module")
def issued(tmp_path_factory):
    """Return the issued certificates in a request folder for two sites, after they were packaged."""
    deployment = make_issued_folder(TWO_SITES.encode(), tmp_path_factory.mktemp("deploy"))
    write_pfx(deployment.match_issued(), passphrase=PASSPHRASE, today=TODAY)
    return deployment.match_issued()


@pytest.fixture(scope="module")
def planned():
    """Return the plan for the deployment with two sites."""
    return ln.plan_certificates(ln.read_topology(TWO_SITES.encode()), ln.load_rules())


def installed_subjects(steps):
    """Return the subjects of the CA certificates that the steps install on each server."""
    return {
        page.server: {step.about for step in page.steps if step.step.id in CHAIN}
        for page in steps.servers
    }


def test_known_roots_are_named_by_subject_and_thumbprint(issued, planned):
    """If the request folder contains the chains of the issued certificates, the trust plan shows
    the subject and thumbprint of each root.
    """
    root = issued.certificates[0].path[-1]
    assert root.is_self_issued
    trust_plan = ln.trust(planned, chains=issued.chains)
    own_cas = {
        requirement.ca for requirement in trust_plan.required if requirement.ca.issuer != "party"
    }
    for ca in own_cas:
        (known,) = [
            c
            for certificate in issued.certificates
            for c in certificate.path
            if c.sha256 == ca.sha256
        ][:1]
        assert (ca.title, ca.thumbprint) == (format_name(known.subject), known.thumbprint)
        assert ca.is_root == known.is_self_issued
        assert str(ca) == f"{ca.title}, thumbprint {ca.thumbprint}"
    assert root.sha256 in {ca.sha256 for ca in own_cas}
    # A thumbprint can wrap in a cell.
    page = write_report(build_trust_report(trust_plan), ".html").decode().replace("<wbr>", "")
    assert all(f"<td>{ca.thumbprint}</td>" in page for ca in own_cas)


def test_steps_install_what_the_trust_plan_says(issued, planned):
    """On each server, the steps install exactly the CA certificates in the trust plan. This holds
    for a trust plan from the folder and for one from the table.
    """
    steps = deployment_steps(issued, today=TODAY)
    for trust_plan in (
        ln.trust(planned, chains=issued.chains),
        ln.trust(ln.read_plan(issued.bundle.folder), chains=issued.chains),
    ):
        assert installed_subjects(steps) == {
            server: {
                requirement.ca.title
                for requirement in trust_plan.required
                if server in requirement.servers and requirement.ca.sha256
            }
            for server in installed_subjects(steps)
        }
    assert all(installed_subjects(steps).values())


def test_root_of_another_ca_is_installed_on_verifying_servers(issued):
    """If another CA issues the internal Edge certificate, the root of this CA is installed on the
    servers that connect to the Edge Servers.
    """
    steps = deployment_steps(issued, today=TODAY)
    packages = {p.id: p for page in steps.servers for p in page.packages}
    edge = next(p for p in packages.values() if p.usages == ("Internal",))
    front = next(p for p in packages.values() if p.role == "FrontEnd")
    other = [edge, replace(front, path=())]
    procedure = build_procedure(other, load_rules(), now=NOON)
    by_server = {
        page.server: [s.text for s in page.steps if s.step.id in CHAIN]
        for page in procedure.servers
    }
    for server in front.servers:
        (*_, text) = by_server[server]
        assert (
            "verify the certificate of Edge edgepool.contoso.com (SIP 5061, SIP 5062, PSOM 8057, XMPP"
            in text
        )
        assert "XMPP 23456 if XMPP federation is deployed, HTTPS 4443)" in text
    # In this deployment, the Mediation Server does not connect to an Edge Server, so the Mediation
    # Server does not get the root of the Edge certificate.
    mediation = next(p for p in packages.values() if p.role == "Mediation")
    procedure = build_procedure([edge, replace(mediation, path=())], load_rules(), now=NOON)
    assert installed_subjects(procedure)[mediation.servers[0]] == set()


def test_client_certificate_of_a_reverse_proxy_is_trusted(issued):
    """If a reverse proxy presents a client certificate, the steps install the root of this
    certificate on the internal servers that the reverse proxy publishes.
    """
    steps = deployment_steps(issued, today=TODAY)
    packages = {p.id: p for page in steps.servers for p in page.packages}
    front = next(p for p in packages.values() if p.role == "FrontEnd")
    edge = next(p for p in packages.values() if p.usages == ("Internal",))
    assert front.eku == ("serverAuth",)
    host = "proxy.contoso.com"
    proxy = replace(
        edge, role="ReverseProxy", usages=(), pool=host, servers=(host,), site=front.site
    )
    root = format_name(proxy.path[-1].subject)
    for eku, expected in ((proxy.eku, set()), (("serverAuth", "clientAuth"), {root})):
        pair = [replace(proxy, eku=eku), replace(front, path=())]
        installed_roots = installed_subjects(build_procedure(pair, load_rules(), now=NOON))
        assert installed_roots[front.servers[0]] == expected


def test_trust_command_shows_the_roots(shell, planned):
    """The trust command shows the roots for a table together with its request folder, and for the
    folder alone.
    """
    (shell.folder / "two.csv").write_text(TWO_SITES)
    bundle = make_folder(shell.folder / "requests", planned)
    folder = str(bundle.folder)
    # The command uses the current date, so the test certificates are valid on any date.
    day = MIDNIGHT.date()
    ids = [record.id for record in bundle.requests]
    certify(bundle.folder, *ids, today=day, begins=MIDNIGHT, days=40)
    root = ln.match_certificates(ln.open_requests(folder), today=day).certificates[0].path[-1]
    for arguments in (("two.csv", "--folder", folder), (folder,)):
        result = shell("trust", *arguments)
        assert result.status == 0, result.err
        assert f"{format_name(root.subject)}, thumbprint {root.thumbprint} -> Trusted" in result.out
        assert "root of your internal CA" not in result.out
    assert shell("trust", folder, "--options", "plan.toml").status == 2


def test_roots_of_unchanged_servers_are_installed(issued, tmp_path):
    """If only one certificate is deployed, its server still gets the roots that it needs to verify
    the other servers.
    """
    steps = deployment_steps(issued, today=TODAY)
    packages = {p.id: p for page in steps.servers for p in page.packages}
    front = next(p for p in packages.values() if p.role == "FrontEnd")
    edge = next(p for p in packages.values() if p.usages == ("Internal",))
    alone = replace(front, path=())
    procedure = build_procedure([alone], load_rules(), now=NOON, other_certificates=[edge])
    (server,) = procedure.servers
    root = edge.path[-1]
    assert installed_subjects(procedure) == {server.server: {format_name(root.subject)}}
    assert [issuer.sha256 for issuer in server.issuers] == [root.sha256]

    paths = ln.write_steps(procedure, tmp_path)
    assert tmp_path / "steps" / "chain" / f"{root.thumbprint}.cer" in paths


def test_a_root_is_compared_before_it_is_trusted(tmp_path):
    """On each page, the SHA-256 hash of a CA certificate appears before the command that installs
    the certificate.
    """
    issued = make_issued_folder(STANDARD_EDITION.encode(), tmp_path)
    write_pfx(issued.match_issued(), passphrase=PASSPHRASE, today=TODAY)
    (server,) = deployment_steps(issued.match_issued(), today=TODAY).servers
    steps = [step for step in server.steps if "certutil -addstore" in "".join(step.commands)]
    assert [issuer.sha256 for issuer in server.issuers] == [
        re.search("[0-9a-f]{64}", step.text)[0] for step in steps
    ]
    for step, issuer in zip(steps, server.issuers, strict=True):
        assert step.text.startswith("First compare the SHA-256 of this certificate")
        (need,) = [candidate for candidate in step.needs if issuer.sha256 in candidate.text]
        assert issuer.thumbprint in need.command
