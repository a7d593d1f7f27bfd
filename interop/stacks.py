"""How each stack is started as an HTTP/3 server or client, and what it can be asked to do."""

from __future__ import annotations

import base64
import hashlib
import sys
from dataclasses import dataclass, fields
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from discovery import HERE, WORK, Peer
from processes import Child

PEERS_FOLDER = HERE / "peers"
#: Where Chromium leaves a picture of the page that it loaded last.
SCREENSHOT = WORK / "chromium.png"
#: A version that nobody has: of the form reserved to force negotiation (RFC 9000 15).
RESERVED_VERSION = 0x1A2A3A4A
#: QUIC version 2 (RFC 9369), and a draft's number that quinn still knows.
VERSION_2, DRAFT_29 = 0x6B3343CF, 0xFF00001D

Words = list[str | Path]


@dataclass(frozen=True)
class Want:
    """What a case asks of one side beyond serving or fetching."""

    window: int = 0
    retry: bool = False
    chacha20: bool = False
    group: str = ""
    key_update: bool = False
    #: a server speaks something else than version 1 only; a client begins with that
    other_version: bool = False
    #: the address is ::1
    ipv6: bool = False

    def names(self) -> list[str]:
        """The names of all that is asked for."""
        return [field.name for field in fields(self) if getattr(self, field.name)]

    @property
    def host(self) -> str:
        """The loopback address of the case."""
        return "::1" if self.ipv6 else "127.0.0.1"


@dataclass(frozen=True)
class Asked:
    """The requests of a case: one, or ``count`` alike."""

    path: str
    size: int = 0
    method: str = "GET"
    upload: int = 0
    count: int = 1
    parallel: int = 1


@dataclass(frozen=True)
class Ground:
    """Certificates and files of this run."""

    certificate: Path
    key: Path
    ca: Path
    files: Path = WORK / "files"

    def spki(self) -> str:
        """Chromium's name for the certificate's key."""
        key = x509.load_pem_x509_certificate(self.certificate.read_bytes()).public_key()
        told = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(hashlib.sha256(told).digest()).decode()


class Stack:
    """One implementation. Sets below name the wants that each of its parts understands."""

    serves: frozenset[str] | None = None
    asks: frozenset[str] | None = None
    #: what the server prints when it listens; "" where it says nothing
    ready = "READY"
    #: this stack's other version, where it has one
    other_version = VERSION_2
    #: whether a client that meets Version Negotiation goes on with version 1
    goes_on = True

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.name = peer.name

    def serve(self, ground: Ground, port: int, want: Want, seconds: float) -> Words:
        """The server's command line."""
        raise NotImplementedError

    def ask(self, ground: Ground, port: int, asked: Asked, want: Want, seconds: float) -> Words:
        """The client's command line."""
        raise NotImplementedError

    def seen(self, client: Child, ground: Ground, asked: Asked) -> dict[str, object]:
        """What the client says it saw."""
        return client.facts()

    def lacks(self, case: str, part: str, want: Want) -> str:
        """Why this stack cannot play ``part`` ("server" or "client"); "" when it can."""
        can = self.serves if part == "server" else self.asks
        if can is None:
            return f"{self.name} has no {part}"
        for name in want.names():
            if name not in can:
                return f"{self.name}'s {part} has no switch for {name.replace('_', ' ')}"
        return ""


def _paired(ground: Ground, dashes: str = "--") -> Words:
    return [f"{dashes}certificate", ground.certificate, f"{dashes}key", ground.key]


def _request(ground: Ground, asked: Asked, dashes: str = "--") -> Words:
    words: Words = [f"{dashes}ca", ground.ca, f"{dashes}path", asked.path]
    words += [f"{dashes}method", asked.method]
    words += [f"{dashes}count", str(asked.count), f"{dashes}parallel", str(asked.parallel)]
    if asked.upload:
        words += [f"{dashes}upload", ground.files / f"pattern-{asked.upload}"]
    return words


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Ropewalk(Stack):
    """Ours: the command line where it suffices, else ``ours_http.py`` over the public API."""

    serves = frozenset({"window", "retry", "chacha20", "group", "key_update", "ipv6"})
    asks = frozenset({"window", "chacha20", "key_update", "ipv6"})

    def serve(self, ground: Ground, port: int, want: Want, seconds: float) -> Words:
        words: Words = [sys.executable, HERE / "ours_http.py", "serve", "--host", want.host]
        words += ["--port", str(port), *_paired(ground), "--root", ground.files]
        if want.retry:
            words += ["--retry"]
        return [*words, *self._common(want, seconds)]

    def ask(self, ground: Ground, port: int, asked: Asked, want: Want, seconds: float) -> Words:
        words: Words = [sys.executable, HERE / "ours_http.py", "get", "--host", want.host]
        words += ["--port", str(port), *_request(ground, asked)]
        return [*words, *self._common(want, seconds)]

    @staticmethod
    def _common(want: Want, seconds: float) -> Words:
        words: Words = ["--timeout", str(seconds)]
        if want.window:
            words += ["--window", str(want.window)]
        if want.chacha20:
            words += ["--chacha20"]
        if want.group:
            words += ["--groups", want.group]
        if want.key_update:
            words += ["--key-update"]
        return words


class RopewalkCommands(Stack):
    """Ours as a person meets it: ``ropewalk serve`` and ``ropewalk get --json``."""

    serves = frozenset({"ipv6"})
    asks = frozenset({"ipv6"})
    ready = "https://"

    def serve(self, ground: Ground, port: int, want: Want, seconds: float) -> Words:
        words: Words = [*self._program(), "serve", ground.files]
        words += ["--bind", _address(want.host, port)]
        return [*words, "--cert", ground.certificate, "--key", ground.key]

    def ask(self, ground: Ground, port: int, asked: Asked, want: Want, seconds: float) -> Words:
        url = f"https://{_address(want.host, port)}{asked.path}"
        urls = [f"{url}?n={number}" for number in range(asked.count)] if asked.count > 1 else [url]
        return [*self._program(), "get", *urls, "--ca", ground.ca, "--json", "-o", "/dev/null"]

    def seen(self, client: Child, ground: Ground, asked: Asked) -> dict[str, object]:
        found = client.facts()
        lines = [line for line in client.lines if line.startswith('{"url"')]
        return {**found, "completed": len(lines), "alike": True}

    def lacks(self, case: str, part: str, want: Want) -> str:
        name = "serve" if part == "server" else "get"
        if not commands_exist(name):
            return f"`ropewalk {name}` does not exist yet"
        return super().lacks(case, part, want)

    @staticmethod
    def _program() -> Words:
        beside = Path(sys.executable).with_name("ropewalk")
        if beside.exists():
            return [beside]
        return [sys.executable, "-c", "import sys; from ropewalk.cli import main; sys.exit(main())"]


def commands_exist(name: str) -> bool:
    """Whether the command line has this command in the build that runs."""
    import ropewalk.cli

    return (Path(ropewalk.cli.__file__).parent / f"{name}.py").exists()


class QuicGo(Stack):
    """``peers/quic_go``: quic-go as it is today."""

    # It starts key updates by itself: the first after 100 packets.
    serves = frozenset({"window", "retry", "group", "key_update", "other_version", "ipv6"})
    asks = frozenset({"window", "group", "key_update", "other_version", "ipv6"})

    def serve(self, ground: Ground, port: int, want: Want, seconds: float) -> Words:
        words: Words = [self.peer.programs["program"], "serve"]
        words += ["-listen", _address(want.host, port), *_paired(ground, "-")]
        words += ["-root", ground.files, *self._common(want)]
        return [*words, "-retry"] if want.retry else words

    def ask(self, ground: Ground, port: int, asked: Asked, want: Want, seconds: float) -> Words:
        words: Words = [self.peer.programs["program"], "get"]
        words += ["-connect", _address(want.host, port), *_request(ground, asked, "-")]
        return [*words, *self._common(want)]

    def _common(self, want: Want) -> Words:
        words: Words = []
        if want.window:
            words += ["-window", str(want.window)]
        if want.group:
            words += ["-group", want.group]
        if want.other_version:
            words += ["-version", str(self.other_version)]
        return words


class Quinn(Stack):
    """``peers/quinn``: quinn with h3."""

    # Its server updates keys by itself, the first time within 1000 packets.
    serves = frozenset({"window", "retry", "group", "key_update", "other_version", "ipv6"})
    asks = frozenset({"window", "group", "key_update", "other_version", "ipv6"})
    other_version = DRAFT_29
    goes_on = False

    def serve(self, ground: Ground, port: int, want: Want, seconds: float) -> Words:
        words: Words = [self.peer.programs["program"], "serve"]
        words += ["--listen", _address(want.host, port), *_paired(ground)]
        words += ["--root", ground.files, *self._common(want)]
        return [*words, "--retry"] if want.retry else words

    def ask(self, ground: Ground, port: int, asked: Asked, want: Want, seconds: float) -> Words:
        words: Words = [self.peer.programs["program"], "get"]
        words += ["--connect", _address(want.host, port), *_request(ground, asked)]
        if want.key_update:
            words += ["--key-update"]
        return [*words, *self._common(want)]

    def _common(self, want: Want) -> Words:
        words: Words = []
        if want.window:
            words += ["--window", str(want.window)]
        if want.group:
            words += ["--group", want.group]
        if want.other_version:
            words += ["--version", str(self.other_version)]
        return words


class Caddy(Stack):
    """Debian's caddy, with the quic-go of its day."""

    serves = frozenset({"ipv6"})
    ready = "serving initial configuration"

    def serve(self, ground: Ground, port: int, want: Want, seconds: float) -> Words:
        folder = WORK / "caddy" / "run"
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "Caddyfile"
        # A POST is answered with its own body: there is nothing in caddy that digests.
        config.write_text(
            f"{{\n\tadmin off\n\tauto_https off\n\tstorage file_system {folder}\n"
            "\tservers {\n\t\tprotocols h1 h2 h3\n\t}\n}\n"
            f"https://localhost:{port}, https://127.0.0.1:{port}, https://[::1]:{port} {{\n"
            f"\tbind {want.host}\n\ttls {ground.certificate} {ground.key}\n"
            f"\troot * {ground.files}\n\t@post method POST\n"
            '\trespond @post "{http.request.body}"\n\tfile_server\n}\n'
        )
        return [self.peer.programs["program"], "run", "--adapter", "caddyfile", "--config", config]


class PythonPeer(Stack):
    """aioquic and qh3, ``peers/http_peer.py``."""

    serves = frozenset({"window", "retry", "chacha20", "other_version", "ipv6"})
    asks = frozenset({"window", "chacha20", "key_update", "other_version", "ipv6"})

    def serve(self, ground: Ground, port: int, want: Want, seconds: float) -> Words:
        words = self._begin("serve", port, want, seconds)
        words += [*_paired(ground), "--root", ground.files]
        if want.other_version:
            words += ["--version", str(self.other_version)]
        return [*words, "--retry"] if want.retry else words

    def ask(self, ground: Ground, port: int, asked: Asked, want: Want, seconds: float) -> Words:
        words = self._begin("get", port, want, seconds)
        if want.other_version:
            words += ["--version", str(self.other_version)]
        return [*words, *_request(ground, asked)]

    def _begin(self, part: str, port: int, want: Want, seconds: float) -> Words:
        words: Words = [self.peer.programs["python"], PEERS_FOLDER / "http_peer.py", self.name]
        words += [part, "--host", want.host, "--port", str(port), "--timeout", str(seconds)]
        if want.window:
            words += ["--window", str(want.window)]
        for name in ("chacha20", "key_update"):
            if getattr(want, name):
                words += [f"--{name.replace('_', '-')}"]
        return words


class Curl(Stack):
    """curl_cffi, ``peers/curl_peer.py``."""

    asks = frozenset({"ipv6"})

    def ask(self, ground: Ground, port: int, asked: Asked, want: Want, seconds: float) -> Words:
        words: Words = [self.peer.programs["python"], PEERS_FOLDER / "curl_peer.py"]
        words += ["--host", want.host, "--port", str(port), "--timeout", str(seconds)]
        return [*words, *_request(ground, asked)]


class Chromium(Stack):
    """The browser, headless."""

    asks = frozenset({"ipv6"})

    def ask(self, ground: Ground, port: int, asked: Asked, want: Want, seconds: float) -> Words:
        words: Words = [sys.executable, PEERS_FOLDER / "chromium_peer.py"]
        words += ["--chromium", self.peer.programs["program"], "--spki", ground.spki()]
        host = "[::1]" if want.ipv6 else want.host
        words += ["--host", host, "--port", str(port), "--timeout", str(seconds)]
        return [*words, "--screenshot", SCREENSHOT]


class Ngtcp2(Stack):
    """Debian's examples of ngtcp2 on GnuTLS."""

    serves = frozenset({"window", "retry", "group", "ipv6"})
    asks = frozenset({"window", "key_update", "other_version", "ipv6"})
    ready = ""
    other_version = RESERVED_VERSION

    def serve(self, ground: Ground, port: int, want: Want, seconds: float) -> Words:
        words: Words = [self.peer.programs["server"], "-q", "-d", ground.files]
        if want.retry:
            words += ["--validate-addr"]
        if want.group:
            group = {"P-256": "SECP256R1", "P-384": "SECP384R1"}[want.group]
            words += [f"--groups=-GROUP-ALL:+GROUP-{group}"]
        words += self._windows(want, "remote")
        return [*words, want.host, str(port), ground.key, ground.certificate]

    def ask(self, ground: Ground, port: int, asked: Asked, want: Want, seconds: float) -> Words:
        received = WORK / "received"
        received.mkdir(exist_ok=True)
        (received / Path(asked.path).name).unlink(missing_ok=True)
        words: Words = [self.peer.programs["client"], "--no-quic-dump", "--no-http-dump"]
        words += ["--exit-on-all-streams-close", "-m", asked.method]
        if asked.count == 1:
            words += ["--download", received]
        else:
            words += ["-n", str(asked.count)]
        if asked.upload:
            words += ["-d", ground.files / f"pattern-{asked.upload}"]
        if want.key_update:
            words += ["--key-update=10ms"]
        if want.other_version:
            words += [f"--version={self.other_version:#x}", "--preferred-versions=v1"]
        words += self._windows(want, "local")
        return [*words, want.host, str(port), f"https://localhost:{port}{asked.path}"]

    @staticmethod
    def _windows(want: Want, side: str) -> Words:
        if not want.window:
            return []
        return [f"--max-data={want.window}", f"--max-stream-data-bidi-{side}={want.window}"]

    def seen(self, client: Child, ground: Ground, asked: Asked) -> dict[str, object]:
        saved = WORK / "received" / Path(asked.path).name
        content = saved.read_bytes() if asked.count == 1 and saved.exists() else b""
        found: dict[str, object] = {
            "protocol": "h3",
            "completed": asked.count,
            "alike": True,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "body": content[:80].decode("ascii", "replace"),
        }
        for line in client.lines:
            name, _, value = line.partition("[")[2].rstrip("]").partition(": ")
            if name == ":status":
                found["status"] = int(value)
            elif name == "content-length" and "content_length" not in found:
                found["content_length"] = value
        return found


_KINDS: dict[str, type[Stack]] = {
    "quic-go": QuicGo,
    "caddy": Caddy,
    "quinn": Quinn,
    "curl_cffi": Curl,
    "chromium": Chromium,
    "aioquic": PythonPeer,
    "qh3": PythonPeer,
    "ngtcp2": Ngtcp2,
}


def stack_of(peer: Peer) -> Stack:
    """The stack that a peer is."""
    return _KINDS[peer.name](peer)
