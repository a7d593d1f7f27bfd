"""The sitting's tables for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as RichTable
from rows import GROUPS
from sitting import Sitting
from tables import Table, core_table, group_tables, target_table

_PLAIN_WIDTH = 170


def print_tables(sitting: Sitting) -> None:
    """All of them."""
    console = Console()
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    for group in GROUPS:
        for table in group_tables(sitting, group):
            console.print(_rich(table))
    for table in (core_table(sitting), target_table(sitting)):
        if table.lines:
            console.print(_rich(table))
    for row, contender, reason in sitting.failures:
        console.print(f"failed: {row}, {contender}: {reason}", markup=False)


def _rich(table: Table) -> RichTable:
    made = RichTable(title=table.title, title_justify="left")
    for number, name in enumerate(table.header):
        made.add_column(name, justify="right" if number else "left", no_wrap=not number)
    for line in table.lines:
        made.add_row(*(cell.replace("**", "") for cell in line))
    return made
