"""What a client answers to servers that break a rule: the alert of RFC 9846 and 9001."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from ropewalk.quic.handshake.tls import codepoints as tls
from ropewalk.quic.handshake.tls.certificates import MAX_CHAIN
from ropewalk.quic.handshake.tls.codec import (
    encode_extensions,
    message,
    vector8,
    vector16,
    vector24,
)
from ropewalk.quic.handshake.tls.extensions import encode_alpn, encode_u16_vector
from ropewalk.quic.handshake.tls.messages import (
    ServerHello,
    encode_certificate,
    encode_certificate_request,
    encode_certificate_verify,
    encode_encrypted_extensions,
    encode_server_hello,
)
from ropewalk.quic.handshake.tls.signatures import check_signature, server_content, sign
from ropewalk.quic.types.error_codes import PROTOCOL_VIOLATION
from ropewalk.quic.types.errors import ConfigurationError, HandshakeError, TransportError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from tests.handshake.tls_pair import (
    Pair,
    alert_of,
    client_config,
    read_client_hello,
    read_server_hello,
    server_config,
    split_messages,
    write_server_hello,
)

VERSION = (tls.SUPPORTED_VERSIONS, b"\x03\x04")


def answered(pair: Pair | None = None) -> tuple[Pair, bytes, list[bytes]]:
    """A pair whose server has answered; its ServerHello and its flight are in our hands."""
    pair = pair or Pair()
    pair.carry(pair.client, pair.server)
    hello = pair.server.take_crypto(INITIAL)
    return pair, hello, split_messages(pair.server.take_crypto(HANDSHAKE))


def set_field(name: str, value: object) -> Callable[[ServerHello], None]:
    def bend(hello: ServerHello) -> None:
        setattr(hello, name, value)

    return bend


def set_extension(extension_type: int, body: bytes) -> Callable[[ServerHello], None]:
    def bend(hello: ServerHello) -> None:
        hello.extensions[extension_type] = body

    return bend


def drop(extension_type: int) -> Callable[[ServerHello], None]:
    def bend(hello: ServerHello) -> None:
        del hello.extensions[extension_type]

    return bend


BAD_HELLOS: list[tuple[str, Callable[[ServerHello], None], int]] = [
    ("TLS 1.2", drop(tls.SUPPORTED_VERSIONS), tls.PROTOCOL_VERSION),
    ("legacy_version", set_field("legacy_version", 0x0304), tls.PROTOCOL_VERSION),
    ("chosen TLS 1.2", set_extension(*VERSION[:1], b"\x03\x03"), tls.ILLEGAL_PARAMETER),
    ("version cut short", set_extension(*VERSION[:1], b"\x03"), tls.DECODE_ERROR),
    ("version too long", set_extension(*VERSION[:1], b"\x03\x04\x00"), tls.DECODE_ERROR),
    ("session ID", set_field("session_id", b"x" * 32), tls.ILLEGAL_PARAMETER),
    ("session ID of 33 bytes", set_field("session_id", b"x" * 33), tls.DECODE_ERROR),
    ("suite not offered", set_field("cipher_suite", 0x1304), tls.ILLEGAL_PARAMETER),
    ("no key_share", drop(tls.KEY_SHARE), tls.MISSING_EXTENSION),
    (
        "share of a group without a share of ours",
        set_extension(tls.KEY_SHARE, b"\x00\x17" + vector16(b"\x04" + bytes(64))),
        tls.ILLEGAL_PARAMETER,
    ),
    (
        "share of zeros",
        set_extension(tls.KEY_SHARE, b"\x00\x1d" + vector16(bytes(32))),
        tls.ILLEGAL_PARAMETER,
    ),
    ("empty share", set_extension(tls.KEY_SHARE, b"\x00\x1d\x00\x00"), tls.DECODE_ERROR),
    ("ALPN in the wrong message", set_extension(tls.ALPN, b""), tls.ILLEGAL_PARAMETER),
    ("unasked extension", set_extension(0x1234, b""), tls.UNSUPPORTED_EXTENSION),
    ("unasked PSK", set_extension(tls.PRE_SHARED_KEY, b"\x00\x00"), tls.UNSUPPORTED_EXTENSION),
    ("cookie outside a retry", set_extension(tls.COOKIE, b"\x00\x01x"), tls.UNSUPPORTED_EXTENSION),
]


@pytest.mark.parametrize(
    ("bend", "alert"), [case[1:] for case in BAD_HELLOS], ids=[case[0] for case in BAD_HELLOS]
)
def test_a_server_hello_that_breaks_a_rule(bend: Callable[[ServerHello], None], alert: int) -> None:
    pair, data, _ = answered()
    hello = read_server_hello(data)
    bend(hello)
    assert alert_of(lambda: pair.client.receive(INITIAL, write_server_hello(hello))) == alert
    assert pair.client.take_secrets() == []


def test_a_compression_method_is_illegal() -> None:
    pair, data, _ = answered()
    bent = write_server_hello(read_server_hello(data), compression=1)
    assert alert_of(lambda: pair.client.receive(INITIAL, bent)) == tls.ILLEGAL_PARAMETER


def test_a_bad_hybrid_share_is_illegal() -> None:
    for size in (1, 1087, 1088, 1119, 1120, 1121):
        pair, data, _ = answered(Pair(client_config(key_shares=("X25519MLKEM768",))))
        hello = read_server_hello(data)
        hello.extensions[tls.KEY_SHARE] = b"\x11\xec" + vector16(bytes(size))
        bent = write_server_hello(hello)
        assert alert_of(lambda p=pair, d=bent: p.client.receive(INITIAL, d)) == 47


def test_a_server_hello_cut_anywhere_is_a_decode_error() -> None:
    _, data, _ = answered()
    for size in range(4, len(data) - 1, 3):
        pair, _, _ = answered()
        shorter = message(2, data[4:size])
        alert = tls.PROTOCOL_VERSION if size == 4 + 38 else tls.DECODE_ERROR
        assert alert_of(lambda p=pair, d=shorter: p.client.receive(INITIAL, d)) == alert


def test_data_behind_the_server_hello_is_unexpected() -> None:
    pair, data, flight = answered()
    assert alert_of(lambda: pair.client.receive(INITIAL, data + flight[0])) == 10


# -- HelloRetryRequest
def retry(extensions: list[tuple[int, bytes]], suite: int = 0x1301) -> bytes:
    return encode_server_hello(tls.HELLO_RETRY_REQUEST, suite, extensions)


BAD_RETRIES: list[tuple[str, bytes, int]] = [
    ("changes nothing", retry([VERSION]), tls.ILLEGAL_PARAMETER),
    ("a group with a share", retry([VERSION, (tls.KEY_SHARE, b"\x00\x1d")]), tls.ILLEGAL_PARAMETER),
    ("a foreign group", retry([VERSION, (tls.KEY_SHARE, b"\x00\x19")]), tls.ILLEGAL_PARAMETER),
    ("a group too long", retry([VERSION, (tls.KEY_SHARE, b"\x00\x17\x00")]), tls.DECODE_ERROR),
    ("an empty cookie", retry([VERSION, (tls.COOKIE, b"\x00\x00")]), tls.DECODE_ERROR),
    ("no version", retry([(tls.KEY_SHARE, b"\x00\x17")]), tls.PROTOCOL_VERSION),
    (
        "an unasked extension",
        retry([VERSION, (tls.KEY_SHARE, b"\x00\x17"), (0x1234, b"")]),
        tls.UNSUPPORTED_EXTENSION,
    ),
    (
        "an extension of another message",
        retry([VERSION, (tls.KEY_SHARE, b"\x00\x17"), (tls.ALPN, b"")]),
        tls.ILLEGAL_PARAMETER,
    ),
    (
        "a suite not offered",
        retry([VERSION, (tls.KEY_SHARE, b"\x00\x17")], 0x1304),
        tls.ILLEGAL_PARAMETER,
    ),
]


@pytest.mark.parametrize(
    ("data", "alert"), [case[1:] for case in BAD_RETRIES], ids=[case[0] for case in BAD_RETRIES]
)
def test_a_hello_retry_request_that_breaks_a_rule(data: bytes, alert: int) -> None:
    pair = Pair()
    assert alert_of(lambda: pair.client.receive(INITIAL, data)) == alert


def test_a_cookie_is_echoed_with_the_same_shares() -> None:
    pair = Pair()
    first = split_messages(pair.client.take_crypto(INITIAL))[0]
    pair.client.receive(INITIAL, retry([VERSION, (tls.COOKIE, vector16(b"crumbs"))]))
    second = pair.client.take_crypto(INITIAL)
    before, after = read_client_hello(first), read_client_hello(second)
    assert after.extensions.pop(tls.COOKIE) == vector16(b"crumbs")
    assert after.extensions == before.extensions
    assert (after.random, after.cipher_suites) == (before.random, before.cipher_suites)


def test_a_second_hello_retry_request_is_unexpected() -> None:
    pair = Pair()
    pair.client.receive(INITIAL, retry([VERSION, (tls.KEY_SHARE, b"\x00\x17")]))
    again = retry([VERSION, (tls.KEY_SHARE, b"\x00\x18")])
    assert alert_of(lambda: pair.client.receive(INITIAL, again)) == tls.UNEXPECTED_MESSAGE


def after_retry() -> tuple[Pair, ServerHello]:
    pair = Pair(server=server_config(groups=("P-384",), key_shares=()))
    pair.carry(pair.client, pair.server)
    pair.carry(pair.server, pair.client)
    pair.carry(pair.client, pair.server)
    return pair, read_server_hello(pair.server.take_crypto(INITIAL))


@pytest.mark.parametrize(
    "bend",
    [
        set_field("cipher_suite", 0x1303),
        set_extension(tls.KEY_SHARE, b"\x00\x1d" + vector16(b"1" * 32)),
    ],
    ids=["another suite", "another group"],
)
def test_a_server_hello_must_fit_its_retry_request(bend: Callable[[ServerHello], None]) -> None:
    pair, hello = after_retry()
    bend(hello)
    assert alert_of(lambda: pair.client.receive(INITIAL, write_server_hello(hello))) == 47


# -- EncryptedExtensions
PARAMETERS = (tls.QUIC_TRANSPORT_PARAMETERS, b"parameters")
CHOSEN_ALPN = (tls.ALPN, encode_alpn([b"h3"]))

BAD_EXTENSIONS: list[tuple[str, list[tuple[int, bytes]], int]] = [
    ("no transport parameters", [CHOSEN_ALPN], tls.MISSING_EXTENSION),
    ("no ALPN", [PARAMETERS], tls.NO_APPLICATION_PROTOCOL),
    ("two protocols", [PARAMETERS, (tls.ALPN, encode_alpn([b"h3", b"perf"]))], tls.DECODE_ERROR),
    (
        "a protocol not offered",
        [PARAMETERS, (tls.ALPN, encode_alpn([b"h2"]))],
        tls.NO_APPLICATION_PROTOCOL,
    ),
    ("an unasked extension", [PARAMETERS, CHOSEN_ALPN, (5, b"")], tls.UNSUPPORTED_EXTENSION),
    (
        "early data never offered",
        [PARAMETERS, CHOSEN_ALPN, (tls.EARLY_DATA, b"")],
        tls.UNSUPPORTED_EXTENSION,
    ),
    (
        "key_share in the wrong message",
        [PARAMETERS, CHOSEN_ALPN, (tls.KEY_SHARE, b"")],
        tls.ILLEGAL_PARAMETER,
    ),
    (
        "signature_algorithms in the wrong message",
        [PARAMETERS, CHOSEN_ALPN, (tls.SIGNATURE_ALGORITHMS, b"")],
        tls.ILLEGAL_PARAMETER,
    ),
    (
        "a server_name with a body",
        [PARAMETERS, CHOSEN_ALPN, (tls.SERVER_NAME, b"x")],
        tls.DECODE_ERROR,
    ),
    ("an extension twice", [PARAMETERS, CHOSEN_ALPN, PARAMETERS], tls.ILLEGAL_PARAMETER),
]


@pytest.mark.parametrize(
    ("extensions", "alert"),
    [case[1:] for case in BAD_EXTENSIONS],
    ids=[case[0] for case in BAD_EXTENSIONS],
)
def test_encrypted_extensions_that_break_a_rule(
    extensions: list[tuple[int, bytes]], alert: int
) -> None:
    pair, hello, _ = answered()
    pair.client.receive(INITIAL, hello)
    data = encode_encrypted_extensions(extensions)
    assert alert_of(lambda: pair.client.receive(HANDSHAKE, data)) == alert


def test_supported_groups_in_encrypted_extensions_are_welcome() -> None:
    pair, hello, flight = answered()
    pair.client.receive(INITIAL, hello)
    groups = (tls.SUPPORTED_GROUPS, encode_u16_vector([0x1D]))
    pair.client.receive(HANDSHAKE, encode_encrypted_extensions([PARAMETERS, CHOSEN_ALPN, groups]))
    pair.client.receive(HANDSHAKE, flight[1])


# -- Certificate, CertificateVerify, Finished
def at_certificate() -> tuple[Pair, list[bytes]]:
    pair, hello, flight = answered()
    pair.client.receive(INITIAL, hello)
    pair.client.receive(HANDSHAKE, flight[0])
    return pair, flight


def leaf_of(flight: list[bytes]) -> bytes:
    size = int.from_bytes(flight[1][8:11], "big")
    return flight[1][11 : 11 + size]


def test_certificates_that_break_a_rule() -> None:
    _, flight = at_certificate()
    leaf = leaf_of(flight)
    assert encode_certificate(b"", [leaf]) == flight[1]
    with_sct = vector24(leaf) + encode_extensions([(18, b"x")])
    with_name = vector24(leaf) + encode_extensions([(tls.SERVER_NAME, b"")])
    cases = [
        (encode_certificate(b"", []), tls.DECODE_ERROR),
        (encode_certificate(b"context", [leaf]), tls.ILLEGAL_PARAMETER),
        (encode_certificate(b"", [b""]), tls.DECODE_ERROR),
        (encode_certificate(b"", [b"not a certificate"]), tls.BAD_CERTIFICATE),
        (encode_certificate(b"", [leaf[:-1]]), tls.BAD_CERTIFICATE),
        (encode_certificate(b"", [leaf, b"not a certificate"]), tls.BAD_CERTIFICATE),
        (encode_certificate(b"", [leaf] * (MAX_CHAIN + 1)), tls.BAD_CERTIFICATE),
        (message(11, vector8(b"") + vector24(with_sct)), tls.UNSUPPORTED_EXTENSION),
        (message(11, vector8(b"") + vector24(with_name)), tls.ILLEGAL_PARAMETER),
        (message(11, vector8(b"") + vector24(vector24(leaf))), tls.DECODE_ERROR),
        (message(11, flight[1][4:] + b"\x00"), tls.DECODE_ERROR),
    ]
    for data, alert in cases:
        pair, _ = at_certificate()
        assert alert_of(lambda p=pair, d=data: p.client.receive(HANDSHAKE, d)) == alert
        assert pair.client.peer_identity is None


def test_certificate_requests_that_break_a_rule() -> None:
    schemes = (tls.SIGNATURE_ALGORITHMS, encode_u16_vector([0x0403]))
    request = encode_certificate_request(b"", [schemes, (0x1234, b"ignored")])
    cases = [
        (encode_certificate_request(b"", []), tls.MISSING_EXTENSION),
        (encode_certificate_request(b"x", [schemes]), tls.ILLEGAL_PARAMETER),
        (encode_certificate_request(b"", [(13, b"\x00\x00")]), tls.DECODE_ERROR),
        (request + request, tls.UNEXPECTED_MESSAGE),
    ]
    for data, alert in cases:
        pair, _ = at_certificate()
        assert alert_of(lambda p=pair, d=data: p.client.receive(HANDSHAKE, d)) == alert


def at_verify() -> tuple[Pair, list[bytes]]:
    pair, flight = at_certificate()
    pair.client.receive(HANDSHAKE, flight[1])
    return pair, flight


def test_signatures_that_do_not_convince() -> None:
    _, flight = at_verify()
    good = flight[2][8:]
    bad = good[:-1] + bytes([good[-1] ^ 1])
    cases = [
        (encode_certificate_verify(0x0403, bad), tls.DECRYPT_ERROR),
        (encode_certificate_verify(0x0403, b""), tls.DECRYPT_ERROR),
        (encode_certificate_verify(0x0403, b"\x30\x80"), tls.DECRYPT_ERROR),
        (encode_certificate_verify(0x0503, good), tls.ILLEGAL_PARAMETER),
        (encode_certificate_verify(0x0804, good), tls.ILLEGAL_PARAMETER),
        (encode_certificate_verify(0x0203, good), tls.ILLEGAL_PARAMETER),
        (encode_certificate_verify(0x0401, good), tls.ILLEGAL_PARAMETER),
        (message(15, flight[2][4:] + b"\x00"), tls.DECODE_ERROR),
    ]
    for data, alert in cases:
        pair, _ = at_verify()
        assert alert_of(lambda p=pair, d=data: p.client.receive(HANDSHAKE, d)) == alert


@pytest.mark.parametrize("curve", [ec.SECP521R1(), ec.SECP256K1()])
def test_keys_that_no_scheme_of_ours_uses_are_unsupported(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    content = server_content(bytes(32))
    signature = key.sign(content, ec.ECDSA(hashes.SHA512()))
    with pytest.raises(HandshakeError) as caught:
        check_signature(key.public_key(), 0x0603, signature, content)
    assert caught.value.alert == tls.UNSUPPORTED_CERTIFICATE
    with pytest.raises(ConfigurationError):
        sign(x25519.X25519PrivateKey.generate(), 0x0403, content, False)


def test_finished_messages_that_do_not_fit() -> None:
    cases = [(bytes(32), tls.DECRYPT_ERROR), (bytes(31), tls.DECODE_ERROR), (bytes(48), 50)]
    for body, alert in cases:
        pair, flight = at_verify()
        pair.client.receive(HANDSHAKE, flight[2])
        data = message(20, body)
        assert alert_of(lambda p=pair, d=data: p.client.receive(HANDSHAKE, d)) == alert
        assert not pair.client.complete
        assert pair.client.take_crypto(HANDSHAKE) == b""


def test_messages_out_of_order_are_unexpected() -> None:
    pair, hello, flight = answered()
    for kind in (1, 4, 8, 11, 13, 15, 20, 24):
        fresh = answered()[0]
        header = bytes([kind, 0, 0, 0])
        assert alert_of(lambda p=fresh, d=header: p.client.receive(INITIAL, d)) == 10
    pair.client.receive(INITIAL, hello)
    for skipped in range(3):
        fresh, first, rest = answered()
        fresh.client.receive(INITIAL, first)
        data = b"".join(rest[:skipped] + rest[skipped + 1 :])
        assert alert_of(lambda p=fresh, d=data: p.client.receive(HANDSHAKE, d)) == 10
    assert alert_of(lambda: pair.client.receive(HANDSHAKE, flight[0] + flight[0])) == 10


def test_data_behind_finished_is_unexpected() -> None:
    pair, hello, flight = answered()
    pair.client.receive(INITIAL, hello)
    data = b"".join(flight) + b"\x04"
    assert alert_of(lambda: pair.client.receive(HANDSHAKE, data)) == tls.UNEXPECTED_MESSAGE


# -- after the handshake
@pytest.mark.parametrize("kind", [1, 2, 8, 11, 20, 24])
def test_after_the_handshake_only_tickets_may_come(kind: int) -> None:
    pair = Pair().run()
    pair.client.confirm()
    assert alert_of(lambda: pair.client.receive(ONE_RTT, message(kind, b"\x00"))) == 10


def test_a_request_for_a_certificate_after_the_handshake_is_a_protocol_violation() -> None:
    # RFC 9001 4.4 names the code; the alert for an unexpected message would not do.
    pair = Pair().run()
    pair.client.confirm()
    with pytest.raises(TransportError) as caught:
        pair.client.receive(ONE_RTT, message(13, b"\x00"))
    assert (caught.value.code, caught.value.frame_type) == (0x0A, 0x06)


def ticket(extensions: list[tuple[int, bytes]], label: bytes = b"ticket") -> bytes:
    return message(
        4, bytes(8) + vector8(b"nonce") + vector16(label) + encode_extensions(extensions)
    )


def test_tickets_that_break_a_rule() -> None:
    pair = Pair().run()
    pair.client.receive(ONE_RTT, ticket([(tls.EARLY_DATA, b"\xff" * 4)]))
    with pytest.raises(TransportError) as caught:
        pair.client.receive(ONE_RTT, ticket([(tls.EARLY_DATA, b"\x00\x00\x40\x00")]))
    assert caught.value.code == PROTOCOL_VIOLATION
    for data in (ticket([], b""), message(4, bytes(8)), message(4, ticket([])[4:] + b"\x00")):
        fresh = Pair().run()
        assert alert_of(lambda p=fresh, d=data: p.client.receive(ONE_RTT, d)) == 50


def test_crypto_data_at_a_level_left_behind_is_a_protocol_violation() -> None:
    pair = Pair().run()
    for level in (INITIAL, HANDSHAKE):
        with pytest.raises(TransportError) as caught:
            pair.client.receive(level, b"\x02")
        assert caught.value.code == PROTOCOL_VIOLATION


def test_no_bytes_are_no_data() -> None:
    pair = Pair().run()
    pair.client.receive(INITIAL, b"")
    pair.client.receive(ONE_RTT, b"")
