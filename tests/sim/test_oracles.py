"""The finer points of the oracles; that each speaks up is shown in tests/lab/test_faults.py."""

import pytest

from ropewalk.quic.types.address import Address
from ropewalk.sim.invariants import INVARIANTS, Violation
from ropewalk.sim.network import Application, Network
from ropewalk.sim.oracles import Amplification, PayloadCap

CLIENT, SERVER = Address("192.0.2.1", 50000), Address("192.0.2.2", 443)
#: An Initial of 1,200 bytes (header fields real, payload zeros), and a Handshake packet.
INITIAL = bytes.fromhex("c000000001088394c8f03e51570800004492").ljust(1200, b"\x00")
HANDSHAKE = bytes.fromhex("e000000001088394c8f03e5157080040aa").ljust(187, b"\x00")
#: A Retry with the token "token" and its tag of 16 bytes; an Initial that brings that token.
RETRY = bytes.fromhex("f00000000100088394c8f03e515708") + b"token" + bytes(16)
WITH_TOKEN = bytes.fromhex("c000000001088394c8f03e51570800") + b"\x05token" + b"\x44\x80"
WITH_TOKEN = WITH_TOKEN.ljust(len(WITH_TOKEN) + 0x480, b"\x00")


def host(accept=True):
    return Network(1).add_host("server", Application(), [SERVER], accept=accept)


def test_a_violation_tells_id_host_time_and_what():
    error = Violation("inv.quic.deadlines", "server", 1.5, "late")
    assert str(error) == "inv.quic.deadlines: server at 1.500000 s: late"


def test_ids_have_a_room_and_a_name():
    for invariant, law in INVARIANTS.items():
        room, _, name = invariant.removeprefix("inv.").partition(".")
        assert room in ("quic", "h3")
        assert name.replace("_", "").isalnum()
        assert law


def test_a_payload_at_the_cap_is_fine_and_one_above_is_not():
    oracle, server = PayloadCap(1200), host()
    oracle.on_send(server, bytes(1200), 0, CLIENT)
    with pytest.raises(Violation, match="1201 bytes, the cap is 1200"):
        oracle.on_send(server, bytes(1201), 0, CLIENT)


class TestAmplification:
    def setup_method(self):
        self.oracle = Amplification()
        self.server = host()

    def receive(self, datagram, remote=CLIENT):
        self.oracle.on_receive(self.server, datagram, 0, remote)

    def send(self, size, remote=CLIENT):
        self.oracle.on_send(self.server, bytes(size), 0, remote)

    def test_a_server_may_send_three_times_what_came_and_not_a_byte_more(self):
        self.receive(INITIAL)
        for _ in range(3):
            self.send(1200)
        assert self.oracle.largest_ratio == 3.0
        with pytest.raises(Violation, match="3601 bytes to"):
            self.send(1)

    def test_an_address_that_nothing_came_from_gets_nothing(self):
        self.receive(INITIAL)
        with pytest.raises(Violation, match="from which 0 came"):
            self.send(40, Address("192.0.2.1", 50001))

    def test_a_handshake_packet_even_a_coalesced_one_ends_the_limit(self):
        self.receive(INITIAL[:18] + bytes(1170) + HANDSHAKE)
        self.send(100_000)

    def test_the_token_of_a_retry_ends_the_limit_for_its_address_alone(self):
        self.receive(INITIAL)
        self.oracle.on_send(self.server, RETRY, 0, CLIENT)
        self.receive(WITH_TOKEN)
        self.send(100_000)
        elsewhere = Address("192.0.2.9", 1)
        self.receive(WITH_TOKEN, elsewhere)
        with pytest.raises(Violation):
            self.send(100_000, elsewhere)

    def test_an_answered_challenge_ends_the_limit(self):
        self.oracle.trust("server", CLIENT)
        self.send(100_000)

    def test_clients_are_not_limited(self):
        self.oracle.on_send(host(accept=False), bytes(1200), 0, SERVER)
