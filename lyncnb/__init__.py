"""Plan the certificates of a Lync Server 2013 deployment before the servers exist.

Data runs one way: one noun per step, one verb per arrow.

>>> import lyncnb as ln                                           # doctest: +SKIP
>>> topology = ln.read_topology("../data/contoso.csv")  # sites, pools, computers, SIP domains
>>> rules = ln.load_rules("lync2013")                   # what the product asks of each role
>>> plan = ln.plan_certificates(topology, rules)        # one row per certificate
>>> plan.explain("edge01.contoso.com")                  # why each name is there, with its source
>>> ln.check_plan(plan)                                 # errors, warnings and notices
>>> bundle = ln.write_requests(plan, "requests", passphrase=ln.ask_passphrase())

Later, when the CA has answered: ``ln.open_requests``, ``ln.match_certificates``, ``ln.write_pfx``
and ``ln.deployment_steps``. Nouns are frozen: a verb returns a new one.

A public name is imported when it is first used (PEP 562), so that ``import lyncnb`` and
``lyncnb --help`` load neither pandas nor cryptography.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import Any as _Any

_MODULES = {
    "KeyParameters": "base.certificate_fields",
    "LyncnbError": "errors",
    "PlanEditor": "widgets.editor",
    "PlanOptions": "plan.options",
    "RequestPanel": "widgets.request_panel",
    "Secret": "pki.passphrase",
    "StatusPanel": "widgets.status_panel",
    "ask_passphrase": "pki.passphrase",
    "check_plan": "checks.check_plan",
    "deployment_steps": "deploy.steps",
    "folder_status": "authorities.status",
    "hand_over": "authorities.handover",
    "list_renewals": "request_folder.renewals",
    "load_rules": "rules.rule_files",
    "match_certificates": "authorities.issued",
    "open_requests": "request_folder.bundle",
    "plan_certificates": "plan.planner",
    "plan_document": "plan.plan_json",
    "read_topology": "topology.topology",
    "receive": "authorities.receiving",
    "write_pfx": "deploy.write_pfx",
    "write_renewals": "request_folder.renewals",
    "write_requests": "export.write",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> _Any:
    if name == "__version__":
        from importlib.metadata import version

        value: _Any = version(__name__)
    elif name in _MODULES:
        value = getattr(_import_module(f".{_MODULES[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # asked for once only
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
