"""In simulations of several years, every view of a request folder shows whether a server lacks a
valid certificate.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from cas.python_ca import PythonCa, pem
from cryptography import x509
from folders import PASSPHRASE, issued_record, make_plan, write
from places import DATA
from request_folder.test_manifest import record

import lyncnb as ln
from lyncnb.authorities.certificates_on_record import load_issued_certificates
from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.status import FolderStatus, list_recorded_states
from lyncnb.authorities.summary_files import build_folder_summary
from lyncnb.deploy.purge_keys import explain_removal, purge
from lyncnb.deploy.steps import deployment_steps
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.plan.options import PlanOptions
from lyncnb.request_folder.bundle import RequestBundle, open_requests
from lyncnb.request_folder.generations import find_generations
from lyncnb.request_folder.manifest import Manifest, read_manifest
from lyncnb.request_folder.renewals import list_renewals
from lyncnb.request_folder.request_record import build_deployments

pytestmark = pytest.mark.usefixtures("quick_cipher")

#: A full test uses 10,000 simulated histories. A normal run uses some of them, which a seed
#: selects.
HISTORIES = int(os.environ.get("LYNCNB_HISTORIES", "200"))
BEGIN = date(2027, 1, 1)
TERMS = PlanOptions().renewal_terms
SERVERS = ("fe01.contoso.com", "fe02.contoso.com", "fe03.contoso.com")


class History:
    """A simulated request with random events, and the certificates that its servers really have.

    ``servers`` holds the end date and the generation of each server's certificate. It follows the
    events, not the record. Each event on a server is recorded on the same day.
    """

    def __init__(self, random: Random):
        self.random = random
        names = SERVERS[: random.randint(1, 3)]
        plan = replace(record().plan, servers=names, issuer=random.choice(["internal", "public"]))
        self.record = record(plan=plan)
        self.day = BEGIN
        self.serial = 0
        self.servers: dict[str, tuple[datetime, int, str]] = {}

    @property
    def now(self) -> str:
        """Return the simulated time in the format of the records."""
        return f"{self.day}T09:00:00Z"

    def step(self) -> None:
        """Simulate one event for the certificate, or wait for some days."""
        moves = [self.wait, self.wait, self.wait, self.answer, self.answer, self.deploy]
        moves += [self.deploy, self.renew]
        self.random.choice(moves)()

    def wait(self) -> None:
        """Advance the simulated time by some days."""
        self.day += timedelta(days=self.random.choice([1, 5, 20, 60]))

    def answer(self) -> None:
        """Have the CA issue one certificate, or sometimes two certificates, for the request."""
        if self.record.issued is not None and self.random.random() < 0.7:
            return
        self.serial += 1
        days = self.random.choice([47, 90, 199, 365])
        new = issued_record(
            serial=f"{self.serial:04x}",
            sha256=f"{self.serial:064x}",
            not_before=f"{self.day}T00:00:00Z",
            not_after=f"{self.day + timedelta(days=days)}T23:59:59Z",
            received_at=self.now,
        )
        self.record = self.record.with_issued_certificate(new, at=self.now)

    def deploy(self) -> None:
        """Deploy the current certificate to some servers, and record the deployment."""
        issued = self.record.issued
        if issued is None:
            return
        names = [name for name in self.record.plan.servers if self.random.random() < 0.7]
        known = {
            (deployment.server, deployment.certificate) for deployment in self.record.deployments
        }
        names = [name for name in names if (name, issued.sha256) not in known]
        new = build_deployments(issued, names, date_text=self.day.isoformat(), recorded_at=self.now)
        self.record = replace(self.record, deployments=(*self.record.deployments, *new))
        for name in names:
            self.servers[name] = (issued.ends, self.record.generation, issued.sha256)

    def renew(self) -> None:
        """Request the next generation of the certificate, even if a request is still waiting."""
        self.record = self.record.build_next_generation(at=self.now, reasons=("renewed",))
        self.record = replace(
            self.record,
            state="waiting",
            csr_sha256=f"{self.record.generation:064x}",
            spki_sha256=f"{self.record.generation:064x}",
            key_sha256=f"{self.record.generation:064x}",
            written_at=self.now,
        )


def check_views(history: History) -> None:
    """Compare every view of the folder with the certificates on the simulated servers."""
    now = datetime(history.day.year, history.day.month, history.day.day, 12, tzinfo=UTC)
    manifest = Manifest(requests=(history.record,))
    (row,) = list_recorded_states(manifest, TERMS, today=now)
    renewals = list_renewals(RequestBundle(folder=Path("x"), manifest=manifest), today=history.day)
    if history.servers:
        earliest_end = min(end for end, _, _ in history.servers.values())
        assert row.not_after, "a server has a certificate, and no row says until when"
        shown_end = datetime.fromisoformat(row.not_after)
        if len(history.servers) == len(history.record.plan.servers):
            assert shown_end == earliest_end
        assert shown_end <= earliest_end
        if earliest_end < now:
            assert row.state == "expired"
            assert row.needs_attention
        assert {generation for _, generation, _ in history.servers.values()} <= set(
            find_generations(history.record).used
        )
    # The renewals show the same end date and progress as the status.
    assert [f"{renewal.not_after:%Y-%m-%dT%H:%M:%SZ}" for renewal in renewals] == (
        [row.not_after] if row.not_after else []
    )
    assert [renewal.under_way for renewal in renewals] == ([row.under_way] if row.not_after else [])
    # Purge must not remove a key that a server uses, or the key of the only issued certificate.
    issued = [part for part in history.record.generations if part.issued is not None]
    used = {generation for _, generation, _ in history.servers.values()}
    for part in history.record.generations:
        reason = explain_removal(history.record, part, False, history.day)
        if part.generation in used or issued == [part]:
            assert reason == "", (part.generation, reason)
        # A request may still be with the CA until a later certificate is on every server.
        later = used and min(used) > part.generation
        if part.issued is None and not (later and len(history.servers) == len(row.servers)):
            assert reason == "", (part.generation, reason)


@pytest.mark.parametrize("seed", range(10))
def test_views_agree_with_the_certificates_on_the_servers(seed):
    """After each event, the status, calendar and purge agree with the certificates on the simulated
    servers.
    """
    for number in range(HISTORIES // 10):
        history = History(Random(f"{seed} {number}"))
        for _ in range(40):
            history.step()
            check_views(history)


class Estate:
    """A request folder, its CAs, and the certificates that are installed on the simulated servers."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.day = BEGIN
        self.plan = make_plan(DATA / "contoso.csv", key=PlanOptions().key)
        self.cas = {"internal": PythonCa("Contoso"), "public": PythonCa("Fabrikam")}
        self.days = {"internal": 365, "public": 47}
        self.accept: dict[str, str] = {}
        #: The end date of the certificate on each server, by request and server.
        self.servers: dict[tuple[str, str], datetime] = {}
        write(self.plan, folder, today=self.day)

    @property
    def manifest(self) -> Manifest:
        """Return the certificates that the folder's manifest records."""
        return read_manifest(self.folder)

    def answer(self) -> None:
        """Have each CA issue certificates for the waiting requests, and create packages from the
        certificates.
        """
        answer_folder = self.folder.parent / "back" / f"{self.day}"
        answer_folder.mkdir(parents=True, exist_ok=True)
        begins = datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)
        for request_record in self.manifest.requests:
            if request_record.state == "waiting":
                request = x509.load_pem_x509_csr(
                    (self.folder / request_record.files.csr).read_bytes()
                )
                ca, days = (
                    self.cas[request_record.plan.issuer],
                    self.days[request_record.plan.issuer],
                )
                leaf = ca.issue_for(request, begins=begins, days=days)
                (answer_folder / f"{request_record.id}.pem").write_bytes(pem(leaf, *ca.chain))
        receive(self.folder, answer_folder, accept=self.accept, today=self.day)
        issued = load_issued_certificates(open_requests(self.folder), today=self.day)
        write_pfx(issued, passphrase=PASSPHRASE, workers=1, today=self.day)

    def deploy(self) -> None:
        """Deploy the packaged certificates to the simulated servers, and record the deployments."""
        ln.deployed(self.folder, today=self.day)
        for request_record in self.manifest.requests:
            if request_record.package is not None and request_record.state != "retired":
                for server in request_record.plan.servers:
                    self.servers[request_record.id, server] = request_record.issued.ends

    def renew(self, *names: str, reason: str = "due", **choices: bool) -> None:
        """Renew the certificates with the given names, or all certificates that are due."""
        ln.renew(
            self.folder, *names, passphrase=PASSPHRASE, reason=reason, due=not names,
            today=self.day, **choices,
        )  # fmt: skip

    def wait(self, days: int) -> None:
        """Advance the simulated time by some days, and check every view on each day."""
        self.day += timedelta(days=days)
        self.check()

    def check(self) -> FolderStatus:
        """Compare the status, calendar, summary and purge with the certificates on the simulated
        servers.
        """
        status = ln.folder_status(self.folder, today=self.day)
        now = datetime(self.day.year, self.day.month, self.day.day, 12, tzinfo=UTC)
        rows = {row.id: row for row in status.shown}
        ends_by_id: dict[str, datetime] = {}
        for (name, _), end in self.servers.items():
            ends_by_id[name] = min(end, ends_by_id.get(name, end))
        calendar = {
            renewal.request_id: renewal.not_after
            for renewal in list_renewals(open_requests(self.folder), today=self.day)
        }
        summary = build_folder_summary(self.folder, self.manifest)
        page = {member.id: member.valid_until for _, member in summary.members}
        for name, row in rows.items():
            end = ends_by_id[name]
            assert datetime.fromisoformat(row.not_after) == calendar[name] == end
            assert page[name] == f"{end:%Y-%m-%d}"
            if end < now:
                assert (row.state, row.needs_attention) == ("expired", True)
                assert status.exit_status in (1, 3)
        assert rows.keys() == calendar.keys() == page.keys()
        assert not status.problems, status.problems
        forecast = ln.forecast(self.folder, start=self.day, until=self.day + timedelta(days=30))
        if any(end < now for end in ends_by_id.values()):
            assert not forecast.works
        # A key must not be removed while a server uses its certificate.
        for item in purge(self.folder, today=self.day).items:
            request_record = self.manifest.by_id[item.id]
            assert (
                request_record.state == "retired"
                or item.generation not in find_generations(request_record).used
            )
        return status


def test_three_years_with_the_same_folder(tmp_path):
    """In three simulated years with short-lived public certificates, a new CA, a stolen key and a
    removed server, the views of the folder always agree with the certificates on the servers.
    """
    estate = Estate(tmp_path / "requests")
    estate.answer()
    estate.deploy()
    assert estate.check().exit_status == 0
    for _ in range(
        2
    ):  # Public certificates with a lifetime of 47 days can be renewed without specifying an id.
        estate.wait(33)
        assert {row.state for row in estate.check().shown} == {"installed", "expiring"}
        estate.renew()
        assert "waiting" in estate.check().counts()
        estate.answer()
        estate.wait(1)
        estate.deploy()
        assert estate.check().exit_status == 0
    estate.days["public"] = 99
    estate.wait(50)  # Nobody renewed the public certificates, so they expired.
    assert estate.check().exit_status == 1
    estate.renew()
    estate.answer()
    # The certificates are packaged, but they are not on any server.
    assert "expired" in estate.check().counts()
    estate.deploy()
    # Somebody stole the key of one server.
    name = next(i for i in estate.manifest.by_id if i.startswith("FrontEnd"))
    estate.renew(name, reason="the disk was stolen", compromised=True)
    stolen = estate.check()
    assert [row.id for row in stolen.requests if row.revoke] == [name]
    assert stolen.exit_status == 1
    assert stolen.next_steps[0].startswith("Ask the CA to revoke")
    estate.answer()
    ln.deployed(estate.folder, name, revoked=True, today=estate.day)
    assert estate.check().exit_status == 1  # The compromised certificate is still on the server.
    estate.deploy()
    assert estate.check().exit_status == 0
    # In the second year, the CA has another root.
    estate.wait(80)
    estate.cas["internal"] = PythonCa("Litware")
    estate.accept = {"issued-under-another-root": "the CA was replaced"}
    estate.renew()
    estate.answer()
    steps = deployment_steps(
        load_issued_certificates(open_requests(estate.folder), today=estate.day)
    )
    assert steps.servers
    estate.deploy()
    assert estate.check().exit_status == 0
    # If a server was removed, the status contains one line about it, and no warning appears when
    # its certificate expires.
    removed = estate.plan.certificates[0]
    reduced_plan = replace(estate.plan, certificates=estate.plan.certificates[1:])
    write(reduced_plan, estate.folder, today=estate.day)
    assert removed.id not in {row.id for row in estate.check().shown}
    estate.wait(100)
    estate.renew()
    estate.answer()
    estate.deploy()
    estate.wait(400)
    assert removed.id not in " ".join(estate.check().next_steps)
    assert [(row.id, row.state) for row in estate.check().requests if row.id == removed.id] == [
        (removed.id, "retired")
    ] * (1 + len(estate.manifest.by_id[removed.id].archived))
