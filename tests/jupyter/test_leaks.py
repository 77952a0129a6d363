"""A notebook never writes a passphrase to the disk, whatever a user types, saves and runs.

All files that a session wrote are searched, as text and base64: the notebook, checkpoints, the
request folder, and the server's folders (settings, workspaces, logs, IPython's history).
"""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from folders import PASSPHRASE, make_issued_folder
from lab_driver import CHROMIUM, LabBrowser, LabServer
from lab_panels import EDITOR, REQUESTS, STATUS, kernel, open_panel, write_notebook
from playwright.sync_api import expect
from topologies import FIVE_SERVERS, STANDARD_EDITION

in_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]
TYPED = "violet-ratchet-typed-only"
DIFFERS = "violet-ratchet-mistyped-1"
GIVEN = "violet-ratchet-given-right"
WRONG = "violet-ratchet-given-wrong"
NO_HOOK = "--ServerApp.jpserver_extensions={'lyncnb.jupyter.server_extension': False}"


def shapes(needle: str) -> Iterator[bytes]:
    """Yield a text in every encoding in which it could leak.

    For base64, yield the part of the encoded text that does not depend on adjacent bytes.
    """
    yield needle.encode()
    yield needle.encode("utf-16-le")
    yield urllib.parse.quote(needle, safe="").encode()
    yield json.dumps(needle)[1:-1].encode()
    yield needle.encode().hex().encode()
    for encoding in ("utf-8", "utf-16-le"):
        for offset in range(3):
            text = base64.b64encode(b"x" * offset + needle.encode(encoding))
            # The first and last group of base64 digits depend on the bytes before and after the
            # text.
            yield text[4:-4]
            yield text[4:-4].replace(b"+", b"-").replace(b"/", b"_")


def leaks(needles: list[str], *folders: Path) -> list[str]:
    """Return the path of each file that contains one of the needles in any encoding."""
    needle_shapes = {shape for needle in needles for shape in shapes(needle)}
    contents = (
        (path, path.read_bytes())
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )
    return [str(path) for path, data in contents if any(shape in data for shape in needle_shapes)]


@pytest.mark.parametrize("offset", range(3))
def test_the_search_finds_text_in_any_encoding(tmp_path, offset):
    """The search finds plain text, escaped text, and base64 at any offset, and reports nothing
    else.
    """
    plain = "before " * offset + GIVEN + " after"
    (tmp_path / "plain.txt").write_text(plain)
    (tmp_path / "wide.txt").write_text(plain, encoding="utf-16")
    (tmp_path / "base64.txt").write_bytes(base64.b64encode(plain.encode()))
    (tmp_path / "wide64.txt").write_bytes(base64.b64encode(plain.encode("utf-16-le")))
    (tmp_path / "other.txt").write_text(TYPED)
    names = {Path(path).name for path in leaks([GIVEN], tmp_path)}
    assert names == {"plain.txt", "wide.txt", "base64.txt", "wide64.txt"}


@pytest.mark.parametrize(
    "hook",
    [
        pytest.param(True, id="hook drops the state", marks=in_browser),
        pytest.param(False, id="no hook", marks=in_browser),
    ],
)
def test_a_browser_session_leaves_no_passphrase(
    tmp_path,
    chromium,
    hook,
):
    """If a user saves a notebook, it contains neither a passphrase that was typed into a panel nor
    a password that a panel shows.

    JupyterLab saves the state of widgets only if a planner enables this, so the test enables it.
    """
    (tmp_path / "small.csv").write_text(FIVE_SERVERS)
    arguments = ("--debug", "--Session.debug=True", *(() if hook else (NO_HOOK,)))
    needles = [TYPED, DIFFERS, GIVEN, WRONG]
    with (
        LabServer(tmp_path, save_widget_state=True, arguments=arguments) as server,
        LabBrowser(server, browser=chromium, seconds=60) as lab,
    ):
        open_panel(
            lab,
            tmp_path,
            EDITOR.format(table="small.csv"),
            REQUESTS.format(table="small.csv", folder="requests").replace("(plan,", "(editor,"),
            "import ipywidgets\nipywidgets.IntSlider(42)",
        )
        first = lab.field("Passphrase of the folder")
        repetition = lab.field("Repeat the passphrase")

        first.fill(TYPED)
        repetition.fill(TYPED)
        repetition.blur()
        lab.save()
        assert leaks(needles, tmp_path, server.home) == []

        first.fill(GIVEN)
        repetition.fill(DIFFERS)
        lab.button("Write", exact=False).click()
        lab.page.get_by_role("alert").get_by_text("differ").wait_for()
        lab.save()
        first.fill(GIVEN)
        repetition.fill(GIVEN)
        lab.page.keyboard.press("Enter")
        lab.wait_text("Finished.")
        lab.save()
        # After this edit, the panel can write requests again.
        kernel(lab, "editor.change_options(xmpp_host_names=True)")
        expect(first).to_be_enabled()
        first.fill(WRONG)
        first.press("Enter")
        lab.page.get_by_role("alert").get_by_text("passphrase").first.wait_for()
        path = lab.save()

        document = json.loads(path.read_text())
        state = document["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]
        saved = {widget["model_name"] for widget in state["state"].values()}
        # The saved notebook still contains the state of another widget.
        assert "IntSliderModel" in saved
        assert ("AnyModel" in saved) == (not hook)
        # The saved state does not contain the rows of the table.
        assert "fe02.contoso.com" not in json.dumps(state)
        lab.shut_down()
        password = shown_password(lab, tmp_path, hook)
        lab.shut_kernel_down()
        server.stop()
        assert (tmp_path / ".ipynb_checkpoints").is_dir()
        assert (tmp_path / "requests" / "keys").is_dir()
        history = next((server.home / "ipython").rglob("history.sqlite"))
        assert sqlite3.connect(history).execute("select count(*) from history").fetchone()[0] >= 2
        assert server.log_path.stat().st_size > 10_000
        assert leaks([*needles, PASSPHRASE, password], tmp_path, server.home) == []


def shown_password(lab, folder, hook) -> str:
    """Show a password in a status panel, save the notebook, and return the password."""
    (folder / "answered").mkdir()
    make_issued_folder(STANDARD_EDITION.encode(), folder / "answered")
    open_panel(lab, folder, STATUS.format(folder="answered/requests"), name="status.ipynb")
    lab.field("Passphrase of the folder").fill(PASSPHRASE)
    lab.save()
    lab.button("Create packages").click()
    lab.wait_text("2 packaged")
    lab.page.locator(".lyncnb summary", has_text="Password of a package").click()
    lab.field("The folder's passphrase").fill(PASSPHRASE)
    lab.button("Show password").click()
    lab.page.locator(".lc-password").wait_for(state="visible")
    password = lab.page.locator(".lc-password").inner_text()
    document = json.loads(lab.save().read_text())
    assert ("AnyModel" in json.dumps(document["metadata"])) == (not hook)
    return password


CELLS = (
    EDITOR.format(table="small.csv"),
    REQUESTS.format(table="small.csv", folder="requests"),
    "panel.start(ln.ask_passphrase())\npanel.wait()",
    "panel",
)


@pytest.mark.kernel
def test_nbconvert_leaves_no_passphrase(tmp_path):
    """``nbconvert --execute`` stores the table that a widget shows, but no secret."""
    (tmp_path / "small.csv").write_text(FIVE_SERVERS)
    write_notebook(tmp_path / "batch.ipynb", *CELLS)
    home = tmp_path / "home"
    home.mkdir()
    variables = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook", "--execute"]
    ran = subprocess.run(
        [*command, "--output", "batch.done.ipynb", "batch.ipynb", "--debug"],
        cwd=tmp_path,
        env={
            **os.environ,
            **{name: str(home / name) for name in variables},
            "LYNCNB_PASSPHRASE": GIVEN,
        },
        capture_output=True,
        text=True,
        timeout=180,
    )
    (home / "printed.txt").write_text(ran.stdout + ran.stderr)
    assert ran.returncode == 0, ran.stderr[-2000:]
    document = json.loads((tmp_path / "batch.done.ipynb").read_text())
    html_output = "".join(
        "".join(output.get("data", {}).get("text/html", ""))
        for cell in document["cells"]
        for output in cell["outputs"]
    )
    assert "fe02.contoso.com" in html_output
    assert (
        "6 requests in the folder requests: 6 kept" in html_output
    )  # The panel has written the requests, and the next cell of the notebook has found them.
    assert leaks([GIVEN], tmp_path) == []


@pytest.mark.kernel
def test_nbconvert_without_a_passphrase_fails(tmp_path):
    """If no user and no passphrase is available, nbconvert fails and writes nothing."""
    (tmp_path / "small.csv").write_text(FIVE_SERVERS)
    write_notebook(tmp_path / "batch.ipynb", *CELLS[:2])
    ran = subprocess.run(
        [sys.executable, "-m", "jupyter", "nbconvert", "--to=notebook", "--execute", "batch.ipynb"],
        cwd=tmp_path,
        env={**os.environ, "IPYTHONDIR": str(tmp_path / "ipython")},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert ran.returncode == 1
    assert "run the notebook with lyncnb run NOTEBOOK, or set LYNCNB_PASSPHRASE" in ran.stderr
    assert not (tmp_path / "requests").exists()


@pytest.mark.kernel
def test_lyncnb_run_leaves_no_passphrase(tmp_path):
    """The command "lyncnb run" writes a copy of the notebook and an HTML page without secrets, and
    completes the request folder.
    """
    (tmp_path / "small.csv").write_text(FIVE_SERVERS)
    write_notebook(tmp_path / "batch.ipynb", *CELLS)
    ran = subprocess.run(
        [sys.executable, "-m", "lyncnb", "run", "batch.ipynb"],
        cwd=tmp_path,
        env={**os.environ, "LYNCNB_PASSPHRASE": GIVEN, "IPYTHONDIR": str(tmp_path / "ipython")},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert ran.returncode == 0, ran.stderr
    (tmp_path / "printed.txt").write_text(ran.stdout + ran.stderr)
    assert "fe02.contoso.com" in (tmp_path / "batch.executed.html").read_text()
    assert len(list((tmp_path / "requests" / "csr").glob("*.csr"))) == 6
    assert leaks([GIVEN], tmp_path) == []
