"""The endpoint's tables when IDs collide, sockets block and the application errs."""

from __future__ import annotations

import random

import pytest

from ropewalk.quic.endpoint import Endpoint, RandomConnectionIds, RootTokenKeys
from ropewalk.quic.types.configuration import EndpointConfiguration
from ropewalk.quic.types.errors import ApplicationError, ConfigurationError
from ropewalk.quic.types.identity import ConnectionIdGenerator
from ropewalk.quic.types.local import BLOCKED, WRITABLE, LocalChange
from tests.connection.pair import SERVER, Pair


def test_connection_ids_that_collide_never_take_over_another_connection() -> None:
    entropy = random.Random(4).randbytes
    pair = Pair(endpoint={"connection_ids": RandomConnectionIds(entropy, 1)}).connect()
    clients = [pair.client]
    for _ in range(40):
        client = pair.client_endpoint.open(pair.client_config, SERVER, 0, pair.now)
        clients.append(client)
        pair.client_endpoint.touch(client)
        pair.drive(0.1)
    owners = {}
    for server in pair.servers:
        for cid in server.own_cids():
            assert cid not in owners
            owners[cid] = server
    assert len(pair.servers) == 41
    assert all(client.handshake_confirmed for client in clients)
    for number, client in enumerate(clients):
        stream = client.open_stream()
        assert stream is not None
        client.write(stream, bytes([number]))
        pair.client_endpoint.touch(client)
    pair.drive(0.1)
    assert sorted(server.read(0, 10)[0][0] for server in pair.servers) == list(range(41))


class _AlwaysTheSame(ConnectionIdGenerator):
    def length(self) -> int:
        return 8

    def generate(self) -> bytes:
        return b"12345678"


def test_when_no_connection_id_is_left_the_caller_is_told() -> None:
    pair = Pair()
    entropy = random.Random(4).randbytes
    endpoint = Endpoint(
        EndpointConfiguration(
            entropy=entropy,
            wall_clock=pair.wall_clock,
            connection_ids=_AlwaysTheSame(),
            token_keys=RootTokenKeys(entropy(32), entropy),
        )
    )
    endpoint.open(pair.client_config, SERVER, 0, pair.now)
    with pytest.raises(ConfigurationError, match="connection IDs of 8 bytes"):
        endpoint.open(pair.client_config, SERVER, 0, pair.now)


def test_a_socket_that_unblocks_wakes_only_those_who_waited_for_it() -> None:
    pair = Pair().connect()
    others = []
    for local in (1, 2):
        other = pair.client_endpoint.open(pair.client_config, SERVER, local, pair.now)
        others.append(other)
    pair.client_endpoint.on_local(1, LocalChange(BLOCKED), pair.now)
    pair.client_endpoint.on_local(2, LocalChange(BLOCKED), pair.now)
    while (burst := pair.client_endpoint.transmit(pair.now)) is not None:
        assert burst.local == 0
    pair.client_endpoint.on_local(1, LocalChange(WRITABLE), pair.now)
    sent = []
    while (burst := pair.client_endpoint.transmit(pair.now)) is not None:
        sent.append(burst.local)
    assert sent
    assert set(sent) == {1}
    others[1].close(0, "", pair.now)
    pair.client_endpoint.touch(others[1])
    for _ in range(20):
        pair.now += 1.0
        pair.client_endpoint.on_timeout(pair.now)
        pair.client_endpoint.transmit(pair.now)
    assert others[1].closed
    assert not any(pair.client_endpoint._waiting.values())
    pair.client_endpoint.on_local(2, LocalChange(WRITABLE), pair.now)
    assert pair.client_endpoint.transmit(pair.now) is None


def test_a_close_code_that_cannot_be_sent_is_refused_at_once() -> None:
    pair = Pair().connect()
    for code in (-1, 1 << 62):
        with pytest.raises(ConfigurationError, match="not within"):
            pair.client.close(code, "", pair.now)
    assert pair.client.active


def test_long_reasons_are_cut_between_characters() -> None:
    pair = Pair().connect()
    pair.client.close(1, "x" + "\u00e4" * 400, pair.now)
    pair.drive(0.05)
    error = pair.server.close_error
    assert isinstance(error, ApplicationError)
    assert error.reason == "x" + "\u00e4" * 255


def test_a_token_too_long_for_an_initial_is_left_out_rather_than_never_connect() -> None:
    pair = Pair(client={"token": bytes(1150)}).connect()
    assert pair.client.handshake_confirmed


def test_what_a_client_at_the_door_may_store_is_bounded_in_bytes() -> None:
    pair = Pair()
    pair.on_incoming = lambda incoming: None
    pair.flush()
    first, second = (item[2] for item in pair.wire)
    pair.wire.clear()
    pair.deliver_to_server(first)
    for _ in range(20):
        pair.deliver_to_server(first + bytes(60_000))
    (knock,) = pair.server_endpoint._door._knocks.values()
    assert knock.bytes_received <= 32768
    before = pair.server_endpoint.counters.datagrams_dropped
    assert before > 0
    # and the honest rest still finds its place
    pair.deliver_to_server(second)
    assert knock.ready
