"""The HTTP/3 cases: any server, any client, through a bad network where the case wants one."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from cases import FAILED, NOT_RUN, PASSED, PEER, CaseFailed, Result, free_port
from discovery import HERE
from page import IMAGES, RESOURCES, SCRIPTS, STYLES, write_page
from processes import Child
from report import KEPT_SCREENSHOT
from stacks import (
    SCREENSHOT,
    Asked,
    Chromium,
    Ground,
    Ropewalk,
    RopewalkCommands,
    Stack,
    Want,
    Words,
)

sys.path.insert(0, str(HERE / "peers"))
from pattern import pattern

_SMALL, _MEDIUM, _LARGE = 1000, 1_000_000, 10_000_000
_WINDOW = 16384
_PLAIN = Want()
_CHACHA20 = 0x1303
_READY_SECONDS = 15.0
_SEED = "3"
_PAGE = {
    "page_protocol": "h3",
    "resources": RESOURCES,
    "protocols": {"h3": RESOURCES},
    "drawn": IMAGES,
    "styled": STYLES,
    "run": SCRIPTS,
}


@dataclass(frozen=True)
class HttpCase:
    """One line of the HTTP/3 part. ``ours`` and ``peer`` add to what the sides want."""

    name: str
    asked: Asked
    server: Want = _PLAIN
    client: Want = _PLAIN
    ours: Want = _PLAIN
    peer: Want = _PLAIN
    #: what our connection must be like
    expect: dict[str, object] = field(default_factory=dict)
    #: words for the relay, and the counts of it that must not be zero
    relay: tuple[str, ...] = ()
    suffered: tuple[str, ...] = ()
    #: a browser can play it by loading a page instead
    page: bool = False
    #: played with the commands ``ropewalk serve`` and ``ropewalk get``
    commands: bool = False
    seconds: float = 60.0


def _get(size: int, count: int = 1, parallel: int = 1) -> Asked:
    return Asked(f"/pattern-{size}", size, count=count, parallel=parallel)


def _post(size: int) -> Asked:
    return Asked("/post", method="POST", upload=size)


HTTP_CASES: list[HttpCase] = [
    HttpCase("GET", _get(_SMALL), page=True),
    HttpCase("HEAD", replace(_get(_SMALL), method="HEAD")),
    HttpCase("POST of 1 MB", _post(_MEDIUM)),
    HttpCase("GET of 10 MB", _get(_LARGE)),
    HttpCase("500 small streams", _get(_SMALL, count=500, parallel=100)),
    HttpCase("`ropewalk get`, `ropewalk serve`, 10 MB", _get(_LARGE), page=True, commands=True),
    # No client here sends a share of P-384 unasked.
    HttpCase(
        "hello-retry-request",
        _get(_SMALL),
        server=Want(group="P-384"),
        expect={"group": "P-384"},
        page=True,
    ),
    HttpCase(
        "chacha20",
        _get(_SMALL),
        ours=Want(chacha20=True),
        expect={"cipher_suite": _CHACHA20},
        page=True,
    ),
    HttpCase("retry", _get(_SMALL), server=Want(retry=True), expect={"retried": True}, page=True),
    HttpCase("key update by us", _get(_LARGE), ours=Want(key_update=True), page=True),
    HttpCase("key update by the peer", _get(_LARGE), peer=Want(key_update=True)),
    HttpCase("version negotiation", _get(_SMALL), peer=Want(other_version=True)),
    HttpCase("IPv6", _get(_SMALL), server=Want(ipv6=True), client=Want(ipv6=True), page=True),
    HttpCase("small windows, 1 MB down", _get(_MEDIUM), client=Want(window=_WINDOW)),
    HttpCase("small windows, 1 MB up", _post(_MEDIUM), server=Want(window=_WINDOW)),
    HttpCase("loss of 2 %", _get(_MEDIUM), relay=("--loss", "0.02"), suffered=("lost",), page=True),
    HttpCase(
        "corruption of 2 %",
        _get(_MEDIUM),
        relay=("--corruption", "0.02"),
        suffered=("corrupted",),
        page=True,
    ),
    HttpCase(
        "reordering of 5 %, duplication of 2 %",
        _get(_MEDIUM),
        relay=("--reordering", "0.05", "--duplication", "0.02"),
        suffered=("held", "doubled"),
        page=True,
    ),
]


#: (peer, its part, case) -> what the peer then says, and why that is its own doing. Each is seen
#: with another server as well (``run.py --among-peers``); anything else said is a failure.
_PEERS_FAULTS = {
    ("aioquic", "client", "HEAD"): (
        "content-length does not match data size",
        "it counts the body of an answer to HEAD, which has none (RFC 9110 9.3.2)",
    ),
}


def http_cases_of(stack: Stack) -> list[HttpCase]:
    """The lines that a stack has in the matrix."""
    if isinstance(stack, Chromium):
        return [case for case in HTTP_CASES if case.page]
    return HTTP_CASES


def _merged(first: Want, second: Want) -> Want:
    names = {**{n: getattr(first, n) for n in first.names()}}
    names |= {n: getattr(second, n) for n in second.names()}
    return Want(**names)


class HttpArena:
    """Plays the cases between two stacks."""

    def __init__(self, ground: Ground, ours: Stack, commands: RopewalkCommands) -> None:
        self.ground = ground
        self.ours = ours
        self.commands = commands
        write_page(ground.files)

    def with_us(self, case: HttpCase, stack: Stack, our_role: str) -> Result:
        """Ropewalk on one side, ``stack`` on the other."""
        ours: Stack = self.commands if case.commands else self.ours
        server, client = (stack, ours) if our_role == "client" else (ours, stack)
        result = self.play(case, server, client)
        result.peer, result.version, result.our_role = stack.name, stack.peer.version, our_role
        if case.commands and isinstance(stack, Chromium) and result.outcome == PASSED:
            shutil.copy(SCREENSHOT, KEPT_SCREENSHOT)
        return result

    def between(self, case: HttpCase, stack: Stack, other: Stack, role: str) -> Result:
        """``other`` in Ropewalk's place and ``role``."""
        server, client = (stack, other) if role == "client" else (other, stack)
        result = self.play(case, server, client)
        result.peer, result.version, result.our_role = stack.name, stack.peer.version, role
        result.against = other.name
        return result

    def play(self, case: HttpCase, server: Stack, client: Stack) -> Result:
        """Play and judge one case; what a peer does wrong is in the result."""
        result = Result(server.name, "", case.name, "", NOT_RUN)
        wants = self._wants(case, server, client)
        result.detail = self._why_not(case, server, client, wants)
        if result.detail:
            return result
        began = time.monotonic()
        try:
            result.detail = self._play(case, server, client, wants)
            result.outcome = PASSED
        except CaseFailed as failure:
            result.detail, result.outcome = str(failure), FAILED
            for part, stack in (("server", server), ("client", client)):
                sign, why = _PEERS_FAULTS.get((stack.name, part, case.name), ("", ""))
                if sign and sign in result.detail:
                    result.detail, result.outcome = why, PEER
        result.seconds = time.monotonic() - began
        return result

    def _wants(self, case: HttpCase, server: Stack, client: Stack) -> tuple[Want, Want]:
        def extra(stack: Stack) -> Want:
            return case.ours if _is_ours(stack) else case.peer

        return _merged(case.server, extra(server)), _merged(case.client, extra(client))

    def _why_not(
        self, case: HttpCase, server: Stack, client: Stack, wants: tuple[Want, Want]
    ) -> str:
        for stack, part, want in ((server, "server", wants[0]), (client, "client", wants[1])):
            reason = stack.peer.missing or stack.peer.cannot.get(case.name, "")
            reason = reason or stack.lacks(case.name, part, want)
            if reason:
                return reason
        if case.asked.upload and server.name == "ngtcp2":
            return "gtlsserver has nothing that takes a body"
        return ""

    def _play(self, case: HttpCase, server: Stack, client: Stack, wants: tuple[Want, Want]) -> str:
        asked = self._asked(case, client)
        for size in (asked.size, asked.upload):
            if size:
                self._file(size)
        port = door = free_port()
        host = wants[0].host
        with ExitStack() as stack:
            serving = Child(server.serve(self.ground, port, wants[0], case.seconds + 30))
            stack.enter_context(serving)
            _demand_listening(serving, server)
            relay: Child | None = None
            if case.relay:
                door = free_port()
                relay = stack.enter_context(Child(_relay(case, host, door, port)))
                if not relay.wait_for("READY", _READY_SECONDS):
                    raise CaseFailed(f"the relay did not start: {relay.tail()}")
            asking = Child(client.ask(self.ground, door, asked, wants[1], case.seconds))
            stack.enter_context(asking)
            if case.name == "version negotiation":
                return _judge_versions(asking, server, client, case.seconds)
            code = asking.wait(case.seconds)
            if code is None:
                raise CaseFailed(f"{client.name} was not done in time: {asking.tail()}")
            if code != 0:
                raise CaseFailed(f"{client.name} ended with exit code {code}: {asking.tail()}")
            seen = client.seen(asking, self.ground, asked)
            self._judge(seen, client, asked)
            our_facts = self._our_facts(case, serving, server, seen, client)
            if relay is not None:
                _judge_relay(relay, case)
            return our_facts

    def _asked(self, case: HttpCase, client: Stack) -> Asked:
        return Asked("/page.html") if isinstance(client, Chromium) else case.asked

    def _file(self, size: int) -> None:
        path = self.ground.files / f"pattern-{size}"
        if not path.exists() or path.stat().st_size != size:
            path.write_bytes(pattern(size))

    def _judge(self, seen: dict[str, object], client: Stack, asked: Asked) -> None:
        if isinstance(client, Chromium):
            _demand(seen, client.name, _PAGE)
            return
        protocol = seen.get("protocol")
        if protocol not in ("h3", "HTTP/3", "HTTP/3.0"):
            raise CaseFailed(f"{client.name} says it spoke {protocol}")
        _demand(seen, client.name, {"status": 200, "completed": asked.count, "alike": True})
        if asked.upload:
            sent = _digest(self.ground.files / f"pattern-{asked.upload}")
            if sent not in (seen.get("body"), seen.get("sha256")):
                raise CaseFailed(f"{client.name} got {seen.get('body')!r} for what it sent")
        elif asked.method == "HEAD":
            _demand(seen, client.name, {"bytes": 0})
            length = str(seen.get("content_length"))
            if length != str(asked.size):
                raise CaseFailed(f"{client.name} saw content-length {length}")
        elif asked.count == 1 or "sha256" in seen:
            if client.name == "ngtcp2" and asked.count > 1:
                return  # it saves no file then
            whole = {"bytes": asked.size, "sha256": _digest(self.ground.files / asked.path[1:])}
            _demand(seen, client.name, whole)

    def _our_facts(
        self, case: HttpCase, serving: Child, server: Stack, seen: dict[str, object], client: Stack
    ) -> str:
        """Check our side, and tell what its connection was like."""
        if isinstance(server, Ropewalk):
            if not case.relay:  # where packets are lost, so may be the client's close
                if not serving.wait_for('"ended"', 10.0):
                    raise CaseFailed(f"our server never saw the end: {serving.tail()}")
                if "the peer closed" not in str(serving.facts().get("why")):
                    raise CaseFailed(f"our server says: {serving.facts().get('why')}")
                _demand_requests(serving, case.asked.count)
            found = serving.facts()
        elif isinstance(client, Ropewalk):
            found = seen
            _demand(found, "our client", {"closed": True, "error": None})
        else:
            return "" if not isinstance(client, Chromium) else f"{RESOURCES} of {RESOURCES} h3"
        _demand(found, "our side", {"confirmed": True, **case.expect})
        updates = found.get("key_updates")
        if "key update" in case.name and not (isinstance(updates, int) and updates > 0):
            raise CaseFailed(f"our side counted {updates} key updates")
        return _words(found)


def _is_ours(stack: Stack) -> bool:
    return isinstance(stack, (Ropewalk, RopewalkCommands))


def _relay(case: HttpCase, host: str, door: int, port: int) -> Words:
    words: Words = [sys.executable, HERE / "relay.py", "--host", host, "--port", str(door)]
    words += ["--server-port", str(port), "--seed", _SEED, *case.relay]
    return [*words, "--seconds", str(case.seconds + 30)]


def _demand_listening(serving: Child, server: Stack) -> None:
    if not server.ready:
        time.sleep(0.5)
        if not serving.running:
            raise CaseFailed(f"{server.name} did not start: {serving.tail()}")
    elif not serving.wait_for(server.ready, _READY_SECONDS):
        raise CaseFailed(f"{server.name} did not start to listen: {serving.tail()}")


def _judge_versions(asking: Child, server: Stack, client: Stack, seconds: float) -> str:
    """One side begins with a version that the other does not speak."""
    code = asking.wait(seconds)
    said = "\n".join(asking.lines)
    if _is_ours(client):
        # RFC 9000 6.2: a client with version 1 only gives the attempt up, and says why.
        offered = f"0x{server.other_version:08x}"
        if code == 0 or "VersionMismatch" not in said or offered not in said:
            raise CaseFailed(f"our client did not tell of {offered}: {asking.tail()}")
        return f"offered {offered}; we give up, and say so"
    if client.goes_on:
        if code != 0:
            raise CaseFailed(f"{client.name} ended with exit code {code}: {asking.tail()}")
        return "goes on with version 1"
    if code == 0 or "version" not in said.lower():
        raise CaseFailed(f"{client.name} saw no Version Negotiation: {asking.tail()}")
    return "it gives up, as it must without version 1"


def _judge_relay(relay: Child, case: HttpCase) -> None:
    relay.end()
    counts = relay.facts().get("relay")
    for name in case.suffered:
        if not isinstance(counts, dict) or not counts.get(name):
            raise CaseFailed(f"the relay did nothing: {counts}")


def _demand(seen: dict[str, object], who: str, wanted: dict[str, object]) -> None:
    for name, value in wanted.items():
        if seen.get(name, "nothing") != value:
            raise CaseFailed(f"{who} says {name} = {seen.get(name, 'nothing')!r}, not {value!r}")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _demand_requests(serving: Child, count: int) -> None:
    """All requests came to us: over one connection or, with curl, over a few."""
    limit = time.monotonic() + 5.0
    while True:
        told = [json.loads(line) for line in serving.lines if '"ended"' in line]
        total = sum(one["requests"] for one in told)
        if total >= count:
            return
        if time.monotonic() > limit:
            raise CaseFailed(f"our server saw {total} requests, not {count}")
        time.sleep(0.05)


def _words(found: dict[str, object]) -> str:
    suite = found.get("cipher_suite")
    words = [str(found.get("group", ""))]
    if isinstance(suite, int):
        words.append({0x1301: "AES-128-GCM", 0x1302: "AES-256-GCM"}.get(suite, "ChaCha20"))
    return ", ".join(word for word in words if word)
