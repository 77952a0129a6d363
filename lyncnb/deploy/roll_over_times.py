"""The time at which a certificate takes effect: immediately, or later in a rollover.

The functions have no side effects. They split the usages of a package into calls of
``Set-CsCertificate``. Usages that can roll over have a separate call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ..base.times import add_time_span, convert_to_zone
from ..errors import PackageError
from ..rules.procedure import Procedure, RollOver
from .server_steps import Call, ServerPackage

#: The time at which the new certificate takes effect: one time for all usages that can roll over,
#: or one time for each usage.
Effective = datetime | Mapping[str, datetime] | None


def parse_effective_times(specified_times: Effective, procedure: Procedure) -> dict[str, datetime]:
    """Return the specified effective time for each usage that can roll over."""
    known = tuple(usage for roll in procedure.rolls for usage in roll.usages)
    if specified_times is None:
        return {}
    if isinstance(specified_times, datetime):
        return dict.fromkeys(known, specified_times)
    for usage in specified_times:
        if usage not in known:
            raise PackageError(
                f'the usage "{usage}" does not support a rollover',
                hint=f"specify one of: {', '.join(known)}",
            )
    return dict(specified_times)


def split_into_calls(
    package: ServerPackage, procedure: Procedure, times: Mapping[str, datetime], now: datetime
) -> ServerPackage:
    """Split a certificate's usages into calls of ``Set-CsCertificate``.

    Usages that can roll over have a separate call.
    """
    other_usages = tuple(
        usage for usage in package.usages if procedure.find_roll_over(usage) is None
    )
    calls = [Call(usages=other_usages)] if other_usages else []
    for roll in procedure.rolls:
        rolled = tuple(usage for usage in package.usages if usage in roll.usages)
        if rolled:
            specified = next((times[usage] for usage in rolled if usage in times), None)
            calls.append(
                Call(
                    usages=rolled,
                    roll=roll,
                    effective=_choose_effective_time(package, roll, specified, now),
                )
            )
    return replace(package, calls=tuple(calls))


def describe_outage(package: ServerPackage, call: Call) -> str:
    """Describe how long usages have no valid certificate, or return "" if they always have one."""
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


def _choose_effective_time(
    package: ServerPackage, roll: RollOver, specified_time: datetime | None, now: datetime
) -> datetime | None:
    """Choose when a new certificate takes effect. Return None to assign it at once.

    The time is the end of the current certificate minus the lifetime of a token, even if this time
    is soon. Its source is the source of the rollover rule.
    """
    end, lead = package.in_use_until, timedelta(hours=roll.lead_hours)
    if specified_time is None:
        latest = add_time_span(end, -lead) if end is not None else now
        # It is not possible to roll over to a certificate that is not valid yet.
        return latest if latest > now and latest >= package.not_before else None
    # A time without a time zone is in the time zone of the current computer. The server checks the
    # time again.
    moment = convert_to_zone(specified_time, UTC)
    names = ", ".join(roll.usages)
    if end is not None and add_time_span(moment, lead) > end:
        latest = convert_to_zone(add_time_span(end, -lead), specified_time.tzinfo)
        raise PackageError(
            f"the new certificate for {names} cannot take effect at "
            f"{specified_time:%Y-%m-%d %H:%M}, because the current certificate expires at "
            f"{end:%Y-%m-%d %H:%M} UTC, and tokens are valid for {roll.lead_hours} hours",
            hint=f"choose {latest:%Y-%m-%dT%H:%M} or earlier"
            if add_time_span(end, -lead) >= package.not_before
            else (
                "omit the time, because a rollover is not possible: the new certificate is not "
                f"valid yet at {latest:%Y-%m-%d %H:%M}"
            ),
        )
    if not package.not_before <= moment < package.not_after:
        raise PackageError(
            f"the new certificate for {names} cannot take effect at "
            f"{specified_time:%Y-%m-%d %H:%M}, because the certificate is valid from "
            f"{package.not_before:%Y-%m-%d %H:%M} to {package.not_after:%Y-%m-%d %H:%M} UTC",
            hint="choose a time in this period",
        )
    return specified_time
