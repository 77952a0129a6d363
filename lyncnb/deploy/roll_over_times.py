"""The time at which a certificate takes effect: immediately, or later in a rollover.

The functions have no side effects. They split the usages of a package into calls of
``Set-CsCertificate``. Usages that can roll over have a separate call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from ..base.renewal_days import ANY_DAY, RenewalTerms
from ..base.times import add_time_span, convert_to_zone
from ..errors import PackageError
from ..rules.procedure import Procedure, RollOver
from .server_steps import Call, ServerPackage

# How long before a change the administrators get their sheets.
_NOTICE = timedelta(days=7)

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
    package: ServerPackage,
    procedure: Procedure,
    times: Mapping[str, datetime],
    now: datetime,
    terms: RenewalTerms = ANY_DAY,
) -> ServerPackage:
    """Split a certificate's usages into calls of ``Set-CsCertificate``.

    Usages that can roll over have a separate call. ``terms`` contains the days on which servers can
    be changed.
    """
    other_usages = tuple(
        usage for usage in package.usages if procedure.find_roll_over(usage) is None
    )
    calls = [Call(usages=other_usages)] if other_usages else []
    for roll in procedure.rolls:
        rolled = tuple(usage for usage in package.usages if usage in roll.usages)
        if rolled:
            specified = next((times[usage] for usage in rolled if usage in times), None)
            end, lead = package.in_use_until, timedelta(hours=roll.lead_hours)
            latest = add_time_span(end, -lead) if end is not None else None
            effective = (
                _choose_effective_time(package, latest, now, terms)
                if specified is None
                else _check_effective_time(package, roll, specified, latest)
            )
            calls.append(Call(usages=rolled, roll=roll, effective=effective, latest=latest))
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
    package: ServerPackage, latest: datetime | None, now: datetime, terms: RenewalTerms
) -> datetime | None:
    """Choose when a new certificate takes effect. Return None to assign it at once.

    Administrators get the sheets a week before, and stage the certificate on the next day on which
    servers can be changed. It takes effect at noon of the day after that on which servers can be
    changed, and no later than ``latest``: the end of the current certificate minus the lifetime of
    a token. The source of this is the source of the rollover rule.
    """
    # It is not possible to roll over to a certificate that is not valid yet.
    if latest is None or latest <= now or latest < package.not_before:
        return None
    begins = max(now, package.not_before).date()
    for days in (_NOTICE, timedelta(days=1)):
        end = datetime.combine(latest.date(), time.max, UTC)
        begins = terms.find_change_dates(min(begins + days, latest.date()), end, ()).change_on
    noon = datetime.combine(begins, time(12), UTC)
    return noon if max(now, package.not_before) < noon <= latest else latest


def _check_effective_time(
    package: ServerPackage, roll: RollOver, moment: datetime, latest: datetime | None
) -> datetime:
    """Return a specified time, or raise PackageError if nothing can roll over at that time.

    A time without a time zone is in the time zone of the current computer. The server checks the
    time again.
    """
    specified_time, moment = moment, convert_to_zone(moment, UTC)
    names = ", ".join(roll.usages)
    if latest is not None and moment > latest:
        last = convert_to_zone(latest, specified_time.tzinfo)
        raise PackageError(
            f"the new certificate for {names} cannot take effect at "
            f"{specified_time:%Y-%m-%d %H:%M}, because the current certificate expires at "
            f"{package.old_end}, and tokens are valid for {roll.lead_hours} hours",
            hint=f"choose {last:%Y-%m-%dT%H:%M} or earlier"
            if latest >= package.not_before
            else (
                "omit the time, because a rollover is not possible: the new certificate is not "
                f"valid yet at {last:%Y-%m-%d %H:%M}"
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
