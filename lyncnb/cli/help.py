"""What the commands are, as the first page of help shows them.

Plain text and nothing imported, so that ``lyncnb --help`` answers as fast as Python starts:
click alone takes longer to import than that.
"""

from __future__ import annotations

#: The version in pyproject.toml, of which a test makes sure. To ask the installed package for it
#: takes twice as long as all the rest.
VERSION = "0.1.0"

#: Sections of the help page: title, then (command, what it does).
SECTIONS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Notebooks",
        (
            ("lab", "lay out a workspace and open the planning notebook in JupyterLab"),
            ("run", "run a notebook without a browser, leave the executed copy and a page"),
            ("dash", "open a page that plans a table, without a notebook"),
            ("share", "write a notebook as a static page; refuses secrets"),
            ("clean", "take widget state out of a notebook; refuses secrets"),
        ),
    ),
    (
        "Planning",
        (
            ("guide", "ask what you know of a deployment, lay out a first table and plan"),
            ("plan", "list every certificate that a topology needs"),
            ("check", "list only the findings"),
            ("explain", "explain why each name is on each certificate of a server"),
            ("finding", "explain what a finding means and what to do"),
            ("compare", "show the differences between two plans, and their causes"),
            ("approve", "sign a saved plan with an SSH key"),
            ("compare-topology", "show where a table and a topology document disagree"),
            ("asis", "compare the installed certificates with the plan"),
            ("trust", "show which roots each server needs, and who presents which certificate"),
            ("forecast", "show when to order, renew and roll over each certificate"),
            ("convert", "write any topology as a table, .csv or .xlsx"),
            ("template", "write an empty table to fill in, with drop-downs and notes"),
            ("snippet", "print PowerShell that exports topology or certificates of a server"),
        ),
    ),
    (
        "Request folder",
        (
            ("request", "write keys, certificate signing requests and the summary"),
            ("status", "show the state of each request"),
            ("renew", "make new keys and requests from the plan that the folder keeps"),
            ("handover", "pack what goes to a CA; no key"),
            ("receive", "match issued certificates to requests, compare with the plan"),
            ("pfx", "package issued certificates with their keys for the servers"),
            ("steps", "write the changed deployment procedure: checklist and scripts"),
            ("deployed", "record which certificates are on their servers"),
            ("rekey", "change the folder's passphrase, and name recovery keys"),
            ("recovery", "make a key that opens folders whose passphrase is lost"),
            ("purge", "remove what no server uses any more; asks first"),
        ),
    ),
)


def summary_of(command: str) -> str:
    """Say in a line what a command does; empty if there is no such command."""
    return dict(pair for _, commands in SECTIONS for pair in commands).get(command, "")


def overview() -> str:
    """Write the first page of help."""
    lines = [
        "Usage: lyncnb COMMAND ...",
        "",
        "Plan the certificates of a Lync Server 2013 or Skype for Business Server deployment",
        "before the servers exist.",
    ]
    for title, commands in SECTIONS:
        lines += ["", f"{title}:", *(f"  {name:<9} {text}" for name, text in commands)]
    lines += [
        "",
        "lyncnb COMMAND --help describes one command. lyncnb --version prints the version.",
        "Exit status: 0 done; 1 refused or different; 2 unreadable or wrongly called;",
        "3 the request folder or its passphrase needs attention.",
        "",
    ]
    return "\n".join(lines)
