"""Estimators that are fitted in rounds, such as boosted trees: what one fit says after each of them.

A way is right where the fit with fewer rounds is the beginning of the fit with more, so that what it says after some
rounds is what the estimator says that was fitted with as many.

Notation: n rows, m outputs, S rounds.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from regsearch._types import Array, Rows
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput
from regsearch.models.fitting import as_decisions, decisions_of, fitted_on, response

STAGES = "staged_"
RANKING = "decision_function"
UNITS = 1e-4  # relative: far more than rounding, far less than another unit
RATES = ("learning_rate", "eta")  # what CatBoost calls it
BOOSTERS = ("boosting_type", "boosting", "boost", "booster")  # what LightGBM and XGBoost call how they boost
STOPS = {"early_stopping": False, "n_iter_no_change": None}  # what ends a fit by rows of its own, and off


@dataclass(frozen=True)
class Asked:
    """What is asked of an estimator after each of its rounds.

    Attributes
    ----------
    views
        The tables.
    ranks
        Whether, of several classes, its decision function is asked too: what scorers that rank rows by it are given,
        which a probability is not that is one of several.
    """

    views: Sequence[Any]
    problem: Problem
    ranks: bool = False

    def methods(self, fitted: Any, prefix: str = "") -> tuple[str, ...]:
        """The method that decisions are made from, and the decision function where that is another."""
        first = response(fitted, self.problem, prefix)
        more = self.ranks and hasattr(fitted, f"{prefix}{RANKING}") and first != RANKING
        return (first, RANKING) if more else (first,)

    def of(self, fitted: Any, **part: Any) -> list[Array]:
        """Decisions ``[n, m]`` on each table by the first method, then on each by the second, if there is one."""
        return [
            as_decisions(method, getattr(fitted, method)(view, **part), self.problem)
            for method in self.methods(fitted)
            for view in self.views
        ]


class Rounds(ABC):
    """A way to walk through the rounds of a fit."""

    @staticmethod
    @abstractmethod
    def knows(estimator: Any, name: str) -> bool:
        """Whether the parameter of that name is the number of rounds of an estimator, and this its way."""

    @staticmethod
    def watch(estimator: Any) -> Any:
        """An estimator that is going to be fitted, which keeps what its way needs of the fit."""
        return estimator

    @staticmethod
    @abstractmethod
    def walk(fitted: Any, rounds: int, asked: Asked) -> Iterator[list[Array]]:
        """What is asked after each round of an estimator that is fitted with all of them.

        Fewer where the fit came to its end earlier, but one at least.
        """


class Truncated(Rounds):
    """Boosting of LightGBM's, XGBoost's and CatBoost's: it predicts with as many of its rounds as are asked for."""

    SLICES: Mapping[str, Any] = {
        "num_iteration": lambda count: count, "iteration_range": lambda count: (0, count),
        "ntree_end": lambda count: count,
    }  # fmt: skip

    @classmethod
    def keyword(cls, estimator: Any) -> str:
        """The argument that says how many; empty where there is none."""
        known = inspect.signature(estimator.predict).parameters if hasattr(estimator, "predict") else ()
        return next((name for name in cls.SLICES if name in known), "")

    @staticmethod
    def knows(estimator: Any, name: str) -> bool:
        return name in ("n_estimators", "iterations") and bool(Truncated.keyword(estimator))

    @staticmethod
    def walk(fitted: Any, rounds: int, asked: Asked) -> Iterator[list[Array]]:
        keyword = Truncated.keyword(fitted)
        for count in range(1, min(rounds, getattr(fitted, "tree_count_", rounds)) + 1):  # CatBoost may end earlier
            part = {keyword: Truncated.SLICES[keyword](count)}
            yield asked.of(fitted, **part)


class Staged(Rounds):
    """Boosting of scikit-learn's: it tells its stages itself."""

    @staticmethod
    def knows(estimator: Any, name: str) -> bool:
        return name in ("max_iter", "n_estimators") and hasattr(estimator, f"{STAGES}predict")

    @staticmethod
    def walk(fitted: Any, rounds: int, asked: Asked) -> Iterator[list[Array]]:
        methods = asked.methods(fitted, STAGES)
        stages = [getattr(fitted, STAGES + method)(view) for method in methods for view in asked.views]
        by = [method for method in methods for _ in asked.views]
        for said in zip(*stages, strict=True):
            yield [as_decisions(method, one.copy(), asked.problem) for method, one in zip(by, said, strict=True)]


class Independent(Rounds):
    """Forests and bags: members that know nothing of each other, of which the first few are one, too."""

    @staticmethod
    def knows(estimator: Any, name: str) -> bool:
        grows = {"warm_start", "n_estimators"} <= estimator.get_params(deep=False).keys()
        return name == "n_estimators" and grows and not hasattr(estimator, f"{STAGES}predict")

    @staticmethod
    def walk(fitted: Any, rounds: int, asked: Asked) -> Iterator[list[Array]]:
        members = fitted.estimators_
        places = getattr(fitted, "estimators_features_", None)
        for count in range(1, rounds + 1):
            fitted.estimators_ = members[:count]
            if places is not None:
                fitted.estimators_features_ = places[:count]
            fitted.set_params(n_estimators=count)
            yield asked.of(fitted)


class Epochs(Rounds):
    """Perceptrons of scikit-learn's that are trained in batches: their weights are copied where an epoch begins."""

    @staticmethod
    def knows(estimator: Any, name: str) -> bool:
        params = estimator.get_params(deep=False)
        known = name == "max_iter" and {"hidden_layer_sizes", "solver", "shuffle"} <= params.keys()
        return known and params["shuffle"] is True and params["solver"] in ("adam", "sgd")

    @staticmethod
    def watch(estimator: Any) -> Any:
        return estimator.set_params(random_state=_EpochStarts(estimator, estimator.random_state))

    @staticmethod
    def walk(fitted: Any, rounds: int, asked: Asked) -> Iterator[list[Array]]:
        _, *begun = fitted.random_state.weights  # what the second epoch begins with the first has left
        for coefs, intercepts in [*begun, (fitted.coefs_, fitted.intercepts_)]:
            fitted.coefs_, fitted.intercepts_ = coefs, intercepts
            yield asked.of(fitted)


class _EpochStarts(np.random.RandomState):
    """The random numbers of a perceptron, as it would have drawn them, which it asks for once where an epoch begins.

    Attributes
    ----------
    weights
        Coefficients and intercepts at each of these times.
    """

    def __init__(self, estimator: Any, seed: Any) -> None:
        from sklearn.utils import check_random_state

        super().__init__()
        self.set_state(check_random_state(seed).get_state())
        self._estimator, self.weights = estimator, list[tuple[list[Array], list[Array]]]()

    def shuffle(self, x: Any) -> None:
        both = self._estimator.coefs_, self._estimator.intercepts_
        self.weights.append(tuple([part.copy() for part in parts] for parts in both))  # type: ignore[arg-type]
        super().shuffle(x)


def last_step(estimator: Any) -> tuple[str, Any]:
    """What stands before the parameters of the last step of a pipeline, and that step; of another, nothing and it."""
    if not hasattr(estimator, "steps"):
        return "", estimator
    name, step = estimator.steps[-1]
    return f"{name}__", step


def way_of(estimator: Any, parameter: str) -> type[Rounds]:
    """How the rounds of an estimator, which one of its parameters counts, are walked.

    Raises
    ------
    InvalidInput
        Where nothing is known of such rounds.
    """
    prefix, last = last_step(estimator)
    own = parameter.removeprefix(prefix)
    ways = [way for way in Rounds.__subclasses__() if parameter == prefix + own and way.knows(last, own)]
    if not ways:
        raise InvalidInput(
            "path= must be what counts the rounds of boosted trees, the members of a forest or the epochs of a "
            "perceptron that is trained in shuffled batches, such as 'max_iter' of a HistGradientBoostingClassifier, "
            f"got {parameter!r} of {type(last).__name__}; search it as a parameter."
        )
    return ways[0]


def walked_alike(estimator: Any, params: Mapping[str, Any], parameter: str) -> dict[str, Any]:
    """Of the parameters of an estimator, those with which a fit goes on to its last round.

    Raises
    ------
    InvalidInput
        Where it is asked to end by itself, or what a round is depends on how many there are.
    """
    prefix, last = last_step(estimator)
    if hasattr(last, "get_all_params") and not any(prefix + name in params for name in RATES):
        raise InvalidInput(
            f"Along path={parameter!r} fewer rounds are the beginning of more, and CatBoost sets a learning_rate "
            "of its own by how many there are; give it one, or leave path out."
        )
    for name in BOOSTERS:
        boosting = params.get(prefix + name)
        if "dart" in getattr(boosting, "options", (boosting,)):
            raise InvalidInput(
                f"Along path={parameter!r} fewer rounds are the beginning of more, and dart weighs the trees of "
                f"earlier rounds anew; take another {prefix + name}, or leave path out."
            )
    stops = {prefix + name: off for name, off in STOPS.items() if prefix + name in params}
    if prefix + "early_stopping" in stops:  # then the other says after how many rounds without one
        stops.pop(prefix + "n_iter_no_change", None)
    for name, off in stops.items():
        if params[name] not in (off, "auto"):
            raise InvalidInput(
                f"Along path={parameter!r} all folds end at one round, and {name}={params[name]!r} ends each by rows "
                f"of its own; set it to {off}, or leave path out."
            )
    return stops


def left_to_the_data(estimator: Any, params: Mapping[str, Any]) -> set[str]:
    """Parameters that a path sets, where the estimator as given leaves to the data what ends a fit: nobody's choice."""
    prefix, own = last_step(estimator)[0], estimator.get_params()
    stops = {prefix + name: off for name, off in STOPS.items()}
    return {name for name, off in stops.items() if own.get(name) == "auto" and params.get(name, off) in (off, "auto")}


def walk(
    estimator: Any, parameter: str, problem: Problem, train: Rows, views: Sequence[Any], ranks: bool = False
) -> Iterator[list[Array]]:
    """Fit to some rows; what the fit says of each of some tables, ``[n, m]``, after each of its rounds.

    With `ranks`, that is followed by its decision function of each, where there are several classes and it has one.
    """
    way, rounds = way_of(estimator, parameter), int(estimator.get_params()[parameter])
    way.watch(last_step(estimator)[1])
    fitted = fitted_on(estimator, problem, train)
    if hasattr(fitted, "steps"):
        views = [fitted[:-1].transform(view) for view in views] if len(fitted.steps) > 1 else views
    said = way.walk(last_step(fitted)[1], rounds, Asked(views, problem, ranks))
    last = next(said)
    yield last
    for _ in range(rounds - 1):
        last = next(said, last)  # a fit that has come to its end says the same from then on
        yield last
    if problem.classes is None:
        own = last_step(fitted)[1]
        _check_units(own, last[0], decisions_of(own, views[0], problem))


def _check_units(fitted: Any, last: Array, predicted: Array) -> None:
    """Refuse numbers after the last round that are not what is predicted, such as the logarithm of it."""
    atol = UNITS * np.nan_to_num(np.abs(predicted)).max(initial=0.0)
    if not np.allclose(last, predicted, UNITS, atol, equal_nan=True):
        raise InvalidInput(
            f"What {type(fitted).__name__} says after its last round must be what it predicts, got {last[0, 0]:.4g} "
            f"and {predicted[0, 0]:.4g} of one row; leave path out."
        )
