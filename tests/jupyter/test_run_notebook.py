"""lyncnb runs a notebook without a browser, writes the output files, and shows the notebook's
questions and messages.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import nbformat
import pytest
from jupyter_client.connect import LocalPortCache
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from lyncnb.errors import NotebookError, PassphraseError
from lyncnb.jupyter.notebook_files import read_notebook
from lyncnb.jupyter.run_notebook import run_notebook
from lyncnb.pki.passphrase import PROMPTS, Secret

pytestmark = pytest.mark.kernel

NEEDLE = "needle in a haystack"


def save(folder: Path, *sources: str) -> Path:
    path = folder / "a.ipynb"
    cells = [new_markdown_cell("# Title"), *map(new_code_cell, sources)]
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_a_run_leaves_the_executed_copy_and_a_page(tmp_path):
    """The cells run in the notebook's folder. lyncnb writes an executed copy and a page, and does
    not change the notebook.
    """
    path = save(tmp_path, "import os\nprint(os.getcwd() == FOLDER)", "6 * 7")
    source = path.read_text("utf-8").replace("FOLDER", repr(str(tmp_path)))
    path.write_text(source, "utf-8")
    calls = []
    run = run_notebook(path, progress=lambda done, total: calls.append((done, total)))
    assert (run.executed, run.page) == (
        tmp_path / "a.executed.ipynb",
        tmp_path / "a.executed.html",
    )
    assert run.cells == 2
    assert calls == [(1, 2), (2, 2)]
    assert source == path.read_text("utf-8")
    cells = read_notebook(run.executed).cells
    assert [cell.outputs[0].get("text", "") for cell in cells[1:2]] == ["True\n"]
    assert cells[2].outputs[0].data["text/plain"] == "42"
    assert "42" in run.page.read_text("utf-8")


def test_a_passphrase_is_passed_only_to_getpass(tmp_path, monkeypatch):
    """If the kernel asks for the passphrase, it receives the passphrase as input, and not in its
    environment or in a file.
    """
    monkeypatch.setenv("LYNCNB_PASSPHRASE", NEEDLE)
    path = save(
        tmp_path,
        f"import getpass, os\nword = getpass.getpass({PROMPTS[0]!r})",
        "import ipywidgets\nbox = ipywidgets.Password(value=word)\nbox",
        "print(len(word), os.environ.get('LYNCNB_PASSPHRASE'))",
    )
    calls = []
    run = run_notebook(path, passphrase=lambda: calls.append(1) or Secret(NEEDLE))
    assert calls == [1]
    assert read_notebook(run.executed).cells[3].outputs[0].text == f"{len(NEEDLE)} None\n"
    for file in tmp_path.iterdir():
        assert NEEDLE not in file.read_text("utf-8")
    assert "widgets" not in read_notebook(run.executed).metadata
    assert os.environ["LYNCNB_PASSPHRASE"] == NEEDLE


@pytest.mark.parametrize("question", ["Password of the PFX: ", "Password: ", "Passphrase: "])
def test_other_prompts_do_not_receive_the_passphrase(tmp_path, question):
    """A prompt for a passphrase other than the folder's receives no answer."""
    path = save(tmp_path, f"import getpass\nprint(getpass.getpass({question!r}))")
    with pytest.raises(NotebookError, match="but nobody can answer"):
        run_notebook(path, passphrase=lambda: Secret(NEEDLE))
    for file in tmp_path.iterdir():
        assert NEEDLE not in file.read_text("utf-8")


def test_kernel_channels_are_encrypted(tmp_path):
    """The kernel receives a key pair and encrypts the messages on its sockets."""
    path = save(
        tmp_path,
        "import json\nfrom ipykernel.kernelapp import IPKernelApp\n"
        "info = json.load(open(IPKernelApp.instance().connection_file))\n"
        "print(sorted(name for name in info if 'curve' in name))",
    )
    run = run_notebook(path)
    assert "curve" in read_notebook(run.executed).cells[1].outputs[0].text


@pytest.mark.usefixtures("older_kernel")
def test_a_kernel_that_cannot_encrypt_its_channels_is_refused(tmp_path):
    """If the first kernel that lyncnb finds is too old to encrypt its channels, lyncnb rejects the
    kernel and sends it no data.
    """
    path = save(tmp_path, "print('before')")
    with pytest.raises(NotebookError, match="cannot encrypt its connection") as caught:
        run_notebook(path)
    assert "jupyter kernelspec list" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "^a.ipynb cell 3 failed: ZeroDivisionError: division by zero"),
        (
            "input('Name? ')",
            '^a.ipynb cell 3 asks "Name\\?", but nobody can answer while the notebook runs',
        ),
        ("import getpass; getpass.getpass()", "^a.ipynb cell 3 asks .*, but nobody can answer"),
        (
            "from lyncnb.errors import TopologyError\nraise TopologyError('no row', hint='do x')",
            "^a.ipynb cell 3 failed: no row\n  hint: do x$",
        ),
        ("import os; os._exit(1)", "^a.ipynb cell 3: the kernel stopped unexpectedly"),
    ],
)
def test_a_failed_cell_is_named_and_explained(tmp_path, source, message):
    """If a cell fails, the error message names the cell and the cause. The written files contain
    the output of the earlier cells.
    """
    path = save(tmp_path, "print('before')", source, "print('after')")
    with pytest.raises(NotebookError, match=message):
        run_notebook(path)
    text = (tmp_path / "a.executed.ipynb").read_text("utf-8")
    assert "before\\n" in text
    assert "after\\n" not in text.replace("print('after')", "")
    assert (tmp_path / "a.executed.html").exists()


def test_messages_of_the_kernel_are_not_shown(tmp_path, capfd, monkeypatch):
    """The run does not show messages of a kernel's libraries, but it shows the output of cells."""
    monkeypatch.delenv(
        "PYTEST_CURRENT_TEST"
    )  # If PYTEST_CURRENT_TEST is set, a kernel does not redirect descriptor 2.
    path = save(
        tmp_path,
        "import os, sys\nos.write(sys.stderr.fileno(), b'of itself')",
        "print('of a cell', file=sys.stderr)",
    )
    run = run_notebook(path)
    assert capfd.readouterr() == ("", "")
    text = run.executed.read_text("utf-8")
    assert (
        text.count("of a cell") == 2
    )  # The source of the cell contains the text, and so does its output.
    assert text.count("of itself") == 1


@pytest.mark.parametrize("output", ["no module named so", ""])
def test_a_kernel_that_does_not_start(tmp_path, capfd, output):
    """If a file next to the notebook has the name of a module that the kernel imports, the kernel
    does not start, and nothing is written.
    """
    path = save(tmp_path, "6 * 7")
    (tmp_path / "ipykernel_launcher.py").write_text(f"import sys\nsys.exit({output!r} or 1)\n")
    with pytest.raises(NotebookError, match=r"^a\.ipynb: the kernel did not start") as caught:
        run_notebook(path)
    assert caught.value.hint.endswith(
        f"The kernel reported: {output}" if output else "run the notebook again"
    )
    assert {file.suffix for file in tmp_path.iterdir() if file.is_file()} == {".ipynb", ".py"}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("starts", [1, 2, 3])
def test_a_port_that_is_already_in_use(tmp_path, capfd, monkeypatch, starts):
    """If another program already uses a port of the kernel, lyncnb starts the kernel again with
    other ports, up to three times.
    """
    path = save(tmp_path, "6 * 7")
    find = LocalPortCache.find_available_port
    ports = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def taken_at_first(cache: LocalPortCache, ip: str) -> int:
            ports.append(listener.getsockname()[1] if len(ports) < starts * 5 else find(cache, ip))
            return ports[-1]

        monkeypatch.setattr(LocalPortCache, "find_available_port", taken_at_first)
        if starts < 3:
            assert run_notebook(path).cells == 1
        else:
            with pytest.raises(NotebookError, match="the kernel did not start") as caught:
                run_notebook(path)
            assert caught.value.hint.startswith(
                "run the notebook again. The last output of the kernel was: "
            )
            assert {file.suffix for file in tmp_path.iterdir() if file.is_file()} == {".ipynb"}
    assert len(ports) == min(starts + 1, 3) * 5  # A kernel has five ports.
    assert capfd.readouterr() == ("", "")


def test_a_missing_passphrase_stops_the_run(tmp_path):
    """If the planner enters no passphrase, the run ends with the error of the function that asks
    for the passphrase.
    """

    def none() -> Secret:
        raise PassphraseError("there is no passphrase", hint="give one")

    path = save(tmp_path, f"import getpass\ngetpass.getpass({PROMPTS[0]!r})")
    with pytest.raises(PassphraseError, match="there is no passphrase"):
        run_notebook(path, passphrase=none)


def test_an_output_with_a_key_is_not_written_as_a_page(tmp_path):
    """If an output contains a private key, lyncnb writes no page."""
    path = save(tmp_path, "print('-----BEGIN ' + 'PRIVATE KEY-----')")
    with pytest.raises(NotebookError, match="the cell contains a private key"):
        run_notebook(path)
    assert not (tmp_path / "a.executed.html").exists()
