"""The trials of a study as a table, and the choice of one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import FunctionType
from typing import TYPE_CHECKING, Any

from regsearch.data.folds import Folds
from regsearch.errors import InvalidInput, NotFound, RegsearchError
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.scorer import known, label_of
from regsearch.models.base import REFERENCE, Model
from regsearch.models.path import Point, Trajectory
from regsearch.numeric import is_whole, plain
from regsearch.results import bias
from regsearch.results.advice import Advice, advise
from regsearch.results.bias import Corrected, Overtuning
from regsearch.results.by_family import FamilyStandings, family_standings
from regsearch.results.by_target import scores_by_target
from regsearch.results.choice import Chosen, reasons
from regsearch.results.ensemble import AMONG, SIZE, Ensemble, ensemble
from regsearch.results.overview import TOP, Overview
from regsearch.results.plots import Plots
from regsearch.results.presented import Block, Presented
from regsearch.results.ranking import candidates, rank_trials, references_of
from regsearch.results.rules import RETURNS, Pick, Rule, find_rule, rule_name
from regsearch.results.stored_study import Scoring, leading_reference, unfilled_config, unscored
from regsearch.results.trial_arrays import TrialArrays
from regsearch.results.trials_table import trials_table
from regsearch.storage.optuna_study import OptunaStudy
from regsearch.storage.store import Store
from regsearch.storage.trial import STATES, Trial

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Results(TrialArrays, Presented):
    """A study as stored: read only.

    Attributes
    ----------
    store
        Where it lies.
    identity
        Name, data fingerprint, folds, seed and whatever else makes it this study.
    all
        Every trial, by number.
    space
        The space, where the script that made it is available.
    live
        What predictions are scored with, where the script that made it is available.
    stopped
        Why the run that made these results ended.
    unmirrored
        What MLflow lacks of the study though that run waited for it, in words; empty where it lacks nothing.
    damage
        What of the study could not be read, a sentence each; a run evaluates the trials among it again.
    measured
        Trajectories that stand for the stored ones, by number.
    subject
        What a report is about, where that is not the best trial.
    """

    store: Store
    identity: Mapping[str, Any]
    all: tuple[Trial, ...]
    space: Model | None = None
    live: Scoring | None = None
    stopped: str = ""
    unmirrored: str = ""
    damage: tuple[str, ...] = ()
    measured: Mapping[int, Trajectory] = field(default_factory=dict)
    subject: Chosen | None = None
    # so far, by rule: results are read only, so it stays true
    _chosen: dict[Rule, Chosen] = field(default_factory=dict, init=False, repr=False, compare=False)
    _corrected: dict[Rule, Corrected] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        return str(self.identity["study"])

    @property
    def metric(self) -> str:
        """The deciding metric; larger is better."""
        return str(self.identity["metric"])

    @property
    def metric_label(self) -> str:
        """The deciding metric as it is shown: with what its rows weigh, if they do."""
        return label_of(self.metric, self.weighted)

    @property
    def weighted(self) -> bool:
        """Whether rows weigh in the scores."""
        return bool(self.identity.get("weighted"))

    @property
    def test_weighted(self) -> bool:
        """Whether rows weigh in the held-out scores."""
        return bool(self.identity.get("test_weighted"))

    @cached_property
    def complete(self) -> tuple[Trial, ...]:
        """The trials that have a score, complete or stopped, best first; of equal scores the most regularized first."""
        return rank_trials((trial for trial in self.all if trial.is_scored), self.metric)

    @cached_property
    def candidates(self) -> tuple[Trial, ...]:
        """Those of them that a rule may choose, best first: all but the reference and what has its config.

        The reference itself where there is nothing else.
        """
        return candidates(self.complete, self.references)

    @property
    def reference_leads(self) -> bool:
        """Whether the reference, which no rule chooses, scores better than all that one may choose."""
        return leading_reference(self) is not None

    @cached_property
    def references(self) -> Mapping[str, Trial]:
        """The unregularized references by family; of a study of one, by an empty name."""
        return references_of(self.complete)

    @property
    def reference(self) -> Trial | None:
        """The unregularized reference that the best trial is compared with: that of its family."""
        return self.references.get(self.winner.family) if self.complete else None

    @property
    def counts(self) -> dict[str, int]:
        """Number of trials in each state."""
        count = Counter(trial.state for trial in self.all)
        return {state: count[state] for state in STATES}

    @property
    def last_failure(self) -> str:
        """Why the last failed trial failed."""
        return next((trial.reason for trial in reversed(self.all) if trial.state == "failed"), "")

    @cached_property
    def families(self) -> FamilyStandings:
        """What each family of the study came to; see `regsearch.results.by_family`."""
        return family_standings(self)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial: state, score and its standard error, train score, gap, whether the score still rises where
        its path ends, whether its point is not solved, the config's parameters, held-out scores where there are some,
        and other measures. A parameter called like one of these is ``param_NAME``.
        """
        return trials_table(self)

    @property
    def best(self) -> Chosen:
        """The trial with the best mean validation score."""
        return self.choose("best")

    def point(self, trial: Trial, metric: str | None = None) -> Point:
        """A metric, by default the deciding one, of a trial at its chosen step."""
        if not trial.points:
            raise NotFound(f"Trial {trial.number} has no score: it is {trial.state}.")
        return trial.points[metric or self.metric]

    def as_if(self, trials: Sequence[Trial], trajectories: Mapping[int, Trajectory]) -> Results:
        """This study, had those been its trials, with these trajectories by their numbers."""
        return replace(self, all=tuple(trials), measured=trajectories)

    @property
    def plots(self) -> Plots:
        """Figures: ``results.plots.gap()`` and the others that `regsearch.results.plots.Plots` names."""
        return Plots(self)

    @cached_property
    def folds(self) -> Folds | None:
        """The folds as stored; `None` where they were not kept."""
        identity = self.identity
        folds = self.store.load_folds(identity["cv"], identity["folds_hash"])
        return None if folds is None else replace(folds, **unscored(identity))

    @property
    def averaging(self) -> Averaging:
        """How scores of the folds are averaged."""
        return self.store.averaging or Averaging.equal(int(self.identity["folds"]))

    @cached_property
    def scoring(self) -> Scoring | None:
        """What predictions are scored with.

        `None` where the targets were not kept, the deciding scorer is the user's own and the script not available, or
        it reads the fitted estimator.
        """
        if self.live is not None:
            return None if self.live.metric.needs_fit else self.live
        problem, folds = self.store.load_targets(self.identity["task"], self.identity["fingerprint"]), self.folds
        metric = problem and known(self.metric, self.identity["scoring"][0], problem)
        return Scoring(problem, folds, metric) if problem and folds and metric else None

    @property
    def corrected(self) -> Corrected:
        """The best score without what it owes to being the best of many; see `regsearch.results.bias.corrected`."""
        return self.correct("best")

    def correct(self, rule: str | int | Rule = "best", step: int | None = None) -> Corrected:
        """The score of what a rule chooses without what it owes to having been chosen; rules as in `choose`."""
        function = find_rule(rule, step)
        if not isinstance(function, FunctionType):  # an object may choose otherwise once it was changed
            return bias.corrected(self, function)
        if function not in self._corrected:
            self._corrected[function] = bias.corrected(self, function)
        return self._corrected[function]

    def ensemble(self, size: int = SIZE, among: int = AMONG, bags: int = 1) -> Ensemble:
        """Trials whose predictions, averaged, score better than those of the best: selected greedily, forward and with
        replacement (Caruana et al. 2004), by the study's metric on stored predictions. `Study.export` takes it.

        Parameters
        ----------
        size
            How many picks it has at most: a trial may be picked again, which weighs it.
        among
            From how many of the best trials; from fewer where rows are many or the scorer is slow.
        bags
            From how many random halves of these, averaged: 20 lessen what the selection owes to luck, where trials err
            apart, at the price of many members.

        Raises
        ------
        NotFound
            When no trial is complete.
        InvalidInput
            When a number is none, of survival, whose log hazards have no common scale, or where predictions are not
            stored or cannot be scored without the study's script.
        """
        return ensemble(self, size, among, bags)

    @cached_property
    def overtuning(self) -> Overtuning | None:
        """What the search lost on the held-out set; `None` without one. See `regsearch.results.bias.overtuning`."""
        return bias.overtuning(self)

    def against_reference(self, chosen: Chosen) -> str:
        """What a choice changes against the reference, in one sentence."""
        return bias.against_reference(self, chosen)

    def gaps(self, number: int) -> pd.DataFrame:
        """Train score, validation score and gap of a trial by metric and fold; see `regsearch.results.bias.gaps`."""
        return bias.gaps(self, number)

    @cached_property
    def advice(self) -> list[Advice]:
        """What to do next, the most important first: each with its evidence; usually a few, or none."""
        return advise(self)

    @property
    def winner(self) -> Trial:
        """The trial that figures and sentences are about: the best, or what a report was asked of."""
        return self.candidates[0] if self.subject is None else self.subject.trial

    def finding(self, name: str) -> Mapping[str, Any] | None:
        """What was found out after the search, such as ``ablation``; `None` where it was not asked."""
        return self.store.finding(name)

    def choose(self, rule: str | int | Rule | Chosen = "best", step: int | None = None) -> Chosen:
        """The trial and path point that a rule chooses.

        Parameters
        ----------
        rule
            ``best``, ``one_se``, ``paired``, ``pareto``, ``percent_loss=2`` or ``gap_budget=0.05`` with any number, a
            function from results to a `Pick` (see `regsearch.results.rules`), or the number of a trial. What is chosen
            already stays.
        step
            Of the path of a trial that is named; by default the one at which it counts.

        Raises
        ------
        NotFound
            When the rule is unknown, there is no such trial or step, or no trial is complete.
        InvalidInput
            When a rule's number is none, the function is none or returns no `Pick`, or a step is of no trial.
        """
        if isinstance(rule, Chosen):
            return rule
        function = find_rule(rule, step)
        if not self.complete:
            raise NotFound(f"{self.name!r} has no complete trial to choose from; run it first.")
        if not isinstance(function, FunctionType):  # an object may choose otherwise once it was changed
            return self._picked(function)
        if function not in self._chosen:
            self._chosen[function] = self._picked(function)
        return self._chosen[function]

    def is_chosen_by_name(self, chosen: Chosen) -> bool:
        """Whether the rule that a choice names makes this choice."""
        try:
            again = self.choose(chosen.rule)
        except RegsearchError:  # a function that has no name of its own, or a trial that was named
            return False
        return (again.number, again.step) == (chosen.number, chosen.step)

    def _picked(self, function: Rule) -> Chosen:
        name, pick = rule_name(function), function(self)
        if not isinstance(pick, Pick):
            raise InvalidInput(f"The rule {name!r} must return a Pick, got {pick!r}; {RETURNS}.")
        return self.at(pick, name)

    def overview(self, rule: str | int | Rule = "best", step: int | None = None, top: int = TOP) -> Overview:
        """What ``regsearch show`` prints: of a rule's choice, as in `choose`, and so many of the best trials."""
        if not self.complete:
            nothing = f"No trial has come far enough to be chosen. {self.last_failure}".strip()
            return Overview(self.name, self.metric, self.counts, damage=self.damage, nothing=nothing)
        chosen, best = self.choose(rule, step), self.top(top)
        if lacking := self.lacks_files:
            return Overview(self.name, self.metric, self.counts, chosen, top=best, damage=self.damage, lacking=lacking)
        return Overview(
            self.name, self.metric, self.counts, chosen, self.correct(rule, step), self.advice, self.families,
            best, self.damage, by_target=scores_by_target(self, chosen),
        )  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        """Without what scores predictions, which may be no one's to pickle: that is stored, and so are the data."""
        return vars(replace(self, live=None))

    def blocks(self) -> Iterator[Block]:
        """What ``regsearch show`` prints: the study, its best trial, and what to make of it."""
        return self.overview().blocks()

    @cached_property
    def varied(self) -> frozenset[str]:
        """Names of the parameters in which trials differ: what was searched, and what came of it."""
        seen: dict[str, set[str]] = {}
        for trial in self.all:
            for name, value in trial.params.items():
                seen.setdefault(name, set()).add(repr(value))
        return frozenset(name for name, values in seen.items() if len(values) > 1)

    def top(self, count: int) -> list[Chosen]:
        """The best trials, each at its own best point.

        Raises
        ------
        InvalidInput
            When `count` is no positive whole number.
        """
        if not is_whole(wanted := plain(count)) or wanted < 1:
            raise InvalidInput(f"How many trials to list must be a positive whole number, got {count!r}; 10 is usual.")
        return [self.at(Pick(t.number, t.step, ""), "best") for t in self.complete[:wanted]]

    def at(self, pick: Pick, rule: str) -> Chosen:
        """The choice that a pick stands for, with its figures at that point of the path."""
        trial = next((one for one in self.complete if one.number == pick.number), None)
        if trial is None or pick.step not in range(trial.steps):
            raise NotFound(f"A rule picks a complete trial and a step of its path, {rule!r} picked {pick}; mend it.")
        there = self.standing(trial, int(pick.step))
        how = self.varied, self.weighted, self.test_weighted
        return Chosen(there, rule, reasons(pick.why, there), self._config(there), *how)

    def standing(self, trial: Trial, step: int) -> Trial:
        """A trial as it stands at another step of its path."""
        return trial if step == trial.step else trial.at(step, self.trajectory(trial.number))

    def _config(self, trial: Trial) -> Any:
        """The filled config; as plain data where only the user's script could rebuild it."""
        config = self.unfilled(trial)
        at_chosen = trial.role != REFERENCE or self.space is None  # the reference has its point already
        return config.at(trial.value) if isinstance(config, Model) and at_chosen else config

    def unfilled(self, trial: Trial) -> Any:
        """The config of a trial with its path still open; as plain data where only the script could rebuild it."""
        return unfilled_config(self, trial)


def load_results(store: Store, space: Model | None = None, live: Scoring | None = None) -> Results:
    """Read a study; with its `space` and what it is scored with, what is the user's own is rebuilt too.

    Raises
    ------
    NotFound
        When there is none of that name.
    StudyMismatch
        When the Optuna study of that name is not one of regsearch's.
    """
    with OptunaStudy.load(store) as study:
        return read_results(store, study, space, live)


def read_results(store: Store, study: OptunaStudy, space: Model | None = None, live: Scoring | None = None) -> Results:
    """The results of an open study; what of it cannot be read is said in their `damage`."""
    trials, damaged = study.trials(), study.damage(store)
    files = store.damaged_files(study.identity) if store.has_files and any(one.config for one in trials) else ()
    damage = (*store.lost_lines, *files, *(f"trial {number}: {why}" for number, why in damaged.items()))
    shown = tuple(trial.damaged(damaged[trial.number]) if trial.number in damaged else trial for trial in trials)
    return Results(store, study.identity, shown, space, live, damage=damage)
