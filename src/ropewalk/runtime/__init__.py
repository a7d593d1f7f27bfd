"""QUIC under structured concurrency, on asyncio and trio by way of anyio.

:func:`connect` and :func:`serve` are asynchronous context managers. They own everything that
runs: leaving them closes the connections, drains, and leaves no task and no socket behind.
"""

from __future__ import annotations

from ropewalk.quic.types.carrier import NetworkProvider
from ropewalk.runtime.client import connect
from ropewalk.runtime.connection import Connection
from ropewalk.runtime.network import SystemNetwork
from ropewalk.runtime.server import Server, serve
from ropewalk.runtime.settings import Settings
from ropewalk.runtime.stats import ConnectionStats, DatagramStats
from ropewalk.runtime.streams import ReceiveStream, SendStream, Stream

__all__ = [
    "Connection",
    "ConnectionStats",
    "DatagramStats",
    "NetworkProvider",
    "ReceiveStream",
    "SendStream",
    "Server",
    "Settings",
    "Stream",
    "SystemNetwork",
    "connect",
    "serve",
]
