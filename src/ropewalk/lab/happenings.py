"""Has the things happen that a scenario plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import final

from ropewalk.lab.interruptions import Profiles, Switch
from ropewalk.lab.limits import Side
from ropewalk.lab.profiles import change_profile
from ropewalk.lab.scenario import (
    ChangeProfile,
    Close,
    DropDatagrams,
    Happening,
    InterfaceDown,
    KeyUpdate,
    LinkDown,
    LinkUp,
    OfConnection,
    PauseReading,
    Ping,
    RebindAddress,
    RebindPort,
    ResetStream,
    ResumeReading,
    StopStream,
)
from ropewalk.lab.stage import Stage
from ropewalk.lab.traffic.client import ClientApplication
from ropewalk.lab.traffic.records import ConnectionRecord, FlowRecord, act
from ropewalk.lab.traffic.server import ServerApplication
from ropewalk.quic.connection import Connection
from ropewalk.quic.types.errors import ConfigurationError, StreamError
from ropewalk.sim.host import Host


@final
class Director:
    """Plans happenings on the network's clock."""

    def __init__(
        self,
        stage: Stage,
        connections: Mapping[str, ConnectionRecord],
        flows: Mapping[str, FlowRecord],
    ) -> None:
        self._stage = stage
        self._connections = connections
        self._flows = flows
        #: by the name of a link's direction, or of an interface ("phone:1")
        self._switches: dict[str, Switch] = {}
        self._profiles: dict[str, Profiles] = {}

    def plan(self, happening: Happening) -> None:
        """Have it happen at its time. Raises ``ConfigurationError`` for names nobody has."""
        self._check(happening)
        if happening.since:
            self._connection(happening.since).when_confirmed.append(
                lambda: self._in(happening.at, lambda: self._do(happening))
            )
        else:
            self._at(happening.at, lambda: self._do(happening))

    def _check(self, happening: Happening) -> None:
        stage = self._stage
        if isinstance(happening, (LinkDown, LinkUp, ChangeProfile, DropDatagrams)):
            names = stage.ways(happening.link, happening.way)
            if isinstance(happening, ChangeProfile):
                for name in names:
                    change_profile(stage.link(name).profile, happening.profile, "profile")
        elif isinstance(happening, InterfaceDown):
            stage.check_interface(happening.host, happening.interface)
        elif isinstance(happening, RebindPort):
            stage.nat(happening.nat)
        elif isinstance(happening, RebindAddress):
            stage.nat(happening.nat)
            stage.check_outside(happening.nat, happening.outside)
        elif isinstance(happening, OfConnection):
            self._connection(happening.flow)
            if isinstance(happening, (ResetStream, StopStream)):
                self._check_stream(happening.flow, happening.stream)

    def _check_stream(self, flow: str, stream: int) -> None:
        spec = self._flow(flow).spec
        # Requests that go on for a duration have as many streams as there is time for.
        unbounded = 0 if spec.count else stream + 1
        streams = {"bulk": spec.streams, "requests": spec.count or unbounded, "messages": 1}
        known = streams.get(spec.kind, 0)
        if stream >= known:
            raise ConfigurationError(f"stream is {stream}; flow {flow} has {known}, counted from 0")

    def _do(self, happening: Happening) -> None:
        if isinstance(happening, (LinkDown, LinkUp, ChangeProfile, DropDatagrams)):
            self._do_to_link(happening)
        elif isinstance(happening, InterfaceDown):
            self._interface_down(happening)
        elif isinstance(happening, RebindPort):
            self._stage.nat(happening.nat).rebind_port()
        elif isinstance(happening, RebindAddress):
            self._stage.rebind_address(happening.nat, happening.outside)
        elif isinstance(happening, PauseReading):
            self._pause(happening)
        elif isinstance(happening, ResumeReading):
            self._resume(happening.flow, happening.side)
        else:
            self._do_to_connection(happening)

    # -- links

    def _do_to_link(self, happening: Happening) -> None:
        if isinstance(happening, DropDatagrams):
            self._stage.gate(happening.link, happening.way).drop(happening)
        elif isinstance(happening, LinkUp):
            for name in self._stage.ways(happening.link, happening.way):
                self._switch(name).raise_all()
        elif isinstance(happening, LinkDown):
            for name in self._stage.ways(happening.link, happening.way):
                self._for_a_while(happening.lasting, self._switch(name).hold_down())
        elif isinstance(happening, ChangeProfile):
            where = f"happenings: {happening.link}.profile"
            for name in self._stage.ways(happening.link, happening.way):
                end = self._profiles_of(name).change(happening.profile, where)
                self._for_a_while(happening.lasting, end)

    def _switch(self, name: str) -> Switch:
        link = self._stage.link(name)

        def set_up(up: bool) -> None:
            link.up = up

        return self._switches.setdefault(name, Switch(set_up))

    def _profiles_of(self, name: str) -> Profiles:
        return self._profiles.setdefault(name, Profiles(self._stage.link(name)))

    def _interface_down(self, happening: InterfaceDown) -> None:
        host, number = self._stage.host(happening.host), happening.interface

        def set_up(up: bool) -> None:
            host.set_interface(number, up)

        switch = self._switches.setdefault(f"{happening.host}:{number}", Switch(set_up))
        self._for_a_while(happening.lasting, switch.hold_down())

    def _for_a_while(self, seconds: float, end: Callable[[], None]) -> None:
        """End something after so many seconds, or (0) never."""
        if seconds > 0.0:
            self._in(seconds, end)

    # -- connections

    def _do_to_connection(self, happening: Happening) -> None:
        if isinstance(happening, OfConnection):
            host, connection = self._connection(happening.flow).end(happening.side)
            if host is not None and connection is not None and connection.active:
                here, there = host, connection
                act(here, there, lambda: self._act(happening, here, there))

    def _act(self, happening: Happening, host: Host, connection: Connection) -> None:
        if isinstance(happening, KeyUpdate):
            connection.update_keys(host.now)
        elif isinstance(happening, Ping):
            connection.ping(host.now)
        elif isinstance(happening, Close):
            connection.close(happening.code, "as planned", host.now)
        elif isinstance(happening, (ResetStream, StopStream)):
            streams = self._flow(happening.flow).streams
            if happening.stream >= len(streams):
                return
            stream_id = streams[happening.stream]
            try:
                if isinstance(happening, ResetStream):
                    connection.reset(stream_id, happening.code)
                    self._flow(happening.flow).lack(f"stream {stream_id} was reset as planned")
                else:
                    connection.stop(stream_id, happening.code)
                    self._stopped(host, connection, stream_id)
            except StreamError:
                return  # too late: the stream is over

    def _stopped(self, host: Host, connection: Connection, stream_id: int) -> None:
        application = host.application
        if isinstance(application, ClientApplication):
            application.connections[id(connection)].flow_of[stream_id].give_up_reading(stream_id)
        elif isinstance(application, ServerApplication):
            application.connections[id(connection)].give_up_reading(stream_id)

    def _pause(self, happening: PauseReading) -> None:
        self._flow(happening.flow).paused[happening.side] = True
        if happening.lasting > 0.0:
            self._in(happening.lasting, lambda: self._resume(happening.flow, happening.side))

    def _resume(self, flow: str, side: Side) -> None:
        record = self._flow(flow)
        record.paused[side] = False
        waiting = record.unread[side]
        record.unread[side] = []
        host, connection = self._connection(flow).end(side)
        if host is None or connection is None:
            return
        application = host.application

        def read() -> None:
            for stream_id in waiting:
                if isinstance(application, ClientApplication):
                    application.connections[id(connection)].flow_of[stream_id].read(stream_id)
                elif isinstance(application, ServerApplication):
                    application.connections[id(connection)].read(stream_id)

        act(host, connection, read)

    # -- names and times

    def _connection(self, flow: str) -> ConnectionRecord:
        self._flow(flow)
        return self._connections[flow]

    def _flow(self, name: str) -> FlowRecord:
        if name not in self._flows:
            raise ConfigurationError(
                f"there is no flow {name!r}; there are: {', '.join(self._flows) or 'none'}"
            )
        return self._flows[name]

    def _at(self, when: float, action: Callable[[], None]) -> None:
        self._stage.network.clock.at(when, action)

    def _in(self, delay: float, action: Callable[[], None]) -> None:
        self._stage.network.clock.after(delay, action)
