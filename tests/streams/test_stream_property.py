"""Two sets of streams over a channel that does its worst, against a simple model.

Hypothesis drives both applications and the fate of every packet: lost, late, repeated, in
any order, acknowledged, declared lost although it arrived. At every step the oracles hold;
at the end, when everything lost was sent again, every stream that nobody gave up carries
exactly the bytes that were written, and both sides have forgotten it.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.quic.types.errors import StopSending, StreamReset, StreamStateError
from ropewalk.quic.types.events import StreamOpened
from tests.streams.stream_flow import Packet, Side, configuration, pair


class Half:
    """What the model knows of one direction of one stream."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.read = bytearray()
        self.finished = False
        self.given_up = False
        self.ended = False


class World:
    """Both sides, what is on the way, and the model."""

    def __init__(self, sides: tuple[Side, Side]) -> None:
        self.sides = sides
        self.now = 0.0
        #: by sending side and stream ID
        self.halves: list[dict[int, Half]] = [{}, {}]
        #: packets sent by each side that were neither acknowledged nor declared lost
        self.outstanding: list[list[Packet]] = [[], []]
        self.delivered: list[list[Packet]] = [[], []]
        self.highest_limit = [0, 0]
        self.seen_events = [0, 0]

    # -- the applications

    def open(self, who: int, bidirectional: bool) -> None:
        stream_id = self.sides[who].streams.open(bidirectional)
        if stream_id is not None:
            self.halves[who][stream_id] = Half()
            if bidirectional:
                self.halves[1 - who][stream_id] = Half()

    def sending(self, who: int, pick: int) -> tuple[int, Half] | None:
        """A stream on which a side may write, if its application knows of one."""
        side = self.sides[who]
        known = [key for key in self.halves[who] if side.streams.is_open(key)]
        if not known:
            return None
        stream_id = known[pick % len(known)]
        return stream_id, self.halves[who][stream_id]

    def write(self, who: int, pick: int, size: int) -> None:
        chosen = self.sending(who, pick)
        if chosen is None:
            return
        stream_id, half = chosen
        start = len(half.written)
        data = bytes(
            (stream_id * 31 + index * 7 + (index >> 8)) & 0xFF
            for index in range(start, start + size)
        )
        try:
            taken = self.sides[who].streams.write(stream_id, data)
        except (StopSending, StreamStateError):
            assert half.finished or half.given_up
            return
        assert not half.finished
        half.written += data[:taken]

    def finish(self, who: int, pick: int) -> None:
        chosen = self.sending(who, pick)
        if chosen is not None:
            stream_id, half = chosen
            try:
                self.sides[who].streams.finish(stream_id)
            except (StopSending, StreamStateError):
                assert half.given_up
                return
            half.finished = True

    def reset(self, who: int, pick: int, code: int) -> None:
        chosen = self.sending(who, pick)
        if chosen is not None:
            self.sides[who].streams.reset(chosen[0], code)
            chosen[1].given_up = True

    def stop(self, who: int, pick: int, code: int) -> None:
        chosen = self.sending(1 - who, pick)
        if chosen is not None and self.sides[who].streams.is_open(chosen[0]):
            self.sides[who].streams.stop(chosen[0], code)
            chosen[1].given_up = True

    def read(self, who: int, pick: int, limit: int) -> None:
        side = self.sides[who]
        halves = self.halves[1 - who]
        known = [key for key in halves if side.streams.is_open(key) and not halves[key].ended]
        if known:
            self.read_from(who, known[pick % len(known)], limit)

    def read_from(self, who: int, stream_id: int, limit: int) -> int:
        half = self.halves[1 - who][stream_id]
        try:
            data, end = self.sides[who].streams.read(stream_id, limit)
        except (StreamReset, StreamStateError):
            assert half.given_up
            half.ended = True
            return 0
        half.read += data
        assert len(data) <= limit
        assert half.written.startswith(half.read)
        if end:
            assert half.finished
            assert half.read == half.written
            half.ended = True
        return len(data)

    # -- the channel

    def send(self, who: int, size: int, at_most: int) -> None:
        for packet in self.sides[who].packets(size, at_most):
            self.outstanding[who].append(packet)

    def deliver(self, who: int, packet: Packet) -> None:
        self.sides[1 - who].receive(packet)
        if packet not in self.delivered[who]:
            self.delivered[who].append(packet)

    def acknowledge(self, who: int, pick: int) -> None:
        arrived = self.delivered[who]
        if arrived:
            packet = arrived[pick % len(arrived)]
            if packet in self.outstanding[who]:
                self.outstanding[who].remove(packet)
            self.sides[who].acked(packet)

    def lose(self, who: int, pick: int) -> None:
        """Declare any packet lost, delivered or not; it may still arrive later, or never."""
        outstanding = self.outstanding[who]
        if outstanding:
            packet = outstanding[pick % len(outstanding)]
            self.sides[who].lost(packet)
            if pick % 3 == 0:
                outstanding.remove(packet)

    def end(self) -> None:
        """No more losses: everything must get through."""
        for who in (0, 1):
            for packet in self.outstanding[who]:
                if packet in self.delivered[who]:
                    self.sides[who].acked(packet)
                else:
                    self.sides[who].lost(packet)
            self.outstanding[who].clear()
        for _ in range(10_000):
            busy = 0
            for who in (0, 1):
                for packet in self.sides[who].packets(1200):
                    busy += 1
                    self.sides[1 - who].receive(packet)
                    self.sides[who].acked(packet)
                for stream_id, half in self.halves[1 - who].items():
                    if self.sides[who].streams.is_open(stream_id) and not half.ended:
                        busy += self.read_from(who, stream_id, 65536)
                self.check()
            if not busy:
                return
        raise AssertionError("the streams never fell silent")

    def check(self) -> None:
        for who, side in enumerate(self.sides):
            side.check()
            streams = side.streams
            assert streams._credit.used <= streams._credit.limit
            assert streams._window.received <= streams._window.limit
            assert streams._window.limit >= self.highest_limit[who]
            self.highest_limit[who] = streams._window.limit
            assert streams._window.consumed <= streams._window.received
            ready = lost = pieces = 0
            for stream in streams._streams.values():
                if stream.send is not None:
                    assert stream.send.buffer.sent <= stream.send.max_data
                    assert stream.send.buffer.held() <= side.config.send_buffer
                    ready += stream.send.ready
                    lost += stream.send.buffer.lost.total
                if stream.receive is not None:
                    assert stream.receive.window.received <= stream.receive.window.limit
                    pieces += stream.receive.buffer.piece_count()
            assert streams._scheduler.ready == ready
            assert streams._scheduler.lost == lost
            assert streams._registry._budget.used == pieces
            events = side.events[self.seen_events[who] :]
            self.seen_events[who] = len(side.events)
            for event in events:
                if isinstance(event, StreamOpened):
                    assert event.stream_id in self.halves[1 - who]


STEPS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 1), st.integers(0, 50), st.integers(0, 3000)),
    max_size=120,
)


@given(
    STEPS,
    st.sampled_from([600, 3000, 50_000]),
    st.sampled_from([500, 2000, 40_000]),
    st.sampled_from([700, 20_000]),
    st.sampled_from([1, 2, 8]),
)
@settings(max_examples=250, deadline=None)
def test_every_byte_arrives_once_and_in_order_whatever_the_channel_does(
    steps: list[tuple[int, int, int, int]],
    connection_window: int,
    stream_window: int,
    send_buffer: int,
    max_streams: int,
) -> None:
    config = configuration(
        connection_window=connection_window,
        stream_window=stream_window,
        send_buffer=send_buffer,
        max_bidirectional_streams=max_streams,
        max_unidirectional_streams=max_streams,
    )
    world = World(pair(config, config))
    world.open(0, True)
    for action, who, pick, size in steps:
        play(world, action, who, pick, size)
        world.check()
    for who in (0, 1):
        for stream_id, half in world.halves[who].items():
            # A stream that its opener never used is unknown to the other side.
            if world.sides[who].streams.is_open(stream_id) and not half.given_up:
                world.sides[who].streams.finish(stream_id)
                half.finished = True
    world.end()
    finish_late_ones(world)
    for halves in world.halves:
        for half in halves.values():
            if not half.given_up:
                assert half.ended
                assert half.read == half.written
    for side in world.sides:
        assert side.streams.live() == 0
        assert side.streams.sendable_bytes() == 0
        assert not side.streams.undelivered()
        assert side.streams._credit.used <= side.streams._credit.limit
    first, second = world.sides
    assert first.streams.opened() == second.streams.opened()
    # All credit that was used has come back: nothing is held for streams that are gone.
    for side in world.sides:
        assert side.streams._window.consumed == side.streams._window.received
        assert side.streams._registry._budget.used == 0


def play(world: World, action: int, who: int, pick: int, size: int) -> None:
    match action:
        case 0:
            world.open(who, size % 2 == 0)
        case 1 | 2:
            world.write(who, pick, size)
        case 3:
            world.finish(who, pick)
        case 4:
            if size % 4 == 0:
                world.reset(who, pick, size)
        case 5:
            if size % 4 == 0:
                world.stop(who, pick, size)
        case 6:
            world.read(who, pick, size)
        case 7 | 8:
            world.send(who, 100 + size % 1300, 1 + pick % 5)
        case 9 | 10:
            outstanding = world.outstanding[who]
            if outstanding:
                world.deliver(who, outstanding[pick % len(outstanding)])
        case 11:
            world.acknowledge(who, pick)
        case _:
            if size % 2 == 0:
                world.lose(who, pick)
            else:
                world.now += size / 1000
                world.sides[who].streams.tune_windows(0.1, world.now)
                chosen = world.sending(who, pick)
                if chosen is not None:
                    world.sides[who].streams.priority(chosen[0], size % 8, pick % 2 == 0)


def finish_late_ones(world: World) -> None:
    """Streams that a side learned of only while the channel settled."""
    for who in (0, 1):
        for stream_id, half in world.halves[who].items():
            if not half.finished and not half.given_up:
                assert world.sides[who].streams.is_open(stream_id)
                world.sides[who].streams.finish(stream_id)
                half.finished = True
    world.end()
