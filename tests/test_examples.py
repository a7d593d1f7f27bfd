"""The examples run as they are printed, and stay short."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
BOUND = 60.0


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_fits_on_a_screen(example: Path) -> None:
    assert len(example.read_text().splitlines()) <= 30


def test_echo_prints_what_it_sent() -> None:
    ended = subprocess.run(
        [sys.executable, str(EXAMPLES / "echo.py")],
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=True,
    )
    assert ended.stdout == "A strand alone is weak; laid together they hold.\n"


def test_a_file_is_transferred(tmp_path: Path) -> None:
    program = [sys.executable, str(EXAMPLES / "file_transfer.py")]
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.write_bytes(bytes(range(256)) * 4000)
    with subprocess.Popen(
        [*program, "serve", str(original)], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            port, pin = server.stdout.readline().split()
            subprocess.run([*program, "fetch", port, pin, str(copy)], timeout=BOUND, check=True)
        finally:
            server.kill()
    assert copy.read_bytes() == original.read_bytes()


def test_datagrams_come_back() -> None:
    ended = subprocess.run(
        [sys.executable, str(EXAMPLES / "datagram_ping.py")],
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=True,
    )
    lines = ended.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"ping {number}" for number in range(5)]
    assert all(line.endswith(" µs") for line in lines)


def test_a_folder_is_served_and_fetched_over_http3(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>a page")
    with subprocess.Popen(
        [sys.executable, str(EXAMPLES / "file_server.py"), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            port, pin = server.stdout.readline().split()
            ended = subprocess.run(
                [
                    *(sys.executable, str(EXAMPLES / "http3_client.py"), port, pin),
                    *("/page.html", "/whoami", "/missing"),
                ],
                capture_output=True,
                text=True,
                timeout=BOUND,
                check=True,
            )
        finally:
            server.kill()
    answers = {line.split()[2]: line.split()[:2] for line in ended.stdout.splitlines()}
    assert answers["/page.html"] == ["200", "9"]
    assert answers["/whoami"][0] == "200"
    assert answers["/missing"][0] == "404"


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_the_client_that_the_readme_prints_talks_to_the_server_that_it_names(
    tmp_path: Path,
) -> None:
    readme = (EXAMPLES.parent / "README.md").read_text()
    assert "examples/echo.py serve" in readme
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    # Port 4433 may be taken on the machine that runs the tests.
    port = str(free_port())
    programs = {"client.py": code, "echo.py": (EXAMPLES / "echo.py").read_text()}
    for name, text in programs.items():
        assert "4433" in text
        (tmp_path / name).write_text(text.replace("4433", port))
    with subprocess.Popen(
        [sys.executable, "echo.py", "serve"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            assert f"127.0.0.1:{port}" in server.stdout.readline()
            ended = subprocess.run(
                [sys.executable, "client.py"],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=BOUND,
                check=True,
            )
        finally:
            server.kill()
    assert ended.stdout == "b'hello'\n"
