"""js/messages.d.ts is what the kernel's messages are: the tables of both, made into TypeScript.

mypy checks that the kernel sends what the tables say, tsc (test_javascript.py) that each page reads
that and asks for nothing that the kernel cannot read.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path

import pytest
from places import REPOSITORY
from topologies import TWO_SITES

import lyncnb as ln
from lyncnb.pki.passphrase import Secret
from lyncnb.widgets import messages as of_panels
from lyncnb.widgets.editing import messages
from lyncnb.widgets.editing.channel import Channel, parts_of
from lyncnb.widgets.planning_page import PlanningPage
from lyncnb.widgets.status_panel import StatusChannel

DECLARATIONS = REPOSITORY / "lyncnb" / "widgets" / "js" / "messages.d.ts"
PLAIN = {
    str: "string",
    int: "number",
    bool: "boolean",
    object: "unknown",
    type(None): "null",
    Secret: "string",
}
_BEGINNING = """// What the panels' pages ask and are told. Written by
// `pytest tests/typing/test_messages.py --refresh` from lyncnb/widgets/editing/messages.py,
// lyncnb/widgets/messages.py and the arguments of what answers each message.
"""


class Declarations:
    """The TypeScript of types, with an interface for each record that they contain."""

    def __init__(self) -> None:
        self.interfaces: dict[str, str] = {}

    def of(self, hint: typing.Any) -> str:
        """Return the type, and keep the interfaces that it names."""
        origin, inner = typing.get_origin(hint), typing.get_args(hint)
        if hint in PLAIN:
            return PLAIN[hint]
        if origin in (typing.Annotated, typing.NotRequired):
            return self.of(inner[0])
        if origin is typing.Literal:
            return " | ".join(f'"{value}"' for value in inner)
        if origin in (types.UnionType, typing.Union):
            return " | ".join(map(self.of, inner))
        if origin is tuple and inner[-1] is not ...:
            return f"[{', '.join(map(self.of, inner))}]"
        if origin in (list, tuple, Sequence):
            return f"{self.of(inner[0])}[]"
        if origin is Mapping:
            return f"Record<string, {self.of(inner[1])}>"
        if hint.__name__ not in self.interfaces:
            self.interfaces[hint.__name__] = ""  # its place is before what it contains
            lines = [f"  {part};\n" for part in self.parts(hint)]
            self.interfaces[hint.__name__] = f"interface {hint.__name__} {{\n{''.join(lines)}}}\n"
        return hint.__name__

    def parts(self, record: typing.Any) -> list[str]:
        """Return each part of a record with its type."""
        hints = typing.get_type_hints(record, include_extras=True)
        if is_dataclass(record):
            needed = {item.name for item in fields(record) if item.default is MISSING}
        else:
            needed = record.__required_keys__
        return [
            f"{name}{'' if name in needed else '?'}: {self.of(hint)}"
            for name, hint in hints.items()
        ]


def panels(folder: Path) -> dict[str, tuple[Channel, typing.Any]]:
    """Return every panel's channel, and the messages that its page is told."""
    topology = ln.read_topology(TWO_SITES.encode())
    editor = ln.PlanEditor(topology, ln.load_rules(), folder=folder)
    work = types.SimpleNamespace(folder=folder, editor=None, on_change=None)
    return {
        "Editor": (editor.view.channel, messages.EditorTold),
        "Request": (ln.RequestPanel(editor, folder).view.channel, of_panels.RequestTold),
        "Status": (StatusChannel(work), of_panels.StatusTold),
        "Guide": (ln.GuidePanel(folder).view.channel, of_panels.GuideTold),
        "Table": (PlanningPage()._table.channel, of_panels.TableTold),
    }


def declarations(folder: Path) -> str:
    """Write the messages of every panel in TypeScript."""
    made, unions = Declarations(), []
    for name, (channel, told) in panels(folder).items():
        unions.append(f"type {name}Told =\n  | {made.of(told).replace(' | ', chr(10) + '  | ')};\n")
        asked = []
        for kind, function in channel.asked.items():
            parts = [f'type: "{kind}"', *made.parts(parts_of(function))]
            asked.append(f"  | {{ {'; '.join(parts)} }}\n")
        unions.append(f"type {name}Asked = {{ cell?: CellName }} & (\n{''.join(asked)});\n")
    return "\n".join([_BEGINNING, *unions, *made.interfaces.values()])


def test_the_types_of_the_pages_are_those_of_the_kernel(request, tmp_path):
    """A message that is changed in Python changes there too; --refresh writes it."""
    written = declarations(tmp_path)
    if request.config.getoption("--refresh"):
        DECLARATIONS.write_text(written, "utf-8")
    assert DECLARATIONS.read_text("utf-8") == written


def test_every_message_of_a_page_has_an_answer(tmp_path):
    """Whatever a page may ask is answered, and only that."""
    for channel, _ in panels(tmp_path).values():
        assert channel.asked.keys() == channel.answers.keys()


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"type": "edit", "ids": [0], "column": "site"}, "Missing required value in 'edit.value'"),
        (
            {"type": "edit", "ids": [-1], "column": "site", "value": ""},
            "'edit.ids' must be a list with a whole number from 0 to 2,147,483,648 in each place",
        ),
        (
            {"type": "block", "cells": [{"row": 0, "column": "site"}], "add": [], "said": "x"},
            "Missing required value in 'block.cells[0].text'",
        ),
        ({"type": "undo", "steps": 2}, "Unknown key in 'undo.steps'"),
        ({"type": "explain", "ids": [0], "total": "1"}, "'explain.total' must be a whole number"),
    ],
)
def test_a_message_that_cannot_be_read_is_one_clear_problem(tmp_path, message, problem):
    """The page is told which part is wrong and what to do; the draft stays as it was."""
    channel, _ = panels(tmp_path)["Editor"]
    told = []
    channel.send = lambda message, buffers=(): told.append(message)
    channel.receive(message)
    (refused,) = told
    assert refused["type"] == "refused"
    assert refused["lines"][0].startswith(f"Not done: {problem}")
    assert refused["lines"][-1].startswith("What to do: ")
    assert not channel.editor.has_changes


def test_a_passphrase_of_the_wrong_kind_is_not_shown(tmp_path):
    """A refused message names the part, and no text that could be a passphrase."""
    panel = ln.RequestPanel(panels(tmp_path)["Editor"][0].editor, tmp_path).view
    told = []
    panel.channel.send = lambda message, buffers=(): told.append(message)
    panel._receive(panel, {"type": "write", "passphrase": 123456789012}, [])
    (refused,) = told
    assert refused["lines"][0].startswith("Not done: Missing required value in 'write.again'")
    assert "123456789012" not in str(refused)
