"""What to do next, read from a finished study: a few sentences, each with its evidence in numbers."""

from regsearch.results.advice.checks import Advice, advise
from regsearch.results.advice.edges import Move, moves, widened

__all__ = ["Advice", "Move", "advise", "moves", "widened"]
