"""Provide nbconvert with the pictures that are attached to a notebook's Markdown cells."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from nbformat import NotebookNode

_BROKEN = {"image/png": ""}


class Attachments(NotebookNode):
    """The pictures of a text cell, by name. A missing picture is shown as a broken picture.

    Without this class, nbconvert fails for the whole notebook if a picture is missing.
    nbconvert also looks up names in the form of a link, with ``%20`` for a space.
    """

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> Any:
        return dict.get(self, unquote(name)) or _BROKEN

    def __getattr__(self, name: str) -> Any:
        # The object returns a picture for every key. Without this method, every attribute would
        # also seem to exist.
        raise AttributeError(name)
