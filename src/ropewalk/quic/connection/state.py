"""The state that the parts of one connection share. Data only; the parts act on it."""

from __future__ import annotations

from math import inf
from typing import Final, final

from mypy_extensions import i64

from ropewalk.observe.observer import Observer
from ropewalk.quic.connection.crypto_stream import CryptoReceiver, CryptoSender
from ropewalk.quic.connection.level import Level
from ropewalk.quic.path.path import Path
from ropewalk.quic.protection.key_update import OneRttKeys
from ropewalk.quic.recovery.loss_timer import LossTimer
from ropewalk.quic.streams.datagrams import DatagramQueues
from ropewalk.quic.streams.table import Streams
from ropewalk.quic.types.configuration import Configuration
from ropewalk.quic.types.congestion import CongestionGroup
from ropewalk.quic.types.errors import ConnectionLost
from ropewalk.quic.types.events import Event
from ropewalk.quic.types.extension import FrameExtension
from ropewalk.quic.types.handshake import Handshake
from ropewalk.quic.types.protection import PacketProtection
from ropewalk.quic.types.scheduling import PathScheduler
from ropewalk.quic.types.watch import Watch
from ropewalk.quic.wire.transport_parameters import TransportParameters

#: Life of a connection (RFC 9000 10.2). The order is the order of life.
ACTIVE: Final = 0
CLOSING: Final = 1
DRAINING: Final = 2
CLOSED: Final = 3

STATE_NAMES: Final = ("active", "closing", "draining", "closed")

#: Which life states may follow which; anything else is a bug.
TRANSITIONS: Final[dict[int, tuple[int, ...]]] = {
    ACTIVE: (CLOSING, DRAINING, CLOSED),
    CLOSING: (DRAINING, CLOSED),
    DRAINING: (CLOSED,),
    CLOSED: (),
}

#: Packets kept whose keys may still come (RFC 9001 5.7).
MAX_UNDECRYPTABLE: Final = 16
#: The longest token that an Initial packet of 1,200 bytes carries beside CRYPTO data.
MAX_TOKEN: Final = 1000


@final
class Counters:
    """What a connection counted. All are totals since it began."""

    def __init__(self) -> None:
        self.packets_sent: i64 = 0
        self.packets_received: i64 = 0
        self.packets_lost: i64 = 0
        self.packets_dropped: i64 = 0
        self.bytes_sent: i64 = 0
        self.bytes_received: i64 = 0
        self.bytes_lost: i64 = 0
        self.duplicates: i64 = 0
        self.failed_openings: i64 = 0
        self.key_updates: i64 = 0
        self.probe_timeouts: i64 = 0
        self.spurious_losses: i64 = 0


@final
class Undecryptable:
    """A packet whose keys have not come yet."""

    __slots__ = ("data", "ecn", "start", "stop")

    def __init__(self, data: bytes, start: i64, stop: i64, ecn: i64) -> None:
        self.data = data
        self.start: i64 = start
        self.stop: i64 = stop
        self.ecn: i64 = ecn


@final
class ConnectionState:
    """Everything that more than one part of a connection reads or writes."""

    def __init__(
        self,
        config: Configuration,
        is_client: bool,
        handshake: Handshake,
        path: Path,
        group: CongestionGroup,
        scheduler: PathScheduler,
        original_destination_cid: bytes,
        now: float,
    ) -> None:
        self.config = config
        self.is_client = is_client
        self.version: i64 = config.version
        self.handshake = handshake
        self.observer: Observer | None = None
        #: the same for the parts that know no time
        self.watch: Watch | None = None
        if config.observer is not None:
            route = path.active
            observer = config.observer.connection(
                now, is_client, original_destination_cid, route.local_ip, str(route.remote)
            )
            self.observer = observer
            self.watch = Watch(observer, now)
        self.events: list[Event] = []
        self.counters = Counters()

        # -- life
        self.life: i64 = ACTIVE
        self.error: ConnectionLost | None = None
        self.started = now
        self.last_activity = now
        #: an ack-eliciting packet was sent since the last one was received (10.1)
        self.sent_since_received = False
        self.idle_timeout = config.idle_timeout
        self.last_sent = now

        # -- handshake
        self.initial: Level | None = Level(0)
        self.handshake_level: Level | None = Level(2)
        self.crypto_in = CryptoReceiver()
        self.crypto_out = CryptoSender()
        self.handshake_complete = False
        self.handshake_confirmed = False
        self.handshake_done_pending = False
        self.peer_validated_address = not is_client
        self.original_destination_cid = original_destination_cid
        self.peer_source_cid: bytes | None = None
        self.retry_source_cid: bytes | None = None
        #: goes into Initial packets; one that leaves no room for anything else is worthless
        self.token = config.token if len(config.token) <= MAX_TOKEN else b""
        self.new_token = b""
        self.ack_frequency_pending = False
        self.new_token_pending = False
        self.authenticated_packets: i64 = 0
        self.peer_parameters: TransportParameters | None = None
        self.undecryptable: list[Undecryptable] = []

        # -- 1-RTT
        self.keys: OneRttKeys | None = None
        self.pending_send_key: PacketProtection | None = None
        self.pending_receive_key: PacketProtection | None = None
        self.path = path
        self.group = group
        self.scheduler = scheduler
        self.streams = Streams(is_client, config, self.events, self.watch)
        self.datagrams = DatagramQueues(config.datagram_queue, self.events)
        self.extensions: dict[int, FrameExtension] = {}
        for extension in config.extensions:
            for frame_type in extension.frame_types():
                self.extensions[frame_type] = extension
        self.loss_timer = LossTimer()
        self.probes: i64 = 0
        self.ping_pending = False
        self.peer_max_ack_delay = 0.025
        #: seconds that one step of an ACK's delay field stands for (RFC 9000 19.3)
        self.peer_ack_delay_unit = 8e-6
        self.peer_active_cid_limit: i64 = 2
        #: what the pacer said last time, inf when nothing waits for it
        self.pacing_deadline = inf

        # -- what the endpoint's tables must learn
        self.added_cids: list[bytes] = []
        self.removed_cids: list[bytes] = []

    def move(self, life: i64, now: float) -> None:
        """Enter the next state of life. A transition outside the table is a bug."""
        if int(life) not in TRANSITIONS[int(self.life)]:
            raise AssertionError(
                f"connection cannot go from {STATE_NAMES[self.life]} to {STATE_NAMES[life]}"
            )
        if self.observer is not None:
            self.observer.state_changed(now, STATE_NAMES[self.life], STATE_NAMES[life])
        self.life = life

    def probe_timeout(self) -> float:
        """The current PTO without backoff, with the peer's ACK delay (RFC 9002 6.2.1)."""
        return self.path.active.recovery.probe_timeout(self.peer_max_ack_delay)
