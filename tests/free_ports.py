"""Choose the numbers of the fixed ports on which test servers listen."""

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
            10_000,
            32_768,
            # Worker processes start with the same seed, so the shared generator would return the same
            # port in each of them.
        )
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
