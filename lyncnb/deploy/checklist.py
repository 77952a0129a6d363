"""The checklist as HTML, which prints each server on its own sheet, or as Markdown.

It shows what a script runs: both come from the same steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from ..base.disk import outputs
from ..base.disk.file_names import file_name
from ..base.shown.html_page import render
from ..base.shown.tables import escape_markdown, format_source, join_first
from ..pki.certificates import Certificate, format_name
from ..rules.procedure import Cmdlet
from .fill_steps import store_of
from .powershell import quote
from .server_script import import_script
from .server_steps import DeploymentSteps, MissingPackage, ServerPackage, ServerStep, ServerSteps
from .sheets import ONCE, Item, Line, notes_of, once_for_all, parts_of

IMPORT_AND_ASSIGN = ": import and assign"

#: The kind of file that :func:`write_steps` writes as one file.
CHECKLIST = outputs.OutputKind(
    what="a checklist",
    is_ours={
        ".md": outputs.first_line(b"# ", IMPORT_AND_ASSIGN.encode()),
        ".html": outputs.is_page(f"{IMPORT_AND_ASSIGN}</title>".encode()),
    },
)

# What a script does, once on each page.
_SCRIPT = (
    "runs the steps that have commands. If a check fails, the script stops and shows what to "
    "do. First run the script with -WhatIf: it changes nothing and prints one line for each "
    "step. With -Verify, the script changes nothing and prints the checks, with the failed "
    "checks first. With -Verify -Report FILE, the script also records which certificates the "
    "server uses. To import this record, run: lyncnb deployed FOLDER --report FILE."
)
_START = (
    "The first command shows the SHA-256 of the script: compare it with the value on the "
    "sheet. The second command unblocks the script if Windows marked it as downloaded from the "
    "internet. If a Group Policy allows only signed scripts, ask your organization to sign the "
    "script first."
)


_NAMED = 3  # of the certificates that lack a package for one reason


def start_of(server: ServerSteps) -> tuple[str, tuple[str, ...]]:
    """Return the SHA-256 of the script of a page, and the commands that start it.

    Source: Microsoft, about_Execution_Policies; Microsoft, Unblock-File.
    """
    path = quote("\\".join((server.folder, script_of(server))))
    digest = hashlib.sha256(import_script(server)).hexdigest()
    # Commands that the product's own shell loads exist only in that shell.
    own = f"powershell.exe -NoProfile -ExecutionPolicy RemoteSigned -File {path} -WhatIf"
    needs_shell = server.shell is not None and server.shell.commands and not server.shell.modules
    start = f"& {path} -WhatIf" if needs_shell else own
    return digest, (
        f"certutil -hashfile {path} SHA256",
        f"Unblock-File -LiteralPath {path}",
        start,
    )


def place_of(steps: DeploymentSteps, role: str) -> int:
    """Return the position of a role in the order of the change; unordered roles come last."""
    places = [number for number, place in enumerate(steps.order) if role in place.roles]
    return places[0] if places else len(steps.order)


def script_of(server: ServerSteps) -> str:
    """Return the file name of the script that runs the steps of a page."""
    return file_name(server.stem, ".ps1")


def valid_of(package: ServerPackage) -> str:
    """Return the validity of a certificate in words; the end has its time of day."""
    return f"{package.not_before:%Y-%m-%d} to {package.not_after:%Y-%m-%d %H:%M} UTC"


def used_cmdlets(steps: DeploymentSteps) -> tuple[Cmdlet, ...]:
    """Return the documented commands that the pages print, without those of other roles."""
    texts = [
        text
        for server in steps.pages
        for step in server.every_step
        for text in (*step.commands, *(check.command for check in step.checks))
    ]
    return tuple(c for c in steps.cmdlets if any(c.name in text for text in texts))


def new_cas(steps: DeploymentSteps) -> tuple[tuple[Certificate, int], ...]:
    """Return the CA certificates that servers must trust, with the number of these servers."""
    servers: dict[str, int] = {}
    found: dict[str, Certificate] = {}
    for server in steps.servers:
        for issuer in server.issuers:
            found[issuer.sha256] = issuer
            servers[issuer.sha256] = servers.get(issuer.sha256, 0) + 1
    return tuple((issuer, servers[sha256]) for sha256, issuer in found.items())


def to_markdown(steps: DeploymentSteps) -> str:
    """Write the checklist as Markdown, one section for each server, one box for each item."""
    lines = [f"# {escape_markdown(steps.title)}{IMPORT_AND_ASSIGN}", ""]
    lines += [f"{escape_markdown(steps.origin.line)}\n"] if steps.origin.line else []
    lines += [escape_markdown(steps.summary()), ""]
    lines += [steps.parts, ""] if steps.parts else []
    lines += [f"- {_not_packaged(one)}" for one in together(steps.missing)]
    lines += [f"- {_covered(one)}" for one in together(steps.covered)]
    if once := once_for_all(steps):
        lines += ["", "## Once for all servers", ""]
        for one in once:
            title = f"- [ ] **{one.step.number}. {escape_markdown(one.title)}**"
            lines += [f"{title} ({escape_markdown(', '.join(one.roles))})  ", ""]
            lines += _markdown_step(one.step)
            lines += [f"  Expected result: {escape_markdown(one.expected)}", ""]
    for server in steps.pages:
        lines += _markdown_server(steps, server)
    lines += ["", "## Notes: how, why, and sources", "", f"A script {_SCRIPT} {_START}"]
    for note in notes_of(steps):
        wizard = f" Wizard: {note.wizard}" if note.wizard else ""
        lines += ["", f"**{escape_markdown(note.title)}**: {escape_markdown(note.text + wizard)}  "]
        lines += [f"Source: {format_source(note.source)}"]
    lines += ["", "## Where each command is documented", ""]
    for cmdlet in used_cmdlets(steps):
        names = " ".join((cmdlet.name, *cmdlet.parameters))
        lines.append(f"- `{names}`: {format_source(cmdlet.source)}")
    return "\n".join(lines) + "\n"


def _markdown_server(steps: DeploymentSteps, server: ServerSteps) -> list[str]:
    lines = ["", f"## {escape_markdown(server.server)} ({escape_markdown(server.title)})", ""]
    for package in server.packages:
        what = escape_markdown(", ".join(package.usages) or package.role)
        lines.append(
            f"- {package.numbered}Package `{package.file}` for {what}, "
            f"thumbprint `{package.thumbprint}`, valid {valid_of(package)}"
        )
    if len(steps.pages) > 1:
        own = of_server(steps, server)
        lines += [f"- {_not_packaged(one)}" for one in own.missing]
        lines += [f"- {_covered(one)}" for one in own.covered]
    if server.shell:
        lines += [
            "",
            f"Run the commands in: {escape_markdown(server.shell.title)}, as an administrator.",
        ]
    digest, commands = start_of(server)
    lines += ["", f"The script `{script_of(server)}` has the SHA-256 `{digest}`."]
    lines += ["", "```powershell", *commands, "```"]
    for part in parts_of(server):
        lines += ["", f"### {part.heading}", ""] if part.heading else [""]
        lines += [part.about, ""] if part.about else []
        for item in part.items:
            lines += _markdown_item(item)
    return lines


def _markdown_item(item: Item) -> list[str]:
    by_hand = " (by hand)" if item.by_hand else ""
    lines = [f"- [ ] **{item.number}. {escape_markdown(item.title)}**{by_hand}  ", ""]
    lines += [f"  Only if: {escape_markdown(text)}.  " for text in item.only_if]
    for line in item.lines:
        lines += [f"  {escape_markdown(text)}  " for text in (line.title, *line.conditions) if text]
        lines += _markdown_step(line)
    return [*lines, f"  Expected result: {escape_markdown(item.expected)}", ""]


def together(missing: Sequence[MissingPackage]) -> tuple[MissingPackage, ...]:
    """Join requests that lack a package for the same reason: the reason once, with their number."""
    requests: dict[str, list[str]] = {}
    for one in missing:
        requests.setdefault(one.why, []).append(one.request)
    return tuple(
        MissingPackage(
            request=names[0]
            if len(names) == 1
            else f"{len(names):,} certificates ({join_first(names, _NAMED)})",
            why=why,
        )
        for why, names in requests.items()
    )


def _not_packaged(one: MissingPackage) -> str:
    return f"**Not packaged**: {escape_markdown(one.request)}: {escape_markdown(one.why)}"


def _covered(one: MissingPackage) -> str:
    return f"**Not requested**: {escape_markdown(one.request)}: {escape_markdown(one.why)}"


def _markdown_step(step: ServerStep | Line) -> list[str]:
    lines = [f"  **{escape_markdown(step.caution)}**"] if step.caution else []
    if step.commands:
        lines += ["", "  ```powershell", *(f"  {c}" for c in step.commands), "  ```", ""]
    return lines


def to_html(steps: DeploymentSteps, *, title: str = IMPORT_AND_ASSIGN) -> str:
    """Write the checklist as one self-contained page that prints each server on its own sheet."""
    ordered = sorted(steps.servers, key=lambda server: place_of(steps, server.role))
    evening = [
        (
            place,
            [
                s
                for s in ordered
                if not place.roles or (place_of(steps, s.role) == number and not s.trust_only)
            ],
        )
        for number, place in enumerate(steps.order)
    ]
    return render(
        "deploy/checklist.html.j2",
        title=f"{steps.title}{title}",
        steps=steps,
        pages=[*steps.key_holders, *ordered],
        servers=ordered,
        evening=[(place, servers) for place, servers in evening if servers],
        once=once_for_all(steps),
        issuers=new_cas(steps),
        parts_of=lambda server: list(parts_of(server)),
        notes=notes_of(steps),
        store_of=store_of,
        format_name=format_name,
        once_of=lambda server: [s.number for s in server.steps if s.step.part == ONCE],
        cmdlets=used_cmdlets(steps),
        together=together,
        running=steps.origin.line,
        script=f"A script {_SCRIPT} {_START}",
        start_of=start_of,
        script_of=script_of,
        valid_of=valid_of,
    )


def of_server(steps: DeploymentSteps, server: ServerSteps) -> DeploymentSteps:
    """Return only the steps of one server, or of one key on another computer."""
    if server in steps.key_holders:
        return replace(steps, servers=(), key_holders=(server,), missing=(), covered=())
    own, covered = (
        tuple(one for one in ones if server.server in one.servers)
        for ones in (steps.missing, steps.covered)
    )
    return replace(steps, servers=(server,), key_holders=(), missing=own, covered=covered)
