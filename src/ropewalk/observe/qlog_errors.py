"""Error codes by the names that qlog has for them."""

from __future__ import annotations

from typing import Final

#: RFC 9000 20.1, by code.
_TRANSPORT: Final = (
    "no_error",
    "internal_error",
    "connection_refused",
    "flow_control_error",
    "stream_limit_error",
    "stream_state_error",
    "final_size_error",
    "frame_encoding_error",
    "transport_parameter_error",
    "connection_id_limit_error",
    "protocol_violation",
    "invalid_token",
    "application_error",
    "crypto_buffer_exceeded",
    "key_update_error",
    "aead_limit_reached",
    "no_viable_path",
)

#: RFC 9114 8.1, from 0x100 on. qlog has no name for H3_MESSAGE_ERROR (0x10e).
_HTTP3: Final = (
    "http_no_error",
    "http_general_protocol_error",
    "http_internal_error",
    "http_stream_creation_error",
    "http_closed_critical_stream",
    "http_frame_unexpected",
    "http_frame_error",
    "http_excessive_load",
    "http_id_error",
    "http_settings_error",
    "http_missing_settings",
    "http_request_rejected",
    "http_request_cancelled",
    "http_request_incomplete",
    "",
    "http_connect_error",
    "http_version_fallback",
)
_FIRST_HTTP3: Final = 0x100


def transport_error(key: str, code: int) -> dict[str, object]:
    """A transport's code: its name, or "unknown" and the number beside it."""
    if 0 <= code < len(_TRANSPORT):
        return {key: _TRANSPORT[code]}
    if 0x100 <= code <= 0x1FF:
        return {key: f"crypto_error_0x{code:x}"}
    return {key: "unknown", "error_code": code}


def application_error(key: str, code: int, http3: bool) -> dict[str, object]:
    """An application's code, by name only where the application is HTTP/3."""
    index = code - _FIRST_HTTP3
    if http3 and 0 <= index < len(_HTTP3) and _HTTP3[index]:
        return {key: _HTTP3[index]}
    return {key: "unknown", "error_code": code}
