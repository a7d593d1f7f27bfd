"""QUIC for Python: typed, sans-IO inside, structured concurrency outside.

Names are loaded when they are first used (PEP 562), so that ``import ropewalk`` costs next to
nothing.
"""

from __future__ import annotations

__version__ = "0.1.0"

# Type checkers know the name; importing it from typing would be most of this module's cost.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from ropewalk import http, sync
    from ropewalk.http import RequestFailed, http3_client, serve_http
    from ropewalk.quic.streams.datagrams import DatagramTooLarge
    from ropewalk.quic.types.address import Address
    from ropewalk.quic.types.configuration import (
        Configuration,
        EndpointConfiguration,
        NoVerification,
        PinnedKey,
        PrivateCa,
        Verification,
        WebPki,
    )
    from ropewalk.quic.types.errors import (
        ApplicationError,
        ConfigurationError,
        ConnectionLost,
        ConnectionRefused,
        Error,
        HandshakeError,
        HandshakeTimeout,
        IdleTimeout,
        StatelessReset,
        StopSending,
        StreamError,
        StreamReset,
        StreamStateError,
        TransportError,
        Unsupported,
        VersionMismatch,
    )
    from ropewalk.runtime import (
        Connection,
        ConnectionStats,
        DatagramStats,
        ReceiveStream,
        SendStream,
        Server,
        Settings,
        Stream,
        connect,
        serve,
    )

_CONFIGURATION = "ropewalk.quic.types.configuration"
_ERRORS = "ropewalk.quic.types.errors"
_HTTP = "ropewalk.http"
_RUNTIME = "ropewalk.runtime"
#: Modules that ``import ropewalk`` alone gives access to.
_MODULES = ("http", "sync")

_HOME = {
    "Address": "ropewalk.quic.types.address",
    "ApplicationError": _ERRORS,
    "Configuration": _CONFIGURATION,
    "ConfigurationError": _ERRORS,
    "Connection": _RUNTIME,
    "ConnectionLost": _ERRORS,
    "ConnectionRefused": _ERRORS,
    "ConnectionStats": _RUNTIME,
    "DatagramStats": _RUNTIME,
    "DatagramTooLarge": "ropewalk.quic.streams.datagrams",
    "EndpointConfiguration": _CONFIGURATION,
    "Error": _ERRORS,
    "HandshakeError": _ERRORS,
    "HandshakeTimeout": _ERRORS,
    "IdleTimeout": _ERRORS,
    "NoVerification": _CONFIGURATION,
    "PinnedKey": _CONFIGURATION,
    "PrivateCa": _CONFIGURATION,
    "ReceiveStream": _RUNTIME,
    "RequestFailed": _HTTP,
    "SendStream": _RUNTIME,
    "Server": _RUNTIME,
    "Settings": _RUNTIME,
    "StatelessReset": _ERRORS,
    "StopSending": _ERRORS,
    "Stream": _RUNTIME,
    "StreamError": _ERRORS,
    "StreamReset": _ERRORS,
    "StreamStateError": _ERRORS,
    "TransportError": _ERRORS,
    "Unsupported": _ERRORS,
    "Verification": _CONFIGURATION,
    "VersionMismatch": _ERRORS,
    "WebPki": _CONFIGURATION,
    "connect": _RUNTIME,
    "http3_client": _HTTP,
    "serve": _RUNTIME,
    "serve_http": _HTTP,
}

__all__ = [
    "Address",
    "ApplicationError",
    "Configuration",
    "ConfigurationError",
    "Connection",
    "ConnectionLost",
    "ConnectionRefused",
    "ConnectionStats",
    "DatagramStats",
    "DatagramTooLarge",
    "EndpointConfiguration",
    "Error",
    "HandshakeError",
    "HandshakeTimeout",
    "IdleTimeout",
    "NoVerification",
    "PinnedKey",
    "PrivateCa",
    "ReceiveStream",
    "RequestFailed",
    "SendStream",
    "Server",
    "Settings",
    "StatelessReset",
    "StopSending",
    "Stream",
    "StreamError",
    "StreamReset",
    "StreamStateError",
    "TransportError",
    "Unsupported",
    "Verification",
    "VersionMismatch",
    "WebPki",
    "__version__",
    "connect",
    "http",
    "http3_client",
    "serve",
    "serve_http",
    "sync",
]


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None and name not in _MODULES:
        raise AttributeError(f"module 'ropewalk' has no attribute {name!r}")
    from importlib import import_module

    if home is None:
        return import_module(f"ropewalk.{name}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value  # the next look-up is a plain one
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
