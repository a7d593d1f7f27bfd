"""The seams hold an interpreted strategy of a user's own, on both builds."""

from __future__ import annotations

from ropewalk.observe.observer import Observer
from ropewalk.quic.recovery.congestion.registry import register
from ropewalk.quic.types.congestion import CongestionController, CongestionGroup, RateSample
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.extension import FrameExtension
from tests.connection.pair import SERVER, Pair
from tests.connection.test_keys_and_routes import transfer

NOTE = 0x2C4E0001  # a four-byte frame type


class Notes(FrameExtension):
    """Carries one-byte notes; loses nothing but what the network loses."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox: list[int] = []
        self.inbox: list[int] = []
        self.assembled: list[int] = []
        self.received: list[int] = []
        self.recovered: list[bytes] = []

    def frame_types(self) -> list[int]:
        return [NOTE]

    def pending(self) -> bool:
        return bool(self.outbox)

    def write(self, path_id: int, room: int) -> bytes:
        frames = b""
        while self.outbox and len(frames) + 5 <= room:
            frames += (0x80000000 | NOTE).to_bytes(4, "big") + bytes([self.outbox.pop(0)])
        return frames

    def receive(self, path_id: int, frame_type: int, payload: bytes, start: int) -> int:
        if start >= len(payload):
            raise TransportError(0x07, "a note without its byte", frame_type)
        self.inbox.append(payload[start])
        return start + 1

    def on_assembled(self, path_id: int, packet_number: int, payload: bytes) -> None:
        self.assembled.append(packet_number)

    def on_received(self, path_id: int, packet_number: int, payload: bytes) -> None:
        self.received.append(packet_number)

    def take_recovered(self) -> list[bytes]:
        taken, self.recovered = self.recovered, []
        return taken


def test_frame_extension_carries_its_frames_and_sees_payloads() -> None:
    here, there = Notes(), Notes()
    pair = Pair(client={"extensions": (here,)}, server={"extensions": (there,)}).connect()
    here.outbox += [1, 2, 3]
    pair.drive(0.05)
    assert there.inbox == [1, 2, 3]
    assert here.assembled
    assert set(there.received) <= set(here.assembled)


def test_malformed_extension_frame_closes_with_its_own_type() -> None:
    there = Notes()
    pair = Pair(server={"extensions": (there,)}).connect()
    # no padding behind it: four bytes fill the header-protection sample
    pair.inject(True, (0x80000000 | NOTE).to_bytes(4, "big"))
    error = pair.server.close_error
    assert isinstance(error, TransportError)
    assert (error.code, error.frame_type) == (0x07, NOTE)


def test_recovered_payloads_are_processed_but_never_acknowledged() -> None:
    there = Notes()
    pair = Pair(server={"extensions": (there,)}).connect()
    received = pair.server.state.path.space.received
    before = received.largest, received.unacknowledged
    there.recovered.append(bytes.fromhex("0a000155"))
    # any arrival makes the connection ask for them
    pair.deliver_to_server(b"\x40" + pair.server.own_cids()[0] + bytes(30))
    assert pair.server.read(0, 10) == (b"\x55", False)
    assert (received.largest, received.unacknowledged) == before


def test_without_the_extension_its_frames_are_unknown() -> None:
    pair = Pair().connect()
    pair.inject(True, (0x80000000 | NOTE).to_bytes(4, "big") + b"\x05")
    error = pair.server.close_error
    assert isinstance(error, TransportError)
    assert (error.code, error.frame_type) == (0x07, NOTE)


class Fixed(CongestionController):
    """A window of ten datagrams, whatever happens."""

    def __init__(self, max_datagram_size: int, group: CongestionGroup | None) -> None:
        super().__init__(max_datagram_size, group)
        self.name = "fixed"
        self.congestion_window = 10 * max_datagram_size
        self.calls: list[str] = []

    def on_acked(
        self, now: float, sample: RateSample, bytes_in_flight: int, smoothed_rtt: float
    ) -> None:
        self.calls.append("acked")

    def on_lost(
        self,
        now: float,
        lost_bytes: int,
        largest_lost_sent_time: float,
        largest_lost: int,
        bytes_in_flight: int,
        persistent: bool,
    ) -> None:
        self.calls.append("lost")

    def on_ecn(self, now: float, sent_time: float, ce_count: int, bytes_in_flight: int) -> None:
        self.calls.append("ecn")

    def on_route_change(self, now: float) -> None:
        self.calls.append("route")


def test_a_controller_of_ones_own_steers_a_connection() -> None:
    register("fixed", Fixed)
    pair = Pair(client={"congestion": "fixed"}).connect()
    dropped = [0]

    def lose_some(data: bytes) -> list[bytes]:
        dropped[0] += 1
        return [] if dropped[0] % 50 == 0 else [data]

    pair.to_server = lose_some
    transfer(pair, 300_000)
    controller = pair.client.state.path.active.recovery.controller
    assert isinstance(controller, Fixed)
    assert {"acked", "lost"} <= set(controller.calls)
    assert controller.congestion_window == 12_000


class Watcher(Observer):
    """Counts what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self.received = 0
        self.lost: list[int] = []
        self.dropped: list[str] = []
        self.states: list[str] = []
        self.remote = ""

    def connection(
        self, now: float, is_client: bool, original_dcid: bytes, local: str, remote: str
    ) -> Observer:
        self.remote = remote
        return self

    def packet_sent(
        self, now: float, level: int, path_id: int, packet_number: int, size: int, payload: bytes
    ) -> None:
        self.sent += 1

    def packet_received(
        self, now: float, level: int, path_id: int, packet_number: int, size: int, payload: bytes
    ) -> None:
        self.received += 1

    def packet_dropped(self, now: float, reason: str, size: int) -> None:
        self.dropped.append(reason)

    def packets_lost(
        self, now: float, level: int, path_id: int, packet_numbers: list[int], trigger: str
    ) -> None:
        self.lost += packet_numbers

    def state_changed(self, now: float, old: str, new: str) -> None:
        self.states.append(f"{old} > {new}")


def test_observer_sees_what_the_counters_count() -> None:
    watcher = Watcher()
    pair = Pair(client={"observer": watcher})
    dropped = [0]

    def lose_some(data: bytes) -> list[bytes]:
        dropped[0] += 1
        return [] if dropped[0] % 20 == 0 else [data]

    pair.to_server = lose_some
    pair.connect()
    transfer(pair, 100_000)
    pair.deliver_to_client(b"\x40" + pair.client.own_cids()[0] + bytes(30))
    pair.client.close(0, "", pair.now)
    pair.drive(3.0)
    counters = pair.client.counters
    assert watcher.received == counters.packets_received
    assert len(watcher.lost) == counters.packets_lost > 0
    assert watcher.dropped[-1] == "not authentic"
    assert watcher.states == ["active > closing", "closing > closed"]
    assert watcher.sent == counters.packets_sent
    assert watcher.remote == str(SERVER)
