"""Arguments held against the kinds that a public function's signature names, at its door.

What comes through a door is trusted after, so a wrong kind (a DataFrame for a path, a date as text)
would be met far inside, half-way through, in words that name no argument. What is handed a value
for each row of a table has no door: to look at 100,000 of them takes as long as to change them.
"""

from __future__ import annotations

import functools
import inspect
import os
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, Union

from ..errors import ArgumentError

P = ParamSpec("P")
R = TypeVar("R")
Find = Callable[[str], object]

# Where a planner gets what is wanted, by the name of its kind.
_MADE_BY = {
    "AsIs": "ln.compare_as_is(plan, path)",
    "CertificatePlan": "ln.plan_certificates(topology, rules)",
    "DeploymentSteps": "ln.deployment_steps(issued)",
    "FirstPlan": "ln.guided_plan(answers)",
    "Forecast": "ln.forecast(plan)",
    "GuideAnswers": 'ln.GuideAnswers.from_toml("answers.toml")',
    "IssuedCertificates": "ln.receive(folder)",
    "PlanDifference": "ln.compare_plans(old, new)",
    "PlanOptions": 'ln.PlanOptions.from_toml("plan.toml")',
    "RequestBundle": "ln.open_requests(folder)",
    "Rules": 'ln.load_rules("lync2013")',
    "SavedPlan": 'ln.read_saved_plan("plan.json")',
    "Scenario": "ln.open_scenario(folder)",
    "Secret": "ln.ask_passphrase()",
    "Topology": 'ln.read_topology("contoso.csv")',
    "path": '"contoso" or pathlib.Path("contoso")',
    "date": "datetime.date(2026, 11, 24)",
    "datetime": "datetime.datetime(2026, 11, 24, 20, 0)",
    "bool": "True",
    "int": "4",
    "float": "0.5",
    "str": '"contoso"',
    "Collection": '["contoso"]',
    "Iterable": '["contoso"]',
    "Sequence": '["contoso"]',
    "Mapping": '{"contoso": "why"}',
}
_WORDS = {
    str: "a text",
    bytes: "bytes",
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    date: "a date",
    datetime: "a date with a time",
    types.NoneType: "None",
}
_MANY = (Sequence, Iterable, Collection)
_SECRETS = ("passphrase", "password", "secret")
# These also hear of a moment; every other day of a signature is a day.
_MOMENTS = ("today", "now")
_REFUSED = object()


def at_door(function: Callable[P, R], find: Find | None = None) -> Callable[P, R]:
    """Have a function refuse arguments of a kind that its signature does not name.

    One text or path where several are wanted is taken as the only one of them, an iterator is read
    once, and of a date with a time the day is taken.

    Parameters
    ----------
    function : callable
        With annotations; one that cannot be resolved is not heeded.
    find : callable, optional
        Gives the public class of a name that the function's module does not import, or raises
        KeyError.

    Returns
    -------
    callable
        The same to its callers; raises ArgumentError before the function is entered. What is no
        function is given back as it is.
    """
    plain: object = function
    if not isinstance(plain, types.FunctionType):
        return function

    @functools.cache
    def learn() -> _Signature:
        return _Signature.of(plain, find)

    @functools.wraps(function)
    def door(*args: P.args, **kwargs: P.kwargs) -> R:
        known = learn()
        try:
            bound = known.signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)  # Python's own words name the argument
        for name, given in bound.arguments.items():
            if name in known.kinds:
                bound.arguments[name] = known.taken(name, given)
        return function(*bound.args, **bound.kwargs)

    return door


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signature:
    called: str
    signature: inspect.Signature
    kinds: Mapping[str, Any]
    is_secret: bool

    @classmethod
    def of(cls, function: types.FunctionType, find: Find | None) -> _Signature:
        signature = inspect.signature(function)
        kinds = {}
        for name, parameter in signature.parameters.items():
            kind = _resolve(parameter.annotation, function, find)
            if kind is not Any and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                kinds[name] = kind
        said = " ".join((*signature.parameters, *map(str, kinds.values()))).lower()
        return cls(
            called=function.__qualname__.removesuffix(".__init__"),
            signature=signature,
            kinds=kinds,
            is_secret=any(word in said for word in _SECRETS),
        )

    def taken(self, name: str, given: Any) -> Any:
        """Give an argument as the function is to have it."""
        several = self.signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
        values = given if several else (given,)
        taken = tuple(_take(one, self.kinds[name], name) for one in values)
        for value, new in zip(values, taken, strict=True):
            if new is _REFUSED:
                raise self._refusal(name, value, several=several)
        return taken if several else taken[0]

    def _refusal(self, name: str, value: Any, *, several: bool) -> ArgumentError:
        kind = self.kinds[name]
        wanted, hint = _wanted(kind), _hint(kind)
        if value is None:
            hint = f"did a cell above give nothing? {hint}"
        elif several and isinstance(value, list | tuple):
            hint = f"give them one by one, with a star before the list: *{name}"
        told = _told(value, is_secret=self.is_secret)
        return ArgumentError(f"{self.called}: {name} must be {wanted}, not {told}", hint=hint)


# What a signature says.


class _Names(dict[str, Any]):
    """Names of an annotation that its module imports for type checkers alone."""

    def __init__(self, known: Mapping[str, Any], find: Find | None):
        super().__init__()
        self._known, self._find = known, find

    def __missing__(self, name: str) -> Any:
        if name in self._known or self._find is None:
            raise KeyError(name)
        return self._find(name)


def _resolve(annotation: object, function: types.FunctionType, find: Find | None) -> Any:
    if annotation is inspect.Parameter.empty:
        return Any
    known = inspect.unwrap(function).__globals__
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, known, _Names(known, find))
        except (NameError, TypeError, AttributeError):
            return Any  # e.g. a DataFrame, which is not imported for its name's sake
    return Any if isinstance(annotation, str) else annotation


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (Union, types.UnionType)


def _names(kind: Any) -> tuple[str, ...]:
    """Give the names of the kinds that a kind is made of."""
    origin = typing.get_origin(kind)
    if _is_union(kind):
        inner = typing.get_args(kind)
        return tuple(dict.fromkeys(name for one in inner for name in _names(one)))
    if origin is os.PathLike or kind is Path:
        return ("path",)
    return (getattr(origin or kind, "__name__", ""),)


# What is taken.


def _take(value: Any, kind: Any, name: str) -> Any:
    """Give the value as the function is to have it, or `_REFUSED`."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if _is_union(kind):
        taken = (_take(value, one, name) for one in inner)
        return next((one for one in taken if one is not _REFUSED), _REFUSED)
    if origin is None:
        return _take_plain(value, kind, name)
    if origin is os.PathLike:
        return value if isinstance(value, os.PathLike) else _REFUSED
    if origin is Callable:
        return value if callable(value) else _REFUSED
    if origin in _MANY:
        return _take_many(value, inner[0], name)
    if not isinstance(origin, type):
        return value
    if isinstance(value, origin) and not (
        isinstance(value, Mapping)
        and any(
            _take(one, part, name) is _REFUSED
            for pair in value.items()
            for part, one in zip(inner, pair, strict=True)
        )
    ):
        return value
    return _REFUSED


def _take_many(value: Any, kind: Any, name: str) -> Any:
    if _is_named(value):
        value = (value,) if value != "" else ()
    # A DataFrame would give its headings.
    is_many = isinstance(value, Iterable) and getattr(value, "ndim", 1) == 1
    if not is_many or isinstance(value, bytes | bytearray):
        return _REFUSED
    if not isinstance(value, Sequence | AbstractSet | Mapping):
        value = tuple(value)
    return _REFUSED if any(_take(one, kind, name) is _REFUSED for one in value) else value


def _take_plain(value: Any, kind: Any, name: str) -> Any:
    if kind in (date, datetime):
        return _take_day(value, kind, name)
    if kind is Any:
        is_taken = True
    elif kind is None:
        is_taken = value is None
    elif kind is Path:
        is_taken = isinstance(value, os.PathLike)
    elif kind in (int, float):
        is_taken = isinstance(value, Integral if kind is int else Real)
    elif getattr(kind, "_is_protocol", False):
        is_taken = all(hasattr(value, one) for one in vars(kind) if not one.startswith("_"))
    else:
        is_taken = not isinstance(kind, type) or isinstance(value, kind)
    return value if is_taken else _REFUSED


def _take_day(value: Any, kind: type[date], name: str) -> Any:
    # pandas' NaT is a datetime, which equals nothing.
    if not isinstance(value, kind) or value != value:
        return _REFUSED
    if kind is date and isinstance(value, datetime) and name not in _MOMENTS:
        return value.date()
    return value


def _is_named(value: Any) -> bool:
    return isinstance(value, str | os.PathLike)


# What is said.


def _hint(kind: Any) -> str:
    for name in _names(kind):
        if name in _MADE_BY:
            return f"e.g. {_MADE_BY[name]}"
    return "see what help() says of it"


def _told(value: Any, *, is_secret: bool) -> str:
    """Say what was given; a text is not shown where it could be a passphrase."""
    kind = type(value)
    if kind in (bool, types.NoneType):
        return str(value)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if kind not in _WORDS:
        return _with_article(kind.__name__)
    if is_secret or kind is bytes:
        return _WORDS[kind]
    if kind is int and value.bit_length() > 64:
        return "a very large number"  # Python refuses to write it out
    shown = f'"{value:.60}"' if kind is str else str(value)
    printable = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in shown)
    return f"{_WORDS[kind]}, {printable}"


def _wanted(kind: Any) -> str:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if _is_union(kind):
        unsaid = {types.NoneType, str} if "path" in _names(kind) else {types.NoneType}
        several = [one for one in inner if one not in unsaid]
        several = [one for one in several if not getattr(one, "_is_protocol", False)] or several
        return " or ".join(dict.fromkeys(map(_wanted, several)))
    if origin is os.PathLike or kind is Path:
        return "a path"
    if origin is Callable:
        return "a function"
    if origin in _MANY:
        return f"a list of which each is {_wanted(inner[0])}"
    if origin is Mapping:
        return "a dict"
    return _WORDS.get(kind) or _with_article(getattr(kind, "__name__", str(kind)))


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOaeio' else 'a'} {name}"
