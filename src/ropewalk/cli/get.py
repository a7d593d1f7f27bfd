"""``ropewalk get``: fetch URLs over HTTP/3."""

from __future__ import annotations

import math
import sys
from typing import Final

import anyio
import click

from ropewalk.cli.errors import Failure, one_line_errors
from ropewalk.cli.get_output import Output, check_distinct, check_output, file_output, stream_output
from ropewalk.cli.get_transfer import Fetcher, Job, Options
from ropewalk.cli.watching import qlog_option
from ropewalk.http.url import parse_url

_STDOUT: Final = "-"


def _a_number(ctx: click.Context, param: click.Parameter, value: float) -> float:
    """Comparisons, and so the range, let "nan" through."""
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is no time; give seconds, such as 10", ctx, param)
    return value


@click.command()
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="FILE",
    help="Write to FILE instead of standard output; once for each URL, in their order.",
)
@click.option("-C", "--continue", "resume", is_flag=True, help="Fetch what FILE still lacks.")
@click.option("--ca", type=click.Path(), help="Trust this CA (PEM) instead of the system's.")
@click.option("--pin", metavar="HASH", help="Trust the key with this SHA-256 (hexadecimal).")
@click.option("--insecure", is_flag=True, help="Trust any certificate.")
@click.option(
    "--connect-timeout",
    type=click.FloatRange(0, min_open=True),
    callback=_a_number,
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a connection.",
)
@click.option("--no-fail", is_flag=True, help="Take a status of 400 or above like any other.")
@qlog_option
@click.option("-v", "--verbose", is_flag=True, help="Tell about connection and headers.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each URL.")
@click.pass_context
def get(
    ctx: click.Context,
    urls: tuple[str, ...],
    outputs: tuple[str, ...],
    resume: bool,
    ca: str | None,
    pin: str | None,
    insecure: bool,
    connect_timeout: float,
    no_fail: bool,
    qlog: str | None,
    verbose: bool,
    as_json: bool,
) -> None:
    """Fetch each URL over HTTP/3.

    Consecutive URLs of one server share a connection. With --json, standard output has an
    object for each URL (url, status, protocol, bytes, seconds, handshake_seconds, sha256, and
    error if there was one), and content goes to -o only; handshake_seconds is 0 where a
    connection was there already. Redirects are not followed.

    Exit code: 0 when everything was fetched, 1 when something failed or had a status of 400
    or above, 2 for a wrong use.
    """
    if sum((insecure, ca is not None, pin is not None)) > 1:
        raise click.UsageError("--insecure, --ca and --pin exclude one another; give one of them")
    if outputs and len(outputs) != len(urls):
        raise click.UsageError("give -o once for each URL, or not at all")
    check_distinct(name for name in outputs if name != _STDOUT)
    if resume and (not outputs or _STDOUT in outputs):
        raise click.UsageError("-C goes on with a file; name it with -o")
    if as_json and _STDOUT in outputs:
        raise click.UsageError("--json and -o - both write to standard output; choose one")
    options = Options(ca, pin, insecure, connect_timeout, no_fail, verbose, as_json, qlog)
    with one_line_errors():
        jobs = [
            Job(url, parse_url(url), _output(outputs[index] if outputs else None, as_json, resume))
            for index, url in enumerate(urls)
        ]
        fetcher = Fetcher(options)
        anyio.run(fetcher.run, jobs)
    if not fetcher.failures:
        return
    if as_json:
        ctx.exit(Failure.exit_code)
    if len(jobs) == 1:
        raise fetcher.failures[0]
    for failure in fetcher.failures:
        click.echo(f"Error: {failure.message}", err=True)
    ctx.exit(Failure.exit_code)


def _output(name: str | None, as_json: bool, resume: bool) -> Output:
    if name is not None and name != _STDOUT:
        check_output(name)
        return file_output(name, resume)
    if as_json:
        return stream_output(None)
    return stream_output(sys.stdout.buffer)
