"""Path validation and what follows a move of the peer (RFC 9000 8.2, 9)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import Unsupported
from ropewalk.quic.types.events import PathValidated
from ropewalk.quic.wire.frame_types import is_probing
from ropewalk.quic.wire.frames import Frame, PathChallengeFrame, PathResponseFrame
from tests.conformance.wire import ELSEWHERE, Seen, Watched, seal
from tests.connection.pair import CLIENT, Pair

PING = b"\x01\x00\x00\x00"


def challenges(packets: list[Seen]) -> list[list[PathChallengeFrame]]:
    """The challenges of each packet that has some."""
    found = [
        [frame for frame in one.frames if isinstance(frame, PathChallengeFrame)] for one in packets
    ]
    return [one for one in found if one]


def sizes_to_elsewhere(pair: Watched) -> list[int]:
    """The sizes of the datagrams that the server sends to the new address right now."""
    return [len(one) for to, sent in pair.server_bursts() if to == ELSEWHERE for one in sent]


def moved(size: int = 4) -> Watched:
    """A pair whose server has just heard of the client from elsewhere, in a packet with a
    payload of ``size`` bytes. Nothing that it sends arrives."""
    pair = Watched().connect()
    pair.server_watch.sent.clear()
    pair.deliver_to_server(seal(pair.client, b"\x01" + bytes(size - 1)), ELSEWHERE)
    return pair


def test_challenges_go_one_to_a_packet_differ_and_are_spaced() -> None:
    pair = moved(1100)
    period = pair.server.state.config.initial_rtt * 3
    bursts = pair.wait_for_server(10.0)
    packets = pair.server_watch.sent
    found = challenges(packets)
    assert all(len(one) == 1 for one in found)
    assert len({one[0].data for one in found}) == len(found)
    # each datagram has one packet
    remotes = [remote for _, remote, datagrams in bursts for _ in datagrams]
    for place in (ELSEWHERE, CLIENT):
        times = [
            one.now
            for one, remote in zip(packets, remotes, strict=True)
            if remote == place and one.has(PathChallengeFrame)
        ]
        assert len(times) >= 2
        for earlier, later in pairwise(times):
            assert later - earlier >= period - 1e-9


def test_challenges_are_expanded_as_far_as_the_limit_allows() -> None:
    pair = moved()
    packet = len(seal(pair.client, PING))
    sizes = sizes_to_elsewhere(pair)
    assert sizes
    assert sizes[0] == 3 * packet < 1200
    pair = moved(1100)
    sizes = sizes_to_elsewhere(pair)
    assert sizes[0] == 1200


def test_a_path_that_answered_a_small_challenge_is_asked_again_with_a_full_one() -> None:
    pair = moved()
    pair.server_bursts()
    route = pair.server.state.path.active
    assert route.remote == ELSEWHERE
    pair.deliver_to_server(seal(pair.client, b"\x1b" + route.challenge), ELSEWHERE)
    assert route.validated
    validated = PathValidated(0, ELSEWHERE)
    assert pair.server.events().count(validated) == 1
    pair.server_watch.sent.clear()
    sizes = sizes_to_elsewhere(pair)
    (again,) = challenges(pair.server_watch.sent)
    assert 1200 in sizes
    # one more answer settles it, and is not told a second time
    pair.deliver_to_server(seal(pair.client, b"\x1b" + again[0].data), ELSEWHERE)
    pair.server_watch.sent.clear()
    pair.wait_for_server(10.0)
    assert challenges(pair.server_watch.sent) == []
    assert pair.server.events().count(validated) == 0
    assert pair.server.state.path.active is route


def test_a_challenge_is_echoed_at_once_on_its_route() -> None:
    pair = Watched().connect()
    for remote in (CLIENT, ELSEWHERE):
        pair.server_watch.sent.clear()
        pair.deliver_to_server(seal(pair.client, b"\x1a" + b"8 bytes!"), remote)
        bursts = pair.server_bursts()
        assert [to for to, _ in bursts] == [remote]
        assert PathResponseFrame(b"8 bytes!") in pair.server_watch.sent[-1].frames


def test_a_lost_path_response_is_not_repeated() -> None:
    pair = Watched().connect()
    pair.inject(True, b"\x1a" + b"8 bytes!")
    pair.to_client = lambda data: []
    pair.drive(0.5)
    pair.to_client = lambda data: [data]
    stream = pair.server.open_stream()
    assert stream is not None
    pair.server.write(stream, bytes(50_000))
    pair.drive(3.0)
    assert pair.server_watch.frames(PathResponseFrame) == [PathResponseFrame(b"8 bytes!")]


def test_path_validation_lasts_three_of_the_larger_probe_timeout() -> None:
    pair = moved()
    pair.server_bursts()
    assert pair.server.remote == ELSEWHERE
    period = 3 * 3 * pair.server.state.config.initial_rtt
    pair.wait_for_server(period - 0.01)
    assert pair.server.remote == ELSEWHERE
    pair.wait_for_server(0.2)
    assert pair.server.remote == CLIENT


def test_the_path_that_was_left_is_challenged_too() -> None:
    pair = moved()
    home = [sent for remote, sent in pair.server_bursts() if remote == CLIENT]
    assert home
    assert len(home[0][0]) == 1200
    assert len(challenges(pair.server_watch.sent)) == 2
    # its answer alone is no reason to go back
    data = [one[0].data for one in challenges(pair.server_watch.sent)]
    for one in data:
        pair.deliver_to_server(seal(pair.client, b"\x1b" + one), ELSEWHERE)
    assert pair.server.remote == ELSEWHERE
    pair.wait_for_server(10.0)
    assert pair.server.remote == ELSEWHERE


def test_the_path_that_was_left_is_not_probed_for_ever() -> None:
    pair = Watched().connect()
    pair.client_address = Address("192.0.2.1", 61234)
    pair.client.ping(pair.now)
    pair.drive(10.0)
    assert pair.server.remote == pair.client_address
    pair.server_watch.sent.clear()
    pair.drive(15.0)
    assert challenges(pair.server_watch.sent) == []
    path = pair.server.state.path
    assert (path.candidates, path.fallback) == ([], None)
    assert len(pair.server.state.group.controllers) == 1


def test_a_challenge_on_the_active_path_is_answered_by_more_than_a_probe() -> None:
    pair = Watched().connect()
    pair.inject(True, b"\x1a" + b"8 bytes!")
    pair.server_bursts()
    (answer,) = [one for one in pair.server_watch.sent if one.has(PathResponseFrame)]
    assert any(not is_probing(type_of(frame)) for frame in answer.frames)


def type_of(frame: Frame) -> int:
    """The type under which a frame is sent."""
    return 0x1B if isinstance(frame, PathResponseFrame) else 0x02


def test_the_answer_to_a_challenge_is_no_rtt_sample() -> None:
    pair = moved()
    pair.server_bursts()
    route = pair.server.state.path.active
    pair.now += 0.05
    pair.deliver_to_server(seal(pair.client, b"\x1b" + route.challenge), ELSEWHERE)
    assert route.validated
    assert not route.recovery.rtt.has_sample


def test_another_host_starts_from_the_initial_window_and_rtt() -> None:
    pair = Watched().connect()
    initial = Pair().server_config.initial_rtt
    fresh = pair.server.state.path.active.recovery.initial_window
    stream = pair.server.open_stream()
    assert stream is not None
    pair.server.write(stream, bytes(200_000))
    pair.drive(2.0)
    measured = pair.server.state.path.active.recovery
    assert measured.controller.congestion_window > fresh
    assert measured.rtt.smoothed == pytest.approx(2 * pair.delay, rel=0.5)

    pair.deliver_to_server(seal(pair.client, PING), ELSEWHERE)
    route = pair.server.state.path.active
    assert route.remote == ELSEWHERE
    recovery = route.recovery
    assert recovery.controller is not measured.controller
    assert recovery.controller.congestion_window == fresh == 12_000
    assert recovery.controller.slow_start_threshold > 1 << 40
    rtt = recovery.rtt
    assert (rtt.has_sample, rtt.smoothed, rtt.variation) == (False, initial, initial / 2)
    assert (recovery.bytes_in_flight, recovery.pto_count) == (0, 0)


def test_active_migration_says_unsupported() -> None:
    pair = Watched().connect()
    for remote in (None, Address("192.0.2.2", 444)):
        with pytest.raises(Unsupported, match="migration"):
            pair.client.migrate(1, remote, pair.now)
