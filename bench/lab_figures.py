"""``make figures``: how well the congestion controllers use the lab's networks.

Bulk downloads of 60 virtual seconds after 10 s of warm-up, with a queue of one
bandwidth-delay product: alone without random loss, with random loss against the response
functions of RFC 5681 and RFC 9438, and two at a time. Writes its part of ``docs/lab.md``.
Everything repeats from the seeds; nothing depends on the machine but how long it takes. About
20 minutes on two processors; ``--part`` makes one table anew.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

from ropewalk.lab.outcome import Outcome
from ropewalk.lab.runner import run
from ropewalk.lab.scenario import FlowSpec, HostSpec, LinkSpec, RouteSpec, Scenario, Topology
from ropewalk.sim.link import HEADER_BYTES
from ropewalk.sim.presets import PRESETS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "lab.md"
BEGIN = "<!-- {}: written by bench/lab_figures.py -->"
END = "<!-- end of {} -->"
WARMUP, DURATION = 10.0, 60.0
CONTROLLERS = ("newreno", "cubic")
LOSSES = (0.0001, 0.001, 0.01)
PAIR_SEEDS, LATER = 2, 5.0
LEAST_USE, LEAST_RESPONSE, LEAST_JAIN = 0.95, 0.85, 0.96


@dataclass(frozen=True)
class Job:
    """One run: a preset without losses of its own, and what is added to it."""

    preset: str
    congestion: str
    loss: float = 0.0
    flows: int = 1
    seed: int = 1
    #: when the second flow begins
    second: float = 0.0


@dataclass(frozen=True)
class Result:
    """``use`` of the bottleneck, UDP payload in bytes per second, datagram size, goodput of
    each flow, and the mean round trip."""

    job: Job
    use: float
    payload_rate: float
    datagram: float
    round_trip: float
    goodputs: tuple[float, ...]
    microseconds: float
    breaches: tuple[str, ...]


Plan = Callable[[Sequence[str], int], list[Job]]
Table = Callable[[Sequence[Result]], str]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="append", choices=list(PARTS))
    parser.add_argument("--preset", action="append", choices=list(PRESETS))
    parser.add_argument("--seeds", type=int, default=4, help="runs of each case with loss")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--no-page", action="store_true", help="print, but write no page")
    given = parser.parse_args()
    names = given.preset or list(PRESETS)
    broken: list[Result] = []
    for part in given.part or list(PARTS):
        plan, table = PARTS[part]
        results = play(plan(names, given.seeds), given.jobs)
        broken += [one for one in results if one.breaches]
        text = table(results)
        print(text, end="\n\n")
        if not given.no_page and not given.preset:
            write(part, text)
    for one in broken:
        print(f"{one.job}: {one.breaches}", file=sys.stderr)
    return 1 if broken else 0


def write(part: str, text: str) -> None:
    """Put a table between its marks on the page."""
    begin, end = BEGIN.format(part), END.format(part)
    before, _, rest = PAGE.read_text().partition(begin)
    PAGE.write_text(f"{before}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}")


def alone(names: Sequence[str], seeds: int) -> list[Job]:
    """One flow, no random loss: nothing is left to chance, so that one run is enough."""
    return [Job(name, one) for name in names for one in CONTROLLERS]


def pairs(names: Sequence[str], seeds: int) -> list[Job]:
    """Two flows that begin together."""
    return [
        Job(name, one, flows=2, seed=seed)
        for name in names
        for one in CONTROLLERS
        for seed in range(1, PAIR_SEEDS + 1)
    ]


def later(names: Sequence[str], seeds: int) -> list[Job]:
    """Two flows, the second of which begins when the first has filled the line."""
    return [Job(name, one, flows=2, second=LATER) for name in names for one in CONTROLLERS]


def lossy(names: Sequence[str], seeds: int) -> list[Job]:
    """One flow and random loss."""
    return [
        Job(name, one, loss, seed=seed)
        for name in names
        for one in CONTROLLERS
        for loss in LOSSES
        for seed in range(1, seeds + 1)
    ]


def play(jobs: Sequence[Job], processes: int) -> list[Result]:
    """All runs, with a line about each as it ends."""
    results = []
    with ProcessPoolExecutor(processes) as pool:
        for number, result in enumerate(pool.map(measure, jobs), 1):
            print(f"{number} of {len(jobs)}: {result.job}, {result.use:.3f}", file=sys.stderr)
            results.append(result)
    return results


def scenario_of(job: Job) -> Scenario:
    """Servers behind one bottleneck, a client for each of them."""
    link = LinkSpec(
        name="access",
        preset=job.preset,
        queue_bdp=1.0,
        both={"loss": job.loss, "loss_model": "none"},
    )
    names = [f"client{index}" for index in range(job.flows)]
    return Scenario(
        name="figures",
        family="networks",
        about="bulk at a bottleneck",
        topology=Topology(
            hosts=(
                *(HostSpec(name=name) for name in names),
                HostSpec(name="server", role="server"),
            ),
            links=(link,),
            routes=tuple(RouteSpec(client=name, via=("access",)) for name in names),
        ),
        flows=tuple(
            FlowSpec(
                name=f"flow{index}",
                client=name,
                start=job.second * index,
                duration=WARMUP + DURATION + job.second * (job.flows - 1 - index),
                warmup=WARMUP + job.second * (job.flows - 1 - index),
                congestion=job.congestion,
            )
            for index, name in enumerate(names)
        ),
        seed=job.seed,
        time_limit=300.0,
    )


def _client(name: str) -> HostSpec:
    return HostSpec(name=name)


def measure(job: Job) -> Result:
    """One run and its figures."""
    outcome = run(scenario_of(job))
    down = outcome.links["access.down"]
    rate = PRESETS[job.preset].down.rate
    payload = down["payload_rate"]
    packets = (down["use"] * rate - payload) / HEADER_BYTES
    return Result(
        job,
        down["use"],
        payload,
        payload / packets if packets else 0.0,
        mean_round_trip(outcome),
        tuple(flow.figures["goodput"] for flow in outcome.flows),
        outcome.microseconds_per_packet,
        tuple(str(one) for one in outcome.breaches),
    )


def mean_round_trip(outcome: Outcome) -> float:
    """The server's smoothed round trip, averaged over the time that counts."""
    samples = [
        value
        for series in outcome.series
        if series.figure == "smoothed_rtt" and series.where.startswith("server")
        for at, value in zip(series.times, series.values, strict=True)
        if at >= WARMUP and value > 0
    ]
    return statistics.fmean(samples)


def response(job: Job, datagram: float, round_trip: float) -> float:
    """Bytes per second that the response function allows at this loss: of RFC 5681's
    algorithm with one datagram a round trip and half the window (RFC 9438 5.1), and for CUBIC
    the larger of that and its own (RFC 9438 5.2, figure 6)."""
    window = sqrt(1.5 / job.loss)
    if job.congestion == "cubic":
        cubic = (0.4 * 3.7 / (4 * 0.3)) ** 0.25 * (round_trip / job.loss) ** 0.75
        window = max(window, cubic)
    return window * datagram / round_trip


def use_table(results: Sequence[Result]) -> str:
    """Alone, without random loss."""
    lines = [
        "### Alone on the line",
        "",
        "Share of the rate that was used, and the mean round trip while it was.",
        "",
        "| preset | rate, Mbit/s | " + " | ".join(f"{one} | RTT, ms" for one in CONTROLLERS) + " |",
        "| --- | ---: |" + " ---: | ---: |" * len(CONTROLLERS),
    ]
    for name in dict.fromkeys(one.job.preset for one in results):
        row = [one for one in results if one.job.preset == name]
        cells = [f"{mark(one.use, LEAST_USE, '.3f')} | {one.round_trip * 1e3:.0f}" for one in row]
        rate = PRESETS[name].down.rate * 8e-6
        lines.append(f"| {name} | {rate:.0f} | " + " | ".join(cells) + " |")
    cost = statistics.median(one.microseconds for one in results)
    lines += [
        "",
        f"A delivered datagram took {cost:.1f} µs of wall time in the median of these runs, both "
        "ends, the link and all oracles together.",
    ]
    return "\n".join(lines)


def fairness_table(results: Sequence[Result]) -> str:
    """Two flows of one kind at one bottleneck."""
    second = results[0].job.second
    lines = [
        f"### Two at a time, the second {second:.0f} s later" if second else "### Two at a time",
        "",
        f"Two flows of one controller: Jain's index of their goodput over {DURATION:.0f} s, the "
        "mean of the seeds, and the lowest of them.",
        "",
        "| preset | " + " | ".join(CONTROLLERS) + " |",
        "| --- |" + " ---: |" * len(CONTROLLERS),
    ]
    for name in dict.fromkeys(one.job.preset for one in results):
        cells = []
        for kind in CONTROLLERS:
            indices = [
                jain(one.goodputs)
                for one in results
                if (one.job.preset, one.job.congestion) == (name, kind)
            ]
            lowest = mark(min(indices), LEAST_JAIN, ".3f")
            cells.append(f"{mark(statistics.fmean(indices), LEAST_JAIN, '.3f')} ({lowest})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def loss_table(results: Sequence[Result]) -> str:
    """Random loss against the response functions."""
    lines = [
        "### With random loss",
        "",
        "UDP payload that arrived, over the smaller of the rate and what the response function "
        "allows at this loss and the flow's own mean round trip. In brackets the same with the "
        "round trip of the empty line. Means over the seeds.",
        "",
        "| preset | loss | " + " | ".join(CONTROLLERS) + " |",
        "| --- | ---: |" + " ---: |" * len(CONTROLLERS),
    ]
    for name in dict.fromkeys(one.job.preset for one in results):
        for loss in LOSSES:
            cells = []
            for kind in CONTROLLERS:
                runs = [
                    one
                    for one in results
                    if (one.job.preset, one.job.loss, one.job.congestion) == (name, loss, kind)
                ]
                own = statistics.fmean(share(one, one.round_trip) for one in runs)
                empty = statistics.fmean(share(one, PRESETS[name].rtt) for one in runs)
                cells.append(f"{mark(own, LEAST_RESPONSE, '.2f')} ({empty:.2f})")
            lines.append(f"| {name} | {loss:.2%} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def share(one: Result, round_trip: float) -> float:
    """What arrived, over what could have."""
    rate = PRESETS[one.job.preset].down.rate * one.datagram / (one.datagram + HEADER_BYTES)
    return one.payload_rate / min(rate, response(one.job, one.datagram, round_trip))


def jain(values: Sequence[float]) -> float:
    """Jain's fairness index (Jain, Chiu and Hawe, DEC-TR-301, 1984)."""
    return sum(values) ** 2 / (len(values) * sum(one * one for one in values))


def mark(value: float, least: float, form: str) -> str:
    """The figure, in bold where it misses what it should reach."""
    text = format(value, form)
    return text if value >= least else f"**{text}**"


PARTS: dict[str, tuple[Plan, Table]] = {
    "alone": (alone, use_table),
    "pairs": (pairs, fairness_table),
    "later": (later, fairness_table),
    "lossy": (lossy, loss_table),
}

if __name__ == "__main__":
    sys.exit(main())
