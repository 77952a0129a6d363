"""The run time of every function that writes output is proportional to the size of the output.

The test finds the writers: every public function or method that returns bytes or has a writer's
name must be in one of the lists below. So a new function is timed, or listed as part of another
one.
"""

from __future__ import annotations

import inspect
import re
import tempfile
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from functools import cache, cached_property, partial
from pathlib import Path

import pytest
from big_topology import standard_editions
from cas.python_ca import pem
from certificates_on_record import bundle_of
from folders import P256, PASSPHRASE, TODAY, _authority, issue_all, make_folder
from growth import find_superlinear_size, public_functions
from installed_certificates import Stored, authority, export_of, issue_planned
from nbformat.v4 import new_code_cell, new_notebook, new_output
from ssh_keys import make_key, needs_ssh_keygen, sign_by_hand

import lyncnb as ln
from lyncnb.authorities.certificate_history import certificate_history
from lyncnb.authorities.handover import hand_over
from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.kept_approval import read_approved_plan
from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.authorities.status import folder_status
from lyncnb.authorities.status_report import (
    HISTORY_FILE,
    STATUS_FILE,
    build_history_report,
    build_status_report,
)
from lyncnb.authorities.survey.as_is import AS_IS_TABLE, AsIs, build_as_is_report
from lyncnb.authorities.trust.trust_report import TRUST_FILE, build_trust_report
from lyncnb.base.shown.report import write_report
from lyncnb.deploy.checklist import to_html, to_markdown
from lyncnb.deploy.request_scripts import request_scripts, write_request_scripts
from lyncnb.deploy.step_files import write_steps
from lyncnb.deploy.steps import deployment_steps
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.forecasts.compare_forecasts import (
    FORECASTS_FILE,
    build_forecasts_report,
    compare_forecasts,
)
from lyncnb.forecasts.forecast_files import FORECAST_FILE, build_forecast_report
from lyncnb.jupyter.shared_page import render_notebook
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.scenarios import Scenarios
from lyncnb.probes.result import PROBE_FILE, Probe, build_probe_report
from lyncnb.probes.targets import list_targets
from lyncnb.reports.comparison_report import COMPARISON_FILE, Comparison, build_comparison_report
from lyncnb.reports.figures import KINDS
from lyncnb.reports.find_causes import find_causes
from lyncnb.reports.summary.formats import PLAN_SUFFIXES, write_plan_table
from lyncnb.request_folder.manifest import Manifest, build_change
from lyncnb.request_folder.renewals import list_renewals
from lyncnb.topology.csv_edit import edit_csv

pytestmark = pytest.mark.usefixtures("quick_cipher")

ISSUE = date(2026, 11, 25)


class Deployment:
    """A test deployment with half of its servers in single-server pools and the other half in one
    pool.
    """

    def __init__(self, servers: int) -> None:
        self.table = standard_editions(servers, pooled=servers)

    def new(self) -> Path:
        """Return a path at which no file exists yet."""
        return Path(tempfile.mkdtemp(dir=_PLACE[0])) / "new"

    @cached_property
    def topology(self) -> ln.Topology:
        """Read the table of servers as a topology."""
        return ln.read_topology(self.table)

    @cached_property
    def plan(self) -> ln.CertificatePlan:
        """Plan the table with a planned issue date."""
        options = PlanOptions(planned_issue_date=ISSUE)
        return ln.plan_certificates(self.topology, ln.load_rules(), options=options)

    @cached_property
    def findings(self) -> ln.Findings:
        """Return the findings for the plan."""
        return ln.check_plan(self.plan, on=TODAY)

    @cached_property
    def other(self) -> ln.CertificatePlan:
        """Return a plan of the same servers with one more SIP domain, which affects nearly every
        certificate.
        """
        topology = self.topology.with_cells({0: {"sip_domains": "contoso.com;fabrikam.com"}})
        return ln.plan_certificates(topology, ln.load_rules(), options=self.plan.options)

    @cached_property
    def comparison(self) -> Comparison:
        """Return the comparison of the two plans."""
        difference = find_causes(ln.compare_plans(self.plan, self.other))
        return Comparison(
            difference=difference, old_findings=self.findings, new_findings=self.findings
        )

    @cached_property
    def scenarios(self) -> tuple[ln.Scenario, ln.Scenario]:
        """Create a scenario from each plan."""
        first = ln.Scenario(name="a", topology=self.topology)
        return first, ln.Scenario(name="b", topology=self.other.topology)

    @cached_property
    def trust(self) -> ln.TrustPlan:
        """Return the trust plan: the roots that each server needs."""
        return ln.trust(self.plan)

    @cached_property
    def probe(self) -> Probe:
        """For each server, try to connect to a closed port."""
        hosts = self.new().with_suffix(".txt")
        ports = {
            target.server: target.port for target in list_targets(self.plan).ports if target.server
        }
        hosts.write_text("".join(f"{name} {port} 127.0.0.1:1\n" for name, port in ports.items()))
        return ln.probe(self.plan, hosts=hosts)

    @cached_property
    def forecast(self) -> ln.Forecast:
        """Create a forecast for two years."""
        return ln.forecast(self.plan, until=date(2028, 12, 31))

    @cached_property
    def on_record(self) -> ln.RequestBundle:
        """Return a request folder without keys, in which every certificate is recorded."""
        start = datetime(2026, 11, 1, tzinfo=UTC)
        return bundle_of(self.plan, lambda _: (start, start.replace(year=2027)))

    @cached_property
    def notebook(self) -> object:
        """Return a notebook that shows the plan and its picture."""
        html = self.plan._repr_html_() + ln.figure(self.plan)._repr_html_()
        output = new_output("display_data", data={"text/html": html})
        return new_notebook(cells=[new_code_cell("plan", outputs=[output])])


class Folder(Deployment):
    """A request folder for the given number of servers, in which every certificate is issued."""

    @cached_property
    def place(self) -> Path:
        """Create a folder for the files of this test deployment."""
        return self.new().parent

    @cached_property
    def quick(self) -> ln.CertificatePlan:
        """Return the plan, with keys that can be generated quickly."""
        return ln.plan_certificates(self.topology, ln.load_rules(), options=PlanOptions(key=P256))

    @cached_property
    def waiting(self) -> ln.RequestBundle:
        """Write requests for which the CA has not issued certificates yet."""
        return make_folder(self.place / "waiting", self.quick)

    @cached_property
    def bundle(self) -> ln.RequestBundle:
        """Write the requests, and save the issued certificates in issued.pem."""
        bundle, ca = make_folder(self.place / "requests", self.quick), _authority()
        (self.place / "issued.pem").write_bytes(pem(*issue_all(bundle, ca).values(), *ca.chain))
        return bundle

    @cached_property
    def received_requests(self) -> ln.RequestBundle:
        """Import the issued certificates into the request folder."""
        receive(self.bundle.folder, self.place / "issued.pem", today=TODAY)
        return ln.open_requests(self.bundle.folder)

    @cached_property
    def signers(self) -> Path:
        """Create the SSH key of an approver, and the list of keys that may approve plans."""
        public = make_key(self.place / "key")
        (self.place / "signers").write_text(f"alice@contoso.com {public}\n")
        return self.place / "signers"

    @cached_property
    def approved(self) -> ln.RequestBundle:
        """Write the requests of a saved plan that has been approved."""
        options = PlanOptions(key=P256, accepted={"oauth-key-too-small": "a test"})
        plan = ln.plan_certificates(self.topology, ln.load_rules(), options=options)
        findings = ln.check_plan(plan, on=TODAY)
        saved = ln.save_plan(plan, self.place / "p.json", findings=findings)
        signers = self.signers
        sign_by_hand(self.place / "key", saved.path)
        signed_plan = ln.read_saved_plan(saved.path)
        return make_folder(self.place / "approved", signed_plan, findings=None, approved_by=signers)

    @cached_property
    def issued(self) -> ln.IssuedCertificates:
        """Match the issued certificates with the requests."""
        return match_certificates(self.received_requests, today=TODAY)

    @cached_property
    def steps(self) -> ln.DeploymentSteps:
        """Return the deployment steps for the request folder."""
        return deployment_steps(self.issued, today=TODAY)

    @cached_property
    def as_is(self) -> AsIs:
        """Compare a plan with exports in which all planned certificates are installed."""
        folder = self.new()
        folder.mkdir()
        for number, certificate in enumerate(self.plan.certificates):
            data = export_of(
                certificate.servers[0],
                [Stored(issue_planned(certificate), certificate.usages)],
                above=authority().chain,
            )
            (folder / f"{number}.pem").write_bytes(data)
        return ln.compare_as_is(self.plan, folder, on=TODAY)


#: The folder for this test run, which a fixture sets.
_PLACE: list[Path] = []


@pytest.fixture(scope="module", autouse=True)
def _place(tmp_path_factory) -> None:
    _PLACE[:] = [tmp_path_factory.mktemp("writers")]


Prepared = Callable[[], object]
Writer = Callable[[Deployment], Prepared]


def make_format_writers(
    name: str, suffixes: Iterable[str], prepare: Callable[..., Prepared]
) -> dict[str, Writer]:
    """For each output format, return a function that measures one writer."""
    return {f"{name} {suffix}": partial(prepare, suffix=suffix) for suffix in suffixes}


def edited_csv(w: Deployment) -> Prepared:
    changes = {
        n: {"web_external_fqdn": f"new{n}.contoso.com"} for n in range(len(w.topology.cells))
    }
    return lambda: edit_csv("a.csv", w.table, changes)


def status_report(w: Folder, suffix: str) -> Prepared:
    status = folder_status(w.received_requests.folder, today=TODAY)
    return lambda: write_report(build_status_report(status), suffix)


def history_report(w: Folder, suffix: str) -> Prepared:
    history = certificate_history(w.received_requests.folder)
    return lambda: write_report(build_history_report(history), suffix)


def scenario_files(w: Deployment) -> Prepared:
    """Return a function that saves a scenario in a folder."""
    scenarios = Scenarios(w.new())
    return lambda: scenarios.keep(ln.Scenario(name="a", topology=w.topology))


def write_pair(first: ln.Forecast, second: ln.Forecast, suffix: str) -> bytes:
    """Compare two forecasts, and write the comparison."""
    return write_report(build_forecasts_report(compare_forecasts(first, second)), suffix)


#: Functions that write a plan or a result of a plan. The test measures only the second call,
#: because the first one prepares the data.
OF_PLANS: dict[str, Writer] = {
    **make_format_writers(
        "reports.summary.formats.write_plan_table",
        PLAN_SUFFIXES,
        lambda w, suffix: partial(write_plan_table, w.plan, w.findings, suffix),
    ),
    **make_format_writers(
        "base.shown.figure.Figure.to_svg",
        KINDS,
        lambda w, suffix: lambda plan=w.plan: ln.figure(plan, suffix).to_svg(),
    ),
    **make_format_writers(
        "reports.comparison_report.build_comparison_report",
        COMPARISON_FILE.is_ours,
        lambda w, suffix: (
            lambda pair=w.comparison: write_report(build_comparison_report(pair), suffix)
        ),
    ),
    **make_format_writers(
        "authorities.trust.trust_report.build_trust_report",
        TRUST_FILE.is_ours,
        lambda w, suffix: lambda plan=w.trust: write_report(build_trust_report(plan), suffix),
    ),
    **make_format_writers(
        "probes.result.build_probe_report",
        PROBE_FILE.is_ours,
        lambda w, suffix: lambda probe=w.probe: write_report(build_probe_report(probe), suffix),
    ),
    **make_format_writers(
        "forecasts.forecast_files.build_forecast_report",
        FORECAST_FILE.is_ours,
        lambda w, suffix: (
            lambda forecast=w.forecast: write_report(build_forecast_report(forecast), suffix)
        ),
    ),
    **make_format_writers(
        "forecasts.compare_forecasts.build_forecasts_report",
        FORECASTS_FILE.is_ours,
        lambda w, suffix: partial(write_pair, w.forecast, ln.forecast(w.other), suffix),
    ),
    "checks.compare_scenarios.ScenarioComparison": lambda w: (
        lambda pair=w.scenarios: ln.compare_scenarios(*pair)._repr_html_()
    ),
    "checks.saved_plan.save_plan": lambda w: partial(
        ln.save_plan, w.plan, w.new().with_suffix(".json"), findings=w.findings
    ),
    "jupyter.shared_page.render_notebook": lambda w: partial(
        render_notebook, w.notebook, title="a"
    ),
    "plan.options.PlanOptions.to_toml": lambda w: (
        PlanOptions(accepted={f"code-{n}": "because" for n in range(len(w.topology.cells))}).to_toml
    ),
    "plan.scenarios.Scenario.files": scenario_files,
    "request_folder.manifest.build_change": lambda w: partial(
        build_change, Manifest(), w.on_record.manifest
    ),
    "request_folder.renewals.Renewals.to_ical": lambda w: (
        lambda bundle=w.on_record: list_renewals(bundle).to_ical()
    ),
    "deploy.request_scripts.write_request_scripts": lambda w: (
        lambda plan=w.plan: write_request_scripts(request_scripts(plan, today=TODAY), w.new())
    ),
    "topology.csv_edit.edit_csv": edited_csv,
    "topology.topology.Topology.to_csv": lambda w: w.topology.to_csv,
    "topology.topology.Topology.to_xlsx": lambda w: w.topology.to_xlsx,
}

#: Functions that write a request folder, or a report about a request folder.
OF_FOLDERS: dict[str, Writer] = {
    "export.write.write_requests": lambda w: lambda plan=w.quick: make_folder(w.new(), plan),
    "authorities.kept_approval.read_approved_plan": lambda w: partial(
        read_approved_plan, w.approved.folder, w.approved.manifest, w.signers
    ),
    "authorities.summary_files.write_summary_files": lambda w: (
        lambda folder=w.bundle.folder: receive(folder, w.place / "issued.pem", today=TODAY)
    ),
    "authorities.status.folder_status": lambda w: (
        lambda folder=w.received_requests.folder: folder_status(folder, today=TODAY).to_document()
    ),
    "authorities.handover.hand_over": lambda w: (
        lambda folder=w.waiting.folder: hand_over(folder, w.new().with_suffix(".zip"))
    ),
    "deploy.checklist.to_html": lambda w: partial(to_html, w.steps),
    "deploy.checklist.to_markdown": lambda w: partial(to_markdown, w.steps),
    "deploy.step_files.write_steps": lambda w: (
        lambda: write_steps(deployment_steps(w.issued, today=TODAY), w.bundle.folder)
    ),
    "deploy.write_pfx.write_pfx": lambda w: partial(
        write_pfx, w.issued, passphrase=PASSPHRASE, today=TODAY, workers=1
    ),
    **make_format_writers(
        "authorities.survey.as_is.build_as_is_report",
        AS_IS_TABLE.is_ours,
        lambda w, suffix: lambda as_is=w.as_is: write_report(build_as_is_report(as_is), suffix),
    ),
    "authorities.survey.as_is.AsIs.to_json": lambda w: w.as_is.to_json,
    **make_format_writers(
        "authorities.status_report.build_status_report", STATUS_FILE.is_ours, status_report
    ),
    **make_format_writers(
        "authorities.status_report.build_history_report", HISTORY_FILE.is_ours, history_report
    ),
}

#: Functions that write a folder or a report, but only if the plan has an approver's signature.
SIGNED = {"authorities.kept_approval.read_approved_plan"}

#: Functions that are not timed separately, because a timed function calls them.
PARTS = {
    *("authorities.submission.list_name_lines", "authorities.submission.write_part_page"),
    *("authorities.submission.build_submit_script", "deploy.pfx_packages.make_packages"),
    *("deploy.powershell.fill_script", "deploy.server_script.build_import_script"),
    *("deploy.step_files.build_server_scripts", "export.write.write_summary"),
    "forecasts.calendar_file.build_calendar",
    *("reports.coverage_figure.draw_coverage", "plan.plan_json.plan_json"),
    "plan.saved_plan_json.encode_saved_plan",
    *("plan.scenarios.Scenarios.files", "reports.summary.formats.write_summary"),
    "reports.summary.markdown.write_markdown_summary",
    *("reports.summary.page.build_summary_page", "reports.summary.word.write_word_summary"),
    *("reports.summary.workbook.write_workbook", "reports.timeline_figure.draw_timeline"),
    *("reports.topology_figure.draw_topology",),
    *("request_folder.manifest.save_manifest", "request_folder.renewals.write_renewals"),
    *("request_folder.manifest.build_import", "request_folder.entries.write_entry"),
    "request_folder.entries.write_unfinished_entry",
    *("deploy.request_scripts.write_renewal_scripts", "deploy.server_script.build_script"),
    "deploy.server_script.build_request_script",
    *("export.order.Order.build_plan_file", "plan.saved_plan_json.encode_plan_in_parts"),
    *("request_folder.plan_file.read_present_plan", "request_folder.plan_file.read_plan_bytes"),
    "request_folder.plan_file.write_plan_file",
    *("topology.csv_file.write_csv", "topology.table_files.write_table_xlsx"),
    # Functions that write the input for render_notebook and read_notebook.
    *("jupyter.notebook_files.write_notebook", "jupyter.shared_page.share_notebook"),
    *("authorities.summary_files.list_summary_files", "request_folder.entries.build_entry"),
    # Functions of the panels and of the planner page that call the timed functions above.
    *("page.planner_page.make_planner_page", "page.session.PageSession.write_document"),
    "page.session.PageSession.write_request_files",
    *("reports.summary.page.draw_days", "widgets.editing.plan_views.draw_picture"),
    *("widgets.request_run.RequestRun.write_scripts", "widgets.editing.choices.save_plan"),
    *(
        "widgets.request_run.RequestRun.write_unattended",
        "widgets.status_panel.FolderWork.write_steps",
    ),
}

#: The growth of these functions is not measured. They read or encrypt data, return data for one
#: server, or write output that does not grow with a plan.
NO_WRITERS = {
    "request_folder.earlier_folder.read_earlier_history",
    "request_folder.manifest.encode_summary_hashes",
    *("authorities.returned.mail_messages.read_mail_parts", "export.key_and_csr.make_sealed_pair"),
    *(
        "plan.model.encode_digest_part",
        "plan.recorded_plan.read_plan_file",
    ),
    *("plan.scenarios.Scenarios.remove", "request_folder.recovery_key.write_recovery_list"),
    *(
        "deploy.checklist.translate_title_end",
        "deploy.package_passwords.PasswordList.save_passwords",
        "deploy.powershell.build_common_script",
    ),
    *(
        "rules.finding_page.build_finding_page",
        "topology.csv_file.read_source",
        "topology.table_files.build_template",
    ),
    *("widgets.editing.sheet.encode_rows", "widgets.editing.scenarios.EditorScenarios.remove"),
    # The run time of these functions depends on the size of the built page or of a server's chain,
    # not on a plan.
    *(
        "page.assemble.assemble_page",
        "page.modules.pack_modules",
        "probes.fetch.read_unverified_chain",
    ),
    # guide/test_guide.py measures the run time of the guide. The number of edits to plan.toml is
    # limited by the number of options.
    *("guide.answers.GuideAnswers.to_toml", "guide.first_plan.FirstPlan.files"),
    *("guide.first_plan.write_first_plan", "checks.plan_toml_edit.edit_plan_toml"),
    # This function returns one title in each language, so its run time does not depend on the size
    # of the plan.
    "deploy.checklist.translate_title_end",
}


@cache
def world(kind: type[Deployment], servers: int) -> Deployment:
    """Create a test deployment once for all functions that are measured."""
    return kind(servers)


def writers() -> set[str]:
    """Return the name of every public function and method that writes output.

    Such a function returns bytes or a report, or its name is typical, such as ``to_csv``. The
    packages base and pki do not know plans, and cli only passes data on, so they are left out.
    """
    return {
        name
        for name, function in public_functions(methods=True)
        if not name.startswith(("base.", "cli.", "pki."))
        and (
            re.search(r"\bbytes\b|\bReport\b", str(inspect.signature(function).return_annotation))
            or re.search(r"\.(write|save|draw|share)_\w+$|_(page|markdown)$", name)
            or re.search(r"\.to_(csv|file|html|ical|json|markdown|svg|toml|xlsx)$", name)
        )
    }


def test_every_writer_is_listed():
    """Each function that writes output has a test of its run time, unless another tested function
    calls it or its output does not depend on the size of a plan.
    """
    timed = {name.partition(" ")[0] for name in {**OF_PLANS, **OF_FOLDERS}}
    assert writers() - timed - PARTS - NO_WRITERS == set()
    assert PARTS | NO_WRITERS <= writers()
    assert not (PARTS | NO_WRITERS) & timed


@pytest.mark.slow
@pytest.mark.parametrize("writer", OF_PLANS)
def test_writing_time_is_proportional_to_the_servers(writer):
    """The run time of each function that writes a plan's results is proportional to the number of
    servers.
    """

    def make(servers: int) -> Prepared:
        return OF_PLANS[writer](world(Deployment, servers))

    make(5)()  # The first call of a function may import a library.
    assert find_superlinear_size(make, size=100, most=800) is None


@pytest.mark.parametrize(
    "writer",
    [pytest.param(name, marks=[needs_ssh_keygen] if name in SIGNED else []) for name in OF_FOLDERS],
)
def test_writing_time_is_proportional_to_the_requests(writer):
    """The run time of each function that writes a request folder is proportional to the number of
    requests, up to 200.
    """

    def make(servers: int) -> Prepared:
        return OF_FOLDERS[writer](world(Folder, servers))

    make(2)()
    assert find_superlinear_size(make, size=25, most=100) is None
