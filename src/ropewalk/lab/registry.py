"""All scenarios by name: the catalogue's files and functions, and those that a user adds."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

from ropewalk.lab.scenario import CustomScenario, Family, Scenario
from ropewalk.lab.scenario_file import load_scenario
from ropewalk.quic.types.errors import ConfigurationError

AnyScenario = Scenario | CustomScenario

_CATALOGUE: Final = Path(__file__).with_name("catalogue")


class Registry:
    """Scenarios in the order in which they were added."""

    def __init__(self) -> None:
        self._scenarios: dict[str, AnyScenario] = {}

    def add(self, scenario: AnyScenario) -> None:
        """Add one. Raises ``ConfigurationError`` when the name is taken."""
        if scenario.name in self._scenarios:
            raise ConfigurationError(f"two scenarios are called {scenario.name!r}")
        self._scenarios[scenario.name] = scenario

    def scenario(self, make: Callable[[], Scenario]) -> Callable[[], Scenario]:
        """Decorator: the function returns a scenario, which is added."""
        self.add(make())
        return make

    def play(
        self,
        *,
        family: Family,
        about: str,
        name: str = "",
        seed: int = 1,
        parameters: Mapping[str, object] | None = None,
    ) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Decorator: the function *is* the scenario; it receives a
        :class:`~ropewalk.lab.trial.Trial`. The name is the function's unless given."""

        def add(play: Callable[..., None]) -> Callable[..., None]:
            self.add(
                CustomScenario(
                    name=name or play.__name__,
                    family=family,
                    about=about,
                    play=play,
                    seed=seed,
                    parameters=parameters or {},
                )
            )
            return play

        return add

    def get(self, name: str) -> AnyScenario:
        """The scenario of that name. Raises ``ConfigurationError`` with the nearest ones."""
        found = self._scenarios.get(name)
        if found is None:
            raise ConfigurationError(
                f"there is no scenario {name!r}{_nearest(name, list(self._scenarios))}; "
                "`ropewalk lab list` shows all"
            )
        return found

    def all(self, family: str | None = None) -> list[AnyScenario]:
        """All of them, or those of one family."""
        return [one for one in self._scenarios.values() if family in (None, one.family)]


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    return f"; near to it: {', '.join(near)}" if near else ""


#: Where modules of the catalogue register their functions: ``@catalogue.play(...)``.
catalogue: Final = Registry()
_loaded: list[bool] = []


def load_catalogue() -> Registry:
    """The shipped catalogue: ``catalogue/*.toml`` and the functions in ``catalogue/*.py``."""
    if not _loaded:
        _loaded.append(True)
        for path in sorted(_CATALOGUE.rglob("*.toml")):
            catalogue.add(load_scenario(path))
        for path in sorted(_CATALOGUE.glob("*.py")):
            if path.stem != "__init__":
                import_module(f"ropewalk.lab.catalogue.{path.stem}")
    return catalogue


def find_scenario(name: str) -> AnyScenario:
    """The scenario of the catalogue with that name, or the one in a TOML file.

    Raises ``ConfigurationError`` when there is none.
    """
    if name.endswith(".toml"):
        return load_scenario(Path(name))
    return load_catalogue().get(name)
