"""What six other encoders made of real requests decodes to those requests."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.http3.errors import QPACK_DECOMPRESSION_FAILED, QpackError
from ropewalk.http3.qpack.decoder import Decoder
from ropewalk.http3.qpack.encoder import Encoder
from tests.qpack.samples import QIFS, Fields, Recording, load, recordings, set_capacity

RECORDINGS = recordings()
ERRORS = load("errors.json")["cases"]


def primed(recording: Recording, max_blocked_streams: int) -> Decoder:
    decoder = Decoder(recording.max_table_capacity, max_blocked_streams)
    if recording.initial_capacity:
        decoder.feed_encoder(set_capacity(recording.initial_capacity))
    return decoder


def play(recording: Recording, decoder: Decoder, cut: int = 0) -> tuple[list[Fields], int]:
    """The sections in the order of their streams, and how many had to wait.

    ``cut`` feeds the encoder stream in pieces of so many bytes.
    """
    fields: dict[int, Fields] = {}
    waiting: dict[int, bytes] = {}
    waited = 0
    for stream_id, data in recording.records():
        if stream_id:
            decoded = decoder.decode(stream_id, data)
            if decoded is None:
                waiting[stream_id] = data
                waited += 1
            else:
                fields[stream_id] = decoded
            continue
        size = cut or max(len(data), 1)
        for start in range(0, len(data), size):
            decoder.feed_encoder(data[start : start + size])
            for free in decoder.unblocked():
                decoded = decoder.decode(free, waiting.pop(free))
                assert decoded is not None
                fields[free] = decoded
    assert not waiting
    return [fields[stream_id] for stream_id in sorted(fields)], waited


def test_all_six_encoders_are_here() -> None:
    assert len(RECORDINGS) == 112
    assert len({recording.name.split("/")[0] for recording in RECORDINGS}) == 6


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_a_recording_decodes_to_its_requests(recording: Recording) -> None:
    decoder = primed(recording, recording.max_blocked_streams)
    fields, waited = play(recording, decoder)
    assert fields == recording.expected
    assert waited == recording.blocked_on_arrival
    assert decoder.insert_count == recording.inserts
    assert decoder.table_size <= recording.max_table_capacity


@pytest.mark.parametrize(
    "recording",
    [recording for recording in RECORDINGS if recording.inserts],
    ids=lambda recording: recording.name,
)
def test_the_encoder_stream_may_be_cut_anywhere(recording: Recording) -> None:
    for cut in (1, 7):
        decoder = primed(recording, recording.max_blocked_streams)
        assert play(recording, decoder, cut)[0] == recording.expected


@pytest.mark.parametrize(
    "recording",
    [recording for recording in RECORDINGS if recording.blocked_on_arrival],
    ids=lambda recording: recording.name,
)
def test_one_blocked_stream_too_many_is_an_error(recording: Recording) -> None:
    waiting = 0
    most = 0
    decoder = primed(recording, recording.max_blocked_streams)
    for stream_id, data in recording.records():
        if stream_id:
            waiting += decoder.decode(stream_id, data) is None
        else:
            decoder.feed_encoder(data)
            waiting -= len(decoder.unblocked())
        most = max(most, waiting)
    assert play(recording, primed(recording, most))[0] == recording.expected
    with pytest.raises(QpackError) as caught:
        play(recording, primed(recording, most - 1))
    assert caught.value.code == QPACK_DECOMPRESSION_FAILED


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: case["what"])
def test_wrong_input_is_told_from_right(case: dict[str, Any]) -> None:
    decoder = Decoder(4096, 16)
    payload = bytes.fromhex(case["payload"])

    def feed() -> Fields | None:
        if case["stream"] == 0:
            decoder.feed_encoder(payload)
            return None
        return decoder.decode(case["stream"], payload)

    if case["error_code"] is None:
        fields = feed()
        assert fields is not None
        assert len(fields) == 1
        return
    with pytest.raises(QpackError) as caught:
        feed()
    assert caught.value.code == case["error_code"]


@pytest.mark.parametrize("name", list(QIFS))
def test_our_encoding_of_the_same_requests_decodes_to_them(name: str) -> None:
    encoder = Encoder()
    decoder = Decoder()
    for stream_id, fields in enumerate(QIFS[name]):
        assert decoder.decode(4 * stream_id, encoder.encode(fields)) == fields
    assert decoder.take_decoder_stream() == b""
