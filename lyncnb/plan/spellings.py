"""Find names that are displayed differently than they are written in the request.

Such names contain invisible characters or letters from other scripts. Summaries and the manifest
list them, because the person who approves a request sees the name on the screen, but the CA signs
the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ..base.dns_name import INTERNATIONAL, DnsName
from ..base.pasted_text import INVISIBLE, clean_text, show_invisible_characters
from ..topology.source_table import Note
from ..topology.topology import Topology
from .model import CertificatePlan, PlannedCertificate

#: The heading and columns of the list of names that are displayed differently than in the request.
HEADING = "Names that are displayed differently than in the requests"
COLUMNS = ("Where", "Reads as", "Requested", "Why")

_PARTS = re.compile(r"[;,|\s=/]+|https:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """A text that looks different on the screen than in the request.

    ``place`` is the row and column in the table, or blank if the table contains the requested form
    (``xn--…``). ``written`` shows invisible characters as code points.
    """

    place: str
    written: str
    requested: str
    what: str

    @property
    def row(self) -> tuple[str, str, str, str]:
        """The cells of a table row about this text, in the order of ``COLUMNS``."""
        return self.place, self.written, self.requested, self.what


def find_spellings(plan: CertificatePlan) -> tuple[Spelling, ...]:
    """Return all texts in a plan that are displayed differently from the text in the requests.

    If the table contains international names in the requested form, only the shortest are returned.
    """
    results = list(_list_table_spellings(plan.topology))
    known = {part for spelling in results for part in _PARTS.split(spelling.requested)}
    names = (name for certificate in plan.certificates for name in _list_names(certificate))
    international = dict.fromkeys(name for name in names if name.is_idn)
    for name in sorted(international, key=lambda name: name.count(".")):
        if known.isdisjoint(_list_suffixes(name)):
            known.add(str(name))
            results.append(_describe_international_name(name))
    return tuple(results)


def find_certificate_spellings(
    certificates: Iterable[PlannedCertificate], topology: Topology
) -> Mapping[str, tuple[Spelling, ...]]:
    """Find the names that look different on the screen than in the request, for each certificate.

    Parameters
    ----------
    certificates : iterable of PlannedCertificate
        The n certificates.
    topology : Topology
        The table from which the certificates are planned.

    Returns
    -------
    mapping of str to tuple of Spelling
        The texts by certificate id. Certificates without such names are omitted.
    """
    unseen = dict(_find_invisible_characters(topology))
    by_id = {}
    for certificate in certificates:
        differing = tuple(
            spelling
            for name in _list_names(certificate)
            for spelling in _find_name_spellings(name, unseen)
        )
        if differing:
            by_id[certificate.id] = differing
    return by_id


def _list_names(certificate: PlannedCertificate) -> Iterator[DnsName]:
    subject = certificate.subject.common_name
    names = [entry.name for entry in certificate.subject_alt_name]
    if subject and subject not in names:
        yield DnsName(subject)
    yield from names


def _list_table_spellings(topology: Topology) -> Iterator[Spelling]:
    for note in topology.notes:
        if note.looks_different:
            yield Spelling(
                place=_format_place(note),
                written=show_invisible_characters(note.before),
                requested=note.after,
                what=note.message,
            )


def _format_place(note: Note) -> str:
    return f"row {note.row}, {note.column}"


def _find_invisible_characters(topology: Topology) -> Iterator[tuple[str, Spelling]]:
    """Yield each requested name whose text in the table contains invisible characters."""
    for note in topology.notes:
        if INVISIBLE not in note.message:
            continue
        for part in _PARTS.split(note.before):
            written, requested = show_invisible_characters(part), clean_text(part)[0].lower()
            if written != part:
                yield (
                    requested,
                    Spelling(
                        place=_format_place(note),
                        written=written,
                        requested=requested,
                        what=note.message,
                    ),
                )


def _find_name_spellings(
    name: DnsName, invisible_characters: Mapping[str, Spelling]
) -> Iterator[Spelling]:
    if invisible_characters:
        for end in _list_suffixes(name):
            if end in invisible_characters:
                # A name that is derived from a name in the table contains the same characters.
                written = name.removesuffix(end) + invisible_characters[end].written
                yield replace(invisible_characters[end], written=written, requested=str(name))
    if name.is_idn:
        yield _describe_international_name(name)


def _list_suffixes(name: DnsName) -> Iterator[str]:
    labels = name.split(".")
    return (".".join(labels[start:]) for start in range(len(labels)))


def _describe_international_name(name: DnsName) -> Spelling:
    return Spelling(
        place="", written=name.as_written, requested=str(name), what=f"{INTERNATIONAL} {name}"
    )
