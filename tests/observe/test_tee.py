"""Several observers in the place of one see what each would see alone."""

from __future__ import annotations

import ast
from pathlib import Path

from ropewalk.observe.counters import Counters
from ropewalk.observe.tee import Observers
from tests.connection.pair import Pair
from tests.observe.notebook import HOOKS, Notebook
from tests.observe.watched import move

SOURCE = Path(__file__).parents[2] / "src" / "ropewalk" / "observe" / "observer.py"


def test_every_hook_reaches_everyone() -> None:
    one, other = Notebook(), Notebook()
    both = Observers([one, other]).connection(0.0, True, b"", "", "")
    called = []
    for name, types in _hooks().items():
        values = tuple(_value(one) for one in types)
        getattr(both, name)(*values)
        called.append((name, *values))
    assert {"connection", *(call[0] for call in called)} == set(HOOKS)
    assert one.notes == other.notes == called


def _hooks() -> dict[str, list[str]]:
    """The types of all hooks' arguments, by the source: the compiled build knows none."""
    [observer] = [node for node in ast.parse(SOURCE.read_text()).body if type(node) is ast.ClassDef]
    return {
        hook.name: [ast.unparse(one.annotation) for one in hook.args.args[1:] if one.annotation]
        for hook in observer.body
        if isinstance(hook, ast.FunctionDef) and hook.name != "connection"
    }


def _value(annotation: str) -> object:
    """Something of the type."""
    examples: dict[str, object] = {"float": 1.5, "bool": True, "str": "word", "bytes": b"bytes"}
    if annotation.startswith("list"):
        return []
    if annotation.startswith("dict"):
        return {}
    return examples.get(annotation, 7)


def test_each_may_watch_a_connection_in_its_own_way() -> None:
    notebook, counters = Notebook(), Counters()
    pair = Pair(client={"observer": Observers([notebook, counters])}).connect()
    move(pair, 10_000)
    sent = [note for note in notebook.notes if note[0] == "packet_sent"]
    assert len(sent) == counters.values()["PacketsTx"] == pair.client.counters.packets_sent
