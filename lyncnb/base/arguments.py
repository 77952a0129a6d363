"""A clear message if a notebook passes None or text to a function that needs an object.

Only the functions that a notebook calls in sequence check their arguments.
"""

from __future__ import annotations

from ..errors import ArgumentError

_MADE_BY = {
    "CertificatePlan": "ln.plan_certificates(topology, rules) returns one",
    "DeploymentSteps": "ln.deployment_steps(issued) and ln.request_scripts(plan) return one",
    "IssuedCertificates": "ln.receive(folder) and ln.match_certificates(bundle) return one",
    "PlanOptions": 'ln.PlanOptions.from_toml("plan.toml") returns one',
    "RequestBundle": "ln.open_requests(folder) returns one",
    "Rules": 'ln.load_rules("lync2013") returns one',
    "Scenario": "ln.open_scenario(folder) returns one",
    "Topology": 'ln.read_topology("contoso.csv") returns one',
    "str": 'write its name in quotation marks, such as "requests"',
}


def require(argument: str, value: object, *kinds: type) -> None:
    """Raise ArgumentError unless the value has one of these types.

    The message never shows the value, because misplaced text may be a passphrase.
    """
    if isinstance(value, kinds):
        return
    given = {type(None): "None", str: "text"}.get(type(value), f"of type {type(value).__name__}")
    expected = " or ".join(kind.__name__ for kind in kinds)
    raise ArgumentError(
        f"{argument} is {given}, not of type {expected}", hint=_MADE_BY[kinds[0].__name__]
    )
