"""Sections: what each tries, how often, and what must hold afterwards."""

from __future__ import annotations

import importlib
import pkgutil
import resource
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import damage

SECTIONS: dict[str, Section] = {}


@dataclass(frozen=True)
class Attempt:
    """One thing that was tried.

    Attributes
    ----------
    name
        What was done, precise enough to do it again.
    problem
        What did not hold afterwards; empty where all did.
    """

    name: str
    problem: str = ""


Tried = Callable[[int, int], Iterator[Attempt]]


@dataclass(frozen=True)
class Section:
    """A kind of damage.

    Attributes
    ----------
    count
        How many attempts stand behind the figures of the docs.
    attempts
        A function from a number of attempts and a seed to as many attempts, spread over everything there is.
    promise
        What must hold after each, in one sentence: the first of the function's docstring.
    """

    name: str
    count: int
    attempts: Tried
    promise: str


def section(count: int) -> Callable[[Tried], Tried]:
    """Register a function as the section of its name."""

    def register(attempts: Tried) -> Tried:
        promise = " ".join((attempts.__doc__ or "").partition("\n\n")[0].split())
        SECTIONS[attempts.__name__] = Section(attempts.__name__, count, attempts, promise)
        return attempts

    return register


def sections() -> Mapping[str, Section]:
    """Every section of the modules beside this one, by name."""
    for module in pkgutil.iter_modules(damage.__path__):
        importlib.import_module(f"damage.{module.name}")
    return SECTIONS


def processor_seconds() -> float:
    """Seconds of a processor that this process and those that it started have had: waiting for others costs none."""
    used = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)
