"""The table of checks is whole, and a check that ought to fail does."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

from ropewalk.lab.hostile import CHECKS, Check, Scene, frames, run_check
from ropewalk.lab.hostile.check import checks, sends
from ropewalk.lab.hostile.checks import TOPICS
from ropewalk.lab.hostile.outcome import Closes, Connects, Ends, Holds, Silence, Survives, require
from ropewalk.quic.types.error_codes import FLOW_CONTROL_ERROR, PROTOCOL_VIOLATION
from ropewalk.quic.types.errors import StatelessReset


def find(check_id: str) -> Check:
    """One check by its ID."""
    return next(check for check in CHECKS if check.id == check_id)


def test_ids_are_unique_and_stable_in_form() -> None:
    counts = Counter(check.id for check in CHECKS)
    assert [name for name, count in counts.items() if count > 1] == []
    for check in CHECKS:
        assert re.fullmatch(r"[a-z0-9-]+(\.[0-9]+)?@(server|client)", check.id), check.id


def test_every_check_names_its_section_and_what_is_bent() -> None:
    for check in CHECKS:
        assert re.fullmatch(r"RFC \d{4} \d+(\.\d+)*", check.section), check
        assert check.about
        assert str(check.outcome)


def test_all_34_transport_checks_of_h3spec_are_there() -> None:
    numbers = Counter(check.h3spec for check in CHECKS if check.h3spec is not None)
    assert numbers == Counter(range(1, 35))
    assert all(check.victim == "server" for check in CHECKS if check.h3spec is not None)


def test_both_rfcs_are_covered_from_end_to_end() -> None:
    sections = {check.section for check in CHECKS}
    for section in ("4.1", "5.1.1", "6.2", "7.3", "8.1", "9.3", "10.3", "12.4", "14.1", "19.15"):
        assert any(one.startswith(f"RFC 9000 {section}") for one in sections), section
    for section in ("4.1.3", "4.9.1", "5.7", "5.8", "6.4", "6.6", "8.1", "8.2", "8.3", "8.4"):
        assert f"RFC 9001 {section}" in sections, section
    assert sum(len(topic) for topic in TOPICS.values()) == len(CHECKS) > 700


def test_a_victim_that_does_something_else_fails_the_check() -> None:
    wrong: list[tuple[str, Closes | Survives | Connects | Ends | Silence, str]] = [
        (
            "stream-data-beyond-the-stream-window@server",
            Closes((PROTOCOL_VIOLATION,)),
            "FLOW_CONTROL_ERROR",
        ),
        (
            "stream-data-beyond-the-stream-window@client",
            Closes((FLOW_CONTROL_ERROR,), 0x08),
            "for frame type 14",
        ),
        ("stream-data-beyond-the-stream-window@server", Survives(), "a PING was not acknowledged"),
        ("stream-data-up-to-the-window@server", Closes((1,)), "no CONNECTION_CLOSE came"),
        ("stream-data-up-to-the-window@server", Survives(processed=False), "was acknowledged"),
        ("fixed-bit-0-in-1-rtt@client", Survives(processed=True), "was not acknowledged"),
        ("alpn-missing@server", Connects(), "the handshake was not confirmed"),
        ("unknown-parameters@server", Silence(), "datagrams came back"),
        ("guessed-reset-tokens@client", Ends(StatelessReset), "it is active"),
    ]
    for check_id, outcome, words in wrong:
        result = run_check(replace(find(check_id), outcome=outcome))
        assert not result.passed, check_id
        assert words in result.seen, (check_id, result.seen)


def test_a_story_that_requires_what_does_not_hold_fails_the_check() -> None:
    def story(scene: Scene) -> None:
        scene.connect()
        require(scene.now > 1000, "it is early")

    (check,) = checks("early", "RFC 9000 1", "", story, Holds("is late"), victims=("server",))
    result = run_check(check)
    assert not result.passed
    assert result.seen == "it is early"


def test_harm_to_the_bystander_fails_the_check() -> None:
    def story(scene: Scene) -> None:
        scene.connect()
        assert scene.bystander is not None
        scene.bystander.close(1, "pushed over", scene.now)

    for check in checks("push", "RFC 9000 1", "", story, Survives()):
        result = run_check(check)
        assert not result.passed
        assert result.seen == "another connection of the endpoint was harmed"


def test_a_check_goes_the_same_way_twice_and_with_any_seed() -> None:
    for check_id in ("spoofed-move-is-undone@server", "second-retry@client", "ping-flood@client"):
        check = find(check_id)
        assert run_check(check, 7) == run_check(check, 7)
        assert all(run_check(check, seed).passed for seed in range(2, 8))


def test_two_scenes_of_one_seed_give_the_same_bytes() -> None:
    def play(seed: int) -> str:
        scene = Scene("server", seed)
        scene.connect()
        scene.peer.send(frames.ack(1000))
        scene.peer.expect_close()
        return scene.network.trace()

    assert play(3) == play(3)
    assert play(3) != play(4)


def test_one_frame_makes_a_check() -> None:
    both = checks("poison", "RFC 9000 12.4", "", sends(frames.unknown(0x21)), Closes((0x07,), 0x21))
    assert [check.victim for check in both] == ["server", "client"]
    assert all(run_check(check).passed for check in both)
