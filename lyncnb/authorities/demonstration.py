"""Provide a demonstration CA, which issues certificates only for the sample deployments.

Like a real CA, it issues most certificates as requested. Its first response contains common
mistakes, such as a missing name. lyncnb recognizes its certificates by the issuer name. If a folder
contains a name of a real organization, its certificates have an error that cannot be accepted
(``demonstration-certificate``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from ..base.disk import files
from ..base.planned_entry import PlannedEntry
from ..base.shown.tables import format_count, format_paragraph
from ..errors import BundleError
from ..pki.csr import parse_request
from ..pki.demonstration_ca import DEMONSTRATION_NAME, DemonstrationCa
from ..request_folder.bundle import RequestBundle, open_requests
from ..request_folder.request_record import RequestRecord
from ..rules.ca_rules import load_ca_rules

_FICTIONAL = re.compile(r"(?:.*\.)?(?:contoso|fabrikam|litwareinc)\.[a-z]+", re.IGNORECASE)
_FIRST_FILE = 100
_INTERNAL_DAYS = 730


def is_fictional(entries: Iterable[PlannedEntry]) -> bool:
    """Return whether all planned certificates contain only names of the sample organizations."""
    names = [name for entry in entries for name in _list_names(entry)]
    return bool(names) and all(_FICTIONAL.fullmatch(name) for name in names)


def _list_names(entry: PlannedEntry) -> Iterator[str]:
    yield from (entry.common_name, *entry.san, *entry.servers)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemonstrationAnswers:
    """The folder with the demonstration certificates, and a description of their mistakes."""

    folder: Path
    files: int
    mistakes: tuple[str, ...]

    def __repr__(self) -> str:
        lines = [
            f"The {DEMONSTRATION_NAME} signed {format_count(self.files, 'file')} in {self.folder}."
        ]
        return "\n".join([*lines, *self.mistakes])

    def _repr_html_(self) -> str:
        return "\n".join(format_paragraph(line) for line in repr(self).splitlines())


class Demonstration:
    """A demonstration CA for the sample deployments, used as ``ln.demo.answer(bundle)``.

    The CA's key exists as long as this object, so the same CA signs renewals in a session.
    """

    def __init__(self) -> None:
        self._ca: DemonstrationCa | None = None

    def answer(
        self, bundle: RequestBundle, into: str | Path = "answers", *, today: date | None = None
    ) -> DemonstrationAnswers:
        """Issue certificates for the open requests in a folder, and write them to another folder.

        The first response contains three common mistakes. After the folder has received a
        certificate, the responses contain no mistakes.

        Parameters
        ----------
        bundle : RequestBundle
            A request folder in which all names end in a domain of contoso, fabrikam or litwareinc.
        into : path, optional
            The folder for the certificates. It is created if it does not exist.
        today : date, optional
            The first day of validity. The default is the current date.

        Raises
        ------
        BundleError
            If the folder contains any other name. In this case, the CA signs nothing.
        """
        if not is_fictional(record.plan for record in bundle.requests):
            raise BundleError(
                (
                    f"{bundle.folder} contains names of a real organization, so the "
                    "demonstration CA issued no certificates"
                ),
                hint=(
                    "send the requests to a real CA; use the demonstration CA only for the "
                    "sample deployments"
                ),
            )
        records = sorted(open_requests(bundle.folder).requests, key=lambda record: record.id)
        every = [generation for record in records for generation in record.generations]
        is_first = not any(generation.issued or generation.refused for generation in every)
        short, blind, late = _choose_mistakes(records) if is_first else (None, None, None)
        day = today or datetime.now(UTC).date()
        ca = self._ca = self._ca or DemonstrationCa()
        folder = Path(into)
        folder.mkdir(parents=True, exist_ok=True)
        count = 0
        for number, record in enumerate(records, start=_FIRST_FILE):
            if record is late or record.state != "waiting":
                continue
            data = files.read_file(bundle.folder / record.files.csr)
            request = parse_request(data, name=record.files.csr)
            names = request.content.names[: -1 if record is short else None]
            der = ca.sign(
                request, names=names, not_before=datetime(day.year, day.month, day.day, tzinfo=UTC),
                days=_find_validity_days(record, day), crl=record is not blind,
            )  # fmt: skip
            files.replace_file(folder / f"{number}.cer", der, 0o644)
            count += 1
        files.replace_file(folder / "root.pem", ca.root(), 0o644)
        messages = (
            (short, "the certificate does not contain the last requested name"),
            (blind, "the certificate has no CRL distribution point"),
            (late, "the CA has not issued a certificate yet"),
        )
        mistakes = tuple(
            f"{record.id}: {message}." for record, message in messages if record is not None
        )
        return DemonstrationAnswers(folder=folder, files=count + 1, mistakes=mistakes)


def _find_validity_days(record: RequestRecord, day: date) -> int:
    """Return the number of days for which the demonstration CA issues a certificate.

    A public certificate has the current maximum.
    """
    if record.plan.issuer != "public":
        return _INTERNAL_DAYS
    # The last second belongs to the validity period, so a certificate that is valid from midnight
    # to midnight counts as valid for one more day.
    return (
        min(limit.value for limit in load_ca_rules().list_limits("validity-days", on_date=day)) - 1
    )


def _choose_mistakes(records: list[RequestRecord]) -> tuple[RequestRecord | None, ...]:
    """Choose the requests whose demonstration certificates will contain a mistake."""
    several = [record for record in records if len(record.plan.san) > 1]
    if len(records) < 4 or not several:
        return None, None, None
    others = [record for record in records if record is not several[0]]
    return several[0], others[0], others[-1]


#: The demonstration CA for the sample deployments.
demo = Demonstration()
