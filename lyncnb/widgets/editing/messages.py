"""Define the messages from Python to the page of a plan editor.

Each entry of the table describes one message. ``js/messages.d.ts`` is generated from this
module and from the arguments of the answering functions. mypy checks the kernel's messages,
and tsc checks the page's messages.
"""
# ruff: noqa: UP013  Functional syntax shows the message types as one table.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

Counts = Mapping[str, int]
Rows = list[list[str]]
Choices = Sequence[Sequence[str]]  # Each choice consists of a value and its label.
CellName = tuple[int, str]  # A table cell, identified by its row ID and its column.

# -- The following types are for messages to every panel.

Refused = TypedDict(
    "Refused",
    {
        "type": Literal["refused"],
        "about": str,  # The type of the message that lyncnb rejected.
        "lines": Sequence[str],
        "cell": CellName | None,  # The table cell that the user edited.
        "occupied": bool,  # Whether other files already exist at the specified path.
        "offers": Sequence[str],  # The labels of buttons that offer other actions.
        # A valid name that the user can enter instead, or "".
        "instead": str,
    },
)
Number = TypedDict("Number", {"type": Literal["number"], "number": int})
ReasonFact = TypedDict("ReasonFact", {"heading": str, "says": str, "source": str})
RuleReason = TypedDict(
    "RuleReason",
    {
        "rule": str,
        "names": list[str],
        "facts": list[ReasonFact],
        "places": list[str],  # Descriptions of the certificates that contain the names.
        "servers": str,
    },
)
Reasons = TypedDict(
    "Reasons",
    {"type": Literal["reasons"], "title": str, "note": str, "reasons": list[RuleReason]},
)
RowsColumn = TypedDict("RowsColumn", {"name": str, "width": int})
TableRows = TypedDict(
    "TableRows",
    {
        "type": Literal["rows"],
        # Whether the message replaces all table rows, not only those with the same IDs.
        "all": bool,
        # Whether rows were added, removed or moved. If so, the last buffer contains the IDs of all
        # rows in order.
        "moved": bool,
        # The total number of rows in the table, if the message contains only the beginning of the
        # table.
        "total": NotRequired[int],
        "columns": list[RowsColumn],
    },
)
ColumnFacts = TypedDict(
    "ColumnFacts",
    {
        "name": str,
        "title": str,
        "least": int,  # The minimum width of the column in pixels.
        "share": int,
        # Other headings that the column can have in a pasted table.
        "aliases": NotRequired[list[str]],
        "scope": NotRequired[str],
        "help": NotRequired[str],
        "choices": NotRequired[Choices],
        "list": NotRequired[bool],
        "strict": NotRequired[bool],
        "required": NotRequired[bool],
        "fallback": NotRequired[str],
        "editable": NotRequired[bool],
        "shown": NotRequired[bool],
        "shown_of_pools": NotRequired[bool],
        "always": NotRequired[bool],
        "add": NotRequired[bool],
        "search": NotRequired[bool],
    },
)

# -- The following types are for findings in a plan editor or a request panel.

FindingItem = TypedDict(
    "FindingItem",
    {
        "about": str,
        "message": str,
        "names": list[str],  # The certificate names that the message contains.
        "row": int | None,
        "column": str,
        "heading": str,
        # The changes that each answer makes, if the finding has several possible answers.
        "choices": list[str],
    },
)
FindingGroup = TypedDict(
    "FindingGroup",
    {
        "code": str,
        "severity": str,
        "title": str,
        # The heading of an entry that combines several finding codes. It is "" for an entry with
        # one code.
        "subject": str,
        "meaning": str,
        "hint": str,
        "source": str,
        "accepted": str,
        "limits": str,
        "over": bool,  # Whether the acceptance of the finding has expired.
        "count": int,
        "open": int,  # The number of findings that are not accepted.
        # Each text describes one change that the fixes make: the location, the old value and the
        # new value.
        "fixes": list[str],
        "items": list[FindingItem],
    },
)

# -- The following types are for the table and the options form of a plan editor.

FieldFacts = TypedDict(
    "FieldFacts", {"name": str, "label": str, "kind": str, "help": str, "choices": Choices}
)
UsageRow = TypedDict(
    "UsageRow",
    {"key": str, "label": str, "note": NotRequired[str], "without": NotRequired[list[str]]},
)
UsageOption = TypedDict("UsageOption", {"name": str, "label": str, "choices": NotRequired[Choices]})
UsageTable = TypedDict(
    "UsageTable", {"caption": str, "rows": list[UsageRow], "options": list[UsageOption]}
)
FieldGroup = TypedDict(
    "FieldGroup",
    {
        "title": str,
        "help": NotRequired[str],
        "fields": NotRequired[list[FieldFacts]],
        "by_usage": NotRequired[UsageTable],
    },
)
# An encoding that the open file can have, with its language and two rows of the table.
EncodingFacts = TypedDict(
    "EncodingFacts", {"name": str, "title": str, "lines": Sequence[str], "chosen": bool}
)
EditorStart = TypedDict(
    "EditorStart",
    {
        "type": Literal["start"],
        "source": str,
        "columns": list[ColumnFacts],
        "groups": list[FieldGroup],
        "help": Rows,  # The first row contains the headings of the help table.
        "encodings": list[EncodingFacts],  # Empty if the open file is UTF-8 or UTF-16.
    },
)
Columns = TypedDict("Columns", {"type": Literal["columns"], "columns": list[ColumnFacts]})
Form = TypedDict("Form", {"type": Literal["form"], "groups": list[FieldGroup]})
Options = TypedDict(
    "Options",
    {
        "type": Literal["options"],
        "values": Mapping[str, object],
        # The fields whose value differs between servers, each with an explanation.
        "odd": Mapping[str, str],
    },
)
EditorState = TypedDict(
    "EditorState",
    {
        "type": Literal["state"],
        "counts": Counts,  # The counts include findings only after the checks are finished.
        "before": Counts,
        "said": str,  # A text that describes the step that was undone or redone.
        "done": str,  # A text that describes the last step and its effect on the plan.
        "cell": CellName | None,  # The table cell that Undo or Redo changed.
        "undo": str,
        "redo": str,
        "changes": int,
        "saved_words": str,
    },
)
Checked = TypedDict("Checked", {"type": Literal["checked"], "counts": Counts})
# The IDs of new table rows.
Done = TypedDict("Done", {"type": Literal["done"], "added": list[int]})
Chosen = TypedDict("Chosen", {"type": Literal["chosen"], "ids": list[int]})
RefusedCell = TypedDict("RefusedCell", {"cell": CellName, "text": str, "lines": list[str]})
TableCell = TypedDict(
    "TableCell",
    # A rejected cell of the table. `choices` has the texts that the page offers instead.
    {"cell": CellName, "text": str, "lines": list[str], "choices": list[str]},
)
Rejected = TypedDict(
    "Rejected",
    {
        "type": Literal["rejected"],
        "words": str,  # How many cells are rejected, or "".
        "cells": list[TableCell],
        "fixes": list[str],  # The changes that Fix all makes.
        "headings": list[tuple[str, str, str]],  # Heading, column and the title of the column.
    },
)
RefusedRow = TypedDict(
    "RefusedRow",
    # The number that the page assigned to the row.
    {"row": int, "column": str, "lines": list[str]},
)
RefusedCells = TypedDict(
    "RefusedCells",
    {
        "type": Literal["refused_cells"],
        "answered": list[int],  # The numbers by which the page identifies the block's new rows.
        "cells": list[RefusedCell],
        "rows": list[RefusedRow],
        "lines": list[str],
        "added": list[int],  # The IDs of the added table rows.
        "changed": bool,  # Whether at least one cell or row of the block was accepted.
    },
)
Code = TypedDict(
    "Code",
    {
        "type": Literal["code"],
        "code": str,
        "path": str,  # The file of the open table, or "".
        "options": str,  # The file that contains the options of the table.
        "has_options": bool,  # Whether the file with the options exists.
        "target": str,  # The file that Save writes, or "".
        "files": Sequence[str],  # The tables that the user can open.
    },
)
Saved = TypedDict(
    "Saved",
    {
        "type": Literal["saved"],
        "text": str,
        "hint": str,
        # The line of code that the user must add, or "" if the notebook contains it.
        "line": str,
    },
)
Restored = TypedDict("Restored", {"type": Literal["restored"], "lines": list[str]})
UnsavedDraft = TypedDict(
    "UnsavedDraft",
    # A text that describes the draft, or "" without a draft.
    {"type": Literal["draft"], "words": str},
)
DraftChanges = TypedDict(
    "DraftChanges",
    {
        "type": Literal["draft_changes"],
        "title": str,
        "headings": Sequence[str],
        "rows": Sequence[Sequence[str]],
        "note": str,
    },
)
# The execution counts of the notebook cells whose output shows an earlier plan.
Older = TypedDict("Older", {"type": Literal["older"], "cells": list[int]})

# -- The following types are for messages that contain a view of the plan.

ServerName = TypedDict("ServerName", {"name": str, "place": str, "why": str, "source": str})
ServerCertificate = TypedDict(
    "ServerCertificate",
    {
        "id": str,
        "title": str,
        "owner": str,
        "subject": str,
        "key": str,
        "issuer": str,
        "shared": str,
        "names": Sequence[ServerName],
    },
)
ServerFinding = TypedDict("ServerFinding", {"severity": str, "message": str, "hint": str})
Explanation = TypedDict(
    "Explanation",
    {
        "type": Literal["explain"],
        "title": str,
        "note": str,
        "certificates": list[ServerCertificate],
        "findings": list[ServerFinding],
    },
)
EditorFindings = TypedDict(
    "EditorFindings", {"type": Literal["findings"], "groups": list[FindingGroup]}
)
Effects = TypedDict(
    "Effects", {"words": str, "title": str, "headings": list[str], "rows": Rows, "note": str}
)
Changes = TypedDict(
    "Changes",
    {
        "type": Literal["changes"],
        "title": str,
        "headings": list[str],
        "rows": Rows,
        "note": str,
        "effects": Effects,
    },
)
NameUse = TypedDict(
    "NameUse",
    {
        "certificate": str,
        "owner": str,
        "issuer": str,
        "place": str,
        "why": str,
        "source": str,
        "rows": list[int],
    },
)
NameEntry = TypedDict("NameEntry", {"name": str, "uses": list[NameUse], "more": int})
Names = TypedDict(
    "Names",
    {
        "type": Literal["names"],
        "search": str,
        "total": int,
        "found": int,
        "names": list[NameEntry],
    },
)
PlannedGroup = TypedDict(
    "PlannedGroup",
    {
        # The fields from ``id`` to ``names`` describe the first certificate in the group.
        "id": str,
        "title": str,
        "owner": str,
        "issuer": str,
        "key": str,
        "subject": str,
        "names": list[str],
        "own": list[str],  # The names that differ between the servers in the group.
        "servers": list[str],
        "count": int,
        "at_set_up": bool,
        "rows": list[int],
    },
)
Certificates = TypedDict(
    "Certificates",
    {
        "type": Literal["certificates"],
        "groups": list[PlannedGroup],
        "total": int,
        "shown": int,
    },
)
Picture = TypedDict(
    "Picture",
    {
        "type": Literal["picture"],
        "kind": str,
        "site": str,
        "kinds": Choices,
        "sites": list[str],
        "title": str,
        "words": str,
        "svg": str,
        "headings": list[str],
        "rows": Rows,
        "total": int,
    },
)

# -- Scenarios

KeptScenario = TypedDict("KeptScenario", {"name": str, "note": str})
ScenarioList = TypedDict(
    "ScenarioList",
    {
        "type": Literal["scenarios"],
        "location": str,
        "now": str,
        "current": str,
        "changed": bool,
        "rows": list[KeptScenario],
        "removed": str,
        "most": int,
        "old": bool,  # Whether the comparison is out of date.
    },
)
ScenarioDone = TypedDict(
    "ScenarioDone", {"type": Literal["scenario_done"], "about": str, "said": str}
)
ScenarioDifference = TypedDict(
    "ScenarioDifference",
    {
        "heading": str,
        "words": str,
        "title": str,
        "headings": list[str],
        "rows": Rows,
        "note": str,
    },
)
Compared = TypedDict(
    "Compared",
    {
        "type": Literal["compared"],
        "title": str,
        "headings": list[str],
        "differing": Rows,
        "alike": Rows,
        "differences": list[ScenarioDifference],
    },
)
ScenarioPicture = TypedDict(
    "ScenarioPicture",
    {
        "type": Literal["picture_of_scenario"],
        "place": int,
        "title": str,
        "words": str,
        "svg": str,
    },
)

EditorToPage = (
    EditorStart
    | TableRows
    | Columns
    | Form
    | Options
    | EditorState
    | Checked
    | Done
    | Refused
    | RefusedCells
    | Rejected
    | Chosen
    | Code
    | Saved
    | Restored
    | UnsavedDraft
    | DraftChanges
    | Older
    | Explanation
    | EditorFindings
    | Changes
    | Names
    | Certificates
    | Picture
    | Reasons
    | ScenarioList
    | ScenarioDone
    | Compared
    | ScenarioPicture
)
