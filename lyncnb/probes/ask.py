"""Connect to the ports in a plan: resolve the names, and collect the results.

Only one connection to an address is open at a time. lyncnb connects only to addresses of the plan's
own names, or to addresses in the hosts file. It connects to an additional name only at an address
of its pool, because it must not connect to a domain's website or to a cloud service.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from .fetch import NO_ANSWER, Handshake, fetch_chain, resolve_name
from .targets import Target, Targets

Progress = Callable[[int, int], object]
Item = TypeVar("Item")
Result = TypeVar("Result")

#: The maximum number of handshakes with the address of a load balancer. Repeated handshakes can
#: reach several members of the pool.
_MOST_REPEATS = 8
# The time limit in seconds for further connections to an address that did not respond. The server
# is probably off. A handshake always has the full time limit.
_BRIEFLY = 1.0
_RESOLVE_SECONDS, _LOOKUPS = 10.0, 64
_STOPPED = Handshake(
    outcome=NO_ANSWER, detail=("lyncnb did not connect to this port, because the probe was stopped")
)
_LOOK_EVERY = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The response of one address at a port. ``address`` is "" if the host has no address."""

    target: Target
    handshake: Handshake
    address: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A name in the plan with addresses outside its pool. The probe does not connect to them."""

    name: str
    port: int
    pool: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """All responses in the order of the targets, and the names that were only resolved.

    ``unresolved`` contains additional names without an address. ``hosts`` contains the addresses by
    host.
    """

    answers: tuple[Answer, ...]
    strangers: tuple[Stranger, ...]
    unresolved: tuple[str, ...]
    hosts: Mapping[str, tuple[str, ...]]
    cancelled: bool = False


def probe_ports(
    targets: Targets,
    *,
    parallel: int = 16,
    timeout: float = 5.0,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Answers:
    """Connect to all ports, and return the responses.

    Parameters
    ----------
    targets : Targets
        The n ports of a plan.
    parallel : int, optional
        The number of addresses that are asked at the same time.
    timeout : float, optional
        The time for each connection.
    progress : callable, optional
        Called with the number of finished connections, and the total.
    stop : threading.Event, optional
        Stops the run. Answers until then are kept.
    """
    stop = stop or threading.Event()
    hosts = _resolve_names(targets, parallel, stop)
    plan = _Connections(hosts)
    for target in targets.ports:
        plan.add_target(target)
    for target in targets.lookups:
        plan.find_pool_addresses(target)
    answers = _probe_addresses(plan.asked, parallel, timeout, progress, stop)
    return Answers(
        answers=tuple(answer for _, answer in sorted([*plan.answers, *answers], key=_get_position)),
        strangers=tuple(dict.fromkeys(plan.strangers)),
        unresolved=tuple(dict.fromkeys(plan.unresolved)),
        hosts=hosts,
        cancelled=stop.is_set(),
    )


def _get_position(numbered_answer: tuple[int, Answer]) -> int:
    return numbered_answer[0]


def _resolve_names(
    targets: Targets, parallel: int, stop: threading.Event
) -> Mapping[str, tuple[str, ...]]:
    names: dict[str, None] = {}
    for target in (*targets.ports, *targets.lookups):
        if not target.addresses:
            names |= dict.fromkeys((target.host, *target.anchors, *target.members))
    name_list = [*names]
    results = _run_in_threads(
        name_list,
        resolve_name,
        # If no DNS server responds, the lookup of each name takes many seconds, but makes no
        # connection.
        parallel=max(parallel, _LOOKUPS),
        stop=stop,
        interval=_RESOLVE_SECONDS,
    )
    return {name_list[index]: addresses for index, addresses in results.items()}


#: Each item contains the number of a connection, its target, the address and the port.
_Connection = tuple[int, Target, str, int]


@dataclass(slots=True)
class _Connections:
    """The connections to make, by number. A target without an address already has a result."""

    hosts: Mapping[str, tuple[str, ...]]
    asked: list[_Connection] = field(default_factory=list)
    answers: list[tuple[int, Answer]] = field(default_factory=list)
    strangers: list[Stranger] = field(default_factory=list)
    unresolved: list[str] = field(default_factory=list)
    _number: int = 0

    def add_target(self, target: Target) -> None:
        if target.addresses:
            self._connect_to(target, target.addresses)
            return
        addresses = self.hosts.get(target.host, ())
        if not target.server and not target.is_anchor:
            addresses = self.find_pool_addresses(target)
        elif not addresses:
            detail = "the name does not resolve to an IP address"
            handshake = Handshake(outcome=NO_ANSWER, detail=detail)
            self.answers.append(
                (self._assign_next_number(), Answer(target=target, handshake=handshake))
            )
        elif not target.server and not target.is_anchored:
            # The members of the pool were already probed at their own addresses. All other
            # addresses belong to a load balancer.
            member_addresses = {
                address for name in target.members for address in self.hosts.get(name, ())
            }
            addresses = tuple(address for address in addresses if address not in member_addresses)
        self._connect_to(target, [(address, target.port) for address in addresses])

    def find_pool_addresses(self, target: Target) -> tuple[str, ...]:
        """Return the addresses of an additional name that belong to its pool.

        Other addresses are added to ``strangers``, and a name without an address is added to
        ``unresolved``.
        """
        known = {
            address
            for name in (*target.anchors, *target.members)
            for address in self.hosts.get(name, ())
        }
        addresses = self.hosts.get(target.host, ())
        if not addresses:
            self.unresolved.append(target.host)
        if others := tuple(address for address in addresses if address not in known):
            self.strangers.append(
                Stranger(name=target.host, port=target.port, pool=target.pool, addresses=others)
            )
        return tuple(address for address in addresses if address in known)

    def _connect_to(self, target: Target, addresses: Iterable[tuple[str, int]]) -> None:
        is_repeated = target.is_balanced and not target.is_tls10
        times = min(len(target.members), _MOST_REPEATS) if is_repeated else 1
        for address, port in addresses:
            for _ in range(times):
                self.asked.append((self._assign_next_number(), target, address, port))

    def _assign_next_number(self) -> int:
        self._number += 1
        return self._number


_Numbered = tuple[int, Answer]


def _probe_addresses(
    connections: Sequence[_Connection],
    parallel: int,
    timeout: float,
    progress: Progress | None,
    stop: threading.Event,
) -> Iterator[_Numbered]:
    """Yield the numbered responses. The ports of one address are probed one after another."""
    by_address: dict[str, list[_Connection]] = {}
    for connection in connections:
        by_address.setdefault(connection[2], []).append(connection)
    answer_queue: queue.SimpleQueue[_Numbered] = queue.SimpleQueue()
    answers: dict[int, Answer] = {}

    def collect_answers() -> None:
        before = len(answers)
        while not answer_queue.empty():
            number, answer = answer_queue.get()
            answers[number] = answer
        if progress is not None and len(answers) > before:
            progress(len(answers), len(connections))

    work = partial(_probe_address, timeout=timeout, stop=stop, on_done=answer_queue.put)
    _run_in_threads(
        [*by_address.values()], work, parallel=parallel, stop=stop, on_wait=collect_answers
    )
    collect_answers()
    for number, target, address, port in connections:
        unasked = Answer(target=target, handshake=_STOPPED, address=address, port=port)
        yield number, answers.get(number, unasked)


def _probe_address(
    connections: Sequence[_Connection],
    *,
    timeout: float,
    stop: threading.Event,
    on_done: Callable[[_Numbered], object],
) -> None:
    """Connect to the ports of one address, one connection at a time."""
    to_connect = timeout
    for number, target, address, port in connections:
        if stop.is_set():
            return
        handshake = fetch_chain(
            address,
            port,
            name=target.name,
            timeout=timeout,
            connect_timeout=to_connect,
            is_only_tls10=target.is_tls10,
        )
        if handshake.is_silent:
            to_connect = _BRIEFLY
        on_done((number, Answer(target=target, handshake=handshake, address=address, port=port)))


def _run_in_threads(
    items: Sequence[Item],
    work: Callable[[Item], Result],
    *,
    parallel: int,
    stop: threading.Event,
    interval: float | None = None,
    on_wait: Callable[[], object] = lambda: None,
) -> Mapping[int, Result]:
    """Process each item in its own thread, and return each result by the item's index.

    The threads are daemons, because the system's resolver can hang, and a thread cannot be ended.
    After ``interval``, an item is abandoned. ``on_wait`` is called after each result and several
    times a second. Ctrl-C sets ``stop``, and the results until then are returned.
    """
    result_queue: queue.SimpleQueue[tuple[int, Result | None]] = queue.SimpleQueue()
    results: dict[int, Result] = {}
    running: dict[int, float] = {}
    upcoming = iter(range(len(items)))

    def run_item(index: int) -> None:
        result = None
        try:
            result = work(items[index])
        finally:
            result_queue.put((index, result))

    try:
        while not stop.is_set():
            while len(running) < max(parallel, 1) and (index := next(upcoming, -1)) >= 0:
                running[index] = time.monotonic()
                threading.Thread(target=run_item, args=(index,), daemon=True).start()
            if not running:
                break
            with suppress(queue.Empty):
                index, result = result_queue.get(timeout=_LOOK_EVERY)
                running.pop(index, None)
                if result is not None:
                    results[index] = result
            on_wait()
            now = time.monotonic()
            for late in [i for i, began in running.items() if interval and now - began > interval]:
                del running[late]
    except KeyboardInterrupt:
        stop.set()
    return results
