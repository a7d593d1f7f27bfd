"""Links of a scenario as profiles of the simulation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, get_type_hints

from ropewalk.lab.limits import shown
from ropewalk.lab.quantities import parse_quantity
from ropewalk.lab.scenario import LinkSpec
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.sim.codel import CoDel, FqCoDel
from ropewalk.sim.dual_queue import DualPi2
from ropewalk.sim.element import HEADER_BYTES
from ropewalk.sim.link import Handovers, LinkProfile
from ropewalk.sim.loss import GilbertElliott, ScriptedLoss
from ropewalk.sim.presets import PRESETS
from ropewalk.sim.queues import DropTail, EcnThreshold
from ropewalk.sim.rate_trace import RateTrace

#: What a full datagram of the smallest size takes on the wire: the unit of ``queue_bdp``.
_FULL_PACKET: Final = 1200 + HEADER_BYTES

_QUEUES: Final[dict[str, Callable[..., object]]] = {
    "drop-tail": DropTail,
    "codel": CoDel,
    "fq-codel": FqCoDel,
    "ecn-threshold": EcnThreshold,
    "dualpi2": DualPi2,
}
_LOSS_MODELS: Final[dict[str, Callable[..., object]]] = {
    "gilbert-elliott": GilbertElliott,
    "script": ScriptedLoss,
}
_SECONDS: Final = ("delay", "reordering_delay", "jitter", "aggregation")
#: Seconds in the tables of queues and handovers.
_INNER_SECONDS: Final = (
    "target",
    "interval",
    "update",
    "longest_rtt",
    "ramp_start",
    "ramp_end",
    "period",
    "gap",
    "delay_spread",
)
_WANTED: Final[dict[object, str]] = {
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    Sequence[int]: "a list of whole numbers",
    Sequence: "a list of whole numbers",  # compiled classes keep no more of the type
}
#: What a preset may have and a scenario take away again by "none".
_OPTIONAL: Final = ("queue", "loss_model", "trace", "handovers")
_FIELDS: Final = tuple(field.name for field in dataclasses.fields(LinkProfile))


def link_profiles(spec: LinkSpec) -> tuple[LinkProfile, LinkProfile]:
    """The profiles up and down. Raises ``ConfigurationError`` with the link's name."""
    up, down = _preset(spec)
    up = change_profile(up, {**spec.both, **spec.up}, f"links.{spec.name}")
    down = change_profile(down, {**spec.both, **spec.down}, f"links.{spec.name}")
    if spec.queue_bdp > 0.0 and not spec.preset:
        round_trip = up.delay + down.delay
        up = _queue_of(up, spec.queue_bdp * round_trip)
        down = _queue_of(down, spec.queue_bdp * round_trip)
    return up, down


def _preset(spec: LinkSpec) -> tuple[LinkProfile, LinkProfile]:
    if not spec.preset:
        return LinkProfile(), LinkProfile()
    preset = PRESETS.get(spec.preset)
    if preset is None:
        raise ConfigurationError(
            f"links.{spec.name}.preset is {shown(spec.preset)}; {_no_preset(spec.preset)}"
        )
    if spec.queue_bdp > 0.0:
        preset = preset.altered(queue_bdp=spec.queue_bdp)
    return preset.up, preset.down


def _no_preset(name: str) -> str:
    lines = name.split("+")
    if len(lines) == 1 or not all(line in PRESETS for line in lines):
        return f"there are {', '.join(PRESETS)}"
    # A link is one line, and only routes know which interface uses it.
    links = ", ".join(f'links.{line}.preset = "{line}"' for line in lines)
    routes = " and ".join(
        f'client = "client:{index}", via = ["{line}"]' for index, line in enumerate(lines)
    )
    return (
        f"that is {len(lines)} lines for a client with {len(lines)} addresses: write {links}, "
        f"and a [[routes]] for each: {routes}"
    )


def _queue_of(profile: LinkProfile, seconds: float) -> LinkProfile:
    if not math.isfinite(profile.rate):
        return profile
    packets = max(2, round(profile.rate * seconds / _FULL_PACKET))
    return dataclasses.replace(profile, queue_packets=packets)


def change_profile(profile: LinkProfile, figures: Mapping[str, object], where: str) -> LinkProfile:
    """The profile with some figures replaced. Raises ``ConfigurationError``."""
    values: dict[str, object] = {}
    for key, value in figures.items():
        if key not in _FIELDS:
            raise ConfigurationError(f"{where}.{key} is unknown; allowed are {', '.join(_FIELDS)}")
        try:
            values[key] = _figure(key, value)
        except (ValueError, TypeError, OverflowError, ConfigurationError) as error:
            raise ConfigurationError(f"{where}.{key}: {error}") from None
    if values.get("trace") is not None and "rate" not in values:
        values["rate"] = math.inf
    try:
        return dataclasses.replace(profile, **values)  # type: ignore[arg-type]  # by name
    except (ConfigurationError, TypeError) as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _figure(key: str, value: object) -> object:
    if key == "rate":
        return parse_quantity(value, "rate")
    if key in _SECONDS:
        return parse_quantity(value, "seconds")
    if value == "none" and key in _OPTIONAL:
        return None
    if key in ("queue_packets", "mtu"):
        number = parse_quantity(value, "bytes")
        if not math.isfinite(number):
            raise ValueError(f"{value!r} is not a finite number")
        return int(number)
    if key == "queue":
        return _kind_of(_QUEUES, value)
    if key == "loss_model":
        return _kind_of(_LOSS_MODELS, value)
    if key == "trace":
        return _trace(value)
    if key == "handovers":
        return _handovers(_inner(value))
    if key == "outages":
        return _outages(value)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError(f"{shown(value)} is not a number")
    return float(value)


def _kind_of(kinds: Mapping[str, Callable[..., object]], value: object) -> object:
    values = _inner(value)
    kind = values.pop("kind", None)
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(f"kind is {shown(kind)}; it must be one of {', '.join(kinds)}")
    made = kinds[kind]
    allowed = get_type_hints(made)
    for key, item in values.items():
        if key not in allowed:
            raise ValueError(f"{kind} has no {key!r}; allowed are {', '.join(allowed)}")
        if not _fits(item, allowed[key]):
            raise ValueError(f"{key} is {shown(item)}; it must be {_WANTED[allowed[key]]}")
    return made(**values)


def _fits(value: object, wanted: object) -> bool:
    if wanted in (Sequence[int], Sequence):
        return isinstance(value, (list, tuple)) and all(type(item) is int for item in value)
    if wanted is float:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]  # a number
    return type(value) is wanted


def _inner(value: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{shown(value)} is not a table")
    return {
        str(key): parse_quantity(item, "seconds") if key in _INNER_SECONDS else item
        for key, item in value.items()
    }


def _handovers(values: dict[str, object]) -> Handovers:
    numbers = {key: value for key, value in values.items() if isinstance(value, float)}
    if len(numbers) != len(values):
        raise ValueError("handovers have period, gap and delay_spread")
    return Handovers(**numbers)


def _trace(value: object) -> RateTrace:
    # A name is never followed from here: whoever sends a replay file must not choose what is
    # read. The files that a TOML file names are read with it.
    if isinstance(value, (list, tuple)) and all(type(item) is int for item in value):
        return RateTrace(tuple(value))
    raise ValueError(
        f"{shown(value)} is no list of milliseconds; the name of a file may stand in a TOML file"
    )


def embed_traces(figures: Mapping[str, object], folder: Path, where: str) -> dict[str, object]:
    """The figures of a link's table with the milliseconds of a rate trace for its file's name,
    which is looked up in ``folder``. Raises ``ConfigurationError``."""
    found = dict(figures)
    for way in ("up", "down"):
        inner = found.get(way)
        if isinstance(inner, Mapping):
            found[way] = embed_traces(inner, folder, f"{where}.{way}")
    name = found.get("trace")
    if isinstance(name, str) and name != "none":
        try:
            found["trace"] = list(RateTrace.load(folder / name).opportunities)
        except (OSError, ValueError, ConfigurationError) as error:
            raise ConfigurationError(f"{where}.trace: {error}") from None
    return found


def _outages(value: object) -> tuple[tuple[float, float], ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{shown(value)} is not a list of [start, end]")
    spans: list[tuple[float, float]] = []
    for span in value:
        if not isinstance(span, (list, tuple)) or len(span) != 2:
            raise ValueError(f"{shown(span)} is not [start, end]")
        start, end = span
        spans.append((parse_quantity(start, "seconds"), parse_quantity(end, "seconds")))
    return tuple(spans)
