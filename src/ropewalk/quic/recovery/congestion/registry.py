"""Congestion controllers by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mypy_extensions import i64

from ropewalk.quic.recovery.congestion.cubic import Cubic
from ropewalk.quic.recovery.congestion.new_reno import NewReno
from ropewalk.quic.types.congestion import CongestionController, CongestionGroup
from ropewalk.quic.types.errors import ConfigurationError

ControllerFactory = Callable[[int, CongestionGroup | None], CongestionController]

_factories: Final[dict[str, ControllerFactory]] = {"cubic": Cubic, "newreno": NewReno}


def register(name: str, factory: ControllerFactory) -> None:
    """Make a controller available by ``name``. ``factory`` takes the largest datagram size
    in bytes and the connection's group (or None).

    Raises ``ConfigurationError`` when another factory already has the name.
    """
    if _factories.get(name, factory) is not factory:
        raise ConfigurationError(
            f"a congestion controller named {name!r} exists already; choose another name"
        )
    _factories[name] = factory


def known_controllers() -> list[str]:
    """Names that :func:`make_controller` takes, sorted."""
    return sorted(_factories)


def make_controller(
    name: str, max_datagram_size: i64, group: CongestionGroup | None
) -> CongestionController:
    """A fresh controller for one route; it joins ``group`` when there is one.

    Raises ``ConfigurationError``, naming the known ones, for a name nobody registered.
    """
    factory = _factories.get(name)
    if factory is None:
        known = ", ".join(known_controllers())
        raise ConfigurationError(f"no congestion controller is called {name!r}; known are: {known}")
    controller = factory(int(max_datagram_size), group)
    if group is not None:
        group.join(controller)
    return controller
