"""Finds out before the first packet whether a configuration can work at all."""

from __future__ import annotations

from ropewalk.quic.handshake.factory import make_handshake
from ropewalk.quic.recovery.congestion.registry import make_controller
from ropewalk.quic.types.configuration import Configuration


def check_configuration(config: Configuration, is_client: bool) -> None:
    """Make, and throw away, what a connection would be made of.

    A driver calls this before it binds or connects anything, so that a setting which only
    a part of the core knows to be wrong fails in the hands of whoever chose it, not in the
    first peer's. Raises ``ConfigurationError`` or ``Unsupported``.
    """
    make_controller(config.congestion, config.initial_udp_payload, None)
    make_handshake(config, is_client)
