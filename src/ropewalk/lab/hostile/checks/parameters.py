"""Transport parameters (RFC 9000 7.3, 7.4, 18)."""

from __future__ import annotations

from typing import Final

from ropewalk.lab.hostile import parameters
from ropewalk.lab.hostile.check import BOTH, CLIENT, SERVER, Check, Story, checks
from ropewalk.lab.hostile.frames import LARGEST, varint
from ropewalk.lab.hostile.outcome import Closes, Connects
from ropewalk.lab.hostile.scene import Scene
from ropewalk.quic.types.error_codes import PROTOCOL_VIOLATION, TRANSPORT_PARAMETER_ERROR
from ropewalk.quic.wire import transport_parameters as ids

_REFUSES = Closes((TRANSPORT_PARAMETER_ERROR,))
#: What 7.3 allows for connection IDs that do not match.
_MISMATCH = Closes((TRANSPORT_PARAMETER_ERROR, PROTOCOL_VIOLATION))
_CID: Final = b"DUMMY-ID"
_TOKEN: Final = bytes(range(16))


def preferred_address(connection_id: bytes = _CID, tail: bytes = _TOKEN) -> bytes:
    """The value of preferred_address with one IPv4 address."""
    addresses = bytes((127, 0, 0, 1)) + b"\x01\xbb" + bytes(16) + bytes(2)
    return addresses + bytes([len(connection_id)]) + connection_id + tail


def bends(bending: parameters.Bending) -> Story:
    """The story of a handshake with other transport parameters."""

    def story(scene: Scene) -> None:
        scene.bend_parameters(bending)
        scene.meet()

    return story


def encodes(content: bytes) -> Story:
    """The story of a handshake with any bytes in the extension."""

    def story(scene: Scene) -> None:
        scene.send_parameters(content)
        scene.meet()

    return story


def connection_ids() -> list[Check]:
    """7.3: the IDs of the handshake are authenticated."""
    source = ids.INITIAL_SOURCE_CONNECTION_ID
    original = ids.ORIGINAL_DESTINATION_CONNECTION_ID
    retry = ids.RETRY_SOURCE_CONNECTION_ID
    section = "RFC 9000 7.3"
    return [
        *checks(
            "initial-source-connection-id-missing",
            section,
            "no initial_source_connection_id",
            bends(parameters.without(source)),
            _REFUSES,
            h3spec=3,
        ),
        *checks(
            "initial-source-connection-id-wrong",
            section,
            "an initial_source_connection_id that no packet had",
            bends(parameters.replaced(source, _CID)),
            _MISMATCH,
        ),
        *checks(
            "initial-source-connection-id-empty",
            section,
            "an empty initial_source_connection_id",
            bends(parameters.replaced(source, b"")),
            _MISMATCH,
        ),
        *checks(
            "original-destination-connection-id-missing",
            section,
            "no original_destination_connection_id from a server",
            bends(parameters.without(original)),
            _REFUSES,
            victims=(CLIENT,),
        ),
        *checks(
            "original-destination-connection-id-wrong",
            section,
            "an original_destination_connection_id that the client never used",
            bends(parameters.replaced(original, _CID)),
            _MISMATCH,
            victims=(CLIENT,),
        ),
        *checks(
            "retry-source-connection-id-without-retry",
            section,
            "retry_source_connection_id though there was no Retry",
            bends(parameters.replaced(retry, _CID)),
            _MISMATCH,
            victims=(CLIENT,),
        ),
        *checks(
            "retry-source-connection-id-missing-after-retry",
            section,
            "no retry_source_connection_id though there was a Retry",
            _after_retry(parameters.without(retry)),
            _MISMATCH,
            victims=(CLIENT,),
        ),
        *checks(
            "retry-source-connection-id-wrong-after-retry",
            section,
            "another retry_source_connection_id than the Retry had",
            _after_retry(parameters.replaced(retry, _CID)),
            _MISMATCH,
            victims=(CLIENT,),
        ),
        *checks(
            "original-destination-connection-id-of-the-second-initial",
            section,
            "after a Retry, the destination ID of the second Initial packet as the original one",
            _after_retry(parameters.replaced(original, b"retry-id")),
            _MISMATCH,
            victims=(CLIENT,),
        ),
    ]


def _after_retry(bending: parameters.Bending) -> Story:
    def story(scene: Scene) -> None:
        scene.bend_parameters(bending)
        server = scene.server

        def retry_once(_header: object) -> bool:
            if server.first is server.knock:
                server.send_retry(b"a token", b"retry-id")
                return False
            return True

        server.on_knock = retry_once
        scene.meet()

    return story


def server_only() -> list[Check]:
    """18.2: what a client must not send."""
    rows = (
        ("original-destination-connection-id", 0x00, _CID, 4),
        ("preferred-address", 0x0D, preferred_address(), 5),
        ("retry-source-connection-id", 0x10, _CID, 6),
        ("stateless-reset-token", 0x02, _TOKEN, 7),
    )
    found: list[Check] = []
    for name, identifier, value, number in rows:
        found += checks(
            f"{name}-from-a-client",
            "RFC 9000 18.2",
            f"{name.replace('-', '_')} from a client",
            bends(parameters.replaced(identifier, value)),
            _REFUSES,
            victims=(SERVER,),
            h3spec=number,
        )
    return found


def ranges() -> list[Check]:
    """7.4, 18.2: values out of range, and the last ones within."""
    too_large = (
        ("initial-max-streams-bidi", ids.INITIAL_MAX_STREAMS_BIDI, (1 << 60) + 1, None),
        ("initial-max-streams-uni", ids.INITIAL_MAX_STREAMS_UNI, LARGEST, None),
        ("ack-delay-exponent", ids.ACK_DELAY_EXPONENT, 21, 9),
        ("max-ack-delay", ids.MAX_ACK_DELAY, 1 << 14, 10),
    )
    too_small = (
        ("max-udp-payload-size", ids.MAX_UDP_PAYLOAD_SIZE, 1199, 8),
        ("max-udp-payload-size-of-0", ids.MAX_UDP_PAYLOAD_SIZE, 0, None),
        ("active-connection-id-limit", ids.ACTIVE_CONNECTION_ID_LIMIT, 1, None),
        ("active-connection-id-limit-of-0", ids.ACTIVE_CONNECTION_ID_LIMIT, 0, None),
    )
    allowed = (
        ("max-udp-payload-size", ids.MAX_UDP_PAYLOAD_SIZE, 1200),
        ("largest-max-udp-payload-size", ids.MAX_UDP_PAYLOAD_SIZE, LARGEST),
        ("initial-max-streams-bidi", ids.INITIAL_MAX_STREAMS_BIDI, 1 << 60),
        ("initial-max-data", ids.INITIAL_MAX_DATA, LARGEST),
        ("initial-max-stream-data-uni", ids.INITIAL_MAX_STREAM_DATA_UNI, LARGEST),
        ("ack-delay-exponent", ids.ACK_DELAY_EXPONENT, 20),
        ("max-ack-delay", ids.MAX_ACK_DELAY, (1 << 14) - 1),
        ("max-idle-timeout", ids.MAX_IDLE_TIMEOUT, LARGEST),
        ("active-connection-id-limit", ids.ACTIVE_CONNECTION_ID_LIMIT, LARGEST),
        ("active-connection-id-limit-of-2", ids.ACTIVE_CONNECTION_ID_LIMIT, 2),
    )
    found: list[Check] = []
    for rows, how in ((too_large, "too-large"), (too_small, "too-small")):
        for name, identifier, value, number in rows:
            found += checks(
                f"{name}-{how}",
                "RFC 9000 4.6" if "streams" in name else "RFC 9000 18.2",
                f"{name.split('-of-')[0].replace('-', '_')} {value}",
                bends(parameters.integer(identifier, value)),
                _REFUSES,
                h3spec=number,
            )
    for name, identifier, value in allowed:
        found += checks(
            f"{name}-at-its-limit",
            "RFC 9000 18.2",
            "the last value that is allowed",
            bends(parameters.integer(identifier, value)),
            Connects(),
        )
    return found


def encodings() -> list[Check]:
    """7.4, 7.4.2, 18: malformed, repeated and unknown parameters."""
    found: list[Check] = []
    malformed: list[tuple[str, str, Story, tuple[str, ...]]] = [
        (
            "repeated-parameter",
            "the same parameter twice",
            bends(parameters.repeated(ids.INITIAL_SOURCE_CONNECTION_ID)),
            BOTH,
        ),
        (
            "repeated-unknown-parameter",
            "the same unknown parameter twice",
            bends(lambda known: [*known, (27, b"a"), (27, b"b")]),
            BOTH,
        ),
        (
            "integer-with-bytes-behind-it",
            "an integer parameter with a byte too many",
            bends(parameters.replaced(ids.INITIAL_MAX_DATA, varint(9) + b"\x00")),
            BOTH,
        ),
        (
            "integer-cut-short",
            "an integer parameter whose varint lacks bytes",
            bends(parameters.replaced(ids.INITIAL_MAX_DATA, b"\xc0\x01")),
            BOTH,
        ),
        (
            "empty-integer",
            "an integer parameter without a value",
            bends(parameters.replaced(ids.MAX_IDLE_TIMEOUT, b"")),
            BOTH,
        ),
        (
            "flag-with-a-value",
            "disable_active_migration with a value",
            bends(parameters.replaced(ids.DISABLE_ACTIVE_MIGRATION, b"\x00")),
            BOTH,
        ),
        (
            "connection-id-of-21-bytes",
            "an initial_source_connection_id longer than any connection ID",
            bends(parameters.replaced(ids.INITIAL_SOURCE_CONNECTION_ID, bytes(21))),
            BOTH,
        ),
        ("parameters-cut-short", "a value that lacks bytes", encodes(b"\x01\x08\x00"), BOTH),
        ("parameter-without-length", "an identifier alone", encodes(b"\x01"), BOTH),
        ("no-parameters-at-all", "an empty extension", encodes(b""), BOTH),
        (
            "stateless-reset-token-of-15-bytes",
            "stateless_reset_token that is too short",
            bends(parameters.replaced(ids.STATELESS_RESET_TOKEN, bytes(15))),
            (CLIENT,),
        ),
        (
            "preferred-address-without-connection-id",
            "preferred_address with a connection ID of no bytes",
            bends(parameters.replaced(ids.PREFERRED_ADDRESS, preferred_address(b""))),
            (CLIENT,),
        ),
        (
            "preferred-address-with-a-connection-id-of-21-bytes",
            "preferred_address with too long a connection ID",
            bends(parameters.replaced(ids.PREFERRED_ADDRESS, preferred_address(bytes(21)))),
            (CLIENT,),
        ),
        (
            "preferred-address-cut-short",
            "preferred_address that ends within the reset token",
            bends(parameters.replaced(ids.PREFERRED_ADDRESS, preferred_address(tail=bytes(9)))),
            (CLIENT,),
        ),
        (
            "preferred-address-of-a-server-without-connection-ids",
            "preferred_address from a server with a connection ID of no bytes",
            _preferred_address_without_cids,
            (CLIENT,),
        ),
    ]
    for name, about, story, victims in malformed:
        section = "RFC 9000 18.2" if "preferred" in name else "RFC 9000 7.4"
        found += checks(name, section, about, story, _REFUSES, victims=victims)
    found += checks(
        "unknown-parameters",
        "RFC 9000 7.4.2",
        "reserved and unknown parameters",
        bends(lambda known: [(27, b""), (31 * 999 + 27, bytes(99)), *known, (LARGEST, b"!")]),
        Connects(),
    )
    found += checks(
        "parameters-in-longer-varints",
        "RFC 9000 16",
        "parameters whose integers take more bytes than they need",
        bends(parameters.replaced(ids.INITIAL_MAX_DATA, varint(9, 8))),
        Connects(),
    )
    return found


def _preferred_address_without_cids(scene: Scene) -> None:
    scene.use_zero_length_cids()
    scene.bend_parameters(parameters.replaced(ids.PREFERRED_ADDRESS, preferred_address()))
    scene.meet()


CHECKS: tuple[Check, ...] = (
    *connection_ids(),
    *server_only(),
    *ranges(),
    *encodings(),
)
