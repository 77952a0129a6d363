"""Find the types that the public functions of lyncnb return, from their annotations."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from functools import cached_property

import lyncnb as ln
from lyncnb.base.shown.tables import Table


def public_functions() -> Iterator[tuple[str, Callable]]:
    """Yield each public function, class, method and property, with the name that programs use for
    it.
    """
    for name in ln.__all__:
        value = getattr(ln, name)
        if inspect.isclass(value):
            yield name, value
            yield from public_methods(value)
        elif inspect.isfunction(value):
            yield f"ln.{name}", value
        else:
            yield from ((f"ln.{name}{m.removeprefix(type(value).__name__)}", f)
                        for m, f in public_methods(type(value)))  # fmt: skip


def public_methods(value: type) -> Iterator[tuple[str, Callable]]:
    """Yield each public method and property of a class."""
    for name in dir(value):
        member = inspect.getattr_static(value, name)
        if isinstance(member, (classmethod, staticmethod)):
            member = member.__func__
        elif isinstance(member, property):
            member = member.fget
        elif isinstance(member, cached_property):
            member = member.func
        # Methods that a class inherits from Python's base classes, such as Sequence.count, have no
        # annotations.
        is_ours = inspect.isfunction(member) and member.__module__.startswith("lyncnb")
        if is_ours and (not name.startswith("_") or name == "__init__"):
            yield f"{value.__name__}.{name}", member


def returned_tables() -> dict[type[Table], list[str]]:
    """Return each type of table that a public function returns, with the names of these functions."""
    names_by_type: dict[type[Table], list[str]] = {}
    waiting = [*public_functions()]
    for name, function in waiting:
        if inspect.isclass(function) or name.endswith(".__init__"):
            continue
        hint = typing.get_type_hints(function).get("return")
        for kind in typing.get_args(hint) or (hint,):
            if inspect.isclass(kind) and issubclass(kind, Table):
                if kind not in names_by_type and kind.__name__ not in ln.__all__:
                    waiting += public_methods(kind)
                names_by_type.setdefault(kind, []).append(name)
    return names_by_type
