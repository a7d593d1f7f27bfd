"""The core alone: two endpoints in one process, no socket, no event loop, virtual time.

One stream crosses a link of endless rate and 10 ms round-trip time. Keys, certificate and
packets follow from a seed, so everything but the CPU time repeats to the byte on one build,
and the CPU time has no kernel and no second process in it: the figure to compare before and
after a change. Run it with the Python of the build in question.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from ropewalk._build import running_build
from ropewalk.observe.counters import Counters
from ropewalk.observe.observer import Observer
from ropewalk.observe.qlog import EXTRA, QlogWriter
from ropewalk.quic.connection import Connection
from ropewalk.quic.endpoint import Endpoint, RandomConnectionIds, RootTokenKeys
from ropewalk.quic.handshake.credentials import StaticCredentials
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.configuration import Configuration, EndpointConfiguration, PinnedKey
from ropewalk.quic.types.datagrams import Burst, Datagrams
from ropewalk.quic.types.events import HandshakeComplete, StreamReadable
from ropewalk.quic.types.handshake import AES_128_GCM
from ropewalk.sim.identity import EPOCH, seeded_entropy, seeded_identity

#: Who observes both ends; what a qlog writes is dropped.
WATCHERS: dict[str, Callable[[], Observer | None]] = {
    "nobody": lambda: None,
    "counters": Counters,
    "qlog": lambda: QlogWriter(len),
    "qlog-extra": lambda: QlogWriter(len, importance=EXTRA),
}
ROUND_TRIP = 0.010
CHUNK = 256 * 1024
SEED = 1
#: Turns of the loop without a datagram or a timer due; a bug if it comes to that.
_STUCK = 100_000


class Side:
    """One endpoint, the link towards it, and the CPU time that it took."""

    def __init__(self, name: str, address: Address, accepts: bool) -> None:
        entropy = seeded_entropy(f"{SEED}/{name}")
        self.entropy = entropy
        self.address = address
        self.endpoint = Endpoint(
            EndpointConfiguration(
                entropy=entropy,
                wall_clock=_wall_clock,
                connection_ids=RandomConnectionIds(entropy),
                token_keys=RootTokenKeys(entropy(32), entropy),
                accept=accepts,
            )
        )
        self.connection: Connection | None = None
        self.arriving: deque[tuple[float, Burst]] = deque()
        self.nanoseconds = 0
        self.bursts = 0

    def next_time(self) -> float:
        """When this side has something to do."""
        arrival = self.arriving[0][0] if self.arriving else math.inf
        return min(arrival, self.endpoint.deadline())

    def step(self, now: float, other: Side) -> None:
        """All that is due at ``now``: datagrams, timer, application, and what goes out."""
        started = time.process_time_ns()
        endpoint = self.endpoint
        while self.arriving and self.arriving[0][0] <= now:
            burst = self.arriving.popleft()[1]
            endpoint.receive(
                Datagrams(burst.data, burst.segment_size, 1, self.address.ip, other.address), now
            )
        if endpoint.deadline() <= now:
            endpoint.on_timeout(now)
        self.serve(now)
        if self.connection is not None:
            endpoint.touch(self.connection)
        while (sent := endpoint.transmit(now)) is not None:
            self.bursts += 1
            other.arriving.append((now + ROUND_TRIP / 2, sent))
        self.nanoseconds += time.process_time_ns() - started

    def serve(self, now: float) -> None:
        """The application's turn."""
        raise NotImplementedError


class Sender(Side):
    """The client: opens one stream and writes ``size`` bytes."""

    def __init__(self, size: int, server: Address, configuration: Configuration) -> None:
        super().__init__("client", Address("10.0.0.1", 1000), accepts=False)
        self.left = size
        self._chunk = bytes(CHUNK)
        self._stream = -1
        self.connection = self.endpoint.open(configuration, server, 1, 0.0)

    def serve(self, now: float) -> None:
        connection = self.connection
        assert connection is not None
        for event in connection.events():
            if isinstance(event, HandshakeComplete):
                stream = connection.open_stream()
                assert stream is not None
                self._stream = stream
        while self._stream >= 0 and self.left > 0:
            chunk = self._chunk if self.left >= CHUNK else bytes(self.left)
            taken = connection.write(self._stream, chunk)
            self.left -= taken
            if self.left == 0:
                connection.finish(self._stream)
            if taken < len(chunk):
                break


class Receiver(Side):
    """The server: accepts one connection and reads to the end of its stream."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__("server", Address("10.0.0.2", 2000), accepts=True)
        self._configuration = configuration
        self.received = 0
        self.done = False

    def serve(self, now: float) -> None:
        for incoming in self.endpoint.incoming():
            self.connection = incoming.accept(self._configuration, now)
        if self.connection is None:
            return
        for event in self.connection.events():
            if isinstance(event, StreamReadable):
                data, end = self.connection.read(event.stream_id, CHUNK)
                while data:
                    self.received += len(data)
                    if end:
                        break
                    data, end = self.connection.read(event.stream_id, CHUNK)
                self.done = self.done or end


class Probe:
    """Readings at one moment of the run; the figures are differences of two."""

    def __init__(self, sender: Sender, receiver: Receiver) -> None:
        assert sender.connection is not None
        assert receiver.connection is not None
        self.sent = int(sender.connection.counters.packets_sent)
        self.answered = int(receiver.connection.counters.packets_sent)
        self.sender = sender.nanoseconds
        self.receiver = receiver.nanoseconds
        self.bursts = sender.bursts
        self.blocks = sys.getallocatedblocks()


def measure(size: int, mtu: int, watch: str = "nobody") -> dict[str, float | int | str]:
    """Move ``size`` bytes; figures of the second half, when windows and caches are warm.

    ``watch`` says who observes both ends.
    """
    watchers = WATCHERS[watch]
    identity = seeded_identity(SEED)
    common = Configuration(
        entropy=seeded_entropy(f"{SEED}/server configuration"),
        wall_clock=_wall_clock,
        alpn=("perf",),
        initial_udp_payload=mtu,
        max_udp_payload=mtu,
        cipher_suites=(AES_128_GCM,),
        groups=("X25519",),
        key_shares=("X25519",),
        deterministic_signing=True,
    )
    credentials = StaticCredentials(identity.credential)
    receiver = Receiver(replace(common, credentials=credentials, observer=watchers()))
    client = replace(
        common,
        entropy=seeded_entropy(f"{SEED}/client configuration"),
        server_name="server.sim",
        verification=PinnedKey((identity.spki_sha256,)),
        observer=watchers(),
    )
    sender = Sender(size, receiver.address, client)
    run = Run(sender, receiver)
    half = run.until(size // 2)
    last = run.until(size, to_the_end=True)
    assert sender.connection is not None
    packets = last.sent - half.sent
    return {
        "build": running_build().kind,
        "watched_by": watch,
        "bytes": size,
        "packets": packets,
        "packets_lost": int(sender.connection.counters.packets_lost),
        "packets_per_burst": packets / (last.bursts - half.bursts),
        "answers_per_packet": (last.answered - half.answered) / packets,
        "sender_us_per_packet": (last.sender - half.sender) / packets / 1e3,
        "receiver_us_per_packet": (last.receiver - half.receiver) / packets / 1e3,
        "live_blocks_per_packet": (last.blocks - half.blocks) / packets,
        "virtual_seconds": run.now,
    }


class Run:
    """Moves virtual time, which goes on from one call to the next."""

    def __init__(self, sender: Sender, receiver: Receiver) -> None:
        self.now = 0.0
        self._sender = sender
        self._receiver = receiver

    def until(self, size: int, to_the_end: bool = False) -> Probe:
        """Go on until ``size`` bytes have been read, and the end of the stream if asked for."""
        sender, receiver = self._sender, self._receiver
        turns = 0
        while receiver.received < size or (to_the_end and not receiver.done):
            sender.step(self.now, receiver)
            receiver.step(self.now, sender)
            later = min(sender.next_time(), receiver.next_time())
            turns = turns + 1 if later <= self.now else 0
            if later == math.inf or turns > _STUCK:
                raise RuntimeError(f"nothing moves at {self.now} s of virtual time")
            self.now = max(self.now, later)
        return Probe(sender, receiver)


def _wall_clock() -> float:
    return EPOCH


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=100_000_000)
    parser.add_argument("--mtu", type=int, default=1452, help="largest UDP payload")
    parser.add_argument("--json", action="store_true", help="figures as JSON on stdout")
    parser.add_argument("--watch", choices=list(WATCHERS), default="nobody", help="who observes")
    given = parser.parse_args()
    figures = measure(given.bytes, given.mtu, given.watch)
    if given.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:24} {value:.3f}" if isinstance(value, float) else f"{name:24} {value}")


if __name__ == "__main__":
    main()
