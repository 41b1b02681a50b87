"""A study stays flat: what a trial takes does not grow with the trials that were there before it."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import optuna
import pytest
from samples import regression

from regsearch import Float, Linear, Study
from regsearch.metrics.averaging import Averaging
from regsearch.models.base import Backend, Candidate, Outcome, Setup
from regsearch.models.fold_rungs import FoldRungs
from regsearch.models.path import Curves, Trajectory

FOLDS, EARLY, LATE, WINDOW = 3, 20, 220, 6
GROWTH = 1.03  # of the lines that run: a number of more digits, a loop of the system's


@dataclass(frozen=True)
class Made(Linear):
    """Linear models whose scores are made up: the better, the nearer lambda is to 1; every third is given up."""

    gives_up: bool = False

    def backend(self, setup: Setup) -> Backend:
        return MadeUp(setup, self.gives_up)


@dataclass
class MadeUp:
    setup: Setup
    gives_up: bool

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
        rungs = FoldRungs(self.setup.history.curves, Averaging.equal(FOLDS))
        for candidate in candidates:
            config: Any = candidate.config
            val = np.full((FOLDS, 1), -((math.log(config.lambda_ or 1e-9)) ** 2)) + np.arange(FOLDS)[:, None]
            pruned = self.gives_up and candidate.number % 3 == 2
            best = self.setup.history.best_folds
            rungs.why_given_up(candidate.number, val[:1, 0], [0], best)
            if pruned:
                val[1:] = np.nan
            else:
                rungs.end(candidate.number, val[:, 0])
            name = self.setup.metrics[0].name
            trajectory = Trajectory(np.array([config.lambda_]), {name: Curves(val, val)}, np.full(val.shape, 2.0))
            yield Outcome(candidate, "pruned" if pruned else "complete", trajectory)


@dataclass
class Lines:
    """A sampler that counts the lines of Python that run, anyone's, from one trial that is asked for to the next."""

    sampler: Any = field(default_factory=lambda: optuna.samplers.RandomSampler(seed=0))
    counts: list[Counter[CodeType]] = field(default_factory=list)  # by trial, in each function
    now: Counter[CodeType] | None = None

    def __call__(self, count: int) -> Any:
        if self.now is not None:
            self.counts.append(self.now)
        watched = any(begin <= count <= begin + WINDOW for begin in (EARLY, LATE))
        self.now = Counter() if watched else None
        sys.settrace(self._enter if watched else None)
        return self.sampler

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if self.now is not None and event == "line":
            self.now[frame.f_code] += 1
        return self._line

    @property
    def least(self) -> tuple[Counter[CodeType], Counter[CodeType]]:
        """Those of the cheapest early trial and of the cheapest late one: with some the disk is told to keep things."""
        half = len(self.counts) // 2
        early, late = (min(part, key=Counter.total) for part in (self.counts[:half], self.counts[half:]))
        return early, late


def growth(lines: Lines) -> str:
    """What takes more lines in the end, the most first."""
    early, late = lines.least
    more = Counter({code: late[code] - early[code] for code in late}).most_common(3)
    return ", ".join(f"{code.co_filename}:{code.co_firstlineno} {count:+}" for code, count in more)


@pytest.mark.slow
@pytest.mark.parametrize("gives_up", [False, True])
def test_a_trial_takes_no_more_than_those_before_it(gives_up: bool, tmp_path: Path) -> None:
    """From ask to ask, as many lines of Python run after 220 trials as after 20: nothing goes through those before."""
    lines, space = Lines(), Made("elastic_net", Float(1e-3, 1e3, log=True), gives_up=gives_up)
    trace = sys.gettrace()
    study = Study("flat", *regression(), space=space, cv=FOLDS, root=tmp_path, tracking=False, sampler=lines)
    try:
        results = study.run(LATE + 2 * WINDOW, patience=10_000, quiet=True)
    finally:
        sys.settrace(trace)
    assert results.counts["pruned"] == (len(range(2, LATE + 2 * WINDOW, 3)) if gives_up else 0)
    assert len(lines.counts) == 2 * (WINDOW + 1)
    early, late = lines.least
    assert late.total() <= GROWTH * early.total(), growth(lines)
