"""Batches over real loopback sockets: what goes in comes out, segmented or not."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

import pytest

from ropewalk.net import UdpCarrier
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.datagrams import ECN_CE, ECN_ECT0, ECN_ECT1
from tests.net.conftest import LINUX, Track, burst, collect, have_ipv6, numbered, split

pytestmark = pytest.mark.anyio
linux_only = pytest.mark.skipif(not LINUX, reason="segmentation and marks are Linux' here")
loopbacks = pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1",
        pytest.param("::1", marks=pytest.mark.skipif(not have_ipv6(), reason="no IPv6 here")),
    ],
)


def pair(track: Track, ip: str) -> tuple[UdpCarrier, UdpCarrier]:
    server = track(UdpCarrier.bind(ip, 0, local=7))
    client = track(UdpCarrier.connect(server.address(), local=3))
    return server, client


@loopbacks
async def test_a_burst_arrives_whole_and_the_answer_comes_back(track: Track, ip: str) -> None:
    server, client = pair(track, ip)
    data = numbered(20, 1200, last=317)
    assert client.send(burst(data, 1200, server.address()))
    batches = await collect(server, len(data))
    assert b"".join(split(batches)) == data
    assert {batch.local for batch in batches} == {7}
    assert {batch.local_ip for batch in batches} == {ip}
    remote = batches[0].remote
    assert remote == client.address()
    assert server.send(burst(b"answer", 6, remote, local_ip=batches[0].local_ip))
    answer = await collect(client, 6)
    assert answer[0].data == b"answer"
    assert answer[0].remote == server.address()


@linux_only
@loopbacks
async def test_a_burst_stays_one_buffer_where_the_system_batches(track: Track, ip: str) -> None:
    server, client = pair(track, ip)
    assert client.gso
    assert server.gro
    data = numbered(40, 1200, last=99)
    assert client.send(burst(data, 1200, server.address()))
    batches = await collect(server, len(data))
    assert len(batches) == 1
    assert batches[0].segment_size == 1200


async def test_more_than_one_call_can_carry_goes_in_several(track: Track) -> None:
    server, client = pair(track, "127.0.0.1")
    data = numbered(150, 1200)
    assert client.send(burst(data, 1200, server.address()))
    assert split(await collect(server, len(data))) == split_numbers(150, 1200)
    small = numbered(200, 40)
    assert client.send(burst(small, 40, server.address()))
    assert b"".join(split(await collect(server, len(small)))) == small


def split_numbers(count: int, size: int) -> list[bytes]:
    data = numbered(count, size)
    return [data[start : start + size] for start in range(0, len(data), size)]


async def test_without_segmentation_each_datagram_is_sent_plainly(track: Track) -> None:
    server, client = pair(track, "127.0.0.1")
    client.gso = False
    data = numbered(30, 1200, last=5)
    assert client.send(burst(data, 1200, server.address()))
    batches = await collect(server, len(data))
    assert b"".join(split(batches)) == data


@linux_only
@loopbacks
@pytest.mark.parametrize("mark", [ECN_ECT0, ECN_ECT1, ECN_CE])
async def test_ecn_marks_are_set_for_each_burst_and_read(track: Track, ip: str, mark: int) -> None:
    server, client = pair(track, ip)
    assert client.send(burst(numbered(3, 1200), 1200, server.address(), ecn=mark))
    assert {batch.ecn for batch in await collect(server, 3600)} == {mark}
    assert client.send(burst(numbered(3, 1200), 1200, server.address()))
    assert {batch.ecn for batch in await collect(server, 3600)} == {0}


@linux_only
async def test_marks_cross_a_dual_stack_socket_in_both_families(track: Track) -> None:
    if not have_ipv6():
        pytest.skip("no IPv6 here")
    server = track(UdpCarrier.bind("::"))
    for ip in ("127.0.0.1", "::1"):
        remote = Address(ip, server.address().port)
        client = track(UdpCarrier.connect(remote))
        assert client.send(burst(b"hello", 5, remote, ecn=ECN_ECT0))
        (batch,) = await collect(server, 5)
        assert batch.ecn == ECN_ECT0
        assert batch.local_ip == ip
        assert batch.remote == client.address()
        assert server.send(burst(b"reply", 5, batch.remote, ecn=ECN_CE, local_ip=batch.local_ip))
        (answer,) = await collect(client, 5)
        assert answer.ecn == ECN_CE
        assert answer.remote == remote


@linux_only
@pytest.mark.parametrize("wildcard", ["0.0.0.0", ""])
async def test_a_wildcard_server_answers_from_the_address_that_was_asked(
    track: Track, wildcard: str
) -> None:
    server = track(UdpCarrier.bind(wildcard))
    asked = Address("127.0.0.7", server.address().port)
    client = track(UdpCarrier.connect(asked))
    assert client.send(burst(b"who", 3, asked))
    (batch,) = await collect(server, 3)
    assert batch.local_ip == "127.0.0.7"
    data = numbered(5, 1200)
    assert server.send(burst(data, 1200, batch.remote, local_ip=batch.local_ip))
    # The client's socket is connected: an answer from another address would not arrive.
    assert b"".join(split(await collect(client, len(data)))) == data


@linux_only
@pytest.mark.parametrize("refusal", [errno.EIO, errno.EINVAL])
async def test_a_refused_segmented_send_goes_singly_at_once_and_is_remembered(
    track: Track, refusal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = pair(track, "127.0.0.1")
    calls = refuse_segments(client, refusal, monkeypatch)
    data = numbered(10, 1200, last=7)
    assert client.send(burst(data, 1200, server.address()))
    assert b"".join(split(await collect(server, len(data)))) == data
    assert calls == ["segmented"]
    assert not client.gso
    assert client.failures() == []
    assert client.send(burst(data, 1200, server.address()))
    assert b"".join(split(await collect(server, len(data)))) == data
    assert calls == ["segmented"]


async def test_a_blocked_burst_goes_on_where_it_stopped(
    track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = pair(track, "127.0.0.1")
    client.gso = False
    block_after(client, 4, monkeypatch)
    whole = burst(numbered(10, 1200), 1200, server.address())
    assert client.send(whole) is False
    assert split(await collect(server, 4 * 1200)) == split_numbers(10, 1200)[:4]
    monkeypatch.undo()
    await client.writable()
    assert client.send(whole) is True
    assert split(await collect(server, 6 * 1200)) == split_numbers(10, 1200)[4:]
    assert server.receive() == []


@linux_only
@pytest.mark.parametrize(("count", "size", "calls"), [(150, 1200, 3), (200, 40, 4)])
async def test_no_call_carries_more_than_the_system_takes(
    track: Track, monkeypatch: pytest.MonkeyPatch, count: int, size: int, calls: int
) -> None:
    """64 datagrams, and 65,487 bytes; a call beyond that would be refused and sent singly."""
    server, client = pair(track, "127.0.0.1")
    made: list[int] = []
    real = client._call

    def call(data: bytes, messages: list[tuple[int, int, bytes]], target: object) -> int:
        made.append(len(data))
        return real(data, messages, target)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(client, "_call", call)
    assert client.send(burst(numbered(count, size), size, server.address()))
    assert len(made) == calls
    assert client.gso


@linux_only
async def test_a_refused_segmented_send_that_blocks_at_once_is_held(
    track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = pair(track, "127.0.0.1")
    refuse_segments(client, errno.EIO, monkeypatch)
    block_after(client, 0, monkeypatch)
    assert client.send(burst(numbered(10, 1200), 1200, server.address())) is False


@linux_only
async def test_a_refused_segmented_send_that_then_blocks_loses_nothing(
    track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = pair(track, "127.0.0.1")
    refuse_segments(client, errno.EIO, monkeypatch)
    allow = block_after(client, 3, monkeypatch)
    whole = burst(numbered(10, 1200), 1200, server.address())
    assert client.send(whole) is False
    first = split(await collect(server, 3 * 1200))
    allow(10)
    assert client.send(whole) is True
    assert first + split(await collect(server, 7 * 1200)) == split_numbers(10, 1200)


async def test_receive_takes_no_more_buffers_than_asked(track: Track) -> None:
    server, client = pair(track, "127.0.0.1")
    for _ in range(5):
        assert client.send(burst(b"x" * 10, 10, server.address()))
    await server.readable()
    assert len(server.receive(limit=2)) == 2
    assert len(await collect(server, 30)) >= 1


async def test_an_empty_datagram_is_passed_over(track: Track) -> None:
    server, _client = pair(track, "127.0.0.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
        raw.sendto(b"", (server.address().ip, server.address().port))
        raw.sendto(b"after", (server.address().ip, server.address().port))
    assert [batch.data for batch in await collect(server, 5)] == [b"after"]


def refuse_segments(
    carrier: UdpCarrier, refusal: int, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Makes the carrier's system calls refuse segmentation, as some devices do."""
    calls: list[str] = []
    real = carrier._call

    def call(data: bytes, messages: list[tuple[int, int, bytes]], target: object) -> int:
        if any(level == 17 for level, _, _ in messages):
            calls.append("segmented")
            return refusal
        return real(data, messages, target)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(carrier, "_call", call)
    return calls


def block_after(
    carrier: UdpCarrier, count: int, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], None]:
    """Lets ``count`` single sends through, then blocks; the result lets more through."""
    left = count
    real = carrier._call

    def call(data: bytes, messages: list[tuple[int, int, bytes]], target: object) -> int:
        nonlocal left
        segmented = any(level == 17 for level, _, _ in messages)
        if left <= 0 and not segmented:
            return errno.EAGAIN
        code = real(data, messages, target)  # type: ignore[arg-type]  # passed on as it came
        left -= code == 0
        return code

    def allow(more: int) -> None:
        nonlocal left
        left += more

    monkeypatch.setattr(carrier, "_call", call)
    return allow
