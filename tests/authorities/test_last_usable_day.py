"""The last usable day of a certificate is the earliest end in its chain, and a requested renewal
that nobody installs is reported before this day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
from cas.python_ca import PythonCa, issue, pem
from folders import PASSPHRASE, issue_all, make_folder, make_plan

from lyncnb.authorities.certificates_on_record import load_issued_certificates
from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.record_deployments import deployed
from lyncnb.authorities.returned.issued import IssuedCertificates
from lyncnb.authorities.status import FolderStatus, folder_status
from lyncnb.authorities.summary_files import build_folder_summary
from lyncnb.deploy.steps import deployment_steps
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import ArgumentError
from lyncnb.export.renew import renew
from lyncnb.forecasts.make_forecast import forecast
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.renewals import list_renewals

pytestmark = pytest.mark.usefixtures("quick_cipher")

DAY = timedelta(days=1)
ISSUED = datetime(2026, 12, 1, tzinfo=UTC)
# The certificates are valid until 2027-04-15, and the issuing CA only until 2027-01-20.
LAST, CA_LAST = date(2027, 4, 15), date(2027, 1, 20)
TABLE = b"""\
server_fqdn,role,pool_fqdn,sip_domains,access_edge_fqdn,webconf_edge_fqdn,av_edge_fqdn,issuer
edge01.contoso.com,Edge,edgepool.contoso.com,contoso.com,access.contoso.com,wc.contoso.com,\
av.contoso.com,internal
"""


@dataclass(frozen=True)
class Deployment:
    """A deployed Edge pool, and the CA that issued its certificates."""

    folder: object
    ca: PythonCa

    def receive(self, day: date, *certificates) -> IssuedCertificates:
        """Receive certificates, as the CA sends them."""
        answer = self.folder.parent / f"answer-{day}.pem"
        answer.write_bytes(pem(*certificates))
        return receive(self.folder, answer, today=day)

    def renewed_ca(self):
        """Return the issuing CA's certificate, renewed with the same key for three years."""
        issuing = self.ca.issuing
        return issue(
            issuing.public_key(), self.ca.root.subject, self.ca.root_key,
            subject=[("CN", "Contoso Issuing CA 1"), ("O", "Contoso")], eku=None,
            usage=("key_cert_sign", "crl_sign"), crl=(), begins=ISSUED, days=1095, ca=True,
        )  # fmt: skip

    def install(self, day: date) -> None:
        """Package the certificates, and record that they are installed."""
        package(self.folder, day)
        deployed(self.folder, today=day)


def package(folder, day: date) -> IssuedCertificates:
    """Write the packages of a folder."""
    issued = load_issued_certificates(open_requests(folder), today=day)
    write_pfx(issued, passphrase=PASSPHRASE, today=day)
    return issued


def make_deployment(tmp_path, *, ca_until: date = CA_LAST, plan=None, **options) -> Deployment:
    """Return a deployed Edge pool or plan, whose CA's own certificate ends on a day."""
    begins = ISSUED - 100 * DAY
    days = (ca_until - begins.date()).days + 1
    ca = PythonCa(begins=begins, days=days)
    plan = plan or make_plan(TABLE, accepted={"public-certificate-required": "a lab"}, **options)
    bundle = make_folder(tmp_path / "folder", plan, today=ISSUED.date())
    deployment = Deployment(bundle.folder, ca)
    life = {"begins": ISSUED, "days": (LAST - ISSUED.date()).days + 1}
    deployment.receive(ISSUED.date(), *issue_all(bundle, ca, **life).values(), *ca.chain)
    deployment.install(ISSUED.date())
    return deployment


def days_in_every_view(folder, day: date) -> set[tuple[str, str, str]]:
    """Return the order date and the last usable day of each certificate in every view."""
    status = folder_status(folder, today=day)
    left = {row.id: str(day + row.days_left * DAY) for row in status.shown}
    renewals = list_renewals(folder, today=day)
    entries = forecast(folder, start=day, until=date(2028, 1, 1)).entries
    summary = build_folder_summary(folder, open_requests(folder).manifest)
    return {
        *(("days left", "", until) for until in left.values()),
        *(("calendar", str(r.renew_from), str(r.usable_until.date())) for r in renewals),
        *(("forecast", str(e.renew_from), str(e.valid_until)) for e in entries if not e.number),
        *(("summary", m.renew_from, m.valid_until) for _, m in summary.members),
    }


def test_every_view_counts_to_the_earliest_end_in_the_chain(tmp_path):
    """If the CA certificate expires in January and the certificate in April, every view counts to
    January, and plans the order before it.
    """
    folder = make_deployment(tmp_path).folder
    # A third of the 51 days until the CA certificate expires is 17 days.
    assert days_in_every_view(folder, date(2026, 12, 10)) == {
        ("days left", "", "2027-01-20"),
        ("calendar", "2027-01-04", "2027-01-20"),
        ("forecast", "2027-01-04", "2027-01-20"),
        ("summary", "2027-01-04", "2027-01-20"),
    }
    states = {
        day: {row.state for row in folder_status(folder, today=day).shown}
        for day in (date(2027, 1, 3), date(2027, 1, 4), date(2027, 1, 21))
    }
    assert list(states.values()) == [{"installed"}, {"expiring"}, {"expired"}]


def test_views_of_a_strange_deployment_count_to_the_same_day(tmp_path, deployment):
    """In any deployment, all views count to the end of the chain, and agree on the order date."""
    folder = make_deployment(tmp_path, plan=deployment.plan()).folder
    days = days_in_every_view(folder, date(2026, 12, 10))
    assert {until for _, _, until in days} == {"2027-01-20"}
    orders = [
        {order for view, order, _ in days if view == name}
        for name in ("calendar", "forecast", "summary")
    ]
    assert orders[0] == orders[1] == orders[2]


def test_root_that_expires_first_counts(tmp_path):
    """If the root expires before the issuing CA and the certificate, every view counts to it."""
    deployment = make_deployment(tmp_path, ca_until=date(2029, 1, 1))
    root = issue(
        deployment.ca.root.public_key(), deployment.ca.root.subject, deployment.ca.root_key,
        subject=[("CN", "Contoso Root CA")], eku=None, usage=("key_cert_sign", "crl_sign"), crl=(),
        begins=ISSUED - 900 * DAY, days=900 + 51, ca=True,
    )  # fmt: skip
    other = Deployment(make_folder(tmp_path / "other", make_plan(TABLE)).folder, deployment.ca)
    answers = issue_all(open_requests(other.folder), other.ca, begins=ISSUED, days=136)
    issued = other.receive(ISSUED.date(), *answers.values(), other.ca.issuing, root)
    warnings = {(f.code, f.severity) for f in issued.findings if f.code == "outlives-issuer"}
    assert warnings == {("outlives-issuer", "warning")}
    status = folder_status(other.folder, today=date(2026, 12, 10))
    assert {row.usable_until for row in status.shown} == {"2027-01-20T23:59:59Z"}


def test_receive_warns_with_the_name_and_the_date_of_the_ca_certificate(tmp_path):
    """The warning about a chain that ends earlier says which CA certificate expires, and when."""
    deployment = make_deployment(tmp_path)
    answers = issue_all(open_requests(deployment.folder), deployment.ca, begins=ISSUED, days=136)
    issued = deployment.receive(date(2026, 12, 2), *answers.values())
    (finding, *_) = [f for f in issued.findings if f.code == "outlives-issuer"]
    assert finding.severity == "warning"
    assert "Contoso Issuing CA 1" in finding.message
    assert "2027-01-20" in finding.message


def test_roll_over_ends_before_the_chain_does(tmp_path):
    """The A/V certificate rolls over in the first window, and at the latest before the chain of the
    certificate in use ends.
    """
    deployment = make_deployment(tmp_path)
    folder, day = deployment.folder, date(2027, 1, 4)
    renew(folder, "Edge*", passphrase=PASSPHRASE, reason="CA", today=day)
    answers = issue_all(open_requests(folder), deployment.ca, begins=ISSUED + 30 * DAY, days=300)
    issued = deployment.receive(day, *answers.values(), deployment.renewed_ca())
    assert not [f for f in issued.findings if f.code == "outlives-issuer"]
    steps = deployment_steps(package(folder, day), today=day)
    calls = [
        (call.effective, call.latest)
        for server in steps.servers
        for package in server.packages
        for call in package.calls
        if call.roll is not None
    ]
    first, latest = (
        datetime(2027, 1, 12, 12, tzinfo=UTC),
        datetime(2027, 1, 20, 15, 59, 59, tzinfo=UTC),
    )
    assert calls == [(first, latest)]


def test_renewed_intermediate_is_to_be_installed(tmp_path):
    """A renewed CA certificate with the same key is packaged and installed. Only then every view
    counts to the later end.
    """
    deployment = make_deployment(tmp_path)
    folder, day = deployment.folder, date(2026, 12, 10)
    issued = deployment.receive(day, deployment.renewed_ca())
    codes = {finding.code for finding in issued.findings}
    assert "chain-certificate-unused" not in codes
    assert "outlives-issuer" not in codes
    status = folder_status(folder, today=day)
    assert {(row.state, row.under_way, row.days_left) for row in status.shown} == {
        ("issued", "issued", 41)
    }
    assert status.next_steps[0].startswith("Package 2 certificates")
    package(folder, day)
    assert folder_status(folder, today=day).next_steps[0].startswith("Install 2 certificates")
    deployed(folder, today=day)
    status = folder_status(folder, today=day)
    assert {(row.state, row.under_way, row.days_left) for row in status.shown} == {
        ("installed", "", 126)
    }
    assert not status.next_steps


def run_renewal(deployment: Deployment, day: date, until: str) -> FolderStatus:
    """Renew the certificates, and bring them to a stage: waiting, issued or packaged."""
    folder = deployment.folder
    renew(folder, "edge01.contoso.com", passphrase=PASSPHRASE, reason="due", today=day)
    begins = datetime(*day.timetuple()[:3], tzinfo=UTC)
    if until != "waiting":
        answers = issue_all(open_requests(folder), deployment.ca, begins=begins, days=180)
        deployment.receive(day, *answers.values())
    if until == "packaged":
        package(folder, day)
    return folder_status(folder, today=day)


@pytest.mark.parametrize("stage", ["waiting", "issued", "packaged"])
def test_renewal_that_nobody_installs_needs_attention_from_its_first_window(tmp_path, stage):
    """From the day for which the forecast lists the installation, the status needs attention, and
    names the last possible day. It is well again when the installation is recorded.
    """
    options = {"lead_days": {"": 3}, "windows": {"weekly": "saturday"}}
    deployment = make_deployment(tmp_path, ca_until=date(2029, 1, 1), **options)
    folder, order = deployment.folder, date(2027, 3, 2)
    assert folder_status(folder, today=order - DAY).exit_status == 0
    run_renewal(deployment, order, stage)
    (listed,) = {
        (entry.change_on, entry.change_by)
        for entry in forecast(folder, start=order, until=date(2027, 6, 1)).entries
        if entry.number == 1
    }
    assert listed == (date(2027, 3, 6), date(2027, 4, 10))
    for day, status_code in (
        (order, 0), (listed[0] - DAY, 0), (listed[0], 1), (date(2027, 4, 1), 1),
    ):  # fmt: skip
        status = folder_status(folder, today=day)
        assert status.requests[0].due_on == str(listed[0])
        assert bool(status.select_due(0).exit_status) == bool(status_code)
        assert status.exit_status == status_code, day
        assert all("Last possible installation date: 2027-04-10" in s for s in status.next_steps)
    if stage == "packaged":
        deployed(folder, today=date(2027, 4, 2))
        assert folder_status(folder, today=date(2027, 4, 2)).exit_status == 0


def test_certificates_that_are_due_in_some_days_are_listed_by_date(tmp_path):
    """A certificate is on the list from so many days before its order date, and not before.

    The order date is the same as in the calendar. A number of days out of range is rejected.
    """
    folder = make_deployment(tmp_path, ca_until=date(2029, 1, 1)).folder
    dates = {item.request_id: item.renew_from for item in list_renewals(folder, today=LAST)}
    first = min(dates.values())
    for days in (0, 1, 14, 90):
        before = folder_status(folder, today=first - (days + 1) * DAY).select_due(days)
        assert (before.requests, before.exit_status) == ((), 0), days
        status = folder_status(folder, today=first - days * DAY).select_due(days)
        assert {row.id for row in status.requests} == {
            name for name, day in dates.items() if day == first
        }
        assert status.exit_status == 1
        assert f"due by {first}" in repr(status)
    for days in (-1, 36_501):
        with pytest.raises(ArgumentError, match="number of days"):
            status.select_due(days)
