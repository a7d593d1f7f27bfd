"""Handshakes that are begun and not finished (RFC 9000 5.2.2, 7.5, 8.1, 21.5, 21.6)."""

from __future__ import annotations

from ropewalk.lab.hostile import frames
from ropewalk.lab.hostile.check import SERVER, Check
from ropewalk.lab.hostile.checks.floods import at_most, keep_bystander_alive, row
from ropewalk.lab.hostile.outcome import Closes, Holds, require
from ropewalk.lab.hostile.scene import VICTIM_ADDRESS, Scene
from ropewalk.quic.types.error_codes import (
    CONNECTION_REFUSED,
    CRYPTO_BUFFER_EXCEEDED,
)
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL


def handshakes() -> list[Check]:
    """5.2.2, 7.5, 8.1, 21.5: handshakes that are begun and not finished."""
    return [
        *row(
            "half-open-handshakes",
            "21.5",
            "a hundred clients that never finish their ClientHello, at a server that holds ten",
            _knocks_a_hundred_times,
            Holds("holds ten, refuses the others and forgets all of them soon"),
            (SERVER,),
        ),
        *row(
            "client-hello-byte-by-byte",
            "21.6",
            "a ClientHello that comes in datagrams of one byte each",
            _drips_the_client_hello,
            Holds("keeps eight datagrams and gives up after five seconds"),
            (SERVER,),
        ),
        *row(
            "handshake-that-stalls",
            "21.6",
            "a peer that begins the handshake and falls silent",
            _stalls,
            Holds("gives up within the handshake's time"),
        ),
        *row(
            "handshake-that-drips",
            "21.6",
            "a peer that keeps the handshake alive with PINGs and never finishes it",
            _drips_pings,
            Holds("gives up within the handshake's time"),
        ),
        *row(
            "crypto-fragments-in-the-handshake",
            "7.5",
            "Handshake data in pieces of one byte with a gap before each of them",
            _fragments_of_the_handshake,
            Closes((CRYPTO_BUFFER_EXCEEDED,), 0x06),
        ),
    ]


def _knocks_a_hundred_times(scene: Scene) -> None:
    scene.configure_victim_endpoint(max_half_open=10)
    client = scene.client
    client.prepare(VICTIM_ADDRESS)
    hello = client.client_hello()
    client.freeze()
    half = frames.crypto(0, hello[:100])
    for index in range(100):
        destination = b"knock" + index.to_bytes(3, "big")
        client.use_initial_keys(destination)
        client.send_datagram(client.initial(half, destination_cid=destination))
        scene.run(0.015)
    scene.run(0.1)
    counters = scene.victim_host.endpoint.counters
    require(int(counters.connections_refused) == 90, f"{counters.connections_refused} refused")
    refused = {closure.code for closure in client.inbox.closures}
    require(refused == {CONNECTION_REFUSED}, f"closed with {refused}")
    scene.run(6.0)
    # Another client finds room again.
    _connect_anew(scene)


def _connect_anew(scene: Scene) -> None:
    host = scene.honest_host
    honest = scene.honest_config
    connection = scene.open_watched(host, VICTIM_ADDRESS, honest, honest)
    scene.bystander = connection
    host.act(lambda: host.endpoint.touch(connection))
    done = scene.clock.run_until(scene.now + 2.0, lambda: connection.handshake_confirmed)
    require(done, f"an honest client could not connect: {connection.close_error}")


def _drips_the_client_hello(scene: Scene) -> None:
    client = scene.client
    client.prepare(VICTIM_ADDRESS)
    hello = client.client_hello()
    client.freeze()
    for index in range(60):
        client.send_datagram(client.initial(frames.crypto(index, hello[index : index + 1])))
        scene.run(0.05)
    dropped = int(scene.victim_host.endpoint.counters.datagrams_dropped)
    require(dropped >= 52, f"only {dropped} datagrams were dropped")
    require(not client.inbox.datagrams, "the server answered half a ClientHello")
    scene.run(6.0)
    require(scene.victim_host.endpoint.deadline() > scene.now + 3600, "something still waits")
    _connect_anew(scene)


def _stalls(scene: Scene) -> None:
    scene.reach_handshake_keys()
    scene.peer.freeze()
    before = len(scene.peer.inbox.datagrams)
    scene.run(29.0)
    keep_bystander_alive(scene)
    scene.run(10.0)
    require(scene.the_victim().closed, "the connection still waits")
    came = len(scene.peer.inbox.datagrams) - before
    at_most(40, came, "datagrams were sent to somebody silent")


def _drips_pings(scene: Scene) -> None:
    scene.reach_handshake_keys()
    scene.peer.freeze()
    for _ in range(40):
        scene.peer.send(frames.PING, HANDSHAKE if scene.role != SERVER else INITIAL)
        keep_bystander_alive(scene)
        scene.run(1.0)
    require(scene.the_victim().closed, "the connection still waits")


def _fragments_of_the_handshake(scene: Scene) -> None:
    scene.reach_handshake_keys()
    scene.peer.freeze()
    for index in range(100):
        pieces = range(60 * index, 60 * index + 60)
        scene.peer.send(b"".join(frames.crypto(2 * piece + 1, b"x") for piece in pieces), HANDSHAKE)
    scene.run(0.05)


CHECKS: tuple[Check, ...] = (*handshakes(),)
