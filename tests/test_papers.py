"""The commands in README, docs, and hints exist, and the lists in the documentation match the data."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from docs_session import blocks_of
from places import REPOSITORY
from windows.journey import COMMANDS as COMPARED

from lyncnb.base.shown.tables import to_markdown
from lyncnb.cli.app import COMMANDS
from lyncnb.guide.questions import read_interview
from lyncnb.jupyter.notebook_files import read_notebook
from lyncnb.topology.columns import list_topology_columns

_README = REPOSITORY / "README.md"
_FILES = [
    *REPOSITORY.glob("*.md"),
    *(REPOSITORY / "docs").glob("*.md"),
    *(REPOSITORY / "notebooks").glob("*.py"),
    *(path for path in (REPOSITORY / "lyncnb").rglob("*.*") if "__pycache__" not in path.parts),
]
_COMMANDS = {command.name: command for command in COMMANDS}
_WHERE = {
    "server": "server",
    "pool": "pool",
    "site": "site, or the deployment",
    "deployment": "deployment",
}


def _find_commands():
    """Yield each command in documents, hints, and pages, with its position, name, and options."""
    for path in _FILES:
        is_ours = path.suffix in {".md", ".py", ".toml", ".j2", ".js"} and "tests" not in path.parts
        if not is_ours or path.name == "CHANGELOG.md":
            continue
        text = path.read_text("utf-8")
        # In a code block, each line is a command. In other text, a command may continue on the next
        # line.
        text = re.sub(r"```.+?```", lambda block: block[0].replace("\n", ";"), text, flags=re.S)
        text = re.sub(r'"\n\s+f?"|\n', " ", text)
        for name, arguments in re.findall(
            r"\blyncnb ([a-z]+(?:-[a-z]+)*)\b((?: +[^ `\"';:,()|]+)*)", text
        ):
            before_next = arguments.partition(" lyncnb ")[0]
            yield path, name, re.findall(r"(?<=\s)--?[a-z][a-z-]*", before_next)


def test_documents_contain_only_existing_commands():
    """The documents, hints, and pages contain only commands and options that exist."""
    command_count, wrong = 0, []
    for path, name, options in _find_commands():
        if name not in _COMMANDS:
            continue  # Phrases such as "lyncnb makes" are not commands.
        known = {
            spelling
            for option in _COMMANDS[name].params
            if isinstance(option, click.Option)
            for spelling in option.opts
        }
        command_count += 1
        wrong += [
            (str(path), name, spelling)
            for spelling in options
            if spelling not in {*known, "--help"}
        ]
    assert command_count > 60
    assert wrong == []


_PLACE = re.compile(r"\[[^\]]+\]\((?P<path>[^)#]+)\): `(?P<text>[^`]+)`")


def _text_of(path: Path) -> str:
    if path.suffix == ".ipynb":
        return "\n".join(cell.source for cell in read_notebook(path).cells)
    return path.read_text("utf-8-sig")


def _rows_of_the_page() -> list[tuple[str, str]]:
    page = (REPOSITORY / "docs" / "in-advance.md").read_text("utf-8")
    tables = page.partition("## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", tables, re.M)
    return [row for row in rows if not row[1].startswith("Where")]


@pytest.mark.parametrize(("sentence", "reference"), _rows_of_the_page())
def test_each_sentence_is_in_the_listed_file(sentence, reference):
    """For each sentence on Microsoft's page, docs/in-advance.md lists a file and a text. The file
    exists and contains the text.
    """
    matches = list(_PLACE.finditer(reference))
    assert _PLACE.sub("", reference).strip(" ,") == "", sentence
    assert matches
    for match in matches:
        path = (REPOSITORY / "docs" / match["path"]).resolve()
        assert path.is_relative_to(REPOSITORY)
        assert match["text"] in _text_of(path), (sentence, match["path"])


def test_the_readme_begins_with_the_page_and_the_libraries():
    """Before its first section, the README names Microsoft's page with its requirements, and the
    libraries that lyncnb uses.
    """
    first = _README.read_text("utf-8").partition("## ")[0]
    page = "Request certificates in advance (optional) for Lync Server\n2013"
    for words in (page, "optional", "exportable", "subject alternative", "pandas", "ipywidgets"):
        assert words in first


def test_python_of_the_readme_runs(request, tmp_path):
    """The Python cells in the README run in order, and print the outputs that the README shows.

    The option --refresh updates these outputs.
    """
    text = _README.read_text("utf-8")
    cells = re.sub(r"^```sh\n.+?^```$", "", text, flags=re.M | re.S)
    shutil.copytree(REPOSITORY / "data", tmp_path / "data")
    run = "import json, sys, docs_session as d; print(json.dumps(d.run_page(sys.argv[1])))"
    completed = subprocess.run(
        [sys.executable, "-c", run, cells],
        cwd=tmp_path,
        env={
            **os.environ,
            "LYNCNB_PASSPHRASE": "only for the sample",
            "PYTHONPATH": str(REPOSITORY / "tests"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    results = json.loads(completed.stdout)
    outputs, output = [], ""
    for block, result in zip(blocks_of(cells), results, strict=True):
        if block.kind == "text":
            outputs.append((block.source, output))
        output = result[1] if result else output
    assert len(outputs) > 2
    rows = text.partition("<!-- plan table -->")[2].partition("<!-- end")[0].count("\n| ") - 2
    shown = [result[1] for result in results if result]
    assert sum(text.startswith(f"{rows} certificates for ") for text in shown) == 1
    if request.config.getoption("--refresh"):
        texts = [block for block in blocks_of(text) if block.kind == "text"]
        for block, (_, now) in reversed([*zip(texts, outputs, strict=True)]):
            text = text[: block.span[0]] + now + text[block.span[1] :]
        _README.write_text(text, "utf-8")
    else:
        assert [before for before, _ in outputs] == [now for _, now in outputs]


def test_every_command_line_of_the_readme_has_a_test():
    """Every command line in the README is run by another test or by .ci/run."""
    lines = [block.source for block in blocks_of(_README.read_text("utf-8")) if block.kind == "sh"]
    assert [line.strip().rpartition("/")[2] for line in lines] == [
        "lyncnb run",
        "lyncnb lab",
        "pytest -n auto --dist loadfile",
    ]


def check_table(request, page: Path, mark: str, table: str) -> None:
    """Check that the table between two marks on a page matches the current data.

    With the option --refresh, the function updates the table instead.
    """
    before, start, rest = page.read_text("utf-8").partition(f"<!-- {mark} -->\n")
    page_table, end, after = rest.partition(f"<!-- end of {mark} -->")
    if request.config.getoption("--refresh"):
        page.write_text(f"{before}{start}{table}{end}{after}", "utf-8")
    else:
        assert page_table == table


def test_the_guide_page_lists_the_omitted_questions(request):
    """docs/first-plan.md lists the questions that the guide does not ask, with their sources."""
    rows = [
        (question.what, question.instead, question.source) for question in read_interview().left_out
    ]
    table = to_markdown(("Planning Tool", "Here", "Source"), rows)
    check_table(request, REPOSITORY / "docs" / "first-plan.md", "planning tool", table)


def test_the_table_page_lists_every_column(request):
    """docs/table-of-servers.md lists all columns, and --refresh updates the list."""
    rows = [
        (c.name, _WHERE[c.scope], c.help, ", ".join(c.roles) or "all")
        for c in list_topology_columns()
    ]
    table = to_markdown(("Column", "One value for each", "Values", "Roles"), rows)
    check_table(request, REPOSITORY / "docs" / "table-of-servers.md", "columns", table)


def _read_what_ran(report: str) -> dict[str, set[str]]:
    """Return the commands that succeeded in each test file, from the pytest report of .ci/windows."""
    ran: dict[str, set[str]] = {}
    for test in ElementTree.parse(report).iter("testcase"):
        if test.find("skipped") is None:
            names = {element.get("value") for element in test.iter("property")}
            file = re.sub(r"\.Test\w+$", "", test.get("classname"))
            ran.setdefault(file, set()).update(names)
    return ran


def test_the_windows_page_lists_the_commands_that_ran(request):
    """docs/windows.md lists the commands and the test files that .ci/windows ran.

    Only .ci/windows has the report of pytest. If there is no report, only the names in the lists
    are compared.
    """
    page, mark = REPOSITORY / "docs" / "windows.md", "run on Windows"
    if "LYNCNB_RAN_ON_WINDOWS" not in os.environ:
        lists = page.read_text("utf-8").partition(f"<!-- {mark} -->\n")[2].replace("\\", "")
        lists = lists.partition(f"<!-- end of {mark} -->")[0]
        rows = [line.strip("| ").split(" | ") for line in lists.splitlines() if "---" not in line]
        packages = rows.index(["Tests of", "Files"])
        assert [row[0] for row in rows[1 : packages - 1]] == sorted(_COMMANDS)
        for package, files in rows[packages + 1 :]:
            for name in files.split(", "):
                assert (REPOSITORY / "tests" / package / f"test_{name}.py").is_file()
        return
    ran = _read_what_ran(os.environ["LYNCNB_RAN_ON_WINDOWS"])
    same = {line.split()[0] for line in COMPARED}
    rows = []
    for command in sorted(_COMMANDS):
        files = [file.rpartition("test_")[2] for file in sorted(ran) if command in ran[file]]
        compared = "the same files and output" if command in same else ""
        rows.append((command, compared, ", ".join(files) or "never"))
    table = to_markdown(("Command", "Compared with Linux", "Run by"), rows)
    files = [file.removeprefix("tests.").split(".test_") for file in sorted(ran)]
    rows = [
        (package, ", ".join(name for _, name in group))
        for package, group in groupby(files, key=lambda file: file[0])
    ]
    table += "\n" + to_markdown(("Tests of", "Files"), rows)
    check_table(request, page, mark, table)
