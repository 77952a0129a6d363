"""Create tampered copies of saved plans, which lyncnb must reject."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from lyncnb.plan.saved_plan_json import encode_saved_plan


def places_in(value: object, path: tuple = ()) -> Iterator[tuple]:
    """Return the path of every value in a document, as the keys that lead to the value."""
    yield path
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from places_in(item, (*path, key))


def tamper_with_plan(chance: random.Random, data: bytes) -> tuple[str, bytes]:
    """Change one value in a saved plan and recalculate the digest, as an attacker would."""
    document = json.loads(data)
    del document["sha256"]
    path = chance.choice(
        [candidate for candidate in places_in(document) if candidate not in ((), ("table",))]
    )
    *above, last = path
    holder = document
    for key in above:
        holder = holder[key]
    value = holder[last]
    if isinstance(value, bool):
        holder[last] = not value
    elif isinstance(value, str):
        holder[last] = chance.choice([value + "x", "evil.contoso.com", value[1:] if value else "x"])
    elif isinstance(value, int):
        holder[last] = value * 2
    elif value is None:
        holder[last] = chance.choice(["2027-01-01", 30])
    elif isinstance(value, list):
        holder[last] = chance.choice([value[1:], [*value, *value[:1]], value[::-1]])
    else:
        holder[last] = dict(chance.choice([[*value.items()][1:], [*value.items()][::-1]]))
    return path[0], encode_saved_plan(document)
