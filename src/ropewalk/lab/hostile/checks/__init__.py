"""The checks, a module for each topic."""

from __future__ import annotations

from ropewalk.lab.hostile.check import Check
from ropewalk.lab.hostile.checks import (
    addresses,
    connection_ids,
    crypto_streams,
    establishment,
    floods,
    frames,
    headers,
    keys,
    packet_numbers,
    parameters,
    slow_handshakes,
    streams,
    termination,
    tls,
    tokens,
)

#: The topics by name.
TOPICS: dict[str, tuple[Check, ...]] = {
    "addresses": addresses.CHECKS,
    "connection_ids": connection_ids.CHECKS,
    "crypto_streams": crypto_streams.CHECKS,
    "establishment": establishment.CHECKS,
    "floods": floods.CHECKS,
    "frames": frames.CHECKS,
    "headers": headers.CHECKS,
    "keys": keys.CHECKS,
    "packet_numbers": packet_numbers.CHECKS,
    "parameters": parameters.CHECKS,
    "slow_handshakes": slow_handshakes.CHECKS,
    "streams": streams.CHECKS,
    "termination": termination.CHECKS,
    "tls": tls.CHECKS,
    "tokens": tokens.CHECKS,
}

#: All checks.
CHECKS: tuple[Check, ...] = tuple(check for topic in TOPICS.values() for check in topic)
