"""Handshake messages, bytes to values and back (RFC 9846 4).

Bodies come without the four-byte message header. Parsers raise ``HandshakeError`` with the
alert to send, or ``Truncated`` where a length runs past the end.
"""

from __future__ import annotations

from typing import Final, final

from ropewalk.quic.handshake.tls.codec import (
    encode_extensions,
    expect_end,
    message,
    read_extensions,
    read_u16_list,
    read_vector8,
    read_vector16,
    read_vector24,
    u16,
    u16_list,
    vector8,
    vector16,
    vector24,
)
from ropewalk.quic.handshake.tls.codepoints import (
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CERTIFICATE_VERIFY,
    CLIENT_HELLO,
    DECODE_ERROR,
    ENCRYPTED_EXTENSIONS,
    HELLO_RETRY_REQUEST,
    ILLEGAL_PARAMETER,
    MISSING_EXTENSION,
    SERVER_HELLO,
    SIGNATURE_ALGORITHMS,
    TLS_1_2,
)
from ropewalk.quic.types.errors import HandshakeError
from ropewalk.quic.wire.reader import Reader

_SESSION_ID_LIMIT: Final = 32


@final
class ClientHello:
    """A ClientHello with its extensions still undecoded, in the order of the wire."""

    def __init__(
        self,
        legacy_version: int,
        random: bytes,
        session_id: bytes,
        cipher_suites: list[int],
        compression_methods: bytes,
        extensions: dict[int, bytes],
    ) -> None:
        self.legacy_version = legacy_version
        self.random = random
        self.session_id = session_id
        self.cipher_suites = cipher_suites
        self.compression_methods = compression_methods
        self.extensions = extensions


def parse_client_hello(reader: Reader) -> ClientHello:
    """A ClientHello's body (RFC 9846 4.2.2)."""
    legacy_version = reader.u16()
    random = reader.take(32)
    session_id = read_vector8(reader)
    suites_body = read_vector16(reader)
    compression_methods = read_vector8(reader)
    if len(session_id) > _SESSION_ID_LIMIT or not suites_body or len(suites_body) % 2:
        raise HandshakeError(DECODE_ERROR, "the ClientHello's fixed part is malformed")
    if not compression_methods:
        raise HandshakeError(DECODE_ERROR, "the ClientHello lists no compression method")
    suites = Reader(suites_body)
    cipher_suites: list[int] = []
    while suites.remaining():
        cipher_suites.append(suites.u16())
    extensions: dict[int, bytes] = {}
    if reader.remaining():  # before TLS 1.3 extensions could be absent altogether
        extensions = read_extensions(reader, "the ClientHello")
    expect_end(reader, "the ClientHello")
    return ClientHello(
        legacy_version, random, session_id, cipher_suites, compression_methods, extensions
    )


def encode_client_hello(
    random: bytes, cipher_suites: list[int], extensions: list[tuple[int, bytes]]
) -> bytes:
    """A ClientHello message. QUIC keeps legacy_session_id empty (RFC 9001 8.4)."""
    return message(
        CLIENT_HELLO,
        u16(TLS_1_2)
        + random
        + b"\x00"
        + vector16(u16_list(cipher_suites))
        + b"\x01\x00"
        + encode_extensions(extensions),
    )


@final
class ServerHello:
    """A ServerHello, or a HelloRetryRequest when ``is_retry``."""

    def __init__(
        self,
        legacy_version: int,
        random: bytes,
        session_id: bytes,
        cipher_suite: int,
        extensions: dict[int, bytes],
    ) -> None:
        self.legacy_version = legacy_version
        self.random = random
        self.session_id = session_id
        self.cipher_suite = cipher_suite
        self.extensions = extensions
        self.is_retry = random == HELLO_RETRY_REQUEST


def parse_server_hello(reader: Reader) -> ServerHello:
    """A ServerHello's body (RFC 9846 4.2.3)."""
    legacy_version = reader.u16()
    random = reader.take(32)
    session_id = read_vector8(reader)
    cipher_suite = reader.u16()
    compression_method = reader.u8()
    if len(session_id) > _SESSION_ID_LIMIT:
        raise HandshakeError(DECODE_ERROR, "the ServerHello's session ID is too long")
    extensions: dict[int, bytes] = {}
    if reader.remaining():
        extensions = read_extensions(reader, "the ServerHello")
    expect_end(reader, "the ServerHello")
    if compression_method != 0:
        raise HandshakeError(ILLEGAL_PARAMETER, "the ServerHello chose a compression method")
    return ServerHello(legacy_version, random, session_id, cipher_suite, extensions)


def encode_server_hello(
    random: bytes, cipher_suite: int, extensions: list[tuple[int, bytes]]
) -> bytes:
    """A ServerHello message, or a HelloRetryRequest by its fixed random."""
    return message(
        SERVER_HELLO,
        u16(TLS_1_2)
        + random
        + b"\x00"
        + u16(cipher_suite)
        + b"\x00"
        + encode_extensions(extensions),
    )


def parse_encrypted_extensions(reader: Reader) -> dict[int, bytes]:
    """The extensions of an EncryptedExtensions body (RFC 9846 4.4.1)."""
    extensions = read_extensions(reader, "EncryptedExtensions")
    expect_end(reader, "EncryptedExtensions")
    return extensions


def encode_encrypted_extensions(extensions: list[tuple[int, bytes]]) -> bytes:
    """An EncryptedExtensions message."""
    return message(ENCRYPTED_EXTENSIONS, encode_extensions(extensions))


@final
class CertificateEntry:
    """One certificate of a Certificate message, in DER, with its extensions."""

    def __init__(self, certificate: bytes, extensions: dict[int, bytes]) -> None:
        self.certificate = certificate
        self.extensions = extensions


def parse_certificate(reader: Reader) -> tuple[bytes, list[CertificateEntry]]:
    """The request context and the entries of a Certificate body (RFC 9846 4.5.1)."""
    context = read_vector8(reader)
    block = Reader(read_vector24(reader))
    expect_end(reader, "the Certificate message")
    entries: list[CertificateEntry] = []
    while block.remaining():
        certificate = read_vector24(block)
        if not certificate:
            raise HandshakeError(DECODE_ERROR, "the Certificate message holds an empty entry")
        entries.append(CertificateEntry(certificate, read_extensions(block, "a certificate")))
    return context, entries


def encode_certificate(context: bytes, certificates: list[bytes]) -> bytes:
    """A Certificate message without extensions; no certificates say "I have none"."""
    entries: list[bytes] = []
    for certificate in certificates:
        entries.append(vector24(certificate))
        entries.append(b"\x00\x00")
    return message(CERTIFICATE, vector8(context) + vector24(b"".join(entries)))


def parse_certificate_request(reader: Reader) -> bytes:
    """The context of a CertificateRequest body (RFC 9846 4.4.2)."""
    context = read_vector8(reader)
    extensions = read_extensions(reader, "the CertificateRequest")
    expect_end(reader, "the CertificateRequest")
    schemes = extensions.get(SIGNATURE_ALGORITHMS)
    if schemes is None:
        raise HandshakeError(
            MISSING_EXTENSION, "the CertificateRequest has no signature_algorithms"
        )
    body = Reader(schemes)
    read_u16_list(read_vector16(body), "signature_algorithms")
    expect_end(body, "signature_algorithms")
    return context


def encode_certificate_request(context: bytes, extensions: list[tuple[int, bytes]]) -> bytes:
    """A CertificateRequest message."""
    return message(CERTIFICATE_REQUEST, vector8(context) + encode_extensions(extensions))


def parse_certificate_verify(reader: Reader) -> tuple[int, bytes]:
    """The signature scheme and the signature of a CertificateVerify body (RFC 9846 4.5.2)."""
    scheme = reader.u16()
    signature = read_vector16(reader)
    expect_end(reader, "CertificateVerify")
    return scheme, signature


def encode_certificate_verify(scheme: int, signature: bytes) -> bytes:
    """A CertificateVerify message."""
    return message(CERTIFICATE_VERIFY, u16(scheme) + vector16(signature))


@final
class NewSessionTicket:
    """A ticket that the server offers for a later connection (RFC 9846 4.7.1)."""

    def __init__(
        self, lifetime: int, age_add: int, nonce: bytes, ticket: bytes, extensions: dict[int, bytes]
    ) -> None:
        #: in seconds
        self.lifetime = lifetime
        self.age_add = age_add
        self.nonce = nonce
        self.ticket = ticket
        self.extensions = extensions


def parse_new_session_ticket(reader: Reader) -> NewSessionTicket:
    """A NewSessionTicket's body."""
    lifetime = reader.u32()
    age_add = reader.u32()
    nonce = read_vector8(reader)
    ticket = read_vector16(reader)
    extensions = read_extensions(reader, "NewSessionTicket")
    expect_end(reader, "NewSessionTicket")
    if not ticket:
        raise HandshakeError(DECODE_ERROR, "the NewSessionTicket's ticket is empty")
    return NewSessionTicket(lifetime, age_add, nonce, ticket, extensions)
