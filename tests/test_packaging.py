"""The wheel, the sdist, and the Python environment in which lyncnb is installed contain the right
files.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from places import REPOSITORY

from lyncnb.jupyter import workspace

PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
DATA = f"lyncnb-{PYPROJECT['project']['version']}.data/data"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel with the build backend, without network access."""
    folder = tmp_path_factory.mktemp("wheel")
    code = f"from hatchling.build import build_wheel; build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_holds_every_module_and_its_data(wheel):
    """The wheel contains all Python modules, rule files, scripts and styles of the package."""
    suffixes = {".py", ".toml", ".js", ".css", ".json", ".j2", ".ps1"}
    package = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "lyncnb").rglob("*")
        if path.suffix in suffixes or path.name == "py.typed"
    }
    assert package - set(wheel.namelist()) == set()


def test_the_wheel_holds_the_workspace(wheel):
    """The wheel contains the committed notebooks with their outputs, and the samples."""
    sources = [*(REPOSITORY / "notebooks").glob("*.ipynb"), *(REPOSITORY / "data").iterdir()]
    for source in (path for path in sources if ".executed" not in path.name and path.is_file()):
        name = f"lyncnb/_workspace/{source.relative_to(REPOSITORY).as_posix()}"
        assert source.read_bytes() == wheel.read(name), name


def test_the_wheel_holds_the_jupyter_settings(wheel):
    """The wheel contains the settings file that enables its server extension, and no other Jupyter
    settings.
    """
    placed = {name for name in wheel.namelist() if name.startswith(DATA)}
    assert placed == {f"{DATA}/etc/jupyter/jupyter_server_config.d/lyncnb.json"}


def test_the_wheel_contains_no_other_files(wheel):
    """The wheel contains no tests, caches, or files of a planner."""
    strange = re.compile(r"tests/|__pycache__|\.executed|checkpoint|\.key$|\.csr$|requests/")
    assert [name for name in wheel.namelist() if strange.search(name)] == []


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """Build the sdist with the build backend, and return the folder with the unpacked files."""
    folder = tmp_path_factory.mktemp("sdist")
    code = f"from hatchling.build import build_sdist; build_sdist({str(folder)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, capture_output=True)
    (path,) = folder.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")
    return folder / path.name.removesuffix(".tar.gz")


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="git lists the files of a clone")
def test_the_sdist_holds_every_file_of_the_repository(unpacked):
    """Except for its own metadata, the sdist contains exactly the files in the repository."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
        text=True,
    )
    packed = {p.relative_to(unpacked).as_posix() for p in unpacked.rglob("*") if p.is_file()}
    assert packed - {"PKG-INFO"} == set(listing.stdout.split("\0")) - {""}


def test_the_tests_of_the_sdist_find_their_files(unpacked):
    """Tests in the unpacked sdist find the scripts, although there is no clone and no git."""
    tests = "tests/test_repository.py::test_ci_runs_the_test_command_of_the_readme"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [*command, tests], cwd=unpacked, capture_output=True, text=True, check=False
    )
    assert (result.returncode, "1 passed" in result.stdout) == (0, True), result.stdout[-3000:]


def test_entry_point_and_metadata():
    """The command is lyncnb, and its version is the one in pyproject.toml."""
    installed = distribution("lyncnb")
    (script,) = installed.entry_points.select(group="console_scripts")
    assert (script.name, script.value) == ("lyncnb", "lyncnb.cli:main")
    assert installed.version == PYPROJECT["project"]["version"]
    assert f"## [{installed.version}]" in (REPOSITORY / "CHANGELOG.md").read_text("utf-8")


def test_settings_apply_only_to_lyncnb_lab(monkeypatch):
    """`lyncnb lab` does not save the state of widgets and shows no news. The settings of every
    other JupyterLab are unchanged.
    """
    from jupyterlab.commands import get_app_dir
    from jupyterlab_server.settings_utils import _get_overrides

    def overrides():
        settings, error = _get_overrides(f"{get_app_dir()}/settings")
        assert error == ""
        return settings

    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "")
    monkeypatch.setenv("JUPYTER_PATH", "")
    assert "@jupyter-widgets/jupyterlab-manager:plugin" not in overrides()
    workspace._prepare_environment()
    ours = overrides()
    assert ours["@jupyter-widgets/jupyterlab-manager:plugin"] == {"saveState": False}
    assert ours["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"


def test_jupyter_server_enables_the_extension():
    """Installing lyncnb also enables its extension for Jupyter Server."""
    from jupyter_server.extension.config import ExtensionConfigManager

    paths = [f"{sys.prefix}/etc/jupyter/jupyter_server_config.d"]
    extensions = ExtensionConfigManager(read_config_path=[str(Path(paths[0]).parent)])
    assert extensions.get_jpserver_extensions()["lyncnb.jupyter.server_extension"] is True


def test_importing_the_package_is_cheap():
    """Neither importing lyncnb nor showing its help loads pandas or cryptography."""
    code = (
        "import sys, lyncnb, lyncnb.cli\n"
        "heavy = {'pandas', 'numpy', 'cryptography', 'ipywidgets', 'jupyterlab'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


def test_hints_about_installing_name_a_package():
    """Hints work word for word in a clone too, so they name a package and not an extra of lyncnb."""
    for path in (REPOSITORY / "lyncnb").rglob("*.py"):
        assert "lyncnb[" not in path.read_text("utf-8"), path
