"""Define all exceptions of the package. Each exception can have a hint.

Invalid input raises an exception. Problems in a plan are reported as ``Finding`` objects, because a
planner can accept them. Each class has the exit status of the command line (1: rejected, 2: not
readable, 3: the folder or passphrase needs attention) and a ``code`` for ``--json``.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The largest number of problems in the text of an error. ``LyncnbError.problems`` contains all of
#: them.
PROBLEMS_SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem in the input, with its location.

    Parameters
    ----------
    message : str
        The problem as a sentence, with the invalid value.
    file, column : str, optional
        File name and column heading; blank if they do not apply.
    row : int, optional
        The row number in a spreadsheet, where the heading is row 1; 0 if it does not apply.
    value : str, optional
        The invalid value.
    hint : str, optional
        How to correct the problem.
    sheet, cell : str, optional
        In a workbook, the name of the sheet, and the cell, such as B7. In a DataFrame, ``cell`` is
        the label of the row, such as ``index 3``.
    """

    message: str
    file: str = ""
    row: int = 0
    column: str = ""
    value: str = ""
    hint: str = ""
    sheet: str = ""
    cell: str = ""

    @property
    def where(self) -> str:
        """The location of the problem, such as ``contoso.csv row 7, column pool_fqdn``.

        In a workbook: ``contoso.xlsx sheet "Servers" cell C7, column pool_fqdn``. In a DataFrame:
        ``DataFrame row 5 (index 3), column pool_fqdn``.
        """
        row = f"row {self.row}" if self.row else ""
        if self.sheet:
            position = f"cell {self.cell}" if self.cell else row
            row = f'sheet "{self.sheet}" {position}'.rstrip()
        elif self.cell:
            row = f"{row} ({self.cell})"
        column = f"column {self.column}" if self.column else ""
        return ", ".join(part for part in (f"{self.file} {row}".strip(), column) if part)

    def __str__(self) -> str:
        line = f"{self.where}: {self.message}" if self.where else self.message
        return f"{line}\n  hint: {self.hint}" if self.hint else line


class LyncnbError(Exception):
    """Base class for all errors that lyncnb raises.

    Parameters
    ----------
    message : str
        What happened, with the value and place. The message never contains a secret.
    hint : str, optional
        How to correct the problem.
    problems : tuple of Problem, optional
        All problems, if the input has several.
    """

    code = "error"
    exit_status = 2

    def __init__(self, message: str, *, hint: str = "", problems: tuple[Problem, ...] = ()):
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = [self.message, *(str(problem) for problem in self.problems[:PROBLEMS_SHOWN])]
        if len(self.problems) > PROBLEMS_SHOWN:
            lines.append(f"… and {len(self.problems) - PROBLEMS_SHOWN:,} more problems")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)

    def _render_traceback_(self) -> list[str]:
        # IPython calls this method to display the error. Without a traceback, the hint is easy to
        # see, and no secret is shown.
        return str(self).splitlines()


class ArgumentError(LyncnbError, TypeError, ValueError):
    """An argument has the wrong type or value. The function changed nothing."""

    code = "argument"


class TopologyError(LyncnbError):
    """The topology table cannot be read, or contains text that is not a valid name."""

    code = "topology"

    def _render_traceback_(self) -> list[str]:
        advice = "lyncnb changed nothing. Correct the table, or specify a different table"
        return [*super()._render_traceback_(), f"{advice}. Then choose Run > Run All Cells."]


class RulesError(LyncnbError):
    """A product's rule file is missing or not valid."""

    code = "rules"


class OptionsError(LyncnbError):
    """A plan option has an invalid value."""

    code = "options"


class ScenarioError(LyncnbError):
    """A scenario cannot be read or saved. lyncnb changed no existing file."""

    code = "scenario"


class AnswersError(LyncnbError):
    """The answers for a guided plan cannot be read, or contradict each other."""

    code = "answers"


class PlanError(LyncnbError):
    """lyncnb cannot create a plan from the topology with these rules."""

    code = "plan"


class PlanRejected(LyncnbError):
    """The plan has errors that nobody accepted, so lyncnb wrote nothing."""

    code = "plan-rejected"
    exit_status = 1


class PlanAltered(PlanError):
    """A saved plan does not match its table, options, and rules, because a file was changed."""

    code = "plan-altered"


class PlanOutdated(PlanError):
    """A saved plan was not changed, but the current rules result in a different plan."""

    code = "plan-outdated"
    exit_status = 1


class ApprovalError(LyncnbError):
    """A saved plan is not approved: it has no valid signature, or cannot be signed."""

    code = "approval"
    exit_status = 1


class SignersUnreadable(ApprovalError):
    """A list of allowed signers is missing, or cannot be read."""

    exit_status = 2


class BundleError(LyncnbError):
    """A problem that prevents a command from working with the request folder.

    lyncnb changed nothing. The command works again when the problem is solved.
    """

    code = "folder"
    exit_status = 3


class RequestWaits(BundleError):
    """The request to renew still waits for its certificate, and was not withdrawn."""

    code = "request-waits"


class PassphraseError(BundleError):
    """The passphrase is missing, too short, or not the passphrase of the folder."""

    code = "passphrase"


class ReturnedFileError(LyncnbError):
    """A file from a CA cannot be read as certificates."""

    code = "returned-file"


class PackageError(LyncnbError):
    """lyncnb cannot create a package for a server."""

    code = "package"
    exit_status = 1


class NotebookError(LyncnbError):
    """A notebook failed, or contains data that must not be shared."""

    code = "notebook"
    exit_status = 1


class UnreadableNotebook(NotebookError):
    """A notebook file is missing, or is not a valid notebook."""

    exit_status = 2


class KernelPortTaken(NotebookError):
    """A Jupyter kernel did not start, because another program uses one of its ports."""


class OutputError(LyncnbError):
    """lyncnb cannot write a file to the specified path. An existing file is not changed."""

    code = "output"


class FileOccupied(OutputError):
    """A file with the same name exists, and lyncnb replaces it only on request."""

    occupied = True  # The user interface offers to replace the existing file.


class PageError(LyncnbError):
    """The single-file planner page cannot be built or written."""

    code = "page"


class ClusterError(LyncnbError):
    """lyncnb cannot connect to the computers that create the keys. lyncnb changed nothing."""

    code = "cluster"
    exit_status = 3


class OtherFormat(BundleError):
    """A version of lyncnb with another format wrote the folder, so this one does not change it."""


class SharedFolder(BundleError):
    """A group can write to the folder, although the folder is not a team folder."""


class StandardOutputError(LyncnbError):
    """A command cannot write its output to standard output."""

    code = "standard-output"
    exit_status = 3


class UsageProblem(LyncnbError):
    """The command line has invalid options or arguments."""

    code = "usage"
