"""A package imports only from lower layers, and uses only the libraries that are allowed for it.

These tables are the only definition of the layers. Each test checks one rule and lists every file
that violates it.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache

import pytest
from places import REPOSITORY

from lyncnb.rules.rule_files import load_rules

PACKAGE = REPOSITORY / "lyncnb"

# The lowest layer is in the first row. Packages in the same row do not import each other. Files in
# one package may import each other, but not in a cycle.
LAYERS = (
    {"errors"},
    {"base"},
    {"topology", "pki"},
    {"rules"},
    {"plan", "request_folder", "jupyter"},
    {"reports"},
    {"checks", "authorities"},
    {"export", "deploy", "forecasts", "guide", "probes"},
    {"widgets"},
    {"page"},
    {"cli"},
    {"__init__", "__main__"},
)

# For each library, the only packages or files that may import it or its submodules.
TOUCHES = {
    "pandas": {"base.shown.frames"},
    "csv": {"topology.csv_edit", "topology.csv_file"},
    "xml": {"topology.xml_tree"},
    "tomllib": {"base.toml_text"},
    "tomli_w": {"plan.plan_toml", "guide.answers"},
    "xlsxwriter": {"base.shown.spreadsheets"},
    "docx": {"reports.summary.word"},
    "jinja2": {"base.shown.html_page"},
    "markupsafe": {"base.shown.html_page"},
    "cryptography": {"pki"},
    "asn1crypto": set(),
    "icalendar": {"base.shown.calendars"},
    "secrets": {"pki", "deploy.package_passwords", "base.disk.files", "base.disk.folder_access"},
    "random": set(),
    "uuid": set(),
    "tempfile": {
        "base.shown.browser_print",
        "jupyter.run_notebook",
        "page.runtime",
        "pki.ssh_signatures",
    },
    "nh3": {"jupyter"},
    "ipywidgets": set(),
    "anywidget": {"widgets"},
    "IPython": {"widgets"},
    "traitlets": {"jupyter"},
    "nbformat": {"jupyter"},
    "nbconvert": {"jupyter"},
    "nbclient": {"jupyter"},
    "jupyterlab": {"jupyter"},
    "voila": set(),
    "click": {"cli"},
    "tqdm": {"cli"},
    "filelock": {"base.disk.folder_lock"},
    "idna": {"base.idn"},
    "zxcvbn": {"pki.passphrase_strength"},
    "publicsuffixlist": {"base.dns_name"},
    "subprocess": {
        *("base.workers", "base.shown.browser_print", "page.runtime", "pki.ssh_signatures")
    },
    # Only two files use the network: the client of a cluster, if its address is configured, and the
    # file that reads certificates from the planned servers when a user requests it.
    "distributed": {"export.cluster_client"},
    "aiohttp": set(),
    "ftplib": set(),
    "http": set(),
    "httpx": set(),
    "requests": set(),
    "smtplib": set(),
    "socket": {"probes.fetch"},
    "ssl": {"probes.fetch"},
    "urllib.request": set(),
    "urllib3": set(),
}

# For each attribute or function, the only packages or files that may use it.
CALLS = {
    # The method reveal returns the content of a secret.
    "reveal": {"pki", "deploy.package_passwords", "deploy.pfx_packages", "jupyter", "widgets"},
    # Functions that read the current date if the argument today= has no value, or read the time of
    # a lock.
    "now": {
        "base.disk.folder_lock",
        "checks.check_plan",
        "request_folder",
        "authorities",
        "deploy.purge_keys",
        "deploy.steps",
        "probes.probe",
        "widgets.editing.unsaved",
    },
    "today": set(),
    # Methods that write to the disk.
    "write_bytes": set(),
    "write_text": set(),
    "mkstemp": set(),
    "urandom": set(),
    # Code could use these functions to hide an import, a message, or the end of the program from
    # the tests in this file.
    "import_module": set(),
    "__import__": set(),
    "print": set(),
    "exit": set(),
}

ROWS = {name: rank for rank, row in enumerate(LAYERS) for name in row}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


# Each process of a parallel run loads this module, so files are parsed only when a test needs them.
@cache
def trees() -> dict[str, ast.Module]:
    return {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}


@cache
def nodes() -> dict[str, tuple[ast.AST, ...]]:
    return {name: tuple(ast.walk(tree)) for name, tree in trees().items()}


def package_of(module: str) -> str:
    """Return the name of a module in the table of layers: its package, or the file in the root
    folder.
    """
    return module.partition(".")[0]


def is_allowed(module: str, allowed: set[str]) -> bool:
    return module in allowed or package_of(module) in allowed


def relative_imports(module: str) -> Iterator[str]:
    """Yield each module of lyncnb that a module imports, including imports inside functions."""
    folder = module.split(".")[:-1]
    for node in nodes()[module]:
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = folder[: len(folder) - node.level + 1]
        parts = [*base, *(node.module or "").split(".")] if node.module else base
        for alias in node.names:
            full_name = ".".join([*parts, alias.name])
            target = full_name if full_name in MODULES else ".".join(parts)
            yield target if target in MODULES or not target else f"{target}.__init__"


def foreign_imports(module: str) -> Iterator[str]:
    """Yield the dotted name of each module that a module imports with an absolute import."""
    for node in nodes()[module]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def relative() -> dict[str, tuple[str, ...]]:
    return {name: tuple(relative_imports(name)) for name in MODULES}


@cache
def foreign() -> dict[str, tuple[str, ...]]:
    return {name: tuple(foreign_imports(name)) for name in MODULES}


@cache
def called() -> dict[str, set[str]]:
    return {
        name: {
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for node in nodes()[name]
            if isinstance(node, ast.Call)
        }
        for name in MODULES
    }


def users_of(library: str) -> set[str]:
    """Return the modules of lyncnb that import a library or one of its submodules."""
    return {
        module
        for module, names in foreign().items()
        if any(f"{name}.".startswith(f"{library}.") for name in names)
    }


def test_every_package_has_a_row_and_every_row_a_package():
    """The table of layers lists every package and file of lyncnb, and no others."""
    assert sorted(ROWS) == sorted({package_of(module) for module in MODULES})


def test_imports_are_from_lower_layers():
    """No file imports from its own layer or a higher one, not even inside a function."""
    wrong = [
        f"{module} imports {target}"
        for module, targets in relative().items()
        for target in targets
        if package_of(target) != package_of(module)
        and ROWS.get(package_of(target), 99) >= ROWS[package_of(module)]
    ]
    assert wrong == []


@pytest.mark.parametrize("paper", ["README.md", "CONTRIBUTING.md"])
def test_documents_list_packages_in_the_order_of_layers(paper):
    """README and CONTRIBUTING list the packages in the order of the layers."""
    text = (REPOSITORY / paper).read_text("utf-8")
    table = text.partition("| Package | Holds |")[2].partition("\n\n")[0]
    rows = [re.findall(r"`(\w+)/`", line.split("|")[1]) for line in table.splitlines()[2:]]
    layers = {name: number for number, row in enumerate(rows) for name in row}
    wrong = [
        f"{module} imports {target}"
        for module, targets in relative().items()
        for target in targets
        if layers.get(package_of(target), -1) > layers.get(package_of(module), 99)
    ]
    assert wrong == []
    assert re.search(r"package imports only from (?:those|rows) above", text)


def test_lyncnb_has_only_relative_imports_of_its_files():
    """Files of lyncnb import each other only with relative imports, because the tests of layers do
    not examine absolute imports.
    """
    own_imports = {
        m: [n for n in names if n.split(".")[0] == "lyncnb"] for m, names in foreign().items()
    }
    assert {module: names for module, names in own_imports.items() if names} == {}


@pytest.mark.parametrize("package", sorted({package_of(name) for name in MODULES if "." in name}))
def test_a_package_has_no_cycle(package):
    """Files in one package do not import each other in a cycle."""
    dependencies = {
        name: {other for other in relative()[name] if package_of(other) == package} - {name}
        for name in MODULES
        if package_of(name) == package
    }
    while leaves := [
        name for name, targets in dependencies.items() if not targets & dependencies.keys()
    ]:
        for name in leaves:
            del dependencies[name]
    assert dependencies == {}


def test_names_are_imported_from_the_file_that_defines_them():
    """A file imports each name from the file that defines it, not from one that only imports it."""
    defined = {
        module: {
            name
            for node in tree.body
            for name in (
                [node.name]
                if isinstance(node, (ast.FunctionDef, ast.ClassDef))
                else [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
                if not isinstance(node, (ast.Import, ast.ImportFrom))
                else []
            )
        }
        for module, tree in trees().items()
    }
    detours = [
        f"{module}: {alias.name} from {target}"
        for module in MODULES
        for node in nodes()[module]
        if isinstance(node, ast.ImportFrom) and node.level
        for alias, target in zip(node.names, _targets(module, node), strict=True)
        if target in MODULES and not target.endswith(alias.name)
        if alias.name not in defined[target]
    ]
    assert detours == []


def _targets(module: str, node: ast.ImportFrom) -> list[str]:
    folder = module.split(".")[:-1]
    base = folder[: len(folder) - node.level + 1]
    parts = [*base, *(node.module or "").split(".")] if node.module else base
    wholes = [".".join([*parts, alias.name]) for alias in node.names]
    return [full_name if full_name in MODULES else ".".join(parts) for full_name in wholes]


def test_only_listed_files_import_each_library():
    """Only the files that this test lists import libraries such as pandas and cryptography."""
    wrong = {
        library: outside
        for library, allowed in TOUCHES.items()
        if (outside := {m for m in users_of(library) if not is_allowed(m, allowed)})
    }
    assert wrong == {}


def test_every_import_is_declared():
    """Every import in lyncnb is from the standard library or from a dependency in pyproject.toml."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = {
        requirement.split(">")[0].strip().replace("-", "_").lower()
        for requirement in [*project["dependencies"], *extras["cluster"]]
    } | {"ipython", "traitlets"}  # The dependency ipywidgets always installs IPython and traitlets.
    declared |= {"docx"} if any("python-docx" in name for name in extras["docx"]) else set()
    names = {name.split(".")[0] for names in foreign().values() for name in names}
    assert {n for n in names - sys.stdlib_module_names if n.lower() not in declared} == set()


def test_only_listed_files_call_each_function():
    """Only the files in the table ``CALLS`` call the functions that read secrets, write files, or
    return the current date.
    """
    wrong = {
        name: outside
        for name, allowed in CALLS.items()
        if (outside := {m for m in MODULES if name in called()[m] and not is_allowed(m, allowed)})
    }
    assert wrong == {}


def test_every_listed_permission_is_used():
    """Every permission in ``TOUCHES`` and ``CALLS`` is needed: the listed package or file uses the
    library or function.
    """
    idle = []
    for table, find in (
        (TOUCHES, users_of),
        (CALLS, lambda name: {m for m in MODULES if name in called()[m]}),
    ):
        for dependency, allowed in table.items():
            users = find(dependency)
            using = users | {package_of(module) for module in users}
            idle += [(dependency, name) for name in allowed - using]
    assert idle == []


def test_errors_are_defined_in_one_file():
    """All exceptions that a planner may see are defined in the file errors.py."""
    import lyncnb.errors

    known = vars(lyncnb.errors).keys()
    outside = [
        f"{module}.{node.name}"
        for module in MODULES.keys() - {"errors"}
        for node in nodes()[module]
        if isinstance(node, ast.ClassDef)
        and {getattr(base, "id", getattr(base, "attr", "")) for base in node.bases} & known
    ]
    assert outside == []


def test_every_error_has_a_hint():
    """Each exception in errors.py has a hint, or contains a list of problems that each have a hint."""
    import lyncnb.errors

    bare = [
        f"{module}:{node.lineno}"
        for module in MODULES
        for node in nodes()[module]
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and getattr(node.exc.func, "id", "") in vars(lyncnb.errors)
        and not {"hint", "problems", None} & {keyword.arg for keyword in node.exc.keywords}
    ]
    assert bare == []


def test_python_code_contains_no_role_names():
    """Python code contains no role names, because TOML files define what each product requires."""
    roles = load_rules("lync2013").roles.keys()
    mentions = [
        f"{module}:{node.lineno} {node.value}"
        for module in MODULES
        for node in nodes()[module]
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in roles
    ]
    assert mentions == []


def test_no_function_is_long():
    """No function has more than 60 lines, not counting its docstring."""
    long = {
        f"{module}.{node.name}": lines
        for module in MODULES
        for node in nodes()[module]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (lines := node.end_lineno - node.lineno + 1 - _docstring_lines(node)) > 60
    }
    assert long == {}


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    return first.end_lineno - first.lineno + 1 if ast.get_docstring(node) else 0


def test_init_files_contain_only_a_docstring():
    """An __init__ file contains only a docstring, except in the root package and in cli."""
    full = [
        module
        for module, tree in trees().items()
        if module.endswith(".__init__") and module != "cli.__init__"
        if [node for node in tree.body if not isinstance(node, ast.Expr)]
    ]
    assert full == []


def test_public_names_exist():
    """Each public name exists in its module, is documented, and is included in dir()."""
    import lyncnb

    for name in lyncnb.__all__:
        export = getattr(lyncnb, name)
        assert export.__doc__, name
        assert name in dir(lyncnb)
        assert export.__module__ == f"lyncnb{lyncnb._MODULES[name]}"
        # If a module had the name of a function, importing the module would replace the function.
        assert name not in {package_of(module) for module in MODULES}
    assert len(lyncnb.__all__) <= 75


def test_no_module_has_a_general_name():
    """No module has a general name such as utils."""
    stems = {part for module in MODULES for part in module.split(".")}
    assert not stems & {"utils", "helpers", "common", "misc"}
