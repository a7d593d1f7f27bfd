"""What the documentation prints runs, and prints what the documentation says."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import anyio
import pytest

import ropewalk
from ropewalk.runtime.certificates import make_authority, make_certificate

from .pages import DOCS, Block, blocks_of
from .terminal import BOUND, Terminal

#: Pages whose fragments run one after the other, beside a server that echoes.
PAGES = [*sorted((DOCS / "how-to").glob("*.md")), DOCS / "coming-from-aioquic.md"]


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SSLKEYLOGFILE", raising=False)
    opened = Terminal(tmp_path)
    yield opened
    opened.kill()


def test_the_tutorial_runs_as_printed(terminal: Terminal) -> None:
    taken = [block for block in blocks_of(DOCS / "tutorial.md") if block.text]
    assert all(block.file_name for block in taken if block.language == "python")
    for block in blocks_of(DOCS / "tutorial.md"):
        terminal.take(block)
    terminal.stop()


def test_the_front_page_runs_against_the_tutorials_server(terminal: Terminal) -> None:
    blocks = blocks_of(DOCS / "tutorial.md")
    started = next(index for index, block in enumerate(blocks) if block.order == "background")
    for block in blocks[: started + 1]:
        terminal.take(block)
    (example,) = (each for each in blocks_of(DOCS / "index.md") if each.language == "python")
    (terminal.folder / "example.py").write_text(terminal.translate(example.text))
    terminal.take(Block("console", "$ python example.py\nb'hello'\n", example.line))
    terminal.stop()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_fragments_of_a_page_run(page: Path, terminal: Terminal) -> None:
    blocks = blocks_of(page)
    _make_keys(terminal.folder)
    anyio.run(_play, blocks, terminal, page)
    terminal.stop()


def _make_keys(folder: Path) -> None:
    """The files that the pages speak of: an authority's ca.pem, a server's cert.pem, key.pem."""
    authority = make_authority()
    made = make_certificate(["localhost", "127.0.0.1", "::1"], issuer=authority)
    (folder / "ca.pem").write_bytes(authority.cert_pem)
    (folder / "cert.pem").write_bytes(made.cert_pem)
    (folder / "key.pem").write_bytes(made.key_pem)


async def _play(blocks: list[Block], terminal: Terminal, page: Path) -> None:
    port = int(terminal.translate("4433"))
    fragments = [each for each in blocks if each.language == "python" and not each.file_name]
    if not any("4433" in each.text or "connection" in each.text for each in fragments):
        await _take(blocks, terminal, page, {"anyio": anyio, "ropewalk": ropewalk})
        return
    async with (
        ropewalk.serve(
            _echo, "localhost", port, alpn="echo", certificate="cert.pem", key="key.pem"
        ),
        ropewalk.connect("localhost", port, alpn="echo", ca="ca.pem") as connection,
    ):
        given = {"anyio": anyio, "ropewalk": ropewalk, "connection": connection, "echo": _echo}
        await _take(blocks, terminal, page, given)


async def _take(
    blocks: list[Block], terminal: Terminal, page: Path, given: dict[str, object]
) -> None:
    names: dict[str, object] = {}
    for block in blocks:
        if block.language == "python" and not block.file_name:
            names |= given  # a fragment may have closed the connection, and called its own so
            with anyio.fail_after(BOUND):
                # As a reader would try it: a line may await.
                code = _compile(terminal.translate(block.text), page, block.line)
                outcome = eval(code, names)  # noqa: S307  # our own documentation
                if inspect.isawaitable(outcome):
                    await outcome
        else:
            await anyio.to_thread.run_sync(terminal.take, block)


def _compile(source: str, page: Path, line: int) -> CodeType:
    """Code whose traceback names the page and the line there."""
    tree = ast.increment_lineno(ast.parse(source, str(page)), line)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code: CodeType = compile(tree, str(page), "exec", flags=flags, dont_inherit=True)
    return code


async def _echo(connection: ropewalk.Connection) -> None:
    """Sends back what comes, on streams and as datagrams."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_echo_datagrams, connection)
        async for stream in connection:
            tasks.start_soon(_echo_stream, stream)
        tasks.cancel_scope.cancel()


async def _echo_datagrams(connection: ropewalk.Connection) -> None:
    try:
        while True:
            await connection.send_datagrams(await connection.receive_datagrams())
    except ropewalk.ConnectionLost:
        return


async def _echo_stream(stream: ropewalk.Stream) -> None:
    try:
        async with stream:
            async for data in stream:
                await stream.send(data)
    except (ropewalk.StreamError, ropewalk.ConnectionLost, anyio.BrokenResourceError):
        return
