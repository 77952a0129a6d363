"""List the steps that certificates need next: who takes them, by which day, and in which words.

``Generations.stage`` determines the step of a certificate. The status, the panels, the exit status
and the summary show the same steps, in the order of ``KINDS``. The texts differ only in how they
name the certificates, and in whether they end with a command.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from ..base.renewal_days import RenewalTerms
from ..base.shown.tables import format_count, join_first_texts
from ..base.terminal import quote_argument
from ..request_folder.generations import (
    Generations,
    find_state_by_date,
    list_certificates_to_revoke,
    list_servers_for,
)

_NAMED = 3
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStep:
    """A step that somebody must take for a certificate.

    ``kind`` is one of ``KINDS``. ``due_on`` is the date from which the step counts as not done in
    time. ``last_day`` is the last date on which the next certificate can be installed, or None if
    the servers have no certificate to replace.
    """

    kind: str
    life: Generations
    due_on: date
    last_day: date | None = None


def list_open_steps(life: Generations, terms: RenewalTerms, today: date) -> Iterator[OpenStep]:
    """Yield the steps that a certificate needs, the most urgent first.

    Parameters
    ----------
    life : Generations
        The generations of the certificate.
    terms : RenewalTerms
        The terms that determine the dates.
    today : date or datetime
        The evaluation date.
    """
    day = date(today.year, today.month, today.day)
    is_following = life.under_way is not None and life.held is not None
    state = find_state_by_date(life.held, today, life.find_order_date(terms))
    change = life.find_change_dates(terms)
    last_day = change.change_by if change is not None else None
    to_revoke = list_certificates_to_revoke(life.record)
    if to_revoke:
        yield OpenStep(kind="revoke", life=life, due_on=day)
    if life.record.state == "retired":
        return
    is_revoked = life.revocation is not None
    if is_revoked:
        if not to_revoke:
            yield OpenStep(kind="replace", life=life, due_on=day)
    elif state == "expired" and is_following:
        yield OpenStep(kind="outage", life=life, due_on=day)
    elif state and not is_following and life.stage != "refused":
        yield OpenStep(kind=state, life=life, due_on=day)
        return
    if life.stage not in _SENTENCES or (is_revoked and not is_following):
        return
    if life.stage == "refused":
        due_on = day
    elif change is not None:
        due_on = change.change_on
    elif (first := life.find_first_change(terms)) is not None:
        # On its first day, the step of a first certificate is still in time.
        due_on = first + _DAY
    else:
        return
    yield OpenStep(kind=life.stage, life=life, due_on=due_on, last_day=last_day)


class Group(NamedTuple):
    """Certificates that need the same step: how a text names them, and the data that it shows."""

    what: str
    number: int
    folder: str = "FOLDER"
    ids: Sequence[str] = ("ID",)
    holder: str = ""  # The computer with the private keys, if all are on one.
    sent_on: Sequence[str] = ()  # The dates on which the requests were packaged for the CA.
    serials: Sequence[str] = ()
    servers: Sequence[str] = ()  # The servers without a valid certificate.
    not_renewed: Sequence[str] = ()  # The IDs of certificates whose renewal is not under way.
    stages: Sequence[str] = ()
    is_renewal: bool = False


class Sentence(NamedTuple):
    """A step in words, and the end of the sentence with the command for it."""

    words: str
    command: str

    def __str__(self) -> str:
        return f"{self.words}{self.command}"


def tell_step(kind: str, group: Group) -> Sentence:
    """Return the words for a step of some certificates, without a period at the end."""
    return _SENTENCES[kind](group)


def _tell_revocation(group: Group) -> Sentence:
    serials = f" (serial number {join_first_texts(group.serials, _NAMED)})" if group.serials else ""
    return Sentence(
        f"Ask the CA to revoke {group.what}{serials}",
        f". Then record the revocation: lyncnb deployed {group.folder} "
        f"{' '.join(group.ids[:_NAMED])} --revoked",
    )


def _tell_replacement(group: Group) -> Sentence:
    return Sentence(
        f"Replace {group.what}: servers still have a revoked certificate",
        f". To renew: lyncnb renew {group.folder} {' '.join(group.not_renewed)} --reason TEXT"
        if group.not_renewed
        else ". The replacement is under way",
    )


def _tell_outage(group: Group) -> Sentence:
    # If the manifest was rebuilt without a plan, the servers are not known.
    servers = join_first_texts(group.servers, _NAMED)
    expired = f"{format_count(group.number, 'certificate')} expired"
    verb = "has" if group.number == 1 else "have"
    state = f"the next {verb} the state {join_first_texts(group.stages, _NAMED)}"
    return Sentence(
        f"No valid certificate on {servers}: {expired}" if servers else f"Expired: {group.what}",
        f"; {state}",
    )


def _tell_renewal(state: str) -> Callable[[Group], Sentence]:
    return lambda group: Sentence(
        f"Renew {group.what} ({state})", f": lyncnb renew {group.folder} --due --reason TEXT"
    )


def _tell_refusal(group: Group) -> Sentence:
    return Sentence(
        f"Ask the CA for another certificate, because {group.what} must not be installed",
        f". To see why, run: lyncnb status {group.folder} {group.ids[0]}",
    )


def _tell_missing_request(group: Group) -> Sentence:
    if group.is_renewal:  # The earlier certificates are still in use.
        return Sentence(
            f"Complete the renewal of {group.what}",
            ": repeat the command that was interrupted, such as lyncnb renew "
            f"{group.folder} {group.ids[0]} --reason TEXT",
        )
    return Sentence(f"Request {group.what}", f": lyncnb request TOPOLOGY {group.folder}")


def _tell_request_elsewhere(group: Group) -> Sentence:
    return Sentence(
        f"To request {group.what}, run the scripts in steps/ on {group.holder}",
        f". Then import the requests: lyncnb receive {group.folder} --request FILE",
    )


def _tell_package(group: Group) -> Sentence:
    return Sentence(f"Package {group.what}", f": lyncnb pfx {group.folder}")


def _tell_handover(group: Group) -> Sentence:
    requests = "request" if group.number == 1 else "requests"
    return Sentence(
        f"Send the {requests} for {group.what} to the CA",
        f": lyncnb handover {group.folder} OUT.zip. {_tell_receipt(group)}",
    )


def _tell_wait(group: Group) -> Sentence:
    since = min(group.sent_on, default="")
    preposition = "since" if len(set(group.sent_on)) > 1 else "on"
    packaged = f" (packaged for the CA {preposition} {since})" if since else ""
    return Sentence(f"Wait until the CA issues {group.what}{packaged}", f". {_tell_receipt(group)}")


def _tell_receipt(group: Group) -> str:
    return f"When the CA returns certificates: lyncnb receive {group.folder} FILE"


def _tell_installation(group: Group) -> Sentence:
    return Sentence(
        f"Install {group.what}",
        f". To write the instructions: lyncnb steps {group.folder}. After the installation, "
        f"record the deployment: lyncnb deployed {group.folder}",
    )


# The kinds of steps, the most urgent first: what a server lacks, what is due, what the planner can
# do now, and what others do. The last seven are stages of a certificate.
_SENTENCES: Mapping[str, Callable[[Group], Sentence]] = {
    "revoke": _tell_revocation,
    "replace": _tell_replacement,
    "outage": _tell_outage,
    "expired": _tell_renewal("expired"),
    "expiring": _tell_renewal("due now"),
    "refused": _tell_refusal,
    "planned": _tell_missing_request,
    "elsewhere": _tell_request_elsewhere,
    "issued": _tell_package,
    "waiting": _tell_handover,
    "packaged": _tell_installation,
    "sent": _tell_wait,
}
KINDS = tuple(_SENTENCES)


def group_steps(steps: Iterable[OpenStep]) -> dict[tuple[str, str], list[OpenStep]]:
    """Group steps by kind and, for requests that another computer creates, by that computer.

    The most urgent group is first. A renewal that was interrupted has a group of its own.
    """
    groups: dict[tuple[str, str], list[OpenStep]] = defaultdict(list)
    for step in steps:
        part = step.life.record.key_holder if step.kind == "elsewhere" else ""
        if step.kind == "planned" and step.life.held is not None:
            part = "renewal"
        groups[step.kind, part].append(step)
    return dict(sorted(groups.items(), key=lambda item: (KINDS.index(item[0][0]), item[0][1])))


def list_next_steps(folder: str | os.PathLike[str], steps: Iterable[OpenStep]) -> tuple[str, ...]:
    """Return a sentence with a command for each group of steps, the most urgent first."""
    quoted_folder = quote_argument(os.fspath(folder))
    return tuple(
        f"{tell_step(kind, _build_group(group, quoted_folder))}{tell_last_day(group)}"
        for (kind, _), group in group_steps(steps).items()
    )


def tell_steps(folder: str | os.PathLike[str], steps: Sequence[OpenStep]) -> Sentence:
    """Return the words for steps of the same kind. A panel has buttons instead of commands."""
    quoted_folder = quote_argument(os.fspath(folder))
    sentence = tell_step(steps[0].kind, _build_group(steps, quoted_folder))
    return sentence._replace(words=f"{sentence.words}{tell_last_day(steps)}")


def tell_one_step(step: OpenStep) -> str:
    """Return the words for a step in the row of its certificate, without the command."""
    group = _build_group((step,), "FOLDER")._replace(what="the certificate", serials=())
    return f"{tell_step(step.kind, group).words}{tell_last_day((step,))}"


def tell_last_day(steps: Iterable[OpenStep]) -> str:
    """Return a sentence about the last day of some steps, or "" if the day is not known."""
    last = min((step.last_day for step in steps if step.last_day), default=None)
    return f". Last possible installation date: {last}" if last else ""


def _build_group(steps: Sequence[OpenStep], quoted_folder: str) -> Group:
    lives = [step.life for step in steps]
    records = [life.record for life in lives]
    without = (
        server
        for life in lives
        for server in list_servers_for(life.record, life.record)
        if server not in life.updated_servers
    )
    to_revoke = (item for record in records for item in list_certificates_to_revoke(record))
    return Group(
        what=_describe_certificates(lives),
        number=len(steps),
        folder=quoted_folder,
        ids=[record.id for record in records],
        holder=records[0].key_holder,
        sent_on=[record.handed_over_at[:10] for record in records if record.handed_over_at],
        serials=[item.serial for item in to_revoke],
        servers=list(dict.fromkeys(without)),
        not_renewed=[life.record.id for life in lives if life.under_way is None],
        stages=list(dict.fromkeys(life.stage for life in lives)),
        is_renewal=all(life.held is not None for life in lives),
    )


def _describe_certificates(lives: Sequence[Generations]) -> str:
    """Return the number of certificates and their servers, by name if there are few."""
    names = [server for life in lives for server in list_servers_for(life.record, life.record)]
    servers = list(dict.fromkeys(names))
    if not servers:  # The folder was rebuilt without a plan.
        on_servers = join_first_texts([life.record.id for life in lives], _NAMED)
    elif len(servers) <= _NAMED:
        on_servers = join_first_texts(servers, _NAMED)
    else:
        on_servers = format_count(len(servers), "server")
    if len(lives) == 1:
        usages = lives[0].record.plan.usages
        return f"the {f'{usages[0]} ' if usages else ''}certificate of {on_servers}"
    return f"{len(lives):,} certificates of {on_servers}"
