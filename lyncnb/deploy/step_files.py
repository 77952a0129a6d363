"""The changed procedure as files: ``steps/`` with checklists, and a script for each server.

Checklist and script are made of the same steps: what one shows is what the other runs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from ..base import files, outputs
from ..base.file_names import file_name
from ..base.html_page import render
from ..base.tables import escape_markdown
from ..errors import BundleError
from .powershell import ScriptBlock, script
from .server_steps import DeploymentSteps, FilledCheck, ServerStep, ServerSteps

FOLDER = "steps"

_TITLE = ": import and assign"
_CERTIFICATE_BYTES = 1 << 20
_FINISH = "-finish"

#: What :func:`write_steps` writes under a name of the planner's own.
CHECKLIST = outputs.OutputKind(
    what="a checklist",
    is_ours={
        ".md": outputs.first_line(b"# ", _TITLE.encode()),
        ".html": outputs.is_page(f"{_TITLE}</title>".encode()),
    },
)

#: The sections of a server's page, and what is said before the steps of each.
_SECTIONS = (
    ("steps", "", ""),
    (
        "later",
        "Later",
        "Not on the day. Each of these waits until the old certificate has ended.",
    ),
    (
        "back",
        "The way back",
        "Only if something went wrong. The script of this server with -Back does the same.",
    ),
)


def sections(server: ServerSteps) -> Iterator[tuple[str, str, tuple[ServerStep, ...]]]:
    """Yield heading, introduction and steps of each section of a server that has any."""
    for name, heading, words in _SECTIONS:
        steps: tuple[ServerStep, ...] = getattr(server, name)
        if steps:
            yield heading, words, steps


def place_of(steps: DeploymentSteps, role: str) -> int:
    """Give the place of a role in the order of one evening; unordered roles come last."""
    places = [number for number, place in enumerate(steps.order) if role in place.roles]
    return places[0] if places else len(steps.order)


def to_markdown(steps: DeploymentSteps) -> str:
    """Write the checklist as Markdown, one section for each server, one box for each step."""
    lines = [f"# {escape_markdown(steps.title)}{_TITLE}", "", steps.summary(), ""]
    for request, why in steps.missing:
        lines.append(f"- **Not packaged**: {escape_markdown(request)}: {escape_markdown(why)}")
    for server in steps.pages:
        lines += ["", f"## {escape_markdown(server.server)} ({escape_markdown(server.title)})", ""]
        for package in server.packages:
            what = escape_markdown(", ".join(package.usages) or package.role)
            lines.append(
                f"- Package `{package.file}` for {what}, thumbprint `{package.thumbprint}`"
            )
        if server.shell:
            lines += ["", f"Commands run in: {escape_markdown(server.shell.title)}, elevated."]
        for heading, words, own in sections(server):
            if heading:
                lines += ["", f"### {escape_markdown(heading)}", "", escape_markdown(words)]
            for number, step in enumerate(own, 1):
                about = f" {escape_markdown(step.about)}" if step.about else ""
                lines += ["", f"- [ ] **{number}. {escape_markdown(step.title)}**{about}  ", ""]
                lines += _markdown_step(step)
    lines += ["", "## Where each command is documented", ""]
    for cmdlet in steps.cmdlets:
        names = " ".join((cmdlet.name, *cmdlet.parameters))
        lines.append(f"- `{names}`: {escape_markdown(cmdlet.source)}")
    return "\n".join(lines) + "\n"


def _markdown_step(step: ServerStep) -> list[str]:
    lines = [f"  {escape_markdown(step.text)}"]
    for words, checks in (("Only if", step.only_if), ("First", step.needs)):
        for check in checks:
            lines += ["", f"  {words}: {escape_markdown(check.text)}."]
    if step.wizard:
        lines += ["", f"  Wizard: {escape_markdown(step.wizard)}"]
    if step.commands:
        lines += ["", "  ```powershell", *(f"  {c}" for c in step.commands), "  ```"]
    for check in step.holds:
        lines += ["", f"  Then it is so: {escape_markdown(check.text)}. To look:"]
        lines += ["", "  ```powershell", f"  {check.command}", "  ```"]
    return [*lines, "", f"  Source: {escape_markdown(step.step.source)}"]


def to_html(steps: DeploymentSteps, *, title: str = _TITLE) -> str:
    """Write the checklist as one page that stands alone and can be printed, a server a sheet."""
    ordered = sorted(steps.servers, key=lambda server: place_of(steps, server.role))
    evening = [
        (place, [server for server in ordered if place_of(steps, server.role) == number])
        for number, place in enumerate(steps.order)
    ]
    return render(
        "deploy/checklist.html.j2",
        title=f"{steps.title}{title}",
        steps=steps,
        pages=[*steps.key_holders, *ordered],
        servers=ordered,
        evening=[(place, servers) for place, servers in evening if servers],
        sections=lambda server: list(sections(server)),
    )


def of_server(steps: DeploymentSteps, server: ServerSteps) -> DeploymentSteps:
    """Give the steps of one server, or of one key that is elsewhere, alone."""
    if server in steps.key_holders:
        return replace(steps, servers=(), key_holders=(server,), missing=())
    return replace(steps, servers=(server,), key_holders=(), missing=())


def write_steps(
    steps: DeploymentSteps,
    folder: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> tuple[Path, ...]:
    """Write the checklists and the scripts.

    Parameters
    ----------
    steps : DeploymentSteps
        Of m servers.
    folder : path
        The request folder; the files go to ``steps`` in it.
    output : path, optional
        One file instead, the checklist as ``.md`` or ``.html``.
    force : bool, optional
        Whether another's file of the name ``output`` is replaced.

    Returns
    -------
    tuple of Path
        What was written: one checklist for all in two forms, a page and a script for each of the
        m servers and for each request that is finished where its key is, and the CA certificates
        in ``chain``; or one file. What an earlier run wrote there and this one did not is removed:
        nobody is to run it any more.

    Raises
    ------
    OutputError
        If the name ``output`` is refused.
    BundleError
        If a file cannot be written.
    """
    forms = {".md": to_markdown, ".html": to_html}
    if output is not None:
        outputs.check_output(output, CHECKLIST, force=force)
        data = forms[Path(output).suffix.lower()](steps).encode()
        return (outputs.write_output(output, data, CHECKLIST, force=force),)
    place = Path(folder) / FOLDER
    files.make_folder(place, 0o755)
    files.make_folder(place / "chain", 0o755)
    contents = {f"checklist{suffix}": form(steps).encode() for suffix, form in forms.items()}
    for server in steps.servers:
        contents[file_name(server.server, ".html")] = to_html(of_server(steps, server)).encode()
    for request in steps.key_holders:
        name = file_name(f"{request.server}{_FINISH}", ".html")
        contents[name] = to_html(of_server(steps, request)).encode()
    contents |= server_scripts(steps) | _chain(steps)
    for name, data in contents.items():
        files.replace(place / name, data, 0o644)
    for name in sorted(_earlier(place) - contents.keys()):
        files.remove(place / name)
    return tuple(place / name for name in contents)


def _earlier(place: Path) -> set[str]:
    """List what :func:`write_steps` wrote into a folder, told by what is in each file."""
    found = {path.name for path in place.glob("*.html") if _holds(path, _is_checklist)}
    found |= {path.name for path in place.glob("*.ps1") if _holds(path, _is_script_of(path.stem))}
    issuers = place.glob("chain/*.cer")
    return found | {f"chain/{p.name}" for p in issuers if _holds(p, _has_thumbprint(p.stem))}


def _holds(path: Path, test: outputs.Test) -> bool:
    try:
        with files.open_plain(path, follow=False) as file:
            return test(file)
    except (OSError, BundleError):
        return False  # what cannot be read is not known to be ours


_is_checklist = CHECKLIST.is_ours[".html"]


def _is_script_of(stem: str) -> outputs.Test:
    # A long name is shortened in the name of the file, and a device's has a sign more. What is
    # done where a key is names no server.
    server = "" if stem.endswith(_FINISH) else stem.replace("~", "", 1)[:150]
    if not server:
        return outputs.mentions(b"\r\n$Server = ''\r\n")
    return outputs.mentions(f"\r\n$Server = '{server}".encode())


def _has_thumbprint(stem: str) -> outputs.Test:
    def is_ours(file: IO[bytes]) -> bool:
        digest = hashlib.sha1(file.read(_CERTIFICATE_BYTES), usedforsecurity=False)
        return digest.hexdigest().casefold() == stem.casefold()

    return is_ours


def _chain(steps: DeploymentSteps) -> dict[str, bytes]:
    """Give the CA certificates as the files that the steps install."""
    return {
        f"chain/{issuer.thumbprint}.cer": issuer.der
        for server in steps.servers
        for package in server.packages
        for issuer in package.path
    }


def server_scripts(steps: DeploymentSteps) -> dict[str, bytes]:
    """Make the scripts of all servers, by file name."""
    scripts = {file_name(one.server, ".ps1"): import_script(one) for one in steps.servers}
    # Named by the request: the script that made it has the same name without the ending.
    for one in steps.key_holders:
        name = file_name(f"{one.server}{_FINISH}", ".ps1")
        scripts[name] = import_script(one, anywhere=True)
    return scripts


def import_script(server: ServerSteps, *, anywhere: bool = False) -> bytes:
    """Write the script that takes the steps of one server, and can undo them.

    Parameters
    ----------
    server : ServerSteps
        Public values all. What comes later is on its page alone: nobody wants it run by mistake.
    anywhere : bool, optional
        Whether the script may run on any computer, and not on this server only.
    """
    return script(
        "import",
        {
            "Server": "" if anywhere else server.server,
            "Modules": list(server.shell.modules) if server.shell else [],
            "Steps": [_script_step(step) for step in server.steps],
            "BackSteps": [_script_step(step) for step in server.back],
        },
    )


def _script_step(step: ServerStep) -> dict[str, object]:
    about = f" ({step.about})" if step.about else ""
    return {
        "Title": f"{step.title}{about}",
        "OnlyIf": [_question(check) for check in step.only_if],
        "Needs": [_question(check) for check in step.needs],
        "Holds": [_question(check) for check in step.holds],
        "Commands": ScriptBlock(step.commands),
        "ByHand": step.step.by_hand,
        "WhenAsked": step.step.when_asked,
    }


def _question(check: FilledCheck) -> dict[str, object]:
    shows = ScriptBlock((check.shows,)) if check.shows else None
    return {"Text": check.text, "Command": ScriptBlock((check.command,)), "Shows": shows}
