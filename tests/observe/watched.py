"""Runs that make a connection do all that can be watched."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from ropewalk.observe.observer import Observer
from ropewalk.observe.qlog import EXTRA, QlogWriter
from ropewalk.quic.connection import Connection
from ropewalk.quic.types.errors import StreamReset
from tests.connection.pair import Pair
from tests.observe.qlog_schema import records


class Logs:
    """A qlog of each end, in memory."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("importance", EXTRA)
        self.client_bytes: list[bytes] = []
        self.server_bytes: list[bytes] = []
        self.client = QlogWriter(self.client_bytes.append, **options)
        self.server = QlogWriter(self.server_bytes.append, **options)

    def events(self, *names: str) -> list[dict[str, Any]]:
        """The client's events, all or those of the given names."""
        return _chosen(self.client_bytes, names)

    def server_events(self, *names: str) -> list[dict[str, Any]]:
        """The server's events, all or those of the given names."""
        return _chosen(self.server_bytes, names)


def _chosen(pieces: list[bytes], names: tuple[str, ...]) -> list[dict[str, Any]]:
    events = records(b"".join(pieces))[1:]
    return [event for event in events if not names or event["name"] in names]


def watched_pair(client: Observer, server: Observer, **options: Any) -> Pair:
    """A pair with an observer at each end."""
    both = options.pop("both", {})
    return Pair(client={"observer": client, **both}, server={"observer": server, **both}, **options)


def losing(share: float, seed: int) -> Callable[[bytes], list[bytes]]:
    """A wire that loses datagrams, the same ones for the same seed."""
    chance = random.Random(f"loss/{seed}")
    return lambda data: [] if chance.random() < share else [data]


def move(pair: Pair, size: int) -> None:
    """The client sends so many bytes on a stream of its own, the server reads them."""
    stream_id = pair.client.open_stream()
    assert stream_id is not None
    data = bytes(size)
    sent = received = 0
    finished = False
    for _ in range(10_000):
        if sent < size:
            sent += pair.client.write(stream_id, data[sent:])
        elif not finished:
            pair.client.finish(stream_id)
            finished = True
        pair.drive(0.05)
        received += read_all(pair.server, stream_id)
        if finished and received == size:
            pair.server.finish(stream_id)
            pair.drive(1.0)
            read_all(pair.client, stream_id)
            return
    raise AssertionError(f"{received} of {size} bytes arrived")


def read_all(connection: Connection, stream_id: int) -> int:
    """Read what is there; how much it was."""
    total = 0
    while True:
        try:
            data, end = connection.read(stream_id, 65536)
        except StreamReset:
            return total
        total += len(data)
        if end or not data:
            return total
