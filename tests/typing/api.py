"""Use every public name as a planner's program would. This file is type-checked, but never run.

If a public name is no longer exported, an argument changes its type, or a function returns ``Any``,
the type checker reports an error in this file first.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import assert_type

from pandas import DataFrame

import lyncnb as ln
from lyncnb import PlanOptions, read_topology
from lyncnb.authorities.demonstration import DemonstrationAnswers
from lyncnb.authorities.handover import Handover
from lyncnb.authorities.import_requests import ReceivedRequest, ReceivedRequests
from lyncnb.authorities.installed.deployed_results import RecordedDeployments
from lyncnb.authorities.returned.issued import IssuedCertificate
from lyncnb.authorities.saved_plan_status import SavedPlanStatus
from lyncnb.authorities.status import RequestStatus
from lyncnb.authorities.survey.as_is import (
    AsIs,
    InstalledCertificate,
    PlannedAsIs,
    UnplannedCertificate,
)
from lyncnb.authorities.trust.trust_tables import CaCertificate, Presentation, RequiredCa, TrustSide
from lyncnb.base.certificate_fields import DistinguishedName, KeyParameters, SanEntry
from lyncnb.base.dns_name import DnsName
from lyncnb.base.planned_entry import PlannedEntry
from lyncnb.base.shown.figure import Figure
from lyncnb.checks.compare_scenarios import ScenarioComparison, ScenarioFact
from lyncnb.checks.saved_plan import SavedPlan
from lyncnb.deploy.package_passwords import show_password
from lyncnb.deploy.pfx_packages import Package
from lyncnb.deploy.purge_keys import PurgeItem, PurgeList
from lyncnb.deploy.server_steps import MissingPackage, ServerPackage, ServerStep, ServerSteps
from lyncnb.errors import (
    AnswersError,
    ApprovalError,
    ArgumentError,
    NotebookError,
    PlanAltered,
    PlanError,
    Problem,
    RulesError,
    ScenarioError,
)
from lyncnb.export.approve_plan import Approval
from lyncnb.export.executors import Making
from lyncnb.forecasts.compare_forecasts import ForecastComparison
from lyncnb.forecasts.model import BrokenRule, ForecastEntry, ForecastProblem, MonthWork
from lyncnb.guide.first_plan import FirstPlan
from lyncnb.pki.certificates import Certificate
from lyncnb.pki.recovery_pair import RecoveryPair, RecoveryPublicKey
from lyncnb.plan.model import ExplainedName, Explanation
from lyncnb.plan.recorded_plan import RecordedPlan
from lyncnb.plan.scenarios import Scenarios
from lyncnb.probes.result import Probe, ProbeLine
from lyncnb.reports.compare import ChangedCertificate, ChangeGroup, CountChange, PlanChange
from lyncnb.reports.find_causes import find_causes
from lyncnb.reports.timeline_figure import DatedFact
from lyncnb.request_folder.bundle import Change
from lyncnb.request_folder.change_passphrase import Rekeyed
from lyncnb.request_folder.manifest import Manifest
from lyncnb.request_folder.recovery_key import (
    create_recovery_key,
    name_recovery_key,
    open_recovery_key,
)
from lyncnb.request_folder.renewals import Renewal, Renewals
from lyncnb.request_folder.request_record import (
    CoveringCertificate,
    IssuedRecord,
    PackageRecord,
    PlanOnRecord,
    RequestRecord,
)
from lyncnb.rules.model import CertificateRule, CheckRule, RoleRule
from lyncnb.topology.compare_topologies import TopologyDifference
from lyncnb.topology.model import Computer, Pool, SimpleUrl, Site

DAY = date(2026, 11, 24)


class ArrowTable:
    """A table of another library, such as polars or pyarrow."""

    def to_pandas(self, *, zero_copy: bool = False) -> DataFrame:
        """Return the table as a DataFrame."""
        return ln.read_topology("contoso.csv").to_frame()


def trust(planned: ln.CertificatePlan, issued: ln.IssuedCertificates) -> ln.TrustPlan:
    """Get the roots that each server needs, and the certificates that each server presents."""
    trust_plan = ln.trust(planned, chains=issued.chains)
    assert_type(trust_plan, ln.TrustPlan)
    for presentation in trust_plan.presentations:
        assert_type(presentation, Presentation)
        assert_type(presentation.verifier, TrustSide)
        assert_type(presentation.root, CaCertificate)
        assert_type(presentation.client_auth_ends, date | None)
    for required in trust_plan.required:
        assert_type(required, RequiredCa)
        assert_type(required.ca.store, str)
    trust_plan.to_frame()
    trust_plan.shown().to_frame()
    return ln.trust(planned)


def read() -> ln.Topology:
    """Read a table into a topology, and read the parts of the topology."""
    topology = ln.read_topology("contoso.csv")
    assert_type(topology, ln.Topology)
    assert_type(read_topology(b"server_fqdn,role,sip_domains\n"), ln.Topology)
    assert_type(read_topology(topology.to_frame()), ln.Topology)
    assert_type(read_topology(ArrowTable()), ln.Topology)
    for pool in topology.pools:
        assert_type(pool, Pool)
        assert_type(pool.fqdn, DnsName)
    for site in topology.sites:
        assert_type(site, Site)
        assert_type(site.meet_urls, tuple[SimpleUrl, ...])
    for pool, computer in topology.computers:
        assert_type(pool, Pool)
        assert_type(computer, Computer)
    assert_type(topology.compare(topology), TopologyDifference)
    assert_type(topology.to_csv(), bytes)
    assert_type(topology.remarks, tuple[str, ...])
    assert_type(topology.to_xlsx(), bytes)
    return topology


def rules() -> ln.Rules:
    """Read the requirements of a product as records."""
    known = ln.load_rules("lync2013")
    assert_type(known, ln.Rules)
    checks: list[CheckRule] = [*known.checks.values()]
    certificates: list[CertificateRule] = [*known.certificates]
    roles: list[RoleRule] = [*known.roles.values()]
    print(checks[0].severity, certificates[0].id, roles[0])
    return known


def plan() -> tuple[ln.CertificatePlan, ln.Findings]:
    """Create a plan from a topology, with its reasons and findings."""
    options = PlanOptions(key=KeyParameters(algorithm="RSA", bits=4096), organization="Contoso")
    assert_type(options, ln.PlanOptions)
    assert_type(PlanOptions.from_toml(Path("plan.toml")), ln.PlanOptions)
    planned = ln.plan_certificates(read(), rules(), options=options)
    assert_type(planned, ln.CertificatePlan)
    for certificate in planned.certificates:
        assert_type(certificate, ln.PlannedCertificate)
        assert_type(certificate.subject, DistinguishedName)
        assert_type(certificate.subject_alt_name, tuple[SanEntry, ...])
    explanation = planned.explain("fe01.contoso.net")
    planned.names().to_frame()
    assert_type(explanation, Explanation)
    names: Sequence[ExplainedName] = explanation.names
    print(names[0].name)
    findings = ln.check_plan(planned)
    assert_type(findings, ln.Findings)
    assert_type(findings[0], ln.Finding)
    assert_type(findings.has_errors, bool)
    assert_type(ln.plan_document(planned, findings), dict[str, object])
    return planned, findings


def compare_two_plans(old: ln.CertificatePlan, new: ln.CertificatePlan) -> ln.PlanDifference:
    """Compare two plans, and return the differences."""
    difference = ln.compare_plans(old, new)
    assert_type(difference.is_empty, bool)
    assert_type(difference.certificates, tuple[ChangedCertificate, ...])
    assert_type(difference.certificates[0].differences, tuple[PlanChange, ...])
    assert_type(difference.counts, tuple[CountChange, ...])
    assert_type(difference.groups(), tuple[ChangeGroup, ...])
    assert_type(find_causes(difference), ln.PlanDifference)
    return difference


def scenarios(topology: ln.Topology) -> ScenarioComparison:
    """Save two plans as scenarios, and return their differences."""
    first = ln.Scenario(name="as planned", topology=topology, note="what we have")
    saved_scenarios = Scenarios(Path("scenarios"))
    assert_type(saved_scenarios.keep(first, replace=True), ln.Scenario)
    assert_type(saved_scenarios.names(), tuple[str, ...])
    opened = ln.open_scenario("scenarios/as planned")
    assert_type(opened, ln.Scenario)
    assert_type(opened.plan, ln.CertificatePlan)
    comparison = ln.compare_scenarios(first, opened, on=DAY)
    assert_type(comparison, ScenarioComparison)
    facts: tuple[ScenarioFact, ...] = comparison.differing()
    assert_type(facts[0].differs, bool)
    assert_type(comparison.differences, tuple[ln.PlanDifference, ...])
    refused: type[ln.LyncnbError] = ScenarioError
    print(refused)
    return comparison


def as_is(planned: ln.CertificatePlan) -> AsIs:
    """Compare installed certificates with a plan."""
    comparison = ln.compare_as_is(planned, "certificates", "export.pem", on=DAY)
    assert_type(comparison, AsIs)
    for entry in comparison.planned:
        assert_type(entry, PlannedAsIs)
        assert_type(entry.certificate, InstalledCertificate | None)
    for other in comparison.unplanned:
        assert_type(other, UnplannedCertificate)
    assert_type(ln.read_as_is("kept.json"), AsIs)
    bundle = ln.write_requests(
        planned,
        "requests",
        passphrase="only for the sample",
        only_missing=comparison,
        reuse=["Edge"],
    )
    assert_type(bundle, ln.RequestBundle)
    assert_type(bundle.requests[0].covered, CoveringCertificate | None)
    return comparison


def compare_folder(folder: Path, planned: ln.CertificatePlan) -> ln.PlanDifference:
    """Return the differences between the requests in a folder and a plan."""
    recorded = ln.read_plan(folder)
    assert_type(recorded, RecordedPlan)
    assert_type(recorded.findings, ln.Findings | None)
    return ln.compare_plans(recorded, planned)


def save_and_request(planned: ln.CertificatePlan, folder: Path, passphrase: ln.Secret) -> SavedPlan:
    """Save a plan in a file, and write the requests for the saved plan."""
    saved_plan = ln.save_plan(
        planned, "plan.json", findings=ln.check_plan(planned, on=DAY), force=True
    )
    assert_type(saved_plan, SavedPlan)
    assert_type(saved_plan.judged_on, date)
    read_again = ln.read_saved_plan("plan.json")
    assert_type(read_again.plan, ln.CertificatePlan)
    assert_type(read_again.findings, ln.Findings)
    assert_type(ln.write_requests(read_again, folder, passphrase=passphrase), ln.RequestBundle)
    approval = ln.approve_plan("plan.json", key="~/.ssh/id_ed25519")
    assert_type(approval, Approval)
    assert_type(approval.plan, SavedPlan)
    bundle = ln.write_requests(
        read_again, folder, passphrase=passphrase, approved_by=Path("signers")
    )
    assert_type(bundle.manifest.plans, tuple[PlanOnRecord, ...])
    assert_type(ln.folder_status(folder).saved_plan, SavedPlanStatus | None)
    refusals: tuple[type[ln.LyncnbError], ...] = (PlanAltered, ApprovalError)
    print(refusals)
    return read_again


def build_forecasts(planned: ln.CertificatePlan, folder: Path) -> ln.Forecast:
    """Create a forecast for a plan and another one for its folder, and compare them."""
    plan_forecast = ln.forecast(planned, until=date(2030, 12, 31), start=DAY)
    assert_type(plan_forecast, ln.Forecast)
    assert_type(plan_forecast.entries, tuple[ForecastEntry, ...])
    assert_type(plan_forecast.months, tuple[MonthWork, ...])
    assert_type(plan_forecast.problems, tuple[ForecastProblem, ...])
    assert_type(plan_forecast.problems[0].rules, tuple[BrokenRule, ...])
    assert_type(ln.figure(plan_forecast), Figure)
    print(plan_forecast.works, plan_forecast.to_frame())
    of_folder = ln.forecast(folder, options=planned.options)
    assert_type(ln.compare_forecasts(plan_forecast, of_folder), ForecastComparison)
    return of_folder


def probe_servers(planned: ln.CertificatePlan) -> int:
    """Connect to the servers, and get the certificates that they present."""
    probe = ln.probe(planned, zone="outside", hosts="hosts.txt", also=["tls1.0"], on=DAY)
    assert_type(probe, Probe)
    assert_type(probe.seen, tuple[ProbeLine, ...])
    assert_type(probe.as_is, AsIs)
    return probe.exit_status


def pictures(planned: ln.CertificatePlan, facts: tuple[DatedFact, ...]) -> Figure:
    """Draw pictures of a plan and of a request folder."""
    assert_type(ln.figure(planned, "timeline", facts=facts), Figure)
    return ln.figure(ln.folder_status("requests"))


def request(folder: Path, passphrase: ln.Secret) -> ln.RequestBundle:
    """Write a request folder for a plan, and read the folder."""
    planned, findings = plan()
    bundle = ln.write_requests(
        planned, folder, passphrase=passphrase, findings=findings,
        making=Making(cancel=threading.Event()),
        accept={"no-web-external-fqdn": "no remote users"}, today=DAY,
    )  # fmt: skip
    assert_type(bundle, ln.RequestBundle)
    assert_type(ln.renew(folder, "fe01", reason="x", passphrase=passphrase), ln.RequestBundle)
    assert_type(ln.deployed(folder, "fe01", reports=["fe01.json"]).changes, int)
    assert_type(ln.open_requests(folder), ln.RequestBundle)
    changes: Sequence[Change] = bundle.changes
    records: Sequence[RequestRecord] = bundle.requests
    for record in records:
        assert_type(record.plan, PlannedEntry)
        assert_type(record.issued, IssuedRecord | None)
        assert_type(record.package, PackageRecord | None)
    print(changes[0].action, records[0].id)
    assert_type(bundle.manifest, Manifest)
    assert_type(ln.rebuild_manifest(folder, passphrase), ln.RequestBundle)
    assert_type(ln.rekey(folder, passphrase, ln.ask_passphrase(confirm=True)), Rekeyed)
    assert_type(create_recovery_key("recovery", passphrase), RecoveryPublicKey)
    pair = open_recovery_key("recovery", passphrase)
    assert_type(pair, RecoveryPair)
    print(name_recovery_key(folder, passphrase, "recovery.pub")[0].fingerprint)
    assert_type(ln.rekey(folder, pair, passphrase, take_out=["0a1b"]), Rekeyed)
    recorded = ln.deployed(folder, "fe01", on=DAY)
    assert_type(recorded, RecordedDeployments)
    purge_list = ln.purge(folder, deployed=["FrontEnd-pool-0a1b2c3d"])
    assert_type(purge_list, PurgeList)
    items: Sequence[PurgeItem] = purge_list.items
    print(items, ln.purge(folder, confirmed=purge_list).is_done)
    return bundle


def receive(folder: Path, bundle: ln.RequestBundle) -> ln.IssuedCertificates:
    """Send requests to a CA, and import the issued certificates."""
    played: DemonstrationAnswers = ln.demo.answer(bundle, "answers", today=DAY)
    print(played.files, played.mistakes)
    assert_type(ln.hand_over(folder, "to-the-ca.zip", issuer="internal"), Handover)
    assert_type(ln.receive(folder, "returned.zip", today=DAY), ln.IssuedCertificates)
    issued = ln.match_certificates(bundle, "returned")
    assert_type(issued, ln.IssuedCertificates)
    answers: Sequence[IssuedCertificate] = issued.certificates
    certificate: Certificate | None = answers[0].certificate
    print(certificate)
    status = ln.folder_status(folder, today=DAY)
    assert_type(status, ln.FolderStatus)
    stands: Sequence[RequestStatus] = status.requests
    problems: Sequence[Problem] = status.problems
    print(stands, problems)
    renewals = ln.list_renewals(folder)
    assert_type(renewals, Renewals)
    for renewal in renewals:
        assert_type(renewal, Renewal)
    assert_type(ln.write_renewals(folder, "renewals.ics"), Renewals)
    return issued


def deploy(folder: Path, issued: ln.IssuedCertificates, passphrase: ln.Secret) -> None:
    """Get PFX packages, passwords, and the deployment steps."""
    packages = ln.write_pfx(issued, passphrase=passphrase)
    assert_type(packages, ln.Packages)
    pfx_packages: Sequence[Package] = packages.packages
    print(pfx_packages)
    assert_type(show_password(folder, "FrontEnd-pool-0a1b2c3d", passphrase, show=print), str)
    steps = ln.deployment_steps(issued, effective=datetime(2026, 12, 1, 8))
    assert_type(steps, ln.DeploymentSteps)
    assert_type(steps.missing, tuple[MissingPackage, ...])
    for server in steps.servers:
        assert_type(server, ServerSteps)
        step: Sequence[ServerStep] = server.steps
        package: Sequence[ServerPackage] = server.packages
        print(step, package)
    assert_type(ln.write_steps(steps, folder), tuple[Path, ...])
    requests = ln.request_scripts(ln.plan_certificates(read(), rules()))
    assert_type(requests, ln.DeploymentSteps)
    assert_type(ln.write_request_scripts(requests, folder), tuple[Path, ...])
    waiting = ln.request_elsewhere(
        ln.plan_certificates(read(), rules()), folder, computer="tools01"
    )
    assert_type(waiting, ln.RequestBundle)
    came = ln.receive_requests(folder, "tools01.req")
    assert_type(came, ReceivedRequests)
    received: Sequence[ReceivedRequest] = came.requests
    print(received)


def guide() -> ln.Topology:
    """Create the first table and the first plan from answers."""
    answers = ln.GuideAnswers.of({"sip_domains": ["contoso.com"]})
    assert_type(ln.GuideAnswers.from_toml("guide.toml"), ln.GuideAnswers)
    assert_type(answers.sites, tuple[str, ...])
    assert_type(answers.options, ln.PlanOptions)
    first = ln.guided_plan(answers)
    assert_type(first, FirstPlan)
    assert_type(first.plan, ln.CertificatePlan)
    assert_type(first.findings, ln.Findings)
    assert_type(first.remarks, tuple[str, ...])
    assert_type(first.python, str)
    assert_type(ln.write_first_plan(first, "folder"), tuple[Path, ...])
    return ln.guided_topology(answers)


def panels() -> None:
    """Pass values to panels, and read the same values from the panels."""
    editor = ln.PlanEditor(read(), rules())
    editor = ln.PlanEditor(ln.read_table("contoso.csv"), table="contoso.csv")
    editor.set_role("se01.contoso.net", "SBA")
    assert_type(editor.topology, ln.Topology)
    assert_type(editor.options, ln.PlanOptions)
    ln.RequestPanel(plan()[0], "requests")
    ln.StatusPanel("requests")
    assert_type(ln.GuidePanel("folder").first, FirstPlan)
    assert_type(ln.GuidePanel("folder").answers, ln.GuideAnswers)


def catch_exceptions() -> None:
    """Catch the exceptions of all stages, and the base class of these exceptions."""
    try:
        read()
    except (ln.TopologyError, RulesError, ln.OptionsError, PlanError) as error:
        assert_type(error.problems, tuple[Problem, ...])
    except (ln.PlanRejected, ln.PassphraseError, ln.BundleError) as error:
        assert_type(error.hint, str)
    except (ln.ReturnedFileError, ln.PackageError, NotebookError) as error:
        assert_type(error.message, str)
    except ArgumentError as error:
        assert_type(error.hint, str)
    except AnswersError as error:
        assert_type(error.hint, str)
    except ln.LyncnbError as error:
        assert_type(error.exit_status, int)


assert_type(ln.__version__, str)
