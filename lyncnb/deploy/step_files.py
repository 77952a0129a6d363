"""The changed procedure as files: ``steps/`` with a checklist and a script for each server."""

from __future__ import annotations

import base64
import os
from datetime import datetime
from html import escape
from pathlib import Path

from ..base import files, outputs
from ..base.html_page import to_page
from ..base.tables import escape_markdown
from ..pki.certificates import Certificate, name_text
from .powershell import script
from .steps import DeploymentSteps, ServerStep, ServerSteps

FOLDER = "steps"

_TITLE = ": import and assign"

#: What :func:`write_steps` writes under a name of the planner's own.
CHECKLIST = outputs.OutputKind(
    what="a checklist",
    is_ours={
        ".md": outputs.first_line(b"# ", _TITLE.encode()),
        ".html": outputs.is_page(f"{_TITLE}</title>".encode()),
    },
)


def to_markdown(steps: DeploymentSteps) -> str:
    """Write the checklist as Markdown, one section for each server, one box for each step."""
    lines = [f"# {escape_markdown(steps.title)}{_TITLE}", "", steps.summary(), ""]
    for request, why in steps.missing:
        lines.append(f"- **Not packaged**: {escape_markdown(request)}: {escape_markdown(why)}")
    for server in steps.servers:
        lines += ["", f"## {escape_markdown(server.server)} ({escape_markdown(server.role)})", ""]
        lines += _packages(server)
        for number, step in enumerate(server.steps, 1):
            lines += ["", f"- [ ] **{number}. {escape_markdown(step.title)}**  ", ""]
            lines.append(f"  {escape_markdown(step.text)}")
            if step.wizard:
                lines += ["", f"  Wizard: {escape_markdown(step.wizard)}"]
            if step.commands:
                lines += ["", "  ```powershell", *(f"  {c}" for c in step.commands), "  ```"]
            lines += ["", f"  Source: {escape_markdown(step.step.source)}"]
    return "\n".join(lines) + "\n"


def _packages(server: ServerSteps) -> list[str]:
    return [
        f"- Package `{package.file}` for "
        f"{escape_markdown(', '.join(package.usages) or package.role)}, "
        f"thumbprint `{package.issued.thumbprint}`"
        for package in server.packages
    ]


def to_html(steps: DeploymentSteps) -> str:
    """Write the checklist as one page that stands alone and can be printed."""
    parts = [f"<p>{escape(steps.summary())}</p>"]
    for request, why in steps.missing:
        parts.append(f"<p><strong>Not packaged</strong>: {escape(request)}: {escape(why)}</p>")
    for server in steps.servers:
        parts.append(f"<h2>{escape(server.server)} ({escape(server.role)})</h2><ul>")
        for package in server.packages:
            what = ", ".join(package.usages) or package.role
            parts.append(
                f"<li>Package <code>{escape(package.file)}</code> for {escape(what)}, "
                f"thumbprint <code>{package.issued.thumbprint}</code></li>"
            )
        parts.append("</ul><ol>")
        for step in server.steps:
            parts.append(_html_step(step))
        parts.append("</ol>")
    return to_page(f"{steps.title}{_TITLE}", parts)


def _html_step(step: ServerStep) -> str:
    wizard = f"<p>Wizard: {escape(step.wizard)}</p>" if step.wizard else ""
    commands = "\n".join(escape(command) for command in step.commands)
    block = f"<pre>{commands}</pre>" if commands else ""
    return (
        f'<li><label><input type="checkbox"> <strong>{escape(step.title)}</strong></label>'
        f"<p>{escape(step.text)}</p>{wizard}{block}"
        f"<p><small>Source: {escape(step.step.source)}</small></p></li>"
    )


def write_steps(
    steps: DeploymentSteps,
    folder: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> tuple[Path, ...]:
    """Write the checklist and the scripts.

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
        What was written: one checklist in two forms and up to 2 m scripts, or one file.

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
    contents = {f"checklist{suffix}": form(steps).encode() for suffix, form in forms.items()}
    contents |= server_scripts(steps)
    for name, data in contents.items():
        files.replace(place / name, data, 0o644)
    return tuple(place / name for name in contents)


def server_scripts(steps: DeploymentSteps) -> dict[str, bytes]:
    """Make the scripts of all servers, by file name: import for each, request where one can be."""
    scripts = {}
    for one in steps.servers:
        scripts[f"{one.server}.ps1"] = import_script(one, steps.provider, steps.effective)
        if any(package.usages for package in one.packages):
            scripts[f"{one.server}-request.ps1"] = request_script(one)
    return scripts


# The scripts of one server: public values put into the fixed texts of ``scripts/``.


def import_script(server: ServerSteps, provider: str, effective: datetime | None) -> bytes:
    """Write the script that imports and assigns what a server needs.

    Parameters
    ----------
    server : ServerSteps
        With its packages; their chains are installed, public values all.
    provider : str
        The CSP that must hold the keys.
    effective : datetime or None
        When assignments that roll over take effect.
    """
    chain: dict[str, Certificate] = {}
    for package in server.packages:
        chain |= {issuer.thumbprint: issuer for issuer in package.issued.path}
    return script(
        "import",
        {
            "Server": server.server,
            "Provider": provider,
            "Chain": [_chain_entry(issuer) for issuer in chain.values()],
            "Packages": [
                {
                    "File": package.file,
                    "FriendlyName": package.friendly_name,
                    "Thumbprint": package.issued.thumbprint,
                    "Assignments": [
                        {
                            "Types": list(call.usages),
                            "Identity": call.identity,
                            "EffectiveDate": effective if call.roll else None,
                        }
                        for call in package.assignments
                    ],
                }
                for package in server.packages
            ],
        },
    )


def _chain_entry(issuer: Certificate) -> dict[str, str]:
    """Give a CA certificate to install: a self-issued one is a root."""
    return {
        "Subject": name_text(issuer.subject),
        "Store": "Root" if issuer.is_self_issued else "CA",
        "Thumbprint": issuer.thumbprint,
        "Der": base64.b64encode(issuer.der).decode(),
    }


def request_script(server: ServerSteps) -> bytes:
    """Write the script for keys that must be born on the server, with the planned names."""
    plans = [package.record.plan for package in server.packages if package.usages]
    return script(
        "request",
        {
            "Server": server.server,
            "Requests": [
                {
                    "File": f"{plan.id}.req",
                    "Types": list(plan.usages),
                    "FriendlyName": f"{server.server} {'+'.join(plan.usages)}",
                    "KeySize": plan.key.bits if plan.key else 2048,
                    "DomainName": ",".join(plan.san),
                    "ClientEku": "clientAuth" in plan.eku,
                }
                for plan in plans
            ],
        },
    )
