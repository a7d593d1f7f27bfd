"""The property machine: two endpoints, a wire that does anything, and a model of what must hold.

Rules are plain calls with small numbers (:mod:`~ropewalk.lab.machine.calls`), so that a run is
a list that can be drawn from a seed, found by a property tester, shrunk, printed and replayed.
"""

from ropewalk.lab.machine.calls import RULES, Call, draw_calls, shrink
from ropewalk.lab.machine.machine import Machine, play
from ropewalk.lab.machine.plan import Plan, draw_plan

__all__ = ["RULES", "Call", "Machine", "Plan", "draw_calls", "draw_plan", "play", "shrink"]
