"""Describe table columns and options for the browser: labels, choices and help, not values."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import itemgetter

from ...base.shown.languages import make_translator
from ...errors import OptionsError
from ...plan.option_kinds import OPTION_GROUPS, parse_date, parse_key
from ...plan.options import OPTIONS
from ...rules.model import ISSUERS, Rules
from ...rules.rule_files import list_product_titles
from ...topology.columns import Column, list_topology_columns, list_topology_roles
from ...topology.topology import Topology
from .messages import ColumnFacts, FieldFacts, FieldGroup, UsageRow
from .sheet import FINDINGS, list_column_names

SHOWN = ("server_fqdn", "role", "pool_fqdn", "site", "issuer", "target_os")
#: The columns in the table of pools. All other columns of pools and sites that have a value are
#: also shown.
SHOWN_OF_POOLS = (
    "pool_fqdn",
    "role",
    "site",
    "web_internal_fqdn",
    "web_external_fqdn",
    "autologon",
    "access_edge_fqdn",
    "webconf_edge_fqdn",
    "av_edge_fqdn",
    "edge_internal_fqdn",
)
ADDED = ("server_fqdn", "role", "pool_fqdn", "site")
_WIDE = ("fqdn", "fqdn_list", "fqdn_list_by_usage", "url", "url_list")
_LEAST = {"server_fqdn": 210, "role": 136}  # The largest width of a column in pixels.
# The width in pixels of one character in a heading. Headings are never truncated.
_CHARACTER, _AROUND = (
    8.4,
    22,
)

#: The table columns that the Deployment tab shows, with the type of each field.
DEPLOYMENT = {
    "sip_domains": "list",
    "meet_urls": "list",
    "dialin_url": "text",
    "admin_url": "text",
    "autodiscover": "choice",
    "strict_dns": "choice",
}
# Within a group, the fields in ``_FIRST`` come first, and the others follow in the order of the
# options file.
_FIRST = ("product", "layout", "wildcard", "autodiscover_https", "edge_member_names",
          "xmpp_host_names", "separate_av_certificate", "reverse_proxy_client_eku",
          "autodiscover_internal_extra_domains", "internal_only_sip_domains",
          "client_authentication", "shared_certificate", "profile", "key")  # fmt: skip
LABELS = {name: option.label for name, option in OPTIONS.items() if option.label}

_OWN_COLUMN: ColumnFacts = {
    "name": "",
    "title": "",
    "scope": "server",
    "editable": True,
    "search": True,
    "least": 110,
    "share": 1,
    "help": ("lyncnb keeps this column in the table, but does not use it for planning"),
}
_FINDINGS_COLUMN: ColumnFacts = {
    "name": FINDINGS,
    "title": "Findings",
    "scope": "server",
    "shown": True,
    "least": 176,
    "share": 1,
    "help": "the findings for this server",
}


def describe_columns(topology: Topology, rules: Rules, language: str = "en") -> list[ColumnFacts]:
    """Describe every table column, with headings in the given language.

    The column Findings is the last one.
    """
    translate = make_translator(language)
    known = {column.name: column for column in list_topology_columns()}
    facts: list[ColumnFacts] = []
    for name in list_column_names(topology):
        if name in known:
            facts.append(_describe_known_column(known[name], rules, translate))
        else:
            facts.append({**_OWN_COLUMN, "name": name, "title": name})
    facts.append({**_FINDINGS_COLUMN, "title": translate("Findings")})
    return facts


def _measure_title(title: str) -> int:
    """Return the width of a heading in pixels. A Chinese character has double width."""
    return round(_CHARACTER * sum(1 if letter.isascii() else 2 for letter in title)) + _AROUND


def _describe_known_column(
    column: Column, rules: Rules, translate: Callable[[str], str]
) -> ColumnFacts:
    wide = column.kind in _WIDE
    choices = [[choice, choice] for choice in column.choices]
    if column.kind == "bool":
        choices = [["true", "true"], ["false", "false"]]
    if column.kind == "role":
        choices = [
            [role.id, f"{role.id} – {translate(role.title)}"]
            for role in list_topology_roles()
            if role.id in rules.roles
        ]
    scope = "the deployment" if column.scope == "deployment" else f"each {column.scope}"
    whose = f" (one value for {scope})" if column.scope != "server" else ""
    return {
        "name": column.name,
        "title": translate(column.title),
        "aliases": [*column.aliases, *column.last_aliases],
        "scope": column.scope,
        "help": column.help + whose,
        "choices": choices,
        "list": column.is_list,
        "strict": column.kind in ("bool", "role", "choice"),
        "required": column.required,
        "fallback": column.default,
        "editable": True,
        "shown": column.name in SHOWN,
        "shown_of_pools": column.name in SHOWN_OF_POOLS,
        "always": column.name == "server_fqdn",
        "add": column.name in ADDED,
        "search": wide,
        "least": max(
            _LEAST.get(column.name, 160 if wide else 100),
            _measure_title(translate(column.title)),
        ),
        "share": 3 if column.name == "server_fqdn" else 2 if wide else 1,
    }


def describe_option_groups(rules: Rules) -> list[FieldGroup]:
    """Describe the groups of fields on the Deployment tab."""
    known = {column.name: column for column in list_topology_columns()}
    fields: list[FieldFacts] = [
        {
            "name": f"column:{name}",
            "label": known[name].title,
            "kind": kind,
            # The rest of the help text describes the table, which has one row for each server.
            "help": f"{known[name].help.partition('. ')[0]}. Enter one value per line"
            if kind == "list"
            else known[name].help,
            "choices": [["true", "yes, for every pool"], ["false", "no, not for any pool"]],
        }
        for name, kind in DEPLOYMENT.items()
    ]
    groups: list[FieldGroup] = [{"title": "Deployment", "fields": fields}]
    option_names = sorted(
        OPTIONS, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST)
    )
    for heading in OPTION_GROUPS:
        of_group = [
            _describe_field(name, rules) for name in option_names if OPTIONS[name].group == heading
        ]
        groups.append({"title": heading, "fields": of_group})
    groups.insert(-1, _describe_issuers(rules))
    return groups


def _format_help(meaning: str) -> str:
    """Turn the comment about an option in plan.toml into the help text of its form field.

    The field of a yes/no option is a check box, so the text says On and Off, not true and false.
    """
    if len(meaning) < 4:
        return ""  # Help text as short as "O" or "OU" adds nothing to the label of the field.
    return meaning.replace("true: ", "On: ").replace("false: ", "Off: ")


def _describe_field(name: str, rules: Rules) -> FieldFacts:
    """Describe the form field of one plan option."""
    option = OPTIONS[name]
    choices = [[choice, choice or "as specified in each row"] for choice in option.choices]
    if name == "product":
        choices = [[product, title] for product, title in list_product_titles().items()]
    kind = option.form
    if name == "oldest_client":
        client_ids = [client.id for client in rules.clients]
        oldest = f"the oldest version in the list: {client_ids[0]}" if client_ids else ""
        kind, choices = "choice", [["", oldest], *([client, client] for client in client_ids)]
    return {
        "name": name,
        "label": option.label,
        "kind": kind,
        "help": _format_help(option.comment),
        "choices": choices,
    }


def _describe_issuers(rules: Rules) -> FieldGroup:
    rows: list[UsageRow] = [{"key": "", "label": "Every certificate"}]
    rows += [
        {"key": issuer, "label": f"{issuer.capitalize()} certificates", "without": ["issuer"]}
        for issuer in ISSUERS
    ]
    rows += [
        {"key": key, "label": key, "note": issuer}
        for key, issuer in find_usage_issuers(rules).items()
    ]
    issuers = [["", "as specified in the rules"], *([issuer, issuer] for issuer in ISSUERS)]
    return {
        "title": "Issuer and target CA",
        "help": "A choice for one type overrides the choice for every certificate. Both choices "
        "override the Issuer column in the table, and the Issuer column overrides the rules.",
        "by_usage": {
            "caption": "Issuer and CA by certificate type",
            "rows": rows,
            "options": [
                {"name": "issuer", "label": "Issuer", "choices": issuers},
                {"name": "ca", "label": "Target CA"},
            ],
        },
    }


def find_usage_issuers(rules: Rules) -> dict[str, str]:
    """Return the CA that the rules assign to each usage, or to each role without usages."""
    by_usage: dict[str, dict[str, None]] = {}
    for rule in rules.certificates:
        for key in rule.usages or (rule.role,):
            by_usage.setdefault(key, {})[rule.issuer] = None
    return {key: " or ".join(issuers) for key, issuers in by_usage.items()}


def list_deployment_values(topology: Topology) -> Iterator[tuple[str, str, str]]:
    """Yield each deployment-wide column with its text, and with a note if its values differ."""
    roles_at = topology.columns.index("role")
    for facts in list_topology_columns():
        if facts.name not in DEPLOYMENT:
            continue
        kind = DEPLOYMENT[facts.name]
        if kind == "choice":
            heeding = [pool for pool in topology.pools if facts.is_used_by(pool.role)]
            states = {facts.name in pool.flags for pool in heeding} or {facts.default == "true"}
            text = "mixed" if len(states) > 1 else "true" if states.pop() else "false"
            yield facts.name, text, "differs between pools"
            continue
        texts = {}
        if facts.name in topology.columns:
            column_index = topology.columns.index(facts.name)
            cells = dict.fromkeys(
                map(itemgetter(column_index, roles_at), topology.cells)
                # Most rows are blank in a deployment-wide column. Only rows with a value are
                # checked, because a table can have 10,000 rows.
            )
            texts = dict.fromkeys(text for text, role in cells if text and role)
        separator = "\n" if kind == "list" else " "
        if len(texts) > 1:
            yield facts.name, separator.join(texts), "differs between sites"
        else:
            text = next(iter(texts), "")
            yield facts.name, "\n".join(split_entries(text)) if kind == "list" else text, ""


# The following functions convert text from a form or a call to the value of an option.


def split_entries(text: str) -> tuple[str, ...]:
    """Split a text into list entries at spaces, line breaks, ``;``, ``,`` and ``|``."""
    return tuple(entry for entry in re.split(r"[\s;,|]+", text) if entry)


def describe_option(name: str, value: object) -> str:
    """Describe the new value of a plan option. The description begins with the option's label."""
    label = LABELS.get(name, name)
    if isinstance(value, Mapping):
        return label
    if isinstance(value, bool):
        return f"{label}: {'on' if value else 'off'}"
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value or "")
    return f"{label}: {text or 'none'}"


def parse_option_value(name: str, value: object) -> object:
    """Convert text from the user to the value of a plan option.

    Parameters
    ----------
    name : str
        A field in ``PlanOptions``.
    value : object
        The value, or a text. Separate list entries by blanks, line breaks, ``;`` or ``,``.
        Enter a key as ``RSA 3072`` and a date as ``2026-01-31``. "" means no value.

    Raises
    ------
    OptionsError
        If the option does not exist, or the text is not valid.
    """
    if name not in OPTIONS:
        close = difflib.get_close_matches(name, OPTIONS, n=1)
        raise OptionsError(
            f'"{name}" is not a known option',
            hint=f"did you mean {close[0]}?"
            if close
            else f"use one of these options: {', '.join(OPTIONS)}",
        )
    option = OPTIONS[name]
    if name == "key":
        return parse_key(value)
    if option.form == "date":
        return parse_date(name, value)
    if option.form == "number":
        return _parse_number(name, value)
    if typing.get_origin(option.kind) is tuple:
        return _convert_to_texts(value)
    if option.form == "flag" and value in ("true", "false"):
        return value == "true"
    if isinstance(value, Mapping):
        return {key: text for key, text in value.items() if text}
    return value.strip() if isinstance(value, str) else value


def _parse_number(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    if not re.fullmatch(r"\s*\d{1,6}\s*", value):
        raise OptionsError(
            f'the option "{name}": "{value}" is not a whole number', hint="use digits only"
        )
    return int(value)


def _convert_to_texts(value: object) -> object:
    if isinstance(value, str):
        return split_entries(value)
    return tuple(value) if isinstance(value, Iterable) else value
