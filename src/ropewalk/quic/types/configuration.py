"""Settings of a connection and of an endpoint, with limits that hold off loopback too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ropewalk.observe.observer import Observer
from ropewalk.quic.types.errors import ConfigurationError, Unsupported
from ropewalk.quic.types.extension import FrameExtension
from ropewalk.quic.types.handshake import AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305
from ropewalk.quic.types.identity import (
    ConnectionIdGenerator,
    CredentialStore,
    ReplayGuard,
    TicketStore,
    TokenKeys,
)

QUIC_V1 = 0x00000001
#: Windows beyond a terabyte are mistakes.
_LARGEST_WINDOW = 1 << 40
_LONGEST_TIMEOUT = 366.0 * 86400.0


@dataclass(frozen=True)
class Verification:
    """How a client decides whether to trust a server. Use one of the subclasses."""


@dataclass(frozen=True)
class WebPki(Verification):
    """The public web's rules and roots. ``roots`` is PEM; None means the system's."""

    roots: bytes | None = None


@dataclass(frozen=True)
class PrivateCa(Verification):
    """One's own authority: any chain to a certificate in ``roots`` (PEM), with relaxed
    profile rules, so that CAs made by openssl, mkcert or trustme work."""

    roots: bytes


@dataclass(frozen=True)
class PinnedKey(Verification):
    """The SHA-256 of the server's SubjectPublicKeyInfo is known; names and dates do not count."""

    spki_sha256: tuple[bytes, ...]


@dataclass(frozen=True)
class NoVerification(Verification):
    """Trust anybody. For tests on one's own machine."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Everything a connection needs to know. Immutable; change it with ``dataclasses.replace``.

    ``entropy(n)`` returns n unpredictable bytes, ``wall_clock()`` the time as seconds since
    1970 (read for certificates, tickets and tokens only). Times in seconds, sizes in bytes.
    """

    entropy: Callable[[int], bytes]
    wall_clock: Callable[[], float]

    # -- handshake
    alpn: tuple[str, ...]
    server_name: str | None = None
    verification: Verification = WebPki()
    credentials: CredentialStore | None = None
    #: Where session tickets are to be kept. ``Unsupported`` so far.
    tickets: TicketStore | None = None
    cipher_suites: tuple[int, ...] = (AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305)
    #: Key-exchange groups in the order of preference, by name.
    groups: tuple[str, ...] = ("X25519MLKEM768", "X25519", "P-256", "P-384")
    #: Groups a client sends shares for in its first ClientHello.
    key_shares: tuple[str, ...] = ("X25519MLKEM768", "X25519")
    #: Receives lines in the SSLKEYLOGFILE format.
    key_log: Callable[[str], None] | None = None
    #: ECDSA signatures by RFC 6979, so that a lab run repeats.
    deterministic_signing: bool = False
    #: A token from an earlier connection's NEW_TOKEN (client).
    token: bytes = b""
    version: int = QUIC_V1

    # -- timeouts
    handshake_timeout: float = 30.0
    #: 0 switches it off.
    idle_timeout: float = 30.0
    keep_alive: float = 0.0
    initial_rtt: float = 0.333
    max_ack_delay: float = 0.025

    # -- sizes
    #: UDP payload that a new route is taken to carry, and the largest to look for by probes
    #: (RFC 8899). Equal values switch the search off. 1,200 to 65,527.
    initial_udp_payload: int = 1200
    max_udp_payload: int = 1200
    #: First and largest connection window, and the same per stream.
    connection_window: int = 1024 * 1024
    connection_window_limit: int = 16 * 1024 * 1024
    stream_window: int = 512 * 1024
    stream_window_limit: int = 16 * 1024 * 1024
    #: Unsent and unacknowledged bytes a stream holds before it refuses writes.
    send_buffer: int = 4 * 1024 * 1024
    max_bidirectional_streams: int = 128
    max_unidirectional_streams: int = 128
    active_connection_id_limit: int = 8
    #: Largest DATAGRAM frame accepted (RFC 9221); 0 refuses datagrams.
    max_datagram_frame_size: int = 65535
    datagram_queue: int = 1024

    #: Ask for fewer acknowledgements, and let the peer ask
    #: (draft-ietf-quic-ack-frequency-14). Off unless both sides switch it on.
    ack_frequency: bool = False

    # -- congestion
    congestion: str = "cubic"

    extensions: tuple[FrameExtension, ...] = ()
    #: Who watches; asked for each connection who watches that one.
    observer: Observer | None = None

    def __post_init__(self) -> None:
        if not 1200 <= self.max_udp_payload <= 65527:
            raise ConfigurationError(
                f"max_udp_payload is {self.max_udp_payload}; QUIC needs 1200 to 65527 bytes"
            )
        if not 1200 <= self.initial_udp_payload <= self.max_udp_payload:
            raise ConfigurationError(
                f"initial_udp_payload is {self.initial_udp_payload}; it must lie between 1200 and "
                f"max_udp_payload, {self.max_udp_payload}"
            )
        if not self.alpn:
            raise ConfigurationError("alpn is empty; name at least one application protocol")
        for name in self.alpn:
            if not 1 <= len(name.encode()) <= 255:
                raise ConfigurationError(f"ALPN name {name!r} is not 1 to 255 bytes long")
        if not 2 <= self.active_connection_id_limit <= 64:
            raise ConfigurationError("active_connection_id_limit must lie between 2 and 64")
        if not 0 < self.initial_rtt <= 60:
            raise ConfigurationError("initial_rtt must lie between 0 and 60 seconds")
        if not 0 <= self.max_ack_delay < 16.384:
            raise ConfigurationError("max_ack_delay must be below 16.384 seconds (RFC 9000 18.2)")
        if self.tickets is not None:
            raise Unsupported(
                "session resumption is not built yet: tickets are not kept; leave `tickets` unset"
            )
        if self.version != QUIC_V1:
            raise ConfigurationError(f"QUIC version 0x{self.version:08x} is not built yet; use v1")
        if not set(self.key_shares) <= set(self.groups):
            raise ConfigurationError(
                f"key_shares {self.key_shares} must be some of groups {self.groups}: give both"
            )
        if self.connection_window > self.connection_window_limit:
            raise ConfigurationError("connection_window is larger than its limit")
        if self.stream_window > self.stream_window_limit:
            raise ConfigurationError("stream_window is larger than its limit")
        self._check_ranges()

    def _check_ranges(self) -> None:
        for name, value, least, most in (
            ("connection_window", self.connection_window, 1, _LARGEST_WINDOW),
            ("connection_window_limit", self.connection_window_limit, 1, _LARGEST_WINDOW),
            ("stream_window", self.stream_window, 1, _LARGEST_WINDOW),
            ("stream_window_limit", self.stream_window_limit, 1, _LARGEST_WINDOW),
            ("send_buffer", self.send_buffer, 1, _LARGEST_WINDOW),
            ("datagram_queue", self.datagram_queue, 1, 1 << 24),
            ("max_bidirectional_streams", self.max_bidirectional_streams, 0, 1 << 60),
            ("max_unidirectional_streams", self.max_unidirectional_streams, 0, 1 << 60),
            ("max_datagram_frame_size", self.max_datagram_frame_size, 0, 65535),
        ):
            if not least <= value <= most:
                raise ConfigurationError(
                    f"{name} is {value}; it must lie between {least} and {most}"
                )
        for name, seconds in (
            ("idle_timeout", self.idle_timeout),
            ("handshake_timeout", self.handshake_timeout),
            ("keep_alive", self.keep_alive),
        ):
            # Written so that "not a number" fails, too.
            if not 0 <= seconds <= _LONGEST_TIMEOUT:
                raise ConfigurationError(
                    f"{name} is {seconds} seconds; it must lie between 0 and a year"
                )
        if self.handshake_timeout == 0:
            raise ConfigurationError("handshake_timeout is 0; no handshake is that quick")


@dataclass(frozen=True, kw_only=True)
class EndpointConfiguration:
    """Settings that all connections of one endpoint share."""

    entropy: Callable[[int], bytes]
    wall_clock: Callable[[], float]
    connection_ids: ConnectionIdGenerator
    token_keys: TokenKeys
    #: Whether new connections are taken from the network at all.
    accept: bool = False
    max_connections: int = 10_000
    #: Connections whose handshake is not complete, and datagrams held per connection that
    #: waits at ``incoming()``.
    max_half_open: int = 1_000
    max_waiting_datagrams: int = 8
    #: A Retry token is good for this long, a NEW_TOKEN token for the longer time.
    retry_token_lifetime: float = 30.0
    new_token_lifetime: float = 24 * 3600.0
    #: Makes NEW_TOKEN tokens good for one connection only (RFC 9000 8.1.4).
    replay_guard: ReplayGuard | None = None
    #: Stateless resets and version negotiations sent per second at most.
    reply_rate: float = 100.0
