"""The pre-save hook removes the state of lyncnb's panels from a notebook, and keeps all other
state.
"""

from __future__ import annotations

from types import SimpleNamespace

import nbformat
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from nbformat.v4 import new_code_cell, new_notebook, new_output

from lyncnb.jupyter import server_extension
from lyncnb.jupyter.notebook_files import WIDGET_VIEW
from lyncnb.jupyter.server_extension import remove_panel_state

MAP = {
    "map": {"state": {"_anywidget_id": "ipyleaflet.Map", "layout": "IPY_MODEL_wide"}},
    "wide": {"state": {"width": "100%"}},
}
PANEL = {
    "panel": {"state": {"_anywidget_id": "lyncnb.widgets.panel.Panel", "layout": "IPY_MODEL_own"}},
    "own": {"state": {"width": "needle"}},
}


def notebook(widgets):
    state = {"application/vnd.jupyter.widget-state+json": {"state": dict(widgets)}}
    view = new_output("display_data", data={WIDGET_VIEW: {"model_id": "panel"}})
    return new_notebook(cells=[new_code_cell("1", outputs=[view])], metadata={"widgets": state})


def saved_state(widgets):
    model = {"type": "notebook", "content": notebook(widgets)}
    remove_panel_state(model=model, path="a", contents_manager=None)
    state = model["content"]["metadata"].get("widgets", {})
    return state.get("application/vnd.jupyter.widget-state+json", {}).get("state")


def test_the_state_of_other_widgets_is_saved():
    """When the hook removes the state of a panel, it keeps the state of other widgets, such as a
    map.
    """
    assert saved_state(MAP) == MAP
    assert saved_state({**MAP, **PANEL}) == MAP
    assert saved_state(PANEL) is None


def test_a_layout_that_two_widgets_share_is_saved():
    """When the hook removes the state of a panel from a saved notebook, it keeps a layout that
    another widget also uses.
    """
    shared = {**MAP, "panel": {"state": {**PANEL["panel"]["state"], "layout": "IPY_MODEL_wide"}}}
    assert saved_state(shared) == MAP


def test_state_in_another_format_is_saved_unchanged():
    """The pre-save hook does not change metadata that is not widget state in JupyterLab's format."""
    for widgets in ({"other": 1}, {"application/vnd.jupyter.widget-state+json": None}, [1]):
        model = {"type": "notebook", "content": {"metadata": {"widgets": widgets}}}
        remove_panel_state(model=model, path="a", contents_manager=None)
        assert model["content"]["metadata"] == {"widgets": widgets}


def test_jupyter_finds_the_extension():
    """Jupyter Server finds the extension by its name."""
    assert server_extension._jupyter_server_extension_points() == [
        {"module": "lyncnb.jupyter.server_extension"}
    ]


def test_saved_notebooks_and_checkpoints_contain_no_state(tmp_path):
    """With lyncnb's server extension, a saved notebook and its checkpoint contain the widget views,
    which are needed after a reload, but no widget state.
    """
    manager = LargeFileManager(root_dir=str(tmp_path))
    server_extension._load_jupyter_server_extension(SimpleNamespace(contents_manager=manager))
    model = {"type": "notebook", "format": "json", "content": notebook(PANEL)}
    manager.save(model, "a.ipynb")
    manager.create_checkpoint("a.ipynb")
    paths = list(tmp_path.rglob("*.ipynb"))
    assert len(paths) == 2
    for path in paths:
        assert "needle" not in path.read_text("utf-8")
        saved = nbformat.read(path, as_version=4)
        assert "widgets" not in saved.metadata
        assert WIDGET_VIEW in saved.cells[0].outputs[0].data


def test_other_files_are_left_alone():
    """The hook does not change a text file, a folder, or a notebook without content."""
    for model in (None, {"type": "file", "content": "x"}, {"type": "notebook", "content": None}):
        before = str(model)
        remove_panel_state(model=model, path="a", contents_manager=None)
        assert before == str(model)
