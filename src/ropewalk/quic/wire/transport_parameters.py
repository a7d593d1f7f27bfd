"""Transport parameters: the settings that travel in the handshake (RFC 9000 18, RFC 9221 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final, final

from librt.strings import BytesWriter, write_i16_be
from mypy_extensions import i16, i64, u8

from ropewalk.quic.types.error_codes import TRANSPORT_PARAMETER_ERROR
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.wire.header import MAX_CID_LENGTH
from ropewalk.quic.wire.reader import Reader, Truncated
from ropewalk.quic.wire.varint import MAX_VARINT, encode_varint, write_varint

ORIGINAL_DESTINATION_CONNECTION_ID: Final = 0x00
MAX_IDLE_TIMEOUT: Final = 0x01
STATELESS_RESET_TOKEN: Final = 0x02
MAX_UDP_PAYLOAD_SIZE: Final = 0x03
INITIAL_MAX_DATA: Final = 0x04
INITIAL_MAX_STREAM_DATA_BIDI_LOCAL: Final = 0x05
INITIAL_MAX_STREAM_DATA_BIDI_REMOTE: Final = 0x06
INITIAL_MAX_STREAM_DATA_UNI: Final = 0x07
INITIAL_MAX_STREAMS_BIDI: Final = 0x08
INITIAL_MAX_STREAMS_UNI: Final = 0x09
ACK_DELAY_EXPONENT: Final = 0x0A
MAX_ACK_DELAY: Final = 0x0B
DISABLE_ACTIVE_MIGRATION: Final = 0x0C
PREFERRED_ADDRESS: Final = 0x0D
ACTIVE_CONNECTION_ID_LIMIT: Final = 0x0E
INITIAL_SOURCE_CONNECTION_ID: Final = 0x0F
RETRY_SOURCE_CONNECTION_ID: Final = 0x10
MAX_DATAGRAM_FRAME_SIZE: Final = 0x20
#: draft-ietf-quic-ack-frequency-14, provisional.
MIN_ACK_DELAY: Final = 0xFF04DE1B

_NAMES: Final[dict[int, str]] = {
    ORIGINAL_DESTINATION_CONNECTION_ID: "original_destination_connection_id",
    MAX_IDLE_TIMEOUT: "max_idle_timeout",
    STATELESS_RESET_TOKEN: "stateless_reset_token",
    MAX_UDP_PAYLOAD_SIZE: "max_udp_payload_size",
    INITIAL_MAX_DATA: "initial_max_data",
    INITIAL_MAX_STREAM_DATA_BIDI_LOCAL: "initial_max_stream_data_bidi_local",
    INITIAL_MAX_STREAM_DATA_BIDI_REMOTE: "initial_max_stream_data_bidi_remote",
    INITIAL_MAX_STREAM_DATA_UNI: "initial_max_stream_data_uni",
    INITIAL_MAX_STREAMS_BIDI: "initial_max_streams_bidi",
    INITIAL_MAX_STREAMS_UNI: "initial_max_streams_uni",
    ACK_DELAY_EXPONENT: "ack_delay_exponent",
    MAX_ACK_DELAY: "max_ack_delay",
    DISABLE_ACTIVE_MIGRATION: "disable_active_migration",
    PREFERRED_ADDRESS: "preferred_address",
    ACTIVE_CONNECTION_ID_LIMIT: "active_connection_id_limit",
    INITIAL_SOURCE_CONNECTION_ID: "initial_source_connection_id",
    RETRY_SOURCE_CONNECTION_ID: "retry_source_connection_id",
    MAX_DATAGRAM_FRAME_SIZE: "max_datagram_frame_size",
    MIN_ACK_DELAY: "min_ack_delay",
}

#: What a client must not send (18.2).
_SERVER_ONLY: Final = (
    ORIGINAL_DESTINATION_CONNECTION_ID,
    STATELESS_RESET_TOKEN,
    PREFERRED_ADDRESS,
    RETRY_SOURCE_CONNECTION_ID,
)

_DEFAULT_MAX_UDP_PAYLOAD_SIZE: Final = 65527
_DEFAULT_ACK_DELAY_EXPONENT: Final = 3
_DEFAULT_MAX_ACK_DELAY_MS: Final = 25
_DEFAULT_ACTIVE_CONNECTION_ID_LIMIT: Final = 2
_MAX_STREAMS: Final = 0x1000000000000000

#: The integers with a restricted range: smallest and largest value allowed (18.2).
_RANGES: Final[dict[int, tuple[int, int]]] = {
    MAX_UDP_PAYLOAD_SIZE: (1200, MAX_VARINT),
    INITIAL_MAX_STREAMS_BIDI: (0, _MAX_STREAMS),
    INITIAL_MAX_STREAMS_UNI: (0, _MAX_STREAMS),
    ACK_DELAY_EXPONENT: (0, 20),
    MAX_ACK_DELAY: (0, (1 << 14) - 1),
    ACTIVE_CONNECTION_ID_LIMIT: (2, MAX_VARINT),
}


@final
@dataclass(frozen=True)
class PreferredAddress:
    """Where a server would like its clients to move to (RFC 9000 9.6, 18.2).

    An address of which all bytes and the port are zero means that the family is not offered.
    """

    ipv4: str
    ipv4_port: int
    ipv6: str
    ipv6_port: int
    connection_id: bytes
    stateless_reset_token: bytes


@final
@dataclass(frozen=True, kw_only=True)
class TransportParameters:
    """What one side declares about itself. Defaults are those of an absent parameter.

    Names are the RFC's. The two times are the wire's whole milliseconds and carry ``_ms`` in
    their names; sizes are bytes. ``None`` stands for an absent connection ID, token or
    address. ``unknown`` keeps the parameters that this stack has no field for, in their
    order and byte for byte.
    """

    original_destination_connection_id: bytes | None = None
    #: 0: this side never times out.
    max_idle_timeout_ms: int = 0
    stateless_reset_token: bytes | None = None
    max_udp_payload_size: int = _DEFAULT_MAX_UDP_PAYLOAD_SIZE
    initial_max_data: int = 0
    initial_max_stream_data_bidi_local: int = 0
    initial_max_stream_data_bidi_remote: int = 0
    initial_max_stream_data_uni: int = 0
    initial_max_streams_bidi: int = 0
    initial_max_streams_uni: int = 0
    ack_delay_exponent: int = _DEFAULT_ACK_DELAY_EXPONENT
    max_ack_delay_ms: int = _DEFAULT_MAX_ACK_DELAY_MS
    disable_active_migration: bool = False
    preferred_address: PreferredAddress | None = None
    active_connection_id_limit: int = _DEFAULT_ACTIVE_CONNECTION_ID_LIMIT
    initial_source_connection_id: bytes | None = None
    retry_source_connection_id: bytes | None = None
    #: RFC 9221: the largest DATAGRAM frame taken, type and length included; 0 refuses them.
    max_datagram_frame_size: int = 0
    #: ACK frequency: the shortest delay that this side can keep; None without the extension.
    min_ack_delay_us: int | None = None
    unknown: list[tuple[int, bytes]] = field(default_factory=list)


def encode_transport_parameters(parameters: TransportParameters) -> bytes:
    """The extension's content. Parameters that have their default value are left out.

    Raises ``ValueError`` for a value that its field cannot hold.
    """
    writer = BytesWriter()
    p = parameters
    _put_bytes(writer, ORIGINAL_DESTINATION_CONNECTION_ID, p.original_destination_connection_id)
    _put_integer(writer, MAX_IDLE_TIMEOUT, p.max_idle_timeout_ms, 0)
    _put_bytes(writer, STATELESS_RESET_TOKEN, p.stateless_reset_token)
    _put_integer(
        writer, MAX_UDP_PAYLOAD_SIZE, p.max_udp_payload_size, _DEFAULT_MAX_UDP_PAYLOAD_SIZE
    )
    _put_integer(writer, INITIAL_MAX_DATA, p.initial_max_data, 0)
    _put_integer(
        writer, INITIAL_MAX_STREAM_DATA_BIDI_LOCAL, p.initial_max_stream_data_bidi_local, 0
    )
    _put_integer(
        writer, INITIAL_MAX_STREAM_DATA_BIDI_REMOTE, p.initial_max_stream_data_bidi_remote, 0
    )
    _put_integer(writer, INITIAL_MAX_STREAM_DATA_UNI, p.initial_max_stream_data_uni, 0)
    _put_integer(writer, INITIAL_MAX_STREAMS_BIDI, p.initial_max_streams_bidi, 0)
    _put_integer(writer, INITIAL_MAX_STREAMS_UNI, p.initial_max_streams_uni, 0)
    _put_integer(writer, ACK_DELAY_EXPONENT, p.ack_delay_exponent, _DEFAULT_ACK_DELAY_EXPONENT)
    _put_integer(writer, MAX_ACK_DELAY, p.max_ack_delay_ms, _DEFAULT_MAX_ACK_DELAY_MS)
    if p.disable_active_migration:
        _put_bytes(writer, DISABLE_ACTIVE_MIGRATION, b"")
    if p.preferred_address is not None:
        _put_bytes(writer, PREFERRED_ADDRESS, _encode_preferred_address(p.preferred_address))
    _put_integer(
        writer,
        ACTIVE_CONNECTION_ID_LIMIT,
        p.active_connection_id_limit,
        _DEFAULT_ACTIVE_CONNECTION_ID_LIMIT,
    )
    _put_bytes(writer, INITIAL_SOURCE_CONNECTION_ID, p.initial_source_connection_id)
    _put_bytes(writer, RETRY_SOURCE_CONNECTION_ID, p.retry_source_connection_id)
    _put_integer(writer, MAX_DATAGRAM_FRAME_SIZE, p.max_datagram_frame_size, 0)
    if p.min_ack_delay_us is not None:
        _put_bytes(writer, MIN_ACK_DELAY, encode_varint(p.min_ack_delay_us))
    for identifier, value in p.unknown:
        _put_bytes(writer, identifier, value)
    return writer.getvalue()


def decode_transport_parameters(data: bytes, from_client: bool) -> TransportParameters:
    """Read what the peer declares.

    Raises ``TransportError`` TRANSPORT_PARAMETER_ERROR for anything that RFC 9000 7.4 or
    18.2 forbids: a malformed or repeated parameter, a value out of its range, one from a
    client that only servers may send.
    """
    raw = _split(data)
    if from_client:
        for identifier in _SERVER_ONLY:
            if identifier in raw:
                raise _refused(identifier, "only servers may send it")
    preferred = _preferred_address(raw)
    source = _connection_id(raw, INITIAL_SOURCE_CONNECTION_ID)
    if preferred is not None and source == b"":
        raise _refused(PREFERRED_ADDRESS, "the server's own connection ID is empty")
    return TransportParameters(
        original_destination_connection_id=_connection_id(raw, ORIGINAL_DESTINATION_CONNECTION_ID),
        max_idle_timeout_ms=_integer(raw, MAX_IDLE_TIMEOUT, 0),
        stateless_reset_token=_reset_token(raw),
        max_udp_payload_size=_integer(raw, MAX_UDP_PAYLOAD_SIZE, _DEFAULT_MAX_UDP_PAYLOAD_SIZE),
        initial_max_data=_integer(raw, INITIAL_MAX_DATA, 0),
        initial_max_stream_data_bidi_local=_integer(raw, INITIAL_MAX_STREAM_DATA_BIDI_LOCAL, 0),
        initial_max_stream_data_bidi_remote=_integer(raw, INITIAL_MAX_STREAM_DATA_BIDI_REMOTE, 0),
        initial_max_stream_data_uni=_integer(raw, INITIAL_MAX_STREAM_DATA_UNI, 0),
        initial_max_streams_bidi=_integer(raw, INITIAL_MAX_STREAMS_BIDI, 0),
        initial_max_streams_uni=_integer(raw, INITIAL_MAX_STREAMS_UNI, 0),
        ack_delay_exponent=_integer(raw, ACK_DELAY_EXPONENT, _DEFAULT_ACK_DELAY_EXPONENT),
        max_ack_delay_ms=_integer(raw, MAX_ACK_DELAY, _DEFAULT_MAX_ACK_DELAY_MS),
        disable_active_migration=_flag(raw, DISABLE_ACTIVE_MIGRATION),
        preferred_address=preferred,
        active_connection_id_limit=_integer(
            raw, ACTIVE_CONNECTION_ID_LIMIT, _DEFAULT_ACTIVE_CONNECTION_ID_LIMIT
        ),
        initial_source_connection_id=source,
        retry_source_connection_id=_connection_id(raw, RETRY_SOURCE_CONNECTION_ID),
        max_datagram_frame_size=_integer(raw, MAX_DATAGRAM_FRAME_SIZE, 0),
        min_ack_delay_us=_min_ack_delay(raw),
        unknown=[(identifier, raw[identifier]) for identifier in raw if identifier not in _NAMES],
    )


# -- encoding


def _put_bytes(writer: BytesWriter, identifier: i64, value: bytes | None) -> None:
    if value is None:
        return
    write_varint(writer, identifier)
    write_varint(writer, len(value))
    writer.write(value)


def _put_integer(writer: BytesWriter, identifier: i64, value: int, default: int) -> None:
    if value != default:
        _put_bytes(writer, identifier, encode_varint(value))


def _encode_preferred_address(address: PreferredAddress) -> bytes:
    writer = BytesWriter()
    writer.write(IPv4Address(address.ipv4).packed)
    _put_port(writer, address.ipv4_port)
    writer.write(IPv6Address(address.ipv6).packed)
    _put_port(writer, address.ipv6_port)
    writer.append(u8(len(address.connection_id)))
    writer.write(address.connection_id)
    writer.write(address.stateless_reset_token)
    return writer.getvalue()


def _put_port(writer: BytesWriter, port: i64) -> None:
    # librt's writer takes signed integers.
    write_i16_be(writer, i16(port - 0x10000 if port >= 0x8000 else port))


# -- decoding


def _split(data: bytes) -> dict[int, bytes]:
    """The parameters by their identifiers, in the order of arrival (a dict keeps it)."""
    raw: dict[int, bytes] = {}
    reader = Reader(data)
    try:
        while reader.remaining() > 0:
            identifier: int = reader.varint()
            value = reader.take(reader.varint())
            if identifier in raw:
                raise _refused(identifier, "it is sent twice")
            raw[identifier] = value
    except Truncated:
        raise TransportError(
            TRANSPORT_PARAMETER_ERROR, "the transport parameters are cut short"
        ) from None
    return raw


def _integer(raw: dict[int, bytes], identifier: int, default: int) -> int:
    data = raw.get(identifier)
    if data is None:
        return default
    reader = Reader(data)
    try:
        value: int = reader.varint()
    except Truncated:
        raise _refused(identifier, "it is no variable-length integer") from None
    if reader.remaining() > 0:
        raise _refused(identifier, "bytes follow its integer")
    allowed = _RANGES.get(identifier)
    if allowed is not None and not allowed[0] <= value <= allowed[1]:
        raise _refused(identifier, f"{value} is not in {allowed[0]} to {allowed[1]}")
    return value


def _min_ack_delay(raw: dict[int, bytes]) -> int | None:
    if MIN_ACK_DELAY not in raw:
        return None
    delay = _integer(raw, MIN_ACK_DELAY, 0)
    longest = _integer(raw, MAX_ACK_DELAY, _DEFAULT_MAX_ACK_DELAY_MS) * 1000
    if delay > longest:
        raise _refused(MIN_ACK_DELAY, f"{delay} microseconds is more than max_ack_delay")
    return delay


def _connection_id(raw: dict[int, bytes], identifier: int) -> bytes | None:
    data = raw.get(identifier)
    if data is not None and len(data) > MAX_CID_LENGTH:
        raise _refused(identifier, f"a connection ID of {len(data)} bytes")
    return data


def _reset_token(raw: dict[int, bytes]) -> bytes | None:
    data = raw.get(STATELESS_RESET_TOKEN)
    if data is not None and len(data) != 16:
        raise _refused(STATELESS_RESET_TOKEN, f"{len(data)} bytes instead of 16")
    return data


def _flag(raw: dict[int, bytes], identifier: int) -> bool:
    data = raw.get(identifier)
    if data is None:
        return False
    if data:
        raise _refused(identifier, "it must be empty")
    return True


def _preferred_address(raw: dict[int, bytes]) -> PreferredAddress | None:
    data = raw.get(PREFERRED_ADDRESS)
    if data is None:
        return None
    reader = Reader(data)
    try:
        ipv4 = str(IPv4Address(reader.take(4)))
        ipv4_port: int = reader.u16()
        ipv6 = str(IPv6Address(reader.take(16)))
        ipv6_port: int = reader.u16()
        connection_id = reader.take(reader.u8())
        token = reader.take(16)
    except Truncated:
        raise _refused(PREFERRED_ADDRESS, "it is cut short") from None
    if reader.remaining() > 0:
        raise _refused(PREFERRED_ADDRESS, "bytes follow its reset token")
    if not 1 <= len(connection_id) <= MAX_CID_LENGTH:
        raise _refused(PREFERRED_ADDRESS, f"a connection ID of {len(connection_id)} bytes")
    return PreferredAddress(ipv4, ipv4_port, ipv6, ipv6_port, connection_id, token)


def _refused(identifier: int, why: str) -> TransportError:
    name = _NAMES.get(identifier, f"0x{identifier:x}")
    return TransportError(TRANSPORT_PARAMETER_ERROR, f"transport parameter {name}: {why}")
