"""Find ports for servers that need a fixed port."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """Find a free TCP port on the loopback interface, outside the range of ports that the system
    assigns automatically.

    Automatic ports begin at 32768 (Linux) or above. Another process could take such a port before
    the server does.
    """
    while True:
        port = random.SystemRandom().randrange(
            10_000, 32_768
        )  # A separate random generator is used, because all worker processes have the same seed.
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
