"""Flows of DATAGRAM frames (RFC 9221): numbered, dated, and checked when they arrive."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, final

from ropewalk.lab.traffic.content import salt_of
from ropewalk.lab.traffic.records import ConnectionRecord, FlowRecord, act_later
from ropewalk.lab.traffic.streams import Sender
from ropewalk.quic.connection import Connection
from ropewalk.sim.host import Host
from ropewalk.sim.invariants import Violation

#: What a datagram begins with: its flow and its number.
_HEAD: Final = struct.Struct("!II")
_BATCH: Final = 1024


@final
class DatagramFlow:
    """Sends a flow's datagrams at its rate, then ends the flow's stream."""

    def __init__(
        self, record: FlowRecord, host: Host, connection: Connection, control: Sender
    ) -> None:
        self._record = record
        self._host = host
        self._connection = connection
        self._control = control
        self._count = 0
        self._start = 0.0

    def begin(self, count: int) -> None:
        """Send ``count`` of them from now on."""
        self._count = count
        self._start = self._host.now
        self._send()

    def _send(self) -> None:
        record, spec = self._record, self._record.spec
        number = len(record.sent_times)
        salt = salt_of(record.index, 0, downward=spec.direction == "down")
        body = record.content.piece(salt, number, spec.size - _HEAD.size)
        record.sent_times.append(self._host.now)
        self._connection.send_datagrams([_HEAD.pack(record.index, number) + body])
        if number + 1 < self._count:
            self._later(self._start + (number + 1) * spec.size / spec.rate, self._send)
        else:
            self._control.may_finish = True
            self._control.go_on()

    def _later(self, when: float, action: Callable[[], None]) -> None:
        act_later(self._host, self._connection, when, action)


def take_datagrams(
    connection: Connection, connections: ConnectionRecord, direction: str, host: Host
) -> None:
    """Take what arrived. Raises :class:`Violation` for what was never sent like this."""
    flows = {flow.index: flow for flow in connections.flows}
    while True:
        arrived = connection.receive_datagrams(_BATCH)
        for data in arrived:
            _check(data, flows, direction, host)
        if len(arrived) < _BATCH:
            return


def _check(data: bytes, flows: dict[int, FlowRecord], direction: str, host: Host) -> None:
    index, number = _HEAD.unpack_from(data) if len(data) >= _HEAD.size else (-1, -1)
    record = flows.get(index)
    wrong = ""
    if record is None or number >= len(record.sent_times):
        wrong = "it was never sent"
    elif record.spec.direction != direction or len(data) != record.spec.size:
        wrong = "it is not of the flow's direction and size"
    elif number in record.datagrams_received:
        wrong = "it arrived twice"
    elif not record.content.matches(
        salt_of(index, 0, downward=direction == "down"), number, data[_HEAD.size :]
    ):
        wrong = "its content is not what was sent"
    if wrong or record is None:
        raise Violation(
            "inv.quic.datagrams_true",
            host.name,
            host.now,
            f"datagram {number} of flow {index}, {len(data)} bytes: {wrong}",
        )
    record.datagrams_received[number] = True
    record.received += len(data)
    record.latencies.append(host.now - record.sent_times[number])
