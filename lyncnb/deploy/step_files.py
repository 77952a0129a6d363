"""The changed procedure as files: ``steps/`` with checklists, and a script for each server.

Checklist and script are made of the same steps: what one shows is what the other runs.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO

from ..base import files, outputs
from ..base.file_names import file_name
from ..errors import BundleError
from ..request_folder.manifest import NAME as MANIFEST
from .checklist import CHECKLIST, of_server, script_of, to_html, to_markdown
from .fill_steps import FINISH
from .powershell import ScriptBlock, script
from .recorded_commands import record_commands
from .server_steps import DeploymentSteps, FilledCheck, FilledPlace, ServerStep, ServerSteps

FOLDER = "steps"

_CERTIFICATE_BYTES = 1 << 20


def write_steps(
    steps: DeploymentSteps,
    folder: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> tuple[Path, ...]:
    """Write the checklists and the scripts, and their commands into the folder's summary.

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
    for page in steps.pages:
        contents[file_name(page.stem, ".html")] = to_html(of_server(steps, page)).encode()
    contents |= server_scripts(steps) | _chain(steps)
    for name, data in contents.items():
        files.replace(place / name, data, 0o644)
    for name in sorted(_earlier(place) - contents.keys()):
        files.remove(place / name)
    if steps.servers and (Path(folder) / MANIFEST).is_file():
        record_commands(Path(folder), steps)
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
    server = "" if stem.endswith(FINISH) else stem.replace("~", "", 1)[:150]
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
        for issuer in (*(one for p in server.packages for one in p.path), *server.issuers)
    }


def server_scripts(steps: DeploymentSteps) -> dict[str, bytes]:
    """Make the scripts of all servers, by file name."""
    scripts = {script_of(one): import_script(one) for one in steps.servers}
    return scripts | {
        script_of(one): import_script(one, anywhere=True) for one in steps.key_holders
    }


def import_script(server: ServerSteps, *, anywhere: bool = False) -> bytes:
    """Write the script that takes the steps of one server, and can undo them.

    Parameters
    ----------
    server : ServerSteps
        Public values all. What comes later is on its page alone: nobody wants it run by mistake.
    anywhere : bool, optional
        Whether the script may run on any computer, and not on this server only.
    """
    shell = server.shell
    return script(
        "import",
        {
            "Server": "" if anywhere else server.server,
            "Folder": server.folder,
            "Change": server.change,
            "Shell": shell.title if shell else "",
            "Modules": list(shell.modules) if shell else [],
            "Commands": list(shell.commands) if shell else [],
            "ServiceList": _block(shell.services) if shell else None,
            "ServiceStart": _block(shell.start_service, "Value") if shell else None,
            "Places": [_script_place(place) for place in server.places],
            "Steps": [_script_step(step, n) for n, step in enumerate(server.steps, 1)],
            "BackSteps": [_script_step(step, n) for n, step in enumerate(server.back, 1)],
        },
    )


def _block(command: str, *parameters: str) -> ScriptBlock | None:
    """Write a command as a block that takes some parameters; blank: none."""
    if not command:
        return None
    names = ", ".join(f"${name}" for name in parameters)
    return ScriptBlock((f"param({names}) {command}" if names else command,))


def _script_place(place: FilledPlace) -> dict[str, object]:
    entries: dict[str, object] = {
        "Name": place.name,
        "New": place.new,
        "Read": _block(place.read),
        "Set": _block(place.set, "Value"),
        "Roll": _block(place.roll, "Value", "Date"),
        "Clear": _block(place.clear),
        "Staged": _block(place.staged),
        "Restart": place.restart,
        "Global": place.for_deployment,
    }
    return _without_blanks(entries)


def _script_step(step: ServerStep, number: int) -> dict[str, object]:
    about = f" ({step.about})" if step.about else ""
    of_places = step.step.does in ("record", "restore")
    entries: dict[str, object] = {
        "Number": number,
        "Title": f"{step.title}{about}",
        "OnlyIf": [_question(check) for check in step.only_if],
        "Holds": [_question(check) for check in step.holds],
        "Waits": [_question(check) for check in step.waits],
        "Needs": [_question(check) for check in step.needs],
        "Confirms": [_question(check) for check in step.confirms],
        "Does": step.step.does,
        "Place": step.place,
        "Commands": ScriptBlock(step.commands) if step.commands and not of_places else None,
        "Assigns": list(step.assigns),
        "ByHand": step.step.by_hand,
        "GoesOn": step.step.goes_on,
        "Trust": step.step.trust,
        "ConfirmedBy": step.step.confirmed_by,
        "WhenAsked": step.step.when_asked,
        "Minutes": step.step.minutes,
    }
    return _without_blanks(entries)


def _question(check: FilledCheck) -> dict[str, object]:
    entries: dict[str, object] = {
        "Text": check.text,
        "Ask": _block(check.command),
        "Shows": _block(check.shows),
        "When": _block(check.when),
        "Passing": check.passing,
    }
    return _without_blanks(entries)


def _without_blanks(entries: dict[str, object]) -> dict[str, object]:
    """Leave out what is not set: the script reads it as nothing, no or zero."""
    return {key: value for key, value in entries.items() if value}
