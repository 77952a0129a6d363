"""List when certificates must be renewed, as a table and as a calendar for Outlook.

A certificate is replaced in the last third of its validity: eight months for two years, and two
weeks for 47 days. The order date also takes the CA's lead time and the working days into account.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, overload

from ..base.arguments import check_type
from ..base.disk.outputs import OutputKind, check_output_path, match_content, write_output
from ..base.renewal_days import EXPIRING_SHARE, RenewalTerms
from ..base.shown.calendars import DayEntry, write_calendar
from ..base.shown.frames import Kind
from ..base.shown.tables import Table, columns
from ..errors import ArgumentError
from .bundle import RequestBundle, open_requests
from .generations import Generations, Held, find_generations
from .plan_file import find_deployment_name, read_renewal_terms
from .request_record import IssuedRecord, read_time

# Reminders appear at 8:00 in the time zone of the person who uses the calendar.
_MORNING = timedelta(hours=8)
_PRODUCT = "-//lyncnb//certificate renewals//EN"

#: The type of file that the function :func:`write_renewals` writes.
CALENDAR = OutputKind(
    what="a calendar of renewals",
    is_ours={".ics": match_content(b"BEGIN:VCALENDAR", _PRODUCT.encode())},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """A certificate in use, with the date ``renew_from`` on which to order the next one.

    ``not_after`` is the expiration time (UTC). ``usable_until`` is earlier if a CA certificate
    expires earlier, or if the CA set the date ``replace_by``. ``under_way`` is the stage of the
    next certificate, or blank if no request for it exists, and ``install_on`` the first day on
    which it can be installed. If the private key is not in the folder,
    ``key_holder`` is the computer that has it. ``number`` is the number of the certificate in the
    folder, or 0 if it has none. ``deployment`` is the name of the deployment.
    """

    request_id: str
    subject: str
    servers: tuple[str, ...]
    usages: tuple[str, ...]
    issuer: str
    serial: str
    renew_from: date
    not_after: datetime
    usable_until: datetime
    recorded_at: datetime
    key_holder: str = ""
    under_way: str = ""
    install_on: date | None = None
    replace_by: str = ""
    number: int = 0
    deployment: str = ""

    @property
    def title(self) -> str:
        """Return the title of the calendar event, such as ``Contoso: certificate 12, OAuth``."""
        number = f"certificate {self.number}" if self.number else "certificate"
        is_oauth = "OAuthTokenIssuer" in self.usages
        description = f"{number}, {'OAuth' if is_oauth else self.subject}"
        return f"{self.deployment}: {description}" if self.deployment else description


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Renewals(Table, Sequence[Renewal]):
    """The renewals of the certificates in a request folder, the most urgent first."""

    _columns: ClassVar = columns(
        ("Certificate", lambda row: row[0].request_id),
        ("Renew from", lambda row: f"{row[0].renew_from:%Y-%m-%d}", Kind.DAY),
        ("Usable until", lambda row: f"{row[0].usable_until.date()}", Kind.DAY),
        ("Days left", lambda row: (row[0].usable_until.date() - row[1]).days, Kind.COUNT),
        ("Servers", lambda row: row[0].servers),
        ("Type", lambda row: row[0].usages),
        ("Subject name", lambda row: row[0].subject),
        ("Issuer", lambda row: row[0].issuer),
        ("Under way", lambda row: row[0].under_way),
    )

    items: tuple[Renewal, ...]
    today: date

    @overload
    def __getitem__(self, index: int) -> Renewal: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Renewal, ...]: ...
    def __getitem__(self, index: int | slice) -> Renewal | tuple[Renewal, ...]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def _list_items(self) -> Iterable[Any]:
        return [(item, self.today) for item in self.items]

    def _summarize(self) -> str:
        return f"{len(self.items):,} renewals"

    def to_ical(self) -> bytes:
        """Return the renewals as an iCalendar file.

        Returns
        -------
        bytes
            RFC 5545, with an all-day event for each certificate on the first renewal date, or on
            the first day on which the next certificate can be installed, and a reminder at 8:00.
            The same certificates result in the same bytes. An event always has the same UID, so a
            new import updates the event instead of adding a second one.
        """
        return write_calendar(_PRODUCT, map(_build_entry, self.items))


def _build_entry(renewal: Renewal) -> DayEntry:
    words = f"{'Install the next' if renewal.install_on else 'Renew'} {renewal.title}"
    day = renewal.install_on or renewal.renew_from
    return DayEntry(
        uid=f"{renewal.request_id}-{renewal.serial}@lyncnb",
        stamp=renewal.recorded_at,
        first=day,
        last=day,
        summary=f"{words} (valid until {renewal.usable_until.date()})",
        lines=_describe_renewal(renewal),
        reminder=words,
        moments=(_MORNING,),
    )


def _describe_renewal(renewal: Renewal) -> Iterator[str]:
    yield f"Request: {renewal.request_id}"
    yield f"Servers: {', '.join(renewal.servers)}"
    yield f"Type: {', '.join(renewal.usages) or 'none'}"
    yield f"Serial number: {renewal.serial}"
    yield f"Valid until: {renewal.not_after:%Y-%m-%d %H:%M} UTC"
    if renewal.replace_by:
        yield f"The CA revokes the certificate. Replace it by: {renewal.replace_by}"
    elif renewal.usable_until < renewal.not_after:
        yield f"A CA certificate expires earlier: {renewal.usable_until:%Y-%m-%d %H:%M} UTC"
    if renewal.install_on:
        yield f"State of the next certificate: {renewal.under_way}"
        yield "lyncnb status FOLDER"
        return
    if renewal.key_holder:
        yield (
            f"The private key is on {renewal.key_holder}. The command writes scripts that request "
            "the certificate again on that computer:"
        )
    yield f"lyncnb renew FOLDER {renewal.request_id} --reason renewal"


def list_renewals(
    bundle: RequestBundle | str | os.PathLike[str],
    *,
    share: float = EXPIRING_SHARE,
    today: date | None = None,
) -> Renewals:
    """Return when each certificate on record must be renewed.

    Parameters
    ----------
    bundle : RequestBundle or path
        The request folder or its path.
    share : float, optional
        The last part of the lifetime in which to renew, such as 1/3; 0 < share < 1.
    today : date, optional
        The date from which the remaining days count; the default is the current date (UTC).

    Returns
    -------
    Renewals
        A renewal for each certificate of a planned request, by date.

    Raises
    ------
    ArgumentError
        If the share is not valid.
    """
    check_type("list_renewals: share", share, float, int)
    check_type("today", today, date, None)
    if not 0 < share < 1:
        raise ArgumentError(
            f"share={share!r} is not a valid fraction of the validity period",
            hint="use a number between 0 and 1; for example, with 1/3, a certificate that is "
            "valid for 90 days is renewed in the last 30 days",
        )
    opened = bundle if isinstance(bundle, RequestBundle) else open_requests(bundle)
    lives = (find_generations(request) for request in opened.requests if request.state != "retired")
    terms = read_renewal_terms(opened.folder, opened.manifest)
    name = find_deployment_name(opened.folder, opened.manifest)
    items = [
        replace(_build_renewal(life, certificate, terms, share), deployment=name)
        for life in lives
        if (certificate := life.held) is not None
    ]
    items.sort(key=lambda renewal: (renewal.renew_from, renewal.request_id))
    return Renewals(items=tuple(items), today=today or datetime.now(UTC).date())


def _build_renewal(
    lifecycle: Generations, certificate: Held, terms: RenewalTerms, last_share: float
) -> Renewal:
    record, change = lifecycle.record, lifecycle.find_change_dates(terms)
    plan = (lifecycle.in_use.plan if lifecycle.in_use is not None else None) or record.plan
    came = (
        certificate.received_at
        if isinstance(certificate, IssuedRecord)
        else certificate.recorded_at
    )
    return Renewal(
        request_id=record.id,
        subject=plan.common_name,
        servers=plan.servers,
        usages=plan.usages,
        issuer=plan.issuer,
        serial=certificate.serial,
        renew_from=terms.plan_renewal(
            certificate.begins, certificate.usable_until, record.plan.issuer, last_share=last_share
        ).order_on,
        not_after=certificate.ends,
        usable_until=certificate.usable_until,
        recorded_at=read_time(came),
        key_holder=record.key_holder,
        under_way=record.active_state if lifecycle.under_way is not None else "",
        install_on=change.change_on if change is not None else None,
        replace_by=certificate.replace_by,
        number=record.number,
    )


def write_renewals(
    bundle: RequestBundle | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    share: float = EXPIRING_SHARE,
    force: bool = False,
) -> Renewals:
    """Write the renewals of a folder to an iCalendar file. An earlier file is replaced.

    Parameters
    ----------
    bundle, share
        As for :func:`list_renewals`.
    path : path
        The calendar file, which ends in ``.ics``.
    force : bool, optional
        Whether to replace a file that lyncnb did not write.

    Returns
    -------
    Renewals
        The written renewals.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    check_output_path(path, CALENDAR, force=force)
    renewals = list_renewals(bundle, share=share)
    write_output(path, renewals.to_ical(), CALENDAR, force=force)
    return renewals
