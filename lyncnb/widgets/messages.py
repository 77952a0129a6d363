"""Define the messages from Python to the pages of the panels, except the plan editor."""
# ruff: noqa: UP013  Functional syntax keeps each message type short.

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

# -- The following types are for messages from the request panel to its page.

RequestStart = TypedDict("RequestStart", {"type": Literal["start"], "folder": str, "help": Rows})
RequestFindings = TypedDict(
    "RequestFindings",
    {
        "type": Literal["findings"],
        "groups": list[FindingGroup],
        "open": list[str],  # The codes of errors that the user has not accepted.
    },
)
Look = TypedDict(
    "Look",
    {
        "type": Literal["look"],
        "is_new": bool,
        # The name of the other deployment if the folder belongs to one, or else "".
        "other": str,
        # A text that the user must confirm if the folder belongs to another deployment.
        "consent": str,
        "ready": bool,  # Whether the panel can write requests.
        "plan": str,
        "label": str,  # The label of the button that writes the requests.
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
RequestToPage = (
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

# -- Messages from the status panel to its page follow.

StatusStart = TypedDict(
    "StatusStart",
    {
        "type": Literal["start"],
        "folder": str,
        "columns": list[ColumnFacts],
        "systems": list[str],
        "help": Rows,  # The first row contains the headings of the table.
        "returned": str,
        "out": str,
        # The zones from which the user can probe servers. The default zone is the first.
        "zones": list[str],
        "seen": str,  # The path of the file in which the results of a probe are saved.
    },
)
NextStep = TypedDict(
    "NextStep",
    {
        "words": str,
        # The next step of the panel (look, handover, receive, package or steps), or "".
        "step": str,
        "label": str,  # The label of the button that starts the step.
        # The IDs of the requests to process in the step. An empty list means all requests.
        "requests": list[str],
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
        "words": str,  # One line that describes the state of the request.
        "file": str,
        "serial": str,
        "earlier": int,  # The number of earlier certificates for the request that were refused.
        "reasons": list[RefusedReason],
    },
)
Status = TypedDict(
    "Status",
    {
        "type": Literal["status"],
        "plan": str,  # The deployment and the table of the requests.
        "today": str,
        "counts": Counts,
        "problems": list[str],
        "notes": list[str],
        "behind": str,
        "packaged": list[str],
        "next": NextStep,
        "refusals": list[Refusal],
        # The number of rejected certificates that the list ``refusals`` does not contain.
        "more_refusals": int,
    },
)
StepResult = TypedDict(
    "StepResult",
    {"type": Literal["result"], "words": str, "headings": list[str], "rows": Rows},
)
Hosts = TypedDict("Hosts", {"type": Literal["hosts"], "hosts": list[str]})
Password = TypedDict("Password", {"type": Literal["password"], "file": str})
StatusToPage = (
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
        "missing": bool,  # Whether an answer is required but missing.
        "problem": str,
        "hint": str,
    },
)
GuideProblem = TypedDict("GuideProblem", {"words": str, "site": str, "key": str})
GuideStart = TypedDict(
    "GuideStart", {"type": Literal["start"], "folder": str, "left_out": Rows, "help": Rows}
)
GuideQuestions = TypedDict(
    "GuideQuestions",
    {
        "type": Literal["asked"],
        "fields": list[GuideField],
        "problems": list[GuideProblem],
        "words": str,
        "svg": str,  # The picture of the current plan in SVG format, or "".
        "lines": list[str],
        "headings": list[str],
        "rows": Rows,
        "count": int,
        "python": str,
    },
)
Written = TypedDict("Written", {"type": Literal["written"], "words": str, "python": str})
GuideToPage = GuideStart | GuideQuestions | Written | Refused
