"""Opening sockets: what is asked for, what is granted, and what the user reads otherwise."""

from __future__ import annotations

import socket
import warnings

import pytest

from ropewalk.net import BufferWarning, UdpCarrier, sockets
from ropewalk.net.ancillary import AddressTable, IncomingMessages, OutgoingMessages
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.errors import ConfigurationError, ConnectionLost
from tests.net.conftest import LINUX, Track, have_ipv6

linux_only = pytest.mark.skipif(not LINUX, reason="the options are Linux'")


def test_a_taken_port_says_what_why_and_what_to_do(track: Track) -> None:
    first = track(UdpCarrier.bind("127.0.0.1"))
    port = first.address().port
    with pytest.raises(ConfigurationError) as caught:
        UdpCarrier.bind("127.0.0.1", port)
    assert str(caught.value) == (
        f"UDP 127.0.0.1:{port} is taken by another program; stop it or choose another port"
    )


def test_an_address_of_another_host_cannot_be_bound() -> None:
    with pytest.raises(ConfigurationError, match="this host does not have that address"):
        UdpCarrier.bind("192.0.2.1")


@pytest.mark.parametrize("ip", ["localhost", "1.2.3", "1.2.3.4.5", "fe80::1::2", "nul\0"])
def test_only_ip_addresses_are_bound(ip: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an IP address"):
        UdpCarrier.bind(ip)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_out_of_range_is_a_configuration_error(port: int) -> None:
    with pytest.raises(ConfigurationError, match="ports run from 0 to 65535"):
        UdpCarrier.bind("127.0.0.1", port)


@pytest.mark.parametrize("port", [0, 65536])
def test_nobody_can_be_reached_at_a_port_that_is_none(port: int) -> None:
    with pytest.raises(ConfigurationError, match="ports run from 1 to 65535"):
        UdpCarrier.connect(Address("127.0.0.1", port))


def test_a_source_of_the_other_family_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="one is IPv4, the other IPv6"):
        UdpCarrier.connect(Address("127.0.0.1", 9), source=Address("::1", 0))


def test_a_source_address_is_used(track: Track) -> None:
    client = track(UdpCarrier.connect(Address("127.0.0.1", 9), source=Address("127.0.0.5", 0)))
    assert client.address().ip == ("127.0.0.5" if LINUX else client.address().ip)


def test_no_way_to_a_peer_is_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConnectionLost, match=r"no way to 255\.255\.255\.255:9"):
        UdpCarrier.connect(Address("255.255.255.255", 9))


def test_closing_needs_no_event_loop() -> None:
    carrier = UdpCarrier.bind("127.0.0.1")
    carrier.close()
    carrier.close()
    assert carrier.fileno() == -1


def test_everywhere_means_both_families(track: Track) -> None:
    carrier = track(UdpCarrier.bind())
    assert carrier.address().ip == ("::" if have_ipv6() else "0.0.0.0")


@linux_only
def test_linux_offers_everything_and_the_carrier_says_so(track: Track) -> None:
    server = track(UdpCarrier.bind("0.0.0.0"))
    assert server.gso
    assert server.gro
    assert server.ecn
    assert server.pktinfo
    assert server.dont_fragment
    assert not server.reliable
    assert server.mtu == sockets.MAX_PAYLOAD_V4
    client = track(UdpCarrier.connect(Address("127.0.0.1", 9)))
    assert 1200 <= client.mtu <= sockets.MAX_PAYLOAD_V4
    assert not client.pktinfo, "its own address is known"


@linux_only
def test_datagrams_are_never_fragmented(track: Track) -> None:
    carrier = track(UdpCarrier.bind("127.0.0.1"))
    assert carrier._socket.getsockopt(socket.IPPROTO_IP, 10) == 3  # PROBE


def test_other_systems_get_a_plain_carrier_that_says_so(
    track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "LINUX", False)
    carrier = track(UdpCarrier.bind("127.0.0.1"))
    offered = (carrier.gso, carrier.gro, carrier.ecn, carrier.pktinfo, carrier.dont_fragment)
    assert not any(offered)


def test_a_capped_buffer_warns_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_SO_RCVBUFFORCE", 9999)  # as for one who is not root
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        pytest.warns(BufferWarning, match=r"caps the UDP receive buffer at \d+ bytes of") as seen,
    ):
        assert not sockets.enlarge_buffer(udp, receive=True, wanted=1 << 30)
    if LINUX:
        assert "sysctl -w net.core.rmem_max=1073741824" in str(seen[0].message)


def test_the_buffer_warning_comes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_SO_RCVBUFFORCE", 9999)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        warnings.catch_warnings(record=True) as seen,
    ):
        warnings.simplefilter("default")
        for _ in range(3):
            sockets.enlarge_buffer(udp, receive=True, wanted=1 << 30)
    assert len(seen) == 1


def test_one_peer_is_one_address_object_and_tables_are_bounded() -> None:
    table = AddressTable(socket.AF_INET6, limit=8)
    mapped = ("::ffff:192.0.2.1", 443, 0, 0)
    address = table.address(mapped)
    assert address == Address("192.0.2.1", 443)
    assert table.address(mapped) is address
    assert table.socket_address(address) == mapped
    for port in range(1, 100):
        table.socket_address(table.address(("2001:db8::1", port, 0, 0)))
    assert len(table._ours) <= 8
    assert len(table._theirs) <= 8


def test_a_link_local_peer_keeps_its_scope() -> None:
    table = AddressTable(socket.AF_INET6)
    address = table.address(("fe80::1%eth0", 443, 0, 2))
    assert (address.ip, address.scope) == ("fe80::1", 2)
    assert table.socket_address(address) == ("fe80::1", 443, 0, 2)


def test_outgoing_messages_are_made_once_and_bounded() -> None:
    messages = OutgoingMessages(limit=4)
    first = messages.get(1200, 2, "192.0.2.1", False)
    assert len(first) == 3
    assert messages.get(1200, 2, "192.0.2.1", False) is first
    assert messages.get(0, 0, "", False) == []
    for size in range(100):
        messages.get(size, 0, "", True)
    assert len(messages._made) <= 4


def test_short_or_foreign_control_messages_are_passed_over() -> None:
    incoming = IncomingMessages("192.0.2.9")
    incoming.read(
        [
            (17, 104, b"\1"),
            (0, 8, b"short"),
            (0, 1, b""),
            (41, 67, b""),
            (41, 50, b""),
            (99, 1, b""),
        ]
    )
    assert (incoming.segment_size, incoming.ecn, incoming.local_ip) == (0, 0, "192.0.2.9")
