"""HTTP/3 by the asynchronous API, unchanged, in virtual time: what programs rely on.

``--set backend=trio`` plays a program on trio.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import anyio

from ropewalk.http import Client, Request, RequestFailed, Response
from ropewalk.lab.cancellation.obligations import errors_logged
from ropewalk.lab.http3_witness import Http3Witness
from ropewalk.lab.registry import catalogue
from ropewalk.lab.testbed import LINE, Testbed
from ropewalk.lab.trial import Trial
from ropewalk.lab.virtual_time import BACKENDS, Backend, run
from ropewalk.quic.types.errors import ConfigurationError, ConnectionLost
from ropewalk.runtime import Settings
from ropewalk.sim.link import LinkProfile
from ropewalk.sim.loss import GilbertElliott

#: What virtual time 0 is called in HTTP.
_DATE: Final = "Fri, 01 Jan 2027 00:00:00 GMT"
_PIECE: Final = bytes(range(256)) * 64
_BACKEND: Final = {"backend": "asyncio"}

Handler = Callable[[Request], Awaitable[Response]]
Program = Callable[[Testbed, Client], Awaitable[None]]


def _backend(trial: Trial) -> Backend:
    for backend in BACKENDS:
        if backend == trial.parameters["backend"]:
            return backend
    raise ConfigurationError(f"backend must be one of {', '.join(BACKENDS)}")


def _answer(body: bytes | AsyncIterator[bytes] = b"", status: int = 200) -> Response:
    return Response(status, (), body)


def _watched(settings: Settings | None, witness: Http3Witness) -> Settings:
    watched = Settings(observer=witness)
    if settings is not None:
        watched.update(settings)
    return watched


def _play(
    trial: Trial,
    handler: Handler,
    program: Program,
    line: LinkProfile = LINE,
    settings: Settings | None = None,
) -> None:
    """Serve by ``handler`` and run ``program`` with a client, watched by the laws of HTTP/3."""
    testbed = Testbed(trial.seed, line)
    trial.adopt(testbed.network)
    witnesses = [Http3Witness("client", True), Http3Witness("server", False)]
    at_client, at_server = (_watched(settings, witness) for witness in witnesses)

    async def main() -> None:
        async with (
            testbed.running(),
            testbed.serve_http(handler, **at_server),
            testbed.http3_client(**at_client) as http,
        ):
            await program(testbed, http)

    run(main, backend=_backend(trial), seed=trial.seed)
    testbed.watch.raise_first()
    for witness in witnesses:
        witness.finish(closed=True)


@catalogue.play(
    family="http3",
    about="fields from nothing to 16 kB, there and back: sections span packets (RFC 9114 4.2)",
    parameters=_BACKEND,
)
def http3_fields_of_every_size(trial: Trial) -> None:
    sizes = (0, 1, 63, 64, 1_000, 1_200, 4_096, 16_000)
    echoed: list[int] = []

    async def handler(request: Request) -> Response:
        return Response(200, {"echo": request.headers["cookie"]})

    async def program(testbed: Testbed, http: Client) -> None:
        for size in sizes:
            async with await http.get("/", headers={"cookie": "c" * size}) as response:
                echoed.append(len(response.headers["echo"]))

    _play(trial, handler, program)
    trial.check(echoed == list(sizes), "echoed", f"of fields of {sizes} bytes came {echoed}")


@catalogue.play(
    family="http3",
    about="fields above the limit that SETTINGS told are not even sent; the next go on (RFC "
    "9114 4.2.2)",
    parameters=_BACKEND,
)
def http3_fields_above_the_limit(trial: Trial) -> None:
    results: list[object] = []

    async def handler(request: Request) -> Response:
        return _answer()

    async def program(testbed: Testbed, http: Client) -> None:
        for size in (1_000, 80_000, 1_000):
            try:
                async with await http.get("/", headers={"cookie": "c" * size}) as response:
                    results.append(response.status)
            except ConfigurationError:
                results.append("refused")

    _play(trial, handler, program)
    trial.check(results == [200, "refused", 200], "refused", f"the results are {results}")


@catalogue.play(
    family="http3",
    about="a program gives up a response without end: its handler is cancelled, the next one "
    "served",
    parameters=_BACKEND,
)
def http3_program_times_out(trial: Trial) -> None:
    closed: list[float] = []
    read: list[int] = []

    async def without_end() -> AsyncIterator[bytes]:
        try:
            while True:
                yield _PIECE
                await anyio.sleep(0.05)
        finally:
            closed.append(anyio.current_time())

    async def handler(request: Request) -> Response:
        return _answer(without_end() if request.path == "/forever" else _PIECE)

    async def program(testbed: Testbed, http: Client) -> None:
        for path in ("/forever", "/short"):
            size = 0
            with anyio.move_on_after(1.0):
                async with await http.get(path) as response:
                    async for data in response:
                        size += len(data)
            read.append(size)

    _play(trial, handler, program)
    trial.check(
        read[0] >= 15 * len(_PIECE), "reads", f"{read[0]} bytes were read until the timeout"
    )
    trial.check(read[1] == len(_PIECE), "goes_on", f"the next response had {read[1]} bytes")
    trial.check(
        len(closed) == 1 and 1.0 < closed[0] < 1.1,
        "handler_learns",
        f"the endless body was closed at {closed}",
    )


@catalogue.play(
    family="http3",
    about="the server ends: what it has begun is answered, later requests may be repeated (RFC "
    "9114 5.2)",
    parameters=_BACKEND,
)
def http3_server_ends_politely(trial: Trial) -> None:
    begun: list[str] = []
    whole: list[str] = []
    refused: list[bool] = []
    testbed = Testbed(trial.seed)
    trial.adopt(testbed.network)

    async def handler(request: Request) -> Response:
        begun.append(request.path)
        await anyio.sleep(1.0)
        return _answer(_PIECE)

    async def ask(http: Client, path: str) -> None:
        try:
            async with await http.get(path) as response:
                if await response.read() == _PIECE:
                    whole.append(path)
        except RequestFailed as error:
            refused.append(error.unprocessed)

    async def serve(ends: anyio.Event) -> None:
        async with testbed.serve_http(handler):
            await ends.wait()

    async def main() -> None:
        ends = anyio.Event()
        async with testbed.running(), anyio.create_task_group() as tasks:
            tasks.start_soon(serve, ends)
            async with testbed.http3_client() as http, anyio.create_task_group() as requests:
                for path in ("/1", "/2", "/3"):
                    requests.start_soon(ask, http, path)
                await anyio.sleep(0.5)
                ends.set()
                await anyio.sleep(0.1)
                requests.start_soon(ask, http, "/late")

    run(main, backend=_backend(trial), seed=trial.seed)
    testbed.watch.raise_first()
    trial.check(sorted(whole) == ["/1", "/2", "/3"], "answered", f"whole answers: {whole}")
    trial.check("/late" not in begun, "not_begun", "a request was begun after GOAWAY")
    trial.check(refused == [True], "may_be_repeated", f"refused, unprocessed or not: {refused}")


@catalogue.play(
    family="http3",
    about="a response is read at 100 kB/s: its writer may be no more than the windows ahead "
    "(RFC 9000 4)",
    parameters=_BACKEND,
)
def http3_slow_reader(trial: Trial) -> None:
    written = read = most_ahead = 0
    total = 60 * len(_PIECE)
    window = 65_536

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal written
        for _ in range(60):
            written += len(_PIECE)
            yield _PIECE

    async def handler(request: Request) -> Response:
        return _answer(pieces())

    async def program(testbed: Testbed, http: Client) -> None:
        nonlocal read, most_ahead
        async with await http.get("/") as response:
            async for data in response:
                read += len(data)
                most_ahead = max(most_ahead, written - read)
                await anyio.sleep(len(data) / 100_000.0)

    settings = Settings(stream_window=window, stream_window_limit=window, send_buffer=window)
    _play(trial, handler, program, settings=settings)
    trial.check(read == total, "whole", f"{read} of {total} bytes were read")
    # One window at the reader's, one send buffer, and the piece that waits to be taken.
    bound = 2 * window + 2 * len(_PIECE)
    trial.check(
        most_ahead <= bound,
        "held_back",
        f"the writer was {most_ahead} bytes ahead, {bound} at most",
    )
    trial.note("bytes ahead", most_ahead)


@catalogue.play(
    family="http3",
    about="413 comes before the upload is through: the answer counts, the rest is not sent "
    "(RFC 9114 4.1)",
    parameters=_BACKEND,
)
def http3_answer_before_the_upload_ends(trial: Trial) -> None:
    sent = 0
    statuses: list[int] = []

    async def without_end() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += len(_PIECE)
            yield _PIECE

    async def handler(request: Request) -> Response:
        if request.method == "POST":
            await request.receive()
            return _answer(status=413)
        return _answer(_PIECE)

    async def program(testbed: Testbed, http: Client) -> None:
        async with await http.request("POST", "/", body=without_end()) as response:
            statuses.append(response.status)
            await response.read()
        async with await http.get("/") as response:
            statuses.append(response.status)
            await response.read()

    _play(trial, handler, program)
    trial.check(statuses == [413, 200], "answers", f"the statuses are {statuses}")
    trial.check(
        sent < 1_000 * len(_PIECE) // 2, "stopped", f"{sent} bytes were offered all the same"
    )


@catalogue.play(
    family="http3",
    about="103 before a response, trailers behind request and response: each in its place (RFC "
    "9114 4.1)",
    parameters=_BACKEND,
)
def http3_hints_and_trailers(trial: Trial) -> None:
    seen: list[object] = []

    async def handler(request: Request) -> Response:
        request.inform(103, {"link": "</style.css>; rel=preload"})
        body = await request.read()
        seen.append(request.trailers["checksum"] if request.trailers else None)
        return Response(200, (), body, {"checksum": str(len(body))})

    async def program(testbed: Testbed, http: Client) -> None:
        size = str(len(_PIECE))
        asked = http.request("POST", "/", body=_PIECE, trailers={"checksum": size})
        async with await asked as response:
            body = await response.read()
            seen.extend(status for status, _ in response.informational)
            seen.append(len(body))
            seen.append(response.trailers["checksum"] if response.trailers else None)

    _play(trial, handler, program)
    size = len(_PIECE)
    wanted = [str(size), 103, size, str(size)]
    trial.check(seen == wanted, "in_their_places", f"{seen} was seen, not {wanted}")


@catalogue.play(
    family="http3",
    about="one handler raises before its response, one in its middle: 500, a reset, and nobody "
    "else suffers",
    parameters=_BACKEND,
)
def http3_handlers_that_fail(trial: Trial) -> None:
    results: dict[str, object] = {}
    dates: list[str] = []

    async def breaking_off() -> AsyncIterator[bytes]:
        yield _PIECE
        raise RuntimeError("as planned")

    async def handler(request: Request) -> Response:
        if request.path == "/before":
            raise RuntimeError("as planned")
        return _answer(breaking_off() if request.path == "/within" else _PIECE)

    async def ask(http: Client, path: str) -> None:
        try:
            async with await http.get(path) as response:
                await response.read()
                results[path] = response.status
                dates.append(response.headers["date"])
        except RequestFailed as error:
            results[path] = hex(error.code)

    async def program(testbed: Testbed, http: Client) -> None:
        async with anyio.create_task_group() as tasks:
            for path in ("/before", "/within", "/well"):
                tasks.start_soon(ask, http, path)

    with errors_logged() as logged:
        _play(trial, handler, program)
    # H3_INTERNAL_ERROR (RFC 9114 8.1)
    wanted = {"/before": 500, "/within": "0x102", "/well": 200}
    trial.check(results == wanted, "results", f"{results}, not {wanted}")
    trial.check(dates == [_DATE] * 2, "virtual_dates", f"the responses are dated {dates}")
    trial.check(len(logged) == 2, "logged", f"{len(logged)} errors were logged: {logged}")


@catalogue.play(
    family="http3",
    about="the line dies under three requests: each fails with the idle timeout, none hangs "
    "(RFC 9000 10.1)",
    parameters=_BACKEND,
)
def http3_line_dies_under_requests(trial: Trial) -> None:
    errors: list[str] = []
    ended: list[float] = []

    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(600):
            yield _PIECE
            await anyio.sleep(0.1)

    async def handler(request: Request) -> Response:
        return _answer(slowly())

    async def ask(http: Client) -> None:
        try:
            async with await http.get("/") as response:
                await response.read()
        except ConnectionLost as error:
            errors.append(type(error).__name__)
            ended.append(anyio.current_time())

    async def program(testbed: Testbed, http: Client) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ask, http)
            await anyio.sleep(1.0)
            for link in testbed.links:
                link.up = False

    _play(trial, handler, program, settings=Settings(idle_timeout=10.0))
    trial.check(errors == ["IdleTimeout"] * 3, "told", f"the requests ended with {errors}")
    trial.check(all(10.5 < moment < 11.6 for moment in ended), "in_time", f"they ended at {ended}")


@catalogue.play(
    family="http3",
    about="small requests while a large response fills the line: they take their turns (RFC "
    "9000 2.3)",
    parameters=_BACKEND,
)
def http3_small_requests_beside_a_large_one(trial: Trial) -> None:
    took: list[float] = []
    large: list[int] = []

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield _PIECE

    async def handler(request: Request) -> Response:
        return _answer(pieces() if request.path == "/large" else b"x" * 2_000)

    async def fetch_large(http: Client) -> None:
        async with await http.get("/large") as response:
            large.append(len(await response.read()))

    async def program(testbed: Testbed, http: Client) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fetch_large, http)
            await anyio.sleep(0.5)
            for _ in range(20):
                start = anyio.current_time()
                async with await http.get("/small") as response:
                    await response.read()
                took.append(anyio.current_time() - start)

    line = LinkProfile(rate=2_500_000.0, delay=0.01, queue_packets=40)
    # What waits in a large send buffer would have to go first.
    _play(trial, handler, program, line, Settings(send_buffer=65_536))
    trial.check(large == [300 * len(_PIECE)], "whole", f"of the large response came {large}")
    trial.check(len(took) == 20 and max(took) < 0.1, "in_turn", f"the small ones took {took}")
    trial.note("slowest", max(took))


@catalogue.play(
    family="http3",
    about="uploads of 200 kB through bursts of loss: request bodies are as safe as responses",
    parameters=_BACKEND,
)
def http3_uploads_through_bursts(trial: Trial) -> None:
    body = _PIECE * 12
    right: list[bool] = []

    async def handler(request: Request) -> Response:
        right.append(await request.read() == body)
        return _answer(b"thanks")

    async def post(http: Client) -> None:
        async with await http.request("POST", "/", body=body) as response:
            await response.read()

    async def program(testbed: Testbed, http: Client) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(post, http)

    bursts = GilbertElliott(to_bad=0.01, to_good=0.3)
    line = LinkProfile(rate=2_500_000.0, delay=0.02, queue_packets=100, loss_model=bursts)
    _play(trial, handler, program, line)
    trial.check(right == [True] * 6, "whole", f"uploads that came as they were sent: {right}")


@catalogue.play(
    family="http3",
    about="five clients, forty requests each, all at once, at one server: every answer is the "
    "right one",
    parameters=_BACKEND,
)
def http3_five_clients_at_once(trial: Trial) -> None:
    testbed = Testbed(trial.seed)
    trial.adopt(testbed.network)
    right: list[str] = []

    async def handler(request: Request) -> Response:
        return _answer(request.target.encode() * 100)

    async def ask(http: Client, path: str) -> None:
        async with await http.get(path) as response:
            if await response.read() == path.encode() * 100:
                right.append(path)

    async def one(number: int) -> None:
        async with testbed.http3_client() as http, anyio.create_task_group() as requests:
            for turn in range(40):
                requests.start_soon(ask, http, f"/{number}/{turn}")

    async def main() -> None:
        async with (
            testbed.running(),
            testbed.serve_http(handler),
            anyio.create_task_group() as clients,
        ):
            for number in range(5):
                clients.start_soon(one, number)

    run(main, backend=_backend(trial), seed=trial.seed)
    testbed.watch.raise_first()
    trial.check(len(right) == 200, "answered", f"{len(right)} of 200 answers were right")
