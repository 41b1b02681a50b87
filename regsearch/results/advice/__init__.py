"""What to do next, read from a finished study: a few sentences, each with its evidence in numbers."""

from regsearch.results.advice.checks import Advice, advise
from regsearch.results.advice.ranges import RangeExtension, range_extensions, widened

__all__ = ["Advice", "RangeExtension", "advise", "range_extensions", "widened"]
