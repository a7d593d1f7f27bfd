"""What the TLS client and server have in common: messages in, messages and secrets out."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from ropewalk.quic.handshake.tls.codepoints import (
    CLIENT_HELLO,
    DECODE_ERROR,
    FINISHED,
    INTERNAL_ERROR,
    MESSAGE_NAMES,
    SERVER_HELLO,
    UNEXPECTED_MESSAGE,
)
from ropewalk.quic.handshake.tls.groups import group_codes
from ropewalk.quic.handshake.tls.key_log import (
    CLIENT_APPLICATION,
    CLIENT_HANDSHAKE,
    EXPORTER,
    SERVER_APPLICATION,
    SERVER_HANDSHAKE,
    key_log_line,
)
from ropewalk.quic.handshake.tls.key_schedule import KeySchedule, export
from ropewalk.quic.protection.labels import hash_of_suite
from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.error_codes import PROTOCOL_VIOLATION
from ropewalk.quic.types.errors import (
    ConfigurationError,
    HandshakeError,
    TransportError,
    Unsupported,
)
from ropewalk.quic.types.handshake import INITIAL, Handshake, TrafficSecret
from ropewalk.quic.wire.reader import Reader, Truncated

#: Longest handshake message that is taken, header included. Certificate chains are the
#: largest; those in use stay below a quarter of it.
MAX_MESSAGE: Final = 65536

_HEADER: Final = 4

#: The peer has to wait after these, or goes on under new keys, and no message may span a
#: change of keys (RFC 9846 5.1).
_LAST_OF_FLIGHT: Final = (CLIENT_HELLO, SERVER_HELLO, FINISHED)
_CRYPTO_FRAME: Final = 0x06


class TlsSession(Handshake):
    """Reassembles messages, checks that they may come now, and keeps what goes out."""

    def __init__(self, config: Configuration) -> None:
        super().__init__()
        self._config = config
        self._suites: list[int] = list(config.cipher_suites)
        for suite in self._suites:
            hash_of_suite(suite)  # raises Unsupported for one that is not built in
        self._groups = group_codes(config.groups)
        if not self._suites or not self._groups:
            raise ConfigurationError("cipher_suites and groups need one entry each at least")
        self._alpn_names: list[bytes] = [name.encode() for name in config.alpn]
        self._transport_parameters = b""
        self._peer_parameters: bytes | None = None
        #: Level at which the next message must come (RFC 9001 4.1.3).
        self._level: i64 = INITIAL
        self._pending = bytearray()
        self._outgoing: list[list[bytes]] = [[], [], [], []]
        self._secrets: list[TrafficSecret] = []
        self._client_random = b""
        self._schedule: KeySchedule | None = None
        self._exporter = b""
        self._exporter_hash = ""

    # -- the Handshake interface
    def receive(self, level: i64, data: bytes) -> None:
        """Take the next in-order CRYPTO bytes of ``level``.

        Raises ``HandshakeError`` with the alert to send, and ``TransportError``
        (PROTOCOL_VIOLATION) where RFC 9001 asks for that.
        """
        if not data:
            return
        if level != self._level:
            raise TransportError(
                PROTOCOL_VIOLATION,
                "CRYPTO data came at an encryption level that the handshake has left",
                _CRYPTO_FRAME,
            )
        pending = self._pending
        pending += data
        while len(pending) >= _HEADER:
            message_type: int = pending[0]
            self._expect(message_type)
            size = _HEADER + int.from_bytes(pending[1:_HEADER], "big")
            if size > MAX_MESSAGE:
                raise HandshakeError(
                    DECODE_ERROR,
                    f"a handshake message of {size} bytes is longer than {MAX_MESSAGE}",
                )
            if len(pending) < size:
                return
            if len(pending) > size and message_type in _LAST_OF_FLIGHT:
                raise HandshakeError(
                    UNEXPECTED_MESSAGE, f"more data follows {_name(message_type)} under old keys"
                )
            message = bytes(pending[:size])
            del pending[:size]
            try:
                self._handle(message_type, Reader(message, _HEADER), message)
            except Truncated:
                raise HandshakeError(
                    DECODE_ERROR, f"{_name(message_type)} ends in the middle of a field"
                ) from None

    def take_crypto(self, level: i64) -> bytes:
        """Bytes to send as CRYPTO at ``level`` that were not taken before; b"" for none."""
        parts = self._outgoing[level]
        if not parts:
            return b""
        self._outgoing[level] = []
        return b"".join(parts)

    def take_secrets(self) -> list[TrafficSecret]:
        """Secrets since the last call, in the order in which they are to be installed."""
        secrets = self._secrets
        self._secrets = []
        return secrets

    def peer_transport_parameters(self) -> bytes | None:
        """The peer's parameters once they have arrived (authenticated only at completion)."""
        return self._peer_parameters

    def export_keying_material(self, label: bytes, context: bytes, length: i64) -> bytes:
        """Exporter (RFC 9846 7.5). Raises ``Unsupported`` before completion and
        ``ConfigurationError`` for a label or length that HKDF cannot express."""
        if not self.complete:
            raise Unsupported("keying material can be exported only once the handshake is complete")
        if not 0 < length <= 255 * 32 or len(label) > 249:
            raise ConfigurationError(
                f"an exporter gives 1 to {255 * 32} bytes and takes labels of up to 249 bytes"
            )
        return export(self._exporter_hash, self._exporter, label, context, length)

    def confirm(self) -> None:
        """Drop transcript and secrets; the exporter keeps working."""
        self._schedule = None
        self._client_random = b""
        self._transport_parameters = b""

    # -- for the client and the server
    def _expect(self, message_type: int) -> None:
        """Raise unexpected_message unless a message of this type may come now."""
        raise NotImplementedError

    def _handle(self, message_type: int, body: Reader, message: bytes) -> None:
        """Process one whole message of an expected type."""
        raise NotImplementedError

    def _send(self, level: i64, message: bytes) -> None:
        self._outgoing[level].append(message)

    def _key_schedule(self) -> KeySchedule:
        schedule = self._schedule
        if schedule is None:
            raise HandshakeError(INTERNAL_ERROR, "the handshake went on after it was confirmed")
        return schedule

    def _log(self, label: str, secret: bytes) -> None:
        key_log = self._config.key_log
        if key_log is not None:
            key_log(key_log_line(label, self._client_random, secret))

    def _log_handshake_secrets(self) -> None:
        schedule = self._key_schedule()
        self._log(CLIENT_HANDSHAKE, schedule.client_handshake)
        self._log(SERVER_HANDSHAKE, schedule.server_handshake)

    def _derive_application_secrets(self) -> None:
        schedule = self._key_schedule()
        schedule.derive_application_secrets()
        self._exporter = schedule.exporter
        self._exporter_hash = schedule.hash_name
        self._log(CLIENT_APPLICATION, schedule.client_application)
        self._log(SERVER_APPLICATION, schedule.server_application)
        self._log(EXPORTER, schedule.exporter)

    def _install(self, level: i64, sending: bool, secret: bytes) -> None:
        self._secrets.append(TrafficSecret(level, sending, self.cipher_suite, secret))


def unexpected(message_type: int, awaited: str) -> HandshakeError:
    """The error for a message that may not come now."""
    return HandshakeError(
        UNEXPECTED_MESSAGE, f"{_name(message_type)} came where {awaited} was expected"
    )


def _name(message_type: int) -> str:
    return MESSAGE_NAMES.get(message_type, f"handshake message {message_type}")
