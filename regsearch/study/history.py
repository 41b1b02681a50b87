"""The finished trials of a search: which one leads, which configs were tried, what a backend may read of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from regsearch._types import Array
from regsearch.models.base import REFERENCE, Candidate
from regsearch.models.path import Curves
from regsearch.results.ranking import is_better
from regsearch.storage.store import Store
from regsearch.storage.trial import Trial
from regsearch.study.expected_scores import ExpectedScores, Scores

_NUMBERS = re.compile(r"\d[\d.,e+-]*")  # reasons that differ in the values that they quote are one


class History:
    """Finished trials, in the order in which they finished.

    Parameters
    ----------
    store
        Where their curves are.
    metric
        The one that decides; larger is better.
    """

    def __init__(self, store: Store, metric: str) -> None:
        self.store, self.metric = store, metric
        self.trials: list[Trial] = []
        self.best: Trial | None = None
        self.references: dict[str, Trial] = {}  # by family, those that were complete or not
        self._leading: dict[str, tuple[int, Array]] = {}  # the number of its leader, and the scores of that
        self._leaders: dict[str, Trial] = {}  # by family
        self._evaluated: dict[str, Trial] = {}  # by key, the first trial that evaluated a config to its end
        self._expected: dict[str, ExpectedScores] = {}  # by family: paths of two are not alike
        self._scores = Scores()
        self._unread: list[Trial] = []  # complete and pruned ones whose curves `expected` has not read
        self._on_way: dict[int, tuple[str, Curves]] = {}  # by number: the family of a running one, and curves unread
        self._given_up = False  # whether any was pruned
        self._tried: set[str] = set()  # keys of the space's configs that have had a trial
        self._failures: list[Trial] = []
        self._works = False  # whether something else than a failure came of a config of the space
        self._improved = 0  # how many trials there were when the best one last gave way to a better
        self.before = 0  # how many trials earlier runs finished

    def add(self, trial: Trial) -> None:
        """Take note of a finished trial, whose curves are stored."""
        self.trials.append(trial)
        self._on_way.pop(trial.number, None)
        if trial.state == "failed":
            self._failures.append(trial)
        elif trial.role != REFERENCE:
            self._works = True
        if trial.role == REFERENCE:
            self.references[trial.family] = trial
        else:
            self._tried.add(trial.key)
            if trial.state in ("complete", "pruned"):
                self._unread.append(trial)
                self._given_up = self._given_up or trial.state == "pruned"
        if trial.state == "complete":
            self._evaluated.setdefault(trial.key, trial)
            if self.is_best(trial):
                self._improved = self._improved if self._ties(trial) else len(self.trials)
                self.best = trial
                self.__dict__.pop("best_folds", None)
            if self._leads(trial, self._leaders.get(trial.family)):
                self._leaders[trial.family] = trial

    def is_best(self, trial: Trial) -> bool:
        """Whether a trial that comes after those here is the best of them all."""
        return trial.state == "complete" and self._leads(trial, self.best)

    def leads(self, trial: Trial, others: Iterable[Trial]) -> bool:
        """Whether a trial that stands as it was stopped is better than the best of those here, and than others."""
        return all(self._leads(trial, one) for one in (self.best, *others))

    def _ties(self, trial: Trial) -> bool:
        """Whether a trial leads for being more regularized alone, its score being that of the one that led."""
        points = [one.points.get(self.metric) for one in (trial, self.best) if one is not None]
        new, *old = [point for point in points if point is not None]
        return bool(old) and abs(new.val - old[0].val) <= new.tolerance

    def _leads(self, trial: Trial, leader: Trial | None) -> bool:
        """Whether a trial that may be chosen is better than one that led, and than what is not regularized."""
        return is_better(trial, leader, self.references, self.metric)

    # --- configs -----------------------------------------------------------------------------------------------

    def note_tried(self, key: str) -> None:
        """Take note of a config that is on its way."""
        self._tried.add(key)

    def was_tried(self, key: str) -> bool:
        """Whether a config of the space has had a trial."""
        return key in self._tried

    @property
    def tried(self) -> int:
        """The number of configs of the space that have had a trial."""
        return len(self._tried)

    def evaluated(self, key: str) -> Trial | None:
        """The trial that evaluated a config to its end: its results are those of every equal config."""
        return self._evaluated.get(key)

    # --- how it goes -------------------------------------------------------------------------------------------

    def note_on_way(self, candidate: Candidate, curves: Curves) -> None:
        """Take note of what a candidate in training has shown."""
        self._on_way[candidate.number] = candidate.family, curves

    @property
    def expected(self) -> Mapping[int, float]:
        """What pruned trials would have scored, had they gone on, and what those on their way will, by number.

        There are none before any was pruned.
        """
        if self._given_up:
            for trial in self._unread:
                curves, scores = self.store.curves(trial.number, self.metric), self._scores_of(trial.family)
                if trial.state == "complete":
                    scores.add_complete(trial.number, curves, trial.point.val)
                else:
                    scores.add_seen(trial.number, curves)
            for number, (family, curves) in self._on_way.items():
                self._scores_of(family).add_seen(number, curves)
            self._unread.clear()
            self._on_way.clear()
        return self._scores

    def _scores_of(self, family: str) -> ExpectedScores:
        return self._expected.setdefault(family, ExpectedScores(self._scores))

    def begin(self) -> None:
        """Take what is here for that of earlier runs."""
        self.before = len(self.trials)

    @property
    def since_best(self) -> int:
        """Trials of this run since the best was last improved on, whether they were complete, pruned or failed.

        What no rule chooses, as the reference and what diverges, is improved on by the first trial beside it.
        """
        return max(len(self.trials) - max(self._improved, self.before), 0)

    @property
    def failures(self) -> Sequence[Trial]:
        """The trials that have failed, where that is all that came of the space's configs; none elsewhere."""
        return () if self._works else self._failures

    def why_failed(self) -> str:
        """What `failures` have in common, as the end of a sentence: whether the reference works, and most reasons."""
        failed, kinds = self.failures, Counter(_NUMBERS.sub("", trial.reason) for trial in self.failures)
        kind, count = kinds.most_common(1)[0]
        last = next(trial.reason for trial in reversed(failed) if _NUMBERS.sub("", trial.reason) == kind)
        reason = " ".join(last.split())
        works = any(reference.state == "complete" for reference in self.references.values())
        beside = " beside the reference, which works," if works else ""
        return f"{beside} failed, {'all' if count == len(failed) else f'{count} of {len(failed)}'} with: {reason}"

    # --- what backends read: `regsearch.models.base.SearchHistory` ---------------------------------------------------

    @cached_property
    def best_folds(self) -> Array | None:
        """``[K]`` validation scores of the best trial at its chosen step; `None` before there is one."""
        return None if self.best is None else self._folds(self.best)

    @property
    def curves(self) -> Sequence[Array]:
        """Validation curves ``[K, S]`` of the trials that were complete or pruned, the reference left out."""
        return self.curves_of(self.trials)

    def of(self, family: str) -> FamilyHistory:
        """The same of the trials of one family."""
        return FamilyHistory(self, family)

    def leading_folds(self, family: str) -> Array | None:
        """``[K]`` validation scores of the best trial of a family; `None` before there is one."""
        leader = self._leaders.get(family)
        if leader is None:
            return None
        if self._leading.get(family, (-1,))[0] != leader.number:  # backends compare it by what it is
            self._leading[family] = leader.number, self._folds(leader)
        return self._leading[family][1]

    def curves_of(self, trials: Iterable[Trial]) -> Sequence[Array]:
        """Validation curves of those of some trials that show what others may come to."""
        scored = [trial for trial in trials if trial.state in ("complete", "pruned") and self._was_searched(trial)]
        return [self.store.curves(trial.number, self.metric).val for trial in scored]

    def _folds(self, trial: Trial) -> Array:
        """``[K]`` validation scores of a trial at its chosen step."""
        return self.store.curves(trial.number, self.metric).val[:, trial.step]

    def _was_searched(self, trial: Trial) -> bool:
        """Whether a trial was evaluated for the search: not the reference, nor one that has the results of another."""
        first = self._evaluated.get(trial.key)
        return trial.role != REFERENCE and (first is None or first is trial or trial.state != "complete")


@dataclass(frozen=True)
class FamilyHistory:
    """What the finished trials of one family have shown."""

    history: History
    family: str

    @property
    def best_folds(self) -> Array | None:
        return self.history.leading_folds(self.family)

    @property
    def curves(self) -> Sequence[Array]:
        return self.history.curves_of(trial for trial in self.history.trials if trial.family == self.family)

    def of(self, family: str) -> FamilyHistory:
        return self.history.of(family)
