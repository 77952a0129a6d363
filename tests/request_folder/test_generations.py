"""lyncnb finds the generation of a request that is in use on the servers, even if there is a newer
generation.
"""

from __future__ import annotations

from dataclasses import replace

from folders import issued_record, package_record
from request_folder.test_manifest import AT, record

from lyncnb.request_folder.generations import find_generations
from lyncnb.request_folder.request_record import CoveringCertificate, build_deployments

LATER = "2027-02-01T00:00:00Z"


def waiting():
    """Return a request that is waiting for its certificate. The certificate is for two servers."""
    servers = ("fe01.contoso.com", "fe02.contoso.com")
    return record(plan=replace(record().plan, servers=servers))


def deployed(part, *servers, on="2026-12-02"):
    """Record that servers use the certificate of the request's current generation."""
    new = build_deployments(part.issued, servers or part.plan.servers, date_text=on, recorded_at=AT)
    return replace(part, deployments=(*part.deployments, *new))


def make_issued_request():
    """Return a request whose first certificate has been issued."""
    return waiting().with_issued_certificate(issued_record(), at=AT)


def renew_request(part):
    """Return the next generation of a request, with an issued certificate."""
    new = part.build_next_generation(at=LATER, reasons=("renewed",))
    return new.with_issued_certificate(issued_record(serial="02", sha256="b" * 64), at=LATER)


def test_before_a_certificate_nothing_is_in_use():
    """If a request has no certificate, its generation is pending, and no generation is in use."""
    generations = find_generations(waiting())
    assert (generations.in_use, generations.held, generations.deployed_on) == (None, None, "")
    assert generations.under_way == waiting()


def test_the_first_certificate_is_in_use_when_it_is_imported():
    """If no installation is recorded, the first certificate is in use as soon as it is imported."""
    generations = find_generations(make_issued_request())
    assert (generations.in_use, generations.under_way) == (make_issued_request(), None)
    assert generations.held == make_issued_request().issued
    assert not generations.is_recorded


def test_a_renewal_leaves_the_old_certificate_in_use():
    """After a renewal, the old certificate stays in use until the new one is recorded as installed.

    It is not sufficient to import or package the new certificate.
    """
    generations = find_generations(renew_request(make_issued_request()))
    assert (generations.in_use.generation, generations.under_way.generation) == (1, 2)
    assert generations.held.serial == "01"


def test_a_recorded_deployment_replaces_the_old_certificate():
    """If the new certificate is recorded as installed, it is in use, and the old one is not."""
    generations = find_generations(
        deployed(renew_request(deployed(make_issued_request())), on="2027-02-03")
    )
    assert (generations.in_use.generation, generations.under_way) == (2, None)
    assert (generations.deployed_on, generations.held.serial) == ("2027-02-03", "02")
    assert (generations.used, generations.is_recorded) == ({2}, True)


def test_a_generation_that_only_some_servers_have_is_not_in_use():
    """The old certificate stays in use until the new one is recorded as installed on all servers."""
    new = deployed(
        renew_request(deployed(make_issued_request())), "fe01.contoso.com", on="2027-02-03"
    )
    generations = find_generations(new)
    assert (generations.in_use.generation, generations.under_way.generation) == (1, 2)
    assert (generations.used, generations.deployed_on) == ({1, 2}, "")


def test_the_first_generation_to_expire_sets_the_renewal_date():
    """If different servers use different generations of a certificate, the generation that expires
    first determines the renewal date.
    """
    second = deployed(
        renew_request(deployed(make_issued_request())), "fe01.contoso.com", on="2027-02-03"
    )
    third = second.build_next_generation(at=LATER, reasons=("renewed",))
    longer = issued_record(serial="03", sha256="c" * 64, not_after="2027-12-31T23:59:59Z")
    third = deployed(
        third.with_issued_certificate(longer, at=LATER), "fe02.contoso.com", on="2027-02-04"
    )
    generations = find_generations(third)
    assert (generations.used, generations.in_use.generation, generations.held.serial) == (
        {2, 3},
        2,
        "02",
    )


def test_a_covering_certificate_stays_in_use():
    """If an earlier certificate covered a request, the earlier certificate stays in use until
    another certificate is recorded as installed.
    """
    stood = CoveringCertificate(
        thumbprint_sha1="C" * 40,
        sha256="d" * 64,
        serial="0c",
        subject="CN=pool",
        issuer="CN=Contoso",
        not_before="2026-01-01T00:00:00Z",
        not_after="2027-01-15T23:59:59Z",
        found_at=AT,
        recorded_at=AT,
    )
    request = replace(waiting(), stood_before=stood)
    assert (find_generations(request).held, find_generations(request).under_way) == (stood, request)
    issued = request.with_issued_certificate(issued_record(), at=AT)
    assert (find_generations(issued).held, find_generations(issued).under_way) == (
        stood,
        issued,
    )
    assert find_generations(deployed(issued)).held == issued.issued


def test_a_server_can_return_to_the_old_certificate():
    """If the old certificate is installed on a server again, the old certificate is in use on this
    server.
    """
    new = deployed(renew_request(deployed(make_issued_request())), on="2027-02-03")
    redeployments = build_deployments(
        issued_record(), new.plan.servers, date_text="2027-02-05", recorded_at=LATER
    )
    old = replace(new.archived[0], deployments=(*new.archived[0].deployments, *redeployments))
    assert find_generations(replace(new, archived=(old,))).in_use.generation == 1


def test_earlier_certificates_do_not_count_for_a_new_server():
    """A server that was added later never used the generations from before its first recorded
    installation.
    """
    pool = renew_request(make_issued_request())
    joined = (*pool.plan.servers, "fe03.contoso.com")
    pool = replace(pool, plan=replace(pool.plan, servers=joined))
    generations = find_generations(deployed(pool, "fe03.contoso.com", on="2027-02-03"))
    assert (generations.used, generations.held.serial) == ({1, 2}, "01")
    others = deployed(pool, "fe01.contoso.com", "fe02.contoso.com", on="2027-02-03")
    generations = find_generations(others)
    assert (generations.used, generations.under_way, generations.is_recorded) == (
        {2},
        others,
        False,
    )
    assert generations.deployed_on == ""


def test_a_second_certificate_for_the_same_request_is_pending():
    """If a second certificate is issued for the same key, it is pending, and the recorded one stays
    in use.
    """
    first = deployed(make_issued_request())
    reissued = first.with_issued_certificate(issued_record(serial="03", sha256="c" * 64), at=LATER)
    generations = find_generations(reissued)
    assert (generations.held.serial, generations.under_way) == ("01", reissued)


def test_a_removed_key_counts_as_an_installation():
    """If a key was removed, its certificate counts as installed, because earlier versions recorded
    only the removal.
    """
    old = replace(make_issued_request(), deployed_at=AT, package=package_record())
    assert find_generations(old).deployed_on == AT[:10]
    assert find_generations(renew_request(old)).is_recorded
