"""One name for what the drafts have called differently over the years."""

from __future__ import annotations

from typing import Final

from ropewalk.lab.trace.model import PACKET_TYPES
from ropewalk.lab.trace.values import integer, mapping, text

#: Namespaces whose events are today's ``quic:``.
_QUIC: Final = ("connectivity", "quic", "recovery", "security", "transport")
_HTTP: Final = ("h3", "http", "http3")
#: Name without namespace → today's name, where they differ.
_RENAMED: Final = {
    "metrics_updated": "recovery_metrics_updated",
    "path_assigned": "tuple_assigned",
    "key_retired": "key_discarded",
    "datagrams_sent": "udp_datagrams_sent",
    "datagrams_received": "udp_datagrams_received",
    "datagram_dropped": "udp_datagram_dropped",
    "connection_state_changed": "connection_state_updated",
}
_KINDS: Final = {name.lower(): index for index, name in enumerate(PACKET_TYPES)} | {
    "onertt": 3,
    "zerortt": 1,
    "unknown": 7,
}
_SPACES: Final = {"initial": 0, "handshake": 1, "application_data": 2, "appdata": 2}
_VERSIONS: Final = {
    1: "QUIC v1",
    0x6B3343CF: "QUIC v2",
    0: "version negotiation",
}


def event_name(name: str) -> str:
    """Today's name without ``quic:``; of HTTP/3 with ``http3:``; others as they are."""
    namespace, colon, rest = name.partition(":")
    if not colon:
        return _RENAMED.get(name, name)
    if namespace in _HTTP:
        return f"http3:{rest}"
    if namespace not in _QUIC:
        return name
    if namespace == "recovery" and rest == "parameters_set":
        return "recovery_parameters_set"
    return _RENAMED.get(rest, rest)


def packet_kind(name: object) -> int:
    """The index of a packet type in ``PACKET_TYPES``."""
    return _KINDS.get(text(name).lower(), 7)


def number_space(name: object) -> int:
    """The packet-number space of this name; that of 1-RTT unless it says otherwise."""
    return _SPACES.get(text(name), 2)


def version_name(value: object) -> str:
    """``QUIC v1`` and the like, from a number or hexadecimal digits."""
    if isinstance(value, str):
        try:
            number = int(value, 16) if len(value) <= 10 else None
        except ValueError:
            number = None
    else:
        number = integer(value)
    if number is None:
        return text(value, 20)
    if number >> 8 == 0xFF0000:
        return f"draft-{number & 0xFF}"
    return _VERSIONS.get(number, f"version {number:#010x}")


def alpn_name(value: object) -> str:
    """An ALPN, which is a text or an object with one or with bytes."""
    if isinstance(value, str):
        return text(value, 40)
    fields = mapping(value)
    if fields.get("string_value"):
        return text(fields["string_value"], 40)
    try:
        return text(bytes.fromhex(text(fields.get("byte_value"), 80)).decode(), 40)
    except ValueError:
        return ""
