"""The property machine under hypothesis: any rules in any order, and every law holds.

A failure prints a plan and a list of calls for ``test_regressions.py``. Ten thousand longer runs
are ``make soak``, which also shrinks what it finds.
"""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from ropewalk.lab.machine import RULES, Call, Machine, Plan, draw_plan

#: Any settings of both sides that a seed can draw.
PLANS = st.integers(0, 9999).map(draw_plan)
#: A rule as often as its weight says.
NAMES = st.sampled_from([name for name, (weight, _) in RULES.items() for _ in range(weight)])


@st.composite
def a_call(draw: st.DrawFn) -> Call:
    """One rule with its arguments."""
    name = draw(NAMES)
    return (name, *(draw(st.integers(0, limit - 1)) for limit in RULES[name][1]))


class Rules(RuleBasedStateMachine):
    """Draws calls; what they do, and what must hold, is the machine's affair."""

    def __init__(self) -> None:
        super().__init__()
        self.machine: Machine | None = None
        self.calls: list[Call] = []

    @initialize(plan=PLANS)
    def begin(self, plan: Plan) -> None:
        self.machine = Machine(plan)
        self.plan = plan

    @rule(calls=st.lists(a_call(), min_size=1, max_size=4))
    def play(self, calls: list[Call]) -> None:
        assert self.machine is not None
        for name, *arguments in calls:
            self.calls.append((name, *arguments))
            self.machine.call(name, arguments)

    def teardown(self) -> None:
        if self.machine is not None:
            note(f"PLAN, CALLS = {self.plan!r}, {self.calls!r}")
            self.machine.finish()


TestMachine = Rules.TestCase
TestMachine.settings = settings(
    max_examples=200,
    stateful_step_count=16,
    derandomize=True,
    deadline=None,
    # Hypothesis would shrink for minutes; the machine has a quicker way.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
