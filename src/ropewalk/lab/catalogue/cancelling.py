"""Programs on the asynchronous API, cancelled at each of their await points in turn.

``--set backend=trio`` does it on trio, ``--set native=true`` by asyncio's own ``Task.cancel``,
``--set lag=0.004`` so many seconds after each point, ``--set every=10`` at each tenth one.
"""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.lab.cancellation import CancellationScenario, EveryNth, Stroke, sweep
from ropewalk.lab.cancellation.scenarios import SCENARIOS
from ropewalk.lab.outcome import Breach
from ropewalk.lab.registry import catalogue
from ropewalk.lab.trial import Broken, Trial
from ropewalk.lab.virtual_time import BACKENDS
from ropewalk.quic.types.errors import ConfigurationError


def _sweep_of(program: CancellationScenario) -> Callable[[Trial], None]:
    def play(trial: Trial) -> None:
        wanted = trial.parameters
        backend = next((one for one in BACKENDS if one == wanted["backend"]), None)
        if backend is None:
            raise ConfigurationError(f"backend must be one of {', '.join(BACKENDS)}")
        stroke = Stroke(float(str(wanted["lag"])), bool(wanted["native"]))
        every = EveryNth(int(str(wanted["every"])))
        report = sweep(program, every, backend, trial.seed, stroke)
        trial.adopt(report.network)  # of the recording run: its packets, time and trace
        trial.note("await points", len(report.points))
        trial.note("runs", report.runs)
        for broken in report.breaches:
            where = "undisturbed" if broken.point is None else f"cancelled at {broken.point}"
            raise Broken(
                Breach(
                    id=broken.invariant_id,
                    host=program.name,
                    virtual_time=broken.virtual_time,
                    text=f"{broken.text} ({where})",
                )
            )
        trial.check(report.runs >= 5, "cancelled", f"only {report.runs} points were cancelled")

    return play


for _program in SCENARIOS.values():
    catalogue.play(
        family="close",
        name=f"cancelled_{_program.name.replace('-', '_')}",
        about=f"{_program.about}, cancelled at each await point: nothing leaks, the peer learns",
        parameters={"backend": "asyncio", "native": False, "lag": 0.0, "every": 1},
    )(_sweep_of(_program))
