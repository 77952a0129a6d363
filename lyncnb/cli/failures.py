"""Report errors of the command line: one clear message, an exit status, and no traceback.

Only this module handles every exception. Users must never see a traceback, because its
lines may also contain secrets.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from ..base.disk.system_calls import HINTS
from ..errors import LyncnbError, StandardOutputError, UsageProblem
from .output import discard_stream, finish_output, write_json, write_note

#: The exit status after the user has pressed Ctrl-C. Shells use the same number (128 + SIGINT).
INTERRUPTED = 130

#: The exit status for an error in lyncnb itself (EX_SOFTWARE in sysexits.h).
FAULT = 70

#: The environment variable that makes lyncnb write the traceback of an internal error to standard
#: error.
DEBUG_VARIABLE = "LYNCNB_DEBUG"

_PROBLEMS_SHOWN = 100


def report_error(error: BaseException, *, as_json: bool, is_about_folder: bool = False) -> int:
    """Report an error on standard error, and return its exit status.

    Parameters
    ----------
    error : BaseException
        The exception that ended the command.
    as_json : bool
        Whether to write the error to standard output too, as a JSON document.
    is_about_folder : bool, optional
        Whether the command works on a request folder. Problems of a request folder have exit
        status 3.

    Returns
    -------
    int
        The exit status.
    """
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        known, status = (
            LyncnbError("the command was interrupted; lyncnb kept the completed work"),
            INTERRUPTED,
        )
        code = "interrupted"
    else:
        known, status = _convert_error(error, 3 if is_about_folder else 2)
        code = known.code if status != FAULT else "fault"
    output_error = _write_error_output(known, as_json=as_json, code=code)
    if output_error is not None:
        discard_stream(sys.stdout)
        earlier = "" if output_error is known else f"; earlier error: {known.message}"
        write_note(f"lyncnb: {output_error.message}{earlier}")
        return output_error.exit_status
    write_note("\n".join(format_message(known)))
    if status == FAULT and os.environ.get(DEBUG_VARIABLE):
        write_note("".join(traceback.format_exception(error)))
    return status


def _write_error_output(
    lyncnb_error: LyncnbError, *, as_json: bool, code: str
) -> StandardOutputError | None:
    if isinstance(lyncnb_error, StandardOutputError):
        return lyncnb_error
    try:
        if as_json:
            write_json({"error": _build_error_document(lyncnb_error, code)})
        if as_json or sys.stdout is not None:
            finish_output()
    except StandardOutputError as output_error:
        return output_error
    return None


def format_message(error: LyncnbError) -> list[str]:
    """Return an error as lines of text: the message, each problem, and the hint."""
    # A value in the message can contain a line break, but the message is one line.
    lines = [f"lyncnb: {error.message}".replace("\n", "\\n")]
    for problem in error.problems[:_PROBLEMS_SHOWN]:
        lines.extend(f"  {line}" for line in str(problem).splitlines())
    if len(error.problems) > _PROBLEMS_SHOWN:
        hidden_count = len(error.problems) - _PROBLEMS_SHOWN
        lines.append(f"  … and {hidden_count:,} more; to list all, use --json")
    if error.hint:
        lines.append(f"  hint: {error.hint}")
    return lines


def _build_error_document(error: LyncnbError, code: str) -> dict[str, Any]:
    """Return an error as JSON values: code, message, hint, and the list of problems."""
    document: dict[str, Any] = {"code": code, "message": error.message, "hint": error.hint}
    if error.problems:
        from ..base.records import convert_to_json

        document["problems"] = convert_to_json(error.problems)
    return document


def _convert_error(error: BaseException, system_status: int) -> tuple[LyncnbError, int]:
    """Convert any exception to an error with a message and a hint, and return its exit status."""
    if isinstance(error, LyncnbError):
        return error, error.exit_status
    if isinstance(error, click.ClickException):
        return _convert_usage_error(error), 2
    if isinstance(error, OSError):
        return _convert_system_error(error), system_status
    if isinstance(error, MemoryError):
        return LyncnbError("there is not enough memory", hint="plan fewer servers at a time"), 2
    frames = traceback.extract_tb(error.__traceback__)[-1:]
    location = "".join(f" ({Path(frame.filename).name} line {frame.lineno})" for frame in frames)
    details = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return LyncnbError(
        f"an internal error occurred in lyncnb{location}: {details}",
        hint=(
            "lyncnb kept the completed work. Report this line and the command that "
            "you ran. To show the traceback, which may contain the names of your servers, set "
            f"{DEBUG_VARIABLE}=1"
        ),
    ), FAULT


def _convert_usage_error(error: click.ClickException) -> LyncnbError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "lyncnb"
    command = path.removeprefix("lyncnb").strip()
    message = error.format_message().rstrip(".")
    return UsageProblem(
        f"{command}: {message}" if command else message,
        hint=f"to show the command's arguments, run {path} --help",
    )


def _convert_system_error(error: OSError) -> LyncnbError:
    reason = error.strerror or str(error) or type(error).__name__
    name = f"{error.filename}: " if error.filename else ""
    hint = HINTS.get(error.errno or 0, "check the path, the permissions and the free disk space")
    return LyncnbError(f"{name}{reason}", hint=hint)
