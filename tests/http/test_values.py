"""URLs, ranges and headers as values."""

from __future__ import annotations

import pytest

import ropewalk
from ropewalk.http import Headers, Request, Response, http3_client, serve_http
from ropewalk.http.listing import human_size
from ropewalk.http.ranges import parse_range
from ropewalk.http.url import Url, parse_url
from ropewalk.http3 import Settings
from ropewalk.runtime.certificates import MadeCertificate


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://host", Url("host", 443, "/")),
        ("https://Host:8443/a/b?c=d#part", Url("host", 8443, "/a/b?c=d")),
        ("host:4433/x", Url("host", 4433, "/x")),
        ("https://[::1]:4433/", Url("::1", 4433, "/")),
        ("https://host?q", Url("host", 443, "/?q")),
        ("https://host/ü%20", Url("host", 443, "/%C3%BC%20")),
        ("https://bücher.example/", Url("xn--bcher-kva.example", 443, "/")),
        ("HTTPS://host/", Url("host", 443, "/")),
        ("host/?u=http://x", Url("host", 443, "/?u=http://x")),
        ("host:4433?u=ftp://x", Url("host", 4433, "/?u=ftp://x")),
    ],
)
def test_urls(text: str, url: Url) -> None:
    assert parse_url(text) == url


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http://host/", "use https://"),
        ("ftp://host/", "use https://"),
        ("https://", "no host"),
        ("", "no host"),
        ("https:///path", "no host"),
        ("https://user:secret@host/", "leave them out"),
        ("https://host:0/", "port 0"),
        ("https://host:66666/", "range"),
        ("https://host:x/", "HOST:PORT"),
        ("https://ho st/", "%20"),
        ("https://host/a\nb", "control"),
        ("https://[::1/", "HOST:PORT"),
        ("https://" + "ü" * 80 + "/", "spelling"),
    ],
)
def test_what_is_no_url_is_refused_with_a_reason(text: str, told: str) -> None:
    with pytest.raises(ropewalk.ConfigurationError, match="is not a URL") as caught:
        parse_url(text)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("value", "size", "ranges"),
    [
        ("bytes=0-0", 10, [(0, 1)]),
        ("Bytes=0-0", 10, [(0, 1)]),
        ("bytes=9-3", 10, None),
        ("bytes=a-b", 10, None),
        ("bytes=-", 10, None),
        ("bytes=", 10, None),
        ("bytes", 10, None),
        ("items=0-1", 10, None),
        ("bytes=0-5,3-8", 10, None),
        ("bytes=5-8,0-2", 10, [(5, 9), (0, 3)]),
        ("bytes=0-0" + ",2-2" * 20, 10, None),
        ("bytes=0-", 0, []),
        ("bytes=-5", 0, []),
        ("bytes=10-", 10, []),
        ("bytes=" + "9" * 18 + "-", 10, []),
        ("bytes=" + "9" * 40 + "-", 10, None),
        ("bytes=\u0661-", 10, None),
    ],
)
def test_ranges(value: str, size: int, ranges: list[tuple[int, int]] | None) -> None:
    assert parse_range(value, size) == ranges


def test_headers_compare_names_without_case_and_join_values() -> None:
    headers = Headers([("Accept", "a"), ("X", "1"), ("accept", "b")])
    assert headers["ACCEPT"] == "a, b"
    assert headers.get_all("Accept") == ["a", "b"]
    assert list(headers) == ["accept", "x"]
    assert len(headers) == 2
    assert "x" in headers
    assert "y" not in headers
    assert headers.get("y", "-") == "-"
    with pytest.raises(KeyError):
        headers["y"]
    assert Headers.from_wire([(b":status", b"200"), (b"x", b"\xff")]).pairs() == [("x", "ÿ")]
    assert headers.to_wire()[0] == (b"accept", b"a")


def test_sizes_are_short() -> None:
    told = [human_size(size) for size in (0, 999, 1000, 99_400, 1_400_000, 150_000_000, 2 * 10**15)]
    assert told == ["0 bytes", "999 bytes", "1.0 kB", "99.4 kB", "1.4 MB", "150 MB", "2000 TB"]


@pytest.mark.anyio
async def test_http3_settings_that_are_not_built_are_refused_before_any_packet(
    made: MadeCertificate,
) -> None:
    async def handler(request: Request) -> Response:
        return Response(200)

    wrong = Settings(h3_datagram=True)
    with pytest.raises(ropewalk.Unsupported):
        async with http3_client("127.0.0.1", 9, ca=made.cert_pem, http3_settings=wrong):
            pytest.fail("it connected")
    with pytest.raises(ropewalk.Unsupported):
        async with serve_http(
            handler,
            "127.0.0.1",
            0,
            certificate=made.cert_pem,
            key=made.key_pem,
            http3_settings=wrong,
        ):
            pytest.fail("it serves")
