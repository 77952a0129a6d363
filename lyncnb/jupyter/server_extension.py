"""Extend Jupyter Server to remove the state of lyncnb's panels when a notebook is saved.

Widget state is a copy of every value in a widget. A saved notebook with widget state contains typed
passwords and uploaded keys. JupyterLab does not save widget state by default. If a user enables the
setting, this extension still removes the state of lyncnb's panels. It keeps the state of all other
widgets, because the extension runs in every Jupyter Server in the environment.

Widget *views* stay. If a page is reloaded while requests are being written, it needs the
view to find its panel again. ``lyncnb clean`` and ``lyncnb share`` remove the views.
"""

from __future__ import annotations

from typing import Any

_STATE = "application/vnd.jupyter.widget-state+json"
_REFERENCE = "IPY_MODEL_"


def remove_panel_state(model: dict[str, Any] | None = None, **_: Any) -> None:
    """Remove the state of lyncnb's panels from a notebook before it is saved.

    Parameters
    ----------
    model : dict, optional
        The contents model of Jupyter Server. Only a notebook with content is changed.
    """
    if not model or model.get("type") != "notebook" or not model.get("content"):
        return
    metadata = model["content"].get("metadata", {})
    try:
        widgets = metadata["widgets"][_STATE]["state"]
        panels = {id_ for id_, widget in widgets.items() if _is_panel(widget)}
    except (AttributeError, KeyError, TypeError):
        # The notebook has no widget state, or the state does not have the format in which
        # JupyterLab saves it.
        return
    parts = {id_ for panel in panels for id_ in _list_references(widgets[panel])}
    used = {id_ for other in widgets.keys() - panels for id_ in _list_references(widgets[other])}
    for id_ in panels | (parts - used):
        widgets.pop(id_, None)
    if not widgets:
        del metadata["widgets"]


def _is_panel(widget: dict[str, Any]) -> bool:
    return str(widget["state"].get("_anywidget_id", "")).startswith("lyncnb.")


def _list_references(widget: dict[str, Any]) -> set[str]:
    """Return the IDs of the models to which a widget refers, such as its layout."""
    values = [value for value in widget["state"].values() if isinstance(value, str)]
    return {value.removeprefix(_REFERENCE) for value in values if value.startswith(_REFERENCE)}


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "lyncnb.jupyter.server_extension"}]


def _load_jupyter_server_extension(server: Any) -> None:
    server.contents_manager.register_pre_save_hook(remove_panel_state)
