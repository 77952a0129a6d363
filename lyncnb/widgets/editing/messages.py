"""The messages to the page of a plan editor: the parts of each message, by ``type``.

Each entry of the table describes one message. ``js/messages.d.ts`` is generated from this
module and from the arguments of the answering functions. mypy checks the kernel's messages,
and tsc checks the page's messages.
"""
# ruff: noqa: UP013  a class for each message would hide the table

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

Counts = Mapping[str, int]
Rows = list[list[str]]
Choices = Sequence[Sequence[str]]  # Each choice is a value with its label.
CellName = tuple[int, str]  # A cell is a row ID and a column.

# -- messages to every panel

Refused = TypedDict(
    "Refused",
    {
        "type": Literal["refused"],
        "about": str,  # the type of the message from the page
        "lines": Sequence[str],
        "cell": CellName | None,  # the edited cell
        "occupied": bool,  # whether other files already exist there
        "offer": str,  # the label of a button for an alternative, or ""
        "instead": str,  # a valid name to use instead, or ""
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
        "places": list[str],  # the certificates that contain the names
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
        "all": bool,  # if false, these rows replace the rows with the same IDs
        "total": NotRequired[int],  # the number of all rows, if these are only the first rows
        "columns": list[RowsColumn],
    },
)
ColumnFacts = TypedDict(
    "ColumnFacts",
    {
        "name": str,
        "title": str,
        "least": int,  # the width in pixels
        "share": int,
        "scope": NotRequired[str],
        "help": NotRequired[str],
        "choices": NotRequired[Choices],
        "list": NotRequired[bool],
        "strict": NotRequired[bool],
        "required": NotRequired[bool],
        "fallback": NotRequired[str],
        "editable": NotRequired[bool],
        "shown": NotRequired[bool],
        "always": NotRequired[bool],
        "add": NotRequired[bool],
        "search": NotRequired[bool],
    },
)

# -- findings in an editor or a request panel

FindingItem = TypedDict(
    "FindingItem",
    {
        "about": str,
        "message": str,
        "names": list[str],  # certificate names in the message
        "row": int | None,
        "column": str,
        "heading": str,
    },
)
FindingGroup = TypedDict(
    "FindingGroup",
    {
        "code": str,
        "severity": str,
        "title": str,
        "subject": str,  # the entry that combines several codes, or ""
        "meaning": str,
        "hint": str,
        "source": str,
        "accepted": str,
        "limits": str,
        "over": bool,  # whether the acceptance has expired
        "count": int,
        "open": int,  # the findings that are not accepted
        "mendable": int,
        "items": list[FindingItem],
    },
)

# -- the table and form of an editor

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
EditorStart = TypedDict(
    "EditorStart",
    {
        "type": Literal["start"],
        "source": str,
        "columns": list[ColumnFacts],
        "groups": list[FieldGroup],
        "help": Rows,  # the first row contains the headings
    },
)
Columns = TypedDict("Columns", {"type": Literal["columns"], "columns": list[ColumnFacts]})
Form = TypedDict("Form", {"type": Literal["form"], "groups": list[FieldGroup]})
Options = TypedDict(
    "Options",
    {
        "type": Literal["options"],
        "values": Mapping[str, object],
        "odd": Mapping[str, str],  # fields with several values, and the reason for them
    },
)
EditorState = TypedDict(
    "EditorState",
    {
        "type": Literal["state"],
        "counts": Counts,  # without findings until the checks are finished
        "before": Counts,
        "said": str,  # the step that was undone or redone
        "done": str,  # the step and its effect on the plan
        "undo": str,
        "redo": str,
        "changes": int,
        "saved_words": str,
    },
)
Checked = TypedDict("Checked", {"type": Literal["checked"], "counts": Counts})
Done = TypedDict("Done", {"type": Literal["done"], "added": list[int]})  # the IDs of the new rows
Chosen = TypedDict("Chosen", {"type": Literal["chosen"], "ids": list[int]})
RefusedCell = TypedDict("RefusedCell", {"cell": CellName, "text": str, "lines": list[str]})
RefusedCells = TypedDict(
    "RefusedCells",
    {"type": Literal["refused_cells"], "cells": list[RefusedCell], "lines": list[str]},
)
Code = TypedDict(
    "Code",
    {
        "type": Literal["code"],
        "code": str,
        "path": str,  # the file of the open table, or ""
        "options": str,  # the file of the table's options
        "is_written": bool,  # whether Save can write the file
        "files": Sequence[str],  # the tables that can be opened
    },
)
Saved = TypedDict(
    "Saved",
    {
        "type": Literal["saved"],
        "text": str,
        "hint": str,
        "line": str,  # the line to add to the notebook, or "" if it is there
    },
)
Restored = TypedDict("Restored", {"type": Literal["restored"], "lines": list[str]})
UnsavedDraft = TypedDict(
    "UnsavedDraft",
    {"type": Literal["draft"], "words": str},  # a description of the draft, or "" if there is none
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
Older = TypedDict(
    "Older", {"type": Literal["older"], "cells": list[int]}
)  # the execution counts of cells

# -- views of the plan

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
        "id": str,  # the names on the first certificate
        "title": str,
        "owner": str,
        "issuer": str,
        "key": str,
        "subject": str,
        "names": list[str],
        "own": list[str],  # names that differ between the servers in the group
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

# -- scenarios

KeptScenario = TypedDict("KeptScenario", {"name": str, "note": str})
ScenarioList = TypedDict(
    "ScenarioList",
    {
        "type": Literal["scenarios"],
        "folder": str,
        "now": str,
        "current": str,
        "changed": bool,
        "rows": list[KeptScenario],
        "removed": str,
        "most": int,
        "old": bool,  # whether the comparison is out of date
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

EditorTold = (
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
