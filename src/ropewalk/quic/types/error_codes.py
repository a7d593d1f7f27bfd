"""Transport error codes by their IANA names (RFC 9000 20.1, 9001 4.8, 9368)."""

from __future__ import annotations

from typing import Final

NO_ERROR: Final = 0x00
INTERNAL_ERROR: Final = 0x01
CONNECTION_REFUSED: Final = 0x02
FLOW_CONTROL_ERROR: Final = 0x03
STREAM_LIMIT_ERROR: Final = 0x04
STREAM_STATE_ERROR: Final = 0x05
FINAL_SIZE_ERROR: Final = 0x06
FRAME_ENCODING_ERROR: Final = 0x07
TRANSPORT_PARAMETER_ERROR: Final = 0x08
CONNECTION_ID_LIMIT_ERROR: Final = 0x09
PROTOCOL_VIOLATION: Final = 0x0A
INVALID_TOKEN: Final = 0x0B
APPLICATION_ERROR: Final = 0x0C
CRYPTO_BUFFER_EXCEEDED: Final = 0x0D
KEY_UPDATE_ERROR: Final = 0x0E
AEAD_LIMIT_REACHED: Final = 0x0F
NO_VIABLE_PATH: Final = 0x10
VERSION_NEGOTIATION_ERROR: Final = 0x11
#: CRYPTO_ERROR occupies 0x100 to 0x1ff: the TLS alert is the low byte.
CRYPTO_ERROR: Final = 0x100

_NAMES: Final[dict[int, str]] = {
    NO_ERROR: "NO_ERROR",
    INTERNAL_ERROR: "INTERNAL_ERROR",
    CONNECTION_REFUSED: "CONNECTION_REFUSED",
    FLOW_CONTROL_ERROR: "FLOW_CONTROL_ERROR",
    STREAM_LIMIT_ERROR: "STREAM_LIMIT_ERROR",
    STREAM_STATE_ERROR: "STREAM_STATE_ERROR",
    FINAL_SIZE_ERROR: "FINAL_SIZE_ERROR",
    FRAME_ENCODING_ERROR: "FRAME_ENCODING_ERROR",
    TRANSPORT_PARAMETER_ERROR: "TRANSPORT_PARAMETER_ERROR",
    CONNECTION_ID_LIMIT_ERROR: "CONNECTION_ID_LIMIT_ERROR",
    PROTOCOL_VIOLATION: "PROTOCOL_VIOLATION",
    INVALID_TOKEN: "INVALID_TOKEN",
    APPLICATION_ERROR: "APPLICATION_ERROR",
    CRYPTO_BUFFER_EXCEEDED: "CRYPTO_BUFFER_EXCEEDED",
    KEY_UPDATE_ERROR: "KEY_UPDATE_ERROR",
    AEAD_LIMIT_REACHED: "AEAD_LIMIT_REACHED",
    NO_VIABLE_PATH: "NO_VIABLE_PATH",
    VERSION_NEGOTIATION_ERROR: "VERSION_NEGOTIATION_ERROR",
}

_ALERTS: Final[dict[int, str]] = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}


def transport_error_name(code: int) -> str:
    """The IANA name of a transport error code; CRYPTO_ERROR carries the alert's name."""
    if 0x100 <= code <= 0x1FF:
        return f"CRYPTO_ERROR({alert_name(code - 0x100)})"
    return _NAMES.get(code, "UNKNOWN_ERROR")


def alert_name(alert: int) -> str:
    """The name of a TLS alert (RFC 9846 6)."""
    return _ALERTS.get(alert, "unknown_alert")
