"""The layers in force: a file imports only from below, and touches only what is its to touch.

The tables are the one place where this stands; a new file takes its place in them.
"""

from __future__ import annotations

import ast
import sys
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "lyncnb"

# Lowest first; nothing imports from its own row. A folder stands in one row: what is in it may
# import one another, without a cycle.
LAYERS = (
    {"errors", "server_extension", "text"},
    {"asn1", "columns", "idn", "records", "source_text", "system", "tables"},
    {"explanation", "headings", "names"},
    {"certificates", "csv_source", "fields", "files", "kinds", "rules", "spreadsheets"},
    {"batch", "cells", "chain", "lock", "manifest", "options", "passphrase"},
    {"keys", "notebook_files", "pools", "sites", "survey", "workspace"},
    {"cipher", "edits", "notebook_run"},
    {"topology"},
    {"plan", "recipes"},
    {"changes", "checks", "derive"},
    {"summary"},
    {"widgets"},
    {"cli"},
    {"__init__", "__main__"},
)

# What only these may import; the name covers what is below it.
TOUCHES = {
    "pandas": {"csv_source", "tables", "topology"},
    "pyarrow": {"csv_source"},
    "csv": {"csv_source", "spreadsheets"},
    "xml": {"topology_builder"},
    "tomllib": {"checks", "columns", "options", "rules"},
    "xlsxwriter": {"spreadsheets"},
    "cryptography": {"certificates", "chain", "cipher", "csr", "keys", "pfx"},
    "asn1crypto": {"asn1", "cipher", "pfx"},
    "secrets": {"cipher", "files", "keys", "passwords", "pfx"},
    "random": set(),
    "uuid": set(),
    "ipywidgets": {"widgets"},
    "anywidget": {"widgets"},
    "traitlets": {"notebook_run", "widgets"},
    "IPython": {"widgets"},
    "nbformat": {"notebook_files"},
    "nbconvert": {"notebook_files"},
    "nbclient": {"notebook_run"},
    "jupyterlab": {"workspace"},
    "voila": {"workspace"},
    "click": {"cli"},
    "tqdm": {"cli"},
    "filelock": {"lock"},
    "idna": {"idn"},
    "publicsuffixlist": {"names"},
    "subprocess": set(),
    # The network: nobody.
    "aiohttp": set(),
    "ftplib": set(),
    "http": set(),
    "httpx": set(),
    "requests": set(),
    "smtplib": set(),
    "socket": set(),
    "ssl": set(),
    "urllib.request": set(),
    "urllib3": set(),
}

# What only these may call, by the name of the attribute or function.
CALLS = {
    "reveal": {"cipher", "keys", "notebook_run", "passphrase", "passwords", "pfx", "widgets"},
    "urandom": {"cipher", "files", "keys", "pfx"},
    "write_bytes": {"files", "system"},
    "write_text": {"files", "system"},
    "today": {"checks"},
    "import_module": {"__init__"},
    "__import__": set(),
    "print": set(),
    "exit": set(),
}

ROWS = {name: rank for rank, row in enumerate(LAYERS) for name in row}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}


def unit(module: str) -> str:
    """Give the row entry of a module: the file itself, or the folder it is in."""
    return module.partition(".")[0]


def relative_imports(module: str) -> Iterator[str]:
    """Yield each module of the package that a module imports, at any depth of its code."""
    folder = module.split(".")[:-1]
    for node in ast.walk(TREES[module]):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = folder[: len(folder) - node.level + 1]
        parts = [*base, *(node.module or "").split(".")] if node.module else base
        for alias in node.names:
            whole = ".".join([*parts, alias.name])
            target = whole if whole in MODULES else ".".join(parts)
            yield target if target in MODULES or not target else f"{target}.__init__"


def foreign_imports(module: str) -> Iterator[str]:
    """Yield the dotted name of each absolute import of a module."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_module_has_a_row_and_every_row_a_module():
    """The table names exactly the modules and folders that are there."""
    assert sorted(ROWS) == sorted({unit(module) for module in MODULES})


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    """A file imports no file of its own row or a higher one, not even inside a function."""
    wrong = [
        target
        for target in relative_imports(module)
        if unit(target) != unit(module) and ROWS.get(unit(target), 99) >= ROWS[unit(module)]
    ]
    assert wrong == []


@pytest.mark.parametrize("module", MODULES)
def test_the_package_imports_itself_relatively(module):
    """No file writes import lyncnb or from lyncnb, which would hide its layer."""
    assert [name for name in foreign_imports(module) if name.split(".")[0] == "lyncnb"] == []


@pytest.mark.parametrize("folder", sorted({unit(name) for name in MODULES if "." in name}))
def test_a_folder_has_no_cycle(folder):
    """Files of one folder import one another in one direction."""
    inside = {
        name: {other for other in relative_imports(name) if unit(other) == folder} - {name}
        for name in MODULES
        if unit(name) == folder
    }
    while leaves := [name for name, targets in inside.items() if not targets & inside.keys()]:
        for name in leaves:
            del inside[name]
    assert inside == {}


@pytest.mark.parametrize("module", MODULES)
def test_a_file_imports_only_what_is_its_to_touch(module):
    """pandas, cryptography, randomness, widgets and the rest stay where the table says."""
    wrong = [
        name
        for name in foreign_imports(module)
        for thing, allowed in TOUCHES.items()
        if f"{name}.".startswith(f"{thing}.") and unit(module) not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("module", MODULES)
def test_every_import_is_declared(module):
    """What is neither the standard library nor a dependency in pyproject is not imported."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = {
        requirement.split(">")[0].strip().replace("-", "_").lower()
        for requirement in [*project["dependencies"], *extras["cluster"], *extras["dash"]]
    } | {"ipython", "traitlets"}  # both come with ipywidgets, which is made of them
    names = {name.split(".")[0] for name in foreign_imports(module)}
    assert {n for n in names - sys.stdlib_module_names if n.lower() not in declared} == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_file_calls_only_what_is_its_to_call(module):
    """Secrets are opened, files written and the day asked for only where the table says."""
    called = [
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Call)
    ]
    assert [n for n in called if n in CALLS and unit(module) not in CALLS[n]] == []


@pytest.mark.parametrize("module", MODULES)
def test_no_role_is_named_in_python(module):
    """What a product asks of a role stands in its TOML file, never in code."""
    product = tomllib.loads((PACKAGE / "products" / "lync2013.toml").read_text("utf-8"))
    roles = {role["id"] for role in product["role"]}
    constants = {
        node.value
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert constants & roles == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_file_is_short(module):
    """A file past 300 lines is warned about, past 400 it is split; no function passes 60."""
    lines = len(MODULES[module].read_text("utf-8").splitlines())
    if lines > 300:
        warnings.warn(f"{module} has {lines} lines", stacklevel=1)
    assert lines <= 400
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(TREES[module])
        if isinstance(node, functions) and node.end_lineno - node.lineno + 1 > 60
    }
    assert long == {}


def test_public_names_exist():
    """Each name of the package resolves, is documented, and stands in dir()."""
    import lyncnb

    for name in lyncnb.__all__:
        assert getattr(lyncnb, name).__doc__, name
        assert name in dir(lyncnb)


def test_modules_are_not_drawers():
    """No file is a place for what has no place."""
    assert not {unit(name) for name in MODULES} & {"utils", "helpers", "common", "misc"}
