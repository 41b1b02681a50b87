"""Whole searches replayed: a sampler proposes, a surrogate trains, rungs give up; time is epochs of one fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from regsearch._types import Array
from regsearch.metrics.averaging import Averaging
from regsearch.models.halving import SuccessiveHalving, first_fold, rung_epochs
from regsearch.models.path import Curves
from regsearch.space.config import digest
from regsearch.space.sampling import sample
from regsearch.space.starts import initial_params
from regsearch.space.tree import Node
from regsearch.storage.optuna_study import searched_study
from regsearch.study.expected_scores import ExpectedScores
from regsearch.study.proposals.sampler import DefaultSampler
from replays.rungs import PATIENCE

IN_FLIGHT, REFILL, STRIDE = 16, 4, 5  # as `regsearch.models.neural.training.stack` has them
Curve: TypeAlias = Callable[[dict[str, Any]], Array]  # from parameters to scores [K, E]


@dataclass
class Live:
    """A trial in training."""

    asked: Any
    curves: Array
    lone: bool  # whether it trains on its first fold only
    epoch: int = 0

    @cached_property
    def length(self) -> int:
        """Epochs until patience has run out."""
        mean, best, since = self.curves.mean(axis=0), -np.inf, 0
        for epoch, score in enumerate(mean, 1):
            best, since = (score, 0) if score > best else (best, since + 1)
            if since >= PATIENCE:
                return epoch
        return len(mean)

    @property
    def folds(self) -> int:
        """How many it trains on."""
        return 1 if self.lone else len(self.curves)

    def seen(self) -> Curves:
        """What is known of it."""
        val = self.curves[:, : self.epoch].copy()
        if self.lone:
            val[np.arange(len(val)) != first_fold(self.asked.number, len(val))] = np.nan
        return Curves(val, val, Averaging.equal(len(val)))


@dataclass
class Replay:
    """One search.

    Parameters
    ----------
    sampling
        From the search and the number of trials to an Optuna sampler.
    updates
        Of the weights, in an epoch; 0 for no rungs.

    Attributes
    ----------
    spent, scores
        Of complete trials in the order in which they were: when, and what they scored.
    """

    space: Node
    curve: Curve
    sampling: Callable[[Replay, int], Any]
    seed: int
    updates: int
    in_flight: int = IN_FLIGHT
    spent: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    live: list[Live] = field(default_factory=list)
    now: float = 0.0
    count: int = 0

    def __post_init__(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = optuna.create_study(direction="maximize")
        self.expected = ExpectedScores()
        self.view = searched_study(self.study, self.expected.values)
        self.known: set[str] = set()
        self.halving: SuccessiveHalving | None = None
        self.rungs: tuple[int, ...] = ()

    @cached_property
    def default(self) -> DefaultSampler:
        """What makes regsearch's own sampler."""
        return DefaultSampler(self.space, self.seed, lambda config: digest(config) in self.known)

    def run(self, trials: int, until: float = np.inf, starts: bool = True) -> Replay:
        """Search until so many trials are begun, or so much time is spent."""
        for params in initial_params(self.space) if starts else ():
            self.study.enqueue_trial(params)
        while True:
            free = self.in_flight - len(self.live)
            if self.now < until and (not self.live or free >= max(1, self.in_flight // REFILL)):
                for _ in range(min(free, trials - self.count)):
                    self._ask()
            if not self.live:
                return self
            self._advance()
            given_up = self._given_up()
            gone = [*given_up, *self._ended(given_up)]
            self.live = [one for one in self.live if one not in gone]

    def reach(self, score: float) -> float:
        """When a score was reached."""
        return next((when for when, found in zip(self.spent, self.scores, strict=True) if found >= score), np.inf)

    def _ask(self) -> None:
        self.view.sampler = self.sampling(self, self.count)
        asked = self.view.ask()
        self.known.add(digest(sample(self.space, asked)))
        curves = self.curve(asked.params)
        if self.halving is None:
            self.halving = SuccessiveHalving((), Averaging.equal(len(curves)))
            self.rungs = rung_epochs(curves.shape[1], self.updates) if self.updates else ()
        self.live.append(Live(asked, curves, bool(self.rungs)))
        self.count += 1

    def _advance(self) -> None:
        marks = [mark - one.epoch for one in self.live for mark in (*self.rungs, one.length)]
        stride = min([STRIDE, *(ahead for ahead in marks if ahead > 0)])
        for one in self.live:
            one.epoch += stride
            self.now += stride * one.folds

    def _given_up(self) -> list[Live]:
        """Those that do not go on from a rung; the others catch up."""
        out: list[Live] = []
        assert self.halving is not None
        for rung in self.rungs:
            at = {one.asked.number: one for one in self.live if one.epoch == rung}
            verdicts = self.halving.judge(rung, {number: one.seen().val for number, one in at.items()})
            out += [one for number, one in at.items() if not verdicts[number].goes_on]
            for number, one in at.items():
                if verdicts[number].goes_on and one.lone:
                    self.now += (len(one.curves) - 1) * one.epoch
                    one.lone = False
                    self.halving.complete(rung, number, one.seen().val)
                if verdicts[number].goes_on:
                    self.expected.add_seen(number, one.seen())
        for one in out:
            self._tell_pruned(one)
        return out

    def _tell_pruned(self, one: Live) -> None:
        from optuna.trial import TrialState

        seen = one.seen()
        one.asked.report(float(seen.mean().max()), step=one.epoch)
        self.study.tell(one.asked, state=TrialState.PRUNED)
        self.expected.add_seen(one.asked.number, seen)

    def _ended(self, given_up: list[Live]) -> list[Live]:
        """Those whose patience or epochs ran out, and that were not given up."""
        gone = {one.asked.number for one in given_up}
        ended = [one for one in self.live if one.epoch >= one.length and one.asked.number not in gone]
        for one in ended:
            one.epoch, one.lone = one.length, False
            seen = one.seen()
            score = float(seen.mean().max())
            self.study.tell(one.asked, score)
            self.expected.add_complete(one.asked.number, seen, score)
            self.spent.append(self.now)
            self.scores.append(score)
        return ended
