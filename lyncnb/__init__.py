"""Plan the certificates of a Lync Server 2013 deployment before the servers exist.

Data runs one way: one noun per step, one verb per arrow.

>>> import lyncnb as ln                                           # doctest: +SKIP
>>> topology = ln.read_topology("../data/contoso.csv")  # sites, pools, computers, SIP domains
>>> rules = ln.load_rules("lync2013")                   # what the product asks of each role
>>> plan = ln.plan_certificates(topology, rules)        # one row per certificate
>>> plan.explain("edge01.contoso.com")                  # why each name is there, with its source
>>> ln.check_plan(plan)                                 # errors, warnings and notices
>>> bundle = ln.write_requests(plan, "requests", passphrase=ln.ask_passphrase())

Later, when the CA has answered: ``ln.open_requests``, ``ln.match_certificates``, ``ln.write_pfx``
and ``ln.deployment_steps``. Nouns are frozen: a verb returns a new one.

A public name is imported when it is first used (PEP 562), so that ``import lyncnb`` and
``lyncnb --help`` load neither pandas nor cryptography. Type checkers read the imports below
instead; a test holds the two lists together.
"""

from __future__ import annotations

from importlib import import_module as _import_module

# Type checkers know the name; to import typing for it would cost a third of the import.
TYPE_CHECKING = False

_MODULES = {
    "AnswersError": "errors",
    "ArgumentError": "errors",
    "AsIs": "authorities.as_is",
    "Approval": "export.approve_plan",
    "ApprovalError": "errors",
    "ApprovalOnRecord": "request_folder.request_record",
    "BundleError": "errors",
    "CaCertificate": "plan.trust_tables",
    "Certificate": "pki.certificates",
    "CertificatePlan": "plan.model",
    "CertificateRule": "rules.model",
    "Change": "request_folder.bundle",
    "ChangeGroup": "plan.compare",
    "ChangedCertificate": "plan.compare",
    "CheckRule": "rules.model",
    "Computer": "topology.model",
    "CoveringCertificate": "request_folder.request_record",
    "CountChange": "plan.compare",
    "DatedFact": "plan.timeline_figure",
    "DemonstrationAnswers": "authorities.demonstration",
    "DeploymentSteps": "deploy.server_steps",
    "DistinguishedName": "base.certificate_fields",
    "DnsName": "base.dns_name",
    "ExplainedName": "plan.model",
    "Explanation": "plan.model",
    "Figure": "base.figure",
    "Finding": "rules.findings",
    "Findings": "rules.findings",
    "FirstPlan": "guide.first_plan",
    "FolderStatus": "authorities.status",
    "GuideAnswers": "guide.answers",
    "GuidePanel": "widgets.guide_panel",
    "BrokenRule": "forecasts.model",
    "Forecast": "forecasts.model",
    "ForecastComparison": "forecasts.compare_forecasts",
    "ForecastEntry": "forecasts.model",
    "ForecastProblem": "forecasts.model",
    "MonthWork": "forecasts.model",
    "Handover": "authorities.handover",
    "IssuedCertificate": "authorities.issued",
    "IssuedCertificates": "authorities.issued",
    "KeyParameters": "base.certificate_fields",
    "LyncnbError": "errors",
    "Manifest": "request_folder.manifest",
    "MissingPackage": "deploy.server_steps",
    "NotebookError": "errors",
    "OptionsError": "errors",
    "PlannedAsIs": "authorities.as_is",
    "StandingCertificate": "authorities.as_is",
    "UnplannedCertificate": "authorities.as_is",
    "Package": "deploy.pfx_packages",
    "PackageError": "errors",
    "Packages": "deploy.pfx_packages",
    "PassphraseError": "errors",
    "PlanAltered": "errors",
    "PlanChange": "plan.compare",
    "PlanDifference": "plan.compare",
    "PlanEditor": "widgets.editor",
    "PlanError": "errors",
    "PlanOnRecord": "request_folder.request_record",
    "PlanOptions": "plan.options",
    "PlanRejected": "errors",
    "PlanStanding": "authorities.plan_standing",
    "PlannedCertificate": "plan.model",
    "Pool": "topology.model",
    "Presentation": "plan.trust_tables",
    "Problem": "errors",
    "PurgeItem": "deploy.purge_keys",
    "PurgeList": "deploy.purge_keys",
    "RecoveryPair": "pki.recovery_pair",
    "RecoveryPublicKey": "pki.recovery_pair",
    "RecordedPlan": "plan.recorded_plan",
    "Rekeyed": "request_folder.change_passphrase",
    "Renewal": "request_folder.renewals",
    "Renewals": "request_folder.renewals",
    "RequiredCa": "plan.trust_tables",
    "RequestBundle": "request_folder.bundle",
    "RequestPanel": "widgets.request_panel",
    "PlannedEntry": "base.planned_entry",
    "IssuedRecord": "request_folder.request_record",
    "PackageRecord": "request_folder.request_record",
    "RequestRecord": "request_folder.request_record",
    "RequestStatus": "authorities.status",
    "ReturnedFileError": "errors",
    "RoleRule": "rules.model",
    "Rules": "rules.model",
    "RulesError": "errors",
    "SanEntry": "base.certificate_fields",
    "SavedPlan": "checks.saved_plan",
    "Scenario": "plan.scenarios",
    "ScenarioComparison": "checks.compare_scenarios",
    "ScenarioError": "errors",
    "ScenarioFact": "checks.compare_scenarios",
    "Scenarios": "plan.scenarios",
    "Secret": "pki.passphrase",
    "ServerPackage": "deploy.server_steps",
    "ServerStep": "deploy.server_steps",
    "ServerSteps": "deploy.server_steps",
    "SimpleUrl": "topology.model",
    "Site": "topology.model",
    "StatusPanel": "widgets.status_panel",
    "Topology": "topology.topology",
    "TopologyDifference": "topology.compare_topologies",
    "TopologyError": "errors",
    "TrustPlan": "plan.trust_tables",
    "TrustSide": "plan.trust_tables",
    "approve_plan": "export.approve_plan",
    "ask_passphrase": "pki.passphrase",
    "check_approval": "export.approve_plan",
    "check_plan": "checks.check_plan",
    "compare_as_is": "authorities.compare_as_is",
    "compare_forecasts": "forecasts.compare_forecasts",
    "compare_plans": "plan.compare",
    "compare_scenarios": "checks.compare_scenarios",
    "demo": "authorities.demonstration",
    "deployment_steps": "deploy.steps",
    "figure": "plan.figures",
    "find_causes": "plan.find_causes",
    "folder_status": "authorities.status",
    "guided_plan": "guide.first_plan",
    "guided_topology": "guide.lay_out",
    "forecast": "forecasts.make_forecast",
    "hand_over": "authorities.handover",
    "list_renewals": "request_folder.renewals",
    "load_rules": "rules.rule_files",
    "match_certificates": "authorities.match_certificates",
    "name_recovery_key": "request_folder.recovery_key",
    "new_recovery_key": "request_folder.recovery_key",
    "open_recovery_key": "request_folder.recovery_key",
    "open_requests": "request_folder.bundle",
    "open_scenario": "plan.scenarios",
    "plan_certificates": "plan.planner",
    "plan_document": "plan.plan_json",
    "purge": "deploy.purge_keys",
    "read_as_is": "authorities.read_as_is",
    "read_plan": "authorities.read_plan",
    "read_saved_plan": "checks.saved_plan",
    "read_topology": "topology.topology",
    "rebuild_manifest": "request_folder.rebuild_manifest",
    "receive": "authorities.receiving",
    "receive_requests": "authorities.received_requests",
    "request_elsewhere": "export.requests_elsewhere",
    "ReceivedRequest": "authorities.received_requests",
    "ReceivedRequests": "authorities.received_requests",
    "rekey": "request_folder.change_passphrase",
    "save_plan": "checks.saved_plan",
    "show_password": "deploy.package_passwords",
    "trust": "plan.trust_plan",
    "write_first_plan": "guide.first_plan",
    "write_pfx": "deploy.write_pfx",
    "write_renewals": "request_folder.renewals",
    "write_requests": "export.write",
    "request_scripts": "deploy.request_scripts",
    "write_request_scripts": "deploy.request_scripts",
    "write_steps": "deploy.step_files",
}

__all__ = sorted(_MODULES)

if TYPE_CHECKING:
    from .authorities.as_is import AsIs as AsIs
    from .authorities.as_is import PlannedAsIs as PlannedAsIs
    from .authorities.as_is import StandingCertificate as StandingCertificate
    from .authorities.as_is import UnplannedCertificate as UnplannedCertificate
    from .authorities.compare_as_is import compare_as_is as compare_as_is
    from .authorities.demonstration import DemonstrationAnswers as DemonstrationAnswers
    from .authorities.demonstration import demo as demo
    from .authorities.handover import Handover as Handover
    from .authorities.handover import hand_over as hand_over
    from .authorities.issued import IssuedCertificate as IssuedCertificate
    from .authorities.issued import IssuedCertificates as IssuedCertificates
    from .authorities.match_certificates import match_certificates as match_certificates
    from .authorities.plan_standing import PlanStanding as PlanStanding
    from .authorities.read_as_is import read_as_is as read_as_is
    from .authorities.read_plan import read_plan as read_plan
    from .authorities.received_requests import ReceivedRequest as ReceivedRequest
    from .authorities.received_requests import ReceivedRequests as ReceivedRequests
    from .authorities.received_requests import receive_requests as receive_requests
    from .authorities.receiving import receive as receive
    from .authorities.status import FolderStatus as FolderStatus
    from .authorities.status import RequestStatus as RequestStatus
    from .authorities.status import folder_status as folder_status
    from .base.certificate_fields import DistinguishedName as DistinguishedName
    from .base.certificate_fields import KeyParameters as KeyParameters
    from .base.certificate_fields import SanEntry as SanEntry
    from .base.dns_name import DnsName as DnsName
    from .base.figure import Figure as Figure
    from .base.planned_entry import PlannedEntry as PlannedEntry
    from .checks.check_plan import check_plan as check_plan
    from .checks.compare_scenarios import ScenarioComparison as ScenarioComparison
    from .checks.compare_scenarios import ScenarioFact as ScenarioFact
    from .checks.compare_scenarios import compare_scenarios as compare_scenarios
    from .checks.saved_plan import SavedPlan as SavedPlan
    from .checks.saved_plan import read_saved_plan as read_saved_plan
    from .checks.saved_plan import save_plan as save_plan
    from .deploy.package_passwords import show_password as show_password
    from .deploy.pfx_packages import Package as Package
    from .deploy.pfx_packages import Packages as Packages
    from .deploy.purge_keys import PurgeItem as PurgeItem
    from .deploy.purge_keys import PurgeList as PurgeList
    from .deploy.purge_keys import purge as purge
    from .deploy.request_scripts import request_scripts as request_scripts
    from .deploy.request_scripts import write_request_scripts as write_request_scripts
    from .deploy.server_steps import DeploymentSteps as DeploymentSteps
    from .deploy.server_steps import MissingPackage as MissingPackage
    from .deploy.server_steps import ServerPackage as ServerPackage
    from .deploy.server_steps import ServerStep as ServerStep
    from .deploy.server_steps import ServerSteps as ServerSteps
    from .deploy.step_files import write_steps as write_steps
    from .deploy.steps import deployment_steps as deployment_steps
    from .deploy.write_pfx import write_pfx as write_pfx
    from .errors import AnswersError as AnswersError
    from .errors import ApprovalError as ApprovalError
    from .errors import ArgumentError as ArgumentError
    from .errors import BundleError as BundleError
    from .errors import LyncnbError as LyncnbError
    from .errors import NotebookError as NotebookError
    from .errors import OptionsError as OptionsError
    from .errors import PackageError as PackageError
    from .errors import PassphraseError as PassphraseError
    from .errors import PlanAltered as PlanAltered
    from .errors import PlanError as PlanError
    from .errors import PlanRejected as PlanRejected
    from .errors import Problem as Problem
    from .errors import ReturnedFileError as ReturnedFileError
    from .errors import RulesError as RulesError
    from .errors import ScenarioError as ScenarioError
    from .errors import TopologyError as TopologyError
    from .export.approve_plan import Approval as Approval
    from .export.approve_plan import approve_plan as approve_plan
    from .export.approve_plan import check_approval as check_approval
    from .export.requests_elsewhere import request_elsewhere as request_elsewhere
    from .export.write import write_requests as write_requests
    from .forecasts.compare_forecasts import ForecastComparison as ForecastComparison
    from .forecasts.compare_forecasts import compare_forecasts as compare_forecasts
    from .forecasts.make_forecast import forecast as forecast
    from .forecasts.model import BrokenRule as BrokenRule
    from .forecasts.model import Forecast as Forecast
    from .forecasts.model import ForecastEntry as ForecastEntry
    from .forecasts.model import ForecastProblem as ForecastProblem
    from .forecasts.model import MonthWork as MonthWork
    from .guide.answers import GuideAnswers as GuideAnswers
    from .guide.first_plan import FirstPlan as FirstPlan
    from .guide.first_plan import guided_plan as guided_plan
    from .guide.first_plan import write_first_plan as write_first_plan
    from .guide.lay_out import guided_topology as guided_topology
    from .pki.certificates import Certificate as Certificate
    from .pki.passphrase import Secret as Secret
    from .pki.passphrase import ask_passphrase as ask_passphrase
    from .pki.recovery_pair import RecoveryPair as RecoveryPair
    from .pki.recovery_pair import RecoveryPublicKey as RecoveryPublicKey
    from .plan.compare import ChangedCertificate as ChangedCertificate
    from .plan.compare import ChangeGroup as ChangeGroup
    from .plan.compare import CountChange as CountChange
    from .plan.compare import PlanChange as PlanChange
    from .plan.compare import PlanDifference as PlanDifference
    from .plan.compare import compare_plans as compare_plans
    from .plan.figures import figure as figure
    from .plan.find_causes import find_causes as find_causes
    from .plan.model import CertificatePlan as CertificatePlan
    from .plan.model import ExplainedName as ExplainedName
    from .plan.model import Explanation as Explanation
    from .plan.model import PlannedCertificate as PlannedCertificate
    from .plan.options import PlanOptions as PlanOptions
    from .plan.plan_json import plan_document as plan_document
    from .plan.planner import plan_certificates as plan_certificates
    from .plan.recorded_plan import RecordedPlan as RecordedPlan
    from .plan.scenarios import Scenario as Scenario
    from .plan.scenarios import Scenarios as Scenarios
    from .plan.scenarios import open_scenario as open_scenario
    from .plan.timeline_figure import DatedFact as DatedFact
    from .plan.trust_plan import trust as trust
    from .plan.trust_tables import CaCertificate as CaCertificate
    from .plan.trust_tables import Presentation as Presentation
    from .plan.trust_tables import RequiredCa as RequiredCa
    from .plan.trust_tables import TrustPlan as TrustPlan
    from .plan.trust_tables import TrustSide as TrustSide
    from .request_folder.bundle import Change as Change
    from .request_folder.bundle import RequestBundle as RequestBundle
    from .request_folder.bundle import open_requests as open_requests
    from .request_folder.change_passphrase import Rekeyed as Rekeyed
    from .request_folder.change_passphrase import rekey as rekey
    from .request_folder.manifest import Manifest as Manifest
    from .request_folder.rebuild_manifest import rebuild_manifest as rebuild_manifest
    from .request_folder.recovery_key import name_recovery_key as name_recovery_key
    from .request_folder.recovery_key import new_recovery_key as new_recovery_key
    from .request_folder.recovery_key import open_recovery_key as open_recovery_key
    from .request_folder.renewals import Renewal as Renewal
    from .request_folder.renewals import Renewals as Renewals
    from .request_folder.renewals import list_renewals as list_renewals
    from .request_folder.renewals import write_renewals as write_renewals
    from .request_folder.request_record import ApprovalOnRecord as ApprovalOnRecord
    from .request_folder.request_record import CoveringCertificate as CoveringCertificate
    from .request_folder.request_record import IssuedRecord as IssuedRecord
    from .request_folder.request_record import PackageRecord as PackageRecord
    from .request_folder.request_record import PlanOnRecord as PlanOnRecord
    from .request_folder.request_record import RequestRecord as RequestRecord
    from .rules.findings import Finding as Finding
    from .rules.findings import Findings as Findings
    from .rules.model import CertificateRule as CertificateRule
    from .rules.model import CheckRule as CheckRule
    from .rules.model import RoleRule as RoleRule
    from .rules.model import Rules as Rules
    from .rules.rule_files import load_rules as load_rules
    from .topology.compare_topologies import TopologyDifference as TopologyDifference
    from .topology.model import Computer as Computer
    from .topology.model import Pool as Pool
    from .topology.model import SimpleUrl as SimpleUrl
    from .topology.model import Site as Site
    from .topology.topology import Topology as Topology
    from .topology.topology import read_topology as read_topology
    from .widgets.editor import PlanEditor as PlanEditor
    from .widgets.guide_panel import GuidePanel as GuidePanel
    from .widgets.request_panel import RequestPanel as RequestPanel
    from .widgets.status_panel import StatusPanel as StatusPanel

    __version__: str
else:
    # Hidden from type checkers, to whom a function of this name would make any name a public one.
    def __getattr__(name: str) -> object:
        if name == "__version__":
            from importlib.metadata import version

            value = version(__name__)
        elif name in _MODULES:
            value = getattr(_import_module(f".{_MODULES[name]}", __name__), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value  # asked for once only
        return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
