"""Run one PowerShell process that parses and runs lyncnb's scripts for all tests.

PowerShell runs ``deploy/world.ps1``, which reads one case from each line and writes one result.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_PWSH = shutil.which("pwsh")
_NOT_RUN = "no pwsh on PATH: PowerShell was not asked"
_DEPLOY = Path(__file__).parent / "deploy"
PARAMETERS = _DEPLOY / "cmdlet_parameters.json"

#: Functions in the script that a check may call.
SCRIPT_FUNCTIONS = (
    *("Test-Verified", "Test-ServicesStopped", "Test-ServicesRun", "Test-ServicesLoaded"),
    *("Test-RestartAhead", "Get-NotRunning", "Get-Stale", "Get-Utc", "Test-FailedOver"),
    *("Get-Places", "Get-InUse", "Get-Shown"),
)

#: Tests that run scripts are skipped if PowerShell is not installed. If the environment variable
#: LYNCNB_PWSH is set, they fail instead.
needs_pwsh = [
    pytest.mark.posix,
    pytest.mark.skipif(_PWSH is None and not os.environ.get("LYNCNB_PWSH"), reason=_NOT_RUN),
]

Json = dict[str, Any]

# PowerShell would interpret parts of these names if they were not quoted, or if only the ASCII
# apostrophe in them were escaped.
HOSTILE = [
    "x'; Remove-Item C:\\ -Recurse; '",
    "x\u2019; Remove-Item C:\\ -Recurse; \u2019",
    "x\u2018; Remove-Item C:\\; \u2018",
    "x\u201a; Remove-Item C:\\; \u201a",
    "x\u201b; Remove-Item C:\\; \u201b",
    "x\u201d; Remove-Item C:\\; \u201c",
    "$(Remove-Item C:\\)",
    "`$(Get-Process)`",
    "@'`n'@",
    "name # comment",
    "a;b|c&d>e<f",
    "%PATH% $env:PATH ${x}",
    "\u2013\u2014\u2015 --%",
]


# These settings make short scripts faster. .NET compiles each method only once, which doubles the
# speed after about ten scripts. It also collects garbage less often, and in the same thread. If
# scripts run for hours, the .NET default TieredCompilation=1 is faster.
_QUICK = {
    "DOTNET_TieredCompilation": "0",
    "DOTNET_GCgen0size": "0x4000000",
    "DOTNET_gcConcurrent": "0",
}


class PowerShell:
    """A PowerShell process that runs test cases."""

    def __init__(self, pwsh: str) -> None:
        words = [pwsh, "-NoProfile", "-File", str(_DEPLOY / "world.ps1")]
        self._process = subprocess.Popen(
            [*words, "-Parameters", str(PARAMETERS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            # Real cultures, which need libicu.
            env={**_QUICK, **os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "0"},
        )

    def ask(self, case: Json, answers: str = "") -> Any:
        """Send a test case to PowerShell, and return the result. ``answers`` contains the responses
        to questions that a script asks.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # If a script asks an unexpected question, the answer is No.
        self._process.stdin.write(json.dumps(case) + "\n" + answers + "N\n" * 9)
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("ANSWER "):
                answer = json.loads(line.removeprefix("ANSWER "))
                assert not (isinstance(answer, dict) and "error" in answer), answer
                return answer
        raise AssertionError("PowerShell ended")


@cache
def _started() -> PowerShell:
    assert _PWSH is not None, "no pwsh on PATH, and LYNCNB_PWSH promises one"
    return PowerShell(_PWSH)


def powershell() -> PowerShell:
    """Return the PowerShell process, or skip the test if PowerShell is not installed."""
    if _PWSH is None and not os.environ.get("LYNCNB_PWSH"):
        pytest.skip(_NOT_RUN)
    return _started()


@dataclass(frozen=True)
class Command:
    """A command with the names and values of its parameters. The value of a switch is "".

    ``others`` contains the values without a parameter.
    """

    name: str
    parameters: dict[str, str]
    others: tuple[str, ...]


@dataclass(frozen=True)
class Syntax:
    """The result that PowerShell's parser returns for a script.

    ``kinds`` counts the syntax nodes by kind. ``operators`` and ``members`` are their names.
    """

    errors: tuple[str, ...]
    kinds: dict[str, int]
    operators: tuple[str, ...]
    members: tuple[str, ...]
    commands: tuple[Command, ...]

    @property
    def newer(self) -> set[str]:
        """Return the features in the script that PowerShell 3 does not have."""
        features = _LATER_KINDS & set(self.kinds) | _LATER_OPERATORS & set(self.operators)
        return features | {"new"} & set(self.members)


_LATER_KINDS = {
    *("TypeDefinitionAst", "FunctionMemberAst", "UsingStatementAst", "TernaryExpressionAst"),
    *("PipelineChainAst", "ConfigurationDefinitionAst", "BaseCtorInvokeMemberExpressionAst"),
}
_LATER_OPERATORS = {
    *("QuestionDot", "QuestionLBracket", "QuestionQuestion", "QuestionQuestionEquals"),
    *("AndAnd", "OrOr", "QuestionMark", "Class", "Enum"),
}


def parse_all(texts: Sequence[str]) -> list[Syntax]:
    """Parse scripts with PowerShell's own parser."""
    (scripts,) = powershell().ask({"moves": [{"parse": list(texts)}]})
    return [
        Syntax(
            errors=tuple(script["errors"]),
            kinds=script["kinds"],
            operators=tuple(script["operators"]),
            members=tuple(script["members"]),
            commands=tuple(_command(elements) for elements in script["commands"]),
        )
        for script in scripts
    ]


@cache
def parse(text: str) -> Syntax:
    """Parse a script with PowerShell's own parser."""
    return parse_all([text])[0]


def commands(text: str) -> tuple[Command, ...]:
    """Return every command in a script, including nested commands."""
    syntax = parse(text)
    assert syntax.errors == (), text
    return syntax.commands


def _command(elements: Sequence[Json]) -> Command:
    parameters: dict[str, str] = {}
    others: list[str] = []
    waiting = ""
    for element in elements[1:]:
        if element["parameter"]:
            parameters[element["parameter"]] = element["text"]
            waiting = "" if element["text"] else element["parameter"]
        elif waiting:
            parameters[waiting], waiting = element["text"], ""
        else:
            others.append(element["text"])
    return Command(elements[0]["text"], parameters, tuple(others))
