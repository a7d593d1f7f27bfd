"""The counters of one instance, by the names under which a kernel's MIB would list them."""

from __future__ import annotations

import json
from typing import Final, final

from mypy_extensions import i64

from ropewalk.observe.observer import Observer

#: The names, in the order of the text format.
NAMES: Final = (
    "HandshakesComplete",
    "HandshakesFailed",
    "HandshakesTimeout",
    "PacketsRx",
    "PacketsTx",
    "BytesRx",
    "BytesTx",
    "Retransmissions",
    "CurrEstab",
    "ConnTimedOut",
    "ConnClosed",
    "ConnReset",
    "PathMigrations",
    "PathFailures",
    "PathValidated",
    "RttSamples",
    "LossEvents",
    "StreamsOpened",
    "StreamsClosed",
    "StreamBlocked",
    "EquicNoError",
    "EquicInternalError",
    "EquicConnectionRefused",
    "EquicFlowControl",
    "EquicStreamLimit",
    "EquicStreamState",
    "EquicFinalSize",
    "EquicFrameEncoding",
    "EquicTransportParam",
    "EquicConnectionIdLimit",
    "EquicProtocolViolation",
    "EquicInvalidToken",
    "EquicApplicationError",
    "EquicCryptoBuffer",
    "EquicKeyUpdate",
    "EquicAeadLimit",
    "EquicNoViablePath",
)

#: What goes before the names and the values in the text format.
PREFIX: Final = "TquicExt:"

_APPLICATION_ERROR: Final = 0x0C
_CLOSE_CODES: Final = 17


@final
class Counters(Observer):
    """Counts what all connections do that have it for their observer.

    All but ``CurrEstab`` only ever rise. The names mean:

    ====================  =================================================================
    HandshakesComplete    handshakes that were completed
    HandshakesFailed      connections that ended before, other than by a timeout
    HandshakesTimeout     connections that ended before, by a timeout
    PacketsRx, BytesRx    packets that were authentic and new, and their bytes
    PacketsTx, BytesTx    packets that were sealed, and their bytes
    Retransmissions       packets declared lost, whose contents are sent again
    CurrEstab             connections whose handshake is complete and that are not closing
    ConnTimedOut          established connections that ended by the idle timeout
    ConnClosed            established connections that either side closed without an error
    ConnReset             connections that a stateless reset or an error ended once established
    PathMigrations        times that sending moved to another route
    PathFailures          validations of a route that got no answer
    PathValidated         routes that were validated
    RttSamples            round-trip times that were measured
    LossEvents            times that packets were found lost, however many at once
    StreamsOpened         streams that either side opened
    StreamsClosed         streams that ended in both directions
    StreamBlocked         frames that told the peer that its credit is used up
    Equic…                connections that either side closed with that code of RFC 9000 20.1;
                          an application's code 0 counts as NoError, others as ApplicationError
    ====================  =================================================================
    """

    def __init__(self) -> None:
        self.handshakes_complete: i64 = 0
        self.handshakes_failed: i64 = 0
        self.handshakes_timeout: i64 = 0
        self.packets_rx: i64 = 0
        self.packets_tx: i64 = 0
        self.bytes_rx: i64 = 0
        self.bytes_tx: i64 = 0
        self.retransmissions: i64 = 0
        self.curr_estab: i64 = 0
        self.conn_timed_out: i64 = 0
        self.conn_closed: i64 = 0
        self.conn_reset: i64 = 0
        self.path_migrations: i64 = 0
        self.path_failures: i64 = 0
        self.path_validated: i64 = 0
        self.rtt_samples: i64 = 0
        self.loss_events: i64 = 0
        self.streams_opened: i64 = 0
        self.streams_closed: i64 = 0
        self.stream_blocked: i64 = 0
        #: by code, from NO_ERROR to NO_VIABLE_PATH
        self.close_codes = [0] * _CLOSE_CODES

    def connection(
        self, now: float, is_client: bool, original_dcid: bytes, local: str, remote: str
    ) -> Observer:
        return _ConnectionCounters(self)

    def values(self) -> dict[str, int]:
        """All counters by their names, in the order of ``NAMES``."""
        values = [
            int(self.handshakes_complete),
            int(self.handshakes_failed),
            int(self.handshakes_timeout),
            int(self.packets_rx),
            int(self.packets_tx),
            int(self.bytes_rx),
            int(self.bytes_tx),
            int(self.retransmissions),
            int(self.curr_estab),
            int(self.conn_timed_out),
            int(self.conn_closed),
            int(self.conn_reset),
            int(self.path_migrations),
            int(self.path_failures),
            int(self.path_validated),
            int(self.rtt_samples),
            int(self.loss_events),
            int(self.streams_opened),
            int(self.streams_closed),
            int(self.stream_blocked),
            *self.close_codes,
        ]
        return dict(zip(NAMES, values, strict=True))

    def text(self) -> str:
        """Two lines, names and values, as /proc/net/netstat has them."""
        values = self.values()
        names = " ".join(values)
        numbers = " ".join([str(value) for value in values.values()])
        return f"{PREFIX} {names}\n{PREFIX} {numbers}\n"

    def json(self) -> str:
        """One JSON object."""
        return json.dumps(self.values())

    def on_closed(self, established: bool, cause: str, code: i64) -> None:
        """A connection ends; words as for :meth:`~ropewalk.observe.observer.Observer.closed`."""
        timeout = cause in ("idle_timeout", "handshake_timeout")
        if not established:
            if timeout:
                self.handshakes_timeout += 1
            else:
                self.handshakes_failed += 1
        else:
            self.curr_estab -= 1
            if timeout:
                self.conn_timed_out += 1
            elif code == 0 or cause == "application":
                self.conn_closed += 1
            else:
                self.conn_reset += 1
        if cause == "application":
            self.close_codes[_APPLICATION_ERROR if code != 0 else 0] += 1
        elif cause == "transport" and 0 <= code < _CLOSE_CODES:
            self.close_codes[code] += 1


@final
class _ConnectionCounters(Observer):
    """Counts one connection's doings, and knows whether it is established."""

    def __init__(self, totals: Counters) -> None:
        self._totals = totals
        self._established = False

    def packet_sent(
        self, now: float, level: i64, path_id: i64, packet_number: i64, size: i64, payload: bytes
    ) -> None:
        self._totals.packets_tx += 1
        self._totals.bytes_tx += size

    def packet_received(
        self, now: float, level: i64, path_id: i64, packet_number: i64, size: i64, payload: bytes
    ) -> None:
        self._totals.packets_rx += 1
        self._totals.bytes_rx += size

    def packets_lost(
        self, now: float, level: i64, path_id: i64, packet_numbers: list[int], trigger: str
    ) -> None:
        self._totals.retransmissions += len(packet_numbers)
        if trigger != "retry":
            self._totals.loss_events += 1

    def rtt_sample(self, now: float, path_id: i64, rtt: float) -> None:
        self._totals.rtt_samples += 1

    def handshake_complete(self, now: float, cipher_suite: i64, group: str) -> None:
        self._established = True
        self._totals.handshakes_complete += 1
        self._totals.curr_estab += 1

    def closed(
        self, now: float, cause: str, from_peer: bool, code: i64, frame_type: i64, reason: str
    ) -> None:
        self._totals.on_closed(self._established, cause, code)

    def route(self, now: float, path_id: i64, change: str, local: str, remote: str) -> None:
        if change == "migrated":
            self._totals.path_migrations += 1
        elif change == "failed":
            self._totals.path_failures += 1
        elif change == "validated":
            self._totals.path_validated += 1

    def stream_opened(self, now: float, stream_id: i64, from_peer: bool) -> None:
        self._totals.streams_opened += 1

    def stream_closed(self, now: float, stream_id: i64, was_reset: bool) -> None:
        self._totals.streams_closed += 1

    def blocked(self, now: float, stream_id: i64, limit: i64, kind: str) -> None:
        self._totals.stream_blocked += 1
