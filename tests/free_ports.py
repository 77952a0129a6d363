"""Ports for servers that need a fixed one."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """Find a TCP port on loopback that is free and that the system gives to nobody meanwhile.

    The system's automatic ports begin at 32768 (Linux) or above: another process could take one of
    them before the server does.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 32_768)  # not as seeded: workers share that
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
