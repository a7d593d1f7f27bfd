"""The rules, and what must hold after each of them and at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import inf
from typing import Final

from ropewalk.lab.machine.calls import PAUSES, Call
from ropewalk.lab.machine.endings import Reasons
from ropewalk.lab.machine.model import CALLS, LIVENESS, NOTHING_LEFT, Half, Model
from ropewalk.lab.machine.party import Party
from ropewalk.lab.machine.plan import Plan, client_configuration, server_configuration
from ropewalk.lab.machine.server import ServerParty
from ropewalk.lab.machine.wire import (
    INSIDE,
    PROFILES,
    SERVER,
    TO_CLIENT,
    TO_SERVER,
    Fate,
    Meddler,
    Wire,
)
from ropewalk.quic.types.local import BLOCKED, WRITABLE, LocalChange
from ropewalk.sim.batching import Coalescing
from ropewalk.sim.invariants import Violation
from ropewalk.sim.network import Network
from ropewalk.sim.watching import Watchers

#: Seconds that a healed line gets to deliver everything. The probe timeout of a handshake may
#: have backed off to half a minute.
_PATIENCE: Final = 150.0
#: A connection and the endpoints' doors are forgotten within this.
_REST: Final = 300.0
_READS: Final = (1, 10, 700, 20_000, 0)
_OUTAGES: Final = (0.1, 0.5, 3.0, 12.0, 40.0)
_DELAYS: Final = (0.0005, 0.003, 0.03, 0.5, 3.0)
_WAITS: Final = (0.0005, 0.01, 0.1, 1.0, 6.0, 32.0)
#: Which of the old datagrams of each direction come again after the end.
_LATE: Final = (0, 1, 2, 50, 200)
#: A stateless reset of 73 bytes is answered by one of 72, and so on down to 21 (RFC 9000 10.3.3).
_LONGEST_ECHO: Final = 73 - 21 + 1


class Machine:
    """Two endpoints on one wire. Each rule is a method whose arguments are small numbers.

    A rule that makes no sense at the moment does nothing. ``Violation`` is raised as soon as
    a law is broken, by a rule or by :meth:`finish`.
    """

    def __init__(
        self,
        plan: Plan,
        meddler: type[Meddler] = Meddler,
        parties: tuple[type[Party], type[ServerParty]] = (Party, ServerParty),
    ) -> None:
        self.plan = plan
        client, server = client_configuration(plan), server_configuration(plan)
        self.watchers = Watchers(client.max_udp_payload)
        self.network = Network(plan.seed, self.watchers.oracles)
        witnesses = (
            self.watchers.witness("client", True, server),
            self.watchers.witness("server", False, client),
        )
        self.model = Model(self.network.clock)
        self.wire = Wire(self.network, meddler)
        clock = self.network.wall_clock
        self.client = parties[0](0, self.model, plan.eager[0])
        self.server = parties[1](
            self.model,
            plan.eager[1],
            replace(server, wall_clock=clock, observer=witnesses[1]),
            self.watchers,
            witnesses[1],
            plan.retry,
        )
        self.sides: tuple[Party, Party] = (self.client, self.server)
        self.reasons = Reasons(plan, self.wire, self.sides, witnesses)
        self.network.oracles.append(self.reasons)
        coalescing = Coalescing(window=plan.coalescing)
        self.hosts = (
            self.network.add_host("client", self.client, [INSIDE], coalescing=coalescing),
            self.network.add_host(
                "server", self.server, [SERVER], accept=True, coalescing=coalescing
            ),
        )
        config = replace(client, wall_clock=clock, observer=witnesses[0])
        host = self.hosts[0]
        self.client.connection = host.track(
            host.endpoint.open(config, SERVER, 0, self.network.clock.now)
        )
        self.watchers.watch(witnesses[0], host, self.client.connection)
        host.drive()

    @property
    def now(self) -> float:
        """The virtual time."""
        return self.network.clock.now

    def call(self, name: str, arguments: Iterable[int]) -> None:
        """Apply a rule by its name; the last argument is the pause after it."""
        *values, pause = arguments
        if name == "wait":
            self._pass(_WAITS[pause])
            return
        getattr(self, f"rule_{name}")(*values)
        self._drive()
        self._pass(PAUSES[pause])

    # -- rules of the applications

    def rule_open(self, who: int, unidirectional: int) -> None:
        """Open a stream of either kind."""
        side = self.sides[who]
        if self._acts(who):
            side.open(not unidirectional)

    def rule_write(self, who: int, pick: int, size: int) -> None:
        """Write to a stream, opening one if there is none: nothing, a little, a window, more."""
        side = self.sides[who]
        half = side.writing(pick)
        if half is None and self._acts(who):
            side.open(bool(pick % 2))
            half = side.writing(pick)
        if half is not None and self._acts(who):
            window = self.plan.stream_window
            total = self.plan.connection_window
            sizes = (0, 1, 100, 1200, 5000, window - 1, window, total + 1, 3 * total)
            side.write(half, sizes[size])

    def rule_read(self, who: int, pick: int, limit: int) -> None:
        """Read once, so many bytes at most."""
        side = self.sides[who]
        half = side.reading(pick)
        if half is not None and self._acts(who):
            side.read(half, _READS[limit])

    def rule_finish(self, who: int, pick: int) -> None:
        """End a stream."""
        half = self.sides[who].writing(pick)
        if half is not None and self._acts(who):
            self.sides[who].finish(half)

    def rule_reset(self, who: int, pick: int, code: int) -> None:
        """Give up writing a stream."""
        half = self.sides[who].writing(pick)
        if half is not None and self._acts(who):
            self.sides[who].reset(half, code)

    def rule_stop(self, who: int, pick: int, code: int) -> None:
        """Give up reading a stream."""
        half = self.sides[who].reading(pick)
        if half is not None and self._acts(who):
            self.sides[who].stop(half, 100 + code)

    def rule_datagrams(self, who: int, count: int, size: int) -> None:
        """Send datagrams: empty, small, the largest, one byte too large, soon worthless."""
        side = self.sides[who]
        if self._acts(who):
            limit = side.use().max_datagram_size()
            deadline = self.now + 0.05 if size == 5 else inf
            sizes = (0, 8, 100, max(0, limit - 1), limit, limit + 1)
            side.send_datagrams(1 + 3 * count, sizes[size], deadline)

    def rule_read_datagrams(self, who: int, limit: int) -> None:
        """Take a few datagrams."""
        if self._acts(who):
            self.sides[who].read_datagrams(limit)

    def rule_reader(self, who: int, eager: int) -> None:
        """Read everything from now on, or only when a rule says so."""
        self.sides[who].eager = bool(eager)
        if eager and self._acts(who):
            self._catch_up(who)

    def rule_application(self, who: int, runs: int) -> None:
        """Take notice of events again, or no longer."""
        side = self.sides[who]
        if not runs:
            side.paused = True
        elif side.paused:
            side.go_on()

    def rule_update_keys(self, who: int, twice: int) -> None:
        """Update the keys, and try to once more at once."""
        side = self.sides[who]
        if self._acts(who):
            started = side.use().update_keys(self.now)
            side.expect(
                not started or side.use().handshake_confirmed,
                CALLS,
                "keys updated before confirmation",
            )
            if twice:
                again = side.use().update_keys(self.now)
                side.expect(not again, CALLS, "keys updated twice at one instant (RFC 9001 6.1)")

    def rule_ping(self, who: int) -> None:
        """Ask the peer for a sign of life."""
        if self._acts(who):
            self.sides[who].use().ping(self.now)

    def rule_close(self, who: int, code: int) -> None:
        """``who`` 2 means both at once."""
        for index in (0, 1):
            if who in (index, 2) and self.sides[index].connection is not None:
                self.sides[index].close(code + 7 * index, self.now)

    # -- rules of the wire

    def rule_drop(self, direction: int, count: int) -> None:
        """Lose the next datagrams of a direction."""
        self._fates(direction, count, Fate("drop"))

    def rule_duplicate(self, direction: int, count: int, delay: int) -> None:
        """Send the next datagrams twice."""
        self._fates(direction, count, Fate("duplicate", delay=_DELAYS[delay]))

    def rule_delay(self, direction: int, count: int, delay: int) -> None:
        """Hold the next datagrams back, so that later ones overtake."""
        self._fates(direction, count, Fate("delay", delay=_DELAYS[delay]))

    def rule_corrupt(self, direction: int, count: int, where: int) -> None:
        """Flip a bit in each of the next datagrams."""
        self._fates(direction, count, Fate("corrupt", where))

    def rule_truncate(self, direction: int, count: int, where: int) -> None:
        """Cut the next datagrams short."""
        self._fates(direction, count, Fate("truncate", where))

    def rule_replay(self, direction: int, pick: int, spoofed: int) -> None:
        """Send an old datagram once more, also in somebody else's name."""
        self.wire.replay(direction, pick, bool(spoofed))

    def rule_rebind(self, new_host: int) -> None:
        """Have the NAT choose another port, or another address."""
        self.wire.rebind(bool(new_host))

    def rule_link_down(self, which: int, duration: int) -> None:
        """Take one link or both down for a while."""
        links = self.wire.links if which == 2 else self.wire.links[which : which + 1]
        for link in links:
            link.up = False
        self._pass(_OUTAGES[duration])
        for link in links:
            link.up = True

    def rule_profile(self, which: int, profile: int) -> None:
        """Make another kind of link of one or both."""
        for direction in (TO_SERVER, TO_CLIENT):
            if which in (direction, 2):
                self.wire.become(direction, PROFILES[profile])

    def rule_socket(self, who: int, writable: int) -> None:
        """Block a side's socket, or let it send again."""
        if writable:
            self.wire.meddlers[who].unblock(self.now)
        else:
            self.wire.meddlers[who].block()
        change = LocalChange(WRITABLE if writable else BLOCKED)
        self.hosts[who].endpoint.on_local(0, change, self.now)

    # -- the end

    def finish(self) -> None:
        """Heal the line, and see everything delivered, closed and forgotten."""
        self._heal()
        self._until(self._delivered, "not everything is delivered")
        if self._living():
            self._finish_streams()
            self._until(self._streams_over, "not all streams came to their end")
            self._until(self._at_rest, "something is still under way")
        self._close()
        self._late_datagrams()
        self.watchers.finish(list(self.hosts))

    def _heal(self) -> None:
        self.wire.heal()
        self.reasons.healed_at = self.now
        for who, side in enumerate(self.sides):
            self.rule_socket(who, 1)
            side.eager = True
            if side.paused:
                side.go_on()
            if side.active:
                self._catch_up(who)
                # The server learns of a rebinding, and each side that the line is back.
                side.use().ping(self.now)
        self._drive()

    def _catch_up(self, who: int) -> None:
        """Read what the side was told of, and nothing else: a missing event must show."""
        side = self.sides[who]
        for half in list(self.model.halves[1 - who].values()):
            if half.unread and not half.over:
                side.read_all(half)
        if side.datagrams_promised:
            side.read_datagrams(1000)

    def _delivered(self) -> bool:
        for side in self.sides:
            if not side.complete or side.use().undelivered():
                return False
        return all(
            half.given_up or (half.read == half.written and not half.backlog)
            for half in self._halves()
        )

    def _finish_streams(self) -> None:
        for who, side in enumerate(self.sides):
            side.finishing = True
            for stream_id in list(side.known):
                half = self.model.halves[who].get(stream_id)
                if half is not None and not half.finished and half.reset_code is None:
                    side.finish(half)
        self._drive()

    def _streams_over(self) -> bool:
        if not all(half.over or half.given_up for half in self._halves()):
            return False
        return all(
            side.use().state.streams.live() == 0 and not side.use().undelivered()
            for side in self.sides
        )

    def _at_rest(self) -> bool:
        client, server = self.client.use(), self.server.use()
        return (
            self._streams_over()
            and client.path_stats()[0].bytes_in_flight == 0
            and server.path_stats()[0].bytes_in_flight == 0
            and client.state.streams.opened() == server.state.streams.opened()
        )

    def _close(self) -> None:
        for who in (0, 1):
            if self.sides[who].active:
                self.rule_close(who, 1)
                break
        self._drive()
        self.network.clock.run_until(self.now + self._patience(), self._closed)
        if not self._closed():
            self._breach(NOTHING_LEFT, f"the connections are not over: {self._story()}")
        for side in self.sides:
            if side.connection is not None:
                side.check_closed()

    def _late_datagrams(self) -> None:
        """Old datagrams after the end bring nothing back, and replies come to an end."""
        before = self.wire.passed()
        for direction in (TO_SERVER, TO_CLIENT):
            for pick in _LATE:
                self.wire.replay(direction, pick, bool(pick % 2))
        self._pass(_REST)
        replies = self.wire.passed() - before
        if replies > 2 * len(_LATE) * _LONGEST_ECHO:
            self._breach(NOTHING_LEFT, f"a few late datagrams were answered with {replies}")
        for side, host in zip(self.sides, self.hosts, strict=True):
            left = host.endpoint.connections() or host.endpoint.deadline() < inf
            side.expect(not left, NOTHING_LEFT, "something is left long after the end")

    # -- within

    def _acts(self, who: int) -> bool:
        """Whether an application can do something at all."""
        side = self.sides[who]
        return side.active and not side.paused

    def _halves(self) -> list[Half]:
        return [half for halves in self.model.halves for half in halves.values()]

    def _fates(self, direction: int, count: int, fate: Fate) -> None:
        self.wire.meddlers[direction].fates.extend([fate] * (1 + 2 * count))

    def _drive(self) -> None:
        for side, host in zip(self.sides, self.hosts, strict=True):
            if side.connection is not None:
                host.endpoint.touch(side.connection)
            host.drive()

    def _pass(self, seconds: float) -> None:
        if seconds:
            self.network.clock.run_until(self.now + seconds)

    def _until(self, done: Callable[[], bool], what: str) -> None:
        """Run until ``done``, or until a connection has ended for one of the allowed reasons."""
        limit = self.now + self._patience()
        self.network.clock.run_until(limit, lambda: done() or not self._living())
        if self._living() and not done() and not self.reasons.astray():
            halves = "; ".join(str(half) for half in self._halves() if not half.over)
            self._breach(LIVENESS, f"on a healed line: {what}: {halves}")

    def _patience(self) -> float:
        """How long things may take on a healed line: an ACK that came late makes the RTT, and
        with it all timeouts, very long."""
        timeouts = [side.use().state.probe_timeout() for side in self.sides if side.connection]
        return _PATIENCE + 6 * max(timeouts)

    def _breach(self, law: str, what: str) -> None:
        raise Violation(law, "both", self.now, what)

    def _living(self) -> bool:
        # A server that was not reached yet may still be.
        return self.client.active and (self.server.connection is None or self.server.active)

    def _closed(self) -> bool:
        return all(side.connection is None or side.connection.closed for side in self.sides)

    def _story(self) -> str:
        return "; ".join(
            f"{side.name} {side.connection.close_error!r}"
            for side in self.sides
            if side.connection is not None
        )


def play(plan: Plan, calls: Iterable[Call]) -> Machine:
    """Play a list of calls from the start to the end. Raises ``Violation``."""
    machine = Machine(plan)
    for name, *arguments in calls:
        machine.call(name, arguments)
    machine.finish()
    return machine
