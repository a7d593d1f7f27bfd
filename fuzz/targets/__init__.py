"""One harness a file: ``fuzz_xxx(data)`` raises nothing, unless there is a bug.

What the contract lets a call raise is caught where it is raised; anything else that comes out
of a harness is a finding.
"""
