"""Lines of the key-log format that packet analysers read (SSLKEYLOGFILE, RFC 9850)."""

from __future__ import annotations

from typing import Final

CLIENT_HANDSHAKE: Final = "CLIENT_HANDSHAKE_TRAFFIC_SECRET"
SERVER_HANDSHAKE: Final = "SERVER_HANDSHAKE_TRAFFIC_SECRET"
CLIENT_APPLICATION: Final = "CLIENT_TRAFFIC_SECRET_0"
SERVER_APPLICATION: Final = "SERVER_TRAFFIC_SECRET_0"
EXPORTER: Final = "EXPORTER_SECRET"


def key_log_line(label: str, client_random: bytes, secret: bytes) -> str:
    """One line, without its line end."""
    return f"{label} {client_random.hex()} {secret.hex()}"
