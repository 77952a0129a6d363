"""For a plan and a request folder, lyncnb lists each change with its reason: created, kept,
renewed, adopted or retired.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from folders import certificate, issued_record, plan_of

from lyncnb.base.planned_entry import PlannedEntry
from lyncnb.errors import BundleError
from lyncnb.export.changes import decide_changes
from lyncnb.export.entry_differences import list_entry_differences
from lyncnb.export.order import Wanted, make_order, resolve_renewals
from lyncnb.request_folder.manifest import Manifest

NOW = "2026-11-24T08:00:00Z"
LATER = "2026-12-24T08:00:00Z"


def make_planned_request(number: int, **changes: object) -> Wanted:
    """Return a planned request for one server, with its ID and its certificate."""
    item = certificate(number, **changes)
    return Wanted(id=item.id, certificate=item)


def mark_as_written(manifest: Manifest) -> Manifest:
    """Return the manifest after every planned request was written to the folder."""
    return manifest.with_records(
        replace(
            record,
            state="waiting",
            csr_sha256=record.csr_sha256 or "a" * 64,
            spki_sha256=record.spki_sha256 or "bcde"[record.generation - 1] * 64,
            key_sha256=record.key_sha256 or "c" * 64,
            written_at=NOW,
        )
        for record in manifest.requests
        if record.state == "planned"
    )


def first(*requests: Wanted) -> Manifest:
    """Return the manifest of a request folder after lyncnb has written the first plan."""
    return mark_as_written(decide_changes(Manifest(), requests, now=NOW)[0])


def test_a_new_request_is_created():
    """The first plan for a folder creates every request, in the order of the plan."""
    manifest, changes = decide_changes(
        Manifest(), [make_planned_request(2), make_planned_request(1)], now=NOW
    )
    assert [(c.action, c.reasons) for c in changes] == [("created", ("new in the plan",))] * 2
    assert [record.id for record in manifest.requests] == [
        make_planned_request(2).id,
        make_planned_request(1).id,
    ]
    assert {record.state for record in manifest.requests} == {"planned"}
    assert manifest.requests[0].files.key == f"keys/{make_planned_request(2).id}.key"


def test_an_unchanged_request_is_kept_as_it_is():
    """If the plan is unchanged, lyncnb keeps the request, and the manifest does not change."""
    before = first(make_planned_request(1))
    manifest, changes = decide_changes(before, [make_planned_request(1)], now=LATER)
    assert manifest == before
    assert [(c.action, c.reasons) for c in changes] == [("kept", ())]


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        ({"extra": ("sip.contoso.com",)}, ("san: + sip.contoso.com",)),
        ({"digest": "sha384"}, ("hash: sha256 -> sha384",)),
        ({"organization": "Fabrikam"}, ("subject: O Contoso -> Fabrikam",)),
        ({"organization": ""}, ("subject: O Contoso -> (none)",)),
    ],
)
def test_changed_content_makes_a_new_generation(changed, reasons):
    """If a field of a planned certificate changes, lyncnb renews its request, and the reason
    contains the name of the field.
    """
    before = first(make_planned_request(1))
    manifest, changes = decide_changes(before, [make_planned_request(1, **changed)], now=LATER)
    record = manifest.requests[0]
    assert changes[0].action == "renewed"
    assert changes[0].reasons == reasons == record.reasons
    assert (record.generation, record.state, record.is_written) == (2, "planned", False)
    old = record.archived[0]
    assert (old.generation, old.spki_sha256, old.superseded_at) == (1, "b" * 64, LATER)
    assert old.plan == before.requests[0].plan
    assert old.files.key == f"archive/{record.id}-bbbbbbbb.key"


def test_the_order_of_names_counts():
    """If only the order of names in the plan changes, the request is renewed."""
    old = PlannedEntry(id="a", san=("a.contoso.com", "b.contoso.com"))
    new = PlannedEntry(id="a", san=("b.contoso.com", "a.contoso.com"))
    assert list_entry_differences(old, new) == (
        "san: another order (b.contoso.com, a.contoso.com)",
    )


def test_changes_outside_the_certificate_keep_the_request():
    """If only the issuer or the list of servers changes in the plan, lyncnb keeps the request and
    reports the change.
    """
    item = certificate(1)._replace(issuer="public", target_os="2019")
    request = Wanted(id=item.id, certificate=item, validity_days=200)
    manifest, changes = decide_changes(first(make_planned_request(1)), [request], now=LATER)
    assert (changes[0].action, changes[0].reasons) == ("kept", ("issuer: internal -> public",))
    record = manifest.requests[0]
    assert (record.target_os, record.validity_days, record.generation) == ("2019", 200, 1)


def test_csr_is_compared_if_the_record_was_edited():
    """If a name was manually removed from the record of a request, lyncnb compares the plan with
    the CSR and keeps the request.
    """
    before = first(make_planned_request(1))
    entry = replace(before.requests[0].plan, san=())
    edited = before.with_records([replace(before.requests[0], plan=entry)])
    manifest, changes = decide_changes(
        edited, [make_planned_request(1)], now=LATER, compare_request=lambda record, planned: ()
    )
    assert changes[0].action == "kept"
    assert manifest == before


def test_renewal_makes_a_new_generation_with_its_reason():
    """If the user requests the renewal of a request, lyncnb renews it even if its content is
    unchanged.
    """
    request = make_planned_request(1)
    manifest, changes = decide_changes(
        first(request, make_planned_request(2)), [request, make_planned_request(2)],
        now=LATER, ids_to_renew=frozenset([request.id]), reason="key leaked",
    )  # fmt: skip
    assert [c.action for c in changes] == ["renewed", "kept"]
    assert manifest.requests[0].reasons == ('reason: "key leaked"',)


def test_retired_request_is_adopted_unchanged():
    """If a retired request is planned again, lyncnb adopts the request with its earlier state and
    generation.
    """
    before = first(make_planned_request(1), make_planned_request(2))
    issued = before.requests[1].with_issued_certificate(issued_record(), at=NOW)
    retired, changes = decide_changes(
        before.with_records([issued]), [make_planned_request(1)], now=LATER
    )
    assert [(c.action, c.reasons) for c in changes] == [
        ("kept", ()),
        ("retired", ("no longer in the plan",)),
    ]
    assert retired.requests[1].state == "retired"
    adopted, changes = decide_changes(
        retired, [make_planned_request(1), make_planned_request(2)], now=LATER
    )
    assert [c.action for c in changes] == ["kept", "adopted"]
    assert adopted == before.with_records([issued])


def test_retired_request_is_not_reported_again():
    """If a request was retired in an earlier run, later runs do not report it again."""
    retired = decide_changes(
        first(make_planned_request(1), make_planned_request(2)),
        [make_planned_request(1)],
        now=LATER,
    )[0]
    repeated, changes = decide_changes(
        retired, [make_planned_request(1)], now="2027-01-01T00:00:00Z"
    )
    assert repeated == retired
    assert [c.action for c in changes] == ["kept"]


def test_retired_request_that_changed_is_renewed():
    """If a retired request is planned again with another name, it gets a new generation."""
    retired = decide_changes(first(make_planned_request(1)), [], now=LATER)[0]
    _, changes = decide_changes(
        retired, [make_planned_request(1, extra=("sip.contoso.com",))], now=LATER
    )
    assert (changes[0].action, changes[0].generation) == ("renewed", 2)


def test_recorded_request_without_files_is_created_once():
    """If an interrupted run recorded a request without writing it, the next run creates it once, as
    the current plan defines it.
    """
    announced = decide_changes(Manifest(), [make_planned_request(1)], now=NOW)[0]
    manifest, changes = decide_changes(
        announced, [make_planned_request(1, digest="sha384")], now=LATER
    )
    assert (changes[0].action, changes[0].generation) == ("created", 1)
    assert manifest.requests[0].plan.hash == "sha384"
    assert decide_changes(announced, [], now=LATER)[0].requests == ()


def test_an_interrupted_renewal_is_not_done_twice():
    """Repeating an interrupted renewal completes it and does not renew the request twice."""
    request = make_planned_request(1)
    renewed = decide_changes(
        first(request), [request], now=NOW, ids_to_renew=frozenset([request.id]), reason="lost"
    )[0]
    manifest, changes = decide_changes(
        mark_as_written(renewed), [request], now=LATER, ids_to_renew=frozenset([request.id]), reason="lost",
        adopted_ids=frozenset([request.id]), compare_request=lambda record, planned: (),
    )  # fmt: skip
    assert (changes[0].action, changes[0].generation) == ("adopted", 2)
    assert len(manifest.requests[0].archived) == 1


def test_superseded_generations_stay_recorded():
    """The manifest keeps the record of every superseded generation with its files."""
    manifest, request = first(make_planned_request(1)), make_planned_request(1)
    for _ in range(3):
        manifest = mark_as_written(
            decide_changes(
                manifest, [request], now=NOW, ids_to_renew=frozenset([request.id]), reason="again"
            )[0]
        )
    record = manifest.requests[0]
    assert record.generation == 4
    assert [old.generation for old in record.archived] == [1, 2, 3]
    assert len({old.files.key for old in record.archived}) == 3


def test_renewal_accepts_any_unique_start_of_an_id():
    """A request can be specified for renewal by the first characters of its id, if only one request
    matches.
    """
    requests = [make_planned_request(1), make_planned_request(2)]
    assert resolve_renewals(requests, ["Mediation-med00002"]) == {requests[1].id}
    assert resolve_renewals(requests, [requests[0].id]) == {requests[0].id}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Mediation-", 'renew: "Mediation-" matches 2 of the planned requests'),
        ("Edge-", 'renew: "Edge-" matches none of the planned requests'),
        ("", "renew: an ID is blank"),
    ],
)
def test_ambiguous_renewal_is_rejected(name, message):
    """lyncnb rejects a renewal if the specified name matches no request or several requests."""
    with pytest.raises(BundleError, match=message):
        resolve_renewals([make_planned_request(1), make_planned_request(2)], [name])


def test_unicode_spelling_is_recorded():
    """The Unicode spelling of a name is recorded with its request. If only the spelling changes,
    the request is not renewed.
    """
    idn_certificate = certificate(1, extra=["xn--bcher-kva.example"])
    order = make_order(
        plan_of(idn_certificate),
        findings=(),
        accept=None,
        renew=(),
        reason="",
        now="2026-11-24T00:00:00Z",
    )
    manifest, _ = decide_changes(Manifest(), order.wanted, now=order.now)
    (record,) = manifest.requests
    assert [(note.name, note.written) for note in record.name_notes] == [
        ("xn--bcher-kva.example", "bücher.example")
    ]
    waiting_record = replace(record, csr_sha256="a" * 64, state="waiting", name_notes=())
    next_manifest, (change,) = decide_changes(
        replace(manifest, requests=(waiting_record,)), order.wanted, now=order.now
    )
    assert (change.action, next_manifest.requests) == ("kept", (waiting_record,))
