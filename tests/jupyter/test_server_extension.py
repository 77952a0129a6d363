"""The pre-save hook saves no notebook with the state of its widgets."""

from __future__ import annotations

from types import SimpleNamespace

import nbformat
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from nbformat.v4 import new_code_cell, new_notebook, new_output

from lyncnb.jupyter import server_extension
from lyncnb.jupyter.notebook_files import WIDGET_VIEW
from lyncnb.jupyter.server_extension import drop_widget_state

STATE = {"application/vnd.jupyter.widget-state+json": {"state": {"a": {"value": "needle"}}}}


def notebook():
    view = new_output("display_data", data={WIDGET_VIEW: {"model_id": "a"}})
    return new_notebook(cells=[new_code_cell("1", outputs=[view])], metadata={"widgets": STATE})


def test_jupyter_finds_the_extension():
    """The extension names itself the way Jupyter Server looks it up."""
    assert server_extension._jupyter_server_extension_points() == [
        {"module": "lyncnb.jupyter.server_extension"}
    ]


def test_a_saved_notebook_and_its_checkpoint_hold_no_state(tmp_path):
    """A contents manager with the hook writes views, which a reload needs, and no state."""
    manager = LargeFileManager(root_dir=str(tmp_path))
    server_extension._load_jupyter_server_extension(SimpleNamespace(contents_manager=manager))
    model = {"type": "notebook", "format": "json", "content": notebook()}
    manager.save(model, "a.ipynb")
    manager.create_checkpoint("a.ipynb")
    written = list(tmp_path.rglob("*.ipynb"))
    assert len(written) == 2
    for path in written:
        assert "needle" not in path.read_text("utf-8")
        saved = nbformat.read(path, as_version=4)
        assert "widgets" not in saved.metadata
        assert WIDGET_VIEW in saved.cells[0].outputs[0].data


def test_other_files_are_left_alone():
    """A text file, a folder and a notebook without content pass unchanged."""
    for model in (None, {"type": "file", "content": "x"}, {"type": "notebook", "content": None}):
        before = str(model)
        drop_widget_state(model=model, path="a", contents_manager=None)
        assert before == str(model)
