"""Write all files that a planner gets from a table, so that they can be compared between two
systems.

    python tests/windows/journey.py FOLDER

The files depend neither on keys nor on the current date.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DATA = Path(__file__).parents[2] / "data"
COMMANDS = (
    *(f"plan {{0}}.csv -o {{0}}{suffix}" for suffix in (".html", ".md", ".xlsx")),
    "plan {0}.csv -o {0}-plan.csv",
    "plan {0}.csv -o {0}.json",
    "plan {0}.csv -o {0}-plan.svg",
    "trust {0}.csv -o {0}-trust.csv",
    "trust {0}.csv -o {0}-trust.html",
    "compare {0}.csv {0}.csv -o {0}-compared.html",
    "convert {0}.csv {0}-table.xlsx",
    "template {0}-template.xlsx",
    "check {0}.csv",
    "forecast {0}.csv --on 2027-01-15 -o {0}-forecast.html",
)


def write_files(folder: Path) -> None:
    """Run the commands in a folder, and save the output of each command."""
    folder.mkdir(parents=True)
    tables = [DATA / "contoso.csv", DATA / "contoso-zh-TW.csv"]
    for table in tables:
        (folder / table.name).write_bytes(table.read_bytes())
    for table in tables:
        for number, command in enumerate(COMMANDS):
            words = command.format(table.stem).split()
            completed = subprocess.run(
                [sys.executable, "-m", "lyncnb", *words],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
            printed = f"exit {completed.returncode}\n".encode() + completed.stdout.replace(
                b"\r\n", b"\n"
            )
            (folder / f"{table.stem}-{number:02d}.txt").write_bytes(printed)


if __name__ == "__main__":
    write_files(Path(sys.argv[1]))
