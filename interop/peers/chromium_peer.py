"""Headless Chromium as a client: load one page over QUIC, ask the browser how it came.

The page (``interop/page.py``) reads ``nextHopProtocol`` of every resource inside the browser
and leaves the sums in its document; this prints them as one JSON line. With ``--screenshot``
a picture is taken by the same browser run.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

_FACTS = re.compile(r'<script type="application/json" id="facts">(.*?)</script>', re.DOTALL)


def command(arguments: argparse.Namespace, profile: str) -> list[str]:
    """The browser's command line."""
    # QUIC cannot be forced on an IPv6 literal, only on a name; so there is always a name.
    origin = f"localhost:{arguments.port}"
    words = [
        arguments.chromium,
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-extensions",
        "--disable-sync",
        "--no-first-run",
        "--no-proxy-server",
        "--hide-scrollbars",
        "--window-size=940,420",
        f"--user-data-dir={profile}",
        f"--host-resolver-rules=MAP localhost {arguments.host}",
        f"--origin-to-force-quic-on={origin}",
        f"--ignore-certificate-errors-spki-list={arguments.spki}",
        f"--virtual-time-budget={int(arguments.timeout * 500)}",
        "--dump-dom",
    ]
    if arguments.net_log:
        words.append(f"--log-net-log={arguments.net_log}")
    if arguments.screenshot:
        words.append(f"--screenshot={Path(arguments.screenshot).resolve()}")
    if os.geteuid() == 0:
        words.append("--no-sandbox")  # the sandbox refuses to start for root
    return [*words, f"https://{origin}{arguments.path}"]


def main() -> int:
    """Command line of the runner."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chromium", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/page.html")
    parser.add_argument("--spki", required=True, help="base64 of SHA-256 of the public key")
    parser.add_argument("--screenshot", default="")
    parser.add_argument("--net-log", default="")
    parser.add_argument("--timeout", type=float, default=60.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(
        prefix="ropewalk-chromium-", ignore_cleanup_errors=True
    ) as profile:
        # A session of its own, so that the helpers of the browser can be ended with it.
        browser = subprocess.Popen(  # noqa: S603 - the command is our own
            command(arguments, profile),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        try:
            said, complained = browser.communicate(timeout=arguments.timeout)
        except subprocess.TimeoutExpired:
            print(f"the browser was not done after {arguments.timeout:g} s", flush=True)
            return 1
        finally:
            if browser.poll() is None:
                os.killpg(browser.pid, signal.SIGKILL)
                browser.wait()
    found = _FACTS.search(said)
    if found is None or not found.group(1).strip():
        shown = re.search(r"ERR_[A-Z0-9_]+", said)
        print(shown.group(0) if shown else said[-400:] or complained[-400:], flush=True)
        return 1
    print(json.dumps(json.loads(html.unescape(found.group(1)))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
