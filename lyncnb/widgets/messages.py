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

# -- The request panel

RequestStart = TypedDict("RequestStart", {"type": Literal["start"], "folder": str, "help": Rows})
RequestFindings = TypedDict(
    "RequestFindings",
    {
        "type": Literal["findings"],
        "groups": list[FindingGroup],
        "open": list[str],  # The codes of errors that are not accepted.
    },
)
Look = TypedDict(
    "Look",
    {
        "type": Literal["look"],
        "is_new": bool,
        "other": str,  # The other deployment to which the folder belongs, or "".
        "consent": str,  # The text that the user must then confirm.
        "ready": bool,  # True if the panel can write requests.
        "plan": str,
        "label": str,  # The label of the button.
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

# -- The status panel

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
        "zones": list[str],  # The zones from which servers can be asked, the usual one first.
        "seen": str,  # The file for the certificates that the servers show.
    },
)
NextStep = TypedDict(
    "NextStep",
    {
        "words": str,
        "step": str,  # The step in the panel: look, handover, receive, package or steps, or "".
        "label": str,  # The label of the step's button.
        "requests": list[str],  # The requests for the step. An empty list means all requests.
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
        "words": str,  # The state of the request in one line of text.
        "file": str,
        "serial": str,
        "earlier": int,  # The number of certificates that were refused before this one.
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
        "more_refusals": int,  # The number of refused certificates that are not listed.
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
        "missing": bool,  # True if an answer is required but missing.
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
        "svg": str,  # The picture of the current plan, or "".
        "lines": list[str],
        "headings": list[str],
        "rows": Rows,
        "count": int,
        "python": str,
    },
)
Written = TypedDict("Written", {"type": Literal["written"], "words": str, "python": str})
GuideTold = GuideStart | Asked | Written | Refused

# -- The top of the planning page

TableStart = TypedDict("TableStart", {"type": Literal["start"], "files": list[str], "folder": str})
Opened = TypedDict("Opened", {"type": Literal["opened"], "words": str})
TableTold = TableStart | Opened | Refused
