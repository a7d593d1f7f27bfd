"""Checks qlog against the facts of its CDDL (``tests/data/qlog/schema.json``).

A type in those facts is a set of fields, a list of choices, or another type's name. Types of
fields are CDDL texts of a small kind: names, quoted literals, arrays, maps, alternatives, and
control operators, of which only ``.size`` of a hexstring is looked at.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

FACTS = Path(__file__).parents[1] / "data" / "qlog" / "schema.json"
#: An event of the draft's text that the list of events lacks; its type is there.
_UNLISTED = {"quic:timer_updated": "QUICTimerUpdated"}
_INTEGERS = {"uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64, "uint": 64}
_HEX = re.compile(r"([0-9a-f]{2})*")


class Schema:
    """All documents together; a socket that several extend has the choices of all."""

    def __init__(self) -> None:
        documents = json.loads(FACTS.read_text())["documents"]
        self.types: dict[str, dict[str, Any]] = {}
        self.events = dict(_UNLISTED)
        for document in documents.values():
            for name, definition in document["types"].items():
                known = self.types.get(name)
                if known is not None and name.startswith("$"):
                    definition = {"choices": _choices(known) + _choices(definition)}
                self.types[name] = definition
            for event in document.get("events", ()):
                self.events[event["event"]] = event["data_type"]

    def header_faults(self, header: object, contained: bool = False) -> list[str]:
        """What is wrong with a file, or with the first record of a sequential one."""
        return self._named("QlogFile" if contained else "QlogFileSeq", header, "header")

    def event_faults(self, event: dict[str, Any]) -> list[str]:
        """What is wrong with one event, its data included."""
        name = event.get("name")
        if name not in self.events:
            return [f"there is no event {name!r}"]
        return self._named("Event", event, str(name)) + self._named(
            self.events[name], event.get("data"), str(name)
        )

    # -- by definition

    def _named(self, name: str, value: object, where: str) -> list[str]:
        definition = self.types[name]
        if "fields" in definition:
            return self._fields(definition["fields"], value, where)
        if "alias" in definition:
            return self._text(definition["alias"], value, where)
        return self._choice(name, definition["choices"], value, where)

    def _fields(self, fields: list[dict[str, Any]], value: object, where: str) -> list[str]:
        if not isinstance(value, dict):
            return [f"{where}: {value!r} is no map"]
        known: dict[str, dict[str, Any]] = {}
        open_ended = False
        for field in self._included(fields):
            if field.get("any_further_keys"):
                open_ended = True
            else:
                known[field["name"]] = field
        faults = []
        for key, held in value.items():
            if key in known:
                # What an event's data are depends on its name.
                if known[key]["type"] != "$ProtocolEventData":
                    faults += self._text(known[key]["type"], held, f"{where}.{key}")
            elif not open_ended:
                faults.append(f"{where}: the key {key!r} is unknown")
        for key, field in known.items():
            if not field["optional"] and key not in value:
                faults.append(f"{where}: {key!r} is missing")
        return faults

    def _included(self, fields: list[dict[str, Any]]) -> list[dict[str, Any]]:
        flat = []
        for field in fields:
            if "include" in field:
                flat += self._included(self.types[field["include"]]["fields"])
            else:
                flat.append(field)
        return flat

    def _choice(self, name: str, choices: list[str], value: object, where: str) -> list[str]:
        closest: list[str] | None = None
        for choice in choices:
            reference = choice.removeprefix("<").removesuffix(">")
            if reference.startswith("text") or reference in self.types:
                faults = self._text(reference, value, where)
                if not faults:
                    return []
                # The frame that was meant is the one whose type fits.
                if not any("frame_type: " in fault for fault in faults):
                    closest = faults
            elif value == choice:
                return []
        return closest or [f"{where}: {value!r} is no {name}"]

    # -- by the text of a type

    def _text(self, text: str, value: object, where: str) -> list[str]:
        alternatives = _split(text)
        if len(alternatives) > 1:
            if any(not self._text(one, value, where) for one in alternatives):
                return []
            return [f"{where}: {value!r} is none of {text}"]
        text = alternatives[0]
        if text.startswith("["):
            return self._array(text, value, where)
        if text.startswith("{"):
            return [] if isinstance(value, dict) else [f"{where}: {value!r} is no map"]
        if text.startswith('"'):
            return [] if value == json.loads(text) else [f"{where}: {value!r} is not {text}"]
        base, _, control = text.partition(" .")
        if base in self.types and base not in _INTEGERS and base != "hexstring":
            return self._named(base, value, where)
        return self._primitive(base, control, value, where)

    def _array(self, text: str, value: object, where: str) -> list[str]:
        match = re.fullmatch(r"\[\s*(\d*)([*+])(\d*)\s*(.*?)\s*\]", text)
        assert match is not None, text
        least, kind, most, item = match.groups()
        if not isinstance(value, list):
            return [f"{where}: {value!r} is no array"]
        if len(value) < int(least or (kind == "+")) or (most and len(value) > int(most)):
            return [f"{where}: {len(value)} items do not fit {text}"]
        return [
            fault
            for index, one in enumerate(value)
            for fault in self._text(item, one, f"{where}[{index}]")
        ]

    def _primitive(self, base: str, control: str, value: object, where: str) -> list[str]:
        good = False
        if base in _INTEGERS:
            good = type(value) is int and 0 <= value < 1 << _INTEGERS[base]
        elif base in ("float32", "float64"):
            good = type(value) in (int, float)
        elif base == "bool":
            good = type(value) is bool
        elif base == "hexstring":
            good = isinstance(value, str) and _HEX.fullmatch(value) is not None
            if control.startswith("size"):
                good = good and len(str(value)) == 2 * int(control.split()[1])
        elif base == "text":
            good = isinstance(value, str)
            if control.startswith("regexp"):
                pattern = json.loads(control.removeprefix("regexp").strip())
                good = good and re.fullmatch(pattern, str(value)) is not None
        else:
            raise AssertionError(f"the checker does not know the type {base!r}")
        return [] if good else [f"{where}: {value!r} is no {base} {control}".rstrip()]


def records(data: bytes) -> list[Any]:
    """The records of a JSON-SEQ file (RFC 7464): the header, then the events."""
    pieces = data.split(b"\x1e")
    assert pieces[0] == b"", "a record begins with 0x1e"
    assert all(piece.endswith(b"\n") for piece in pieces[1:]), "a record ends with a line feed"
    return [json.loads(piece) for piece in pieces[1:]]


def _choices(definition: dict[str, Any]) -> list[str]:
    return [definition["alias"]] if "alias" in definition else list(definition["choices"])


def _split(text: str) -> list[str]:
    """Alternatives, but for those within brackets."""
    parts, depth, current = [], 0, ""
    for token in re.split(r'( / |[\[\]{}]|"[^"]*")', text):
        depth += (token in ("[", "{")) - (token in ("]", "}"))
        if token == " / " and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += token
    return [*parts, current.strip()]
