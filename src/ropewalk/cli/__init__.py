"""The ``ropewalk`` command. Each subcommand is a module of its own, loaded when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import click

from ropewalk.cli.errors import one_line_errors
from ropewalk.quic.types.errors import Unsupported

#: Subcommand → module and attribute of its click command.
_COMMANDS: Final = {
    "conformance": ("ropewalk.cli.conformance", "conformance"),
    "demo": ("ropewalk.cli.demo", "demo"),
    "doctor": ("ropewalk.cli.doctor", "doctor"),
    "get": ("ropewalk.cli.get", "get"),
    "lab": ("ropewalk.cli.lab", "lab"),
    "perf": ("ropewalk.cli.perf", "perf"),
    "serve": ("ropewalk.cli.serve", "serve"),
    "trace": ("ropewalk.cli.trace", "trace"),
}


class LazyGroup(click.Group):
    """Loads a subcommand's module only when it is asked for, and turns errors into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name]
        try:
            command = getattr(import_module(module), attribute)
        except ImportError as error:
            return _unavailable(cmd_name, error)
        return command if isinstance(command, click.Command) else None

    def invoke(self, ctx: click.Context) -> Any:  # click's own signature
        with one_line_errors():
            return super().invoke(ctx)


def _unavailable(name: str, error: ImportError) -> click.Command:
    """Stands in for a command that lacks an optional part; says so when called."""
    reason = f"'{name}' is not available in this installation: {error}"

    @click.command(name, help=f"(not available: {error})", add_help_option=False)
    @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
    def stand_in(rest: tuple[str, ...]) -> None:
        raise Unsupported(reason)

    stand_in.context_settings["ignore_unknown_options"] = True
    return stand_in


def _show_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from ropewalk._build import describe

        click.echo(describe())
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and whether the core runs compiled or interpreted.",
)
def main() -> None:
    """QUIC and HTTP/3 from Python: serve, fetch, measure, and look closely."""
