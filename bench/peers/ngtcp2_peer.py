"""ngtcp2's side of the benchmark: Debian's example programs on GnuTLS, which speak HTTP/3.

This program starts them and tells of them as the others tell of themselves. A client's figures
are those of its whole process less those of one that fetches nothing, so that neither its start
nor its handshake count. ``GET /NUMBER`` is the example server's own way to so many bytes.
"""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path

from side import HOST, IDLE_SECONDS, WINDOW, Clock, arguments, say

SERVER, CLIENT = "/usr/sbin/gtlsserver", "/usr/bin/gtlsclient"
_GROUP = "-GROUP-ALL:+GROUP-X25519"
_CIPHERS = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM"
_LARGEST_ANSWER = 8 << 30


def _common(given: Namespace) -> list[str]:
    words = [f"--max-data={WINDOW}", f"--max-window={WINDOW}", f"--max-stream-window={WINDOW}"]
    words += [f"--max-stream-data-bidi-local={WINDOW}", f"--max-stream-data-bidi-remote={WINDOW}"]
    words += ["--no-pmtud", f"--max-udp-payload-size={given.mtu}", f"--ciphers={_CIPHERS}"]
    return [*words, f"--groups={_GROUP}", f"--timeout={IDLE_SECONDS:.0f}s"]


def run_server(given: Namespace) -> None:
    """Listen until the runner ends this process."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    words = [SERVER, "-q", *_common(given), f"--max-dyn-length={_LARGEST_ANSWER}"]
    words += [f"--max-streams-bidi={given.parallel}"] if given.work == "requests" else []
    with tempfile.TemporaryDirectory() as empty:
        words += ["-d", empty, HOST, str(port), given.key, given.certificate]
        server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - Debian's
        signal.signal(signal.SIGTERM, lambda *_: server.terminate())
        clock = Clock()
        _wait_for(port)
        say(port=port)
        server.wait()
    facts = clock.facts()
    say(packets=0, **{**facts, "cpu": _children()})


def _wait_for(port: int) -> None:
    """Until somebody listens there; the program itself says nothing."""
    end = time.monotonic() + 5.0
    wanted = f":{port:04X} "
    while time.monotonic() < end:
        if wanted in Path("/proc/net/udp").read_text():
            return
        time.sleep(0.01)


def run_client(given: Namespace) -> None:
    """Do the work, and tell of it."""
    empty = _fetch(given, 0, 1)
    if given.work == "requests":
        whole = _fetch(given, given.answer, given.count)
        done = {"done": given.count}
    elif given.work == "download":
        whole = _fetch(given, given.count, 1)
        done = {"received": given.count}
    else:
        with tempfile.NamedTemporaryFile() as body:
            body.truncate(given.count)  # a hole: zeros that no disk has to read
            whole = _fetch(given, 0, 1, body.name)
        done = {"received": 0}
    seconds, cpu = (max(1e-9, much - little) for much, little in zip(whole, empty, strict=True))
    say(packets=0, seconds=seconds, cpu=cpu, **done)


def _fetch(given: Namespace, size: int, requests: int, body: str = "") -> tuple[float, float]:
    """Wall and CPU time of one client process."""
    words = [CLIENT, "-q", *_common(given), "--exit-on-all-streams-close", "-n", str(requests)]
    words += ["-d", body, "-m", "POST"] if body else []
    words += [HOST, str(given.port), f"https://localhost:{given.port}/{size}"]
    began, before = time.perf_counter(), _children()
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)  # noqa: S603 - Debian's
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        sys.exit(f"gtlsclient: {done.stderr.decode('utf-8', 'replace')[-300:]}")
    return seconds, _children() - before


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Command line of the runner."""
    given = arguments(__doc__)
    if given.role == "server":
        run_server(given)
    else:
        run_client(given)


if __name__ == "__main__":
    main()
