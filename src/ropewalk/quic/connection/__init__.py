"""One connection: lifecycle, frames to their owners, packet assembly, timers, close."""

from ropewalk.quic.connection.connection import Connection

__all__ = ["Connection"]
