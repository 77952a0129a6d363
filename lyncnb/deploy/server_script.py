"""The script that runs the steps of one server: its values, and the fixed text that uses them."""

from __future__ import annotations

from .powershell import ScriptBlock, script
from .server_steps import FilledCheck, FilledPlace, ServerStep, ServerSteps


def import_script(server: ServerSteps) -> bytes:
    """Write the script that runs the steps of one server, and can undo them.

    Parameters
    ----------
    server : ServerSteps
        Contains only public values. Later steps are only on the page, so that the script cannot
        run them by mistake.
    """
    shell = server.shell
    return script(
        "import",
        {
            "Server": "" if server.anywhere else server.server,
            "Folder": server.folder,
            "Change": server.change,
            "Shell": shell.title if shell else "",
            "Modules": list(shell.modules) if shell else [],
            "Commands": list(shell.commands) if shell else [],
            "ServiceList": _block(shell.services) if shell else None,
            "ServiceStart": _block(shell.start_service, "Value") if shell else None,
            "Places": [_script_place(place) for place in server.places if place.read],
            "Steps": [_script_step(step) for step in server.steps],
            "BackSteps": [_script_step(step) for step in server.back],
        },
    )


def _block(command: str, *parameters: str) -> ScriptBlock | None:
    """Write a command as a script block with parameters; None if there is no command."""
    if not command:
        return None
    names = ", ".join(f"${name}" for name in parameters)
    return ScriptBlock((f"param({names}) {command}" if names else command,))


def _script_place(place: FilledPlace) -> dict[str, object]:
    key = ("Key",) if place.each else ()
    entries: dict[str, object] = {
        "Name": place.name,
        "New": place.new,
        "Each": _block(place.each),
        "Read": _block(place.read, *key),
        "Set": _block(place.set, "Value", *key),
        "Roll": _block(place.roll, "Value", "Date"),
        "Clear": _block(place.clear),
        "Staged": _block(place.staged),
        "Restart": place.restart,
        "Global": place.for_deployment,
        "Setting": place.setting,
    }
    return _without_blanks(entries)


def _script_step(step: ServerStep) -> dict[str, object]:
    of_places = step.step.does in ("record", "set", "restore")
    entries: dict[str, object] = {
        "Number": step.number,
        "Name": step.name,
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
        "After": check.after,
    }
    return _without_blanks(entries)


def _without_blanks(entries: dict[str, object]) -> dict[str, object]:
    """Remove values that are not set: the script reads them as nothing, no or zero."""
    return {key: value for key, value in entries.items() if value}
