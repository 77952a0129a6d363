"""Write the script that runs the steps of one server. It consists of values and fixed text."""

from __future__ import annotations

from .powershell import ScriptBlock, fill_script
from .server_steps import FilledCheck, FilledPlace, ServerStep, ServerSteps


def build_import_script(server: ServerSteps) -> bytes:
    """Return the script that runs and reverts the steps of one server.

    Parameters
    ----------
    server : ServerSteps
        Contains only public values. Later steps are only on the page, so that the script cannot
        run them by mistake.
    """
    shell = server.shell
    return fill_script(
        "import",
        {
            "Server": "" if server.anywhere else server.server,
            "Folder": server.folder,
            "Change": server.change,
            "Shell": shell.title if shell else "",
            "Modules": list(shell.modules) if shell else [],
            "Commands": list(shell.commands) if shell else [],
            "ServiceList": _build_block(shell.services) if shell else None,
            "ServiceStart": _build_block(shell.start_service, "Value") if shell else None,
            "Ignored": list(shell.ignored) if shell else [],
            "Places": [
                _build_setting_entries(setting) for setting in server.places if setting.read
            ],
            "Steps": [_build_step(step) for step in server.steps],
            "BackSteps": [_build_step(step) for step in server.back],
        },
    )


def _build_block(command: str, *parameters: str) -> ScriptBlock | None:
    """Return a command as a script block with parameters, or None if there is no command."""
    if not command:
        return None
    names = ", ".join(f"${name}" for name in parameters)
    return ScriptBlock((f"param({names}) {command}" if names else command,))


def _build_setting_entries(setting: FilledPlace) -> dict[str, object]:
    key = ("Key",) if setting.each else ()
    entries: dict[str, object] = {
        "Name": setting.name,
        "New": setting.new,
        "Each": _build_block(setting.each),
        "Read": _build_block(setting.read, *key),
        "Set": _build_block(setting.set, "Value", *key),
        "Roll": _build_block(setting.roll, "Value", "Date"),
        "Clear": _build_block(setting.clear),
        "Staged": _build_block(setting.staged),
        "Restart": setting.restart,
        "Global": setting.for_deployment,
        "Setting": setting.setting,
    }
    return _remove_blanks(entries)


def _build_step(step: ServerStep) -> dict[str, object]:
    of_places = step.step.does in ("record", "set", "restore")
    entries: dict[str, object] = {
        "Number": step.number,
        "Name": step.name,
        "OnlyIf": [_build_check(check) for check in step.only_if],
        "Holds": [_build_check(check) for check in step.holds],
        "Waits": [_build_check(check) for check in step.waits],
        "Needs": [_build_check(check) for check in step.needs],
        "Confirms": [_build_check(check) for check in step.confirms],
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
    return _remove_blanks(entries)


def _build_check(check: FilledCheck) -> dict[str, object]:
    entries: dict[str, object] = {
        "Text": check.text,
        "Ask": _build_block(check.command),
        "Shows": _build_block(check.shows),
        "When": _build_block(check.when),
        "Passing": check.passing,
        "After": check.after,
    }
    return _remove_blanks(entries)


def _remove_blanks(entries: dict[str, object]) -> dict[str, object]:
    """Remove empty and false values. The script treats a missing value as empty, false, or zero."""
    return {key: value for key, value in entries.items() if value}
