"""The client's side of TLS 1.3 for QUIC (RFC 9846 A.1, RFC 9001 4 and 8)."""

from __future__ import annotations

from typing import Final, final

from cryptography.hazmat.primitives.constant_time import bytes_eq
from mypy_extensions import i64

from ropewalk.quic.handshake.tls import codepoints as tls
from ropewalk.quic.handshake.tls.certificates import ServerVerifier
from ropewalk.quic.handshake.tls.codec import check_response, message
from ropewalk.quic.handshake.tls.extensions import (
    check_server_version,
    encode_alpn,
    encode_client_shares,
    encode_client_versions,
    encode_server_name,
    encode_u16_vector,
    is_ip_literal,
    read_alpn,
    read_cookie,
    read_selected_group,
    read_server_share,
)
from ropewalk.quic.handshake.tls.groups import (
    KeyExchange,
    group_codes,
    group_name,
    make_key_shares,
)
from ropewalk.quic.handshake.tls.key_schedule import KeySchedule
from ropewalk.quic.handshake.tls.messages import (
    ServerHello,
    encode_certificate,
    encode_client_hello,
    parse_certificate,
    parse_certificate_request,
    parse_certificate_verify,
    parse_encrypted_extensions,
    parse_new_session_ticket,
    parse_server_hello,
)
from ropewalk.quic.handshake.tls.session import TlsSession, unexpected
from ropewalk.quic.handshake.tls.signatures import (
    OFFERED_SCHEMES,
    server_content,
)
from ropewalk.quic.protection.labels import hash_of_suite
from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.error_codes import PROTOCOL_VIOLATION
from ropewalk.quic.types.errors import HandshakeError, TransportError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.quic.wire.reader import Reader

_WAIT_SERVER_HELLO: Final = 0
_WAIT_ENCRYPTED_EXTENSIONS: Final = 1
_WAIT_CERTIFICATE_OR_REQUEST: Final = 2
_WAIT_CERTIFICATE: Final = 3
_WAIT_CERTIFICATE_VERIFY: Final = 4
_WAIT_FINISHED: Final = 5
_CONNECTED: Final = 6

#: What may come in each state.
_EXPECTED: Final[dict[int, tuple[int, ...]]] = {
    _WAIT_SERVER_HELLO: (tls.SERVER_HELLO,),
    _WAIT_ENCRYPTED_EXTENSIONS: (tls.ENCRYPTED_EXTENSIONS,),
    _WAIT_CERTIFICATE_OR_REQUEST: (tls.CERTIFICATE_REQUEST, tls.CERTIFICATE),
    _WAIT_CERTIFICATE: (tls.CERTIFICATE,),
    _WAIT_CERTIFICATE_VERIFY: (tls.CERTIFICATE_VERIFY,),
    _WAIT_FINISHED: (tls.FINISHED,),
    _CONNECTED: (tls.NEW_SESSION_TICKET,),
}

_IN_SERVER_HELLO: Final = (tls.SUPPORTED_VERSIONS, tls.KEY_SHARE, tls.PRE_SHARED_KEY)
_IN_RETRY_REQUEST: Final = (tls.SUPPORTED_VERSIONS, tls.KEY_SHARE, tls.COOKIE)
_IN_ENCRYPTED_EXTENSIONS: Final = (
    tls.SERVER_NAME,
    tls.SUPPORTED_GROUPS,
    tls.ALPN,
    tls.EARLY_DATA,
    tls.QUIC_TRANSPORT_PARAMETERS,
)

#: RFC 9001 4.6.1: the only max_early_data_size that a ticket for QUIC may name.
_QUIC_EARLY_DATA: Final = b"\xff\xff\xff\xff"


@final
class TlsClient(TlsSession):
    """One client handshake. ``config.verification`` decides whom it trusts.

    Raises ``ConfigurationError`` at once for settings that cannot work: an unknown group, a
    policy without roots, a name that no certificate can carry.
    """

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.server_name = config.server_name
        shares = group_codes(config.key_shares)
        # RFC 9846 4.3.8: shares stand in the order of supported_groups.
        self._share_groups = [group for group in self._groups if group in shares]
        self._verifier = ServerVerifier(config.verification, config.server_name)
        self._server_name_body = b""
        if config.server_name is not None and not is_ip_literal(config.server_name):
            self._server_name_body = encode_server_name(config.server_name)
        self._state: i64 = _WAIT_SERVER_HELLO
        self._exchanges: list[KeyExchange] = []
        self._offered: list[int] = []
        self._hello = b""
        self._retried = False
        self._cookie = b""
        self._certificate_requested = False

    def start(self, transport_parameters: bytes) -> None:
        """Make the ClientHello; it waits at the Initial level."""
        self._transport_parameters = transport_parameters
        entropy = self._config.entropy
        self._client_random = entropy(32)
        self._exchanges = make_key_shares(self._share_groups, entropy)
        self._send_hello()

    def confirm(self) -> None:
        """Drop what only the handshake needed."""
        super().confirm()
        self._exchanges = []
        self._hello = b""
        self._verifier.forget()

    # -- sending
    def _send_hello(self) -> None:
        extensions: list[tuple[int, bytes]] = []
        if self._server_name_body:
            extensions.append((tls.SERVER_NAME, self._server_name_body))
        extensions.append((tls.SUPPORTED_VERSIONS, encode_client_versions()))
        extensions.append((tls.SUPPORTED_GROUPS, encode_u16_vector(self._groups)))
        extensions.append((tls.SIGNATURE_ALGORITHMS, encode_u16_vector(OFFERED_SCHEMES)))
        extensions.append((tls.ALPN, encode_alpn(self._alpn_names)))
        extensions.append((tls.QUIC_TRANSPORT_PARAMETERS, self._transport_parameters))
        if self._cookie:
            extensions.append((tls.COOKIE, self._cookie))
        extensions.append((tls.KEY_SHARE, encode_client_shares(self._exchanges)))
        self._offered = [extension[0] for extension in extensions]
        self._hello = encode_client_hello(self._client_random, self._suites, extensions)
        self._send(INITIAL, self._hello)

    # -- receiving
    def _expect(self, message_type: int) -> None:
        state: int = self._state
        expected = _EXPECTED[state]
        if state == _CONNECTED and message_type == tls.CERTIFICATE_REQUEST:
            # RFC 9001 4.4 names this code, for no stream could be told whom it concerns.
            raise TransportError(
                PROTOCOL_VIOLATION, "the server asks for a certificate after the handshake", 0x06
            )
        if message_type not in expected:
            raise unexpected(message_type, tls.MESSAGE_NAMES[expected[-1]])

    def _handle(self, message_type: int, body: Reader, message: bytes) -> None:
        if message_type == tls.SERVER_HELLO:
            hello = parse_server_hello(body)
            self._check_hello(hello)
            if hello.is_retry:
                self._retry(hello, message)
            else:
                self._begin_encryption(hello, message)
        elif message_type == tls.ENCRYPTED_EXTENSIONS:
            self._take_extensions(parse_encrypted_extensions(body))
            self._advance(_WAIT_CERTIFICATE_OR_REQUEST, message)
        elif message_type == tls.CERTIFICATE_REQUEST:
            if parse_certificate_request(body):
                raise HandshakeError(
                    tls.ILLEGAL_PARAMETER, "the CertificateRequest has a context (RFC 9846 4.4.2)"
                )
            self._certificate_requested = True
            self._advance(_WAIT_CERTIFICATE, message)
        elif message_type == tls.CERTIFICATE:
            self._take_certificate(body)
            self._advance(_WAIT_CERTIFICATE_VERIFY, message)
        elif message_type == tls.CERTIFICATE_VERIFY:
            self._check_possession(body)
            self._advance(_WAIT_FINISHED, message)
        elif message_type == tls.FINISHED:
            self._finish(body, message)
        else:
            self._take_ticket(body)

    def _advance(self, state: i64, message: bytes) -> None:
        self._key_schedule().add(message)
        self._state = state

    def _check_hello(self, hello: ServerHello) -> None:
        """The checks that a ServerHello and a HelloRetryRequest share."""
        if hello.is_retry and self._retried:
            raise HandshakeError(tls.UNEXPECTED_MESSAGE, "a second HelloRetryRequest came")
        check_server_version(hello.extensions, hello.legacy_version)
        if hello.session_id:
            raise HandshakeError(
                tls.ILLEGAL_PARAMETER, "the server echoes a session ID that was not sent"
            )
        suite = hello.cipher_suite
        if suite not in self._suites:
            raise HandshakeError(
                tls.ILLEGAL_PARAMETER, f"the server chose suite 0x{suite:04x}, not offered"
            )
        if self._retried and suite != self.cipher_suite:
            raise HandshakeError(
                tls.ILLEGAL_PARAMETER,
                "the ServerHello's suite differs from the HelloRetryRequest's",
            )
        offered = self._offered
        if hello.is_retry:
            # A cookie is the one extension that a server may send unasked.
            check_response(
                hello.extensions, [*offered, tls.COOKIE], _IN_RETRY_REQUEST, "HelloRetryRequest"
            )
        else:
            check_response(hello.extensions, offered, _IN_SERVER_HELLO, "ServerHello")
        self.cipher_suite = suite
        if self._schedule is None:
            self._schedule = KeySchedule(hash_of_suite(suite))
            self._schedule.add(self._hello)

    def _retry(self, hello: ServerHello, message: bytes) -> None:
        """Answer a HelloRetryRequest (RFC 9846 4.2.4)."""
        key_share = hello.extensions.get(tls.KEY_SHARE)
        cookie = hello.extensions.get(tls.COOKIE)
        if key_share is None and cookie is None:
            raise HandshakeError(
                tls.ILLEGAL_PARAMETER, "the HelloRetryRequest would change nothing"
            )
        if key_share is not None:
            group = read_selected_group(key_share)
            if group not in self._groups or group in self._share_groups:
                raise HandshakeError(
                    tls.ILLEGAL_PARAMETER,
                    f"the HelloRetryRequest asks for group {group_name(group)}, "
                    "which was not offered or has a share already",
                )
            self._exchanges = make_key_shares([group], self._config.entropy)
        if cookie is not None:
            self._cookie = read_cookie(cookie)
        self._retried = True
        schedule = self._key_schedule()
        schedule.restart_for_retry()
        schedule.add(message)
        self._send_hello()
        schedule.add(self._hello)

    def _begin_encryption(self, hello: ServerHello, message: bytes) -> None:
        body = hello.extensions.get(tls.KEY_SHARE)
        if body is None:
            raise HandshakeError(tls.MISSING_EXTENSION, "the ServerHello has no key_share")
        group, share = read_server_share(body)
        exchange: KeyExchange | None = None
        for candidate in self._exchanges:
            if candidate.group == group:
                exchange = candidate
        if exchange is None:
            raise HandshakeError(
                tls.ILLEGAL_PARAMETER,
                f"the server's share is for group {group_name(group)}, for which none was sent",
            )
        secret = exchange.agree(share)
        self.group = group_name(group)
        schedule = self._key_schedule()
        self._advance(_WAIT_ENCRYPTED_EXTENSIONS, message)
        schedule.agree(secret)
        self._exchanges = []
        self._hello = b""
        self._log_handshake_secrets()
        self._install(HANDSHAKE, False, schedule.server_handshake)
        self._install(HANDSHAKE, True, schedule.client_handshake)
        self._level = HANDSHAKE

    def _take_extensions(self, extensions: dict[int, bytes]) -> None:
        check_response(extensions, self._offered, _IN_ENCRYPTED_EXTENSIONS, "EncryptedExtensions")
        if extensions.get(tls.SERVER_NAME):
            raise HandshakeError(tls.DECODE_ERROR, "the server's server_name is not empty")
        parameters = extensions.get(tls.QUIC_TRANSPORT_PARAMETERS)
        if parameters is None:
            raise HandshakeError(
                tls.MISSING_EXTENSION, "the server sent no QUIC transport parameters"
            )
        self._peer_parameters = parameters
        alpn = extensions.get(tls.ALPN)
        if alpn is None:
            # RFC 9001 8.1: without an agreed protocol the connection cannot go on.
            raise HandshakeError(
                tls.NO_APPLICATION_PROTOCOL,
                "the server chose none of the offered protocols: " + ", ".join(self._config.alpn),
            )
        names = read_alpn(alpn)
        if len(names) != 1:
            raise HandshakeError(tls.DECODE_ERROR, "the server chose more than one protocol")
        if names[0] not in self._alpn_names:
            # RFC 9001 8.1: this alert whenever the negotiation of a protocol fails.
            raise HandshakeError(
                tls.NO_APPLICATION_PROTOCOL, f"the server chose protocol {names[0]!r}, not offered"
            )
        self.alpn = names[0].decode()

    def _take_certificate(self, body: Reader) -> None:
        context, entries = parse_certificate(body)
        if context:
            raise HandshakeError(
                tls.ILLEGAL_PARAMETER, "the server's Certificate has a request context"
            )
        if not entries:
            raise HandshakeError(tls.DECODE_ERROR, "the server sent no certificate")
        chain: list[bytes] = []
        for entry in entries:
            check_response(entry.extensions, self._offered, (), "a certificate entry")
            chain.append(entry.certificate)
        self.peer_identity = self._verifier.verify(chain, self._config.wall_clock())

    def _check_possession(self, body: Reader) -> None:
        scheme, signature = parse_certificate_verify(body)
        content = server_content(self._key_schedule().transcript_hash())
        self._verifier.check_possession(scheme, signature, content)

    def _finish(self, body: Reader, received: bytes) -> None:
        schedule = self._key_schedule()
        if body.remaining() != schedule.hash_length:
            raise HandshakeError(tls.DECODE_ERROR, "the server's Finished has a wrong length")
        verify_data = body.take(schedule.hash_length)
        if not bytes_eq(verify_data, schedule.finished(schedule.server_handshake)):
            raise HandshakeError(tls.DECRYPT_ERROR, "the server's Finished does not fit")
        self._advance(_CONNECTED, received)
        self._derive_application_secrets()
        if self._certificate_requested:
            # RFC 9846 4.5.1: a client without a certificate says so with an empty list.
            empty = encode_certificate(b"", [])
            schedule.add(empty)
            self._send(HANDSHAKE, empty)
        self._send(HANDSHAKE, message(tls.FINISHED, schedule.finished(schedule.client_handshake)))
        self._install(ONE_RTT, False, schedule.server_application)
        self._install(ONE_RTT, True, schedule.client_application)
        self._level = ONE_RTT
        self.complete = True

    def _take_ticket(self, body: Reader) -> None:
        """Check a session ticket's form; resumption is not built yet, so it is not kept."""
        ticket = parse_new_session_ticket(body)
        early_data = ticket.extensions.get(tls.EARLY_DATA)
        if early_data is not None and early_data != _QUIC_EARLY_DATA:
            raise TransportError(
                PROTOCOL_VIOLATION,
                "a session ticket limits early data in bytes (RFC 9001 4.6.1)",
                0x06,
            )
