"""The planners' notebooks match their sources, can run again, and contain nothing confidential.

With ``--refresh``, each ``notebooks/NAME.ipynb`` is created again from ``notebooks/NAME.py``.
Without it, the test runs the notebook and fails if a text output differs.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pandas as pd
import pytest
from big_topology import big_table
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from palette_png import reduce_colors
from places import DATA, REPOSITORY
from random_plans import random_rows
from saved_outputs import leads_somewhere, remove_dead_links
from topologies import row, table
from topology_documents import front_end, topology_builder
from traitlets.config import Config

import lyncnb as ln
from lyncnb.base.shown.browser_print import draw_picture
from lyncnb.jupyter.leak_scan import scan_notebook
from lyncnb.jupyter.notebook_files import read_notebook, strip_widgets
from lyncnb.jupyter.png_pictures import split_pictures
from lyncnb.jupyter.run_notebook import run_notebook
from lyncnb.pki.passphrase import Secret

NOTEBOOKS = REPOSITORY / "notebooks"
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.py"))

# Patterns for output that differs between runs or computers, which documentation must not contain.
PERISHABLE = re.compile(
    r"\b[0-9a-f]{32,}\b"  # Hashes differ between runs of a notebook.
    r"|\b\d\d:\d\d:\d\d\b"  # Times of day differ between runs of a notebook.
    # Memory addresses differ between runs. The lookbehind excludes the same characters in the data
    # of a picture.
    r"|(?<![\w+/])0x[0-9a-f]{6,}"
    r"|(?<![\w.:/])/(?:root|home|tmp|Users|var)/"  # Paths differ between computers, so the comparison ignores them.
)


def read_source(name: str):
    """Read the source of a notebook. Its cell ids are the same in each run."""
    notebook = jupytext.read(NOTEBOOKS / f"{name}.py")
    notebook.metadata = {
        key: notebook.metadata[key] for key in ("kernelspec",) if key in notebook.metadata
    }
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number:02}"
    return notebook


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Run the notebooks one after another in one workspace. Return the workspace and the executed
    copies.
    """
    folder = tmp_path_factory.mktemp("workspace")
    shutil.copytree(DATA, folder / "data")
    (folder / "notebooks").mkdir()
    for name in NAMES:
        nbformat.write(read_source(name), folder / "notebooks" / f"{name}.ipynb")
    return folder, run_all(folder)


def run_all(folder: Path) -> dict[str, nbformat.NotebookNode]:
    """Run each notebook in a workspace, and return the executed copies by name."""
    copies = {}
    for name in NAMES:
        path = folder / "notebooks" / f"{name}.ipynb"
        run = run_notebook(path, passphrase=lambda: Secret("only for the documentation"))
        copies[name] = read_notebook(run.executed)
    return copies


@pytest.fixture(scope="module", params=NAMES)
def executed(request, workspace):
    """Run a notebook, and return its name and the executed copy."""
    name = request.param
    notebook = workspace[1][name]
    strip_widgets(notebook)
    notebook.metadata.pop(
        "lyncnb", None
    )  # Only the metadata of an executed copy marks the notebook as a copy.
    notebook.metadata.pop("language_info", None)  # The version of Python differs between computers.
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "text/html" in data:
                data["text/html"] = remove_dead_links(data["text/html"], NOTEBOOKS)
    if request.config.getoption("--refresh"):
        split_pictures(notebook, lambda svg: reduce_colors(draw_picture(svg)))
        nbformat.write(notebook, NOTEBOOKS / f"{name}.ipynb")
    else:
        split_pictures(notebook, lambda _: b"")
    return name, notebook


@pytest.mark.kernel
def test_every_notebook_runs_twice_in_one_workspace(workspace):
    """All notebooks can run one after another in one workspace, and then again, and none of them
    changes the requests of another.
    """
    folder, _ = workspace
    before = requests_in(folder)
    run_all(folder)
    assert len(before) > 0
    assert requests_in(folder) == before


def requests_in(folder: Path) -> dict[Path, bytes]:
    """Return every request and every key in a workspace."""
    return {
        path: path.read_bytes() for suffix in ("csr", "key") for path in folder.rglob(f"*.{suffix}")
    }


# The last digits in the name of a request's file are those of its key, which is new in each run.
_KEY_DIGITS = re.compile(r"-(?:<wbr>)?[0-9a-f]{8}(?=\.(?:<wbr>)?(?:csr|key|pfx)\b)")


def text_outputs(cell) -> list[str]:
    """Return the text outputs of a cell, without the digits of a key in the names of files."""
    outputs = [
        output.get("text", "")
        or "\n".join(output.get("data", {}).get(kind, "") for kind in ("text/plain", "text/html"))
        for output in cell.get("outputs", ())
    ]
    return [_KEY_DIGITS.sub("", text) for text in outputs]


@pytest.mark.kernel
def test_committed_outputs_match_a_new_run(executed):
    """In a new run, every cell has the source and the text output of the committed notebook."""
    name, now = executed
    committed = read_notebook(NOTEBOOKS / f"{name}.ipynb")
    assert [cell.source for cell in committed.cells] == [cell.source for cell in now.cells]
    for number, (before, after) in enumerate(zip(committed.cells, now.cells, strict=True), 1):
        assert text_outputs(before) == text_outputs(after), f"{name} cell {number}"


def convert_to_semicolons(data: bytes) -> bytes:
    """Convert a CSV file to UTF-16 with semicolons, as Excel writes it in countries with a decimal
    comma.
    """
    rows = csv.reader(data.decode("utf-8-sig").splitlines())
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerows(rows)
    return text.getvalue().encode("utf-16")


def convert_to_workbook(data: bytes) -> bytes:
    """Write a CSV file as a workbook."""
    file = io.BytesIO()
    pd.read_csv(io.BytesIO(data), dtype=str).to_excel(file, index=False, engine="xlsxwriter")
    return file.getvalue()


def failing_cells(name: str, folder: Path, **parameters: object) -> list[str]:
    """Run the code cells of a notebook with the given parameters, and return the numbers and errors
    of the cells that fail.
    """
    shutil.copytree(DATA, folder / "data", dirs_exist_ok=True)
    notebooks = folder / "notebooks"
    notebooks.mkdir(exist_ok=True)
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    failed = []
    with contextlib.chdir(notebooks), capture_output():
        for number, cell in enumerate(read_source(name).cells, start=1):
            if cell.cell_type != "code":
                continue
            source = cell.source
            if "parameters" in cell.metadata.get("tags", ()):
                source += "".join(f"\n{key} = {value!r}" for key, value in parameters.items())
            result = shell.run_cell(source, store_history=True)
            error = result.error_before_exec or result.error_in_exec
            failed += [f"cell {number}: {error!r}"] if error else []
    return failed


@pytest.mark.parametrize(
    ("file", "conversion"),
    [
        ("contoso.csv", None),
        ("single-server.csv", None),  # The table has no Edge Server and few columns.
        ("litwareinc-global.csv", None),
        ("contoso-zh-TW.csv", None),  # The headings of the table are in Chinese.
        ("contoso.csv", convert_to_semicolons),
        ("contoso.csv", convert_to_workbook),
        # The table starts with a title row above the headings.
        ("contoso.csv", lambda data: b"Our servers\n\n" + data),
        ("contoso.csv", lambda _: topology_builder([front_end("pool.contoso.com")]).encode()),
        ("contoso.csv", lambda _: big_table(300)),
        # The plan contains no certificate.
        ("contoso.csv", lambda _: table(row("sql01.contoso.com", "Database"))),
    ],
)
def test_planning_notebook_runs_on_any_table(tmp_path, file, conversion):
    """If a planner changes only the path of the table, all cells of the planning notebook run, even
    with a workbook, a topology document, or 300 servers.
    """
    data = (DATA / file).read_bytes()
    path = tmp_path / ("table.xlsx" if conversion is convert_to_workbook else "table.csv")
    path.write_bytes(conversion(data) if conversion else data)
    assert failing_cells("plan", tmp_path, topology_file=str(path)) == []


def test_planning_notebook_runs_on_any_deployment(tmp_path, any_deployment):
    """All cells of the planning notebook run on a deployment that is not like the sample, with the
    options next to its table.
    """
    (tmp_path / "mine").mkdir()
    for path in (any_deployment.table, any_deployment.options):
        if path:
            shutil.copy(path, tmp_path / "mine")
    table_file = tmp_path / "mine" / any_deployment.table.name
    assert failing_cells("plan", tmp_path, topology_file=str(table_file)) == []


@pytest.mark.parametrize("seed", range(int(os.environ.get("LYNCNB_TABLES", "3"))))
def test_planning_notebook_runs_on_random_tables(tmp_path, seed):
    """All cells of the planning notebook run for a random table of one to nine servers, which may
    contain errors.
    """
    path = tmp_path / "table.csv"
    path.write_bytes(table(*random_rows(random.Random(seed)), sip_domains="contoso.com"))
    assert failing_cells("plan", tmp_path, topology_file=str(path)) == []


@pytest.mark.parametrize("file", ["single-server.csv", "litwareinc-global.csv"])
def test_exploring_notebook_runs_on_other_tables(tmp_path, file):
    """All cells of the exploring notebook run with another table, even if the table lacks the role
    that is set in ``optional_role``.
    """
    assert failing_cells("explore", tmp_path, topology_file=str(DATA / file)) == []
    assert files_in(tmp_path) == {}


def test_exploring_notebook_runs_on_any_deployment(tmp_path, any_deployment):
    """All cells of the exploring notebook run on a deployment that is not like the sample."""
    assert failing_cells("explore", tmp_path, topology_file=str(any_deployment.table)) == []
    assert files_in(tmp_path) == {}


def files_in(folder: Path) -> dict[Path, bytes]:
    """Return every file in a folder except the samples."""
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and folder / "data" not in path.parents
    }


def test_receiving_notebook_issues_the_sample_certificates(tmp_path, monkeypatch):
    """All cells of the receiving notebook run without errors. The notebook issues, matches and
    records certificates for the sample.
    """
    monkeypatch.setenv("LYNCNB_PASSPHRASE", "only for the documentation")
    assert failing_cells("receive", tmp_path) == []
    returned_folder = tmp_path / "notebooks" / "sample-requests" / "returned"
    assert len(list(returned_folder.glob("*.cer"))) == 11


@pytest.mark.parametrize("is_answered", [True, False])
def test_receiving_notebook_writes_nothing_to_another_folder(tmp_path, is_answered, deployment):
    """If the planner specifies another folder, all cells of the receiving notebook run, and write
    nothing unless `write_in_code` is set.
    """
    folder = tmp_path / "mine"
    bundle = ln.write_requests(
        deployment.plan(), folder, passphrase=Secret("only for the documentation")
    )
    if is_answered:
        ln.demo.answer(bundle, tmp_path / "notebooks" / "answers")
    before = files_in(tmp_path)
    assert failing_cells("receive", tmp_path, request_folder=str(folder)) == []
    assert files_in(tmp_path) == before
    parameters = {"request_folder": str(folder), "write_in_code": True}
    assert failing_cells("receive", tmp_path, **parameters) == []
    assert (tmp_path / "notebooks" / "for-the-cas.zip").is_file()
    assert any(folder.glob("returned/*.cer")) is is_answered


# Code that runs the cells of a notebook up to the last one that checks a plan, and prints the
# findings.
CHECKS_OF_A_NOTEBOOK = """
import datetime, json, sys
assert datetime.datetime.now(datetime.UTC).year == 2030
space, found = {"display": lambda *_: None}, []  # a kernel has it
for source in json.load(sys.stdin):
    exec(source, space)
    if "check_plan(" in source:
        found.append(repr(eval(source.rstrip().splitlines()[-1], space)))
json.dump(found, sys.stdout)
"""


@pytest.mark.tools
def test_checks_of_the_notebook_do_not_depend_on_the_clock():
    """If the planning notebook runs in the year 2030, its checks print the same findings as in the
    committed outputs.
    """
    cells = [c for c in read_notebook(NOTEBOOKS / "plan.ipynb").cells if c.cell_type == "code"]
    last = max(number for number, c in enumerate(cells) if "check_plan(" in c.source)
    result = subprocess.run(
        ["faketime", "2030-01-01 12:00:00", sys.executable, "-c", CHECKS_OF_A_NOTEBOOK],
        input=json.dumps([cell.source for cell in cells[: last + 1]]),
        cwd=NOTEBOOKS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    committed = [
        output.data["text/plain"]
        for cell in cells
        if "check_plan(" in cell.source
        for output in cell.outputs
    ]
    # The command prints the findings as JSON in the last line of its output.
    assert json.loads(result.stdout.splitlines()[-1]) == committed


@pytest.mark.parametrize("name", NAMES)
def test_notebook_has_the_cells_of_its_source(name):
    """The committed notebook has the same cells and tags as its source."""
    source, committed = read_source(name), read_notebook(NOTEBOOKS / f"{name}.ipynb")
    for before, after in zip(source.cells, committed.cells, strict=True):
        assert (before.cell_type, before.source) == (after.cell_type, after.source)
        assert before.metadata.get("tags") == after.metadata.get("tags")


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_short_and_plain(name):
    """A notebook has at most 40 cells, the planning notebook 20, and its file is not larger than
    400 KB. Each code cell is short and has text above it.
    """
    path = NOTEBOOKS / f"{name}.ipynb"
    cells = read_notebook(path).cells
    assert path.stat().st_size <= 400_000
    assert len(cells) <= (20 if name == "plan" else 40)
    for number, (before, cell) in enumerate(itertools.pairwise(cells), start=2):
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 12, number
            assert not re.search(r"^\s*(?:def|class|async|lambda)\b", cell.source, re.M), number
            assert before.cell_type == "markdown", f"no prose before cell {number}"


def test_the_first_five_cells_do_what_was_requested():
    """After the parameters, the first five code cells of the planning notebook show the table in a
    DataFrame, the editor with a control, the plan, the button, and the summary. No other cell of the
    notebook shows a table of another deployment.
    """
    cells = [c for c in read_notebook(NOTEBOOKS / "plan.ipynb").cells if c.cell_type == "code"]
    shown = [
        "\n".join(output.get("data", {}).get("text/html", "") for output in cell.outputs)
        for cell in cells
    ]
    words = (
        ("ln.read_table(topology_file)", 'class="dataframe"'),
        ("table=topology_file", "Servers of contoso.csv"),
        ("plan", "14 certificates for Lync Server 2013"),
        ("ln.RequestPanel(editor, request_folder)", "14 requests"),
        ("request.summary", "Subject alternative names"),
    )
    for cell, page, (code, text) in zip(cells[1:], shown[1:], words, strict=False):
        assert code in cell.source
        assert text in page
    control = cells[2].source.partition("\n\n")[2].splitlines()
    assert len(control) <= 6
    assert sum("ipywidgets.Dropdown(" in line for line in control) == 2
    assert "lambda" not in "\n".join(cell.source for cell in cells)
    assert "pd.read_csv(topology_file" in "\n".join(
        cell.source for cell in read_notebook(NOTEBOOKS / "plan.ipynb").cells
    )


@pytest.mark.parametrize("name", NAMES)
def test_notebook_has_one_parameters_cell(name):
    """Only the first code cell has the tag "parameters"."""
    code = [cell for cell in read_notebook(NOTEBOOKS / f"{name}.ipynb").cells if "outputs" in cell]
    tagged = [
        index for index, cell in enumerate(code) if "parameters" in cell.metadata.get("tags", ())
    ]
    assert [0] == tagged


@pytest.mark.parametrize("name", NAMES)
def test_notebook_was_run_once_from_top_to_bottom(name):
    """In each notebook, the execution counts are 1, 2, 3 …, and no cell shows an error or a
    warning.
    """
    code = [cell for cell in read_notebook(NOTEBOOKS / f"{name}.ipynb").cells if "outputs" in cell]
    assert list(range(1, len(code) + 1)) == [cell.execution_count for cell in code]
    kinds = {output.get("name", output.output_type) for cell in code for output in cell.outputs}
    assert kinds & {"error", "stderr", "stdin"} == set()


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_png_and_links_work(name):
    """A notebook has one to three pictures. Each is a PNG output with a palette and at most 60 KB,
    which any viewer can show. Each link works.
    """
    cells = read_notebook(NOTEBOOKS / f"{name}.ipynb").cells
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    pictures = [
        output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})
    ]
    assert 1 <= len(pictures) <= 3
    for picture in map(base64.b64decode, pictures):
        assert picture.startswith(b"\x89PNG\r\n")
        # This byte of the header is the kind of the colors, which is 3 for a palette.
        assert (picture[25], len(picture) <= 60_000) == (3, True)
    pages = [output.data.get("text/html", "") for output in outputs if "data" in output]
    assert not any("data:image/svg" in page for page in pages)
    links = re.findall(r'href="([^"]+)"', "\n".join(pages))
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    links += re.findall(r"\]\(([^)\s]+)\)", "\n".join(texts))
    assert [link for link in links if not leads_somewhere(link, NOTEBOOKS)] == []


@pytest.mark.parametrize("name", NAMES)
def test_notebook_may_be_shared(name):
    """The notebook contains no secret, widget state, run time, hash, key, time of day, or path."""
    notebook = read_notebook(NOTEBOOKS / f"{name}.ipynb")
    assert scan_notebook(notebook, name=name) == ()
    assert set(notebook.metadata) <= {"kernelspec", "title"}
    text = (NOTEBOOKS / f"{name}.ipynb").read_text("utf-8")
    assert "vnd.jupyter.widget" not in text
    assert "anywidget" not in text
    assert [match[0] for match in PERISHABLE.finditer(text)] == []
