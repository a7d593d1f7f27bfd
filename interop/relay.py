"""A UDP relay that loses, corrupts, reorders, duplicates and delays; any client, any server.

What happens to a packet is decided by the seed, the direction and the packet's number in that
direction alone, never by the clock: two runs that send the same packets suffer the same fate.
Runs as a process of its own, prints ``READY`` once it listens and a JSON line with its counts
when it ends, which it does on SIGTERM, and by itself after ``--seconds``.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import json
import selectors
import signal
import socket
import sys
import time
from dataclasses import dataclass, field

#: As the socket module gives it: host and port, for IPv6 flow and scope as well.
Address = tuple[str, int] | tuple[str, int, int, int]

TO_SERVER, TO_CLIENT = "to server", "to client"

#: One client behind one relay is the rule; a browser opens a few sockets.
_MOST_CLIENTS = 32
#: A held packet goes when this many others have overtaken it, or after ``_HOLD_SECONDS``.
_OVERTAKEN_BY = 3
_HOLD_SECONDS = 0.02
#: Large enough that the relay itself does not lose what the kernel brings in bursts.
_SOCKET_BUFFER = 4 << 20
_BATCH = 64


@dataclass(frozen=True)
class Impairment:
    """How often each thing happens to a packet, as a probability; ``delay`` in seconds."""

    seed: int = 0
    loss: float = 0.0
    corruption: float = 0.0
    reordering: float = 0.0
    duplication: float = 0.0
    delay: float = 0.0


@dataclass(frozen=True)
class Fate:
    """What happens to one packet. ``flipped_bit`` is -1 for an unharmed one."""

    lost: bool
    held: bool
    doubled: bool
    flipped_bit: int


def fate_of(impairment: Impairment, direction: str, number: int, size: int) -> Fate:
    """The fate of packet ``number`` of ``size`` bytes; a pure function of its arguments."""
    told = hashlib.shake_128(b"%d %s %d" % (impairment.seed, direction.encode(), number)).digest(40)
    chances = [int.from_bytes(told[at : at + 8], "big") / 2**64 for at in range(0, 40, 8)]
    bit = int(chances[4] * size * 8)
    return Fate(
        lost=chances[0] < impairment.loss,
        held=chances[1] < impairment.reordering,
        doubled=chances[2] < impairment.duplication,
        flipped_bit=bit if chances[3] < impairment.corruption else -1,
    )


@dataclass
class Counts:
    """What was done to the packets of one direction."""

    packets: int = 0
    lost: int = 0
    corrupted: int = 0
    held: int = 0
    doubled: int = 0


@dataclass(order=True)
class _Waiting:
    """A packet that goes later: at a time, or once enough others have passed it."""

    due: float
    order: int
    after: int = field(compare=False)
    data: bytes = field(compare=False)
    flow: _Flow = field(compare=False)
    direction: str = field(compare=False)


class _Flow:
    """One client: its address at our door, and our socket towards the server."""

    def __init__(self, client: Address, upstream: socket.socket) -> None:
        self.client = client
        self.upstream = upstream


class Relay:
    """Between clients at ``listen`` and one server; call :meth:`run` to work until the end."""

    def __init__(
        self, listen: tuple[str, int], server: tuple[str, int], impairment: Impairment
    ) -> None:
        self.impairment = impairment
        self.server = server
        self.family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self.door = self._socket()
        self.door.bind(listen)
        self.flows: dict[Address, _Flow] = {}
        self.counts = {TO_SERVER: Counts(), TO_CLIENT: Counts()}
        self.waiting: list[_Waiting] = []
        self.order = 0
        self.stopped = False
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.door, selectors.EVENT_READ, None)

    def _socket(self) -> socket.socket:
        made = socket.socket(self.family, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
        return made

    def run(self, seconds: float) -> None:
        """Relay until :attr:`stopped` or until ``seconds`` are over; then close everything."""
        end = time.monotonic() + seconds
        try:
            while not self.stopped and (now := time.monotonic()) < end:
                due = self.waiting[0].due if self.waiting else end
                wait = max(0.0, min(due, end, now + 0.5) - now)
                for key, _ in self.selector.select(wait):
                    if key.data is None:
                        self._from_clients()
                    else:
                        self._from_server(key.data)
                self._release(time.monotonic())
        finally:
            self.selector.close()
            self.door.close()
            for flow in self.flows.values():
                flow.upstream.close()

    def _from_clients(self) -> None:
        for _ in range(_BATCH):
            try:
                data, client = self.door.recvfrom(65536)
            except OSError:
                return
            flow = self.flows.get(client)
            if flow is None:
                if len(self.flows) >= _MOST_CLIENTS:
                    continue
                upstream = self._socket()
                upstream.connect(self.server)
                flow = self.flows[client] = _Flow(client, upstream)
                self.selector.register(upstream, selectors.EVENT_READ, flow)
            self._suffer(data, flow, TO_SERVER)

    def _from_server(self, flow: _Flow) -> None:
        for _ in range(_BATCH):
            try:
                data = flow.upstream.recv(65536)
            except OSError:  # nothing left, or an ICMP error of a server that has gone
                return
            self._suffer(data, flow, TO_CLIENT)

    def _suffer(self, data: bytes, flow: _Flow, direction: str) -> None:
        counts = self.counts[direction]
        fate = fate_of(self.impairment, direction, counts.packets, len(data))
        counts.packets += 1
        if fate.lost:
            counts.lost += 1
            return
        if fate.flipped_bit >= 0:
            counts.corrupted += 1
            changed = bytearray(data)
            changed[fate.flipped_bit // 8] ^= 1 << fate.flipped_bit % 8
            data = bytes(changed)
        if fate.doubled:
            counts.doubled += 1
            self._wait(data, flow, direction, self.impairment.delay)
        if fate.held:
            counts.held += 1
            after = counts.packets + _OVERTAKEN_BY
            self._wait(data, flow, direction, self.impairment.delay + _HOLD_SECONDS, after)
        elif self.impairment.delay:
            self._wait(data, flow, direction, self.impairment.delay)
        else:
            self._send(data, flow, direction)

    def _wait(
        self, data: bytes, flow: _Flow, direction: str, seconds: float, after: int = 0
    ) -> None:
        self.order += 1
        due = time.monotonic() + seconds
        heapq.heappush(self.waiting, _Waiting(due, self.order, after, data, flow, direction))

    def _release(self, now: float) -> None:
        overtaken = [
            packet
            for packet in self.waiting
            if packet.after and self.counts[packet.direction].packets >= packet.after
        ]
        if overtaken and not self.impairment.delay:
            self.waiting = [packet for packet in self.waiting if packet not in overtaken]
            heapq.heapify(self.waiting)
            for packet in overtaken:
                self._send(packet.data, packet.flow, packet.direction)
        while self.waiting and self.waiting[0].due <= now:
            packet = heapq.heappop(self.waiting)
            self._send(packet.data, packet.flow, packet.direction)

    def _send(self, data: bytes, flow: _Flow, direction: str) -> None:
        try:
            if direction == TO_SERVER:
                flow.upstream.send(data)
            else:
                self.door.sendto(data, flow.client)
        except OSError:  # the far end has gone, or its buffer is full: a network may do that
            self.counts[direction].lost += 1


def main() -> int:
    """Command line of the runner."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="where clients come")
    parser.add_argument("--server-port", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    for name in ("loss", "corruption", "reordering", "duplication"):
        parser.add_argument(f"--{name}", type=float, default=0.0, help="a probability")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds, each way")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long to live")
    chosen = parser.parse_args()
    impairment = Impairment(
        chosen.seed,
        chosen.loss,
        chosen.corruption,
        chosen.reordering,
        chosen.duplication,
        chosen.delay,
    )
    relay = Relay((chosen.host, chosen.port), (chosen.host, chosen.server_port), impairment)

    def stop(*_: object) -> None:
        relay.stopped = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print("READY", flush=True)
    relay.run(chosen.seconds)
    total = {
        name: sum(getattr(counts, name) for counts in relay.counts.values())
        for name in ("packets", "lost", "corrupted", "held", "doubled")
    }
    print(json.dumps({"relay": total}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
