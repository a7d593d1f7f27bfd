from __future__ import annotations

import pytest

from ropewalk.quic.recovery import ledger as ledger_module
from ropewalk.quic.recovery.ledger import FIRST_SLOTS, SentLedger
from ropewalk.quic.recovery.sent_packet import (
    ACKED,
    LOST,
    OUTSTANDING,
    TOKEN_MAX_DATA,
    TOKEN_PING,
    SentPacket,
)
from ropewalk.quic.types.errors import TransportError


def put(ledger: SentLedger, *, in_flight: bool = True) -> SentPacket:
    slot = ledger.reserve()
    slot.in_flight = in_flight
    ledger.commit(slot)
    slot.state = OUTSTANDING
    return slot


def test_reserving_twice_gives_the_same_cleared_slot() -> None:
    ledger = SentLedger()
    first = ledger.reserve()
    first.add_token(TOKEN_PING)
    first.stream_id, first.ack_largest, first.in_flight = 4, 9, True
    again = ledger.reserve()
    assert again is first
    assert again.tokens is None
    assert (again.stream_id, again.ack_largest, again.in_flight) == (-1, -1, False)
    assert ledger.next_packet_number == 0


def test_committing_another_slot_than_the_reserved_one_is_refused() -> None:
    ledger = SentLedger()
    slot = put(ledger)
    with pytest.raises(ValueError, match="packet 1 is to be committed, not 0"):
        ledger.commit(slot)


def test_tokens_are_kept_in_order() -> None:
    slot = SentLedger().reserve()
    slot.add_token(TOKEN_PING)
    slot.add_token(TOKEN_MAX_DATA, 77)
    assert slot.tokens is not None
    assert [(t.kind, t.a) for t in slot.tokens] == [(TOKEN_PING, 0), (TOKEN_MAX_DATA, 77)]
    assert repr(slot.tokens[1]) == "Token(kind=3, a=77, b=0, c=0)"


def test_the_ring_grows_without_losing_packets_at_any_offset() -> None:
    ledger = SentLedger()
    for _ in range(21):
        put(ledger).state = ACKED
    ledger.prune(20, 0.0)
    slots = [put(ledger) for _ in range(500)]
    assert [ledger.get(21 + i) for i in range(500)] == slots
    assert [slot.packet_number for slot in slots] == list(range(21, 521))
    assert ledger.get(20) is None
    assert ledger.get(521) is None


def test_a_pure_receiver_keeps_the_first_ring() -> None:
    ledger = SentLedger()
    for _ in range(10_000):
        put(ledger, in_flight=False)
    assert ledger.mask == FIRST_SLOTS - 1
    assert ledger.occupied() <= FIRST_SLOTS


def test_an_emptied_ring_comes_back_to_its_first_size() -> None:
    ledger = SentLedger()
    slots = [put(ledger) for _ in range(1000)]
    assert ledger.mask == 1023
    for slot in slots:
        slot.state = ACKED
    ledger.prune(999, 0.0)
    for number in range(1000, 1010):
        put(ledger).state = ACKED
        ledger.prune(number, 0.0)
    assert ledger.mask == FIRST_SLOTS - 1
    assert put(ledger).packet_number == 1010


def test_lost_packets_are_remembered_until_their_time_is_up() -> None:
    ledger = SentLedger()
    lost, acked = put(ledger), put(ledger)
    lost.state, lost.time_lost = LOST, 5.0
    acked.state = ACKED
    ledger.prune(1, 4.9)
    assert ledger.get(0) is lost
    ledger.prune(1, 5.0)
    assert ledger.occupied() == 0


def test_skipped_numbers_have_no_slot_and_are_known() -> None:
    ledger = SentLedger()
    put(ledger)
    ledger.skip()
    assert put(ledger).packet_number == 2
    assert ledger.get(1) is None
    assert ledger.was_skipped(1)
    assert not ledger.was_skipped(2)


def test_a_peer_that_never_acknowledges_cannot_make_the_ring_grow_forever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The compiled build has the constant inlined: there, the true limit is walked to.
    monkeypatch.setattr(ledger_module, "MAX_SLOTS", 256)
    ledger = SentLedger()

    def send_on() -> None:
        for _ in range(200_000):
            put(ledger)

    with pytest.raises(TransportError, match="neither acknowledged nor lost"):
        send_on()
    assert ledger.mask + 1 <= 131072
