"""The state of a folder depends on the certificates that it received, and not on their order.

``LYNCNB_ARRIVALS=500`` tries as many orders. The default is 12.
"""

from __future__ import annotations

import os
import random
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from cas.python_ca import PythonCa, issue, pem
from cryptography.hazmat.primitives.hashes import SHA256
from folders import PASSPHRASE, TODAY, issue_all, make_folder, make_plan
from topologies import TWO_FRONT_ENDS

import lyncnb as ln
from lyncnb.authorities.certificates_on_record import load_issued_certificates
from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.read_plan import load_recorded_plan
from lyncnb.authorities.status import folder_status
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.request_folder.bundle import open_requests

pytestmark = pytest.mark.usefixtures("quick_cipher")

COUNT = int(os.environ.get("LYNCNB_ARRIVALS", "12"))
DAY = timedelta(days=1)
BEGINS = datetime(2026, 11, 20, tzinfo=UTC)


def certify_key(ca: PythonCa, root: PythonCa, days: int):
    """Return a certificate for the key of a CA that another root signed."""
    return issue(
        ca.issuing.public_key(), root.root.subject, root.root_key,
        subject=[("CN", "Contoso Issuing CA 1"), ("O", "Contoso")], eku=None,
        usage=("key_cert_sign", "crl_sign"), crl=(), begins=BEGINS, days=days, ca=True,
    )  # fmt: skip


class World:
    """The requests of a Front End pool, and all certificates that can arrive for them."""

    def __init__(self, folder):
        self.folder = folder / "requests"
        make_folder(self.folder, make_plan(TWO_FRONT_ENDS.encode()))
        self.ca, self.stranger = PythonCa(), PythonCa("Litware")
        self.leaves = [*issue_all(open_requests(self.folder), self.ca).values()]
        self.genuine = [self.ca.issuing, self.ca.root]
        self.crossed = [certify_key(self.ca, self.stranger, 3000), self.stranger.root]
        self.renewed = certify_key(self.ca, self.ca, 900)

    def receive(self, folder, *groups):
        """Return a new copy of the folder that received groups of certificates one by one."""
        shutil.copytree(self.folder, folder)
        for number, certificates in enumerate(groups):
            (folder.parent / f"{folder.name}-{number}.pem").write_bytes(pem(*certificates))
            receive(folder, folder.parent / f"{folder.name}-{number}.pem", today=TODAY)
        return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    """Return the requests and the certificates of the tests in this module."""
    return World(tmp_path_factory.mktemp("world"))


def state_of(folder) -> list[tuple[object, ...]]:
    """Return what a folder says about each certificate: its chain, findings, and last day."""
    issued = load_issued_certificates(open_requests(folder), today=TODAY)
    status = folder_status(folder, today=TODAY)
    rows = {row.id: (row.state, row.usable_until, row.refused) for row in status.requests}
    return [
        (
            *(certificate.request_id, certificate.sha256, certificate.chain_complete),
            tuple(issuer.sha256 for issuer in certificate.path),
            tuple(sorted({finding.code for finding in certificate.findings})),
            *rows[certificate.request_id],
            *(note.partition("lyncnb")[0] for note in status.notes if "can end in" in note),
        )
        for certificate in issued.certificates
    ]


@pytest.mark.parametrize("seed", range(COUNT))
def test_every_order_of_arrival_leads_to_the_same_state(world, tmp_path, seed):
    """Whatever comes first, and whatever comes together, the folder has the same state in the end,
    with and without CA certificates that a stranger made.
    """
    chance = random.Random(seed)
    certificates = [*world.leaves, *world.genuine]
    certificates += chance.choice([[], world.crossed, world.crossed[:1]])
    certificates += chance.choice([[], [world.renewed]])
    expected = state_of(world.receive(tmp_path / "together", certificates))
    chance.shuffle(certificates)
    groups: list[list[object]] = [[]]
    for certificate in certificates:
        if groups[-1] and chance.random() < 0.6:
            groups.append([])
        groups[-1].append(certificate)
    assert state_of(world.receive(tmp_path / "later", *groups)) == expected


def test_true_root_that_arrives_later_is_reported_everywhere(world, tmp_path):
    """If a stranger's root was received first, the true root is not called unused: receive, status
    and packages report both roots, and no server gets either of them until the user chooses.
    """
    folder = world.receive(tmp_path / "folder", [*world.leaves, *world.crossed])
    (tmp_path / "genuine.pem").write_bytes(pem(*world.genuine))
    issued = receive(folder, tmp_path / "genuine.pem", today=TODAY)
    codes = {finding.code for finding in issued.findings}
    assert "chain-several-roots" in codes
    assert "chain-certificate-unused" not in codes
    assert issued.exit_status == 1
    true, other = (x.fingerprint(SHA256()).hex() for x in (world.ca.root, world.stranger.root))
    notes = "\n".join(folder_status(folder, today=TODAY).notes)
    assert true in notes
    assert other in notes
    loaded = load_issued_certificates(open_requests(folder), today=TODAY)
    packages = write_pfx(loaded, passphrase=PASSPHRASE, today=TODAY)
    assert packages.counts()["refused"] == len(world.leaves)
    assert all("choose the root" in package.why for package in packages.packages)
    plan = load_recorded_plan(folder, open_requests(folder).manifest)
    trusted = repr(ln.trust(plan, chains=loaded.chains)._repr_html_())
    assert "Litware Root CA" not in trusted
    accept = {"chain-several-roots": f"compared by phone: {true}"}
    receive(folder, today=TODAY, accept=accept)
    loaded = load_issued_certificates(open_requests(folder), today=TODAY)
    assert {c.path[-1].sha256 for c in loaded.certificates} == {true}
    packages = write_pfx(loaded, passphrase=PASSPHRASE, today=TODAY)
    assert packages.counts()["written"] == len(world.leaves)
    assert "can end in" not in "\n".join(folder_status(folder, today=TODAY).notes)


def test_stranger_with_the_name_of_the_ca_changes_nothing(world, tmp_path):
    """If a CA certificate of the same name but another key arrives, genuine certificates whose
    chain is not known yet stay issued.
    """
    namesake = PythonCa()
    folder = world.receive(tmp_path / "folder", world.leaves, namesake.chain)
    states = {(row.state, row.refused) for row in folder_status(folder, today=TODAY).requests}
    assert states == {("issued", "")}


def test_replaced_refusals_do_not_come_back_with_a_ca_certificate(world, tmp_path):
    """A certificate that was refused and replaced is not reported again when the folder receives a
    CA certificate that is new to it.
    """
    bundle = open_requests(world.folder)
    wrong = issue_all(bundle, world.ca, san=["other.contoso.com"], begins=BEGINS - 9 * DAY)
    folder = world.receive(tmp_path / "folder", [*wrong.values(), *world.genuine], [*world.leaves])
    assert sum(len(record.refused) for record in open_requests(folder).requests) == len(wrong)
    (tmp_path / "renewed.pem").write_bytes(pem(world.renewed))
    issued = receive(folder, tmp_path / "renewed.pem", today=TODAY)
    assert "names-missing" not in {finding.code for finding in issued.findings}
    assert issued.exit_status == 0
