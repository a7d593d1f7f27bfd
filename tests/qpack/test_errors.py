"""The error codes of HTTP/3 and QPACK, and what the exceptions say."""

from __future__ import annotations

import pytest

import ropewalk.http3.errors as errors
from ropewalk.http3.errors import FieldSectionTooLarge, Http3Error, QpackError, http3_error_name
from ropewalk.quic.types.errors import Error


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (0x33, "H3_DATAGRAM_ERROR"),
        (0x100, "H3_NO_ERROR"),
        (0x101, "H3_GENERAL_PROTOCOL_ERROR"),
        (0x102, "H3_INTERNAL_ERROR"),
        (0x103, "H3_STREAM_CREATION_ERROR"),
        (0x104, "H3_CLOSED_CRITICAL_STREAM"),
        (0x105, "H3_FRAME_UNEXPECTED"),
        (0x106, "H3_FRAME_ERROR"),
        (0x107, "H3_EXCESSIVE_LOAD"),
        (0x108, "H3_ID_ERROR"),
        (0x109, "H3_SETTINGS_ERROR"),
        (0x10A, "H3_MISSING_SETTINGS"),
        (0x10B, "H3_REQUEST_REJECTED"),
        (0x10C, "H3_REQUEST_CANCELLED"),
        (0x10D, "H3_REQUEST_INCOMPLETE"),
        (0x10E, "H3_MESSAGE_ERROR"),
        (0x10F, "H3_CONNECT_ERROR"),
        (0x110, "H3_VERSION_FALLBACK"),
        (0x200, "QPACK_DECOMPRESSION_FAILED"),
        (0x201, "QPACK_ENCODER_STREAM_ERROR"),
        (0x202, "QPACK_DECODER_STREAM_ERROR"),
    ],
)
def test_a_code_and_its_name_agree_with_the_registry(code: int, name: str) -> None:
    assert vars(errors)[name] == code
    assert http3_error_name(code) == name


def test_reserved_and_unknown_codes_are_named_as_such() -> None:
    assert http3_error_name(0x1F * 1000 + 0x21) == "RESERVED"
    assert http3_error_name(0x111) == "UNKNOWN_ERROR"
    assert http3_error_name(0x02) == "UNKNOWN_ERROR"


def test_an_error_says_its_name_its_number_and_the_reason() -> None:
    error = QpackError(0x200, "why")
    assert str(error) == "QPACK_DECOMPRESSION_FAILED (0x200): why"
    assert isinstance(error, Http3Error)
    assert isinstance(error, Error)
    assert str(Http3Error(0x100)) == "H3_NO_ERROR (0x100)"
    assert "exceeds 100 bytes (133 so far)" in str(FieldSectionTooLarge(133, 100))
