"""Links of a scenario as profiles of the simulation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Final

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
            f"links.{spec.name}.preset is {spec.preset!r}; there are {', '.join(PRESETS)}"
        )
    if spec.queue_bdp > 0.0:
        preset = preset.altered(queue_bdp=spec.queue_bdp)
    return preset.up, preset.down


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
        except (ValueError, TypeError) as error:
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
        return int(parse_quantity(value, "bytes"))
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
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def _kind_of(kinds: Mapping[str, Callable[..., object]], value: object) -> object:
    values = _inner(value)
    kind = values.pop("kind", None)
    if kind not in kinds:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(kinds)}")
    return kinds[str(kind)](**values)


def _inner(value: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{value!r} is not a table")
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
    if isinstance(value, str):
        return RateTrace.load(value)
    if isinstance(value, list) and all(isinstance(item, int) for item in value):
        return RateTrace(tuple(value))
    raise ValueError(f"{value!r} is neither a file's name nor a list of milliseconds")


def _outages(value: object) -> tuple[tuple[float, float], ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{value!r} is not a list of [start, end]")
    spans: list[tuple[float, float]] = []
    for span in value:
        start, end = span
        spans.append((parse_quantity(start, "seconds"), parse_quantity(end, "seconds")))
    return tuple(spans)
