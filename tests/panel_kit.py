"""Send and receive the messages of a panel as the browser does, for tests of the panels."""

from __future__ import annotations

from array import array

from lyncnb.widgets.panel import Panel

INHERITED = "\x01"


class PanelClient:
    """A simulated browser that sends messages to a panel and stores its responses."""

    def __init__(self, panel: Panel):
        self.panel = panel
        self.responses: list[tuple[dict, list[bytes]]] = []
        panel.channel.send = lambda message, buffers=(): self.responses.append(
            (message, list(buffers))
        )

    def send(self, kind: str, **fields: object) -> dict[str, dict]:
        """Send a message to the panel, and return the last response of each type."""
        if "passphrase" in fields and "number" not in fields:
            fields["number"] = self.send("number")["number"]["number"]
        self.responses.clear()
        self.panel._receive(self.panel, {"type": kind, **fields}, [])
        return {message["type"]: message for message, _ in self.responses}

    def types(self) -> list[str]:
        """Return the types of the panel's responses, in the order in which the panel sent them."""
        return [message["type"] for message, _ in self.responses]

    def rows(self) -> dict[int, dict[str, str]]:
        """Return the rows in the last responses by row id, as the browser decodes them."""
        return self.rows_after({})

    def rows_after(self, rows: dict[int, dict[str, str]]) -> dict[int, dict[str, str]]:
        """Return the rows of a table with the changes from the last responses."""
        for message, buffers in self.responses:
            if message["type"] != "rows":
                continue
            rows = {} if message["all"] else rows
            if message["moved"]:
                blank = {name: "" for row in rows.values() for name in row}
                order = array("I", buffers[-1])
                rows = {row_id: rows.get(row_id) or dict(blank) for row_id in order}
            ids = array("I", buffers[0])
            for n, facts in enumerate(message["columns"]):
                texts = bytes(buffers[1 + 2 * n]).decode().split("\0")
                code = {1: "B", 2: "H", 4: "I"}[facts["width"]]
                for row_id, index in zip(ids, array(code, buffers[2 + 2 * n]), strict=True):
                    rows.setdefault(row_id, {})[facts["name"]] = texts[index]
        return rows
