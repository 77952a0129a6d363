"""Write the script that runs the steps of one server. It consists of values and fixed text."""

from __future__ import annotations

from collections.abc import Iterable

from .powershell import ScriptBlock, fill_script, hash_common_script
from .server_steps import FilledCheck, FilledPlace, ServerStep, ServerSteps


def build_import_script(server: ServerSteps) -> bytes:
    """Return ``install.ps1``, which runs and reverts the steps of one server.

    Parameters
    ----------
    server : ServerSteps
        Contains only public values. Later steps are only on the page, so that the script cannot
        run them by mistake.
    """
    shell = server.shell
    steps = [step for step in server.steps if step.step.is_scripted]
    back = [step for step in server.back if step.step.is_scripted]
    names = _name_checks(check for step in (*steps, *back) for check in step.checks)
    return fill_script(
        "install",
        {
            "CommonSha256": hash_common_script(),
            "Server": server.server,
            "Case": server.case,
            "Folder": server.folder,
            "Change": server.change,
            "Shell": shell.title if shell else "",
            "Modules": list(shell.modules) if shell else [],
            "Commands": list(shell.commands) if shell else [],
            "ServiceList": _build_block(shell.services) if shell else None,
            "ServiceStart": _build_block(shell.start_service, "Value") if shell else None,
            "Ignored": list(shell.ignored) if shell else [],
            "OldProvider": bool(shell and shell.provider),
            "Checks": {name: _build_check(check, names) for check, name in names.items()},
            "Places": [_build_place(setting) for setting in server.places if setting.read],
            "Steps": [_build_step(step, names) for step in steps],
            "BackSteps": [_build_step(step, names) for step in back],
        },
    )


def build_request_script(page: ServerSteps) -> bytes:
    """Return the script that creates a certificate request, or completes it.

    It may run on any computer with the administrative tools, so it contains no computer name.
    """
    shell = page.shell
    steps = [step for step in page.steps if step.step.is_scripted and step.commands]
    steps = [step for step in steps if not step.step.by_hand]
    names = _name_checks(check for step in steps for check in step.checks)
    return fill_script(
        "request",
        {
            "Server": "",
            "Shell": shell.title if shell else "",
            "Modules": list(shell.modules) if shell else [],
            "Commands": list(shell.commands) if shell else [],
            "Checks": {name: _build_check(check, names) for check, name in names.items()},
            "Steps": [_build_step(step, names) for step in steps],
        },
    )


def build_script(page: ServerSteps) -> bytes:
    """Return the script of a page: for a server, or for a request on any computer."""
    return build_request_script(page) if page.anywhere else build_import_script(page)


def _name_checks(checks: Iterable[FilledCheck]) -> dict[FilledCheck, str]:
    """Return a short name for each different check, such as ``in-store`` and ``in-store-2``."""
    names: dict[FilledCheck, str] = {}
    counts: dict[str, int] = {}
    for check in checks:
        if check not in names:
            counts[check.id] = counts.get(check.id, 0) + 1
            names[check] = check.id + (f"-{counts[check.id]}" if counts[check.id] > 1 else "")
    return names


def _build_block(command: str, *parameters: str) -> ScriptBlock | None:
    """Return a command as a script block with parameters, or None if there is no command."""
    if not command:
        return None
    names = ", ".join(f"${name}" for name in parameters)
    return ScriptBlock((f"param({names}) {command}" if names else command,))


def _build_place(setting: FilledPlace) -> dict[str, object]:
    key = ("Key",) if setting.each else ()
    entries: dict[str, object] = {
        "Name": setting.name,
        "New": setting.new,
        "Old": setting.old,
        "Each": _build_block(setting.each),
        "Read": _build_block(setting.read, *key),
        "Set": _build_block(setting.set, "Value", *key),
        "Roll": _build_block(setting.roll, "Value", "Date"),
        "Effective": setting.effective,
        "Unset": _build_block(setting.clear),
        "Staged": _build_block(setting.staged),
        "Restart": setting.restart,
        "Global": setting.for_deployment,
        "Setting": setting.setting,
    }
    return _remove_blanks(entries)


def _build_step(step: ServerStep, names: dict[FilledCheck, str]) -> dict[str, object]:
    of_places = step.step.does in ("record", "set", "restore")
    entries: dict[str, object] = {
        "Number": step.number,
        "Title": step.name.removeprefix(f"{step.number}. "),
        "Stage": step.step.stage,
        "Does": step.step.does,
        "Place": step.place,
        "OnlyIf": [names[check] for check in step.only_if],
        "Holds": [names[check] for check in step.holds],
        "Waits": [names[check] for check in step.waits],
        "Needs": [names[check] for check in step.needs],
        "Confirms": [names[check] for check in step.confirms],
        "Assigns": list(step.assigns),
        "ByHand": step.step.by_hand,
        "GoesOn": step.step.goes_on,
        "Minutes": step.step.minutes,
        "Commands": ScriptBlock(step.commands, is_spread=True)
        if step.commands and not of_places
        else None,
    }
    return _remove_blanks(entries)


def _build_check(check: FilledCheck, names: dict[FilledCheck, str]) -> dict[str, object]:
    after = (name for other, name in names.items() if check.after and other.text == check.after)
    entries: dict[str, object] = {
        "Text": check.text,
        "After": next(after, ""),
        "Passing": check.passing,
        "Ask": _build_block(check.command),
        "Shows": _build_block(check.shows),
        "When": _build_block(check.when),
    }
    return _remove_blanks(entries)


def _remove_blanks(entries: dict[str, object]) -> dict[str, object]:
    """Remove empty and false values. The script treats a missing value as empty, false, or zero."""
    return {key: value for key, value in entries.items() if value}
