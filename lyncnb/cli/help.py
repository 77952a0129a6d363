"""Format the list of commands on the first page of help.

This module imports nothing, so that ``lyncnb --help`` answers as fast as Python starts.
The import of click alone takes longer.
"""

from __future__ import annotations

#: The sections of the help page. Each section has a title, and the commands with their summaries.
SECTIONS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Notebooks",
        (
            ("lab", "set up a workspace and open the planning notebook in JupyterLab"),
            (
                "run",
                ("run a notebook without a browser, and write the executed copy and a static page"),
            ),
            ("share", "export a notebook as a static page, unless the notebook contains secrets"),
            ("clean", "remove widget state from notebooks that contain no secrets"),
            ("page", "write the planner as one HTML file that needs no installation"),
        ),
    ),
    (
        "Planning",
        (
            ("guide", "ask questions about your deployment, and write a first table and plan"),
            ("plan", "list every certificate that a topology needs"),
            ("check", "list only the findings"),
            ("explain", "explain each name on a server's certificates, or the code of a finding"),
            ("compare", "show the differences between two tables and plans, and their causes"),
            ("approve", "approve a saved plan: sign it with an SSH key"),
            ("asis", "compare the installed certificates with the plan"),
            ("probe", "connect to the servers, and compare their certificates with the plan"),
            (
                "trust",
                (
                    "show the roots that each server needs, and the certificate that each "
                    "server presents"
                ),
            ),
            ("forecast", "show when to order, renew and roll over each certificate"),
            ("convert", "convert a topology in any format to a table (.csv or .xlsx)"),
            ("template", "write an empty table to fill in, with drop-downs and notes"),
            (
                "snippet",
                ("print a PowerShell script that exports the topology or a server's certificates"),
            ),
        ),
    ),
    (
        "Request folder",
        (
            ("request", "write keys, certificate signing requests and the summary"),
            ("status", "show the state of each request"),
            ("renew", "create new keys and requests from the plan in the folder"),
            ("handover", "package the requests for a CA, without keys"),
            ("receive", "match issued certificates to requests, and compare them with the plan"),
            ("pfx", "package issued certificates with their keys for the servers"),
            ("steps", "write the deployment procedure: a checklist, and scripts for each server"),
            ("deployed", "record which certificates are installed on the servers"),
            ("rekey", "change the folder's passphrase or its recovery keys"),
            ("recovery", "create a recovery key, which opens a folder if its passphrase is lost"),
            ("purge", "list the files that the servers no longer need, and then remove them"),
        ),
    ),
)

#: Each command of an earlier version that was removed, with the command to use instead.
REMOVED = {
    "compare-topology": "lyncnb compare A B",
    "finding": "lyncnb explain CODE",
    "dash": "lyncnb lab, or lyncnb page TOPOLOGY -o FILE.html without an installation",
}


def find_summary(command: str) -> str:
    """Return a command's summary in one line, or "" for an unknown command."""
    return dict(pair for _, commands in SECTIONS for pair in commands).get(command, "")


def build_overview() -> str:
    """Return the first page of help, which lists all commands."""
    width = max(len(name) for _, commands in SECTIONS for name, _ in commands)
    lines = [
        "Usage: lyncnb COMMAND ...",
        "",
        "Plan the certificates of a Lync Server 2013 or Skype for Business Server deployment.",
        "The servers do not have to exist yet.",
    ]
    for title, commands in SECTIONS:
        lines += ["", f"{title}:", *(f"  {name:<{width}}  {text}" for name, text in commands)]
    lines += [
        "",
        "lyncnb COMMAND --help describes a command. lyncnb --version prints the version.",
        "Exit status: 0 = success; 1 = refusal or difference; 2 = unreadable input or wrong",
        "arguments; 3 = problem with the request folder or its passphrase.",
        "",
    ]
    return "\n".join(lines)
