"""The search for larger datagrams keeps to the other rules (RFC 9000 8.1, 14)."""

from __future__ import annotations

from ropewalk.quic.types.address import Address
from tests.connection.pair import Pair


def test_no_probe_of_size_goes_to_an_address_that_is_not_validated() -> None:
    large = {"max_udp_payload": 9000}
    pair = Pair(client=large, server=large).connect()
    stream = pair.client.open_stream()
    assert stream is not None
    pair.client.write(stream, bytes(20_000))
    pair.drive(1.0)
    route = pair.server.state.path.active
    assert route.search is not None
    assert route.search.on_silence(3, pair.now)  # it begins anew: a probe is due
    route.datagram_size = route.search.size
    pair.client_address = Address(pair.client_address.ip, 61_000)
    pair.client.write(stream, bytes(1100))
    pair.client_endpoint.touch(pair.client)
    burst = pair.client_endpoint.transmit(pair.now)
    assert burst is not None
    before = len(pair.sent_to_client)
    pair.deliver_to_server(burst.data)
    pair.flush()
    sent = pair.sent_to_client[before:]
    assert sent
    assert max(map(len, sent)) <= 1200
