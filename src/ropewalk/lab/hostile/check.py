"""A check: what is bent, for which victim, and what has to become of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ropewalk.lab.hostile.outcome import Outcome, Unmet, require
from ropewalk.lab.hostile.scene import CLIENT, SERVER, Scene, StreamIds
from ropewalk.quic.types.handshake import ONE_RTT
from ropewalk.sim.invariants import Violation
from ropewalk.sim.network import Network

#: Plays the bending peer's part.
Story = Callable[[Scene], None]
BOTH = (SERVER, CLIENT)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One rule and one way of breaking it.

    ``name`` is stable: tests, scenarios and the conformance matrix refer to it. ``section``
    is the RFC's. ``h3spec`` is the number of the check in h3spec's list of transport errors
    that this one stands for, from 1.
    """

    name: str
    section: str
    victim: str
    about: str
    story: Story
    outcome: Outcome
    h3spec: int | None = None

    @property
    def id(self) -> str:
        """Name and victim."""
        return f"{self.name}@{self.victim}"


@dataclass(frozen=True)
class CheckResult:
    """How a check went. ``seen`` is in words; ``virtual_seconds`` is what the story took."""

    id: str
    passed: bool
    expected: str
    seen: str
    virtual_seconds: float


def run_check(check: Check, seed: int = 1, network: Network | None = None) -> CheckResult:
    """Play a check's story and see what becomes of the victim, and of the bystander.

    An exception inside the victim's endpoint is raised, not reported, and so is a
    :class:`~ropewalk.sim.invariants.Violation` by the victim or the bystander. ``network`` is
    for a caller who wants to count or trace what happens: an empty one of the same seed.
    """
    scene = Scene(check.victim, seed, network)
    try:
        check.story(scene)
        seen = check.outcome.verify(scene)
        require(scene.bystander_is_unharmed(), "another connection of the endpoint was harmed")
        scene.watchers.finish(scene.network.hosts)
    except Violation:
        raise
    except AssertionError as error:
        return CheckResult(check.id, False, str(check.outcome), str(error), scene.now)
    return CheckResult(check.id, True, str(check.outcome), seen, scene.now)


# -- ways of writing checks down

#: A payload, or what makes one of the victim's stream IDs.
Payload = bytes | Callable[[StreamIds], bytes]


def checks(
    name: str,
    section: str,
    about: str,
    story: Story,
    outcome: Outcome,
    *,
    victims: Iterable[str] = BOTH,
    h3spec: int | None = None,
) -> list[Check]:
    """The check for each victim. ``h3spec`` goes to the server's: that is whom h3spec tests."""
    return [
        Check(
            name=name,
            section=section,
            victim=victim,
            about=about,
            story=story,
            outcome=outcome,
            h3spec=h3spec if victim == SERVER else None,
        )
        for victim in victims
    ]


def sends(payload: Payload, level: int = ONE_RTT) -> Story:
    """The story of one packet of ``level`` with these frames."""

    def story(scene: Scene) -> None:
        scene.reach(level)
        scene.bend(payload if isinstance(payload, bytes) else payload(scene.ids), level)

    return story


__all__ = [
    "BOTH",
    "CLIENT",
    "SERVER",
    "Check",
    "CheckResult",
    "Payload",
    "Story",
    "Unmet",
    "checks",
    "run_check",
    "sends",
]
