"""A headless Chromium, driven over its debugging pipe (no port, no further packages)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
#: Each takes 20 ms and more: no page of a test takes so long.
_MOST_LOOKS = 1500


class Browser:
    """One page in one browser. Use as a context manager."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        there, here = os.pipe()
        back, away = os.pipe()
        # Chromium reads commands from descriptor 3 and answers on 4. One that has the right
        # number already would be closed by the shell's own redirection, so it goes through a
        # higher one.
        command = (
            f"exec {CHROMIUM} --headless --no-sandbox --disable-gpu --no-first-run "
            "--hide-scrollbars "
            f"--remote-debugging-pipe --user-data-dir={profile} "
            f"about:blank 3<&{there} 4>&{away}"
        )
        self._process = subprocess.Popen(
            ["bash", "-c", command],
            pass_fds=(there, away),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(there)
        os.close(away)
        self._out = os.fdopen(here, "wb", buffering=0)
        self._in = os.fdopen(back, "rb", buffering=0)
        self._waiting = b""
        self._number = 0
        self._loaded = False
        self.errors: list[str] = []
        targets = self._call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        attached = self._call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        self.call("Page.enable")
        self.call("Runtime.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._out.close()
        self._in.close()

    def call(self, method: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol to the page."""
        return self._call(method, self._session, **parameters)

    def open(self, page: Path, width: int, height: int, fragment: str = "") -> None:
        """Show a page and wait until its charts are drawn."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        # Another fragment alone would not load the page again.
        self._go("about:blank")
        self._go(page.as_uri() + fragment)
        self.until("document.documentElement.classList.contains('drawn')")

    def until(self, condition: str) -> None:
        """Wait until an expression is true; a page that never gets there is a failure."""
        for _ in range(_MOST_LOOKS):
            if self.run(f"new Promise(done => setTimeout(() => done(Boolean({condition})), 20))"):
                return
        raise AssertionError(f"never true: {condition}; {self.errors}")

    def _go(self, address: str) -> None:
        self._loaded = False
        self.call("Page.navigate", url=address)
        while not self._loaded:
            self._watch(self._next())

    def run(self, script: str) -> Any:
        """The value of an expression, awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def _call(self, method: str, session: str = "", **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self._watch(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._waiting:
            piece = self._in.read(1 << 16)
            assert piece, "the browser has gone"
            self._waiting += piece
        message, _, self._waiting = self._waiting.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _watch(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Page.loadEventFired":
            self._loaded = True
        if event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(event["params"]["exceptionDetails"]["text"])
        if event.get("method") == "Runtime.consoleAPICalled" and (
            event["params"]["type"] == "error"
        ):
            self.errors.append(str(event["params"]["args"]))
