"""Bodies of the extensions that are spoken here (RFC 9846 4.3, RFC 6066 3, RFC 7301)."""

from __future__ import annotations

import ipaddress

from ropewalk.quic.handshake.tls.codec import (
    expect_end,
    read_u16_list,
    read_vector8,
    read_vector16,
    u16,
    u16_list,
    vector8,
    vector16,
)
from ropewalk.quic.handshake.tls.codepoints import (
    ALPN,
    DECODE_ERROR,
    ILLEGAL_PARAMETER,
    PROTOCOL_VERSION,
    SERVER_NAME,
    SUPPORTED_VERSIONS,
    TLS_1_2,
    TLS_1_3,
)
from ropewalk.quic.handshake.tls.groups import KeyExchange
from ropewalk.quic.types.errors import ConfigurationError, HandshakeError
from ropewalk.quic.wire.reader import Reader


# -- server_name
def is_ip_literal(name: str) -> bool:
    """Whether a server name is an IP address, which SNI may not carry (RFC 6066 3)."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def encode_server_name(name: str) -> bytes:
    """A list with one host name. Raises ``ConfigurationError`` for what cannot be one."""
    encoded = name.encode("ascii", "replace")
    if not name.isascii() or not _is_host_name(encoded):
        raise ConfigurationError(
            f"server_name {name!r} is not a host name in ASCII (write international names in "
            "their xn-- form)"
        )
    return vector16(b"\x00" + vector16(encoded))


def read_server_name(body: bytes) -> str | None:
    """The host name of a ClientHello's list, in lower case; None when it names no host."""
    reader = Reader(body)
    names = Reader(read_vector16(reader))
    expect_end(reader, "server_name")
    if not names.remaining():
        raise HandshakeError(DECODE_ERROR, "the server_name list is empty")
    found: str | None = None
    while names.remaining():
        name_type = names.u8()
        name = read_vector16(names)
        if name_type != 0:
            continue
        if found is not None:
            raise HandshakeError(ILLEGAL_PARAMETER, "server_name holds two host names")
        if not name:
            raise HandshakeError(DECODE_ERROR, "the host name in server_name is empty")
        if not _is_host_name(name):
            raise HandshakeError(ILLEGAL_PARAMETER, "server_name is not a host name")
        found = name.decode("ascii").lower()
    return found


def _is_host_name(name: bytes) -> bool:
    return 1 <= len(name) <= 255 and min(name) > 0x20 and max(name) < 0x7F


# -- application_layer_protocol_negotiation
def encode_alpn(names: list[bytes]) -> bytes:
    """A list of protocol names."""
    return vector16(b"".join([vector8(name) for name in names]))


def read_alpn(body: bytes) -> list[bytes]:
    """The protocol names of a list, which has one at least."""
    reader = Reader(body)
    block = Reader(read_vector16(reader))
    expect_end(reader, "the ALPN extension")
    names: list[bytes] = []
    while block.remaining():
        name = read_vector8(block)
        if not name:
            raise HandshakeError(DECODE_ERROR, "an ALPN name is empty")
        names.append(name)
    if not names:
        raise HandshakeError(DECODE_ERROR, "the ALPN list is empty")
    return names


# -- lists of two-byte values: supported_groups, signature_algorithms
def encode_u16_vector(values: list[int]) -> bytes:
    """A list of two-byte values with its two-byte length."""
    return vector16(u16_list(values))


def read_u16_vector(body: bytes, what: str) -> list[int]:
    """A non-empty list of two-byte values with its two-byte length."""
    reader = Reader(body)
    values = read_u16_list(read_vector16(reader), what)
    expect_end(reader, what)
    return values


# -- supported_versions
def encode_client_versions() -> bytes:
    """TLS 1.3 and nothing older (RFC 9001 4.2)."""
    return vector8(u16(TLS_1_3))


def check_client_versions(extensions: dict[int, bytes], legacy_version: int) -> None:
    """Raise protocol_version when a ClientHello does not offer TLS 1.3 (RFC 9846 4.2.2)."""
    body = extensions.get(SUPPORTED_VERSIONS)
    if body is None:
        raise HandshakeError(PROTOCOL_VERSION, "the client does not offer TLS 1.3")
    reader = Reader(body)
    versions = read_u16_list(read_vector8(reader), "supported_versions")
    expect_end(reader, "supported_versions")
    if TLS_1_3 not in versions:
        raise HandshakeError(PROTOCOL_VERSION, "the client does not offer TLS 1.3")
    _check_legacy_version(legacy_version)


def check_server_version(extensions: dict[int, bytes], legacy_version: int) -> None:
    """Check the version that a ServerHello or HelloRetryRequest chose."""
    body = extensions.get(SUPPORTED_VERSIONS)
    if body is None:
        raise HandshakeError(
            PROTOCOL_VERSION, "the server speaks TLS 1.2 or older, QUIC needs TLS 1.3"
        )
    reader = Reader(body)
    version = reader.u16()
    expect_end(reader, "supported_versions")
    if version != TLS_1_3:
        raise HandshakeError(
            ILLEGAL_PARAMETER, f"the server chose version 0x{version:04x}, which was not offered"
        )
    _check_legacy_version(legacy_version)


def _check_legacy_version(legacy_version: int) -> None:
    if legacy_version != TLS_1_2:
        raise HandshakeError(
            PROTOCOL_VERSION, f"legacy_version is 0x{legacy_version:04x}, not 0x{TLS_1_2:04x}"
        )


# -- key_share
def encode_client_shares(exchanges: list[KeyExchange]) -> bytes:
    """The ClientHello's list of shares."""
    parts: list[bytes] = []
    for exchange in exchanges:
        parts.append(u16(exchange.group))
        parts.append(vector16(exchange.share))
    return vector16(b"".join(parts))


def read_client_shares(body: bytes, groups: list[int]) -> dict[int, bytes]:
    """The shares by group; empty when the client asks for a HelloRetryRequest."""
    reader = Reader(body)
    block = Reader(read_vector16(reader))
    expect_end(reader, "key_share")
    shares: dict[int, bytes] = {}
    while block.remaining():
        group = block.u16()
        share = read_vector16(block)
        if not share:
            raise HandshakeError(DECODE_ERROR, "a key share is empty")
        if group in shares or group not in groups:
            raise HandshakeError(
                ILLEGAL_PARAMETER,
                f"key_share holds group 0x{group:04x} twice or without supported_groups naming it",
            )
        shares[group] = share
    return shares


def read_server_share(body: bytes) -> tuple[int, bytes]:
    """The one share of a ServerHello."""
    reader = Reader(body)
    group = reader.u16()
    share = read_vector16(reader)
    expect_end(reader, "key_share")
    if not share:
        raise HandshakeError(DECODE_ERROR, "the server's key share is empty")
    return group, share


def read_selected_group(body: bytes) -> int:
    """The group that a HelloRetryRequest asks for."""
    reader = Reader(body)
    group = reader.u16()
    expect_end(reader, "key_share")
    return group


# -- cookie
def read_cookie(body: bytes) -> bytes:
    """Check the form of a cookie and return the whole extension body, to be echoed."""
    reader = Reader(body)
    cookie = read_vector16(reader)
    expect_end(reader, "cookie")
    if not cookie:
        raise HandshakeError(DECODE_ERROR, "the cookie is empty")
    return body


def offered_server_name(extensions: dict[int, bytes]) -> str | None:
    """The server name in a ClientHello, if any."""
    body = extensions.get(SERVER_NAME)
    return None if body is None else read_server_name(body)


def offered_alpn(extensions: dict[int, bytes]) -> list[bytes]:
    """The protocol names in a ClientHello; empty when it has none."""
    body = extensions.get(ALPN)
    return [] if body is None else read_alpn(body)
