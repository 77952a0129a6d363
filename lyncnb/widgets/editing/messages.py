"""Define the messages to the page of a plan editor: the parts of each message, by ``type``.

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
Choices = Sequence[Sequence[str]]  # A choice consists of a value and its label.
CellName = tuple[int, str]  # A cell consists of a row id and a column.

# -- These messages are for every panel.

Refused = TypedDict(
    "Refused",
    {
        "type": Literal["refused"],
        "about": str,  # The value is the type of the message from the page.
        "lines": Sequence[str],
        "cell": CellName | None,  # The user edited this cell.
        "occupied": bool,  # The value is true if other files already exist at the specified path.
        "offers": Sequence[str],  # Buttons for alternatives have these labels.
        # The user can use this valid name instead. Without such a name, the value is "".
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
        "places": list[str],  # These certificates contain the names.
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
        "all": bool,  # If the value is false, these rows replace the rows with the same ids.
        # If the message contains only the first rows, this is the number of all rows.
        "total": NotRequired[int],
        "columns": list[RowsColumn],
    },
)
ColumnFacts = TypedDict(
    "ColumnFacts",
    {
        "name": str,
        "title": str,
        "least": int,  # The column has this width in pixels.
        "share": int,
        "aliases": NotRequired[list[str]],  # A pasted table can also have these headings.
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

# -- These types are for findings in an editor or a request panel.

FindingItem = TypedDict(
    "FindingItem",
    {
        "about": str,
        "message": str,
        "names": list[str],  # The message text contains these certificate names.
        "row": int | None,
        "column": str,
        "heading": str,
        # If the finding has several answers, these are the changes of each answer.
        "choices": list[str],
    },
)
FindingGroup = TypedDict(
    "FindingGroup",
    {
        "code": str,
        "severity": str,
        "title": str,
        # If the list combines several codes in one entry, this is the entry, or "".
        "subject": str,
        "meaning": str,
        "hint": str,
        "source": str,
        "accepted": str,
        "limits": str,
        "over": bool,  # The value is true if the acceptance has expired.
        "count": int,
        "open": int,  # These findings are not accepted.
        # Each item contains the place, the old value, and the new value of a change that the fixes
        # make.
        "fixes": list[str],
        "items": list[FindingItem],
    },
)

# -- These messages are for the table and form of an editor.

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
        "help": Rows,  # The first row contains the headings.
    },
)
Columns = TypedDict("Columns", {"type": Literal["columns"], "columns": list[ColumnFacts]})
Form = TypedDict("Form", {"type": Literal["form"], "groups": list[FieldGroup]})
Options = TypedDict(
    "Options",
    {
        "type": Literal["options"],
        "values": Mapping[str, object],
        "odd": Mapping[str, str],  # These fields have several values, for this reason.
    },
)
EditorState = TypedDict(
    "EditorState",
    {
        "type": Literal["state"],
        "counts": Counts,  # Until the checks are finished, the counts do not contain findings.
        "before": Counts,
        "said": str,  # The text describes the step that was undone or redone.
        "done": str,  # The text describes the step and its effect on the plan.
        "cell": CellName | None,  # Undo or Redo changed this cell.
        "undo": str,
        "redo": str,
        "changes": int,
        "saved_words": str,
    },
)
Checked = TypedDict("Checked", {"type": Literal["checked"], "counts": Counts})
# The new rows have these ids.
Done = TypedDict("Done", {"type": Literal["done"], "added": list[int]})
Chosen = TypedDict("Chosen", {"type": Literal["chosen"], "ids": list[int]})
RefusedCell = TypedDict("RefusedCell", {"cell": CellName, "text": str, "lines": list[str]})
RefusedRow = TypedDict(
    "RefusedRow",
    {"row": int, "column": str, "lines": list[str]},  # The page assigned this number to the row.
)
RefusedCells = TypedDict(
    "RefusedCells",
    {
        "type": Literal["refused_cells"],
        "answered": list[int],  # The numbers of all new rows in the block.
        "cells": list[RefusedCell],
        "rows": list[RefusedRow],
        "lines": list[str],
        "added": list[int],  # The new rows have these ids.
        "changed": bool,  # The value is false if nothing in the block was accepted.
    },
)
Code = TypedDict(
    "Code",
    {
        "type": Literal["code"],
        "code": str,
        "path": str,  # This is the file of the open table, or "".
        "options": str,  # This file contains the options of the table.
        "is_written": bool,  # The value is true if Save can write the file.
        "files": Sequence[str],  # The user can open these tables.
    },
)
Saved = TypedDict(
    "Saved",
    {
        "type": Literal["saved"],
        "text": str,
        "hint": str,
        # The user must add this line to the notebook. If the notebook already contains the line,
        # the value is "".
        "line": str,
    },
)
Restored = TypedDict("Restored", {"type": Literal["restored"], "lines": list[str]})
UnsavedDraft = TypedDict(
    "UnsavedDraft",
    # The text describes the draft. Without a draft, it is "".
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
# These are the execution counts of cells.
Older = TypedDict("Older", {"type": Literal["older"], "cells": list[int]})

# -- These messages contain views of the plan.

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
        "id": str,  # The first certificate in the group has these names.
        "title": str,
        "owner": str,
        "issuer": str,
        "key": str,
        "subject": str,
        "names": list[str],
        "own": list[str],  # These names differ between the servers in the group.
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
        "folder": str,
        "now": str,
        "current": str,
        "changed": bool,
        "rows": list[KeptScenario],
        "removed": str,
        "most": int,
        "old": bool,  # The value is true if the comparison is out of date.
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
