"""A bug of ours costs the one connection that met it, never its neighbours."""

from __future__ import annotations

import pytest

from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.extension import FrameExtension
from tests.connection.pair import Pair


class Broken(FrameExtension):
    """Fails in a way that no extension may."""

    def frame_types(self) -> list[int]:
        return [0x2C4E0002]

    def receive(self, path_id: int, frame_type: int, payload: bytes, start: int) -> int:
        raise ZeroDivisionError("a bug")


def test_an_unexpected_exception_closes_its_connection_and_is_reported() -> None:
    pair = Pair(server={"extensions": (Broken(),)}).connect()
    other = pair.client_endpoint.open(pair.client_config, pair.client.remote, 0, pair.now)
    for _ in range(20):
        pair.drive(0.02)
    assert other.handshake_confirmed

    pair.inject(True, (0x80000000 | 0x2C4E0002).to_bytes(4, "big"))
    error = pair.server.close_error
    assert isinstance(error, TransportError)
    assert error.code == 0x01
    assert pair.server_endpoint.counters.internal_errors == 1
    with pytest.raises(ZeroDivisionError, match="a bug"):
        pair.flush()
    pair.drive(0.1)
    told = pair.client.close_error
    assert isinstance(told, TransportError)
    assert (told.code, told.reason) == (0x01, "an internal fault")
    assert other.active
    assert pair.servers[1].active
