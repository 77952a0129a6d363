"""When a certificate takes effect: at once, or together with the one in use until its tokens end.

Pure. Splits the usages of a package into calls of ``Set-CsCertificate``: usages that can roll over
have their own call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ..base.times import convert_to_zone, later
from ..errors import PackageError
from ..rules.procedure import Procedure, RollOver
from .server_steps import Call, ServerPackage

#: When usages that can roll over take effect: one time for all, or one for each by name.
Effective = datetime | Mapping[str, datetime] | None


def chosen_times(effective: Effective, procedure: Procedure) -> dict[str, datetime]:
    """Return the chosen time of each usage that can roll over."""
    known = tuple(usage for roll in procedure.rolls for usage in roll.usages)
    if effective is None:
        return {}
    if isinstance(effective, datetime):
        return dict.fromkeys(known, effective)
    for usage in effective:
        if usage not in known:
            raise PackageError(
                f'the usage "{usage}" does not support a rollover',
                hint=f"specify one of: {', '.join(known)}",
            )
    return dict(effective)


def with_calls(
    package: ServerPackage, procedure: Procedure, times: Mapping[str, datetime], now: datetime
) -> ServerPackage:
    """Split a certificate's usages into calls: those that can roll over have their own call."""
    rest = tuple(usage for usage in package.usages if procedure.find_roll_over(usage) is None)
    calls = [Call(usages=rest)] if rest else []
    for roll in procedure.rolls:
        rolled = tuple(usage for usage in package.usages if usage in roll.usages)
        if rolled:
            said = next((times[usage] for usage in rolled if usage in times), None)
            calls.append(
                Call(usages=rolled, roll=roll, effective=_effective(package, roll, said, now))
            )
    return replace(package, calls=tuple(calls))


def outage_words(package: ServerPackage, call: Call) -> str:
    """Say how long a call's usages have no valid certificate; empty if old and new overlap."""
    end = package.in_use_until
    if end is None or end >= package.not_before:
        return ""
    names, until = " and ".join(call.usages), f"{end:%Y-%m-%d %H:%M} UTC"
    return (
        f" OUTAGE: the current certificate expires at {until}, but the new certificate "
        f"is not valid before {package.not_before:%Y-%m-%d %H:%M} UTC. Between these "
        f"times, {names} has no valid certificate. Ask the CA for a certificate that is "
        f"valid before {until}. Otherwise, announce the outage, and assign the new "
        "certificate as soon as it is valid."
    )


def _effective(
    package: ServerPackage, roll: RollOver, said: datetime | None, now: datetime
) -> datetime | None:
    """Decide when a new certificate takes effect; None: it is assigned at once.

    Source: that of the roll. The time is the end of the certificate in use minus the lifetime of a
    token, even if that is soon.
    """
    end, lead = package.in_use_until, timedelta(hours=roll.lead_hours)
    if said is None:
        latest = later(end, -lead) if end is not None else now
        # Nothing can roll over to a certificate that is not valid yet.
        return latest if latest > now and latest >= package.not_before else None
    # A naive time is read in this computer's time zone; the server checks it again.
    moment = convert_to_zone(said, UTC)
    names = ", ".join(roll.usages)
    if end is not None and later(moment, lead) > end:
        latest = convert_to_zone(later(end, -lead), said.tzinfo)
        raise PackageError(
            f"{names} cannot take effect at {said:%Y-%m-%d %H:%M}: the current certificate "
            f"expires at {end:%Y-%m-%d %H:%M} UTC, and tokens are valid for {roll.lead_hours} "
            "hours",
            hint=f"choose {latest:%Y-%m-%dT%H:%M} or earlier"
            if later(end, -lead) >= package.not_before
            else (
                "omit the time. A rollover is not possible, because the new certificate "
                f"is not valid yet at {latest:%Y-%m-%d %H:%M}"
            ),
        )
    if not package.not_before <= moment < package.not_after:
        raise PackageError(
            f"{names} cannot take effect at {said:%Y-%m-%d %H:%M}: the new certificate is valid "
            f"from {package.not_before:%Y-%m-%d %H:%M} to {package.not_after:%Y-%m-%d %H:%M} UTC",
            hint="choose a time in this period",
        )
    return said
