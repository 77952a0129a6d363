"""lyncnb finds secrets in notebooks and removes them before it exports the notebooks as pages."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from pathlib import Path

import nbformat
import pytest
from lab_driver import CHROMIUM
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from topologies import FIVE_SERVERS

import lyncnb as ln
from lyncnb.errors import NotebookError
from lyncnb.jupyter.leak_scan import scan_notebook
from lyncnb.jupyter.notebook_files import WIDGET_VIEW, clean_notebook, read_notebook
from lyncnb.jupyter.shared_page import render_notebook, share_notebook

# This is not a real key. The search only looks for the format of a key.
PEM = "-----BEGIN PRIVATE KEY-----\nMIIA\n-----END PRIVATE KEY-----\n"
ENCRYPTED = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIA\n-----END ENCRYPTED PRIVATE KEY-----\n"
STATE = {"application/vnd.jupyter.widget-state+json": {"state": {"a": {"value": "needle"}}}}


def printed(text: str, name: str = "stdout"):
    return new_code_cell("1", outputs=[new_output("stream", name=name, text=text)])


def make_cell(**data: str):
    bundle = {key.replace("_", "/", 1): value for key, value in data.items()}
    return new_code_cell("1", outputs=[new_output("display_data", data=bundle)])


def save(path, *cells, **metadata):
    nbformat.write(new_notebook(cells=list(cells), metadata=metadata), path)
    return path


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (printed(f"key:\n{PEM}"), "the cell contains a private key"),
        (printed(ENCRYPTED), "the cell contains a private key"),
        (new_code_cell(f"key = '''{PEM}'''"), "the cell contains a private key"),
        (new_markdown_cell(PEM), "the cell contains a private key"),
        (make_cell(text_html=f"<pre>{PEM}</pre>"), "the cell contains a private key"),
        # In the base64 text of a file, a key begins at one of three offsets within a group of
        # digits.
        (printed(base64.b64encode(PEM.encode()).decode()), "the cell contains a private key"),
        (
            printed(base64.b64encode(b"-" + PEM.encode()).decode()),
            "the cell contains a private key",
        ),
        (
            printed(base64.b64encode(b"--" + PEM.encode()).decode()),
            "the cell contains a private key",
        ),
        (printed("Passphrase: hunter2\n", "stdin"), "the output contains text that a user entered"),
        (
            new_code_cell("x(passphrase='four random words')"),
            "the code contains a passphrase",
        ),
        (new_code_cell('PASSWORD = "hunter2"'), "the code contains a passphrase"),
        (new_code_cell("%env LYNCNB_PASSPHRASE=hunter2"), "the code contains a passphrase"),
        (
            new_code_cell('os.environ["LYNCNB_PASSPHRASE"] = "hunter2"'),
            "the code contains a passphrase",
        ),
    ],
)
def test_secrets_are_found_by_cell(cell, message):
    """The search for secrets reports a private key, a displayed answer to a prompt, and a
    passphrase in the source code, each with its cell number.
    """
    (problem,) = scan_notebook(new_notebook(cells=[new_markdown_cell("x"), cell]), name="a.ipynb")
    assert problem.file == "a.ipynb cell 2"
    assert problem.message.startswith(message)
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    "cell",
    [
        # The output that JupyterLab saves for a prompt of getpass.
        printed("Passphrase: ········\n", "stdin"),
        new_code_cell("ln.write_requests(plan, folder, passphrase=ln.ask_passphrase())"),
        new_code_cell('passphrase_file = "secret.txt"'),
        new_code_cell('os.environ.pop("LYNCNB_PASSPHRASE", None)'),
        printed("-----BEGIN CERTIFICATE REQUEST-----\nMIIA\n-----END CERTIFICATE REQUEST-----\n"),
        make_cell(text_html="<table><tr><td>PRIVATE KEY</td></tr></table>"),
    ],
)
def test_other_texts_are_not_secrets(cell):
    """The search does not report the dots of a hidden prompt, requests, or texts about keys."""
    assert scan_notebook(new_notebook(cells=[cell])) == ()


def test_clean_removes_state_views_and_run_times(tmp_path):
    """Cleaning a notebook removes widget state, views and run times, and keeps the static form of
    each output.
    """
    view = {WIDGET_VIEW: {"model_id": "a"}}
    table = new_output("display_data", data={**view, "text/html": "<table></table>"})
    bare = new_output("display_data", data={**view, "text/plain": "VBox(children=())"})
    cell = new_code_cell("1", outputs=[table, bare], metadata={"execution": {"x": "y"}})
    path = save(tmp_path / "a.ipynb", cell, widgets=STATE)
    path.chmod(0o640)

    assert clean_notebook(path)

    outputs = read_notebook(path).cells[0].outputs
    assert outputs[0].data == {"text/html": "<table></table>"}
    assert "This output is interactive" in outputs[1].data["text/html"]
    text = path.read_text("utf-8")
    assert not any(word in text for word in ("needle", "widget-view", 'execution":', "widgets"))
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}")
def test_clean_replaces_pictures_with_png_outputs(tmp_path):
    """With the option png, cleaning replaces the picture of an editor with a PNG output."""
    editor = ln.PlanEditor(ln.read_topology(FIVE_SERVERS.encode()), ln.load_rules("lync2013"))
    page, text, _ = editor.view.channel.make_static_output()
    saved = new_output("display_data", data={"text/html": page, "text/plain": text})
    path = save(tmp_path / "a.ipynb", new_code_cell("editor", outputs=[saved]))

    assert clean_notebook(path, png=True)
    assert not clean_notebook(path, png=True)

    static, picture = read_notebook(path).cells[0].outputs
    assert "data:image/svg" not in static.data["text/html"]
    assert "certificates" in static.data["text/html"]
    image = base64.b64decode(picture.data["image/png"])
    drawn = ln.figure(editor.plan)
    width, height = re.search(r'width="(\d+)" height="(\d+)"', drawn.svg).groups()
    assert image.startswith(b"\x89PNG\r\n")
    assert struct.unpack(">II", image[16:24]) == (int(width), int(height))
    # The picture is not a blank area in one color.
    assert len(set(zlib.decompress(image_data(image)))) > 40
    assert picture.data["text/plain"] == drawn.title


def image_data(image: bytes) -> bytes:
    """Return the compressed pixels of a PNG."""
    pixels, offset = b"", 8
    while offset < len(image):
        length, kind = struct.unpack(">I4s", image[offset : offset + 8])
        pixels += image[offset + 8 : offset + 8 + length] if kind == b"IDAT" else b""
        offset += 12 + length
    return pixels


def test_clean_does_not_change_a_clean_notebook(tmp_path):
    """Cleaning does not change a notebook without widgets, and also keeps its modification time."""
    path = save(tmp_path / "a.ipynb", new_code_cell("1"))
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")), indent=4), "utf-8")
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert not clean_notebook(path)
    assert before == (path.read_bytes(), path.stat().st_mtime_ns)


def test_clean_reports_a_key_in_a_cell(tmp_path):
    """If a cell contains a key, cleaning reports it and does not change the notebook."""
    path = save(tmp_path / "a.ipynb", printed(PEM), widgets=STATE)
    before = path.read_bytes()
    with pytest.raises(
        NotebookError, match=r"(?s)you must not share.*a.ipynb cell 1: the cell contains a private"
    ):
        clean_notebook(path)
    assert before == path.read_bytes()


@pytest.mark.parametrize(
    ("cell", "metadata", "message"),
    [
        (printed(PEM), {}, "the cell contains a private key"),
        (printed("word\n", "stdin"), {}, "the output contains text that a user entered"),
        (new_code_cell("1"), {"widgets": STATE}, "widget state.*run: lyncnb clean a.ipynb"),
        (new_code_cell("1"), {"mine": PEM}, "the notebook's metadata contains a private key"),
    ],
)
def test_share_rejects_a_notebook_with_secrets(tmp_path, cell, metadata, message):
    """A notebook that contains a secret cannot be shared as a page."""
    path = save(tmp_path / "a.ipynb", cell, **metadata)
    with pytest.raises(NotebookError, match=f"(?s){message}"):
        share_notebook(path)
    assert [path] == list(tmp_path.iterdir())


def test_a_shared_page_has_no_scripts_and_loads_nothing(tmp_path):
    """A shared page has no scripts, has addresses only in links, and has a content security policy
    that forbids scripts and external content.
    """
    cell = make_cell(text_html="<b>x</b>", application_javascript="alert(1)", text_plain="x")
    formula = new_markdown_cell("$x^2$ [a](https://learn.microsoft.com)\n```mermaid\na-->b\n```")
    path = save(tmp_path / "a.ipynb", formula, cell)
    page = share_notebook(path, tmp_path / "page.html").page
    assert page == tmp_path / "page.html"
    text = page.read_text("utf-8")
    assert re.findall(r"<(?:script|link|iframe)\b", text) == []
    assert re.findall(r"""(?:src=|url\(|@import\s)["']?\s*(?:https?:)?//[^"' )]*""", text) == []
    assert "content=\"default-src 'none'; " in text
    assert "alert" not in text
    assert "<b>x</b>" in text


def test_page_shows_the_static_form_of_widgets():
    """A shared page shows the table of a widget, and contains no reference to a missing widget
    model.
    """
    data = {WIDGET_VIEW: {"model_id": "a"}, "text/html": "<p>the table</p>"}
    cell = new_code_cell("1", outputs=[new_output("display_data", data=data)])
    notebook = new_notebook(cells=[cell])
    page = render_notebook(notebook, title="a <b>")
    assert "<p>the table</p>" in page
    assert "model_id" not in page
    assert "<title>a &lt;b&gt;</title>" in page
    assert WIDGET_VIEW in notebook.cells[0].outputs[0].data  # The original notebook is unchanged.


@pytest.mark.parametrize("content", [b"server_fqdn,role\n", b"{}", b"\xff\xfe", b""])
def test_a_file_that_is_not_a_notebook_is_reported(tmp_path, content):
    """If a file is not a notebook, the command prints one clear error message."""
    path = tmp_path / "a.ipynb"
    path.write_bytes(content)
    with pytest.raises(NotebookError, match='a.ipynb" is not a Jupyter notebook'):
        read_notebook(path)


def test_a_missing_notebook_is_reported(tmp_path):
    """If a notebook does not exist, the command prints one clear error message."""
    with pytest.raises(NotebookError, match=r'cannot read ".*a.ipynb": No such file'):
        read_notebook(tmp_path / "a.ipynb")
