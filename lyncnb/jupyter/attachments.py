"""The pictures attached to a text cell, as nbconvert looks them up."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from nbformat import NotebookNode

_BROKEN = {"image/png": ""}


class Attachments(NotebookNode):
    """Pictures by name. A name without a picture gets a broken picture, as in JupyterLab.

    nbconvert fails for the whole notebook at such a name. It also looks up names in the form of a
    link, with ``%20`` for a space.
    """

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> Any:
        return dict.get(self, unquote(name)) or _BROKEN

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)  # a name without a picture is not an attribute
