"""The default sampler: Optuna's TPE for conditional spaces, which does not propose a config again.

A trial that walks a whole path leaves little to sample: a lasso has one config for each scaling. TPE, which samples as
if results were noisy, would spend half of a search on configs whose results are known to the last digit.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch.errors import NotFound
from regsearch.space import fill, scatter
from regsearch.tree import Node

if TYPE_CHECKING:
    import optuna

TRIES = 50  # random configs to look at for one that is new


def make_sampler(space: Node, seed: int, count: int, is_known: Callable[[Node], bool]) -> optuna.samplers.BaseSampler:
    """A sampler for one trial, as a function of its arguments alone: a search that resumes goes on as it would have.

    Parameters
    ----------
    seed, count
        The study's seed, and the number of trials before this one.
    is_known
        Whether a config has had a trial.
    """
    import optuna

    state = np.random.SeedSequence([seed, count])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: Any = _unrepeating()(
            seed=int(state.generate_state(1)[0]), multivariate=True, group=True, constant_liar=True
        )
    sampler.space, sampler.is_known, sampler.random = space, is_known, np.random.default_rng(state)
    made: optuna.samplers.BaseSampler = sampler
    return made


@lru_cache
def _unrepeating() -> Any:
    """The sampler's class, made when Optuna is first needed."""
    import optuna

    class Unrepeating(optuna.samplers.TPESampler):
        """TPE; where it proposes a config that is known, or nothing, a random one that is new."""

        space: Node
        is_known: Callable[[Node], bool]
        random: np.random.Generator

        def sample_relative(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
            proposed: dict[str, Any] = super().sample_relative(study, trial, search_space)
            if self._is_new(proposed):
                return proposed
            drawn = (scatter(self.space, self.random) for _ in range(TRIES))
            new = (params for params in drawn if params.keys() <= search_space.keys() and self._is_new(params))
            return next(new, proposed)

        def _is_new(self, params: Mapping[str, Any]) -> bool:
            try:
                return not self.is_known(fill(self.space, params))
            except NotFound:  # a parameter that TPE leaves to be drawn by itself
                return False

    return Unrepeating
