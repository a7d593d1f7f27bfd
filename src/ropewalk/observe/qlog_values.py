"""The values of qlog's rarer QUIC events."""

from __future__ import annotations

from typing import Final

from ropewalk.observe.qlog_errors import application_error, transport_error

#: RFC 9846 B.4.
CIPHER_SUITES: Final[dict[int, str]] = {
    0x1301: "TLS_AES_128_GCM_SHA256",
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
}

#: Why packets are dropped, in qlog's words.
DROP_TRIGGERS: Final[dict[str, str]] = {
    "not authentic": "decryption_failure",
    "duplicate": "duplicate",
    "no keys": "key_unavailable",
    "keys not yet available": "key_unavailable",
    "malformed long header": "invalid",
    "too short": "invalid",
    "token in a server's Initial": "invalid",
    "Initial in a small datagram": "invalid",
    "other source connection ID": "invalid",
    "other version": "unsupported",
    "unknown address": "rejected",
    "unexpected retry": "rejected",
    "unexpected version negotiation": "rejected",
    "coalesced for another connection": "connection_unknown",
}

_TRIGGERS: Final[dict[str, str]] = {
    "application": "application",
    "transport": "error",
    "idle_timeout": "idle_timeout",
    "version_mismatch": "version_mismatch",
    "stateless_reset": "stateless_reset",
}

#: What becomes of a route, in qlog's words.
MIGRATION_STATES: Final[dict[str, str]] = {
    "probing": "probing_started",
    "validated": "probing_successful",
    "failed": "probing_abandoned",
    "migrated": "migration_started",
}

_KEYS: Final = ("initial", "0rtt", "handshake", "1rtt")
#: Longer values of unknown parameters are not shown.
_LONGEST_VALUE: Final = 64


def endpoint_info(address: str) -> dict[str, object]:
    """One end of a four-tuple. "" is one that nothing is known of."""
    if not address:
        return {}
    if address.startswith("["):
        ip, _, port = address[1:].partition("]:")
        return {"ip_v6": ip, "port_v6": int(port)}
    if address.count(":") > 1:
        return {"ip_v6": address}
    ip, colon, port = address.partition(":")
    return {"ip_v4": ip, "port_v4": int(port)} if colon else {"ip_v4": ip}


def key_type(level: int, client: bool, generation: int, trigger: str) -> dict[str, object]:
    """The data of key_updated and key_discarded; the keys themselves are nobody's business."""
    data: dict[str, object] = {
        "key_type": f"{'client' if client else 'server'}_{_KEYS[level]}_secret",
        "trigger": trigger,
    }
    if level == 3:
        data["key_phase"] = generation
    return data


def describe_close(
    cause: str, from_peer: bool, code: int, reason: str, http3: bool
) -> dict[str, object]:
    """The data of connection_closed."""
    data: dict[str, object] = {
        "initiator": "remote" if from_peer else "local",
        "trigger": _TRIGGERS.get(cause, "aborted"),
    }
    if cause == "application":
        data.update(application_error("application_error", code, http3))
    elif cause == "transport":
        data.update(transport_error("connection_error", code))
    if reason:
        data["reason"] = reason
    return data


def describe_parameters(
    from_peer: bool, values: dict[str, int | bytes], unknown: list[tuple[int, bytes]]
) -> dict[str, object]:
    """The data of parameters_set."""
    data: dict[str, object] = {"initiator": "remote" if from_peer else "local"}
    for name, value in values.items():
        if isinstance(value, bytes):
            data[name] = value.hex()
        elif name in ("disable_active_migration", "grease_quic_bit", "reset_stream_at"):
            data[name] = value == 1
        else:
            data[name] = value
    if unknown:
        listed: list[dict[str, object]] = []
        for identifier, content in unknown:
            one: dict[str, object] = {"id": identifier}
            if len(content) <= _LONGEST_VALUE:
                one["value"] = content.hex()
            listed.append(one)
        data["unknown_parameters"] = listed
    return data
