"""From the arguments of ``connect`` and ``serve`` to the core's configurations."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, Unpack

from ropewalk.observe.observer import Observer
from ropewalk.observe.tee import Observers
from ropewalk.quic.endpoint.connection_ids import RandomConnectionIds
from ropewalk.quic.endpoint.token_keys import RootTokenKeys
from ropewalk.quic.handshake.credentials import StaticCredentials, load_credential
from ropewalk.quic.handshake.tls.paths import load_anchors
from ropewalk.quic.types.carrier import Carrier
from ropewalk.quic.types.configuration import (
    Configuration,
    EndpointConfiguration,
    PinnedKey,
    PrivateCa,
    Verification,
    WebPki,
)
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.quic.types.extension import FrameExtension
from ropewalk.quic.types.identity import CredentialStore, TicketStore
from ropewalk.runtime.certificates import with_system_roots
from ropewalk.runtime.qlog import QlogDirectory

#: A file's path, or its content in PEM.
Pem = str | os.PathLike[str] | bytes
#: SHA-256 of a SubjectPublicKeyInfo, raw or in hexadecimal.
Pin = str | bytes

_logger = logging.getLogger("ropewalk.runtime")


class Settings(TypedDict, total=False):
    """Fields of :class:`Configuration` that ``connect`` and ``serve`` take as keywords.

    They mean what the configuration's documentation says; what is left out has its default.
    """

    entropy: Callable[[int], bytes]
    wall_clock: Callable[[], float]
    tickets: TicketStore | None
    cipher_suites: tuple[int, ...]
    groups: tuple[str, ...]
    key_shares: tuple[str, ...]
    key_log: Callable[[str], None] | None
    deterministic_signing: bool
    token: bytes
    version: int
    handshake_timeout: float
    idle_timeout: float
    keep_alive: float
    initial_rtt: float
    max_ack_delay: float
    initial_udp_payload: int
    max_udp_payload: int
    connection_window: int
    connection_window_limit: int
    stream_window: int
    stream_window_limit: int
    send_buffer: int
    max_bidirectional_streams: int
    max_unidirectional_streams: int
    active_connection_id_limit: int
    max_datagram_frame_size: int
    datagram_queue: int
    ack_frequency: bool
    congestion: str
    extensions: tuple[FrameExtension, ...]
    observer: Observer | None


def client_configuration(
    host: str,
    alpn: str | Iterable[str],
    ca: Pem | None,
    pin: Pin | Iterable[Pin] | None,
    verification: Verification | None,
    server_name: str | None,
    **settings: Unpack[Settings],
) -> Configuration:
    """A client's configuration. ``ConfigurationError`` names what does not fit."""
    if sum(given is not None for given in (ca, pin, verification)) > 1:
        raise ConfigurationError(
            "ca, pin and verification are three ways to say whom to trust; give one of them"
        )
    if ca is not None:
        roots = read_pem(ca, "ca")
        try:
            load_anchors(roots)
        except ConfigurationError as error:
            raise ConfigurationError(f"{_named(ca)}{error}") from None
        verification = PrivateCa(roots)
    elif pin is not None:
        verification = PinnedKey(_pins(pin))
    return with_system_roots(
        Configuration(
            alpn=_names(alpn),
            server_name=host.partition("%")[0] if server_name is None else server_name,
            verification=WebPki() if verification is None else verification,
            **_with_defaults(settings),
        )
    )


def server_configuration(
    alpn: str | Iterable[str],
    certificate: Pem | None,
    key: Pem | None,
    credentials: CredentialStore | None,
    **settings: Unpack[Settings],
) -> Configuration:
    """A server's configuration. ``ConfigurationError`` names what does not fit."""
    if credentials is None:
        if certificate is None or key is None:
            raise ConfigurationError(
                "a server proves who it is: give certificate and key (paths or PEM), or credentials"
            )
        pem = read_pem(certificate, "certificate"), read_pem(key, "key")
        try:
            credentials = StaticCredentials(load_credential(*pem))
        except ConfigurationError as error:
            raise ConfigurationError(f"{_named(certificate, key)}{error}") from None
    elif certificate is not None or key is not None:
        raise ConfigurationError("credentials already hold certificate and key; give one of them")
    return Configuration(alpn=_names(alpn), credentials=credentials, **_with_defaults(settings))


def endpoint_configuration(
    configuration: Configuration,
    *,
    accept: bool = False,
    root_secret: bytes | None = None,
    max_connections: int = 10_000,
    max_half_open: int = 1_000,
) -> EndpointConfiguration:
    """An endpoint's configuration that shares the connection's entropy and clock."""
    entropy = configuration.entropy
    if root_secret is None:
        root_secret = entropy(32)
    return EndpointConfiguration(
        entropy=entropy,
        wall_clock=configuration.wall_clock,
        connection_ids=RandomConnectionIds(entropy),
        token_keys=RootTokenKeys(root_secret, entropy),
        accept=accept,
        max_connections=max_connections,
        max_half_open=max_half_open,
    )


def fit(configuration: Configuration, carrier: Carrier) -> Configuration:
    """The configuration with datagrams no larger than the carrier's; says so if the first
    ones would have been."""
    if configuration.max_udp_payload <= carrier.mtu:
        return configuration
    first = configuration.initial_udp_payload
    if first > carrier.mtu:
        _logger.warning(
            "initial_udp_payload is %d, but from %s at most %d bytes fit into a datagram; "
            "using that",
            first,
            carrier.address(),
            carrier.mtu,
        )
        first = carrier.mtu
    return replace(configuration, initial_udp_payload=first, max_udp_payload=carrier.mtu)


def read_pem(source: Pem, what: str) -> bytes:
    """PEM content as given, or from the file that a path names."""
    if isinstance(source, bytes):
        return source
    path = Path(source)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the {what} file {str(path)!r}: {error.strerror or error}; "
            "give the path of a PEM file that this user may read"
        ) from error


def _named(*sources: Pem) -> str:
    """The files among the sources, to begin an error with; "" when there are none."""
    files = [str(source) for source in sources if not isinstance(source, bytes)]
    return f"{' and '.join(files)}: " if files else ""


def _with_defaults(settings: Settings) -> Settings:
    complete = settings.copy()
    complete.setdefault("entropy", os.urandom)
    complete.setdefault("wall_clock", time.time)
    log_path = os.environ.get("SSLKEYLOGFILE")
    if log_path and "key_log" not in complete:
        complete["key_log"] = _key_log(log_path)
    qlog_path = os.environ.get("QLOGDIR")
    if qlog_path:
        complete["observer"] = _also(complete.get("observer"), QlogDirectory(qlog_path))
    return complete


def _also(observer: Observer | None, another: Observer) -> Observer:
    return another if observer is None else Observers([observer, another])


def _key_log(path: str) -> Callable[[str], None]:
    """Appends lines to a file, as curl and the browsers do. A failure is told once."""
    failed = False

    def write(line: str) -> None:
        nonlocal failed
        # Opened for each of a connection's five lines: no handle outlives the connection.
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(descriptor, line.rstrip("\n").encode("ascii") + b"\n")
            finally:
                os.close(descriptor)
        except OSError as error:
            if not failed:
                _logger.warning("cannot write keys to SSLKEYLOGFILE %s: %s", path, error)
            failed = True

    return write


def _names(alpn: str | Iterable[str]) -> tuple[str, ...]:
    return (alpn,) if isinstance(alpn, str) else tuple(alpn)


def _pins(pin: Pin | Iterable[Pin]) -> tuple[bytes, ...]:
    several = (pin,) if isinstance(pin, (str, bytes)) else tuple(pin)
    return tuple(_pin(one) for one in several)


def _pin(pin: Pin) -> bytes:
    if isinstance(pin, str):
        try:
            pin = bytes.fromhex(pin.removeprefix("sha256:").replace(":", ""))
        except ValueError:
            pin = b""
    if len(pin) != 32:
        raise ConfigurationError(
            "a pin is the SHA-256 of the server's public key (SubjectPublicKeyInfo): "
            "64 hexadecimal digits or 32 bytes"
        )
    return pin
