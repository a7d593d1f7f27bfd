"""What the figures of a scenario may be: ranges that stand in the types of its fields."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from typing import Annotated, Final, Literal, get_origin, get_type_hints

from ropewalk.quic.types.errors import ConfigurationError

#: The largest number that QUIC writes (RFC 9000 16): of a stream's bytes, or as a code.
LARGEST_VARINT: Final = (1 << 62) - 1
_UNITS: Final = {"seconds": "seconds", "bytes": "bytes", "rate": "bytes per second"}
#: Longer values are cut when an error shows them.
_SHOWN: Final = 60


@dataclass(frozen=True)
class Range:
    """A finite number from ``least`` to ``most``. ``kind`` is what
    :func:`~ropewalk.lab.quantities.parse_quantity` calls its unit, or "" without units."""

    kind: str = ""
    least: float = 0
    most: float = math.inf

    def __str__(self) -> str:
        unit = f" {_UNITS[self.kind]}" if self.kind else ""
        if math.isinf(self.most):
            return f"a finite number{unit and ' of'}{unit}, {self.least:,} or more"
        return f"from {self.least:,} to {self.most:,}{unit}"


#: In TOML a number, or text with a unit: "20 ms", "50 Mbit/s", "3 MB". None is negative, nor
#: One of the two ends of a connection.
Side = Literal["client", "server"]
#: infinite. At more than a terabyte per second virtual time would no longer advance.
Seconds = Annotated[float, Range("seconds")]
Rate = Annotated[float, Range("rate", most=10**12)]
Size = Annotated[int, Range("bytes", most=LARGEST_VARINT)]
#: Numbers without a unit, from 0, or from 1.
Count = Annotated[int, Range()]
Some = Annotated[int, Range(least=1)]
#: An error code of an application (RFC 9000 20.2).
Code = Annotated[int, Range(most=LARGEST_VARINT)]


class Checked:
    """A dataclass whose fields are checked against the :class:`Range` in their types."""

    def __post_init__(self) -> None:
        for name, allowed in _ranges(type(self)):
            value = getattr(self, name)
            if not allowed.least <= value <= allowed.most or math.isinf(value):
                raise ConfigurationError(
                    f"{self._title()}{name} is {shown(value)}; it must be {allowed}"
                )

    def _title(self) -> str:
        """Whose field it is, with a colon."""
        return ""


#: By class, for the types of its fields are read once.
_RANGES: Final[dict[type, tuple[tuple[str, Range], ...]]] = {}


def _ranges(kind: type) -> tuple[tuple[str, Range], ...]:
    if kind not in _RANGES:
        hints = get_type_hints(kind, include_extras=True)
        _RANGES[kind] = tuple(
            (name, hint.__metadata__[0])
            for name, hint in hints.items()
            if get_origin(hint) is Annotated
        )
    return _RANGES[kind]


def check_address(where: str, text: str) -> None:
    """Raises ``ConfigurationError`` unless it is an IP address in its usual form, by which the
    network knows it."""
    try:
        usual = str(ipaddress.ip_address(text))
    except ValueError:
        raise ConfigurationError(
            f"{where} is {shown(text)}; it must be an IP address such as 192.0.2.1 or 2001:db8::1"
        ) from None
    if usual != text:
        raise ConfigurationError(f"{where} is {shown(text)}; write it as {usual!r}")


def shown(value: object) -> str:
    """A value as an error shows it: on one line that is not too long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
