"""Time that grows as its input does, measured so that only the work itself counts."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

#: Seconds of CPU below which a doubled time says nothing.
LONG_ENOUGH = 0.1


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
