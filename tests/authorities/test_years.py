"""Years with the same folder: no view says that all is well while a server is not covered."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from folders import issued_record
from request_folder.test_manifest import record

from lyncnb.authorities.status import rows_on_record
from lyncnb.deploy.purge_keys import why_removable
from lyncnb.plan.options import PlanOptions
from lyncnb.request_folder.bundle import RequestBundle
from lyncnb.request_folder.generations import generations_of
from lyncnb.request_folder.manifest import Manifest
from lyncnb.request_folder.renewals import list_renewals
from lyncnb.request_folder.request_record import deployments_of

#: By hand 10,000; a test run takes a seeded part of them.
HISTORIES = int(os.environ.get("LYNCNB_HISTORIES", "200"))
BEGIN = date(2027, 1, 1)
TERMS = PlanOptions().renewal_terms
SERVERS = ("fe01.contoso.com", "fe02.contoso.com", "fe03.contoso.com")


class History:
    """A request that lives at random, and what its servers truly have.

    ``servers`` has the end of the certificate and its generation, by server: kept here from what
    happens, not from the record. Whatever happens on a server is recorded on the same day.
    """

    def __init__(self, random: Random):
        self.random = random
        names = SERVERS[: random.randint(1, 3)]
        plan = replace(record().plan, servers=names, issuer=random.choice(["internal", "public"]))
        self.record = record(plan=plan)
        self.day = BEGIN
        self.serial = 0
        self.servers: dict[str, tuple[datetime, int, str]] = {}

    @property
    def now(self) -> str:
        """The present moment, as records have it."""
        return f"{self.day}T09:00:00Z"

    def step(self) -> None:
        """Let one thing happen, or days pass."""
        moves = [self.wait, self.wait, self.wait, self.answer, self.answer, self.deploy]
        moves += [self.deploy, self.renew]
        self.random.choice(moves)()

    def wait(self) -> None:
        """Let some days pass."""
        self.day += timedelta(days=self.random.choice([1, 5, 20, 60]))

    def answer(self) -> None:
        """Let a certificate come back, perhaps a second one for the same request."""
        if self.record.issued is not None and self.random.random() < 0.7:
            return
        self.serial += 1
        days = self.random.choice([47, 90, 199, 365])
        new = issued_record(
            serial=f"{self.serial:04x}",
            sha256=f"{self.serial:064x}",
            not_before=f"{self.day}T00:00:00Z",
            not_after=f"{self.day + timedelta(days=days)}T23:59:59Z",
            received_at=self.now,
        )
        self.record = self.record.with_issued(new, at=self.now)

    def deploy(self) -> None:
        """Put the present certificate on some servers, and record it."""
        issued = self.record.issued
        if issued is None:
            return
        names = [name for name in self.record.plan.servers if self.random.random() < 0.7]
        known = {(one.server, one.certificate) for one in self.record.deployments}
        names = [name for name in names if (name, issued.sha256) not in known]
        new = deployments_of(issued, names, on=self.day.isoformat(), at=self.now)
        self.record = replace(self.record, deployments=(*self.record.deployments, *new))
        for name in names:
            self.servers[name] = (issued.ends, self.record.generation, issued.sha256)

    def renew(self) -> None:
        """Ask for the next one, also while one waits."""
        self.record = self.record.superseded(at=self.now, reasons=("renewed",))
        self.record = replace(
            self.record,
            state="waiting",
            csr_sha256=f"{self.record.generation:064x}",
            spki_sha256=f"{self.record.generation:064x}",
            key_sha256=f"{self.record.generation:064x}",
            written_at=self.now,
        )


def check(history: History) -> None:
    """Hold every view against what the servers have."""
    at = datetime(history.day.year, history.day.month, history.day.day, 12, tzinfo=UTC)
    manifest = Manifest(requests=(history.record,))
    (row,) = rows_on_record(manifest, TERMS, today=at)
    renewals = list_renewals(RequestBundle(folder=Path("x"), manifest=manifest), today=history.day)
    if history.servers:
        ends = min(end for end, _, _ in history.servers.values())
        assert row.not_after, "a server has a certificate, and no row says until when"
        told = datetime.fromisoformat(row.not_after)
        if len(history.servers) == len(history.record.plan.servers):
            assert told == ends
        assert told <= ends
        if ends < at:
            assert row.state == "expired"
            assert row.needs_attention
        assert {generation for _, generation, _ in history.servers.values()} <= set(
            generations_of(history.record).used
        )
    # Views agree.
    assert [f"{one.not_after:%Y-%m-%dT%H:%M:%SZ}" for one in renewals] == (
        [row.not_after] if row.not_after else []
    )
    assert [one.under_way for one in renewals] == ([row.under_way] if row.not_after else [])
    # Nothing that a server has can be removed, and never the only certificate that came back.
    issued = [part for part in history.record.generations if part.issued is not None]
    used = {generation for _, generation, _ in history.servers.values()}
    for part in history.record.generations:
        why = why_removable(history.record, part, False, history.day)
        if part.generation in used or issued == [part]:
            assert why == "", (part.generation, why)
        # A request may be with the CA until a later certificate is on every server.
        later = used and min(used) > part.generation
        if part.issued is None and not (later and len(history.servers) == len(row.servers)):
            assert why == "", (part.generation, why)


@pytest.mark.parametrize("seed", range(10))
def test_at_no_day_does_a_view_say_more_than_the_servers_have(seed):
    """Status, calendar and purge are held against the servers, after each thing that happens."""
    for number in range(HISTORIES // 10):
        history = History(Random(f"{seed} {number}"))
        for _ in range(40):
            history.step()
            check(history)
