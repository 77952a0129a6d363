"""What the page of a plan editor is told: the parts of every message, by its ``type``.

A table, so each message is one entry. ``js/messages.d.ts`` is made of it and of the arguments of
what answers the page; mypy checks that the kernel sends these parts, tsc that the page reads them.
"""
# ruff: noqa: UP013  a class for each message would bury the table

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

Counts = Mapping[str, int]
Rows = list[list[str]]
Choices = Sequence[Sequence[str]]  # each a value and its words
CellName = tuple[int, str]  # the id of a row, and a column

# -- every panel

Refused = TypedDict(
    "Refused",
    {
        "type": Literal["refused"],
        "about": str,  # the type of what was asked
        "lines": Sequence[str],
        "cell": CellName | None,  # that asked
        "occupied": bool,  # other files are in the way
        "offer": str,  # what can be done instead, by one press; "" for nothing
        "instead": str,  # a name in place of the one that was refused; "" for none
    },
)
ReasonFact = TypedDict("ReasonFact", {"heading": str, "says": str, "source": str})
RuleReason = TypedDict(
    "RuleReason",
    {
        "rule": str,
        "names": list[str],
        "facts": list[ReasonFact],
        "places": list[str],  # certificates that carry the names
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
        "all": bool,  # otherwise these replace the rows of the same ids
        "total": NotRequired[int],  # of all rows, where these are only the first of them
        "columns": list[RowsColumn],
    },
)
ColumnFacts = TypedDict(
    "ColumnFacts",
    {
        "name": str,
        "title": str,
        "least": int,  # pixels
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

# -- findings, of an editor and of a request panel

FindingItem = TypedDict(
    "FindingItem",
    {
        "about": str,
        "message": str,
        "names": list[str],  # of certificates, that the message contains
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
        "subject": str,  # under which several codes are one entry; "" for none
        "meaning": str,
        "hint": str,
        "source": str,
        "accepted": str,
        "limits": str,
        "over": bool,  # its last day has passed
        "count": int,
        "open": int,  # of them those that nobody accepts
        "mendable": int,
        "items": list[FindingItem],
    },
)

# -- the table and the form of an editor

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
        "help": Rows,  # its headings first
    },
)
Columns = TypedDict("Columns", {"type": Literal["columns"], "columns": list[ColumnFacts]})
Form = TypedDict("Form", {"type": Literal["form"], "groups": list[FieldGroup]})
Options = TypedDict(
    "Options",
    {
        "type": Literal["options"],
        "values": Mapping[str, object],
        "odd": Mapping[str, str],  # fields that have no one value, and why
    },
)
EditorState = TypedDict(
    "EditorState",
    {
        "type": Literal["state"],
        "counts": Counts,  # without errors while these are not known yet
        "before": Counts,
        "said": str,  # what was taken back or made again
        "done": str,  # what was done, and what it did to the plan
        "undo": str,
        "redo": str,
        "changes": int,
        "saved_words": str,
    },
)
Checked = TypedDict("Checked", {"type": Literal["checked"], "counts": Counts})
Done = TypedDict("Done", {"type": Literal["done"], "added": list[int]})  # the ids of new rows
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
        "path": str,  # of the table that is open, "" for none
        "options": str,  # the file of its options
        "is_written": bool,  # whether Save can write it
        "files": Sequence[str],  # tables that can be opened
    },
)
Saved = TypedDict(
    "Saved",
    {
        "type": Literal["saved"],
        "text": str,
        "hint": str,
        "line": str,  # for the notebook, "" where it has that line
    },
)
Restored = TypedDict("Restored", {"type": Literal["restored"], "lines": list[str]})
UnsavedDraft = TypedDict(
    "UnsavedDraft",
    {"type": Literal["draft"], "words": str},  # "" where there is none
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
Older = TypedDict("Older", {"type": Literal["older"], "cells": list[int]})  # execution counts

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
        "id": str,  # of the first certificate
        "title": str,
        "owner": str,
        "issuer": str,
        "key": str,
        "subject": str,
        "names": list[str],
        "own": list[str],  # names that differ from one server of the group to the next
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
        "old": bool,  # what is compared is no longer so
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
