"""A peer that completes real handshakes and breaks whatever rule it is asked to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Unpack

from ropewalk.lab.hostile import frames, messages, packets
from ropewalk.lab.hostile.handshake import BendingHandshake
from ropewalk.lab.hostile.inbox import Closure, Inbox
from ropewalk.lab.hostile.packets import Bent
from ropewalk.quic.connection.connection import Connection
from ropewalk.quic.connection.workspace import Workspace
from ropewalk.quic.handshake.factory import make_handshake
from ropewalk.quic.protection.aead import make_protection
from ropewalk.quic.protection.initial import initial_protection
from ropewalk.quic.recovery.space import PacketSpace
from ropewalk.quic.types.address import Address
from ropewalk.quic.types.configuration import QUIC_V1, Configuration
from ropewalk.quic.types.datagrams import Datagrams
from ropewalk.quic.types.errors import ConfigurationError
from ropewalk.quic.types.handshake import HANDSHAKE, INITIAL, ONE_RTT
from ropewalk.quic.types.protection import PacketProtection
from ropewalk.quic.wire.header import parse_long_header
from ropewalk.sim.batching import Received
from ropewalk.sim.clock import Timer
from ropewalk.sim.network import Attachment, Network

#: The least that a datagram with a client's Initial packet may have (RFC 9000 14.1).
INITIAL_SIZE = 1200
_TAG = 16
#: Encryption levels by the type bits of a long header.
_LEVEL_OF_BITS = {0: INITIAL, 2: HANDSHAKE}


class BendingPeer:
    """One side of a connection on a simulated network.

    Behind it runs an ordinary connection, its *double*: it makes the handshake, acknowledges
    and answers. A story may withhold what the double sends, level by level, freeze it
    altogether, bend its transport parameters and TLS messages, and at any time send packets
    of its own, sealed with the double's keys. Everything that arrives is also opened here,
    so the story sees what the victim does whatever the double thinks of it.
    """

    is_client = False

    def __init__(
        self,
        network: Network,
        address: Address,
        config: Configuration,
        *,
        source_cid: bytes,
        bend_parameters: Callable[[bytes], bytes] | None = None,
        bend_messages: messages.Bending | None = None,
    ) -> None:
        self.network = network
        self.config = config
        self.source_cid = source_cid
        self.bend_parameters = bend_parameters
        self.bend_messages = bend_messages
        self.double: Connection | None = None
        self.handshake: BendingHandshake | None = None
        self.inbox = Inbox(len(source_cid))
        #: levels whose packets the double may not send
        self.withheld: frozenset[int] = frozenset()
        #: every datagram that was handed to the wire, the double's and the story's
        self.sent: list[bytes] = []
        #: sees every datagram of the double before it leaves; what it returns goes out
        self.on_departure: Callable[[bytes], list[bytes]] = lambda datagram: [datagram]
        #: sees every arriving datagram before the double; False keeps it from the double
        self.on_arrival: Callable[[bytes], bool] = lambda datagram: True
        self._frozen = False
        self._remote: Address | None = None
        self._attachments = {address: network.attach(address, self._arrive)}
        self._address = address
        self._wakeup: Timer | None = None
        self._send_keys: dict[int, PacketProtection] = {}
        self._generations: list[PacketProtection] = []
        self._key_phase = 0
        self._numbers = {INITIAL: 0, HANDSHAKE: 0, ONE_RTT: 0}
        #: the double's packet-number spaces, also those that it has discarded
        self._spaces: dict[int, PacketSpace] = {}
        self._secrets_seen = 0

    # -- where it is

    @property
    def now(self) -> float:
        """The virtual time."""
        return self.network.clock.now

    @property
    def address(self) -> Address:
        """Where it sends from unless told otherwise."""
        return self._address

    @property
    def remote(self) -> Address:
        """Where the victim is. Raises ``ConfigurationError`` before it is known."""
        if self._remote is None:
            raise ConfigurationError("the bending peer has not met its victim yet")
        return self._remote

    def also_at(self, address: Address) -> None:
        """Have another address, to send from with ``send(…, source=address)``."""
        self._attachments[address] = self.network.attach(address, self._arrive)

    # -- the double

    def begin(
        self,
        remote: Address,
        destination_cid: bytes,
        original_destination_cid: bytes,
        retry_source_cid: bytes | None = None,
    ) -> Connection:
        """Make the double and its handshake. For the client and the server."""
        handshake = BendingHandshake(
            make_handshake(self.config, self.is_client), self.bend_parameters, self.bend_messages
        )
        self._remote = remote
        self.handshake = handshake
        self.use_initial_keys(retry_source_cid or original_destination_cid)
        self.double = Connection(
            self.config,
            self.is_client,
            handshake,
            0,
            self._address.ip,
            remote,
            self.source_cid,
            destination_cid,
            original_destination_cid,
            retry_source_cid,
            b"" if self.is_client else self.config.entropy(16),
            True,
            Workspace(),
            self.now,
        )
        state = self.double.state
        self._spaces[ONE_RTT] = state.path.space
        for level in (state.initial, state.handshake_level):
            if level is not None:
                self._spaces[int(level.level)] = level.space
        return self.double

    def use_initial_keys(self, client_destination_cid: bytes) -> None:
        """Seal and open Initial packets with the keys of this ID (RFC 9001 5.2)."""
        client, server = initial_protection(QUIC_V1, client_destination_cid)
        self._send_keys[INITIAL] = client if self.is_client else server
        self.inbox.add_keys(INITIAL, server if self.is_client else client)

    def freeze(self) -> None:
        """From here on the double neither hears nor says anything: no ACK, no answer."""
        self._frozen = True
        self._plan()

    def flush(self) -> None:
        """Send what the double has to send."""
        double = self.double
        while double is not None and not self._frozen:
            burst = double.transmit(self.now)
            if burst is None:
                break
            if not double.active:
                continue  # it thinks that the victim is in the wrong; that is the story's affair
            for start in range(0, len(burst.data), burst.segment_size):
                self._depart(burst.data[start : start + burst.segment_size])
        self._learn()
        self._plan()

    def _depart(self, datagram: bytes) -> None:
        if self.withheld:
            datagram = self._without_withheld(datagram)
        for leaving in self.on_departure(datagram) if datagram else []:
            self.send_datagram(leaving)

    def _without_withheld(self, datagram: bytes) -> bytes:
        kept = b""
        initial = False
        position = 0
        while position < len(datagram):
            if not datagram[position] & 0x80:
                if ONE_RTT not in self.withheld:
                    kept += datagram[position:]
                break
            header = parse_long_header(datagram, position, len(datagram))
            if header is None:
                break
            level = _LEVEL_OF_BITS.get(datagram[position] >> 4 & 3)
            if level not in self.withheld:
                kept += datagram[position : int(header.end)]
                initial = initial or level == INITIAL
            position = int(header.end)
        # What is left may follow an Initial packet as bytes that nobody can read (14.1).
        return kept.ljust(INITIAL_SIZE, b"\x00") if initial else kept

    def _arrive(self, received: Received) -> None:
        if self.double is None:
            self.on_first(received)
        double = self.double
        if double is not None and not self._frozen and self.on_arrival(received.data):
            size = len(received.data)
            double.receive(
                Datagrams(received.data, size, 0, self._address.ip, received.remote, received.ecn),
                0,
                size,
                self.now,
            )
            double.end_of_batch(self.now)
        self._learn()
        self.inbox.take(received.data, self.now)
        self.flush()

    def on_first(self, received: Received) -> None:
        """Something came before there is a double. A server begins its handshake here."""

    def _learn(self) -> None:
        """Pick up new keys, and the packet numbers that the double has used."""
        double = self.double
        if double is None or self.handshake is None:
            return
        secrets = self.handshake.secrets
        for secret in secrets[self._secrets_seen :]:
            protection = make_protection(secret.suite, secret.secret, QUIC_V1)
            level = int(secret.level)
            if secret.sending:
                self._send_keys[level] = protection
                if level == ONE_RTT:
                    self._generations = [protection]
            else:
                self.inbox.add_keys(level, protection)
        self._secrets_seen = len(secrets)
        for level, space in self._spaces.items():
            used = int(space.ledger.next_packet_number)
            self._numbers[level] = max(self._numbers[level], used)

    def _plan(self) -> None:
        if self._wakeup is not None:
            self._wakeup.cancel()
            self._wakeup = None
        double = self.double
        if double is None or self._frozen or double.closed:
            return
        deadline = double.deadline(self.now)
        if deadline != math.inf:
            self._wakeup = self.network.clock.at(deadline, self._timeout)

    def _timeout(self) -> None:
        self._wakeup = None
        if self.double is not None and not self._frozen:
            self.double.on_timeout(self.now)
        self.flush()

    # -- what the story sends

    def has_keys(self, level: int) -> bool:
        """Whether packets of ``level`` can be sealed."""
        return level in self._send_keys

    def next_number(self, level: int = ONE_RTT) -> int:
        """Use up a packet number. The double will not use it again."""
        number = self._numbers[level]
        self._numbers[level] = number + 1
        space = self._spaces.get(level)
        if space is not None and not self._frozen:
            # As if it had sent the packet and forgotten: an ACK for it is in order.
            ledger = space.ledger
            ledger.next_packet_number = number + 1
            ledger.slots[number & ledger.mask].clear()
        return number

    def header(self, level: int = ONE_RTT, **bent: Unpack[Bent]) -> packets.Header:
        """The header that the double would write next, with what ``bent`` changes about it."""
        number = bent["packet_number"] if "packet_number" in bent else self.next_number(level)
        plain = packets.Header(
            level=level,
            destination_cid=self.destination(),
            source_cid=self.source_cid,
            packet_number=number,
            token=self.token() if level == INITIAL else b"",
            key_phase=self._key_phase,
        )
        return replace(plain, **bent)

    def destination(self) -> bytes:
        """The victim's connection ID in use."""
        if self.double is None:
            raise ConfigurationError("the bending peer has not met its victim yet")
        return self.double.state.path.peer_ids.current.connection_id

    def token(self) -> bytes:
        """The token of Initial packets: a client's after a Retry."""
        return self.double.state.token if self.double is not None and self.is_client else b""

    def keys(self, level: int) -> PacketProtection:
        """What packets of ``level`` are sealed with. ``KeyError`` before there are keys."""
        self._learn()
        return self._send_keys[level]

    def packet(
        self,
        payload: bytes,
        level: int = ONE_RTT,
        *,
        keys: PacketProtection | None = None,
        **bent: Unpack[Bent],
    ) -> bytes:
        """A sealed packet. ``bent`` are fields of :class:`~packets.Header`."""
        return packets.seal(self.header(level, **bent), payload, keys or self.keys(level))

    def initial(self, payload: bytes, *, size: int = INITIAL_SIZE, **bent: Unpack[Bent]) -> bytes:
        """A sealed Initial packet, padded to ``size`` bytes."""
        keys = self.keys(INITIAL)
        header = self.header(INITIAL, **bent)
        fill = size - len(header.encode(0)) - _TAG
        return packets.seal(header, payload.ljust(fill, b"\x00"), keys)

    def send(
        self,
        payload: bytes,
        level: int = ONE_RTT,
        *,
        source: Address | None = None,
        **bent: Unpack[Bent],
    ) -> None:
        """Send a packet with any frames now. An Initial packet's datagram is filled up."""
        if level == INITIAL:
            datagram = self.initial(payload, **bent)
        else:
            datagram = self.packet(payload, level, **bent)
        self.send_datagram(datagram, source=source)

    def acknowledge(self) -> None:
        """Acknowledge every 1-RTT packet that came, as a frozen double does not."""
        numbers = sorted(
            {one.packet_number for one in self.inbox.packets if one.level == ONE_RTT},
            reverse=True,
        )
        ranges: list[int] = []
        high = low = numbers[0]
        for number in [*numbers[1:], -2]:
            if number == low - 1:
                low = number
                continue
            ranges.append(high - low)
            if number >= 0:
                ranges.append(low - number - 2)
            high = low = number
        self.send(frames.ack(numbers[0], *ranges))

    def send_datagram(self, datagram: bytes, *, source: Address | None = None) -> None:
        """Send any bytes now."""
        self.sent.append(datagram)
        self.attachment(source).send(self.remote, datagram, 0)

    def attachment(self, source: Address | None = None) -> Attachment:
        """The network's end of one of the peer's addresses."""
        return self._attachments[source or self._address]

    def generation(self, number: int) -> PacketProtection:
        """The 1-RTT keys to send with after ``number`` key updates."""
        self._learn()
        while len(self._generations) <= number:
            self._generations.append(self._generations[-1].next_generation())
        return self._generations[number]

    def use_generation(self, number: int) -> None:
        """Send with these 1-RTT keys from now on, and with the key phase that goes with them."""
        self._send_keys[ONE_RTT] = self.generation(number)
        self._key_phase = number & 1

    # -- what the victim does

    def expect_close(self, within: float = 1.0) -> Closure:
        """Let time go by until a CONNECTION_CLOSE arrives.

        Raises ``AssertionError`` when none comes ``within`` so many seconds.
        """
        clock = self.network.clock
        clock.run_until(clock.now + within, lambda: len(self.inbox.closures) > 0)
        if not self.inbox.closures:
            raise AssertionError(f"no CONNECTION_CLOSE came within {within} seconds")
        return self.inbox.closures[0]

    def is_answered(self, within: float = 0.5) -> bool:
        """Whether the victim acknowledges a PING in a 1-RTT packet: it lives and listens."""
        number = self.next_number()
        self.send(b"\x01", packet_number=number)
        clock = self.network.clock
        return clock.run_until(clock.now + within, lambda: self.inbox.acknowledged(ONE_RTT, number))
