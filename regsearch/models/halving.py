"""Rungs: how far a trial gets before it must be among the best of the last that got there, or is given up.

Asynchronous successive halving (Li et al. 2020) on validation scores, with six differences. Until the first rung a
trial is trained on one fold alone, for one fold ranks trials about as well as all of them do; those that pass catch up
on the others. A trial is compared with others on the folds that it has: who was given up at the rung on another fold
counts as worse. Trials that arrive together are compared together, and with the last ones before them only: a sampler
that learns proposes ever better configs, nearly all of which would be among the best of all that there were. And a
trial that falls behind goes on where it gains so fast that it may still come out ahead: strong regularization learns
slowly. And some trials, the probes, are never given up: once a sampler has learned what is ahead at a rung, all that
gets there is alike, and what is ahead there is what learns fast. Only trials that went on to their end can tell
whether that is what ends best. `benchmarks/replay.py` measures all this.

K folds, E epochs (steps of a path).
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.averaging import Averaging

REDUCTION_FACTOR = 3  # one in so many goes on, by the best score so far, ...
OUTLOOK_FACTOR = 6  # ... and one in so many by its outlook: what learns slowly must get the chance
SHARES = (0.05, 0.1, 0.2, 0.4)  # of the epochs, where a training may be given up, ...
MIN_UPDATES = 40  # ... once its weights were updated so often: before, scores tell little
RECENT = 16  # the last trials that got to a rung before one: it is compared with these, and those beside it
MIN_TRIALS = 6  # that must have got to a rung before any is given up there
PROBES = 6  # one trial in so many is never given up
SAME_FOLD = 8  # trials with numbers in a row begin on the same fold: they train together


def rung_epochs(last: int, updates: int) -> tuple[int, ...]:
    """The epochs at which a training of so many epochs, and of so many updates in each, may be given up."""
    found = {max(1, round(share * last)) for share in SHARES}
    return tuple(sorted(epoch for epoch in found if epoch < last and epoch * updates >= MIN_UPDATES))


def first_fold(number: int, folds: int) -> int:
    """The fold that a trial begins on, by its number."""
    return number // SAME_FOLD % folds


@dataclass(frozen=True)
class Standing:
    """The best score so far, as bad as can be where none is defined; and the outlook.

    That is the score with as much again as the last half of the epochs has gained: what it may come to.
    """

    score: float
    outlook: float


@dataclass(frozen=True)
class RungEvidence:
    """What is known of a trial at a rung.

    Attributes
    ----------
    val
        ``[K, E]`` validation scores by then, larger is better; NaN in all epochs of folds that it was not trained on.
    averaging
        How folds are averaged.
    """

    val: Array
    averaging: Averaging
    _standings: dict[bytes, Standing] = field(default_factory=dict, compare=False, repr=False)  # by folds: asked often

    @property
    def folds(self) -> NDArray[np.bool_]:
        """``[K]``: those that it was trained on."""
        return np.asarray(~np.isnan(self.val).all(axis=1))

    def has(self, folds: NDArray[np.bool_]) -> bool:
        """Whether it was trained on all of these folds ``[K]``."""
        return bool(self.folds[folds].all())

    def standing(self, folds: NDArray[np.bool_]) -> Standing:
        """By the mean over these folds ``[K]``."""
        key = folds.tobytes()
        if key not in self._standings:
            mean = np.nan_to_num(self.averaging.some(folds).mean(self.val[folds]), nan=-np.inf)
            score, earlier = (float(part.max(initial=-np.inf)) for part in (mean, mean[: (len(mean) + 1) // 2]))
            gain = score - earlier if np.isfinite(earlier) else 0.0
            self._standings[key] = Standing(score, score + gain)
        return self._standings[key]


@dataclass(frozen=True)
class RungVerdict:
    """Whether a trial goes on from a rung: how many did better there, of how many that it was compared with."""

    goes_on: bool
    better: int
    compared: int

    def said(self, rung: int) -> str:
        """Why a trial is given up at a rung."""
        return f"rung at epoch {rung}: {self.better} of the last {self.compared} trials did better"


class SuccessiveHalving:
    """What is known at each rung, and who goes on.

    Parameters
    ----------
    past
        ``[K, E]`` validation curves of earlier trials, NaN in folds that they were not trained on. What is added to it
        later, of trials that were evaluated elsewhere, is known from then on.
    averaging
        How folds are averaged.
    min_trials
        How many must have got to a rung before any is given up there.
    probes
        One trial in so many, by its number, goes on whatever the others did; 0 for none.
    """

    def __init__(
        self, past: Sequence[Array], averaging: Averaging, min_trials: int = MIN_TRIALS, probes: int = PROBES
    ) -> None:
        self.past, self.averaging, self.min_trials, self.probes = past, averaging, min_trials, probes
        self._read: dict[int, int] = {}  # by rung, how many of `past` are known there
        self._known: dict[int, dict[Any, RungEvidence]] = {}  # by rung, then by trial as they came
        self._given_up: dict[int, set[Any]] = {}  # by rung, the trials that were given up there

    def judge(self, rung: int, arriving: Mapping[int, Array], spared: Container[int] = ()) -> dict[int, RungVerdict]:
        """Let trials arrive at a rung together: who goes on.

        Parameters
        ----------
        arriving
            By the trial's number, its validation curves ``[K, E]``.
        spared
            Numbers of those that go on whatever the verdict is.
        """
        known = self._at(rung)
        evidence = {number: self._evidence(val, rung) for number, val in arriving.items()}
        recent = [*islice(reversed(known), RECENT)][::-1]
        others = [*(known[trial] for trial in recent), *evidence.values()]
        given_up = [known[trial] for trial in recent if trial in self._given_up[rung]]
        verdicts = {number: self._verdict(number, own, others, given_up) for number, own in evidence.items()}
        known.update(evidence)
        self._given_up[rung] |= {
            number for number, verdict in verdicts.items() if not verdict.goes_on and number not in spared
        }
        return verdicts

    def complete(self, rung: int, number: int, val: Array) -> None:
        """Take note of a trial that went on from a rung, and has now come there on every fold ``[K, E]``."""
        known = self._at(rung)
        if number not in known or not known[number].folds.all():
            known[number] = self._evidence(val, rung)

    def end(self, number: int, val: Array | None) -> None:
        """Take note of how a trial has ended: from now on it counts as one of an earlier run would.

        Parameters
        ----------
        val
            Its validation curves ``[K, E]``; `None` of one that has failed: it counts for nothing.
        """
        for rung, known in self._known.items():
            if number in known and val is None:
                del known[number]
                self._given_up[rung].discard(number)
            elif number in known and val is not None and val.shape[1] >= rung:
                self._remember(rung, number, val)

    def _verdict(
        self, number: int, own: RungEvidence, known: Iterable[RungEvidence], given_up: Iterable[RungEvidence]
    ) -> RungVerdict:
        folds = own.folds
        mine, others = own.standing(folds), [one.standing(folds) for one in known if one.has(folds)]
        compared = len(others) + sum(not one.has(folds) for one in given_up)
        better = sum(one.score > mine.score for one in others)
        ahead = sum(one.outlook > mine.outlook for one in others)
        among = better < math.ceil(compared / REDUCTION_FACTOR) or ahead < math.ceil(compared / OUTLOOK_FACTOR)
        goes_on = among or compared < self.min_trials or self._is_probe(number)
        return RungVerdict(goes_on, better, compared)

    def _is_probe(self, number: int) -> bool:
        return self.probes > 0 and number % self.probes == self.probes - 1

    def _evidence(self, val: Array, rung: int) -> RungEvidence:
        return RungEvidence(val[:, :rung], self.averaging)

    def _at(self, rung: int) -> dict[Any, RungEvidence]:
        known, _ = self._known.setdefault(rung, {}), self._given_up.setdefault(rung, set())
        for i in range(self._read.get(rung, 0), len(self.past)):
            if self.past[i].shape[1] >= rung:
                self._remember(rung, ("past", i), self.past[i])
        self._read[rung] = len(self.past)
        return known

    def _remember(self, rung: int, trial: Any, val: Array) -> None:
        """Know a trial that has ended: what it lacks of folds, it was given up before."""
        self._known[rung][trial] = evidence = self._evidence(val, rung)
        (self._given_up[rung].discard if evidence.folds.all() else self._given_up[rung].add)(trial)
