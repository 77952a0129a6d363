"""Find the files of lyncnb and other libraries that the page imports."""

from __future__ import annotations

import ast
import json
import struct
from collections.abc import Iterator
from importlib.metadata import distribution
from importlib.resources import files as package_files
from importlib.util import find_spec
from pathlib import Path

from ..base.disk import files
from ..errors import BundleError

#: The names of the packages with which the page plans and writes documents.
LIBRARIES = {
    "idna": "idna",
    "publicsuffixlist": "publicsuffixlist",
    "jinja2": "jinja2",
    "markupsafe": "markupsafe",
    "tomli_w": "tomli-w",
    "tomlkit": "tomlkit",
    "xlsxwriter": "xlsxwriter",
}
#: The folder in which Python finds the modules of a page.
SITE = "/lib/site"

_OWN = __package__.partition(".")[0]
_ENTRY = f"{__package__}.in_worker"
# The folders from which Python reads rule files by name.
_DATA = ("products", "cas")
_DATA_ENDINGS = (".toml", ".j2", ".json")
_LARGEST = 1 << 26


def pack_modules() -> bytes:
    """Return the files for Python as one pack: a list of names and sizes, then the contents.

    The same installation always gives the same bytes.
    """
    contents = dict(_list_files())
    names = json.dumps([[f"{SITE}/{name}", len(data)] for name, data in contents.items()]).encode()
    return b"".join([struct.pack("<I", len(names)), names, *contents.values()])


def _list_files() -> Iterator[tuple[str, bytes]]:
    root = Path(str(package_files(_OWN)))
    modules = _find_modules(root)
    for module in sorted(modules):
        yield f"{_OWN}/{modules[module].relative_to(root).as_posix()}", _read_file(modules[module])
    folders = {path.parent for path in modules.values()}
    data = [path for folder in folders for path in folder.iterdir()]
    data += [path for name in _DATA for path in (root / name).rglob("*")]
    for path in sorted(set(data)):
        if path.suffix in _DATA_ENDINGS:
            yield f"{_OWN}/{path.relative_to(root).as_posix()}", _read_file(path)
    # The name by which a compiled module finds its list of public names.
    yield f"{_OWN}/__init__.pyci", _read_file(root / "__init__.pyi")
    for name, project in {_OWN: _OWN, **LIBRARIES}.items():
        version = distribution(project).version
        folder = f"{name}-{version}.dist-info"
        yield f"{folder}/METADATA", f"Name: {project}\nVersion: {version}\n".encode()
    for name in LIBRARIES:
        yield from _list_library_files(name)


def _list_library_files(name: str) -> Iterator[tuple[str, bytes]]:
    spec = find_spec(name)
    folder = Path(str(spec.origin)).parent if spec else Path(name)
    for path in sorted(folder.rglob("*")):
        is_data = path.suffix == ".dat"
        if path.suffix == ".py" or is_data:
            yield f"{name}/{path.relative_to(folder).as_posix()}", _read_file(path)


def _read_file(path: Path) -> bytes:
    return files.read_specified_file(path, limit=_LARGEST, error_class=BundleError)


def _find_modules(root: Path) -> dict[str, Path]:
    """Return each module of lyncnb that Python on the page may import, with its file."""
    modules: dict[str, Path] = {}
    waiting = [_ENTRY]
    while waiting:
        module = waiting.pop()
        path = _find_module_path(root, module)
        if module in modules or path is None:
            continue
        modules[module] = path
        waiting.append(module.rpartition(".")[0])
        waiting += _list_imports(module, path)
    return modules


def _find_module_path(root: Path, module: str) -> Path | None:
    path = root.parent / module.replace(".", "/")
    return next(
        (p for p in (path.with_suffix(".py"), path / "__init__.py") if module and p.is_file()), None
    )


def _list_imports(module: str, path: Path) -> Iterator[str]:
    """Yield the modules of its own package that a module imports, including inside functions."""
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(_read_file(path))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1])
            target = f"{base}.{node.module}" if node.module else base
            yield target
            yield from (f"{target}.{alias.name}" for alias in node.names)
