"""``ropewalk serve`` and ``ropewalk get`` as a user runs them: in processes of their own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropewalk.cli.serve import spki_hash
from ropewalk.runtime.certificates import make_authority, make_certificate

from .conftest import BOUND, run

_COMMAND = [sys.executable, "-c", "from ropewalk.cli import main; main(prog_name='ropewalk')"]


class Serving:
    """A ``ropewalk serve`` with what it printed."""

    def __init__(self, root: Path, *arguments: str) -> None:
        command = [*_COMMAND, "serve", str(root), "--bind", "127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("Ctrl-C"):
                break
        text = "\n".join(self.lines)
        found = re.search(r"at (https://\S+)", text)
        pin = re.search(r"hex +([0-9a-f]{64})", text)
        assert found is not None, text
        assert pin is not None, text
        self.url, self.pin = found[1], pin[1]

    def stop(self) -> str:
        """Interrupt it; what it had said on stderr."""
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=BOUND)
        assert self.process.returncode == 0, said
        return said


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    (root / "hello.txt").write_text("hello\n")
    (root / "large.bin").write_bytes(os.urandom(2_000_000))
    (root / "sub").mkdir()
    return root


@pytest.fixture(scope="module")
def serving(root: Path) -> Iterator[Serving]:
    serving = Serving(root)
    yield serving
    assert "Traceback" not in serving.stop()


def get(serving: Serving, path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("get", "--pin", serving.pin, *arguments, serving.url + path)


def test_the_printed_command_fetches(serving: Serving) -> None:
    (printed,) = [line for line in serving.lines if "ropewalk get" in line]
    words = shlex.split(printed)
    assert words[:2] == ["ropewalk", "get"]
    ended = run(*words[1:])
    assert ended.returncode == 0, ended.stderr
    assert "hello.txt" in ended.stdout


def test_the_printed_command_for_chromium_names_the_same_key_and_origin(serving: Serving) -> None:
    (printed,) = [line for line in serving.lines if "chromium" in line]
    words = shlex.split(printed)
    base64 = b64encode(bytes.fromhex(serving.pin)).decode()
    assert f"--ignore-certificate-errors-spki-list={base64}" in words
    origin = serving.url.removeprefix("https://").rstrip("/")
    assert f"--origin-to-force-quic-on={origin}" in words
    assert words[-1] == serving.url
    assert any(line.strip() == f"base64  {base64}" for line in serving.lines)


@pytest.mark.parametrize(
    ("bind", "host", "forced"),
    [
        ("localhost:0", None, None),
        ("0.0.0.0:0", "127.0.0.1", "127.0.0.1:{port}"),
        ("[::1]:0", "[::1]", "*"),
        ("[::]:0", "[::1]", "*"),
    ],
)
def test_what_is_printed_names_the_address_where_the_server_is(
    root: Path, bind: str, host: str | None, forced: str | None
) -> None:
    """A browser may try another address of a name, and forces QUIC on no IPv6 literal."""
    serving = Serving(root, "--bind", bind)
    try:
        found = re.fullmatch(r"https://(127\.0\.0\.1|\[::1\]):(\d+)/", serving.url)
        assert found is not None, serving.url
        assert host in (None, found[1])
        (printed,) = [line for line in serving.lines if "chromium" in line]
        if forced is None:
            forced = "*" if found[1] == "[::1]" else "127.0.0.1:{port}"
        origin = forced.format(port=found[2])
        assert f"--origin-to-force-quic-on={origin}" in shlex.split(printed)
        (command,) = [line for line in serving.lines if "ropewalk get" in line]
        ended = run(*shlex.split(command)[1:])
        assert ended.returncode == 0, ended.stderr
    finally:
        serving.stop()


def test_content_goes_to_standard_output(serving: Serving) -> None:
    ended = get(serving, "hello.txt")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "hello\n", "")


def test_json_tells_what_was_fetched(serving: Serving, root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    ended = get(serving, "large.bin", "--json", "-o", str(copy))
    assert ended.returncode == 0, ended.stderr
    (line,) = ended.stdout.splitlines()
    told = json.loads(line)
    assert list(told) == [
        *("url", "status", "protocol", "bytes", "seconds", "handshake_seconds", "sha256")
    ]
    content = (root / "large.bin").read_bytes()
    assert copy.read_bytes() == content
    assert told["url"] == serving.url + "large.bin"
    assert (told["status"], told["protocol"], told["bytes"]) == (200, "h3", len(content))
    assert told["sha256"] == hashlib.sha256(content).hexdigest()
    assert 0 < told["handshake_seconds"] < BOUND
    assert 0 < told["seconds"] < BOUND


def test_several_urls_share_a_connection_and_one_failure_does_not_stop_the_rest(
    serving: Serving,
) -> None:
    ended = run(
        *("get", "--json", "--pin", serving.pin),
        *(serving.url + name for name in ("missing", "hello.txt", "large.bin")),
    )
    assert ended.returncode == 1
    missing, hello, large = [json.loads(line) for line in ended.stdout.splitlines()]
    assert missing["status"] == 404
    assert "404 Not Found" in missing["error"]
    assert (hello["status"], large["bytes"]) == (200, 2_000_000)
    assert missing["handshake_seconds"] > 0
    assert hello["handshake_seconds"] == large["handshake_seconds"] == 0


def test_a_transfer_is_continued(serving: Serving, root: Path, tmp_path: Path) -> None:
    content = (root / "large.bin").read_bytes()
    copy = tmp_path / "copy"
    copy.write_bytes(content[:700_000])
    ended = get(serving, "large.bin", "-C", "-o", str(copy), "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["status"], told["bytes"]) == (206, 1_300_000)
    assert told["sha256"] == hashlib.sha256(content).hexdigest()
    assert copy.read_bytes() == content
    again = get(serving, "large.bin", "-C", "-o", str(copy), "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["bytes"] == 0
    assert json.loads(again.stdout)["sha256"] == hashlib.sha256(content).hexdigest()
    copy.write_bytes(content + b"more")
    other = get(serving, "large.bin", "-C", "-o", str(copy))
    assert other.returncode == 1
    assert "fetch it without -C" in other.stderr


@pytest.mark.parametrize(
    ("path", "more", "told"),
    [("sub", (), "301"), ("missing", ("--no-fail",), "404"), ("missing", (), "404")],
)
def test_what_is_no_content_leaves_a_begun_file_alone(
    serving: Serving, tmp_path: Path, path: str, more: tuple[str, ...], told: str
) -> None:
    part = tmp_path / "part"
    part.write_text("begun")
    ended = get(serving, path, "-C", "-o", str(part), *more)
    assert part.read_text() == "begun"
    assert ended.returncode == 1
    assert told in ended.stderr


def test_a_full_disk_is_told_with_the_bytes_that_were_written(serving: Serving) -> None:
    ended = get(serving, "large.bin", "-o", "/dev/full", "--json")
    assert ended.returncode == 1
    told = json.loads(ended.stdout)
    assert told["bytes"] == 0
    assert "make room" in told["error"]
    assert "bytes are in" not in told["error"]


def test_a_limit_on_files_is_told_with_the_bytes_that_were_written(
    serving: Serving, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    command = [*_COMMAND, "get", "--pin", serving.pin, "-o", str(copy), serving.url + "large.bin"]
    ended = subprocess.run(
        ["bash", "-c", 'ulimit -f 600; exec "$@"', "bash", *command],
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )
    assert ended.returncode == 1
    size = copy.stat().st_size
    assert 0 < size < 2_000_000
    assert f"{size:,} bytes are in {str(copy)!r}" in ended.stderr
    assert "ulimit -f" in ended.stderr


def test_a_pipe_that_nobody_reads_on_ends_without_a_word(serving: Serving) -> None:
    with subprocess.Popen(
        [*_COMMAND, "get", "--pin", serving.pin, serving.url + "large.bin"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as fetching:
        assert fetching.stdout is not None
        assert fetching.stderr is not None
        fetching.stdout.read(1)
        fetching.stdout.close()
        assert fetching.stderr.read() == b""
        assert fetching.wait(BOUND) == 1


def test_a_status_of_400_and_above_is_a_failure_unless_wanted(
    serving: Serving, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    ended = get(serving, "missing", "-o", str(copy))
    assert ended.returncode == 1
    assert not copy.exists()
    wanted = get(serving, "missing", "--no-fail", "-o", str(copy))
    assert wanted.returncode == 0, wanted.stderr
    assert copy.read_text() == "There is nothing of that name.\n"


def test_verbose_shows_both_sides_headers(serving: Serving) -> None:
    ended = get(serving, "hello.txt", "-v")
    assert ended.stdout == "hello\n"
    for part in (
        *("* connected to 127.0.0.1:", "h3", "trusted by pin", "> GET /hello.txt", "< 200"),
        *("< content-type: text/plain", "* 6 bytes"),
    ):
        assert part in ended.stderr, part


def test_a_redirection_is_told_not_followed(serving: Serving) -> None:
    ended = get(serving, "sub")
    assert ended.returncode == 0
    assert "go to ./sub/" in ended.stderr


def test_a_given_certificate_is_served_and_its_hash_told(root: Path, tmp_path: Path) -> None:
    authority = make_authority()
    made = make_certificate(["127.0.0.1"], issuer=authority)
    ca, certificate, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    ca.write_bytes(authority.cert_pem)
    certificate.write_bytes(made.cert_pem)
    key.write_bytes(made.key_pem)
    serving = Serving(root, "--cert", str(certificate), "--key", str(key), "--quiet")
    try:
        assert serving.pin == made.spki_sha256.hex() == spki_hash(made.cert_pem).hex()
        ended = run("get", "--ca", str(ca), serving.url + "hello.txt")
        assert (ended.returncode, ended.stdout) == (0, "hello\n")
        insecure = run("get", "--insecure", serving.url + "hello.txt")
        assert insecure.stdout == "hello\n"
    finally:
        said = serving.stop()
    assert "GET" not in said


def test_an_interrupt_lets_a_response_finish(root: Path, tmp_path: Path) -> None:
    (root / "huge.bin").write_bytes(bytes(30_000_000))
    serving = Serving(root)
    copy = tmp_path / "copy"
    fetching = subprocess.Popen(
        [*_COMMAND, "get", "--pin", serving.pin, "-o", str(copy), serving.url + "huge.bin"],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not copy.exists():
        assert fetching.poll() is None
    said = serving.stop()
    _, errors = fetching.communicate(timeout=BOUND)
    assert fetching.returncode == 0, errors
    assert copy.stat().st_size == 30_000_000
    assert "127.0.0.1 GET /huge.bin 200" in said
    assert "Ctrl-C stops now" in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("get",), "URL"),
        (("get", "https://h/", "--ca", "x", "--pin", "00"), "exclude one another"),
        (("get", "https://h/", "-C"), "-o"),
        (("get", "https://h/", "-C", "-o", "-"), "-o"),
        (("get", "https://h/", "--json", "-o", "-"), "choose one"),
        (("get", "https://h/", "https://h/", "-o", "one"), "once for each URL"),
        (("get", "https://127.0.0.1:1/", "--pin", "00"), "64 hexadecimal digits"),
        (("get", "https://h/", "--connect-timeout", "0"), "connect-timeout"),
        (("get", "https://h/", "--connect-timeout", "nan"), "connect-timeout"),
        (("get", "https://h/", "https://h/", "-o", "x", "-o", "./x"), "same file"),
        (("get", "https://h/", "-o", "n" * 300), "shorter"),
        (("serve",), "ROOT"),
        (("serve", ".", "--cert", "only.pem"), "belong together"),
        (("serve", ".", "--bind", "localhost"), "HOST:PORT"),
    ],
)
def test_a_wrong_call_ends_with_exit_code_2(arguments: tuple[str, ...], told: str) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2, ended.stderr
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
