"""The Import and Assign columns of the summary contain the same commands as the steps, even after a
renewal.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import openpyxl
import pytest
from deploy.walk import NOON, OLD_END, packages_of
from folders import PASSPHRASE, TODAY, make_issued_folder
from places import DATA
from topologies import STANDARD_EDITION

from lyncnb.deploy.recorded_commands import list_install_commands
from lyncnb.deploy.step_files import write_steps
from lyncnb.deploy.steps import build_procedure, deployment_steps
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.export.write import write_requests
from lyncnb.plan.planner import plan_certificates
from lyncnb.request_folder.bundle import open_requests
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

pytestmark = pytest.mark.usefixtures("quick_cipher")

PRODUCTS = ("lync2013", "sfb2015", "sfb2019", "sfbse")
IMPORT_STEPS = ("import", "import-edge", "import-other", "import-application")


def _cells(folder):
    """Return the values of the Import and Assign columns in a folder's CSV file for each request
    ID, and check that the workbook contains the same values.
    """
    text = (folder / "summary.csv").read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    book = openpyxl.load_workbook(io.BytesIO((folder / "summary.xlsx").read_bytes()))
    head, *files = book["Files"].iter_rows(values_only=True)
    columns = [head.index(name) for name in ("ID", "Import", "Assign")]
    in_book = {row[columns[0]]: (row[columns[1]], row[columns[2]]) for row in files}
    in_csv = {row["Certificate"]: (row["Import"], row["Assign"]) for row in rows}
    assert in_book == in_csv
    return in_csv


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("sample", sorted(path.name for path in DATA.glob("*.csv")))
@pytest.mark.parametrize("old_end", [None, OLD_END], ids=["first", "renewal"])
def test_every_summary_command_is_on_the_checklist(product, sample, old_end):
    """Every command in the summary is also on the checklist of each server that has the
    certificate.
    """
    rules, table = load_rules(product), read_topology(DATA / sample).to_frame()
    known = read_topology(table[table["role"].isin(rules.roles)])
    packages = packages_of(plan_certificates(known, rules), old_end)
    steps = build_procedure(packages, rules, now=NOON)
    cells = list_install_commands(steps)
    assert cells.keys() == {package.id for package in packages}
    for server in steps.servers:
        for package in server.packages:
            printed = [s for s in server.steps if s.package == package.file and s.step.paper]
            imports, assigns = cells[package.id]
            import_commands = [c for s in printed if s.step.id in IMPORT_STEPS for c in s.commands]
            assert import_commands
            assert set(import_commands) <= set(imports)
            calls = [c for s in printed for c in s.commands if "Set-CsCertificate" in c]
            assert set(calls) <= set(assigns)
            if package.usages:
                assert [line for line in assigns if "Set-CsCertificate" in line] == calls
    for number, column in enumerate(("Import", "Assign")):
        for package in packages:
            printed = {
                command
                for server in steps.servers
                for step in server.steps
                if step.package == package.file and step.step.column == column
                for command in step.commands
            }
            cell_commands = {line for line in cells[package.id][number] if not line.startswith("#")}
            assert cell_commands == printed


@pytest.fixture(scope="module")
def renewed(tmp_path_factory):
    """Return the sample deployment with packages, and the commands in its summary before and after
    packaging.
    """
    folder = tmp_path_factory.mktemp("cells")
    issued = make_issued_folder((DATA / "contoso.csv").read_bytes(), folder)
    before = _cells(issued.folder)
    write_pfx(issued.match_issued(), passphrase=PASSPHRASE, today=TODAY)
    return issued, before


def test_cells_say_that_no_package_exists(renewed):
    """Before a certificate is packaged, its cells in the summary say that there is no package, and
    contain no placeholder for the thumbprint.
    """
    _, before = renewed
    assert set(before.values()) == {("after packaging", "after packaging")}


def test_packaging_fills_the_cells(renewed):
    """After a certificate is packaged, its cells in the summary contain the commands of the steps,
    without passwords.
    """
    issued, _ = renewed
    steps = deployment_steps(issued.match_issued(), today=TODAY)
    expected = {
        request: tuple("\n".join(lines) for lines in columns)
        for request, columns in list_install_commands(steps).items()
    }
    cells = _cells(issued.folder)
    assert cells == expected
    text = "\n".join(map("\n".join, cells.values()))
    assert "<thumbprint>" not in text
    assert "Read-Host '" not in text
    assert "-importpfx My 'C:\\certificates\\" in text


def test_effective_time_is_in_the_cell(renewed):
    """If the user specifies an effective time for the steps, the Assign column of the summary
    contains it.
    """
    issued, _ = renewed
    time = datetime(2027, 3, 2, 8, tzinfo=UTC)
    steps = deployment_steps(
        issued.match_issued(), effective={"OAuthTokenIssuer": time}, today=TODAY
    )
    write_steps(steps, issued.folder)
    (oauth,) = (cell for name, cell in _cells(issued.folder).items() if "Deployment" in name)
    assert "'2027-03-02T08:00:00Z'" in oauth[1]
    assert "-Roll -EffectiveDate ([datetime]" in oauth[1]


def test_repeated_commands_do_not_change_the_summary(renewed):
    """If the steps or request command is repeated, the summary does not change."""
    issued, _ = renewed
    steps = deployment_steps(issued.match_issued(), today=TODAY)
    write_steps(steps, issued.folder)
    before = {path: path.read_bytes() for path in issued.folder.rglob("*.*") if path.is_file()}
    write_steps(steps, issued.folder)
    plan = plan_certificates(read_topology(DATA / "contoso.csv"), load_rules("lync2013"))
    write_requests(plan, issued.folder, passphrase=PASSPHRASE, today=TODAY)
    assert {path: path.read_bytes() for path in before} == before


def test_renewal_clears_the_cells_of_the_renewed_request(tmp_path):
    """After a renewal, the cells of the renewed request say that there is no package, and the other
    cells do not change.
    """
    issued = make_issued_folder(STANDARD_EDITION.encode(), tmp_path)
    write_pfx(issued.match_issued(), passphrase=PASSPHRASE, today=TODAY)
    before = _cells(issued.folder)
    name = next(iter(before))
    plan = plan_certificates(read_topology(STANDARD_EDITION.encode()), load_rules("lync2013"))
    write_requests(
        plan, issued.folder, passphrase=PASSPHRASE, renew=[name], reason="test", today=TODAY
    )
    assert open_requests(issued.folder).manifest.by_id[name].generation == 2
    assert _cells(issued.folder) == before | {name: ("after packaging", "after packaging")}
