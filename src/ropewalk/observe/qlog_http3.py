"""HTTP/3 as qlog describes it (draft-ietf-quic-qlog-h3-events-13)."""

from __future__ import annotations

from typing import Final

#: Fields whose values are credentials. Their names are shown, the values are not.
_CREDENTIALS: Final = (
    b"authorization",
    b"proxy-authorization",
    b"cookie",
    b"set-cookie",
    b"authentication-info",
    b"proxy-authentication-info",
)

_STREAM_TYPES: Final[dict[int, str]] = {
    -1: "request",
    0x00: "control",
    0x01: "push",
    0x02: "qpack_encode",
    0x03: "qpack_decode",
}

_SETTINGS: Final[dict[int, str]] = {
    0x01: "settings_qpack_max_table_capacity",
    0x06: "settings_max_field_section_size",
    0x07: "settings_qpack_blocked_streams",
    0x08: "settings_enable_connect_protocol",
    0x33: "settings_h3_datagram",
}

#: Frames that carry one number, and how it is called.
_NUMBERED: Final[dict[int, tuple[str, str]]] = {
    0x03: ("cancel_push", "push_id"),
    0x07: ("goaway", "id"),
    0x0D: ("max_push_id", "push_id"),
}


#: Our names of settings, and those of parameters_set.
_PARAMETERS: Final = (
    ("max_field_section_size", "max_field_section_size"),
    ("qpack_max_table_capacity", "max_table_capacity"),
    ("qpack_blocked_streams", "blocked_streams_count"),
    ("enable_connect_protocol", "extended_connect"),
    ("h3_datagram", "h3_datagram"),
)


def describe_settings(from_peer: bool, values: dict[str, int]) -> dict[str, object]:
    """The data of parameters_set."""
    data: dict[str, object] = {"initiator": "remote" if from_peer else "local"}
    for key, name in _PARAMETERS:
        value = values.get(key)
        if value is not None:
            data[name] = value
    return data


def describe_stream_type(from_peer: bool, stream_id: int, stream_type: int) -> dict[str, object]:
    """The data of stream_type_set."""
    data: dict[str, object] = {
        "initiator": "remote" if from_peer else "local",
        "stream_id": stream_id,
    }
    name = _STREAM_TYPES.get(stream_type)
    if name is None:
        name = "reserved" if _is_reserved(stream_type) else "unknown"
        data["stream_type_bytes"] = stream_type
    data["stream_type"] = name
    return data


def describe_headers(length: int, fields: list[tuple[bytes, bytes]]) -> dict[str, object]:
    """A HEADERS frame."""
    described: list[dict[str, object]] = []
    for name, value in fields:
        one = _text("name", name)
        if name.lower() not in _CREDENTIALS:
            one.update(_text("value", value))
        described.append(one)
    return {"frame_type": "headers", "headers": described, "raw": {"payload_length": length}}


def describe_frame(frame_type: int, length: int, payload: bytes) -> dict[str, object]:
    """Any other frame. Of those that qlog names, the content is described if it is there."""
    numbered = _NUMBERED.get(frame_type)
    if frame_type == 0x00:
        frame: dict[str, object] = {"frame_type": "data"}
    elif frame_type == 0x04 and len(payload) == length:
        frame = {"frame_type": "settings", "settings": _settings(payload)}
    elif numbered is not None and payload:
        name, key = numbered
        frame = {"frame_type": name, key: _varint(payload, 0)[0]}
    else:
        name = "reserved" if _is_reserved(frame_type) else "unknown"
        frame = {"frame_type": name, "frame_type_bytes": frame_type}
    frame["raw"] = {"payload_length": length}
    return frame


def _settings(payload: bytes) -> list[dict[str, object]]:
    settings: list[dict[str, object]] = []
    at = 0
    while at < len(payload):
        identifier, at = _varint(payload, at)
        value, at = _varint(payload, at)
        name = _SETTINGS.get(identifier)
        one: dict[str, object] = {"name": name, "value": value}
        if name is None:
            one["name"] = "reserved" if _is_reserved(identifier) else "unknown"
            one["name_bytes"] = identifier
        settings.append(one)
    return settings


def _text(key: str, data: bytes) -> dict[str, object]:
    try:
        return {key: data.decode()}
    except UnicodeDecodeError:
        return {f"{key}_bytes": data.hex()}


def _is_reserved(number: int) -> bool:
    """RFC 9114 7.2.8: numbers that mean nothing, so that nobody relies on their absence."""
    return number >= 0x21 and (number - 0x21) % 0x1F == 0


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer and where it ends; what is cut short counts as it is."""
    if at >= len(data):
        return 0, at
    size = 1 << (data[at] >> 6)
    value = int.from_bytes(data[at : at + size], "big") & ((1 << (8 * size - 2)) - 1)
    return value, at + size
