"""The SETTINGS frame (RFC 9114 7.2.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64

from ropewalk.http3.errors import H3_FRAME_ERROR, H3_SETTINGS_ERROR, Http3Error
from ropewalk.quic.types.errors import ConfigurationError, Unsupported
from ropewalk.quic.wire.reader import Reader, Truncated
from ropewalk.quic.wire.varint import MAX_VARINT, write_varint

QPACK_MAX_TABLE_CAPACITY: Final = 0x01
MAX_FIELD_SECTION_SIZE: Final = 0x06
QPACK_BLOCKED_STREAMS: Final = 0x07
ENABLE_CONNECT_PROTOCOL: Final = 0x08
H3_DATAGRAM: Final = 0x33

#: HTTP/2 settings without a counterpart; their appearance is an error (RFC 9114 7.2.4.1). HTTP/2
#: gives 0x00 no meaning, but it is reserved in the same table (11.2.2).
_HTTP2_LEFTOVERS: Final = (0x00, 0x02, 0x03, 0x04, 0x05)
#: The settings that have a field below.
_NAMED: Final = (
    QPACK_MAX_TABLE_CAPACITY,
    MAX_FIELD_SECTION_SIZE,
    QPACK_BLOCKED_STREAMS,
    ENABLE_CONNECT_PROTOCOL,
    H3_DATAGRAM,
)
#: More settings than this in one frame serve no purpose that we know of.
_MOST_SETTINGS: Final = 256


def _check_range(name: str, value: int) -> None:
    if not 0 <= value <= MAX_VARINT:
        raise ConfigurationError(f"{name} {value} is not within 0 and 2**62 - 1")


@dataclass(frozen=True)
class Settings:
    """What one side tells the other about itself. The defaults are what we advertise.

    Numbers are 0 to 2**62 - 1. Raises ``ConfigurationError`` for others, and for identifiers in
    ``others`` that appear twice, have a field of their own here or are reserved for HTTP/2.
    """

    #: Largest field section accepted, in bytes after decompression plus 32 for each field
    #: (RFC 9114 4.2.2). None is no limit.
    max_field_section_size: int | None = 65536
    #: Bytes that QPACK's dynamic table may take (RFC 9204 5).
    qpack_max_table_capacity: int = 0
    #: Streams that may wait for QPACK's dynamic table at a time (RFC 9204 5).
    qpack_blocked_streams: int = 0
    #: Extended CONNECT may be used (RFC 9220 3). Peers may say so; we cannot yet.
    enable_connect_protocol: bool = False
    #: HTTP datagrams may be used (RFC 9297 2.1.1). Peers may say so; we cannot yet.
    h3_datagram: bool = False
    #: All others, as (identifier, value), in their order.
    others: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.max_field_section_size is not None:
            _check_range("max_field_section_size", self.max_field_section_size)
        _check_range("qpack_max_table_capacity", self.qpack_max_table_capacity)
        _check_range("qpack_blocked_streams", self.qpack_blocked_streams)
        seen: set[int] = set()
        for identifier, value in self.others:
            _check_range("a setting's identifier", identifier)
            if identifier in _HTTP2_LEFTOVERS:
                raise ConfigurationError(f"setting 0x{identifier:x} is reserved for HTTP/2")
            if identifier in _NAMED:
                raise ConfigurationError(f"setting 0x{identifier:x} has a name of its own")
            if identifier in seen:
                raise ConfigurationError(f"setting 0x{identifier:x} appears twice")
            _check_range(f"setting 0x{identifier:x}", value)
            seen.add(identifier)


#: What holds for the peer until its SETTINGS arrive (RFC 9114 7.2.4.2).
INITIAL_SETTINGS: Final = Settings(max_field_section_size=None)


def check_advertised(settings: Settings | None) -> None:
    """Whether we can stand by these settings.

    Raises ``Unsupported`` for features that are not built, ``ConfigurationError`` for the
    settings without meaning that we make up ourselves (RFC 9114 7.2.4.1).
    """
    if settings is None:
        return
    if settings.enable_connect_protocol:
        raise Unsupported("extended CONNECT (RFC 9220) is not built: leave it switched off")
    if settings.h3_datagram:
        raise Unsupported("HTTP datagrams (RFC 9297) are not built: leave h3_datagram off")
    for identifier, _ in settings.others:
        if identifier >= 0x21 and (identifier - 0x21) % 0x1F == 0:
            raise ConfigurationError(
                f"setting 0x{identifier:x} has no meaning; one of its kind is sent anyway"
            )


def watched_settings(settings: Settings) -> dict[str, int]:
    """The settings as an observer is told of them."""
    values = {
        "qpack_max_table_capacity": settings.qpack_max_table_capacity,
        "qpack_blocked_streams": settings.qpack_blocked_streams,
        "enable_connect_protocol": int(settings.enable_connect_protocol),
        "h3_datagram": int(settings.h3_datagram),
    }
    if settings.max_field_section_size is not None:
        values["max_field_section_size"] = settings.max_field_section_size
    return values


def encode_settings(settings: Settings) -> bytes:
    """The payload of a SETTINGS frame. Settings that have their initial value are left out."""
    writer = BytesWriter()
    if settings.qpack_max_table_capacity:
        _write(writer, QPACK_MAX_TABLE_CAPACITY, settings.qpack_max_table_capacity)
    if settings.max_field_section_size is not None:
        _write(writer, MAX_FIELD_SECTION_SIZE, settings.max_field_section_size)
    if settings.qpack_blocked_streams:
        _write(writer, QPACK_BLOCKED_STREAMS, settings.qpack_blocked_streams)
    if settings.enable_connect_protocol:
        _write(writer, ENABLE_CONNECT_PROTOCOL, 1)
    if settings.h3_datagram:
        _write(writer, H3_DATAGRAM, 1)
    for identifier, value in settings.others:
        _write(writer, identifier, value)
    return writer.getvalue()


def decode_settings(payload: bytes) -> Settings:
    """The peer's settings.

    Raises ``Http3Error``: H3_SETTINGS_ERROR for a repeated identifier, an HTTP/2 leftover or
    a value out of range; H3_FRAME_ERROR for a frame that is cut short.
    """
    values: dict[int, int] = {}
    reader = Reader(payload)
    while reader.remaining() > 0:
        try:
            identifier = int(reader.varint())
            value = int(reader.varint())
        except Truncated:
            raise Http3Error(H3_FRAME_ERROR, "SETTINGS is cut short") from None
        if identifier in _HTTP2_LEFTOVERS:
            raise Http3Error(H3_SETTINGS_ERROR, f"setting 0x{identifier:x} is reserved for HTTP/2")
        if identifier in values:
            raise Http3Error(H3_SETTINGS_ERROR, f"setting 0x{identifier:x} appears twice")
        if len(values) == _MOST_SETTINGS:
            raise Http3Error(H3_SETTINGS_ERROR, f"there are more than {_MOST_SETTINGS} settings")
        values[identifier] = value
    capacity = values.pop(QPACK_MAX_TABLE_CAPACITY, 0)
    section_size = values.pop(MAX_FIELD_SECTION_SIZE, None)
    blocked = values.pop(QPACK_BLOCKED_STREAMS, 0)
    return Settings(
        max_field_section_size=section_size,
        qpack_max_table_capacity=capacity,
        qpack_blocked_streams=blocked,
        enable_connect_protocol=_flag(values, ENABLE_CONNECT_PROTOCOL),
        h3_datagram=_flag(values, H3_DATAGRAM),
        others=tuple(values.items()),
    )


def _flag(values: dict[int, int], identifier: int) -> bool:
    value = values.pop(identifier, 0)
    if value > 1:
        raise Http3Error(H3_SETTINGS_ERROR, f"setting 0x{identifier:x} is {value}, not 0 or 1")
    return value == 1


def _write(writer: BytesWriter, identifier: i64, value: i64) -> None:
    write_varint(writer, identifier)
    write_varint(writer, value)
