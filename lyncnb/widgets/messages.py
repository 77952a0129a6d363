"""Define the messages to the pages of the other panels: the parts of each message, by ``type``."""
# ruff: noqa: UP013  a table, as in widgets/editing/messages.py

from __future__ import annotations

from typing import Literal, TypedDict

from .editing.messages import (
    Choices,
    ColumnFacts,
    Counts,
    Done,
    FindingGroup,
    Reasons,
    Refused,
    Rows,
    TableRows,
)

Changed = TypedDict("Changed", {"type": Literal["changed"], "words": str})
JobProgress = TypedDict(
    "JobProgress",
    {
        "type": Literal["job"],
        "state": str,
        "busy": bool,
        "done": int,
        "total": int,
        "words": str,
    },
)

# -- These messages are for the request panel.

RequestStart = TypedDict("RequestStart", {"type": Literal["start"], "folder": str, "help": Rows})
RequestFindings = TypedDict(
    "RequestFindings",
    {
        "type": Literal["findings"],
        "groups": list[FindingGroup],
        "open": list[str],  # The errors with these codes are not accepted.
    },
)
Look = TypedDict(
    "Look",
    {
        "type": Literal["look"],
        "is_new": bool,
        # The folder belongs to this other deployment. If there is none, the value is "".
        "other": str,
        "consent": str,  # In this case, the user must confirm this text.
        "ready": bool,  # The value is true if the panel can write requests.
        "plan": str,
        "label": str,  # The button has this label.
        "words": str,
        "rows": Rows,
        "notes": list[str],
    },
)
RequestResult = TypedDict(
    "RequestResult",
    {"type": Literal["result"], "words": str, "notes": list[str], "cancelled": bool},
)
Recovery = TypedDict("Recovery", {"type": Literal["recovery"], "fingerprints": list[str]})
Scripts = TypedDict("Scripts", {"type": Literal["scripts"], "words": str, "notes": list[str]})
RequestTold = (
    RequestStart
    | RequestFindings
    | Look
    | JobProgress
    | RequestResult
    | Recovery
    | Scripts
    | Changed
    | Reasons
    | Refused
    | Done
)

# -- These messages are for the status panel.

StatusStart = TypedDict(
    "StatusStart",
    {
        "type": Literal["start"],
        "folder": str,
        "columns": list[ColumnFacts],
        "systems": list[str],
        "help": Rows,  # The first row contains the headings.
        "returned": str,
        "out": str,
        "zones": list[str],  # Users can ask servers from these zones. The first is the default.
        "seen": str,  # The certificates that the servers show are saved in this file.
    },
)
NextStep = TypedDict(
    "NextStep",
    {
        "words": str,
        # This is the next step in the panel: look, handover, receive, package or steps, or "".
        "step": str,
        "label": str,  # The button for the step has this label.
        "requests": list[str],  # The step is for these requests. An empty list means all requests.
    },
)
RefusedReason = TypedDict(
    "RefusedReason",
    {"code": str, "title": str, "message": str, "hint": str, "acceptable": bool},
)
Refusal = TypedDict(
    "Refusal",
    {
        "id": str,
        "words": str,  # The text describes the state of the request in one line.
        "file": str,
        "serial": str,
        "earlier": int,  # This number of certificates was refused before this one.
        "reasons": list[RefusedReason],
    },
)
Status = TypedDict(
    "Status",
    {
        "type": Literal["status"],
        "today": str,
        "counts": Counts,
        "problems": list[str],
        "notes": list[str],
        "behind": str,
        "packaged": list[str],
        "next": NextStep,
        "refusals": list[Refusal],
        "more_refusals": int,  # This number of refused certificates is not listed.
    },
)
StepResult = TypedDict(
    "StepResult",
    {"type": Literal["result"], "words": str, "headings": list[str], "rows": Rows},
)
Hosts = TypedDict("Hosts", {"type": Literal["hosts"], "hosts": list[str]})
Password = TypedDict("Password", {"type": Literal["password"], "file": str})
StatusTold = (
    StatusStart
    | TableRows
    | Status
    | JobProgress
    | StepResult
    | Hosts
    | Password
    | Changed
    | Reasons
    | Refused
)

# -- The guide

GuideField = TypedDict(
    "GuideField",
    {
        "site": str,
        "key": str,
        "group": str,
        "label": str,
        "help": str,
        "kind": str,
        "choices": Choices,
        "default": str,
        "text": str,
        "least": int,
        "missing": bool,  # The value is true if an answer is required but missing.
        "problem": str,
        "hint": str,
    },
)
GuideProblem = TypedDict("GuideProblem", {"words": str, "site": str, "key": str})
GuideStart = TypedDict(
    "GuideStart", {"type": Literal["start"], "folder": str, "left_out": Rows, "help": Rows}
)
Asked = TypedDict(
    "Asked",
    {
        "type": Literal["asked"],
        "fields": list[GuideField],
        "problems": list[GuideProblem],
        "words": str,
        "svg": str,  # This is the picture of the current plan, or "".
        "lines": list[str],
        "headings": list[str],
        "rows": Rows,
        "count": int,
        "python": str,
    },
)
Written = TypedDict("Written", {"type": Literal["written"], "words": str, "python": str})
GuideTold = GuideStart | Asked | Written | Refused

# -- These messages are for the top of the planning page.

TableStart = TypedDict("TableStart", {"type": Literal["start"], "files": list[str], "folder": str})
Opened = TypedDict("Opened", {"type": Literal["opened"], "words": str})
TableTold = TableStart | Opened | Refused
