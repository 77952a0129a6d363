"""Time that grows as its input does, measured so that only the work itself counts.

What is measured is found by looking (``public_functions``), so that nothing new is forgotten.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import pkgutil
import time
from collections.abc import Callable, Iterator

import lyncnb

#: Seconds of CPU below which a doubled time says nothing.
LONG_ENOUGH = 0.05


def seconds(work: Callable[[], object]) -> float:
    """Measure one run, in seconds of CPU of this process.

    The collector rests meanwhile: it would look through what other tests left in memory.
    """
    gc.disable()
    try:
        begin = time.process_time()
        work()
        return time.process_time() - begin
    finally:
        gc.enable()


def faster_than_linear(
    make: Callable[[int], Callable[[], object]], *, size: int, most: int, step: int = 2
) -> tuple[int, float, float] | None:
    """Find a size whose double takes thrice the time or more.

    Parameters
    ----------
    make : callable
        Takes a size and gives the work on an input of that size.
    size, most : int
        The first size that is tried; it grows by `step` until one run is long enough to be
        measured or it is more than `most`.

    Returns
    -------
    tuple of size and seconds of it and of its double, or None
        None if the double takes less than thrice as long, or all of them are quick.
    """
    while size <= most and (once := seconds(small := make(size))) < LONG_ENOUGH:
        size *= step
    if size > most:
        return None
    large = make(2 * size)
    # Where a single measurement looks like more than twice the time, the best of five decides.
    if (twice := seconds(large)) >= 2.5 * once:
        # In turn, so that other work on the machine meets both.
        pairs = [(seconds(small), seconds(large)) for _ in range(5)]
        once, twice = (min(taken) for taken in zip(*pairs, strict=True))
    if once < LONG_ENOUGH or twice < 3 * once:
        return None
    return size, round(once, 2), round(twice, 2)


def public_functions(*, methods: bool = False) -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield every public function of the package, with methods also those of public classes."""
    for module in pkgutil.walk_packages(lyncnb.__path__, "lyncnb."):
        if module.name.endswith("__main__"):
            continue
        for name, value in inspect.getmembers(importlib.import_module(module.name)):
            if name.startswith("_") or getattr(value, "__module__", "") != module.name:
                continue
            here = f"{module.name.removeprefix('lyncnb.')}.{name}"
            if inspect.isfunction(value):
                yield here, value
            elif methods and inspect.isclass(value):
                own = ((key, member) for key, member in vars(value).items() if key[0] != "_")
                yield from ((f"{here}.{key}", f) for key, f in own if inspect.isfunction(f))
