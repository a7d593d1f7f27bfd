"""The conformance matrix: every requirement of the RFCs, and the tests that prove it.

The matrix is the folder ``conformance/`` of the source tree, a development artefact that is
not installed. :mod:`.matrix` reads it, :mod:`.suite` looks up the tests that it names among
those that pytest collects (:mod:`.collection`), and :mod:`.report` counts and prints.
"""

from ropewalk.lab.conformance.matrix import Matrix, Requirement, find_matrix, load_matrix
from ropewalk.lab.conformance.suite import dangling, suite_of

__all__ = ["Matrix", "Requirement", "dangling", "find_matrix", "load_matrix", "suite_of"]
