"""What the system refuses becomes a failure that the driver can read, never an exception."""

from __future__ import annotations

import errno

import anyio
import pytest

from ropewalk.net import UdpCarrier
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.carrier import SendFailure
from tests.net.conftest import BOUND, LINUX, Track, burst, collect, numbered

pytestmark = pytest.mark.anyio
linux_only = pytest.mark.skipif(not LINUX, reason="the errors are Linux'")


def closed_port(track: Track) -> Address:
    carrier = UdpCarrier.bind("127.0.0.1")
    address = carrier.address()
    carrier.close()
    return address


async def wait_for_failure(carrier: UdpCarrier) -> list[SendFailure]:
    with anyio.fail_after(BOUND):
        while True:
            await carrier.readable()
            carrier.receive()
            failures = carrier.failures()
            if failures:
                return failures


@linux_only
async def test_a_closed_port_is_reported_when_receiving(track: Track) -> None:
    nobody = closed_port(track)
    client = track(UdpCarrier.connect(nobody))
    assert client.send(burst(b"hello", 5, nobody))
    (failure,) = await wait_for_failure(client)
    assert failure.kind == "refused"
    assert failure.remote == nobody


@linux_only
async def test_a_report_about_an_earlier_datagram_does_not_swallow_the_next(track: Track) -> None:
    nobody = closed_port(track)
    client = track(UdpCarrier.connect(nobody))
    assert client.send(burst(b"hello", 5, nobody))
    with anyio.fail_after(BOUND):
        await client.readable()  # the report has arrived
    server = track(UdpCarrier.bind(nobody.ip, nobody.port))
    assert client.send(burst(b"again", 5, nobody))
    assert [failure.kind for failure in client.failures()] == ["refused"]
    assert (await collect(server, 5))[0].data == b"again"


@linux_only
async def test_too_large_a_datagram_is_reported_with_its_size_and_the_rest_leaves(
    track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = track(UdpCarrier.bind("127.0.0.1"))
    client = track(UdpCarrier.connect(server.address()))
    data = numbered(1, 65530)
    assert client.send(burst(data, len(data), server.address()))
    (failure,) = client.failures()
    assert (failure.kind, failure.size) == ("too-large", 65530)
    assert client.gso, "a matter of size, not of segmentation"
    assert client.send(burst(b"small", 5, server.address()))
    assert (await collect(server, 5))[0].data == b"small"


@linux_only
async def test_segments_beyond_the_routes_mtu_do_not_switch_segmentation_off(
    track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel says EINVAL both for a device that cannot and for segments too large."""
    server = track(UdpCarrier.bind("127.0.0.1"))
    client = track(UdpCarrier.connect(server.address()))
    real = client._call

    def small_route(data: bytes, messages: list[tuple[int, int, bytes]], target: object) -> int:
        segmented = [payload for level, _, payload in messages if level == 17]
        if segmented and int.from_bytes(segmented[0], "little") > 1300:
            return errno.EINVAL
        if not segmented and len(data) > 1300:
            return errno.EMSGSIZE
        return real(data, messages, target)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(client, "_call", small_route)
    assert client.send(burst(numbered(5, 1400, last=100), 1400, server.address()))
    assert client.failures() == [
        SendFailure("too-large", server.address(), 1400, "Message too long")
    ]
    assert client.gso
    await collect(server, 100)  # the last one was small enough


async def test_an_address_of_the_other_family_is_a_failure(track: Track) -> None:
    carrier = track(UdpCarrier.bind("127.0.0.1"))
    assert carrier.send(burst(b"x", 1, Address("::1", 9)))
    (failure,) = carrier.failures()
    assert failure.kind == "other"
    assert failure.remote == Address("::1", 9)


async def test_a_name_never_reaches_the_system(track: Track) -> None:
    """The system would look it up and block the loop."""
    carrier = track(UdpCarrier.bind("127.0.0.1"))
    assert carrier.send(burst(b"x", 1, Address("localhost", 9)))
    assert [failure.kind for failure in carrier.failures()] == ["other"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.EHOSTUNREACH, "unreachable"),
        (errno.ENETUNREACH, "unreachable"),
        (errno.EPERM, "unreachable"),
        (errno.ECONNREFUSED, "refused"),
        (errno.EMSGSIZE, "too-large"),
        (errno.ENOMEM, "other"),
    ],
)
async def test_each_error_has_its_kind_and_is_told_once_for_a_burst(
    track: Track, monkeypatch: pytest.MonkeyPatch, code: int, kind: str
) -> None:
    carrier = track(UdpCarrier.bind("127.0.0.1"))
    carrier.gso = False
    monkeypatch.setattr(carrier, "_call", lambda *_: code)
    assert carrier.send(burst(numbered(10, 1200), 1200, Address("127.0.0.1", 9)))
    assert [failure.kind for failure in carrier.failures()] == [kind]
    assert carrier.failures() == []


async def test_failures_that_nobody_reads_are_bounded(
    track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier = track(UdpCarrier.bind("127.0.0.1"))
    monkeypatch.setattr(carrier, "_call", lambda *_: errno.ENOMEM)
    for port in range(1, 500):
        carrier.send(burst(b"x", 1, Address("127.0.0.1", port)))
    failures = carrier.failures()
    assert len(failures) == 64
    assert failures[-1].remote == Address("127.0.0.1", 499)


async def test_closing_wakes_who_waits(track: Track) -> None:
    carrier = track(UdpCarrier.bind("127.0.0.1"))
    with anyio.fail_after(BOUND):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(close_soon, carrier)
            with pytest.raises(anyio.ClosedResourceError):
                await carrier.readable()


async def test_a_closed_carrier_stays_quiet(track: Track) -> None:
    carrier = track(UdpCarrier.bind("127.0.0.1"))
    carrier.close()
    carrier.close()
    for wait in (carrier.readable, carrier.writable):
        with pytest.raises(anyio.ClosedResourceError):
            await wait()
    assert carrier.receive() == []
    assert carrier.send(burst(b"x", 1, Address("127.0.0.1", 9)))
    assert [failure.kind for failure in carrier.failures()] == ["other"]


async def close_soon(carrier: UdpCarrier) -> None:
    await anyio.wait_all_tasks_blocked()
    carrier.close()
