"""A Jupyter Server extension: no notebook is saved with the state of its widgets.

Widget state is a copy of every value a widget holds, so a typed password or an uploaded key
would stand in the saved notebook, also long after the setting was switched off again. JupyterLab
saves none by default and lyncnb's settings say so once more; this is the second line of defence.

Only the state goes. Widget *views* stay, because a page that is reloaded while requests are being
written needs them to find its panel again; ``lyncnb clean`` and ``lyncnb share`` drop them.
"""

from __future__ import annotations

from typing import Any


def drop_widget_state(model: dict[str, Any] | None = None, **_: Any) -> None:
    """Remove ``metadata.widgets`` from a notebook that is about to be saved.

    Parameters
    ----------
    model : dict, optional
        Contents model of Jupyter Server; anything but a notebook with content is left alone.
    """
    if not model or model.get("type") != "notebook" or not model.get("content"):
        return
    model["content"].get("metadata", {}).pop("widgets", None)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "lyncnb.jupyter.server_extension"}]


def _load_jupyter_server_extension(server: Any) -> None:
    server.contents_manager.register_pre_save_hook(drop_widget_state)
