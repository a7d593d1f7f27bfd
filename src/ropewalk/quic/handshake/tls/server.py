"""The server's side of TLS 1.3 for QUIC (RFC 9846 A.2, RFC 9001 4 and 8)."""

from __future__ import annotations

from typing import Final, final

from cryptography.hazmat.primitives.constant_time import bytes_eq
from mypy_extensions import i64

from ropewalk.quic.handshake.tls import codepoints as tls
from ropewalk.quic.handshake.tls.codec import message, u16, vector16
from ropewalk.quic.handshake.tls.extensions import (
    check_client_versions,
    encode_alpn,
    offered_alpn,
    offered_server_name,
    read_client_shares,
    read_u16_vector,
)
from ropewalk.quic.handshake.tls.groups import answer_key_share, group_name
from ropewalk.quic.handshake.tls.key_schedule import KeySchedule
from ropewalk.quic.handshake.tls.messages import (
    ClientHello,
    encode_certificate,
    encode_certificate_verify,
    encode_encrypted_extensions,
    encode_server_hello,
    parse_client_hello,
)
from ropewalk.quic.handshake.tls.session import TlsSession, unexpected
from ropewalk.quic.handshake.tls.signatures import schemes_of_private_key, server_content, sign
from ropewalk.quic.protection.labels import hash_of_suite
from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.error_codes import PROTOCOL_VIOLATION
from ropewalk.quic.types.errors import ConfigurationError, HandshakeError, TransportError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.quic.types.identity import Credential
from ropewalk.quic.wire.reader import Reader

_WAIT_CLIENT_HELLO: Final = 0
_WAIT_SECOND_CLIENT_HELLO: Final = 1
_WAIT_FINISHED: Final = 2
_CONNECTED: Final = 3

#: What may come in each state; after the handshake a QUIC client has nothing to say in TLS.
_EXPECTED: Final[dict[int, tuple[int, ...]]] = {
    _WAIT_CLIENT_HELLO: (tls.CLIENT_HELLO,),
    _WAIT_SECOND_CLIENT_HELLO: (tls.CLIENT_HELLO,),
    _WAIT_FINISHED: (tls.FINISHED,),
    _CONNECTED: (),
}


@final
class TlsServer(TlsSession):
    """One server handshake. ``config.credentials`` finds the certificate.

    Raises ``ConfigurationError`` at once without credentials or for an unknown group.
    """

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        if config.credentials is None:
            raise ConfigurationError(
                "a server needs credentials: set Configuration.credentials, for example to "
                "StaticCredentials(load_credential(certificate, key))"
            )
        self._credentials = config.credentials
        self._state: i64 = _WAIT_CLIENT_HELLO
        self._first_hello: ClientHello | None = None
        self._retry_group = 0

    def start(self, transport_parameters: bytes) -> None:
        """Keep the transport parameters until the ClientHello comes."""
        self._transport_parameters = transport_parameters

    def confirm(self) -> None:
        """Drop what only the handshake needed."""
        super().confirm()
        self._first_hello = None

    # -- receiving
    def _expect(self, message_type: int) -> None:
        state: int = self._state
        expected = _EXPECTED[state]
        if message_type not in expected:
            raise unexpected(
                message_type, tls.MESSAGE_NAMES[expected[0]] if expected else "nothing"
            )

    def _handle(self, message_type: int, body: Reader, message: bytes) -> None:
        if message_type == tls.FINISHED:
            self._take_finished(body)
            return
        hello = parse_client_hello(body)
        self._check_hello(hello)
        groups = read_u16_vector(hello.extensions[tls.SUPPORTED_GROUPS], "supported_groups")
        shares = read_client_shares(hello.extensions[tls.KEY_SHARE], groups)
        first = self._first_hello
        if first is not None:
            self._compare_hellos(first, hello, shares)
        group = self._choose_group(groups, shares)
        self.cipher_suite = self._choose_suite(hello)
        if self._schedule is None:
            self._schedule = KeySchedule(hash_of_suite(self.cipher_suite))
        self._schedule.add(message)
        if group not in shares:
            self._request_retry(hello, group)
            return
        self._answer(hello, group, shares[group])

    def _check_hello(self, hello: ClientHello) -> None:
        """What RFC 9846 4.2.2, 4.3 and 9.2 and RFC 9001 8 ask of every ClientHello."""
        extensions = hello.extensions
        check_client_versions(extensions, hello.legacy_version)
        if hello.session_id:
            # RFC 9001 8.4: the middlebox compatibility mode has no place in QUIC.
            raise TransportError(
                PROTOCOL_VIOLATION, "the ClientHello's legacy_session_id is not empty", 0x06
            )
        if hello.compression_methods != b"\x00":
            raise HandshakeError(
                tls.ILLEGAL_PARAMETER, "the ClientHello offers compression methods"
            )
        if tls.PRE_SHARED_KEY in extensions:
            if list(extensions)[-1] != tls.PRE_SHARED_KEY:
                raise HandshakeError(
                    tls.ILLEGAL_PARAMETER, "pre_shared_key is not the ClientHello's last extension"
                )
            if tls.PSK_KEY_EXCHANGE_MODES not in extensions:
                raise HandshakeError(
                    tls.MISSING_EXTENSION, "pre_shared_key came without psk_key_exchange_modes"
                )
        for required, name in (
            (tls.SUPPORTED_GROUPS, "supported_groups"),
            (tls.KEY_SHARE, "key_share"),
            (tls.SIGNATURE_ALGORITHMS, "signature_algorithms"),
            (tls.QUIC_TRANSPORT_PARAMETERS, "quic_transport_parameters"),
        ):
            if required not in extensions:
                raise HandshakeError(tls.MISSING_EXTENSION, f"the ClientHello lacks {name}")

    def _compare_hellos(
        self, first: ClientHello, hello: ClientHello, shares: dict[int, bytes]
    ) -> None:
        """A ClientHello may change only so much after a HelloRetryRequest (RFC 9846 4.2.2)."""
        if (
            hello.random != first.random
            or hello.cipher_suites != first.cipher_suites
            or list(shares) != [self._retry_group]
            or tls.EARLY_DATA in hello.extensions
        ):
            raise HandshakeError(
                tls.ILLEGAL_PARAMETER,
                "the second ClientHello does not answer the HelloRetryRequest",
            )

    def _choose_suite(self, hello: ClientHello) -> int:
        for suite in self._suites:
            if suite in hello.cipher_suites:
                return suite
        raise HandshakeError(
            tls.HANDSHAKE_FAILURE, "the client offers no cipher suite that this server speaks"
        )

    def _choose_group(self, groups: list[int], shares: dict[int, bytes]) -> int:
        """Our first choice with a share, so that no round trip is spent, else without one."""
        for group in self._groups:
            if group in shares:
                return group
        for group in self._groups:
            if group in groups:
                return group
        raise HandshakeError(
            tls.HANDSHAKE_FAILURE, "the client offers no key-exchange group of this server's"
        )

    def _choose_alpn(self, hello: ClientHello) -> bytes:
        offered = offered_alpn(hello.extensions)
        for name in self._alpn_names:
            if name in offered:
                return name
        # RFC 9001 8.1 asks for this alert even when the client offers nothing at all.
        raise HandshakeError(
            tls.NO_APPLICATION_PROTOCOL,
            f"the client offers {_listed(offered)}, this server speaks "
            + ", ".join(self._config.alpn),
        )

    def _choose_scheme(self, hello: ClientHello, credential: Credential) -> int:
        offered = read_u16_vector(
            hello.extensions[tls.SIGNATURE_ALGORITHMS], "signature_algorithms"
        )
        for scheme in schemes_of_private_key(credential.private_key):
            if scheme in offered:
                return scheme
        raise HandshakeError(
            tls.HANDSHAKE_FAILURE,
            "the client accepts no signature that this server's key can make",
        )

    # -- sending
    def _request_retry(self, hello: ClientHello, group: int) -> None:
        self._state = _WAIT_SECOND_CLIENT_HELLO
        self._first_hello = hello
        self._retry_group = group
        retry = encode_server_hello(
            tls.HELLO_RETRY_REQUEST,
            self.cipher_suite,
            [(tls.SUPPORTED_VERSIONS, u16(tls.TLS_1_3)), (tls.KEY_SHARE, u16(group))],
        )
        schedule = self._key_schedule()
        schedule.restart_for_retry()
        schedule.add(retry)
        self._send(INITIAL, retry)

    def _answer(self, hello: ClientHello, group: int, client_share: bytes) -> None:
        """The whole flight, ServerHello to Finished."""
        name = offered_server_name(hello.extensions)
        alpn = self._choose_alpn(hello)
        credential = self._credentials.find(name)
        if credential is None:
            raise HandshakeError(
                tls.UNRECOGNIZED_NAME, f"this server has no certificate for {name or 'no name'}"
            )
        scheme = self._choose_scheme(hello, credential)
        entropy = self._config.entropy
        share, secret = answer_key_share(group, client_share, entropy)
        self.server_name = name
        self.alpn = alpn.decode()
        self.group = group_name(group)
        self._client_random = hello.random
        self._peer_parameters = hello.extensions[tls.QUIC_TRANSPORT_PARAMETERS]

        schedule = self._key_schedule()
        server_hello = encode_server_hello(
            entropy(32),
            self.cipher_suite,
            [
                (tls.SUPPORTED_VERSIONS, u16(tls.TLS_1_3)),
                (tls.KEY_SHARE, u16(group) + vector16(share)),
            ],
        )
        schedule.add(server_hello)
        self._send(INITIAL, server_hello)
        schedule.agree(secret)
        self._log_handshake_secrets()
        self._install(HANDSHAKE, True, schedule.server_handshake)
        self._install(HANDSHAKE, False, schedule.client_handshake)

        extensions: list[tuple[int, bytes]] = [
            (tls.ALPN, encode_alpn([alpn])),
            (tls.QUIC_TRANSPORT_PARAMETERS, self._transport_parameters),
        ]
        if name is not None:
            extensions.append((tls.SERVER_NAME, b""))  # RFC 6066 3: the name was used
        self._send_hashed(encode_encrypted_extensions(extensions))
        self._send_hashed(encode_certificate(b"", credential.certificates))
        signature = sign(
            credential.private_key,
            scheme,
            server_content(schedule.transcript_hash()),
            self._config.deterministic_signing,
        )
        self._send_hashed(encode_certificate_verify(scheme, signature))
        self._send_hashed(message(tls.FINISHED, schedule.finished(schedule.server_handshake)))
        self._derive_application_secrets()
        self._install(ONE_RTT, True, schedule.server_application)
        self._first_hello = None
        self._level = HANDSHAKE
        self._state = _WAIT_FINISHED

    def _send_hashed(self, handshake_message: bytes) -> None:
        self._key_schedule().add(handshake_message)
        self._send(HANDSHAKE, handshake_message)

    def _take_finished(self, body: Reader) -> None:
        schedule = self._key_schedule()
        if body.remaining() != schedule.hash_length:
            raise HandshakeError(tls.DECODE_ERROR, "the client's Finished has a wrong length")
        verify_data = body.take(schedule.hash_length)
        if not bytes_eq(verify_data, schedule.finished(schedule.client_handshake)):
            raise HandshakeError(tls.DECRYPT_ERROR, "the client's Finished does not fit")
        # RFC 9001 5.7: 1-RTT packets of the client count only once the handshake is complete.
        self._install(ONE_RTT, False, schedule.client_application)
        self._level = ONE_RTT
        self._state = _CONNECTED
        self.complete = True


def _listed(protocols: list[bytes]) -> str:
    names = [name.decode("ascii", "backslashreplace") for name in protocols]
    return ", ".join(names) or "no protocol at all"
