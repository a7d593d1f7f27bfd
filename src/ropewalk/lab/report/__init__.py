"""The report: :func:`render` makes one self-contained HTML page of traces."""

from ropewalk.lab.report.page import Expectation, Happening, Measured, Page
from ropewalk.lab.report.render import render

__all__ = ["Expectation", "Happening", "Measured", "Page", "render"]
