"""``{command-help} get``: what ``ropewalk get --help`` prints, asked of the command itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from click import Context, Group
from docutils import nodes
from docutils.parsers.rst import Directive

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata


class CommandHelp(Directive):
    """A literal block with the help text of one command; its arguments name the command."""

    optional_arguments: ClassVar[int] = 2

    def run(self) -> list[nodes.Node]:
        from ropewalk.cli import main

        settings = {**main.context_settings, "terminal_width": 80}
        command, context = main, Context(main, info_name="ropewalk", **settings)
        for name in self.arguments:
            assert isinstance(command, Group)
            found = command.get_command(context, name)
            if found is None:
                raise self.error(f"there is no command {' '.join(self.arguments)!r}")
            command = found
            context = Context(found, info_name=name, parent=context, **settings)
        text = command.get_help(context)
        return [nodes.literal_block(text, text, language="text")]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"version": "1", "parallel_read_safe": True}
