"""Sizes and addresses as people write them."""

from __future__ import annotations

import click
import pytest

from ropewalk.cli.parameters import HOST_PORT, SIZE, HostPort


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1500", 1500),
        ("64K", 64_000),
        ("64k", 64_000),
        ("200M", 200_000_000),
        ("200MB", 200_000_000),
        ("1.5G", 1_500_000_000),
        ("512KiB", 524_288),
        ("1Gi", 1_073_741_824),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert SIZE.convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "x", "-1", "1X", "1.2.3M", "9999999T", "1e9"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        SIZE.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("localhost:4433", HostPort("localhost", 4433)),
        ("127.0.0.1:0", HostPort("127.0.0.1", 0)),
        ("[::1]:4433", HostPort("::1", 4433)),
        (":4433", HostPort("", 4433)),
    ],
)
def test_addresses(text: str, parsed: HostPort) -> None:
    assert HOST_PORT.convert(text, None, None) == parsed


@pytest.mark.parametrize("text", ["localhost", "localhost:", "::1:4433", "h:65536", "h:x", "h:-1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        HOST_PORT.convert(text, None, None)


def test_an_ipv6_address_is_shown_in_brackets() -> None:
    assert str(HostPort("::1", 1)) == "[::1]:1"
