"""Take the state of a request folder apart into facts, and put it together again.

A fact has a kind and the values that identify it: a generation is its public key, a deployment is
a certificate on a server since a date. An event says which values of a fact have changed, so the
same event twice changes nothing, and two copies of a folder can be united. No event contains a
path: the folder of a file follows from what the file is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any

from .request_record import build_file_stem, list_archived_files, list_current_files

#: The fields that identify a fact of each kind, in an event. The facts of a request have its
#: ``id``.
IDENTITY: Mapping[str, tuple[str, ...]] = {
    "folder": (),
    "plan": ("sha256", "requested_at"),
    "recovery": ("fingerprint",),
    "ca": ("file",),
    "encrypted": ("file",),
    "log": ("at", "event", "about"),
    "request": ("id",),
    "gone": ("id", "server"),
    "made": ("id", "key"),
    "received": ("id", "key", "sha256"),
    "deployed": ("id", "key", "server", "certificate", "on"),
    "revoked": ("id", "key", "sha256"),
}
# The lists in the state of the folder, by the kind of their facts.
_LISTS = {
    "plan": "plans", "recovery": "recovery", "ca": "issuers", "encrypted": "encrypted",
    "log": "log",
}  # fmt: skip
_BLANK: Mapping[str, Any] = {
    "product": "", "plan_sha256": "", "accepted": [], "summary": {}, "rekeying": "",
}  # fmt: skip
# The fields of a generation, in the record of a request.
_PART = (
    *("generation", "csr_sha256", "spki_sha256", "key_sha256", "approved_plan", "issued"),
    *("package", "refused", "deployments", "revocation"),
)
_PART_BLANK: Mapping[str, Any] = {
    "csr_sha256": "", "key_sha256": "", "superseded_at": "", "reasons": [],
}  # fmt: skip
_NOT_VALUES = frozenset(("type", "id", "key"))
_SUPERSEDED = ("superseded_at", "purged_at", "reasons", "plan")
#: The reason for a generation that another copy of the folder made.
OTHER_COPY = "another copy of the folder has another key for this request"

Fact = tuple[str, ...]
Facts = dict[Fact, Mapping[str, Any]]


def apply_event(state: dict[str, Facts], event: Mapping[str, Any]) -> None:
    """Change the facts, which are grouped by request, as an event says.

    An event of an unknown type, from a later version, changes nothing.
    """
    kind = event["type"]
    is_undone = kind == "undone"
    kind = event["of"] if is_undone else kind
    names = IDENTITY.get(kind)
    if names is None:
        return
    facts = state.setdefault(event["id"] if names[:1] == ("id",) else "", {})
    fact = (kind, *[event[name] for name in names if name != "id"])
    if is_undone:
        facts.pop(fact, None)
        return
    # The first event of a fact is not copied, because 100,000 requests have 500,000 facts.
    facts[fact] = {**facts[fact], **event} if fact in facts else event


def list_changes(request_id: str, before: Facts, after: Facts) -> Iterator[dict[str, Any]]:
    """Yield the events that lead from some facts to others, of one request or of the folder."""
    for fact, new in after.items():
        old = before.get(fact, {})
        changed = {name: value for name, value in new.items() if old.get(name) != value}
        changed |= dict.fromkeys(old.keys() - new.keys())
        if changed or fact not in before:
            yield {"type": fact[0], **_identify(request_id, fact), **changed}
    for fact, old in before.items():
        # A certificate that another one replaced remains a fact.
        if fact not in after and (fact[0] != "received" or "refused" in old):
            yield {"type": "undone", "of": fact[0], **_identify(request_id, fact)}


def _identify(request_id: str, fact: Fact) -> dict[str, str]:
    names = IDENTITY[fact[0]]
    has_id = names[:1] == ("id",)
    return dict(zip(names, (request_id, *fact[1:]) if has_id else fact[1:], strict=True))


def _list_filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _remove_folders(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return filled values in which a file has its name only."""
    filled = _list_filled(values)
    for name in ("file", "chain"):
        if name in filled:
            filled[name] = filled[name].rpartition("/")[2]
    return filled


def _get_values(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a fact, from its merged events. A value that was removed is null."""
    return {
        name: value
        for name, value in event.items()
        if value is not None and name not in _NOT_VALUES
    }


def take_folder_apart(head: Mapping[str, Any]) -> Facts:
    """Return the facts of a folder without its requests."""
    rest, facts = dict(head), Facts()
    for kind, name in _LISTS.items():
        for item in rest.pop(name, ()):
            values = _remove_folders({"file": item} if kind == "encrypted" else item)
            facts[(kind, *(values.get(key, "") for key in IDENTITY[kind]))] = values
    facts["folder",] = _list_filled(rest)
    return facts


def build_folder(facts: Facts) -> dict[str, Any]:
    """Return the state of a folder without its requests, from its facts."""
    head = {**_BLANK, **{name: [] for name in _LISTS.values()}}
    head |= _get_values(facts.get(("folder",), {}))
    head.pop("order", None)
    for (kind, *_), event in facts.items():
        values = _get_values(event)
        if kind == "ca":
            values = {**values, "file": f"returned/issuers/{values['file']}"}
        if kind == "encrypted":
            place = "recovery" if values["file"] == "keys.enc" else "pfx"
            head["encrypted"].append(f"{place}/{values['file']}")
        elif kind in _LISTS:
            head[_LISTS[kind]].append(values)
    return head


def take_request_apart(document: Mapping[str, Any]) -> Facts:
    """Return the facts of a request."""
    rest, facts = dict(document), Facts()
    request_id, files = rest.pop("id"), rest.pop("files")
    parts = list(rest.pop("archived", ()))
    gone = rest.pop("gone", ())
    if key := rest.get("spki_sha256"):
        parts.append({name: rest.pop(name) for name in _PART if name in rest} | {"files": files})
        rest["key"] = key
    facts["request",] = _list_filled(rest)
    for entry in gone:
        facts["gone", entry["server"]] = _list_filled(entry)
    for part in parts:
        facts.update(_take_generation_apart(request_id, dict(part)))
    return facts


def _take_generation_apart(
    request_id: str, part: dict[str, Any]
) -> Iterator[tuple[Fact, dict[str, Any]]]:
    key = part.pop("spki_sha256", "") or f"g{part['generation']}"
    stem = part.pop("files")["csr"].rpartition("/")[2].removesuffix(".csr")
    issued, refused = part.pop("issued", None), part.pop("refused", ())
    deployments = part.pop("deployments", ())
    revoked: Iterable[Mapping[str, Any]] = ()
    if revocation := part.get("revocation"):
        revoked = revocation.get("certificates", ())
        part["revocation"] = _list_filled(
            {name: value for name, value in revocation.items() if name != "certificates"}
        )
    if package := part.get("package"):
        part["package"] = _remove_folders(package)
    part["issued"] = issued["sha256"] if issued else ""
    part["file"] = stem if stem != build_file_stem(request_id, key) else ""
    yield ("made", key), _list_filled(part)
    if issued:
        yield ("received", key, issued["sha256"]), _remove_folders(issued)
    for item in refused:
        yield ("received", key, item["sha256"]), {**_remove_folders(item), "refused": True}
    for item in deployments:
        identity = item["server"], item["certificate"], item["on"]
        yield ("deployed", key, *identity), _list_filled(item)
    for item in revoked:
        yield ("revoked", key, item["sha256"]), _list_filled(item)


def build_request(request_id: str, facts: Facts) -> dict[str, Any] | None:
    """Return the record of a request from its facts.

    Returns
    -------
    dict or None
        None if the facts contain no request, or only changes of one whose first entry is lost.
    """
    if facts.get(("request",), {}).get("plan") is None:
        return None
    document = {"id": request_id, **_get_values(facts["request",]), "archived": [], "gone": []}
    key = facts["request",].get("key") or ""
    parts: dict[str, dict[str, Any]] = {
        fact[1]: _get_values(event) | {"refused": [], "deployments": [], "revoked": []}
        for fact, event in facts.items()
        if fact[0] == "made"
    }
    for (kind, *names), event in facts.items():
        if kind == "gone":
            document["gone"].append(_get_values(event))
        elif kind not in ("request", "made") and (part := parts.get(names[0])) is not None:
            if kind == "deployed":
                part["deployments"].append(_get_values(event))
            elif kind == "revoked":
                part["revoked"].append(_get_values(event))
            elif event.get("refused") or part.get("issued") == event["sha256"]:
                _add_certificate(request_id, part, _get_values(event))
    for name, part in parts.items():
        _complete_generation(request_id, name, part, is_current=name == key)
    current = parts.pop(key, None)
    document |= current or {"files": _list_paths(list_current_files(request_id))}
    document["archived"] = _number_generations(document, parts)
    return document


def _add_certificate(request_id: str, part: dict[str, Any], values: dict[str, Any]) -> None:
    is_refused = values.pop("refused", False) and part.get("issued") != values["sha256"]
    for name in ("file", "chain"):
        file = values.get(name, "")
        is_archived = file.startswith(f"{request_id}-")
        place = "returned/refused" if is_refused else "archive" if is_archived else "returned"
        values[name] = file and f"{place}/{file}"
    if is_refused:
        part["refused"].append(values)
    else:
        part["certificate"] = values


def _complete_generation(
    request_id: str, key: str, part: dict[str, Any], *, is_current: bool
) -> None:
    """Add to a generation what does not stand in its facts, such as the paths of its files."""
    stem = part.pop("file", "") or build_file_stem(request_id, key)
    paths = list_current_files(stem) if is_current else list_archived_files(stem)
    part["files"] = _list_paths(paths)
    part["spki_sha256"] = key if len(key) == 64 else ""
    part["issued"] = part.pop("certificate", None)
    for name in _SUPERSEDED if is_current else ():
        part.pop(name, None)
    if package := part.get("package"):
        part["package"] = {**package, "file": f"pfx/{package['file']}"}
    if revoked := part.pop("revoked"):
        asked = {"reason": "unspecified", "asked_at": revoked[0]["revoked_at"]}
        last = max(item["revoked_at"] for item in revoked)
        part["revocation"] = {
            **asked, "revoked_at": last, **part.get("revocation", {}), "certificates": revoked,
        }  # fmt: skip


def _list_paths(paths: Iterable[str]) -> dict[str, str]:
    return dict(zip(("csr", "key"), paths, strict=True))


def _number_generations(
    document: Mapping[str, Any], parts: Mapping[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the superseded generations, each with another number.

    Two copies of a folder can have given a request different keys under the same number.
    """
    used, archived = {document.get("generation", 1)}, []
    taken = {part["generation"] for part in parts.values()}
    for _, part in sorted(parts.items(), key=lambda item: (item[1]["generation"], item[0])):
        if "superseded_at" not in part:
            since = document.get("planned_at", "")
            part |= {"superseded_at": since, "reasons": [OTHER_COPY], "plan": document["plan"]}
        number = part["generation"]
        if number in used:
            number = next(n for n in count(1) if n not in used and n not in taken)
        used.add(number)
        archived.append({**_PART_BLANK, **part, "generation": number})
    return archived
