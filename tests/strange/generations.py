"""Write the request folder of a deployment whose certificates were renewed several times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path

from cas.python_ca import PythonCa, pem
from folders import PASSPHRASE, issue_all, write

import lyncnb as ln
from strange import Deployment

#: The days on which the certificates of three generations are requested, issued and installed.
DAYS = (date(2026, 4, 7), date(2026, 8, 4), date(2026, 12, 1))


def write_generations(deployment: Deployment, folder: Path, days: Sequence[date] = DAYS) -> Path:
    """Write a request folder in which each generation is requested, issued, packaged and deployed.

    Parameters
    ----------
    deployment : Deployment
        A deployment without errors.
    folder : path
        The request folder. The answers of the CA are written next to it.
    days : sequence of date
        The day of each generation. A certificate is valid for 199 days.

    Returns
    -------
    path
        The request folder.
    """
    ca = PythonCa()
    for number, day in enumerate(days, start=1):
        if number == 1:
            bundle = write(deployment.plan(), folder, today=day)
        else:
            bundle = ln.renew(
                folder, "*", passphrase=PASSPHRASE, reason=f"generation {number}", today=day
            )
        issued = issue_all(bundle, ca, begins=datetime.combine(day, time(), UTC))
        answers = folder.with_name(f"answers-{number}.pem")
        answers.write_bytes(pem(*issued.values(), *ca.chain))
        received = ln.receive(folder, answers, today=day)
        assert not received.has_errors, received
        ln.write_pfx(received, passphrase=PASSPHRASE)
        ln.deployed(folder, on=day, today=day)
    return folder
