"""Return a planned certificate in the form in which the manifest stores it, for comparisons."""

from __future__ import annotations

from datetime import date

from lyncnb.base.planned_entry import PlannedEntry, PlannedKey

DAY = date(2026, 11, 24)
NAMES = ("eepool.contoso.com", "ee01.contoso.com", "meet.contoso.com")
SUBJECT = (("CN", "eepool.contoso.com"), ("O", "Contoso, Ltd."), ("C", "TW"))
ENTRY = PlannedEntry(
    id="FrontEnd-ee01-contoso-com-00000000",
    role="FrontEnd",
    site="Taipei",
    pool="eepool.contoso.com",
    servers=("ee01.contoso.com",),
    usages=("Default",),
    subject=dict(SUBJECT),
    san=NAMES,
    eku=("serverAuth",),
    issuer="internal",
    key=PlannedKey(algorithm="RSA", bits=2048),
    hash="sha256",
    shared_by="server",
)
