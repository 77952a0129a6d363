"""Measure how the run time grows with the size of the input.

``public_functions`` finds the functions to measure, so that new functions are not forgotten.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import pkgutil
import time
from collections.abc import Callable, Iterator

import lyncnb

#: If a run takes less than this number of CPU seconds, differences in the run time are not
#: significant.
LONG_ENOUGH = 0.05


def seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds that one run takes in this process.

    Garbage collection is off during the run, because it would also scan objects of other tests.
    """
    gc.disable()
    try:
        start = time.process_time()
        work()
        return time.process_time() - start
    finally:
        gc.enable()


def find_superlinear_size(
    make: Callable[[int], Callable[[], object]], *, size: int, most: int
) -> tuple[int, float, float] | None:
    """Find an input size such that an input of twice this size takes at least three times as long.

    Parameters
    ----------
    make : callable
        A function that takes a size and returns a function to measure with input of that size.
    size, most : int
        The first size, and the largest one. The size is doubled until a run is long enough to be
        measured, without the sizes that would be too short even if the time grew only linearly.

    Returns
    -------
    tuple of size, seconds, and seconds for twice the size, or None
        None if twice the input takes less than three times as long, or all runs are short.
    """
    while (once := seconds(small := make(size))) < LONG_ENOUGH:
        # The run time grows at most with the square of the size. If even the largest input would
        # then run too briefly to be measured, no input can be measured.
        if size * 2 > most or once * (most / size) ** 2 < LONG_ENOUGH:
            return None
        target_size = size * LONG_ENOUGH / once
        size *= 2
        while size < target_size and size * 2 <= most:
            size *= 2
    large = make(2 * size)
    # If the first measurement looks too slow, the fastest of five measurements counts.
    if (twice := seconds(large)) >= 2.5 * once:
        # Input of the original size and of twice the size is measured alternately, so that other
        # processes affect both.
        pairs = [(seconds(small), seconds(large)) for _ in range(5)]
        once, twice = (min(times) for times in zip(*pairs, strict=True))
    if once < LONG_ENOUGH or twice < 3 * once:
        return None
    return size, round(once, 2), round(twice, 2)


def public_functions(*, methods: bool = False) -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield every public function of the package and, with `methods`, every public method of its
    public classes.
    """
    for module in pkgutil.walk_packages(lyncnb.__path__, "lyncnb."):
        if module.name.endswith("__main__"):
            continue
        for name, value in inspect.getmembers(importlib.import_module(module.name)):
            if name.startswith("_") or getattr(value, "__module__", "") != module.name:
                continue
            qualified_name = f"{module.name.removeprefix('lyncnb.')}.{name}"
            if inspect.isfunction(value):
                yield qualified_name, value
            elif methods and inspect.isclass(value):
                members = ((key, member) for key, member in vars(value).items() if key[0] != "_")
                yield from (
                    (f"{qualified_name}.{key}", f) for key, f in members if inspect.isfunction(f)
                )
