"""Scenarios as documents: TOML files, replay files, and what ``--set`` changes.

A document is what ``tomllib`` returns: tables, arrays, text, numbers. Errors name the file,
the key, and what is allowed there.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from ropewalk.lab.expected import EXPECTATIONS
from ropewalk.lab.limits import shown
from ropewalk.lab.profiles import embed_traces
from ropewalk.lab.quantities import parse_quantity
from ropewalk.lab.scenario import HAPPENINGS, CustomScenario, FlowSpec, LinkSpec, Scenario, Topology
from ropewalk.quic.types.errors import ConfigurationError

Document = dict[str, Any]  # what tomllib returns
T = TypeVar("T")

#: Lists of named things are tables keyed by the name in a document.
_NAMED: Final = ("hosts", "links", "nats", "middleboxes", "flows")
#: The keys of a link's table that are not figures of both directions.
_LINK_KEYS: Final = ("preset", "queue_bdp", "up", "down")


def load_scenario(path: Path) -> Scenario:
    """Read a TOML file; the scenario's name is the file's unless it says otherwise. Rate traces
    that it names as files are looked for beside it, and become part of the scenario.

    Raises ``ConfigurationError`` with the file's name.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: it is not UTF-8 text") from None
    except (ValueError, RecursionError) as error:  # bad TOML, endless numbers, nesting
        raise ConfigurationError(f"{path}: {error}") from None
    try:
        return from_document({"name": path.stem, **_with_traces(document, path.parent)})
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def _with_traces(document: Document, folder: Path) -> Document:
    """The document with the milliseconds of the traces that it names as files."""
    found = dict(document)
    links = found.get("links")
    if isinstance(links, dict):
        found["links"] = {
            name: embed_traces(table, folder, f"links.{name}") if isinstance(table, dict) else table
            for name, table in links.items()
        }
    happenings = found.get("happenings")
    if isinstance(happenings, list):
        found["happenings"] = [
            {**table, "profile": embed_traces(profile, folder, f"happenings[{index}].profile")}
            if isinstance(table, dict) and isinstance(profile := table.get("profile"), dict)
            else table
            for index, table in enumerate(happenings)
        ]
    return found


def from_document(document: Document) -> Scenario:
    """The scenario that a document describes. Raises ``ConfigurationError``."""
    document = _table(document, "the scenario")
    document = dict(document)
    topology: Document = {
        key: document.pop(key)
        for key in ("hosts", "links", "nats", "middleboxes", "routes")
        if key in document
    }
    values: dict[str, object] = {"topology": _topology(topology)}
    flows = _table(document.pop("flows", {}), "flows")
    values["flows"] = tuple(
        _record(FlowSpec, _table(table, f"flows.{name}") | {"name": name}, f"flows.{name}")
        for name, table in flows.items()
    )
    values["happenings"] = tuple(
        _tagged(HAPPENINGS, "do", table, f"happenings[{index}]")
        for index, table in enumerate(_array(document.pop("happenings", []), "happenings"))
    )
    if "expect" in document:
        values["expect"] = tuple(
            _tagged(EXPECTATIONS, "that", table, f"expect[{index}]")
            for index, table in enumerate(_array(document.pop("expect"), "expect"))
        )
    return _record(Scenario, document, "", values)


def to_document(scenario: Scenario) -> Document:
    """The document from which :func:`from_document` makes this scenario again."""
    document = _plain(scenario)
    topology = document.pop("topology", {})
    document = {**document, **topology}
    for key in _NAMED:
        if key in document:
            document[key] = {
                table["name"]: {name: value for name, value in table.items() if name != "name"}
                for table in document[key]
            }
    for table in document.get("links", {}).values():
        table.update(table.pop("both", {}))
    for key, tag, kinds in (("happenings", "do", HAPPENINGS), ("expect", "that", EXPECTATIONS)):
        words = {kind: word for word, kind in kinds.items()}
        values: tuple[object, ...] = getattr(scenario, key)
        document[key] = [{tag: words[type(value)], **_plain(value)} for value in values]  # type: ignore[index]  # both are such tables
    return document


def override(scenario: Scenario, changes: Mapping[str, str]) -> Scenario:
    """The scenario with keys changed as ``--set`` does: "flows.download.congestion", with
    ``*`` for all of a table. Raises ``ConfigurationError`` for a key that nothing has."""
    if not changes:
        return scenario
    document = copy.deepcopy(to_document(scenario))
    for key, text in changes.items():
        _set(document, key.split("."), plain_value(text), key)
    return from_document(document)


def check_parameters(scenario: CustomScenario, changes: Mapping[str, str]) -> None:
    """Raises ``ConfigurationError`` unless ``--set`` gives each parameter of a scenario that is
    a function a value like its own."""
    for key, text in changes.items():
        if key not in scenario.parameters:
            continue  # whoever plays it tells which there are
        own, value = scenario.parameters[key], plain_value(text)
        if isinstance(own, str):
            continue
        number = type(own) is float and type(value) is int
        finite = not isinstance(value, float) or math.isfinite(value)
        if not (number or type(value) is type(own)) or not finite:
            raise ConfigurationError(
                f"--set {key}: {shown(text)} is not {_A_TYPE[type(own)]} (its own value is {own})"
            )


def plain_value(text: str) -> object:
    """What a TOML file would have meant by it; plain words need no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _set(table: Any, keys: list[str], value: object, whole: str) -> None:
    first, rest = keys[0], keys[1:]
    if isinstance(table, list):
        if first != "*" and not first.isdigit():
            raise ConfigurationError(f"--set {whole}: {first!r} is not a number in a list, or *")
        chosen = range(len(table)) if first == "*" else [int(first)]
        for index in chosen:
            if index >= len(table):
                raise ConfigurationError(f"--set {whole}: there are {len(table)} of them")
            if rest:
                _set(table[index], rest, value, whole)
            else:
                table[index] = value
        return
    if not isinstance(table, dict):
        raise ConfigurationError(f"--set {whole}: {first!r} has nothing below it")
    names = list(table) if first == "*" else [first]
    for name in names:
        if rest:
            if name not in table and name in ("settings", "up", "down"):
                table[name] = {}
            if name not in table:
                known = ", ".join(map(str, table)) or "nothing"
                raise ConfigurationError(f"--set {whole}: there is no {name!r}, only {known}")
            _set(table[name], rest, value, whole)
        else:
            table[name] = value


# -- reading


def _topology(document: Document) -> Topology:
    hints = get_type_hints(Topology, include_extras=True)
    values: dict[str, object] = {}
    for key, content in document.items():
        (kind, _) = get_args(hints[key])
        if key == "routes":
            tables = [
                (f"routes[{index}]", table) for index, table in enumerate(_array(content, key))
            ]
        else:
            tables = [
                (f"{key}.{name}", {"name": name, **_table(table, f"{key}.{name}")})
                for name, table in _table(content, key).items()
            ]
        values[key] = tuple(
            _link(_table(table, where), where)
            if kind is LinkSpec
            else _record(kind, _table(table, where), where)
            for where, table in tables
        )
    return Topology(**values)  # type: ignore[arg-type]  # by name


def _link(table: Document, where: str) -> LinkSpec:
    both = {key: value for key, value in table.items() if key not in ("name", *_LINK_KEYS)}
    rest = {key: value for key, value in table.items() if key not in both}
    return _record(LinkSpec, rest, where, {"both": both})


def _tagged(kinds: Mapping[str, type[T]], tag: str, table: object, where: str) -> T:
    values = dict(_table(table, where))
    word = values.pop(tag, None)
    if not isinstance(word, str) or word not in kinds:
        allowed = ", ".join(repr(name) for name in kinds)
        raise ConfigurationError(f"{where}.{tag} is {shown(word)}; it must be one of {allowed}")
    return _record(kinds[word], values, where)


def _record(
    kind: type[T], table: Document, where: str, values: dict[str, object] | None = None
) -> T:
    """A dataclass from a table; ``values`` are fields that were read already."""
    hints = get_type_hints(kind, include_extras=True)
    found = dict(values or {})
    allowed = [name for name in hints if name not in found]
    prefix = f"{where}." if where else ""
    for key, value in table.items():
        if key not in allowed:
            raise ConfigurationError(f"{prefix}{key} is unknown; allowed are {', '.join(allowed)}")
        try:
            found[key] = _read(hints[key], value)
        except ValueError as error:
            raise ConfigurationError(f"{prefix}{key}: {error}") from None
    required = [
        field.name
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]  # all are dataclasses
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    missing = [name for name in required if name not in found]
    if missing:
        raise ConfigurationError(f"{prefix}{missing[0]} is missing")
    try:
        return kind(**found)
    except ConfigurationError as error:
        # What has a name tells it; things in a list are told by their number.
        raise ConfigurationError(f"{where}.{error}" if "[" in where else str(error)) from None


def _read(hint: object, value: object) -> object:
    origin = get_origin(hint)
    if origin is Annotated:
        base, allowed = get_args(hint)
        if not allowed.kind:
            return _read(base, value)
        try:
            return base(parse_quantity(value, allowed.kind))
        except (ValueError, OverflowError) as error:
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                raise ValueError(f"{shown(value)} must be {allowed}") from None
            raise ValueError(str(error)) from None
    if origin is Literal:
        if value not in get_args(hint):
            allowed = ", ".join(repr(word) for word in get_args(hint))
            raise ValueError(f"{shown(value)} must be one of {allowed}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{shown(value)} is not an array")
        return tuple(_read(get_args(hint)[0], item) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise ValueError(f"{shown(value)} is too large") from None
    if hint in (int, float, bool, str):
        if type(value) is not hint:
            raise ValueError(f"{shown(value)} is not {_A_TYPE[hint]}")
        return value
    if not isinstance(value, dict):
        raise ValueError(f"{shown(value)} is not a table")
    return value


_A_TYPE: Final[dict[object, str]] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
}


def _table(value: object, where: str) -> Document:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{where} is {shown(value)}; it must be a table")
    return value


def _array(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise ConfigurationError(f"{where} is {shown(value)}; it must be an array of tables")
    return value


# -- writing


def _plain(value: Any) -> Any:
    """A dataclass as tables and arrays, without what has its default."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        table: Document = {}
        for field in dataclasses.fields(value):
            content = getattr(value, field.name)
            if content != _default(field):
                table[field.name] = _plain(content)
        return table
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _default(field: dataclasses.Field[Any]) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
