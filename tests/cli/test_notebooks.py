"""Test the commands that run, clean, share and serve notebooks."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from folders import PASSPHRASE
from places import REPOSITORY
from shell_kit import make_shell, process_environment

from lyncnb.jupyter.workspace import lay_out
from lyncnb.pki.passphrase import PROMPTS

shell = pytest.fixture(make_shell)

INTERRUPTED = "lyncnb: the command was interrupted; lyncnb kept the completed work\n"


def _notebook(*cells: str, **outputs: str) -> str:
    return json.dumps(
        {
            "cells": [
                {
                    "cell_type": "code",
                    "id": f"c{number}",
                    "metadata": {},
                    "execution_count": None,
                    "outputs": [],
                    "source": source,
                }
                for number, source in enumerate(cells)
            ],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


@pytest.mark.kernel
def test_run_writes_the_executed_copy_and_a_page(shell):
    """The run command executes a notebook, passes the passphrase to its prompt, and writes the
    executed copy and an HTML page.
    """
    shell.write("passphrase", PASSPHRASE)
    before = _notebook(
        "import getpass, os\nassert 'LYNCNB_PASSPHRASE' not in os.environ",
        "print(len(getpass.getpass('Passphrase (at least 12 characters): ')))\nfolder = 'requests'",
    )
    shell.write("small.ipynb", before)
    # The subfolder `keys` marks a folder as a request folder.
    for name in ("requests/keys", "others/keys"):
        (shell.folder / name).mkdir(parents=True)
    result = shell("run", "small.ipynb", "--passphrase-file", "passphrase")
    assert result.status == 0
    assert result.out.startswith("2 cells ran\n")
    assert "  request folder: requests (to see the next steps, open summary.html" in result.out
    assert "others" not in result.out
    assert (shell.folder / "small.ipynb").read_text() == before
    executed = (shell.folder / "small.executed.ipynb").read_text("utf-8")
    assert f'"{len(PASSPHRASE)}\\n"' in executed
    for path in (shell.folder / "small.executed.ipynb", shell.folder / "small.executed.html"):
        assert PASSPHRASE not in path.read_text("utf-8")


@pytest.mark.kernel
def test_main_command_of_the_readme(request, shell):
    """The first command in the README creates keys, requests and the summary in an empty folder,
    and prints what the README shows.

    It prints what the README shows.
    """
    path = REPOSITORY / "README.md"
    readme = path.read_text("utf-8")
    line = re.search(r"<!-- main command -->\n```sh\n(.*)\n```", readme)[1]
    match = re.search(r"&& LYNCNB_PASSPHRASE='(.+)' \.venv/bin/lyncnb (.+)$", line)
    # The earlier commands in the README only create the environment in which the tests already run.
    result = shell.process(*match[2].split(), environment={"LYNCNB_PASSPHRASE": match[1]})
    assert (result.status, result.err) == (0, "")
    example = re.search(r"^```console\n(.*?)^```", readme, re.M | re.S)
    if request.config.getoption("--refresh"):
        path.write_text(readme[: example.start(1)] + result.out + readme[example.end(1) :], "utf-8")
    else:
        assert example[1] == result.out
    folder = shell.folder / "work" / "notebooks" / "requests"
    assert str(folder.relative_to(shell.folder)) in result.out
    keys = sorted(path.stem for path in (folder / "keys").glob("*.key"))
    assert keys == sorted(path.stem for path in (folder / "csr").glob("*.csr"))
    assert len(keys) > 0
    assert {path.suffix for path in folder.glob("summary.*")} == {".csv", ".xlsx", ".html", ".md"}
    assert not list((folder / "archive").glob("*"))


@pytest.mark.kernel
def test_planning_notebook_opens_a_table_with_rejected_cells(shell):
    """In the planning notebook, a table with text that lyncnb cannot use fails only the cell that
    would write its requests. The plan before it leaves the row out, and no file is written.
    """
    work = shell.folder / "work"
    lay_out(work)
    text = (work / "data" / "contoso.csv").read_text("utf-8")
    text = text.replace("fe02.contoso.net,FrontEnd", "fe 02,Fronted")
    (work / "data" / "servers.csv").write_text(text, "utf-8")
    notebook = work / "notebooks" / "plan.ipynb"
    source = notebook.read_text("utf-8")
    changed = source.replace('data/contoso.csv\\"  # the table', 'data/servers.csv\\"  # the table')
    assert changed != source
    notebook.write_text(changed, "utf-8")
    environment = {"LYNCNB_PASSPHRASE": PASSPHRASE}
    result = shell.process("run", "work/notebooks/plan.ipynb", environment=environment)
    assert result.status == 1
    assert "servers.csv has 2 rejected cells, so lyncnb cannot write its plan" in result.err
    executed = notebook.with_name("plan.executed.ipynb").read_text("utf-8")
    assert "PlanEditor('servers.csv', 13 rows" in executed
    assert not notebook.with_name("requests").exists()


@pytest.mark.kernel
@pytest.mark.posix
def test_ctrl_c_ends_a_run(shell):
    """If the user presses Ctrl+C while a cell runs, the kernel ends, no incomplete file remains,
    and one line is printed.
    """
    cell = "import os, time\nopen('kernel', 'w').write(str(os.getpid()))\ntime.sleep(600)"
    shell.write("n.ipynb", _notebook(cell))
    process = subprocess.Popen(
        [sys.executable, "-m", "lyncnb", "run", "n.ipynb"],
        cwd=shell.folder,
        env=process_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    kernel = shell.folder / "kernel"
    give_up = time.monotonic() + 60
    while not (kernel.exists() and kernel.read_text()) and time.monotonic() < give_up:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)
    assert (process.returncode, *output) == (130, "", INTERRUPTED)
    with pytest.raises(ProcessLookupError):
        os.kill(int(kernel.read_text()), 0)
    assert {path.name for path in shell.folder.iterdir()} == {"kernel", "n.ipynb"}


@pytest.mark.kernel
@pytest.mark.posix
def test_ctrl_c_ends_a_run_that_asks_for_the_passphrase(shell):
    """Ctrl+C during the prompt for the passphrase ends the run immediately, although the prompt
    blocks the event loop.
    """
    import fcntl
    import pty
    import termios

    shell.write("n.ipynb", _notebook(f"import getpass\ngetpass.getpass({PROMPTS[0]!r})"))
    ours, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lyncnb", "run", "n.ipynb"],
        cwd=shell.folder,
        env=process_environment(),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        preexec_fn=lambda: (os.setsid(), fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)),
    )
    os.close(terminal)
    output = b""
    while b"Passphrase" not in output:
        output += os.read(ours, 1024)
    os.write(ours, b"\x03")
    assert process.wait(timeout=60) == 130
    with suppress(
        OSError
    ):  # Reading raises OSError at the end of the output, because the terminal is closed then.
        while chunk := os.read(ours, 1024):
            output += chunk
    os.close(ours)
    assert output.decode().replace("\r", "").endswith(INTERRUPTED)


@pytest.mark.kernel
def test_run_of_a_notebook_that_fails(shell):
    """If a cell of a notebook fails, the run command names the cell without a traceback and exits
    with status 1.
    """
    shell.write("broken.ipynb", _notebook("1 + 1", "1 / 0"))
    result = shell("run", "broken.ipynb")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("lyncnb: broken.ipynb cell 2 failed: ZeroDivisionError")


def test_notebook_with_a_secret_does_not_stop_the_others(shell):
    """If one of several notebooks contains a secret, the clean command still cleans the others and
    reports all errors.
    """
    for name in ("a", "c"):
        shell.write(f"{name}.ipynb", _notebook("password = 'four random words'"))
    state = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    notebook = json.loads(_notebook("1 + 1"))
    notebook["metadata"]["widgets"] = state
    shell.write("b.ipynb", json.dumps(notebook))
    result = shell("clean", "a.ipynb", "b.ipynb", "c.ipynb", "d.ipynb")
    assert (result.status, result.out) == (2, "b.ipynb: cleaned\n")
    assert "a.ipynb cell 1" in result.err
    assert "c.ipynb cell 1" in result.err
    assert 'cannot read "d.ipynb": No such file' in result.err
    # If all files can be read, the exit status for notebooks that contain secrets is 1.
    assert shell("clean", "a.ipynb", "c.ipynb").status == 1
    assert "widgets" not in (shell.folder / "b.ipynb").read_text()


def test_clean_and_share(shell):
    """The clean command reports whether it changed a notebook, and the share command writes an HTML
    page next to the notebook.
    """
    shell.write("n.ipynb", _notebook("1 + 1"))
    assert shell("clean", "n.ipynb").out == "n.ipynb: already clean\n"
    assert shell("share", "n.ipynb", "-o", "page.html").out == "written: page.html\n"
    assert "<html" in (shell.folder / "page.html").read_text("utf-8")


def test_share_rejects_a_notebook_with_secrets(shell):
    """If a notebook contains a private key, the commands share and clean exit with status 1, and no
    page is written.
    """
    key = "-----BEGIN " + "PRIVATE KEY-----\\nMIIB\\n-----END PRIVATE " + "KEY-----"
    shell.write("n.ipynb", _notebook(f"key = '''{key}'''"))
    for command in ("share", "clean"):
        result = shell(command, "n.ipynb")
        assert (result.status, result.out) == (1, "")
    assert not (shell.folder / "n.html").exists()
    # If one file is not a notebook, lyncnb still reports that another notebook was rejected.
    shell.write("own.toml", "x = 1")
    result = shell("clean", "n.ipynb", "own.toml")
    assert result.status != 0
    assert "private key" in result.err
    assert ".toml" in result.err


def _ask(port: str, query: str) -> dict:
    """Return the server's response as JSON. The server prints its address before it accepts
    connections, so the function repeats a refused request.
    """
    for _ in range(300):
        try:
            with urlopen(f"http://127.0.0.1:{port}/api/contents{query}", timeout=60) as answer:
                return json.load(answer)
        except URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
        time.sleep(0.1)
    raise TimeoutError("nothing listens")


@contextmanager
def _run_server(folder: Path):
    """Run the lab command without a browser, and return the port, the token, and the
    process.

    Return the port and the token in the printed address, and the process. The planner's settings
    switch security off, but lyncnb's settings take precedence.
    """
    config = folder / "config"
    config.mkdir()
    (config / "jupyter_server_config.py").write_text(
        'c.IdentityProvider.token = ""\nc.ServerApp.ip = "0.0.0.0"\n', "utf-8"
    )
    subfolders = {"CONFIG_DIR": "config", "DATA_DIR": "share", "RUNTIME_DIR": "runtime"}
    process = subprocess.Popen(
        [sys.executable, "-m", "lyncnb", "lab", "place", "--no-browser"],
        cwd=folder,
        env=process_environment(
            {f"JUPYTER_{name}": str(folder / subfolder) for name, subfolder in subfolders.items()}
            | {"LYNCNB_PASSPHRASE": PASSPHRASE}
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        give_up, match, output = time.monotonic() + 60, None, ""
        while not match and time.monotonic() < give_up:
            line = process.stderr.readline()
            output += line
            match = re.search(r"http://[\w.]+:(\d+)/\S*\?token=(\w+)", line)
        assert match, "no address with a token was printed"
        assert "your servers, run: lyncnb guide place" in output
        yield *match.groups(), process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert (folder / "place" / "notebooks" / "plan.ipynb").is_file()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Start JupyterLab once for all tests, because starting it takes longer than the tests."""
    with _run_server(tmp_path_factory.mktemp("lab")) as served:
        yield served


@pytest.mark.kernel
def test_lab_requires_its_token(lab):
    """The lab command creates the workspace, and its server requires the token."""
    port, token, _ = lab
    assert len(token) == 48
    names = {item["name"] for item in _ask(port, f"?token={token}")["content"]}
    assert {"data", "notebooks"} <= names
    with pytest.raises(OSError, match="403"):
        _ask(port, "")


@pytest.mark.kernel
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux' table of sockets")
def test_a_server_listens_on_loopback_only(lab):
    """JupyterLab accepts connections only from the same computer, whatever the
    planner's settings are.
    """
    port, _, _ = lab
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text("ascii").splitlines()[1:]:
            address, state = line.split()[1], line.split()[3]
            if state == "0A" and int(address.rpartition(":")[2], 16) == int(port):
                listening.add(address.rpartition(":")[0])
    assert listening == {"0100007F"}


@pytest.mark.kernel
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads Linux' /proc")
@pytest.mark.skipif(not shutil.which("sh"), reason="needs sh, which a terminal of JupyterLab runs")
def test_lab_does_not_pass_the_passphrase_on(lab):
    """In a terminal in JupyterLab, the environment contains lyncnb's settings for nbconvert, but no
    passphrase.
    """
    port, token, process = lab
    request = Request(f"http://127.0.0.1:{port}/api/terminals?token={token}", method="POST")
    with urlopen(request, timeout=60) as answer:
        assert answer.status == 200
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 60
    while not children.read_text("ascii").split():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (child,) = children.read_text("ascii").split()[:1]
    environment = Path(f"/proc/{child}/environ").read_bytes()
    assert b"JUPYTER_CONFIG_PATH=" in environment
    assert b"LYNCNB_PASSPHRASE" not in environment


TEXT = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "![x](attachment:x (1).png)"}


@pytest.mark.parametrize(
    ("cell", "status"),
    [
        (TEXT, 0),
        ({**TEXT, "source": "![x](attachment:x.png)"}, 0),
        ({**TEXT, "source": "![x][1]\n\n[1]: attachment:x.png", "attachments": {}}, 0),
        ({**TEXT, "source": "![x](attachment:x.png)", "attachments": {"x.png": {}}}, 0),
        ({**TEXT, "source": "![x](attachment:\u5716.png)"}, 0),
        ({**TEXT, "source": "![x](attachment:a&amp;b\\(1\\).png)"}, 0),
        ({**TEXT, "source": "[x]: attachment:\n\n![x]"}, 0),
        ({**TEXT, "cell_type": 5}, 2),
        ({**TEXT, "cell_type": ["markdown"]}, 2),
    ],
)
def test_share_with_damaged_cells(shell, cell, status):
    """The share command shows a missing picture as broken, and rejects a notebook in which a cell
    has no type.
    """
    document = json.loads(_notebook())
    document["cells"] = [cell]
    shell.write("plan.ipynb", json.dumps(document))
    assert shell("share", "plan.ipynb").status == status
