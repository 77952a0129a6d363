"""Ports for servers that must be told which one to take."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """Find a TCP port on loopback that nobody has, and that the system gives to nobody meanwhile.

    Those that it gives to whoever asks for any begin at 32768 (Linux) or above: one of them could
    be another's before the server takes it.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 32_768)  # not as seeded: workers share that
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
