"""The cases of the matrix: who plays which part, and what must be seen for a pass."""

from __future__ import annotations

import hashlib
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from discovery import HERE, WORK, Peer
from processes import Child

#: ``PEER``: the peer breaks a rule in a way that is known, and breaks it with others too.
PASSED, FAILED, NOT_RUN, PEER = "passed", "failed", "not run", "peer's"

_TRANSFER = 10_000_000
_CHACHA20 = 0x1303
_READY_SECONDS = 15.0
_H3_NO_ERROR = 0x100


class CaseFailed(Exception):
    """What was seen is not what the case demands."""


@dataclass(frozen=True)
class Case:
    """One line of the matrix. ``our_role`` is "client" or "server"."""

    name: str
    our_role: str
    #: options of our side and of the peer's, as command-line words
    ours: tuple[str, ...] = ()
    peer: tuple[str, ...] = ()
    #: values that our side's facts must have
    expect: dict[str, object] = field(default_factory=dict)
    download: int = 0
    upload: int = 0
    seconds: float = 60.0


@dataclass
class Result:
    """What became of one case with one peer."""

    peer: str
    version: str
    case: str
    our_role: str
    outcome: str
    detail: str = ""
    seconds: float = 0.0
    #: the day it was run, and who was on the other side
    date: str = ""
    against: str = "ropewalk"


def _both(name: str, **named: object) -> list[Case]:
    return [Case(name, role, **named) for role in ("client", "server")]  # type: ignore[arg-type]


#: aioquic and qh3, over raw streams.
RAW_CASES: list[Case] = [
    *_both("handshake and clean close"),
    *_both("download of 10 MB", download=_TRANSFER),
    *_both("upload of 10 MB", upload=_TRANSFER),
    *_both(
        "chacha20",
        ours=("--chacha20",),
        peer=("--chacha20",),
        expect={"cipher_suite": _CHACHA20},
        download=100_000,
    ),
    *_both("hello-retry-request"),
    Case("retry", "client", peer=("--retry",), expect={"retried": True}, download=100_000),
    Case("retry", "server", ours=("--retry",), expect={"retried": True}, download=100_000),
    Case(
        "key update by us", "client", ours=("--key-update",), download=1_000_000, upload=1_000_000
    ),
    Case("key update by the peer", "server", peer=("--key-update",), download=1_000_000),
]

_GNUTLS_GROUP = {"P-256": "SECP256R1", "P-384": "SECP384R1"}


def _gnutls_groups(*names: str) -> str:
    return "--groups=-GROUP-ALL:" + ":".join(f"+GROUP-{_GNUTLS_GROUP[name]}" for name in names)


_GNUTLS_CHACHA20 = (
    "--ciphers=NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+CHACHA20-POLY1305:+AES-128-GCM"
)

#: ngtcp2's examples: HTTP/3 only. Their request and control streams must arrive intact.
H3_CASES: list[Case] = [
    *_both("handshake, streams and clean close"),
    *_both("download of 10 MB", download=_TRANSFER),
    Case("upload of 10 MB", "server", upload=_TRANSFER),
    Case(
        "chacha20",
        "client",
        ours=("--chacha20",),
        peer=(_GNUTLS_CHACHA20,),
        expect={"cipher_suite": _CHACHA20},
    ),
    Case(
        "chacha20",
        "server",
        ours=("--chacha20",),
        peer=(_GNUTLS_CHACHA20,),
        expect={"cipher_suite": _CHACHA20},
    ),
    # We offer a share of X25519 only, the server takes P-256 only: without
    # HelloRetryRequest there is no way to agree.
    Case(
        "hello-retry-request",
        "client",
        ours=("--groups", "X25519,P-256", "--key-shares", "X25519"),
        peer=(_gnutls_groups("P-256"),),
        expect={"group": "P-256"},
    ),
    # gtlsclient sends shares of P-256 and X25519, and only lists P-384.
    Case(
        "hello-retry-request",
        "server",
        ours=("--groups", "P-384"),
        expect={"group": "P-384"},
    ),
    Case("retry", "client", peer=("--validate-addr",), expect={"retried": True}),
    Case("retry", "server", ours=("--retry",), expect={"retried": True}),
    Case("key update by us", "client", ours=("--key-update",), download=1_000_000),
    Case("key update by us", "server", ours=("--key-update",), download=1_000_000),
]


def cases_of(peer: str) -> list[Case]:
    """The lines that a peer has in the matrix."""
    return H3_CASES if peer == "ngtcp2" else RAW_CASES


class Arena:
    """What all cases share: our Python, certificates, patterned files."""

    def __init__(self, python: Path, certificate: Path, key: Path, ca: Path) -> None:
        self.python = python
        self.certificate = certificate
        self.key = key
        self.ca = ca
        self.files = WORK / "files"

    def run(self, case: Case, peer: Peer) -> Result:
        """Play one case and judge it. Never raises for what a peer does."""
        result = Result(peer.name, peer.version, case.name, case.our_role, NOT_RUN)
        reason = peer.missing or peer.cannot.get(case.name, "")
        if reason:
            result.detail = reason
            return result
        play: Callable[[Case, Peer, int], str]
        if peer.name == "ngtcp2":
            play = self._ngtcp2_serves if case.our_role == "client" else self._ngtcp2_asks
        else:
            play = self._peer_serves if case.our_role == "client" else self._peer_asks
        began = time.monotonic()
        try:
            result.detail = play(case, peer, free_port())
            result.outcome = PASSED
        except CaseFailed as failure:
            result.detail = str(failure)
            result.outcome = FAILED
        result.seconds = time.monotonic() - began
        return result

    # -- command lines

    def _ours(self, part: str, case: Case, port: int) -> list[str | Path]:
        command: list[str | Path] = [self.python, HERE / "ours.py", part, "--port", str(port)]
        if part.endswith("server"):
            command += ["--certificate", self.certificate, "--key", self.key]
        else:
            command += ["--ca", self.ca]
        return [*command, *_sizes(case), *case.ours, "--timeout", str(case.seconds)]

    def _python_peer(self, role: str, case: Case, peer: Peer, port: int) -> list[str | Path]:
        command: list[str | Path] = [
            peer.programs["python"],
            HERE / "peers" / "raw_peer.py",
            peer.name,
            role,
            "--port",
            str(port),
        ]
        if role == "server":
            command += ["--certificate", self.certificate, "--key", self.key]
        else:
            command += ["--ca", self.ca]
        return [*command, *_sizes(case), *case.peer, "--timeout", str(case.seconds)]

    # -- aioquic and qh3

    def _peer_serves(self, case: Case, peer: Peer, port: int) -> str:
        with Child(self._python_peer("server", case, peer, port)) as server:
            if not server.wait_for("READY", _READY_SECONDS):
                raise CaseFailed(f"{peer.name} did not start to listen: {server.tail()}")
            with Child(self._ours("raw-client", case, port)) as client:
                _demand_exit(client, "our client", case.seconds)
                _demand_facts(client, "our client", {"confirmed": True, "closed": True})
                _demand_facts(client, "our client", case.expect)
                _demand_transfer(client, "our client", case)
                _demand_key_update(client, "our client", case.ours)
            if not server.wait_for("close_code", 10.0):
                raise CaseFailed(f"{peer.name} never saw the connection end: {server.tail()}")
            _demand_facts(server, peer.name, {"close_code": 0, "close_frame_type": None})
            return _numbers(client)

    def _peer_asks(self, case: Case, peer: Peer, port: int) -> str:
        with Child(self._ours("raw-server", case, port)) as server:
            if not server.wait_for("READY", _READY_SECONDS):
                raise CaseFailed(f"our server did not start to listen: {server.tail()}")
            with Child(self._python_peer("client", case, peer, port)) as client:
                _demand_exit(client, peer.name, case.seconds)
                _demand_facts(client, peer.name, {"closed": True})
                _demand_transfer(client, peer.name, case)
            _demand_exit(server, "our server", 15.0)
            clean = {"confirmed": True, "ended": True, "failure": "", "close_code": 0}
            _demand_facts(server, "our server", clean)
            _demand_facts(server, "our server", case.expect)
            _demand_key_update(server, "our server", case.peer)
            return _numbers(server)

    # -- ngtcp2

    def _ngtcp2_serves(self, case: Case, peer: Peer, port: int) -> str:
        size = case.download or 1000
        name = f"pattern-{size}"
        command: list[str | Path] = [peer.programs["server"], "-q", "-d", self.files, *case.peer]
        command += ["127.0.0.1", str(port), self.key, self.certificate]
        content = self._file(size)
        with Child(command) as server:
            time.sleep(0.5)  # it says nothing when it is ready
            if not server.running:
                raise CaseFailed(f"gtlsserver did not start: {server.tail()}")
            ours = [*self._ours("h3-client", case, port), "--path", name]
            with Child(ours) as client:
                _demand_exit(client, "our client", case.seconds)
                facts = {"confirmed": True, "closed": True, "stream_kinds": [0, 2, 3]}
                _demand_facts(client, "our client", facts)
                answer = {"answer_frames": [1, 0], "body": size, "sha256": _sha256(content)}
                _demand_facts(client, "our client", answer)
                _demand_facts(client, "our client", case.expect)
                _demand_key_update(client, "our client", case.ours)
            return _numbers(client)

    def _ngtcp2_asks(self, case: Case, peer: Peer, port: int) -> str:
        received = WORK / "received"
        received.mkdir(exist_ok=True)
        (received / "answer").unlink(missing_ok=True)
        command: list[str | Path] = [
            peer.programs["client"],
            "--no-quic-dump",
            "--no-http-dump",
            *case.peer,
        ]
        command += ["--exit-on-all-streams-close", "--download", received]
        sent = b""
        if case.upload:
            self._file(case.upload)
            sent = (self.files / f"pattern-{case.upload}").read_bytes()
            command += ["-m", "POST", "-d", self.files / f"pattern-{case.upload}"]
        command += ["127.0.0.1", str(port), "https://localhost/answer"]
        with Child(self._ours("h3-server", case, port)) as server:
            if not server.wait_for("READY", _READY_SECONDS):
                raise CaseFailed(f"our server did not start to listen: {server.tail()}")
            with Child(command) as client:
                _demand_exit(client, "gtlsclient", case.seconds)
                if not client.wait_for("QUIC handshake has been confirmed", 0.1) and (
                    not case.download and not case.upload  # the log is cut off in long cases
                ):
                    raise CaseFailed(f"gtlsclient saw no confirmation: {client.tail()}")
                if case.name == "hello-retry-request":
                    _demand_second_hello(client)
            _demand_exit(server, "our server", 15.0)
            clean = {
                "confirmed": True,
                "ended": True,
                "failure": "",
                "close_code": _H3_NO_ERROR,
                "stream_kinds": [0, 2, 3],
                "request_frames": [1, 0] if sent else [1],
                "body": len(sent),
                "sha256": _sha256(sent),
            }
            _demand_facts(server, "our server", clean)
            _demand_facts(server, "our server", case.expect)
            _demand_key_update(server, "our server", case.ours)
            if case.download:
                content = (received / "answer").read_bytes()
                if content != self._pattern(case.download):
                    raise CaseFailed(f"gtlsclient saved {len(content)} bytes that differ")
            return _numbers(server)

    def _pattern(self, size: int) -> bytes:
        peers = str(HERE / "peers")
        if peers not in sys.path:
            sys.path.insert(0, peers)
        from pattern import pattern

        return pattern(size)

    def _file(self, size: int) -> bytes:
        """A patterned file for gtlsserver to serve and gtlsclient to send."""
        self.files.mkdir(parents=True, exist_ok=True)
        content = self._pattern(size)
        path = self.files / f"pattern-{size}"
        if not path.exists() or path.stat().st_size != size:
            path.write_bytes(content)
        return content


def free_port() -> int:
    """A UDP port of the loopback that nobody uses just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _sizes(case: Case) -> list[str]:
    return ["--download", str(case.download), "--upload", str(case.upload)]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _demand_exit(child: Child, who: str, seconds: float) -> None:
    code = child.wait(seconds)
    if code is None:
        raise CaseFailed(f"{who} was not done after {seconds:g} s: {child.tail()}")
    if code != 0:
        raise CaseFailed(f"{who} ended with exit code {code}: {child.tail()}")


def _demand_facts(child: Child, who: str, wanted: dict[str, object]) -> None:
    seen = child.facts()
    for name, value in wanted.items():
        if seen.get(name, "nothing") != value:
            raise CaseFailed(
                f"{who} says {name} = {seen.get(name, 'nothing')!r}, not {value!r}: {child.tail()}"
            )


def _demand_transfer(child: Child, who: str, case: Case) -> None:
    for name, size in (("downloaded", case.download), ("uploaded", case.upload)):
        if size:
            _demand_facts(child, who, {name: size, "intact": True})
    if '"intact": false' in "\n".join(child.lines):
        raise CaseFailed(f"{who} received bytes that differ")


def _demand_key_update(child: Child, who: str, words: tuple[str, ...]) -> None:
    updates = child.facts().get("key_updates", 0)
    if "--key-update" in words and not (isinstance(updates, int) and updates > 0):
        raise CaseFailed(f"{who} counted {updates} key updates")


def _demand_second_hello(client: Child) -> None:
    """gtlsclient's log must show a second ClientHello: CRYPTO of a later offset."""
    for line in client.lines:
        if "frm tx" in line and "Initial CRYPTO" in line and "offset=0 " not in line:
            return
    raise CaseFailed(f"gtlsclient sent no second ClientHello: {client.tail()}")


def _numbers(child: Child) -> str:
    facts = child.facts()
    words = [str(facts.get("group", ""))]
    suite = facts.get("cipher_suite")
    if isinstance(suite, int):
        words.append({0x1301: "AES-128-GCM", 0x1302: "AES-256-GCM"}.get(suite, "ChaCha20"))
    return ", ".join(word for word in words if word)
