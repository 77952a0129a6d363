"""Write a package for a CA: requests, a summary, a page for its administrators, and scripts.

The package contains only data from records and CSR files. lyncnb opens private keys only to compare
them with their CSRs, and searches the finished package for key material before it writes the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import ClassVar

from ..base.disk.files import read_file
from ..base.disk.outputs import (
    OutputKind,
    check_output_path,
    match_packed_file,
    match_page,
    write_output,
)
from ..base.disk.zip_file import write_zip
from ..base.pasted_text import shown
from ..base.records import JsonSerializable
from ..base.shown.spreadsheets import to_csv
from ..base.shown.tables import Table, build_rows, format_count, group_statements, list_headings
from ..base.times import convert_to_date
from ..errors import BundleError, OptionsError, RulesError
from ..pki.asn1 import BadStructure, Kind, read_objects
from ..pki.passphrase import Secret
from ..pki.pkcs8 import FolderCipher
from ..plan.options import STAND_ALONE, PlanOptions
from ..request_folder.bundle import RequestBundle, open_requests
from ..request_folder.files_on_disk import compute_csr_sha256, reject_problems, take_survey
from ..request_folder.generations import ToRevoke, find_generations, list_certificates_to_revoke
from ..request_folder.history import HANDED_OVER, Event, record_changes
from ..request_folder.key_bindings import (
    find_pair_problems,
    report_shared_keys,
    report_unverified_keys,
)
from ..request_folder.leftovers import verify_passphrase
from ..request_folder.manifest import format_timestamp, read_manifest, save_manifest
from ..request_folder.request_record import RequestRecord
from ..rules.procedure import load_procedure
from ..rules.rule_files import load_recorded_rules
from .altered_entries import find_altered_entries
from .import_requests import describe_unverified_keys
from .read_plan import build_folder_origin, read_folder_options
from .submission import (
    COLUMNS,
    Cover,
    Part,
    build_submit_script,
    check_ca_config,
    check_sender_text,
    check_template_name,
    choose_part_folder,
    list_name_lines,
    write_part_page,
)
from .summary_files import refresh_summary_files

#: The type of file that the function :func:`hand_over` writes.
PACKAGE = OutputKind(
    what="a package for a CA", is_ours={".zip": match_packed_file("/README.html", match_page())}
)

# The default template on every AD CS CA. Its certificates are valid only for server authentication.
_BUILT_IN = "WebServer"

# The text that identifies a private key in a PEM file. In a DER file, the structure identifies a
# private key.
_KEY_WORDS = re.compile(
    rb"-----\s*BEGIN[^-\r\n]*PRIVATE KEY|PuTTY-User-Key-File|openssh-key-v1", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Handover(Table, JsonSerializable):
    """A package of requests for one or more CAs: the path of the file, and each CA's part."""

    json_keys: ClassVar = (
        "file=path",
        "parts",
    )

    _columns: ClassVar = COLUMNS

    path: Path
    parts: tuple[Part, ...]
    # The values that are missing on the pages, with the options that set them.
    missing: str = ""
    # The reason why the handover could not be recorded in the history of the folder.
    note: str = ""

    @property
    def requests(self) -> tuple[RequestRecord, ...]:
        """All requests in the package."""
        return tuple(record for part in self.parts for record in part.requests)

    def _list_items(self) -> tuple[RequestRecord, ...]:
        return self.requests

    def _summarize(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Return a sentence that summarizes the package."""
        counts = "; ".join(
            f"{len(part.requests):,} for {_describe_recipient(part)}" for part in self.parts
        )
        words = (
            f"{format_count(len(self.requests), 'request')} in {self.path.name}: {counts}; no "
            "private keys"
        )
        if number := sum(len(part.revoke) for part in self.parts):
            words += f"; {format_count(number, 'certificate')} to revoke"
        return words

    def to_text(self) -> str:
        """Return the contents of the handover package as plain lines for a terminal."""
        lines = describe_unverified_keys(record.key_holder for record in self.requests)
        files = (
            (f"in {part.folder}/", record.files.csr) for part, record in _list_requests(self.parts)
        )
        lines += group_statements("request", files)
        if self.missing:
            lines.append(
                f"the package does not include {self.missing}, so the CA's administrators must "
                "ask you for this information"
            )
        if self.note:
            lines.append(f"note: {self.note}")
        lines.append(self.summary())
        return "\n".join(lines) + "\n"


def _list_requests(ca_parts: Iterable[Part]) -> Iterator[tuple[Part, RequestRecord]]:
    return ((part, record) for part in ca_parts for record in part.requests)


def hand_over(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    issuer: str = "",
    site: str | None = None,
    pool: str = "",
    requests: Iterable[str] | None = None,
    template: str = _BUILT_IN,
    client_template: str = "",
    config: str = "",
    sender: str = "",
    needed_by: date | None = None,
    today: date | None = None,
    force: bool = False,
    passphrase: Secret | str | None = None,
) -> Handover:
    r"""Package the requests that wait for a CA, with a list of the certificates to revoke.

    Parameters
    ----------
    folder : path
        The request folder.
    out : path
        The package, which ends in ``.zip``. An earlier package with that name is replaced.
    issuer : str, optional
        Include only requests for this issuer: ``internal``, ``public``, or a CA name. Case is
        ignored.
    site, pool : str, optional
        Include only requests for this site or pool. Case is ignored.
    requests : iterable of str, optional
        Include only requests with these ids.
    template : str, optional
        The name (not the display name) of the AD CS template.
    client_template : str, optional
        The template for requests that also require client authentication.
    config : str, optional
        The AD CS configuration string ``host\CA name``. The default is the CA's name if it has
        that form. With several internal CAs, set their names in ``plan.toml``, under ``[ca]``.
    sender : str, optional
        The name and contact information of the sender, for the page.
    needed_by : date, optional
        The date by which the certificates are required. The default is the date by which a CA
        requires their replacement, or the planned issue date if it has not passed.
    today : date, optional
        The date for the limits on the page; the default is the current date (UTC).
    force : bool, optional
        Whether to replace a file that lyncnb did not write.
    passphrase : Secret or str, optional
        The folder's. With it, each key is opened and compared with its request. Without it, the
        page says that they were not compared.

    Returns
    -------
    Handover
        The package, with one part for each CA and template. On the same date, equal requests result
        in the same bytes.

    Raises
    ------
    OptionsError
        If a template, a CA or the sender is not valid, or if the requests need different
        templates or CAs.
    BundleError
        If no request waits for a CA, a CSR differs from the record or its key, or two requests
        have the same key.
    OutputError
        If ``out`` cannot be written.
    """
    check_template_name(template)
    if client_template:
        check_template_name(client_template)
    check_ca_config(config)
    check_sender_text(sender)
    check_output_path(out, PACKAGE, force=force)
    bundle = open_requests(folder)
    request_ids = None if requests is None else frozenset(requests)
    fitting = [
        record
        for record in bundle.requests
        if _is_selected(record, issuer=issuer, site=site, pool=pool)
        and (request_ids is None or record.id in request_ids)
    ]
    outgoing = [r for r in fitting if r.state == "waiting" and not r.plan.at_set_up]
    revoked = [record for record in fitting if list_certificates_to_revoke(record)]
    if not (outgoing or revoked):
        raise BundleError(
            f"none of the waiting requests in the folder {folder} matches the selection",
            hint=_explain_missing_match(bundle.requests),
        )
    _reject_altered_requests(bundle, outgoing, passphrase)
    options = read_folder_options(bundle.folder, bundle.manifest)
    stand_alone = _find_stand_alone_ca(options)
    with_template = [record for record in outgoing if record.ca.casefold() != stand_alone]
    _check_templates(with_template, template, client_template, config)
    ca_parts = _split_by_ca(outgoing, template, client_template, config, stand_alone)
    parts = _add_revocations(ca_parts, revoked)
    day = convert_to_date(today) if today else datetime.now(UTC).date()
    needed_by = needed_by or _find_deadline(outgoing) or _find_needed_date(options, day)
    cover = replace(
        _build_cover(bundle, sender, needed_by),
        today=day,
        is_compared=passphrase is not None or not any(record.has_key for record in outgoing),
    )
    is_new = _write_package(Path(out), _build_package(bundle.folder, parts, cover), force)
    note = ""
    if is_new or not all(record.handed_over_at for record in outgoing):
        note = _record_handover(bundle.folder, parts, Path(out).name, format_timestamp(today))
    missing = _describe_missing_details(cover, needed_by, parts)
    return Handover(path=Path(out), parts=parts, missing=missing, note=note)


def _describe_missing_details(cover: Cover, needed_by: date | None, parts: Iterable[Part]) -> str:
    """Return the names of the details that the CA's administrators must ask for."""
    details = {
        "the sender (--sender)": cover.sender,
        "the date by which you need the certificates (--needed-by)": needed_by,
        "the internal CA (in plan.toml, under [ca])": all(
            part.ca or part.config for part in parts if part.issuer == "internal"
        ),
    }
    return _join_names([text for text, value in details.items() if not value])


def _reject_altered_requests(
    bundle: RequestBundle, outgoing: Sequence[RequestRecord], passphrase: Secret | str | None
) -> None:
    """Raise BundleError if a CSR may not be the request that lyncnb wrote for its key."""
    folder, manifest, ids = bundle.folder, bundle.manifest, {record.id for record in outgoing}
    problems = [
        *find_altered_entries(folder, manifest),
        *report_shared_keys(manifest),
        *report_unverified_keys(manifest, ids),
    ]
    if passphrase is not None:
        survey, cipher = take_survey(folder, is_reading=True), FolderCipher(passphrase)
        verify_passphrase(survey, manifest, cipher)
        problems += find_pair_problems(survey, manifest, cipher, ids)
    reject_problems(folder, tuple(problems))


def _find_stand_alone_ca(options: PlanOptions | None) -> str | None:
    """Return the name of the CA that has no templates, in lower case, or None without one."""
    return (options.ca.get(STAND_ALONE, "") if options else "").casefold() or None


def _find_needed_date(options: PlanOptions | None, day: date) -> date | None:
    """Return the planned issue date, unless it is in the past."""
    planned = options.planned_issue_date if options else None
    return planned if planned and planned >= day else None


def _find_deadline(requests: Iterable[RequestRecord]) -> date | None:
    """Return the first date by which a CA requires that these requests replace certificates."""
    held = (find_generations(record).held for record in requests)
    days = {certificate.replace_by for certificate in held if certificate is not None} - {""}
    return date.fromisoformat(min(days)) if days else None


def _describe_recipient(part: Part) -> str:
    return f"the CA {shown(part.ca)}" if part.ca else f'the issuer "{part.issuer}"'


def _join_names(names: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _record_handover(folder: Path, parts: Iterable[Part], name: str, now: str) -> str:
    """Record in the history of the folder that requests were handed over to a CA."""
    try:
        with record_changes(folder, "handover", now=now, wait_seconds=10.0) as run:
            manifest = read_manifest(folder)
            keys = {record.spki_sha256 for _, record in _list_requests(parts)}
            run.add_events(
                *(
                    Event(
                        HANDED_OVER,
                        record.id,
                        record.generation,
                        key=record.spki_sha256,
                        note=f"to {part.ca or part.issuer}, in {name}",
                    )
                    for part, record in _list_requests(parts)
                )
            )
            records = tuple(
                replace(record, handed_over_at=run.now) if record.spki_sha256 in keys else record
                for record in manifest.requests
            )
            changed = replace(manifest, requests=records)
            save_manifest(folder, refresh_summary_files(folder, changed))
    except BundleError as error:
        return (
            "lyncnb wrote the package, but could not record this in the folder's history: "
            f"{error.message}"
        )
    return ""


def _build_cover(bundle: RequestBundle, sender: str, needed_by: date | None) -> Cover:
    """Return the data that the page for a CA shows about the sender and the plan.

    If the rules of the product are missing, use the recorded product name.
    """
    origin = build_folder_origin(bundle.folder, bundle.manifest)
    cover = Cover(
        sender=sender or origin.planner,
        needed_by=needed_by,
        product=bundle.manifest.product,
        origin=origin,
    )
    try:
        rules = load_recorded_rules(cover.product)
    except RulesError:
        return cover
    return replace(
        cover,
        product=rules.title,
        rolled=frozenset(usage for roll in load_procedure(rules).rolls for usage in roll.usages),
        said=rules.adapt_text,
        source=rules.adapt_source,
    )


def _is_selected(record: RequestRecord, *, issuer: str, site: str | None, pool: str) -> bool:
    plan = record.plan
    return (
        (site is None or _is_same_text(site, plan.site))
        and (not pool or _is_same_text(pool, plan.pool))
        and (not issuer or issuer.casefold() in (plan.issuer, record.ca.casefold()))
    )


def _is_same_text(first: str, second: str) -> bool:
    return first.casefold() == second.casefold()


def _explain_missing_match(records: Iterable[RequestRecord]) -> str:
    waiting = [record for record in records if record.state == "waiting"]
    elsewhere = [record.id for record in records if record.key_holder and not record.is_written]
    if elsewhere:
        return (
            f"certificates that you must still request on another computer: {len(elsewhere):,}, "
            f"for example {elsewhere[0]}. After you create these requests, import them: lyncnb "
            "receive FOLDER --request FILE"
        )
    if not waiting and any(record.state == "planned" and not record.covered for record in records):
        return (
            "no request is waiting for a CA. If lyncnb request was interrupted, run it "
            "again to write the remaining requests"
        )
    if not waiting:
        return (
            "no request is waiting for a CA; lyncnb status FOLDER shows the state of each request"
        )
    issuers = {shown(record.ca or record.plan.issuer) for record in waiting}
    sites = {shown(record.plan.site) if record.plan.site else "(no site)" for record in waiting}
    return (
        f"available issuers: {', '.join(sorted(issuers))}; "
        f"available sites: {', '.join(sorted(sites))}"
    )


def _needs_client_authentication(record: RequestRecord) -> bool:
    """Return whether any request needs an AD CS template with client authentication."""
    return record.plan.issuer == "internal" and "clientAuth" in record.plan.eku


def _check_templates(
    records: Sequence[RequestRecord], template: str, client_template: str, config: str
) -> None:
    """Raise an error if the template or the CA is not suitable for one of the requests."""
    internal = [record for record in records if record.plan.issuer == "internal"]
    cas = sorted({record.ca or "(no name)" for record in internal})
    if config and len(cas) > 1:
        raise OptionsError(
            (
                f"{config} specifies only one CA, but the requests are for {len(cas)} CAs: "
                f"{', '.join(cas)}"
            ),
            hint="set the HOST\\CA NAME of each CA in plan.toml, under [ca], or write a "
            "package for one CA at a time",
        )
    clients = [record for record in internal if _needs_client_authentication(record)]
    serves = len(clients) == len(internal) and template != _BUILT_IN
    if clients and not client_template and not serves:
        raise OptionsError(
            f"{format_count(len(clients), 'request')}, for example {clients[0].id}, must have "
            f"server and client authentication, but the template {template} includes only server "
            "authentication",
            hint=(
                "specify a template that includes server and client authentication: "
                "--template clientAuth=NAME"
            ),
        )


def _split_by_ca(
    records: Sequence[RequestRecord],
    template: str,
    client_template: str,
    config: str,
    stand_alone: str | None,
) -> Iterator[Part]:
    groups: dict[tuple[str, str, bool], list[RequestRecord]] = {}
    for record in records:
        groups.setdefault(
            (record.plan.issuer, record.ca, _needs_client_authentication(record)), []
        ).append(record)
    folders: set[str] = set()
    for (issuer, ca, client), group in sorted(groups.items(), key=lambda item: item[0]):
        folder = choose_part_folder(
            issuer, f"{ca} client authentication" if client else ca, folders
        )
        folders.add(folder)
        internal = issuer == "internal"
        yield Part(
            folder=folder,
            issuer=issuer,
            ca=ca,
            requests=tuple(group),
            template=((client and client_template) or template) if internal else "",
            is_stand_alone=internal and ca.casefold() == stand_alone,
            config=(config or _find_config(ca)) if internal else "",
        )


def _add_revocations(parts: Iterable[Part], records: Iterable[RequestRecord]) -> tuple[Part, ...]:
    """Add the certificates to revoke to each CA's part of the package. Create missing parts."""
    all_parts = list(parts)
    revocations: dict[tuple[str, str], list[ToRevoke]] = {}
    for record in records:
        for certificate in list_certificates_to_revoke(record):
            # If the planned CA has changed, the manifest does not contain the CA that issued the
            # earlier certificate.
            ca = record.ca if certificate.issuer == record.plan.issuer else ""
            revocations.setdefault((certificate.issuer, ca), []).append(certificate)
    for (issuer, ca), revoke in revocations.items():
        number = next(
            (n for n, part in enumerate(all_parts) if (part.issuer, part.ca) == (issuer, ca)), None
        )
        if number is None:
            folder_name = choose_part_folder(issuer, ca, {part.folder for part in all_parts})
            all_parts.append(
                Part(folder=folder_name, issuer=issuer, ca=ca, requests=(), revoke=tuple(revoke))
            )
        else:
            all_parts[number] = replace(all_parts[number], revoke=tuple(revoke))
    return tuple(all_parts)


def _build_package(folder: Path, parts: tuple[Part, ...], cover: Cover) -> bytes:
    entries: dict[str, bytes] = {}
    for part in parts:
        folder_name = part.folder
        entries[f"{folder_name}/README.html"] = write_part_page(part, cover=cover).encode()
        if not part.requests:
            continue
        entries[f"{folder_name}/summary.csv"] = to_csv(
            list_headings(COLUMNS), build_rows(COLUMNS, part.requests)
        )
        entries[f"{folder_name}/names.txt"] = list_name_lines(part.requests)
        if part.issuer == "internal":
            entries[f"{folder_name}/submit.cmd"] = build_submit_script(
                (Path(record.files.csr).stem for record in part.requests),
                template=None if part.is_stand_alone else part.template,
                config=part.config,
            )
        for record in part.requests:
            # Windows programs and the portals of CAs expect the line ends of Windows.
            data = b"\r\n".join(_read_csr(folder, record).splitlines()) + b"\r\n"
            entries[f"{folder_name}/{record.files.csr}"] = data
    for name, data in entries.items():
        refuse_private_keys(name, data)
    return write_zip(dict(sorted(entries.items())))


def _find_config(ca: str) -> str:
    """Return the name of the CA if it has the form of an AD CS configuration string."""
    try:
        check_ca_config(ca)
    except OptionsError:
        return ""
    return ca


def _read_csr(folder: Path, record: RequestRecord) -> bytes:
    data = read_file(folder / record.files.csr)
    if compute_csr_sha256(data) != record.csr_sha256:
        raise BundleError(
            f"{folder / record.files.csr}: the file differs from the request that lyncnb wrote",
            hint="run lyncnb status FOLDER to see which files to restore",
        )
    return data


def refuse_private_keys(name: str, data: bytes) -> None:
    """Raise an error if the data contains a private key."""
    has_key_words = bool(_KEY_WORDS.search(data))
    try:
        kinds = {kind for kind, _ in read_objects(data)} if data[:1] == b"0" else set()
    except BadStructure:
        kinds = set()
    if has_key_words or kinds & {Kind.PRIVATE_KEY, Kind.ENCRYPTED_KEY, Kind.PFX}:
        raise BundleError(
            f"{name} contains a private key, so lyncnb did not write a package",
            hint="check the file in the request folder; a CSR never contains a private key",
        )


def _write_package(path: Path, data: bytes, force: bool) -> bool:
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return False
    write_output(path, data, PACKAGE, force=force)
    return True
