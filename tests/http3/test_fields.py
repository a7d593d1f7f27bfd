"""Which field sections are well-formed (RFC 9114 4.2, 4.3)."""

from __future__ import annotations

import pytest

from ropewalk.http3.errors import H3_MESSAGE_ERROR
from ropewalk.http3.fields import (
    Fields,
    MessageError,
    check_request,
    check_response,
    check_trailers,
    join_cookies,
    section_size,
)
from tests.http3.talk import GET, request

CONNECT: Fields = [(b":method", b"CONNECT"), (b":authority", b"example.net:443")]


def changed(name: bytes, value: bytes | None) -> Fields:
    """GET with one pseudo-header field changed or left out."""
    lines = [(n, value if n == name and value is not None else v) for n, v in GET]
    return lines if value is not None else [line for line in lines if line[0] != name]


@pytest.mark.parametrize(
    "fields",
    [
        GET,
        changed(b":path", b"/a?b=c&d=%20#e"),
        changed(b":path", "/grüße".encode()),
        [*GET, (b"host", b"localhost")],
        [*changed(b":authority", None), (b"host", b"localhost")],
        [(b":method", b"OPTIONS"), *GET[1:3], (b":path", b"*")],
        [(b":method", b"GET"), (b":scheme", b"coap"), (b":path", b"")],
        [*GET, (b"te", b"trailers")],
        [*GET, (b"x", b"")],
        [*GET, (b"x", b"a b\tc \xff")],
        [*GET, (b"content-length", b"7"), (b"content-length", b"7")],
        [*GET, (b"!#$%&'*+-.^_`|~09az", b"token")],
        CONNECT,
    ],
)
def test_well_formed_requests_pass(fields: Fields) -> None:
    check_request(fields, False)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([], ":method is missing"),
        (changed(b":method", b""), "not a token"),
        (changed(b":method", b"G T"), "not a token"),
        (changed(b":scheme", b"ht tp"), "not a scheme"),
        (changed(b":scheme", b""), "not a scheme"),
        (changed(b":path", b""), "slash"),
        (changed(b":path", b"index.html"), "slash"),
        (changed(b":path", b"*"), "slash"),
        (changed(b":path", b"/ HTTP/1.1"), "whitespace"),
        (changed(b":authority", b""), "names a host"),
        (changed(b":authority", b"user@host"), "user name"),
        (changed(b":authority", b"a b"), "whitespace"),
        ([*GET, (b"host", b"elsewhere")], "differ"),
        ([*GET, (b"host", b"localhost"), (b"host", b"localhost")], "twice"),
        ([*GET, (b"", b"x")], "not a token"),
        ([*GET, (b"a b", b"x")], "not a token"),
        ([*GET, (b"a:b", b"x")], "not a token"),
        ([*GET, (b"a\x00", b"x")], "not a token"),
        ([*GET, ("ä".encode(), b"x")], "not a token"),
        ([*GET, (b"Host", b"localhost")], "lower case"),
        ([*GET, (b"x", b"a\nb")], "not allowed"),
        ([*GET, (b"x", b"a\rb")], "not allowed"),
        ([*GET, (b"x", b"a\x00b")], "not allowed"),
        ([*GET, (b"x", b"a\x7fb")], "not allowed"),
        ([*GET, (b"x", b" a")], "whitespace"),
        ([*GET, (b"x", b"a\t")], "whitespace"),
        ([*GET, (b"transfer-encoding", b"chunked")], "does not exist"),
        ([*GET, (b"keep-alive", b"1")], "does not exist"),
        ([*GET, (b"proxy-connection", b"1")], "does not exist"),
        ([*GET, (b"upgrade", b"h2c")], "does not exist"),
        ([*GET, (b"connection", b"close")], "does not exist"),
        ([*GET, (b"te", b"trailers, gzip")], "only trailers"),
        ([*GET, (b"content-length", b"")], "number of bytes"),
        ([*GET, (b"content-length", b"+5")], "number of bytes"),
        ([*GET, (b"content-length", b"5, 5")], "number of bytes"),
        ([*GET, (b"content-length", b"9" * 19)], "number of bytes"),
        ([*GET, (b"content-length", b"5"), (b"content-length", b"6")], "both 5 and 6"),
        ([*CONNECT, (b":path", b"/")], "neither :scheme nor :path"),
        ([*CONNECT, (b":scheme", b"https")], "neither :scheme nor :path"),
        (CONNECT[:1], "host and port"),
        ([*GET, (b":protocol", b"websocket")], ":protocol"),
        ([(b":method", b"CONNECT"), *GET[1:], (b":protocol", b"websocket")], ":protocol"),
    ],
)
def test_malformed_requests_are_refused_with_the_reason(fields: Fields, words: str) -> None:
    with pytest.raises(MessageError, match=words) as caught:
        check_request(fields, False)
    assert caught.value.code == H3_MESSAGE_ERROR


def test_what_a_request_says() -> None:
    line = check_request(request(b"POST", b"/", (b"content-length", b"12")), False)
    assert (line.method, line.is_connect, line.content_length) == (b"POST", False, 12)
    line = check_request(CONNECT, False)
    assert (line.is_connect, line.content_length) == (True, -1)


def test_extended_connect_is_for_those_who_advertise_it() -> None:
    line = check_request([(b":method", b"CONNECT"), *GET[1:], (b":protocol", b"websocket")], True)
    assert not line.is_connect


@pytest.mark.parametrize("status", [b"", b"20", b"2000", b"abc", b"+20", b"099", b"101"])
def test_bad_statuses_are_refused(status: bytes) -> None:
    with pytest.raises(MessageError):
        check_response([(b":status", status)])


def test_a_response_has_a_status_and_nothing_of_a_request() -> None:
    assert check_response([(b":status", b"200")]).status == 200
    for fields in ([], [(b":status", b"200")] * 2, [(b":status", b"200"), (b":path", b"/")]):
        with pytest.raises(MessageError):
            check_response(fields)


def test_trailers_have_no_pseudo_fields() -> None:
    check_trailers([(b"x-sum", b"1")])
    with pytest.raises(MessageError):
        check_trailers([(b":status", b"200")])


def test_error_texts_show_hostile_bytes_harmlessly() -> None:
    with pytest.raises(MessageError) as caught:
        check_request([*GET, (b"\x1b[2J" + b"A" * 500, b"x")], False)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_sizes_count_thirty_two_bytes_a_field() -> None:
    assert section_size([(b"ab", b"cde"), (b"", b"")]) == 2 + 3 + 32 + 32


def test_one_cookie_stays_as_it_is() -> None:
    fields = [*GET, (b"cookie", b"a=1")]
    assert join_cookies(fields) is fields
