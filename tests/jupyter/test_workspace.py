"""A workspace contains copies of the notebooks and samples, and can be opened in JupyterLab."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from free_ports import free_port
from places import DATA

from lyncnb.errors import NotebookError
from lyncnb.jupyter.workspace import lay_out

SAMPLES = DATA


def test_a_workspace_holds_notebooks_and_samples(tmp_path):
    """The function lay_out copies the notebooks and all sample topologies, and returns the path of
    the planning notebook.
    """
    notebook = lay_out(tmp_path / "work")
    assert notebook == tmp_path / "work" / "notebooks" / "plan.ipynb"
    assert notebook.is_file()
    names = {path.name for path in (tmp_path / "work" / "data").iterdir()}
    assert names == {path.name for path in SAMPLES.iterdir()}


def test_existing_files_in_a_workspace_are_kept(tmp_path):
    """If the workspace already exists, lyncnb restores missing files and does not change existing
    ones.
    """
    notebook = lay_out(tmp_path)
    notebook.write_text("mine", "utf-8")
    (tmp_path / "data" / "contoso.csv").unlink()
    lay_out(tmp_path)
    assert notebook.read_text("utf-8") == "mine"
    assert (tmp_path / "data" / "contoso.csv").is_file()


def test_a_broken_link_is_not_followed(tmp_path):
    """When lyncnb writes a file, it does not follow a broken symbolic link."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "contoso.csv").symlink_to(tmp_path / "elsewhere")
    lay_out(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_workspace_that_cannot_be_created(tmp_path):
    """If lyncnb cannot create a workspace, it prints one clear error message."""
    (tmp_path / "work").write_text("", "utf-8")
    with pytest.raises(
        NotebookError, match="cannot create the folder .*\n  hint: choose another folder"
    ):
        lay_out(tmp_path / "work")


@pytest.fixture
def serve(tmp_path):
    """Start a function of ``workspace`` in a separate process, and return its port, its log and its
    process id.
    """
    started = []

    def start(function: str) -> tuple[int, str, subprocess.Popen]:
        port = free_port()
        config = tmp_path / "config"
        config.mkdir()
        # These settings of the planner disable security, but the settings of lyncnb take
        # precedence.
        (config / "jupyter_server_config.py").write_text(
            'c.IdentityProvider.token = ""\nc.ServerApp.ip = "0.0.0.0"\n', "utf-8"
        )
        environment = {
            **os.environ,
            "JUPYTER_CONFIG_DIR": str(config),
            "JUPYTER_DATA_DIR": str(tmp_path / "share"),
            "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
            "LYNCNB_PASSPHRASE": "needle in a haystack",
        }
        code = f"from lyncnb.jupyter.workspace import {function} as f; f('w', browser=False, port={port})"
        log = tmp_path / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", code],
                cwd=tmp_path,
                env=environment,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        started.append(process)
        deadline = time.monotonic() + 60
        while not re.search(rf":{port}/\S*token=\w+", log.read_text("utf-8", "replace")):
            assert process.poll() is None, log.read_text("utf-8", "replace")
            assert time.monotonic() < deadline, log.read_text("utf-8", "replace")
            time.sleep(0.1)
        return port, re.search(r"token=(\w+)", log.read_text("utf-8", "replace"))[1], process

    yield start
    for process in started:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


@pytest.mark.kernel
@pytest.mark.usefixtures("older_kernel")
def test_lab_starts_no_kernel_that_cannot_encrypt_its_channels(serve, tmp_path):
    """lyncnb rejects an older kernel that JupyterLab finds first, because this kernel cannot
    encrypt its channels.
    """
    port, token, _ = serve("open_lab")
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/kernels?token={token}",
        data=b'{"name": "python3"}',
        method="POST",
    )
    with pytest.raises(urllib.error.HTTPError, match="500"):
        urllib.request.urlopen(request, timeout=60)
    assert "transport_encryption='required'" in (tmp_path / "log").read_text("utf-8", "replace")


BOTH = """
from lyncnb.errors import NotebookError
from lyncnb.jupyter.run_notebook import run_notebook
from lyncnb.jupyter.workspace import lay_out, open_lab

notebook = lay_out("w")
for start in (open_lab, lambda folder: run_notebook(notebook)):
    try:
        start("w")
    except NotebookError as error:
        print(error)
"""


def test_libraries_that_cannot_encrypt_the_channels_are_named(tmp_path):
    """With older versions of jupyter-client and ipykernel, no kernel starts, and one message lists
    the required versions.
    """
    for name, version in (("jupyter_client", "8.9.1"), ("ipykernel", "7.2.0")):
        metadata = tmp_path / "older" / f"{name}-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
    result = subprocess.run(
        [sys.executable, "-c", BOTH],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "older")},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert result.stdout == 2 * (
        "jupyter-client 8.9.1 and ipykernel 7.2.0 cannot encrypt the channels between Jupyter "
        "and the kernel. A passphrase may pass through these channels\n"
        '  hint: run: pip install "jupyter-client>=8.10" "ipykernel>=7.3"\n'
    )
