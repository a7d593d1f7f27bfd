"""What a server answers to ClientHellos that break a rule: the alert of RFC 9846 and 9001."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ropewalk.quic.handshake.credentials import NamedCredentials, load_credential
from ropewalk.quic.handshake.tls import TlsServer
from ropewalk.quic.handshake.tls import codepoints as tls
from ropewalk.quic.handshake.tls.codec import message, vector8, vector16
from ropewalk.quic.handshake.tls.extensions import encode_alpn, encode_u16_vector
from ropewalk.quic.handshake.tls.groups import X25519_MLKEM768, make_key_shares
from ropewalk.quic.handshake.tls.messages import ClientHello
from ropewalk.quic.handshake.tls.session import MAX_MESSAGE
from ropewalk.quic.types.error_codes import PROTOCOL_VIOLATION
from ropewalk.quic.types.errors import HandshakeError, TransportError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from tests.handshake.tls_pair import (
    CERTIFICATE,
    Pair,
    alert_of,
    client_config,
    read_client_hello,
    seeded,
    server_config,
    write_client_hello,
)


def share(group: int, key: bytes) -> bytes:
    return group.to_bytes(2, "big") + vector16(key)


def hybrid_share() -> bytes:
    return make_key_shares([X25519_MLKEM768], seeded(30))[0].share


def set_extension(extension_type: int, body: bytes) -> Callable[[ClientHello], None]:
    def bend(hello: ClientHello) -> None:
        hello.extensions[extension_type] = body

    return bend


def drop(extension_type: int) -> Callable[[ClientHello], None]:
    def bend(hello: ClientHello) -> None:
        del hello.extensions[extension_type]

    return bend


def set_field(name: str, value: object) -> Callable[[ClientHello], None]:
    def bend(hello: ClientHello) -> None:
        setattr(hello, name, value)

    return bend


def add_psk(modes: bool, last: bool) -> Callable[[ClientHello], None]:
    def bend(hello: ClientHello) -> None:
        if modes:
            hello.extensions[tls.PSK_KEY_EXCHANGE_MODES] = b"\x01\x01"
        hello.extensions[tls.PRE_SHARED_KEY] = b"whatever"
        if not last:
            hello.extensions[0xFAFA] = b""

    return bend


BAD_HELLOS: list[tuple[str, Callable[[ClientHello], None], int]] = [
    ("no supported_versions", drop(tls.SUPPORTED_VERSIONS), tls.PROTOCOL_VERSION),
    ("TLS 1.2 only", set_extension(tls.SUPPORTED_VERSIONS, b"\x02\x03\x03"), tls.PROTOCOL_VERSION),
    ("legacy_version of TLS 1.3", set_field("legacy_version", 0x0304), tls.PROTOCOL_VERSION),
    ("no version at all", set_extension(tls.SUPPORTED_VERSIONS, b"\x00"), tls.DECODE_ERROR),
    ("odd versions", set_extension(tls.SUPPORTED_VERSIONS, b"\x03\x03\x04\x00"), tls.DECODE_ERROR),
    (
        "bytes after the versions",
        set_extension(tls.SUPPORTED_VERSIONS, b"\x02\x03\x04\x00"),
        tls.DECODE_ERROR,
    ),
    ("compression", set_field("compression_methods", b"\x01\x00"), tls.ILLEGAL_PARAMETER),
    ("no compression list", set_field("compression_methods", b""), tls.DECODE_ERROR),
    ("session ID of 33 bytes", set_field("session_id", bytes(33)), tls.DECODE_ERROR),
    ("no suites", set_field("cipher_suites", []), tls.DECODE_ERROR),
    ("unknown suites", set_field("cipher_suites", [0x1304, 0x00FF]), tls.HANDSHAKE_FAILURE),
    ("no groups", drop(tls.SUPPORTED_GROUPS), tls.MISSING_EXTENSION),
    ("no key_share", drop(tls.KEY_SHARE), tls.MISSING_EXTENSION),
    ("no signature_algorithms", drop(tls.SIGNATURE_ALGORITHMS), tls.MISSING_EXTENSION),
    ("no transport parameters", drop(tls.QUIC_TRANSPORT_PARAMETERS), tls.MISSING_EXTENSION),
    ("no ALPN", drop(tls.ALPN), tls.NO_APPLICATION_PROTOCOL),
    (
        "ALPN that the server does not speak",
        set_extension(tls.ALPN, encode_alpn([b"h2", b"http/1.1"])),
        tls.NO_APPLICATION_PROTOCOL,
    ),
    ("empty ALPN list", set_extension(tls.ALPN, b"\x00\x00"), tls.DECODE_ERROR),
    ("empty ALPN name", set_extension(tls.ALPN, b"\x00\x01\x00"), tls.DECODE_ERROR),
    ("bytes after ALPN", set_extension(tls.ALPN, b"\x00\x03\x02h3!"), tls.DECODE_ERROR),
    ("ALPN cut short", set_extension(tls.ALPN, b"\x00\x05\x02h3"), tls.DECODE_ERROR),
    (
        "foreign groups",
        lambda hello: hello.extensions.update(
            {
                tls.SUPPORTED_GROUPS: encode_u16_vector([0x0019, 0x0100]),
                tls.KEY_SHARE: b"\x00\x00",
            }
        ),
        tls.HANDSHAKE_FAILURE,
    ),
    (
        "a share for a group not offered",
        set_extension(tls.SUPPORTED_GROUPS, encode_u16_vector([0x0017])),
        tls.ILLEGAL_PARAMETER,
    ),
    (
        "two shares for a group",
        set_extension(tls.KEY_SHARE, vector16(share(0x1D, bytes(32)) * 2)),
        tls.ILLEGAL_PARAMETER,
    ),
    (
        "an X25519 share of zeros",
        set_extension(tls.KEY_SHARE, vector16(share(0x1D, bytes(32)))),
        tls.ILLEGAL_PARAMETER,
    ),
    (
        "an X25519 share of 31 bytes",
        set_extension(tls.KEY_SHARE, vector16(share(0x1D, b"1" * 31))),
        tls.ILLEGAL_PARAMETER,
    ),
    (
        "a P-256 point off the curve",
        set_extension(tls.KEY_SHARE, vector16(share(0x17, b"\x04" + b"1" * 64))),
        tls.ILLEGAL_PARAMETER,
    ),
    (
        "a compressed P-256 point",
        set_extension(
            tls.KEY_SHARE,
            vector16(
                share(
                    0x17,
                    bytes.fromhex(
                        "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                    ),
                )
            ),
        ),
        tls.ILLEGAL_PARAMETER,
    ),
    (
        "an ML-KEM key out of range",
        set_extension(tls.KEY_SHARE, vector16(share(0x11EC, b"\xff" * 1216))),
        tls.ILLEGAL_PARAMETER,
    ),
    (
        "a short hybrid share",
        set_extension(tls.KEY_SHARE, vector16(share(0x11EC, b"\x01" * 1215))),
        tls.ILLEGAL_PARAMETER,
    ),
    (
        "a hybrid share without its X25519 half",
        lambda hello: hello.extensions.update(
            {tls.KEY_SHARE: vector16(share(0x11EC, hybrid_share()[:1184]))}
        ),
        tls.ILLEGAL_PARAMETER,
    ),
    (
        "a hybrid share with a byte too many",
        lambda hello: hello.extensions.update(
            {tls.KEY_SHARE: vector16(share(0x11EC, hybrid_share() + b"!"))}
        ),
        tls.ILLEGAL_PARAMETER,
    ),
    (
        "a hybrid share cut in its ML-KEM half",
        lambda hello: hello.extensions.update(
            {tls.KEY_SHARE: vector16(share(0x11EC, hybrid_share()[:1183]))}
        ),
        tls.ILLEGAL_PARAMETER,
    ),
    (
        "an empty share",
        set_extension(tls.KEY_SHARE, vector16(share(0x1D, b""))),
        tls.DECODE_ERROR,
    ),
    (
        "signatures that the key cannot make",
        set_extension(tls.SIGNATURE_ALGORITHMS, encode_u16_vector([tls.ED25519])),
        tls.HANDSHAKE_FAILURE,
    ),
    (
        "an empty signature list",
        set_extension(tls.SIGNATURE_ALGORITHMS, b"\x00\x00"),
        tls.DECODE_ERROR,
    ),
    ("an empty server_name list", set_extension(tls.SERVER_NAME, b"\x00\x00"), tls.DECODE_ERROR),
    (
        "an empty host name",
        set_extension(tls.SERVER_NAME, b"\x00\x03\x00\x00\x00"),
        tls.DECODE_ERROR,
    ),
    (
        "two host names",
        set_extension(tls.SERVER_NAME, b"\x00\x08" + b"\x00\x00\x01a" * 2),
        tls.ILLEGAL_PARAMETER,
    ),
    (
        "a host name with a NUL",
        set_extension(tls.SERVER_NAME, b"\x00\x06\x00\x00\x03a\x00b"),
        tls.ILLEGAL_PARAMETER,
    ),
    ("a PSK without modes", add_psk(modes=False, last=True), tls.MISSING_EXTENSION),
    ("a PSK that is not last", add_psk(modes=True, last=False), tls.ILLEGAL_PARAMETER),
]


def hello_bytes(pair: Pair) -> bytes:
    return pair.client.take_crypto(INITIAL)


@pytest.mark.parametrize(
    ("bend", "alert"), [case[1:] for case in BAD_HELLOS], ids=[case[0] for case in BAD_HELLOS]
)
def test_a_client_hello_that_breaks_a_rule(bend: Callable[[ClientHello], None], alert: int) -> None:
    pair = Pair()
    hello = read_client_hello(hello_bytes(pair))
    bend(hello)
    data = write_client_hello(hello)
    assert alert_of(lambda: pair.server.receive(INITIAL, data)) == alert
    assert not pair.server.complete
    assert pair.server.take_secrets() == []


def test_unknown_things_in_a_client_hello_are_ignored() -> None:
    pair = Pair()
    hello = read_client_hello(hello_bytes(pair))
    hello.cipher_suites[:0] = [0x0A0A, 0xFAFA]
    hello.extensions = {
        0x0A0A: b"",
        **hello.extensions,
        0x1A1A: b"\x00" * 300,
        tls.EARLY_DATA: b"",
        tls.PSK_KEY_EXCHANGE_MODES: b"\x01\x01",
        tls.PRE_SHARED_KEY: b"unknown ticket",
    }
    hello.extensions[tls.SUPPORTED_VERSIONS] = b"\x06\x0a\x0a\x03\x04\x03\x03"
    hello.extensions[tls.SERVER_NAME] = b"\x00\x0a\x07\x00\x01x\x00\x00\x03A.b"
    pair.server.receive(INITIAL, write_client_hello(hello))
    assert pair.server.server_name == "a.b"
    assert [secret.level for secret in pair.server.take_secrets()] == [HANDSHAKE] * 2 + [ONE_RTT]


def test_an_extension_that_appears_twice_is_refused() -> None:
    pair = Pair()
    data = hello_bytes(pair)
    hello = read_client_hello(data)
    block = b"".join(
        kind.to_bytes(2, "big") + vector16(body) for kind, body in hello.extensions.items()
    )
    twice = block + tls.ALPN.to_bytes(2, "big") + vector16(hello.extensions[tls.ALPN])
    body = data[4 : len(data) - len(block) - 2] + vector16(twice)
    assert alert_of(lambda: pair.server.receive(INITIAL, message(1, body))) == tls.ILLEGAL_PARAMETER


def test_a_session_id_is_a_protocol_violation() -> None:
    pair = Pair()
    hello = read_client_hello(hello_bytes(pair))
    hello.session_id = bytes(32)
    with pytest.raises(TransportError) as caught:
        pair.server.receive(INITIAL, write_client_hello(hello))
    assert caught.value.code == PROTOCOL_VIOLATION


@pytest.mark.parametrize("tail", [b"\x00", b"junk"])
def test_bytes_after_the_extensions_are_a_decode_error(tail: bytes) -> None:
    pair = Pair()
    data = hello_bytes(pair)
    longer = message(1, data[4:] + tail)
    assert alert_of(lambda: pair.server.receive(INITIAL, longer)) == tls.DECODE_ERROR


def test_a_client_hello_cut_anywhere_is_a_decode_error() -> None:
    data = hello_bytes(Pair())
    for size in range(4, len(data) - 1, 3):
        shorter = message(1, data[4:size])
        server = TlsServer(server_config())
        server.start(b"")
        # Cut behind the compression methods it is a whole ClientHello of TLS 1.2.
        alert = tls.PROTOCOL_VERSION if size == 4 + 45 else tls.DECODE_ERROR
        assert alert_of(lambda s=server, d=shorter: s.receive(INITIAL, d)) == alert


@pytest.mark.parametrize("first", [2, 4, 8, 11, 20, 24, 77])
def test_any_other_first_message_is_unexpected(first: int) -> None:
    server = Pair().server
    assert alert_of(lambda: server.receive(INITIAL, bytes([first, 0, 0, 1]))) == 10


def test_an_oversized_message_is_refused_by_its_header() -> None:
    server = Pair().server
    size = MAX_MESSAGE - 4 + 1
    header = b"\x01" + size.to_bytes(3, "big")
    assert alert_of(lambda: server.receive(INITIAL, header)) == tls.DECODE_ERROR
    waiting = Pair().server
    waiting.receive(INITIAL, b"\x01" + (size - 1).to_bytes(3, "big"))
    assert waiting.take_crypto(INITIAL) == b""


def test_data_behind_the_client_hello_is_unexpected() -> None:
    pair = Pair()
    data = hello_bytes(pair)
    assert alert_of(lambda: pair.server.receive(INITIAL, data + b"\x01")) == tls.UNEXPECTED_MESSAGE


def test_an_unknown_server_name_is_unrecognized() -> None:
    credential = load_credential(CERTIFICATE.cert_pem, CERTIFICATE.key_pem)
    store = NamedCredentials({"other.example": credential})
    pair = Pair(server=server_config(credentials=store))
    assert alert_of(pair.run) == tls.UNRECOGNIZED_NAME


def test_a_wrong_alpn_closes_with_0x178() -> None:
    pair = Pair(client_config(alpn=("h2",)))
    with pytest.raises(HandshakeError, match="no_application_protocol") as caught:
        pair.run()
    assert caught.value.code == 0x178
    assert caught.value.number == 500 + 0x178


def retried() -> tuple[Pair, ClientHello]:
    """A pair after a HelloRetryRequest for P-384, and the second ClientHello."""
    pair = Pair(server=server_config(groups=("P-384",), key_shares=()))
    pair.carry(pair.client, pair.server)
    pair.carry(pair.server, pair.client)
    return pair, read_client_hello(hello_bytes(pair))


SECOND_HELLOS: list[tuple[str, Callable[[ClientHello], None]]] = [
    ("another random", set_field("random", bytes(32))),
    ("other suites", set_field("cipher_suites", [0x1301])),
    ("early data", set_extension(tls.EARLY_DATA, b"")),
    ("no share", set_extension(tls.KEY_SHARE, b"\x00\x00")),
    ("another group's share", set_extension(tls.KEY_SHARE, vector16(share(0x1D, b"1" * 32)))),
]


@pytest.mark.parametrize(
    "bend", [case[1] for case in SECOND_HELLOS], ids=[case[0] for case in SECOND_HELLOS]
)
def test_a_second_client_hello_may_not_change(bend: Callable[[ClientHello], None]) -> None:
    pair, hello = retried()
    bend(hello)
    data = write_client_hello(hello)
    assert alert_of(lambda: pair.server.receive(INITIAL, data)) == tls.ILLEGAL_PARAMETER


def test_the_unchanged_second_client_hello_is_taken() -> None:
    pair, hello = retried()
    pair.server.receive(INITIAL, write_client_hello(hello))
    pair.run()
    assert pair.server.complete


def waiting_for_finished() -> Pair:
    pair = Pair()
    pair.carry(pair.client, pair.server)
    pair.carry(pair.server, pair.client)
    return pair


def test_a_wrong_finished_is_a_decrypt_error() -> None:
    pair = waiting_for_finished()
    data = bytearray(pair.client.take_crypto(HANDSHAKE))
    data[-1] ^= 1
    assert alert_of(lambda: pair.server.receive(HANDSHAKE, bytes(data))) == tls.DECRYPT_ERROR
    assert not pair.server.complete


@pytest.mark.parametrize("size", [0, 31, 33, 48])
def test_a_finished_of_a_wrong_length_is_a_decode_error(size: int) -> None:
    pair = waiting_for_finished()
    assert alert_of(lambda: pair.server.receive(HANDSHAKE, message(20, bytes(size)))) == 50


@pytest.mark.parametrize("kind", [1, 5, 11, 15, 24])
def test_anything_but_finished_is_unexpected(kind: int) -> None:
    pair = waiting_for_finished()
    assert alert_of(lambda: pair.server.receive(HANDSHAKE, message(kind, b""))) == 10


def test_crypto_data_at_a_level_left_behind_is_a_protocol_violation() -> None:
    pair = waiting_for_finished()
    with pytest.raises(TransportError) as caught:
        pair.server.receive(INITIAL, b"\x01")
    assert caught.value.code == PROTOCOL_VIOLATION
    assert caught.value.frame_type == 0x06


@pytest.mark.parametrize("kind", [1, 4, 20, 24])
def test_after_the_handshake_a_client_may_send_nothing(kind: int) -> None:
    pair = Pair().run()
    pair.server.confirm()
    assert alert_of(lambda: pair.server.receive(ONE_RTT, message(kind, vector8(b"")))) == 10
