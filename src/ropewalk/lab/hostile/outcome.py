"""What has to become of a victim: the outcomes that checks ask for."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.lab.hostile.scene import Scene
from ropewalk.quic.types.error_codes import transport_error_name
from ropewalk.quic.types.errors import ApplicationError, ConnectionLost, TransportError
from ropewalk.quic.wire.frame_types import frame_name

#: What a handshake may take when packets have to be repeated, in seconds.
_HANDSHAKE_TIME = 5.0


class Unmet(AssertionError):
    """The victim did something else than what was asked for."""


def require(condition: object, otherwise: str) -> None:
    """Raise :class:`Unmet` with these words unless the condition holds."""
    if not condition:
        raise Unmet(otherwise)


class Outcome:
    """One way a story may end."""

    def verify(self, scene: Scene) -> str:
        """What was seen, in words. Raises :class:`Unmet` when it is something else."""
        raise NotImplementedError


@dataclass(frozen=True)
class Closes(Outcome):
    """The victim closes with one of these codes, naming this frame type unless it is None."""

    codes: tuple[int, ...]
    frame_type: int | None = None

    def __str__(self) -> str:
        text = "closes with " + " or ".join(transport_error_name(code) for code in self.codes)
        if self.frame_type is not None:
            text += f" for {frame_name(self.frame_type)}"
        return text

    def verify(self, scene: Scene) -> str:
        """A CONNECTION_CLOSE arrives at the peer, and the victim's own record agrees."""
        try:
            closure = scene.peer.expect_close()
        except AssertionError as silence:
            raise Unmet(f"{silence}; the victim says: {_state(scene)}") from None
        seen = f"closed with {transport_error_name(closure.code)}: {closure.reason!r}"
        require(closure.frame_type is not None, f"{seen}, as an application would")
        require(closure.code in self.codes, seen)
        if self.frame_type is not None:
            named = f"{seen}, for frame type {closure.frame_type}"
            require(closure.frame_type == self.frame_type, named)
        if scene.victim is not None:
            error = scene.victim.close_error
            require(isinstance(error, TransportError), f"{seen}, but reports {error!r}")
            assert isinstance(error, TransportError)
            require(error.code == closure.code, f"{seen}, but reports {error!r}")
            require(not error.from_peer, f"{seen}, but blames the peer for closing")
        return seen


def alert(*numbers: int) -> Closes:
    """The victim closes with CRYPTO_ERROR of one of these TLS alerts (RFC 9001 4.8)."""
    return Closes(tuple(0x100 + number for number in numbers))


@dataclass(frozen=True)
class Survives(Outcome):
    """The connection goes on.

    ``processed`` tells whether the packets that matter have to be acknowledged (True: their
    frames are ignored), must not be (False: they are dropped), or may be either (None).
    """

    processed: bool | None = None

    def __str__(self) -> str:
        return {True: "is ignored", False: "is dropped", None: "changes nothing"}[self.processed]

    def verify(self, scene: Scene) -> str:
        """A PING is still acknowledged."""
        victim = scene.the_victim()
        closures = scene.peer.inbox.closures
        require(not closures, f"the victim closed: {closures[:1]}")
        require(scene.peer.is_answered(), f"a PING was not acknowledged; {_state(scene)}")
        require(victim.active, f"the victim's connection has ended: {victim.close_error}")
        _require_processed(scene, self.processed)
        return str(self)


@dataclass(frozen=True)
class Connects(Outcome):
    """The handshake is completed in spite of all, and data can be exchanged.

    ``processed`` is as for :class:`Survives`.
    """

    processed: bool | None = None

    def __str__(self) -> str:
        how = {True: "ignores it", False: "drops it", None: "is not impressed"}[self.processed]
        return f"{how} and completes the handshake"

    def verify(self, scene: Scene) -> str:
        """Confirmed on both sides, and a PING is acknowledged."""
        scene.release()
        done = scene.clock.run_until(scene.now + _HANDSHAKE_TIME, scene.is_confirmed)
        require(done, f"the handshake was not confirmed; {_state(scene)}")
        require(scene.peer.is_answered(), f"a PING was not acknowledged; {_state(scene)}")
        _require_processed(scene, self.processed)
        return str(self)


@dataclass(frozen=True)
class Ends(Outcome):
    """The victim's connection ends with this error, and nothing is sent about it."""

    error: type[ConnectionLost]

    def __str__(self) -> str:
        return f"ends in silence with {self.error.__name__}"

    def verify(self, scene: Scene) -> str:
        """The error is there, and no further datagram comes."""
        victim = scene.the_victim()
        scene.run(0.1)
        require(isinstance(victim.close_error, self.error), f"the victim: {_state(scene)}")
        before = len(scene.peer.inbox.datagrams)
        scene.run(1.0)
        require(len(scene.peer.inbox.datagrams) == before, "datagrams came after the end")
        return str(self)


@dataclass(frozen=True)
class Silence(Outcome):
    """Nothing at all comes back, and there is no connection."""

    def __str__(self) -> str:
        return "is not answered"

    def verify(self, scene: Scene) -> str:
        """No datagram came."""
        scene.run(1.0)
        count = len(scene.peer.inbox.datagrams)
        require(count == 0, f"{count} datagrams came back")
        require(scene.victim is None, "a connection came to be")
        return str(self)


@dataclass(frozen=True)
class Holds(Outcome):
    """What the story itself required holds; it looked at counters, bounds or answers."""

    what: str

    def __str__(self) -> str:
        return self.what

    def verify(self, scene: Scene) -> str:
        """The story has seen to it."""
        return self.what


def _require_processed(scene: Scene, processed: bool | None) -> None:
    """The packets that matter were acknowledged, or were not."""
    for level, number in scene.bent if processed is not None else []:
        acknowledged = scene.peer.inbox.acknowledged(level, number)
        verb = "was" if acknowledged else "was not"
        require(acknowledged == processed, f"packet {number} {verb} acknowledged")


def _state(scene: Scene) -> str:
    victim = scene.victim
    if victim is None:
        return "there is no connection"
    error = victim.close_error
    if isinstance(error, ApplicationError):
        return f"closed by an application: {error}"
    return "it is active" if error is None else str(error)
