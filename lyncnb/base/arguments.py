"""Check the types of arguments, and raise a clear error if a type is wrong.

Only the public functions that users call in notebooks check their arguments.
"""

from __future__ import annotations

from ..errors import ArgumentError

_MADE_BY = {
    "CertificatePlan": "ln.plan_certificates(topology, rules) returns a CertificatePlan",
    "DeploymentSteps": "ln.deployment_steps(issued) and ln.request_scripts(plan) return a "
    "DeploymentSteps object",
    "FirstPlan": "ln.guided_plan(answers) returns a FirstPlan",
    "Forecast": "ln.forecast(plan) returns a Forecast",
    "GuideAnswers": "ln.GuideAnswers.of({...}) returns a GuideAnswers object",
    "IssuedCertificates": "ln.receive(folder) and ln.match_certificates(bundle) return an "
    "IssuedCertificates object",
    "Making": "run from lyncnb.export.executors import Making, and use for example "
    "Making(executor=executor)",
    "Mapping": 'use a dictionary, for example {"key": "text"}',
    "PlanOptions": 'ln.PlanOptions.from_toml("plan.toml") returns a PlanOptions object',
    "PurgeList": "ln.purge(folder) returns a PurgeList. Check the list, then pass it as confirmed",
    "RequestBundle": "ln.open_requests(folder) returns a RequestBundle",
    "Rules": 'ln.load_rules("lync2013") returns a Rules object',
    "Scenario": "ln.open_scenario(folder) returns a Scenario",
    "Secret": "ln.ask_passphrase() returns a Secret",
    "Topology": 'ln.read_topology("contoso.csv") returns a Topology',
    "date": "import date from datetime, and use for example date(2027, 1, 31)",
    "float": "use a number, for example 0.5",
    "str": 'put the text in quotation marks, for example "requests"',
}


def check_type(argument: str, value: object, *kinds: type | None) -> None:
    """Raise ArgumentError if the value has none of the expected types.

    If an argument is optional, the last of the types is None, which the message does not contain.
    The message does not contain the value, because text in the wrong argument can be a passphrase.
    """
    types = [kind for kind in kinds if kind is not None]
    if isinstance(value, tuple(types)) or (value is None and None in kinds):
        return
    actual = {type(None): "None", str: "text"}.get(type(value), f"of type {type(value).__name__}")
    expected = " or ".join(kind.__name__ for kind in types)
    raise ArgumentError(
        f"{argument} is {actual}, but it must be of type {expected}",
        hint=_MADE_BY[types[0].__name__],
    )
