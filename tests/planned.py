"""Planned certificates made by hand, for the tests of what is made of them."""

from __future__ import annotations

from lyncnb.base.certificate_fields import DistinguishedName, KeyParameters, SanEntry
from lyncnb.base.dns_name import DnsName
from lyncnb.plan.model import PlannedCertificate


def planned(
    *names: str,
    algorithm: str = "RSA",
    bits: int | None = None,
    hash: str = "sha256",
    usages: tuple[str, ...] = ("serverAuth",),
    **subject: str,
) -> PlannedCertificate:
    """Plan one certificate for the first name; without a subject that is its common name."""
    subject.setdefault("common_name", names[0] if names else "edge.contoso.com")
    return PlannedCertificate(
        role="FrontEnd",
        site="Taipei",
        pool=subject["common_name"],
        servers=(subject["common_name"],),
        usages=("Default",),
        subject=DistinguishedName(**subject),
        subject_alt_name=tuple(
            SanEntry(DnsName.parse(name, allow_wildcard=True), ()) for name in names
        ),
        extended_key_usage=usages,
        issuer="internal",
        ca="",
        key=KeyParameters(algorithm=algorithm, bits=bits or (2048 if algorithm == "RSA" else 256)),
        hash=hash,
        shared_by="server",
        target_os="2012R2",
        rule="FrontEnd/Default",
    )
