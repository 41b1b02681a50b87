"""The default sampler: what a Gaussian process expects most of, else Optuna's TPE; never a config that had a trial.

The process is told of trials that were given up and of those that are running (`expected_improvement`). It serves
spaces of several numbers, of which it knows every leaf, once enough is finished; elsewhere TPE proposes, each parameter
by itself. `benchmarks/replay.py samplers` and whole searches (`benchmarks/neural.py`) chose between them.

A trial that walks a whole path leaves little to sample: a lasso has one config for each scaling. TPE, which samples as
if results were noisy, would spend half of a search on configs whose results are known to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch.space.sampling import sample
from regsearch.space.tree import Node
from regsearch.study.proposals.expected_improvement import ExpectedImprovement

if TYPE_CHECKING:
    import optuna

PROPOSALS = 4  # of the process, then of TPE, to look at for a config that is new ...
TRIES = 50  # ... and then at random


@dataclass
class Draft:
    """A trial on paper: parameters as `draw(name, distribution)` gives them, which no study knows of."""

    draw: Callable[[str, Any], Any]
    params: dict[str, Any] = field(default_factory=dict)
    distributions: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, params: dict[str, Any]) -> Draft:
        """One whose parameters are known."""
        return cls(lambda name, _: params[name])

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> Any:
        import optuna

        return self._suggest(name, optuna.distributions.FloatDistribution(low, high, log=log))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> Any:
        import optuna

        return self._suggest(name, optuna.distributions.IntDistribution(low, high, log=log))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        import optuna

        return self._suggest(name, optuna.distributions.CategoricalDistribution(choices))

    def _suggest(self, name: str, distribution: Any) -> Any:
        self.distributions[name] = distribution
        self.params[name] = self.draw(name, distribution)
        return self.params[name]


@dataclass
class DefaultSampler:
    """Makes the sampler of each trial, as a function of the trials alone: a search that resumes goes on alike.

    Parameters
    ----------
    seed
        The study's.
    is_known
        Whether a config has had a trial.
    """

    space: Node
    seed: int
    is_known: Callable[[Node], bool]

    def at(self, count: int) -> optuna.samplers.BaseSampler:
        """The sampler of the trial that comes after so many."""
        import optuna

        seeds = np.random.SeedSequence([self.seed, count]).generate_state(3).tolist()
        sampler: Any = _unrepeating()(seed=seeds[0], constant_liar=True)
        sampler.space, sampler.is_known, sampler.process, sampler.generator, sampler.random = (
            self.space,
            self.is_known,
            self._process,
            np.random.default_rng(seeds[2]),
            optuna.samplers.RandomSampler(seeds[1]),
        )
        made: optuna.samplers.BaseSampler = sampler
        return made

    @cached_property
    def _process(self) -> ExpectedImprovement | None:
        return ExpectedImprovement.of(self.space)


def _drafts(sampler: Any, study: Any, trial: Any) -> Iterator[Draft]:
    """Drafts of one config after the other: of the process, of TPE, then at random."""
    from optuna.trial import TrialState

    if sampler.process is not None:
        known = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.RUNNING))
        others = [one for one in known if one.number != trial.number]
        yield from map(Draft.of, sampler.process.best(others, sampler.generator, PROPOSALS))
    for each in chain(repeat(sampler, PROPOSALS), repeat(sampler.random, TRIES)):
        yield Draft(partial(each.sample_independent, study, trial))


@lru_cache
def _unrepeating() -> Any:
    """The sampler's class, made when Optuna is first needed."""
    import optuna

    class Unrepeating(optuna.samplers.TPESampler):
        """Drafts whole configs: where what one way to propose comes to is known, the next one is tried.

        What it drafted is what it calls relative: so Optuna takes it, and asks for no parameter by itself.
        """

        space: Node
        is_known: Callable[[Node], bool]
        process: ExpectedImprovement | None
        generator: np.random.Generator
        random: optuna.samplers.RandomSampler
        draft: Draft

        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            self.draft = next(self._new_drafts(study, trial))
            return self.draft.distributions

        def sample_relative(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
            return self.draft.params

        def _new_drafts(self, study: Any, trial: Any) -> Iterator[Draft]:
            """Drafts of configs that are new; where all is known, what was proposed first."""
            drafts = []
            for draft in _drafts(self, study, trial):
                drafts.append(draft)
                if not self.is_known(sample(self.space, draft)):
                    yield draft
            yield drafts[0]

    return Unrepeating
