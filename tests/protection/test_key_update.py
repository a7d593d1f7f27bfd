"""Key update: both sides of it, its rules, its limits (RFC 9001 6)."""

from __future__ import annotations

import math
import random

import pytest

from ropewalk.quic.protection.aead import make_protection
from ropewalk.quic.protection.key_update import OneRttKeys
from ropewalk.quic.types.error_codes import KEY_UPDATE_ERROR
from ropewalk.quic.types.errors import TransportError
from ropewalk.quic.types.handshake import AES_128_GCM

THREE_PTO = 3.0


class Side:
    """One end: seals numbered packets and opens those of the other end."""

    def __init__(self, sending: int, receiving: int) -> None:
        self.keys = OneRttKeys(
            make_protection(AES_128_GCM, bytes([sending]) * 32, 1),
            make_protection(AES_128_GCM, bytes([receiving]) * 32, 1),
        )
        self.keys.set_previous_lifetime(THREE_PTO)
        self.next_number = [0, 0]

    def seal(self, path_id: int = 0) -> tuple[int, int, int, bytes]:
        number = self.next_number[path_id]
        self.next_number[path_id] += 1
        sealed = self.keys.send.seal(path_id, number, b"h", b"payload %d" % number)
        self.keys.sealed(number, path_id)
        return path_id, number, self.keys.send_phase, sealed

    def open(self, packet: tuple[int, int, int, bytes], now: float = 0.0) -> bool:
        path_id, number, phase, sealed = packet
        payload = self.keys.open(path_id, number, phase, b"h", sealed, now)
        assert payload in (None, b"payload %d" % number)
        return payload is not None


def pair() -> tuple[Side, Side]:
    return Side(1, 2), Side(2, 1)


def exchange(one: Side, other: Side, now: float = 0.0) -> None:
    """A packet each way, each acknowledging the newest of the other side."""
    forth = one.seal()
    assert other.open(forth, now)
    back = other.seal()
    assert one.open(back, now)
    one.keys.on_acked(forth[1], now)
    again = one.seal()
    assert other.open(again, now)
    other.keys.on_acked(back[1], now)


def updated_pair() -> tuple[Side, Side]:
    """Both sides in their second generation, the first still remembered."""
    one, other = pair()
    exchange(one, other)
    assert one.keys.initiate(0.0, True)
    exchange(one, other)
    return one, other


def test_an_update_is_answered_and_both_directions_go_on() -> None:
    one, other = pair()
    exchange(one, other)
    assert one.keys.initiate(0.0, True)
    assert (one.keys.send_phase, one.keys.receive_phase) == (1, 0)
    assert other.open(one.seal())
    assert other.keys.updated
    assert (other.keys.send_phase, other.keys.receive_phase) == (1, 1)
    assert not one.keys.updated
    assert one.open(other.seal())
    assert one.keys.updated
    assert (one.keys.send_phase, one.keys.receive_phase) == (1, 1)
    assert one.keys.generation == other.keys.generation == 1
    exchange(one, other)


def test_many_updates_in_turn_keep_the_sides_together() -> None:
    one, other = pair()
    now = 0.0
    for turn in range(1, 9):
        exchange(one, other, now)
        now += 2 * THREE_PTO
        starter = one if turn % 2 else other
        assert starter.keys.initiate(now, True)
        exchange(one, other, now)
        assert one.keys.generation == other.keys.generation == turn
        assert one.keys.send_phase == other.keys.receive_phase == turn % 2


def test_updates_begun_by_both_at_once_count_as_one() -> None:
    one, other = pair()
    exchange(one, other)
    assert one.keys.initiate(0.0, True)
    assert other.keys.initiate(0.0, True)
    forth, back = one.seal(), other.seal()
    assert other.open(forth)
    assert one.open(back)
    assert one.keys.generation == other.keys.generation == 1
    exchange(one, other)


def test_an_update_by_the_peer_meets_one_begun_here_before_anything_was_sent() -> None:
    one, other = pair()
    exchange(one, other)
    assert one.keys.initiate(0.0, True)
    assert other.keys.initiate(0.0, True)
    assert other.open(one.seal())
    assert other.keys.generation == 1
    assert one.open(other.seal())


def test_update_waits_for_confirmation_and_for_an_acknowledgment() -> None:
    one, other = pair()
    assert not one.keys.initiate(0.0, True)
    exchange(one, other)
    assert not one.keys.initiate(0.0, False)
    assert one.keys.initiate(0.0, True)
    assert not one.keys.initiate(100.0, True)


def test_the_next_update_waits_three_pto_after_the_last_was_acknowledged() -> None:
    one, other = pair()
    exchange(one, other)
    assert one.keys.initiate(0.0, True)
    fresh = one.seal()
    assert other.open(fresh, now=1.0)
    assert one.open(other.seal(), now=2.0)
    assert one.open(other.seal(), now=5.0)
    one.keys.on_acked(fresh[1], 5.0)
    assert one.open(other.seal(), now=6.0)
    one.keys.on_acked(fresh[1], 6.0)  # only the first acknowledgment counts
    assert not one.keys.initiate(5.0 + THREE_PTO - 0.001, True)
    assert one.keys.initiate(5.0 + THREE_PTO, True)


def test_reordered_packets_around_an_update_all_open() -> None:
    for seed in range(20):
        one, other = pair()
        exchange(one, other)
        packets = [one.seal() for _ in range(10)]
        assert one.keys.initiate(0.0, True)
        packets += [one.seal() for _ in range(10)]
        random.Random(seed).shuffle(packets)
        assert all(other.open(packet) for packet in packets)
        assert other.keys.generation == 1


def test_old_packets_open_until_their_keys_expire() -> None:
    one, other = pair()
    exchange(one, other)
    late = [one.seal() for _ in range(3)]
    assert other.keys.expires == math.inf
    assert one.keys.initiate(0.0, True)
    assert other.open(one.seal(), now=10.0)
    assert other.keys.expires == 10.0 + THREE_PTO
    assert other.open(late[0], now=10.0 + THREE_PTO - 0.001)
    # Even when nobody called expire() in time.
    assert not other.open(late[1], now=10.0 + THREE_PTO)
    other.keys.expire(10.0 + THREE_PTO)
    assert other.keys.expires == math.inf
    assert not other.open(late[2], now=10.0 + THREE_PTO)
    assert other.keys.generation == 1


def test_a_forged_phase_bit_changes_nothing() -> None:
    one, other = pair()
    exchange(one, other)
    path_id, number, phase, sealed = one.seal()
    assert not other.open((path_id, number, phase ^ 1, sealed))
    assert other.keys.generation == 0
    assert not other.keys.updated
    assert other.open((path_id, number, phase, sealed))


def test_corrupt_packets_of_either_phase_are_refused() -> None:
    _, other = updated_pair()
    for phase in (0, 1):
        for number in (0, 1, 2**62 - 1):
            assert not other.open((0, number, phase, bytes(40)))
    assert other.keys.generation == 1


def refused(side: Side, packet: tuple[int, int, int, bytes]) -> None:
    with pytest.raises(TransportError) as caught:
        side.open(packet)
    assert caught.value.code == KEY_UPDATE_ERROR


def test_a_second_update_before_the_first_is_answered_is_a_key_update_error() -> None:
    one, other = pair()
    exchange(one, other)
    assert one.keys.initiate(0.0, True)
    assert other.open(one.seal())
    one.keys._update_send()  # as a peer would that does not wait
    refused(other, one.seal())


def test_new_keys_on_a_lower_number_than_old_keys_are_a_key_update_error() -> None:
    one, other = pair()
    exchange(one, other)
    low = one.next_number[0]
    one.next_number[0] = low + 10
    assert other.open(one.seal())
    one.next_number[0] = low
    assert one.keys.initiate(0.0, True)
    refused(other, one.seal())


def test_new_keys_on_a_lower_number_than_late_old_packets_are_a_key_update_error() -> None:
    one, other = pair()
    exchange(one, other)
    low = one.next_number[0]
    one.next_number[0] = low + 5
    late = one.seal()
    assert one.keys.initiate(0.0, True)
    one.next_number[0] = low + 10
    assert other.open(one.seal())
    assert other.open(late)
    one.next_number[0] = low
    refused(other, one.seal())


def test_new_keys_on_a_lower_number_than_the_last_before_are_a_key_update_error() -> None:
    one, other = pair()
    exchange(one, other)
    low = one.next_number[0]
    one.next_number[0] = low + 5
    assert other.open(one.seal())
    assert one.keys.initiate(0.0, True)
    one.next_number[0] = low + 10
    assert other.open(one.seal())
    one.next_number[0] = low
    refused(other, one.seal())


def test_a_late_packet_under_old_keys_does_not_acknowledge_new_ones_but_the_next_may() -> None:
    one, other = pair()
    exchange(one, other)
    late = one.seal()
    assert one.keys.initiate(0.0, True)
    assert other.open(one.seal())
    answer = other.seal()
    assert other.open(late)
    with pytest.raises(TransportError, match="old ones"):
        other.keys.on_acked(answer[1], 0.0)
    assert other.open(one.seal())
    other.keys.on_acked(answer[1], 0.0)


def test_old_keys_do_not_acknowledge_packets_under_new_keys() -> None:
    one, other = pair()
    exchange(one, other)
    assert one.keys.initiate(0.0, True)
    fresh = one.seal()
    assert one.open(other.seal())  # still under the old keys
    one.keys.on_acked(fresh[1] - 1, 0.0)
    with pytest.raises(TransportError, match="old ones") as caught:
        one.keys.on_acked(fresh[1], 0.0)
    assert caught.value.code == KEY_UPDATE_ERROR


def test_an_acknowledgment_of_older_packets_does_not_confirm_the_current_keys() -> None:
    one, other = updated_pair()
    now = 100.0
    assert one.keys.initiate(now, True)
    assert other.open(one.seal(), now)
    assert one.open(other.seal(), now)
    one.keys.on_acked(0, now)
    assert not one.keys.initiate(now + 100.0, True)


def test_limits_of_sealing_call_for_an_update_then_for_an_end() -> None:
    one, other = pair()
    exchange(one, other)
    one.keys.confidentiality_limit = 16
    while one.keys.sealed_count < 13:
        one.seal()
    assert not one.keys.should_update()
    one.seal()
    assert one.keys.should_update()
    assert not one.keys.exhausted()
    one.seal()
    one.seal()
    assert one.keys.exhausted()
    assert one.keys.initiate(0.0, True)
    assert not one.keys.should_update()
    assert not one.keys.exhausted()


def test_failed_openings_are_counted_over_all_keys() -> None:
    _, other = pair()
    other.keys.integrity_limit = 3
    assert not other.keys.opening_failed()
    assert not other.keys.opening_failed()
    assert other.keys.opening_failed()
    assert other.keys.failed_count == 3


def test_default_limits_are_those_of_the_aead() -> None:
    one, _ = pair()
    assert one.keys.confidentiality_limit == 2**23
    assert one.keys.integrity_limit == 2**52


def test_packet_numbers_of_paths_are_told_apart() -> None:
    one, other = pair()
    exchange(one, other)
    for _ in range(20):
        assert other.open(one.seal(path_id=1))
    old_on_one = one.seal(path_id=1)
    old_on_zero = one.seal(path_id=0)
    assert one.keys.initiate(0.0, True)
    # Path 0 is at far lower numbers than path 1: no rule is broken by that.
    assert other.open(one.seal(path_id=0))
    assert other.open(old_on_one)
    assert other.open(old_on_zero)
    assert other.open(one.seal(path_id=1))
    assert other.keys.generation == 1


def test_an_update_seen_on_one_path_leaves_late_packets_of_the_others_to_the_old_keys() -> None:
    one, other = pair()
    exchange(one, other)
    late = one.seal(path_id=0)
    assert one.keys.initiate(0.0, True)
    assert other.open(one.seal(path_id=1))
    assert other.open(late)
    assert other.open(one.seal(path_id=0))


def test_old_keys_may_acknowledge_what_a_path_sent_before_the_update() -> None:
    one, other = pair()
    exchange(one, other)
    before = one.seal(path_id=1)
    assert one.keys.initiate(0.0, True)
    assert one.open(other.seal())
    one.keys.on_acked(before[1], 0.0, 1)
    after = one.seal(path_id=1)
    with pytest.raises(TransportError, match="old ones"):
        one.keys.on_acked(after[1], 0.0, 1)


def test_an_acknowledgment_of_the_first_packet_in_the_phase_is_enough() -> None:
    one, other = pair()
    first = one.seal()
    one.seal()
    assert one.open(other.seal())
    one.keys.on_acked(first[1], 0.0)
    assert one.keys.initiate(0.0, True)


def test_an_acknowledgment_on_any_path_confirms_the_keys() -> None:
    one, other = pair()
    packet = one.seal(path_id=1)
    assert other.open(packet)
    assert one.open(other.seal())
    one.keys.on_acked(packet[1], 0.0, 1)
    one.keys.forget_path(1)
    assert one.keys.initiate(0.0, True)
