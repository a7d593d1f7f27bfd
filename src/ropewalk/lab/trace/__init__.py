"""Reading qlogs: ours, of any draft since 0.3, and other stacks'."""

from ropewalk.lab.trace.align import align
from ropewalk.lab.trace.figures import Figures, PathFigures, Rates, figures_of, rates_of
from ropewalk.lab.trace.model import Close, Mark, PacketTable, PathSeries, Series, Stream, Trace
from ropewalk.lab.trace.reader import read_qlog, read_qlog_file
from ropewalk.lab.trace.records import NotQlog

__all__ = [
    "Close",
    "Figures",
    "Mark",
    "NotQlog",
    "PacketTable",
    "PathFigures",
    "PathSeries",
    "Rates",
    "Series",
    "Stream",
    "Trace",
    "align",
    "figures_of",
    "rates_of",
    "read_qlog",
    "read_qlog_file",
]
