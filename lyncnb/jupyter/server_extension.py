"""A Jupyter Server extension that removes the state of widgets when a notebook is saved.

Widget state is a copy of every value in a widget. With it, a saved notebook would contain typed
passwords and uploaded keys, even long after the setting is off again. JupyterLab saves no widget
state by default, and lyncnb's settings confirm this. This extension is the second line of defence.

Widget *views* stay, because a page that is reloaded while requests are being written needs them to
find its panel again. ``lyncnb clean`` and ``lyncnb share`` remove them.
"""

from __future__ import annotations

from typing import Any


def drop_widget_state(model: dict[str, Any] | None = None, **_: Any) -> None:
    """Remove ``metadata.widgets`` from a notebook that is about to be saved.

    Parameters
    ----------
    model : dict, optional
        Contents model of Jupyter Server. Only a notebook with content is changed.
    """
    if not model or model.get("type") != "notebook" or not model.get("content"):
        return
    model["content"].get("metadata", {}).pop("widgets", None)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "lyncnb.jupyter.server_extension"}]


def _load_jupyter_server_extension(server: Any) -> None:
    server.contents_manager.register_pre_save_hook(drop_widget_state)
