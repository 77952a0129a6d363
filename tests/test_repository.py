"""The repository contains no private key, no real name, and no path or address of a developer's
computer.
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from places import REPOSITORY

import lyncnb as ln
from lyncnb.base.shown.tables import to_markdown

# The code splits the words that mark unfinished work. Otherwise, this test would find them in its
# own file.
UNDONE = re.compile(
    "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "raise NotImplemented" + "Error"))
)
ADDRESSES = re.compile(
    "|".join(
        (
            "pypi" + r"\.org",
            "python" + "hosted",
            "npm" + "js",
            "--index" + "-url",
            "proxy.go" + "lang",
        )
    )
)
# Patterns for home folders, and for the folder that contains this repository.
PLACES = re.compile(r"(?<![\w.~}])/(?:root|home|Users)/\w|" + re.escape(f"{REPOSITORY.parent}/"))
PEM_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}")
HOST = re.compile(
    r"(?<![\w@./-])(?:[\w-]+\.)+(?:com|net|org|local|lan|io|tw|cn|de|uk|eu|internal)\b"
)
FICTIONAL = re.compile(r"(?:^|\.)(?:contoso|fabrikam|litwareinc)\.[a-z]+$")
DOCUMENTATION = re.compile(
    r"(?:^|\.)(?:microsoft\.com|rfc-editor\.org|ietf\.org|unicode\.org|y0av\.wordpress\.com)$"
)


@functools.cache
def files() -> list[Path]:
    """Return the files of the repository, which are also the files of the sdist."""
    builder = SdistBuilder(str(REPOSITORY))
    return sorted(REPOSITORY / file.distribution_path for file in builder.recurse_included_files())


def texts(*suffixes: str) -> list[tuple[Path, str]]:
    contents = []
    for path in files():
        if not suffixes or path.suffix in suffixes:
            try:
                contents.append((path, path.read_text("utf-8")))
            except UnicodeDecodeError:
                continue
    return contents


def lines_with(pattern: re.Pattern[str], *suffixes: str) -> list[str]:
    return [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()[:100]}"
        for path, text in texts(*suffixes)
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_private_key_is_committed():
    """No file contains a private key in PEM format, or has the file name of a private key or PFX
    package.
    """
    assert [path for path, text in texts() if PEM_KEY.search(text)] == []
    assert [path for path in files() if path.suffix in {".key", ".pfx", ".p12", ".jks"}] == []


@pytest.mark.parametrize("folder", ["data", "notebooks"])
def test_samples_contain_only_fictional_companies(folder):
    """Host names in samples and notebooks are in the domains of the fictional companies contoso,
    fabrikam, or litwareinc.
    """
    foreign = {
        host
        for path, text in texts()
        if path.relative_to(REPOSITORY).parts[0] == folder
        for host in HOST.findall(text.lower()) or []
        if not FICTIONAL.search(host) and not DOCUMENTATION.search(host)
    }
    assert foreign == set()


def test_no_path_of_one_machine_is_committed():
    """No file contains the path of a home folder, or of the folder of this clone."""
    assert lines_with(PLACES) == []


def test_no_registry_address_is_committed():
    """No file contains the address of a package registry."""
    assert lines_with(ADDRESSES) == []


def test_no_file_has_a_note_about_unfinished_work():
    """No source file contains a note about unfinished work."""
    assert lines_with(UNDONE, ".py", ".js") == []


def test_every_module_that_a_comment_names_exists():
    """If a comment, a docstring or CONTRIBUTING mentions a Python file such as ``module.py``, this
    file is in the repository.
    """
    paths = [f"/{path.relative_to(REPOSITORY)}" for path in files()]
    module_names = {
        name
        for path, text in texts(".py", ".toml", ".js", ".md")
        if path.is_relative_to(REPOSITORY / "lyncnb") or path.name == "CONTRIBUTING.md"
        for name in re.findall(r"(?<![\w./])[a-z]\w*(?:/\w+)*\.py\b", text)
    }
    assert {
        name for name in module_names if not any(path.endswith(f"/{name}") for path in paths)
    } == set()


def test_no_lock_file_is_committed():
    """No lock file, temporary file or notebook checkpoint is in the repository."""
    leftovers = [
        p for p in files() if p.suffix in {".lock", ".tmp", ".pyc"} or "checkpoint" in str(p)
    ]
    assert leftovers == []


def test_constraints_contain_only_versions_and_markers():
    """Every line in constraints.txt has the form name==version, with or without a marker."""
    lines = (REPOSITORY / "constraints.txt").read_text("utf-8").splitlines()
    form = re.compile(r"[a-z0-9.-]+==[0-9][0-9A-Za-z.]*( ; [a-z_]+ .+)?")
    assert [line for line in lines if not form.fullmatch(line)] == []
    assert [line for line in lines if "://" in line or "@" in line] == []


def test_constraints_cover_every_dependency():
    """Each dependency in pyproject.toml has a line in constraints.txt."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    requirements = [*project["dependencies"], *(name for extra in extras for name in extra)]
    names = {re.split(r"[\[>=<;! ]", requirement)[0] for requirement in requirements} - {"lyncnb"}
    pinned = {
        line.split("==")[0]
        for line in (REPOSITORY / "constraints.txt").read_text("utf-8").splitlines()
    }
    assert names - pinned == set()


def pins(name: str) -> set[str]:
    """Return the lines of a file with pinned versions, without the hashes."""
    lines = (REPOSITORY / name).read_text("utf-8").splitlines()
    return {line.removesuffix(" \\") for line in lines if not line.startswith(" ")}


def list_needed_packages(name: str, extras: tuple[str, ...] = ()) -> set[str]:
    """Return the names of all packages that an installed package needs in this environment."""
    seen, queue = set(), [(name, extra) for extra in ("", *extras)]
    while queue:
        name, extra = queue.pop()
        for text in distribution(name).requires or ():
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            below = {(canonicalize_name(requirement.name), e) for e in ("", *requirement.extras)}
            queue += below - seen
            seen |= below
    return {name for name, _ in seen}


def test_requirements_have_a_hash_for_every_version():
    """Each package in requirements.txt has hashes, and the same version as in constraints.txt."""
    text = (REPOSITORY / "requirements.txt").read_text("utf-8")
    form = r"[a-z0-9.-]+==\S+( ; [^\\\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+\n"
    assert re.fullmatch(f"({form})+", text)
    tested = {line.split()[0] for line in pins("constraints.txt")}
    assert {line.split()[0] for line in pins("requirements.txt")} - tested == set()


def test_requirements_are_what_lyncnb_needs():
    """In this environment, requirements.txt lists exactly the packages that lyncnb and its
    extra docx need.
    """
    lines = [Requirement(line) for line in pins("requirements.txt")]
    package_names = {line.name for line in lines if not line.marker or line.marker.evaluate()}
    assert package_names == list_needed_packages("lyncnb", ("docx",))


def test_every_test_has_a_docstring():
    """Each test function has a docstring that ends with a period."""
    silent = [
        f"{path.name}::{node.name}"
        for path, text in texts(".py")
        if path.name.startswith("test_")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and not (ast.get_docstring(node) or "").rstrip().endswith(".")
    ]
    assert silent == []


def test_ruff_accepts_the_code():
    """Ruff finds no problem in the style and format of the code, with the settings in
    pyproject.toml.
    """
    for command in ("check", "format"):
        arguments = [command, "--quiet", *(["--check"] if command == "format" else []), "."]
        result = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout[-3000:]


README = REPOSITORY / "README.md"


def command_after(mark: str) -> str:
    """Return the command line below a given mark in the README."""
    match = re.search(rf"^<!-- {mark} -->\n```sh\n(.+)\n```$", README.read_text("utf-8"), re.M)
    return match[1] if match else ""


def test_ci_runs_the_test_command_of_the_readme():
    """The command that .ci/run reads from the README is exactly the test command."""
    script = (REPOSITORY / ".ci" / "run").read_text("utf-8")
    assert "pytest" not in script
    pipeline = re.search(r"^command=\$\((.+)\)$", script, re.M)[1]
    completed = subprocess.run(
        ["bash", "-c", pipeline], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert completed.stdout.strip() == command_after("test command")


def test_readme_has_two_self_contained_commands():
    """Each command in the README creates its own environment and asks no questions."""
    commands = re.findall(r"^python3 .+$", README.read_text("utf-8"), re.M)
    assert commands == [command_after("main command"), command_after("test command")]
    start = "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt "
    assert [command[: len(start)] for command in commands] == [start, start]


def test_readme_shows_the_plan_of_the_sample(request):
    """The table in the README is the plan of data/contoso.csv, and --refresh updates it."""
    topology = ln.read_topology(REPOSITORY / "data" / "contoso.csv")
    plan = ln.plan_certificates(topology, ln.load_rules("lync2013"))
    frame = plan.to_frame()
    frame["SAN count"] = [len(certificate.names) for certificate in plan.certificates]
    columns = ["Role", "Servers", "Type", "Subject name", "SAN count", "Issuer"]
    table = to_markdown(columns, frame[columns].itertuples(index=False)).strip()
    mark, end = "<!-- plan table -->\n", "\n<!-- end of plan table -->"
    text = README.read_text("utf-8")
    before, rest = text.split(mark)
    readme_table, after = rest.split(end)
    if request.config.getoption("--refresh"):
        README.write_text(f"{before}{mark}{table}{end}{after}", "utf-8")
    else:
        assert readme_table == table


def test_documents_use_only_public_names():
    """Each ln.NAME in a document or notebook is a public name of the package."""
    documents = [*(path for path in files() if path.suffix in (".md", ".ipynb"))]
    documents.remove(
        REPOSITORY / "CHANGELOG.md"
    )  # The changelog also mentions names that no longer exist.
    names = {
        name for path in documents for name in re.findall(r"\bln\.(\w+)", path.read_text("utf-8"))
    }
    assert names >= {"read_topology", "write_requests"}
    assert names - set(ln.__all__) == set()


def test_every_link_to_a_file_works():
    """If README, docs, or another document links to a file of the repository, this file exists. The
    only other relative link leads to the latest release, from where the repository is hosted.
    """
    papers = [path for path in files() if path.suffix == ".md"]
    release = (REPOSITORY / "../../releases/latest").resolve()
    dead = [
        f"{paper.relative_to(REPOSITORY)}: {target}"
        for paper in papers
        for target in re.findall(r"\]\(([^)#:]+)[)#]", paper.read_text("utf-8"))
        if not (paper.parent / target).exists() and (paper.parent / target).resolve() != release
    ]
    assert dead == []


def test_every_link_to_a_section_works():
    """If README, docs, or another document links to a section of a page, the page has this heading."""
    papers = [path for path in files() if path.suffix == ".md"]
    linked = [
        (paper, (paper.parent / target if target else paper).resolve(), anchor)
        for paper in papers
        for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", paper.read_text("utf-8"))
    ]
    headings = {
        page: {
            re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
        }
        for _, page, _ in linked
    }
    assert linked
    assert [
        f"{paper.name}: #{anchor}" for paper, page, anchor in linked if anchor not in headings[page]
    ] == []


def test_readme_is_short():
    """Without tables and commands, the README has at most 700 words. It begins with what was requested, a picture of
    a name with its reason, the command, and what was never tested.
    """
    text = README.read_text("utf-8")
    first = text.partition("\n## ")[0]
    parts = (
        "Jupyter, pandas and ipywidgets",
        "](docs/anatomy.svg)",
        "<!-- main command -->",
        "Windows",
    )
    positions = [first.index(part) for part in parts]
    assert positions == sorted(positions)
    assert positions[0] < 300
    prose = re.sub(r"```.+?```", "", text, flags=re.S)
    prose = re.sub(r"^(\||<).*$", "", prose, flags=re.M)
    assert 100 < len(prose.split()) <= 700


def test_one_command_writes_all_that_is_generated():
    """.ci/refresh runs each test file that updates files with --refresh."""
    script = (REPOSITORY / ".ci" / "refresh").read_text("utf-8")
    option = 'getoption("--' + 'refresh")'
    writers = [path for path, text in texts(".py") if option in text]
    forgotten = [
        path
        for path in writers
        if f"{path.parent.relative_to(REPOSITORY)} " not in script.replace(chr(10), " ")
        and not {path.stem, path.stem.removeprefix("test_")} & set(re.findall(r"\w+", script))
    ]
    assert len(writers) > 5
    assert forgotten == []


def test_readme_names_every_package():
    """The table of packages in the README lists exactly the packages that exist."""
    folders = {path.parent.name for path in (REPOSITORY / "lyncnb").glob("*/__init__.py")}
    table = README.read_text("utf-8").partition("| Package | Holds |")[2].partition("\n\n")[0]
    assert folders == set(re.findall(r"`(\w+)/`", table))
