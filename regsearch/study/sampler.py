"""The default sampler, which does not propose a config again.

Where a space has some numbers to sample, and some trials are finished, it proposes what a Gaussian process expects to
improve most; else Optuna's TPE does, each parameter by itself. `benchmarks/replay.py samplers` compares them.

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
from regsearch.study.proposals import Proposals

if TYPE_CHECKING:
    import optuna

PROPOSALS = 4  # of the process, and then of TPE, to look at for a config that is new ...
TRIES = 50  # ... and then at random


@dataclass
class Draft:
    """A trial on paper: parameters as `draw(name, distribution)` gives them, which no study knows of."""

    draw: Callable[[str, Any], Any]
    params: dict[str, Any] = field(default_factory=dict)
    distributions: dict[str, Any] = field(default_factory=dict)

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
        sampler.space, sampler.is_known, sampler.proposals = self.space, self.is_known, self._proposals
        sampler.random, sampler.generator = optuna.samplers.RandomSampler(seeds[1]), np.random.default_rng(seeds[2])
        made: optuna.samplers.BaseSampler = sampler
        return made

    @cached_property
    def _proposals(self) -> Proposals | None:
        return Proposals.of(self.space)


def _drafts(sampler: Any, study: Any, trial: Any) -> Iterator[Draft]:
    """Drafts of one config after the other: what is expected to improve most, then of TPE, then at random."""
    from optuna.trial import TrialState

    if sampler.proposals is not None:
        states = (TrialState.COMPLETE, TrialState.RUNNING)
        others = [one for one in study.get_trials(deepcopy=False, states=states) if one.number != trial.number]
        for params in sampler.proposals.best(others, sampler.generator, PROPOSALS):
            yield Draft(lambda name, distribution, params=params: params[name])  # type: ignore[misc]
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
        proposals: Proposals | None
        random: optuna.samplers.RandomSampler
        generator: np.random.Generator
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
