"""The transfers of ``ropewalk get``."""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from itertools import groupby
from typing import Final, final

import click
from anyio import CancelScope, sleep
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from ropewalk import __version__
from ropewalk.cli.errors import Failure, as_failure
from ropewalk.cli.get_output import Output
from ropewalk.cli.watching import watching
from ropewalk.http import Client, ClientResponse, RequestFailed, http3_client
from ropewalk.http.url import Url
from ropewalk.quic.types.configuration import NoVerification
from ropewalk.quic.types.errors import ConfigurationError, ConnectionLost
from ropewalk.quic.types.handshake import AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305
from ropewalk.runtime.nest import nest

#: After so many seconds without an answer people want to know what is going on.
HINT_AFTER: float = 3.0
#: One write to the output.
_CHUNK: Final = 256 * 1024
_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", re.ASCII)
_SUITES: Final = {
    AES_128_GCM: "AES-128-GCM",
    AES_256_GCM: "AES-256-GCM",
    CHACHA20_POLY1305: "ChaCha20-Poly1305",
}


@dataclass(frozen=True)
class Options:
    """How to fetch."""

    ca: str | None
    pin: str | None
    insecure: bool
    connect_timeout: float
    no_fail: bool
    verbose: bool
    as_json: bool
    qlog: str | None = None


@dataclass(frozen=True)
class Job:
    """One URL as it was given, taken apart, and where its content goes."""

    text: str
    url: Url
    output: Output


@dataclass
class Outcome:
    """What became of a URL, as --json prints it."""

    url: str
    status: int | None = None
    protocol: str | None = None
    bytes: int = 0
    seconds: float = 0.0
    handshake_seconds: float = 0.0
    sha256: str | None = None
    error: str | None = None

    def line(self) -> str:
        """One line of JSON; ``error`` only if there is one."""
        told = {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in vars(self).items()
            if name != "error" or value is not None
        }
        return json.dumps(told)


@final
class Fetcher:
    """Fetches in turn; what fails is kept in ``failures`` and does not stop the others."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.failures: list[Failure] = []

    async def run(self, jobs: list[Job]) -> None:
        """Fetch all. Raises errors of a wrong use only."""
        for _, group in groupby(jobs, key=lambda job: job.url.origin):
            await self._from_one_server(list(group))

    async def _from_one_server(self, jobs: list[Job]) -> None:
        """All from one server; on another connection when the first one ends early."""
        while jobs:
            began = time.perf_counter()
            connected = False
            try:
                async with self._connect(jobs[0].url) as client:
                    connected = True
                    handshake = time.perf_counter() - began
                    await self._fetch(client, jobs.pop(0), handshake)
                    while jobs and not (client.connection.lost or client.going_away):
                        await self._fetch(client, jobs.pop(0), 0.0)
            except (ConnectionLost, ConfigurationError) as error:
                if connected:
                    continue  # every job that was begun has its own outcome
                cause = error.__cause__
                if isinstance(error, ConfigurationError) and not isinstance(cause, socket.gaierror):
                    raise
                seconds = time.perf_counter() - began
                while jobs:  # it would not go better with the next one
                    job = jobs.pop(0)
                    outcome = Outcome(job.text, seconds=seconds)
                    self._tell(job, outcome, Failure(as_failure(error).message))
                    seconds = 0.0  # the others took none

    @asynccontextmanager
    async def _connect(self, url: Url) -> AsyncIterator[Client]:
        options = self._options
        async with nest() as tasks:
            patience = CancelScope()
            tasks.start_soon(_hint, patience, url.where)
            async with http3_client(
                url.host,
                url.port,
                ca=options.ca,
                pin=options.pin,
                verification=NoVerification() if options.insecure else None,
                handshake_timeout=options.connect_timeout,
                observer=watching(options.qlog),
            ) as client:
                patience.cancel()
                if options.verbose:
                    _describe(client)
                yield client

    async def _fetch(self, client: Client, job: Job, handshake: float) -> None:
        outcome = Outcome(job.text, protocol=client.connection.alpn, handshake_seconds=handshake)
        began = time.perf_counter()
        failure: Failure | None = None
        try:
            await self._exchange(client, job, outcome)
        except BrokenPipeError:
            raise  # nobody reads on, so there is nobody to tell
        except (RequestFailed, ConnectionLost, OSError) as error:
            words = as_failure(error).message
            if job.output.path is not None and job.output.written:
                size = job.output.kept + job.output.written
                words += (
                    f"; {size:,} bytes are in {str(job.output.path)!r}, and -C goes on from there"
                )
            failure = Failure(f"{job.text}: {words}")
        except Failure as error:
            failure = error
        finally:
            job.output.close()
        outcome.bytes = job.output.written
        outcome.seconds = time.perf_counter() - began
        self._tell(job, outcome, failure)

    async def _exchange(self, client: Client, job: Job, outcome: Outcome) -> None:
        present = job.output.present
        headers = {"user-agent": f"ropewalk/{__version__}", "accept": "*/*"}
        if present:
            headers["range"] = f"bytes={present}-"
        if self._options.verbose:
            _say(f"> GET {job.url.target}", *(f"> {name}: {headers[name]}" for name in headers))
        async with await client.get(job.url.target, headers=headers) as response:
            outcome.status = response.status
            if self._options.verbose:
                for status, fields in (
                    *response.informational,
                    (response.status, response.headers),
                ):
                    _say(f"< {status}", *(f"< {name}: {value}" for name, value in fields.pairs()))
            if response.status == 416 and present and _total(response) == present:
                await job.output.open(keep=True)  # all of it was there
                outcome.sha256 = job.output.sha256()
                return
            if response.status >= 400 and not self._options.no_fail:
                raise Failure(_refusal(job, response))
            if job.output.resumes and response.status not in (200, 206):
                raise Failure(_no_content(job, response))
            if 300 <= response.status < 400 and not self._options.as_json:
                place = response.headers.get("location", "elsewhere")
                _say(f"{job.text} answers {response.status}: go to {place}")
            keep = present > 0 and response.status == 206
            if keep and _start(response) != present:
                raise Failure(
                    f"{job.text}: the server sent another part than the one asked for; fetch it "
                    "without -C"
                )
            await job.output.open(keep)
            await self._pour(response, job, present if keep else 0)
            outcome.sha256 = job.output.sha256()

    async def _pour(self, response: ClientResponse, job: Job, present: int) -> None:
        length = response.headers.get("content-length", "")
        total = present + int(length) if length.isascii() and length.isdigit() else None
        with _progress(not self._options.as_json and not job.output.on_terminal) as bar:
            task = bar.add_task(job.url.target.rpartition("/")[2] or job.url.where, total=total)
            bar.update(task, completed=present)
            # Pieces come as they arrive; writing goes in larger ones, each in a thread.
            waiting: list[bytes] = []
            size = received = 0
            try:
                async for piece in response:
                    waiting.append(piece)
                    size += len(piece)
                    received += len(piece)
                    if size >= _CHUNK:
                        whole = b"".join(waiting)
                        waiting.clear()
                        size = 0
                        await job.output.write(whole)
                    bar.update(task, completed=present + received)
            finally:
                # Also what came before it broke off: -C goes on behind it.
                with CancelScope(shield=job.output.path is not None):
                    await job.output.write(b"".join(waiting))

    def _tell(self, job: Job, outcome: Outcome, failure: Failure | None) -> None:
        if failure is not None:
            outcome.error = _harmless(failure.message)
            self.failures.append(Failure(outcome.error))
        if self._options.as_json:
            click.echo(outcome.line())
        elif self._options.verbose and failure is None:
            _say(f"* {outcome.bytes:,} bytes in {outcome.seconds:.3f} s, SHA-256 {outcome.sha256}")


async def _hint(patience: CancelScope, where: str) -> None:
    with patience:
        await sleep(HINT_AFTER)
        _say(f"no QUIC answer from {where} yet; UDP may be blocked (Ctrl-C stops)")


def _describe(client: Client) -> None:
    connection = client.connection
    identity = connection.peer_identity
    core = connection.core
    suite = _SUITES.get(core.cipher_suite, hex(core.cipher_suite))
    _say(
        f"* connected to {connection.remote_address} by QUIC v1, {connection.alpn}, {suite}, "
        f"{core.key_exchange_group}"
    )
    if identity is not None:
        _say(f"* key {identity.spki_sha256.hex()}, trusted by {identity.verified_by}")


def _phrase(response: ClientResponse) -> str:
    try:
        return f"{response.status} {HTTPStatus(response.status).phrase}"
    except ValueError:
        return str(response.status)


def _no_content(job: Job, response: ClientResponse) -> str:
    """What came is not what the file has a part of."""
    told = f"{job.text}: the server answers {_phrase(response)}"
    if 300 <= response.status < 400 and "location" in response.headers:
        told += f" (go to {response.headers['location']})"
    return (
        f"{told}, which is no content for -C to go on with; {str(job.output.path)!r} stays as it "
        "is: check the URL, or fetch it without -C"
    )


def _refusal(job: Job, response: ClientResponse) -> str:
    if response.status in (404, 410):
        advice = "check the path"
    elif response.status == 416:
        advice = "the file there is not the one begun here; fetch it without -C"
    elif response.status >= 500:
        advice = "the fault is the server's; try again later"
    else:
        advice = "see what the server asks for with -v"
    return (
        f"{job.text}: the server answers {_phrase(response)}; {advice} (--no-fail takes any status)"
    )


def _total(response: ClientResponse) -> int | None:
    match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    return int(match[2]) if match is not None and match[2] != "*" else None


def _start(response: ClientResponse) -> int | None:
    match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    return int(match[1]) if match is not None and match[1] is not None else None


def _say(*lines: str) -> None:
    """For people, beside the content."""
    for line in lines:
        click.echo(_harmless(line), err=True)


def _harmless(text: str) -> str:
    """Nothing that a server sent may steer the terminal."""
    return "".join(each if each.isprintable() else "�" for each in text)


def _progress(wanted: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not wanted or not sys.stderr.isatty(),
        refresh_per_second=5,
    )
