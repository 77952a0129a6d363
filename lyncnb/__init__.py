"""Plan the certificates of a Lync Server 2013 deployment before the servers exist.

Each function takes the result of the previous step and returns a new object.

>>> import lyncnb as ln                                           # doctest: +SKIP
>>> topology = ln.read_topology("../data/contoso.csv")  # sites, pools, computers, SIP domains
>>> rules = ln.load_rules("lync2013")                   # what the product requires of each role
>>> plan = ln.plan_certificates(topology, rules)        # one row per certificate
>>> plan.explain("edge01.contoso.com")                  # why each name is there, with its source
>>> ln.check_plan(plan)                                 # errors, warnings and notices
>>> bundle = ln.write_requests(plan, "requests", passphrase=ln.ask_passphrase())

After the CA has issued the certificates, use ``ln.open_requests``, ``ln.match_certificates``,
``ln.write_pfx`` and ``ln.deployment_steps``. Objects are immutable.

A public name is imported when it is first used (PEP 562), so that ``import lyncnb`` and
``lyncnb --help`` load neither pandas nor cryptography. ``__init__.pyi`` lists them, for type
checkers and for this file.
"""

from __future__ import annotations

from importlib import import_module as _import_module

# The import system of Python finds the stub file next to ``__init__.py``, even in a zip file.
_LIST = __loader__.get_data(f"{__file__}i").decode()
_MODULES = {
    line.split()[3]: line.split()[1] for line in _LIST.splitlines() if line.startswith("from ")
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> object:
    if name == "__version__":
        from .base.version import VERSION

        value: object = VERSION
    elif name in _MODULES:
        value = getattr(_import_module(_MODULES[name], __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # After the first access, Python finds the name in the module itself and does not call
    # ``__getattr__`` again.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
