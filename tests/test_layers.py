"""The layers in force: a file imports only from below, and touches only what is its to touch.

The tables are the one place where this stands; a new file takes its place in them.
"""

from __future__ import annotations

import ast
import sys
import tomllib
import warnings
from collections.abc import Iterator

import pytest
from places import REPOSITORY

PACKAGE = REPOSITORY / "lyncnb"

# Lowest first; nothing imports from its own row. A folder stands in one row: what is in it may
# import one another, without a cycle.
LAYERS = (
    {"asn1", "bulk", "columns", "errors", "records", "server_extension", "tables", "text"},
    {
        "certificates",
        "explanation",
        "handover_pages",
        "headings",
        "idn",
        "plan_toml",
        "powershell",
        "sealing",
        "source_text",
        "spreadsheets",
        "system",
        "vocabulary",
    },
    {"csv_source", "files", "names", "rules", "signatures", "succession"},
    {
        "batch",
        "chain",
        "fields",
        "kinds",
        "lock",
        "manifest",
        "notebook_files",
        "passphrase",
        "procedure",
        "purge_list",
        "submission",
        "workspace",
    },
    {"cells", "keys", "notebook_run", "options", "survey"},
    {"encryptor", "folder", "pkcs12", "pools", "portal_pfx", "sites"},
    {"cipher", "decoding", "edits"},
    {"passwords", "returned", "topology"},
    {"issuers", "plan", "pool_names"},
    {
        "changes",
        "compare",
        "content",
        "document",
        "issued_certificate",
        "recipes",
        "summary_commands",
    },
    {"asked", "checks", "csr", "order", "pool_plan", "steps"},
    {
        "answers",
        "derive",
        "inventory",
        "pairs",
        "recovery",
        "server_scripts",
        "steps_files",
        "summary",
    },
    {"children", "outlook", "purge", "rekey", "store"},
    {"export"},
    {"packaging", "writing"},
    {"bundle"},
    {"handover", "issued", "packages", "rebuild", "renewals"},
    {"deploy", "receiving"},
    {"pfx"},
    {"cli", "widgets"},
    {"__init__", "__main__"},
)

# What only these may import; the name covers what is below it.
TOUCHES = {
    "pandas": {"tables"},
    "pyarrow": {"csv_source"},
    "csv": {"csv_source"},
    "xml": set(),
    "tomllib": {"columns", "compare", "handover_pages", "plan_toml", "rules"},
    "tomli_w": {"plan_toml"},
    "xlsxwriter": {"spreadsheets"},
    "cryptography": {
        *("certificates", "cipher", "csr", "encryptor", "keys", "pkcs12", "portal_pfx", "sealing"),
        "signatures",
    },
    "asn1crypto": {"cipher", "pkcs12"},
    "icalendar": {"renewals"},
    "secrets": {"cipher", "encryptor", "files", "passwords"},
    "random": set(),
    "uuid": set(),
    "tempfile": set(),
    "ipywidgets": set(),
    "anywidget": {"widgets"},
    "IPython": {"widgets"},
    "traitlets": {"notebook_run"},
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
    "subprocess": {"children"},
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
    # the inside of a secret
    "reveal": {
        *(
            "cipher",
            "notebook_run",
            "packaging",
            "passphrase",
            "passwords",
            "pkcs12",
            "portal_pfx",
            "widgets",
        ),
    },
    # the day, each through a today= argument; the lock says since when it is held
    "now": {
        *("deploy", "folder", "issued", "lock", "order", "purge"),
        "renewals",
    },
    "today": set(),
    # the disk
    "write_bytes": set(),
    "write_text": set(),
    "mkstemp": set(),
    "urandom": set(),
    # what hides an import, a message or an end
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


def docstring_lines(node: ast.AST) -> int:
    """Count the lines of a function's docstring, which are not its length."""
    first = node.body[0]
    return first.end_lineno - first.lineno + 1 if ast.get_docstring(node) else 0


def called_names(module: str) -> set[str]:
    """Give the name of each function or method that a module calls."""
    return {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Call)
    }


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
    names = called_names(module) & CALLS.keys()
    assert {name for name in names if unit(module) not in CALLS[name]} == set()


def test_no_permission_is_left_over():
    """Every file that the tables allow something does it."""
    idle = []
    for thing, allowed in TOUCHES.items():
        users = {
            unit(module)
            for module in MODULES
            if any(f"{name}.".startswith(f"{thing}.") for name in foreign_imports(module))
        }
        idle += [(thing, name) for name in allowed - users]
    for name, allowed in CALLS.items():
        users = {unit(module) for module in MODULES if name in called_names(module)}
        idle += [(name, user) for user in allowed - users]
    assert idle == []


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"errors"}))
def test_errors_stand_in_one_file(module):
    """A class that a planner may meet is defined in errors.py; a ValueError stays inside."""
    classes = {
        node.name: {getattr(base, "id", getattr(base, "attr", "")) for base in node.bases}
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.ClassDef)
    }
    import lyncnb.errors

    outside = {name for name, bases in classes.items() if bases & vars(lyncnb.errors).keys()}
    assert outside == set()


@pytest.mark.parametrize("module", MODULES)
def test_every_error_has_a_hint(module):
    """Whoever raises an error of errors.py says what to do, or lists problems that each do."""
    import lyncnb.errors

    bare = [
        node.lineno
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and getattr(node.exc.func, "id", "") in vars(lyncnb.errors)
        and not {"hint", "problems", None} & {keyword.arg for keyword in node.exc.keywords}
    ]
    assert bare == []


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
    lengths = {
        node.name: node.end_lineno - node.lineno + 1 - docstring_lines(node)
        for node in ast.walk(TREES[module])
        if isinstance(node, functions)
    }
    assert {name: count for name, count in lengths.items() if count > 60} == {}


def test_public_names_exist():
    """Each name of the package resolves, is documented, and stands in dir()."""
    import lyncnb

    for name in lyncnb.__all__:
        assert getattr(lyncnb, name).__doc__, name
        assert name in dir(lyncnb)
        # importing a module of that name would put the module in the place of the function
        assert name not in {unit(module) for module in MODULES}


def test_modules_are_not_drawers():
    """No file is a place for what has no place."""
    assert not {unit(name) for name in MODULES} & {"utils", "helpers", "common", "misc"}
