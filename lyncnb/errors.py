"""Every exception class of the package, each with a hint.

Bad input raises, a bad plan reports: what a planner may accept is a ``Finding``, not an error.
A class knows the exit status that the command line gives it (contract: 1 refused, 2 unreadable,
3 folder or passphrase needs attention) and a kebab-case ``code`` for ``--json``.
"""

from __future__ import annotations

from dataclasses import dataclass

#: An error shows so many problems; ``LyncnbError.problems`` has them all.
PROBLEMS_SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with one place of an input.

    Parameters
    ----------
    message : str
        What is wrong, in a sentence, with the offending value.
    file, column : str, optional
        File name and column heading, empty where they do not apply.
    row : int, optional
        Row as a spreadsheet numbers it (the heading is row 1); 0 where it does not apply.
    value : str, optional
        The offending value.
    hint : str, optional
        What to do.
    sheet, cell : str, optional
        In a workbook, the sheet's name and the cell's, such as B7.
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
        """Place in words, e.g. ``contoso.csv row 7, column pool_fqdn``.

        In a workbook ``contoso.xlsx sheet "Servers" cell C7, column pool_fqdn``.
        """
        row = f"row {self.row}" if self.row else ""
        if self.sheet:
            place = f"cell {self.cell}" if self.cell else row
            row = f'sheet "{self.sheet}" {place}'.rstrip()
        column = f"column {self.column}" if self.column else ""
        return ", ".join(part for part in (f"{self.file} {row}".strip(), column) if part)

    def __str__(self) -> str:
        line = f"{self.where}: {self.message}" if self.where else self.message
        return f"{line}\n  hint: {self.hint}" if self.hint else line


class LyncnbError(Exception):
    """Base of all errors that lyncnb raises on purpose.

    Parameters
    ----------
    message : str
        What happened, with the value concerned. Never a secret.
    hint : str, optional
        What to do about it.
    problems : tuple of Problem, optional
        Every single problem, where an input has several.
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
        # IPython asks for this: a planner sees what to do, and no frame can show a secret.
        return str(self).splitlines()


class ArgumentError(LyncnbError, TypeError, ValueError):
    """A function was given what it does not take, and did nothing."""

    code = "argument"


class TopologyError(LyncnbError):
    """The topology table cannot be read, or holds text that can be no name."""

    code = "topology"

    def _render_traceback_(self) -> list[str]:
        again = "Nothing was changed. Correct the table, or name another one"
        return [*super()._render_traceback_(), f"{again}; then choose Run > Run All Cells."]


class RulesError(LyncnbError):
    """A product's rule file is missing or wrong."""

    code = "rules"


class OptionsError(LyncnbError):
    """A plan option has a value that it cannot have."""

    code = "options"


class ScenarioError(LyncnbError):
    """A scenario cannot be read, or cannot be kept under that name; what is there stays."""

    code = "scenario"


class AnswersError(LyncnbError):
    """Answers of a guided plan cannot be read, or cannot all be true."""

    code = "answers"


class PlanError(LyncnbError):
    """No plan can be made of this topology with these rules."""

    code = "plan"


class PlanRejected(LyncnbError):
    """The plan has errors that nobody accepted, so nothing was written."""

    code = "plan-rejected"
    exit_status = 1


class PlanAltered(PlanError):
    """A saved plan is not what its table, options and the rules give: one of them is another."""

    code = "plan-altered"


class PlanOutdated(PlanError):
    """A saved plan is as it was saved, and the rules here plan something else by now."""

    code = "plan-outdated"
    exit_status = 1


class ApprovalError(LyncnbError):
    """A saved plan is not approved: no signature over it counts, or none can be made."""

    code = "approval"
    exit_status = 1


class SignersUnreadable(ApprovalError):
    """A list of allowed signers is missing, or cannot be read."""

    exit_status = 2


class BundleError(LyncnbError):
    """The request folder needs attention; nothing was changed."""

    code = "folder"
    exit_status = 3


class RequestWaits(BundleError):
    """A request to renew waits for its certificate; nobody said that it may be withdrawn."""

    code = "request-waits"


class PassphraseError(BundleError):
    """The passphrase is missing, too short, or not that of the folder."""

    code = "passphrase"


class ReturnedFileError(LyncnbError):
    """A file that came back from a CA cannot be read as certificates."""

    code = "returned-file"


class PackageError(LyncnbError):
    """A package for a server cannot be made."""

    code = "package"
    exit_status = 1


class NotebookError(LyncnbError):
    """A notebook failed, or holds what must not be shared."""

    code = "notebook"
    exit_status = 1


class UnreadableNotebook(NotebookError):
    """A notebook is missing, or is none."""

    exit_status = 2


class KernelPortTaken(NotebookError):
    """A kernel did not start: another program took one of its ports."""


class OutputError(LyncnbError):
    """A file cannot be written where the planner said: what is there now stays."""

    code = "output"


class FileOccupied(OutputError):
    """Another file has the name; it is replaced only when that is asked for."""

    occupied = True  # a panel then offers to write over it


class ClusterError(LyncnbError):
    """The machines that are to make the keys cannot be reached; nothing was changed."""

    code = "cluster"
    exit_status = 3


class NewerManifest(BundleError):
    """A newer lyncnb wrote the folder's manifest, so it is left as it is."""


class SharedFolder(BundleError):
    """A group can write the folder, which was not made for a team."""


class StandardOutputError(LyncnbError):
    """Standard output does not take what a command has to say."""

    code = "standard-output"
    exit_status = 3


class UsageProblem(LyncnbError):
    """The command line was called wrongly."""

    code = "usage"
